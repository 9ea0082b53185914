//! The embedded broker without any protocol: who receives what, in which order, and what is left when nobody listens.

mod bed;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Instant;

use bed::stomp::VERSIONS;
use bed::{Bed, Reader, config};
use bytes::Bytes;
use towpath::broker::{Broker, BrokerError, DestinationError, Membership, Subscribing, TopicPrefixes};
use towpath::config::{Config, Service};
use towpath::session::{Session, Subscription};
use towpath::stomp::{Headers, Version};

/// A bed whose sessions take whatever comes.
fn roomy() -> Bed {
    Bed::new(&roomy_config())
}

fn roomy_config() -> Config {
    config(Service::Stomp, |endpoint| {
        endpoint.outbox_messages = 1_000_000;
        endpoint.outbox_bytes = 1 << 30;
    })
}

/// A subscriber on a raw websocket, without STOMP in between.
struct Listener {
    reader: Reader,
    membership: Membership,
}

/// A subscription of that session.
fn subscribe(bed: &Bed, session: &Arc<Session>, destination: &str) -> Result<Membership, BrokerError> {
    let subscription = Subscription::new(Arc::clone(session), Version::V1_2, Some("s"));
    bed.gateway.broker().subscribe(Subscribing::plain(destination, &subscription), bed.now)
}

impl Listener {
    fn join(bed: &Bed, destination: &str) -> Self {
        Self::try_join(bed, destination).unwrap_or_else(|error| panic!("{destination}: {error}"))
    }

    fn try_join(bed: &Bed, destination: &str) -> Result<Self, BrokerError> {
        let reader = bed.raw_socket();
        let membership = subscribe(bed, &reader.session, destination)?;
        Ok(Self { reader, membership })
    }

    fn leave(&self, bed: &Bed) {
        bed.gateway.broker().unsubscribe(&self.membership, bed.now);
    }

    /// What it has received since the last time: destination, message-id and body of each.
    fn received(&mut self, bed: &Bed) -> Vec<(String, u64, String)> {
        self.reader.now(bed).iter().map(|frame| taken_apart(frame)).collect()
    }

    fn bodies(&mut self, bed: &Bed) -> Vec<String> {
        self.received(bed).into_iter().map(|(_, _, body)| body).collect()
    }
}

fn taken_apart(frame: &str) -> (String, u64, String) {
    let header = |name: &str| {
        let start = frame.find(&format!("\n{name}:")).unwrap_or_else(|| panic!("{name} in {frame:?}")) + name.len() + 2;
        frame[start..].split('\n').next().unwrap().to_owned()
    };
    let body = frame.split_once("\n\n").expect("an empty line").1.trim_end_matches('\0');
    (header("destination"), header("message-id").parse().expect("a number"), body.to_owned())
}

fn publish(broker: &Broker, destination: &str, body: &str) -> Result<usize, BrokerError> {
    let sent = broker.send(destination, Headers::new(), Bytes::from(body.to_owned()), Instant::now());
    sent.map(|reach| reach.receivers)
}

fn published(bed: &Bed, destination: &str, body: &str) -> usize {
    publish(bed.gateway.broker(), destination, body).unwrap_or_else(|error| panic!("{destination}: {error}"))
}

// ---- who receives ----

#[test]
fn every_subscriber_of_a_topic_receives_and_nobody_else() {
    let bed = roomy();
    let mut listeners = ["/topic/a", "/topic/a", "/topic/b", "/topic/A", "/topic/a.b", "/topic/a/"]
        .map(|destination| Listener::join(&bed, destination));
    assert_eq!(published(&bed, "/topic/a", "x"), 2);
    let received = listeners.each_mut().map(|listener| listener.bodies(&bed).len());
    assert_eq!(received, [1, 1, 0, 0, 0, 0]);
}

#[test]
fn a_publication_without_subscribers_is_nothing_wrong_and_leaves_no_trace() {
    let bed = roomy();
    for number in 0..1000 {
        assert_eq!(published(&bed, &format!("/topic/{number}"), "x"), 0);
    }
    assert!(bed.gateway.broker().is_empty());
    let mut late = Listener::join(&bed, "/topic/0");
    assert!(late.bodies(&bed).is_empty(), "topics keep nothing");
}

