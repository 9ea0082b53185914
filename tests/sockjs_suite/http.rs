//! HTTP itself, 1.0 and 1.1.

use super::*;

#[tokio::test]
async fn http10_test_synchronous() {
    let gateway = gateway().await;
    for keep_alive in [false, true] {
        let mut http = gateway.http().await;
        let mut request = Request::get("/echo").http10();
        if keep_alive {
            request = request.header("Connection", "Keep-Alive");
        }
        let response = http.exchange(&request).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("Transfer-Encoding"), None);
        assert_eq!(response.header("Content-Length"), Some("19"));
        assert_eq!(response.text(), "Welcome to SockJS!\n");
        let announced = response.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("keep-alive"));
        assert_eq!(announced, keep_alive);
        if keep_alive {
            assert_eq!(http.exchange(&request).await.text(), "Welcome to SockJS!\n");
        } else {
            assert_eq!(http.rest().await.expect("an orderly end"), "");
        }
    }
}

#[tokio::test]
async fn http10_test_streaming() {
    let gateway = gateway().await;
    for connection in [None, Some("close"), Some("Keep-Alive")] {
        let mut http = gateway.http().await;
        let id = connection.unwrap_or("plain");
        let mut request = Request::post(format!("/close/000/{id}/xhr_streaming")).http10();
        if let Some(connection) = connection {
            request = request.header("Connection", connection);
        }
        http.send(&request.body("")).await;
        let head = http.head().await;
        assert_eq!(head.status, 200);
        assert_eq!(head.header("Transfer-Encoding"), None);
        assert_eq!(head.header("Content-Length"), None);
        let rest = http.rest().await.expect("the connection ends with the stream");
        assert_eq!(rest, "h".repeat(2048) + "\no\nc[3000,\"Go away!\"]\n");
    }
}

#[tokio::test]
async fn http11_test_synchronous() {
    let gateway = gateway().await;
    let mut http = gateway.http().await;
    for _ in 0..2 {
        let response = http.exchange(&Request::get("/echo").header("Connection", "Keep-Alive")).await;
        assert_eq!((response.version.as_str(), response.status), ("HTTP/1.1", 200));
        assert_ne!(response.header("Connection"), Some("close"));
        assert_eq!(response.text(), "Welcome to SockJS!\n");
    }
}

#[tokio::test]
async fn http11_test_streaming() {
    let gateway = gateway().await;
    let (head, mut stream) = gateway.open(Request::post("/close/000/stream/xhr_streaming").body("")).await;
    assert_eq!((head.version.as_str(), head.status), ("HTTP/1.1", 200));
    assert_eq!(head.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(head.header("Content-Length"), None);
    let prelude = "h".repeat(2048) + "\n";
    for chunk in [prelude.as_str(), "o\n", "c[3000,\"Go away!\"]\n"] {
        assert_eq!(stream.chunk().await.expect("a chunk"), chunk);
    }
    assert_eq!(stream.chunk().await, None);
}

#[tokio::test]
async fn http_quirks_test_empty_content_length_for_post() {
    let gateway = gateway().await;
    let request = Request::post("/echo/000/quirk/xhr");
    assert!(!String::from_utf8_lossy(&request.to_bytes()).contains("Content-Length"));
    let response = gateway.request(request).await;
    assert_eq!((response.status, response.text().as_str()), (200, "o\n"));
}
