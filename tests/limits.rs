//! Every limit of the configuration: what is allowed is served, what is beyond gets the documented refusal, and the refusal
//! counts under the limit's key. Those of the broker are in broker_limits.rs. The table at the end holds every key of
//! the configuration, so none can be forgotten.

mod bed;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bed::meters::record;
use bed::stomp::Client as StompClient;
use bed::{Bed, TICK, seconds};
use support::metrics::Meter;
use support::{Client, Frame, Gateway, Request, Transport, WebSocket, within};
use tokio::time::Instant;
use towpath::config::{Config, Destination, Endpoint, History, Service};
use towpath::session::{Carrier, CloseReason, Departure, Flow};
use towpath::stomp::Version;

// ---- sessions and what they hold ----

#[test]
fn max_sessions() {
    let ((), meters) = record(|| {
        let bed = Bed::with(Service::Echo, |endpoint| endpoint.max_sessions = 3);
        let (a, _b, _socket) = (bed.stream("a"), bed.stream("b"), bed.socket());
        for _ in 0..2 {
            let full = bed.gateway.attach(bed.endpoint(), "c", "test", &bed.visitor, bed.now).expect_err("full");
            assert_eq!(full.limit, 3);
            assert!(full.to_string().contains("max_sessions"), "{full}");
            assert!(
                bed.gateway.open_socket(bed.endpoint(), Carrier::Websocket, "test", &bed.visitor, bed.now).is_err()
            );
        }
        assert_eq!(bed.send("a", &["x"]), Some(Flow::Continue), "those that are there are served");
        bed.depart(&a, Departure::Interrupted);
        bed.stream("c");
    });
    assert_eq!(meters.limit("max_sessions"), 4);
    assert_eq!(meters.count("towpath_sessions_opened_total", None), 4);
}

#[tokio::test(start_paused = true)]
async fn max_sessions_is_503_on_every_transport() {
    let config = echo(|endpoint| endpoint.max_sessions = 1);
    let gateway = Gateway::in_memory(config).await;
    let mut first = Client::open(&gateway, Transport::XhrStreaming, "/echo", "first").await;
    assert_eq!(first.next().await, Frame::Open);
    for transport in Transport::ALL {
        let answer = gateway.request(transport.request("/echo", "second")).await;
        assert_eq!(answer.status, 503, "{transport:?}");
        assert!(answer.text().contains("max_sessions"), "{}", answer.text());
    }
    first.send(&["x"]).await;
    assert_eq!(first.next().await, Frame::Messages(vec!["x".to_owned()]));
}

#[test]
fn tombstones() {
    let ((), meters) = record(|| {
        let bed = Bed::with(Service::Echo, |endpoint| endpoint.tombstones = 2);
        for id in ["1", "2", "3", "4", "5"] {
            let stream = bed.stream(id);
            bed.send(id, &["x"]);
            bed.depart(&stream, Departure::Interrupted);
        }
        assert_eq!(bed.population(), (0, 2));
    });
    assert_eq!(meters.limit("tombstones"), 3);
}

#[test]
fn a_tombstone_whose_time_is_over_counts_as_no_limit() {
    let ((), meters) = record(|| {
        let mut bed = Bed::with(Service::Echo, |endpoint| endpoint.tombstones = 1);
        for id in ["1", "2", "3"] {
            let stream = bed.stream(id);
            bed.send(id, &["x"]);
            bed.depart(&stream, Departure::Interrupted);
            bed.idle(seconds(300));
        }
    });
    assert_eq!(meters.limit("tombstones"), 0);
}

#[test]
fn outbox_bytes() {
    let ((), meters) = record(|| {
        let bed = Bed::with(Service::Echo, |endpoint| endpoint.outbox_bytes = 10);
        let (stream, other) = (bed.stream("a"), bed.stream("b"));
        bed.send("a", &["12345", "67890", "x", "y"]);
        assert!(!stream.session.is_open());
        assert!(other.session.is_open());
    });
    assert_eq!((meters.limit("outbox_bytes"), meters.limit("outbox_messages")), (1, 0));
    assert_eq!(meters.count("towpath_sessions_closed_total", Some(("reason", "slow-consumer"))), 1);
}

