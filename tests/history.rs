//! What topics keep for those who come later: the last messages before the live ones, no gap and no duplicate where they
//! meet, numbered for those who asked; how it ages, what bounds it, and that asking for it costs nobody his session.
//! What happens under load is in history_seam.rs.

mod bed;
mod everywhere;
mod support;
#[path = "everywhere/users.rs"]
mod users;

use bed::meters::record;
use bed::stomp::{Client, bodies};
use bed::{Bed, TICK, millis, seconds};
use everywhere::{assert_undisturbed, expect_error_and_close, play_with};
use support::Transport;
use support::stomp::Stomp;
use towpath::config::{Broker, Config, Destination, History};
use towpath::session::{Carrier, CloseReason, Flow};
use towpath::stomp::{Command, Frame, Headers, Version};
use users::{answer, send, sent, subscribe};

everywhere! {
    the_last_messages_come_before_the_live_ones,
    offsets_are_for_those_who_ask,
    the_last_value_of_a_topic,
    what_is_no_number_of_last_messages_is_refused,
    there_is_history_where_the_configuration_says_so_and_nowhere_else,
    history_can_be_acknowledged,
    a_selector_is_heeded,
    more_than_an_outbox_comes_whole,
}

/// A configuration whose `/topic/log.*` keep so much.
fn keeping(count: usize) -> Config {
    let history = Some(History::new(count));
    let log = Destination { pattern: "/topic/log.*".to_owned(), history, ..Destination::default() };
    Config { destinations: vec![log], ..Config::default() }
}

fn with_broker(mut config: Config, change: impl FnOnce(&mut Broker)) -> Config {
    change(&mut config.broker);
    config
}

fn last(id: &str, destination: &str, count: usize) -> Frame {
    subscribe(id, destination).with("x-history", format!("last={count}"))
}

/// The offset and the body of a MESSAGE.
fn numbered(message: &Frame) -> (u64, String) {
    assert_eq!(message.command, Command::Message, "{message:?}");
    let offset = message.headers.get("x-offset").unwrap_or_else(|| panic!("{message:?}"));
    (offset.parse().unwrap(), String::from_utf8_lossy(&message.body).into_owned())
}

/// Publishes so many messages, whose bodies are their offsets in a topic that was never there before.
async fn publish(client: &mut Stomp, offsets: std::ops::RangeInclusive<u64>) {
    for offset in offsets {
        client.publish("/topic/log.a", offset.to_string()).await;
    }
    sent(client, send("/topic/nobody", "")).await;
}

/// The next messages have these offsets.
async fn expect(client: &mut Stomp, offsets: std::ops::RangeInclusive<u64>) {
    for offset in offsets {
        let message = client.expect(Command::Message).await;
        assert_eq!(numbered(&message), (offset, offset.to_string()));
    }
}

fn the_last_messages_come_before_the_live_ones(transport: Transport) {
    play_with(transport, keeping(10), async |stage| {
        let mut publisher = stage.connected().await;
        publish(&mut publisher, 1..=25).await;
        let (mut some, mut none, mut all) = (stage.connected().await, stage.connected().await, stage.connected().await);
        some.send(&last("1", "/topic/log.a", 3)).await;
        expect(&mut some, 23..=25).await;
        none.confirmed(last("1", "/topic/log.a", 0)).await;
        // The same session once more, under another id, and more than there is.
        all.send(&last("1", "/topic/log.a", 1_000_000)).await;
        expect(&mut all, 16..=25).await;
        all.send(&last("2", "/topic/log.a", 1)).await;
        expect(&mut all, 25..=25).await;
        publish(&mut publisher, 26..=27).await;
        expect(&mut some, 26..=27).await;
        expect(&mut none, 26..=27).await;
        for offset in [26, 26, 27, 27] {
            assert_eq!(numbered(&all.expect(Command::Message).await).0, offset);
        }
    });
}

