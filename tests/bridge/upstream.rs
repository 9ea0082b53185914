//! The servers behind the bridges of these tests: an ordinary websocket server that does what its clients tell it, and some
//! that are none.
//!
//! Does not know: SockJS, or the gateway.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderMap;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};

use super::support::within;

const PATIENCE: Duration = Duration::from_secs(20);

/// What the server saw.
#[derive(Debug)]
pub enum Event {
    /// A handshake, with its path and query and its headers.
    Opened(String, HeaderMap),
    /// A message that is no order.
    Got(Message),
    /// The end of a connection, with the client's close frame if there was one.
    Ended(Option<(u16, String)>),
}

/// A websocket server. Messages come back as they are, except for orders, see [`obey`], and the bytes `text`, which come back as
/// text.
pub struct Upstream {
    pub address: SocketAddr,
    events: mpsc::UnboundedReceiver<Event>,
    /// Lets a connection go on that was told to `stop`.
    pub go_on: Arc<Notify>,
    /// Messages that were sent and received by all connections.
    pub sent: Arc<AtomicUsize>,
    pub received: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    tell: mpsc::UnboundedSender<Event>,
    go_on: Arc<Notify>,
    sent: Arc<AtomicUsize>,
    received: Arc<AtomicUsize>,
    /// The subprotocol that it chooses whatever is offered.
    subprotocol: Option<&'static str>,
}

impl Upstream {
    pub async fn start() -> Self {
        Self::on(listen(None), None)
    }

    /// One for which the system buffers little.
    pub async fn narrow() -> Self {
        Self::on(listen(Some(64 * 1024)), None)
    }

    pub async fn choosing(subprotocol: Option<&'static str>) -> Self {
        Self::on(listen(None), subprotocol)
    }

    fn on((listener, address): (TcpListener, SocketAddr), subprotocol: Option<&'static str>) -> Self {
        let (tell, events) = mpsc::unbounded_channel();
        let (go_on, sent, received) = (Arc::<Notify>::default(), Arc::<AtomicUsize>::default(), Arc::default());
        let shared = Shared {
            tell,
            go_on: Arc::clone(&go_on),
            sent: Arc::clone(&sent),
            received: Arc::clone(&received),
            subprotocol,
        };
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Self { address, events, go_on, sent, received, accepting }
    }

    pub fn url(&self) -> String {
        format!("ws://{}/chat", self.address)
    }

    pub async fn event(&mut self) -> Event {
        within(PATIENCE, "an event of the upstream", self.events.recv()).await.expect("it runs")
    }

    /// The next handshake.
    pub async fn opened(&mut self) -> (String, HeaderMap) {
        match self.event().await {
            Event::Opened(resource, headers) => (resource, headers),
            other => panic!("a handshake was due, not {other:?}"),
        }
    }

    /// The end that has come already, whatever came before it.
    pub fn ended_already(&mut self) -> Option<(u16, String)> {
        loop {
            if let Event::Ended(close) = self.events.try_recv().expect("it has ended") {
                return close;
            }
        }
    }

