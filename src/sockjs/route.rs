//! What a URL below an endpoint means, and one table that says for each transport which methods it takes and what its
//! answers look like. Everything that differs between transports and is not behaviour stands in this table.
//!
//! Does not know: which transports an endpoint has enabled, origins, sessions, the HTTP library.

use std::borrow::Cow;

use super::callback::Callback;
use super::frame::Framing;
use super::headers;
use super::pages;

/// What a path below an endpoint's base URL asks for (SockJS protocol, URLs).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'a> {
    /// The base URL itself, with or without a slash.
    Greeting,
    /// `/info`.
    Info,
    /// `/iframe*.html`.
    Iframe {
        /// The text between `iframe-` and `.html`; the same page is served for each. `None` where there is no hyphen.
        version: Option<&'a str>,
    },
    /// `/websocket`: the websocket without SockJS frames.
    RawWebsocket,
    /// `/server/session/transport`. The server segment serves load balancers and is ignored.
    Session {
        /// The session id as it stands in the URL, not percent-decoded. Chosen by the client.
        session: &'a str,
        /// What the last segment names.
        transport: Transport,
    },
    /// Anything else: status 404.
    NotFound,
}

/// Reads the part of a request's path that follows the endpoint's path: empty, or starting with `/`, without the query
/// string. Only the base URL may end in a slash; segments are taken as they are, without percent-decoding, and must be
/// neither empty nor contain a dot.
pub fn parse(path_below_base: &str) -> Route<'_> {
    if path_below_base.is_empty() {
        return Route::Greeting;
    }
    let Some(path) = path_below_base.strip_prefix('/') else {
        return Route::NotFound;
    };
    let mut segments = path.split('/');
    match (segments.next(), segments.next(), segments.next(), segments.next()) {
        (Some(""), None, ..) => Route::Greeting,
        (Some("info"), None, ..) => Route::Info,
        (Some("websocket"), None, ..) => Route::RawWebsocket,
        (Some(page), None, ..) => iframe(page).unwrap_or(Route::NotFound),
        (Some(server), Some(session), Some(name), None) if is_id(server) && is_id(session) => {
            Transport::from_name(name).map_or(Route::NotFound, |transport| Route::Session { session, transport })
        }
        _ => Route::NotFound,
    }
}

impl Route<'_> {
    /// The methods of what this route names; `None` for [`Route::NotFound`].
    pub fn methods(&self) -> Option<&'static Methods> {
        match self {
            Route::Greeting | Route::Iframe { .. } => Some(&PAGE),
            Route::Info => Some(&INFO),
            Route::RawWebsocket => Some(&Transport::RawWebsocket.row().methods),
            Route::Session { transport, .. } => Some(&transport.row().methods),
            Route::NotFound => None,
        }
    }
}

/// A way for messages to come or go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// SockJS frames over a websocket.
    Websocket,
    /// Messages over a websocket, without frames.
    RawWebsocket,
    /// One frame per response.
    Xhr,
    /// Messages to a session, in a POST.
    XhrSend,
    /// Frames in an endless response.
    XhrStreaming,
    /// Frames as server-sent events.
    EventSource,
    /// Frames as script blocks of an endless page.
    HtmlFile,
    /// One frame per script.
    Jsonp,
    /// Messages to a session, in a form.
    JsonpSend,
}

/// Which way a transport's messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Server to client: its requests create sessions and attach to them.
    Receiver,
    /// Client to server: its requests need a session that exists.
    Sender,
    /// Both ways over one connection, which is the session.
    Duplex,
}

/// What a receiver's response starts with, in a chunk of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prelude {
    /// Nothing.
    None,
    /// [`pages::XHR_PRELUDE`].
    Xhr,
    /// [`pages::EVENT_STREAM_PRELUDE`].
    EventStream,
    /// [`pages::htmlfile_page`], which needs the callback.
    HtmlFile,
}

/// When a receiver's response ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseLimit {
    /// After one frame of any kind: polling.
    OneFrame,
    /// After the frame with which the bytes of frames and their framing, without the prelude, reach the endpoint's limit:
    /// streaming.
    Bytes,
    /// Not by itself: websockets. Senders have no frames at all and stand here too.
    Never,
}

