//! The official SockJS protocol suite, row by row: each test here carries the class and the name of one of its tests and
//! shows what that one checks (SockJS protocol, test suite). Only `Websocket.test_haproxy` is missing: its handshake is obsolete.
//! What the suite does not notice is in `sockjs_beyond_suite`.

#[path = "../support/mod.rs"]
mod support;

mod closing;
mod cookies;
mod http;
mod pages;
mod scripts;
mod sessions;
mod websocket;
mod xhr;

use support::{Gateway, Request, Response, test_services};

const TEXT: &str = "text/plain; charset=UTF-8";
const HTML: &str = "text/html; charset=UTF-8";
const JSON: &str = "application/json; charset=UTF-8";
const JAVASCRIPT: &str = "application/javascript; charset=UTF-8";

async fn gateway() -> Gateway {
    Gateway::start(test_services()).await
}

fn assert_type(response: &Response, content_type: &str) {
    assert_eq!(response.header("Content-Type"), Some(content_type), "{}", response.head());
}

fn assert_no_cookie(response: &Response) {
    assert_eq!(response.header("Set-Cookie"), None);
}

fn assert_not_cached(response: &Response) {
    let exactly = "no-store, no-cache, no-transform, must-revalidate, max-age=0";
    assert_eq!(response.header("Cache-Control"), Some(exactly), "{}", response.head());
    assert_eq!(response.header("Expires"), None);
    assert_eq!(response.header("Last-Modified"), None);
}

fn assert_cached_for_a_year(response: &Response) {
    assert_eq!(response.header("Cache-Control"), Some("public, max-age=31536000"));
    let expires = response.header("Expires").expect("a page for a year says when it expires");
    let expires = httpdate::parse_http_date(expires).expect("Expires is an HTTP date");
    let ahead = expires.duration_since(std::time::SystemTime::now()).expect("it is not over yet");
    let days = ahead.as_secs() / 86_400;
    assert!((364..=365).contains(&days), "{days} days");
    assert_eq!(response.header("Last-Modified"), None);
}

/// The CORS headers of an answer to a request with this `Origin`, on an endpoint that allows any.
fn assert_cors(response: &Response, origin: Option<&str>) {
    assert_eq!(response.header("Access-Control-Allow-Origin"), Some(origin.unwrap_or("*")));
    assert_eq!(response.header("Access-Control-Allow-Credentials"), origin.map(|_| "true"));
}

/// The answers to OPTIONS that let a page of any origin ask.
async fn assert_preflight(gateway: &Gateway, target: &str, methods: &str) {
    for origin in ["test", "null"] {
        let response = gateway.request(Request::options(target).header("Origin", origin)).await;
        assert_eq!(response.status, 204);
        assert_cached_for_a_year(&response);
        assert_cors(&response, Some(origin));
        assert_eq!(response.header("Access-Control-Max-Age"), Some("31536000"));
        assert_eq!(response.header("Access-Control-Allow-Methods"), Some(methods));
        assert_eq!(response.text(), "");
    }
}

/// Opens a session by one poll.
async fn open(gateway: &Gateway, session: &str) {
    let response = gateway.request(Request::post(format!("{session}/xhr"))).await;
    assert_eq!((response.status, response.text().as_str()), (200, "o\n"));
}

/// Polls once.
async fn poll(gateway: &Gateway, session: &str) -> String {
    let response = gateway.request(Request::post(format!("{session}/xhr"))).await;
    assert_eq!(response.status, 200);
    response.text()
}

/// Sends a payload that is to be accepted.
async fn send(gateway: &Gateway, session: &str, payload: &str) {
    let response = gateway.request(Request::post(format!("{session}/xhr_send")).body(payload.to_owned())).await;
    assert_eq!((response.status, response.text().as_str()), (204, ""));
}
