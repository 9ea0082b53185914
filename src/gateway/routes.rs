//! Which of an application's handlers a destination is for: patterns in the order in which they were added, the first that fits
//! wins. Words and wildcards are the broker's; besides, `{name}` stands for one word and hands it over under that name.
//!
//! Does not know: what a handler is, prefixes, or the broker.

use std::fmt;

use crate::config::steps::{Word, words};

/// Values by pattern.
#[derive(Clone, Debug)]
pub struct Routes<T> {
    routes: Vec<Route<T>>,
}

/// The words that the `{name}`s of a pattern stand for, in the pattern's order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables {
    entries: Vec<(Box<str>, Box<str>)>,
}

/// Why a pattern is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Destinations begin with a slash.
    #[error("the pattern {0:?} does not begin with a slash; write \"/{0}\"")]
    NoSlash(String),
    /// It ends in white space, or has control characters in it.
    #[error("the pattern {0:?} has invisible characters in it; take them out")]
    Invisible(String),
    /// Braces stand for a whole word, and hold a name.
    #[error(
        "the pattern {0:?} has the word {1:?}; write {{name}} for one whole word, with letters, digits, - and _ in its name"
    )]
    Name(String, String),
    /// The name stands for one word only.
    #[error("the pattern {0:?} has {{{1}}} twice; give one of them another name")]
    Twice(String, String),
    /// A wildcard is a whole word.
    #[error("the pattern {0:?} has the word {1:?}; write * for one whole word, ** for any number of words")]
    Wildcard(String, String),
    /// Whatever fits it goes to an earlier one.
    #[error(
        "the pattern {0:?} is the same as the earlier {1:?}, which takes all of its messages; leave one of them out"
    )]
    Taken(String, String),
}

/// One word of a pattern, with the separator before it. Behind an `Any` every separator will do, and there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Literal(Option<char>, Box<str>),
    One(Option<char>),
    Named(Option<char>),
    Any,
}

#[derive(Clone, Debug)]
struct Route<T> {
    pattern: Box<str>,
    /// The steps before the first `Any`.
    head: Vec<Step>,
    /// That `Any` and all that follows; mostly empty.
    tail: Vec<Step>,
    names: Vec<Box<str>>,
    value: T,
}

impl<T> Routes<T> {
    /// No pattern.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pattern behind all others.
    ///
    /// # Errors
    ///
    /// [`RouteError`] if it is none, or can never be found.
    pub fn insert(&mut self, pattern: &str, value: T) -> Result<(), RouteError> {
        let route = Route::new(pattern, value)?;
        match self.routes.iter().find(|earlier| earlier.head == route.head && earlier.tail == route.tail) {
            Some(earlier) => Err(RouteError::Taken(pattern.to_owned(), earlier.pattern.to_string())),
            None => {
                self.routes.push(route);
                Ok(())
            }
        }
    }

    /// The value of the first pattern that fits, with the words that its names stand for.
    pub fn find(&self, destination: &str) -> Option<(&T, Variables)> {
        if self.routes.is_empty() {
            return None;
        }
        let words: Vec<Word<'_>> = words(destination).collect();
        self.routes.iter().find_map(|route| {
            let values = route.fit(&words)?;
            let entries = route.names.iter().cloned().zip(values.into_iter().map(Box::from)).collect();
            Some((&route.value, Variables { entries }))
        })
    }

    /// Whether any pattern fits.
    pub fn fits(&self, destination: &str) -> bool {
        self.find(destination).is_some()
    }

    /// The patterns and their values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.routes.iter().map(|route| (&*route.pattern, &route.value))
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { routes: Vec::new() }
    }
}

