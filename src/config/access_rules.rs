//! What the `[[rule]]` tables mean together: patterns that fit something, rules that can be reached, and somebody who may connect.
//!
//! Whether a rule is hidden is asked with care: it is said only of a rule that an earlier one surely takes everything from, since
//! a rule that is wrongly left out would change who may do what.
//!
//! Does not know: TOML, files, how rules are applied to a frame.

use super::application_rules::TAKEN;
use super::error::Complaint;
use super::settings::Place;
use super::steps::{pieces, words};
use super::validate::Check;
use super::{Action, Config, Guarded, Rule, Who, patterns, suggest};

/// What a rule without a destination covers of what has one.
const EVERYTHING: &str = "/**";

impl Check<'_> {
    pub(super) fn access(&mut self, config: &Config) {
        for (index, rule) in config.rules.iter().enumerate() {
            let place = Place::Rule(index);
            if let Some(pattern) = &rule.destination {
                if let Err(complaint) = check_pattern(pattern, config) {
                    self.add(place, "destination", complaint, &[]);
                    continue;
                }
                if rule.commands.contains(&Guarded::Connect) {
                    let fault = "has CONNECT in it, but CONNECT has no destination, and this rule is about one";
                    let mend = "write a rule without `destination` for CONNECT";
                    self.add(place, "commands", Complaint::new(fault, mend), &[(place, "destination")]);
                }
            }
            self.principal(place, rule);
            self.hidden(place, index, config);
        }
        self.somebody_connects(config);
    }

    fn principal(&mut self, place: Place, rule: &Rule) {
        if let Some(claim) = &rule.claim
            && !claim.split_once('=').is_some_and(|(name, value)| !name.is_empty() && !value.is_empty())
        {
            let fault = format!("is {claim:?}, which is not a name and a value");
            self.add(place, "claim", Complaint::new(fault, "write \"name=value\", such as \"roles=admin\""), &[]);
        }
        if rule.users.iter().any(String::is_empty) {
            let complaint = Complaint::new("has an empty name in it, which is nobody's", "write the names of users");
            self.add(place, "users", complaint, &[]);
        }
        if rule.who == Who::Anonymous {
            for (key, set, what) in
                [("users", !rule.users.is_empty(), "names users"), ("claim", rule.claim.is_some(), "asks for a claim")]
            {
                if set {
                    let fault = format!("{what}, but `who` is \"anonymous\", and those have none");
                    let mend = "leave one of the two out";
                    self.add(place, key, Complaint::new(fault, mend), &[(place, "who")]);
                }
            }
        }
    }

    fn hidden(&mut self, place: Place, index: usize, config: &Config) {
        let Some(rule) = config.rules.get(index) else { return };
        let mut before = config.rules.iter().take(index).enumerate();
        let Some((number, other)) = before.find(|(_, other)| hides(other, rule)) else { return };
        let header = format!("[[rule]] {}", number + 1);
        let (key, subject) = match &rule.destination {
            Some(pattern) => ("destination", format!("is {pattern:?}, which is")),
            None => ("action", "is".to_owned()),
        };
        let complaint = if other.action == rule.action {
            let fault = format!("{subject} never reached: {header} says the same or more, and comes first");
            Complaint::new(fault, "leave this rule out")
        } else {
            let fault = format!("{subject} never reached: {header} fits all that it fits, and comes first");
            Complaint::new(fault, "move this rule before that one")
        };
        self.add_unless_echo(place, key, complaint, &[(place, "commands"), (place, "users")]);
    }

    /// What no rule allows is denied, CONNECT too.
    fn somebody_connects(&mut self, config: &Config) {
        let rules = &config.rules;
        let connects = |(index, rule): (usize, &Rule)| {
            let connecting = Rule { commands: vec![Guarded::Connect], ..rule.clone() };
            let mut before = rules.iter().take(index);
            rule.action == Action::Allow
                && commands(rule).contains(&Guarded::Connect)
                && !before.any(|other| other.action == Action::Deny && hides(other, &connecting))
        };
        if !rules.is_empty() && !rules.iter().enumerate().any(connects) {
            let complaint = Complaint::new(
                "lets nobody CONNECT: where there are rules, what none of them allows is denied",
                "write a [[rule]] with commands = [\"CONNECT\"] before the others",
            );
            self.add(Place::Top, "rule", complaint, &[]);
        }
    }
}

