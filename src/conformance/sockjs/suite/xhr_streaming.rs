//! A response that stays open and has a chunk for each frame.
//!
//! Does not know: how messages get to the server.

use super::{JAVASCRIPT, must, preflight, should};
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Stop};

const GROUP: &str = "xhr streaming";

pub(super) const CHECKS: &[Check<Probe>] = &[
    should(
        GROUP,
        "XhrStreaming.test_options",
        "OPTIONS of xhr_streaming allows OPTIONS and POST to any origin, for a year",
        "Browsers ask first when a page of another origin adds headers of its own, and the stream does not begin before they \
         have an answer.",
        |probe| Box::pin(options(probe)),
    ),
    must(
        GROUP,
        "XhrStreaming.test_transport",
        "a stream begins with 2048 h, and each frame is sent at once and in a chunk of its own",
        "It is the first fallback where websockets do not get through. Old browsers show nothing of a response before two \
         kilobytes, and Spring's client takes a prelude of any other length for an unknown frame. What is held back until there \
         is more is late by just that.",
        |probe| Box::pin(transport(probe)),
    ),
    should(
        GROUP,
        "XhrStreaming.test_response_limit",
        "a stream ends when its frames have reached the limit of 4096 bytes, and not before",
        "Browsers keep the whole response in memory until it ends. Without a limit a page that is open for days grows without \
         bound; with one that counts wrong it reconnects more often than it has to.",
        |probe| Box::pin(response_limit(probe)),
    ),
];

async fn options(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    preflight(&visit, &visit.session("/xhr_streaming"), "POST").await?;
    visit.done()
}

async fn transport(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut stream = visit.begin(&visit.post("/xhr_streaming").header("Origin", "test")).await?;
    stream.answer().status(200)?.content_type(JAVASCRIPT)?.cors(Some("test"))?.not_cached()?;
    stream.expect("h".repeat(2048) + "\n").await?;
    stream.expect("o\n").await?;
    visit.ask(&visit.post("/xhr_send").body(r#"["x"]"#)).await?.status(204)?.body("")?;
    stream.expect("a[\"x\"]\n").await?;
    visit.done()
}

async fn response_limit(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut stream = visit.open_stream().await?;
    // 31 frames of 134 bytes reach 4096, and 30 do not.
    let array = format!("[\"{}\"]", "x".repeat(128));
    for _ in 0..31 {
        visit.ask(&visit.post("/xhr_send").body(array.clone())).await?.status(204)?;
        stream.expect(format!("a{array}\n")).await?;
    }
    stream.ends().await?;
    visit.done()
}
