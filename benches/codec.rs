//! What the pure codecs cost: quoting beside serde_json, STOMP parsing and writing beside a copy of the same bytes, and a
//! fan-out's shared tail beside encoding for each subscriber.
//!
//! `cargo bench --bench codec`, with `-- --rounds N` for more rounds.

#![forbid(unsafe_code)]

mod support;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use clap::Parser as _;
use support::table::Table;
use support::{Outcome, asked_for, median};
use towpath::publication::{Form, Publication};
use towpath::sockjs::{Encoding, PayloadLimits, decode_websocket, quote_into};
use towpath::stomp::{Command, Frame, Headers, Input, Limits, Parser, Version};

/// Measures what the pure codecs cost.
#[derive(Debug, clap::Parser)]
struct Options {
    /// How often everything is measured, in threes; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What `cargo bench` says.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    if !asked_for(&["--bench"]) {
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    quoting(&options);
    let outcome = decoding(&options).and_then(|()| frames(&options));
    fan_out(&options);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Subscribers among whom the cost of a publication is shared out.
const SUBSCRIBERS: usize = 1000;

/// How long one side of a comparison runs in one round.
const SLICE: Duration = Duration::from_millis(30);

fn quoting(options: &Options) {
    let mut table = Table::new(&["quoting", "bytes", "ns", "serde_json ns", "ratio", "GB/s"]);
    for (name, text) in texts() {
        let mut ours = BytesMut::with_capacity(text.len() * 7);
        let mut theirs = Vec::with_capacity(text.len() * 7);
        let (own, other, ratio) = compare(
            options,
            || {
                ours.clear();
                quote_into(Encoding::Json, black_box(&text), &mut ours);
                black_box(&ours);
            },
            || {
                theirs.clear();
                // Writing into memory does not fail, and strings can be written.
                let _ = serde_json::to_writer(&mut theirs, black_box(&text));
                black_box(&theirs);
            },
        );
        table.row([
            name.to_owned(),
            text.len().to_string(),
            format!("{own:.0}"),
            format!("{other:.0}"),
            format!("{ratio:.2}"),
            format!("{:.2}", text.len() as f64 / own),
        ]);
    }
    println!("\nthe inside of a JSON string; ratios below 1 are in our favour\n\n{table}");
}

fn decoding(options: &Options) -> Outcome<()> {
    let limits = PayloadLimits { messages: 4096, message: 1 << 20 };
    let mut table = Table::new(&["unquoting", "bytes", "ns", "serde_json ns", "ratio", "GB/s"]);
    for (name, text) in texts() {
        let payload = serde_json::to_vec(&[&text])?;
        if decode_websocket(&payload, &limits)? != [text.as_str()] {
            return Err("an array was decoded wrongly".into());
        }
        let (own, other, ratio) = compare(
            options,
            || drop(black_box(decode_websocket(black_box(&payload), &limits))),
            || drop(black_box(serde_json::from_slice::<Vec<String>>(black_box(&payload)))),
        );
        table.row([
            name.to_owned(),
            payload.len().to_string(),
            format!("{own:.0}"),
            format!("{other:.0}"),
            format!("{ratio:.2}"),
            format!("{:.2}", payload.len() as f64 / own),
        ]);
    }
    println!("\nan array with one message; ratios below 1 are in our favour\n\n{table}");
    Ok(())
}

fn frames(options: &Options) -> Outcome<()> {
    let mut table = Table::new(&["STOMP frame", "bytes", "ns", "copy ns", "ratio"]);
    for size in [64, 4096] {
        let frame = Frame::new(Command::Send)
            .with("destination", "/topic/prices.eur.usd")
            .with("content-type", "application/json")
            .with("receipt", "r-1001")
            .with_body("b".repeat(size));
        let wire = frame.encode(Version::V1_2);
        let mut parser = Parser::new(Limits::default());
        parser.set_version(Version::V1_2);
        parser.feed(wire.clone());
        let Some(Input::Frame(parsed)) = parser.next()? else { return Err("a frame was not parsed".into()) };
        if parsed.body != frame.body {
            return Err("a frame was parsed wrongly".into());
        }

        let mut row = |name: &str, (own, other, ratio): (f64, f64, f64)| {
            table.row([
                format!("{name}, body of {size}"),
                wire.len().to_string(),
                format!("{own:.0}"),
                format!("{other:.0}"),
                format!("{ratio:.2}"),
            ]);
        };
        let copy = || drop(black_box(Bytes::copy_from_slice(black_box(&wire))));
        row(
            "parse",
            compare(
                options,
                || {
                    parser.feed(black_box(wire.clone()));
                    let _ = black_box(parser.next());
                },
                copy,
            ),
        );
        let mut out = BytesMut::with_capacity(2 * wire.len());
        row(
            "encode",
            compare(
                options,
                || {
                    out.clear();
                    black_box(&frame).encode_into(Version::V1_2, &mut out);
                    black_box(&out);
                },
                copy,
            ),
        );
    }
    println!("\na SEND with three headers, beside a copy of its bytes\n\n{table}");
    Ok(())
}

fn fan_out(options: &Options) {
    let mut table = Table::new(&["one of 1,000 deliveries", "body", "ns", "encoded each ns", "ratio"]);
    let heads: Vec<String> = (0..SUBSCRIBERS).map(|id| format!("MESSAGE\nsubscription:sub-{id}\n")).collect();
    for size in [64, 4096] {
        // JSON, as most bodies are: one byte in ten is a quotation mark.
        let body = Bytes::from(json_text(size));
        let mut headers = Headers::new();
        headers.push("content-type", "application/json");
        let publication = || Publication::new(7, "/topic/prices.eur.usd", headers.clone(), body.clone());
        for (name, form) in [("raw", Form::Raw), ("JSON-quoted", Form::Quoted(Encoding::Json))] {
            let mut out = BytesMut::with_capacity(4 * size + 1024);
            let mut other_out = BytesMut::with_capacity(4 * size + 1024);
            let (own, other, ratio) = compare(
                options,
                || {
                    // What the drain of each subscriber does; the first one makes the tail.
                    let publication = black_box(publication());
                    for head in &heads {
                        out.clear();
                        match form {
                            Form::Raw => out.extend_from_slice(head.as_bytes()),
                            Form::Quoted(encoding) => quote_into(encoding, head, &mut out),
                        }
                        out.extend_from_slice(publication.tail(Version::V1_2, form));
                        black_box(&out);
                    }
                },
                || {
                    for id in 0..SUBSCRIBERS {
                        other_out.clear();
                        let mut frame = Frame::new(Command::Message)
                            .with("subscription", format!("sub-{id}"))
                            .with("destination", "/topic/prices.eur.usd")
                            .with("message-id", 7.to_string());
                        for (name, value) in headers.iter() {
                            frame = frame.with(name, value);
                        }
                        let frame = frame.with_body(body.clone()).encode(Version::V1_2);
                        match form {
                            Form::Raw => other_out.extend_from_slice(&frame),
                            Form::Quoted(encoding) => {
                                quote_into(encoding, &String::from_utf8_lossy(&frame), &mut other_out);
                            }
                        }
                        black_box(&other_out);
                    }
                },
            );
            let each = SUBSCRIBERS as f64;
            table.row([
                name.to_owned(),
                size.to_string(),
                format!("{:.1}", own / each),
                format!("{:.0}", other / each),
                format!("{ratio:.3}"),
            ]);
        }
    }
    println!("\nhead and shared tail, beside a frame made for each subscriber\n\n{table}");
}

fn texts() -> Vec<(&'static str, String)> {
    vec![
        ("plain", "m".repeat(64)),
        ("plain", "The quick brown fox jumps over the lazy dog. ".repeat(92)[..4096].to_owned()),
        ("JSON", json_text(4096)),
        ("Cyrillic", "съешь же ещё этих мягких булок ".repeat(72)),
        ("emoji", "🙂🙃".repeat(512)),
    ]
}

fn json_text(size: usize) -> String {
    let mut text = r#"{"id":12345,"name":"towpath","tags":["a","b"],"price":1.0842},"#.repeat(size / 60 + 1);
    text.truncate(size);
    text
}

/// Nanoseconds that one call of each takes, and the ratio of the first to the second: medians of rounds, in each of
/// which both run.
fn compare(options: &Options, mut own: impl FnMut(), mut other: impl FnMut()) -> (f64, f64, f64) {
    // Rounds are short here, and more of them keep what else the machine does out of the medians.
    let rounds: Vec<(f64, f64)> = (0..options.rounds * 3).map(|_| (slice(&mut own), slice(&mut other))).collect();
    (
        median(rounds.iter().map(|(own, _)| *own)),
        median(rounds.iter().map(|(_, other)| *other)),
        median(rounds.iter().map(|(own, other)| own / other)),
    )
}

/// Calls it for a slice of time, in batches that double until the clock no longer matters.
fn slice(call: &mut impl FnMut()) -> f64 {
    let mut batch = 1u32;
    loop {
        let began = Instant::now();
        for _ in 0..batch {
            call();
        }
        let elapsed = began.elapsed();
        if elapsed >= SLICE {
            return elapsed.as_nanos() as f64 / f64::from(batch);
        }
        batch = batch.saturating_mul(2);
    }
}
