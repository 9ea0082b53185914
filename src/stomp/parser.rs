//! An incremental parser: pieces of any size go in, whole frames and heart-beats come out. A large body that arrives in one
//! piece is not copied; of one that arrives in many, each byte is looked at once. Limits are checked as the bytes
//! arrive, against the sum, and nothing is reserved because a peer announced it.
//!
//! Does not know: the order of frames, what their headers mean (but for `content-length`), or time. How long a frame may stay
//! unfinished is the caller's affair; see [`Parser::unfinished`].

use std::mem;

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::{memchr, memchr2};

use super::{Command, Frame, Headers, ProtocolError, Version, Violation, unescape};

/// No command comes near to this length; the limit keeps a peer that is no STOMP client from filling a buffer.
const COMMAND_LINE: usize = 32;

/// Smaller bodies are copied wherever they were cut from: transports read into buffers of this size, and what is fed here
/// may be a slice itself.
const WORTH_SHARING: usize = 4 << 10;

/// What a frame may cost. Larger ones are refused while they arrive (STOMP 1.2, Size Limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Number of header lines, repeated names counted.
    pub headers: usize,
    /// Bytes of one header line as it stands on the wire, without its line end.
    pub header_line: usize,
    /// Bytes of the body.
    pub body: usize,
    /// Bytes of the whole frame from the command to the NUL.
    pub frame: usize,
}

impl Default for Limits {
    /// 100 headers, 8 KiB a line, 1 MiB of body, and 64 KiB more for the whole frame.
    fn default() -> Self {
        Self { headers: 100, header_line: 8 << 10, body: 1 << 20, frame: (1 << 20) + (64 << 10) }
    }
}

/// What came out of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A whole frame.
    Frame(Frame),
    /// One or more line ends between frames (STOMP 1.2, Heart-beating).
    HeartBeat,
}

/// The parser of one connection. It holds no memory while no frame is under way.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    version: Version,
    stage: Stage,
    /// What was fed and not yet looked at.
    input: Bytes,
    /// The size of the buffer that it was cut from.
    fed: usize,
    /// The beginning of a line or of a body whose rest has not come.
    held: BytesMut,
    /// Bytes of the frame under way that were taken from the input.
    used: usize,
}

