//! Five origins over every transport under three rules, good requests and refused ones, as `fixtures/http/origins.txt` has it:
//! who is answered, and which pages may read the answer.
//!
//! Does not know: what the answers are about. Sessions and counters of refused requests are looked at in
//! `tests/sockjs_beyond_suite`.

mod support;

use support::proof::{Proof, expired, secured, token_of};
use support::{Gateway, Request, Response, Transport, echo, serving};
use towpath::config::{AllowedOrigins, Endpoint, Transport as Setting, Transports};

const TABLES: &str = include_str!("../fixtures/http/origins.txt");
const HOST: &str = "gateway.example";
const LISTED: &str = "https://app.example";

/// Rows of cells; the first one has the columns' names.
type Table = Vec<Vec<&'static str>>;

/// The table that begins with that word.
fn table(first: &str) -> Table {
    let lines = TABLES.lines().skip_while(|line| !line.starts_with(first)).take_while(|line| !line.is_empty());
    lines.map(|line| line.split('|').map(str::trim).collect()).collect()
}

fn rule(name: &str) -> AllowedOrigins {
    match name {
        "any" => AllowedOrigins::Any,
        "same host" => AllowedOrigins::SameHost,
        "listed" => AllowedOrigins::List(vec![LISTED.to_owned()]),
        other => panic!("no such rule: {other}"),
    }
}

async fn gateway(rule: &str) -> Gateway {
    // Also those that a list would turn off.
    let transports = Transports::Only(Setting::ALL.into_iter().collect());
    Gateway::in_memory(secured(serving([Endpoint { allowed_origins: self::rule(rule), transports, ..echo() }]))).await
}

/// A request over that transport, to that session where it has one.
fn request(transport: &str, id: &str) -> Request {
    let sending = |transport: Transport| transport.sending_request("/echo", id, r#"["x"]"#).expect("it has a sender");
    match transport {
        "info" => Request::get("/echo/info"),
        "iframe" => Request::get("/echo/iframe.html"),
        "xhr_send" => sending(Transport::Xhr),
        "jsonp_send" => sending(Transport::Jsonp),
        "raw_websocket" => Transport::RawWebsocket.request("/echo", id),
        segment => {
            let found = Transport::ALL.into_iter().find(|transport| transport.segment() == segment);
            found.unwrap_or_else(|| panic!("no such transport: {segment}")).request("/echo", id)
        }
    }
}

async fn ask(gateway: &Gateway, request: Request, origin: &str, proof: &Proof) -> Response {
    let request = proof.on(request.host(Some(HOST)));
    let request = if origin == "none" { request } else { request.header("Origin", origin) };
    gateway.open(request).await.0
}

/// A new session of ann's.
async fn session(gateway: &Gateway) -> String {
    let id = format!("anns-{}", rand::random::<u32>());
    let opened = ask(gateway, Transport::Xhr.request("/echo", &id), "none", &Proof::cookie(&token_of("ann"))).await;
    assert_eq!(opened.status, 200);
    id
}

fn assert_readable(answer: &Response, origin: &str, by: &str, context: &str) {
    let allow_origin = match by {
        "own" => Some(origin),
        "all" => Some("*"),
        _ => None,
    };
    assert_eq!(answer.header("Access-Control-Allow-Origin"), allow_origin, "{context}");
    let credentials = (by == "own").then_some("true");
    assert_eq!(answer.header("Access-Control-Allow-Credentials"), credentials, "{context}");
    assert_eq!(answer.all("Vary"), ["Origin"], "{context}");
}

/// No word about who may read it.
fn assert_silent(answer: &Response, context: &str) {
    for name in ["Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"] {
        assert_eq!(answer.header(name), None, "{context}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_origin_gets_what_the_table_says() {
    let (origins, transports) = (table("origin "), table("transport "));
    assert_eq!((origins.len(), transports.len()), (6, 12), "five origins, and every transport");
    let (rules, cases) = (&origins[0][1..], &transports[0][1..]);
    for (column, rule) in rules.iter().enumerate() {
        let gateway = gateway(rule).await;
        for origin in &origins[1..] {
            let (origin, verdict) = (origin[0], origin[column + 1]);
            for transport in &transports[1..] {
                let (transport, expected) = (transport[0], &transport[1..]);
                for (case, expected) in cases.iter().zip(expected).filter(|(_, expected)| **expected != "-") {
                    let context = format!("{case} {transport} by {origin} under {rule:?}");
                    let answer = answer(&gateway, case, transport, origin).await;
                    let context = format!("{context}\n{}", answer.head());
                    check(&answer, expected, if transport == "iframe" { "plain" } else { verdict }, origin, &context);
                }
            }
        }
    }
}

/// Sends the request of that case.
async fn answer(gateway: &Gateway, case: &str, transport: &str, origin: &str) -> Response {
    let sends = transport.ends_with("_send");
    let new = format!("new-{}", rand::random::<u32>());
    let (id, proof) = match case {
        "good" if sends => (session(gateway).await, Proof::cookie(&token_of("ann"))),
        "good" => (new, Proof::cookie(&token_of("ann"))),
        "hidden" => (session(gateway).await, Proof::cookie(&token_of("bob"))),
        "expired" => (session(gateway).await, Proof::cookie(&expired("ann"))),
        other => panic!("no such case: {other}"),
    };
    ask(gateway, request(transport, &id), origin, &proof).await
}

fn check(answer: &Response, expected: &str, verdict: &str, origin: &str, context: &str) {
    // Whatever else is wrong with the request: who may not ask learns nothing of sessions and proofs.
    let (status, readable) =
        if verdict == "refused" { ("403", false) } else { (expected.trim_end_matches('*'), expected.ends_with('*')) };
    assert_eq!(answer.status.to_string(), status, "{context}");
    if readable { assert_readable(answer, origin, verdict, context) } else { assert_silent(answer, context) }
}

/// A preflight is asked before a proof can be sent, and is answered without one.
#[tokio::test(start_paused = true)]
async fn preflights_need_no_proof() {
    let origins = table("origin ");
    for (column, rule) in origins[0][1..].iter().enumerate() {
        let gateway = gateway(rule).await;
        for origin in &origins[1..] {
            let (origin, verdict) = (origin[0], origin[column + 1]);
            for segment in ["xhr", "xhr_streaming", "xhr_send"] {
                let request = Request::options(format!("/echo/0/{}/{segment}", session(&gateway).await))
                    .header("Access-Control-Request-Headers", "authorization");
                let answer = ask(&gateway, request, origin, &Proof::cookie(&expired("ann"))).await;
                let context = format!("{segment} by {origin} under {rule}\n{}", answer.head());
                check(&answer, "204*", verdict, origin, &context);
                let allowed = (verdict != "refused").then_some("authorization");
                assert_eq!(answer.header("Access-Control-Allow-Headers"), allowed, "{context}");
            }
        }
    }
}
