//! The listeners: accept connections within their limits, give each its task, for HTTP hyper's or for STOMP over TCP; drive
//! the deadlines of all sessions, and end everything in order when told to.
//!
//! Does not know: routes, sessions, or what is served.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::application::{Application, Publisher};
use crate::config::Config;
use crate::connection::Connection;
use crate::gateway::Gateway;
use crate::http::{Body, RenderMetrics};
use crate::metrics;
use crate::mount::{Mount, MountError};
use crate::tcp;

/// Questions that a silent TCP peer leaves unanswered before it counts as gone.
const PROBES: u32 = 6;

/// A gateway with its listeners, bound and not yet running.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    /// For STOMP over TCP, if it is asked for.
    tcp: Option<(TcpListener, SocketAddr)>,
    /// For the API, if it is asked for one of its own.
    api: Option<(TcpListener, SocketAddr)>,
    core: Arc<Core>,
}

/// What every connection needs.
struct Core {
    mount: Mount,
    http: http1::Builder,
    write_timeout: Duration,
    keepalive: Duration,
    http_places: Places,
    tcp_places: Places,
    api_places: Places,
    shutdown_grace: Duration,
    stopping: watch::Sender<bool>,
}

/// How many connections there may be on a port.
struct Places {
    free: Arc<Semaphore>,
    count: usize,
}

/// Why a server could not be started.
#[derive(Debug, Error)]
pub enum ServerError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with {mend}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// The setting and the option that it comes from.
        mend: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The gateway cannot be put together.
    #[error(transparent)]
    Mount(#[from] MountError),
}

impl Server {
    /// Binds the listeners of `config` and makes the gateway behind them. `metrics` renders what `metrics_path` shows.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn bind(config: &Config, metrics: Option<RenderMetrics>) -> Result<Self, ServerError> {
        Self::bind_with(config, Application::new(), metrics).await
    }

    /// The same with an application behind the gateway.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn bind_with(
        config: &Config,
        application: Application,
        metrics: Option<RenderMetrics>,
    ) -> Result<Self, ServerError> {
        let mount = Mount::new(config, application, metrics)?;
        let (listener, address) = bind(config.listen, "`listen` or --listen").await?;
        let tcp = match config.tcp.listen {
            Some(address) => Some(bind(address, "`listen` in [tcp] or --tcp").await?),
            None => None,
        };
        let api = match config.api.listen.filter(|_| mount.api().is_some()) {
            Some(address) => Some(bind(address, "`listen` in [api]").await?),
            None => None,
        };
        Ok(Self { listener, address, tcp, api, core: Arc::new(Core::new(config, mount)) })
    }

    /// The address it listens on for HTTP, with the real port where the configuration said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address it listens on for STOMP over TCP, if it does; with the real port where the configuration said 0.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().map(|(_, address)| *address)
    }

    /// The address it listens on for the API alone, if it does; with the real port where the configuration said 0.
    pub fn api_address(&self) -> Option<SocketAddr> {
        self.api.as_ref().map(|(_, address)| *address)
    }

    /// The gateway behind it.
    pub fn gateway(&self) -> &Arc<Gateway> {
        self.core.mount.gateway()
    }

    /// Sends messages through the gateway from anywhere.
    pub fn publisher(&self) -> Publisher {
        self.core.mount.publisher()
    }

    /// Serves until `shutdown` completes; then tells every client, and waits for them for at most `shutdown_grace`.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, tcp, api, core, .. } = self;
        let driven = Arc::clone(&core);
        let deadlines = tokio::spawn(async move { driven.mount.run().await });
        tokio::select! {
            () = accept(&listener, &core, &core.http_places, core.mount.service()) => {}
            () = accept_tcp(tcp.as_ref(), &core) => {}
            () = accept_api(api.as_ref(), &core) => {}
            () = shutdown => {}
        }
        drop((listener, tcp, api));
        core.stop().await;
        deadlines.abort();
    }

    /// Serves one connection that came from elsewhere than the listener: a pipe in a test, a stream of another program's.
    pub async fn serve_connection(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let connection = Connection::new(io, None, self.core.write_timeout);
        Arc::clone(&self.core).serve(connection, self.core.mount.service()).await;
    }

    /// Serves the API on one connection that came from elsewhere than the listener, if there is an API.
    pub async fn serve_api_connection(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let connection = Connection::new(io, None, self.core.write_timeout);
        if let Some(api) = self.core.mount.api() {
            Arc::clone(&self.core).serve(connection, api).await;
        }
    }

    /// Serves STOMP on one connection that came from elsewhere than the listener. The limit in `[tcp]` counts it, too.
    pub async fn serve_tcp_connection(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let connection = Connection::new(io, None, self.core.write_timeout);
        match tcp::Socket::open(self.gateway()) {
            Ok(socket) => socket.serve(connection).await,
            Err(_) => tcp::refuse(connection).await,
        }
    }

    /// Fires deadlines, for those who use [`serve_connection`](Self::serve_connection) without [`run`](Self::run).
    pub async fn drive_deadlines(&self) {
        self.core.mount.run().await;
    }
}

