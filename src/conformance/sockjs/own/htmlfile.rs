//! The stream as a page: what the official suite leaves open about it.
//!
//! Does not know: frames.

use super::receiver::{Receiver, Transport};
use super::{SOCKJS, callback, check, same};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::visit::decoded;
use crate::conformance::{Check, Level, Stop};
use crate::wire::shown;

const GROUP: &str = "htmlfile";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Must,
        GROUP,
        "htmlfile.script-end",
        SOCKJS,
        "a message with an end-of-script tag cannot leave its script block",
        "The browser ends the block at the tag, wherever it stands. The frame is lost, and what is behind the tag is HTML in \
         the server's origin: one user's message runs as a script in the pages of the others.",
        |probe| Box::pin(script_end(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "htmlfile.callback-too-long",
        SOCKJS,
        "a callback of 200 characters is refused",
        "Clients make names of eleven characters. What the URL says is written into a page of the server's origin, and there is \
         no reason to write more of it than a name.",
        |probe| Box::pin(callback::too_long(probe, Transport::HtmlFile)),
    ),
    check(
        Level::Must,
        GROUP,
        "htmlfile.callback-hostile",
        SOCKJS,
        "a callback with brackets, tags, quotation marks, line ends or NUL is refused",
        "The callback is written into a script of an HTML page. A server that writes whatever stands there hands everybody who \
         can make a link a page in its own origin, with the cookies of whoever follows it.",
        |probe| Box::pin(callback::hostile(probe, Transport::HtmlFile)),
    ),
    check(
        Level::Should,
        GROUP,
        "htmlfile.prelude-size",
        SOCKJS,
        "1024 bytes or more come before the first frame",
        "Internet Explorer, the only browser that takes this transport, runs nothing of a page before it has a kilobyte. With \
         less the open frame waits until the client's time-out.",
        |probe| Box::pin(prelude_size(probe)),
    ),
];

async fn script_end(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut receiver = Receiver::open(&visit, Transport::HtmlFile).await?;
    for message in ["</script><script>parent.alert(1)</script>", "</SCRIPT >", "<!--<script>"] {
        let sent = [message];
        receiver.send(&sent).await?;
        let frame = receiver.next().await?;
        let wire = String::from_utf8_lossy(&frame.wire).to_lowercase();
        let inner = wire.strip_prefix("<script>").unwrap_or(&wire).trim_end();
        let inner = inner.strip_suffix("</script>").unwrap_or(inner);
        if inner.contains("</script") || inner.contains("<!--") {
            return Err(visit.fail(shown(&frame.wire), r"the tag as \u003c/script\u003e"));
        }
        same(&visit, &decoded(&frame.text).unwrap_or_default(), &sent)?;
    }
    visit.done()
}

async fn prelude_size(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    // The transport is there.
    Receiver::open(&visit.another(), Transport::HtmlFile).await?;
    let mut stream = visit.begin(&Transport::HtmlFile.request(&visit)).await?;
    stream.answer().status(200)?;
    let (mut seen, wanted) = (Vec::new(), "1024 bytes, and then the open frame");
    loop {
        if let Some(before) = memchr::memmem::find(&seen, b"<script>\np(") {
            return match before >= 1024 {
                true => visit.done(),
                false => Err(visit.fail(format!("{before} bytes before the first frame"), wanted)),
            };
        }
        match stream.next(wanted).await? {
            Some(bytes) => seen.extend_from_slice(&bytes),
            None => return Err(visit.fail(format!("the end after {} bytes", seen.len()), wanted)),
        }
    }
}
