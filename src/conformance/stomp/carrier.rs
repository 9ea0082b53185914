//! The ways in which STOMP is carried, each as a line that takes bytes and gives bytes: TCP, raw websockets, and SockJS.
//!
//! Does not know: STOMP frames.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::xhr::{self, Xhr};
use crate::wire::{Connection, Fault, Head, Limits, Load, Opcode, Request, Target, WebSocket, WebSocketFrame};

/// How STOMP is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// Bare TCP, or TLS.
    Tcp,
    /// A websocket whose messages are frames.
    WebSocket,
    /// A websocket with SockJS in it.
    SockJsWebSocket,
    /// SockJS's streaming.
    XhrStreaming,
    /// SockJS's polling.
    XhrPolling,
}

/// How bytes came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// In a stream, cut anywhere.
    Stream,
    /// As a message of text.
    Text,
    /// As a message of bytes.
    Binary,
}

/// What came.
#[derive(Debug, Clone)]
pub(super) enum Came {
    /// Bytes.
    Bytes(Kind, Bytes),
    /// The end, and how.
    End(String),
}

/// The subprotocols that a client of today offers.
pub(super) const OFFERED: [&str; 3] = ["v12.stomp", "v11.stomp", "v10.stomp"];

/// Where a line leads, and what it may cost.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub carrier: Carrier,
    pub target: &'a Target,
    /// The path of the websocket, or the prefix of the SockJS service.
    pub path: &'a str,
    pub load: &'a Load,
    pub limits: Limits,
}

/// An open line. Dropping it closes it.
pub(super) enum Line {
    Tcp(Box<Connection>),
    WebSocket(Box<Socket>),
    Xhr(Box<Xhr>),
}

/// A websocket whose messages are put together.
pub(super) struct Socket {
    pub socket: WebSocket,
    sockjs: bool,
    /// The beginning of a message whose rest has not come.
    begun: Option<(Kind, Vec<u8>)>,
    /// Messages of a SockJS frame that has several.
    waiting: VecDeque<Bytes>,
    pub pongs: usize,
}

impl Carrier {
    /// What it is called in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::WebSocket => "websocket",
            Self::SockJsWebSocket => "sockjs-websocket",
            Self::XhrStreaming => "xhr-streaming",
            Self::XhrPolling => "xhr-polling",
        }
    }

    /// Whether bodies of any bytes can pass.
    pub const fn takes_bytes(self) -> bool {
        matches!(self, Self::Tcp | Self::WebSocket)
    }

    /// How many connections one line takes.
    pub const fn connections(self) -> usize {
        match self {
            Self::Tcp | Self::WebSocket | Self::SockJsWebSocket => 1,
            Self::XhrStreaming | Self::XhrPolling => 2,
        }
    }
}

impl Way<'_> {
    /// Opens a line.
    ///
    /// # Errors
    ///
    /// Every [`Fault`]; an answer to a handshake that is none is garbage.
    pub async fn open(&self) -> Result<Line, Fault> {
        match self.carrier {
            Carrier::Tcp => {
                let connection = Connection::open(self.target, self.load, self.limits).await?;
                Ok(Line::Tcp(Box::new(connection)))
            }
            Carrier::WebSocket => match self.shake_hands(&OFFERED).await? {
                Ok((line, _)) => Ok(line),
                Err(head) => Err(refused(&head)),
            },
            Carrier::SockJsWebSocket => {
                let request = Request::websocket(format!("{}/{}/websocket", self.path, xhr::session()));
                let opened = WebSocket::open(self.target, self.load, self.limits, &request).await?;
                let (socket, _) = opened.map_err(|head| refused(&head))?;
                let mut line = Socket::new(socket, true);
                // The open frame: nothing may be sent before it.
                match line.raw(self.limits.patience).await? {
                    Ok((_, frame)) if frame == "o" => Ok(Line::WebSocket(Box::new(line))),
                    Ok((_, frame)) => {
                        let what = crate::wire::shown(&frame);
                        Err(Fault::Garbage(format!("{what} came where SockJS has an open frame")))
                    }
                    Err(how) => Err(Fault::Ended("the open frame of SockJS", how)),
                }
            }
            Carrier::XhrStreaming | Carrier::XhrPolling => Ok(Line::Xhr(Box::new(Xhr::open(self).await?))),
        }
    }

    /// Opens a raw websocket with these subprotocols offered, and gives the head of the answer beside it, or alone if it is a
    /// refusal.
    ///
    /// # Errors
    ///
    /// Every [`Fault`].
    pub async fn shake_hands(&self, offered: &[&str]) -> Result<Result<(Line, Head), Head>, Fault> {
        let mut request = Request::websocket(self.path);
        if !offered.is_empty() {
            request = request.header("Sec-WebSocket-Protocol", &offered.join(", "));
        }
        let opened = WebSocket::open(self.target, self.load, self.limits, &request).await?;
        Ok(opened.map(|(socket, head)| (Line::WebSocket(Box::new(Socket::new(socket, false))), head)))
    }
}

