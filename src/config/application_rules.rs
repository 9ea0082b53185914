//! What `[application]`, `[[app]]` and `[webhook]` mean: prefixes that are nobody else's, destinations that reach a backend, URLs
//! that can be filled in and called.
//!
//! Does not know: TOML, files, whether a backend is there.

use super::error::Complaint;
use super::settings::Place;
use super::steps::words;
use super::validate::Check;
use super::web::{HTTP, at_or_below, check_backend, check_url};
use super::{Application, Config, patterns};

/// The first words of destinations that are the gateway's own.
pub(super) const TAKEN: [&str; 6] = ["topic", "queue", "user", "temp-queue", "reply-queue", "auth"];

/// The shortest text that is a secret and not a word that somebody tries out, in bytes.
pub(super) const SHORTEST_SECRET: usize = 16;

/// What makes a secret that nobody guesses.
const FRESH_SECRET: &str = "take a fresh one from `openssl rand -base64 32`, or from what towpath init writes";

impl Check<'_> {
    pub(super) fn application(&mut self, config: &Config) {
        let without = "nothing would be the application's";
        if let Err(complaint) = check_prefixes(&config.application.prefixes, "app", without) {
            self.add(Place::Application, "prefixes", complaint, &[]);
        }
        self.topic_prefixes(config);
        for index in 0..config.apps.len() {
            self.app(index, config);
        }
        let webhook = &config.webhook;
        for (key, url) in [("connect", &webhook.connect), ("subscribe", &webhook.subscribe)] {
            if let Some(Err(complaint)) = url.as_deref().map(check_backend) {
                self.add(Place::Webhook, key, complaint, &[]);
            }
        }
        if let Some(secret) = &webhook.secret {
            self.secret(Place::Webhook, "secret", secret.expose().len(), SHORTEST_SECRET);
        }
    }

    /// Complains of a secret that is too short. Its text goes no further than to here.
    pub(super) fn secret(&mut self, place: Place, key: &str, length: usize, shortest: usize) {
        if length < shortest {
            let fault = format!("has {length} bytes, and with fewer than {shortest} it is too easy to guess");
            self.add(place, key, Complaint::new(fault, FRESH_SECRET), &[]);
        }
    }

    fn app(&mut self, index: usize, config: &Config) {
        let place = Place::App(index);
        let Some(app) = config.apps.get(index) else { return };
        self.required(place, "destination", &app.destination, "\"/app/chat/{room}\", or whatever this is about");
        self.required(place, "url", &app.url, "\"http://127.0.0.1:3000/chat/{room}\", or wherever the backend is");
        let (application, longest) = (&config.application, config.broker.max_name);
        let own = match check_destination(&app.destination, application, longest) {
            Ok(own) => own,
            Err(complaint) => {
                // Where no prefix can be meant, nothing can lie below one.
                let prefixes = [(Place::Application, "prefixes")];
                return self.add_unless_echo(place, "destination", complaint, &prefixes);
            }
        };
        let mut before = config.apps.iter().take(index).enumerate();
        let wider = before.find_map(|(number, other)| {
            let wide = check_destination(&other.destination, application, longest).ok()?;
            patterns::covers(&wide.pattern, &own.pattern).then_some((number, other, wide))
        });
        if let Some((number, other, wide)) = wider {
            let header = format!("[[app]] {}", number + 1);
            let complaint = if wide.pattern == own.pattern {
                let fault = format!("is {:?}, the same as in {header}, which is asked first", app.destination);
                Complaint::new(fault, "leave one of them out: a message goes to one backend")
            } else {
                let fault = format!(
                    "is {:?}, which is never reached: {:?} in {header} fits all of it and comes first",
                    app.destination, other.destination
                );
                Complaint::new(fault, "move this table before that one")
            };
            self.add(place, "destination", complaint, &[]);
        }
        if let Err(complaint) = check_template(&app.url, &own.names) {
            self.add(place, "url", complaint, &[]);
        }
    }
}

/// Prefixes that are nobody else's. `usual` is the word that mostly is one; `without` says what an empty list would mean.
pub(super) fn check_prefixes(prefixes: &[String], usual: &str, without: &str) -> Result<(), Complaint> {
    if prefixes.is_empty() {
        let fault = format!("is an empty list, so {without}");
        return Err(Complaint::new(fault, format!("write [\"/{usual}\"], or leave it out")));
    }
    for (index, prefix) in prefixes.iter().enumerate() {
        check_prefix(prefix, usual)?;
        for other in prefixes.iter().take(index) {
            let (outer, inner) = if at_or_below(other, prefix) { (other, prefix) } else { (prefix, other) };
            if at_or_below(outer, inner) {
                let fault = if outer == inner {
                    format!("holds {inner:?} twice")
                } else {
                    format!("holds {inner:?}, which lies inside of {outer:?}")
                };
                return Err(Complaint::new(fault, format!("leave one {inner:?} out")));
            }
        }
    }
    Ok(())
}

