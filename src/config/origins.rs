//! Which pages may talk to an endpoint: the setting, and what an origin looks like when a browser writes it.
//!
//! Does not know: requests, headers, how an origin is compared with a host.

use std::net::Ipv6Addr;

use super::error::Complaint;

/// The `allowed_origins` of an endpoint: a rule about the `Origin` header of a request (SockJS protocol, CORS header set).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Only pages served under the host and port that the request itself names. The default, and what leaving the key out
    /// means.
    #[default]
    SameHost,
    /// Every page: `["*"]`. For test services and for public data.
    Any,
    /// Exactly these, each as a browser writes it: `scheme://host`, `scheme://host:port`, or `null`.
    List(Vec<String>),
}

impl AllowedOrigins {
    /// What a list in the file means. A list that makes no sense is kept as it is, for [`AllowedOrigins::check`] to refuse.
    pub(super) fn from_list(list: Vec<String>) -> Self {
        if list == ["*"] { AllowedOrigins::Any } else { AllowedOrigins::List(list) }
    }

    /// The list a file would hold; none where it would leave the key out.
    pub(super) fn as_list(&self) -> Option<Vec<String>> {
        match self {
            AllowedOrigins::SameHost => None,
            AllowedOrigins::Any => Some(vec!["*".to_owned()]),
            AllowedOrigins::List(list) => Some(list.clone()),
        }
    }

    /// Refuses lists that allow nobody, that contradict themselves, or that hold what no browser would ever send: a listed
    /// origin is compared as text, so one with a stray slash would lock its page out without a word.
    pub(super) fn check(&self) -> Result<(), Complaint> {
        let AllowedOrigins::List(list) = self else {
            return Ok(());
        };
        if list.is_empty() {
            return Err(Complaint::new(
                "is an empty list, which would allow nobody",
                "name the origins, or leave the key out for the same host only",
            ));
        }
        if list.iter().any(|origin| origin == "*") {
            return Err(Complaint::new(
                "holds \"*\" beside other origins, which \"*\" allows anyway",
                "write [\"*\"] alone, or only the others",
            ));
        }
        list.iter().try_for_each(|origin| check_origin(origin))
    }
}

fn check_origin(origin: &str) -> Result<(), Complaint> {
    if origin == "null" {
        return Ok(());
    }
    let complain = |fault: &str, mend: String| Err(Complaint::new(format!("holds {origin:?}, {fault}"), mend));
    let Some((scheme, authority)) = origin.split_once("://") else {
        return complain("which has no scheme", format!("write \"https://{origin}\" or \"http://{origin}\""));
    };
    if !is_scheme(&scheme.to_ascii_lowercase()) {
        return complain("whose scheme is malformed", "write \"https://...\" or \"http://...\"".to_owned());
    }
    if let Some(end) = authority.find(['/', '?', '#']) {
        let (bare, _) = authority.split_at(end);
        return complain("but an origin has no path", format!("write \"{scheme}://{bare}\""));
    }
    if authority.contains('@') {
        return complain("but an origin has no user", "leave out what stands before the @".to_owned());
    }
    if authority.contains('*') {
        return complain("but patterns are not supported", "name each origin in full".to_owned());
    }
    if !authority.is_ascii() {
        return complain("but browsers send the ASCII form of a host", "write its xn-- form".to_owned());
    }
    if origin.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return complain("but browsers send lower case", format!("write {:?}", origin.to_ascii_lowercase()));
    }
    let (host, port) = split_port(authority);
    if !is_host(host) {
        return complain("whose host is malformed", "write \"scheme://host\" or \"scheme://host:port\"".to_owned());
    }
    match port {
        Some(port) if !is_port(port) => complain("whose port is malformed", "write a port from 1 to 65535".to_owned()),
        Some(port) if default_port(scheme) == Some(port) => {
            complain("but browsers leave out the scheme's own port", format!("write \"{scheme}://{host}\""))
        }
        _ => Ok(()),
    }
}

/// Lower case only; the caller has already folded it.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
}

/// Splits at the colon before a port; the colons of an IPv6 address stand within brackets.
pub(super) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

pub(super) fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        // Browsers send the canonical form, so another spelling would never match.
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte))
        }
    }
}

pub(super) fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0') && port.parse::<u16>().is_ok()
}

fn default_port(scheme: &str) -> Option<&'static str> {
    match scheme {
        "http" | "ws" => Some("80"),
        "https" | "wss" => Some("443"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(origins: &[&str]) -> Result<(), Complaint> {
        AllowedOrigins::from_list(origins.iter().map(|origin| (*origin).to_owned()).collect()).check()
    }

    #[test]
    fn what_browsers_send_is_taken() {
        for origin in [
            "*",
            "null",
            "https://example.com",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "https://[2001:db8::1]",
            "chrome-extension://abcdefghijklmnop",
            "capacitor://localhost",
            "http://example.com:443",
        ] {
            assert_eq!(check(&[origin]), Ok(()), "{origin}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused_with_the_form_it_would_send() {
        for (origin, mend) in [
            ("example.com", "write \"https://example.com\" or \"http://example.com\""),
            ("https://example.com/", "write \"https://example.com\""),
            ("https://example.com/app?x", "write \"https://example.com\""),
            ("https://Example.com", "write \"https://example.com\""),
            ("https://example.com:443", "write \"https://example.com\""),
            ("http://[::1]:80", "write \"http://[::1]\""),
            ("https://*.example.com", "name each origin in full"),
            ("https://b\u{fc}cher.example", "write its xn-- form"),
            ("https://example.com:0", "write a port from 1 to 65535"),
            ("https://example.com:65536", "write a port from 1 to 65535"),
            ("https://example.com:", "write a port from 1 to 65535"),
            ("https://", "write \"scheme://host\" or \"scheme://host:port\""),
            ("https://[::0:1]", "write \"scheme://host\" or \"scheme://host:port\""),
            ("https://user@example.com", "leave out what stands before the @"),
            ("://example.com", "write \"https://...\" or \"http://...\""),
        ] {
            assert_eq!(check(&[origin]).map_err(|complaint| complaint.mend), Err(mend.to_owned()), "{origin}");
        }
    }

    #[test]
    fn a_list_must_allow_somebody_and_not_contradict_itself() {
        assert!(check(&[]).is_err());
        assert!(check(&["*", "https://example.com"]).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_without_a_panic(origin in ".{0,30}", tail in "[a-z:/\\[\\]@.*0-9]{0,20}") {
            let _ = check(&[&origin]);
            let _ = check(&[&format!("https://{tail}")]);
        }
    }
}
