//! The checks of SockJS servers.
//!
//! Does not know: STOMP.

use std::time::{Instant, SystemTime};

use super::{Check, Level, Options, Outcome, Report, Rule, Stop};
use crate::wire::{Connection, Fault, Limits, Load, Request, Target};

/// The server, and how it is looked at.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server.
    pub target: Target,
    /// Where its test services are.
    pub services: Services,
    /// How long is waited.
    pub limits: Limits,
    /// How many connections may be open at once.
    pub connections: usize,
}

/// The paths of the test services.
#[derive(Debug, Clone)]
pub struct Services {
    /// Sends back.
    pub echo: String,
    /// Closes at once.
    pub close: String,
    /// Has no websocket.
    pub disabled_websocket: String,
    /// Wants cookies.
    pub cookie: String,
    /// Says good-bye.
    pub farewell: String,
}

impl Default for Services {
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

struct Probe {
    settings: Settings,
    load: Load,
}

static GREETING: Check<Probe> = Check {
    rule: Rule {
        id: "BaseUrlGreeting.test_greeting",
        group: "base url",
        level: Level::Must,
        demand: "The base URL answers with the greeting",
        source: "SockJS protocol, BaseUrlGreeting.test_greeting",
        why: "Load balancers and people look there first.",
        slow: false,
    },
    look: |probe| Box::pin(greeting(probe)),
};

async fn greeting(probe: &Probe) -> Result<(), Stop> {
    let Settings { target, services, limits, .. } = &probe.settings;
    let request = Request::get(target.path(&services.echo));
    let wanted = "200 and Welcome to SockJS!";
    let asked = async { Connection::open(target, &probe.load, *limits).await?.ask(&request, target).await };
    let answer = asked.await.map_err(|fault| Stop::fault(&fault, wanted))?;
    match answer.head.status {
        200 => Ok(()),
        status => Err(Stop::failed(status.to_string(), wanted).reproduced_by(request.curl(target))),
    }
}

/// The rules.
pub fn rules() -> Vec<Rule> {
    vec![GREETING.rule]
}

/// Runs the checks.
///
/// # Errors
///
/// The server cannot be reached.
pub async fn examine(settings: Settings, options: &Options, done: impl FnMut(&Outcome)) -> Result<Report, Fault> {
    let (started, began) = (SystemTime::now(), Instant::now());
    let target = settings.target.url(&settings.target.path(""));
    let load = Load::new(settings.connections);
    drop(Connection::open(&settings.target, &load, settings.limits).await?);
    let probe = Probe { settings, load };
    let outcomes = super::run(&[&GREETING], &probe, options, None, done).await;
    let spent = probe.load.spent();
    Ok(Report { suite: "SockJS", target, facts: vec![], started, took: began.elapsed(), spent, outcomes })
}
