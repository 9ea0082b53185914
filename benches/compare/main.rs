//! Towpath beside the least that any server on its libraries must do, and beside its peers: every demand on its speed and
//! memory as one row of a table. `towpath bench` loads them all alike, in turn, several rounds over, and the figure that
//! counts is the median of the ratios within each round.
//!
//! `cargo bench --bench compare`, with `-- rooms` for the rows of that name only, `-- --rounds 9` for more rounds, `--quick`
//! for one round of a few rows, `--long` for the rows that take minutes, too, and `--json FILE` for every report.
//! `-- --control NAME` runs one of the controls instead, until its input ends.

#![forbid(unsafe_code)]

#[path = "../controls/mod.rs"]
mod controls;
mod machine;
mod results;
mod rows;
mod run;
mod servers;
#[path = "../support/mod.rs"]
mod support;
mod tables;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use results::Results;
use rows::{Pace, Row};
use run::Run;
use serde_json::json;
use servers::{Program, Server};
use support::Outcome;

/// Measures towpath beside its controls and its peers.
#[derive(Debug, Parser)]
struct Options {
    /// A part of the names of the rows that are wanted.
    #[arg(default_value = "")]
    filter: String,
    /// How often every row is measured; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// One round of a few rows, without the peers.
    #[arg(long)]
    quick: bool,
    /// Also the rows that take minutes.
    #[arg(long)]
    long: bool,
    /// Write every report into this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Run a control instead, until the input ends.
    #[arg(long, value_name = "NAME")]
    control: Option<String>,
    /// What `cargo bench` says.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    if !support::asked_for(&["--bench", "--control"]) {
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    let outcome = match &options.control {
        Some(name) => controls::serve(name).map(|()| true),
        None => compare(&options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compare failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints. False if anything went wrong in any run; that a row is missed is no such thing.
fn compare(options: &Options) -> Outcome<bool> {
    let rows: Vec<Row> = rows::rows().into_iter().filter(|row| options.wants(row)).collect();
    if rows.is_empty() {
        return Err(format!("no row is called {:?}", options.filter).into());
    }
    let mut head = machine::machine();
    head.push(servers::keep_cores_apart());
    head.push(machine::peers());
    head.push(format!("load average at the beginning {}", machine::load_average()));
    head.iter().for_each(|line| println!("- {line}"));

    let (results, rounds, begin) = (Results::default(), options.rounds(), Instant::now());
    let results = measure(&rows, rounds, options.quick, results)?;
    head.push(format!("{rounds} rounds in {} s", begin.elapsed().as_secs()));
    head.push(format!("load average at the end {}", machine::load_average()));
    head.iter().rev().take(2).rev().for_each(|line| println!("- {line}"));

    println!("\n{}\n\n{}", tables::demands(&rows, &results), tables::peers(&rows, &results));
    println!("{}", results.faults());
    for (failure, times) in results.failures() {
        println!("FAILED {failure} ({times} x)");
    }
    if let Some(file) = &options.json {
        let whole = json!({ "machine": head, "rows": tables::json(&rows, &results), "runs": results.json() });
        fs::write(file, format!("{whole:#}\n"))?;
    }
    Ok(results.failures().is_empty())
}

impl Options {
    fn wants(&self, row: &Row) -> bool {
        let in_time = match row.pace {
            Pace::Quick => true,
            Pace::EveryRound | Pace::Once => !self.quick,
            // Whoever names it means it.
            Pace::Long => self.long || !self.filter.is_empty(),
        };
        in_time && row.name.contains(&self.filter)
    }

    fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds }
    }
}

/// Makes the runs of all rows, in turn, round by round. A run that several rows need is made once in a round.
fn measure(rows: &[Row], rounds: usize, quick: bool, mut results: Results) -> Outcome<Results> {
    let mut rabbitmq = None;
    for round in 1..=rounds {
        results.next_round();
        let mut runs: Vec<&Run> = Vec::new();
        for row in rows.iter().filter(|row| round == 1 || matches!(row.pace, Pace::Quick | Pace::EveryRound)) {
            for run in row.runs() {
                let skipped = run.program.is_a_peer() && (quick || run.program.version().is_none());
                if !skipped && !runs.contains(&run) {
                    runs.push(run);
                }
            }
        }
        // So that what comes first does not always come first.
        if round % 2 == 0 {
            runs.reverse();
        }
        for (number, run) in (1..).zip(&runs) {
            eprintln!("round {round}, run {number} of {}: {}: {}", runs.len(), run.program.name(), run.args);
            results.add(run, load(run, &mut rabbitmq));
        }
    }
    Ok(results)
}

/// Makes one run with a server of its own, for what one load leaves behind must not cost the next anything. Only RabbitMQ,
/// which takes long to come up, stays, unless its memory is what is asked for.
fn load(run: &Run, rabbitmq: &mut Option<Server>) -> Outcome<run::Report> {
    if run.program != Program::RabbitMq || run.args.starts_with("idle") {
        return run.load(&run.program.start()?);
    }
    let server = match rabbitmq.take() {
        Some(server) => server,
        None => run.program.start()?,
    };
    let report = run.load(&server);
    *rabbitmq = Some(server);
    report
}