fn offsets_are_for_those_who_ask(transport: Transport) {
    play_with(transport, keeping(10), async |stage| {
        let mut publisher = stage.connected().await;
        publish(&mut publisher, 1..=2).await;
        let mut plain = stage.connected().await;
        plain.subscribed("1", "/topic/log.a").await;
        plain.subscribed("2", "/topic/log.*").await;
        plain.subscribed("3", "/topic/other").await;
        let mut asker = stage.connected().await;
        asker.confirmed(last("1", "/topic/log.a", 0)).await;
        // A publisher cannot forge one.
        for destination in ["/topic/log.a", "/topic/other"] {
            sent(&mut publisher, send(destination, "3").with("x-offset", "99")).await;
        }
        for _ in 0..3 {
            let message = plain.expect(Command::Message).await;
            assert_eq!((message.headers.get("x-offset"), &message.body[..]), (None, &b"3"[..]));
        }
        expect(&mut asker, 3..=3).await;
    });
}

fn the_last_value_of_a_topic(transport: Transport) {
    play_with(transport, keeping(1), async |stage| {
        let mut publisher = stage.connected().await;
        for offset in 1..=3 {
            publish(&mut publisher, offset..=offset).await;
            let mut client = stage.connected().await;
            client.send(&last("1", "/topic/log.a", 1)).await;
            expect(&mut client, offset..=offset).await;
        }
        let mut early = stage.connected().await;
        early.confirmed(last("1", "/topic/log.b", 1)).await;
        sent(&mut publisher, send("/topic/log.b", "first")).await;
        // Every topic counts for itself.
        assert!(numbered(&early.expect(Command::Message).await).0 > 0);
    });
}

fn what_is_no_number_of_last_messages_is_refused(transport: Transport) {
    play_with(transport, keeping(1), async |stage| {
        let mut bystander = stage.bystander().await;
        for garbage in ["", "1", "last", "last=", "last=-1", "last=x", "last=1.5", "last=1 2", "Last=1", "first=1"] {
            let mut client = stage.connected().await;
            client.send(&subscribe("1", "/topic/log.a").with("x-history", garbage).with("receipt", "7")).await;
            let error = expect_error_and_close(&mut client).await;
            assert_eq!(error.headers.get("message"), Some("invalid header value"), "{garbage:?}");
            assert_eq!(error.headers.get("receipt-id"), Some("7"));
            assert!(String::from_utf8_lossy(&error.body).contains("x-history is last=NUMBER"), "{error:?}");
        }
        assert_undisturbed(&mut bystander).await;
    });
}

fn there_is_history_where_the_configuration_says_so_and_nowhere_else(transport: Transport) {
    play_with(transport, keeping(1), async |stage| {
        for none in ["/topic/other", "/topic/log.a.b", "/topic/log.*", "/topic/**", "/queue/log.a", "/user/topic/log.a"]
        {
            for count in [0, 1] {
                let mut client = stage.connected().await;
                client.send(&last("1", none, count).with("receipt", "7")).await;
                let error = expect_error_and_close(&mut client).await;
                assert_eq!(error.headers.get("message"), Some("no history"), "{none}");
                assert_eq!(error.headers.get("receipt-id"), Some("7"));
            }
        }
        assert!(stage.gateway.core().broker().is_empty(), "no queue or topic was made for it");
    });
}

fn history_can_be_acknowledged(transport: Transport) {
    play_with(transport, keeping(10), async |stage| {
        let mut publisher = stage.connected().await;
        publish(&mut publisher, 1..=5).await;
        let mut client = stage.connected().await;
        client.send(&last("1", "/topic/log.a", 3).with("ack", "client").with("prefetch-count", "2")).await;
        let (three, four) = (client.expect(Command::Message).await, client.expect(Command::Message).await);
        assert_eq!((numbered(&three).0, numbered(&four).0), (3, 4));
        assert_ne!(three.headers.get("message-id"), four.headers.get("message-id"));
        publish(&mut publisher, 6..=6).await;
        // Nothing more before it acknowledges; cumulatively, as the mode has it.
        client.confirmed(Frame::new(Command::Begin).with("transaction", "fence")).await;
        client.send(&answer(Command::Ack, &four, stage.version)).await;
        expect(&mut client, 5..=6).await;
    });
}

