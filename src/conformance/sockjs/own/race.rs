//! Races: what goes wrong only now and then is done many times, a few at once, so that a server with threads is caught.
//!
//! Does not know: load. A race needs two that come at the same time, and not thousands.

use futures_util::{StreamExt as _, future, stream};
use tokio::time::{Instant, sleep};

use super::receiver::{Receiver, Transport};
use super::{SOCKJS, check, same, tenths};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::visit::Visit;
use crate::conformance::{Check, Level, Stop};
use crate::wire::shown;

const GROUP: &str = "races";

/// How often an abort is repeated. A server that gets it wrong one time in four, as has been seen, is overlooked once in two
/// million runs.
const TIMES: usize = 50;
/// How many are under way at once.
const AT_ONCE: usize = 5;
/// Messages that are sent while somebody polls for them, and how many at once.
const MESSAGES: usize = 200;
const BATCH: usize = 4;
/// After so many batches there is a pause.
const PAUSE: usize = 5;
/// Sessions that talk at the same time.
const SESSIONS: usize = 20;

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Must,
        GROUP,
        "race.abort-streaming",
        "SockJS protocol, HandlingClose.test_abort_xhr_streaming",
        "who drops a stream and asks again at once is not told that another connection is open, in 50 of 50 times",
        "A page that is reloaded, or a phone that changes its network, does just that. To a server with threads the new request \
         can come before word of the old one's end; it then turns the only client away, and that one gives up.",
        |probe| Box::pin(aborts(probe, Transport::XhrStreaming)),
    ),
    check(
        Level::Must,
        GROUP,
        "race.abort-polling",
        "SockJS protocol, HandlingClose.test_abort_xhr_polling",
        "who drops a poll and asks again at once is not told that another connection is open, in 50 of 50 times",
        "A client whose poll was cut off by its network polls again at once. To a server with threads the new request can come \
         before word of the old one's end; it then turns the only client away, and that one gives up.",
        |probe| Box::pin(aborts(probe, Transport::Xhr)),
    ),
    check(
        Level::Must,
        GROUP,
        "race.poll-and-send",
        SOCKJS,
        "200 messages that are sent while the client polls all come, each once and in order",
        "Between looking whether there is something to tell and waiting for it lies a moment. What comes in it is told to \
         nobody by a server that does not look again, or is told twice.",
        |probe| Box::pin(poll_and_send(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "race.many-sessions",
        SOCKJS,
        "20 sessions that open and talk at the same time each get their own messages, in order",
        "It is what happens after every restart: all clients come back at once. A table of sessions without a lock loses some of \
         them, and one with a lock in the wrong place stands still.",
        |probe| Box::pin(many_sessions(probe)),
    ),
];

/// What came of something that was done many times: how often it was wrong, and how the first time.
fn all_right(came: Vec<Result<(), Stop>>) -> Result<(), Stop> {
    let times = came.len();
    let mut wrong = came.into_iter().filter_map(Result::err);
    let Some(first) = wrong.next() else { return Ok(()) };
    let Stop::Failed(mut failure) = first else { return Err(first) };
    failure.seen = format!("{} of {times} times wrong; the first time {}", 1 + wrong.count(), failure.seen);
    Err(Stop::Failed(failure))
}

async fn aborts(probe: &Probe, transport: Transport) -> Result<(), Stop> {
    let times = stream::iter((0..TIMES).map(|time| abort(probe, transport, time)));
    all_right(times.buffer_unordered(AT_ONCE).collect().await)
}

/// Drops an attached receiver, every other time with a reset, and asks at once on a new connection.
async fn abort(probe: &Probe, transport: Transport, time: usize) -> Result<(), Stop> {
    let visit = probe.echo();
    if !transport.is_stream() {
        visit.open().await?;
    }
    let request = transport.request(&visit);
    let mut connection = match time % 2 {
        0 => visit.connect().await?,
        _ => visit.connect_resetting().await?,
    };
    visit.steps.note(format!("{} &", request.curl(&probe.target)));
    let sent = connection.write(&request.encode(&probe.target)).await;
    sent.map_err(|fault| visit.fault(&fault, "a server that reads the request"))?;
    if transport.is_stream() {
        let head = connection.head(request.method()).await.map_err(|fault| visit.fault(&fault, "a stream"))?;
        if head.status != 200 {
            return Err(visit.fail(format!("status {}", head.status), "status 200"));
        }
        let mut seen = Vec::new();
        let (started, most) = (Instant::now(), probe.limits.patience.saturating_mul(3));
        while !seen.ends_with(b"o\n") {
            if started.elapsed() > most {
                return Err(visit.fail(shown(&seen), "the open frame"));
            }
            match connection.piece().await.map_err(|fault| visit.fault(&fault, "the open frame"))? {
                Some(piece) => seen.extend_from_slice(&piece.bytes),
                None => return Err(visit.fail("the end of the response", "the open frame")),
            }
        }
    } else {
        // The server need not say a word to a poll. In this time it has taken it.
        sleep(tenths(probe, 1)).await;
    }
    visit.hang_up(connection);
    let mut again = Receiver::new(&visit, transport);
    let frame = again.next().await?;
    match &*frame.text {
        "o" => Ok(()),
        text if text.starts_with("c[1002,") => Ok(()),
        text => Err(visit.fail(shown(text), r#"o, or c[1002,"Connection interrupted"]"#)),
    }
}

async fn poll_and_send(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    let sent: Vec<_> = (0..MESSAGES).map(|number| format!("message {number}")).collect();
    let sending = async {
        for (number, messages) in sent.chunks(BATCH).enumerate() {
            visit.send(messages).await?;
            // Now and then the one who polls is to catch up, and to wait for what comes next.
            if number % PAUSE == 0 {
                sleep(tenths(probe, 1)).await;
            }
        }
        Ok::<_, Stop>(())
    };
    let mut receiver = Receiver::new(&visit, Transport::Xhr);
    let (_, seen) = future::try_join(sending, receiver.messages(MESSAGES)).await?;
    same(&visit, &seen, &sent)?;
    // None has come twice: behind them is nothing but this one.
    receiver.echo(&["the end"]).await
}

async fn many_sessions(probe: &Probe) -> Result<(), Stop> {
    let talks = (0..SESSIONS).map(|number| talk(probe.echo(), number));
    all_right(future::join_all(talks).await)
}

async fn talk(visit: Visit<'_>, number: usize) -> Result<(), Stop> {
    visit.open().await?;
    for round in 0..4 {
        let sent = [format!("session {number}, round {round}"), "and one more".to_owned()];
        visit.send(&sent).await?;
        same(&visit, &visit.messages(sent.len()).await?, &sent)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_how_often_and_how_first() {
        let wrong = |what: &str| Err(Stop::failed(what, "right"));
        assert!(all_right(vec![Ok(()), Ok(())]).is_ok());
        let Err(Stop::Failed(failure)) = all_right(vec![Ok(()), wrong("a"), Ok(()), wrong("b")]) else {
            panic!("it failed")
        };
        assert_eq!(failure.seen, "2 of 4 times wrong; the first time a");
    }
}
