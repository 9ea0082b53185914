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

/// Deliveries were dropped from a full outbox, or replaced by newer ones, as their destination's `overflow` says.
pub fn delivery_dropped(count: usize) {
    counter!("towpath_deliveries_dropped_total").increment(count as u64);
}

/// A message was dropped on its way; `reason` says why.
pub fn message_dropped(reason: &'static str) {
    counter!("towpath_messages_dropped_total", "reason" => reason).increment(1);
}

/// A message was taken out of a queue for good and sent to the queue's dead-letter destination.
pub fn dead_letter(reason: &'static str) {
    counter!("towpath_dead_letters_total", "reason" => reason).increment(1);
}

/// A client that sends faster than its messages can be passed on was not read from for a while.
pub fn publisher_paused(reason: &'static str) {
    counter!("towpath_publisher_pauses_total", "reason" => reason).increment(1);
}

/// A call of an application, or of whoever knows who clients are, began.
pub fn call_began() {
    gauge!("towpath_calls").increment(1.0);
}

/// It was answered, well or not.
pub fn call_ended(well: bool) {
    gauge!("towpath_calls").decrement(1.0);
    counter!("towpath_calls_total", "outcome" => if well { "done" } else { "failed" }).increment(1);
}

/// A session was joined to the websocket server behind its bridge.
pub fn upstream_joined() {
    gauge!("towpath_upstreams").increment(1.0);
}

/// Such a connection is gone, whoever ended it.
pub fn upstream_parted() {
    gauge!("towpath_upstreams").decrement(1.0);
}

/// A websocket server behind a bridge could not be joined, or its connection ended by its fault.
pub fn upstream_failed(reason: &'static str) {
    counter!("towpath_upstream_failures_total", "reason" => reason).increment(1);
}

/// A frame was refused by a rule.
pub fn not_allowed(command: &'static str) {
    counter!("towpath_not_allowed_total", "command" => command).increment(1);
}

/// A client could not say who it is, or was not who it said.
pub fn not_authenticated() {
    counter!("towpath_not_authenticated_total").increment(1);
}

/// What waits in all queues together.
pub fn queued(messages: usize, bytes: usize) {
    gauge!("towpath_queued_messages").set(messages as f64);
    gauge!("towpath_queued_bytes").set(bytes as f64);
}

/// The bytes of all live messages.
pub fn live_bytes(bytes: usize) {
    gauge!("towpath_live_message_bytes").set(bytes as f64);
}

/// A TCP connection was accepted.
pub fn connection_opened() {
    gauge!("towpath_connections").increment(1.0);
}

/// A TCP connection is gone, whatever was spoken on it.
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

/// The number of queues now alive.
pub fn queues(alive: usize) {
    gauge!("towpath_queues").set(alive as f64);
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
    describe_gauge!("towpath_queues", "Queues now alive in the broker.");
    describe_gauge!("towpath_queued_messages", "Messages that wait in queues or are unacknowledged.");
    describe_gauge!("towpath_queued_bytes", "Bytes of the messages in queues.");
    describe_gauge!("towpath_live_message_bytes", "Bytes of all live messages, in queues, histories and outboxes.");
    describe_counter!(
        "towpath_deliveries_dropped_total",
        "Deliveries dropped from outboxes by drop-oldest or conflate."
    );
    describe_counter!("towpath_messages_dropped_total", "Messages dropped on their way, by reason.");
    describe_counter!("towpath_dead_letters_total", "Messages moved to a dead-letter destination, by reason.");
    describe_counter!("towpath_publisher_pauses_total", "Times a publisher was not read from for a while, by reason.");
    describe_gauge!("towpath_calls", "Calls of applications and backends now under way.");
    describe_counter!("towpath_calls_total", "Calls of applications and backends, by outcome.");
    describe_gauge!("towpath_upstreams", "Connections to websocket servers behind bridges now open.");
    describe_counter!(
        "towpath_upstream_failures_total",
        "Times such a server could not be joined or failed, by reason."
    );
    describe_counter!("towpath_not_allowed_total", "Frames refused by a rule, by command.");
    describe_counter!("towpath_not_authenticated_total", "Clients refused because they did not prove who they are.");
    describe_counter!("towpath_encodings_total", "Times a publication was encoded, once for each form in use.");
    describe_counter!("towpath_deliveries_total", "Deliveries queued for subscribers.");
}
