//! Reads a server's frames: `o`, `h`, `a[...]`, `m...` and `c[...]` (SockJS protocol, frames). What is none of these is an error.
//!
//! Does not know: which frame may come when.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// The session is open.
    Open,
    /// The server lives. A stream's prelude counts as one.
    Heartbeat,
    /// Messages: one or more of `a`, or the one of `m`.
    Messages(Vec<String>),
    /// The session is closed, with that code and reason.
    Close(u16, String),
}

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with it; it quotes the beginning of the frame.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let wrong = |why: &str| format!("{}: {why}", quoted(text));
        let Ok(text) = std::str::from_utf8(text) else { return Err(wrong("it is not UTF-8")) };
        // The way in which texts are read below would let them pass.
        if text.bytes().any(|byte| byte < 0x20) {
            return Err(wrong("a control character stands in it"));
        }
        let json = |error: serde_json::Error| wrong(&error.to_string());
        let Some(rest) = text.get(1..) else { return Err(wrong("it is no frame")) };
        match text.as_bytes().first() {
            Some(b'o') if rest.is_empty() => Ok(Self::Open),
            Some(b'h') if rest.bytes().all(|byte| byte == b'h') => Ok(Self::Heartbeat),
            Some(b'a') => {
                let texts: Vec<Text> = serde_json::from_str(rest).map_err(json)?;
                Ok(Self::Messages(texts.into_iter().map(|Text(text)| text).collect()))
            }
            Some(b'm') => serde_json::from_str(rest).map(|Text(text)| Self::Messages(vec![text])).map_err(json),
            Some(b'c') => serde_json::from_str(rest).map(|(code, Text(why))| Self::Close(code, why)).map_err(json),
            _ => Err(wrong("it is no frame")),
        }
    }
}

/// A JSON string. Half a surrogate pair, which JSON can write and Rust's texts cannot hold, becomes U+FFFD: to refuse it would cost
/// the session.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl Visitor<'_> for Visit {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
                let mut text = String::with_capacity(bytes.len());
                for chunk in bytes.utf8_chunks() {
                    text.push_str(chunk.valid());
                    // Half a pair comes as three wrong bytes, one by one; the first tells them from the others.
                    if chunk.invalid().first().is_some_and(|byte| !matches!(byte, 0x80..=0xbf)) {
                        text.push(char::REPLACEMENT_CHARACTER);
                    }
                }
                Ok(Text(text))
            }
        }
        // Only as bytes does the parser let half a pair pass.
        deserializer.deserialize_bytes(Visit)
    }
}

/// The beginning of a frame, for an error.
fn quoted(frame: &[u8]) -> String {
    const SHOWN: usize = 40;
    let start = String::from_utf8_lossy(frame.get(..SHOWN).unwrap_or(frame));
    let more = if frame.len() > SHOWN { "..." } else { "" };
    format!("{start:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Frame {
        Frame::Messages(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn frames_are_what_the_protocol_says() {
        for (frame, expected) in [
            ("o", Frame::Open),
            ("h", Frame::Heartbeat),
            ("hhhh", Frame::Heartbeat),
            (r#"a["x"]"#, texts(&["x"])),
            (r#"a["","\u0000\n","\ud83d\ude00","é"]"#, texts(&["", "\0\n", "\u{1f600}", "é"])),
            ("a[]", texts(&[])),
            (r#"a["\ud800x\udfff\ufffd"]"#, texts(&["\u{fffd}x\u{fffd}\u{fffd}"])),
            (r#"m"x""#, texts(&["x"])),
            (r#"c[3000,"Go away!"]"#, Frame::Close(3000, "Go away!".to_owned())),
            (r#"c[1002, "Connection interrupted" ]"#, Frame::Close(1002, "Connection interrupted".to_owned())),
        ] {
            assert_eq!(Frame::parse(frame.as_bytes()), Ok(expected), "{frame}");
        }
    }

    #[test]
    fn anything_else_is_said_to_be_wrong() {
        for frame in [
            "",
            "x",
            "oo",
            "o ",
            "hx",
            "a",
            "a\"x\"",
            "a[1]",
            "a[null]",
            "a[[\"x\"]]",
            "a[\"x\"",
            "a[\"x\"]]",
            "m",
            "m1",
            "m[\"x\"]",
            "c",
            "c[]",
            "c[3000]",
            "c[\"3000\",\"x\"]",
            "c[3000,\"x\",1]",
            "c[70000,\"x\"]",
            "c[-1,\"x\"]",
            "é",
            "<html>",
            "a[\"\n\"]",
        ] {
            assert!(Frame::parse(frame.as_bytes()).is_err(), "{frame}");
        }
        assert!(Frame::parse(b"a[\"\xff\"]").unwrap_err().contains("UTF-8"));
        let long = Frame::parse("x".repeat(1000).as_bytes()).unwrap_err();
        assert!(long.len() < 100, "{long}");
    }
}
