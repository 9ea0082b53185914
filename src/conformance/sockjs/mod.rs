//! The checks of SockJS servers: those of the official protocol suite under its names, and our own for what that suite does not
//! notice. A check visits one of the services that such suites expect (echo, close and others), with a session of its own, and
//! says what it wants of each answer.
//!
//! Does not know: towpath's own server.

mod answer;
mod own;
mod probe;
mod receiving;
mod socket;
mod steps;
mod suite;
mod visit;

use std::time::{Instant, SystemTime};

pub use probe::Probe;

use super::{Check, Options, Outcome, Report, Rule, run};
use crate::wire::{Fault, Limits, Target};

/// What is looked at, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server, with the path below which the services are.
    pub target: Target,
    /// Where the services are.
    pub services: Services,
    /// How long is waited, and how much is taken. Checks that take their time count it in fifths of the patience, which are seconds
    /// where it is the usual one: a heartbeat has to come within eight times the patience, and a session without receiver is to
    /// last for three fifths of it and to be gone after four times of it.
    pub limits: Limits,
    /// How many connections may be open at once.
    pub connections: usize,
}

/// The paths of the services, below the target's. Only echo has to be there; checks of a service that is not are reported as not
/// offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// Sends every message back. Response limit 4096 bytes, raw websocket on.
    pub echo: String,
    /// Closes each session as soon as it is open, with 3000 `Go away!`. Raw websocket on.
    pub close: String,
    /// Echo without websocket.
    pub disabled_websocket: String,
    /// Echo with the cookie `JSESSIONID`.
    pub cookie: String,
    /// Answers a message by sending it back and closing the session at once, with 3000 `Go away!`.
    pub farewell: String,
}

impl Default for Services {
    /// The paths that the official suite uses, and ours.
    fn default() -> Self {
        Self {
            echo: "/echo".to_owned(),
            close: "/close".to_owned(),
            disabled_websocket: "/disabled_websocket_echo".to_owned(),
            cookie: "/cookie_needed_echo".to_owned(),
            farewell: "/farewell".to_owned(),
        }
    }
}

/// The groups of checks in the order in which they run.
const GROUPS: &[&[&[Check<Probe>]]] = &[suite::GROUPS, own::GROUPS];

/// What all the checks demand, in their order.
pub fn rules() -> Vec<Rule> {
    checks().iter().map(|check| check.rule).collect()
}

fn checks() -> Vec<&'static Check<Probe>> {
    GROUPS.iter().copied().flatten().copied().flatten().collect()
}

/// Runs the chosen checks. `done` hears of each outcome as soon as it and all before it are there.
///
/// # Errors
///
/// [`Fault::Unreachable`] if there is nobody to be looked at. Every other fault is a matter of the checks.
pub async fn examine(settings: Settings, options: &Options, done: impl FnMut(&Outcome)) -> Result<Report, Fault> {
    let (started, clock) = (SystemTime::now(), Instant::now());
    let target = settings.target.url(&settings.target.path(""));
    let probe = Probe::new(settings).await?;
    let outcomes = run(&checks(), &probe, options, None, done).await;
    let (facts, spent) = (probe.facts(), probe.spent());
    Ok(Report { suite: "SockJS", target, facts, started, took: clock.elapsed(), spent, outcomes })
}
