//! Where transports meet services. A [`Gateway`] holds the endpoints with their registries, the broker, and the deadlines
//! of all sessions; what a transport does to a session, it does through here.
//!
//! Does not know: HTTP, sockets, tasks, or the clock.

mod answers;
mod authority;
mod bridge;
mod caller;
mod calls;
mod clients;
mod custom;
mod guarded;
mod interceptors;
mod principal;
mod routes;
mod services;
mod stomp;
mod tickets;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use metrics::Counter;

use crate::broker::{Broker, Reach};
use crate::config::{self, Config};
use crate::metrics as meters;
use crate::session::{
    Attach, Carrier, CloseReason, Deadlines, Departure, Flow, Message, Name, Opened, Protocol, ReceiverId, Registry,
    RegistryFull, Session, Timeout,
};
pub use answers::{Answer, Failure, Gravity, NotPublished, Outgoing, Reply};
pub use authority::{Authority, Because, Decision, explain};
pub use bridge::{Handshake, Joint, Parted, Taken, Unjoined, Upstreams};
pub use caller::Caller;
pub use calls::{Backend, Call, Connecting, Credentials, Incoming, Outcome, Question};
pub use clients::{Client, Clients};
pub use custom::Factory;
pub use interceptors::{Event, Hooks, Inbound, Interceptor, Listener, Outbound, Pass};
pub use principal::{Principal, Ticket, Visitor};
pub use routes::{RouteError, Routes, Variables};
pub use stomp::Asks;
pub use tickets::{Tickets, TooMany};

use custom::Custom;
use guarded::Guarded;
use services::Audience;

/// Everything that runs behind the transports.
pub struct Gateway {
    endpoints: Vec<Arc<Endpoint>>,
    tcp: Tcp,
    broker: Arc<Broker>,
    stomp: Arc<stomp::Service>,
    tickets: Arc<Tickets>,
    deadlines: Arc<Deadlines>,
    upstreams: Option<Arc<dyn Upstreams>>,
    messages: Counter,
}

/// One configured endpoint: a path, a service, and the sessions on it.
pub struct Endpoint {
    settings: Arc<config::Endpoint>,
    /// The part of them that its sessions hold.
    session: Arc<config::Session>,
    /// Its path, for those who are told where a client comes from.
    name: Arc<str>,
    registry: Registry,
    /// Who hears whom, where the service is `broadcast`.
    audience: Arc<Audience>,
    /// What makes the protocol of its sessions, where the service is `application`.
    factory: Option<Factory>,
}

/// The port for STOMP over plain TCP, and the sessions on it. It is there whether anybody listens or not: connections may come
/// from elsewhere, and an empty registry costs nothing.
pub struct Tcp {
    settings: Arc<config::Tcp>,
    session: Arc<config::Session>,
    /// Empty, where endpoints have their path.
    name: Arc<str>,
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
    /// The session is somebody else's.
    Foreign,
}

/// What an application and those who know its users bring along.
#[derive(Clone, Default)]
pub struct Wiring {
    /// Interceptors and listeners.
    pub hooks: Hooks,
    /// Who answers what the core cannot, if anybody does.
    pub backend: Option<Arc<dyn Backend>>,
    /// What the backend is asked about besides messages for the application.
    pub asks: Asks,
    /// What the application serves itself, by the path of the endpoint.
    pub services: HashMap<Box<str>, Factory>,
    /// Who reaches the websocket servers behind bridges, if anybody does.
    pub upstreams: Option<Arc<dyn Upstreams>>,
    /// The tickets that whoever looks at requests knows, too. None: nobody issues any.
    pub tickets: Option<Arc<Tickets>>,
}

impl Gateway {
    /// A gateway with the endpoints of `config` and no application. `now` is where its deadlines start to count.
    pub fn new(config: &Config, now: Instant) -> Self {
        Self::with(config, Wiring::default(), now)
    }

