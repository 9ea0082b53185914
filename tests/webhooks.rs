//! Backends over HTTP: what they are asked, what their answers mean, and what the sender is told when one is slow, down, lying
//! or huge. None of it takes longer than the time-out, and nothing that may have been done is asked for twice.

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use support::backend::{Asked, Backend, Say, nowhere};
use support::metrics::Meter;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use towpath::config::{App, Config, Secret};
use towpath::gateway::{Answer, Caller, Failure, Incoming, Principal, Variables};
use towpath::stomp::Headers;
use towpath::webhook::Webhooks;

const TIMEOUT: Duration = Duration::from_secs(5);

// ---- what is asked ----

#[tokio::test]
async fn a_message_is_posted_with_its_context_and_body() {
    let backend = Backend::start(|_, _| Say::status(204, "")).await;
    let hooks = hooks(&backend.url("/chat/{room}?key=1"), |_| {});
    let headers = [("content-type", "text/x"), ("Passcode", "hidden"), ("login", "hidden"), ("x", "\u{e9}")];
    let answer = hooks.call(&message("/app/chat/a b", headers.into_iter().collect(), b"\x00\xff body")).await;

    assert_eq!(answer, Ok(Answer::default()));
    let asked = backend.asked().remove(0);
    assert_eq!(asked.line, "POST /chat/a%20b?key=1");
    assert_eq!(asked.body, b"\x00\xff body");
    assert_eq!(asked.headers["content-type"], "text/x");
    assert!(asked.headers["user-agent"].starts_with("towpath/"));
    assert!(asked.headers["towpath-context"].is_ascii());
    let mut context = asked.context();
    let id = context["id"].take();
    assert!(id.as_str().is_some_and(|id| id.ends_with("-1")), "{id}");
    assert_eq!(
        context,
        json!({
            "id": null,
            "destination": "/app/chat/a b",
            "user": "ann",
            "claims": { "role": "editor" },
            "session": "session-0000000000000001",
            "transport": "websocket",
            "variables": { "room": "a b" },
            "headers": { "content-type": "text/x", "x": "\u{e9}" },
        })
    );
    // Nobody without a secret pretends to sign.
    assert!(!asked.headers.contains_key("towpath-signature"));
}

#[tokio::test]
async fn a_message_without_content_type_is_bytes() {
    let backend = Backend::start(|_, _| Say::status(204, "")).await;
    let hooks = hooks(&backend.url("/"), |_| {});
    for given in [None, Some(""), Some("a\u{0}b")] {
        let headers = given.map(|given| ("content-type", given)).into_iter().collect();
        assert!(hooks.call(&message("/app/chat/a", headers, b"")).await.is_ok());
    }
    assert!(backend.asked().iter().all(|asked| asked.headers["content-type"] == "application/octet-stream"));
}

#[tokio::test]
async fn requests_are_signed_over_time_context_and_body() {
    let backend = Backend::start(|asked, _| answer_to(asked)).await;
    let url = backend.url("/");
    let hooks = hooks(&url, |config| {
        config.webhook.secret = Some(Secret::new("a shared key"));
        config.webhook.connect = Some(url.clone());
    });
    hooks.call(&text("/app/chat/a", "hello")).await.unwrap();
    hooks.ask_connect(&ann(), "s", "websocket", &Headers::new()).await.unwrap();
    hooks.authenticate(&url, Some("ann"), Some("pass")).await.unwrap();

    for asked in backend.asked() {
        let (time, signature) = asked.headers["towpath-signature"].split_once(",v1=").unwrap();
        let time = time.strip_prefix("t=").unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(time.parse().unwrap()) < 60, "{time}");
        let context = asked.headers.get("towpath-context").map_or("", String::as_str);
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"a shared key").unwrap();
        mac.update(&[time.as_bytes(), b".", context.as_bytes(), b".", &asked.body].concat());
        let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(signature, expected);
    }
    assert_eq!(backend.asked().len(), 3);
}

