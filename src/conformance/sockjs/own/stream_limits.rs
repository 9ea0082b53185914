//! Streams at their limits: that of a response, that of a frame, and that of the peer's reading.
//!
//! Does not know: how much a server keeps for a peer that does not read. It need not keep anything.

use tokio::time::{Instant, sleep};

use super::receiver::{Over, Receiver, Transport};
use super::{SOCKJS, check, lives, open_websocket, same, seconds, tenths};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::probe::array;
use crate::conformance::sockjs::receiving::Receiving;
use crate::conformance::sockjs::visit::{Visit, decoded};
use crate::conformance::{Check, Level, Stop};
use crate::wire::WebSocketFrame;

const GROUP: &str = "streams";

/// Messages of this size make a stream reach its limit.
const MESSAGE: usize = 1024;
/// So many bytes are sent at most until it does: more than any limit in use.
const MOST: usize = 512 << 10;
/// So many responses are to end.
const RESPONSES: usize = 3;
/// What a reader that does not read is sent at once.
const FLOOD: usize = 256 << 10;
/// How often it is sent that, over one transport: 6 MiB, more than the buffers of two sockets hold.
const FLOODS: usize = 24;

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Must,
        GROUP,
        "stream.limit-then-resume",
        SOCKJS,
        "a stream ends after some bytes, and the next one goes on without a gap",
        "Browsers keep a response in memory to its end, so it has to end now and then. What is sent between two responses must \
         wait for the second one.",
        |probe| Box::pin(limit_then_resume(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "stream.large-frame-whole",
        SOCKJS,
        "a message of 40 KiB comes whole, though it is above the limit of a response",
        "The limit says when a response ends, not where. A frame that is cut there is lost in both halves.",
        |probe| Box::pin(large_frame_whole(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "stream.slow-reader",
        "observed: slow readers",
        "a reader that does not read disturbs nobody else",
        "A phone in a tunnel is such a reader. A server that waits for it with a lock in its hand, or in its only thread, stands \
         still for everybody, and one that keeps everything for it runs out of memory.",
        |probe| Box::pin(slow_reader(probe)),
    ),
];

async fn limit_then_resume(probe: &Probe) -> Result<(), Stop> {
    let mut over = Over::default();
    for transport in Transport::STREAMS {
        over.take(resume(probe, transport).await)?;
    }
    over.done()
}

async fn resume(probe: &Probe, transport: Transport) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut receiver = Receiver::open(&visit, transport).await?;
    let (mut sent, mut seen, mut ended) = (Vec::new(), Vec::new(), 0);
    while ended < RESPONSES {
        if sent.len() * MESSAGE > MOST {
            let seen = format!("{ended} ends of responses in {MOST} bytes");
            return Err(receiver.fail(seen, format!("{RESPONSES}; the limit of this service should be 4096 bytes")));
        }
        let first = sent.len();
        let new: Vec<_> = (first..first + 8).map(|number| format!("{number} {}", "x".repeat(MESSAGE))).collect();
        receiver.send(&new).await?;
        sent.extend(new);
        while seen.len() < sent.len() {
            match receiver.frame().await? {
                None => ended += 1,
                Some(frame) if frame.text == "h" => {}
                Some(frame) => match decoded(&frame.text) {
                    Some(new) if !new.is_empty() => seen.extend(new),
                    _ => return Err(receiver.wrong(&frame, "a frame with messages")),
                },
            }
            if ended > sent.len() {
                return Err(receiver.fail(format!("{ended} responses for {} messages", seen.len()), "messages"));
            }
        }
    }
    same(&visit, &seen, &sent)
}

async fn large_frame_whole(probe: &Probe) -> Result<(), Stop> {
    let mut over = Over::default();
    for transport in Transport::STREAMS {
        let look = async {
            let visit = probe.echo();
            let mut receiver = Receiver::open(&visit, transport).await?;
            receiver.echo(&["x".repeat(40 << 10)]).await?;
            // And the session goes on, with another response or the same.
            receiver.echo(&["small"]).await
        };
        over.take(look.await)?;
    }
    over.done()
}

async fn slow_reader(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    // Held to the end, and never read.
    let slow = visit.begin(&Transport::XhrStreaming.request(&visit)).await?;
    slow.answer().status_in(&[200, 404])?;
    let message = array(&["x".repeat(FLOOD)]);
    for _ in 0..FLOODS {
        let request = visit.post("/xhr_send").body(message.clone());
        // To take no more for such a session is fine, and so is to end it.
        match visit.ask(&request).await?.response.status() {
            200..=299 => {}
            _ => break,
        }
        undisturbed(&visit).await?;
    }
    let poll = unread_poll(&visit.another(), &message).await?;
    undisturbed(&visit).await?;
    let other = visit.another();
    let socket = match open_websocket(&other).await {
        Err(Stop::NotOffered(_)) => None,
        socket => Some(socket?),
    };
    if let Some(mut socket) = socket {
        socket.websocket().connection().set_patience(tenths(probe, 5));
        let frame = WebSocketFrame::text(message);
        for _ in 0..FLOODS {
            // A server that stops reading, or hangs up, defends itself.
            if socket.websocket().send(&frame).await.is_err() {
                break;
            }
            undisturbed(&visit).await?;
        }
        // The server may have most of it still to read, and its answers to write.
        let until = Instant::now() + seconds(probe, 1);
        while Instant::now() < until {
            undisturbed(&visit).await?;
            // A quick server would have us spend the connections of the whole run here.
            sleep(seconds(probe, 1) / 50).await;
        }
        lives(&visit).await?;
    }
    drop((slow, poll));
    lives(&visit).await
}

/// A poll that gets all that waited at once, and of which nothing but the head is read. A stream that ends behind each frame never
/// has so much.
async fn unread_poll(visit: &Visit<'_>, message: &str) -> Result<Receiving, Stop> {
    visit.open().await?;
    for _ in 0..FLOODS {
        let sent = visit.ask(&visit.post("/xhr_send").body(message.to_owned())).await?;
        if !matches!(sent.response.status(), 200..=299) {
            break;
        }
    }
    // To put so long an answer together takes some servers a while.
    let mut connection = visit.connect().await?;
    connection.set_patience(visit.probe.limits.patience.saturating_mul(3));
    visit.begin_on(connection, &visit.post("/xhr")).await
}

/// A session of somebody else gets its echo.
async fn undisturbed(visit: &Visit<'_>) -> Result<(), Stop> {
    let other = visit.another();
    other.open().await?;
    other.send(&["undisturbed"]).await?;
    same(&other, &other.messages(1).await?, &["undisturbed"])
}
