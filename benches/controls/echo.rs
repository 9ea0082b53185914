//! Bare tokio-tungstenite, which reads 4 KiB at a time and sends every answer with a `send` of its own.
//!
//! Does not know: what the messages mean, but for the few words of the dialogue.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::topics::message;
use super::wire::{answer, body, header};
use crate::support::Outcome;

/// One client who gets back what it sends.
pub async fn echo(stream: TcpStream) -> Outcome<()> {
    let mut socket = accept(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// One client who connects, subscribes, sends, and gets what it sent as a MESSAGE of the subscription that it made last.
pub async fn dialogue(stream: TcpStream) -> Outcome<()> {
    let mut socket = accept(stream).await?;
    let (mut id, mut delivered) = (String::new(), 0);
    while let Some(input) = socket.next().await {
        let input = input?.into_data();
        for frame in input.split(|byte| *byte == 0).map(<[u8]>::trim_ascii_start).filter(|frame| !frame.is_empty()) {
            if frame.starts_with(b"SUBSCRIBE\n") {
                header(frame, "id").unwrap_or_default().clone_into(&mut id);
            } else if frame.starts_with(b"SEND\n") {
                delivered += 1;
                let destination = header(frame, "destination").unwrap_or_default();
                let frame = message(&id, destination, delivered, "", body(frame));
                socket.send(Message::text(String::from_utf8(frame)?)).await?;
            }
            if let Some(answer) = answer(frame) {
                socket.send(Message::text(answer)).await?;
            }
        }
    }
    Ok(())
}

#[expect(clippy::result_large_err, reason = "the library's own signature")]
async fn accept(stream: TcpStream) -> Outcome<WebSocketStream<TcpStream>> {
    let config = WebSocketConfig::default().read_buffer_size(4096);
    // Clients that offer a subprotocol want to hear of it.
    let offered = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        if let Some(protocol) = request.headers().get("sec-websocket-protocol") {
            let first = protocol.as_bytes().split(|byte| *byte == b',').next().unwrap_or_default();
            if let Ok(first) = first.try_into() {
                response.headers_mut().insert("sec-websocket-protocol", first);
            }
        }
        Ok(response)
    };
    Ok(tokio_tungstenite::accept_hdr_async_with_config(stream, offered, Some(config)).await?)
}
