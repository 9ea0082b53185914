//! Topics: every subscriber gets every message, in one order for all.
//!
//! A publication takes its topic's lock and hands itself to the exact subscribers and to those of every matching pattern.
//! Which patterns match is worked out once for a topic and kept until some pattern comes or goes, so neither other topics
//! nor patterns that do not match cost a publication anything.
//!
//! Lock order: map, then topic, then patterns, then one pattern's subscribers, then an outbox. No two topics at once but
//! under the map's write lock.
//!
//! Does not know: STOMP, sessions beyond their outboxes, or destinations that are no topics.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::pattern::{Pattern, Trie};
use super::subscribers::Subscribers;
use super::{BrokerError, meters};
use crate::publication::Publication;
use crate::session::Subscription;

/// All topics, and all patterns over them.
pub(super) struct Topics {
    max_topics: usize,
    max_patterns: usize,
    topics: RwLock<Map>,
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
}

struct Topic {
    state: Mutex<TopicState>,
}

#[derive(Default)]
struct TopicState {
    /// Taken out of the map; whoever still holds it must look again.
    dead: bool,
    subscribers: Subscribers,
    matching: Vec<Arc<Group>>,
    /// The edition of the pattern set that `matching` is of; zero for none yet.
    edition: u64,
}

/// The subscribers of one pattern.
#[derive(Default)]
struct Group {
    subscribers: Mutex<Subscribers>,
}

impl Topics {
    pub fn new(max_topics: usize, max_patterns: usize) -> Self {
        Self {
            max_topics,
            max_patterns,
            topics: RwLock::default(),
            patterns: RwLock::default(),
            edition: AtomicU64::new(1),
        }
    }

    /// Delivers to all subscribers; returns their number.
    pub fn publish(&self, publication: &Arc<Publication>) -> Result<usize, BrokerError> {
        loop {
            let found = self.topics.read().by_name.get(publication.destination()).cloned();
            let topic = match found {
                Some(topic) => topic,
                // A name that nobody listens to leaves no trace.
                None if self.patterns.read().matching(publication.destination()).is_empty() => return Ok(0),
                None => self.topic(publication.destination(), Maker::Publisher)?,
            };
            let mut state = topic.state.lock();
            if state.dead {
                continue;
            }
            self.refresh(&mut state, publication.destination());
            state.subscribers.deliver(publication);
            let mut receivers = state.subscribers.len();
            for group in &state.matching {
                let subscribers = group.subscribers.lock();
                subscribers.deliver(publication);
                receivers += subscribers.len();
            }
            return Ok(receivers);
        }
    }

    pub fn subscribe(&self, name: &str, subscription: &Arc<Subscription>) -> Result<(), BrokerError> {
        loop {
            let topic = self.topic(name, Maker::Subscriber)?;
            let mut state = topic.state.lock();
            if !state.dead {
                state.subscribers.add(subscription);
                return Ok(());
            }
        }
    }

    pub fn unsubscribe(&self, name: &str, subscription: &Arc<Subscription>) {
        let Some(topic) = self.topics.read().by_name.get(name).cloned() else { return };
        let unused = {
            let mut state = topic.state.lock();
            state.subscribers.remove(subscription);
            state.subscribers.is_empty()
        };
        if unused {
            self.topics.write().remove_unused(name);
        }
    }

    pub fn subscribe_pattern(
        &self,
        pattern: &Pattern<'_>,
        subscription: &Arc<Subscription>,
    ) -> Result<(), BrokerError> {
        let mut patterns = self.patterns.write();
        if let Some(group) = patterns.find(pattern) {
            group.subscribers.lock().add(subscription);
            return Ok(());
        }
        if patterns.len() >= self.max_patterns {
            meters::limit_reached("max_patterns");
            return Err(BrokerError::TooManyPatterns(self.max_patterns));
        }
        let group = Arc::new(Group::default());
        group.subscribers.lock().add(subscription);
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
            self.topics.write().sweep();
        }
    }

    pub fn len(&self) -> (usize, usize) {
        (self.topics.read().by_name.len(), self.patterns.read().len())
    }

    /// The topic of that name, made if need be.
    fn topic(&self, name: &str, maker: Maker) -> Result<Arc<Topic>, BrokerError> {
        if let Some(topic) = self.topics.read().by_name.get(name) {
            return Ok(Arc::clone(topic));
        }
        let mut map = self.topics.write();
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
        let topic = Arc::new(Topic { state: Mutex::default() });
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
        if self.by_name.get(name).is_some_and(|topic| topic.retire()) {
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
    /// Declares the topic dead if it has no subscribers of its own.
    fn retire(&self) -> bool {
        let mut state = self.state.lock();
        if !state.subscribers.is_empty() {
            return false;
        }
        state.dead = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;

    use super::*;
    use crate::config::Endpoint;
    use crate::session::{Carrier, CloseReason, Deadlines, Message, Protocol, Session};
    use crate::stomp::{Headers, Version};

    struct Mute;

    impl Protocol for Mute {
        fn receive(&mut self, _: &Arc<Session>, _: Message, _: Instant) -> Result<(), CloseReason> {
            Ok(())
        }
    }

    fn subscription() -> Arc<Subscription> {
        let now = Instant::now();
        let (endpoint, deadlines) = (Arc::new(Endpoint::default()), Arc::new(Deadlines::new(now)));
        let session = Session::new("", Carrier::Http, endpoint, deadlines, Box::new(Mute), now);
        Subscription::new(session, Version::V1_2, Some("1"))
    }

    fn publish(topics: &Topics, name: &str) -> usize {
        topics.publish(&Arc::new(Publication::new(1, name, Headers::new(), Bytes::new()))).unwrap()
    }

    /// A list that only ever grew would be a leak; one that forgot a name would leave its topic for ever.
    #[test]
    fn the_list_of_made_topics_is_bounded_and_complete() {
        let topics = Topics::new(10, 10);
        topics.subscribe_pattern(&Pattern::new("/topic/#"), &subscription()).unwrap();
        let guest = subscription();
        for _ in 0..1000 {
            assert_eq!(publish(&topics, "/topic/a"), 1);
            topics.subscribe("/topic/a", &guest).unwrap();
            topics.unsubscribe("/topic/a", &guest);
            assert!(topics.topics.read().made.len() <= 10);
        }
        for number in 0..1000 {
            assert_eq!(publish(&topics, &format!("/topic/{number}")), 1);
            let map = topics.topics.read();
            assert!(map.by_name.len() <= 10 && map.by_name.keys().all(|name| map.made.contains(name)));
        }
    }

    #[test]
    fn a_sweep_looks_at_what_publishing_made_and_not_at_the_rest() {
        let topics = Topics::new(100, 10);
        topics.subscribe_pattern(&Pattern::new("/topic/#"), &subscription()).unwrap();
        let subscriptions: Vec<_> = (0..99).map(|_| subscription()).collect();
        for (number, subscription) in subscriptions.iter().enumerate() {
            topics.subscribe(&format!("/topic/taken-{number}"), subscription).unwrap();
        }
        for number in 0..1000 {
            assert_eq!(publish(&topics, &format!("/topic/{number}")), 1);
            assert_eq!(topics.topics.read().made.len(), 1, "the next sweep looks at one topic");
        }
        assert_eq!(topics.len().0, 100);
    }
}
