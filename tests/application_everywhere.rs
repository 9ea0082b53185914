//! An application in the same program, over every transport and in every version: handlers with variables, users and attributes,
//! answers for topics, replies, errors, time-outs and panics, and a publisher that sends from anywhere.

mod everywhere;
mod support;
#[path = "everywhere/users.rs"]
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use everywhere::{Stage, assert_undisturbed, play_behind};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use support::stomp::Stomp;
use support::{Gateway, Transport, within};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use towpath::application::{
    Answer, Application, Failure, Incoming, Outgoing, PublishError, Publisher, Reply, RouteError,
};
use towpath::config::Config;
use towpath::session::CloseReason;
use towpath::sockjs::Close;
use towpath::stomp::{Command, Frame, Version};
use users::{assert_silent, backend, login, login_on, send, subscribe};

everywhere! {
    a_message_becomes_one_for_a_topic,
    a_reply_knows_who_asked_and_where,
    a_session_has_attributes_of_its_own,
    a_body_that_does_not_fit_is_told_in_the_words_of_the_parser,
    a_handler_that_takes_too_long_is_given_up_and_the_sender_told,
    a_panic_ends_that_session_and_no_other,
    a_subscription_is_answered,
    nobody_answers_to_it,
    too_many_calls_at_once_are_refused_visibly,
    a_publisher_sends_from_anywhere,
    a_user_can_be_disconnected,
    two_hundred_sessions_at_once_keep_their_order_each,
    a_shutdown_does_not_wait_for_a_handler,
}

#[derive(Deserialize)]
struct Hello {
    name: String,
}

#[derive(Serialize)]
struct Greeting {
    content: String,
}

fn handlers() -> Application {
    let mut application = Application::new();
    add_handlers(&mut application).expect("these are patterns");
    application
}

/// What the scenarios are about.
fn add_handlers(application: &mut Application) -> Result<(), RouteError> {
    let publisher = application.publisher();
    application.on_message("/app/hello", |message| async move {
        let Hello { name } = message.json()?;
        Answer::publish("/topic/greetings", Greeting { content: format!("Hello, {name}!") })
    })?;
    application.on_message("/app/chat/{room}/{what}", |message| async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (room, what) = (message.variable("room"), message.variable("what"));
        let user = message.principal().name();
        Answer::reply(json!({ "room": room, "what": what, "user": user, "text": message.text()? }))
    })?;
    application.on_message("/app/count", |message| async move {
        let count = message.caller.attribute::<u32>("count").unwrap_or_default() + 1;
        message.caller.set_attribute("count", count).expect("a number is JSON");
        Answer::reply(count)
    })?;
    application.on_message("/app/slow", |_| async move {
        tokio::time::sleep(Duration::from_secs(12)).await;
        Answer::publish("/topic/greetings", "never")
    })?;
    application.on_message("/app/panics/later", |message: Incoming| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(message.body.is_empty(), "on purpose");
        Ok(Answer::nothing())
    })?;
    application.on_message("/app/panics/at/once", |message: Incoming| {
        assert!(message.body.is_empty(), "on purpose");
        async move { Ok(Answer::nothing()) }
    })?;
    application.on_message("/app/tell", move |message: Incoming| {
        let publisher = publisher.clone();
        async move {
            let told = publisher.send_json("/topic/told", message.text()?);
            told.map(|_| Answer::nothing()).map_err(|error| Failure::new(error.to_string()))
        }
    })?;
    application.on_subscribe("/app/rooms/{house}", |message| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match message.variable("house") {
            "none" => Ok(Answer::nothing()),
            "closed" => Err(Failure::new("it is closed")),
            house => Answer::reply([house, "attic"]),
        }
    })?;
    Ok(())
}

fn played<F: Future<Output = ()>>(transport: Transport, scenario: impl Fn(Stage) -> F) {
    play_behind(transport, Config::default(), handlers, scenario);
}

fn json_of(message: &Frame) -> Value {
    assert_eq!(message.command, Command::Message, "{message:?}");
    assert_eq!(message.headers.get("content-type"), Some("application/json"));
    serde_json::from_slice(&message.body).expect("JSON")
}

