//! A queue for each socket, and the task that writes all that waits in it at once.
//!
//! Does not know: what is written.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use crate::support::Outcome;

/// What waits for one socket.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: Vec<Bytes>,
    closed: bool,
}

impl Outbox {
    /// An outbox whose task writes to that socket until it is closed.
    pub fn open(write: OwnedWriteHalf) -> Arc<Self> {
        let outbox = Arc::new(Self::default());
        tokio::spawn(write_all(write, Arc::clone(&outbox)));
        outbox
    }

    /// Puts bytes behind what waits already.
    pub fn push(&self, bytes: Bytes) {
        self.waiting.lock().frames.push(bytes);
        self.filled.notify_one();
    }

    /// Lets the task end when it has written what waits.
    pub fn close(&self) {
        self.waiting.lock().closed = true;
        self.filled.notify_one();
    }
}

async fn write_all(mut write: OwnedWriteHalf, outbox: Arc<Outbox>) -> Outcome<()> {
    let mut scratch = Vec::new();
    loop {
        outbox.filled.notified().await;
        let (frames, closed) = {
            let mut waiting = outbox.waiting.lock();
            (std::mem::take(&mut waiting.frames), waiting.closed)
        };
        for frame in frames {
            scratch.extend_from_slice(&frame);
        }
        write.write_all(&scratch).await?;
        scratch.clear();
        if closed {
            return Ok(());
        }
    }
}
