//! What an echo costs the server over each transport, beside the controls: bare tokio-tungstenite for the websockets, and
//! bare hyper POSTs, with one direct write where a stream carries the answer, for the HTTP transports.
//!
//! `cargo bench --bench echo`, with `-- --rounds N` for more rounds and `-- polling` for rows of that name only.

#![forbid(unsafe_code)]

mod support;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use support::client::{Link, masked, post};
use support::fan::{self, Kind};
use support::server::{Server, at_most};
use support::table::Table;
use support::{Load, Options, Outcome, Sample, control, measure, median};
use tokio::task::JoinSet;

fn main() -> ExitCode {
    support::run(bench)
}

/// What one client does, over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    /// Websocket messages as they are, to this path.
    Raw(&'static str),
    /// Messages in SockJS arrays over a websocket.
    Sockjs,
    /// xhr_send, and an xhr_streaming response that stays open.
    Streaming,
    /// xhr_send, and an xhr request that is made anew after each answer.
    Polling,
    /// A POST that is answered with 204.
    Post,
    /// No echo, but what a control pays to write a frame to a socket: the other half of a streaming echo.
    Delivery,
}

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scenario {
    client: Client,
    clients: usize,
    /// Messages that each client has on their way.
    window: usize,
    /// Bytes of a message.
    size: usize,
}

/// A scenario, and what its cost is compared with: the sum of these, each given times.
struct Row {
    name: &'static str,
    scenario: Scenario,
    against: Vec<(usize, Scenario)>,
    floor: &'static str,
}

async fn bench(options: Options) -> Outcome<()> {
    let servers = Servers {
        towpath: Server::towpath()?,
        websocket: Server::control(control::WEBSOCKET)?,
        post: Server::control(control::POST)?,
        direct: Server::control(control::DIRECT)?,
    };
    let rows: Vec<Row> = rows().into_iter().filter(|row| options.wants(row.name)).collect();
    let mut scenarios: Vec<Scenario> = Vec::new();
    for row in &rows {
        for scenario in row.against.iter().map(|(_, floor)| *floor).chain([row.scenario]) {
            if !scenarios.contains(&scenario) {
                scenarios.push(scenario);
            }
        }
    }
    let mut rounds: Vec<Vec<(Scenario, Sample)>> = Vec::new();
    for _ in 0..options.rounds {
        let mut samples = Vec::new();
        for scenario in &scenarios {
            let sample = servers.measure(*scenario).await.map_err(|error| format!("{scenario:?}: {error}"))?;
            samples.push((*scenario, sample));
        }
        rounds.push(samples);
    }

    let mut table = Table::new(&[
        "echo",
        "clients",
        "in flight",
        "bytes",
        "us/message",
        "ratio",
        "kernel",
        "messages/s",
        "floor us",
        "floor",
    ]);
    for row in &rows {
        let of = |scenario: Scenario| rounds.iter().filter_map(move |round| sample(round, scenario));
        let floor = |round: &[(Scenario, Sample)]| {
            let parts = row.against.iter().filter_map(|(times, part)| Some(*times as f64 * sample(round, *part)?.cpu));
            parts.sum::<f64>()
        };
        let ratio = median(rounds.iter().filter_map(|round| Some(sample(round, row.scenario)?.cpu / floor(round))));
        let Scenario { clients, window, size, .. } = row.scenario;
        table.row([
            row.name.to_owned(),
            clients.to_string(),
            window.to_string(),
            size.to_string(),
            format!("{:.2}", median(of(row.scenario).map(|sample| sample.cpu))),
            format!("{ratio:.2}"),
            format!("{:.0} %", 100.0 * median(of(row.scenario).map(|sample| sample.kernel))),
            format!("{:.0}", median(of(row.scenario).map(|sample| sample.rate))),
            format!("{:.2}", median(rounds.iter().map(|round| floor(round)))),
            row.floor.to_owned(),
        ]);
    }
    println!("\nserver CPU for one echo, medians of {} rounds\n\n{table}", options.rounds);
    Ok(())
}

fn sample(round: &[(Scenario, Sample)], wanted: Scenario) -> Option<Sample> {
    round.iter().find(|(scenario, _)| *scenario == wanted).map(|(_, sample)| *sample)
}

