//! CORS: whether a browser would let pages of other origins read the answers.
//!
//! Does not know: which pages there are; who says nothing of them is asked about nobody's.

use super::catalogue::{
    CORS_CREDENTIALS, CORS_DOUBLED, CORS_MISSING, CORS_PREFLIGHT, CORS_WILDCARD, ORIGIN_REFUSED, Problem,
};
use super::probe::Probe;
use super::report::{Finding, Transport};
use crate::wire::{Head, Request};

/// The origin of a page that no server knows.
const ELSEWHERE: &str = "https://elsewhere.invalid";

/// Looks at `/info`, a polling request and its preflight, with the service's own origin and with another.
pub(super) async fn look(probe: &mut Probe<'_>) {
    let (own, asked) = (probe.own_origin(), probe.options.origin.clone());
    // Pages of its own need no CORS, but what is there twice for them is there twice for others.
    let mut seen = faults(probe, &own).await;
    if let Some((_, what)) = seen.iter().find(|(fault, _)| *fault == Fault::Status(403))
        && asked.as_ref().is_none_or(|asked| *asked == own)
    {
        let seen = format!("{what} with Origin: {own} is answered with 403");
        probe.find(Finding::new(&ORIGIN_REFUSED, seen).breaking(&Transport::ALL));
    }
    seen.retain(|(fault, _)| *fault == Fault::Doubled);
    let other = asked.clone().unwrap_or_else(|| ELSEWHERE.to_owned());
    let mut there = if other == own { Vec::new() } else { faults(probe, &other).await };
    let allowed =
        there.iter().all(|(fault, what)| what != "GET /info" || !matches!(fault, Fault::Missing(_) | Fault::Status(_)));
    if asked.is_none() && !allowed {
        probe.fact("cors", "pages of other origins are not let in; if yours is one, name it with --origin");
        there.retain(|(fault, _)| *fault == Fault::Doubled);
    }
    seen.extend(there);
    for (fault, what) in seen {
        let (problem, text): (&'static Problem, _) = match fault {
            Fault::Doubled => (&CORS_DOUBLED, format!("{what}: more than one of a header")),
            Fault::Wildcard => (&CORS_WILDCARD, format!("{what}: Access-Control-Allow-Origin: *")),
            Fault::Missing(value) => (&CORS_MISSING, format!("{what} with Origin: {other}: {value}")),
            Fault::Status(status) => (&CORS_MISSING, format!("{what} with Origin: {other}: status {status}")),
            Fault::Credentials => (&CORS_CREDENTIALS, what),
            Fault::Preflight(text) => (&CORS_PREFLIGHT, text),
        };
        probe.find(Finding::new(problem, text).hampering(&Transport::ALL));
    }
}

/// One thing that keeps a browser from showing an answer.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Doubled,
    Wildcard,
    Missing(String),
    Status(u16),
    Credentials,
    Preflight(String),
}

/// What is wrong for pages of that origin, each with the request that showed it.
async fn faults(probe: &Probe<'_>, origin: &str) -> Vec<(Fault, String)> {
    let mut found = Vec::new();
    let session = probe.session();
    let get = probe.request("GET", probe.target.path("/info")).header("Origin", origin);
    let post = probe.request("POST", format!("{session}/xhr")).header("Origin", origin).body("");
    let preflight = probe
        .dressed(Request::options(format!("{}/xhr", probe.session())))
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "content-type");
    for (what, request) in [("GET /info", get), ("POST xhr", post)] {
        let Ok(answer) = probe.ask(&request).await else { continue };
        match answer.status() {
            // A service without polling has nothing to say about it.
            404 => {}
            200..=299 => found.extend(judge(&answer.head, origin).into_iter().map(|fault| (fault, what.to_owned()))),
            status => found.push((Fault::Status(status), what.to_owned())),
        }
    }
    if let Ok(answer) = probe.ask(&preflight).await {
        let what = "OPTIONS xhr";
        match answer.status() {
            200 | 204 => {
                for fault in judge(&answer.head, origin) {
                    let fault = match fault {
                        Fault::Doubled => fault,
                        _ => Fault::Preflight(format!("{what}: {}", answer.head.text().replace('\n', " | "))),
                    };
                    found.push((fault, what.to_owned()));
                }
            }
            404 => {}
            status => found.push((Fault::Preflight(format!("{what}: status {status}")), what.to_owned())),
        }
    }
    found
}

/// What is wrong with one answer for a page of that origin.
fn judge(head: &Head, origin: &str) -> Vec<Fault> {
    let entries = |name| -> Vec<_> {
        head.all(name).flat_map(|line| line.split(',')).map(str::trim).filter(|entry| !entry.is_empty()).collect()
    };
    let (origins, credentials) = (entries("Access-Control-Allow-Origin"), entries("Access-Control-Allow-Credentials"));
    let mut found = Vec::new();
    match origins[..] {
        [] => found.push(Fault::Missing("no Access-Control-Allow-Origin".to_owned())),
        ["*"] => found.push(Fault::Wildcard),
        [one] if one.eq_ignore_ascii_case(origin) => {
            if credentials.is_empty() {
                found.push(Fault::Credentials);
            }
        }
        [other] => found.push(Fault::Missing(format!("Access-Control-Allow-Origin names {other}"))),
        _ => found.push(Fault::Doubled),
    }
    if credentials.len() > 1 && !found.contains(&Fault::Doubled) {
        found.push(Fault::Doubled);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_takes_one_origin_with_credentials_and_nothing_else() {
        let of = |lines: &[(&str, &str)]| {
            let name = |name: &str| format!("access-control-allow-{name}");
            let headers = lines.iter().map(|(header, value)| (name(header), (*value).to_owned())).collect();
            judge(&Head { version: String::new(), status: 200, reason: String::new(), headers }, "http://a")
        };
        assert_eq!(of(&[("origin", "http://a"), ("credentials", "true")]), []);
        assert_eq!(of(&[("origin", "http://a")]), [Fault::Credentials]);
        assert_eq!(of(&[("origin", "*"), ("credentials", "true")]), [Fault::Wildcard]);
        assert!(matches!(of(&[("origin", "http://b"), ("credentials", "true")])[..], [Fault::Missing(_)]));
        assert!(matches!(of(&[])[..], [Fault::Missing(_)]));
        for twice in [
            &[("origin", "http://a"), ("origin", "*")][..],
            &[("origin", "http://a, http://a")],
            &[("origin", "*, *")],
            &[("origin", "http://a"), ("credentials", "true"), ("credentials", "true")],
        ] {
            assert_eq!(of(twice), [Fault::Doubled], "{twice:?}");
        }
    }
}
