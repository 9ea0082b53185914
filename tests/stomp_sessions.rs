//! STOMP from end to end: one list of scenarios over every transport and in every version, with the answers of
//! STOMP 1.0, 1.1 and 1.2 as clients in use depend on them. Refusals and limits are in stomp_refusals.rs.

mod everywhere;
mod support;

use std::time::Duration;

use everywhere::{VERSIONS, assert_harmless, assert_undisturbed, play, play_with};
use support::stomp::{Event, Stomp};
use support::{Client, Gateway, Transport};
use tokio::time::Instant;
use towpath::config::Config;
use towpath::session::CloseReason;
use towpath::stomp::{Command, Frame, Version};

everywhere! {
    connected_says_version_session_server_and_heart_beat,
    a_message_carries_what_its_send_said,
    headers_with_special_characters_arrive_as_they_were,
    generated_values_are_harmless_to_every_client,
    receipts_come_in_the_order_of_their_frames_and_after_their_effect,
    unsubscribing_ends_the_delivery_and_frees_the_id,
    each_subscription_receives_its_own_copy,
    a_pattern_receives_what_it_matches,
    disconnect_is_answered_and_then_the_session_closes,
    disconnect_without_receipt_closes_and_what_follows_is_ignored,
    frames_may_be_spread_over_messages,
    several_frames_may_come_in_one_message,
    line_ends_and_nuls_between_frames_are_passed_over,
    a_body_of_64_kib_arrives_whole,
    a_body_may_hold_nul,
    the_publishers_order_is_kept,
    heart_beats_come_as_promised,
    a_silent_client_is_cut_and_a_beating_one_is_not,
    the_gateway_says_goodbye,
}

fn connected_says_version_session_server_and_heart_beat(transport: Transport) {
    play(transport, async |stage| {
        let mut sessions = std::collections::HashSet::new();
        for _ in 0..2 {
            let (_, connected) = Stomp::connect_beating(stage.client().await, stage.version, "1000,20000").await;
            let names: Vec<_> = connected.headers.iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["version", "session", "server", "heart-beat"]);
            assert_eq!(connected.headers.get("version"), Some(stage.version.as_str()));
            let server = concat!("towpath/", env!("CARGO_PKG_VERSION"));
            assert_eq!(connected.headers.get("server"), Some(server));
            let beats = if stage.version == Version::V1_0 { "0,0" } else { "20000,10000" };
            assert_eq!(connected.headers.get("heart-beat"), Some(beats));
            assert!(connected.body.is_empty());
            sessions.insert(connected.headers.get("session").unwrap().to_owned());
        }
        assert_eq!(sessions.len(), 2, "each session has a name of its own");
    });
}

fn a_message_carries_what_its_send_said(transport: Transport) {
    play(transport, async |stage| {
        let (mut publisher, mut subscriber) = (stage.connected().await, stage.connected().await);
        subscriber.subscribed("s-1", "/topic/news/of.today").await;
        let send = Frame::new(Command::Send)
            .with("destination", "/topic/news/of.today")
            .with("content-type", "text/plain")
            .with("priority", "9")
            .with("receipt", "not for subscribers")
            .with("message-id", "forged")
            .with("subscription", "forged")
            .with_body("Grüße, 世界 🐎 \"'<>&\\");
        publisher.send(&send).await;
        publisher.expect(Command::Receipt).await;
        let message = subscriber.expect(Command::Message).await;
        let header = |name| message.headers.get(name);
        assert_eq!(header("subscription"), Some("s-1"));
        assert_eq!(header("destination"), Some("/topic/news/of.today"));
        assert_eq!((header("content-type"), header("priority")), (Some("text/plain"), Some("9")));
        assert_eq!((header("receipt"), header("ack")), (None, None));
        assert_eq!(header("content-length"), Some(&*send.body.len().to_string()));
        assert_ne!(header("message-id"), Some("forged"));
        assert_eq!(message.headers.iter().filter(|(name, _)| *name == "message-id").count(), 1);
        assert_eq!(message.body, send.body);
    });
}

fn headers_with_special_characters_arrive_as_they_were(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        client.subscribed("id", "/topic/a").await;
        // What the version can say: 1.0 has no escapes, 1.1 none for CR.
        let value = match stage.version {
            Version::V1_0 => "12:30",
            Version::V1_1 => "12:30 \\ back\nslash",
            Version::V1_2 => "12:30 \\ back\nslash\r",
        };
        let send = Frame::new(Command::Send).with("destination", "/topic/a").with("time", value).with("empty", "");
        client.send(&send).await;
        let message = client.expect(Command::Message).await;
        assert_eq!(message.headers.get("time"), Some(value));
        assert_eq!(message.headers.get("empty"), Some(""));
        assert_eq!(message.headers.get("content-length"), None, "there is no body");
    });
}

