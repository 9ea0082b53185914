//! How receivers end: with the session, since there is one already, or since the client has hung up.
//!
//! Does not know: why a session closes.

use super::{GO_AWAY, STILL_OPEN, must};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::visit::Visit;
use crate::conformance::{Check, Stop};
use crate::wire::shown;

const GROUP: &str = "closing";

pub(super) const CHECKS: &[Check<Probe>] = &[
    must(
        GROUP,
        "HandlingClose.test_close_frame",
        "a stream ends after its close frame, and the next one has the same frame, not 2010",
        "A client that comes back must learn why its session was closed. Told that its old stream is still open, it reports an \
         error where there was an orderly end; and a stream that stays open holds a connection for nothing.",
        |probe| Box::pin(close_frame(probe)),
    ),
    must(
        GROUP,
        "HandlingClose.test_close_request",
        "a second stream of a session has 2010, and ends",
        "Two receivers of one session would share its messages at random, each with gaps. The client that is turned away must \
         see an end, or it waits with the rest of its connections.",
        |probe| Box::pin(close_request(probe)),
    ),
    must(
        GROUP,
        "HandlingClose.test_abort_xhr_streaming",
        "once a client has dropped its stream, its next one begins with a new session or with 1002",
        "What was on its way when the network broke may be lost, so the session cannot go on as if nothing had been. A server \
         that answers 2010 has not noticed the end, and locks out every client that reconnects.",
        |probe| Box::pin(abort_xhr_streaming(probe)),
    ),
    must(
        GROUP,
        "HandlingClose.test_abort_xhr_polling",
        "once a client has dropped its poll, its next one opens a new session or has 1002",
        "The message for which the dropped poll waited may have been written into it. A server that answers 2010 has not noticed \
         the end, and locks out every client that reconnects.",
        |probe| Box::pin(abort_xhr_polling(probe)),
    ),
];

async fn close_frame(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.close()?;
    let mut first = visit.open_stream().await?;
    first.expect(format!("{GO_AWAY}\n")).await?;
    let mut second = visit.stream().await?;
    second.expect(format!("{GO_AWAY}\n")).await?;
    first.ends().await?;
    second.ends().await?;
    visit.done()
}

async fn close_request(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let _first = visit.open_stream().await?;
    second_stream(&visit).await?;
    visit.done()
}

async fn abort_xhr_streaming(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let first = visit.open_stream().await?;
    second_stream(&visit).await?;
    visit.hang_up(first);
    let mut third = visit.stream().await?;
    let frame = third.until("\n").await?;
    new_or_interrupted(&visit, &frame)?;
    visit.done()
}

async fn abort_xhr_polling(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    let hanging = visit.poll_twice().await?;
    visit.hang_up(hanging);
    let frame = visit.poll().await?;
    new_or_interrupted(&visit, frame.as_bytes())?;
    visit.done()
}

/// Opens a second stream, which is to be turned away.
async fn second_stream(visit: &Visit<'_>) -> Result<(), Stop> {
    let mut second = visit.stream().await?;
    second.expect(format!("{STILL_OPEN}\n")).await?;
    second.ends().await
}

/// What may come after a client that hung up: a new session, or word of the old one's end.
fn new_or_interrupted(visit: &Visit<'_>, frame: &[u8]) -> Result<(), Stop> {
    match frame == b"o\n" || frame == b"c[1002,\"Connection interrupted\"]\n" {
        true => Ok(()),
        false => Err(visit.fail(shown(frame), r#""o\n" or "c[1002,"Connection interrupted"]\n""#)),
    }
}
