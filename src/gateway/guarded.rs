//! What authentication adds to the sessions of any service: a ticket belongs to the first session whose client speaks or stays, and a
//! session ends when the proof of who its client is expires.
//!
//! Does not know: the service inside, or how proofs are checked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::principal::Ticket;
use super::tickets::Tickets;
use crate::session::{CloseReason, Message, Protocol, Session};

/// A service's protocol, under guard.
pub(super) struct Guarded {
    inner: Box<dyn Protocol>,
    expires: Option<Instant>,
    ticket: Option<(Ticket, Arc<Tickets>)>,
    /// When the session takes the ticket even if its client has only listened: it lives, so it is the one that works.
    claim_at: Option<Instant>,
}

impl Guarded {
    pub fn new(inner: Box<dyn Protocol>, expires: Option<Instant>, ticket: Option<(Ticket, Arc<Tickets>)>) -> Self {
        Self { inner, expires, ticket, claim_at: None }
    }

    /// Makes sure that the ticket is this session's.
    fn claim(&mut self, session: &Session, now: Instant) -> Result<(), CloseReason> {
        self.claim_at = None;
        match &self.ticket {
            Some((ticket, tickets)) if !tickets.claim(ticket, session.serial(), now) => {
                Err(CloseReason::NotAuthenticated)
            }
            _ => Ok(()),
        }
    }
}

impl Protocol for Guarded {
    fn opened(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        let until = self.ticket.as_ref().and_then(|(ticket, tickets)| tickets.until(ticket));
        self.claim_at = until.map(|until| now + until.saturating_duration_since(now) / 2);
        self.inner.opened(session, now)
    }

    fn receive(&mut self, session: &Arc<Session>, message: Message, now: Instant) -> Result<(), CloseReason> {
        self.claim(session, now)?;
        self.inner.receive(session, message, now)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.inner.poll_timeout(), self.expires, self.claim_at].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        if self.expires.is_some_and(|expires| expires <= now) {
            return Err(CloseReason::CredentialsExpired);
        }
        if self.claim_at.is_some_and(|at| at <= now) {
            self.claim(session, now)?;
        }
        self.inner.handle_timeout(session, now)
    }

    fn closing(&mut self, session: &Arc<Session>, reason: &CloseReason) {
        self.inner.closing(session, reason);
    }

    fn pause(&self) -> Option<Duration> {
        self.inner.pause()
    }

    fn is_waiting(&self) -> bool {
        self.inner.is_waiting()
    }

    fn resume(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        self.inner.resume(session, now)
    }

    fn closed(&mut self, session: &Arc<Session>, reason: &CloseReason, now: Instant) {
        if let Some((ticket, tickets)) = &self.ticket {
            tickets.release(ticket, session.serial());
        }
        self.inner.closed(session, reason, now);
    }
}
