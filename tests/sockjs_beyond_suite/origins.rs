//! Who may ask: one rule for every transport, handshakes and preflights included.

use towpath::config::{AllowedOrigins, Endpoint, Transport as Setting, Transports};

use crate::support::metrics::Meter;
use crate::support::{Gateway, Request, Transport, echo, serving};

const LISTED: &str = "https://app.example";

/// The origins that ask: none, the gateway's own, one that a list names, a stranger, and a sandboxed page.
const ORIGINS: [Option<&str>; 5] =
    [None, Some("http://localhost"), Some(LISTED), Some("https://evil.example"), Some("null")];

/// Three rules, and what each of [`ORIGINS`] may do under it.
fn rules() -> [(AllowedOrigins, [bool; 5]); 3] {
    [
        (AllowedOrigins::Any, [true; 5]),
        (AllowedOrigins::SameHost, [true, true, false, false, false]),
        (AllowedOrigins::List(vec![LISTED.to_owned()]), [true, false, true, false, false]),
    ]
}

/// An endpoint with that rule and every transport, also those that a list would turn off.
fn endpoint(rule: &AllowedOrigins) -> Endpoint {
    let transports = Transports::Only(Setting::ALL.into_iter().collect());
    Endpoint { allowed_origins: rule.clone(), transports, ..echo() }
}

fn with_origin(request: Request, origin: Option<&str>) -> Request {
    match origin {
        Some(origin) => request.header("Origin", origin),
        None => request,
    }
}

/// Runs `request`, which is answered with `status` if it is allowed, under every rule from every origin. `prepare` is
/// sent before it without an origin, which every rule allows.
async fn assert_ruled(status: u16, prepare: Option<Request>, request: Request) {
    for (rule, expected) in rules() {
        for (origin, allowed) in ORIGINS.into_iter().zip(expected) {
            let meter = Meter::install();
            let gateway = Gateway::start(serving([endpoint(&rule)])).await;
            if let Some(prepare) = &prepare {
                assert_eq!(gateway.request(prepare.clone()).await.status, 200);
            }
            let before = gateway.sessions("/echo");
            let (head, _stream) = gateway.open(with_origin(request.clone(), origin)).await;
            let context = format!("{rule:?} and {origin:?}\n{}", head.head());
            let refused = meter.counter("towpath_origin_refused_total", &[]);
            if allowed {
                assert_eq!((head.status, refused), (status, 0), "{context}");
                continue;
            }
            assert_eq!((head.status, refused), (403, 1), "{context}");
            assert_eq!(head.header("Access-Control-Allow-Origin"), None, "{context}");
            assert_eq!(head.all("Vary"), ["Origin"], "{context}");
            assert_eq!(gateway.sessions("/echo"), before, "a refused request opens nothing: {context}");
        }
    }
}

macro_rules! receiving {
    ($($name:ident: $transport:ident => $status:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            assert_ruled($status, None, Transport::$transport.request("/echo", "asked")).await;
        }
    )*};
}

receiving! {
    websocket_handshakes_are_ruled: Websocket => 101;
    raw_websocket_handshakes_are_ruled: RawWebsocket => 101;
    xhr_is_ruled: Xhr => 200;
    xhr_streaming_is_ruled: XhrStreaming => 200;
    eventsource_is_ruled: EventSource => 200;
    htmlfile_is_ruled: HtmlFile => 200;
    jsonp_is_ruled: Jsonp => 200;
}