impl Line {
    /// Sends bytes: over whatever has messages as one of them, of text where they are UTF-8.
    ///
    /// # Errors
    ///
    /// Every [`Fault`].
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match self {
            Self::Tcp(connection) => connection.write(bytes).await,
            Self::WebSocket(line) if line.sockjs => line.socket.send(&WebSocketFrame::text(xhr::quoted(bytes)?)).await,
            Self::WebSocket(line) => {
                let payload = bytes.to_vec();
                let frame = match std::str::from_utf8(bytes) {
                    Ok(_) => WebSocketFrame::text(payload),
                    Err(_) => WebSocketFrame::binary(payload),
                };
                line.socket.send(&frame).await
            }
            Self::Xhr(line) => line.send(bytes).await,
        }
    }

    /// What comes next. Giving up loses nothing.
    ///
    /// # Errors
    ///
    /// Every [`Fault`].
    pub async fn receive(&mut self, patience: Duration) -> Result<Came, Fault> {
        match self {
            Self::Tcp(connection) => {
                connection.set_patience(patience);
                Ok(match connection.read().await {
                    Ok(bytes) if bytes.is_empty() => Came::End("the server ended its direction".to_owned()),
                    Ok(bytes) => Came::Bytes(Kind::Stream, bytes),
                    Err(Fault::Ended(_, how)) => Came::End(how),
                    Err(fault) => return Err(fault),
                })
            }
            Self::WebSocket(line) => line.receive(patience).await,
            Self::Xhr(line) => line.receive(patience).await,
        }
    }

    /// Ends our direction, or says that it is over in the way of the carrier.
    pub async fn finish(&mut self) {
        // It may have ended already, and then there is nothing to say.
        match self {
            Self::Tcp(connection) => drop(connection.half_close().await),
            Self::WebSocket(line) => drop(line.socket.send(&WebSocketFrame::close(1000)).await),
            Self::Xhr(_) => {}
        }
    }

    /// The websocket, if it is one.
    pub fn socket(&mut self) -> Option<&mut Socket> {
        match self {
            Self::WebSocket(line) => Some(line),
            _ => None,
        }
    }
}

impl Socket {
    fn new(socket: WebSocket, sockjs: bool) -> Self {
        Self { socket, sockjs, begun: None, waiting: VecDeque::new(), pongs: 0 }
    }

    async fn receive(&mut self, patience: Duration) -> Result<Came, Fault> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(Came::Bytes(Kind::Text, message));
            }
            let (kind, message) = match self.raw(patience).await? {
                Ok(message) => message,
                Err(how) => return Ok(Came::End(how)),
            };
            if !self.sockjs {
                return Ok(Came::Bytes(kind, message));
            }
            match xhr::frame(&message)? {
                xhr::SockJs::Messages(messages) => self.waiting.extend(messages),
                xhr::SockJs::Close(how) => return Ok(Came::End(how)),
                xhr::SockJs::Open | xhr::SockJs::Beat => {}
            }
        }
    }

    /// The next message, or how it ended.
    async fn raw(&mut self, patience: Duration) -> Result<Result<(Kind, Bytes), String>, Fault> {
        self.socket.connection().set_patience(patience);
        loop {
            let frame = match self.socket.frame().await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(Err("the connection ended without a close frame".to_owned())),
                Err(fault) => return Err(fault),
            };
            let (kind, mut message) = match frame.opcode {
                Opcode::Close => return Ok(Err(frame.closing().to_string())),
                Opcode::Ping => {
                    self.socket.send(&WebSocketFrame::control(Opcode::Pong, frame.payload)).await?;
                    continue;
                }
                Opcode::Pong => {
                    self.pongs += 1;
                    continue;
                }
                Opcode::Text => (Kind::Text, Vec::new()),
                Opcode::Binary => (Kind::Binary, Vec::new()),
                Opcode::Continuation | Opcode::Reserved(_) => self.begun.take().unwrap_or((Kind::Binary, Vec::new())),
            };
            message.extend_from_slice(&frame.payload);
            let most = self.socket.connection().limits().body;
            if message.len() > most {
                return Err(Fault::Endless(most));
            }
            match frame.last {
                true => return Ok(Ok((kind, message.into()))),
                false => self.begun = Some((kind, message)),
            }
        }
    }
}

/// What an answer means that is no handshake.
fn refused(head: &Head) -> Fault {
    let answer = format!("{} {}", head.status, head.reason);
    Fault::Garbage(format!("the handshake of the websocket was answered with {}", answer.trim()))
}
