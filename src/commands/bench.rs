//! `towpath bench`: puts an honest load on a SockJS or STOMP server, and prints what came of it.
//!
//! Does not know: how the load is made, or how anything is measured.

use std::error::Error;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use parking_lot::Mutex;
use towpath::bench::{self, Pace, Plan, Refusal, Report, Scenario, Transport, Transports};

use super::credentials::Credentials;
use super::guard;
use super::terminal::{self, Progress};

/// The exit status if something did not come once and in order, or a client failed.
const AMISS: u8 = 1;
/// The exit status if it could not be run.
const NOT_RUN: u8 = 2;

/// What is to be done to which server.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Order {
    /// What clients do.
    #[arg(value_enum)]
    scenario: Name,
    /// http://host:port/prefix of a SockJS service (post: what is POSTed to), ws://host:port/path, or tcp://host:port.
    url: String,

    /// How clients are connected; by default websocket, raw-websocket or tcp, as the URL says.
    #[arg(long, value_name = "T", value_parser = transport, help_heading = CLIENTS)]
    transport: Option<Transport>,
    /// Shares of the clients by transport, such as websocket=60,xhr-streaming=25,xhr-polling=15.
    #[arg(long, value_name = "SHARES", value_parser = mix, conflicts_with = "transport", help_heading = CLIENTS)]
    mix: Option<Transports>,
    /// How many clients; 100 if it is not said (fanout: subscribers; churn: at once, 10; rooms: half as many as memberships).
    #[arg(long, value_name = "N", help_heading = CLIENTS)]
    clients: Option<u32>,
    /// churn, idle: sessions speak STOMP and have one subscription each.
    #[arg(long, help_heading = CLIENTS)]
    stomp: bool,
    /// rooms: how many topics; 5000 if it is not said.
    #[arg(long, value_name = "N", help_heading = CLIENTS)]
    topics: Option<u32>,
    /// rooms: subscribers of each topic; 4 if it is not said.
    #[arg(long, value_name = "N", help_heading = CLIENTS)]
    members: Option<u32>,
    /// queue: how many clients send; 4 if it is not said.
    #[arg(long, value_name = "N", help_heading = CLIENTS)]
    producers: Option<u32>,
    /// queue: how many clients take; 4 if it is not said.
    #[arg(long, value_name = "N", help_heading = CLIENTS)]
    consumers: Option<u32>,
    /// queue: how consumers acknowledge; auto if it is not said.
    #[arg(long, value_enum, value_name = "MODE", help_heading = CLIENTS)]
    ack: Option<Ack>,
    /// queue: the prefetch-count of subscriptions; by default what the server has.
    #[arg(long, value_name = "N", help_heading = CLIENTS)]
    prefetch: Option<u32>,
    /// The topic or queue, or what the names of rooms begin with; by default a fresh one.
    #[arg(long, value_name = "NAME", help_heading = CLIENTS)]
    destination: Option<String>,
    /// fanout: so many subscriptions of other destinations exist meanwhile.
    #[arg(long, value_name = "N", help_heading = CLIENTS)]
    beside: Option<u32>,
    /// fanout: these destinations, with n in braces where their number is to stand; topics if it is not said.
    #[arg(long, value_name = "NAME", requires = "beside", help_heading = CLIENTS)]
    beside_destination: Option<String>,
    /// Connections come from 127.0.0.1 to 127.0.0.N in turn; by default so many that ports suffice.
    #[arg(long, value_name = "N", help_heading = CLIENTS)]
    sources: Option<u32>,
    /// The host of CONNECT: a virtual host of the broker.
    #[arg(long, value_name = "NAME", default_value = "/", help_heading = CLIENTS)]
    host: String,
    #[command(flatten)]
    credentials: Credentials,

    /// Bytes of a body, at least 24: who sent it and when stands in it. 64 if it is not said.
    #[arg(long, value_name = "BYTES", help_heading = LOAD)]
    size: Option<usize>,
    /// Messages a second in all, on a schedule that does not wait for the server; latency counts from when a message was due.
    /// This is the default, with 1000.
    #[arg(long, value_name = "N", help_heading = LOAD)]
    rate: Option<f64>,
    /// Instead of a rate, each sender keeps so many messages on their way; latency counts from the sending.
    #[arg(long, value_name = "N", conflicts_with = "rate", help_heading = LOAD)]
    in_flight: Option<u32>,
    /// How long is measured, at most 1h.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration, help_heading = LOAD)]
    duration: Duration,
    /// How long the load runs before that.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration, help_heading = LOAD)]
    warm_up: Duration,
    /// churn: ends after so many cycles; the duration still bounds it.
    #[arg(long, value_name = "N", help_heading = LOAD)]
    cycles: Option<u64>,
    /// The longest wait for any one step, and for what is still on its way at the end.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration, help_heading = LOAD)]
    patience: Duration,

    /// The server's process on this machine: its CPU, memory and descriptors are told, too.
    #[arg(long, value_name = "PID", help_heading = RESULT)]
    server_pid: Option<u32>,
    /// Print one JSON object instead of text.
    #[arg(long, help_heading = RESULT)]
    json: bool,
    /// Load a server that is not on this machine.
    #[arg(long)]
    yes: bool,
}

