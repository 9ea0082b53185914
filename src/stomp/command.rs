//! The commands of STOMP, those of clients and those of servers.
//!
//! Does not know: what the commands do, or in which version each of them exists.

use std::fmt;

/// The first line of a frame. Commands are case-sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Client: opens the conversation.
    Connect,
    /// Client: CONNECT under another name (STOMP 1.1 and later), so that port sharing can tell it from HTTP.
    Stomp,
    /// Client: publishes a message to a destination.
    Send,
    /// Client: asks for the messages of a destination.
    Subscribe,
    /// Client: ends a subscription.
    Unsubscribe,
    /// Client: a message was consumed.
    Ack,
    /// Client: a message was not consumed (STOMP 1.1 and later).
    Nack,
    /// Client: starts a transaction.
    Begin,
    /// Client: carries a transaction out.
    Commit,
    /// Client: drops a transaction.
    Abort,
    /// Client: ends the conversation.
    Disconnect,
    /// Server: the CONNECT was accepted.
    Connected,
    /// Server: a message for a subscription.
    Message,
    /// Server: the frame that asked for it was processed.
    Receipt,
    /// Server: something went wrong, and the connection ends.
    Error,
}

impl Command {
    /// The command as it stands on the wire, such as `SEND`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Stomp => "STOMP",
            Self::Send => "SEND",
            Self::Subscribe => "SUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Ack => "ACK",
            Self::Nack => "NACK",
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Abort => "ABORT",
            Self::Disconnect => "DISCONNECT",
            Self::Connected => "CONNECTED",
            Self::Message => "MESSAGE",
            Self::Receipt => "RECEIPT",
            Self::Error => "ERROR",
        }
    }

    /// The command of a command line without its line end, or `None` if there is no such command.
    pub fn parse(line: &[u8]) -> Option<Self> {
        Some(match line {
            b"CONNECT" => Self::Connect,
            b"STOMP" => Self::Stomp,
            b"SEND" => Self::Send,
            b"SUBSCRIBE" => Self::Subscribe,
            b"UNSUBSCRIBE" => Self::Unsubscribe,
            b"ACK" => Self::Ack,
            b"NACK" => Self::Nack,
            b"BEGIN" => Self::Begin,
            b"COMMIT" => Self::Commit,
            b"ABORT" => Self::Abort,
            b"DISCONNECT" => Self::Disconnect,
            b"CONNECTED" => Self::Connected,
            b"MESSAGE" => Self::Message,
            b"RECEIPT" => Self::Receipt,
            b"ERROR" => Self::Error,
            _ => return None,
        })
    }

    /// Whether the headers of such a frame are written as they are. CONNECT and CONNECTED know no escapes, so that 1.0 peers
    /// understand them (STOMP 1.2, Value Encoding); STOMP is CONNECT under another name.
    pub fn is_verbatim(self) -> bool {
        matches!(self, Self::Connect | Self::Stomp | Self::Connected)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_case_sensitive() {
        assert_eq!(Command::parse(b"SEND"), Some(Command::Send));
        assert_eq!(Command::parse(b"send"), None);
        assert_eq!(Command::parse(b"SEND "), None);
        assert_eq!(Command::parse(b""), None);
    }
}
