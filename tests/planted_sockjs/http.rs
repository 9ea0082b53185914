//! HTTP/1 over a connection, byte by byte: requests in, answers and streams out.
//!
//! Does not know: what is at which path.

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::defects::{Defect, Defects};

/// What one read may bring.
const READ: usize = 16 << 10;
const MAX_HEAD: usize = 64 << 10;
const MAX_BODY: usize = 1 << 20;

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    /// Whether it is of HTTP/1.0.
    pub old: bool,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a header that is a list has this element, in any case.
    pub fn lists(&self, name: &str, element: &str) -> bool {
        self.header(name).is_some_and(|list| list.split(',').any(|part| part.trim().eq_ignore_ascii_case(element)))
    }

    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let old = match version {
            "HTTP/1.1" => false,
            "HTTP/1.0" => true,
            _ => return None,
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request =
            Self { method: method.to_owned(), path: path.to_owned(), query: query.to_owned(), old, ..Self::default() };
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Some(request)
    }
}

/// An answer, or the head of a stream.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Without a body and its type.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// With a body of this type.
    pub fn new(status: u16, of_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::empty(status).with("Content-Type", of_type) }
    }

    /// With a text.
    pub fn text(status: u16, text: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "text/plain; charset=UTF-8", text)
    }

    /// With a header more.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn head(&self, old: bool) -> String {
        let version = if old { "HTTP/1.0" } else { "HTTP/1.1" };
        let lines: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{version} {} Whatever\r\n{lines}", self.status)
    }
}

/// A connection from a client.
pub struct Connection {
    stream: TcpStream,
    /// What came and was not taken yet.
    pub buffer: Vec<u8>,
    pub defects: Defects,
    /// Held while something is written, for the defect that everybody waits for everybody.
    writing: Arc<Mutex<()>>,
    chunked: bool,
    /// Whether it ends with the answer.
    last: bool,
}

impl Connection {
    pub fn new(stream: TcpStream, defects: Defects, writing: Arc<Mutex<()>>) -> Self {
        Self { stream, buffer: Vec::new(), defects, writing, chunked: false, last: false }
    }

