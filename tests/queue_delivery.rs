//! Who gets a queue's messages: consumers in turn and by credit, in the order in which they were sent; what a consumer
//! leaves behind, others get; nothing is lost and nothing comes twice, also when everybody does everything at once.

mod bed;
#[path = "bed/member.rs"]
mod member;
#[path = "bed/peer.rs"]
mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

use bed::stomp::{Client, VERSIONS, bodies, send, subscribe};
use bed::{Bed, TICK, config, seconds};
use bytes::Bytes;
use member::{Got, Member, Wishes};
use peer::Peer;
use towpath::broker::{Named, Verdict};
use towpath::config::{Broker, Service};
use towpath::session::{Carrier, CloseReason, Departure};
use towpath::stomp::{AckMode, Command, Frame, Headers};

const QUEUE: &str = "/queue/q";
const INDIVIDUAL: (&str, &str) = ("ack", "client-individual");

fn bed(change: impl FnOnce(&mut Broker)) -> Bed {
    let mut config = config(Service::Stomp, |_| {});
    change(&mut config.broker);
    Bed::new(&config)
}

/// Sends messages that say these numbers.
fn publish(bed: &Bed, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        let body = Bytes::from(number.to_string());
        bed.gateway.broker().send(QUEUE, Headers::new(), body, bed.now).expect("there is room");
    }
}

/// What was read: its numbers, and after those that had been delivered before an exclamation mark.
fn told(messages: &[Got]) -> String {
    let told = |got: &Got| format!("{}{}", got.body, if got.redelivered { "!" } else { "" });
    messages.iter().map(told).collect::<Vec<_>>().join(" ")
}

fn held(bed: &Bed) -> usize {
    bed.gateway.broker().queue_len(QUEUE).map_or(0, |(messages, _)| messages)
}

// ---- turns and credit ----

#[test]
fn consumers_take_turns() {
    let bed = bed(|_| {});
    let mut peers = [(); 3].map(|()| Peer::consuming(&bed, QUEUE, &[]));
    publish(&bed, 1..=9);
    let read = peers.each_mut().map(|peer| told(&peer.all(&bed)));
    assert_eq!(read, ["1 4 7", "2 5 8", "3 6 9"]);
}

#[test]
fn one_that_does_not_read_stops_receiving_and_the_others_go_on() {
    let bed = bed(|broker| broker.auto_prefetch = 4);
    let mut stuck = Peer::consuming(&bed, QUEUE, &[]);
    let mut quick = [(); 2].map(|()| Peer::consuming(&bed, QUEUE, &[]));
    let mut read = 0;
    for number in 1..=1000 {
        publish(&bed, [number]);
        read += quick.iter_mut().map(|peer| peer.all(&bed).len()).sum::<usize>();
    }
    assert_eq!((read, stuck.backlog(), held(&bed)), (996, 4, 4));
    assert!(stuck.client.reader.session.is_open(), "it is no fault not to read");
    assert_eq!(told(&stuck.all(&bed)), "1 4 7 10");
    publish(&bed, 1..=3);
    assert_eq!(told(&stuck.all(&bed)), "3", "it has its turn again, behind those who had theirs");
}

#[test]
fn credit_comes_back_with_the_acknowledgement_and_not_with_reading() {
    let bed = bed(|_| {});
    for (ack, acknowledged, more) in
        [("client-individual", &[1][..], "4"), ("client-individual", &[2, 0], "4 5"), ("client", &[1], "4 5")]
    {
        let mut peer = Peer::consuming(&bed, QUEUE, &[("ack", ack), ("prefetch-count", "3")]);
        publish(&bed, 1..=9);
        let first = peer.all(&bed);
        assert_eq!(told(&first), "1 2 3");
        assert_eq!(peer.all(&bed), []);
        acknowledged.iter().for_each(|index| peer.ack(&bed, &first[*index]));
        assert_eq!(told(&peer.all(&bed)), more, "{ack}");
        peer.cut(&bed);
        let mut rest = Peer::consuming(&bed, QUEUE, &[]);
        assert_eq!(rest.all(&bed).len(), 9 - more.split(' ').count());
        rest.cut(&bed);
        assert_eq!(bed.gateway.broker().queue_len(QUEUE), None);
    }
}

