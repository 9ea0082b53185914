//! Where the server of a load is, and from which of our addresses connections go there.
//!
//! Does not know: what is said on a connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::fault::Fault;
use super::link::Link;
use super::plan::Refusal;
use crate::dial::{Address, Scheme};

/// What a URL may begin with.
pub(super) const SCHEMES: [Scheme; 3] =
    [Scheme::plain("http", 80), Scheme::plain("ws", 80), Scheme::plain("tcp", 61613)];

/// The way to the server.
#[derive(Debug)]
pub(super) struct Route {
    to: SocketAddr,
    /// For the `Host` header.
    pub(super) authority: String,
    /// What the URL has behind the host: a prefix, a path or nothing, without a slash at its end.
    pub(super) path: String,
    /// The URL is that of a websocket.
    pub(super) is_websocket: bool,
    /// Connections come from so many addresses of the loopback network in turn.
    sources: u32,
    opened: AtomicU32,
    /// How long a connection may take.
    pub(super) patience: Duration,
}

impl Route {
    /// Looks the host up.
    ///
    /// # Errors
    ///
    /// The URL is none, the host is not found, or has other source addresses than are asked for.
    pub(super) async fn find(url: &str, sources: u32, patience: Duration) -> Result<Self, Refusal> {
        let address = Address::parse(url, &SCHEMES)
            .ok_or_else(|| Refusal::new("the URL must be http://host/prefix, ws://host/path or tcp://host:port"))?;
        let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
        let to = found.ok().and_then(|mut found| found.next());
        let to = to.ok_or_else(|| Refusal::new(format!("{} has no address", address.host)))?;
        if sources > 1 && !(to.ip().is_loopback() && to.is_ipv4()) {
            return Err(Refusal::new("several sources are there for targets on 127.0.0.1 only"));
        }
        let path = address.resource.trim_end_matches('/').to_owned();
        let is_websocket = url.get(..2).is_some_and(|scheme| scheme.eq_ignore_ascii_case("ws"));
        Ok(Self { to, authority: address.authority, path, is_websocket, sources, opened: AtomicU32::new(0), patience })
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// There is no way, or it takes too long.
    pub(super) async fn open(&self) -> Result<Link, Fault> {
        let stream = timeout(self.patience, self.connect()).await;
        let stream = stream.map_err(|_| Fault::Silent { what: "a connection", patience: self.patience })?;
        let stream = stream.map_err(|error| Fault::Unreachable(error.kind().to_string()))?;
        stream.set_nodelay(true)?;
        Ok(Link::new(stream))
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        if self.sources <= 1 {
            return TcpStream::connect(self.to).await;
        }
        let turn = self.opened.fetch_add(1, Ordering::Relaxed) % self.sources;
        let source = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + turn);
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(IpAddr::V4(source), 0))?;
        socket.connect(self.to).await
    }
}
