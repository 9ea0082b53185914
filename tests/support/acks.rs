//! Frames about acknowledgements and transactions, as each STOMP version has them. For test files that take it in by its path.
//!
//! Does not know: what the gateway does with them.

#![allow(dead_code, reason = "each test file uses its own part")]

use towpath::stomp::{Command, Frame, Version};

use crate::support::stomp::Stomp;

/// A SUBSCRIBE with that ack mode.
pub fn subscribe(id: &str, destination: &str, mode: &str) -> Frame {
    Frame::new(Command::Subscribe).with("id", id).with("destination", destination).with("ack", mode)
}

/// An ACK or NACK of that message, by the header that the version names it with.
pub fn verdict(command: Command, version: Version, message: &Frame) -> Frame {
    let header = |name| message.headers.get(name).unwrap_or_else(|| panic!("{name} in {message:?}"));
    let frame = Frame::new(command);
    match version {
        Version::V1_2 => frame.with("id", header("ack")),
        Version::V1_1 => frame.with("message-id", header("message-id")).with("subscription", header("subscription")),
        Version::V1_0 => frame.with("message-id", header("message-id")),
    }
}

pub fn ack(version: Version, message: &Frame) -> Frame {
    verdict(Command::Ack, version, message)
}

pub fn nack(version: Version, message: &Frame) -> Frame {
    verdict(Command::Nack, version, message)
}

/// An ACK of an id that no message has shown, or not to this client; 1.1 says of which subscription.
pub fn ack_of(version: Version, id: &str, subscription: &str) -> Frame {
    let frame = Frame::new(Command::Ack);
    match version {
        Version::V1_2 => frame.with("id", id),
        Version::V1_1 => frame.with("message-id", id).with("subscription", subscription),
        Version::V1_0 => frame.with("message-id", id),
    }
}

pub fn send(destination: &str, body: &str) -> Frame {
    Frame::new(Command::Send).with("destination", destination).with_body(body.to_owned())
}

pub fn begin(transaction: &str) -> Frame {
    Frame::new(Command::Begin).with("transaction", transaction)
}

pub fn commit(transaction: &str) -> Frame {
    Frame::new(Command::Commit).with("transaction", transaction)
}

pub fn abort(transaction: &str) -> Frame {
    Frame::new(Command::Abort).with("transaction", transaction)
}

/// What a MESSAGE says: its body, and whether it has been delivered before.
pub fn said(message: &Frame) -> (String, bool) {
    assert_eq!(message.command, Command::Message, "{message:?}");
    let redelivered = message.headers.get("redelivered");
    assert!(matches!(redelivered, None | Some("true")), "{message:?}");
    (String::from_utf8_lossy(&message.body).into_owned(), redelivered.is_some())
}

impl Stomp {
    /// SUBSCRIBE with that ack mode, in force when this returns. What waits at the destination comes behind the RECEIPT or
    /// before it, so nothing may wait there.
    pub async fn consumes(&mut self, id: &str, destination: &str, mode: &str) {
        self.confirmed(subscribe(id, destination, mode)).await;
    }

    /// Consumes from an empty queue, and sends these messages to it; gives them as they came.
    pub async fn given(&mut self, id: &str, queue: &str, mode: &str, bodies: &[&str]) -> Vec<Frame> {
        self.consumes(id, queue, mode).await;
        for body in bodies {
            self.send(&send(queue, body)).await;
        }
        self.first_time(bodies).await
    }

    /// The next messages must be these, for the first time.
    pub async fn first_time(&mut self, bodies: &[&str]) -> Vec<Frame> {
        self.messages(bodies, false).await
    }

    /// The next messages must be these, and say that they were delivered before.
    pub async fn again(&mut self, bodies: &[&str]) -> Vec<Frame> {
        self.messages(bodies, true).await
    }

    /// Nothing has come that was not read yet: what another client has been told is done would be here by now.
    pub async fn quiet(&mut self) {
        self.confirmed(send("/topic/for/nobody", "")).await;
    }

    async fn messages(&mut self, bodies: &[&str], redelivered: bool) -> Vec<Frame> {
        let mut messages = vec![];
        for body in bodies {
            let message = self.frame().await;
            assert_eq!(said(&message), ((*body).to_owned(), redelivered), "{message:?}");
            messages.push(message);
        }
        messages
    }
}