#[test]
fn prefetch_has_a_default_and_a_most() {
    let bed = bed(|broker| (broker.auto_prefetch, broker.prefetch, broker.max_prefetch) = (2, 3, 5));
    publish(&bed, 1..=10);
    for (ack, asked, expected) in [
        ("auto", None, 2),
        ("auto", Some("1"), 1),
        ("auto", Some("100"), 2),
        ("client", None, 3),
        ("client", Some("4"), 4),
        ("client-individual", Some("100"), 5),
    ] {
        let asked: Vec<_> = asked.map(|count| ("prefetch-count", count)).into_iter().collect();
        let peer = Peer::consuming(&bed, QUEUE, &[&[("ack", ack)], &asked[..]].concat());
        assert_eq!(peer.backlog(), expected, "{ack} {asked:?}");
        peer.cut(&bed);
    }
    assert_eq!(held(&bed), 10);
}

/// What waits in an outbox is still the queue's: it counts there, and nobody has lost it if it is never read.
#[test]
fn an_auto_consumer_consumes_what_it_reads_and_not_what_waits_for_it() {
    let bed = bed(|_| {});
    let mut peer = Peer::consuming(&bed, QUEUE, &[]);
    publish(&bed, 1..=5);
    assert_eq!((peer.backlog(), held(&bed)), (5, 5));
    assert_eq!(told(&peer.take(&bed, 2)), "1 2");
    assert_eq!(held(&bed), 3);
    peer.cut(&bed);
    assert_eq!(held(&bed), 3);
    let mut next = Peer::consuming(&bed, QUEUE, &[]);
    assert_eq!(told(&next.all(&bed)), "3 4 5", "they were never written to anybody");
}

#[test]
fn messages_wait_while_nobody_consumes() {
    let mut bed = bed(|_| {});
    publish(&bed, 1..=3);
    bed.idle(seconds(100_000));
    publish(&bed, 4..=5);
    assert_eq!(told(&Peer::consuming(&bed, QUEUE, &[]).all(&bed)), "1 2 3 4 5");
}

// ---- what comes back ----

/// However a consumer goes, what it had read and not acknowledged comes back marked, and what it had not read does not.
#[test]
fn what_a_consumer_leaves_behind_goes_to_the_next_in_order() {
    for end in ["cut", "unsubscribe", "disconnect", "error", "shutdown"] {
        let mut bed = bed(|_| {});
        let mut peer = Peer::consuming(&bed, QUEUE, &[INDIVIDUAL, ("prefetch-count", "5")]);
        publish(&bed, 1..=7);
        let read = peer.take(&bed, 3);
        peer.ack(&bed, &read[1]);
        match end {
            "cut" => peer.cut(&bed),
            "unsubscribe" => peer.unsubscribe(&bed, "s"),
            "disconnect" => drop(peer.client.send(&bed, &Frame::new(Command::Disconnect))),
            "error" => drop(peer.client.send(&bed, &Frame::new(Command::Begin))),
            _ => bed.gateway.close_all(&CloseReason::Shutdown, bed.now),
        }
        let mut next = Peer::consuming(&bed, QUEUE, &[INDIVIDUAL]);
        assert_eq!(told(&next.all(&bed)), "1! 3! 4 5 6 7", "{end}");
        bed.idle(seconds(1));
        let late: Vec<_> = std::iter::from_fn(|| peer.one(&bed)).filter(|frame| frame.starts_with("MESSAGE")).collect();
        assert!(late.is_empty(), "{end}: {late:?}");
    }
}

#[test]
fn what_comes_back_stands_before_what_was_sent_later() {
    let bed = bed(|_| {});
    let wishes = [INDIVIDUAL, ("prefetch-count", "2")];
    let (mut first, mut second) = (Peer::consuming(&bed, QUEUE, &wishes), Peer::consuming(&bed, QUEUE, &wishes));
    publish(&bed, 1..=6);
    let (of_first, of_second) = (first.all(&bed), second.all(&bed));
    assert_eq!((told(&of_first), told(&of_second)), ("1 3".into(), "2 4".into()));
    first.cut(&bed);
    second.ack(&bed, &of_second[1]);
    assert_eq!(told(&second.all(&bed)), "1!");
    second.nack(&bed, &of_second[0], true);
    assert_eq!(told(&second.all(&bed)), "2!");
    let mut third = Peer::consuming(&bed, QUEUE, &[]);
    assert_eq!(told(&third.all(&bed)), "3! 5 6");
    second.cut(&bed);
    assert_eq!(told(&third.all(&bed)), "1! 2!");
}

