//! What came of a check, and of all of them.
//!
//! Does not know: how it is shown.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{Level, Rule};
use crate::wire::{Fault, Spent};

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The demand is met.
    Passed,
    /// It is met in the way of an older edition of the protocol, which the text names: for clients of today that will do.
    Vintage(String),
    /// It is not met.
    Failed(Failure),
    /// The server does not claim to have what the demand is about; the text says what.
    NotOffered(String),
    /// It was not looked at; the text says why.
    Skipped(String),
}

/// A demand that is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was seen.
    pub seen: String,
    /// What was wanted instead.
    pub wanted: String,
    /// How to see it again: shell lines, or dumps of what was sent and what came. Empty if there is nothing to repeat.
    pub reproduce: String,
}

/// Why a check ends before its end.
#[derive(Debug, Clone)]
pub enum Stop {
    /// The demand is not met.
    Failed(Failure),
    /// It is met in the way of an older edition.
    Vintage(String),
    /// The server does not claim to have it.
    NotOffered(String),
}

/// A check with what came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The check's rule.
    pub rule: Rule,
    /// What it ran over, where the same checks run over several transports.
    pub over: Option<&'static str>,
    /// What came of it.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// What came of all checks.
#[derive(Debug, Clone)]
pub struct Report {
    /// `SockJS` or `STOMP`.
    pub suite: &'static str,
    /// The URL that was given.
    pub target: String,
    /// What the server says it is, and other facts of the run, each with its name.
    pub facts: Vec<(&'static str, String)>,
    /// When it began.
    pub started: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// What it asked of the server.
    pub spent: Spent,
    /// The checks in their order.
    pub outcomes: Vec<Outcome>,
}

/// How many of the checks of one kind have which verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Score {
    /// Met, older editions included.
    pub passed: usize,
    /// Of these, how many in the way of an older edition.
    pub vintage: usize,
    /// Not met.
    pub failed: usize,
    /// Not claimed by the server.
    pub not_offered: usize,
    /// Not looked at.
    pub skipped: usize,
}

impl Verdict {
    /// `passed`, `vintage`, `failed`, `not offered` or `skipped`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Vintage(_) => "vintage",
            Self::Failed(_) => "failed",
            Self::NotOffered(_) => "not offered",
            Self::Skipped(_) => "skipped",
        }
    }
}

impl Failure {
    /// A failure of which there is nothing to repeat, or not yet.
    pub fn new(seen: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self { seen: seen.into(), wanted: wanted.into(), reproduce: String::new() }
    }

    /// With what shows it again, unless that is known already.
    #[must_use]
    pub fn reproduced_by(mut self, reproduce: impl Into<String>) -> Self {
        if self.reproduce.is_empty() {
            self.reproduce = reproduce.into();
        }
        self
    }
}

impl Stop {
    /// The demand is not met: what was seen, and what was wanted.
    pub fn failed(seen: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self::Failed(Failure::new(seen, wanted))
    }

    /// No answer came, where one was wanted.
    pub fn fault(fault: &Fault, wanted: impl Into<String>) -> Self {
        Self::failed(fault.to_string(), wanted)
    }

    /// With what shows a failure again, unless that is known already.
    #[must_use]
    pub fn reproduced_by(self, reproduce: impl Into<String>) -> Self {
        match self {
            Self::Failed(failure) => Self::Failed(failure.reproduced_by(reproduce)),
            other => other,
        }
    }
}

impl From<Result<(), Stop>> for Verdict {
    fn from(result: Result<(), Stop>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(Stop::Failed(failure)) => Self::Failed(failure),
            Err(Stop::Vintage(edition)) => Self::Vintage(edition),
            Err(Stop::NotOffered(what)) => Self::NotOffered(what),
        }
    }
}

impl Score {
    /// The score of some outcomes.
    pub fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Self {
        let mut score = Self::default();
        for outcome in outcomes {
            match outcome.verdict {
                Verdict::Passed => score.passed += 1,
                Verdict::Vintage(_) => {
                    score.passed += 1;
                    score.vintage += 1;
                }
                Verdict::Failed(_) => score.failed += 1,
                Verdict::NotOffered(_) => score.not_offered += 1,
                Verdict::Skipped(_) => score.skipped += 1,
            }
        }
        score
    }

    /// How many were looked at and have an answer.
    pub fn judged(&self) -> usize {
        self.passed + self.failed
    }

    /// The share of those that passed among those that have an answer, in whole per cent, rounded down: 100 means all. `None` if none has.
    pub fn percent(&self) -> Option<usize> {
        (self.passed * 100).checked_div(self.judged())
    }
}

impl Report {
    /// The groups in their order, each with its outcomes.
    pub fn groups(&self) -> Vec<(&'static str, Vec<&Outcome>)> {
        let mut groups: Vec<(&'static str, Vec<&Outcome>)> = Vec::new();
        for outcome in &self.outcomes {
            match groups.iter_mut().find(|(name, _)| *name == outcome.rule.group) {
                Some((_, of_group)) => of_group.push(outcome),
                None => groups.push((outcome.rule.group, vec![outcome])),
            }
        }
        groups
    }

    /// The score of the checks of one level.
    pub fn score_of(&self, level: Level) -> Score {
        Score::of(self.outcomes.iter().filter(|outcome| outcome.rule.level == level))
    }

    /// The score of all checks.
    pub fn score(&self) -> Score {
        Score::of(&self.outcomes)
    }

    /// Whether no check of this level, or of a weightier one, failed.
    pub fn holds(&self, level: Level) -> bool {
        let failed = |outcome: &Outcome| matches!(outcome.verdict, Verdict::Failed(_)) && outcome.rule.level <= level;
        !self.outcomes.iter().any(failed)
    }
}
