//! Where transports meet services. A [`Gateway`] holds the endpoints with their registries, the broker, and the deadlines
//! of all sessions; what a transport does to a session, it does through here.
//!
//! Does not know: HTTP, sockets, tasks, or the clock.

mod principal;
mod services;
mod stomp;

use std::sync::Arc;
use std::time::Instant;

use metrics::Counter;

use crate::broker::Broker;
use crate::config::{self, Config};
use crate::metrics as meters;
use crate::session::{
    Attach, Carrier, CloseReason, Deadlines, Departure, Flow, Message, Opened, Protocol, ReceiverId, Registry,
    RegistryFull, Session, Timeout,
};
pub use principal::Principal;
use services::Audience;

/// Everything that runs behind the transports.
pub struct Gateway {
    endpoints: Vec<Arc<Endpoint>>,
    tcp: Tcp,
    broker: Arc<Broker>,
    stomp: Arc<stomp::Service>,
    deadlines: Arc<Deadlines>,
    messages: Counter,
}

/// One configured endpoint: a path, a service, and the sessions on it.
pub struct Endpoint {
    settings: Arc<config::Endpoint>,
    /// The part of them that its sessions hold.
    session: Arc<config::Session>,
    registry: Registry,
    /// Who hears whom, where the service is `broadcast`.
    audience: Arc<Audience>,
}

/// The port for STOMP over plain TCP, and the sessions on it. It is there whether anybody listens or not: connections may come
/// from elsewhere, and an empty registry costs nothing.
pub struct Tcp {
    settings: Arc<config::Tcp>,
    session: Arc<config::Session>,
    registry: Registry,
}

/// The answer to a receiving request.
#[derive(Debug)]
pub enum Receiving {
    /// It is the session's receiver until it [departs](Gateway::depart).
    Attached(Arc<Session>, ReceiverId),
    /// Another receiver is attached.
    Busy,
    /// The session is over; tell this reason and end.
    Closing(CloseReason),
}