#[test]
fn exact_and_pattern_subscribers_receive_one_copy_for_each_subscription() {
    let bed = roomy();
    let mut exact = Listener::join(&bed, "/topic/a.b");
    let mut star = Listener::join(&bed, "/topic/a.*");
    let mut hash = Listener::join(&bed, "/topic/#");
    // A second subscription of the same session.
    subscribe(&bed, &hash.reader.session, "/topic/**").unwrap();
    assert_eq!(published(&bed, "/topic/a.b", "x"), 4);
    let counts = [exact.bodies(&bed).len(), star.bodies(&bed).len(), hash.bodies(&bed).len()];
    assert_eq!(counts, [1, 1, 2]);
}

#[test]
fn patterns_count_from_when_they_come_to_when_they_go() {
    let bed = roomy();
    let mut exact = Listener::join(&bed, "/topic/a");
    published(&bed, "/topic/a", "1");
    let mut pattern = Listener::join(&bed, "/topic/*");
    published(&bed, "/topic/a", "2");
    published(&bed, "/topic/b", "3");
    pattern.leave(&bed);
    published(&bed, "/topic/a", "4");
    let mut again = Listener::join(&bed, "/topic/*");
    published(&bed, "/topic/a", "5");
    assert_eq!(exact.bodies(&bed), ["1", "2", "4", "5"]);
    assert!(pattern.bodies(&bed).is_empty(), "it left before it read");
    assert_eq!(again.bodies(&bed), ["5"]);
}

