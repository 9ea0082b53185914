//! Acknowledgements through STOMP, over every transport and in every version: auto, client and client-individual as each
//! version has them, what comes again and in which order, and what happens to who acknowledges what is not theirs.
//! Of topics that tells stomp_topic_acks.rs, transactions are in stomp_transactions.rs.

#[path = "support/acks.rs"]
mod acks;
mod bed;
mod everywhere;
mod support;

use std::collections::HashSet;

use acks::{ack, ack_of, nack, send, subscribe, verdict};
use bed::Bed;
use everywhere::{Stage, assert_undisturbed, expect_error_and_close, play};
use support::Transport;
use support::stomp::Stomp;
use towpath::config::Service;
use towpath::session::Carrier;
use towpath::stomp::{Command, Frame, Version};

everywhere! {
    auto_messages_are_consumed_when_they_are_written,
    an_ack_of_mode_client_covers_all_before_it,
    an_ack_of_mode_client_covers_one_subscription,
    an_ack_of_mode_client_individual_covers_one_message,
    ack_headers_are_there_where_the_version_has_them,
    ids_are_digits_and_a_hyphen_and_unique_in_their_connection,
    a_nack_requeues_unless_it_says_otherwise,
    a_nack_of_mode_client_covers_all_before_it,
    what_was_not_acknowledged_comes_again_to_others_in_its_order,
    what_was_not_acknowledged_comes_again_after_unsubscribing,
    a_prefetch_count_is_the_window,
    who_acknowledges_what_is_not_theirs_is_refused,
    who_acknowledges_with_wrong_words_is_refused,
    a_subscription_with_wrong_words_is_refused,
}

const QUEUE: &str = "/queue/jobs";

/// What the queue holds: waiting, or delivered and not acknowledged.
fn held(stage: &Stage) -> usize {
    stage.gateway.core().broker().queue_len(QUEUE).map_or(0, |(messages, _)| messages)
}

/// The ack modes of the version in which a client acknowledges.
fn modes(version: Version) -> &'static [&'static str] {
    if version == Version::V1_0 { &["client"] } else { &["client", "client-individual"] }
}

/// A client that holds these messages of the queue, with that ack mode; and the messages as it got them.
async fn holding(stage: &Stage, mode: &str, bodies: &[&str]) -> (Stomp, Vec<Frame>) {
    let mut client = stage.connected().await;
    let messages = client.given("jobs", QUEUE, mode, bodies).await;
    (client, messages)
}

/// Another consumer of the queue, who gets whatever is there or comes back.
async fn heir(stage: &Stage) -> Stomp {
    let mut heir = stage.connected().await;
    heir.send(&subscribe("heir", QUEUE, "client")).await;
    heir
}

/// The session ends with an ERROR that says so, and names the receipt.
async fn refused_with(client: &mut Stomp, words: &str, receipt: Option<&str>) {
    let error = expect_error_and_close(client).await;
    let told = format!("{} / {}", error.headers.get("message").unwrap(), String::from_utf8_lossy(&error.body));
    assert!(told.contains(words), "{words:?} in {told:?}");
    assert_eq!(error.headers.get("receipt-id"), receipt, "{told}");
}

// ---- the modes ----

fn auto_messages_are_consumed_when_they_are_written(transport: Transport) {
    play(transport, async |stage| {
        for mode in [Some("auto"), None] {
            let mut client = stage.connected().await;
            let mut frame = Frame::new(Command::Subscribe).with("id", "1").with("destination", QUEUE);
            if let Some(mode) = mode {
                frame = frame.with("ack", mode);
            }
            client.confirmed(frame).await;
            for body in ["1", "2"] {
                client.send(&send(QUEUE, body)).await;
            }
            client.first_time(&["1", "2"]).await;
            assert_eq!(held(&stage), 0);
            // Whoever comes now finds nothing; and a poll's session outlives its client.
            client.confirmed(Frame::new(Command::Unsubscribe).with("id", "1")).await;
            let mut heir = heir(&stage).await;
            heir.quiet().await;
            heir.confirmed(Frame::new(Command::Unsubscribe).with("id", "heir")).await;
        }
    });
}

fn an_ack_of_mode_client_covers_all_before_it(transport: Transport) {
    play(transport, async |stage| {
        let (mut client, messages) = holding(&stage, "client", &["1", "2", "3", "4", "5"]).await;
        assert_eq!(held(&stage), 5);
        client.confirmed(ack(stage.version, &messages[2])).await;
        assert_eq!(held(&stage), 2);
        drop(client);
        let mut heir = heir(&stage).await;
        heir.again(&["4", "5"]).await;
        heir.quiet().await;
    });
}

