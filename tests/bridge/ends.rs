//! How it ends: whoever ends it, the other side is told what it would have heard without a bridge between them.

use std::time::Duration;

use super::upstream::{self, Event, Upstream, numbered};
use super::{bridge, gateway, open, over_every_transport, until};
use crate::support::metrics::Meter;
use crate::support::{Client, Ended, Frame, Gateway, Request, Transport, WebSocket, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

over_every_transport! {
    the_upstreams_close_is_the_clients,
    the_end_comes_after_everything_before_it,
    a_lost_upstream_is_told,
    the_upstream_hears_that_the_client_left,
    both_sides_hear_of_a_shutdown,
    an_upstream_that_is_not_there_ends_the_session,
}

fn close(code: u16, reason: &str) -> Frame {
    Frame::Close(code, reason.to_owned())
}

async fn the_upstreams_close_is_the_clients(transport: Transport) {
    let mut upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for (number, (order, told)) in [
        ("close 1000 bye", close(1000, "bye")),
        ("close 1001 going away", close(1001, "going away")),
        ("close 1008 not here", close(1008, "not here")),
        ("close 1011 oops", close(1011, "oops")),
        ("close 3000 Go away!", close(3000, "Go away!")),
        ("close 4999 \"quoted\" ü", close(4999, "\"quoted\" ü")),
        ("close 4000", close(4000, "")),
        ("close", close(1000, "Normal closure")),
        // A close frame with 1005, which only stands for the want of a code.
        ("raw 880203ed", close(1002, "Protocol violation")),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = Client::open(&gateway, transport, "/chat", &format!("close-{number}")).await;
        assert_eq!(client.next().await, Frame::Open);
        client.send(&[order]).await;
        assert_eq!(client.next().await, told, "{order}");
        // The answer to its close frame has its code.
        let answer = upstream.ended().await.map(|(code, _)| code);
        if order.starts_with("close") {
            assert_eq!(answer, order.split(' ').nth(1).map(|code| code.parse().unwrap()), "{order}");
        }
    }
}

async fn the_end_comes_after_everything_before_it(transport: Transport) {
    let upstream = Upstream::start().await;
    // The outbox holds a small part of it.
    let config = bridge(upstream.url(), |endpoint| endpoint.outbox_messages = 8);
    let gateway = Gateway::start(config).await;
    let mut client = open(&gateway, transport).await;
    client.send(&["burst 1000", "close 4001 done"]).await;
    for n in 0..1000 {
        assert_eq!(client.message().await, numbered(n, 0));
    }
    assert_eq!(client.next().await, close(4001, "done"));
}

async fn a_lost_upstream_is_told(transport: Transport) {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut client = open(&gateway, transport).await;
    client.send(&["hello"]).await;
    assert_eq!(client.message().await, "hello");
    client.send(&["reset"]).await;
    assert_eq!(client.next().await, close(1011, "Upstream connection lost"));
}

async fn the_upstream_hears_that_the_client_left(transport: Transport) {
    let mut upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut client = open(&gateway, transport).await;
    client.send(&["hello"]).await;
    assert_eq!(client.message().await, "hello");
    client.attached().await.abort();
    assert_eq!(upstream.ended().await, Some((1001, "Client gone".to_owned())));
}

async fn both_sides_hear_of_a_shutdown(transport: Transport) {
    let mut upstream = Upstream::start().await;
    let mut gateway = gateway(&upstream).await;
    let mut client = open(&gateway, transport).await;
    client.send(&["hello"]).await;
    assert_eq!(client.message().await, "hello");
    let mut client = client.attached().await;
    gateway.stop();
    assert_eq!(client.next().await, close(1001, "Server shutdown"));
    drop(client);
    gateway.stopped().await;
    // It was told before the gateway had stopped.
    assert_eq!(upstream.ended_already(), Some((1001, "Server shutdown".to_owned())));
}

async fn an_upstream_that_is_not_there_ends_the_session(transport: Transport) {
    let meter = Meter::install();
    let url = format!("ws://{}/", upstream::nobody().await);
    let gateway = Gateway::start(bridge(url, |_| {})).await;
    assert_refused(&gateway, transport, 502, close(4502, "Upstream cannot be reached")).await;
    assert_eq!(meter.counter("towpath_upstream_failures_total", &[("reason", "refused")]), 1);
    assert_eq!(meter.counter("towpath_sessions_closed_total", &[("reason", "upstream")]), 1);
    assert_eq!(gateway.sessions("/chat").0, usize::from(transport.is_http()), "a socket's session is forgotten");
}

/// Without SockJS there is a handshake to be refused; with it, there is a session to be closed.
async fn assert_refused(gateway: &Gateway, transport: Transport, status: u16, told: Frame) {
    if transport == Transport::RawWebsocket {
        let refused = Client::open_with(gateway, transport, "/chat", "", &[]).await.err();
        assert_eq!(refused, Some(Ended::Refused(status)));
    } else {
        let mut client = open(gateway, transport).await;
        assert_eq!(client.next().await, told);
    }
}

#[tokio::test]
async fn bridge_timeout() {
    let meter = Meter::install();
    let silent = upstream::answering(None).await;
    let config = bridge(format!("ws://{silent}/"), |endpoint| endpoint.bridge_timeout = Duration::from_millis(50));
    let gateway = Gateway::start(config).await;
    for (transport, count) in [(Transport::RawWebsocket, 1), (Transport::Websocket, 2), (Transport::Xhr, 3)] {
        assert_refused(&gateway, transport, 504, close(4504, "Upstream does not answer")).await;
        assert_eq!(meter.limit_reached("bridge_timeout"), count);
    }
}

#[tokio::test]
async fn what_answers_no_handshake_is_no_upstream() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: ws://localhost/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        "220 mail.example.com ESMTP\r\n",
        "",
    ] {
        let address = upstream::answering(Some(answer)).await;
        let gateway = Gateway::start(bridge(format!("ws://{address}/"), |_| {})).await;
        for transport in [Transport::RawWebsocket, Transport::XhrStreaming] {
            assert_refused(&gateway, transport, 502, close(4502, "Upstream cannot be reached")).await;
        }
    }
}

