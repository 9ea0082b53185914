//! What settings mean together: paths that do not collide, limits that fit into each other, origins and cookies that browsers
//! accept. Ranges of single settings are checked here too, from the sections' own lists. What groups of tables mean is in
//! `destination_rules`, `application_rules`, `auth_rules`, `access_rules` and `api_rules`.
//!
//! Does not know: TOML, files; a fault is told by its table and key, and the caller adds the line.

use std::net::{IpAddr, SocketAddr};

use super::endpoint::{Endpoint, SameSite, Service};
use super::error::{Complaint, Problem};
use super::settings::Place;
use super::units::show_size;
use super::web::{at_or_below, below, check_path};
use super::{Config, Transport, Transports};

/// A problem, and the other settings it comes from: where the file leaves the first key out, one of these shows the line.
pub(super) struct Found {
    pub(super) problem: Problem,
    pub(super) related: Vec<(Place, &'static str)>,
}

/// Everything wrong with `config`, each setting named at most once. `written` tells whether a key stands in the file, for
/// keys that say nothing new and are out of place all the same.
pub(super) fn problems(config: &Config, written: &dyn Fn(Place, &str) -> bool) -> Vec<Found> {
    let mut check = Check { found: Vec::new(), written };
    check.missing(config);
    check.ranges(config);
    check.limits(config);
    check.broker_limits(config);
    check.addresses(config);
    check.paths(config);
    for (index, endpoint) in config.endpoints.iter().enumerate() {
        check.endpoint(Place::Endpoint(index), endpoint);
    }
    check.destinations(config);
    check.application(config);
    check.auth(config);
    check.access(config);
    check.api(config);
    check.found
}

pub(super) struct Check<'w> {
    found: Vec<Found>,
    pub(super) written: &'w dyn Fn(Place, &str) -> bool,
}

