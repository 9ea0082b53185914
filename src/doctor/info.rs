//! `/info`: whether a SockJS service answers there at all, how fast, what a sockjs-client makes of it, and whether the answer is
//! one that a cache keeps.
//!
//! Does not know: transports, CORS.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::catalogue::{
    CACHE_CONTROL, HTTP10, INFO_CACHED, INFO_REDIRECT, INFO_SLOW, INFO_UNANSWERED, LOGIN_PAGE, NO_KEEP_ALIVE,
    NOT_SOCKJS, PATH_WRONG, Problem, SERVER_DOWN,
};
use super::probe::{Probe, shown};
use super::report::{Finding, Transport};
use crate::wire::{Connection, Fault, Head, Response};

/// How often it is asked for its latency.
const ASKED: usize = 5;
/// A median above this is slow: each transport gets eight times as long.
const SLOW: Duration = Duration::from_secs(1);

/// What `/info` says, and how fast.
#[derive(Debug, Clone, Copy)]
pub(super) struct Info {
    /// Whether it says that there are websockets; clients take silence for yes.
    pub websocket: bool,
    /// The time that a sockjs-client gives a transport to open.
    pub time_out: Duration,
}

/// Looks. `None` if it makes no sense to go on.
pub(super) async fn look(probe: &mut Probe<'_>) -> Option<Info> {
    let first = match probe.ask(&probe.request("GET", probe.target.path("/info?t=1"))).await {
        Ok(first) => first,
        Err(fault) => {
            let seen = format!("GET {}: {fault}", probe.target.path("/info"));
            probe.find(Finding::new(&INFO_UNANSWERED, seen).breaking(&Transport::ALL));
            return None;
        }
    };
    let value = match read(&first) {
        Ok(value) => value,
        Err((problem, seen)) => {
            let seen = format!("GET {}: {seen}", probe.target.path("/info"));
            probe.find(Finding::new(problem, seen).breaking(&Transport::ALL));
            return None;
        }
    };
    probe.cookies.take(&first.head);
    headers(probe, &first.head);
    let websocket = value.get("websocket").and_then(Value::as_bool).unwrap_or(true);
    let cookie_needed = value.get("cookie_needed").and_then(Value::as_bool).unwrap_or(false);
    probe.fact("info", format!("websocket {websocket}, cookie_needed {cookie_needed}"));
    if let Some(url) = value.get("base_url").and_then(Value::as_str) {
        probe.fact("info", format!("base_url {url:?}: clients go there with everything else; look at that, too"));
    }
    let median = latency(probe).await;
    let time_out = 2 * transport_time(median);
    probe.fact(
        "info",
        format!("median of {ASKED} {}: sockjs-client gives each transport {}", shown(median), shown(time_out)),
    );
    if median > SLOW {
        probe.find(Finding::new(&INFO_SLOW, format!("the median of {ASKED} is {}", shown(median))));
    }
    cached(probe).await;
    Some(Info { websocket, time_out })
}

/// The round trip time-out of sockjs-client.
fn transport_time(round_trip: Duration) -> Duration {
    match round_trip > Duration::from_millis(100) {
        true => 4 * round_trip,
        false => round_trip + Duration::from_millis(300),
    }
}

/// The object of an answer, or what it is instead.
fn read(answer: &Response) -> Result<Value, (&'static Problem, String)> {
    let (status, body) = (answer.status(), answer.text());
    let kind = answer.header("Content-Type").unwrap_or("no type").to_owned();
    let page = body.to_lowercase();
    let is_page = kind.contains("html") || page.trim_start().starts_with("<!doctype") || page.contains("<html");
    let is_login =
        page.contains("type=\"password\"") || page.contains("type='password'") || page.contains("type=password");
    let told = format!("status {status}, {kind}, {}", crate::wire::shown(body.get(..60).unwrap_or(&body)));
    let problem = match status {
        300..=399 => {
            let place = answer.header("Location").unwrap_or("nowhere");
            let login = ["login", "signin", "sso", "auth"].iter().any(|word| place.to_lowercase().contains(word));
            let problem = if login { &LOGIN_PAGE } else { &INFO_REDIRECT };
            return Err((problem, format!("status {status} to {place}")));
        }
        401 | 403 | 407 | 511 => &LOGIN_PAGE,
        404 | 405 | 410 => &PATH_WRONG,
        500..=599 => &SERVER_DOWN,
        200 if is_page && is_login => &LOGIN_PAGE,
        200 => match serde_json::from_str::<Value>(&body) {
            Ok(value) if value.get("websocket").is_some() || value.get("entropy").is_some() => return Ok(value),
            _ if is_page => return Err((&NOT_SOCKJS, format!("a page of HTML: {told}"))),
            _ => &NOT_SOCKJS,
        },
        _ => &NOT_SOCKJS,
    };
    Err((problem, told))
}

