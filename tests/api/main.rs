//! The HTTP API as backends see it: what each call does, what it refuses and how, its limits, and that nothing is published
//! when something is refused. What the description says of it is compared in api_description.rs.

mod lists;
mod once;
mod publish;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::metrics::Meter;
use support::stomp::{Event, Stomp};
use support::{Client, Gateway, Request, Response, Transport};
use towpath::config::{Config, Secret};
use towpath::gateway::Ticket;
use towpath::stomp::{Command, Frame, Version};

const TOKEN: &str = "0123456789abcdef";

fn config() -> Config {
    let mut config = Config::default();
    config.api.token = Some(Secret::new(TOKEN));
    config
}

async fn gateway(change: impl FnOnce(&mut Config)) -> Gateway {
    let mut config = config();
    change(&mut config);
    Gateway::in_memory(config).await
}

fn with_token(request: Request) -> Request {
    request.header("Authorization", &format!("Bearer {TOKEN}"))
}

fn get(path: &str) -> Request {
    with_token(Request::get(path))
}

fn post(path: &str, body: impl ToString) -> Request {
    with_token(Request::post(path)).header("Content-Type", "application/json").body(body.to_string())
}

/// Asks, and gives the status and the JSON.
async fn ask(gateway: &Gateway, request: Request) -> (u16, Value) {
    let response = gateway.request(request).await;
    (response.status, read(&response))
}

fn read(response: &Response) -> Value {
    assert_eq!(response.header("Content-Type"), Some("application/json"), "{}", response.head());
    assert_eq!(response.header("Cache-Control"), Some("no-store"), "{}", response.head());
    serde_json::from_slice(&response.body()).expect("the answer is JSON")
}

async fn publish(gateway: &Gateway, body: Value) -> (u16, Value) {
    ask(gateway, post("/api/publish", body)).await
}

fn published(published: usize, receivers: usize, unreachable: bool) -> (u16, Value) {
    (200, json!({"published": published, "receivers": receivers, "unreachable": unreachable}))
}

fn refusal((status, answer): (u16, Value)) -> (u16, String, Option<u64>) {
    let error = &answer["error"];
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    (status, error["code"].as_str().expect("a code").to_owned(), error["index"].as_u64())
}

fn refused(status: u16, code: &str, index: impl Into<Option<u64>>) -> (u16, String, Option<u64>) {
    (status, code.to_owned(), index.into())
}

/// A client that says who it is, and its session's name.
async fn member(gateway: &Gateway, id: &str, login: Option<&str>) -> (Stomp, String) {
    let mut stomp = Stomp::over(Client::open(gateway, Transport::Websocket, "/stomp", id).await).await;
    let connect =
        Frame::new(Command::Connect).with("accept-version", "1.2").with("host", "x").with("heart-beat", "0,0");
    let connect = login.into_iter().fold(connect, |connect, login| connect.with("login", login));
    stomp.send(&connect).await;
    let connected = stomp.expect(Command::Connected).await;
    stomp.set_version(Version::V1_2);
    let session = connected.headers.get("session").expect("a session").to_owned();
    (stomp, session)
}

async fn message(stomp: &mut Stomp) -> (String, Option<String>) {
    let frame = stomp.expect(Command::Message).await;
    let content_type = frame.headers.get("content-type").map(str::to_owned);
    (String::from_utf8(frame.body.to_vec()).expect("text"), content_type)
}

// ---- who may ask ----