#[test]
fn outbox_messages() {
    let ((), meters) = record(|| {
        let bed = Bed::with(Service::Echo, |endpoint| endpoint.outbox_messages = 2);
        let (stream, other) = (bed.stream("a"), bed.stream("b"));
        bed.send("a", &["1", "2", "3", "4"]);
        assert!(!stream.session.is_open());
        assert!(other.session.is_open());
    });
    assert_eq!((meters.limit("outbox_messages"), meters.limit("outbox_bytes")), (1, 0));
    assert_eq!(meters.count("towpath_sessions_closed_total", Some(("reason", "slow-consumer"))), 1);
}

/// However a session ends it is counted once, so the gauge comes back to zero.
#[test]
fn opened_and_closed_sessions_are_counted_once_each() {
    let ((), meters) = record(|| {
        let mut bed = Bed::with(Service::Echo, |endpoint| endpoint.outbox_messages = 2);
        let (stream, socket, full) = (bed.stream("a"), bed.socket(), bed.stream("b"));
        bed.poll("expires");
        bed.depart(&stream, Departure::Interrupted);
        bed.send("b", &["1", "2", "3"]);
        bed.idle(seconds(5) + TICK);
        bed.gateway.close_all(&CloseReason::Shutdown, bed.now);
        bed.hang_up(&socket, CloseReason::Peer);
        bed.depart(&full, Departure::Done);
        bed.idle(seconds(60));
        assert_eq!(bed.population().0, 0);
    });
    assert_eq!(meters.count("towpath_sessions_opened_total", None), 4);
    for reason in ["interrupted", "shutdown", "slow-consumer", "expired"] {
        assert_eq!(meters.count("towpath_sessions_closed_total", Some(("reason", reason))), 1, "{reason}");
    }
    assert_eq!(meters.count("towpath_sessions_closed_total", None), 4);
    assert_eq!(meters.gauge("towpath_sessions"), 0.0);
}

// ---- what clients send ----

#[test]
fn frame_timeout() {
    let ((), meters) = record(|| {
        for carrier in [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp] {
            let mut bed = Bed::of(Service::Stomp);
            let mut client = StompClient::connected(&bed, carrier, Version::V1_2);
            client.subscribe(&bed, "1", "/topic/a");
            // Two slow frames, each in its time.
            for _ in 0..2 {
                for piece in ["SEND\ndesti", "nation:/topic/a\n", "\nhel", "lo\0"] {
                    assert_eq!(client.send_bytes(&bed, piece.as_bytes()), Flow::Continue);
                    bed.pass(seconds(19), &mut [&mut client.reader]);
                }
                assert_eq!(bed::stomp::bodies(&client.frames(&bed)), ["hello"], "{carrier:?}");
            }
            // One that never ends, however often a piece of it comes.
            client.send_bytes(&bed, b"SEND\n");
            for _ in 0..5 {
                bed.pass(seconds(10), &mut [&mut client.reader]);
                assert_eq!(client.send_bytes(&bed, b"x"), Flow::Continue);
            }
            bed.pass(seconds(10) + TICK, &mut [&mut client.reader]);
            let error = client.frames_to_the_end(&bed).remove(0);
            assert!(String::from_utf8_lossy(&error.body).contains("frame_timeout"), "{error:?}");
        }
    });
    assert_eq!(meters.limit("frame_timeout"), 4);
}

#[tokio::test(start_paused = true)]
async fn max_session_id() {
    let meter = Meter::install();
    let gateway = Gateway::in_memory(echo(|endpoint| endpoint.max_session_id = 8)).await;
    for (number, transport) in (1..).zip(Transport::HTTP) {
        assert_eq!(gateway.request(transport.request("/echo", "123456789")).await.status, 404, "{transport:?}");
        let sending = transport.sending_request("/echo", "123456789", "[\"x\"]").expect("HTTP has a sender");
        assert_eq!(gateway.request(sending).await.status, 404, "{transport:?}");
        assert_eq!(meter.limit_reached("max_session_id"), 2 * number);
    }
    assert_eq!(gateway.sessions("/echo"), (0, 0));
    let mut client = Client::open(&gateway, Transport::Xhr, "/echo", "12345678").await;
    assert_eq!(client.next().await, Frame::Open);
}