fn a_selector_is_heeded(transport: Transport) {
    play_with(transport, keeping(4), async |stage| {
        let mut publisher = stage.connected().await;
        for offset in 1..=6 {
            let parity = if offset % 2 == 0 { "even" } else { "odd" };
            sent(&mut publisher, send("/topic/log.a", &offset.to_string()).with("parity", parity)).await;
        }
        let mut client = stage.connected().await;
        client.send(&last("1", "/topic/log.a", 3).with("selector", "parity = 'even'")).await;
        // Of the last three messages those that it wants.
        for offset in [4, 6] {
            assert_eq!(numbered(&client.expect(Command::Message).await).0, offset);
        }
        sent(&mut publisher, send("/topic/log.a", "7").with("parity", "odd")).await;
        sent(&mut publisher, send("/topic/log.a", "8").with("parity", "even")).await;
        assert_eq!(numbered(&client.expect(Command::Message).await).0, 8);
    });
}

fn more_than_an_outbox_comes_whole(transport: Transport) {
    play_with(transport, keeping(1000), async |stage| {
        let mut publisher = stage.connected().await;
        publish(&mut publisher, 1..=1000).await;
        let mut client = stage.connected().await;
        client.send(&last("1", "/topic/log.a", 1000)).await;
        expect(&mut client, 1..=1000).await;
        client.confirmed(send("/topic/nobody", "")).await;
        if transport.is_http() {
            return;
        }
        // Several times in one go; over HTTP this client would not read until its request is answered.
        let burst = |id| String::from_utf8(last(id, "/topic/log.a", 1000).encode(stage.version).to_vec()).unwrap();
        client.send_text(&["2", "3", "4"].map(burst).concat()).await;
        for _ in 0..3 {
            expect(&mut client, 1..=1000).await;
        }
        client.confirmed(send("/topic/nobody", "")).await;
    });
}

// ---- what bounds it ----

fn connected(bed: &Bed) -> Client {
    Client::connected(bed, Carrier::Websocket, Version::V1_2)
}

fn published(bed: &Bed, destination: &str, bodies: impl IntoIterator<Item = String>) {
    for body in bodies {
        bed.gateway.broker().send(destination, Headers::new(), body.into(), bed.now).expect("there is room");
    }
}

fn texts(offsets: std::ops::RangeInclusive<u64>) -> impl Iterator<Item = String> {
    offsets.map(|offset| offset.to_string())
}

/// What a newcomer gets who asks for everything.
fn kept(bed: &Bed, destination: &str) -> Vec<(u64, String)> {
    let mut client = connected(bed);
    assert_eq!(client.send(bed, &last("1", destination, usize::MAX)), Flow::Continue);
    let messages = client.frames(bed).iter().map(numbered).collect();
    bed.hang_up(&client.reader, CloseReason::Interrupted);
    messages
}

fn offsets(bed: &Bed, destination: &str) -> Vec<u64> {
    kept(bed, destination).into_iter().map(|(offset, _)| offset).collect()
}

fn aging(count: usize, age: u64) -> Config {
    let mut config = keeping(count);
    config.destinations[0].history = Some(History { count, age: seconds(age) });
    config
}

#[test]
fn messages_age_and_are_forgotten() {
    let mut bed = Bed::new(&aging(100, 60));
    published(&bed, "/topic/log.a", texts(1..=2));
    bed.idle(seconds(30));
    published(&bed, "/topic/log.a", texts(3..=4));
    bed.idle(seconds(29));
    assert_eq!(offsets(&bed, "/topic/log.a"), [1, 2, 3, 4]);
    bed.idle(seconds(1));
    assert_eq!(offsets(&bed, "/topic/log.a"), [3, 4], "to the moment, whenever the timer comes round");
    bed.idle(seconds(30));
    assert_eq!(offsets(&bed, "/topic/log.a"), [0; 0]);
    // A timer comes round for several at once, and who asks before it does is not told what is too old.
    published(&bed, "/topic/log.a", texts(5..=5));
    bed.idle(millis(50));
    published(&bed, "/topic/log.a", texts(6..=6));
    bed.idle(seconds(60));
    assert_eq!(offsets(&bed, "/topic/log.a"), [0; 0]);
}

