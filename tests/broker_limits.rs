//! Every limit of the broker and of what sessions ask of it: what is allowed is served, what is beyond gets the documented
//! refusal or is dropped, and that counts under the limit's key or as what became of the message. What a `[[destination]]` may say
//! instead of `[broker]` is tried from both. limits.rs has the table of all keys.

mod bed;

use bed::meters::{Meters, record};
use bed::stomp::{Client, bodies, connect, send, subscribe};
use bed::{Bed, TICK, seconds};
use bytes::Bytes;
use towpath::config::{self, Config, Destination, History, QueueFull, SendToUsers, Service, UnknownUser};
use towpath::session::{Carrier, CloseReason, Flow};
use towpath::stomp::{Command, Frame, Headers, Version};

fn client(bed: &Bed) -> Client {
    Client::connected(bed, Carrier::RawWebsocket, Version::V1_2)
}

fn configured(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = bed::config(Service::Stomp, |_| {});
    change(&mut config);
    config.validate().expect("the configuration is good");
    config
}

/// The frame ends its sender's session, with an ERROR that names the limit.
fn assert_refused(bed: &Bed, client: &mut Client, frame: &Frame, limit: &str) {
    assert_eq!(client.send(bed, &frame.clone().with("receipt", "refused")), Flow::Closed, "{limit}");
    let error = client.frames_to_the_end(bed).pop().expect("an ERROR");
    assert_eq!((error.command, error.headers.get("receipt-id")), (Command::Error, Some("refused")), "{error:?}");
    assert!(String::from_utf8_lossy(&error.body).contains(limit), "{error:?}");
}

fn fill(bed: &Bed, destination: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let body = number.to_string().into();
        bed.gateway.broker().send(destination, Headers::new(), body, bed.now).expect("it can be sent");
    }
}

/// Runs a test with that setting of queues once in `[broker]` and once in a `[[destination]]` for `/queue/a`; the meters are of
/// one run.
fn both(change: impl Fn(&mut config::Queue), test: impl Fn(Bed)) -> Vec<Meters> {
    let everywhere = configured(|config| change(&mut config.broker.queue));
    let there = configured(|config| {
        let mut queue = config.broker.queue.clone();
        change(&mut queue);
        config.destinations.push(Destination { pattern: "/queue/a".to_owned(), queue, ..Destination::default() });
    });
    [everywhere, there].map(|config| record(|| test(Bed::new(&config))).1).into()
}

// ---- names ----

#[test]
fn max_destinations_and_max_patterns() {
    let ((), meters) = record(|| {
        let mut config = bed::config(Service::Stomp, |_| {});
        config.broker.max_destinations = 1;
        config.broker.max_patterns = 1;
        let bed = Bed::new(&config);
        let mut clients: Vec<_> =
            (0..4).map(|_| Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2)).collect();
        let flows = ["/topic/a", "/topic/b", "/topic/*", "/topic/#"];
        let flows = flows.iter().zip(&clients).map(|(name, client)| client.send(&bed, &subscribe("1", name)));
        assert_eq!(flows.collect::<Vec<_>>(), [Flow::Continue, Flow::Closed, Flow::Continue, Flow::Closed]);
        for (refused, key) in [(1, "max_destinations"), (3, "max_patterns")] {
            let error = clients[refused].frames_to_the_end(&bed).remove(0);
            assert_eq!(error.headers.get("message"), Some("broker is full"));
            assert!(String::from_utf8_lossy(&error.body).contains(key), "{error:?}");
        }
    });
    assert_eq!((meters.limit("max_destinations"), meters.limit("max_patterns")), (1, 1));
    assert_eq!(meters.gauge("towpath_destinations"), 1.0);
}

#[test]
fn publications_and_deliveries_are_counted() {
    let ((), meters) = record(|| {
        let bed = Bed::of(Service::Stomp);
        let client = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
        for (id, name) in [("1", "/topic/a"), ("2", "/topic/*")] {
            client.subscribe(&bed, id, name);
        }
        for name in ["/topic/a", "/topic/b", "/topic/c.d"] {
            bed.gateway.broker().send(name, Headers::new(), Bytes::new(), bed.now).unwrap();
        }
    });
    assert_eq!(meters.count("towpath_publications_total", None), 3);
    assert_eq!(meters.count("towpath_deliveries_total", None), 3);
    assert_eq!(meters.count("towpath_messages_received_total", None), 3, "CONNECT and two SUBSCRIBEs");
}

