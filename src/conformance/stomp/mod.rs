//! The checks of STOMP servers.
//!
//! Does not know: towpath's own server.

use std::time::{Duration, SystemTime};

use super::{Level, Options, Outcome, Report, Rule, Verdict};
use crate::wire::{Limits, Spent};

/// The server, and how it is looked at.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is.
    pub url: String,
    /// The user.
    pub login: Option<String>,
    /// The user's passcode.
    pub passcode: Option<String>,
    /// The virtual host.
    pub host: Option<String>,
    /// What kind of broker it is.
    pub dialect: Dialect,
    /// How long is waited.
    pub limits: Limits,
    /// How many connections may be open at once.
    pub connections: usize,
}

/// A kind of broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Towpath.
    Towpath,
    /// RabbitMQ.
    RabbitMq,
    /// ActiveMQ.
    ActiveMq,
    /// Spring.
    Spring,
}

impl Dialect {
    /// All.
    pub const ALL: [Self; 4] = [Self::Towpath, Self::RabbitMq, Self::ActiveMq, Self::Spring];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Towpath => "towpath",
            Self::RabbitMq => "rabbitmq",
            Self::ActiveMq => "activemq",
            Self::Spring => "spring",
        }
    }
}

const RULE: Rule = Rule {
    id: "connect.connected",
    group: "connect",
    level: Level::Must,
    demand: "CONNECT is answered with CONNECTED",
    source: "STOMP 1.2, CONNECT",
    why: "Nothing else works.",
    slow: false,
};

/// The rules.
pub fn rules() -> Vec<Rule> {
    vec![RULE]
}

/// Runs the checks.
///
/// # Errors
///
/// The URL is none.
pub async fn examine(settings: Settings, options: &Options, mut done: impl FnMut(&Outcome)) -> Result<Report, String> {
    if !settings.url.starts_with("tcp://") {
        return Err(format!("{:?} is no URL", settings.url));
    }
    let verdict = Verdict::Skipped("this is a stand-in".to_owned());
    let outcome = Outcome { rule: RULE, over: Some("tcp"), verdict, took: options.limit };
    done(&outcome);
    Ok(Report {
        suite: "STOMP",
        target: settings.url,
        facts: vec![],
        started: SystemTime::now(),
        took: Duration::ZERO,
        spent: Spent::default(),
        outcomes: vec![outcome],
    })
}