fn echo(change: impl FnOnce(&mut Endpoint)) -> Config {
    let mut config = bed::config(Service::Echo, change);
    config.endpoints[0].path = "/echo".to_owned();
    config
}

/// Sends payloads over every HTTP transport, first one at the limit, then one beyond, which gets this status and counts under
/// this key; then the session lives on.
async fn refused_over_http(config: Config, key: &str, fits: &str, too_much: &str) {
    let meter = Meter::install();
    let gateway = Gateway::in_memory(config).await;
    for (number, transport) in (1..).zip(Transport::HTTP) {
        let mut client = Client::open(&gateway, transport, "/echo", &format!("{key}-{number}")).await;
        assert_eq!(client.next().await, Frame::Open);
        let send = |payload: &str| transport.sending_request("/echo", client.id(), payload).expect("HTTP has a sender");
        let answer = gateway.request(send(fits)).await;
        assert!(matches!(answer.status, 200 | 204), "{transport:?}: {}", answer.text());
        let answer = gateway.request(send(too_much)).await;
        assert_eq!(answer.status, 413, "{transport:?}");
        assert!(!answer.text().is_empty());
        assert_eq!(meter.limit_reached(key), number, "{transport:?}");
        let echoed: Vec<String> = serde_json::from_str(fits).unwrap();
        for expected in echoed {
            assert_eq!(client.message().await, expected, "nothing of the refused payload was delivered");
        }
        client.send(&["lives on"]).await;
        assert_eq!(client.message().await, "lives on");
    }
}

#[tokio::test(start_paused = true)]
async fn max_body_over_http() {
    let config = echo(|endpoint| {
        endpoint.max_body = 400;
        endpoint.max_message = 200;
    });
    // As a form each quotation mark and bracket takes three bytes.
    let (fits, too_much) = (format!("[\"{}\"]", "x".repeat(200)), format!("[\"{}\"]", "x".repeat(400)));
    refused_over_http(config, "max_body", &fits, &too_much).await;
}

#[tokio::test(start_paused = true)]
async fn max_message_over_http() {
    let config = echo(|endpoint| endpoint.max_message = 10);
    refused_over_http(config, "max_message", "[\"0123456789\",\"x\"]", "[\"x\",\"0123456789a\"]").await;
}

#[tokio::test(start_paused = true)]
async fn max_messages_over_http() {
    let config = echo(|endpoint| endpoint.max_messages = 3);
    refused_over_http(config, "max_messages", "[\"1\",\"2\",\"3\"]", "[\"1\",\"2\",\"3\",\"4\"]").await;
}

/// On a websocket what is too much ends the session, and no other.
#[tokio::test(start_paused = true)]
async fn max_message_and_max_messages_over_websockets() {
    let meter = Meter::install();
    let gateway = Gateway::in_memory(echo(|endpoint| {
        endpoint.max_body = 1000;
        endpoint.max_message = 10;
        endpoint.max_messages = 3;
    }))
    .await;
    let mut other = Client::open(&gateway, Transport::Websocket, "/echo", "other").await;
    assert_eq!(other.next().await, Frame::Open);
    for (payload, key) in [("[\"0123456789a\"]", "max_message"), ("[\"1\",\"2\",\"3\",\"4\"]", "max_messages")] {
        let mut socket = WebSocket::connect(gateway.connector(), "/echo/000/x/websocket").await;
        assert_eq!(socket.next_text().await, "o");
        socket.send_text("[\"0123456789\"]").await;
        assert_eq!(socket.next_text().await, "a[\"0123456789\"]");
        assert_eq!(meter.limit_reached(key), 0);
        socket.send_text(payload).await;
        assert_eq!(socket.next_close().await.0, 1009, "{key}");
        assert_eq!(meter.limit_reached(key), 1);
    }
    let mut raw = WebSocket::connect(gateway.connector(), "/echo/websocket").await;
    raw.send_text("0123456789").await;
    assert_eq!(raw.next_text().await, "0123456789");
    raw.send_text("0123456789a").await;
    assert_eq!(raw.next_close().await.0, 1009);
    assert_eq!(meter.limit_reached("max_message"), 2);
    other.send(&["still here"]).await;
    assert_eq!(other.message().await, "still here");
}

