//! One SockJS endpoint: where it is, who may use it, what it runs and what one of its sessions may cost.
//!
//! Does not know: the other endpoints, TOML, how a setting is carried out.

use std::time::Duration;

use super::origins::AllowedOrigins;
use super::session::Session;
use super::settings::Setting;
use super::transports::{Transport, Transports};
use super::units::{KIB, MIB};

/// One `[[endpoint]]`: a SockJS base URL with its own service, origins, transports and limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Base URL, any depth: begins with a slash and does not end in one (SockJS protocol, URLs). Default `/stomp`. Where
    /// one path lies below another's, the longest one that matches whole segments wins.
    pub path: String,
    /// What the sessions talk to. Default [`Service::Stomp`].
    pub service: Service,
    /// Which pages may connect, one rule for every transport including websocket handshakes. Default
    /// [`AllowedOrigins::SameHost`]: a browser sends its cookies with any page's request, so other origins must be named.
    pub allowed_origins: AllowedOrigins,
    /// Which transports are offered, as written; ask [`Endpoint::enabled`] for the outcome. Default: all.
    pub transports: Transports,
    /// Whether a `JSESSIONID` cookie is set for load balancers that route by it (SockJS protocol, cookie header set).
    /// Default false: it is of no use without such a balancer.
    pub cookie: bool,
    /// `SameSite` attribute of that cookie. Default: no attribute, so each browser applies its own.
    pub cookie_same_site: Option<SameSite>,
    /// Whether that cookie carries `Secure`. Default false: the gateway itself speaks plain HTTP.
    pub cookie_secure: bool,
    /// Interval of `h` frames to an attached receiver and of websocket pings. Default 25 s: JSONP clients give up after 35 s
    /// (SockJS protocol, session life cycle), many proxies after 60 s.
    pub heartbeat: Duration,
    /// How long a websocket may leave a ping unanswered. Default 10 s: a vanished peer is noticed within `heartbeat` plus this,
    /// and a phone that wakes its radio still answers in time.
    pub pong_timeout: Duration,
    /// How long an HTTP session lives without a receiver. Default 5 s, the protocol's own value: longer than a slow
    /// client's pause between two polls, and every closed tab lingers this long.
    pub disconnect_delay: Duration,
    /// Bytes of frames after which a streaming response ends and the client asks for a new one. Default 128 KiB: browsers keep
    /// the whole response in memory (SockJS protocol, response limit).
    pub response_limit: usize,
    /// Script that the iframe page loads; `{version}` is filled from the iframe's URL. Default the public CDN of sockjs-client:
    /// the script must be exactly the version of the page's own client, and this way it is.
    pub client_url: String,
    /// Largest body of `xhr_send` and `jsonp_send` in bytes. Default 4 MiB: a message of the largest size still fits
    /// when JSON escaping doubles it.
    pub max_body: usize,
    /// Largest single message from a client in bytes. Default 2 MiB: the largest STOMP frame fits with room to spare.
    pub max_message: usize,
    /// Messages in one array from a client. Default 4096: a client that was cut off sends its whole backlog at once.
    pub max_messages: usize,
    /// Bytes waiting for one session before it counts as too slow and is closed. Default 1 MiB: seconds of a busy topic, and
    /// 1000 stuck clients cost 1 GiB at worst.
    pub outbox_bytes: usize,
    /// Messages waiting for one session before it counts as too slow. Default 256: bounds the queue where messages
    /// are small and bytes would not.
    pub outbox_messages: usize,
    /// Sessions alive at once. Default 100000: session ids are chosen by clients, so their number must end somewhere.
    pub max_sessions: usize,
    /// Longest session id in a URL, in bytes; a longer one is not found (404). Default 128: clients send 8 to 32, and the
    /// registry and its tombstones keep what is sent.
    pub max_session_id: usize,
    /// Ended sessions that are remembered, so that a late poll hears `c[1002,...]` and does not open a new conversation.
    /// Default 10000: an id and a reason each; when full the oldest goes.
    pub tombstones: usize,
    /// How long an ended session is remembered. Default 5 min: a page in the background, whose timers browsers slow
    /// to about one a minute, still hears it.
    pub tombstone_ttl: Duration,
    /// The websocket server that each session is joined to, where `service` is [`Service::Bridge`]: `ws://` or `wss://`. Default none.
    pub bridge: Option<String>,
    /// Headers of the request that opened the session which that server is to see, too. Default none: cookies and tokens
    /// are for whom they were sent to.
    pub bridge_headers: Vec<String>,
    /// How long that server may take to answer the handshake. Default 10 s: sockjs-client waits about that long.
    pub bridge_timeout: Duration,
    /// Bytes that may wait for that server before its client is not read any more. Default 256 KiB.
    pub bridge_buffer: usize,
    /// Bytes that are read from a websocket at once. Default 4 KiB. The buffer is one for each worker thread; an idle socket has
    /// none.
    pub websocket_buffer: usize,
}