#[test]
fn max_name() {
    let ((), meters) = record(|| {
        let mut config = bed::config(Service::Stomp, |_| {});
        config.broker.max_name = 20;
        let bed = Bed::new(&config);
        let (fits, long) = (format!("/topic/{}", "x".repeat(13)), format!("/topic/{}", "x".repeat(14)));
        let pattern = format!("/topic/{}.#", "x".repeat(12));
        let mut listener = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
        listener.subscribe(&bed, "1", &fits);
        for refused in [subscribe("1", &long), subscribe("1", &pattern), send(&long, "x")] {
            let mut client = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
            assert_eq!(client.send(&bed, &send(&fits, "x")), Flow::Continue);
            assert_eq!(client.send(&bed, &refused), Flow::Closed);
            let error = client.frames_to_the_end(&bed).remove(0);
            assert!(String::from_utf8_lossy(&error.body).contains("max_name"), "{error:?}");
        }
        assert_eq!(listener.frames(&bed).len(), 3);
    });
    assert_eq!(meters.limit("max_name"), 3);
}

/// Queues and users are counted each for themselves.
#[test]
fn max_destinations_of_queues_and_users() {
    let ((), meters) = record(|| {
        let bed = Bed::new(&configured(|config| config.broker.max_destinations = 1));
        fill(&bed, "/queue/a", 0..1);
        assert_refused(&bed, &mut client(&bed), &send("/queue/b", "x"), "max_destinations");
        assert_refused(&bed, &mut client(&bed), &subscribe("1", "/queue/b"), "max_destinations");
        let one = client(&bed);
        assert_eq!(one.subscribe(&bed, "1", "/user/queue/a"), Flow::Continue);
        assert_refused(&bed, &mut client(&bed), &subscribe("1", "/user/queue/a"), "max_destinations");
        let mut consumer = client(&bed);
        consumer.subscribe(&bed, "1", "/queue/a");
        assert_eq!(bodies(&consumer.frames(&bed)), ["0"]);
        // An idle queue makes room.
        consumer.send(&bed, &Frame::new(Command::Unsubscribe).with("id", "1"));
        assert_eq!(consumer.send(&bed, &send("/queue/b", "x")), Flow::Continue);
    });
    assert_eq!(meters.limit("max_destinations"), 3);
    assert_eq!(meters.gauge("towpath_queues"), 1.0);
}

// ---- transactions and selectors ----

fn begin(name: &str) -> Frame {
    Frame::new(Command::Begin).with("transaction", name)
}

fn in_transaction(name: &str, body: &str) -> Frame {
    send("/topic/a", body).with("transaction", name)
}

/// What fits is sent, then committed or aborted, and fits again; one more is refused.
fn transactions(limit: &str, change: impl FnOnce(&mut config::Stomp), fits: &[Frame], too_much: &Frame) {
    let config = configured(|config| change(&mut config.stomp));
    let ((), meters) = record(|| {
        let bed = Bed::new(&config);
        let mut client = client(&bed);
        for end in [Command::Commit, Command::Abort] {
            for frame in fits {
                assert_eq!(client.send(&bed, frame), Flow::Continue, "{limit}");
            }
            for frame in fits.iter().filter(|frame| frame.command == Command::Begin) {
                let name = frame.headers.get("transaction").expect("it has one");
                client.send(&bed, &Frame::new(end).with("transaction", name));
            }
        }
        for frame in fits {
            assert_eq!(client.send(&bed, frame), Flow::Continue, "{limit}");
        }
        assert_refused(&bed, &mut client, too_much, limit);
    });
    assert_eq!(meters.limit(limit), 1);
}

#[test]
fn max_transactions() {
    let fits = [begin("1"), begin("2")];
    transactions("max_transactions", |stomp| stomp.max_transactions = 2, &fits, &begin("3"));
}

