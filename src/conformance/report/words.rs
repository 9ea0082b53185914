//! What several formats say in the same words: names, times, the verdict in a sentence, and texts of which nothing acts on a
//! terminal.
//!
//! Does not know: any format.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use crate::conformance::{Level, Outcome, Report, Verdict};

/// What came of it all, in one or two sentences.
pub fn verdict(report: &Report) -> String {
    let failed = |level| report.score_of(level).failed;
    let (musts, shoulds, mays) = (failed(Level::Must), failed(Level::Should), failed(Level::May));
    let are = |count: usize| if count == 1 { "is" } else { "are" };
    let mut text = if report.score().judged() == 0 {
        "Nothing was judged: no check that was chosen has an answer.".to_owned()
    } else if musts > 0 {
        format!("{} {} not met: clients break on that, or lose messages.", counted(musts, "must"), are(musts))
    } else if shoulds > 0 {
        let shoulds_are = format!("{} {}", counted(shoulds, "should"), are(shoulds));
        format!("Every must is met; {shoulds_are} not, and some clients or networks suffer for it.")
    } else if mays > 0 {
        format!("Every must and every should is met; {} {} not.", counted(mays, "may"), are(mays))
    } else {
        "Every demand that was judged is met.".to_owned()
    };
    let vintage = report.score().vintage;
    if vintage > 0 {
        let _ = write!(text, " {} {} met in the way of an older edition.", counted(vintage, "demand"), are(vintage));
    }
    text
}

/// The name of a check in a report: its id, and what it ran over.
pub(super) fn name(outcome: &Outcome) -> String {
    match outcome.over {
        Some(over) => format!("{}@{over}", outcome.rule.id),
        None => outcome.rule.id.to_owned(),
    }
}

/// A verdict as one word.
pub(super) fn token(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::NotOffered(_) => "not-offered",
        other => other.name(),
    }
}

/// What a verdict has to say, unless it is a failure, which says more.
pub(super) fn remark(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Vintage(text) | Verdict::NotOffered(text) | Verdict::Skipped(text) => Some(text),
        Verdict::Passed | Verdict::Failed(_) => None,
    }
}

/// `1 must`, `2 musts`.
pub(super) fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// A time as `2026-01-31T12:00:00Z`; nothing for one of a clock that stands before 1970.
pub(super) fn when(time: SystemTime) -> String {
    let mut text = String::new();
    if time >= SystemTime::UNIX_EPOCH {
        let _ = write!(text, "{}", humantime::format_rfc3339_seconds(time));
    }
    text
}

/// A time as `850 ms` or `12.3 s`.
pub(super) fn took(time: Duration) -> String {
    match time.as_millis() {
        millis @ 0..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// A number of bytes as `850 bytes`, `12.3 kB` or `1.0 MB`.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} bytes"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// What a run cost the server.
pub(super) fn cost(report: &Report) -> String {
    let spent = report.spent;
    let connections = usize::try_from(spent.connections).unwrap_or(usize::MAX);
    let connections = counted(connections, "connection");
    format!("{connections}, {} sent, {} received, in {}", size(spent.sent), size(spent.received), took(report.took))
}

/// A text of which a terminal shows every character and obeys none: all controls but line feeds and tabs have their escapes in
/// place of them, and so has what turns the direction of writing or is a line's end to some readers only.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            c if is_unseen(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// The same in one line.
pub(super) fn plain_line(text: &str) -> String {
    plain(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// Whether a character is none that is seen: a control, one that changes how others are shown, or none at all.
pub(super) fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    ) || c.is_control()
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_a_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\r\n\tc\u{9b}1m\u{202e}é😀"), "a\\u{1b}[31mb\\r\n\tc\\u{9b}1m\\u{202e}é😀");
        assert_eq!(plain_line("a\nb\tc\0\u{ffff}"), "a\\nb\\tc\\u{0}\\u{ffff}");
    }

    #[test]
    fn times_and_sizes_have_a_fitting_unit() {
        assert_eq!(took(Duration::from_millis(999)), "999 ms");
        assert_eq!(took(Duration::from_millis(1250)), "1.2 s");
        assert_eq!([size(999), size(1000), size(2_500_000)], ["999 bytes", "1.0 kB", "2.5 MB"]);
        assert_eq!(when(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
        assert_eq!(when(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), "");
    }
}
