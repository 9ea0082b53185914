//! What every scenario goes through: the server is found, clients connect some at a time, the load runs through warm-up and
//! window, what is on its way is waited for, and the report is made of what was counted.
//!
//! Does not know: what the clients do.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::client::Speech;
use super::fault::Fault;
use super::metronome::Metronome;
use super::plan::{Checked, Pace, Plan, Refusal, Scenario, Transport, Transports};
use super::process::{Cpu, Process, most_descriptors};
use super::report::{Failure, LoadUse, Messages, Report, ServerUse, Share, Timed};
use super::route::Route;
use super::schedule::{Schedule, Turns};
use super::shared::{Phase, Run};

/// Clients that connect at once: few enough for any listener's queue.
const AT_ONCE: usize = 64;
/// How often is looked whether all has come.
const LOOK: Duration = Duration::from_millis(2);
/// How often is looked whether anything comes at all.
const LOOK_AT_LIFE: Duration = Duration::from_millis(100);
/// How long is waited for what should not come once all has.
const AFTERMATH: Duration = Duration::from_millis(50);
/// What each client adds to the time that connecting may take in all.
const EACH_CONNECT: Duration = Duration::from_millis(20);
/// Descriptors that are not connections.
const SPARE_DESCRIPTORS: u64 = 64;

/// A run that can begin.
pub(super) struct Stage<'a> {
    pub(super) plan: &'a Plan,
    pub(super) checked: Checked,
    pub(super) route: Arc<Route>,
    pub(super) run: Arc<Run>,
    /// Where messages go.
    pub(super) destination: String,
    server: Option<Process>,
    before: Option<(u64, Option<u64>)>,
    tell: &'a dyn Fn(&str),
}

/// When something came last, or nothing was on its way.
#[derive(Debug, Clone, Copy)]
struct Life {
    arrivals: u64,
    since: Instant,
}

/// What was seen while the load ran.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// How long the window was.
    pub(super) seconds: f64,
    pub(super) server_cpu: Option<Cpu>,
    pub(super) own_cpu: Option<Cpu>,
    pub(super) resident_half: Option<u64>,
    pub(super) resident_after: Option<u64>,
    pub(super) descriptors_after: Option<u64>,
}

impl<'a> Stage<'a> {
    /// Checks the plan and finds the server.
    ///
    /// # Errors
    ///
    /// The plan cannot be, or there is no such server or process.
    pub(super) async fn set(plan: &'a Plan, tell: &'a dyn Fn(&str)) -> Result<Self, Refusal> {
        let checked = plan.check()?;
        if let Some(most) = most_descriptors()
            && most < checked.connections + SPARE_DESCRIPTORS
        {
            return Err(Refusal::new(format!(
                "{} connections are needed and {most} descriptors allowed; raise the limit with `ulimit -n {}`",
                checked.connections,
                checked.connections + SPARE_DESCRIPTORS
            )));
        }
        let route = Route::find(&plan.url, checked.sources, plan.patience).await?;
        let server = plan.server_pid.map(Process::new);
        let before = match server {
            Some(server) => {
                let resident = server.resident().or(server.cpu().map(|_| 0));
                let gone = || {
                    Refusal::new(format!(
                        "--server-pid: there is no process {} to be read in /proc",
                        plan.server_pid.unwrap_or(0)
                    ))
                };
                Some((resident.ok_or_else(gone)?, server.descriptors()))
            }
            None => None,
        };
        let apart = match &checked.transports {
            Transports::One(_) => Vec::new(),
            Transports::Mix(_) => checked.transports.used(),
        };
        let token: u64 = rand::random();
        let kind = if matches!(plan.scenario, Scenario::Queue { .. }) { "queue" } else { "topic" };
        let destination = plan.destination.clone().unwrap_or_else(|| format!("/{kind}/bench-{token:016x}"));
        let run = Arc::new(Run::new(token as u8, plan.size, &apart));
        Ok(Self { plan, checked, route: Arc::new(route), run, destination, server, before, tell })
    }