fn generated_values_are_harmless_to_every_client(transport: Transport) {
    play(transport, async |stage| {
        let (mut client, connected) = Stomp::connect_beating(stage.client().await, stage.version, "0,0").await;
        for (name, value) in connected.headers.iter() {
            assert_harmless(name, value);
        }
        client.subscribed("0", "/topic/a").await;
        let mut ids = std::collections::HashSet::new();
        for _ in 0..3 {
            client.publish("/topic/a", "x").await;
            let message = client.expect(Command::Message).await;
            let id = message.headers.get("message-id").unwrap().to_owned();
            assert!(!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{id}");
            assert!(ids.insert(id), "message ids are unique");
        }
    });
}

fn receipts_come_in_the_order_of_their_frames_and_after_their_effect(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        client
            .send(
                &Frame::new(Command::Subscribe).with("id", "1").with("destination", "/topic/a").with("receipt", "r-1"),
            )
            .await;
        let send = |receipt| Frame::new(Command::Send).with("destination", "/topic/a").with("receipt", receipt);
        client.send(&send("r-2")).await;
        client.send(&send("r 3:")).await;
        client.send(&Frame::new(Command::Unsubscribe).with("id", "1").with("receipt", "r-4")).await;
        client.send(&send("r-5")).await;
        let mut seen = vec![];
        while seen.last().is_none_or(|last| last != "r-5") {
            let frame = client.frame().await;
            seen.push(match frame.command {
                Command::Receipt => {
                    assert!(frame.body.is_empty() && frame.headers.len() == 1, "{frame:?}");
                    frame.headers.get("receipt-id").expect("the receipt's name").to_owned()
                }
                Command::Message => "message".to_owned(),
                other => panic!("{other}"),
            });
        }
        // Nobody read until the end, so what waited for the subscription may have been withdrawn with it.
        let receipts: Vec<_> = seen.iter().filter(|seen| *seen != "message").collect();
        assert_eq!(receipts, ["r-1", "r-2", "r 3:", "r-4", "r-5"]);
        let after = seen.iter().position(|seen| seen == "r-4").unwrap();
        assert!(!seen[after..].contains(&"message".to_owned()), "{seen:?}");
        client.subscribed("2", "/topic/a").await;
        client.send(&send("r-6")).await;
        let own = client.expect(Command::Message).await;
        assert_eq!(own.headers.get("subscription"), Some("2"), "the effect comes before its receipt");
        assert_eq!(client.expect(Command::Receipt).await.headers.get("receipt-id"), Some("r-6"));
    });
}

fn unsubscribing_ends_the_delivery_and_frees_the_id(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        client.subscribed("1", "/topic/a").await;
        client.subscribed("2", "/topic/b").await;
        client.confirmed(Frame::new(Command::Unsubscribe).with("id", "1")).await;
        client.publish("/topic/a", "not any more").await;
        client.publish("/topic/b", "still").await;
        assert_eq!(&client.expect(Command::Message).await.body[..], b"still");
        client.subscribed("1", "/topic/c").await;
        client.publish("/topic/c", "again").await;
        assert_eq!(client.expect(Command::Message).await.headers.get("subscription"), Some("1"));
    });
}

fn each_subscription_receives_its_own_copy(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        for (id, destination) in [("exact", "/topic/a.b"), ("twice", "/topic/a.b"), ("star", "/topic/a.*")] {
            client.subscribed(id, destination).await;
        }
        client.publish("/topic/a.b", "x").await;
        let mut ids = vec![];
        for _ in 0..3 {
            let message = client.expect(Command::Message).await;
            assert_eq!(message.headers.get("destination"), Some("/topic/a.b"));
            ids.push(message.headers.get("subscription").unwrap().to_owned());
        }
        ids.sort();
        assert_eq!(ids, ["exact", "star", "twice"]);
    });
}

fn a_pattern_receives_what_it_matches(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        client.subscribed("p", "/topic/price.*.**").await;
        for destination in ["/topic/price", "/topic/price.gold", "/topic/other.gold", "/topic/price.gold/oz"] {
            client.publish(destination, destination).await;
        }
        for expected in ["/topic/price.gold", "/topic/price.gold/oz"] {
            let message = client.expect(Command::Message).await;
            assert_eq!(&message.body[..], expected.as_bytes());
            assert_eq!(message.headers.get("destination"), Some(expected));
        }
        client.subscribed("end", "/topic/end").await;
    });
}

fn disconnect_is_answered_and_then_the_session_closes(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        client.subscribed("1", "/topic/a").await;
        client.publish("/topic/a", "before").await;
        client.send(&Frame::new(Command::Disconnect).with("receipt", "bye")).await;
        assert_eq!(&client.expect(Command::Message).await.body[..], b"before");
        assert_eq!(client.expect(Command::Receipt).await.headers.get("receipt-id"), Some("bye"));
        client.closed_with(1000).await;
        assert_eq!(stage.gateway.core().broker().len(), (0, 0));
    });
}

