//! `towpath bench` as a user meets it: against servers that lie, that break, that stall, and against towpath; what it prints, what it
//! counts, its exit status, and what it refuses.
//!
//! Does not know: how the load is made.

mod arguments;
mod bad;
mod bad_servers;
#[path = "../support/binary.rs"]
mod binary;
mod bounds;
mod broker;
mod connection;
mod host;
mod lies;
mod lying_servers;
mod schedule;
mod service;
mod serving;

use std::io::Read;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// More than any of these runs takes. It only stops a hang.
const END: Duration = Duration::from_secs(30);

/// A run that has ended.
#[derive(Debug)]
struct Ran {
    status: Option<i32>,
    printed: String,
    beside: String,
}

impl Ran {
    /// The report of a run with `--json`.
    fn json(&self) -> Value {
        serde_json::from_str(&self.printed).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }
}

/// Runs `towpath bench` with these arguments, which stand in one text.
fn bench(arguments: &str) -> Ran {
    let arguments: Vec<_> = ["bench"].into_iter().chain(arguments.split_whitespace()).collect();
    let mut child = binary::towpath(&arguments).spawn().expect("the binary is built");
    let texts = [all_of(child.stdout.take()), all_of(child.stderr.take())];
    let end = Instant::now() + END;
    let ended = texts.map(|text| text.recv_timeout(end.saturating_duration_since(Instant::now())));
    let [Ok(printed), Ok(beside)] = ended else {
        child.kill().expect("it is ours");
        panic!("{arguments:?} did not end: {ended:?}");
    };
    Ran { status: child.wait().expect("it has ended").code(), printed, beside }
}

/// What will have come of a pipe when the other end is closed.
fn all_of(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let mut pipe = pipe.expect("it is piped");
    let (give, take) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).expect("all is text");
        let _ = give.send(text);
    });
    take
}

/// Does something for each of these, a few at a time, and gives what came of it in their order.
fn side_by_side<T: Sync, U: Send>(all: &[T], each: impl Fn(&T) -> U + Sync) -> Vec<U> {
    const AT_ONCE: usize = 6;
    let mut done = Vec::with_capacity(all.len());
    for some in all.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|one| scope.spawn(|| each(one))).collect();
            done.extend(threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))));
        });
    }
    done
}