    /// STOMP as the plan's user, without heart-beats.
    pub(super) fn stomp(&self) -> Speech {
        self.stomp_with_beats(Duration::ZERO)
    }

    /// STOMP as the plan's user, with a heart-beat wanted of the server so often.
    pub(super) fn stomp_with_beats(&self, beats: Duration) -> Speech {
        Speech::stomp(&self.plan.host, self.plan.login.as_deref(), self.plan.passcode.as_deref(), beats)
    }

    /// The turns of so many senders, from now on.
    ///
    /// # Errors
    ///
    /// There is nobody to wake them.
    pub(super) fn turns(&self, senders: u64) -> Result<Vec<Turns>, Refusal> {
        let count = usize::try_from(senders).unwrap_or(0);
        let rate = match self.plan.pace {
            Pace::InFlight(most) => return Ok(vec![Turns::Closed(most.into()); count]),
            Pace::Rate(rate) => rate,
        };
        let begin = self.run.now();
        let beats = Metronome::start(&self.run, rate, count, begin);
        let beats = beats.map_err(|why| Refusal::new(format!("no thread can be had: {why}")))?;
        let turns = |sender| Turns::Open {
            schedule: Schedule::new(rate, sender as u64, senders, begin),
            beats: Arc::clone(&beats),
            sender,
        };
        Ok((0..count).map(turns).collect())
    }

    /// Says what is being done.
    pub(super) fn tell(&self, what: &str) {
        (self.tell)(what);
    }

