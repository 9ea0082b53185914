//! Selectors: with `selector` in SUBSCRIBE a client says which messages of a destination it wants, as a condition over their
//! headers (STOMP 1.0, SUBSCRIBE; later versions leave the header to the server). The language is the part of SQL-92 that
//! JMS took and ActiveMQ made known; docs/selectors.md is its manual. A selector comes from a stranger and is evaluated for
//! every message, so both reading and matching are bounded whatever it says: the text is read once from left to right, it
//! nests no deeper than [`Selector::MAX_NESTING`], and a match ends after [`Selector::MAX_STEPS`].
//!
//! Does not know: destinations, subscriptions, or which headers a message has and how long a text may be; both are the
//! caller's.

mod condition;
mod lexer;
mod like;
mod number;
mod parser;
mod steps;

use thiserror::Error;

use crate::stomp::Headers;

use condition::Condition;
use steps::Steps;

/// A condition over the headers of a message.
///
/// ```
/// use towpath::broker::Selector;
/// use towpath::stomp::Headers;
///
/// let selector = Selector::parse("kind IN ('order', 'refund') AND amount >= 100").unwrap();
/// let headers: Headers = [("kind", "order"), ("amount", "250.00")].into_iter().collect();
/// assert!(selector.matches(&headers));
///
/// let error = Selector::parse("amount >=").unwrap_err();
/// assert_eq!(error.to_string(), "at character 10: expected a value after >=, found end of text");
/// ```
#[derive(Debug, Clone)]
pub struct Selector {
    condition: Condition,
}

/// What is wrong with a selector, and where: one line that is made for the body of an ERROR frame. It quotes the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("at character {position}: expected {expected}, found {found}")]
pub struct SelectorError {
    position: usize,
    expected: String,
    found: String,
}

impl Selector {
    /// How many parentheses may stand within each other. Nobody reads more than a handful; parsing, evaluating and freeing a
    /// selector use the stack in proportion to this.
    pub const MAX_NESTING: usize = 32;

    /// How much one match may do, in steps: a step is one header passed over in search of a name, or up to 8 bytes
    /// compared. Selectors that people write take tens or hundreds. A step takes up to 10 nanoseconds or so, and thus one
    /// that is meant to hurt, say by LIKE on headers of kilobytes, holds a publication up for about 100 microseconds. A
    /// match that would take more is given up, and the message does not match.
    pub const MAX_STEPS: usize = 10_000;

    /// Reads a selector. As in JMS, one of nothing but blanks is no condition: every message matches.
    ///
    /// The work is proportional to the text, and so is the memory that the selector keeps.
    ///
    /// # Errors
    /// [`SelectorError`] says at which character the text ceases to be a selector.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        Ok(Self { condition: parser::parse(text)? })
    }

    /// Whether a message with these headers is wanted: whether the condition is true, being neither false nor unknown. Of
    /// repeated headers the first counts (STOMP 1.2, Repeated Header Entries).
    ///
    /// Allocates nothing, and takes [`Self::MAX_STEPS`] at most.
    pub fn matches(&self, headers: &Headers) -> bool {
        self.condition.holds(headers, &mut Steps::new(Self::MAX_STEPS))
    }
}

impl SelectorError {
    /// Where, as the number of a character in the text, counted from 1. One more than there are characters if the text
    /// ended too early.
    pub fn position(&self) -> usize {
        self.position
    }
}
