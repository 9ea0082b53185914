//! What a real deployment does to realtime traffic, seen from outside: [`examine`] walks the way from here to a SockJS server as
//! a browser's sockjs-client would, names what stands in it and what mends that. It asks what a handful of clients ask, one step
//! after the other, and ends by itself.
//!
//! Does not know: the server side of towpath.

pub mod catalogue;
mod choice;
mod cors;
mod idle;
mod info;
pub mod mends;
mod polling;
mod probe;
mod render;
mod report;
mod stream;
mod way;
mod websocket;

pub use report::{Choice, Fact, Finding, Report, State, Transport, Verdict};

use std::time::{Duration, Instant, SystemTime};

use crate::wire::{Fault, Limits, Load, Spent, Target};
use info::Info;
use probe::{Course, Jar, Probe, Service};

/// The most connections that are open at once.
pub const CONNECTIONS: usize = 8;
/// Connections that are opened in all, at most.
const MOST: u64 = 400;
/// How long each step may take. A server that answers everything at the last moment uses it up.
const STEP: Duration = Duration::from_secs(40);

/// How a server is looked at.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a silent connection is watched; zero leaves that out.
    pub idle: Duration,
    /// The origin of the pages that use the service; without one, the service's own.
    pub origin: Option<String>,
    /// A message that the service answers; without one it is STOMP's CONNECT.
    pub message: Option<String>,
    /// The `login` of that CONNECT.
    pub login: Option<String>,
    /// The `passcode` of that CONNECT.
    pub passcode: Option<String>,
    /// How long is waited for an answer, and how much of it is taken.
    pub limits: Limits,
}

impl Default for Options {
    /// Thirty seconds of silence: many a proxy cuts earlier, and one that has its defaults waits 60 s. Answers may be as large as the
    /// response limit of a stream, several times.
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30),
            origin: None,
            message: None,
            login: None,
            passcode: None,
            limits: Limits { body: 1 << 20, ..Limits::default() },
        }
    }
}

impl Options {
    /// What a run asks of the server at most, in words.
    pub fn load(&self) -> String {
        let most = 8 * STEP + self.idle + STEP;
        format!(
            "at most {CONNECTIONS} connections at once, mostly 45 in all and never more than {MOST}, {} s, and never more than {} s",
            self.idle.as_secs() + 3,
            most.as_secs()
        )
    }
}

/// Looks at a server. `tell` hears what is being done.
///
/// # Errors
///
/// The server cannot be reached, so that there is nothing to look at.
pub async fn examine(target: &Target, options: &Options, tell: &(dyn Fn(&str) + Sync)) -> Result<Report, Fault> {
    let load = Load::bounded(CONNECTIONS, Spent { connections: MOST, ..Load::MOST });
    let (started, began) = (SystemTime::now(), Instant::now());
    let mut probe = Probe {
        target,
        load: &load,
        options,
        tell,
        cookies: Jar::default(),
        service: Service::Unknown,
        facts: Vec::new(),
        findings: Vec::new(),
    };
    let (info, courses) = walk(&mut probe).await?;
    let (verdicts, choice) = choice::judge(&probe.findings, &courses, info.as_ref());
    let mut findings = probe.findings;
    findings.sort_by_key(|finding| finding.problem.severity);
    Ok(Report {
        target: target.url(&target.path("")),
        path: target.path(""),
        host: target.host().to_owned(),
        origin: options.origin.clone().unwrap_or_else(|| target.url("")),
        started,
        took: began.elapsed(),
        spent: load.spent(),
        facts: probe.facts,
        verdicts,
        choice,
        findings,
    })
}

/// All steps, one after the other.
async fn walk(probe: &mut Probe<'_>) -> Result<(Option<Info>, Vec<Course>), Fault> {
    (probe.tell)("the way there: name, TCP, TLS");
    if !way::look(probe).await? {
        return Ok((None, Vec::new()));
    }
    (probe.tell)("/info");
    let Some(info) = step(probe, "info", async |probe| info::look(probe).await).await.flatten() else {
        return Ok((None, Vec::new()));
    };
    (probe.tell)("CORS");
    step(probe, "cors", async |probe| cors::look(probe).await).await;
    let mut courses = Vec::new();
    for transport in [Transport::XhrPolling, Transport::WebSocket, Transport::XhrStreaming, Transport::EventSource] {
        (probe.tell)(transport.name());
        let looked = step(probe, transport.name(), async |probe| match transport {
            Transport::XhrPolling => polling::look(probe, &info).await,
            Transport::WebSocket => websocket::look(probe, &info).await,
            _ => stream::look(probe, &info, transport).await,
        });
        courses.extend(looked.await);
    }
    silent(probe, &courses);
    let idle = probe.options.idle;
    let _ = tokio::time::timeout(idle + STEP, idle::look(probe, &courses)).await;
    Ok((Some(info), courses))
}

/// One step, with an end.
async fn step<T>(probe: &mut Probe<'_>, name: &'static str, look: impl AsyncFnOnce(&mut Probe<'_>) -> T) -> Option<T> {
    let looked = tokio::time::timeout(STEP, look(probe)).await.ok();
    if looked.is_none() {
        probe.fact(name, format!("not looked at to the end: that took more than {STEP:?}"));
    }
    looked
}

/// Tells of the transports over which nothing came back, if it did over others: the service answers, so its answers are lost.
fn silent(probe: &mut Probe<'_>, courses: &[Course]) {
    if courses.iter().all(|course| course.answered.is_none()) {
        if courses.iter().any(|course| course.opened.is_some()) {
            probe.fact(
                "message",
                "no transport brought an answer to a message; --message can name one that the service answers",
            );
        }
        return;
    }
    for course in courses.iter().filter(|course| course.opened.is_some() && course.answered.is_none()) {
        let explained = probe.findings.iter().any(|finding| finding.breaks.contains(&course.transport));
        if !explained {
            probe.find(polling::silent(probe, course));
        }
    }
}