fn a_message_becomes_one_for_a_topic(transport: Transport) {
    played(transport, async |stage| {
        let (mut client, mut other) = (stage.connected().await, backend(&stage).await);
        for client in [&mut client, &mut other] {
            client.subscribed("g", "/topic/greetings").await;
        }
        for name in ["Ann", "Jürgen 世界"] {
            client.publish("/app/hello", json!({ "name": name }).to_string()).await;
            for client in [&mut client, &mut other] {
                let expected = json!({ "content": format!("Hello, {name}!") });
                assert_eq!(json_of(&client.frame().await), expected);
            }
        }
        // It comes before the word that all is done.
        client.send(&send("/app/hello", "{\"name\":\"\"}").with("receipt", "r")).await;
        client.expect(Command::Message).await;
        client.expect(Command::Receipt).await;
    });
}

fn a_reply_knows_who_asked_and_where(transport: Transport) {
    played(transport, async |stage| {
        let ((mut ann, _), mut nobody) = (login(&stage, "ann").await, stage.connected().await);
        let (mut second_ann, _) = login(&stage, "ann").await;
        for client in [&mut ann, &mut second_ann, &mut nobody] {
            client.subscribed("r", "/user/queue/replies").await;
            client.subscribed("f", "/topic/fence").await;
        }
        let began = Instant::now();
        let both = (send("/app/chat/blue/say", "hi"), send("/app/chat/red/leave", ""));
        tokio::join!(ann.send(&both.0), nobody.send(&both.1));
        let (to_ann, to_nobody) = tokio::join!(ann.frame(), nobody.frame());
        assert_eq!(json_of(&to_ann), json!({ "room": "blue", "what": "say", "user": "ann", "text": "hi" }));
        assert_eq!(json_of(&to_nobody), json!({ "room": "red", "what": "leave", "user": null, "text": "" }));
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(4), "side by side, not {took:?}");
        assert_silent(&mut second_ann, &mut backend(&stage).await).await;
    });
}

fn a_session_has_attributes_of_its_own(transport: Transport) {
    played(transport, async |stage| {
        let (mut first, _) = login(&stage, "ann").await;
        let (mut second, _) = login_on(&stage, Transport::RawWebsocket, Version::V1_1, "ann").await;
        for client in [&mut first, &mut second] {
            client.subscribed("r", "/user/queue/replies").await;
            for expected in 1..4 {
                client.publish("/app/count", "").await;
                assert_eq!(json_of(&client.frame().await), expected);
            }
        }
    });
}

fn a_body_that_does_not_fit_is_told_in_the_words_of_the_parser(transport: Transport) {
    played(transport, async |stage| {
        let mut client = stage.connected().await;
        client.subscribed("e", "/user/queue/errors").await;
        for body in ["", "{\"name\":", "{\"nam\":\"Ann\"}", "[1, 2]", "{\"name\":\u{1}}"] {
            client.send(&send("/app/hello", body).with("receipt", "r")).await;
            let error = client.expect(Command::Message).await;
            let words = serde_json::from_str::<Hello>(body).err().expect("it does not fit").to_string();
            assert!(String::from_utf8_lossy(&error.body).contains(&words), "{words} in {error:?}");
            assert_eq!(error.headers.get("receipt-id"), Some("r"));
            assert_eq!(error.headers.get("x-destination"), Some("/app/hello"));
        }
        // Nobody listens: then it is an ERROR, as ever.
        let mut deaf = stage.connected().await;
        deaf.publish("/app/hello", "{").await;
        let error = everywhere::expect_error_and_close(&mut deaf).await;
        assert_eq!(error.headers.get("message"), Some("not handled"));
        client.confirmed(send("/topic/t", "goes on")).await;
    });
}

fn a_handler_that_takes_too_long_is_given_up_and_the_sender_told(transport: Transport) {
    let mut config = Config::default();
    // The client of these tests does not poll while it sends.
    config.endpoints.iter_mut().for_each(|endpoint| endpoint.disconnect_delay = Duration::from_secs(60));
    play_behind(transport, config, handlers, async |stage| {
        let mut client = stage.connected().await;
        for (id, destination) in [("e", "/user/queue/errors"), ("g", "/topic/greetings")] {
            client.subscribed(id, destination).await;
        }
        let began = Instant::now();
        client.publish("/app/slow", "").await;
        let error = client.expect(Command::Message).await;
        assert_eq!(error.headers.get("x-destination"), Some("/app/slow"), "{error:?}");
        assert_eq!(began.elapsed().as_secs(), 10, "application.timeout");
        tokio::time::sleep(Duration::from_secs(4)).await;
        client.publish("/app/hello", "{\"name\":\"you\"}").await;
        assert_eq!(json_of(&client.frame().await)["content"], "Hello, you!", "and nothing of the other");
    });
}

