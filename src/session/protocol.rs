//! What a service makes of a session: the one behaviour that every transport feeds and every service implements. STOMP,
//! echo, and whatever an embedding application brings differ only here.
//!
//! Does not know: which services exist.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{CloseReason, Message, Session};

/// The state of one session's conversation. The session calls it under its inbound lock, so calls never overlap, and
/// messages come in the order in which the client sent them.
///
/// An `Err` ends the session with that reason: everything already in the outbox is still sent, then the close.
pub trait Protocol: Send {
    /// The session is open and its first frame is on its way.
    fn opened(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        let _ = (session, now);
        Ok(())
    }

    /// A message from the client.
    fn receive(&mut self, session: &Arc<Session>, message: Message, now: Instant) -> Result<(), CloseReason>;

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next, if at all.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come (or something else made the session look).
    fn handle_timeout(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        let _ = (session, now);
        Ok(())
    }

    /// The gateway is about to end the session for this reason: the place for last words to the client.
    fn closing(&mut self, session: &Arc<Session>, reason: &CloseReason) {
        let _ = (session, reason);
    }

    /// How long nothing more should be read from the client, if it sends faster than its messages can be passed on. What
    /// comes nevertheless is kept for [`resume`](Self::resume), which the transport, or else a deadline, calls afterwards.
    fn pause(&self) -> Option<Duration> {
        None
    }

    /// Whether nothing more can be done for the client until an answer comes that somebody else was asked for. Whoever brings
    /// it calls [`Session::resume`].
    fn is_waiting(&self) -> bool {
        false
    }

    /// The pause may be over, or the answer be there: goes on with what was kept.
    fn resume(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        let _ = (session, now);
        Ok(())
    }

    /// The session has ended; called once, whoever ended it. Everything registered elsewhere is to be taken back here.
    fn closed(&mut self, session: &Arc<Session>, reason: &CloseReason, now: Instant) {
        let _ = (session, reason, now);
    }
}