    /// The same with an application behind it.
    pub fn with(config: &Config, wiring: Wiring, now: Instant) -> Self {
        let mut endpoints: Vec<_> =
            config.endpoints.iter().map(|settings| Arc::new(Endpoint::new(settings.clone(), &wiring))).collect();
        // The longest path first: the first that fits is the one that is meant.
        endpoints.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.settings.path.len()));
        let tickets = wiring
            .tickets
            .clone()
            .unwrap_or_else(|| Arc::new(Tickets::new(config.auth.ticket_ttl, config.auth.max_tickets)));
        let upstreams = wiring.upstreams.clone();
        let deadlines = Arc::new(Deadlines::new(now));
        let broker = Broker::new(config, &deadlines);
        Self {
            endpoints,
            tcp: Tcp::new(config.tcp.clone()),
            stomp: Arc::new(stomp::Service::new(config, Arc::clone(&broker), wiring)),
            tickets,
            broker,
            deadlines,
            upstreams,
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
        visitor: &Visitor,
        now: Instant,
    ) -> Result<Receiving, RegistryFull> {
        if visitor.ticket.is_some() && endpoint.registry.find(id).is_none() && !self.may_open(visitor, now) {
            return Ok(Receiving::Foreign);
        }
        let opened = endpoint
            .registry
            .open(id, now, || self.new_session(endpoint, id, Carrier::Http, transport, visitor, now))?;
        let (session, new) = match opened {
            Opened::Existing(session) if !self.may_use(&session, visitor, now) => return Ok(Receiving::Foreign),
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
        visitor: &Visitor,
        now: Instant,
    ) -> Result<(Arc<Session>, ReceiverId), RegistryFull> {
        let session =
            endpoint.registry.add_socket(|| self.new_session(endpoint, "", carrier, transport, visitor, now))?;
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
            let origin =
                stomp::Origin { carrier, transport: "tcp", endpoint: Arc::clone(&self.tcp.name), visitor: None };
            let protocol = self.stomp(origin, now);
            let settings = Arc::clone(&self.tcp.session);
            let session = Session::new(Name::default(), carrier, settings, Arc::clone(&self.deadlines), protocol, now);
            tracing::debug!(session = session.serial(), transport = "tcp", "session opened");
            session
        })?;
        Ok(Self::open_first(session, now))
    }

    /// The live session of that id, for a sending request; if it is that visitor's.
    pub fn find(&self, endpoint: &Endpoint, id: &str, visitor: &Visitor, now: Instant) -> Option<Arc<Session>> {
        let usable = |session: &Arc<Session>| session.is_open() && self.may_use(session, visitor, now);
        endpoint.registry.find(id).filter(usable)
    }

    /// Whether a request belongs to a session: it must prove the same as the request that opened it.
    fn may_use(&self, session: &Session, visitor: &Visitor, now: Instant) -> bool {
        let ticket = visitor.ticket.as_ref();
        session.is_owned_by(visitor.name())
            && ticket.is_none_or(|ticket| self.tickets.allows(ticket, Some(session.serial()), now))
    }

    /// The STOMP clients that are in.
    pub fn clients(&self) -> &Clients {
        &self.stomp.clients
    }

    /// Whether a visitor may open a session: a ticket that a session has is no good for another.
    pub fn may_open(&self, visitor: &Visitor, now: Instant) -> bool {
        visitor.ticket.as_ref().is_none_or(|ticket| self.tickets.allows(ticket, None, now))
    }

    /// The tickets that have been issued and are still good.
    pub fn tickets(&self) -> &Arc<Tickets> {
        &self.tickets
    }

    /// Publishes all messages or none. Gives whom they reached together.
    ///
    /// # Errors
    /// [`NotPublished`] for the first that cannot be.
    pub fn publish_all(&self, messages: Vec<Outgoing>, now: Instant) -> Result<Reach, NotPublished> {
        answers::publish_all(&self.broker, messages, now)
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
        visitor: &Visitor,
        now: Instant,
    ) -> Arc<Session> {
        meters::session_opened(transport, endpoint.settings.service.name());
        let protocol = self.protocol(endpoint, carrier, transport, visitor, now);
        let settings = Arc::clone(&endpoint.session);
        let session = Session::new(
            Name { id, owner: visitor.name() },
            carrier,
            settings,
            Arc::clone(&self.deadlines),
            protocol,
            now,
        );
        tracing::debug!(session = session.serial(), transport, endpoint = endpoint.settings.path, "session opened");
        session
    }

    fn protocol(
        &self,
        endpoint: &Endpoint,
        carrier: Carrier,
        transport: &'static str,
        visitor: &Visitor,
        now: Instant,
    ) -> Box<dyn Protocol> {
        let service = endpoint.settings.service;
        let protocol: Box<dyn Protocol> = match service {
            config::Service::Stomp => {
                let (endpoint, visitor) = (Arc::clone(&endpoint.name), visitor.principal.clone());
                self.stomp(stomp::Origin { carrier, transport, endpoint, visitor }, now)
            }
            config::Service::Echo => Box::new(services::Echo),
            config::Service::Close => Box::new(services::Close),
            config::Service::Amplify => Box::new(services::Amplify),
            config::Service::Ticker => Box::new(services::Ticker::default()),
            config::Service::Broadcast => Box::new(services::Broadcast::new(Arc::clone(&endpoint.audience))),
            config::Service::Farewell => Box::new(services::Farewell),
            config::Service::Application => match &endpoint.factory {
                Some(make) => Box::new(Custom::new(make, &visitor.principal.clone().unwrap_or_default())),
                None => Box::new(services::Close),
            },
            config::Service::Bridge => {
                Box::new(bridge::Bridge::new(&endpoint.settings, visitor, self.upstreams.as_ref()))
            }
        };
        // STOMP knows when a proof expires, and may be given a newer one.
        let expires = visitor.principal.as_ref().and_then(|principal| principal.expires());
        let expires = expires.filter(|_| service != config::Service::Stomp);
        let ticket = visitor.ticket.clone();
        if expires.is_none() && ticket.is_none() {
            return protocol;
        }
        Box::new(Guarded::new(protocol, expires, ticket.map(|ticket| (ticket, Arc::clone(&self.tickets)))))
    }

    fn stomp(&self, origin: stomp::Origin, now: Instant) -> Box<dyn Protocol> {
        Box::new(stomp::Stomp::new(Arc::clone(&self.stomp), origin, now))
    }
}

impl Endpoint {
    fn new(settings: config::Endpoint, wiring: &Wiring) -> Self {
        Self {
            factory: wiring.services.get(settings.path.as_str()).cloned(),
            registry: Registry::new(settings.max_sessions, settings.tombstones, settings.tombstone_ttl),
            session: Arc::new(settings.session()),
            name: settings.path.as_str().into(),
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
            name: "".into(),
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
