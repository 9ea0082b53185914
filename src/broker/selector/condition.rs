//! A selector as a tree, and its evaluation with the three truth values of SQL. How two values are compared, the heart of
//! the table in docs/selectors.md, is [`Value::compare`].
//!
//! Does not know: how selectors are written, or that the parser bounds how deep the tree is.

use std::cmp::Ordering;

use crate::stomp::Headers;

use super::like::Like;
use super::number::Number;
use super::steps::{Exhausted, Steps};

/// A condition that a message's headers meet, do not meet, or say nothing about.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    /// TRUE or FALSE.
    Constant(bool),
    /// NOT.
    Not(Box<Condition>),
    /// Conditions with AND between them.
    All(Box<[Condition]>),
    /// Conditions with OR between them.
    Any(Box<[Condition]>),
    /// Two operands with `=` and the like between them.
    Comparison(Operand, Operator, Operand),
    /// BETWEEN: an operand, the lower bound, the upper bound.
    Between(Box<[Operand; 3]>),
    /// IN: a header's name and the list.
    In(Box<str>, Box<[Literal]>),
    /// LIKE: a header's name and the pattern.
    Like(Box<str>, Like),
    /// IS NULL: a header's name.
    IsNull(Box<str>),
}

/// One side of a comparison.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    /// The value of the header of that name.
    Header(Box<str>),
    /// A value that stands in the selector.
    Literal(Literal),
}

/// A value that stands in the selector.
#[derive(Debug, Clone)]
pub(super) enum Literal {
    /// `'text'`, unquoted.
    Text(Box<str>),
    /// A number as it is written.
    Number(Box<str>),
    /// TRUE or FALSE. Never a side of an order: the parser sees to that.
    Boolean(bool),
}

/// What must hold between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a condition can be. In this order AND is the least of its parts, and OR the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Truth {
    False,
    Unknown,
    True,
}

/// An operand with the header looked up.
#[derive(Clone, Copy)]
enum Value<'a> {
    Header(&'a str),
    Literal(&'a Literal),
}

impl Condition {
    /// Whether the condition is true of these headers; if the steps do not suffice, it is not.
    pub fn holds(&self, headers: &Headers, steps: &mut Steps) -> bool {
        self.evaluate(headers, steps) == Ok(Truth::True)
    }

    fn evaluate(&self, headers: &Headers, steps: &mut Steps) -> Result<Truth, Exhausted> {
        Ok(match self {
            Self::Constant(truth) => Truth::from(*truth),
            Self::Not(condition) => condition.evaluate(headers, steps)?.not(),
            Self::All(conditions) => {
                let mut least = Truth::True;
                for condition in conditions {
                    least = least.min(condition.evaluate(headers, steps)?);
                    if least == Truth::False {
                        break;
                    }
                }
                least
            }
            Self::Any(conditions) => {
                let mut greatest = Truth::False;
                for condition in conditions {
                    greatest = greatest.max(condition.evaluate(headers, steps)?);
                    if greatest == Truth::True {
                        break;
                    }
                }
                greatest
            }
            Self::Comparison(left, operator, right) => {
                let left = left.look_up(headers, steps)?;
                let right = right.look_up(headers, steps)?;
                compare(left, *operator, right, steps)?
            }
            Self::Between(operands) => {
                let [value, low, high] = &**operands;
                let value = value.look_up(headers, steps)?;
                let low = low.look_up(headers, steps)?;
                let high = high.look_up(headers, steps)?;
                let above = compare(value, Operator::GreaterOrEqual, low, steps)?;
                let below = compare(value, Operator::LessOrEqual, high, steps)?;
                above.min(below)
            }
            Self::In(name, list) => {
                let Some(value) = look_up(name, headers, steps)? else { return Ok(Truth::Unknown) };
                let mut greatest = Truth::False;
                for literal in list {
                    let literal = Value::Literal(literal);
                    greatest =
                        greatest.max(compare(Some(Value::Header(value)), Operator::Equal, Some(literal), steps)?);
                    if greatest == Truth::True {
                        break;
                    }
                }
                greatest
            }
            Self::Like(name, pattern) => match look_up(name, headers, steps)? {
                Some(value) => pattern.matches(value, steps)?.into(),
                None => Truth::Unknown,
            },
            Self::IsNull(name) => look_up(name, headers, steps)?.is_none().into(),
        })
    }
}

impl Operand {
    fn look_up<'a>(&'a self, headers: &'a Headers, steps: &mut Steps) -> Result<Option<Value<'a>>, Exhausted> {
        Ok(match self {
            Self::Header(name) => look_up(name, headers, steps)?.map(Value::Header),
            Self::Literal(literal) => Some(Value::Literal(literal)),
        })
    }
}

impl Operator {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Unequal => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Truth {
    fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }
}

impl From<bool> for Truth {
    fn from(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }
}

impl<'a> Value<'a> {
    /// Which of two values is greater: as numbers if both can be read so, as texts otherwise. A text in quotes is a text
    /// whatever it says, and what it is compared with is one, too. None if the selector has a number and the header is
    /// none: as texts, `abc` would be greater than 5.
    fn compare(self, other: Value<'_>, steps: &mut Steps) -> Result<Option<Ordering>, Exhausted> {
        if let (Some(own), Some(others)) = (self.numeral(), other.numeral()) {
            steps.pay_for_bytes(own.len() + others.len())?;
            if let (Some(own), Some(others)) = (Number::parse(own), Number::parse(others)) {
                return Ok(Some(own.compare(others)));
            }
            if self.is_number() || other.is_number() {
                return Ok(None);
            }
        }
        let (own, others) = (self.text(), other.text());
        steps.pay_for_bytes(own.len().min(others.len()))?;
        let same = (self.is_boolean() || other.is_boolean()) && own.eq_ignore_ascii_case(others);
        Ok(Some(if same { Ordering::Equal } else { own.cmp(others) }))
    }

    /// What is perhaps a number.
    fn numeral(self) -> Option<&'a str> {
        match self {
            Self::Header(text) => Some(text),
            Self::Literal(Literal::Number(text)) => Some(text),
            Self::Literal(Literal::Text(_) | Literal::Boolean(_)) => None,
        }
    }

    fn text(self) -> &'a str {
        match self {
            Self::Header(text) => text,
            Self::Literal(Literal::Text(text) | Literal::Number(text)) => text,
            Self::Literal(Literal::Boolean(true)) => "true",
            Self::Literal(Literal::Boolean(false)) => "false",
        }
    }

    fn is_boolean(self) -> bool {
        matches!(self, Self::Literal(Literal::Boolean(_)))
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Literal(Literal::Number(_)))
    }
}