/// What an endpoint's sessions talk to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Service {
    /// STOMP 1.0, 1.1 and 1.2 with the embedded broker.
    #[default]
    Stomp,
    /// Sends every message back.
    Echo,
    /// Closes at once with 3000 `Go away!`.
    Close,
    /// Answers the number n with 2^n times `x`.
    Amplify,
    /// Sends `tick!` every second.
    Ticker,
    /// Sends every message to all sessions of the endpoint.
    Broadcast,
    /// Joins every session to a websocket of its own, at `bridge`.
    Bridge,
    /// Sends every message back, and after `bye` closes with 3000 `Go away!`.
    Farewell,
    /// What the program that runs the gateway serves there itself.
    Application,
}

/// The `SameSite` attribute of the load balancer's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// Sent with requests from any site; browsers insist on `Secure` with it.
    None,
    /// Sent from the same site and on top-level navigation.
    Lax,
    /// Sent from the same site only.
    Strict,
}

impl Default for Endpoint {
    fn default() -> Self {
        Endpoint {
            path: "/stomp".to_owned(),
            service: Service::Stomp,
            allowed_origins: AllowedOrigins::SameHost,
            transports: Transports::All,
            cookie: false,
            cookie_same_site: None,
            cookie_secure: false,
            heartbeat: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(10),
            disconnect_delay: Duration::from_secs(5),
            response_limit: 128 * KIB,
            client_url: "https://cdn.jsdelivr.net/npm/sockjs-client@{version}/dist/sockjs.min.js".to_owned(),
            max_body: 4 * MIB,
            max_message: 2 * MIB,
            max_messages: 4096,
            outbox_bytes: MIB,
            outbox_messages: 256,
            max_sessions: 100_000,
            max_session_id: 128,
            tombstones: 10_000,
            tombstone_ttl: Duration::from_secs(5 * 60),
            bridge: None,
            bridge_headers: Vec::new(),
            bridge_timeout: Duration::from_secs(10),
            bridge_buffer: 256 * KIB,
            websocket_buffer: 4 * KIB,
        }
    }
}

impl Endpoint {
    /// Whether this endpoint offers `transport`.
    ///
    /// With a list of origins, `jsonp-polling`, `htmlfile` and `iframe` are off unless `transports` names them: script and
    /// frame requests carry no `Origin` header, so the list could not be enforced on them.
    pub fn enabled(&self, transport: Transport) -> bool {
        match &self.transports {
            Transports::Only(named) => named.contains(&transport),
            Transports::All => {
                let restricted = matches!(self.allowed_origins, AllowedOrigins::List(_));
                !(restricted && transport.escapes_origin_check())
            }
        }
    }

