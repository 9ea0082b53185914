//! A publisher that is faster than its receivers, over every transport: nobody who reads as he should is closed, nothing is lost
//! or out of order, a stuck reader harms nobody for long, and whoever is held up is not punished for it. What the
//! broker holds meanwhile is in high_water.rs.

mod bed;
mod everywhere;
mod support;

use std::time::Duration;

use bed::meters::record;
use bed::stomp::{Client, bodies, send, subscribe};
use bed::{Bed, TICK, config, millis};
use everywhere::{Stage, play, play_with};
use support::metrics::Meter;
use support::stomp::Stomp;
use support::{Transport, within};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use towpath::config::{Config, Service};
use towpath::session::{Carrier, CloseReason, Flow};
use towpath::stomp::{Command, Frame, Version};

everywhere! {
    a_burst_in_one_message_reaches_all_who_read,
    a_burst_of_messages_reaches_all_who_read,
    a_burst_in_a_transaction_reaches_all_who_read,
    a_publisher_may_read_its_own_burst,
    a_burst_of_receipts_reaches_a_client_that_reads,
    a_burst_of_messages_with_receipts_reaches_a_client_that_reads,
    who_acknowledges_as_it_reads_keeps_up_with_a_burst,
    who_is_held_up_is_not_taken_for_dead,
}

/// Many more than an outbox holds.
const BURST: usize = 1000;

fn text(frame: &Frame, version: Version) -> String {
    String::from_utf8(frame.encode(version).to_vec()).expect("the frames here are text")
}

fn sends(stage: &Stage, destination: &str, change: impl Fn(Frame, usize) -> Frame) -> Vec<String> {
    let frame = |number: usize| {
        let frame = Frame::new(Command::Send).with("destination", destination).with_body(number.to_string());
        text(&change(frame, number), stage.version)
    };
    (0..BURST).map(frame).collect()
}

/// Hands messages over all at once. A sending request is answered when they have been dealt with, and so is left to itself.
async fn hand_over(stage: &Stage, stomp: &mut Stomp, messages: &[String]) -> Option<JoinHandle<()>> {
    let messages: Vec<_> = messages.iter().map(String::as_str).collect();
    let payload = serde_json::to_string(&messages).expect("strings are JSON");
    let Some(request) = stage.transport.sending_request("/stomp", stomp.client.id(), &payload) else {
        stomp.client.send(&messages).await;
        return None;
    };
    let mut http = stage.gateway.http().await;
    Some(tokio::spawn(async move {
        let status = http.exchange(&request).await.status;
        assert!(matches!(status, 200 | 204), "{status}");
    }))
}

/// Reads that many MESSAGEs, numbered from zero.
async fn read_burst(stomp: &mut Stomp) {
    for number in 0..BURST {
        let message = stomp.expect(Command::Message).await;
        assert_eq!(String::from_utf8_lossy(&message.body), number.to_string(), "{:?}", stomp.client.transport());
    }
}

/// Readers on the stage's transport and on those that differ most from each other.
async fn readers(stage: &Stage, destination: &str) -> Vec<Stomp> {
    let mut readers = vec![];
    for transport in [stage.transport, Transport::Websocket, Transport::Xhr, Transport::Tcp] {
        let mut reader = Stomp::connect(stage.client_on(transport).await, stage.version).await;
        reader.subscribed("1", destination).await;
        readers.push(reader);
    }
    readers
}

/// All of them read at the same time.
async fn read_together(readers: &mut [Stomp]) {
    let [a, b, c, d] = readers else { panic!("there are four") };
    tokio::join!(read_burst(a), read_burst(b), read_burst(c), read_burst(d));
}

async fn answered(request: Option<JoinHandle<()>>) {
    if let Some(request) = request {
        request.await.expect("it was answered");
    }
}

fn a_burst_in_one_message_reaches_all_who_read(transport: Transport) {
    play(transport, async |stage| {
        let (mut publisher, mut readers) = (stage.connected().await, readers(&stage, "/topic/a").await);
        let all = sends(&stage, "/topic/a", |frame, _| frame).concat();
        let request = hand_over(&stage, &mut publisher, &[all]).await;
        read_together(&mut readers).await;
        answered(request).await;
        publisher.confirmed(Frame::new(Command::Send).with("destination", "/topic/b")).await;
    });
}