// ---- HTTP ----

#[tokio::test(start_paused = true)]
async fn body_timeout() {
    let meter = Meter::install();
    let gateway = Gateway::in_memory(echo(|_| {})).await;
    let mut client = Client::open(&gateway, Transport::XhrStreaming, "/echo", "slow").await;
    assert_eq!(client.next().await, Frame::Open);
    let mut http = gateway.http().await;
    let begin = Instant::now();
    http.send_raw(b"POST /echo/000/slow/xhr_send HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[\"x").await;
    let answer = http.response().await;
    assert_eq!((answer.status, answer.header("Connection")), (408, Some("close")));
    let waited = begin.elapsed().as_secs_f64();
    assert!((30.0..30.1).contains(&waited), "{waited} s");
    assert_eq!(meter.limit_reached("body_timeout"), 1);
    client.send(&["lives on"]).await;
    assert_eq!(client.message().await, "lives on");
}

#[tokio::test(start_paused = true)]
async fn header_timeout() {
    let meter = Meter::install();
    let mut config = echo(|_| {});
    config.http.header_timeout = seconds(7);
    let gateway = Gateway::in_memory(config).await;
    for beginning in ["", "GET /echo HTTP/1.1\r\nHost: x\r\nHalf"] {
        let mut http = gateway.http().await;
        let begin = Instant::now();
        http.send_raw(beginning.as_bytes()).await;
        let head = http.try_head().await;
        assert!(!matches!(&head, Ok(Some(head)) if head.status == 200), "the connection ends without a good answer");
        let waited = begin.elapsed().as_secs_f64();
        assert!((7.0..7.1).contains(&waited), "{waited} s");
    }
    assert_eq!(meter.limit_reached("header_timeout"), 2);
}

