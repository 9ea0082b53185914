//! The open transactions of one session (STOMP 1.2, BEGIN, COMMIT and ABORT): what they are to do, in order, and how much
//! that may be.
//!
//! Does not know: how it is done.

use std::collections::HashMap;

use bytes::Bytes;

use super::Stop;
use crate::broker::Verdict;
use crate::config;
use crate::metrics;
use crate::publication::Publication;
use crate::stomp::{Headers, ProtocolError, Violation};

/// One frame of a transaction.
pub(super) enum Action {
    Send {
        destination: String,
        headers: Headers,
        body: Bytes,
    },
    /// What becomes of messages of that subscription, by the numbers of their deliveries.
    Acknowledge {
        subscription: u32,
        deliveries: Vec<u64>,
        verdict: Verdict,
    },
}

#[derive(Default)]
pub(super) struct Transactions {
    open: HashMap<String, Vec<Action>>,
    frames: usize,
    bytes: usize,
}

impl Action {
    fn size(&self) -> usize {
        match self {
            Self::Send { destination, headers, body } => Publication::size_of(destination, headers, body.len()),
            Self::Acknowledge { deliveries, .. } => 64 + deliveries.len() * size_of::<u64>(),
        }
    }
}

impl Transactions {
    /// BEGIN.
    pub fn begin(&mut self, name: String, settings: &config::Stomp) -> Result<(), Stop> {
        if self.open.contains_key(&name) {
            return Err(invalid(&name, "is open already; its id is free again after COMMIT or ABORT").into());
        }
        if self.open.len() >= settings.max_transactions {
            return Err(too_much("max_transactions", settings.max_transactions));
        }
        self.open.insert(name, Vec::new());
        Ok(())
    }

    /// Makes sure that a transaction of that name is open.
    pub fn check(&self, name: &str) -> Result<(), ProtocolError> {
        if self.open.contains_key(name) { Ok(()) } else { Err(unknown(name)) }
    }

    /// A frame that belongs to an open transaction.
    pub fn add(&mut self, name: &str, action: Action, settings: &config::Stomp) -> Result<(), Stop> {
        let actions = self.open.get_mut(name).ok_or_else(|| unknown(name))?;
        let size = action.size();
        if self.frames >= settings.max_transaction_frames {
            return Err(too_much("max_transaction_frames", settings.max_transaction_frames));
        }
        if self.bytes.saturating_add(size) > settings.max_transaction_bytes {
            return Err(too_much("max_transaction_bytes", settings.max_transaction_bytes));
        }
        self.frames += 1;
        self.bytes += size;
        actions.push(action);
        Ok(())
    }

    /// The end of a transaction: what it was to do.
    pub fn end(&mut self, name: &str) -> Result<Vec<Action>, ProtocolError> {
        let actions = self.open.remove(name).ok_or_else(|| unknown(name))?;
        self.frames -= actions.len();
        self.bytes -= actions.iter().map(Action::size).sum::<usize>();
        Ok(actions)
    }
}

fn too_much(limit: &'static str, most: usize) -> Stop {
    metrics::limit_reached(limit);
    Stop::refuse("transactions too large", format!("the open transactions of a session may hold {limit}, {most}"))
}

pub(super) fn invalid(name: &str, what: &str) -> ProtocolError {
    ProtocolError::new(Violation::InvalidTransaction, format!("the transaction {name:?} {what}"))
}

fn unknown(name: &str) -> ProtocolError {
    invalid(name, "is not open; BEGIN it first")
}
