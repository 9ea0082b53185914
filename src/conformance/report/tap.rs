//! The report in the Test Anything Protocol, version 14: a line for each check, and YAML diagnostics for what failed and for what
//! was met in the way of an older edition.
//!
//! Does not know: who reads it.

use std::fmt::Write as _;

use super::words::{name, plain, plain_line, remark, verdict};
use crate::conformance::{Outcome, Report, Verdict};

/// The report as TAP.
pub(super) fn tap(report: &Report) -> String {
    let mut tap = format!("TAP version 14\n1..{}\n", report.outcomes.len());
    let _ = writeln!(tap, "# {} conformance of {}", report.suite, plain_line(&report.target));
    for (fact, value) in &report.facts {
        let _ = writeln!(tap, "# {fact}: {}", plain_line(value));
    }
    for (number, outcome) in (1..).zip(&report.outcomes) {
        line(&mut tap, number, outcome);
    }
    let _ = writeln!(tap, "# {}", verdict(report));
    tap
}

fn line(tap: &mut String, number: usize, outcome: &Outcome) {
    let ok = match outcome.verdict {
        Verdict::Failed(_) => "not ok",
        _ => "ok",
    };
    let rule = &outcome.rule;
    let described = escaped(&format!("{}: {}", name(outcome), rule.demand));
    let said = plain_line(remark(&outcome.verdict).unwrap_or_default());
    match &outcome.verdict {
        Verdict::Passed => {
            let _ = writeln!(tap, "{ok} {number} - {described}");
        }
        Verdict::NotOffered(_) => {
            let _ = writeln!(tap, "{ok} {number} - {described} # SKIP not offered: {said}");
        }
        Verdict::Skipped(_) => {
            let _ = writeln!(tap, "{ok} {number} - {described} # SKIP {said}");
        }
        Verdict::Vintage(edition) => {
            let _ = writeln!(tap, "{ok} {number} - {described}\n  ---\n  vintage: {}\n  ...", quoted(edition));
        }
        Verdict::Failed(failure) => {
            let _ = writeln!(tap, "{ok} {number} - {described}\n  ---\n  level: {}", rule.level);
            let _ = writeln!(tap, "  seen: {}\n  wanted: {}", quoted(&failure.seen), quoted(&failure.wanted));
            let reproduce = failure.reproduce.trim_end();
            if !reproduce.is_empty() {
                // As it is, so that it can be copied; the number says where the text begins, which may begin with blanks itself.
                tap.push_str("  reproduce: |2-\n");
                for line in plain(reproduce).lines() {
                    let _ = writeln!(tap, "    {line}");
                }
            }
            let _ = writeln!(tap, "  source: {}\n  ...", quoted(rule.source));
        }
    }
}

/// A description: a `#` in it would begin a directive.
fn escaped(text: &str) -> String {
    plain_line(text).replace('\\', "\\\\").replace('#', "\\#")
}

/// A text as YAML has it between quotation marks, in the way of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(plain(text)).to_string()
}
