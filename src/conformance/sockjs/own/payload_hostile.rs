//! Bodies that are made to do harm.
//!
//! Does not know: how much a server should take. It may refuse in any way, but it has to answer, and to live.

use super::receiver::{Receiver, Transport};
use super::{SOCKJS, check, lives};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::visit::Visit;
use crate::conformance::{Check, Level, Stop};
use crate::wire::{Fault, Request};

const GROUP: &str = "payloads";

/// The size of the body that is too large for nearly every server.
const HUGE: usize = 16 << 20;
/// What is written of it at once.
const PIECE: usize = 64 << 10;
/// So many brackets overflow the stack of a parser that calls itself for each.
const DEEP: usize = 200_000;

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Should,
        GROUP,
        "payload.oversized",
        SOCKJS,
        "a body of 16 MiB is refused or taken, and other sessions go on",
        "Anybody can send one, without any login. A server without a bound keeps it in memory as often as somebody likes to, and \
         one that blocks while it reads keeps everybody waiting.",
        |probe| Box::pin(oversized(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "payload.deep-nesting",
        SOCKJS,
        "two hundred thousand brackets do not end the server",
        "A parser that calls itself for every bracket runs out of stack, and in most languages that ends the whole process, \
         with everybody's sessions. It takes one request without any login.",
        |probe| Box::pin(deep_nesting(probe)),
    ),
];

async fn oversized(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let other = visit.another();
    let mut bystander = Receiver::open(&other, Transport::Xhr).await?;
    bystander.attach().await?;
    visit.open().await?;
    let taken = pour(&visit).await?;
    visit.steps.note(format!("# {taken}"));
    bystander.echo(&["undisturbed"]).await?;
    lives(&visit).await
}

/// Sends the huge body; what became of it, in words.
async fn pour(visit: &Visit<'_>) -> Result<String, Stop> {
    let wanted = "a refusal, an end of the connection, or 204";
    let mut connection = visit.connect().await?;
    let request = Request::post(visit.session("/xhr_send")).header("Content-Length", &HUGE.to_string());
    visit.steps.note(format!("# the next with a body [\"xxx...\"] of {HUGE} bytes"));
    visit.steps.note(request.curl(&visit.probe.target));
    let mut piece = vec![b'x'; PIECE];
    let mut sent = 0;
    let poured = async {
        connection.write(&request.encode(&visit.probe.target)).await?;
        while sent < HUGE {
            piece.fill(b'x');
            if let (0, Some(first)) = (sent, piece.first_chunk_mut()) {
                *first = *b"[\"";
            }
            if let (true, Some(last)) = (sent + PIECE == HUGE, piece.last_chunk_mut()) {
                *last = *b"\"]";
            }
            connection.write(&piece).await?;
            sent += PIECE;
        }
        Ok(())
    };
    // Who refuses need not read the rest, and may be gone before the answer can be read.
    match poured.await {
        Ok(()) | Err(Fault::Ended(..)) => {}
        Err(fault) => return Err(visit.fault(&fault, wanted)),
    }
    match connection.head("POST").await {
        Ok(head) if matches!(head.status, 200..=299 | 400..=599) => {
            Ok(format!("status {} after {sent} bytes", head.status))
        }
        Ok(head) => Err(visit.fail(format!("status {}", head.status), wanted)),
        Err(Fault::Ended(_, how)) => Ok(format!("the connection ended ({how}) after {sent} bytes")),
        Err(fault) => Err(visit.fault(&fault, wanted)),
    }
}

async fn deep_nesting(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let other = visit.another();
    let mut bystander = Receiver::open(&other, Transport::Xhr).await?;
    bystander.attach().await?;
    visit.open().await?;
    for body in ["[".repeat(DEEP), format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP)), "{\"a\":".repeat(DEEP / 4)] {
        visit.steps.note(format!(
            "# the next with a body of {} bytes, {}...",
            body.len(),
            body.get(..5).unwrap_or_default()
        ));
        let request = visit.post("/xhr_send");
        visit.steps.note(request.curl(&visit.probe.target));
        let mut connection = visit.connect().await?;
        // How it is refused is all the same; not to answer at all is not.
        match connection.ask(&request.body(body), &visit.probe.target).await {
            Ok(_) | Err(Fault::Ended(..)) => {}
            Err(fault) => return Err(visit.fault(&fault, "a refusal")),
        }
    }
    bystander.echo(&["undisturbed"]).await?;
    lives(&visit).await
}
