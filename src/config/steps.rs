//! What patterns and destinations are made of: words with the separator before them, and wildcards. Whoever reads a pattern,
//! the broker to deliver, the configuration to warn, the rules to allow, reads it here, so they cannot take it for different
//! things. Two patterns are compared here, too: whether they have a destination in common, and whether one has all of the
//! other's.
//!
//! Does not know: prefixes, which texts are allowed, subscribers, or principals.

/// A word with the separator before it; the first has none.
pub(crate) type Word<'a> = (Option<char>, &'a str);

/// One word of a pattern. The separator before it is none for the first word, and behind an [`Any`](Self::Any), where every one
/// will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step<W> {
    /// This word.
    Literal(Option<char>, W),
    /// `*`: one word, whatever it is.
    One(Option<char>),
    /// `**` or `#`: any number of words, with whatever separators.
    Any,
}

/// A piece of a word of a rule's pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text that means itself.
    Text(&'a str),
    /// `{claim}`: what the principal's claim of that name says.
    Claim(&'a str),
}

/// The words of a destination or a pattern. There is always one, if only an empty one.
pub(crate) fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let mut separator = None;
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let own = separator;
        let word = match text.split_once(['.', '/']) {
            Some((word, tail)) => {
                separator = text.get(word.len()..).and_then(|rest| rest.chars().next());
                rest = Some(tail);
                word
            }
            None => {
                rest = None;
                text
            }
        };
        Some((own, word))
    })
}

