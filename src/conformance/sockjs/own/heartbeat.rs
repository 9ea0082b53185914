//! Heartbeats: a sign of life from the server before the networks between give up on a silent connection.
//!
//! Does not know: how often they come. Within 40 s is what clients and proxies need.

use std::time::Instant;

use super::receiver::{Receiver, Transport};
use super::{SOCKJS, check, open_websocket, seconds, slow};
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Level, Stop};
use crate::wire::Opcode;

const GROUP: &str = "heartbeats";

/// How long is waited for one, in seconds.
const WITHIN: u32 = 40;
/// How long sockjs-client waits for the script of jsonp.
const SCRIPT: u32 = 35;

/// A check that waits for a heartbeat.
macro_rules! beats {
    ($id:literal, $demand:literal, $why:literal, $look:expr) => {
        slow(check(Level::Must, GROUP, $id, SOCKJS, $demand, $why, $look))
    };
}

pub(super) const CHECKS: &[Check<Probe>] = &[
    beats!(
        "heartbeat.xhr",
        "a poll with nothing to tell is answered with a heartbeat within 40 s",
        "Proxies and balancers give up after 60 s or less on a request without an answer, and what the client then gets is \
         their error page.",
        |probe| Box::pin(over_http(probe, Transport::Xhr))
    ),
    beats!(
        "heartbeat.xhr-streaming",
        "a silent xhr_streaming has a heartbeat within 40 s",
        "Without bytes to send the server never learns that its peer is gone, and the networks between forget the connection.",
        |probe| Box::pin(over_http(probe, Transport::XhrStreaming))
    ),
    beats!(
        "heartbeat.eventsource",
        "a silent eventsource has a heartbeat within 40 s",
        "Without bytes to send the server never learns that its peer is gone, and the networks between forget the connection.",
        |probe| Box::pin(over_http(probe, Transport::EventSource))
    ),
    beats!(
        "heartbeat.htmlfile",
        "a silent htmlfile has a heartbeat within 40 s",
        "Without bytes to send the server never learns that its peer is gone, and the networks between forget the connection.",
        |probe| Box::pin(over_http(probe, Transport::HtmlFile))
    ),
    beats!(
        "heartbeat.jsonp",
        "a jsonp poll with nothing to tell is answered with a heartbeat within 35 s",
        "sockjs-client gives a script 35 s and then takes the connection for lost.",
        |probe| Box::pin(over_http(probe, Transport::Jsonp))
    ),
    beats!(
        "heartbeat.websocket",
        "a silent websocket has a ping or a heartbeat frame within 40 s",
        "Mobile networks and balancers forget silent connections without telling either side; then the server keeps a session \
         that nobody hears, and the page waits for messages that cannot come.",
        |probe| Box::pin(over_websocket(probe))
    ),
];

async fn over_http(probe: &Probe, transport: Transport) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut receiver = Receiver::open(&visit, transport).await?;
    receiver.set_patience(seconds(probe, if transport == Transport::Jsonp { SCRIPT } else { WITHIN }));
    match receiver.frame().await? {
        Some(frame) if frame.text == "h" => {}
        Some(frame) => return Err(receiver.wrong(&frame, "the heartbeat h")),
        None => return Err(receiver.fail("the end of the response", "the heartbeat h")),
    }
    // The session is none the worse for it.
    receiver.set_patience(probe.limits.patience);
    receiver.echo(&["still there"]).await
}

async fn over_websocket(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_websocket(&visit).await?;
    socket.websocket().connection().set_patience(seconds(probe, WITHIN));
    let started = Instant::now();
    let wanted = "a ping, or a message h";
    while started.elapsed() < seconds(probe, WITHIN) {
        match socket.frame(wanted).await? {
            Some(frame) if frame.opcode == Opcode::Ping => return visit.done(),
            Some(frame) if frame.opcode == Opcode::Text && frame.payload == "h" => return visit.done(),
            Some(frame) if frame.opcode == Opcode::Pong => {}
            Some(frame) => return Err(socket.fail(format!("{frame:?}"), wanted)),
            None => return Err(socket.fail("the end of the connection", wanted)),
        }
    }
    Err(socket.fail("nothing but pongs", wanted))
}