fn an_ack_of_mode_client_covers_one_subscription(transport: Transport) {
    play(transport, async |stage| {
        let (mut client, _) = holding(&stage, "client", &["1", "2"]).await;
        client.consumes("other", "/queue/other", "client").await;
        client.send(&send("/queue/other", "3")).await;
        let last = client.first_time(&["3"]).await;
        client.confirmed(ack(stage.version, &last[0])).await;
        assert_eq!(stage.gateway.core().broker().queue_len("/queue/other"), Some((0, 0)));
        assert_eq!(held(&stage), 2, "RabbitMQ would have taken these, too");
    });
}

fn an_ack_of_mode_client_individual_covers_one_message(transport: Transport) {
    play(transport, async |stage| {
        if stage.version == Version::V1_0 {
            let mut client = stage.connected().await;
            client.send(&subscribe("1", QUEUE, "client-individual").with("receipt", "7")).await;
            refused_with(&mut client, "STOMP 1.0 has no ack mode", Some("7")).await;
            return;
        }
        let (mut client, messages) = holding(&stage, "client-individual", &["1", "2", "3", "4"]).await;
        for (message, left) in [(2, 3), (0, 2)] {
            client.confirmed(ack(stage.version, &messages[message])).await;
            assert_eq!(held(&stage), left);
        }
        drop(client);
        let mut heir = heir(&stage).await;
        heir.again(&["2", "4"]).await;
        heir.quiet().await;
    });
}

fn ack_headers_are_there_where_the_version_has_them(transport: Transport) {
    play(transport, async |stage| {
        for (destination, name) in [(QUEUE, "q"), ("/topic/news", "t")] {
            let mut client = stage.connected().await;
            for mode in modes(stage.version).iter().chain(&["auto"]) {
                let id = format!("{name}-{mode}");
                client.consumes(&id, destination, mode).await;
                client.send(&send(destination, "x").with("ack", "forged").with("subscription", "forged")).await;
                let message = client.first_time(&["x"]).await.remove(0);
                let header = |name| message.headers.get(name);
                assert_eq!(header("subscription"), Some(&*id));
                let acked = stage.version == Version::V1_2 && *mode != "auto";
                assert_eq!(header("ack").is_some(), acked, "{mode}: {message:?}");
                for name in ["message-id", "ack", "subscription"] {
                    assert!(message.headers.iter().filter(|(own, _)| *own == name).count() <= 1, "{message:?}");
                }
                assert!(header("message-id").is_some_and(|id| id != "forged"));
                if *mode != "auto" {
                    client.confirmed(ack(stage.version, &message)).await;
                }
                client.confirmed(Frame::new(Command::Unsubscribe).with("id", id)).await;
            }
        }
        if stage.version == Version::V1_0 {
            // Without an id it is known by its destination, and its messages by their ids alone.
            let mut client = stage.connected().await;
            client.confirmed(Frame::new(Command::Subscribe).with("destination", QUEUE).with("ack", "client")).await;
            client.send(&send(QUEUE, "x")).await;
            let message = client.first_time(&["x"]).await.remove(0);
            assert_eq!(message.headers.get("subscription"), None);
            client.confirmed(ack(stage.version, &message)).await;
            assert_eq!(held(&stage), 0);
        }
    });
}

fn ids_are_digits_and_a_hyphen_and_unique_in_their_connection(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        let mut ids = HashSet::new();
        // The same id again names another subscription, and its messages must not be taken for the old one's.
        for _ in 0..2 {
            for mode in modes(stage.version).iter().chain(&["auto"]) {
                for (id, destination) in [("1", QUEUE), ("2", "/topic/news"), ("3", "/topic/*")] {
                    client.consumes(id, destination, mode).await;
                }
                for destination in [QUEUE, "/topic/news"] {
                    client.send(&send(destination, "x")).await;
                }
                let mut of_topic = HashSet::new();
                for message in client.first_time(&["x", "x", "x"]).await {
                    let id = message.headers.get("message-id").unwrap();
                    assert!(id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'), "{id}");
                    assert!(id.starts_with(|first: char| first.is_ascii_digit()), "{id}");
                    // Of an auto topic all subscribers see one id; they have nothing to say about it.
                    let first = ids.insert(id.to_owned());
                    assert!(first || (*mode == "auto" && of_topic.contains(id)), "{id} twice");
                    of_topic.insert(id.to_owned());
                    if let Some(ack) = message.headers.get("ack") {
                        assert_eq!(ack, id);
                    }
                }
                for id in ["1", "2", "3"] {
                    client.send(&Frame::new(Command::Unsubscribe).with("id", id)).await;
                }
                client.quiet().await;
                drain_queue(&stage).await;
            }
        }
    });
}

