//! Who may do what: the `[[rule]]` tables of the configuration, in order, and the first that fits decides. Where there are rules,
//! what none of them fits is denied.
//!
//! A SUBSCRIBE with wildcards is allowed only if everything that it can match is allowed. So a rule that allows decides about it
//! if it covers the whole pattern, and a rule that denies decides if it has as little as one destination in common with it.
//!
//! Claims fill placeholders as literal words and are never read as patterns. Where a claim cannot be a word, a rule that allows
//! does not fit, and a rule that denies takes any word for it: in doubt too much is denied and not too little.
//!
//! Does not know: what happens to a frame that is not allowed, sessions, or the broker.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde_json::Value;

use super::Principal;
use crate::config::steps::{self, Comparison, Piece, Step};
use crate::config::{Action, Config, Guarded, Rule, Who};

/// The rules, ready to be asked.
#[derive(Debug, Default)]
pub struct Authority {
    rules: Vec<Ready>,
}

/// An answer, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether the frame may take effect.
    pub allowed: bool,
    /// Why.
    pub because: Because,
}

/// What decided. Rules are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// There are no rules, so everything is allowed.
    NoRules,
    /// This rule fits.
    Rule(usize),
    /// No rule fits, so it is denied.
    NothingFits,
    /// This rule denies a part of what the pattern of a SUBSCRIBE can match.
    Overlap(usize),
}

/// What becomes of a client's frame by the rules of a configuration, in several lines for people: each rule up to the one that
/// decides with why it does or does not, then the verdict. CONNECT has no destination.
pub fn explain(config: &Config, principal: &Principal, command: Guarded, destination: Option<&str>) -> String {
    Authority::new(&config.rules).explain(command, destination, principal)
}

impl Authority {
    /// These rules, which decide in this order.
    pub fn new(rules: &[Rule]) -> Self {
        Self { rules: rules.iter().map(Ready::new).collect() }
    }

    /// Whether there are no rules, so that everything is allowed.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether this principal may do this. The destination is the frame's, as the client wrote it; CONNECT has none. Wildcards are
    /// read as such in SUBSCRIBE only.
    pub fn decide(&self, command: Guarded, destination: Option<&str>, principal: &Principal) -> Decision {
        self.walk(command, destination, principal, &mut Comparison::default(), |_, _| {})
    }

    /// The same at length, as [`explain`] has it.
    pub fn explain(&self, command: Guarded, destination: Option<&str>, principal: &Principal) -> String {
        let mut text = command.name().to_owned();
        if let Some(destination) = destination.filter(|_| command != Guarded::Connect) {
            // Quoted as Rust has it: no character of it moves a terminal's cursor.
            let _ = write!(text, " {destination:?}");
        }
        let _ = match principal.name() {
            Some(name) => writeln!(text, " by {name:?}"),
            None => writeln!(text, " by an anonymous client"),
        };
        let mut asked = 0;
        let decision = self.walk(command, destination, principal, &mut Comparison::default(), |rule, fit| {
            asked += 1;
            let _ = writeln!(text, "rule {asked}: {}\n    {fit}", rule.rule.to_toml());
        });
        if asked < self.rules.len() {
            let _ = writeln!(text, "The rules behind it are not asked.");
        }
        let _ = writeln!(text, "{decision}");
        text
    }

    fn walk<'r>(
        &'r self,
        command: Guarded,
        destination: Option<&str>,
        principal: &'r Principal,
        comparison: &mut Comparison,
        mut tell: impl FnMut(&'r Ready, &Fit<'r>),
    ) -> Decision {
        if self.rules.is_empty() {
            return Decision { allowed: true, because: Because::NoRules };
        }
        let destination = destination.filter(|_| command != Guarded::Connect);
        // In `/user/NAME/...` the broker reads both as a slash; what is denied by the one name is denied by the other.
        let folded = destination.filter(|text| text.contains(ESCAPED)).map(fold);
        let wanted = destination.map(|text| Wanted::new(command, text));
        let wanted_folded = folded.as_deref().map(|text| Wanted::new(command, text));
        for (index, rule) in self.rules.iter().enumerate() {
            let denies = rule.rule.action == Action::Deny;
            let wanted = wanted_folded.as_ref().filter(|_| denies).or(wanted.as_ref());
            let fit = rule.fit(command, wanted, principal, comparison);
            tell(rule, &fit);
            match fit {
                Fit::Whole => return Decision { allowed: !denies, because: Because::Rule(index) },
                Fit::Part(Action::Deny) => return Decision { allowed: false, because: Because::Overlap(index) },
                Fit::Part(Action::Allow) | Fit::Not(_) => {}
            }
        }
        Decision { allowed: false, because: Because::NothingFits }
    }
}

