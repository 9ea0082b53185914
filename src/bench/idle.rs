//! Sessions that do nothing but take heartbeats: what they cost is what they hold.
//!
//! Does not know: transports.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::client::{Client, Event, Speech, escaped};
use super::fanout::nothing;
use super::fault::Fault;
use super::plan::Refusal;
use super::shared::Run;
use super::stage::{Seen, Stage};

/// How often a STOMP server is asked for a heart-beat: what STOMP libraries of browsers ask for by default.
const BEATS: Duration = Duration::from_secs(10);

pub(super) async fn run(stage: &Stage<'_>, stomp: bool) -> Result<Seen, Refusal> {
    let transports = stage.checked.transports.of(usize::try_from(stage.plan.scenario.clients()).unwrap_or(0));
    let wanted = transports.len();
    let speech = if stomp { stage.stomp_with_beats(BEATS) } else { Speech::Bare };
    let subscribe = format!("SUBSCRIBE\nid:0\ndestination:{}\nreceipt:r\n\n\0", escaped(&stage.destination));
    let clients = stage
        .connect(transports, async |_, transport| {
            let mut client = Client::connect(&stage.route, transport, &speech).await?;
            if stomp {
                client.ask(&subscribe, "the receipt of SUBSCRIBE").await?;
            }
            client.rest();
            Ok(client)
        })
        .await?;
    if clients.len() < wanted {
        return Ok(Seen::default());
    }
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(rest(Arc::clone(&stage.run), client));
    }
    let seen = stage.measure(tasks).await;
    // All have left by now.
    Ok(Seen { descriptors_after: stage.server_let_go().await, ..seen })
}

/// Counts heartbeats, for ever.
async fn rest(run: Arc<Run>, mut client: Client) -> Result<(), Fault> {
    let transport = client.transport();
    loop {
        client
            .receive(|event| {
                if event == Event::Beat {
                    run.happened(transport);
                }
                nothing(event)
            })
            .await?;
        client.rest();
    }
}
