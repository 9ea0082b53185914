//! Callbacks, escapes, and bodies that are not what they should be.

use crate::support::metrics::Meter;
use crate::support::{
    Client, Frame, Gateway, Request, Transport, WebSocket, echo, percent_encode, serving, test_services,
};

#[tokio::test]
async fn callbacks_are_at_most_32_characters() {
    let gateway = Gateway::start(test_services()).await;
    for segment in ["jsonp", "htmlfile"] {
        for (length, status) in [(32, 200), (33, 500)] {
            let target = format!("/echo/0/{segment}{length}/{segment}?c={}", "x".repeat(length));
            let (head, mut http) = gateway.open(Request::get(target)).await;
            assert_eq!(head.status, status, "{segment} {length}");
            if status == 500 {
                assert_eq!(http.chunk().await.expect("a text"), "invalid \"callback\" parameter\n");
            }
        }
    }
}

#[tokio::test]
async fn callback_is_a_synonym_of_c_and_empty_is_missing() {
    let gateway = Gateway::start(test_services()).await;
    let response = gateway.request(Request::get("/echo/0/synonym/jsonp?t=1&callback=mine")).await;
    assert_eq!((response.status, response.text().as_str()), (200, "/**/mine(\"o\");\r\n"));
    let (head, mut page) = gateway.open(Request::get("/echo/0/page/htmlfile?callback=mine")).await;
    assert_eq!(head.status, 200);
    let text = String::from_utf8(page.chunk().await.expect("the page").to_vec()).expect("UTF-8");
    assert!(text.contains("var c = parent.mine;"));
    for segment in ["jsonp", "htmlfile"] {
        for query in ["c=", "callback=", "c=&callback="] {
            let response = gateway.request(Request::get(format!("/echo/0/empty/{segment}?{query}"))).await;
            assert_eq!(response.status, 500);
            assert_eq!(response.text(), "\"callback\" parameter required\n", "{segment} {query}");
        }
    }
}

/// The bytes of the frame with which an echo endpoint answers this message, over a transport with an HTTP response.
async fn echoed(gateway: &Gateway, transport: Transport, message: &str) -> String {
    let id = format!("{}-echoed", transport.segment());
    let (_, mut stream) = gateway.open(transport.request("/echo", &id)).await;
    if transport.is_polling() {
        stream.chunk().await.expect("the open frame");
    } else {
        stream.chunk().await.expect("the prelude");
        stream.chunk().await.expect("the open frame");
    }
    let payload = serde_json::to_string(&[message]).expect("JSON");
    let sent = gateway.request(transport.sending_request("/echo", &id, &payload).expect("a sender")).await;
    assert!([200, 204].contains(&sent.status));
    let frame = if transport.is_polling() {
        gateway.request(transport.request("/echo", &id)).await.body()
    } else {
        stream.chunk().await.expect("the echo").to_vec()
    };
    String::from_utf8(frame).expect("UTF-8")
}

#[tokio::test]
async fn eventsource_escapes_percent_signs() {
    let gateway = Gateway::start(test_services()).await;
    let frame = echoed(&gateway, Transport::EventSource, "100% %20 %25 \0").await;
    assert_eq!(frame, "data: a[\"100%25 %2520 %2525 \\u0000\"]\r\n\r\n");
    // And nobody else does.
    let frame = echoed(&gateway, Transport::XhrStreaming, "100% %20").await;
    assert_eq!(frame, "a[\"100% %20\"]\n");
}

