//! What came of the runs, round by round: the values of the rows, their medians, and what they come to.
//!
//! Does not know: how the runs are made, or what a table looks like.

use serde_json::{Value, json};

use crate::rows::{Figure, Row};
use crate::run::{Report, Run};
use crate::support::{Outcome, median};

/// Bytes in a kB, as memory is given per client, and in a MiB.
const KB: f64 = 1000.0;
const MIB: f64 = 1_048_576.0;

const CPU: &str = "/server/cpu_us_each";
const RESIDENT: &str = "/server/resident_each";

/// All reports so far.
#[derive(Debug, Default)]
pub struct Results {
    rounds: Vec<Vec<(Run, Report)>>,
    /// Lost, duplicated and out of order, of all runs.
    faults: [u64; 3],
    runs: usize,
    /// What went wrong, with the run in which it did, and how often.
    failures: Vec<(String, usize)>,
}

/// What a row came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As good as was hoped.
    Reached,
    /// As good as it has to be.
    Met,
    /// Worse.
    Missed,
}

/// The medians of one row.
#[derive(Debug)]
pub struct Line {
    /// What is held against the bounds.
    pub value: f64,
    /// Towpath's own figure and that of its control, with their units, where they are not the value itself.
    pub ours: Option<f64>,
    /// See `ours`.
    pub control: Option<f64>,
    /// How much of a core the load needed, at most 1. At 1 the load was the bottleneck.
    pub busy: f64,
    pub verdict: Verdict,
}

impl Results {
    /// Begins the next round.
    pub fn next_round(&mut self) {
        self.rounds.push(Vec::new());
    }

    /// Takes down a run of this round.
    pub fn add(&mut self, run: &Run, outcome: Outcome<Report>) {
        self.runs += 1;
        match outcome {
            Ok(report) => {
                let faults = report.faults();
                self.faults.iter_mut().zip(faults).for_each(|(sum, more)| *sum += more);
                if faults != [0; 3] {
                    self.failed(run, &in_words(faults));
                }
                report.failures().iter().for_each(|failure| self.failed(run, failure));
                if report.figure("/measured") == Some(0.0) && !run.args.starts_with("idle") {
                    self.failed(run, "nothing came within the window");
                }
                if let Some(round) = self.rounds.last_mut() {
                    round.push((run.clone(), report));
                }
            }
            Err(error) => self.failed(run, &error.to_string()),
        }
    }

    fn failed(&mut self, run: &Run, why: &str) {
        let failure = format!("{}: {}: {why}", run.program.name(), run.args);
        match self.failures.iter_mut().find(|(known, _)| *known == failure) {
            Some((_, times)) => *times += 1,
            None => self.failures.push((failure, 1)),
        }
    }

    /// What went wrong in any run, each with the number of runs in which it did.
    pub fn failures(&self) -> &[(String, usize)] {
        &self.failures
    }

    /// The sum of all faults in words.
    pub fn faults(&self) -> String {
        format!("{} in {} runs", in_words(self.faults), self.runs)
    }

    /// What a row came to; `None` if there is no round in which all of its runs went well.
    pub fn line(&self, row: &Row) -> Option<Line> {
        let of = |figure: &dyn Fn(&Round) -> Option<f64>| {
            let figures: Vec<f64> = self.rounds.iter().filter_map(|reports| figure(&Round { reports })).collect();
            (!figures.is_empty()).then(|| median(figures))
        };
        let value = of(&|round| round.value(row))?;
        Some(Line {
            value,
            ours: of(&|round| round.ours(row)),
            control: of(&|round| round.control(row)),
            busy: of(&|round| round.figure(&row.ours, "/load/busy")).unwrap_or(f64::NAN),
            verdict: match value {
                value if value <= row.reach_for => Verdict::Reached,
                value if value <= row.at_most => Verdict::Met,
                _ => Verdict::Missed,
            },
        })
    }

