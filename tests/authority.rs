//! Rules: the readable matrix in fixtures/authority, and properties against models that are obviously right. What no rule may
//! ever do is to allow a pattern that matches something denied.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use towpath::broker::Pattern;
use towpath::config::{Action, Config, Guarded, Rule, Who};
use towpath::gateway::{Authority, Because, Decision, Principal, explain};

// ---- the matrix ----

struct Case {
    line: usize,
    who: Principal,
    command: Guarded,
    destination: Option<String>,
    verdict: Decision,
}

fn matrix() -> (Config, Vec<Case>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/authority/matrix.txt");
    let text = fs::read_to_string(path).expect("the fixture is there");
    let mut parts = text.split("\n----\n");
    let mut part = || parts.next().expect("three parts");
    let (rules, people, cases) = (part(), part(), part());
    let config = Config::from_toml(rules, "matrix.txt").expect("the first part is a configuration");
    let people: HashMap<&str, Principal> = people.lines().filter(|line| !line.is_empty()).map(person).collect();
    let before = text.len() - cases.len();
    let first_line = text[..before].lines().count() + 1;
    let cases = (first_line..).zip(cases.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let cases = cases.map(|(line, text)| {
        let cells: Vec<&str> = text.split('|').map(str::trim).collect();
        let [who, command, destination, verdict] = cells[..] else { panic!("line {line}: four cells") };
        let who = people.get(who).unwrap_or_else(|| panic!("line {line}: who is {who}?")).clone();
        let command = Guarded::ALL.into_iter().find(|one| one.name() == command).expect("a command");
        let destination = Some(destination.to_owned()).filter(|text| !text.is_empty());
        Case { line, who, command, destination, verdict: decision(verdict) }
    });
    (config, cases.collect())
}

fn person(line: &str) -> (&str, Principal) {
    let (name, rest) = line.split_once(" as ").unwrap_or((line, ""));
    let (user, claims) =
        rest.split_once(" {").map_or((rest, "{}".to_owned()), |(user, rest)| (user, format!("{{{rest}")));
    let claims: Map<String, Value> = serde_json::from_str(&claims).expect("claims are a JSON object");
    (name.trim(), Principal::named(user.trim()).with_claims(claims))
}

fn decision(text: &str) -> Decision {
    let words: Vec<&str> = text.split(' ').collect();
    let index = |number: &str| number.parse::<usize>().expect("a rule's number") - 1;
    let because = match words[1..] {
        ["nothing"] => Because::NothingFits,
        ["part", number] => Because::Overlap(index(number)),
        [number] => Because::Rule(index(number)),
        _ => panic!("what is {text}?"),
    };
    let allowed = match words[0] {
        "allow" => true,
        "deny" => false,
        other => panic!("what is {other}?"),
    };
    Decision { allowed, because }
}

#[test]
fn the_rules_decide_as_the_matrix_says() {
    let (config, cases) = matrix();
    let authority = Authority::new(&config.rules);
    assert!(cases.len() >= 40, "{}", cases.len());
    let mut deciding: Vec<usize> = vec![];
    for case in cases {
        let decided = authority.decide(case.command, case.destination.as_deref(), &case.who);
        assert_eq!(decided, case.verdict, "matrix.txt, line {}", case.line);
        if let Because::Rule(index) | Because::Overlap(index) = decided.because {
            deciding.push(index);
        }
    }
    let idle: Vec<usize> = (0..config.rules.len()).filter(|index| !deciding.contains(index)).collect();
    assert!(idle.is_empty(), "these rules decide nothing, counted from 0: {idle:?}");
}

#[test]
fn the_explanation_tells_the_rule_that_decides() {
    let (config, cases) = matrix();
    for case in cases {
        let text = explain(&config, &case.who, case.command, case.destination.as_deref());
        let verdict = text.lines().last().expect("it says something");
        assert!(verdict.starts_with(if case.verdict.allowed { "Allowed" } else { "Denied" }), "{text}");
        let told = text.lines().filter(|line| line.starts_with("rule ")).count();
        match case.verdict.because {
            Because::Rule(index) | Because::Overlap(index) => {
                assert!(verdict.contains(&format!(" by rule {}", index + 1)), "line {}: {text}", case.line);
                assert_eq!(told, index + 1, "{text}");
                assert_eq!(text.lines().filter(|line| line.starts_with("    decides")).count(), 1, "{text}");
            }
            _ => {
                assert_eq!(told, config.rules.len(), "{text}");
                assert!(!text.contains("\n    decides"), "{text}");
            }
        }
    }
}

#[test]
fn an_explanation_reads_like_this() {
    let (config, _) = matrix();
    let bob = Principal::named("bob\u{1b}");
    let text = explain(&config, &bob, Guarded::Subscribe, Some("/topic/*"));
    let expected = concat!(
        "SUBSCRIBE \"/topic/*\" by \"bob\\u{1b}\"\n",
        "rule 1: action = \"deny\", commands = [\"CONNECT\"], users = [\"mallory\"]\n",
        "    does not fit: it is about other commands\n",
        "rule 2: action = \"allow\", commands = [\"CONNECT\"]\n",
        "    does not fit: it is about other commands\n",
        "rule 3: action = \"allow\", claim = \"roles=admin\"\n",
        "    does not fit: the client does not have the claim\n",
        "rule 4: action = \"deny\", destination = \"/topic/secret.**\"\n",
        "    decides: it denies a part of what the pattern matches\n",
        "The rules behind it are not asked.\n",
        "Denied by rule 4, which denies a part of what the pattern matches.\n",
    );
    assert_eq!(text, expected);
    let nobody = Principal::anonymous();
    let text = explain(&Config::default(), &nobody, Guarded::Connect, None);
    assert_eq!(text, "CONNECT by an anonymous client\nAllowed: there are no rules.\n");
}

/// What docs/authority.md says of its own example.
#[test]
fn the_page_tells_the_truth_about_its_rules() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/authority.md");
    let page = fs::read_to_string(path).expect("the page is there");
    let block = |mark: &str| page.split_once(mark).and_then(|(_, rest)| rest.split_once("\n```")).expect(mark).0;
    let config = Config::from_toml(block("```toml\n"), "authority.md").expect("the example is a configuration");
    let ann = Principal::named("ann");
    let text = explain(&config, &ann, Guarded::Subscribe, Some("/topic/*"));
    assert_eq!(text.trim_end(), block("--destination '/topic/*'\n"));
    let authority = Authority::new(&config.rules);
    for (command, destination, verdict) in [
        (Guarded::Connect, None, "allow 1"),
        (Guarded::Subscribe, Some("/topic/user.ann.*"), "allow 5"),
        (Guarded::Subscribe, Some("/topic/user.ann.orders"), "allow 5"),
        (Guarded::Subscribe, Some("/topic/user.ann.**"), "deny nothing"),
        (Guarded::Subscribe, Some("/topic/**"), "deny part 3"),
        (Guarded::Subscribe, Some("/user/queue/errors"), "allow 4"),
        (Guarded::Send, Some("/app/chat/1"), "allow 6"),
    ] {
        assert_eq!(authority.decide(command, destination, &ann), decision(verdict), "{destination:?}");
    }
}

