//! The server's side of a websocket, as much of it as STOMP needs.
//!
//! Does not know: STOMP.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::defects::Defect;

pub struct WebSocket {
    stream: TcpStream,
    received: Vec<u8>,
    message: Vec<u8>,
    defect: Option<Defect>,
    /// The subprotocol that was agreed on.
    pub subprotocol: Option<String>,
}

impl WebSocket {
    /// Answers a handshake; `None` if it was none, or was refused.
    pub async fn accept(mut stream: TcpStream, defect: Option<Defect>) -> Option<Self> {
        let has = |wanted: Defect| defect == Some(wanted);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).ok()?;
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let accept = derive_accept_key(header("Sec-WebSocket-Key")?.as_bytes());
        let offered = header("Sec-WebSocket-Protocol").unwrap_or_default();
        let offered: Vec<_> = offered.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if offered.is_empty() && has(Defect::SubprotocolRequired) {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.ok()?;
            return None;
        }
        let mut known = vec!["v12.stomp", "v11.stomp", "v10.stomp"];
        known.truncate(if has(Defect::OnlyV12) { 1 } else { 3 });
        let subprotocol = match has(Defect::FirstSubprotocol) {
            true => offered.first().copied(),
            false if has(Defect::ForeignSubprotocol) => Some("v12.stomp"),
            false => known.into_iter().find(|name| offered.contains(name)),
        };
        let chosen = subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{chosen}\r\n"
        );
        stream.write_all(answer.as_bytes()).await.ok()?;
        let subprotocol = subprotocol.map(str::to_owned);
        Some(Self { stream, received: Vec::new(), message: Vec::new(), defect, subprotocol })
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// The next message, `None` at the end. Giving up loses nothing.
    pub async fn read(&mut self) -> Option<Vec<u8>> {
        loop {
            while let Some((last, opcode, payload)) = self.frame() {
                match opcode {
                    8 => return None,
                    9 if self.has(Defect::NoPong) => {}
                    9 => self.write_frame(10, &payload).await?,
                    10 => {}
                    2 if self.has(Defect::BinaryIgnored) => {}
                    _ => {
                        self.message.extend_from_slice(&payload);
                        if last {
                            return Some(std::mem::take(&mut self.message));
                        }
                        if self.has(Defect::FragmentIsMessage) {
                            self.message.clear();
                        }
                    }
                }
            }
            if self.stream.read_buf(&mut self.received).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// Writes a message.
    pub async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        let text = std::str::from_utf8(bytes).is_ok() && !self.has(Defect::AlwaysBinary);
        let opcode = if text { 1 } else { 2 };
        let piece = if self.has(Defect::CutsFrames) { 8192 } else { usize::MAX };
        for piece in bytes.chunks(piece) {
            self.write_frame(opcode, piece).await?;
        }
        Some(())
    }

    /// Ends it, and waits a moment for the other side.
    pub async fn close(&mut self) {
        if !self.has(Defect::NoCloseFrame) {
            self.write_frame(8, &1000_u16.to_be_bytes()).await;
        }
        super::server::linger(&mut self.stream).await;
    }

    fn frame(&mut self) -> Option<(bool, u8, Vec<u8>)> {
        let [first, second, ..] = self.received[..] else { return None };
        let (length, header) = match second & 0x7f {
            126 => (u16::from_be_bytes(self.received.get(2..4)?.try_into().ok()?) as usize, 4),
            127 => (u64::from_be_bytes(self.received.get(2..10)?.try_into().ok()?) as usize, 10),
            length => (length as usize, 2),
        };
        let mask: [u8; 4] = self.received.get(header..header + 4)?.try_into().ok()?;
        let payload = self.received.get(header + 4..header + 4 + length)?;
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        self.received.drain(..header + 4 + length);
        Some((first & 0x80 != 0, first & 15, payload))
    }

    async fn write_frame(&mut self, opcode: u8, payload: &[u8]) -> Option<()> {
        let mut bytes = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..=125 => bytes.push(length as u8),
            length @ 126..=65535 => {
                bytes.push(126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                bytes.push(127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(payload);
        self.stream.write_all(&bytes).await.ok()
    }
}