fn a_panic_ends_that_session_and_no_other(transport: Transport) {
    played(transport, async |stage| {
        let mut bystander = stage.bystander().await;
        for destination in ["/app/panics/later", "/app/panics/at/once"] {
            let (mut broken, mut fine) = (stage.connected().await, stage.connected().await);
            broken.subscribed("e", "/user/queue/errors").await;
            let (breaks, works) =
                (send(destination, "x").with("receipt", "r"), send(destination, "").with("receipt", "f"));
            tokio::join!(broken.send(&breaks), fine.send(&works));
            assert_eq!(fine.expect(Command::Receipt).await.headers.get("receipt-id"), Some("f"));
            let error = broken.expect(Command::Error).await;
            assert_eq!(error.headers.get("receipt-id"), Some("r"));
            assert!(!format!("{error:?}").contains("purpose"), "its reasons are for the log");
            broken.closed_with(1011).await;
            fine.confirmed(send(destination, "")).await;
        }
        assert_undisturbed(&mut bystander).await;
    });
}

fn a_subscription_is_answered(transport: Transport) {
    played(transport, async |stage| {
        let mut client = stage.connected().await;
        client.send(&subscribe("a", "/app/rooms/castle").with("receipt", "r")).await;
        let answer = client.expect(Command::Message).await;
        assert_eq!((json_of(&answer), answer.headers.get("subscription")), (json!(["castle", "attic"]), Some("a")));
        assert_eq!(answer.headers.get("destination"), Some("/app/rooms/castle"));
        assert_eq!(client.expect(Command::Receipt).await.headers.get("receipt-id"), Some("r"));
        client.subscribed("b", "/app/rooms/none").await;
        for id in ["a", "b"] {
            let unsubscribe = Frame::new(Command::Unsubscribe).with("id", id).with("destination", "/app/rooms/x");
            client.confirmed(unsubscribe).await;
        }
        client.send(&subscribe("c", "/app/rooms/closed").with("receipt", "r")).await;
        let error = everywhere::expect_error_and_close(&mut client).await;
        assert!(String::from_utf8_lossy(&error.body).contains("it is closed"));
    });
}

fn nobody_answers_to_it(transport: Transport) {
    played(transport, async |stage| {
        for destination in ["/app", "/app/unknown", "/app/chat/blue", "/app/rooms/castle"] {
            let mut client = stage.connected().await;
            client.subscribed("e", "/user/queue/errors").await;
            client.publish(destination, "").await;
            let error = client.expect(Command::Message).await;
            assert_eq!(error.headers.get("x-destination"), Some(destination));
        }
    });
}

fn too_many_calls_at_once_are_refused_visibly(transport: Transport) {
    let mut config = Config::default();
    config.application.max_calls = 1;
    play_behind(transport, config, handlers, async |stage| {
        let (mut first, mut second) = (stage.connected().await, stage.connected().await);
        first.subscribed("r", "/user/queue/replies").await;
        second.subscribed("e", "/user/queue/errors").await;
        let during = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            second.publish("/app/hello", "{\"name\":\"x\"}").await;
            let error = second.expect(Command::Message).await;
            assert!(String::from_utf8_lossy(&error.body).contains("max_calls"), "{error:?}");
        };
        tokio::join!(first.publish("/app/chat/a/b", ""), during);
        json_of(&first.frame().await);
        second.confirmed(send("/app/hello", "{\"name\":\"x\"}")).await;
    });
}

