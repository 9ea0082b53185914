//! Topics: every subscriber gets every message, in one order for all.
//!
//! A publication takes its topic's lock and hands itself to the exact subscribers and to those of every matching pattern.
//! Which patterns match is worked out once for a topic and kept until some pattern comes or goes, so neither other topics
//! nor patterns that do not match cost a publication anything.
//!
//! Lock order: map, then topic, then patterns, then one pattern's subscribers, then an outbox. No two topics at once but
//! under the map's write lock.
//!
//! A topic whose rule says so keeps its last messages. Who asks for them gets them under the topic's lock, before it is
//! one of the subscribers: nothing falls between the past and the present, and nothing comes twice.
//!
//! Does not know: STOMP, sessions beyond their outboxes, or destinations that are no topics.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};

use super::history::{Budget, History, Past};
use super::listing::{self, Listed};
use super::pattern::{Pattern, Trie};
use super::rules::{Rule, Rules};
use super::subscribers::{Reach, Subscriber, Subscribers};
use super::timers::{Timed, Timer, Timers};
use super::{BrokerError, meters};
use crate::config;
use crate::publication::Publication;
use crate::session::Subscription;

/// All topics, and all patterns over them.
pub(super) struct Topics {
    max_topics: usize,
    max_patterns: usize,
    rules: Arc<Rules>,
    histories: Arc<Budget>,
    timers: Arc<Timers>,
    map: Arc<RwLock<Map>>,
    patterns: RwLock<Trie<Arc<Group>>>,
    /// Counts every change of the set of patterns.
    edition: AtomicU64,
}

#[derive(Default)]
struct Map {
    by_name: HashMap<Box<str>, Arc<Topic>>,
    /// The topics that publishing made for patterns since the last sweep. Some may have gone since, or have found
    /// subscribers of their own.
    made: Vec<Box<str>>,
    /// No topic that has gone gave a message this offset or a higher one.
    free_offset: u64,
}

pub(super) struct Topic {
    name: Box<str>,
    rule: Arc<Rule>,
    map: Weak<RwLock<Map>>,
    me: Weak<Topic>,
    state: Mutex<TopicState>,
}

struct TopicState {
    /// Taken out of the map; whoever still holds it must look again.
    dead: bool,
    subscribers: Subscribers,
    matching: Vec<Arc<Group>>,
    /// The edition of the pattern set that `matching` is of; zero for none yet.
    edition: u64,
    history: Option<History>,
    timer: Timer,
}

/// The subscribers of one pattern.
struct Group {
    /// The pattern as its first subscriber wrote it.
    text: Box<str>,
    subscribers: Mutex<Subscribers>,
}

impl Topics {
    pub fn new(settings: &config::Broker, rules: Arc<Rules>, timers: Arc<Timers>) -> Self {
        Self {
            max_topics: settings.max_destinations,
            max_patterns: settings.max_patterns,
            rules,
            histories: Budget::new(settings.history_bytes),
            timers,
            map: Arc::new(RwLock::new(Map { free_offset: 1, ..Map::default() })),
            patterns: RwLock::default(),
            edition: AtomicU64::new(1),
        }
    }

    /// The topic that a message to that name goes to, or none if nobody would get it, now or later: a name that nobody
    /// listens to leaves no trace.
    pub fn find(&self, name: &str) -> Result<Option<Arc<Topic>>, BrokerError> {
        if let Some(topic) = self.map.read().by_name.get(name) {
            return Ok(Some(Arc::clone(topic)));
        }
        if self.rules.of(name).history.is_none() && self.patterns.read().matching(name).is_empty() {
            return Ok(None);
        }
        self.topic(name, Maker::Publisher).map(Some)
    }

