//! What a destination string means to this broker. Parsed once at the border; nothing behind it looks at raw strings to
//! decide what they are, so publishing and subscribing cannot disagree.
//!
//! Does not know: who is subscribed.

use thiserror::Error;

use super::Pattern;

/// A destination as the embedded broker understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination<'a> {
    /// `/topic/...` by its exact name, prefix included.
    Topic(&'a str),
    /// `/topic/...` with wildcards; in SUBSCRIBE only.
    Pattern(Pattern<'a>),
}

/// What is wrong with a destination. The texts go into ERROR frames.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DestinationError {
    /// The prefix names no kind of destination that is served here.
    #[error("unknown kind of destination; this broker serves /topic/NAME")]
    Unknown,
    /// The name is longer than `broker.max_name`.
    #[error("the destination is longer than max_name, {0} bytes")]
    TooLong(usize),
    /// The prefix stands alone.
    #[error("the destination has no name behind /topic/")]
    NoName,
    /// A wildcard in a SEND.
    #[error("a pattern is for SUBSCRIBE only; a message is sent to one name")]
    PatternInSend,
    /// `*` as a part of a word, which in other dialects would mean something.
    #[error("a * must be a whole word; words are separated by . or /")]
    PartialWildcard,
}

const TOPIC: &str = "/topic/";

impl<'a> Destination<'a> {
    /// Reads a destination header.
    ///
    /// # Errors
    /// [`DestinationError`] says what is wrong.
    pub fn parse(text: &'a str) -> Result<Self, DestinationError> {
        let name = text.strip_prefix(TOPIC).ok_or(DestinationError::Unknown)?;
        if name.is_empty() {
            return Err(DestinationError::NoName);
        }
        let mut pattern = false;
        for word in name.split(['.', '/']) {
            match word {
                "*" | "**" | "#" => pattern = true,
                _ if word.contains('*') => return Err(DestinationError::PartialWildcard),
                _ => {}
            }
        }
        Ok(if pattern { Self::Pattern(Pattern::new(text)) } else { Self::Topic(text) })
    }

    /// The name to publish to.
    ///
    /// # Errors
    /// [`DestinationError::PatternInSend`] if it is a pattern.
    pub fn exact(self) -> Result<&'a str, DestinationError> {
        match self {
            Self::Topic(name) => Ok(name),
            Self::Pattern(_) => Err(DestinationError::PatternInSend),
        }
    }
}
