//! The report as one page for browsers that needs nothing beside itself: worth attaching to a ticket, in print and in the dark too.
//! Its own style and script are let in by their hashes, so that nothing that a server sent can become either, not even by a
//! mistake here.
//!
//! Does not know: where the page is opened.

use std::fmt::{self, Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::words::{cost, name, plain, remark, token, took, verdict, when};
use crate::conformance::{Failure, Level, Outcome, Report, Score, Verdict};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A text of others between tags or in an attribute.
struct Text<'t>(&'t str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in plain(self.0).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The report as an HTML document.
pub(super) fn html(report: &Report) -> String {
    let mut page = String::new();
    head(&mut page, report);
    summary(&mut page, report);
    filter(&mut page, &report.score());
    page.push_str("<main>\n");
    for (name, outcomes) in report.groups() {
        group(&mut page, name, &outcomes);
    }
    page.push_str("</main>\n");
    let _ = writeln!(page, "<footer>Made by towpath {}.</footer>", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(page, "<script>{SCRIPT}</script>\n</body>\n</html>");
    page
}

fn head(page: &mut String, report: &Report) {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    let (suite, target) = (Text(report.suite), Text(&report.target));
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; \
         script-src 'sha256-{}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{suite} conformance of {target}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<p class=\"suite\">{suite} conformance</p>\n<h1>{target}</h1>\n",
        hash(STYLE),
        hash(SCRIPT)
    );
}

/// What came of it all, the score by level, and the facts.
fn summary(page: &mut String, report: &Report) {
    let score = report.score();
    let kind = match (score.judged(), report.holds(Level::Must), report.holds(Level::Should)) {
        (0, ..) | (_, true, false) => "vintage",
        (_, false, _) => "failed",
        (_, true, true) => "passed",
    };
    let percent = score.percent().map(|percent| format!(" ({percent}%)")).unwrap_or_default();
    let _ = writeln!(
        page,
        "<div class=\"verdict {kind}\">\n<strong>{} of {}{percent}</strong>\n<p>{}</p>\n{}\n</div>",
        score.passed,
        score.judged(),
        Text(&verdict(report)),
        bar(&score)
    );
    page.push_str("<dl class=\"levels\">\n");
    for level in Level::ALL {
        let score = report.score_of(level);
        let of = format!("{} of {}", score.passed, score.judged());
        let _ = writeln!(page, "<div><dt>{level}s</dt><dd>{of}<small>{}</small></dd></div>", beside(&score));
    }
    page.push_str("</dl>\n<dl class=\"facts\">\n");
    let facts = report.facts.iter().map(|(name, value)| (*name, value.clone()));
    for (name, value) in facts.chain([("started", when(report.started)), ("cost", cost(report))]) {
        let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", Text(name), Text(&value));
    }
    page.push_str("</dl>\n</header>\n");
}

/// What is to be said of a score beside how many of how many passed.
fn beside(score: &Score) -> String {
    let parts = [
        (score.failed, "failed"),
        (score.vintage, "vintage"),
        (score.not_offered, "not offered"),
        (score.skipped, "skipped"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() { "nothing else".to_owned() } else { parts.join(", ") }
}

/// The shares of a score as a bar. It is a picture of what stands beside it, so nobody reads it aloud.
fn bar(score: &Score) -> String {
    let parts = [
        ("passed", score.passed - score.vintage),
        ("vintage", score.vintage),
        ("failed", score.failed),
        ("other", score.not_offered + score.skipped),
    ];
    let all = parts.iter().map(|(_, count)| count).sum::<usize>().max(1) as f64;
    let (mut svg, mut at) = (String::from("<svg class=\"bar\" aria-hidden=\"true\">"), 0.0);
    for (kind, count) in parts.into_iter().filter(|(_, count)| *count > 0) {
        let width = count as f64 * 100.0 / all;
        let _ = write!(svg, "<rect class=\"{kind}\" x=\"{at:.2}%\" width=\"{width:.2}%\" height=\"100%\"/>");
        at += width;
    }
    svg + "</svg>"
}

/// Buttons that leave the checks of one verdict; they work by the style alone.
fn filter(page: &mut String, score: &Score) {
    page.push_str("<fieldset class=\"filter\">\n<legend class=\"visually-hidden\">Show checks</legend>\n");
    let all = score.judged() + score.not_offered + score.skipped;
    for (kind, title, count) in [
        ("all", "All", all),
        ("failed", "Failed", score.failed),
        ("vintage", "Vintage", score.vintage),
        ("passed", "Passed", score.passed - score.vintage),
        ("not-offered", "Not offered", score.not_offered),
        ("skipped", "Skipped", score.skipped),
    ] {
        if count > 0 {
            let checked = if kind == "all" { " checked" } else { "" };
            let _ = writeln!(
                page,
                "<label><input type=\"radio\" name=\"show\" id=\"show-{kind}\" value=\"{kind}\"{checked}>{title} {count}</label>"
            );
        }
    }
    page.push_str("</fieldset>\n");
}

fn group(page: &mut String, name: &str, outcomes: &[&Outcome]) {
    let score = Score::of(outcomes.iter().copied());
    let open = if score.failed > 0 { " open" } else { "" };
    let mut marks = String::new();
    for (kind, count, what) in [
        ("failed", score.failed, "failed"),
        ("vintage", score.vintage, "vintage"),
        ("other", score.not_offered, "not offered"),
        ("other", score.skipped, "skipped"),
    ] {
        if count > 0 {
            let _ = write!(marks, " <span class=\"{kind}\">{count} {what}</span>");
        }
    }
    let _ = writeln!(
        page,
        "<details class=\"group\"{open}>\n<summary><h2>{}{marks}</h2><span class=\"of\">{} of {}</span>{}</summary>\n<ul>",
        Text(name),
        score.passed,
        score.judged(),
        bar(&score)
    );
    // Nobody should have to look for what failed.
    let (failed, others): (Vec<&Outcome>, Vec<&Outcome>) =
        outcomes.iter().partition(|outcome| matches!(outcome.verdict, Verdict::Failed(_)));
    failed.into_iter().chain(others).for_each(|outcome| check(page, outcome));
    page.push_str("</ul>\n</details>\n");
}

fn check(page: &mut String, outcome: &Outcome) {
    let rule = &outcome.rule;
    let over = outcome.over.map(|over| format!(" <span class=\"over\">{}</span>", Text(over))).unwrap_or_default();
    let _ = write!(
        page,
        "<li class=\"check {}\" id=\"{}\">\n<span class=\"badge\">{}</span><h3><code>{}</code>{over}</h3>\
         <span class=\"level\">{}</span><span class=\"took\">{}</span>\n<div class=\"told\">\n<p class=\"demand\">{}</p>\n",
        token(&outcome.verdict),
        Text(&name(outcome)),
        outcome.verdict.name(),
        Text(rule.id),
        rule.level,
        took(outcome.took),
        Text(rule.demand)
    );
    if let Some(said) = remark(&outcome.verdict) {
        let _ = writeln!(page, "<p class=\"remark\">{}</p>", Text(said));
    }
    if let Verdict::Failed(failure) = &outcome.verdict {
        told(page, failure);
        let (why, source) = (Text(rule.why), Text(rule.source));
        let _ = writeln!(page, "<p class=\"why\">{why}</p>\n<p class=\"source\">Written in: {source}</p>");
    }
    page.push_str("</div>\n</li>\n");
}

fn told(page: &mut String, failure: &Failure) {
    let block = |title: &str, text: &str| format!("<h4>{title}</h4><pre>{}</pre>", Text(text));
    let (seen, wanted) = (block("Seen", &failure.seen), block("Wanted", &failure.wanted));
    let _ = writeln!(
        page,
        "<div class=\"pair\"><div class=\"seen\">{seen}</div><div class=\"wanted\">{wanted}</div></div>"
    );
    let reproduce = failure.reproduce.trim_end();
    if !reproduce.is_empty() {
        let _ = writeln!(page, "<div class=\"again\">{}</div>", block("To see it again", reproduce));
    }
}
