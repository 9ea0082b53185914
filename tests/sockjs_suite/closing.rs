//! How sessions close: by the service, by a second receiver, by a client that drops its connection. The last is a race for a
//! gateway with threads; `sockjs_beyond_suite` repeats it.

use super::*;
use crate::support::{Client, Frame, Http, Transport};

const GO_AWAY: &str = "c[3000,\"Go away!\"]\n";

/// Opens a stream and reads its prelude.
async fn stream(gateway: &Gateway, session: &str) -> Http {
    let (head, mut stream) = gateway.open(Request::post(format!("{session}/xhr_streaming"))).await;
    assert_eq!(head.status, 200);
    assert_eq!(stream.chunk().await.expect("the prelude"), "h".repeat(2048) + "\n");
    stream
}

#[tokio::test]
async fn handling_close_test_close_frame() {
    let gateway = gateway().await;
    let mut first = stream(&gateway, "/close/000/frame").await;
    assert_eq!(first.chunk().await.expect("the open frame"), "o\n");
    assert_eq!(first.chunk().await.expect("the close frame"), GO_AWAY);
    let mut second = stream(&gateway, "/close/000/frame").await;
    assert_eq!(second.chunk().await.expect("the close frame"), GO_AWAY);
    assert_eq!(first.chunk().await, None);
    assert_eq!(second.chunk().await, None);
}

#[tokio::test]
async fn handling_close_test_close_request() {
    let gateway = gateway().await;
    let mut first = stream(&gateway, "/echo/000/request").await;
    assert_eq!(first.chunk().await.expect("the open frame"), "o\n");
    let mut second = stream(&gateway, "/echo/000/request").await;
    let still_open = "c[2010,\"Another connection still open\"]\n";
    assert_eq!(second.chunk().await.expect("the close frame"), still_open);
    assert_eq!(second.chunk().await, None);
    send(&gateway, "/echo/000/request", r#"["untouched"]"#).await;
    assert_eq!(first.chunk().await.expect("the echo"), "a[\"untouched\"]\n");
}

/// What may come after a client that dropped its receiver: a new session, or word of the old one's end.
fn assert_new_or_interrupted(frame: &[u8]) {
    let frame = String::from_utf8_lossy(frame);
    assert!(["o\n", "c[1002,\"Connection interrupted\"]\n"].contains(&frame.as_ref()), "{frame}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handling_close_test_abort_xhr_streaming() {
    let gateway = gateway().await;
    let mut first = stream(&gateway, "/echo/000/abort").await;
    assert_eq!(first.chunk().await.expect("the open frame"), "o\n");
    drop(first);
    let mut second = stream(&gateway, "/echo/000/abort").await;
    assert_new_or_interrupted(&second.chunk().await.expect("a frame"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handling_close_test_abort_xhr_polling() {
    let gateway = gateway().await;
    let mut client = Client::open(&gateway, Transport::Xhr, "/echo", "abort").await;
    assert_eq!(client.next().await, Frame::Open);
    client.attached().await.abort();
    assert_new_or_interrupted(poll(&gateway, "/echo/000/abort").await.as_bytes());
}
