//! One STOMP conversation as the server sees it: CONNECT first and once, then the client's requests as typed events, then
//! silence after DISCONNECT or an error; and the two deadlines, for the CONNECT and for the client's heart-beats.
//!
//! Does not know: bytes (the parser's affair), who may connect, what is subscribed, or when heart-beats of our own are due,
//! which depends on what the transport has written.

use std::time::{Duration, Instant};

use super::heart_beat::HeartBeat;
use super::{Command, Connect, Event, Frame, ProtocolError, Version, Violation};

/// What the server wants of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The shortest interval in which the server would send heart-beats. Zero for never.
    pub heart_beat_send: Duration,
    /// The shortest interval in which the server wants to hear from the client. Zero for never.
    pub heart_beat_receive: Duration,
    /// How long after its beginning a connection may be without CONNECT.
    pub connect_timeout: Duration,
    /// After how many silent intervals a client that promised heart-beats is given up. At least 1 is used.
    pub grace: u32,
}

impl Default for Settings {
    /// Heart-beats every 10 s both ways, as the clients in use ask for; 10 s for CONNECT; silence of 3 intervals.
    fn default() -> Self {
        Self {
            heart_beat_send: Duration::from_secs(10),
            heart_beat_receive: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            grace: 3,
        }
    }
}

/// What CONNECTED says beside the version and the heart-beats.
///
/// Headers of CONNECTED cannot be escaped, and clients trim them and cut them at colons: `session` and `server` should have
/// no colon, backslash, line break or blank at the edges.
#[derive(Debug, Clone, Copy)]
pub struct Accept<'a> {
    /// The id of the session.
    pub session: &'a str,
    /// Name and version of the server, such as `towpath/0.1.0`.
    pub server: &'a str,
    /// The user that the client is taken for, if any.
    pub user: Option<&'a str>,
}

/// The state of one conversation.
#[derive(Debug)]
pub struct Connection {
    settings: Settings,
    state: State,
    /// Outlives the state, since answers are still written in it after DISCONNECT.
    version: Option<Version>,
    heard: Instant,
}

impl Connection {
    /// A conversation that begins now, with the wait for CONNECT.
    pub fn new(settings: Settings, now: Instant) -> Self {
        let state = State::Fresh { deadline: now.checked_add(settings.connect_timeout) };
        Self { settings, state, version: None, heard: now }
    }

    /// Takes a frame of the client.
    ///
    /// After [`Event::Connect`] comes [`Connection::accept`], before any other frame is handed over: a frame in between is
    /// refused as one without CONNECT is. After an error the ERROR frame is due and then the end; what still comes
    /// in is [`Event::Ignored`], as it is after DISCONNECT (STOMP 1.2, DISCONNECT).
    pub fn handle_frame(&mut self, frame: Frame, now: Instant) -> Result<Event, ProtocolError> {
        self.heard = now;
        // Needed for the error only, when the frame is gone already.
        let receipt = frame.headers.get("receipt").map(str::to_owned);
        self.step(frame).map_err(|error| {
            self.state = State::Ended;
            error.with_receipt(receipt.as_deref())
        })
    }

