//! How long a session lives without a receiver, and with one.
//!
//! Does not know: heartbeats.

use tokio::time::{Instant, sleep};

use super::receiver::{Receiver, Transport};
use super::{SOCKJS, check, same, seconds, slow};
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Level, Stop};

const GROUP: &str = "sessions";

pub(super) const CHECKS: &[Check<Probe>] = &[
    slow(check(
        Level::Should,
        GROUP,
        "session.disconnect-delay",
        SOCKJS,
        "a session without a receiver is there after 3 s and gone after 20 s",
        "A client that polls over a slow network needs seconds from one poll to the next; 5 s is the usual delay. A session that \
         never goes keeps its memory, and whoever is waiting for its end waits for ever, for every page that was closed.",
        |probe| Box::pin(disconnect_delay(probe)),
    )),
    slow(check(
        Level::Must,
        GROUP,
        "session.kept-while-attached",
        SOCKJS,
        "a session lives as long as its receiver is attached, 12 s without a message among it",
        "Most sessions are silent for most of their time. A server that counts from the last message instead of the last \
         receiver ends them all.",
        |probe| Box::pin(kept_while_attached(probe)),
    )),
    slow(check(
        Level::May,
        GROUP,
        "session.send-does-not-prolong",
        "observed: sockjs-node",
        "sends alone do not keep a session that nobody receives from",
        "Otherwise a script that only sends keeps a session, and all that is queued for it, for as long as it likes.",
        |probe| Box::pin(send_does_not_prolong(probe)),
    )),
];

async fn disconnect_delay(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    sleep(seconds(probe, 3)).await;
    visit.steps.note("sleep 3");
    visit.send(&["there"]).await?;
    same(&visit, &visit.messages(1).await?, &["there"])?;
    sleep(seconds(probe, 20)).await;
    visit.steps.note("sleep 20");
    visit.ask(&visit.post("/xhr_send").body(r#"["gone"]"#)).await?.status(404)?;
    visit.done()
}

async fn kept_while_attached(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut receiver = Receiver::open(&visit, Transport::XhrStreaming).await?;
    sleep(seconds(probe, 12)).await;
    visit.steps.note("sleep 12");
    receiver.echo(&["still there"]).await
}

async fn send_does_not_prolong(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    let opened = Instant::now();
    while opened.elapsed() < seconds(probe, 20) {
        sleep(seconds(probe, 2)).await;
        visit.steps.note("sleep 2");
        let answer = visit.ask(&visit.post("/xhr_send").body("[]")).await?;
        if answer.status_in(&[204, 404])?.response.status() == 404 {
            return visit.done();
        }
    }
    Err(visit.fail("a session that takes messages 20 s after its last receiver", "404"))
}