impl Parser {
    /// A parser at the beginning of a connection. Until [`Parser::set_version`] it reads headers as 1.0 has them, which
    /// refuses the least: nothing but CONNECT, which is never escaped, is valid there anyway.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            version: Version::V1_0,
            stage: Stage::Between,
            input: Bytes::new(),
            fed: 0,
            held: BytesMut::new(),
            used: 0,
        }
    }

    /// Sets the version by which the frames to come are read. To be called when CONNECT is understood and before the next
    /// call of [`Parser::next`], since the following frame may have been fed already.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Takes bytes from the wire, cut anywhere. Call [`Parser::next`] until it gives `None` before feeding more: limits are
    /// checked there, and what is fed on top of unread input is copied together with it.
    pub fn feed(&mut self, bytes: Bytes) {
        if matches!(self.stage, Stage::Failed(_)) {
            return;
        }
        if self.input.is_empty() {
            self.input = bytes;
        } else {
            let mut joined =
                mem::take(&mut self.input).try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            joined.extend_from_slice(&bytes);
            self.input = joined.freeze();
        }
        self.fed = self.input.len();
    }

    /// The next frame or heart-beat, or `None` if more bytes are needed. After an error the parser is at its end and gives
    /// the same error again.
    #[expect(clippy::should_implement_trait, reason = "an iterator ends, and cannot be fed again")]
    pub fn next(&mut self) -> Result<Option<Input>, ProtocolError> {
        let result = self.advance();
        if let Err(error) = &result {
            self.stage = Stage::Failed(error.clone());
            self.input.clear();
            self.held = BytesMut::new();
        }
        if self.input.is_empty() {
            // An empty slice would keep the buffer alive that it was cut from.
            self.input = Bytes::new();
        }
        result
    }

    /// Whether part of a frame has arrived and its rest has not. Meaningful when [`Parser::next`] has given `None`.
    pub fn unfinished(&self) -> bool {
        !matches!(self.stage, Stage::Between | Stage::Failed(_))
    }

    /// How many bytes were fed that [`Parser::next`] has not looked at.
    pub fn unread(&self) -> usize {
        self.input.len()
    }

    fn advance(&mut self) -> Result<Option<Input>, ProtocolError> {
        loop {
            match mem::take(&mut self.stage) {
                Stage::Between => {
                    if self.skip_gap() {
                        return Ok(Some(Input::HeartBeat));
                    }
                    if self.input.is_empty() {
                        return Ok(None);
                    }
                    self.used = 0;
                    self.stage = Stage::Command;
                }
                Stage::Command => {
                    let Some(line) = self.line(COMMAND_LINE, Violation::UnknownCommand)? else {
                        self.stage = Stage::Command;
                        return Ok(None);
                    };
                    self.stage = Stage::Headers(Head { command: command(&line)?, headers: Headers::new() });
                }
                Stage::Headers(mut head) => {
                    let line = match self.header(&mut head) {
                        Ok(line) => line,
                        Err(error) => return Err(head.blame(error)),
                    };
                    self.stage = match line {
                        Line::Missing => {
                            self.stage = Stage::Headers(head);
                            return Ok(None);
                        }
                        Line::Header => Stage::Headers(head),
                        Line::Empty => match self.announced(&head) {
                            Ok(length) => Stage::Body(head, length),
                            Err(error) => return Err(head.blame(error)),
                        },
                    };
                }
                Stage::Body(head, length) => {
                    let body = match length {
                        Some(length) => self.counted_body(length),
                        None => self.open_body().map_err(|error| head.blame(error))?,
                    };
                    self.stage = match body {
                        Some(body) => Stage::End(head, body),
                        None => {
                            self.stage = Stage::Body(head, length);
                            return Ok(None);
                        }
                    };
                }
                Stage::End(head, body) => match self.input.first() {
                    None => {
                        self.stage = Stage::End(head, body);
                        return Ok(None);
                    }
                    Some(0) => {
                        self.input.advance(1);
                        return Ok(Some(Input::Frame(Frame { command: head.command, headers: head.headers, body })));
                    }
                    Some(_) => {
                        let detail = format!("no NUL after the {} bytes of the body", body.len());
                        return Err(head.blame(ProtocolError::new(Violation::WrongContentLength, detail)));
                    }
                },
                Stage::Failed(error) => return Err(error),
            }
        }
    }

    /// Skips what may stand between frames: line ends, and the stray NULs of old clients that end a frame with NUL LF
    /// NUL. A CR is skipped by itself, as its LF may come with the next piece. True if there was a line end.
    fn skip_gap(&mut self) -> bool {
        let gap = self.input.iter().take_while(|byte| matches!(byte, b'\n' | b'\r' | 0)).count();
        let gap = self.input.split_to(gap);
        memchr(b'\n', &gap).is_some()
    }

    /// Takes a line without its line end, or `None` and the bytes into `held` if the end has not come.
    ///
    /// A CR before the LF belongs to the line end in every version. Only 1.2 says so, and by the letter of 1.0 and 1.1 it
    /// would be the last byte of the value; but clients of these versions that write CR LF exist, RabbitMQ accepts
    /// them, and no one has a use for a destination that ends in an invisible CR.
    fn line(&mut self, limit: usize, too_long: Violation) -> Result<Option<Bytes>, ProtocolError> {
        let end = memchr2(b'\n', 0, &self.input);
        let taken = end.unwrap_or(self.input.len());
        let refusal = || ProtocolError::new(too_long, format!("a line may have {limit} bytes here"));
        // One more than the limit, for that may be the CR of the line end.
        if self.held.len() + taken > limit.saturating_add(1) {
            return Err(refusal());
        }
        self.charge(taken)?;
        let piece = self.input.split_to(taken);
        match self.input.first() {
            None => {
                self.held.extend_from_slice(&piece);
                return Ok(None);
            }
            Some(0) => {
                return Err(ProtocolError::new(Violation::FrameCutShort, "a NUL stands before the empty line"));
            }
            Some(_) => {
                self.charge(1)?;
                self.input.advance(1);
            }
        }
        let mut line = self.join(piece);
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if line.len() > limit {
            return Err(refusal());
        }
        Ok(Some(line))
    }

    fn header(&mut self, head: &mut Head) -> Result<Line, ProtocolError> {
        let Some(line) = self.line(self.limits.header_line, Violation::HeaderLineTooLong)? else {
            return Ok(Line::Missing);
        };
        if line.is_empty() {
            return Ok(Line::Empty);
        }
        if head.headers.len() >= self.limits.headers {
            let detail = format!("a frame may have {} headers", self.limits.headers);
            return Err(ProtocolError::new(Violation::TooManyHeaders, detail));
        }
        head.push(&line, self.version)?;
        Ok(Line::Header)
    }

    /// The announced length of the body, checked against the limits before any of it arrives.
    fn announced(&mut self, head: &Head) -> Result<Option<usize>, ProtocolError> {
        let Some(value) = head.headers.get("content-length") else {
            return Ok(None);
        };
        // CONNECT may be of a 1.0 client, whose values are trimmed.
        let digits = if head.command.is_verbatim() { value.trim_matches(BLANKS) } else { value };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ProtocolError::new(Violation::WrongContentLength, "content-length is not a number"));
        }
        // What does not fit into a number is more than any limit.
        let length = digits.parse().unwrap_or(usize::MAX);
        self.check_body(length)?;
        self.charge(length.saturating_add(1))?;
        Ok(Some(length))
    }

    /// The body up to its announced length.
    fn counted_body(&mut self, length: usize) -> Option<Bytes> {
        // Not more than `length` is ever held.
        let missing = length.saturating_sub(self.held.len());
        let piece = self.input.split_to(missing.min(self.input.len()));
        if piece.len() < missing {
            self.held.extend_from_slice(&piece);
            return None;
        }
        Some(self.body(piece))
    }

    /// The body up to the first NUL, which stays in the input.
    fn open_body(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        let end = memchr(0, &self.input);
        let taken = end.unwrap_or(self.input.len());
        self.check_body(self.held.len() + taken)?;
        self.charge(taken + usize::from(end.is_some()))?;
        let piece = self.input.split_to(taken);
        if end.is_none() {
            self.held.extend_from_slice(&piece);
            return Ok(None);
        }
        Ok(Some(self.body(piece)))
    }

    /// A whole body, of its last piece. Bodies are kept, by queues or histories for hours: one must not keep a buffer alive
    /// of which it is a small part.
    fn body(&mut self, piece: Bytes) -> Bytes {
        let sliced = self.held.is_empty();
        let body = self.join(piece);
        if sliced && (body.len() < WORTH_SHARING || body.len() < self.fed / 2) {
            return Bytes::copy_from_slice(&body);
        }
        body
    }

    /// What was held and its last piece; without a copy if nothing was held.
    fn join(&mut self, piece: Bytes) -> Bytes {
        if self.held.is_empty() {
            return piece;
        }
        self.held.extend_from_slice(&piece);
        mem::take(&mut self.held).freeze()
    }

    fn check_body(&self, length: usize) -> Result<(), ProtocolError> {
        if length > self.limits.body {
            let detail = format!("a body may have {} bytes", self.limits.body);
            return Err(ProtocolError::new(Violation::BodyTooLarge, detail));
        }
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Result<(), ProtocolError> {
        self.used = self.used.saturating_add(bytes);
        if self.used > self.limits.frame {
            let detail = format!("a frame may have {} bytes", self.limits.frame);
            return Err(ProtocolError::new(Violation::FrameTooLarge, detail));
        }
        Ok(())
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

/// How far the frame under way has come.
#[derive(Debug, Default)]
enum Stage {
    #[default]
    Between,
    Command,
    Headers(Head),
    Body(Head, Option<usize>),
    End(Head, Bytes),
    Failed(ProtocolError),
}

enum Line {
    Missing,
    Header,
    Empty,
}

/// What stands before the body.
#[derive(Debug)]
struct Head {
    command: Command,
    headers: Headers,
}

impl Head {
    fn push(&mut self, line: &[u8], version: Version) -> Result<(), ProtocolError> {
        let line = std::str::from_utf8(line)
            .map_err(|_| ProtocolError::new(Violation::NotUtf8, "a header line is not UTF-8"))?;
        let malformed = |detail| ProtocolError::new(Violation::MalformedHeader, detail);
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("a header line has no colon"))?;
        if name.is_empty() {
            return Err(malformed("a header line has no name"));
        }
        if self.command.is_verbatim() {
            self.headers.push(name, value);
            return Ok(());
        }
        match version {
            // 1.0 pads: its examples have a blank after the colon, and brokers have always trimmed it.
            Version::V1_0 => self.headers.push(name, value.trim_matches(BLANKS)),
            Version::V1_2 if line.contains('\r') => {
                return Err(malformed("a raw CR stands in a header"));
            }
            Version::V1_1 | Version::V1_2 => {
                let plain = |text| {
                    unescape(text, version)
                        .map_err(|error| ProtocolError::new(Violation::UndefinedEscape, error.to_string()))
                };
                self.headers.push(plain(name)?, plain(value)?);
            }
        }
        Ok(())
    }

    /// The error with the receipt that this frame asked for, if that header has come already.
    fn blame(&self, error: ProtocolError) -> ProtocolError {
        error.with_receipt(self.headers.get("receipt"))
    }
}

fn command(line: &[u8]) -> Result<Command, ProtocolError> {
    Command::parse(line).ok_or_else(|| {
        let detail = format!("there is no command {:?}", String::from_utf8_lossy(line));
        ProtocolError::new(Violation::UnknownCommand, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(version: Version, wire: &'static str) -> Result<Vec<Input>, ProtocolError> {
        let mut parser = Parser::new(Limits::default());
        parser.set_version(version);
        parser.feed(Bytes::from_static(wire.as_bytes()));
        let mut inputs = Vec::new();
        while let Some(input) = parser.next()? {
            inputs.push(input);
        }
        Ok(inputs)
    }

    #[test]
    fn a_large_body_in_one_piece_is_not_copied() {
        for head in ["SEND\ndestination:/a\n\n", "SEND\ndestination:/a\ncontent-length:10000\n\n"] {
            let wire = Bytes::from(format!("{head}{}\0\n", "x".repeat(10_000)));
            let inside = wire.as_ptr_range();
            let mut parser = Parser::new(Limits::default());
            parser.feed(wire.clone());
            let Ok(Some(Input::Frame(frame))) = parser.next() else { panic!("no frame") };
            assert_eq!(frame.body.len(), 10_000);
            assert!(inside.contains(&frame.body.as_ptr()));
        }
    }

    /// Ten bytes in a queue must not cost a packet of 64 KiB, nor must some thousand that came with many more.
    #[test]
    fn a_body_does_not_keep_a_much_larger_buffer_alive() {
        for size in [1, 10, 5000] {
            let body = "x".repeat(size);
            for length in [String::new(), format!("content-length:{size}\n")] {
                let frame = format!("SEND\ndestination:/a\n{length}\n{body}\0");
                let wire = Bytes::from(frame.repeat(65_536 / frame.len()));
                let mut parser = Parser::new(Limits::default());
                parser.feed(wire.clone());
                let mut bodies = vec![];
                while let Ok(Some(Input::Frame(frame))) = parser.next() {
                    bodies.push(frame.body);
                }
                assert!(wire.is_unique(), "{} bodies of {size} bytes hold it", bodies.len());
                assert!(bodies.iter().all(|own| own == body.as_bytes()));
            }
        }
    }

    #[test]
    fn an_idle_parser_holds_no_memory() {
        let wire = Bytes::from(b"SEND\ndestination:/a\n\nhello\0".to_vec());
        let mut parser = Parser::new(Limits::default());
        for at in 0..wire.len() {
            parser.feed(Bytes::copy_from_slice(&wire[at..=at]));
            while parser.next().unwrap().is_some() {}
        }
        assert!(!parser.unfinished());
        assert_eq!(parser.held.capacity(), 0);

        parser.feed(wire.clone());
        while parser.next().unwrap().is_some() {}
        assert!(wire.is_unique(), "the parser still holds the buffer that it was fed");
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        let mut parser = Parser::new(Limits::default());
        parser.feed(Bytes::from_static(b"SEND\ncontent-length:1000000\n\nx"));
        assert_eq!(parser.next(), Ok(None));
        assert!(parser.unfinished());
        assert!(parser.held.capacity() < 1000, "{}", parser.held.capacity());
    }

    #[test]
    fn a_run_of_line_ends_is_one_heart_beat_and_stray_nuls_are_none() {
        assert_eq!(parse(Version::V1_2, "\n\r\n\n"), Ok(vec![Input::HeartBeat]));
        assert_eq!(parse(Version::V1_2, "\0\0"), Ok(vec![]));
    }

    #[test]
    fn a_failed_parser_stays_failed_and_keeps_nothing() {
        let wire = Bytes::from(b"NONSENSE\n\n\0".to_vec());
        let mut parser = Parser::new(Limits::default());
        parser.feed(wire.clone());
        let error = parser.next().unwrap_err();
        assert!(wire.is_unique(), "the parser still holds the buffer that it was fed");
        parser.feed(Bytes::from_static(b"SEND\ndestination:/a\n\n\0"));
        assert_eq!(parser.next(), Err(error));
        assert!(parser.input.is_empty());
    }

    #[test]
    fn feeding_on_top_of_unread_input_loses_nothing() {
        let mut parser = Parser::new(Limits::default());
        parser.feed(Bytes::from_static(b"SEND\ndesti"));
        parser.feed(Bytes::from_static(b"nation:/a\n\n"));
        parser.feed(Bytes::from_static(b"\0"));
        let Ok(Some(Input::Frame(frame))) = parser.next() else { panic!("no frame") };
        assert_eq!(frame.headers.get("destination"), Some("/a"));
    }

    #[test]
    fn a_refused_frame_gives_its_receipt_where_it_was_read() {
        let error = parse(Version::V1_2, "SEND\nreceipt:r1\nno colon\n\n\0").unwrap_err();
        assert_eq!((error.violation(), error.receipt()), (Violation::MalformedHeader, Some("r1")));
        let error = parse(Version::V1_2, "SEND\nreceipt:r2\ncontent-length:x\n\n\0").unwrap_err();
        assert_eq!((error.violation(), error.receipt()), (Violation::WrongContentLength, Some("r2")));
    }
}
