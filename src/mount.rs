//! A gateway put together: configuration and application in, an HTTP service out, for whoever has connections to serve. The
//! towpath server is one of these; a program that has a server already mounts the service in it.
//!
//! ```no_run
//! use towpath::{application::Application, config::Config, mount::Mount};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mount = Mount::new(&Config::default(), Application::new(), None)?;
//! // A hyper service, and a tower service too: hand it to hyper, to axum's `fallback_service`, to a router.
//! let service = mount.service();
//! // Time-outs and heart-beats are driven by one task.
//! tokio::spawn(mount.run());
//! # Ok(())
//! # }
//! ```
//!
//! Does not know: listeners, connections and their limits.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use thiserror::Error;

use crate::application::{Application, Publisher, Runner};
use crate::auth::{Authenticator, Vouched, Voucher, Vouching};
use crate::bridge::Bridges;
use crate::config::{Config, ConfigError, Endpoint, Service};
use crate::connection::now;
use crate::gateway::{Gateway, Tickets, Upstreams, Wiring};
use crate::http::{Api, ApiService, HttpService, RenderMetrics};
use crate::session::CloseReason;
use crate::webhook::{WebhookError, Webhooks};

/// A gateway with its HTTP service.
pub struct Mount {
    service: HttpService,
    api: Option<Arc<Api>>,
    publisher: Publisher,
    runner: Arc<Runner>,
    bridges: Arc<Bridges>,
}

/// Why a gateway cannot be put together.
#[derive(Debug, Error)]
pub enum MountError {
    /// What clients are to prove themselves by is not usable.
    #[error(transparent)]
    Auth(#[from] ConfigError),
    /// A backend cannot be asked.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// A handler's pattern lies below none of the application's prefixes.
    #[error(
        "no message comes to the handler of {pattern:?}; begin its pattern with one of `prefixes` in [application]: {prefixes}"
    )]
    Handler {
        /// The pattern.
        pattern: String,
        /// The prefixes.
        prefixes: String,
    },
    /// An endpoint is for the application to serve, and it does not.
    #[error(
        "nothing serves {0:?}; that endpoint's service is \"application\", which a program brings along by `Application::serve`"
    )]
    NotServed(String),
    /// The application serves a path where there is no endpoint for it.
    #[error("no session comes to what serves {0:?}; add an [[endpoint]] of that path with service = \"application\"")]
    NoEndpoint(String),
}

impl Mount {
    /// Puts a gateway together. `metrics` renders what `metrics_path` shows. A configuration that no file was read for should have
    /// passed [`Config::validate`].
    ///
    /// # Errors
    /// See [`MountError`].
    pub fn new(config: &Config, application: Application, metrics: Option<RenderMetrics>) -> Result<Self, MountError> {
        let own = |pattern: &&str| !config.application.owns(pattern);
        if let Some(pattern) = application.patterns().find(own) {
            let prefixes = config.application.prefixes.join(", ");
            return Err(MountError::Handler { pattern: pattern.to_owned(), prefixes });
        }
        let for_it = |path: &str| {
            config.endpoints.iter().any(|endpoint| endpoint.path == path && endpoint.service == Service::Application)
        };
        if let Some(path) = application.paths().find(|path| !for_it(path)) {
            return Err(MountError::NoEndpoint(path.to_owned()));
        }
        let idle = |endpoint: &&Endpoint| {
            endpoint.service == Service::Application && !application.paths().any(|path| path == endpoint.path)
        };
        if let Some(endpoint) = config.endpoints.iter().find(idle) {
            return Err(MountError::NotServed(endpoint.path.clone()));
        }
        let webhooks = Arc::new(Webhooks::new(config)?);
        let tickets = Arc::new(Tickets::new(config.auth.ticket_ttl, config.auth.max_tickets));
        let voucher = Vouchers::of(config, &webhooks);
        let authenticator = Arc::new(Authenticator::new(config, Arc::clone(&tickets), voucher)?);
        let publisher = application.publisher();
        let runner = Arc::new(Runner::new(config, application, Arc::clone(&authenticator), webhooks));
        let bridges = Arc::new(Bridges::new(config));
        let upstreams: Arc<dyn Upstreams> = Arc::clone(&bridges) as _;
        let wiring = Wiring { tickets: Some(tickets), upstreams: Some(upstreams), ..Arc::clone(&runner).wiring() };
        let gateway = Arc::new(Gateway::with(config, wiring, now()));
        publisher.open(&gateway);
        let api = Api::new(Arc::clone(&gateway), config).map(Arc::new);
        let beside = api.clone().filter(|_| config.api.listen.is_none());
        let service = HttpService::new(gateway, config.into(), metrics).knowing(authenticator).with_api(beside);
        Ok(Self { service, api, publisher, runner, bridges })
    }

    /// The service. All clones are one gateway.
    pub fn service(&self) -> HttpService {
        self.service.clone()
    }

    /// The HTTP API alone, if `api.token` is set, for a listener of its own. The [`service`](Self::service) has it, too, unless
    /// `api.listen` is set.
    pub fn api(&self) -> Option<ApiService> {
        self.api.clone().map(ApiService::new)
    }

    /// The gateway behind it.
    pub fn gateway(&self) -> &Arc<Gateway> {
        self.service.gateway()
    }

    /// Sends messages through the gateway from anywhere.
    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }

    /// Fires the deadlines of all sessions, for ever. Without it nothing times out and no heart-beat goes out. What it gives is to
    /// be spawned, and needs nothing of this afterwards.
    pub fn run(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let gateway = Arc::clone(self.gateway());
        async move {
            let deadlines = Arc::clone(gateway.deadlines());
            let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
            std::future::poll_fn(move |cx| {
                loop {
                    gateway.handle_timeout(now());
                    let Some(next) = deadlines.poll_timeout(cx) else { return Poll::<()>::Pending };
                    sleep.as_mut().reset(next.into());
                    if sleep.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            })
            .await;
        }
    }

    /// Ends all sessions and tells their clients that the gateway goes down.
    pub fn close(&self) {
        self.gateway().close_all(&CloseReason::Shutdown, now());
    }

    /// Waits for the calls of handlers and backends under way, whose messages were accepted, and until the servers behind bridges
    /// have been told; for as long as that takes.
    pub async fn idle(&self) {
        tokio::join!(self.runner.idle(), self.bridges.all_gone());
    }
}

impl std::fmt::Debug for Mount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mount").field("service", &self.service).finish_non_exhaustive()
    }
}

/// The backend of `auth.webhook` as the authenticator asks it.
struct Vouchers {
    webhooks: Arc<Webhooks>,
    url: String,
}

impl Vouchers {
    fn of(config: &Config, webhooks: &Arc<Webhooks>) -> Option<Arc<dyn Voucher>> {
        let url = config.auth.webhook.clone()?;
        Some(Arc::new(Self { webhooks: Arc::clone(webhooks), url }))
    }
}

impl Voucher for Vouchers {
    fn ask<'a>(&'a self, login: Option<&'a str>, passcode: &'a str) -> Vouching<'a> {
        Box::pin(async move {
            let known = self.webhooks.authenticate(&self.url, login, Some(passcode)).await;
            let known = known.map_err(|failure| failure.message)?;
            Ok(known.map(|known| Vouched { user: known.user, claims: known.claims, expires_in: known.expires_in }))
        })
    }
}
