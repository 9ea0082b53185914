//! The STOMP clients that are in, for those who ask who is there or want somebody out.
//!
//! Does not know: what the clients do.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;

use super::Caller;
use crate::session::{CloseReason, Session};

/// All clients whose CONNECT was accepted and whose session lives.
#[derive(Default)]
pub struct Clients {
    by_serial: Mutex<BTreeMap<u64, Entry>>,
}

struct Entry {
    caller: Caller,
    session: Weak<Session>,
    since: Instant,
}

/// One client.
#[derive(Debug, Clone)]
pub struct Client {
    /// A number that grows with each session; for asking for the next page of a list.
    pub serial: u64,
    /// Who it is.
    pub caller: Caller,
    /// Since when it is in.
    pub since: Instant,
    /// Bytes and items that wait to be sent to it.
    pub backlog: (usize, usize),
}

impl Clients {
    pub(super) fn enter(&self, session: &Arc<Session>, caller: Caller, now: Instant) {
        let entry = Entry { caller, session: Arc::downgrade(session), since: now };
        self.by_serial.lock().insert(session.serial(), entry);
    }

    /// The client has proved anew who it is.
    pub(super) fn renew(&self, session: &Session, caller: Caller) {
        if let Some(entry) = self.by_serial.lock().get_mut(&session.serial()) {
            entry.caller = caller;
        }
    }

    pub(super) fn leave(&self, session: &Session) {
        let left = self.by_serial.lock().remove(&session.serial());
        // The application's attributes may do something when they go.
        drop(left);
    }

    /// Up to `most` clients behind the one of that serial number, of that user only if one is named, in the order in which they
    /// came.
    pub fn list(&self, after: u64, user: Option<&str>, most: usize) -> Vec<Client> {
        let by_serial = self.by_serial.lock();
        let wanted = |entry: &Entry| user.is_none_or(|user| entry.caller.user() == user);
        let behind = by_serial.range(after.saturating_add(1)..).filter(|(_, entry)| wanted(entry));
        behind.take(most).map(|(serial, entry)| entry.client(*serial)).collect()
    }

    /// The number of clients.
    pub fn len(&self) -> usize {
        self.by_serial.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the sessions for whose client `chosen` is true. Gives how many; they close soon after.
    pub fn disconnect(&self, chosen: impl Fn(&Caller) -> bool, reason: &CloseReason) -> usize {
        let found: Vec<_> = {
            let by_serial = self.by_serial.lock();
            let entries = by_serial.values().filter(|entry| chosen(&entry.caller));
            entries.filter_map(|entry| entry.session.upgrade()).collect()
        };
        found.iter().for_each(|session| session.end_soon(reason.clone()));
        found.len()
    }
}

impl Entry {
    fn client(&self, serial: u64) -> Client {
        let backlog = self.session.upgrade().map_or((0, 0), |session| session.backlog());
        Client { serial, caller: self.caller.clone(), since: self.since, backlog }
    }
}
