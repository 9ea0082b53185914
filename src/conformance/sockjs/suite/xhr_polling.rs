//! Polls, and how messages are sent over HTTP.
//!
//! Does not know: streams.

use super::{JAVASCRIPT, TEXT, may_i, must, preflight, should};
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Stop};

const GROUP: &str = "xhr polling";

pub(super) const CHECKS: &[Check<Probe>] = &[
    should(
        GROUP,
        "XhrPolling.test_options",
        "OPTIONS of xhr and xhr_send allows OPTIONS and POST to any origin, for a year",
        "Browsers ask first when a page of another origin adds headers, such as Authorization or a JSON content type. Without an \
         answer that may be kept they ask before every poll.",
        |probe| Box::pin(options(probe)),
    ),
    must(
        GROUP,
        "XhrPolling.test_transport",
        "polls have type, CORS and no-cache headers, and xhr_send answers 204 with a type and no body",
        "A browser hides answers without CORS headers from the page, and iOS once cached POSTs. Spring's client takes any status \
         but 204 for a failed send, and Firefox complains of XML where the 204 has no type.",
        |probe| Box::pin(transport(probe)),
    ),
    must(
        GROUP,
        "XhrPolling.test_invalid_session",
        "a message for an unknown session is 404",
        "The client takes every other answer than 200 or 204 as the end of its session. One that is told 204 goes on sending \
         into nothing.",
        |probe| Box::pin(invalid_session(probe)),
    ),
    should(
        GROUP,
        "XhrPolling.test_invalid_json",
        "a broken body and an empty one are 500 with the words of the protocol, and the session lives on",
        "Well-behaved clients never send it, but bodies are cut by proxies and by pages that unload. The words tell those who \
         read the log which of the two it was.",
        |probe| Box::pin(invalid_json(probe)),
    ),
    must(
        GROUP,
        "XhrPolling.test_content_types",
        "xhr_send takes whatever Content-Type, and a poll gives everything that waits in one frame",
        "sockjs-client sends text/plain, Spring's client application/json, and old browsers what they like. A server that looks \
         at the type loses some of them. One message per poll is a round trip for each.",
        |probe| Box::pin(content_types(probe)),
    ),
    should(
        GROUP,
        "XhrPolling.test_request_headers_cors",
        "Access-Control-Request-Headers is echoed as Access-Control-Allow-Headers, and only if there is one",
        "A browser drops the request of a page whose headers are not allowed by name. Empty lists are sent by some; an answer \
         with something in it then allows what nobody asked for.",
        |probe| Box::pin(request_headers_cors(probe)),
    ),
    should(
        GROUP,
        "XhrPolling.test_sending_empty_frame",
        "an empty array is taken, and nothing comes of it",
        "Clients may send it to show that they are alive. Neither must it fail, which would end their session, nor reach the \
         application as a message.",
        |probe| Box::pin(sending_empty_frame(probe)),
    ),
];

async fn options(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for path in ["/xhr", "/xhr_send"] {
        preflight(&visit, &visit.session(path), "POST").await?;
    }
    visit.done()
}

async fn transport(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let opened = visit.ask(&visit.post("/xhr").header("Origin", "test")).await?;
    opened.status(200)?.body("o\n")?.content_type(JAVASCRIPT)?.cors(Some("test"))?.not_cached()?;
    let sent = visit.ask(&visit.post("/xhr_send").header("Origin", "test").body(r#"["x"]"#)).await?;
    sent.status(204)?.body("")?.content_type(TEXT)?.cors(Some("test"))?.not_cached()?;
    let polled = visit.ask(&visit.post("/xhr")).await?;
    polled.status(200)?.body("a[\"x\"]\n")?;
    visit.done()
}

async fn invalid_session(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.ask(&visit.post("/xhr_send").body(r#"["x"]"#)).await?.status(404)?;
    visit.done()
}

async fn invalid_json(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    for (body, words) in [(r#"["x"#, "Broken JSON encoding."), ("", "Payload expected.")] {
        visit.ask(&visit.post("/xhr_send").body(body)).await?.status(500)?.body_has(words)?;
    }
    visit.ask(&visit.post("/xhr_send").body(r#"["a"]"#)).await?.status(204)?.body("")?;
    visit.ask(&visit.post("/xhr")).await?.status(200)?.body("a[\"a\"]\n")?;
    visit.done()
}

async fn content_types(probe: &Probe) -> Result<(), Stop> {
    const TYPES: [&str; 8] = [
        "text/plain",
        "T",
        "application/json",
        "application/xml",
        "",
        "application/json; charset=utf-8",
        "text/xml; charset=utf-8",
        "text/xml",
    ];
    let visit = probe.echo();
    visit.open().await?;
    for content_type in TYPES {
        let request = visit.post("/xhr_send").header("Content-Type", content_type).body(r#"["a"]"#);
        visit.ask(&request).await?.status(204)?.body("")?;
    }
    let frame = format!("a[{}]\n", [r#""a""#; TYPES.len()].join(","));
    visit.ask(&visit.post("/xhr")).await?.status(200)?.body(frame)?;
    visit.done()
}

async fn request_headers_cors(probe: &Probe) -> Result<(), Stop> {
    const ALLOWED: &str = "Access-Control-Allow-Headers";
    let visit = probe.echo();
    let ask = may_i("test", "POST", visit.session("/xhr"));
    for names in [Some("a, b, c"), Some(""), None] {
        let request = match names {
            Some(names) => ask.clone().header("Access-Control-Request-Headers", names),
            None => ask.clone(),
        };
        let answer = visit.ask(&request).await?;
        answer.status_in(&[204, 200])?.cors(Some("test"))?;
        match names.filter(|names| !names.is_empty()) {
            Some(names) => answer.header(ALLOWED, names)?,
            None => answer.no_header(ALLOWED)?,
        };
    }
    visit.done()
}

async fn sending_empty_frame(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    for body in ["[]", r#"["a"]"#] {
        visit.ask(&visit.post("/xhr_send").body(body)).await?.status(204)?;
    }
    visit.ask(&visit.post("/xhr")).await?.status(200)?.body("a[\"a\"]\n")?;
    visit.done()
}
