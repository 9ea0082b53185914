//! Answers over HTTP, read as they come: a head, and a body that has a length, comes in chunks, or ends with the connection.
//!
//! Does not know: what was asked, or what the bodies say.

use memchr::memmem;

use super::fault::Fault;

/// Bytes of a head, and of the line before a chunk, that are taken.
const LARGEST_HEAD: usize = 16 * 1024;
const LARGEST_LINE: usize = 256;

/// An answer that is being read.
#[derive(Debug, Default)]
pub(super) struct Answer {
    state: State,
    /// The status, once the head is there.
    status: u16,
    /// The server will close the connection behind it.
    closes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Head,
    Rest(u64),
    Size,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    UntilClose,
    Done,
}

impl Answer {
    /// The status; `None` while the head is not there.
    pub(super) fn status(&self) -> Option<u16> {
        (self.state != State::Head).then_some(self.status)
    }

    /// Whether all of it is there.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the next request needs another connection.
    pub(super) fn closes(&self) -> bool {
        self.closes
    }

    /// The connection has ended; whether the answer is whole by that.
    pub(super) fn ended(&mut self) -> bool {
        if self.state == State::UntilClose {
            self.state = State::Done;
        }
        self.is_done()
    }

    /// Reads on, appends to `body`, and gives how many bytes of the input are done with. What is behind the answer's end is left.
    ///
    /// # Errors
    ///
    /// It is no HTTP, or has a head without end.
    pub(super) fn read(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let taken = match self.state {
                State::Head => self.head(rest)?,
                State::Size => self.size(rest)?,
                State::Trailer => self.trailer(rest)?,
                State::Rest(left) => {
                    let taken = copy(rest, left, body);
                    self.state = match left - taken as u64 {
                        0 => State::Done,
                        left => State::Rest(left),
                    };
                    taken
                }
                State::Chunk(left) => {
                    let taken = copy(rest, left, body);
                    self.state = match left - taken as u64 {
                        0 => State::ChunkEnd,
                        left => State::Chunk(left),
                    };
                    taken
                }
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        self.state = State::Size;
                        2
                    }
                    [] | [b'\r'] => 0,
                    _ => return Err(Fault::garbage("a chunk that goes on behind its end", rest)),
                },
                State::UntilClose => copy(rest, u64::MAX, body),
                State::Done => return Ok(at),
            };
            if taken == 0 && self.state != State::Done {
                return Ok(at);
            }
            at += taken;
        }
    }

    fn head(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let Some(end) = memmem::find(input, b"\r\n\r\n") else {
            let begins = input.get(..5).is_none_or(|begin| begin == b"HTTP/");
            return match () {
                () if !begins => Err(Fault::garbage("no HTTP answer", input)),
                () if input.len() > LARGEST_HEAD => Err(Fault::TooLarge("the head of an answer")),
                () => Ok(0),
            };
        };
        let wrong = || Fault::garbage("no HTTP answer", input);
        let head = std::str::from_utf8(input.get(..end).unwrap_or_default()).map_err(|_| wrong())?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let version = words.next().filter(|version| version.starts_with("HTTP/1.")).ok_or_else(wrong)?;
        self.status = words.next().and_then(|status| status.parse().ok()).ok_or_else(wrong)?;
        self.closes = version == "HTTP/1.0";
        let (mut length, mut chunked) = (None, false);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.parse::<u64>().map_err(|_| wrong())?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.eq_ignore_ascii_case("chunked");
            } else if name.eq_ignore_ascii_case("connection") {
                self.closes = match () {
                    () if value.eq_ignore_ascii_case("close") => true,
                    () if value.eq_ignore_ascii_case("keep-alive") => false,
                    () => self.closes,
                };
            }
        }
        self.state = match (self.status, length) {
            (101, _) | (204 | 304, _) => State::Done,
            // There will be another head.
            (100..=199, _) => State::Head,
            _ if chunked => State::Size,
            (_, Some(0)) => State::Done,
            (_, Some(length)) => State::Rest(length),
            (_, None) => {
                self.closes = true;
                State::UntilClose
            }
        };
        Ok(end + 4)
    }

    fn size(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let Some(end) = memmem::find(input.get(..input.len().min(LARGEST_LINE)).unwrap_or_default(), b"\r\n") else {
            return if input.len() < LARGEST_LINE { Ok(0) } else { Err(Fault::TooLarge("the line before a chunk")) };
        };
        let line = std::str::from_utf8(input.get(..end).unwrap_or_default()).unwrap_or_default();
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| Fault::garbage("no size of a chunk", input))?;
        self.state = if size == 0 { State::Trailer } else { State::Chunk(size) };
        Ok(end + 2)
    }

    fn trailer(&mut self, input: &[u8]) -> Result<usize, Fault> {
        match memmem::find(input, b"\r\n") {
            Some(0) => {
                self.state = State::Done;
                Ok(2)
            }
            Some(line) => Ok(line + 2),
            None if input.len() < LARGEST_HEAD => Ok(0),
            None => Err(Fault::TooLarge("the trailer of an answer")),
        }
    }
}

fn copy(from: &[u8], most: u64, body: &mut Vec<u8>) -> usize {
    let taken = from.len().min(usize::try_from(most).unwrap_or(usize::MAX));
    body.extend_from_slice(from.get(..taken).unwrap_or_default());
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads it in steps of so many bytes: status, body, what is left, and whether it closes.
    fn read(input: &[u8], step: usize) -> Result<(u16, String, usize, bool), Fault> {
        let (mut answer, mut body, mut buffer) = (Answer::default(), Vec::new(), Vec::new());
        for piece in input.chunks(step) {
            buffer.extend_from_slice(piece);
            let done = answer.read(&buffer, &mut body)?;
            buffer.drain(..done);
        }
        assert!(answer.ended(), "{answer:?}");
        Ok((answer.status, String::from_utf8(body).unwrap(), buffer.len(), answer.closes))
    }

    #[test]
    fn bodies_of_every_form_come_whatever_the_pieces() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellorest", (200, "hello", 4, false)),
            ("HTTP/1.1 204 No Content\r\n\r\nHTTP", (204, "", 4, false)),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nA: b\r\n\r\nHT",
                (200, "hello world", 2, false),
            ),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end", (200, "to the end", 0, true)),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", (200, "ok", 0, true)),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 Done\r\n\r\n", (204, "", 0, false)),
            ("HTTP/1.1 101 Up\r\nConnection: Upgrade\r\n\r\n\x01", (101, "", 1, false)),
        ] {
            for step in [1, 2, 7, 1000] {
                let (status, body, left, closes) = read(text.as_bytes(), step).unwrap();
                assert_eq!((status, &*body, left, closes), expected, "{text:?} by {step}");
            }
        }
    }

    #[test]
    fn garbage_and_endless_heads_are_faults() {
        for garbage in [
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        ] {
            assert!(matches!(read(garbage.as_bytes(), 3), Err(Fault::Garbage(_))), "{garbage:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(LARGEST_HEAD));
        assert!(matches!(read(endless.as_bytes(), 1000), Err(Fault::TooLarge(_))));
        let line = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;{}", "x".repeat(LARGEST_LINE));
        assert!(matches!(read(line.as_bytes(), 10), Err(Fault::TooLarge(_))));
    }
}
