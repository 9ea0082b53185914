//! What a client asks for, frame by frame, as types: required headers are there, values are understood, and the differences
//! between the versions are settled (STOMP 1.2, Client Frames).
//!
//! Does not know: whether destinations, subscriptions, messages and transactions exist. The owner of these checks that,
//! and also that a subscription id is not in use already.

use std::fmt;

use bytes::Bytes;

use super::{Command, Frame, Headers, ProtocolError, Version, Violation};

/// A valid client frame.
///
/// Everything but CONNECT may ask for a receipt: after it took effect, the answer is [`Frame::receipt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// CONNECT or STOMP: the client wants in. Answer with `Connection::accept`, or refuse it with an ERROR and close.
    Connect(Connect),
    /// SEND.
    Send(Send),
    /// SUBSCRIBE.
    Subscribe(Subscribe),
    /// UNSUBSCRIBE.
    Unsubscribe(Unsubscribe),
    /// ACK.
    Ack(Ack),
    /// NACK, in 1.1 and later.
    Nack(Ack),
    /// BEGIN.
    Begin {
        /// The id of the new transaction, unique in the connection.
        transaction: String,
        /// The receipt that is asked for.
        receipt: Option<String>,
    },
    /// COMMIT.
    Commit {
        /// The transaction to carry out.
        transaction: String,
        /// The receipt that is asked for.
        receipt: Option<String>,
    },
    /// ABORT.
    Abort {
        /// The transaction to drop.
        transaction: String,
        /// The receipt that is asked for.
        receipt: Option<String>,
    },
    /// DISCONNECT: send the receipt if one is asked for, then close.
    Disconnect {
        /// The receipt that is asked for.
        receipt: Option<String>,
    },
    /// A frame after DISCONNECT or after an error, to be passed over.
    Ignored,
}

/// A CONNECT (STOMP 1.2, CONNECT or STOMP Frame). A missing `host` is fine: many clients send none.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect {
    /// The negotiated version.
    pub version: Version,
    /// The virtual host, if named.
    pub host: Option<String>,
    /// The user, if named.
    pub login: Option<String>,
    /// The password, if given.
    pub passcode: Option<Passcode>,
    /// The other headers, such as tokens of the application. They may be secrets.
    pub headers: Headers,
}

/// A password. It shows itself only to who asks for it by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Passcode(String);

/// A SEND (STOMP 1.2, SEND).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// Where it goes.
    pub destination: String,
    /// The transaction it is part of.
    pub transaction: Option<String>,
    /// The receipt that is asked for.
    pub receipt: Option<String>,
    /// The headers that must reappear on the MESSAGE, `content-type` among them. Those that the server sets there itself
    /// are taken out, so that no client can forge them.
    pub headers: Headers,
    /// The message.
    pub body: Bytes,
}

/// A SUBSCRIBE (STOMP 1.2, SUBSCRIBE).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// The id that its MESSAGEs carry. Missing only in 1.0.
    pub id: Option<String>,
    /// What is subscribed to.
    pub destination: String,
    /// How messages are acknowledged.
    pub ack: AckMode,
    /// The receipt that is asked for.
    pub receipt: Option<String>,
    /// The other headers, `selector` among them.
    pub headers: Headers,
}

/// How the messages of a subscription are acknowledged (STOMP 1.2, SUBSCRIBE ack Header).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AckMode {
    /// A message counts as consumed when it is written.
    #[default]
    Auto,
    /// An ACK covers everything that was sent earlier on the subscription.
    Client,
    /// An ACK covers one message. In 1.1 and later.
    ClientIndividual,
}

/// An UNSUBSCRIBE (STOMP 1.2, UNSUBSCRIBE).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Which subscription ends.
    pub subscription: UnsubscribeBy,
    /// The receipt that is asked for.
    pub receipt: Option<String>,
}

/// How an UNSUBSCRIBE names its subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnsubscribeBy {
    /// By its id.
    Id(String),
    /// By its destination, in 1.0 only.
    Destination(String),
}

/// An ACK or a NACK (STOMP 1.2, ACK and NACK).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Which message it is about.
    pub message: Acknowledged,
    /// The transaction it is part of.
    pub transaction: Option<String>,
    /// The receipt that is asked for.
    pub receipt: Option<String>,
    /// Whether the message is to be delivered again, if this is a NACK: its `requeue` header, which RabbitMQ introduced.
    pub requeue: bool,
}

