//! Transactions through STOMP, over every transport and in every version: what SEND, ACK and NACK of a transaction do happens
//! at its COMMIT, together and in order, or not at all. Random ones are in stomp_transactions_model.rs.

#[path = "support/acks.rs"]
mod acks;
mod bed;
mod everywhere;
mod support;

use acks::{abort, ack, begin, commit, nack, send, subscribe};
use bed::Bed;
use bed::stomp::bodies;
use everywhere::{Stage, assert_undisturbed, expect_error_and_close, play, play_with};
use support::Transport;
use support::metrics::Meter;
use support::stomp::Stomp;
use towpath::config::{Config, Service};
use towpath::session::{Carrier, CloseReason, Flow};
use towpath::stomp::{Command, Frame, Version};

everywhere! {
    what_is_sent_comes_with_the_commit_and_in_order,
    acknowledgements_count_from_the_commit,
    a_commit_does_everything_in_the_order_of_its_frames,
    an_abort_leaves_everything_as_it_was,
    an_open_transaction_goes_with_its_session,
    a_commit_that_cannot_be_done_does_nothing,
    a_commit_without_room_for_its_destinations_does_nothing,
    two_transactions_do_not_mix,
    what_one_transaction_acknowledges_is_refused_to_others,
    a_commit_cannot_acknowledge_for_a_subscription_that_has_ended,
    receipts_come_in_the_order_of_frames,
    wrong_use_is_refused,
    limits_are_named_when_they_are_reached,
    a_client_at_its_limits_is_served,
}

const QUEUE: &str = "/queue/jobs";
const TOPIC: &str = "/topic/news";

/// What the queue holds: waiting, or delivered and not acknowledged.
fn held(stage: &Stage) -> usize {
    stage.gateway.core().broker().queue_len(QUEUE).map_or(0, |(messages, _)| messages)
}

fn within(transaction: &str, frame: Frame) -> Frame {
    frame.with("transaction", transaction)
}

/// The ack mode in which one message is acknowledged at a time, or in 1.0, which has none, the other.
fn mode(version: Version) -> &'static str {
    if version == Version::V1_0 { "client" } else { "client-individual" }
}

/// A client that holds these messages of the queue; and the messages as it got them.
async fn holding(stage: &Stage, mode: &str, bodies: &[&str]) -> (Stomp, Vec<Frame>) {
    let mut client = stage.connected().await;
    let messages = client.given("jobs", QUEUE, mode, bodies).await;
    (client, messages)
}

async fn listener(stage: &Stage) -> Stomp {
    let mut listener = stage.connected().await;
    listener.subscribed("1", TOPIC).await;
    listener
}

/// The session ends with an ERROR that says so, and names the receipt 7.
async fn refused_with(client: &mut Stomp, words: &str) {
    let error = expect_error_and_close(client).await;
    let told = format!("{} / {}", error.headers.get("message").unwrap(), String::from_utf8_lossy(&error.body));
    assert!(told.contains(words), "{words:?} in {told:?}");
    assert_eq!(error.headers.get("receipt-id"), Some("7"), "{told}");
}

// ---- COMMIT ----

fn what_is_sent_comes_with_the_commit_and_in_order(transport: Transport) {
    play(transport, async |stage| {
        let mut listener = listener(&stage).await;
        let mut client = stage.connected().await;
        client.consumes("jobs", QUEUE, "auto").await;
        client.send(&begin("t")).await;
        for body in ["1", "2", "3"] {
            client.send(&within("t", send(TOPIC, body))).await;
            client.send(&within("t", send(QUEUE, body))).await;
        }
        client.send(&send(TOPIC, "outside")).await;
        client.quiet().await;
        listener.first_time(&["outside"]).await;
        listener.quiet().await;
        client.send(&commit("t").with("receipt", "done")).await;
        client.first_time(&["1", "2", "3"]).await;
        assert_eq!(client.expect(Command::Receipt).await.headers.get("receipt-id"), Some("done"));
        for message in listener.first_time(&["1", "2", "3"]).await {
            assert_eq!(message.headers.get("transaction"), None, "it is nobody else's: {message:?}");
        }
        // Its name is free again.
        for frame in [begin("t"), within("t", send(TOPIC, "4")), commit("t")] {
            client.confirmed(frame).await;
        }
        listener.first_time(&["4"]).await;
    });
}

