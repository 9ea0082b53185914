//! The texts of destinations and patterns: whether one can be meant, and whether one pattern leaves anything to another.
//!
//! Does not know: settings, the broker's matcher; what words and wildcards are stands in `steps`.

use super::error::Complaint;
use super::steps::{Comparison, compiled, words};
use super::{Broker, suggest};

/// How wildcards are written.
pub(super) const WILDCARDS: &str =
    "write * for one whole word, ** for any number of words; words are separated by . or /";

/// How a topic begins, or what else is named.
pub(super) fn topics_and(broker: &Broker, others: &[&str]) -> Vec<String> {
    let topics = broker.topic_prefixes.iter().map(|prefix| format!("{prefix}/"));
    topics.chain(others.iter().map(|other| (*other).to_owned())).collect()
}

/// A pattern of one of the kinds that a `[[destination]]` can be about.
pub(super) fn check(text: &str, broker: &Broker) -> Result<(), Complaint> {
    check_words(text, &topics_and(broker, &["/queue/", "/user/"]), broker.max_name, true)
}

/// The name of one destination of one of `kinds`.
pub(super) fn check_name(text: &str, kinds: &[String], longest: usize) -> Result<(), Complaint> {
    check_words(text, kinds, longest, false)
}

fn check_words(text: &str, kinds: &[String], longest: usize, wildcards: bool) -> Result<(), Complaint> {
    let complain = |fault: &str, mend: String| Err(Complaint::new(format!("is {text:?}, {fault}"), mend));
    let Some(name) = kinds.iter().find_map(|kind| text.strip_prefix(kind.as_str())) else {
        return complain(&format!("which does not begin with {}", listed(kinds)), meant(text, kinds));
    };
    if name.is_empty() {
        let all = if wildcards { format!(", or \"{text}**\" for all of them") } else { String::new() };
        return complain("which has no name behind the last slash", format!("write \"{text}NAME\"{all}"));
    }
    check_text(text, longest)?;
    for (_, word) in words(name) {
        let mend = if wildcards { WILDCARDS } else { "write the name of one destination" };
        check_word(word, wildcards).or_else(|fault| complain(&fault, mend.to_owned()))?;
    }
    Ok(())
}

/// What every destination and pattern keeps to, whatever its words are.
pub(super) fn check_text(text: &str, longest: usize) -> Result<(), Complaint> {
    if text.trim_end() != text || text.contains(char::is_control) {
        let fault = format!("is {text:?}, which has invisible characters in it");
        return Err(Complaint::new(fault, format!("write {:?}", visible(text))));
    }
    if text.len() > longest {
        let fault = format!("is {} bytes long, more than `max_name` in [broker], which is {longest}", text.len());
        return Err(Complaint::new(fault, "shorten it, or raise the other"));
    }
    Ok(())
}

/// One word of a pattern, or of a name where wildcards cannot be meant. The error is the fault, as the end of a sentence.
pub(super) fn check_word(word: &str, wildcards: bool) -> Result<(), String> {
    match word {
        "*" | "**" | "#" if wildcards => Ok(()),
        "*" | "**" | "#" => Err(format!("which has the wildcard {word} in it")),
        // ActiveMQ's way.
        ">" => Err("where > is no wildcard".to_owned()),
        _ if word.contains('*') => Err("where a * is only a part of a word".to_owned()),
        _ => Ok(()),
    }
}

/// Whether every destination that `inner` fits is one that `outer` fits. Where several wildcards meet, it may overlook that this is
/// so; it never claims it wrongly.
pub(super) fn covers(outer: &str, inner: &str) -> bool {
    Comparison::default().covers(&compiled(outer), &compiled(inner))
}

