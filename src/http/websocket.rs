//! The websocket handshake (RFC 6455, section 4.2), with the answers that the SockJS protocol fixes for requests that
//! are none. An accepted one becomes a session at once and a socket as soon as hyper lets go of the connection.
//!
//! Does not know: what goes over an open socket.

use std::future::poll_fn;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::socket::Socket;
use super::{Body, reply};
use crate::config;
use crate::connection::now;
use crate::gateway::{Endpoint, Gateway, Handshake, Unjoined, Visitor};
use crate::session::Carrier;

/// STOMP's websocket subprotocols, the highest version first.
const SUBPROTOCOLS: [&str; 3] = ["v12.stomp", "v11.stomp", "v10.stomp"];

/// Whether a request asks for an upgrade to websocket at all; it may still do so badly.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, &header::UPGRADE, "websocket") && has_token(headers, &header::CONNECTION, "upgrade")
}

/// Answers a websocket handshake; if it is right, the session lives from now on. Without SockJS the server behind a bridge is
/// the one who answers in truth, and is waited for.
pub(super) async fn upgrade(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    carrier: Carrier,
    mut visitor: Visitor,
    headers: &HeaderMap,
    upgrade: OnUpgrade,
) -> Response<Body> {
    let accept = match check(headers) {
        Ok(key) => derive_accept_key(key.as_bytes()),
        Err(wrong) => return bad_handshake(wrong),
    };
    let Ok(accept) = HeaderValue::from_str(&accept) else {
        return bad_handshake("Sec-WebSocket-Key is no key.");
    };
    let transport = if carrier == Carrier::Websocket { "websocket" } else { "raw-websocket" };
    let service = endpoint.settings().service;
    let is_bridged = carrier == Carrier::RawWebsocket && service == config::Service::Bridge;
    if !is_bridged {
        // A SockJS websocket has none of its own.
        visitor.subprotocols.clear();
    }
    let handshake = is_bridged.then(Arc::<Handshake>::default);
    visitor.handshake.clone_from(&handshake);
    let (session, receiver) = match gateway.open_socket(endpoint, carrier, transport, &visitor, now()) {
        Ok(opened) => opened,
        Err(full) => return reply::text(StatusCode::SERVICE_UNAVAILABLE, full),
    };
    let socket = Socket::new(Arc::clone(gateway), Arc::clone(endpoint), session, receiver);
    let chosen = match handshake {
        Some(handshake) => match poll_fn(|cx| handshake.poll(cx)).await {
            Ok(chosen) => chosen.and_then(|name| HeaderValue::from_str(&name).ok()),
            Err(why) => return bad_gateway(why),
        },
        None if carrier == Carrier::RawWebsocket && service == config::Service::Stomp => {
            choose_subprotocol(headers).map(HeaderValue::from_static)
        }
        None => None,
    };
    tokio::spawn(socket.run(upgrade));

    let mut response = reply::bare(StatusCode::SWITCHING_PROTOCOLS);
    reply::set(&mut response, header::CONNECTION, "Upgrade");
    reply::set(&mut response, header::UPGRADE, "websocket");
    response.headers_mut().insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(chosen) = chosen {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    response
}

/// The key of a proper handshake, or what is wrong with it.
fn check(headers: &HeaderMap) -> Result<&str, &'static str> {
    if !has_token(headers, &header::UPGRADE, "websocket") {
        return Err("Can \"Upgrade\" only to \"WebSocket\".");
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err("\"Connection\" must be \"Upgrade\".");
    }
    if reply::request_text(headers, &header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err("Only supported WebSocket protocol is RFC 6455.");
    }
    let key = reply::request_text(headers, &header::SEC_WEBSOCKET_KEY).unwrap_or_default();
    match BASE64.decode(key) {
        Ok(nonce) if nonce.len() == 16 => Ok(key),
        _ => Err("Sec-WebSocket-Key is no key."),
    }
}

fn bad_handshake(wrong: &'static str) -> Response<Body> {
    let mut response = reply::text(StatusCode::BAD_REQUEST, wrong);
    reply::no_cache(&mut response);
    reply::set(&mut response, header::SEC_WEBSOCKET_VERSION, "13");
    response
}

fn bad_gateway(why: Unjoined) -> Response<Body> {
    let mut response = match why {
        Unjoined::Refused => reply::text(StatusCode::BAD_GATEWAY, "The upstream cannot be reached"),
        Unjoined::Late => reply::text(StatusCode::GATEWAY_TIMEOUT, "The upstream does not answer"),
    };
    reply::no_cache(&mut response);
    response
}

/// The highest STOMP version that the client offers. A client that offers none of ours is answered without one: some
/// offer nothing and some offer names of their own (STOMP clients over websocket).
fn choose_subprotocol(headers: &HeaderMap) -> Option<&'static str> {
    SUBPROTOCOLS.into_iter().find(|name| has_token(headers, &header::SEC_WEBSOCKET_PROTOCOL, name))
}

/// Whether a header that is a list, in one line or several, has this entry.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|entry| entry.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in list {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    const KEY: (&str, &str) = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    const VERSION: (&str, &str) = ("sec-websocket-version", "13");
    const UPGRADE: (&str, &str) = ("upgrade", "WebSocket");

    #[test]
    fn connection_may_be_a_list() {
        for connection in ["Upgrade", "keep-alive, Upgrade", "upgrade,keep-alive", "UPGRADE"] {
            assert!(check(&headers(&[("connection", connection), UPGRADE, VERSION, KEY])).is_ok(), "{connection}");
        }
        assert!(check(&headers(&[("connection", "upgrades"), UPGRADE, VERSION, KEY])).is_err());
    }

    #[test]
    fn each_fault_is_named() {
        let connection = ("connection", "upgrade");
        for (list, word) in [
            (vec![connection, VERSION, KEY], "WebSocket"),
            (vec![connection, ("upgrade", "h2c"), VERSION, KEY], "WebSocket"),
            (vec![("connection", "close"), UPGRADE, VERSION, KEY], "Connection"),
            (vec![connection, UPGRADE, KEY], "RFC 6455"),
            (vec![connection, UPGRADE, ("sec-websocket-version", "8"), KEY], "RFC 6455"),
            (vec![connection, UPGRADE, VERSION], "Key"),
            (vec![connection, UPGRADE, VERSION, ("sec-websocket-key", "short")], "Key"),
        ] {
            let wrong = check(&headers(&list)).unwrap_err();
            assert!(wrong.contains(word), "{list:?}: {wrong}");
        }
    }

    #[test]
    fn the_highest_offered_subprotocol_wins() {
        let choose = |offers: &[&str]| {
            let list: Vec<_> = offers.iter().map(|offer| ("sec-websocket-protocol", *offer)).collect();
            choose_subprotocol(&headers(&list))
        };
        assert_eq!(choose(&["v10.stomp, v11.stomp, v12.stomp"]), Some("v12.stomp"));
        assert_eq!(choose(&["v10.stomp", "v11.stomp"]), Some("v11.stomp"));
        assert_eq!(choose(&["mine, v10.stomp"]), Some("v10.stomp"));
        assert_eq!(choose(&["mine"]), None);
        assert_eq!(choose(&[]), None);
    }
}
