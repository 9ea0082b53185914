//! SockJS over a websocket: what the official suite leaves open about its messages and its end.
//!
//! Does not know: frames that are against the rules of websockets.

use super::{BEATS, SOCKJS, check, lives, open_websocket, same};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::probe::array;
use crate::conformance::sockjs::socket::Socket;
use crate::conformance::sockjs::visit::decoded;
use crate::conformance::{Check, Level, Stop};
use crate::wire::{Closing, Opcode, Request, WebSocketFrame, shown};

const GROUP: &str = "websocket";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Should,
        GROUP,
        "websocket.bare-string",
        SOCKJS,
        "a JSON string that is in no array is one message",
        "Clients that were made before arrays still send it, and other servers take it.",
        |probe| Box::pin(bare_string(probe)),
    ),
    check(
        Level::May,
        GROUP,
        "websocket.leading-space",
        "RFC 8259, section 2",
        "blanks and line ends around an array make no difference",
        "JSON may have them, and encoders that write for people put them there. A server that looks at the first byte alone \
         takes such an array for something else.",
        |probe| Box::pin(leading_space(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "websocket.several-in-one-array",
        SOCKJS,
        "all messages of one array are taken, in their order",
        "Clients put everything that waits into one array. A server that takes the first only loses the others.",
        |probe| Box::pin(several_in_one_array(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "websocket.pipelined-frames",
        "RFC 6455, section 5",
        "frames that come in one packet are all taken, in their order",
        "TCP knows no frames. Whatever a client sends within a moment comes in one piece, and a server that reads one frame from \
         it leaves the rest until the next packet, or for ever.",
        |probe| Box::pin(pipelined_frames(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "websocket.large-message",
        SOCKJS,
        "a message of 70,000 bytes goes there and back whole",
        "From 65,536 bytes on the length of a frame is written in eight bytes instead of two. Libraries have bounds of their own, \
         often just there.",
        |probe| Box::pin(large_message(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "websocket.not-strings",
        SOCKJS,
        "an object, a number or null ends the websocket",
        "Messages are strings. A server that passes over anything else loses it without a word, and one that takes it hands the \
         application what it cannot expect.",
        |probe| Box::pin(not_strings(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "websocket.close-code",
        "RFC 6455, section 7.4",
        "behind the SockJS close frame comes one of the websocket, with the same code or with 1000",
        "Without it the browser reports 1006, an accident. Clients of other protocols on the same socket, and whoever reads the \
         network's log, cannot tell a farewell from a crash.",
        |probe| Box::pin(close_code(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "websocket.disabled",
        SOCKJS,
        "where websockets are switched off, info says so and the handshake is 404",
        "The client goes by info. Whoever tries all the same must be told so at once, else it waits for its time-out before it \
         takes the next transport.",
        |probe| Box::pin(disabled(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "websocket.reset",
        "CVE-2020-7693",
        "a peer that resets its websocket, in a frame or in the handshake, disturbs nobody else",
        "Phones do it all day. An error on one socket that nobody handles ends the whole process in some runtimes.",
        |probe| Box::pin(reset(probe)),
    ),
];

/// The next frame but for pings and heartbeats, which may come at any time.
pub(super) async fn frame(socket: &mut Socket, wanted: &str) -> Result<WebSocketFrame, Stop> {
    for _ in 0..BEATS {
        match socket.frame(wanted).await? {
            Some(frame) if frame.opcode == Opcode::Ping || frame.payload == "h" => {}
            Some(frame) => return Ok(frame),
            None => return Err(socket.fail("the end of the connection", wanted)),
        }
    }
    Err(socket.fail("nothing but pings and heartbeats", wanted))
}

/// The next so many messages.
pub(super) async fn messages(socket: &mut Socket, count: usize) -> Result<Vec<String>, Stop> {
    let (mut messages, mut beats) = (Vec::new(), 0);
    while messages.len() < count {
        let wanted = format!("a frame with messages ({} of {count} have come)", messages.len());
        let text = match socket.message(&wanted).await? {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(closing) => return Err(socket.fail(closing.to_string(), wanted)),
        };
        match decoded(&text) {
            Some(new) if !new.is_empty() => messages.extend(new),
            _ if text == "h" && beats < BEATS => beats += 1,
            _ => return Err(socket.fail(shown(text), wanted)),
        }
    }
    Ok(messages)
}

async fn bare_string(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_websocket(&visit).await?;
    for (sent, message) in [(r#""bare""#, "bare"), (r#""[\"no array\"]""#, r#"["no array"]"#)] {
        socket.send(sent).await?;
        same(&visit, &messages(&mut socket, 1).await?, &[message])?;
    }
    visit.done()
}

async fn leading_space(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_websocket(&visit).await?;
    socket.send(" \t\r\n[ \"x\" ,\n\"y\" ] \n").await?;
    let mut seen = messages(&mut socket, 1).await?;
    // The reference server makes one message of such an array.
    if seen == ["x"] {
        seen.extend(messages(&mut socket, 1).await?);
    }
    same(&visit, &seen, &["x", "y"])
}

async fn several_in_one_array(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_websocket(&visit).await?;
    let sent: Vec<_> = (0..50).map(|number| format!("message {number}")).collect();
    socket.send(&array(&sent)).await?;
    socket.send(r#"["end"]"#).await?;
    let mut seen = messages(&mut socket, 51).await?;
    let last = seen.pop();
    same(&visit, &seen, &sent)?;
    same(&visit, last.as_slice(), &["end"])
}

async fn pipelined_frames(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_websocket(&visit).await?;
    let sent: Vec<_> = (0..20).map(|number| format!("message {number}")).collect();
    let frames = sent.iter().map(|message| WebSocketFrame::text(array(&[message])).encode());
    socket.send_bytes(&frames.collect::<Vec<_>>().concat()).await?;
    same(&visit, &messages(&mut socket, sent.len()).await?, &sent)
}

async fn large_message(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_websocket(&visit).await?;
    // Lengths on both sides of where their form changes.
    for length in [120, 200, 60_000, 70_000] {
        let sent = ["x".repeat(length)];
        socket.send(&array(&sent)).await?;
        same(&visit, &messages(&mut socket, 1).await?, &sent)?;
    }
    visit.done()
}

async fn not_strings(probe: &Probe) -> Result<(), Stop> {
    for sent in ["{}", r#"{"0":"x"}"#, "1", "null", "true", r#"["x",1]"#, "[null]"] {
        let visit = probe.echo();
        let mut socket = open_websocket(&visit).await?;
        socket.send(sent).await?;
        socket.ends().await?;
    }
    Ok(())
}

async fn close_code(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.close()?;
    let mut socket = open_websocket(&visit).await?;
    match socket.message("the close frame of SockJS").await? {
        Ok(seen) if seen.starts_with(b"c[3000,") => {}
        Ok(seen) => return Err(socket.fail(shown(seen), r#"c[3000,"Go away!"]"#)),
        Err(closing) => return Err(socket.fail(closing.to_string(), r#"c[3000,"Go away!"]"#)),
    }
    match socket.ends().await? {
        Closing::Frame(Some(3000 | 1000), _) => visit.done(),
        other => Err(socket.fail(other.to_string(), "a close frame with 3000 or 1000")),
    }
}

async fn disabled(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.disabled_websocket()?;
    let info = visit.ask(&Request::get(visit.base("/info"))).await?;
    if info.status(200)?.json()?.get("websocket") != Some(&serde_json::Value::Bool(false)) {
        return Err(info.fail(shown(info.response.body()), "\"websocket\":false"));
    }
    let request = Request::websocket(visit.session("/websocket"));
    match visit.handshake(&request).await? {
        Err(head) if head.status == 404 => visit.done(),
        Err(head) => Err(visit.fail(shown(head.text()), "status 404")),
        Ok(_) => Err(visit.fail("an open websocket", "status 404")),
    }
}

async fn reset(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut bystander = open_websocket(&visit).await?;
    let frame = WebSocketFrame::text(array(&["x".repeat(2000)])).encode();
    let half = frame.get(..frame.len() / 2).unwrap_or_default();
    for bytes in [&frame[..], half, b"", &frame.repeat(20)] {
        for shakes_hands in [true, false] {
            let other = visit.another();
            let request = Request::websocket(other.session("/websocket"));
            let mut connection = other.connect_resetting().await?;
            super::http::write(&other, &mut connection, &request.encode(&probe.target)).await?;
            if shakes_hands {
                let head = connection.head("GET").await.map_err(|fault| other.fault(&fault, "status 101"))?;
                if head.status != 101 {
                    return Err(other.fail(shown(head.text()), "status 101"));
                }
            }
            // The server may have hung up on what came too early.
            let _ = connection.write(bytes).await;
            other.hang_up(connection);
        }
    }
    bystander.send(r#"["undisturbed"]"#).await?;
    same(&visit, &messages(&mut bystander, 1).await?, &["undisturbed"])?;
    lives(&visit).await
}
