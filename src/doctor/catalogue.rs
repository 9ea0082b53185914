//! Everything that can be found, as data: what it is called, how bad it is, what it means for users, and what mends it.
//!
//! Does not know: how any of it is noticed.

use super::mends::{self, Lines};

/// One thing that can be wrong between a client and its server.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is called, for ever: in output and documents.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// What users notice.
    pub meaning: &'static str,
    /// What mends it, for each kind of proxy or server. `{path}`, `{host}` and `{beat}` stand for what was looked at and found.
    pub mends: &'static [Lines],
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Some users, or some transports, do not work.
    Error,
    /// All work, but slowly, rarely, or with interruptions.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

macro_rules! problems {
    ($($name:ident = $severity:ident $id:literal, $title:literal, $meaning:literal, $mends:expr;)*) => {
        $(pub(super) static $name: Problem =
            Problem { id: $id, severity: Severity::$severity, title: $title, meaning: $meaning, mends: $mends };)*

        /// All of them, in the order in which they are looked for.
        pub static ALL: &[&Problem] = &[$(&$name),*];
    };
}

problems! {
    ADDRESS_DEAD = Error "address-dead", "one of the name's addresses does not answer",
        "Who is given that address waits seconds for it to fail, or cannot connect at all. IPv6 users meet it first.",
        mends::ADDRESS;
    TLS_UNTRUSTED = Error "tls-untrusted", "the certificate is not trusted",
        "Browsers refuse every request of a page without asking anybody: a warning can be clicked away for a page, not for a script.",
        mends::CHAIN;
    TLS_EXPIRED = Error "tls-expired", "the certificate is expired, or not valid yet",
        "Browsers refuse every request. If only some machines see it, their clocks are wrong.",
        mends::RENEW;
    TLS_NAME = Error "tls-name", "the certificate is for another name",
        "Browsers refuse every request.",
        mends::CHAIN;
    TLS_FAILED = Error "tls-failed", "there is no TLS where the URL says https",
        "Nobody gets in with this URL. A plain port behind https is the usual reason.",
        mends::TLS;
    INFO_UNANSWERED = Error "info-unanswered", "/info has no answer",
        "sockjs-client waits 8 s for it and gives up with 1002.",
        mends::BACKEND;
    INFO_REDIRECT = Error "info-redirect", "/info is answered with a redirect",
        "Websockets do not follow redirects, and a POST that is redirected comes back as a GET: only /info gets through.",
        mends::REDIRECT;
    LOGIN_PAGE = Error "login-page", "a login stands before the service",
        "What scripts ask for is answered with a login, which they cannot fill in: sockjs-client gives up.",
        mends::LOGIN;
    PATH_WRONG = Error "path-wrong", "there is no SockJS service at this path",
        "sockjs-client closes with the status as its code.",
        mends::PATH;
    SERVER_DOWN = Error "server-down", "the proxy says that the server behind it has no answer",
        "Nobody gets in.",
        mends::BACKEND;
    NOT_SOCKJS = Error "not-sockjs", "what answers at /info is no SockJS server",
        "sockjs-client takes what is not JSON for an empty object, tries every transport in vain, and takes long over it.",
        mends::PATH;
    INFO_SLOW = Warning "info-slow", "/info is slow",
        "sockjs-client allows each transport eight times this: where websockets hang, users wait that long for the next transport.",
        mends::SLOW;
    INFO_CACHED = Warning "info-cached", "/info comes from a cache",
        "One page's answer, with its CORS headers, is given to another page, whose browser refuses it; and changes of the service reach nobody.",
        mends::CACHE;
    CACHE_CONTROL = Warning "cache-control", "Cache-Control is missing or was altered",
        "Browsers and caches on the way may keep answers that are for one session and one moment.",
        mends::CACHE;
    NO_KEEP_ALIVE = Warning "no-keep-alive", "every answer ends its connection",
        "Every message of a fallback transport costs a new connection, with TLS two or three trips more.",
        mends::KEEP_ALIVE;
    HTTP10 = Warning "http10", "answers are HTTP/1.0",
        "No chunks and no keep-alive: streams end with their connection, and many proxies hold such answers back.",
        mends::KEEP_ALIVE;
    CORS_DOUBLED = Error "cors-doubled", "CORS headers are there twice",
        "Browsers refuse answers with two of them, equal ones as well: pages of other origins cannot connect.",
        mends::CORS;
    CORS_WILDCARD = Error "cors-wildcard", "Access-Control-Allow-Origin is *",
        "sockjs-client sends credentials across origins, and browsers refuse * then: pages of other origins cannot connect.",
        mends::CORS;
    CORS_MISSING = Error "cors-missing", "CORS headers are missing",
        "Browsers keep the answers from pages of other origins, which therefore cannot connect, or not over these transports.",
        mends::CORS;
    CORS_CREDENTIALS = Error "cors-credentials", "Access-Control-Allow-Credentials is missing",
        "sockjs-client sends credentials across origins, and browsers want this header then: pages of other origins cannot connect.",
        mends::CORS;
    CORS_PREFLIGHT = Warning "cors-preflight", "OPTIONS is not answered as a preflight",
        "Pages of other origins that send headers of their own are refused; sockjs-client's plain requests need none.",
        mends::CORS;
    ORIGIN_REFUSED = Error "origin-refused", "the server refuses its own pages",
        "Requests with an Origin, which are POSTs and websockets, get 403. Mostly the proxy passes another Host than the user's, so that the server takes its own pages for strangers.",
        mends::HOST;
    NOT_STICKY = Error "not-sticky", "requests of one session reach different servers",
        "xhr-streaming, eventsource and xhr-polling lose their session within seconds: 404 to a message, a second open frame to a poll. Websockets work.",
        mends::STICKY;
    UPGRADE_STRIPPED = Error "upgrade-stripped", "the websocket handshake is answered as plain HTTP",
        "No websockets: a proxy does not pass Upgrade and Connection on. All users are on fallback transports, if those work.",
        mends::UPGRADE;
    UPGRADE_REFUSED = Error "upgrade-refused", "the websocket handshake is refused",
        "No websockets. All users are on fallback transports, if those work.",
        mends::UPGRADE;
    UPGRADE_HANGS = Error "upgrade-hangs", "the websocket handshake has no answer",
        "sockjs-client waits for its time-out before it tries the next transport, on every connect.",
        mends::UPGRADE;
    TRANSPORT_REFUSED = Error "transport-refused", "a transport is refused",
        "Clients that need this transport do not get in.",
        mends::METHODS;
    TRANSPORT_UNANSWERED = Error "transport-unanswered", "a transport has no answer",
        "sockjs-client waits for its time-out and tries the next one.",
        mends::BUFFERING;
    TRANSPORT_SILENT = Error "transport-silent", "a transport opens and then brings nothing",
        "The worst of all: sockjs-client stays on a transport that has opened, and nothing arrives.",
        mends::BUFFERING;
    STREAM_BUFFERED = Error "stream-buffered", "streams are held back",
        "sockjs-client sees no open frame in time and goes on to the next transport; a client that stays gets its messages late and in lumps.",
        mends::BUFFERING;
    STREAM_LATE = Warning "stream-late", "a transport opens too late",
        "sockjs-client gives each transport a time that follows from /info, and has gone on before this one opens.",
        mends::SLOW;
    STREAM_COMPRESSED = Warning "stream-compressed", "streams are compressed on the way",
        "A compressor waits for more before it writes, so messages are late; the server forbids it with no-transform.",
        mends::COMPRESSION;
    STREAM_ALTERED = Error "stream-altered", "streams are changed on the way",
        "Browsers refuse an eventsource of another type, and strict clients a stream that does not begin as it should.",
        mends::COMPRESSION;
    STREAM_CUT = Error "stream-cut", "streams end as soon as they have opened",
        "A stream that ends is asked for again at once: it is polling, with more overhead.",
        mends::BUFFERING;
    SEND_REFUSED = Error "send-refused", "messages of the fallback transports are refused",
        "What a user sends is lost, and sockjs-client closes with 1006.",
        mends::METHODS;
    BODY_LIMIT = Error "body-limit", "messages of 64 KiB are too large for the proxy",
        "A client that was held up sends everything at once, and with this status it is closed with 1006.",
        mends::BODY;
    IDLE_CUT = Warning "idle-cut", "silent connections are cut",
        "A quiet page loses its connection again and again, with what is sent meanwhile.",
        mends::IDLE;
    LIFE_CUT = Warning "life-cut", "connections are cut although they are not silent",
        "Something allows a connection only so much time, whatever goes over it: clients connect again and again.",
        mends::LIFE;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_an_id_of_its_own_and_a_mend() {
        let ids: std::collections::BTreeSet<_> = ALL.iter().map(|problem| problem.id).collect();
        assert_eq!(ids.len(), ALL.len());
        for problem in ALL {
            assert!(!problem.mends.is_empty(), "{}", problem.id);
            assert!(problem.meaning.ends_with('.') && !problem.title.ends_with('.'), "{}", problem.id);
        }
    }
}