fn a_burst_of_messages_reaches_all_who_read(transport: Transport) {
    play(transport, async |stage| {
        let (mut publisher, mut readers) = (stage.connected().await, readers(&stage, "/topic/a").await);
        let all = sends(&stage, "/topic/a", |frame, _| frame);
        let request = hand_over(&stage, &mut publisher, &all).await;
        read_together(&mut readers).await;
        answered(request).await;
        publisher.confirmed(Frame::new(Command::Send).with("destination", "/topic/b")).await;
    });
}

/// However many messages are sent at once by a COMMIT, they are no reason to close anybody.
fn a_burst_in_a_transaction_reaches_all_who_read(transport: Transport) {
    play(transport, async |stage| {
        let (mut publisher, mut readers) = (stage.connected().await, readers(&stage, "/topic/a").await);
        let transaction = |command| Frame::new(command).with("transaction", "t");
        let mut all = sends(&stage, "/topic/a", |frame, _| frame.with("transaction", "t"));
        all.insert(0, text(&transaction(Command::Begin), stage.version));
        all.push(text(&transaction(Command::Commit).with("receipt", "committed"), stage.version));
        all.push(text(
            &Frame::new(Command::Send).with("destination", "/topic/b").with("receipt", "next"),
            stage.version,
        ));
        let request = hand_over(&stage, &mut publisher, &[all.concat()]).await;
        read_together(&mut readers).await;
        for receipt in ["committed", "next"] {
            let frame = publisher.expect(Command::Receipt).await;
            assert_eq!(frame.headers.get("receipt-id"), Some(receipt));
        }
        answered(request).await;
    });
}

fn a_publisher_may_read_its_own_burst(transport: Transport) {
    play(transport, async |stage| {
        for in_one in [true, false] {
            let mut publisher = stage.connected().await;
            publisher.subscribed("1", "/topic/a").await;
            let mut all = sends(&stage, "/topic/a", |frame, _| frame);
            if in_one {
                all = vec![all.concat()];
            }
            let request = hand_over(&stage, &mut publisher, &all).await;
            read_burst(&mut publisher).await;
            answered(request).await;
            publisher.confirmed(Frame::new(Command::Unsubscribe).with("id", "1")).await;
        }
    });
}

async fn receipts_arrive(stage: &Stage, in_one: bool) {
    let mut client = stage.connected().await;
    let mut all = sends(stage, "/topic/nobody", |frame, number| frame.with("receipt", number.to_string()));
    if in_one {
        all = vec![all.concat()];
    }
    let request = hand_over(stage, &mut client, &all).await;
    for number in 0..BURST {
        let receipt = client.expect(Command::Receipt).await;
        assert_eq!(receipt.headers.get("receipt-id"), Some(&*number.to_string()));
    }
    answered(request).await;
    client.confirmed(Frame::new(Command::Send).with("destination", "/topic/b")).await;
}

fn a_burst_of_receipts_reaches_a_client_that_reads(transport: Transport) {
    play(transport, async |stage| receipts_arrive(&stage, true).await);
}

fn a_burst_of_messages_with_receipts_reaches_a_client_that_reads(transport: Transport) {
    play(transport, async |stage| receipts_arrive(&stage, false).await);
}

/// What a topic's subscription may hold unacknowledged is a limit like that of the outbox.
fn who_acknowledges_as_it_reads_keeps_up_with_a_burst(transport: Transport) {
    let mut config = Config::default();
    config.broker.max_unacked = 300;
    play_with(transport, config, async |stage| {
        let (mut publisher, mut reader) = (stage.connected().await, stage.connected().await);
        let subscribe = Frame::new(Command::Subscribe).with("id", "1").with("destination", "/topic/a");
        reader.confirmed(subscribe.with("ack", "client")).await;
        let all = sends(&stage, "/topic/a", |frame, _| frame).concat();
        let request = hand_over(&stage, &mut publisher, &[all]).await;
        for number in 0..BURST {
            let message = reader.expect(Command::Message).await;
            assert_eq!(String::from_utf8_lossy(&message.body), number.to_string());
            let id = message.headers.get("message-id").expect("each has one");
            let name = if stage.version == Version::V1_2 { "id" } else { "message-id" };
            if number % 20 == 19 {
                reader.send(&Frame::new(Command::Ack).with("subscription", "1").with(name, id)).await;
            }
        }
        answered(request).await;
    });
}

