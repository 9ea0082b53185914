//! The process that is measured: towpath itself, a control or another broker, pinned to a core of its own where the system
//! can do that, and what `/proc` says about it.
//!
//! Does not know: what the server is asked to do.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::ops::{AddAssign, Sub};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::Outcome;

/// The gateway as it is by default, with an echo beside STOMP.
const CONFIG: &str = "[[endpoint]]\npath = \"/stomp\"\n\n[[endpoint]]\npath = \"/echo\"\nservice = \"echo\"\n";

/// The cores of server and load, where they can be kept apart.
static CORES: OnceLock<Option<(String, String)>> = OnceLock::new();

/// Ticks of `/proc/PID/stat` in a second. Every Linux says 100 to its users, whatever it does inside.
const TICKS: u32 = 100;

/// Keeps this process off the server's core from now on. Returns what was done, in words. To be called before there are
/// other threads.
pub fn pin_load() -> String {
    let cores = CORES.get_or_init(|| {
        let (server, load) = two_cores()?;
        let own = std::process::id().to_string();
        let pinned = Command::new("taskset").args(["-c", "-p", &load, &own]).stdout(Stdio::null()).status();
        pinned.is_ok_and(|status| status.success()).then_some((server, load))
    });
    match cores {
        Some((server, load)) => format!("server on core {server}, load on core {load}"),
        None => "server and load are NOT pinned (no taskset, or only one core): the figures are worth less".to_owned(),
    }
}

/// The first and the last core that we may use, if they are two.
fn two_cores() -> Option<(String, String)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim();
    let (first, last) = (list.split([',', '-']).next()?, list.rsplit([',', '-']).next()?);
    (first != last).then(|| (first.to_owned(), last.to_owned()))
}

/// A running server. Dropped, it is gone.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    /// Held open: a server whose output is closed ends.
    _output: Option<BufReader<ChildStdout>>,
}

impl Server {
    /// Towpath in its default configuration, with an echo service at `/echo`.
    pub fn towpath() -> Outcome<Self> {
        Self::towpath_with(&[], "listens on ")
    }

    /// The same, with its address that of the port for STOMP over TCP.
    pub fn towpath_tcp() -> Outcome<Self> {
        Self::towpath_with(&["--tcp", "127.0.0.1:0"], "tcp://")
    }

    /// One of the controls of [`super::control`], by its name: this same program once more.
    pub fn control(name: &str) -> Outcome<Self> {
        let own = std::env::current_exe()?;
        let own = own.to_str().ok_or("the path of this program is not UTF-8")?;
        Self::start(pinned(own).args(["--control", name]), "listens on ")
    }

    /// A program that has been started, and listens there.
    pub fn running(child: Child, address: SocketAddr) -> Self {
        Self { child, address, _output: None }
    }

    fn towpath_with(args: &[&str], mark: &str) -> Outcome<Self> {
        let config = format!("{}/bench-{}.toml", env!("CARGO_TARGET_TMPDIR"), std::process::id());
        fs::write(&config, CONFIG)?;
        let mut command = pinned(env!("CARGO_BIN_EXE_towpath"));
        command.args(["--config", &config, "--listen", "127.0.0.1:0"]).args(args);
        let server = Self::start(&mut command, mark);
        fs::remove_file(&config)?;
        server
    }

    /// Starts a program and waits until it says behind `mark` where it listens.
    fn start(command: &mut Command, mark: &str) -> Outcome<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("the server has no output")?);
        let mut line = String::new();
        let address = loop {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                let _ = child.kill();
                return Err(format!("{command:?} ended: {}", child.wait()?).into());
            }
            if let Some((_, address)) = line.trim().split_once(mark) {
                break address.parse()?;
            }
        };
        Ok(Self { child, address, _output: Some(output) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CPU time so far of all its threads, and of those of the processes that it has started and that still run.
    pub fn cpu(&self) -> Outcome<Cpu> {
        let mut sum = Cpu::default();
        let mut processes = vec![self.child.id()];
        while let Some(id) = processes.pop() {
            let process = format!("/proc/{id}");
            match cpu(&process) {
                Ok(own) => sum += own,
                // A helper may end at any time; the server itself may not.
                Err(error) if id == self.child.id() => return Err(error),
                Err(_) => {}
            }
            processes.extend(children(&process));
        }
        Ok(sum)
    }

    /// Its resident memory in bytes.
    pub fn resident(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command for that program on the server's core.
pub fn pinned(program: &str) -> Command {
    match CORES.get().and_then(Option::as_ref) {
        // It replaces itself with the program, so the process id is the program's.
        Some((core, _)) => {
            let mut taskset = Command::new("taskset");
            taskset.args(["-c", core, program]);
            taskset
        }
        None => Command::new(program),
    }
}

/// The processes that a process has started; none where the system does not say.
fn children(process: &str) -> Vec<u32> {
    let threads = fs::read_dir(format!("{process}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}

/// The CPU time of one process.
fn cpu(process: &str) -> Outcome<Cpu> {
    let stat = fs::read_to_string(format!("{process}/stat"))?;
    // The name, second of the fields, may hold anything, but its end is the last parenthesis.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| -> Outcome<Duration> {
        let ticks: u32 = fields.get(field).ok_or("/proc/PID/stat is too short")?.parse()?;
        Ok(Duration::from_secs(1) * ticks / TICKS)
    };
    let (user, kernel) = (ticks(11)?, ticks(12)?);
    // The scheduler's own count is in nanoseconds; the ticks have to do where it is not kept.
    let total = scheduled(process).unwrap_or(user + kernel);
    Ok(Cpu { total, user, kernel })
}

/// The time that the threads of a process were on a core.
fn scheduled(process: &str) -> Option<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("{process}/task")).ok()? {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanoseconds))
}

/// CPU time of one or several processes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// All of it, as exact as the system knows it.
    pub total: Duration,
    /// The part in the program, in ticks of 10 ms.
    pub user: Duration,
    /// The part in the kernel, in ticks of 10 ms.
    pub kernel: Duration,
}

impl AddAssign for Cpu {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.user += other.user;
        self.kernel += other.kernel;
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            total: self.total.saturating_sub(earlier.total),
            user: self.user.saturating_sub(earlier.user),
            kernel: self.kernel.saturating_sub(earlier.kernel),
        }
    }
}

/// So many connections, or as many as this process, and so each server, may have. A hundred files are for the rest.
pub fn at_most(connections: usize) -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(1024_usize);
    connections.min(files.saturating_sub(100))
}
