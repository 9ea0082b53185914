//! STOMP over plain TCP: what only this way in has. The scenarios that hold on every transport run over it as well, see
//! stomp_sessions.rs and stomp_refusals.rs; its memory when idle is in idle_outbox.rs.

mod everywhere;
mod support;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use everywhere::VERSIONS;
use proptest::prelude::*;
use support::metrics::Meter;
use support::stomp::{Event, Stomp};
use support::{Client, Connector, Gateway, Stream, Transport, within};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio::time::{Instant, sleep};
use towpath::config::Config;
use towpath::publication::TRANSFER_ENCODING;
use towpath::stomp::{Command, Frame, Version};

const CONNECT: &str = "CONNECT\naccept-version:1.2\nhost:h\nheart-beat:0,0\n\n\0";
const SUBSCRIBE: &str = "SUBSCRIBE\nid:1\ndestination:/topic/a\nreceipt:s\n\n\0";

/// The default configuration with a port for STOMP over TCP.
fn listening() -> Config {
    let mut config = Config::default();
    config.tcp.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    config
}

async fn client(gateway: &Gateway, transport: Transport, version: Version) -> Stomp {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let id = format!("client-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Stomp::connect(Client::open(gateway, transport, "/stomp", &id).await, version).await
}

async fn backend(gateway: &Gateway) -> Stomp {
    client(gateway, Transport::Tcp, Version::V1_2).await
}

/// Ten large messages to `/topic/a`, one after the other.
async fn flood(publisher: &mut Stomp) {
    for _ in 0..10 {
        let large = Frame::new(Command::Send).with("destination", "/topic/a").with_body("x".repeat(50_000));
        publisher.confirmed(large).await;
    }
}

/// All that comes until the gateway ends its direction, which it must do in order.
async fn to_the_end(stream: &mut Stream) -> String {
    let mut all = vec![];
    let read = within(stream.patience(), "the end of the stream", stream.read_to_end(&mut all)).await;
    read.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&all)));
    String::from_utf8(all).expect("only text was sent")
}

/// The commands of frames without NUL in their bodies.
fn commands(text: &str) -> Vec<&str> {
    assert!(text.is_empty() || text.ends_with('\0'), "whole frames: {text:?}");
    text.split_terminator('\0').filter_map(|frame| frame.lines().next()).collect()
}

fn tcp_sessions(gateway: &Gateway) -> usize {
    gateway.core().tcp().registry().len().0
}

/// Waits for something that no byte tells of. Each look gives the gateway's tasks their turns.
async fn until(what: &str, mut come: impl FnMut() -> bool) {
    let waiting = async {
        while !come() {
            tokio::task::yield_now().await;
        }
    };
    within(Duration::from_secs(20), what, waiting).await;
}

// ---- a conversation ----

#[tokio::test]
async fn a_backend_connects_in_each_version() {
    let gateway = Gateway::start(listening()).await;
    for version in VERSIONS {
        let mut stomp = client(&gateway, Transport::Tcp, version).await;
        stomp.subscribed("1", "/topic/a").await;
        stomp.publish("/topic/a", "hello").await;
        let message = stomp.expect(Command::Message).await;
        assert_eq!((message.headers.get("subscription"), &message.body[..]), (Some("1"), &b"hello"[..]));
    }
}

