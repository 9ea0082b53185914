//! The seam between a topic's history and its live messages, under load: publishers at full speed, subscribers who join all
//! the time. Whoever asked for the last N gets offsets one after the other, none missing and none twice. Nothing here
//! looks at the clock; how fast it goes is the machine's affair.

mod bed;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bed::{Bed, Messages};
use bytes::Bytes;
use support::stomp::Stomp;
use support::{Client, Gateway, Transport, within};
use towpath::broker::{Membership, Selector, Subscribing};
use towpath::config::{Config, Destination, History, Service};
use towpath::session::{Drained, ReceiverId, Session, Subscription, Traits, Wire};
use towpath::stomp::{AckMode, Command, Frame, Headers, Version};

const TOPIC: &str = "/topic/log";

fn keeping(count: usize, mut config: Config) -> Config {
    let history = Some(History::new(count));
    config.destinations = vec![Destination { pattern: TOPIC.to_owned(), history, ..Destination::default() }];
    config
}

/// Asks for the last messages of the topic.
fn join(bed: &Bed, session: &Arc<Session>, past: usize, ack: AckMode, selector: Option<&str>) -> Membership {
    let traits = Traits { number: 1, acknowledged: ack != AckMode::Auto, offsets: true };
    let subscription = Subscription::with_traits(Arc::clone(session), Version::V1_2, Some("1"), traits);
    let selector = selector.map(|text| Selector::parse(text).expect("it is one"));
    let wishes = Subscribing::plain(TOPIC, &subscription);
    let asked = Subscribing { ack, selector, past: Some(past), prefetch: Some(1_000_000), ..wishes };
    bed.gateway.broker().subscribe(asked, bed.now).expect("there is room")
}

/// Takes what waits, once: there may always be more, since nobody waits for this. Gives the offsets of it.
fn offsets(session: &Session, receiver: ReceiverId, now: Instant) -> Vec<u64> {
    let mut out = Messages::default();
    let mut cx = Context::from_waker(Waker::noop());
    match session.poll_drain(&mut cx, receiver, Wire::Raw, 100_000, now, &mut out) {
        Poll::Ready(Drained::Frames | Drained::All) | Poll::Pending => {}
        Poll::Ready(other) => panic!("{other:?}"),
    }
    let offset = |(message, _): (Bytes, bool)| {
        let text = std::str::from_utf8(&message).unwrap();
        let offset = text.split("\nx-offset:").nth(1).expect("it asked for offsets").split('\n').next().unwrap();
        offset.parse().unwrap()
    };
    out.0.into_iter().map(offset).collect()
}

fn assert_seamless(offsets: &[u64], step: u64, what: &str) {
    for pair in offsets.windows(2) {
        assert_eq!(pair[1], pair[0] + step, "{what}: a gap or a duplicate after {} of {}", pair[0], offsets.len());
    }
}

/// Threads publish as fast as they can while others join, each time in another way, until so many have joined.
fn storm(publishers: usize, joiners: usize, joins: usize, ack: AckMode, selector: Option<&'static str>) {
    const PAST: usize = 20;
    let mut config = bed::config(Service::Stomp, |endpoint| {
        (endpoint.outbox_messages, endpoint.outbox_bytes) = (10_000_000, 1 << 40);
    });
    config.broker.max_unacked = 10_000_000;
    config.broker.max_unacked_bytes = 1 << 40;
    config.broker.max_prefetch = 1_000_000;
    let bed = Bed::new(&keeping(100, config));
    let step = if selector.is_some() { 2 } else { 1 };
    let over = AtomicBool::new(false);
    let joined = AtomicUsize::new(0);
    let published = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..publishers {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // Both kinds alternate under the topic's lock only if there is one publisher.
                    let number = published.fetch_add(1, Ordering::Relaxed);
                    let headers: Headers =
                        [("parity", if number.is_multiple_of(2) { "even" } else { "odd" })].into_iter().collect();
                    bed.gateway
                        .broker()
                        .send(TOPIC, headers, Bytes::from_static(b"x"), bed.now)
                        .expect("there is room");
                }
            });
        }
        let joining: Vec<_> = (0..joiners)
            .map(|_| {
                scope.spawn(|| {
                    while joined.fetch_add(1, Ordering::Relaxed) < joins {
                        let reader = bed.raw_socket();
                        let membership = join(&bed, &reader.session, PAST, ack, selector);
                        let mut seen = vec![];
                        // More than it asked for: the rest is live.
                        while seen.len() < PAST + 20 {
                            seen.extend(offsets(&reader.session, reader.id, bed.now));
                            thread::yield_now();
                        }
                        assert_seamless(&seen, step, &format!("{ack:?}, {selector:?}"));
                        bed.gateway.broker().unsubscribe(&membership, bed.now);
                        bed.hang_up(&reader, towpath::session::CloseReason::Interrupted);
                    }
                })
            })
            .collect();
        let outcome: Vec<_> = joining.into_iter().map(|joining| joining.join()).collect();
        over.store(true, Ordering::Relaxed);
        assert!(outcome.iter().all(Result::is_ok), "a joiner saw a gap or a duplicate");
    });
}

