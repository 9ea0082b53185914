//! Which numbers of a sender have come: exactly once, twice, or after a higher one.
//!
//! Does not know: who the sender is, or what the numbers were sent with.

use std::collections::VecDeque;

/// What a number that came means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It came for the first time, in its turn.
    Fresh,
    /// It came for the first time, after a higher one.
    Late,
    /// It had come before.
    Again,
}

impl Mark {
    /// Whether it had not come before.
    pub(super) fn is_new(self) -> bool {
        self != Self::Again
    }
}

/// What came of one sender's messages at one receiver. While they come in order, this is one number and takes no other memory.
#[derive(Debug, Default)]
pub(super) struct Tally {
    seen: Seen,
    order: Order,
}

impl Tally {
    /// Marks a number, which must have been sent: how many bits are kept is bounded by it.
    pub(super) fn mark(&mut self, number: u64) -> Mark {
        let in_order = self.order.mark(number);
        match (self.seen.mark(number), in_order) {
            (true, true) => Mark::Fresh,
            (true, false) => Mark::Late,
            (false, _) => Mark::Again,
        }
    }

    /// How many numbers have come.
    #[cfg(test)]
    pub(super) fn received(&self) -> u64 {
        self.seen.received()
    }
}

/// Whether numbers only grow.
#[derive(Debug, Default)]
pub(super) struct Order {
    next: u64,
}

impl Order {
    /// Whether no higher number was marked before.
    pub(super) fn mark(&mut self, number: u64) -> bool {
        let in_order = number >= self.next;
        self.next = self.next.max(number.saturating_add(1));
        in_order
    }
}

/// Which numbers have come.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// All below have.
    next: u64,
    /// A bit for each number from `origin` on; empty while there are no gaps.
    words: VecDeque<u64>,
    origin: u64,
}

impl Seen {
    /// Marks it; whether it was not marked before.
    pub(super) fn mark(&mut self, number: u64) -> bool {
        if number < self.next {
            return false;
        }
        if self.words.is_empty() {
            if number == self.next {
                self.next += 1;
                return true;
            }
            self.origin = self.next;
        }
        let (word, bit) = ((number - self.origin) / 64, 1 << ((number - self.origin) % 64));
        let Ok(word) = usize::try_from(word) else { return false };
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let Some(bits) = self.words.get_mut(word) else { return false };
        if *bits & bit != 0 {
            return false;
        }
        *bits |= bit;
        self.close_gaps();
        true
    }

    fn close_gaps(&mut self) {
        while self.words.front() == Some(&u64::MAX) {
            self.words.pop_front();
            self.origin += 64;
        }
        let first = self.words.front().copied().unwrap_or_default();
        self.next = self.origin + u64::from(first.trailing_ones());
        if self.words.len() == 1 && first.trailing_ones() == first.count_ones() {
            self.words.clear();
        }
    }

    #[cfg(test)]
    fn received(&self) -> u64 {
        let bits: u64 = self.words.iter().map(|word| u64::from(word.count_ones())).sum();
        if self.words.is_empty() { self.next } else { self.origin + bits }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_in_their_turn_are_fresh_and_take_no_memory() {
        let mut tally = Tally::default();
        assert!((0..1000).all(|number| tally.mark(number) == Mark::Fresh));
        assert_eq!((tally.received(), tally.seen.words.capacity()), (1000, 0));
    }

    #[test]
    fn twice_and_late_are_told_apart() {
        let mut tally = Tally::default();
        let marks = [0, 2, 1, 1, 0, 2, 500, 3, 500].map(|number| tally.mark(number));
        use Mark::{Again, Fresh, Late};
        assert_eq!(marks, [Fresh, Fresh, Late, Again, Again, Again, Fresh, Late, Again]);
        assert_eq!(tally.received(), 5);
    }

    proptest! {
        #[test]
        fn it_marks_as_a_plain_set_does(numbers in prop::collection::vec(0u64..300, 0..400)) {
            let (mut tally, mut model) = (Tally::default(), BTreeSet::new());
            for number in numbers {
                let late = model.last().is_some_and(|last| *last > number);
                let expected = match (model.insert(number), late) {
                    (false, _) => Mark::Again,
                    (true, true) => Mark::Late,
                    (true, false) => Mark::Fresh,
                };
                prop_assert_eq!(tally.mark(number), expected);
                prop_assert_eq!(tally.received(), model.len() as u64);
            }
        }
    }
}
