//! Patterns: words separated by `.` or `/`, where `*` stands for one word and `**` or `#` for any number of words, none
//! included. All patterns live in one trie, walked word by word with the set of places reached so far, so a match costs
//! one pass over the destination whatever the patterns are: there is no backtracking to provoke.
//!
//! A word counts together with the separator before it: `/topic/a.*` matches `/topic/a.b` and not `/topic/a/b`, as the
//! exact names differ too. Only `**` and `#` stand for words with whatever separators around them, so `/topic/#.b` matches
//! `/topic/b` and `/topic/a/b`.
//!
//! Does not know: topics, subscribers, or sessions; it maps patterns to values.

use std::collections::HashMap;

use crate::config::steps::{self, words};

/// A destination with wildcards, prefix included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern<'a> {
    text: &'a str,
}

impl<'a> Pattern<'a> {
    /// A pattern of that text; any text is one, if only a literal.
    pub fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// The text as the subscriber wrote it.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Whether a destination matches.
    pub fn matches(&self, destination: &str) -> bool {
        let mut trie = Trie::default();
        trie.insert(self, ());
        !trie.matching(destination).is_empty()
    }
}

/// What leads from a node to the next.
type Step<'a> = steps::Step<&'a str>;

/// Patterns with a value each.
pub(super) struct Trie<V> {
    /// Node 0 is the root. Freed nodes are reused.
    nodes: Vec<Node<V>>,
    free: Vec<u32>,
    patterns: usize,
}

struct Node<V> {
    literals: HashMap<(Option<char>, Box<str>), u32>,
    /// `*` behind each separator.
    ones: Vec<(Option<char>, u32)>,
    any: Option<u32>,
    /// This node is the end of a `**` or `#`: it stays reached whatever word follows.
    repeats: bool,
    value: Option<V>,
}

const ROOT: u32 = 0;

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { nodes: vec![Node::new(false)], free: Vec::new(), patterns: 0 }
    }
}

impl<V> Trie<V> {
    /// The number of patterns.
    pub fn len(&self) -> usize {
        self.patterns
    }

    /// All values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.nodes.iter().filter_map(|node| node.value.as_ref())
    }

    /// The value of exactly this pattern.
    pub fn find(&self, pattern: &Pattern<'_>) -> Option<&V> {
        let mut at = ROOT;
        for step in steps::steps(pattern.text) {
            at = self.node(at)?.child(&step)?;
        }
        self.node(at)?.value.as_ref()
    }

    /// Sets the value of a pattern.
    pub fn insert(&mut self, pattern: &Pattern<'_>, value: V) {
        let mut at = ROOT;
        for step in steps::steps(pattern.text) {
            let found = self.node(at).and_then(|node| node.child(&step));
            at = found.unwrap_or_else(|| self.add_child(at, &step));
        }
        if let Some(node) = self.nodes.get_mut(at as usize)
            && node.value.replace(value).is_none()
        {
            self.patterns += 1;
        }
    }

    /// Takes a pattern out, and the nodes that only it used.
    pub fn remove(&mut self, pattern: &Pattern<'_>) -> Option<V> {
        let mut path = vec![];
        let mut at = ROOT;
        for step in steps::steps(pattern.text) {
            let child = self.node(at)?.child(&step)?;
            path.push((at, step));
            at = child;
        }
        let value = self.nodes.get_mut(at as usize)?.value.take()?;
        self.patterns -= 1;
        for (parent, step) in path.into_iter().rev() {
            if !self.node(at).is_some_and(Node::is_useless) {
                break;
            }
            if let Some(node) = self.nodes.get_mut(parent as usize) {
                node.cut(&step);
            }
            self.free.push(at);
            at = parent;
        }
        Some(value)
    }

    /// The values of all patterns that match.
    pub fn matching(&self, destination: &str) -> Vec<&V> {
        self.walk(destination, &mut 0)
    }

    /// As [`matching`](Self::matching); counts the places looked at.
    fn walk(&self, destination: &str, looks: &mut usize) -> Vec<&V> {
        let mut reached = vec![ROOT];
        self.follow_any(&mut reached);
        let mut next = Vec::new();
        for (separator, word) in words(destination) {
            // Boxed once a word and not once a node; most tries need it for a few nodes at most.
            let key: (_, Box<str>) = (separator, word.into());
            let after_any = (None, key.1.clone());
            *looks += reached.len();
            for &at in &reached {
                let Some(node) = self.node(at) else { continue };
                let key = if node.repeats { &after_any } else { &key };
                next.extend(node.literals.get(key));
                next.extend(node.ones.iter().filter(|(own, _)| *own == key.0).map(|(_, child)| child));
                if node.repeats {
                    next.push(at);
                }
            }
            self.follow_any(&mut next);
            reached.clear();
            std::mem::swap(&mut reached, &mut next);
            if reached.is_empty() {
                break;
            }
        }
        reached.iter().filter_map(|&at| self.node(at)?.value.as_ref()).collect()
    }

    /// Adds what `**` and `#` reach without a word, and leaves each node once.
    fn follow_any(&self, reached: &mut Vec<u32>) {
        let mut index = 0;
        while let Some(&at) = reached.get(index) {
            reached.extend(self.node(at).and_then(|node| node.any));
            index += 1;
        }
        reached.sort_unstable();
        reached.dedup();
    }

    fn node(&self, at: u32) -> Option<&Node<V>> {
        self.nodes.get(at as usize)
    }

    fn add_child(&mut self, parent: u32, step: &Step<'_>) -> u32 {
        let node = Node::new(matches!(step, Step::Any));
        let child = match self.free.pop() {
            Some(at) => {
                if let Some(slot) = self.nodes.get_mut(at as usize) {
                    *slot = node;
                }
                at
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        };
        if let Some(parent) = self.nodes.get_mut(parent as usize) {
            match step {
                Step::Literal(separator, word) => {
                    parent.literals.insert((*separator, Box::from(*word)), child);
                }
                Step::One(separator) => parent.ones.push((*separator, child)),
                Step::Any => parent.any = Some(child),
            }
        }
        child
    }
}

