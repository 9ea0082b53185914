//! A gateway for one test. [`Gateway::start`] listens on a port of its own and is as real as it gets;
//! [`Gateway::in_memory`] is the same server over pipes, for tests under `#[tokio::test(start_paused = true)]`: there 25
//! seconds pass at once when nobody has anything else to do, and never otherwise.
//!
//! Does not know: HTTP, SockJS.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use towpath::application::Application;
use towpath::config::{AllowedOrigins, Config, Endpoint, Service};
use towpath::server::Server;

use super::{Http, Request, Response, within};

/// How much a pipe of [`Gateway::in_memory`] holds, about as much as a socket does.
pub const PIPE: usize = 64 * 1024;

/// A running gateway. It stops when this is dropped.
pub struct Gateway {
    connector: Connector,
    core: Arc<towpath::gateway::Gateway>,
    address: SocketAddr,
    api: Option<SocketAddr>,
    shutdown: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
}

/// Opens connections to a gateway; cheap to clone and good for other tasks.
#[derive(Clone)]
pub enum Connector {
    /// To its port, or to the one for STOMP over TCP if it has that.
    Tcp(SocketAddr, Option<SocketAddr>),
    /// Through pipes.
    Memory(Arc<Server>),
}

/// One end of a connection.
pub enum Stream {
    /// A socket.
    Tcp(TcpStream),
    /// A pipe.
    Memory(DuplexStream),
}

/// The configuration of `towpath serve --test-services`, with the STOMP endpoint it always has.
pub fn test_services() -> Config {
    let mut config = Config::default();
    config.add_test_services(None);
    config
}

/// An echo endpoint at `/echo` for any origin, to be changed and handed to [`serving`].
pub fn echo() -> Endpoint {
    let path = "/echo".to_owned();
    Endpoint { path, service: Service::Echo, allowed_origins: AllowedOrigins::Any, ..Endpoint::default() }
}

/// A configuration with exactly these endpoints.
pub fn serving(endpoints: impl IntoIterator<Item = Endpoint>) -> Config {
    Config { endpoints: endpoints.into_iter().collect(), ..Config::default() }
}

impl Gateway {
    /// A gateway on a TCP port of its own, in the current runtime.
    pub async fn start(config: Config) -> Self {
        Self::start_with(config, Application::new()).await
    }

