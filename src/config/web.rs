//! What HTTP makes of a text: paths that requests can be compared with, addresses of other servers, names of headers and
//! cookies.
//!
//! Does not know: which setting it looks at, or whether anybody answers at an address.

use super::error::Complaint;
use super::origins::{is_host, is_port, split_port};

/// The schemes of a backend.
pub(super) const HTTP: [&str; 2] = ["http", "https"];
/// The schemes of a websocket server.
pub(super) const WEBSOCKET: [&str; 2] = ["ws", "wss"];

/// A path as it can be compared with a request's, segment by segment (SockJS protocol, URLs: a base URL never ends in a slash).
pub(super) fn check_path(path: &str, example: &str) -> Result<(), Complaint> {
    let complain = |fault: &str, mend: String| Err(Complaint::new(format!("is {path:?}, {fault}"), mend));
    if path.is_empty() || path == "/" {
        return complain(
            "which is the landing page's place",
            format!("write a path with a name, such as \"{example}\""),
        );
    }
    if !path.starts_with('/') {
        return complain("which does not begin with a slash", format!("write \"/{path}\""));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@".contains(c);
    if let Some(odd) = path.chars().find(|c| !allowed(*c)) {
        return complain(&format!("which has a {odd:?} in it"), "use letters, digits and - . _ ~ only".to_owned());
    }
    if path.ends_with('/') {
        let bare = path.trim_end_matches('/');
        let mend = if bare.is_empty() { example } else { bare };
        return complain("which ends in a slash", format!("write {mend:?}"));
    }
    if path.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
        return complain("which has an empty or a dot segment", "write every segment's name".to_owned());
    }
    Ok(())
}

/// What follows `outer` and a slash in `inner`, if `inner` lies below it.
pub(super) fn below<'p>(outer: &str, inner: &'p str) -> Option<&'p str> {
    inner.strip_prefix(outer)?.strip_prefix('/')
}

/// Whether the one path is the other or lies below it.
pub(super) fn at_or_below(outer: &str, inner: &str) -> bool {
    inner == outer || below(outer, inner).is_some()
}

/// The parts of a URL that placeholders may or may not stand in.
pub(super) struct Url<'u> {
    pub(super) path: &'u str,
    pub(super) query: &'u str,
}

/// The address of another server, of one of these schemes (RFC 3986). Braces are left to the caller, wherever they stand behind
/// the host.
pub(super) fn check_url<'u>(url: &'u str, schemes: &[&str; 2], example: &str) -> Result<Url<'u>, Complaint> {
    let complain = |fault: String, mend: String| Err(Complaint::new(format!("is {url:?}, {fault}"), mend));
    let such_as = || format!("write a URL such as \"{example}\"");
    let Some((scheme, rest)) = url.split_once("://") else {
        return complain("which is no URL".to_owned(), such_as());
    };
    let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // The first of all complaints, since the others show the text.
    if authority.contains('@') {
        return Err(Complaint::new("has a user or a password before its @", "leave them out: URLs turn up in logs"));
    }
    if !schemes.contains(&scheme) {
        let [one, other] = schemes;
        return complain(format!("which begins neither with {one}:// nor with {other}://"), such_as());
    }
    if let Some(odd) = url.chars().find(|c| !c.is_ascii_graphic()) {
        let mend = if authority.contains(odd) { "write the host in its xn-- form" } else { "percent-escape it" };
        return complain(format!("which has a {odd:?} in it"), mend.to_owned());
    }
    let (host, port) = split_port(authority);
    if host.is_empty() {
        return complain("which has no host".to_owned(), such_as());
    }
    if !is_host(&host.to_ascii_lowercase()) {
        return complain("whose host is malformed".to_owned(), such_as());
    }
    if port.is_some_and(|port| !is_port(port)) {
        return complain("whose port is malformed".to_owned(), "write a port from 1 to 65535".to_owned());
    }
    if let Some((bare, _)) = url.split_once('#') {
        return complain("but what stands behind a # is never sent".to_owned(), format!("write {bare:?}"));
    }
    let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
    Ok(Url { path, query })
}

/// The address of a backend that is always the same.
pub(super) fn check_backend(url: &str) -> Result<(), Complaint> {
    check_fixed(url, &HTTP, "http://127.0.0.1:3000/hook")
}

/// An address without placeholders.
pub(super) fn check_fixed(url: &str, schemes: &[&str; 2], example: &str) -> Result<(), Complaint> {
    check_url(url, schemes, example)?;
    if url.contains(['{', '}']) {
        let fault = format!("is {url:?}, which has a placeholder, and there is nothing here to fill it from");
        return Err(Complaint::new(fault, "write the whole address"));
    }
    Ok(())
}

/// Whether a text can be the name of a header or a cookie (RFC 9110, section 5.6.2: token).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let url = check_url("https://A.example:8443/x/y?z=/1", &HTTP, "").unwrap_or_else(|found| panic!("{found:?}"));
        assert_eq!((url.path, url.query), ("/x/y", "z=/1"));
        for text in ["http://h", "http://127.0.0.1:1", "http://[::1]:3000/", "http://h?q", "http://h/{a}"] {
            assert!(check_url(text, &HTTP, "").is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in [
            "",
            "h",
            "://",
            "http://",
            "http:///x",
            "http:/h",
            "ftp://h",
            "HTTP://h",
            "http://h:0",
            "http://h:x",
            "http://h:",
            "http://h:65536",
            "http://[::1",
            "http://h h",
            "http://h/ ",
            "http://h/ä",
            "http://h/#x",
            "http://{h}/",
            "http://h\n",
        ] {
            assert!(check_url(text, &HTTP, "").is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_shown() {
        for text in ["http://ann:pw@h/", "ftp://ann:pw@h", "http://pw@", "http://ann:pw@h/ #"] {
            let Err(complaint) = check_url(text, &HTTP, "") else { panic!("{text} is taken") };
            assert!(!format!("{complaint:?}").contains("pw"), "{complaint:?}");
        }
    }

    #[test]
    fn names_of_headers_are_tokens() {
        assert!(is_token("X-Request-Id") && is_token("towpath_session"));
        for text in ["", "a b", "a:b", "a=b", "a;", "ä", "a\n"] {
            assert!(!is_token(text), "{text:?}");
        }
    }
}
