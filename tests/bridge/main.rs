//! The bridge: a websocket server that knows nothing of SockJS, reached over every transport. What it says arrives as it was
//! said, in its order, at the speed of the slower side, and one end is the end of the other.

mod ends;
#[path = "../support/mod.rs"]
mod support;
mod upstream;

use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use support::metrics::Meter;
use support::{Client, Ended, Frame, Gateway, Transport, WebSocket, serving, within};
use tokio_tungstenite::tungstenite::Message;
use towpath::config::{AllowedOrigins, Config, Endpoint, Service};
use upstream::{Event, Upstream, numbered};

/// A gateway's configuration with a bridge to that URL at `/chat`.
fn bridge(url: String, change: impl FnOnce(&mut Endpoint)) -> Config {
    let mut endpoint = Endpoint {
        path: "/chat".to_owned(),
        service: Service::Bridge,
        bridge: Some(url),
        allowed_origins: AllowedOrigins::Any,
        ..Endpoint::default()
    };
    change(&mut endpoint);
    serving([endpoint])
}

async fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::start(bridge(upstream.url(), |_| {})).await
}

/// A conversation whose open frame has been read.
async fn open(gateway: &Gateway, transport: Transport) -> Client {
    let mut client = Client::open(gateway, transport, "/chat", "abcdefgh").await;
    assert_eq!(client.next().await, Frame::Open);
    client
}

/// Waits for something that becomes true by what others do.
async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let waiting = async {
        while !is_true() {
            tokio::task::yield_now().await;
        }
    };
    within(Duration::from_secs(20), what, waiting).await;
}

macro_rules! over_every_transport {
    ($($scenario:ident),* $(,)?) => {
        over_every_transport! { @ [$($scenario),*]
            websocket Websocket, raw_websocket RawWebsocket, xhr_polling Xhr, xhr_streaming XhrStreaming,
            eventsource EventSource, htmlfile HtmlFile, jsonp_polling Jsonp }
    };
    (@ $scenarios:tt $($module:ident $transport:ident),*) => {
        $(over_every_transport! { # $scenarios $module $transport })*
    };
    (# [$($scenario:ident),*] $module:ident $transport:ident) => {
        mod $module {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario(super::Transport::$transport).await;
            })*
        }
    };
}
use over_every_transport;

over_every_transport! {
    carries_any_text,
    keeps_the_order_of_ten_thousand_messages_each_way,
    carries_binary_as_the_rule_says,
}

async fn carries_any_text(transport: Transport) {
    let mut upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut client = open(&gateway, transport).await;
    let large = "0123456789\"\u{2028}é".repeat(8 * 1024);
    let texts = ["plain", "", " ", "[\"looks like a frame\"]", "\0 in the middle", "漢字 😀 \u{10ffff}", &large];
    client.send(&texts).await;
    for text in texts {
        assert!(client.message().await == text, "{:.20?}", text);
    }
    assert_eq!(upstream.opened().await.0, "/chat");
}

async fn keeps_the_order_of_ten_thousand_messages_each_way(transport: Transport) {
    const COUNT: usize = 10_000;
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut client = open(&gateway, transport).await;
    let messages: Vec<String> = (0..COUNT).map(|n| n.to_string()).collect();
    let borrowed: Vec<&str> = messages.iter().map(String::as_str).collect();
    for batch in borrowed.chunks(500) {
        client.send(batch).await;
    }
    for message in &messages {
        assert_eq!(client.message().await, *message);
    }
    assert_eq!(upstream.received.load(Ordering::SeqCst), COUNT);
    client.send(&[&format!("burst {COUNT}")]).await;
    for n in 0..COUNT {
        assert_eq!(client.message().await, numbered(n, 0));
    }
}

async fn carries_binary_as_the_rule_says(transport: Transport) {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut client = open(&gateway, transport).await;
    let bytes = b"\0\xff\xfe\x80!";
    client.send(&["bytes"]).await;
    if transport != Transport::RawWebsocket {
        assert_eq!(client.message().await, BASE64.encode(bytes));
        return;
    }
    assert_eq!(client.next().await, Frame::Binary(bytes[..].into()));
    // And the other way; text stays text, though the client has spoken text and binary.
    client.send_binary(b"\x01\xfe").await;
    assert_eq!(client.next().await, Frame::Binary(b"\x01\xfe"[..].into()));
    client.send(&["text"]).await;
    assert_eq!(client.message().await, "text");
}

