//! `towpath doctor`: looks at what stands between here and a SockJS server, and prints what is wrong and what mends it.
//!
//! Does not know: what can be wrong.

use std::env;
use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use towpath::doctor::{Options, examine};
use towpath::wire::Target;

/// The exit status if something is wrong.
const FINDINGS: u8 = 1;
/// The exit status if it could not be looked at.
const NO_ANSWER: u8 = 2;
/// The longest silence that is watched.
const LONGEST: Duration = Duration::from_secs(3600);

/// Which server, and how.
#[derive(Debug, Args)]
pub struct Patient {
    /// The URL of the SockJS service as its clients have it, such as https://www.example.com/stomp.
    url: String,
    /// How long a silent connection is watched, at most 1h; 0s leaves that out.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = silence)]
    idle: Duration,
    /// The origin of the pages that use the service, if it is not the service's own, such as https://app.example.com.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// A message that the service answers, if it does not speak STOMP and is no echo.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// The login for STOMP's CONNECT.
    #[arg(long, value_name = "NAME")]
    login: Option<String>,
    /// The passcode for STOMP's CONNECT.
    #[arg(long, value_name = "TEXT")]
    passcode: Option<String>,
    /// How the report is printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Look at a server that is not on this machine. It is asked as much as a few clients ask it.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Looks, and prints. The exit status is 0 if nothing is wrong, 1 if something is, and 2 if it could not be looked at.
pub fn run(patient: &Patient) -> ExitCode {
    match look(patient) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FINDINGS),
        Err(error) => {
            eprintln!("towpath: {error}");
            ExitCode::from(NO_ANSWER)
        }
    }
}

fn look(patient: &Patient) -> Result<bool, Box<dyn Error>> {
    let target = Target::parse(&patient.url)?;
    let options = Options {
        idle: patient.idle,
        origin: patient.origin.clone(),
        message: patient.message.clone(),
        login: patient.login.clone(),
        passcode: patient.passcode.clone(),
        ..Options::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let resolved = tokio::time::timeout(options.limits.patience, target.resolve()).await;
        let addresses = resolved.map_err(|_| format!("{} is not resolved in time", target.host()))??;
        if let Some(far) = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback())
            && !patient.yes
        {
            let load = options.load();
            return Err(format!(
                "{} ({}) is not this machine; a look costs its server {load}: --yes says that this is all right",
                target.host(),
                far.ip()
            )
            .into());
        }
        let shown = io::stderr().is_terminal();
        if shown {
            eprintln!("{}: {}", patient.url, options.load());
        }
        let tell = move |what: &str| {
            if shown {
                eprintln!("  ... {what}");
            }
        };
        examine(&target, &options, &tell).await.map_err(|fault| format!("{}: {fault}", patient.url).into())
    });
    let report = report.map_err(|error: Box<dyn Error>| error)?;
    let colours = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let printed = match patient.format {
        Format::Text => report.text(colours),
        Format::Json => format!("{:#}\n", report.json()),
    };
    // Whoever reads may have read enough; the exit status says the rest.
    let _ = io::stdout().lock().write_all(printed.as_bytes());
    Ok(report.is_healthy())
}

fn silence(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) => Err("at most 1h".to_owned()),
        Err(why) => Err(format!("{why}; write it as 30s or 2m")),
    }
}
