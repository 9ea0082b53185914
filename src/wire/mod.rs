//! HTTP/1 and websockets as they are on the wire, for the tools that look at other people's servers: what is written is written
//! exactly as it was put together, wrong things too, and what is read is kept exactly as it came, with its chunks and the times
//! of their arrival. Nothing is followed, pooled or repeated. Every wait has an end and every answer a largest size, so whoever
//! looks at a server that is slow, silent, endless or not a server at all learns just that.
//!
//! Does not know: SockJS, STOMP, and what anything that it reads should have been.

mod connection;
mod fault;
mod load;
mod reach;
mod request;
mod response;
mod show;
mod websocket;

pub use connection::{Connection, Limits};
pub use fault::Fault;
pub use load::{Load, Spent};
pub use reach::{Reached, Unreached};
pub use request::Request;
pub use response::{Framing, Head, Piece, Response};
pub use show::{hex_dump, shown};
pub use websocket::{Closing, Opcode, WebSocket, WebSocketFrame};

use std::net::SocketAddr;

use crate::dial::{Address, HTTP, Scheme, WEBSOCKET};

/// A server, and the path below which it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    address: Address,
    base: String,
}

const SCHEMES: [Scheme; 4] = [HTTP[0], HTTP[1], WEBSOCKET[0], WEBSOCKET[1]];
/// Bare connections, with the ports that brokers have for STOMP.
const BARE: [Scheme; 2] = [Scheme::plain("tcp", 61613), Scheme::secure("tls", 61614)];

impl Target {
    /// The target that a URL names: `http`, `https`, `ws` or `wss`. Its path, without slashes at the end and without query, is put
    /// before that of every request.
    ///
    /// # Errors
    ///
    /// A sentence that says what the URL lacks.
    pub fn parse(url: &str) -> Result<Self, String> {
        let Some(address) = Address::parse(url, &SCHEMES) else {
            return Err(format!(
                "{url:?} is no URL of a server; write it like http://127.0.0.1:8080/echo, without a user"
            ));
        };
        let path = address.resource.split('?').next().unwrap_or_default();
        let base = path.trim_end_matches('/').to_owned();
        Ok(Self { address, base })
    }

    /// The target that a URL with `tcp` or `tls` names: a port without HTTP. Without a port it is the usual one of STOMP, 61613 or
    /// 61614.
    ///
    /// # Errors
    ///
    /// A sentence that says what the URL lacks.
    pub fn bare(url: &str) -> Result<Self, String> {
        match Address::parse(url, &BARE) {
            Some(address) if matches!(&*address.resource, "" | "/") => Ok(Self { address, base: String::new() }),
            _ => Err(format!(
                "{url:?} is no URL of a port; write it like tcp://127.0.0.1:61613, without a path or a user"
            )),
        }
    }

    /// The whole path of what lies at `path` below the URL's own.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The URL of a path on this server, such as the one of [`Target::path`].
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.address.secure { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address.authority)
    }

    /// What the `Host` header says.
    pub fn authority(&self) -> &str {
        &self.address.authority
    }

    /// The name or the address of the server.
    pub fn host(&self) -> &str {
        &self.address.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port
    }

    /// Whether requests are encrypted.
    pub fn is_secure(&self) -> bool {
        self.address.secure
    }

    /// Every address that the host's name stands for.
    ///
    /// # Errors
    ///
    /// [`Fault::Unreachable`] if it stands for none.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, Fault> {
        let found = tokio::net::lookup_host((self.address.host.as_str(), self.address.port)).await;
        let found: Vec<_> = found.map_err(|why| Fault::Unreachable(why.to_string()))?.collect();
        if found.is_empty() {
            return Err(Fault::Unreachable(format!("{} has no address", self.address.host)));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_targets_path_comes_before_that_of_each_request() {
        let target = Target::parse("http://127.0.0.1:8080/realtime/?ticket=1").unwrap();
        assert_eq!(target.path("/echo/info"), "/realtime/echo/info");
        assert_eq!(target.url("/realtime/echo"), "http://127.0.0.1:8080/realtime/echo");
        let bare = Target::parse("wss://[::1]").unwrap();
        assert_eq!((bare.path("/echo"), bare.authority(), bare.host()), ("/echo".to_owned(), "[::1]", "::1"));
        assert_eq!(bare.url("/echo"), "https://[::1]/echo");
    }

    #[test]
    fn a_bare_target_is_a_port_and_nothing_else() {
        let target = Target::bare("tcp://localhost").unwrap();
        assert_eq!((target.host(), target.port(), target.is_secure()), ("localhost", 61613, false));
        assert_eq!(Target::bare("tls://[::1]:7").map(|target| (target.port(), target.is_secure())), Ok((7, true)));
        for url in ["", "http://127.0.0.1:1", "tcp://127.0.0.1:1/path", "tcp://ann:secret@127.0.0.1"] {
            assert!(Target::bare(url).unwrap_err().contains("tcp://127.0.0.1:61613"), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_server_is_said_to_be_none() {
        for url in ["", "127.0.0.1:8080", "/echo", "tcp://127.0.0.1:1", "http://ann:secret@127.0.0.1/"] {
            assert!(Target::parse(url).unwrap_err().contains("http://127.0.0.1:8080/echo"), "{url}");
        }
    }
}
