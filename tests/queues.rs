//! What a queue holds and for how long: its limits and those of all queues, messages that expire, that are given up, and that
//! nobody can have any more; and that nothing is left of a queue that nobody needs.

mod bed;
#[path = "bed/member.rs"]
mod member;
#[path = "bed/peer.rs"]
mod peer;

use std::sync::mpsc;
use std::time::Duration;

use bed::meters::{Meters, record};
use bed::stomp::send;
use bed::{Bed, TICK, config, millis, seconds};
use bytes::Bytes;
use member::{Member, Wishes, header};
use peer::{Peer, with};
use towpath::broker::{BrokerError, Named, Verdict};
use towpath::config::{Broker, Config, Destination, Overflow, Queue, QueueFull, Service};
use towpath::publication::Publication;
use towpath::stomp::{AckMode, Command, Frame, Headers};

const QUEUE: &str = "/queue/q";
const DEAD: &str = "/queue/dead";
const INDIVIDUAL: (&str, &str) = ("ack", "client-individual");
/// How late something may expire: the broker's slack, and the clockwork's resolution.
const LATE: Duration = Duration::from_millis(120);

fn broker_config(change: impl FnOnce(&mut Broker)) -> Config {
    let mut config = config(Service::Stomp, |_| {});
    change(&mut config.broker);
    config
}

fn bed(change: impl FnOnce(&mut Broker)) -> Bed {
    Bed::new(&broker_config(change))
}

/// What holds for one destination only.
fn rule(pattern: &str, queue: Queue) -> Destination {
    Destination { pattern: pattern.to_owned(), queue, ..Destination::default() }
}

fn publish_to(bed: &Bed, queue: &str, body: &str, headers: &[(&str, &str)]) -> Result<(), BrokerError> {
    let headers: Headers = headers.iter().copied().collect();
    bed.gateway.broker().send(queue, headers, Bytes::from(body.to_owned()), bed.now).map(drop)
}

fn publish(bed: &Bed, bodies: &str) {
    for body in bodies.split(' ') {
        publish_to(bed, QUEUE, body, &[]).unwrap();
    }
}

fn publish_expiring(bed: &Bed, body: &str, millis: u64) {
    publish_to(bed, QUEUE, body, &[("expiration", &millis.to_string())]).unwrap();
}

fn held(bed: &Bed, queue: &str) -> Option<usize> {
    bed.gateway.broker().queue_len(queue).map(|(messages, _)| messages)
}

/// Reads all that a queue has for whoever asks, as text; then goes.
fn emptied(bed: &Bed, queue: &str) -> String {
    let mut peer = Peer::consuming(bed, queue, &[]);
    let bodies = peer.bodies(bed).join(" ");
    peer.cut(bed);
    bodies
}

/// The same of the dead letters: body, where it died, of what.
fn dead(bed: &Bed) -> Vec<String> {
    let mut peer = Peer::consuming(bed, DEAD, &[]);
    let frames: Vec<_> = std::iter::from_fn(|| peer.one(bed)).collect();
    peer.cut(bed);
    let said = |frame: &String| {
        let (from, reason) = (header(frame, "x-dead-letter-from"), header(frame, "x-dead-letter-reason"));
        format!("{} {} {}", member::got(frame).body, from.unwrap(), reason.unwrap())
    };
    frames.iter().map(said).collect()
}

fn dropped(meters: &Meters, reason: &str) -> u64 {
    meters.count("towpath_messages_dropped_total", Some(("reason", reason)))
}

fn dead_lettered(meters: &Meters, reason: &str) -> u64 {
    meters.count("towpath_dead_letters_total", Some(("reason", reason)))
}

// ---- queues come and go ----