#[test]
fn max_transaction_frames() {
    // All transactions of the session together.
    let fits = [begin("1"), begin("2"), in_transaction("1", ""), in_transaction("2", ""), in_transaction("1", "")];
    let change = |stomp: &mut config::Stomp| stomp.max_transaction_frames = 3;
    transactions("max_transaction_frames", change, &fits, &in_transaction("2", ""));
}

#[test]
fn max_transaction_bytes() {
    let large = "x".repeat(400);
    let fits = [begin("1"), begin("2"), in_transaction("1", &large), in_transaction("2", &large)];
    let change = |stomp: &mut config::Stomp| stomp.max_transaction_bytes = 1200;
    transactions("max_transaction_bytes", change, &fits, &in_transaction("1", &large));
}

#[test]
fn max_selector() {
    let ((), meters) = record(|| {
        let bed = Bed::new(&configured(|config| config.stomp.max_selector = 5));
        let mut client = client(&bed);
        assert_eq!(client.send(&bed, &subscribe("1", "/topic/a").with("selector", "a = 1")), Flow::Continue);
        assert_refused(&bed, &mut client, &subscribe("2", "/topic/a").with("selector", "a = 10"), "max_selector");
    });
    assert_eq!(meters.limit("max_selector"), 1);
}

/// Transports keep to a pause; whatever goes around them must not pile up frames without end.
#[test]
fn max_backlog() {
    let ((), meters) = record(|| {
        let bed = Bed::new(&configured(|config| {
            config.stomp.max_backlog = 1000;
            config.endpoints[0].outbox_messages = 10;
        }));
        let (stuck, mut publisher) = (client(&bed), client(&bed));
        stuck.subscribe(&bed, "1", "/topic/a");
        let frame = send("/topic/a", &"x".repeat(60));
        let flows: Vec<_> = (0..20).map(|_| publisher.send(&bed, &frame)).collect();
        let held = flows.iter().filter(|flow| matches!(flow, Flow::Pause(_))).count();
        let free = flows.iter().take_while(|flow| **flow == Flow::Continue).count();
        assert_eq!(flows.iter().position(|flow| *flow == Flow::Closed), Some(free + held), "{flows:?}");
        assert!((9..12).contains(&held), "about a thousand bytes: {flows:?}");
        let error = publisher.frames_to_the_end(&bed).pop().expect("an ERROR");
        assert!(String::from_utf8_lossy(&error.body).contains("max_backlog"), "{error:?}");
    });
    assert_eq!(meters.limit("max_backlog"), 1);
}

// ---- what consumers hold ----

#[test]
fn prefetch_and_max_prefetch() {
    let bed = Bed::new(&configured(|config| {
        config.broker.prefetch = 3;
        config.broker.max_prefetch = 5;
    }));
    for (asked, given) in [(None, 3), (Some("2"), 2), (Some("4"), 4), (Some("1000000"), 5)] {
        fill(&bed, "/queue/a", 0..10);
        let mut consumer = client(&bed);
        let mut frame = subscribe("1", "/queue/a").with("ack", "client");
        if let Some(asked) = asked {
            frame = frame.with("prefetch-count", asked);
        }
        consumer.send(&bed, &frame);
        assert_eq!(consumer.frames(&bed).len(), given, "{asked:?}");
        bed.hang_up(&consumer.reader, CloseReason::Peer);
        let mut other = client(&bed);
        other.subscribe(&bed, "1", "/queue/a");
        assert_eq!(other.frames(&bed).len(), 10);
        bed.hang_up(&other.reader, CloseReason::Peer);
    }
}

#[test]
fn auto_prefetch() {
    let bed = Bed::new(&configured(|config| config.broker.auto_prefetch = 4));
    let mut consumer = client(&bed);
    consumer.subscribe(&bed, "1", "/queue/a");
    fill(&bed, "/queue/a", 0..10);
    assert_eq!(consumer.reader.session.backlog().1, 4, "more wait in the queue, and not for this one");
    assert_eq!(consumer.frames(&bed).len(), 10);
}

// ---- what queues hold ----

