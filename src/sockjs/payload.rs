//! Reads what a client sends: a JSON array of strings in the body of xhr_send and jsonp_send, or in a websocket message. The
//! whole array is read before anything is handed out, so a refused payload delivers nothing.
//!
//! The scanner knows the one shape that is right and copies plain runs whole; only when the shape is wrong does a full JSON
//! parser look at the text once more, to tell "not JSON" from "JSON, but not an array of strings".
//!
//! Does not know: the size limit of a body (the caller collected it), sessions, what the messages mean.

use memchr::memchr2;
use percent_encoding::percent_decode;
use serde::de::IgnoredAny;
use thiserror::Error;

/// How much one payload may bring. Both are checked while decoding, before memory is spent on the excess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadLimits {
    /// The largest number of messages in one array.
    pub messages: usize,
    /// The largest message, in bytes of UTF-8 after decoding.
    pub message: usize,
}

/// Why a payload was refused. Nothing of it was delivered. On xhr_send and jsonp_send the first two are answered with status
/// 500 and exactly the text that they display, and the session lives on; on a websocket every one ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// There is no payload, or it is JSON but not an array of strings.
    #[error("Payload expected.")]
    Expected,
    /// The payload is not JSON, or not UTF-8.
    #[error("Broken JSON encoding.")]
    Broken,
    /// The array holds more messages than allowed.
    #[error("Too many messages in one payload (limit {limit}).")]
    TooManyMessages {
        /// The number that was allowed.
        limit: usize,
    },
    /// One message is larger than allowed.
    #[error("Message too large (limit {limit} bytes).")]
    MessageTooLarge {
        /// The size that was allowed, in bytes.
        limit: usize,
    },
}

/// Decodes the body of xhr_send, or the array that jsonp_send carried (SockJS protocol, client to server). An empty
/// array is fine and brings nothing. A `\u` escape that is half a surrogate pair becomes U+FFFD: refusing it would cost
/// the client its connection.
///
/// # Errors
///
/// [`PayloadError`], whatever is wrong first; see there.
pub fn decode_messages(body: &[u8], limits: &PayloadLimits) -> Result<Vec<String>, PayloadError> {
    if body.is_empty() {
        return Err(PayloadError::Expected);
    }
    decode(body, |scanner| scanner.array(limits))
}

/// Decodes one websocket message, text or binary alike. Besides an array of strings it may be one bare JSON string, or
/// empty, which brings nothing (SockJS protocol, websocket).
///
/// # Errors
///
/// [`PayloadError`] as for [`decode_messages`]; each one ends the connection.
pub fn decode_websocket(payload: &[u8], limits: &PayloadLimits) -> Result<Vec<String>, PayloadError> {
    if payload.is_empty() {
        return Ok(Vec::new());
    }
    decode(payload, |scanner| scanner.array_or_string(limits))
}

/// The array inside a jsonp_send form: the first field named `d`, percent-decoded and with `+` as space. `None` where there is
/// no such field or it is empty, which is answered like an empty body.
pub fn decode_form(body: &[u8]) -> Option<Vec<u8>> {
    let fields = body.split(|&b| b == b'&').filter_map(|field| {
        let (name, value) = field.split_at_checked(memchr::memchr(b'=', field)?)?;
        Some((name, value.strip_prefix(b"=")?))
    });
    let (_, value) = fields.into_iter().find(|(name, _)| *name == b"d")?;
    let spaced: Vec<u8> = value.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    (!spaced.is_empty()).then(|| percent_decode(&spaced).collect())
}

fn decode(
    payload: &[u8],
    read: impl FnOnce(&mut Scanner<'_>) -> Result<Vec<String>, Stop>,
) -> Result<Vec<String>, PayloadError> {
    let text = std::str::from_utf8(payload).map_err(|_| PayloadError::Broken)?;
    let mut scanner = Scanner { rest: text };
    match read(&mut scanner).and_then(|messages| scanner.end().map(|()| messages)) {
        Ok(messages) => Ok(messages),
        Err(Stop::Limit(error)) => Err(error),
        Err(Stop::Shape) => match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Err(PayloadError::Expected),
            Err(_) => Err(PayloadError::Broken),
        },
    }
}

/// Why the scanner gave up.
enum Stop {
    /// The text is not of the one shape the scanner knows.
    Shape,
    Limit(PayloadError),
}

struct Scanner<'a> {
    rest: &'a str,
}