#[tokio::test]
async fn a_head_without_end_is_not_read_for_ever() {
    let (listener, address) = upstream::listen(None);
    let config = bridge(format!("ws://{address}/"), |endpoint| endpoint.bridge_timeout = Duration::from_secs(3600));
    let gateway = Gateway::start(config).await;
    let mut client = open(&gateway, Transport::Websocket).await;
    let (mut stream, _) = listener.accept().await.expect("somebody comes");
    upstream::read_head(&mut stream).await;
    let head = format!("HTTP/1.1 101 Switching\r\nX: {}", "x".repeat(64 * 1024));
    // Some of it may be refused already.
    let _ = stream.write_all(head.as_bytes()).await;
    assert_eq!(client.next().await, close(4502, "Upstream cannot be reached"));
}

#[tokio::test]
async fn an_upstream_that_breaks_the_protocol_is_told_and_so_is_the_client() {
    let meter = Meter::install();
    for (frame, code) in [
        // A reserved bit, a masked frame, an unknown opcode, a text that is no UTF-8.
        ("c10161", 1002),
        ("81810000000061", 1002),
        ("8300", 1002),
        ("8101ff", 1007),
    ] {
        let mut upstream = Upstream::start().await;
        let gateway = gateway(&upstream).await;
        let mut client = open(&gateway, Transport::XhrStreaming).await;
        client.send(&["before", &format!("raw {frame}")]).await;
        assert_eq!(client.message().await, "before");
        assert_eq!(client.next().await, close(1011, "Upstream protocol error"), "{frame}");
        assert_eq!(upstream.ended().await.map(|(code, _)| code), Some(code), "{frame}");
    }
    assert_eq!(meter.counter("towpath_upstream_failures_total", &[("reason", "garbage")]), 4);
}

#[tokio::test]
async fn max_message_of_an_upstream() {
    for transport in [Transport::RawWebsocket, Transport::Xhr] {
        let meter = Meter::install();
        let mut upstream = Upstream::start().await;
        let gateway = Gateway::start(bridge(upstream.url(), |endpoint| endpoint.max_message = 1000)).await;
        let mut client = open(&gateway, transport).await;
        client.send(&["burst 1 1000"]).await;
        assert_eq!(client.message().await, numbered(0, 1000));
        client.send(&["burst 1 1001"]).await;
        assert_eq!(client.next().await, close(1011, "Upstream message too large"));
        assert_eq!(upstream.ended().await, Some((1009, String::new())));
        assert_eq!(meter.limit_reached("max_message"), 1);
        // A frame that only says it is large.
        let mut client = open_other(&gateway, transport).await;
        client.send(&["raw 827f7fffffffffffffff"]).await;
        assert_eq!(client.next().await, close(1011, "Upstream message too large"));
    }
}

async fn open_other(gateway: &Gateway, transport: Transport) -> Client {
    let mut client = Client::open(gateway, transport, "/chat", "other").await;
    assert_eq!(client.next().await, Frame::Open);
    client
}

/// The code of a client's close frame is not known beyond the transport.
#[tokio::test]
async fn a_websocket_that_is_closed_closes_its_upstream() {
    let mut upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for path in ["/chat/websocket", "/chat/000/a/websocket"] {
        for code in [None, Some(1000), Some(4000)] {
            let socket = WebSocket::connect(gateway.connector(), path).await;
            upstream.opened().await;
            socket.close(code).await;
            assert_eq!(upstream.ended().await, Some((1000, String::new())));
        }
    }
}