/// At 10 ms a message the burst takes longer than a silent client lives. This one beats as it promised; but while it is held up,
/// nobody listens. Pings and their pongs are no other.
fn who_is_held_up_is_not_taken_for_dead(transport: Transport) {
    let mut config = Config::default();
    config.broker.queue.bytes = 10_000;
    config.broker.queues_bytes = 20_000;
    config.broker.history_bytes = 1;
    config.broker.high_water = 24_000;
    config.endpoints[0].heartbeat = Duration::from_secs(2);
    config.endpoints[0].pong_timeout = Duration::from_secs(1);
    config.stomp.heart_beat_receive = Duration::from_secs(1);
    play_with(transport, config, async |stage| {
        if stage.version == Version::V1_0 {
            return;
        }
        let filler = stage.gateway.core().broker();
        let body = vec![b'x'; 9_500];
        for queue in ["/queue/full.a", "/queue/full.b"] {
            let sent = filler.send(queue, Default::default(), body.clone().into(), std::time::Instant::now());
            sent.expect("the queue has room");
        }
        let (mut client, _) = Stomp::connect_beating(stage.client().await, stage.version, "1000,0").await;
        let mut all = sends(&stage, "/topic/nobody", |frame, _| frame);
        all.push(text(
            &Frame::new(Command::Send).with("destination", "/topic/b").with("receipt", "last"),
            stage.version,
        ));
        let begin = Instant::now();
        let request = hand_over(&stage, &mut client, &[all.concat()]).await;
        let receipt = loop {
            tokio::select! {
                frame = client.frame() => break frame,
                () = sleep(Duration::from_secs(1)) => drop(hand_over(&stage, &mut client, &["\n".to_owned()]).await),
            }
        };
        assert_eq!(
            (receipt.command, receipt.headers.get("receipt-id")),
            (Command::Receipt, Some("last")),
            "{receipt:?}"
        );
        assert!(begin.elapsed() > Duration::from_secs(9), "it was held up");
        answered(request).await;
    });
}

// ---- one slow reader ----

/// Reads the rest, and the close.
fn assert_cut_off(bed: &Bed, slow: &mut Client, read: usize) {
    let expected: Vec<_> = (0..read).map(|number| number.to_string()).collect();
    assert_eq!(bodies(&slow.frames_to_the_end(bed)), expected);
}

#[test]
fn one_slow_reader_among_a_thousand_disturbs_nobody() {
    let ((), meters) = record(|| {
        let mut bed = Bed::of(Service::Stomp);
        let carriers = [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp];
        let mut others: Vec<_> =
            (0..1000).map(|number| Client::connected(&bed, carriers[number % 4], Version::V1_2)).collect();
        let mut slow = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
        for client in others.iter().chain([&slow]) {
            client.subscribe(&bed, "1", "/topic/a");
        }
        let publisher = Client::connected(&bed, Carrier::Tcp, Version::V1_2);
        for number in 0..400 {
            let flow = publisher.send(&bed, &send("/topic/a", &number.to_string()));
            assert_eq!(flow, Flow::Continue, "{number}");
            for other in &mut others {
                assert_eq!(bodies(&other.frames(&bed)), [number.to_string()]);
            }
        }
        assert_cut_off(&bed, &mut slow, 256);
        bed.hang_up(&slow.reader, CloseReason::Peer);
        drop(slow);
        bed.idle(TICK);
        assert_eq!(bed.gateway.broker().live_bytes(), 0);
    });
    assert_eq!(meters.limit("outbox_messages"), 1);
    assert_eq!(meters.count("towpath_publisher_pauses_total", None), 0);
    assert_eq!(meters.count("towpath_sessions_closed_total", Some(("reason", "slow-consumer"))), 1);
}

/// Alone it holds its publisher up for a while, two milliseconds for each message of the second half of its outbox; then it
/// is closed and the publisher goes on.
#[test]
fn a_stuck_reader_holds_its_publisher_up_until_it_is_closed() {
    let ((), meters) = record(|| {
        let mut bed = Bed::of(Service::Stomp);
        let mut stuck = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
        stuck.subscribe(&bed, "1", "/topic/a");
        let publisher = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
        let burst: String =
            (0..400).map(|number| text(&send("/topic/a", &number.to_string()), Version::V1_2)).collect();
        let begin = bed.now;
        let mut flow = publisher.send_bytes(&bed, burst.as_bytes());
        let mut pauses = 0;
        while let Flow::Pause(length) = flow {
            assert_eq!(length, millis(2));
            pauses += 1;
            bed.now += length;
            flow = bed.gateway.resume(&publisher.reader.session, bed.now);
        }
        assert_eq!((flow, pauses), (Flow::Continue, 128));
        assert_eq!(bed.now - begin, millis(256));
        assert_cut_off(&bed, &mut stuck, 256);
        assert_eq!(publisher.send(&bed, &send("/topic/a", "x")), Flow::Continue);
    });
    assert_eq!(meters.count("towpath_publisher_pauses_total", Some(("reason", "slow-readers"))), 128);
    assert_eq!(meters.limit("outbox_messages"), 1);
}

