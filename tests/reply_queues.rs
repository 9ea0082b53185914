//! Requests and answers over every transport and in every version: `reply-to:/temp-queue/x` in a SEND makes a queue of the
//! session's own, others see an opaque `/reply-queue/...` in its place and send their answers there.

mod bed;
mod everywhere;
mod support;
#[path = "everywhere/users.rs"]
mod users;

use std::collections::HashSet;

use bed::meters::record;
use bed::stomp::{Client, bodies};
use bed::{Bed, seconds};
use everywhere::{Stage, assert_harmless, assert_undisturbed, expect_error_and_close, play, play_with};
use support::Transport;
use support::metrics::Meter;
use support::stomp::{Event, Stomp};
use towpath::config::{Broker, Config};
use towpath::session::{Carrier, Flow};
use towpath::stomp::{Command, Frame, Version};
use users::{assert_silent, backend, send, sent, subscribe};

everywhere! {
    a_request_is_answered,
    requests_of_one_name_share_a_queue_and_sessions_do_not,
    names_cannot_be_guessed,
    it_works_within_transactions,
    temp_queues_are_for_reply_to_only,
    reply_queues_are_for_sending_only,
    a_name_is_taken_once,
    an_answer_to_nobody_harms_nobody,
    they_count_as_subscriptions,
    too_many_are_refused,
    whoever_leaves_leaves_nothing_behind,
}

fn with_broker(change: impl FnOnce(&mut Broker)) -> Config {
    let mut config = Config::default();
    change(&mut config.broker);
    config
}

fn request(destination: &str, reply_to: &str) -> Frame {
    send(destination, "question").with("reply-to", reply_to)
}

/// A backend that answers what is sent to `/queue/requests`.
async fn answering(stage: &Stage) -> Stomp {
    let mut backend = backend(stage).await;
    backend.subscribed("requests", "/queue/requests").await;
    backend
}

/// The reply queue of the next request that the backend gets.
async fn requested(backend: &mut Stomp) -> String {
    let message = backend.expect(Command::Message).await;
    let reply_to: Vec<_> = message.headers.iter().filter(|(name, _)| *name == "reply-to").collect();
    assert_eq!(reply_to.len(), 1, "{message:?}");
    reply_to[0].1.to_owned()
}

fn a_request_is_answered(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = answering(&stage).await;
        backend.subscribed("topic", "/topic/requests").await;
        let mut asker = stage.connected().await;
        for destination in ["/queue/requests", "/topic/requests"] {
            let request = request(destination, "/temp-queue/x").with("reply-to", "/temp-queue/forged");
            asker.confirmed(request.with("correlation-id", "7")).await;
            let reply_to = requested(&mut backend).await;
            assert!(reply_to.starts_with("/reply-queue/") && reply_to.len() > "/reply-queue/".len(), "{reply_to}");
            assert_harmless("reply-to", &reply_to);
            assert!(!reply_to.contains("temp-queue") && !reply_to.contains('x'));
            let receipt = sent(&mut backend, send(&reply_to, "answer").with("correlation-id", "7")).await;
            assert_eq!(receipt.headers.get("x-undelivered"), None);
            let answer = asker.expect(Command::Message).await;
            let header = |name| answer.headers.get(name);
            assert_eq!((header("subscription"), &answer.body[..]), (Some("/temp-queue/x"), &b"answer"[..]));
            assert_eq!((header("correlation-id"), header("ack")), (Some("7"), None));
        }
    });
}

fn requests_of_one_name_share_a_queue_and_sessions_do_not(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = answering(&stage).await;
        let mut askers = [stage.connected().await, stage.connected().await];
        let requests = [(0, "x"), (0, "x"), (0, "y"), (1, "x")];
        let mut seen = vec![];
        for (asker, name) in requests {
            askers[asker].confirmed(request("/queue/requests", &format!("/temp-queue/{name}"))).await;
            seen.push(requested(&mut backend).await);
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 3);
        for (number, reply_to) in seen.iter().enumerate() {
            sent(&mut backend, send(reply_to, &number.to_string())).await;
        }
        for (body, (asker, name)) in requests.into_iter().enumerate() {
            let answer = askers[asker].expect(Command::Message).await;
            assert_eq!(answer.headers.get("subscription"), Some(&*format!("/temp-queue/{name}")));
            assert_eq!(&answer.body[..], body.to_string().as_bytes());
        }
    });
}