fn rows() -> Vec<Row> {
    const BARE: &str = "tungstenite, a send for each message";
    let scenario = |client, clients, window, size| Scenario { client, clients, window, size };
    let bare = |clients, window, size| vec![(1, scenario(Client::Raw("/"), clients, window, size))];
    let post = || scenario(Client::Post, 100, 1, 64);
    let raw = Client::Raw("/echo/websocket");
    let mut rows = Vec::new();
    for (clients, window, size) in [(100, 1, 64), (at_most(1000), 1, 64), (100, 1, 4096), (100, 16, 64)] {
        for (name, client) in [("raw websocket", raw), ("SockJS websocket", Client::Sockjs)] {
            let against = bare(clients, window, size);
            rows.push(Row { name, scenario: scenario(client, clients, window, size), against, floor: BARE });
        }
    }
    for window in [1, 16] {
        rows.push(Row {
            name: "xhr-streaming",
            scenario: scenario(Client::Streaming, 100, window, 64),
            against: vec![(1, post()), (1, scenario(Client::Delivery, 100, 1, 64))],
            floor: "hyper POST + direct write",
        });
        rows.push(Row {
            name: "xhr-polling",
            scenario: scenario(Client::Polling, 100, window, 64),
            against: vec![(2, post())],
            floor: "two hyper POSTs",
        });
    }
    rows
}

struct Servers {
    towpath: Server,
    websocket: Server,
    post: Server,
    direct: Server,
}

impl Servers {
    async fn measure(&self, scenario: Scenario) -> Outcome<Sample> {
        let Scenario { client, clients, window, size } = scenario;
        let server = match client {
            Client::Raw("/") => &self.websocket,
            Client::Post => &self.post,
            Client::Delivery => return fan::measure_delivery(&self.direct, Kind::Control, clients, 1).await,
            Client::Raw(_) | Client::Sockjs | Client::Streaming | Client::Polling => &self.towpath,
        };
        let load = Arc::new(Load::default());
        let text = "m".repeat(size);
        let address = server.address();
        let mut running = JoinSet::new();
        // One after the other, so that no listener has to queue them; only then does any of them begin.
        let mut echoes = Vec::with_capacity(clients);
        for _ in 0..clients {
            echoes.push(Echo::open(client, address, &text).await?);
        }
        for echo in echoes {
            running.spawn(echo.run(window, Arc::clone(&load)));
        }
        measure(server, load, running).await
    }
}

/// One client at work.
struct Echo {
    address: SocketAddr,
    text: String,
    wire: Wire,
}

enum Wire {
    Websocket { link: Link, sockjs: bool },
    Http { sending: Link, receiving: Link, session: String, streaming: bool },
    Post { link: Link },
}

impl Echo {
    /// Connects, up to the point where messages can go.
    async fn open(client: Client, address: SocketAddr, text: &str) -> Outcome<Self> {
        static SESSION: AtomicU64 = AtomicU64::new(0);
        let session = format!("/echo/000/bench{}", SESSION.fetch_add(1, Ordering::Relaxed));
        let wire = match client {
            Client::Raw(path) => Wire::Websocket { link: Link::websocket(address, path).await?, sockjs: false },
            Client::Sockjs => {
                let mut link = Link::websocket(address, &format!("{session}/websocket")).await?;
                link.expect("o").await?;
                Wire::Websocket { link, sockjs: true }
            }
            Client::Streaming | Client::Polling => {
                let streaming = client == Client::Streaming;
                let sending = Link::open(address).await?;
                let mut receiving = Link::open(address).await?;
                receive(&mut receiving, address, &session, streaming).await?;
                let open = match streaming {
                    true => receiving.chunk().await?.unwrap_or_default(),
                    false => {
                        let open = receiving.response().await?.1;
                        receive(&mut receiving, address, &session, streaming).await?;
                        open
                    }
                };
                if &open[..] != b"o\n" {
                    return Err(format!("a session opened with {open:?}").into());
                }
                Wire::Http { sending, receiving, session, streaming }
            }
            Client::Post | Client::Delivery => Wire::Post { link: Link::open(address).await? },
        };
        Ok(Self { address, text: text.to_owned(), wire })
    }