fn disconnect_without_receipt_closes_and_what_follows_is_ignored(transport: Transport) {
    play(transport, async |stage| {
        let mut bystander = stage.bystander().await;
        let mut client = stage.connected().await;
        let more = "DISCONNECT\n\n\0SEND\ndestination:/topic/bystander\n\nlate\0NONSENSE\n\n\0";
        client.send_text(more).await;
        client.closed_with(1000).await;
        assert_undisturbed(&mut bystander).await;
    });
}

fn frames_may_be_spread_over_messages(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        client.subscribed("1", "/topic/a").await;
        let text = "SEND\ndestination:/topic/a\nkey:value\ncontent-length:12\n\nGr\u{fc}\u{df}e \0 ja\0";
        for size in [1, 7, 30] {
            let chars: Vec<char> = text.chars().collect();
            for piece in chars.chunks(size) {
                client.send_text(&piece.iter().collect::<String>()).await;
            }
            let message = client.expect(Command::Message).await;
            assert_eq!(message.headers.get("key"), Some("value"));
            assert_eq!(&message.body[..], "Gr\u{fc}\u{df}e \0 ja".as_bytes());
        }
    });
}

fn several_frames_may_come_in_one_message(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        let frames = "SUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0SEND\ndestination:/topic/a\n\none\0\n\
                      SEND\ndestination:/topic/a\n\ntwo\0\n\nSEND\ndestination:/topic/a\n\nth";
        client.send_text(frames).await;
        client.send_text("ree\0").await;
        for expected in ["one", "two", "three"] {
            assert_eq!(&client.expect(Command::Message).await.body[..], expected.as_bytes());
        }
    });
}

fn line_ends_and_nuls_between_frames_are_passed_over(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        client.subscribed("1", "/topic/a").await;
        for noise in ["\n", "\r\n", "\n\n\r\n", "\0", "\0\n"] {
            client.send_text(noise).await;
        }
        let lines = if stage.version == Version::V1_2 { "\r\n" } else { "\n" };
        client.send_text(&format!("\nSEND{lines}destination:/topic/a{lines}{lines}x\0{lines}\n")).await;
        assert_eq!(&client.expect(Command::Message).await.body[..], b"x");
    });
}

fn a_body_of_64_kib_arrives_whole(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        client.subscribed("1", "/topic/a").await;
        let body: String = "0123456789abcde\n\"\\<é世🐎>".chars().cycle().take(64 * 1024).collect();
        client.publish("/topic/a", body.clone()).await;
        let message = client.expect(Command::Message).await;
        assert_eq!(message.headers.get("content-length"), Some(&*body.len().to_string()));
        assert!(message.body == body.as_bytes());
    });
}

fn a_body_may_hold_nul(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        client.subscribed("1", "/topic/a").await;
        client.publish("/topic/a", "a\0b\0\0").await;
        assert_eq!(&client.expect(Command::Message).await.body[..], b"a\0b\0\0");
    });
}

fn the_publishers_order_is_kept(transport: Transport) {
    play(transport, async |stage| {
        let (mut publisher, mut subscriber) = (stage.connected().await, stage.connected().await);
        let mut other = Stomp::connect(stage.client_on(Transport::RawWebsocket).await, Version::V1_1).await;
        subscriber.subscribed("1", "/topic/a").await;
        other.subscribed("1", "/topic/#").await;
        for number in 0..200 {
            publisher.publish("/topic/a", number.to_string()).await;
        }
        for reader in [&mut subscriber, &mut other] {
            for number in 0..200 {
                assert_eq!(&reader.expect(Command::Message).await.body[..], number.to_string().as_bytes());
            }
        }
    });
}

fn heart_beats_come_as_promised(transport: Transport) {
    play(transport, async |stage| {
        let (mut client, connected) = Stomp::connect_beating(stage.client().await, stage.version, "0,15000").await;
        let beating = stage.version > Version::V1_0;
        assert_eq!(connected.headers.get("heart-beat"), Some(if beating { "15000,0" } else { "0,0" }));
        let mut last = Instant::now();
        let begin = last;
        let (mut beats, mut sockjs) = (0, 0);
        while begin.elapsed() < Duration::from_secs(150) {
            let event = tokio::time::timeout(Duration::from_secs(60), client.event()).await;
            match event {
                Ok(Event::Beat) => {
                    assert!(last.elapsed() <= Duration::from_secs(15), "{:?}", last.elapsed());
                    last = Instant::now();
                    beats += 1;
                }
                Ok(Event::SockjsHeartbeat) => sockjs += 1,
                Ok(other) => panic!("{other:?}"),
                Err(_) => {}
            }
        }
        if beating {
            assert!(beats >= 10, "{beats}");
            // A raw websocket shows its pings so, and a SockJS one none: only h counts there.
            assert!(sockjs == 0 || transport == Transport::RawWebsocket, "h frames are off while STOMP beats run");
        } else {
            assert_eq!(beats, 0);
            assert!(sockjs >= 5 || transport == Transport::Tcp, "h frames run where STOMP beats do not");
        }
    });
}

