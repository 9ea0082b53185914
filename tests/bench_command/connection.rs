//! The server's side of HTTP/1 and of websockets, as much of them as these servers need. Giving up a read loses nothing.
//!
//! Does not know: SockJS, STOMP.

use std::io::{self, ErrorKind};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
const FIN: u8 = 0x80;

/// A connection of a client.
pub struct Connection {
    pub stream: TcpStream,
    buffer: BytesMut,
}

/// A request, whole.
pub struct Request {
    pub path: String,
    pub key: Option<String>,
    pub body: String,
}

impl Connection {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    async fn more(&mut self) -> io::Result<()> {
        // What comes in one piece is to be read in one.
        self.buffer.reserve(64 << 10);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// What comes next, whatever it is.
    pub async fn bytes(&mut self) -> io::Result<BytesMut> {
        if self.buffer.is_empty() {
            self.more().await?;
        }
        Ok(self.buffer.split())
    }

    /// The next request.
    pub async fn request(&mut self) -> io::Result<Request> {
        let end = loop {
            match self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.more().await?,
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let header = |name: &str| {
            let mut headers = head.lines().filter_map(|line| line.split_once(':'));
            headers.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
        };
        let length: usize = header("content-length").map_or(0, |length| length.parse().expect("a number"));
        while self.buffer.len() < end + length {
            self.more().await?;
        }
        self.buffer.advance(end);
        let body = String::from_utf8(self.buffer.split_to(length).to_vec()).expect("all is text");
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        Ok(Request { path, key: header("sec-websocket-key"), body })
    }

    /// Answers a request; the connection stays.
    pub async fn answer(&mut self, status: u16, body: &str) -> io::Result<()> {
        self.write(answer(status, body).as_bytes()).await
    }

    /// Turns into a websocket.
    pub async fn upgrade(&mut self, key: &str) -> io::Result<()> {
        let accept = derive_accept_key(key.as_bytes());
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
        self.write(format!("{head}Sec-WebSocket-Accept: {accept}\r\n\r\n").as_bytes()).await
    }

    /// The next text of a websocket, `None` when the client closes it. Clients of a load send neither pieces nor pings.
    pub async fn text(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some((opcode, payload)) = self.frame() {
                return match opcode {
                    TEXT => Ok(Some(String::from_utf8(payload).expect("all is text"))),
                    CLOSE => Ok(None),
                    _ => Err(ErrorKind::InvalidData.into()),
                };
            }
            self.more().await?;
        }
    }

    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let [first, second, ..] = self.buffer[..] else { return None };
        let (header, length) = match second & !FIN {
            126 => (4, u64::from(u16::from_be_bytes(self.buffer.get(2..4)?.try_into().ok()?))),
            127 => (10, u64::from_be_bytes(self.buffer.get(2..10)?.try_into().ok()?)),
            short => (2, u64::from(short)),
        };
        let length = usize::try_from(length).ok()?;
        if self.buffer.len() < header + 4 + length {
            return None;
        }
        self.buffer.advance(header);
        let mask = self.buffer.split_to(4);
        let payload = self.buffer.split_to(length);
        Some((first & 15, payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()))
    }
}

/// An answer as it is on the wire.
pub fn answer(status: u16, body: &str) -> String {
    let kind = if body.starts_with('<') { "text/html" } else { "application/javascript" };
    let length = body.len();
    let length = if status == 204 { String::new() } else { format!("Content-Length: {length}\r\n") };
    format!("HTTP/1.1 {status} Whatever\r\nContent-Type: {kind}; charset=UTF-8\r\n{length}\r\n{body}")
}

/// A whole frame as a server sends it.
pub fn framed(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![FIN | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..=125), _) => frame.push(short),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}
