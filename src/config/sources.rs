//! Where each value of a configuration comes from, so that a fault is shown where it stands, and `towpath check` can say whose
//! word counts.
//!
//! Does not know: values, or what they mean.

use std::collections::HashMap;

use super::error::Problem;
use super::settings::Place;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything else.
    Default,
    /// This line of the file, counted from 1.
    Line(usize),
    /// The variable of the environment with this name.
    Variable(String),
}

/// The sources of all values of one configuration; see [`Config::load_with_sources`](super::Config::load_with_sources).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    keys: HashMap<(Place, String), Source>,
    tables: HashMap<Place, usize>,
}

impl Sources {
    /// Where the value of a key comes from, which has a dot in its name where it stands in an inner table.
    pub fn of(&self, place: Place, key: &str) -> Source {
        self.key(place, key).cloned().unwrap_or(Source::Default)
    }

    /// Whether somebody wrote the key, if only to say what holds anyway.
    pub(super) fn has(&self, place: Place, key: &str) -> bool {
        self.key(place, key).is_some()
    }

    pub(super) fn add(&mut self, place: Place, key: &str, source: Source) {
        self.keys.insert((place, key.to_owned()), source);
    }

    pub(super) fn add_table(&mut self, place: Place, line: usize) {
        self.tables.insert(place, line);
    }

    /// Says in the problem where it stands: at its key, or at the first of the related keys that somebody wrote, or at the header of
    /// its table. A problem that says it already keeps it.
    pub(super) fn locate(&self, problem: &mut Problem, related: &[(Place, &str)], file: Option<&str>) {
        if problem.file.is_some() {
            return;
        }
        let written = || related.iter().find_map(|(place, key)| self.key(*place, key));
        let line = match self.key(problem.place, &problem.key).or_else(written) {
            Some(Source::Variable(name)) => {
                problem.file = Some(name.clone());
                return;
            }
            Some(Source::Line(line)) => Some(*line),
            Some(Source::Default) | None => self.tables.get(&problem.place).copied(),
        };
        problem.file = file.map(str::to_owned);
        problem.line = line;
    }

    fn key(&self, place: Place, key: &str) -> Option<&Source> {
        self.keys.get(&(place, key.to_owned()))
    }
}