impl Gateway {
    /// A gateway with the endpoints of `config`. `now` is where its deadlines start to count.
    pub fn new(config: &Config, now: Instant) -> Self {
        let mut endpoints: Vec<_> =
            config.endpoints.iter().map(|settings| Arc::new(Endpoint::new(settings.clone()))).collect();
        // The longest path first: the first that fits is the one that is meant.
        endpoints.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.settings.path.len()));
        let deadlines = Arc::new(Deadlines::new(now));
        let broker = Broker::new(config, &deadlines);
        Self {
            endpoints,
            tcp: Tcp::new(config.tcp.clone()),
            stomp: Arc::new(stomp::Service::new(config, Arc::clone(&broker))),
            broker,
            deadlines,
            messages: meters::messages_received(),
        }
    }

    /// The broker behind the STOMP endpoints.
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// The deadlines that the driver must wait for, with [`handle_timeout`](Self::handle_timeout).
    pub fn deadlines(&self) -> &Arc<Deadlines> {
        &self.deadlines
    }

    /// All endpoints, the longest path first.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// The port for STOMP over plain TCP.
    pub fn tcp(&self) -> &Tcp {
        &self.tcp
    }

    /// The endpoint that a URL path belongs to, and the rest of the path: empty, or beginning with a slash.
    pub fn endpoint<'p>(&self, path: &'p str) -> Option<(&Arc<Endpoint>, &'p str)> {
        self.endpoints.iter().find_map(|endpoint| {
            let rest = path.strip_prefix(endpoint.settings.path.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some((endpoint, rest))
        })
    }

    /// A receiving request over HTTP: finds or makes the session and attaches to it.
    ///
    /// # Errors
    /// [`RegistryFull`] if the session would be new and the endpoint is full.
    pub fn attach(
        &self,
        endpoint: &Arc<Endpoint>,
        id: &str,
        transport: &'static str,
        now: Instant,
    ) -> Result<Receiving, RegistryFull> {
        let opened =
            endpoint.registry.open(id, now, || self.new_session(endpoint, id, Carrier::Http, transport, now))?;
        let (session, new) = match opened {
            Opened::Existing(session) => (session, false),
            Opened::New(session) => (session, true),
            Opened::Tombstone => return Ok(Receiving::Closing(CloseReason::Interrupted)),
        };
        let attach = session.attach(now);
        if new {
            // Even if another request found the session first and attached to it.
            session.opened(now);
        }
        Ok(match attach {
            Attach::Attached(receiver) => Receiving::Attached(session, receiver),
            Attach::Busy => Receiving::Busy,
            Attach::Closing(reason) => Receiving::Closing(reason),
        })
    }

    /// The session of a websocket that has just been opened, with its one receiver attached.
    ///
    /// # Errors
    /// [`RegistryFull`] if the endpoint is full.
    pub fn open_socket(
        &self,
        endpoint: &Arc<Endpoint>,
        carrier: Carrier,
        transport: &'static str,
        now: Instant,
    ) -> Result<(Arc<Session>, ReceiverId), RegistryFull> {
        let session = endpoint.registry.add_socket(|| self.new_session(endpoint, "", carrier, transport, now))?;
        Ok(Self::open_first(session, now))
    }

    /// The session of a TCP connection that has just been accepted, with its one receiver attached.
    ///
    /// # Errors
    /// [`RegistryFull`] if there are as many as may be.
    pub fn open_tcp(&self, now: Instant) -> Result<(Arc<Session>, ReceiverId), RegistryFull> {
        let session = self.tcp.registry.add_socket(|| {
            let carrier = Carrier::Tcp;
            meters::session_opened("tcp", config::Service::Stomp.name());
            let protocol = self.stomp(carrier, now);
            let settings = Arc::clone(&self.tcp.session);
            let session = Session::new("", carrier, settings, Arc::clone(&self.deadlines), protocol, now);
            tracing::debug!(session = session.serial(), transport = "tcp", "session opened");
            session
        })?;
        Ok(Self::open_first(session, now))
    }

    /// The live session of that id, for a sending request.
    pub fn find(&self, endpoint: &Endpoint, id: &str) -> Option<Arc<Session>> {
        endpoint.registry.find(id).filter(|session| session.is_open())
    }

    /// Messages from a client, in order.
    pub fn receive(&self, session: &Arc<Session>, messages: Vec<Message>, now: Instant) -> Flow {
        self.messages.increment(messages.len() as u64);
        session.receive(messages, now)
    }

    /// Goes on with a client after a [`Flow::Pause`].
    pub fn resume(&self, session: &Arc<Session>, now: Instant) -> Flow {
        session.resume(now)
    }

    /// A receiver leaves; a session that ended by it is forgotten, but for its tombstone.
    pub fn depart(
        &self,
        endpoint: &Endpoint,
        session: &Arc<Session>,
        receiver: ReceiverId,
        how: Departure,
        now: Instant,
    ) {
        if session.depart(receiver, how, now) {
            endpoint.registry.remove(session, now);
        }
    }

    /// The socket of a session is gone.
    pub fn socket_closed(&self, endpoint: &Endpoint, session: &Arc<Session>, reason: CloseReason, now: Instant) {
        session.abandon(reason, now);
        endpoint.registry.remove(session, now);
    }

    /// The TCP connection of a session is gone, or of no further use to it.
    pub fn tcp_closed(&self, session: &Arc<Session>, reason: CloseReason, now: Instant) {
        session.abandon(reason, now);
        self.tcp.registry.remove(session, now);
    }

    /// Fires the deadlines that have come.
    pub fn handle_timeout(&self, now: Instant) {
        self.broker.handle_timeout(now);
        for session in self.deadlines.expired(now) {
            if session.handle_timeout(now) == Timeout::Over
                && let Some(registry) = self.registry(&session)
            {
                registry.remove(&session, now);
            }
        }
    }

    /// Ends every session, telling its client why.
    pub fn close_all(&self, reason: &CloseReason, now: Instant) {
        for registry in self.registries() {
            for session in registry.sessions() {
                session.close_politely(reason.clone(), now);
            }
        }
    }

    fn registries(&self) -> impl Iterator<Item = &Registry> {
        self.endpoints.iter().map(|endpoint| &endpoint.registry).chain([&self.tcp.registry])
    }

    /// Where a session is listed.
    fn registry(&self, session: &Session) -> Option<&Registry> {
        if session.carrier() == Carrier::Tcp {
            return Some(&self.tcp.registry);
        }
        let endpoint = self.endpoints.iter().find(|own| Arc::ptr_eq(&own.session, session.settings()));
        endpoint.map(|endpoint| &endpoint.registry)
    }

    fn open_first(session: Arc<Session>, now: Instant) -> (Arc<Session>, ReceiverId) {
        let receiver = session.attach_first(now);
        session.opened(now);
        (session, receiver)
    }

    fn new_session(
        &self,
        endpoint: &Arc<Endpoint>,
        id: &str,
        carrier: Carrier,
        transport: &'static str,
        now: Instant,
    ) -> Arc<Session> {
        meters::session_opened(transport, endpoint.settings.service.name());
        let protocol = self.protocol(endpoint, carrier, now);
        let settings = Arc::clone(&endpoint.session);
        let session = Session::new(id, carrier, settings, Arc::clone(&self.deadlines), protocol, now);
        tracing::debug!(session = session.serial(), transport, endpoint = endpoint.settings.path, "session opened");
        session
    }

    fn protocol(&self, endpoint: &Endpoint, carrier: Carrier, now: Instant) -> Box<dyn Protocol> {
        match endpoint.settings.service {
            config::Service::Stomp => self.stomp(carrier, now),
            config::Service::Echo => Box::new(services::Echo),
            config::Service::Close => Box::new(services::Close),
            config::Service::Amplify => Box::new(services::Amplify),
            config::Service::Ticker => Box::new(services::Ticker::default()),
            config::Service::Broadcast => Box::new(services::Broadcast::new(Arc::clone(&endpoint.audience))),
            config::Service::Farewell => Box::new(services::Farewell),
        }
    }

    fn stomp(&self, carrier: Carrier, now: Instant) -> Box<dyn Protocol> {
        Box::new(stomp::Stomp::new(Arc::clone(&self.stomp), carrier, now))
    }
}

impl Endpoint {
    fn new(settings: config::Endpoint) -> Self {
        Self {
            registry: Registry::new(settings.max_sessions, settings.tombstones, settings.tombstone_ttl),
            session: Arc::new(settings.session()),
            settings: Arc::new(settings),
            audience: Arc::default(),
        }
    }

    /// The endpoint's configuration.
    pub fn settings(&self) -> &Arc<config::Endpoint> {
        &self.settings
    }

    /// The endpoint's sessions.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl Tcp {
    fn new(settings: config::Tcp) -> Self {
        Self {
            registry: Registry::of_connections(settings.max_connections, "tcp.max_connections"),
            session: Arc::new(settings.session()),
            settings: Arc::new(settings),
        }
    }

    /// Its configuration.
    pub fn settings(&self) -> &Arc<config::Tcp> {
        &self.settings
    }

    /// The sessions over TCP.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}
