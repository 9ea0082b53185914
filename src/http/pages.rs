//! Pages without a session: greeting, info, the iframe page, the landing page, metrics.
//!
//! Does not know: transports beyond whether an endpoint offers them.

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use rand::Rng as _;

use super::reply::Asker;
use super::{Body, reply};
use crate::config::{self, AllowedOrigins};
use crate::sockjs::{self, headers, pages};

/// One document in one answer, put together from readable files; the scripts share one scope in this order.
const LANDING_PAGE: &str = concat!(
    include_str!("landing/head.html"),
    "<style>\n",
    include_str!("landing/style.css"),
    "</style>\n",
    include_str!("landing/body.html"),
    "<script type=\"module\">\n",
    include_str!("landing/sockjs.js"),
    "\n",
    include_str!("landing/stomp.js"),
    "\n",
    include_str!("landing/gateway.js"),
    "\n",
    include_str!("landing/row.js"),
    "\n",
    include_str!("landing/chat.js"),
    "\n",
    include_str!("landing/page.js"),
    "</script>\n",
);

/// The page at `/`: shows every transport of this browser at work.
pub(super) fn landing() -> Response<Body> {
    let mut response = reply::with_type(StatusCode::OK, headers::HTML, LANDING_PAGE);
    reply::set(&mut response, header::CACHE_CONTROL, "no-cache");
    reply::set(
        &mut response,
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self' ws: wss:",
    );
    response
}

/// `Welcome to SockJS!`
pub(super) fn greeting() -> Response<Body> {
    reply::with_type(StatusCode::OK, headers::TEXT, pages::GREETING)
}

/// What a client needs to know before it chooses a transport.
pub(super) fn info(endpoint: &config::Endpoint, asker: &Asker) -> Response<Body> {
    let offered = config::Transport::ALL.into_iter().filter(|transport| endpoint.enabled(*transport));
    let names: Vec<_> = offered.map(config::Transport::name).collect();
    let websocket = endpoint.enabled(config::Transport::Websocket);
    let info = sockjs::info(websocket, endpoint.cookie, rand::rng().next_u32(), &names);
    let mut response = reply::with_type(StatusCode::OK, headers::JSON, info);
    reply::no_cache(&mut response);
    reply::cors(&mut response, endpoint, asker);
    response
}

/// The page that carries transports across origins in old browsers. Its script must be exactly the client's version, so
/// the version in the URL, which clients send, goes into the script's URL where the setting has `{version}`.
pub(super) fn iframe(endpoint: &config::Endpoint, version: Option<&str>, request: &HeaderMap) -> Response<Body> {
    let version = version.filter(|version| is_release(version)).unwrap_or("1");
    let page = pages::iframe_page(&endpoint.client_url.replace("{version}", version));
    let etag = pages::etag(&page);
    let known =
        reply::request_text(request, &header::IF_NONE_MATCH).is_some_and(|tags| headers::none_match(tags, &etag));
    let mut response = if known {
        reply::bare(StatusCode::NOT_MODIFIED)
    } else {
        reply::with_type(StatusCode::OK, headers::HTML, page)
    };
    reply::cache_one_year(&mut response);
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    if endpoint.allowed_origins == AllowedOrigins::SameHost {
        reply::set(&mut response, header::X_FRAME_OPTIONS, "SAMEORIGIN");
    }
    response
}

/// The metrics in the text format of Prometheus.
pub(super) fn metrics(text: String) -> Response<Body> {
    let mut response = reply::with_type(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", Bytes::from(text));
    reply::no_cache(&mut response);
    response
}

/// Three numbers and two dots: what a published client calls itself.
fn is_release(version: &str) -> bool {
    let mut parts = 0;
    let numeric = version.split('.').all(|part| {
        parts += 1;
        !part.is_empty() && part.len() <= 5 && part.bytes().all(|byte| byte.is_ascii_digit())
    });
    numeric && parts == 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_releases_become_part_of_the_script_url() {
        for (version, expected) in [
            ("1.6.1", true),
            ("0.3.4", true),
            ("1.6", false),
            ("1.6.1.2", false),
            ("1.6.1-rc.1", false),
            ("", false),
            ("..", false),
            ("a.b.c", false),
            ("1.6.123456", false),
        ] {
            assert_eq!(is_release(version), expected, "{version:?}");
        }
    }
}
