//! What the embedded broker may remember for all sessions together, and how its queues behave unless a `[[destination]]` says
//! otherwise.
//!
//! Does not know: the broker, TOML, which destinations there will be.

use std::time::Duration;

use super::settings::Setting;
use super::units::{KIB, MIB};

/// The `[broker]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// How the destinations of topics begin. Default `/topic`: what Spring's documents and the other brokers use. Each is one or
    /// more whole segments, and none of those that begin other kinds of destinations.
    pub topic_prefixes: Vec<String>,
    /// Topics and queues alive at once; a topic lives while somebody subscribes to it. Default 100000: clients choose the
    /// names, so their number must end somewhere, and this is far above what an honest page set needs.
    pub max_destinations: usize,
    /// Pattern subscriptions alive at once. Default 100000: each is a node in the matcher, and clients choose them too.
    pub max_patterns: usize,
    /// Longest name of a destination or pattern in bytes, prefix included. Default 1 KiB: names are kept for as long as
    /// somebody listens, so their number alone would not limit what they hold.
    pub max_name: usize,
    /// Unacknowledged messages that a consumer may hold if its SUBSCRIBE has no `prefetch-count`. Default 1000: keeps a fast
    /// consumer busy over a slow line, and leaves the rest of a long queue to its colleagues.
    pub prefetch: usize,
    /// The most that a `prefetch-count` may ask for; more is lowered to it. Default 10000: the broker keeps every
    /// unacknowledged message, and clients choose this number.
    pub max_prefetch: usize,
    /// Messages of a queue that wait, not yet written, in the outbox of one consumer with `ack:auto`. Default 64: fills a
    /// write, and what a stuck consumer holds back from the others stays small.
    pub auto_prefetch: usize,
    /// How queues behave where no [`Destination`](super::Destination) says otherwise. In the file its keys stand in `[broker]`
    /// itself.
    pub queue: Queue,
    /// Messages in all queues together. Default 1000000: a hundred full queues; names are chosen by clients, so a limit on
    /// each queue would not limit their sum.
    pub queues_messages: usize,
    /// Bytes in all queues together. Default 256 MiB: four full queues, on a machine of 1 GiB.
    pub queues_bytes: usize,
    /// Messages that wait or are unacknowledged on one topic subscription with `ack:client` or `ack:client-individual`. Default
    /// 1000, as for a queue's consumer: nobody else can take these messages, and without a limit a client that never
    /// acknowledges would keep them all.
    pub max_unacked: usize,
    /// Bytes of the same. Default 4 MiB: three messages of the largest size with room to spare.
    pub max_unacked_bytes: usize,
    /// Bytes of all topics' histories together. Default 64 MiB: 64000 messages of 1 kB.
    pub history_bytes: usize,
    /// Bytes of all live messages, wherever they wait; publishers are slowed from three quarters of it and refused at
    /// it. Default 512 MiB: half of a machine of 1 GiB. Larger than `queues_bytes` and `history_bytes` together, or full
    /// queues alone would stop every topic.
    pub high_water: usize,
    /// Who may SEND to `/user/NAME/...`. Default [`SendToUsers::Tcp`].
    pub send_to_users: SendToUsers,
    /// What the sender to a user hears who has no session. Default [`UnknownUser::Receipt`].
    pub unknown_user: UnknownUser,
}

/// How a queue behaves. In the file these are the keys `queue_messages`, `queue_bytes`, `queue_full`, `queue_ttl`, `max_deliveries`
/// and `dead_letter`: in `[broker]` for every queue, in a `[[destination]]` for those that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Messages in one queue, delivered but unacknowledged ones included. Default 10000: what a busy page set sends while its
    /// backend restarts.
    pub messages: usize,
    /// Bytes in one queue. Default 64 MiB: bounds the queue where messages are large and their number would not.
    pub bytes: usize,
    /// What happens to a SEND when the queue is full. Default [`QueueFull::Refuse`].
    pub full: QueueFull,
    /// How long a message may wait, unless its own `expiration` says less. Zero, the default, is for ever: a queue is there to
    /// wait, and its size is bounded anyway.
    pub ttl: Duration,
    /// How often a message is written to consumers before it is dead-lettered, or dropped without a dead-letter destination. Default
    /// 20: every consumer may be restarted a few times, and a message that kills its consumer does not do so for ever.
    pub max_deliveries: u32,
    /// Where messages go that were given up: `/queue/...` or `/topic/...`. Default: none, they are dropped; a queue that nobody
    /// knows of would only fill up. In the file `""` is none, for a destination that shall not have what `[broker]` names.
    pub dead_letter: Option<String>,
}

