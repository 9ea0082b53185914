//! Who may read the answers, as browsers ask it.
//!
//! Does not know: preflights, which the official suite looks at.

use super::receiver::Transport;
use super::{ORIGIN, SOCKJS, check};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::answer::Answer;
use crate::conformance::sockjs::visit::Visit;
use crate::conformance::{Check, Level, Stop};
use crate::wire::Request;

const GROUP: &str = "cross-origin";
const FETCH: &str = "Fetch standard, CORS protocol";

const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";
const CREDENTIALS: &str = "Access-Control-Allow-Credentials";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Should,
        GROUP,
        "cors.vary",
        SOCKJS,
        "an answer that names an origin says Vary: Origin",
        "The answer is for one origin and no other. A cache that is not told hands it to the page of another origin, whose \
         browser then refuses it: connections that fail now and then, for some users, behind some proxies.",
        |probe| Box::pin(vary(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "cors.eventsource",
        SOCKJS,
        "eventsource may be read by pages of any origin",
        "EventSource in the browser checks the origin like every other request. Without the header sockjs-client on another \
         origin never gets its open frame by this transport and falls back to polling.",
        |probe| Box::pin(eventsource(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "cors.no-credentials-without-origin",
        FETCH,
        "a star for the origin never comes with credentials",
        "Browsers refuse that pair outright. sockjs-client sends its XHRs with credentials, so every page whose origin is \
         null (a file, a sandboxed frame) is locked out by a server that answers it with a star and `true`.",
        |probe| Box::pin(no_credentials_without_origin(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "cors.exactly-one-origin-header",
        FETCH,
        "Access-Control-Allow-Origin is there once, with one value",
        "Two of them, which happens where a server and a framework or proxy around it both add one, are refused by every \
         browser, even if they are equal.",
        |probe| Box::pin(exactly_one_origin_header(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "cors.errors",
        SOCKJS,
        "errors of xhr_send may be read by pages of other origins, too",
        "Without the header the browser hides the status from the page: a session that is gone (404) and a broken network \
         then look the same, and nobody can tell from the browser what went wrong.",
        |probe| Box::pin(errors(probe)),
    ),
    check(
        Level::May,
        GROUP,
        "cors.allow-headers-on-posts",
        SOCKJS,
        "Access-Control-Request-Headers is echoed on every method, not in preflights alone",
        "The reference server does so, and clients in old frameworks send the question with the request itself. No browser of \
         today needs it.",
        |probe| Box::pin(allow_headers_on_posts(probe)),
    ),
];

/// Everything that pages of other origins read of a session: info, a new session, a message, and a stream.
async fn answers(visit: &Visit<'_>, change: impl Fn(Request) -> Request) -> Result<Vec<(&'static str, Answer)>, Stop> {
    let mut answers = Vec::new();
    for (name, request) in [
        ("info", Request::get(visit.base("/info"))),
        ("xhr", visit.post("/xhr")),
        ("xhr_send", visit.post("/xhr_send").body(r#"["x"]"#)),
        ("xhr_send", visit.post("/xhr_send").body("[]")),
    ] {
        let answer = visit.ask(&change(request)).await?;
        answer.status_in(&[200, 204])?;
        answers.push((name, answer));
    }
    let other = visit.another();
    for transport in [Transport::XhrStreaming, Transport::EventSource] {
        let stream = other.begin(&change(transport.request(&other))).await?;
        if stream.head.status != 404 {
            stream.answer().status(200)?;
            answers.push((transport.name(), stream.answer()));
        }
    }
    Ok(answers)
}

/// The same with the preflights, and the refusals of what a page may do wrong.
async fn all_answers(visit: &Visit<'_>, origin: Option<&str>) -> Result<Vec<(&'static str, Answer)>, Stop> {
    let change = |request: Request| match origin {
        Some(origin) => request.header("Origin", origin),
        None => request,
    };
    let mut all = answers(visit, change).await?;
    for (name, path, method) in [
        ("OPTIONS info", visit.base("/info"), "GET"),
        ("OPTIONS xhr", visit.session("/xhr"), "POST"),
        ("OPTIONS xhr_send", visit.session("/xhr_send"), "POST"),
        ("OPTIONS xhr_streaming", visit.session("/xhr_streaming"), "POST"),
    ] {
        let request = change(Request::options(path)).header("Access-Control-Request-Method", method);
        all.push((name, visit.ask(&request).await?));
    }
    Ok(all)
}

async fn vary(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for (name, answer) in all_answers(&visit, Some(ORIGIN)).await? {
        let head = &answer.response.head;
        let names_it = head.header(ALLOW_ORIGIN).is_some_and(|origin| origin != "*");
        if names_it && !head.has_token("Vary", "Origin") && !head.has_token("Vary", "*") {
            let seen = head.all("Vary").collect::<Vec<_>>().join(", ");
            let seen = if seen.is_empty() { "no Vary".to_owned() } else { format!("Vary: {seen}") };
            return Err(answer.fail(format!("{seen} on the answer of {name}"), "Vary: Origin"));
        }
    }
    Ok(())
}

async fn eventsource(probe: &Probe) -> Result<(), Stop> {
    for origin in [Some(ORIGIN), Some("null"), None] {
        let visit = probe.echo();
        let mut request = visit.get("/eventsource");
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        let stream = visit.begin(&request).await?;
        Transport::EventSource.offered(stream.head.status)?;
        let (answer, allowed) = (stream.answer(), stream.head.header(ALLOW_ORIGIN));
        answer.status(200)?;
        // EventSource sends no credentials unless it is told to, so a star does as well.
        if allowed != Some("*") && allowed != origin {
            let seen = allowed.map_or(format!("no {ALLOW_ORIGIN}"), |value| format!("{ALLOW_ORIGIN}: {value}"));
            return Err(answer.fail(seen, format!("{ALLOW_ORIGIN}: {}", origin.unwrap_or("*"))));
        }
    }
    Ok(())
}

async fn no_credentials_without_origin(probe: &Probe) -> Result<(), Stop> {
    for origin in [None, Some("null"), Some(ORIGIN)] {
        let visit = probe.echo();
        for (name, answer) in all_answers(&visit, origin).await? {
            let head = &answer.response.head;
            if head.header(ALLOW_ORIGIN) == Some("*") && head.header(CREDENTIALS) == Some("true") {
                let seen = format!("{ALLOW_ORIGIN}: * with {CREDENTIALS}: true on the answer of {name}");
                return Err(answer.fail(seen, "a star without credentials, or the origin with them"));
            }
        }
    }
    Ok(())
}

async fn exactly_one_origin_header(probe: &Probe) -> Result<(), Stop> {
    for origin in [Some(ORIGIN), None] {
        let visit = probe.echo();
        for (name, answer) in all_answers(&visit, origin).await? {
            let values: Vec<_> = answer.response.head.all(ALLOW_ORIGIN).collect();
            // Without an origin nobody looks at it, and whether an event stream has one is another check's business.
            let optional = origin.is_none() || name == Transport::EventSource.name();
            let right = match values[..] {
                [] => optional,
                [value] => !value.contains(','),
                _ => false,
            };
            if !right {
                let seen = format!("{ALLOW_ORIGIN}: {} on the answer of {name}", values.join(" and again "));
                return Err(answer.fail(seen, "one header with one origin"));
            }
        }
    }
    Ok(())
}

async fn errors(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let unknown = visit.ask(&visit.post("/xhr_send").body("[]").header("Origin", ORIGIN)).await?;
    unknown.status(404)?.cors(Some(ORIGIN))?;
    visit.open().await?;
    let broken = visit.ask(&visit.post("/xhr_send").body("[").header("Origin", ORIGIN)).await?;
    broken.status_in(&[500, 400])?.cors(Some(ORIGIN))?;
    visit.done()
}

async fn allow_headers_on_posts(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let asked = "x-one, x-two";
    for (name, answer) in answers(&visit, |request| request.header("Access-Control-Request-Headers", asked)).await? {
        if name != Transport::EventSource.name() {
            answer.header("Access-Control-Allow-Headers", asked)?;
        }
    }
    visit.done()
}
