//! Our own checks, of what the official suite does not notice: what its demands leave open, what breaks only in a race, in the
//! middle of a character or with a slow peer, and what a hostile one can do. One file for each area; ids are
//! `area.what-is-demanded`.
//!
//! Times are counted in seconds of a patience of 5 s, which is the usual one. Where the patience is shorter all waits are, so
//! that a heartbeat of 40 s can be waited for in a test, too.
//!
//! Does not know: what the official suite looks at.

mod callback;
mod cookie;
mod cors;
mod encoding;
mod eventsource;
mod heartbeat;
mod htmlfile;
mod http;
mod http_hostile;
mod iframe;
mod jsonp;
mod payload;
mod payload_hostile;
mod poll;
mod race;
mod raw_websocket;
mod receiver;
mod session;
mod session_time;
mod stream;
mod stream_limits;
mod websocket;
mod websocket_rules;

use std::time::Duration;

use super::Probe;
use super::socket::Socket;
use super::visit::Visit;
use crate::conformance::{Check, Level, Looking, Rule, Stop};
use crate::wire::{Request, shown};

/// The areas in the order in which they are looked at.
pub(super) const GROUPS: &[&[Check<Probe>]] = &[
    cors::CHECKS,
    iframe::CHECKS,
    cookie::CHECKS,
    poll::CHECKS,
    stream::CHECKS,
    stream_limits::CHECKS,
    eventsource::CHECKS,
    htmlfile::CHECKS,
    jsonp::CHECKS,
    websocket::CHECKS,
    websocket_rules::CHECKS,
    raw_websocket::CHECKS,
    encoding::CHECKS,
    payload::CHECKS,
    payload_hostile::CHECKS,
    session::CHECKS,
    session_time::CHECKS,
    heartbeat::CHECKS,
    http::CHECKS,
    http_hostile::CHECKS,
    race::CHECKS,
];

/// Where most of the demands are written.
const SOCKJS: &str = "SockJS protocol";
/// Heartbeats that are put up with while something else is wanted: many where a server has them every second, and yet an end.
const BEATS: usize = 50;
/// A page of another origin.
const ORIGIN: &str = "https://a.example";

/// Looks whether a rule is kept.
type Look = for<'a> fn(&'a Probe) -> Looking<'a>;

const fn check(
    level: Level,
    group: &'static str,
    id: &'static str,
    source: &'static str,
    demand: &'static str,
    why: &'static str,
    look: Look,
) -> Check<Probe> {
    Check { rule: Rule { id, group, level, demand, source, why, slow: false }, look }
}

/// The same check, run only when slow ones are asked for.
const fn slow(check: Check<Probe>) -> Check<Probe> {
    Check { rule: Rule { slow: true, ..check.rule }, look: check.look }
}

/// So many seconds where the patience is the usual one of 5 s, and less where it is less.
fn seconds(probe: &Probe, seconds: u32) -> Duration {
    tenths(probe, seconds.saturating_mul(10))
}

/// The same in tenths of a second.
fn tenths(probe: &Probe, tenths: u32) -> Duration {
    probe.limits.patience.saturating_mul(tenths) / 50
}

/// The messages are those that were sent, in their order.
fn same<S: AsRef<str>>(visit: &Visit<'_>, seen: &[String], sent: &[S]) -> Result<(), Stop> {
    let differs = |(seen, sent): (&String, &S)| seen != sent.as_ref();
    let at = seen.iter().zip(sent).position(differs).unwrap_or(seen.len().min(sent.len()));
    if at == sent.len() && at == seen.len() {
        return Ok(());
    }
    let one = |message: Option<&str>| message.map_or("nothing".to_owned(), shown);
    let number = at + 1;
    Err(visit.fail(
        format!("message {number} is {}", one(seen.get(at).map(String::as_str))),
        format!("message {number} of {} is {}", sent.len(), one(sent.get(at).map(AsRef::as_ref))),
    ))
}

/// A new session gets its echo and the base greets: the server is up, and has time for others.
async fn lives(visit: &Visit<'_>) -> Result<(), Stop> {
    visit.steps.note("# does the server still serve others?");
    let other = visit.another();
    other.open().await?;
    let sent = ["still there"];
    other.send(&sent).await?;
    same(&other, &other.messages(1).await?, &sent)?;
    other.ask(&Request::get(other.base(""))).await?.status(200)?;
    Ok(())
}

/// Opens a SockJS session over a websocket, unless the server has none there.
async fn open_websocket(visit: &Visit<'_>) -> Result<Socket, Stop> {
    let mut socket = upgrade(visit, visit.session("/websocket")).await?;
    socket.expect("o").await?;
    Ok(socket)
}

/// Opens a raw websocket, unless the server has none.
async fn open_raw_websocket(visit: &Visit<'_>) -> Result<Socket, Stop> {
    upgrade(visit, visit.base("/websocket")).await
}

async fn upgrade(visit: &Visit<'_>, path: String) -> Result<Socket, Stop> {
    let request = Request::websocket(path);
    match visit.handshake(&request).await? {
        Ok(socket) => Ok(socket),
        Err(head) if head.status == 404 => Err(Stop::NotOffered(format!("no websocket at {}", request.path()))),
        Err(head) => Err(visit.fail(shown(head.text()), "101 with a right handshake")),
    }
}