impl Variables {
    /// The word that a name stands for.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| *own == name).map(|(_, word)| word)
    }

    /// All names with their words.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, word)| (&**name, &**word))
    }

    /// Whether the pattern has no names.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<N: Into<Box<str>>, W: Into<Box<str>>> FromIterator<(N, W)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, W)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().map(|(name, word)| (name.into(), word.into())).collect() }
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<T> Route<T> {
    fn new(pattern: &str, value: T) -> Result<Self, RouteError> {
        let own = || pattern.to_owned();
        if !pattern.starts_with('/') {
            return Err(RouteError::NoSlash(own()));
        }
        if pattern.trim_end() != pattern || pattern.contains(char::is_control) {
            return Err(RouteError::Invisible(own()));
        }
        let (mut head, mut tail, mut names) = (Vec::new(), Vec::new(), Vec::<Box<str>>::new());
        let mut after_any = false;
        for (separator, word) in words(pattern) {
            let separator = separator.filter(|_| !after_any);
            after_any = matches!(word, "**" | "#");
            let step = match word {
                "*" => Step::One(separator),
                "**" | "#" => Step::Any,
                _ if word.contains('*') => return Err(RouteError::Wildcard(own(), word.to_owned())),
                _ if word.contains(['{', '}']) => {
                    let name = name(word).ok_or_else(|| RouteError::Name(own(), word.to_owned()))?;
                    if names.iter().any(|earlier| **earlier == *name) {
                        return Err(RouteError::Twice(own(), name.to_owned()));
                    }
                    names.push(name.into());
                    Step::Named(separator)
                }
                _ => Step::Literal(separator, word.into()),
            };
            if tail.is_empty() && step != Step::Any { head.push(step) } else { tail.push(step) }
        }
        Ok(Self { pattern: pattern.into(), head, tail, names, value })
    }

    /// The words that the names stand for, if the pattern fits. Of several ways the one counts in which each `**` takes as few
    /// words as it can, the first before the others.
    fn fit<'w>(&self, words: &[Word<'w>]) -> Option<Vec<&'w str>> {
        let (first, rest) = words.split_at_checked(self.head.len())?;
        if !self.head.iter().zip(first).all(|(step, word)| step.fits(word)) {
            return None;
        }
        let mut values = Vec::with_capacity(self.names.len());
        let named = |values: &mut Vec<&'w str>, step: &Step, word: &Word<'w>| {
            if matches!(step, Step::Named(_)) {
                values.push(word.1);
            }
        };
        self.head.iter().zip(first).for_each(|(step, word)| named(&mut values, step, word));
        let mut rows = rows(&self.tail, rest).into_iter().rev();
        // The row for the whole tail, that is: whether it fits all that is left of the words.
        if !*rows.next()?.first()? {
            return None;
        }
        let mut at = 0;
        for (step, fits_behind) in self.tail.iter().zip(rows) {
            if *step == Step::Any {
                at += fits_behind.get(at..)?.iter().position(|fits| *fits)?;
            } else {
                named(&mut values, step, rest.get(at)?);
                at += 1;
            }
        }
        Some(values)
    }
}

impl Step {
    fn fits(&self, (before, word): &Word<'_>) -> bool {
        let behind = |own: &Option<char>| own.is_none() || own == before;
        match self {
            Self::Literal(own, literal) => **literal == **word && behind(own),
            Self::One(own) => behind(own),
            // No word is no name: whoever asks for one must not find an empty text in its place.
            Self::Named(own) => !word.is_empty() && behind(own),
            Self::Any => true,
        }
    }
}

