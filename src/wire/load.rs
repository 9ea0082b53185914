//! What a run may ask of a server: so many connections at once and no more, and a count of all that was spent, so that a report
//! can say what it cost.
//!
//! Does not know: what the connections are for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bound on open connections, and the account. Clones share both.
#[derive(Debug, Clone)]
pub struct Load {
    connections: Arc<Semaphore>,
    account: Arc<Account>,
}

#[derive(Debug, Default)]
struct Account {
    connections: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// What was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Connections that were opened.
    pub connections: u64,
    /// Bytes that were written.
    pub sent: u64,
    /// Bytes that were read.
    pub received: u64,
}

impl Load {
    /// Lets this many connections be open at once; whoever wants one more waits.
    pub fn new(connections: usize) -> Self {
        Self { connections: Arc::new(Semaphore::new(connections)), account: Arc::default() }
    }

    /// What was spent up to now.
    pub fn spent(&self) -> Spent {
        let Account { connections, sent, received } = &*self.account;
        Spent { connections: connections.load(Relaxed), sent: sent.load(Relaxed), received: received.load(Relaxed) }
    }

    /// Waits for a free connection and counts it. It is free again when the permit goes.
    pub(crate) async fn connection(&self) -> Option<OwnedSemaphorePermit> {
        self.account.connections.fetch_add(1, Relaxed);
        // Nobody closes the semaphore.
        Arc::clone(&self.connections).acquire_owned().await.ok()
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.account.sent.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.account.received.fetch_add(bytes as u64, Relaxed);
    }
}
