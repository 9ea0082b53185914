//! Websockets: handshake, frames, and the sessions that live in them.
//!
//! Does not know: the transports over HTTP.

use std::io::{ErrorKind, Result};
use std::sync::Arc;

use serde_json::Value;
use tokio::time::{Instant, interval_at};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::defects::{Defect, Defects};
use super::http::{Answer, Connection, Request};
use super::pages::{method_not_allowed, uncached};
use super::server::{Server, Service};
use super::session::{Behaviour, Session};
use super::text::messages;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const PROTOCOL_ERROR: u16 = 1002;
const INVALID_TEXT: u16 = 1007;

/// A frame, unmasked.
struct Frame {
    last: bool,
    opcode: u8,
    payload: Vec<u8>,
}

/// Why a websocket ends before its session: the code of the close frame.
struct Broken(u16);

/// Serves a websocket: a session of this name, or a raw one. False if the request was answered with anything but 101.
pub async fn upgrade(
    server: &Arc<Server>,
    service: &Service,
    name: Option<&str>,
    connection: &mut Connection,
    request: &Request,
) -> Result<bool> {
    let defects = server.defects;
    let key = match accepted(service, request, defects) {
        Ok(key) => key,
        Err(answer) => {
            connection.answer(request, uncached(answer, defects)).await?;
            return Ok(false);
        }
    };
    let shared = name.filter(|_| defects.has(Defect::SocketIdsShared));
    if let Some(name) = shared {
        let is_new = server.sockets.lock().is_ok_and(|mut sockets| sockets.insert(name.to_owned()));
        if !is_new {
            connection.answer(request, Answer::text(400, "this websocket is open already\n")).await?;
            return Ok(false);
        }
    }
    let accept = if defects.has(Defect::AcceptWrong) { key.clone() } else { derive_accept_key(key.as_bytes()) };
    let length = if defects.has(Defect::UpgradeWithLength) { "Content-Length: 0\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{length}\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    let mut socket = Socket { connection, defects, begun: None };
    socket.connection.write(head.as_bytes()).await?;
    let session = Session::new(name.unwrap_or_default(), service.behaviour, None, defects);
    if defects.has(Defect::WebsocketRegistered) {
        server.sessions.add(session.clone());
    }
    let result = match name {
        Some(_) => socket.serve(server, &session).await,
        None => socket.serve_raw(service.behaviour).await,
    };
    server.sessions.end(&session);
    if let Some(name) = shared {
        let _ = server.sockets.lock().map(|mut sockets| sockets.remove(name));
    }
    if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset) && defects.has(Defect::ResetEnds)
    {
        server.crash();
    }
    result.map(|()| true)
}

/// The key of a handshake, or the answer to what is none.
fn accepted(service: &Service, request: &Request, defects: Defects) -> std::result::Result<String, Answer> {
    if !service.websocket && !defects.has(Defect::DisabledUpgraded) {
        return Err(Answer::text(404, "no websockets here\n"));
    }
    if request.method != "GET" {
        let bad = defects.has(Defect::PostRefused);
        return Err(if bad { Answer::empty(400) } else { method_not_allowed("GET", defects) });
    }
    if request.header("upgrade").is_none() && defects.has(Defect::PlainGetNotFound) {
        return Err(Answer::text(404, ""));
    }
    let connection = if defects.has(Defect::ConnectionAsWhole) {
        request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade"))
    } else {
        request.lists("connection", "upgrade") || defects.has(Defect::ConnectionIgnored)
    };
    if !connection && defects.has(Defect::OddConnectionLater) {
        return Err(Answer::text(426, ""));
    }
    if !request.lists("upgrade", "websocket") || !connection {
        return Err(Answer::text(400, "Not a valid websocket request"));
    }
    if request.header("sec-websocket-version") != Some("13") && !defects.has(Defect::AnyVersion) {
        return Err(Answer::text(400, "Only version 13").with("Sec-WebSocket-Version", "13"));
    }
    request.header("sec-websocket-key").map(str::to_owned).ok_or_else(|| Answer::text(400, "no key\n"))
}

/// A connection that has become a websocket.
struct Socket<'a> {
    connection: &'a mut Connection,
    defects: Defects,
    /// A message of which fragments are to come, and its opcode.
    begun: Option<(u8, Vec<u8>)>,
}

