//! The rules of the websocket layer (RFC 6455) on both kinds of websocket: pings and pongs, what may be sent how, and the close
//! code for everything that may not. Broken frames are written byte by byte, since no client would send them.

mod support;

use std::time::Duration;

use support::metrics::Meter;
use support::stomp::Stomp;
use support::{
    Client, Ended, Frame, Gateway, Http, Request, Transport, WebSocket, echo, serving, test_services, within,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::protocol::frame::Frame as Piece;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use towpath::config::Endpoint;
use towpath::stomp::Version;

const SOCKJS: &str = "/echo/0/0/websocket";
const RAW: &str = "/echo/websocket";

/// A raw websocket on an echo endpoint, or a SockJS one with its open frame read.
async fn open(gateway: &Gateway, target: &str) -> WebSocket {
    let mut socket = WebSocket::connect(gateway.connector(), target).await;
    if target == SOCKJS {
        assert_eq!(socket.next_text().await, "o");
    }
    socket
}

/// Sends a text and expects its echo.
async fn assert_talks(socket: &mut WebSocket, target: &str) {
    let text = if target == SOCKJS { r#"["hello"]"# } else { "hello" };
    socket.send_text(text).await;
    assert_eq!(socket.next_text().await, if target == SOCKJS { r#"a["hello"]"# } else { "hello" });
}

#[tokio::test]
async fn pings_are_answered_with_their_payload() {
    let gateway = Gateway::start(test_services()).await;
    for target in [SOCKJS, RAW] {
        let mut socket = open(&gateway, target).await;
        for payload in ["", "are you there?"] {
            socket.send(Message::Ping(payload.into())).await;
            assert_eq!(socket.next().await, Some(Message::Pong(payload.into())));
        }
        socket.send(Message::Pong("nobody asked".into())).await;
        assert_talks(&mut socket, target).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_socket_is_pinged_and_lives_as_long_as_it_answers() {
    let gateway = Gateway::in_memory(test_services()).await;
    for target in [SOCKJS, RAW] {
        let mut socket = open(&gateway, target).await;
        let opened = Instant::now();
        for beat in 1..=4 {
            let mut packets = vec![socket.next().await];
            if target == SOCKJS {
                // The ping is for the gateway, `h` for the page, which cannot see pings.
                packets.push(socket.next().await);
                assert!(packets.contains(&Some(Message::text("h"))), "{packets:?}");
            }
            assert!(packets.contains(&Some(Message::Ping("".into()))), "{packets:?}");
            let (due, elapsed) = (Duration::from_secs(25) * beat, opened.elapsed());
            assert!((due..due + Duration::from_millis(100)).contains(&elapsed), "{elapsed:?}");
        }
        assert_talks(&mut socket, target).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_talks_is_not_pinged() {
    let gateway = Gateway::in_memory(test_services()).await;
    let mut socket = open(&gateway, RAW).await;
    for _ in 0..10 {
        sleep(Duration::from_secs(20)).await;
        socket.send_text("hello").await;
        assert_eq!(socket.next().await, Some(Message::text("hello")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_without_pong_ends_the_socket_after_pong_timeout() {
    let gateway = Gateway::in_memory(test_services()).await;
    for target in [SOCKJS, RAW] {
        let mut socket = open(&gateway, target).await;
        // It does not read, so it does not answer; pinged after 25 s, given up 10 s later.
        sleep(Duration::from_millis(34_900)).await;
        assert_eq!(gateway.sessions("/echo"), (1, 0));
        sleep(Duration::from_millis(300)).await;
        let mut last = socket.next_data().await;
        if target == SOCKJS {
            assert_eq!(last, Some(Message::text("h")));
            last = socket.next_data().await;
            assert_eq!(last, Some(Message::text(r#"c[3000,"No response from heartbeat"]"#)));
            last = socket.next_data().await;
        }
        let Some(Message::Close(Some(close))) = last else { panic!("a close frame was due, not {last:?}") };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (3000, "No response from heartbeat"));
        sleep(Duration::from_secs(3)).await;
        assert_eq!(gateway.sessions("/echo"), (0, 0));
    }
}

#[tokio::test]
async fn the_peer_s_close_is_answered_and_ends_the_session() {
    let gateway = Gateway::start(test_services()).await;
    for target in [SOCKJS, RAW] {
        for (code, answer) in
            [(None, None), (Some(1000), Some(1000)), (Some(1001), Some(1001)), (Some(4001), Some(4001))]
        {
            let socket = open(&gateway, target).await;
            let told = socket.close(code).await.unwrap_or_else(|| panic!("{target} {code:?}: no answer"));
            assert_eq!(told.map(|(code, _)| code), answer, "{target} {code:?}");
            assert_eq!(gateway.sessions("/echo"), (0, 0), "{target} {code:?}");
        }
    }
}

#[tokio::test]
async fn close_codes_of_sockjs_are_those_that_may_be_sent() {
    let mut gateway = Gateway::start(test_services()).await;
    let mut closed = Client::open(&gateway, Transport::Websocket, "/close", "closed").await;
    assert_eq!(closed.next().await, Frame::Open);
    assert_eq!(closed.next().await, Frame::Close(3000, "Go away!".to_owned()));
    assert_eq!(closed.try_next().await, Err(Ended::Closed(Some((3000, "Go away!".to_owned())))));

    // 1001 is told in the SockJS frame, where any code may stand; a browser's websocket has it as 1000.
    let mut down = Client::open(&gateway, Transport::Websocket, "/echo", "down").await;
    assert_eq!(down.next().await, Frame::Open);
    let mut raw = open(&gateway, RAW).await;
    gateway.stop();
    assert_eq!(down.next().await, Frame::Close(1001, "Server shutdown".to_owned()));
    assert_eq!(down.try_next().await, Err(Ended::Closed(Some((1000, "Server shutdown".to_owned())))));
    assert_eq!(raw.next_close().await, (1001, "Server shutdown".to_owned()));
}

#[tokio::test]
async fn nothing_follows_a_close_frame() {
    let gateway = Gateway::start(test_services()).await;
    let mut socket = WebSocket::connect(gateway.connector(), "/farewell/0/0/websocket").await;
    assert_eq!(socket.next_text().await, "o");
    socket.send_text(r#"["bye"]"#).await;
    socket.send_text(r#"["after"]"#).await;
    assert_eq!(socket.next_text().await, r#"a["bye"]"#);
    assert_eq!(socket.next_text().await, r#"c[3000,"Go away!"]"#);
    assert_eq!(socket.next_close().await, (3000, "Go away!".to_owned()));
}

#[tokio::test]
async fn binary_is_text_to_sockjs_and_itself_to_a_raw_socket() {
    let gateway = Gateway::start(test_services()).await;
    let mut sockjs = open(&gateway, SOCKJS).await;
    sockjs.send(Message::binary(r#"["é"]"#.as_bytes())).await;
    assert_eq!(sockjs.next_text().await, r#"a["é"]"#);
    sockjs.send(Message::binary(b"[\"\xff\"]".as_slice())).await;
    assert_eq!(sockjs.next_close().await, (3000, "Broken framing.".to_owned()));

    let mut raw = open(&gateway, RAW).await;
    for bytes in [b"\xff\0\xfe".as_slice(), b"text", b""] {
        raw.send(Message::binary(bytes)).await;
        assert_eq!(raw.next().await, Some(Message::binary(bytes)));
    }
}

#[tokio::test]
async fn empty_messages_are_nothing_to_sockjs_and_messages_to_a_raw_socket() {
    let gateway = Gateway::start(test_services()).await;
    let mut sockjs = open(&gateway, SOCKJS).await;
    for nothing in [Message::text(""), Message::binary(""), Message::text("[]"), Message::text(" \t\r\n[ ] ")] {
        sockjs.send(nothing).await;
    }
    assert_talks(&mut sockjs, SOCKJS).await;

    let mut raw = open(&gateway, RAW).await;
    raw.send_text("").await;
    assert_eq!(raw.next().await, Some(Message::text("")));
    assert_talks(&mut raw, RAW).await;
}

#[tokio::test]
async fn sockjs_takes_arrays_with_space_around_and_bare_strings() {
    let gateway = Gateway::start(test_services()).await;
    let mut socket = open(&gateway, SOCKJS).await;
    for (payload, echo) in [
        (" \r\n\t[ \"a\" , \"b\" ] \n", r#"a["a","b"]"#),
        (r#" "a bare string" "#, r#"a["a bare string"]"#),
        (r#""[\"no array\"]""#, r#"a["[\"no array\"]"]"#),
        (r#"["\ud83d\ude00\ud800"]"#, r#"a["\ud83d\ude00"#),
    ] {
        socket.send_text(payload).await;
        let frame = socket.next_text().await;
        assert!(frame.starts_with(echo), "{payload}: {frame}");
    }
}

/// A data frame that is a part of a message.
fn piece(bytes: &'static [u8], first: bool, last: bool) -> Message {
    let code = if first { Data::Text } else { Data::Continue };
    Message::Frame(Piece::message(Bytes::from_static(bytes), OpCode::Data(code), last))
}

#[tokio::test]
async fn fragments_are_put_together() {
    let gateway = Gateway::start(test_services()).await;
    let mut socket = open(&gateway, SOCKJS).await;
    // Cut within an escape, within a character, with nothing in between and with a ping in between.
    socket.send(piece(b"[\"\\u00", true, false)).await;
    socket.send(piece(b"", false, false)).await;
    socket.send(piece(b"41\xc3", false, false)).await;
    socket.send(Message::Ping("still there?".into())).await;
    socket.send(piece(b"\xa9\"]", false, true)).await;
    assert_eq!(socket.next().await, Some(Message::Pong("still there?".into())));
    assert_eq!(socket.next_text().await, r#"a["Aé"]"#);
}

/// A STOMP client on a raw websocket that speaks only in binary messages is spoken to in the same way, heart-beats and all.
#[tokio::test(start_paused = true)]
async fn who_only_sends_binary_is_sent_binary() {
    let gateway = Gateway::in_memory(test_services()).await;
    let mut socket = WebSocket::connect(gateway.connector(), "/stomp/websocket").await;
    let connect = b"CONNECT\naccept-version:1.2\nhost:h\nheart-beat:0,10000\n\n\0";
    let send = b"SEND\ndestination:/topic/a\nreceipt:r\n\n\0";
    socket.send(Message::binary(connect.as_slice())).await;
    let connected = socket.next_data().await;
    assert!(matches!(&connected, Some(Message::Binary(bytes)) if bytes.starts_with(b"CONNECTED\n")), "{connected:?}");
    assert_eq!(socket.next_data().await, Some(Message::binary(b"\n".as_slice())), "a heart-beat");
    socket.send(Message::binary(send.as_slice())).await;
    assert_eq!(socket.next_data().await, Some(Message::binary(b"RECEIPT\nreceipt-id:r\n\n\0".as_slice())));

    // From its first text on it is sent text, though it may go on in binary.
    socket.send(Message::text("\n")).await;
    for _ in 0..2 {
        socket.send(Message::binary(send.as_slice())).await;
        assert_eq!(socket.next_data().await, Some(Message::text("RECEIPT\nreceipt-id:r\n\n\0")));
    }
    assert_eq!(socket.next_data().await, Some(Message::text("\n")), "a heart-beat");
}

/// Who has said nothing yet is sent text, and so is every SockJS client, whose frames are text.
#[tokio::test(start_paused = true)]
async fn who_has_said_nothing_or_speaks_sockjs_is_sent_text() {
    let gateway = Gateway::in_memory(test_services()).await;
    let mut silent = WebSocket::connect(gateway.connector(), "/stomp/websocket").await;
    let error = silent.next_text().await;
    assert!(error.starts_with("ERROR\nmessage:no CONNECT in time\n"), "{error}");
    let mut socket = open(&gateway, SOCKJS).await;
    socket.send(Message::binary(b"[\"x\"]".as_slice())).await;
    assert_eq!(socket.next_text().await, r#"a["x"]"#);
}

/// A websocket of which every byte is the test's own.
struct ByteSocket {
    stream: support::Stream,
}

impl ByteSocket {
    /// Shakes hands, with `early` in the same packet.
    async fn open(gateway: &Gateway, target: &str, early: &[u8]) -> Self {
        let mut http = Http::new(gateway.connect().await);
        let mut bytes = Request::websocket(target).to_bytes();
        bytes.extend_from_slice(early);
        http.send_raw(&bytes).await;
        // Read byte by byte: what follows the head belongs to the socket.
        let (none, mut stream) = http.into_parts();
        assert!(none.is_empty());
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(stream.patience(), "the handshake", stream.read_u8()).await.expect("a handshake"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        let mut socket = Self { stream };
        if target == SOCKJS {
            assert_eq!(socket.read().await, Some((0x81, b"o".to_vec())));
        }
        socket
    }

    async fn write(&mut self, bytes: &[u8]) {
        within(self.stream.patience(), "the gateway to read", self.stream.write_all(bytes)).await.expect("it is open");
    }

    /// First byte and payload of the next frame; `None` at the end of the stream.
    async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let patience = self.stream.patience();
        let read = async {
            let first = self.stream.read_u8().await.ok()?;
            let length = self.stream.read_u8().await.ok()?;
            assert!(length < 126, "servers do not mask, and these frames are short");
            let mut payload = vec![0; usize::from(length)];
            self.stream.read_exact(&mut payload).await.ok()?;
            Some((first, payload))
        };
        within(patience, "a frame", read).await
    }
}

/// A frame as a client writes it, masked with zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u8::try_from(payload.len()) {
        Ok(short) if short < 126 => bytes.push(0x80 | short),
        _ => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&u16::try_from(payload.len()).expect("a short payload").to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

/// Sends bytes over both kinds of websocket, which must then end with a close frame of this code.
async fn assert_fault(code: u16, name: &str, bytes: &[u8]) {
    let gateway = Gateway::start(test_services()).await;
    let mut bystander = open(&gateway, RAW).await;
    for target in [SOCKJS, RAW] {
        let mut socket = ByteSocket::open(&gateway, target, b"").await;
        socket.write(bytes).await;
        let (first, payload) = socket.read().await.unwrap_or_else(|| panic!("{name}: no close frame"));
        assert_eq!(first, 0x88, "{name}: a close frame, whole");
        let told = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        assert_eq!(told, Some(code), "{name}");
        assert!(std::str::from_utf8(&payload[2..]).is_ok_and(|reason| !reason.is_empty()), "{name}: in words too");
        // The answer to it, as a client would give it.
        let _ = socket.stream.write_all(&masked(0x88, &code.to_be_bytes())).await;
        assert_eq!(socket.read().await, None, "{name}: nothing after the close frame");
    }
    assert_talks(&mut bystander, RAW).await;
    assert_eq!(gateway.sessions("/echo"), (1, 0), "{name}: only the bystander is left");
}

#[tokio::test]
async fn protocol_errors_are_closed_with_1002() {
    for (name, bytes) in [
        ("a frame that is not masked", b"\x81\x02[]".to_vec()),
        ("a reserved bit", masked(0xc1, b"[]")),
        ("another reserved bit", masked(0x91, b"[]")),
        ("a reserved opcode for data", masked(0x83, b"[]")),
        ("a reserved opcode for control", masked(0x8b, b"")),
        ("a ping in fragments", masked(0x09, b"")),
        ("a ping of 126 bytes", masked(0x89, &[b'x'; 126])),
        ("the continuation of nothing", masked(0x80, b"[]")),
        ("a message within a message", [masked(0x01, b"["), masked(0x81, b"]")].concat()),
    ] {
        assert_fault(1002, name, &bytes).await;
    }
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_closed_with_1007() {
    for (name, bytes) in [
        ("a byte of no character", masked(0x81, b"[\"\xff\"]")),
        ("a surrogate", masked(0x81, b"[\"\xed\xa0\x80\"]")),
        ("an overlong form", masked(0x81, b"[\"\xc0\xaf\"]")),
        ("half a character at the end", masked(0x81, b"[\"\xc3")),
        ("in the second fragment", [masked(0x01, b"[\""), masked(0x80, b"\xff\"]")].concat()),
    ] {
        assert_fault(1007, name, &bytes).await;
    }
}

#[tokio::test]
async fn faults_of_close_frames_are_answered_and_end_the_socket() {
    let gateway = Gateway::start(test_services()).await;
    for (name, payload) in [
        ("half a code", b"\x03".as_slice()),
        ("1005, which nobody may send", b"\x03\xed"),
        ("1006, which nobody may send", b"\x03\xee"),
        ("999", b"\x03\xe7"),
        ("a reason that is not UTF-8", b"\x03\xe8\xff"),
    ] {
        let mut socket = ByteSocket::open(&gateway, RAW, b"").await;
        socket.write(&masked(0x88, payload)).await;
        let (first, told) = socket.read().await.unwrap_or_else(|| panic!("{name}: no close frame"));
        assert_eq!(first, 0x88, "{name}");
        let code = told.first_chunk().map(|code| u16::from_be_bytes(*code));
        assert!(matches!(code, Some(1002 | 1007)), "{name}: {code:?}");
        assert_eq!(socket.read().await, None, "{name}");
        assert_eq!(gateway.sessions("/echo"), (0, 0), "{name}");
    }
}

#[tokio::test]
async fn messages_that_are_too_large_are_closed_with_1009() {
    let meter = Meter::install();
    let gateway = Gateway::start(serving([Endpoint { max_message: 1000, max_body: 6000, ..echo() }])).await;
    for (target, limit, key) in [(RAW, 1000, "max_message"), (SOCKJS, 6000, "max_body")] {
        let whole = masked(0x81, &vec![b' '; limit + 1]);
        // Only the length: what it announces never comes, and need not.
        let announced = [&[0x81, 0xff][..], &u64::MAX.to_be_bytes()[1..], &[0xff], &[0; 4]].concat();
        let announced_small = [&[0x81, 0xff][..], &0x4000_0000_u64.to_be_bytes(), &[0; 4]].concat();
        let half = vec![b' '; limit / 2 + 1];
        let fragments = [masked(0x01, &half), masked(0x80, &half)].concat();
        for (name, bytes, codes) in [
            ("in one frame", whole, [1009, 1009]),
            ("announced, a gigabyte", announced_small, [1009, 1009]),
            ("announced, beyond what lengths may be", announced, [1009, 1002]),
            ("in fragments that are small", fragments, [1009, 1009]),
        ] {
            let before = meter.limit_reached(key);
            let mut socket = ByteSocket::open(&gateway, target, b"").await;
            socket.write(&bytes).await;
            let (first, payload) = socket.read().await.unwrap_or_else(|| panic!("{target} {name}: no close frame"));
            let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            assert!(first == 0x88 && codes.contains(&code.unwrap_or(0)), "{target} {name}: {code:?}");
            if code == Some(1009) {
                assert_eq!(meter.limit_reached(key), before + 1, "{target} {name}");
            }
        }
        // The largest that fits.
        let mut socket = open(&gateway, target).await;
        let largest = if target == RAW { "x".repeat(limit) } else { format!("{}[\"x\"]", " ".repeat(limit - 5)) };
        socket.send_text(&largest).await;
        assert_eq!(socket.next_text().await, if target == RAW { largest } else { r#"a["x"]"#.to_owned() });
    }
}

#[tokio::test]
async fn messages_of_an_array_have_limits_too() {
    let meter = Meter::install();
    let gateway = Gateway::start(serving([Endpoint { max_message: 10, max_messages: 2, ..echo() }])).await;
    for (payload, limit) in [(r#"["12345678901"]"#, "max_message"), (r#"["1","2","3"]"#, "max_messages")] {
        let mut socket = open(&gateway, SOCKJS).await;
        socket.send_text(payload).await;
        assert_eq!(socket.next_close().await, (1009, "Message too large".to_owned()));
        assert_eq!(meter.limit_reached(limit), 1);
    }
}

#[tokio::test]
async fn what_is_sent_with_the_handshake_is_not_lost() {
    let gateway = Gateway::start(test_services()).await;
    let mut socket = ByteSocket::open(&gateway, SOCKJS, &masked(0x81, br#"["early"]"#)).await;
    assert_eq!(socket.read().await, Some((0x81, br#"a["early"]"#.to_vec())));
    let mut socket = ByteSocket::open(&gateway, RAW, &masked(0x81, b"early")).await;
    assert_eq!(socket.read().await, Some((0x81, b"early".to_vec())));
}

#[tokio::test]
async fn half_a_frame_and_then_nothing_ends_with_the_connection() {
    let gateway = Gateway::start(test_services()).await;
    for half in [&b"\x81"[..], b"\x81\x85\0\0", b"\x81\x85\0\0\0\0[\"x", &masked(0x01, b"[\"x")] {
        let mut socket = ByteSocket::open(&gateway, SOCKJS, b"").await;
        socket.write(half).await;
        drop(socket);
    }
    let mut socket = open(&gateway, SOCKJS).await;
    assert_talks(&mut socket, SOCKJS).await;
    assert_eq!(gateway.sessions("/echo"), (1, 0));
}

#[tokio::test]
async fn handshakes_that_are_wrong_are_told_what_is() {
    let gateway = Gateway::start(test_services()).await;
    let handshake = |connection, upgrade, version, key| {
        let mut request = Request::get(SOCKJS);
        for (name, value) in [
            ("Connection", connection),
            ("Upgrade", upgrade),
            ("Sec-WebSocket-Version", version),
            ("Sec-WebSocket-Key", key),
        ] {
            if !str::is_empty(value) {
                request = request.header(name, value);
            }
        }
        request
    };
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    for (request, complaint) in [
        (handshake("Upgrade", "", "13", key), "WebSocket"),
        (handshake("Upgrade", "h2c", "13", key), "WebSocket"),
        (handshake("", "websocket", "13", key), "Connection"),
        (handshake("close", "websocket", "13", key), "Connection"),
        (handshake("Upgrade", "websocket", "", key), "RFC 6455"),
        (handshake("Upgrade", "websocket", "8", key), "RFC 6455"),
        (handshake("Upgrade", "websocket", "14", key), "RFC 6455"),
        (handshake("Upgrade", "websocket", "13", ""), "Sec-WebSocket-Key"),
        (handshake("Upgrade", "websocket", "13", "dG9vIHNob3J0"), "Sec-WebSocket-Key"),
        (handshake("Upgrade", "websocket", "13", "not base64, and as long"), "Sec-WebSocket-Key"),
    ] {
        let response = gateway.request(request).await;
        assert_eq!(response.status, 400, "{complaint}");
        assert!(response.text().contains(complaint), "{}", response.text());
        assert_eq!(response.header("Sec-WebSocket-Version"), Some("13"));
        assert_eq!(response.header("Sec-WebSocket-Accept"), None);
    }
    assert_eq!(gateway.sessions("/echo"), (0, 0));
    for (connection, upgrade) in
        [("keep-alive, Upgrade", "websocket"), ("upgrade", "WebSocket"), ("UPGRADE", "h2c, websocket")]
    {
        let head = gateway.http().await.exchange(&handshake(connection, upgrade, "13", key)).await;
        assert_eq!(head.status, 101, "{connection}, {upgrade}");
    }
}

/// The subprotocol that a handshake with this offer is answered with.
async fn chosen(gateway: &Gateway, target: &str, offers: &[&str]) -> Option<String> {
    let mut request = Request::websocket(target);
    for offer in offers {
        request = request.header("Sec-WebSocket-Protocol", offer);
    }
    let head = gateway.http().await.exchange(&request).await;
    assert_eq!(head.status, 101, "{target} {offers:?}");
    head.header("Sec-WebSocket-Protocol").map(str::to_owned)
}

#[tokio::test]
async fn the_highest_stomp_subprotocol_that_is_offered_is_chosen() {
    let gateway = Gateway::start(test_services()).await;
    for target in ["/stomp/websocket", "/stomp", "/stomp/"] {
        for (offers, expected) in [
            (&["v10.stomp, v11.stomp, v12.stomp"][..], Some("v12.stomp")),
            (&["v12.stomp, v11.stomp"], Some("v12.stomp")),
            (&["v10.stomp", "v11.stomp"], Some("v11.stomp")),
            (&["v10.stomp"], Some("v10.stomp")),
            (&["mine,v11.stomp"], Some("v11.stomp")),
            (&["mine"], None),
            (&["v13.stomp", "constructor", "__proto__"], None),
            (&[], None),
        ] {
            assert_eq!(chosen(&gateway, target, offers).await.as_deref(), expected, "{target} {offers:?}");
        }
    }
    // SockJS has its own framing, and an echo is no STOMP.
    for target in ["/stomp/0/0/websocket", SOCKJS, RAW] {
        assert_eq!(chosen(&gateway, target, &["v12.stomp"]).await, None, "{target}");
    }
}

#[tokio::test]
async fn a_stomp_client_may_upgrade_at_the_endpoint_itself() {
    let gateway = Gateway::start(test_services()).await;
    for target in ["/stomp", "/stomp/", "/stomp/websocket"] {
        let headers = [("Sec-WebSocket-Protocol", "v12.stomp")];
        let mut socket = WebSocket::connect_with(gateway.connector(), target, &headers).await.expect("a handshake");
        socket.send_text("CONNECT\naccept-version:1.2\nhost:localhost\n\n\0").await;
        let connected = socket.next_text().await;
        assert!(connected.starts_with("CONNECTED\n") && connected.contains("\nversion:1.2\n"), "{connected}");
    }
    // Without an upgrade it is the greeting, and other services know no such shortcut.
    assert_eq!(gateway.request(Request::get("/stomp")).await.text(), "Welcome to SockJS!\n");
    let echo = gateway.request(Request::websocket("/echo")).await;
    assert_eq!((echo.status, echo.text().as_str()), (200, "Welcome to SockJS!\n"));
}

#[tokio::test]
async fn stomp_over_a_raw_websocket_takes_frames_in_pieces() {
    let gateway = Gateway::start(test_services()).await;
    let client = Client::open(&gateway, Transport::RawWebsocket, "/stomp", "").await;
    let mut stomp = Stomp::connect(client, Version::V1_2).await;
    stomp.subscribed("1", "/topic/a").await;
    let socket = stomp.client.socket().expect("a websocket");
    // One frame over three messages, text and binary, one of them in fragments.
    socket.send(Message::text("SEND\ndestin")).await;
    socket.send(Message::binary(b"ation:/topic/a\n".as_slice())).await;
    socket.send(piece(b"\nhal", true, false)).await;
    socket.send(piece(b"lo\0", false, true)).await;
    assert_eq!(&stomp.frame().await.body[..], b"hallo");
}