/// Messages that may be dropped hold nobody up. Those that may not, in the same outbox, find a reader.
#[test]
fn a_burst_of_two_policies_closes_nobody_who_reads() {
    let mut config = config(Service::Stomp, |_| {});
    config.destinations = [
        ("/topic/may", towpath::config::Overflow::DropOldest),
        ("/topic/latest.*", towpath::config::Overflow::Conflate),
    ]
    .map(|(pattern, overflow)| towpath::config::Destination {
        pattern: pattern.to_owned(),
        overflow,
        ..Default::default()
    })
    .into();
    let mut bed = Bed::new(&config);
    let mut reader = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    for (id, destination) in [("1", "/topic/may"), ("2", "/topic/must"), ("3", "/topic/latest.*")] {
        reader.subscribe(&bed, id, destination);
    }
    let publisher = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    let frames = (0..500).map(|number| send("/topic/may", &number.to_string()));
    let frames = frames.chain((0..500).map(|number| send("/topic/must", &number.to_string())));
    let frames = frames.chain((0..500).map(|number| send(&format!("/topic/latest.{number}"), &number.to_string())));
    let burst: String = frames.map(|frame| text(&frame, Version::V1_2)).collect();
    let mut flow = publisher.send_bytes(&bed, burst.as_bytes());
    let mut read = vec![];
    while let Flow::Pause(length) = flow {
        read.extend(reader.frames(&bed));
        bed.now += length;
        flow = bed.gateway.resume(&publisher.reader.session, bed.now);
    }
    read.extend(reader.frames(&bed));
    assert!(reader.reader.session.is_open());
    for (id, all) in [("2", true), ("3", true), ("1", false)] {
        let own = read.iter().filter(|frame| frame.headers.get("subscription") == Some(id)).cloned();
        let numbers: Vec<usize> =
            bodies(&own.collect::<Vec<_>>()).iter().map(|body| body.parse().expect("a number")).collect();
        assert!(numbers.is_sorted() && (!all || numbers.len() == 500), "{id}: {numbers:?}");
    }
}

/// A COMMIT happens as a whole, even if its client goes while it is held up by it.
#[test]
fn a_commit_is_completed_although_its_client_goes() {
    let bed = Bed::of(Service::Stomp);
    let mut reader = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    reader.subscribe(&bed, "1", "/topic/a");
    let mut publisher = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    publisher.send(&bed, &subscribe("1", "/queue/a").with("ack", "client"));
    publisher.send(&bed, &send("/queue/a", "done"));
    let work = publisher.frames(&bed).remove(0);
    publisher.send(&bed, &Frame::new(Command::Begin).with("transaction", "t"));
    for number in 0..200 {
        publisher.send(&bed, &send("/topic/a", &number.to_string()).with("transaction", "t"));
    }
    let ack = Frame::new(Command::Ack).with("id", work.headers.get("ack").expect("it has one"));
    publisher.send(&bed, &ack.with("transaction", "t"));
    publisher.send(&bed, &send("/queue/b", "last").with("transaction", "t"));
    let commit = Frame::new(Command::Commit).with("transaction", "t");
    assert_eq!(publisher.send(&bed, &commit), Flow::Pause(millis(2)));
    assert_eq!(reader.reader.session.backlog().1, 129);
    bed.hang_up(&publisher.reader, CloseReason::Peer);
    assert_eq!(reader.frames(&bed).len(), 200);
    assert_eq!(bed.gateway.broker().queue_len("/queue/a"), None, "acknowledged");
    assert_eq!(bed.gateway.broker().queue_len("/queue/b").map(|(messages, _)| messages), Some(1));
}

// ---- turns ----

