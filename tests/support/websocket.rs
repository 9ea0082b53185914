//! A websocket client that shows every packet.
//!
//! Does not know: SockJS.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Connector, Stream, within};

/// An open websocket. It answers pings whenever it is read, as the protocol demands.
pub struct WebSocket {
    stream: WebSocketStream<Stream>,
    patience: Duration,
    /// The answer to the handshake.
    pub response: Response,
}

impl WebSocket {
    /// Opens one at `path`.
    pub async fn connect(connector: &Connector, path: &str) -> Self {
        Self::connect_with(connector, path, &[]).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Opens one with further headers in the handshake.
    ///
    /// # Errors
    /// [`Error::Http`] with the answer if the gateway refuses.
    pub async fn connect_with(connector: &Connector, path: &str, headers: &[(&str, &str)]) -> Result<Self, Error> {
        Self::connect_on(connector.connect().await, path, headers).await
    }

    /// Opens one over a given connection.
    ///
    /// # Errors
    /// As [`connect_with`](Self::connect_with).
    pub async fn connect_on(stream: Stream, path: &str, headers: &[(&str, &str)]) -> Result<Self, Error> {
        let patience = stream.patience();
        let mut request = format!("ws://localhost{path}").into_client_request()?;
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            request.headers_mut().append(name, HeaderValue::from_str(value).expect("a header's value"));
        }
        // What the gateway sends is for the test to judge, whatever its size.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let handshake = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
        let (stream, response) = within(patience, "the answer to a handshake", handshake).await?;
        Ok(Self { stream, patience, response })
    }

    /// Sends a text message.
    pub async fn send_text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends any packet.
    pub async fn send(&mut self, packet: Message) {
        self.try_send(packet).await.expect("the websocket is open");
    }

    /// Sends any packet to a gateway that may have closed.
    ///
    /// # Errors
    /// What the websocket library says.
    pub async fn try_send(&mut self, packet: Message) -> Result<(), Error> {
        within(self.patience, "the gateway to read", self.stream.send(packet)).await
    }

    /// The next packet of any kind; `None` once the connection has ended, with or without a close frame.
    pub async fn next(&mut self) -> Option<Message> {
        match within(self.patience, "a websocket packet", self.stream.next()).await {
            Some(Ok(packet)) => Some(packet),
            Some(Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_) | Error::Io(_))) | None => {
                None
            }
            Some(Err(error)) => panic!("{error}"),
        }
    }

    /// The next text, passing over pings and pongs.
    pub async fn next_text(&mut self) -> String {
        match self.next_data().await {
            Some(Message::Text(text)) => text.as_str().to_owned(),
            other => panic!("a text was due, not {other:?}"),
        }
    }

    /// The next packet that is neither ping nor pong.
    pub async fn next_data(&mut self) -> Option<Message> {
        loop {
            match self.next().await {
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => return other,
            }
        }
    }

    /// Code and reason of the close frame that is due now, and nothing after it.
    pub async fn next_close(&mut self) -> (u16, String) {
        let Some(Message::Close(Some(frame))) = self.next_data().await else { panic!("a close frame was due") };
        let last = self.next().await;
        assert_eq!(last, None, "nothing follows a close frame");
        told(&frame)
    }

    /// Sends a close frame and waits for the end. Returns the gateway's close frame, if one came, with its code and reason, if
    /// it has them.
    pub async fn close(mut self, code: Option<u16>) -> Option<Option<(u16, String)>> {
        let frame = code.map(|code| CloseFrame { code: code.into(), reason: "".into() });
        within(self.patience, "the gateway to read", self.stream.close(frame)).await.expect("the websocket is open");
        let mut answer = None;
        while let Some(packet) = self.next().await {
            if let Message::Close(frame) = packet {
                answer = Some(frame.as_ref().map(told));
            }
        }
        answer
    }
}

/// Code and reason of a close frame.
pub fn told(frame: &CloseFrame) -> (u16, String) {
    (frame.code.into(), frame.reason.as_str().to_owned())
}
