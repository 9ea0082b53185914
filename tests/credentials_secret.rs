//! Credentials show themselves nowhere: not in logs at any level, metrics, answers, or what applications and backends see;
//! only to the backend of `auth.webhook`, which is to judge them.
//!
//! Does not know: whether they are good.

mod everywhere;
#[path = "everywhere/known.rs"]
mod known;
mod support;

use std::fmt::Debug;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use known::{connect, send, subscribe};
use serde_json::json;
use support::backend::{Asked, Backend, Say};
use support::log::Log;
use support::proof::{Proof, SECRET, expired, forged, issue, secured, token, token_of};
use support::stomp::{Event as Seen, Stomp};
use support::{Client, Connector, Gateway, Request, Transport, WebSocket};
use towpath::application::{
    Answer, Application, Caller, Event, Failure, Inbound, Incoming, Interceptor, Outbound, Pass,
};
use towpath::config::{App, Config, Secret, User};
use towpath::stomp::{Command, Frame, Headers, Version};

const PASSWORD: &str = "correct-horse-battery-staple";
const WRONG: &str = "Tr0ub4dor&3-and-some-more";
const VOUCHED: &str = "known-to-the-backend-only";
const WEBHOOK_KEY: &str = "q9w8e7r6t5y4u3i2o1p0a9s8d7f6g5h4";

/// What somebody saw, as text.
#[derive(Clone, Default)]
struct Views(Arc<Mutex<String>>);

impl Views {
    fn note(&self, what: impl Debug) {
        let mut text = self.0.lock().expect("no test panics while it holds this");
        text.push_str(&format!("{what:?}\n"));
    }

    fn text(&self) -> String {
        self.0.lock().expect("no test panics while it holds this").clone()
    }
}

impl Interceptor for Views {
    fn inbound(&self, frame: &mut Inbound<'_>) -> Result<(), Failure> {
        // Debug output hides credentials; an application need not look at it that way.
        if let Inbound::Connect { headers, .. } = frame {
            self.note(plain(headers));
        }
        if let Inbound::Send { headers, .. } | Inbound::Subscribe { headers, .. } = frame {
            self.note(plain(headers));
        }
        self.note(frame);
        Ok(())
    }

    fn outbound(&self, message: &mut Outbound<'_>, recipient: &Caller) -> Pass {
        self.note(plain(message.headers()));
        self.note((message, recipient));
        Pass::Through
    }

    fn looks_at_outbound(&self) -> bool {
        true
    }
}

fn plain(headers: &Headers) -> Vec<(&str, &str)> {
    headers.iter().collect()
}

/// Where credentials must not be found, and each of them.
struct Search {
    credentials: Vec<String>,
}

impl Search {
    /// Fails if a text has eight characters in a row of a credential, as they are, in hexadecimal, or as a list of bytes.
    fn assert_clean(&self, what: &str, text: &str) {
        for credential in &self.credentials {
            for part in credential.as_bytes().windows(8).step_by(4) {
                let plain = String::from_utf8_lossy(part).into_owned();
                let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
                let list = format!("{part:?}");
                for form in [plain, hex, list.trim_matches(['[', ']']).to_owned()] {
                    let Some(at) = text.find(&form) else { continue };
                    let from = text.floor_char_boundary(at.saturating_sub(200));
                    let to = text.ceil_char_boundary((at + 200).min(text.len()));
                    panic!("{what} has a part of {credential:?}:\n{}", &text[from..to]);
                }
            }
        }
    }
}

fn say(asked: &Asked, _: usize) -> Say {
    match asked.line.as_str() {
        "POST /login" if asked.json()["passcode"] == VOUCHED => {
            Say::json(json!({ "user": "tom", "claims": { "x": 1 } }))
        }
        "POST /login" => Say::status(401, ""),
        _ => Say::json(json!({})),
    }
}

