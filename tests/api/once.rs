//! A request that comes twice with one key is done once.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::metrics::Meter;
use super::support::{Gateway, Http, Request};
use super::{ask, config, gateway, member, message, post, read, refusal, refused};

fn keyed(key: &str, path: &str, body: &Value) -> Request {
    post(path, body).header("Idempotency-Key", key)
}

#[tokio::test(start_paused = true)]
async fn a_request_with_a_key_is_done_once() {
    let gateway = gateway(|config| config.api.idempotency_ttl = Duration::from_secs(60)).await;
    let body = json!({"destination": "/queue/q", "body": "x"});
    let queued = || gateway.core().broker().queue_len("/queue/q").map(|(messages, _)| messages);
    let first = gateway.request(keyed("k", "/api/publish", &body)).await;
    assert_eq!(first.header("Idempotency-Replayed"), None);
    let again = gateway.request(keyed("k", "/api/publish", &body)).await;
    assert_eq!((again.header("Idempotency-Replayed"), read(&again)), (Some("true"), read(&first)));
    assert_eq!(queued(), Some(1));
    let other = json!({"destination": "/queue/q", "body": "y"});
    for request in [keyed("k", "/api/publish", &other), keyed("k", "/api/disconnect", &body)] {
        assert_eq!(refusal(ask(&gateway, request).await), refused(422, "idempotency_key_reused", None));
    }
    assert_eq!(queued(), Some(1));
    gateway.request(keyed("K", "/api/publish", &body)).await;
    gateway.request(post("/api/publish", &body)).await;
    assert_eq!(queued(), Some(3), "another key, and none");

    tokio::time::advance(Duration::from_secs(59)).await;
    gateway.request(keyed("k", "/api/publish", &body)).await;
    assert_eq!(queued(), Some(3));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(gateway.request(keyed("k", "/api/publish", &other)).await.status, 200);
    assert_eq!(queued(), Some(4));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_done_is_done_when_it_can() {
    let gateway = gateway(|config| config.broker.queue.messages = 1).await;
    let body = json!({"destination": "/queue/q"});
    assert_eq!(gateway.request(keyed("a", "/api/publish", &body)).await.status, 200);
    assert_eq!(gateway.request(keyed("b", "/api/publish", &body)).await.status, 503);
    let (mut ann, _) = member(&gateway, "a", None).await;
    ann.subscribe("1", "/queue/q").await;
    message(&mut ann).await;
    let now = gateway.request(keyed("b", "/api/publish", &body)).await;
    assert_eq!((now.status, now.header("Idempotency-Replayed")), (200, None));
    let wrong = json!({"destination": "/nowhere"});
    for replayed in [None, Some("true")] {
        let answer = gateway.request(keyed("c", "/api/publish", &wrong)).await;
        assert_eq!((answer.status, answer.header("Idempotency-Replayed")), (422, replayed));
    }
    for key in ["", "a b", &"k".repeat(256)] {
        let answer = ask(&gateway, keyed(key, "/api/publish", &body)).await;
        assert_eq!(refusal(answer), refused(400, "wrong_idempotency_key", None), "{key:?}");
    }
}

/// The first request with a key got stuck on its way. The one that its sender tries instead is done at once, and the first, if
/// it still arrives, is not done again.
#[tokio::test(start_paused = true)]
async fn a_key_is_taken_when_its_request_has_arrived() {
    let gateway = gateway(|_| {}).await;
    let body = json!({"destination": "/queue/q"});
    let bytes = keyed("k", "/api/publish", &body).to_bytes();
    let (start, rest) = bytes.split_at(bytes.len() - 5);
    let mut stuck = gateway.http().await;
    stuck.send_raw(start).await;
    let second = gateway.request(keyed("k", "/api/publish", &body)).await;
    assert_eq!((second.status, second.header("Idempotency-Replayed")), (200, None));
    stuck.send_raw(rest).await;
    assert_eq!(stuck.response().await.header("Idempotency-Replayed"), Some("true"));
    assert_eq!(gateway.core().broker().queue_len("/queue/q").map(|(messages, _)| messages), Some(1));
}

/// Many threads send the same request at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_requests_at_once_one_is_done() {
    let gateway = Gateway::start(config()).await;
    for round in 0..20 {
        let key = format!("k{round}");
        let (address, bytes) =
            (gateway.connector().clone(), keyed(&key, "/api/publish", &json!({"destination": "/queue/q"})).to_bytes());
        let one = |_| {
            let (connector, bytes) = (address.clone(), bytes.clone());
            tokio::spawn(async move {
                let mut http = Http::new(connector.connect().await);
                http.send_raw(&bytes).await;
                http.response().await.status
            })
        };
        let tasks: Vec<_> = (0..8).map(one).collect();
        for task in tasks {
            let status = task.await.unwrap();
            assert!(matches!(status, 200 | 409), "{status}");
        }
        let queued = gateway.core().broker().queue_len("/queue/q").map(|(messages, _)| messages);
        assert_eq!(queued, Some(round + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn idempotency_keys() {
    let meter = Meter::install();
    let gateway = gateway(|config| config.api.idempotency_keys = 2).await;
    let body = json!({"destination": "/topic/x"});
    let replayed = async |key: &str| {
        let answer = gateway.request(keyed(key, "/api/publish", &body)).await;
        answer.header("Idempotency-Replayed").is_some()
    };
    for (key, expected) in
        [("a", false), ("b", false), ("a", true), ("c", false), ("b", true), ("c", true), ("a", false)]
    {
        assert_eq!(replayed(key).await, expected, "{key}");
    }
    assert_eq!(meter.limit_reached("api.idempotency_keys"), 2);
}
