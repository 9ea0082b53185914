//! SockJS over a websocket.
//!
//! Does not know: what is no handshake.

use super::{GO_AWAY, must, should};
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Stop};
use crate::wire::{Request, shown};

const GROUP: &str = "websocket";

pub(super) const CHECKS: &[Check<Probe>] = &[
    must(
        GROUP,
        "Websocket.test_transport",
        "a websocket begins with the open frame and carries arrays in and a-frames out",
        "It is the transport that nearly every browser uses. A client without an open frame waits for it until its time-out and \
         then takes the next transport.",
        |probe| Box::pin(transport(probe)),
    ),
    must(
        GROUP,
        "Websocket.test_close",
        "a session that the server closes sends its close frame, and then the websocket ends",
        "sockjs-client has the code and the reason from the frame. A websocket that stays open after it holds a connection for \
         nothing on both sides.",
        |probe| Box::pin(close(probe)),
    ),
    must(
        GROUP,
        "Websocket.test_headersSanity",
        "a handshake of version 13 is answered as RFC 6455 says, without a Content-Length",
        "Browsers refuse a websocket whose accept hash or upgrade headers are wrong. A Content-Length makes some proxies count \
         bytes of the websocket as a body and cut it off.",
        |probe| Box::pin(headers_sanity(probe)),
    ),
    should(
        GROUP,
        "Websocket.test_empty_frame",
        "an empty message and an empty array are nothing, and the session goes on",
        "Clients send them to keep a connection alive. Some servers end the session on the first one, as if it were broken \
         JSON.",
        |probe| Box::pin(empty_frame(probe)),
    ),
    should(
        GROUP,
        "Websocket.test_reuseSessionId",
        "two websockets with one id are two sessions, and the id may be used again",
        "The session is as long as its websocket, so the id means nothing here. A server that keeps it refuses clients that \
         come back with the id they had.",
        |probe| Box::pin(reuse_session_id(probe)),
    ),
    should(
        GROUP,
        "Websocket.test_broken_json",
        "broken JSON ends the websocket",
        "Whoever sends it has lost track, and every message behind it is in doubt. A server that passes over it loses messages \
         without a word.",
        |probe| Box::pin(broken_json(probe)),
    ),
];

async fn transport(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = visit.open_websocket().await?;
    socket.send(r#"["a"]"#).await?;
    socket.expect(r#"a["a"]"#).await?;
    visit.done()
}

async fn close(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.close()?;
    let mut socket = visit.open_websocket().await?;
    socket.expect(GO_AWAY).await?;
    socket.ends().await?;
    visit.done()
}

async fn headers_sanity(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let socket = visit.websocket(&Request::websocket(visit.session("/websocket"))).await?;
    if let Some(length) = socket.head.header("Content-Length") {
        return Err(socket.fail(format!("Content-Length: {length}"), "no header Content-Length"));
    }
    visit.done()
}

async fn empty_frame(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = visit.open_websocket().await?;
    for message in ["", "[]", r#"["a"]"#] {
        socket.send(message).await?;
    }
    socket.expect(r#"a["a"]"#).await?;
    visit.done()
}

async fn reuse_session_id(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut first = visit.open_websocket().await?;
    let mut second = visit.open_websocket().await?;
    for (socket, message) in [(&mut first, "a"), (&mut second, "b")] {
        socket.send(&format!("[\"{message}\"]")).await?;
        socket.expect(&format!("a[\"{message}\"]")).await?;
    }
    for mut socket in [first, second] {
        socket.close(1000).await?;
    }
    let mut third = visit.open_websocket().await?;
    third.send(r#"["a"]"#).await?;
    third.expect(r#"a["a"]"#).await?;
    visit.done()
}

async fn broken_json(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = visit.open_websocket().await?;
    socket.send(r#"["a"#).await?;
    // A last word may come before the end, such as a close frame of SockJS, but no message.
    match socket.message("the end of the websocket").await? {
        Err(_) => {}
        Ok(word) if !word.starts_with(b"a") => {
            socket.ends().await?;
        }
        Ok(other) => return Err(socket.fail(format!("a message {}", shown(other)), "the end of the websocket")),
    }
    visit.done()
}
