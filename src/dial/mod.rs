//! The way to somebody else's server: what a URL says of where it listens, TCP, and TLS on it. Who opens a websocket there goes
//! on with [`websocket`].
//!
//! Does not know: what goes over the connection, or how long all this may take.

pub(crate) mod websocket;

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use hyper::{StatusCode, Uri};
use hyper_rustls::ConfigBuilderExt as _;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What a URL says of where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Whether TLS comes first.
    pub secure: bool,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    /// The port, that of the scheme if the URL has none.
    pub port: u16,
    /// For the `Host` header.
    pub authority: String,
    /// Path and query; a slash if there is neither.
    pub resource: String,
}

/// A scheme that a URL may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scheme {
    name: &'static str,
    secure: bool,
    port: u16,
}

/// `http://` and `https://`.
pub(crate) const HTTP: [Scheme; 2] = [Scheme::plain("http", 80), Scheme::secure("https", 443)];
/// `ws://` and `wss://`.
pub(crate) const WEBSOCKET: [Scheme; 2] = [Scheme::plain("ws", 80), Scheme::secure("wss", 443)];

/// A connection, encrypted or not.
pub(crate) type Stream = Box<dyn Io>;

/// What both kinds of connection are.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for S {}

/// Why there is no connection. The text names host and port, and nothing else of the URL: its query may be a secret.
#[derive(Debug)]
pub(crate) struct DialError {
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

impl Scheme {
    /// A scheme without TLS, with the port that its URLs have where they name none.
    pub(crate) const fn plain(name: &'static str, port: u16) -> Self {
        Self { name, secure: false, port }
    }

    /// The same with TLS.
    pub(crate) const fn secure(name: &'static str, port: u16) -> Self {
        Self { name, secure: true, port }
    }
}

impl Address {
    /// The parts of a URL that has one of these schemes. One with a user in it is none: a credential there is shown too easily.
    pub fn parse(url: &str, schemes: &[Scheme]) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let name = uri.scheme_str()?;
        let scheme = schemes.iter().find(|scheme| scheme.name.eq_ignore_ascii_case(name))?;
        let authority = uri.authority()?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || authority.as_str().contains('@') {
            return None;
        }
        Some(Self {
            secure: scheme.secure,
            host,
            port: authority.port_u16().unwrap_or(scheme.port),
            authority: authority.as_str().to_owned(),
            resource: uri.path_and_query().map_or("/", |resource| resource.as_str()).to_owned(),
        })
    }

    /// TCP, and TLS on it if the URL says so; without a connector with the system's root certificates.
    pub async fn connect(&self, tls: Option<&TlsConnector>) -> Result<Stream, DialError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|why| self.fail(Fault::Unreachable(why)))?;
        self.over(stream, tls).await
    }

    /// TLS, if the URL says so, on a connection that is there.
    pub async fn over(&self, stream: TcpStream, tls: Option<&TlsConnector>) -> Result<Stream, DialError> {
        // Frames are small and each is flushed when it is due; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        if !self.secure {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|_| self.fail(Fault::Url))?;
        let connected = match tls {
            Some(tls) => tls.connect(name, stream).await,
            None => system().connect(name, stream).await,
        };
        Ok(Box::new(connected.map_err(|why| self.fail(Fault::Tls(why)))?))
    }

    fn fail(&self, fault: Fault) -> DialError {
        DialError { host: format!("{}:{}", self.host, self.port), fault }
    }
}

impl DialError {
    /// A URL of no scheme that will do, or without a host.
    pub(crate) fn url() -> Self {
        Self { host: String::new(), fault: Fault::Url }
    }

    /// What is wrong with the server's certificate, if that is why TLS failed.
    pub(crate) fn certificate(&self) -> Option<&CertificateError> {
        let Fault::Tls(why) = &self.fault else { return None };
        match why.get_ref()?.downcast_ref()? {
            rustls::Error::InvalidCertificate(why) => Some(why),
            _ => None,
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match &self.fault {
            Fault::Url => f.write_str("the URL must have a scheme that will do here, name a host and no user"),
            Fault::Unreachable(why) => write!(f, "{host} cannot be reached: {why}"),
            Fault::Tls(why) => write!(f, "{host} cannot be trusted, or speaks no TLS: {why}"),
            Fault::Http(why) => write!(f, "{host} broke off: {why}"),
            Fault::Status(status) => write!(f, "{host} answered the handshake with status {}", status.as_u16()),
            Fault::Handshake(why) => write!(f, "{host} answered the handshake wrongly: {why}"),
        }
    }
}

impl Error for DialError {}

/// The connector of whoever brings none. It is made once, since that reads all of the system's root certificates.
fn system() -> &'static TlsConnector {
    static SYSTEM: OnceLock<TlsConnector> = OnceLock::new();
    SYSTEM.get_or_init(|| TlsConnector::from(Arc::new(client_config())))
}

/// TLS with the system's root certificates. Without any, every host is refused.
pub(crate) fn client_config() -> ClientConfig {
    match builder().with_native_roots() {
        Ok(config) => config.with_no_client_auth(),
        Err(_) => {
            tracing::warn!("the system has no root certificates: no https host can be asked");
            builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    }
}

fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    // Named, since a process may have several providers and no default then. This one has all versions, so nothing fails here.
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|_| ClientConfig::builder())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_host_and_no_user() {
        let parts = |url: &str| {
            let Address { secure, host, port, authority, resource } = Address::parse(url, &WEBSOCKET)?;
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
}