/// What a transport's requests and answers look like.
#[derive(Debug)]
pub struct Row {
    /// The transport this row is about.
    pub transport: Transport,
    /// The last segment of its URL.
    pub name: &'static str,
    /// Which way messages go.
    pub role: Role,
    /// The methods it takes.
    pub methods: Methods,
    /// Status of an answer without error. A receiver's is 200 even where it only carries a close frame.
    pub status: u16,
    /// `Content-Type` of that answer.
    pub content_type: Option<&'static str>,
    /// Body of that answer; empty for receivers, whose body is prelude and frames.
    pub body: &'static str,
    /// Whether answers, errors included, carry the CORS headers.
    pub cors: bool,
    /// Whether answers, errors included, carry the session cookie, on endpoints that want one.
    pub cookie: bool,
    /// Whether answers forbid content sniffing ([`headers::NO_SNIFF`]).
    pub no_sniff: bool,
    /// Whether the query string must name a [`Callback`].
    pub callback: bool,
    /// What the response starts with.
    pub prelude: Prelude,
    /// When the response ends.
    pub limit: ResponseLimit,
}

impl Row {
    /// Whether requests create sessions and attach to them.
    pub fn is_receiver(&self) -> bool {
        self.role == Role::Receiver
    }

    /// Whether requests bring messages to a session that exists.
    pub fn is_sender(&self) -> bool {
        self.role == Role::Sender
    }

    /// Whether the response stays open for many frames; such answers also ask proxies not to buffer
    /// ([`headers::NO_BUFFERING`]).
    pub fn is_stream(&self) -> bool {
        self.limit == ResponseLimit::Bytes
    }
}

/// The methods of a URL.
#[derive(Debug, PartialEq, Eq)]
pub struct Methods {
    /// The one method that does the work.
    pub main: &'static str,
    /// The `Allow` header of the 405 answer to all others. That answer has no content type and no body.
    pub allow: &'static str,
    /// The `Access-Control-Allow-Methods` header of the answer to OPTIONS; `None` where OPTIONS is refused.
    pub preflight: Option<&'static str>,
}

/// What a request's method asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The thing itself.
    Service,
    /// Leave to ask, across origins: answered with 204 and the preflight headers.
    Preflight,
    /// Something this URL does not do: answered with 405 and `Allow`.
    NotAllowed,
}

impl Methods {
    /// Sorts a request by its method, which is case-sensitive.
    pub fn asked(&self, method: &str) -> Asked {
        if method == self.main {
            Asked::Service
        } else if method == "OPTIONS" && self.preflight.is_some() {
            Asked::Preflight
        } else {
            Asked::NotAllowed
        }
    }
}

impl Transport {
    /// Every transport, in the table's order.
    pub const ALL: [Transport; 9] = [
        Transport::Websocket,
        Transport::RawWebsocket,
        Transport::Xhr,
        Transport::XhrSend,
        Transport::XhrStreaming,
        Transport::EventSource,
        Transport::HtmlFile,
        Transport::Jsonp,
        Transport::JsonpSend,
    ];

    /// The transport that the last segment of a session URL names. Never the raw websocket, which has no session in its
    /// URL.
    pub fn from_name(name: &str) -> Option<Transport> {
        let named = |transport: &Transport| transport.row().name == name && *transport != Transport::RawWebsocket;
        Transport::ALL.into_iter().find(named)
    }

    /// This transport's row of the table.
    pub fn row(self) -> &'static Row {
        match self {
            Transport::Websocket => &WEBSOCKET,
            Transport::RawWebsocket => &RAW_WEBSOCKET,
            Transport::Xhr => &XHR,
            Transport::XhrSend => &XHR_SEND,
            Transport::XhrStreaming => &XHR_STREAMING,
            Transport::EventSource => &EVENT_SOURCE,
            Transport::HtmlFile => &HTML_FILE,
            Transport::Jsonp => &JSONP,
            Transport::JsonpSend => &JSONP_SEND,
        }
    }

    /// How frames are written on this transport. `None` for senders, for the raw websocket, and for jsonp without a
    /// callback.
    pub fn framing(self, callback: Option<&Callback>) -> Option<Framing> {
        match self {
            Transport::Websocket => Some(Framing::websocket()),
            Transport::Xhr | Transport::XhrStreaming => Some(Framing::xhr()),
            Transport::EventSource => Some(Framing::event_stream()),
            Transport::HtmlFile => Some(Framing::htmlfile()),
            Transport::Jsonp => callback.map(Framing::jsonp),
            Transport::RawWebsocket | Transport::XhrSend | Transport::JsonpSend => None,
        }
    }
}