const CLIENTS: &str = "Clients";
const LOAD: &str = "Load";
const RESULT: &str = "Result";

const EXAMPLES: &str = "\
Examples:
  towpath bench echo http://127.0.0.1:8080/echo --clients 1000 --in-flight 1 --server-pid 4711
  towpath bench fanout http://127.0.0.1:8080/stomp --mix websocket=60,xhr-streaming=25,xhr-polling=15 --rate 50
  towpath bench queue tcp://127.0.0.1:61613 --in-flight 16 --ack client-individual

Exit status: 0 if all came once and in order, 1 if something was lost, came twice or out of order or a client failed,
2 if it could not be run.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Every client sends messages and gets each back: a SockJS echo service, or a raw websocket that echoes.
    Echo,
    /// One STOMP publisher, and many subscribers of one topic.
    Fanout,
    /// Many topics with a few STOMP subscribers each; one publisher goes round them.
    Rooms,
    /// Producers and consumers of one STOMP queue.
    Queue,
    /// Clients come, do one thing and go: an echo, or with --stomp a subscription, a message and a receipt.
    Churn,
    /// Sessions that do nothing but take heartbeats.
    Idle,
    /// POSTs that are answered with 204: the floor of everything over HTTP.
    Post,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ack {
    Auto,
    ClientIndividual,
}

/// Runs it, and prints. The exit status is 0 if all came once and in order, 1 if not, and 2 if it could not be run.
pub fn run(order: &Order) -> ExitCode {
    match load(order) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(AMISS),
        Err(error) => {
            eprintln!("towpath: {error}");
            ExitCode::from(NOT_RUN)
        }
    }
}