#[test]
fn without_rules_everything_is_allowed_and_with_one_nothing_else() {
    let ann = Principal::named("ann");
    let none = Authority::new(&[]);
    let allowed = Decision { allowed: true, because: Because::NoRules };
    assert_eq!(none.decide(Guarded::Send, Some("/topic/a"), &ann), allowed);
    assert!(none.is_empty());
    let one = Authority::new(&[allow("/topic/a")]);
    let denied = Decision { allowed: false, because: Because::NothingFits };
    assert_eq!(one.decide(Guarded::Send, Some("/topic/b"), &ann), denied);
    assert_eq!(one.decide(Guarded::Connect, None, &ann), denied, "a rule with a destination is never about CONNECT");
    assert_eq!(one.decide(Guarded::Connect, Some("/topic/a"), &ann), denied, "which has none");
    let all = Authority::new(&[Rule::default()]);
    assert!(Guarded::ALL.into_iter().all(|command| all.decide(command, None, &ann).allowed));
}

/// The check of a configuration refuses these; a program that makes its own must not gain by them.
#[test]
fn rules_that_cannot_be_read_allow_nothing_and_deny_much() {
    let ann = Principal::named("ann");
    let broken = |action| {
        let by_claim = Rule { action, claim: Some("admin".to_owned()), ..Rule::default() };
        let by_braces = ["/topic/{sub", "/topic/sub}", "/topic/{}", "/topic/{{sub}}"];
        let by_braces = by_braces.map(|text| Rule { action, destination: Some(text.to_owned()), ..Rule::default() });
        by_braces.into_iter().chain([by_claim])
    };
    for rule in broken(Action::Allow) {
        let authority = Authority::new(std::slice::from_ref(&rule));
        for text in ["/topic/ann", "/topic/{sub", "/topic/sub}", "/topic/{}", "/topic/{{sub}}"] {
            assert!(!authority.decide(Guarded::Send, Some(text), &ann).allowed, "{rule:?} {text}");
        }
    }
    for rule in broken(Action::Deny) {
        let authority = Authority::new(&[rule.clone(), Rule::default()]);
        assert!(!authority.decide(Guarded::Send, Some("/topic/ann"), &ann).allowed, "{rule:?}");
    }
}