/// 128 random bits: no two alike, and no bit that is always the same.
fn names_cannot_be_guessed(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = answering(&stage).await;
        let mut asker = stage.connected().await;
        let (mut ones, mut zeros) = (0u128, 0u128);
        let mut names = HashSet::new();
        for number in 0..64 {
            asker.send(&request("/queue/requests", &format!("/temp-queue/{number}"))).await;
            let name = requested(&mut backend).await;
            let token = name.strip_prefix("/reply-queue/").unwrap();
            assert_eq!(token.len(), 32);
            let bits = u128::from_str_radix(token, 16).unwrap();
            (ones, zeros) = (ones | bits, zeros | !bits);
            names.insert(name);
        }
        assert_eq!((names.len(), ones, zeros), (64, u128::MAX, u128::MAX));
    });
}

fn it_works_within_transactions(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = answering(&stage).await;
        let mut asker = stage.connected().await;
        let of = |command, id: &str| Frame::new(command).with("transaction", id.to_owned());
        asker.confirmed(of(Command::Begin, "t")).await;
        asker.confirmed(request("/queue/requests", "/temp-queue/x").with("transaction", "t")).await;
        asker.confirmed(of(Command::Commit, "t")).await;
        let reply_to = requested(&mut backend).await;
        backend.confirmed(of(Command::Begin, "a")).await;
        for body in ["1", "2"] {
            backend.confirmed(send(&reply_to, body).with("transaction", "a")).await;
        }
        backend.confirmed(of(Command::Commit, "a")).await;
        for body in [b"1", b"2"] {
            assert_eq!(&asker.expect(Command::Message).await.body[..], body);
        }
        // The asker goes while the answer waits in a transaction.
        backend.confirmed(of(Command::Begin, "b")).await;
        backend.confirmed(send(&reply_to, "too late").with("transaction", "b")).await;
        asker.send(&Frame::new(Command::Disconnect)).await;
        while !matches!(asker.event().await, Event::Close(..)) {}
        let receipt = sent(&mut backend, of(Command::Commit, "b")).await;
        assert_eq!(receipt.headers.get("x-undelivered"), Some("unreachable"));
    });
}

fn temp_queues_are_for_reply_to_only(transport: Transport) {
    play(transport, async |stage| {
        let mut bystander = stage.bystander().await;
        let unsubscribe = |id| Frame::new(Command::Unsubscribe).with("id", id).with("destination", "/temp-queue/x");
        for (frame, message) in [
            (subscribe("1", "/temp-queue/x"), "bad destination"),
            (subscribe("1", "/temp-queue/"), "bad destination"),
            (send("/temp-queue/x", ""), "bad destination"),
            (unsubscribe("/temp-queue/x"), "cannot unsubscribe"),
        ] {
            let mut client = stage.connected().await;
            client.confirmed(request("/topic/nobody", "/temp-queue/x")).await;
            client.send(&frame.with("receipt", "7")).await;
            let error = expect_error_and_close(&mut client).await;
            assert_eq!(error.headers.get("message"), Some(message));
            assert_eq!(error.headers.get("receipt-id"), Some("7"));
        }
        assert_undisturbed(&mut bystander).await;
    });
}

fn reply_queues_are_for_sending_only(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = answering(&stage).await;
        let mut asker = stage.connected().await;
        asker.subscribed("fence", "/topic/fence").await;
        asker.confirmed(request("/queue/requests", "/temp-queue/x")).await;
        let reply_to = requested(&mut backend).await;
        let token = reply_to.strip_prefix("/reply-queue/").unwrap();
        for refused in [&*reply_to, "/reply-queue/", "/reply-queue/*", "/reply-queue/**"] {
            let mut thief = stage.connected().await;
            thief.send(&subscribe("1", refused)).await;
            let error = expect_error_and_close(&mut thief).await;
            assert_eq!(error.headers.get("message"), Some("bad destination"), "{refused}");
        }
        let mut thief = stage.connected().await;
        for (number, name) in ["/queue", "/topic", "/user/queue", "/queue/reply-queue"].iter().enumerate() {
            thief.subscribed(&number.to_string(), &format!("{name}/{token}")).await;
        }
        thief.confirmed(request("/topic/nobody", &format!("/temp-queue/{token}"))).await;
        thief.subscribed("all", "/topic/**").await;
        sent(&mut backend, send(&reply_to, "secret")).await;
        assert_eq!(&asker.expect(Command::Message).await.body[..], b"secret");
        assert_silent(&mut thief, &mut backend).await;
        // What is no temporary queue goes through as it is; the receiver may know what it means.
        for reply_to in ["/queue/mine", "/reply-queue/0", "/temp-queue/", "jms.queue.x"] {
            asker.send(&request("/queue/requests", reply_to)).await;
            assert_eq!(requested(&mut backend).await, reply_to);
        }
    });
}

