//! The grammar of selectors, by recursive descent: one function a rule, one token of look-ahead, nothing read twice. It
//! recurses for parentheses only, and counts them; rows of NOT, AND and OR are loops.
//!
//! Does not know: how conditions are evaluated.

use super::condition::{Condition, Literal, Operand, Operator};
use super::lexer::{Keyword, Lexeme, Lexer, Token};
use super::like::Like;
use super::{Selector, SelectorError};

/// What clients of ActiveMQ write before a selector to ask for what holds here anyway: numbers in texts are numbers, and
/// names have hyphens.
const PREFIXES: [&str; 2] = ["convert_string_expressions:", "hyphenated_props:"];

/// How much of the client's text an error quotes, in characters.
const MAX_QUOTED: usize = 20;

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Condition, SelectorError> {
    let mut rest = text;
    while let Some(behind) = PREFIXES.into_iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = behind;
    }
    let mut lexer = Lexer::new(rest, text.len() - rest.len());
    let next = lexer.next();
    let mut parser = Parser { text, lexer, next, last: "", nesting: 0 };
    if parser.next.token == Token::End {
        return Ok(Condition::Constant(true));
    }
    let condition = parser.disjunction()?;
    if parser.next.token != Token::End {
        return Err(parser.error("AND, OR or end of text"));
    }
    Ok(condition)
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    next: Lexeme<'a>,
    /// The token before it, as it is written; empty at the beginning.
    last: &'a str,
    /// How many parentheses are open.
    nesting: usize,
}

impl<'a> Parser<'a> {
    /// `conjunction { OR conjunction }`
    fn disjunction(&mut self) -> Result<Condition, SelectorError> {
        let first = self.conjunction()?;
        if !self.next_is(Keyword::Or) {
            return Ok(first);
        }
        let mut conditions = vec![first];
        while self.take(Keyword::Or) {
            conditions.push(self.conjunction()?);
        }
        Ok(Condition::Any(conditions.into()))
    }

    /// `negation { AND negation }`
    fn conjunction(&mut self) -> Result<Condition, SelectorError> {
        let first = self.negation()?;
        if !self.next_is(Keyword::And) {
            return Ok(first);
        }
        let mut conditions = vec![first];
        while self.take(Keyword::And) {
            conditions.push(self.negation()?);
        }
        Ok(Condition::All(conditions.into()))
    }

    /// `{ NOT } ( "(" disjunction ")" | predicate )`
    fn negation(&mut self) -> Result<Condition, SelectorError> {
        let mut negated = false;
        while self.take(Keyword::Not) {
            // Two of them change nothing, unknown included.
            negated = !negated;
        }
        let condition = if self.next.token == Token::Open { self.parenthesis()? } else { self.predicate()? };
        Ok(negate(condition, negated))
    }

    fn parenthesis(&mut self) -> Result<Condition, SelectorError> {
        if self.nesting == Selector::MAX_NESTING {
            return Err(self.error(format!("at most {} parentheses within each other", Selector::MAX_NESTING)));
        }
        self.advance();
        self.nesting += 1;
        let condition = self.disjunction()?;
        self.require(&Token::Close, "AND, OR or )")?;
        self.nesting -= 1;
        Ok(condition)
    }

    /// A comparison of any kind, or a truth value by itself.
    fn predicate(&mut self) -> Result<Condition, SelectorError> {
        let (start, source) = (self.next.start, self.next.source);
        let left = self.operand("a condition")?;
        match self.next.token {
            Token::Operator(operator) => self.comparison(left, operator),
            Token::Keyword(Keyword::Between) => self.between(left),
            Token::Keyword(Keyword::In | Keyword::Like | Keyword::Is) => self.header_predicate(left, start, source),
            Token::Keyword(Keyword::Not) => {
                self.advance();
                let condition = match self.next.token {
                    Token::Keyword(Keyword::Between) => self.between(left)?,
                    Token::Keyword(Keyword::In | Keyword::Like) => self.header_predicate(left, start, source)?,
                    _ => return Err(self.expected_after("BETWEEN, IN or LIKE")),
                };
                Ok(negate(condition, true))
            }
            Token::Keyword(Keyword::And | Keyword::Or) | Token::Close | Token::End => self.truth_value(left),
            _ => Err(self.expected_after("a comparison such as =")),
        }
    }

    /// `operand ("=" | "<>" | "<" | "<=" | ">" | ">=") operand`, from the operator on.
    fn comparison(&mut self, left: Operand, operator: Operator) -> Result<Condition, SelectorError> {
        let right = if matches!(operator, Operator::Equal | Operator::Unequal) {
            self.advance();
            self.operand("a value")?
        } else {
            self.check_ordered(&left)?;
            self.advance();
            self.bound()?
        };
        Ok(Condition::Comparison(left, operator, right))
    }