    /// Towpath's figure of a row, a peer's, and how many times as large that is.
    pub fn beside(&self, row: &Row, peer: &Run) -> Option<(f64, f64, f64)> {
        let path = if let Figure::Resident(_) = row.figure { RESIDENT } else { CPU };
        let pairs: Vec<(f64, f64)> = self
            .rounds
            .iter()
            .filter_map(|reports| {
                let round = Round { reports };
                Some((round.figure(&row.ours, path)?, round.figure(peer, path)?))
            })
            .collect();
        let unit = if path == RESIDENT { KB } else { 1.0 };
        let of = |figure: fn(&(f64, f64)) -> f64| median(pairs.iter().map(figure));
        (!pairs.is_empty()).then(|| (of(|pair| pair.0) / unit, of(|pair| pair.1) / unit, of(|pair| pair.1 / pair.0)))
    }

    /// Every report as it came.
    pub fn json(&self) -> Value {
        let reports = (1..).zip(&self.rounds).flat_map(|(round, reports)| {
            reports.iter().map(move |(run, report)| {
                json!({ "round": round, "server": run.program.name(), "args": run.args, "report": report.0 })
            })
        });
        reports.collect()
    }
}

fn in_words([lost, duplicated, disordered]: [u64; 3]) -> String {
    format!("{lost} lost, {duplicated} duplicated, {disordered} out of order")
}

/// The reports of one round.
struct Round<'a> {
    reports: &'a [(Run, Report)],
}

impl Round<'_> {
    fn figure(&self, run: &Run, path: &str) -> Option<f64> {
        let (_, report) = self.reports.iter().find(|(other, _)| other == run)?;
        report.figure(path)
    }

    fn cpu(&self, run: &Run) -> Option<f64> {
        self.figure(run, CPU)
    }

    fn spread(&self, run: &Run) -> Option<f64> {
        Some(self.figure(run, "/latency_us/p99")? / self.figure(run, "/latency_us/p50")?)
    }

    /// What a row is judged by.
    fn value(&self, row: &Row) -> Option<f64> {
        match &row.figure {
            Figure::Cpu(_) | Figure::Growth(_) => Some(self.ours(row)? / self.control(row)?),
            Figure::Flat(path, base) => Some(self.figure(&row.ours, path)? / self.figure(base, path)?),
            Figure::Resident(_) | Figure::Microseconds | Figure::Spread(_) => self.ours(row),
            Figure::Drift => Some(self.grown(row, "/server/resident_half", "/server/resident_after")? / MIB),
            Figure::Descriptors => self.grown(row, "/server/descriptors_before", "/server/descriptors_after"),
        }
    }

    fn grown(&self, row: &Row, from: &str, to: &str) -> Option<f64> {
        Some(self.figure(&row.ours, to)? - self.figure(&row.ours, from)?)
    }

    /// Towpath's figure as it stands in the table.
    fn ours(&self, row: &Row) -> Option<f64> {
        match &row.figure {
            Figure::Cpu(_) | Figure::Microseconds => self.cpu(&row.ours),
            Figure::Growth([from, ..]) => Some(self.cpu(&row.ours)? / self.cpu(from)?),
            Figure::Flat(path, _) => self.figure(&row.ours, path),
            Figure::Resident(_) => Some(self.figure(&row.ours, RESIDENT)? / KB),
            Figure::Spread(_) => self.spread(&row.ours),
            Figure::Drift | Figure::Descriptors => None,
        }
    }

    /// The figure that it is held against.
    fn control(&self, row: &Row) -> Option<f64> {
        match &row.figure {
            Figure::Cpu(parts) => parts.iter().map(|(times, part)| Some(f64::from(*times) * self.cpu(part)?)).sum(),
            Figure::Growth([_, few, many]) => Some(self.cpu(many)? / self.cpu(few)?),
            Figure::Flat(path, base) => self.figure(base, path),
            Figure::Resident(control) => Some(self.figure(control, RESIDENT)? / KB),
            Figure::Spread(control) => self.spread(control),
            Figure::Microseconds | Figure::Drift | Figure::Descriptors => None,
        }
    }
}