/// Nothing but frames goes over the wire: no open frame, nothing between or behind them.
#[tokio::test]
async fn the_bytes_are_the_frames_and_nothing_else() {
    let gateway = Gateway::start(listening()).await;
    let mut stream = gateway.connect_stomp().await;
    let bye = "DISCONNECT\nreceipt:bye\n\n\0";
    stream.write_all(format!("{CONNECT}{SUBSCRIBE}{bye}").as_bytes()).await.unwrap();
    let all = to_the_end(&mut stream).await;
    assert!(all.starts_with("CONNECTED\nversion:1.2\n"), "{all:?}");
    assert!(all.ends_with("\n\n\0RECEIPT\nreceipt-id:s\n\n\0RECEIPT\nreceipt-id:bye\n\n\0"), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn backends_and_browsers_hear_each_other() {
    let gateway = Gateway::in_memory(Config::default()).await;
    let mut backend = backend(&gateway).await;
    backend.subscribed("b", "/topic/up").await;
    for transport in Transport::ALL {
        let mut browser = client(&gateway, transport, Version::V1_2).await;
        browser.subscribed("1", "/topic/down").await;
        backend.publish("/topic/down", "Grüße 🐎").await;
        let message = browser.expect(Command::Message).await;
        assert_eq!(&message.body[..], "Grüße 🐎".as_bytes(), "{transport:?}");
        assert_eq!(message.headers.get(TRANSFER_ENCODING), None);
        browser.publish("/topic/up", "thanks").await;
        assert_eq!(&backend.expect(Command::Message).await.body[..], b"thanks", "{transport:?}");
    }
}

/// SockJS carries text only, so other bodies go over it as base64; everywhere else they are what they are.
#[tokio::test(start_paused = true)]
async fn binary_bodies_are_base64_over_sockjs_and_verbatim_elsewhere() {
    let body = b"\xff\0\xfe\n";
    let encoded = "/wD+Cg==";
    let gateway = Gateway::in_memory(Config::default()).await;
    let mut backend = backend(&gateway).await;
    backend.subscribed("b", "/topic/up").await;
    for transport in Transport::STOMP {
        let mut peer = client(&gateway, transport, Version::V1_2).await;
        peer.subscribed("1", "/topic/down").await;
        backend.publish("/topic/down", body.as_slice()).await;
        let message = peer.expect(Command::Message).await;
        let verbatim = matches!(transport, Transport::RawWebsocket | Transport::Tcp);
        let expected: (&[u8], _) = if verbatim { (body, None) } else { (encoded.as_bytes(), Some("base64")) };
        assert_eq!((&message.body[..], message.headers.get(TRANSFER_ENCODING)), expected, "{transport:?}");

        let send = Frame::new(Command::Send).with("destination", "/topic/up");
        let send = if verbatim {
            send.with_body(body.as_slice())
        } else {
            send.with(TRANSFER_ENCODING, "base64").with_body(encoded)
        };
        peer.send(&send).await;
        let message = backend.expect(Command::Message).await;
        assert_eq!((&message.body[..], message.headers.get(TRANSFER_ENCODING)), (&body[..], None), "{transport:?}");
    }
}

/// Between backends the header says nothing to the gateway: what is not SockJS needs no rule, and a body is not to be touched.
#[tokio::test(start_paused = true)]
async fn between_backends_bodies_and_headers_are_verbatim() {
    let gateway = Gateway::in_memory(Config::default()).await;
    let (mut one, mut other) = (backend(&gateway).await, backend(&gateway).await);
    other.subscribed("1", "/topic/a").await;
    let body: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    one.publish("/topic/a", body.clone()).await;
    assert!(other.expect(Command::Message).await.body == body);
    let send = Frame::new(Command::Send).with("destination", "/topic/a").with(TRANSFER_ENCODING, "base64");
    one.send(&send.with_body("eA==")).await;
    let message = other.expect(Command::Message).await;
    assert_eq!((&message.body[..], message.headers.get(TRANSFER_ENCODING)), (&b"eA=="[..], Some("base64")));
}

// ---- how bytes arrive and leave ----

#[tokio::test(start_paused = true)]
async fn frames_may_be_cut_at_every_byte() {
    let gateway = Gateway::in_memory(Config::default()).await;
    let send = "SEND\ndestination:/topic/a\ncontent-length:4\nreceipt:r\n\n\0 é\0";
    let said = format!("{CONNECT}{SUBSCRIBE}\n{send}\r\nDISCONNECT\nreceipt:bye\n\n\0").into_bytes();
    let cuts = (1..said.len()).map(|at| vec![at]);
    // And all of them at once.
    for cuts in cuts.chain([(1..said.len()).collect()]) {
        let mut stream = gateway.connect_stomp().await;
        let mut from = 0;
        for to in cuts.iter().copied().chain([said.len()]) {
            stream.write_all(&said[from..to]).await.unwrap();
            // The paused clock moves when the gateway has read it and waits for more.
            sleep(Duration::from_millis(1)).await;
            from = to;
        }
        let all = to_the_end(&mut stream).await;
        assert!(all.starts_with("CONNECTED\n"), "{cuts:?}: {all:?}");
        assert!(all.contains("\0RECEIPT\nreceipt-id:s\n\n\0MESSAGE\nsubscription:1\n"), "{cuts:?}: {all:?}");
        assert!(
            all.ends_with("\n\n\0 é\0RECEIPT\nreceipt-id:r\n\n\0RECEIPT\nreceipt-id:bye\n\n\0"),
            "{cuts:?}: {all:?}"
        );
    }
}

#[tokio::test]
async fn many_frames_may_come_in_one_segment() {
    let gateway = Gateway::start(listening()).await;
    // More than the outbox would hold if nothing were written until all is read.
    let sends = (0..5000).map(|n| format!("SEND\ndestination:/topic/a\nreceipt:{n}\n\n{n}\0"));
    let said = [CONNECT, SUBSCRIBE].into_iter().map(str::to_owned).chain(sends).collect::<String>();
    let (mut reading, mut writing) = tokio::io::split(gateway.connect_stomp().await);
    let mut heard = String::new();
    let listen = async {
        let mut buffer = vec![0; 64 * 1024];
        while !heard.ends_with("receipt-id:4999\n\n\0") {
            let count = reading.read(&mut buffer).await.unwrap();
            assert!(count > 0, "cut off after {} bytes", heard.len());
            heard.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
    };
    let talk = async { tokio::join!(listen, async { writing.write_all(said.as_bytes()).await.unwrap() }) };
    within(Duration::from_secs(20), "all receipts", talk).await;
    let receipts: Vec<_> = heard.lines().filter_map(|line| line.strip_prefix("receipt-id:")).collect();
    let expected: Vec<_> = ["s".to_owned()].into_iter().chain((0..5000).map(|n| n.to_string())).collect();
    assert_eq!(receipts, expected);
    assert_eq!(heard.matches("MESSAGE\n").count(), 5000);
}

/// The gateway's end of a pipe, which counts how often the gateway writes and knows how much it would read at once.
struct Counted {
    pipe: DuplexStream,
    writes: Arc<AtomicUsize>,
    room: Arc<AtomicUsize>,
}

impl Counted {
    /// A connection to a gateway in memory: our end, and the counters.
    fn connect(gateway: &Gateway) -> (DuplexStream, Arc<AtomicUsize>, Arc<AtomicUsize>) {
        let Connector::Memory(server) = gateway.connector().clone() else { panic!("it is in memory") };
        let (near, pipe) = tokio::io::duplex(1 << 20);
        let (writes, room) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counted = Self { pipe, writes: Arc::clone(&writes), room: Arc::clone(&room) };
        tokio::spawn(async move { server.serve_tcp_connection(counted).await });
        (near, writes, room)
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.room.store(buf.remaining(), Ordering::SeqCst);
        Pin::new(&mut self.pipe).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.pipe).poll_write(cx, buf);
        self.writes.fetch_add(usize::from(written.is_ready()), Ordering::SeqCst);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_written_at_once() {
    let gateway = Gateway::in_memory(Config::default()).await;
    let (mut near, writes, _) = Counted::connect(&gateway);
    let mut said = CONNECT.to_owned();
    for number in 0..200 {
        said.push_str(&SUBSCRIBE.replace("id:1", &format!("id:{number}")));
    }
    near.write_all(said.as_bytes()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(writes.swap(0, Ordering::SeqCst), 1, "CONNECTED and 200 receipts");
    // Two hundred deliveries of one message from elsewhere, larger than a batch, and less than two.
    let mut publisher = backend(&gateway).await;
    publisher.publish("/topic/a", "x".repeat(400)).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(writes.load(Ordering::SeqCst), 2);
}

/// The size of the buffer is none of frames, and not that of another gateway in the same process.
#[tokio::test(start_paused = true)]
async fn buffer() {
    let default = Config::default();
    let mut small = default.clone();
    small.tcp.buffer = 512;
    for (config, size) in [(default.clone(), 16 * 1024), (small, 512), (default, 16 * 1024)] {
        let gateway = Gateway::in_memory(config).await;
        let (mut near, _, room) = Counted::connect(&gateway);
        let mut listener = backend(&gateway).await;
        listener.subscribed("1", "/topic/a").await;
        let body = "0123456789abcdef".repeat(64 * 1024);
        near.write_all(format!("{CONNECT}SEND\ndestination:/topic/a\n\n{body}\0").as_bytes()).await.unwrap();
        assert!(listener.expect(Command::Message).await.body == body);
        assert_eq!(room.load(Ordering::SeqCst), size);
    }
}

// ---- time ----

#[tokio::test(start_paused = true)]
async fn without_heart_beats_nothing_is_sent_and_nothing_is_expected() {
    let gateway = Gateway::in_memory(Config::default()).await;
    let mut stomp = backend(&gateway).await;
    let silence = tokio::time::timeout(Duration::from_secs(3500), stomp.event()).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!(tcp_sessions(&gateway), 1, "no ping, no pong");
    stomp.confirmed(Frame::new(Command::Send).with("destination", "/topic/a")).await;
}

/// The gateway's heart-beats come early enough for a client that waits no longer than promised; its own are heard.
#[tokio::test(start_paused = true)]
async fn heart_beats_run_both_ways() {
    let gateway = Gateway::in_memory(Config::default()).await;
    let open = Client::open(&gateway, Transport::Tcp, "/stomp", "").await;
    let (mut stomp, connected) = Stomp::connect_beating(open, Version::V1_2, "10000,10000").await;
    assert_eq!(connected.headers.get("heart-beat"), Some("10000,10000"));
    for _ in 0..20 {
        let last = Instant::now();
        assert_eq!(stomp.event().await, Event::Beat);
        assert!(last.elapsed() <= Duration::from_secs(10), "{:?}", last.elapsed());
        stomp.send_text("\n").await;
    }
    // From now on it is silent.
    let last = Instant::now();
    let error = everywhere::expect_error_and_close(&mut stomp).await;
    assert_eq!(error.headers.get("message"), Some("heart-beat missing"));
    assert!((30.0..30.5).contains(&last.elapsed().as_secs_f64()), "{:?}", last.elapsed());
}

/// On the listener's own connections too, where no test clock runs.
#[tokio::test]
async fn a_connection_without_connect_is_told_and_closed() {
    let mut config = listening();
    config.stomp.connect_timeout = Duration::from_millis(50);
    let gateway = Gateway::start(config).await;
    for said in ["", "\n", "CONN", "CONNECT\naccept-version:1.2\n"] {
        let mut stream = gateway.connect_stomp().await;
        stream.write_all(said.as_bytes()).await.unwrap();
        let all = to_the_end(&mut stream).await;
        assert!(all.starts_with("ERROR\nmessage:no CONNECT in time\n"), "{said:?}: {all:?}");
        assert_eq!(commands(&all), ["ERROR"]);
    }
    until("their sessions to end", || tcp_sessions(&gateway) == 0).await;
}

/// A peer that takes nothing: it has `write_timeout`, counted from what it took last.
#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_cut_off_in_time() {
    let meter = Meter::install();
    let gateway = Gateway::in_memory(Config::default()).await;
    let mut stuck = backend(&gateway).await;
    stuck.subscribed("1", "/topic/a").await;
    let mut publisher = client(&gateway, Transport::Websocket, Version::V1_2).await;
    // More than the pipe between us holds, and less than would overflow the outbox.
    flood(&mut publisher).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(stuck.expect(Command::Message).await.body.len(), 50_000, "one that reads again in time is served");
    sleep(Duration::from_secs(29)).await;
    assert_eq!((tcp_sessions(&gateway), meter.limit_reached("write_timeout")), (1, 0));
    sleep(Duration::from_secs(2)).await;
    assert_eq!((tcp_sessions(&gateway), meter.limit_reached("write_timeout")), (0, 1));
    assert_eq!(gateway.core().broker().len(), (0, 0));
}

// ---- the end ----

/// It sends on and on after its mistake and does not look up. A close with bytes unread would be a reset: its writes would
/// fail, and the ERROR be lost.
#[tokio::test]
async fn the_error_arrives_although_the_client_keeps_sending() {
    let gateway = Gateway::start(listening()).await;
    let mut stream = gateway.connect_stomp().await;
    stream.write_all(format!("{CONNECT}SEND\nno destination here\n\n\0").as_bytes()).await.unwrap();
    let piece = vec![b'x'; 64 * 1024];
    for _ in 0..64 {
        within(Duration::from_secs(20), "the gateway to read", stream.write_all(&piece)).await.expect("no reset");
    }
    stream.shutdown().await.expect("no reset");
    let all = to_the_end(&mut stream).await;
    assert_eq!(commands(&all), ["CONNECTED", "ERROR"]);
    assert!(all.contains("message:malformed header\n"), "{all}");
}

/// At the end, too, neither direction waits for the other: here both pipes are full, and the client is still writing.
#[tokio::test(start_paused = true)]
async fn a_client_that_writes_to_its_end_before_it_reads_gets_all() {
    let gateway = Gateway::in_memory(Config::default()).await;
    let mut stream = gateway.connect_stomp().await;
    let send = format!("SEND\ndestination:/topic/a\n\n{}\0", "x".repeat(50_000));
    let bye = "DISCONNECT\nreceipt:bye\n\n\0";
    let said = format!("{CONNECT}{SUBSCRIBE}{send}{send}{send}{bye}{}", "\n".repeat(300_000));
    within(Duration::from_secs(60), "the gateway to read", stream.write_all(said.as_bytes())).await.expect("no reset");
    let all = to_the_end(&mut stream).await;
    assert_eq!(commands(&all), ["CONNECTED", "RECEIPT", "MESSAGE", "MESSAGE", "MESSAGE", "RECEIPT"]);
}

/// Such a client has a little time for its ERROR, and no more.
#[tokio::test(start_paused = true)]
async fn a_client_that_stays_after_the_end_is_left_after_two_seconds() {
    let gateway = Gateway::in_memory(Config::default()).await;
    let mut stream = gateway.connect_stomp().await;
    stream.write_all(b"JUMP\n\n\0").await.unwrap();
    let ended = Instant::now();
    assert_eq!(commands(&to_the_end(&mut stream).await), ["ERROR"]);
    assert_eq!((ended.elapsed(), tcp_sessions(&gateway)), (Duration::ZERO, 0), "the session waits for nobody");
    while stream.write_all(b"x").await.is_ok() {
        sleep(Duration::from_millis(100)).await;
    }
    assert!((2.0..2.2).contains(&ended.elapsed().as_secs_f64()), "{:?}", ended.elapsed());
}

#[tokio::test]
async fn disconnect_is_confirmed_and_then_the_gateway_ends_its_direction() {
    let gateway = Gateway::start(listening()).await;
    let mut stomp = backend(&gateway).await;
    stomp.subscribed("1", "/topic/a").await;
    stomp.confirmed(Frame::new(Command::Disconnect)).await;
    stomp.closed_with(1000).await;
    assert_eq!((tcp_sessions(&gateway), gateway.core().broker().len()), (0, (0, 0)));
}

/// `printf ... | nc` does this: it says all, ends its direction, and waits for the answers.
#[tokio::test(start_paused = true)]
async fn a_client_that_ended_its_direction_gets_what_is_queued() {
    let meter = Meter::install();
    let gateway = Gateway::in_memory(Config::default()).await;
    let mut stream = gateway.connect_stomp().await;
    // More than the pipe holds and a write takes, so most of it is still in the outbox at the end.
    let send = format!("SEND\ndestination:/topic/a\n\n{}\0", "x".repeat(50_000));
    let last = "SEND\ndestination:/topic/a\nreceipt:last\n\n\0";
    stream.write_all(format!("{CONNECT}{SUBSCRIBE}{}{last}", send.repeat(10)).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    // It is over at once, for itself and for others; then the client begins to read.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(meter.counter("towpath_sessions_closed_total", &[("reason", "end-of-stream")]), 1);
    assert_eq!(gateway.core().broker().len(), (0, 0));
    let all = to_the_end(&mut stream).await;
    let expected: Vec<_> = [&["CONNECTED", "RECEIPT"][..], &["MESSAGE"; 11], &["RECEIPT"]].concat();
    assert_eq!(commands(&all), expected, "{} bytes", all.len());
    assert_eq!(tcp_sessions(&gateway), 0);
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_at_the_end_of_the_stream_is_dropped() {
    let gateway = Gateway::in_memory(Config::default()).await;
    let mut listener = backend(&gateway).await;
    listener.subscribed("1", "/topic/a").await;
    let mut stream = gateway.connect_stomp().await;
    stream.write_all(format!("{CONNECT}SEND\ndestination:/topic/a\n\nnot all of it").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(commands(&to_the_end(&mut stream).await), ["CONNECTED"]);
    listener.publish("/topic/a", "own").await;
    assert_eq!(&listener.expect(Command::Message).await.body[..], b"own");
}

#[tokio::test]
async fn a_reset_ends_the_session() {
    let gateway = Gateway::start(listening()).await;
    let mut stomp = backend(&gateway).await;
    stomp.subscribed("1", "/topic/a").await;
    stomp.client.reset();
    until("the session to end", || tcp_sessions(&gateway) == 0).await;
    assert_eq!(gateway.core().broker().len(), (0, 0));
}

#[tokio::test]
async fn a_shutdown_is_told_after_what_is_queued() {
    let mut gateway = Gateway::start(listening()).await;
    let mut stomp = backend(&gateway).await;
    stomp.subscribed("1", "/topic/a").await;
    let mut silent = gateway.connect_stomp().await;
    until("both sessions", || tcp_sessions(&gateway) == 2).await;
    let begin = Instant::now();
    gateway.stop();
    let error = everywhere::expect_error_and_close(&mut stomp).await;
    assert_eq!(error.headers.get("message"), Some("session closed"));
    assert!(String::from_utf8_lossy(&error.body).contains("Server shutdown"), "{error:?}");
    assert_eq!(commands(&to_the_end(&mut silent).await), ["ERROR"]);
    drop(silent);
    // The other has not closed its end, and may still have to read.
    let mut stopped = std::pin::pin!(gateway.stopped());
    assert!(tokio::time::timeout(Duration::from_millis(50), stopped.as_mut()).await.is_err(), "it waits");
    drop(stomp);
    stopped.await;
    assert!(begin.elapsed() < Duration::from_secs(4), "nobody waits for the grace, nor for those who have left");
}

// ---- too many, too slow, nonsense ----

#[tokio::test]
async fn max_connections() {
    let meter = Meter::install();
    let mut config = listening();
    config.tcp.max_connections = 2;
    let gateway = Gateway::start(config).await;
    let (mut first, second) = (backend(&gateway).await, backend(&gateway).await);
    let mut third = gateway.connect_stomp().await;
    let refused = to_the_end(&mut third).await;
    assert!(refused.starts_with("ERROR\nmessage:too many connections\n"), "{refused:?}");
    assert_eq!((commands(&refused), meter.limit_reached("tcp.max_connections")), (vec!["ERROR"], 1));
    first.confirmed(Frame::new(Command::Send).with("destination", "/topic/a")).await;
    // The limits of both ports are apart, and a place is given back.
    client(&gateway, Transport::Websocket, Version::V1_2).await;
    drop(second);
    let served = async {
        loop {
            let mut next = gateway.connect_stomp().await;
            let mut beginning = [0; 9];
            if next.write_all(CONNECT.as_bytes()).await.is_ok()
                && next.read_exact(&mut beginning).await.is_ok()
                && beginning == *b"CONNECTED"
            {
                break;
            }
        }
    };
    within(Duration::from_secs(20), "a free place", served).await;
}

/// Connections that did not come from the listener are counted and told as well.
#[tokio::test(start_paused = true)]
async fn max_connections_without_a_listener() {
    let meter = Meter::install();
    let mut config = Config::default();
    config.tcp.max_connections = 1;
    let gateway = Gateway::in_memory(config).await;
    let mut first = backend(&gateway).await;
    let mut second = gateway.connect_stomp().await;
    second.write_all(CONNECT.as_bytes()).await.unwrap();
    assert_eq!(commands(&to_the_end(&mut second).await), ["ERROR"]);
    assert_eq!(meter.limit_reached("tcp.max_connections"), 1);
    first.confirmed(Frame::new(Command::Disconnect)).await;
    first.closed_with(1000).await;
    backend(&gateway).await;
}

/// What found room in the outbox arrives, and an ERROR says why there is no more.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_and_closed() {
    let meter = Meter::install();
    let mut config = Config::default();
    config.tcp.outbox_bytes = 100_000;
    let gateway = Gateway::in_memory(config).await;
    let mut slow = backend(&gateway).await;
    slow.subscribed("1", "/topic/a").await;
    let mut publisher = client(&gateway, Transport::Websocket, Version::V1_2).await;
    let mut sent = 0;
    while meter.limit_reached("outbox_bytes") == 0 {
        sent += 1;
        let send = Frame::new(Command::Send).with("destination", "/topic/a").with("number", sent.to_string());
        publisher.confirmed(send.with_body("x".repeat(10_000))).await;
        assert!(sent < 100, "the outbox is full in the end");
    }
    let mut heard = 0;
    let error = loop {
        let frame = slow.frame().await;
        if frame.command == Command::Error {
            break frame;
        }
        heard += 1;
        assert_eq!(frame.headers.get("number"), Some(&*heard.to_string()));
    };
    assert_eq!(heard, sent - 1, "all but the one that did not find room");
    assert!(String::from_utf8_lossy(&error.body).contains("Messages are not read fast enough"), "{error:?}");
    slow.closed_with(4500).await;
    assert_eq!(meter.counter("towpath_sessions_closed_total", &[("reason", "slow-consumer")]), 1);
    publisher.confirmed(Frame::new(Command::Send).with("destination", "/topic/a")).await;
}

/// One that never wakes up is forgotten after the linger, not after `write_timeout`.
#[tokio::test(start_paused = true)]
async fn a_stuck_reader_is_forgotten() {
    let mut config = Config::default();
    config.tcp.outbox_messages = 3;
    let gateway = Gateway::in_memory(config).await;
    let mut stuck = backend(&gateway).await;
    stuck.subscribed("1", "/topic/a").await;
    let mut publisher = client(&gateway, Transport::Websocket, Version::V1_2).await;
    flood(&mut publisher).await;
    assert_eq!(tcp_sessions(&gateway), 1, "it lingers");
    sleep(Duration::from_millis(2100)).await;
    assert_eq!(tcp_sessions(&gateway), 0);
}

/// A page in a browser can have its user's machine send such requests to any port, with frames in the body.
#[tokio::test]
async fn an_http_request_is_refused_with_all_that_follows() {
    let gateway = Gateway::start(listening()).await;
    let mut listener = backend(&gateway).await;
    listener.subscribed("1", "/topic/a").await;
    for request in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n"] {
        let mut stream = gateway.connect_stomp().await;
        let smuggled = format!("{request}\0{CONNECT}SEND\ndestination:/topic/a\n\nsmuggled\0");
        stream.write_all(smuggled.as_bytes()).await.unwrap();
        let all = to_the_end(&mut stream).await;
        assert!(all.starts_with("ERROR\nmessage:unknown command\n"), "{all:?}");
        assert_eq!(commands(&all), ["ERROR"]);
    }
    listener.publish("/topic/a", "own").await;
    assert_eq!(&listener.expect(Command::Message).await.body[..], b"own");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, before or after a CONNECT: at most one ERROR, then the end, and the neighbour notices nothing.
    #[test]
    fn garbage_is_answered_with_one_error_at_most(
        connected: bool,
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let gateway = Gateway::in_memory(Config::default()).await;
            let mut neighbour = backend(&gateway).await;
            neighbour.subscribed("1", "/topic/a").await;
            let mut stream = gateway.connect_stomp().await;
            if connected {
                stream.write_all(CONNECT.as_bytes()).await.unwrap();
            }
            for piece in &pieces {
                // It may have been closed already.
                let _ = stream.write_all(piece).await;
                sleep(Duration::from_millis(1)).await;
            }
            let _ = stream.shutdown().await;
            let all = to_the_end(&mut stream).await;
            let answer = commands(&all);
            let expected = if connected { &["CONNECTED", "ERROR"][..] } else { &["ERROR"][..] };
            assert!(expected.starts_with(&answer) && answer.len() >= expected.len() - 1, "{answer:?}");
            neighbour.publish("/topic/a", "own").await;
            assert_eq!(&neighbour.expect(Command::Message).await.body[..], b"own");
            assert_eq!(tcp_sessions(&gateway), 1);
        });
    }
}

/// A backend without heart-beats that vanishes without a word holds messages that others could have. The system asks after
/// it; what it is to ask stands in the kernel's table of sockets.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_silent_peer_is_asked_for_a_sign_of_life() {
    const PROBING: &str = "02:";
    for (keepalive, asked) in [(Duration::from_secs(60), true), (Duration::ZERO, false)] {
        let mut config = listening();
        config.tcp.keepalive = keepalive;
        let gateway = Gateway::start(config).await;
        let backend = backend(&gateway).await;
        let Connector::Tcp(_, Some(address)) = gateway.connector() else { panic!("it listens") };
        let port = address.port();
        let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
        let established = |row: &&str| {
            let fields: Vec<_> = row.split_whitespace().collect();
            fields[1].ends_with(&format!(":{port:04X}")) && fields[3] == "01"
        };
        let rows: Vec<_> = table.lines().filter(established).collect();
        assert_eq!(rows.len(), 1, "{table}");
        assert_eq!(
            rows[0].split_whitespace().nth(5).is_some_and(|timer| timer.starts_with(PROBING)),
            asked,
            "{rows:?}"
        );
        drop(backend);
    }
}
