//! A websocket of a check, with a record of what went over it.
//!
//! Does not know: frames of SockJS. What a message should be is for the check to say.

use bytes::Bytes;

use super::steps::Steps;
use crate::conformance::Stop;
use crate::wire::{Closing, Head, Opcode, WebSocket, WebSocketFrame, hex_dump, shown};

/// An open websocket. Dropping it hangs up without a goodbye.
pub(super) struct Socket {
    websocket: WebSocket,
    /// The head of the answer to the handshake.
    pub head: Head,
    steps: Steps,
}

impl Socket {
    pub(super) fn new(websocket: WebSocket, head: Head, steps: Steps) -> Self {
        Self { websocket, head, steps }
    }

    /// The demand is not met.
    pub fn fail(&self, seen: impl Into<String>, wanted: impl Into<String>) -> Stop {
        self.steps.fail(seen, wanted)
    }

    /// Sends a message of text.
    pub async fn send(&mut self, text: &str) -> Result<(), Stop> {
        self.send_frame(&WebSocketFrame::text(text.to_owned())).await
    }

    /// Sends any frame.
    pub async fn send_frame(&mut self, frame: &WebSocketFrame) -> Result<(), Stop> {
        self.steps.note(format!("> {frame:?}"));
        let sent = self.websocket.send(frame).await;
        sent.map_err(|fault| self.steps.explain(Stop::fault(&fault, "an open websocket that takes what is sent")))
    }

    /// Sends bytes as they are, which need be no frame; the record has them as a dump.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.steps.note(format!("> bytes\n{}", hex_dump(bytes).trim_end()));
        let sent = self.websocket.connection().write(bytes).await;
        sent.map_err(|fault| self.steps.explain(Stop::fault(&fault, "an open websocket that takes what is sent")))
    }

    /// The next message, or how the websocket ended. Pings are answered.
    pub async fn message(&mut self, wanted: &str) -> Result<Result<Bytes, Closing>, Stop> {
        let message = self.websocket.message().await;
        let message = message.map_err(|fault| self.steps.explain(Stop::fault(&fault, wanted)))?;
        self.steps.note(match &message {
            Ok(bytes) => format!("< {}", shown(bytes)),
            Err(closing) => format!("< {closing}"),
        });
        Ok(message)
    }

    /// The next frame, whatever it is, `None` at the end of the connection. Pings are not answered.
    pub async fn frame(&mut self, wanted: &str) -> Result<Option<WebSocketFrame>, Stop> {
        let frame = self.websocket.frame().await;
        let frame = frame.map_err(|fault| self.steps.explain(Stop::fault(&fault, wanted)))?;
        self.steps.note(match &frame {
            Some(frame) => format!("< {frame:?}"),
            None => "< the end of the connection".to_owned(),
        });
        Ok(frame)
    }

    /// The next message, which is to be exactly this.
    pub async fn expect(&mut self, wanted: &str) -> Result<(), Stop> {
        let words = format!("a message {}", shown(wanted));
        match self.message(&words).await? {
            Ok(seen) if seen == wanted.as_bytes() => Ok(()),
            Ok(seen) => Err(self.fail(format!("a message {}", shown(seen)), words)),
            Err(closing) => Err(self.fail(closing.to_string(), words)),
        }
    }

    /// The websocket ends here, with or without a close frame, and no message comes before that. How it ended.
    pub async fn ends(&mut self) -> Result<Closing, Stop> {
        let wanted = "the end of the websocket";
        match self.message(wanted).await? {
            Err(closing) => Ok(closing),
            Ok(seen) => Err(self.fail(format!("a message {}", shown(seen)), wanted)),
        }
    }

    /// Says goodbye with that code.
    pub async fn close(&mut self, code: u16) -> Result<(), Stop> {
        self.send_frame(&WebSocketFrame::close(code)).await
    }

    /// A ping.
    pub async fn ping(&mut self, payload: &'static [u8]) -> Result<(), Stop> {
        self.send_frame(&WebSocketFrame::control(Opcode::Ping, payload)).await
    }

    /// The websocket below.
    pub fn websocket(&mut self) -> &mut WebSocket {
        &mut self.websocket
    }
}
