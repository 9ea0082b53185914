//! What is special about some destinations: how their slow subscribers are treated, what they remember, how their queues
//! behave.
//!
//! Does not know: the broker, the other tables, TOML, how a setting is carried out.

use std::time::Duration;

use super::broker::Queue;
use super::settings::Setting;

/// One `[[destination]]`: settings for the destinations that its pattern fits. Where several fit, the first in the file counts,
/// and it alone. Without any, every destination has the defaults.
///
/// [`Destination::default`] has no pattern yet, and [`Config::validate`](super::Config::validate) refuses it so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// Which destinations it is about. Begins with `/topic/`, `/queue/` or `/user/`; words are separated by `.` or `/`, and `*`
    /// stands for one word, `**` or `#` for any number of them. No default: it has to be there. User destinations are
    /// written as their subscribers write them, `/user/queue/x`.
    pub pattern: String,
    /// What happens to a topic's or user destination's subscriber whose outbox is full. Default [`Overflow::Close`].
    pub overflow: Overflow,
    /// With [`Overflow::Conflate`], the header whose values tell messages apart. Default: none, the latest message of
    /// the destination replaces the one before it.
    pub conflate_by: Option<String>,
    /// What a topic keeps for those who come later. Default: nothing, since most subscribers want to hear what happens, not what
    /// happened, and it is held in memory.
    pub history: Option<History>,
    /// How the queues behave. What a file leaves out is as in its `[broker]`; a program that wants the same begins with
    /// [`Broker::queue`](super::Broker::queue).
    pub queue: Queue,
}

/// What happens to a subscriber whose outbox is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// It is closed. The default: it connects again and starts afresh, which is better than a gap that it does not know of.
    #[default]
    Close,
    /// The oldest message that waits in the outbox and may be dropped goes, of whatever subscription.
    DropOldest,
    /// A waiting message is replaced by the next of its kind: prices, positions, whatever is only of interest as it is now.
    Conflate,
}

/// What a topic keeps for subscribers who ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Messages kept for each topic, 1 to 10000. No default: it is the cost, so whoever wants a history says it.
    pub count: usize,
    /// How old a kept message may become. Default 1 h: longer than a page's reconnection or a lunch, shorter than anybody's interest.
    pub age: Duration,
}

impl Destination {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        let mut settings = vec![
            Setting::text("pattern", &mut self.pattern),
            Setting::choice("overflow", &mut self.overflow, &Overflow::ALL, Overflow::name),
            Setting::optional_text("conflate_by", &mut self.conflate_by),
        ];
        match &mut self.history {
            Some(history) => settings.extend([
                Setting::count_in("history.count", &mut history.count, 1..=10_000),
                Setting::duration("history.age", &mut history.age),
            ]),
            None => {
                settings.extend([Setting::absent("history.count", "count"), Setting::absent("history.age", "duration")])
            }
        }
        settings.extend(self.queue.settings());
        settings
    }
}

impl History {
    /// That many messages, for the default age of one hour.
    pub fn new(count: usize) -> Self {
        History { count, age: Duration::from_secs(60 * 60) }
    }
}

impl Overflow {
    /// Every value, in the order in which documents list them.
    pub const ALL: [Overflow; 3] = [Overflow::Close, Overflow::DropOldest, Overflow::Conflate];

    /// The name in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Overflow::Close => "close",
            Overflow::DropOldest => "drop-oldest",
            Overflow::Conflate => "conflate",
        }
    }
}