    /// Notes that bytes have arrived, be it half a frame: all of them are signs of life (STOMP 1.2, Heart-beating).
    pub fn handle_bytes(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Lets the client in, whose CONNECT was the last event, and gives the CONNECTED frame: with version, session, server and
    /// heart-beat in every version, for old clients throw without them. `now` is when the client's heart-beats begin to
    /// be watched.
    ///
    /// In any other state this changes nothing, and the frame is not to be sent.
    pub fn accept(&mut self, accept: Accept<'_>, now: Instant) -> Frame {
        let beats = match self.state {
            State::Asking { beats } => {
                self.state = State::Connected { beats };
                self.heard = now;
                beats
            }
            State::Connected { beats } => beats,
            State::Fresh { .. } | State::Ended => HeartBeat::default(),
        };
        let version = self.version.unwrap_or(Version::V1_0);
        let frame = Frame::new(Command::Connected)
            .with("version", version.as_str())
            .with("session", accept.session)
            .with("server", accept.server)
            .with("heart-beat", beats.to_string());
        // Without escapes a name with line breaks cannot be said; better none than a false one. It stands last, where a
        // name with a colon cannot hide the other headers from clients that stop there.
        match accept.user {
            Some(user) if !user.contains(['\r', '\n', '\0']) => frame.with("user-name", user),
            _ => frame,
        }
    }

    /// When [`Connection::handle_timeout`] is to be called: at the deadline for CONNECT, or when a client that promised
    /// heart-beats will have been silent for too long. Every frame and [`Connection::handle_bytes`] may move it.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Fresh { deadline } => deadline,
            State::Connected { beats } => {
                let patience = beats.wants_interval()?.checked_mul(self.settings.grace.max(1))?;
                self.heard.checked_add(patience)
            }
            State::Asking { .. } | State::Ended => None,
        }
    }

    /// Gives the error if the moment of [`Connection::poll_timeout`] has come. An early call does no harm.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ProtocolError> {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        let error = match self.state {
            State::Connected { .. } => {
                let silence = now.saturating_duration_since(self.heard).as_millis();
                ProtocolError::new(Violation::HeartBeatMissing, format!("nothing was heard for {silence} ms"))
            }
            _ => {
                let patience = self.settings.connect_timeout.as_millis();
                ProtocolError::new(Violation::ConnectTimeout, format!("no CONNECT came within {patience} ms"))
            }
        };
        self.state = State::Ended;
        Err(error)
    }

    /// The version that was agreed when CONNECT came; the parser needs it from then on. It outlasts the end.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// The interval in which the client was promised to hear something, if it was: the server's heart-beats that
    /// really run.
    pub fn send_interval(&self) -> Option<Duration> {
        match self.state {
            State::Connected { beats } => beats.can_interval(),
            _ => None,
        }
    }

    fn step(&mut self, frame: Frame) -> Result<Event, ProtocolError> {
        match (&self.state, frame.command) {
            (State::Ended, _) => Ok(Event::Ignored),
            (State::Fresh { .. }, Command::Connect | Command::Stomp) => self.connect(frame),
            (State::Fresh { .. }, command) => {
                Err(ProtocolError::new(Violation::NotConnected, format!("the first frame is CONNECT, not {command}")))
            }
            (State::Asking { .. }, command) if !matches!(command, Command::Connect | Command::Stomp) => {
                Err(ProtocolError::new(Violation::NotConnected, format!("{command} came before CONNECTED was sent")))
            }
            (State::Asking { .. } | State::Connected { .. }, _) => {
                let event = Event::parse(frame, self.version.unwrap_or(Version::V1_0))?;
                if let Event::Disconnect { .. } = event {
                    self.state = State::Ended;
                }
                Ok(event)
            }
        }
    }

    fn connect(&mut self, frame: Frame) -> Result<Event, ProtocolError> {
        let accepted = frame.headers.get("accept-version");
        let version = Version::negotiate(accepted).ok_or_else(|| {
            let detail = format!("STOMP {} is spoken here, not {:?}", Version::SUPPORTED, accepted.unwrap_or_default());
            ProtocolError::new(Violation::NoCommonVersion, detail)
        })?;
        let wish = match frame.headers.get("heart-beat") {
            // 1.0 has no heart-beats, and its clients would not know what to make of them.
            Some(value) if version > Version::V1_0 => HeartBeat::parse(value).ok_or_else(|| {
                ProtocolError::new(Violation::InvalidHeader, format!("heart-beat is not two numbers but {value:?}"))
            })?,
            _ => HeartBeat::default(),
        };
        let connect = Connect::parse(frame, version)?;
        self.version = Some(version);
        self.state =
            State::Asking { beats: wish.answer(self.settings.heart_beat_send, self.settings.heart_beat_receive) };
        Ok(Event::Connect(connect))
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing has come.
    Fresh {
        deadline: Option<Instant>,
    },
    /// CONNECT has come and waits for its answer. There is no deadline: the delay is ours.
    Asking {
        beats: HeartBeat,
    },
    Connected {
        beats: HeartBeat,
    },
    /// After DISCONNECT, an error or a time-out.
    Ended,
}
