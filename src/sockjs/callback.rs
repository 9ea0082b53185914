//! The callback name of the two script transports, htmlfile and jsonp. It is written verbatim into a page or a script, so
//! holding a [`Callback`] is the proof that the name was checked.
//!
//! Does not know: what is called with it (see [`Framing`](super::frame::Framing) and [`pages`](super::pages)).

use std::fmt;

use percent_encoding::percent_decode_str;
use thiserror::Error;

/// The longest callback name taken, in characters. Clients use eleven.
pub const MAX_LENGTH: usize = 32;

/// A callback name of 1 to [`MAX_LENGTH`] characters out of `a-z A-Z 0-9 - _ .` (SockJS protocol, htmlfile and jsonp).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback(String);

/// Why a request has no usable callback. Displays as the exact body of the 500 answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CallbackError {
    /// Neither `c` nor `callback` is in the query string, or it is empty.
    #[error("\"callback\" parameter required")]
    Missing,
    /// The name holds a character that could end the script it is written into, or is too long.
    #[error("invalid \"callback\" parameter")]
    Invalid,
}

impl Callback {
    /// Reads the callback from a request's query string (without the `?`). The parameter is `c`; `callback` is its synonym and
    /// counts when there is no non-empty `c`. Of repeated parameters the first non-empty one counts.
    ///
    /// # Errors
    ///
    /// [`CallbackError::Missing`] or [`CallbackError::Invalid`]; both are answered with status 500 and their text.
    pub fn from_query(query: &str) -> Result<Callback, CallbackError> {
        let raw = parameter(query, "c").or_else(|| parameter(query, "callback")).ok_or(CallbackError::Missing)?;
        let name = percent_decode_str(raw).decode_utf8().map_err(|_| CallbackError::Invalid)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.len() > MAX_LENGTH || !name.bytes().all(allowed) {
            return Err(CallbackError::Invalid);
        }
        Ok(Callback(name.into_owned()))
    }

    /// The checked name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first non-empty value of a query parameter, still percent-encoded.
fn parameter<'a>(query: &'a str, wanted: &str) -> Option<&'a str> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, value)| *name == wanted && !value.is_empty()).map(|(_, value)| value).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<String, CallbackError> {
        Callback::from_query(query).map(|callback| callback.as_str().to_owned())
    }

    #[test]
    fn reads_c_and_its_synonym() {
        assert_eq!(read("c=_jp.a1b2c3").as_deref(), Ok("_jp.a1b2c3"));
        assert_eq!(read("t=1&callback=x-Y_0.z").as_deref(), Ok("x-Y_0.z"));
        assert_eq!(read("callback=second&c=first").as_deref(), Ok("first"));
        assert_eq!(read("c=&callback=second").as_deref(), Ok("second"));
        assert_eq!(read("c=%63allback").as_deref(), Ok("callback"));
    }

    #[test]
    fn missing_and_empty_are_the_same() {
        for query in ["", "c", "c=", "c=&c=", "callback=", "t=1", "cc=a", "C=a", "&&="] {
            assert_eq!(read(query), Err(CallbackError::Missing), "{query}");
        }
        assert_eq!(CallbackError::Missing.to_string(), "\"callback\" parameter required");
    }

    #[test]
    fn anything_that_could_leave_the_name_is_invalid() {
        for query in
            ["c=%20", "c=+", "c=*", "c=abc(", "c=abc%28", "c=%3Cscript", "c=a%0a", "c=%ff", "c=%C3%A9", "c=a%", "c=a=b"]
        {
            assert_eq!(read(query), Err(CallbackError::Invalid), "{query}");
        }
        assert_eq!(CallbackError::Invalid.to_string(), "invalid \"callback\" parameter");
    }

    #[test]
    fn length_is_bounded() {
        assert!(read(&format!("c={}", "x".repeat(MAX_LENGTH))).is_ok());
        assert_eq!(read(&format!("c={}", "x".repeat(MAX_LENGTH + 1))), Err(CallbackError::Invalid));
    }
}
