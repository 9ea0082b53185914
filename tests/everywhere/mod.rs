//! STOMP scenarios over every transport: a test file writes a scenario once, as a function of a [`Stage`], and
//! [`everywhere!`] makes of it one named test for each transport, in which it runs in each STOMP version. The clock is
//! virtual, the gateway whole, the connections pipes.
//!
//! Does not know: what the scenarios show.

#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use towpath::application::Application;
use towpath::config::Config;
use towpath::stomp::{Command, Frame, Version};

use crate::support::stomp::{Event, Stomp};
use crate::support::{Client, Gateway, Transport, within};

pub const VERSIONS: [Version; 3] = [Version::V1_0, Version::V1_1, Version::V1_2];

/// Where one run of a scenario takes place.
pub struct Stage {
    pub gateway: Gateway,
    pub transport: Transport,
    pub version: Version,
}

/// Runs a scenario on a transport, in every version, with a fresh gateway each time.
pub fn play<F: Future<Output = ()>>(transport: Transport, scenario: impl Fn(Stage) -> F) {
    play_with(transport, Config::default(), scenario);
}

/// As [`play`], with a configuration of the scenario's own; STOMP must be at `/stomp`.
pub fn play_with<F: Future<Output = ()>>(transport: Transport, config: Config, scenario: impl Fn(Stage) -> F) {
    play_behind(transport, config, Application::new, scenario);
}

/// As [`play_with`], with an application behind the gateway.
pub fn play_behind<F: Future<Output = ()>>(
    transport: Transport,
    config: Config,
    application: impl Fn() -> Application,
    scenario: impl Fn(Stage) -> F,
) {
    for version in VERSIONS {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let gateway = Gateway::in_memory_with(config.clone(), application()).await;
            let played = scenario(Stage { gateway, transport, version });
            // Heartbeats go on for ever, and so would a test that waits for something else.
            within(Duration::from_secs(3600), &format!("{transport:?}, STOMP {version}"), played).await;
        });
    }
}

impl Stage {
    /// A client on the stage's transport that has not read anything yet.
    pub async fn client(&self) -> Client {
        self.client_on(self.transport).await
    }

    pub async fn client_on(&self, transport: Transport) -> Client {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let id = format!("session-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Client::open(&self.gateway, transport, "/stomp", &id).await
    }

    /// A session that has not said anything yet.
    pub async fn fresh(&self) -> Stomp {
        Stomp::over(self.client().await).await
    }

    /// A connected client on the stage's transport and in its version.
    pub async fn connected(&self) -> Stomp {
        Stomp::connect(self.client().await, self.version).await
    }

    /// A client of another kind, whom nothing on the stage may disturb: it subscribes to `/topic/bystander`.
    pub async fn bystander(&self) -> Stomp {
        let transport =
            if self.transport == Transport::Websocket { Transport::XhrStreaming } else { Transport::Websocket };
        let mut bystander = Stomp::connect(self.client_on(transport).await, Version::V1_2).await;
        bystander.subscribed("bystander", "/topic/bystander").await;
        bystander
    }
}

/// The bystander has received nothing, and still can.
pub async fn assert_undisturbed(bystander: &mut Stomp) {
    bystander.publish("/topic/bystander", "still here").await;
    let message = bystander.expect(Command::Message).await;
    assert_eq!(&message.body[..], b"still here");
}

/// The session ends with one ERROR, and then the close. Gives the ERROR.
pub async fn expect_error_and_close(stomp: &mut Stomp) -> Frame {
    let error = stomp.expect(Command::Error).await;
    let message = error.headers.get("message").expect("every ERROR has a message header");
    assert!(!message.is_empty());
    assert_harmless("message", message);
    stomp.closed_with(1002).await;
    error
}

/// No colon, backslash, line break or blank at the edges: clients in use break on them.
pub fn assert_harmless(name: &str, value: &str) {
    assert!(!value.contains([':', '\\', '\r', '\n']) && value.trim() == value, "{name}:{value:?}");
}

/// One named test for each transport and scenario.
#[macro_export]
macro_rules! everywhere {
    ($($scenario:ident),+ $(,)?) => {
        $crate::everywhere!(@ websocket Websocket: $($scenario)+);
        $crate::everywhere!(@ raw_websocket RawWebsocket: $($scenario)+);
        $crate::everywhere!(@ xhr Xhr: $($scenario)+);
        $crate::everywhere!(@ xhr_streaming XhrStreaming: $($scenario)+);
        $crate::everywhere!(@ eventsource EventSource: $($scenario)+);
        $crate::everywhere!(@ htmlfile HtmlFile: $($scenario)+);
        $crate::everywhere!(@ jsonp Jsonp: $($scenario)+);
        $crate::everywhere!(@ tcp Tcp: $($scenario)+);
    };
    (@ $module:ident $transport:ident: $($scenario:ident)+) => {
        mod $module {
            $(
                #[test]
                fn $scenario() {
                    super::$scenario($crate::support::Transport::$transport);
                }
            )+
        }
    };
}
