//! The cookie for load balancers: where the official suite does not look for it.
//!
//! Does not know: what balancers do with it.

use super::{SOCKJS, check};
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Level, Stop};
use crate::wire::Request;

const GROUP: &str = "cookies";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Should,
        GROUP,
        "cookie.xhr-send",
        SOCKJS,
        "xhr_send sets the cookie, with the value that the client has",
        "Balancers rewrite the cookie on its way, so it has to be in every answer. Where sends lack it a balancer that forgets \
         an idle entry sends the next message to a server that does not know the session.",
        |probe| Box::pin(xhr_send(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "cookie.preflight",
        SOCKJS,
        "preflights set the cookie",
        "For a page of another origin the preflight is the first request of all. If it sets none, the balancer picks a server for \
         it and another one for the request that follows.",
        |probe| Box::pin(preflight(probe)),
    ),
    check(
        Level::May,
        GROUP,
        "cookie.errors",
        SOCKJS,
        "errors of session URLs set the cookie",
        "A client that was told 404 opens a new session next. With the cookie that one stays on the server that it now belongs \
         to.",
        |probe| Box::pin(errors(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "cookie.not-on-static-pages",
        SOCKJS,
        "greeting, iframe page and info set no cookie",
        "These are the same for everybody and are cached. A cookie in a cached page binds all who get that copy to one server, \
         and keeps many caches from keeping it at all.",
        |probe| Box::pin(not_on_static_pages(probe)),
    ),
];

async fn xhr_send(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.cookie()?;
    visit.open().await?;
    let send = visit.post("/xhr_send").body(r#"["x"]"#);
    visit.ask(&send).await?.status(204)?.cookie("dummy")?;
    visit.ask(&send.header("Cookie", "a=b; JSESSIONID=abcdef; c=d")).await?.status(204)?.cookie("abcdef")?;
    visit.done()
}

async fn preflight(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.cookie()?;
    for (path, method) in [
        (visit.base("/info"), "GET"),
        (visit.session("/xhr"), "POST"),
        (visit.session("/xhr_send"), "POST"),
        (visit.session("/xhr_streaming"), "POST"),
    ] {
        let request = Request::options(path).header("Origin", super::ORIGIN);
        let request = request.header("Access-Control-Request-Method", method);
        visit.ask(&request).await?.status_in(&[204, 200])?.cookie("dummy")?;
    }
    visit.done()
}

async fn errors(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.cookie()?;
    visit.ask(&visit.post("/xhr_send").body("[]")).await?.status(404)?.cookie("dummy")?;
    visit.open().await?;
    visit.ask(&visit.post("/xhr_send").body("[")).await?.status_in(&[500, 400])?.cookie("dummy")?;
    visit.done()
}

async fn not_on_static_pages(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.cookie()?;
    for path in ["", "/", "/iframe.html", "/iframe-1.2.3.html", "/info"] {
        let answer = visit.ask(&Request::get(visit.base(path))).await?;
        // Whether there is an iframe page at all is another check's business.
        answer.status_in(if path.starts_with("/iframe") { &[200, 404] } else { &[200] })?.no_cookie()?;
        let with = Request::get(visit.base(path)).header("Cookie", "JSESSIONID=abcdef");
        visit.ask(&with).await?.no_cookie()?;
    }
    visit.done()
}