#[test]
fn a_queue_vanishes_when_it_is_empty_and_idle_and_its_name_is_free_again() {
    let bed = bed(|broker| broker.max_destinations = 2);
    let publisher = Peer::new(&bed);
    publisher.send(&bed, "/queue/1", &[], "x");
    let consumer = Peer::consuming(&bed, "/queue/2", &[]);
    let refused = Peer::new(&bed).refused(&bed, send("/queue/3", "x"));
    assert!(refused.contains("max_destinations"), "{refused}");
    publisher.send(&bed, "/queue/2", &[], "x");
    assert_eq!(emptied(&bed, "/queue/1"), "x");
    publisher.send(&bed, "/queue/3", &[], "x");
    consumer.unsubscribe(&bed, "s");
    assert_eq!(held(&bed, "/queue/2"), Some(1), "what waits keeps it");
    assert_eq!(bed.gateway.broker().queues_and_users(), (2, 0));
    assert_eq!((emptied(&bed, "/queue/3"), emptied(&bed, "/queue/2")), ("x".into(), "x".into()));
    assert!(bed.gateway.broker().is_empty());
    assert_eq!(bed.gateway.broker().live_bytes(), 0);
}

#[test]
fn a_queue_lives_while_a_consumer_holds_its_last_message() {
    let bed = bed(|_| {});
    let mut consumer = Peer::consuming(&bed, QUEUE, &[INDIVIDUAL]);
    publish(&bed, "x");
    let read = consumer.all(&bed);
    assert_eq!(held(&bed, QUEUE), Some(1));
    consumer.ack(&bed, &read[0]);
    assert_eq!(held(&bed, QUEUE), Some(0), "it is empty, and has a consumer");
    consumer.cut(&bed);
    assert_eq!(held(&bed, QUEUE), None);
}

/// A transaction that fails gives back the places that it had kept, and nothing is left of queues made for them.
#[test]
fn a_queue_that_was_made_for_a_place_goes_with_it() {
    let mut bed = bed(|broker| (broker.max_destinations, broker.queue.messages) = (2, 1));
    publish(&bed, "full");
    let publisher = Peer::new(&bed);
    publisher.does(&bed, Frame::new(Command::Begin).with("transaction", "t"));
    for destination in ["/queue/new", QUEUE] {
        publisher.send(&bed, destination, &[("transaction", "t")], "x");
    }
    let refused = publisher.refused(&bed, Frame::new(Command::Commit).with("transaction", "t"));
    assert!(refused.contains("queue_messages"), "{refused}");
    assert_eq!(held(&bed, "/queue/new"), None);
    bed.idle(seconds(1));
    publish_to(&bed, "/queue/other", "x", &[]).expect("there is room for it");
}

#[test]
fn a_queue_that_takes_no_message_is_not_made() {
    let bed = bed(|broker| broker.queues_messages = 1);
    publish(&bed, "x");
    assert_eq!(publish_to(&bed, "/queue/1", "x", &[]), Err(BrokerError::QueueFull("queues_messages")));
    let expiration = publish_to(&bed, "/queue/2", "x", &[("expiration", "soon")]);
    assert_eq!(expiration, Err(BrokerError::Expiration("soon".into())));
    assert_eq!(bed.gateway.broker().queues_and_users(), (1, 0));
}

// ---- limits ----

#[test]
fn a_full_queue_refuses_by_name_and_others_go_on() {
    let ((), meters) = record(|| {
        let bed = bed(|broker| broker.queue.messages = 3);
        publish(&bed, "1 2");
        let mut holder = Peer::consuming(&bed, QUEUE, &[INDIVIDUAL]);
        let read = holder.all(&bed);
        publish(&bed, "3");
        let refused = Peer::new(&bed).refused(&bed, with(send(QUEUE, "4"), &[("receipt", "r")]));
        assert!(refused.contains("queue_messages") && refused.contains("receipt-id:r"), "{refused}");
        publish_to(&bed, "/queue/other", "x", &[]).unwrap();
        holder.ack(&bed, &read[0]);
        publish(&bed, "5");
        holder.cut(&bed);
        assert_eq!(emptied(&bed, QUEUE), "2 3 5");
    });
    assert_eq!(meters.limit("queue_messages"), 1);
}

