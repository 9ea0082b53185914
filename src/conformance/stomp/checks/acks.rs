//! ACK and NACK: what counts as consumed, and what comes again. Queues are used for it, since what a topic does with a message that
//! nobody acknowledged is left to the server.
//!
//! Does not know: acknowledgements in transactions.

use super::{entry, rule};
use crate::conformance::Level::{May, Must, Should};
use crate::conformance::Stop;
use crate::conformance::stomp::conversation::Conversation;
use crate::conformance::stomp::dialect::Claim;
use crate::conformance::stomp::probe::{Probe, with};
use crate::conformance::stomp::split::Received;
use crate::conformance::stomp::{Entry, Over};
use crate::stomp::{Command, Frame, Version};

const GROUP: &str = "acknowledging";
const MODES: &str = "STOMP 1.2, SUBSCRIBE ack Header";
const ACK: &str = "STOMP 1.2, ACK";

pub(super) static CHECKS: &[Entry] = &[
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "ack.auto",
            "In mode auto a message is consumed when it was sent",
            MODES,
            "Clients in this mode send no ACK. What comes again is done twice.",
        ),
        |probe| Box::pin(auto(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "ack.header",
            "In 1.2 a MESSAGE that needs an acknowledgement has an ack header",
            "STOMP 1.2, MESSAGE",
            "It is the only value that ACK takes. Without it stompjs sends an ACK for undefined.",
        ),
        |probe| Box::pin(header(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "ack.values-differ",
            "Every ack header of a connection is another, across its subscriptions",
            "STOMP 1.2, ACK (its id names one message of the connection)",
            "ACK of 1.2 names no subscription. Two messages with one value cannot be told apart.",
        ),
        |probe| Box::pin(values_differ(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "ack.redelivered",
            "What was not acknowledged when its consumer vanished goes to the next one",
            "STOMP 1.2, SUBSCRIBE ack Header (MAY); documents of the server, queues",
            "It is why anybody acknowledges: a worker that dies must not take its work along.",
        ),
        |probe| Box::pin(redelivered(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "ack.consumed",
            "What was acknowledged does not come again",
            ACK,
            "Work that was done and said to be done is done twice.",
        ),
        |probe| Box::pin(consumed(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "ack.cumulative",
            "In mode client an ACK covers all messages before it on its subscription",
            MODES,
            "Clients of this mode acknowledge one in ten. The other nine come again otherwise, and the server waits with new ones.",
        ),
        |probe| Box::pin(cumulative(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "ack.cumulative-on-its-subscription",
            "In mode client an ACK covers no message of another subscription",
            MODES,
            "What another part of the program still works on counts as done, and is lost if the program dies.",
        ),
        |probe| Box::pin(cumulative_on_its_subscription(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "ack.individual",
            "In mode client-individual an ACK covers its message and no earlier one",
            MODES,
            "Workers finish out of order in this mode. What the slow one has in hand must not count as done.",
        ),
        |probe| Box::pin(individual(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "ack.nack",
            "NACK is taken, and the message is not taken for consumed while others wait",
            "STOMP 1.2, NACK",
            "A worker that cannot do it says so. What becomes of the message is the server's affair, but an ERROR ends the worker.",
        ),
        |probe| Box::pin(nack(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "ack.in-1.1",
            "In 1.1 ACK names the message by message-id and subscription",
            "STOMP 1.1, ACK",
            "stompjs 2.3.3 speaks 1.1 at most and acknowledges this way.",
        ),
        |probe| Box::pin(in_1_1(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "ack.in-1.0",
            "In 1.0 ACK names the message by message-id alone",
            "STOMP 1.0, ACK",
            "1.0 has no subscription header that a client must know.",
        ),
        |probe| Box::pin(in_1_0(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "ack.unknown",
            "An ACK for a message that was never sent is refused",
            ACK,
            "A client that acknowledges wrongly loses its place in silence; told, it can be mended.",
        ),
        |probe| Box::pin(unknown(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "ack.without-id",
            "In 1.2 an ACK or NACK without id is refused",
            ACK,
            "The header is required. Old clients send message-id in its place, and believe that their messages are acknowledged.",
        ),
        |probe| Box::pin(without_id(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            May,
            "ack.twice",
            "A second ACK for the same message is refused",
            ACK,
            "It is a sign of a client that has lost count.",
        ),
        |probe| Box::pin(twice(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            May,
            "ack.nack-in-1.0",
            "In 1.0 NACK is refused",
            "STOMP 1.1, NACK (new in 1.1)",
            "1.0 has no such frame. Its sender is not what it says it is.",
        ),
        |probe| Box::pin(nack_in_1_0(probe)),
    ),
];

const FIRST: &str = "w";

/// A worker in that mode, with these messages in its hands.
async fn working<'a>(
    probe: &'a Probe,
    version: Version,
    mode: &str,
    bodies: &[&str],
) -> Result<(Conversation<'a>, String, Vec<Received>), Stop> {
    probe.needs(Claim::Acks)?;
    probe.needs(Claim::Queues)?;
    let mut worker = probe.connect(version).await?;
    let queue = probe.queue();
    worker.subscribe_in(mode, FIRST, &queue).await?;
    let mut held = Vec::new();
    for body in bodies {
        worker.published(&queue, body.to_string()).await?;
        held.push(worker.body(body).await?);
    }
    Ok((worker, queue, held))
}

/// What is left in the queue when the worker has gone, in its order.
async fn left(worker: Conversation<'_>, queue: &str) -> Result<(Vec<String>, Stop), Stop> {
    let mut heir = worker.beside(Version::V1_2).await?;
    worker.leave().await?;
    heir.subscribe("heir", queue).await?;
    // A message of our own ends the row: what was left is before it.
    heir.published(queue, "the last").await?;
    let mut bodies = Vec::new();
    loop {
        let received = heir.message("what is left in the queue, and a last message behind it").await?;
        let body = String::from_utf8_lossy(&received.frame.body).into_owned();
        // A server may give back what was left after it has given what is new.
        if body == "the last" {
            while heir.listen(heir.lull(), "what is left").await? {}
            let late = heir.unasked().into_iter();
            bodies.extend(late.map(|received| String::from_utf8_lossy(&received.frame.body).into_owned()));
            break;
        }
        bodies.push(body);
    }
    let stop = heir.fail(format!("{bodies:?} left in the queue"), "");
    Ok((bodies, stop))
}

/// Ends the check unless that is what is left in the queue when the worker has gone.
async fn leaves(worker: Conversation<'_>, queue: &str, wanted: &[&str]) -> Result<(), Stop> {
    let (mut bodies, stop) = left(worker, queue).await?;
    bodies.sort();
    match (bodies == wanted, stop) {
        (true, _) => Ok(()),
        (false, Stop::Failed(mut failure)) => {
            failure.wanted = format!("{wanted:?} left in the queue");
            Err(Stop::Failed(failure))
        }
        (false, stop) => Err(stop),
    }
}

/// The ACK or NACK of 1.2 for a message.
fn acknowledge(client: &Conversation<'_>, command: Command, received: &Received) -> Result<Frame, Stop> {
    Ok(with(command, "id", &client.value(received, "ack")?))
}

async fn auto(probe: &Probe) -> Result<(), Stop> {
    let (worker, queue, _) = working(probe, Version::V1_2, "auto", &["1", "2"]).await?;
    leaves(worker, &queue, &[]).await
}

async fn header(probe: &Probe) -> Result<(), Stop> {
    for mode in ["client", "client-individual"] {
        let (worker, _, held) = working(probe, Version::V1_2, mode, &["1"]).await?;
        for received in &held {
            worker.value(received, "ack")?;
        }
    }
    Ok(())
}

async fn values_differ(probe: &Probe) -> Result<(), Stop> {
    let (mut worker, _, held) = working(probe, Version::V1_2, "client-individual", &["1", "2"]).await?;
    let other = probe.queue();
    worker.subscribe_in("client-individual", "other", &other).await?;
    let mut values = Vec::new();
    for received in &held {
        values.push(worker.value(received, "ack")?);
    }
    for body in ["3", "4"] {
        worker.published(&other, body).await?;
        let received = worker.body(body).await?;
        values.push(worker.value(&received, "ack")?);
    }
    values.sort();
    values.dedup();
    worker.demand(values.len() == 4, || format!("the values {values:?}"), "four different values of ack")
}

async fn redelivered(probe: &Probe) -> Result<(), Stop> {
    let (worker, queue, _) = working(probe, Version::V1_2, "client-individual", &["1", "2"]).await?;
    leaves(worker, &queue, &["1", "2"]).await
}

async fn consumed(probe: &Probe) -> Result<(), Stop> {
    let (mut worker, queue, held) = working(probe, Version::V1_2, "client-individual", &["1", "2"]).await?;
    for received in &held {
        let ack = acknowledge(&worker, Command::Ack, received)?;
        worker.settle(ack).await?;
    }
    leaves(worker, &queue, &[]).await
}

async fn cumulative(probe: &Probe) -> Result<(), Stop> {
    let (mut worker, queue, held) = working(probe, Version::V1_2, "client", &["1", "2", "3", "4"]).await?;
    if let Some(third) = held.get(2) {
        let ack = acknowledge(&worker, Command::Ack, third)?;
        worker.settle(ack).await?;
    }
    leaves(worker, &queue, &["4"]).await
}

async fn cumulative_on_its_subscription(probe: &Probe) -> Result<(), Stop> {
    let (mut worker, queue, _) = working(probe, Version::V1_2, "client", &["1"]).await?;
    let other = probe.queue();
    worker.subscribe_in("client", "other", &other).await?;
    worker.published(&other, "2").await?;
    let received = worker.body("2").await?;
    let ack = acknowledge(&worker, Command::Ack, &received)?;
    worker.settle(ack).await?;
    leaves(worker, &queue, &["1"]).await
}

async fn individual(probe: &Probe) -> Result<(), Stop> {
    let (mut worker, queue, held) = working(probe, Version::V1_2, "client-individual", &["1", "2", "3"]).await?;
    if let Some(second) = held.get(1) {
        let ack = acknowledge(&worker, Command::Ack, second)?;
        worker.settle(ack).await?;
    }
    leaves(worker, &queue, &["1", "3"]).await
}

async fn nack(probe: &Probe) -> Result<(), Stop> {
    let (mut worker, queue, held) = working(probe, Version::V1_2, "client-individual", &["1", "2"]).await?;
    if let Some(first) = held.first() {
        let nack = acknowledge(&worker, Command::Nack, first)?;
        worker.settle(nack).await?;
    }
    let (bodies, _) = left(worker, &queue).await?;
    // The one that was refused may come again or be dropped; the other was never answered for.
    match bodies.contains(&"2".to_owned()) {
        true => Ok(()),
        false => Err(Stop::failed(format!("{bodies:?} left in the queue"), "the message that was not answered for")),
    }
}

async fn in_1_1(probe: &Probe) -> Result<(), Stop> {
    let (mut worker, queue, held) = working(probe, Version::V1_1, "client-individual", &["1", "2"]).await?;
    if let Some(first) = held.first() {
        let id = worker.value(first, "message-id")?;
        let ack = with(Command::Ack, "message-id", &id).with("subscription", FIRST);
        worker.settle(ack).await?;
    }
    leaves(worker, &queue, &["2"]).await
}

async fn in_1_0(probe: &Probe) -> Result<(), Stop> {
    let (mut worker, queue, held) = working(probe, Version::V1_0, "client", &["1", "2"]).await?;
    if let Some(first) = held.first() {
        let id = worker.value(first, "message-id")?;
        // The subscription is named as well, as a client may whose SUBSCRIBE had an id.
        let ack = with(Command::Ack, "message-id", &id).with("subscription", FIRST);
        worker.settle(ack).await?;
    }
    leaves(worker, &queue, &["2"]).await
}

async fn unknown(probe: &Probe) -> Result<(), Stop> {
    let (mut worker, _, _) = working(probe, Version::V1_2, "client-individual", &["1"]).await?;
    worker.send(&with(Command::Ack, "id", "never-sent")).await?;
    worker.refused("a refusal of the ACK: ERROR or the end").await?;
    Ok(())
}

async fn without_id(probe: &Probe) -> Result<(), Stop> {
    for command in [Command::Ack, Command::Nack] {
        let (mut worker, _, held) = working(probe, Version::V1_2, "client-individual", &["1"]).await?;
        let mut frame = with(command, "subscription", FIRST);
        if let Some(id) = held.first().and_then(|received| received.frame.headers.get("message-id")) {
            frame = frame.with("message-id", id);
        }
        worker.send(&frame).await?;
        worker.refused("a refusal of the frame without id: ERROR or the end").await?;
    }
    Ok(())
}

async fn twice(probe: &Probe) -> Result<(), Stop> {
    let (mut worker, _, held) = working(probe, Version::V1_2, "client-individual", &["1"]).await?;
    if let Some(first) = held.first() {
        let ack = acknowledge(&worker, Command::Ack, first)?;
        worker.settle(ack.clone()).await?;
        worker.send(&ack).await?;
    }
    worker.refused("a refusal of the second ACK: ERROR or the end").await?;
    Ok(())
}

async fn nack_in_1_0(probe: &Probe) -> Result<(), Stop> {
    let (mut worker, _, held) = working(probe, Version::V1_0, "client", &["1"]).await?;
    let Some(first) = held.first() else { return Ok(()) };
    let id = worker.value(first, "message-id")?;
    worker.send(&with(Command::Nack, "message-id", &id).with("subscription", FIRST)).await?;
    worker.refused("a refusal of NACK: ERROR or the end").await?;
    Ok(())
}
