//! What the configuration says about destinations: its `[[destination]]` tables by pattern, the first that fits, and the
//! defaults of `[broker]` for all others.
//!
//! Does not know: which destinations are alive, or who is subscribed to them.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::sync::Arc;

use super::pattern::{Pattern, Trie};
use crate::config;
use crate::publication::Overflow;
use crate::stomp::Headers;

pub(super) struct Rules {
    by_pattern: Trie<usize>,
    rules: Vec<Arc<Rule>>,
    default: Arc<Rule>,
}

/// What holds for one destination.
pub(super) struct Rule {
    overflow: config::Overflow,
    conflate_by: Option<String>,
    pub history: Option<config::History>,
    pub queue: config::Queue,
    hasher: RandomState,
}

impl Rules {
    pub fn new(broker: &config::Broker, destinations: &[config::Destination]) -> Self {
        let mut by_pattern = Trie::default();
        // The first of equal patterns counts, as the first of matching ones does.
        for (index, destination) in destinations.iter().enumerate().rev() {
            by_pattern.insert(&Pattern::new(&destination.pattern), index);
        }
        let rules = destinations.iter().map(|destination| {
            Arc::new(Rule {
                overflow: destination.overflow,
                conflate_by: destination.conflate_by.clone(),
                history: destination.history.clone(),
                queue: destination.queue.clone(),
                hasher: RandomState::new(),
            })
        });
        let default = Arc::new(Rule {
            overflow: config::Overflow::Close,
            conflate_by: None,
            history: None,
            queue: broker.queue.clone(),
            hasher: RandomState::new(),
        });
        Self { by_pattern, rules: rules.collect(), default }
    }

    /// What holds for that destination.
    pub fn of(&self, destination: &str) -> &Arc<Rule> {
        if self.rules.is_empty() {
            return &self.default;
        }
        let first = self.by_pattern.matching(destination).into_iter().min();
        first.and_then(|index| self.rules.get(*index)).unwrap_or(&self.default)
    }
}

impl Rule {
    /// What becomes of a publication that finds an outbox full.
    pub fn overflow(&self, destination: &str, headers: &Headers) -> Overflow {
        match self.overflow {
            config::Overflow::Close => Overflow::Close,
            config::Overflow::DropOldest => Overflow::DropOldest,
            config::Overflow::Conflate => {
                // Keys are compared by a hash that nobody outside can aim at.
                let mut hasher = self.hasher.build_hasher();
                destination.hash(&mut hasher);
                self.conflate_by.as_deref().and_then(|name| headers.get(name)).hash(&mut hasher);
                Overflow::Conflate(hasher.finish())
            }
        }
    }
}
