//! Escaping of header names and values, version by version (STOMP 1.2, Value Encoding; STOMP 1.1, Value Encoding). The
//! writing side never lets a line break through raw, since that would forge a header line.
//!
//! Does not know: frames. CONNECT and CONNECTED are never escaped; the frame and the parser see to that.

use std::borrow::Cow;

use bytes::BytesMut;
use thiserror::Error;

use super::Version;

/// An escape that the version does not define, such as `\t`, or a backslash at the very end. Fatal for the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("undefined escape sequence in a header")]
pub struct UndefinedEscape;

/// Writes a header name with the escapes of that version.
///
/// 1.0 knows no escapes, but a colon would end the name there, so it is written as the two characters `\c`.
pub fn escape_name_into(name: &str, version: Version, out: &mut BytesMut) {
    match version {
        Version::V1_0 => write(name, out, |byte| match byte {
            b':' => Some(b"\\c"),
            _ => line_break(byte),
        }),
        _ => escape_value_into(name, version, out),
    }
}

/// Writes a header value with the escapes of that version.
///
/// 1.0 knows no escapes and everything stands raw; only CR and LF are written as the two characters `\r` and `\n`.
/// 1.1 has no escape for CR and leaves it raw. No version can carry a NUL in a header, where many clients see the
/// end of the frame; it is replaced by U+FFFD.
pub fn escape_value_into(value: &str, version: Version, out: &mut BytesMut) {
    match version {
        Version::V1_0 => write(value, out, line_break),
        Version::V1_1 => write(value, out, |byte| match byte {
            b'\r' => None,
            _ => separator(byte).or_else(|| line_break(byte)),
        }),
        Version::V1_2 => write(value, out, |byte| separator(byte).or_else(|| line_break(byte))),
    }
}

/// Undoes the escapes of a header name or value. Raw colons pass. Text of 1.0 is given back as it is.
pub fn unescape(text: &str, version: Version) -> Result<Cow<'_, str>, UndefinedEscape> {
    if version == Version::V1_0 || !text.contains('\\') {
        return Ok(Cow::Borrowed(text));
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((run, tail)) = rest.split_once('\\') {
        plain.push_str(run);
        let mut tail = tail.chars();
        plain.push(match tail.next() {
            Some('n') => '\n',
            Some('c') => ':',
            Some('\\') => '\\',
            Some('r') if version == Version::V1_2 => '\r',
            _ => return Err(UndefinedEscape),
        });
        rest = tail.as_str();
    }
    plain.push_str(rest);
    Ok(Cow::Owned(plain))
}

fn separator(byte: u8) -> Option<&'static [u8]> {
    match byte {
        b'\\' => Some(b"\\\\"),
        b':' => Some(b"\\c"),
        _ => None,
    }
}

fn line_break(byte: u8) -> Option<&'static [u8]> {
    match byte {
        b'\n' => Some(b"\\n"),
        b'\r' => Some(b"\\r"),
        0 => Some("\u{FFFD}".as_bytes()),
        _ => None,
    }
}

/// Copies the text in runs, with what `escape` says in place of single bytes. All of these are ASCII, so UTF-8 stays whole.
fn write(text: &str, out: &mut BytesMut, escape: impl Fn(u8) -> Option<&'static [u8]>) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if let Some(escaped) = escape(*byte) {
            out.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
            out.extend_from_slice(escaped);
            copied = at + 1;
        }
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str, version: Version) -> String {
        let mut out = BytesMut::new();
        escape_name_into(text, version, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn value(text: &str, version: Version) -> String {
        let mut out = BytesMut::new();
        escape_value_into(text, version, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn each_version_escapes_what_it_can() {
        let text = "a:b\\c\r\né";
        assert_eq!(value(text, Version::V1_2), "a\\cb\\\\c\\r\\né");
        assert_eq!(value(text, Version::V1_1), "a\\cb\\\\c\r\\né");
        assert_eq!(value(text, Version::V1_0), "a:b\\c\\r\\né");
        assert_eq!(name(text, Version::V1_0), "a\\cb\\c\\r\\né");
        assert_eq!(name(text, Version::V1_2), value(text, Version::V1_2));
    }

    #[test]
    fn no_version_lets_a_line_feed_or_a_nul_through() {
        for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
            for written in [name("a\n\0b", version), value("a\n\0b", version)] {
                assert_eq!(written, "a\\n\u{FFFD}b");
            }
        }
    }

    #[test]
    fn escapes_are_read_from_left_to_right() {
        assert_eq!(unescape("a\\\\nb", Version::V1_2).as_deref(), Ok("a\\nb"));
        assert_eq!(unescape("\\c\\n\\r\\\\", Version::V1_2).as_deref(), Ok(":\n\r\\"));
    }

    #[test]
    fn undefined_escapes_are_refused() {
        for text in ["\\t", "a\\", "\\C", "\\é"] {
            assert_eq!(unescape(text, Version::V1_2), Err(UndefinedEscape), "{text}");
            assert_eq!(unescape(text, Version::V1_1), Err(UndefinedEscape), "{text}");
        }
        assert_eq!(unescape("\\r", Version::V1_1), Err(UndefinedEscape));
    }

    #[test]
    fn version_1_0_has_no_escapes_to_undo() {
        assert_eq!(unescape("\\t\\n\\", Version::V1_0).as_deref(), Ok("\\t\\n\\"));
    }
}