fn a_publisher_sends_from_anywhere(transport: Transport) {
    let mut config = Config::default();
    config.broker.queue.messages = 1;
    play_behind(transport, config, handlers, async |stage| {
        let publisher = Publisher::new(stage.gateway.core());
        let (mut client, _) = login(&stage, "a/b").await;
        for (id, destination) in [("t", "/topic/told"), ("n", "/user/queue/notices")] {
            client.subscribed(id, destination).await;
        }
        client.publish("/app/tell", "by the application's own").await;
        assert_eq!(json_of(&client.frame().await), "by the application's own");
        let reach = publisher.send_json("/topic/told", json!({ "n": 1 })).expect("a topic");
        assert_eq!((reach.receivers, reach.unreachable), (1, false));
        assert_eq!(json_of(&client.frame().await), json!({ "n": 1 }));
        let reach = publisher.send_json_to_user("a/b", "/queue/notices", 2).expect("a user");
        assert_eq!(reach.receivers, 1);
        assert_eq!(json_of(&client.frame().await), 2);
        assert!(publisher.send_json_to_user("nobody", "/queue/notices", 2).expect("no fault").unreachable);
        // From another thread, without a runtime.
        let elsewhere = publisher.clone();
        let sent =
            std::thread::spawn(move || elsewhere.send("/topic/told", [("kind", "k")].into_iter().collect(), "3"));
        sent.join().unwrap().expect("a topic");
        let message = client.expect(Command::Message).await;
        assert_eq!((message.headers.get("kind"), &message.body[..]), (Some("k"), &b"3"[..]));

        // All or none.
        let two = |second| vec![Outgoing::text("/topic/told", "first"), Outgoing::text(second, "second")];
        for bad in ["/nowhere", "/queue/full", "/topic/told/"] {
            if bad == "/queue/full" {
                publisher.send_json(bad, 1).expect("there is room for one");
            }
            match publisher.send_all(two(bad)) {
                Err(PublishError::Refused(refused)) => {
                    assert_eq!((refused.index, refused.destination.as_str()), (1, bad))
                }
                Ok(_) if bad == "/topic/told/" => drop(client.expect(Command::Message).await),
                other => panic!("{other:?}"),
            }
        }
        publisher.send_all(two("/topic/told")).expect("both");
        for body in ["first", "second"] {
            assert_eq!(&client.expect(Command::Message).await.body[..], body.as_bytes());
        }
        publisher.send_json("/topic/told", f64::NAN).expect("it becomes null");
        let no_json = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(matches!(publisher.send_json("/topic/told", no_json), Err(PublishError::NoJson(_))));
        assert!(matches!(Application::new().publisher().send_json("/topic/t", 1), Err(PublishError::NotRunning)));
    });
}

fn a_user_can_be_disconnected(transport: Transport) {
    played(transport, async |stage| {
        let publisher = Publisher::new(stage.gateway.core());
        let mut bystander = stage.bystander().await;
        let ((mut first, connected), (mut second, _)) = (login(&stage, "ann").await, login(&stage, "ann").await);
        let session = connected.headers.get("session").expect("CONNECTED names it").to_owned();
        let names = |clients: Vec<towpath::gateway::Client>| -> Vec<String> {
            clients.iter().map(|client| client.caller.user().to_owned()).collect()
        };
        assert_eq!(names(publisher.clients(0, Some("ann"), 10)), ["ann", "ann"]);
        let all = publisher.clients(0, None, 10);
        assert_eq!((all.len(), publisher.clients(all[0].serial, None, 1).len()), (3, 1));
        assert_eq!(publisher.clients(0, None, 2).len(), 2);
        let listed = publisher.clients(0, Some("ann"), 1).remove(0);
        assert_eq!(listed.caller.session(), session);
        assert_eq!(listed.caller.endpoint(), if transport == Transport::Tcp { "" } else { "/stomp" });
        assert!(!listed.caller.transport().is_empty());

        let close = |code| Close { code, reason: "for a reason".into() };
        assert!(publisher.disconnect_session(&session, close(4100)));
        first.closed_with(4100).await;
        // Its session has been told to go, and goes.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!publisher.disconnect_session(&session, close(4100)));
        let (mut third, _) = login(&stage, "ann").await;
        assert_eq!(publisher.disconnect_user("ann", close(4101)), 2);
        for client in [&mut second, &mut third] {
            client.closed_with(4101).await;
        }
        assert_eq!(publisher.disconnect_user("nobody", close(4101)), 0);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(publisher.clients(0, None, 10).len(), 1);
        assert_undisturbed(&mut bystander).await;
    });
}