fn acknowledgements_count_from_the_commit(transport: Transport) {
    play(transport, async |stage| {
        let (mut client, messages) = holding(&stage, "client", &["1", "2", "3", "4"]).await;
        client.confirmed(begin("t")).await;
        client.confirmed(within("t", ack(stage.version, &messages[1]))).await;
        assert_eq!(held(&stage), 4);
        client.confirmed(commit("t")).await;
        assert_eq!(held(&stage), 2);
        if stage.version == Version::V1_0 {
            return;
        }
        client.confirmed(begin("t")).await;
        client.confirmed(within("t", nack(stage.version, &messages[2])).with("requeue", "false")).await;
        client.confirmed(within("t", nack(stage.version, &messages[3]))).await;
        assert_eq!(held(&stage), 2);
        client.send(&commit("t")).await;
        let again = client.again(&["4"]).await;
        assert_eq!(held(&stage), 1);
        client.confirmed(ack(stage.version, &again[0])).await;
        assert_eq!(held(&stage), 0);
    });
}

fn a_commit_does_everything_in_the_order_of_its_frames(transport: Transport) {
    play(transport, async |stage| {
        let mut listener = listener(&stage).await;
        let (mut client, messages) = holding(&stage, mode(stage.version), &["1", "2", "3"]).await;
        client.send(&begin("t")).await;
        client.send(&within("t", send(QUEUE, "a"))).await;
        client.send(&within("t", ack(stage.version, &messages[0]))).await;
        if stage.version > Version::V1_0 {
            client.send(&within("t", nack(stage.version, &messages[2]))).await;
        }
        client.send(&within("t", send(TOPIC, "told"))).await;
        client.send(&within("t", send(QUEUE, "b"))).await;
        if stage.version > Version::V1_0 {
            client.send(&within("t", nack(stage.version, &messages[1]))).await;
        }
        client.quiet().await;
        client.send(&commit("t").with("receipt", "done")).await;
        if stage.version > Version::V1_0 {
            client.first_time(&["a"]).await;
            client.again(&["3"]).await;
            client.first_time(&["b"]).await;
            client.again(&["2"]).await;
        } else {
            client.first_time(&["a", "b"]).await;
        }
        assert_eq!(client.expect(Command::Receipt).await.headers.get("receipt-id"), Some("done"));
        listener.first_time(&["told"]).await;
        assert_eq!(held(&stage), 4);
    });
}

// ---- what is not done ----

fn an_abort_leaves_everything_as_it_was(transport: Transport) {
    play(transport, async |stage| {
        let mut listener = listener(&stage).await;
        let (mut client, messages) = holding(&stage, "client", &["1", "2", "3"]).await;
        client.send(&begin("t")).await;
        client.send(&within("t", send(TOPIC, "never"))).await;
        client.send(&within("t", send(QUEUE, "never"))).await;
        client.send(&within("t", ack(stage.version, &messages[1]))).await;
        client.confirmed(abort("t")).await;
        listener.quiet().await;
        assert_eq!(held(&stage), 3);
        // The messages are the subscription's again, to be acknowledged in another transaction or without one.
        client.send(&begin("t")).await;
        client.send(&within("t", ack(stage.version, &messages[0]))).await;
        client.confirmed(commit("t")).await;
        assert_eq!(held(&stage), 2);
        client.confirmed(ack(stage.version, &messages[2])).await;
        assert_eq!(held(&stage), 0);
    });
}

fn an_open_transaction_goes_with_its_session(transport: Transport) {
    play(transport, async |stage| {
        // A poll's session would not outlive the wait for the end of a lost one.
        let mut listener = Stomp::connect(stage.client_on(Transport::RawWebsocket).await, Version::V1_2).await;
        listener.subscribed("1", TOPIC).await;
        for way in ["DISCONNECT", "loss", "error"] {
            let (mut client, messages) = holding(&stage, "client", &["1", "2", "3"]).await;
            client.confirmed(ack(stage.version, &messages[0])).await;
            client.send(&begin("t")).await;
            client.send(&within("t", send(TOPIC, "never"))).await;
            client.send(&within("t", send("/queue/never", "never"))).await;
            client.confirmed(within("t", ack(stage.version, &messages[2]))).await;
            match way {
                "DISCONNECT" => client.send(&Frame::new(Command::Disconnect)).await,
                "error" => client.send_text("NONSENSE\n\n\0").await,
                _ => drop(client),
            }
            let mut heir = stage.connected().await;
            heir.send(&subscribe("heir", QUEUE, "client")).await;
            let again = heir.again(&["2", "3"]).await;
            heir.confirmed(ack(stage.version, &again[1])).await;
            // Another session has another "t".
            heir.confirmed(begin("t")).await;
            heir.confirmed(commit("t")).await;
            heir.confirmed(Frame::new(Command::Unsubscribe).with("id", "heir")).await;
            listener.quiet().await;
            assert_eq!((held(&stage), stage.gateway.core().broker().queues_and_users().0), (0, 0), "{way}");
        }
    });
}

