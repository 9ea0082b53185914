//! The receipt header, RECEIPT, and the end after DISCONNECT.
//!
//! Does not know: what the frames that ask for receipts do.

use super::{entry, rule};
use crate::conformance::Level::{Must, Should};
use crate::conformance::Stop;
use crate::conformance::stomp::conversation::Conversation;
use crate::conformance::stomp::dialect::Claim;
use crate::conformance::stomp::probe::{Probe, message, subscription, with};
use crate::conformance::stomp::split::has_line;
use crate::conformance::stomp::{Entry, Over};
use crate::stomp::{Command, Frame, Version};
use crate::wire::shown;

const GROUP: &str = "receipts";
const RECEIPT: &str = "STOMP 1.2, RECEIPT";
const DISCONNECT: &str = "STOMP 1.2, DISCONNECT";

pub(super) static CHECKS: &[Entry] = &[
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "receipt.send",
            "A SEND that asks for a receipt gets one",
            RECEIPT,
            "Only then may the sender forget the message.",
        ),
        |probe| Box::pin(send(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "receipt.subscribe",
            "SUBSCRIBE and UNSUBSCRIBE that ask for a receipt get one",
            RECEIPT,
            "It is the only way to know that a subscription is there before the first message is sent.",
        ),
        |probe| Box::pin(subscribe(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "receipt.transaction",
            "BEGIN, COMMIT and ABORT that ask for a receipt get one",
            RECEIPT,
            "Whether a COMMIT was carried out is what its sender wants to know most.",
        ),
        |probe| Box::pin(transaction(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "receipt.ack",
            "ACK and NACK that ask for a receipt get one",
            RECEIPT,
            "Without it a worker cannot know whether the message will come again.",
        ),
        |probe| Box::pin(ack(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "receipt.exact",
            "receipt-id is the receipt header as it was, whatever is in it",
            RECEIPT,
            "Clients look their callback up by it, character by character.",
        ),
        |probe| Box::pin(exact(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "receipt.has-no-body",
            "RECEIPT has no body",
            RECEIPT,
            "The text says that it is empty; old clients take what follows for the next frame.",
        ),
        |probe| Box::pin(has_no_body(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "receipt.order",
            "Receipts come in the order of their frames",
            "STOMP 1.2, RECEIPT (it implies that all before it were received)",
            "Clients that count receipts, and those that wait for the last, take what is before it for done.",
        ),
        |probe| Box::pin(order(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "receipt.only-when-asked",
            "No RECEIPT comes for a frame that asked for none",
            "STOMP 1.2, Header receipt",
            "There is no id that it could have, and a client that gets one it does not know may throw.",
        ),
        |probe| Box::pin(only_when_asked(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "receipt.not-for-failures",
            "A frame that failed gets no RECEIPT",
            RECEIPT,
            "RECEIPT says that it was processed. The sender forgets what never arrived.",
        ),
        |probe| Box::pin(not_for_failures(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "receipt.disconnect",
            "DISCONNECT that asks for a receipt gets it before the connection ends",
            DISCONNECT,
            "stompjs and stomp.py wait for it, the one until a time-out. It is their only proof that all was received.",
        ),
        |probe| Box::pin(disconnect(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "receipt.disconnect-last",
            "All receipts that are due come before that of DISCONNECT",
            DISCONNECT,
            "The text promises that everything before it was received. A receipt that is lost makes the client send its message again.",
        ),
        |probe| Box::pin(disconnect_last(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "receipt.end",
            "The server ends the connection after DISCONNECT, with or without a receipt",
            DISCONNECT,
            "Without a receipt stompjs waits for the close; and a server that keeps such connections collects them.",
        ),
        |probe| Box::pin(end(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "receipt.nothing-after-disconnect",
            "What follows DISCONNECT is not carried out",
            DISCONNECT,
            "Clients must not send it. It may be the rest of something that the client gave up.",
        ),
        |probe| Box::pin(nothing_after_disconnect(probe)),
    ),
];

async fn asking(probe: &Probe) -> Result<Conversation<'_>, Stop> {
    probe.needs(Claim::Receipts)?;
    probe.connect(Version::V1_2).await
}

/// Sends the frame with that receipt, and wants it as the next frame.
async fn receipted(client: &mut Conversation<'_>, frame: Frame, id: &str) -> Result<(), Stop> {
    let wanted = format!("RECEIPT for {}", frame.command);
    client.send(&frame.with("receipt", id)).await?;
    let received = client.next(&wanted).await?;
    client.demand(received.frame.command == Command::Receipt, || shown(&received.raw), &wanted)?;
    client.header(&received, "receipt-id", id)
}

async fn send(probe: &Probe) -> Result<(), Stop> {
    let mut client = asking(probe).await?;
    receipted(&mut client, message(&probe.topic(), "hello"), "r-1").await?;
    client.silence("one RECEIPT").await
}

async fn subscribe(probe: &Probe) -> Result<(), Stop> {
    let mut client = asking(probe).await?;
    receipted(&mut client, subscription("s", &probe.topic()), "r-1").await?;
    receipted(&mut client, with(Command::Unsubscribe, "id", "s"), "r-2").await
}

async fn transaction(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Transactions)?;
    let mut client = asking(probe).await?;
    for (number, end) in [Command::Commit, Command::Abort].into_iter().enumerate() {
        receipted(&mut client, with(Command::Begin, "transaction", "tx"), &format!("begin-{number}")).await?;
        receipted(&mut client, with(end, "transaction", "tx"), &format!("end-{number}")).await?;
    }
    Ok(())
}

async fn ack(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Acks)?;
    let mut client = asking(probe).await?;
    let queue = probe.queue();
    client.subscribe_in("client-individual", "w", &queue).await?;
    // Another consumer, so that what is refused need not come back to this one.
    for (body, command) in [("1", Command::Ack), ("2", Command::Nack)] {
        client.published(&queue, body).await?;
        let received = client.body(body).await?;
        let frame = with(command, "id", &client.value(&received, "ack")?);
        client.send(&frame.with("receipt", format!("r-{body}"))).await?;
        client.receipt(&format!("r-{body}")).await?;
    }
    Ok(())
}

async fn exact(probe: &Probe) -> Result<(), Stop> {
    let mut client = asking(probe).await?;
    let topic = probe.topic();
    for (id, written) in [("a:b\\c", "a\\cb\\\\c"), ("größe 1", "größe 1"), ("{\"n\":1}", "{\"n\"\\c1}"), ("0", "0")]
    {
        client.send(&message(&topic, "hello").with("receipt", id)).await?;
        let received = client.next("RECEIPT").await?;
        client.header(&received, "receipt-id", id)?;
        let line = format!("receipt-id:{written}");
        client.demand(
            has_line(&received.raw, &line),
            || shown(&received.raw),
            &format!("the line {}", shown(&line)),
        )?;
    }
    Ok(())
}

async fn has_no_body(probe: &Probe) -> Result<(), Stop> {
    let mut client = asking(probe).await?;
    client.send(&message(&probe.topic(), "hello").with("receipt", "r")).await?;
    let received = client.next("RECEIPT").await?;
    client.demand(received.frame.command == Command::Receipt, || shown(&received.raw), "RECEIPT")?;
    client.demand(received.frame.body.is_empty(), || shown(&received.raw), "RECEIPT without a body")
}

async fn order(probe: &Probe) -> Result<(), Stop> {
    let mut client = asking(probe).await?;
    let topic = probe.topic();
    for number in 0..15 {
        let frame = match number % 3 {
            0 => message(&topic, "hello"),
            1 => subscription(&format!("s-{number}"), &probe.topic()),
            _ => with(Command::Unsubscribe, "id", &format!("s-{}", number - 1)),
        };
        client.send(&frame.with("receipt", number.to_string())).await?;
    }
    for number in 0..15 {
        let received = client.next("15 RECEIPTs").await?;
        client.header(&received, "receipt-id", &number.to_string())?;
    }
    Ok(())
}

async fn only_when_asked(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    let topic = probe.topic();
    client.send(&subscription("s", &topic)).await?;
    client.send(&with(Command::Unsubscribe, "id", "s")).await?;
    client.publish(&topic, "hello").await?;
    client.silence("no RECEIPT that was not asked for").await
}

async fn not_for_failures(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Receipts)?;
    let mut client = asking(probe).await?;
    client.send(&Frame::new(Command::Send).with("receipt", "r").with_body("hello")).await?;
    let wanted = "ERROR for a SEND without destination, and no RECEIPT";
    client.refused(wanted).await?;
    // It may come behind the ERROR, too.
    while client.has_ended().is_none() && client.listen(client.lull(), wanted).await? {}
    let receipt = client.unasked().into_iter().find(|received| received.frame.command == Command::Receipt);
    client.demand(receipt.is_none(), || receipt.map(|receipt| shown(&receipt.raw)).unwrap_or_default(), wanted)
}

async fn disconnect(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    receipted(&mut client, Frame::new(Command::Disconnect), "goodbye").await
}

async fn disconnect_last(probe: &Probe) -> Result<(), Stop> {
    let mut client = asking(probe).await?;
    let topic = probe.topic();
    let mut bytes = Vec::new();
    for number in 0..5 {
        let frame = message(&topic, "hello").with("receipt", number.to_string());
        bytes.extend_from_slice(&frame.encode(Version::V1_2));
    }
    let goodbye = Frame::new(Command::Disconnect).with("receipt", "goodbye");
    bytes.extend_from_slice(&goodbye.encode(Version::V1_2));
    client.write(&bytes).await?;
    let mut ids = Vec::new();
    for _ in 0..6 {
        let received = client.next("five RECEIPTs, then that of DISCONNECT").await?;
        ids.push(received.frame.headers.get("receipt-id").unwrap_or_default().to_owned());
    }
    let last = ids.last().is_some_and(|id| id == "goodbye");
    client.demand(last, || format!("receipts {ids:?}"), "that of DISCONNECT as the last")
}

async fn end(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    let mut quiet = client.beside(Version::V1_2).await?;
    quiet.send(&Frame::new(Command::Disconnect)).await?;
    client.send(&Frame::new(Command::Disconnect).with("receipt", "goodbye")).await?;
    let wanted = "the end of the connection after DISCONNECT";
    for mut leaving in [client, quiet] {
        // What comes before the end is the affair of other checks.
        while leaving.answer(wanted).await?.is_some() {}
    }
    Ok(())
}

async fn nothing_after_disconnect(probe: &Probe) -> Result<(), Stop> {
    let (mut listener, topic) = probe.listener(Version::V1_2).await?;
    let mut client = listener.beside(Version::V1_2).await?;
    let frames =
        [Frame::new(Command::Disconnect).encode(Version::V1_2), message(&topic, "too late").encode(Version::V1_2)];
    client.write(frames.concat()).await?;
    listener.silence("nothing of a SEND behind DISCONNECT").await
}