#[test]
fn what_is_given_back_goes_to_whoever_is_next() {
    let bed = bed(|_| {});
    let wishes = [INDIVIDUAL, ("prefetch-count", "1")];
    let (mut first, mut second) = (Peer::consuming(&bed, QUEUE, &wishes), Peer::consuming(&bed, QUEUE, &wishes));
    publish(&bed, [1]);
    for round in 0..4 {
        let (holder, other) = if round % 2 == 0 { (&mut first, &mut second) } else { (&mut second, &mut first) };
        let read = holder.all(&bed);
        assert_eq!(told(&read), if round == 0 { "1" } else { "1!" });
        holder.nack(&bed, &read[0], true);
        assert_eq!((holder.backlog(), other.backlog()), (0, 1), "the one that gave it back steps behind the other");
    }
}

#[test]
fn a_subscription_that_ends_takes_nothing_from_the_others_of_its_session() {
    let bed = bed(|_| {});
    let mut peer = Peer::new(&bed);
    for id in ["a", "b"] {
        peer.subscribe(&bed, id, QUEUE, &[]);
    }
    peer.subscribe(&bed, "topic", "/topic/t", &[]);
    publish(&bed, 1..=4);
    peer.send(&bed, "/topic/t", &[], "t");
    peer.unsubscribe(&bed, "a");
    assert_eq!(peer.bodies(&bed), ["2", "4", "t", "1", "3"]);
    assert_eq!(held(&bed), 0);
}

/// A client that polls may never come back between two polls.
#[test]
fn what_waits_for_a_polling_client_goes_back_when_it_does_not_return() {
    let mut bed = bed(|_| {});
    for version in VERSIONS {
        let client = Client::connected(&bed, Carrier::Http, version);
        client.send(&bed, &subscribe("s", QUEUE));
        bed.depart(&client.reader, Departure::Done);
        publish(&bed, 1..=2);
        let mut next = Peer::consuming(&bed, QUEUE, &[]);
        assert_eq!(next.all(&bed), []);
        bed.idle(seconds(5) + TICK);
        assert_eq!(told(&next.all(&bed)), "1 2");
        next.cut(&bed);
    }
}

// ---- consumers of all sorts ----

#[test]
fn consumers_of_all_modes_share_a_queue() {
    let bed = bed(|_| {});
    let mut peers = ["auto", "client", "client-individual"].map(|ack| Peer::consuming(&bed, QUEUE, &[("ack", ack)]));
    publish(&bed, 1..=9);
    let read = peers.each_mut().map(|peer| peer.all(&bed));
    assert_eq!(read.each_ref().map(|messages| told(messages)), ["1 4 7", "2 5 8", "3 6 9"]);
    assert_eq!(held(&bed), 6, "what auto has read is consumed");
    assert!(read[0].iter().all(|got| got.ack.is_none()));
    peers[1].ack(&bed, &read[1][1]);
    peers[2].ack(&bed, &read[2][1]);
    assert_eq!(held(&bed), 3);
    peers[1].cut(&bed);
    peers[2].cut(&bed);
    assert_eq!(told(&peers[0].all(&bed)), "8! 3! 9!");
}

