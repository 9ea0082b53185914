//! The greeting, and what is not there.
//!
//! Does not know: sessions.

use super::{TEXT, must, should};
use crate::conformance::sockjs::Probe;
use crate::conformance::{Check, Stop};
use crate::wire::Request;

const GROUP: &str = "greeting";

pub(super) const CHECKS: &[Check<Probe>] = &[
    should(
        GROUP,
        "BaseUrlGreeting.test_greeting",
        "the base URL greets, with and without a slash at its end",
        "It is how people, and health checks of load balancers, see that a SockJS server is there. Clients do not ask for it.",
        |probe| Box::pin(greeting(probe)),
    ),
    must(
        GROUP,
        "BaseUrlGreeting.test_notFound",
        "what is no URL of SockJS below the base is 404",
        "A client that is given a wrong URL must be told so. Servers that answer such requests with something else keep it \
         waiting for a frame that never comes.",
        |probe| Box::pin(not_found(probe)),
    ),
];

async fn greeting(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for path in ["", "/"] {
        let answer = visit.ask(&Request::get(visit.base(path))).await?;
        answer.status(200)?.content_type(TEXT)?.body("Welcome to SockJS!\n")?.no_cookie()?;
    }
    visit.done()
}

async fn not_found(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for path in ["/a", "/a.html", "//", "///", "/a/a", "/a/a/", "/a/"] {
        visit.ask(&Request::get(visit.base(path))).await?.status(404)?;
    }
    visit.done()
}