/// Takes out what an UNSUBSCRIBE has given back.
async fn drain_queue(stage: &Stage) {
    let there = held(stage);
    let mut drain = stage.connected().await;
    drain.send(&subscribe("drain", QUEUE, "auto")).await;
    for _ in 0..there {
        drain.expect(Command::Message).await;
    }
    drain.confirmed(Frame::new(Command::Unsubscribe).with("id", "drain")).await;
}

// ---- NACK ----

fn a_nack_requeues_unless_it_says_otherwise(transport: Transport) {
    play(transport, async |stage| {
        if stage.version == Version::V1_0 {
            let (mut client, messages) = holding(&stage, "client", &["1"]).await;
            client.send(&nack(stage.version, &messages[0]).with("receipt", "7")).await;
            refused_with(&mut client, "STOMP 1.0 has no NACK", Some("7")).await;
            return;
        }
        let (mut client, messages) = holding(&stage, "client-individual", &["1", "2", "3", "4"]).await;
        client.send(&nack(stage.version, &messages[1])).await;
        let second = client.again(&["2"]).await;
        client.send(&nack(stage.version, &messages[3]).with("requeue", "true")).await;
        client.again(&["4"]).await;
        assert_eq!(held(&stage), 4);
        client.confirmed(nack(stage.version, &messages[0]).with("requeue", "false")).await;
        client.confirmed(nack(stage.version, &second[0]).with("requeue", "false")).await;
        assert_eq!(held(&stage), 2);
        drop(client);
        let mut heir = heir(&stage).await;
        heir.again(&["3", "4"]).await;
        heir.quiet().await;
    });
}

fn a_nack_of_mode_client_covers_all_before_it(transport: Transport) {
    play(transport, async |stage| {
        if stage.version == Version::V1_0 {
            return;
        }
        let (mut client, messages) = holding(&stage, "client", &["1", "2", "3", "4"]).await;
        client.send(&nack(stage.version, &messages[1])).await;
        let again = client.again(&["1", "2"]).await;
        // What was written before "1" came again is 3 and 4.
        client.confirmed(nack(stage.version, &again[0]).with("requeue", "false")).await;
        assert_eq!(held(&stage), 1);
        drop(client);
        let mut heir = heir(&stage).await;
        heir.again(&["2"]).await;
        heir.quiet().await;
    });
}

// ---- what comes again ----

fn what_was_not_acknowledged_comes_again_to_others_in_its_order(transport: Transport) {
    play(transport, async |stage| {
        for way in ["DISCONNECT", "loss", "error", "UNSUBSCRIBE"] {
            let (mut holder, messages) = holding(&stage, "client", &["1", "2", "3", "4", "5"]).await;
            holder.confirmed(ack(stage.version, &messages[0])).await;
            let mut heir = stage.connected().await;
            heir.confirmed(subscribe("heir", QUEUE, "client").with("prefetch-count", "2")).await;
            match way {
                "DISCONNECT" => holder.send(&Frame::new(Command::Disconnect)).await,
                "error" => holder.send_text("NONSENSE\n\n\0").await,
                "UNSUBSCRIBE" => {
                    holder.confirmed(Frame::new(Command::Unsubscribe).with("id", "jobs")).await;
                    holder.quiet().await;
                }
                _ => drop(holder),
            }
            let mut got = heir.again(&["2", "3"]).await;
            // What came back stands before what was sent since.
            heir.confirmed(send(QUEUE, "6")).await;
            heir.send(&ack(stage.version, &got[1])).await;
            got = heir.again(&["4", "5"]).await;
            heir.send(&ack(stage.version, &got[1])).await;
            got = heir.first_time(&["6"]).await;
            heir.confirmed(ack(stage.version, &got[0])).await;
            assert_eq!(held(&stage), 0, "{way}");
            heir.confirmed(Frame::new(Command::Unsubscribe).with("id", "heir")).await;
        }
    });
}

fn what_was_not_acknowledged_comes_again_after_unsubscribing(transport: Transport) {
    play(transport, async |stage| {
        let (mut client, old) = holding(&stage, "client", &["1", "2"]).await;
        client.confirmed(Frame::new(Command::Unsubscribe).with("id", "jobs")).await;
        assert_eq!(held(&stage), 2);
        client.send(&subscribe("jobs", QUEUE, "client")).await;
        let new = client.again(&["1", "2"]).await;
        client.confirmed(ack(stage.version, &new[0])).await;
        assert_eq!(held(&stage), 1);
        // The subscription has the name of the old one, but the old one's messages are not its own.
        client.send(&ack(stage.version, &old[1]).with("receipt", "7")).await;
        refused_with(&mut client, "belongs to no open subscription", Some("7")).await;
    });
}