    /// `operand BETWEEN operand AND operand`, from BETWEEN on.
    fn between(&mut self, value: Operand) -> Result<Condition, SelectorError> {
        self.check_ordered(&value)?;
        self.advance();
        let low = self.bound()?;
        if !self.take(Keyword::And) {
            return Err(self.error("AND and the upper bound of BETWEEN"));
        }
        let high = self.bound()?;
        Ok(Condition::Between(Box::new([value, low, high])))
    }

    /// `name IN list`, `name LIKE pattern` or `name IS [ NOT ] NULL`, from the keyword on. What stood before the keyword is
    /// given with where it began and how it was written.
    fn header_predicate(&mut self, left: Operand, start: usize, source: &str) -> Result<Condition, SelectorError> {
        let Operand::Header(name) = left else {
            return Err(self.error_at(start, shown(source), format!("a header name before {}", self.next.source)));
        };
        if self.take(Keyword::In) {
            Ok(Condition::In(name, self.list()?))
        } else if self.take(Keyword::Like) {
            Ok(Condition::Like(name, self.pattern()?))
        } else {
            self.advance();
            let negated = self.take(Keyword::Not);
            if !self.take(Keyword::Null) {
                return Err(self.expected_after(if negated { "NULL" } else { "NULL or NOT NULL" }));
            }
            Ok(negate(Condition::IsNull(name), negated))
        }
    }

    /// `"(" literal { "," literal } ")"`
    fn list(&mut self) -> Result<Box<[Literal]>, SelectorError> {
        self.require(&Token::Open, "( and the list of IN")?;
        let mut list = vec![];
        loop {
            let literal = self.literal();
            list.push(literal.ok_or_else(|| self.expected_after("a text in single quotes or a number"))?);
            if self.next.token == Token::Comma {
                self.advance();
                continue;
            }
            self.require(&Token::Close, "a comma or ) in the list of IN")?;
            return Ok(list.into());
        }
    }

    /// `text [ ESCAPE character ]`
    fn pattern(&mut self) -> Result<Like, SelectorError> {
        let (start, source) = (self.next.start, self.next.source);
        let Token::Text(pattern) = &mut self.next.token else {
            return Err(self.expected_after("a text in single quotes"));
        };
        let pattern = std::mem::take(pattern);
        self.advance();
        let escape = if self.take(Keyword::Escape) { Some(self.escape_character()?) } else { None };
        Like::parse(&pattern, escape).ok_or_else(|| {
            let escape = shown(&escape.map(String::from).unwrap_or_default());
            self.error_at(start, shown(source), format!("%, _ or {escape} behind every {escape} of the pattern"))
        })
    }

    fn escape_character(&mut self) -> Result<char, SelectorError> {
        if let Token::Text(text) = &self.next.token {
            let mut chars = text.chars();
            if let (Some(escape), None) = (chars.next(), chars.next()) {
                self.advance();
                return Ok(escape);
            }
        }
        Err(self.expected_after("one character in single quotes"))
    }

    /// An operand that is a condition by itself.
    fn truth_value(&self, operand: Operand) -> Result<Condition, SelectorError> {
        match operand {
            Operand::Literal(Literal::Boolean(truth)) => Ok(Condition::Constant(truth)),
            Operand::Literal(_) => Err(self.expected_after("a comparison such as =")),
            header @ Operand::Header(_) => {
                Ok(Condition::Comparison(header, Operator::Equal, Operand::Literal(Literal::Boolean(true))))
            }
        }
    }

    /// A header's name or a literal.
    fn operand(&mut self, expected: &str) -> Result<Operand, SelectorError> {
        if let Token::Name(name) = &mut self.next.token {
            if name.is_empty() {
                return Err(self.error("a header name between the quotes"));
            }
            let name = std::mem::take(name).into();
            self.advance();
            return Ok(Operand::Header(name));
        }
        self.literal().map(Operand::Literal).ok_or_else(|| self.expected_after(expected))
    }

    /// An operand that has an order, which TRUE and FALSE do not.
    fn bound(&mut self) -> Result<Operand, SelectorError> {
        if matches!(self.next.token, Token::Keyword(Keyword::True | Keyword::False)) {
            return Err(self.expected_after("a text or a number"));
        }
        self.operand("a value")
    }

    /// The operand before an operator of order, which is next, must have one.
    fn check_ordered(&self, left: &Operand) -> Result<(), SelectorError> {
        match left {
            Operand::Literal(Literal::Boolean(_)) => Err(self.expected_after("= or <>")),
            _ => Ok(()),
        }
    }

