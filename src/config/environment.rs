//! Settings from variables of the environment, `TOWPATH_KEY` or `TOWPATH_TABLE_KEY`: each wins over the file.
//!
//! A variable that begins so and means nothing is a mistake like an unknown key in the file. Only what Kubernetes puts there for a
//! service that is called towpath is let pass.
//!
//! Does not know: which keys exist, what their values mean; the environment itself is an argument.

use std::fs;

use super::Config;
use super::error::{Complaint, Problem};
use super::reader::LISTS;
use super::settings::{Place, Setting};
use super::sources::{Source, Sources};
use super::suggest;

/// How our variables begin.
const PREFIX: &str = "TOWPATH_";
/// How the variables end that name a file with a secret, as container platforms mount them.
const IN_FILE: &str = "_FILE";
/// What the command reads itself: what to log.
const LOG: &str = "TOWPATH_LOG";
/// By this Kubernetes' variables for a service are known; it has several more of the same beginning.
const SERVICE: &str = "_SERVICE_HOST";

/// The variables that may set something.
#[derive(Debug, Default)]
pub(super) struct Environment {
    variables: Vec<Variable>,
}

struct Variable {
    name: String,
    value: String,
    used: bool,
}

impl std::fmt::Debug for Variable {
    // The value may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Environment {
    /// Takes what is ours.
    pub(super) fn new(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX) && name != LOG);
        let mut variables: Vec<Variable> = ours.map(|(name, value)| Variable { name, value, used: false }).collect();
        // Messages come in this order.
        variables.sort_by(|one, other| one.name.cmp(&other.name));
        Self { variables }
    }

    /// Reads into the settings of a table what the variables say of it, and notes where that comes from.
    pub(super) fn apply(&mut self, place: Place, settings: &mut [Setting<'_>], sources: &mut Sources) -> Vec<Problem> {
        let mut problems = Vec::new();
        for setting in settings {
            let name = variable(place, setting.key);
            let plain = self.take(&name);
            let in_file = setting.is_secret().then(|| self.take(&format!("{name}{IN_FILE}"))).flatten();
            let (name, outcome) = match (plain, in_file) {
                (None, None) => continue,
                (Some(value), None) => (name, setting.read_text(&value)),
                (None, Some(path)) => {
                    let outcome = first_line(&path).and_then(|line| setting.read_text(&line));
                    (format!("{name}{IN_FILE}"), outcome)
                }
                (Some(_), Some(_)) => {
                    let fault = format!("is set by this variable and by {name}{IN_FILE}");
                    (name, Err(Complaint::new(fault, "leave one of them out")))
                }
            };
            sources.add(place, setting.key, Source::Variable(name.clone()));
            if let Err(complaint) = outcome {
                problems.push(Problem { file: Some(name), ..complaint.about(place, setting.key) });
            }
        }
        problems
    }

    /// A problem for each variable that set nothing.
    pub(super) fn unknown(&self, config: &Config) -> Vec<Problem> {
        let services: Vec<&str> =
            self.variables.iter().filter_map(|variable| variable.name.strip_suffix(SERVICE)).collect();
        let foreign = |name: &str| services.iter().any(|service| is_of_service(name, service));
        let unused = self.variables.iter().filter(|variable| !variable.used && !foreign(&variable.name));
        unused.map(|variable| unknown(&variable.name, config)).collect()
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let variable = self.variables.iter_mut().find(|variable| variable.name == name)?;
        variable.used = true;
        Some(variable.value.clone())
    }
}

/// The variable that sets a key: `TOWPATH_STOMP_MAX_BODY`, `TOWPATH_ENDPOINT_1_PATH`. Tables of a list are counted from 1.
pub(super) fn variable(place: Place, key: &str) -> String {
    let table = place.header().trim_matches(['[', ']']);
    let number = place.number().map(|number| (number + 1).to_string()).unwrap_or_default();
    let key = key.replace('.', "_");
    let words = [table, &number, &key].into_iter().filter(|word| !word.is_empty());
    format!("{PREFIX}{}", words.collect::<Vec<_>>().join("_").to_ascii_uppercase())
}

