//! User destinations over every transport and in every version: what a session subscribes to as `/user/queue/x` is its
//! own, what is sent to `/user/NAME/queue/x` reaches all sessions of NAME, and nobody comes by what is another's.

mod everywhere;
mod support;
#[path = "everywhere/users.rs"]
mod users;

use everywhere::{Stage, assert_undisturbed, expect_error_and_close, play, play_with};
use support::metrics::Meter;
use support::stomp::{Event, Stomp};
use support::{Gateway, Transport};
use towpath::config::{Broker, Config, SendToUsers, UnknownUser};
use towpath::stomp::{Command, Frame, Version};
use users::{answer, assert_silent, backend, connect, login, login_on, send, sent, subscribe};

everywhere! {
    connected_tells_the_name,
    a_message_reaches_all_sessions_of_the_user_and_nobody_else,
    every_name_can_be_addressed,
    a_name_with_a_line_break_is_not_told_and_works,
    the_messages_can_be_acknowledged,
    a_selector_is_heeded,
    a_session_without_login_is_addressed_by_its_id,
    nobody_subscribes_to_what_is_anothers,
    names_that_look_like_anothers_bring_nothing,
    nobody_logs_in_as_a_session,
    clients_of_the_tcp_port_may_send_to_users_and_others_may_not,
    a_setting_opens_users_to_everybody_or_to_nobody,
    an_unknown_user_shows_in_the_receipt,
    an_unknown_user_is_an_error_by_setting,
    whoever_leaves_leaves_nothing_behind,
}

fn with_broker(change: impl FnOnce(&mut Broker)) -> Config {
    let mut config = Config::default();
    change(&mut config.broker);
    config
}

fn is_without_users(gateway: &Gateway) {
    assert_eq!(gateway.core().broker().queues_and_users(), (0, 0));
}

fn connected_tells_the_name(transport: Transport) {
    play(transport, async |stage| {
        for name in ["ann", "a:b", "back\\slash", "\\n\\c", "Jürgen 世界 🐎", "a/b%2F", "ann@example.org"] {
            let (_, connected) = login(&stage, name).await;
            assert_eq!(connected.headers.get("user-name"), Some(name));
            let last = connected.headers.iter().last().map(|(name, _)| name);
            assert_eq!(last, Some("user-name"), "a name cannot hide other headers from clients that split on colons");
        }
        let padded = if stage.version == Version::V1_0 { "ann" } else { " ann " };
        assert_eq!(login(&stage, " ann ").await.1.headers.get("user-name"), Some(padded));
        assert_eq!(login(&stage, "").await.1.headers.get("user-name"), None, "an empty login is none");
    });
}

fn a_message_reaches_all_sessions_of_the_user_and_nobody_else(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = backend(&stage).await;
        let (mut first, _) = login(&stage, "ann").await;
        let (mut second, _) = login_on(&stage, Transport::RawWebsocket, Version::V1_2, "ann").await;
        let (mut other, _) = login(&stage, "bob").await;
        let mut anonymous = stage.connected().await;
        for client in [&mut first, &mut second, &mut other, &mut anonymous] {
            client.subscribed("own", "/user/queue/x").await;
            client.subscribed("fence", "/topic/fence").await;
        }
        // A second subscription of the session has a copy of its own, another destination none.
        first.subscribed("again", "/user/queue/x").await;
        first.subscribed("topic", "/user/topic/x").await;
        second.subscribed("longer", "/user/queue/x/y").await;
        let receipt = sent(&mut backend, send("/user/ann/queue/x", "for ann").with("kind", "greeting")).await;
        assert_eq!(receipt.headers.get("x-undelivered"), None);
        let mut subscriptions = vec![];
        for client in [&mut first, &mut second] {
            let message = client.expect(Command::Message).await;
            assert_eq!(message.headers.get("destination"), Some("/user/queue/x"), "it does not show the name");
            assert_eq!(message.headers.get("kind"), Some("greeting"));
            assert_eq!(&message.body[..], b"for ann");
            subscriptions.push(message.headers.get("subscription").unwrap().to_owned());
        }
        subscriptions.push(first.expect(Command::Message).await.headers.get("subscription").unwrap().to_owned());
        subscriptions.sort();
        assert_eq!(subscriptions, ["again", "own", "own"]);
        assert_silent(&mut first, &mut backend).await;
        // All of them see the same fence.
        for client in [&mut second, &mut other, &mut anonymous] {
            let next = client.expect(Command::Message).await;
            assert_eq!(&next.body[..], b"fence", "{next:?}");
        }
        sent(&mut backend, send("/user/ann/topic/x", "a topic of ann's")).await;
        let message = first.expect(Command::Message).await;
        assert_eq!(message.headers.get("destination"), Some("/user/topic/x"));
        assert_silent(&mut other, &mut backend).await;
    });
}