/// A pattern with claims, of destinations that there are.
fn check_pattern(pattern: &str, config: &Config) -> Result<(), Complaint> {
    let complain = |fault: &str, mend: &str| Err(Complaint::new(format!("is {pattern:?}, {fault}"), mend));
    let such_as = "write one such as \"/topic/**\", or leave this out for all of them";
    let Some(name) = pattern.strip_prefix('/') else {
        return complain("which does not begin with a slash", such_as);
    };
    if name.is_empty() {
        return complain("which is no destination", such_as);
    }
    patterns::check_text(pattern, config.broker.max_name)?;
    for (_, word) in words(name) {
        if word.contains(['{', '}']) {
            if pieces(word).is_none() {
                let mend = "write {claim}, such as \"/topic/user.{sub}.*\"";
                return complain(&format!("where the braces of {word:?} hold no claim"), mend);
            }
            if word.contains('*') {
                return complain("where a * is only a part of a word", patterns::WILDCARDS);
            }
        } else {
            patterns::check_word(word, true).or_else(|fault| complain(&fault, patterns::WILDCARDS))?;
        }
    }
    check_kind(pattern, name, config)
}

/// Whether there are destinations that begin so.
fn check_kind(pattern: &str, name: &str, config: &Config) -> Result<(), Complaint> {
    let first = name.split('/').next().unwrap_or_default();
    if matches!(first, "*" | "**" | "#") || first.starts_with("**.") || first.starts_with("#.") {
        return Ok(());
    }
    let bare = |prefix: &String| prefix.trim_start_matches('/').to_owned();
    let topics = config.broker.topic_prefixes.iter().map(bare);
    let fixed = TAKEN.into_iter().filter(|word| *word != "topic").map(str::to_owned);
    let kinds: Vec<String> = topics.chain(fixed).chain(config.application.prefixes.iter().map(bare)).collect();
    if kinds.iter().any(|kind| kind.split('/').next() == Some(first)) {
        return Ok(());
    }
    let mend = match suggest::nearest(first, kinds.iter().map(String::as_str)) {
        Some(near) => format!("did you mean \"/{near}{}\"?", name.get(first.len()..).unwrap_or_default()),
        None => format!("they begin with one of /{}", kinds.join(", /")),
    };
    Err(Complaint::new(format!("is {pattern:?}, and no destination begins with /{first}"), mend))
}

/// The frames that a rule is really about.
fn commands(rule: &Rule) -> Vec<Guarded> {
    let named = |command: &Guarded| rule.commands.is_empty() || rule.commands.contains(command);
    let has_one = |command: &Guarded| *command != Guarded::Connect || rule.destination.is_none();
    Guarded::ALL.into_iter().filter(|command| named(command) && has_one(command)).collect()
}

/// Whether the first rule, which comes before, surely decides about everything that the second one fits.
fn hides(first: &Rule, second: &Rule) -> bool {
    let (wide, narrow) = (commands(first), commands(second));
    !narrow.is_empty()
        && narrow.iter().all(|command| wide.contains(command))
        && hides_who(first, second)
        && hides_destination(first, second, &narrow)
}

fn hides_who(first: &Rule, second: &Rule) -> bool {
    // Who is named is a user.
    let who = |rule: &Rule| if rule.users.is_empty() { rule.who } else { Who::Users };
    (first.who == Who::Anyone || first.who == who(second))
        && (first.users.is_empty()
            || (!second.users.is_empty() && second.users.iter().all(|user| first.users.contains(user))))
        && (first.claim.is_none() || first.claim == second.claim)
}