/// What a client says and leaves is said, even if its upstream takes a while to answer.
#[tokio::test]
async fn everything_before_the_clients_end_arrives() {
    let mut upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for round in 0..20 {
        let mut socket = WebSocket::connect(gateway.connector(), "/chat/000/a/websocket").await;
        let messages: Vec<String> = (0..100).map(|n| format!("swallow {n}")).collect();
        socket.send_text(&serde_json::to_string(&messages).unwrap()).await;
        // Not `close`: the frame is the last thing that is written, and nobody waits for an answer.
        let frame = CloseFrame { code: 1000.into(), reason: "".into() };
        socket.send(Message::Close(Some(frame))).await;
        upstream.opened().await;
        for message in messages {
            let got = upstream.event().await;
            assert!(matches!(&got, Event::Got(Message::Text(text)) if text.as_str() == message), "{round}: {got:?}");
        }
        assert_eq!(upstream.ended().await, Some((1000, String::new())));
    }
}

/// Nobody is joined for a client that has left and said nothing.
#[tokio::test]
async fn a_client_that_leaves_early_gives_its_upstream_up() {
    let (listener, address) = upstream::listen(None);
    let config = bridge(format!("ws://{address}/"), |endpoint| endpoint.bridge_timeout = Duration::from_secs(3600));
    let gateway = Gateway::start(config).await;
    let mut client = open(&gateway, Transport::Websocket).await;
    let (mut stream, _) = listener.accept().await.expect("somebody comes");
    upstream::read_head(&mut stream).await;
    client.socket().expect("it is one").send(Message::Close(None)).await;
    let end = within(Duration::from_secs(20), "the end of the handshake", stream.read_u8()).await;
    assert!(end.is_err(), "nothing follows the request");
}

/// The handshake of a websocket without SockJS is not answered before its upstream's is, and not at all if its client goes.
#[tokio::test]
async fn a_raw_websocket_that_leaves_during_the_handshake_is_forgotten() {
    let silent = upstream::answering(None).await;
    let gateway = Gateway::start(bridge(format!("ws://{silent}/"), |endpoint| {
        endpoint.bridge_timeout = Duration::from_secs(3600);
    }))
    .await;
    let mut http = gateway.http().await;
    http.send(&Request::websocket("/chat/websocket")).await;
    until("the session", || gateway.sessions("/chat") == (1, 0)).await;
    drop(http);
    until("the session to end", || gateway.sessions("/chat") == (0, 0)).await;
}

// ---- signs of life ----

#[tokio::test]
async fn an_upstream_without_a_sign_of_life_is_given_up() {
    for transport in [Transport::Websocket, Transport::XhrStreaming] {
        let upstream = Upstream::start().await;
        let gateway = Gateway::start(bridge(upstream.url(), |endpoint| {
            endpoint.heartbeat = Duration::from_millis(100);
            endpoint.pong_timeout = Duration::from_millis(200);
        }))
        .await;
        // It answers pings for as long as it reads: silence for several heart-beats is no fault.
        let mut idle = Client::open(&gateway, transport, "/chat", "idle").await;
        let mut client = Client::open(&gateway, transport, "/chat", "stuck").await;
        assert_eq!((idle.next().await, client.next().await), (Frame::Open, Frame::Open));
        client.send(&["hang"]).await;
        let told = loop {
            match client.next().await {
                Frame::Heartbeat => drop(idle.next().await),
                told => break told,
            }
        };
        assert_eq!(told, close(1011, "Upstream connection lost"));
        idle.send(&["still here"]).await;
        assert_eq!(idle.message().await, "still here");
    }
}

/// Its pongs wait behind what its client does not read.
#[tokio::test]
async fn an_upstream_is_not_blamed_for_a_stuck_client() {
    let upstream = Upstream::narrow().await;
    let gateway = Gateway::in_memory(bridge(upstream.url(), |endpoint| {
        endpoint.heartbeat = Duration::from_millis(20);
        endpoint.pong_timeout = Duration::from_millis(20);
    }))
    .await;
    let mut idle = Client::open(&gateway, Transport::XhrStreaming, "/chat", "idle").await;
    let mut client = Client::open(&gateway, Transport::XhrStreaming, "/chat", "stuck").await;
    assert_eq!((idle.next().await, client.next().await), (Frame::Open, Frame::Open));
    client.send(&["burst 1000 16000"]).await;
    for _ in 0..20 {
        assert_eq!(idle.next().await, Frame::Heartbeat);
    }
    for n in 0..1000 {
        assert!(client.message().await == numbered(n, 16000), "{n}");
    }
}

#[tokio::test]
async fn an_upstreams_ping_is_answered() {
    let mut upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut client = open(&gateway, Transport::Xhr).await;
    upstream.opened().await;
    client.send(&["ping"]).await;
    let Event::Got(Message::Pong(payload)) = upstream.event().await else { panic!("a pong was due") };
    assert_eq!(payload, b"lively"[..]);
}
