//! Splits a response into the lines that its frames are, however it was cut on its way.
//!
//! Does not know: what stands in them.

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memchr;

/// The lines of one response.
#[derive(Debug)]
pub(super) struct Lines {
    buffer: BytesMut,
    /// How far there is no line end.
    searched: usize,
    most: usize,
}

/// A line is longer than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Lines {
    /// Lines of at most so many bytes.
    pub fn new(most: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, most }
    }

    /// Takes what came.
    pub fn feed(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The next line that is whole and not empty, without its line end.
    pub fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(end) = memchr(b'\n', rest).map(|at| self.searched + at) else {
                self.searched = self.buffer.len();
                return if self.buffer.len() > self.most { Err(TooLong) } else { Ok(None) };
            };
            let line = self.buffer.split_to(end);
            self.buffer.advance(1);
            self.searched = 0;
            match line.len() {
                0 => {}
                length if length > self.most => return Err(TooLong),
                _ => return Ok(Some(line.freeze())),
            }
        }
    }

    /// Whether part of a line has come and its end has not.
    pub fn unfinished(&self) -> bool {
        !self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_wherever_they_are_cut() {
        let whole = b"o\n\na[\"x\"]\nh\n";
        for cut in 0..=whole.len() {
            let (mut lines, mut seen) = (Lines::new(10), vec![]);
            for part in [&whole[..cut], &whole[cut..]] {
                lines.feed(part);
                while let Some(line) = lines.next().unwrap() {
                    seen.push(line);
                }
            }
            assert_eq!(seen, ["o", "a[\"x\"]", "h"], "cut at {cut}");
            assert!(!lines.unfinished());
        }
    }

    #[test]
    fn a_line_has_an_end_or_is_too_long() {
        let mut lines = Lines::new(4);
        lines.feed(b"1234\n123");
        assert_eq!(lines.next(), Ok(Some(Bytes::from_static(b"1234"))));
        assert_eq!(lines.next(), Ok(None));
        assert!(lines.unfinished());
        lines.feed(b"45");
        assert_eq!(lines.next(), Err(TooLong));
        let mut lines = Lines::new(4);
        lines.feed(b"12345\n");
        assert_eq!(lines.next(), Err(TooLong));
    }
}
