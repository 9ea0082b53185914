//! What the benches share. A bench is a small program: it starts the server that it measures as a process of its own, on
//! one core, and loads it from another; beside towpath runs a control, the least code that does the same work with the
//! same libraries. Both are loaded by the same client in the same run, in turn, and the figure that counts is the ratio.
//!
//! Does not know: what any of the benches measures.

#![allow(dead_code, reason = "each bench is a crate of its own and uses its part of this")]

pub mod client;
pub mod control;
pub mod fan;
pub mod rabbitmq;
pub mod server;
pub mod table;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use server::{Cpu, Server};
use tokio::task::JoinSet;

/// What a bench comes to. Whatever goes wrong ends it: there is nothing to save.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long the clients run before the measuring begins, and how long it lasts.
const WARM_UP: Duration = Duration::from_millis(150);
const WINDOW: Duration = Duration::from_millis(600);

/// What a client of a STOMP broker says first. The user is the one that RabbitMQ has to begin with; towpath knows none yet.
pub const CONNECT: &str = "CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\nheart-beat:0,0\n\n\0";

/// The longest that any step may take. A message that is lost shows as this time-out, for its sender waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a bench, or the control that it asked for, or nothing: `cargo test --all-targets` starts benches, too, and does
/// not want the load.
pub fn run(bench: impl AsyncFnOnce(Options) -> Outcome<()>) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.first().map(String::as_str) {
        Some("--control") => control::serve(args.get(1).map_or("", String::as_str)),
        _ if args.iter().any(|arg| arg == "--bench") => load(bench, &args),
        _ => {
            println!("a bench puts load on the machine; `cargo bench` runs it");
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What may be asked of a bench behind `--`.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often every row is measured; the median counts. `--rounds N`.
    pub rounds: usize,
    /// A part of the names of the rows that are wanted; empty for all.
    filter: String,
}

impl Options {
    fn parse(args: &[String]) -> Outcome<Self> {
        let mut options = Self { rounds: 3, filter: String::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--bench" => {}
                "--rounds" => options.rounds = args.next().ok_or("--rounds needs a number")?.parse()?,
                filter => filter.clone_into(&mut options.filter),
            }
        }
        Ok(options)
    }

    /// Whether a row of that name is to be measured.
    pub fn wants(&self, name: &str) -> bool {
        name.contains(&self.filter)
    }
}

fn load(bench: impl AsyncFnOnce(Options) -> Outcome<()>, args: &[String]) -> Outcome<()> {
    let options = Options::parse(args)?;
    println!("{}", server::pin_load());
    // One thread: the load has one core, and must not cost more than what it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(bench(options))
}

/// What the clients of one measurement share with whoever measures.
#[derive(Debug, Default)]
pub struct Load {
    /// Messages that made their way.
    pub done: AtomicU64,
    /// Set when the clients are to send nothing new, wait for what is on its way, and end.
    pub stop: AtomicBool,
}

impl Load {
    /// Counts messages.
    pub fn count(&self, messages: usize) {
        self.done.fetch_add(messages as u64, Ordering::Relaxed);
    }

    /// Whether to send on.
    pub fn runs(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// CPU time of the server for each message, user and kernel, in microseconds.
    pub cpu: f64,
    /// The kernel's part of it, 0 to 1.
    pub kernel: f64,
    /// Messages a second.
    pub rate: f64,
}

/// Lets the clients run for a while, measures the server's CPU meanwhile, then lets them finish. Every message that was
/// sent must have arrived by then.
pub async fn measure(server: &Server, load: Arc<Load>, mut clients: JoinSet<Outcome<()>>) -> Outcome<Sample> {
    tokio::time::sleep(WARM_UP).await;
    let (began, before, done) = (Instant::now(), server.cpu()?, load.done.load(Ordering::Relaxed));
    tokio::time::sleep(WINDOW).await;
    let (wall, after, done) = (began.elapsed(), server.cpu()?, load.done.load(Ordering::Relaxed) - done);
    load.stop.store(true, Ordering::Relaxed);
    let finish = async {
        while let Some(client) = clients.join_next().await {
            client??;
        }
        Outcome::Ok(())
    };
    tokio::time::timeout(PATIENCE, finish).await.map_err(|_| "messages were lost: their clients still wait")??;
    if done == 0 {
        return Err("nothing was measured: the server answered no message".into());
    }
    let Cpu { total, user, kernel } = after - before;
    Ok(Sample {
        cpu: total.as_secs_f64() * 1e6 / done as f64,
        kernel: kernel.as_secs_f64() / (user + kernel).as_secs_f64().max(1e-9),
        rate: done as f64 / wall.as_secs_f64(),
    })
}

/// The middle of some figures; the mean of the two in the middle where there is none.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}
