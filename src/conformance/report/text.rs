//! The report for people at a terminal, a hundred columns wide. Lines that show a failure again are not broken, so that they can be
//! copied.
//!
//! Does not know: whether there is a terminal.

use std::fmt::{Display, Write as _};

use super::words::{cost, name, plain, plain_line, remark, verdict, when};
use crate::conformance::{Failure, Level, Outcome, Report, Score, Verdict};

/// Columns.
const WIDTH: usize = 100;
/// Characters of a line that is to be copied.
const LONGEST: usize = 2000;

/// How a word stands out; the numbers are those of ECMA-48's SGR.
#[derive(Clone, Copy)]
struct Paint(&'static str);

const BOLD: Paint = Paint("1");
const DIM: Paint = Paint("2");
const RED: Paint = Paint("31");
const GREEN: Paint = Paint("32");
const YELLOW: Paint = Paint("33");

/// The report, with colours or without.
pub fn text(report: &Report, colours: bool) -> String {
    let mut page = Page { text: String::new(), colours };
    page.head(report);
    page.groups(report);
    page.failures(report);
    page.remarks(report, "Met in the way of an older edition", |verdict| matches!(verdict, Verdict::Vintage(_)));
    page.remarks(report, "Not offered", |verdict| matches!(verdict, Verdict::NotOffered(_)));
    page.remarks(report, "Skipped", |verdict| matches!(verdict, Verdict::Skipped(_)));
    page.score(report);
    page.text
}

/// A text behind a title, in lines that fit, all of them as far in as the first.
pub(super) fn wrapped(title: &str, text: &str) -> String {
    let indent = title.chars().count();
    let mut out = String::new();
    let mut begin = title.to_owned();
    for line in text.split('\n') {
        let mut column = indent;
        out.push_str(&begin);
        begin = " ".repeat(indent);
        for (number, word) in line.split(' ').enumerate() {
            let length = word.chars().count();
            if number > 0 && column + 1 + length > WIDTH {
                let _ = write!(out, "\n{begin}");
                column = indent;
            } else if number > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += length;
        }
        out.push('\n');
    }
    out
}

struct Page {
    text: String,
    colours: bool,
}

impl Page {
    fn line(&mut self, line: impl Display) {
        let _ = writeln!(self.text, "{line}");
    }

    fn painted(&self, paint: Paint, words: impl Display) -> String {
        match self.colours {
            true => format!("\x1b[{}m{words}\x1b[0m", paint.0),
            false => words.to_string(),
        }
    }

    fn title(&mut self, title: impl Display) {
        let title = self.painted(BOLD, title);
        self.line(format_args!("\n{title}"));
    }

    fn head(&mut self, report: &Report) {
        let title = self.painted(BOLD, format_args!("{}, {}", report.suite, plain_line(&report.target)));
        self.line(title);
        let facts = report.facts.iter().map(|(name, value)| (*name, plain_line(value)));
        let facts: Vec<_> = facts.chain([("started", when(report.started))]).collect();
        let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, value) in facts {
            self.text.push_str(&wrapped(&format!("  {name:<width$}  "), &value));
        }
    }

    fn groups(&mut self, report: &Report) {
        self.title("Groups");
        let groups = report.groups();
        let width = groups.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, outcomes) in groups {
            let score = Score::of(outcomes);
            let line = self.tally(&score);
            self.line(format_args!("  {name:<width$}  {line}"));
        }
    }

    /// A score as `3 of 4`, and what else there is to be counted.
    fn tally(&self, score: &Score) -> String {
        let of = format!("{:>3} of {:<3}", score.passed, score.judged());
        let mut line = match (score.failed, score.passed) {
            (0, 0) => self.painted(DIM, of),
            (0, _) => self.painted(GREEN, of),
            _ => self.painted(RED, of),
        };
        for (paint, count, what) in [
            (RED, score.failed, "failed"),
            (YELLOW, score.vintage, "vintage"),
            (DIM, score.not_offered, "not offered"),
            (DIM, score.skipped, "skipped"),
        ] {
            if count > 0 {
                let _ = write!(line, "  {}", self.painted(paint, format_args!("{count} {what}")));
            }
        }
        line.trim_end().to_owned()
    }

    /// What failed, the weightiest first.
    fn failures<'r>(&mut self, report: &'r Report) {
        let failure = |outcome: &'r Outcome| match &outcome.verdict {
            Verdict::Failed(failure) => Some((outcome, failure)),
            _ => None,
        };
        let mut failures: Vec<(&Outcome, &Failure)> = report.outcomes.iter().filter_map(failure).collect();
        failures.sort_by_key(|(outcome, _)| outcome.rule.level);
        if failures.is_empty() {
            return;
        }
        self.title(format_args!("Failed ({})", failures.len()));
        for (outcome, failure) in failures {
            let id = self.painted(RED, name(outcome));
            let of = self.painted(DIM, format_args!("{}, {}", outcome.rule.level, outcome.rule.group));
            self.line(format_args!("\n  {id}  {of}"));
            for (title, said) in
                [("demands", outcome.rule.demand), ("seen", &failure.seen), ("wanted", &failure.wanted)]
            {
                let lines = wrapped(&format!("    {title:<9}"), &plain(said));
                self.text.push_str(&lines);
            }
            if !failure.reproduce.is_empty() {
                self.line("    repeat");
                plain(failure.reproduce.trim_end()).lines().for_each(|line| self.repeat(line));
            }
        }
        let suite = report.suite.to_lowercase();
        let hint =
            format!("towpath conformance {suite} --explain ID says where a demand is written and why it matters.");
        let hint = self.painted(DIM, hint);
        self.line(format_args!("\n  {hint}"));
    }

    /// A line that shows a failure again. Only one that would fill the screen is cut.
    fn repeat(&mut self, line: &str) {
        let indent = if line.is_empty() { "" } else { "      " };
        match line.char_indices().nth(LONGEST) {
            Some((end, _)) => {
                let rest = line.chars().count() - LONGEST;
                let begin = line.get(..end).unwrap_or_default();
                self.line(format_args!("{indent}{begin}"));
                self.line(format_args!("{indent}# cut: {rest} more characters; the other formats have all of it"));
            }
            None => self.line(format_args!("{indent}{line}")),
        }
    }

    /// The checks of some verdicts below what is said of them: mostly several have one reason.
    fn remarks(&mut self, report: &Report, title: &str, of: fn(&Verdict) -> bool) {
        let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
        for outcome in report.outcomes.iter().filter(|outcome| of(&outcome.verdict)) {
            let reason = remark(&outcome.verdict).unwrap_or_default();
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, names)) => names.push(name(outcome)),
                None => reasons.push((reason, vec![name(outcome)])),
            }
        }
        if reasons.is_empty() {
            return;
        }
        let count: usize = reasons.iter().map(|(_, names)| names.len()).sum();
        self.title(format_args!("{title} ({count})"));
        for (reason, names) in reasons {
            self.text.push_str(&wrapped("  ", &plain(reason)));
            let names = wrapped("    ", &names.join(", "));
            let names = self.painted(DIM, names.trim_end());
            self.line(names);
        }
    }

    fn score(&mut self, report: &Report) {
        self.title("Score");
        for level in Level::ALL {
            let line = self.tally(&report.score_of(level));
            self.line(format_args!("  {:<7}  {line}", format!("{level}s")));
        }
        let all = self.tally(&report.score());
        self.line(format_args!("  {:<7}  {all}", "all"));
        self.line(format_args!("  {:<7}    {}", "cost", cost(report)));
        let paint = match (report.score().judged(), report.holds(Level::Must), report.holds(Level::Should)) {
            (0, ..) | (_, true, false) => YELLOW,
            (_, false, _) => RED,
            (_, true, true) => GREEN,
        };
        let sentence = wrapped("", &verdict(report));
        let sentence = self.painted(paint, sentence.trim_end());
        self.line(format_args!("\n{sentence}"));
    }
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_fit_and_long_words_are_left_whole() {
        let text = format!("{} b\nc {}", "a ".repeat(60).trim_end(), "d".repeat(120));
        let lines: Vec<_> = wrapped("  seen  ", &text).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].starts_with("  seen  a a") && lines[0].len() <= 100, "{lines:?}");
        assert_eq!(lines[2], "        c", "a line's end of the text is kept");
        assert_eq!(lines[3], format!("        {}", "d".repeat(120)));
    }
}
