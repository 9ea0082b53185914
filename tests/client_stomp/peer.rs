//! A server that a test plays itself, over pipes: it sees what the client writes, and answers what it likes.
//!
//! Does not know: any client.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;
use towpath::client::stomp::{Client, ClientError, Options, Reconnect};
use towpath::client::{Link, OpenError, Options as LinkOptions};
use towpath::stomp::{Command, Frame, Input, Limits, Parser, Version};

use super::within;

/// How much a pipe holds.
const PIPE: usize = 4096;

/// What a client connects to.
pub struct Server {
    connections: mpsc::UnboundedReceiver<DuplexStream>,
}

/// One connection of a client.
pub struct Peer {
    stream: DuplexStream,
    parser: Parser,
}

/// Options with which a test knows what happens when.
pub fn options() -> Options {
    let reconnect = Reconnect { first: Duration::from_secs(1), jitter: 0.0, ..Reconnect::default() };
    Options { heart_beat: (Duration::ZERO, Duration::ZERO), reconnect: Some(reconnect), ..Options::default() }
}

type Dialling = Pin<Box<dyn Future<Output = Result<Link, OpenError>> + Send>>;

/// A server, and the way to it.
pub fn server() -> (Server, impl Fn() -> Dialling + Send + Sync + 'static) {
    let (to, connections) = mpsc::unbounded_channel();
    let dial = move || -> Dialling {
        let to = to.clone();
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(PIPE);
            to.send(far).map_err(|_| OpenError::Refused("the server is down".to_owned()))?;
            Link::over(near, &LinkOptions::default())
        })
    };
    (Server { connections }, dial)
}

/// A connected client, its server, and the connection between them.
pub async fn connected(options: Options) -> (Client, Server, Peer) {
    let (mut server, dial) = server();
    let (client, peer) = tokio::join!(Client::connect_by(dial, options), async {
        let mut peer = server.accept().await;
        peer.connect("0,0").await;
        peer
    });
    (client.expect("it is connected"), server, peer)
}

impl Server {
    /// The next connection.
    pub async fn accept(&mut self) -> Peer {
        let stream = within("a connection", self.connections.recv()).await.expect("somebody can connect");
        let limits = Limits { body: 1 << 24, frame: 1 << 25, ..Limits::default() };
        Peer { stream, parser: Parser::new(limits) }
    }

    /// Waits until nobody can connect any more. False if somebody does.
    pub async fn is_abandoned(&mut self) -> bool {
        within("the client to be gone", self.connections.recv()).await.is_none()
    }

    /// The next connection, with CONNECT answered.
    pub async fn accept_connect(&mut self) -> Peer {
        let mut peer = self.accept().await;
        peer.connect("0,0").await;
        peer
    }
}

impl Peer {
    /// Answers CONNECT in version 1.2 with that `heart-beat` header, and gives the CONNECT.
    pub async fn connect(&mut self, heart_beat: &str) -> Frame {
        let connect = self.expect(Command::Connect).await;
        let answer = Frame::new(Command::Connected).with("version", "1.2").with("server", "a test");
        self.send(&answer.with("session", "s").with("heart-beat", heart_beat)).await;
        self.parser.set_version(Version::V1_2);
        connect
    }

    /// What the client writes next; `None` at its end.
    pub async fn next(&mut self) -> Option<Input> {
        loop {
            if let Some(input) = self.parser.next().expect("clients write what is right") {
                return Some(input);
            }
            let mut bytes = vec![0; PIPE];
            let count = within("the client to write", self.stream.read(&mut bytes)).await.unwrap_or(0);
            if count == 0 {
                return None;
            }
            bytes.truncate(count);
            self.parser.feed(Bytes::from(bytes));
        }
    }

    /// The next frame, which is such a one.
    pub async fn expect(&mut self, command: Command) -> Frame {
        loop {
            match self.next().await {
                Some(Input::Frame(frame)) => {
                    assert_eq!(frame.command, command, "{frame:?}");
                    return frame;
                }
                Some(Input::HeartBeat) => {}
                None => panic!("the client went away before {command}"),
            }
        }
    }

    /// The next frame, which is such a one, confirmed if it wants to be.
    pub async fn confirm(&mut self, command: Command) -> Frame {
        let frame = self.expect(command).await;
        if let Some(receipt) = frame.headers.get("receipt") {
            self.send(&Frame::receipt(receipt)).await;
        }
        frame
    }

    /// Writes a frame.
    pub async fn send(&mut self, frame: &Frame) {
        self.write(&frame.encode(Version::V1_2)).await;
    }

    /// A message for a subscription.
    pub async fn message(&mut self, subscribe: &Frame, body: &str) {
        self.send(&message(subscribe, body)).await;
    }

    /// Writes anything.
    pub async fn write(&mut self, bytes: &[u8]) {
        within("the client to read", self.stream.write_all(bytes)).await.expect("the client is there");
    }

    /// Writes as much of it as the client takes within a time, and gives how much that was.
    pub async fn write_for(&mut self, time: Duration, bytes: &[u8]) -> usize {
        let mut written = 0;
        let writing = async {
            while written < bytes.len() {
                match self.stream.write(&bytes[written..]).await {
                    Ok(count) => written += count,
                    // It has seen enough.
                    Err(_) => break,
                }
            }
        };
        let _ = tokio::time::timeout(time, writing).await;
        written
    }
}

/// A message for a subscription.
pub fn message(subscribe: &Frame, body: &str) -> Frame {
    let header = |name: &str| subscribe.headers.get(name).expect("SUBSCRIBE has it").to_owned();
    Frame::new(Command::Message)
        .with("subscription", header("id"))
        .with("destination", header("destination"))
        .with("message-id", body)
        .with("ack", format!("ack-{body}"))
        .with_body(body.to_owned())
}

/// The text of what somebody was told instead of a confirmation.
pub fn refused(told: Result<(), ClientError>) -> String {
    told.expect_err("it is not confirmed").to_string()
}
