//! Selectors: tables of what matches and of what errors say, an evaluation that is obviously right for all the rest, and
//! texts that are meant to hurt. How many steps a match takes is counted in the evaluation's own tests.

use proptest::prelude::*;
use towpath::broker::Selector;
use towpath::stomp::Headers;

const TRUE: Option<bool> = Some(true);
const FALSE: Option<bool> = Some(false);
const UNKNOWN: Option<bool> = None;

fn headers(entries: &[(&str, &str)]) -> Headers {
    entries.iter().copied().collect()
}

/// A condition's truth value, which shows only in what it and its opposite match.
fn truth(selector: &str, headers: &Headers) -> Option<bool> {
    let matches = |text: &str| Selector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).matches(headers);
    match (matches(selector), matches(&format!("NOT ({selector})"))) {
        (true, false) => TRUE,
        (false, true) => FALSE,
        (false, false) => UNKNOWN,
        (true, true) => panic!("{selector} and its opposite are both true"),
    }
}

fn check(entries: &[(&str, &str)], cases: &[(&str, Option<bool>)]) {
    let headers = headers(entries);
    for (selector, expected) in cases {
        assert_eq!(truth(selector, &headers), *expected, "{selector} with {entries:?}");
    }
}

#[test]
fn and_or_and_not_have_three_truth_values() {
    let atoms = [("t = 'x'", TRUE), ("t = 'y'", FALSE), ("missing = 'x'", UNKNOWN)];
    let headers = headers(&[("t", "x")]);
    for (left, a) in atoms {
        assert_eq!(truth(&format!("NOT {left}"), &headers), a.map(|a| !a));
        assert_eq!(truth(&format!("NOT NOT {left}"), &headers), a);
        for (right, b) in atoms {
            let and = match (a, b) {
                (FALSE, _) | (_, FALSE) => FALSE,
                (TRUE, TRUE) => TRUE,
                _ => UNKNOWN,
            };
            let or = match (a, b) {
                (TRUE, _) | (_, TRUE) => TRUE,
                (FALSE, FALSE) => FALSE,
                _ => UNKNOWN,
            };
            assert_eq!(truth(&format!("{left} AND {right}"), &headers), and, "{left} AND {right}");
            assert_eq!(truth(&format!("{left} OR {right}"), &headers), or, "{left} OR {right}");
        }
    }
}

#[test]
fn not_binds_closer_than_and_and_and_closer_than_or() {
    check(
        &[("t", "true"), ("f", "false")],
        &[
            ("t OR t AND f", TRUE),
            ("(t OR t) AND f", FALSE),
            ("f AND f OR t", TRUE),
            ("f AND (f OR t)", FALSE),
            ("NOT f OR t", TRUE),
            ("NOT t OR t", TRUE),
            ("NOT (t OR t)", FALSE),
            ("NOT f AND f", FALSE),
            ("NOT (f AND f)", TRUE),
            // NOT takes the whole comparison, as in SQL.
            ("NOT t = 'false'", TRUE),
            ("NOT t IN ('false')", TRUE),
            ("NOT x IS NULL", FALSE),
            ("t BETWEEN 's' AND 'u' AND f", FALSE),
            ("NOT t BETWEEN 's' AND 'u' OR t", TRUE),
        ],
    );
}

