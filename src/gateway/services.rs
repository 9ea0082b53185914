//! The small services behind `--test-services`: what conformance tests of SockJS clients and servers expect to find (the
//! protocol suite's echo, close and cookie services, the client library's amplify, ticker and broadcast, and farewell,
//! which shows that messages queued at a close still arrive).
//!
//! Does not know: STOMP, or which transport carries the session.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::session::{CloseReason, Item, Message, Protocol, Session};
use crate::sockjs;

/// Sends back what it gets, text as text and binary as binary.
pub(super) struct Echo;

impl Protocol for Echo {
    fn receive(&mut self, session: &Arc<Session>, message: Message, _: Instant) -> Result<(), CloseReason> {
        session.send(message);
        Ok(())
    }
}

/// Closes at once with 3000 `Go away!`.
pub(super) struct Close;

impl Protocol for Close {
    fn opened(&mut self, _: &Arc<Session>, _: Instant) -> Result<(), CloseReason> {
        Err(CloseReason::Application(sockjs::Close::GO_AWAY))
    }

    fn receive(&mut self, _: &Arc<Session>, _: Message, _: Instant) -> Result<(), CloseReason> {
        Ok(())
    }
}

/// Answers the number n, 1 to 18, with 2^n times `x`; anything else counts as 1.
pub(super) struct Amplify;

impl Protocol for Amplify {
    fn receive(&mut self, session: &Arc<Session>, message: Message, _: Instant) -> Result<(), CloseReason> {
        let power: Option<u32> = message.as_str().and_then(|text| text.trim().parse().ok());
        let power = power.filter(|power| (1..=18).contains(power)).unwrap_or(1);
        session.send(Message::text("x".repeat(1 << power)));
        Ok(())
    }
}

/// Says `tick!` every second.
#[derive(Default)]
pub(super) struct Ticker {
    next: Option<Instant>,
}

impl Ticker {
    const PERIOD: Duration = Duration::from_secs(1);
}

impl Protocol for Ticker {
    fn opened(&mut self, _: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        self.next = Some(now + Self::PERIOD);
        Ok(())
    }

    fn receive(&mut self, _: &Arc<Session>, _: Message, _: Instant) -> Result<(), CloseReason> {
        Ok(())
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    fn handle_timeout(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        if self.next.is_some_and(|next| now >= next) {
            session.send(Message::from_static("tick!"));
            self.next = Some(now + Self::PERIOD);
        }
        Ok(())
    }
}

/// The sessions of a broadcast endpoint.
#[derive(Default)]
pub(super) struct Audience(Mutex<HashMap<u64, Arc<Session>>>);

/// Sends what any session says to all of them. Text only: SockJS could not carry anything else to the others.
pub(super) struct Broadcast {
    audience: Arc<Audience>,
}

impl Broadcast {
    pub fn new(audience: Arc<Audience>) -> Self {
        Self { audience }
    }
}

impl Protocol for Broadcast {
    fn opened(&mut self, session: &Arc<Session>, _: Instant) -> Result<(), CloseReason> {
        self.audience.0.lock().insert(session.serial(), Arc::clone(session));
        Ok(())
    }

    fn receive(&mut self, _: &Arc<Session>, message: Message, _: Instant) -> Result<(), CloseReason> {
        let message = Message::from_utf8(message.into_payload());
        if !message.is_text() {
            return Err(CloseReason::Websocket { code: 1003, reason: "broadcast carries text only" });
        }
        let message = Arc::new(message);
        for session in self.audience.0.lock().values() {
            session.push(Item::Message(Arc::clone(&message)));
        }
        Ok(())
    }

    fn closed(&mut self, session: &Arc<Session>, _: &CloseReason, _: Instant) {
        self.audience.0.lock().remove(&session.serial());
    }
}

/// Echoes each message; after the echo of `bye` it closes with 3000 `Go away!`.
pub(super) struct Farewell;

impl Protocol for Farewell {
    fn receive(&mut self, session: &Arc<Session>, message: Message, _: Instant) -> Result<(), CloseReason> {
        let bye = message.as_str() == Some("bye");
        session.send(message);
        if bye { Err(CloseReason::Application(sockjs::Close::GO_AWAY)) } else { Ok(()) }
    }
}