/// STOMP clients that speak binary are answered in binary. Behind a bridge nobody knows what a client wants.
#[tokio::test]
async fn text_stays_text_for_a_client_that_speaks_binary() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut client = open(&gateway, Transport::RawWebsocket).await;
    client.send_binary(b"text").await;
    assert_eq!(client.message().await, "text");
}

#[tokio::test]
async fn every_session_has_a_connection_of_its_own() {
    let mut upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut clients = vec![];
    for transport in Transport::ALL {
        let mut client = Client::open(&gateway, transport, "/chat", transport.segment()).await;
        assert_eq!(client.next().await, Frame::Open);
        upstream.opened().await;
        client.send(&[&format!("mine {transport:?}")]).await;
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(client.message().await, format!("mine {:?}", client.transport()));
    }
}

/// Whoever spoke websocket with the server before finds the bridge where the server was.
#[tokio::test]
async fn the_endpoints_own_url_is_a_websocket() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut socket = WebSocket::connect(gateway.connector(), "/chat").await;
    socket.send_text("straight on").await;
    assert_eq!(socket.next_text().await, "straight on");
}

#[tokio::test]
async fn only_named_headers_are_passed_on() {
    let mut upstream = Upstream::start().await;
    let url = format!("{}?room=1", upstream.url());
    let config = bridge(url, |endpoint| endpoint.bridge_headers = vec!["cookie".to_owned(), "X-Tenant".to_owned()]);
    let gateway = Gateway::start(config).await;
    let sent = [
        ("Cookie", "sid=abc"),
        ("X-Tenant", "acme"),
        ("Authorization", "Bearer secret"),
        ("Origin", "http://localhost"),
    ];
    let mut clients = vec![];
    for transport in Transport::ALL {
        let id = format!("headers-{}", transport.segment());
        let mut client = Client::open_with(&gateway, transport, "/chat", &id, &sent).await.expect("it is let in");
        assert_eq!(client.next().await, Frame::Open);
        let (resource, headers) = upstream.opened().await;
        assert_eq!(resource, "/chat?room=1");
        assert_eq!(headers["cookie"], "sid=abc", "{transport:?}");
        assert_eq!(headers["x-tenant"], "acme");
        assert_eq!(headers["host"], upstream.address.to_string());
        for absent in
            ["authorization", "origin", "x-forwarded-for", "sec-websocket-protocol", "sec-websocket-extensions"]
        {
            assert!(!headers.contains_key(absent), "{absent}");
        }
        clients.push(client);
    }
}

#[tokio::test]
async fn the_upstreams_choice_of_a_subprotocol_is_the_clients() {
    let offer = [("Sec-WebSocket-Protocol", "chat, superchat")];
    for (choice, answered) in [(Some("superchat"), Some("superchat")), (None, None)] {
        let mut upstream = Upstream::choosing(choice).await;
        let gateway = gateway(&upstream).await;
        let answer =
            gateway.request(support::Request::websocket("/chat/websocket").header(offer[0].0, offer[0].1)).await;
        assert_eq!(answer.status, 101);
        assert_eq!(answer.header("Sec-WebSocket-Protocol"), answered);
        assert_eq!(upstream.opened().await.1["sec-websocket-protocol"], "chat, superchat");
    }
    // One that was not offered is no choice.
    let upstream = Upstream::choosing(Some("other")).await;
    let gateway = gateway(&upstream).await;
    let refused = Client::open_with(&gateway, Transport::RawWebsocket, "/chat", "", &offer).await.err();
    assert_eq!(refused, Some(Ended::Refused(502)));
}

/// What a SockJS client offers there is SockJS's affair.
#[tokio::test]
async fn a_sockjs_websocket_offers_no_subprotocol() {
    let mut upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let offer = [("Sec-WebSocket-Protocol", "chat")];
    let answer =
        gateway.request(support::Request::websocket("/chat/000/a/websocket").header(offer[0].0, offer[0].1)).await;
    assert_eq!((answer.status, answer.header("Sec-WebSocket-Protocol")), (101, None));
    assert!(!upstream.opened().await.1.contains_key("sec-websocket-protocol"));
}

// ---- the speed of the slower side ----

