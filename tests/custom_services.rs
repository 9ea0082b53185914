//! Services that an application brings along: they answer their endpoint's sessions over every transport, have their own
//! timers, and whatever they break, they break for one session.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::proof::Proof;
use support::{Client, Connector, Frame, Transport};
use towpath::application::Application;
use towpath::config::{Config, Endpoint, Service};
use towpath::mount::{Mount, MountError};
use towpath::server::Server;
use towpath::session::{CloseReason, Message, Protocol, Session};

/// Sends back what it gets; does some things by word, and breaks by others.
#[derive(Default)]
struct Fragile {
    then: Option<(Instant, bool)>,
}

impl Protocol for Fragile {
    fn receive(&mut self, session: &Arc<Session>, message: Message, now: Instant) -> Result<(), CloseReason> {
        match message.as_str() {
            Some("panic") => panic!("asked to"),
            Some("panic later") => self.then = Some((now + Duration::from_secs(1), true)),
            Some("later") => self.then = Some((now + Duration::from_secs(1), false)),
            _ => drop(session.send(message)),
        }
        Ok(())
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.then.map(|(when, _)| when)
    }

    fn handle_timeout(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        if let Some((_, breaks)) = self.then.take_if(|(when, _)| *when <= now) {
            assert!(!breaks, "asked to");
            session.send(Message::from_static("now"));
        }
        Ok(())
    }
}

fn endpoint(path: &str) -> Endpoint {
    Endpoint { path: path.to_owned(), service: Service::Application, ..Endpoint::default() }
}

/// A server in memory with `/fragile`, and `/broken`, whose sessions cannot even begin.
async fn server() -> Connector {
    let listen = "127.0.0.1:0".parse().expect("an address");
    let config = Config { listen, endpoints: vec![endpoint("/fragile"), endpoint("/broken")], ..Config::default() };
    config.validate().expect("the configuration is valid");
    let mut application = Application::new();
    application.serve("/fragile", |_| Fragile::default());
    application.serve("/broken", |_| -> Fragile { panic!("never made") });
    let server = Arc::new(Server::bind_with(&config, application, None).await.expect("it is put together"));
    let driven = Arc::clone(&server);
    tokio::spawn(async move { driven.drive_deadlines().await });
    Connector::Memory(server)
}

async fn open(server: &Connector, transport: Transport, path: &str, id: &str) -> Client {
    let opened = Client::open_at(server, transport, path, &format!("{id}-{transport:?}"), &Proof::default()).await;
    let mut client = opened.unwrap_or_else(|ended| panic!("{transport:?}: {ended:?}"));
    assert_eq!(client.next().await, Frame::Open);
    client
}

/// What comes next besides heart-beats.
async fn next(client: &mut Client) -> Frame {
    loop {
        match client.next().await {
            Frame::Heartbeat => {}
            frame => return frame,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_answers_and_has_its_time_on_every_transport() {
    let server = server().await;
    for transport in Transport::ALL {
        let mut client = open(&server, transport, "/fragile", "answers").await;
        client.send(&["hello"]).await;
        assert_eq!(client.message().await, "hello", "{transport:?}");
        client.send(&["later"]).await;
        assert_eq!(client.message().await, "now", "{transport:?}");
        client.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_own_session_and_no_other() {
    let server = server().await;
    let mut bystander = open(&server, Transport::Websocket, "/fragile", "bystander").await;
    for transport in Transport::ALL {
        for (word, id) in [("panic", "at-once"), ("panic later", "later")] {
            let mut client = open(&server, transport, "/fragile", id).await;
            client.send(&[word]).await;
            let closed = next(&mut client).await;
            assert!(matches!(&closed, Frame::Close(1011, reason) if reason == "Internal error"), "{word}: {closed:?}");
        }
        // Its own time still comes: what fires deadlines has not gone down with the others.
        bystander.send(&["later", "hello"]).await;
        assert_eq!(bystander.message().await, "hello");
        assert_eq!(bystander.message().await, "now");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_service_cannot_be_made_is_closed() {
    let server = server().await;
    for transport in Transport::ALL {
        let mut client = open(&server, transport, "/broken", "never").await;
        let closed = next(&mut client).await;
        assert!(matches!(closed, Frame::Close(1011, _)), "{transport:?}: {closed:?}");
    }
    open(&server, Transport::Xhr, "/fragile", "still").await;
}

#[test]
fn services_and_endpoints_belong_together() {
    let config = Config { endpoints: vec![endpoint("/a"), Endpoint::default()], ..Config::default() };
    let mount = |paths: &[&str]| {
        let mut application = Application::new();
        for path in paths {
            application.serve(path, |_| Fragile::default());
        }
        Mount::new(&config, application, None).map(|_| ())
    };
    assert!(mount(&["/a"]).is_ok());
    assert!(matches!(mount(&[]), Err(MountError::NotServed(path)) if path == "/a"));
    assert!(matches!(mount(&["/a", "/b"]), Err(MountError::NoEndpoint(path)) if path == "/b"));
    // That endpoint speaks STOMP, and goes on to.
    assert!(matches!(mount(&["/a", "/stomp"]), Err(MountError::NoEndpoint(path)) if path == "/stomp"));
}
