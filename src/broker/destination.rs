//! What a destination string means to this broker. Parsed once at the border; nothing behind it looks at raw strings to
//! decide what they are, so publishing and subscribing cannot disagree.
//!
//! Does not know: who is subscribed, or who may do what.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::Pattern;

/// How the destinations of topics begin: `broker.topic_prefixes`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPrefixes {
    /// Each with a slash at its end.
    prefixes: Arc<[Box<str>]>,
}

/// A destination as the embedded broker understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination<'a> {
    /// `/topic/...`, or what else `broker.topic_prefixes` names, by its exact name, prefix included.
    Topic(&'a str),
    /// The same with wildcards; in SUBSCRIBE only.
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
    #[error("unknown kind of destination; this broker serves {0}, /queue/NAME and /user/...")]
    Unknown(TopicPrefixes),
    /// The name is longer than `broker.max_name`.
    #[error("the destination is longer than max_name, {0} bytes")]
    TooLong(usize),
    /// The prefix stands alone.
    #[error("the destination has no name behind {0}")]
    NoName(String),
    /// A wildcard in a SEND.
    #[error("a pattern is for SUBSCRIBE only; a message is sent to one name")]
    PatternInSend,
    /// A wildcard in a destination that has none.
    #[error("patterns are for topics only; {0} takes exact names")]
    NoPatterns(String),
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

const QUEUE: &str = "/queue/";
const USER: &str = "/user";
const REPLY: &str = "/reply-queue/";
const TEMP: &str = "/temp-queue/";

impl TopicPrefixes {
    /// Of whole segments, without a slash at the end, such as `/topic`.
    pub fn new<'p>(prefixes: impl IntoIterator<Item = &'p String>) -> Self {
        Self { prefixes: prefixes.into_iter().map(|prefix| format!("{prefix}/").into()).collect() }
    }

    /// The one that a destination begins with.
    fn of(&self, text: &str) -> Option<&str> {
        self.prefixes.iter().map(|prefix| &**prefix).find(|prefix| text.starts_with(prefix))
    }
}

impl Default for TopicPrefixes {
    fn default() -> Self {
        Self::new(&["/topic".to_owned()])
    }
}

