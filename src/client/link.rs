//! One connection that carries STOMP's bytes, whatever is below: TCP, a websocket, or SockJS.
//!
//! Does not know: STOMP's frames. Where the carrier has messages, what is sent at once is one of them.

use std::fmt;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message as Packet, Utf8Bytes};

use super::pipe::{Outlet, Pipe};
use super::sockjs::{Fallback, SockJs, Transport};
use super::websocket::{self, Message};
use super::{Cause, Ended, OpenError, Options, stream};
use crate::dial::{Address, HTTP, Scheme, WEBSOCKET};

/// STOMP over TCP has no scheme of its own in wide use; the ports are those of brokers.
const TCP: [Scheme; 2] = [Scheme::plain("tcp", 61613), Scheme::secure("tcp+tls", 61614)];

/// An open connection. When it is dropped, it ends without a word; [`Link::close`] does it properly.
///
/// ```no_run
/// use towpath::client::{Link, Options};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let mut link = Link::open("http://127.0.0.1:8080/stomp", &Options::default()).await?;
/// link.send("CONNECT\naccept-version:1.2\nhost:localhost\n\n\0".into()).await?;
/// let answer = link.receive().await?;
/// println!("{}: {answer:?}", link.via());
/// link.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Link {
    carrier: Carrier,
    via: Via,
}

/// What a connection goes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// A stream of bytes: TCP, with TLS or without, or what was handed to [`Link::over`].
    Stream,
    /// A bare websocket, with the subprotocol that the server chose.
    Websocket(Option<String>),
    /// A SockJS session over that transport.
    SockJs(Transport),
}

/// Sends into a connection from elsewhere, while the link itself is being received from.
#[derive(Debug, Clone)]
pub struct Sender(Way);

#[derive(Debug)]
enum Carrier {
    Bytes(Pipe<Bytes>),
    SockJs(Box<SockJs>),
}

#[derive(Debug, Clone)]
enum Way {
    Bytes(Outlet<Bytes>),
    Text(super::sockjs::Sender),
}

impl Link {
    /// Opens a connection. The URL's scheme says what is below:
    ///
    /// - `tcp` and `tcp+tls`: a stream of bytes; without a port it is 61613 or 61614.
    /// - `ws` and `wss`: a bare websocket, to which [`Options::subprotocols`] are offered.
    /// - `http` and `https`: a SockJS session over one of [`Options::transports`].
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub async fn open(url: &str, options: &Options) -> Result<Self, OpenError> {
        options.check()?;
        if let Some(address) = Address::parse(url, &TCP) {
            let connecting = timeout(options.connect_timeout, address.connect(options.connector().as_ref())).await;
            let stream = connecting.map_err(|_| OpenError::Late(options.connect_timeout))??;
            return Ok(Self { carrier: Carrier::Bytes(stream::pipe(stream, options)), via: Via::Stream });
        }
        if let Some(address) = Address::parse(url, &WEBSOCKET) {
            return Self::open_websocket(&address, options).await;
        }
        if Address::parse(url, &HTTP).is_none() {
            return Err(OpenError::Url);
        }
        let session = SockJs::open(url, options).await?;
        let via = Via::SockJs(session.transport());
        Ok(Self { carrier: Carrier::SockJs(Box::new(session)), via })
    }