fn a_prefetch_count_is_the_window(transport: Transport) {
    play(transport, async |stage| {
        for mode in modes(stage.version) {
            let mut client = stage.connected().await;
            client.confirmed(subscribe("1", QUEUE, mode).with("prefetch-count", "2")).await;
            for body in ["1", "2", "3", "4"] {
                client.send(&send(QUEUE, body)).await;
            }
            let mut got = client.first_time(&["1", "2"]).await;
            client.quiet().await;
            assert_eq!(held(&stage), 4);
            client.send(&ack(stage.version, &got[0])).await;
            got.extend(client.first_time(&["3"]).await);
            client.quiet().await;
            client.send(&ack(stage.version, &got[1])).await;
            got.extend(client.first_time(&["4"]).await);
            for message in &got[2..] {
                client.confirmed(ack(stage.version, message)).await;
            }
            assert_eq!(held(&stage), 0);
            client.confirmed(Frame::new(Command::Unsubscribe).with("id", "1")).await;
        }
    });
}

// ---- misuse ----

fn who_acknowledges_what_is_not_theirs_is_refused(transport: Transport) {
    play(transport, async |stage| {
        let mut bystander = stage.bystander().await;
        let (mut owner, theirs) = holding(&stage, "client", &["1", "2", "3"]).await;
        let id = |message: &Frame| message.headers.get("message-id").unwrap().to_owned();
        let mut commands = vec![Command::Ack];
        if stage.version > Version::V1_0 {
            commands.push(Command::Nack);
        }
        for command in commands {
            // Another session's, of one who has a subscription of that name, and of one who has none at all.
            let mut client = stage.connected().await;
            client.send(&verdict(command, stage.version, &theirs[1]).with("receipt", "7")).await;
            refused_with(&mut client, "unknown message", Some("7")).await;

            for mode in modes(stage.version) {
                let mut client = stage.connected().await;
                client.consumes("jobs", "/queue/own", mode).await;
                client.send(&verdict(command, stage.version, &theirs[1]).with("receipt", "7")).await;
                refused_with(&mut client, "unknown message", Some("7")).await;
            }

            // The same one twice.
            for mode in modes(stage.version) {
                let mut client = stage.connected().await;
                client.consumes("jobs", "/queue/own", mode).await;
                client.send(&send("/queue/own", "x")).await;
                let message = client.first_time(&["x"]).await.remove(0);
                client.confirmed(ack(stage.version, &message)).await;
                client.send(&verdict(command, stage.version, &message).with("receipt", "7")).await;
                refused_with(&mut client, "unknown message", Some("7")).await;
            }

            // One of an auto subscription, by the id that it shows, and by one that it would have.
            for guessed in [None, Some("1-1")] {
                let mut client = stage.connected().await;
                client.consumes("jobs", "/queue/own", "auto").await;
                client.send(&send("/queue/own", "x")).await;
                let shown = id(&client.first_time(&["x"]).await[0]);
                let mut frame = ack_of(stage.version, guessed.unwrap_or(&shown), "jobs");
                frame.command = command;
                client.send(&frame.with("receipt", "7")).await;
                refused_with(&mut client, "unknown message", Some("7")).await;
            }
        }
        // What was only misnamed is still the owner's, and waits for nothing but its word.
        assert_eq!(held(&stage), 3);
        owner.confirmed(ack(stage.version, &theirs[2])).await;
        assert_eq!(held(&stage), 0);
        assert_undisturbed(&mut bystander).await;
    });
}