#[test]
fn the_message_names_the_destination_it_was_sent_to_and_an_id_of_its_own() {
    let bed = roomy();
    let mut pattern = Listener::join(&bed, "/topic/#");
    for destination in ["/topic/a", "/topic/b.c", "/topic/a"] {
        published(&bed, destination, "x");
    }
    let received = pattern.received(&bed);
    let destinations: Vec<_> = received.iter().map(|(destination, _, _)| &**destination).collect();
    assert_eq!(destinations, ["/topic/a", "/topic/b.c", "/topic/a"]);
    let ids: std::collections::HashSet<_> = received.iter().map(|(_, id, _)| id).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn what_waits_for_a_subscription_is_not_sent_once_it_has_left() {
    let bed = roomy();
    let mut leaver = Listener::join(&bed, "/topic/a");
    published(&bed, "/topic/a", "1");
    subscribe(&bed, &leaver.reader.session, "/topic/b").unwrap();
    published(&bed, "/topic/b", "2");
    published(&bed, "/topic/a", "3");
    leaver.leave(&bed);
    assert_eq!(leaver.bodies(&bed), ["2"]);
    assert_eq!(leaver.reader.session.backlog(), (0, 0));
    published(&bed, "/topic/a", "4");
    assert!(leaver.bodies(&bed).is_empty());
}

#[test]
fn leaving_twice_changes_nothing() {
    let bed = roomy();
    let mut stays = Listener::join(&bed, "/topic/a");
    let leaver = Listener::join(&bed, "/topic/a");
    leaver.leave(&bed);
    leaver.leave(&bed);
    assert_eq!(published(&bed, "/topic/a", "x"), 1);
    assert_eq!(stays.bodies(&bed), ["x"]);
}

#[test]
fn any_of_many_subscribers_can_leave_in_any_order() {
    let bed = roomy();
    for destination in ["/topic/a", "/topic/*"] {
        let mut listeners: Vec<_> = (0..300).map(|_| Listener::join(&bed, destination)).collect();
        // 7 and 300 have no common divisor, so this visits every place once.
        for step in 0..300 {
            assert_eq!(published(&bed, "/topic/a", "x"), 300 - step);
            listeners[step * 7 % 300].leave(&bed);
        }
        assert_eq!(published(&bed, "/topic/a", "x"), 0);
        assert_eq!(bed.gateway.broker().len().1, 0);
        for listener in &mut listeners {
            assert!(listener.bodies(&bed).is_empty());
        }
    }
}

// ---- refusals ----

#[test]
fn what_is_no_topic_is_refused() {
    let bed = roomy();
    let broker = bed.gateway.broker();
    let unknown = || DestinationError::Unknown(TopicPrefixes::default()).into();
    for destination in ["/quote/a", "", "topic/a", "/app/a"] {
        assert_eq!(publish(broker, destination, "x"), Err(unknown()));
        assert_eq!(Listener::try_join(&bed, destination).err(), Some(unknown()));
    }
    assert_eq!(publish(broker, "/topic/*", "x"), Err(DestinationError::PatternInSend.into()));
    assert_eq!(publish(broker, "/topic/a.#", "x"), Err(DestinationError::PatternInSend.into()));
    assert!(broker.is_empty());
}

#[test]
fn one_destination_too_many_is_refused_and_the_others_live_on() {
    let mut config = roomy_config();
    config.broker.max_destinations = 3;
    let bed = Bed::new(&config);
    let mut listeners = ["/topic/1", "/topic/2", "/topic/3"].map(|destination| Listener::join(&bed, destination));
    assert_eq!(Listener::try_join(&bed, "/topic/4").err(), Some(BrokerError::TooManyDestinations(3)));
    assert!(Listener::try_join(&bed, "/topic/3").is_ok(), "a destination that is there takes more subscribers");
    assert_eq!(published(&bed, "/topic/4", "x"), 0, "nobody listens there, so nothing is made");
    for (number, listener) in (1..).zip(&mut listeners) {
        published(&bed, &format!("/topic/{number}"), "x");
        assert_eq!(listener.bodies(&bed), ["x"]);
    }
    listeners[0].leave(&bed);
    assert!(Listener::try_join(&bed, "/topic/4").is_ok());
}

#[test]
fn one_pattern_too_many_is_refused_and_the_others_live_on() {
    let mut config = roomy_config();
    config.broker.max_patterns = 2;
    let bed = Bed::new(&config);
    let mut listeners = ["/topic/*", "/topic/#"].map(|destination| Listener::join(&bed, destination));
    assert_eq!(Listener::try_join(&bed, "/topic/*.b").err(), Some(BrokerError::TooManyPatterns(2)));
    assert!(Listener::try_join(&bed, "/topic/#").is_ok(), "a pattern that is there takes more subscribers");
    published(&bed, "/topic/a", "x");
    for listener in &mut listeners {
        assert_eq!(listener.bodies(&bed), ["x"]);
    }
    listeners[0].leave(&bed);
    assert!(Listener::try_join(&bed, "/topic/*.b").is_ok());
}

/// Topics that only publishing to patterns made are no reason to refuse: they are made again when needed.
#[test]
fn names_that_only_patterns_listen_to_never_fill_the_broker() {
    let mut config = roomy_config();
    config.broker.max_destinations = 4;
    let bed = Bed::new(&config);
    let mut pattern = Listener::join(&bed, "/topic/#");
    let mut exact = Listener::join(&bed, "/topic/exact");
    for number in 0..100 {
        assert_eq!(published(&bed, &format!("/topic/{number}"), "x"), 1);
        assert!(bed.gateway.broker().len().0 <= 4);
    }
    assert_eq!(published(&bed, "/topic/exact", "y"), 2);
    assert_eq!(pattern.bodies(&bed).len(), 101);
    assert_eq!(exact.bodies(&bed), ["y"]);
    let _more: Vec<_> = (0..3).map(|number| Listener::join(&bed, &format!("/topic/new-{number}"))).collect();
}

#[test]
fn topics_and_patterns_vanish_with_their_last_subscriber() {
    let bed = roomy();
    let listeners: Vec<_> = (0..50)
        .flat_map(|number| [format!("/topic/{number}"), format!("/topic/{number}.*"), format!("/topic/{number}")])
        .map(|destination| Listener::join(&bed, &destination))
        .collect();
    assert_eq!(bed.gateway.broker().len(), (50, 50));
    for listener in &listeners {
        listener.leave(&bed);
    }
    assert!(bed.gateway.broker().is_empty());
}

#[test]
fn topics_made_for_patterns_vanish_with_the_last_pattern() {
    let bed = roomy();
    let (first, second) = (Listener::join(&bed, "/topic/#"), Listener::join(&bed, "/topic/*"));
    let mut exact = Listener::join(&bed, "/topic/5");
    for number in 0..10 {
        published(&bed, &format!("/topic/{number}"), "x");
    }
    first.leave(&bed);
    assert_eq!(published(&bed, "/topic/5", "y"), 2);
    second.leave(&bed);
    assert_eq!(bed.gateway.broker().len(), (1, 0));
    assert_eq!(published(&bed, "/topic/5", "z"), 1);
    assert_eq!(exact.bodies(&bed), ["x", "y", "z"]);
}

// ---- order ----

const PUBLISHERS: usize = 4;
const EACH: usize = 400;

/// Several threads publish to one topic while subscribers and patterns come and go. Whoever listens sees one order, the
/// same as everybody else, and each publisher's messages in the order in which it sent them.
#[test]
fn all_subscribers_see_one_order_and_every_publisher_keeps_its_own() {
    let bed = roomy();
    let broker = bed.gateway.broker();
    let mut listeners: Vec<_> = ["/topic/a.b", "/topic/a.b", "/topic/a.*", "/topic/#", "/topic/**", "/topic/*.b"]
        .into_iter()
        .map(|destination| Listener::join(&bed, destination))
        .collect();
    let late = Mutex::new(vec![]);
    let busy = AtomicBool::new(true);
    let start = Barrier::new(PUBLISHERS + 2);
    std::thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    for number in 0..EACH {
                        publish(broker, "/topic/a.b", &format!("{publisher} {number}")).unwrap();
                    }
                })
            })
            .collect();
        // Patterns that come and go make every publication look up its matches again.
        scope.spawn(|| {
            start.wait();
            while busy.load(Ordering::Relaxed) {
                let passer_by = Listener::join(&bed, "/topic/a.#");
                passer_by.leave(&bed);
            }
        });
        scope.spawn(|| {
            start.wait();
            for number in 0..40 {
                let destination = if number % 2 == 0 { "/topic/a.b" } else { "/topic/*.*" };
                late.lock().unwrap().push(Listener::join(&bed, destination));
                std::thread::yield_now();
            }
        });
        for publisher in publishers {
            publisher.join().unwrap();
        }
        busy.store(false, Ordering::Relaxed);
    });

    let order: Vec<u64> = listeners[0].received(&bed).into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(order.len(), PUBLISHERS * EACH);
    for listener in &mut listeners[1..] {
        let received = listener.received(&bed);
        let mut next = HashMap::new();
        for (_, _, body) in &received {
            let (publisher, number) = body.split_once(' ').unwrap();
            let expected: &mut usize = next.entry(publisher.to_owned()).or_default();
            assert_eq!(number, expected.to_string(), "publisher {publisher}");
            *expected += 1;
        }
        let ids: Vec<_> = received.into_iter().map(|(_, id, _)| id).collect();
        assert_eq!(ids, order);
    }
    for listener in &mut late.into_inner().unwrap() {
        let ids: Vec<_> = listener.received(&bed).into_iter().map(|(_, id, _)| id).collect();
        assert!(order.ends_with(&ids), "whoever joins late sees the rest of the same order");
    }
}

