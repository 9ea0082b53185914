//! Reports as people and machines read them: each format is a pure function of a [`Report`]. What a server sent is shown with
//! escapes wherever a terminal, a browser or a parser would take it for something else.
//!
//! Does not know: how the checks are run.

mod catalogue;
mod html;
pub mod json;
mod junit;
mod lines;
mod tap;
mod text;
mod words;

pub use catalogue::{explanation, find, list};
pub use text::text;
pub use words::verdict;

use super::Report;

/// A form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// A summary by group and all that is to be said of what failed, for people.
    #[default]
    Text,
    /// Everything, for programs; see [`json`](mod@json).
    Json,
    /// JUnit's XML, for build servers.
    Junit,
    /// The Test Anything Protocol, version 14, with YAML diagnostics.
    Tap,
    /// One page without anything around it, for tickets.
    Html,
    /// A line for each check with nothing in it that changes from run to run, for `diff`.
    Lines,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 6] = [Self::Text, Self::Json, Self::Junit, Self::Tap, Self::Html, Self::Lines];

    /// What it is called on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Junit => "junit",
            Self::Tap => "tap",
            Self::Html => "html",
            Self::Lines => "lines",
        }
    }

    /// The report in this form, with a line feed at its end.
    pub fn render(self, report: &Report) -> String {
        match self {
            Self::Text => text(report, false),
            Self::Json => json::json(report),
            Self::Junit => junit::junit(report),
            Self::Tap => tap::tap(report),
            Self::Html => html::html(report),
            Self::Lines => lines::lines(report),
        }
    }
}
