//! How connections are opened and what they may cost, whatever is below.
//!
//! Does not know: which of these a kind of connection has a use for; each says so itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::ClientConfig;
use tokio_rustls::TlsConnector;

use super::OpenError;
use super::sockjs::Transport;

/// How a connection is opened and what it may cost. Made by `Options { .., ..Options::default() }`.
#[derive(Clone)]
pub struct Options {
    /// Headers of every HTTP request and websocket handshake, such as `Authorization`, `Cookie` or `Origin`. Default: none.
    pub headers: Vec<(String, String)>,
    /// TLS other than with the system's root certificates, such as with those of a company. Default: none.
    pub tls: Option<Arc<ClientConfig>>,
    /// How long TCP, TLS and a bare websocket's handshake may take together. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long SockJS's info may take, all of it. Default: 8 s, as in browsers.
    pub info_timeout: Duration,
    /// The SockJS transports to try, in order. Default: all of them, the best first.
    pub transports: Vec<Transport>,
    /// How long a SockJS transport has at least to open a session. What it has is taken from the time that info took, see
    /// [`sockjs`](super::sockjs); browsers know no such floor, and fall back on a fast network after 600 ms. Default: 2 s.
    pub transport_timeout: Duration,
    /// The subprotocols that are offered where STOMP goes over a bare websocket. Default: those of STOMP, the newest first.
    pub subprotocols: Vec<String>,
    /// Nothing has come for so long, not even a heartbeat: then the connection is lost. `None` waits for ever. Default: none, since
    /// STOMP has heart-beats of its own. SockJS servers mostly send something every 25 s.
    pub idle_timeout: Option<Duration>,
    /// How long one request that carries messages to a SockJS server may take. Default: 30 s.
    pub request_timeout: Duration,
    /// How long closing may take: what is pending is sent, and the server's answer waited for. Default: 5 s.
    pub close_timeout: Duration,
    /// Bytes that may be pending, waiting to be written or for the answer of a request: beyond that, sending waits. A larger message
    /// is sent when nothing else is pending. Default: 64 KiB.
    pub max_pending: usize,
    /// The largest message of a websocket and the largest SockJS frame that is read, in bytes. Default: 4 MiB.
    pub max_frame: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            tls: None,
            connect_timeout: Duration::from_secs(10),
            info_timeout: Duration::from_secs(8),
            transports: Transport::ALL.to_vec(),
            transport_timeout: Duration::from_secs(2),
            subprotocols: ["v12.stomp", "v11.stomp", "v10.stomp"].map(str::to_owned).to_vec(),
            idle_timeout: None,
            request_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            max_pending: 64 << 10,
            max_frame: 4 << 20,
        }
    }
}

impl fmt::Debug for Options {
    /// Shows the names of headers, and not their values: some are credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Options")
            .field("headers", &names)
            .field("connect_timeout", &self.connect_timeout)
            .field("info_timeout", &self.info_timeout)
            .field("transports", &self.transports)
            .field("transport_timeout", &self.transport_timeout)
            .field("subprotocols", &self.subprotocols)
            .field("idle_timeout", &self.idle_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("close_timeout", &self.close_timeout)
            .field("max_pending", &self.max_pending)
            .field("max_frame", &self.max_frame)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<(), OpenError> {
        let zero = [(self.max_pending, "max_pending"), (self.max_frame, "max_frame")];
        match zero.iter().find(|(value, _)| *value == 0) {
            Some((_, name)) => Err(OpenError::Option(name)),
            None => Ok(()),
        }
    }

    /// The headers as HTTP has them.
    pub(super) fn header_map(&self) -> Result<HeaderMap, OpenError> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let wrong = || OpenError::Header(name.clone());
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
            value.set_sensitive(true);
            map.append(key, value);
        }
        Ok(map)
    }

    /// What makes TLS connections, where they are not made by the system's certificates.
    pub(super) fn connector(&self) -> Option<TlsConnector> {
        self.tls.clone().map(TlsConnector::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_values_of_headers() {
        let headers = vec![("Authorization".to_owned(), "Bearer secret".to_owned())];
        let shown = format!("{:?}", Options { headers, ..Options::default() });
        assert!(shown.contains("Authorization") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn what_cannot_be_a_header_is_refused_by_name_alone() {
        for (name, value) in [("a b", "x"), ("Cookie", "secret\r\nX: 1")] {
            let options = Options { headers: vec![(name.to_owned(), value.to_owned())], ..Options::default() };
            let error = options.header_map().unwrap_err();
            assert!(error.to_string().contains(name) && !error.to_string().contains("secret"), "{error}");
            assert!(!error.may_pass());
        }
    }
}
