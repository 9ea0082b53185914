//! The report as JUnit's XML, which build servers read: a suite for each group. What a server does not offer is skipped, and what
//! it does in the way of an older edition has passed and says so in its output.
//!
//! Does not know: which build server reads it.

use std::fmt::Write as _;

use super::words::{name, plain, plain_line, remark, when};
use crate::conformance::{Outcome, Report, Score, Verdict};

/// The report as an XML document.
pub(super) fn junit(report: &Report) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let name = attribute(&format!("{} conformance of {}", report.suite, report.target));
    let seconds = report.took.as_secs_f64();
    let _ = writeln!(xml, "<testsuites name=\"{name}\" {} time=\"{seconds:.3}\">", counts(&report.score()));
    for (group, outcomes) in report.groups() {
        suite(&mut xml, report, group, &outcomes);
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn suite(xml: &mut String, report: &Report, group: &str, outcomes: &[&Outcome]) {
    let score = Score::of(outcomes.iter().copied());
    let seconds: f64 = outcomes.iter().map(|outcome| outcome.took.as_secs_f64()).sum();
    let (name, started) = (attribute(group), when(report.started));
    let skipped = score.not_offered + score.skipped;
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{name}\" {} skipped=\"{skipped}\" time=\"{seconds:.3}\" timestamp=\"{}\">",
        counts(&score),
        started.trim_end_matches('Z')
    );
    xml.push_str("    <properties>\n");
    let facts = report.facts.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in [("target", report.target.as_str())].into_iter().chain(facts) {
        let _ = writeln!(xml, "      <property name=\"{}\" value=\"{}\"/>", attribute(name), attribute(value));
    }
    xml.push_str("    </properties>\n");
    for outcome in outcomes {
        case(xml, report.suite, outcome);
    }
    xml.push_str("  </testsuite>\n");
}

fn counts(score: &Score) -> String {
    let tests = score.judged() + score.not_offered + score.skipped;
    format!("tests=\"{tests}\" failures=\"{}\" errors=\"0\"", score.failed)
}

fn case(xml: &mut String, suite: &str, outcome: &Outcome) {
    let rule = &outcome.rule;
    let class = attribute(&format!("{suite}.{}", rule.group));
    let seconds = outcome.took.as_secs_f64();
    let _ =
        write!(xml, "    <testcase classname=\"{class}\" name=\"{}\" time=\"{seconds:.3}\"", attribute(&name(outcome)));
    let said = remark(&outcome.verdict).unwrap_or_default();
    let within = match &outcome.verdict {
        Verdict::Passed => {
            xml.push_str("/>\n");
            return;
        }
        Verdict::Vintage(_) => format!("<system-out>vintage: {}</system-out>", text(said)),
        Verdict::NotOffered(_) => format!("<skipped message=\"not offered: {}\"/>", attribute(said)),
        Verdict::Skipped(_) => format!("<skipped message=\"{}\"/>", attribute(said)),
        Verdict::Failed(failure) => {
            let mut told = format!("seen: {}\nwanted: {}\n", failure.seen, failure.wanted);
            if !failure.reproduce.is_empty() {
                let _ = write!(told, "\n{}\n", failure.reproduce.trim_end());
            }
            let _ = write!(told, "\nsource: {}\nwhy: {}\n", rule.source, rule.why);
            format!("<failure type=\"{}\" message=\"{}\">{}</failure>", rule.level, attribute(rule.demand), text(&told))
        }
    };
    let _ = writeln!(xml, ">\n      {within}\n    </testcase>");
}

/// A text between tags. XML has no way to write most controls, so they are shown as escapes like everywhere.
fn text(text: &str) -> String {
    plain(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The value of an attribute, in one line.
fn attribute(value: &str) -> String {
    text(&plain_line(value)).replace('"', "&quot;")
}