/// As part of a sentence: `/topic/NAME, /news/NAME`.
impl fmt::Display for TopicPrefixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, prefix) in self.prefixes.iter().enumerate() {
            write!(f, "{}{prefix}NAME", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl<'a> Destination<'a> {
    /// Reads the destination of a SUBSCRIBE.
    ///
    /// # Errors
    /// [`DestinationError`] says what is wrong.
    pub fn of_subscribe(text: &'a str, topics: &TopicPrefixes) -> Result<Self, DestinationError> {
        if let Some(local) = user_part(text) {
            check_local(local, topics).map_err(|error| match error {
                DestinationError::Unknown(_) => DestinationError::NotOwn,
                other => other,
            })?;
            return Ok(Self::Own(local));
        }
        if text.starts_with(REPLY) {
            return Err(DestinationError::ReplyQueue);
        }
        Self::common(text, topics)
    }

    /// Reads the destination of a SEND.
    ///
    /// # Errors
    /// [`DestinationError`] says what is wrong.
    pub fn of_send(text: &'a str, topics: &TopicPrefixes) -> Result<Self, DestinationError> {
        if let Some(rest) = user_part(text) {
            let rest = rest.strip_prefix('/').ok_or(DestinationError::NoUser)?;
            let end = rest.find('/').filter(|end| *end > 0).ok_or(DestinationError::NoUser)?;
            let (name, local) = rest.split_at(end);
            check_local(local, topics).map_err(|error| match error {
                DestinationError::Unknown(_) => DestinationError::NoUser,
                other => other,
            })?;
            return Ok(Self::User { name: unescaped(name), local });
        }
        if text.starts_with(REPLY) {
            return Ok(Self::Reply(text));
        }
        match Self::common(text, topics)? {
            Self::Pattern(_) => Err(DestinationError::PatternInSend),
            exact => Ok(exact),
        }
    }

    /// Whether that can only be a user's destination; it may still be a malformed one.
    pub fn is_for_user(text: &str) -> bool {
        user_part(text).is_some()
    }

    fn common(text: &'a str, topics: &TopicPrefixes) -> Result<Self, DestinationError> {
        if text.starts_with(TEMP) {
            return Err(DestinationError::TempQueue);
        }
        if text.starts_with(QUEUE) {
            check_exact(text, QUEUE)?;
            return Ok(Self::Queue(text));
        }
        let Some(prefix) = topics.of(text) else { return Err(DestinationError::Unknown(topics.clone())) };
        let pattern = has_wildcards(name_behind(text, prefix)?)?;
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

fn check_local(local: &str, topics: &TopicPrefixes) -> Result<(), DestinationError> {
    let prefix = topics.of(local).or_else(|| local.starts_with(QUEUE).then_some(QUEUE));
    check_exact(local, prefix.ok_or_else(|| DestinationError::Unknown(topics.clone()))?)
}

fn check_exact(text: &str, prefix: &str) -> Result<(), DestinationError> {
    if has_wildcards(name_behind(text, prefix)?)? {
        return Err(DestinationError::NoPatterns(prefix.to_owned()));
    }
    Ok(())
}

/// The prefix has been seen already.
fn name_behind<'a>(text: &'a str, prefix: &str) -> Result<&'a str, DestinationError> {
    let name = text.strip_prefix(prefix).unwrap_or_default();
    if name.is_empty() { Err(DestinationError::NoName(prefix.to_owned())) } else { Ok(name) }
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
        let user = |text| match Destination::of_send(text, &TopicPrefixes::default()) {
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
        assert_eq!(user("/user/ann/queue/"), Err(DestinationError::NoName(QUEUE.to_owned())));
        assert_eq!(user("/user/ann/queue/*"), Err(DestinationError::NoPatterns(QUEUE.to_owned())));
    }

    fn own(text: &str) -> Result<Destination<'_>, DestinationError> {
        Destination::of_subscribe(text, &TopicPrefixes::default())
    }

    #[test]
    fn only_the_own_can_be_subscribed_to() {
        assert_eq!(own("/user/queue/x"), Ok(Destination::Own("/queue/x")));
        assert_eq!(own("/user/topic/a/b"), Ok(Destination::Own("/topic/a/b")));
        for foreign in ["/user/ann/queue/x", "/user/x", "/user", "/user/", "/user//queue/x"] {
            assert_eq!(own(foreign), Err(DestinationError::NotOwn), "{foreign}");
        }
        assert_eq!(own("/user/queue/**"), Err(DestinationError::NoPatterns(QUEUE.to_owned())));
        assert_eq!(own("/users/queue/x"), Err(DestinationError::Unknown(TopicPrefixes::default())));
    }

    #[test]
    fn reply_queues_are_for_sending_and_temp_queues_for_reply_to() {
        assert!(matches!(
            Destination::of_send("/reply-queue/0", &TopicPrefixes::default()),
            Ok(Destination::Reply("/reply-queue/0"))
        ));
        assert_eq!(own("/reply-queue/0"), Err(DestinationError::ReplyQueue));
        for parse in [Destination::of_send, Destination::of_subscribe] {
            assert_eq!(parse("/temp-queue/x", &TopicPrefixes::default()), Err(DestinationError::TempQueue));
        }
        assert!(is_temp_queue("/temp-queue/x") && !is_temp_queue("/temp-queue/") && !is_temp_queue("/queue/x"));
    }

    #[test]
    fn topics_begin_as_they_are_configured() {
        let topics = TopicPrefixes::new(&["/subscribe".to_owned(), "/a/b".to_owned()]);
        for name in ["/subscribe/room/1", "/a/b/c"] {
            assert_eq!(Destination::of_send(name, &topics), Ok(Destination::Topic(name)));
        }
        assert!(matches!(Destination::of_subscribe("/subscribe/*", &topics), Ok(Destination::Pattern(_))));
        assert_eq!(Destination::of_subscribe("/user/subscribe/x", &topics), Ok(Destination::Own("/subscribe/x")));
        assert_eq!(Destination::of_send("/queue/x", &topics), Ok(Destination::Queue("/queue/x")));
        for unknown in ["/topic/x", "/subscribers/x", "/a/c", "/subscribe"] {
            let error = Destination::of_send(unknown, &topics).expect_err(unknown);
            assert!(error.to_string().contains("serves /subscribe/NAME, /a/b/NAME, /queue/NAME"), "{error}");
        }
        assert_eq!(Destination::of_send("/a/b/", &topics), Err(DestinationError::NoName("/a/b/".to_owned())));
        assert_eq!(Destination::of_subscribe("/user/topic/x", &topics), Err(DestinationError::NotOwn));
    }
}
