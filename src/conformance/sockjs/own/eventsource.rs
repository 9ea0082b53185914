//! Event streams: what the official suite leaves open about them.
//!
//! Does not know: the limit of responses.

use super::receiver::{Receiver, Transport};
use super::{SOCKJS, check, same};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::visit::decoded;
use crate::conformance::{Check, Level, Stop};
use crate::wire::shown;

const GROUP: &str = "eventsource";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Must,
        GROUP,
        "eventsource.percent-escaped",
        "observed: sockjs-client 1.x",
        "percent signs in a message are written so that decodeURI gives them back",
        "sockjs-client runs decodeURI over the data of every event. A stray percent sign makes it throw, which ends the \
         connection; `%20` silently becomes a blank. Any message about discounts, progress or URLs is corrupted, on this \
         transport alone.",
        |probe| Box::pin(percent_escaped(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "eventsource.prelude",
        SOCKJS,
        "the stream begins with an empty line in a chunk of its own, before the open frame",
        "Some browsers do not report the stream as open before its first bytes, and proxies pass on the head only with them. The \
         client's clock for falling back runs meanwhile.",
        |probe| Box::pin(prelude(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "eventsource.one-event-per-frame",
        "HTML standard, server-sent events",
        "each frame is one event with one line of data, and no name",
        "Two lines of data reach the page as one text with a line end in it, which is no frame. An event with a name other than \
         `message` does not reach sockjs-client at all.",
        |probe| Box::pin(one_event_per_frame(probe)),
    ),
];

async fn percent_escaped(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut receiver = Receiver::open(&visit, Transport::EventSource).await?;
    for message in ["100%", "%20", "%25 and %2525", "%41%zz%"] {
        receiver.echo(&[message]).await?;
    }
    visit.done()
}

async fn prelude(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    // The transport is there.
    Receiver::open(&visit.another(), Transport::EventSource).await?;
    let mut stream = visit.begin(&Transport::EventSource.request(&visit)).await?;
    stream.answer().status(200)?;
    stream.expect("\r\n").await?;
    stream.expect("data: o\r\n\r\n").await?;
    visit.done()
}

async fn one_event_per_frame(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut receiver = Receiver::open(&visit, Transport::EventSource).await?;
    let sent = ["one\ntwo\r\nthree\r", "data: x\n\n", "event: y\nid: 1\nretry: 1"];
    let mut seen = Vec::new();
    receiver.send(&sent).await?;
    while seen.len() < sent.len() {
        let frame = receiver.next().await?;
        // A name or an id would have to stand on a line of its own.
        let lines = frame.wire.trim_ascii().split(|&byte| byte == b'\n' || byte == b'\r').count();
        match decoded(&frame.text).filter(|messages| !messages.is_empty()) {
            Some(messages) if lines == 1 => seen.extend(messages),
            _ => return Err(visit.fail(shown(&frame.wire), "an event of one line, data: and a frame with messages")),
        }
    }
    same(&visit, &seen, &sent)
}