#[tokio::test]
async fn a_context_that_is_too_long_is_not_sent() {
    let backend = Backend::start(|_, _| Say::status(204, "")).await;
    let hooks = hooks(&backend.url("/"), |config| config.webhook.max_context = 1000);
    let with = |length: usize| message("/app/chat/a", [("x", "y".repeat(length))].into_iter().collect(), b"");
    assert!(hooks.call(&with(500)).await.is_ok());
    let failure = hooks.call(&with(1000)).await.unwrap_err().message;
    assert!(failure.contains("/app/chat/{room} takes 1000"), "{failure}");
    assert_eq!(backend.asked().len(), 1);
}

// ---- what is answered ----

#[tokio::test]
async fn an_answer_publishes_and_replies() {
    let backend = Backend::start(|_, _| {
        Say::json(json!({
            "publish": [{ "destination": "/topic/a", "body": { "x": 1 } }, { "destination": "/queue/b", "body": "y" }],
            "reply": "thanks",
        }))
    })
    .await;
    let Answer { publish, reply } = hooks(&backend.url("/"), |_| {}).call(&text("/app/chat/a", "")).await.unwrap();
    assert_eq!((&*publish[0].destination, &publish[0].body), ("/topic/a", &Bytes::from("{\"x\":1}")));
    assert_eq!((&*publish[1].destination, &publish[1].body), ("/queue/b", &Bytes::from("y")));
    assert_eq!(reply.unwrap().body, "thanks");
}

#[tokio::test]
async fn no_content_is_no_answer_and_no_failure() {
    for status in [200, 201, 202, 204] {
        let backend = Backend::start(move |_, _| Say::status(status, "")).await;
        assert_eq!(hooks(&backend.url("/"), |_| {}).call(&text("/app/chat/a", "")).await, Ok(Answer::default()));
    }
}

