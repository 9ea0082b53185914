//! Session URLs, and the life of a session over polls.

use futures_util::future::Either;

use super::*;

#[tokio::test]
async fn session_urls_test_any_value() {
    let gateway = gateway().await;
    for (server, session) in [("a", "a"), ("_", "_"), ("1", "1"), ("abcdefgh_i-j%20", "abcdefg_i-j%20")] {
        open(&gateway, &format!("/echo/{server}/{session}")).await;
    }
}

#[tokio::test]
async fn session_urls_test_invalid_paths() {
    let gateway = gateway().await;
    for suffix in ["//", "/a./a", "/a/a.", "/./.", "/", "///"] {
        for method in ["GET", "POST"] {
            let response = gateway.request(Request::new(method, format!("/echo{suffix}/xhr"))).await;
            assert_eq!(response.status, 404, "{method} {suffix}/xhr");
        }
    }
}

#[tokio::test]
async fn session_urls_test_ignoring_server_id() {
    let gateway = gateway().await;
    open(&gateway, "/echo/000/same").await;
    send(&gateway, "/echo/000/same", r#"["a"]"#).await;
    assert_eq!(poll(&gateway, "/echo/999/same").await, "a[\"a\"]\n");
}

#[tokio::test]
async fn protocol_test_simple_session() {
    let gateway = gateway().await;
    open(&gateway, "/echo/000/simple").await;
    send(&gateway, "/echo/000/simple", r#"["a"]"#).await;
    assert_eq!(poll(&gateway, "/echo/000/simple").await, "a[\"a\"]\n");

    let unknown = gateway.request(Request::post("/echo/000/other/xhr_send").body(r#"["a"]"#)).await;
    assert_eq!(unknown.status, 404);

    // Two polls at the same time: whichever is taken first hangs, the other is turned away.
    let poll = || Box::pin(gateway.request(Request::post("/echo/000/simple/xhr")));
    let (told, hanging) = match futures_util::future::select(poll(), poll()).await {
        Either::Left(first) | Either::Right(first) => first,
    };
    assert_eq!((told.status, told.text().as_str()), (200, "c[2010,\"Another connection still open\"]\n"));
    send(&gateway, "/echo/000/simple", r#"["b"]"#).await;
    assert_eq!(hanging.await.text(), "a[\"b\"]\n");
}

#[tokio::test]
async fn protocol_test_close_session() {
    let gateway = gateway().await;
    open(&gateway, "/close/000/closed").await;
    for _ in 0..3 {
        assert_eq!(poll(&gateway, "/close/000/closed").await, "c[3000,\"Go away!\"]\n");
    }
}
