//! Where transports meet services. A [`Gateway`] holds the endpoints with their registries, the broker, and the deadlines
//! of all sessions; what a transport does to a session, it does through here.
//!
//! Does not know: HTTP, sockets, tasks, or the clock.

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
use services::Audience;

/// Everything that runs behind the transports.
pub struct Gateway {
    endpoints: Vec<Arc<Endpoint>>,
    broker: Arc<Broker>,
    stomp: Arc<config::Stomp>,
    deadlines: Arc<Deadlines>,
    messages: Counter,
}

/// One configured endpoint: a path, a service, and the sessions on it.
pub struct Endpoint {
    settings: Arc<config::Endpoint>,
    registry: Registry,
    /// Who hears whom, where the service is `broadcast`.
    audience: Arc<Audience>,
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
        Self {
            endpoints,
            broker: Arc::new(Broker::new(&config.broker)),
            stomp: Arc::new(config.stomp.clone()),
            deadlines: Arc::new(Deadlines::new(now)),
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
        let receiver = session.attach_first(now);
        session.opened(now);
        Ok((session, receiver))
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

    /// Fires the deadlines that have come.
    pub fn handle_timeout(&self, now: Instant) {
        for session in self.deadlines.expired(now) {
            if session.handle_timeout(now) == Timeout::Over
                && let Some(endpoint) = self.endpoints.iter().find(|own| Arc::ptr_eq(&own.settings, session.endpoint()))
            {
                endpoint.registry.remove(&session, now);
            }
        }
    }

    /// Ends every session, telling its client why.
    pub fn close_all(&self, reason: &CloseReason, now: Instant) {
        for endpoint in &self.endpoints {
            for session in endpoint.registry.sessions() {
                session.close_politely(reason.clone(), now);
            }
        }
    }

    fn new_session(
        &self,
        endpoint: &Arc<Endpoint>,
        id: &str,
        carrier: Carrier,
        transport: &'static str,
        now: Instant,
    ) -> Arc<Session> {
        let settings = Arc::clone(&endpoint.settings);
        meters::session_opened(transport, settings.service.name());
        let protocol = self.protocol(endpoint, carrier, now);
        let session = Session::new(id, carrier, settings, Arc::clone(&self.deadlines), protocol, now);
        tracing::debug!(session = session.serial(), transport, endpoint = endpoint.settings.path, "session opened");
        session
    }

    fn protocol(&self, endpoint: &Endpoint, carrier: Carrier, now: Instant) -> Box<dyn Protocol> {
        match endpoint.settings.service {
            config::Service::Stomp => {
                let text_only = carrier != Carrier::RawWebsocket;
                Box::new(stomp::Stomp::new(Arc::clone(&self.broker), Arc::clone(&self.stomp), text_only, now))
            }
            config::Service::Echo => Box::new(services::Echo),
            config::Service::Close => Box::new(services::Close),
            config::Service::Amplify => Box::new(services::Amplify),
            config::Service::Ticker => Box::new(services::Ticker::default()),
            config::Service::Broadcast => Box::new(services::Broadcast::new(Arc::clone(&endpoint.audience))),
            config::Service::Farewell => Box::new(services::Farewell),
        }
    }
}

impl Endpoint {
    fn new(settings: config::Endpoint) -> Self {
        Self {
            registry: Registry::new(settings.max_sessions, settings.tombstones, settings.tombstone_ttl),
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
