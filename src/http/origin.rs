//! Who may ask: one rule for every transport, websocket handshakes included. Browsers name the page's origin in requests
//! across origins, in POSTs and in websocket handshakes; what they load for a `<script>` or `<iframe>` carries none, and
//! there `Sec-Fetch-Site` tells the page's own site from others, where the browser sends it.
//!
//! Does not know: what was asked for.

use hyper::HeaderMap;
use hyper::header::{self, HeaderValue};

use crate::config::AllowedOrigins;

/// Whether a request with these headers may use an endpoint with this rule.
pub(super) fn is_allowed(rule: &AllowedOrigins, headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN);
    match (rule, origin) {
        (AllowedOrigins::Any, _) => true,
        (AllowedOrigins::SameHost, None) => !comes_from_elsewhere(headers),
        (AllowedOrigins::SameHost, Some(origin)) => is_same_host(origin, headers.get(header::HOST)),
        // The transports whose requests carry no Origin are off under a list, unless the configuration names them.
        (AllowedOrigins::List(_), None) => true,
        (AllowedOrigins::List(list), Some(origin)) => {
            list.iter().any(|allowed| origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes()))
        }
    }
}

fn comes_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| matches!(site.as_bytes(), b"cross-site" | b"same-site"))
}

/// The origin's host and port are the ones that the request was sent to. The scheme may differ: behind a proxy that ends
/// TLS the gateway does not know its own.
fn is_same_host(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let (Ok(origin), Some(Ok(host))) = (origin.to_str(), host.map(HeaderValue::to_str)) else {
        return false;
    };
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let plain = |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_ascii_lowercase();
    plain(authority) == plain(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rule: &AllowedOrigins, headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        is_allowed(rule, &map)
    }

    #[test]
    fn same_host_compares_host_and_port() {
        let rule = AllowedOrigins::SameHost;
        for (origin, host, expected) in [
            ("http://a.example", "a.example", true),
            ("https://A.example", "a.example", true),
            ("https://a.example", "a.example:443", true),
            ("http://a.example:80", "a.example", true),
            ("http://a.example:8080", "a.example:8080", true),
            ("http://a.example:8080", "a.example", false),
            ("http://a.example:443", "a.example", false),
            ("http://b.example", "a.example", false),
            ("http://a.example.evil", "a.example", false),
            ("null", "a.example", false),
            ("a.example", "a.example", false),
            ("file://a.example", "a.example", false),
            ("", "", false),
        ] {
            assert_eq!(allowed(&rule, &[("origin", origin), ("host", host)]), expected, "{origin} at {host}");
        }
        assert!(!allowed(&rule, &[("origin", "http://a.example")]), "without a Host there is no same host");
    }

    #[test]
    fn without_an_origin_the_fetch_site_decides() {
        let rule = AllowedOrigins::SameHost;
        assert!(allowed(&rule, &[]));
        assert!(allowed(&rule, &[("sec-fetch-site", "same-origin")]));
        assert!(allowed(&rule, &[("sec-fetch-site", "none")]));
        assert!(!allowed(&rule, &[("sec-fetch-site", "cross-site")]));
        assert!(!allowed(&rule, &[("sec-fetch-site", "same-site")]));
        assert!(allowed(&AllowedOrigins::Any, &[("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn a_list_is_exact() {
        let rule = AllowedOrigins::List(vec!["https://app.example".into(), "null".into()]);
        assert!(allowed(&rule, &[("origin", "https://app.example")]));
        assert!(allowed(&rule, &[("origin", "https://APP.example")]));
        assert!(allowed(&rule, &[("origin", "null")]));
        assert!(!allowed(&rule, &[("origin", "http://app.example")]));
        assert!(!allowed(&rule, &[("origin", "https://app.example:8443")]));
        assert!(!allowed(&rule, &[("origin", "https://gateway.example"), ("host", "gateway.example")]));
    }
}
