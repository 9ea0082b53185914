//! From TOML text to a [`Config`]: every key is looked up in its section's list of settings, and what is not there is refused.
//! Variables of the environment are read into the same settings, after the file. Remembers where every key stands, so that
//! faults found later can still be shown there.
//!
//! Does not know: which keys exist, what their values mean together.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::environment::Environment;
use super::error::{Complaint, ConfigError, Problem};
use super::settings::{Described, Place, Setting};
use super::sources::{Source, Sources};
use super::values::kind_of;
use super::{App, Config, Destination, Endpoint, History, Rule, User, suggest};

/// The place of the table with that number in a list.
pub(super) type Numbered = fn(usize) -> Place;

/// The tables a file may have at its top, beside the keys there.
const TABLES: [(&str, Place); 9] = [
    ("http", Place::Http),
    ("tcp", Place::Tcp),
    ("stomp", Place::Stomp),
    ("broker", Place::Broker),
    ("application", Place::Application),
    ("webhook", Place::Webhook),
    ("auth", Place::Auth),
    ("jwt", Place::Jwt),
    ("api", Place::Api),
];
/// The tables that a file may have several times there.
pub(super) const LISTS: [(&str, Numbered); 5] = [
    ("endpoint", Place::Endpoint),
    ("app", Place::App),
    ("user", Place::User),
    ("rule", Place::Rule),
    ("destination", Place::Destination),
];
/// The table inside of a `[[destination]]`, whose keys are settings with a dot: in braces, with a header of its own, or by dotted
/// keys, TOML makes no difference.
const INNER: &str = "history";

/// Reads a file's text, and the environment after it. The values are of the right kind but may still make no sense. Without a name
/// there is no file, and the text is empty.
pub(super) fn read(text: &str, file: Option<&str>, environment: Environment) -> Result<(Config, Sources), ConfigError> {
    let root = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        file: file.unwrap_or_default().to_owned(),
        line: line_of(text, error.span().unwrap_or(0..0)),
        // Some messages have several lines; ours have one per problem.
        message: error.message().replace('\n', ", "),
    })?;
    let known = Config::with_one_of_each_table().describe();
    let mut reader = Reader { text, known, environment, sources: Sources::default(), problems: Vec::new() };
    let config = reader.config(root.get_ref());
    let Reader { sources, mut problems, environment, .. } = reader;
    problems.extend(environment.unknown(&config));
    if problems.is_empty() {
        return Ok((config, sources));
    }
    for problem in &mut problems {
        sources.locate(problem, &[], file);
    }
    problems.sort_by_key(|problem| problem.line);
    Err(ConfigError::Invalid(problems))
}

