//! What a delivery costs the server when there are thousands of topics with four members each, beside one topic of four, and
//! beside a control that writes a frame made beforehand to each member's socket.
//!
//! Publications go to the topics in turn, so each finds nothing in the processor's caches that the one before it left there.
//!
//! `cargo bench --bench rooms`, with `-- --rounds N` for more rounds.

#![forbid(unsafe_code)]

mod support;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem;
use support::client::{Link, masked};
use support::control::{self, PUBLISH, SUBSCRIBE, WELCOME};
use support::fan::{self, BODY, DIGITS, Kind, body};
use support::server::{Server, at_most};
use support::table::Table;
use support::{Load, Options, Outcome, Sample, measure, median};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;

const TOPICS: usize = 5000;
const MEMBERS: usize = 4;

/// Messages on their way. More than one to one topic go to a member in one write, which those to many topics cannot.
const ON_THEIR_WAY: [u64; 2] = [1, 8];

/// The next publication goes so many topics further on: neighbours in memory are not published to one after the other.
const STRIDE: usize = 1009;

fn main() -> ExitCode {
    support::run(bench)
}

async fn bench(options: Options) -> Outcome<()> {
    // With a client for each member there would be 20,000 connections, more than most systems allow.
    let topics = at_most(TOPICS * MEMBERS / 2) * 2 / MEMBERS / 10 * 10;
    let houses = [
        Rooms { topics: 1, each: 1 },
        // Few clients, so that sockets stay in the caches: what is left is the cost of many topics.
        Rooms { topics, each: topics / 5 },
        Rooms { topics, each: 2 },
    ];
    let rows: Vec<_> =
        [Kind::Control, Kind::Raw].into_iter().flat_map(|kind| houses.map(|rooms| (kind, rooms))).collect();

    // Of each load, round and row.
    let mut samples: [Vec<Vec<Sample>>; 2] = Default::default();
    for _ in 0..options.rounds {
        samples.iter_mut().for_each(|rounds| rounds.push(Vec::new()));
        for (kind, rooms) in rows.iter().copied() {
            // One house at a time: the load may not have more open files than one server.
            let house = House::open(kind, rooms).await?;
            for (rounds, on_their_way) in samples.iter_mut().zip(ON_THEIR_WAY) {
                let sample = house.measure(on_their_way).await?;
                rounds.last_mut().ok_or("no round")?.push(sample);
            }
        }
    }

    let mut table = Table::new(&[
        "fan-out",
        "topics of 4",
        "clients",
        "on their way",
        "us/delivery",
        "to one topic",
        "to direct",
        "kernel",
    ]);
    for (rounds, on_their_way) in samples.iter().zip(ON_THEIR_WAY) {
        for (row, (kind, rooms)) in rows.iter().copied().enumerate() {
            let of = |figure: fn(&Sample) -> f64| median(rounds.iter().map(|round| figure(&round[row])));
            let to = |other: usize| median(rounds.iter().map(|round| round[row].cpu / round[other].cpu));
            table.row([
                if kind == Kind::Control { "direct write" } else { "STOMP, raw websocket" }.to_owned(),
                rooms.topics.to_string(),
                rooms.clients().to_string(),
                on_their_way.to_string(),
                format!("{:.2}", of(|sample| sample.cpu)),
                format!("{:.2}", to(row / houses.len() * houses.len())),
                format!("{:.2}", to(row % houses.len())),
                format!("{:.0} %", 100.0 * of(|sample| sample.kernel)),
            ]);
        }
    }
    println!("\nserver CPU for one delivery, medians of {} rounds\n\n{table}", options.rounds);
    Ok(())
}

/// Who is where.
#[derive(Debug, Clone, Copy)]
struct Rooms {
    topics: usize,
    /// How many topics a client is in.
    each: usize,
}

impl Rooms {
    fn clients(self) -> usize {
        self.topics * MEMBERS / self.each
    }

    fn of(self, client: usize) -> impl Iterator<Item = usize> {
        (0..self.each).map(move |place| (client + place * self.topics / self.each) % self.topics)
    }

    fn topic(self, publication: u64) -> usize {
        // The numbers are far below the largest.
        (publication as usize).wrapping_mul(STRIDE) % self.topics
    }
}

/// A server of its own with all its clients, who stay from one measurement to the next.
struct House {
    kind: Kind,
    rooms: Rooms,
    load: Arc<Load>,
    publisher: Arc<Mutex<Publisher>>,
    /// Those who listen; they go with this.
    _listeners: JoinSet<()>,
    server: Server,
}

struct Publisher {
    link: Link,
    published: u64,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    /// The number of deliveries after which the publisher is to be woken.
    wanted: AtomicU64,
    reached: Notify,
    /// What went wrong with a listener.
    failure: parking_lot::Mutex<Option<String>>,
}