impl fmt::Display for Decision {
    /// A sentence for people, who count rules from 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.allowed { "Allowed" } else { "Denied" };
        match self.because {
            Because::NoRules => write!(f, "{verdict}: there are no rules."),
            Because::Rule(index) => write!(f, "{verdict} by rule {}.", index + 1),
            Because::NothingFits => write!(f, "{verdict}: no rule fits."),
            Because::Overlap(index) => {
                write!(f, "{verdict} by rule {}, which denies a part of what the pattern matches.", index + 1)
            }
        }
    }
}

/// A slash in the name of a user as it may be written, too.
const ESCAPED: &str = "%2f";

fn fold(text: &str) -> String {
    text.replace(ESCAPED, "%2F")
}

/// What a frame is about, read once for all rules.
struct Wanted<'a> {
    steps: Vec<Step<&'a str>>,
    /// Whether there is a wildcard in it.
    is_pattern: bool,
}

impl<'a> Wanted<'a> {
    fn new(command: Guarded, destination: &'a str) -> Self {
        let subscribes = command == Guarded::Subscribe;
        let steps = if subscribes { steps::compiled(destination) } else { steps::literal(destination) };
        Self { is_pattern: steps.iter().any(|step| !matches!(step, Step::Literal(..))), steps }
    }
}

/// A rule with its pattern read.
#[derive(Debug)]
struct Ready {
    rule: Rule,
    claim: Option<Condition>,
    place: Place,
}

/// The condition on a claim.
#[derive(Debug)]
enum Condition {
    Is(Box<str>, Box<str>),
    /// There is no `=` in it. A checked configuration has none of these.
    Broken,
}

/// The destinations that a rule is about.
#[derive(Debug)]
enum Place {
    /// All, and none.
    Everywhere,
    /// These, whoever asks.
    Same(Vec<Step<Box<str>>>),
    /// These, once the claims of who asks are filled in.
    Own(Vec<Step<Template>>),
}

/// A word with placeholders.
#[derive(Debug)]
enum Template {
    Pieces(Vec<Part>),
    /// Its braces do not pair. A checked configuration has none of these.
    Broken,
}

#[derive(Debug)]
enum Part {
    Text(Box<str>),
    Claim(Box<str>),
}

/// How a rule fits.
enum Fit<'r> {
    Whole,
    /// Only a part of what a pattern matches, by a rule that says this.
    Part(Action),
    Not(Why<'r>),
}

/// Why a rule does not fit.
enum Why<'r> {
    Command,
    Who,
    User,
    Claim,
    NoDestination,
    Placeholder(Unusable<'r>),
    Destination,
}

