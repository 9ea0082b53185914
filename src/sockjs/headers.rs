//! Header values that the SockJS protocol fixes byte for byte, and the two small header readers that its pages and
//! cookies need. Clients and the protocol suite compare these texts exactly, so they stand in one place.
//!
//! Does not know: header maps, which answer gets which header (see [`Row`](super::route::Row)), allowed origins.

/// `Cache-Control` of every answer that belongs to a session, and of info. `no-transform` keeps mobile proxies from
/// recompressing, and so from holding back, a stream.
pub const NO_CACHE: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";

/// `Cache-Control` of the iframe page and of preflight answers.
pub const CACHE_ONE_YEAR: &str = "public, max-age=31536000";

/// One year in seconds: how far ahead `Expires` lies where [`CACHE_ONE_YEAR`] is sent.
pub const ONE_YEAR_SECONDS: u64 = 31_536_000;

/// `Access-Control-Max-Age` of preflight answers, in seconds.
pub const PREFLIGHT_MAX_AGE: &str = "31536000";

/// `Content-Type` of the greeting, of xhr_send and jsonp_send answers and of error texts.
pub const TEXT: &str = "text/plain; charset=UTF-8";
/// `Content-Type` of the iframe page and of htmlfile.
pub const HTML: &str = "text/html; charset=UTF-8";
/// `Content-Type` of info.
pub const JSON: &str = "application/json; charset=UTF-8";
/// `Content-Type` of xhr, xhr_streaming and jsonp.
pub const JAVASCRIPT: &str = "application/javascript; charset=UTF-8";
/// `Content-Type` of eventsource; the current protocol suite wants it without a charset.
pub const EVENT_STREAM: &str = "text/event-stream";

/// `X-Content-Type-Options` of jsonp, against its answer being sniffed as something else.
pub const NO_SNIFF: &str = "nosniff";
/// `X-Accel-Buffering` of streaming answers: tells nginx to pass every frame on at once.
pub const NO_BUFFERING: &str = "no";

/// Name of the cookie that load balancers use for sticky sessions.
pub const SESSION_COOKIE: &str = "JSESSIONID";
/// Value of [`SESSION_COOKIE`] where the request brought none.
pub const SESSION_COOKIE_DEFAULT: &str = "dummy";

/// The value to set for [`SESSION_COOKIE`], from the request's `Cookie` header: the value that came in, unchanged, so that
/// a load balancer can rewrite it on every answer, else [`SESSION_COOKIE_DEFAULT`].
pub fn session_cookie(cookie: Option<&str>) -> &str {
    cookie
        .into_iter()
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == SESSION_COOKIE && !value.is_empty()).then_some(value))
        .unwrap_or(SESSION_COOKIE_DEFAULT)
}

/// Whether an `If-None-Match` header names `etag` (which includes its quotes). The header is a list or `*`, and a weak
/// `W/` tag counts as equal to a strong one (RFC 9110 section 13.1.2).
pub fn none_match(if_none_match: &str, etag: &str) -> bool {
    if_none_match.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_cookie_is_echoed_or_dummy() {
        assert_eq!(session_cookie(None), "dummy");
        assert_eq!(session_cookie(Some("")), "dummy");
        assert_eq!(session_cookie(Some("JSESSIONID=")), "dummy");
        assert_eq!(session_cookie(Some("XJSESSIONID=a")), "dummy");
        assert_eq!(session_cookie(Some("JSESSIONID=abcdef")), "abcdef");
        assert_eq!(session_cookie(Some("a=b; JSESSIONID=x=y;c=d")), "x=y");
    }

    #[test]
    fn if_none_match_is_a_list_with_weak_tags() {
        assert!(none_match("\"a\"", "\"a\""));
        assert!(none_match("W/\"a\"", "\"a\""));
        assert!(none_match("\"b\" , W/\"a\"", "\"a\""));
        assert!(none_match("*", "\"a\""));
        assert!(!none_match("\"b\"", "\"a\""));
        assert!(!none_match("a", "\"a\""));
        assert!(!none_match("", "\"a\""));
    }
}