    /// Keeps `window` messages on their way until it is told to stop.
    async fn run(self, window: usize, load: Arc<Load>) -> Outcome<()> {
        let Self { address, text, wire } = self;
        match wire {
            Wire::Websocket { mut link, sockjs } => {
                let frame = if sockjs { masked(&format!("[\"{text}\"]")) } else { masked(&text) };
                let frames = frame.repeat(window);
                let mut missing: usize = 0;
                while load.runs() || missing > 0 {
                    if load.runs() {
                        link.send(&frames[..frame.len() * (window - missing)]).await?;
                        missing = window;
                    }
                    let echoed = link.packets(|payload| echoes(payload, &text, sockjs)).await?;
                    missing = missing.checked_sub(echoed).ok_or("more echoes than messages")?;
                    load.count(echoed);
                }
            }
            Wire::Http { mut sending, mut receiving, session, streaming } => {
                let sends: Vec<_> = (1..=window)
                    .map(|count| post(address, &format!("{session}/xhr_send"), &array(&text, count)))
                    .collect();
                let mut missing = 0;
                while load.runs() || missing > 0 {
                    // What a client has to say while a request is under way goes with the next one.
                    if load.runs() && missing < window {
                        sending.send(&sends[window - missing - 1]).await?;
                        expect_204(&mut sending).await?;
                        missing = window;
                    }
                    let frame = if streaming {
                        match receiving.chunk().await? {
                            Some(frame) => frame,
                            None => {
                                receive(&mut receiving, address, &session, streaming).await?;
                                continue;
                            }
                        }
                    } else {
                        let frame = receiving.response().await?.1;
                        receive(&mut receiving, address, &session, streaming).await?;
                        frame
                    };
                    let frame = frame.strip_suffix(b"\n").ok_or("a frame without its end")?;
                    let echoed = echoes(frame, &text, true)?;
                    missing = missing.checked_sub(echoed).ok_or("more echoes than messages")?;
                    load.count(echoed);
                }
            }
            Wire::Post { mut link } => {
                let request = post(address, "/", &array(&text, 1));
                while load.runs() {
                    link.send(&request).await?;
                    expect_204(&mut link).await?;
                    load.count(1);
                }
            }
        }
        Ok(())
    }
}

/// Asks for what the session has to say; a stream's answer is read up to its first frame.
async fn receive(link: &mut Link, address: SocketAddr, session: &str, streaming: bool) -> Outcome<()> {
    let transport = if streaming { "xhr_streaming" } else { "xhr" };
    link.send(&post(address, &format!("{session}/{transport}"), "")).await?;
    if streaming {
        let head = link.head().await?;
        let prelude = link.chunk().await?.unwrap_or_default();
        if head.status != 200 || prelude.len() != 2049 {
            return Err("no stream came".into());
        }
    }
    Ok(())
}

async fn expect_204(link: &mut Link) -> Outcome<()> {
    match link.response().await? {
        (204, _) => Ok(()),
        (status, body) => Err(format!("a POST was answered with {status} {body:?}").into()),
    }
}

fn array(text: &str, count: usize) -> String {
    format!("[{}]", vec![format!("\"{text}\""); count].join(","))
}

/// How many echoes of the text these are; nothing else may stand between them.
fn echoes(payload: &[u8], text: &str, sockjs: bool) -> Outcome<usize> {
    let wrong = || format!("{:?} is no echo", String::from_utf8_lossy(payload));
    if !sockjs {
        return if payload == text.as_bytes() { Ok(1) } else { Err(wrong().into()) };
    }
    let inner = payload.strip_prefix(b"a[").and_then(|rest| rest.strip_suffix(b"]")).ok_or_else(wrong)?;
    let mut count = 0;
    // A comma behind each but the last.
    for piece in inner.chunks(text.len() + 3) {
        let quoted = piece.strip_suffix(b",").unwrap_or(piece);
        let bare = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        if bare != Some(text.as_bytes()) {
            return Err(wrong().into());
        }
        count += 1;
    }
    Ok(count)
}
