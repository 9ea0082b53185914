//! `broker.topic_prefixes`: destinations that begin so are topics in everything that topics have, and no prefix takes another
//! kind's place.

mod support;

use support::stomp::Stomp;
use support::{Client, Gateway, Transport};
use towpath::config::Config;
use towpath::stomp::{Command, Frame, Version};

async fn gateway(toml: &str) -> Gateway {
    let config = Config::from_toml(toml, "towpath.toml").unwrap_or_else(|error| panic!("{error}"));
    Gateway::in_memory(config).await
}

async fn client(gateway: &Gateway, id: &str) -> Stomp {
    Stomp::connect(Client::open(gateway, Transport::Websocket, "/stomp", id).await, Version::V1_2).await
}

#[tokio::test(start_paused = true)]
async fn what_begins_so_is_a_topic_with_patterns_and_history() {
    let gateway = gateway(
        "[broker]\ntopic_prefixes = [\"/subscribe\", \"/a/b\"]\nsend_to_users = \"anyone\"\n\
         [[destination]]\npattern = \"/subscribe/room/*\"\nhistory = { count = 1 }\n",
    )
    .await;
    let mut ann = client(&gateway, "ann").await;
    for (id, destination) in [("1", "/subscribe/room/1"), ("all", "/subscribe/**"), ("other", "/a/b/c")] {
        ann.subscribed(id, destination).await;
    }
    ann.publish("/subscribe/room/1", "hello").await;
    ann.publish("/a/b/c", "again").await;
    let mut got = Vec::new();
    for _ in 0..3 {
        let message = ann.expect(Command::Message).await;
        let header = |name| message.headers.get(name).unwrap().to_owned();
        got.push((header("subscription"), header("destination"), message.body));
    }
    got.sort();
    let expected =
        [("1", "/subscribe/room/1", "hello"), ("all", "/subscribe/room/1", "hello"), ("other", "/a/b/c", "again")];
    assert_eq!(got, expected.map(|(id, destination, body)| (id.to_owned(), destination.to_owned(), body.into())));

    let mut late = client(&gateway, "late").await;
    let subscribe = Frame::new(Command::Subscribe).with("id", "1").with("destination", "/subscribe/room/1");
    late.send(&subscribe.with("x-history", "last=1")).await;
    assert_eq!(late.expect(Command::Message).await.body, "hello");
    late.subscribed("own", "/user/subscribe/x").await;
    let Some(name) = gateway.core().clients().list(0, None, 2).pop().map(|client| client.caller.session().to_owned())
    else {
        panic!("both are in")
    };
    ann.publish(&format!("/user/{name}/subscribe/x"), "for you").await;
    assert_eq!(late.expect(Command::Message).await.body, "for you");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_is_refused_and_told_how_topics_begin() {
    let gateway = gateway("[broker]\ntopic_prefixes = [\"/subscribe\", \"/a/b\"]\n").await;
    for destination in ["/topic/a", "/subscribers/a", "/a/c", "/subscribe"] {
        for command in [Command::Send, Command::Subscribe] {
            let mut ann = client(&gateway, "ann").await;
            ann.send(&Frame::new(command).with("id", "1").with("destination", destination)).await;
            let error = ann.expect(Command::Error).await;
            let told = std::str::from_utf8(&error.body).unwrap();
            assert!(told.contains("/subscribe/NAME, /a/b/NAME, /queue/NAME"), "{destination}: {told}");
        }
    }
}

#[test]
fn a_prefix_takes_no_other_kinds_place() {
    let fault = |prefixes: &str| {
        let config = Config::from_toml(&format!("[broker]\ntopic_prefixes = {prefixes}\n"), "towpath.toml");
        config.map(|_| ()).map_err(|error| error.to_string())
    };
    for good in ["[\"/topic\"]", "[\"/subscribe\", \"/sub/scribe\"]", "[\"/queues\", \"/apple\", \"/users\"]"] {
        assert_eq!(fault(good), Ok(()), "{good}");
    }
    for (bad, why) in [
        ("[]", "no topics"),
        ("[\"\"]", "begin with a slash"),
        ("[\"/\"]", "ends in a slash"),
        ("[\"topic\"]", "begin with a slash"),
        ("[\"/topic/\"]", "ends in a slash"),
        ("[\"/a//b\"]", "empty word"),
        ("[\"/a b\"]", "' ' in it"),
        ("[\"/a*\"]", "'*' in it"),
        ("[\"/queue\"]", "/queue is the gateway's own"),
        ("[\"/queue/a\"]", "/queue is the gateway's own"),
        ("[\"/user\"]", "/user is the gateway's own"),
        ("[\"/reply-queue\"]", "/reply-queue is the gateway's own"),
        ("[\"/temp-queue\"]", "/temp-queue is the gateway's own"),
        ("[\"/auth\"]", "/auth is the gateway's own"),
        ("[\"/app\"]", "in [application] holds \"/app\""),
        ("[\"/topic\", \"/app/a\"]", "in [application] holds \"/app\""),
        ("[\"/topic\", \"/topic\"]", "twice"),
        ("[\"/topic\", \"/topic/a\"]", "lies inside of"),
    ] {
        let told = fault(bad).expect_err(bad);
        assert!(told.contains(why) && told.contains("towpath.toml:2"), "{bad}: {told}");
    }
}
