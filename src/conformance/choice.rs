//! Which checks are to run.
//!
//! Does not know: what the checks do.

use super::{Level, Rule};

/// What the user chose. The default chooses every check but the slow ones.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Parts of ids or groups, in any case: a check that has none of them is left out. Without any, all are in. One that begins with
    /// `!` takes out what has the rest of it.
    pub filters: Vec<String>,
    /// Whole ids: nothing else is in. Without any, this leaves out nothing.
    pub only: Vec<String>,
    /// Whether slow checks are in.
    pub slow: bool,
    /// The least level that is in; all of them without.
    pub level: Option<Level>,
}

impl Choice {
    /// Whether a check is listed and reported at all. A slow one may be in and yet not run, which its report says.
    pub fn has(&self, rule: &Rule) -> bool {
        if self.level.is_some_and(|least| rule.level > least) {
            return false;
        }
        if !self.only.is_empty() && !self.only.iter().any(|only| only == rule.id) {
            return false;
        }
        let (id, group) = (rule.id.to_lowercase(), rule.group.to_lowercase());
        let fits = |part: &str| id.contains(part) || group.contains(part);
        let (out, wanted): (Vec<_>, Vec<_>) =
            self.filters.iter().map(|filter| filter.to_lowercase()).partition(|filter| filter.starts_with('!'));
        let chosen = wanted.is_empty() || wanted.iter().any(|part| fits(part));
        chosen && !out.iter().any(|part| fits(part.trim_start_matches('!')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        id: "XhrPolling.test_transport",
        group: "xhr polling",
        level: Level::Should,
        demand: "",
        source: "",
        why: "",
        slow: false,
    };

    #[test]
    fn a_filter_is_a_part_of_an_id_or_a_group() {
        let has = |filters: &[&str]| {
            let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
            Choice { filters, ..Choice::default() }.has(&RULE)
        };
        assert!(has(&[]) && has(&["xhrpolling"]) && has(&["XHR P"]) && has(&["other", "test_transport"]));
        assert!(!has(&["other"]) && !has(&["xhr", "!transport"]) && !has(&["!XHR"]) && has(&["!other"]));
    }

    #[test]
    fn an_id_of_only_is_a_whole_one() {
        let has = |only: &[&str]| {
            let only = only.iter().map(|id| (*id).to_owned()).collect();
            Choice { only, ..Choice::default() }.has(&RULE)
        };
        assert!(has(&[]) && has(&["XhrPolling.test_transport"]) && has(&["other", RULE.id]));
        assert!(!has(&["other"]) && !has(&["XhrPolling"]) && !has(&["xhrpolling.test_transport"]));
    }

    #[test]
    fn a_level_takes_itself_and_what_is_weightier() {
        let has = |level| Choice { level, ..Choice::default() }.has(&RULE);
        assert!(has(None) && has(Some(Level::May)) && has(Some(Level::Should)) && !has(Some(Level::Must)));
    }
}
