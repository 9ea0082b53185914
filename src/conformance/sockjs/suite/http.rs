//! HTTP itself, 1.0 and 1.1, and what some clients leave out.
//!
//! Does not know: browsers, which all speak 1.1 or more.

use super::{GO_AWAY, must, should};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::answer::Answer;
use crate::conformance::sockjs::receiving::Receiving;
use crate::conformance::{Check, Stop};
use crate::wire::{Framing, Request, shown};

const GROUP: &str = "http";

pub(super) const CHECKS: &[Check<Probe>] = &[
    should(
        GROUP,
        "Http10.test_synchronous",
        "an answer to HTTP/1.0 has no chunks, and its connection is kept only if the answer says so",
        "Old proxies ask in HTTP/1.0, and nginx long did by default. They pass chunk sizes on as text, and wait for a body \
         without length until the connection ends.",
        |probe| Box::pin(http10_synchronous(probe)),
    ),
    should(
        GROUP,
        "Http10.test_streaming",
        "a stream over HTTP/1.0 has neither chunks nor length, and ends with its connection",
        "Behind such a proxy the end of the connection is the only end of the stream that the client can see. If it stays open, \
         the client never polls again.",
        |probe| Box::pin(http10_streaming(probe)),
    ),
    must(
        GROUP,
        "Http11.test_synchronous",
        "an answer to HTTP/1.1 has a length or chunks, and the connection serves another request",
        "Polling makes a request per message. With a connection for each of them it is slower by a handshake or two, and the \
         machine runs out of ports.",
        |probe| Box::pin(http11_synchronous(probe)),
    ),
    must(
        GROUP,
        "Http11.test_streaming",
        "a stream over HTTP/1.1 is chunked, and its last chunk comes with its end",
        "Proxies can keep connections open, and tell an end from a break, only by the chunks. A stream without its last chunk is \
         an error to the client.",
        |probe| Box::pin(http11_streaming(probe)),
    ),
    should(
        GROUP,
        "HttpQuirks.test_emptyContentLengthForPost",
        "a POST with neither body nor Content-Length is an empty one",
        "Some clients and proxies leave the length of nothing out. A server that waits for a body then, or answers 411, never \
         opens a session for them.",
        |probe| Box::pin(empty_content_length_for_post(probe)),
    ),
];

const GREETING: &str = "Welcome to SockJS!\n";

/// What the answer says of its connection, in lower case; empty if nothing.
fn connection(answer: &Answer) -> String {
    answer.response.header("Connection").unwrap_or_default().to_ascii_lowercase()
}

async fn http10_synchronous(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let request = Request::get(visit.base("")).http10().header("Connection", "Keep-Alive");
    let mut peer = visit.connect().await?;
    let answer = visit.ask_on(&mut peer, &request).await?;
    answer.status(200)?.no_header("Transfer-Encoding")?.body(GREETING)?;
    match (answer.response.framing, &*connection(&answer)) {
        (Framing::Length(_), "keep-alive") => {
            visit.ask_on(&mut peer, &request).await?.status(200)?;
        }
        (Framing::Length(_), "" | "close") => visit.closed(&mut peer).await?,
        // The body went up to the end of the connection.
        (Framing::UntilClose, "close") => {}
        (Framing::UntilClose, _) => {
            return Err(answer.fail("neither Content-Length nor Connection: close", "one of them"));
        }
        (_, other) => return Err(answer.fail(format!("Connection: {other}"), "Connection: keep-alive or close")),
    }
    visit.done()
}

async fn http10_streaming(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.close()?;
    let request = visit.post("/xhr_streaming").http10().header("Connection", "Keep-Alive");
    let mut stream = visit.begin(&request).await?;
    stream.answer().status(200)?.no_header("Transfer-Encoding")?.no_header("Content-Length")?;
    whole(&mut stream).await?;
    visit.done()
}

/// The body of a stream of the close service, from its prelude to its end.
async fn whole(stream: &mut Receiving) -> Result<(), Stop> {
    let prelude = stream.until("\n").await?;
    if !prelude.starts_with(b"h") {
        return Err(stream.fail(shown(prelude), "a prelude of h"));
    }
    stream.expect("o\n").await?;
    stream.expect(format!("{GO_AWAY}\n")).await?;
    stream.ends().await
}

async fn http11_synchronous(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let request = Request::get(visit.base("")).header("Connection", "Keep-Alive");
    let mut peer = visit.connect().await?;
    let answer = visit.ask_on(&mut peer, &request).await?;
    answer.status(200)?.body(GREETING)?;
    if !matches!(&*connection(&answer), "" | "keep-alive") {
        let seen = format!("Connection: {}", connection(&answer));
        return Err(answer.fail(seen, "Connection: keep-alive, or no such header"));
    }
    if answer.response.framing == Framing::UntilClose {
        return Err(answer.fail("neither Content-Length nor Transfer-Encoding", "one of them"));
    }
    visit.ask_on(&mut peer, &request).await?.status(200)?.body(GREETING)?;
    visit.done()
}

async fn http11_streaming(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.close()?;
    let mut stream = visit.begin(&visit.post("/xhr_streaming").header("Connection", "Keep-Alive")).await?;
    stream.answer().status(200)?.no_header("Content-Length")?.header("Transfer-Encoding", "chunked")?;
    whole(&mut stream).await?;
    visit.done()
}

async fn empty_content_length_for_post(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.ask(&Request::post(visit.session("/xhr"))).await?.status(200)?.body("o\n")?;
    visit.done()
}
