//! What a destination string means to this broker. Parsed once at the border; nothing behind it looks at raw strings to
//! decide what they are, so publishing and subscribing cannot disagree.
//!
//! Does not know: who is subscribed, or who may do what.

use std::borrow::Cow;

use thiserror::Error;

use super::Pattern;

/// A destination as the embedded broker understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination<'a> {
    /// `/topic/...` by its exact name, prefix included.
    Topic(&'a str),
    /// `/topic/...` with wildcards; in SUBSCRIBE only.
    Pattern(Pattern<'a>),
    /// `/queue/...` by its exact name, prefix included.
    Queue(&'a str),
    /// `/user/queue/...` or `/user/topic/...` in SUBSCRIBE: the subscriber's own. What stands behind `/user`.
    Own(&'a str),
    /// `/user/NAME/queue/...` or `/user/NAME/topic/...` in SEND: somebody's.
    User {
        /// Whose, with `%2F` read as a slash.
        name: Cow<'a, str>,
        /// What stands behind the name, as [`Own`](Self::Own) has it.
        local: &'a str,
    },
    /// `/reply-queue/...`, a name that this broker made for a `reply-to:/temp-queue/...`; in SEND only.
    Reply(&'a str),
}

/// What is wrong with a destination. The texts go into ERROR frames.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DestinationError {
    /// The prefix names no kind of destination that is served here.
    #[error("unknown kind of destination; this broker serves /topic/NAME, /queue/NAME and /user/...")]
    Unknown,
    /// The name is longer than `broker.max_name`.
    #[error("the destination is longer than max_name, {0} bytes")]
    TooLong(usize),
    /// The prefix stands alone.
    #[error("the destination has no name behind {0}")]
    NoName(&'static str),
    /// A wildcard in a SEND.
    #[error("a pattern is for SUBSCRIBE only; a message is sent to one name")]
    PatternInSend,
    /// A wildcard in a destination that has none.
    #[error("patterns are for /topic/ only; {0} takes exact names")]
    NoPatterns(&'static str),
    /// `*` as a part of a word, which in other dialects would mean something.
    #[error("a * must be a whole word; words are separated by . or /")]
    PartialWildcard,
    /// A subscription to somebody else's destination, or to none.
    #[error("subscribe to /user/queue/NAME or /user/topic/NAME, which is your own; nobody can subscribe to another's")]
    NotOwn,
    /// A SEND to `/user/` that names nobody or no destination of theirs.
    #[error("a message to a user is sent to /user/USER/queue/NAME or /user/USER/topic/NAME")]
    NoUser,
    /// `/temp-queue/...` anywhere but in `reply-to`.
    #[error("/temp-queue/NAME stands in the reply-to header of a SEND; what is sent there comes by itself")]
    TempQueue,
    /// A subscription to `/reply-queue/...`.
    #[error("a reply queue belongs to the session whose reply-to made it; others can only send to it")]
    ReplyQueue,
}

const TOPIC: &str = "/topic/";
const QUEUE: &str = "/queue/";
const USER: &str = "/user";
const REPLY: &str = "/reply-queue/";
const TEMP: &str = "/temp-queue/";

impl<'a> Destination<'a> {
    /// Reads the destination of a SUBSCRIBE.
    ///
    /// # Errors
    /// [`DestinationError`] says what is wrong.
    pub fn of_subscribe(text: &'a str) -> Result<Self, DestinationError> {
        if let Some(local) = user_part(text) {
            check_local(local).map_err(|error| match error {
                DestinationError::Unknown => DestinationError::NotOwn,
                other => other,
            })?;
            return Ok(Self::Own(local));
        }
        if text.starts_with(REPLY) {
            return Err(DestinationError::ReplyQueue);
        }
        Self::common(text)
    }

    /// Reads the destination of a SEND.
    ///
    /// # Errors
    /// [`DestinationError`] says what is wrong.
    pub fn of_send(text: &'a str) -> Result<Self, DestinationError> {
        if let Some(rest) = user_part(text) {
            let rest = rest.strip_prefix('/').ok_or(DestinationError::NoUser)?;
            let end = rest.find('/').filter(|end| *end > 0).ok_or(DestinationError::NoUser)?;
            let (name, local) = rest.split_at(end);
            check_local(local).map_err(|error| match error {
                DestinationError::Unknown => DestinationError::NoUser,
                other => other,
            })?;
            return Ok(Self::User { name: unescaped(name), local });
        }
        if text.starts_with(REPLY) {
            return Ok(Self::Reply(text));
        }
        match Self::common(text)? {
            Self::Pattern(_) => Err(DestinationError::PatternInSend),
            exact => Ok(exact),
        }
    }

    /// Whether that can only be a user's destination; it may still be a malformed one.
    pub fn is_for_user(text: &str) -> bool {
        user_part(text).is_some()
    }

    fn common(text: &'a str) -> Result<Self, DestinationError> {
        if text.starts_with(TEMP) {
            return Err(DestinationError::TempQueue);
        }
        if text.starts_with(QUEUE) {
            check_exact(text, QUEUE)?;
            return Ok(Self::Queue(text));
        }
        let pattern = has_wildcards(name_behind(text, TOPIC)?)?;
        Ok(if pattern { Self::Pattern(Pattern::new(text)) } else { Self::Topic(text) })
    }
}

/// The name in the `reply-to` of a SEND that asks for a private queue, if it does.
pub(super) fn is_temp_queue(reply_to: &str) -> bool {
    reply_to.len() > TEMP.len() && reply_to.starts_with(TEMP)
}

/// The destination that receivers see in the place of a `/temp-queue/...`.
pub(super) fn reply_queue(token: u128) -> String {
    format!("{REPLY}{token:032x}")
}

/// What stands behind `/user`, slash included, if that is the first segment.
fn user_part(text: &str) -> Option<&str> {
    text.strip_prefix(USER).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn check_local(local: &str) -> Result<(), DestinationError> {
    let prefix = if local.starts_with(TOPIC) { TOPIC } else { QUEUE };
    check_exact(local, prefix)
}

fn check_exact(text: &str, prefix: &'static str) -> Result<(), DestinationError> {
    if has_wildcards(name_behind(text, prefix)?)? {
        return Err(DestinationError::NoPatterns(prefix));
    }
    Ok(())
}

fn name_behind<'a>(text: &'a str, prefix: &'static str) -> Result<&'a str, DestinationError> {
    let name = text.strip_prefix(prefix).ok_or(DestinationError::Unknown)?;
    if name.is_empty() { Err(DestinationError::NoName(prefix)) } else { Ok(name) }
}

fn has_wildcards(name: &str) -> Result<bool, DestinationError> {
    let mut found = false;
    for word in name.split(['.', '/']) {
        match word {
            "*" | "**" | "#" => found = true,
            _ if word.contains('*') => return Err(DestinationError::PartialWildcard),
            _ => {}
        }
    }
    Ok(found)
}

fn unescaped(name: &str) -> Cow<'_, str> {
    if name.contains('%') { name.replace("%2F", "/").replace("%2f", "/").into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_up_to_the_next_slash_and_may_hold_escaped_ones() {
        let user = |text| match Destination::of_send(text) {
            Ok(Destination::User { name, local }) => Ok((name.into_owned(), local)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error),
        };
        assert_eq!(user("/user/ann/queue/x"), Ok(("ann".into(), "/queue/x")));
        assert_eq!(user("/user/a%2Fb%2f%25/topic/x/y"), Ok(("a/b/%25".into(), "/topic/x/y")));
        assert_eq!(user("/user/queue/queue/x"), Ok(("queue".into(), "/queue/x")));
        for nobody in ["/user", "/user/", "/user/ann", "/user//queue/x", "/user/queue/x", "/user/ann/app/x"] {
            assert_eq!(user(nobody), Err(DestinationError::NoUser), "{nobody}");
        }
        assert_eq!(user("/user/ann/queue/"), Err(DestinationError::NoName(QUEUE)));
        assert_eq!(user("/user/ann/queue/*"), Err(DestinationError::NoPatterns(QUEUE)));
    }

    #[test]
    fn only_the_own_can_be_subscribed_to() {
        assert_eq!(Destination::of_subscribe("/user/queue/x"), Ok(Destination::Own("/queue/x")));
        assert_eq!(Destination::of_subscribe("/user/topic/a/b"), Ok(Destination::Own("/topic/a/b")));
        for foreign in ["/user/ann/queue/x", "/user/x", "/user", "/user/", "/user//queue/x"] {
            assert_eq!(Destination::of_subscribe(foreign), Err(DestinationError::NotOwn), "{foreign}");
        }
        assert_eq!(Destination::of_subscribe("/user/queue/**"), Err(DestinationError::NoPatterns(QUEUE)));
        assert_eq!(Destination::of_subscribe("/users/queue/x"), Err(DestinationError::Unknown));
    }

    #[test]
    fn reply_queues_are_for_sending_and_temp_queues_for_reply_to() {
        assert!(matches!(Destination::of_send("/reply-queue/0"), Ok(Destination::Reply("/reply-queue/0"))));
        assert_eq!(Destination::of_subscribe("/reply-queue/0"), Err(DestinationError::ReplyQueue));
        for parse in [Destination::of_send, Destination::of_subscribe] {
            assert_eq!(parse("/temp-queue/x"), Err(DestinationError::TempQueue));
        }
        assert!(is_temp_queue("/temp-queue/x") && !is_temp_queue("/temp-queue/") && !is_temp_queue("/queue/x"));
    }
}