fn two_hundred_sessions_at_once_keep_their_order_each(transport: Transport) {
    let order = || {
        let mut application = Application::new();
        let handler = |message: Incoming| async move {
            let (who, number): (u64, u64) = message.json()?;
            // Later ones would be done earlier.
            tokio::time::sleep(Duration::from_millis(400 - 100 * number + who % 7)).await;
            Ok(Answer::nothing().and_reply(Reply::json((who, number))?))
        };
        application.on_message("/app/n", handler).expect("a pattern");
        application
    };
    play_behind(transport, Config::default(), order, async |stage| {
        if stage.version != Version::V1_2 {
            return;
        }
        let clients = join_all((0..200).map(|_| async {
            let mut client = stage.connected().await;
            client.subscribed("r", "/user/queue/replies").await;
            client
        }));
        let began = Instant::now();
        let talks = clients.await.into_iter().enumerate().map(|(who, mut client): (usize, Stomp)| async move {
            let frames = (0..4).map(|number| send("/app/n", &json!([who, number]).to_string()));
            let texts: Vec<_> = frames.map(|frame| frame.encode(Version::V1_2)).collect();
            let texts: Vec<_> = texts.iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect();
            client.client.send(&texts).await;
            for number in 0..4 {
                assert_eq!(json_of(&client.frame().await), json!([who, number]));
            }
        });
        join_all(talks).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(3), "they wait for themselves, not for each other: {took:?}");
    });
}

/// A gate in which handlers wait.
#[derive(Clone)]
struct Gate {
    entered: Arc<Notify>,
    open: Arc<Semaphore>,
    left: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Self {
        Self { entered: Arc::default(), open: Arc::new(Semaphore::new(0)), left: Arc::default() }
    }

    fn application(&self) -> Application {
        let mut application = Application::new();
        let gate = self.clone();
        let handler = move |_| {
            let gate = gate.clone();
            async move {
                gate.entered.notify_one();
                gate.open.acquire().await.expect("it is never closed").forget();
                gate.left.fetch_add(1, Ordering::SeqCst);
                Answer::publish("/topic/late", "after all")
            }
        };
        application.on_message("/app/gated", handler).expect("a pattern");
        application
    }
}

fn a_shutdown_does_not_wait_for_a_handler(transport: Transport) {
    let gate = Gate::new();
    play_behind(
        transport,
        Config::default(),
        || gate.application(),
        async |stage| {
            let mut client = stage.connected().await;
            let core = stage.gateway.core();
            let stop = async {
                gate.entered.notified().await;
                core.close_all(&CloseReason::Shutdown, Instant::now().into_std());
            };
            tokio::join!(client.publish("/app/gated", ""), stop);
            let error = client.expect(Command::Error).await;
            assert_eq!(error.headers.get("message"), Some("session closed"));
            client.closed_with(1001).await;
            // The handler works on, and what it publishes goes its way.
            let mut late = stage.connected().await;
            late.subscribed("l", "/topic/late").await;
            gate.open.add_permits(1);
            assert_eq!(json_of(&late.frame().await), "after all");
        },
    );
    assert_eq!(gate.left.load(Ordering::SeqCst), everywhere::VERSIONS.len());
}

/// The whole server over real sockets.
#[tokio::test]
async fn a_server_stops_in_order_while_a_handler_works() {
    let gate = Gate::new();
    let config = Config { shutdown_grace: Duration::from_secs(10), ..Config::default() };
    let mut gateway = Gateway::start_with(config, gate.application()).await;
    let client = support::Client::open(&gateway, Transport::Websocket, "/stomp", "s").await;
    let mut client = Stomp::connect(client, Version::V1_2).await;
    client.publish("/app/gated", "").await;
    within(Duration::from_secs(20), "the handler", gate.entered.notified()).await;
    gateway.stop();
    client.expect(Command::Error).await;
    client.closed_with(1001).await;
    assert_eq!(gate.left.load(Ordering::SeqCst), 0);
    gate.open.add_permits(1);
    gateway.stopped().await;
    assert_eq!(gate.left.load(Ordering::SeqCst), 1, "what was accepted is finished");
}

#[test]
fn a_handler_that_no_message_reaches_is_a_mistake() {
    let mut application = Application::new();
    application.on_message("/topic/t", |_| async { Ok(Answer::nothing()) }).expect("a pattern");
    let config = Config::default();
    let refused = towpath::mount::Mount::new(&config, application, None).expect_err("it is never called");
    assert!(refused.to_string().contains("/topic/t") && refused.to_string().contains("prefixes"), "{refused}");
}
