//! Everything that is measured, a line or two each: what is run, what it is held against, and what it should come to.
//!
//! Does not know: how a run is made, or what came of it.

use crate::controls::{COALESCING, DIALOGUE, DIRECT, ECHO, POLLING, POST, QUEUE, STREAMING};
use crate::run::Run;
use crate::servers::{Program, at_most};

/// What makes one line of the table.
#[derive(Debug)]
pub struct Row {
    /// What is measured, in words.
    pub name: String,
    /// Towpath's part.
    pub ours: Run,
    /// What of it counts.
    pub figure: Figure,
    /// What that should not exceed.
    pub at_most: f64,
    /// What it would better not exceed either.
    pub reach_for: f64,
    /// The same for somebody else's server, to be shown beside it.
    pub peers: Vec<Run>,
    /// How often it is measured, and when it is left out.
    pub pace: Pace,
}

/// How a row's value comes from the figures of its runs.
#[derive(Debug)]
pub enum Figure {
    /// CPU time for each message, over that of these runs, each so many times.
    Cpu(Vec<(u32, Run)>),
    /// How much more a message costs than in the first run, over how much more it costs a control, whose runs are the others.
    Growth([Run; 3]),
    /// A figure of the report, over the same of another run of towpath.
    Flat(&'static str, Run),
    /// Resident bytes for each client, in kB (1,000 bytes), beside those of a control.
    Resident(Run),
    /// CPU time for each message, in microseconds.
    Microseconds,
    /// The 99th percentile of the latencies over their median. That of the control shows what the load does to it.
    Spread(Run),
    /// What the resident memory grew by in the second half, in MiB.
    Drift,
    /// Descriptors that were open at the end and not at the beginning.
    Descriptors,
}

/// How often a row is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// In every round, with `--quick`, too.
    Quick,
    /// In every round.
    EveryRound,
    /// In the first round only: memory is not a matter of chance.
    Once,
    /// Once, and only with `--long`.
    Long,
}

/// Room for noise where a cost is not to grow at all.
const NO_MORE: f64 = 1.1;

fn towpath(args: impl Into<String>) -> Run {
    Run { program: Program::Towpath, args: args.into() }
}

fn control(name: &'static str, args: impl Into<String>) -> Run {
    Run { program: Program::Control(name), args: args.into() }
}

fn cpu(name: impl Into<String>, ours: Run, against: Vec<(u32, Run)>, at_most: f64, reach_for: f64) -> Row {
    row(name, ours, Figure::Cpu(against), at_most, reach_for)
}

fn row(name: impl Into<String>, ours: Run, figure: Figure, at_most: f64, reach_for: f64) -> Row {
    Row { name: name.into(), ours, figure, at_most, reach_for, peers: Vec::new(), pace: Pace::EveryRound }
}

impl Row {
    fn beside(self, programs: &[Program], args: &str) -> Self {
        let peers = programs.iter().map(|program| Run { program: *program, args: args.to_owned() }).collect();
        Self { peers, ..self }
    }

