//! The headers of a frame: an ordered list in which a name may stand more than once.
//!
//! Does not know: which headers mean what, and how they are escaped on the wire.

use std::fmt;

/// What is not the sender's to say in a MESSAGE.
const RESERVED: [&str; 10] = [
    "destination",
    "content-length",
    "message-id",
    "subscription",
    "ack",
    "redelivered",
    "receipt",
    "receipt-id",
    "transaction",
    "x-offset",
];

/// Headers that hold what a client proves itself by, in whatever case.
const CREDENTIALS: [&str; 5] = ["login", "passcode", "authorization", "proxy-authorization", "cookie"];

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

    /// Takes out what a server sets on a MESSAGE itself, and what is between a client and its server only, so that neither a
    /// client nor an application can forge it (STOMP 1.2, MESSAGE).
    pub fn keep_for_message(&mut self) {
        self.retain(|name, _| !RESERVED.contains(&name));
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

/// Whether a header holds, by its name, what nobody but the gateway is to see.
pub(crate) fn is_credential(name: &str) -> bool {
    CREDENTIALS.iter().any(|credential| name.eq_ignore_ascii_case(credential))
}

impl fmt::Debug for Headers {
    /// Shows everything but credentials, which must never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.iter().map(|(name, value)| if is_credential(name) { (name, "***") } else { (name, value) });
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
        let names = ["login", "passcode", "Passcode", "AUTHORIZATION", "Cookie", "Proxy-Authorization"];
        let mut headers: Headers = names.map(|name| (name, "secret")).into_iter().collect();
        headers.push("foo", "seen");
        let shown = format!("{headers:?}");
        assert!(!shown.contains("secret") && shown.contains("seen"), "{shown}");
    }
}
