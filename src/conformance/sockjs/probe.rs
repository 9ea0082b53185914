//! What the checks share: the server, which services it has, and the bound on what is asked of it.
//!
//! Does not know: any check.

use serde_json::Value;

use super::visit::Visit;
use super::{Services, Settings};
use crate::conformance::Stop;
use crate::wire::{Connection, Fault, Limits, Load, Request, Response, Spent, Target};

/// The server that is looked at.
#[derive(Debug)]
pub struct Probe {
    pub(super) target: Target,
    pub(super) load: Load,
    pub(super) limits: Limits,
    services: Services,
    offered: Offered,
    server: Option<String>,
}

/// Which services answer. Echo is taken to, since without it there is nothing to be looked at.
#[derive(Debug, Clone, Copy)]
struct Offered {
    close: bool,
    disabled_websocket: bool,
    cookie: bool,
    farewell: bool,
}

impl Probe {
    /// Looks which services there are.
    ///
    /// # Errors
    ///
    /// [`Fault::Unreachable`] if there is no server.
    pub async fn new(settings: Settings) -> Result<Self, Fault> {
        let Settings { target, services, limits, connections } = settings;
        let load = Load::new(connections);
        let info = |service: &str| Request::get(target.path(&format!("{service}/info")));
        let ask = async |service: &str| -> Result<Option<Response>, Fault> {
            let asked = async {
                let mut connection = Connection::open(&target, &load, limits).await?;
                connection.ask(&info(service), &target).await
            };
            match asked.await {
                Ok(response) => Ok(Some(response)),
                Err(fault @ Fault::Unreachable(_)) => Err(fault),
                Err(_) => Ok(None),
            }
        };
        let server = ask(&services.echo).await?.and_then(|response| response.header("Server").map(str::to_owned));
        // What answers strangely is there, and the checks will say how strangely.
        let there = |response: Option<Response>| response.is_none_or(|response| response.status() != 404);
        let offered = Offered {
            close: there(ask(&services.close).await?),
            disabled_websocket: there(ask(&services.disabled_websocket).await?),
            cookie: there(ask(&services.cookie).await?),
            farewell: there(ask(&services.farewell).await?),
        };
        Ok(Self { target, load, limits, services, offered, server })
    }

    /// A visit of the echo service.
    pub(super) fn echo(&self) -> Visit<'_> {
        Visit::new(self, &self.services.echo)
    }

    /// A visit of the service that closes.
    pub(super) fn close(&self) -> Result<Visit<'_>, Stop> {
        self.offered(self.offered.close, &self.services.close, "--close")
    }

    /// A visit of the echo service without websocket.
    pub(super) fn disabled_websocket(&self) -> Result<Visit<'_>, Stop> {
        self.offered(self.offered.disabled_websocket, &self.services.disabled_websocket, "--disabled-websocket")
    }

    /// A visit of the echo service with the cookie.
    pub(super) fn cookie(&self) -> Result<Visit<'_>, Stop> {
        self.offered(self.offered.cookie, &self.services.cookie, "--cookie")
    }

    /// A visit of the service that answers and closes.
    pub(super) fn farewell(&self) -> Result<Visit<'_>, Stop> {
        self.offered(self.offered.farewell, &self.services.farewell, "--farewell")
    }

    fn offered<'a>(&'a self, there: bool, path: &'a str, option: &str) -> Result<Visit<'a>, Stop> {
        match there {
            true => Ok(Visit::new(self, path)),
            false => {
                Err(Stop::NotOffered(format!("no service at {}; name another with {option}", self.target.path(path))))
            }
        }
    }

    /// What there is to be said of the server.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        if let Some(server) = &self.server {
            facts.push(("Server", server.clone()));
        }
        let Services { echo, close, disabled_websocket, cookie, farewell } = &self.services;
        let all = [
            (true, echo),
            (self.offered.close, close),
            (self.offered.disabled_websocket, disabled_websocket),
            (self.offered.cookie, cookie),
            (self.offered.farewell, farewell),
        ];
        let paths = |there: bool| {
            let of = all.iter().filter(move |(offered, _)| *offered == there).map(|(_, path)| self.target.path(path));
            of.collect::<Vec<_>>().join(", ")
        };
        facts.push(("Services", paths(true)));
        if all.iter().any(|(offered, _)| !offered) {
            facts.push(("Not there", paths(false)));
        }
        facts
    }

    /// What was asked of the server up to now.
    pub(super) fn spent(&self) -> Spent {
        self.load.spent()
    }
}

/// A JSON array of strings, as clients send it.
pub(super) fn array<S: AsRef<str>>(messages: &[S]) -> String {
    messages.iter().map(|message| message.as_ref()).collect::<Value>().to_string()
}
