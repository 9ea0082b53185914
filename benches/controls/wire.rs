//! STOMP as the controls read and write it, over a raw websocket or over TCP, whichever a client begins with. Only what
//! `towpath bench` says is understood: no body has a NUL in it, and no header is escaped.
//!
//! Does not know: what the frames ask for.

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::support::Outcome;

/// Room for what one read brings.
const READ: usize = 4096;

/// What STOMP is carried by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Websocket,
    Tcp,
}

impl Carrier {
    /// The bytes on the wire of a server's STOMP frame, which has its NUL already.
    pub fn wrap(self, frame: &[u8]) -> Bytes {
        let mut bytes = Vec::with_capacity(10 + frame.len());
        if self == Self::Websocket {
            bytes.push(0x81);
            match (u8::try_from(frame.len()), u16::try_from(frame.len())) {
                (Ok(short), _) if short < 126 => bytes.push(short),
                (_, Ok(medium)) => {
                    bytes.push(126);
                    bytes.extend_from_slice(&medium.to_be_bytes());
                }
                _ => {
                    bytes.push(127);
                    bytes.extend_from_slice(&(frame.len() as u64).to_be_bytes());
                }
            }
        }
        bytes.extend_from_slice(frame);
        bytes.into()
    }
}

/// What a client sends, frame by frame.
pub struct Input {
    pub carrier: Carrier,
    read: OwnedReadHalf,
    /// Websocket frames that are not whole yet.
    raw: BytesMut,
    /// STOMP that was not asked for yet.
    text: BytesMut,
}

impl Input {
    /// Finds out what a client speaks, and answers its websocket handshake if it makes one.
    pub async fn accept(mut stream: TcpStream) -> Outcome<(Self, OwnedWriteHalf)> {
        let mut begin = BytesMut::with_capacity(READ);
        stream.read_buf(&mut begin).await?;
        let mut carrier = Carrier::Tcp;
        if begin.starts_with(b"G") {
            carrier = Carrier::Websocket;
            let end = loop {
                match memchr::memmem::find(&begin, b"\r\n\r\n") {
                    Some(end) => break end + 4,
                    None if stream.read_buf(&mut begin).await? == 0 => return Err("half a handshake".into()),
                    None => {}
                }
            };
            stream.write_all(switch(std::str::from_utf8(&begin.split_to(end))?)?.as_bytes()).await?;
        }
        let (raw, text) = match carrier {
            Carrier::Websocket => (begin, BytesMut::new()),
            Carrier::Tcp => (BytesMut::new(), begin),
        };
        let (read, write) = stream.into_split();
        Ok((Self { carrier, read, raw, text }, write))
    }

    /// The next frame without its NUL; `None` when the client is gone.
    pub async fn frame(&mut self) -> Outcome<Option<Bytes>> {
        loop {
            while self.text.first() == Some(&b'\n') {
                self.text.advance(1);
            }
            if let Some(end) = memchr::memchr(0, &self.text) {
                let frame = self.text.split_to(end).freeze();
                self.text.advance(1);
                return Ok(Some(frame));
            }
            if self.carrier == Carrier::Websocket {
                match unwrap(&mut self.raw, &mut self.text) {
                    Unwrapped::Text => continue,
                    Unwrapped::Close => return Ok(None),
                    Unwrapped::Nothing => {}
                }
            }
            let into = if self.carrier == Carrier::Websocket { &mut self.raw } else { &mut self.text };
            into.reserve(READ);
            if self.read.read_buf(into).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// The answer to a websocket handshake.
fn switch(request: &str) -> Outcome<String> {
    let header = |wanted: &str| {
        request.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    let key = header("sec-websocket-key").ok_or("a handshake without a key")?;
    let accept = derive_accept_key(key.as_bytes());
    let offered = header("sec-websocket-protocol").and_then(|list| list.split(',').next());
    let protocol = offered.map(|name| format!("Sec-WebSocket-Protocol: {}\r\n", name.trim())).unwrap_or_default();
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    ))
}

enum Unwrapped {
    Text,
    Close,
    Nothing,
}

/// Moves the payloads of all whole websocket frames to the text.
fn unwrap(raw: &mut BytesMut, text: &mut BytesMut) -> Unwrapped {
    let mut found = Unwrapped::Nothing;
    while let Some((opcode, header, size)) = measured(raw) {
        if raw.len() < header + size {
            break;
        }
        let mask: [u8; 4] = std::array::from_fn(|at| raw[header - 4 + at]);
        raw.advance(header);
        let payload = raw.split_to(size);
        match opcode {
            0..=2 => {
                text.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
                found = Unwrapped::Text;
            }
            8 if matches!(found, Unwrapped::Nothing) => return Unwrapped::Close,
            _ => {}
        }
    }
    found
}

/// The opcode of the first frame, the length of its header and that of its payload. Clients mask.
fn measured(raw: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, second) = (*raw.first()?, *raw.get(1)? & 0x7f);
    let (header, size) = match second {
        126 => (8, u16::from_be_bytes(raw.get(2..4)?.try_into().ok()?).into()),
        127 => (14, u64::from_be_bytes(raw.get(2..10)?.try_into().ok()?) as usize),
        small => (6, small.into()),
    };
    Some((first & 0x0f, header, size))
}

/// The value of a frame's header.
pub fn header<'a>(frame: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = frame.split(|byte| *byte == b'\n').skip(1).take_while(|line| !line.is_empty());
    let value = lines.filter_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b":")).next()?;
    std::str::from_utf8(value).ok()
}

/// What stands behind a frame's headers.
pub fn body(frame: &[u8]) -> &[u8] {
    memchr::memmem::find(frame, b"\n\n").map_or(&[], |end| &frame[end + 2..])
}

/// What any STOMP client must be answered, whatever else its frame does: CONNECTED, or the receipt that it asked for.
pub fn answer(frame: &[u8]) -> Option<String> {
    if frame.starts_with(b"CONNECT") || frame.starts_with(b"STOMP") {
        return Some("CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0".to_owned());
    }
    header(frame, "receipt").map(|receipt| format!("RECEIPT\nreceipt-id:{receipt}\n\n\0"))
}
