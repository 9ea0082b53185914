//! What a message through a queue costs the server: four producers and four competing consumers over plain TCP, transient
//! messages of 64 bytes; beside RabbitMQ, where Debian's `rabbitmq-server` is installed, under the same load in turn.
//!
//! `cargo bench --bench queue`, with `-- --rounds N` for more rounds and `-- individual` for the rows of that name only.

#![forbid(unsafe_code)]

mod support;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem;
use parking_lot::Mutex;
use support::client::Link;
use support::rabbitmq::RabbitMq;
use support::server::Server;
use support::table::Table;
use support::{CONNECT, Load, Options, Outcome, Sample, measure, median};
use tokio::sync::Notify;
use tokio::task::JoinSet;

const PRODUCERS: usize = 4;
const CONSUMERS: usize = 4;
const QUEUE: &str = "/queue/bench";

/// Length of every body: one digit for the producer, [`DIGITS`] for the number of the message, and filling.
const BODY: usize = 64;
const DIGITS: usize = 10;

/// How the consumers acknowledge, and how many messages each producer has on their way.
#[derive(Debug, Clone, Copy)]
struct Scenario {
    name: &'static str,
    /// What SUBSCRIBE says of it.
    headers: &'static str,
    acknowledges: bool,
    on_their_way: u64,
}

const AUTO: Scenario = Scenario { name: "auto", headers: "ack:auto\n", acknowledges: false, on_their_way: 1 };
const INDIVIDUAL: Scenario = Scenario {
    name: "client-individual, prefetch 100",
    headers: "ack:client-individual\nprefetch-count:100\n",
    acknowledges: true,
    on_their_way: 1,
};

fn main() -> ExitCode {
    support::run(bench)
}

async fn bench(options: Options) -> Outcome<()> {
    let rabbitmq = RabbitMq::start().await?;
    let towpath = Server::towpath_tcp()?;
    let mut servers = vec![("towpath", &towpath)];
    match &rabbitmq {
        Some(rabbitmq) => servers.push((&rabbitmq.name, &rabbitmq.server)),
        None => println!("RabbitMQ is NOT measured: Debian's rabbitmq-server is not installed"),
    }

    let mut table = Table::new(&[
        "acknowledgement",
        "on their way",
        "broker",
        "us/message",
        "messages per CPU second",
        "to the last",
        "messages/s",
    ]);
    for scenario in [AUTO, INDIVIDUAL] {
        if !options.wants(scenario.name) {
            continue;
        }
        for on_their_way in [1, 16, 128] {
            let scenario = Scenario { on_their_way, ..scenario };
            let mut rounds: Vec<Vec<Sample>> = Vec::new();
            // The first round is for warming up.
            for _ in 0..=options.rounds {
                let mut samples = Vec::new();
                for (_, server) in &servers {
                    samples.push(measure_queue(server, scenario).await?);
                }
                rounds.push(samples);
            }
            for (row, (name, _)) in servers.iter().enumerate() {
                let rounds = || rounds.iter().skip(1);
                let of = |figure: fn(&Sample) -> f64| median(rounds().map(|round| figure(&round[row])));
                let ratio = median(rounds().map(|round| round[round.len() - 1].cpu / round[row].cpu));
                table.row([
                    scenario.name.to_owned(),
                    format!("{PRODUCERS} x {on_their_way}"),
                    (*name).to_owned(),
                    format!("{:.2}", of(|sample| sample.cpu)),
                    format!("{:.0}", of(|sample| 1e6 / sample.cpu)),
                    if servers.len() > 1 { format!("{ratio:.2}") } else { String::new() },
                    format!("{:.0}", of(|sample| sample.rate)),
                ]);
            }
        }
    }
    println!(
        "\nserver CPU for one message from {PRODUCERS} producers to {CONSUMERS} consumers, medians of {} rounds\n\n{table}",
        options.rounds
    );
    Ok(())
}

/// Measures the CPU of the server for one message through the queue. Every message must come exactly once, and to each consumer
/// in the order in which its producer sent them.
async fn measure_queue(server: &Server, scenario: Scenario) -> Outcome<Sample> {
    let load = Arc::new(Load::default());
    let progress = Arc::new(Progress::default());
    let mut clients = JoinSet::new();
    for number in 0..CONSUMERS {
        let mut link = connect(server).await?;
        let subscribe =
            format!("SUBSCRIBE\nid:{number}\ndestination:{QUEUE}\n{}receipt:subscribed\n\n\0", scenario.headers);
        link.ask(&subscribe, "RECEIPT").await?;
        clients.spawn(consume(link, scenario, Arc::clone(&load), Arc::clone(&progress)));
    }
    for number in 0..PRODUCERS {
        let link = connect(server).await?;
        clients.spawn(produce(link, number, scenario, Arc::clone(&load), Arc::clone(&progress)));
    }
    measure(server, load, clients).await
}