fn a_commit_that_cannot_be_done_does_nothing(transport: Transport) {
    let mut config = Config::default();
    config.broker.queue.messages = 3;
    play_with(transport, config, async |stage| {
        let broker = stage.gateway.core().broker();
        let mut bystander = stage.bystander().await;
        let mut listener = listener(&stage).await;
        bystander.confirmed(send("/queue/small", "there already")).await;
        for (sends, full) in [(2, false), (1, true), (0, false)] {
            let (mut client, messages) = holding(&stage, "client", &["1", "2"]).await;
            client.send(&begin("t")).await;
            client.send(&within("t", send(TOPIC, "never"))).await;
            client.send(&within("t", ack(stage.version, &messages[0]))).await;
            client.send(&within("t", send("/queue/new", "never"))).await;
            for _ in 0..sends {
                client.send(&within("t", send("/queue/small", "never"))).await;
            }
            // Either this one finds no room, or one that was bad from the beginning shows it only now.
            if full {
                client.send(&within("t", send("/queue/small", "never"))).await;
                client.send(&within("t", send("/queue/small", "never"))).await;
            } else {
                client.send(&within("t", send("/queue/late", "never").with("expiration", "soon"))).await;
            }
            client.send(&within("t", send(TOPIC, "never"))).await;
            client.quiet().await;
            client.send(&commit("t").with("receipt", "7")).await;
            refused_with(&mut client, if full { "queue_messages is reached" } else { "bad expiration" }).await;

            listener.quiet().await;
            assert_eq!(broker.queue_len("/queue/small").map(|(messages, _)| messages), Some(1), "nothing was added");
            assert_eq!(broker.queue_len("/queue/new"), None, "a queue that got nothing is not there");
            let mut heir = stage.connected().await;
            heir.send(&subscribe("heir", QUEUE, "client")).await;
            let again = heir.again(&["1", "2"]).await;
            heir.confirmed(ack(stage.version, &again[1])).await;
            heir.confirmed(Frame::new(Command::Unsubscribe).with("id", "heir")).await;
            assert_eq!(broker.queues_and_users().0, 1, "only the small one is left");
        }
        // The places that were kept are free again.
        for body in ["2", "3"] {
            bystander.confirmed(send("/queue/small", body)).await;
        }
        assert_undisturbed(&mut bystander).await;
    });
}

fn a_commit_without_room_for_its_destinations_does_nothing(transport: Transport) {
    let mut config = Config::default();
    config.broker.max_destinations = 4;
    play_with(transport, config, async |stage| {
        let broker = stage.gateway.core().broker();
        let mut bystander = stage.bystander().await;
        let mut listener = listener(&stage).await;
        for name in ["/queue/1", "/queue/2"] {
            bystander.confirmed(send(name, "x")).await;
        }
        for _ in 0..3 {
            let mut client = stage.connected().await;
            client.send(&begin("t")).await;
            for destination in [TOPIC, "/queue/1", "/queue/3", "/queue/4", "/queue/5"] {
                client.send(&within("t", send(destination, "never"))).await;
            }
            client.send(&commit("t").with("receipt", "7")).await;
            refused_with(&mut client, "max_destinations destinations (4)").await;
            assert_eq!(broker.queues_and_users().0, 2);
            assert_eq!(broker.queue_len("/queue/1").map(|(messages, _)| messages), Some(1));
        }
        listener.quiet().await;
        // One fewer is not too many.
        let mut client = stage.connected().await;
        client.send(&begin("t")).await;
        for destination in [TOPIC, "/queue/1", "/queue/3", "/queue/4"] {
            client.send(&within("t", send(destination, "now"))).await;
        }
        client.confirmed(commit("t")).await;
        listener.first_time(&["now"]).await;
        assert_eq!(broker.queues_and_users().0, 4);
        assert_undisturbed(&mut bystander).await;
    });
}