    /// Takes a literal, if that is what comes next.
    fn literal(&mut self) -> Option<Literal> {
        let literal = match &mut self.next.token {
            Token::Text(text) => Literal::Text(std::mem::take(text).into()),
            Token::Number(number) => Literal::Number((*number).into()),
            Token::Keyword(Keyword::True) => Literal::Boolean(true),
            Token::Keyword(Keyword::False) => Literal::Boolean(false),
            _ => return None,
        };
        self.advance();
        Some(literal)
    }

    fn next_is(&self, keyword: Keyword) -> bool {
        self.next.token == Token::Keyword(keyword)
    }

    fn take(&mut self, keyword: Keyword) -> bool {
        let found = self.next_is(keyword);
        if found {
            self.advance();
        }
        found
    }

    fn require(&mut self, token: &Token<'_>, expected: &str) -> Result<(), SelectorError> {
        if self.next.token != *token {
            return Err(self.error(expected));
        }
        self.advance();
        Ok(())
    }

    fn advance(&mut self) {
        self.last = self.next.source;
        self.next = self.lexer.next();
    }

    /// Something else should come next, after the token that was the last.
    fn expected_after(&self, expected: &str) -> SelectorError {
        match self.last {
            "" => self.error(expected),
            last => self.error(format!("{expected} after {}", shown(last))),
        }
    }

    /// Something else should come next.
    fn error(&self, expected: impl Into<String>) -> SelectorError {
        let found = match self.next.token {
            Token::Unclosed(mark) => {
                let expected = format!("{mark} to close the one at character {}", self.position(self.next.start));
                return self.error_at(self.text.len(), END.to_owned(), expected);
            }
            Token::End => END.to_owned(),
            _ => shown(self.next.source),
        };
        self.error_at(self.next.start, found, expected)
    }

    fn error_at(&self, start: usize, found: String, expected: impl Into<String>) -> SelectorError {
        SelectorError { position: self.position(start), expected: expected.into(), found }
    }

    /// The number of the character that begins so many bytes behind the start.
    fn position(&self, start: usize) -> usize {
        self.text.char_indices().take_while(|(at, _)| *at < start).count() + 1
    }
}

const END: &str = "end of text";

fn negate(condition: Condition, negated: bool) -> Condition {
    if negated { Condition::Not(Box::new(condition)) } else { condition }
}

