//! The greeting, and what is not there.
//!
//! Does not know: sessions.

use super::Probe;
use crate::conformance::{Check, Level, Rule, Stop};
use crate::wire::Request;

const GROUP: &str = "greeting";
const SUITE: &str = "SockJS protocol, official suite";

pub(super) const CHECKS: &[Check<Probe>] = &[
    Check {
        rule: Rule {
            id: "BaseUrlGreeting.test_greeting",
            group: GROUP,
            level: Level::Must,
            demand: "the base URL greets, with and without a slash at its end",
            source: SUITE,
            why: "It is how people, and health checks of load balancers, see that a SockJS server is there.",
            slow: false,
        },
        look: |probe| Box::pin(greeting(probe)),
    },
    Check {
        rule: Rule {
            id: "BaseUrlGreeting.test_notFound",
            group: GROUP,
            level: Level::Must,
            demand: "what is no URL of SockJS below the base is 404",
            source: SUITE,
            why: "A client that is given a wrong URL must be told so. Servers that answer such requests with something else \
                  keep it waiting for a frame that never comes.",
            slow: false,
        },
        look: |probe| Box::pin(not_found(probe)),
    },
];

async fn greeting(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for path in ["", "/"] {
        let answer = visit.ask(&Request::get(visit.base(path))).await?;
        answer.status(200)?.content_type("text/plain; charset=UTF-8")?.body("Welcome to SockJS!\n")?.no_cookie()?;
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