#[test]
fn a_queue_is_full_of_bytes_too_but_one_message_of_any_size_fits() {
    let size = |body: &str| Publication::size_of(QUEUE, &Headers::new(), body.len());
    let long = "x".repeat(5000);
    let ((), meters) = record(|| {
        let bed = bed(|broker| broker.queue.bytes = 3 * size("1"));
        publish(&bed, "1 2 3");
        assert_eq!(bed.gateway.broker().queue_len(QUEUE), Some((3, 3 * size("1"))));
        let refused = Peer::new(&bed).refused(&bed, send(QUEUE, "4"));
        assert!(refused.contains("queue_bytes"), "{refused}");
        assert_eq!(emptied(&bed, QUEUE), "1 2 3");
        publish(&bed, &long);
        assert_eq!(publish_to(&bed, QUEUE, "x", &[]), Err(BrokerError::QueueFull("queue_bytes")));
        assert_eq!(emptied(&bed, QUEUE), long);
    });
    assert_eq!(meters.limit("queue_bytes"), 2);
}

#[test]
fn all_queues_together_are_bounded_and_what_leaves_one_makes_room_in_another() {
    let size = Publication::size_of("/queue/1", &Headers::new(), 1);
    type Limit = (&'static str, fn(&mut Broker, usize));
    let limits: [Limit; 2] = [
        ("queues_messages", |broker, _| broker.queues_messages = 3),
        ("queues_bytes", |broker, size| broker.queues_bytes = 3 * size),
    ];
    for (limit, set) in limits {
        let ((), meters) = record(|| {
            let mut bed = bed(|broker| set(broker, size));
            for queue in ["/queue/1", "/queue/2", "/queue/2"] {
                publish_to(&bed, queue, "x", &[]).unwrap();
            }
            let refused = Peer::new(&bed).refused(&bed, send("/queue/3", "x"));
            assert!(refused.contains(limit), "{refused}");
            assert_eq!(emptied(&bed, "/queue/1"), "x");
            publish_to(&bed, "/queue/3", "x", &[]).unwrap();
            assert_eq!(publish_to(&bed, "/queue/1", "x", &[]), Err(BrokerError::QueueFull(limit)));
            // Every way out of a queue is one out of the sum.
            let mut consumer = Peer::consuming(&bed, "/queue/2", &[INDIVIDUAL]);
            let read = consumer.all(&bed);
            consumer.ack(&bed, &read[0]);
            consumer.nack(&bed, &read[1], false);
            assert_eq!(emptied(&bed, "/queue/3"), "x");
            // An expiration makes a message larger, so there is room for two.
            for _ in 0..2 {
                publish_to(&bed, "/queue/1", "x", &[("expiration", "1")]).unwrap();
            }
            bed.idle(seconds(1));
            for _ in 0..3 {
                publish_to(&bed, "/queue/1", "x", &[]).unwrap();
            }
            bed.idle(seconds(1));
        });
        assert_eq!(meters.limit(limit), 2);
    }
}

#[test]
fn drop_oldest_makes_room_among_what_waits_and_leaves_what_consumers_hold() {
    let ((), meters) = record(|| {
        let bed = bed(|broker| (broker.queue.messages, broker.queue.full) = (4, QueueFull::DropOldest));
        let mut holder = Peer::consuming(&bed, QUEUE, &[INDIVIDUAL, ("prefetch-count", "2")]);
        publish(&bed, "1 2 3 4 5 6 7");
        assert_eq!(held(&bed, QUEUE), Some(4));
        let read = holder.bodies(&bed);
        assert_eq!(read, ["1", "2"]);
        holder.cut(&bed);
        assert_eq!(emptied(&bed, QUEUE), "1 2 6 7");
    });
    assert_eq!(dropped(&meters, "queue-full"), 3);
}

#[test]
fn drop_oldest_makes_room_for_bytes_and_in_the_sum_and_refuses_where_all_is_held() {
    let size = Publication::size_of(QUEUE, &Headers::new(), 1);
    let oldest_goes = |set: &dyn Fn(&mut Broker)| {
        let bed = bed(|broker| {
            broker.queue.full = QueueFull::DropOldest;
            set(broker);
        });
        publish(&bed, "1 2 3 4 5");
        assert_eq!(emptied(&bed, QUEUE), "3 4 5");
        let _holder = Peer::consuming(&bed, QUEUE, &[INDIVIDUAL]);
        publish(&bed, "6 7 8");
        assert!(matches!(publish_to(&bed, QUEUE, "9", &[]), Err(BrokerError::QueueFull(_))));
        assert_eq!(held(&bed, QUEUE), Some(3));
    };
    oldest_goes(&|broker| broker.queue.bytes = 3 * size);
    oldest_goes(&|broker| broker.queues_messages = 3);
    oldest_goes(&|broker| broker.queues_bytes = 3 * size);
}

// ---- time ----

#[test]
fn a_message_expires_at_its_time_though_nobody_touches_the_queue() {
    let ((), meters) = record(|| {
        let mut bed = bed(|_| {});
        publish_expiring(&bed, "1", 1000);
        bed.idle(seconds(1));
        assert_eq!(held(&bed, QUEUE), Some(1));
        bed.idle(LATE);
        assert_eq!(held(&bed, QUEUE), None);
        assert!(bed.gateway.broker().is_empty());
        assert_eq!(bed.gateway.broker().live_bytes(), 0);
    });
    assert_eq!(dropped(&meters, "expired"), 1);
    assert_eq!(meters.gauge("towpath_queued_messages"), 0.0);
}

/// Whatever order the times come in, each message is there until its own, and gone soon after.
#[test]
fn each_message_of_many_has_its_own_time() {
    let mut bed = bed(|_| {});
    // 37 and 100 have no common divisor: all times, mixed up.
    let times: Vec<u64> = (0..100).map(|step| (step * 37 % 100) * 30 + 15).collect();
    for time in &times {
        publish_expiring(&bed, &time.to_string(), *time);
    }
    publish(&bed, "for-ever");
    while bed.at() < seconds(4) {
        bed.idle(millis(25));
        let at = bed.at();
        let at_least = times.iter().filter(|time| Duration::from_millis(**time) > at).count() + 1;
        let at_most = times.iter().filter(|time| Duration::from_millis(**time) + LATE > at).count() + 1;
        let held = held(&bed, QUEUE).unwrap();
        assert!((at_least..=at_most).contains(&held), "{held} of {at_least} to {at_most} at {at:?}");
    }
    assert_eq!(emptied(&bed, QUEUE), "for-ever");
}

#[test]
fn one_that_expired_a_moment_ago_is_not_delivered_even_if_the_timer_is_late() {
    let mut bed = bed(|_| {});
    publish_expiring(&bed, "1", 1000);
    publish(&bed, "2");
    bed.now += millis(1001);
    assert_eq!(emptied(&bed, QUEUE), "2");
    assert_eq!(held(&bed, QUEUE), None);
}

#[test]
fn queue_ttl_is_for_every_message_and_expiration_may_only_shorten_it() {
    let mut config = broker_config(|broker| broker.queue.ttl = seconds(10));
    config.destinations = vec![rule("/queue/for-ever", Queue::default())];
    let mut bed = Bed::new(&config);
    for queue in [QUEUE, "/queue/for-ever"] {
        publish_to(&bed, queue, "plain", &[]).unwrap();
        publish_to(&bed, queue, "short", &[("expiration", "5000")]).unwrap();
        publish_to(&bed, queue, "long", &[("expiration", "20000")]).unwrap();
    }
    let mut count = |at: u64| {
        bed.idle(seconds(at) + LATE - bed.at());
        (held(&bed, QUEUE), held(&bed, "/queue/for-ever"))
    };
    assert_eq!(count(4), (Some(3), Some(3)));
    assert_eq!(count(5), (Some(2), Some(2)));
    assert_eq!(count(10), (None, Some(2)));
    assert_eq!(count(20), (None, Some(1)));
}

#[test]
fn an_expiration_that_is_no_number_is_refused() {
    let bed = bed(|_| {});
    for expiration in ["soon", "", "-1", "1.5", "1s", "99999999999999999999999"] {
        let refused = Peer::new(&bed).refused(&bed, with(send(QUEUE, "x"), &[("expiration", expiration)]));
        assert!(refused.contains("bad expiration") && refused.contains("milliseconds"), "{refused}");
    }
    assert!(bed.gateway.broker().is_empty());
    publish_to(&bed, QUEUE, "x", &[("expiration", &u64::MAX.to_string())]).expect("as good as for ever");
    assert_eq!(emptied(&bed, QUEUE), "x");
}

#[test]
fn expiration_0_is_for_whoever_is_there_now() {
    let mut bed = bed(|_| {});
    let mut consumer = Peer::consuming(&bed, QUEUE, &[INDIVIDUAL, ("prefetch-count", "1")]);
    publish_expiring(&bed, "1", 0);
    publish_expiring(&bed, "2", 0);
    assert_eq!(consumer.bodies(&bed), ["1"]);
    bed.idle(LATE);
    assert_eq!(held(&bed, QUEUE), Some(1), "the one that it holds");
}

/// What a consumer holds does not expire in its hands, and time does not stop there either.
#[test]
fn what_comes_back_after_its_time_is_dead_and_what_comes_back_before_still_expires() {
    for (ends, expected) in [("cut", vec!["1 /queue/q expired", "2 /queue/q expired"]), ("ack", vec![])] {
        let mut bed = bed(|broker| broker.queue.dead_letter = Some(DEAD.into()));
        let mut consumer = Peer::consuming(&bed, QUEUE, &[INDIVIDUAL]);
        publish_expiring(&bed, "1", 1000);
        publish_expiring(&bed, "2", 5000);
        bed.idle(seconds(2));
        assert_eq!(held(&bed, QUEUE), Some(2), "it may be in the middle of its work");
        let read = consumer.all(&bed);
        assert_eq!(read.len(), 2);
        if ends == "ack" {
            read.iter().for_each(|got| consumer.ack(&bed, got));
            consumer.cut(&bed);
        } else {
            consumer.nack(&bed, &read[0], true);
            assert_eq!(consumer.all(&bed), [], "its time is over");
            assert_eq!(held(&bed, DEAD), Some(1));
            consumer.cut(&bed);
            assert_eq!(held(&bed, QUEUE), Some(1), "the other one's is not");
            bed.idle(seconds(3) + LATE);
        }
        assert_eq!(held(&bed, QUEUE), None);
        assert_eq!(dead(&bed), expected);
    }
}

// ---- given up ----

#[test]
fn a_message_that_is_read_again_and_again_is_given_up() {
    let ((), meters) = record(|| {
        let bed = bed(|broker| (broker.queue.max_deliveries, broker.queue.dead_letter) = (3, Some(DEAD.into())));
        publish_to(&bed, QUEUE, "poison", &[("k", "v"), ("x-dead-letter-from", "liar")]).unwrap();
        publish(&bed, "good");
        for reading in 1..=3 {
            // One that does not read it is no attempt.
            Peer::consuming(&bed, QUEUE, &[INDIVIDUAL]).cut(&bed);
            let mut consumer = Peer::consuming(&bed, QUEUE, &[INDIVIDUAL, ("prefetch-count", "1")]);
            let read = consumer.all(&bed);
            assert_eq!((&*read[0].body, read[0].redelivered), ("poison", reading > 1));
            if reading == 2 {
                consumer.nack(&bed, &read[0], true);
            }
            consumer.cut(&bed);
        }
        assert_eq!(emptied(&bed, QUEUE), "good");
        let mut undertaker = Peer::consuming(&bed, DEAD, &[]);
        let letter = undertaker.one(&bed).unwrap();
        assert_eq!(header(&letter, "destination"), Some(DEAD));
        assert_eq!(header(&letter, "k"), Some("v"));
        assert_eq!(header(&letter, "x-dead-letter-reason"), Some("delivery-limit"));
        assert_eq!(header(&letter, "redelivered"), None);
        let from: Vec<_> = letter.lines().filter(|line| line.starts_with("x-dead-letter-from")).collect();
        assert_eq!(from, ["x-dead-letter-from:/queue/q"]);
    });
    assert_eq!((dead_lettered(&meters, "delivery-limit"), dropped(&meters, "delivery-limit")), (1, 0));
}

#[test]
fn what_is_rejected_expired_or_pushed_out_is_a_dead_letter_and_says_so() {
    let ((), meters) = record(|| {
        let mut config = broker_config(|broker| broker.queue.messages = 100);
        let mut queue = Queue { messages: 3, full: QueueFull::DropOldest, ..Queue::default() };
        queue.dead_letter = Some(DEAD.into());
        config.destinations = vec![rule("/queue/*", queue)];
        // The dead letters themselves are under another rule.
        config.destinations.insert(0, rule(DEAD, Queue::default()));
        let mut bed = Bed::new(&config);
        let mut consumer = Peer::consuming(&bed, QUEUE, &[INDIVIDUAL, ("prefetch-count", "1")]);
        publish(&bed, "1 2 3 4");
        let read = consumer.all(&bed);
        consumer.nack(&bed, &read[0], false);
        consumer.unsubscribe(&bed, "s");
        publish_expiring(&bed, "5", 100);
        bed.idle(seconds(1));
        assert_eq!(held(&bed, QUEUE), Some(2));
        assert_eq!(dead(&bed), ["2 /queue/q queue-full", "1 /queue/q rejected", "5 /queue/q expired"]);
    });
    let counted = ["queue-full", "rejected", "expired"].map(|reason| dead_lettered(&meters, reason));
    assert_eq!(counted, [1, 1, 1]);
    assert_eq!(meters.count("towpath_messages_dropped_total", None), 0);
}

#[test]
fn without_a_place_for_dead_letters_they_are_dropped_and_counted() {
    let ((), meters) = record(|| {
        let bed = bed(|_| {});
        let mut consumer = Peer::consuming(&bed, QUEUE, &[INDIVIDUAL]);
        publish(&bed, "1 2");
        consumer.all(&bed).iter().for_each(|got| consumer.nack(&bed, got, false));
        assert_eq!(held(&bed, QUEUE), Some(0));
        assert_eq!(bed.gateway.broker().live_bytes(), 0);
    });
    assert_eq!(dropped(&meters, "rejected"), 2);
}

/// A dead letter dies but once: what is given up where the dead letters are is gone, even if that queue gives up its own
/// messages to another.
#[test]
fn a_dead_letter_does_not_die_twice() {
    for grave in [DEAD, "/queue/grave"] {
        let ((), meters) = record(|| {
            let mut config = broker_config(|broker| broker.queue.dead_letter = Some(DEAD.into()));
            config.destinations = vec![rule(DEAD, Queue { dead_letter: Some(grave.into()), ..Queue::default() })];
            let bed = Bed::new(&config);
            let reject_all = |queue| {
                let mut consumer = Peer::consuming(&bed, queue, &[INDIVIDUAL]);
                consumer.all(&bed).iter().for_each(|got| consumer.nack(&bed, got, false));
                assert_eq!(consumer.all(&bed), []);
                consumer.cut(&bed);
            };
            publish(&bed, "x");
            reject_all(QUEUE);
            publish_to(&bed, DEAD, "own", &[]).unwrap();
            assert_eq!(held(&bed, DEAD), Some(2));
            reject_all(DEAD);
            assert_eq!(held(&bed, DEAD), None);
            if grave != DEAD {
                assert_eq!(emptied(&bed, grave), "own");
            }
        });
        let own = u64::from(grave != DEAD);
        assert_eq!((dead_lettered(&meters, "rejected"), dropped(&meters, "rejected")), (1 + own, 2 - own));
    }
}

#[test]
fn a_dead_letter_has_the_time_of_where_it_is_and_not_its_own() {
    let mut config = broker_config(|broker| broker.queue.dead_letter = Some(DEAD.into()));
    config.destinations = vec![rule(DEAD, Queue { ttl: seconds(60), ..Queue::default() })];
    let mut bed = Bed::new(&config);
    publish_expiring(&bed, "x", 1000);
    bed.idle(seconds(50));
    assert_eq!(held(&bed, DEAD), Some(1));
    let mut undertaker = Peer::consuming(&bed, DEAD, &[INDIVIDUAL]);
    assert_eq!(header(&undertaker.one(&bed).unwrap(), "expiration"), None);
    undertaker.cut(&bed);
    bed.idle(seconds(12));
    assert!(bed.gateway.broker().is_empty());
}

#[test]
fn a_full_place_for_dead_letters_loses_them_and_nothing_else() {
    let ((), meters) = record(|| {
        let mut config = broker_config(|broker| broker.queue.dead_letter = Some(DEAD.into()));
        config.destinations = vec![rule(DEAD, Queue { messages: 1, ..Queue::default() })];
        let mut bed = Bed::new(&config);
        for number in 1..=3 {
            publish_expiring(&bed, &number.to_string(), 1000);
        }
        publish(&bed, "alive");
        bed.idle(seconds(1) + LATE);
        assert_eq!(dead(&bed), ["1 /queue/q expired"]);
        assert_eq!(emptied(&bed, QUEUE), "alive");
        assert!(bed.gateway.broker().is_empty());
    });
    assert_eq!((dead_lettered(&meters, "expired"), dropped(&meters, "expired")), (1, 2));
    assert_eq!(meters.limit("queue_messages"), 2);
}

#[test]
fn dead_letters_may_go_to_a_topic() {
    let bed = bed(|broker| broker.queue.dead_letter = Some("/topic/dead".into()));
    let mut member = Member::new(&bed);
    let membership = member.join(&bed, QUEUE, Wishes::of(AckMode::Client)).unwrap();
    let mut listener = Peer::consuming(&bed, "/topic/#", &[]);
    publish(&bed, "x");
    let tag = member.all(&bed)[0].ack.unwrap().1;
    membership.acknowledge(Named::UpTo(tag), Verdict::Reject, bed.now).unwrap();
    let letter = listener.one(&bed).unwrap();
    assert_eq!(header(&letter, "destination"), Some("/topic/dead"));
    assert_eq!(header(&letter, "x-dead-letter-from"), Some(QUEUE));
}

/// The messages of a topic's subscriber wait in a queue of its own; what is dropped there was dropped for one of many, and
/// is no dead letter. If it were, publishing to a topic would publish to another in the middle of it.
#[test]
fn what_a_slow_subscriber_of_a_topic_misses_is_no_dead_letter() {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        let ((), meters) = record(|| {
            let mut config = broker_config(|broker| {
                (broker.max_unacked, broker.queue.dead_letter) = (2, Some("/topic/dead".into()));
            });
            let overflow = Overflow::DropOldest;
            config.destinations = vec![Destination { overflow, ..rule("/topic/**", Queue::default()) }];
            let bed = Bed::new(&config);
            let mut slow = Peer::consuming(&bed, "/topic/#", &[INDIVIDUAL, ("prefetch-count", "1")]);
            for body in ["1", "2", "3"] {
                publish_to(&bed, "/topic/dead", body, &[]).unwrap();
            }
            let read = slow.all(&bed);
            slow.nack(&bed, &read[0], false);
            assert_eq!(slow.bodies(&bed), ["3"]);
        });
        let _ = done.send((dropped(&meters, "queue-full"), dropped(&meters, "rejected")));
    });
    let counted = finished.recv_timeout(Duration::from_secs(60)).expect("the broker waits for itself");
    assert_eq!(counted, (1, 1));
}

#[test]
fn a_timer_that_nobody_needs_any_more_wakes_nobody_up() {
    let mut bed = bed(|_| {});
    publish_expiring(&bed, "x", 50_000);
    assert_eq!(emptied(&bed, QUEUE), "x");
    // Of an alarm that was set, no more than one look is left.
    bed.idle(seconds(60) + TICK);
    let waker = std::task::Waker::noop();
    let next = bed.gateway.deadlines().poll_timeout(&mut std::task::Context::from_waker(waker));
    assert_eq!(next, None);
}
