//! The websocket transport: one frame is one text message.
//!
//! Does not know: websockets' own frames.

use bytes::BytesMut;
use tokio_tungstenite::tungstenite::{Message as Packet, Utf8Bytes};

use super::frame::Frame;
use super::http::Place;
use super::{Attempt, Ended, Options};
use crate::client::pipe::Pipe;
use crate::client::websocket::{self, Message};
use crate::sockjs::{Encoding, quote_into};

/// Opens a session; it is open when the open frame has come.
pub(super) async fn open(place: &Place, below: &str, options: &Options) -> Result<Pipe<String>, Attempt> {
    let mut address = place.address.clone();
    address.resource = place.resource(&format!("{below}websocket"));
    let opened = websocket::open(&address, place.tls(), place.headers(), &[], options).await;
    let (mut socket, _) = opened.map_err(|error| Attempt::Failed(error.to_string()))?;
    loop {
        match parse(websocket::next(&mut socket, None).await?)? {
            Some(Frame::Open) => break,
            Some(Frame::Heartbeat) | None => {}
            Some(Frame::Close(code, reason)) => return Err(Ended::closed(Some(code), reason).into()),
            Some(Frame::Messages(_)) => return Err(Ended::violation("messages come before the open frame").into()),
        }
    }
    let idle = options.idle_timeout;
    Ok(Pipe::spawn(options.max_pending, options.close_timeout, move |inlet, orders| {
        websocket::run(socket, inlet, orders, idle, decode, encode)
    }))
}

fn parse(message: Message) -> Result<Option<Frame>, Ended> {
    match message {
        Message::Text(text) if text.is_empty() => Ok(None),
        Message::Text(text) => Frame::parse(&text).map(Some).map_err(Ended::violation),
        Message::Binary(_) => Err(Ended::violation("a binary message is no frame")),
    }
}

fn decode(message: Message) -> Result<Vec<String>, Ended> {
    match parse(message)? {
        None | Some(Frame::Heartbeat) => Ok(Vec::new()),
        Some(frame) => super::xhr::messages(frame),
    }
}

/// Everything that is pending goes in one array.
fn encode(messages: Vec<String>) -> Vec<Packet> {
    let array = array(&messages);
    Utf8Bytes::try_from(array.freeze()).map(Packet::Text).into_iter().collect()
}

/// Messages as a JSON array of strings (SockJS protocol, client to server).
pub(super) fn array(messages: &[String]) -> BytesMut {
    let size: usize = messages.iter().map(|message| message.len() + 3).sum();
    let mut out = BytesMut::with_capacity(size + 2);
    out.extend_from_slice(b"[");
    for (number, message) in messages.iter().enumerate() {
        out.extend_from_slice(if number == 0 { b"\"" } else { b",\"" });
        quote_into(Encoding::Json, message, &mut out);
        out.extend_from_slice(b"\"");
    }
    out.extend_from_slice(b"]");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_array_of_strings() {
        let texts = ["a", "\"\n\u{0}", "\u{1f600}\u{2028}"].map(str::to_owned);
        let array = array(&texts);
        assert_eq!(&array[..], br#"["a","\"\n\u0000","\ud83d\ude00\u2028"]"#);
        assert_eq!(encode(texts.to_vec()), [Packet::text(String::from_utf8(array.to_vec()).unwrap())]);
    }

    #[test]
    fn an_empty_message_is_nothing_and_a_binary_one_is_wrong() {
        assert_eq!(decode(Message::Text("".into())), Ok(vec![]));
        assert!(decode(Message::Binary("o".into())).is_err());
        assert_eq!(decode(Message::Text("a[\"x\"]".into())), Ok(vec!["x".to_owned()]));
        assert_eq!(decode(Message::Text("c[3000,\"x\"]".into())), Err(Ended::closed(Some(3000), "x")));
    }
}