/// One row for what is left of the steps, from nothing to all of them: whether that fits what is left of the words from each of them
/// on. Each cell is computed once, so there is no backtracking to provoke.
fn rows(steps: &[Step], words: &[Word<'_>]) -> Vec<Vec<bool>> {
    let mut nothing = vec![false; words.len()];
    nothing.push(true);
    let mut rows = vec![nothing];
    for step in steps.iter().rev() {
        let behind = rows.last().map_or(&[][..], Vec::as_slice);
        let row = if *step == Step::Any {
            let mut reached = false;
            let mut row: Vec<bool> = behind
                .iter()
                .rev()
                .map(|fits| {
                    reached |= fits;
                    reached
                })
                .collect();
            row.reverse();
            row
        } else {
            behind.iter().skip(1).zip(words).map(|(fits, word)| *fits && step.fits(word)).chain([false]).collect()
        };
        rows.push(row);
    }
    rows
}

/// The name in a word that is `{name}`.
fn name(word: &str) -> Option<&str> {
    let name = word.strip_prefix('{')?.strip_suffix('}')?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!name.is_empty() && name.chars().all(allowed)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Pattern;
    use proptest::prelude::*;

    fn routes(patterns: &[&str]) -> Routes<usize> {
        let mut routes = Routes::new();
        for (index, pattern) in patterns.iter().enumerate() {
            routes.insert(pattern, index).unwrap();
        }
        routes
    }

    fn found(pattern: &str, destination: &str) -> Option<String> {
        let routes = routes(&[pattern]);
        let (_, variables) = routes.find(destination)?;
        Some(variables.iter().map(|(name, word)| format!("{name}={word}")).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_name_stands_for_exactly_one_word() {
        for (pattern, destination, expected) in [
            ("/app/hello", "/app/hello", Some("")),
            ("/app/hello", "/app/hello/you", None),
            ("/app/chat/{room}", "/app/chat/blue", Some("room=blue")),
            ("/app/chat/{room}", "/app/chat/blue.green", None),
            ("/app/chat/{room}", "/app/chat/blue/green", None),
            ("/app/chat/{room}", "/app/chat.blue", None),
            ("/app/chat/{room}", "/app/chat/", None),
            ("/app/chat/{room}", "/app/chat", None),
            ("/app/chat.{room}.{what}", "/app/chat.blue.say", Some("room=blue what=say")),
            ("/app/{a}/x.{b-2}", "/app/1/x.2", Some("a=1 b-2=2")),
            ("/app/*/{b}", "/app/1/2", Some("b=2")),
            ("/app/**", "/app", Some("")),
            ("/app/**", "/app/a.b/c", Some("")),
            ("/app/**/{last}", "/app/a.b/c", Some("last=c")),
            ("/app/**/{last}", "/app", None),
            ("/app/#.{a}.**", "/app/x/y", Some("a=x")),
            ("/app/**/x/{a}/**", "/app/x.1/x/2/x/3", Some("a=2")),
        ] {
            assert_eq!(found(pattern, destination).as_deref(), expected, "{pattern} {destination}");
        }
    }

    #[test]
    fn the_first_that_fits_wins() {
        let routes = routes(&["/app/chat/lobby", "/app/chat/{room}", "/app/**"]);
        let index = |destination| routes.find(destination).map(|(index, _)| *index);
        assert_eq!(index("/app/chat/lobby"), Some(0));
        assert_eq!(index("/app/chat/blue"), Some(1));
        assert_eq!(index("/app/other"), Some(2));
        assert_eq!(index("/topic/a"), None);
        assert!(routes.fits("/app/x") && !routes.fits("/apple"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_reason() {
        for (pattern, reason) in [
            ("", "slash"),
            ("app/hello", "write \"/app/hello\""),
            ("/app/hello ", "invisible"),
            ("/app/{room", "{room"),
            ("/app/x{room}", "x{room}"),
            ("/app/{}", "whole word"),
            ("/app/{a b}", "letters"),
            ("/app/{a}/{a}", "{a} twice"),
            ("/app/a*", "whole word"),
            ("/app/***", "any number of words"),
            ("/app/{other}", "the earlier \"/app/{name}\""),
        ] {
            let mut routes = routes(&["/app/{name}"]);
            let error = routes.insert(pattern, 1).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert_eq!(routes.iter().count(), 1);
        }
    }

    #[test]
    fn many_wildcards_cost_no_more_than_steps_by_words() {
        let routes = routes(&[&format!("/app{}/end", "/**/a".repeat(200))]);
        let destination = format!("/app{}", "/a".repeat(4000));
        // With backtracking this would not end.
        assert!(routes.find(&destination).is_none());
    }

    proptest! {
        #[test]
        fn names_apart_it_is_the_brokers_matcher(
            pattern in "(/|(/|\\.)([ab]|\\*|\\*\\*|#|\\{[xyz]\\})){1,5}",
            destination in "(/|(/|\\.)[ab]){0,6}",
        ) {
            let mut routes = Routes::new();
            prop_assume!(routes.insert(&pattern, ()).is_ok());
            let plain = ["{x}", "{y}", "{z}"].iter().fold(pattern.clone(), |text, name| text.replace(name, "*"));
            match routes.find(&destination) {
                Some((_, variables)) => {
                    prop_assert!(Pattern::new(&plain).matches(&destination));
                    // Put into the pattern, the words make one that fits.
                    let filled = variables.iter().fold(pattern, |text, (name, word)| text.replace(&format!("{{{name}}}"), word));
                    prop_assert!(Pattern::new(&filled).matches(&destination), "{}", filled);
                }
                None => prop_assert!(
                    !Pattern::new(&plain).matches(&destination) || (plain != pattern && words(&destination).any(|(_, word)| word.is_empty()))
                ),
            }
        }
    }
}
