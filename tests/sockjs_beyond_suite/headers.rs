//! Headers that browsers and caches need and the suite does not look at.

use crate::support::{Gateway, Request, Response, Transport, test_services};

const NO_CACHE: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";

/// One request for every kind of answer that an endpoint with this path gives, errors included, with what it is called here.
/// Sessions have ids that begin with `prefix`.
fn every_answer(path: &str, prefix: &str) -> Vec<(String, Request)> {
    let mut requests = vec![
        ("info".to_owned(), Request::get(format!("{path}/info"))),
        ("iframe".to_owned(), Request::get(format!("{path}/iframe.html"))),
        ("greeting".to_owned(), Request::get(path)),
        ("no such page".to_owned(), Request::get(format!("{path}/nothing"))),
        ("no handshake".to_owned(), Request::get(format!("{path}/0/0/websocket"))),
        ("no callback".to_owned(), Request::get(format!("{path}/0/0/jsonp"))),
        ("info preflight".to_owned(), Request::options(format!("{path}/info"))),
        ("wrong method".to_owned(), Request::get(format!("{path}/0/0/xhr"))),
    ];
    for transport in Transport::HTTP {
        let name = transport.segment();
        let id = format!("{prefix}-{name}");
        requests.push((name.to_owned(), transport.request(path, &id)));
        let sending = |payload| transport.sending_request(path, &id, payload).expect("HTTP transports send");
        requests.push((format!("sending over {name}"), sending(r#"["x"]"#)));
        requests.push((format!("sending garbage over {name}"), sending("{")));
    }
    for segment in ["xhr", "xhr_send", "xhr_streaming"] {
        requests.push((format!("{segment} preflight"), Request::options(format!("{path}/0/0/{segment}"))));
    }
    requests
}

/// The head of the answer; of a stream nothing more is read.
async fn head(gateway: &Gateway, request: Request) -> Response {
    gateway.open(request).await.0
}

#[tokio::test]
async fn no_answer_repeats_a_header() {
    let gateway = Gateway::start(test_services()).await;
    for origin in ["https://a.example", "null"] {
        for (name, request) in every_answer("/cookie_needed_echo", origin.trim_start_matches("https://a.")) {
            let head = head(&gateway, request.header("Origin", origin)).await;
            for (header, _) in &head.headers {
                assert_eq!(head.all(header).len(), 1, "{name}: {header}\n{}", head.head());
            }
        }
    }
}

#[tokio::test]
async fn answers_with_cors_headers_vary_by_origin() {
    let gateway = Gateway::start(test_services()).await;
    for (prefix, origin) in [("none", None), ("named", Some("https://a.example")), ("null", Some("null"))] {
        for (name, mut request) in every_answer("/echo", prefix) {
            if let Some(origin) = origin {
                request = request.header("Origin", origin);
            }
            let head = head(&gateway, request).await;
            // These are neither read by pages of other origins nor by any page.
            let bare = ["iframe", "greeting", "no such page", "no handshake", "no callback", "wrong method"];
            let without_cors = bare.contains(&name.as_str()) || name.contains("htmlfile") || name.contains("jsonp");
            let sends_over_xhr = name.contains("sending") && !name.contains("jsonp");
            if without_cors && !sends_over_xhr {
                assert_eq!(head.header("Access-Control-Allow-Origin"), None, "{name}");
                continue;
            }
            assert_eq!(head.all("Vary"), ["Origin"], "{name}");
            assert_eq!(head.header("Access-Control-Allow-Origin"), Some(origin.unwrap_or("*")), "{name}");
            assert_eq!(head.header("Access-Control-Allow-Credentials"), origin.map(|_| "true"), "{name}");
        }
    }
}

#[tokio::test]
async fn answers_of_sessions_are_never_cached_errors_included() {
    let gateway = Gateway::start(test_services()).await;
    let pages = ["iframe", "greeting", "no such page", "wrong method"];
    for (name, request) in every_answer("/echo", "cached") {
        if pages.contains(&name.as_str()) || name.contains("preflight") {
            continue;
        }
        let head = head(&gateway, request).await;
        assert_eq!(head.all("Cache-Control"), [NO_CACHE], "{name}");
    }
    let switched_off = head(&gateway, Request::get("/disabled_websocket_echo/0/0/websocket")).await;
    assert_eq!((switched_off.status, switched_off.all("Cache-Control")), (404, vec![NO_CACHE]));
}

#[tokio::test]
async fn jsonp_forbids_sniffing() {
    let gateway = Gateway::start(test_services()).await;
    for target in ["/echo/0/sniff/jsonp?c=x", "/echo/0/sniff/jsonp"] {
        let head = head(&gateway, Request::get(target)).await;
        assert_eq!(head.all("X-Content-Type-Options"), ["nosniff"], "{target}");
    }
}

#[tokio::test]
async fn streams_ask_proxies_not_to_buffer() {
    let gateway = Gateway::start(test_services()).await;
    for transport in Transport::HTTP {
        let head = head(&gateway, transport.request("/echo", transport.segment())).await;
        let expected = (!transport.is_polling()).then_some("no");
        assert_eq!(head.header("X-Accel-Buffering"), expected, "{transport:?}");
    }
}

#[tokio::test]
async fn eventsource_may_be_read_by_pages_of_other_origins() {
    let gateway = Gateway::start(test_services()).await;
    let request = |id: &str| Request::get(format!("/echo/0/{id}/eventsource"));
    let named = head(&gateway, request("named").header("Origin", "https://a.example")).await;
    assert_eq!(named.header("Access-Control-Allow-Origin"), Some("https://a.example"));
    assert_eq!(named.header("Access-Control-Allow-Credentials"), Some("true"));
    let null = head(&gateway, request("null").header("Origin", "null")).await;
    assert_eq!(null.header("Access-Control-Allow-Origin"), Some("null"));
    let unnamed = head(&gateway, request("unnamed")).await;
    assert_eq!(unnamed.header("Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(unnamed.header("Access-Control-Allow-Credentials"), None);
}

#[tokio::test]
async fn sends_and_preflights_set_the_cookie() {
    let gateway = Gateway::start(test_services()).await;
    for (name, request) in every_answer("/cookie_needed_echo", "cookie") {
        let wanted = name.contains("sending") || name.contains("preflight");
        if !wanted {
            continue;
        }
        let without = head(&gateway, request.clone()).await;
        assert_eq!(without.header("Set-Cookie"), Some("JSESSIONID=dummy; path=/"), "{name}");
        let with = head(&gateway, request.header("Cookie", "JSESSIONID=mine")).await;
        assert_eq!(with.header("Set-Cookie"), Some("JSESSIONID=mine; path=/"), "{name}");
    }
}

#[tokio::test]
async fn errors_of_sessions_set_the_cookie_and_pages_do_not() {
    let gateway = Gateway::start(test_services()).await;
    for (request, status) in [
        (Request::post("/cookie_needed_echo/0/unknown/xhr_send").body("[]"), 404),
        (Request::get("/cookie_needed_echo/0/0/htmlfile"), 500),
        (Request::get("/cookie_needed_echo/0/0/jsonp?c=%20"), 500),
    ] {
        let head = head(&gateway, request).await;
        assert_eq!(head.status, status);
        assert_eq!(head.header("Set-Cookie"), Some("JSESSIONID=dummy; path=/"));
    }
    for page in ["", "/info", "/iframe.html"] {
        let head = head(&gateway, Request::get(format!("/cookie_needed_echo{page}"))).await;
        assert_eq!((head.status, head.header("Set-Cookie")), (200, None), "{page}");
    }
}

#[tokio::test]
async fn the_cookie_takes_its_attributes_from_the_configuration() {
    let mut config = test_services();
    for endpoint in config.endpoints.iter_mut().filter(|endpoint| endpoint.cookie) {
        endpoint.cookie_same_site = Some(towpath::config::SameSite::None);
        endpoint.cookie_secure = true;
    }
    let gateway = Gateway::start(config).await;
    let head = head(&gateway, Request::post("/cookie_needed_echo/0/0/xhr")).await;
    let cookie = head.header("Set-Cookie").expect("a cookie").to_lowercase();
    assert_eq!(cookie, "jsessionid=dummy; path=/; samesite=none; secure");
}

#[tokio::test]
async fn wrong_methods_are_told_the_right_ones() {
    let gateway = Gateway::start(test_services()).await;
    for (method, target, allow) in [
        ("POST", "/echo", "GET"),
        ("POST", "/echo/iframe.html", "GET"),
        ("POST", "/echo/info", "OPTIONS, GET"),
        ("GET", "/echo/0/0/xhr", "POST, OPTIONS"),
        ("GET", "/echo/0/0/xhr_send", "POST, OPTIONS"),
        ("PUT", "/echo/0/0/xhr_streaming", "POST, OPTIONS"),
        ("OPTIONS", "/echo/0/0/eventsource", "GET"),
        ("OPTIONS", "/echo/0/0/htmlfile", "GET"),
        ("POST", "/echo/0/0/jsonp", "GET"),
        ("GET", "/echo/0/0/jsonp_send", "POST"),
        ("DELETE", "/echo/websocket", "GET"),
    ] {
        let response = gateway.request(Request::new(method, target)).await;
        assert_eq!((response.status, response.header("Allow")), (405, Some(allow)), "{method} {target}");
        assert_eq!((response.header("Content-Type"), response.text().as_str()), (None, ""), "{method} {target}");
    }
}

#[tokio::test]
async fn if_none_match_is_a_list_and_knows_weak_tags() {
    let gateway = Gateway::start(test_services()).await;
    let page = head(&gateway, Request::get("/echo/iframe.html")).await;
    let tag = page.header("ETag").expect("a tag");
    for (value, status) in [
        (format!("\"a\", {tag}"), 304),
        (format!("W/{tag}"), 304),
        ("*".to_owned(), 304),
        ("\"a\", \"b\"".to_owned(), 200),
        (tag.trim_matches('"').to_owned(), 200),
    ] {
        let response = gateway.request(Request::get("/echo/iframe.html").header("If-None-Match", &value)).await;
        assert_eq!(response.status, status, "{value}");
        assert_eq!(response.text().is_empty(), status == 304);
    }
}
