//! One run of `towpath bench` against one server, and what it reports.
//!
//! Does not know: which runs there are, or what their figures are compared with.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::servers::{Program, Server};
use crate::support::Outcome;

/// How long is measured, and how long the load runs before it, unless a run says otherwise itself.
const WINDOW: [(&str, &str); 2] = [("--duration", "1s"), ("--warm-up", "300ms")];

/// How long a run may take on top of its `--duration`: for connecting thousands of clients, and for a broker's patience.
const LIMIT: Duration = Duration::from_secs(120);

/// What is measured once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The server's program.
    pub program: Program,
    /// What stands behind `towpath bench`. `{web}` and `{tcp}` are the server's addresses.
    pub args: String,
}

impl Run {
    /// Loads a server of that program and takes down what comes of it.
    pub fn load(&self, server: &Server) -> Outcome<Report> {
        let mut load = Command::new(env!("CARGO_BIN_EXE_towpath"));
        load.arg("bench").args(server.addressed(&self.args)?.split_whitespace());
        for (option, value) in WINDOW {
            if self.option(option).is_none() {
                load.args([option, value]);
            }
        }
        load.args(["--json", "--server-pid", &server.pid().to_string()]);
        if self.program == Program::RabbitMq {
            load.args(["--login", "guest"]).env("STOMP_PASSCODE", "guest");
        }
        let (status, output, complaints) = finished(&mut load, LIMIT + self.duration())?;
        match (status, serde_json::from_str(&output)) {
            (Some(0 | 1), Ok(json)) => Ok(Report(json)),
            _ => Err(complaints.trim().replace('\n', "; ").into()),
        }
    }

    /// The value of one of its options.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.args.split_whitespace().skip_while(|word| *word != name).nth(1)
    }

    fn duration(&self) -> Duration {
        self.option("--duration").and_then(|text| humantime::parse_duration(text).ok()).unwrap_or_default()
    }
}

/// Runs a program to its end, or to the limit's: its status and what it said on either output.
fn finished(command: &mut Command, limit: Duration) -> Outcome<(Option<i32>, String, String)> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = child.id();
    let (tell, told) = mpsc::channel();
    let waiter = std::thread::spawn(move || tell.send(child.wait_with_output()));
    let output = told.recv_timeout(limit).unwrap_or_else(|_| {
        // It bounds itself; this only stops a hang.
        let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        Err(std::io::Error::other(format!("towpath bench still ran after {}", humantime::format_duration(limit))))
    });
    let _ = waiter.join();
    let output = output?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

/// The JSON of one run.
#[derive(Debug, Clone)]
pub struct Report(pub Value);

impl Report {
    /// A figure by its path in the JSON, such as `/server/cpu_us_each`.
    pub fn figure(&self, path: &str) -> Option<f64> {
        self.0.pointer(path).and_then(Value::as_f64)
    }

    /// Messages that were lost, came twice, or came out of order.
    pub fn faults(&self) -> [u64; 3] {
        ["lost", "duplicated", "out_of_order"].map(|kind| {
            let count = self.0.get("messages").and_then(|messages| messages.get(kind));
            count.and_then(Value::as_u64).unwrap_or(0)
        })
    }

    /// What went wrong with its clients, in words.
    pub fn failures(&self) -> Vec<String> {
        let failures = self.0.get("failures").and_then(Value::as_array).into_iter().flatten();
        failures
            .map(|failure| {
                let what = failure.get("what").and_then(Value::as_str).unwrap_or("a client failed");
                format!("{what} ({}x)", failure.get("count").unwrap_or(&json!(1)))
            })
            .collect()
    }
}