/// Why a word of a rule cannot be filled.
enum Unusable<'r> {
    Broken,
    Missing(&'r str),
    /// The claim is there and cannot be a part of one word.
    NoWord(&'r str),
}

impl Ready {
    fn new(rule: &Rule) -> Self {
        let claim = rule.claim.as_ref().map(|claim| match claim.split_once('=') {
            Some((name, value)) => Condition::Is(name.into(), value.into()),
            None => Condition::Broken,
        });
        Self { place: Place::new(rule), claim, rule: rule.clone() }
    }

    fn fit<'r>(
        &'r self,
        command: Guarded,
        wanted: Option<&Wanted<'_>>,
        principal: &'r Principal,
        comparison: &mut Comparison,
    ) -> Fit<'r> {
        match self.obstacle(command, principal) {
            Some(why) => Fit::Not(why),
            None => self.fit_place(wanted, principal, comparison),
        }
    }

    /// What keeps the rule from being about that command and that principal.
    fn obstacle(&self, command: Guarded, principal: &Principal) -> Option<Why<'static>> {
        let rule = &self.rule;
        if !rule.commands.is_empty() && !rule.commands.contains(&command) {
            return Some(Why::Command);
        }
        let who = match rule.who {
            Who::Anyone => true,
            Who::Users => principal.name().is_some(),
            Who::Anonymous => principal.name().is_none(),
        };
        if !who {
            return Some(Why::Who);
        }
        let named = |user: &String| principal.name() == Some(user);
        if !rule.users.is_empty() && !rule.users.iter().any(named) {
            return Some(Why::User);
        }
        let has_claim = match &self.claim {
            None => true,
            Some(Condition::Is(name, value)) => has(principal, name, value),
            Some(Condition::Broken) => rule.action == Action::Deny,
        };
        (!has_claim).then_some(Why::Claim)
    }

    fn fit_place<'r>(
        &'r self,
        wanted: Option<&Wanted<'_>>,
        principal: &'r Principal,
        comparison: &mut Comparison,
    ) -> Fit<'r> {
        match (&self.place, wanted) {
            (Place::Everywhere, _) => Fit::Whole,
            (_, None) => Fit::Not(Why::NoDestination),
            (Place::Same(steps), Some(wanted)) => self.compare(steps, wanted, comparison),
            (Place::Own(steps), Some(wanted)) => {
                let filled: Result<Vec<_>, _> = steps.iter().map(|step| self.fill(step, principal)).collect();
                match filled {
                    Ok(steps) => self.compare(&steps, wanted, comparison),
                    Err(unusable) => Fit::Not(Why::Placeholder(unusable)),
                }
            }
        }
    }

    fn compare<W: AsRef<str>>(
        &self,
        steps: &[Step<W>],
        wanted: &Wanted<'_>,
        comparison: &mut Comparison,
    ) -> Fit<'static> {
        if !comparison.overlaps(steps, &wanted.steps) {
            return Fit::Not(Why::Destination);
        }
        let whole = !wanted.is_pattern || comparison.covers(steps, &wanted.steps);
        if whole { Fit::Whole } else { Fit::Part(self.rule.action) }
    }

    fn fill<'r>(&self, step: &'r Step<Template>, principal: &'r Principal) -> Result<Step<Cow<'r, str>>, Unusable<'r>> {
        match step {
            Step::Any => Ok(Step::Any),
            Step::One(separator) => Ok(Step::One(*separator)),
            Step::Literal(separator, template) => match template.fill(principal) {
                Ok(word) => Ok(Step::Literal(*separator, word)),
                Err(_) if self.rule.action == Action::Deny => Ok(Step::One(*separator)),
                Err(unusable) => Err(unusable),
            },
        }
    }
}

impl Place {
    fn new(rule: &Rule) -> Self {
        let Some(text) = &rule.destination else { return Place::Everywhere };
        let folded = if rule.action == Action::Deny { Cow::Owned(fold(text)) } else { Cow::Borrowed(text.as_str()) };
        let steps = steps::compiled(&folded).into_iter();
        if text.contains(['{', '}']) {
            return Place::Own(steps.map(|step| with_word(step, Template::new)).collect());
        }
        Place::Same(steps.map(|step| with_word(step, Box::from)).collect())
    }
}

fn with_word<'a, W>(step: Step<&'a str>, make: impl FnOnce(&'a str) -> W) -> Step<W> {
    match step {
        Step::Any => Step::Any,
        Step::One(separator) => Step::One(separator),
        Step::Literal(separator, word) => Step::Literal(separator, make(word)),
    }
}

impl Template {
    fn new(word: &str) -> Self {
        let Some(pieces) = steps::pieces(word) else { return Template::Broken };
        let own = |piece| match piece {
            Piece::Text(text) => Part::Text(Box::from(text)),
            Piece::Claim(name) => Part::Claim(Box::from(name)),
        };
        Template::Pieces(pieces.into_iter().map(own).collect())
    }

    fn fill<'r>(&'r self, principal: &'r Principal) -> Result<Cow<'r, str>, Unusable<'r>> {
        let Template::Pieces(parts) = self else { return Err(Unusable::Broken) };
        let mut word = Cow::Borrowed("");
        for part in parts {
            let text = match part {
                Part::Text(text) => Cow::Borrowed(&**text),
                Part::Claim(name) => filling(principal, name)?,
            };
            // Most words are one piece, which is then borrowed.
            word = if word.is_empty() { text } else { word + text };
        }
        Ok(word)
    }
}

/// The text that a claim puts into a word.
fn filling<'r>(principal: &'r Principal, name: &'r str) -> Result<Cow<'r, str>, Unusable<'r>> {
    let text = match known(principal, name) {
        None => return Err(Unusable::Missing(name)),
        Some(known) => known.text(),
    };
    text.filter(|text| steps::is_plain(text)).ok_or(Unusable::NoWord(name))
}

