//! Many topics with a few subscribers each. One publisher goes round them; memberships are spread over the clients.
//!
//! Does not know: transports.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;

use super::client::{self, Client, Event, escaped};
use super::fanout::{Progress, nothing, publish, publisher, send};
use super::fault::Fault;
use super::plan::Refusal;
use super::sender::Sender;
use super::shared::Run;
use super::stage::{Seen, Stage};
use super::tally::Tally;

pub(super) async fn run(stage: &Stage<'_>, topics: u32, members: u32) -> Result<Seen, Refusal> {
    let count = u32::try_from(stage.plan.scenario.clients()).unwrap_or(u32::MAX);
    let transports = stage.checked.transports.of(usize::try_from(count).unwrap_or(0));
    let wanted = transports.len();
    let speech = stage.stomp();
    let rooms = memberships(topics, members, count);
    let clients = stage
        .connect(transports, async |number, transport| {
            let mut client = Client::connect(&stage.route, transport, &speech).await?;
            for topic in rooms.get(number).into_iter().flatten() {
                let destination = escaped(&name(&stage.destination, *topic));
                let subscribe = format!("SUBSCRIBE\nid:{topic}\ndestination:{destination}\nreceipt:r\n\n\0");
                client.ask(&subscribe, "the receipt of SUBSCRIBE").await?;
            }
            Ok(client)
        })
        .await?;
    let publisher = publisher(stage, &speech).await?;
    let (true, Some(publisher)) = (clients.len() == wanted, publisher) else {
        return Ok(Seen::default());
    };
    let progress = Arc::new(Progress::default());
    let mut tasks = JoinSet::new();
    for (client, rooms) in clients.into_iter().zip(rooms) {
        tasks.spawn(member(Arc::clone(&stage.run), client, rooms, topics, Arc::clone(&progress)));
    }
    let message = |topic| {
        let text = send(&name(&stage.destination, topic), stage.plan.size);
        client::message(publisher.transport(), &text, stage.plan.size)
    };
    let Some(turns) = stage.turns(1)?.pop() else { return Ok(Seen::default()) };
    let sender = Sender::round((0..topics).map(message).collect(), 0, turns, members.into());
    tasks.spawn(publish(Arc::clone(&stage.run), publisher, sender, members.into(), progress));
    Ok(stage.measure(tasks).await)
}

fn name(begin: &str, topic: u32) -> String {
    format!("{begin}.{topic}")
}

/// The topics of each client, in ascending order. A topic has its members among neighbours.
fn memberships(topics: u32, members: u32, clients: u32) -> Vec<Vec<u32>> {
    let mut rooms = vec![Vec::new(); usize::try_from(clients).unwrap_or(0)];
    let mut next = (0..rooms.len()).cycle();
    for topic in 0..topics {
        for client in next.by_ref().take(usize::try_from(members).unwrap_or(0)) {
            rooms.iter_mut().skip(client).take(1).for_each(|rooms| rooms.push(topic));
        }
    }
    rooms
}

/// Marks what comes, for ever.
async fn member(
    run: Arc<Run>,
    mut client: Client,
    rooms: Vec<u32>,
    topics: u32,
    progress: Arc<Progress>,
) -> Result<(), Fault> {
    let mut tallies: Vec<Tally> = rooms.iter().map(|_| Tally::default()).collect();
    let transport = client.transport();
    loop {
        let mut now = None;
        client
            .receive(|event| match event {
                Event::Message { body, .. } => {
                    let stamp = run.stamp(body)?;
                    // Each topic had its turn in every round that is over, and may have had it in the one that is not.
                    let rounds = progress.published.load(Ordering::Relaxed).div_ceil(topics.into());
                    let own = rooms.binary_search(&stamp.sender).ok();
                    let tally = own.and_then(|own| tallies.get_mut(own)).filter(|_| u64::from(stamp.number) < rounds);
                    let mark = tally.ok_or(Fault::Foreign)?.mark(stamp.number.into());
                    run.came(transport, mark, stamp, *now.get_or_insert_with(|| run.now()));
                    Ok(())
                }
                event => nothing(event),
            })
            .await?;
        progress.tell(&run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships_are_spread_evenly_and_nobody_is_twice_in_a_room() {
        for (topics, members, clients) in [(5000, 4, 10_000), (5000, 4, 20), (1, 4, 4), (3, 2, 5), (7, 3, 3)] {
            let rooms = memberships(topics, members, clients);
            let sizes: Vec<_> = rooms.iter().map(Vec::len).collect();
            assert_eq!(sizes.iter().sum::<usize>(), (topics * members) as usize);
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            assert!(rooms.iter().all(|rooms| rooms.is_sorted_by(|a, b| a < b)), "{rooms:?}");
        }
    }
}
