//! One publisher, and many subscribers of one topic; other subscriptions may lie beside.
//!
//! Does not know: transports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::client::{self, Client, Event, Speech, escaped};
use super::fault::Fault;
use super::plan::{EACH_BESIDE, Refusal};
use super::sender::Sender;
use super::shared::Run;
use super::stage::{Seen, Stage};
use super::stamp;
use super::tally::Tally;

/// How far the deliveries have come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// How many messages were published.
    pub(super) published: AtomicU64,
    /// The number of deliveries after which the publisher is to be woken.
    wanted: AtomicU64,
    reached: Notify,
}

impl Progress {
    /// Wakes the publisher if it is time to.
    pub(super) fn tell(&self, run: &Run) {
        if run.received.load(Ordering::Relaxed) >= self.wanted.load(Ordering::Relaxed) {
            self.reached.notify_one();
        }
    }
}

pub(super) async fn run(stage: &Stage<'_>, beside: u32, beside_destination: &str) -> Result<Seen, Refusal> {
    let subscribers = stage.plan.scenario.clients();
    let transports = stage.checked.transports.of(usize::try_from(subscribers).unwrap_or(0));
    let wanted = transports.len();
    let speech = stage.stomp();
    let subscribe = format!("SUBSCRIBE\nid:0\ndestination:{}\nreceipt:r\n\n\0", escaped(&stage.destination));
    let clients = stage
        .connect(transports, async |_, transport| {
            let mut client = Client::connect(&stage.route, transport, &speech).await?;
            client.ask(&subscribe, "the receipt of SUBSCRIBE").await?;
            Ok(client)
        })
        .await?;
    let publisher = publisher(stage, &speech).await?;
    let lonely = bystanders(stage, beside, beside_destination).await?;
    let (true, Some(publisher), Some(lonely)) = (clients.len() == wanted, publisher, lonely) else {
        return Ok(Seen::default());
    };
    let progress = Arc::new(Progress::default());
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(subscriber(Arc::clone(&stage.run), client, Arc::clone(&progress)));
    }
    for client in lonely {
        tasks.spawn(bystander(client));
    }
    let text = send(&stage.destination, stage.plan.size);
    let message = client::message(publisher.transport(), &text, stage.plan.size);
    let Some(turns) = stage.turns(1)?.pop() else { return Ok(Seen::default()) };
    let sender = Sender::new(message, 0, turns, subscribers);
    tasks.spawn(publish(Arc::clone(&stage.run), publisher, sender, subscribers, progress));
    Ok(stage.measure(tasks).await)
}

/// Who publishes; `None` if it failed while it connected.
pub(super) async fn publisher(stage: &Stage<'_>, speech: &Speech) -> Result<Option<Client>, Refusal> {
    let first = vec![stage.checked.transports.first()];
    let connect = async |_, transport| Client::connect(&stage.route, transport, speech).await;
    Ok(stage.connect_others(first, connect).await?.pop())
}

/// A SEND to that destination, with a body that is to be stamped.
pub(super) fn send(destination: &str, size: usize) -> String {
    format!("SEND\ndestination:{}\n\n{}\0", escaped(destination), stamp::body(size))
}

/// Publishes whenever fewer messages are on their way than are to be, or when one is due. A message counts as arrived when the
/// deliveries so far make it up: with one on its way that is when each of its `times` deliveries has come.
pub(super) async fn publish(
    run: Arc<Run>,
    mut client: Client,
    mut sender: Sender,
    times: u64,
    progress: Arc<Progress>,
) -> Result<(), Fault> {
    loop {
        let arrived = run.received.load(Ordering::Relaxed) / times;
        sender.put(&run, &mut client, arrived);
        // Known before anybody can have one of them.
        progress.published.store(sender.sent(), Ordering::Relaxed);
        client.flush()?;
        let wanted = (arrived + 1) * times;
        progress.wanted.store(wanted, Ordering::Relaxed);
        if run.received.load(Ordering::Relaxed) >= wanted && run.sends() {
            continue;
        }
        tokio::select! {
            came = sender.wait(&mut client, nothing) => came?,
            () = progress.reached.notified() => {}
        }
    }
}

/// What comes to one who waits for no message.
pub(super) fn nothing(event: Event<'_>) -> Result<(), Fault> {
    match event {
        Event::Beat => Ok(()),
        Event::Message { .. } => Err(Fault::Foreign),
        _ => Err(Fault::Garbage("something came that nobody had asked for".to_owned())),
    }
}

/// Marks what comes, for ever.
async fn subscriber(run: Arc<Run>, mut client: Client, progress: Arc<Progress>) -> Result<(), Fault> {
    let mut tally = Tally::default();
    let transport = client.transport();
    loop {
        let mut now = None;
        client
            .receive(|event| match event {
                Event::Message { body, .. } => {
                    let stamp = run.stamp(body)?;
                    if stamp.sender != 0 || u64::from(stamp.number) >= progress.published.load(Ordering::Relaxed) {
                        return Err(Fault::Foreign);
                    }
                    let now = *now.get_or_insert_with(|| run.now());
                    run.came(transport, tally.mark(stamp.number.into()), stamp, now);
                    Ok(())
                }
                event => nothing(event),
            })
            .await?;
        progress.tell(&run);
    }
}

/// Connections with subscriptions of other destinations; `None` if they could not be made.
async fn bystanders(stage: &Stage<'_>, count: u32, destination: &str) -> Result<Option<Vec<Client>>, Refusal> {
    let connections = usize::try_from(count.div_ceil(EACH_BESIDE)).unwrap_or(0);
    if connections == 0 {
        return Ok(Some(Vec::new()));
    }
    let speech = stage.stomp();
    let first = stage.checked.transports.first();
    let clients = stage
        .connect_others(vec![first; connections], async |number, transport| {
            let mut client = Client::connect(&stage.route, transport, &speech).await?;
            let begin = u32::try_from(number).unwrap_or(0) * EACH_BESIDE;
            for n in begin..(begin + EACH_BESIDE).min(count) {
                let destination = escaped(&destination.replace("{n}", &n.to_string()));
                // One after the other, so that no answer is larger than a client may have waiting.
                client
                    .ask(
                        &format!("SUBSCRIBE\nid:{n}\ndestination:{destination}\nreceipt:r\n\n\0"),
                        "the receipt of SUBSCRIBE",
                    )
                    .await?;
            }
            Ok(client)
        })
        .await?;
    Ok((clients.len() == connections).then_some(clients))
}

async fn bystander(mut client: Client) -> Result<(), Fault> {
    loop {
        client.receive(nothing).await?;
    }
}