#[test]
fn queue_messages() {
    let runs = both(
        |queue| queue.messages = 3,
        |bed| {
            fill(&bed, "/queue/a", 0..3);
            assert_refused(&bed, &mut client(&bed), &send("/queue/a", "x"), "queue_messages");
            let mut consumer = client(&bed);
            consumer.send(&bed, &subscribe("1", "/queue/a").with("ack", "client"));
            assert_eq!(consumer.frames(&bed).len(), 3);
            assert_refused(&bed, &mut client(&bed), &send("/queue/a", "unacknowledged"), "queue_messages");
            assert_eq!(client(&bed).send(&bed, &send("/queue/b", "x")), Flow::Continue);
        },
    );
    assert!(runs.iter().all(|meters| meters.limit("queue_messages") == 2));
}

#[test]
fn queue_bytes() {
    let large = "x".repeat(400);
    let runs = both(
        |queue| queue.bytes = 1000,
        |bed| {
            let sender = client(&bed);
            assert_eq!(sender.send(&bed, &send("/queue/a", &large)), Flow::Continue);
            assert_eq!(sender.send(&bed, &send("/queue/a", &large)), Flow::Continue);
            assert_refused(&bed, &mut client(&bed), &send("/queue/a", &large), "queue_bytes");
            let mut consumer = client(&bed);
            consumer.subscribe(&bed, "1", "/queue/a");
            assert_eq!(consumer.frames(&bed).len(), 2);
            assert_eq!(sender.send(&bed, &send("/queue/a", &"x".repeat(5000))), Flow::Continue, "any one message fits");
        },
    );
    assert!(runs.iter().all(|meters| meters.limit("queue_bytes") == 1));
}

#[test]
fn queue_full() {
    let runs = both(
        |queue| (queue.messages, queue.full) = (3, QueueFull::DropOldest),
        |bed| {
            fill(&bed, "/queue/a", 0..5);
            let mut consumer = client(&bed);
            consumer.subscribe(&bed, "1", "/queue/a");
            assert_eq!(bodies(&consumer.frames(&bed)), ["2", "3", "4"]);
        },
    );
    for meters in runs {
        assert_eq!(meters.count("towpath_messages_dropped_total", Some(("reason", "queue-full"))), 2);
        assert_eq!(meters.limit("queue_messages"), 0, "nobody was refused");
    }
}

#[test]
fn queue_ttl() {
    let runs = both(
        |queue| queue.ttl = seconds(10),
        |mut bed| {
            fill(&bed, "/queue/a", 0..2);
            bed.idle(seconds(9));
            assert_eq!(bed.gateway.broker().queue_len("/queue/a").map(|(messages, _)| messages), Some(2));
            bed.idle(seconds(2));
            assert_eq!(bed.gateway.broker().queue_len("/queue/a"), None);
        },
    );
    let expired = Some(("reason", "expired"));
    assert!(runs.iter().all(|meters| meters.count("towpath_messages_dropped_total", expired) == 2));
}

/// The consumer gives the one message that it gets back; how often it got it.
fn returned_until_it_is_gone(bed: &Bed) -> usize {
    let mut consumer = client(bed);
    consumer.send(bed, &subscribe("1", "/queue/a").with("ack", "client"));
    let mut deliveries = 0;
    while let Some(message) = consumer.frames(bed).pop() {
        deliveries += 1;
        consumer.send(bed, &Frame::new(Command::Nack).with("id", message.headers.get("ack").expect("it has one")));
    }
    deliveries
}

#[test]
fn max_deliveries() {
    let runs = both(
        |queue| queue.max_deliveries = 3,
        |bed| {
            fill(&bed, "/queue/a", 0..1);
            assert_eq!(returned_until_it_is_gone(&bed), 3);
        },
    );
    let limit = Some(("reason", "delivery-limit"));
    assert!(runs.iter().all(|meters| meters.count("towpath_messages_dropped_total", limit) == 1));
}

