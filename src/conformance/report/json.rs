//! The report for programs, as one JSON object. The names of its fields stay as they are; new ones may come.
//!
//! Does not know: who reads it.

use std::time::Duration;

use serde::Serialize;

use super::words::{is_unseen, remark, token, verdict, when};
use crate::conformance::{self, Level, Outcome, Score, Verdict};

/// The whole report.
#[derive(Debug, Serialize)]
pub struct Report<'r> {
    /// The version of this schema: 1. It changes when a field goes or means something else.
    pub version: u8,
    /// `SockJS` or `STOMP`.
    pub suite: &'r str,
    /// The URL that was given.
    pub target: &'r str,
    /// What the server says it is, and other facts of the run.
    pub facts: Vec<Fact<'r>>,
    /// When it began, such as `2026-01-31T12:00:00Z`.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// What it asked of the server.
    pub spent: Spent,
    /// What came of it, in a sentence.
    pub summary: String,
    /// Whether no check of a level, or of a weightier one, failed.
    pub holds: ByLevel<bool>,
    /// The score of all checks.
    pub score: Score,
    /// The score of the checks of each level.
    pub levels: ByLevel<Score>,
    /// The groups in their order, each with its score.
    pub groups: Vec<Group<'r>>,
    /// The checks in their order.
    pub checks: Vec<Check<'r>>,
}

/// A fact of the run.
#[derive(Debug, Serialize)]
pub struct Fact<'r> {
    /// What it is about.
    pub name: &'r str,
    /// What is so.
    pub value: &'r str,
}

/// What was asked of the server.
#[derive(Debug, Serialize)]
pub struct Spent {
    /// Connections that were opened.
    pub connections: u64,
    /// Bytes that were written.
    pub sent: u64,
    /// Bytes that were read.
    pub received: u64,
}

/// Something for each level.
#[derive(Debug, Serialize)]
pub struct ByLevel<T> {
    /// For `must`.
    pub must: T,
    /// For `should`.
    pub should: T,
    /// For `may`.
    pub may: T,
}

/// A group of checks.
#[derive(Debug, Serialize)]
pub struct Group<'r> {
    /// Its name.
    pub name: &'r str,
    /// The score of its checks.
    pub score: Score,
}

/// A check with what came of it.
#[derive(Debug, Serialize)]
pub struct Check<'r> {
    /// The rule's id. The same one comes several times if it ran over several transports.
    pub id: &'r str,
    /// What it ran over, such as `xhr-polling`; `null` where that makes no difference.
    pub over: Option<&'r str>,
    /// Its group.
    pub group: &'r str,
    /// `must`, `should` or `may`.
    pub level: &'r str,
    /// Whether it runs only when it is asked for.
    pub slow: bool,
    /// `passed`, `vintage`, `failed`, `not-offered` or `skipped`.
    pub verdict: &'r str,
    /// Which older edition, what is not offered, or why it was skipped; `null` for `passed` and `failed`.
    pub remark: Option<&'r str>,
    /// What is wrong; `null` unless it failed.
    pub failure: Option<Failure<'r>>,
    /// How long it took.
    pub seconds: f64,
    /// What is demanded.
    pub demand: &'r str,
    /// Where that is written.
    pub source: &'r str,
    /// Why it matters.
    pub why: &'r str,
}

/// A demand that is not met.
#[derive(Debug, Serialize)]
pub struct Failure<'r> {
    /// What was seen.
    pub seen: &'r str,
    /// What was wanted instead.
    pub wanted: &'r str,
    /// How to see it again; empty if there is nothing to repeat.
    pub reproduce: &'r str,
}

impl<'r> From<&'r conformance::Report> for Report<'r> {
    fn from(report: &'r conformance::Report) -> Self {
        let conformance::Report { suite, target, facts, started, took, spent, outcomes } = report;
        let group = |(name, outcomes): (&'r str, Vec<&Outcome>)| Group { name, score: Score::of(outcomes) };
        Self {
            version: 1,
            suite,
            target,
            facts: facts.iter().map(|(name, value)| Fact { name, value }).collect(),
            started: when(*started),
            seconds: seconds(*took),
            spent: Spent { connections: spent.connections, sent: spent.sent, received: spent.received },
            summary: verdict(report),
            holds: ByLevel::of(|level| report.holds(level)),
            score: report.score(),
            levels: ByLevel::of(|level| report.score_of(level)),
            groups: report.groups().into_iter().map(group).collect(),
            checks: outcomes.iter().map(Check::from).collect(),
        }
    }
}

impl<T> ByLevel<T> {
    fn of(value: impl Fn(Level) -> T) -> Self {
        Self { must: value(Level::Must), should: value(Level::Should), may: value(Level::May) }
    }
}

impl<'r> From<&'r Outcome> for Check<'r> {
    fn from(outcome: &'r Outcome) -> Self {
        let Outcome { rule, over, verdict, took } = outcome;
        let failure = match verdict {
            Verdict::Failed(failure) => {
                let conformance::Failure { seen, wanted, reproduce } = failure;
                Some(Failure { seen, wanted, reproduce })
            }
            _ => None,
        };
        Self {
            id: rule.id,
            over: *over,
            group: rule.group,
            level: rule.level.name(),
            slow: rule.slow,
            verdict: token(verdict),
            remark: remark(verdict),
            failure,
            seconds: seconds(*took),
            demand: rule.demand,
            source: rule.source,
            why: rule.why,
        }
    }
}

/// The report as JSON, on as many lines as make it readable.
pub(super) fn json(report: &conformance::Report) -> String {
    // Maps with keys that are no texts, and writers, can fail; there are none.
    let text = serde_json::to_string_pretty(&Report::from(report)).unwrap_or_default();
    quiet(&text) + "\n"
}

/// The same JSON without characters that a terminal acts on: those that JSON allows as they are stand in texts only.
fn quiet(json: &str) -> String {
    let mut quiet = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' => quiet.push(c),
            c if is_unseen(c) => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| quiet.push_str(&format!("\\u{unit:04x}")));
            }
            c => quiet.push(c),
        }
    }
    quiet
}

/// Whole milliseconds, in seconds.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}