// ---- several ----

fn two_transactions_do_not_mix(transport: Transport) {
    play(transport, async |stage| {
        let mut listener = listener(&stage).await;
        let (mut client, messages) = holding(&stage, "client", &["1", "2", "3", "4"]).await;
        for frame in [
            begin("a"),
            within("a", send(TOPIC, "a1")),
            begin("b"),
            within("b", send(TOPIC, "b1")),
            within("a", ack(stage.version, &messages[1])),
            within("a", send(TOPIC, "a2")),
            // Up to the fourth, but for the two that are the other's.
            within("b", ack(stage.version, &messages[3])),
            within("b", send(TOPIC, "b2")),
        ] {
            client.confirmed(frame).await;
        }
        listener.quiet().await;
        client.confirmed(commit("b")).await;
        listener.first_time(&["b1", "b2"]).await;
        listener.quiet().await;
        assert_eq!(held(&stage), 2);
        client.confirmed(commit("a")).await;
        listener.first_time(&["a1", "a2"]).await;
        assert_eq!(held(&stage), 0);
    });
}

fn what_one_transaction_acknowledges_is_refused_to_others(transport: Transport) {
    play(transport, async |stage| {
        let mut commands = vec![Command::Ack];
        if stage.version > Version::V1_0 {
            commands.push(Command::Nack);
        }
        for command in commands {
            for other in [Some("a"), Some("b"), None] {
                let (mut client, messages) = holding(&stage, mode(stage.version), &["1", "2"]).await;
                client.send(&begin("a")).await;
                client.send(&begin("b")).await;
                client.confirmed(within("a", ack(stage.version, &messages[1]))).await;
                let mut frame = acks::verdict(command, stage.version, &messages[1]).with("receipt", "7");
                if let Some(other) = other {
                    frame = within(other, frame);
                }
                client.send(&frame).await;
                refused_with(&mut client, "taken into a transaction").await;
                let mut heir = stage.connected().await;
                heir.send(&subscribe("heir", QUEUE, "client")).await;
                let again = heir.again(&["1", "2"]).await;
                heir.send(&ack(stage.version, &again[1])).await;
                heir.confirmed(Frame::new(Command::Unsubscribe).with("id", "heir")).await;
            }
        }
    });
}

fn a_commit_cannot_acknowledge_for_a_subscription_that_has_ended(transport: Transport) {
    play(transport, async |stage| {
        let mut listener = listener(&stage).await;
        for again in [false, true] {
            let (mut client, messages) = holding(&stage, "client", &["1", "2"]).await;
            client.send(&begin("t")).await;
            client.send(&within("t", send(TOPIC, "never"))).await;
            client.send(&within("t", ack(stage.version, &messages[1]))).await;
            client.confirmed(Frame::new(Command::Unsubscribe).with("id", "jobs")).await;
            assert_eq!(held(&stage), 2);
            if again {
                // One of the same name is another one.
                client.send(&subscribe("jobs", QUEUE, "client")).await;
                client.again(&["1", "2"]).await;
            }
            client.send(&commit("t").with("receipt", "7")).await;
            refused_with(&mut client, "a subscription that has ended").await;
            listener.quiet().await;
            let mut heir = stage.connected().await;
            heir.send(&subscribe("heir", QUEUE, "client")).await;
            let back = heir.again(&["1", "2"]).await;
            heir.send(&ack(stage.version, &back[1])).await;
            heir.confirmed(Frame::new(Command::Unsubscribe).with("id", "heir")).await;
        }
        // To abort it is nothing wrong.
        let (mut client, messages) = holding(&stage, "client", &["1"]).await;
        for frame in [
            begin("t"),
            within("t", ack(stage.version, &messages[0])),
            Frame::new(Command::Unsubscribe).with("id", "jobs"),
            abort("t"),
        ] {
            client.confirmed(frame).await;
        }
        assert_eq!(held(&stage), 1);
    });
}

