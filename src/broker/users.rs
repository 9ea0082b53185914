//! User destinations: what a session subscribes to as `/user/queue/x` is its own, and what is sent to
//! `/user/NAME/queue/x` reaches that subscription in every session of the user NAME. There is no resolved name that anybody
//! could guess or subscribe to: deliveries are found by user, session and the part behind the name.
//!
//! Does not know: how users prove who they are, or who may send to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};

use super::listing::{self, Listed};
use super::subscribers::{Reach, Subscriber, Subscribers};
use super::{BrokerError, meters};
use crate::publication::Publication;
use crate::session::{Session, Subscription};

/// All users with subscriptions of their own.
pub(super) struct Users {
    max_subscribed: usize,
    by_name: RwLock<HashMap<Box<str>, Arc<Mutex<User>>>>,
}

#[derive(Default)]
struct User {
    /// Taken out of the map; whoever still holds it must look again.
    dead: bool,
    /// The sessions' subscribers by what stands behind the name.
    by_local: HashMap<Box<str>, Subscribers>,
}

impl Users {
    pub fn new(max_subscribed: usize) -> Self {
        Self { max_subscribed, by_name: RwLock::default() }
    }

    /// Adds a subscriber to what `user` gets at `local`.
    pub fn subscribe(&self, user: &str, local: &str, subscriber: &Subscriber) -> Result<(), BrokerError> {
        loop {
            let entry = self.entry(user)?;
            let mut entry = entry.lock();
            if entry.dead {
                continue;
            }
            if !entry.by_local.contains_key(local) {
                if entry.by_local.len() >= self.max_subscribed {
                    meters::limit_reached("max_destinations");
                    return Err(BrokerError::TooManyDestinations(self.max_subscribed));
                }
                entry.by_local.insert(local.into(), Subscribers::default());
            }
            if let Some(subscribers) = entry.by_local.get_mut(local) {
                subscribers.add(subscriber.clone());
            }
            return Ok(());
        }
    }

    pub fn unsubscribe(&self, user: &str, local: &str, subscription: &Arc<Subscription>) {
        let Some(entry) = self.by_name.read().get(user).cloned() else { return };
        let unused = {
            let mut entry = entry.lock();
            if let Some(subscribers) = entry.by_local.get_mut(local) {
                subscribers.remove(subscription);
                if subscribers.is_empty() {
                    entry.by_local.remove(local);
                }
            }
            entry.by_local.is_empty()
        };
        if unused {
            let mut by_name = self.by_name.write();
            let still_unused = by_name.get(user).is_some_and(|entry| {
                let mut entry = entry.lock();
                entry.dead = entry.by_local.is_empty();
                entry.dead
            });
            if still_unused {
                by_name.remove(user);
            }
        }
    }

    /// Delivers to all subscriptions of a user, if there are any.
    pub fn publish(&self, user: &str, local: &str, publication: Publication, now: Instant) -> Reach {
        let unreachable = Reach { unreachable: true, ..Reach::default() };
        let Some(entry) = self.by_name.read().get(user).cloned() else { return unreachable };
        let entry = entry.lock();
        let Some(subscribers) = entry.by_local.get(local) else { return unreachable };
        subscribers.deliver(&Arc::new(publication), now)
    }

    /// Delivers to the subscriptions of one session of a user, if there are any.
    pub fn publish_to(
        &self,
        user: &str,
        session: &Session,
        local: &str,
        publication: Publication,
        now: Instant,
    ) -> Reach {
        let unreachable = Reach { unreachable: true, ..Reach::default() };
        let Some(entry) = self.by_name.read().get(user).cloned() else { return unreachable };
        let entry = entry.lock();
        let Some(subscribers) = entry.by_local.get(local) else { return unreachable };
        subscribers.deliver_to(session, &Arc::new(publication), now)
    }

    /// Whether the user has subscriptions there.
    pub fn has(&self, user: &str, local: &str) -> bool {
        self.by_name.read().get(user).is_some_and(|entry| entry.lock().by_local.contains_key(local))
    }

    /// See [`Broker::list`](super::Broker::list).
    pub fn list(&self, after: Option<&str>, most: usize) -> Vec<Listed> {
        let page: Vec<(Box<str>, _)> = {
            let by_name = self.by_name.read();
            let names = by_name.iter().map(|(name, user)| (&**name, user));
            listing::page(names, after, most).map(|(name, user)| (name.into(), Arc::clone(user))).collect()
        };
        let listed = |(name, user): (Box<str>, Arc<Mutex<User>>)| {
            let subscriptions = user.lock().by_local.values().map(Subscribers::len).sum();
            Listed::User { name, subscriptions }
        };
        page.into_iter().map(listed).collect()
    }

    /// The number of users with subscriptions.
    pub fn len(&self) -> usize {
        self.by_name.read().len()
    }

    fn entry(&self, user: &str) -> Result<Arc<Mutex<User>>, BrokerError> {
        if let Some(entry) = self.by_name.read().get(user) {
            return Ok(Arc::clone(entry));
        }
        let mut by_name = self.by_name.write();
        if !by_name.contains_key(user) && by_name.len() >= self.max_subscribed {
            meters::limit_reached("max_destinations");
            return Err(BrokerError::TooManyDestinations(self.max_subscribed));
        }
        Ok(Arc::clone(by_name.entry(user.into()).or_default()))
    }
}
