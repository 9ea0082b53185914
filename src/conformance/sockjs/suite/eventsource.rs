//! Streams for the browsers' EventSource.
//!
//! Does not know: how messages get to the server.

use super::{must, should};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::answer::Answer;
use crate::conformance::sockjs::receiving::Receiving;
use crate::conformance::sockjs::visit::Visit;
use crate::conformance::{Check, Stop};

const GROUP: &str = "eventsource";
/// The type in the edition 0.3.3.
const TYPE_033: &str = "text/event-stream; charset=UTF-8";

pub(super) const CHECKS: &[Check<Probe>] = &[
    must(
        GROUP,
        "EventSource.test_transport",
        "an event stream has its type, is not cached, begins with an empty line, and has one event for each frame",
        "Browsers refuse an event stream of any other type, and old Opera showed nothing without the line. A control character \
         that is not escaped ends the event in the middle of the message.",
        |probe| Box::pin(transport(probe)),
    ),
    should(
        GROUP,
        "EventSource.test_response_limit",
        "a message above the limit of 4096 bytes comes whole, and then the stream ends",
        "Some browsers never free what an event stream has brought. The end lets them; but a message that is cut for it is \
         lost.",
        |probe| Box::pin(response_limit(probe)),
    ),
];

/// Opens the stream and reads up to the open frame.
async fn open(visit: &Visit<'_>) -> Result<Receiving, Stop> {
    let mut stream = visit.begin(&visit.get("/eventsource")).await?;
    stream.answer().status(200)?;
    stream.expect("\r\n").await?;
    stream.expect("data: o\r\n\r\n").await?;
    Ok(stream)
}

async fn transport(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut stream = open(&visit).await?;
    has_type(&stream.answer())?.not_cached()?;
    for array in [r#"["x"]"#, r#"["  \u0000\n\r "]"#] {
        visit.ask(&visit.post("/xhr_send").body(array)).await?.status(204)?.body("")?;
        stream.expect(format!("data: a{array}\r\n\r\n")).await?;
    }
    visit.done()
}

/// It has the type of event streams, in one of its two forms.
fn has_type(head: &Answer) -> Result<&Answer, Stop> {
    if head.content_type(TYPE_033).is_err() {
        return head.content_type("text/event-stream");
    }
    head.steps.vintage("0.3.3: EventSource with a charset in its type");
    Ok(head)
}

async fn response_limit(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut stream = open(&visit).await?;
    let array = format!("[\"{}\"]", "x".repeat(4096));
    visit.ask(&visit.post("/xhr_send").body(array.clone())).await?.status(204)?;
    stream.expect(format!("data: a{array}\r\n\r\n")).await?;
    stream.ends().await?;
    visit.done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Verdict;

    #[test]
    fn the_charset_in_the_type_is_of_an_older_edition() {
        let verdict =
            |of: &'static str| Verdict::from(has_type(&Answer::of(&[("Content-Type", of)], "")).and_then(Answer::done));
        assert_eq!(verdict("text/event-stream"), Verdict::Passed);
        assert_eq!(verdict("text/event-stream;charset=UTF-8").name(), "vintage");
        assert_eq!(verdict("text/plain; charset=UTF-8").name(), "failed");
    }
}