/// Compares two values of which either may be missing, or of another kind than the other.
fn compare(
    left: Option<Value<'_>>,
    operator: Operator,
    right: Option<Value<'_>>,
    steps: &mut Steps,
) -> Result<Truth, Exhausted> {
    let (Some(left), Some(right)) = (left, right) else { return Ok(Truth::Unknown) };
    let ordering = left.compare(right, steps)?;
    Ok(ordering.map_or(Truth::Unknown, |ordering| operator.holds(ordering).into()))
}

fn look_up<'a>(name: &str, headers: &'a Headers, steps: &mut Steps) -> Result<Option<&'a str>, Exhausted> {
    steps.pay(1 + headers.len())?;
    Ok(headers.get(name))
}

#[cfg(test)]
mod tests {
    use super::super::Selector;
    use super::super::parser::parse;
    use super::*;

    /// The steps that a match takes if it may take as many as it likes, and its result.
    fn work(selector: &str, headers: &[(&str, &str)]) -> (usize, bool) {
        let headers = headers.iter().copied().collect();
        let mut steps = Steps::new(usize::MAX);
        let matches = parse(selector).unwrap().holds(&headers, &mut steps);
        (usize::MAX - steps.left(), matches)
    }

    fn cost(selector: &str, headers: &[(&str, &str)]) -> usize {
        work(selector, headers).0
    }

    #[test]
    fn what_people_write_is_far_from_the_limit() {
        let headers: Vec<_> = (0..20).map(|n| (format!("header-{n}"), "value ".repeat(10))).collect();
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        headers.extend([("kind", "order"), ("amount", "12.50"), ("region", "eu-west")]);
        let selector = "kind IN ('order', 'refund') AND amount BETWEEN 10 AND 100 AND region LIKE 'eu-%' \
             AND (header-19 LIKE '%value v%' OR urgent IS NOT NULL) AND NOT test";
        assert!(cost(selector, &headers) < 250, "{}", cost(selector, &headers));
    }

    #[test]
    fn a_row_of_not_costs_nothing() {
        assert_eq!(cost(&format!("{}a", "NOT ".repeat(255)), &[("a", "true")]), cost("a", &[("a", "true")]));
    }

    #[test]
    fn a_look_up_costs_as_many_steps_as_there_are_headers() {
        let header = ("a", "true");
        assert_eq!(cost("b IS NULL", &[header; 90]), cost("b IS NULL", &[header; 10]) + 80);
    }

