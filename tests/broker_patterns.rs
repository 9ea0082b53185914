//! Patterns of subscriptions: the readable table in fixtures/broker/patterns.txt, an oracle that is obviously right for all
//! the rest, and patterns that are meant to hurt.

mod bed;

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use bed::stomp::{Client, send, subscribe};
use bed::{Bed, config};
use proptest::prelude::*;
use towpath::broker::{Destination, DestinationError, Pattern, TopicPrefixes};
use towpath::config::Service;
use towpath::session::{Carrier, Flow};
use towpath::stomp::Version;

/// A pattern, and destinations with whether it matches them.
type Case = (String, Vec<(String, bool)>);

fn table() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/broker/patterns.txt");
    let text = fs::read_to_string(path).expect("the fixture is there");
    let mut cases: Vec<Case> = vec![];
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ") && *line != "#") {
        match line.strip_prefix("    ") {
            None => cases.push((line.to_owned(), vec![])),
            Some(entry) => {
                let (mark, destination) = entry.split_once(' ').expect("a mark and a destination");
                let matches = match mark {
                    "=" => true,
                    "-" => false,
                    other => panic!("what is {other}?"),
                };
                cases.last_mut().expect("a pattern stands first").1.push((destination.to_owned(), matches));
            }
        }
    }
    assert!(cases.len() >= 20 && cases.iter().all(|(_, destinations)| !destinations.is_empty()));
    cases
}

#[test]
fn patterns_match_as_the_table_says() {
    for (pattern, destinations) in table() {
        for (destination, matches) in destinations {
            assert_eq!(Pattern::new(&pattern).matches(&destination), matches, "{pattern} and {destination}");
        }
    }
}

#[test]
fn the_oracle_agrees_with_the_table() {
    for (pattern, destinations) in table() {
        for (destination, matches) in destinations {
            assert_eq!(oracle(&pattern, &destination), matches, "{pattern} and {destination}");
        }
    }
}

/// All patterns of the table at once, each with its own subscriber: every destination reaches those that match.
#[test]
fn the_broker_delivers_as_the_table_says_with_all_patterns_at_once() {
    let bed = Bed::new(&config(Service::Stomp, |endpoint| endpoint.outbox_messages = 10_000));
    let cases = table();
    let mut subscriber = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    for (pattern, _) in &cases {
        assert_eq!(subscriber.subscribe(&bed, pattern, pattern), Flow::Continue, "{pattern}");
    }
    for (destination, _) in cases.iter().flat_map(|(_, destinations)| destinations) {
        if !destination.starts_with("/topic/") {
            continue;
        }
        assert_eq!(subscriber.send(&bed, &send(destination, "x")), Flow::Continue, "{destination}");
        let frames = subscriber.frames(&bed);
        let mut reached: Vec<_> = frames.iter().map(|frame| frame.headers.get("subscription").unwrap()).collect();
        reached.sort_unstable();
        let matching = cases.iter().map(|(pattern, _)| &**pattern).filter(|pattern| oracle(pattern, destination));
        let mut matching: Vec<_> = matching.collect();
        matching.sort_unstable();
        assert_eq!(reached, matching, "{destination}");
    }
}

/// The definition, by trying everything: words with the separator before them, which does not count next to a wildcard of
/// many words.
fn oracle(pattern: &str, destination: &str) -> bool {
    fn words(text: &str) -> Vec<(Option<char>, String)> {
        let mut words = vec![(None, String::new())];
        for c in text.chars() {
            match c {
                '.' | '/' => words.push((Some(c), String::new())),
                c => words.last_mut().unwrap().1.push(c),
            }
        }
        words
    }
    fn fits(pattern: &[(Option<char>, String)], words: &[(Option<char>, String)], lenient: bool) -> bool {
        let Some(((separator, first), rest)) = pattern.split_first() else { return words.is_empty() };
        if matches!(first.as_str(), "#" | "**") {
            return (0..=words.len()).any(|taken| fits(rest, &words[taken..], true));
        }
        let Some(((own, word), others)) = words.split_first() else { return false };
        (lenient || separator == own) && (first == "*" || first == word) && fits(rest, others, false)
    }
    fits(&words(pattern), &words(destination), false)
}

/// Words from few letters, so that patterns and destinations do meet.
fn destination() -> impl Strategy<Value = String> {
    let word = prop_oneof![Just("a"), Just("b"), Just("ab"), Just("")];
    let step = (prop_oneof![4 => Just('.'), 1 => Just('/')], word);
    proptest::collection::vec(step, 1..7).prop_map(|steps| {
        let mut text = "/topic".to_owned();
        for (separator, word) in steps {
            text.push(separator);
            text.push_str(word);
        }
        text
    })
}