fn every_name_can_be_addressed(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = backend(&stage).await;
        for (name, escaped) in [
            ("a/b", "a%2Fb"),
            ("/", "%2f"),
            ("a:b\\c", "a:b\\c"),
            ("Jürgen 世界", "Jürgen 世界"),
            ("..", ".."),
            ("queue", "queue"),
            ("*", "*"),
            ("#.**", "#.**"),
            ("50%", "50%"),
        ] {
            let (mut client, _) = login(&stage, name).await;
            client.subscribed("own", "/user/queue/x").await;
            let receipt = sent(&mut backend, send(&format!("/user/{escaped}/queue/x"), name)).await;
            assert_eq!(receipt.headers.get("x-undelivered"), None, "{name}");
            assert_eq!(&client.expect(Command::Message).await.body[..], name.as_bytes());
        }
    });
}

fn a_name_with_a_line_break_is_not_told_and_works(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = backend(&stage).await;
        let mut client = stage.fresh().await;
        // A LF ends the line in every version. A CR that does not stand before one belongs to the name.
        let versions =
            if stage.version == Version::V1_0 { String::new() } else { format!("accept-version:{}\n", stage.version) };
        client.send_text(&format!("CONNECT\nhost:h\n{versions}login:a\rb\n\n\0")).await;
        let connected = client.expect(Command::Connected).await;
        client.set_version(stage.version);
        assert_eq!(
            connected.headers.get("user-name"),
            None,
            "CONNECTED has no escapes; none is better than a false one"
        );
        client.subscribed("own", "/user/queue/x").await;
        sent(&mut backend, send("/user/a\rb/queue/x", "hello")).await;
        assert_eq!(&client.expect(Command::Message).await.body[..], b"hello");
    });
}

fn the_messages_can_be_acknowledged(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = backend(&stage).await;
        let (mut client, _) = login(&stage, "ann").await;
        let mode = if stage.version == Version::V1_0 { "client" } else { "client-individual" };
        client.confirmed(subscribe("own", "/user/queue/x").with("ack", mode)).await;
        for body in ["1", "2"] {
            sent(&mut backend, send("/user/ann/queue/x", body)).await;
        }
        let (one, two) = (client.expect(Command::Message).await, client.expect(Command::Message).await);
        assert_eq!((&one.body[..], &two.body[..]), (&b"1"[..], &b"2"[..]));
        assert_ne!(one.headers.get("message-id"), two.headers.get("message-id"));
        assert_eq!(one.headers.get("ack").is_some(), stage.version == Version::V1_2);
        client.confirmed(answer(Command::Ack, &one, stage.version)).await;
        if stage.version > Version::V1_0 {
            // The RECEIPT may stand behind the message that comes again.
            client.send(&answer(Command::Nack, &two, stage.version)).await;
            let again = client.expect(Command::Message).await;
            assert_eq!((&again.body[..], again.headers.get("redelivered")), (&b"2"[..], Some("true")));
            client.confirmed(answer(Command::Ack, &again, stage.version)).await;
        }
        client.send(&answer(Command::Ack, &one, stage.version)).await;
        expect_error_and_close(&mut client).await;
    });
}

fn a_selector_is_heeded(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = backend(&stage).await;
        let (mut client, _) = login(&stage, "ann").await;
        client.confirmed(subscribe("own", "/user/queue/x").with("selector", "n > 1")).await;
        for number in ["1", "high", "2"] {
            let receipt = sent(&mut backend, send("/user/ann/queue/x", number).with("n", number)).await;
            assert_eq!(receipt.headers.get("x-undelivered"), None, "she is there, and does not want it");
        }
        assert_eq!(&client.expect(Command::Message).await.body[..], b"2");
    });
}

