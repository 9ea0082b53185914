//! BEGIN, COMMIT and ABORT.
//!
//! Does not know: what else happens to the messages.

use super::{entry, rule};
use crate::conformance::Level::{Must, Should};
use crate::conformance::Stop;
use crate::conformance::stomp::conversation::Conversation;
use crate::conformance::stomp::dialect::Claim;
use crate::conformance::stomp::probe::{Probe, message, with};
use crate::conformance::stomp::{Entry, Over};
use crate::stomp::{Command, Frame, Version};

const GROUP: &str = "transactions";
const BEGIN: &str = "STOMP 1.2, BEGIN";

pub(super) static CHECKS: &[Entry] = &[
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "transaction.commit",
            "What is sent in a transaction is delivered at COMMIT, all of it in order, and nothing before",
            BEGIN,
            "An order without its lines is worse than none. Atomicity is the only reason for a transaction.",
        ),
        |probe| Box::pin(commit(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "transaction.abort",
            "What is sent in a transaction is dropped at ABORT",
            "STOMP 1.2, ABORT",
            "The client has seen that it must not be sent.",
        ),
        |probe| Box::pin(abort(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "transaction.disconnect",
            "DISCONNECT aborts an open transaction",
            BEGIN,
            "Half of something would be carried out after its sender left without saying so.",
        ),
        |probe| Box::pin(left_open(probe, true)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "transaction.lost",
            "The loss of the connection aborts an open transaction",
            BEGIN,
            "The client will send it again when it is back. If the first was carried out as well, it happens twice.",
        ),
        |probe| Box::pin(left_open(probe, false)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "transaction.outside",
            "What is sent outside of a transaction does not wait for it",
            BEGIN,
            "Other parts of the program share the connection.",
        ),
        |probe| Box::pin(outside(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "transaction.two",
            "Two transactions of one connection do not mix",
            BEGIN,
            "The end of one would decide what becomes of the other.",
        ),
        |probe| Box::pin(two(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "transaction.ids-of-others",
            "Two connections may use the same transaction id",
            BEGIN,
            "Every client calls its first transaction tx1. The commit of one must not be that of all.",
        ),
        |probe| Box::pin(ids_of_others(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "transaction.again",
            "An id can be used again after COMMIT and after ABORT",
            BEGIN,
            "The text forbids an id that is in use, and no other.",
        ),
        |probe| Box::pin(again(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "transaction.ack",
            "An ACK in a transaction counts at COMMIT, and not at all after ABORT",
            "STOMP 1.2, ACK",
            "Take a message, send the answer, acknowledge: with the answer dropped the message must come again.",
        ),
        |probe| Box::pin(ack(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "transaction.without-id",
            "BEGIN without a transaction header is refused",
            BEGIN,
            "The header is required; nothing could be bound to that transaction.",
        ),
        |probe| Box::pin(refused(probe, &[Frame::new(Command::Begin)])),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "transaction.unknown-send",
            "A SEND in a transaction that was never begun is answered by ERROR",
            "STOMP 1.2, SEND",
            "It cannot be processed. Sent at once, or never, it is not what the client asked for.",
        ),
        |probe| Box::pin(refused(probe, &[message(&probe.topic(), "lost").with("transaction", "never-begun")])),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "transaction.unknown-commit",
            "COMMIT of a transaction that was never begun is refused",
            "STOMP 1.2, COMMIT",
            "The client believes that something was carried out, which was not.",
        ),
        |probe| Box::pin(refused(probe, &[with(Command::Commit, "transaction", "never-begun")])),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "transaction.unknown-abort",
            "ABORT of a transaction that was never begun is refused",
            "STOMP 1.2, ABORT",
            "What the client wants undone it may have sent without a transaction, and nobody tells it.",
        ),
        |probe| Box::pin(refused(probe, &[with(Command::Abort, "transaction", "never-begun")])),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "transaction.begun-twice",
            "BEGIN with the id of an open transaction is refused",
            "STOMP 1.2, BEGIN (ids MUST be different)",
            "RabbitMQ begins anew and drops what the first had. Whoever is told finds the mistake before that.",
        ),
        |probe| {
            let begin = with(Command::Begin, "transaction", TX);
            Box::pin(refused(probe, &[begin.clone(), begin]))
        },
    ),
];

const TX: &str = "tx1";

/// A client that is subscribed to a topic of its own, and the topic, where there are transactions.
async fn listening(probe: &Probe) -> Result<(Conversation<'_>, String), Stop> {
    probe.needs(Claim::Transactions)?;
    probe.listener(Version::V1_2).await
}

fn within(transaction: &str, topic: &str, body: &str) -> Frame {
    message(topic, body.to_owned()).with("transaction", transaction)
}

async fn commit(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = listening(probe).await?;
    let mut sender = client.beside(Version::V1_2).await?;
    sender.send(&with(Command::Begin, "transaction", TX)).await?;
    for body in ["1", "2", "3"] {
        sender.send(&within(TX, &topic, body)).await?;
    }
    client.silence("nothing before COMMIT").await?;
    sender.settle(with(Command::Commit, "transaction", TX)).await?;
    for body in ["1", "2", "3"] {
        client.body(body).await?;
    }
    client.silence("each message once").await
}

async fn abort(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = listening(probe).await?;
    client.send(&with(Command::Begin, "transaction", TX)).await?;
    client.send(&within(TX, &topic, "dropped")).await?;
    client.settle(with(Command::Abort, "transaction", TX)).await?;
    client.silence("nothing of what was aborted").await
}

async fn left_open(probe: &Probe, with_a_word: bool) -> Result<(), Stop> {
    let (mut client, topic) = listening(probe).await?;
    let mut sender = client.beside(Version::V1_2).await?;
    sender.send(&with(Command::Begin, "transaction", TX)).await?;
    sender.send(&within(TX, &topic, "dropped")).await?;
    // So that it has been read before the connection ends.
    sender.published(&topic, "outside").await?;
    client.body("outside").await?;
    match with_a_word {
        true => sender.leave().await?,
        false => drop(sender),
    }
    client.silence("nothing of a transaction that was left open").await
}

async fn outside(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = listening(probe).await?;
    client.send(&with(Command::Begin, "transaction", TX)).await?;
    client.send(&within(TX, &topic, "inside")).await?;
    client.publish(&topic, "outside").await?;
    client.body("outside").await?;
    client.settle(with(Command::Commit, "transaction", TX)).await?;
    client.body("inside").await?;
    Ok(())
}

async fn two(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = listening(probe).await?;
    for transaction in ["a", "b"] {
        client.send(&with(Command::Begin, "transaction", transaction)).await?;
    }
    for (transaction, body) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("b", "b2")] {
        client.send(&within(transaction, &topic, body)).await?;
    }
    client.settle(with(Command::Abort, "transaction", "a")).await?;
    client.settle(with(Command::Commit, "transaction", "b")).await?;
    client.body("b1").await?;
    client.body("b2").await?;
    client.silence("nothing of the one that was aborted").await
}

