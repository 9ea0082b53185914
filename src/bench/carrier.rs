//! One client's way to the server, over one transport: texts go, texts come, and what waits while a request is under way goes
//! with the next one. All waiting is cancel-safe.
//!
//! Does not know: what the texts say.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use memchr::memchr;
use rand::distr::{Alphanumeric, SampleString as _};
use tokio::time::timeout;

use super::fault::Fault;
use super::frames;
use super::http::Answer;
use super::link::Link;
use super::plan::Transport;
use super::route::Route;
use super::stamp::Message;
use super::texts::{self, Said};

/// The key of every handshake, and what a server makes of it (RFC 6455, section 1.3).
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The most that one frame, or one message in several frames, may have.
const LARGEST: usize = frames::LARGEST;

/// A client's way.
pub(super) enum Carrier {
    /// A websocket, with SockJS frames in it or without.
    Socket(Box<Socket>),
    /// SockJS over two connections.
    Xhr(Box<Xhr>),
    /// A stream of bytes; its texts end anywhere.
    Tcp(Link),
}

/// A websocket.
#[derive(Debug)]
pub(super) struct Socket {
    link: Link,
    sockjs: bool,
    /// The beginning of a message that comes in several frames.
    joined: Vec<u8>,
    unquoted: Vec<u8>,
}

/// xhr_send on one connection, xhr or xhr_streaming on another.
pub(super) struct Xhr {
    route: Arc<Route>,
    /// There from the first text on: who only listens has one connection, as a browser does.
    sending: Option<Link>,
    /// The answer to the xhr_send that is under way.
    answer: Option<Answer>,
    /// What goes with the next one: texts in quotation marks, with commas.
    waiting: Vec<u8>,
    receiving: Link,
    received: Answer,
    /// What has come of the frame that is not whole yet.
    line: Vec<u8>,
    unquoted: Vec<u8>,
    send_head: String,
    receive_request: String,
    /// A connection that is being made in the place of one of these.
    opening: Option<Opening>,
}

type Opening = Pin<Box<dyn Future<Output = Result<Link, Fault>> + Send>>;

impl Carrier {
    /// Connects. For SockJS the session is open only when [`Said::Open`] has come.
    ///
    /// # Errors
    ///
    /// There is no way, or the server does not take the handshake.
    pub(super) async fn open(route: &Arc<Route>, transport: Transport, stomp: bool) -> Result<Self, Fault> {
        let mut link = route.open().await?;
        let path = &route.path;
        match transport {
            Transport::Tcp => Ok(Self::Tcp(link)),
            Transport::Websocket | Transport::RawWebsocket => {
                let sockjs = transport == Transport::Websocket;
                let path = match () {
                    () if sockjs => format!("{path}/{}/websocket", session()),
                    () if route.is_websocket => {
                        if path.is_empty() {
                            "/".to_owned()
                        } else {
                            path.clone()
                        }
                    }
                    () => format!("{path}/websocket"),
                };
                let protocol = stomp && !sockjs;
                handshake(&mut link, route, &path, protocol).await?;
                Ok(Self::Socket(Box::new(Socket { link, sockjs, joined: Vec::new(), unquoted: Vec::new() })))
            }
            Transport::XhrStreaming | Transport::XhrPolling => {
                let session = session();
                let receiver = if transport == Transport::XhrStreaming { "xhr_streaming" } else { "xhr" };
                let post =
                    |name: &str| format!("POST {path}/{session}/{name} HTTP/1.1\r\nHost: {}\r\n", route.authority);
                let mut xhr = Xhr {
                    route: Arc::clone(route),
                    sending: None,
                    answer: None,
                    waiting: Vec::new(),
                    receiving: link,
                    received: Answer::default(),
                    line: Vec::new(),
                    unquoted: Vec::new(),
                    send_head: format!(
                        "{}Content-Type: text/plain;charset=UTF-8\r\nContent-Length: ",
                        post("xhr_send")
                    ),
                    receive_request: format!("{}Content-Length: 0\r\n\r\n", post(receiver)),
                    opening: None,
                };
                xhr.ask()?;
                Ok(Self::Xhr(Box::new(xhr)))
            }
        }
    }

