//! The transports an endpoint can offer, by the names that sockjs-client uses for them.
//!
//! Does not know: URLs, methods, framing: what a transport does on the wire is in the protocol layer.

use std::collections::BTreeSet;

/// One transport, or the iframe page that carries others across origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// `websocket`: SockJS frames over a websocket.
    Websocket,
    /// `raw-websocket`: messages without SockJS framing, at `/websocket` under the base URL, and for STOMP at the base URL.
    RawWebsocket,
    /// `xhr-streaming`.
    XhrStreaming,
    /// `xhr-polling`.
    XhrPolling,
    /// `eventsource`.
    Eventsource,
    /// `htmlfile`.
    Htmlfile,
    /// `jsonp-polling`, with its own way to send.
    JsonpPolling,
    /// `iframe`: the page at `/iframe*.html`, which lets old browsers use the others across origins.
    Iframe,
}

/// The `transports` of an endpoint, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transports {
    /// Not named: all of them, but see [`Endpoint::enabled`](super::Endpoint::enabled) for endpoints with a list of origins.
    #[default]
    All,
    /// Exactly these.
    Only(BTreeSet<Transport>),
}

impl Transport {
    /// Every transport, in the order in which documents list them.
    pub const ALL: [Transport; 8] = [
        Transport::Websocket,
        Transport::RawWebsocket,
        Transport::XhrStreaming,
        Transport::XhrPolling,
        Transport::Eventsource,
        Transport::Htmlfile,
        Transport::JsonpPolling,
        Transport::Iframe,
    ];

    /// Whether browsers make its requests without an `Origin` header, so that a list of origins cannot be enforced
    /// on it.
    pub fn escapes_origin_check(self) -> bool {
        matches!(self, Transport::Htmlfile | Transport::JsonpPolling | Transport::Iframe)
    }

    /// The name in a configuration file, which is sockjs-client's where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Websocket => "websocket",
            Transport::RawWebsocket => "raw-websocket",
            Transport::XhrStreaming => "xhr-streaming",
            Transport::XhrPolling => "xhr-polling",
            Transport::Eventsource => "eventsource",
            Transport::Htmlfile => "htmlfile",
            Transport::JsonpPolling => "jsonp-polling",
            Transport::Iframe => "iframe",
        }
    }
}