/// The table of docs/selectors.md.
#[test]
fn values_are_compared_as_the_table_says() {
    // Number and number: as numbers.
    check(
        &[("n", "18"), ("m", "18.00")],
        &[
            ("n = 18", TRUE),
            ("n = 18.0", TRUE),
            ("n = 1.8e1", TRUE),
            ("n = +018", TRUE),
            ("n = -18", FALSE),
            ("n <> 18", FALSE),
            ("n <> 19", TRUE),
            ("n < 100", TRUE),
            ("n > 2", TRUE),
            ("n <= 18", TRUE),
            ("n >= 18", TRUE),
            ("n < 18", FALSE),
            ("n > 18", FALSE),
            ("18 = n", TRUE),
            ("2 < n", TRUE),
            ("n = m", TRUE),
            ("n < m", FALSE),
            ("17 < 18", TRUE),
        ],
    );
    // Number and what is none: not at all. Two headers of which one is none: as texts.
    check(
        &[("n", "abc"), ("blank", " 18"), ("empty", ""), ("two", "2")],
        &[
            ("n = 18", UNKNOWN),
            ("n <> 18", UNKNOWN),
            ("n > 18", UNKNOWN),
            ("n < 18", UNKNOWN),
            ("18 < n", UNKNOWN),
            ("18 = n", UNKNOWN),
            ("blank = 18", UNKNOWN),
            ("empty = 0", UNKNOWN),
            ("n BETWEEN 1 AND 2", UNKNOWN),
            ("n NOT BETWEEN 1 AND 2", UNKNOWN),
            ("5 BETWEEN n AND 9", UNKNOWN),
            // One bound may be enough to say no.
            ("5 BETWEEN n AND 4", FALSE),
            ("n IN (1, 2)", UNKNOWN),
            ("n NOT IN (1, 2)", UNKNOWN),
            ("n IN (1, 'abc')", TRUE),
            ("n IN (1, 'x')", UNKNOWN),
            ("n <> '18'", TRUE),
            ("n > '18'", TRUE),
            ("n > 18 OR n = 'abc'", TRUE),
            ("n > 18 AND n = 'x'", FALSE),
            ("n = blank", FALSE),
            ("n > blank", TRUE),
            ("n > two", TRUE),
            ("two < n", TRUE),
        ],
    );
    // A text in quotes: as texts, whatever it says.
    check(
        &[("n", "18"), ("s", "red")],
        &[
            ("n = '18'", TRUE),
            ("n = '18.0'", FALSE),
            ("n < '2'", TRUE),
            ("n > '2'", FALSE),
            ("18 = '18'", TRUE),
            ("18 = '18.0'", FALSE),
            ("s = 'red'", TRUE),
            ("'red' = s", TRUE),
            ("s = 'Red'", FALSE),
            ("s <> 'blue'", TRUE),
            ("s > 'blue'", TRUE),
            ("s >= 'red'", TRUE),
            ("s < 'redder'", TRUE),
            ("s = n", FALSE),
            ("s > n", TRUE),
            ("s = ''", FALSE),
        ],
    );
    // TRUE and FALSE: as texts, whose case does not matter.
    check(
        &[("t", "true"), ("upper", "TRUE"), ("f", "False"), ("other", "yes")],
        &[
            ("t = TRUE", TRUE),
            ("upper = true", TRUE),
            ("t = FALSE", FALSE),
            ("t <> FALSE", TRUE),
            ("f = FALSE", TRUE),
            ("TRUE = t", TRUE),
            ("other = TRUE", FALSE),
            ("other = FALSE", FALSE),
            ("other <> TRUE", TRUE),
            ("TRUE = TRUE", TRUE),
            ("TRUE <> FALSE", TRUE),
            ("upper = 'true'", FALSE),
            ("t", TRUE),
            ("upper", TRUE),
            ("f", FALSE),
            ("other", FALSE),
            ("TRUE", TRUE),
            ("FALSE", FALSE),
            ("t IN (TRUE)", TRUE),
        ],
    );
    // A header that is missing: unknown.
    check(
        &[("n", "18")],
        &[
            ("x = 18", UNKNOWN),
            ("x <> 18", UNKNOWN),
            ("x < 18", UNKNOWN),
            ("18 >= x", UNKNOWN),
            ("x = x", UNKNOWN),
            ("x", UNKNOWN),
            ("x = TRUE", UNKNOWN),
            ("x IN ('a')", UNKNOWN),
            ("x NOT IN ('a')", UNKNOWN),
            ("x LIKE '%'", UNKNOWN),
            ("x NOT LIKE '%'", UNKNOWN),
            ("x BETWEEN 1 AND 2", UNKNOWN),
            ("x IS NULL", TRUE),
            ("x IS NOT NULL", FALSE),
            // One bound may be enough to say no.
            ("n BETWEEN 19 AND x", FALSE),
            ("n BETWEEN x AND 17", FALSE),
            ("n BETWEEN 17 AND x", UNKNOWN),
        ],
    );
}

