//! The checks of STOMP servers: what the texts of STOMP 1.0, 1.1 and 1.2 demand, and what the clients in use depend on, over TCP, raw
//! websockets and SockJS. The same checks run over every carrier; those that are about bytes or messages only run where there are
//! such.
//!
//! Does not know: towpath's own server.

mod carrier;
mod checks;
mod conversation;
mod dialect;
mod probe;
mod split;
mod survey;
mod transcript;
mod xhr;

pub use dialect::Dialect;

use std::time::{Instant, SystemTime};

use crate::conformance::{Check, Options, Outcome, Report, Rule, run};
use crate::wire::{Limits, Load};

use carrier::Carrier;
use probe::Probe;

/// The most conversations that one check holds at once.
const CONVERSATIONS: usize = 3;

/// Which server is looked at, and as whom.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `tcp://host:port`, `tls://host:port`, `ws://host:port/path`, or `http://host:port/prefix` of a SockJS service.
    pub url: String,
    /// The `login` of CONNECT; none if it is missing.
    pub login: Option<String>,
    /// The `passcode` of CONNECT.
    pub passcode: Option<String>,
    /// The `host` of CONNECT; that of the URL, or what the dialect has, if it is missing.
    pub host: Option<String>,
    /// Whose destinations and capabilities the server has.
    pub dialect: Dialect,
    /// How long is waited, and how much is read.
    pub limits: Limits,
    /// How many connections may be open at once.
    pub connections: usize,
}

/// Which carriers a check runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// All of them.
    All,
    /// Those that take bodies of any bytes.
    Bytes,
    /// TCP.
    Tcp,
    /// Those that have messages.
    Messages,
    /// The raw websocket.
    WebSocket,
}

/// A check with what it runs over.
struct Entry {
    over: Over,
    check: Check<Probe>,
}

impl Over {
    const fn has(self, carrier: Carrier) -> bool {
        match self {
            Self::All => true,
            Self::Bytes => carrier.takes_bytes(),
            Self::Tcp => matches!(carrier, Carrier::Tcp),
            Self::Messages => !matches!(carrier, Carrier::Tcp),
            Self::WebSocket => matches!(carrier, Carrier::WebSocket),
        }
    }
}

/// Every rule, in the order of the report.
pub fn rules() -> Vec<Rule> {
    entries().map(|entry| entry.check.rule).collect()
}

/// Looks at a server. `done` hears of each check as soon as it and all before it have an outcome.
///
/// # Errors
///
/// A sentence that says why nothing could be looked at: the URL is none, nobody listens there, or the bound on connections is
/// smaller than what one check needs.
pub async fn examine(settings: Settings, options: &Options, mut done: impl FnMut(&Outcome)) -> Result<Report, String> {
    let (started, clock) = (SystemTime::now(), Instant::now());
    let load = Load::new(settings.connections);
    let survey = survey::survey(&settings, &load).await?;
    let mut outcomes = Vec::new();
    for probe in &survey.probes {
        let over = probe.carrier;
        let checks: Vec<_> = entries().filter(|entry| entry.over.has(over)).map(|entry| &entry.check).collect();
        // A check that waited for a connection that another check holds, which waits likewise, would wait for ever.
        let fits = settings.connections / (CONVERSATIONS * over.connections());
        let options = Options { jobs: options.jobs.min(fits).max(1), ..options.clone() };
        outcomes.extend(run(&checks, probe, &options, Some(over.name()), &mut done).await);
    }
    Ok(Report {
        suite: "STOMP",
        target: settings.url,
        facts: survey.facts,
        started,
        took: clock.elapsed(),
        spent: load.spent(),
        outcomes,
    })
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    checks::GROUPS.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own_and_says_all_that_it_must() {
        let mut ids = BTreeSet::new();
        for rule in rules() {
            assert!(ids.insert(rule.id), "{} twice", rule.id);
            assert!(rule.id.contains('.') && !rule.id.contains(' '), "{}", rule.id);
            assert!(!rule.demand.ends_with('.') && rule.demand.len() > 15, "{}: {}", rule.id, rule.demand);
            assert!(rule.why.ends_with('.') && rule.why.len() > 30, "{}: {}", rule.id, rule.why);
            assert!(rule.source.len() > 8, "{}", rule.id);
        }
        assert!(ids.len() >= 100, "{}", ids.len());
    }
}