    /// Delivers to all subscribers of the topic, which [`find`](Self::find) found for a message to that name.
    pub fn publish(&self, mut topic: Arc<Topic>, mut publication: Publication, now: Instant) -> Reach {
        loop {
            let mut guard = topic.state.lock();
            let state = &mut *guard;
            if state.dead {
                drop(guard);
                // It went since it was found. If its name finds no room again, nobody but patterns listened to it.
                let Ok(Some(next)) = self.find(&topic.name) else { return Reach::default() };
                topic = next;
                continue;
            }
            let name = &*topic.name;
            self.refresh(state, name);
            let overflow = topic.rule.overflow(name, publication.headers());
            publication = publication.with_overflow(overflow);
            if let Some(history) = &state.history {
                publication = publication.with_offset(history.next_offset());
            }
            let publication = Arc::new(publication);
            let mut reach = state.subscribers.deliver(&publication, now);
            for group in &state.matching {
                reach += group.subscribers.lock().deliver(&publication, now);
            }
            if let Some(history) = &mut state.history {
                history.keep(&publication, now);
                if let Some(expiry) = history.next_expiry() {
                    state.timer.set(expiry, || topic.me.clone());
                }
            }
            return reach;
        }
    }

    /// Adds a subscriber, who gets that much of the past first.
    pub fn subscribe(&self, name: &str, subscriber: &Subscriber, past: Past, now: Instant) -> Result<(), BrokerError> {
        loop {
            let topic = self.topic(name, Maker::Subscriber)?;
            let mut state = topic.state.lock();
            if state.dead {
                continue;
            }
            if let Some(history) = &mut state.history {
                for publication in history.last(past, now) {
                    subscriber.replay(publication, now);
                }
            }
            state.subscribers.add(subscriber.clone());
            return Ok(());
        }
    }

    pub fn unsubscribe(&self, name: &str, subscription: &Arc<Subscription>) {
        let Some(topic) = self.map.read().by_name.get(name).cloned() else { return };
        let unused = {
            let mut state = topic.state.lock();
            state.subscribers.remove(subscription);
            state.is_unused()
        };
        if unused {
            self.map.write().remove_unused(name);
        }
    }

    pub fn subscribe_pattern(&self, pattern: &Pattern<'_>, subscriber: &Subscriber) -> Result<(), BrokerError> {
        let mut patterns = self.patterns.write();
        if let Some(group) = patterns.find(pattern) {
            group.subscribers.lock().add(subscriber.clone());
            return Ok(());
        }
        if patterns.len() >= self.max_patterns {
            meters::limit_reached("max_patterns");
            return Err(BrokerError::TooManyPatterns(self.max_patterns));
        }
        let group = Arc::new(Group { text: pattern.as_str().into(), subscribers: Mutex::default() });
        group.subscribers.lock().add(subscriber.clone());
        patterns.insert(pattern, group);
        // Under the write lock, so that nobody keeps an older match under the new number.
        self.edition.fetch_add(1, Ordering::Release);
        Ok(())
    }

    pub fn unsubscribe_pattern(&self, pattern: &Pattern<'_>, subscription: &Arc<Subscription>) {
        let mut patterns = self.patterns.write();
        let Some(group) = patterns.find(pattern) else { return };
        let unused = {
            let mut subscribers = group.subscribers.lock();
            subscribers.remove(subscription);
            subscribers.is_empty()
        };
        if !unused {
            return;
        }
        patterns.remove(pattern);
        self.edition.fetch_add(1, Ordering::Release);
        let last = patterns.len() == 0;
        drop(patterns);
        if last {
            // Without patterns nobody listens to the topics that were made for them.
            self.map.write().sweep();
        }
    }

    pub fn len(&self) -> (usize, usize) {
        (self.map.read().by_name.len(), self.patterns.read().len())
    }

    /// See [`Broker::list`](super::Broker::list).
    pub fn list(&self, after: Option<&str>, most: usize) -> Vec<Listed> {
        let page: Vec<_> = {
            let map = self.map.read();
            let names = map.by_name.iter().map(|(name, topic)| (&**name, topic));
            listing::page(names, after, most).map(|(_, topic)| Arc::clone(topic)).collect()
        };
        let listed = |topic: Arc<Topic>| {
            let subscribers = topic.state.lock().subscribers.len();
            Listed::Topic { name: topic.name.clone(), subscribers }
        };
        page.into_iter().map(listed).collect()
    }

