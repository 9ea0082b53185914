//! Who sends numbered messages: what is due or missing goes into one write, and is counted as sent.
//!
//! Does not know: who receives them.

use std::time::Duration;

use super::client::{Client, Event};
use super::fault::Fault;
use super::schedule::Turns;
use super::shared::{Owing, Run};
use super::stamp::{Message, Stamp};

/// Bytes that may wait to be written, few enough for one xhr_send of small messages. Beyond, a sender is held up, as any program
/// would be, and its messages wait with their due times.
const MOST_WAITING: usize = 256 * 1024;
/// How long until one who is held up looks again.
const HELD_UP: Duration = Duration::from_millis(1);

/// Who sends, in turn, to so many destinations, each with a sequence of its own.
#[derive(Debug)]
pub(super) struct Sender {
    /// A message for each destination.
    messages: Vec<Message>,
    /// What the first sequence goes by; the next goes by the next number.
    id: u32,
    /// From a destination to the next; has no divisor with their number in common, so that each is reached once in a round.
    stride: u64,
    turns: Turns,
    sent: u64,
    /// How often each message is to come.
    times: u64,
    held_up: bool,
    /// While it has a schedule that is not over.
    owing: Option<Owing>,
}

impl Sender {
    /// A sender to one destination, each of whose messages is to come so many times.
    pub(super) fn new(message: Message, id: u32, turns: Turns, times: u64) -> Self {
        Self::round(vec![message], id, turns, times)
    }

    /// A sender that goes round many destinations, in strides: neighbours were made at the same time, and lie side by side in the
    /// server's memory.
    pub(super) fn round(messages: Vec<Message>, id: u32, turns: Turns, times: u64) -> Self {
        let stride = stride(messages.len() as u64);
        Self { messages, id, stride, turns, sent: 0, times, held_up: false, owing: None }
    }

    /// How many were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Puts all whose turn it is; whoever calls flushes the client. So many have arrived of those that were sent.
    pub(super) fn put(&mut self, run: &Run, client: &mut Client, arrived: u64) {
        // Who was late at the end sends what was due before: a load that left it out would spare a server that is slow.
        let sends = run.sends();
        if self.turns.are_due() {
            self.owing.get_or_insert_with(|| run.owe());
        } else if !sends {
            return;
        }
        let (now, before) = (run.now().min(run.end()), self.sent);
        self.held_up = false;
        let count = self.messages.len() as u64;
        while let Some(time) = self.next(now, arrived, client) {
            let (number, place) = (self.sent / count, self.sent % count * self.stride % count);
            let Some(message) = usize::try_from(place).ok().and_then(|place| self.messages.get_mut(place)) else {
                break;
            };
            client.put(message.stamped(Stamp {
                run: run.id,
                sender: self.id + place as u32,
                number: number as u32,
                time,
            }));
            self.sent += 1;
        }
        run.sent(self.sent - before, self.times);
        if !sends && !self.held_up {
            self.owing = None;
        }
    }

    fn next(&mut self, now: u64, arrived: u64, client: &Client) -> Option<u64> {
        if client.backlog() > MOST_WAITING {
            self.held_up = true;
            return None;
        }
        self.turns.take(now, self.sent.saturating_sub(arrived))
    }

    /// Waits until it may be the turn of another message, if that depends on nothing but time. Cancel-safe.
    async fn turn(&self) {
        if self.held_up {
            return tokio::time::sleep(HELD_UP).await;
        }
        self.turns.turn().await;
    }

    /// Waits for the next turn, and for what comes to the client meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Client::receive`].
    pub(super) async fn wait(
        &self,
        client: &mut Client,
        hear: impl FnMut(Event<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        tokio::select! {
            biased;
            came = client.receive(hear) => came,
            () = self.turn() => Ok(()),
        }
    }
}

/// A number near the golden section that has no divisor in common with the given one.
fn stride(count: u64) -> u64 {
    fn divisor(a: u64, b: u64) -> u64 {
        if b == 0 { a } else { divisor(b, a % b) }
    }
    let from = (count as f64 * 0.618) as u64;
    (from.max(1)..).find(|stride| divisor(*stride, count) == 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_reaches_each_destination_once() {
        for count in [1, 2, 3, 4, 10, 5000, 4999, 65_536] {
            let stride = stride(count);
            let mut places: Vec<u64> = (0..count).map(|sent| sent * stride % count).collect();
            places.sort_unstable();
            assert_eq!(places, (0..count).collect::<Vec<_>>());
        }
    }
}
