//! What a run is asked to do, and whether it can be done.
//!
//! Does not know: how any of it is done.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::stamp;

/// Bounds of a plan.
const MOST_CLIENTS: u64 = 100_000;
const MOST_IN_FLIGHT: u32 = 100_000;
const MOST_RATE: f64 = 10_000_000.0;
const LARGEST: usize = 1 << 20;
/// Subscriptions beside a fan-out that one connection has.
pub(super) const EACH_BESIDE: u32 = 500;
/// Bytes of messages that are made beforehand.
const MOST_BEFOREHAND: u64 = 1 << 30;
const LONGEST: Duration = Duration::from_secs(3600);
/// Connections that one source address gets unless it is said otherwise. Ports run out at some 28,000.
const EACH_SOURCE: u64 = 20_000;

/// A run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `http://host:port/prefix`, `ws://host:port/path` or `tcp://host:port`.
    pub url: String,
    /// What clients do.
    pub scenario: Scenario,
    /// How they are connected; without it by what the URL says.
    pub transports: Option<Transports>,
    /// The topic or queue, or what topics of rooms begin with; without it a fresh one.
    pub destination: Option<String>,
    /// Bytes of a body, at least 24.
    pub size: usize,
    /// When messages are sent.
    pub pace: Pace,
    /// How long is measured.
    pub duration: Duration,
    /// How long before that the load runs already.
    pub warm_up: Duration,
    /// The longest that any step may take, and that is waited for what is on its way at the end.
    pub patience: Duration,
    /// The process whose CPU, memory and descriptors are read.
    pub server_pid: Option<u32>,
    /// From how many loopback addresses connections come; without it so many that ports suffice.
    pub sources: Option<u32>,
    /// The `host` of CONNECT, STOMP's name for a virtual host. `/` is what brokers have to begin with.
    pub host: String,
    /// The `login` of CONNECT.
    pub login: Option<String>,
    /// The `passcode` of CONNECT.
    pub passcode: Option<String>,
}

impl Plan {
    /// A plan with what is usual for everything that is not said.
    pub fn new(url: impl Into<String>, scenario: Scenario) -> Self {
        Self {
            url: url.into(),
            scenario,
            transports: None,
            destination: None,
            size: 64,
            pace: Pace::Rate(1000.0),
            duration: Duration::from_secs(10),
            warm_up: Duration::from_secs(1),
            patience: Duration::from_secs(10),
            server_pid: None,
            sources: None,
            host: "/".to_owned(),
            login: None,
            passcode: None,
        }
    }
}

/// What clients do.
#[derive(Debug, Clone, PartialEq)]
pub enum Scenario {
    /// Every client sends, and gets back what it sent.
    Echo {
        /// How many clients.
        clients: u32,
    },
    /// One publisher, and many subscribers of one topic.
    Fanout {
        /// How many subscribers.
        clients: u32,
        /// How many subscriptions of other destinations there are meanwhile.
        beside: u32,
        /// These destinations; `{n}` stands for their number.
        beside_destination: String,
    },
    /// One publisher that goes round many small topics.
    Rooms {
        /// How many topics.
        topics: u32,
        /// Subscribers of each.
        members: u32,
        /// Over how many connections these memberships are spread.
        clients: u32,
    },
    /// A queue.
    Queue {
        /// How many send.
        producers: u32,
        /// How many take.
        consumers: u32,
        /// How they acknowledge.
        ack: Ack,
        /// The `prefetch-count` of their subscriptions, if there is to be one.
        prefetch: Option<u32>,
    },
    /// Clients that come and go.
    Churn {
        /// How many at once.
        clients: u32,
        /// How many come in all at most.
        cycles: Option<u64>,
        /// Whether they speak STOMP.
        stomp: bool,
    },
    /// Sessions that do nothing.
    Idle {
        /// How many.
        clients: u32,
        /// Whether they speak STOMP and have a subscription.
        stomp: bool,
    },
    /// POSTs that are answered with 204.
    Post {
        /// How many connections.
        clients: u32,
    },
}

impl Scenario {
    /// The name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Echo { .. } => "echo",
            Self::Fanout { .. } => "fanout",
            Self::Rooms { .. } => "rooms",
            Self::Queue { .. } => "queue",
            Self::Churn { .. } => "churn",
            Self::Idle { .. } => "idle",
            Self::Post { .. } => "post",
        }
    }

    /// How many clients there are at once, publishers of topics not counted.
    pub fn clients(&self) -> u64 {
        match *self {
            Self::Echo { clients }
            | Self::Fanout { clients, .. }
            | Self::Rooms { clients, .. }
            | Self::Churn { clients, .. }
            | Self::Idle { clients, .. }
            | Self::Post { clients } => clients.into(),
            Self::Queue { producers, consumers, .. } => u64::from(producers) + u64::from(consumers),
        }
    }

    /// Whether its clients speak STOMP.
    pub(super) fn is_stomp(&self) -> bool {
        match *self {
            Self::Echo { .. } | Self::Post { .. } => false,
            Self::Fanout { .. } | Self::Rooms { .. } | Self::Queue { .. } => true,
            Self::Churn { stomp, .. } | Self::Idle { stomp, .. } => stomp,
        }
    }
}

