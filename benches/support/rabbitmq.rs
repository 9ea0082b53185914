//! RabbitMQ as Debian installs it, with its STOMP plugin: a node of its own for the bench, in a directory of its own, on free
//! ports of the loopback interface. It ends with the bench, however that ends.
//!
//! Does not know: what is sent to it.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Outcome;
use super::client::Link;
use super::server::{Server, pinned};

/// The start script behind Debian's wrapper, which would change the user and read the settings of the machine's own broker.
const SCRIPT: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// Runs a program that the system ends when its parent has ended, even if that had no time to do it itself.
const BOUND: &str = "setpriv";
const TO_US: [&str; 2] = ["--pdeathsig", "KILL"];

/// The longest that a node may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running node.
#[derive(Debug)]
pub struct RabbitMq {
    /// What is measured.
    pub server: Server,
    /// What it calls itself, with its version.
    pub name: String,
    // Dropped in this order: the node first, then what it needs.
    _port_mapper: Helper,
    _home: Home,
}

impl RabbitMq {
    /// Starts a node and waits until it speaks STOMP. `None` if there is none to start.
    pub async fn start() -> Outcome<Option<Self>> {
        if !Path::new(SCRIPT).exists() {
            return Ok(None);
        }
        let home = Home::new()?;
        let (stomp, mapper, distribution) = (free_port()?, free_port()?, free_port()?);
        let address = SocketAddr::from(([127, 0, 0, 1], stomp));
        home.write("rabbitmq.conf", &format!("listeners.tcp = none\nstomp.listeners.tcp.1 = {address}\n"))?;
        home.write("enabled_plugins", "[rabbitmq_stomp].\n")?;
        home.write("environment", "")?;

        // Erlang nodes find each other by it. Ours would start one by itself, and leave it behind.
        let mut port_mapper = Command::new(BOUND);
        port_mapper.args(TO_US).args(["epmd", "-port", &mapper.to_string(), "-address", "127.0.0.1"]);
        let port_mapper = Helper(silent(&mut port_mapper).spawn()?);

        let mut node = pinned(BOUND);
        node.args(TO_US)
            .arg(SCRIPT)
            .env("HOME", home.path(""))
            // Else the script stays as its parent, and would have to be asked to end it.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("RABBITMQ_NODENAME", format!("towpath-bench-{}@localhost", std::process::id()))
            .env("RABBITMQ_CONF_ENV_FILE", home.path("environment"))
            .env("RABBITMQ_CONFIG_FILE", home.path("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.path("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", home.path("mnesia"))
            .env("RABBITMQ_LOG_BASE", home.path("log"))
            .env("RABBITMQ_PID_FILE", home.path("pid"))
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("ERL_EPMD_PORT", mapper.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
            );
        let server = Server::running(silent(&mut node).spawn()?, address);
        let name = introduced(address).await?;
        Ok(Some(Self { server, name, _port_mapper: port_mapper, _home: home }))
    }
}

/// Asks until somebody answers there, and gives the answer's `server` header.
async fn introduced(address: SocketAddr) -> Outcome<String> {
    let begin = Instant::now();
    loop {
        match Link::open(address).await {
            Ok(mut link) => {
                let connected = link.ask(super::CONNECT, "CONNECTED").await?;
                let server = connected.lines().find_map(|line| line.strip_prefix("server:"));
                return Ok(server.unwrap_or("RabbitMQ").to_owned());
            }
            Err(_) if begin.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(200)).await,
            Err(error) => return Err(format!("RabbitMQ does not come up: {error}").into()),
        }
    }
}

fn silent(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// A port that nobody had just now.
fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A process that ends with this.
#[derive(Debug)]
struct Helper(Child);

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory that goes with this.
#[derive(Debug)]
struct Home(PathBuf);

impl Home {
    fn new() -> Outcome<Self> {
        let home = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rabbitmq-{}", std::process::id())));
        fs::create_dir_all(&home.0)?;
        Ok(home)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> Outcome<()> {
        Ok(fs::write(self.path(name), text)?)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