/// The name is that of a subscription, whichever of the two came first.
fn a_name_is_taken_once(transport: Transport) {
    play(transport, async |stage| {
        let own = subscribe("/temp-queue/x", "/topic/a");
        let temporary = request("/topic/nobody", "/temp-queue/x");
        for (first, second) in [(own.clone(), temporary.clone()), (temporary, own)] {
            let mut client = stage.connected().await;
            client.confirmed(first).await;
            client.send(&second.with("receipt", "7")).await;
            let error = expect_error_and_close(&mut client).await;
            assert_eq!(error.headers.get("receipt-id"), Some("7"));
            assert!(String::from_utf8_lossy(&error.body).contains("unique"), "{error:?}");
        }
    });
}

fn an_answer_to_nobody_harms_nobody(transport: Transport) {
    let meter = Meter::install();
    // Not even where messages to unknown users are errors.
    let config = with_broker(|broker| broker.unknown_user = towpath::config::UnknownUser::Error);
    play_with(transport, config, async |stage| {
        let dropped = || meter.counter("towpath_messages_dropped_total", &[("reason", "unreachable")]);
        let before = dropped();
        let mut backend = answering(&stage).await;
        let mut asker = stage.connected().await;
        asker.confirmed(request("/queue/requests", "/temp-queue/x")).await;
        let reply_to = requested(&mut backend).await;
        asker.send(&Frame::new(Command::Disconnect)).await;
        while !matches!(asker.event().await, Event::Close(..)) {}
        for nobody in [&*reply_to, "/reply-queue/0123", "/reply-queue/"] {
            let receipt = sent(&mut backend, send(nobody, "answer")).await;
            assert_eq!(receipt.headers.get("x-undelivered"), Some("unreachable"));
            backend.send(&send(nobody, "answer")).await;
        }
        backend.confirmed(send("/topic/x", "it goes on")).await;
        assert_eq!(dropped() - before, 6);
        // The name is not given a second time.
        let mut asker = stage.connected().await;
        asker.confirmed(request("/queue/requests", "/temp-queue/x")).await;
        assert_ne!(requested(&mut backend).await, reply_to);
    });
}

fn they_count_as_subscriptions(transport: Transport) {
    let meter = Meter::install();
    let mut config = Config::default();
    config.stomp.max_subscriptions = 3;
    play_with(transport, config, async |stage| {
        let before = meter.limit_reached("max_subscriptions");
        let mut client = stage.connected().await;
        client.subscribed("1", "/topic/a").await;
        for name in ["x", "y", "x"] {
            client.confirmed(request("/topic/nobody", &format!("/temp-queue/{name}"))).await;
        }
        client.send(&request("/topic/nobody", "/temp-queue/z").with("receipt", "7")).await;
        let error = expect_error_and_close(&mut client).await;
        assert_eq!(error.headers.get("message"), Some("too many subscriptions"));
        assert_eq!(error.headers.get("receipt-id"), Some("7"));
        assert_eq!(meter.limit_reached("max_subscriptions") - before, 1);
    });
}

fn too_many_are_refused(transport: Transport) {
    let meter = Meter::install();
    play_with(transport, with_broker(|broker| broker.max_destinations = 2), async |stage| {
        let before = meter.limit_reached("max_destinations");
        let (mut one, mut two) = (stage.connected().await, stage.connected().await);
        one.confirmed(request("/topic/nobody", "/temp-queue/x")).await;
        two.confirmed(request("/topic/nobody", "/temp-queue/x")).await;
        two.send(&request("/topic/nobody", "/temp-queue/y").with("receipt", "7")).await;
        let error = expect_error_and_close(&mut two).await;
        assert_eq!(error.headers.get("message"), Some("broker is full"));
        assert_eq!(meter.limit_reached("max_destinations") - before, 1);
        one.confirmed(request("/topic/nobody", "/temp-queue/y")).await;
    });
}

fn whoever_leaves_leaves_nothing_behind(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = answering(&stage).await;
        let broker = stage.gateway.core().broker();
        let mut asker = stage.connected().await;
        asker.confirmed(request("/queue/requests", "/temp-queue/x")).await;
        let reply_to = requested(&mut backend).await;
        asker.confirmed(request("/queue/requests", "/temp-queue/y")).await;
        requested(&mut backend).await;
        assert_eq!(broker.queues_and_users(), (3, 0));
        assert!(broker.queue_len(&reply_to).is_some());
        for _ in 0..3 {
            sent(&mut backend, send(&reply_to, "never read")).await;
        }
        asker.send(&Frame::new(Command::Disconnect)).await;
        while !matches!(asker.event().await, Event::Close(..)) {}
        assert_eq!(broker.queues_and_users(), (1, 0));
        assert_eq!(broker.queue_len(&reply_to), None);
        backend.send(&Frame::new(Command::Disconnect)).await;
        while !matches!(backend.event().await, Event::Close(..)) {}
        assert!(broker.is_empty());
        assert_eq!(broker.live_bytes(), 0);
    });
}