    /// A connection over a stream that is there already, such as one through a proxy or a pipe. Of the options it has a use for
    /// [`Options::idle_timeout`], [`Options::close_timeout`] and [`Options::max_pending`].
    ///
    /// # Errors
    ///
    /// [`OpenError::Option`].
    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static, options: &Options) -> Result<Self, OpenError> {
        options.check()?;
        Ok(Self { carrier: Carrier::Bytes(stream::pipe(stream, options)), via: Via::Stream })
    }

    async fn open_websocket(address: &Address, options: &Options) -> Result<Self, OpenError> {
        let (headers, tls) = (options.header_map()?, options.connector());
        let opening = websocket::open(address, tls.as_ref(), headers, &options.subprotocols, options);
        let opened = timeout(options.connect_timeout, opening).await;
        let (socket, chosen) = opened.map_err(|_| OpenError::Late(options.connect_timeout))??;
        let idle = options.idle_timeout;
        let pipe = Pipe::spawn(options.max_pending, options.close_timeout, move |inlet, orders| {
            websocket::run(socket, inlet, orders, idle, |message| Ok(vec![decode(message)]), encode)
        });
        Ok(Self { carrier: Carrier::Bytes(pipe), via: Via::Websocket(chosen) })
    }

    /// Sends one message, or so many bytes. Waits while [`Options::max_pending`] bytes are pending. Cancel safe: all is sent or nothing.
    ///
    /// # Errors
    ///
    /// How the connection ended. SockJS carries text alone: bytes that are not UTF-8 are [`Cause::Unsendable`] there, and the
    /// connection goes on.
    pub async fn send(&self, bytes: Bytes) -> Result<(), Ended> {
        match &self.carrier {
            Carrier::Bytes(pipe) => pipe.outlet().send(bytes).await,
            Carrier::SockJs(session) => session.send(text(bytes)?).await,
        }
    }

    /// The next message, or what was read next. Cancel safe. What nobody receives is not read, but for a few messages.
    ///
    /// # Errors
    ///
    /// How the connection ended, once all that came before is received.
    pub async fn receive(&mut self) -> Result<Bytes, Ended> {
        match &mut self.carrier {
            Carrier::Bytes(pipe) => pipe.receive().await,
            Carrier::SockJs(session) => session.receive().await.map(Bytes::from),
        }
    }

    /// Another handle to send by.
    pub fn sender(&self) -> Sender {
        Sender(match &self.carrier {
            Carrier::Bytes(pipe) => Way::Bytes(pipe.outlet().clone()),
            Carrier::SockJs(session) => Way::Text(session.sender()),
        })
    }

    /// Sends what is pending and closes the connection, no longer than [`Options::close_timeout`].
    pub async fn close(self) {
        match self.carrier {
            Carrier::Bytes(pipe) => pipe.close().await,
            Carrier::SockJs(session) => session.close().await,
        }
    }

    /// What it goes over.
    pub fn via(&self) -> &Via {
        &self.via
    }

    /// The SockJS transports that were tried before, each with why it was given up.
    pub fn fallbacks(&self) -> &[Fallback] {
        match &self.carrier {
            Carrier::Bytes(_) => &[],
            Carrier::SockJs(session) => session.fallbacks(),
        }
    }
}

impl Sender {
    /// Like [`Link::send`].
    ///
    /// # Errors
    ///
    /// Those of [`Link::send`].
    pub async fn send(&self, bytes: Bytes) -> Result<(), Ended> {
        match &self.0 {
            Way::Bytes(outlet) => outlet.send(bytes).await,
            Way::Text(sender) => sender.send(text(bytes)?).await,
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream => f.write_str("TCP"),
            Self::Websocket(Some(subprotocol)) => write!(f, "websocket ({subprotocol})"),
            Self::Websocket(None) => f.write_str("websocket"),
            Self::SockJs(transport) => write!(f, "SockJS {transport}"),
        }
    }
}

fn text(bytes: Bytes) -> Result<String, Ended> {
    let unsendable = |_| Ended::new(Cause::Unsendable, None, "SockJS carries text alone, and this is not UTF-8");
    String::from_utf8(bytes.into()).map_err(unsendable)
}

fn decode(message: Message) -> Bytes {
    match message {
        Message::Text(bytes) | Message::Binary(bytes) => bytes,
    }
}

/// Text where it is text: clients that only read text are the most.
fn encode(messages: Vec<Bytes>) -> Vec<Packet> {
    let packet = |bytes: Bytes| match Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => Packet::Text(text),
        Err(_) => Packet::Binary(bytes),
    };
    messages.into_iter().map(packet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_text_goes_as_text() {
        let packets = encode(vec!["é\0".into(), Bytes::from_static(b"\xff")]);
        assert_eq!(packets, [Packet::text("é\0"), Packet::binary(&b"\xff"[..])]);
    }

    #[tokio::test]
    async fn urls_of_no_use_are_told_at_once() {
        for url in ["", "example.com", "ftp://example.com", "tcp://", "http://ann:secret@example.com/", "stomp://h"] {
            let error = Link::open(url, &Options::default()).await.unwrap_err();
            assert!(matches!(error, OpenError::Url), "{url}: {error}");
        }
    }
}
