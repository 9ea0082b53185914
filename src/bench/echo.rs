//! Every client sends messages and gets each back.
//!
//! Does not know: transports.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::client::{self, Client, Event, Speech};
use super::fault::Fault;
use super::plan::Refusal;
use super::sender::Sender;
use super::shared::Run;
use super::stage::{Seen, Stage};
use super::stamp;
use super::tally::Tally;

pub(super) async fn run(stage: &Stage<'_>) -> Result<Seen, Refusal> {
    let count = stage.plan.scenario.clients();
    let transports = stage.checked.transports.of(usize::try_from(count).unwrap_or(0));
    let wanted = transports.len();
    let clients = stage
        .connect(transports, async |_, transport| Client::connect(&stage.route, transport, &Speech::Bare).await)
        .await?;
    if clients.len() < wanted {
        return Ok(Seen::default());
    }
    let body = stamp::body(stage.plan.size);
    let mut tasks = JoinSet::new();
    let turns = stage.turns(count)?;
    for ((number, client), turns) in (0_u32..).zip(clients).zip(turns) {
        let message = client::message(client.transport(), &body, body.len());
        tasks.spawn(echo(Arc::clone(&stage.run), client, Sender::new(message, number, turns, 1), number));
    }
    Ok(stage.measure(tasks).await)
}

/// Sends, and marks what comes back, for ever.
async fn echo(run: Arc<Run>, mut client: Client, mut sender: Sender, id: u32) -> Result<(), Fault> {
    let mut tally = Tally::default();
    let mut arrived = 0;
    let transport = client.transport();
    loop {
        sender.put(&run, &mut client, arrived);
        client.flush()?;
        let sent = sender.sent();
        let mut now = None;
        let hear = |event: Event<'_>| match event {
            Event::Message { body, .. } => {
                let stamp = run.stamp(body)?;
                if stamp.sender != id || u64::from(stamp.number) >= sent {
                    return Err(Fault::Foreign);
                }
                let mark = tally.mark(stamp.number.into());
                arrived += u64::from(mark.is_new());
                run.came(transport, mark, stamp, *now.get_or_insert_with(|| run.now()));
                Ok(())
            }
            Event::Beat => Ok(()),
            _ => Err(Fault::Garbage("something that is no message came".to_owned())),
        };
        sender.wait(&mut client, hear).await?;
    }
}
