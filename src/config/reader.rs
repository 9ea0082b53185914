//! From TOML text to a [`Config`]: every key is looked up in its section's list of settings, and what is not there is refused.
//! Remembers the line of every key, so that faults found later can still be shown where they stand.
//!
//! Does not know: which keys exist, what their values mean together.

use std::collections::HashMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::error::{Complaint, ConfigError, Problem};
use super::settings::{Described, Place, Setting};
use super::values::kind_of;
use super::{Config, Endpoint, suggest};

/// The tables a file may have at its top, beside the keys there.
const TABLES: [(&str, &str); 4] =
    [("http", "[http]"), ("stomp", "[stomp]"), ("broker", "[broker]"), ("endpoint", "[[endpoint]]")];

/// Reads a file's text. The values are of the right kind but may still make no sense.
pub(super) fn read(text: &str, file: &str) -> Result<(Config, Lines), ConfigError> {
    let root = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        file: file.to_owned(),
        line: line_of(text, error.span().unwrap_or(0..0)),
        // Some messages have several lines; ours have one per problem.
        message: error.message().replace('\n', ", "),
    })?;
    let mut reader =
        Reader { text, known: Config::default().describe(), lines: Lines::default(), problems: Vec::new() };
    let config = reader.config(root.get_ref());
    let Reader { lines, mut problems, .. } = reader;
    if problems.is_empty() {
        return Ok((config, lines));
    }
    for problem in &mut problems {
        problem.file = Some(file.to_owned());
        problem.line = lines.find(problem.place, &problem.key);
    }
    problems.sort_by_key(|problem| problem.line);
    Err(ConfigError::Invalid(problems))
}

/// Where each key and each table header stands in the file.
#[derive(Debug, Default)]
pub(super) struct Lines {
    keys: HashMap<(Place, String), usize>,
    tables: HashMap<Place, usize>,
}

impl Lines {
    /// The line of a key, or of its table where the key is left out.
    pub(super) fn find(&self, place: Place, key: &str) -> Option<usize> {
        self.key(place, key).or_else(|| self.tables.get(&place).copied())
    }

    /// The line of a key that the file really has.
    pub(super) fn key(&self, place: Place, key: &str) -> Option<usize> {
        self.keys.get(&(place, key.to_owned())).copied()
    }
}

struct Reader<'t> {
    text: &'t str,
    known: Vec<Described>,
    lines: Lines,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn config(&mut self, root: &DeTable<'_>) -> Config {
        let mut config = Config::default();
        let tables = self.tables(root);
        let endpoints = tables.iter().filter(|(place, _)| matches!(place, Place::Endpoint(_))).count();
        if endpoints > 0 {
            config.endpoints = vec![Endpoint::default(); endpoints];
        }
        for (place, settings) in config.sections() {
            if let Some((_, table)) = tables.iter().find(|(found, _)| *found == place) {
                self.section(place, table, settings);
            }
        }
        config
    }

    /// Every table of the file with its place; what should be a table and is not becomes a problem.
    fn tables<'v, 'i>(&mut self, root: &'v DeTable<'i>) -> Vec<(Place, &'v DeTable<'i>)> {
        let mut tables = vec![(Place::Top, root)];
        for (name, value) in root {
            let Some((key, header)) = TABLES.into_iter().find(|(key, _)| key == name.get_ref()) else {
                continue;
            };
            self.lines.keys.insert((Place::Top, key.to_owned()), line_of(self.text, name.span()));
            let place = match key {
                "http" => Place::Http,
                "stomp" => Place::Stomp,
                "broker" => Place::Broker,
                _ => {
                    self.endpoints(value.get_ref(), &mut tables);
                    continue;
                }
            };
            match value.get_ref().as_table() {
                Some(table) => {
                    self.lines.tables.insert(place, line_of(self.text, value.span()));
                    tables.push((place, table));
                }
                None => self.wrong_table(key, header, value.get_ref()),
            }
        }
        tables
    }

    fn endpoints<'v, 'i>(&mut self, value: &'v DeValue<'i>, tables: &mut Vec<(Place, &'v DeTable<'i>)>) {
        let list = value.as_array().filter(|list| list.iter().all(|item| item.get_ref().is_table()));
        let Some(list) = list else {
            return self.wrong_table("endpoint", "[[endpoint]]", value);
        };
        if list.is_empty() {
            let complaint = Complaint::new(
                "is an empty list",
                "leave it out for the one endpoint at /stomp, or write [[endpoint]] tables",
            );
            self.problems.push(complaint.about(Place::Top, "endpoint"));
        }
        for (index, item) in list.iter().enumerate() {
            let Some(table) = item.get_ref().as_table() else {
                continue;
            };
            self.lines.tables.insert(Place::Endpoint(index), line_of(self.text, item.span()));
            tables.push((Place::Endpoint(index), table));
        }
    }

    fn wrong_table(&mut self, key: &str, header: &str, value: &DeValue<'_>) {
        let complaint = Complaint::new(
            format!("is {}", kind_of(value)),
            format!("write {header} on a line of its own, and its keys below"),
        );
        self.problems.push(complaint.about(Place::Top, key));
    }

    fn section(&mut self, place: Place, table: &DeTable<'_>, mut settings: Vec<Setting<'_>>) {
        for (name, value) in table {
            let key = name.get_ref().as_ref();
            if place == Place::Top && TABLES.iter().any(|(table, _)| *table == key) {
                continue;
            }
            self.lines.keys.insert((place, key.to_owned()), line_of(self.text, name.span()));
            let outcome = match settings.iter_mut().find(|setting| setting.key == key) {
                Some(setting) => setting.read(value.get_ref()).map_err(|complaint| complaint.about(place, key)),
                None => Err(self.unknown(place, key)),
            };
            self.problems.extend(outcome.err());
        }
    }

    /// An unknown key is a known one in the wrong table, or a mistyped one, or a stranger.
    fn unknown(&self, place: Place, key: &str) -> Problem {
        let elsewhere: Vec<String> = self
            .known
            .iter()
            .filter(|known| known.key == key)
            .map(|known| {
                if known.place == Place::Top {
                    "at the top, before the first table".to_owned()
                } else {
                    format!("in {}", known.place.header())
                }
            })
            .collect();
        let tables = TABLES.into_iter().filter(|_| place == Place::Top).map(|(table, _)| table);
        let here: Vec<&str> = self
            .known
            .iter()
            .filter(|known| known.place.header() == place.header())
            .map(|known| known.key)
            .chain(tables)
            .collect();
        let mend = if !elsewhere.is_empty() {
            format!("it belongs {}", elsewhere.join(" or "))
        } else if let Some(near) = suggest::nearest(key, here.iter().copied()) {
            format!("did you mean `{near}`?")
        } else {
            format!("the keys here are {}", here.join(", "))
        };
        Problem {
            file: None,
            line: None,
            place,
            key: key.to_owned(),
            fault: format!("unknown key `{key}` {place}"),
            mend,
        }
    }
}

/// The line, counted from 1, on which a span begins.
fn line_of(text: &str, span: Range<usize>) -> usize {
    1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
}
