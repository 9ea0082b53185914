//! The cookies that a server sets: load balancers choose a server by them, and every request of a session must reach the same one.
//! All of one service's requests go to one host, so that names and values are all there is to know of them.
//!
//! Does not know: paths, domains, and how long a cookie lives; only one that is taken back is forgotten.

use hyper::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};

/// More are not kept, nor are larger ones: no load balancer needs them.
const MOST: usize = 32;
const LONGEST: usize = 4096;

/// What the server has set so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// Takes the cookies of an answer.
    pub fn take(&mut self, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            self.0.retain(|(known, _)| known != name);
            let taken_back = parts.any(|part| part.eq_ignore_ascii_case("max-age=0"));
            if !taken_back && !name.is_empty() && self.0.len() < MOST && line.len() <= LONGEST {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// Puts them into a request, behind those that its `Cookie` header has already.
    pub fn put(&self, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        let own = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned);
        let set = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        let line = own.chain(set).collect::<Vec<_>>().join("; ");
        if let Ok(mut value) = HeaderValue::from_str(&line) {
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_goes_with_the_next_request() {
        let set = |cookies: &mut Cookies, line: &'static str| {
            cookies.take(&[(SET_COOKIE, HeaderValue::from_static(line))].into_iter().collect());
        };
        let sent = |cookies: &Cookies, own: Option<&'static str>| {
            let mut headers: HeaderMap = own.map(|own| (COOKIE, HeaderValue::from_static(own))).into_iter().collect();
            cookies.put(&mut headers);
            headers.get(COOKIE).map(|value| value.to_str().unwrap().to_owned())
        };
        let mut cookies = Cookies::default();
        assert_eq!(sent(&cookies, None), None);
        set(&mut cookies, "JSESSIONID=dummy; path=/");
        set(&mut cookies, "route=a; HttpOnly");
        set(&mut cookies, "JSESSIONID=b");
        assert_eq!(sent(&cookies, Some("own=1")).as_deref(), Some("own=1; route=a; JSESSIONID=b"));
        set(&mut cookies, "route=; Max-Age=0");
        assert_eq!(sent(&cookies, None).as_deref(), Some("JSESSIONID=b"));
    }
}