#[test]
fn a_selector_leaves_what_it_does_not_take_to_others() {
    let bed = bed(|_| {});
    let publisher = Peer::new(&bed);
    let colours = |colours: &[&str]| {
        for (number, colour) in colours.iter().enumerate() {
            publisher.send(&bed, QUEUE, &[("colour", colour)], &format!("{colour}{number}"));
        }
    };
    colours(&["red", "blue", "red", "green"]);
    let wants = |colour: &str| format!("colour = '{colour}'");
    let selective = |selector: &str| Peer::consuming(&bed, QUEUE, &[INDIVIDUAL, ("selector", selector)]);
    let (mut red, mut blue) = (selective(&wants("red")), selective(&wants("blue")));
    let read = red.all(&bed);
    assert_eq!(told(&read), "red0 red2");
    assert_eq!(told(&blue.all(&bed)), "blue1");
    assert_eq!(red.all(&bed), [], "green waits, and stands in nobody's way");
    colours(&["green", "red", "blue"]);
    assert_eq!(told(&red.all(&bed)), "red1");
    assert_eq!(told(&blue.all(&bed)), "blue2");
    let mut other_red = selective("colour = 'red' OR colour = 'none'");
    assert_eq!(other_red.all(&bed), []);
    red.cut(&bed);
    assert_eq!(told(&other_red.all(&bed)), "red0! red2! red1!", "it had looked at later ones already");
    assert_eq!(blue.all(&bed), []);
    assert_eq!(told(&Peer::consuming(&bed, QUEUE, &[]).all(&bed)), "green3 green0");
}

/// Those that are held up by their credit look at what came meanwhile, once they may hold more.
#[test]
fn a_selector_finds_its_messages_in_a_long_backlog() {
    let bed = bed(|_| {});
    let publisher = Peer::new(&bed);
    let wishes = [INDIVIDUAL, ("prefetch-count", "1"), ("selector", "number BETWEEN 10 AND 12 OR number = 90")];
    let mut peer = Peer::consuming(&bed, QUEUE, &wishes);
    for number in 1..=100 {
        publisher.send(&bed, QUEUE, &[("number", &number.to_string())], &number.to_string());
    }
    let mut read = vec![];
    while let Some(got) = peer.all(&bed).pop() {
        peer.ack(&bed, &got);
        read.push(got);
    }
    assert_eq!(told(&read), "10 11 12 90");
    assert_eq!(held(&bed), 96);
}

/// The limits of an outbox are for what cannot wait elsewhere.
#[test]
fn a_queue_neither_fills_an_outbox_nor_minds_a_full_one() {
    let mut config = config(Service::Stomp, |endpoint| endpoint.outbox_messages = 8);
    config.broker.auto_prefetch = 50;
    let bed = Bed::new(&config);
    let topic = |range: std::ops::Range<usize>| {
        for number in range {
            let body = Bytes::from(format!("t{number}"));
            bed.gateway.broker().send("/topic/t", Headers::new(), body, bed.now).unwrap();
        }
    };
    for queue_first in [true, false] {
        let mut peer = Peer::new(&bed);
        peer.subscribe(&bed, "queue", QUEUE, &[]);
        peer.subscribe(&bed, "topic", "/topic/t", &[]);
        if queue_first {
            publish(&bed, 1..=60);
            topic(0..8);
        } else {
            topic(0..8);
            publish(&bed, 1..=60);
        }
        assert_eq!(peer.backlog(), 58);
        assert!(peer.client.reader.session.is_open());
        let read = peer.bodies(&bed);
        assert_eq!(read.len(), 68);
        assert_eq!(read.iter().filter(|body| !body.starts_with('t')).count(), 60);
        // A topic too fast for it ends the session, and costs the queue nothing.
        publish(&bed, 1..=3);
        topic(0..9);
        assert!(!peer.client.reader.session.is_open());
        publish(&bed, 4..=5);
        peer.cut(&bed);
        let mut next = Peer::consuming(&bed, QUEUE, &[]);
        assert_eq!(told(&next.all(&bed)), "1 2 3 4 5");
        next.cut(&bed);
    }
}

/// Nor does one that subscribes again and again without reading: what went back to the queue is out of its outbox.
#[test]
fn subscriptions_that_come_and_go_unread_leave_nothing_in_the_outbox() {
    let bed = bed(|_| {});
    let peer = Peer::new(&bed);
    peer.subscribe(&bed, "topic", "/topic/t", &[]);
    peer.send(&bed, "/topic/t", &[], "t");
    publish(&bed, 1..=100);
    for ack in ["auto", "client", "client-individual"] {
        for _ in 0..10 {
            peer.subscribe(&bed, "s", QUEUE, &[("ack", ack)]);
            assert!(peer.backlog() > 60);
            peer.unsubscribe(&bed, "s");
            assert_eq!(peer.backlog(), 1, "what is the topic's");
        }
    }
    assert_eq!(held(&bed), 100);
}

