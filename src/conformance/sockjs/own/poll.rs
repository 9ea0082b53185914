//! Polls: what one of them is answered with, and when.
//!
//! Does not know: streams.

use super::receiver::{Receiver, Transport};
use super::{SOCKJS, check, same, tenths};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::visit::decoded;
use crate::conformance::{Check, Level, Stop};
use crate::wire::shown;

const GROUP: &str = "polling";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Should,
        GROUP,
        "poll.batches",
        SOCKJS,
        "a poll is answered with everything that waits, in one frame",
        "A client that gets one message for each round trip falls behind as soon as there are more than a few in a second, and \
         never catches up.",
        |probe| Box::pin(batches(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "poll.one-frame",
        SOCKJS,
        "a poll is answered with exactly one frame, and nothing before or behind it",
        "jsonp can carry no second one, and the scripts of old clients take the whole answer for one frame. What is behind it is \
         lost.",
        |probe| Box::pin(one_frame(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "poll.waits",
        SOCKJS,
        "a poll with nothing to tell waits for something, and is answered at once when it comes",
        "The client polls again as soon as it has an answer. Empty answers make it ask hundreds of times a second, from every \
         open page.",
        |probe| Box::pin(waits(probe)),
    ),
];

async fn batches(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    for sent in [&["1"][..], &["2", "3"], &["4", "5"]] {
        visit.send(sent).await?;
    }
    let seen = visit.poll().await?;
    let messages = decoded(seen.trim_end()).unwrap_or_default();
    match messages.len() {
        5 => same(&visit, &messages, &["1", "2", "3", "4", "5"]),
        _ => Err(visit.fail(shown(&seen), r#"a["1","2","3","4","5"]"#)),
    }
}

async fn one_frame(probe: &Probe) -> Result<(), Stop> {
    for transport in [Transport::Xhr, Transport::Jsonp] {
        let visit = probe.echo();
        let mut receiver = match Receiver::open(&visit, transport).await {
            Err(Stop::NotOffered(_)) => continue,
            receiver => receiver?,
        };
        for message in ["1", "2", "3"] {
            receiver.send(&[message]).await?;
        }
        let mut seen = Vec::new();
        while seen.len() < 3 {
            let frame = receiver.next().await?;
            // Two frames behind each other are no JSON, and neither is a line before the frame.
            match decoded(&frame.text).filter(|new| !new.is_empty()) {
                Some(new) => seen.extend(new),
                None => return Err(receiver.fail(shown(&frame.wire), "one frame with messages")),
            }
        }
        same(&visit, &seen, &["1", "2", "3"])?;
    }
    Ok(())
}

async fn waits(probe: &Probe) -> Result<(), Stop> {
    for transport in Transport::POLLS {
        let visit = probe.echo();
        let mut receiver = match Receiver::open(&visit, transport).await {
            Err(Stop::NotOffered(_)) => continue,
            receiver => receiver?,
        };
        receiver.attach().await?;
        receiver.set_patience(tenths(probe, 10));
        // The head may come at any time, and so may a heartbeat, which is an answer.
        match receiver.frame().await {
            Ok(Some(frame)) if frame.text == "h" => {}
            Ok(Some(frame)) => return Err(receiver.wrong(&frame, "no answer, since there is nothing to tell")),
            Ok(None) => return Err(receiver.fail("an empty answer", "no answer, since there is nothing to tell")),
            Err(_) => {}
        }
        receiver.set_patience(probe.limits.patience);
        receiver.echo(&["something"]).await?;
    }
    Ok(())
}
