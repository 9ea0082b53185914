//! Websockets, with SockJS frames and raw.

use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::support::WebSocket;

#[tokio::test]
async fn websocket_http_errors_test_http_method() {
    let response = gateway().await.request(Request::get("/echo/0/0/websocket")).await;
    assert_eq!(response.status, 400);
    assert!(response.text().contains(r#"Can "Upgrade" only to "WebSocket"."#));
}

#[tokio::test]
async fn websocket_http_errors_test_invalid_connection_header() {
    let request = Request::get("/echo/0/0/websocket").header("Upgrade", "WebSocket").header("Connection", "close");
    let response = gateway().await.request(request).await;
    assert_eq!(response.status, 400);
    assert!(response.text().contains(r#""Connection" must be "Upgrade"."#));
}

#[tokio::test]
async fn websocket_http_errors_test_invalid_method() {
    let gateway = gateway().await;
    let plain = Request::post("/echo/0/0/websocket").body("");
    let upgrade = plain.clone().header("Upgrade", "WebSocket").header("Connection", "Upgrade");
    for request in [plain, upgrade] {
        let response = gateway.request(request).await;
        assert_eq!(response.status, 405);
        assert_eq!(response.header("Allow"), Some("GET"));
        assert_eq!(response.header("Content-Type"), None);
        assert_eq!(response.text(), "");
    }
}

#[tokio::test]
async fn websocket_test_transport() {
    let gateway = gateway().await;
    let mut socket = WebSocket::connect(gateway.connector(), "/echo/000/transport/websocket").await;
    assert_eq!(socket.next_text().await, "o");
    socket.send_text(r#"["a"]"#).await;
    assert_eq!(socket.next_text().await, r#"a["a"]"#);
    assert_eq!(socket.close(None).await, Some(None));
}

#[tokio::test]
async fn websocket_test_close() {
    let gateway = gateway().await;
    let mut socket = WebSocket::connect(gateway.connector(), "/close/000/close/websocket").await;
    assert_eq!(socket.next_text().await, "o");
    assert_eq!(socket.next_text().await, r#"c[3000,"Go away!"]"#);
    assert_eq!(socket.next_close().await, (3000, "Go away!".to_owned()));
}

#[tokio::test]
async fn websocket_test_headers_sanity() {
    let gateway = gateway().await;
    let mut http = gateway.http().await;
    let head = http.exchange(&Request::websocket("/echo/000/sanity/websocket").header("Origin", "http://any")).await;
    assert_eq!((head.version.as_str(), head.status), ("HTTP/1.1", 101));
    // The example of RFC 6455, section 1.3.
    assert_eq!(head.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(head.header("Connection").map(str::to_lowercase).as_deref(), Some("upgrade"));
    assert_eq!(head.header("Upgrade").map(str::to_lowercase).as_deref(), Some("websocket"));
    assert_eq!(head.header("Content-Length"), None);
    assert_eq!(head.header("Transfer-Encoding"), None);
}

#[tokio::test]
async fn websocket_test_empty_frame() {
    let gateway = gateway().await;
    let mut socket = WebSocket::connect(gateway.connector(), "/echo/000/empty/websocket").await;
    assert_eq!(socket.next_text().await, "o");
    for nothing in ["", "[]", ""] {
        socket.send_text(nothing).await;
    }
    socket.send_text(r#""a""#).await;
    assert_eq!(socket.next_text().await, r#"a["a"]"#);
}

#[tokio::test]
async fn websocket_test_reuse_session_id() {
    let gateway = gateway().await;
    let target = "/echo/000/reused/websocket";
    let mut first = WebSocket::connect(gateway.connector(), target).await;
    let mut second = WebSocket::connect(gateway.connector(), target).await;
    assert_eq!(first.next_text().await, "o");
    assert_eq!(second.next_text().await, "o");
    first.send_text(r#""first""#).await;
    second.send_text(r#""second""#).await;
    assert_eq!(first.next_text().await, r#"a["first"]"#);
    assert_eq!(second.next_text().await, r#"a["second"]"#);
    first.close(None).await;
    second.close(None).await;

    let mut third = WebSocket::connect(gateway.connector(), target).await;
    assert_eq!(third.next_text().await, "o");
    third.send_text(r#""third""#).await;
    assert_eq!(third.next_text().await, r#"a["third"]"#);
}

#[tokio::test]
async fn websocket_test_broken_json() {
    let gateway = gateway().await;
    let mut socket = WebSocket::connect(gateway.connector(), "/echo/000/broken/websocket").await;
    assert_eq!(socket.next_text().await, "o");
    socket.send_text(r#"["a"#).await;
    assert_eq!(socket.next_close().await, (3000, "Broken framing.".to_owned()));
}

#[tokio::test]
async fn raw_websocket_test_transport() {
    let gateway = gateway().await;
    let mut socket = WebSocket::connect(gateway.connector(), "/echo/websocket").await;
    socket.send_text("Hello world!\u{ffff}").await;
    assert_eq!(socket.next().await, Some(Message::text("Hello world!\u{ffff}")));
    assert_eq!(socket.close(None).await, Some(None));
}

#[tokio::test]
async fn raw_websocket_test_close() {
    let gateway = gateway().await;
    let mut socket = WebSocket::connect(gateway.connector(), "/close/websocket").await;
    assert_eq!(socket.next_close().await, (3000, "Go away!".to_owned()));
}
