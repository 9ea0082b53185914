//! ERROR, and the end that must follow it.
//!
//! Does not know: which faults there are; a SEND without destination stands for all of them.

use super::{entry, rule};
use crate::conformance::Level::{May, Must, Should};
use crate::conformance::Stop;
use crate::conformance::stomp::conversation::Conversation;
use crate::conformance::stomp::dialect::Claim;
use crate::conformance::stomp::probe::{Probe, message};
use crate::conformance::stomp::split::Received;
use crate::conformance::stomp::{Entry, Over};
use crate::stomp::{Command, Frame, Version};
use crate::wire::shown;

const GROUP: &str = "errors";
const ERROR: &str = "STOMP 1.2, ERROR";

pub(super) static CHECKS: &[Entry] = &[
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "error.ends",
            "After ERROR the server ends the connection",
            ERROR,
            "stompjs does nothing on ERROR and connects again when the socket closes. Left open, the page looks alive and is not.",
        ),
        |probe| Box::pin(ends(probe, Version::V1_2)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "error.ends-1.1",
            "In 1.1, too, the server ends the connection after ERROR",
            "STOMP 1.1, ERROR",
            "stompjs 2.3.3 speaks 1.1 and waits for the close likewise.",
        ),
        |probe| Box::pin(ends(probe, Version::V1_1)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "error.message",
            "ERROR has a message header with a few words",
            ERROR,
            "The iOS client shows an ERROR only if it has one, and every log has it.",
        ),
        |probe| Box::pin(words(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "error.receipt-id",
            "ERROR names the receipt of the frame that it is about",
            ERROR,
            "A client with several frames under way cannot tell otherwise which of them failed.",
        ),
        |probe| Box::pin(receipt_id(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "error.nothing-after",
            "Nothing follows ERROR, though more frames were sent",
            ERROR,
            "The text has the connection end just after it. A RECEIPT behind it says that the conversation goes on.",
        ),
        |probe| Box::pin(nothing_after(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "error.rest-is-not-done",
            "Frames behind the one that failed are not carried out",
            ERROR,
            "The client sends them again when it is back; then they are there twice.",
        ),
        |probe| Box::pin(rest_is_not_done(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "error.before-it-is-done",
            "Frames before the one that failed are carried out",
            ERROR,
            "They came first and were right. Whether they share a segment with the mistake is chance.",
        ),
        |probe| Box::pin(before_it_is_done(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "error.others-go-on",
            "The fault of one connection leaves others alone",
            ERROR,
            "One client with a mistake would take everybody off the air.",
        ),
        |probe| Box::pin(others_go_on(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "error.body-type",
            "An ERROR with a body says its content-type",
            ERROR,
            "Clients that show it have to know that it is text.",
        ),
        |probe| Box::pin(body_type(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            May,
            "error.plain-message",
            "The message header of ERROR has no colon, backslash or line break",
            "practice of clients",
            "SwiftStomp stops reading at a line with a second colon, and others show the escapes.",
        ),
        |probe| Box::pin(plain_message(probe)),
    ),
];

/// A SEND that cannot be processed.
fn wrong() -> Frame {
    Frame::new(Command::Send).with("foo", "bar").with_body("to nobody")
}

/// A client that has done something wrong, and the ERROR for it.
async fn told(probe: &Probe, version: Version, frame: Frame) -> Result<(Conversation<'_>, Received), Stop> {
    probe.needs(Claim::Errors)?;
    let mut client = probe.connect(version).await?;
    client.send(&frame).await?;
    let received = client.error("ERROR for a SEND without destination").await?;
    Ok((client, received))
}

async fn ends(probe: &Probe, version: Version) -> Result<(), Stop> {
    let (mut client, _) = told(probe, version, wrong()).await?;
    client.end("the end of the connection after ERROR").await
}

async fn words(probe: &Probe) -> Result<(), Stop> {
    let (client, received) = told(probe, Version::V1_2, wrong()).await?;
    client.value(&received, "message").map(drop)
}

async fn receipt_id(probe: &Probe) -> Result<(), Stop> {
    let (client, received) = told(probe, Version::V1_2, wrong().with("receipt", "culprit")).await?;
    client.header(&received, "receipt-id", "culprit")
}

async fn nothing_after(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    let mut client = probe.connect(Version::V1_2).await?;
    let later = message(&probe.topic(), "hello").with("receipt", "later");
    client.write([wrong().encode(Version::V1_2), later.encode(Version::V1_2)].concat()).await?;
    client.error("ERROR for a SEND without destination").await?;
    let wanted = "nothing after ERROR";
    while client.has_ended().is_none() && client.listen(client.lull(), wanted).await? {}
    let more = client.unasked().pop_front();
    client.demand(more.is_none(), || more.map(|more| shown(&more.raw)).unwrap_or_default(), wanted)
}

async fn rest_is_not_done(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    let (mut listener, topic) = probe.listener(Version::V1_2).await?;
    let mut client = listener.beside(Version::V1_2).await?;
    client.write([wrong().encode(Version::V1_2), message(&topic, "behind it").encode(Version::V1_2)].concat()).await?;
    client.refused("a refusal of the SEND without destination").await?;
    listener.silence("nothing of what was behind the frame that failed").await
}

async fn before_it_is_done(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    let (mut listener, topic) = probe.listener(Version::V1_2).await?;
    let mut client = listener.beside(Version::V1_2).await?;
    client.write([message(&topic, "before it").encode(Version::V1_2), wrong().encode(Version::V1_2)].concat()).await?;
    client.refused("a refusal of the SEND without destination").await?;
    listener.body("before it").await?;
    Ok(())
}

async fn others_go_on(probe: &Probe) -> Result<(), Stop> {
    let (mut listener, topic) = probe.listener(Version::V1_2).await?;
    let mut client = listener.beside(Version::V1_2).await?;
    client.send(&wrong()).await?;
    if probe.has(Claim::Errors) {
        client.refused("a refusal of the SEND without destination").await?;
    }
    listener.publish(&topic, "still here").await?;
    listener.body("still here").await?;
    Ok(())
}

async fn body_type(probe: &Probe) -> Result<(), Stop> {
    let (client, received) = told(probe, Version::V1_2, wrong()).await?;
    match received.frame.body.is_empty() {
        true => Ok(()),
        false => client.value(&received, "content-type").map(drop),
    }
}

async fn plain_message(probe: &Probe) -> Result<(), Stop> {
    let (client, received) = told(probe, Version::V1_2, wrong()).await?;
    let message = client.value(&received, "message")?;
    let plain = !message.contains([':', '\\', '\n', '\r']);
    client.demand(plain, || shown(&message), "a message without colon, backslash and line break")
}
