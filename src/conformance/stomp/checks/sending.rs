//! SEND, and the MESSAGE that comes of it.
//!
//! Does not know: acknowledgements and transactions.

use super::{entry, rule};
use crate::conformance::Level::{Must, Should};
use crate::conformance::Stop;
use crate::conformance::stomp::carrier::Carrier;
use crate::conformance::stomp::conversation::Conversation;
use crate::conformance::stomp::dialect::Claim;
use crate::conformance::stomp::probe::{Probe, message};
use crate::conformance::stomp::{Entry, Over};
use crate::stomp::{Command, Frame, Version};
use crate::wire::shown;

const GROUP: &str = "sending";
const MESSAGE: &str = "STOMP 1.2, MESSAGE";

pub(super) static CHECKS: &[Entry] = &[
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "send.delivered",
            "What is sent to a destination reaches whoever is subscribed to it, with its body as it was",
            MESSAGE,
            "It is what a broker is for, and nothing else matters where it fails.",
        ),
        |probe| Box::pin(delivered(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "send.message-headers",
            "MESSAGE has destination, message-id and, if the SUBSCRIBE had an id, subscription",
            MESSAGE,
            "Clients find the subscriber by subscription, and acknowledge by message-id. stompjs drops a MESSAGE without subscription.",
        ),
        |probe| Box::pin(message_headers(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "send.message-destination",
            "The destination of MESSAGE is that of SEND",
            MESSAGE,
            "The Android client finds the subscriber by the destination and by nothing else.",
        ),
        |probe| Box::pin(message_destination(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "send.message-ids",
            "Every MESSAGE of a connection has another message-id",
            MESSAGE,
            "Under 1.0 and 1.1 it is what ACK names. Clients that drop doubles by it lose messages.",
        ),
        |probe| Box::pin(message_ids(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "send.user-headers",
            "Headers of the user's own reappear in MESSAGE, once each",
            "STOMP 1.2, SEND",
            "Applications put types, versions and correlation there. Without them the receiver cannot tell what it got.",
        ),
        |probe| Box::pin(user_headers(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "send.content-type",
            "The content-type of SEND is that of MESSAGE",
            "STOMP 1.2, Header content-type",
            "Spring's client picks the converter by it, and fails on JSON that has none or another.",
        ),
        |probe| Box::pin(content_type(probe)),
    ),
    entry(
        Over::Bytes,
        rule(
            GROUP,
            Must,
            "send.bytes",
            "A body of any bytes arrives as it was",
            "STOMP 1.2, Header content-length",
            "Pictures, protobuf and whatever is compressed: one byte replaced by a question mark makes it useless.",
        ),
        |probe| Box::pin(bytes(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "send.empty-body",
            "A message without a body is a message",
            "STOMP 1.2, SEND",
            "Signals have headers and nothing else: a bell, a refresh, a logout.",
        ),
        |probe| Box::pin(empty_body(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "send.without-destination",
            "A SEND without destination is answered by ERROR",
            "STOMP 1.2, SEND",
            "What cannot be processed must be told, says the text. A message that vanishes without a word costs days.",
        ),
        |probe| Box::pin(without_destination(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "send.order",
            "Messages of one sender to one destination arrive in their order",
            "practice of brokers",
            "Chats, prices and cursors are wrong out of order, and nothing shows it.",
        ),
        |probe| Box::pin(order(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "send.not-forged",
            "A subscription header in SEND does not become that of MESSAGE",
            MESSAGE,
            "A sender could have every receiver take its message for one of another subscription.",
        ),
        |probe| Box::pin(not_forged(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "send.receipt-is-not-passed-on",
            "The receipt header of SEND does not reappear in MESSAGE",
            "STOMP 1.2, Header receipt",
            "It is between the sender and the server. A receiver that passes the message on asks for a receipt that nobody expects.",
        ),
        |probe| Box::pin(receipt_is_not_passed_on(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "send.topic",
            "Everybody who is subscribed to a topic gets every message",
            "documents of the server, topics",
            "Who misses one shows an old state until the page is loaded again.",
        ),
        |probe| Box::pin(topic(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "send.queue-waits",
            "A message to a queue waits until somebody subscribes",
            "documents of the server, queues",
            "Work that is handed in while the worker restarts is lost otherwise.",
        ),
        |probe| Box::pin(queue_waits(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "send.queue-to-one",
            "A message of a queue goes to one of its consumers",
            "documents of the server, queues",
            "Two workers that both do it charge the customer twice.",
        ),
        |probe| Box::pin(queue_to_one(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "send.and-leave",
            "A client may connect, send and leave without waiting for anything",
            "STOMP 1.2, Connection Lingering",
            "Scripts and cron jobs do just that. A server that drops what it has read when the connection ends loses their messages.",
        ),
        |probe| Box::pin(and_leave(probe)),
    ),
];

async fn delivered(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    let mut sender = client.beside(Version::V1_2).await?;
    for body in ["hello", " line\nline: \\n\r\n", "[\"a\",{\"b\":null}]"] {
        sender.published(&topic, body).await?;
        client.body(body).await?;
    }
    client.silence("each message once").await
}

async fn message_headers(probe: &Probe) -> Result<(), Stop> {
    for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
        if probe.speaks(version).is_err() {
            continue;
        }
        let mut client = probe.connect(version).await?;
        let topic = probe.topic();
        client.subscribe("sub-1", &topic).await?;
        client.publish(&topic, "hello").await?;
        let received = client.body("hello").await?;
        client.header(&received, "subscription", "sub-1")?;
        for name in ["destination", "message-id"] {
            client.value(&received, name)?;
        }
    }
    Ok(())
}

async fn message_destination(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.publish(&topic, "hello").await?;
    let received = client.body("hello").await?;
    client.header(&received, "destination", &topic)
}

async fn message_ids(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    let topics = [probe.topic(), probe.topic()];
    for (id, topic) in ["a", "b"].iter().zip(&topics) {
        client.subscribe(id, topic).await?;
    }
    for number in 0..10 {
        for topic in &topics {
            client.publish(topic, number.to_string()).await?;
        }
    }
    let mut ids = Vec::new();
    for _ in 0..20 {
        let received = client.message("20 MESSAGEs").await?;
        ids.push(client.value(&received, "message-id")?);
    }
    ids.sort();
    ids.dedup();
    client.demand(ids.len() == 20, || format!("{} different message-ids", ids.len()), "20 different message-ids")
}

async fn user_headers(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    let own = [("foo", "bar"), ("x-type", "Order"), ("priority-class", "7"), ("tenant_id", "0042")];
    let mut frame = message(&topic, "hello");
    for (name, value) in own {
        frame = frame.with(name, value);
    }
    client.send(&frame).await?;
    let received = client.body("hello").await?;
    for (name, value) in own {
        client.header(&received, name, value)?;
        let times = received.frame.headers.iter().filter(|(given, _)| *given == name).count();
        client.demand(times == 1, || format!("{name} {times} times"), "each header once")?;
    }
    Ok(())
}

async fn content_type(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    for kind in ["application/json", "text/plain;charset=utf-8"] {
        client.send(&message(&topic, "{}").with("content-type", kind)).await?;
        let received = client.body("{}").await?;
        client.header(&received, "content-type", kind)?;
    }
    Ok(())
}

async fn bytes(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    let body: Vec<u8> = (0..=255).chain([0xc3, 0x28, 0xed, 0xa0, 0x80, 0xff]).collect();
    let frame = message(&topic, body.clone()).with("content-type", "application/octet-stream");
    client.send(&frame).await?;
    let received = client.body(&body).await?;
    client.header(&received, "content-length", &body.len().to_string())
}

async fn empty_body(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.send(&message(&topic, "").with("foo", "bar")).await?;
    let received = client.body("").await?;
    client.header(&received, "foo", "bar")
}

async fn without_destination(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    let mut client = probe.connect(Version::V1_2).await?;
    client.send(&Frame::new(Command::Send).with("foo", "bar").with_body("hello")).await?;
    client.error("ERROR, since there is no destination").await?;
    Ok(())
}

async fn order(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Order)?;
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    let mut sender = client.beside(Version::V1_2).await?;
    for number in 0..60 {
        sender.publish(&topic, number.to_string()).await?;
    }
    for number in 0..60 {
        client.body(number.to_string()).await?;
    }
    Ok(())
}

async fn not_forged(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.send(&message(&topic, "hello").with("subscription", "forged")).await?;
    let wanted = "a MESSAGE of the subscription s, or a refusal of the SEND";
    if let Some(received) = client.answer(wanted).await?
        && received.frame.command != Command::Error
    {
        client.header(&received, "subscription", "s")?;
        let times = received.frame.headers.iter().filter(|(name, _)| *name == "subscription").count();
        client.demand(times == 1, || shown(&received.raw), "one subscription header")?;
    }
    Ok(())
}

async fn receipt_is_not_passed_on(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Receipts)?;
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.send(&message(&topic, "hello").with("receipt", "r-1")).await?;
    let received = client.body("hello").await?;
    let passed = received.frame.headers.get("receipt").is_some();
    client.demand(!passed, || shown(&received.raw), "a MESSAGE without receipt")
}

async fn topic(probe: &Probe) -> Result<(), Stop> {
    let (mut first, topic) = probe.listener(Version::V1_2).await?;
    let mut second = first.beside(Version::V1_2).await?;
    second.subscribe("t", &topic).await?;
    first.publish(&topic, "hello").await?;
    first.body("hello").await?;
    let received = second.body("hello").await?;
    second.header(&received, "subscription", "t")
}

async fn queue_waits(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Queues)?;
    let mut sender = probe.connect(Version::V1_2).await?;
    let queue = probe.queue();
    for body in ["one", "two"] {
        sender.published(&queue, body).await?;
    }
    let mut worker = sender.beside(Version::V1_2).await?;
    worker.subscribe("w", &queue).await?;
    worker.body("one").await?;
    worker.body("two").await?;
    Ok(())
}

async fn queue_to_one(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Queues)?;
    let mut first = probe.connect(Version::V1_2).await?;
    let mut second = first.beside(Version::V1_2).await?;
    let queue = probe.queue();
    first.subscribe("w", &queue).await?;
    second.subscribe("w", &queue).await?;
    for number in 0..6 {
        first.published(&queue, number.to_string()).await?;
    }
    let mut seen = Vec::new();
    for worker in [&mut first, &mut second] {
        while worker.listen(probe.lull(), "MESSAGEs of the queue").await? {}
        seen.extend(worker.unasked().into_iter().map(|received| received.frame.body));
    }
    seen.sort();
    let wanted: Vec<_> = (0..6).map(|number| number.to_string()).collect();
    first.demand(seen == wanted, || format!("{seen:?}"), "each of six messages once, to either consumer")
}

async fn and_leave(probe: &Probe) -> Result<(), Stop> {
    let (mut listener, topic) = probe.listener(Version::V1_2).await?;
    let mut passer_by = Conversation::open(probe, listener.transcript()).await?;
    let frames = [
        probe.connect_frame(Version::V1_2).encode(Version::V1_2),
        message(&topic, "in passing").encode(Version::V1_2),
        Frame::new(Command::Disconnect).encode(Version::V1_2),
    ];
    match probe.carrier {
        Carrier::Tcp => passer_by.write(frames.concat()).await?,
        _ => {
            for frame in &frames {
                passer_by.write(frame).await?;
            }
        }
    }
    passer_by.line.finish().await;
    // Held until the message is here: a reset would take it along on its way.
    listener.body("in passing").await?;
    drop(passer_by);
    Ok(())
}
