//! An answer as it came: the head line by line, and the body in the pieces in which it was sent.
//!
//! Does not know: connections, and what an answer should have been.

use std::time::Instant;

use bytes::Bytes;

/// The head of an answer. Headers are in their order, repeated ones repeated, names as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// `HTTP/1.1` or what else stands there.
    pub version: String,
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The header lines.
    pub headers: Vec<(String, String)>,
}

/// How an answer says where its body ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By its status, or since the request was a HEAD, there is no body.
    None,
    /// After so many bytes.
    Length(usize),
    /// After the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// A piece of a body: a whole chunk if it is chunked, else what one read gave.
#[derive(Clone, Debug)]
pub struct Piece {
    /// What was in it.
    pub bytes: Bytes,
    /// When its last byte was there.
    pub at: Instant,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Everything before the body.
    pub head: Head,
    /// How the body was framed.
    pub framing: Framing,
    /// Its pieces.
    pub pieces: Vec<Piece>,
}

impl Head {
    /// The value of a header, the first if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    /// The values of every line of that header.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name = self.headers.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str())
    }

    /// Whether a header that is a list, in one line or several, has that entry, in whatever case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|entry| entry.trim().eq_ignore_ascii_case(token))
    }

    /// The head as it was on the wire, but with plain line feeds.
    pub fn text(&self) -> String {
        let mut text = format!("{} {} {}\n", self.version, self.status, self.reason);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\n"));
        }
        text
    }

    /// How the body after it ends, for an answer to a request with that method.
    ///
    /// # Errors
    ///
    /// What is wrong, in words: both ways at once, or a length that is no number.
    pub(super) fn framing(&self, method: &str) -> Result<Framing, String> {
        if method == "HEAD" || matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(Framing::None);
        }
        if let Some(coding) = self.header("Transfer-Encoding") {
            if self.header("Content-Length").is_some() {
                return Err("an answer has both Transfer-Encoding and Content-Length".to_owned());
            }
            return match coding.trim().eq_ignore_ascii_case("chunked") {
                true => Ok(Framing::Chunked),
                false => Err(format!("an answer has the unknown Transfer-Encoding {coding:?}")),
            };
        }
        let mut lengths = self.all("Content-Length");
        let Some(length) = lengths.next() else { return Ok(Framing::UntilClose) };
        match length.trim().parse() {
            Ok(number) if lengths.all(|other| other == length) => Ok(Framing::Length(number)),
            _ => Err(format!("an answer has the Content-Length {length:?}, or two that differ")),
        }
    }

    /// The head of these lines, without the empty one at their end.
    pub(super) fn parse(lines: &[u8]) -> Result<Self, String> {
        // Header values may be Latin-1; nothing that is looked for is.
        let text = String::from_utf8_lossy(lines);
        let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let status_line = lines.next().unwrap_or_default();
        let not_http = || format!("no answer of HTTP/1: it begins with {}", super::shown(status_line));
        let mut words = status_line.splitn(3, ' ');
        let (version, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if !version.starts_with("HTTP/1.") || status.len() != 3 {
            return Err(not_http());
        }
        let status = status.parse().map_err(|_| not_http())?;
        let mut headers = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once(':') else {
                return Err(format!("a header line has no colon: {}", super::shown(line)));
            };
            headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
        let reason = words.next().unwrap_or_default().to_owned();
        Ok(Self { version: version.to_owned(), status, reason, headers })
    }
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The value of a header, the first if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The whole body.
    pub fn body(&self) -> Vec<u8> {
        self.pieces.iter().flat_map(|piece| &piece.bytes[..]).copied().collect()
    }

    /// The whole body as text; what is no UTF-8 shows as U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn headers_keep_their_order_and_their_repetitions() {
        let head = head("HTTP/1.1 200 OK\r\nVary: Origin\r\nSet-Cookie: a\r\nvary:  Accept, Cookie \r\n");
        assert_eq!((head.status, head.reason.as_str()), (200, "OK"));
        assert_eq!(head.all("VARY").collect::<Vec<_>>(), ["Origin", "Accept, Cookie"]);
        assert!(head.has_token("vary", "cookie") && !head.has_token("vary", "cook"));
        assert_eq!(head.header("x"), None);
    }

    #[test]
    fn what_is_not_http_is_said_to_be_none() {
        for garbage in ["", "SSH-2.0-OpenSSH", "HTTP/2 200", "HTTP/1.1 2x0 OK", "HTTP/1.1"] {
            assert!(Head::parse(garbage.as_bytes()).is_err(), "{garbage}");
        }
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nbroken\r\n").is_err());
    }

    #[test]
    fn the_framing_is_that_of_the_rfc() {
        let of = |lines: &str, method: &str| head(&format!("HTTP/1.1 {lines}")).framing(method);
        assert_eq!(of("204 No Content\nContent-Length: 3", "GET"), Ok(Framing::None));
        assert_eq!(of("200 OK\nContent-Length: 3", "HEAD"), Ok(Framing::None));
        assert_eq!(of("200 OK\nContent-Length: 3", "GET"), Ok(Framing::Length(3)));
        assert_eq!(of("200 OK\nTransfer-Encoding: Chunked", "GET"), Ok(Framing::Chunked));
        assert_eq!(of("200 OK", "GET"), Ok(Framing::UntilClose));
        for wrong in ["Content-Length: x", "Content-Length: 1\nContent-Length: 2", "Transfer-Encoding: gzip"] {
            assert!(of(&format!("200 OK\n{wrong}"), "GET").is_err(), "{wrong}");
        }
        assert!(of("200 OK\nTransfer-Encoding: chunked\nContent-Length: 1", "GET").is_err());
    }
}