impl Socket<'_> {
    /// Serves a session until it or the connection ends.
    async fn serve(&mut self, server: &Server, session: &Session) -> Result<()> {
        let defects = self.defects;
        let mut beats = interval_at(Instant::now() + server.heartbeat, server.heartbeat);
        loop {
            while let Some(frame) = session.next(false) {
                if frame == "o" && defects.has(Defect::OpenMissing) {
                    continue;
                }
                self.write(TEXT, frame.as_bytes()).await?;
                if session.is_last(&frame) {
                    if defects.has(Defect::SocketStays) {
                        self.connection.gone().await;
                    }
                    let other = defects.has(Defect::CloseCodeOther);
                    return self.close(if other { 1011 } else { 3000 }, "Go away!").await;
                }
            }
            tokio::select! {
                () = session.changed() => {}
                _ = beats.tick(), if !defects.has(Defect::NoHeartbeatOnWebsockets) => {
                    self.write(PING, b"").await?;
                    self.write(TEXT, b"h").await?;
                }
                message = self.message() => {
                    let Some((_, text)) = message? else {
                        return Ok(());
                    };
                    if !self.take(session, &text) {
                        return self.close(3000, "Broken framing.").await;
                    }
                }
            }
        }
    }

    /// Takes a message of the client. False if it is none.
    fn take(&self, session: &Session, text: &[u8]) -> bool {
        let defects = self.defects;
        if text.is_empty() {
            return !defects.has(Defect::EmptyFrameEnds);
        }
        if text.starts_with(b" ") && defects.has(Defect::LeadingSpaceEnds) {
            return false;
        }
        let value = serde_json::from_slice(text);
        let taken = match value {
            Ok(Value::String(message)) if !defects.has(Defect::BareStringRefused) => Ok(vec![message]),
            _ => messages(text, defects),
        };
        match taken {
            Ok(mut messages) => {
                if defects.has(Defect::OneOfAnArray) {
                    messages.truncate(1);
                }
                if defects.has(Defect::CutAtNul) {
                    messages =
                        messages.iter().map(|message| message.split('\0').next().unwrap_or("").to_owned()).collect();
                }
                session.take(messages);
                true
            }
            Err(_) => {
                let ignored = if value_is_json(text) { Defect::NotStringsTaken } else { Defect::BrokenJsonIgnored };
                defects.has(ignored)
            }
        }
    }

    /// Serves a raw websocket.
    async fn serve_raw(&mut self, behaviour: Behaviour) -> Result<()> {
        let defects = self.defects;
        if defects.has(Defect::RawFramed) {
            self.write(TEXT, b"o").await?;
        }
        let reason = if defects.has(Defect::RawCloseWithoutReason) { "" } else { "Go away!" };
        let code = if defects.has(Defect::RawCloseNormal) { 1000 } else { 3000 };
        if behaviour == Behaviour::Close {
            return self.close(code, reason).await;
        }
        while let Some((opcode, mut message)) = self.message().await? {
            if message.is_empty() && defects.has(Defect::RawEmptyDropped) {
                continue;
            }
            if let (true, Ok(several)) = (defects.has(Defect::RawArraysOpened), messages(&message, defects)) {
                for message in several {
                    self.write(TEXT, message.as_bytes()).await?;
                }
                continue;
            }
            if defects.has(Defect::RawCutAtNul) {
                message.truncate(message.iter().position(|byte| *byte == 0).unwrap_or(message.len()));
            }
            if defects.has(Defect::RawTextCut) {
                message = String::from_utf8_lossy(&message).replace('\u{ffff}', "").into_bytes();
            }
            self.write(if defects.has(Defect::RawBinaryIsText) { TEXT } else { opcode }, &message).await?;
            if behaviour == Behaviour::Farewell {
                return self.close(code, reason).await;
            }
        }
        Ok(())
    }

    /// The next message, whole, with its opcode. Control frames are answered. None if the websocket has ended. Losing this while it
    /// waits loses nothing.
    async fn message(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        loop {
            let frame = match parse(&mut self.connection.buffer, self.defects) {
                Ok(Some(frame)) => frame,
                Ok(None) => match self.connection.more().await {
                    Ok(()) => continue,
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
                    Err(error) => return Err(error),
                },
                Err(Broken(code)) => {
                    self.close(code, "").await?;
                    return Ok(None);
                }
            };
            if self.defects.has(Defect::PacketCut) {
                self.connection.buffer.clear();
            }
            match frame.opcode {
                CONTINUATION | TEXT | BINARY => match self.assembled(frame) {
                    Ok(None) => {}
                    Ok(message) => return Ok(message),
                    Err(Broken(code)) => {
                        self.close(code, "").await?;
                        return Ok(None);
                    }
                },
                PING if self.defects.has(Defect::PongMissing) => {}
                PING if self.defects.has(Defect::PongEmpty) => self.write(PONG, b"").await?,
                PING => self.write(PONG, &frame.payload).await?,
                CLOSE => {
                    if !self.defects.has(Defect::CloseUnanswered) {
                        self.write(CLOSE, &frame.payload).await?;
                    }
                    return Ok(None);
                }
                _ => {}
            }
        }
    }

    /// The message that is whole with this frame.
    fn assembled(&mut self, frame: Frame) -> std::result::Result<Option<(u8, Vec<u8>)>, Broken> {
        if self.defects.has(Defect::FragmentsApart) {
            return Ok(Some((TEXT, frame.payload)));
        }
        let (opcode, mut message) = match (self.begun.take(), frame.opcode) {
            (Some(begun), CONTINUATION) => begun,
            (None, TEXT | BINARY) => (frame.opcode, Vec::new()),
            _ => return Err(Broken(PROTOCOL_ERROR)),
        };
        message.extend(frame.payload);
        if !frame.last {
            self.begun = Some((opcode, message));
            return Ok(None);
        }
        if opcode == TEXT && std::str::from_utf8(&message).is_err() {
            if !self.defects.has(Defect::InvalidTextTaken) {
                return Err(Broken(INVALID_TEXT));
            }
            message = String::from_utf8_lossy(&message).into_owned().into_bytes();
        }
        Ok(Some((opcode, message)))
    }

    async fn write(&mut self, opcode: u8, payload: &[u8]) -> Result<()> {
        let mut bytes = vec![0x80 | opcode];
        match payload.len() {
            length @ ..126 => bytes.push(length as u8),
            length @ ..65_536 => {
                bytes.push(126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                let length = if self.defects.has(Defect::Length64Wrong) { length + 1 } else { length };
                bytes.push(127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(payload);
        self.connection.write(&bytes).await
    }

    async fn close(&mut self, code: u16, reason: &str) -> Result<()> {
        self.write(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat()).await
    }
}

fn value_is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<Value>(text).is_ok()
}

/// Takes the frame that the buffer begins with, if it is whole.
fn parse(buffer: &mut Vec<u8>, defects: Defects) -> std::result::Result<Option<Frame>, Broken> {
    let [first, second, ..] = buffer[..] else {
        return Ok(None);
    };
    let (last, opcode, masked) = (first & 0x80 != 0, first & 0x0f, second & 0x80 != 0);
    let known = matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) && first & 0x70 == 0;
    let (wide, control) = (usize::from(second & 0x7f), opcode >= CLOSE);
    let long_ping = control && (wide > 125 || !last) && !defects.has(Defect::LongPingTaken);
    let unmasked = !masked && !defects.has(Defect::UnmaskedTaken);
    if (!known && !defects.has(Defect::ReservedIgnored)) || long_ping || unmasked {
        return Err(Broken(PROTOCOL_ERROR));
    }
    let extra = match wide {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let start = 2 + extra + if masked { 4 } else { 0 };
    if buffer.len() < start {
        return Ok(None);
    }
    let extended = buffer[2..2 + extra].iter().fold(0, |length, byte| (length << 8) | usize::from(*byte));
    let length = if extra == 0 { wide } else { extended };
    if buffer.len() < start.saturating_add(length) {
        return Ok(None);
    }
    let mask: Vec<u8> = if masked { buffer[start - 4..start].to_vec() } else { vec![0; 4] };
    let frame: Vec<u8> = buffer.drain(..start + length).skip(start).collect();
    let payload = frame.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Ok(Some(Frame { last, opcode, payload }))
}