    fn at(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// All runs that it needs, its own first.
    pub fn runs(&self) -> Vec<&Run> {
        let others: Vec<&Run> = match &self.figure {
            Figure::Cpu(against) => against.iter().map(|(_, run)| run).collect(),
            Figure::Growth(runs) => runs.iter().collect(),
            Figure::Flat(_, run) | Figure::Spread(run) => vec![run],
            Figure::Resident(run) => vec![run],
            Figure::Microseconds | Figure::Drift | Figure::Descriptors => Vec::new(),
        };
        [&self.ours].into_iter().chain(others).chain(&self.peers).collect()
    }
}

/// All rows, in the order of the table.
pub fn rows() -> Vec<Row> {
    [echoes(), fan_outs(), rooms(), queues(), churn(), idle(), growth()].into_iter().flatten().collect()
}

const SOCKJS: [Program; 2] = [Program::Npm, Program::Pypi];
const RABBITMQ: [Program; 1] = [Program::RabbitMq];

fn echoes() -> Vec<Row> {
    let websocket = |load: &str| towpath(format!("echo http://{{web}}/echo {load}"));
    let bare = |load: &str| vec![(1, control(ECHO, format!("echo ws://{{web}}/ {load}")))];
    let http =
        |transport: &str| format!("echo http://{{web}}/echo --transport {transport} --clients 100 --in-flight 1");
    let post = || control(POST, "post http://{web}/ --clients 100 --in-flight 1");
    let delivery = direct(100, 1);
    let mut rows = Vec::new();
    for (what, load, at_most, reach_for) in [
        ("100 connections", "--clients 100 --in-flight 1", 1.3, 1.1),
        ("1000 connections", "--clients 1000 --in-flight 1", 1.3, 1.1),
        ("100 connections, 4 KiB", "--clients 100 --in-flight 1 --size 4096", 1.6, 1.2),
        ("100 connections, 16 in flight", "--clients 100 --in-flight 16", 0.35, 0.15),
    ] {
        let name = format!("SockJS websocket echo, {what}");
        let args = format!("echo http://{{web}}/echo {load}");
        rows.push(cpu(name, websocket(load), bare(load), at_most, reach_for).beside(&SOCKJS, &args));
    }
    let (streaming, polling) = (http("xhr-streaming"), http("xhr-polling"));
    rows.push(
        cpu("xhr-streaming echo", towpath(&*streaming), vec![(1, post()), (1, delivery)], 1.4, 1.1)
            .beside(&SOCKJS, &streaming),
    );
    rows.push(cpu("xhr-polling echo", towpath(&*polling), vec![(2, post())], 1.4, 1.1).beside(&SOCKJS, &polling));
    let saturated = control(ECHO, "echo ws://{web}/ --clients 1000 --in-flight 1");
    let fair = websocket("--clients 1000 --in-flight 1");
    rows.push(row("fairness: 1000 saturated echoes, p99 / p50", fair, Figure::Spread(saturated), 4.0, 2.0));
    if let Some(first) = rows.first_mut() {
        first.pace = Pace::Quick;
    }
    rows
}

fn raw(subscribers: usize, in_flight: usize) -> Run {
    towpath(format!("fanout ws://{{web}}/stomp/websocket --clients {subscribers} --in-flight {in_flight}"))
}

fn direct(subscribers: usize, in_flight: usize) -> Run {
    control(DIRECT, format!("fanout ws://{{web}}/ --clients {subscribers} --in-flight {in_flight}"))
}

fn coalescing(subscribers: usize, in_flight: usize) -> Run {
    control(COALESCING, format!("fanout ws://{{web}}/ --clients {subscribers} --in-flight {in_flight}"))
}

fn fan_outs() -> Vec<Row> {
    let mut rows = Vec::new();
    for (in_flight, least, at_most_of_it, reach_for) in
        [(1, direct as fn(usize, usize) -> Run, 1.3, 1.1), (8, coalescing, 1.7, 1.2)]
    {
        for subscribers in [100, 1000, at_most(10_000)] {
            let name = format!("topic fan-out, raw websocket, {subscribers} subscribers, {in_flight} on the way");
            let against = vec![(1, least(subscribers, in_flight))];
            let row = cpu(name, raw(subscribers, in_flight), against, at_most_of_it, reach_for);
            let args = format!("fanout ws://{{web}}/ws --clients {subscribers} --in-flight {in_flight}");
            // With more RabbitMQ is busy for minutes, mostly with connecting them.
            rows.push(if subscribers > 1000 { row } else { row.beside(&RABBITMQ, &args) });
        }
    }
    for in_flight in [1, 8] {
        for subscribers in [100, 1000, at_most(10_000)] {
            let name =
                format!("topic fan-out, SockJS over raw websocket, {subscribers} subscribers, {in_flight} on the way");
            let args = format!("fanout http://{{web}}/stomp --clients {subscribers} --in-flight {in_flight}");
            rows.push(cpu(name, towpath(args), vec![(1, raw(subscribers, in_flight))], 1.4, 1.15));
        }
    }
    if let Some(first) = rows.first_mut() {
        first.pace = Pace::Quick;
    }
    rows
}

fn rooms() -> Vec<Row> {
    let clients = at_most(10_000);
    let topics = clients / 2;
    let load = format!("--topics {topics} --members 4 --clients {clients} --in-flight 1");
    let ours = towpath(format!("rooms ws://{{web}}/stomp/websocket {load}"));
    let against = vec![(1, control(DIRECT, format!("rooms ws://{{web}}/ {load}")))];
    vec![cpu(format!("{topics} rooms of 4"), ours, against, 1.4, 1.15)]
}

fn queues() -> Vec<Row> {
    let mut rows = Vec::new();
    for (mode, options, at_most, reach_for) in
        [("auto", "--ack auto", 2.5, 1.5), ("client-individual", "--ack client-individual --prefetch 100", 4.0, 2.0)]
    {
        for in_flight in [1, 16, 128] {
            let name = format!("queue over TCP, {mode}, 4 x {in_flight} on the way");
            let args = format!("queue tcp://{{tcp}} --producers 4 --consumers 4 {options} --in-flight {in_flight}");
            let against = vec![(1, control(QUEUE, &*args))];
            let row = cpu(name, towpath(&*args), against, at_most, reach_for).beside(&RABBITMQ, &args);
            rows.push(row.at(if in_flight == 16 { Pace::Quick } else { Pace::EveryRound }));
        }
    }
    rows
}

fn churn() -> Vec<Row> {
    const LOAD: &str = "--stomp --clients 10 --duration 2s";
    let ours = towpath(format!("churn ws://{{web}}/stomp/websocket {LOAD}"));
    let against = vec![(1, control(DIALOGUE, format!("churn ws://{{web}}/ {LOAD}")))];
    let long = || towpath("churn ws://{web}/stomp/websocket --stomp --clients 10 --cycles 200000 --duration 20m");
    vec![
        cpu("churn: connect, subscribe, send, receive, disconnect", ours, against, 1.6, 1.2)
            // Over websockets it closes without the receipt of DISCONNECT.
            .beside(&RABBITMQ, &format!("churn tcp://{{tcp}} {LOAD}"))
            .at(Pace::Quick),
        row("drift of the second half of 200000 churn cycles", long(), Figure::Drift, 1.0, 1.0).at(Pace::Long),
        row("descriptors left by 200000 churn cycles", long(), Figure::Descriptors, 0.0, 0.0).at(Pace::Long),
    ]
}

fn websockets(clients: usize) -> Run {
    towpath(format!("idle http://{{web}}/echo --clients {clients}"))
}

fn subscriptions(clients: usize) -> Run {
    towpath(format!("idle ws://{{web}}/stomp/websocket --stomp --clients {clients}"))
}

fn idle() -> Vec<Row> {
    let clients = at_most(10_000);
    let http = |transport: &str| format!("idle http://{{web}}/echo --transport {transport} --clients {clients}");
    let (streaming, polling) = (http("xhr-streaming"), http("xhr-polling"));
    let bare = || control(ECHO, format!("idle ws://{{web}}/ --clients {clients}"));
    let resident = |kind: &str, ours: Run, control: Run, at_most: f64, reach_for: f64| {
        let name = format!("idle memory, {clients} x {kind}");
        row(name, ours, Figure::Resident(control), at_most, reach_for).at(Pace::Once)
    };
    vec![
        resident("websocket", websockets(clients), bare(), 8.0, 5.0).beside(&SOCKJS, &websockets(clients).args),
        // With more clients RabbitMQ needs gigabytes.
        resident("STOMP websocket, one subscription", subscriptions(clients), bare(), 10.0, 6.0)
            .beside(&RABBITMQ, "idle ws://{web}/ws --stomp --clients 1000"),
        resident("xhr-streaming", towpath(&*streaming), control(STREAMING, &*streaming), 16.0, 10.0),
        resident("xhr-polling", towpath(&*polling), control(POLLING, &*polling), 14.0, 10.0),
        row(
            "a heartbeat of one of 1000 sessions",
            towpath("idle http://{web}/beat --clients 1000 --duration 3s"),
            Figure::Microseconds,
            10.0,
            5.0,
        ),
    ]
}

fn growth() -> Vec<Row> {
    let (few, many, most) = (1000, at_most(10_000), at_most(15_000));
    let grown = Figure::Growth([raw(few, 1), direct(few, 1), direct(many, 1)]);
    let mut rows = vec![row(
        format!("growth of a delivery's cost from {few} to {many} subscribers, over the control's"),
        raw(many, 1),
        grown,
        NO_MORE,
        1.0,
    )];
    for (others, destination) in [("topics", "/topic/beside.{n}"), ("patterns", "/topic/beside.{n}.*")] {
        let publish = |number: usize| {
            towpath(format!(
                "fanout ws://{{web}}/stomp/websocket --clients 1 --in-flight 1 --beside {number} --beside-destination {destination}"
            ))
        };
        let name = format!("publishing beside 10000 other {others}, over beside 10");
        rows.push(row(name, publish(10_000), Figure::Flat("/server/cpu_us_each", publish(10)), NO_MORE, 1.0));
    }
    for (kind, of) in [("websocket", websockets as fn(usize) -> Run), ("STOMP websocket", subscriptions)] {
        let name = format!("memory of one of {most} x {kind}, over one of {few}");
        let flat = Figure::Flat("/server/resident_each", of(few));
        rows.push(row(name, of(most), flat, NO_MORE, 1.0).at(Pace::Once));
    }
    rows
}