/// How an ACK names its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledged {
    /// 1.2: by the `ack` header of the MESSAGE.
    Ack(String),
    /// 1.0 and 1.1: by its `message-id`.
    Message {
        /// The `message-id` header of the MESSAGE.
        id: String,
        /// The subscription it came by. Always there in 1.1.
        subscription: Option<String>,
    },
}

impl Event {
    /// The receipt that the frame asks for.
    pub fn receipt(&self) -> Option<&str> {
        match self {
            Self::Send(Send { receipt, .. })
            | Self::Subscribe(Subscribe { receipt, .. })
            | Self::Unsubscribe(Unsubscribe { receipt, .. })
            | Self::Ack(Ack { receipt, .. })
            | Self::Nack(Ack { receipt, .. })
            | Self::Begin { receipt, .. }
            | Self::Commit { receipt, .. }
            | Self::Abort { receipt, .. }
            | Self::Disconnect { receipt } => receipt.as_deref(),
            Self::Connect(_) | Self::Ignored => None,
        }
    }

    /// Reads a client frame, which must not be CONNECT or STOMP, by the rules of that version.
    pub(super) fn parse(frame: Frame, version: Version) -> Result<Self, ProtocolError> {
        let Frame { command, headers, body } = frame;
        check_body(command, &body, version)?;
        let mut fields = Fields { command, headers };
        let receipt = fields.optional("receipt");
        Ok(match command {
            Command::Send => Self::Send(Send {
                destination: fields.required("destination")?,
                transaction: fields.optional("transaction"),
                receipt,
                headers: fields.of_message(),
                body,
            }),
            Command::Subscribe => Self::Subscribe(Subscribe {
                destination: fields.required("destination")?,
                id: match version {
                    Version::V1_0 => fields.optional("id").filter(|id| !id.is_empty()),
                    Version::V1_1 | Version::V1_2 => Some(fields.required("id")?),
                },
                ack: fields.ack_mode(version)?,
                receipt,
                headers: fields.headers,
            }),
            Command::Unsubscribe => {
                Self::Unsubscribe(Unsubscribe { subscription: fields.unsubscribe_by(version)?, receipt })
            }
            Command::Ack => Self::Ack(fields.ack(version, receipt)?),
            Command::Nack if version >= Version::V1_1 => Self::Nack(fields.ack(version, receipt)?),
            Command::Begin => Self::Begin { transaction: fields.required("transaction")?, receipt },
            Command::Commit => Self::Commit { transaction: fields.required("transaction")?, receipt },
            Command::Abort => Self::Abort { transaction: fields.required("transaction")?, receipt },
            Command::Disconnect => Self::Disconnect { receipt },
            Command::Nack => return Err(not_allowed(format!("STOMP {version} has no NACK"))),
            Command::Connect | Command::Stomp => {
                return Err(ProtocolError::new(Violation::AlreadyConnected, "CONNECT comes once, at the beginning"));
            }
            Command::Connected | Command::Message | Command::Receipt | Command::Error => {
                return Err(not_allowed(format!("{command} is for servers to send")));
            }
        })
    }
}

impl Connect {
    /// Reads the frame of a client with which that version was agreed.
    pub(super) fn parse(frame: Frame, version: Version) -> Result<Self, ProtocolError> {
        let Frame { command, headers, body } = frame;
        check_body(command, &body, version)?;
        let mut fields = Fields { command, headers };
        // Only now the version is known, and with it whether blanks belong to the value.
        let mut field = |name| {
            let value = fields.optional(name)?;
            Some(if version == Version::V1_0 { value.trim_matches([' ', '\t']).to_owned() } else { value })
        };
        Ok(Self {
            version,
            host: field("host"),
            login: field("login"),
            passcode: field("passcode").map(Passcode),
            headers: fields.headers,
        })
    }
}

impl fmt::Debug for Connect {
    /// Leaves out all that might be a secret, which an application's own headers might be too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("version", &self.version).field("host", &self.host).finish_non_exhaustive()
    }
}

impl Passcode {
    /// The password itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passcode")
    }
}