/// Without anybody touching the topic: its memory goes and its name is free again, but no offset is given twice.
#[test]
fn a_topic_whose_history_has_aged_is_gone_and_its_offsets_are_not_given_again() {
    let mut bed = Bed::new(&with_broker(aging(100, 60), |broker| broker.max_destinations = 1));
    published(&bed, "/topic/log.a", texts(1..=5));
    let broker = bed.gateway.broker().clone();
    assert_eq!(broker.len(), (1, 0));
    assert!(broker.live_bytes() > 0);
    bed.idle(seconds(60) + 10 * TICK);
    assert_eq!((broker.len(), broker.live_bytes()), ((0, 0), 0));
    published(&bed, "/topic/log.b", texts(1..=1));
    assert_eq!(broker.len(), (1, 0), "there is room for another");
    bed.idle(seconds(61));
    published(&bed, "/topic/log.a", texts(6..=7));
    let again = offsets(&bed, "/topic/log.a");
    assert!(again.len() == 2 && again[0] > 5 && again[1] == again[0] + 1, "{again:?}");
}

#[test]
fn a_subscriber_keeps_its_topic_and_its_offsets_while_the_history_ages() {
    let mut bed = Bed::new(&aging(100, 60));
    let mut client = Client::connected(&bed, Carrier::Tcp, Version::V1_2);
    client.send(&bed, &last("1", "/topic/log.a", 0));
    published(&bed, "/topic/log.a", texts(1..=2));
    bed.pass(seconds(120), &mut [&mut client.reader]);
    assert_eq!(bed.gateway.broker().len(), (1, 0));
    published(&bed, "/topic/log.a", texts(3..=3));
    let seen: Vec<_> = client.frames(&bed).iter().map(numbered).collect();
    let offsets: Vec<_> = seen.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, [1, 2, 3]);
    client.send(&bed, &bed::stomp::unsubscribe("1"));
    bed.idle(seconds(61));
    assert!(bed.gateway.broker().is_empty());
    assert_eq!(bed.gateway.broker().live_bytes(), 0);
}

#[test]
fn all_histories_together_are_bounded_by_their_bytes() {
    let large = |offset: u64| format!("{offset}{}", ".".repeat(10_000));
    let config = with_broker(keeping(100), |broker| broker.history_bytes = 64 * 1024);
    let (_, meters) = record(|| {
        let bed = Bed::new(&config);
        published(&bed, "/topic/log.a", (1..=20).map(large));
        assert_eq!(offsets(&bed, "/topic/log.a"), (15..=20).collect::<Vec<_>>(), "the oldest make room");
        assert!(bed.gateway.broker().live_bytes() <= 64 * 1024);
        // Another topic cannot take it away: what finds no room is delivered and not kept.
        let mut client = connected(&bed);
        client.send(&bed, &last("1", "/topic/log.b", 0));
        published(&bed, "/topic/log.b", (1..=2).map(large));
        assert_eq!(client.frames(&bed).len(), 2);
        assert_eq!(offsets(&bed, "/topic/log.b"), [0; 0]);
        assert_eq!(offsets(&bed, "/topic/log.a").len(), 6);
        // Small ones find what is left.
        published(&bed, "/topic/log.b", texts(3..=4));
        assert_eq!(offsets(&bed, "/topic/log.b").len(), 2, "and there is no gap in what is kept");
    });
    assert_eq!(meters.limit("history_bytes"), 2);
}

/// One more than fits is none of a hundred.
#[test]
fn a_history_has_no_gap_where_a_message_was_too_large_for_it() {
    let bed = Bed::new(&with_broker(keeping(100), |broker| broker.history_bytes = 4096));
    published(&bed, "/topic/log.a", texts(1..=5));
    published(&bed, "/topic/log.a", [".".repeat(10_000)]);
    assert_eq!(offsets(&bed, "/topic/log.a"), [0; 0]);
    published(&bed, "/topic/log.a", texts(7..=8));
    assert_eq!(offsets(&bed, "/topic/log.a"), [7, 8]);
}