/// How consumers of a queue acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// Not at all: a message is done with when it is sent.
    Auto,
    /// Each message by itself.
    ClientIndividual,
}

/// When messages are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many a second in all, each on its due time, whatever the server does.
    Rate(f64),
    /// Each sender keeps so many on their way.
    InFlight(u32),
}

/// How a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// A SockJS session over a websocket.
    Websocket,
    /// A websocket without SockJS.
    RawWebsocket,
    /// A SockJS session over xhr_streaming and xhr_send.
    XhrStreaming,
    /// A SockJS session over xhr and xhr_send.
    XhrPolling,
    /// STOMP over TCP.
    Tcp,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Websocket, Self::RawWebsocket, Self::XhrStreaming, Self::XhrPolling, Self::Tcp];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::RawWebsocket => "raw-websocket",
            Self::XhrStreaming => "xhr-streaming",
            Self::XhrPolling => "xhr-polling",
            Self::Tcp => "tcp",
        }
    }

    /// Connections of one client.
    fn connections(self) -> u64 {
        match self {
            Self::XhrStreaming | Self::XhrPolling => 2,
            Self::Websocket | Self::RawWebsocket | Self::Tcp => 1,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Transport {
    type Err = Refusal;

    fn from_str(name: &str) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|transport| transport.name() == name);
        found.ok_or_else(|| Refusal::new(format!("{name} is none of {}", Self::ALL.map(Self::name).join(", "))))
    }
}

/// How clients are connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transports {
    /// All alike.
    One(Transport),
    /// Each transport has this share of the clients, whatever the shares' sum.
    Mix(Vec<(Transport, u32)>),
}

impl Transports {
    /// The transports of so many clients, mixed evenly.
    pub(super) fn of(&self, clients: usize) -> Vec<Transport> {
        let shares = match self {
            Self::One(transport) => return vec![*transport; clients],
            Self::Mix(shares) => shares,
        };
        let whole: u64 = shares.iter().map(|(_, share)| u64::from(*share)).sum();
        let mut given = vec![0_u64; shares.len()];
        let mut all = Vec::with_capacity(clients);
        for number in 1..=clients as u64 {
            // Whoever lags most behind its share is next.
            let lag = |(share, given): (&(Transport, u32), &u64)| {
                i128::from(number) * i128::from(share.1) - i128::from(*given) * i128::from(whole)
            };
            let next = shares.iter().zip(&given).map(lag).enumerate().max_by_key(|(at, lag)| (*lag, usize::MAX - at));
            let Some((next, _)) = next else { break };
            all.extend(shares.get(next).map(|(transport, _)| *transport));
            given.iter_mut().skip(next).take(1).for_each(|given| *given += 1);
        }
        all
    }

    /// The transport of a client that is not one of the many, such as a publisher.
    pub(super) fn first(&self) -> Transport {
        match self {
            Self::One(transport) => *transport,
            Self::Mix(shares) => shares.first().map_or(Transport::Websocket, |(transport, _)| *transport),
        }
    }

    pub(super) fn used(&self) -> Vec<Transport> {
        match self {
            Self::One(transport) => vec![*transport],
            Self::Mix(shares) => shares.iter().map(|(transport, _)| *transport).collect(),
        }
    }
}

impl FromStr for Transports {
    type Err = Refusal;

    /// Reads a mix such as `websocket=60,xhr-streaming=40`.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let mut shares: Vec<(Transport, u32)> = Vec::new();
        for part in text.split(',') {
            let (name, share) = part
                .split_once('=')
                .ok_or_else(|| Refusal::new(format!("{part} has no share; write it as websocket=60")))?;
            let transport: Transport = name.trim().parse()?;
            let share = share.trim().parse().ok().filter(|share| (1..=1_000_000).contains(share));
            let share = share.ok_or_else(|| Refusal::new(format!("the share of {name} must be 1 to 1000000")))?;
            if shares.iter().any(|(known, _)| *known == transport) {
                return Err(Refusal::new(format!("{name} stands in the mix twice")));
            }
            shares.push((transport, share));
        }
        Ok(Self::Mix(shares))
    }
}