#[test]
fn there_is_no_seam_at_full_speed() {
    storm(3, 3, 150, AckMode::Auto, None);
}

#[test]
fn there_is_no_seam_where_messages_are_acknowledged() {
    storm(2, 2, 60, AckMode::ClientIndividual, None);
}

/// One publisher sends the two kinds in turn, so every second message is wanted.
#[test]
fn there_is_no_seam_behind_a_selector() {
    storm(1, 2, 60, AckMode::Auto, Some("parity = 'even'"));
}

// ---- through STOMP ----

/// A publisher on the port for TCP sends about a thousand messages a second while clients of that transport join, leave and
/// join again.
fn through(transport: Transport) {
    const BURST: usize = 10;
    const ROUNDS: usize = 20;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("a runtime").block_on(async {
        let mut config = keeping(100, Config::default());
        config.tcp.listen = Some("127.0.0.1:0".parse().unwrap());
        let gateway = Gateway::start(config).await;
        let publisher = Client::open(&gateway, Transport::Tcp, "/stomp", "").await;
        let mut publisher = Stomp::connect(publisher, Version::V1_2).await;
        let publishing = tokio::spawn(async move {
            for burst in 0usize.. {
                let send = Frame::new(Command::Send).with("destination", TOPIC).with_body("x".repeat(burst % 50));
                publisher.client.send_binary(&send.encode(Version::V1_2).repeat(BURST)).await;
                tokio::time::sleep(Duration::from_millis(BURST as u64)).await;
            }
        });
        let mut clients = tokio::task::JoinSet::new();
        for number in 0..24 {
            let client = Client::open(&gateway, transport, "/stomp", &format!("s{number}")).await;
            clients.spawn(async move {
                let mut client = Stomp::connect(client, Version::V1_2).await;
                for round in 0..ROUNDS {
                    let past = [0, 1, 7, 100][(number + round) % 4];
                    let subscribe = Frame::new(Command::Subscribe).with("id", "1").with("destination", TOPIC);
                    client.send(&subscribe.with("x-history", format!("last={past}"))).await;
                    let mut offsets: Vec<u64> = vec![];
                    while offsets.len() < past + 30 {
                        let message = client.expect(Command::Message).await;
                        offsets.push(message.headers.get("x-offset").unwrap().parse().unwrap());
                    }
                    assert_seamless(&offsets, 1, &format!("client {number}, round {round}"));
                    client.send(&Frame::new(Command::Unsubscribe).with("id", "1").with("receipt", "gone")).await;
                    while client.frame().await.command == Command::Message {}
                }
            });
        }
        let all = async {
            while let Some(client) = clients.join_next().await {
                client.expect("it saw no gap and no duplicate");
            }
        };
        within(Duration::from_secs(60), "all clients to join as often as they want", all).await;
        publishing.abort();
    });
}

#[test]
fn there_is_no_seam_over_tcp() {
    through(Transport::Tcp);
}

#[test]
fn there_is_no_seam_over_a_websocket() {
    through(Transport::Websocket);
}