#[test]
fn a_very_long_claim_is_a_word_like_others() {
    let long = "x".repeat(1 << 20);
    let authority = Authority::new(&[allow("/topic/{sub}.*")]);
    let principal = Principal::named(&long);
    let decide = |text: &str| authority.decide(Guarded::Subscribe, Some(text), &principal).allowed;
    assert!(decide(&format!("/topic/{long}.a")));
    assert!(!decide(&format!("/topic/{long}x.a")));
}

/// A long pattern against many rules that all look alike to its end; how much work that is, is counted in the unit tests.
#[test]
fn patterns_that_are_meant_to_hurt_are_decided() {
    let rules: Vec<Rule> = (0..1000).map(|number| allow(&format!("/topic/**.a.**.b{number}"))).collect();
    let authority = Authority::new(&rules);
    for piece in ["#.a.", "a.", "*.", "#.*."] {
        let mut wanted = format!("/topic/{}", piece.repeat(512));
        wanted.truncate(1024);
        let decided = authority.decide(Guarded::Subscribe, Some(&wanted), &Principal::named("ann"));
        assert_eq!(decided.because, Because::NothingFits, "{piece}");
    }
}

// ---- comparing patterns ----

fn allow(destination: &str) -> Rule {
    Rule { destination: Some(destination.to_owned()), ..Rule::default() }
}

fn deny(destination: &str) -> Rule {
    Rule { action: Action::Deny, ..allow(destination) }
}

/// Whether the rules find that everything that `inner` matches, `outer` matches.
fn covers(outer: &str, inner: &str) -> bool {
    Authority::new(&[allow(outer)]).decide(Guarded::Subscribe, Some(inner), &Principal::anonymous()).allowed
}

/// Whether the rules find that something matches both.
fn overlaps(one: &str, other: &str) -> bool {
    !Authority::new(&[deny(one), Rule::default()])
        .decide(Guarded::Subscribe, Some(other), &Principal::anonymous())
        .allowed
}

