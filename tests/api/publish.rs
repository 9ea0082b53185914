//! What is published, and that it is all or nothing.

use serde_json::{Value, json};
use towpath::stomp::{Command, Frame};

use super::support::Request;
use super::{ask, gateway, member, message, post, publish, published, read, refusal, refused, with_token};

#[tokio::test(start_paused = true)]
async fn a_body_is_text_json_or_bytes() {
    let gateway = gateway(|_| {}).await;
    let (mut ann, _) = member(&gateway, "a", None).await;
    ann.subscribed("1", "/topic/x").await;
    let raw = |body: &str| post("/api/publish", format!(r#"{{"destination":"/topic/x",{body}}}"#));
    for (body, expected, content_type) in [
        (r#""body":"hé\nllo""#, "hé\nllo", Some("text/plain")),
        (r#""body":"""#, "", Some("text/plain")),
        (
            r#""body": {"b": 1.50, "a": [ 12345678901234567890123, " x " ]}"#,
            r#"{"b":1.50,"a":[12345678901234567890123," x "]}"#,
            Some("application/json"),
        ),
        (r#""body":true"#, "true", Some("application/json")),
        (r#""body":"[1]","content_type":"application/json""#, "[1]", Some("application/json")),
        (r#""body":[1],"headers":{"content-type":"text/x"}"#, "[1]", Some("text/x")),
        (r#""body_base64":"aGk=""#, "hi", None),
        (r#""body_base64":"aGk=","content_type":"image/x""#, "hi", Some("image/x")),
        (r#""body":null"#, "", None),
        (r#""headers":{}"#, "", None),
    ] {
        assert_eq!(ask(&gateway, raw(body)).await, published(1, 1, false), "{body}");
        assert_eq!(message(&mut ann).await, (expected.to_owned(), content_type.map(str::to_owned)), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn headers_go_along_but_not_those_that_are_the_gateways() {
    let gateway = gateway(|_| {}).await;
    let (mut ann, _) = member(&gateway, "a", None).await;
    ann.subscribed("1", "/topic/x").await;
    let headers =
        json!({"priority": "9", "a:b": "c\nd", "message-id": "forged", "subscription": "7", "content-length": "1"});
    publish(&gateway, json!({"destination": "/topic/x", "headers": headers, "body": "text"})).await;
    let frame = ann.expect(Command::Message).await;
    let header = |name| frame.headers.get(name);
    assert_eq!((header("priority"), header("a:b"), header("subscription")), (Some("9"), Some("c\nd"), Some("1")));
    assert_ne!(header("message-id"), Some("forged"));
    assert_eq!(frame.body, "text");
}

#[tokio::test(start_paused = true)]
async fn a_message_for_a_user_reaches_all_their_sessions() {
    let gateway = gateway(|_| {}).await;
    let (mut one, _) = member(&gateway, "a", Some("a/nn")).await;
    let (mut two, session) = member(&gateway, "b", Some("a/nn")).await;
    let (mut nobody, name) = member(&gateway, "c", None).await;
    for stomp in [&mut one, &mut two, &mut nobody] {
        stomp.subscribed("1", "/user/queue/notices").await;
    }
    let to = |user: &str, destination: &str| json!({"user": user, "destination": destination, "body": "x"});
    assert_eq!(publish(&gateway, to("a/nn", "/queue/notices")).await, published(1, 2, false));
    assert_eq!(message(&mut one).await.0, "x");
    assert_eq!(message(&mut two).await.0, "x");
    assert_eq!(publish(&gateway, to(&name, "/queue/notices")).await, published(1, 1, false), "{session}");
    assert_eq!(message(&mut nobody).await.0, "x");
    assert_eq!(publish(&gateway, to("a/nn", "/queue/others")).await, published(1, 0, true));
    assert_eq!(publish(&gateway, json!({"destination": "/user/bob/queue/notices"})).await, published(1, 0, true));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_published_in_its_order() {
    let gateway = gateway(|_| {}).await;
    let (mut ann, _) = member(&gateway, "a", None).await;
    ann.subscribed("1", "/topic/x").await;
    let messages: Vec<Value> = (0..50).map(|number| json!({"destination": "/topic/x", "body": number})).collect();
    for batch in [json!(messages), json!({ "messages": messages })] {
        assert_eq!(publish(&gateway, batch).await, published(50, 50, false));
        for number in 0..50 {
            assert_eq!(message(&mut ann).await.0, number.to_string());
        }
    }
    assert_eq!(publish(&gateway, json!([])).await, published(0, 0, false));
}

/// The queue is full at the third message of the batch, and nobody has seen the first two.
#[tokio::test(start_paused = true)]
async fn all_of_a_batch_is_published_or_nothing() {
    let gateway = gateway(|config| config.broker.queue.messages = 2).await;
    let (mut ann, _) = member(&gateway, "a", None).await;
    ann.subscribed("1", "/topic/x").await;
    let to = |destination: &str| json!({"destination": destination, "body": "m"});
    let full = json!([to("/topic/x"), to("/queue/q"), to("/queue/q"), to("/queue/q"), to("/topic/x")]);
    let answer = gateway.request(post("/api/publish", full)).await;
    assert_eq!(answer.header("Retry-After"), Some("1"));
    assert_eq!(refusal((answer.status, read(&answer))), refused(503, "queue_full", 3));
    for (last, status, code) in
        [("/nowhere", 422, "wrong_destination"), ("/topic/*", 422, "wrong_destination"), ("", 422, "wrong_destination")]
    {
        let batch = json!([to("/topic/x"), to("/queue/q"), to(last)]);
        assert_eq!(refusal(publish(&gateway, batch).await), refused(status, code, 2), "{last}");
    }
    let batch = json!([to("/topic/x"), to("/queue/q"), {"destination": "/topic/x", "body_base64": "?"}]);
    assert_eq!(refusal(publish(&gateway, batch).await), refused(422, "wrong_base64", 2));
    assert_eq!(gateway.core().broker().queue_len("/queue/q"), None, "no place is kept, and no queue");
    assert_eq!(
        publish(&gateway, json!([to("/queue/q"), to("/queue/q"), to("/topic/x")])).await,
        published(3, 3, false)
    );
    assert_eq!(message(&mut ann).await.0, "m");
    ann.confirmed(Frame::new(Command::Subscribe).with("id", "2").with("destination", "/topic/y")).await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_without_room_says_so() {
    let crowded = gateway(|config| config.broker.max_destinations = 1).await;
    let two = json!([{"destination": "/queue/a"}, {"destination": "/queue/b"}]);
    assert_eq!(refusal(publish(&crowded, two).await), refused(503, "too_many_destinations", 1));
    let full = gateway(|config| {
        (config.broker.queue.bytes, config.broker.queues_bytes, config.broker.history_bytes) = (1024, 1024, 1024);
        config.broker.high_water = 1 << 18;
    })
    .await;
    let (mut ann, _) = member(&full, "a", None).await;
    ann.subscribed("1", "/topic/x").await;
    // She does not read, so what her connection does not hold waits.
    let large = json!({"destination": "/topic/x", "body": "x".repeat(1 << 16)});
    let mut answers = vec![];
    while answers.last().is_none_or(|(status, _)| *status == 200) {
        assert!(answers.len() < 20);
        answers.push(publish(&full, large.clone()).await);
    }
    assert_eq!(refusal(answers.remove(answers.len() - 1)), refused(503, "high_water", 0));
}

#[tokio::test(start_paused = true)]
async fn what_means_nothing_is_refused_and_named() {
    let gateway = gateway(|_| {}).await;
    let meaningless = |code: &'static str, index: Option<u64>, word: &'static str| (422, code, index, word);
    for (body, (status, code, index, word)) in [
        ("", (400, "not_json", None, "EOF while parsing a value at line 1 column 0")),
        ("{\n\"destination\" \"/topic/x\"}", (400, "not_json", None, "line 2 column")),
        (r#"{"destination":"/topic/x"} x"#, (400, "not_json", None, "trailing")),
        ("\u{feff}{}", (400, "not_json", None, "line 1")),
        ("7", meaningless("wrong_fields", None, "object")),
        ("{}", meaningless("wrong_fields", None, "`destination`")),
        (r#"{"destination":"/topic/x","bodi":""}"#, meaningless("wrong_fields", None, "`bodi`")),
        (r#"{"destination":"/topic/x","destination":"/topic/y"}"#, meaningless("wrong_fields", None, "duplicate")),
        (r#"{"destination":7}"#, meaningless("wrong_fields", None, "a string")),
        (r#"{"messages":[],"destination":"/topic/x"}"#, meaningless("wrong_fields", None, "`destination`")),
        (r#"{"messages":{}}"#, meaningless("wrong_fields", None, "sequence")),
        (r#"[{"destination":"/topic/x"},{"messages":[]}]"#, meaningless("wrong_fields", Some(1), "`messages`")),
        (r#"[["/topic/x",null,null,null,null,null]]"#, meaningless("wrong_fields", Some(0), "object")),
        (r#"{"destination":"/topic/x","body":1,"body_base64":""}"#, meaningless("wrong_fields", None, "not both")),
        (r#"{"destination":"/topic/x","body_base64":"a"}"#, meaningless("wrong_base64", None, "base64")),
        (r#"{"destination":"/topic/x","body":"\ud800"}"#, meaningless("wrong_fields", None, "`body`")),
        (r#"{"destination":"/topic/x","headers":{"a":1}}"#, meaningless("wrong_fields", None, "a string")),
        (r#"{"destination":"/topic/x","headers":{"a":"1","b":"","a":"1"}}"#, meaningless("wrong_fields", None, "`a`")),
        (r#"{"destination":"/topic/x","headers":{"":"1"}}"#, meaningless("wrong_fields", None, "name")),
        (r#"{"destination":"/topic/x","headers":{"a":"\u0000"}}"#, meaningless("wrong_fields", None, "NUL")),
        (
            r#"{"destination":"/topic/x","headers":{"content-type":"a"},"content_type":"b"}"#,
            meaningless("wrong_fields", None, "content type"),
        ),
        (r#"{"destination":"/topic/a.*"}"#, meaningless("wrong_destination", Some(0), "pattern")),
        (r#"{"destination":"/app/x"}"#, meaningless("wrong_destination", Some(0), "unknown kind")),
        (r#"{"destination":"/user/queue/x"}"#, meaningless("wrong_destination", Some(0), "/user/USER")),
        (r#"{"user":"ann","destination":"queue/x"}"#, meaningless("wrong_destination", None, "/user")),
        (r#"{"user":"","destination":"/queue/x"}"#, meaningless("wrong_user", None, "`user`")),
        (r#"{"user":"a%2Fb","destination":"/queue/x"}"#, meaningless("wrong_user", None, "%2F")),
        (
            r#"{"destination":"/queue/x","headers":{"expiration":"soon"}}"#,
            meaningless("wrong_expiration", Some(0), "milliseconds"),
        ),
    ] {
        let answer = ask(&gateway, post("/api/publish", body)).await;
        let text = answer.1["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(refusal(answer), refused(status, code, index), "{body}: {text}");
        assert!(text.contains(word), "{body}: {text}");
    }
    assert!(gateway.core().broker().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_must_be_said_to_be_json() {
    let gateway = gateway(|_| {}).await;
    let body = r#"{"destination":"/topic/x"}"#;
    let send = |kind: &[&str]| {
        let request = with_token(Request::post("/api/publish")).body(body);
        kind.iter().fold(request, |request, kind| request.header("Content-Type", kind))
    };
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(ask(&gateway, send(&[kind])).await.0, 200, "{kind}");
    }
    let json = "application/json";
    for kind in
        [&[][..], &["text/plain"], &["application/x-www-form-urlencoded"], &["application/jsonp"], &[json, json]]
    {
        assert_eq!(refusal(ask(&gateway, send(kind)).await), refused(415, "not_json_type", None), "{kind:?}");
    }
}