impl House {
    async fn open(kind: Kind, rooms: Rooms) -> Outcome<Self> {
        let server = if kind == Kind::Control { Server::control(control::ROOMS)? } else { Server::towpath()? };
        let (load, progress) = (Arc::new(Load::default()), Arc::new(Progress::default()));
        let mut listeners = JoinSet::new();
        for client in 0..rooms.clients() {
            let link = join(&server, kind, rooms, client).await?;
            let (load, progress) = (Arc::clone(&load), Arc::clone(&progress));
            listeners.spawn(async move {
                if let Err(error) = listen(link, kind, &load, &progress).await {
                    *progress.failure.lock() = Some(error.to_string());
                    progress.reached.notify_one();
                }
            });
        }
        let link = match kind {
            Kind::Control => enroll(&server, &[PUBLISH]).await?,
            Kind::Raw | Kind::Sockjs => fan::connect(server.address(), Kind::Raw, rooms.clients()).await?,
        };
        let publisher = Arc::new(Mutex::new(Publisher { link, published: 0, progress }));
        Ok(Self { kind, rooms, load, publisher, _listeners: listeners, server })
    }

    async fn measure(&self, on_their_way: u64) -> Outcome<Sample> {
        self.load.stop.store(false, Ordering::Relaxed);
        let (kind, rooms, load) = (self.kind, self.rooms, Arc::clone(&self.load));
        let publisher = Arc::clone(&self.publisher);
        let mut clients = JoinSet::new();
        clients.spawn(async move { publisher.lock().await.publish(kind, rooms, on_their_way, &load).await });
        measure(&self.server, Arc::clone(&self.load), clients).await
    }
}

impl Publisher {
    /// Publishes whenever fewer than `on_their_way` messages are, until it is to stop and all have come.
    async fn publish(&mut self, kind: Kind, rooms: Rooms, on_their_way: u64, load: &Load) -> Outcome<()> {
        let members = MEMBERS as u64;
        let mut batch = Vec::new();
        loop {
            let deliveries = load.done.load(Ordering::Relaxed);
            let mut wanted = self.published * members;
            if load.runs() {
                while self.published < deliveries / members + on_their_way {
                    let topic = rooms.topic(self.published);
                    match kind {
                        Kind::Control => batch.extend_from_slice(&u16::try_from(topic)?.to_be_bytes()),
                        Kind::Raw | Kind::Sockjs => {
                            let frame = format!("SEND\ndestination:{}\n\n{}\0", name(topic), body(self.published));
                            batch.extend_from_slice(&masked(&frame));
                        }
                    }
                    self.published += 1;
                }
                self.link.send(&batch).await?;
                batch.clear();
                wanted = (self.published - on_their_way + 1) * members;
            } else if deliveries >= wanted {
                let exactly = deliveries == wanted;
                return if exactly { Ok(()) } else { Err("a message came to somebody else, too".into()) };
            }
            self.progress.wanted.store(wanted, Ordering::Relaxed);
            if load.done.load(Ordering::Relaxed) < wanted {
                self.progress.reached.notified().await;
            }
            if let Some(failure) = self.progress.failure.lock().take() {
                return Err(failure.into());
            }
        }
    }
}

fn name(topic: usize) -> String {
    format!("/topic/room.{topic}")
}

/// A client that is a member of its topics.
async fn join(server: &Server, kind: Kind, rooms: Rooms, client: usize) -> Outcome<Link> {
    if kind == Kind::Control {
        let mut words = vec![SUBSCRIBE];
        for number in [rooms.each].into_iter().chain(rooms.of(client)) {
            words.extend_from_slice(&u16::try_from(number)?.to_be_bytes());
        }
        return enroll(server, &words).await;
    }
    let mut link = fan::connect(server.address(), kind, client).await?;
    for (id, room) in rooms.of(client).enumerate() {
        let subscribe = format!("SUBSCRIBE\nid:{id}\ndestination:{}\nreceipt:r\n\n\0", name(room));
        link.send(&masked(&subscribe)).await?;
        link.expect("RECEIPT").await?;
    }
    Ok(link)
}

/// A connection that the control knows by what it says first.
async fn enroll(server: &Server, words: &[u8]) -> Outcome<Link> {
    let mut link = Link::open(server.address()).await?;
    link.send(words).await?;
    match link.byte().await? {
        WELCOME => Ok(link),
        other => Err(format!("the control answered {other}").into()),
    }
}

/// Counts deliveries, whose numbers must rise: each comes once to each member, in order.
async fn listen(mut link: Link, kind: Kind, load: &Load, progress: &Progress) -> Outcome<()> {
    let mut least = 0;
    loop {
        let counted =
            link.packets(|payload| if kind == Kind::Control { Ok(1) } else { delivered(payload, &mut least) });
        load.count(counted.await?);
        if load.done.load(Ordering::Relaxed) >= progress.wanted.load(Ordering::Relaxed) {
            progress.reached.notify_one();
        }
    }
}

/// Counts the messages in what one websocket message carries.
fn delivered(payload: &[u8], least: &mut u64) -> Outcome<usize> {
    let mut count = 0;
    for end in memmem::find_iter(payload, b"\0") {
        let start = end.checked_sub(BODY).ok_or("no MESSAGE")?;
        let number: u64 = std::str::from_utf8(payload.get(start..start + DIGITS).ok_or("no MESSAGE")?)?.parse()?;
        if number < *least {
            return Err(format!("message {number} came where {least} was the least due").into());
        }
        *least = number + 1;
        count += 1;
    }
    Ok(count)
}
