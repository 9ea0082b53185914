//! The rules of websockets themselves, as a SockJS server keeps them: control frames, pieces of messages, and what has to end
//! the conversation.
//!
//! Does not know: which close code a server gives for what.

use super::websocket::{frame, messages};
use super::{check, lives, open_websocket, same};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::socket::Socket;
use crate::conformance::sockjs::visit::decoded;
use crate::conformance::{Check, Level, Stop};
use crate::wire::{Opcode, Request, WebSocketFrame, shown};

const GROUP: &str = "websocket";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Must,
        GROUP,
        "websocket.connection-list",
        "RFC 6455, section 4.2.1",
        "Connection may be a list with upgrade in it, in any case",
        "Firefox says `keep-alive, Upgrade`. A server that compares the whole header has no websockets for its users.",
        |probe| Box::pin(connection_list(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "websocket.connection-needed",
        "RFC 6455, section 4.2.1",
        "a handshake whose Connection header does not name the upgrade is no handshake, whatever else it has",
        "Connection is about one hop: a proxy that does not name the upgrade there still talks HTTP. A server that upgrades all \
         the same talks websocket to it, and whose request comes next on that connection nobody knows.",
        |probe| Box::pin(connection_needed(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "websocket.version",
        "RFC 6455, section 4.4",
        "a handshake of version 8 is refused with 400 or 426",
        "Nothing speaks the drafts any more but old scripts and scanners. A server that takes them runs code that nobody has \
         tested for ten years.",
        |probe| Box::pin(version(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "websocket.fragmented",
        "RFC 6455, section 5.4",
        "a message in pieces is put together, with control frames between them",
        "Browsers and proxies cut large messages where they like, in the middle of a character too.",
        |probe| Box::pin(fragmented(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "websocket.ping-is-answered",
        "RFC 6455, section 5.5.2",
        "a ping is answered with a pong that has its payload",
        "Proxies and clients other than browsers find out so whether the server is still there, and hang up if it is silent.",
        |probe| Box::pin(ping_is_answered(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "websocket.close-is-answered",
        "RFC 6455, section 5.5.1",
        "a close frame is answered with one, and then the connection ends",
        "Otherwise the browser waits for its time-out and reports 1006, an accident, for every page that says goodbye.",
        |probe| Box::pin(close_is_answered(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "websocket.unmasked-refused",
        "RFC 6455, section 5.1",
        "a frame without a mask ends the websocket",
        "The mask keeps a page from writing what a proxy takes for a request. A server that does without it lets the page of an \
         attacker poison the proxy's cache for everybody behind it.",
        |probe| Box::pin(unmasked_refused(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "websocket.reserved-opcode-refused",
        "RFC 6455, section 5.2",
        "a frame with an opcode or a bit that means nothing ends the websocket",
        "Whoever sends one speaks another protocol, or the two have lost step. To go on is to read the middle of a frame as the \
         beginning of the next.",
        |probe| Box::pin(reserved_opcode_refused(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "websocket.invalid-utf8-refused",
        "RFC 6455, section 8.1",
        "text that is no UTF-8 ends the websocket",
        "What is broken here is broken for all to whom it is passed on: a browser that is sent it ends its own connection.",
        |probe| Box::pin(invalid_utf8_refused(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "websocket.oversized-control-refused",
        "RFC 6455, section 5.5",
        "a ping of more than 125 bytes, or in pieces, ends the websocket",
        "Control frames are short so that they can be answered from a small buffer at any time. A server that answers large \
         ones doubles what an attacker sends.",
        |probe| Box::pin(oversized_control_refused(probe)),
    ),
];

async fn connection_list(probe: &Probe) -> Result<(), Stop> {
    for connection in ["keep-alive, Upgrade", "keep-alive,upgrade"] {
        let visit = probe.echo();
        // Whether there are websockets at all.
        open_websocket(&visit.another()).await?;
        let request = Request::websocket(visit.session("/websocket")).without("Connection");
        let mut socket = visit.websocket(&request.header("Connection", connection)).await?;
        socket.expect("o").await?;
    }
    Ok(())
}

async fn connection_needed(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    open_websocket(&visit.another()).await?;
    for connection in ["close", "keep-alive"] {
        let request = Request::websocket(visit.session("/websocket")).without("Connection");
        if visit.handshake(&request.header("Connection", connection)).await?.is_ok() {
            let seen = format!("an open websocket with Connection: {connection}");
            return Err(visit.fail(seen, "status 400, or another one that is not 101"));
        }
    }
    visit.done()
}

async fn version(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    open_websocket(&visit.another()).await?;
    for version in ["8", "7", "99"] {
        let request = Request::websocket(visit.session("/websocket")).without("Sec-WebSocket-Version");
        match visit.handshake(&request.header("Sec-WebSocket-Version", version)).await? {
            Err(head) if matches!(head.status, 400 | 426) => {}
            Err(head) => return Err(visit.fail(shown(head.text()), "status 400 or 426")),
            Ok(_) => return Err(visit.fail(format!("an open websocket of version {version}"), "status 400 or 426")),
        }
    }
    visit.done()
}

async fn fragmented(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_websocket(&visit).await?;
    let piece =
        |opcode, payload: &'static [u8], last| WebSocketFrame { last, ..WebSocketFrame::control(opcode, payload) };
    // Cut within an escape, with nothing in between, and within a character.
    socket.send_frame(&piece(Opcode::Text, b"[\"\\u00", false)).await?;
    socket.send_frame(&piece(Opcode::Continuation, b"", false)).await?;
    socket.send_frame(&piece(Opcode::Continuation, b"41 \xc3", false)).await?;
    socket.ping(b"between").await?;
    socket.send_frame(&piece(Opcode::Continuation, b"\xa9\"]", true)).await?;
    // The pong and the echo come when they come.
    let wanted = "a pong with \"between\", and the echo of the whole message";
    let (mut answered, mut echoed) = (false, false);
    while !(answered && echoed) {
        let seen = frame(&mut socket, wanted).await?;
        match seen.opcode {
            Opcode::Pong if seen.payload == "between" => answered = true,
            Opcode::Text => {
                let seen = decoded(&String::from_utf8_lossy(&seen.payload)).unwrap_or_default();
                same(&visit, &seen, &["A \u{e9}"])?;
                echoed = true;
            }
            _ => return Err(socket.fail(format!("{seen:?}"), wanted)),
        }
    }
    visit.done()
}

/// The next frame is a pong with this.
async fn pong(socket: &mut Socket, payload: &[u8]) -> Result<(), Stop> {
    let wanted = format!("a pong with {}", shown(payload));
    let seen = frame(socket, &wanted).await?;
    match seen.opcode == Opcode::Pong && seen.payload == payload {
        true => Ok(()),
        false => Err(socket.fail(format!("{seen:?}"), wanted)),
    }
}

async fn ping_is_answered(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_websocket(&visit).await?;
    for payload in [&b""[..], b"are you there?", b"\x00\xff binary"] {
        socket.ping(payload).await?;
        pong(&mut socket, payload).await?;
    }
    // A pong that nobody asked for is nothing.
    socket.send_frame(&WebSocketFrame::control(Opcode::Pong, "unasked")).await?;
    socket.send(r#"["x"]"#).await?;
    same(&visit, &messages(&mut socket, 1).await?, &["x"])
}

async fn close_is_answered(probe: &Probe) -> Result<(), Stop> {
    for close in [WebSocketFrame::close(1000), WebSocketFrame::close(4001), WebSocketFrame::control(Opcode::Close, "")]
    {
        let visit = probe.echo();
        let mut socket = open_websocket(&visit).await?;
        socket.send_frame(&close).await?;
        let wanted = "a close frame, and the end of the connection";
        let seen = frame(&mut socket, wanted).await?;
        if seen.opcode != Opcode::Close {
            return Err(socket.fail(format!("{seen:?}"), wanted));
        }
        visit.closed(socket.websocket().connection()).await?;
    }
    Ok(())
}

/// Bytes after which the websocket ends, and nothing is echoed before that; and the server lives.
async fn refused(probe: &Probe, kinds: &[Vec<u8>]) -> Result<(), Stop> {
    let visit = probe.echo();
    for bytes in kinds {
        let visit = visit.another();
        let mut socket = open_websocket(&visit).await?;
        socket.send_bytes(bytes).await?;
        socket.ends().await?;
    }
    lives(&visit).await
}

async fn unmasked_refused(probe: &Probe) -> Result<(), Stop> {
    refused(probe, &[b"\x81\x05[\"x\"]".to_vec(), b"\x89\x00".to_vec()]).await
}

async fn reserved_opcode_refused(probe: &Probe) -> Result<(), Stop> {
    let of = |code| WebSocketFrame::control(Opcode::Reserved(code), r#"["x"]"#).encode();
    let mut with_bit = WebSocketFrame::text(r#"["x"]"#).encode();
    if let Some(first) = with_bit.first_mut() {
        // RSV2, which no extension in use means anything by.
        *first |= 0x20;
    }
    refused(probe, &[of(3), of(7), of(11), with_bit]).await
}

async fn invalid_utf8_refused(probe: &Probe) -> Result<(), Stop> {
    let text = |bytes: &'static [u8]| WebSocketFrame::text(bytes).encode();
    refused(probe, &[text(b"[\"\xff\"]"), text(b"[\"\xed\xa0\x80\"]"), text(b"[\"\xc3")]).await
}

async fn oversized_control_refused(probe: &Probe) -> Result<(), Stop> {
    let large = WebSocketFrame::control(Opcode::Ping, vec![b'x'; 126]).encode();
    let piece = WebSocketFrame { last: false, ..WebSocketFrame::control(Opcode::Ping, "x") }.encode();
    refused(probe, &[large, piece]).await
}
