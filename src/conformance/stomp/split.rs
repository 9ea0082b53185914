//! Where a frame of the server begins and ends in the bytes that came: found here without the help of a parser that is
//! lenient for good reasons, so that what stands between frames can be looked at, and the frame as it was written.
//!
//! Does not know: connections, and what frames mean.

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memmem};

use crate::stomp::{Frame, Input, Limits, Parser, Version};

/// A frame of the server.
#[derive(Debug, Clone)]
pub(super) struct Received {
    /// What it says.
    pub frame: Frame,
    /// Its bytes, from the command to the NUL.
    pub raw: Bytes,
}

/// What stands at the beginning of the bytes.
#[derive(Debug)]
pub(super) enum Cut {
    /// A whole frame.
    Frame(Received),
    /// Bytes that belong to no frame.
    Gap(Bytes),
    /// Nothing yet, or not all of a frame.
    More,
}

/// Takes what stands at the beginning out of the buffer.
///
/// # Errors
///
/// What is wrong with it, in words.
pub(super) fn cut(buffer: &mut BytesMut, version: Version, most: usize) -> Result<Cut, String> {
    let gap = buffer.iter().take_while(|byte| matches!(byte, b'\n' | b'\r' | 0)).count();
    if gap > 0 {
        return Ok(Cut::Gap(buffer.split_to(gap).freeze()));
    }
    let Some(end) = end(buffer)? else {
        return match buffer.len() > most {
            true => Err(format!("a frame has more than {most} bytes, and no end")),
            false => Ok(Cut::More),
        };
    };
    let raw = buffer.split_to(end).freeze();
    // A reader that refuses less than the frame has would only say so of large ones.
    let limits = Limits { headers: most, header_line: most, body: most, frame: most.saturating_mul(2) };
    let mut parser = Parser::new(limits);
    parser.set_version(version);
    parser.feed(raw.clone());
    match parser.next() {
        Ok(Some(Input::Frame(frame))) => Ok(Cut::Frame(Received { frame, raw })),
        Ok(_) => Err("a frame has no end".to_owned()),
        Err(error) => Err(format!("what came is no frame of STOMP {version}: {error}")),
    }
}

/// Where the frame ends behind its NUL, if all of it is there.
fn end(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut rest = bytes;
    let mut length = None;
    loop {
        // A NUL before the empty line is the end of something, and no frame; the parser will say so.
        let (line, nul) = (memchr(b'\n', rest), memchr(0, rest));
        let Some(at) = line.filter(|line| nul.is_none_or(|nul| *line < nul)) else {
            return Ok(nul.map(|at| bytes.len() - rest.len() + at + 1));
        };
        let (header, behind) = (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default());
        rest = behind;
        let header = header.strip_suffix(b"\r").unwrap_or(header);
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix(b"content-length:").filter(|_| length.is_none()) {
            let digits = std::str::from_utf8(value).unwrap_or_default().trim();
            let number: usize = digits.parse().map_err(|_| format!("the content-length {digits:?} is no number"))?;
            length = Some(number);
        }
    }
    let head = bytes.len() - rest.len();
    match length {
        None => Ok(memchr(0, rest).map(|at| head + at + 1)),
        Some(length) => match rest.get(length) {
            None => Ok(None),
            Some(0) => Ok(Some(head + length + 1)),
            Some(_) => Err(format!("a frame has no NUL behind its content-length of {length}: {}", shown(bytes))),
        },
    }
}

/// Whether a frame, as it was written, has this line among its headers.
pub(super) fn has_line(raw: &[u8], line: &str) -> bool {
    memmem::find(raw, format!("\n{line}\n").as_bytes()).is_some()
        || memmem::find(raw, format!("\n{line}\r\n").as_bytes()).is_some()
}

fn shown(bytes: &[u8]) -> String {
    crate::wire::shown(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(bytes: &str) -> Vec<String> {
        let mut buffer = BytesMut::from(bytes);
        let mut found = Vec::new();
        loop {
            match cut(&mut buffer, Version::V1_2, 1000) {
                Ok(Cut::Frame(received)) => found.push(format!("{:?}", received.raw)),
                Ok(Cut::Gap(gap)) => found.push(format!("gap {gap:?}")),
                Ok(Cut::More) => break,
                Err(why) => {
                    found.push(why);
                    break;
                }
            }
        }
        found
    }

    #[test]
    fn frames_are_cut_where_they_end_and_what_is_between_them_is_kept() {
        assert_eq!(
            cuts("RECEIPT\nreceipt-id:1\n\n\0\n\r\nMESSAGE\ncontent-length:3\n\na\0b\0ERROR\n"),
            [
                "b\"RECEIPT\\nreceipt-id:1\\n\\n\\0\"",
                "gap b\"\\n\\r\\n\"",
                "b\"MESSAGE\\ncontent-length:3\\n\\na\\0b\\0\""
            ]
        );
        assert_eq!(cuts("RECEIPT\r\na:b\r\n\r\n\0").len(), 1);
        assert_eq!(cuts("MESSAGE\ncontent-length:3\n\nab").len(), 0);
    }

    #[test]
    fn what_is_no_frame_is_said_to_be_none() {
        for (bytes, part) in [
            ("HTTP/1.1 400 Bad Request\r\n\r\n\0", "unknown command"),
            ("RECEIPT\nreceipt-id\0", "inside its headers"),
            ("MESSAGE\ncontent-length:1\n\nab\0", "no NUL"),
            ("MESSAGE\ncontent-length:-1\n\n\0", "no number"),
            ("MESSAGE\na:\\t\n\n\0", "undefined escape"),
        ] {
            assert!(cuts(bytes)[0].contains(part), "{:?}", cuts(bytes));
        }
        let endless = format!("MESSAGE\n{}", "a".repeat(1000));
        assert!(cuts(&endless)[0].contains("no end"));
    }

    #[test]
    fn a_line_is_looked_for_as_it_was_written() {
        assert!(has_line(b"MESSAGE\na:b\\c\n\n\0", "a:b\\c"));
        assert!(has_line(b"MESSAGE\na:b\r\n\r\n\0", "a:b"));
        assert!(!has_line(b"MESSAGE\na:bc\n\n\0", "a:b"));
    }
}
