//! `towpath doctor`: looks at what stands between here and a SockJS server, and prints what is wrong and what mends it.
//!
//! Does not know: what can be wrong.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use parking_lot::Mutex;
use towpath::doctor::{Options, examine};
use towpath::wire::Target;

use super::guard;
use super::terminal::{self, Progress};

/// The exit status if something is wrong.
const FINDINGS: u8 = 1;
/// The exit status if it could not be looked at.
const NO_ANSWER: u8 = 2;
/// The variable for the passcode, the one that `towpath conformance` has.
const PASSCODE: &str = "STOMP_PASSCODE";
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
    /// The passcode for STOMP's CONNECT; other users of this machine can see it here, so better set STOMP_PASSCODE.
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
        passcode: patient.passcode()?,
        ..Options::default()
    };
    let progress = Mutex::new(Progress::new());
    let tell = |what: &str| progress.lock().show(&format!("{}: {what}", patient.url));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        guard::allow(target.host(), patient.yes, &format!("it would open {}", options.load())).await?;
        tell(&options.load());
        let report = examine(&target, &options, &tell).await;
        report.map_err(|fault| format!("{}: {fault}; start the server, or mend the URL", patient.url))
    });
    // The line goes before the report comes.
    drop(progress);
    let report = report?;
    terminal::print(&match patient.format {
        Format::Text => report.text(terminal::colours(&io::stdout())),
        Format::Json => format!("{:#}\n", report.json()),
    })?;
    Ok(report.is_healthy())
}

impl Patient {
    /// The passcode, from the variable unless the option has it. Without a login there is none.
    fn passcode(&self) -> Result<Option<String>, String> {
        if self.passcode.is_some() || self.login.is_none() {
            return Ok(self.passcode.clone());
        }
        let given = env::var_os(PASSCODE).map(OsString::into_string);
        given.transpose().map_err(|_| format!("{PASSCODE}: the value of the variable is not UTF-8; write it as such"))
    }
}

fn silence(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) => Err("at most 1h".to_owned()),
        Err(why) => Err(format!("{why}; write it as 30s or 2m")),
    }
}