impl Core {
    fn new(config: &Config, mount: Mount) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(config.http.header_timeout).max_buf_size(config.http.buffer);
        Self {
            mount,
            http,
            write_timeout: config.http.write_timeout,
            keepalive: config.tcp.keepalive,
            http_places: Places::new(config.http.max_connections),
            tcp_places: Places::new(config.tcp.max_connections),
            // As many as for clients, and not theirs: a gateway that is full of them can still be asked about them.
            api_places: Places::new(config.http.max_connections),
            shutdown_grace: config.shutdown_grace,
            stopping: watch::Sender::new(false),
        }
    }

    /// A future of its own making: an `async fn` would keep connection and stream twice over.
    fn serve<S>(
        self: Arc<Self>,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        service: S,
    ) -> impl Future<Output = ()>
    where
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Unpin,
    {
        let mut stopping = self.stopping.subscribe();
        let mut connection = self.http.serve_connection(TokioIo::new(io), service).with_upgrades();
        async move {
            let result = tokio::select! {
                result = &mut connection => result,
                _ = stopping.changed() => {
                    // Idle connections close, busy ones finish their response.
                    Pin::new(&mut connection).graceful_shutdown();
                    (&mut connection).await
                }
            };
            if let Err(error) = result {
                if error.is_parse_too_large() {
                    metrics::limit_reached("buffer");
                } else if error.is_timeout() {
                    metrics::limit_reached("header_timeout");
                }
                // A client that goes away, or speaks no HTTP. Nothing is wrong here.
                tracing::debug!(%error, "connection ended");
            }
        }
    }

    /// Closes all sessions, then waits until every connection is gone, websockets included.
    async fn stop(&self) {
        self.mount.close();
        self.stopping.send_replace(true);
        let ports = [&self.http_places, &self.tcp_places, &self.api_places];
        let all_free = async {
            for places in ports {
                places.all_free().await;
            }
        };
        let all_gone = async { tokio::join!(self.mount.idle(), all_free) };
        let _ = tokio::time::timeout(self.shutdown_grace, all_gone).await;
    }
}

impl Places {
    fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), count }
    }

    fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    async fn all_free(&self) {
        let all = u32::try_from(self.count).unwrap_or(u32::MAX);
        let _ = self.free.acquire_many(all).await;
    }
}

async fn bind(address: SocketAddr, mend: &'static str) -> Result<(TcpListener, SocketAddr), ServerError> {
    let failed = |source| ServerError::Bind { address, mend, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn accept<S>(listener: &TcpListener, core: &Arc<Core>, places: &Places, service: S)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Unpin
        + 'static,
{
    loop {
        let stream = next_stream(listener).await;
        let Some(permit) = places.take() else {
            metrics::limit_reached("max_connections");
            refuse(
                &stream,
                b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 5\r\n\r\n",
            );
            continue;
        };
        tokio::spawn(
            Arc::clone(core).serve(Connection::new(stream, Some(permit), core.write_timeout), service.clone()),
        );
    }
}

/// Never ends; without a listener it does nothing.
async fn accept_tcp(listener: Option<&(TcpListener, SocketAddr)>, core: &Arc<Core>) {
    let Some((listener, _)) = listener else { return std::future::pending().await };
    loop {
        let stream = next_stream(listener).await;
        let Some(permit) = core.tcp_places.take() else {
            metrics::limit_reached("tcp.max_connections");
            refuse(&stream, &tcp::refusal());
            continue;
        };
        keep_alive(&stream, core.keepalive);
        // Opened here and not in the task: whoever was accepted before a shutdown is told of it.
        match tcp::Socket::open(core.mount.gateway()) {
            Ok(socket) => {
                let connection = Connection::new(stream, Some(permit), core.write_timeout);
                tokio::spawn(socket.serve(connection));
            }
            Err(_) => refuse(&stream, &tcp::refusal()),
        }
    }
}

/// Never ends; without a listener it does nothing.
async fn accept_api(listener: Option<&(TcpListener, SocketAddr)>, core: &Arc<Core>) {
    let (Some((listener, _)), Some(api)) = (listener, core.mount.api()) else { return std::future::pending().await };
    accept(listener, core, &core.api_places, api).await;
}

/// The next connection.
async fn next_stream(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Frames are small and each is flushed when it is due; waiting for more to send would only delay them.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                // Out of descriptors, most likely: what closes connections needs a moment to run.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Has the system ask a silent peer for a sign of life. One that has none to give is gone after about twice that time.
fn keep_alive(stream: &TcpStream, after: Duration) {
    if after.is_zero() {
        return;
    }
    // The system counts in seconds.
    let [after, interval] = [after, after / PROBES].map(|time| time.max(Duration::from_secs(1)));
    let probes = TcpKeepalive::new().with_time(after).with_interval(interval);
    let set = SockRef::from(stream).set_tcp_keepalive(&probes.with_retries(PROBES));
    if let Err(error) = set {
        tracing::warn!(%error, "cannot set tcp.keepalive; peers that vanish will be noticed late");
    }
}

/// Tells one client too many, if that can be done without waiting.
fn refuse(stream: &TcpStream, words: &[u8]) {
    let _ = stream.try_write(words);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::Mount;

    /// The task of an HTTP connection, idle or with a poll that waits, apart from what hyper and the answer have in boxes.
    #[test]
    fn the_task_of_a_connection_is_small() {
        let config = Config::default();
        let core = Arc::new(Core::new(&config, Mount::new(&config, Application::default(), None).unwrap()));
        let service = core.mount.service();
        let task = core.serve(Connection::new(tokio::io::empty(), None, Duration::ZERO), service);
        let bytes = size_of_val(&task);
        assert!(bytes <= 1024, "{bytes} bytes");
    }
}