/// Every destination of `t` and up to that many words behind it. With no word before them `**` would be no word at all, which
/// no destination is.
fn destinations(vocabulary: &[&str], longest: usize) -> Vec<String> {
    let mut all = vec!["t".to_owned()];
    let mut last = all.clone();
    for _ in 0..longest {
        let longer = last.iter().flat_map(|text| {
            vocabulary.iter().flat_map(move |word| [format!("{text}.{word}"), format!("{text}/{word}")])
        });
        last = longer.collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// `t` and up to that many of the words behind it.
fn text(word: &'static [&'static str], longest: usize) -> impl Strategy<Value = String> {
    let word = proptest::sample::select(word);
    let step = (prop_oneof![2 => Just('.'), 1 => Just('/')], word);
    proptest::collection::vec(step, 0..=longest).prop_map(|steps| {
        steps.iter().fold("t".to_owned(), |text, (separator, word)| format!("{text}{separator}{word}"))
    })
}

const WITH_WILDCARDS: &[&str] = &["a", "b", "*", "*", "**", "#"];

/// With three words in each pattern, a common destination of the two has at most four: both have an end of two words at most
/// beside a `**`.
#[test]
fn patterns_overlap_and_cover_as_trying_everything_says() {
    // No pattern has the third word; it stands for all others.
    let all = destinations(&["a", "b", "c"], 4);
    let known: RefCell<HashMap<String, Rc<[bool]>>> = RefCell::default();
    let matching = |pattern: &str| -> Rc<[bool]> {
        let matches = || all.iter().map(|destination| Pattern::new(pattern).matches(destination)).collect();
        known.borrow_mut().entry(pattern.to_owned()).or_insert_with(matches).clone()
    };
    let (common, within) = (Cell::new(0), Cell::new(0));
    let pairs = (text(WITH_WILDCARDS, 3), text(WITH_WILDCARDS, 3));
    let mut runner = runner(1000);
    runner
        .run(&pairs, |(one, other)| {
            let (by_one, by_other) = (matching(&one), matching(&other));
            let both = by_one.iter().zip(by_other.iter()).any(|(one, other)| *one && *other);
            prop_assert_eq!(overlaps(&one, &other), both, "{} and {} overlap", one, other);
            let inside = by_one.iter().zip(by_other.iter()).all(|(one, other)| *one || !*other);
            prop_assert_eq!(covers(&one, &other), inside, "{} covers {}", one, other);
            common.set(common.get() + usize::from(both));
            within.set(within.get() + usize::from(inside && other.contains(['*', '#'])));
            Ok(())
        })
        .unwrap();
    assert!(common.get() > 200 && within.get() > 50, "{} {}", common.get(), within.get());
}

/// Longer ones cannot all be tried; what is found in samples must not be denied.
#[test]
fn longer_patterns_overlap_and_cover_as_samples_say() {
    let samples = proptest::collection::vec(text(&["a", "b", ""], 8), 200);
    let pattern = || text(&["a", "", "*", "**"], 7);
    let mut runner = runner(500);
    runner
        .run(&(pattern(), pattern(), samples), |(one, other, samples)| {
            let (covered, common) = (covers(&one, &other), overlaps(&one, &other));
            prop_assert_eq!(common, overlaps(&other, &one));
            for sample in samples.iter().filter(|sample| Pattern::new(&other).matches(sample)) {
                let fits = Pattern::new(&one).matches(sample);
                prop_assert!(common || !fits, "{} and {} have {} in common", one, other, sample);
                prop_assert!(fits || !covered, "{} does not cover {}: {}", one, other, sample);
            }
            Ok(())
        })
        .unwrap();
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() })
}

// ---- rules and principals ----

const IN_RULES: &[&str] = &["a", "b", "*", "**", "#", "{sub}", "{t}", "{none}", "a{t}", "{t", "%2f"];
const HOSTILE: &[&str] = &["a", "b", "", "*", "**", "#", "a.b", "a/b", "{sub}", "{t}", "}", "a*", "c#", "%2F", "%2f"];

