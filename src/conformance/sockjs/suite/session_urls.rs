//! Which URLs are those of sessions.
//!
//! Does not know: transports but xhr, which stands for all of them.

use super::{must, should};
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Stop};
use crate::wire::Request;

const GROUP: &str = "session URLs";

pub(super) const CHECKS: &[Check<Probe>] = &[
    should(
        GROUP,
        "SessionURLs.test_anyValue",
        "the parts for server and session may be any text without dots and slashes",
        "sockjs-client takes letters and digits, but lets pages choose the session's part, and other clients have ids of their \
         own: Spring's has 32 hexadecimal digits.",
        |probe| Box::pin(any_value(probe)),
    ),
    should(
        GROUP,
        "SessionURLs.test_invalidPaths",
        "URLs with empty parts, with dots in them, or with another number of parts are 404",
        "Dots and double slashes are what proxies fold. A server that takes them lets a request mean one URL to the proxy, with \
         its rules, and another one behind it.",
        |probe| Box::pin(invalid_paths(probe)),
    ),
    must(
        GROUP,
        "SessionURLs.test_ignoringServerId",
        "only the session's part of the URL names the session",
        "The server's part is for load balancers, which may choose by it and rewrite it. A session that is found under one of \
         them only is lost as soon as they do.",
        |probe| Box::pin(ignoring_server_id(probe)),
    ),
];

async fn any_value(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let id = visit.id();
    let digits: String = id.bytes().map(|byte| char::from(b'0' + byte % 10)).collect();
    let sessions = [
        format!("/a/{id}"),
        format!("/_/_{id}"),
        format!("/1/{digits}"),
        format!("/abcdefgh_i-j%20/{id}abcdefg_i-j%20"),
    ];
    for session in sessions {
        let request = Request::post(visit.base(&format!("{session}/xhr"))).body("");
        visit.ask(&request).await?.status(200)?.body("o\n")?;
    }
    visit.done()
}

async fn invalid_paths(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for path in ["//", "/a./a", "/a/a.", "/./.", "/", "///"] {
        let path = visit.base(&format!("{path}/xhr"));
        visit.ask(&Request::get(&path)).await?.status(404)?;
        visit.ask(&Request::post(&path).body("")).await?.status(404)?;
    }
    visit.done()
}

async fn ignoring_server_id(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let post = |server: &str, path: &str| Request::post(visit.base(&format!("/{server}/{}{path}", visit.id())));
    visit.ask(&post("000", "/xhr").body("")).await?.status(200)?.body("o\n")?;
    visit.ask(&post("000", "/xhr_send").body(r#"["a"]"#)).await?.status(204)?.body("")?;
    visit.ask(&post("999", "/xhr").body("")).await?.status(200)?.body("a[\"a\"]\n")?;
    visit.done()
}
