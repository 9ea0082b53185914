//! `towpath explain`: what the rules of a configuration say to one frame of one client, and which rule it is that says so.
//!
//! Does not know: how rules are applied; it asks the same code that the gateway asks.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};
use towpath::config::{Config, Guarded};
use towpath::gateway::{Authority, Principal, explain};

/// The exit status for what is denied.
const DENIED: u8 = 1;
/// The exit status for a question that cannot be answered.
const NO_ANSWER: u8 = 2;

/// Which frame of which client.
#[derive(Debug, Args)]
pub struct Question {
    /// The TOML file with the rules.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The client's user; without it the client is anonymous.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A claim of the client's token; the same name again makes a list. A [[user]] has its roles without being told.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,
    /// CONNECT, SEND or SUBSCRIBE.
    #[arg(long, value_parser = command)]
    command: Guarded,
    /// The destination, for SEND and SUBSCRIBE.
    #[arg(long)]
    destination: Option<String>,
}

/// Prints the answer. The exit status is 0 for what is allowed, 1 for what is denied, and 2 for a configuration that cannot be
/// read and a question that makes no sense.
pub fn run(question: &Question) -> ExitCode {
    match answer(question) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(DENIED),
        Err(error) => {
            eprintln!("towpath: {error}");
            ExitCode::from(NO_ANSWER)
        }
    }
}

/// Whether it is allowed.
fn answer(question: &Question) -> Result<bool, Box<dyn Error>> {
    let (command, destination) = (question.command, question.destination.as_deref());
    match (command, destination) {
        (Guarded::Connect, Some(_)) => return Err("CONNECT has no destination; leave out --destination".into()),
        (Guarded::Connect, None) | (_, Some(_)) => {}
        (_, None) => return Err(format!("say which destination: --destination, for {}", command.name()).into()),
    }
    let config = Config::load_with(Some(&question.config), super::environment()?)?;
    let principal = principal(&config, question);
    let mut out = io::stdout().lock();
    write!(out, "{}", explain(&config, &principal, command, destination))?;
    out.flush()?;
    Ok(Authority::new(&config.rules).decide(command, destination, &principal).allowed)
}

/// The client as the gateway would know it.
fn principal(config: &Config, question: &Question) -> Principal {
    let mut claims = Map::new();
    for (name, value) in &question.claims {
        let value = Value::from(value.as_str());
        match claims.get_mut(name) {
            None => {
                claims.insert(name.clone(), value);
            }
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    let user = question.user.as_ref().and_then(|name| config.users.iter().find(|user| user.name == *name));
    if let Some(user) = user
        && !claims.contains_key("roles")
    {
        claims.insert("roles".to_owned(), user.roles.clone().into());
    }
    Principal::named(question.user.as_deref().unwrap_or_default()).with_claims(claims)
}

fn claim(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE, such as roles=admin".to_owned()),
    }
}

fn command(text: &str) -> Result<Guarded, String> {
    let found = Guarded::ALL.into_iter().find(|command| command.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| format!("rules are about {}", Guarded::ALL.map(Guarded::name).join(", ")))
}
