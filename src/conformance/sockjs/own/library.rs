//! A whole client. The other checks look at one demand each; here a program's client does what programs do, and all of it has to
//! go together: towpath's own, which knows nothing of the server that it speaks to.
//!
//! Does not know: frames.

use super::{check, same};
use crate::client::sockjs::{SockJs, Transport};
use crate::client::{Ended, Options};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::visit::Visit;
use crate::conformance::{Check, Level, Stop};

const GROUP: &str = "sessions";

pub(super) const CHECKS: &[Check<Probe>] = &[check(
    Level::Must,
    GROUP,
    "session.client-library",
    "SockJS protocol, as clients in use go about it",
    "a client library gets its echoes over websocket, streaming and polling",
    "Each demand may be met by itself while a real client, which sends while it receives and comes back by itself when a response \
     ends, still comes to grief. This is towpath's own client.",
    |probe| Box::pin(every_transport(probe)),
)];

/// Messages that go there and back: more than one response of a stream may carry.
const MESSAGES: usize = 50;
/// How long each is.
const LENGTH: usize = 200;

async fn every_transport(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    // The client opens its own connections, and they count like all others: one receives and one sends.
    let _permits = (probe.load.connection().await, probe.load.connection().await);
    for transport in Transport::ALL {
        over(&visit, transport).await?;
    }
    visit.done()
}

async fn over(visit: &Visit<'_>, transport: Transport) -> Result<(), Stop> {
    let (patience, url) = (visit.probe.limits.patience, visit.probe.target.url(&visit.base("")));
    visit.steps.note(format!("# towpath's client library at {url}, over {transport}"));
    let options = Options {
        transports: vec![transport],
        connect_timeout: patience,
        info_timeout: patience,
        transport_timeout: patience,
        request_timeout: patience,
        close_timeout: patience,
        ..Options::default()
    };
    let wanted = format!("{MESSAGES} echoes over {transport}");
    let talk = async {
        let session = SockJs::open(&url, &options).await;
        let mut session = session.map_err(|error| visit.fail(error.to_string(), &*wanted))?;
        let ended = |ended: Ended| visit.fail(ended.to_string(), &*wanted);
        let sent: Vec<String> = (0..MESSAGES).map(|number| format!("{number:0>LENGTH$}")).collect();
        let mut seen = Vec::new();
        // In two rounds: what the client makes of the answer to its first messages shows by the fate of those behind them.
        for round in sent.chunks(MESSAGES / 2) {
            for message in round {
                session.send(message.as_str()).await.map_err(ended)?;
            }
            let due = seen.len() + round.len();
            while seen.len() < due {
                seen.push(session.receive().await.map_err(ended)?);
            }
        }
        session.close().await;
        same(visit, &seen, &sent)
    };
    let most = patience.saturating_mul(4);
    let late = |_| visit.fail(format!("the session had not ended after {most:?}"), &*wanted);
    tokio::time::timeout(most, talk).await.map_err(late)?
}