impl Prelude {
    /// The prelude's bytes. `None` where there is no prelude, or it is htmlfile's and no callback is given.
    pub fn bytes(self, callback: Option<&Callback>) -> Option<Cow<'static, [u8]>> {
        match self {
            Prelude::None => None,
            Prelude::Xhr => Some(Cow::Borrowed(pages::XHR_PRELUDE)),
            Prelude::EventStream => Some(Cow::Borrowed(pages::EVENT_STREAM_PRELUDE)),
            Prelude::HtmlFile => callback.map(|callback| Cow::Owned(pages::htmlfile_page(callback).into_bytes())),
        }
    }
}

/// A segment that may stand for a server or a session. Slashes are gone by now.
fn is_id(segment: &str) -> bool {
    !segment.is_empty() && !segment.contains('.')
}

/// `iframe`, any of `0-9 - . a-z _`, `.html`.
fn iframe(page: &str) -> Option<Route<'_>> {
    let middle = page.strip_prefix("iframe")?.strip_suffix(".html")?;
    let allowed = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase() || matches!(b, b'-' | b'.' | b'_');
    middle.bytes().all(allowed).then(|| Route::Iframe { version: middle.strip_prefix('-') })
}

static INFO: Methods = Methods { main: "GET", allow: "OPTIONS, GET", preflight: Some("OPTIONS, GET") };
static PAGE: Methods = PLAIN_GET;
const PLAIN_GET: Methods = Methods { main: "GET", allow: "GET", preflight: None };
const PLAIN_POST: Methods = Methods { main: "POST", allow: "POST", preflight: None };
const CORS_POST: Methods = Methods { main: "POST", allow: "POST, OPTIONS", preflight: Some("OPTIONS, POST") };

/// The plainest receiver; the rows below say what they have beyond it.
const RECEIVER: Row = Row {
    transport: Transport::Xhr,
    name: "",
    role: Role::Receiver,
    methods: PLAIN_GET,
    status: 200,
    content_type: None,
    body: "",
    cors: false,
    cookie: true,
    no_sniff: false,
    callback: false,
    prelude: Prelude::None,
    limit: ResponseLimit::Bytes,
};

static WEBSOCKET: Row = Row {
    transport: Transport::Websocket,
    name: "websocket",
    role: Role::Duplex,
    status: 101,
    limit: ResponseLimit::Never,
    ..RECEIVER
};

static RAW_WEBSOCKET: Row = Row {
    transport: Transport::RawWebsocket,
    name: "websocket",
    role: Role::Duplex,
    status: 101,
    cookie: false,
    limit: ResponseLimit::Never,
    ..RECEIVER
};

static XHR: Row = Row {
    transport: Transport::Xhr,
    name: "xhr",
    methods: CORS_POST,
    content_type: Some(headers::JAVASCRIPT),
    cors: true,
    limit: ResponseLimit::OneFrame,
    ..RECEIVER
};

static XHR_SEND: Row = Row {
    transport: Transport::XhrSend,
    name: "xhr_send",
    role: Role::Sender,
    methods: CORS_POST,
    // Exactly 204: Spring's client takes 200 for a failure.
    status: 204,
    content_type: Some(headers::TEXT),
    cors: true,
    limit: ResponseLimit::Never,
    ..RECEIVER
};

static XHR_STREAMING: Row = Row {
    transport: Transport::XhrStreaming,
    name: "xhr_streaming",
    methods: CORS_POST,
    content_type: Some(headers::JAVASCRIPT),
    cors: true,
    prelude: Prelude::Xhr,
    ..RECEIVER
};

static EVENT_SOURCE: Row = Row {
    transport: Transport::EventSource,
    name: "eventsource",
    content_type: Some(headers::EVENT_STREAM),
    cors: true,
    prelude: Prelude::EventStream,
    ..RECEIVER
};

static HTML_FILE: Row = Row {
    transport: Transport::HtmlFile,
    name: "htmlfile",
    content_type: Some(headers::HTML),
    callback: true,
    prelude: Prelude::HtmlFile,
    ..RECEIVER
};

static JSONP: Row = Row {
    transport: Transport::Jsonp,
    name: "jsonp",
    content_type: Some(headers::JAVASCRIPT),
    no_sniff: true,
    callback: true,
    limit: ResponseLimit::OneFrame,
    ..RECEIVER
};

