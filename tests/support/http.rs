//! HTTP/1 as it is on the wire. A [`Request`] is written exactly as it was put together, a [`Response`] keeps what was
//! sent: headers in their order, repeated ones repeated, and each chunk for itself.
//!
//! Does not know: SockJS.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::proof::with_query;
use super::{Stream, within};

/// A request in the making. `Host: localhost` and the `Content-Length` of a body are added unless left out on purpose.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    version: &'static str,
    host: Option<String>,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
}

/// An answer, or its head while the body is still to be read.
#[derive(Clone, Debug)]
pub struct Response {
    /// `HTTP/1.1` or what else stands there.
    pub version: String,
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The headers as they were sent, in their order.
    pub headers: Vec<(String, String)>,
    /// The pieces of the body: chunks if it was chunked, else one piece.
    pub chunks: Vec<Bytes>,
}

/// One connection with HTTP on it.
pub struct Http {
    stream: Stream,
    buffer: BytesMut,
    body: Body,
    /// Whether the request that was sent last is one whose answers have no body.
    bodyless: bool,
}

/// What is to be read of the present answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

impl Request {
    /// A request with any method.
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.into(),
            version: "HTTP/1.1",
            host: Some("localhost".to_owned()),
            headers: Vec::new(),
            body: None,
        }
    }

    /// A GET.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// A POST, without body and Content-Length until [`body`](Self::body) gives it one.
    pub fn post(target: impl Into<String>) -> Self {
        Self::new("POST", target)
    }

    /// An OPTIONS.
    pub fn options(target: impl Into<String>) -> Self {
        Self::new("OPTIONS", target)
    }

    /// The handshake of a websocket.
    pub fn websocket(target: impl Into<String>) -> Self {
        Self::get(target)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives it a body, with its length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Adds to its query.
    #[must_use]
    pub fn query(mut self, query: Option<&str>) -> Self {
        self.target = with_query(&self.target, query);
        self
    }

    /// Names another host, or none.
    #[must_use]
    pub fn host(mut self, host: Option<&str>) -> Self {
        self.host = host.map(str::to_owned);
        self
    }

    /// Makes it a request of HTTP/1.0.
    #[must_use]
    pub fn http10(mut self) -> Self {
        self.version = "HTTP/1.0";
        self
    }

    /// The bytes of it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} {}\r\n", self.method, self.target, self.version);
        let mut line = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        if let Some(host) = &self.host {
            line("Host", host);
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        if let Some(body) = &self.body {
            line("Content-Length", &body.len().to_string());
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }
}

impl Response {
    /// The one header of that name. Fails the test if there are several: no answer of ours repeats one.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} is repeated: {all:?}");
        all.first().copied()
    }

    /// All headers of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The whole body.
    pub fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    /// The whole body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body()).expect("the body is UTF-8")
    }

    /// The status line and the headers as a text of lines, for messages.
    pub fn head(&self) -> String {
        let mut head = format!("{} {} {}\n", self.version, self.status, self.reason);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\n"));
        }
        head
    }
}

impl Http {
    /// HTTP on that connection.
    pub fn new(stream: Stream) -> Self {
        Self { stream, buffer: BytesMut::new(), body: Body::None, bodyless: false }
    }

    /// Sends a request. The answer to the one before must have been read.
    pub async fn send(&mut self, request: &Request) {
        self.bodyless = request.method == "HEAD";
        self.send_raw(&request.to_bytes()).await;
    }

