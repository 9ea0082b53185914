//! HTTP as proxies, old clients and other libraries speak it.
//!
//! Does not know: what is no HTTP.

use super::{ORIGIN, check, lives, same, tenths};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::answer::Answer;
use crate::conformance::sockjs::probe::array;
use crate::conformance::sockjs::visit::Visit;
use crate::conformance::{Check, Level, Stop};
use crate::wire::{Connection, Fault, Framing, Request, hex_dump, shown};

const GROUP: &str = "http";
const GREETING: &str = "Welcome to SockJS!\n";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Should,
        GROUP,
        "http.pipelining",
        "RFC 9112, section 9.3.2",
        "requests that are sent behind each other are answered in their order",
        "Some proxies and libraries do so to save round trips. A server that forgets what it has read behind the first request \
         leaves the others unanswered.",
        |probe| Box::pin(pipelining(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "http.http10-poll",
        "RFC 9112, section 6.1",
        "a poll of HTTP/1.0 is answered without chunks, and its end can be seen",
        "Old proxies, nginx with its defaults among them, speak HTTP/1.0 to the server. They hand chunks on as they are, sizes \
         and all, or wait for an end that does not come.",
        |probe| Box::pin(http10_poll(probe)),
    ),
    check(
        Level::May,
        GROUP,
        "http.http10-keep-alive",
        "RFC 9112, section 9.3",
        "a connection of HTTP/1.0 stays open if the answer says so, and else it ends",
        "A client that reads keep-alive sends its next request on a connection that is gone; one that does not, waits for the \
         end of a connection that stays.",
        |probe| Box::pin(http10_keep_alive(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "http.connection-close",
        "RFC 9112, section 9.6",
        "who asks with Connection: close gets the whole answer and then the end of the connection",
        "Libraries for one request at a time, such as most scripts use, wait for that end.",
        |probe| Box::pin(connection_close(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "http.unknown-method",
        "RFC 9110, section 15.5.6",
        "a method that does not fit is 405 with Allow, or a refusal of another kind, and no failure of the server",
        "Scanners try them all. A 500 for each fills the logs with alarms, and a stack trace in it tells what the server is made \
         of.",
        |probe| Box::pin(unknown_method(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "http.head",
        "RFC 9110, section 9.3.2",
        "HEAD is answered without a body, and the connection stays in order",
        "Health checks use it. Bytes of a body behind such an answer are read as the beginning of the next one, by a proxy that \
         shares the connection among many clients.",
        |probe| Box::pin(head(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "http.query-ignored",
        "observed: sockjs-client 1.x",
        "a query makes no difference to info, xhr and xhr_send",
        "sockjs-client adds t= with the time to its requests, and hands the page's own query on to each of them. What is in it, \
         slashes and question marks among it, is the application's.",
        |probe| Box::pin(query_ignored(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "http.upgrade-elsewhere",
        "CVE-2020-7693",
        "a request with Upgrade on a URL that is no websocket gets a whole answer, the usual one or a refusal",
        "A server of SockJS died of an Upgrade in the wrong place: one request without any login ended the process, with \
         everybody's sessions.",
        |probe| Box::pin(upgrade_elsewhere(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "http.upgrade-h2c",
        "RFC 9110, section 7.8",
        "a client that offers h2c gets the usual answers of HTTP/1.1, to its sends too",
        "Java's HTTP client offers it with the first request on every connection. Servers that stop reading at such a header \
         take the message behind it for an empty one.",
        |probe| Box::pin(upgrade_h2c(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "http.split-request",
        "RFC 9112, section 2.2",
        "a request that comes byte by byte is the same request",
        "Networks cut where they like, within a header name, a line end, or a character. Mobile networks do it often.",
        |probe| Box::pin(split_request(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "http.chunked-request-body",
        "RFC 9112, section 7.1",
        "xhr_send takes a body in chunks",
        "Libraries that do not know the length of a body beforehand send it so, and proxies may turn one form into the other.",
        |probe| Box::pin(chunked_request_body(probe)),
    ),
    check(
        Level::May,
        GROUP,
        "http.expect-continue",
        "RFC 9110, section 10.1.1",
        "who expects 100 Continue before a body gets it, or a final answer",
        "curl waits a second for it with every large body, and other libraries longer. It works without, but slowly.",
        |probe| Box::pin(expect_continue(probe)),
    ),
    check(
        Level::May,
        GROUP,
        "http.preflight-cached",
        "Fetch standard, Access-Control-Max-Age",
        "a preflight may be kept for an hour or more",
        "Otherwise every message of a page of another origin takes two round trips.",
        |probe| Box::pin(preflight_cached(probe)),
    ),
];

/// Writes bytes to a connection, and takes them down.
pub(super) async fn write(visit: &Visit<'_>, connection: &mut Connection, bytes: &[u8]) -> Result<(), Stop> {
    visit.steps.note(format!("# written to a connection\n{}", hex_dump(bytes).trim_end()));
    connection.write(bytes).await.map_err(|fault| visit.fault(&fault, "a server that reads"))
}

/// The next whole answer on that connection, to a request with that method.
pub(super) async fn answer(visit: &Visit<'_>, connection: &mut Connection, method: &str) -> Result<Answer, Stop> {
    let whole = async {
        let head = connection.head(method).await?;
        connection.finish(head).await
    };
    let response = whole.await.map_err(|fault| visit.fault(&fault, "a whole answer"))?;
    Ok(Answer { response, steps: visit.steps.clone() })
}

async fn pipelining(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut connection = visit.connect().await?;
    let requests = [
        Request::get(visit.base("")),
        visit.post("/xhr"),
        visit.post("/xhr_send").body(r#"["x"]"#),
        visit.post("/xhr"),
        Request::get(visit.base("")),
    ];
    let bytes: Vec<u8> = requests.iter().flat_map(|request| request.encode(&probe.target)).collect();
    write(&visit, &mut connection, &bytes).await?;
    let wanted = [(200, GREETING), (200, "o\n"), (204, ""), (200, "a[\"x\"]\n"), (200, GREETING)];
    for (request, (status, body)) in requests.iter().zip(wanted) {
        answer(&visit, &mut connection, request.method()).await?.status(status)?.body(body)?;
    }
    visit.done()
}

async fn http10_poll(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for (request, body) in [
        (visit.post("/xhr").http10(), "o\n"),
        (visit.post("/xhr_send").http10().body(r#"["x"]"#), ""),
        (visit.post("/xhr").http10(), "a[\"x\"]\n"),
    ] {
        let mut connection = visit.connect().await?;
        let answer = visit.ask_on(&mut connection, &request).await?;
        answer.status_in(&[200, 204])?.body(body)?;
        if answer.response.framing == Framing::Chunked {
            return Err(answer.fail("Transfer-Encoding: chunked", "Content-Length, or an end with the connection"));
        }
    }
    visit.done()
}

async fn http10_keep_alive(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut connection = visit.connect().await?;
    let request = Request::get(visit.base("")).http10().header("Connection", "keep-alive");
    let first = visit.ask_on(&mut connection, &request).await?;
    first.status(200)?.body(GREETING)?;
    let head = &first.response.head;
    if head.has_token("Connection", "keep-alive") {
        visit.ask_on(&mut connection, &request).await?.status(200)?.body(GREETING)?;
    } else {
        visit.closed(&mut connection).await?;
    }
    visit.done()
}

async fn connection_close(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for (request, body) in [(Request::get(visit.base("")), GREETING), (visit.post("/xhr"), "o\n")] {
        let mut connection = visit.connect().await?;
        let answer = visit.ask_on(&mut connection, &request.header("Connection", "close")).await?;
        answer.status(200)?.body(body)?;
        visit.closed(&mut connection).await?;
    }
    visit.done()
}

async fn unknown_method(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for path in [visit.base(""), visit.base("/info"), visit.session("/xhr"), visit.session("/xhr_send")] {
        for method in ["PUT", "DELETE", "PATCH"] {
            let answer = visit.ask(&Request::new(method, &path).body("")).await?;
            answer.status_in(&[405, 404, 403, 400, 501])?;
            if answer.response.status() == 405 {
                answer.some_header("Allow")?;
            }
        }
    }
    for method in ["FROBNICATE", "get"] {
        let answer = visit.ask(&Request::new(method, visit.base("/info"))).await?;
        answer.status_in(&[405, 404, 403, 400, 501])?;
    }
    lives(&visit).await
}

async fn head(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for path in ["", "/info"] {
        let mut connection = visit.connect().await?;
        let answer = visit.ask_on(&mut connection, &Request::new("HEAD", visit.base(path))).await?;
        answer.status_in(&[200, 204, 405, 404, 501])?;
        if answer.response.head.has_token("Connection", "close") {
            match connection.read().await {
                Ok(bytes) if bytes.is_empty() => continue,
                Err(Fault::Ended(..)) => continue,
                Ok(bytes) => {
                    return Err(visit.fail(format!("a body {}", shown(bytes)), "no body behind the answer to HEAD"));
                }
                Err(fault) => return Err(visit.fault(&fault, "the end of the connection")),
            }
        }
        visit.ask_on(&mut connection, &Request::get(visit.base(""))).await?.status(200)?.body(GREETING)?;
    }
    visit.done()
}

async fn query_ignored(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let query = "?t=1700000000000&token=a%2Fb%20c/d?e&x";
    visit.ask(&Request::get(visit.base(&format!("/info{query}")))).await?.status(200)?.json()?;
    visit.ask(&visit.post(&format!("/xhr{query}"))).await?.status(200)?.body("o\n")?;
    let send = visit.post(&format!("/xhr_send{query}")).body(r#"["x"]"#);
    visit.ask(&send).await?.status(204)?;
    visit.ask(&visit.post("/xhr?t=2")).await?.status(200)?.body("a[\"x\"]\n")?;
    visit.done()
}

async fn upgrade_elsewhere(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for protocol in ["websocket", "TLS/1.0, constructor"] {
        for (request, status, body) in [
            (Request::get(visit.base("")), 200, Some(GREETING)),
            (Request::get(visit.base("/info")), 200, None),
            (visit.another().post("/xhr"), 200, Some("o\n")),
            (Request::get(visit.base("/nothing")), 404, None),
        ] {
            let answer = visit.ask(&upgrading(request, protocol)).await?;
            // To tell a lost websocket client so is kind.
            if (400..500).contains(&answer.response.status()) {
                continue;
            }
            answer.status(status)?;
            if let Some(body) = body {
                answer.body(body)?;
            }
        }
        lives(&visit).await?;
    }
    Ok(())
}

async fn upgrade_h2c(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let offering = |request: Request| upgrading(request, "h2c").header("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA");
    let info = visit.ask(&offering(Request::get(visit.base("/info")))).await?;
    if info.response.status() == 101 && info.response.head.has_token("Upgrade", "h2c") {
        return Err(Stop::NotOffered("the server speaks HTTP/2, and takes the offer".to_owned()));
    }
    info.status(200)?.json()?;
    visit.ask(&offering(visit.post("/xhr"))).await?.status(200)?.body("o\n")?;
    visit.ask(&offering(visit.post("/xhr_send").body(r#"["x"]"#))).await?.status(204)?.body("")?;
    visit.ask(&offering(visit.post("/xhr"))).await?.status(200)?.body("a[\"x\"]\n")?;
    visit.done()
}

/// A request that asks for another protocol, with everything that a websocket needs.
fn upgrading(request: Request, protocol: &str) -> Request {
    let request = request.header("Connection", "Upgrade, HTTP2-Settings").header("Upgrade", protocol);
    request.header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", Request::WEBSOCKET_KEY)
}

async fn split_request(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    let sent = ["byte by byte, \u{e9} and \u{1f600}"];
    let request = visit.post("/xhr_send").body(array(&sent));
    let mut connection = visit.connect().await?;
    visit.steps.note(format!("{} # byte by byte", request.curl(&probe.target)));
    for byte in request.encode(&probe.target) {
        let written = connection.write(&[byte]).await;
        written.map_err(|fault| visit.fault(&fault, "a server that reads the request to its end"))?;
        // So that each has a packet of its own.
        tokio::task::yield_now().await;
    }
    answer(&visit, &mut connection, "POST").await?.status(204)?;
    same(&visit, &visit.messages(1).await?, &sent)
}

async fn chunked_request_body(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    let body = array(&["in", "chunks"]);
    let (first, second) = body.split_at(5);
    let request = Request::post(visit.session("/xhr_send")).header("Transfer-Encoding", "chunked");
    let mut connection = visit.connect().await?;
    let mut bytes = request.encode(&probe.target);
    for chunk in [first, second] {
        bytes.extend_from_slice(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes());
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    write(&visit, &mut connection, &bytes).await?;
    answer(&visit, &mut connection, "POST").await?.status(204)?;
    same(&visit, &visit.messages(2).await?, &["in", "chunks"])
}

async fn expect_continue(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    let body = array(&["expected"]);
    let request = Request::post(visit.session("/xhr_send")).header("Expect", "100-continue");
    let request = request.header("Content-Length", &body.len().to_string());
    let mut connection = visit.connect().await?;
    write(&visit, &mut connection, &request.encode(&probe.target)).await?;
    connection.set_patience(tenths(probe, 10));
    let told = connection.read().await.map_err(|fault| visit.fault(&fault, "HTTP/1.1 100 Continue"))?;
    connection.set_patience(probe.limits.patience);
    if told.starts_with(b"HTTP/1.1 4") {
        // It may refuse what is expected of it, and then takes the body only without asking.
        return visit.done();
    }
    if !told.starts_with(b"HTTP/1.1 100") {
        return Err(visit.fail(shown(told), "HTTP/1.1 100 Continue"));
    }
    write(&visit, &mut connection, body.as_bytes()).await?;
    answer(&visit, &mut connection, "POST").await?.status(204)?;
    same(&visit, &visit.messages(1).await?, &["expected"])
}

async fn preflight_cached(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for (path, method) in [
        (visit.base("/info"), "GET"),
        (visit.session("/xhr"), "POST"),
        (visit.session("/xhr_send"), "POST"),
        (visit.session("/xhr_streaming"), "POST"),
    ] {
        let request = Request::options(path).header("Origin", ORIGIN).header("Access-Control-Request-Method", method);
        let answer = visit.ask(&request).await?;
        let age = answer.status_in(&[204, 200])?.some_header("Access-Control-Max-Age")?;
        if !age.parse::<u64>().is_ok_and(|seconds| seconds >= 3600) {
            return Err(answer.fail(format!("Access-Control-Max-Age: {age}"), "3600 or more"));
        }
    }
    visit.done()
}
