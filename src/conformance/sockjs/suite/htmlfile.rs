//! Streams as a page that never ends, for Internet Explorer; and the callback, which jsonp has too.
//!
//! Does not know: how messages get to the server.

use super::{HTML, may, should};
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Stop};
use crate::wire::{Request, shown};

const GROUP: &str = "htmlfile";

pub(super) const CHECKS: &[Check<Probe>] = &[
    may(
        GROUP,
        "HtmlFile.test_transport",
        "the page calls the callback that the URL names, is above 1024 bytes, and has a script block for each frame",
        "Only Internet Explorer uses it, which has no other stream. It shows nothing of a page before a kilobyte, and runs only \
         script blocks that are complete.",
        |probe| Box::pin(transport(probe)),
    ),
    may(
        GROUP,
        "HtmlFile.test_no_callback",
        "a request without callback is 500 and says so",
        "The page would call nothing, and the client would wait for its time-out. It is a mistake that only those see who write \
         clients.",
        |probe| Box::pin(no_callback(probe, "/htmlfile")),
    ),
    should(
        GROUP,
        "HtmlFile.test_invalid_callback",
        "a callback with other characters than letters, digits, minus, underscore and dot is 500",
        "The callback is written into a script of a page. Where it may be anything, a link to it runs whatever its author likes \
         in the server's own origin, in every browser.",
        |probe| Box::pin(invalid_callback(probe, "/htmlfile")),
    ),
    may(
        GROUP,
        "HtmlFile.test_response_limit",
        "a message above the limit of 4096 bytes comes whole, and then the page ends",
        "The browser keeps every script block in memory until the page ends. A message that is cut for the limit is lost.",
        |probe| Box::pin(response_limit(probe)),
    ),
];

/// The page before its padding, with the place for the callback.
const PAGE: &str = r#"<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.CALLBACK;
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>"#;

async fn transport(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut stream = visit.begin(&visit.get("/htmlfile?c=%63allback")).await?;
    stream.answer().status(200)?.content_type(HTML)?.not_cached()?;
    let page = stream.until("\r\n\r\n").await?;
    let wanted = PAGE.replace("CALLBACK", "callback");
    if page.trim_ascii() != wanted.as_bytes() {
        let page = String::from_utf8_lossy(page.trim_ascii()).into_owned();
        let differs = |(seen, wanted): &(&str, &str)| seen != wanted;
        let (seen, wanted) = page.lines().zip(wanted.lines()).find(differs).unwrap_or((&page, &wanted));
        return Err(stream.fail(format!("in the page {}", shown(seen)), format!("in the page {}", shown(wanted))));
    }
    if page.len() <= 1024 {
        return Err(stream.fail(format!("a page of {} bytes", page.len()), "a page of more than 1024 bytes"));
    }
    stream.expect(block(r#"o"#)).await?;
    visit.ask(&visit.post("/xhr_send").body(r#"["x"]"#)).await?.status(204)?.body("")?;
    stream.expect(block(r#"a[\"x\"]"#)).await?;
    visit.done()
}

async fn response_limit(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut stream = visit.begin(&visit.get("/htmlfile?c=callback")).await?;
    stream.answer().status(200)?;
    stream.until("\r\n\r\n").await?;
    stream.expect(block("o")).await?;
    let message = "x".repeat(4096);
    visit.ask(&visit.post("/xhr_send").body(format!("[\"{message}\"]"))).await?.status(204)?;
    stream.expect(block(&format!(r#"a[\"{message}\"]"#))).await?;
    stream.ends().await?;
    visit.done()
}

/// What a frame is in the page, once it is encoded as text of a script.
fn block(frame: &str) -> String {
    format!("<script>\np(\"{frame}\");\n</script>\r\n")
}

/// Without a callback the request is refused.
pub(super) async fn no_callback(probe: &Probe, transport: &str) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.ask(&visit.get(transport)).await?.status(500)?.body_has(r#""callback" parameter required"#)?;
    visit.done()
}

/// With one that is more than a name it is too.
pub(super) async fn invalid_callback(probe: &Probe, transport: &str) -> Result<(), Stop> {
    let visit = probe.echo();
    for callback in ["%20", "*", "abc(", "abc%28"] {
        let request = Request::get(visit.session(&format!("{transport}?c={callback}")));
        visit.ask(&request).await?.status(500)?.body_has(r#"invalid "callback" parameter"#)?;
    }
    visit.done()
}