    /// What each of its sessions needs, whatever transport carries it.
    pub fn session(&self) -> Session {
        Session {
            outbox_bytes: self.outbox_bytes,
            outbox_messages: self.outbox_messages,
            heartbeat: self.heartbeat,
            disconnect_delay: self.disconnect_delay,
            pong_timeout: self.pong_timeout,
        }
    }

    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::text("path", &mut self.path),
            Setting::choice("service", &mut self.service, &Service::ALL, Service::name),
            Setting::origins("allowed_origins", &mut self.allowed_origins),
            Setting::transports("transports", &mut self.transports),
            Setting::flag("cookie", &mut self.cookie),
            Setting::same_site("cookie_same_site", &mut self.cookie_same_site),
            Setting::flag("cookie_secure", &mut self.cookie_secure),
            Setting::duration("heartbeat", &mut self.heartbeat),
            Setting::duration("pong_timeout", &mut self.pong_timeout),
            Setting::duration("disconnect_delay", &mut self.disconnect_delay),
            Setting::size("response_limit", &mut self.response_limit),
            Setting::text("client_url", &mut self.client_url),
            Setting::size("max_body", &mut self.max_body),
            Setting::size("max_message", &mut self.max_message),
            Setting::count("max_messages", &mut self.max_messages),
            Setting::size("outbox_bytes", &mut self.outbox_bytes),
            Setting::count("outbox_messages", &mut self.outbox_messages),
            Setting::count("max_sessions", &mut self.max_sessions),
            Setting::size("max_session_id", &mut self.max_session_id),
            Setting::count("tombstones", &mut self.tombstones),
            Setting::duration("tombstone_ttl", &mut self.tombstone_ttl),
            Setting::optional_text("bridge", &mut self.bridge),
            Setting::texts("bridge_headers", &mut self.bridge_headers, "cookie"),
            Setting::duration("bridge_timeout", &mut self.bridge_timeout),
            Setting::size("bridge_buffer", &mut self.bridge_buffer),
            // Less than this and every small message takes several reads.
            Setting::size_from("websocket_buffer", &mut self.websocket_buffer, 512),
        ]
    }
}

impl Service {
    /// Every service, in the order in which documents list them.
    pub const ALL: [Service; 9] = [
        Service::Stomp,
        Service::Echo,
        Service::Close,
        Service::Amplify,
        Service::Ticker,
        Service::Broadcast,
        Service::Bridge,
        Service::Farewell,
        Service::Application,
    ];

    /// The name in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Service::Stomp => "stomp",
            Service::Echo => "echo",
            Service::Close => "close",
            Service::Amplify => "amplify",
            Service::Ticker => "ticker",
            Service::Broadcast => "broadcast",
            Service::Bridge => "bridge",
            Service::Farewell => "farewell",
            Service::Application => "application",
        }
    }
}

impl SameSite {
    /// Every value, in the order in which documents list them.
    pub const ALL: [SameSite; 3] = [SameSite::None, SameSite::Lax, SameSite::Strict];

    /// The name in a configuration file. The header spells it with a capital.
    pub fn name(self) -> &'static str {
        match self {
            SameSite::None => "none",
            SameSite::Lax => "lax",
            SameSite::Strict => "strict",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(endpoint: &Endpoint) -> Vec<&'static str> {
        Transport::ALL.into_iter().filter(|transport| endpoint.enabled(*transport)).map(Transport::name).collect()
    }

    fn listed() -> AllowedOrigins {
        AllowedOrigins::List(vec!["https://example.com".to_owned()])
    }

    #[test]
    fn all_transports_are_offered_where_origins_are_not_listed() {
        for allowed_origins in [AllowedOrigins::SameHost, AllowedOrigins::Any] {
            let endpoint = Endpoint { allowed_origins, ..Endpoint::default() };
            assert_eq!(offered(&endpoint).len(), Transport::ALL.len());
        }
    }

    #[test]
    fn a_list_of_origins_turns_off_what_it_cannot_be_enforced_on() {
        let endpoint = Endpoint { allowed_origins: listed(), ..Endpoint::default() };
        assert_eq!(offered(&endpoint), ["websocket", "raw-websocket", "xhr-streaming", "xhr-polling", "eventsource"]);
    }

    #[test]
    fn a_transport_that_is_named_is_offered_all_the_same() {
        let transports = Transports::Only([Transport::JsonpPolling, Transport::XhrPolling].into());
        let endpoint = Endpoint { allowed_origins: listed(), transports, ..Endpoint::default() };
        assert_eq!(offered(&endpoint), ["xhr-polling", "jsonp-polling"]);
    }
}