impl Scanner<'_> {
    fn array_or_string(&mut self, limits: &PayloadLimits) -> Result<Vec<String>, Stop> {
        if self.take('"') { Ok(vec![self.string(limits.message)?]) } else { self.array(limits) }
    }

    fn array(&mut self, limits: &PayloadLimits) -> Result<Vec<String>, Stop> {
        let mut messages = Vec::new();
        self.require('[')?;
        if self.take(']') {
            return Ok(messages);
        }
        loop {
            self.require('"')?;
            if messages.len() >= limits.messages {
                return Err(Stop::Limit(PayloadError::TooManyMessages { limit: limits.messages }));
            }
            messages.push(self.string(limits.message)?);
            if self.take(']') {
                return Ok(messages);
            }
            self.require(',')?;
        }
    }

    /// The rest of a string whose opening quotation mark was taken.
    fn string(&mut self, limit: usize) -> Result<String, Stop> {
        let mut message = String::new();
        let room = |message: &String, more: usize| {
            let fits = more <= limit.saturating_sub(message.len());
            fits.then_some(()).ok_or(Stop::Limit(PayloadError::MessageTooLarge { limit }))
        };
        loop {
            let end = memchr2(b'"', b'\\', self.rest.as_bytes()).ok_or(Stop::Shape)?;
            let (run, rest) = self.rest.split_at_checked(end).ok_or(Stop::Shape)?;
            if has_control(run) {
                return Err(Stop::Shape);
            }
            room(&message, run.len())?;
            message.push_str(run);
            let mut rest = rest.chars();
            let stop = rest.next();
            self.rest = rest.as_str();
            if stop == Some('"') {
                return Ok(message);
            }
            let c = self.escape()?;
            room(&message, c.len_utf8())?;
            message.push(c);
        }
    }

    /// The character of an escape whose backslash was taken.
    fn escape(&mut self) -> Result<char, Stop> {
        let mut chars = self.rest.chars();
        let c = chars.next().ok_or(Stop::Shape)?;
        self.rest = chars.as_str();
        match c {
            '"' | '\\' | '/' => Ok(c),
            'b' => Ok('\u{8}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'u' => self.unicode_escape(),
            _ => Err(Stop::Shape),
        }
    }

    fn unicode_escape(&mut self) -> Result<char, Stop> {
        let (unit, rest) = code_unit(self.rest).ok_or(Stop::Shape)?;
        self.rest = rest;
        if let Some(c) = char::from_u32(unit) {
            return Ok(c);
        }
        let low = rest.strip_prefix("\\u").and_then(code_unit);
        match low {
            Some((low @ 0xdc00..=0xdfff, rest)) if unit < 0xdc00 => {
                self.rest = rest;
                let astral = 0x1_0000 + ((unit & 0x3ff) << 10) + (low & 0x3ff);
                Ok(char::from_u32(astral).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            _ => Ok(char::REPLACEMENT_CHARACTER),
        }
    }

    fn end(&mut self) -> Result<(), Stop> {
        self.skip_space();
        if self.rest.is_empty() { Ok(()) } else { Err(Stop::Shape) }
    }

    fn require(&mut self, c: char) -> Result<(), Stop> {
        if self.take(c) { Ok(()) } else { Err(Stop::Shape) }
    }

    /// Takes `c` where it comes next, white space aside.
    fn take(&mut self, c: char) -> bool {
        self.skip_space();
        let Some(rest) = self.rest.strip_prefix(c) else {
            return false;
        };
        self.rest = rest;
        true
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }
}

/// Four hex digits and what follows them.
fn code_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let unit = digits.chars().try_fold(0, |unit, c| Some(unit << 4 | c.to_digit(16)?))?;
    Some((unit, rest))
}

/// Without an early exit, so that it compiles to vector instructions.
fn has_control(text: &str) -> bool {
    text.bytes().fold(false, |found, b| found | (b < 0x20))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PayloadLimits = PayloadLimits { messages: 3, message: 8 };

    #[test]
    fn error_texts_are_the_wire_texts() {
        assert_eq!(PayloadError::Expected.to_string(), "Payload expected.");
        assert_eq!(PayloadError::Broken.to_string(), "Broken JSON encoding.");
    }

    #[test]
    fn limits_hold_to_the_message_and_the_byte() {
        let ok = |body: &str| decode_messages(body.as_bytes(), &LIMITS).map(|messages| messages.len());
        assert_eq!(ok(r#"["","",""]"#), Ok(3));
        assert_eq!(ok(r#"["","","",""]"#), Err(PayloadError::TooManyMessages { limit: 3 }));
        assert_eq!(ok(r#"["12345678"]"#), Ok(1));
        assert_eq!(ok(r#"["123456789"]"#), Err(PayloadError::MessageTooLarge { limit: 8 }));
        assert_eq!(ok(r#"["123456\u00e9"]"#), Ok(1));
        assert_eq!(ok(r#"["1234567\u00e9"]"#), Err(PayloadError::MessageTooLarge { limit: 8 }));
        assert_eq!(ok(r#"["1234567\n"]"#), Ok(1));
        assert_eq!(ok(r#"["12345678\n"]"#), Err(PayloadError::MessageTooLarge { limit: 8 }));
        assert_eq!(decode_websocket(br#""123456789""#, &LIMITS), Err(PayloadError::MessageTooLarge { limit: 8 }));
    }

    #[test]
    fn deep_nesting_does_not_exhaust_the_stack() {
        let open = "[".repeat(1_000_000);
        let closed = open.clone() + &"]".repeat(1_000_000);
        assert_eq!(decode_messages(open.as_bytes(), &LIMITS), Err(PayloadError::Broken));
        assert_eq!(decode_messages(closed.as_bytes(), &LIMITS), Err(PayloadError::Expected));
    }

    #[test]
    fn form_field() {
        let field = |body: &str| decode_form(body.as_bytes()).map(|value| String::from_utf8(value).unwrap());
        assert_eq!(field("d=%5B%22a%22%5D").as_deref(), Some("[\"a\"]"));
        assert_eq!(field("x=1&d=[\"a+b%2B\"]&d=2").as_deref(), Some("[\"a b+\"]"));
        assert_eq!(field("d=a=b").as_deref(), Some("a=b"));
        assert_eq!(field("d=100%").as_deref(), Some("100%"));
        for empty in ["", "d", "d=", "p=p", "dd=1", "d=&d=1", "&"] {
            assert_eq!(field(empty), None, "{empty}");
        }
    }
}