fn rule() -> impl Strategy<Value = Rule> {
    let action = prop_oneof![3 => Just(Action::Allow), 2 => Just(Action::Deny)];
    let commands = proptest::sample::subsequence(Guarded::ALL.to_vec(), 0..=2);
    let destination = proptest::option::weighted(0.9, text(IN_RULES, 3));
    let who = prop_oneof![4 => Just(Who::Anyone), 1 => Just(Who::Users), 1 => Just(Who::Anonymous)];
    let users = prop_oneof![4 => Just(vec![]), 1 => Just(vec!["a".to_owned(), "*".to_owned()])];
    let claim = proptest::sample::select(vec![
        None,
        None,
        None,
        Some("t=a"),
        Some("t=*"),
        Some("l=1"),
        Some("l=true"),
        Some("sub=a"),
    ]);
    (action, commands, destination, who, users, claim).prop_map(|(action, commands, destination, who, users, claim)| {
        Rule { action, commands, destination, who, users, claim: claim.map(str::to_owned) }
    })
}

fn principal() -> impl Strategy<Value = Principal> {
    let text = || proptest::option::of(proptest::sample::select(HOSTILE));
    (text(), text(), text(), any::<bool>()).prop_map(|(name, sub, t, listed)| {
        let mut claims = Map::new();
        claims.extend(sub.map(|sub| ("sub".to_owned(), json!(sub))));
        claims.extend(t.map(|t| ("t".to_owned(), json!(t))));
        if listed {
            claims.insert("l".to_owned(), json!([1, true, {"t": "a"}]));
        }
        Principal::named(name.unwrap_or_default()).with_claims(claims)
    })
}

/// The promise of the whole: a subscription that is allowed matches nothing that the same principal may not subscribe to.
#[test]
fn no_allowed_pattern_matches_a_denied_destination() {
    let all = destinations(&["a", "b", "%2f"], 4);
    let (allowed_patterns, denied_parts) = (Cell::new(0), Cell::new(0));
    let wanted = text(&["a", "b", "*", "*", "**", "#"], 3);
    let cases = (proptest::collection::vec(rule(), 1..6), principal(), wanted);
    let mut runner = runner(8000);
    runner
        .run(&cases, |(rules, principal, wanted)| {
            let authority = Authority::new(&rules);
            let decide = |text: &str| authority.decide(Guarded::Subscribe, Some(text), &principal);
            let decided = decide(&wanted);
            denied_parts.set(denied_parts.get() + usize::from(matches!(decided.because, Because::Overlap(_))));
            if !decided.allowed || !wanted.contains(['*', '#']) {
                return Ok(());
            }
            allowed_patterns.set(allowed_patterns.get() + 1);
            let pattern = Pattern::new(&wanted);
            for destination in all.iter().filter(|destination| pattern.matches(destination)) {
                let one = decide(destination);
                prop_assert!(
                    one.allowed,
                    "{} is allowed by {:?}, {} is not by {:?}",
                    wanted,
                    decided,
                    destination,
                    one
                );
            }
            Ok(())
        })
        .unwrap();
    let counts = (allowed_patterns.get(), denied_parts.get());
    assert!(counts.0 > 150 && counts.1 > 200, "the property says something about many: {counts:?}");
}

/// The first rule that fits, word for word.
fn model(rules: &[Rule], command: Guarded, destination: Option<&str>, principal: &Principal) -> Decision {
    for (index, rule) in rules.iter().enumerate() {
        let denies = rule.action == Action::Deny;
        let name = principal.name();
        let fits = (rule.commands.is_empty() || rule.commands.contains(&command))
            && match rule.who {
                Who::Anyone => true,
                Who::Users => name.is_some(),
                Who::Anonymous => name.is_none(),
            }
            && (rule.users.is_empty() || rule.users.iter().any(|user| Some(user.as_str()) == name))
            && rule.claim.as_ref().is_none_or(|claim| {
                let (claim, value) = claim.split_once('=').unwrap();
                let found =
                    principal.claim(claim).cloned().or_else(|| name.filter(|_| claim == "sub").map(Value::from));
                let found =
                    found.map(|found| found.as_array().cloned().unwrap_or_else(|| vec![found])).unwrap_or_default();
                found.iter().any(|one| one.as_str().map_or(one.to_string(), str::to_owned) == value)
            })
            && match (&rule.destination, destination) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(pattern), Some(destination)) => {
                    // Only where it denies, as the broker reads both as one.
                    let destination = if denies { destination.replace("%2f", "%2F") } else { destination.to_owned() };
                    let pattern: Option<Vec<_>> = split(pattern)
                        .into_iter()
                        .map(|(before, word)| model_word(&word, rule, principal).map(|word| (before, word)))
                        .collect();
                    pattern.is_some_and(|pattern| model_fits(&pattern, &split(&destination), false))
                }
            };
        if fits {
            return Decision { allowed: !denies, because: Because::Rule(index) };
        }
    }
    Decision { allowed: false, because: Because::NothingFits }
}

