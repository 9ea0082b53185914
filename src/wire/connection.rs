//! One connection to a server that is looked at.
//!
//! Does not know: what is asked, and what should come back.

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

use super::{Fault, Framing, Head, Load, Piece, Request, Response, Target};
use crate::dial::Stream;

/// What one read may bring.
const READ: usize = 16 * 1024;
/// What a piece counts at least towards the largest body: to keep a tiny one takes as much.
const PIECE: usize = 64;
/// The longest line that gives the size of a chunk.
const CHUNK_LINE: usize = 256;

/// How long is waited, and how much is taken.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest wait for a connection, for a head, or for the next piece of a body.
    pub patience: Duration,
    /// The largest head, in bytes.
    pub head: usize,
    /// The largest body, in bytes, and the largest message of a websocket.
    pub body: usize,
}

impl Default for Limits {
    /// Five seconds, which every server on its feet keeps to; heads of 64 KiB, more than any server of ours sends; bodies of
    /// 8 MiB, above every response limit in use.
    fn default() -> Self {
        Self { patience: Duration::from_secs(5), head: 64 << 10, body: 8 << 20 }
    }
}

/// A connection. Dropping it closes it, with a reset if it was made to.
pub struct Connection {
    stream: Stream,
    buffer: BytesMut,
    limits: Limits,
    load: Load,
    /// The body that is being read, if there is one.
    body: Body,
    _permit: OwnedSemaphorePermit,
}

/// What is still to come of the present answer's body.
#[derive(Debug, Clone, Copy)]
struct Body {
    framing: Framing,
    /// Bytes that are missing, for [`Framing::Length`].
    missing: usize,
    /// Bytes that have come.
    taken: usize,
    done: bool,
}

