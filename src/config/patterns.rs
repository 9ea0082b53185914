//! The texts of destinations and patterns: whether one can be meant, and whether one pattern leaves anything to another.
//!
//! Does not know: settings, the broker's matcher; the rules of wildcards are the same, and here only whole patterns are compared.

use super::error::Complaint;
use super::suggest;

/// What a `[[destination]]` can be about.
pub(super) const KINDS: [&str; 3] = ["/topic/", "/queue/", "/user/"];

/// A pattern of one of [`KINDS`].
pub(super) fn check(text: &str, longest: usize) -> Result<(), Complaint> {
    check_words(text, &KINDS, longest, true)
}

/// The name of one destination of one of `kinds`.
pub(super) fn check_name(text: &str, kinds: &[&str], longest: usize) -> Result<(), Complaint> {
    check_words(text, kinds, longest, false)
}

fn check_words(text: &str, kinds: &[&str], longest: usize, wildcards: bool) -> Result<(), Complaint> {
    let complain = |fault: &str, mend: String| Err(Complaint::new(format!("is {text:?}, {fault}"), mend));
    let Some(name) = kinds.iter().find_map(|kind| text.strip_prefix(kind)) else {
        return complain(&format!("which does not begin with {}", listed(kinds)), meant(text, kinds));
    };
    if name.is_empty() {
        let all = if wildcards { format!(", or \"{text}**\" for all of them") } else { String::new() };
        return complain("which has no name behind the last slash", format!("write \"{text}NAME\"{all}"));
    }
    if text.trim_end() != text || text.contains(char::is_control) {
        return complain("which has invisible characters in it", format!("write {:?}", visible(text)));
    }
    if text.len() > longest {
        let fault = format!("is {} bytes long, more than `max_name` in [broker], which is {longest}", text.len());
        return Err(Complaint::new(fault, "shorten it, or raise the other"));
    }
    for (_, word) in words(name) {
        let fault = match word {
            "*" | "**" | "#" if wildcards => continue,
            "*" | "**" | "#" => format!("which has the wildcard {word} in it"),
            // ActiveMQ's way.
            ">" => "where > is no wildcard".to_owned(),
            _ if word.contains('*') => "where a * is only a part of a word".to_owned(),
            _ => continue,
        };
        let mend = if wildcards {
            "write * for one whole word, ** for any number of words; words are separated by . or /"
        } else {
            "write the name of one destination"
        };
        return complain(&fault, mend.to_owned());
    }
    Ok(())
}

/// Whether every destination that `inner` fits is one that `outer` fits. Where several wildcards meet, it may overlook that this is
/// so; it never claims it wrongly.
pub(super) fn covers(outer: &str, inner: &str) -> bool {
    let outer: Vec<Step<'_>> = steps(outer).collect();
    let inner: Vec<Step<'_>> = steps(inner).collect();
    // Row by row from the end: whether what is left of `outer` covers what is left of `inner` from each of its steps.
    let mut rest = vec![false; inner.len()];
    rest.push(true);
    for step in outer.iter().rev() {
        let mut row = vec![false; inner.len() + 1];
        for at in (0..row.len()).rev() {
            row[at] = match (step, inner.get(at)) {
                (Step::Any, None) => rest[at],
                (Step::Any, Some(_)) => rest[at] || row[at + 1],
                (_, Some(other)) => step.covers(other) && rest[at + 1],
                (_, None) => false,
            };
        }
        rest = row;
    }
    rest[0]
}

/// One word of a pattern, with the separator before it. Behind an [`Step::Any`] every separator will do, and there is none.
enum Step<'p> {
    Literal(Option<char>, &'p str),
    One(Option<char>),
    Any,
}

impl Step<'_> {
    fn covers(&self, other: &Step<'_>) -> bool {
        let fits = |own: &Option<char>, other: &Option<char>| own.is_none() || own == other;
        match (self, other) {
            (Step::Any, _) => true,
            (Step::One(own), Step::One(separator) | Step::Literal(separator, _)) => fits(own, separator),
            (Step::Literal(own, word), Step::Literal(separator, other)) => word == other && fits(own, separator),
            _ => false,
        }
    }
}

fn steps(pattern: &str) -> impl Iterator<Item = Step<'_>> {
    let mut after_any = false;
    words(pattern).map(move |(separator, word)| {
        let separator = separator.filter(|_| !after_any);
        after_any = matches!(word, "**" | "#");
        match word {
            "*" => Step::One(separator),
            "**" | "#" => Step::Any,
            _ => Step::Literal(separator, word),
        }
    })
}

/// The words, each with the separator before it; the first has none.
fn words(text: &str) -> impl Iterator<Item = (Option<char>, &str)> {
    let mut separator = None;
    text.split_inclusive(['.', '/']).chain(text.ends_with(['.', '/']).then_some("")).map(move |piece| {
        let word = piece.trim_end_matches(['.', '/']);
        let before = separator;
        separator = piece.chars().last();
        (before, word)
    })
}

/// What somebody probably wanted to write who wrote none of the kinds.
fn meant(text: &str, kinds: &[&str]) -> String {
    let bare = text.trim_start_matches('/');
    if matches!(bare, "*" | "**" | "#") {
        return "write a table for each kind, such as \"/topic/**\"".to_owned();
    }
    if bare.is_empty() {
        return "write the whole destination, such as \"/queue/orders\"".to_owned();
    }
    let Some((kind, name)) = bare.split_once('/').filter(|(_, name)| !name.is_empty()) else {
        let each: Vec<String> = kinds.iter().map(|kind| format!("\"{kind}{bare}\"")).collect();
        return format!("write {}", listed(&each.iter().map(String::as_str).collect::<Vec<_>>()));
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
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
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
    fn words_keep_their_separators() {
        let found: Vec<_> = words("/topic/a.b.").collect();
        let expected = [(None, ""), (Some('/'), "topic"), (Some('/'), "a"), (Some('.'), "b"), (Some('.'), "")];
        assert_eq!(found, expected);
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
            let _ = check(&text, 100);
            let _ = check_name(&text, &KINDS, 100);
        }
    }
}
