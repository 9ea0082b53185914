//! The cookie by which load balancers keep a client on one machine.
//!
//! Does not know: load balancers.

use serde_json::json;

use super::jsonp::{script, submit};
use super::should;
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Stop};
use crate::wire::Request;

const GROUP: &str = "cookies";

pub(super) const CHECKS: &[Check<Probe>] = &[
    should(
        GROUP,
        "JsessionidCookie.test_basic",
        "/info of a service with the cookie says so, and sets none itself",
        "Clients leave out the transports that cannot send cookies when they are told that it takes one. A cookie on /info, \
         which may come from another machine, would tie the session to the wrong one.",
        |probe| Box::pin(basic(probe)),
    ),
    should(
        GROUP,
        "JsessionidCookie.test_xhr",
        "xhr sets JSESSIONID=dummy with path=/, and echoes the value that the client has",
        "Some load balancers are sticky only to those who have this cookie, and put their own mark into it. A value that is not \
         echoed takes the mark away, and the next request goes to a machine without the session.",
        |probe| Box::pin(xhr(probe)),
    ),
    should(
        GROUP,
        "JsessionidCookie.test_xhr_streaming",
        "xhr_streaming sets the cookie",
        "The stream may be the first answer that a client gets. Without the cookie on it, its first message goes to any machine.",
        |probe| Box::pin(stream(probe, Request::post, "/xhr_streaming")),
    ),
    should(
        GROUP,
        "JsessionidCookie.test_eventsource",
        "eventsource sets the cookie",
        "The stream may be the first answer that a client gets. Without the cookie on it, its first message goes to any machine.",
        |probe| Box::pin(stream(probe, Request::get, "/eventsource")),
    ),
    should(
        GROUP,
        "JsessionidCookie.test_htmlfile",
        "htmlfile sets the cookie",
        "The page may be the first answer that a client gets. Without the cookie on it, its first message goes to any machine.",
        |probe| Box::pin(stream(probe, Request::get, "/htmlfile?c=%63allback")),
    ),
    should(
        GROUP,
        "JsessionidCookie.test_jsonp",
        "jsonp and jsonp_send set the cookie",
        "Scripts and forms send cookies by themselves, so these transports depend on stickiness as all others over HTTP do.",
        |probe| Box::pin(jsonp(probe)),
    ),
];

async fn basic(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.cookie()?;
    let answer = visit.ask(&Request::get(visit.base("/info"))).await?;
    answer.status(200)?.no_cookie()?;
    let info = answer.json()?;
    if info.get("cookie_needed") != Some(&json!(true)) {
        let seen = info.get("cookie_needed").map_or("no cookie_needed".to_owned(), |it| format!("cookie_needed {it}"));
        return Err(answer.fail(seen, "cookie_needed true"));
    }
    visit.done()
}

async fn xhr(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.cookie()?;
    visit.ask(&visit.post("/xhr")).await?.status(200)?.body("o\n")?.cookie("dummy")?;
    let visit = visit.another();
    let request = visit.post("/xhr").header("Cookie", "JSESSIONID=abcdef");
    visit.ask(&request).await?.status(200)?.body("o\n")?.cookie("abcdef")?;
    visit.done()
}

async fn stream(probe: &Probe, method: fn(String) -> Request, path: &str) -> Result<(), Stop> {
    let visit = probe.cookie()?;
    let stream = visit.begin(&method(visit.session(path))).await?;
    stream.answer().status(200)?.cookie("dummy")?;
    visit.done()
}

async fn jsonp(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.cookie()?;
    let answer = visit.ask(&visit.get("/jsonp?c=%63allback")).await?;
    answer.status(200)?.cookie("dummy")?;
    script(&answer, "o")?;
    submit(&visit, "application/x-www-form-urlencoded", "d=%5B%22x%22%5D").await?.cookie("dummy")?;
    visit.done()
}