    /// A text as [`put`](Self::put) takes it, to be stamped so many bytes before its end, as it is without the quoting. What is
    /// behind the stamp's begin must need no quoting but for a NUL at the end.
    pub(super) fn message(transport: Transport, text: &str, from_end: usize) -> Message {
        let mut bytes = Vec::new();
        let quoted = quoted(text);
        // Quoting makes the NUL longer.
        let quoted_from_end = from_end + if text.ends_with('\0') { NUL.len() - 1 } else { 0 } + 1;
        match transport {
            Transport::Tcp => Message::new(text.as_bytes().to_vec(), text.len() - from_end, None),
            Transport::RawWebsocket => {
                let begin = frames::write(&mut bytes, frames::TEXT, text.as_bytes());
                Message::new(bytes, begin + text.len() - from_end, Some(begin))
            }
            Transport::Websocket => {
                let array = format!("[{quoted}]");
                let begin = frames::write(&mut bytes, frames::TEXT, array.as_bytes());
                Message::new(bytes, begin + array.len() - 1 - quoted_from_end, Some(begin))
            }
            Transport::XhrStreaming | Transport::XhrPolling => {
                let at = quoted.len() - quoted_from_end;
                Message::new(quoted.into_bytes(), at, None)
            }
        }
    }

    /// Takes a message that was made for this transport; [`flush`](Self::flush) sends it.
    pub(super) fn put(&mut self, message: &[u8]) {
        match self {
            Self::Socket(socket) => socket.link.output().extend_from_slice(message),
            Self::Tcp(link) => link.output().extend_from_slice(message),
            Self::Xhr(xhr) => {
                if !xhr.waiting.is_empty() {
                    xhr.waiting.push(b',');
                }
                xhr.waiting.extend_from_slice(message);
            }
        }
    }

    /// Takes a text that was not made beforehand.
    pub(super) fn put_text(&mut self, text: &str) {
        match self {
            Self::Tcp(link) => link.output().extend_from_slice(text.as_bytes()),
            Self::Socket(socket) if socket.sockjs => {
                frames::write(socket.link.output(), frames::TEXT, format!("[{}]", quoted(text)).as_bytes());
            }
            Self::Socket(socket) => {
                frames::write(socket.link.output(), frames::TEXT, text.as_bytes());
            }
            Self::Xhr(_) => self.put(quoted(text).as_bytes()),
        }
    }

    /// Sends what can be sent at once. The rest goes while one waits in [`receive`](Self::receive).
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        match self {
            Self::Socket(socket) => socket.link.flush(),
            Self::Tcp(link) => link.flush(),
            Self::Xhr(xhr) => xhr.flush(),
        }
    }

    /// Bytes that have not gone.
    pub(super) fn backlog(&self) -> usize {
        match self {
            Self::Socket(socket) => socket.link.backlog(),
            Self::Tcp(link) => link.backlog(),
            Self::Xhr(xhr) => xhr.waiting.len() + xhr.sending.as_ref().map_or(0, Link::backlog),
        }
    }

    /// Gives back the memory that is not needed while nothing comes.
    pub(super) fn rest(&mut self) {
        match self {
            Self::Socket(socket) => {
                socket.link.rest();
                socket.unquoted = Vec::new();
            }
            Self::Tcp(link) => link.rest(),
            Self::Xhr(xhr) => {
                xhr.sending.iter_mut().for_each(Link::rest);
                xhr.receiving.rest();
                (xhr.waiting, xhr.unquoted) = (Vec::new(), Vec::new());
            }
        }
    }

    /// Waits until something came, or an xhr_send was answered, and tells what came.
    ///
    /// # Errors
    ///
    /// The connection is broken, the server broke the protocol, or whoever is told has had enough.
    pub(super) async fn receive(&mut self, hear: impl FnMut(Said<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        match self {
            Self::Socket(socket) => {
                // More than one message may have come with the handshake's answer.
                if socket.link.input().is_empty() || !socket.is_whole()? {
                    socket.link.more().await?;
                }
                socket.read(hear)
            }
            Self::Tcp(link) => {
                link.more().await?;
                let length = link.input().len();
                let mut hear = hear;
                hear(Said::Text(link.input()))?;
                link.consume(length);
                Ok(())
            }
            Self::Xhr(xhr) => xhr.receive(hear).await,
        }
    }

    /// Says good-bye as the transport can, and waits until that has gone. A server that is gone already needs none.
    pub(super) async fn leave(mut self) {
        if let Self::Socket(socket) = &mut self {
            frames::write(socket.link.output(), frames::CLOSE, &1000_u16.to_be_bytes());
            let _ = socket.link.written().await;
        }
    }
}

