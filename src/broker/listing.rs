//! What is there, for those who look after a gateway: names in their order, page by page, with what stands behind each. A look
//! at all names takes their map's read lock; each destination is asked when that has been let go, one at a time.
//!
//! Does not know: who asks.

use std::collections::BTreeMap;

use super::Broker;

/// What to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Topics by name.
    Topic,
    /// Patterns over topics.
    Pattern,
    /// Queues. Reply queues are left out: their names are known to those whom they were told, and to nobody else.
    Queue,
    /// Users with subscriptions of their own.
    User,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// A topic.
    Topic {
        /// Its destination.
        name: Box<str>,
        /// How many subscriptions it has by its name. Those by patterns are not among them.
        subscribers: usize,
    },
    /// A pattern.
    Pattern {
        /// As its first subscriber wrote it.
        name: Box<str>,
        /// How many subscriptions it has.
        subscribers: usize,
    },
    /// A queue.
    Queue {
        /// Its destination.
        name: Box<str>,
        /// How many messages wait or are held by consumers.
        messages: usize,
        /// How many bytes these have.
        bytes: usize,
        /// How many subscriptions consume from it.
        consumers: usize,
    },
    /// A user.
    User {
        /// The name.
        name: Box<str>,
        /// How many subscriptions to `/user/...` all its sessions have.
        subscriptions: usize,
    },
}

impl Broker {
    /// Up to `most` entries behind the name `after`, in the order of their names. What comes or goes meanwhile may be in the list
    /// or not.
    pub fn list(&self, kind: Kind, after: Option<&str>, most: usize) -> Vec<Listed> {
        match kind {
            Kind::Topic => self.topics.list(after, most),
            Kind::Pattern => self.topics.list_patterns(after, most),
            Kind::Queue => self.queues.list(after, most),
            Kind::User => self.users.list(after, most),
        }
    }
}

/// The first `most` entries behind the name `after`, in the order of their names. Never more than one page of them is held,
/// however many there are.
pub(super) fn page<'a, V>(
    entries: impl Iterator<Item = (&'a str, V)>,
    after: Option<&str>,
    most: usize,
) -> impl Iterator<Item = (&'a str, V)> {
    let mut page = BTreeMap::new();
    for (name, value) in entries {
        let is_behind = after.is_none_or(|after| name > after);
        let is_late = page.len() >= most && page.last_key_value().is_none_or(|(last, _)| name > *last);
        if is_behind && !is_late {
            page.insert(name, value);
            if page.len() > most {
                page.pop_last();
            }
        }
    }
    page.into_iter()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::page;

    proptest! {
        #[test]
        fn a_page_is_what_sorting_gives(
            names in prop::collection::btree_set("[a-d]{0,4}", 0..40),
            seed in any::<u64>(),
            after in prop::option::of("[a-d]{0,3}"),
            most in 0..12usize,
        ) {
            let behind = names.iter().filter(|name| after.as_ref().is_none_or(|after| *name > after));
            let sorted: Vec<&str> = behind.map(String::as_str).take(most).collect();
            let mut mixed: Vec<&String> = names.iter().collect();
            mixed.sort_by_key(|name| (name.len() as u64 + 1).wrapping_mul(seed) ^ name.bytes().map(u64::from).sum::<u64>());
            let entries = mixed.into_iter().map(|name| (name.as_str(), ()));
            let found: Vec<&str> = page(entries, after.as_deref(), most).map(|(name, ())| name).collect();
            prop_assert_eq!(found, sorted);
        }
    }
}