impl AckMode {
    /// The mode as it stands in the `ack` header of SUBSCRIBE.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Client => "client",
            Self::ClientIndividual => "client-individual",
        }
    }

    /// The mode of that name in that version, or `None` if there is none.
    pub fn parse(text: &str, version: Version) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "client" => Some(Self::Client),
            "client-individual" if version >= Version::V1_1 => Some(Self::ClientIndividual),
            _ => None,
        }
    }
}

/// From 1.1 on only SEND, of the frames of a client, may have a body. 1.0 has bodies on other frames ignored.
fn check_body(command: Command, body: &Bytes, version: Version) -> Result<(), ProtocolError> {
    if body.is_empty() || command == Command::Send || version == Version::V1_0 {
        return Ok(());
    }
    Err(ProtocolError::new(Violation::BodyNotAllowed, format!("{command} must not have a body")))
}

fn not_allowed(detail: String) -> ProtocolError {
    ProtocolError::new(Violation::CommandNotAllowed, detail)
}

/// The headers of a frame from which one after the other is taken.
struct Fields {
    command: Command,
    headers: Headers,
}

impl Fields {
    fn optional(&mut self, name: &str) -> Option<String> {
        self.headers.remove(name).map(String::from)
    }

    /// An empty value is as good as none: no destination, id or transaction has an empty name.
    fn required(&mut self, name: &str) -> Result<String, ProtocolError> {
        self.optional(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            let detail = format!("{} needs the header {name}", self.command);
            ProtocolError::new(Violation::MissingHeader, detail)
        })
    }

    fn ack_mode(&mut self, version: Version) -> Result<AckMode, ProtocolError> {
        let Some(text) = self.optional("ack") else {
            return Ok(AckMode::default());
        };
        AckMode::parse(&text, version).ok_or_else(|| {
            let detail = format!("STOMP {version} has no ack mode {text:?}");
            ProtocolError::new(Violation::InvalidHeader, detail)
        })
    }

    fn unsubscribe_by(&mut self, version: Version) -> Result<UnsubscribeBy, ProtocolError> {
        if version == Version::V1_0 {
            if let Some(id) = self.optional("id").filter(|id| !id.is_empty()) {
                return Ok(UnsubscribeBy::Id(id));
            }
            return self.required("destination").map(UnsubscribeBy::Destination);
        }
        self.required("id").map(UnsubscribeBy::Id)
    }

    fn ack(&mut self, version: Version, receipt: Option<String>) -> Result<Ack, ProtocolError> {
        let message = match version {
            Version::V1_2 => Acknowledged::Ack(self.required("id")?),
            Version::V1_1 => Acknowledged::Message {
                id: self.required("message-id")?,
                subscription: Some(self.required("subscription")?),
            },
            Version::V1_0 => {
                Acknowledged::Message { id: self.required("message-id")?, subscription: self.optional("subscription") }
            }
        };
        let requeue = match self.optional("requeue").as_deref() {
            None | Some("true") => true,
            Some("false") => false,
            Some(other) => {
                let detail = format!("requeue is true or false, not {other:?}");
                return Err(ProtocolError::new(Violation::InvalidHeader, detail));
            }
        };
        Ok(Ack { message, transaction: self.optional("transaction"), receipt, requeue })
    }

    /// What of the headers of a SEND goes on to its MESSAGE.
    fn of_message(mut self) -> Headers {
        self.headers.keep_for_message();
        self.headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passcode_does_not_show_itself() {
        let frame =
            Frame::new(Command::Connect).with("login", "ann").with("passcode", "secret").with("token", "secret");
        let connect = Connect::parse(frame, Version::V1_2).unwrap();
        let shown = format!("{connect:?} {:?}", connect.passcode);
        assert!(!shown.contains("secret"), "{shown}");
        assert_eq!(connect.passcode.as_ref().map(Passcode::expose), Some("secret"));
    }

    #[test]
    fn blanks_belong_to_a_passcode_from_1_1_on() {
        let frame = Frame::new(Command::Connect).with("passcode", " x ");
        let passcode = |version| Connect::parse(frame.clone(), version).unwrap().passcode.map(|passcode| passcode.0);
        assert_eq!(passcode(Version::V1_0).as_deref(), Some("x"));
        assert_eq!(passcode(Version::V1_1).as_deref(), Some(" x "));
    }
}
