//! What a request brings: its body as a JSON object of one form, its query as a few known names. What is not known is refused
//! by its name: a misspelled field that is overlooked would be found late.
//!
//! Does not know: what the fields mean.

use std::str::FromStr;

use hyper::header::{self, HeaderMap};
use hyper::{StatusCode, Uri};
use percent_encoding::percent_decode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::Refusal;
use super::only;

/// The names and values of a URL's query.
#[derive(Debug)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

/// Refuses what is not said to be JSON. That also keeps out every request that a page of another origin can make a browser
/// send without asking first.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let value = only(headers, header::CONTENT_TYPE.as_str()).ok().flatten().and_then(|value| value.to_str().ok());
    let kind = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    if kind.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "the body is JSON, and Content-Type must say so: application/json";
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json_type", message))
}

/// The body as one JSON value that has not been looked into yet.
pub(super) fn json(body: &[u8]) -> Result<&RawValue, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "not_json", format!("the body is not JSON: {error}")))
}

/// An object of the form of `T`.
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T, Refusal> {
    // A list of the fields' values in their order would do for serde.
    if !json.get().starts_with('{') {
        return Err(Refusal::of_meaning("wrong_fields", "a JSON object is expected"));
    }
    form(json)
}

/// Whatever form `T` has.
pub(super) fn form<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T, Refusal> {
    serde_json::from_str(json.get()).map_err(|error| Refusal::of_meaning("wrong_fields", error.to_string()))
}

impl Query {
    /// The query of a URL, where `+` is a space, as in forms.
    pub fn of(uri: &Uri) -> Result<Self, Refusal> {
        let text = uri.query().unwrap_or_default();
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode(text.as_bytes()).decode_utf8().map(|text| text.into_owned())
        };
        let mut pairs: Vec<(String, String)> = vec![];
        for piece in text.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let (Ok(name), Ok(value)) = (decoded(name), decoded(value)) else {
                return Err(Refusal::of_meaning("wrong_query", "the query is not UTF-8"));
            };
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(Refusal::of_meaning("wrong_query", format!("`{name}` stands in the query twice")));
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// Refuses names that mean nothing.
    pub fn expect_only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let known = known.join("`, `");
                let message = format!("unknown parameter `{name}`, expected one of `{known}`");
                Err(Refusal::of_meaning("wrong_query", message))
            }
        }
    }

    /// The value of that name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of that name as a number.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        number
            .map(Some)
            .ok_or_else(|| Refusal::of_meaning("wrong_query", format!("`{name}` is a number, not {text:?}")))
    }
}
