//! eventsource, htmlfile, jsonp: the transports that browsers load as something else than a request of the page.

use super::*;

#[tokio::test]
async fn event_source_test_transport() {
    let gateway = gateway().await;
    let (head, mut stream) = gateway.open(Request::get("/echo/000/events/eventsource")).await;
    assert_eq!(head.status, 200);
    assert_type(&head, "text/event-stream");
    assert_not_cached(&head);
    assert_eq!(stream.chunk().await.expect("the prelude"), "\r\n");
    assert_eq!(stream.chunk().await.expect("the open frame"), "data: o\r\n\r\n");
    send(&gateway, "/echo/000/events", r#"["  \u0000\n\r "]"#).await;
    assert_eq!(stream.chunk().await.expect("the echo"), "data: a[\"  \\u0000\\n\\r \"]\r\n\r\n");
}

#[tokio::test]
async fn event_source_test_response_limit() {
    let gateway = gateway().await;
    let (_, mut stream) = gateway.open(Request::get("/echo/000/limit/eventsource")).await;
    assert_eq!(stream.chunk().await.expect("the prelude"), "\r\n");
    assert_eq!(stream.chunk().await.expect("the open frame"), "data: o\r\n\r\n");
    let message = format!(r#"["{}"]"#, "x".repeat(4096));
    send(&gateway, "/echo/000/limit", &message).await;
    assert_eq!(stream.chunk().await.expect("the echo"), format!("data: a{message}\r\n\r\n"));
    assert_eq!(stream.chunk().await, None);
}

/// The page that a htmlfile response starts with, for the callback `callback` + `suffix`.
fn html_page(callback: &str) -> String {
    format!(
        "<!doctype html>\n<html><head>\n  <meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />\n  \
         <meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />\n\
         </head><body><h2>Don't panic!</h2>\n  <script>\n    document.domain = document.domain;\n    \
         var c = parent.{callback};\n    c.start();\n    function p(d) {{c.message(d);}};\n    \
         window.onload = function() {{c.stop();}};\n  </script>"
    )
}

#[tokio::test]
async fn html_file_test_transport() {
    let gateway = gateway().await;
    let (head, mut stream) = gateway.open(Request::get("/echo/000/page/htmlfile?c=%63allback")).await;
    assert_eq!(head.status, 200);
    assert_type(&head, HTML);
    assert_not_cached(&head);
    let page = stream.chunk().await.expect("the page");
    assert!(page.len() > 1024);
    assert_eq!(String::from_utf8_lossy(&page).trim(), html_page("callback"));
    assert!(page.ends_with(b" \r\n\r\n"), "padded, then the tail");
    assert_eq!(stream.chunk().await.expect("the open frame"), "<script>\np(\"o\");\n</script>\r\n");
    send(&gateway, "/echo/000/page", r#"["x"]"#).await;
    assert_eq!(stream.chunk().await.expect("the echo"), "<script>\np(\"a[\\\"x\\\"]\");\n</script>\r\n");
}

/// Requests without a usable callback, and what the answer says.
async fn assert_callback_refused(segment: &str, query: &str, complaint: &str) {
    let response = gateway().await.request(Request::get(format!("/echo/a/a/{segment}{query}"))).await;
    assert_eq!(response.status, 500, "{query}");
    assert!(response.text().contains(complaint), "{query}: {}", response.text());
    assert_not_cached(&response);
}

const REQUIRED: &str = r#""callback" parameter required"#;
const INVALID: &str = r#"invalid "callback" parameter"#;
const NO_CALLBACKS: [&str; 4] = ["?c=%20", "?c=*", "?c=abc(", "?c=abc%28"];

#[tokio::test]
async fn html_file_test_no_callback() {
    assert_callback_refused("htmlfile", "", REQUIRED).await;
}

#[tokio::test]
async fn html_file_test_invalid_callback() {
    for query in NO_CALLBACKS {
        assert_callback_refused("htmlfile", query, INVALID).await;
    }
}

#[tokio::test]
async fn html_file_test_response_limit() {
    let gateway = gateway().await;
    let (_, mut stream) = gateway.open(Request::get("/echo/000/limit/htmlfile?c=callback")).await;
    stream.chunk().await.expect("the page");
    stream.chunk().await.expect("the open frame");
    let message = "x".repeat(4096);
    send(&gateway, "/echo/000/limit", &format!(r#"["{message}"]"#)).await;
    let frame = format!("<script>\np(\"a[\\\"{message}\\\"]\");\n</script>\r\n");
    assert_eq!(stream.chunk().await.expect("the echo"), frame);
    assert_eq!(stream.chunk().await, None);
}

const SESSION: &str = "/echo/000/script";

async fn jsonp(gateway: &Gateway) -> Response {
    let response = gateway.request(Request::get(format!("{SESSION}/jsonp?c=%63allback"))).await;
    assert_eq!(response.status, 200);
    assert_type(&response, JAVASCRIPT);
    assert_not_cached(&response);
    response
}

async fn jsonp_send(gateway: &Gateway, content_type: &str, body: &str) -> Response {
    let request = Request::post(format!("{SESSION}/jsonp_send")).header("Content-Type", content_type);
    gateway.request(request.body(body.to_owned())).await
}

const FORM: &str = "application/x-www-form-urlencoded";

/// A session with its open frame read.
async fn jsonp_session() -> Gateway {
    let gateway = gateway().await;
    assert_eq!(jsonp(&gateway).await.text(), "/**/callback(\"o\");\r\n");
    gateway
}

fn assert_ok(response: &Response) {
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    assert_type(response, TEXT);
    assert_eq!(response.header("Content-Length"), Some("2"));
    assert_not_cached(response);
}

#[tokio::test]
async fn json_polling_test_transport() {
    let gateway = jsonp_session().await;
    assert_ok(&jsonp_send(&gateway, FORM, "d=%5B%22x%22%5D").await);
    assert_eq!(jsonp(&gateway).await.text(), "/**/callback(\"a[\\\"x\\\"]\");\r\n");
}

#[tokio::test]
async fn json_polling_test_no_callback() {
    assert_callback_refused("jsonp", "", REQUIRED).await;
}

#[tokio::test]
async fn json_polling_test_invalid_callback() {
    for query in NO_CALLBACKS {
        assert_callback_refused("jsonp", query, INVALID).await;
    }
}

#[tokio::test]
async fn json_polling_test_invalid_json() {
    let gateway = jsonp_session().await;
    let expected = "Payload expected.";
    for (body, complaint) in
        [("d=%5B%22x", "Broken JSON encoding."), ("", expected), ("d=", expected), ("p=p", expected)]
    {
        let response = jsonp_send(&gateway, FORM, body).await;
        assert_eq!(response.status, 500, "{body}");
        assert!(response.text().contains(complaint), "{body}: {}", response.text());
    }
    assert_ok(&jsonp_send(&gateway, FORM, "d=%5B%22b%22%5D").await);
    assert_eq!(jsonp(&gateway).await.text(), "/**/callback(\"a[\\\"b\\\"]\");\r\n");
}

#[tokio::test]
async fn json_polling_test_content_types() {
    let gateway = jsonp_session().await;
    assert_ok(&jsonp_send(&gateway, FORM, "d=%5B%22abc%22%5D").await);
    assert_ok(&jsonp_send(&gateway, "text/plain", r#"["%61bc"]"#).await);
    assert_eq!(jsonp(&gateway).await.text(), "/**/callback(\"a[\\\"abc\\\",\\\"%61bc\\\"]\");\r\n");
}

#[tokio::test]
async fn json_polling_test_close() {
    let gateway = gateway().await;
    for expected in [r#""o""#, r#""c[3000,\"Go away!\"]""#, r#""c[3000,\"Go away!\"]""#] {
        let response = gateway.request(Request::get("/close/000/closed/jsonp?c=x")).await;
        assert_eq!(response.text(), format!("/**/x({expected});\r\n"));
    }
}

#[tokio::test]
async fn json_polling_test_sending_empty_frame() {
    let gateway = jsonp_session().await;
    assert_ok(&jsonp_send(&gateway, FORM, "d=%5B%5D").await);
    assert_ok(&jsonp_send(&gateway, FORM, "d=%5B%22x%22%5D").await);
    assert_eq!(jsonp(&gateway).await.text(), "/**/callback(\"a[\\\"x\\\"]\");\r\n");
}