    /// The end that follows, whatever comes before it.
    pub async fn ended(&mut self) -> Option<(u16, String)> {
        loop {
            if let Event::Ended(close) = self.event().await {
                return close;
            }
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[allow(clippy::result_large_err, reason = "the library's own callback type")]
async fn serve(stream: TcpStream, shared: Shared) {
    let mut seen = None;
    let callback = |request: &Request, mut response: Response| {
        let resource = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        seen = Some(Event::Opened(resource, request.headers().clone()));
        if let Some(chosen) = shared.subprotocol {
            response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(chosen));
        }
        Ok(response)
    };
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, callback, Some(config)).await;
    let Ok(mut socket) = accepted else { return };
    let _ = shared.tell.send(seen.expect("the handshake was read"));
    let close = converse(&mut socket, &shared).await;
    let _ = shared.tell.send(Event::Ended(close));
}

async fn converse(socket: &mut WebSocketStream<TcpStream>, shared: &Shared) -> Option<(u16, String)> {
    let mut told = None;
    while let Some(packet) = socket.next().await {
        match packet {
            Ok(Message::Close(frame)) => told = frame.map(|frame| (frame.code.into(), frame.reason.to_string())),
            Ok(Message::Text(text)) => {
                shared.received.fetch_add(1, Ordering::SeqCst);
                obey(socket, text.as_str(), shared).await?;
            }
            Ok(Message::Binary(bytes)) => {
                let _ = shared.tell.send(Event::Got(Message::Binary(bytes.clone())));
                let answer = if bytes == b"text"[..] { Message::text("text") } else { Message::Binary(bytes) };
                socket.send(answer).await.ok()?;
            }
            Ok(Message::Pong(bytes)) => drop(shared.tell.send(Event::Got(Message::Pong(bytes)))),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    told
}

/// | order | what it does |
/// |---|---|
/// | `close 4000 why` | closes with that code and reason; `close` without |
/// | `burst N SIZE` | sends N messages, numbered, filled up to that size |
/// | `bytes` | sends five bytes that are no text |
/// | `stop` | reads nothing until the test says so |
/// | `swallow TEXT` | reports the message and answers nothing |
/// | `ping` | pings |
/// | `reset` | drops the connection without a word |
/// | `raw HEX` | writes these bytes below the websocket layer |
/// | `hang` | never reads again |
/// | anything else | comes back |
async fn obey(socket: &mut WebSocketStream<TcpStream>, text: &str, shared: &Shared) -> Option<()> {
    let mut words = text.splitn(3, ' ');
    let (order, first, second) = (words.next().unwrap_or_default(), words.next(), words.next());
    match (order, first) {
        ("close", None) => socket.close(None).await.ok(),
        ("close", Some(code)) => {
            let code: u16 = code.parse().expect("a code");
            let reason = second.unwrap_or_default().to_owned().into();
            socket.close(Some(CloseFrame { code: code.into(), reason })).await.ok()
        }
        ("burst", Some(count)) => {
            let size = second.map_or(0, |size| size.parse().expect("a size"));
            for n in 0..count.parse::<usize>().expect("a count") {
                socket.send(Message::text(numbered(n, size))).await.ok()?;
                shared.sent.fetch_add(1, Ordering::SeqCst);
            }
            Some(())
        }
        ("bytes", None) => socket.send(Message::binary(&b"\0\xff\xfe\x80!"[..])).await.ok(),
        ("stop", None) => {
            shared.go_on.notified().await;
            Some(())
        }
        ("swallow", Some(_)) => shared.tell.send(Event::Got(Message::text(text))).ok(),
        ("ping", None) => socket.send(Message::Ping(b"lively"[..].into())).await.ok(),
        ("reset", None) => {
            socket.get_mut().set_zero_linger().expect("it is open");
            None
        }
        ("raw", Some(hex)) => {
            let bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).expect("hexadecimal"))
                .collect();
            socket.get_mut().write_all(&bytes).await.ok()
        }
        ("hang", None) => std::future::pending().await,
        _ => socket.send(Message::text(text)).await.ok(),
    }
}

/// The message of that number, of at least that many bytes.
pub fn numbered(n: usize, size: usize) -> String {
    format!("{n:<size$}")
}

/// A port on which nobody listens.
pub async fn nobody() -> SocketAddr {
    listen(None).1
}

/// A server that reads a request's head and answers with these bytes. Without any it stays silent.
pub async fn answering(answer: Option<&'static str>) -> SocketAddr {
    let (listener, address) = listen(None);
    tokio::spawn(async move {
        let mut silent = vec![];
        while let Ok((mut stream, _)) = listener.accept().await {
            read_head(&mut stream).await;
            let Some(answer) = answer else {
                silent.push(stream);
                continue;
            };
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

/// Reads the head of a request.
pub async fn read_head(stream: &mut TcpStream) {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
}

/// A port of its own, and its address.
pub fn listen(buffer: Option<u32>) -> (TcpListener, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("the system has sockets");
    if let Some(bytes) = buffer {
        socket
            .set_recv_buffer_size(bytes)
            .and_then(|()| socket.set_send_buffer_size(bytes))
            .expect("a socket's buffers");
    }
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("the system has a free port");
    let listener = socket.listen(1024).expect("it is bound");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}