const SIZE: usize = 16 * 1024;
/// In all 16 MiB: several times what may be under way, which is the system's buffers, the bridge's and the client's.
const MANY: usize = 1024;
const UNDER_WAY: usize = MANY / 2;

fn small_outbox(endpoint: &mut Endpoint) {
    endpoint.outbox_bytes = 256 * 1024;
    endpoint.bridge_buffer = 128 * 1024;
}

#[tokio::test]
async fn bridge_buffer() {
    for transport in [Transport::RawWebsocket, Transport::Websocket, Transport::XhrStreaming] {
        let meter = Meter::install();
        let mut upstream = Upstream::narrow().await;
        let gateway = Gateway::in_memory(bridge(upstream.url(), small_outbox)).await;
        let mut client = open(&gateway, transport).await;
        client.send(&["stop"]).await;
        upstream.opened().await;
        until("the upstream to stop", || upstream.received.load(Ordering::SeqCst) == 1).await;
        let paused = || meter.counter("towpath_publisher_pauses_total", &[("reason", "bridge_buffer")]);
        let mut furthest = 0;
        let (mut sent, mut stopped) = (0, true);
        while sent < MANY {
            let message = format!("swallow {}", numbered(sent, SIZE));
            {
                let only = [message.as_str()];
                let mut sending = std::pin::pin!(client.send(&only));
                // The client waits as long as it must; once it is known that it has to, the upstream goes on.
                within(Duration::from_secs(20), "room for a message", async {
                    loop {
                        tokio::select! {
                            biased;
                            () = sending.as_mut() => break,
                            () = tokio::task::yield_now() => {
                                if stopped && paused() > 0 {
                                    stopped = false;
                                    upstream.go_on.notify_one();
                                }
                            }
                        }
                    }
                })
                .await;
            }
            sent += 1;
            furthest = furthest.max(sent + 1 - upstream.received.load(Ordering::SeqCst).min(sent + 1));
        }
        assert!(paused() > 0, "{transport:?}: the client never had to wait");
        assert!(furthest <= UNDER_WAY, "{transport:?}: {furthest} messages were under way");
        for n in 0..MANY {
            match upstream.event().await {
                Event::Got(Message::Text(text)) => {
                    assert!(text.as_str() == format!("swallow {}", numbered(n, SIZE)), "{n}")
                }
                other => panic!("message {n} was due, not {other:?}"),
            }
        }
        assert_eq!(meter.limit_reached("bridge_buffer"), 0, "nothing is refused");
    }
}

#[tokio::test]
async fn a_stuck_client_stops_its_upstream_and_is_not_closed() {
    for transport in [Transport::RawWebsocket, Transport::Websocket, Transport::XhrStreaming] {
        let meter = Meter::install();
        let upstream = Upstream::narrow().await;
        let gateway = Gateway::in_memory(bridge(upstream.url(), small_outbox)).await;
        let mut client = open(&gateway, transport).await;
        client.send(&[&format!("burst {MANY} {SIZE}")]).await;
        let sessions = gateway.core().endpoints()[0].registry().sessions();
        let session = &sessions[0];
        until("the outbox to fill", || session.backlog().0 > 200 * 1024).await;
        let mut furthest = 0;
        for n in 0..MANY {
            furthest = furthest.max(upstream.sent.load(Ordering::SeqCst).saturating_sub(n));
            assert!(session.backlog().0 <= 256 * 1024, "the outbox keeps its limit");
            assert!(client.message().await == numbered(n, SIZE), "{transport:?}: {n}");
        }
        assert!(furthest <= UNDER_WAY, "{transport:?}: {furthest} messages were under way");
        assert_eq!((meter.limit_reached("outbox_bytes"), meter.limit_reached("outbox_messages")), (0, 0));
        client.send(&["and on"]).await;
        assert_eq!(client.message().await, "and on");
    }
}

/// A message larger than the outbox waits until that is empty, as one does that an application sends.
#[tokio::test]
async fn a_message_larger_than_the_outbox_gets_through() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(bridge(upstream.url(), |endpoint| endpoint.outbox_bytes = 1000)).await;
    let mut client = open(&gateway, Transport::Xhr).await;
    client.send(&["burst 5 3000", "burst 5 700", "burst 3 3000"]).await;
    for (count, size) in [(5, 3000), (5, 700), (3, 3000)] {
        for n in 0..count {
            assert_eq!(client.message().await, numbered(n, size));
        }
    }
}