#[tokio::test(start_paused = true)]
async fn everything_needs_the_token_and_says_so_in_the_same_words() {
    let gateway = gateway(|_| {}).await;
    let paths =
        ["/api/publish", "/api/disconnect", "/api/ticket", "/api/sessions", "/api/destinations", "/api/x", "/api"];
    let wrong =
        [None, Some("Bearer wrong"), Some("Bearer 0123456789abcdef0"), Some("Basic 0123456789abcdef"), Some("")];
    let mut answers = vec![];
    for path in paths {
        for method in ["GET", "POST", "OPTIONS"] {
            for token in wrong {
                let request = Request::new(method, path).header("Origin", "https://example.com").body("{}");
                let request = token.into_iter().fold(request, |request, token| request.header("Authorization", token));
                let answer = gateway.request(request).await;
                assert_eq!(
                    (answer.status, answer.header("WWW-Authenticate")),
                    (401, Some("Bearer")),
                    "{method} {path}"
                );
                assert!(!answer.head().to_lowercase().contains("access-control"), "{}", answer.head());
                assert_eq!(read(&answer)["error"]["code"], "unauthorized");
                answers.push(answer.text());
            }
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(!answers[0].contains(TOKEN));
}

#[tokio::test(start_paused = true)]
async fn without_a_token_there_is_no_api() {
    let gateway = Gateway::in_memory(Config::default()).await;
    for request in
        [post("/api/publish", "{}"), with_token(Request::get("/api/sessions")).header("Authorization", "Bearer ")]
    {
        let answer = gateway.request(request).await;
        assert_eq!((answer.status, answer.text().as_str()), (404, "Not found\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn paths_and_methods() {
    let gateway = gateway(|config| config.api.path = "/back/end".to_owned()).await;
    for path in ["/back/end", "/back/end/", "/back/end/x", "/back/end/sessions/", "/back/end/publish/x"] {
        assert_eq!(refusal(ask(&gateway, get(path)).await), refused(404, "not_found", None), "{path}");
    }
    assert_eq!(gateway.request(get("/back/ends/sessions")).await.text(), "Not found\n");
    assert_eq!(gateway.request(get("/api/sessions")).await.text(), "Not found\n");
    for (path, allowed) in
        [("sessions", "GET, HEAD"), ("destinations", "GET, HEAD"), ("publish", "POST"), ("ticket", "POST")]
    {
        for method in ["PUT", "OPTIONS", "DELETE", if allowed == "POST" { "GET" } else { "POST" }] {
            let answer = gateway.request(with_token(Request::new(method, format!("/back/end/{path}")))).await;
            assert_eq!((answer.status, answer.header("Allow")), (405, Some(allowed)), "{method} {path}");
            read(&answer);
        }
    }
    let head = gateway.request(with_token(Request::new("HEAD", "/back/end/sessions"))).await;
    let whole = gateway.request(get("/back/end/sessions")).await;
    assert_eq!((head.status, head.header("Content-Length")), (200, whole.header("Content-Length")));
    assert_eq!(head.body(), b"");
}

#[tokio::test(start_paused = true)]
async fn a_listener_of_its_own_has_the_api_and_nothing_else() {
    let gateway = gateway(|config| config.api.listen = Some("127.0.0.1:0".parse().unwrap())).await;
    only_there(&gateway).await;
}

#[tokio::test]
async fn a_listener_of_its_own_is_a_port() {
    let mut config = config();
    config.api.listen = Some("127.0.0.1:0".parse().unwrap());
    let mut gateway = Gateway::start(config).await;
    only_there(&gateway).await;
    gateway.stop();
    gateway.stopped().await;
}

async fn only_there(gateway: &Gateway) {
    let unknown = gateway.request(get("/api/sessions")).await;
    assert_eq!((unknown.status, unknown.text().as_str()), (404, "Not found\n"));
    let mut api = gateway.api().await;
    assert_eq!(api.exchange(&get("/api/sessions")).await.status, 200);
    assert_eq!(api.exchange(&Request::get("/api/sessions")).await.status, 401);
    for path in ["/", "/stomp/info", "/healthz", "/apis"] {
        let unknown = api.exchange(&get(path)).await;
        assert_eq!((unknown.status, unknown.text().as_str()), (404, "Not found\n"), "{path}");
    }
    assert_eq!(api.exchange(&get("/api/sessions").host(None)).await.status, 400);
}

// ---- disconnect ----

#[tokio::test(start_paused = true)]
async fn a_user_or_a_session_is_disconnected() {
    let gateway = gateway(|_| {}).await;
    let (mut one, _) = member(&gateway, "a", Some("ann")).await;
    let (mut two, session) = member(&gateway, "b", Some("ann")).await;
    let (mut bob, _) = member(&gateway, "c", Some("bob")).await;
    let disconnect = async |body: Value| ask(&gateway, post("/api/disconnect", body)).await;
    let count = |count: usize| (200, json!({ "disconnected": count }));
    assert_eq!(disconnect(json!({"session": session, "code": 4001, "reason": "moved"})).await, count(1));
    assert_eq!(two.event().await, Event::Close(4001, "moved".to_owned()));
    assert_eq!(disconnect(json!({"user": "ann"})).await, count(1));
    assert_eq!(one.event().await, Event::Close(3000, "Go away!".to_owned()));
    assert_eq!(disconnect(json!({"user": "ann"})).await, count(0));
    assert_eq!(disconnect(json!({"session": "bob"})).await, count(0));
    for (body, code, word) in [
        (json!({}), "wrong_fields", "either"),
        (json!({"user": "bob", "session": "x"}), "wrong_fields", "either"),
        (json!({"user": "bob", "code": 2999}), "wrong_code", "3000 to 4999"),
        (json!({"user": "bob", "code": 5000}), "wrong_code", "3000 to 4999"),
        (json!({"user": "bob", "code": 70000}), "wrong_fields", "u16"),
        (json!({"user": "bob", "reason": "é".repeat(62)}), "wrong_reason", "123"),
        (json!({"user": "bob", "why": ""}), "wrong_fields", "`why`"),
        (json!(["bob", null, null, null]), "wrong_fields", "object"),
    ] {
        let answer = disconnect(body.clone()).await;
        assert!(answer.1.to_string().contains(word), "{body} {answer:?}");
        assert_eq!(refusal(answer), refused(422, code, None), "{body}");
    }
    bob.confirmed(Frame::new(Command::Subscribe).with("id", "1").with("destination", "/topic/x")).await;
    assert_eq!(disconnect(json!({"user": "bob", "reason": "e".repeat(123)})).await, count(1));
    assert_eq!(bob.event().await, Event::Close(3000, "e".repeat(123)));
}

// ---- tickets ----

#[tokio::test(start_paused = true)]
async fn a_ticket_proves_a_user() {
    let gateway = gateway(|config| config.auth.max_tickets = 2).await;
    let ticket = async |body: Value| ask(&gateway, post("/api/ticket", body)).await;
    let (status, answer) = ticket(json!({"user": "ann", "claims": {"roles": ["a"]}, "expires_in": 10})).await;
    assert_eq!((status, &answer["expires_in"]), (200, &json!(30)));
    let issued = Ticket::new(answer["ticket"].as_str().unwrap());
    let look = |ticket: &Ticket| gateway.core().tickets().look(ticket, tokio::time::Instant::now().into_std());
    let principal = look(&issued).expect("it is good");
    assert_eq!((principal.name(), principal.claim("roles")), (Some("ann"), Some(&json!(["a"]))));
    tokio::time::advance(Duration::from_secs(9)).await;
    assert!(look(&issued).is_some());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(look(&issued).is_none(), "the proof itself has expired");

    for (body, code) in [
        (json!({"user": ""}), "wrong_user"),
        (json!({"user": "session-0123456789abcdef"}), "wrong_user"),
        (json!({"user": "ann", "expires_in": 0}), "wrong_expires_in"),
        (json!({"user": "ann", "expires_in": u64::MAX}), "wrong_expires_in"),
        (json!({"user": "ann", "expires_in": -1}), "wrong_fields"),
        (json!({"user": "ann", "claims": []}), "wrong_fields"),
        (json!({"user": "ann", "claims": {"a": "x".repeat(8192)}}), "wrong_claims"),
        (json!({"claims": {}}), "wrong_fields"),
    ] {
        assert_eq!(refusal(ticket(body.clone()).await), refused(422, code, None), "{body}");
    }
    assert_eq!(ticket(json!({"user": "ann", "claims": null})).await.0, 200);
    assert_eq!(refusal(ticket(json!({"user": "bob"})).await), refused(503, "too_many_tickets", None));
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(ticket(json!({"user": "bob"})).await.0, 200);
}

// ---- limits ----

#[tokio::test(start_paused = true)]
async fn limits_of_requests() {
    let meter = Meter::install();
    let gateway = gateway(|config| {
        config.api.max_body = 100;
        config.api.max_batch = 2;
        config.api.max_page = 3;
    })
    .await;
    let padded = |length: usize| {
        let body = json!({"destination": "/queue/q", "body": ""}).to_string();
        post("/api/publish", format!("{body}{}", " ".repeat(length - body.len())))
    };
    assert_eq!(ask(&gateway, padded(100)).await.0, 200);
    assert_eq!(refusal(ask(&gateway, padded(101)).await), refused(413, "body_too_large", None));
    let mut http = gateway.http().await;
    let chunked = post("/api/publish", "").to_bytes();
    let chunked = String::from_utf8(chunked).unwrap().replace("Content-Length: 0", "Transfer-Encoding: chunked");
    http.send_raw(format!("{chunked}80\r\n{}\r\n0\r\n\r\n", " ".repeat(128)).as_bytes()).await;
    assert_eq!(http.response().await.status, 413);
    assert_eq!(meter.limit_reached("api.max_body"), 2);

    let batch = |count: usize| json!(vec![json!({"destination": "/topic/x"}); count]);
    assert_eq!(publish(&gateway, batch(2)).await, published(2, 0, false));
    assert_eq!(refusal(publish(&gateway, batch(3)).await), refused(413, "batch_too_large", None));
    assert_eq!(meter.limit_reached("api.max_batch"), 1);

    for number in 0..5 {
        publish(&gateway, json!({"destination": format!("/queue/{number}")})).await;
    }
    let page = ask(&gateway, get("/api/destinations")).await.1;
    assert_eq!(page["destinations"].as_array().unwrap().len(), 3, "a page is no longer than that by default either");
    assert_eq!(refusal(ask(&gateway, get("/api/destinations?limit=4")).await), refused(422, "page_too_large", None));
    assert_eq!(refusal(ask(&gateway, get("/api/sessions?limit=4")).await), refused(422, "page_too_large", None));
    assert_eq!(ask(&gateway, get("/api/sessions?limit=3")).await.0, 200);
    assert_eq!(meter.limit_reached("api.max_page"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come() {
    let meter = Meter::install();
    let gateway = gateway(|_| {}).await;
    let bytes = post("/api/publish", json!({"destination": "/queue/q"})).to_bytes();
    let mut http = gateway.http().await;
    http.send_raw(&bytes[..bytes.len() - 1]).await;
    let late = http.response().await;
    assert_eq!(late.header("Connection"), Some("close"));
    assert_eq!(refusal((late.status, read(&late))), refused(408, "body_late", None));
    assert_eq!(meter.limit_reached("body_timeout"), 1);
    assert!(gateway.core().broker().is_empty());
}