fn check_prefix(prefix: &str, usual: &str) -> Result<(), Complaint> {
    let complain = |fault: &str, mend: String| Err(Complaint::new(format!("holds {prefix:?}, {fault}"), mend));
    let Some(name) = prefix.strip_prefix('/') else {
        return complain("which does not begin with a slash", format!("write \"/{prefix}\""));
    };
    if prefix.ends_with('/') {
        let bare = prefix.trim_end_matches('/');
        let mend = if bare.is_empty() { format!("/{usual}") } else { bare.to_owned() };
        return complain("which ends in a slash", format!("write {mend:?}"));
    }
    if name.split('/').any(str::is_empty) {
        return complain("which has an empty word in it", "write a name between the slashes".to_owned());
    }
    let odd = |c: char| matches!(c, '*' | '#' | '>' | '{' | '}') || c.is_whitespace() || c.is_control();
    if let Some(odd) = name.chars().find(|c| odd(*c)) {
        return complain(&format!("which has a {odd:?} in it"), format!("write plain words, such as \"/{usual}\""));
    }
    let first = name.split('/').next().unwrap_or_default();
    if TAKEN.contains(&first) && first != usual {
        return complain(
            &format!("but what begins with /{first} is the gateway's own"),
            format!("write another word, such as \"/{usual}\""),
        );
    }
    Ok(())
}

/// A destination of an `[[app]]`, read.
struct Read<'d> {
    /// The same with a `*` for each name.
    pattern: String,
    names: Vec<&'d str>,
}

fn check_destination<'d>(
    destination: &'d str,
    application: &Application,
    longest: usize,
) -> Result<Read<'d>, Complaint> {
    let complain = |fault: &str, mend: String| Err(Complaint::new(format!("is {destination:?}, {fault}"), mend));
    if !application.owns(destination) {
        let example = application.prefixes.first().map_or("/app", String::as_str);
        let fault = format!("which lies below no prefix of [application]: {}", application.prefixes.join(", "));
        return complain(&fault, format!("write one such as \"{example}/hello\", or add its prefix there"));
    }
    patterns::check_text(destination, longest)?;
    let mut read = Read { pattern: String::new(), names: Vec::new() };
    for (separator, word) in words(destination) {
        read.pattern.extend(separator);
        let name = word.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) => {
                let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                if name.is_empty() || !name.bytes().all(of_a_name) {
                    let mend = "write letters, digits, - and _ between the braces, such as {room}";
                    return complain(&format!("where {word} has no name"), mend.to_owned());
                }
                if read.names.contains(&name) {
                    return complain(&format!("which has {word} twice"), "give each its own name".to_owned());
                }
                read.names.push(name);
                read.pattern.push('*');
            }
            None if word.contains(['{', '}']) => {
                let mend = "write {name} as a whole word; words are separated by . or /";
                return complain(&format!("where the braces are only a part of the word {word:?}"), mend.to_owned());
            }
            None => {
                if let Err(fault) = patterns::check_word(word, true) {
                    return complain(&fault, patterns::WILDCARDS.to_owned());
                }
                read.pattern.push_str(word);
            }
        }
    }
    Ok(read)
}

/// A URL in whose path names of the destination may stand.
fn check_template(url: &str, names: &[&str]) -> Result<(), Complaint> {
    let parts = check_url(url, &HTTP, "http://127.0.0.1:3000/hello")?;
    let complain = |fault: String, mend: String| Err(Complaint::new(format!("is {url:?}, {fault}"), mend));
    if parts.query.contains(['{', '}']) {
        let mend = "write it into the path; the request says the destination besides";
        return complain("which has a placeholder behind the question mark".to_owned(), mend.to_owned());
    }
    let mut rest = parts.path;
    while let Some(at) = rest.find(['{', '}']) {
        let Some((name, tail)) = rest.get(at..).and_then(|from| from.strip_prefix('{')?.split_once('}')) else {
            return complain("where the braces do not pair".to_owned(), "write {name}, or %7B and %7D".to_owned());
        };
        if !names.contains(&name) {
            let known: Vec<String> = names.iter().map(|name| format!("{{{name}}}")).collect();
            let mend = match known.as_slice() {
                [] => "write the whole address: the destination has no names in it".to_owned(),
                known => format!("the destination has {}", known.join(", ")),
            };
            return complain(format!("where {{{name}}} is no name of `destination`"), mend);
        }
        rest = tail;
    }
    Ok(())
}