#[tokio::test]
async fn xhr_send_is_ruled() {
    let send = Transport::Xhr.sending_request("/echo", "asked", r#"["x"]"#).expect("a sender");
    assert_ruled(204, Some(Transport::Xhr.request("/echo", "asked")), send).await;
}

#[tokio::test]
async fn jsonp_send_is_ruled() {
    let send = Transport::Jsonp.sending_request("/echo", "asked", r#"["x"]"#).expect("a sender");
    assert_ruled(200, Some(Transport::Jsonp.request("/echo", "asked")), send).await;
}

#[tokio::test]
async fn info_is_ruled() {
    assert_ruled(200, None, Request::get("/echo/info")).await;
}

#[tokio::test]
async fn preflights_are_ruled() {
    for target in ["/echo/info", "/echo/0/asked/xhr", "/echo/0/asked/xhr_send", "/echo/0/asked/xhr_streaming"] {
        assert_ruled(204, None, Request::options(target)).await;
    }
}

#[tokio::test]
async fn an_allowed_origin_is_reflected_and_a_missing_one_gets_a_star_only_where_all_may_ask() {
    for (rule, _) in rules() {
        let gateway = Gateway::start(serving([endpoint(&rule)])).await;
        let unnamed = gateway.request(Request::get("/echo/info")).await;
        let star = (rule == AllowedOrigins::Any).then_some("*");
        assert_eq!(unnamed.header("Access-Control-Allow-Origin"), star);
        let allowed = if rule == AllowedOrigins::SameHost { "http://localhost" } else { LISTED };
        let named = gateway.request(Request::get("/echo/info").header("Origin", allowed)).await;
        assert_eq!(named.header("Access-Control-Allow-Origin"), Some(allowed));
        assert_eq!(named.header("Access-Control-Allow-Credentials"), Some("true"));
    }
}

#[tokio::test]
async fn the_same_host_is_host_and_port() {
    let gateway = Gateway::start(serving([endpoint(&AllowedOrigins::SameHost)])).await;
    for (host, origin, status) in [
        ("gateway.example", "http://gateway.example", 200),
        ("gateway.example", "https://gateway.example", 200),
        ("gateway.example:8080", "http://gateway.example:8080", 200),
        ("Gateway.Example", "http://gateway.example", 200),
        ("gateway.example:8080", "http://gateway.example", 403),
        ("gateway.example", "http://gateway.example:8080", 403),
        ("gateway.example", "http://gateway.example.evil", 403),
        ("gateway.example", "http://evil.example", 403),
        ("gateway.example", "gateway.example", 403),
        ("gateway.example", "", 403),
    ] {
        let request = Request::get("/echo/info").host(Some(host)).header("Origin", origin);
        assert_eq!(gateway.request(request).await.status, status, "{origin:?} at {host}");
    }
}

#[tokio::test]
async fn scripts_and_frames_of_other_sites_are_refused_where_the_browser_names_the_site() {
    let gateway = Gateway::start(serving([endpoint(&AllowedOrigins::SameHost)])).await;
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
        for transport in [Transport::Jsonp, Transport::HtmlFile] {
            let id = format!("{site}-{}", transport.segment());
            let request = transport.request("/echo", &id).header("Sec-Fetch-Site", site);
            assert_eq!(gateway.open(request).await.0.status, status, "{site} {transport:?}");
        }
    }
}

#[tokio::test]
async fn a_list_turns_off_what_it_cannot_rule() {
    let listed = Endpoint { allowed_origins: AllowedOrigins::List(vec![LISTED.to_owned()]), ..echo() };
    let gateway = Gateway::start(serving([listed])).await;
    for request in [
        Transport::Jsonp.request("/echo", "off"),
        Transport::HtmlFile.request("/echo", "off"),
        Request::post("/echo/0/off/jsonp_send").body("[]"),
        Request::get("/echo/iframe.html"),
        Request::get("/echo/iframe-1.6.1.html"),
    ] {
        for request in [request.clone(), request.header("Origin", LISTED)] {
            assert_eq!(gateway.request(request).await.status, 404);
        }
    }
    let info = gateway.request(Request::get("/echo/info").header("Origin", LISTED)).await;
    let info: serde_json::Value = serde_json::from_slice(&info.body()).expect("info is JSON");
    let offered = ["websocket", "raw-websocket", "xhr-streaming", "xhr-polling", "eventsource"];
    assert_eq!(info["transports"], serde_json::json!(offered));
    assert_eq!(gateway.sessions("/echo"), (0, 0));
}

#[tokio::test]
async fn the_iframe_page_says_who_may_frame_it() {
    for (rule, expected) in [(AllowedOrigins::Any, None), (AllowedOrigins::SameHost, Some("SAMEORIGIN"))] {
        let gateway = Gateway::start(serving([endpoint(&rule)])).await;
        let page = gateway.request(Request::get("/echo/iframe.html")).await;
        assert_eq!((page.status, page.header("X-Frame-Options")), (200, expected));
    }
}

#[tokio::test]
async fn transports_that_are_not_named_are_not_there() {
    for (setting, own) in [
        (Setting::Websocket, Transport::Websocket),
        (Setting::RawWebsocket, Transport::RawWebsocket),
        (Setting::XhrPolling, Transport::Xhr),
        (Setting::XhrStreaming, Transport::XhrStreaming),
        (Setting::Eventsource, Transport::EventSource),
        (Setting::Htmlfile, Transport::HtmlFile),
        (Setting::JsonpPolling, Transport::Jsonp),
    ] {
        let only = Endpoint { transports: Transports::Only([setting].into()), ..echo() };
        let gateway = Gateway::start(serving([only])).await;
        for transport in Transport::ALL {
            let (head, _stream) = gateway.open(transport.request("/echo", transport.segment())).await;
            assert_eq!(head.status != 404, transport == own, "{transport:?} where only {setting:?} is on");
        }
        let (xhr, _) = gateway.open(Request::post("/echo/0/none/xhr_send").body("[]")).await;
        let (jsonp, _) = gateway.open(Request::post("/echo/0/none/jsonp_send").body("[]")).await;
        assert_eq!((xhr.status, jsonp.status), (404, 404), "no session has this id anyway");
    }
}