// ---- what asking costs ----

/// A client that asks and does not read keeps a bounded part of the gateway busy: it must read before it asks again.
#[test]
fn history_cannot_be_asked_for_without_reading() {
    for carrier in [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp] {
        let mut config = keeping(1000);
        config.tcp.outbox_messages = config.endpoints[0].outbox_messages;
        let mut bed = Bed::new(&config);
        published(&bed, "/topic/log.a", texts(1..=1000));
        let mut client = Client::connected(&bed, carrier, Version::V1_2);
        for id in ["1", "2"] {
            // Nothing is read from it until it has read, or a while has passed.
            let flow = client.send(&bed, &last(id, "/topic/log.a", 1000));
            assert!(matches!(flow, Flow::Pause(_)), "{flow:?} after {id} over {carrier:?}");
            assert_eq!(client.reader.session.backlog().1, 1000);
            if id == "1" {
                assert_eq!(client.frames(&bed).len(), 1000);
                bed.idle(TICK);
            }
        }
        // Live messages have the room that they always have.
        published(&bed, "/topic/log.a", texts(1..=100));
        assert!(matches!(client.send(&bed, &last("3", "/topic/log.a", 1).with("receipt", "7")), Flow::Pause(_)));
        bed.idle(millis(999));
        assert!(client.reader.session.is_open());
        bed.idle(seconds(1));
        let frames = client.frames_to_the_end(&bed);
        let error = frames.last().unwrap();
        assert_eq!((error.command, error.headers.get("message")), (Command::Error, Some("too much history")));
        assert_eq!(error.headers.get("receipt-id"), Some("7"));
        assert_eq!(frames.len(), 1000 + 200 + 1, "what it was promised before is sent");
    }
}

/// A history may be larger than what a subscription with acknowledgements may hold: then it gets the latest that fit.
#[test]
fn a_history_that_is_larger_than_max_unacked_does_not_end_the_session() {
    let config = with_broker(keeping(100), |broker| {
        (broker.max_unacked, broker.max_unacked_bytes) = (50, 64 * 1024);
    });
    let bed = Bed::new(&config);
    for (body, fits) in [("x".to_owned(), 50), ("x".repeat(10_000), 6)] {
        published(&bed, "/topic/log.a", std::iter::repeat_n(body, 100));
        let newest = *offsets(&bed, "/topic/log.a").last().unwrap();
        let mut client = connected(&bed);
        assert_eq!(client.send(&bed, &last("1", "/topic/log.a", 100).with("ack", "client")), Flow::Continue);
        let offsets: Vec<_> = client.frames(&bed).iter().map(|frame| numbered(frame).0).collect();
        assert_eq!(offsets, (newest + 1 - fits..=newest).collect::<Vec<_>>());
        assert!(client.reader.session.is_open());
        bed.hang_up(&client.reader, CloseReason::Interrupted);
    }
}

/// Histories that were asked for all at once, in one message, and which together are more than an outbox.
#[test]
fn several_histories_may_be_asked_for_at_once() {
    let mut bed = Bed::new(&keeping(100));
    for topic in 0..10 {
        published(&bed, &format!("/topic/log.{topic}"), texts(1..=100));
    }
    for carrier in [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp] {
        let mut client = Client::connected(&bed, carrier, Version::V1_2);
        let mut burst = vec![];
        for topic in 0..10 {
            burst.extend_from_slice(
                &last(&topic.to_string(), &format!("/topic/log.{topic}"), 100).encode(Version::V1_2),
            );
        }
        client.send_bytes(&bed, &burst);
        bed.pass(seconds(1), &mut [&mut client.reader]);
        let frames = client.frames(&bed);
        assert_eq!(bodies(&frames).len(), 1000, "over {carrier:?}");
        assert!(client.reader.session.is_open());
    }
}