    #[test]
    fn long_values_cost_more_than_short_ones_where_they_are_read_to_the_end() {
        let value = "1".repeat(8000);
        let long = |selector: &str| cost(selector, &[("a", &value)]);
        assert!(long("a = 1") >= 1000, "as a number");
        assert!(long(&format!("a = '{value}'")) >= 1000, "as a text");
        assert!(long("a LIKE '%2%'") >= 1000, "in search of a text");
        assert!(long(&format!("a LIKE '{value}'")) >= 1000, "for one fit");
        assert!(long(&format!("a LIKE '{}'", "_".repeat(8000))) >= 1000, "past characters");
        assert!(long("a = '1'") < 10, "a text that ends early");
    }

    #[test]
    fn a_list_costs_in_proportion_to_its_length_and_ends_at_the_hit() {
        let list = |count: usize| format!("a IN ({}'x')", "'y', ".repeat(count));
        let cost = |count| cost(&list(count), &[("a", "x")]);
        assert_eq!(cost(200) - cost(100), cost(300) - cost(200));
        assert_eq!(cost(200) - cost(100), 100);
        assert!(self::cost(&list(200), &[("a", "y")]) < 5);
    }

    #[test]
    fn and_ends_at_what_is_false_and_or_at_what_is_true() {
        let headers = [("a", "true"), ("b", "false")];
        let tail = |word: &str| format!(" {word} a = 'x'").repeat(100);
        assert_eq!(cost(&format!("b{}", tail("AND")), &headers), cost("b", &headers));
        assert_eq!(cost(&format!("a{}", tail("OR")), &headers), cost("a", &headers));
    }

    #[test]
    fn a_kibibyte_of_percent_signs_is_one() {
        let value = "a".repeat(8192);
        assert_eq!(
            work(&format!("a LIKE '{}'", "%".repeat(1024)), &[("a", &value)]),
            work("a LIKE '%'", &[("a", &value)])
        );
        assert!(work("a LIKE '%'", &[("a", &value)]).1);
    }

    /// Where backtracking over all `%` would take some 400 choose 100 steps.
    #[test]
    fn texts_between_percent_signs_cost_in_proportion_to_the_value() {
        for piece in ["%a", "%aa", "%ab%a"] {
            let pattern = format!("a LIKE '{}b'", piece.repeat(100));
            let cost = |length: usize| {
                let value = "a".repeat(length);
                let (cost, matches) = work(&pattern, &[("a", &value)]);
                assert!(!matches);
                cost
            };
            assert!(cost(800) <= 2 * cost(400), "{piece}: {} and {}", cost(400), cost(800));
            assert!(cost(800) <= 800 + 300, "{piece}: {}", cost(800));
        }
    }

    #[test]
    fn no_pattern_costs_more_than_its_length_times_the_value() {
        for piece in ["%_a", "%a_", "a_", "_%", "%a_%_a", "__%aa"] {
            for (pieces, length) in [(10, 40), (100, 400), (300, 2000)] {
                let pattern = format!("%{}b", piece.repeat(pieces));
                let value = "a".repeat(length);
                let (cost, matches) = work(&format!("a LIKE '{pattern}'"), &[("a", &value)]);
                assert!(!matches);
                assert!(cost <= 2 * pattern.len() * value.len(), "{pattern} took {cost} steps");
            }
        }
    }

    /// Without a limit it would be a match, with NOT before it or without.
    #[test]
    fn a_match_that_takes_too_long_is_none_and_not_cannot_make_it_one() {
        let headers: Headers = [("a", "x")].into_iter().collect();
        for selector in
            ["a = 'x'", "NOT a = 'y'", "NOT (b IS NOT NULL)", "NOT (a LIKE '%y' OR a = 'z')", "a LIKE '%_%'"]
        {
            let condition = parse(selector).unwrap();
            let needed = cost(selector, &[("a", "x")]);
            assert!(condition.holds(&headers, &mut Steps::new(needed)), "{selector}");
            for allowance in 0..needed {
                assert!(!condition.holds(&headers, &mut Steps::new(allowance)), "{selector} with {allowance} steps");
            }
        }
    }

    /// The worst that a selector of a kibibyte and headers of 8 KiB can do, before the limit cuts it.
    #[test]
    fn the_limit_is_what_ends_the_worst() {
        let value = "a".repeat(8192);
        let pattern = format!("a LIKE '%{}b'", "a_".repeat(500));
        assert!(cost(&pattern, &[("a", &value)]) > 100 * Selector::MAX_STEPS);
        let headers: Headers = [("a", &*value)].into_iter().collect();
        assert!(!Selector::parse(&pattern).unwrap().matches(&headers));
        assert!(!Selector::parse(&format!("NOT {pattern}")).unwrap().matches(&headers));
    }

    /// A selector is kept for as long as its subscription lives; what it holds is bounded by its text.
    #[test]
    fn conditions_are_small() {
        assert!(size_of::<Condition>() <= 64, "{}", size_of::<Condition>());
        assert!(size_of::<Literal>() <= 24, "{}", size_of::<Literal>());
    }
}
