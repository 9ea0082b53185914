//! A STOMP 1.2 client over TCP that reads one message at a time, so that a test says how far it has read.
//!
//! Does not know: queues and what becomes of messages.

#![allow(dead_code, reason = "each test file uses its own part")]

use towpath::session::{Carrier, CloseReason, Flow};
use towpath::stomp::{Command, Frame, Version};

use crate::bed::Bed;
use crate::bed::stomp::{Client, send, subscribe, unsubscribe};
use crate::member::{Got, got};

pub struct Peer {
    pub client: Client,
}

impl Peer {
    pub fn new(bed: &Bed) -> Self {
        let mut client = Client::connected(bed, Carrier::Tcp, Version::V1_2);
        client.reader.budget = 1;
        Self { client }
    }

    /// A client with one subscription, of the id `s`.
    pub fn consuming(bed: &Bed, destination: &str, headers: &[(&str, &str)]) -> Self {
        let peer = Self::new(bed);
        peer.subscribe(bed, "s", destination, headers);
        peer
    }

    pub fn subscribe(&self, bed: &Bed, id: &str, destination: &str, headers: &[(&str, &str)]) {
        self.does(bed, with(subscribe(id, destination), headers));
    }

    pub fn unsubscribe(&self, bed: &Bed, id: &str) {
        self.does(bed, unsubscribe(id));
    }

    pub fn send(&self, bed: &Bed, destination: &str, headers: &[(&str, &str)], body: &str) {
        self.does(bed, with(send(destination, body), headers));
    }

    /// A frame that is not refused.
    pub fn does(&self, bed: &Bed, frame: Frame) {
        assert_eq!(self.client.send(bed, &frame), Flow::Continue, "{frame:?}");
    }

    /// The text of the ERROR that a frame gets: its `message` and its body. The session has ended with it.
    pub fn refused(mut self, bed: &Bed, frame: Frame) -> String {
        assert_eq!(self.client.send(bed, &frame), Flow::Closed, "{frame:?}");
        let error = std::iter::from_fn(|| self.one(bed)).last().expect("an ERROR");
        assert!(error.starts_with("ERROR\n"), "{error}");
        error
    }

    /// Reads no more than one frame.
    pub fn one(&mut self, bed: &Bed) -> Option<String> {
        self.client.reader.one(bed)
    }

    /// Reads up to so many messages.
    pub fn take(&mut self, bed: &Bed, count: usize) -> Vec<Got> {
        let message = |frame: String| {
            assert!(frame.starts_with("MESSAGE\n"), "{frame}");
            got(&frame)
        };
        std::iter::from_fn(|| self.one(bed)).take(count).map(message).collect()
    }

    /// Reads all messages there are.
    pub fn all(&mut self, bed: &Bed) -> Vec<Got> {
        self.take(bed, usize::MAX)
    }

    pub fn bodies(&mut self, bed: &Bed) -> Vec<String> {
        self.all(bed).into_iter().map(|got| got.body).collect()
    }

    pub fn ack(&self, bed: &Bed, got: &Got) {
        self.does(bed, answer(Command::Ack, got));
    }

    pub fn nack(&self, bed: &Bed, got: &Got, requeue: bool) {
        self.does(bed, answer(Command::Nack, got).with("requeue", if requeue { "true" } else { "false" }));
    }

    /// Messages that wait for it in its outbox.
    pub fn backlog(&self) -> usize {
        self.client.reader.session.backlog().1
    }

    /// The connection breaks.
    pub fn cut(&self, bed: &Bed) {
        bed.hang_up(&self.client.reader, CloseReason::Interrupted);
    }
}

pub fn answer(command: Command, got: &Got) -> Frame {
    let (number, tag) = got.ack.expect("it is to be acknowledged");
    Frame::new(command).with("id", format!("{number}-{tag}"))
}

pub fn with(frame: Frame, headers: &[(&str, &str)]) -> Frame {
    headers.iter().fold(frame, |frame, (name, value)| frame.with(*name, *value))
}
