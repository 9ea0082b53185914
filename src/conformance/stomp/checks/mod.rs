//! The checks, group by group.
//!
//! Does not know: over which carriers a server is looked at.

mod acks;
mod beats;
mod connecting;
mod errors;
mod framing;
mod headers;
mod hostile;
mod receipts;
mod sending;
mod subscribing;
mod transactions;
mod versions;
mod websocket;

use super::probe::Probe;
use super::{Entry, Over};
use crate::conformance::{Check, Level, Looking, Rule};

/// Every group, in the order of the report.
pub(super) static GROUPS: [&[Entry]; 13] = [
    connecting::CHECKS,
    versions::CHECKS,
    framing::CHECKS,
    headers::CHECKS,
    sending::CHECKS,
    subscribing::CHECKS,
    acks::CHECKS,
    transactions::CHECKS,
    receipts::CHECKS,
    errors::CHECKS,
    beats::CHECKS,
    websocket::CHECKS,
    hostile::CHECKS,
];

/// A rule that is checked over these carriers by that function.
const fn entry(over: Over, rule: Rule, look: for<'a> fn(&'a Probe) -> Looking<'a>) -> Entry {
    Entry { over, check: Check { rule, look } }
}

/// A rule: its group, how much it matters, its id, what is demanded, where that is written, and why it matters.
const fn rule(
    group: &'static str,
    level: Level,
    id: &'static str,
    demand: &'static str,
    source: &'static str,
    why: &'static str,
) -> Rule {
    Rule { id, group, level, demand, source, why, slow: false }
}

/// A rule whose check takes seconds.
const fn slow(rule: Rule) -> Rule {
    Rule { slow: true, ..rule }
}