/// However readers stand, others come to run after some ten thousand deliveries.
#[test]
fn a_burst_is_delivered_in_turns() {
    let mut bed = Bed::of(Service::Stomp);
    let readers: Vec<_> = (0..1000)
        .map(|_| {
            let reader = Client::connected(&bed, Carrier::Tcp, Version::V1_2);
            reader.subscribe(&bed, "1", "/topic/a");
            reader
        })
        .collect();
    let publisher = Client::connected(&bed, Carrier::Tcp, Version::V1_2);
    let burst: String = (0..40).map(|number| text(&send("/topic/a", &number.to_string()), Version::V1_2)).collect();
    let waiting = |reader: &Client| reader.reader.session.backlog().1;
    assert_eq!(publisher.send_bytes(&bed, burst.as_bytes()), Flow::Pause(Duration::ZERO));
    assert!(readers.iter().all(|reader| waiting(reader) == 17));
    // What comes meanwhile waits its turn, and a transport that forgets to come back is not needed.
    assert_eq!(publisher.send(&bed, &send("/topic/a", "40")), Flow::Pause(Duration::ZERO));
    assert!(readers.iter().all(|reader| waiting(reader) == 17));
    assert_eq!(bed.gateway.resume(&publisher.reader.session, bed.now), Flow::Pause(Duration::ZERO));
    assert!(readers.iter().all(|reader| waiting(reader) == 34));
    bed.idle(TICK);
    assert!(readers.iter().all(|reader| waiting(reader) == 41));
}

// ---- the transport goes away ----

/// A request whose body was taken is heard to its end, even if nobody waits for the answer.
#[tokio::test(start_paused = true)]
async fn what_an_aborted_request_brought_is_heard_to_the_end() {
    for transport in Transport::HTTP {
        let gateway = support::Gateway::in_memory(Config::default()).await;
        let stage = Stage { gateway, transport, version: Version::V1_2 };
        let (publisher, mut reader) = (stage.connected().await, stage.connected().await);
        reader.subscribed("1", "/topic/a").await;
        let payload = serde_json::to_string(&sends(&stage, "/topic/a", |frame, _| frame)).unwrap();
        let request = transport.sending_request("/stomp", publisher.client.id(), &payload).unwrap();
        let mut http = stage.gateway.http().await;
        http.send(&request).await;
        let first = reader.expect(Command::Message).await;
        assert_eq!(&first.body[..], b"0");
        drop(http);
        for number in 1..BURST {
            let message = within(Duration::from_secs(60), "a message", reader.expect(Command::Message)).await;
            assert_eq!(String::from_utf8_lossy(&message.body), number.to_string(), "{transport:?}");
        }
    }
}

/// What a client sends while it is held up waits with the request that brought it, and goes with it: a client that aborts one
/// request after the other cannot make the gateway keep them all.
#[tokio::test(start_paused = true)]
async fn what_comes_while_a_client_is_held_up_waits_in_its_request() {
    for transport in Transport::HTTP {
        let meter = Meter::install();
        let gateway = support::Gateway::in_memory(Config::default()).await;
        let stage = Stage { gateway, transport, version: Version::V1_2 };
        let publisher = stage.connected().await;
        // Between two polls.
        let mut stuck = Stomp::connect(stage.client_on(Transport::Xhr).await, stage.version).await;
        stuck.subscribed("1", "/topic/a").await;
        let received = || meter.counter("towpath_messages_received_total", &[]);
        let before = received();
        let send = async |messages: &[String]| {
            let payload = serde_json::to_string(messages).unwrap();
            let mut http = stage.gateway.http().await;
            http.send(&transport.sending_request("/stomp", publisher.client.id(), &payload).unwrap()).await;
            http
        };
        let all = sends(&stage, "/topic/a", |frame, _| frame);
        let first = send(&[all[..250].concat()]).await;
        sleep(Duration::from_millis(10)).await;
        assert_eq!(received() - before, 1, "{transport:?}: the first request is being heard");
        for _ in 0..5 {
            let later = send(&[all[250..].concat()]).await;
            sleep(Duration::from_millis(1)).await;
            drop(later);
        }
        assert_eq!(received() - before, 1, "{transport:?}: the later ones wait");
        let last = send(&["\n".to_owned()]).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(received() - before, 2, "{transport:?}: the last one has had its turn");
        for number in 0..250 {
            let message = within(Duration::from_secs(60), "a message", stuck.expect(Command::Message)).await;
            assert_eq!(String::from_utf8_lossy(&message.body), number.to_string(), "{transport:?}");
        }
        drop((first, last));
    }
}
