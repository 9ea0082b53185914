//! Header sets and error answers. The SockJS protocol fixes which answer carries which headers; each set has one function
//! here, and errors keep the sets of their transport, else a browser would hide their status from the page.
//!
//! Does not know: sessions, or what the request was about.

use std::time::{Duration, SystemTime};

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};

use super::Body;
use crate::config;
use crate::sockjs::headers;
use crate::sockjs::route::{Methods, Row};

/// `X-Accel-Buffering`: tells nginx not to collect a stream.
pub(super) const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What an answer needs to know of its request. Copied out of it: a request's headers are slices of the connection's read
/// buffer, and a poll that waits with them would keep the buffer and make the connection take another.
pub(super) struct Asker {
    origin: Option<Box<[u8]>>,
    /// The headers that a page wants leave to send.
    wanted: Option<Box<[u8]>>,
    cookie: Option<Box<[u8]>>,
}

impl Asker {
    /// Whoever sent these headers.
    pub fn new(request: &HeaderMap) -> Self {
        let copy = |name| request.get(name).map(|value| Box::from(value.as_bytes()));
        Self {
            origin: copy(header::ORIGIN),
            wanted: copy(header::ACCESS_CONTROL_REQUEST_HEADERS),
            cookie: copy(header::COOKIE),
        }
    }
}

/// An answer with a body of this type.
pub(super) fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, content_type);
    response
}

/// An answer of plain text, ended by a line feed.
pub(super) fn text(status: StatusCode, text: impl std::fmt::Display) -> Response<Body> {
    with_type(status, headers::TEXT, format!("{text}\n"))
}

/// An answer without body and type.
pub(super) fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// 404 for what is nothing of ours.
pub(super) fn not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "Not found")
}

/// 401 for whoever brings a proof that is not good; one wording for all causes. No challenge goes with it, or browsers would
/// ask the user for a password.
pub(super) fn not_authenticated(endpoint: &config::Endpoint, asker: &Asker) -> Response<Body> {
    let mut response = text(StatusCode::UNAUTHORIZED, "Not authenticated");
    no_cache(&mut response);
    cors(&mut response, endpoint, asker);
    response
}

/// 405 with the methods that would do, without type and body (SockJS protocol, URLs).
pub(super) fn method_not_allowed(methods: &Methods) -> Response<Body> {
    let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
    set(&mut response, header::ALLOW, methods.allow);
    response
}

/// Adds what every answer of a transport carries, errors included: no caching, CORS and cookie as its row says.
pub(super) fn dress(response: &mut Response<Body>, row: &Row, endpoint: &config::Endpoint, asker: &Asker) {
    no_cache(response);
    if row.cors {
        cors(response, endpoint, asker);
    }
    if row.cookie {
        cookie(response, endpoint, asker);
    }
    if row.no_sniff {
        set(response, header::X_CONTENT_TYPE_OPTIONS, headers::NO_SNIFF);
    }
    if row.is_stream() {
        set(response, ACCEL_BUFFERING, headers::NO_BUFFERING);
    }
}

/// The answer to OPTIONS: leave to ask, for a year.
pub(super) fn preflight(methods: &'static str, endpoint: &config::Endpoint, asker: &Asker) -> Response<Body> {
    let mut response = bare(StatusCode::NO_CONTENT);
    cache_one_year(&mut response);
    cors(&mut response, endpoint, asker);
    cookie(&mut response, endpoint, asker);
    set(&mut response, header::ACCESS_CONTROL_MAX_AGE, headers::PREFLIGHT_MAX_AGE);
    set(&mut response, header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    response
}

pub(super) fn no_cache(response: &mut Response<Body>) {
    set(response, header::CACHE_CONTROL, headers::NO_CACHE);
}

pub(super) fn cache_one_year(response: &mut Response<Body>) {
    set(response, header::CACHE_CONTROL, headers::CACHE_ONE_YEAR);
    let expires = SystemTime::now() + Duration::from_secs(headers::ONE_YEAR_SECONDS);
    if let Ok(expires) = HeaderValue::from_str(&httpdate::fmt_http_date(expires)) {
        response.headers_mut().insert(header::EXPIRES, expires);
    }
}

/// Tells the browser that the page may read the answer. Whoever calls this has checked the origin.
pub(super) fn cors(response: &mut Response<Body>, endpoint: &config::Endpoint, asker: &Asker) {
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    let value = |bytes: &Option<Box<[u8]>>| HeaderValue::from_bytes(bytes.as_ref()?).ok();
    match value(&asker.origin) {
        Some(origin) => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        None if endpoint.allowed_origins == config::AllowedOrigins::Any => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        None => {}
    }
    if let Some(wanted) = value(&asker.wanted).filter(|wanted| !wanted.is_empty()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    }
}

/// Sets the cookie by which load balancers keep a client on one machine, where the endpoint asks for it.
fn cookie(response: &mut Response<Body>, endpoint: &config::Endpoint, asker: &Asker) {
    if !endpoint.cookie {
        return;
    }
    let sent = asker.cookie.as_ref().and_then(|cookie| std::str::from_utf8(cookie).ok());
    let value = headers::session_cookie(sent);
    let mut cookie = format!("{}={value}; path=/", headers::SESSION_COOKIE);
    if let Some(same_site) = endpoint.cookie_same_site {
        cookie.push_str("; SameSite=");
        cookie.push_str(same_site.name());
    }
    if endpoint.cookie_secure {
        cookie.push_str("; Secure");
    }
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
}

pub(super) fn set(response: &mut Response<Body>, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// A request header as text; absent if it is none.
pub(super) fn request_text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