fn a_session_without_login_is_addressed_by_its_id(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = backend(&stage).await;
        let (mut client, connected) = Stomp::connect_beating(stage.client().await, stage.version, "0,0").await;
        assert_eq!(connected.headers.get("user-name"), None);
        let id = connected.headers.get("session").unwrap();
        client.subscribed("own", "/user/queue/x").await;
        client.subscribed("fence", "/topic/fence").await;
        sent(&mut backend, send(&format!("/user/{id}/queue/x"), "hello")).await;
        let message = client.expect(Command::Message).await;
        assert_eq!((message.headers.get("destination"), &message.body[..]), (Some("/user/queue/x"), &b"hello"[..]));
        // Whoever has a name is found by that alone.
        let (mut named, connected) = login(&stage, "ann").await;
        named.subscribed("own", "/user/queue/x").await;
        named.subscribed("fence", "/topic/fence").await;
        let id = connected.headers.get("session").unwrap();
        let receipt = sent(&mut backend, send(&format!("/user/{id}/queue/x"), "hello")).await;
        assert_eq!(receipt.headers.get("x-undelivered"), Some("unreachable"));
        assert_silent(&mut named, &mut backend).await;
    });
}

// ---- theft ----

/// What an attacker subscribes to, and whether it is refused; where not, it must bring nothing.
fn attempts(victim: &str, session: &str) -> Vec<(String, bool)> {
    let refused = [
        format!("/user/{victim}/queue/x"),
        format!("/user/{session}/queue/x"),
        format!("/user/../{victim}/queue/x"),
        format!("/user//queue/x/../../{victim}"),
        format!("/user/%2F/{victim}/queue/x"),
        format!("/user%2F{victim}/queue/x"),
        format!("//user/{victim}/queue/x"),
        format!("/USER/{victim}/queue/x"),
        "/user/**".to_owned(),
        "/user/*/queue/x".to_owned(),
        "/user/queue/*".to_owned(),
        "/user/queue/**".to_owned(),
        "/user/#".to_owned(),
        "/user".to_owned(),
        "/user/".to_owned(),
        "/user/queue".to_owned(),
        "/user/queue/".to_owned(),
        "/queue/**".to_owned(),
        "/**".to_owned(),
        "/reply-queue/x".to_owned(),
    ];
    let empty = [
        format!("/user/queue/x-user{session}"),
        format!("/user/queue/x-{victim}"),
        format!("/user/queue/../../{victim}/queue/x"),
        format!("/queue/x-user{session}"),
        format!("/queue/x-user{victim}"),
        format!("/queue/user/{victim}/queue/x"),
        format!("/topic/../user/{victim}/*"),
        "/queue/x".to_owned(),
        "/user/queue/x%2F".to_owned(),
        "/user/topic/x".to_owned(),
        "/user/queue/x".to_owned(),
        "/topic/**".to_owned(),
        "/topic/#".to_owned(),
        "/topic/x".to_owned(),
    ];
    refused.map(|attempt| (attempt, true)).into_iter().chain(empty.map(|attempt| (attempt, false))).collect()
}

async fn victim(stage: &Stage) -> (Stomp, String) {
    let (mut victim, connected) = login(stage, "ann").await;
    victim.subscribed("own", "/user/queue/x").await;
    (victim, connected.headers.get("session").unwrap().to_owned())
}

fn nobody_subscribes_to_what_is_anothers(transport: Transport) {
    play(transport, async |stage| {
        let mut bystander = stage.bystander().await;
        let mut backend = backend(&stage).await;
        let (mut victim, session) = victim(&stage).await;
        for (attempt, _) in attempts("ann", &session).into_iter().filter(|(_, refused)| *refused) {
            let (mut thief, _) = login(&stage, "thief").await;
            thief.send(&subscribe("1", &attempt).with("receipt", "7")).await;
            let error = expect_error_and_close(&mut thief).await;
            assert_eq!(error.headers.get("receipt-id"), Some("7"), "{attempt}");
            assert_eq!(error.headers.get("message"), Some("bad destination"), "{attempt}");
        }
        sent(&mut backend, send("/user/ann/queue/x", "secret")).await;
        assert_eq!(&victim.expect(Command::Message).await.body[..], b"secret");
        assert_undisturbed(&mut bystander).await;
    });
}

fn names_that_look_like_anothers_bring_nothing(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = backend(&stage).await;
        let (mut victim, session) = victim(&stage).await;
        let mut thieves = vec![];
        let names = ["", "thief", "Ann", "ann ann", "ann/queue/x", "ann%2F", "*", "#", "**", "../ann", "user/ann"];
        for name in names {
            let (mut thief, _) = login(&stage, name).await;
            let empty = attempts("ann", &session).into_iter().filter(|(_, refused)| !refused);
            for (number, (attempt, _)) in empty.enumerate() {
                thief.confirmed(subscribe(&number.to_string(), &attempt)).await;
            }
            thieves.push(thief);
        }
        sent(&mut backend, send("/user/ann/queue/x", "secret")).await;
        assert_eq!(&victim.expect(Command::Message).await.body[..], b"secret");
        sent(&mut backend, send("/topic/x", "fence")).await;
        for mut thief in thieves {
            let next = thief.expect(Command::Message).await;
            assert_eq!(next.headers.get("destination"), Some("/topic/x"), "{next:?}");
        }
    });
}