impl Socket {
    fn is_whole(&self) -> Result<bool, Fault> {
        Ok(frames::parse(self.link.input())?.is_some())
    }

    fn read(&mut self, mut hear: impl FnMut(Said<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        let Self { link, sockjs, joined, unquoted } = self;
        let (input, output) = link.split();
        let mut at = 0;
        let mut tell = |payload: &[u8]| match *sockjs {
            true => texts::tell(payload, unquoted, &mut hear),
            false => hear(Said::Text(payload)),
        };
        let mut beats = 0;
        while let Some(frame) = frames::parse(input.get(at..).unwrap_or_default())? {
            match frame.opcode {
                frames::TEXT | frames::BINARY if frame.last => tell(frame.payload)?,
                frames::TEXT | frames::BINARY | frames::CONTINUATION => {
                    joined.extend_from_slice(frame.payload);
                    if joined.len() > LARGEST {
                        return Err(Fault::TooLarge("a websocket message"));
                    }
                    if frame.last {
                        tell(joined)?;
                        joined.clear();
                    }
                }
                frames::PING => {
                    frames::write(output, frames::PONG, frame.payload);
                    // With SockJS the heartbeat is a frame of its own, and not to be counted twice.
                    beats += usize::from(!*sockjs);
                }
                frames::PONG => {}
                frames::CLOSE => return Err(Fault::Closed(frames::close_words(frame.payload))),
                _ => return Err(Fault::garbage("a websocket frame of no kind", frame.payload)),
            }
            at += frame.length;
        }
        link.consume(at);
        for _ in 0..beats {
            hear(Said::Beat)?;
        }
        link.flush()
    }
}

/// What wakes one who waits for the two connections of a session.
enum Woken {
    Answered,
    Received(ControlFlow<()>),
}

impl Xhr {
    /// Asks for what the session has to say.
    fn ask(&mut self) -> Result<(), Fault> {
        self.received = Answer::default();
        self.receiving.output().extend_from_slice(self.receive_request.as_bytes());
        self.receiving.flush()
    }

    fn flush(&mut self) -> Result<(), Fault> {
        // Without a connection it goes when one has been made.
        let Some(sending) = &mut self.sending else { return Ok(()) };
        if self.answer.is_none() && !self.waiting.is_empty() {
            let output = sending.output();
            output.extend_from_slice(self.send_head.as_bytes());
            output.extend_from_slice((self.waiting.len() + 2).to_string().as_bytes());
            output.extend_from_slice(b"\r\n\r\n[");
            output.extend_from_slice(&self.waiting);
            output.push(b']');
            self.waiting.clear();
            self.answer = Some(Answer::default());
        }
        sending.flush()
    }