/// Why a run was not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

impl Refusal {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// What has been checked of a plan, and completed.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) transports: Transports,
    pub(super) sources: u32,
    /// Connections at once.
    pub(super) connections: u64,
}

impl Plan {
    /// Checks all that can be checked without the server.
    ///
    /// # Errors
    ///
    /// Says what is wrong.
    pub(super) fn check(&self) -> Result<Checked, Refusal> {
        self.check_numbers()?;
        let transports = self.check_transports()?;
        let each = transports.used().into_iter().map(Transport::connections).max().unwrap_or(1);
        // Who sends nothing has no connection for it.
        let each =
            if matches!(self.scenario, Scenario::Post { .. } | Scenario::Idle { stomp: false, .. }) { 1 } else { each };
        // A publisher comes on top, and those who have the subscriptions beside.
        let beside = match self.scenario {
            Scenario::Fanout { beside, .. } => u64::from(beside.div_ceil(EACH_BESIDE)),
            _ => 0,
        };
        let connections = (self.scenario.clients() + beside + 1) * each;
        let needed = u32::try_from(connections.div_ceil(EACH_SOURCE)).unwrap_or(1);
        let sources = match self.sources {
            Some(sources) if (1..=250).contains(&sources) => sources,
            Some(_) => return Err(Refusal::new("--sources must be 1 to 250")),
            None => needed,
        };
        Ok(Checked { transports, sources, connections })
    }

    fn check_numbers(&self) -> Result<(), Refusal> {
        let wrong = |why: &str| Err(Refusal::new(why));
        if !(1..=MOST_CLIENTS).contains(&self.scenario.clients()) {
            return wrong("--clients must be 1 to 100000");
        }
        if !(stamp::LENGTH..=LARGEST).contains(&self.size) {
            return wrong("--size must be 24 to 1048576: who sent a body stands in it, and when");
        }
        match self.pace {
            Pace::Rate(rate) if !(rate > 0.0 && rate <= MOST_RATE) => {
                return wrong("--rate must be above 0 and at most 10000000");
            }
            Pace::InFlight(count) if !(1..=MOST_IN_FLIGHT).contains(&count) => {
                return wrong("--in-flight must be 1 to 100000");
            }
            _ => {}
        }
        if self.duration.is_zero() || self.duration > LONGEST {
            return wrong("--duration must be above 0 and at most 1h");
        }
        if self.warm_up > LONGEST {
            return wrong("--warm-up must be at most 1h");
        }
        if self.patience.is_zero() || self.patience > LONGEST {
            return wrong("--patience must be above 0 and at most 1h");
        }
        match &self.scenario {
            Scenario::Fanout { beside, .. } if *beside > 1_000_000 => wrong("--beside must be at most 1000000"),
            Scenario::Rooms { topics, members, clients } => {
                let memberships = u64::from(*topics) * u64::from(*members);
                match () {
                    () if !(1..=1_000_000).contains(&memberships) => {
                        wrong("--topics times --members must be 1 to 1000000")
                    }
                    () if u64::from(*topics) * self.size as u64 > MOST_BEFOREHAND => {
                        wrong("--topics times --size must be at most 1 GiB: the bodies are made beforehand")
                    }
                    () if members > clients => {
                        wrong("--members must not be more than --clients: who is in a room is there once")
                    }
                    () if u64::from(*clients) > memberships => {
                        wrong("--clients must not be more than --topics times --members")
                    }
                    () => Ok(()),
                }
            }
            Scenario::Queue { producers, consumers, prefetch, .. }
                if *producers == 0 || *consumers == 0 || *prefetch == Some(0) =>
            {
                wrong("--producers, --consumers and --prefetch must be at least 1")
            }
            Scenario::Churn { cycles: Some(0), .. } => wrong("--cycles must be at least 1"),
            Scenario::Post { .. } if !matches!(self.pace, Pace::Rate(_) | Pace::InFlight(1)) => {
                wrong("--in-flight must be 1: a connection has one POST at a time; more --clients make more")
            }
            _ => Ok(()),
        }
    }

