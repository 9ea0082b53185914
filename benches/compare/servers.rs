//! The programs that are measured: towpath, a control or somebody else's server, each a process of its own on the first core
//! while the load has the last.
//!
//! Does not know: what they are asked to do.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::support::Outcome;

/// The gateway as it is by default, with an echo beside STOMP, and one more whose heart beats often.
const CONFIG: &str = r#"
[[endpoint]]
path = "/stomp"

[[endpoint]]
path = "/echo"
service = "echo"

[[endpoint]]
path = "/beat"
service = "echo"
heartbeat = "1s"
"#;

/// How long a server may take to come up; a broker takes the longest.
const START: Duration = Duration::from_secs(60);

/// How long one may take to clear up when it is asked to end.
const STOP: Duration = Duration::from_secs(15);

/// What a streaming response of the peers may carry before it ends: their libraries' default, not the little that the
/// protocol's tests ask for.
const RESPONSE_LIMIT: &str = "131072";

/// Whose program is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// This project's.
    Towpath,
    /// The control of that name.
    Control(&'static str),
    /// The npm package `sockjs`.
    Npm,
    /// The PyPI package `sockjs`.
    Pypi,
    /// Debian's RabbitMQ with its STOMP plugins.
    RabbitMq,
}

/// A running server. Dropped, it is gone.
#[derive(Debug)]
pub struct Server {
    child: Child,
    web: Option<SocketAddr>,
    tcp: Option<SocketAddr>,
    /// It has children that it has to end itself.
    asked_to_end: bool,
}

impl Program {
    /// What it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Towpath => "towpath",
            Self::Control(name) => name,
            Self::Npm => "npm sockjs",
            Self::Pypi => "PyPI sockjs",
            Self::RabbitMq => "RabbitMQ",
        }
    }

    /// Whether this project did not make it, so that it may be missing.
    pub fn is_a_peer(self) -> bool {
        !matches!(self, Self::Towpath | Self::Control(_))
    }

    /// Which version is installed; `None` if it is not.
    pub fn version(self) -> Option<String> {
        match self {
            Self::Towpath | Self::Control(_) => Some(env!("CARGO_PKG_VERSION").to_owned()),
            Self::Npm => {
                let package = fs::read_to_string(peers().join("node/node_modules/sockjs/package.json")).ok()?;
                let package: serde_json::Value = serde_json::from_str(&package).ok()?;
                Some(package.get("version")?.as_str()?.to_owned())
            }
            Self::Pypi => {
                let python = peers().join("python/.venv/bin/python");
                let code = "from importlib.metadata import version; print(version('sockjs'))";
                said(Command::new(python).args(["-c", code]))
            }
            Self::RabbitMq => {
                let node = said(Command::new("node").arg("--version"));
                let whole = said(Command::new("dpkg-query").args(["-f", "${Version}", "-W", "rabbitmq-server"]))?;
                // Its start script looks for free ports with Node.
                node.map(|_| whole.split('-').next().unwrap_or_default().to_owned())
            }
        }
    }

    /// Starts it and waits until it has said where it listens.
    pub fn start(self) -> Outcome<Server> {
        match self {
            Self::Towpath => {
                let config = format!("{}/compare-{}.toml", env!("CARGO_TARGET_TMPDIR"), std::process::id());
                fs::write(&config, CONFIG)?;
                let own = || env!("CARGO_BIN_EXE_towpath").into();
                let program = std::env::var_os("GATEWAY_BIN").unwrap_or_else(own);
                let mut towpath = on_the_first_core(Path::new(&program), "KILL");
                towpath.args(["serve", "--config", &config, "--listen", "127.0.0.1:0", "--tcp", "127.0.0.1:0"]);
                let server = Server::begin(&mut towpath, true, false);
                fs::remove_file(&config)?;
                server
            }
            Self::Control(name) => {
                let mut control = on_the_first_core(&std::env::current_exe()?, "KILL");
                Server::begin(control.args(["--control", name]), false, false)
            }
            Self::Npm => Server::begin(&mut peer("node/start", "KILL"), false, false),
            Self::Pypi => Server::begin(&mut peer("python/start", "KILL"), false, false),
            Self::RabbitMq => Server::begin(&mut peer("rabbitmq/start", "TERM"), true, true),
        }
    }
}

