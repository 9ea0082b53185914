//! What the checks of one carrier share: the way to the server, who we are there, and names that nobody else uses.
//!
//! Does not know: what is checked.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::carrier::{Carrier, Line, Way};
use super::conversation::Conversation;
use super::dialect::Claim;
use super::transcript::Transcript;
use super::{Dialect, Settings};
use crate::conformance::Stop;
use crate::stomp::{Command, Frame, Version};
use crate::wire::{Fault, Limits, Load, Target};

/// A server over one carrier.
pub(super) struct Probe {
    pub carrier: Carrier,
    pub target: Target,
    path: String,
    load: Load,
    limits: Limits,
    login: Option<String>,
    passcode: Option<String>,
    host: Option<String>,
    pub dialect: Dialect,
    /// The versions that the server speaks.
    pub spoken: Vec<Version>,
}

impl Probe {
    /// A server as it is before anything was asked of it. `path` is that of the websocket, or the prefix of a SockJS service.
    pub fn new(carrier: Carrier, target: &Target, path: String, load: &Load, settings: &Settings) -> Self {
        Self {
            carrier,
            target: target.clone(),
            path,
            load: load.clone(),
            limits: settings.limits,
            login: settings.login.clone(),
            passcode: settings.passcode.clone(),
            host: settings.host.clone(),
            dialect: settings.dialect,
            spoken: vec![Version::V1_0, Version::V1_1, Version::V1_2],
        }
    }

    pub fn way(&self) -> Way<'_> {
        let Self { carrier, target, path, load, limits, .. } = self;
        Way { carrier: *carrier, target, path, load, limits: *limits }
    }

    /// Opens a line.
    ///
    /// # Errors
    ///
    /// Every [`Fault`].
    pub async fn line(&self) -> Result<Line, Fault> {
        self.way().open().await
    }

    /// Opens a conversation in which nothing has been said.
    ///
    /// # Errors
    ///
    /// The check fails if there is no connection.
    pub async fn open(&self) -> Result<Conversation<'_>, Stop> {
        Conversation::open(self, Transcript::default()).await
    }

    /// Opens a conversation and connects in that version.
    ///
    /// # Errors
    ///
    /// The check fails if there is no CONNECTED, or has nothing to look at if the server does not speak the version.
    pub async fn connect(&self, version: Version) -> Result<Conversation<'_>, Stop> {
        let mut conversation = self.open().await?;
        conversation.connect(version).await?;
        Ok(conversation)
    }

    /// Opens a conversation in that version that is subscribed, as `s`, to a topic of its own; and the topic.
    ///
    /// # Errors
    ///
    /// Those of [`Probe::connect`], and the check fails if the subscription is refused.
    pub async fn listener(&self, version: Version) -> Result<(Conversation<'_>, String), Stop> {
        let mut conversation = self.connect(version).await?;
        let topic = self.topic();
        conversation.subscribe("s", &topic).await?;
        Ok((conversation, topic))
    }

    /// The CONNECT of that version: without heart-beats, with the login if there is one.
    pub fn connect_frame(&self, version: Version) -> Frame {
        match version {
            Version::V1_0 => self.connect_with(None),
            _ => self.connect_with(Some(version.as_str())),
        }
    }

    /// A CONNECT with that `accept-version`.
    pub fn connect_with(&self, accept: Option<&str>) -> Frame {
        let mut frame = self.anonymous(accept);
        if let Some(login) = &self.login {
            frame = frame.with("login", login.as_str()).with("passcode", self.passcode.as_deref().unwrap_or_default());
        }
        frame
    }

    /// A CONNECT without login.
    pub fn anonymous(&self, accept: Option<&str>) -> Frame {
        let mut frame = Frame::new(Command::Connect);
        if let Some(accept) = accept {
            frame = frame.with("accept-version", accept).with("host", self.host()).with("heart-beat", "0,0");
        }
        frame
    }

    /// The name of the virtual host.
    pub fn host(&self) -> &str {
        self.host.as_deref().unwrap_or_else(|| self.dialect.host(self.target.host()))
    }

    /// Where a client connects that is given a URL.
    pub fn url(&self) -> String {
        let (plain, secure) = match self.carrier {
            Carrier::Tcp => ("tcp", "tls"),
            Carrier::WebSocket => ("ws", "wss"),
            _ => ("http", "https"),
        };
        let scheme = if self.target.is_secure() { secure } else { plain };
        format!("{scheme}://{}{}", self.target.authority(), self.path)
    }

    /// Leave for the connections of one line that somebody else opens. They are free again when the permits go.
    pub async fn permits(&self) -> Vec<OwnedSemaphorePermit> {
        let mut permits = Vec::new();
        for _ in 0..self.carrier.connections() {
            permits.extend(self.load.connection().await);
        }
        permits
    }

    pub fn login(&self) -> Option<&str> {
        self.login.as_deref()
    }

    pub fn passcode(&self) -> Option<&str> {
        self.passcode.as_deref()
    }

    /// A name that nobody else has.
    pub fn name(&self) -> String {
        format!("towpath-{:012x}", rand::random::<u64>() >> 16)
    }

    /// A topic that nobody else uses.
    pub fn topic(&self) -> String {
        self.dialect.topic(&self.name())
    }

    /// A queue that nobody else uses.
    pub fn queue(&self) -> String {
        self.dialect.queue(&self.name())
    }

    /// Ends the check if the server does not claim to have that.
    ///
    /// # Errors
    ///
    /// [`Stop::NotOffered`].
    pub fn needs(&self, claim: Claim) -> Result<(), Stop> {
        match self.dialect.lacks(claim) {
            None => Ok(()),
            Some(why) => Err(Stop::NotOffered(why.to_owned())),
        }
    }

    /// Whether the server claims to have that.
    pub fn has(&self, claim: Claim) -> bool {
        self.dialect.lacks(claim).is_none()
    }

    /// Ends the check if the server does not speak that version.
    ///
    /// # Errors
    ///
    /// [`Stop::NotOffered`].
    pub fn speaks(&self, version: Version) -> Result<(), Stop> {
        if version == Version::V1_0 {
            self.needs(Claim::OldClients)?;
        }
        match self.spoken.contains(&version) {
            true => Ok(()),
            false => Err(Stop::NotOffered(format!("the server does not speak STOMP {version}"))),
        }
    }

    /// How long is waited for an answer.
    pub fn patience(&self) -> Duration {
        self.limits.patience
    }

    /// The most that is read of one frame.
    pub fn most(&self) -> usize {
        self.limits.body
    }

    /// From now on the server is not waited for longer than that.
    pub fn hurry(&mut self, patience: Duration) {
        self.limits.patience = self.limits.patience.min(patience);
    }

    /// How long it is listened whether something comes that should not. What comes wrongly comes at once, nearly always.
    pub fn lull(&self) -> Duration {
        (self.limits.patience / 4).clamp(Duration::from_millis(60), Duration::from_millis(400))
    }
}

/// A SEND.
pub(super) fn message(destination: &str, body: impl Into<bytes::Bytes>) -> Frame {
    Frame::new(Command::Send).with("destination", destination).with_body(body)
}

/// A SUBSCRIBE.
pub(super) fn subscription(id: &str, destination: &str) -> Frame {
    Frame::new(Command::Subscribe).with("id", id).with("destination", destination)
}

/// A frame with one header.
pub(super) fn with(command: Command, name: &str, value: &str) -> Frame {
    Frame::new(command).with(name, value)
}
