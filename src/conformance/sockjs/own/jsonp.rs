//! Polling by scripts: what the official suite leaves open about them.
//!
//! Does not know: frames.

use super::receiver::{Receiver, Transport};
use super::{SOCKJS, callback, check, same};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::visit::decoded;
use crate::conformance::{Check, Level, Stop};
use crate::wire::shown;

const GROUP: &str = "jsonp";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Should,
        GROUP,
        "jsonp.nosniff",
        SOCKJS,
        "the script says X-Content-Type-Options: nosniff",
        "The answer begins with what the URL says and goes on with what users write. Without the header a browser may take it \
         for a page or a plug-in's file and run it in the server's origin.",
        |probe| Box::pin(nosniff(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "jsonp.script-end",
        SOCKJS,
        "a message with an end-of-script tag is written without that tag",
        "Where a page or a proxy puts the answer into the page itself, the tag ends the script and what is behind it becomes \
         HTML: one user's message runs in the pages of the others.",
        |probe| Box::pin(script_end(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "jsonp.callback-too-long",
        SOCKJS,
        "a callback of 200 characters is refused",
        "What the URL says stands at the beginning of the answer. Short names cannot spell out a program; the well-known attack \
         on jsonp spells out a whole Flash file in letters and digits.",
        |probe| Box::pin(callback::too_long(probe, Transport::Jsonp)),
    ),
    check(
        Level::May,
        GROUP,
        "jsonp.callback-synonym",
        "observed: sockjs-node",
        "callback= says the same as c=",
        "It is what most libraries for jsonp call it. sockjs-client says c=, so only clients that are made by hand miss it.",
        |probe| Box::pin(callback_synonym(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "jsonp.callback-empty",
        SOCKJS,
        "an empty callback is refused like a missing one",
        "The answer would be a text in brackets that no script reacts to, and the frame in it, with all its messages, would be \
         lost.",
        |probe| Box::pin(callback_empty(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "jsonp.callback-hostile",
        SOCKJS,
        "a callback with brackets, tags, quotation marks, line ends or NUL is refused",
        "The callback is the program. A server that writes whatever stands there hands everybody who can make a link a script in \
         its own origin, with the cookies of whoever follows it.",
        |probe| Box::pin(callback::hostile(probe, Transport::Jsonp)),
    ),
    check(
        Level::Must,
        GROUP,
        "jsonp.send-unknown-session",
        SOCKJS,
        "jsonp_send to a session that is not there is 404",
        "Only receivers open sessions. A server that says ok takes messages that nobody will ever get, and one that opens a \
         session lets anybody fill its memory with forms.",
        |probe| Box::pin(send_unknown_session(probe)),
    ),
];

async fn nosniff(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut receiver = Receiver::new(&visit, Transport::Jsonp);
    let head = receiver.head().await?;
    Transport::Jsonp.offered(head.status)?;
    match head.header("X-Content-Type-Options") {
        Some(value) if value.eq_ignore_ascii_case("nosniff") => visit.done(),
        seen => Err(visit.fail(
            format!("X-Content-Type-Options: {}", seen.unwrap_or("(missing)")),
            "X-Content-Type-Options: nosniff",
        )),
    }
}

async fn script_end(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut receiver = Receiver::open(&visit, Transport::Jsonp).await?;
    let sent = ["</script><script>alert(1)</script>"];
    receiver.send(&sent).await?;
    let frame = receiver.next().await?;
    let wire = String::from_utf8_lossy(&frame.wire).to_lowercase();
    if wire.contains("</script") {
        return Err(visit.fail(shown(&frame.wire), r"the tag as \u003c/script\u003e"));
    }
    same(&visit, &decoded(&frame.text).unwrap_or_default(), &sent)
}

async fn callback_synonym(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    Receiver::open(&visit.another(), Transport::Jsonp).await?;
    let answer = visit.ask(&visit.get("/jsonp?t=1&callback=mine")).await?;
    answer.status(200)?.body_has("mine(\"o\");")?.done()
}

async fn callback_empty(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    Receiver::open(&visit.another(), Transport::Jsonp).await?;
    callback::refused(&visit, Transport::Jsonp, "").await?;
    visit.done()
}

async fn send_unknown_session(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    Receiver::open(&visit.another(), Transport::Jsonp).await?;
    let form = "application/x-www-form-urlencoded";
    for body in ["d=%5B%22x%22%5D", "d=%5B%5D"] {
        visit.ask(&visit.post("/jsonp_send").header("Content-Type", form).body(body)).await?.status(404)?;
    }
    // And it has opened none.
    Receiver::open(&visit, Transport::Jsonp).await?;
    visit.done()
}
