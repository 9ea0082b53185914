//! What the figures depend on besides the code: the machine, the system, and the versions of everything.
//!
//! Does not know: the figures.

use std::fs;
use std::process::Command;

use crate::servers::{Program, said};

/// The libraries whose versions matter most.
const LIBRARIES: [&str; 6] = ["tokio", "hyper", "hyper-util", "tungstenite", "bytes", "serde_json"];

/// What the machine and its system are, a line each.
pub fn machine() -> Vec<String> {
    let model = first_line_with("/proc/cpuinfo", "model name");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = first_line_with("/proc/meminfo", "MemTotal");
    let profile = if cfg!(debug_assertions) { "a debug build: the figures mean nothing" } else { "release build" };
    vec![
        format!("{cores} cores ({model}), {memory} of memory, Linux {}", kernel.trim()),
        format!("towpath {}, {profile}, {}", env!("CARGO_PKG_VERSION"), rustc()),
        libraries(),
    ]
}

/// How busy the machine was on average in the last minute.
pub fn load_average() -> String {
    let averages = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().unwrap_or_default().to_owned()
}

/// The peers that are installed, with their versions, and those that are not.
pub fn peers() -> String {
    let peers = [Program::Npm, Program::Pypi, Program::RabbitMq].map(|peer| match peer.version() {
        Some(version) => format!("{} {version}", peer.name()),
        None => format!("{} is NOT installed", peer.name()),
    });
    peers.join(", ")
}

fn rustc() -> String {
    let program = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    said(Command::new(program).arg("--version")).unwrap_or_else(|| "an unknown rustc".to_owned())
}

/// The versions that were built in, as the lock file says.
fn libraries() -> String {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap_or_default();
    let version = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", rest.split('"').next()?))
    };
    LIBRARIES.iter().filter_map(|name| version(name)).collect::<Vec<_>>().join(", ")
}

/// What stands behind the colon of the first such line.
fn first_line_with(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
    line.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
}