// ---- askers who do not read ----

/// A bed with a backend, and an asker whose reply queue has that name.
fn asked(config: &Config) -> (Bed, Client, Client, String) {
    let bed = Bed::new(config);
    let mut backend = Client::connected(&bed, Carrier::Tcp, Version::V1_2);
    backend.subscribe(&bed, "requests", "/queue/requests");
    let asker = Client::connected(&bed, Carrier::Websocket, Version::V1_2);
    asker.send(&bed, &request("/queue/requests", "/temp-queue/x"));
    let request = backend.frames(&bed).remove(0);
    let reply_to = request.headers.get("reply-to").unwrap().to_owned();
    (bed, backend, asker, reply_to)
}

/// The backend sends so many answers, numbered from 0, and is told of each that it was taken or could not be.
fn flooded(bed: &Bed, backend: &mut Client, reply_to: &str, answers: usize) -> usize {
    let mut undelivered = 0;
    for number in 0..answers {
        let flow = backend.send(bed, &send(reply_to, &number.to_string()).with("receipt", "r"));
        assert_eq!(flow, Flow::Continue, "answer {number}");
        let receipt = backend.frames(bed).remove(0);
        assert_eq!(receipt.command, Command::Receipt, "{receipt:?}");
        undelivered += usize::from(receipt.headers.get("x-undelivered").is_some());
    }
    undelivered
}

#[test]
fn a_full_reply_queue_drops_what_waits_longest() {
    let config = with_broker(|broker| (broker.max_unacked, broker.auto_prefetch) = (10, 4));
    let (_, meters) = record(|| {
        let (bed, mut backend, mut asker, reply_to) = asked(&config);
        assert_eq!(flooded(&bed, &mut backend, &reply_to, 50), 0);
        assert_eq!(bed.gateway.broker().queue_len(&reply_to).unwrap().0, 10);
        // The first four are on their way.
        assert_eq!(bodies(&asker.frames(&bed)), ["0", "1", "2", "3", "44", "45", "46", "47", "48", "49"]);
        assert_eq!(flooded(&bed, &mut backend, &reply_to, 1), 0);
        assert_eq!(bodies(&asker.frames(&bed)), ["0"]);
    });
    assert_eq!(meters.count("towpath_messages_dropped_total", Some(("reason", "queue-full"))), 40);
}

/// Then the oldest cannot be dropped, and the newest is; the one who answers does not suffer for it.
#[test]
fn a_reply_queue_whose_messages_are_all_on_their_way_takes_no_more() {
    let config = with_broker(|broker| (broker.max_unacked, broker.auto_prefetch) = (10, 64));
    let (_, meters) = record(|| {
        let (bed, mut backend, mut asker, reply_to) = asked(&config);
        assert_eq!(flooded(&bed, &mut backend, &reply_to, 50), 40);
        assert_eq!(bodies(&asker.frames(&bed)), (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(flooded(&bed, &mut backend, &reply_to, 1), 0);
        assert_eq!(bodies(&asker.frames(&bed)), ["0"]);
    });
    assert_eq!(meters.limit("max_unacked"), 40);
    assert_eq!(meters.count("towpath_messages_dropped_total", Some(("reason", "unreachable"))), 40);
}

#[test]
fn large_answers_fill_a_reply_queue_by_their_bytes() {
    let (bed, mut backend, mut asker, reply_to) = asked(&with_broker(|broker| broker.max_unacked_bytes = 64 * 1024));
    let large = "x".repeat(10_000);
    for _ in 0..20 {
        assert_eq!(backend.send(&bed, &send(&reply_to, &large)), Flow::Continue);
        assert_eq!(backend.frames(&bed), []);
    }
    assert_eq!(asker.frames(&bed).len(), 6);
}

/// An answer is for the asker's eyes, and the queue's name is a secret. Nor does it age: its asker is there.
#[test]
fn what_a_reply_queue_drops_goes_nowhere_else() {
    let (mut bed, mut backend, mut asker, reply_to) = asked(&with_broker(|broker| {
        (broker.max_unacked, broker.auto_prefetch) = (5, 1);
        broker.queue.dead_letter = Some("/topic/dead".to_owned());
        broker.queue.ttl = seconds(1);
    }));
    let mut curious = Client::connected(&bed, Carrier::Websocket, Version::V1_2);
    curious.subscribe(&bed, "dead", "/topic/dead");
    assert_eq!(flooded(&bed, &mut backend, &reply_to, 20), 0);
    bed.idle(seconds(3));
    assert_eq!(curious.frames(&bed), []);
    assert_eq!(bodies(&asker.frames(&bed)), ["0", "16", "17", "18", "19"]);
}
