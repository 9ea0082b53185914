//! The client's side of a websocket's handshake (RFC 6455, section 4.1). Which subprotocol the server chooses, or that it
//! chooses none, is passed on and not judged: whether that will do is for the caller to say.
//!
//! Does not know: what goes over the connection, or how long all this may take.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::{self, Upgraded};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Address, DialError, Fault, Stream};

/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Opens a websocket over a connection to that address: with these headers besides those of the handshake, and these
/// subprotocols offered. Gives the connection and the subprotocol that the server chose.
pub(crate) async fn open(
    address: &Address,
    stream: Stream,
    headers: HeaderMap,
    subprotocols: &[String],
) -> Result<(TokioIo<Upgraded>, Option<String>), DialError> {
    let key = generate_key();
    let opened = async {
        let request = request(address, headers, &key, subprotocols)?;
        handshake(stream, request, &key, subprotocols).await
    };
    opened.await.map_err(|fault| address.fail(fault))
}

async fn handshake(
    io: Stream,
    request: Request<Empty<Bytes>>,
    key: &str,
    offered: &[String],
) -> Result<(TokioIo<Upgraded>, Option<String>), Fault> {
    let handshake = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(io));
    let (mut sender, connection) = handshake.await.map_err(Fault::Http)?;
    // Ends when this is given up.
    let mut driver = JoinSet::new();
    driver.spawn(connection.with_upgrades());
    let response = sender.send_request(request).await.map_err(Fault::Http)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Fault::Status(response.status()));
    }
    let chosen = check(response.headers(), key, offered).map_err(Fault::Handshake)?;
    let upgraded = upgrade::on(response).await.map_err(Fault::Http)?;
    Ok((TokioIo::new(upgraded), chosen))
}

fn request(
    address: &Address,
    mut headers: HeaderMap,
    key: &str,
    subprotocols: &[String],
) -> Result<Request<Empty<Bytes>>, Fault> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| Fault::Url);
    // These are ours, whatever the caller says.
    headers.insert(HOST, value(&address.authority)?);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, value(key)?);
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    let offered = subprotocols.join(", ");
    if let Some(offered) = HeaderValue::from_str(&offered).ok().filter(|_| !offered.is_empty()) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, offered);
    }
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = address.resource.parse().map_err(|_| Fault::Url)?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The chosen subprotocol, if the answer is right; else what is wrong with it.
fn check(headers: &HeaderMap, key: &str, offered: &[String]) -> Result<Option<String>, &'static str> {
    if !has_token(headers, &UPGRADE, "websocket") || !has_token(headers, &CONNECTION, "upgrade") {
        return Err("it switches to something else");
    }
    let accept = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    if accept != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err("its Sec-WebSocket-Accept is wrong");
    }
    if headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return Err("it uses an extension that was not offered");
    }
    let mut chosen = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let Some(first) = chosen.next() else { return Ok(None) };
    let known = offered.iter().find(|name| name.as_bytes() == first.as_bytes());
    match (known, chosen.next()) {
        (Some(name), None) => Ok(Some(name.clone())),
        _ => Err("it chose a subprotocol that was not offered"),
    }
}

/// Whether a header that is a list, in one line or several, has this entry.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|value| value.split(',')).any(|entry| entry.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_only_if_all_of_it_is_right() {
        let right = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        let offered = ["chat".to_owned(), "superchat".to_owned()];
        let check = |list: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in list {
                headers.append(*name, HeaderValue::from_static(value));
            }
            check(&headers, "dGhlIHNhbXBsZSBub25jZQ==", &offered)
        };
        assert_eq!(check(&right), Ok(None));
        let with = |more: &[(&'static str, &'static str)]| check(&[&right[..], more].concat());
        assert_eq!(with(&[("sec-websocket-protocol", "superchat")]), Ok(Some("superchat".to_owned())));
        for more in [
            &[("sec-websocket-protocol", "other")][..],
            &[("sec-websocket-protocol", "chat, superchat")],
            &[("sec-websocket-protocol", "chat"), ("sec-websocket-protocol", "chat")],
            &[("sec-websocket-extensions", "permessage-deflate")],
        ] {
            assert!(with(more).is_err(), "{more:?}");
        }
        for missing in 0..right.len() {
            let mut list = right.to_vec();
            list.remove(missing);
            assert!(check(&list).is_err(), "{list:?}");
        }
        let mut wrong = right;
        wrong[2].1 = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert!(check(&wrong).is_err());
    }
}
