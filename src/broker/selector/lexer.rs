//! A selector's text as tokens, one at a time from left to right. What is no token of the language comes out as
//! [`Token::Unknown`], so that the parser can say what would have been right in its place.
//!
//! Does not know: which token may follow which.

use super::condition::Operator;
use super::number::Number;

/// A token with where it stands.
#[derive(Debug, Clone)]
pub(super) struct Lexeme<'a> {
    pub token: Token<'a>,
    /// Where it begins, in bytes.
    pub start: usize,
    /// The text that it is written with.
    pub source: &'a str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A header's name, unquoted.
    Name(String),
    /// `'text'`, unquoted.
    Text(String),
    /// A number as it is written; it parses as one.
    Number(&'a str),
    Keyword(Keyword),
    Operator(Operator),
    Open,
    Close,
    Comma,
    /// A quote that is never closed. With which mark.
    Unclosed(char),
    /// Anything that has no meaning here.
    Unknown,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    And,
    Between,
    Escape,
    False,
    In,
    Is,
    Like,
    Not,
    Null,
    Or,
    True,
}

const KEYWORDS: [(&str, Keyword); 11] = [
    ("AND", Keyword::And),
    ("BETWEEN", Keyword::Between),
    ("ESCAPE", Keyword::Escape),
    ("FALSE", Keyword::False),
    ("IN", Keyword::In),
    ("IS", Keyword::Is),
    ("LIKE", Keyword::Like),
    ("NOT", Keyword::Not),
    ("NULL", Keyword::Null),
    ("OR", Keyword::Or),
    ("TRUE", Keyword::True),
];

/// Longer ones before those that they begin with.
const SYMBOLS: [(&str, Token<'static>); 9] = [
    ("<>", Token::Operator(Operator::Unequal)),
    ("<=", Token::Operator(Operator::LessOrEqual)),
    (">=", Token::Operator(Operator::GreaterOrEqual)),
    ("<", Token::Operator(Operator::Less)),
    (">", Token::Operator(Operator::Greater)),
    ("=", Token::Operator(Operator::Equal)),
    ("(", Token::Open),
    (")", Token::Close),
    (",", Token::Comma),
];

/// The tokens of a text.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    /// Where the rest begins, in bytes.
    at: usize,
}

impl<'a> Lexer<'a> {
    /// The tokens of the part of a text that begins so many bytes behind its start.
    pub fn new(rest: &'a str, at: usize) -> Self {
        Self { rest, at }
    }

    /// The next token, or [`Token::End`] again and again.
    pub fn next(&mut self) -> Lexeme<'a> {
        let blanks = self.rest.len() - self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace()).len();
        self.take(blanks);
        let (token, length) = scan(self.rest);
        let start = self.at;
        Lexeme { token, start, source: self.take(length) }
    }

    fn take(&mut self, length: usize) -> &'a str {
        // Scanners count whole characters of the rest, so it is never cut elsewhere.
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.at += taken.len();
        taken
    }
}

/// The first token of a text that does not begin with a blank, and its length in bytes.
fn scan(text: &str) -> (Token<'_>, usize) {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return (Token::End, 0) };
    match first {
        '\'' => scan_quoted(text, '\'', Token::Text),
        '"' => scan_quoted(text, '"', Token::Name),
        _ if begins_name(first) => scan_word(text),
        '0'..='9' | '.' => scan_number(text),
        '+' | '-' if chars.next().is_some_and(|c| c.is_ascii_digit() || c == '.') => scan_number(text),
        _ => {
            let symbol = SYMBOLS.into_iter().find(|(spelling, _)| text.starts_with(spelling));
            symbol.map_or((Token::Unknown, first.len_utf8()), |(spelling, token)| (token, spelling.len()))
        }
    }
}

/// Reads up to the closing mark; two marks stand for one.
fn scan_quoted<'a>(text: &'a str, mark: char, token: fn(String) -> Token<'a>) -> (Token<'a>, usize) {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != mark {
            content.push(c);
        } else if chars.next_if(|(_, next)| *next == mark).is_some() {
            content.push(mark);
        } else {
            return (token(content), at + mark.len_utf8());
        }
    }
    (Token::Unclosed(mark), text.len())
}

fn scan_word(text: &str) -> (Token<'_>, usize) {
    let length = text.find(|c| !continues_name(c)).unwrap_or(text.len());
    let word = text.get(..length).unwrap_or(text);
    let keyword = KEYWORDS.into_iter().find(|(spelling, _)| word.eq_ignore_ascii_case(spelling));
    (keyword.map_or_else(|| Token::Name(word.to_owned()), |(_, keyword)| Token::Keyword(keyword)), length)
}

/// Takes in whatever is written against the number, so that `5L` or `1-2` is named as a whole where it is refused.
fn scan_number(text: &str) -> (Token<'_>, usize) {
    let mut before = None;
    let length = text.find(|c| {
        let is_sign = matches!(c, '+' | '-') && matches!(before, None | Some('e' | 'E'));
        before = Some(c);
        !(continues_name(c) || is_sign)
    });
    let length = length.unwrap_or(text.len());
    let number = text.get(..length).filter(|number| Number::parse(number).is_some());
    (number.map_or(Token::Unknown, Token::Number), length)
}

/// As Java's identifiers, which are those of JMS: a letter of any script, `_` or `$`.
fn begins_name(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '$')
}

/// Digits too, and what STOMP's own headers are made with: `content-type`.
fn continues_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => proptest::sample::select(vec!["'", "\"", "<", ">", "=", "(", ")", ",", "-", "+", ".", "e", "1", "in", " ", "\n"])
                .prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// So reading takes time in proportion to the text, whatever it says: every character is in one token or a blank.
        #[test]
        fn tokens_follow_each_other_with_nothing_but_blanks_between_them(text in text()) {
            let mut lexer = Lexer::new(&text, 0);
            let mut at = 0;
            loop {
                let lexeme = lexer.next();
                prop_assert!(text[at..lexeme.start].bytes().all(|byte| byte.is_ascii_whitespace()));
                prop_assert!(text[lexeme.start..].starts_with(lexeme.source));
                at = lexeme.start + lexeme.source.len();
                if lexeme.token == Token::End {
                    break;
                }
                prop_assert!(!lexeme.source.is_empty());
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
