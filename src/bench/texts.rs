//! What SockJS frames carry: the texts of an array, shown where they lie, or unquoted into a buffer that is used again.
//!
//! Does not know: which transport brought the frame.

use memchr::memchr2;

use super::fault::Fault;

/// One thing that a SockJS frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// The session is open.
    Open,
    /// A heartbeat.
    Beat,
    /// One message.
    Text(&'a [u8]),
}

/// Tells what a frame says, text by text. `unquoted` is used for texts with escapes.
///
/// # Errors
///
/// The frame closes the session, or is none, or whoever is told has had enough.
pub(super) fn tell(
    frame: &[u8],
    unquoted: &mut Vec<u8>,
    mut hear: impl FnMut(Said<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    match frame {
        // Preludes of streams are made of these, too.
        [b'h'] => hear(Said::Beat),
        [b'o'] => hear(Said::Open),
        [b'h', ..] if frame.len() == PRELUDE && frame.iter().all(|byte| *byte == b'h') => Ok(()),
        [b'c', rest @ ..] => Err(Fault::Closed(close_words(rest))),
        [b'a', b'[', rest @ ..] => {
            array(rest, unquoted, hear).ok_or_else(|| Fault::garbage("no SockJS frame", frame))?
        }
        _ => Err(Fault::garbage("no SockJS frame", frame)),
    }
}

/// Bytes of the prelude of an xhr stream, without the line feed.
const PRELUDE: usize = 2048;

/// The texts behind the bracket; `None` where it is not what an array of texts looks like.
fn array(
    mut rest: &[u8],
    unquoted: &mut Vec<u8>,
    mut hear: impl FnMut(Said<'_>) -> Result<(), Fault>,
) -> Option<Result<(), Fault>> {
    if rest == b"]" {
        return Some(Ok(()));
    }
    loop {
        rest = rest.strip_prefix(b"\"")?;
        let stop = memchr2(b'"', b'\\', rest)?;
        let (text, behind) = rest.split_at_checked(stop)?;
        if behind.first() == Some(&b'"') {
            if let Err(fault) = hear(Said::Text(text)) {
                return Some(Err(fault));
            }
            rest = behind.get(1..)?;
        } else {
            unquoted.clear();
            unquoted.extend_from_slice(text);
            rest = unquote(behind, unquoted)?;
            if let Err(fault) = hear(Said::Text(unquoted)) {
                return Some(Err(fault));
            }
        }
        match rest {
            b"]" => return Some(Ok(())),
            [b',', more @ ..] => rest = more,
            _ => return None,
        }
    }
}

/// Appends what is quoted up to the closing mark; gives what is behind the mark.
fn unquote<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let stop = memchr2(b'"', b'\\', rest)?;
        let (text, behind) = rest.split_at_checked(stop)?;
        out.extend_from_slice(text);
        rest = match behind {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'u', rest @ ..] => unit(rest, out)?,
            [b'\\', escape, rest @ ..] => {
                out.push(match escape {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'f' => 12,
                    b'"' | b'\\' | b'/' => *escape,
                    _ => return None,
                });
                rest
            }
            _ => return None,
        };
    }
}

/// The character of a `\uXXXX`, or of two that make a pair.
fn unit<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (first, rest) = hex(rest)?;
    let (code, rest) = match (first, rest) {
        (0xd800..=0xdbff, [b'\\', b'u', low @ ..]) => {
            let (second, rest) = hex(low)?;
            let second = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            (0x1_0000 + ((first - 0xd800) << 10) + second, rest)
        }
        _ => (first, rest),
    };
    let character = char::from_u32(code)?;
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

fn hex(rest: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = rest.split_at_checked(4)?;
    let code = digits.iter().try_fold(0, |code, digit| Some(16 * code + char::from(*digit).to_digit(16)?))?;
    Some((code, rest))
}

fn close_words(rest: &[u8]) -> String {
    match serde_json::from_slice::<(u16, String)>(rest) {
        Ok((code, reason)) => {
            format!("{code} {}", reason.chars().filter(|c| !c.is_control()).take(80).collect::<String>())
        }
        Err(_) => "with a close frame that cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(frame: &str) -> Result<Vec<String>, Fault> {
        let mut heard = Vec::new();
        tell(frame.as_bytes(), &mut Vec::new(), |said| {
            heard.push(match said {
                Said::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                other => format!("{other:?}"),
            });
            Ok(())
        })?;
        Ok(heard)
    }

    #[test]
    fn every_text_is_told_as_it_was_before_it_was_quoted() {
        assert_eq!(texts(r#"a["one","two"]"#).unwrap(), ["one", "two"]);
        assert_eq!(
            texts(r#"a["S\nd:\/x\\\"\n\nb\u0000","\ud83d\ude00\u00e9"]"#).unwrap(),
            ["S\nd:/x\\\"\n\nb\0", "😀é"]
        );
        assert_eq!(texts(r#"a[""]"#).unwrap(), [""]);
        assert!(texts("a[]").unwrap().is_empty());
        assert_eq!(texts("o").unwrap(), ["Open"]);
        assert_eq!(texts("h").unwrap(), ["Beat"]);
        assert!(texts(&"h".repeat(PRELUDE)).unwrap().is_empty());
    }

    #[test]
    fn a_close_is_a_fault_with_its_words() {
        assert_eq!(texts(r#"c[3000,"Go away!"]"#), Err(Fault::Closed("3000 Go away!".to_owned())));
    }

    #[test]
    fn what_is_no_frame_is_garbage() {
        for frame in [
            "",
            "x",
            "hh",
            "a",
            "a[",
            r#"a["x""#,
            r#"a["x",]"#,
            r#"a["x"]]"#,
            r#"a["\x"]"#,
            r#"a["\u12"]"#,
            r#"a["\ud800"]"#,
        ] {
            assert!(matches!(texts(frame), Err(Fault::Garbage(_))), "{frame}");
        }
    }
}