#[tokio::test]
async fn a_lying_backend_is_not_believed() {
    let lies: Vec<Vec<u8>> = vec![
        b"<html>".to_vec(),
        b"\"\xff\"".to_vec(),
        b"[]".to_vec(),
        b"{\"publish\":1}".to_vec(),
        b"{\"publish\":[{\"destination\":\"/nowhere\"}]}".to_vec(),
        // One that is right does not save the other.
        b"{\"publish\":[{\"destination\":\"/topic/a\"},{\"destination\":7}]}".to_vec(),
        format!("{{\"reply\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes(),
    ];
    let count = lies.len();
    let backend = Backend::start(move |_, number| Say::status(200, lies[number].clone())).await;
    let hooks = hooks(&backend.url("/x?key=hidden"), |_| {});
    for _ in 0..count {
        let failure = failure(&hooks).await;
        assert_eq!(failure, "the backend's answer for /app/chat/{room} cannot be used");
    }
    assert_eq!(backend.asked().len(), count, "asked once each");
}

#[tokio::test]
async fn a_length_that_is_a_lie_is_a_failure() {
    for raw in [
        "HTTP/1.1 200 x\r\ncontent-length: 100\r\n\r\n{}",
        "HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\n{\"publish\":[]}",
        "HTTP/1.1 200 x\r\ncontent-length: -1\r\n\r\n{}",
        "HTTP/1.1 200 x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200",
        "nonsense\r\n\r\n",
        "",
    ] {
        let backend = Backend::start(move |_, _| Say::Raw(raw.into())).await;
        let failure = failure(&hooks(&backend.url("/"), |_| {})).await;
        assert!(failure.contains("failed") || failure.contains("cannot be used"), "{raw:?}: {failure}");
        assert_eq!(backend.asked().len(), 1, "it may have been done, so it is not asked for again: {raw:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    let announced = Say::Stall(b"HTTP/1.1 200 x\r\ncontent-length: 65537\r\n\r\n".to_vec());
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    let endless = format!("HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n{}", chunk.repeat(16));
    let endless = Say::Stall(endless.into());
    let header = ("x", "y".repeat(200_000));
    let header = Say::Answer(200, vec![header], b"{}".to_vec());
    let headers = Say::Answer(200, vec![("x", "y".to_owned()); 1000], b"{}".to_vec());
    for say in [announced, endless, header, headers] {
        let backend = Backend::start(move |_, _| say.clone()).await;
        let hooks = hooks(&backend.url("/"), |config| config.webhook.max_response = 64 * 1024);
        assert_eq!(failure(&hooks).await, "the backend of /app/chat/{room} failed");
        assert_eq!(backend.asked().len(), 1);
    }
    // One that just fits is fine.
    let full = format!("{{}}{}", " ".repeat(64 * 1024 - 2));
    let backend = Backend::start(move |_, _| Say::status(200, full.clone())).await;
    assert!(
        hooks(&backend.url("/"), |config| config.webhook.max_response = 64 * 1024)
            .call(&text("/app/chat/a", ""))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_backend_tells_the_sender_what_is_wrong_by_a_4xx() {
    for (status, body, told) in [
        (400, r#"{"error":"no such\n room","code":7}"#, "no such room"),
        (422, r#"{"error":"full"}"#, "full"),
        (404, "<html>", "the backend of /app/chat/{room} failed"),
        (403, r#"{"error":1}"#, "the backend of /app/chat/{room} failed"),
        // What a 5xx says is mostly a stack trace.
        (500, r#"{"error":"at line 7"}"#, "the backend of /app/chat/{room} failed"),
        (302, r#"{"error":"moved"}"#, "the backend of /app/chat/{room} failed"),
    ] {
        let backend =
            Backend::start(move |_, _| Say::Answer(status, vec![("location", "/other".to_owned())], body.into())).await;
        assert_eq!(failure(&hooks(&backend.url("/x?key=hidden"), |_| {})).await, told, "{status}");
        assert_eq!(backend.asked().len(), 1, "{status}");
    }
}

// ---- slow and down ----

#[tokio::test(start_paused = true)]
async fn a_slow_backend_costs_its_sender_no_more_than_the_timeout() {
    let backend = Backend::start(|_, _| Say::hang()).await;
    let hooks = hooks(&backend.url("/x?key=hidden"), |_| {});
    let began = Instant::now();
    assert_eq!(failure(&hooks).await, "the backend of /app/chat/{room} did not answer in time");
    assert_eq!(began.elapsed(), TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_place_counts() {
    let backend = Backend::start(|_, _| Say::hang()).await;
    let hooks = hooks(&backend.url("/"), |config| config.webhook.max_requests = 1);
    let began = Instant::now();
    let (first, second) = tokio::join!(failure(&hooks), failure(&hooks));
    assert_eq!([first, second].map(|text| text.contains("did not answer in time")), [true, true]);
    assert_eq!(began.elapsed(), TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_down_is_tried_again_and_then_given_up() {
    let url = format!("http://{}/x?key=hidden", nowhere().await);
    for retries in [0, 2] {
        let hooks = hooks(&url, |config| config.webhook.retries = retries);
        let began = Instant::now();
        assert_eq!(failure(&hooks).await, "the backend of /app/chat/{room} cannot be reached");
        // Under this clock nothing takes time but the pauses: 50 ms before the first, 100 ms before the second, half of 50 more or less.
        let paused = began.elapsed().as_millis();
        let expected = if retries == 0 { 0..=0 } else { 100..=200 };
        assert!(expected.contains(&paused), "{retries}: {paused}");
    }
}

#[tokio::test]
async fn a_backend_that_comes_up_meanwhile_gets_the_message() {
    let address = nowhere().await;
    let hooks = hooks(&format!("http://{address}/"), |config| config.webhook.retries = 10);
    let call = text("/app/chat/a", "hello");
    // The call is polled first and finds nobody.
    let (answer, backend) = tokio::join!(biased; hooks.call(&call), Backend::at(address, |asked, _| answer_to(asked)));
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(backend.asked().len(), 1);
}

#[tokio::test]
async fn what_a_backend_puts_off_itself_is_asked_again_if_there_is_time() {
    for (status, wait, asked) in [
        (503, Some("0"), 2),
        (429, Some("0"), 2),
        (503, Some("Sun, 06 Nov 1994 08:49:37 GMT"), 2),
        // Longer than the time-out.
        (503, Some("60"), 1),
        (503, None, 1),
        (503, Some("soon"), 1),
        (500, Some("0"), 1),
    ] {
        let backend = Backend::start(move |_, number| match number {
            0 => Say::Answer(status, wait.map(|wait| ("retry-after", wait.to_owned())).into_iter().collect(), vec![]),
            _ => Say::status(204, ""),
        })
        .await;
        let answer = hooks(&backend.url("/"), |_| {}).call(&text("/app/chat/a", "hello")).await;
        // At once, and not when the time is over.
        let failed = "the backend of /app/chat/{room} failed".to_owned();
        let expected = if asked == 2 { Ok(Answer::default()) } else { Err(failed) };
        assert_eq!(answer.map_err(|failure| failure.message), expected, "{status} {wait:?}");
        let seen = backend.asked();
        assert_eq!(seen.len(), asked, "{status} {wait:?}");
        let ids: Vec<_> = seen.iter().map(|asked| asked.context()["id"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "the id stays the same: {ids:?}");
    }
}

#[tokio::test]
async fn attempts_come_to_an_end() {
    let off = || Say::Answer(503, vec![("retry-after", "0".to_owned())], vec![]);
    let backend = Backend::start(move |_, _| off()).await;
    assert_eq!(failure(&hooks(&backend.url("/"), |_| {})).await, "the backend of /app/chat/{room} failed");
    assert_eq!(backend.asked().len(), 3, "once, and two retries");
}

// ---- bounds and order ----

#[tokio::test]
async fn no_more_than_max_requests_at_once_and_the_others_in_their_order() {
    let meter = Meter::install();
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let backend = Backend::start(move |_, _| Say::When(Arc::clone(&held), Box::new(Say::status(204, "")))).await;
    let hooks = hooks(&backend.url("/"), |config| {
        config.webhook.max_requests = 1;
        config.webhook.max_waiting = 3;
    });
    let send = |body: &'static str| {
        let hooks = Arc::clone(&hooks);
        async move { hooks.call(&text("/app/chat/a", body)).await }
    };
    let mut calls = vec![tokio::spawn(send("0"))];
    backend.was_asked(1).await;
    for body in ["1", "2", "3"] {
        calls.push(tokio::spawn(send(body)));
    }
    // This runtime has one thread: they run up to their wait, in that order.
    tokio::task::yield_now().await;

    let failure = send("4").await.unwrap_err().message;
    assert_eq!(failure, "the backend of /app/chat/{room} is busy");
    assert_eq!(meter.limit_reached("webhook.max_waiting"), 1);
    gate.add_permits(4);
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    let bodies: Vec<_> = backend.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(bodies, [b"0", b"1", b"2", b"3"]);
    assert_eq!(backend.busiest(), 1);
    assert_eq!(backend.connections(), 1, "one connection serves them all");
}

// ---- connect, subscribe, authenticate ----

#[tokio::test]
async fn a_connect_or_subscribe_is_asked_about_as_json() {
    let backend = Backend::start(|_, _| Say::status(204, "")).await;
    let url = backend.url("/may");
    let hooks = hooks(&url, |config| {
        config.webhook.connect = Some(url.clone());
        config.webhook.subscribe = Some(url.clone());
    });
    let headers: Headers = [("host", "h"), ("passcode", "hidden")].into_iter().collect();
    assert_eq!(hooks.ask_connect(&ann(), "session-1", "xhr", &headers).await, Ok(()));
    let wish = message("/topic/a", [("id", "sub-1")].into_iter().collect(), b"");
    assert_eq!(hooks.ask_subscribe(&wish).await, Ok(()));

    let asked = backend.asked();
    assert!(asked.iter().all(|asked| asked.line == "POST /may" && asked.headers["content-type"] == "application/json"));
    assert!(asked.iter().all(|asked| !asked.headers.contains_key("towpath-context")));
    assert_eq!(
        asked[0].json(),
        json!({
            "command": "CONNECT",
            "user": "ann",
            "claims": { "role": "editor" },
            "session": "session-1",
            "transport": "xhr",
            "headers": { "host": "h" },
        })
    );
    let subscribe = asked[1].json();
    assert_eq!((&subscribe["command"], &subscribe["destination"]), (&json!("SUBSCRIBE"), &json!("/topic/a")));
    assert_eq!(subscribe["headers"], json!({ "id": "sub-1" }));
}

#[tokio::test]
async fn nobody_to_ask_is_a_yes_and_everything_but_a_yes_is_a_no() {
    let silent = hooks("http://127.0.0.1:1/", |_| {});
    assert!(!silent.asks_connect() && !silent.asks_subscribe());
    assert_eq!(silent.ask_connect(&ann(), "s", "xhr", &Headers::new()).await, Ok(()));
    assert_eq!(silent.ask_subscribe(&text("/topic/a", "")).await, Ok(()));

    let unusable = "the backend that decides about CONNECT gave an answer that cannot be used";
    let failed = "the backend that decides about CONNECT failed";
    for (status, body, told) in [
        (200, r#"{"allow":false,"error":"not today"}"#, "not today"),
        (200, r#"{"allow":false}"#, "the application refuses this CONNECT"),
        (403, r#"{"error":"banned"}"#, "banned"),
        (401, "", "the application refuses this CONNECT"),
        (200, "ok", unusable),
        (200, r#"{"allow":"yes"}"#, unusable),
        (404, r#"{"error":"x"}"#, failed),
        (500, "", failed),
        (302, "", failed),
    ] {
        let backend = Backend::start(move |_, _| Say::status(status, body)).await;
        let hooks = hooks("http://h/", |config| config.webhook.connect = Some(backend.url("/")));
        let failure = hooks.ask_connect(&ann(), "s", "xhr", &Headers::new()).await.unwrap_err();
        assert_eq!(failure.message, told, "{status} {body}");
    }
    let nowhere = format!("http://{}/", nowhere().await);
    let hooks = hooks("http://h/", |config| config.webhook.subscribe = Some(nowhere.clone()));
    let failure = hooks.ask_subscribe(&text("/topic/a", "")).await.unwrap_err();
    assert_eq!(failure.message, "the backend that decides about SUBSCRIBE cannot be reached");
}

#[tokio::test]
async fn a_backend_knows_who_somebody_is() {
    let backend = Backend::start(|asked, _| {
        let asked = asked.json();
        match asked["passcode"].as_str() {
            Some("right") => Say::json(json!({ "user": asked["login"], "claims": { "role": "x" }, "expires_in": 60 })),
            Some("broken") => Say::json(json!({ "user": null })),
            Some("down") => Say::status(500, ""),
            Some("unknown") => Say::status(403, ""),
            _ => Say::status(401, ""),
        }
    })
    .await;
    let hooks = hooks("http://h/", |_| {});
    let url = backend.url("/who");
    let ask = async |passcode| hooks.authenticate(&url, Some("ann"), Some(passcode)).await;
    let ann = ask("right").await.unwrap().unwrap();
    assert_eq!((&*ann.user, &ann.claims["role"], ann.expires_in), ("ann", &json!("x"), Some(Duration::from_secs(60))));
    assert_eq!(ask("wrong").await, Ok(None));
    assert_eq!(ask("unknown").await, Ok(None));
    assert!(ask("broken").await.is_err());
    assert!(ask("down").await.is_err());
    assert_eq!(hooks.authenticate(&url, None, None).await, Ok(None));
    let asked = backend.asked();
    assert_eq!(asked[0].json(), json!({ "login": "ann", "passcode": "right" }));
    assert_eq!(asked.last().unwrap().json(), json!({ "login": null, "passcode": null }));
}

// ---- settings ----

#[tokio::test]
async fn the_first_app_that_fits_is_asked_and_what_fits_none_is_nobodys() {
    let backend = Backend::start(|_, _| Say::status(204, "")).await;
    let hooks = hooks(&backend.url("/any"), |config| {
        let lobby = App { destination: "/app/chat/lobby".into(), url: backend.url("/lobby") };
        config.apps.insert(0, lobby);
    });
    assert!(hooks.handles("/app/chat/lobby") && hooks.handles("/app/chat/a") && !hooks.handles("/app/other"));
    hooks.call(&text("/app/chat/lobby", "")).await.unwrap();
    hooks.call(&text("/app/chat/a", "")).await.unwrap();
    assert!(hooks.call(&text("/app/other", "")).await.is_err());
    let lines: Vec<_> = backend.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(lines, ["POST /lobby", "POST /any"]);
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_without_showing_secrets() {
    let good = App { destination: "/app/chat/{room}".into(), url: "http://h/{room}".into() };
    for (destination, url, reason) in [
        ("/app/{x", "http://h/", "[[app]] 2: the pattern"),
        ("/app/chat/{other}", "http://h/", "[[app]] 2: the pattern"),
        ("/app/{x}", "http://h/{y}", "[[app]] 2: the url has {y}"),
        ("/app/{x}", "ftp://h/", "http://"),
        ("/app/{x}", "http://ann:hidden@h/", "names a user"),
    ] {
        let app = App { destination: destination.into(), url: url.into() };
        let config = Config { apps: vec![good.clone(), app], ..Config::default() };
        let error = Webhooks::new(&config).unwrap_err().to_string();
        assert!(error.contains(reason) && !error.contains("hidden"), "{error}");
    }
    let mut config = Config::default();
    config.webhook.connect = Some("h/x".into());
    assert!(Webhooks::new(&config).unwrap_err().to_string().starts_with("webhook.connect: the url"));
}

// ---- the backend of docs/webhooks.md ----

/// The page's own code, run as it stands but for the port.
#[tokio::test]
async fn the_backend_in_the_documents_works() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/webhooks.md")).unwrap();
    let code =
        page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the page has a backend");
    assert!(code.lines().count() <= 24, "it stays short");
    let address = nowhere().await;
    let mut python = Python::start(&code.replace("3000", &address.port().to_string()));
    python.wait_for("listening");

    let url = format!("http://{address}/chat/{{room}}");
    let hooks_with = |secret: &str| {
        let secret = Secret::new(secret);
        hooks(&url, |config| config.webhook.secret = Some(secret))
    };
    let hello = || {
        message(
            "/app/chat/blue",
            [("content-type", "application/json")].into_iter().collect(),
            b"{\"text\":\"h\xc3\xa9llo\"}",
        )
    };
    let hooks = hooks_with("change-this-to-32-random-letters");
    let Answer { publish, reply } = hooks.call(&hello()).await.unwrap();
    assert_eq!(publish[0].destination, "/topic/chat.blue");
    let body: Value = serde_json::from_slice(&publish[0].body).unwrap();
    assert_eq!(body, json!({ "from": "ann", "text": "h\u{e9}llo" }));
    assert_eq!(reply, None);
    assert_eq!(hooks.call(&text("/app/chat/blue", "{}")).await.unwrap_err().message, "a message has a text");
    assert_eq!(hooks_with("other").call(&hello()).await.unwrap_err().message, "not signed by the gateway");
}

/// A Python that ends with the test.
struct Python {
    process: std::process::Child,
    output: std::io::BufReader<std::process::ChildStdout>,
}

impl Python {
    fn start(code: &str) -> Self {
        use std::process::{Command, Stdio};
        let mut process = Command::new("python3")
            .args(["-c", code])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs python3, and nothing but its standard library");
        let output = std::io::BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, output }
    }

    fn wait_for(&mut self, word: &str) {
        use std::io::BufRead as _;
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        assert!(line.contains(word), "{line:?}");
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// ---- helpers ----

/// One app, `/app/chat/{room}`, at that URL.
fn hooks(url: &str, change: impl FnOnce(&mut Config)) -> Arc<Webhooks> {
    let app = App { destination: "/app/chat/{room}".into(), url: url.into() };
    let mut config = Config { apps: vec![app], ..Config::default() };
    config.webhook.timeout = TIMEOUT;
    change(&mut config);
    Arc::new(Webhooks::new(&config).expect("good settings"))
}

fn ann() -> Principal {
    Principal::named("ann").with_claims([("role".to_owned(), json!("editor"))].into_iter().collect())
}

fn message(destination: &str, headers: Headers, body: &'static [u8]) -> Incoming {
    let caller = Caller::new("session-0000000000000001".into(), "websocket", "/stomp".into(), Arc::new(ann()));
    Incoming {
        id: 1,
        destination: destination.into(),
        headers,
        body: Bytes::from_static(body),
        caller,
        variables: Variables::default(),
    }
}

fn text(destination: &str, body: &'static str) -> Incoming {
    message(destination, Headers::new(), body.as_bytes())
}

async fn failure(hooks: &Webhooks) -> String {
    let Failure { message, .. } = hooks.call(&text("/app/chat/a", "hello")).await.expect_err("a failure");
    assert!(!message.contains("hidden"), "{message}");
    message
}

/// What suits every question.
fn answer_to(asked: &Asked) -> Say {
    match serde_json::from_slice::<Value>(&asked.body) {
        Ok(question) if question.get("login").is_some() => Say::json(json!({ "user": "ann" })),
        _ => Say::status(204, ""),
    }
}
