//! What a server that lies makes of messages, and how often it did.
//!
//! Does not know: what carries the messages.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// One message of so many is lied about.
const EVERY: u64 = 3;

/// What is done to some messages.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Nothing: an honest server.
    #[default]
    None,
    /// They are dropped.
    Loses,
    /// All are dropped.
    LosesAll,
    /// They are sent twice.
    Repeats,
    /// They are sent after the next one.
    Swaps,
    /// They end in another character.
    Alters,
    /// They come from another client than the one that sent them.
    Confuses,
    /// They have a number that nobody has reached.
    Foresees,
    /// Something else comes instead.
    Replaces,
}

/// What was done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Messages that were to come out.
    pub heard: u64,
    /// Lies that are complete.
    pub lies: u64,
    /// Messages that wait for the next one.
    pub held: u64,
}

/// Who lies to one receiver.
pub struct Liar {
    lie: Lie,
    heard: u64,
    held: VecDeque<String>,
    told: Arc<Mutex<Told>>,
}

impl Liar {
    pub fn new(lie: Lie, told: &Arc<Mutex<Told>>) -> Self {
        Self { lie, heard: 0, held: VecDeque::new(), told: Arc::clone(told) }
    }

    /// What the receiver is given for that message.
    pub fn tell(&mut self, text: String) -> Vec<String> {
        let mut told = self.told.lock().unwrap();
        told.heard += 1;
        self.heard += 1;
        if let Some(held) = self.held.pop_front() {
            told.held -= 1;
            told.lies += 1;
            return vec![text, held];
        }
        if self.lie == Lie::None || self.lie != Lie::LosesAll && !self.heard.is_multiple_of(EVERY) {
            return vec![text];
        }
        if self.lie == Lie::Swaps {
            told.held += 1;
            self.held.push_back(text);
            return vec![];
        }
        told.lies += 1;
        match self.lie {
            Lie::Repeats => vec![text.clone(), text],
            Lie::Alters => vec![format!("{}?", &text[..text.len() - 1])],
            // A body begins with two digits of the run, five of the sender and eight of the number, all hexadecimal.
            Lie::Confuses => vec![format!("{}fffff{}", &text[..2], &text[7..])],
            Lie::Foresees => vec![format!("{}ffffffff{}", &text[..7], &text[15..])],
            Lie::Replaces => vec!["something else".to_owned()],
            Lie::None | Lie::Swaps | Lie::Loses | Lie::LosesAll => vec![],
        }
    }
}
