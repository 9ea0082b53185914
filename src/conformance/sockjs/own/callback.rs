//! Callbacks that are more than names, over the two transports that write them into a script.
//!
//! Does not know: what the scripts do.

use super::receiver::{Receiver, Transport};
use crate::conformance::Stop;
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::answer::Answer;
use crate::conformance::sockjs::visit::Visit;

/// What is written into the URL, and what a page would have of it.
const HOSTILE: [(&str, &str); 9] = [
    ("alert(1)//", "alert(1)//"),
    ("a;alert(1)", "a;alert(1)"),
    ("%3Cscript%3Ealert(1)%3C/script%3E", "<script>alert(1)</script>"),
    ("%22%2Balert%601%60%2B%22", "\"+alert`1`+\""),
    ("a%0Aalert(1)", "a\nalert(1)"),
    ("a%20b", "a b"),
    ("a%3Db", "a=b"),
    ("*%2Falert(1)%2F*", "*/alert(1)/*"),
    ("a%00b", "a\0b"),
];

/// None of the hostile callbacks is taken, and the refusal does not hand it on to a browser either.
pub(super) async fn hostile(probe: &Probe, transport: Transport) -> Result<(), Stop> {
    Receiver::open(&probe.echo(), transport).await?;
    for (written, meant) in HOSTILE {
        let visit = probe.echo();
        let refusal = refused(&visit, transport, written).await?;
        let html = refusal.response.header("Content-Type").is_none_or(|kind| kind.contains("html"));
        if html && meant.contains('<') && refusal.response.text().contains(meant) {
            return Err(refusal.fail("an HTML page that has the callback in it", "a refusal that escapes it"));
        }
    }
    Ok(())
}

/// A callback of 200 characters, six times as long as any that a client makes.
pub(super) async fn too_long(probe: &Probe, transport: Transport) -> Result<(), Stop> {
    let visit = probe.echo();
    // The transport is there, and 32 characters are fine.
    let response = visit.begin(&visit.get(&format!("/{}?c={}", transport.name(), "a".repeat(32)))).await?;
    transport.offered(response.head.status)?;
    response.answer().status(200)?;
    refused(&visit.another(), transport, &"a".repeat(200)).await?;
    visit.done()
}

/// A request with this callback is refused.
pub(super) async fn refused(visit: &Visit<'_>, transport: Transport, callback: &str) -> Result<Answer, Stop> {
    let path = format!("/{}?c={callback}", transport.name());
    let response = visit.begin(&visit.get(&path)).await?;
    let status = response.head.status;
    if !(400..600).contains(&status) {
        return Err(response.fail(format!("status {status}"), "status 500, or another refusal"));
    }
    visit.ask(&visit.get(&path)).await
}
