//! The headers of a frame: an ordered list in which a name may stand more than once.
//!
//! Does not know: which headers mean what, and how they are escaped on the wire.

use std::fmt;

/// An ordered list of header names and values, unescaped. An empty list holds no memory.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    entries: Vec<(Box<str>, Box<str>)>,
}

impl Headers {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a header. Of repeated headers the first counts (STOMP 1.2, Repeated Header Entries).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Adds a header at the end. If the name is there already, its earlier value still counts.
    pub fn push(&mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) {
        self.entries.push((name.into(), value.into()));
    }

    /// Takes every entry of that name away and gives the value that counted, the first.
    pub fn remove(&mut self, name: &str) -> Option<Box<str>> {
        let mut first = None;
        while let Some(at) = self.entries.iter().position(|(key, _)| &**key == name) {
            let (_, value) = self.entries.remove(at);
            first.get_or_insert(value);
        }
        first
    }

    /// Keeps the headers for whose name and value `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.entries.retain(|(name, value)| keep(name, value));
    }

    /// All names and values in order, repeated ones too.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many entries there are, repeated ones counted.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<N: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

impl fmt::Debug for Headers {
    /// Shows everything but credentials, which must never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.iter().map(|(name, value)| match name {
            "passcode" | "login" | "authorization" | "Authorization" => (name, "***"),
            _ => (name, value),
        });
        f.debug_map().entries(shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_repeated_headers_wins() {
        let headers: Headers = [("foo", "World"), ("foo", "Hello")].into_iter().collect();
        assert_eq!(headers.get("foo"), Some("World"));
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn remove_takes_every_entry_so_that_no_later_one_becomes_the_first() {
        let mut headers: Headers = [("a", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        assert_eq!(headers.remove("a").as_deref(), Some("1"));
        assert_eq!(headers.get("a"), None);
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("b", "2")]);
    }

    #[test]
    fn names_are_case_sensitive() {
        let headers: Headers = [("Receipt", "1")].into_iter().collect();
        assert_eq!(headers.get("receipt"), None);
    }

    #[test]
    fn debug_hides_credentials() {
        let headers: Headers = [("login", "ann"), ("passcode", "secret")].into_iter().collect();
        let shown = format!("{headers:?}");
        assert!(!shown.contains("secret") && !shown.contains("ann"), "{shown}");
    }
}
