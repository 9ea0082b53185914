//! Producers and consumers of one queue. Every message must come to exactly one consumer, and to each in its producer's order.
//!
//! Does not know: transports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::client::{self, Client, Event, escaped, header};
use super::fanout::{nothing, send};
use super::fault::Fault;
use super::plan::{Ack, Refusal};
use super::sender::Sender;
use super::shared::Run;
use super::stage::{Seen, Stage};
use super::tally::{Mark, Order, Seen as SeenNumbers};

/// What has become of one producer's messages.
#[derive(Debug, Default)]
struct Lane {
    sent: AtomicU64,
    arrived: AtomicU64,
    /// Something arrived.
    some: Notify,
    seen: Mutex<SeenNumbers>,
}

pub(super) async fn run(
    stage: &Stage<'_>,
    producers: u32,
    consumers: u32,
    ack: Ack,
    prefetch: Option<u32>,
) -> Result<Seen, Refusal> {
    let all = stage.checked.transports.of(usize::try_from(producers + consumers).unwrap_or(0));
    let (consuming, producing) = all.split_at_checked(usize::try_from(consumers).unwrap_or(0)).unwrap_or_default();
    let speech = stage.stomp();
    let subscribe = subscribe(&stage.destination, ack, prefetch);
    let takers = stage
        .connect(consuming.to_vec(), async |_, transport| {
            let mut client = Client::connect(&stage.route, transport, &speech).await?;
            client.ask(&subscribe, "the receipt of SUBSCRIBE").await?;
            Ok(client)
        })
        .await?;
    if takers.len() < consuming.len() {
        return Ok(Seen::default());
    }
    let makers = stage
        .connect(producing.to_vec(), async |_, transport| Client::connect(&stage.route, transport, &speech).await)
        .await?;
    if makers.len() < producing.len() {
        return Ok(Seen::default());
    }
    let lanes: Arc<[Lane]> = (0..producers).map(|_| Lane::default()).collect();
    let mut tasks = JoinSet::new();
    for client in takers {
        tasks.spawn(consume(Arc::clone(&stage.run), client, ack, Arc::clone(&lanes)));
    }
    let text = send(&stage.destination, stage.plan.size);
    let turns = stage.turns(producers.into())?;
    for ((number, client), turns) in (0_u32..).zip(makers).zip(turns) {
        let message = client::message(client.transport(), &text, stage.plan.size);
        let sender = Sender::new(message, number, turns, 1);
        tasks.spawn(produce(Arc::clone(&stage.run), client, sender, number, Arc::clone(&lanes)));
    }
    Ok(stage.measure(tasks).await)
}

fn subscribe(destination: &str, ack: Ack, prefetch: Option<u32>) -> String {
    let ack = match ack {
        Ack::Auto => "auto",
        Ack::ClientIndividual => "client-individual",
    };
    let prefetch = prefetch.map_or(String::new(), |count| format!("prefetch-count:{count}\n"));
    format!("SUBSCRIBE\nid:0\ndestination:{}\nack:{ack}\n{prefetch}receipt:r\n\n\0", escaped(destination))
}

/// Sends whenever fewer messages are on their way than are to be, or when one is due, for ever.
async fn produce(
    run: Arc<Run>,
    mut client: Client,
    mut sender: Sender,
    number: u32,
    lanes: Arc<[Lane]>,
) -> Result<(), Fault> {
    let Some(lane) = usize::try_from(number).ok().and_then(|number| lanes.get(number)) else { return Ok(()) };
    loop {
        sender.put(&run, &mut client, lane.arrived.load(Ordering::Relaxed));
        // Known before anybody can have one of them.
        lane.sent.store(sender.sent(), Ordering::Relaxed);
        client.flush()?;
        tokio::select! {
            came = sender.wait(&mut client, nothing) => came?,
            () = lane.some.notified() => {}
        }
    }
}

/// Marks what comes and acknowledges it, for ever.
async fn consume(run: Arc<Run>, mut client: Client, ack: Ack, lanes: Arc<[Lane]>) -> Result<(), Fault> {
    let mut orders: Vec<Order> = lanes.iter().map(|_| Order::default()).collect();
    let mut woken = vec![false; lanes.len()];
    // Line after line.
    let mut acknowledged = Vec::new();
    let transport = client.transport();
    loop {
        let mut now = None;
        client
            .receive(|event| match event {
                Event::Message { headers, body } => {
                    let stamp = run.stamp(body)?;
                    let (producer, number) = (usize::try_from(stamp.sender).unwrap_or(usize::MAX), stamp.number.into());
                    let (Some(lane), Some(order)) = (lanes.get(producer), orders.get_mut(producer)) else {
                        return Err(Fault::Foreign);
                    };
                    if number >= lane.sent.load(Ordering::Relaxed) {
                        return Err(Fault::Foreign);
                    }
                    let in_order = order.mark(number);
                    let mark = match lane.seen.lock().mark(number) {
                        false => Mark::Again,
                        true if in_order => Mark::Fresh,
                        true => Mark::Late,
                    };
                    if mark.is_new() {
                        lane.arrived.fetch_add(1, Ordering::Relaxed);
                        woken.iter_mut().skip(producer).take(1).for_each(|woken| *woken = true);
                    }
                    run.came(transport, mark, stamp, *now.get_or_insert_with(|| run.now()));
                    if ack == Ack::ClientIndividual {
                        let id = header(headers, b"ack");
                        let id = id.ok_or_else(|| Fault::garbage("a message that cannot be acknowledged", headers))?;
                        acknowledged.extend_from_slice(id);
                        acknowledged.push(b'\n');
                    }
                    Ok(())
                }
                event => nothing(event),
            })
            .await?;
        if !acknowledged.is_empty() {
            for id in String::from_utf8_lossy(&acknowledged).lines() {
                client.put_text(&format!("ACK\nid:{id}\n\n\0"));
            }
            acknowledged.clear();
            client.flush()?;
        }
        for (lane, woken) in lanes.iter().zip(&mut woken) {
            if std::mem::take(woken) {
                lane.some.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_says_how_it_acknowledges_and_how_much_it_takes() {
        let frame = subscribe("/queue/a", Ack::ClientIndividual, Some(7));
        assert_eq!(
            frame,
            "SUBSCRIBE\nid:0\ndestination:/queue/a\nack:client-individual\nprefetch-count:7\nreceipt:r\n\n\0"
        );
        assert!(!subscribe("/queue/a", Ack::Auto, None).contains("prefetch"));
    }
}