/// The name of an anonymous session is shown to its client and known to backends; it must not become a login.
fn nobody_logs_in_as_a_session(transport: Transport) {
    play(transport, async |stage| {
        let mut bystander = stage.bystander().await;
        let (mut victim, connected) = Stomp::connect_beating(stage.client().await, stage.version, "0,0").await;
        victim.subscribed("own", "/user/queue/x").await;
        let id = connected.headers.get("session").unwrap();
        let mut thief = stage.fresh().await;
        thief.send(&connect(stage.version).with("login", id)).await;
        let error = expect_error_and_close(&mut thief).await;
        assert_eq!(error.headers.get("message"), Some("login refused"));
        assert_undisturbed(&mut bystander).await;
        // Nor is what merely begins like one.
        let (_, connected) = login(&stage, "session-of-ann").await;
        assert_eq!(connected.headers.get("user-name"), Some("session-of-ann"));
    });
}

// ---- who may send ----

/// The client sends to ann, at once and in a transaction, and is refused both times.
async fn assert_may_not_send(stage: &Stage) {
    let mut backend = backend(stage).await;
    let (mut ann, _) = login(stage, "ann").await;
    ann.subscribed("own", "/user/queue/x").await;
    ann.subscribed("fence", "/topic/fence").await;
    let begin = Frame::new(Command::Begin).with("transaction", "t");
    for (before, transaction) in [(None, None), (Some(begin), Some("t"))] {
        let (mut client, _) = login(stage, "ann").await;
        if let Some(frame) = before {
            client.confirmed(frame).await;
        }
        let mut frame = send("/user/ann/queue/x", "from a stranger").with("receipt", "7");
        if let Some(transaction) = transaction {
            frame = frame.with("transaction", transaction);
        }
        client.send(&frame).await;
        let error = expect_error_and_close(&mut client).await;
        assert_eq!(error.headers.get("message"), Some("not allowed"));
        assert_eq!(error.headers.get("receipt-id"), Some("7"));
        assert!(String::from_utf8_lossy(&error.body).contains("send_to_users"), "{error:?}");
    }
    assert_silent(&mut ann, &mut backend).await;
}

/// The client sends to ann, at once and in a transaction, and she gets both.
async fn assert_may_send(stage: &Stage) {
    let (mut ann, _) = login(stage, "ann").await;
    ann.subscribed("own", "/user/queue/x").await;
    let mut client = stage.connected().await;
    client.confirmed(send("/user/ann/queue/x", "1")).await;
    client.confirmed(Frame::new(Command::Begin).with("transaction", "t")).await;
    client.confirmed(send("/user/ann/queue/x", "2").with("transaction", "t")).await;
    client.confirmed(Frame::new(Command::Commit).with("transaction", "t")).await;
    for body in [b"1", b"2"] {
        assert_eq!(&ann.expect(Command::Message).await.body[..], body);
    }
}

fn clients_of_the_tcp_port_may_send_to_users_and_others_may_not(transport: Transport) {
    play(transport, async |stage| match transport {
        Transport::Tcp => assert_may_send(&stage).await,
        _ => assert_may_not_send(&stage).await,
    });
}

fn a_setting_opens_users_to_everybody_or_to_nobody(transport: Transport) {
    let of = |send_to_users| with_broker(|broker| broker.send_to_users = send_to_users);
    play_with(transport, of(SendToUsers::Anyone), async |stage| assert_may_send(&stage).await);
    play_with(transport, of(SendToUsers::Nobody), async |stage| assert_may_not_send(&stage).await);
}

// ---- nobody there ----

