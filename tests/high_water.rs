//! What all live messages hold together: publishers are slowed from three quarters of `high_water` and refused at it, whatever
//! way a message goes it is counted no longer than it lives, and none keeps more memory alive than is counted for it.

mod bed;

use bed::meters::record;
use bed::stomp::{Client, send, subscribe};
use bed::{Bed, TICK, config, millis, seconds};
use bytes::Bytes;
use towpath::config::{Config, Destination, History, Overflow, Service};
use towpath::session::{Carrier, CloseReason, Departure, Flow, Message};
use towpath::stomp::{Command, Frame, Version};

fn connected(bed: &Bed) -> Client {
    Client::connected(bed, Carrier::RawWebsocket, Version::V1_2)
}

fn live(bed: &Bed) -> usize {
    bed.gateway.broker().live_bytes()
}

// ---- the mark ----

/// Queues may hold ten messages of about a kilobyte, all messages together twelve.
fn low() -> Config {
    let mut config = config(Service::Stomp, |_| {});
    config.broker.queue.messages = 10;
    config.broker.queue.bytes = 10_000;
    config.broker.queues_bytes = 11_000;
    config.broker.history_bytes = 500;
    config.broker.high_water = 12_000;
    config.validate().expect("it is good");
    config
}

fn kilobyte(destination: &str) -> Frame {
    send(destination, &"x".repeat(950))
}

#[test]
fn publishers_are_slowed_from_three_quarters_and_refused_at_the_mark() {
    let ((), meters) = record(|| {
        let mut bed = Bed::new(&low());
        let (publisher, mut reader) = (connected(&bed), connected(&bed));
        let mut flows = vec![];
        for _ in 0..9 {
            flows.push(publisher.send(&bed, &kilobyte("/queue/a")));
            bed.idle(millis(10) + TICK);
        }
        assert_eq!(flows[..8], [Flow::Continue; 8], "{} bytes", live(&bed));
        assert!((9_001..12_000).contains(&live(&bed)), "{}", live(&bed));
        assert_eq!(flows[8], Flow::Pause(millis(10)));

        // Every publisher is slowed, wherever its message goes and whoever reads it.
        let other = connected(&bed);
        assert_eq!(other.send(&bed, &send("/topic/nobody", "x")), Flow::Pause(millis(10)));

        // Messages that nobody has read yet count wherever they wait.
        reader.subscribe(&bed, "1", "/topic/a");
        while live(&bed) < 12_000 {
            bed.idle(millis(10) + TICK);
            assert_eq!(publisher.send(&bed, &kilobyte("/topic/a")), Flow::Pause(millis(10)));
        }
        bed.idle(millis(10) + TICK);
        let mut refused = connected(&bed);
        assert_eq!(refused.send(&bed, &send("/topic/b", "x").with("receipt", "r")), Flow::Closed);
        let error = refused.frames_to_the_end(&bed).remove(0);
        assert_eq!(error.headers.get("message"), Some("broker is full"));
        assert_eq!(error.headers.get("receipt-id"), Some("r"));
        assert!(String::from_utf8_lossy(&error.body).contains("high_water, 12000 bytes"), "{error:?}");

        // It comes down as they are read and consumed.
        assert_eq!(reader.frames(&bed).len(), 3);
        assert_eq!(publisher.send(&bed, &send("/topic/b", "x")), Flow::Pause(millis(10)), "taken, and slowed still");
        bed.idle(millis(10) + TICK);
        reader.subscribe(&bed, "2", "/queue/a");
        assert_eq!(reader.frames(&bed).len(), 9);
        assert_eq!(live(&bed), 0);
        assert_eq!(publisher.send(&bed, &send("/topic/b", "x")), Flow::Continue);
        bed.gateway.handle_timeout(bed.now);
    });
    assert_eq!(meters.limit("high_water"), 1);
    assert!(meters.count("towpath_publisher_pauses_total", Some(("reason", "high-water"))) > 4);
    assert_eq!(meters.gauge("towpath_live_message_bytes"), 0.0);
}

// ---- every way that a message can go ----

