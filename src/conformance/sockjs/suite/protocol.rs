//! The life of a session, over polls.
//!
//! Does not know: other transports.

use super::{GO_AWAY, must};
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Stop};

const GROUP: &str = "protocol";

pub(super) const CHECKS: &[Check<Probe>] = &[
    must(
        GROUP,
        "Protocol.test_simpleSession",
        "a session opens, takes messages, delivers them, and turns a second receiver away with 2010 and status 200",
        "This is all of SockJS in four requests. The client that finds its session taken, after a network that broke without a \
         word, must be told by a frame that it understands: another status ends it with a reason that says nothing.",
        |probe| Box::pin(simple_session(probe)),
    ),
    must(
        GROUP,
        "Protocol.test_closeSession",
        "a closed session gives its close frame to every poll, not once only",
        "The answer with the close frame may be lost on its way. A client that asks again and finds an unknown session instead \
         opens a new one and takes it for the old.",
        |probe| Box::pin(close_session(probe)),
    ),
];

async fn simple_session(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    visit.ask(&visit.post("/xhr_send").body(r#"["a"]"#)).await?.status(204)?.body("")?;
    visit.ask(&visit.post("/xhr")).await?.status(200)?.body("a[\"a\"]\n")?;
    let unknown = visit.another();
    unknown.ask(&unknown.post("/xhr_send").body(r#"["a"]"#)).await?.status(404)?;
    visit.poll_twice().await?;
    visit.done()
}

async fn close_session(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.close()?;
    visit.open().await?;
    for _ in 0..2 {
        visit.ask(&visit.post("/xhr")).await?.status(200)?.body(format!("{GO_AWAY}\n"))?;
    }
    visit.done()
}
