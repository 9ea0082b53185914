//! What `[api]` and the `bridge` keys of `[[endpoint]]` mean: paths and ports that are free, a token that nobody guesses, a server
//! behind a bridge and headers that it may be sent.
//!
//! Does not know: TOML, files, what the API does, how a bridge is joined.

use super::application_rules::SHORTEST_SECRET;
use super::endpoint::{Endpoint, Service};
use super::error::Complaint;
use super::settings::{Place, Setting};
use super::validate::{Check, collide};
use super::web::{WEBSOCKET, at_or_below, check_fixed, check_path, is_token};
use super::{Api, Config};

/// Headers that belong to one connection or one body; those of a bridge are its own.
const OF_THE_CONNECTION: [&str; 10] = [
    "host",
    "connection",
    "upgrade",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "content-length",
    "proxy-connection",
    "expect",
];
/// How the headers of the websocket handshake begin.
const OF_THE_HANDSHAKE: &str = "sec-websocket-";

impl Check<'_> {
    /// Complains of all that a table sets where it is of no use.
    pub(super) fn useless(
        &mut self,
        place: Place,
        own: Vec<Setting<'_>>,
        defaults: Vec<Setting<'_>>,
        complaint: impl Fn() -> Complaint,
    ) {
        for (own, default) in own.iter().zip(&defaults) {
            if (self.written)(place, own.key) || own.describe(place).value != default.describe(place).value {
                self.add(place, own.key, complaint(), &[]);
            }
        }
    }

    pub(super) fn api(&mut self, config: &Config) {
        let (api, place) = (&config.api, Place::Api);
        let Some(token) = &api.token else {
            let (mut own, mut default) = (api.clone(), Api::default());
            return self.useless(place, own.settings(), default.settings(), || {
                Complaint::new(
                    "says something about the API, but without a `token` there is none",
                    "add `token`, or leave this out",
                )
            });
        };
        self.secret(place, "token", token.expose().len(), SHORTEST_SECRET);
        if let Err(complaint) = check_path(&api.path, "/api") {
            return self.add(place, "path", complaint, &[]);
        }
        match api.listen {
            Some(listen) => {
                let others = [(Place::Top, Some(config.listen)), (Place::Tcp, config.tcp.listen)];
                for (owner, taken) in others {
                    if let Some(taken) = taken.filter(|taken| collide(listen, *taken)) {
                        let fault = format!("is {listen}, but that port is taken by `listen` {owner}, {taken}");
                        let mend = "give one of them another port, or leave this out for the gateway's own";
                        self.add(place, "listen", Complaint::new(fault, mend), &[(owner, "listen")]);
                    }
                }
            }
            None => self.api_path(&api.path, config),
        }
    }

    /// On the gateway's own port, others have paths, too.
    fn api_path(&mut self, path: &str, config: &Config) {
        let place = Place::Api;
        let mend = "choose a path apart from it, or give the API its own `listen`";
        for (index, endpoint) in config.endpoints.iter().enumerate() {
            let owner = [(Place::Endpoint(index), "path")];
            let fault = if at_or_below(&endpoint.path, path) {
                format!("is {path:?}, which belongs to [[endpoint]] {}", index + 1)
            } else if at_or_below(path, &endpoint.path) {
                format!("is {path:?}, and [[endpoint]] {} lies below it, at {:?}", index + 1, endpoint.path)
            } else {
                continue;
            };
            self.add(place, "path", Complaint::new(fault, mend), &owner);
        }
        if let Some(metrics) = config.metrics_path.as_deref().filter(|metrics| at_or_below(path, metrics)) {
            let fault = format!("is {path:?}, where `metrics_path` is {metrics:?}");
            self.add(place, "path", Complaint::new(fault, mend), &[(Place::Top, "metrics_path")]);
        }
    }

    pub(super) fn bridge(&mut self, place: Place, endpoint: &Endpoint) {
        if endpoint.service != Service::Bridge {
            return self.bridge_without_service(place, endpoint);
        }
        let Some(url) = &endpoint.bridge else {
            let complaint = Complaint::new(
                "is missing, and `service` is \"bridge\"",
                "write the websocket server's URL, such as bridge = \"ws://127.0.0.1:9000/chat\"",
            );
            return self.add(place, "bridge", complaint, &[(place, "service")]);
        };
        if let Err(complaint) = check_fixed(url, &WEBSOCKET, "ws://127.0.0.1:9000/chat") {
            self.add(place, "bridge", complaint, &[]);
        }
        for name in &endpoint.bridge_headers {
            let folded = name.to_ascii_lowercase();
            let complaint = if !is_token(name) {
                let fault = format!("holds {name:?}, which is no name of a header");
                Complaint::new(fault, "write the bare names, such as [\"Cookie\", \"Authorization\"]")
            } else if OF_THE_CONNECTION.contains(&folded.as_str()) || folded.starts_with(OF_THE_HANDSHAKE) {
                let fault = format!("holds {name:?}, which the bridge's own connection needs");
                Complaint::new(fault, "leave it out")
            } else {
                continue;
            };
            self.add(place, "bridge_headers", complaint, &[]);
        }
    }

    fn bridge_without_service(&mut self, place: Place, endpoint: &Endpoint) {
        let (mut own, mut default) = (endpoint.clone(), Endpoint::default());
        self.useless(place, of_bridges(own.settings()), of_bridges(default.settings()), || {
            Complaint::new(
                format!("is about a bridge, but `service` is {:?}", endpoint.service.name()),
                "write service = \"bridge\", or leave this out",
            )
        });
    }
}

fn of_bridges(settings: Vec<Setting<'_>>) -> Vec<Setting<'_>> {
    settings.into_iter().filter(|setting| setting.key.starts_with("bridge")).collect()
}
