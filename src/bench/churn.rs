//! Clients that come, do one thing and go, over and over.
//!
//! Does not know: transports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::client::{self, Client, Event, Speech, escaped};
use super::fanout::{nothing, send};
use super::fault::Fault;
use super::plan::{Refusal, Transport};
use super::process::Process;
use super::route::Route;
use super::schedule::Turns;
use super::shared::Run;
use super::stage::{Seen, Stage};
use super::stamp::{self, Message, Stamp};
use super::tally::Tally;

/// What all who come and go share.
#[derive(Debug)]
struct Course {
    run: Arc<Run>,
    route: Arc<Route>,
    speech: Speech,
    /// How many cycles there are to be.
    cycles: u64,
    begun: AtomicU64,
    done: AtomicU64,
    server: Option<Process>,
    /// Resident bytes when half of the cycles were done.
    half: AtomicU64,
}

/// One place among those who are there at once.
#[derive(Debug)]
struct Place {
    id: u32,
    transport: Transport,
    /// What subscribes to where the message goes; nothing for an echo.
    subscribe: Option<String>,
    message: Message,
    turns: Turns,
    tally: Tally,
    sent: u64,
}

pub(super) async fn run(stage: &Stage<'_>, clients: u32, cycles: Option<u64>, stomp: bool) -> Result<Seen, Refusal> {
    let transports = stage.checked.transports.of(usize::try_from(clients).unwrap_or(0));
    let speech = if stomp { stage.stomp() } else { Speech::Bare };
    // Whether there is a server at all is known before the first cycle.
    let first = stage.checked.transports.first();
    stage
        .connect_others(vec![first], async |_, transport| {
            Client::connect(&stage.route, transport, &speech).await?.leave().await
        })
        .await?;
    let course = Arc::new(Course {
        run: Arc::clone(&stage.run),
        route: Arc::clone(&stage.route),
        speech,
        cycles: cycles.unwrap_or(u64::MAX),
        begun: AtomicU64::new(0),
        done: AtomicU64::new(0),
        server: stage.server(),
        half: AtomicU64::new(0),
    });
    let mut tasks = JoinSet::new();
    let turns = stage.turns(clients.into())?;
    for ((id, transport), turns) in (0_u32..).zip(transports).zip(turns) {
        let destination = format!("{}.{id}", stage.destination);
        let text = if stomp { send(&destination, stage.plan.size) } else { stamp::body(stage.plan.size) };
        let place = Place {
            id,
            transport,
            subscribe: stomp.then(|| format!("SUBSCRIBE\nid:0\ndestination:{}\n\n\0", escaped(&destination))),
            message: client::message(transport, &text, stage.plan.size),
            turns,
            tally: Tally::default(),
            sent: 0,
        };
        tasks.spawn(come_and_go(Arc::clone(&course), place));
    }
    let seen = stage.measure_to_the_end(tasks, cycles).await;
    let half = course.half.load(Ordering::Relaxed);
    Ok(Seen { resident_half: (half > 0).then_some(half), descriptors_after: stage.server_let_go().await, ..seen })
}

/// One cycle after the other, until there are to be no more.
async fn come_and_go(course: Arc<Course>, mut place: Place) -> Result<(), Fault> {
    let run = &course.run;
    while run.sends() {
        let Some(time) = place.turns.take(run.now(), 0) else {
            place.turns.turn().await;
            continue;
        };
        if course.begun.fetch_add(1, Ordering::Relaxed) >= course.cycles {
            return Ok(());
        }
        place.cycle(&course).await?;
        run.measure(place.transport, time, run.now());
        let done = course.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done == course.cycles.div_ceil(2) {
            let resident = course.server.and_then(Process::resident);
            course.half.store(resident.unwrap_or(0), Ordering::Relaxed);
        }
    }
    Ok(())
}

impl Place {
    async fn cycle(&mut self, course: &Course) -> Result<(), Fault> {
        let run = &course.run;
        let began = Instant::now();
        let mut client = Client::connect(&course.route, self.transport, &course.speech).await?;
        run.connected(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        if let Some(subscribe) = &self.subscribe {
            client.put_text(subscribe);
        }
        let number = self.sent as u32;
        client.put(self.message.stamped(Stamp { run: run.id, sender: self.id, number, time: run.now() }));
        self.sent += 1;
        run.sent(1, 1);
        client.flush()?;
        let patience = course.route.patience;
        let mut came = false;
        let back = async {
            while !came {
                client.receive(|event| self.hear(run, event, &mut came)).await?;
            }
            Ok::<(), Fault>(())
        };
        timeout(patience, back).await.map_err(|_| Fault::Silent { what: "the message", patience })??;
        client.leave().await
    }

    fn hear(&mut self, run: &Run, event: Event<'_>, came: &mut bool) -> Result<(), Fault> {
        let Event::Message { body, .. } = event else { return nothing(event) };
        let stamp = run.stamp(body)?;
        if stamp.sender != self.id || u64::from(stamp.number) >= self.sent {
            return Err(Fault::Foreign);
        }
        let mark = self.tally.mark(stamp.number.into());
        run.came_untimed(mark);
        *came |= u64::from(stamp.number) + 1 == self.sent;
        Ok(())
    }
}
