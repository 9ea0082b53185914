//! Who comes, subscribes, unsubscribes and goes, as an application hears of it: each once, in order, with the reason, over every
//! transport and whichever way a session ends.

mod everywhere;
mod support;
#[path = "everywhere/users.rs"]
mod users;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use everywhere::{Stage, play_behind};
use support::Transport;
use support::stomp::Stomp;
use tokio::time::Instant;
use towpath::application::{Answer, Application, Credentials, Event, Principal, Publisher};
use towpath::config::Config;
use towpath::session::CloseReason;
use towpath::sockjs::Close;
use towpath::stomp::{Command, Frame};
use users::{connect, login, send, subscribe};

everywhere! {
    each_event_is_told_once_and_in_order,
    however_a_session_ends_its_listener_hears_why,
    who_is_not_in_is_nobodys_business,
    the_end_of_a_proof_is_a_reason,
}

/// What was heard, as `user: event`.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn application(&self) -> Application {
        let mut application = Application::new();
        for _ in 0..2 {
            let heard = self.clone();
            application.on_event(move |event| heard.hear(event));
        }
        let quiet = |_| async { Ok(Answer::nothing()) };
        application.on_subscribe("/app/x", quiet).expect("a pattern");
        application
    }

    fn hear(&self, event: &Event<'_>) {
        let (caller, text) = match event {
            Event::Connected(caller) => (caller, "connected".to_owned()),
            Event::Subscribed { caller, destination, id } => (caller, format!("subscribed {id:?} {destination}")),
            Event::Unsubscribed { caller, id } => (caller, format!("unsubscribed {id:?}")),
            Event::Disconnected { caller, reason } => (caller, format!("disconnected {}", reason.label())),
        };
        self.0.lock().unwrap().push(format!("{}: {text}", caller.principal().name().unwrap_or("nobody")));
    }

    /// All since the last time. Both listeners have heard the same.
    fn take(&self) -> Vec<String> {
        let heard = std::mem::take(&mut *self.0.lock().unwrap());
        let pairs = heard.chunks(2).map(|pair| {
            assert!(pair.len() == 2 && pair[0] == pair[1], "{heard:?}");
            pair[0].clone()
        });
        pairs.collect()
    }
}

fn each_event_is_told_once_and_in_order(transport: Transport) {
    let heard = Heard::default();
    play_behind(
        transport,
        Config::default(),
        || heard.application(),
        async |stage| {
            let (mut ann, _) = login(&stage, "ann").await;
            assert_eq!(heard.take(), ["ann: connected"]);
            for (id, destination) in [("t", "/topic/t"), ("q", "/queue/q"), ("u", "/user/queue/u"), ("a", "/app/x")] {
                ann.confirmed(subscribe(id, destination)).await;
                assert_eq!(heard.take(), [format!("ann: subscribed {id:?} {destination}")]);
            }
            for (id, destination) in [("q", "/queue/q"), ("a", "/app/x")] {
                let unsubscribe = Frame::new(Command::Unsubscribe).with("id", id).with("destination", destination);
                ann.confirmed(unsubscribe).await;
                assert_eq!(heard.take(), [format!("ann: unsubscribed {id:?}")]);
            }
            // A queue that comes by itself is none of its doing.
            ann.confirmed(send("/topic/x", "").with("reply-to", "/temp-queue/r")).await;
            ann.send(&Frame::new(Command::Disconnect).with("receipt", "bye")).await;
            ann.expect(Command::Receipt).await;
            ann.closed_with(1000).await;
            drop(ann);
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(heard.take(), ["ann: disconnected stomp-disconnect"]);
            assert!(stage.gateway.core().clients().is_empty());
        },
    );
}