impl Check<'_> {
    pub(super) fn add(&mut self, place: Place, key: &str, complaint: Complaint, related: &[(Place, &'static str)]) {
        // The second complaint about one setting is mostly an echo of the first.
        if !self.found.iter().any(|found| found.problem.place == place && found.problem.key == key) {
            self.found.push(Found { problem: complaint.about(place, key), related: related.to_vec() });
        }
    }

    /// The same, unless one of the settings that it comes from is at fault itself.
    pub(super) fn add_unless_echo(
        &mut self,
        place: Place,
        key: &str,
        complaint: Complaint,
        related: &[(Place, &'static str)],
    ) {
        let at_fault = |(place, key): &(Place, &str)| {
            self.found.iter().any(|found| found.problem.place == *place && found.problem.key == *key)
        };
        if !related.iter().any(at_fault) {
            self.add(place, key, complaint, related);
        }
    }

    /// Complains of what has to be there and is left out; an empty text that is there is complained of as other values are.
    pub(super) fn required(&mut self, place: Place, key: &str, value: &str, example: &str) {
        if value.is_empty() && !(self.written)(place, key) {
            self.add(place, key, Complaint::new("is missing", format!("write {key} = {example}")), &[]);
        }
    }

    fn ranges(&mut self, config: &Config) {
        // The lists of settings borrow mutably, for the reader's sake; a copy at start-up costs nothing.
        for (place, settings) in config.clone().sections() {
            for setting in settings {
                if let Err(complaint) = setting.check() {
                    self.add(place, setting.key, complaint, &[]);
                }
            }
        }
    }

    /// A limit that another, smaller one keeps from ever being reached is a promise that is not kept.
    fn limits(&mut self, config: &Config) {
        let stomp = &config.stomp;
        if stomp.max_frame < stomp.max_body {
            self.add(
                Place::Stomp,
                "max_frame",
                smaller("max_frame", stomp.max_frame, "`max_body`", stomp.max_body),
                &[(Place::Stomp, "max_body")],
            );
        }
        for (index, endpoint) in config.endpoints.iter().enumerate() {
            let place = Place::Endpoint(index);
            if endpoint.service == Service::Stomp && endpoint.max_message < stomp.max_frame {
                self.add(
                    place,
                    "max_message",
                    smaller("max_message", endpoint.max_message, "`max_frame` in [stomp]", stomp.max_frame),
                    &[(Place::Stomp, "max_frame")],
                );
            }
            if endpoint.max_body < endpoint.max_message {
                self.add(
                    place,
                    "max_body",
                    smaller("max_body", endpoint.max_body, "`max_message`", endpoint.max_message),
                    &[(place, "max_message")],
                );
            }
        }
    }

    /// The same for what the broker holds.
    fn broker_limits(&mut self, config: &Config) {
        let broker = &config.broker;
        let place = Place::Broker;
        for (key, value, other, least, complaint) in [
            (
                "max_prefetch",
                broker.max_prefetch,
                "prefetch",
                broker.prefetch,
                fewer as fn(&str, usize, &str, usize) -> _,
            ),
            ("queues_messages", broker.queues_messages, "queue_messages", broker.queue.messages, fewer),
            ("queues_bytes", broker.queues_bytes, "queue_bytes", broker.queue.bytes, smaller),
        ] {
            if value < least {
                let complaint = complaint(key, value, &format!("`{other}`"), least);
                self.add_unless_echo(place, key, complaint, &[(place, other)]);
            }
        }
        let kept = broker.queues_bytes.saturating_add(broker.history_bytes);
        if broker.high_water <= kept {
            let complaint = Complaint::new(
                format!(
                    "is {}, and full queues and histories alone come to `queues_bytes` + `history_bytes`, which is {}",
                    show_size(broker.high_water),
                    show_size(kept)
                ),
                "write more than that, so that live messages have room, or lower the others",
            );
            self.add_unless_echo(place, "high_water", complaint, &[(place, "queues_bytes"), (place, "history_bytes")]);
        }
    }

    fn addresses(&mut self, config: &Config) {
        if let Some(listen) = config.tcp.listen
            && collide(listen, config.listen)
        {
            let fault = format!("is {listen}, but that port is taken by `listen` at the top, {}", config.listen);
            let mend = "give one of them another port; STOMP brokers mostly have 61613";
            self.add(Place::Tcp, "listen", Complaint::new(fault, mend), &[(Place::Top, "listen")]);
        }
    }

    fn paths(&mut self, config: &Config) {
        if config.endpoints.is_empty() {
            let complaint = Complaint::new("is missing: there is nothing to serve", "add an endpoint");
            self.add(Place::Top, "endpoint", complaint, &[]);
        }
        for (index, endpoint) in config.endpoints.iter().enumerate() {
            let place = Place::Endpoint(index);
            if let Err(complaint) = check_path(&endpoint.path, "/sockjs") {
                self.add(place, "path", complaint, &[]);
                continue;
            }
            for (other_index, other) in config.endpoints.iter().enumerate() {
                let related = [(Place::Endpoint(other_index), "path")];
                if other.path == endpoint.path && other_index < index {
                    let fault = format!("is {:?}, as it is in [[endpoint]] {} already", endpoint.path, other_index + 1);
                    self.add(place, "path", Complaint::new(fault, "give one of them another path"), &related);
                } else if let Some(what) = shadowed(&other.path, &endpoint.path) {
                    let fault = format!("is {:?}, which hides {what} of {:?}", endpoint.path, other.path);
                    self.add(place, "path", Complaint::new(fault, "choose another name for that segment"), &related);
                }
            }
        }
        if let Some(path) = &config.metrics_path {
            self.metrics_path(path, &config.endpoints);
        }
    }

    fn metrics_path(&mut self, path: &str, endpoints: &[Endpoint]) {
        if let Err(complaint) = check_path(path, "/metrics") {
            return self.add(Place::Top, "metrics_path", complaint, &[]);
        }
        let owner = endpoints.iter().position(|endpoint| at_or_below(&endpoint.path, path));
        if let Some(index) = owner {
            let complaint = Complaint::new(
                format!("is {path:?}, which belongs to [[endpoint]] {}", index + 1),
                "choose a path outside of every endpoint, such as \"/metrics\"",
            );
            self.add(Place::Top, "metrics_path", complaint, &[(Place::Endpoint(index), "path")]);
        }
    }

    fn endpoint(&mut self, place: Place, endpoint: &Endpoint) {
        self.bridge(place, endpoint);
        if let Err(complaint) = check_client_url(&endpoint.client_url) {
            self.add(place, "client_url", complaint, &[]);
        }
        let insecure = endpoint.cookie_same_site == Some(SameSite::None) && !endpoint.cookie_secure;
        if insecure {
            let complaint = Complaint::new(
                "is \"none\" without `cookie_secure`, and browsers drop such a cookie",
                "add cookie_secure = true, and serve the page over https",
            );
            self.add(place, "cookie_same_site", complaint, &[(place, "cookie_secure")]);
        }
        for (key, set) in
            [("cookie_same_site", endpoint.cookie_same_site.is_some()), ("cookie_secure", endpoint.cookie_secure)]
        {
            if set && !endpoint.cookie {
                let complaint =
                    Complaint::new("says how a cookie is set, but none is", "add cookie = true, or leave this out");
                self.add(place, key, complaint, &[]);
            }
        }
        if let Transports::Only(named) = &endpoint.transports
            && named.iter().all(|transport| *transport == Transport::Iframe)
        {
            let complaint = Complaint::new(
                "names only \"iframe\", a page that carries other transports",
                "name the transports it shall carry as well",
            );
            self.add(place, "transports", complaint, &[]);
        }
    }
}

fn smaller(key: &str, value: usize, other: &str, least: usize) -> Complaint {
    Complaint::new(
        format!("is {}, less than {other}, which is {}", show_size(value), show_size(least)),
        format!("write {key} = \"{}\" or more, or lower the other", show_size(least)),
    )
}

fn fewer(key: &str, value: usize, other: &str, least: usize) -> Complaint {
    Complaint::new(
        format!("is {value}, less than {other}, which is {least}"),
        format!("write {key} = {least} or more, or lower the other"),
    )
}

/// Whether the system would refuse to listen on both.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    // An unspecified address is all of its family; that of IPv6 is IPv4's too.
    let takes = |ip: IpAddr, other: IpAddr| ip == other || (ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4()));
    one.port() != 0 && one.port() == other.port() && (takes(one.ip(), other.ip()) || takes(other.ip(), one.ip()))
}

/// What of the endpoint at `outer` cannot be reached any more because the longer path `inner` wins, if it is something that
/// clients do ask for. Nested paths are fine otherwise.
fn shadowed(outer: &str, inner: &str) -> Option<&'static str> {
    let rest = below(outer, inner)?;
    let (first, deeper) = match rest.split_once('/') {
        Some((first, _)) => (first, true),
        None => (rest, false),
    };
    // Clients choose a number as the first segment of a session's URL: sockjs-client three digits, Spring up to three.
    if !first.is_empty() && first.len() <= 3 && first.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("session URLs");
    }
    // Deeper paths leave these three alone, as they match whole segments.
    match first {
        _ if deeper => None,
        "info" => Some("the info URL"),
        "websocket" => Some("the raw websocket"),
        page if page.starts_with("iframe") && page.ends_with(".html") => Some("an iframe page"),
        _ => None,
    }
}

/// The script's address in the iframe page (SockJS protocol, iframe page: begins with a slash or `http`).
fn check_client_url(url: &str) -> Result<(), Complaint> {
    let complain = |fault: &str, mend: &str| Err(Complaint::new(format!("is {url:?}, {fault}"), mend));
    if !["/", "http://", "https://"].iter().any(|start| url.starts_with(start)) {
        return complain("which begins neither with a slash nor with http", "write \"/path\" or \"https://host/path\"");
    }
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return complain("which has white space in it", "percent-escape it");
    }
    if url.replace("{version}", "").contains(['{', '}']) {
        return complain("which has an unknown placeholder", "the only one is {version}");
    }
    Ok(())
}