    /// Whether the connection is to end.
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Reads something more. An error if there is nothing any more.
    pub async fn more(&mut self) -> Result<()> {
        // As much as there is: defects about what comes in one packet would else be about 64 bytes.
        self.buffer.reserve(READ);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Ends when the peer is gone. What comes until then is kept.
    pub async fn gone(&mut self) {
        while self.buffer.len() < MAX_HEAD {
            if self.more().await.is_err() {
                return;
            }
        }
        std::future::pending().await
    }

    /// The next request. A head that is none was answered already, and is an error.
    pub async fn request(&mut self) -> Result<Request> {
        if self.defects.has(Defect::PipeliningForgets) {
            self.buffer.clear();
        }
        let mut searched: usize = 0;
        let end = loop {
            let from = searched.saturating_sub(3);
            if let Some(end) = find(&self.buffer[from..], b"\r\n\r\n") {
                break from + end;
            }
            searched = self.buffer.len();
            if !self.buffer.is_empty() && self.defects.has(Defect::RequestInOnePacket) {
                return self.refuse(400).await;
            }
            if self.buffer.len() > MAX_HEAD && !self.defects.has(Defect::HugeHeaderTaken) {
                return self.refuse(431).await;
            }
            self.more().await?;
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let Some(mut request) = std::str::from_utf8(&head).ok().and_then(Request::parse) else {
            return self.refuse(400).await;
        };
        let close = request.lists("connection", "close") && !self.defects.has(Defect::ConnectionCloseIgnored);
        self.last = close || request.old || self.defects.has(Defect::ClosesAlways);
        request.body = self.body(&request).await?;
        Ok(request)
    }

    async fn body(&mut self, request: &Request) -> Result<Vec<u8>> {
        let length = request.header("content-length");
        let chunked = request.lists("transfer-encoding", "chunked") && !self.defects.has(Defect::ChunkedBodyIgnored);
        if request.method == "POST" && !chunked && length.is_none() && self.defects.has(Defect::LengthNeeded) {
            return self.refuse(411).await;
        }
        if request.lists("expect", "100-continue") && !self.defects.has(Defect::ContinueMissing) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        if chunked {
            return self.chunks().await;
        }
        let Ok(length) = length.unwrap_or("0").parse::<usize>() else {
            return self.refuse(400).await;
        };
        if length > MAX_BODY {
            return self.refuse(413).await;
        }
        self.take(length).await
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                match find(&self.buffer, b"\r\n") {
                    Some(end) => break self.buffer.drain(..end + 2).collect::<Vec<u8>>(),
                    None => self.more().await?,
                }
            };
            let digits: String =
                line.iter().map(|byte| char::from(*byte)).take_while(char::is_ascii_hexdigit).collect();
            let Ok(length) = usize::from_str_radix(&digits, 16) else {
                return self.refuse(400).await;
            };
            if body.len() + length > MAX_BODY {
                return self.refuse(413).await;
            }
            body.extend(self.take(length).await?);
            self.take(2).await?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Refuses what came and ends the connection.
    async fn refuse<T>(&mut self, status: u16) -> Result<T> {
        if status == 400 && self.defects.has(Defect::GarbageKept) {
            return std::future::pending().await;
        }
        self.last = true;
        self.answer(&Request::default(), Answer::text(status, "no")).await?;
        self.finish().await;
        Err(Error::other(status.to_string()))
    }

    /// Sends a whole answer.
    pub async fn answer(&mut self, request: &Request, mut answer: Answer) -> Result<()> {
        let (old, defects) = (request.old, self.defects);
        let poll = request.path.ends_with("/xhr") && defects.has(Defect::PollOfHttp10InChunks);
        let greeting = answer.body.starts_with(b"Welcome") && defects.has(Defect::GreetingOfHttp10InChunks);
        if old && (poll || greeting) {
            let body = std::mem::take(&mut answer.body);
            self.begin(&Request { old: false, ..request.clone() }, answer).await?;
            self.chunk(&body).await?;
            return self.end().await;
        }
        let mut head = answer.head(old);
        if old && defects.has(Defect::KeepAliveOfHttp10) {
            head.push_str("Connection: keep-alive\r\n");
        } else if self.last {
            head.push_str("Connection: close\r\n");
        }
        if !matches!(answer.status, 204 | 304) {
            head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
        }
        let mut bytes = format!("{head}\r\n").into_bytes();
        if request.method != "HEAD" || defects.has(Defect::HeadWithBody) {
            bytes.extend(answer.body);
        }
        let writing = self.writing.clone();
        let blocks = request.path.ends_with("/xhr") && defects.has(Defect::SlowPollBlocks);
        let _turn = if blocks { Some(writing.lock().await) } else { None };
        self.write(&bytes).await
    }

    /// Begins a stream.
    pub async fn begin(&mut self, request: &Request, answer: Answer) -> Result<()> {
        self.chunked = !request.old || self.defects.has(Defect::StreamOfHttp10InChunks);
        let mut head = answer.head(request.old);
        head.push_str(if self.last { "Connection: close\r\n" } else { "" });
        head.push_str(if self.chunked { "Transfer-Encoding: chunked\r\n\r\n" } else { "\r\n" });
        self.write(head.as_bytes()).await
    }

    /// Sends a piece of a stream, as one chunk.
    pub async fn chunk(&mut self, piece: &[u8]) -> Result<()> {
        if !self.chunked {
            return self.write(piece).await;
        }
        let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
        bytes.extend(piece);
        bytes.extend(b"\r\n");
        self.write(&bytes).await
    }

    /// Ends a stream.
    pub async fn end(&mut self) -> Result<()> {
        if self.defects.has(Defect::StreamWithoutLastChunk) {
            self.last = true;
            return Ok(());
        }
        if self.chunked { self.write(b"0\r\n\r\n").await } else { Ok(()) }
    }

    /// Writes bytes as they are.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let writing = self.writing.clone();
        let _turn = if self.defects.has(Defect::SlowReaderBlocks) { Some(writing.lock().await) } else { None };
        self.stream.write_all(bytes).await
    }

    /// Ends the connection, and takes what is still under way for a while: closed over unread bytes, it would be reset, and the answer
    /// lost.
    pub async fn finish(&mut self) {
        if self.stream.shutdown().await.is_ok() {
            let drain = async {
                let mut rest = vec![0; 64 << 10];
                while self.stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
            };
            let _ = timeout(Duration::from_secs(2), drain).await;
        }
    }
}

/// Where a part begins.
fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