fn config(backend: &Backend) -> Config {
    let mut config = secured(Config::default());
    let hash = bcrypt::hash(PASSWORD, 4).expect("a hash");
    config.users = vec![User { name: "ann".to_owned(), password_hash: Secret::new(&hash), roles: vec![] }];
    config.auth.webhook = Some(backend.url("/login"));
    config.webhook.secret = Some(Secret::new(WEBHOOK_KEY));
    config.webhook.connect = Some(backend.url("/connect"));
    config.webhook.subscribe = Some(backend.url("/subscribe"));
    let (destination, url) = ("/app/hook/{x}".to_owned(), backend.url("/hook"));
    config.apps = vec![App { destination, url }];
    config
}

fn application(views: &Views) -> Application {
    let mut application = Application::new();
    application.intercept(views.clone());
    let listener = views.clone();
    application.on_event(move |event: &Event<'_>| listener.note(event));
    for pattern in ["/app/own/{x}", "/app/own"] {
        let views = views.clone();
        let handler = move |message: Incoming| {
            views.note(plain(&message.headers));
            views.note(message.principal().claims());
            views.note(&message);
            async { Answer::reply(json!("done")) }
        };
        application.on_message(pattern, handler.clone()).expect("a pattern");
        application.on_subscribe(pattern, handler).expect("a pattern");
    }
    application
}

/// Credentials in all forms that a CONNECT, or a refresh, has for them.
fn proofs(credentials: &[String]) -> Vec<Vec<(&'static str, String)>> {
    let mut proofs = vec![];
    for credential in credentials {
        for login in ["ann", "tom", ""] {
            proofs.push(vec![("login", login.to_owned()), ("passcode", credential.clone())]);
        }
        proofs.push(vec![("Authorization", format!("Bearer {credential}"))]);
        proofs.push(vec![("authorization", format!("Basic {credential}"))]);
        proofs.push(vec![("cookie", format!("access={credential}")), ("Proxy-Authorization", credential.clone())]);
        // In both places, of which one counts.
        proofs.push(vec![("PASSCODE", credential.clone()), ("Authorization", credential.clone())]);
    }
    proofs
}

fn with_headers(frame: Frame, headers: &[(&'static str, String)]) -> Frame {
    headers.iter().fold(frame, |frame, (name, value)| frame.with(*name, value.clone()))
}

/// Everything that comes, as text, until the session ends or nothing more is due.
async fn answers(client: &mut Stomp, answers: &Views) {
    while let Ok(event) = client.try_event().await {
        if let Seen::Frame(frame) = &event {
            answers.note(plain(&frame.headers));
        }
        answers.note(&event);
        let last = matches!(&event, Seen::Close(..))
            || matches!(&event, Seen::Frame(frame) if frame.headers.get("receipt-id") == Some("last"));
        if last {
            return;
        }
    }
}

async fn client(gateway: &Gateway, transport: Transport) -> Stomp {
    let id = format!("session-{}", rand::random::<u32>());
    Stomp::over(Client::open(gateway, transport, "/stomp", &id).await).await
}

/// One that is in, by the password.
async fn member(gateway: &Gateway, transport: Transport) -> Stomp {
    let connect = connect(Version::V1_2).with("login", "ann").with("passcode", PASSWORD);
    let id = format!("member-{}", rand::random::<u32>());
    known::connected(Client::open(gateway, transport, "/stomp", &id).await, Version::V1_2, connect).await
}

async fn connects(gateway: &Gateway, transport: Transport, credentials: &[String], seen: &Views) {
    for headers in proofs(credentials) {
        let mut client = client(gateway, transport).await;
        client.send(&with_headers(connect(Version::V1_0), &headers)).await;
        let last = send("/topic/x", "x").with("receipt", "last");
        // It may be in or not; if not, the rest is not read.
        let last = String::from_utf8(last.encode(Version::V1_0).to_vec()).expect("text");
        let _ = client.client.try_send(&[&last]).await;
        answers(&mut client, seen).await;
    }
}

/// Frames that somebody sends who is in, with credentials where they belong and where they do not.
async fn sends(gateway: &Gateway, transport: Transport, credentials: &[String], seen: &Views) {
    for headers in proofs(credentials) {
        let mut listener = member(gateway, transport).await;
        listener.subscribe("all", "/topic/all").await;
        for (number, frame) in [
            send("/topic/all", "x"),
            send("/app/own/1", "x"),
            send("/app/hook/1", "x"),
            subscribe("a", "/topic/x"),
            subscribe("b", "/app/own/1"),
            Frame::new(Command::Begin).with("transaction", "t"),
            send("/topic/all", "x").with("transaction", "t"),
            send("/app/own", "x").with("transaction", "t"),
            Frame::new(Command::Commit).with("transaction", "t"),
        ]
        .into_iter()
        .enumerate()
        {
            listener.send(&with_headers(frame, &headers).with("receipt", format!("{number}"))).await;
        }
        listener.send(&with_headers(send("/auth/refresh", ""), &headers).with("receipt", "last")).await;
        answers(&mut listener, seen).await;
    }
    for credential in credentials {
        for text in [
            format!("SEND\ndestination:/auth/refresh\nreceipt:last\n\n{credential}\0"),
            format!("SEND\ndestination:/auth/refresh\npasscode:{credential}\\q\n\n\0"),
            format!("SEND\ndestination:/auth/refresh\npasscode{credential}\n\n\0"),
            format!("SEND\ndestination:/auth/refresh\ntransaction:t\npasscode:{credential}\n\n\0"),
            format!("SEND\ndestination:/auth/refresh/\npasscode:{credential}\n\n\0"),
            format!("CONNECT\npasscode:{credential}\n\n\0"),
            format!("AUTH\npasscode:{credential}\n\n\0"),
            format!("SEND\ndestination:/auth/refresh\ncontent-length:1\npasscode:{credential}\n\n{credential}\0"),
        ] {
            let mut client = member(gateway, transport).await;
            client.send_text(&text).await;
            answers(&mut client, seen).await;
        }
    }
}

/// A CONNECT that is none.
async fn garbage(gateway: &Gateway, transport: Transport, credentials: &[String], seen: &Views) {
    for credential in credentials {
        for text in [
            format!("CONNECT\naccept-version:1.2\npasscode{credential}\n\n\0"),
            format!("CONNECT\naccept-version:9.9\npasscode:{credential}\n\n\0"),
            format!("CONNECT\naccept-version:1.2\npasscode:{credential}\nheart-beat:x\n\n\0"),
            format!("CONNECT\naccept-version:1.2\npasscode:{credential}\0"),
            format!("CONNECT {credential}\n\n\0"),
            format!("CONNECT\naccept-version:1.2\npasscode:{}\n\n\0", credential.repeat(500)),
            format!("CONNECT\naccept-version:1.2\nlogin:ann\npasscode:{credential}\n\nbody\0"),
            format!("SEND\ndestination:/auth/refresh\npasscode:{credential}\n\n\0"),
        ] {
            let mut client = client(gateway, transport).await;
            let _ = client.client.try_send(&[&text]).await;
            let _ = client.client.try_send(&["DISCONNECT\nreceipt:last\n\n\0"]).await;
            answers(&mut client, seen).await;
        }
        if transport != Transport::Tcp {
            let mut client = client(gateway, transport).await;
            let sent = client.client.try_send_payload(&format!("[\"CONNECT\\npasscode:{credential}")).await;
            seen.note(sent);
        }
    }
}

/// The same in requests.
async fn requests(gateway: &Gateway, transport: Transport, credentials: &[String], seen: &Views) {
    for credential in credentials {
        for proof in [
            Proof::cookie(credential),
            Proof::bearer(credential),
            Proof::ticket(credential),
            Proof::subprotocol(credential),
        ] {
            let id = format!("request-{}", rand::random::<u32>());
            let (head, _http) = gateway.open(proof.on(transport.request("/stomp", &id))).await;
            seen.note(head);
            if let Some(sending) = transport.sending_request("/stomp", &id, "[\"x\"]") {
                seen.note(gateway.request(proof.on(sending)).await);
            }
            for path in ["/stomp/info", "/stomp", "/stomp/iframe.html", "/nothing", "/", "/stomp/0/0/nothing"] {
                seen.note(gateway.request(proof.on(Request::get(path))).await);
            }
            seen.note(gateway.request(proof.on(Request::options("/stomp/info")).header("Origin", "null")).await);
        }
    }
}

/// At the highest level, at which the websocket library would log whole frames.
#[tokio::test]
async fn the_binary_does_not_log_what_comes_over_websockets() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_towpath"))
        .args(["--listen", "127.0.0.1:0"])
        .env("TOWPATH_LOG", "trace")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary is built");
    let mut printed = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let told = printed.by_ref().take_while(|line| !line.contains("Ctrl-C")).collect::<Vec<_>>().join(" ");
    let address = told.split_whitespace().find_map(|word| word.parse().ok());
    let connector = Connector::Tcp(address.expect("it says where it listens"), None);
    for path in ["/stomp/websocket", "/stomp/0/0/websocket"] {
        let mut socket = WebSocket::connect(&connector, path).await;
        let connect = format!("CONNECT\nlogin:ann\npasscode:{PASSWORD}\n\n\0");
        let raw = path == "/stomp/websocket";
        socket.send_text(&if raw { connect } else { json!([connect]).to_string() }).await;
        while !socket.next_text().await.contains("CONNECTED") {}
    }
    child.kill().expect("it runs");
    let output = child.wait_with_output().expect("it runs");
    let log = String::from_utf8(output.stderr).expect("text");
    assert!(log.contains("session opened"), "{log}");
    Search { credentials: vec![PASSWORD.to_owned()] }.assert_clean("the log", &log);
}

#[tokio::test]
async fn credentials_show_themselves_nowhere() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let log = Log::collect();
    let backend = Backend::start(say).await;
    let (views, seen) = (Views::default(), Views::default());
    let config = config(&backend);
    let shown = format!("{config:?}");
    let gateway = Gateway::in_memory_with(config, application(&views)).await;
    let ticket = issue(&gateway, "ann");
    let tokens = [token_of("ann"), token_of("bob"), expired("ann"), forged("ann"), token(json!({ "sub": "" }))];
    let passwords = [PASSWORD, WRONG, VOUCHED].map(str::to_owned);
    let credentials: Vec<_> = passwords.into_iter().chain(tokens).chain([ticket]).collect();
    // A password, a good token, a forged one: what is not asked for is not looked at.
    let some: Vec<_> = credentials.iter().step_by(3).cloned().collect();
    // Frames are the same to all, once they are unpacked; requests are not.
    for transport in [Transport::Websocket, Transport::Jsonp, Transport::Tcp] {
        connects(&gateway, transport, &credentials, &seen).await;
        sends(&gateway, transport, &some, &seen).await;
        garbage(&gateway, transport, &credentials, &seen).await;
    }
    for transport in Transport::ALL {
        requests(&gateway, transport, &credentials, &seen).await;
    }
    let asked = backend.asked();
    let of_login = |asked: &&Asked| asked.line == "POST /login";
    // This is the one that is to know, and what makes sure that the search finds something.
    assert!(asked.iter().filter(of_login).any(|asked| asked.json()["passcode"] == VOUCHED));
    let others: Vec<_> = asked.iter().filter(|asked| !of_login(asked)).collect();
    for path in ["POST /connect", "POST /subscribe", "POST /hook"] {
        assert!(others.iter().any(|asked| asked.line == path), "{path} was asked");
    }
    let bodies: String = others.iter().map(|asked| String::from_utf8_lossy(&asked.body).into_owned()).collect();
    let heads: String = asked.iter().map(|asked| format!("{} {:?}\n", asked.line, asked.headers)).collect();
    let (log, views, seen, metrics) = (log.text(), views.text(), seen.text(), metrics.render());
    for (what, text, has) in [
        ("the log", &log, "the password is wrong"),
        ("the application", &views, "Connected"),
        ("an answer", &seen, "not authenticated"),
        ("the metrics", &metrics, "towpath_not_authenticated_total"),
        ("a backend's request", &bodies, "CONNECT"),
        ("the head of a backend's request", &heads, "towpath"),
        ("the configuration", &shown, "Secret"),
    ] {
        assert!(text.contains(has), "{what} is empty: {text}");
        let mut credentials = credentials.clone();
        credentials.extend([SECRET.to_owned(), WEBHOOK_KEY.to_owned()]);
        Search { credentials }.assert_clean(what, text);
    }
}
