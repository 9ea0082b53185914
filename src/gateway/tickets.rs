//! Tickets: proofs for a URL's query that are good once and for a short time, since URLs end up in logs. The first session
//! whose client speaks has its ticket to itself until it ends; one that nobody has claimed in time is gone.
//!
//! Does not know: who asks for tickets, where they stand in a request, or the clock.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::principal::{Principal, Ticket};
use crate::metrics;

/// How many tickets the queue may remember beyond those that are there, before it is tidied up.
const SLACK: usize = 64;

/// All tickets that are good or in use.
#[derive(Debug)]
pub struct Tickets {
    ttl: Duration,
    max: usize,
    state: Mutex<State>,
}

/// There are as many tickets as may be (`auth.max_tickets`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are too many tickets")]
pub struct TooMany;

#[derive(Debug, Default)]
struct State {
    /// The map hashes with a key that nobody else knows, so the time that a look-up takes says nothing about how much of a
    /// guess was right: to be compared byte by byte, a guess must first have the hash of a ticket.
    issued: HashMap<Ticket, Issued>,
    /// The tickets that nobody had claimed when this was last looked at, the oldest first: all are good for the same time. Some
    /// may be claimed or gone by now.
    unclaimed: VecDeque<(Instant, Ticket)>,
}

#[derive(Debug)]
struct Issued {
    principal: Arc<Principal>,
    /// When it is no longer good, unless somebody has it.
    until: Instant,
    /// The session that has it.
    owner: Option<u64>,
}

impl Tickets {
    /// No tickets yet. Each will be good for `ttl`; there will be no more than `max` that are good or in use.
    pub fn new(ttl: Duration, max: usize) -> Self {
        Self { ttl, max, state: Mutex::default() }
    }

    /// A new ticket that proves `principal`. `random` is what makes it unguessable: it must come from the system's generator.
    ///
    /// # Errors
    ///
    /// [`TooMany`] if there are as many as may be.
    pub fn issue(&self, principal: Arc<Principal>, random: u128, now: Instant) -> Result<Ticket, TooMany> {
        let ticket = Ticket::new(&format!("{random:032x}"));
        let mut state = self.state.lock();
        state.sweep(now);
        if state.issued.len() >= self.max {
            drop(state);
            metrics::limit_reached("auth.max_tickets");
            return Err(TooMany);
        }
        let until = now + self.ttl;
        match state.issued.entry(ticket.clone()) {
            Entry::Vacant(place) => place.insert(Issued { principal, until, owner: None }),
            // Only a broken generator gets here, and a ticket must never change hands.
            Entry::Occupied(_) => return Err(TooMany),
        };
        state.unclaimed.push_back((until, ticket.clone()));
        Ok(ticket)
    }

    /// Whom a ticket proves, if it is good or in use. Which session it is good for is [`allows`](Self::allows)'s question.
    pub fn look(&self, ticket: &Ticket, now: Instant) -> Option<Arc<Principal>> {
        Some(Arc::clone(&self.state.lock().find(ticket, now)?.principal))
    }

    /// Until when a ticket is good that nobody has.
    pub fn until(&self, ticket: &Ticket) -> Option<Instant> {
        self.state.lock().issued.get(ticket).map(|issued| issued.until)
    }

    /// Gives a ticket to a session whose client has spoken. False if it is another's, or not good.
    pub fn claim(&self, ticket: &Ticket, session: u64, now: Instant) -> bool {
        let mut state = self.state.lock();
        state.find(ticket, now).is_some_and(|issued| *issued.owner.get_or_insert(session) == session)
    }

    /// Whether a request may bring a ticket that wants to open a session (`None`) or to use one.
    pub fn allows(&self, ticket: &Ticket, session: Option<u64>, now: Instant) -> bool {
        let mut state = self.state.lock();
        state.find(ticket, now).is_some_and(|issued| issued.owner.is_none() || issued.owner == session)
    }

    /// The session is over, and its ticket with it.
    pub fn release(&self, ticket: &Ticket, session: u64) {
        let mut state = self.state.lock();
        if state.issued.get(ticket).is_some_and(|issued| issued.owner == Some(session)) {
            state.issued.remove(ticket);
        }
    }
}

impl State {
    /// A ticket that is good or in use. The principal's own expiry counts only until somebody has the ticket: the session may
    /// have proved itself anew since then.
    fn find(&mut self, ticket: &Ticket, now: Instant) -> Option<&mut Issued> {
        self.sweep(now);
        let issued = self.issued.get_mut(ticket)?;
        let expired = issued.principal.expires().is_some_and(|expires| expires <= now);
        (issued.owner.is_some() || (now < issued.until && !expired)).then_some(issued)
    }

    /// Forgets what has expired. Each ticket is met here once, and once more for each time the queue is tidied up, which takes
    /// as many calls as it has entries.
    fn sweep(&mut self, now: Instant) {
        while let Some((_, ticket)) = self.unclaimed.pop_front_if(|(until, _)| *until <= now) {
            if self.issued.get(&ticket).is_some_and(|issued| issued.owner.is_none()) {
                self.issued.remove(&ticket);
            }
        }
        // Tickets that were claimed and released at once have left their places here.
        if self.unclaimed.len() > 2 * self.issued.len() + SLACK {
            self.unclaimed.retain(|(_, ticket)| self.issued.contains_key(ticket));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Arc<Principal> {
        Arc::new(Principal::named("ann"))
    }

    #[test]
    fn what_is_no_longer_needed_is_not_kept() {
        let tickets = Tickets::new(Duration::from_secs(30), 10);
        let now = Instant::now();
        // Far more than `max`, one after the other, within the time that they are good for.
        for random in 0..10_000 {
            let ticket = tickets.issue(ann(), random, now).unwrap();
            assert!(tickets.claim(&ticket, 1, now));
            tickets.release(&ticket, 1);
        }
        let state = tickets.state.lock();
        assert_eq!(state.issued.len(), 0);
        assert!(state.unclaimed.len() <= SLACK + 2, "{}", state.unclaimed.len());
    }

    #[test]
    fn a_ticket_is_128_bits_and_does_not_show_itself() {
        let tickets = Tickets::new(Duration::from_secs(30), 10);
        let ticket = tickets.issue(ann(), u128::MAX - 15, Instant::now()).unwrap();
        assert_eq!(ticket.expose(), "fffffffffffffffffffffffffffffff0");
        assert!(!format!("{tickets:?} {ticket:?}").contains("ffff"));
    }

    #[test]
    fn two_tickets_are_never_the_same() {
        let tickets = Tickets::new(Duration::from_secs(30), 10);
        let now = Instant::now();
        let ticket = tickets.issue(ann(), 7, now).unwrap();
        assert_eq!(tickets.issue(Arc::new(Principal::named("bob")), 7, now), Err(TooMany));
        assert_eq!(tickets.look(&ticket, now).unwrap().name(), Some("ann"));
    }
}