fn an_unknown_user_shows_in_the_receipt(transport: Transport) {
    let meter = Meter::install();
    let config = with_broker(|broker| broker.send_to_users = SendToUsers::Anyone);
    play_with(transport, config, async |stage| {
        let dropped = || meter.counter("towpath_messages_dropped_total", &[("reason", "unreachable")]);
        let before = dropped();
        let mut client = stage.connected().await;
        let (mut ann, _) = login(&stage, "ann").await;
        ann.subscribed("own", "/user/queue/x").await;
        for nobody in ["/user/bob/queue/x", "/user/ann/queue/y", "/user/ann/topic/x", "/user/Ann/queue/x"] {
            let receipt = sent(&mut client, send(nobody, "hello")).await;
            assert_eq!(receipt.headers.get("x-undelivered"), Some("unreachable"), "{nobody}");
            // Without a receipt nothing is said.
            client.send(&send(nobody, "hello")).await;
        }
        client.confirmed(Frame::new(Command::Begin).with("transaction", "t")).await;
        for destination in ["/user/bob/queue/x", "/user/ann/queue/x"] {
            let receipt = sent(&mut client, send(destination, "hello").with("transaction", "t")).await;
            assert_eq!(receipt.headers.get("x-undelivered"), None, "it is not sent yet");
        }
        let receipt = sent(&mut client, Frame::new(Command::Commit).with("transaction", "t")).await;
        assert_eq!(receipt.headers.get("x-undelivered"), Some("unreachable"));
        assert_eq!(&ann.expect(Command::Message).await.body[..], b"hello", "what was for others arrives");
        assert_eq!(dropped() - before, 9);
        let receipt = sent(&mut client, send("/user/ann/queue/x", "hello")).await;
        assert_eq!(receipt.headers.get("x-undelivered"), None);
    });
}

fn an_unknown_user_is_an_error_by_setting(transport: Transport) {
    let config = with_broker(|broker| {
        broker.send_to_users = SendToUsers::Anyone;
        broker.unknown_user = UnknownUser::Error;
    });
    play_with(transport, config, async |stage| {
        let mut bystander = stage.bystander().await;
        let (mut ann, _) = login(&stage, "ann").await;
        ann.subscribed("own", "/user/queue/x").await;
        ann.subscribed("fence", "/topic/fence").await;
        let mut client = stage.connected().await;
        client.confirmed(send("/user/ann/queue/x", "hello")).await;
        assert_eq!(&ann.expect(Command::Message).await.body[..], b"hello");
        client.send(&send("/user/bob/queue/x", "hello").with("receipt", "7")).await;
        let error = expect_error_and_close(&mut client).await;
        assert_eq!(error.headers.get("message"), Some("unreachable"));
        assert_eq!(error.headers.get("receipt-id"), Some("7"));
        // In a transaction it is the COMMIT that fails, and then nothing of it happens.
        let mut client = stage.connected().await;
        client.confirmed(Frame::new(Command::Begin).with("transaction", "t")).await;
        for destination in ["/user/ann/queue/x", "/user/bob/queue/x"] {
            client.confirmed(send(destination, "hello").with("transaction", "t")).await;
        }
        client.send(&Frame::new(Command::Commit).with("transaction", "t").with("receipt", "8")).await;
        let error = expect_error_and_close(&mut client).await;
        assert_eq!(error.headers.get("message"), Some("unreachable"));
        assert_eq!(error.headers.get("receipt-id"), Some("8"));
        let mut other = stage.connected().await;
        assert_silent(&mut ann, &mut other).await;
        assert_undisturbed(&mut bystander).await;
    });
}

fn whoever_leaves_leaves_nothing_behind(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = backend(&stage).await;
        let (mut first, _) = login(&stage, "ann").await;
        let (mut second, _) = login(&stage, "ann").await;
        let mut anonymous = stage.connected().await;
        for client in [&mut first, &mut second, &mut anonymous] {
            client.subscribed("x", "/user/queue/x").await;
            client.confirmed(subscribe("y", "/user/queue/y").with("ack", "client")).await;
        }
        let users = || stage.gateway.core().broker().queues_and_users();
        assert_eq!(users(), (0, 2));
        first.confirmed(Frame::new(Command::Unsubscribe).with("id", "x").with("destination", "/user/queue/x")).await;
        sent(&mut backend, send("/user/ann/queue/x", "to the second only")).await;
        second.expect(Command::Message).await;
        first.send(&Frame::new(Command::Disconnect).with("receipt", "bye")).await;
        assert_eq!(first.frame().await.command, Command::Receipt, "nothing came for it");
        while !matches!(first.event().await, Event::Close(..)) {}
        assert_eq!(users(), (0, 2), "another session of ann's is there");
        for client in [&mut second, &mut anonymous] {
            client.send(&Frame::new(Command::Disconnect)).await;
            while !matches!(client.event().await, Event::Close(..)) {}
        }
        is_without_users(&stage.gateway);
        let receipt = sent(&mut backend, send("/user/ann/queue/x", "x")).await;
        assert_eq!(receipt.headers.get("x-undelivered"), Some("unreachable"));
        assert_eq!(stage.gateway.core().broker().live_bytes(), 0, "nothing holds their messages");
    });
}
