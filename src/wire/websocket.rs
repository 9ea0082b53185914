//! A websocket, frame by frame (RFC 6455): what is sent may be wrong in any way, and what comes is shown as it was framed.
//!
//! Does not know: what the messages mean. A ping is not answered by itself, and neither is a close.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use tokio::task::coop::consume_budget;

use super::{Connection, Fault, Head, Limits, Load, Request, Target};

/// What a frame is for (RFC 6455, section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// The rest of a message.
    Continuation,
    /// A message of text.
    Text,
    /// A message of bytes.
    Binary,
    /// The end of the conversation.
    Close,
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
    /// One of those that mean nothing yet.
    Reserved(u8),
}

/// A frame.
#[derive(Clone, PartialEq, Eq)]
pub struct WebSocketFrame {
    /// Whether it is the last of its message.
    pub last: bool,
    /// What it is for.
    pub opcode: Opcode,
    /// What is in it.
    pub payload: Bytes,
}

/// How a websocket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closing {
    /// With a close frame: its code, if it had one, and its reason.
    Frame(Option<u16>, String),
    /// The connection ended without one.
    Dropped,
}

/// An open websocket.
pub struct WebSocket {
    connection: Connection,
    received: Vec<u8>,
}

impl Opcode {
    const fn code(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
            Self::Reserved(code) => code & 15,
        }
    }

    const fn of(code: u8) -> Self {
        match code & 15 {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            code => Self::Reserved(code),
        }
    }
}

impl WebSocketFrame {
    /// A message of text in one frame.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self { last: true, opcode: Opcode::Text, payload: text.into() }
    }

    /// A message of bytes in one frame.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self { last: true, opcode: Opcode::Binary, payload: bytes.into() }
    }

    /// Any frame that ends its message.
    pub fn control(opcode: Opcode, payload: impl Into<Bytes>) -> Self {
        Self { last: true, opcode, payload: payload.into() }
    }

    /// A close frame with a code.
    pub fn close(code: u16) -> Self {
        Self::control(Opcode::Close, code.to_be_bytes().to_vec())
    }

    /// The bytes of it as a client sends it. The mask is always the same, so that a dump can be read and repeated; it protects
    /// proxies from pages, and there is no page here.
    pub fn encode(&self) -> Vec<u8> {
        const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
        let length = self.payload.len();
        let mut bytes = vec![u8::from(self.last) << 7 | self.opcode.code()];
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(length @ 0..=125), _) => bytes.push(0x80 | length),
            (_, Ok(length)) => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&length.to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&MASK);
        bytes.extend(self.payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// The code and the reason of a close frame.
    pub fn closing(&self) -> Closing {
        match self.payload.split_first_chunk() {
            Some((code, reason)) => {
                Closing::Frame(Some(u16::from_be_bytes(*code)), String::from_utf8_lossy(reason).into_owned())
            }
            None => Closing::Frame(None, String::new()),
        }
    }
}

impl fmt::Debug for WebSocketFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.last { "" } else { ", to be continued" };
        write!(f, "{:?} {}{more}", self.opcode, super::shown(&self.payload))
    }
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(Some(code), reason) => write!(f, "a close frame with {code} {reason:?}"),
            Self::Frame(None, _) => f.write_str("a close frame without a code"),
            Self::Dropped => f.write_str("the end of the connection, without a close frame"),
        }
    }
}

impl WebSocket {
    /// Connects and shakes hands with that request, such as [`Request::websocket`]. What the server answers instead of 101, or
    /// that its 101 is wrong, is `Err` in the `Ok`: it is an answer all the same.
    ///
    /// # Errors
    ///
    /// Every [`Fault`].
    pub async fn open(
        target: &Target,
        load: &Load,
        limits: Limits,
        request: &Request,
    ) -> Result<Result<(Self, Head), Head>, Fault> {
        let mut connection = Connection::open(target, load, limits).await?;
        let head = connection.begin(request, target).await?;
        let right = head.status == 101
            && head.has_token("Upgrade", "websocket")
            && head.has_token("Connection", "upgrade")
            && head.header("Sec-WebSocket-Accept") == Some(Request::WEBSOCKET_ACCEPT);
        Ok(if right { Ok((Self { connection, received: Vec::new() }, head)) } else { Err(head) })
    }

    /// The connection below.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Writes a frame.
    ///
    /// # Errors
    ///
    /// [`Fault::Ended`] or [`Fault::Late`].
    pub async fn send(&mut self, frame: &WebSocketFrame) -> Result<(), Fault> {
        self.connection.write(&frame.encode()).await
    }

