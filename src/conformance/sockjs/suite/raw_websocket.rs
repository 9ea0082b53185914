//! The websocket without frames of SockJS, for programs that are no browsers.
//!
//! Does not know: sessions.

use super::should;
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Stop};
use crate::wire::{Closing, Request};

const GROUP: &str = "raw websocket";

pub(super) const CHECKS: &[Check<Probe>] = &[
    should(
        GROUP,
        "RawWebsocket.test_transport",
        "BASE/websocket echoes text as it is, without frames around it",
        "It is the way in for programs with a websocket library and no SockJS client; browsers with sockjs-client never use it. \
         U+FFFF is text like any other, and some servers drop or replace it.",
        |probe| Box::pin(transport(probe)),
    ),
    should(
        GROUP,
        "RawWebsocket.test_close",
        "a raw websocket that the server closes gives the reason in its close frame",
        "There is no close frame of SockJS here, so that of the websocket is all that tells a client why.",
        |probe| Box::pin(close(probe)),
    ),
];

async fn transport(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = visit.websocket(&Request::websocket(visit.base("/websocket"))).await?;
    socket.send("Hello world!\u{ffff}").await?;
    socket.expect("Hello world!\u{ffff}").await?;
    visit.done()
}

async fn close(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.close()?;
    let mut socket = visit.websocket(&Request::websocket(visit.base("/websocket"))).await?;
    match socket.ends().await? {
        Closing::Frame(_, reason) if reason == "Go away!" => visit.done(),
        closing => Err(socket.fail(closing.to_string(), "a close frame with the reason \"Go away!\"")),
    }
}