/// Between the moment in which a session begins to close and the one in which its subscriptions end, it may still read.
#[test]
fn a_session_that_is_closing_gets_nothing_new_and_nothing_twice() {
    for reads in 0..=3 {
        let mut bed = bed(|_| {});
        let (mut closing, mut other) = (Peer::consuming(&bed, QUEUE, &[]), Peer::consuming(&bed, QUEUE, &[]));
        publish(&bed, 1..=6);
        closing.client.reader.session.overflow("outbox_messages");
        publish(&bed, 7..=8);
        assert_eq!(told(&other.all(&bed)), "2 4 6 7 8");
        let mut last = closing.take(&bed, reads);
        assert_eq!(last.len(), reads);
        bed.idle(TICK);
        let rest = other.all(&bed);
        assert_eq!(closing.all(&bed), []);
        last.extend(rest);
        assert_eq!(told(&last), "1 3 5");
        closing.cut(&bed);
    }
}

// ---- all at once ----

const PUBLISHERS: usize = 3;
const EACH: usize = 600;

fn publishers<'s>(scope: &'s std::thread::Scope<'s, '_>, bed: &'s Bed, left: &'s AtomicUsize) {
    for publisher in 0..PUBLISHERS {
        scope.spawn(move || {
            publish(bed, (0..EACH).map(|number| publisher * EACH + number));
            left.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Publishers, consumers that read, and sessions that come, read a little and go, all on threads of their own. Each message
/// is read once.
#[test]
fn every_message_is_read_by_exactly_one_of_the_consumers_that_read() {
    let bed = bed(|broker| broker.auto_prefetch = 8);
    let (left, read) = (AtomicUsize::new(PUBLISHERS), Mutex::new(vec![]));
    let read_one_by_one = |member: &mut Member, count| {
        let messages: Vec<_> = std::iter::from_fn(|| member.one(&bed)).take(count).collect();
        assert!(messages.iter().all(|got| !got.redelivered));
        let got = messages.len();
        read.lock().unwrap().extend(messages.into_iter().map(|got| got.body.parse::<usize>().unwrap()));
        got
    };
    std::thread::scope(|scope| {
        publishers(scope, &bed, &left);
        for _ in 0..2 {
            scope.spawn(|| {
                let mut member = Member::new(&bed);
                let _membership = member.join(&bed, QUEUE, Wishes::of(AckMode::Auto)).unwrap();
                while left.load(Ordering::SeqCst) > 0 || held(&bed) > 0 {
                    read_one_by_one(&mut member, usize::MAX);
                    std::thread::yield_now();
                }
            });
        }
        for budget in [0, 3] {
            let (bed, left, read_one_by_one) = (&bed, &left, &read_one_by_one);
            scope.spawn(move || {
                while left.load(Ordering::SeqCst) > 0 {
                    let mut member = Member::new(bed);
                    let membership = member.join(bed, QUEUE, Wishes::of(AckMode::Auto)).unwrap();
                    std::thread::yield_now();
                    read_one_by_one(&mut member, budget);
                    member.cut(bed, &[&membership]);
                    assert_eq!(member.all(bed), []);
                }
            });
        }
    });
    let mut read = read.into_inner().unwrap();
    read.sort_unstable();
    assert_eq!(read.len(), PUBLISHERS * EACH);
    assert!(read.into_iter().eq(0..PUBLISHERS * EACH));
}

/// The same with acknowledgements: consumers acknowledge, give back, and die with what they hold. Each message is
/// acknowledged once, and comes marked to whoever is not the first to read it.
#[test]
fn every_message_is_acknowledged_once_and_marked_if_it_was_read_before() {
    let bed = bed(|broker| broker.queue.max_deliveries = 10_000);
    let (left, next) = (AtomicUsize::new(PUBLISHERS), AtomicUsize::new(0));
    let (seen, done) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        publishers(scope, &bed, &left);
        for _ in 0..3 {
            scope.spawn(|| {
                while left.load(Ordering::SeqCst) > 0 || held(&bed) > 0 {
                    let mut member = Member::new(&bed);
                    let wishes = Wishes { prefetch: Some(5), ..Wishes::of(AckMode::ClientIndividual) };
                    let membership = member.join(&bed, QUEUE, wishes).unwrap();
                    for _ in 0..20 {
                        for got in member.all(&bed) {
                            assert_eq!(got.redelivered, !seen.lock().unwrap().insert(got.body.clone()), "{}", got.body);
                            let one = Named::One(got.ack.unwrap().1);
                            match next.fetch_add(1, Ordering::Relaxed) % 5 {
                                0 => membership.acknowledge(one, Verdict::Requeue, bed.now).unwrap(),
                                // It is held until the session ends.
                                1 => {}
                                _ => {
                                    *done.lock().unwrap().entry(got.body).or_insert(0) += 1;
                                    membership.acknowledge(one, Verdict::Consumed, bed.now).unwrap();
                                }
                            }
                        }
                    }
                    member.cut(&bed, &[&membership]);
                }
            });
        }
    });
    let done = done.into_inner().unwrap();
    assert_eq!(done.len(), PUBLISHERS * EACH);
    assert!(done.values().all(|count| *count == 1));
    assert_eq!(bed.gateway.broker().queue_len(QUEUE), None);
}

/// One thread reads while another ends the subscription: what was not written is waiting again, to the message.
#[test]
fn a_consumer_that_goes_while_it_is_read_from_loses_nothing() {
    let bed = bed(|_| {});
    let mut interrupted = 0;
    for round in 0..400 {
        publish(&bed, 0..20);
        let mut member = Member::new(&bed);
        let membership = member.join(&bed, QUEUE, Wishes::of(AckMode::Auto)).unwrap();
        let start = Barrier::new(2);
        let mut read = std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                start.wait();
                member.all(&bed)
            });
            start.wait();
            for _ in 0..round % 40 * 50 {
                std::hint::spin_loop();
            }
            bed.gateway.broker().leave(&membership, bed.now);
            reading.join().unwrap()
        });
        interrupted += usize::from(!read.is_empty() && read.len() < 20);
        let mut next = Member::new(&bed);
        let membership = next.join(&bed, QUEUE, Wishes::of(AckMode::Auto)).unwrap();
        read.extend(next.all(&bed));
        let numbers: Vec<_> = read.iter().map(|got| got.body.parse::<usize>().unwrap()).collect();
        assert!(numbers.iter().copied().eq(0..20), "{numbers:?}");
        bed.gateway.broker().leave(&membership, bed.now);
    }
    println!("in {interrupted} rounds the consumer went in the middle");
}