    /// The same for patterns.
    pub fn list_patterns(&self, after: Option<&str>, most: usize) -> Vec<Listed> {
        let page: Vec<_> = {
            let patterns = self.patterns.read();
            let texts = patterns.values().map(|group| (&*group.text, group));
            listing::page(texts, after, most).map(|(_, group)| Arc::clone(group)).collect()
        };
        let listed = |group: Arc<Group>| {
            let subscribers = group.subscribers.lock().len();
            Listed::Pattern { name: group.text.clone(), subscribers }
        };
        page.into_iter().map(listed).collect()
    }

    /// The topic of that name, made if need be.
    fn topic(&self, name: &str, maker: Maker) -> Result<Arc<Topic>, BrokerError> {
        if let Some(topic) = self.map.read().by_name.get(name) {
            return Ok(Arc::clone(topic));
        }
        let mut map = self.map.write();
        if let Some(topic) = map.by_name.get(name) {
            return Ok(Arc::clone(topic));
        }
        if map.by_name.len() >= self.max_topics || map.made.len() >= self.max_topics {
            map.sweep();
        }
        if map.by_name.len() >= self.max_topics {
            meters::limit_reached("max_destinations");
            return Err(BrokerError::TooManyDestinations(self.max_topics));
        }
        let rule = Arc::clone(self.rules.of(name));
        let kept = rule.history.clone();
        let history = kept.map(|settings| History::new(settings, Arc::clone(&self.histories), map.free_offset));
        let topic = Arc::new_cyclic(|me| Topic {
            name: name.into(),
            rule,
            map: Arc::downgrade(&self.map),
            me: Weak::clone(me),
            state: Mutex::new(TopicState {
                dead: false,
                subscribers: Subscribers::default(),
                matching: Vec::new(),
                edition: 0,
                history,
                timer: self.timers.timer(),
            }),
        });
        map.by_name.insert(name.into(), Arc::clone(&topic));
        if maker == Maker::Publisher {
            map.made.push(name.into());
        }
        meters::destinations(map.by_name.len());
        Ok(topic)
    }

    fn refresh(&self, state: &mut TopicState, name: &str) {
        let edition = self.edition.load(Ordering::Acquire);
        if state.edition == edition {
            return;
        }
        let patterns = self.patterns.read();
        // Read again: under the lock number and set belong together.
        state.edition = self.edition.load(Ordering::Acquire);
        state.matching = patterns.matching(name).into_iter().cloned().collect();
    }
}

#[derive(PartialEq, Eq)]
enum Maker {
    Publisher,
    Subscriber,
}

/// Topics leave the map under its write lock and their own, so that nobody publishes to one that others no longer find.
impl Map {
    fn remove_unused(&mut self, name: &str) {
        let retired = self.by_name.get(name).and_then(|topic| topic.retire());
        if let Some(free_offset) = retired {
            self.free_offset = self.free_offset.max(free_offset);
            self.by_name.remove(name);
            meters::destinations(self.by_name.len());
        }
    }

    /// Takes out what only patterns listen to; such a topic can be made again. A sweep looks at each topic that publishing
    /// made, once: whatever flood of names comes, it costs no more than making them did.
    fn sweep(&mut self) {
        for name in std::mem::take(&mut self.made) {
            self.remove_unused(&name);
        }
    }
}

impl Topic {
    /// Declares the topic dead if it has no subscribers of its own and keeps nothing. Gives the first offset that it has
    /// not used.
    fn retire(&self) -> Option<u64> {
        let mut state = self.state.lock();
        if !state.is_unused() {
            return None;
        }
        state.dead = true;
        Some(state.history.as_ref().map_or(0, History::next_offset))
    }
}