#[test]
fn dead_letter() {
    let runs = both(
        |queue| (queue.max_deliveries, queue.dead_letter) = (2, Some("/topic/dead".to_owned())),
        |bed| {
            let mut undertaker = client(&bed);
            undertaker.subscribe(&bed, "1", "/topic/dead");
            fill(&bed, "/queue/a", 0..1);
            assert_eq!(returned_until_it_is_gone(&bed), 2);
            let letters = undertaker.frames(&bed);
            assert_eq!(bodies(&letters), ["0"]);
            assert_eq!(letters[0].headers.get("x-dead-letter-from"), Some("/queue/a"));
        },
    );
    for meters in runs {
        assert_eq!(meters.count("towpath_dead_letters_total", Some(("reason", "delivery-limit"))), 1);
        assert_eq!(meters.count("towpath_messages_dropped_total", None), 0);
    }
}

#[test]
fn queues_messages() {
    let ((), meters) = record(|| {
        let bed =
            Bed::new(&configured(|config| (config.broker.queue.messages, config.broker.queues_messages) = (4, 4)));
        fill(&bed, "/queue/a", 0..2);
        fill(&bed, "/queue/b", 0..2);
        assert_refused(&bed, &mut client(&bed), &send("/queue/b", "x"), "queues_messages");
        assert_refused(&bed, &mut client(&bed), &send("/queue/new", "x"), "queues_messages");
        assert_eq!(bed.gateway.broker().queues_and_users().0, 2, "the queue that was made for it is gone again");
        let mut consumer = client(&bed);
        consumer.subscribe(&bed, "1", "/queue/a");
        assert_eq!(consumer.frames(&bed).len(), 2);
        fill(&bed, "/queue/b", 0..2);
        bed.gateway.handle_timeout(bed.now);
    });
    assert_eq!(meters.limit("queues_messages"), 2);
    assert_eq!(meters.gauge("towpath_queued_messages"), 4.0);
}

#[test]
fn queues_bytes() {
    let ((), meters) = record(|| {
        let bed = Bed::new(&configured(|config| {
            config.broker.queue.bytes = 2000;
            config.broker.queues_bytes = 2000;
        }));
        let large = "x".repeat(800);
        assert_eq!(client(&bed).send(&bed, &send("/queue/a", &large)), Flow::Continue);
        assert_eq!(client(&bed).send(&bed, &send("/queue/b", &large)), Flow::Continue);
        assert_refused(&bed, &mut client(&bed), &send("/queue/c", &large), "queues_bytes");
        fill(&bed, "/queue/c", 0..1);
    });
    assert_eq!(meters.limit("queues_bytes"), 1);
}

// ---- what topics hold for one subscription ----

/// Reads but never acknowledges; others are undisturbed.
fn unacknowledged(change: impl FnOnce(&mut config::Broker), body: &str, fit: usize) -> Meters {
    let config = configured(|config| change(&mut config.broker));
    let ((), meters) = record(|| {
        let mut bed = Bed::new(&config);
        let (mut lazy, mut other) = (client(&bed), client(&bed));
        lazy.send(&bed, &subscribe("1", "/topic/a").with("ack", "client"));
        other.subscribe(&bed, "1", "/topic/a");
        let publisher = client(&bed);
        let mut read = 0;
        for _ in 0..fit + 5 {
            publisher.send(&bed, &send("/topic/a", body));
            read += bodies(&lazy.frames(&bed)).len();
            assert_eq!(other.frames(&bed).len(), 1);
            // Publishers of more than half of it are held up.
            while let Flow::Pause(length) = bed.gateway.resume(&publisher.reader.session, bed.now) {
                bed.now += length;
            }
        }
        assert_eq!(read, fit);
        assert!(!lazy.reader.session.is_open() && publisher.reader.session.is_open());
        bed.idle(TICK);
    });
    assert_eq!(meters.count("towpath_sessions_closed_total", Some(("reason", "slow-consumer"))), 1);
    meters
}

#[test]
fn max_unacked() {
    let meters = unacknowledged(|broker| broker.max_unacked = 10, "x", 10);
    assert_eq!((meters.limit("max_unacked"), meters.limit("max_unacked_bytes")), (1, 0));
}

#[test]
fn max_unacked_bytes() {
    let meters = unacknowledged(|broker| broker.max_unacked_bytes = 10_000, &"x".repeat(900), 10);
    assert_eq!((meters.limit("max_unacked"), meters.limit("max_unacked_bytes")), (0, 1));
}

// ---- history ----

