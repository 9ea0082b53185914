//! `towpath conformance`: checks anyone's SockJS or STOMP server against the rules of these protocols.
//!
//! Does not know: what is checked, or how a report looks.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, value_parser};
use towpath::conformance::report::{self, Format};
use towpath::conformance::stomp::{self, Dialect};
use towpath::conformance::{Choice, Level, Options, Outcome, Report, Rule, Verdict, sockjs};
use towpath::wire::{Limits, Load, Target};

use super::credentials::Credentials;
use super::guard;
use super::terminal::{self, Progress};

/// The exit status for a server that does not keep to the rules.
const NOT_MET: u8 = 1;
/// The exit status for a run that there was not.
const NO_ANSWER: u8 = 2;
/// Connections that one check may have open. A check that waited for one while others hold theirs could wait for ever.
const CONNECTIONS_PER_JOB: u16 = 8;
/// How many times its patience a check may take at least: it waits for several answers.
const WAITS: u32 = 6;

const SOCKJS_HELP: &str = "\
The load: at most as many connections at once as --connections says. All checks together open some 2,500 connections and
send some 40 MB; no run opens more than 10,000 or sends more than 256 MiB, and each ends by itself.

Exit status: 0 if every must is met (with --strict every should, too), 1 if not, 2 if it could not run.

Examples:
  towpath conformance sockjs http://127.0.0.1:8081
  towpath conformance sockjs http://127.0.0.1:8081 --format html --output report.html
  towpath conformance sockjs http://127.0.0.1:8081/realtime --echo /ws --filter 'xhr' --filter '!streaming'
  towpath conformance sockjs --explain XhrPolling.test_transport";

const STOMP_HELP: &str = "\
The load: at most as many connections at once as --connections says. All checks together open some 300 connections and send
less than 1 MB for each carrier; no run opens more than 10,000 or sends more than 256 MiB, and each ends by itself.

Exit status: 0 if every must is met (with --strict every should, too), 1 if not, 2 if it could not run.

Examples:
  towpath conformance stomp tcp://127.0.0.1:61613 --login guest --dialect rabbitmq
  towpath conformance stomp ws://127.0.0.1:8080/stomp --format junit --output stomp.xml
  towpath conformance stomp http://127.0.0.1:8080/stomp --slow
  towpath conformance stomp --list --level must";

/// Whose rules.
#[derive(Debug, Subcommand)]
pub enum Suite {
    /// Check a SockJS server: the official suite's tests and more.
    #[command(after_help = SOCKJS_HELP)]
    Sockjs(Sockjs),
    /// Check a STOMP server: over TCP, a websocket or SockJS, as the URL says.
    #[command(after_help = STOMP_HELP)]
    Stomp(Stomp),
}

/// A SockJS server. Its test services are those that every SockJS library has for its own tests.
#[derive(Debug, Args)]
pub struct Sockjs {
    /// The server, such as http://127.0.0.1:8081; a path in it stands before those of the services.
    #[arg(required_unless_present_any = ["list", "explain"])]
    url: Option<String>,
    /// The service that sends back what it gets.
    #[arg(long, value_name = "PATH", default_value = "/echo", value_parser = path)]
    echo: String,
    /// The service that closes every session at once.
    #[arg(long, value_name = "PATH", default_value = "/close", value_parser = path)]
    close: String,
    /// An echo without websockets.
    #[arg(long, value_name = "PATH", default_value = "/disabled_websocket_echo", value_parser = path)]
    disabled_websocket: String,
    /// An echo that wants a cookie.
    #[arg(long, value_name = "PATH", default_value = "/cookie_needed_echo", value_parser = path)]
    cookie: String,
    /// The service that sends a message and closes.
    #[arg(long, value_name = "PATH", default_value = "/farewell", value_parser = path)]
    farewell: String,
    #[command(flatten)]
    common: Common,
}

