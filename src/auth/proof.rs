//! Where a request may bring a proof of who it comes from: its query, the `Authorization` header, the websocket subprotocols, a
//! cookie. An empty value is none: pages write `ticket=${ticket}` with nothing to put there, and a backend empties a cookie.
//!
//! Does not know: whether a proof is good.

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE, SEC_WEBSOCKET_PROTOCOL};

/// How a subprotocol begins that is a token in truth. A browser's `WebSocket` can set no other header.
const BEARER: &str = "bearer.";

/// What a request brings.
#[derive(PartialEq, Eq)]
pub(super) enum Proof<'r> {
    /// A ticket.
    Ticket(&'r str),
    /// A token.
    Token(&'r str),
    /// Something in the place of a token that is no text.
    Garbage,
}

/// The ticket in a URL's query. Tickets consist of digits and letters, so nothing is to be unescaped.
pub(super) fn ticket(query: Option<&str>) -> Option<Proof<'_>> {
    let values = query?.split('&').filter_map(|pair| pair.strip_prefix("ticket="));
    values.filter(|value| !value.is_empty()).map(Proof::Ticket).next()
}

/// The token in `Authorization: Bearer` (RFC 6750, section 2.1). Other schemes are somebody else's.
pub(super) fn bearer(headers: &HeaderMap) -> Option<Proof<'_>> {
    headers.get_all(AUTHORIZATION).iter().find_map(|value| token(after_bearer(value.as_bytes())?))
}

/// The token among the subprotocols that a websocket's client offers.
pub(super) fn subprotocol(headers: &HeaderMap) -> Option<Proof<'_>> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut entries = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    entries.find_map(|entry| token(strip_prefix_ignoring_case(entry.trim_ascii(), BEARER)?))
}

/// The subprotocols that are offered, without those that hold a token for us, if there are such.
pub(super) fn subprotocols(headers: &HeaderMap, without_tokens: bool) -> Vec<String> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let entries = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let names = entries.map(str::trim).filter(|entry| !entry.is_empty());
    let is_token = |entry: &&str| strip_prefix_ignoring_case(entry.as_bytes(), BEARER).is_some();
    names.filter(|entry| !(without_tokens && is_token(entry))).map(str::to_owned).collect()
}

/// The token in the cookie of that name. The first one counts: it has the longest path (RFC 6265, section 5.4).
pub(super) fn cookie<'r>(headers: &'r HeaderMap, name: &str) -> Option<Proof<'r>> {
    let values = headers.get_all(COOKIE).iter();
    let mut pairs = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    pairs.find_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        token(quoted.unwrap_or(value))
    })
}

fn after_bearer(value: &[u8]) -> Option<&[u8]> {
    // The scheme's name has no case (RFC 9110, section 11.1).
    let rest = strip_prefix_ignoring_case(value.trim_ascii(), "bearer")?;
    let token = rest.trim_ascii_start();
    // `Bearers x` is another scheme, `Bearer` alone is this one.
    (token.len() < rest.len() || rest.is_empty()).then_some(token)
}

fn token(bytes: &[u8]) -> Option<Proof<'_>> {
    match std::str::from_utf8(bytes) {
        Ok("") => None,
        Ok(text) => Some(Proof::Token(text)),
        Err(_) => Some(Proof::Garbage),
    }
}

fn strip_prefix_ignoring_case<'b>(bytes: &'b [u8], prefix: &str) -> Option<&'b [u8]> {
    let (start, rest) = bytes.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect()
    }

    fn shown(proof: Option<Proof<'_>>) -> String {
        match proof {
            None => "-".to_owned(),
            Some(Proof::Ticket(text) | Proof::Token(text)) => text.to_owned(),
            Some(Proof::Garbage) => "garbage".to_owned(),
        }
    }

    #[test]
    fn a_ticket_is_found_in_the_query() {
        for (query, found) in [
            ("ticket=abc", "abc"),
            ("t=17&ticket=abc&x", "abc"),
            ("ticket=", "-"),
            ("ticket", "-"),
            ("tickets=abc&noticket=d", "-"),
            ("ticket=a&ticket=b", "a"),
            ("", "-"),
        ] {
            assert_eq!(shown(ticket(Some(query))), found, "{query}");
        }
        assert!(ticket(None).is_none());
    }

    #[test]
    fn a_bearer_token_is_found_in_the_header() {
        for (values, found) in [
            (&["Bearer abc"][..], "abc"),
            (&["bearer   abc "], "abc"),
            (&["Bearer"], "-"),
            (&["Bearer "], "-"),
            (&["Bearers abc"], "-"),
            (&["Basic abc"], "-"),
            (&["Basic abc", "Bearer def"], "def"),
            (&[""], "-"),
        ] {
            assert_eq!(shown(bearer(&headers(AUTHORIZATION, values))), found, "{values:?}");
        }
        let odd: HeaderMap = [(AUTHORIZATION, HeaderValue::from_bytes(b"Bearer \xff").unwrap())].into_iter().collect();
        assert_eq!(shown(bearer(&odd)), "garbage");
    }

    #[test]
    fn a_subprotocol_may_be_a_token_and_is_none_then() {
        for (values, found, others) in [
            (&["v12.stomp, bearer.a.b.c"][..], "a.b.c", &["v12.stomp"][..]),
            (&["v12.stomp", "Bearer.a.b.c,v11.stomp"], "a.b.c", &["v12.stomp", "v11.stomp"]),
            (&["bearer., v12.stomp,, "], "-", &["v12.stomp"]),
            (&["bearer"], "-", &["bearer"]),
            (&["bearer.a, bearer.b"], "a", &[]),
        ] {
            let headers = headers(SEC_WEBSOCKET_PROTOCOL, values);
            assert_eq!(shown(subprotocol(&headers)), found, "{values:?}");
            assert_eq!(subprotocols(&headers, true), others, "{values:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        for (values, found) in [
            (&["token=abc"][..], "abc"),
            (&["JSESSIONID=dummy;token=abc ; x=y"], "abc"),
            (&["x=y", "token=\"abc\""], "abc"),
            (&["xtoken=abc; token2=d; token"], "-"),
            (&["token="], "-"),
            (&["token=a; token=b"], "a"),
            (&["token=a=b"], "a=b"),
        ] {
            assert_eq!(shown(cookie(&headers(COOKIE, values), "token")), found, "{values:?}");
        }
    }
}