/// The queue goes with its last consumer and is made anew for the next message, again and again.
#[test]
fn a_message_finds_the_queue_that_is_there() {
    let bed = bed(|_| {});
    let busy = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let passers_by = || {
            let member = Member::new(&bed);
            while busy.load(Ordering::Relaxed) {
                let selector = Some("nobody IS NOT NULL");
                let wishes = Wishes { selector, ..Wishes::of(AckMode::Auto) };
                let membership = member.join(&bed, QUEUE, wishes).unwrap();
                bed.gateway.broker().unsubscribe(&membership, bed.now);
            }
        };
        scope.spawn(passers_by);
        scope.spawn(passers_by);
        for round in 0..3000 {
            publish(&bed, [round]);
            assert_eq!(held(&bed), 1, "round {round}");
            let mut member = Member::new(&bed);
            let membership = member.join(&bed, QUEUE, Wishes::of(AckMode::Auto)).unwrap();
            assert_eq!(told(&member.all(&bed)), round.to_string());
            bed.gateway.broker().unsubscribe(&membership, bed.now);
        }
        busy.store(false, Ordering::Relaxed);
    });
    assert!(bed.gateway.broker().is_empty());
}

#[test]
fn every_carrier_and_version_consumes() {
    let bed = bed(|_| {});
    for carrier in [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp] {
        for version in VERSIONS {
            let mut client = Client::connected(&bed, carrier, version);
            client.send(&bed, &send(QUEUE, "early"));
            client.subscribe(&bed, "s", QUEUE);
            client.send(&bed, &send(QUEUE, "late"));
            assert_eq!(bodies(&client.frames(&bed)), ["early", "late"], "{carrier:?} {version}");
            assert_eq!(held(&bed), 0);
            client.reader.session.close(CloseReason::Peer, bed.now);
        }
    }
}