    fn check_transports(&self) -> Result<Transports, Refusal> {
        let scheme = self.url.split("://").next().unwrap_or_default().to_ascii_lowercase();
        let usual = match scheme.as_str() {
            "http" => Transport::Websocket,
            "ws" => Transport::RawWebsocket,
            "tcp" => Transport::Tcp,
            _ => return Err(Refusal::new("the URL must begin with http://, ws:// or tcp://; there is no TLS here")),
        };
        let transports = self.transports.clone().unwrap_or(Transports::One(usual));
        for transport in transports.used() {
            let fits = match usual {
                Transport::Websocket => transport != Transport::Tcp,
                usual => transport == usual,
            };
            if !fits {
                return Err(Refusal::new(format!("there is no {transport} at a URL that begins with {scheme}://")));
            }
        }
        if usual == Transport::Tcp && !self.scenario.is_stomp() {
            return Err(Refusal::new(format!(
                "over TCP there is STOMP only, and {} is none; add --stomp if it has that",
                self.scenario.name()
            )));
        }
        if matches!(self.scenario, Scenario::Post { .. }) && usual != Transport::Websocket {
            return Err(Refusal::new("POSTs need a URL that begins with http://"));
        }
        Ok(transports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_shared_out_evenly() {
        let mix: Transports = "websocket=60,xhr-streaming=25,xhr-polling=15".parse().unwrap();
        let count = |all: &[Transport], wanted| all.iter().filter(|transport| **transport == wanted).count();
        for (clients, expected) in [(100, [60, 25, 15]), (20, [12, 5, 3]), (1, [1, 0, 0])] {
            let all = mix.of(clients);
            let found = [Transport::Websocket, Transport::XhrStreaming, Transport::XhrPolling]
                .map(|wanted| count(&all, wanted));
            assert_eq!((all.len(), found), (clients, expected));
        }
        assert!(count(&mix.of(100)[..10], Transport::XhrPolling) > 0, "not one after the other");
    }

    #[test]
    fn what_is_no_mix_is_refused() {
        for text in ["", "websocket", "websocket=0", "websocket=x", "websockets=1", "websocket=1,websocket=2"] {
            assert!(text.parse::<Transports>().is_err(), "{text}");
        }
    }

    fn refusal(change: impl FnOnce(&mut Plan)) -> String {
        let mut plan = Plan::new("http://127.0.0.1:1/echo", Scenario::Echo { clients: 10 });
        assert!(plan.check().is_ok());
        change(&mut plan);
        plan.check().expect_err("a refusal").to_string()
    }

    #[test]
    fn every_number_has_its_bounds() {
        refusal(|plan| plan.scenario = Scenario::Echo { clients: 0 });
        refusal(|plan| plan.scenario = Scenario::Echo { clients: 100_001 });
        refusal(|plan| plan.scenario = Scenario::Rooms { topics: 2, members: 3, clients: 2 });
        refusal(|plan| plan.scenario = Scenario::Rooms { topics: 0, members: 3, clients: 2 });
        refusal(|plan| plan.scenario = Scenario::Churn { clients: 1, cycles: Some(0), stomp: false });
        refusal(|plan| {
            plan.scenario = Scenario::Rooms { topics: 5000, members: 1, clients: 1 };
            plan.size = 1 << 20;
        });
        refusal(|plan| plan.size = 23);
        refusal(|plan| plan.size = LARGEST + 1);
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            refusal(|plan| plan.pace = Pace::Rate(rate));
        }
        refusal(|plan| plan.pace = Pace::InFlight(0));
        refusal(|plan| plan.duration = Duration::ZERO);
        refusal(|plan| plan.duration = LONGEST + Duration::from_secs(1));
        refusal(|plan| plan.patience = Duration::ZERO);
        refusal(|plan| plan.sources = Some(0));
    }

    #[test]
    fn transports_fit_the_url_and_the_scenario() {
        refusal(|plan| plan.url = "https://127.0.0.1/echo".into());
        refusal(|plan| plan.url = "tcp://127.0.0.1:1".into());
        refusal(|plan| plan.transports = Some(Transports::One(Transport::Tcp)));
        refusal(|plan| {
            (plan.url, plan.transports) = ("ws://127.0.0.1/".into(), Some(Transports::One(Transport::Websocket)))
        });
        let checked = Plan::new("ws://127.0.0.1/", Scenario::Echo { clients: 1 }).check().unwrap();
        assert_eq!(checked.transports, Transports::One(Transport::RawWebsocket));
    }

    #[test]
    fn many_connections_come_from_several_addresses() {
        let sources = |clients, transport| {
            let mut plan = Plan::new("http://127.0.0.1:1/echo", Scenario::Echo { clients });
            plan.transports = Some(Transports::One(transport));
            plan.check().unwrap().sources
        };
        assert_eq!(sources(1000, Transport::Websocket), 1);
        assert_eq!(sources(50_000, Transport::Websocket), 3);
        assert_eq!(sources(50_000, Transport::XhrPolling), 6);

        let mut idle = Plan::new("http://127.0.0.1:1/echo", Scenario::Idle { clients: 50_000, stomp: false });
        idle.transports = Some(Transports::One(Transport::XhrPolling));
        assert_eq!(idle.check().unwrap().sources, 3, "who sends nothing has one connection");
    }
}
