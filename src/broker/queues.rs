//! All queues by name. One is made when somebody first sends to it or consumes from it, and goes when it holds nothing and
//! nobody consumes from it.
//!
//! Does not know: what a queue does with its messages.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::RwLock;

use super::listing::{self, Listed};
use super::queue::{Queue, Totals};
use super::rules::Rules;
use super::timers::Timers;
use super::{Broker, BrokerError, meters};
use crate::config::{self, QueueFull};

pub(super) struct Queues {
    max: usize,
    rules: Arc<Rules>,
    timers: Arc<Timers>,
    broker: Weak<Broker>,
    totals: Arc<Totals>,
    /// Private queues are bounded one by one: what slow clients leave in them must not fill the others. What they give up
    /// was for one client's eyes, so there are no dead letters; and since topics fill them under their locks, none could be
    /// sent to a topic.
    private_totals: Arc<Totals>,
    private: config::Queue,
    by_name: RwLock<HashMap<Box<str>, Arc<Queue>>>,
}

impl Queues {
    pub fn new(settings: &config::Broker, rules: Arc<Rules>, timers: Arc<Timers>, broker: Weak<Broker>) -> Self {
        Self {
            max: settings.max_destinations,
            rules,
            timers,
            broker,
            totals: Totals::new(settings.queues_messages, settings.queues_bytes),
            private_totals: Totals::new(usize::MAX, usize::MAX),
            private: config::Queue {
                messages: settings.max_unacked,
                bytes: settings.max_unacked_bytes,
                full: QueueFull::Refuse,
                // What is said about queues is not about these.
                ttl: Duration::ZERO,
                dead_letter: None,
                ..settings.queue.clone()
            },
            by_name: RwLock::default(),
        }
    }

    /// The queue of that name, made if need be.
    pub fn queue(&self, name: &str) -> Result<Arc<Queue>, BrokerError> {
        if let Some(queue) = self.find(name) {
            return Ok(queue);
        }
        self.insert(name, |this| {
            let settings = this.rules.of(name).queue.clone();
            let (totals, timer) = (Arc::clone(&this.totals), this.timers.timer());
            Queue::new(name, settings, false, totals, Weak::clone(&this.broker), timer)
        })
    }

    /// A queue that is found by nobody, for the messages of one subscription.
    pub fn private(&self) -> Arc<Queue> {
        self.new_private("", QueueFull::Refuse)
    }

    /// A private queue that others send to: when it is full they must not suffer, so the oldest go.
    pub fn reply_queue(&self, name: &str) -> Result<Arc<Queue>, BrokerError> {
        self.insert(name, |this| this.new_private(name, QueueFull::DropOldest))
    }

    pub fn find(&self, name: &str) -> Option<Arc<Queue>> {
        self.by_name.read().get(name).cloned()
    }

    pub fn remove_unused(&self, name: &str) {
        let mut by_name = self.by_name.write();
        if by_name.get(name).is_some_and(|queue| queue.retire()) {
            by_name.remove(name);
            meters::queues(by_name.len());
        }
    }

    /// See [`Broker::list`](super::Broker::list).
    pub fn list(&self, after: Option<&str>, most: usize) -> Vec<Listed> {
        let page: Vec<_> = {
            let by_name = self.by_name.read();
            let public = by_name.iter().filter(|(_, queue)| !queue.is_private());
            let names = public.map(|(name, queue)| (&**name, queue));
            listing::page(names, after, most).map(|(_, queue)| Arc::clone(queue)).collect()
        };
        let listed = |queue: Arc<Queue>| {
            let ((messages, bytes), consumers) = (queue.len(), queue.consumers());
            Listed::Queue { name: queue.name().into(), messages, bytes, consumers }
        };
        page.into_iter().map(listed).collect()
    }

    pub fn len(&self) -> usize {
        self.by_name.read().len()
    }

    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    fn insert(&self, name: &str, make: impl FnOnce(&Self) -> Arc<Queue>) -> Result<Arc<Queue>, BrokerError> {
        let mut by_name = self.by_name.write();
        if let Some(queue) = by_name.get(name) {
            return Ok(Arc::clone(queue));
        }
        if by_name.len() >= self.max {
            meters::limit_reached("max_destinations");
            return Err(BrokerError::TooManyDestinations(self.max));
        }
        let queue = make(self);
        by_name.insert(name.into(), Arc::clone(&queue));
        meters::queues(by_name.len());
        Ok(queue)
    }

    fn new_private(&self, name: &str, full: QueueFull) -> Arc<Queue> {
        let settings = config::Queue { full, ..self.private.clone() };
        let (totals, timer) = (Arc::clone(&self.private_totals), self.timers.timer());
        Queue::new(name, settings, true, totals, Weak::clone(&self.broker), timer)
    }
}