enum ModelWord {
    Word(String),
    AnyWord,
    AnyWords,
}

fn split(text: &str) -> Vec<(Option<char>, String)> {
    let mut words = vec![(None, String::new())];
    for c in text.chars() {
        match c {
            '.' | '/' => words.push((Some(c), String::new())),
            c => words.last_mut().unwrap().1.push(c),
        }
    }
    words
}

/// Made for the few words of [`IN_RULES`].
fn model_word(word: &str, rule: &Rule, principal: &Principal) -> Option<ModelWord> {
    let denies = rule.action == Action::Deny;
    let claim = |name: &str| principal.claim(name).map(|value| value.as_str().unwrap().to_owned());
    let filled = match word {
        "*" => return Some(ModelWord::AnyWord),
        "**" | "#" => return Some(ModelWord::AnyWords),
        "{sub}" => claim("sub").or_else(|| principal.name().map(str::to_owned)),
        "{t}" | "a{t}" => claim("t"),
        "{none}" | "{t" => None,
        "%2f" => return Some(ModelWord::Word(if denies { "%2F" } else { word }.to_owned())),
        other => return Some(ModelWord::Word(other.to_owned())),
    };
    match filled.filter(|value| ["a", "b"].contains(&value.as_str())) {
        Some(value) if word.starts_with('a') => Some(ModelWord::Word(format!("a{value}"))),
        Some(value) => Some(ModelWord::Word(value)),
        None => denies.then_some(ModelWord::AnyWord),
    }
}

fn model_fits(pattern: &[(Option<char>, ModelWord)], words: &[(Option<char>, String)], lenient: bool) -> bool {
    let Some(((separator, first), rest)) = pattern.split_first() else { return words.is_empty() };
    if matches!(first, ModelWord::AnyWords) {
        return (0..=words.len()).any(|taken| model_fits(rest, &words[taken..], true));
    }
    let Some(((own, word), others)) = words.split_first() else { return false };
    let same = match first {
        ModelWord::Word(text) => text == word,
        _ => true,
    };
    (lenient || separator == own) && same && model_fits(rest, others, false)
}

#[test]
fn exact_destinations_are_decided_by_the_first_rule_that_fits() {
    let by_rule = Cell::new([0, 0]);
    let destination =
        proptest::option::weighted(0.9, text(&["a", "b", "aa", "ab", "", "%2f", "%2F", "{sub}", "{t"], 4));
    let command = proptest::sample::select(Guarded::ALL.to_vec());
    let cases = (proptest::collection::vec(rule(), 1..6), principal(), command, destination);
    let mut runner = runner(20_000);
    runner
        .run(&cases, |(rules, principal, command, destination)| {
            let destination = destination.filter(|_| command != Guarded::Connect);
            let expected = model(&rules, command, destination.as_deref(), &principal);
            let decided = Authority::new(&rules).decide(command, destination.as_deref(), &principal);
            prop_assert_eq!(decided, expected);
            if destination.is_some() && matches!(decided.because, Because::Rule(_)) {
                let mut counts = by_rule.get();
                counts[usize::from(decided.allowed)] += 1;
                by_rule.set(counts);
            }
            Ok(())
        })
        .unwrap();
    assert!(by_rule.get().iter().all(|count| *count > 500), "{:?}", by_rule.get());
}