fn hides_destination(first: &Rule, second: &Rule, commands: &[Guarded]) -> bool {
    let Some(wide) = &first.destination else { return true };
    if commands == [Guarded::Connect] {
        return false;
    }
    let narrow = second.destination.as_deref().unwrap_or(EVERYTHING);
    // A placeholder whose claim is missing fits nothing where it allows and every word where it denies; so an allowance by claim
    // does not hide a denial by the same one.
    let by_claim = wide.contains('{') && first.action == Action::Allow && second.action == Action::Deny;
    !by_claim && patterns::covers(wide, narrow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Application, Broker};

    fn rule(action: Action, destination: &str) -> Rule {
        let destination = Some(destination).filter(|text| !text.is_empty()).map(str::to_owned);
        Rule { action, destination, ..Rule::default() }
    }

    fn allow(destination: &str) -> Rule {
        rule(Action::Allow, destination)
    }

    #[test]
    fn a_rule_hides_what_it_takes_everything_from() {
        let of = |commands: &[Guarded], rule: Rule| Rule { commands: commands.to_vec(), ..rule };
        let by =
            |users: &[&str], rule: Rule| Rule { users: users.iter().map(|user| (*user).to_owned()).collect(), ..rule };
        let claiming = |claim: &str, rule: Rule| Rule { claim: Some(claim.to_owned()), ..rule };
        let who = |who: Who, rule: Rule| Rule { who, ..rule };
        for (first, second, expected) in [
            (allow(""), allow("/topic/a"), true),
            (allow("/topic/a"), allow(""), false),
            (allow("/**"), of(&[Guarded::Send], allow("")), true),
            // CONNECT is left.
            (allow("/**"), allow(""), false),
            (allow("/**"), of(&[Guarded::Connect], allow("")), false),
            (allow(""), of(&[Guarded::Connect], allow("")), true),
            (of(&[Guarded::Connect], allow("")), allow("/topic/a"), false),
            (of(&[Guarded::Send, Guarded::Subscribe], allow("/topic/*")), allow("/topic/a"), true),
            (of(&[Guarded::Send], allow("/topic/*")), allow("/topic/a"), false),
            (by(&["ann", "bob"], allow("")), by(&["ann"], allow("")), true),
            (by(&["ann"], allow("")), by(&["ann", "bob"], allow("")), false),
            (by(&["ann"], allow("")), allow(""), false),
            (who(Who::Users, allow("")), by(&["ann"], allow("")), true),
            (who(Who::Users, allow("")), allow(""), false),
            (who(Who::Anonymous, allow("")), by(&["ann"], allow("")), false),
            (claiming("a=b", allow("")), claiming("a=b", allow("/topic/a")), true),
            (claiming("a=b", allow("")), claiming("a=c", allow("/topic/a")), false),
            (claiming("a=b", allow("")), allow("/topic/a"), false),
            (allow("/topic/{sub}"), allow("/topic/{sub}"), true),
            (rule(Action::Deny, "/topic/{sub}"), allow("/topic/{sub}"), true),
            (allow("/topic/{sub}"), rule(Action::Deny, "/topic/{sub}"), false),
            (allow("/topic/*"), rule(Action::Deny, "/topic/{sub}"), true),
            (allow("/topic/{sub}"), allow("/topic/a"), false),
        ] {
            assert_eq!(hides(&first, &second), expected, "{first:?} {second:?}");
        }
    }

    #[test]
    fn a_destination_begins_with_something_that_there_is() {
        let application = Application { prefixes: vec!["/publish/v1".to_owned()], ..Application::default() };
        let broker = Broker { topic_prefixes: vec!["/topic".to_owned(), "/news".to_owned()], ..Broker::default() };
        let config = Config { application, broker, ..Config::default() };
        for pattern in [
            "/topic/a",
            "/topic",
            "/*/a",
            "/**",
            "/#.a",
            "/publish/v1/{sub}",
            "/publish/**",
            "/publish/*/x",
            "/user/queue/x",
            "/news/a",
        ] {
            assert!(check_pattern(pattern, &config).is_ok(), "{pattern}");
        }
        for pattern in [
            "",
            "/",
            "topic/a",
            "/app/a",
            "/publisher/a",
            "/topics/a",
            "/topic/{",
            "/topic/{}",
            "/topic/{a}*",
            "/topic/>",
            "/a.*",
        ] {
            assert!(check_pattern(pattern, &config).is_err(), "{pattern}");
        }
    }
}