impl TopicState {
    fn is_unused(&self) -> bool {
        self.subscribers.is_empty() && self.history.as_ref().is_none_or(History::is_empty)
    }
}

impl Timed for Topic {
    /// Forgets what has become too old.
    fn fire(&self, now: Instant) {
        let unused = {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            let Some(history) = &mut state.history else { return };
            history.forget_aged(now);
            state.timer.fired(history.next_expiry(), now, self.me.clone());
            state.is_unused()
        };
        if unused && let Some(map) = self.map.upgrade() {
            map.write().remove_unused(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::config;
    use crate::session::{Carrier, CloseReason, Deadlines, Message, Protocol, Session};
    use crate::stomp::{Headers, Version};

    struct Mute;

    impl Protocol for Mute {
        fn receive(&mut self, _: &Arc<Session>, _: Message, _: Instant) -> Result<(), CloseReason> {
            Ok(())
        }
    }

    struct Bench {
        topics: Topics,
        now: Instant,
    }

    impl Bench {
        fn new(max_destinations: usize, max_patterns: usize) -> Self {
            let now = Instant::now();
            let settings = config::Broker { max_destinations, max_patterns, ..config::Broker::default() };
            let rules = Arc::new(Rules::new(&settings, &[]));
            let timers = Timers::new(Arc::new(Deadlines::new(now)));
            Self { topics: Topics::new(&settings, rules, timers), now }
        }

        fn subscriber(&self) -> Subscriber {
            let (settings, deadlines) = (Arc::default(), Arc::new(Deadlines::new(self.now)));
            let session =
                Session::new(Default::default(), Carrier::Http, settings, deadlines, Box::new(Mute), self.now);
            Subscriber::Plain(Subscription::new(session, Version::V1_2, Some("1")))
        }

        fn publish(&self, name: &str) -> usize {
            let publication = Publication::new(1, name, Headers::new(), Bytes::new());
            let topic = self.topics.find(name).unwrap();
            topic.map_or(0, |topic| self.topics.publish(topic, publication, self.now).receivers)
        }

        fn subscribe(&self, name: &str, subscriber: &Subscriber) {
            self.topics.subscribe(name, subscriber, Past { messages: 0, bytes: 0 }, self.now).unwrap();
        }
    }

    /// A list that only ever grew would be a leak; one that forgot a name would leave its topic for ever.
    #[test]
    fn the_list_of_made_topics_is_bounded_and_complete() {
        let bench = Bench::new(10, 10);
        bench.topics.subscribe_pattern(&Pattern::new("/topic/#"), &bench.subscriber()).unwrap();
        let guest = bench.subscriber();
        let Subscriber::Plain(subscription) = &guest else { panic!("it is plain") };
        for _ in 0..1000 {
            assert_eq!(bench.publish("/topic/a"), 1);
            bench.subscribe("/topic/a", &guest);
            bench.topics.unsubscribe("/topic/a", subscription);
            assert!(bench.topics.map.read().made.len() <= 10);
        }
        for number in 0..1000 {
            assert_eq!(bench.publish(&format!("/topic/{number}")), 1);
            let map = bench.topics.map.read();
            assert!(map.by_name.len() <= 10 && map.by_name.keys().all(|name| map.made.contains(name)));
        }
    }

    #[test]
    fn a_sweep_looks_at_what_publishing_made_and_not_at_the_rest() {
        let bench = Bench::new(100, 10);
        bench.topics.subscribe_pattern(&Pattern::new("/topic/#"), &bench.subscriber()).unwrap();
        for number in 0..99 {
            bench.subscribe(&format!("/topic/taken-{number}"), &bench.subscriber());
        }
        for number in 0..1000 {
            assert_eq!(bench.publish(&format!("/topic/{number}")), 1);
            assert_eq!(bench.topics.map.read().made.len(), 1, "the next sweep looks at one topic");
        }
        assert_eq!(bench.topics.len().0, 100);
    }
}