/// Topics that die and are born again under the publishers' hands lose nothing and mix nothing up.
#[test]
fn order_and_completeness_survive_topics_that_come_and_go() {
    let mut config = roomy_config();
    config.broker.max_destinations = 3;
    let bed = Bed::new(&config);
    let broker = bed.gateway.broker();
    let mut patterns = ["/topic/#", "/topic/*"].map(|destination| Listener::join(&bed, destination));
    let start = Barrier::new(PUBLISHERS + 1);
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                for number in 0..EACH {
                    // More names than there is room for.
                    let destination = format!("/topic/{}", number % 7);
                    publish(broker, &destination, &format!("{publisher} {number}")).unwrap();
                }
            });
        }
        scope.spawn(|| {
            start.wait();
            for number in 0..EACH {
                if let Ok(passer_by) = Listener::try_join(&bed, &format!("/topic/{}", number % 7)) {
                    passer_by.leave(&bed);
                }
            }
        });
    });
    let [first, second] = patterns.each_mut().map(|listener| listener.received(&bed));
    assert_eq!(first.len(), PUBLISHERS * EACH);
    let by_destination = |received: &[(String, u64, String)]| {
        let mut map: HashMap<String, Vec<u64>> = HashMap::new();
        for (destination, id, _) in received {
            map.entry(destination.clone()).or_default().push(*id);
        }
        map
    };
    assert_eq!(by_destination(&first), by_destination(&second), "each destination has one order");
    for publisher in 0..PUBLISHERS {
        for destination in 0..7 {
            let own = first.iter().filter(|(name, _, _)| *name == format!("/topic/{destination}"));
            let numbers: Vec<usize> = own
                .filter_map(|(_, _, body)| body.strip_prefix(&format!("{publisher} ")))
                .map(|number| number.parse().unwrap())
                .collect();
            assert!(numbers.is_sorted() && numbers.len() == EACH.div_ceil(7) - usize::from(destination > EACH % 7 - 1));
        }
    }
}

