//! A report for people, and one for programs.
//!
//! Does not know: how anything was seen.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::catalogue::Severity;
use super::probe::shown;
use super::report::{Report, State};

/// Escapes for a terminal, or nothing.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn state(self, state: State, text: &str) -> String {
        self.with(
            match state {
                State::Works => "32",
                State::But => "33",
                State::Fails => "31",
                State::NotOffered | State::Unknown => "2",
            },
            text,
        )
    }

    fn severity(self, severity: Severity, text: &str) -> String {
        self.with(if severity == Severity::Error { "31" } else { "33" }, text)
    }
}

impl Report {
    /// The report as a page of text, with colours if wanted.
    pub fn text(&self, colours: bool) -> String {
        let paint = Paint(colours);
        let mut out = format!("{}\n\n", paint.bold(&format!("towpath doctor {}", self.target)));
        // What others wrote into their headers is not to reach the terminal as it is.
        let plain =
            |text: &str| -> String { text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect() };
        let mut last = "";
        for fact in &self.facts {
            let step = if fact.step == last { "" } else { fact.step };
            let _ = writeln!(out, "  {step:14} {}", plain(&fact.text));
            last = fact.step;
        }
        let _ = writeln!(out, "\n{}", paint.bold("Transports"));
        for verdict in &self.verdicts {
            let state = format!("{:12}", verdict.state.name());
            let _ = writeln!(out, "  {:14} {} {}", verdict.transport, paint.state(verdict.state, &state), verdict.why);
        }
        let choice = self.choice.transport.map_or("nothing", |transport| transport.name());
        let _ = writeln!(out, "\nA sockjs-client ends up with {}: {}.", paint.bold(choice), self.choice.why);
        for (number, finding) in (1..).zip(&self.findings) {
            let problem = finding.problem;
            let severity = paint.severity(problem.severity, problem.severity.name());
            let _ = writeln!(out, "\n{}", paint.bold(&format!("{number}. {}: {}", problem.id, problem.title)));
            let _ = writeln!(out, "   {severity}. {}", problem.meaning);
            for seen in &finding.seen {
                let _ = writeln!(out, "   seen: {}", plain(seen));
            }
            for (place, lines) in finding.mends(self) {
                let _ = writeln!(out, "   {place}:");
                for line in lines.lines() {
                    let _ = writeln!(out, "       {line}");
                }
            }
        }
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let told = match self.is_healthy() {
            true => "Nothing is wrong.".to_owned(),
            false => format!("{}, {}.", counted(errors, "error"), counted(warnings, "warning")),
        };
        let spent = self.spent;
        let _ = writeln!(
            out,
            "\n{told} {} connections, {} bytes sent and {} received, in {}.",
            spent.connections,
            spent.sent,
            spent.received,
            shown(self.took)
        );
        out
    }

    /// The report as JSON.
    pub fn json(&self) -> Value {
        let names = |of: &[super::Transport]| of.iter().map(|transport| transport.name()).collect::<Vec<_>>();
        let findings = self.findings.iter().map(|finding| {
            let mends = finding.mends(self).into_iter().map(|(place, lines)| json!({"place": place, "lines": lines}));
            json!({
                "id": finding.problem.id,
                "severity": finding.problem.severity.name(),
                "title": finding.problem.title,
                "meaning": finding.problem.meaning,
                "seen": finding.seen,
                "breaks": names(&finding.breaks),
                "hampers": names(&finding.hampers),
                "mends": mends.collect::<Vec<_>>(),
            })
        });
        let verdicts = self.verdicts.iter().map(
            |verdict| json!({"transport": verdict.transport.name(), "state": verdict.state.name(), "why": verdict.why}),
        );
        json!({
            "target": self.target,
            "started": humantime::format_rfc3339_seconds(self.started).to_string(),
            "seconds": self.took.as_secs_f64(),
            "load": {"connections": self.spent.connections, "sent": self.spent.sent, "received": self.spent.received},
            "facts": self.facts.iter().map(|fact| json!({"step": fact.step, "text": fact.text})).collect::<Vec<_>>(),
            "transports": verdicts.collect::<Vec<_>>(),
            "sockjs_client": {"transport": self.choice.transport.map(super::Transport::name), "why": self.choice.why},
            "findings": findings.collect::<Vec<_>>(),
            "healthy": self.is_healthy(),
        })
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