static JSONP_SEND: Row = Row {
    transport: Transport::JsonpSend,
    name: "jsonp_send",
    role: Role::Sender,
    methods: PLAIN_POST,
    content_type: Some(headers::TEXT),
    body: "ok",
    limit: ResponseLimit::Never,
    ..RECEIVER
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_under_their_transport() {
        for transport in Transport::ALL {
            let row = transport.row();
            assert_eq!(row.transport, transport);
            if transport != Transport::RawWebsocket {
                assert_eq!(Transport::from_name(row.name), Some(transport));
            }
            assert_eq!(row.methods.allow.contains("OPTIONS"), row.methods.preflight.is_some());
            assert!(row.methods.allow.contains(row.methods.main));
        }
        assert_eq!(Transport::from_name(""), None);
        assert_eq!(Transport::from_name("XHR"), None);
    }

    #[test]
    fn allow_headers() {
        fn allow(path: &str) -> Option<&'static str> {
            parse(path).methods().map(|methods| methods.allow)
        }
        assert_eq!(allow(""), Some("GET"));
        assert_eq!(allow("/iframe.html"), Some("GET"));
        assert_eq!(allow("/info"), Some("OPTIONS, GET"));
        assert_eq!(allow("/websocket"), Some("GET"));
        assert_eq!(allow("/nothing"), None);
        for (name, expected) in [
            ("websocket", "GET"),
            ("xhr", "POST, OPTIONS"),
            ("xhr_send", "POST, OPTIONS"),
            ("xhr_streaming", "POST, OPTIONS"),
            ("eventsource", "GET"),
            ("htmlfile", "GET"),
            ("jsonp", "GET"),
            ("jsonp_send", "POST"),
        ] {
            assert_eq!(allow(&format!("/000/abc/{name}")), Some(expected), "{name}");
        }
    }

    #[test]
    fn methods_are_sorted_case_sensitively() {
        let xhr = &Transport::Xhr.row().methods;
        assert_eq!(xhr.asked("POST"), Asked::Service);
        assert_eq!(xhr.asked("OPTIONS"), Asked::Preflight);
        assert_eq!(xhr.asked("GET"), Asked::NotAllowed);
        assert_eq!(xhr.asked("post"), Asked::NotAllowed);
        assert_eq!(Transport::EventSource.row().methods.asked("OPTIONS"), Asked::NotAllowed);
    }

    #[test]
    fn table_as_the_contract_has_it() {
        let names = |wanted: fn(&Row) -> bool| {
            let rows = Transport::ALL.into_iter().map(Transport::row);
            rows.filter(|row| wanted(row)).map(|row| row.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(|row| row.is_receiver()), "xhr xhr_streaming eventsource htmlfile jsonp");
        assert_eq!(names(|row| row.is_sender()), "xhr_send jsonp_send");
        assert_eq!(names(|row| row.is_stream()), "xhr_streaming eventsource htmlfile");
        assert_eq!(names(|row| row.cors), "xhr xhr_send xhr_streaming eventsource");
        assert_eq!(names(|row| row.no_sniff), "jsonp");
        assert_eq!(names(|row| row.callback), "htmlfile jsonp");
        assert_eq!(names(|row| row.status == 204), "xhr_send");
        assert_eq!(names(|row| row.prelude != Prelude::None), "xhr_streaming eventsource htmlfile");
        assert_eq!(Transport::ALL.into_iter().filter(|transport| !transport.row().cookie).count(), 1);
    }

    #[test]
    fn framing_and_prelude_follow_the_transport() {
        let callback = Callback::from_query("c=cb").unwrap();
        assert_eq!(Transport::Jsonp.framing(None), None);
        assert_eq!(Transport::Jsonp.framing(Some(&callback)), Some(Framing::jsonp(&callback)));
        assert_eq!(Transport::XhrStreaming.framing(None), Some(Framing::xhr()));
        assert_eq!(Transport::XhrSend.framing(Some(&callback)), None);
        assert_eq!(Prelude::HtmlFile.bytes(None), None);
        assert_eq!(Prelude::HtmlFile.bytes(Some(&callback)).map(|page| page.len()), Some(1028));
        assert_eq!(Prelude::Xhr.bytes(None).map(|prelude| prelude.len()), Some(2049));
        assert_eq!(Prelude::EventStream.bytes(None).as_deref(), Some(&b"\r\n"[..]));
        assert_eq!(Prelude::None.bytes(None), None);
    }
}
