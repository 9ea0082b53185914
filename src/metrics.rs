//! The metrics facade: every counter and gauge of the gateway has its name, its labels and its meaning here, and
//! nowhere else. The rest of the code calls these functions; whoever embeds the library installs a recorder of the
//! `metrics` crate, and the binary installs the Prometheus one when `metrics_path` is set. Without a recorder each call
//! is next to nothing.
//!
//! Does not know: who records, and any other module of this crate.

use metrics::{Counter, counter, describe_counter, describe_gauge, gauge};

/// A session began. `transport` is the row that opened it, `service` what the endpoint does.
pub fn session_opened(transport: &'static str, service: &'static str) {
    counter!("towpath_sessions_opened_total", "transport" => transport, "service" => service).increment(1);
    gauge!("towpath_sessions").increment(1.0);
}

/// A session was closed; `reason` is [`CloseReason::label`](crate::session::CloseReason::label).
pub fn session_closed(reason: &'static str) {
    counter!("towpath_sessions_closed_total", "reason" => reason).increment(1);
    gauge!("towpath_sessions").decrement(1.0);
}

/// A configured limit refused something. `limit` is the configuration key, so that the graph names what to change.
pub fn limit_reached(limit: &'static str) {
    counter!("towpath_limit_reached_total", "limit" => limit).increment(1);
}

/// A request or handshake was refused because of its `Origin`.
pub fn origin_refused() {
    counter!("towpath_origin_refused_total").increment(1);
}

/// A STOMP frame was answered with ERROR.
pub fn stomp_error() {
    counter!("towpath_stomp_errors_total").increment(1);
}

/// The counter of messages that sessions sent to us. Held by its user: the look-up is done once.
pub fn messages_received() -> Counter {
    counter!("towpath_messages_received_total")
}

/// The counter of publications that reached a destination.
pub fn publications() -> Counter {
    counter!("towpath_publications_total")
}

/// The counter of deliveries put into outboxes by fan-out.
pub fn deliveries() -> Counter {
    counter!("towpath_deliveries_total")
}

/// A TCP connection was accepted.
pub fn connection_opened() {
    gauge!("towpath_connections").increment(1.0);
}

/// A TCP connection is gone, as HTTP or as a websocket.
pub fn connection_closed() {
    gauge!("towpath_connections").decrement(1.0);
}

/// A publication was encoded for a form that somebody needs. Against the deliveries this shows what sharing saves.
pub fn publication_encoded() {
    counter!("towpath_encodings_total").increment(1);
}

/// The number of destinations now alive.
pub fn destinations(alive: usize) {
    gauge!("towpath_destinations").set(alive as f64);
}

/// Gives the installed recorder the help texts.
pub fn describe() {
    describe_gauge!("towpath_sessions", "Sessions now open.");
    describe_gauge!("towpath_connections", "TCP connections now open.");
    describe_gauge!("towpath_destinations", "Destinations now alive in the broker.");
    describe_counter!("towpath_sessions_opened_total", "Sessions opened, by transport and service.");
    describe_counter!("towpath_sessions_closed_total", "Sessions closed, by who or what ended them.");
    describe_counter!("towpath_limit_reached_total", "Times a configured limit refused something, by its key.");
    describe_counter!("towpath_origin_refused_total", "Requests refused because of their Origin.");
    describe_counter!("towpath_stomp_errors_total", "STOMP ERROR frames sent.");
    describe_counter!("towpath_messages_received_total", "Messages received from sessions.");
    describe_counter!("towpath_publications_total", "Messages published to destinations.");
    describe_counter!("towpath_encodings_total", "Times a publication was encoded, once for each form in use.");
    describe_counter!("towpath_deliveries_total", "Deliveries queued for subscribers.");
}