impl<V> Node<V> {
    fn new(repeats: bool) -> Self {
        Self { literals: HashMap::new(), ones: Vec::new(), any: None, repeats, value: None }
    }

    fn child(&self, step: &Step<'_>) -> Option<u32> {
        match step {
            Step::Literal(separator, word) => self.literals.get(&(*separator, Box::from(*word))).copied(),
            Step::One(separator) => self.ones.iter().find(|(own, _)| own == separator).map(|(_, child)| *child),
            Step::Any => self.any,
        }
    }

    fn cut(&mut self, step: &Step<'_>) {
        match step {
            Step::Literal(separator, word) => {
                self.literals.remove(&(*separator, Box::from(*word)));
            }
            Step::One(separator) => self.ones.retain(|(own, _)| own != separator),
            Step::Any => self.any = None,
        }
    }

    fn is_useless(&self) -> bool {
        self.value.is_none() && self.literals.is_empty() && self.ones.is_empty() && self.any.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl<V> Trie<V> {
        /// The nodes in use, the root among them.
        fn live(&self) -> usize {
            self.nodes.len() - self.free.len()
        }
    }

    fn trie(patterns: &[String]) -> Trie<usize> {
        let mut trie = Trie::default();
        for (number, pattern) in patterns.iter().enumerate() {
            trie.insert(&Pattern::new(pattern), number);
        }
        trie
    }

    /// At each word no place is looked at twice, whatever ways lead there.
    #[test]
    fn a_walk_costs_at_most_one_look_at_each_node_for_each_word() {
        // Small ones first: if places are looked at twice, the large ones never come to an end.
        for (pieces, words) in [(3, 12), (6, 24), (50, 100), (50, 400)] {
            for piece in ["#.a.", "**.", "*.", "#.*.", "*.#.a.", "#.#.#."] {
                let trie = trie(&[format!("/topic/{}b", piece.repeat(pieces))]);
                let destination = format!("/topic/{}", "a.".repeat(words));
                let mut looks = 0;
                trie.walk(&destination, &mut looks);
                // The words of the destination: two before the repeated ones and an empty one behind them.
                assert!(looks <= (words + 3) * trie.live(), "{piece}: {looks} looks");
            }
        }
    }

    #[test]
    fn twice_the_destination_costs_twice_the_looks() {
        let trie = trie(&[format!("/topic/{}b", "#.a.".repeat(3))]);
        let cost = |words: usize| {
            let mut looks = 0;
            trie.walk(&format!("/topic/{}", "a.".repeat(words)), &mut looks);
            looks
        };
        // Once all places are reached each further word costs the same.
        assert_eq!(cost(80) - cost(40), 2 * (cost(40) - cost(20)));
    }

    #[test]
    fn patterns_that_do_not_fit_are_left_at_their_first_other_word() {
        let patterns: Vec<_> = (0..1000).map(|number| format!("/topic/{number}.a.b.c.*")).collect();
        let trie = trie(&patterns);
        let mut looks = 0;
        assert_eq!(trie.walk("/topic/7.a.b.c.d", &mut looks), [&7]);
        assert!(looks <= 8, "{looks}");
    }

    #[test]
    fn a_pattern_that_goes_takes_its_nodes_with_it() {
        let patterns: Vec<_> = (0..100)
            .flat_map(|number| {
                [format!("/topic/{number}.*"), format!("/topic/*.{number}"), format!("/topic/#.{number}.**")]
            })
            .collect();
        let mut trie = trie(&patterns);
        let full = trie.live();
        for round in 0..3 {
            for (number, pattern) in patterns.iter().enumerate() {
                assert_eq!(trie.remove(&Pattern::new(pattern)), Some(number));
                assert_eq!(trie.remove(&Pattern::new(pattern)), None);
            }
            assert_eq!((trie.live(), trie.len()), (1, 0), "round {round}");
            assert!(trie.matching("/topic/1.1").is_empty());
            for (number, pattern) in patterns.iter().enumerate() {
                trie.insert(&Pattern::new(pattern), number);
            }
            assert_eq!((trie.live(), trie.nodes.len()), (full, full), "freed nodes are used again");
        }
    }

    #[test]
    fn a_pattern_inside_another_goes_and_leaves_the_other() {
        let mut trie = trie(&["/topic/#".to_owned(), "/topic/#.a".to_owned()]);
        assert_eq!(trie.remove(&Pattern::new("/topic/#")), Some(0));
        assert_eq!(trie.matching("/topic/x.a"), [&1]);
        trie.insert(&Pattern::new("/topic/#"), 2);
        assert_eq!(trie.remove(&Pattern::new("/topic/#.a")), Some(1));
        assert_eq!(trie.matching("/topic/x.a"), [&2]);
        assert_eq!(trie.remove(&Pattern::new("/topic/none")), None);
    }

    #[test]
    fn a_pattern_is_found_by_its_own_text_and_not_by_what_it_matches() {
        let trie = trie(&["/topic/*".to_owned()]);
        assert!(trie.find(&Pattern::new("/topic/*")).is_some());
        assert!(trie.find(&Pattern::new("/topic/a")).is_none());
    }
}