/// The steps of a pattern, one for each word.
pub(crate) fn steps(pattern: &str) -> impl Iterator<Item = Step<&str>> {
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

/// The steps of a pattern as [`Comparison::covers`] sees through them: next to a `**` words come in any number, so `**.*`, which
/// has at least one, is written with a `**` on either side of it.
pub(crate) fn compiled(pattern: &str) -> Vec<Step<&str>> {
    let mut compiled = Vec::new();
    for step in steps(pattern) {
        let after_any = compiled.last() == Some(&Step::Any);
        match step {
            Step::Any if after_any => {}
            // It is not bound to its separator; what comes behind keeps its own.
            Step::One(None) if after_any => compiled.extend([step, Step::Any]),
            step => compiled.push(step),
        }
    }
    compiled
}

/// The steps of a destination in which no word is a wildcard, whatever it looks like.
pub(crate) fn literal(destination: &str) -> Vec<Step<&str>> {
    words(destination).map(|(separator, word)| Step::Literal(separator, word)).collect()
}

/// The pieces of a word with placeholders; none if its braces do not pair or hold no name.
pub(crate) fn pieces(word: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = word;
    while let Some((text, behind)) = rest.split_once('{') {
        let (claim, tail) = behind.split_once('}')?;
        if claim.is_empty() || claim.contains('{') || text.contains('}') {
            return None;
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        pieces.push(Piece::Claim(claim));
        rest = tail;
    }
    if rest.contains('}') {
        return None;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Some(pieces)
}

/// Whether a text can stand for a part of one word, and nothing else, in any place that reads it as a destination or a pattern.
/// In `/user/NAME/...` the broker reads `%2F` as a slash.
pub(crate) fn is_plain(value: &str) -> bool {
    let read_otherwise = |c: char| matches!(c, '.' | '/' | '*' | '#' | '{' | '}');
    !value.is_empty() && !value.contains(read_otherwise) && !value.contains("%2F") && !value.contains("%2f")
}

/// Compares patterns: both questions are a walk through the pairs of places reached in both, each visited once, so a comparison
/// costs at most the product of the two lengths, whatever the patterns are.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Which places of the second pattern go together with the present place of the first, and with the next.
    row: Vec<bool>,
    next: Vec<bool>,
    /// Pairs of places looked at so far, and rows of them begun.
    pub(crate) looks: usize,
}

impl Comparison {
    /// Whether some destination fits both. Exact.
    pub(crate) fn overlaps<A: AsRef<str>, B: AsRef<str>>(&mut self, one: &[Step<A>], other: &[Step<B>]) -> bool {
        self.walk(one, other, |a, b| match (a, b) {
            // One of them takes any word that the other has, or none; then the other one's next place comes.
            (Some(Step::Any), _) | (_, Some(Step::Any)) => Move::Either,
            (Some(a), Some(b)) if a.meets(b) => Move::Both,
            _ => Move::None,
        })
    }

    /// Whether every destination that fits `inner` fits `outer`, both [`compiled`]. Where `**` meets words behind different
    /// separators, it may overlook that this is so; it never claims it wrongly.
    pub(crate) fn covers<A: AsRef<str>, B: AsRef<str>>(&mut self, outer: &[Step<A>], inner: &[Step<B>]) -> bool {
        self.walk(outer, inner, |a, b| match (a, b) {
            (Some(Step::Any), _) => Move::Either,
            (Some(a), Some(b)) if a.covers(b) => Move::Both,
            _ => Move::None,
        })
    }

    fn walk<A, B>(
        &mut self,
        one: &[Step<A>],
        other: &[Step<B>],
        step: impl Fn(Option<&Step<A>>, Option<&Step<B>>) -> Move,
    ) -> bool {
        let Self { row, next, looks } = self;
        clear(row, other.len() + 1);
        if let Some(start) = row.first_mut() {
            *start = true;
        }
        for a in one.iter().map(Some).chain([None]) {
            clear(next, other.len() + 1);
            *looks += 1;
            let mut anywhere = false;
            // Whether the place before led here without leaving the row.
            let mut from_left = false;
            for (at, b) in other.iter().map(Some).chain([None]).enumerate() {
                let reached = from_left || row.get(at).copied().unwrap_or(false);
                from_left = false;
                if !reached {
                    continue;
                }
                if a.is_none() && b.is_none() {
                    return true;
                }
                anywhere = true;
                *looks += 1;
                match step(a, b) {
                    Move::None => {}
                    Move::Both => mark(next, at + 1),
                    Move::Either => {
                        from_left = true;
                        mark(next, at);
                    }
                }
            }
            if !anywhere {
                return false;
            }
            std::mem::swap(row, next);
        }
        false
    }
}

/// Where a pair of places leads.
enum Move {
    /// Nowhere.
    None,
    /// To the next place of both.
    Both,
    /// To the next place of the one or of the other.
    Either,
}

impl<W: AsRef<str>> Step<W> {
    /// Whether some word fits both. Not for [`Step::Any`].
    fn meets<V: AsRef<str>>(&self, other: &Step<V>) -> bool {
        let together = |a: &Option<char>, b: &Option<char>| a.is_none() || b.is_none() || a == b;
        match (self, other) {
            (Step::Literal(a, word), Step::Literal(b, found)) => word.as_ref() == found.as_ref() && together(a, b),
            (Step::Literal(a, _) | Step::One(a), Step::Literal(b, _) | Step::One(b)) => together(a, b),
            _ => false,
        }
    }

    /// Whether every word that fits the other fits this one. Not for [`Step::Any`].
    fn covers<V: AsRef<str>>(&self, other: &Step<V>) -> bool {
        let within = |own: &Option<char>, other: &Option<char>| own.is_none() || own == other;
        match (self, other) {
            (Step::One(own), Step::One(separator) | Step::Literal(separator, _)) => within(own, separator),
            (Step::Literal(own, word), Step::Literal(separator, found)) => {
                word.as_ref() == found.as_ref() && within(own, separator)
            }
            _ => false,
        }
    }
}

fn clear(row: &mut Vec<bool>, length: usize) {
    row.clear();
    row.resize(length, false);
}

fn mark(row: &mut [bool], at: usize) {
    if let Some(place) = row.get_mut(at) {
        *place = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_separators() {
        let found: Vec<_> = words("/topic/a.b.").collect();
        let expected = [(None, ""), (Some('/'), "topic"), (Some('/'), "a"), (Some('.'), "b"), (Some('.'), "")];
        assert_eq!(found, expected);
        assert_eq!(words("").collect::<Vec<_>>(), [(None, "")]);
    }

    #[test]
    fn a_word_is_text_and_placeholders_or_neither() {
        assert_eq!(pieces("a"), Some(vec![Piece::Text("a")]));
        assert_eq!(
            pieces("a{b}-{c}d"),
            Some(vec![Piece::Text("a"), Piece::Claim("b"), Piece::Text("-"), Piece::Claim("c"), Piece::Text("d")])
        );
        assert_eq!(pieces(""), Some(vec![]));
        for broken in ["{", "}", "{}", "{a", "a}", "{a}}", "}{a}", "{{a}}", "{a{b}", "a}b{c}"] {
            assert_eq!(pieces(broken), None, "{broken}");
        }
    }

    #[test]
    fn words_next_to_any_number_of_them_have_no_order() {
        let same = |a, b| assert_eq!(compiled(a), compiled(b), "{a} {b}");
        same("**.*", "#.**.*.#");
        same("/a.**.*.#.*", "/a.**/*/#/*.**");
        // The first of the three is bound to its separator, the others are not.
        assert_ne!(compiled("/a.*.**"), compiled("/a.**.*"));
        assert_eq!(compiled("**.*.*"), [Step::Any, Step::One(None), Step::Any, Step::One(Some('.'))]);
    }

    #[test]
    fn a_comparison_costs_at_most_the_product_of_the_lengths() {
        for piece in ["*.", "#.a.", "a.", "#.*.a.", "*.#.a.", "**/"] {
            for other in ["*.", "#.a.", "a.", "a.#.b.", "**."] {
                let (one, two) = (format!("{}b", piece.repeat(60)), format!("{}c", other.repeat(90)));
                let (one, two) = (compiled(&one), compiled(&two));
                let mut comparison = Comparison::default();
                assert!(!comparison.overlaps(&one, &two) || piece.contains('*'), "{piece} {other}");
                comparison.covers(&one, &two);
                assert!(comparison.looks <= 2 * (one.len() + 1) * (two.len() + 2), "{}", comparison.looks);
            }
        }
    }

    #[test]
    fn patterns_that_differ_at_once_are_left_at_once() {
        let long = format!("/topic/b.{}", "*.".repeat(400));
        let mut comparison = Comparison::default();
        assert!(!comparison.overlaps(&compiled("/topic/a.**"), &compiled(&long)));
        assert!(!comparison.overlaps(&compiled(&long), &compiled("/topic/a.**")));
        assert!(comparison.looks <= 16, "{}", comparison.looks);
    }
}