#[test]
fn the_examples_of_the_manual_are_true() {
    let european = "region LIKE 'eu-%' AND NOT test";
    let careful = "region LIKE 'eu-%' AND (test IS NULL OR NOT test)";
    check(&[("priority", "10")], &[("priority > 5", TRUE)]);
    check(&[("region", "eu-west"), ("test", "false")], &[(european, TRUE), (careful, TRUE)]);
    check(&[("region", "eu-west")], &[(european, UNKNOWN), (careful, TRUE)]);
    check(&[("content-type", "application/json")], &[("content-type = 'application/json'", TRUE)]);
    check(&[("amount", "10.00")], &[("amount BETWEEN 10 AND 99.99", TRUE)]);
    check(&[("tenant", "a")], &[("tenant IN ('a', 'b') OR urgent", TRUE)]);
    check(&[("urgent", "true")], &[("tenant IN ('a', 'b') OR urgent", TRUE)]);
    check(&[("reply to", "")], &[("\"reply to\" IS NOT NULL", TRUE)]);
}

#[test]
fn in_between_and_is_null() {
    check(
        &[("color", "red"), ("n", "10"), ("empty", "")],
        &[
            ("color IN ('red')", TRUE),
            ("color IN ('blue', 'red', 'green')", TRUE),
            ("color IN ('blue')", FALSE),
            ("color NOT IN ('blue', 'green')", TRUE),
            ("color NOT IN ('red')", FALSE),
            ("color IN ('RED')", FALSE),
            ("n IN (1, 10.0)", TRUE),
            ("n IN ('10.0', 'red')", FALSE),
            ("n BETWEEN 9 AND 11", TRUE),
            ("n BETWEEN 10 AND 10", TRUE),
            ("n BETWEEN 11 AND 9", FALSE),
            ("n BETWEEN -5 AND +9.99", FALSE),
            ("n NOT BETWEEN 11 AND 12", TRUE),
            ("n NOT BETWEEN 9 AND 11", FALSE),
            ("n BETWEEN '9' AND '99'", FALSE),
            ("color BETWEEN 'blue' AND 'red'", TRUE),
            ("5 BETWEEN 1 AND n", TRUE),
            ("empty IS NULL", FALSE),
            ("empty IS NOT NULL", TRUE),
            ("empty = ''", TRUE),
        ],
    );
}

#[test]
fn like_takes_the_header_as_a_whole() {
    check(
        &[("x", "a.c"), ("empty", "")],
        &[
            ("x LIKE 'a%'", TRUE),
            ("x LIKE '_._'", TRUE),
            ("x LIKE 'a'", FALSE),
            ("x LIKE 'A%'", FALSE),
            ("x NOT LIKE '%b%'", TRUE),
            ("x NOT LIKE '%c'", FALSE),
            ("empty LIKE ''", TRUE),
            ("empty LIKE '_'", FALSE),
            ("'%' = x", FALSE),
        ],
    );
    check(
        &[("percent", "10%"), ("ten", "10x"), ("name", "a_b"), ("slash", "a\\b")],
        &[
            (r"percent LIKE '10\%' ESCAPE '\'", TRUE),
            (r"ten LIKE '10\%' ESCAPE '\'", FALSE),
            ("percent LIKE '%!%' ESCAPE '!'", TRUE),
            ("ten LIKE '%!%' ESCAPE '!'", FALSE),
            ("name LIKE 'a!_b' ESCAPE '!'", TRUE),
            ("ten LIKE '1!_x' ESCAPE '!'", FALSE),
            (r"slash LIKE 'a\\b' ESCAPE '\'", TRUE),
            (r"slash NOT LIKE 'a\\_' ESCAPE '\'", FALSE),
            ("name LIKE 'aé_b' ESCAPE 'é'", TRUE),
            ("name LIKE 'a''_b' ESCAPE ''''", TRUE),
            ("percent LIKE '10%%' ESCAPE '%'", TRUE),
            ("ten LIKE '10%%' ESCAPE '%'", FALSE),
        ],
    );
}

#[test]
fn numbers_are_exact_and_of_any_length() {
    let long = "9".repeat(500);
    check(
        &[("id", "9007199254740993"), ("small", "0.1"), ("long", &long), ("zero", "-0.00e5")],
        &[
            ("id = 9007199254740993", TRUE),
            ("id = 9007199254740992", FALSE),
            ("small = 1e-1", TRUE),
            ("small = 0.001E+2", TRUE),
            ("small < 0.1000000000000000000000000000001", TRUE),
            (&format!("long = {long}"), TRUE),
            (&format!("long < {long}.01"), TRUE),
            ("zero = 0", TRUE),
            ("-2 < -1", TRUE),
        ],
    );
}

