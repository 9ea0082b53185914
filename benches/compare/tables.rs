//! The results as Markdown, to be copied into the documentation, and as JSON.
//!
//! Does not know: how a value was come by.

use serde_json::{Value, json};

use crate::results::{Results, Verdict};
use crate::rows::{Figure, Row};
use crate::run::Run;
use crate::servers::Program;
use crate::support::table::Table;

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Met => "met",
            Self::Missed => "MISSED",
        }
    }
}

/// Every row with what it came to.
pub fn demands(rows: &[Row], results: &Results) -> Table {
    let columns = ["what", "towpath", "control", "value", "at most", "reach for", "verdict", "load busy", "control is"];
    let mut table = Table::new(&columns);
    for row in rows {
        let cells = match results.line(row) {
            Some(line) => {
                let figure = |figure: Option<f64>| figure.map_or(String::new(), |figure| with_unit(row, figure));
                [
                    figure(line.ours),
                    figure(line.control),
                    bound(row, line.value),
                    bound(row, row.at_most),
                    bound(row, row.reach_for),
                    line.verdict.name().to_owned(),
                    format!("{:.0} %", 100.0 * line.busy),
                ]
            }
            None => {
                let [at_most, reach_for] = [row.at_most, row.reach_for].map(|value| bound(row, value));
                let nothing = String::new;
                [nothing(), nothing(), nothing(), at_most, reach_for, "NOT MEASURED".to_owned(), nothing()]
            }
        };
        table.row([row.name.clone()].into_iter().chain(cells).chain([against(row)]));
    }
    table
}

/// What the same costs other servers.
pub fn peers(rows: &[Row], results: &Results) -> Table {
    let mut table = Table::new(&["what", "towpath", "peer's", "peer's to towpath's", "peer"]);
    for row in rows {
        for peer in &row.peers {
            if let Some((ours, theirs, ratio)) = results.beside(row, peer) {
                let version = peer.program.version().unwrap_or_default();
                table.row([
                    row.name.clone(),
                    with_unit(row, ours),
                    with_unit(row, theirs),
                    format!("{ratio:.1}"),
                    format!("{} {version}{}", peer.program.name(), difference(&row.ours, peer)),
                ]);
            }
        }
    }
    table
}

/// What a peer's load has in another way than ours.
fn difference(ours: &Run, peer: &Run) -> String {
    let mut differences = String::new();
    if peer.is_over_tcp() && !ours.is_over_tcp() {
        differences.push_str(", over TCP");
    }
    if let Some(clients) = peer.option("--clients").filter(|clients| ours.option("--clients") != Some(*clients)) {
        differences.push_str(&format!(", {clients} clients"));
    }
    differences
}

/// The rows as they stand in the first table, with exact values.
pub fn json(rows: &[Row], results: &Results) -> Value {
    let rows = rows.iter().map(|row| {
        let line = results.line(row);
        let line = line.as_ref();
        json!({
            "name": row.name,
            "at_most": row.at_most,
            "reach_for": row.reach_for,
            "value": line.map(|line| line.value),
            "towpath": line.and_then(|line| line.ours),
            "control": line.and_then(|line| line.control),
            "verdict": line.map(|line| line.verdict.name()),
            "towpath_bench": row.ours.args,
        })
    });
    rows.collect()
}

/// A figure as it was measured.
fn with_unit(row: &Row, figure: f64) -> String {
    match &row.figure {
        Figure::Cpu(_) | Figure::Microseconds => format!("{figure:.2} us"),
        Figure::Flat(path, _) if path.contains("cpu") => format!("{figure:.2} us"),
        Figure::Flat(..) => format!("{:.2} kB", figure / 1000.0),
        Figure::Resident(_) => format!("{figure:.2} kB"),
        Figure::Growth(_) | Figure::Spread(_) | Figure::Drift | Figure::Descriptors => format!("{figure:.2}"),
    }
}

/// A value or what it is held against: a ratio, unless the row has a unit.
fn bound(row: &Row, value: f64) -> String {
    match &row.figure {
        Figure::Microseconds => format!("{value:.2} us"),
        Figure::Resident(_) => format!("{value:.2} kB"),
        Figure::Drift => format!("{value:.2} MiB"),
        Figure::Descriptors => format!("{value:.0}"),
        Figure::Cpu(_) | Figure::Growth(_) | Figure::Flat(..) | Figure::Spread(_) => format!("{value:.2}"),
    }
}

/// What the control of a row is, in words.
fn against(row: &Row) -> String {
    let name = |run: &Run| match run.program {
        Program::Towpath => "the raw websocket".to_owned(),
        other => other.name().to_owned(),
    };
    match &row.figure {
        Figure::Cpu(parts) => {
            let part =
                |(times, run): &(u32, Run)| if *times == 1 { name(run) } else { format!("{times} x {}", name(run)) };
            parts.iter().map(part).collect::<Vec<_>>().join(" + ")
        }
        Figure::Growth(_) => "the control's growth".to_owned(),
        Figure::Flat(..) => "the fewer".to_owned(),
        Figure::Resident(control) | Figure::Spread(control) => name(control),
        Figure::Microseconds | Figure::Drift | Figure::Descriptors => String::new(),
    }
}