impl Server {
    fn begin(command: &mut Command, speaks_tcp: bool, asked_to_end: bool) -> Outcome<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("a server without an output")?;
        let mut server = Self { child, web: None, tcp: None, asked_to_end };
        let lines = lines(output);
        let give_up = Instant::now() + START;
        while server.web.is_none() || (speaks_tcp && server.tcp.is_none()) {
            match lines.recv_timeout(give_up.saturating_duration_since(Instant::now())) {
                Ok(line) => server.look_for_addresses(&line),
                Err(RecvTimeoutError::Timeout) => return Err(format!("{command:?} does not come up").into()),
                Err(RecvTimeoutError::Disconnected) => return Err(format!("{command:?} ended").into()),
            }
        }
        Ok(server)
    }

    /// Takes what a line says about where the server listens, if it is the first that does.
    fn look_for_addresses(&mut self, line: &str) {
        for mark in ["tcp://", "ws://", "http://", "listens on ", "ready "] {
            let Some((_, rest)) = line.split_once(mark) else { continue };
            let Ok(address) = rest.split(['/', ' ']).next().unwrap_or_default().parse() else { continue };
            let place = if mark == "tcp://" { &mut self.tcp } else { &mut self.web };
            place.get_or_insert(address);
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// That text with `{web}` and `{tcp}` replaced by where it listens. A control speaks everything at one address.
    pub fn addressed(&self, text: &str) -> Outcome<String> {
        let web = self.web.ok_or("the server named no address")?;
        Ok(text.replace("{web}", &web.to_string()).replace("{tcp}", &self.tcp.unwrap_or(web).to_string()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.asked_to_end {
            let _ = Command::new("kill").arg(self.pid().to_string()).status();
            let give_up = Instant::now() + STOP;
            while Instant::now() < give_up && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server prints, line by line, read to the end so that it is never stopped by a full pipe.
fn lines(output: ChildStdout) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody listens any more when the addresses are known.
            let _ = tell.send(line);
        }
    });
    told
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers")
}

/// Somebody else's server, whose complaints are no result of ours.
fn peer(script: &str, signal: &str) -> Command {
    let mut command = on_the_first_core(&peers().join(script), signal);
    command.env("RESPONSE_LIMIT", RESPONSE_LIMIT).stderr(Stdio::null());
    command
}

/// What a program prints, if it is there and all goes well.
pub fn said(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The cores of server and load, where they can be kept apart.
static CORES: OnceLock<Option<(String, String)>> = OnceLock::new();

/// Keeps this process, and the load that it starts, off the servers' core from now on. Returns what was done, in words. To
/// be called before there are other threads.
pub fn keep_cores_apart() -> String {
    let cores = CORES.get_or_init(|| {
        let (server, load) = two_cores()?;
        let own = std::process::id().to_string();
        said(Command::new("taskset").args(["-c", "-p", &load, &own])).map(|_| (server, load))
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

/// A command for that program on the servers' core. Where the system can, it gets that signal when this process is gone,
/// however that came. Each step replaces itself with the next, so the process stays the same.
fn on_the_first_core(program: &Path, signal: &str) -> Command {
    static CAN_BIND: OnceLock<bool> = OnceLock::new();
    let mut words = Vec::new();
    if *CAN_BIND.get_or_init(|| said(Command::new("setpriv").arg("--version")).is_some()) {
        words.extend(["setpriv", "--pdeathsig", signal]);
    }
    if let Some((core, _)) = CORES.get().and_then(Option::as_ref) {
        words.extend(["taskset", "-c", core]);
    }
    match words.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// So many connections, or as many as one process may have here. A hundred files are for the rest.
pub fn at_most(connections: usize) -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(1024_usize);
    connections.min(files.saturating_sub(100))
}