/// A STOMP server.
#[derive(Debug, Args)]
pub struct Stomp {
    /// The server: tcp:// or tls://127.0.0.1:61613, ws://127.0.0.1:8080/stomp, or http://127.0.0.1:8080/stomp for SockJS.
    #[arg(required_unless_present_any = ["list", "explain"])]
    url: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
    /// The host of CONNECT, if it is not the URL's.
    #[arg(long)]
    host: Option<String>,
    /// The kind of broker: towpath, rabbitmq, activemq or spring.
    #[arg(long, value_name = "NAME", default_value = "towpath", value_parser = dialect)]
    dialect: Dialect,
    #[command(flatten)]
    common: Common,
}

/// What both suites have.
#[derive(Debug, Args)]
struct Common {
    /// The report: text, json, junit, tap, html or lines.
    #[arg(long, value_name = "NAME", default_value = "text", value_parser = format)]
    format: Format,
    /// Write the report to this file.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only checks that have this, or another PART that is given, in their id or group; !PART takes out.
    #[arg(long = "filter", value_name = "PART")]
    filters: Vec<String>,
    /// Only checks of this level or a weightier one: must, should or may.
    #[arg(long, value_parser = level)]
    level: Option<Level>,
    /// Run slow checks, too: those that wait for heartbeats and time-outs.
    #[arg(long)]
    slow: bool,
    /// How many checks run at once, as far as there are eight connections for each.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// How many connections are open at once, at most.
    #[arg(long, value_name = "N", default_value_t = 32,
        value_parser = value_parser!(u16).range(i64::from(CONNECTIONS_PER_JOB)..=1024))]
    connections: u16,
    /// How long an answer is waited for.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = patience)]
    patience: Duration,
    /// Print the checks that are chosen, and run none.
    #[arg(long)]
    list: bool,
    /// Print what a check demands, where that is written and why it matters, and run none.
    #[arg(long, value_name = "ID")]
    explain: Option<String>,
    /// Exit with 1 if a should is not met, too.
    #[arg(long)]
    strict: bool,
    /// Check a server on another machine: one that you may test.
    #[arg(long)]
    yes: bool,
}

/// Checks the server and prints the report. The exit status is 0 if every must is met, 1 if one is not, and 2 if it could not
/// run.
pub fn run(suite: &Suite) -> ExitCode {
    match answer(suite) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_MET),
        Err(error) => {
            eprintln!("towpath: {error}");
            ExitCode::from(NO_ANSWER)
        }
    }
}

/// Whether the server keeps to the rules, or what was asked about them is told.
fn answer(suite: &Suite) -> Result<bool, Box<dyn Error>> {
    let (common, rules) = match suite {
        Suite::Sockjs(suite) => (&suite.common, sockjs::rules()),
        Suite::Stomp(suite) => (&suite.common, stomp::rules()),
    };
    if let Some(id) = &common.explain {
        terminal::print(&report::explanation(report::find(&rules, id)?))?;
        return Ok(true);
    }
    let choice = common.choice();
    let rules: Vec<Rule> = rules.into_iter().filter(|rule| choice.has(rule)).collect();
    if rules.is_empty() {
        return Err("no check fits --filter and --level; --list without them shows all there are".into());
    }
    if common.list {
        terminal::print(&report::list(&rules))?;
        return Ok(true);
    }
    if let Some(file) = &common.output {
        // Found out now, and not when all the checks have run.
        let opened = OpenOptions::new().create(true).append(true).open(file);
        opened.map_err(|why| unwritable(file, &why))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(examined(suite, common, &rules))?;
    told(common, &report)?;
    Ok(kept(&report, common.strict)?)
}

/// Whether every must is met, and every should if it is strict.
fn kept(report: &Report, strict: bool) -> Result<bool, &'static str> {
    match report.score().judged() {
        0 => Err("nothing was judged: the server does not offer what was chosen, or it is slow and wants --slow"),
        _ => Ok(report.holds(if strict { Level::Should } else { Level::Must })),
    }
}