/// The secret in a file, which ends with its line: whoever writes it with an editor gets a line's end that nobody sees.
fn first_line(path: &str) -> Result<String, Complaint> {
    let text = fs::read_to_string(path).map_err(|error| {
        Complaint::new(format!("should be read from {path:?}, which fails: {error}"), "write the path of a text file")
    })?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(line.to_owned()),
        None => {
            Err(Complaint::new(format!("should be read from {path:?}, whose first line is empty"), "write it there"))
        }
    }
}

/// Whether Kubernetes sets it for the service whose variables begin like this: `X_SERVICE_PORT`, `X_PORT`, `X_PORT_8080_TCP_ADDR`.
fn is_of_service(name: &str, service: &str) -> bool {
    let rest = name.strip_prefix(service).unwrap_or_default();
    let port = rest.strip_prefix("_PORT");
    rest.starts_with("_SERVICE_")
        || port.is_some_and(|port| {
            port.is_empty() || port.strip_prefix('_').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
}

fn unknown(name: &str, config: &Config) -> Problem {
    let (fault, mend) = missing_table(name).unwrap_or_else(|| ("unknown variable".to_owned(), meant(name, config)));
    Problem { file: Some(name.to_owned()), line: None, place: Place::Top, key: name.to_owned(), fault, mend }
}

/// What to write in place of a variable that sets nothing.
fn meant(name: &str, config: &Config) -> String {
    // They all begin alike, which would make all of them look alike.
    let bare = |name: &str| name.strip_prefix(PREFIX).unwrap_or_default().to_owned();
    let mut known = vec![bare(LOG)];
    for setting in [config, &Config::with_one_of_each_table()].into_iter().flat_map(Config::describe) {
        let variable = bare(&setting.variable());
        known.extend((setting.kind == "secret").then(|| format!("{variable}{IN_FILE}")));
        known.push(variable);
    }
    match suggest::nearest(&bare(name), known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {PREFIX}{near}?"),
        None => "they are made of a table and a key, as in TOWPATH_LISTEN or TOWPATH_STOMP_MAX_BODY".to_owned(),
    }
}

/// Fault and mend where only the table is missing whose key the variable would set.
fn missing_table(name: &str) -> Option<(String, String)> {
    let rest = name.strip_prefix(PREFIX)?;
    let (list, place, number, key) = LISTS.into_iter().find_map(|(list, place)| {
        let rest = rest.strip_prefix(&list.to_ascii_uppercase())?.strip_prefix('_')?;
        let (number, key) = rest.split_once('_')?;
        number.bytes().all(|byte| byte.is_ascii_digit()).then_some((list, place, number, key))
    })?;
    let first = format!("{PREFIX}{}_1_{key}", list.to_ascii_uppercase());
    let known = Config::with_one_of_each_table().describe();
    let setting = known.iter().find(|setting| {
        let variable = setting.variable();
        let in_file = setting.kind == "secret" && first.strip_suffix(IN_FILE) == Some(&variable);
        setting.place == place(0) && (variable == first || in_file)
    })?;
    let fault = format!("sets `{}` in [[{list}]] {number}, and there is no such table", setting.key);
    let mend = if number.starts_with('0') {
        "tables are counted from 1, without zeros before the number".to_owned()
    } else {
        format!("write [[{list}]] into the file: a variable changes only tables that are there")
    };
    Some((fault, mend))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_settings_share_a_variable() {
        let settings = Config::with_one_of_each_table().describe();
        let in_files = settings.iter().map(|setting| format!("{}{IN_FILE}", setting.variable()));
        let all: Vec<String> = settings.iter().map(|setting| setting.variable()).chain(in_files).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(!all.contains(&LOG.to_owned()));
    }

    #[test]
    fn a_variable_is_named_after_table_number_and_key() {
        for (place, key, expected) in [
            (Place::Top, "listen", "TOWPATH_LISTEN"),
            (Place::Stomp, "max_body", "TOWPATH_STOMP_MAX_BODY"),
            (Place::Endpoint(0), "path", "TOWPATH_ENDPOINT_1_PATH"),
            (Place::Destination(11), "history.count", "TOWPATH_DESTINATION_12_HISTORY_COUNT"),
        ] {
            assert_eq!(variable(place, key), expected);
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let environment = Environment::new([("TOWPATH_API_TOKEN".to_owned(), "0123456789".to_owned())]);
        assert!(!format!("{environment:?}").contains("0123"));
    }
}