/// What somebody probably wanted to write who wrote none of the kinds.
fn meant(text: &str, kinds: &[String]) -> String {
    let bare = text.trim_start_matches('/');
    if matches!(bare, "*" | "**" | "#") {
        return "write a table for each kind, such as \"/topic/**\"".to_owned();
    }
    if bare.is_empty() {
        return "write the whole destination, such as \"/queue/orders\"".to_owned();
    }
    let Some((kind, name)) = bare.split_once('/').filter(|(_, name)| !name.is_empty()) else {
        let each: Vec<String> = kinds.iter().map(|kind| format!("\"{kind}{bare}\"")).collect();
        return format!("write {}", listed(&each));
    };
    match suggest::nearest(kind, kinds.iter().map(|kind| kind.trim_matches('/'))) {
        Some(near) => format!("write \"/{near}/{name}\""),
        None => "write the whole destination, such as \"/queue/orders\"".to_owned(),
    }
}

fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim_end().to_owned()
}

/// `a, b or c`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same question about one name, by trying everything.
    fn fits(pattern: &[(Option<char>, &str)], name: &[(Option<char>, &str)], after_any: bool) -> bool {
        let Some(((separator, word), pattern_rest)) = pattern.split_first() else { return name.is_empty() };
        if matches!(*word, "**" | "#") {
            return (0..=name.len()).any(|taken| fits(pattern_rest, &name[taken..], true));
        }
        name.split_first().is_some_and(|((before, found), name_rest)| {
            (after_any || before == separator)
                && (*word == "*" || word == found)
                && fits(pattern_rest, name_rest, false)
        })
    }

    fn matches(pattern: &str, name: &str) -> bool {
        fits(&words(pattern).collect::<Vec<_>>(), &words(name).collect::<Vec<_>>(), false)
    }

    #[test]
    fn a_wider_pattern_covers_a_narrower_one() {
        for (outer, inner) in [
            ("/topic/a", "/topic/a"),
            ("/topic/*", "/topic/a"),
            ("/topic/*", "/topic/*"),
            ("/topic/**", "/topic/a/b.c"),
            ("/topic/#", "/topic/**"),
            ("/topic/**", "/topic/*.a.**"),
            ("/topic/**.a", "/topic/**.b/a"),
            ("/topic/a.**", "/topic/a"),
        ] {
            assert!(covers(outer, inner), "{outer} {inner}");
        }
    }

    #[test]
    fn a_pattern_that_leaves_something_does_not_cover() {
        for (outer, inner) in [
            ("/topic/a", "/topic/b"),
            ("/topic/a", "/topic/*"),
            ("/topic/*", "/topic/**"),
            ("/topic/*", "/topic/a.b"),
            ("/topic/a.*", "/topic/a/b"),
            ("/topic/a.b", "/topic/**.b"),
            ("/topic/**.a", "/topic/**"),
            ("/topic/**", "/queue/a"),
            ("/topic/a.b", "/topic/a"),
        ] {
            assert!(!covers(outer, inner), "{outer} {inner}");
        }
    }

    fn patterns(word: &'static str) -> impl Strategy<Value = String> {
        prop::collection::vec((word, "[./]"), 1..5).prop_map(|words| {
            let name: String = words.iter().map(|(word, separator)| format!("{separator}{word}")).collect();
            format!("/topic{name}")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn a_name_is_covered_by_what_fits_it(pattern in patterns("[ab]|\\*|\\*\\*|#"), name in patterns("[ab]")) {
            prop_assert_eq!(covers(&pattern, &name), matches(&pattern, &name));
        }

        #[test]
        fn what_is_covered_fits_nothing_else(
            outer in patterns("a|\\*|\\*\\*"),
            inner in patterns("a|\\*|\\*\\*"),
            names in prop::collection::vec(patterns("[ab]"), 20),
        ) {
            if covers(&outer, &inner) {
                for name in names.iter().filter(|name| matches(&inner, name)) {
                    prop_assert!(matches(&outer, name), "{} {} {}", outer, inner, name);
                }
            }
        }

        #[test]
        fn any_text_is_taken_or_refused_without_a_panic(text in "[/a-z.*#> ]{0,20}|.{0,10}", kind in "/topic/|") {
            let text = format!("{kind}{text}");
            let _ = check(&text, &Broker::default());
            let _ = check_name(&text, &topics_and(&Broker::default(), &["/queue/", "/user/"]), 100);
        }
    }
}
