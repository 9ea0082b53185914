//! What a run may ask of a server: so many connections at once, so many in all, so many bytes, and no more; and a count of what was
//! spent, so that a report can say what it cost.
//!
//! Does not know: what the connections are for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Fault;

/// The bounds, and the account. Clones share both.
#[derive(Debug, Clone)]
pub struct Load {
    connections: Arc<Semaphore>,
    most: Spent,
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
    /// The most that a run costs where nobody says: several times what the checks of a whole suite come to, so that only a run that
    /// has gone wrong meets it. What is received is bounded for each answer, by [`Limits`](super::Limits).
    pub const MOST: Spent = Spent { connections: 10_000, sent: 256 << 20, received: u64::MAX };

    /// Lets this many connections be open at once; whoever wants one more waits. All of it costs no more than [`Load::MOST`].
    pub fn new(connections: usize) -> Self {
        Self::bounded(connections, Self::MOST)
    }

    /// The same with another bound on connections and bytes that are sent. Beyond it nothing is sent, and whoever tries gets
    /// [`Fault::Spent`].
    pub fn bounded(connections: usize, most: Spent) -> Self {
        Self { connections: Arc::new(Semaphore::new(connections)), most, account: Arc::default() }
    }

    /// What was spent up to now.
    pub fn spent(&self) -> Spent {
        let Account { connections, sent, received } = &*self.account;
        Spent { connections: connections.load(Relaxed), sent: sent.load(Relaxed), received: received.load(Relaxed) }
    }

    /// Waits for a free connection and counts it. It is free again when the permit goes.
    pub(crate) async fn connection(&self) -> Result<OwnedSemaphorePermit, Fault> {
        let spent = || Fault::Spent("connections", self.most.connections);
        // Nobody closes the semaphore.
        let permit = Arc::clone(&self.connections).acquire_owned().await.map_err(|_| spent())?;
        charge(&self.account.connections, 1, self.most.connections).then_some(permit).ok_or_else(spent)
    }

    /// Counts bytes that are about to be sent.
    pub(super) fn send(&self, bytes: usize) -> Result<(), Fault> {
        match charge(&self.account.sent, bytes as u64, self.most.sent) {
            true => Ok(()),
            false => Err(Fault::Spent("bytes", self.most.sent)),
        }
    }

    pub(super) fn received(&self, bytes: usize) {
        self.account.received.fetch_add(bytes as u64, Relaxed);
    }
}

/// Adds to an account, unless that is more than it may come to.
fn charge(account: &AtomicU64, amount: u64, most: u64) -> bool {
    let charged = |spent: u64| spent.checked_add(amount).filter(|spent| *spent <= most);
    account.fetch_update(Relaxed, Relaxed, charged).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_run_costs_has_a_bound() {
        let load = Load::bounded(8, Spent { connections: 2, sent: 10, received: 0 });
        let _permits = (load.connection().await.unwrap(), load.connection().await.unwrap());
        assert_eq!(load.connection().await.unwrap_err(), Fault::Spent("connections", 2));
        assert_eq!(load.send(8), Ok(()));
        assert_eq!(load.send(3), Err(Fault::Spent("bytes", 10)));
        assert_eq!(load.send(2), Ok(()));
        assert_eq!(load.spent(), Spent { connections: 2, sent: 10, received: 0 });
    }
}