    /// The same with an application behind it.
    pub async fn start_with(config: Config, application: Application) -> Self {
        let server = bind(config, application).await;
        let (core, address, api) = (Arc::clone(server.gateway()), server.address(), server.api_address());
        let connector = Connector::Tcp(address, server.tcp_address());
        let (shutdown, told) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async move {
            let _ = told.await;
        }));
        Self { connector, core, address, api, shutdown: Some(shutdown), running: Some(running) }
    }

    /// A gateway without a port, in the current runtime. Connections are pipes, and the clock may be a paused one.
    pub async fn in_memory(config: Config) -> Self {
        Self::in_memory_with(config, Application::new()).await
    }

    /// The same with an application behind it.
    pub async fn in_memory_with(config: Config, application: Application) -> Self {
        let server = Arc::new(bind(config, application).await);
        let (core, address) = (Arc::clone(server.gateway()), server.address());
        let driven = Arc::clone(&server);
        let running = tokio::spawn(async move { driven.drive_deadlines().await });
        let connector = Connector::Memory(server);
        Self { connector, core, address, api: None, shutdown: None, running: Some(running) }
    }

    /// What opens connections to it.
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// A new connection.
    pub async fn connect(&self) -> Stream {
        self.connector.connect().await
    }

    /// A new connection to speak STOMP on without anything around it.
    pub async fn connect_stomp(&self) -> Stream {
        self.connector.connect_stomp_through(PIPE).await
    }

    /// A new connection to speak HTTP on.
    pub async fn http(&self) -> Http {
        Http::new(self.connect().await)
    }

    /// Sends one request on a connection of its own and reads the whole answer.
    pub async fn request(&self, request: Request) -> Response {
        self.http().await.exchange(&request).await
    }

    /// Sends one request on a connection of its own and reads the head of the answer; its chunks are to be read from the
    /// connection.
    pub async fn open(&self, request: Request) -> (Response, Http) {
        let mut http = self.http().await;
        http.send(&request).await;
        let head = http.head().await;
        (head, http)
    }

    /// A new connection to the port that has the API alone.
    pub async fn api(&self) -> Http {
        match &self.connector {
            Connector::Tcp(..) => Http::new(Stream::dial(self.api.expect("the configuration has api.listen")).await),
            Connector::Memory(server) => {
                let (near, far) = tokio::io::duplex(PIPE);
                let server = Arc::clone(server);
                tokio::spawn(async move { server.serve_api_connection(far).await });
                Http::new(Stream::Memory(near))
            }
        }
    }

    /// The synchronous gateway behind it, to look at registries and the broker.
    pub fn core(&self) -> &Arc<towpath::gateway::Gateway> {
        &self.core
    }

    /// Live sessions and tombstones of the endpoint at `path`.
    pub fn sessions(&self, path: &str) -> (usize, usize) {
        let (endpoint, rest) = self.core.endpoint(path).expect("the endpoint is configured");
        assert_eq!(rest, "", "{path} is an endpoint's own path");
        endpoint.registry().len()
    }

    /// The address it was bound to; in memory nobody accepts connections there.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins the orderly shutdown of a gateway on TCP. Wait for its end with [`stopped`](Self::stopped).
    pub fn stop(&mut self) {
        self.shutdown.take().expect("runs on TCP and was not stopped before").send(()).expect("it runs");
    }

    /// Waits until the orderly shutdown is complete.
    pub async fn stopped(mut self) {
        let running = self.running.take().expect("it is waited for once");
        within(Duration::from_secs(20), "the gateway to stop", running).await.expect("it did not panic");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

impl Connector {
    /// A new connection.
    pub async fn connect(&self) -> Stream {
        self.connect_through(PIPE).await
    }

    /// A new connection; if it is a pipe, one that holds `bytes` each way before a writer has to wait.
    pub async fn connect_through(&self, bytes: usize) -> Stream {
        match self {
            Self::Tcp(address, _) => Stream::dial(*address).await,
            Self::Memory(server) => {
                let (near, far) = tokio::io::duplex(bytes);
                let server = Arc::clone(server);
                tokio::spawn(async move { server.serve_connection(far).await });
                Stream::Memory(near)
            }
        }
    }

    /// A new connection to the port for STOMP over TCP; if it is a pipe, one that holds `bytes` each way.
    pub async fn connect_stomp_through(&self, bytes: usize) -> Stream {
        match self {
            Self::Tcp(_, address) => Stream::dial(address.expect("the test's configuration has tcp.listen")).await,
            Self::Memory(server) => {
                let (near, far) = tokio::io::duplex(bytes);
                let server = Arc::clone(server);
                tokio::spawn(async move { server.serve_tcp_connection(far).await });
                Stream::Memory(near)
            }
        }
    }
}

impl Stream {
    async fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        // Tests send small pieces and wait for what they cause.
        stream.set_nodelay(true).expect("the socket is open");
        Self::Tcp(stream)
    }

    /// How long to wait for anything on this connection before the test has failed: a while of real time, or of virtual time
    /// longer than whatever is to happen by itself.
    pub fn patience(&self) -> Duration {
        match self {
            Self::Tcp(_) => Duration::from_secs(20),
            Self::Memory(_) => Duration::from_secs(3600),
        }
    }

    /// Ends the connection the rude way: with a reset where it is TCP.
    pub fn reset(self) {
        if let Self::Tcp(stream) = &self {
            stream.set_zero_linger().expect("the socket is open");
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Memory(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

async fn bind(mut config: Config, application: Application) -> Server {
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.validate().expect("the test's configuration is valid");
    Server::bind_with(&config, application, None).await.expect("the system has a free port")
}
