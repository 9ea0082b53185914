//! The report that is compared by `diff`: a line for each check in the checks' order, its verdict and its name, and nothing that
//! changes from run to run.
//!
//! Does not know: what was seen.

use super::words::{name, token};
use crate::conformance::{Outcome, Report};

/// The report as lines such as `passed       XhrPolling.test_transport`.
pub(super) fn lines(report: &Report) -> String {
    let line = |outcome: &Outcome| format!("{:<12} {}\n", token(&outcome.verdict), name(outcome));
    report.outcomes.iter().map(line).collect()
}