    /// The next frame, `None` at the end of the connection.
    ///
    /// # Errors
    ///
    /// Every [`Fault`].
    pub async fn frame(&mut self) -> Result<Option<WebSocketFrame>, Fault> {
        // Where a thousand frames come in one read, whoever bounds the time of it all is to have his turn.
        consume_budget().await;
        loop {
            if let Some(frame) = self.parse()? {
                return Ok(Some(frame));
            }
            let bytes = match self.connection.read().await {
                Ok(bytes) if bytes.is_empty() => return self.end(),
                // A reset ends a connection as well.
                Err(Fault::Ended(..)) => return self.end(),
                bytes => bytes?,
            };
            self.received.extend_from_slice(&bytes);
        }
    }

    /// The next message that is not a control frame, or how it all ended; pings are answered. Pieces are put together. It may take
    /// three times the patience and no longer: a server that sends pings or pieces now and then would be read for ever.
    ///
    /// # Errors
    ///
    /// Every [`Fault`].
    pub async fn message(&mut self) -> Result<Result<Bytes, Closing>, Fault> {
        let (started, mut message) = (Instant::now(), Vec::new());
        let most = self.connection.limits().patience.saturating_mul(3);
        while let Some(frame) = self.frame().await? {
            if started.elapsed() > most {
                return Err(Fault::Late("whole message", most));
            }
            match frame.opcode {
                Opcode::Close => return Ok(Err(frame.closing())),
                Opcode::Ping => self.send(&WebSocketFrame::control(Opcode::Pong, frame.payload)).await?,
                Opcode::Pong => {}
                _ => {
                    message.extend_from_slice(&frame.payload);
                    if message.len() > self.connection.limits().body {
                        return Err(Fault::Endless(self.connection.limits().body));
                    }
                    if frame.last {
                        return Ok(Ok(message.into()));
                    }
                }
            }
        }
        Ok(Err(Closing::Dropped))
    }

    fn end(&self) -> Result<Option<WebSocketFrame>, Fault> {
        match self.received.is_empty() {
            true => Ok(None),
            false => Err(Fault::Ended("a frame was complete", "end of stream".to_owned())),
        }
    }

    fn parse(&mut self) -> Result<Option<WebSocketFrame>, Fault> {
        let Some((&[first, second], rest)) = self.received.split_first_chunk() else { return Ok(None) };
        if second & 0x80 != 0 {
            return Err(Fault::Garbage("a frame of the server is masked".to_owned()));
        }
        if first & 0x70 != 0 {
            return Err(Fault::Garbage("a frame has reserved bits set, and no extension was agreed on".to_owned()));
        }
        let (length, header) = match second & 0x7f {
            126 => match rest.first_chunk() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(length) => (u64::from_be_bytes(*length), 10),
                None => return Ok(None),
            },
            length => (u64::from(length), 2),
        };
        let most = self.connection.limits().body;
        let Some(length) = usize::try_from(length).ok().filter(|length| *length <= most) else {
            return Err(Fault::Endless(most));
        };
        let Some(payload) = self.received.get(header..header + length) else { return Ok(None) };
        let payload = Bytes::copy_from_slice(payload);
        self.received.drain(..header + length);
        Ok(Some(WebSocketFrame { last: first & 0x80 != 0, opcode: Opcode::of(first), payload }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_masked_and_say_their_length_in_three_ways() {
        // The example of RFC 6455, section 5.7.
        let hello = WebSocketFrame::text("Hello").encode();
        assert_eq!(hello, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        assert_eq!(WebSocketFrame::binary(vec![0; 126]).encode()[..4], [0x82, 0xfe, 0, 126]);
        assert_eq!(WebSocketFrame::binary(vec![0; 65536]).encode()[..10], [0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]);
        let unfinished = WebSocketFrame { last: false, ..WebSocketFrame::text("") };
        assert_eq!(unfinished.encode()[..2], [0x01, 0x80]);
    }

    #[test]
    fn a_close_frame_has_a_code_and_a_reason() {
        let frame = WebSocketFrame::control(Opcode::Close, &b"\x0b\xb8Go away!"[..]);
        assert_eq!(frame.closing(), Closing::Frame(Some(3000), "Go away!".to_owned()));
        assert_eq!(WebSocketFrame::control(Opcode::Close, "").closing(), Closing::Frame(None, String::new()));
    }
}
