//! The way to a server behind a bridge: TCP, TLS for `wss://`, and the client's side of the websocket handshake (RFC 6455,
//! section 4.1). Which subprotocol the server chooses, or that it chooses none, is passed on and not judged: whether that will
//! do is for the client to say.
//!
//! Does not know: what goes over the connection, or how long all this may take.

use std::fmt;
use std::io;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::{self, Upgraded};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::gateway::Joint;

/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Why there is no connection. The text names host and port, and nothing else of the URL: its query may be a secret.
#[derive(Debug)]
pub(super) struct DialError {
    host: String,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    Url,
    Unreachable(io::Error),
    Tls(io::Error),
    /// It speaks no HTTP, or hung up.
    Http(hyper::Error),
    Status(StatusCode),
    Handshake(&'static str),
}

/// What a URL says.
struct Target {
    secure: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// For the `Host` header.
    authority: String,
    /// Path and query.
    resource: String,
}

/// Either kind of connection.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Io for S {}

/// The open connection, with the subprotocol that the server chose.
pub(super) async fn dial(
    joint: &Joint,
    tls: Option<&TlsConnector>,
) -> Result<(TokioIo<Upgraded>, Option<String>), DialError> {
    let target = Target::parse(joint.endpoint().bridge.as_deref().unwrap_or_default())
        .ok_or_else(|| DialError { host: String::new(), fault: Fault::Url })?;
    let opened = async {
        let io = connect(&target, tls).await?;
        let key = generate_key();
        let request = request(&target, &key, joint)?;
        open(io, request, &key, joint.subprotocols()).await
    };
    opened.await.map_err(|fault| DialError { host: format!("{}:{}", target.host, target.port), fault })
}

async fn connect(target: &Target, tls: Option<&TlsConnector>) -> Result<Box<dyn Io>, Fault> {
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(Fault::Unreachable)?;
    // Frames are small and each is flushed when it is due; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    if !target.secure {
        return Ok(Box::new(stream));
    }
    let (Some(tls), Ok(name)) = (tls, ServerName::try_from(target.host.clone())) else { return Err(Fault::Url) };
    let stream = tls.connect(name, stream).await.map_err(Fault::Tls)?;
    Ok(Box::new(stream))
}

/// The handshake over an open connection.
async fn open(
    io: Box<dyn Io>,
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

fn request(target: &Target, key: &str, joint: &Joint) -> Result<Request<Empty<Bytes>>, Fault> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = target.resource.parse().map_err(|_| Fault::Url)?;
    let headers = request.headers_mut();
    for (name, value) in joint.headers() {
        // What cannot be a header has not come in one.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    // These are ours, whatever the list of headers says.
    headers.insert(HOST, HeaderValue::from_str(&target.authority).map_err(|_| Fault::Url)?);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_str(key).map_err(|_| Fault::Url)?);
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    let offered = joint.subprotocols().join(", ");
    if let Some(offered) = HeaderValue::from_str(&offered).ok().filter(|_| !offered.is_empty()) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, offered);
    }
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

impl Target {
    /// The parts of a `ws://` or `wss://` URL. One with a user in it is none: a credential there is shown too easily.
    fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let secure = match uri.scheme_str()? {
            scheme if scheme.eq_ignore_ascii_case("ws") => false,
            scheme if scheme.eq_ignore_ascii_case("wss") => true,
            _ => return None,
        };
        let authority = uri.authority()?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || authority.as_str().contains('@') {
            return None;
        }
        Some(Self {
            secure,
            host,
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            resource: uri.path_and_query().map_or("/", |resource| resource.as_str()).to_owned(),
        })
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match &self.fault {
            Fault::Url => f.write_str("its URL must begin with ws:// or wss://, name a host and no user"),
            Fault::Unreachable(why) => write!(f, "{host} cannot be reached: {why}"),
            Fault::Tls(why) => write!(f, "{host} cannot be trusted, or speaks no TLS: {why}"),
            Fault::Http(why) => write!(f, "{host} broke off: {why}"),
            Fault::Status(status) => write!(f, "{host} answered the handshake with status {}", status.as_u16()),
            Fault::Handshake(why) => write!(f, "{host} answered the handshake wrongly: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_host_and_no_user() {
        let parts = |url: &str| {
            let Target { secure, host, port, authority, resource } = Target::parse(url)?;
            Some(format!("{secure} {host} {port} {authority} {resource}"))
        };
        for (url, expected) in [
            ("ws://127.0.0.1:9000/chat", Some("false 127.0.0.1 9000 127.0.0.1:9000 /chat")),
            ("wss://chat.example.com", Some("true chat.example.com 443 chat.example.com /")),
            ("ws://[::1]/a?b=c", Some("false ::1 80 [::1] /a?b=c")),
            ("WS://example.com/", Some("false example.com 80 example.com /")),
            ("http://example.com/", None),
            ("ws://ann:secret@example.com/", None),
            ("ws:///chat", None),
            ("/chat", None),
            ("", None),
        ] {
            assert_eq!(parts(url).as_deref(), expected, "{url}");
        }
    }

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
