//! The patterns of LIKE. Only the last `%` that was passed ever takes more of the value, since whatever an earlier one could
//! take beyond its first fit, the last one can take as well; so a match is a walk with one place to return to, and never
//! takes more than the product of the two lengths.
//!
//! Does not know: where the value comes from.

use super::steps::{Exhausted, Steps};

/// A pattern of LIKE, read.
#[derive(Debug, Clone)]
pub(super) struct Like {
    pieces: Box<[Piece]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Exactly this.
    Text(Box<str>),
    /// So many characters, whatever they are: a row of `_`.
    Skip(usize),
    /// `%`: any number of characters, none included.
    Any,
}

/// A place in a value and a place in the pattern that are to be brought together.
#[derive(Clone, Copy)]
struct Place<'v> {
    piece: usize,
    rest: &'v str,
}

impl Like {
    /// Reads a pattern. Behind the escape character, if there is one, `%`, `_` and itself stand for themselves; `None` if
    /// anything else, or nothing, follows it.
    pub fn parse(pattern: &str, escape: Option<char>) -> Option<Self> {
        let mut pieces = vec![];
        let mut text = String::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            if Some(c) == escape {
                text.push(chars.next().filter(|c| matches!(c, '%' | '_') || Some(*c) == escape)?);
                continue;
            }
            if !matches!(c, '%' | '_') {
                text.push(c);
                continue;
            }
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text).into()));
            }
            match (c, pieces.last_mut()) {
                ('%', Some(Piece::Any)) => {}
                ('%', _) => pieces.push(Piece::Any),
                (_, Some(Piece::Skip(count))) => *count += 1,
                (_, _) => pieces.push(Piece::Skip(1)),
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.into()));
        }
        Some(Self { pieces: pieces.into() })
    }

    /// Whether the whole value fits.
    pub fn matches(&self, value: &str, steps: &mut Steps) -> Result<bool, Exhausted> {
        let mut place = Place { piece: 0, rest: value };
        // Behind the last `%` that was passed, with what it has not taken.
        let mut retry: Option<Place<'_>> = None;
        loop {
            let piece = self.pieces.get(place.piece);
            let fit = match piece {
                None if place.rest.is_empty() => return Ok(true),
                None => None,
                Some(Piece::Any) => {
                    let Some(next) = self.first_fit(place.piece + 1, place.rest, steps)? else { return Ok(false) };
                    retry = Some(next);
                    place = next;
                    continue;
                }
                Some(piece) => piece.take(place.rest, steps)?,
            };
            if let Some(rest) = fit {
                place = Place { piece: place.piece + 1, rest };
                continue;
            }
            // The `%` takes one character more.
            let Some(Place { piece, rest }) = retry else { return Ok(false) };
            let mut chars = rest.chars();
            if chars.next().is_none() {
                return Ok(false);
            }
            retry = self.first_fit(piece, chars.as_str(), steps)?;
            let Some(next) = retry else { return Ok(false) };
            place = next;
        }
    }

    /// The first place from here on at which the pattern may go on with that piece; `None` if there is none.
    fn first_fit<'v>(&self, piece: usize, rest: &'v str, steps: &mut Steps) -> Result<Option<Place<'v>>, Exhausted> {
        let at = match self.pieces.get(piece) {
            // Nothing follows the `%`, so it takes all.
            None => Some(rest.len()),
            Some(Piece::Text(text)) => {
                steps.pay_for_bytes(text.len())?;
                let found = rest.find(&**text);
                steps.pay_for_bytes(found.unwrap_or(rest.len()))?;
                found
            }
            Some(Piece::Skip(_) | Piece::Any) => Some(0),
        };
        Ok(at.and_then(|at| rest.get(at..)).map(|rest| Place { piece, rest }))
    }
}

impl Piece {
    /// What is left of a value behind this piece; `None` if the value does not begin with it.
    fn take<'v>(&self, value: &'v str, steps: &mut Steps) -> Result<Option<&'v str>, Exhausted> {
        match self {
            Self::Text(text) => {
                steps.pay_for_bytes(text.len())?;
                Ok(value.strip_prefix(&**text))
            }
            Self::Skip(count) => {
                steps.pay_for_bytes(*count)?;
                let mut chars = value.chars();
                let skipped = chars.by_ref().take(*count).count();
                Ok((skipped == *count).then_some(chars.as_str()))
            }
            Self::Any => Ok(Some(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, value: &str) -> bool {
        let like = Like::parse(pattern, None).expect("there is no escape character");
        like.matches(value, &mut Steps::new(usize::MAX)).expect("there are steps enough")
    }

    #[test]
    fn a_pattern_fits_the_whole_value() {
        for (value, pattern, fits) in [
            ("abc", "abc", true),
            ("abc", "ab", false),
            ("abc", "bc", false),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "%d%", false),
            ("abc", "a_c", true),
            ("abc", "___", true),
            ("abc", "__", false),
            ("abc", "____", false),
            ("abc", "_%_", true),
            ("abc", "%___%", true),
            ("abc", "_%_%_%_", false),
            ("abc", "%", true),
            ("abc", "%%", true),
            ("abc", "ABC", false),
            ("abc", "", false),
            ("", "", true),
            ("", "%", true),
            ("", "_", false),
            ("abab", "%ab", true),
            ("aab", "%ab", true),
            ("abcabd", "%ab_", true),
            ("mississippi", "m%iss%ip%i", true),
            ("mississippi", "m%iss%iss%iss%", false),
            ("mississippi", "%is_ip%", true),
            ("äöü", "_ö_", true),
            ("äöü", "___", true),
            ("日本", "%本", true),
            ("a\nb", "a%b", true),
            ("a\nb", "a_b", true),
            ("a.c", "a.c", true),
            ("axc", "a.c", false),
            ("a\\b", "a\\b", true),
            ("it's", "it's", true),
        ] {
            assert_eq!(matches(pattern, value), fits, "{pattern} and {value}");
        }
    }

    #[test]
    fn a_row_of_wildcards_is_one_piece() {
        let like = Like::parse(&format!("{}{}a", "%".repeat(1000), "_".repeat(1000)), None).unwrap();
        assert_eq!(*like.pieces, [Piece::Any, Piece::Skip(1000), Piece::Text("a".into())]);
    }

    /// The definition, by trying everything.
    fn oracle(pattern: &[char], value: &[char]) -> bool {
        match (pattern, value) {
            ([], _) => value.is_empty(),
            (['%', rest @ ..], _) => (0..=value.len()).any(|taken| oracle(rest, &value[taken..])),
            (['_', rest @ ..], [_, others @ ..]) => oracle(rest, others),
            ([own, rest @ ..], [first, others @ ..]) => own == first && oracle(rest, others),
            (_, []) => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

        #[test]
        fn a_pattern_fits_what_its_definition_says(pattern in "[%_abé]{0,10}", value in "[abé]{0,12}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &value), oracle(&chars(&pattern), &chars(&value)));
        }

        /// Where every character is escaped that may be, a pattern fits itself and nothing else.
        #[test]
        fn an_escaped_text_fits_itself_alone(text in "[%_a!]{0,6}", other in "[%_a!]{0,6}") {
            let pattern: String = text.chars().flat_map(|c| [Some('!').filter(|_| c != 'a'), Some(c)]).flatten().collect();
            let like = Like::parse(&pattern, Some('!')).expect("every ! stands before what it may");
            let matches = |value: &str| like.matches(value, &mut Steps::new(usize::MAX)) == Ok(true);
            prop_assert!(matches(&text));
            prop_assert_eq!(matches(&other), text == other);
        }
    }
}
