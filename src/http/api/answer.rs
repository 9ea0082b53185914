//! What the API answers: JSON, that nobody may keep; and what it answers to requests that it refuses.
//!
//! Does not know: what was asked.

use bytes::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::super::{Body, reply};

/// Longest message of a refusal, in bytes. It may quote the request, and refusals are kept for their keys.
const MAX_MESSAGE: usize = 400;

/// How soon to try again, in seconds, what could not be done now.
const SOON: &str = "1";

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An answer, and all that there is to keep of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: StatusCode,
    body: Bytes,
    header: Option<(HeaderName, &'static str)>,
}

/// Why a request is not done.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Which of several messages is meant.
    index: Option<usize>,
    header: Option<(HeaderName, &'static str)>,
}

#[derive(Serialize)]
struct Shown<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
}

impl Answer {
    /// It is done; this came of it.
    pub fn done(result: &impl Serialize) -> Self {
        Self { status: StatusCode::OK, body: to_json(result), header: None }
    }

    /// The same answer, which was given before.
    #[must_use]
    pub fn replayed(mut self) -> Self {
        self.header = Some((REPLAYED, "true"));
        self
    }
}

impl Refusal {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MAX_MESSAGE {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE));
            message.push_str(" ...");
        }
        Self { status, code, message, index: None, header: None }
    }

    /// 422: it is JSON, but means nothing here.
    pub fn of_meaning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// 503: there is no room now.
    pub fn no_room(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).with(header::RETRY_AFTER, SOON)
    }

    /// 401, in the same words whatever was wrong.
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "this needs `Authorization: Bearer` with the token of [api]",
        )
        .with(header::WWW_AUTHENTICATE, "Bearer")
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
    }

    pub fn method_not_allowed(allowed: &'static str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("this path takes {allowed}"))
            .with(header::ALLOW, allowed)
    }

    /// 408. The rest of the body may still come, so the connection is of no use any more.
    pub fn late(message: &str) -> Self {
        crate::metrics::limit_reached("body_timeout");
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_late", message).with(header::CONNECTION, "close")
    }

    /// 409: a request with that key is being done.
    pub fn under_way() -> Self {
        let message = "a request with this Idempotency-Key is being done; its answer will be here soon";
        Self::new(StatusCode::CONFLICT, "request_under_way", message).with(header::RETRY_AFTER, SOON)
    }

    /// The same, for one of several messages.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, code, message, index, header } = refusal;
        Self { status, body: to_json(&Shown { error: Error { code, message: &message, index } }), header }
    }
}

impl From<Answer> for Response<Body> {
    fn from(answer: Answer) -> Self {
        let mut response = reply::with_type(answer.status, "application/json", answer.body);
        reply::set(&mut response, header::CACHE_CONTROL, "no-store");
        if let Some((name, value)) = answer.header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<Refusal> for Response<Body> {
    fn from(refusal: Refusal) -> Self {
        Answer::from(refusal).into()
    }
}

/// The values are our own structs of texts and numbers, which always can be JSON.
fn to_json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).map(Bytes::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_characters() {
        for length in 390..410 {
            let refusal = Refusal::of_meaning("x", format!("{}ééééééééé", "a".repeat(length)));
            assert!(refusal.message.len() <= MAX_MESSAGE + 4, "{}", refusal.message.len());
        }
    }
}
