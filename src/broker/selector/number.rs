//! Decimal numbers of any length, compared exactly. Headers carry ids beyond the 53 bits that a float keeps, and amounts
//! such as 0.1 that it does not have; so nothing is converted: a number stays the digits that were written, and two numbers
//! are compared by sign, by magnitude, then digit by digit.
//!
//! Does not know: headers, selectors, or any arithmetic.

use std::cmp::Ordering;

/// A number, borrowed from its text, with its value in a form that has one spelling: sign × 0.DIGITS × 10^magnitude, where
/// DIGITS neither begins nor ends with a zero.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    sign: Sign,
    magnitude: i64,
    /// The digits, in two pieces since a point may stand between them.
    digits: [&'a str; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sign {
    Negative,
    Zero,
    Positive,
}

impl<'a> Number<'a> {
    /// Reads a number: a sign or none; digits, with a point among or beside them or without; an exponent of ten of up to
    /// four digits, or none. `None` if the text is anything else, blanks included.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (digits, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        Some(Self::normal(negative, whole, fraction, exponent))
    }

    /// Which of two numbers is greater.
    pub fn compare(self, other: Number<'_>) -> Ordering {
        self.sign.cmp(&other.sign).then_with(|| match self.sign {
            Sign::Zero => Ordering::Equal,
            Sign::Positive => self.compare_size(other),
            Sign::Negative => self.compare_size(other).reverse(),
        })
    }

    fn normal(negative: bool, whole: &'a str, fraction: &'a str, exponent: i64) -> Self {
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let (magnitude, fraction) = if whole.is_empty() {
            let significant = fraction.trim_start_matches('0');
            (length(significant) - length(fraction), significant)
        } else {
            (length(whole), fraction)
        };
        let whole = if fraction.is_empty() { whole.trim_end_matches('0') } else { whole };
        let sign = match (whole.is_empty() && fraction.is_empty(), negative) {
            (true, _) => Sign::Zero,
            (false, true) => Sign::Negative,
            (false, false) => Sign::Positive,
        };
        Self { sign, magnitude: magnitude + exponent, digits: [whole, fraction] }
    }

    /// As [`compare`](Self::compare), of two numbers that are not zero, without their signs.
    fn compare_size(self, other: Number<'_>) -> Ordering {
        self.magnitude.cmp(&other.magnitude).then_with(|| self.bytes().cmp(other.bytes()))
    }

    fn bytes(self) -> impl Iterator<Item = u8> {
        let [head, tail] = self.digits;
        head.bytes().chain(tail.bytes())
    }
}

/// Four digits are far more than floats need, and too few to overflow anything.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 4 || !all_digits(digits) {
        return None;
    }
    text.parse().ok()
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn length(digits: &str) -> i64 {
    // No text in memory is longer.
    i64::try_from(digits.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One of the spellings of mantissa / 10^4.
    fn spelled(mantissa: i64, zeros: usize, shift: i64) -> String {
        let sign = if mantissa < 0 { "-" } else { "" };
        let digits = format!("{:05}", mantissa.unsigned_abs());
        let (whole, fraction) = digits.split_at(digits.len() - 4);
        // The point moves to the left by `shift` digits, and the exponent moves it back.
        let padded = format!("{}{whole}", "0".repeat(shift as usize));
        let (whole, moved) = padded.split_at(padded.len() - shift as usize);
        let exponent = if shift == 0 { String::new() } else { format!("e{shift}") };
        format!("{sign}{0}{whole}.{moved}{fraction}{0}{exponent}", "0".repeat(zeros))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5000, ..ProptestConfig::default() })]

        #[test]
        fn numbers_are_compared_as_whole_ones_are_however_they_are_spelled(
            a in prop_oneof![-20..20i64, -200_000..200_000i64, any::<i64>()], difference in prop_oneof![Just(0), -3..4i64, -100_000..100_000i64],
            zeros in (0..3usize, 0..3usize), shifts in (0..4i64, 0..4i64),
        ) {
            let b = a.saturating_add(difference);
            let (left, right) = (spelled(a, zeros.0, shifts.0), spelled(b, zeros.1, shifts.1));
            let ordering = Number::parse(&left).unwrap().compare(Number::parse(&right).unwrap());
            prop_assert_eq!(ordering, a.cmp(&b), "{} and {}", left, right);
        }
    }

    #[test]
    fn numbers_are_exact_and_of_any_length() {
        let long = "9".repeat(500);
        for (less, greater) in [
            ("9007199254740992", "9007199254740993"),
            ("0.1", "0.1000000000000000000000000000001"),
            ("0.09", ".1"),
            ("0.011", "0.1"),
            ("9.9e499", &*long),
            (&*long, "1e500"),
            (&*long, &format!("{long}0")),
            (&*long, &format!("{long}.01")),
            (&format!("-{long}"), "-1"),
            ("1e-9999", "1e-9998"),
            ("0", "1e-9999"),
            ("-1e-9999", "0"),
            ("-10", "-9"),
            ("-0.51", "-0.5"),
        ] {
            let (less, greater) = (Number::parse(less).unwrap(), Number::parse(greater).unwrap());
            assert_eq!(less.compare(greater), Ordering::Less, "{less:?} and {greater:?}");
            assert_eq!(greater.compare(less), Ordering::Greater, "{less:?} and {greater:?}");
        }
        for spellings in
            [["0", "-0.00e5", "+0."], ["5", "05.", "+.5e1"], ["100", "1E+2", "100.0"], ["0.01", "1e-2", ".010"]]
        {
            for (left, right) in spellings.iter().flat_map(|left| spellings.iter().map(move |right| (left, right))) {
                let ordering = Number::parse(left).unwrap().compare(Number::parse(right).unwrap());
                assert_eq!(ordering, Ordering::Equal, "{left} and {right}");
            }
        }
    }

    #[test]
    fn an_exponent_of_many_digits_is_none() {
        assert!(Number::parse("1e9999").is_some());
        assert!(Number::parse("1e-9999").is_some());
        assert!(Number::parse("1e10000").is_none());
        assert!(Number::parse(&format!("1e{}", "0".repeat(1000))).is_none());
    }
}