async fn examined(suite: &Suite, common: &Common, rules: &[Rule]) -> Result<Report, Box<dyn Error>> {
    let options = common.options();
    let limits = Limits { patience: common.patience, ..Limits::default() };
    let connections = usize::from(common.connections);
    let mut count = Count::new(rules.len());
    let done = |outcome: &Outcome| count.hear(outcome);
    match suite {
        Suite::Sockjs(suite) => {
            let target = Target::parse(suite.url.as_deref().unwrap_or_default())?;
            guard::allow(target.host(), common.yes, &common.load(rules)).await?;
            let url = target.url(&target.path(""));
            let services = suite.services();
            let settings = sockjs::Settings { target, services, limits, connections };
            let report = sockjs::examine(settings, &options, done).await;
            Ok(report.map_err(|fault| format!("{url}: {fault}; start the server, or mend the URL"))?)
        }
        Suite::Stomp(suite) => {
            let url = suite.url.clone().unwrap_or_default();
            let Some(host) = guard::host(&url) else {
                let like = "tcp://127.0.0.1:61613, ws://127.0.0.1:8080/stomp or http://127.0.0.1:8080/stomp";
                return Err(format!("{url:?} is no URL of a server; write it like {like}").into());
            };
            guard::allow(&host, common.yes, &common.load(rules)).await?;
            let Stomp { credentials, host, dialect, .. } = suite;
            let (login, passcode, host) = (credentials.login.clone(), credentials.passcode()?, host.clone());
            let settings = stomp::Settings { url, login, passcode, host, dialect: *dialect, limits, connections };
            Ok(stomp::examine(settings, &options, done).await?)
        }
    }
}

/// Prints the report, or writes it to its file and prints what came of it.
fn told(common: &Common, report: &Report) -> Result<(), Box<dyn Error>> {
    let Some(file) = &common.output else {
        let text = match common.format {
            Format::Text => report::text(report, terminal::colours(&io::stdout())),
            other => other.render(report),
        };
        return Ok(terminal::print(&text)?);
    };
    fs::write(file, common.format.render(report)).map_err(|why| unwritable(file, &why))?;
    let verdict = report::verdict(report);
    Ok(terminal::print(&format!("{verdict}\nThe report is in {}.\n", file.display()))?)
}

fn unwritable(file: &Path, why: &io::Error) -> String {
    format!("{} cannot be written: {why}; name another file with --output", file.display())
}

impl Common {
    fn choice(&self) -> Choice {
        Choice { filters: self.filters.clone(), slow: self.slow, level: self.level, ..Choice::default() }
    }

    fn jobs(&self) -> u16 {
        self.jobs.min(self.connections / CONNECTIONS_PER_JOB).max(1)
    }

    fn options(&self) -> Options {
        let Options { limit, slow_limit, .. } = Options::default();
        let least = self.patience.saturating_mul(WAITS);
        Options {
            choice: self.choice(),
            jobs: self.jobs().into(),
            limit: limit.max(least),
            slow_limit: slow_limit.max(least),
        }
    }

    /// What the checks would ask of a server.
    fn load(&self, rules: &[Rule]) -> String {
        let (jobs, connections) = (self.jobs(), self.connections);
        let checks = match rules.len() {
            1 => "1 check".to_owned(),
            count => format!("{count} checks"),
        };
        format!(
            "this would run {checks} with a few requests each, up to {jobs} at a time and with up to {connections} connections open, and never more than {} in all",
            Load::MOST.connections
        )
    }
}

impl Sockjs {
    fn services(&self) -> sockjs::Services {
        sockjs::Services {
            echo: self.echo.clone(),
            close: self.close.clone(),
            disabled_websocket: self.disabled_websocket.clone(),
            cookie: self.cookie.clone(),
            farewell: self.farewell.clone(),
        }
    }
}

/// How far the checks are, for whoever looks on.
struct Count {
    line: Progress,
    /// Checks that were chosen.
    chosen: usize,
    /// What they are running over, and how many are done there.
    over: Option<&'static str>,
    done: usize,
    failed: usize,
}

impl Count {
    fn new(chosen: usize) -> Self {
        Self { line: Progress::new(), chosen, over: None, done: 0, failed: 0 }
    }