    /// Sends bytes, whatever they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        self.try_send_raw(bytes).await.expect("the connection is open");
    }

    /// Sends bytes to a gateway that may have closed the connection.
    pub async fn try_send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        within(self.stream.patience(), "the gateway to read", self.stream.write_all(bytes)).await
    }

    /// Sends a request and reads the whole answer.
    pub async fn exchange(&mut self, request: &Request) -> Response {
        self.send(request).await;
        self.response().await
    }

    /// Reads a whole answer.
    pub async fn response(&mut self) -> Response {
        let mut response = self.head().await;
        while let Some(chunk) = self.chunk().await {
            response.chunks.push(chunk);
        }
        response
    }

    /// Reads the head of an answer; [`chunk`](Self::chunk) reads on.
    pub async fn head(&mut self) -> Response {
        self.try_head().await.expect("the connection holds").expect("an answer comes before the connection ends")
    }

    /// Reads the head of an answer, or `None` if the connection is closed in good order without one.
    pub async fn try_head(&mut self) -> io::Result<Option<Response>> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            if !self.fill("the head of an answer").await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(truncated("head")) };
            }
        };
        let head = self.buffer.split_to(end + 4);
        let response = parse_head(&String::from_utf8_lossy(&head[..end]));
        self.body = body_of(&response, self.bodyless);
        Ok(Some(response))
    }

    /// The next piece of the body exactly as it was sent: one chunk of a chunked body, the whole of one with a length,
    /// or what has arrived of one that ends with the connection. `None` at its end.
    pub async fn chunk(&mut self) -> Option<Bytes> {
        self.try_chunk().await.expect("the body is complete")
    }

    /// As [`chunk`](Self::chunk), for a body that may break off.
    pub async fn try_chunk(&mut self) -> io::Result<Option<Bytes>> {
        match self.body {
            Body::None => Ok(None),
            Body::Length(length) => {
                self.need(length).await?;
                self.body = Body::None;
                Ok((length > 0).then(|| self.buffer.split_to(length).freeze()))
            }
            Body::UntilClose => {
                if self.buffer.is_empty() && !self.fill("the body").await? {
                    self.body = Body::None;
                    return Ok(None);
                }
                Ok(Some(self.buffer.split().freeze()))
            }
            Body::Chunked => {
                let line = loop {
                    if let Some(end) = find(&self.buffer, b"\r\n") {
                        break end;
                    }
                    if !self.fill("a chunk").await? {
                        return Err(truncated("chunked body"));
                    }
                };
                let size = std::str::from_utf8(&self.buffer[..line]).expect("a chunk's size is text");
                let size = usize::from_str_radix(size, 16).expect("a chunk's size is hexadecimal");
                // Nothing is taken out before all of it is there, so a caller that gives up waiting loses nothing.
                self.need(line + 2 + size + 2).await?;
                let mut piece = self.buffer.split_to(line + 2 + size + 2).split_off(line + 2);
                assert_eq!(&piece.split_off(size)[..], b"\r\n", "a chunk ends where its size says");
                if size == 0 {
                    self.body = Body::None;
                    return Ok(None);
                }
                Ok(Some(piece.freeze()))
            }
        }
    }

    /// Whether the present answer's body has been read to its end.
    pub fn is_complete(&self) -> bool {
        self.body == Body::None
    }

    /// Reads until the connection ends, whatever comes.
    pub async fn rest(&mut self) -> io::Result<Bytes> {
        while self.fill("the end of the connection").await? {}
        Ok(self.buffer.split().freeze())
    }

    /// Takes the connection apart: what has been read and not used, and the stream.
    pub fn into_parts(self) -> (Bytes, Stream) {
        (self.buffer.freeze(), self.stream)
    }

    /// How long this connection's reader waits.
    pub fn patience(&self) -> Duration {
        self.stream.patience()
    }

    async fn need(&mut self, length: usize) -> io::Result<()> {
        while self.buffer.len() < length {
            if !self.fill("the body").await? {
                return Err(truncated("body"));
            }
        }
        Ok(())
    }

    async fn fill(&mut self, what: &str) -> io::Result<bool> {
        let read = self.stream.patience();
        Ok(within(read, what, self.stream.read_buf(&mut self.buffer)).await? > 0)
    }
}

/// Percent-encodes everything that is no letter or digit, as a form or a query string wants it.
pub fn percent_encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn parse_head(head: &str) -> Response {
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let mut parts = status_line.splitn(3, ' ');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (version, status, reason) = (part(), part(), part());
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}"));
            (name.to_owned(), value.to_owned())
        })
        .collect();
    let status = status.parse().unwrap_or_else(|_| panic!("no status line: {status_line:?}"));
    Response { version, status, reason, headers, chunks: Vec::new() }
}

/// RFC 9112, section 6.3.
fn body_of(response: &Response, bodyless: bool) -> Body {
    if bodyless || response.status < 200 || matches!(response.status, 204 | 304) {
        return Body::None;
    }
    let length = response.header("Content-Length");
    match response.header("Transfer-Encoding") {
        Some("chunked") => {
            assert_eq!(length, None, "a chunked body has no length");
            Body::Chunked
        }
        Some(other) => panic!("Transfer-Encoding {other}"),
        None => length.map_or(Body::UntilClose, |length| Body::Length(length.parse().expect("a length is a number"))),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn truncated(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the connection ended within a {what}"))
}