#[test]
fn what_is_no_number_is_a_text() {
    for value in
        ["", " 5", "5 ", "0x5", "5L", "5f", ".", "-", "+", "e1", "5e", "5e+", "5e12345", "--5", "5..", "NaN", "inf"]
    {
        check(&[("x", value)], &[("x = 5", UNKNOWN), ("x < 5000", UNKNOWN), ("x BETWEEN '' AND '~'", TRUE)]);
    }
    for value in ["5", "+5", "05", "5.", "5.0", "0.5e1", "500e-2", "5E0"] {
        check(&[("x", value)], &[("x = 5", TRUE)]);
    }
}

#[test]
fn names_are_those_of_stomp_headers() {
    check(
        &[
            ("content-type", "text/plain"),
            ("a.b", "1"),
            ("a-b", "2"),
            ("$x_1", "3"),
            ("größe", "4"),
            ("ähnlich", "11"),
            ("in", "5"),
            ("not-before", "6"),
            ("two words", "7"),
            ("say \"hi\"", "8"),
            ("JMSType", "9"),
            ("x-y-", "10"),
        ],
        &[
            ("content-type = 'text/plain'", TRUE),
            ("a.b = 1", TRUE),
            // One name, never a difference.
            ("a-b = 2", TRUE),
            ("$x_1 = 3", TRUE),
            ("größe = 4", TRUE),
            ("ähnlich = 11", TRUE),
            ("\"in\" = 5", TRUE),
            ("not-before = 6", TRUE),
            ("\"two words\" = 7", TRUE),
            ("\"say \"\"hi\"\"\" = 8", TRUE),
            ("JMSType = 9", TRUE),
            ("x-y-=10", TRUE),
            // Their case counts.
            ("jmstype = 9", UNKNOWN),
            ("\"a-b\"=2", TRUE),
            ("\"TRUE\" = 'x'", UNKNOWN),
        ],
    );
}

#[test]
fn keywords_have_no_case_and_blanks_are_free() {
    check(
        &[("a", "-5"), ("b", "it's")],
        &[
            ("not a bEtWeEn 6 aNd 7", TRUE),
            ("a in(-5)Or b is nuLL", TRUE),
            ("\t\r\n\x0ca\n=\r\n-5 ", TRUE),
            ("a=-5 AND a>-6 AND a<+5", TRUE),
            ("b='it''s'AND b<>''", TRUE),
            ("(b='')OR(b='it''s')AND NOT(b='x')", TRUE),
        ],
    );
}

#[test]
fn of_repeated_headers_the_first_counts() {
    check(&[("a", "1"), ("a", "2")], &[("a = 1", TRUE), ("a = 2", FALSE)]);
}

#[test]
fn nothing_is_no_condition() {
    for text in ["", " ", "\n\t", "convert_string_expressions:", "hyphenated_props: "] {
        assert!(Selector::parse(text).unwrap().matches(&Headers::new()), "{text:?}");
    }
}

#[test]
fn the_prefixes_of_active_mq_ask_for_what_holds_anyway() {
    let headers = headers(&[("my-age", "21")]);
    for text in [
        "convert_string_expressions:my-age > 18",
        "hyphenated_props:my-age > 18",
        "hyphenated_props:convert_string_expressions: my-age > 18",
    ] {
        assert_eq!(truth("my-age > 18", &headers), TRUE);
        assert!(Selector::parse(text).unwrap().matches(&headers), "{text}");
    }
    let error = Selector::parse("hyphenated_props:my-age >").unwrap_err();
    assert_eq!(error.position(), 26);
}

// ---- an evaluation that is obviously right ----