    async fn receive(&mut self, mut hear: impl FnMut(Said<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        loop {
            if self.received.is_done() {
                if self.received.closes() {
                    self.receiving = self.reopen().await?;
                }
                self.ask()?;
            }
            if self.answer.as_ref().is_some_and(Answer::is_done) {
                (self.sending, self.answer) = (None, None);
                return Ok(());
            }
            if self.sending.is_none() && !self.waiting.is_empty() {
                self.sending = Some(self.reopen().await?);
                self.flush()?;
            }
            let woken = poll_fn(|context| {
                if let Some(sending) = &mut self.sending
                    && let Poll::Ready(came) = sending.poll_more(context)
                {
                    match (came, &self.answer) {
                        (Ok(()), Some(_)) => return Poll::Ready(Ok(Woken::Answered)),
                        (Ok(()), None) => {
                            let unasked = Fault::garbage("an answer that nobody asked for", sending.input());
                            return Poll::Ready(Err(unasked));
                        }
                        (Err(fault), Some(_)) => return Poll::Ready(Err(fault)),
                        // It has closed the idle connection, as servers may.
                        (Err(_), None) => self.sending = None,
                    }
                }
                match self.receiving.poll_more(context) {
                    Poll::Ready(Ok(())) => Poll::Ready(Ok(Woken::Received(ControlFlow::Continue(())))),
                    Poll::Ready(Err(Fault::Ended)) => Poll::Ready(Ok(Woken::Received(ControlFlow::Break(())))),
                    Poll::Ready(Err(fault)) => Poll::Ready(Err(fault)),
                    Poll::Pending => Poll::Pending,
                }
            });
            match woken.await? {
                Woken::Answered => {
                    if self.answered()? {
                        return Ok(());
                    }
                }
                Woken::Received(ControlFlow::Break(())) if !self.received.ended() => return Err(Fault::Ended),
                Woken::Received(_) => {
                    self.read(&mut hear)?;
                    return Ok(());
                }
            }
        }
    }

    /// Makes a connection. Whoever stops waiting goes on with the same one the next time.
    async fn reopen(&mut self) -> Result<Link, Fault> {
        let opening = self.opening.get_or_insert_with(|| {
            let route = Arc::clone(&self.route);
            Box::pin(async move { route.open().await })
        });
        let link = opening.await;
        self.opening = None;
        link
    }

    /// Reads the answer to an xhr_send, and sends what waited for it. Whether it is whole, and there is a connection for the next.
    fn answered(&mut self) -> Result<bool, Fault> {
        let (Some(answer), Some(sending)) = (&mut self.answer, &mut self.sending) else { return Ok(true) };
        let mut body = Vec::new();
        let done = answer.read(sending.input(), &mut body)?;
        sending.consume(done);
        if let Some(status) = answer.status().filter(|status| *status != 204 && *status != 200) {
            return Err(Fault::Status { asked: "xhr_send", status });
        }
        if !answer.is_done() || answer.closes() {
            return Ok(false);
        }
        self.answer = None;
        self.flush()?;
        Ok(true)
    }

    fn read(&mut self, mut hear: impl FnMut(Said<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        // What was there before has no end of line in it, and is not looked at again: a line without end would be looked at for ever.
        let mut look = self.line.len();
        let done = self.received.read(self.receiving.input(), &mut self.line)?;
        self.receiving.consume(done);
        if let Some(status) = self.received.status().filter(|status| *status != 200) {
            return Err(Fault::Status { asked: "a receiving request", status });
        }
        let mut at = 0;
        while let Some(end) = memchr(b'\n', self.line.get(look..).unwrap_or_default()) {
            let line = self.line.get(at..look + end).unwrap_or_default();
            texts::tell(line, &mut self.unquoted, &mut hear)?;
            look += end + 1;
            at = look;
        }
        self.line.drain(..at);
        if self.line.len() > LARGEST {
            return Err(Fault::TooLarge("a SockJS frame"));
        }
        if self.received.is_done() && !self.line.is_empty() {
            return Err(Fault::garbage("no SockJS frame", &self.line));
        }
        // Nobody is to wait for what the session has said since.
        if self.received.is_done() && !self.received.closes() {
            self.ask()?;
        }
        Ok(())
    }
}

/// What a NUL is in JSON.
const NUL: &str = "\\u0000";

/// A text in quotation marks.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 16);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\0' => quoted.push_str(NUL),
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// Server and session as they stand in a URL; nobody else has this session.
fn session() -> String {
    format!("000/{}", Alphanumeric.sample_string(&mut rand::rng(), 16))
}

async fn handshake(link: &mut Link, route: &Route, path: &str, stomp: bool) -> Result<(), Fault> {
    let protocol = if stomp { "Sec-WebSocket-Protocol: v12.stomp\r\n" } else { "" };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{protocol}\r\n",
        route.authority
    );
    link.output().extend_from_slice(request.as_bytes());
    let mut answer = Answer::default();
    let mut body = Vec::new();
    let answered = async {
        loop {
            link.more().await?;
            let accepted = memchr::memmem::find(link.input(), ACCEPT.as_bytes()).is_some();
            let done = answer.read(link.input(), &mut body)?;
            link.consume(done);
            match answer.status() {
                Some(101) if accepted => return Ok(()),
                Some(101) => {
                    return Err(Fault::Garbage("a websocket handshake was answered with a wrong key".to_owned()));
                }
                Some(status) => return Err(Fault::Status { asked: "a websocket handshake", status }),
                None => {}
            }
        }
    };
    let answered = timeout(route.patience, answered).await;
    answered.map_err(|_| Fault::Silent { what: "the answer to a websocket handshake", patience: route.patience })?
}