/// What happens to a message, and a function that makes it happen.
type Way = (&'static str, fn(&mut Bed));

const WAYS: [Way; 18] = [
    ("read by all", |bed| {
        let (mut a, mut b) = (connected(bed), connected(bed));
        a.subscribe(bed, "1", "/topic/a");
        b.subscribe(bed, "1", "/topic/*");
        fill(bed, "/topic/a", 5);
        a.frames(bed);
        assert!(live(bed) > 0, "one of them has not read it");
        b.frames(bed);
    }),
    ("replaced and dropped", |bed| {
        for destination in ["/topic/latest", "/topic/oldest"] {
            let mut client = connected(bed);
            client.subscribe(bed, "1", destination);
            fill(bed, destination, 1000);
            client.frames(bed);
        }
    }),
    ("too much for a slow reader, who reads the rest", |bed| {
        let mut slow = connected(bed);
        slow.subscribe(bed, "1", "/topic/a");
        fill(bed, "/topic/a", 300);
        slow.frames_to_the_end(bed);
    }),
    ("too much for a slow reader, who never comes back", |bed| {
        let slow = Client::connected(bed, Carrier::Http, Version::V1_2);
        slow.subscribe(bed, "1", "/topic/a");
        fill(bed, "/topic/a", 300);
        bed.depart(&slow.reader, Departure::Interrupted);
        bed.idle(seconds(60));
    }),
    ("waiting when the connection breaks", |bed| {
        let client = connected(bed);
        for (id, destination) in [("1", "/topic/a"), ("2", "/topic/*")] {
            client.subscribe(bed, id, destination);
        }
        fill(bed, "/topic/a", 5);
        bed.hang_up(&client.reader, CloseReason::Interrupted);
    }),
    ("too much for a slow reader, whose connection breaks", |bed| {
        let slow = connected(bed);
        slow.subscribe(bed, "1", "/topic/a");
        fill(bed, "/topic/a", 300);
        bed.hang_up(&slow.reader, CloseReason::Interrupted);
        assert_eq!(live(bed), 0, "whoever still holds the session");
    }),
    ("waiting when its subscription ends", |bed| {
        let mut client = connected(bed);
        for ack in ["auto", "client"] {
            client.send(bed, &subscribe(ack, "/topic/a").with("ack", ack));
        }
        fill(bed, "/topic/a", 5);
        for ack in ["auto", "client"] {
            client.send(bed, &Frame::new(Command::Unsubscribe).with("id", ack));
        }
        assert!(client.frames(bed).is_empty());
    }),
    ("acknowledged, and not", |bed| {
        let mut client = connected(bed);
        client.send(bed, &subscribe("1", "/topic/a").with("ack", "client-individual"));
        fill(bed, "/topic/a", 5);
        let first = client.frames(bed).remove(0);
        assert!(live(bed) > 0, "read is not acknowledged");
        client.send(bed, &Frame::new(Command::Ack).with("id", first.headers.get("ack").expect("it has one")));
        client.send(bed, &Frame::new(Command::Disconnect));
    }),
    ("more than may be unacknowledged", |bed| {
        let mut client = connected(bed);
        client.send(bed, &subscribe("1", "/topic/a").with("ack", "client"));
        fill(bed, "/topic/a", 1500);
        client.frames_to_the_end(bed);
        bed.idle(TICK);
    }),
    ("consumed from a queue", |bed| {
        fill(bed, "/queue/a", 200);
        assert!(live(bed) > 0);
        let mut consumer = connected(bed);
        consumer.subscribe(bed, "1", "/queue/a");
        assert_eq!(consumer.frames(bed).len(), 200);
    }),
    ("rejected, without a dead-letter destination", |bed| {
        fill(bed, "/queue/a", 1);
        let mut consumer = connected(bed);
        consumer.send(bed, &subscribe("1", "/queue/a").with("ack", "client"));
        let message = consumer.frames(bed).remove(0);
        let nack = Frame::new(Command::Nack).with("id", message.headers.get("ack").expect("it has one"));
        consumer.send(bed, &nack.with("requeue", "false"));
    }),
    ("dead, and read from where the dead go", |bed| {
        fill(bed, "/queue/dying", 5);
        let mut consumer = connected(bed);
        consumer.subscribe(bed, "1", "/queue/dead");
        assert!(live(bed) > 0);
        bed.idle(seconds(2));
        assert_eq!(consumer.frames(bed).len(), 5);
    }),
    ("expired with nobody there", |bed| {
        for expiration in ["10", "1000"] {
            connected(bed).send(bed, &send("/queue/a", "x").with("expiration", expiration));
        }
        assert!(live(bed) > 0);
        bed.idle(seconds(2));
    }),
    ("returned by a consumer that left, then consumed", |bed| {
        fill(bed, "/queue/a", 100);
        let client = connected(bed);
        client.subscribe(bed, "1", "/queue/a");
        client.send(bed, &Frame::new(Command::Unsubscribe).with("id", "1"));
        let mut other = connected(bed);
        other.subscribe(bed, "1", "/queue/a");
        assert_eq!(other.frames(bed).len(), 100);
    }),
    ("kept as history until it is too old", |bed| {
        fill(bed, "/topic/kept", 20);
        assert!(live(bed) > 0);
        bed.idle(seconds(61));
    }),
    ("in a transaction that was aborted, and in one that was committed", |bed| {
        let mut client = connected(bed);
        client.subscribe(bed, "1", "/topic/a");
        for end in [Command::Abort, Command::Commit] {
            client.send(bed, &Frame::new(Command::Begin).with("transaction", "t"));
            client.send(bed, &send("/topic/a", "x").with("transaction", "t"));
            client.send(bed, &send("/queue/a", "x").with("transaction", "t"));
            client.send(bed, &Frame::new(end).with("transaction", "t"));
        }
        client.subscribe(bed, "2", "/queue/a");
        assert_eq!(client.frames(bed).len(), 2);
    }),
    ("for users who are there, who go, and who never were", |bed| {
        let (mut client, connected) = Client::beating(bed, Carrier::RawWebsocket, Version::V1_2, "0,0");
        let user = connected.headers.get("session").expect("it has one").to_owned();
        client.subscribe(bed, "1", "/user/queue/a");
        fill(bed, &format!("/user/{user}/queue/a"), 5);
        client.frames(bed);
        fill(bed, &format!("/user/{user}/queue/a"), 5);
        bed.hang_up(&client.reader, CloseReason::Peer);
        fill(bed, &format!("/user/{user}/queue/a"), 5);
    }),
    ("answers to somebody who has gone", |bed| {
        let asker = connected(bed);
        let mut backend = connected(bed);
        backend.subscribe(bed, "1", "/queue/ask");
        asker.send(bed, &send("/queue/ask", "?").with("reply-to", "/temp-queue/1"));
        let reply_to = backend.frames(bed).remove(0).headers.get("reply-to").expect("it has one").to_owned();
        fill(bed, &reply_to, 5);
        assert!(live(bed) > 0);
        bed.hang_up(&asker.reader, CloseReason::Peer);
        fill(bed, &reply_to, 5);
    }),
];

/// That many messages from the embedding program.
fn fill(bed: &Bed, destination: &str, count: usize) {
    for number in 0..count {
        let body = number.to_string().into();
        bed.gateway.broker().send(destination, Default::default(), body, bed.now).expect("it can be sent");
    }
}

#[test]
fn nothing_is_counted_longer_than_it_lives() {
    let mut config = config(Service::Stomp, |_| {});
    let rule = |pattern: &str| Destination { pattern: pattern.to_owned(), ..Destination::default() };
    let mut dying = rule("/queue/dying");
    dying.queue.ttl = seconds(1);
    dying.queue.dead_letter = Some("/queue/dead".to_owned());
    config.destinations = vec![
        Destination { overflow: Overflow::Conflate, ..rule("/topic/latest") },
        Destination { overflow: Overflow::DropOldest, ..rule("/topic/oldest") },
        Destination { history: Some(History { age: seconds(60), ..History::new(10) }), ..rule("/topic/kept") },
        dying,
    ];
    config.validate().expect("it is good");
    for (way, go) in WAYS {
        let mut bed = Bed::new(&config);
        go(&mut bed);
        assert_eq!(live(&bed), 0, "{way}");
    }
}

// ---- what waits is what is counted ----

/// What a consumer gave back unread waits in its queue, and must not wait in the outbox as well: who subscribes and
/// unsubscribes all day, and reads nothing, would hold every message of the broker there, any number of times.
#[test]
fn a_client_that_comes_and_goes_unread_piles_nothing_up() {
    for ack in ["auto", "client"] {
        let mut bed = Bed::of(Service::Stomp);
        fill(&bed, "/queue/a", 500);
        let mut client = connected(&bed);
        client.subscribe(&bed, "else", "/queue/b");
        fill(&bed, "/queue/b", 10);
        for _ in 0..20 {
            client.send(&bed, &subscribe("1", "/queue/a").with("ack", ack));
            client.send(&bed, &Frame::new(Command::Unsubscribe).with("id", "1"));
            client.send(&bed, &subscribe("1", "/topic/a").with("ack", "client"));
            fill(&bed, "/topic/a", 50);
            client.send(&bed, &Frame::new(Command::Unsubscribe).with("id", "1"));
            assert_eq!(client.reader.session.backlog().1, 10, "{ack}");
        }
        let mut other = connected(&bed);
        other.subscribe(&bed, "1", "/queue/a");
        assert_eq!(other.frames(&bed).len(), 500);
        assert_eq!(client.frames(&bed).len(), 10);
        assert_eq!(client.reader.session.backlog(), (0, 0));
        bed.idle(TICK);
        assert_eq!(live(&bed), 0);
    }
}

/// Packets are read into buffers of which one body may be a small part.
#[test]
fn a_small_body_keeps_no_packet_alive() {
    let bed = Bed::of(Service::Stomp);
    let client = connected(&bed);
    for (destination, transaction) in [("/queue/a", false), ("/topic/a", false), ("/queue/b", true)] {
        let mut frame = send(destination, "0123456789");
        if transaction {
            client.send(&bed, &Frame::new(Command::Begin).with("transaction", "t"));
            frame = frame.with("transaction", "t");
        }
        let mut wire = frame.encode(Version::V1_2).to_vec();
        wire.extend_from_slice(&send("/topic/nobody", &"x".repeat(60_000)).encode(Version::V1_2));
        let packet = Bytes::from(wire);
        let message = Message::binary(packet.clone());
        assert_eq!(bed.gateway.receive(&client.reader.session, vec![message], bed.now), Flow::Continue);
        assert!(packet.is_unique(), "{destination}");
    }
    assert_eq!(bed.gateway.broker().queue_len("/queue/a").map(|(messages, _)| messages), Some(1));
}

#[test]
fn a_large_body_is_passed_on_as_it_came() {
    let bed = Bed::of(Service::Stomp);
    let client = connected(&bed);
    let packet = send("/queue/a", &"x".repeat(60_000)).encode(Version::V1_2);
    bed.gateway.receive(&client.reader.session, vec![Message::binary(packet.clone())], bed.now);
    assert!(!packet.is_unique(), "the queue holds the packet and no copy of it");
}