fn receipts_come_in_the_order_of_frames(transport: Transport) {
    play(transport, async |stage| {
        let (mut client, messages) = holding(&stage, "client", &["1", "2"]).await;
        client.send(&subscribe("news", TOPIC, "auto")).await;
        let frames = [
            begin("t"),
            within("t", send(TOPIC, "in")),
            send(TOPIC, "out"),
            within("t", ack(stage.version, &messages[0])),
            ack(stage.version, &messages[1]),
            begin("u"),
            abort("u"),
            commit("t"),
            send(TOPIC, "last"),
        ];
        for (number, frame) in frames.into_iter().enumerate() {
            client.send(&frame.with("receipt", number.to_string())).await;
        }
        let mut seen = vec![];
        while seen.last().is_none_or(|last| last != "8") {
            let frame = client.frame().await;
            seen.push(match frame.command {
                Command::Receipt => frame.headers.get("receipt-id").unwrap().to_owned(),
                _ => acks::said(&frame).0,
            });
        }
        // A receipt stands behind the effect of its frame, which is no delivery while the transaction is open.
        assert_eq!(seen, ["0", "1", "out", "2", "3", "4", "5", "6", "in", "7", "last", "8"]);
        assert_eq!(held(&stage), 0);
    });
}

// ---- misuse and limits ----

fn wrong_use_is_refused(transport: Transport) {
    play(transport, async |stage| {
        let mut bystander = stage.bystander().await;
        let mut owner = stage.connected().await;
        owner.confirmed(begin("theirs")).await;
        owner.confirmed(within("theirs", send(TOPIC, "kept"))).await;
        let unknown = "is not open; BEGIN it first";
        let mut wrong = vec![
            (unknown, vec![within("t", send(TOPIC, "x"))]),
            (unknown, vec![within("", send(TOPIC, "x"))]),
            (unknown, vec![begin("t"), within("T", send(TOPIC, "x"))]),
            (unknown, vec![within("theirs", send(TOPIC, "x"))]),
            (unknown, vec![commit("theirs")]),
            (unknown, vec![abort("theirs")]),
            (unknown, vec![commit("t")]),
            (unknown, vec![abort("t")]),
            (unknown, vec![begin("t"), commit("t"), commit("t")]),
            (unknown, vec![begin("t"), commit("t"), abort("t")]),
            (unknown, vec![begin("t"), abort("t"), commit("t")]),
            (unknown, vec![begin("t"), commit("t"), within("t", send(TOPIC, "x"))]),
            ("is open already", vec![begin("t"), begin("t")]),
            ("is open already", vec![begin("t"), within("t", send("/topic/nobody", "x")), begin("u"), begin("t")]),
            ("BEGIN needs the header transaction", vec![Frame::new(Command::Begin)]),
            ("BEGIN needs the header transaction", vec![begin("")]),
            ("COMMIT needs the header transaction", vec![Frame::new(Command::Commit)]),
            ("ABORT needs the header transaction", vec![Frame::new(Command::Abort)]),
            ("this broker serves", vec![begin("t"), within("t", send("/nowhere", "x"))]),
            ("a pattern is for SUBSCRIBE only", vec![begin("t"), within("t", send("/topic/*", "x"))]),
            ("unknown message", vec![begin("t"), within("t", acks::ack_of(stage.version, "1-1", "1"))]),
        ];
        for command in [Command::Ack, Command::Nack] {
            if command == Command::Ack || stage.version > Version::V1_0 {
                let mut frame = within("t", acks::ack_of(stage.version, "1-1", "1"));
                frame.command = command;
                wrong.push((unknown, vec![frame]));
            }
        }
        for (words, mut frames) in wrong {
            let mut client = stage.connected().await;
            let last = frames.pop().unwrap();
            for frame in frames {
                client.confirmed(frame).await;
            }
            client.send(&last.with("receipt", "7")).await;
            refused_with(&mut client, words).await;
        }
        let mut listener = listener(&stage).await;
        owner.confirmed(commit("theirs")).await;
        listener.first_time(&["kept"]).await;
        listener.quiet().await;
        assert_undisturbed(&mut bystander).await;
    });
}

fn tight() -> Config {
    let mut config = Config::default();
    config.stomp.max_transactions = 2;
    config.stomp.max_transaction_frames = 4;
    config.stomp.max_transaction_bytes = 2000;
    config
}

