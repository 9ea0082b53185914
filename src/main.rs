//! The `towpath` command.

#![forbid(unsafe_code)]

mod commands;

/// It costs a delivery less than the system's allocator does, and an idle session no more; docs/performance.md has the figures.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::runtime::{Builder, Runtime};
use towpath::config::{Config, Service};
use towpath::http::RenderMetrics;
use towpath::server::Server;
use tracing_subscriber::EnvFilter;

/// SockJS and STOMP for every browser: websocket where it works, the right fallback where it does not.
#[derive(Debug, Parser)]
#[command(name = "towpath", version, about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Subcommands>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Run the gateway (what happens without a subcommand, too).
    Serve(Serve),
    /// Read a configuration, say what is wrong with it or what it changes, and run nothing.
    Check {
        /// The TOML file.
        file: PathBuf,
    },
    /// Write a configuration to begin with, with comments and fresh secrets.
    Init(commands::init::Target),
    /// Read a password from standard input and print its hash for a [[user]].
    HashPassword,
    /// Say what the rules of a configuration make of one frame of one client, and why.
    Explain(commands::explain::Question),
    /// Check anyone's SockJS or STOMP server against the rules of these protocols.
    #[command(subcommand)]
    Conformance(commands::conformance::Suite),
    /// Look at what stands between here and a SockJS server, and say what mends it.
    Doctor(commands::doctor::Patient),
    /// Put an honest load on a SockJS or STOMP server, and say what it took and whether all came once and in order.
    Bench(Box<commands::bench::Order>),
}

#[derive(Debug, Args)]
struct Serve {
    /// Read the configuration from this TOML file; without it the built-in defaults hold.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here instead of where the configuration says; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Also speak STOMP over plain TCP here, for backends; 127.0.0.1:61613 is the usual place.
    #[arg(long, value_name = "ADDR")]
    tcp: Option<SocketAddr>,
    /// Also offer /echo, /close, /amplify, /ticker, /broadcast and the others that SockJS test suites expect.
    #[arg(long)]
    test_services: bool,
    /// The SockJS client script that the iframe pages of all endpoints load.
    #[arg(long, value_name = "URL")]
    client_url: Option<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Subcommands::Check { file }) => commands::check::run(&file),
        Some(Subcommands::Init(target)) => commands::init::run(&target),
        Some(Subcommands::HashPassword) => commands::hash_password::run(),
        Some(Subcommands::Explain(question)) => return commands::explain::run(&question),
        Some(Subcommands::Conformance(suite)) => return commands::conformance::run(&suite),
        Some(Subcommands::Doctor(patient)) => return commands::doctor::run(&patient),
        Some(Subcommands::Bench(order)) => return commands::bench::run(&order),
        Some(Subcommands::Serve(serve)) => run(&serve),
        None => run(&cli.serve),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("towpath: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(serve: &Serve) -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let config = configuration(serve)?;
    runtime()?.block_on(async {
        // The recorder comes first: counters that are made before it would count for nobody.
        let metrics = match &config.metrics_path {
            Some(_) => Some(recorder()?),
            None => None,
        };
        let server = Server::bind(&config, metrics).await?;
        welcome(&config, server.address(), server.tcp_address(), server.api_address())?;
        server.run(stop_signal()).await;
        Ok(())
    })
}

/// Steps of tasks after which the runtime asks the system for new input: as many as it is told of at once. With tokio's 61 it is told of
/// more before it is through, and whoever waits longest comes last.
const STEPS_PER_LOOK: u32 = 1024;

/// The runtime of the gateway. On a single core one thread does everything: without others to hand work to it is cheaper.
/// docs/performance.md has the figures, and those of fairness under full load.
fn runtime() -> io::Result<Runtime> {
    let is_alone = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut builder = if is_alone { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.event_interval(STEPS_PER_LOOK).enable_all().build()
}

/// What is logged: what `TOWPATH_LOG` says, but never whole websocket frames, which the library would show at `trace`: there
/// are credentials in them.
fn filter() -> EnvFilter {
    let asked = EnvFilter::try_from_env("TOWPATH_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    ["tungstenite=info", "tokio_tungstenite=info"]
        .into_iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(asked, EnvFilter::add_directive)
}

/// Records metrics from now on, and renders them.
fn recorder() -> Result<RenderMetrics, Box<dyn std::error::Error>> {
    let handle = PrometheusBuilder::new().install_recorder()?;
    towpath::metrics::describe();
    Ok(Arc::new(move || handle.render()))
}

fn configuration(serve: &Serve) -> Result<Config, Box<dyn std::error::Error>> {
    let mut config = Config::load_with(serve.config.as_deref(), commands::environment()?)?;
    if let Some(listen) = serve.listen {
        config.listen = listen;
    }
    if let Some(tcp) = serve.tcp {
        config.tcp.listen = Some(tcp);
    }
    if let Some(url) = &serve.client_url {
        for endpoint in &mut config.endpoints {
            endpoint.client_url.clone_from(url);
        }
    }
    if serve.test_services {
        config.add_test_services(serve.client_url.as_deref());
    }
    config.validate()?;
    Ok(config)
}

/// Says where everything is and what to try next.
fn welcome(config: &Config, address: SocketAddr, tcp: Option<SocketAddr>, api: Option<SocketAddr>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "towpath {} listens on {address}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out)?;
    if config.landing_page {
        writeln!(out, "  open in a browser  http://{address}/")?;
    }
    for endpoint in &config.endpoints {
        let path = &endpoint.path;
        match endpoint.service {
            Service::Stomp => {
                writeln!(out, "  SockJS + STOMP     http://{address}{path}")?;
                writeln!(out, "  STOMP websocket    ws://{address}{path}")?;
            }
            service => writeln!(out, "  SockJS {:11} http://{address}{path}", service.name())?,
        }
    }
    if let Some(tcp) = tcp {
        writeln!(out, "  STOMP over TCP     tcp://{tcp}")?;
    }
    if config.api.token.is_some() {
        writeln!(out, "  HTTP API           http://{}{}", api.unwrap_or(address), config.api.path)?;
    }
    if let Some(path) = &config.metrics_path {
        writeln!(out, "  metrics            http://{address}{path}")?;
    }
    writeln!(out)?;
    writeln!(out, "Next: open the page, or point a STOMP client at the endpoint and use /topic/anything.")?;
    writeln!(out, "Ctrl-C stops; towpath --help has the rest.")?;
    out.flush()
}

/// Completes on Ctrl-C, and on SIGTERM where there is one.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
