//! The checks of STOMP servers.
//!
//! Does not know: towpath's own server.

use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Failure, Level, Options, Outcome, Report, Rule, Verdict};
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
    let slow = Rule { id: "heartbeats.server-beats", slow: true, ..RULE };
    vec![RULE, slow]
}

/// Runs the checks.
///
/// # Errors
///
/// The URL is none.
pub async fn examine(settings: Settings, options: &Options, mut done: impl FnMut(&Outcome)) -> Result<Report, String> {
    let Some(address) = settings.url.strip_prefix("tcp://") else {
        return Err(format!("{:?} is no URL of a STOMP server", settings.url));
    };
    let connected = TcpStream::connect(address).await;
    let mut stream = connected.map_err(|why| format!("{} cannot be reached: {why}", settings.url))?;
    let (mut outcomes, mut bytes) = (vec![], [0; 9]);
    for rule in rules().into_iter().filter(|rule| options.choice.has(rule)) {
        let verdict = if rule.slow {
            Verdict::Skipped("it takes its time; --slow runs it".to_owned())
        } else {
            let _ = stream.write_all(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0").await;
            match stream.read_exact(&mut bytes).await {
                Ok(_) if bytes == *b"CONNECTED" => Verdict::Passed,
                _ => Verdict::Failed(Failure::new(String::from_utf8_lossy(&bytes), "CONNECTED")),
            }
        };
        let outcome = Outcome { rule, over: Some("tcp"), verdict, took: Duration::ZERO };
        done(&outcome);
        outcomes.push(outcome);
    }
    Ok(Report {
        suite: "STOMP",
        target: settings.url,
        facts: vec![],
        started: SystemTime::now(),
        took: Duration::ZERO,
        spent: Spent::default(),
        outcomes,
    })
}
