//! A map of the few entries that most sessions have: up to a handful they stand in a list without room to spare, and more of
//! them in a hash map. By the sizes of the types, a session with one subscription is some 400 bytes smaller that way.
//!
//! Does not know: what the entries are.

use std::collections::HashMap;
use std::hash::Hash;

/// Entries up to which looking at each is as quick as hashing.
const FEW: usize = 8;

/// A map.
pub(super) enum Few<K, V> {
    List(Vec<(K, V)>),
    #[expect(clippy::box_collection, reason = "it is twice the size of a list, and every session has two of these")]
    Map(Box<HashMap<K, V>>),
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl<K: Eq + Hash, V> Few<K, V> {
    pub fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
        }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        match self {
            Self::List(list) => list.iter().find(|(own, _)| own == key).map(|(_, value)| value),
            Self::Map(map) => map.get(key),
        }
    }

    /// Adds an entry, in the place of one with that key.
    pub fn insert(&mut self, key: K, value: V) {
        match self {
            Self::Map(map) => drop(map.insert(key, value)),
            Self::List(list) => {
                if let Some((_, own)) = list.iter_mut().find(|(own, _)| *own == key) {
                    *own = value;
                } else if list.len() < FEW {
                    list.reserve_exact(1);
                    list.push((key, value));
                } else {
                    let mut map: HashMap<_, _> = std::mem::take(list).into_iter().collect();
                    map.insert(key, value);
                    *self = Self::Map(Box::new(map));
                }
            }
        }
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Self::List(list) => {
                let place = list.iter().position(|(own, _)| own == key)?;
                Some(list.swap_remove(place).1)
            }
            Self::Map(map) => {
                let removed = map.remove(key);
                if map.is_empty() {
                    *self = Self::default();
                }
                removed
            }
        }
    }

    /// Takes all values out, in no order.
    pub fn drain(&mut self) -> Vec<V> {
        match std::mem::take(self) {
            Self::List(list) => list.into_iter().map(|(_, value)| value).collect(),
            Self::Map(map) => map.into_values().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<bool>(), 0..20_u8, any::<u8>()), 0..60)) {
            let (mut few, mut map) = (Few::default(), HashMap::new());
            for (inserts, key, value) in steps {
                if inserts {
                    few.insert(key, value);
                    map.insert(key, value);
                } else {
                    prop_assert_eq!(few.remove(&key), map.remove(&key));
                }
                prop_assert_eq!(few.len(), map.len());
                prop_assert_eq!(few.get(&key), map.get(&key));
            }
            let (mut left, mut right) = (few.drain(), map.into_values().collect::<Vec<_>>());
            left.sort_unstable();
            right.sort_unstable();
            prop_assert_eq!(left, right);
            prop_assert_eq!(few.len(), 0);
        }
    }

    #[test]
    fn few_entries_have_no_room_to_spare_and_none_no_memory() {
        let mut few = Few::default();
        few.insert(1, "one");
        assert!(matches!(&few, Few::List(list) if list.capacity() == 1));
        (2..100).for_each(|number| few.insert(number, "more"));
        assert!(matches!(few, Few::Map(_)));
        (1..100).for_each(|number| assert!(few.remove(&number).is_some()));
        assert!(matches!(&few, Few::List(list) if list.capacity() == 0));
    }
}