/// A condition as a tree, with nothing in common with the one that is tested.
#[derive(Debug, Clone)]
enum Tree {
    Constant(bool),
    Flag(&'static str),
    Not(Box<Tree>),
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
    Comparison(Side, &'static str, Side),
    Between(Side, bool, Side, Side),
    In(&'static str, bool, Vec<Side>),
    Like(&'static str, bool, String),
    IsNull(&'static str, bool),
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Header(&'static str),
    Text(&'static str),
    Number(&'static str),
}

/// With the name as a selector writes it; the last is never there.
const NAMES: [(&str, &str); 5] =
    [("a", "a"), ("content-type", "content-type"), ("x.y", "\"x.y\""), ("in", "\"in\""), ("none", "none")];

const TEXTS: [&str; 12] = ["", "5", "5.0", "05", "-5", "50", "4.99", "a", "ab", "true", "FALSE", "it's é"];

const NUMBERS: [&str; 6] = ["5", "+5.0", "-5", "4.99", "0", "500e-1"];

impl Tree {
    /// As text with just the parentheses that are needed, on levels OR 0, AND 1, NOT 2. Each call takes a bit of `style`
    /// to decide about case, blanks and one pair of parentheses too many.
    fn print(&self, level: u8, style: &mut u64, out: &mut String) {
        *style = style.rotate_right(3);
        let (shout, wide, more) = (*style & 1 == 0, *style & 2 == 0, *style & 28 == 0);
        let own = match self {
            Self::Or(..) => 0,
            Self::And(..) => 1,
            _ => 2,
        };
        let parentheses = own < level || more;
        let word = |word: &str| {
            let word = if shout { word.to_owned() } else { word.to_lowercase() };
            if wide { format!(" \n{word} ") } else { format!(" {word} ") }
        };
        let not = |not: bool| if not { word("NOT") } else { String::new() };
        out.push_str(if parentheses { "(" } else { "" });
        match self {
            Self::Constant(truth) => out.push_str(&word(if *truth { "TRUE" } else { "FALSE" })),
            Self::Flag(name) => out.push_str(&Side::Header(name).print()),
            Self::Not(tree) => {
                out.push_str(&word("NOT"));
                tree.print(2, style, out);
            }
            Self::And(left, right) => {
                left.print(1, style, out);
                out.push_str(&word("AND"));
                right.print(1, style, out);
            }
            Self::Or(left, right) => {
                left.print(0, style, out);
                out.push_str(&word("OR"));
                right.print(0, style, out);
            }
            Self::Comparison(left, operator, right) => {
                let blank = if wide { " " } else { "" };
                *out += &format!("{}{blank}{operator}{blank}{}", left.print(), right.print());
            }
            Self::Between(value, negated, low, high) => {
                *out += &format!("{}{}{}", value.print(), not(*negated), word("BETWEEN"));
                *out += &format!("{}{}{}", low.print(), word("AND"), high.print());
            }
            Self::In(name, negated, list) => {
                let list: Vec<_> = list.iter().map(|side| side.print()).collect();
                *out += &format!("{}{}{}({})", Side::Header(name).print(), not(*negated), word("IN"), list.join(", "));
            }
            Self::Like(name, negated, pattern) => {
                *out += &format!("{}{}{}'{pattern}'", Side::Header(name).print(), not(*negated), word("LIKE"));
            }
            Self::IsNull(name, negated) => {
                *out += &format!("{}{}{}{}", Side::Header(name).print(), word("IS"), not(*negated), word("NULL"));
            }
        }
        out.push_str(if parentheses { ")" } else { "" });
    }

    fn evaluate(&self, headers: &Headers) -> Option<bool> {
        let and = |a: Option<bool>, b: Option<bool>| match (a, b) {
            (FALSE, _) | (_, FALSE) => FALSE,
            (TRUE, TRUE) => TRUE,
            _ => UNKNOWN,
        };
        let not = |truth: Option<bool>, negated: bool| truth.map(|truth| truth != negated);
        match self {
            Self::Constant(truth) => Some(*truth),
            Self::Flag(name) => headers.get(name).map(|value| value.to_lowercase() == "true"),
            Self::Not(tree) => not(tree.evaluate(headers), true),
            Self::And(left, right) => and(left.evaluate(headers), right.evaluate(headers)),
            Self::Or(left, right) => {
                not(and(not(left.evaluate(headers), true), not(right.evaluate(headers), true)), true)
            }
            Self::Comparison(left, operator, right) => left.compare(operator, *right, headers),
            Self::Between(value, negated, low, high) => {
                not(and(value.compare(">=", *low, headers), value.compare("<=", *high, headers)), *negated)
            }
            Self::In(name, negated, list) => {
                headers.get(name)?;
                let hits: Vec<_> = list.iter().map(|side| Side::Header(name).compare("=", *side, headers)).collect();
                let found = if hits.contains(&TRUE) {
                    TRUE
                } else if hits.contains(&UNKNOWN) {
                    UNKNOWN
                } else {
                    FALSE
                };
                not(found, *negated)
            }
            Self::Like(name, negated, pattern) => {
                let (value, pattern): (Vec<_>, Vec<_>) =
                    (headers.get(name)?.chars().collect(), pattern.chars().collect());
                not(Some(fits(&pattern, &value)), *negated)
            }
            Self::IsNull(name, negated) => Some(headers.get(name).is_none() != *negated),
        }
    }
}

impl Side {
    fn print(self) -> String {
        match self {
            Self::Header(name) => NAMES.iter().find(|(own, _)| *own == name).unwrap().1.to_owned(),
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Self::Number(number) => number.to_owned(),
        }
    }

    fn compare(self, operator: &str, other: Self, headers: &Headers) -> Option<bool> {
        let value = |side| match side {
            Self::Header(name) => headers.get(name).map(str::to_owned),
            Self::Text(text) | Self::Number(text) => Some(text.to_owned()),
        };
        let (left, right) = (value(self)?, value(other)?);
        // The numbers in use are few enough for floats to tell them apart.
        let quoted = matches!(self, Self::Text(_)) || matches!(other, Self::Text(_));
        let number = matches!(self, Side::Number(_)) || matches!(other, Side::Number(_));
        let ordering = match (left.parse::<f64>(), right.parse::<f64>()) {
            (Ok(left), Ok(right)) if !quoted => left.partial_cmp(&right).unwrap(),
            _ if number && !quoted => return UNKNOWN,
            _ => left.cmp(&right),
        };
        Some(match operator {
            "=" => ordering.is_eq(),
            "<>" => ordering.is_ne(),
            "<" => ordering.is_lt(),
            "<=" => ordering.is_le(),
            ">" => ordering.is_gt(),
            _ => ordering.is_ge(),
        })
    }
}

fn fits(pattern: &[char], value: &[char]) -> bool {
    match (pattern, value) {
        ([], _) => value.is_empty(),
        (['%', rest @ ..], _) => (0..=value.len()).any(|taken| fits(rest, &value[taken..])),
        (['_', rest @ ..], [_, others @ ..]) => fits(rest, others),
        ([own, rest @ ..], [first, others @ ..]) => own == first && fits(rest, others),
        (_, []) => false,
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let name = || proptest::sample::select(NAMES.map(|(name, _)| name).to_vec());
    let literal = || {
        let text = proptest::sample::select(TEXTS.to_vec()).prop_map(Side::Text);
        prop_oneof![text, proptest::sample::select(NUMBERS.to_vec()).prop_map(Side::Number)]
    };
    let side = move || prop_oneof![name().prop_map(Side::Header), literal()];
    let operator = proptest::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        1 => any::<bool>().prop_map(Tree::Constant),
        1 => name().prop_map(Tree::Flag),
        4 => (side(), operator, side()).prop_map(|(left, operator, right)| Tree::Comparison(left, operator, right)),
        2 => (side(), any::<bool>(), side(), side()).prop_map(|(value, not, low, high)| Tree::Between(value, not, low, high)),
        2 => (name(), any::<bool>(), proptest::collection::vec(literal(), 1..5)).prop_map(|(name, not, list)| Tree::In(name, not, list)),
        2 => (name(), any::<bool>(), "[%_a5.é]{0,5}").prop_map(|(name, not, pattern)| Tree::Like(name, not, pattern)),
        1 => (name(), any::<bool>()).prop_map(|(name, not)| Tree::IsNull(name, not)),
    ];
    leaf.prop_recursive(5, 24, 2, |inner| {
        let pair = || (inner.clone().prop_map(Box::new), inner.clone().prop_map(Box::new));
        prop_oneof![
            inner.clone().prop_map(|tree| Tree::Not(Box::new(tree))),
            pair().prop_map(|(left, right)| Tree::And(left, right)),
            pair().prop_map(|(left, right)| Tree::Or(left, right)),
        ]
    })
}

/// Values for all names but the last, each there or not.
fn values() -> impl Strategy<Value = Headers> {
    let value = proptest::option::weighted(0.8, proptest::sample::select(TEXTS.to_vec()));
    proptest::collection::vec(value, NAMES.len() - 1)
        .prop_map(|values| NAMES.iter().zip(values).filter_map(|((name, _), value)| Some((*name, value?))).collect())
}

/// Pieces of the language in any order, and what is none.
fn soup() -> impl Strategy<Value = String> {
    let words = "a b 5 -1 'x' '%' \"n\" = <> < >= ( ) , ' \" AND OR NOT IN LIKE ESCAPE IS NULL BETWEEN TRUE . e";
    let word = proptest::sample::select(words.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let piece = prop_oneof![12 => word, 1 => any::<char>().prop_map(String::from)];
    (proptest::collection::vec(piece, 0..20), any::<bool>())
        .prop_map(|(pieces, apart)| pieces.join(if apart { " " } else { "" }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_tree_is_read_as_the_same_and_has_the_obvious_truth_value(
        tree in tree(), style in any::<u64>(), headers in values(),
    ) {
        let mut text = String::new();
        tree.print(0, &mut style.clone(), &mut text);
        prop_assert_eq!(truth(&text, &headers), tree.evaluate(&headers), "{} with {:?}", text, headers);
    }

    #[test]
    fn any_text_is_a_selector_or_an_error_of_one_short_line(text in prop_oneof![4 => soup(), 1 => any::<String>()]) {
        match Selector::parse(&text) {
            Ok(selector) => {
                selector.matches(&headers(&[("a", "5"), ("b", "x")]));
            }
            Err(error) => {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.position()));
                let message = error.to_string();
                prop_assert!(!message.contains(|c: char| c.is_control()), "{:?}", message);
                prop_assert!(message.len() < 500, "{:?}", message);
            }
        }
    }
}

// ---- texts that are meant to hurt ----

fn position(text: &str) -> usize {
    Selector::parse(text).expect_err("it is refused").position()
}

#[test]
fn parentheses_nest_to_a_limit() {
    let nested = |depth: usize| format!("{}a{}", "NOT (".repeat(depth), ")".repeat(depth));
    assert_eq!(truth(&nested(31), &headers(&[("a", "true")])), FALSE);
    assert!(Selector::parse(&nested(Selector::MAX_NESTING)).is_ok());
    assert_eq!(position(&nested(Selector::MAX_NESTING + 1)), 32 * 5 + 5);
    for depth in [33, 1024, 1_000_000] {
        assert_eq!(
            Selector::parse(&"(".repeat(depth)).unwrap_err().to_string(),
            "at character 33: expected at most 32 parentheses within each other, found ("
        );
    }
    // Beside each other there may be as many as there is room for.
    assert!(Selector::parse(&vec!["((a))"; 1000].join(" AND ")).is_ok());
}

/// Of all this nothing recurses, so the stack suffices for reading, matching and freeing; and none of it backtracks.
#[test]
fn long_rows_are_read_and_matched() {
    let headers = headers(&[("a", "true"), ("n", "7")]);
    let matches = |text: &str| Selector::parse(text).unwrap().matches(&headers);
    assert!(matches(&format!("{}a", "NOT ".repeat(256))));
    assert!(!matches(&format!("{}a", "NOT ".repeat(255))));
    assert_eq!(position(&"NOT ".repeat(256)), 1025);
    assert_eq!(position(&"NOT ".repeat(1_000_000)), 4_000_001);
    assert!(matches(&format!("{}a", "n = 8 OR ".repeat(1000))));
    assert!(matches(&format!("{}a", "n = 7 AND ".repeat(1000))));
    assert!(matches(&format!("n IN ({}7)", "'7.0', ".repeat(1000))));
    assert!(matches(&format!("n LIKE '{}'", "%".repeat(1024))));
    assert!(!matches(&format!("n LIKE '{}'", "%_".repeat(512))));
    for text in ["a OR ", "a AND ", "NOT a OR NOT ", "n IN (7) AND (a) OR "] {
        assert!(Selector::parse(&format!("{}a", text.repeat(100_000))).is_ok(), "{text}");
    }
}

/// Not a match, and not by way of NOT either.
#[test]
fn a_match_that_would_take_too_long_is_given_up() {
    let headers = headers(&[("a", &"a".repeat(8192))]);
    let pattern = format!("a LIKE '%{}b'", "a_".repeat(500));
    assert_eq!(truth(&pattern, &headers), UNKNOWN);
    assert_eq!(truth(&format!("{pattern} OR TRUE"), &headers), UNKNOWN);
    assert_eq!(truth(&format!("TRUE OR {pattern}"), &headers), TRUE);
}