/// Whether a claim has that value, or holds it where it is a list.
fn has(principal: &Principal, name: &str, value: &str) -> bool {
    let is = |known: Known<'_>| known.text().is_some_and(|text| text == value);
    match known(principal, name) {
        Some(Known::Claim(Value::Array(list))) => list.iter().any(|one| is(Known::Claim(one))),
        Some(known) => is(known),
        None => false,
    }
}

/// What a name stands for.
enum Known<'p> {
    Claim(&'p Value),
    Name(&'p str),
}

/// A claim. What tokens call `sub` and people `user` is the principal's name, unless there is such a claim.
fn known<'p>(principal: &'p Principal, name: &str) -> Option<Known<'p>> {
    let own_name = || principal.name().filter(|_| matches!(name, "sub" | "user")).map(Known::Name);
    principal.claim(name).map(Known::Claim).or_else(own_name)
}

impl<'p> Known<'p> {
    /// Lists, objects and null have no text.
    fn text(self) -> Option<Cow<'p, str>> {
        match self {
            Known::Name(name) => Some(Cow::Borrowed(name)),
            Known::Claim(Value::String(text)) => Some(Cow::Borrowed(text)),
            Known::Claim(value @ (Value::Number(_) | Value::Bool(_))) => Some(Cow::Owned(value.to_string())),
            Known::Claim(Value::Null | Value::Array(_) | Value::Object(_)) => None,
        }
    }
}

impl fmt::Display for Fit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fit::Whole => f.write_str("decides"),
            Fit::Part(Action::Deny) => f.write_str("decides: it denies a part of what the pattern matches"),
            Fit::Part(Action::Allow) => {
                f.write_str("does not decide: it allows only a part of what the pattern matches")
            }
            Fit::Not(why) => write!(f, "does not fit: {why}"),
        }
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Command => "it is about other commands",
            Why::Who => "it is not about such clients",
            Why::User => "it is about other users",
            Why::Claim => "the client does not have the claim",
            Why::NoDestination => "it is about destinations, and there is none",
            Why::Destination => "it is about other destinations",
            Why::Placeholder(Unusable::Broken) => "the braces in its destination do not pair",
            Why::Placeholder(Unusable::Missing(name)) => {
                return write!(f, "the client has no claim {name:?} to fill in");
            }
            Why::Placeholder(Unusable::NoWord(name)) => {
                return write!(f, "the client's claim {name:?} cannot be filled in: it is not one word");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(count: usize, destination: impl Fn(usize) -> String) -> Authority {
        let rule = |number| Rule { destination: Some(destination(number)), ..Rule::default() };
        Authority::new(&(0..count).map(rule).collect::<Vec<_>>())
    }

    fn looks(authority: &Authority, destination: &str) -> usize {
        let mut comparison = Comparison::default();
        let ann = Principal::named("ann");
        authority.walk(Guarded::Subscribe, Some(destination), &ann, &mut comparison, |_, _| {});
        comparison.looks
    }

    /// A thousand rules and a kibibyte of pattern: the product of their lengths, and no more.
    #[test]
    fn the_work_is_bounded_by_rules_times_steps() {
        for rule in ["/topic/**.x.**.y.**.z", "/topic/{sub}.**.*.#.x", "/topic/*.#.*.#.*.#.x"] {
            let authority = rules(1000, |_| rule.to_owned());
            for piece in ["#.a.", "*.", "a.", ".", "#.*.", "ann.*.#."] {
                let mut wanted = format!("/topic/{}", piece.repeat(1024));
                wanted.truncate(1024);
                let steps = steps::compiled(rule).len() + 1;
                let bound = 2 * 1000 * steps * (steps::compiled(&wanted).len() + 2);
                let looks = looks(&authority, &wanted);
                assert!(looks <= bound, "{rule} {piece}: {looks} of {bound}");
            }
        }
    }

    #[test]
    fn rules_about_something_else_cost_next_to_nothing() {
        let authority = rules(1000, |number| format!("/topic/{number}.**.x"));
        let wanted = format!("/topic/a.{}", "#.a.".repeat(250));
        assert!(looks(&authority, &wanted) <= 8000, "{}", looks(&authority, &wanted));
    }
}
