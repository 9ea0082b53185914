//! The checks of the official protocol suite, under the names that they have there: one file for each class of it, or area. All
//! are here but `Websocket.test_haproxy`, whose handshake no browser of today makes. A check demands what the present suite
//! does. What only the edition 0.3.3 wants is told apart, since many servers were written for that one and clients accept
//! both.
//!
//! How much a check matters is our judgement, and the suite has none: must is what clients of today break on.
//!
//! Does not know: what the suite does not look at; that is in our own checks.

mod closing;
mod cookies;
mod eventsource;
mod greeting;
mod htmlfile;
mod http;
mod iframe;
mod info;
mod json_encoding;
mod jsonp;
mod protocol;
mod raw_websocket;
mod session_urls;
mod websocket;
mod websocket_handshake;
mod xhr_polling;
mod xhr_streaming;

use super::Probe;
use super::visit::Visit;
use crate::conformance::{Check, Level, Looking, Rule, Stop};
use crate::wire::Request;

/// The suite in its own order.
pub(super) const GROUPS: &[&[Check<Probe>]] = &[
    greeting::CHECKS,
    iframe::CHECKS,
    info::CHECKS,
    session_urls::CHECKS,
    protocol::CHECKS,
    websocket_handshake::CHECKS,
    websocket::CHECKS,
    xhr_polling::CHECKS,
    xhr_streaming::CHECKS,
    eventsource::CHECKS,
    htmlfile::CHECKS,
    jsonp::CHECKS,
    cookies::CHECKS,
    raw_websocket::CHECKS,
    json_encoding::CHECKS,
    closing::CHECKS,
    http::CHECKS,
];

/// Content types of the protocol.
const TEXT: &str = "text/plain; charset=UTF-8";
const HTML: &str = "text/html; charset=UTF-8";
const JSON: &str = "application/json; charset=UTF-8";
const JAVASCRIPT: &str = "application/javascript; charset=UTF-8";

/// What the close service says.
const GO_AWAY: &str = r#"c[3000,"Go away!"]"#;
/// What a second receiver of a session is told.
const STILL_OPEN: &str = r#"c[2010,"Another connection still open"]"#;

/// Looks whether a rule is kept.
type Look = for<'a> fn(&'a Probe) -> Looking<'a>;

/// A check of what clients of today break on.
const fn must(
    group: &'static str,
    id: &'static str,
    demand: &'static str,
    why: &'static str,
    look: Look,
) -> Check<Probe> {
    check(group, Level::Must, id, demand, why, look)
}

/// A check of what some clients or networks suffer from.
const fn should(
    group: &'static str,
    id: &'static str,
    demand: &'static str,
    why: &'static str,
    look: Look,
) -> Check<Probe> {
    check(group, Level::Should, id, demand, why, look)
}

/// A check of what no client of today misses.
const fn may(
    group: &'static str,
    id: &'static str,
    demand: &'static str,
    why: &'static str,
    look: Look,
) -> Check<Probe> {
    check(group, Level::May, id, demand, why, look)
}

const fn check(
    group: &'static str,
    level: Level,
    id: &'static str,
    demand: &'static str,
    why: &'static str,
    look: Look,
) -> Check<Probe> {
    let source = "SockJS protocol, official suite";
    Check { rule: Rule { id, group, level, demand, source, why, slow: false }, look }
}

/// A browser's question whether a page of that origin may use a method on a path.
fn may_i(origin: &str, method: &str, path: impl Into<String>) -> Request {
    Request::options(path).header("Origin", origin).header("Access-Control-Request-Method", method)
}

/// Asks so for a page of another origin and for one that has none; the answer is to allow the method, and OPTIONS.
async fn preflight(visit: &Visit<'_>, path: &str, method: &str) -> Result<(), Stop> {
    for origin in ["test", "null"] {
        let answer = visit.ask(&may_i(origin, method, path)).await?;
        answer.status_in(&[204, 200])?.body("")?.cors(Some(origin))?;
        answer.lists("Access-Control-Allow-Methods", &["OPTIONS", method])?.cached_for_a_year()?;
        let age = answer.some_header("Access-Control-Max-Age")?;
        if !age.parse::<u64>().is_ok_and(|seconds| seconds > 1_000_000) {
            return Err(answer.fail(format!("Access-Control-Max-Age: {age}"), "Access-Control-Max-Age: 31536000"));
        }
    }
    Ok(())
}
