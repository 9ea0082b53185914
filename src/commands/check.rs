//! `towpath check`: reads a configuration as the gateway would, and prints what it says beyond the defaults and where that stands.
//!
//! Does not know: what is wrong with a configuration; the library says it.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;

use towpath::config::{App, Config, Destination, Endpoint, Place, Rule, Source, User};

/// Prints what the file and the environment change.
///
/// # Errors
/// Whatever is wrong with them.
pub fn run(file: &Path) -> Result<(), Box<dyn Error>> {
    let (config, sources) = Config::load_with_sources(Some(file), super::environment()?)?;
    let defaults = defaults(&config).describe();
    let mut out = io::stdout().lock();
    writeln!(out, "{} is good. Beside the defaults it says:", file.display())?;
    let mut place = None;
    for setting in config.describe() {
        let default = defaults.iter().find(|default| (default.place, default.key) == (setting.place, setting.key));
        let default = default.and_then(|default| default.value.as_deref());
        let Some(value) = setting.value.as_deref().filter(|value| Some(*value) != default) else { continue };
        if place.replace(setting.place) != Some(setting.place) && setting.place != Place::Top {
            writeln!(out, "\n{}", setting.place.header())?;
        }
        let source = match sources.of(setting.place, setting.key) {
            Source::Line(line) => format!("line {line}; "),
            Source::Variable(name) => format!("{name}; "),
            Source::Default => String::new(),
        };
        writeln!(out, "{} = {value}  # {source}default: {}", setting.key, default.unwrap_or("left out"))?;
    }
    out.flush()?;
    Ok(())
}

/// As many tables as the configuration has, in which nothing is said.
fn defaults(config: &Config) -> Config {
    // A destination says about its queue only what [broker] does not say for all.
    let destination = Destination { queue: config.broker.queue.clone(), ..Destination::default() };
    Config {
        endpoints: vec![Endpoint::default(); config.endpoints.len()],
        apps: vec![App::default(); config.apps.len()],
        users: vec![User::default(); config.users.len()],
        rules: vec![Rule::default(); config.rules.len()],
        destinations: vec![destination; config.destinations.len()],
        ..Config::default()
    }
}
