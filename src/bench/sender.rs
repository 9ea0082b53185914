//! Who sends numbered messages: what is due or missing goes into one write, and is counted as sent.
//!
//! Does not know: who receives them.

use std::future::pending;
use std::time::Duration;

use super::client::{Client, Event};
use super::fault::Fault;
use super::schedule::Turns;
use super::shared::Run;
use super::stamp::{Message, Stamp};

/// Bytes that may wait to be written. Beyond, a sender is held up, as any program would be, and its messages wait with their due
/// times.
const MOST_WAITING: usize = 1 << 20;
/// How long until one who is held up looks again.
const HELD_UP: Duration = Duration::from_millis(1);

/// One sender of one sequence of messages.
#[derive(Debug)]
pub(super) struct Sender {
    message: Message,
    id: u32,
    turns: Turns,
    sent: u64,
    /// How often each message is to come.
    times: u64,
    held_up: bool,
}

impl Sender {
    pub(super) fn new(message: Message, id: u32, turns: Turns, times: u64) -> Self {
        Self { message, id, turns, sent: 0, times, held_up: false }
    }

    /// How many were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Puts all whose turn it is; whoever calls flushes the client. So many have arrived of those that were sent.
    pub(super) fn put(&mut self, run: &Run, client: &mut Client, arrived: u64) {
        if !run.sends() {
            return;
        }
        let (now, before) = (run.now(), self.sent);
        self.held_up = false;
        while let Some(time) = self.next(now, arrived, client) {
            let stamp = Stamp { run: run.id, sender: self.id, number: self.sent as u32, time };
            client.put(self.message.stamped(stamp));
            self.sent += 1;
        }
        run.sent(self.sent - before, self.times);
    }

    fn next(&mut self, now: u64, arrived: u64, client: &Client) -> Option<u64> {
        if client.backlog() > MOST_WAITING {
            self.held_up = true;
            return None;
        }
        self.turns.take(now, self.sent.saturating_sub(arrived))
    }

    /// Waits until it may be the turn of another message, if that depends on nothing but time. Cancel-safe.
    pub(super) async fn turn(&self, run: &Run) {
        if self.held_up {
            return tokio::time::sleep(HELD_UP).await;
        }
        match self.turns.due() {
            Some(due) if run.sends() => tokio::time::sleep(Duration::from_micros(due.saturating_sub(run.now()))).await,
            _ => pending().await,
        }
    }

    /// Waits for the next turn, and for what comes to the client meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Client::receive`].
    pub(super) async fn wait(
        &self,
        run: &Run,
        client: &mut Client,
        hear: impl FnMut(Event<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        tokio::select! {
            biased;
            came = client.receive(hear) => came,
            () = self.turn(run) => Ok(()),
        }
    }
}
