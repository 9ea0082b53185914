//! xhr, xhr_send, xhr_streaming, and the encoding of messages, which the suite tries out over them.

use super::*;

#[tokio::test]
async fn xhr_polling_test_options() {
    let gateway = gateway().await;
    for segment in ["xhr", "xhr_send"] {
        assert_preflight(&gateway, &format!("/echo/abc/abc/{segment}"), "OPTIONS, POST").await;
    }
}

#[tokio::test]
async fn xhr_polling_test_transport() {
    let gateway = gateway().await;
    let opened = gateway.request(Request::post("/echo/000/transport/xhr")).await;
    assert_eq!((opened.status, opened.text().as_str()), (200, "o\n"));
    assert_type(&opened, JAVASCRIPT);
    assert_cors(&opened, None);
    assert_not_cached(&opened);

    let sent = gateway.request(Request::post("/echo/000/transport/xhr_send").body(r#"["x"]"#)).await;
    assert_eq!((sent.status, sent.text().as_str()), (204, ""));
    assert_type(&sent, TEXT);
    assert_cors(&sent, None);
    assert_not_cached(&sent);

    let polled = gateway.request(Request::post("/echo/000/transport/xhr").header("Origin", "test")).await;
    assert_eq!((polled.status, polled.text().as_str()), (200, "a[\"x\"]\n"));
    assert_type(&polled, JAVASCRIPT);
    assert_cors(&polled, Some("test"));
    assert_not_cached(&polled);
}

#[tokio::test]
async fn xhr_polling_test_invalid_session() {
    let response = gateway().await.request(Request::post("/echo/000/unknown/xhr_send").body(r#"["x"]"#)).await;
    assert_eq!(response.status, 404);
}

#[tokio::test]
async fn xhr_polling_test_invalid_json() {
    let gateway = gateway().await;
    open(&gateway, "/echo/000/invalid").await;
    for (body, complaint) in [(r#"["x"#, "Broken JSON encoding."), ("", "Payload expected.")] {
        let response = gateway.request(Request::post("/echo/000/invalid/xhr_send").body(body)).await;
        assert_eq!(response.status, 500);
        assert!(response.text().contains(complaint), "{body}: {}", response.text());
    }
    send(&gateway, "/echo/000/invalid", r#"["a"]"#).await;
    assert_eq!(poll(&gateway, "/echo/000/invalid").await, "a[\"a\"]\n");
}

#[tokio::test]
async fn xhr_polling_test_content_types() {
    let gateway = gateway().await;
    open(&gateway, "/echo/000/types").await;
    let types = [
        "text/plain",
        "T",
        "application/json",
        "application/xml",
        "",
        "application/json; charset=utf-8",
        "text/xml; charset=utf-8",
        "text/xml",
    ];
    for content_type in types {
        let request = Request::post("/echo/000/types/xhr_send").header("Content-Type", content_type);
        let response = gateway.request(request.body(r#"["a"]"#)).await;
        assert_eq!((response.status, response.text().as_str()), (204, ""), "{content_type}");
    }
    assert_eq!(poll(&gateway, "/echo/000/types").await, "a[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]\n");
}

#[tokio::test]
async fn xhr_polling_test_request_headers_cors() {
    let gateway = gateway().await;
    for (id, asked, allowed) in [("1", Some("a, b, c"), Some("a, b, c")), ("2", Some(""), None), ("3", None, None)] {
        let mut request = Request::post(format!("/echo/000/{id}/xhr")).header("Origin", "test");
        if let Some(asked) = asked {
            request = request.header("Access-Control-Request-Headers", asked);
        }
        let response = gateway.request(request).await;
        assert_eq!(response.status, 200);
        assert_cors(&response, Some("test"));
        assert_eq!(response.header("Access-Control-Allow-Headers"), allowed);
    }
}

#[tokio::test]
async fn xhr_polling_test_sending_empty_frame() {
    let gateway = gateway().await;
    open(&gateway, "/echo/000/empty").await;
    send(&gateway, "/echo/000/empty", "[]").await;
    send(&gateway, "/echo/000/empty", r#"["a"]"#).await;
    assert_eq!(poll(&gateway, "/echo/000/empty").await, "a[\"a\"]\n");
}

#[tokio::test]
async fn xhr_streaming_test_options() {
    assert_preflight(&gateway().await, "/echo/abc/abc/xhr_streaming", "OPTIONS, POST").await;
}

#[tokio::test]
async fn xhr_streaming_test_transport() {
    let gateway = gateway().await;
    let (head, mut stream) = gateway.open(Request::post("/echo/000/stream/xhr_streaming")).await;
    assert_eq!(head.status, 200);
    assert_type(&head, JAVASCRIPT);
    assert_cors(&head, None);
    assert_not_cached(&head);
    assert_eq!(stream.chunk().await.expect("the prelude"), "h".repeat(2048) + "\n");
    assert_eq!(stream.chunk().await.expect("the open frame"), "o\n");
    send(&gateway, "/echo/000/stream", r#"["x"]"#).await;
    assert_eq!(stream.chunk().await.expect("the echo"), "a[\"x\"]\n");
}

#[tokio::test]
async fn xhr_streaming_test_response_limit() {
    let gateway = gateway().await;
    let (_, mut stream) = gateway.open(Request::post("/echo/000/limit/xhr_streaming")).await;
    stream.chunk().await.expect("the prelude");
    assert_eq!(stream.chunk().await.expect("the open frame"), "o\n");
    // 31 frames of 134 bytes are just above 4096, 30 are below.
    let message = "x".repeat(128);
    for _ in 0..31 {
        send(&gateway, "/echo/000/limit", &format!(r#"["{message}"]"#)).await;
        assert_eq!(stream.chunk().await.expect("the echo"), format!("a[\"{message}\"]\n"));
    }
    assert_eq!(stream.chunk().await, None);
}

/// The code points that must come back escaped, besides the controls and surrogates.
const MUST_ESCAPE: [std::ops::RangeInclusive<u32>; 4] =
    [0x200c..=0x200f, 0x2028..=0x202f, 0x2060..=0x206f, 0xfff0..=0xffff];

fn must_escape() -> Vec<char> {
    MUST_ESCAPE.into_iter().flatten().filter_map(char::from_u32).collect()
}

#[tokio::test]
async fn json_encoding_test_xhr_server_encodes() {
    let gateway = gateway().await;
    let characters = must_escape();
    assert_eq!(characters.len(), 44);
    open(&gateway, "/echo/000/encodes").await;
    // They arrive as they are and leave as escapes in lower case.
    let plain: String = characters.iter().collect();
    send(&gateway, "/echo/000/encodes", &format!(r#"["{plain}"]"#)).await;
    let escaped: String = characters.iter().map(|c| format!("\\u{:04x}", u32::from(*c))).collect();
    assert_eq!(poll(&gateway, "/echo/000/encodes").await, format!("a[\"{escaped}\"]\n"));
}

#[tokio::test]
async fn json_encoding_test_xhr_server_decodes() {
    let gateway = gateway().await;
    open(&gateway, "/echo/000/decodes").await;
    // More than the 1093 that the suite tries: what clients escape on their way in, and much around it.
    let ranges: [std::ops::RangeInclusive<u32>; 6] =
        [0x00..=0x36f, 0x600..=0x6ff, 0x1100..=0x11ff, 0x17b4..=0x17b5, 0x2000..=0x206f, 0xfe00..=0xffff];
    let characters: Vec<char> = ranges.into_iter().flatten().filter_map(char::from_u32).collect();
    let escaped: String = characters.iter().map(|c| format!("\\u{:04x}", u32::from(*c))).collect();
    send(&gateway, "/echo/000/decodes", &format!(r#"["{escaped}"]"#)).await;
    let frame = poll(&gateway, "/echo/000/decodes").await;
    let back: Vec<String> = serde_json::from_str(&frame[1..]).expect("the frame is an array");
    assert_eq!(back, [characters.iter().collect::<String>()]);
}
