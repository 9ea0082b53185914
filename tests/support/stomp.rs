//! STOMP frames over a client of any transport. What the gateway sends is read by the library's own parser, which
//! has its own tests; what is sent may be a frame, or text as it stands.
//!
//! Does not know: what the gateway should answer.

use std::collections::VecDeque;

use bytes::Bytes;
use towpath::stomp::{Command, Frame, Input, Limits, Parser, Version};

use super::{Client, Ended, Frame as SockjsFrame, Transport};

/// What a STOMP client sees next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A STOMP frame.
    Frame(Frame),
    /// A STOMP heart-beat: line ends between frames.
    Beat,
    /// A SockJS `h`, or on a raw websocket a ping.
    SockjsHeartbeat,
    /// The SockJS close frame, or on a raw websocket the websocket's; over TCP the end of the stream, with code 0.
    Close(u16, String),
}

/// A STOMP conversation.
pub struct Stomp {
    /// What carries it.
    pub client: Client,
    parser: Parser,
    version: Version,
    events: VecDeque<Event>,
}

impl Stomp {
    /// STOMP over a client whose open frame has not been read yet. Nothing is sent.
    pub async fn over(mut client: Client) -> Self {
        assert_eq!(client.next().await, SockjsFrame::Open);
        // What the gateway sends is not to be judged by the limits for what it reads.
        let limits = Limits { headers: 1000, header_line: 1 << 20, body: 1 << 26, frame: 1 << 27 };
        Self { client, parser: Parser::new(limits), version: Version::V1_0, events: VecDeque::new() }
    }

    /// A connected conversation in that version, without heart-beats.
    pub async fn connect(client: Client, version: Version) -> Self {
        Self::connect_beating(client, version, "0,0").await.0
    }

    /// A connected conversation in that version with this `heart-beat` header, and the CONNECTED frame.
    pub async fn connect_beating(client: Client, version: Version, heart_beat: &str) -> (Self, Frame) {
        let mut stomp = Self::over(client).await;
        let mut connect = Frame::new(Command::Connect).with("host", "localhost").with("heart-beat", heart_beat);
        if version != Version::V1_0 {
            connect = connect.with("accept-version", version.as_str());
        }
        stomp.send(&connect).await;
        let connected = stomp.frame().await;
        assert_eq!(connected.command, Command::Connected, "{connected:?}");
        stomp.set_version(version);
        (stomp, connected)
    }

    /// The version by which frames are written and read from now on.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
        self.parser.set_version(version);
    }

    /// The version in use.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Sends a frame as one message: text if it is that.
    pub async fn send(&mut self, frame: &Frame) {
        let bytes = frame.encode(self.version);
        match std::str::from_utf8(&bytes) {
            Ok(text) => self.send_text(text).await,
            Err(_) => self.client.send_binary(&bytes).await,
        }
    }

    /// Sends a message as it stands.
    pub async fn send_text(&mut self, text: &str) {
        self.client.send(&[text]).await;
    }

    /// SUBSCRIBE.
    pub async fn subscribe(&mut self, id: &str, destination: &str) {
        self.send(&Frame::new(Command::Subscribe).with("id", id).with("destination", destination)).await;
    }

    /// SUBSCRIBE, and the RECEIPT that says that it is in force.
    pub async fn subscribed(&mut self, id: &str, destination: &str) {
        let subscribe = Frame::new(Command::Subscribe).with("id", id).with("destination", destination);
        self.confirmed(subscribe).await;
    }

    /// SEND.
    pub async fn publish(&mut self, destination: &str, body: impl Into<Bytes>) {
        self.send(&Frame::new(Command::Send).with("destination", destination).with_body(body)).await;
    }

    /// Sends a frame with a `receipt` header and waits for the RECEIPT, which must be the next frame.
    pub async fn confirmed(&mut self, frame: Frame) {
        self.send(&frame.with("receipt", "confirmed")).await;
        let receipt = self.frame().await;
        assert_eq!(
            (receipt.command, receipt.headers.get("receipt-id")),
            (Command::Receipt, Some("confirmed")),
            "{receipt:?}"
        );
    }

    /// The next frame, passing over heartbeats of either kind.
    pub async fn frame(&mut self) -> Frame {
        loop {
            match self.event().await {
                Event::Frame(frame) => return frame,
                Event::Beat | Event::SockjsHeartbeat => {}
                Event::Close(code, reason) => panic!("a STOMP frame was due, not c[{code},{reason:?}]"),
            }
        }
    }

    /// The next frame, which must be of that command.
    pub async fn expect(&mut self, command: Command) -> Frame {
        let frame = self.frame().await;
        assert_eq!(frame.command, command, "{frame:?}");
        frame
    }

    /// Code and reason of the close, which must come next but for heartbeats.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.event().await {
                Event::Close(code, reason) => return (code, reason),
                Event::Beat | Event::SockjsHeartbeat => {}
                Event::Frame(frame) => panic!("the close was due, not {frame:?}"),
            }
        }
    }

    /// The close must come next but for heartbeats, with that code where the transport has codes.
    pub async fn closed_with(&mut self, code: u16) {
        let told = if self.client.transport() == Transport::Tcp { 0 } else { code };
        assert_eq!(self.closed().await.0, told);
    }

    /// What comes next, whatever it is.
    pub async fn event(&mut self) -> Event {
        self.try_event().await.unwrap_or_else(|ended| panic!("something was due, not {ended:?}"))
    }

    /// What comes next.
    ///
    /// # Errors
    /// [`Ended`] when nothing will.
    pub async fn try_event(&mut self) -> Result<Event, Ended> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            // CONNECTED changes how what follows it is read, so the parser stops there until somebody has seen it.
            if let Some(event) = self.parse() {
                return Ok(event);
            }
            match self.client.try_next().await? {
                SockjsFrame::Open => panic!("a second open frame"),
                SockjsFrame::Heartbeat => self.events.push_back(Event::SockjsHeartbeat),
                SockjsFrame::Close(code, reason) => {
                    assert!(!self.parser.unfinished(), "the close cuts a frame");
                    self.events.push_back(Event::Close(code, reason));
                }
                SockjsFrame::Messages(messages) => {
                    for message in messages {
                        self.parser.feed(message.into());
                    }
                }
                SockjsFrame::Binary(bytes) => self.parser.feed(bytes),
            }
        }
    }

    fn parse(&mut self) -> Option<Event> {
        match self.parser.next().expect("the gateway speaks STOMP") {
            Some(Input::Frame(frame)) => Some(Event::Frame(frame)),
            Some(Input::HeartBeat) => Some(Event::Beat),
            None => None,
        }
    }
}
