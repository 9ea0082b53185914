//! The client side of the wire, as lean as it can be so that the load does not cost more than the server: one TCP
//! connection with a read buffer, on which websocket messages, responses and chunks are counted where they lie.
//!
//! Does not know: scenarios, or the project's own codecs; what it checks, it checks against bytes that it made itself.

use std::net::SocketAddr;

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Outcome;

/// The mask of every frame that we send. Any will do for a server; that it is not zero makes the server do its work.
const MASK: [u8; 4] = [0x5a, 0x17, 0xc3, 0x68];

/// One connection.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    input: BytesMut,
}

impl Link {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: BytesMut::new() })
    }

    /// Connects and makes it a websocket.
    pub async fn websocket(address: SocketAddr, path: &str) -> Outcome<Self> {
        let mut link = Self::open(address).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        link.send(request.as_bytes()).await?;
        match link.head().await? {
            Head { status: 101, .. } => Ok(link),
            other => Err(format!("{path} answered {} to a websocket handshake", other.status).into()),
        }
    }

    /// Writes all of it.
    pub async fn send(&mut self, bytes: &[u8]) -> Outcome<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Reads what is there, at least one byte.
    pub async fn fill(&mut self) -> Outcome<()> {
        self.input.reserve(4096);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err("the server closed a connection".into()),
            _ => Ok(()),
        }
    }

    /// Waits for a single byte, the answer of a control.
    pub async fn byte(&mut self) -> Outcome<u8> {
        while self.input.is_empty() {
            self.fill().await?;
        }
        Ok(self.input.get_u8())
    }

    /// Waits for at least one websocket message, shows the payload of each that has come to `count`, and returns the sum
    /// of what that gave.
    pub async fn packets(&mut self, mut count: impl FnMut(&[u8]) -> Outcome<usize>) -> Outcome<usize> {
        let mut sum = 0;
        let mut seen = false;
        loop {
            while let Some(packet) = packet(&self.input) {
                match packet.opcode {
                    1 | 2 => {
                        sum += count(packet.payload)?;
                        seen = true;
                    }
                    8 => return Err("the server closed a websocket".into()),
                    _ => {}
                }
                let length = packet.length;
                self.input.advance(length);
            }
            if seen {
                return Ok(sum);
            }
            self.fill().await?;
        }
    }

    /// Waits for at least one STOMP frame as it stands in a TCP stream, and does as [`packets`](Self::packets) does with each;
    /// its NUL is not shown. Bodies hold none themselves here.
    pub async fn frames(&mut self, mut count: impl FnMut(&[u8]) -> Outcome<usize>) -> Outcome<usize> {
        let mut sum = 0;
        let mut seen = false;
        loop {
            while let Some(end) = memchr::memchr(0, &self.input) {
                sum += count(self.input[..end].trim_ascii_start())?;
                seen = true;
                self.input.advance(end + 1);
            }
            if seen {
                return Ok(sum);
            }
            self.fill().await?;
        }
    }

    /// Sends a STOMP frame and waits for one that begins with `answer`, which must come next; gives it.
    pub async fn ask(&mut self, frame: &str, answer: &str) -> Outcome<String> {
        self.send(frame.as_bytes()).await?;
        let mut answered = None;
        self.frames(|frame| {
            let frame = String::from_utf8_lossy(frame);
            if answered.is_some() || !frame.starts_with(answer) {
                return Err(format!("{answer} was expected, not {frame:?}").into());
            }
            answered = Some(frame.into_owned());
            Ok(1)
        })
        .await?;
        answered.ok_or_else(|| "no answer".into())
    }

    /// Waits for one websocket message that has `part` in it, first of all.
    pub async fn expect(&mut self, part: &str) -> Outcome<()> {
        let found = |payload: &[u8]| match memmem::find(payload, part.as_bytes()) {
            Some(_) => Ok(1),
            None => Err(format!("{part:?} was expected, not {:?}", String::from_utf8_lossy(payload)).into()),
        };
        self.packets(found).await.map(|_| ())
    }

    /// The head of a response.
    pub async fn head(&mut self) -> Outcome<Head> {
        let end = loop {
            match memmem::find(&self.input, b"\r\n\r\n") {
                Some(end) => break end,
                None => self.fill().await?,
            }
        };
        let head = self.input.split_to(end + 4);
        let text = std::str::from_utf8(&head)?;
        let status = text.split(' ').nth(1).ok_or("a response without a status")?.parse()?;
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            if name.eq_ignore_ascii_case("content-length") { value.trim().parse().ok() } else { None }
        });
        Ok(Head { status, length })
    }

    /// A whole response with a length: its status and body.
    pub async fn response(&mut self) -> Outcome<(u16, Bytes)> {
        let Head { status, length } = self.head().await?;
        let length = length.unwrap_or(0);
        while self.input.len() < length {
            self.fill().await?;
        }
        Ok((status, self.input.split_to(length).freeze()))
    }

    /// The next chunk of a response without a length; `None` at its end.
    pub async fn chunk(&mut self) -> Outcome<Option<Bytes>> {
        let line = loop {
            match memmem::find(&self.input, b"\r\n") {
                Some(line) => break line,
                None => self.fill().await?,
            }
        };
        let size = usize::from_str_radix(std::str::from_utf8(&self.input[..line])?, 16)?;
        while self.input.len() < line + 2 + size + 2 {
            self.fill().await?;
        }
        self.input.advance(line + 2);
        let chunk = self.input.split_to(size).freeze();
        self.input.advance(2);
        Ok((size > 0).then_some(chunk))
    }
}

/// What we need to know of a response's head.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// The length of the body, where the head says it.
    pub length: Option<usize>,
}

struct Packet<'a> {
    opcode: u8,
    payload: &'a [u8],
    /// Bytes with the header.
    length: usize,
}

/// The websocket frame at the beginning of the input, if it is whole. Servers do not mask.
fn packet(input: &[u8]) -> Option<Packet<'_>> {
    let (first, second) = (*input.first()?, *input.get(1)?);
    let (header, size) = match second {
        126 => (4, u16::from_be_bytes(input.get(2..4)?.try_into().ok()?).into()),
        127 => (10, u64::from_be_bytes(input.get(2..10)?.try_into().ok()?) as usize),
        small => (2, small.into()),
    };
    let payload = input.get(header..header + size)?;
    Some(Packet { opcode: first & 0x0f, payload, length: header + size })
}

/// A text message as a client's websocket frame.
pub fn masked(text: &str) -> Vec<u8> {
    let mut frame = header(text.len(), 0x80);
    frame.extend_from_slice(&MASK);
    frame.extend(text.bytes().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A text message as a server's websocket frame.
pub fn unmasked(text: &str) -> Vec<u8> {
    let mut frame = header(text.len(), 0);
    frame.extend_from_slice(text.as_bytes());
    frame
}

fn header(length: usize, mask: u8) -> Vec<u8> {
    let mut frame = vec![0x81];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => frame.push(mask | short),
        (_, Ok(medium)) => {
            frame.push(mask | 126);
            frame.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            frame.push(mask | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame
}

/// A POST as a browser would send it, without the headers that no server here looks at.
pub fn post(address: SocketAddr, path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