/// What is over the limit of that key. Frames and bytes count over all open transactions of a session.
fn over_limits() -> Vec<(&'static str, Vec<Frame>)> {
    let small = |transaction| within(transaction, send(TOPIC, "x"));
    let large = |transaction| within(transaction, send(TOPIC, &"x".repeat(800)));
    vec![
        ("max_transactions", vec![begin("a"), begin("b"), begin("c")]),
        ("max_transaction_frames", vec![begin("a"), small("a"), small("a"), small("a"), small("a"), small("a")]),
        (
            "max_transaction_frames",
            vec![begin("a"), begin("b"), small("a"), small("b"), small("a"), small("b"), small("a")],
        ),
        ("max_transaction_bytes", vec![begin("a"), large("a"), large("a"), large("a")]),
        ("max_transaction_bytes", vec![begin("a"), begin("b"), large("a"), large("b"), large("a")]),
        ("max_transaction_bytes", vec![begin("a"), within("a", send(TOPIC, &"x".repeat(2000)))]),
    ]
}

fn limits_are_named_when_they_are_reached(transport: Transport) {
    let meter = Meter::install();
    play_with(transport, tight(), async |stage| {
        let mut bystander = stage.bystander().await;
        let mut listener = listener(&stage).await;
        for (limit, mut frames) in over_limits() {
            let mut client = stage.connected().await;
            let before = meter.limit_reached(limit);
            let last = frames.pop().unwrap();
            for frame in frames {
                client.confirmed(frame).await;
            }
            assert_eq!(meter.limit_reached(limit), before, "{limit}");
            client.send(&last.with("receipt", "7")).await;
            refused_with(&mut client, &format!("may hold {limit},")).await;
            assert_eq!(meter.limit_reached(limit), before + 1, "{limit}");
        }
        listener.quiet().await;
        assert_undisturbed(&mut bystander).await;
    });
}

/// One at its limits is served, and what a transaction took is free again after its end, whatever that was.
fn a_client_at_its_limits_is_served(transport: Transport) {
    play_with(transport, tight(), async |stage| {
        let mut listener = listener(&stage).await;
        let mut client = stage.connected().await;
        let body = "x".repeat(300);
        for end in [commit, abort, commit] {
            client.confirmed(begin("a")).await;
            client.confirmed(begin("b")).await;
            for transaction in ["a", "b", "a", "b"] {
                client.confirmed(within(transaction, send(TOPIC, &body))).await;
            }
            client.confirmed(end("b")).await;
            client.confirmed(begin("c")).await;
            client.confirmed(within("c", send(TOPIC, &body))).await;
            client.confirmed(end("c")).await;
            client.confirmed(end("a")).await;
        }
        for _ in 0..10 {
            listener.first_time(&[&body]).await;
        }
        listener.quiet().await;
    });
}

/// Readers that fall behind hold a commit up. Nothing of its client's is done in between, and it is finished whoever ends the
/// session meanwhile.
#[test]
fn a_commit_that_is_held_up_is_done_whole_even_without_its_session() {
    let mut config = bed::config(Service::Stomp, |_| {});
    config.stomp.max_transaction_frames = 200;
    let mut bed = Bed::new(&config);
    let mut listener = bed::stomp::Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    listener.subscribe(&bed, "1", TOPIC);
    let expected: Vec<_> = (0..200).map(|number| number.to_string()).collect();
    for lost in [false, true] {
        let mut client = bed::stomp::Client::connected(&bed, Carrier::Tcp, Version::V1_2);
        client.send(&bed, &begin("t"));
        for body in &expected {
            client.send(&bed, &within("t", send(TOPIC, body)));
        }
        assert!(matches!(client.send(&bed, &commit("t").with("receipt", "done")), Flow::Pause(_)));
        client.send(&bed, &send(TOPIC, "behind it"));
        assert!(client.frames(&bed).is_empty(), "no receipt yet");
        let mut heard = bodies(&listener.frames(&bed));
        assert!(!heard.is_empty() && heard.len() < 200, "{}", heard.len());
        if lost {
            bed.hang_up(&client.reader, CloseReason::Interrupted);
        } else {
            bed.idle(bed::seconds(1));
            assert_eq!(client.frames(&bed).len(), 1, "the receipt");
        }
        heard.extend(bodies(&listener.frames(&bed)));
        assert_eq!(heard.iter().position(|body| body == "behind it"), (!lost).then_some(200));
        assert_eq!(heard[..200], expected);
    }
}
