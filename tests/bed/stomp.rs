//! A STOMP client on the bed: frames in and out over a session of any carrier.

use towpath::session::{Carrier, Flow, Message};
use towpath::stomp::{Command, Frame, Input, Limits, Parser, Version};

use super::{Bed, Reader, Seen, messages};

pub const VERSIONS: [Version; 3] = [Version::V1_0, Version::V1_1, Version::V1_2];

/// One client.
pub struct Client {
    pub reader: Reader,
    pub version: Version,
    parser: Parser,
}

impl Client {
    /// A session that has not said anything yet.
    pub fn fresh(bed: &Bed, carrier: Carrier) -> Self {
        let reader = match carrier {
            Carrier::Http => {
                static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
                let id = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                bed.stream(&format!("client-{id}"))
            }
            socket => bed.open(socket),
        };
        let limits = Limits { body: 1 << 26, frame: 1 << 27, ..Limits::default() };
        Self { reader, version: Version::V1_0, parser: Parser::new(limits) }
    }

    /// A client that is connected, without heart-beats.
    pub fn connected(bed: &Bed, carrier: Carrier, version: Version) -> Self {
        Self::beating(bed, carrier, version, "0,0").0
    }

    /// A client that is connected with that `heart-beat` header, and the CONNECTED it got.
    pub fn beating(bed: &Bed, carrier: Carrier, version: Version, beats: &str) -> (Self, Frame) {
        Self::greeting(bed, carrier, version, &connect(version).with("heart-beat", beats))
    }

    /// A client that logs in by that name, with STOMP 1.2.
    pub fn login(bed: &Bed, carrier: Carrier, name: &str) -> Self {
        Self::greeting(bed, carrier, Version::V1_2, &connect(Version::V1_2).with("login", name)).0
    }

    fn greeting(bed: &Bed, carrier: Carrier, version: Version, connect: &Frame) -> (Self, Frame) {
        let mut client = Self::fresh(bed, carrier);
        assert_eq!(client.send(bed, connect), Flow::Continue);
        let mut frames = client.frames(bed);
        assert_eq!(frames.len(), 1, "{frames:?}");
        let connected = frames.remove(0);
        assert_eq!(connected.command, Command::Connected);
        client.version = version;
        client.parser.set_version(version);
        (client, connected)
    }

    /// Sends one frame in one message.
    pub fn send(&self, bed: &Bed, frame: &Frame) -> Flow {
        self.send_bytes(bed, &frame.encode(self.version))
    }

    /// Sends bytes in one message.
    pub fn send_bytes(&self, bed: &Bed, bytes: &[u8]) -> Flow {
        let message = Message::from_utf8(bytes.to_vec().into());
        bed.gateway.receive(&self.reader.session, vec![message], bed.now)
    }

    pub fn subscribe(&self, bed: &Bed, id: &str, destination: &str) -> Flow {
        self.send(bed, &subscribe(id, destination))
    }

    /// Reads what can be read now and gives the frames in it. Each message must be one whole frame or one line feed.
    pub fn frames(&mut self, bed: &Bed) -> Vec<Frame> {
        self.reader.read(bed);
        let seen = self.reader.take();
        let mut frames = vec![];
        for (_, seen) in seen {
            match seen {
                Seen::Frame(text) if self.reader.framing.is_none() => self.parse(text.as_bytes(), &mut frames),
                Seen::Frame(frame) if frame.starts_with('a') => {
                    for message in messages(&frame) {
                        self.parse(message.as_bytes(), &mut frames);
                    }
                }
                Seen::Binary(bytes) => self.parse(&bytes, &mut frames),
                Seen::Frame(_) | Seen::Ping | Seen::Closed(_) | Seen::Gone => {}
            }
        }
        frames
    }

    /// As [`frames`](Self::frames), but the last thing there must be the close.
    pub fn frames_to_the_end(&mut self, bed: &Bed) -> Vec<Frame> {
        self.reader.read(bed);
        let last = self.reader.seen.last().map(|(_, seen)| seen.clone());
        assert!(matches!(last, Some(Seen::Closed(_))), "{last:?}");
        self.frames(bed)
    }

    fn parse(&mut self, message: &[u8], frames: &mut Vec<Frame>) {
        if message == b"\n" {
            return;
        }
        assert_eq!(message.last(), Some(&0), "a message is one whole frame: {:?}", String::from_utf8_lossy(message));
        self.parser.feed(message.to_vec().into());
        match self.parser.next() {
            Ok(Some(Input::Frame(frame))) => frames.push(frame),
            other => panic!("{other:?} in {:?}", String::from_utf8_lossy(message)),
        }
        assert_eq!(self.parser.next(), Ok(None), "a second frame in one message");
    }
}

pub fn connect(version: Version) -> Frame {
    let frame = Frame::new(Command::Connect).with("host", "test");
    if version == Version::V1_0 { frame } else { frame.with("accept-version", version.as_str()) }
}

pub fn subscribe(id: &str, destination: &str) -> Frame {
    Frame::new(Command::Subscribe).with("id", id).with("destination", destination)
}

pub fn unsubscribe(id: &str) -> Frame {
    Frame::new(Command::Unsubscribe).with("id", id)
}

pub fn send(destination: &str, body: &str) -> Frame {
    Frame::new(Command::Send).with("destination", destination).with_body(body.to_owned())
}

/// The bodies of MESSAGE frames; panics if there is another one among them.
pub fn bodies(frames: &[Frame]) -> Vec<String> {
    let body = |frame: &Frame| {
        assert_eq!(frame.command, Command::Message, "{frame:?}");
        String::from_utf8_lossy(&frame.body).into_owned()
    };
    frames.iter().map(body).collect()
}
