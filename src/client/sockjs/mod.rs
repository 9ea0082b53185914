//! A SockJS client: asks for info, takes the first transport that opens a session, and then sends and receives texts. It does what
//! clients in browsers do, with their order and their time-outs, and says which transport it is and why others were given up.
//!
//! ```no_run
//! use towpath::client::{Options, sockjs::SockJs};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut session = SockJs::open("http://127.0.0.1:8080/echo", &Options::default()).await?;
//! println!("over {}; given up before: {:?}", session.transport(), session.fallbacks());
//! session.send("hello").await?;
//! assert_eq!(session.receive().await?, "hello");
//! session.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Every transport is tried with a session of its own, and has as long for its open frame as sockjs-client would give it: twice the
//! round trip of info plus 300 ms, or eight round trips where one takes longer than 100 ms; but at least
//! [`Options::transport_timeout`]. A server that closes a session on purpose before it is open, with 1000 or 3000 to 4999, is taken
//! at its word, and nothing else is tried.
//!
//! Does not know: what the texts mean. It has no eventsource, htmlfile and jsonp: those are for browsers that lack XHR streaming.

mod cookies;
mod frame;
mod http;
mod info;
mod lines;
mod transport;
mod websocket;
mod xhr;

pub use info::Info;
pub use transport::{Fallback, Transport};

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use self::http::Place;
use super::pipe::{Outlet, Pipe};
use super::{Ended, OpenError, Options};
use crate::dial::Address;

/// An open session. When it is dropped, it ends without a word; [`SockJs::close`] does it properly.
#[derive(Debug)]
pub struct SockJs {
    pipe: Pipe<String>,
    transport: Transport,
    fallbacks: Vec<Fallback>,
    info: Info,
    round_trip: Duration,
}

/// Sends into a session from elsewhere, while the session itself is being received from.
#[derive(Debug, Clone)]
pub struct Sender(Outlet<String>);

/// How an attempt with one transport failed.
enum Attempt {
    /// The next one may do better.
    Failed(String),
    /// The server means it.
    Refused(Ended),
}

impl SockJs {
    /// Opens a session of the service at that URL, `http` or `https`, over the first transport that comes through. The URL's query
    /// goes with every request, as browsers' clients do it.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: most of all [`OpenError::NoTransport`], which says of each transport why it was given up.
    pub async fn open(url: &str, options: &Options) -> Result<Self, OpenError> {
        options.check()?;
        let place = Place::parse(url, options)?;
        let asked = timeout(options.info_timeout, info::ask(&place)).await;
        let (info, round_trip) = asked.map_err(|_| OpenError::Late(options.info_timeout))??;
        let place = Arc::new(place.moved(info.base_url.as_deref())?);
        let patience = info::patience(round_trip, options.transport_timeout);
        let mut fallbacks = Vec::new();
        for &transport in &options.transports {
            if transport == Transport::Websocket && !info.websocket {
                fallbacks.push(Fallback { transport, why: "info says that it is switched off".to_owned() });
                continue;
            }
            let why = match timeout(patience, attempt(&place, transport, options)).await {
                Ok(Ok(pipe)) => return Ok(Self { pipe, transport, fallbacks, info, round_trip }),
                Ok(Err(Attempt::Failed(why))) => why,
                Ok(Err(Attempt::Refused(ended))) => return Err(OpenError::Closed(ended)),
                Err(_) => format!("no open frame came within {patience:?}"),
            };
            fallbacks.push(Fallback { transport, why });
        }
        Err(OpenError::NoTransport(fallbacks))
    }

    /// Sends one message. Waits while [`Options::max_pending`] bytes are pending; that it returns does not mean that the server has
    /// the message. Cancel safe: the message is then sent or not.
    ///
    /// # Errors
    ///
    /// How the session ended.
    pub async fn send(&self, message: impl Into<String>) -> Result<(), Ended> {
        self.pipe.outlet().send(message.into()).await
    }

    /// The next message. Cancel safe. While nobody receives, no more than a few frames are read: then the server must wait, and
    /// neither its heartbeats nor its pings are seen.
    ///
    /// # Errors
    ///
    /// How the session ended, once every message before that is received.
    pub async fn receive(&mut self) -> Result<String, Ended> {
        self.pipe.receive().await
    }

    /// Waits until all that was sent is written and, over HTTP, answered.
    ///
    /// # Errors
    ///
    /// How the session ended.
    pub async fn flushed(&self) -> Result<(), Ended> {
        self.pipe.outlet().flushed().await
    }

    /// Another handle to send by.
    pub fn sender(&self) -> Sender {
        Sender(self.pipe.outlet().clone())
    }

    /// Sends what is pending and ends the session, no longer than [`Options::close_timeout`]. HTTP transports know no goodbye: the
    /// server notices that nobody polls any more.
    pub async fn close(self) {
        self.pipe.close().await;
    }

    /// The transport that came through.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The transports that were tried before, each with why it was given up.
    pub fn fallbacks(&self) -> &[Fallback] {
        &self.fallbacks
    }

    /// What the server said of itself.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// How long info took, the connection included: the time-outs of the transports come from it.
    pub fn round_trip(&self) -> Duration {
        self.round_trip
    }
}

impl Sender {
    /// Like [`SockJs::send`].
    ///
    /// # Errors
    ///
    /// How the session ended.
    pub async fn send(&self, message: impl Into<String>) -> Result<(), Ended> {
        self.0.send(message.into()).await
    }
}

/// The part of a path that nobody else has: a server of three digits and a session of so many letters and digits, as those of
/// sockjs-client.
pub(crate) fn fresh_session(letters: usize) -> String {
    let server = rand::random_range(0..1000);
    let letter = |_| char::from(b"abcdefghijklmnopqrstuvwxyz012345"[rand::random_range(0..32)]);
    let session: String = (0..letters).map(letter).collect();
    format!("/{server:03}/{session}")
}

/// Opens a session of its own over one transport.
async fn attempt(place: &Arc<Place>, transport: Transport, options: &Options) -> Result<Pipe<String>, Attempt> {
    let below = format!("{}/", fresh_session(16));
    match transport {
        Transport::Websocket => websocket::open(place, &below, options).await,
        Transport::XhrStreaming | Transport::Xhr => xhr::open(place, &below, transport, options).await,
    }
}

impl From<Ended> for Attempt {
    fn from(ended: Ended) -> Self {
        if ended.is_deliberate() { Self::Refused(ended) } else { Self::Failed(ended.to_string()) }
    }
}

/// The resource of what lies below a base: its path goes in front, its query behind.
fn resource(base: &Address, below: &str) -> String {
    let (path, query) = match base.resource.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (base.resource.as_str(), None),
    };
    let path = path.trim_end_matches('/');
    match query {
        Some(query) => format!("{path}{below}?{query}"),
        None => format!("{path}{below}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::HTTP;

    #[test]
    fn the_query_goes_behind_everything_that_lies_below() {
        for (url, expected) in [
            ("http://h/echo", "/echo/info"),
            ("http://h/echo/", "/echo/info"),
            ("http://h", "/info"),
            ("http://h/a/b?ticket=1&x=%20", "/a/b/info?ticket=1&x=%20"),
        ] {
            assert_eq!(resource(&Address::parse(url, &HTTP).unwrap(), "/info"), expected, "{url}");
        }
    }
}
