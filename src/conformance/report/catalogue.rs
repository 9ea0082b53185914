//! The rules themselves for people: the list of them, and what stands behind one.
//!
//! Does not know: what came of any check.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::text::wrapped;
use crate::conformance::Rule;

/// How like a name must be to be worth naming, of 1 for the same.
const LIKE: f64 = 0.5;
/// How many names are suggested at most.
const SUGGESTED: usize = 5;

/// The rules by group, a line each: level, `slow` where it is that, id and demand.
pub fn list(rules: &[Rule]) -> String {
    let width = rules.iter().map(|rule| rule.id.len()).max().unwrap_or_default();
    let (mut text, mut group) = (String::new(), "");
    for rule in rules {
        if rule.group != group {
            let gap = if group.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}{}", rule.group);
            group = rule.group;
        }
        let slow = if rule.slow { "slow" } else { "" };
        let _ = writeln!(text, "  {:<6}  {slow:<4}  {:<width$}  {}", rule.level.name(), rule.id, rule.demand);
    }
    text
}

/// The rule with that id, in any case; what a report puts behind an id, such as `@tcp`, does no harm.
///
/// # Errors
///
/// A sentence with the ids that may have been meant.
pub fn find<'r>(rules: &'r [Rule], id: &str) -> Result<&'r Rule, String> {
    let typed = id.split('@').next().unwrap_or_default().trim();
    if let Some(rule) = rules.iter().find(|rule| rule.id.eq_ignore_ascii_case(typed)) {
        return Ok(rule);
    }
    let lower = typed.to_lowercase();
    let mut near: Vec<(f64, &str)> = rules
        .iter()
        .map(|rule| match !lower.is_empty() && rule.id.to_lowercase().contains(&lower) {
            true => (1.0, rule.id),
            false => (likeness(&lower, &rule.id.to_lowercase()), rule.id),
        })
        .filter(|(likeness, _)| *likeness >= LIKE)
        .collect();
    near.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    let near: Vec<_> = near.into_iter().map(|(_, id)| id).take(SUGGESTED).collect();
    let mend = match near.is_empty() {
        true => "--list has all of them".to_owned(),
        false => format!("did you mean {}?", near.join(", ")),
    };
    Err(format!("there is no check {typed:?}; {mend}"))
}

/// What a rule demands, where that is written, and why it matters.
pub fn explanation(rule: &Rule) -> String {
    let slow = if rule.slow { ", slow: it runs with --slow only" } else { "" };
    let mut text = format!("{}\n  {}, {}{slow}\n\n", rule.id, rule.level, rule.group);
    for (title, said) in [("demands", rule.demand), ("source", rule.source), ("why", rule.why)] {
        text.push_str(&wrapped(&format!("  {title:<9}"), said));
    }
    text
}

/// The share of pairs of neighbouring letters that two names have in common.
fn likeness(left: &str, right: &str) -> f64 {
    let pairs = |name: &str| name.chars().zip(name.chars().skip(1)).collect::<BTreeSet<_>>();
    let (left, right) = (pairs(left), pairs(right));
    let both = left.intersection(&right).count();
    2.0 * both as f64 / (left.len() + right.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Level;

    const fn rule(id: &'static str, group: &'static str, slow: bool) -> Rule {
        let level = if slow { Level::May } else { Level::Should };
        Rule { id, group, level, demand: "Answers", source: "STOMP 1.2", why: "It matters", slow }
    }

    const RULES: [Rule; 3] = [
        rule("XhrPolling.test_transport", "xhr polling", false),
        rule("XhrStreaming.test_transport", "xhr streaming", true),
        rule("frames.every-split", "frames", false),
    ];

    #[test]
    fn an_id_is_found_or_the_near_ones_are_named() {
        assert_eq!(find(&RULES, "frames.every-split@tcp").unwrap().id, "frames.every-split");
        assert_eq!(find(&RULES, "xhrpolling.TEST_TRANSPORT").unwrap().group, "xhr polling");
        for (typed, meant) in [
            ("XhrPolling.test_transprot", "did you mean XhrPolling.test_transport"),
            ("test_transport", "did you mean XhrPolling.test_transport, XhrStreaming.test_transport?"),
            ("frame.every-splits", "did you mean frames.every-split?"),
            ("colour", "--list has all"),
            ("", "--list has all"),
        ] {
            let message = find(&RULES, typed).unwrap_err();
            assert!(message.contains(meant), "{message}");
        }
    }

    #[test]
    fn the_list_has_a_line_for_each_rule_below_its_group() {
        let expected = "\
xhr polling
  should        XhrPolling.test_transport    Answers

xhr streaming
  may     slow  XhrStreaming.test_transport  Answers

frames
  should        frames.every-split           Answers
";
        assert_eq!(list(&RULES), expected);
    }

    #[test]
    fn an_explanation_has_all_that_a_rule_says() {
        let text = explanation(&RULES[1]);
        for part in ["XhrStreaming.test_transport", "may", "--slow", "Answers", "STOMP 1.2", "It matters"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