#[tokio::test(start_paused = true)]
async fn write_timeout() {
    let meter = Meter::install();
    // The service sends back more than the pipe between us holds, and less than would overflow an outbox.
    let messages = vec!["x".repeat(50_000); 10];
    for (count, transport) in [Transport::XhrStreaming, Transport::Websocket].into_iter().enumerate() {
        let config = echo(|endpoint| {
            endpoint.response_limit = 10 << 20;
            endpoint.pong_timeout = seconds(3600);
        });
        let gateway = Gateway::in_memory(config).await;
        let mut client = Client::open(&gateway, transport, "/echo", "stuck").await;
        assert_eq!(client.next().await, Frame::Open);
        for message in &messages {
            client.send(&[message]).await;
        }
        tokio::time::sleep(seconds(20)).await;
        assert_eq!(client.message().await.len(), 50_000, "a client that reads again in time is served");
        tokio::time::sleep(seconds(29)).await;
        assert_eq!((gateway.sessions("/echo").0, meter.limit_reached("write_timeout")), (1, count as u64));
        tokio::time::sleep(seconds(2)).await;
        assert_eq!((gateway.sessions("/echo").0, meter.limit_reached("write_timeout")), (0, count as u64 + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn buffer() {
    let meter = Meter::install();
    let mut config = echo(|_| {});
    config.http.buffer = 8 * 1024;
    let gateway = Gateway::in_memory(config).await;
    let head = |bytes: usize| Request::get("/echo").header("X-Long", &"x".repeat(bytes));
    assert_eq!(gateway.request(head(7 * 1024)).await.status, 200);
    assert_eq!(gateway.request(head(9 * 1024)).await.status, 431);
    assert_eq!(meter.limit_reached("buffer"), 1);
}

#[tokio::test]
async fn max_connections() {
    let meter = Meter::install();
    let mut config = echo(|_| {});
    config.http.max_connections = 2;
    let gateway = Gateway::start(config).await;
    let mut first = gateway.http().await;
    assert_eq!(first.exchange(&Request::get("/echo")).await.status, 200);
    let mut socket = WebSocket::connect(gateway.connector(), "/echo/websocket").await;
    let mut third = gateway.http().await;
    let refused = third.response().await;
    assert_eq!((refused.status, refused.header("Connection")), (503, Some("close")));
    assert_eq!(meter.limit_reached("max_connections"), 1);
    assert_eq!(first.exchange(&Request::get("/echo")).await.status, 200, "those that are there are served");
    socket.send_text("x").await;
    assert_eq!(socket.next_text().await, "x");
    // A websocket counts for as long as it lives, and gives its place back.
    socket.close(None).await;
    let served = async {
        loop {
            let mut next = gateway.http().await;
            if next.send_and_see(&Request::get("/echo")).await == Some(200) {
                break;
            }
        }
    };
    within(Duration::from_secs(20), "a free place", served).await;
}

trait SendAndSee {
    async fn send_and_see(&mut self, request: &Request) -> Option<u16>;
}

impl SendAndSee for support::Http {
    /// The status of the answer; `None` if the connection breaks first.
    async fn send_and_see(&mut self, request: &Request) -> Option<u16> {
        self.try_send_raw(&request.to_bytes()).await.ok()?;
        self.try_head().await.ok()?.map(|head| head.status)
    }
}

#[tokio::test(start_paused = true)]
async fn response_limit() {
    for transport in Transport::STREAMS {
        let gateway = Gateway::in_memory(echo(|endpoint| endpoint.response_limit = 1000)).await;
        let (head, mut http) = gateway.open(transport.request("/echo", "a")).await;
        assert_eq!(head.status, 200);
        http.chunk().await.expect("the prelude");
        let mut frames = http.chunk().await.expect("the open frame").len();
        let message = format!("[\"{}\"]", "x".repeat(90));
        while frames < 1000 {
            gateway.request(transport.sending_request("/echo", "a", &message).unwrap()).await;
            frames += http.chunk().await.unwrap_or_else(|| panic!("{transport:?} ended after {frames} bytes")).len();
        }
        assert_eq!(http.chunk().await, None, "{transport:?}");
        assert!(frames < 1200);
        assert_eq!(gateway.sessions("/echo"), (1, 0), "the session goes on in the next response");
    }
}

#[tokio::test(start_paused = true)]
async fn websocket_buffer() {
    let gateway = Gateway::in_memory(echo(|endpoint| endpoint.websocket_buffer = 512)).await;
    for transport in [Transport::Websocket, Transport::RawWebsocket] {
        let mut client = Client::open(&gateway, transport, "/echo", "a").await;
        assert_eq!(client.next().await, Frame::Open);
        let large = "0123456789abcdef".repeat(64 * 1024 / 16);
        client.send(&[&large]).await;
        assert!(client.message().await == large, "its size is no limit of messages");
    }
}

/// A request that would keep its connection busy for a day does not keep the gateway from stopping.
#[tokio::test]
async fn shutdown_grace() {
    let mut config = echo(|_| {});
    config.http.body_timeout = seconds(24 * 3600);
    config.shutdown_grace = Duration::from_millis(50);
    let mut gateway = Gateway::start(config).await;
    let mut client = Client::open(&gateway, Transport::XhrStreaming, "/echo", "a").await;
    assert_eq!(client.next().await, Frame::Open);
    let mut http = gateway.http().await;
    http.send_raw(
        b"POST /echo/000/a/xhr_send HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    )
    .await;
    assert_eq!(http.head().await.status, 100, "the request is being served");
    gateway.stop();
    assert_eq!(client.next().await, Frame::Close(1001, "Server shutdown".to_owned()));
    gateway.stopped().await;
}

// ---- none is forgotten ----

/// Every key, with the test that meets it; `-` for what is no limit.
const KEYS: [(&str, &str, &str); 137] = [
    ("", "listen", "-"),
    ("", "shutdown_grace", "limits.rs shutdown_grace"),
    ("", "landing_page", "-"),
    ("", "metrics_path", "-"),
    ("[http]", "max_connections", "limits.rs max_connections"),
    ("[http]", "header_timeout", "limits.rs header_timeout"),
    ("[http]", "body_timeout", "limits.rs body_timeout"),
    ("[http]", "write_timeout", "limits.rs write_timeout"),
    ("[http]", "buffer", "limits.rs buffer"),
    ("[tcp]", "listen", "-"),
    ("[tcp]", "max_connections", "tcp.rs max_connections"),
    ("[tcp]", "outbox_bytes", "tcp.rs a_slow_reader_is_told_and_closed"),
    ("[tcp]", "outbox_messages", "tcp.rs a_stuck_reader_is_forgotten"),
    ("[tcp]", "buffer", "tcp.rs buffer"),
    ("[tcp]", "keepalive", "tcp.rs a_silent_peer_is_asked_for_a_sign_of_life"),
    ("[stomp]", "heart_beat_send", "session_beats.rs stomp_beats_come_at_most_the_promised_interval_apart"),
    ("[stomp]", "heart_beat_receive", "stomp_sessions.rs heart_beats_can_be_turned_off_by_configuration"),
    ("[stomp]", "heart_beat_grace", "session_beats.rs the_grace_is_a_setting"),
    ("[stomp]", "connect_timeout", "stomp_refusals.rs limits_count_under_their_keys"),
    ("[stomp]", "frame_timeout", "limits.rs frame_timeout"),
    ("[stomp]", "max_headers", "stomp_refusals.rs limits_count_under_their_keys"),
    ("[stomp]", "max_header_line", "stomp_refusals.rs limits_count_under_their_keys"),
    ("[stomp]", "max_body", "stomp_refusals.rs limits_count_under_their_keys"),
    ("[stomp]", "max_frame", "stomp_refusals.rs limits_count_under_their_keys"),
    ("[stomp]", "max_subscriptions", "stomp_refusals.rs limits_count_under_their_keys"),
    ("[stomp]", "max_transactions", "broker_limits.rs max_transactions"),
    ("[stomp]", "max_transaction_frames", "broker_limits.rs max_transaction_frames"),
    ("[stomp]", "max_transaction_bytes", "broker_limits.rs max_transaction_bytes"),
    ("[stomp]", "max_selector", "broker_limits.rs max_selector"),
    ("[stomp]", "max_backlog", "broker_limits.rs max_backlog"),
    ("[broker]", "max_destinations", "broker_limits.rs max_destinations_and_max_patterns"),
    ("[broker]", "max_patterns", "broker_limits.rs max_destinations_and_max_patterns"),
    ("[broker]", "max_name", "broker_limits.rs max_name"),
    ("[broker]", "prefetch", "broker_limits.rs prefetch_and_max_prefetch"),
    ("[broker]", "max_prefetch", "broker_limits.rs prefetch_and_max_prefetch"),
    ("[broker]", "auto_prefetch", "broker_limits.rs auto_prefetch"),
    ("[broker]", "queue_messages", "broker_limits.rs queue_messages"),
    ("[broker]", "queue_bytes", "broker_limits.rs queue_bytes"),
    ("[broker]", "queue_full", "broker_limits.rs queue_full"),
    ("[broker]", "queue_ttl", "broker_limits.rs queue_ttl"),
    ("[broker]", "max_deliveries", "broker_limits.rs max_deliveries"),
    ("[broker]", "dead_letter", "broker_limits.rs dead_letter"),
    ("[broker]", "queues_messages", "broker_limits.rs queues_messages"),
    ("[broker]", "queues_bytes", "broker_limits.rs queues_bytes"),
    ("[broker]", "max_unacked", "broker_limits.rs max_unacked"),
    ("[broker]", "max_unacked_bytes", "broker_limits.rs max_unacked_bytes"),
    ("[broker]", "history_bytes", "broker_limits.rs history_bytes"),
    ("[broker]", "high_water", "high_water.rs publishers_are_slowed_from_three_quarters_and_refused_at_the_mark"),
    ("[broker]", "send_to_users", "broker_limits.rs send_to_users"),
    ("[broker]", "unknown_user", "broker_limits.rs unknown_user"),
    ("[broker]", "topic_prefixes", "-"),
    ("[application]", "prefixes", "-"),
    ("[application]", "errors", "-"),
    (
        "[application]",
        "timeout",
        "application_everywhere.rs a_handler_that_takes_too_long_is_given_up_and_the_sender_told",
    ),
    ("[application]", "max_calls", "application_everywhere.rs too_many_calls_at_once_are_refused_visibly"),
    ("[webhook]", "secret", "-"),
    ("[webhook]", "connect", "-"),
    ("[webhook]", "subscribe", "-"),
    ("[webhook]", "timeout", "webhooks.rs a_slow_backend_costs_its_sender_no_more_than_the_timeout"),
    ("[webhook]", "max_requests", "webhooks.rs no_more_than_max_requests_at_once_and_the_others_in_their_order"),
    ("[webhook]", "max_waiting", "webhooks.rs no_more_than_max_requests_at_once_and_the_others_in_their_order"),
    ("[webhook]", "retries", "webhooks.rs attempts_come_to_an_end"),
    ("[webhook]", "max_response", "webhooks.rs an_answer_that_is_too_large_is_not_read_to_its_end"),
    ("[webhook]", "max_context", "webhooks.rs a_context_that_is_too_long_is_not_sent"),
    ("[auth]", "anonymous", "-"),
    ("[auth]", "cookie", "-"),
    ("[auth]", "webhook", "-"),
    ("[auth]", "refused_subscribe", "-"),
    ("[auth]", "ticket_ttl", "auth/tickets.rs a_ticket_that_nobody_claims_is_gone_after_its_time"),
    ("[auth]", "max_tickets", "auth/tickets.rs there_are_never_more_than_max"),
    ("[auth]", "password_checks", "auth/passwords.rs only_so_many_may_wait_for_a_check"),
    ("[auth]", "max_waiting", "auth/passwords.rs only_so_many_may_wait_for_a_check"),
    ("[jwt]", "secret", "-"),
    ("[jwt]", "keys", "-"),
    ("[jwt]", "algorithms", "-"),
    ("[jwt]", "audience", "-"),
    ("[jwt]", "issuer", "-"),
    ("[jwt]", "user_claim", "-"),
    ("[jwt]", "leeway", "auth/tokens.rs a_token_is_good_for_as_long_as_it_says_and_the_leeway"),
    ("[jwt]", "keys_ttl", "auth/keys.rs a_url_is_asked_at_the_first_need_and_again_after_keys_ttl"),
    ("[jwt]", "max_token", "auth/tokens.rs a_token_may_be_as_long_as_max_token"),
    ("[api]", "token", "-"),
    ("[api]", "listen", "-"),
    ("[api]", "path", "-"),
    ("[api]", "max_body", "api/main.rs limits_of_requests"),
    ("[api]", "max_batch", "api/main.rs limits_of_requests"),
    ("[api]", "max_page", "api/main.rs limits_of_requests"),
    ("[api]", "idempotency_ttl", "api/once.rs a_request_with_a_key_is_done_once"),
    ("[api]", "idempotency_keys", "api/once.rs idempotency_keys"),
    ("[[endpoint]]", "path", "-"),
    ("[[endpoint]]", "service", "-"),
    ("[[endpoint]]", "allowed_origins", "-"),
    ("[[endpoint]]", "transports", "-"),
    ("[[endpoint]]", "cookie", "-"),
    ("[[endpoint]]", "cookie_same_site", "-"),
    ("[[endpoint]]", "cookie_secure", "-"),
    ("[[endpoint]]", "heartbeat", "session_beats.rs the_interval_is_a_setting"),
    ("[[endpoint]]", "pong_timeout", "session_beats.rs the_pong_timeout_is_a_setting"),
    ("[[endpoint]]", "disconnect_delay", "session_life.rs the_disconnect_delay_is_a_setting"),
    ("[[endpoint]]", "response_limit", "limits.rs response_limit"),
    ("[[endpoint]]", "client_url", "-"),
    ("[[endpoint]]", "max_body", "limits.rs max_body_over_http"),
    ("[[endpoint]]", "max_message", "limits.rs max_message_over_http"),
    ("[[endpoint]]", "max_messages", "limits.rs max_messages_over_http"),
    ("[[endpoint]]", "outbox_bytes", "limits.rs outbox_bytes"),
    ("[[endpoint]]", "outbox_messages", "limits.rs outbox_messages"),
    ("[[endpoint]]", "max_sessions", "limits.rs max_sessions"),
    ("[[endpoint]]", "max_session_id", "limits.rs max_session_id"),
    ("[[endpoint]]", "tombstones", "limits.rs tombstones"),
    ("[[endpoint]]", "tombstone_ttl", "session_end.rs a_tombstone_stands_for_its_time_and_asking_does_not_prolong_it"),
    ("[[endpoint]]", "bridge", "-"),
    ("[[endpoint]]", "bridge_headers", "-"),
    ("[[endpoint]]", "bridge_timeout", "bridge/ends.rs bridge_timeout"),
    ("[[endpoint]]", "bridge_buffer", "bridge/main.rs bridge_buffer"),
    ("[[endpoint]]", "websocket_buffer", "limits.rs websocket_buffer"),
    ("[[app]]", "destination", "-"),
    ("[[app]]", "url", "-"),
    ("[[user]]", "name", "-"),
    ("[[user]]", "password_hash", "-"),
    ("[[user]]", "roles", "-"),
    ("[[rule]]", "action", "-"),
    ("[[rule]]", "commands", "-"),
    ("[[rule]]", "destination", "-"),
    ("[[rule]]", "who", "-"),
    ("[[rule]]", "users", "-"),
    ("[[rule]]", "claim", "-"),
    ("[[destination]]", "pattern", "overflow_policies.rs the_first_rule_that_fits_counts"),
    ("[[destination]]", "overflow", "overflow_policies.rs the_first_rule_that_fits_counts"),
    ("[[destination]]", "conflate_by", "overflow_policies.rs conflation_by_a_header_keeps_the_latest_of_each_value"),
    ("[[destination]]", "history.count", "broker_limits.rs history_count_and_age"),
    ("[[destination]]", "history.age", "broker_limits.rs history_count_and_age"),
    ("[[destination]]", "queue_messages", "broker_limits.rs queue_messages"),
    ("[[destination]]", "queue_bytes", "broker_limits.rs queue_bytes"),
    ("[[destination]]", "queue_full", "broker_limits.rs queue_full"),
    ("[[destination]]", "queue_ttl", "broker_limits.rs queue_ttl"),
    ("[[destination]]", "max_deliveries", "broker_limits.rs max_deliveries"),
    ("[[destination]]", "dead_letter", "broker_limits.rs dead_letter"),
];

#[test]
fn every_key_of_the_configuration_has_its_test() {
    let keys: BTreeSet<_> = KEYS.iter().map(|(table, key, _)| (*table, *key)).collect();
    // Keys of tables that are not there by default are seen where one is.
    let destination = Destination { history: Some(History::new(1)), ..Destination::default() };
    let described = Config { destinations: vec![destination], ..Config::with_one_of_each_table() }.describe();
    let all: BTreeSet<_> = described.iter().map(|setting| (setting.place.header(), setting.key)).collect();
    assert_eq!(keys, all);
    for (_, key, test) in KEYS {
        assert!(test == "-" || test.contains(' '), "{key} needs a test");
        if let Some((file, name)) = test.split_once(' ') {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file);
            let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(&format!("fn {name}(")), "{key}: {name} in {file}");
        }
    }
}