fn history(count: usize, change: impl FnOnce(&mut Config)) -> Bed {
    Bed::new(&configured(|config| {
        let history = Some(History { count, age: seconds(60) });
        let pattern = "/topic/kept.*".to_owned();
        config.destinations.push(Destination { pattern, history, ..Destination::default() });
        change(config);
    }))
}

fn last(bed: &Bed, destination: &str) -> Vec<String> {
    let mut client = client(bed);
    client.send(bed, &subscribe("1", destination).with("x-history", "last=100"));
    bodies(&client.frames(bed))
}

#[test]
fn history_count_and_age() {
    let mut bed = history(3, |_| {});
    fill(&bed, "/topic/kept.a", 0..5);
    assert_eq!(last(&bed, "/topic/kept.a"), ["2", "3", "4"]);
    bed.idle(seconds(30));
    fill(&bed, "/topic/kept.a", 5..6);
    bed.idle(seconds(31));
    assert_eq!(last(&bed, "/topic/kept.a"), ["5"]);
}

#[test]
fn history_bytes() {
    let ((), meters) = record(|| {
        let bed = history(100, |config| config.broker.history_bytes = 1000);
        let publisher = client(&bed);
        for letter in ["a", "b", "c", "d"] {
            publisher.send(&bed, &send("/topic/kept.a", &letter.repeat(300)));
        }
        assert_eq!(last(&bed, "/topic/kept.a"), ["c", "d"].map(|letter| letter.repeat(300)), "the oldest make room");
        // What another topic keeps is not for this one to throw away.
        publisher.send(&bed, &send("/topic/kept.b", &"x".repeat(500)));
        assert_eq!(last(&bed, "/topic/kept.b"), [""; 0]);
        assert_eq!(last(&bed, "/topic/kept.a").len(), 2);
    });
    assert_eq!(meters.limit("history_bytes"), 1);
}

// ---- users ----

fn sent_to_user(setting: SendToUsers, carrier: Carrier) -> bool {
    let bed = Bed::new(&configured(|config| config.broker.send_to_users = setting));
    let mut ann = Client::fresh(&bed, Carrier::Websocket);
    ann.send(&bed, &connect(Version::V1_2).with("login", "ann"));
    ann.frames(&bed);
    ann.subscribe(&bed, "1", "/user/queue/a");
    let mut sender = Client::connected(&bed, carrier, Version::V1_2);
    let frame = send("/user/ann/queue/a", "x");
    let arrived = match setting {
        SendToUsers::Nobody => 0,
        SendToUsers::Tcp => usize::from(carrier == Carrier::Tcp),
        SendToUsers::Anyone => 1,
    };
    if arrived == 1 {
        assert_eq!(sender.send(&bed, &frame), Flow::Continue);
    } else {
        assert_refused(&bed, &mut sender, &frame, &format!("send_to_users is {:?}", setting.name()));
    }
    assert_eq!(ann.frames(&bed).len(), arrived);
    arrived == 1
}

#[test]
fn send_to_users() {
    for carrier in [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp] {
        let allowed = SendToUsers::ALL.map(|setting| sent_to_user(setting, carrier));
        assert_eq!(allowed, [false, carrier == Carrier::Tcp, true], "{carrier:?}");
    }
}

#[test]
fn unknown_user() {
    for setting in UnknownUser::ALL {
        let ((), meters) = record(|| {
            let bed = Bed::new(&configured(|config| config.broker.unknown_user = setting));
            let mut sender = Client::connected(&bed, Carrier::Tcp, Version::V1_2);
            let frame = send("/user/nobody/queue/a", "x");
            match setting {
                UnknownUser::Error => assert_refused(&bed, &mut sender, &frame, "/user/nobody/queue/a"),
                UnknownUser::Receipt => {
                    assert_eq!(sender.send(&bed, &frame.with("receipt", "r")), Flow::Continue);
                    let receipt = sender.frames(&bed).remove(0);
                    assert_eq!(receipt.headers.get("x-undelivered"), Some("unreachable"));
                }
            }
        });
        assert_eq!(meters.count("towpath_messages_dropped_total", Some(("reason", "unreachable"))), 1, "{setting:?}");
    }
}
