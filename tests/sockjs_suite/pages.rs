//! Greeting, iframe page, info: what needs no session.

use serde_json::Value;

use super::*;

#[tokio::test]
async fn base_url_greeting_test_greeting() {
    let gateway = gateway().await;
    for target in ["/echo", "/echo/"] {
        let response = gateway.request(Request::get(target)).await;
        assert_eq!(response.status, 200);
        assert_type(&response, TEXT);
        assert_eq!(response.text(), "Welcome to SockJS!\n");
        assert_no_cookie(&response);
    }
}

#[tokio::test]
async fn base_url_greeting_test_not_found() {
    let gateway = gateway().await;
    for suffix in ["/a", "/a.html", "//", "///", "/a/a", "/a/a/", "/a/"] {
        let response = gateway.request(Request::get(format!("/echo{suffix}"))).await;
        assert_eq!(response.status, 404, "{suffix}");
    }
}

/// Fetches the iframe page at this URL and checks it to the byte, but for the script's address.
async fn assert_iframe_page(target: &str) {
    let gateway = gateway().await;
    let response = gateway.request(Request::get(target)).await;
    assert_eq!(response.status, 200, "{target}");
    assert_type(&response, HTML);
    assert_cached_for_a_year(&response);
    assert!(response.header("ETag").is_some_and(|tag| tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"')));
    assert_no_cookie(&response);

    let page = response.text();
    let (before, rest) = page.split_once("  <script src=\"").expect("a script by address");
    let (address, after) = rest.split_once('"').expect("the address ends");
    assert!(address.starts_with('/') || address.starts_with("http"), "{address}");
    assert_eq!(
        before,
        "<!DOCTYPE html>\n<html>\n<head>\n  <meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />\n  \
         <meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />\n"
    );
    assert_eq!(
        after,
        "></script>\n  <script>\n    document.domain = document.domain;\n    SockJS.bootstrap_iframe();\n  </script>\n\
         </head>\n<body>\n  <h2>Don't panic!</h2>\n  \
         <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>\n</body>\n</html>"
    );
}

#[tokio::test]
async fn iframe_page_test_simple_url() {
    assert_iframe_page("/echo/iframe.html").await;
}

#[tokio::test]
async fn iframe_page_test_versioned_url() {
    for name in ["iframe-a", "iframe-", "iframe-0.1.2", "iframe-0.1.2abc-dirty.2144"] {
        assert_iframe_page(&format!("/echo/{name}.html")).await;
    }
}

#[tokio::test]
async fn iframe_page_test_queried_url() {
    for name in ["iframe-a", "iframe-0.1.2", "iframe-0.1.2abc-dirty.2144"] {
        for query in ["t=1234", "t=", "t"] {
            assert_iframe_page(&format!("/echo/{name}.html?{query}")).await;
        }
    }
}

#[tokio::test]
async fn iframe_page_test_invalid_url() {
    let gateway = gateway().await;
    for name in ["iframe.htm", "iframe", "IFRAME.HTML", "IFRAME", "iframe.HTML", "iframe.xml", "iframe-/.html"] {
        let response = gateway.request(Request::get(format!("/echo/{name}"))).await;
        assert_eq!(response.status, 404, "{name}");
    }
}

#[tokio::test]
async fn iframe_page_test_cacheability() {
    let gateway = gateway().await;
    let first = gateway.request(Request::get("/echo/iframe.html")).await;
    let second = gateway.request(Request::get("/echo/iframe.html")).await;
    let tag = first.header("ETag").expect("the page has a tag");
    assert_eq!(second.header("ETag"), Some(tag));

    let known = gateway.request(Request::get("/echo/iframe.html").header("If-None-Match", tag)).await;
    assert_eq!(known.status, 304);
    assert_eq!(known.header("Content-Type"), None);
    assert_eq!(known.text(), "");

    let changed = gateway.request(Request::get("/echo/iframe.html").header("If-None-Match", "\"other\"")).await;
    assert_eq!(changed.status, 200);
}

async fn info(gateway: &Gateway, endpoint: &str) -> Value {
    let response = gateway.request(Request::get(format!("{endpoint}/info"))).await;
    assert_eq!(response.status, 200);
    serde_json::from_slice(&response.body()).expect("info is JSON")
}

#[tokio::test]
async fn info_test_test_basic() {
    let gateway = gateway().await;
    let response = gateway.request(Request::get("/echo/info").header("Origin", "test")).await;
    assert_eq!(response.status, 200);
    assert_type(&response, JSON);
    assert_no_cookie(&response);
    assert_not_cached(&response);
    assert_cors(&response, Some("test"));

    let info: Value = serde_json::from_slice(&response.body()).expect("info is JSON");
    assert_eq!(info["websocket"], Value::Bool(true));
    assert_eq!(info["cookie_needed"], Value::Bool(false));
    assert_eq!(info["origins"], serde_json::json!(["*:*"]));
    assert!(info["entropy"].as_u64().is_some_and(|entropy| u32::try_from(entropy).is_ok()), "{info}");
}

#[tokio::test]
async fn info_test_test_entropy() {
    let gateway = gateway().await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..8 {
        assert!(seen.insert(info(&gateway, "/echo").await["entropy"].as_u64().expect("an integer")));
    }
}

#[tokio::test]
async fn info_test_test_options() {
    assert_preflight(&gateway().await, "/echo/info", "OPTIONS, GET").await;
}

#[tokio::test]
async fn info_test_test_options_null_origin() {
    let gateway = gateway().await;
    let response = gateway.request(Request::options("/echo/info").header("Origin", "null")).await;
    assert_eq!(response.status, 204);
    assert_eq!(response.header("Access-Control-Allow-Origin"), Some("null"));
    assert_eq!(response.text(), "");
}

#[tokio::test]
async fn info_test_test_disabled_websocket() {
    let gateway = gateway().await;
    assert_eq!(info(&gateway, "/disabled_websocket_echo").await["websocket"], Value::Bool(false));
}