fn pattern() -> impl Strategy<Value = String> {
    let word = prop_oneof![Just("a"), Just("b"), Just("*"), Just("#"), Just("**"), Just("")];
    let step = (prop_oneof![4 => Just('.'), 1 => Just('/')], word);
    proptest::collection::vec(step, 0..7).prop_map(|steps| {
        let mut text = "/topic".to_owned();
        for (separator, word) in steps {
            text.push(separator);
            text.push_str(word);
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_pattern_matches_what_its_definition_says(pattern in pattern(), destination in destination()) {
        prop_assert_eq!(
            Pattern::new(&pattern).matches(&destination), oracle(&pattern, &destination),
            "{} and {}", pattern, destination
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Patterns come and go in one broker; at every moment a publication reaches those that are there and match.
    #[test]
    fn many_patterns_together_match_as_each_alone(
        steps in proptest::collection::vec((pattern(), destination(), any::<bool>()), 1..30),
    ) {
        let bed = Bed::new(&config(Service::Stomp, |endpoint| endpoint.outbox_messages = 10_000));
        let mut client = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
        let mut alive: Vec<(String, String)> = vec![];
        for (number, (pattern, destination, leave)) in steps.into_iter().enumerate() {
            if !pattern.starts_with("/topic/") || !destination.starts_with("/topic/") || destination.len() == 7 {
                continue;
            }
            if leave && !alive.is_empty() {
                let (id, _) = alive.swap_remove(number % alive.len());
                client.send(&bed, &bed::stomp::unsubscribe(&id));
            }
            if pattern.len() > 7 {
                let id = number.to_string();
                prop_assert_eq!(client.send(&bed, &subscribe(&id, &pattern)), Flow::Continue);
                alive.push((id, pattern));
            }
            client.send(&bed, &send(&destination, "x"));
            let frames = client.frames(&bed);
            let mut reached: Vec<_> =
                frames.iter().map(|frame| frame.headers.get("subscription").unwrap().to_owned()).collect();
            reached.sort_unstable();
            let matching = alive.iter().filter(|(_, pattern)| oracle(pattern, &destination));
            let mut matching: Vec<_> = matching.map(|(id, _)| id.clone()).collect();
            matching.sort_unstable();
            prop_assert_eq!(reached, matching, "{}", destination);
        }
    }
}

/// With backtracking each of these would take longer than the universe has existed; how many steps a walk takes is counted
/// in the matcher's own tests. The time-out is for a matcher that would never come back.
#[test]
fn patterns_that_are_meant_to_hurt_do_not() {
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        for (piece, word) in [("#.a.", "a."), ("**.", "a."), ("#.*.", "a."), ("*.#.", "a."), ("#.a.**.a.", "a.")] {
            let pattern = format!("/topic/{}b", piece.repeat(200));
            let destination = format!("/topic/{}", word.repeat(400));
            assert!(!Pattern::new(&pattern).matches(&destination), "{piece}");
        }
        done.send(()).expect("the test waits");
    });
    is_done.recv_timeout(Duration::from_secs(120)).expect("the matcher comes back, with the right answers");
}

#[test]
fn destinations_are_understood() {
    let topics = TopicPrefixes::default();
    for exact in ["/topic/a", "/topic/a/b.c", "/topic/c#"] {
        assert_eq!(Destination::of_subscribe(exact, &topics), Ok(Destination::Topic(exact)));
        assert_eq!(Destination::of_send(exact, &topics), Ok(Destination::Topic(exact)));
    }
    for pattern in ["/topic/*", "/topic/#", "/topic/**", "/topic/a.*.b", "/topic/a/**", "/topic/#.b"] {
        assert_eq!(Destination::of_subscribe(pattern, &topics), Ok(Destination::Pattern(Pattern::new(pattern))));
        assert_eq!(Destination::of_send(pattern, &topics), Err(DestinationError::PatternInSend));
        assert_eq!(Pattern::new(pattern).as_str(), pattern);
    }
    for queue in ["/queue/a", "/queue/a/b.c", "/queue/#1"] {
        assert_eq!(Destination::of_subscribe(queue, &topics), Ok(Destination::Queue(queue)));
        assert_eq!(Destination::of_send(queue, &topics), Ok(Destination::Queue(queue)));
    }
}

#[test]
fn destinations_that_mean_nothing_here_are_refused_by_name() {
    let topics = TopicPrefixes::default();
    for parse in [Destination::of_send, Destination::of_subscribe] {
        for unknown in [
            "",
            "a",
            "/",
            "/topic",
            "topic/a",
            "/Topic/a",
            "/topics/a",
            "/queue",
            "queue/a",
            "/exchange/x",
            " /topic/a",
        ] {
            assert_eq!(parse(unknown, &topics), Err(DestinationError::Unknown(topics.clone())), "{unknown}");
        }
        assert_eq!(parse("/topic/", &topics), Err(DestinationError::NoName("/topic/".to_owned())));
        assert_eq!(parse("/queue/", &topics), Err(DestinationError::NoName("/queue/".to_owned())));
        for partial in ["/topic/a*", "/topic/*a", "/topic/a.b*.c", "/topic/***", "/topic/a.**b", "/queue/a*"] {
            assert_eq!(parse(partial, &topics), Err(DestinationError::PartialWildcard), "{partial}");
        }
        for pattern in ["/queue/*", "/queue/a.#", "/queue/**"] {
            assert_eq!(parse(pattern, &topics), Err(DestinationError::NoPatterns("/queue/".to_owned())), "{pattern}");
        }
    }
}
