//! What a delivery of a topic's message costs the server, over raw and SockJS websockets, beside two controls: one that
//! writes a frame made beforehand to each socket in turn, and one that queues it for each socket and writes what waits.
//!
//! `cargo bench --bench fan_out`, with `-- --rounds N` for more rounds and `-- '1000 8'` for 1,000
//! subscribers and eight messages on their way only.

#![forbid(unsafe_code)]

mod support;

use std::process::ExitCode;

use support::fan::{Kind, measure_delivery};
use support::server::{Server, at_most};
use support::table::Table;
use support::{Options, Outcome, Sample, control, median};

fn main() -> ExitCode {
    support::run(bench)
}

const NAMES: [&str; 4] = ["direct write", "queue and task for each", "STOMP, raw websocket", "STOMP, SockJS websocket"];

async fn bench(options: Options) -> Outcome<()> {
    let (direct, coalescing) = (Server::control(control::DIRECT)?, Server::control(control::COALESCING)?);
    let towpath = Server::towpath()?;
    let servers =
        [(&direct, Kind::Control), (&coalescing, Kind::Control), (&towpath, Kind::Raw), (&towpath, Kind::Sockjs)];

    let mut table = Table::new(&[
        "fan-out",
        "subscribers",
        "on their way",
        "us/delivery",
        "to direct",
        "to queue",
        "to raw",
        "kernel",
        "deliveries/s",
    ]);
    for (subscribers, on_their_way) in [(100, 1), (at_most(1000), 1), (100, 8), (at_most(1000), 8)] {
        if !options.wants(&format!("{subscribers} {on_their_way}")) {
            continue;
        }
        let mut rounds: Vec<Vec<Sample>> = Vec::new();
        for _ in 0..options.rounds {
            let mut samples = Vec::new();
            for (server, kind) in servers {
                samples.push(measure_delivery(server, kind, subscribers, on_their_way).await?);
            }
            rounds.push(samples);
        }
        for (row, name) in NAMES.into_iter().enumerate() {
            let of = |figure: fn(&Sample) -> f64| median(rounds.iter().map(|round| figure(&round[row])));
            let to = |other: usize| median(rounds.iter().map(|round| round[row].cpu / round[other].cpu));
            table.row([
                name.to_owned(),
                subscribers.to_string(),
                on_their_way.to_string(),
                format!("{:.2}", of(|sample| sample.cpu)),
                format!("{:.2}", to(0)),
                format!("{:.2}", to(1)),
                if row == 3 { format!("{:.2}", to(2)) } else { String::new() },
                format!("{:.0} %", 100.0 * of(|sample| sample.kernel)),
                format!("{:.0}", of(|sample| sample.rate)),
            ]);
        }
    }
    println!("\nserver CPU for one delivery, medians of {} rounds\n\n{table}", options.rounds);
    Ok(())
}
