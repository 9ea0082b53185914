//! "Did you mean": the known name that a mistyped one is nearest to.
//!
//! Does not know: what the names stand for.

/// The name in `known` that `typed` most probably stands for, if any is near enough to be worth naming.
pub(super) fn nearest<'k>(typed: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    // One slip in every three letters; more than that and a suggestion is a guess.
    let tolerance = (typed.chars().count() / 3).max(1);
    known
        .map(|name| (slips(typed, name), name))
        .filter(|(slips, _)| *slips <= tolerance)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, name)| name)
}

/// Letters to insert, delete, replace or swap with their neighbour to make one name of the other; case does not count.
fn slips(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().map(|c| c.to_ascii_lowercase()).collect();
    let right: Vec<char> = right.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, &l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &r) in right.iter().enumerate() {
            let replaced = last[j] + usize::from(l != r);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && l == right[j - 1] && left[i - 1] == r {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = ["heartbeat", "path", "cookie", "max_body", "pong_timeout"];

    #[test]
    fn a_slip_finds_its_name() {
        for (typed, meant) in [
            ("heartbeet", "heartbeat"),
            ("Heartbeat", "heartbeat"),
            ("hearbteat", "heartbeat"),
            ("pth", "path"),
            ("max-body", "max_body"),
        ] {
            assert_eq!(nearest(typed, KNOWN.into_iter()), Some(meant), "{typed}");
        }
    }

    #[test]
    fn a_stranger_finds_nothing() {
        for typed in ["", "x", "colour", "timeout_of_everything"] {
            assert_eq!(nearest(typed, KNOWN.into_iter()), None, "{typed:?}");
        }
    }

    #[test]
    fn slips_are_counted() {
        assert_eq!(slips("", "abc"), 3);
        assert_eq!(slips("abc", ""), 3);
        assert_eq!(slips("abc", "acb"), 1);
        assert_eq!(slips("kitten", "sitting"), 3);
    }
}