fn a_silent_client_is_cut_and_a_beating_one_is_not(transport: Transport) {
    play(transport, async |stage| {
        if stage.version == Version::V1_0 {
            return;
        }
        let (mut client, connected) = Stomp::connect_beating(stage.client().await, stage.version, "5000,0").await;
        assert_eq!(connected.headers.get("heart-beat"), Some("0,10000"));
        for _ in 0..6 {
            let quiet = tokio::time::timeout(Duration::from_secs(20), async {
                loop {
                    match client.event().await {
                        Event::SockjsHeartbeat => {}
                        other => break other,
                    }
                }
            });
            if let Ok(event) = quiet.await {
                panic!("{event:?}");
            }
            client.send_text("\n").await;
        }
        let last_beat = Instant::now();
        let error = everywhere::expect_error_and_close(&mut client).await;
        assert_eq!(error.headers.get("message"), Some("heart-beat missing"));
        let waited = last_beat.elapsed().as_secs_f64();
        assert!((30.0..30.5).contains(&waited), "{waited} s");
    });
}

fn the_gateway_says_goodbye(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        client.subscribed("1", "/topic/a").await;
        let mut publisher = stage.connected().await;
        let send = Frame::new(Command::Send).with("destination", "/topic/a").with_body("queued");
        publisher.confirmed(send).await;
        stage.gateway.core().close_all(&CloseReason::Shutdown, Instant::now().into_std());
        assert_eq!(&client.expect(Command::Message).await.body[..], b"queued");
        let error = client.expect(Command::Error).await;
        assert_eq!(error.headers.get("message"), Some("session closed"));
        client.closed_with(1001).await;
    });
}

// ---- all at once ----

/// A client on every transport in every version: what any of them says, all of them hear, and all in one order.
#[tokio::test(start_paused = true)]
async fn every_transport_hears_every_other_in_one_order() {
    let gateway = Gateway::in_memory(Config::default()).await;
    let mut clients = vec![];
    for transport in Transport::STOMP {
        for version in VERSIONS {
            let client = Client::open(&gateway, transport, "/stomp", &format!("all-{}", clients.len())).await;
            let mut stomp = Stomp::connect(client, version).await;
            stomp.subscribed("1", if clients.len() % 2 == 0 { "/topic/all" } else { "/topic/**" }).await;
            clients.push(stomp);
        }
    }
    let count = clients.len();
    for (number, client) in clients.iter_mut().enumerate() {
        client.publish("/topic/all", format!("from {number}")).await;
    }
    let mut orders = vec![];
    for client in &mut clients {
        let mut order = vec![];
        for _ in 0..count {
            let message = client.expect(Command::Message).await;
            order.push(String::from_utf8(message.body.to_vec()).unwrap());
        }
        orders.push(order);
    }
    let expected: Vec<_> = (0..count).map(|number| format!("from {number}")).collect();
    for order in orders {
        assert_eq!(order, expected);
    }
}

/// With two endpoints the broker is one.
#[tokio::test(start_paused = true)]
async fn endpoints_share_the_broker() {
    let mut config = Config::default();
    let mut second = config.endpoints[0].clone();
    second.path = "/second".to_owned();
    config.endpoints.push(second);
    let gateway = Gateway::in_memory(config).await;
    let first = Client::open(&gateway, Transport::Xhr, "/stomp", "one").await;
    let second = Client::open(&gateway, Transport::EventSource, "/second", "one").await;
    let (mut first, mut second) =
        (Stomp::connect(first, Version::V1_2).await, Stomp::connect(second, Version::V1_1).await);
    second.subscribed("1", "/topic/a").await;
    first.publish("/topic/a", "across").await;
    assert_eq!(&second.expect(Command::Message).await.body[..], b"across");
}

#[test]
fn heart_beats_can_be_turned_off_by_configuration() {
    let mut config = Config::default();
    config.stomp.heart_beat_send = Duration::ZERO;
    config.stomp.heart_beat_receive = Duration::ZERO;
    for transport in [Transport::Websocket, Transport::Xhr] {
        play_with(transport, config.clone(), async |stage| {
            let (_, connected) = Stomp::connect_beating(stage.client().await, stage.version, "1000,1000").await;
            assert_eq!(connected.headers.get("heart-beat"), Some("0,0"));
        });
    }
}
