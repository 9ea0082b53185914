//! What is sent: order, sizes, types, and arrays that are none.
//!
//! Does not know: bodies that are made to do harm.

use super::receiver::{Receiver, Transport};
use super::{SOCKJS, check, open_websocket, same};
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Level, Stop};

const GROUP: &str = "payloads";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Must,
        GROUP,
        "payload.not-an-array",
        SOCKJS,
        "JSON that is no array is 500 with `Payload expected.`, and the session lives on",
        "It is the mistake that everybody makes who writes a client. A server that says 204 to it loses the message without a \
         word.",
        |probe| Box::pin(not_an_array(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "payload.non-string-elements",
        SOCKJS,
        "an array with anything but strings is refused as a whole, and none of it is delivered",
        "Messages are strings. Servers that take numbers and objects hand the application what it cannot expect, empty strings \
         or objects; and one that stops in the middle has delivered half of what the client will send again.",
        |probe| Box::pin(non_string_elements(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "payload.empty-string",
        SOCKJS,
        "an empty message is a message",
        "Applications use it as a sign of life or as an answer. Where it is dropped the other side waits for it.",
        |probe| Box::pin(empty_string(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "payload.order",
        SOCKJS,
        "a hundred messages of one array come in their order, each once",
        "sockjs-client puts everything that waits into one array. Servers that hand messages to a pool of threads mix them up \
         under load.",
        |probe| Box::pin(order(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "payload.large",
        SOCKJS,
        "a message of 64 KiB goes there and back whole",
        "It is the usual size of a STOMP frame with a document in it. Frameworks bound bodies at various sizes, often by \
         default and without a word in the log.",
        |probe| Box::pin(large(probe)),
    ),
    check(
        Level::May,
        GROUP,
        "payload.any-content-type",
        SOCKJS,
        "xhr_send takes its body as text, whatever type it says it has",
        "Proxies and HTTP libraries put in types of their own, forms among them. sockjs-client says text/plain, Spring's client \
         application/json, so only other clients miss it.",
        |probe| Box::pin(any_content_type(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "payload.websocket-id",
        SOCKJS,
        "xhr_send to the id of a websocket is 404",
        "A websocket's session has no other way in. A server that takes such messages lets anybody who knows the id speak in \
         the name of the one who is connected.",
        |probe| Box::pin(websocket_id(probe)),
    ),
];

async fn not_an_array(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    for body in ["null", "0", "{}", "\"x\"", "true", "{\"0\":\"x\"}"] {
        let answer = visit.ask(&visit.post("/xhr_send").body(body)).await?;
        answer.status(500)?.body_has("Payload expected.")?;
    }
    visit.send(&["fine"]).await?;
    same(&visit, &visit.messages(1).await?, &["fine"])
}

async fn non_string_elements(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    for body in [r#"["a",1]"#, r#"["a",null]"#, r#"["a",{}]"#, r#"["a",["b"]]"#, r#"["a","b",true]"#] {
        visit.ask(&visit.post("/xhr_send").body(body)).await?.status_in(&[500, 400, 422])?;
    }
    visit.send(&["fine"]).await?;
    same(&visit, &visit.messages(1).await?, &["fine"])
}

async fn empty_string(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    let sent = ["", "x", "", ""];
    visit.send(&sent).await?;
    visit.send(&["end"]).await?;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "end") && seen.len() < 5 {
        seen.extend(visit.messages(1).await?);
    }
    same(&visit, &seen, &["", "x", "", "", "end"])
}

async fn order(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    let sent: Vec<_> = (0..100).map(|number| format!("message {number}")).collect();
    visit.send(&sent).await?;
    visit.send(&["end"]).await?;
    let mut seen = visit.messages(101).await?;
    let last = seen.pop();
    same(&visit, &seen, &sent)?;
    same(&visit, last.as_slice(), &["end"])
}

async fn large(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut receiver = Receiver::open(&visit, Transport::Xhr).await?;
    // Different everywhere, so that a piece that is lost or repeated shows.
    let message: String =
        (0..).flat_map(|number: u32| format!("{number} ").into_bytes()).map(char::from).take(65_536).collect();
    receiver.echo(&[message]).await
}

async fn any_content_type(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    let types =
        ["application/octet-stream", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"];
    for kind in types {
        let send = visit.post("/xhr_send").body(format!("[\"a+b=%63 as {kind}\"]")).header("Content-Type", kind);
        visit.ask(&send).await?.status(204)?;
    }
    let sent = types.map(|kind| format!("a+b=%63 as {kind}"));
    same(&visit, &visit.messages(sent.len()).await?, &sent)
}

async fn websocket_id(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_websocket(&visit).await?;
    visit.ask(&visit.post("/xhr_send").body(r#"["stolen"]"#)).await?.status(404)?;
    socket.send(r#"["mine"]"#).await?;
    socket.expect(r#"a["mine"]"#).await?;
    visit.done()
}