/// A piece of the client's text as an error quotes it: short, and in one line whatever is in it.
fn shown(source: &str) -> String {
    let mut shown = String::new();
    for c in source.chars().take(MAX_QUOTED) {
        match c {
            '\u{2028}' | '\u{2029}' => shown.extend(c.escape_unicode()),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    if source.chars().nth(MAX_QUOTED).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_where_and_what() {
        for (text, message) in [
            ("a =", "at character 4: expected a value after =, found end of text"),
            ("a = ", "at character 5: expected a value after =, found end of text"),
            ("a = = 5", "at character 5: expected a value after =, found ="),
            ("a == 5", "at character 4: expected a value after =, found ="),
            ("a = NULL", "at character 5: expected a value after =, found NULL"),
            ("a = (5)", "at character 5: expected a value after =, found ("),
            ("a != 5", "at character 3: expected a comparison such as = after a, found !"),
            ("a 'x'", "at character 3: expected a comparison such as = after a, found 'x'"),
            ("a + 1 > 3", "at character 3: expected a comparison such as = after a, found +"),
            ("a -1", "at character 3: expected a comparison such as = after a, found -1"),
            ("a, b", "at character 2: expected a comparison such as = after a, found ,"),
            ("5", "at character 2: expected a comparison such as = after 5, found end of text"),
            ("'x' AND a", "at character 5: expected a comparison such as = after 'x', found AND"),
            ("AND a", "at character 1: expected a condition, found AND"),
            ("a AND", "at character 6: expected a condition after AND, found end of text"),
            ("a and or b", "at character 7: expected a condition after and, found or"),
            ("a OR NOT", "at character 9: expected a condition after NOT, found end of text"),
            ("()", "at character 2: expected a condition after (, found )"),
            ("= 5", "at character 1: expected a condition, found ="),
            ("a = 1 b = 2", "at character 7: expected AND, OR or end of text, found b"),
            ("a = b = c", "at character 7: expected AND, OR or end of text, found ="),
            ("a)", "at character 2: expected AND, OR or end of text, found )"),
            ("(a", "at character 3: expected AND, OR or ), found end of text"),
            ("(a = 1 b)", "at character 8: expected AND, OR or ), found b"),
            ("(color) = 'red'", "at character 9: expected AND, OR or end of text, found ="),
            ("a = 5L", "at character 5: expected a value after =, found 5L"),
            ("a = 0x1F", "at character 5: expected a value after =, found 0x1F"),
            ("a = 1-2", "at character 5: expected a value after =, found 1-2"),
            ("a = 1AND b", "at character 5: expected a value after =, found 1AND"),
            ("a = -b", "at character 5: expected a value after =, found -"),
            ("a = {}", "at character 5: expected a value after =, found {"),
            ("a < TRUE", "at character 5: expected a text or a number after <, found TRUE"),
            ("TRUE < a", "at character 6: expected = or <> after TRUE, found <"),
            ("TRUE BETWEEN 1 AND 2", "at character 6: expected = or <> after TRUE, found BETWEEN"),
            ("a BETWEEN FALSE AND 2", "at character 11: expected a text or a number after BETWEEN, found FALSE"),
            ("a BETWEEN 1", "at character 12: expected AND and the upper bound of BETWEEN, found end of text"),
            ("a BETWEEN 1, 2", "at character 12: expected AND and the upper bound of BETWEEN, found ,"),
            ("a BETWEEN 1 AND", "at character 16: expected a value after AND, found end of text"),
            ("a NOT = 5", "at character 7: expected BETWEEN, IN or LIKE after NOT, found ="),
            ("a NOT IS NULL", "at character 7: expected BETWEEN, IN or LIKE after NOT, found IS"),
            ("a NOT NOT IN ('x')", "at character 7: expected BETWEEN, IN or LIKE after NOT, found NOT"),
            ("a IS", "at character 5: expected NULL or NOT NULL after IS, found end of text"),
            ("a IS 5", "at character 6: expected NULL or NOT NULL after IS, found 5"),
            ("a IS NOT TRUE", "at character 10: expected NULL after NOT, found TRUE"),
            ("a IN 'x'", "at character 6: expected ( and the list of IN, found 'x'"),
            ("a IN ()", "at character 7: expected a text in single quotes or a number after (, found )"),
            ("a IN ('x',)", "at character 11: expected a text in single quotes or a number after ,, found )"),
            ("a IN ('x' 'y')", "at character 11: expected a comma or ) in the list of IN, found 'y'"),
            ("a IN (b)", "at character 7: expected a text in single quotes or a number after (, found b"),
            ("a IN ('x'", "at character 10: expected a comma or ) in the list of IN, found end of text"),
            ("'a' IN ('x')", "at character 1: expected a header name before IN, found 'a'"),
            ("x OR 5 IS NULL", "at character 6: expected a header name before IS, found 5"),
            ("'a' NOT LIKE 'x'", "at character 1: expected a header name before LIKE, found 'a'"),
            ("a LIKE b", "at character 8: expected a text in single quotes after LIKE, found b"),
            ("a LIKE 5", "at character 8: expected a text in single quotes after LIKE, found 5"),
            (
                "a LIKE 'x' ESCAPE",
                "at character 18: expected one character in single quotes after ESCAPE, found end of text",
            ),
            ("a LIKE 'x' ESCAPE ''", "at character 19: expected one character in single quotes after ESCAPE, found ''"),
            (
                "a LIKE 'x' ESCAPE '!!'",
                "at character 19: expected one character in single quotes after ESCAPE, found '!!'",
            ),
            (
                "a LIKE 'x!y' ESCAPE '!'",
                "at character 8: expected %, _ or ! behind every ! of the pattern, found 'x!y'",
            ),
            ("a LIKE 'x!' ESCAPE '!'", "at character 8: expected %, _ or ! behind every ! of the pattern, found 'x!'"),
            ("a = 'x", "at character 7: expected ' to close the one at character 5, found end of text"),
            ("a = 'x''", "at character 9: expected ' to close the one at character 5, found end of text"),
            ("\"a = 5", "at character 7: expected \" to close the one at character 1, found end of text"),
            ("\"\" = 5", "at character 1: expected a header name between the quotes, found \"\""),
            ("größe = = 5", "at character 9: expected a value after =, found ="),
            ("'日本' = 'ü' !", "at character 12: expected AND, OR or end of text, found !"),
            ("a = \u{7}", "at character 5: expected a value after =, found \\u{7}"),
            ("a 'x\ny'", "at character 3: expected a comparison such as = after a, found 'x\\ny'"),
            ("a 'x\u{2028}'", "at character 3: expected a comparison such as = after a, found 'x\\u{2028}'"),
            ("XPATH '//a'", "at character 7: expected a comparison such as = after XPATH, found '//a'"),
            ("a -- x", "at character 3: expected a comparison such as = after a, found -"),
            (
                "a 'a text that is longer than an error'",
                "at character 3: expected a comparison such as = after a, found 'a text that is long...",
            ),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.to_string(), message, "{text}");
            assert!(message.starts_with(&format!("at character {}:", error.position())));
        }
    }
}
