//! The subscribers of one name or one pattern, in a plain vector. Each subscription remembers its place in it, so joining
//! and leaving cost the same in a topic of four and in one of forty thousand.
//!
//! Does not know: names, patterns, or locks; its owner guards it.

use std::sync::Arc;

use crate::publication::Publication;
use crate::session::{Item, Subscription};

/// A list of subscriptions.
#[derive(Default)]
pub(super) struct Subscribers {
    list: Vec<Arc<Subscription>>,
}

impl Subscribers {
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn add(&mut self, subscription: &Arc<Subscription>) {
        subscription.set_position(self.list.len());
        self.list.push(Arc::clone(subscription));
    }

    /// Takes a subscription out; one that is not in this list changes nothing.
    pub fn remove(&mut self, subscription: &Arc<Subscription>) {
        let position = subscription.position();
        match self.list.get(position) {
            Some(own) if Arc::ptr_eq(own, subscription) => {}
            _ => return,
        }
        self.list.swap_remove(position);
        if let Some(moved) = self.list.get(position) {
            moved.set_position(position);
        }
        // A topic that was large once does not stay large.
        if self.list.capacity() > 64 && self.list.len() < self.list.capacity() / 4 {
            self.list.shrink_to(self.list.len() * 2);
        }
    }

    /// Puts the publication into every subscriber's outbox.
    pub fn deliver(&self, publication: &Arc<Publication>) {
        for subscription in &self.list {
            let item = Item::Delivery(Arc::clone(publication), Arc::clone(subscription));
            subscription.session().push(item);
        }
    }
}