async fn ids_of_others(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = listening(probe).await?;
    let mut other = client.beside(Version::V1_2).await?;
    for (sender, body) in [(&mut client, "mine"), (&mut other, "theirs")] {
        sender.settle(with(Command::Begin, "transaction", TX)).await?;
        sender.send(&within(TX, &topic, body)).await?;
    }
    other.settle(with(Command::Abort, "transaction", TX)).await?;
    client.settle(with(Command::Commit, "transaction", TX)).await?;
    client.body("mine").await?;
    client.silence("nothing of the other connection's transaction").await
}

async fn again(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = listening(probe).await?;
    for end in [Command::Abort, Command::Commit, Command::Commit] {
        client.settle(with(Command::Begin, "transaction", TX)).await?;
        client.send(&within(TX, &topic, end.as_str())).await?;
        client.settle(with(end, "transaction", TX)).await?;
    }
    client.body("COMMIT").await?;
    client.body("COMMIT").await?;
    client.silence("nothing of the one that was aborted").await
}

async fn ack(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Transactions)?;
    probe.needs(Claim::Acks)?;
    probe.needs(Claim::Queues)?;
    let mut worker = probe.connect(Version::V1_2).await?;
    let queue = probe.queue();
    worker.subscribe_in("client-individual", "w", &queue).await?;
    for (body, end) in [("aborted", Command::Abort), ("committed", Command::Commit)] {
        worker.published(&queue, body).await?;
        let received = worker.body(body).await?;
        let id = worker.value(&received, "ack")?;
        worker.settle(with(Command::Begin, "transaction", TX)).await?;
        worker.send(&with(Command::Ack, "id", &id).with("transaction", TX)).await?;
        worker.settle(with(end, "transaction", TX)).await?;
    }
    let mut heir = worker.beside(Version::V1_2).await?;
    worker.leave().await?;
    heir.subscribe("heir", &queue).await?;
    heir.body("aborted").await?;
    heir.silence("nothing of what was acknowledged and committed").await
}

/// That the last of these frames is refused.
fn refused<'a>(probe: &'a Probe, frames: &[Frame]) -> impl Future<Output = Result<(), Stop>> + Send + use<'a> {
    let frames = frames.to_vec();
    async move {
        probe.needs(Claim::Transactions)?;
        let mut client = probe.connect(Version::V1_2).await?;
        for frame in &frames {
            client.send(frame).await?;
        }
        client.refused("a refusal: ERROR or the end").await?;
        Ok(())
    }
}
