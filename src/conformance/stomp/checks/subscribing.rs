//! SUBSCRIBE and UNSUBSCRIBE.
//!
//! Does not know: acknowledgements.

use super::{entry, rule};
use crate::conformance::Level::{Must, Should};
use crate::conformance::Stop;
use crate::conformance::stomp::dialect::Claim;
use crate::conformance::stomp::probe::{Probe, subscription, with};
use crate::conformance::stomp::{Entry, Over};
use crate::stomp::{Command, Frame, Version};

const GROUP: &str = "subscribing";
const SUBSCRIBE: &str = "STOMP 1.2, SUBSCRIBE";
const UNSUBSCRIBE: &str = "STOMP 1.2, UNSUBSCRIBE";

pub(super) static CHECKS: &[Entry] = &[
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "subscribe.several",
            "Several subscriptions of one connection to one destination get a copy each, with their own subscription header",
            SUBSCRIBE,
            "Two parts of a page subscribe to the same prices. One of them stays empty if there is one copy for both.",
        ),
        |probe| Box::pin(several(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "subscribe.without-id",
            "In 1.1 and 1.2 a SUBSCRIBE without id is answered by ERROR",
            "STOMP 1.2, SUBSCRIBE id Header",
            "Its messages could not be told from those of others, and it could never be ended.",
        ),
        |probe| Box::pin(without_id(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "subscribe.without-id-1.0",
            "In 1.0 a subscription needs no id, and ends by its destination",
            "STOMP 1.0, SUBSCRIBE",
            "The id is optional there, and most clients of that age send none.",
        ),
        |probe| Box::pin(without_id_in_1_0(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "subscribe.without-destination",
            "A SUBSCRIBE without destination is answered by ERROR",
            SUBSCRIBE,
            "A subscription that cannot be made must be told, says the text. The client waits for messages otherwise.",
        ),
        |probe| Box::pin(without_destination(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "subscribe.duplicate-id",
            "A second subscription with an id that is in use is refused",
            "STOMP 1.2, SUBSCRIBE id Header",
            "The text forbids it to clients. With two of one id nobody knows which of them UNSUBSCRIBE ends.",
        ),
        |probe| Box::pin(duplicate_id(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "subscribe.ids-of-others",
            "Two connections may use the same id",
            "STOMP 1.2, SUBSCRIBE id Header",
            "Every stompjs calls its first subscription sub-0.",
        ),
        |probe| Box::pin(ids_of_others(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "subscribe.any-id",
            "An id may be any text, such as a destination or a UUID",
            "STOMP 1.2, SUBSCRIBE id Header; practice of clients",
            "The iOS client takes the destination for the id, slashes included; the Android client takes a UUID.",
        ),
        |probe| Box::pin(any_id(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "subscribe.unsubscribe",
            "After UNSUBSCRIBE no message of that subscription comes",
            UNSUBSCRIBE,
            "stompjs has dropped the callback by then. What still comes is traffic for nothing, for as long as the page is open.",
        ),
        |probe| Box::pin(unsubscribe(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "subscribe.unsubscribe-one",
            "UNSUBSCRIBE ends the subscription of that id and no other of the same destination",
            UNSUBSCRIBE,
            "One part of a page closes, and the other goes silent.",
        ),
        |probe| Box::pin(unsubscribe_one(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "subscribe.unsubscribe-unknown",
            "UNSUBSCRIBE of an id that does not exist is refused",
            UNSUBSCRIBE,
            "The id must match a subscription, says the text. Who is told finds the mistake.",
        ),
        |probe| Box::pin(unsubscribe_unknown(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "subscribe.unsubscribe-without-id",
            "In 1.1 and 1.2 an UNSUBSCRIBE without id is refused",
            UNSUBSCRIBE,
            "It ends nothing, and its sender believes that it did.",
        ),
        |probe| Box::pin(unsubscribe_without_id(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "subscribe.again",
            "An id can be used again after UNSUBSCRIBE",
            UNSUBSCRIBE,
            "Clients that name subscriptions after what is on the screen do so all day.",
        ),
        |probe| Box::pin(again(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "subscribe.unknown-ack",
            "A SUBSCRIBE with an unknown ack mode is refused",
            "STOMP 1.2, SUBSCRIBE ack Header",
            "Taken for auto, a misspelt client-individual loses the messages that were in work when the worker died.",
        ),
        |probe| Box::pin(unknown_ack(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "subscribe.many",
            "Fifty subscriptions of one connection each get what is theirs",
            SUBSCRIBE,
            "A dashboard has a subscription for every tile.",
        ),
        |probe| Box::pin(many(probe)),
    ),
];

async fn several(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    let topic = probe.topic();
    for id in ["a", "b"] {
        client.subscribe(id, &topic).await?;
    }
    client.published(&topic, "hello").await?;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let received = client.body("hello").await?;
        ids.push(client.value(&received, "subscription")?);
    }
    ids.sort();
    client.demand(ids == ["a", "b"], || format!("MESSAGEs of {ids:?}"), "one MESSAGE of a and one of b")?;
    client.silence("one copy for each subscription").await
}

async fn without_id(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    for version in [Version::V1_1, Version::V1_2] {
        if probe.speaks(version).is_err() {
            continue;
        }
        let mut client = probe.connect(version).await?;
        client.send(&with(Command::Subscribe, "destination", &probe.topic())).await?;
        client.error("ERROR, since there is no id").await?;
    }
    Ok(())
}

async fn without_id_in_1_0(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_0).await?;
    let topic = probe.topic();
    client.settle(with(Command::Subscribe, "destination", &topic)).await?;
    client.published(&topic, "hello").await?;
    client.body("hello").await?;
    client.settle(with(Command::Unsubscribe, "destination", &topic)).await?;
    client.published(&topic, "unheard").await?;
    client.silence("nothing after UNSUBSCRIBE").await
}

async fn without_destination(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    let mut client = probe.connect(Version::V1_2).await?;
    client.send(&with(Command::Subscribe, "id", "s")).await?;
    client.error("ERROR, since there is no destination").await?;
    Ok(())
}

async fn duplicate_id(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    let mut client = probe.connect(Version::V1_2).await?;
    client.subscribe("s", &probe.topic()).await?;
    client.send(&subscription("s", &probe.topic())).await?;
    client.refused("a refusal of the second subscription: ERROR or the end").await?;
    Ok(())
}

async fn ids_of_others(probe: &Probe) -> Result<(), Stop> {
    let mut first = probe.connect(Version::V1_2).await?;
    let mut second = first.beside(Version::V1_2).await?;
    let (one, other) = (probe.topic(), probe.topic());
    first.subscribe("sub-0", &one).await?;
    second.subscribe("sub-0", &other).await?;
    second.published(&one, "for the first").await?;
    first.body("for the first").await?;
    first.published(&other, "for the second").await?;
    second.body("for the second").await?;
    first.silence("nothing of the other connection's subscription").await
}

async fn any_id(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    let topic = probe.topic();
    for id in [topic.as_str(), "9f1c0f3e-2d5b-4d0e-8b7a-0b6f3f1e5a11", "größe 1"] {
        client.subscribe(id, &topic).await?;
        client.publish(&topic, "hello").await?;
        let received = client.body("hello").await?;
        client.header(&received, "subscription", id)?;
        client.settle(with(Command::Unsubscribe, "id", id)).await?;
    }
    Ok(())
}

async fn unsubscribe(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.publish(&topic, "before").await?;
    client.body("before").await?;
    client.settle(with(Command::Unsubscribe, "id", "s")).await?;
    client.published(&topic, "after").await?;
    client.silence("nothing after UNSUBSCRIBE").await
}

async fn unsubscribe_one(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    let topic = probe.topic();
    client.subscribe("a", &topic).await?;
    client.subscribe("b", &topic).await?;
    client.settle(with(Command::Unsubscribe, "id", "a")).await?;
    client.published(&topic, "hello").await?;
    let received = client.body("hello").await?;
    client.header(&received, "subscription", "b")?;
    client.silence("nothing of the subscription that has ended").await
}

async fn unsubscribe_unknown(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    let mut client = probe.connect(Version::V1_2).await?;
    client.send(&with(Command::Unsubscribe, "id", "never-made")).await?;
    client.refused("a refusal of the unknown id: ERROR or the end").await?;
    Ok(())
}

async fn unsubscribe_without_id(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    let mut client = probe.connect(Version::V1_2).await?;
    client.subscribe("s", &probe.topic()).await?;
    client.send(&Frame::new(Command::Unsubscribe)).await?;
    client.refused("a refusal of the UNSUBSCRIBE without id: ERROR or the end").await?;
    Ok(())
}

async fn again(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    let (first, second) = (probe.topic(), probe.topic());
    client.subscribe("s", &first).await?;
    client.settle(with(Command::Unsubscribe, "id", "s")).await?;
    client.subscribe("s", &second).await?;
    client.publish(&second, "hello").await?;
    let received = client.body("hello").await?;
    client.header(&received, "subscription", "s")?;
    client.header(&received, "destination", &second)
}

async fn unknown_ack(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    let mut client = probe.connect(Version::V1_2).await?;
    client.send(&subscription("s", &probe.topic()).with("ack", "client-indivdual")).await?;
    client.refused("a refusal of the ack mode: ERROR or the end").await?;
    Ok(())
}

async fn many(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    let topics: Vec<_> = (0..50).map(|_| probe.topic()).collect();
    for (number, topic) in topics.iter().enumerate() {
        client.send(&subscription(&format!("tile-{number}"), topic)).await?;
    }
    client.subscribe("last", &probe.topic()).await?;
    for topic in &topics {
        client.publish(topic, topic.clone()).await?;
    }
    let mut seen = Vec::new();
    for _ in &topics {
        let received = client.message("50 MESSAGEs, one for each subscription").await?;
        let id = client.value(&received, "subscription")?;
        let number: usize = id.strip_prefix("tile-").and_then(|number| number.parse().ok()).unwrap_or(usize::MAX);
        let right = topics.get(number).is_some_and(|topic| received.frame.body == topic);
        client.demand(
            right,
            || format!("the message of another topic for {id}"),
            "each message for its subscription",
        )?;
        seen.push(number);
    }
    seen.sort_unstable();
    seen.dedup();
    client.demand(seen.len() == 50, || format!("messages for {} subscriptions", seen.len()), "messages for all 50")
}
