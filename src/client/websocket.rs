//! The task of a websocket, and how one is opened. It answers pings while it is read.
//!
//! Does not know: what the messages mean; what is read and written goes through two functions of the caller.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use hyper::header::HeaderMap;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message as Packet};

use super::pipe::{Inlet, Orders, both_ways};
use super::stream::within;
use super::{Ended, Options};
use crate::dial::{self, Address, DialError};

/// An open websocket.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A message of a websocket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Text(Bytes),
    Binary(Bytes),
}

/// Opens a websocket; gives the subprotocol that the server chose as well.
pub(super) async fn open(
    address: &Address,
    tls: Option<&TlsConnector>,
    headers: HeaderMap,
    subprotocols: &[String],
    options: &Options,
) -> Result<(Socket, Option<String>), DialError> {
    let stream = address.connect(tls).await?;
    let (io, chosen) = dial::websocket::open(address, stream, headers, subprotocols).await?;
    let config =
        WebSocketConfig::default().max_message_size(Some(options.max_frame)).max_frame_size(Some(options.max_frame));
    Ok((WebSocketStream::from_raw_socket(io, Role::Client, Some(config)).await, chosen))
}

/// Reads and writes until the end. `decode` makes of a message what is received of it, or ends everything; `encode` makes of a
/// batch what is to be written.
pub(super) async fn run<T: AsRef<[u8]>>(
    socket: Socket,
    inlet: Inlet<T>,
    orders: Orders<T>,
    idle: Option<Duration>,
    decode: impl Fn(Message) -> Result<Vec<T>, Ended>,
    encode: impl Fn(Vec<T>) -> Vec<Packet>,
) -> Ended {
    let (sink, stream) = socket.split();
    both_ways(reading(stream, inlet, idle, decode), writing(sink, orders, encode)).await
}

/// The next message.
pub(super) async fn next(
    stream: &mut (impl Stream<Item = Result<Packet, Error>> + Unpin),
    idle: Option<Duration>,
) -> Result<Message, Ended> {
    loop {
        let packet = match within(idle, stream.next()).await? {
            Some(packet) => packet.map_err(|error| end_of(&error))?,
            None => return Err(Ended::lost("the server closed the connection without a close frame")),
        };
        match packet {
            Packet::Text(text) => return Ok(Message::Text(text.into())),
            Packet::Binary(bytes) => return Ok(Message::Binary(bytes)),
            Packet::Close(frame) => {
                let (code, reason) = match frame {
                    Some(frame) => (Some(frame.code.into()), frame.reason.as_str().to_owned()),
                    None => (None, String::new()),
                };
                return Err(Ended::closed(code, reason));
            }
            Packet::Ping(_) | Packet::Pong(_) | Packet::Frame(_) => {}
        }
    }
}

async fn reading<T>(
    mut stream: SplitStream<Socket>,
    inlet: Inlet<T>,
    idle: Option<Duration>,
    decode: impl Fn(Message) -> Result<Vec<T>, Ended>,
) -> Ended {
    let mut wanted = true;
    let ended = loop {
        let message = match next(&mut stream, idle).await {
            Ok(message) => message,
            Err(ended) => break ended,
        };
        match decode(message) {
            Ok(messages) if messages.is_empty() => {}
            // Whoever closes wants nothing more, but the server's answer is still waited for.
            Ok(messages) => wanted = wanted && inlet.send(messages).await.is_ok(),
            Err(ended) => break ended,
        }
    };
    // The library has the answer to a close frame ready, and writes it when it is asked for more.
    poll_fn(|cx| Poll::Ready(stream.poll_next_unpin(cx).is_ready())).await;
    ended
}

async fn writing<T: AsRef<[u8]>>(
    mut sink: SplitSink<Socket, Packet>,
    mut orders: Orders<T>,
    encode: impl Fn(Vec<T>) -> Vec<Packet>,
) -> Result<(), Ended> {
    while let Some(mut batch) = orders.batch().await {
        for packet in encode(std::mem::take(&mut batch.messages)) {
            sink.feed(packet).await.map_err(|error| end_of(&error))?;
        }
        sink.flush().await.map_err(|error| end_of(&error))?;
    }
    let close = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    // It may be gone already, which is as good.
    let _ = sink.send(Packet::Close(Some(close))).await;
    Ok(())
}

/// What an error of the websocket library means.
fn end_of(error: &Error) -> Ended {
    match error {
        Error::Io(_)
        | Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ended::lost(error.to_string()),
        _ => Ended::violation(error.to_string()),
    }
}