/// The ways to an end, with the words that listeners may hear for them.
fn however_a_session_ends_its_listener_hears_why(transport: Transport) {
    let heard = Heard::default();
    play_behind(
        transport,
        Config::default(),
        || heard.application(),
        async |stage| {
            let publisher = Publisher::new(stage.gateway.core());
            let gone: &[&str] = match transport {
                Transport::Tcp => &["end-of-stream", "interrupted"],
                Transport::Websocket | Transport::RawWebsocket => &["interrupted", "peer"],
                _ => &["interrupted", "expired"],
            };
            let ways: [(&str, &[&str]); 6] = [
                ("DISCONNECT", &["stomp-disconnect"]),
                ("error", &["stomp-error"]),
                ("refused", &["stomp-error"]),
                ("thrown out", &["application"]),
                ("gone", gone),
                ("shutdown", &["shutdown"]),
            ];
            for (way, reasons) in ways {
                let (mut ann, _) = login(&stage, "ann").await;
                ann.subscribed("t", "/topic/t").await;
                assert_eq!(heard.take(), ["ann: connected", "ann: subscribed \"t\" /topic/t"]);
                end(&stage, &publisher, way, ann).await;
                // Longer than any delay that a session is given.
                tokio::time::sleep(Duration::from_secs(120)).await;
                let told = heard.take();
                let reason = told.first().and_then(|told| told.strip_prefix("ann: disconnected "));
                let expected = reason.is_some_and(|reason| reasons.contains(&reason));
                assert!(told.len() == 1 && expected, "{way}: {told:?}, not {reasons:?}");
                assert!(stage.gateway.core().clients().is_empty(), "{way}");
            }
        },
    );
}

async fn end(stage: &Stage, publisher: &Publisher, way: &str, mut ann: Stomp) {
    match way {
        "DISCONNECT" => ann.send(&Frame::new(Command::Disconnect)).await,
        "error" => ann.send_text("NONSENSE\n\n\0").await,
        "refused" => ann.send(&send("/app/unknown", "")).await,
        "thrown out" => {
            let close = Close { code: 4000, reason: "out".into() };
            assert_eq!(publisher.disconnect_user("ann", close), 1);
        }
        "gone" => return ann.client.abort(),
        "shutdown" => stage.gateway.core().close_all(&CloseReason::Shutdown, Instant::now().into_std()),
        other => panic!("{other}"),
    }
    // Whatever stands before the close, the close comes.
    while !matches!(ann.event().await, support::stomp::Event::Close(..)) {}
}

fn who_is_not_in_is_nobodys_business(transport: Transport) {
    let heard = Heard::default();
    play_behind(
        transport,
        Config::default(),
        || heard.application(),
        async |stage| {
            let mut client = stage.fresh().await;
            client.send(&send("/topic/t", "too early")).await;
            client.expect(Command::Error).await;
            let _silent = stage.fresh().await;
            tokio::time::sleep(Duration::from_secs(120)).await;
            assert_eq!(heard.take(), [] as [&str; 0]);
            assert!(stage.gateway.core().clients().is_empty());
        },
    );
}

fn the_end_of_a_proof_is_a_reason(transport: Transport) {
    let heard = Heard::default();
    let proving = || {
        let mut application = heard.application();
        application.authenticate(|credentials: Credentials| async move {
            assert_eq!(credentials.passcode.as_deref(), Some("open sesame"));
            let until = Instant::now().into_std() + Duration::from_secs(60);
            Ok(Principal::named(credentials.login.as_deref().unwrap_or_default()).until(Some(until)))
        });
        application
    };
    play_behind(transport, Config::default(), proving, async |stage| {
        let began = Instant::now();
        let mut ann = stage.fresh().await;
        ann.send(&connect(stage.version).with("login", "ann").with("passcode", "open sesame")).await;
        ann.expect(Command::Connected).await;
        ann.set_version(stage.version);
        let error = ann.expect(Command::Error).await;
        assert_eq!((error.headers.get("message"), began.elapsed().as_secs()), (Some("credentials expired"), 60));
        ann.closed_with(4401).await;
        assert_eq!(heard.take(), ["ann: connected", "ann: disconnected credentials-expired"]);
    });
}