/// What happens to a SEND when its queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QueueFull {
    /// It is answered with an ERROR. The default: a publisher who is told can wait or raise the alarm, and nobody misses a message
    /// that silently went.
    #[default]
    Refuse,
    /// The oldest message of the queue goes, and the new one is taken.
    DropOldest,
}

/// Who may SEND to `/user/NAME/...`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SendToUsers {
    /// Nobody.
    Nobody,
    /// Sessions on the TCP port. The default: until names are authenticated, only the port for backends is trusted.
    #[default]
    Tcp,
    /// Every session.
    Anyone,
}

/// What the sender hears whose SEND went to a user without a session. The message is dropped and counted in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnknownUser {
    /// A header in the RECEIPT, if a receipt was asked for. The default: users come and go, and an ERROR would end the
    /// sender's connection each time.
    #[default]
    Receipt,
    /// An ERROR.
    Error,
}

impl Default for Broker {
    fn default() -> Self {
        Broker {
            topic_prefixes: vec!["/topic".to_owned()],
            max_destinations: 100_000,
            max_patterns: 100_000,
            max_name: KIB,
            prefetch: 1000,
            max_prefetch: 10_000,
            auto_prefetch: 64,
            queue: Queue::default(),
            queues_messages: 1_000_000,
            queues_bytes: 256 * MIB,
            max_unacked: 1000,
            max_unacked_bytes: 4 * MIB,
            history_bytes: 64 * MIB,
            high_water: 512 * MIB,
            send_to_users: SendToUsers::default(),
            unknown_user: UnknownUser::default(),
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Queue {
            messages: 10_000,
            bytes: 64 * MIB,
            full: QueueFull::default(),
            ttl: Duration::ZERO,
            max_deliveries: 20,
            dead_letter: None,
        }
    }
}

impl Broker {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        let mut settings = vec![
            Setting::texts("topic_prefixes", &mut self.topic_prefixes, "/topic"),
            Setting::count("max_destinations", &mut self.max_destinations),
            Setting::count("max_patterns", &mut self.max_patterns),
            Setting::size("max_name", &mut self.max_name),
            Setting::count("prefetch", &mut self.prefetch),
            Setting::count("max_prefetch", &mut self.max_prefetch),
            Setting::count("auto_prefetch", &mut self.auto_prefetch),
        ];
        settings.extend(self.queue.settings());
        settings.extend([
            Setting::count("queues_messages", &mut self.queues_messages),
            Setting::size_of_many("queues_bytes", &mut self.queues_bytes),
            Setting::count("max_unacked", &mut self.max_unacked),
            Setting::size("max_unacked_bytes", &mut self.max_unacked_bytes),
            Setting::size_of_many("history_bytes", &mut self.history_bytes),
            Setting::size_of_many("high_water", &mut self.high_water),
            Setting::choice("send_to_users", &mut self.send_to_users, &SendToUsers::ALL, SendToUsers::name),
            Setting::choice("unknown_user", &mut self.unknown_user, &UnknownUser::ALL, UnknownUser::name),
        ]);
        settings
    }
}

impl Queue {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::count("queue_messages", &mut self.messages),
            Setting::size_of_many("queue_bytes", &mut self.bytes),
            Setting::choice("queue_full", &mut self.full, &QueueFull::ALL, QueueFull::name),
            Setting::duration_or_zero("queue_ttl", &mut self.ttl),
            Setting::small_count("max_deliveries", &mut self.max_deliveries, 1..=10_000),
            Setting::text_or_none("dead_letter", &mut self.dead_letter),
        ]
    }
}

impl QueueFull {
    /// Every value, in the order in which documents list them.
    pub const ALL: [QueueFull; 2] = [QueueFull::Refuse, QueueFull::DropOldest];

    /// The name in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            QueueFull::Refuse => "refuse",
            QueueFull::DropOldest => "drop-oldest",
        }
    }
}

impl SendToUsers {
    /// Every value, in the order in which documents list them.
    pub const ALL: [SendToUsers; 3] = [SendToUsers::Nobody, SendToUsers::Tcp, SendToUsers::Anyone];

    /// The name in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            SendToUsers::Nobody => "nobody",
            SendToUsers::Tcp => "tcp",
            SendToUsers::Anyone => "anyone",
        }
    }
}

impl UnknownUser {
    /// Every value, in the order in which documents list them.
    pub const ALL: [UnknownUser; 2] = [UnknownUser::Receipt, UnknownUser::Error];

    /// The name in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            UnknownUser::Receipt => "receipt",
            UnknownUser::Error => "error",
        }
    }
}
