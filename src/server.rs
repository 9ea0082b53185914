//! The listener: accepts connections within their limit, gives each its hyper task, drives the deadlines of all sessions,
//! and ends everything in order when it is told to.
//!
//! Does not know: routes, sessions, or what is served.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::config::Config;
use crate::gateway::Gateway;
use crate::http::{self, Connection, HttpService, RenderMetrics};
use crate::metrics;
use crate::session::CloseReason;

/// A gateway with its listener, bound and not yet running.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    core: Arc<Core>,
}

/// What every connection needs.
struct Core {
    gateway: Arc<Gateway>,
    service: HttpService,
    http: http1::Builder,
    write_timeout: Duration,
    permits: Arc<Semaphore>,
    max_connections: usize,
    shutdown_grace: Duration,
    stopping: watch::Sender<bool>,
}

/// Why a server could not be started.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address of `listen` cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with `listen` or --listen")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl Server {
    /// Binds the listener of `config` and makes the gateway behind it. `metrics` renders what `metrics_path` shows.
    ///
    /// # Errors
    /// [`ServerError::Bind`] if the address is taken or not ours.
    pub async fn bind(config: &Config, metrics: Option<RenderMetrics>) -> Result<Self, ServerError> {
        let bind = |source| ServerError::Bind { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Self { listener, address, core: Arc::new(Core::new(config, metrics)) })
    }

    /// The address it listens on, with the real port where the configuration said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The gateway behind it.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.core.gateway
    }

    /// Serves until `shutdown` completes; then tells every client, and waits for them for at most `shutdown_grace`.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, core, .. } = self;
        let deadlines = tokio::spawn(drive_deadlines(Arc::clone(&core.gateway)));
        tokio::select! {
            () = accept(&listener, &core) => {}
            () = shutdown => {}
        }
        drop(listener);
        core.stop().await;
        deadlines.abort();
    }

    /// Serves one connection that came from elsewhere than the listener: a pipe in a test, a stream of another program's.
    pub async fn serve_connection(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let connection = Connection::new(io, None, self.core.write_timeout);
        Arc::clone(&self.core).serve(connection).await;
    }

    /// Fires deadlines, for those who use [`serve_connection`](Self::serve_connection) without [`run`](Self::run).
    pub async fn drive_deadlines(&self) {
        drive_deadlines(Arc::clone(&self.core.gateway)).await;
    }
}

impl Core {
    fn new(config: &Config, metrics: Option<RenderMetrics>) -> Self {
        let gateway = Arc::new(Gateway::new(config, http::now()));
        let service = HttpService::new(Arc::clone(&gateway), config.into(), metrics);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(config.http.header_timeout).max_buf_size(config.http.buffer);
        Self {
            gateway,
            service,
            http,
            write_timeout: config.http.write_timeout,
            permits: Arc::new(Semaphore::new(config.http.max_connections)),
            max_connections: config.http.max_connections,
            shutdown_grace: config.shutdown_grace,
            stopping: watch::Sender::new(false),
        }
    }

    async fn serve(self: Arc<Self>, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let mut stopping = self.stopping.subscribe();
        let connection = self.http.serve_connection(TokioIo::new(io), self.service.clone()).with_upgrades();
        let mut connection = pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            _ = stopping.changed() => {
                // Idle connections close, busy ones finish their response.
                connection.as_mut().graceful_shutdown();
                connection.await
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

    /// Closes all sessions, then waits until every connection is gone, websockets included.
    async fn stop(&self) {
        self.gateway.close_all(&CloseReason::Shutdown, http::now());
        self.stopping.send_replace(true);
        let all = u32::try_from(self.max_connections).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(self.shutdown_grace, self.permits.acquire_many(all)).await;
    }
}

async fn accept(listener: &TcpListener, core: &Arc<Core>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: what closes connections needs a moment to run.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&core.permits).try_acquire_owned() else {
            metrics::limit_reached("max_connections");
            refuse(&stream);
            continue;
        };
        // Frames are small and each is flushed when it is due; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        tokio::spawn(Arc::clone(core).serve(Connection::new(stream, Some(permit), core.write_timeout)));
    }
}

/// Tells one client too many, if that can be done without waiting.
fn refuse(stream: &TcpStream) {
    let _ = stream.try_write(
        b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 5\r\n\r\n",
    );
}

/// Sleeps until the next deadline of any session and fires it, for ever.
async fn drive_deadlines(gateway: Arc<Gateway>) {
    let deadlines = Arc::clone(gateway.deadlines());
    let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
    std::future::poll_fn(move |cx| {
        loop {
            gateway.handle_timeout(http::now());
            let Some(next) = deadlines.poll_timeout(cx) else { return Poll::<()>::Pending };
            sleep.as_mut().reset(next.into());
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}