/// A topic dies with its last subscriber and is made anew for the next, again and again, while three threads publish to it: the
/// old one and the new one must never deliver side by side.
#[test]
fn a_topic_that_is_made_anew_takes_over_in_order() {
    let bed = roomy();
    let broker = bed.gateway.broker();
    // The more there is to deliver to, the longer two deliveries have to get in each other's way.
    let patterns = ["/topic/#", "/topic/*", "/topic/#.#", "/topic/*.#", "/topic/#/*", "/topic/#.#.#", "/topic/*.#.#"];
    let mut patterns = patterns.map(|destination| Listener::join(&bed, destination));
    let session = Arc::clone(&bed.raw_socket().session);
    let busy = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let publishers: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| (0..4000).for_each(|_| _ = publish(broker, "/topic/a", "x").unwrap())))
            .collect();
        scope.spawn(|| {
            while busy.load(Ordering::Relaxed) {
                let membership = subscribe(&bed, &session, "/topic/a").unwrap();
                broker.unsubscribe(&membership, bed.now);
            }
        });
        for publisher in publishers {
            publisher.join().unwrap();
        }
        busy.store(false, Ordering::Relaxed);
    });
    let orders = patterns
        .each_mut()
        .map(|listener| listener.received(&bed).into_iter().map(|(_, id, _)| id).collect::<Vec<_>>());
    for order in &orders {
        assert_eq!(order.len(), 12_000);
        assert!(*order == orders[0], "all see the same order");
    }
}

/// Whoever subscribes while somebody else's departure ends the topic is not left behind in the one that is gone.
#[test]
fn nobody_subscribes_to_a_topic_that_is_just_ending() {
    let bed = roomy();
    let broker = bed.gateway.broker();
    let start = Barrier::new(3);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (bed, start) = (&bed, &start);
            scope.spawn(move || {
                let mut listener = Listener::join(bed, "/topic/own");
                start.wait();
                for round in 0..5000 {
                    listener.membership = subscribe(bed, &listener.reader.session, "/topic/a").unwrap();
                    let body = format!("{thread} {round}");
                    publish(broker, "/topic/a", &body).unwrap();
                    assert!(listener.bodies(bed).contains(&body), "{body}");
                    listener.leave(bed);
                }
            });
        }
    });
    assert_eq!(broker.len(), (1, 0));
}

/// A subscription that is in force misses nothing of what begins after it, whoever publishes.
#[test]
fn a_publication_that_begins_after_subscribing_is_delivered() {
    let bed = roomy();
    let broker = bed.gateway.broker();
    for round in 0..200 {
        let destination = ["/topic/a", "/topic/*"][round % 2];
        let mut listener = Listener::join(&bed, destination);
        std::thread::scope(|scope| {
            scope.spawn(|| publish(broker, "/topic/a", "x").unwrap());
            scope.spawn(|| Listener::join(&bed, "/topic/a").leave(&bed));
            scope.spawn(|| Listener::join(&bed, "/topic/#").leave(&bed));
        });
        assert_eq!(listener.bodies(&bed), ["x"], "round {round}");
        listener.leave(&bed);
    }
}

#[test]
fn every_version_reads_its_own_headers() {
    let bed = roomy();
    for version in VERSIONS {
        let mut reader = bed.raw_socket();
        let subscription = Subscription::new(Arc::clone(&reader.session), version, Some("a:b"));
        let asked = Subscribing::plain("/topic/a", &subscription);
        let membership = bed.gateway.broker().subscribe(asked, bed.now).unwrap();
        let headers = [("k:ey", "va\\lue")].into_iter().collect();
        bed.gateway.broker().send("/topic/a", headers, Bytes::from_static(b"x"), bed.now).unwrap();
        let frame = reader.now(&bed).remove(0);
        let expected = if version == Version::V1_0 {
            "MESSAGE\nsubscription:a:b\nmessage-id:"
        } else {
            "MESSAGE\nsubscription:a\\cb\nmessage-id:"
        };
        assert!(frame.starts_with(expected), "{frame:?}");
        assert_eq!(frame.contains("k\\cey:va\\\\lue\n"), version != Version::V1_0, "{frame:?}");
        bed.gateway.broker().unsubscribe(&membership, bed.now);
    }
}