/// What the head tells of those who passed the answer on.
fn headers(probe: &mut Probe<'_>, head: &Head) {
    for name in ["Server", "Via", "X-Cache", "X-Cache-Status", "Age", "CF-Ray", "X-Served-By", "X-Varnish"] {
        for value in head.all(name) {
            probe.fact("headers", format!("{name}: {value}"));
        }
    }
    if let Some(seen) = cacheable(head) {
        probe.find(Finding::new(&CACHE_CONTROL, format!("/info: {seen}")));
    } else if !head.has_token("Cache-Control", "no-transform") {
        probe.fact("headers", "Cache-Control has no no-transform: a proxy may compress answers");
    }
    if head.version != "HTTP/1.1" {
        probe.find(Finding::new(&HTTP10, format!("/info: {}", head.version)));
    } else if head.has_token("Connection", "close") {
        probe.find(Finding::new(&NO_KEEP_ALIVE, "/info: Connection: close").hampering(&Transport::HTTP));
    }
}

/// Why a cache might keep an answer, if it might.
pub(super) fn cacheable(head: &Head) -> Option<String> {
    let lines: Vec<_> = head.all("Cache-Control").collect();
    if lines.is_empty() {
        return Some("there is no Cache-Control".to_owned());
    }
    let forbidden = head.has_token("Cache-Control", "no-store") || head.has_token("Cache-Control", "no-cache");
    let ages = lines.iter().flat_map(|line| line.split(',')).filter_map(|entry| entry.trim().split_once('='));
    let aged = ages.into_iter().any(|(name, age)| name.ends_with("max-age") && age.trim() != "0");
    let public = head.has_token("Cache-Control", "public");
    (!forbidden || aged || public).then(|| format!("Cache-Control: {}", lines.join(" | ")))
}

/// The median of a few answers, on one connection as long as that lasts.
async fn latency(probe: &Probe<'_>) -> Duration {
    let mut times = Vec::new();
    let mut connection = None;
    for number in 0..ASKED {
        let request = probe.request("GET", probe.target.path(&format!("/info?t={}", 2 + number)));
        let began = Instant::now();
        let answered = async {
            let mut open = match connection.take() {
                Some(open) => open,
                None => Connection::open(probe.target, probe.load, probe.limits()).await?,
            };
            let answer = open.ask(&request, probe.target).await?;
            if !answer.head.has_token("Connection", "close") {
                connection = Some(open);
            }
            Ok::<_, Fault>(())
        };
        // One that is missing counts as long as it was waited for.
        let _ = answered.await;
        times.push(began.elapsed());
    }
    times.sort();
    times.get(ASKED / 2).copied().unwrap_or_default()
}

/// Whether two answers are one.
async fn cached(probe: &mut Probe<'_>) {
    let mut seen = Vec::new();
    for (what, paths) in
        [("without a query", ["/info", "/info"]), ("with two different queries ?t=", ["/info?t=11", "/info?t=12"])]
    {
        let mut entropies = Vec::new();
        let mut marks = Vec::new();
        for path in paths {
            let Ok(answer) = probe.ask(&probe.request("GET", probe.target.path(path))).await else { return };
            entropies.push(read(&answer).ok().and_then(|value| value.get("entropy").cloned()));
            marks = ["Age", "X-Cache", "X-Cache-Status"]
                .iter()
                .filter_map(|name| Some(format!("{name}: {}", answer.header(name)?)))
                .collect();
        }
        if let [Some(first), Some(second)] = &entropies[..]
            && first == second
        {
            let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
            seen.push(format!("two answers {what} have the same entropy {first}{marks}"));
        }
    }
    for text in seen {
        probe.find(Finding::new(&INFO_CACHED, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_transport_is_that_of_sockjs_client() {
        for (round_trip, expected) in [(0, 300), (100, 400), (101, 404), (1000, 4000)] {
            assert_eq!(transport_time(Duration::from_millis(round_trip)), Duration::from_millis(expected));
        }
    }

    #[test]
    fn an_answer_that_may_be_kept_is_noticed() {
        let kept = |lines: &[&str]| {
            let headers = lines.iter().map(|line| ("cache-control".to_owned(), (*line).to_owned())).collect();
            cacheable(&Head { version: String::new(), status: 200, reason: String::new(), headers }).is_some()
        };
        for good in [
            &["no-store, no-cache, no-transform, must-revalidate, max-age=0"][..],
            &["no-store, no-cache, must-revalidate, max-age=0"],
            &["no-store"],
        ] {
            assert!(!kept(good), "{good:?}");
        }
        for bad in
            [&[][..], &["max-age=3600"], &["no-cache", "max-age=3600"], &["public, no-cache"], &["must-revalidate"]]
        {
            assert!(kept(bad), "{bad:?}");
        }
    }
}