impl Body {
    const NONE: Self = Self { framing: Framing::None, missing: 0, taken: 0, done: true };
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`Fault::Unreachable`], [`Fault::Late`] if it took too long, or [`Fault::Spent`].
    pub async fn open(target: &Target, load: &Load, limits: Limits) -> Result<Self, Fault> {
        Self::connect(target, load, limits, false).await
    }

    /// Connects so that dropping the connection resets it, which loses what is on its way: the end that a crash or a lost
    /// network makes.
    ///
    /// # Errors
    ///
    /// As those of [`Connection::open`].
    pub async fn open_resetting(target: &Target, load: &Load, limits: Limits) -> Result<Self, Fault> {
        Self::connect(target, load, limits, true).await
    }

    async fn connect(target: &Target, load: &Load, limits: Limits, reset: bool) -> Result<Self, Fault> {
        let permit = load.connection().await?;
        let address = &target.address;
        let connected = async {
            let stream = TcpStream::connect((address.host.as_str(), address.port)).await;
            let stream = stream.map_err(|why| Fault::Unreachable(why.to_string()))?;
            if reset {
                // Where it cannot be set the end is an orderly one, which every server must survive too.
                let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            }
            address.over(stream, None).await.map_err(|why| Fault::Unreachable(why.to_string()))
        };
        let late = |_| Fault::Late("connection", limits.patience);
        let stream = timeout(limits.patience, connected).await.map_err(late)??;
        let (buffer, load) = (BytesMut::new(), load.clone());
        Ok(Self { stream, buffer, limits, load, body: Body::NONE, _permit: permit })
    }

    /// Waits so long from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.limits.patience = patience;
    }

    /// How long is waited, and how much is taken.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Writes a request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// Every [`Fault`].
    pub async fn ask(&mut self, request: &Request, target: &Target) -> Result<Response, Fault> {
        let head = self.begin(request, target).await?;
        self.finish(head).await
    }

    /// Writes a request and reads the head of the answer; [`Connection::piece`] has the body.
    ///
    /// # Errors
    ///
    /// Every [`Fault`].
    pub async fn begin(&mut self, request: &Request, target: &Target) -> Result<Head, Fault> {
        self.write(&request.encode(target)).await?;
        self.head(request.method()).await
    }

    /// Writes bytes, whatever they are.
    ///
    /// # Errors
    ///
    /// [`Fault::Ended`], [`Fault::Late`] if the server does not read, or [`Fault::Spent`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.load.send(bytes.len())?;
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let late = |_| Fault::Late("reader of what is sent", self.limits.patience);
        let written = timeout(self.limits.patience, written).await.map_err(late)?;
        written.map_err(|why| Fault::Ended("all was sent", why.kind().to_string()))
    }

    /// Says that nothing more will be sent, and stays open for what comes.
    ///
    /// # Errors
    ///
    /// [`Fault::Ended`] if the connection is gone.
    pub async fn half_close(&mut self) -> Result<(), Fault> {
        self.stream.shutdown().await.map_err(|why| Fault::Ended("our end of it", why.kind().to_string()))
    }

    /// The head of the next answer, to a request with that method. Interim answers (100 Continue) are passed over.
    ///
    /// # Errors
    ///
    /// Every [`Fault`].
    pub async fn head(&mut self, method: &str) -> Result<Head, Fault> {
        let (started, mut interim) = (Instant::now(), 0);
        loop {
            let end = memmem::find(&self.buffer, b"\r\n\r\n").map(|at| at + 4);
            let Some(end) = end else {
                if self.buffer.len() > self.limits.head {
                    return Err(Fault::Endless(self.limits.head));
                }
                // A peer that sends a byte now and then would be waited for without end.
                let left = self.limits.patience.saturating_sub(started.elapsed());
                match self.fill(left, "answer").await? {
                    0 if self.buffer.is_empty() => return Err(Fault::Ended("an answer", "end of stream".to_owned())),
                    // What is no HTTP at all is better told by what it is.
                    0 if !self.buffer.starts_with(b"HTTP/1.") => {
                        let what = super::shown(&self.buffer);
                        return Err(Fault::Garbage(format!("no answer of HTTP/1: it begins with {what}")));
                    }
                    0 => return Err(Fault::Ended("the end of the head", "end of stream".to_owned())),
                    _ => continue,
                }
            };
            let head = Head::parse(&self.buffer.split_to(end)).map_err(Fault::Garbage)?;
            if matches!(head.status, 100 | 102 | 103) {
                interim += end;
                match interim > self.limits.head {
                    true => return Err(Fault::Endless(self.limits.head)),
                    false => continue,
                }
            }
            let framing = head.framing(method).map_err(Fault::Garbage)?;
            let missing = if let Framing::Length(length) = framing { length } else { 0 };
            let done = matches!(framing, Framing::None | Framing::Length(0));
            self.body = Body { framing, missing, taken: 0, done };
            return Ok(head);
        }
    }

    /// How the present answer's body is framed.
    pub fn framing(&self) -> Framing {
        self.body.framing
    }

    /// The next piece of the body, `None` at its end.
    ///
    /// # Errors
    ///
    /// Every [`Fault`].
    pub async fn piece(&mut self) -> Result<Option<Piece>, Fault> {
        if self.body.done {
            return Ok(None);
        }
        // Where a thousand pieces come in one read, whoever bounds the time of it all is to have his turn.
        consume_budget().await;
        let bytes = match self.body.framing {
            Framing::None => Bytes::new(),
            Framing::Length(_) => self.counted().await?,
            Framing::Chunked => self.chunk().await?,
            Framing::UntilClose => self.until_close().await?,
        };
        if bytes.is_empty() {
            self.body.done = true;
            return Ok(None);
        }
        self.body.taken += bytes.len().max(PIECE);
        if self.body.taken > self.limits.body {
            return Err(Fault::Endless(self.limits.body));
        }
        Ok(Some(Piece { bytes, at: Instant::now() }))
    }

    /// The whole answer that begins with this head. It may take three times the patience and no longer: a server that sends a
    /// byte now and then would be read for ever.
    ///
    /// # Errors
    ///
    /// Every [`Fault`].
    pub async fn finish(&mut self, head: Head) -> Result<Response, Fault> {
        let framing = self.body.framing;
        let most = self.limits.patience.saturating_mul(3);
        let pieces = async {
            let mut pieces = Vec::new();
            while let Some(piece) = self.piece().await? {
                pieces.push(piece);
            }
            Ok(pieces)
        };
        let pieces = timeout(most, pieces).await.map_err(|_| Fault::Late("end of the answer", most))??;
        Ok(Response { head, framing, pieces })
    }

    /// The bytes that one read gives, outside of any answer; none if the server has ended its direction.
    ///
    /// # Errors
    ///
    /// [`Fault::Late`], or [`Fault::Ended`] by a reset.
    pub async fn read(&mut self) -> Result<Bytes, Fault> {
        if self.buffer.is_empty() {
            self.fill(self.limits.patience, "byte").await?;
        }
        Ok(self.buffer.split().freeze())
    }

    /// Waits for the server to end the connection, and passes over what it still sends. Whether that was an orderly end; a
    /// reset is none.
    ///
    /// # Errors
    ///
    /// [`Fault::Late`] if it stays open, [`Fault::Endless`].
    pub async fn closed(&mut self) -> Result<bool, Fault> {
        let (started, mut taken) = (Instant::now(), 0);
        loop {
            taken += self.buffer.len();
            self.buffer.clear();
            if taken > self.limits.body {
                return Err(Fault::Endless(self.limits.body));
            }
            let left = self.limits.patience.saturating_sub(started.elapsed());
            match self.fill(left, "end of the connection").await {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(Fault::Ended(..)) => return Ok(false),
                Err(fault) => return Err(fault),
            }
        }
    }

    async fn counted(&mut self) -> Result<Bytes, Fault> {
        if self.buffer.is_empty() && self.fill(self.limits.patience, "rest of the body").await? == 0 {
            let how = format!("{} bytes of Content-Length are missing", self.body.missing);
            return Err(Fault::Ended("the body was complete", how));
        }
        let taken = self.body.missing.min(self.buffer.len());
        self.body.missing -= taken;
        // Nothing comes behind it: a connection that is kept would be waited for in vain.
        self.body.done = self.body.missing == 0;
        let bytes = self.buffer.split_to(taken).freeze();
        Ok(bytes)
    }

    async fn until_close(&mut self) -> Result<Bytes, Fault> {
        if self.buffer.is_empty() {
            self.fill(self.limits.patience, "more of the body, and no end of it").await?;
        }
        Ok(self.buffer.split().freeze())
    }

    /// A whole chunk; an empty one is the last. Nothing is taken before all of it is there, so that whoever was impatient can ask
    /// again.
    async fn chunk(&mut self) -> Result<Bytes, Fault> {
        let (start, size) = loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n") {
                break (end + 2, self.size_of_chunk(end)?);
            }
            self.more_of_a_line().await?;
        };
        if size > self.limits.body {
            return Err(Fault::Endless(self.limits.body));
        }
        if size == 0 {
            self.buffer.advance(start);
            // Trailers, if there are any, and the empty line.
            while !self.line().await?.is_empty() {}
            return Ok(Bytes::new());
        }
        while self.buffer.len() < start + size + 2 {
            if self.fill(self.limits.patience, "rest of a chunk").await? == 0 {
                return Err(Fault::Ended("a chunk was complete", "end of stream".to_owned()));
            }
        }
        self.buffer.advance(start);
        let bytes = self.buffer.split_to(size).freeze();
        if !self.buffer.starts_with(b"\r\n") {
            return Err(Fault::Garbage("a chunk is longer than it says".to_owned()));
        }
        self.buffer.advance(2);
        Ok(bytes)
    }

    /// The size that stands in the buffer's first line, which ends there.
    fn size_of_chunk(&self, end: usize) -> Result<usize, Fault> {
        let line = self.buffer.get(..end).unwrap_or_default();
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
        size.ok_or_else(|| Fault::Garbage(format!("{} stands where the size of a chunk should", super::shown(line))))
    }

    /// A line of the chunked coding, without its end.
    async fn line(&mut self) -> Result<Bytes, Fault> {
        loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n") {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(2);
                return Ok(line);
            }
            self.more_of_a_line().await?;
        }
    }

    /// Waits for more of a line of the chunked coding.
    async fn more_of_a_line(&mut self) -> Result<(), Fault> {
        if self.buffer.len() > CHUNK_LINE {
            let what = super::shown(self.buffer.get(..32).unwrap_or_default());
            return Err(Fault::Garbage(format!("{what} stands where the size of a chunk should")));
        }
        match self.fill(self.limits.patience, "next piece of the answer").await? {
            0 => Err(Fault::Ended("the last chunk", "end of stream".to_owned())),
            _ => Ok(()),
        }
    }

    /// One read. The number of bytes, zero at the end of the stream.
    async fn fill(&mut self, patience: Duration, what: &'static str) -> Result<usize, Fault> {
        self.buffer.reserve(READ);
        let read = timeout(patience, self.stream.read_buf(&mut self.buffer)).await;
        let read = read.map_err(|_| Fault::Late(what, patience.max(self.limits.patience)))?;
        let read = read.map_err(|why| Fault::Ended(what, why.kind().to_string()))?;
        self.load.received(read);
        Ok(read)
    }
}
