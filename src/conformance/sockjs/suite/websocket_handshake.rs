//! What is no handshake of a websocket.
//!
//! Does not know: websockets that are open.

use super::should;
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Stop};

const GROUP: &str = "websocket handshake";

pub(super) const CHECKS: &[Check<Probe>] = &[
    should(
        GROUP,
        "WebsocketHttpErrors.test_httpMethod",
        "a GET that asks for no upgrade is 400",
        "A proxy that does not know websockets takes the upgrade out of the request. The client must see that at once and take \
         the next transport; an answer that waits or looks like success costs it the whole time-out.",
        |probe| Box::pin(http_method(probe)),
    ),
    should(
        GROUP,
        "WebsocketHttpErrors.test_invalidConnectionHeader",
        "an upgrade that the Connection header does not name is 400",
        "Proxies rewrite Connection and leave Upgrade as it was. A server that upgrades all the same talks websocket to a proxy \
         that still talks HTTP, and whose next request on that connection may be anybody's.",
        |probe| Box::pin(invalid_connection_header(probe)),
    ),
    should(
        GROUP,
        "WebsocketHttpErrors.test_invalidMethod",
        "a POST is 405 with Allow, without type and body, whether it asks for an upgrade or not",
        "Only GET upgrades. A POST that opens a websocket gets around what browsers and proxies demand of requests that change \
         something.",
        |probe| Box::pin(invalid_method(probe)),
    ),
];

async fn http_method(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.ask(&visit.get("/websocket")).await?.status(400)?;
    visit.done()
}

async fn invalid_connection_header(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let request = visit.get("/websocket").header("Upgrade", "WebSocket").header("Connection", "close");
    // The words of the answer are free; those of the edition 0.3.3 are in use as well.
    visit.ask(&request).await?.status(400)?;
    visit.done()
}

async fn invalid_method(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let plain = visit.post("/websocket");
    let upgrade = plain.clone().header("Upgrade", "WebSocket").header("Connection", "Upgrade");
    for request in [upgrade, plain] {
        let answer = visit.ask(&request).await?;
        answer.status(405)?.no_header("Content-Type")?.body("")?.some_header("Allow")?;
    }
    visit.done()
}
