//! The examples as their readers start them: each is a process of its own on a free port, and does for clients what its first
//! lines promise.
//!
//! Does not know: the code of the examples. The page of the greeting is tested in a browser, the bridge with its own kind.

mod support;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};
use support::proof::Proof;
use support::stomp::Stomp;
use support::{Client, Connector, Frame, Http, Request, Response, Transport};
use towpath::stomp::{Command as Verb, Frame as StompFrame, Version};

const TRANSPORTS: [Transport; 4] =
    [Transport::Xhr, Transport::Websocket, Transport::XhrStreaming, Transport::RawWebsocket];

/// A running process that listens somewhere.
struct Running {
    child: Child,
    address: SocketAddr,
    /// Who prints to nobody may end.
    _lines: BufReader<ChildStdout>,
}

impl Running {
    /// An example on a free port.
    fn example(name: &str) -> Self {
        Self::start(Command::new(&EXAMPLES[name]).arg("127.0.0.1:0"))
    }

    /// A program that says in its first lines where it listens.
    fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{error}"));
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let address = loop {
            let read = lines.read_line(&mut said).expect("it prints text");
            let words = said.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
            if let Some(address) = words.filter_map(|word| word.trim_matches(':').parse().ok()).next() {
                break address;
            }
            assert!(read > 0, "it ended and said only: {said}");
        };
        Self { child, address, _lines: lines }
    }

    async fn client(&self, transport: Transport, path: &str) -> Client {
        let id = format!("{transport:?}-{}", rand::random::<u32>());
        let connector = Connector::Tcp(self.address, None);
        let opened = Client::open_at(&connector, transport, path, &id, &Proof::default()).await;
        opened.unwrap_or_else(|ended| panic!("{transport:?}: {ended:?}"))
    }

    async fn stomp(&self, transport: Transport, path: &str) -> Stomp {
        Stomp::connect(self.client(transport, path).await, Version::V1_2).await
    }

    async fn request(&self, request: Request) -> Response {
        Http::new(Connector::Tcp(self.address, None).connect().await).exchange(&request).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All examples, built as they are now: a test target by itself does not build them.
static EXAMPLES: LazyLock<HashMap<String, PathBuf>> = LazyLock::new(|| {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--locked", "--examples", "--message-format=json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs these tests");
    assert!(built.status.success(), "the examples do not build");
    let messages = built.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    messages
        .filter_map(|message: Value| {
            let path = message["executable"].as_str()?.into();
            Some((message["target"]["name"].as_str()?.to_owned(), path))
        })
        .collect()
});

#[tokio::test]
async fn hello_is_what_the_readme_says() {
    let hello = Running::example("hello");
    for transport in TRANSPORTS {
        let mut ann = hello.stomp(transport, "/stomp").await;
        ann.subscribed("1", "/topic/greetings").await;
        ann.subscribed("2", "/user/queue/errors").await;
        ann.publish("/app/hello", r#"{"name":"Ann"}"#).await;
        assert_eq!(body(&ann.expect(Verb::Message).await), json!({ "content": "Hello, Ann!" }));
        ann.publish("/app/hello", "{}").await;
        assert_eq!(ann.expect(Verb::Message).await.body, "say your name");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn body(frame: &StompFrame) -> Value {
    serde_json::from_slice(&frame.body).unwrap_or_else(|error| panic!("{error}: {frame:?}"))
}

fn about<'f>(frame: &'f StompFrame, name: &str) -> &'f str {
    frame.headers.get(name).unwrap_or_else(|| panic!("no {name}: {frame:?}"))
}

#[tokio::test]
async fn echo_gives_back_what_it_gets() {
    let echo = Running::example("echo");
    for transport in TRANSPORTS {
        let mut client = echo.client(transport, "/echo").await;
        assert_eq!(client.next().await, Frame::Open);
        for text in ["hello", "[\"\u{1f44b}\"]"] {
            client.send(&[text]).await;
            assert_eq!(client.message().await, text, "{transport:?}");
        }
    }
}

#[tokio::test]
async fn rooms_tell_who_joins_what_is_said_and_who_leaves() {
    let rooms = Running::example("rooms");
    for transport in TRANSPORTS {
        let room = format!("/topic/chat.{transport:?}");
        let mut ann = rooms.stomp(transport, "/stomp").await;
        let mut bob = rooms.stomp(Transport::Websocket, "/stomp").await;
        ann.publish("/app/name", "  Ann ").await;
        bob.publish("/app/name", "Bob").await;
        ann.subscribe("1", &room).await;
        assert_eq!(body(&ann.expect(Verb::Message).await), json!({ "kind": "joined", "who": "Ann" }));
        bob.subscribe("1", &room).await;
        for heard in [&mut ann, &mut bob] {
            assert_eq!(body(&heard.expect(Verb::Message).await), json!({ "kind": "joined", "who": "Bob" }));
        }

        bob.subscribe("list", "/app/rooms").await;
        let list = bob.expect(Verb::Message).await;
        assert_eq!((about(&list, "subscription"), about(&list, "destination")), ("list", "/app/rooms"));
        assert_eq!(body(&list)[format!("{transport:?}")], json!(["Ann", "Bob"]));

        bob.publish(&format!("/app/chat/{transport:?}"), "hello").await;
        let said = json!({ "kind": "said", "who": "Bob", "text": "hello" });
        assert_eq!(body(&ann.expect(Verb::Message).await), said);
        assert_eq!(body(&bob.expect(Verb::Message).await), said);

        bob.confirmed(StompFrame::new(Verb::Unsubscribe).with("id", "1")).await;
        assert_eq!(body(&ann.expect(Verb::Message).await), json!({ "kind": "left", "who": "Bob" }));
        bob.subscribe("2", &room).await;
        for heard in [&mut ann, &mut bob] {
            assert_eq!(body(&heard.expect(Verb::Message).await), json!({ "kind": "joined", "who": "Bob" }));
        }
        bob.client.reset();
        assert_eq!(body(&ann.expect(Verb::Message).await), json!({ "kind": "left", "who": "Bob" }));
    }
}

#[tokio::test]
async fn rooms_say_what_is_wrong_and_go_on() {
    let rooms = Running::example("rooms");
    let mut ann = rooms.stomp(Transport::Xhr, "/stomp").await;
    ann.subscribed("errors", "/user/queue/errors").await;
    let long = "x".repeat(501);
    for (destination, text, complaint) in [
        ("/app/chat/lobby", " \n", "nothing in it"),
        ("/app/chat/lobby", long.as_str(), "more than 500"),
        ("/app/name", "a name of more than twenty characters", "more than 20"),
        ("/app/chat/a_b", "hello", "a room has letters"),
        ("/app/nowhere", "hello", "answers to this destination"),
    ] {
        ann.publish(destination, text.to_owned()).await;
        let error = ann.expect(Verb::Message).await;
        assert_eq!(about(&error, "x-destination"), destination);
        let told = std::str::from_utf8(&error.body).unwrap();
        assert!(told.contains(complaint), "{destination}: {told}");
    }
    // Nobody speaks in another's name.
    ann.subscribe("1", "/topic/chat.lobby").await;
    ann.expect(Verb::Message).await;
    ann.publish("/topic/chat.lobby", r#"{"kind":"said","who":"Bob","text":"I owe Ann ten pounds"}"#).await;
    let refused = ann.expect(Verb::Message).await;
    assert_eq!((about(&refused, "subscription"), about(&refused, "x-destination")), ("errors", "/topic/chat.lobby"));
    // And the session goes on.
    ann.publish("/app/chat/lobby", "hello").await;
    assert_eq!(body(&ann.expect(Verb::Message).await)["text"], "hello");
}

#[tokio::test]
async fn the_greeting_answers_on_the_topic_with_its_name_escaped() {
    let greeting = Running::example("greeting");
    let page = greeting.request(Request::get("/")).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("new SockJS('/gs-guide-websocket')"));
    assert_eq!(greeting.request(Request::get("/none")).await.status, 404);
    for transport in TRANSPORTS {
        greets(&greeting, transport).await;
    }
}

#[tokio::test]
async fn the_python_backend_answers_the_same() {
    let python = Running::start(
        Command::new("python3").arg(root().join("examples/greeting_webhook/backend.py")).arg("0").stderr(Stdio::null()),
    );
    let config = std::fs::read_to_string(root().join("examples/greeting_webhook/towpath.toml")).unwrap();
    assert!(config.contains("127.0.0.1:3000"), "towpath.toml has not the backend's port");
    let file = std::env::temp_dir().join(format!("towpath-example-{}.toml", std::process::id()));
    std::fs::write(&file, config.replace("127.0.0.1:3000", &python.address.to_string())).unwrap();
    let mut towpath = Command::new(env!("CARGO_BIN_EXE_towpath"));
    let gateway = Running::start(towpath.args(["--listen", "127.0.0.1:0", "--config"]).arg(&file));
    std::fs::remove_file(file).unwrap();
    for transport in TRANSPORTS {
        greets(&gateway, transport).await;
    }
    drop(python);
    // A backend that is gone is no silence.
    let mut ann = gateway.stomp(Transport::Websocket, "/gs-guide-websocket").await;
    ann.subscribed("errors", "/user/queue/errors").await;
    ann.publish("/app/hello", r#"{"name":"Ann"}"#).await;
    assert_eq!(about(&ann.expect(Verb::Message).await, "x-destination"), "/app/hello");
}

async fn greets(server: &Running, transport: Transport) {
    let mut ann = server.stomp(transport, "/gs-guide-websocket").await;
    ann.subscribed("sub-0", "/topic/greetings").await;
    for (name, greeting) in [
        ("Ann", "Hello, Ann!"),
        ("<script>alert(1)</script> & \"co\"", "Hello, &lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;co&quot;!"),
        ("\u{1f44b}", "Hello, \u{1f44b}!"),
    ] {
        ann.publish("/app/hello", json!({ "name": name }).to_string()).await;
        let message = ann.expect(Verb::Message).await;
        assert_eq!(about(&message, "destination"), "/topic/greetings");
        assert_eq!(body(&message), json!({ "content": greeting }), "{transport:?}");
    }
}

#[tokio::test]
async fn the_chat_with_other_prefixes_keeps_to_the_name_one_joined_by() {
    let chat = Running::example("publish_chat");
    for transport in TRANSPORTS {
        let mut ann = chat.stomp(transport, "/ws").await;
        ann.subscribed("1", "/subscribe/room/1").await;
        ann.subscribed("all", "/subscribe/room/*").await;
        ann.publish("/publish/chat/join", r#"{"roomId":1,"sender":"Ann"}"#).await;
        let joined = json!({ "roomId": 1, "sender": "Ann", "message": "Ann has joined" });
        for _ in 0..2 {
            assert_eq!(body(&ann.expect(Verb::Message).await), joined);
        }
        ann.publish("/publish/chat/message", r#"{"roomId":2,"sender":"Bob","message":"hello"}"#).await;
        let message = ann.expect(Verb::Message).await;
        assert_eq!((about(&message, "destination"), about(&message, "subscription")), ("/subscribe/room/2", "all"));
        assert_eq!(body(&message), json!({ "roomId": 2, "sender": "Ann", "message": "hello" }));
        // There are no other topics, and Spring's way of being silent about it is not ours.
        ann.publish("/topic/room/1", "hello").await;
        let error = ann.expect(Verb::Error).await;
        assert!(std::str::from_utf8(&error.body).unwrap().contains("/subscribe/NAME"), "{error:?}");
    }
}

#[tokio::test]
async fn axum_has_its_routes_and_the_gateway_the_rest() {
    let axum = Running::example("axum");
    let health = axum.request(Request::get("/health")).await;
    assert_eq!((health.status, health.text().as_str()), (200, "well\n"));
    for transport in TRANSPORTS {
        let mut ann = axum.stomp(transport, "/stomp").await;
        ann.subscribed("1", "/topic/announcements").await;
        let announced = axum.request(Request::post("/announce").body("tea is ready")).await;
        assert_eq!(announced.status, 200, "{announced:?}");
        assert_eq!(body(&ann.expect(Verb::Message).await), json!("tea is ready"));
    }
    assert_eq!(axum.request(Request::get("/none")).await.status, 404);
}

#[tokio::test]
async fn the_client_says_by_which_way_it_came_and_what_it_heard() {
    let hello = Running::example("hello");
    let address = hello.address;
    for (url, way) in [
        (format!("http://{address}/stomp"), "over SockJS websocket"),
        (format!("ws://{address}/stomp/websocket"), "over websocket (v12.stomp)"),
    ] {
        let client = tokio::task::spawn_blocking(move || Command::new(&EXAMPLES["client"]).arg(url).output());
        let output = client.await.unwrap().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        for part in [way, "confirmed", "/topic/greetings: hello"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let refused = Command::new(&EXAMPLES["client"]).arg("ftp://127.0.0.1").output().unwrap();
    assert!(!refused.status.success());
}