#[tokio::test]
async fn surrogates_are_escaped_in_lower_case_on_every_transport() {
    let gateway = Gateway::start(test_services()).await;
    for transport in Transport::HTTP {
        let frame = echoed(&gateway, transport, "😀\u{10ffff}").await;
        let backslash = if matches!(transport, Transport::HtmlFile | Transport::Jsonp) { "\\\\" } else { "\\" };
        let escaped = ["ud83d", "ude00", "udbff", "udfff"].map(|unit| format!("{backslash}{unit}")).concat();
        assert!(frame.contains(&escaped), "{transport:?}: {frame}");
        assert!(frame.is_ascii(), "{transport:?}: {frame}");
    }
    let mut socket = WebSocket::connect(gateway.connector(), "/echo/0/0/websocket").await;
    assert_eq!(socket.next_text().await, "o");
    socket.send_text(r#"["😀"]"#).await;
    assert_eq!(socket.next_text().await, r#"a["\ud83d\ude00"]"#);
}

#[tokio::test]
async fn script_transports_cannot_be_left_by_a_message() {
    let gateway = Gateway::start(test_services()).await;
    for transport in [Transport::HtmlFile, Transport::Jsonp] {
        let frame = echoed(&gateway, transport, "</script><!--").await;
        assert!(frame.contains(r"\u003c/script\u003e\u003c!--"), "{frame}");
        let inner = frame.trim_start_matches("<script>\n").trim_end_matches("</script>\r\n");
        assert!(!inner.contains(['<', '>']), "{frame}");
    }
}

#[tokio::test]
async fn half_a_surrogate_pair_becomes_a_replacement_character() {
    let gateway = Gateway::start(test_services()).await;
    let mut client = Client::open(&gateway, Transport::Xhr, "/echo", "half").await;
    assert_eq!(client.next().await, Frame::Open);
    client.try_send_payload(r#"["\ud800x", "\udc00", "\ud83d\ude00"]"#).await.expect("accepted");
    assert_eq!(client.next().await, Frame::Messages(vec!["\u{fffd}x".into(), "\u{fffd}".into(), "😀".into()]));
}

/// Payloads that are refused, with the text of the refusal.
const REFUSED: [(&[u8], &str); 16] = [
    (b"", "Payload expected."),
    (b"null", "Payload expected."),
    (b"0", "Payload expected."),
    (b"true", "Payload expected."),
    (b"{}", "Payload expected."),
    (br#"{"a":"b"}"#, "Payload expected."),
    (br#""x""#, "Payload expected."),
    (br#""[\"x\"]""#, "Payload expected."),
    (br#"["x", 1]"#, "Payload expected."),
    (br#"["x", null]"#, "Payload expected."),
    (br#"["x", ["y"]]"#, "Payload expected."),
    (br#"["x"] ["y"]"#, "Broken JSON encoding."),
    (br#"["x",]"#, "Broken JSON encoding."),
    (b"x", "Broken JSON encoding."),
    (b"[\"\xff\"]", "Broken JSON encoding."),
    (b"[\"x\", \"\xed\xa0\x80\"]", "Broken JSON encoding."),
];

/// Sends each refused payload, then one that is fine, which must be all that is delivered.
async fn assert_refusals(transport: Transport, send: impl Fn(&[u8]) -> Request) {
    let gateway = Gateway::start(test_services()).await;
    let mut client = Client::open(&gateway, transport, "/echo", "refusals").await;
    assert_eq!(client.next().await, Frame::Open);
    for (payload, complaint) in REFUSED {
        let shown = String::from_utf8_lossy(payload);
        let response = gateway.request(send(payload)).await;
        assert_eq!((response.status, response.text()), (500, format!("{complaint}\n")), "{shown}");
        assert_eq!(response.header("Content-Type"), Some("text/plain; charset=UTF-8"), "{shown}");
    }
    client.send(&["fine"]).await;
    assert_eq!(client.next().await, Frame::Messages(vec!["fine".to_owned()]));
}

#[tokio::test]
async fn xhr_send_refuses_what_is_no_array_of_strings() {
    assert_refusals(Transport::Xhr, |payload| Request::post("/echo/0/refusals/xhr_send").body(payload.to_vec())).await;
}

#[tokio::test]
async fn jsonp_send_refuses_what_is_no_array_of_strings() {
    assert_refusals(Transport::Jsonp, |payload| {
        let encoded = percent_encoding::percent_encode(payload, percent_encoding::NON_ALPHANUMERIC);
        Request::post("/echo/0/refusals/jsonp_send")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("d={encoded}"))
    })
    .await;
}

#[tokio::test]
async fn websockets_close_on_what_is_no_array_of_strings() {
    use tokio_tungstenite::tungstenite::Message;
    let gateway = Gateway::start(test_services()).await;
    for (payload, _) in REFUSED {
        let shown = String::from_utf8_lossy(payload);
        // Empty packets and bare strings are fine on a websocket, and text that is not UTF-8 is refused one layer below.
        if payload.is_empty() || payload.starts_with(b"\"") {
            continue;
        }
        let mut socket = WebSocket::connect(gateway.connector(), "/echo/0/0/websocket").await;
        assert_eq!(socket.next_text().await, "o");
        let packet = match std::str::from_utf8(payload) {
            Ok(text) => Message::text(text),
            Err(_) => Message::binary(payload),
        };
        socket.send(packet).await;
        assert_eq!(socket.next_close().await, (3000, "Broken framing.".to_owned()), "{shown}");
    }
}

#[tokio::test]
async fn bodies_and_messages_have_limits() {
    let meter = Meter::install();
    let gateway = Gateway::start(serving([towpath::config::Endpoint {
        max_body: 256,
        max_message: 64,
        max_messages: 4,
        ..echo()
    }]))
    .await;
    for transport in [Transport::Xhr, Transport::Jsonp] {
        let mut client = Client::open(&gateway, transport, "/echo", transport.segment()).await;
        assert_eq!(client.next().await, Frame::Open);
        let before = |limit| meter.limit_reached(limit);
        let (body, message, messages) = (before("max_body"), before("max_message"), before("max_messages"));

        assert_eq!(client.try_send(&["x"; 5]).await, Err(413));
        assert_eq!(meter.limit_reached("max_messages"), messages + 1);
        assert_eq!(client.try_send(&["x".repeat(65).as_str()]).await, Err(413));
        assert_eq!(meter.limit_reached("max_message"), message + 1);
        assert_eq!(client.try_send(&["x".repeat(300).as_str()]).await, Err(413));
        assert_eq!(meter.limit_reached("max_body"), body + 1);

        // The largest that is allowed, and nothing of what was refused.
        client.send(&["x".repeat(64).as_str()]).await;
        client.send(&["y"; 4]).await;
        let expected = vec!["x".repeat(64), "y".into(), "y".into(), "y".into(), "y".into()];
        assert_eq!(client.next().await, Frame::Messages(expected));
    }
}

#[tokio::test]
async fn several_messages_of_one_send_arrive_in_order_while_streaming() {
    let gateway = Gateway::start(test_services()).await;
    for transport in Transport::STREAMS {
        let mut client = Client::open(&gateway, transport, "/echo", transport.segment()).await;
        assert_eq!(client.next().await, Frame::Open);
        client.send(&["a", "b", "c"]).await;
        client.send(&["d", "", "e"]).await;
        for expected in ["a", "b", "c", "d", "", "e"] {
            assert_eq!(client.message().await, expected, "{transport:?}");
        }
    }
}

#[tokio::test]
async fn jsonp_send_reads_forms_and_raw_bodies() {
    let gateway = Gateway::start(test_services()).await;
    let mut client = Client::open(&gateway, Transport::Jsonp, "/echo", "forms").await;
    assert_eq!(client.next().await, Frame::Open);
    let form = Some("application/x-www-form-urlencoded; charset=UTF-8");
    for (content_type, body) in [
        (form, format!("d={}", percent_encode(r#"["1+ %20"]"#))),
        (form, r#"x=y&d=["2+3"]&d=["no"]"#.to_owned()),
        (Some("text/plain"), r#"["%34+"]"#.to_owned()),
        (None, r#"["5"]"#.to_owned()),
    ] {
        let mut request = Request::post("/echo/0/forms/jsonp_send?i=1").body(body);
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        let response = gateway.request(request).await;
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    }
    let expected = ["1+ %20", "2 3", "%34+", "5"].map(str::to_owned).to_vec();
    assert_eq!(client.next().await, Frame::Messages(expected));
}