fn load(order: &Order) -> Result<bool, Box<dyn Error>> {
    order.check_fit()?;
    let plan = order.plan()?;
    let host = guard::host(&plan.url).ok_or("the URL must be http://host/prefix, ws://host/path or tcp://host:port")?;
    let progress = Mutex::new(Progress::new());
    let tell = |what: &str| progress.lock().show(&format!("{}: {what}", plan.scenario.name()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report: Result<Report, Box<dyn Error>> = runtime.block_on(async {
        guard::allow(&host, order.yes, &burden(&plan)).await?;
        Ok(bench::run(&plan, tell).await?)
    });
    // The line goes before the report comes.
    drop(progress);
    let report = report?;
    terminal::print(&if order.json { report.json() } else { report.to_string() })?;
    Ok(report.is_clean())
}

/// What would be done to the server, for whoever is not sure whose it is.
fn burden(plan: &Plan) -> String {
    let does = match (&plan.scenario, plan.pace) {
        (Scenario::Idle { .. }, _) => "be connected to it".to_owned(),
        (Scenario::Churn { .. }, Pace::InFlight(_)) => "come and go as fast as it lets them".to_owned(),
        (Scenario::Churn { .. }, Pace::Rate(rate)) => format!("come and go {rate} times a second"),
        (_, Pace::Rate(rate)) => format!("load it with {rate} messages a second"),
        (_, Pace::InFlight(_)) => "load it with as many messages as it takes".to_owned(),
    };
    let time = humantime::format_duration(plan.warm_up + plan.duration);
    format!("{} clients would {does} for {time}", plan.scenario.clients())
}

impl Order {
    /// Refuses an option that would do nothing, so that nobody takes a figure for what it is not.
    fn check_fit(&self) -> Result<(), String> {
        use Name::{Churn, Echo, Fanout, Idle, Post, Queue, Rooms};
        let options: [(&str, bool, &[Name]); 16] = [
            ("--transport", self.transport.is_some(), &[Echo, Fanout, Rooms, Queue, Churn, Idle]),
            ("--mix", self.mix.is_some(), &[Echo, Fanout, Rooms, Queue, Churn, Idle]),
            ("--clients", self.clients.is_some(), &[Echo, Fanout, Rooms, Churn, Idle, Post]),
            ("--stomp", self.stomp, &[Churn, Idle]),
            ("--topics", self.topics.is_some(), &[Rooms]),
            ("--members", self.members.is_some(), &[Rooms]),
            ("--producers", self.producers.is_some(), &[Queue]),
            ("--consumers", self.consumers.is_some(), &[Queue]),
            ("--ack", self.ack.is_some(), &[Queue]),
            ("--prefetch", self.prefetch.is_some(), &[Queue]),
            ("--destination", self.destination.is_some(), &[Fanout, Rooms, Queue, Churn, Idle]),
            ("--beside", self.beside.is_some(), &[Fanout]),
            ("--size", self.size.is_some(), &[Echo, Fanout, Rooms, Queue, Churn, Post]),
            ("--rate", self.rate.is_some(), &[Echo, Fanout, Rooms, Queue, Churn, Post]),
            ("--in-flight", self.in_flight.is_some(), &[Echo, Fanout, Rooms, Queue, Post]),
            ("--cycles", self.cycles.is_some(), &[Churn]),
        ];
        let idle = |(_, given, fits): &&(&str, bool, &[Name])| *given && !fits.contains(&self.scenario);
        let Some((option, _, fits)) = options.iter().find(idle) else { return Ok(()) };
        let instead = match (*option, self.scenario) {
            ("--clients", Queue) => "use --producers and --consumers",
            _ => "leave it out",
        };
        let name = |name: &Name| name.to_possible_value().map(|value| value.get_name().to_owned());
        let scenarios: Vec<_> = fits.iter().filter_map(name).collect();
        Err(format!("{option} is for {} only; {instead}", scenarios.join(", ")))
    }

    fn plan(&self) -> Result<Plan, String> {
        let clients = self.clients.unwrap_or(100);
        let (topics, members) = (self.topics.unwrap_or(5000), self.members.unwrap_or(4));
        let memberships = topics.saturating_mul(members);
        let scenario = match self.scenario {
            Name::Echo => Scenario::Echo { clients },
            Name::Fanout => {
                let beside_destination = self.beside_destination.as_deref().unwrap_or("/topic/beside.{n}").to_owned();
                Scenario::Fanout { clients, beside: self.beside.unwrap_or(0), beside_destination }
            }
            Name::Rooms => {
                Scenario::Rooms { topics, members, clients: self.clients.unwrap_or((memberships / 2).max(members)) }
            }
            Name::Queue => Scenario::Queue {
                producers: self.producers.unwrap_or(4),
                consumers: self.consumers.unwrap_or(4),
                ack: match self.ack {
                    None | Some(Ack::Auto) => bench::Ack::Auto,
                    Some(Ack::ClientIndividual) => bench::Ack::ClientIndividual,
                },
                prefetch: self.prefetch,
            },
            Name::Churn => {
                Scenario::Churn { clients: self.clients.unwrap_or(10), cycles: self.cycles, stomp: self.stomp }
            }
            Name::Idle => Scenario::Idle { clients, stomp: self.stomp },
            Name::Post => Scenario::Post { clients },
        };
        let mut plan = Plan::new(&self.url, scenario);
        plan.transports = self.mix.clone().or(self.transport.map(Transports::One));
        plan.destination.clone_from(&self.destination);
        plan.size = self.size.unwrap_or(plan.size);
        plan.pace = match (self.in_flight, self.rate) {
            (Some(count), _) => Pace::InFlight(count),
            (None, Some(rate)) => Pace::Rate(rate),
            // Cycles follow each other unless they are to begin on a schedule.
            (None, None) if self.scenario == Name::Churn => Pace::InFlight(1),
            (None, None) => plan.pace,
        };
        plan.duration = self.duration;
        plan.warm_up = self.warm_up;
        plan.patience = self.patience;
        plan.server_pid = self.server_pid;
        plan.sources = self.sources;
        plan.host.clone_from(&self.host);
        plan.login.clone_from(&self.credentials.login);
        plan.passcode = self.credentials.passcode()?;
        Ok(plan)
    }
}

fn transport(text: &str) -> Result<Transport, Refusal> {
    Transport::from_str(text)
}

fn mix(text: &str) -> Result<Transports, Refusal> {
    Transports::from_str(text)
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|why| format!("{why}; write it as 500ms, 30s or 2m"))
}
