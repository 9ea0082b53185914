//! A backend's URL with `{name}`s in its path. Whatever a client puts into a word, it stays inside of its path segment: no other
//! path, no other host, no query.
//!
//! Does not know: patterns, or how a URL is asked.

use std::fmt::Write as _;

use hyper::Uri;

use crate::gateway::Variables;

/// A URL to be filled in.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Box<str>),
    Name(Box<str>),
}

impl Template {
    /// Reads a URL, in which `known` are the names that will have values.
    ///
    /// # Errors
    /// What is wrong, in words that go behind "the URL".
    pub fn new(url: &str, known: impl Fn(&str) -> bool) -> Result<Self, String> {
        check(&url.replace(['{', '}'], ""))?;
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = url;
        while let Some((before, behind)) = rest.split_once('{') {
            let Some((name, after)) = behind.split_once('}') else {
                return Err("has a { without its }".to_owned());
            };
            text.push_str(before);
            // Behind the slashes of "http://" the next one begins the path.
            let in_path = text.matches('/').count() >= 3 && !text.contains('?');
            if !in_path {
                return Err(format!("has {{{name}}} outside of its path; names are for the path only"));
            }
            if !known(name) {
                return Err(format!("has {{{name}}}, which the destination has not"));
            }
            pieces.push(Piece::Text(before.into()));
            pieces.push(Piece::Name(name.into()));
            // Stands for the name where slashes are counted.
            text.push('x');
            rest = after;
        }
        if rest.contains('}') {
            return Err("has a } without its {".to_owned());
        }
        pieces.push(Piece::Text(rest.into()));
        Ok(Self { pieces })
    }

    /// The URL with these words. None if one of them would be read as a way to another path, or is missing.
    pub fn fill(&self, variables: &Variables) -> Option<String> {
        let mut url = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => url.push_str(text),
                Piece::Name(name) => {
                    let word = variables.get(name)?;
                    // Encoded or not, these two are not names of segments to most servers.
                    if matches!(word, "" | "." | "..") {
                        return None;
                    }
                    escape_into(&mut url, word);
                }
            }
        }
        Some(url)
    }
}

/// Whether a URL without names can be asked.
///
/// # Errors
/// What is wrong, in words that go behind "the URL".
pub(super) fn check(url: &str) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|_| "is none".to_owned())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("does not begin with http:// or https://".to_owned());
    }
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return Err("names no host".to_owned());
    };
    if authority.as_str().contains('@') {
        return Err("names a user; backends know the gateway by webhook.secret".to_owned());
    }
    if url.contains('#') {
        return Err("has a #, behind which nothing is ever sent".to_owned());
    }
    Ok(())
}

/// Leaves the unreserved characters of RFC 3986, 2.3, as they are, and nothing else.
fn escape_into(url: &mut String, word: &str) {
    for byte in word.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Nothing is wrong with writing into a String.
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(url: &str, room: &str) -> Option<String> {
        let template = Template::new(url, |name| name == "room").unwrap();
        template.fill(&[("room", room)].into_iter().collect())
    }

    #[test]
    fn a_word_stays_in_its_segment() {
        for (word, expected) in [
            ("blue", "http://h/chat/blue/say?k=1"),
            ("a b", "http://h/chat/a%20b/say?k=1"),
            ("../x", "http://h/chat/..%2Fx/say?k=1"),
            ("?x=1#y", "http://h/chat/%3Fx%3D1%23y/say?k=1"),
            ("%2f", "http://h/chat/%252f/say?k=1"),
            ("é", "http://h/chat/%C3%A9/say?k=1"),
            ("{room}", "http://h/chat/%7Broom%7D/say?k=1"),
            ("\\@h2:1;", "http://h/chat/%5C%40h2%3A1%3B/say?k=1"),
            ("...", "http://h/chat/.../say?k=1"),
        ] {
            assert_eq!(fill("http://h/chat/{room}/say?k=1", word).as_deref(), Some(expected));
        }
        for word in ["", ".", ".."] {
            assert_eq!(fill("http://h/chat/{room}/say", word), None, "{word}");
        }
        assert_eq!(fill("http://h/{room}-{room}", "a").as_deref(), Some("http://h/a-a"));
    }

    #[test]
    fn urls_that_cannot_be_meant_are_refused() {
        for (url, reason) in [
            ("", "is none"),
            ("/chat", "http://"),
            ("ftp://h/", "http://"),
            ("http:///chat", "none"),
            ("http://ann:hidden@h/", "names a user"),
            ("http://h/chat#top", "#"),
            ("http://h/{room", "without its }"),
            ("http://h/room}", "without its {"),
            ("http://{room}/", "outside of its path"),
            ("http://h{room}/", "outside of its path"),
            ("http://h/?x={room}", "outside of its path"),
            ("http://h/{other}", "which the destination has not"),
        ] {
            let error = Template::new(url, |name| name == "room").unwrap_err();
            assert!(error.contains(reason), "{url}: {error}");
            assert!(!error.contains("hidden"));
        }
    }

    proptest! {
        #[test]
        fn no_word_changes_anything_but_its_segment(word in "\\PC{1,12}|[./\\\\?#%@:;{}&=\r\n\0 a]{1,12}") {
            let Some(url) = fill("http://host:81/a/{room}/b?c=d", &word) else {
                prop_assert!(matches!(&*word, "." | ".."));
                return Ok(());
            };
            let uri: Uri = url.parse().unwrap();
            prop_assert_eq!(uri.authority().unwrap().as_str(), "host:81");
            prop_assert_eq!(uri.query(), Some("c=d"));
            let segments: Vec<_> = uri.path().split('/').collect();
            prop_assert_eq!(segments.len(), 4);
            prop_assert_eq!((segments[1], segments[3]), ("a", "b"));
            let decoded = percent_encoding::percent_decode_str(segments[2]).decode_utf8().unwrap();
            prop_assert_eq!(&*decoded, &*word);
        }
    }
}