fn who_acknowledges_with_wrong_words_is_refused(transport: Transport) {
    play(transport, async |stage| {
        let mut bystander = stage.bystander().await;
        // The client's own subscription has the number 1, and holds 1-1 and 1-2.
        let ids = [
            "1-3",
            "1-0",
            "2-1",
            "0-1",
            "1",
            "1-",
            "-1",
            "-",
            "1-1-1",
            "1-x",
            "x-1",
            "ID-1",
            "1 1",
            "1-18446744073709551616",
            "4294967297-1",
            "1--1",
            "\u{661}-1",
        ];
        for unknown in ids {
            let (mut client, _) = holding(&stage, modes(stage.version)[0], &["1", "2"]).await;
            client.send(&ack_of(stage.version, unknown, "jobs").with("receipt", "7")).await;
            refused_with(&mut client, "unknown message", Some("7")).await;
            drain_queue(&stage).await;
        }
        let mut wrong = vec![];
        if stage.version == Version::V1_1 {
            wrong.push(("no message of the subscription \"other\"", ack_of(stage.version, "1-1", "other")));
            wrong.push(("no message of the subscription \"nobody\"", ack_of(stage.version, "1-1", "nobody")));
            wrong.push(("needs the header subscription", Frame::new(Command::Ack).with("message-id", "1-1")));
        }
        if stage.version > Version::V1_0 {
            let mut garbage = ack_of(stage.version, "1-1", "jobs").with("requeue", "maybe");
            garbage.command = Command::Nack;
            wrong.push(("requeue is true or false", garbage));
        }
        let name = if stage.version == Version::V1_2 { "id" } else { "message-id" };
        let needs = if stage.version == Version::V1_2 { "needs the header id" } else { "needs the header message-id" };
        wrong.push((needs, Frame::new(Command::Ack).with("subscription", "jobs")));
        wrong.push((needs, Frame::new(Command::Ack).with("subscription", "jobs").with(name, "")));
        wrong.push(("not open", ack_of(stage.version, "1-1", "jobs").with("transaction", "t")));
        for (words, frame) in wrong {
            let (mut client, _) = holding(&stage, modes(stage.version)[0], &["1", "2"]).await;
            client.consumes("other", "/queue/other", "client").await;
            client.send(&frame.with("receipt", "7")).await;
            refused_with(&mut client, words, Some("7")).await;
            drain_queue(&stage).await;
        }
        assert_undisturbed(&mut bystander).await;
    });
}

fn a_subscription_with_wrong_words_is_refused(transport: Transport) {
    play(transport, async |stage| {
        let mut bystander = stage.bystander().await;
        for destination in [QUEUE, "/topic/news"] {
            for count in ["0", "-1", "many", "", "1.5", "99999999999999999999999"] {
                let mut client = stage.connected().await;
                let frame = subscribe("1", destination, "client").with("prefetch-count", count);
                client.send(&frame.with("receipt", "7")).await;
                refused_with(&mut client, "prefetch-count is a number from 1", Some("7")).await;
            }
        }
        for mode in ["", "Client", "client_individual", "none"] {
            let mut client = stage.connected().await;
            client.send(&subscribe("1", QUEUE, mode).with("receipt", "7")).await;
            refused_with(&mut client, "has no ack mode", Some("7")).await;
        }
        let (mut client, _) = holding(&stage, "client", &["1"]).await;
        client.send(&subscribe("jobs", "/queue/other", "auto").with("receipt", "7")).await;
        refused_with(&mut client, "subscription id in use", Some("7")).await;
        // What the culprit held is not lost by its mistake.
        heir(&stage).await.again(&["1"]).await;
        assert_undisturbed(&mut bystander).await;
    });
}

// ---- what was never written ----

/// Ids can be guessed. One that stands in the outbox and has not been written cannot be acknowledged, and is nobody's when
/// its session ends: it comes to the next as if for the first time.
#[test]
fn what_waits_in_the_outbox_cannot_be_acknowledged_and_is_not_redelivered() {
    for carrier in [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp] {
        for mode in ["client", "client-individual"] {
            let bed = Bed::of(Service::Stomp);
            let mut client = bed::stomp::Client::connected(&bed, carrier, Version::V1_2);
            client.send(&bed, &subscribe("1", QUEUE, mode));
            for body in ["1", "2"] {
                client.send(&bed, &send(QUEUE, body));
            }
            let written = client.frames(&bed);
            assert_eq!(written.iter().map(acks::said).collect::<Vec<_>>(), [("1".into(), false), ("2".into(), false)]);
            client.send(&bed, &send(QUEUE, "3"));
            client.send(&bed, &ack_of(Version::V1_2, "1-3", "1"));
            let last = client.frames_to_the_end(&bed);
            assert_eq!(last.len(), 1, "the message was taken back: {last:?}");
            assert_eq!(last[0].headers.get("message"), Some("unknown message"));

            let mut next = bed::stomp::Client::connected(&bed, carrier, Version::V1_2);
            next.send(&bed, &subscribe("1", QUEUE, mode));
            let said: Vec<_> = next.frames(&bed).iter().map(acks::said).collect();
            assert_eq!(said, [("1".into(), true), ("2".into(), true), ("3".into(), false)], "{carrier:?} {mode}");
        }
    }
}