    fn hear(&mut self, outcome: &Outcome) {
        if self.over != outcome.over {
            (self.over, self.done) = (outcome.over, 0);
        }
        self.done += 1;
        self.failed += usize::from(matches!(outcome.verdict, Verdict::Failed(_)));
        let over = self.over.map(|over| format!(" over {over}")).unwrap_or_default();
        let Self { done, chosen, failed, .. } = self;
        self.line.show(&format!("{done} of {chosen}{over}, {failed} failed: {}", outcome.rule.group));
    }
}

fn path(text: &str) -> Result<String, String> {
    match text.strip_prefix('/') {
        Some(rest) if !rest.ends_with('/') => Ok(text.to_owned()),
        _ => Err("write it as /path, without a slash at its end".to_owned()),
    }
}

fn format(text: &str) -> Result<Format, String> {
    named(text, &Format::ALL, Format::name)
}

fn level(text: &str) -> Result<Level, String> {
    named(text, &Level::ALL, Level::name)
}

fn dialect(text: &str) -> Result<Dialect, String> {
    named(text, &Dialect::ALL, Dialect::name)
}

fn named<T: Copy>(text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let found = all.iter().find(|one| name(**one).eq_ignore_ascii_case(text));
    let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
    found.copied().ok_or_else(|| format!("there are {}", names.join(", ")))
}

fn patience(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if (Duration::from_millis(10)..=Duration::from_secs(600)).contains(&time) => Ok(time),
        _ => Err("write a time from 10ms to 10m, such as 5s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use clap::Parser;
    use towpath::conformance::Failure;
    use towpath::wire::Spent;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(subcommand)]
        suite: Suite,
    }

    fn stomp(arguments: &[&str]) -> Stomp {
        match Command::parse_from([&["conformance", "stomp", "tcp://127.0.0.1:1"], arguments].concat()).suite {
            Suite::Stomp(suite) => suite,
            other => panic!("{other:?}"),
        }
    }

    fn report(outcomes: &[(Level, Verdict)]) -> Report {
        let outcome = |(level, verdict): &(Level, Verdict)| {
            let rule = Rule { id: "", group: "", level: *level, demand: "", source: "", why: "", slow: false };
            Outcome { rule, over: None, verdict: verdict.clone(), took: Duration::ZERO }
        };
        let (target, facts, started) = (String::new(), vec![], SystemTime::now());
        let (took, spent) = (Duration::ZERO, Spent::default());
        Report { suite: "STOMP", target, facts, started, took, spent, outcomes: outcomes.iter().map(outcome).collect() }
    }

    #[test]
    fn musts_decide_and_shoulds_do_where_it_is_strict() {
        let (passed, failed) = (Verdict::Passed, Verdict::Failed(Failure::new("", "")));
        let skipped = Verdict::Skipped(String::new());
        for (outcomes, lax, strict) in [
            (&[(Level::Must, passed.clone()), (Level::Must, skipped.clone())][..], Some(true), Some(true)),
            (&[(Level::Must, failed.clone()), (Level::Must, passed.clone())], Some(false), Some(false)),
            (&[(Level::Should, failed.clone())], Some(true), Some(false)),
            (&[(Level::May, failed)], Some(true), Some(true)),
            (&[(Level::Must, skipped)], None, None),
            (&[], None, None),
        ] {
            let report = report(outcomes);
            assert_eq!([kept(&report, false).ok(), kept(&report, true).ok()], [lax, strict], "{outcomes:?}");
        }
    }

    #[test]
    fn every_check_finds_its_connections_and_its_time() {
        let options = |arguments: &[&str]| stomp(arguments).common.options();
        assert_eq!(options(&[]).jobs, 4);
        assert_eq!(options(&["--connections", "16"]).jobs, 2, "eight for each");
        assert_eq!(options(&["--connections", "8", "--jobs", "64"]).jobs, 1);
        assert_eq!(options(&["--connections", "64", "--jobs", "6"]).jobs, 6);
        assert_eq!(options(&[]).limit, Options::default().limit);
        assert_eq!(options(&["--patience", "1m"]).limit, Duration::from_secs(360));
    }
}
