//! The websocket without SockJS around its messages: what the official suite leaves open about it.
//!
//! Does not know: what applications speak on it.

use super::websocket::frame;
use super::{SOCKJS, check, open_raw_websocket};
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Level, Stop};
use crate::wire::{Closing, WebSocketFrame};

const GROUP: &str = "raw websocket";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Should,
        GROUP,
        "raw-websocket.close-code",
        SOCKJS,
        "the close frame has the application's code and reason",
        "There is no SockJS frame here that could carry them. A client that gets 1000 or nothing cannot tell whether it should \
         come back.",
        |probe| Box::pin(close_code(probe)),
    ),
    check(
        Level::May,
        GROUP,
        "raw-websocket.binary",
        SOCKJS,
        "a binary message comes back as it was",
        "Without SockJS there is no reason to have text only, and protocols such as STOMP have binary bodies. The reference \
         server makes text of them.",
        |probe| Box::pin(binary(probe)),
    ),
    check(
        Level::May,
        GROUP,
        "raw-websocket.empty-message",
        SOCKJS,
        "an empty message comes back",
        "It is a message like any other, and some protocols use it as a heart-beat.",
        |probe| Box::pin(empty_message(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "raw-websocket.no-framing",
        SOCKJS,
        "no message has anything around it, and none comes unasked",
        "Clients here know nothing of SockJS. An open frame, or an array around a message, is garbage to them.",
        |probe| Box::pin(no_framing(probe)),
    ),
];

async fn close_code(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.close()?;
    let mut socket = open_raw_websocket(&visit).await?;
    match socket.ends().await? {
        Closing::Frame(Some(3000), reason) if reason == "Go away!" => visit.done(),
        other => Err(socket.fail(other.to_string(), "a close frame with 3000 \"Go away!\"")),
    }
}

async fn binary(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_raw_websocket(&visit).await?;
    let sent = WebSocketFrame::binary(&b"\xff\0\xfe binary \x80"[..]);
    socket.send_frame(&sent).await?;
    let wanted = format!("{sent:?}");
    let seen = frame(&mut socket, &wanted).await?;
    match seen == sent {
        true => visit.done(),
        false => Err(socket.fail(format!("{seen:?}"), wanted)),
    }
}

async fn empty_message(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_raw_websocket(&visit).await?;
    for message in ["", "x", ""] {
        socket.send(message).await?;
    }
    for message in ["", "x", ""] {
        socket.expect(message).await?;
    }
    visit.done()
}

async fn no_framing(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_raw_websocket(&visit).await?;
    for message in ["first", r#"["x"]"#, r#""x""#, "o", r#"c[3000,"Go away!"]"#, "{", "[]", " x\r\n"] {
        socket.send(message).await?;
        socket.expect(message).await?;
    }
    visit.done()
}