async fn connect(server: &Server) -> Outcome<Link> {
    let mut link = Link::open(server.address()).await?;
    link.ask(CONNECT, "CONNECTED").await?;
    Ok(link)
}

/// Takes leave when all that was sent before has been done.
async fn disconnect(mut link: Link) -> Outcome<()> {
    link.ask("DISCONNECT\nreceipt:bye\n\n\0", "RECEIPT").await.map(|_| ())
}

/// What has become of the messages.
#[derive(Default)]
struct Progress {
    lanes: [Lane; PRODUCERS],
    /// Producers all of whose messages have come.
    finished: AtomicU64,
    ended: Notify,
}

/// The messages of one producer.
#[derive(Default)]
struct Lane {
    arrived: AtomicU64,
    some: Notify,
    /// A bit for each message that has come.
    seen: Mutex<Vec<u64>>,
}

impl Lane {
    fn arrive(&self, number: u64) -> Outcome<()> {
        let (word, bit) = (usize::try_from(number / 64)?, 1 << (number % 64));
        let mut seen = self.seen.lock();
        if seen.len() <= word {
            seen.resize(word + 1, 0);
        }
        if seen[word] & bit != 0 {
            return Err(format!("message {number} came twice").into());
        }
        seen[word] |= bit;
        self.arrived.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Sends whenever fewer than the scenario's number of messages are on their way.
async fn produce(
    mut link: Link,
    own: usize,
    scenario: Scenario,
    load: Arc<Load>,
    progress: Arc<Progress>,
) -> Outcome<()> {
    let lane = &progress.lanes[own];
    let (mut sent, mut batch) = (0, Vec::new());
    loop {
        let arrived = lane.arrived.load(Ordering::Relaxed);
        if load.runs() {
            while sent < arrived + scenario.on_their_way {
                let filling = "x".repeat(BODY - DIGITS - 1);
                let frame = format!("SEND\ndestination:{QUEUE}\n\n{own}{sent:0DIGITS$}{filling}\0");
                batch.extend_from_slice(frame.as_bytes());
                sent += 1;
            }
            link.send(&batch).await?;
            batch.clear();
        } else if arrived == sent {
            break;
        }
        lane.some.notified().await;
    }
    if progress.finished.fetch_add(1, Ordering::Relaxed) + 1 == PRODUCERS as u64 {
        progress.ended.notify_waiters();
    }
    disconnect(link).await
}

/// Takes what comes until every producer has ended.
async fn consume(mut link: Link, scenario: Scenario, load: Arc<Load>, progress: Arc<Progress>) -> Outcome<()> {
    let mut next = [0; PRODUCERS];
    let mut acknowledgements = Vec::new();
    loop {
        // Made before the look at `finished`, so that the end cannot come between.
        let ended = progress.ended.notified();
        if progress.finished.load(Ordering::Relaxed) == PRODUCERS as u64 {
            return disconnect(link).await;
        }
        let mut came = [false; PRODUCERS];
        let counted = link.frames(|frame| {
            let (producer, number) = message(frame)?;
            let lane = progress.lanes.get(producer).ok_or("a message of nobody")?;
            if number < next[producer] {
                return Err(format!("message {number} came where {} was the least due", next[producer]).into());
            }
            (next[producer], came[producer]) = (number + 1, true);
            lane.arrive(number)?;
            if scenario.acknowledges {
                acknowledgements.extend_from_slice(b"ACK\nid:");
                acknowledgements.extend_from_slice(header(frame, b"\nack:")?);
                acknowledgements.extend_from_slice(b"\n\n\0");
            }
            Ok(1)
        });
        let counted = tokio::select! {
            biased;
            counted = counted => counted?,
            () = ended => continue,
        };
        if scenario.acknowledges {
            link.send(&acknowledgements).await?;
            acknowledgements.clear();
        }
        load.count(counted);
        for (lane, _) in progress.lanes.iter().zip(came).filter(|(_, came)| *came) {
            lane.some.notify_one();
        }
    }
}

/// The producer and the number of a message.
fn message(frame: &[u8]) -> Outcome<(usize, u64)> {
    let body = frame.len().checked_sub(BODY).filter(|_| frame.starts_with(b"MESSAGE\n"));
    let digits = body.and_then(|at| frame.get(at..at + 1 + DIGITS)).and_then(|digits| std::str::from_utf8(digits).ok());
    let digits = digits.ok_or_else(|| format!("no MESSAGE: {:?}", String::from_utf8_lossy(frame)))?;
    Ok((digits[..1].parse()?, digits[1..].parse()?))
}

/// The value of a header as it stands on the wire, escaped or not.
fn header<'a>(frame: &'a [u8], mark: &[u8]) -> Outcome<&'a [u8]> {
    let begin = memmem::find(frame, mark).ok_or("a header is missing")? + mark.len();
    let length = memchr::memchr(b'\n', &frame[begin..]).ok_or("a header without an end")?;
    Ok(&frame[begin..begin + length])
}