struct Reader<'t> {
    text: &'t str,
    known: Vec<Described>,
    environment: Environment,
    sources: Sources,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn config(&mut self, root: &DeTable<'_>) -> Config {
        let mut config = Config::default();
        let tables = self.tables(root);
        let count = |is: fn(&Place) -> bool| tables.iter().filter(|(place, _)| is(place)).count();
        let endpoints = count(|place| matches!(place, Place::Endpoint(_)));
        if endpoints > 0 {
            config.endpoints = vec![Endpoint::default(); endpoints];
        }
        config.apps = vec![App::default(); count(|place| matches!(place, Place::App(_)))];
        config.users = vec![User::default(); count(|place| matches!(place, Place::User(_)))];
        config.rules = vec![Rule::default(); count(|place| matches!(place, Place::Rule(_)))];
        for (place, settings) in config.sections() {
            self.section(place, &tables, settings);
        }
        // Last, wherever they stand: what they leave out is as in [broker].
        let destinations = tables.iter().filter(|(place, _)| matches!(place, Place::Destination(_)));
        config.destinations = destinations
            .map(|(_, table)| Destination {
                // Without fields nothing could be read into them; that there is no count yet is found later.
                history: table.get(INNER).map(|_| History::new(0)),
                queue: config.broker.queue.clone(),
                ..Destination::default()
            })
            .collect();
        for (place, settings) in super::destination_sections(&mut config.destinations) {
            self.section(place, &tables, settings);
        }
        config
    }

    /// Every table of the file with its place; what should be a table and is not becomes a problem.
    fn tables<'v, 'i>(&mut self, root: &'v DeTable<'i>) -> Vec<(Place, &'v DeTable<'i>)> {
        let mut tables = vec![(Place::Top, root)];
        for (name, value) in root {
            let key = name.get_ref().as_ref();
            if is_table(key) {
                self.sources.add(Place::Top, key, self.line(name.span()));
            }
            if let Some((_, place)) = LISTS.into_iter().find(|(list, _)| *list == key) {
                self.list(key, place, value.get_ref(), &mut tables);
            } else if let Some((_, place)) = TABLES.into_iter().find(|(table, _)| *table == key) {
                match value.get_ref().as_table() {
                    Some(table) => {
                        self.sources.add_table(place, line_of(self.text, value.span()));
                        tables.push((place, table));
                    }
                    None => self.wrong_table(key, place, value.get_ref()),
                }
            }
        }
        tables
    }

    fn list<'v, 'i>(
        &mut self,
        key: &str,
        place: Numbered,
        value: &'v DeValue<'i>,
        tables: &mut Vec<(Place, &'v DeTable<'i>)>,
    ) {
        let list = value.as_array().filter(|list| list.iter().all(|item| item.get_ref().is_table()));
        let Some(list) = list else {
            return self.wrong_table(key, place(0), value);
        };
        if list.is_empty() && place(0) == Place::Endpoint(0) {
            let complaint = Complaint::new(
                "is an empty list",
                "leave it out for the one endpoint at /stomp, or write [[endpoint]] tables",
            );
            self.problems.push(complaint.about(Place::Top, key));
        }
        for (index, item) in list.iter().enumerate() {
            let Some(table) = item.get_ref().as_table() else {
                continue;
            };
            self.sources.add_table(place(index), line_of(self.text, item.span()));
            tables.push((place(index), table));
        }
    }

    fn wrong_table(&mut self, key: &str, place: Place, value: &DeValue<'_>) {
        let complaint = Complaint::new(
            format!("is {}", kind_of(value)),
            format!("write {} on a line of its own, and its keys below", place.header()),
        );
        self.problems.push(complaint.about(Place::Top, key));
    }

    fn line(&self, span: Range<usize>) -> Source {
        Source::Line(line_of(self.text, span))
    }

    /// Reads the table of that place into its settings, if the file has one, and then what the environment says of it.
    fn section(&mut self, place: Place, tables: &[(Place, &DeTable<'_>)], mut settings: Vec<Setting<'_>>) {
        let table = tables.iter().find(|(found, _)| *found == place);
        for (name, value) in table.into_iter().flat_map(|(_, table)| table.iter()) {
            let key = name.get_ref().as_ref();
            if place == Place::Top && is_table(key) {
                continue;
            }
            self.sources.add(place, key, self.line(name.span()));
            if key == INNER && matches!(place, Place::Destination(_)) {
                self.inner(place, value.get_ref(), &mut settings);
            } else {
                self.setting(place, key, value.get_ref(), &mut settings);
            }
        }
        self.problems.extend(self.environment.apply(place, &mut settings, &mut self.sources));
    }

    fn inner(&mut self, place: Place, value: &DeValue<'_>, settings: &mut [Setting<'_>]) {
        let Some(table) = value.as_table() else {
            let fault = format!("is {}, not a table", kind_of(value));
            let mend = format!("write {INNER} = {{ count = 100, age = \"1h\" }}");
            self.problems.push(Complaint::new(fault, mend).about(place, INNER));
            return;
        };
        for (name, value) in table {
            let key = format!("{INNER}.{}", name.get_ref());
            self.sources.add(place, &key, self.line(name.span()));
            self.setting(place, &key, value.get_ref(), settings);
        }
    }

    fn setting(&mut self, place: Place, key: &str, value: &DeValue<'_>, settings: &mut [Setting<'_>]) {
        let outcome = match settings.iter_mut().find(|setting| setting.key == key) {
            Some(setting) => setting.read(value).map_err(|complaint| complaint.about(place, key)),
            None => Err(self.unknown(place, key)),
        };
        self.problems.extend(outcome.err());
    }

    /// An unknown key is a known one in the wrong table, or a mistyped one, or a stranger.
    fn unknown(&self, place: Place, key: &str) -> Problem {
        let mut elsewhere: Vec<String> = self
            .known
            .iter()
            .filter(|known| known.key == key || known.key.split_once('.').is_some_and(|(table, _)| table == key))
            .map(|known| match known.place {
                Place::Top => "at the top, before the first table".to_owned(),
                place => format!("in {}", place.header()),
            })
            .collect();
        elsewhere.dedup();
        let tables = TABLES.into_iter().map(|(table, _)| table).chain(LISTS.into_iter().map(|(list, _)| list));
        let known = self.known.iter().filter(|known| known.place.header() == place.header()).map(|known| known.key);
        let mut here: Vec<&str> = match key.split_once('.') {
            // Inside of an inner table only its own keys are of interest, and outside of it only its name.
            Some((table, _)) => known.filter(|known| known.starts_with(table)).collect(),
            None => known.map(|known| known.split_once('.').map_or(known, |(table, _)| table)).collect(),
        };
        here.dedup();
        here.extend(tables.filter(|_| place == Place::Top));
        let mend = if !elsewhere.is_empty() {
            // With a comma in one of them, the others need one too.
            let or = if elsewhere.iter().any(|one| one.contains(',')) { ", or " } else { " or " };
            format!("it belongs {}", elsewhere.join(or))
        } else if let Some(near) = suggest::nearest(bare(key), here.iter().copied().map(bare)) {
            format!("did you mean `{}{near}`?", key.strip_suffix(bare(key)).unwrap_or_default())
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

fn is_table(key: &str) -> bool {
    TABLES.iter().any(|(table, _)| *table == key) || LISTS.iter().any(|(list, _)| *list == key)
}

/// A key without the name of its inner table, which would only make all of them look alike.
fn bare(key: &str) -> &str {
    key.split_once('.').map_or(key, |(_, bare)| bare)
}

/// The line, counted from 1, on which a span begins.
fn line_of(text: &str, span: Range<usize>) -> usize {
    1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
}