    /// Makes one client after the other, some at a time, in order. Once one has failed, no more are begun; then fewer come than were
    /// wanted, and the failures are counted.
    ///
    /// # Errors
    ///
    /// Not one could be made.
    pub(super) async fn connect<T>(
        &self,
        transports: Vec<Transport>,
        make: impl AsyncFn(usize, Transport) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Refusal> {
        self.make(transports, make, true).await
    }

    /// The same for those who are not among the clients that are counted, such as a publisher.
    ///
    /// # Errors
    ///
    /// Not one could be made.
    pub(super) async fn connect_others<T>(
        &self,
        transports: Vec<Transport>,
        make: impl AsyncFn(usize, Transport) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Refusal> {
        self.make(transports, make, false).await
    }

    async fn make<T>(
        &self,
        transports: Vec<Transport>,
        make: impl AsyncFn(usize, Transport) -> Result<T, Fault>,
        counted: bool,
    ) -> Result<Vec<T>, Refusal> {
        let all = transports.len();
        let make = &make;
        let one = |(number, transport)| async move {
            let began = Instant::now();
            (make(number, transport).await, began.elapsed())
        };
        let mut made = futures_util::stream::iter(transports.into_iter().enumerate()).map(one).buffered(AT_ONCE);
        let mut clients = Vec::with_capacity(all);
        let mut first = None;
        let connecting = async {
            while let Some((client, took)) = made.next().await {
                match client {
                    Ok(client) => {
                        if counted {
                            self.run.connected(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
                        }
                        clients.push(client);
                        if clients.len() % AT_ONCE == 0 {
                            self.tell(&format!("{} of {all} clients are connected", clients.len()));
                        }
                    }
                    Err(fault) => {
                        self.run.failed(&fault);
                        first = Some(fault);
                        break;
                    }
                }
            }
        };
        // Whoever waits for one step in vain is to be the first to say so.
        let longest = 2 * self.plan.patience + EACH_CONNECT * u32::try_from(all).unwrap_or(u32::MAX);
        if timeout(longest, connecting).await.is_err() {
            let fault = Fault::Silent { what: "the last of the clients", patience: longest };
            self.run.failed(&fault);
            first = Some(fault);
        }
        match first {
            Some(fault) if clients.is_empty() => Err(Refusal::new(format!("no client could connect: {fault}"))),
            _ => Ok(clients),
        }
    }

    /// Lets clients run through warm-up and window, waits for what is on its way, and ends them.
    pub(super) async fn measure(&self, clients: JoinSet<Result<(), Fault>>) -> Seen {
        self.watch(clients, self.plan.warm_up, false).await
    }

    /// The same for clients that come to an end by themselves once nothing new is to be sent; there is no warm-up if they are to
    /// do a certain number of things.
    pub(super) async fn measure_to_the_end(&self, clients: JoinSet<Result<(), Fault>>, number: Option<u64>) -> Seen {
        let warm_up = if number.is_some() { Duration::ZERO } else { self.plan.warm_up };
        self.watch(clients, warm_up, true).await
    }

    async fn watch(&self, mut clients: JoinSet<Result<(), Fault>>, warm_up: Duration, to_the_end: bool) -> Seen {
        let Plan { duration, patience, .. } = *self.plan;
        let mut life = Life { arrivals: 0, since: Instant::now() };
        let mut going = true;
        // The shortest sleep is one in which clients run, and then what they did would not be measured.
        if !warm_up.is_zero() {
            self.tell(&format!("warming up for {}", humantime::format_duration(warm_up)));
            going = self.until(&mut clients, &mut life, sleep(warm_up)).await;
        }
        self.run.enter(Phase::Window);
        let (began, server, own) = (Instant::now(), self.server_cpu(), Process::own().cpu());
        let end = began + duration;
        while going && Instant::now() < end {
            let left = end - Instant::now();
            self.tell(&format!("measuring for another {} s, {} so far", left.as_secs() + 1, self.run.measured()));
            let step = left.min(Duration::from_secs(1));
            going = self.until(&mut clients, &mut life, sleep(step)).await;
        }
        self.run.enter(Phase::Drain);
        let seconds = began.elapsed().as_secs_f64();
        let difference = |before: Option<Cpu>, after: Option<Cpu>| Some(after? - before?);
        let seen = Seen {
            seconds,
            server_cpu: difference(server, self.server_cpu()),
            own_cpu: difference(own, Process::own().cpu()),
            resident_after: self.server_resident(),
            ..Seen::default()
        };
        if going {
            self.tell("waiting for what is on its way");
            let drained = async {
                while to_the_end || !self.run.is_settled() {
                    sleep(LOOK).await;
                }
                sleep(AFTERMATH).await;
            };
            let drained = async {
                if timeout(patience, drained).await.is_err() && to_the_end {
                    self.run.failed(&Fault::Silent { what: "the last of the clients' ends", patience });
                }
            };
            self.until(&mut clients, &mut life, drained).await;
        }
        seen
    }

    /// Waits for something while clients run. Those that fail meanwhile are counted. Whether it came, before none was left or
    /// nothing went on.
    async fn until(
        &self,
        clients: &mut JoinSet<Result<(), Fault>>,
        life: &mut Life,
        something: impl Future<Output = ()>,
    ) -> bool {
        let ends = async {
            loop {
                match clients.join_next().await {
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(fault))) => self.run.failed(&fault),
                    Some(Err(_)) => self.run.failed(&Fault::Garbage("a client broke off".to_owned())),
                    None => return,
                }
            }
        };
        let stalls = async {
            loop {
                let now = self.run.arrivals();
                if now != life.arrivals || self.run.is_complete() {
                    *life = Life { arrivals: now, since: Instant::now() };
                } else if life.since.elapsed() > self.plan.patience {
                    return;
                }
                sleep(LOOK_AT_LIFE).await;
            }
        };
        tokio::select! {
            biased;
            () = something => true,
            () = ends => false,
            () = stalls => {
                self.run.failed(&Fault::Stalled(self.plan.patience));
                false
            }
        }
    }

    /// The server's process, if it was named.
    pub(super) fn server(&self) -> Option<Process> {
        self.server
    }

    pub(super) fn server_cpu(&self) -> Option<Cpu> {
        self.server?.cpu()
    }

    pub(super) fn server_resident(&self) -> Option<u64> {
        self.server?.resident()
    }

    /// Waits, as long as the patience lasts, until the server has no more descriptors than before; gives how many it has.
    pub(super) async fn server_let_go(&self) -> Option<u64> {
        let server = self.server?;
        let before = self.before?.1?;
        let end = Instant::now() + self.plan.patience;
        loop {
            let now = server.descriptors()?;
            if now <= before || Instant::now() >= end {
                return Some(now);
            }
            sleep(10 * LOOK).await;
        }
    }

    /// The report on what was counted.
    pub(super) fn report(&self, seen: Seen) -> Report {
        let plan = self.plan;
        let run = &self.run;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (expected, received) = (count(&run.expected), count(&run.received));
        let (latency, connecting, shares) = run.books();
        let from = if matches!(plan.pace, Pace::Rate(_)) { "intended" } else { "sent" };
        let paced = !matches!(plan.scenario, Scenario::Idle { .. });
        let measured = run.measured();
        let each = |cpu: Duration| (measured > 0).then(|| cpu.as_secs_f64() * 1e6 / measured as f64);
        let transports = self.checked.transports.of(usize::try_from(plan.scenario.clients()).unwrap_or(0));
        let clients_of = |wanted| transports.iter().filter(|transport| **transport == wanted).count() as u64;
        let share = |(transport, share): &(Transport, super::shared::Share)| {
            let took = share.latency.lock().percentiles();
            let latency_us = took.map(|took| Timed { from, took });
            let measured = count(&share.measured);
            (transport.name(), Share { clients: clients_of(*transport), measured, latency_us })
        };
        let (transport, mix) = match &self.checked.transports {
            _ if matches!(plan.scenario, Scenario::Post { .. }) => (None, None),
            Transports::One(transport) => (Some(transport.name()), None),
            Transports::Mix(mix) => {
                (Some("mix"), Some(mix.iter().map(|(transport, share)| (transport.name(), *share)).collect()))
            }
        };
        let busy = seen.own_cpu.filter(|_| seen.seconds > 0.0).map(|cpu| cpu.total.as_secs_f64() / seen.seconds);
        Report {
            scenario: plan.scenario.name(),
            url: plan.url.clone(),
            transport,
            mix,
            clients: plan.scenario.clients(),
            size: plan.size,
            in_flight: match plan.pace {
                Pace::InFlight(count) if paced => Some(count),
                _ => None,
            },
            rate_wanted: match plan.pace {
                Pace::Rate(rate) if paced => Some(rate),
                _ => None,
            },
            seconds: seen.seconds,
            messages: Messages {
                sent: count(&run.sent),
                expected,
                received,
                lost: expected.saturating_sub(received),
                duplicated: count(&run.duplicated),
                out_of_order: count(&run.out_of_order),
            },
            measured,
            rate: if seen.seconds > 0.0 { measured as f64 / seen.seconds } else { 0.0 },
            latency_us: latency.percentiles().map(|took| Timed { from, took }),
            connect_us: connecting.percentiles(),
            server: self.server_use(&seen, each),
            load: busy.map(|busy| LoadUse { cpu_us_each: seen.own_cpu.and_then(|cpu| each(cpu.total)), busy }),
            transports: shares.iter().map(share).collect::<BTreeMap<_, _>>(),
            failures: run.failures().into_iter().map(|(what, count)| Failure { what, count }).collect(),
        }
    }

    fn server_use(&self, seen: &Seen, each: impl Fn(Duration) -> Option<f64>) -> Option<ServerUse> {
        let pid = self.plan.server_pid?;
        let (resident_before, descriptors_before) = self.before?;
        let cpu = seen.server_cpu;
        let both = |cpu: Cpu| (cpu.user + cpu.kernel).as_secs_f64();
        let clients = self.plan.scenario.clients() as f64;
        Some(ServerUse {
            pid,
            cpu_us: cpu.map(|cpu| u64::try_from(cpu.total.as_micros()).unwrap_or(u64::MAX)),
            cpu_us_each: cpu.and_then(|cpu| each(cpu.total)),
            kernel_share: cpu.filter(|cpu| both(*cpu) > 0.0).map(|cpu| cpu.kernel.as_secs_f64() / both(cpu)),
            resident_before: Some(resident_before),
            resident_half: seen.resident_half,
            resident_after: seen.resident_after,
            resident_each: seen.resident_after.map(|after| (after as f64 - resident_before as f64) / clients),
            descriptors_before,
            descriptors_after: seen.descriptors_after,
        })
    }
}
