//! What comes back to a client from whoever handles its messages: replies for its own session and no other, the one message
//! that answers a subscription, and failures, softly or hard, as the settings say.

mod bed;
#[path = "bed/application.rs"]
mod desk;

use std::sync::Arc;

use bed::Bed;
use bed::stomp::{Client, VERSIONS, connect, send, subscribe, unsubscribe};
use desk::{Asked, Desk};
use towpath::config::{Errors, Service};
use towpath::gateway::{Answer, Asks, Failure, Outcome, Outgoing, Principal, Question, Reply, Wiring};
use towpath::session::{Carrier, Flow};
use towpath::stomp::{Command, Frame, Version};

const CARRIERS: [Carrier; 4] = [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp];

/// Headers that only the gateway writes into a MESSAGE.
const FORGED: [&str; 9] = [
    "destination",
    "content-length",
    "message-id",
    "subscription",
    "ack",
    "redelivered",
    "receipt",
    "receipt-id",
    "transaction",
];

fn connected(bed: &Bed, carrier: Carrier) -> Client {
    Client::connected(bed, carrier, Version::V1_2)
}

fn login(bed: &Bed, carrier: Carrier, name: &str) -> Client {
    Client::login(bed, carrier, name)
}

fn header<'f>(frame: &'f Frame, name: &str) -> Option<&'f str> {
    frame.headers.get(name)
}

/// The one frame that has come.
fn one(bed: &Bed, client: &mut Client) -> Frame {
    let mut frames = client.frames(bed);
    assert_eq!(frames.len(), 1, "{frames:?}");
    frames.remove(0)
}

fn nothing(bed: &Bed, client: &mut Client) {
    assert_eq!(client.frames(bed), []);
}

fn asks(bed: &Bed, desk: &Desk, client: &Client, frame: Frame) -> Asked {
    assert_eq!(client.send(bed, &frame), Flow::Wait, "{frame:?}");
    desk.next()
}

// ---- replies ----

#[test]
fn a_reply_comes_to_the_session_that_sent_and_to_no_other() {
    for carrier in CARRIERS {
        let (bed, desk) = Desk::bed();
        let [mut ann, mut other_ann, mut bob] = ["ann", "ann", "bob"].map(|name| login(&bed, carrier, name));
        for client in [&ann, &other_ann, &bob] {
            client.subscribe(&bed, "r", "/user/queue/replies");
            client.subscribe(&bed, "m", "/user/queue/mine");
        }
        let call = asks(&bed, &desk, &ann, send("/app/a", "").with("correlation-id", "c:1").with("receipt", "r1"));
        call.reply(&bed, Reply::text("hello").with("kind", "greeting"));
        let frames = ann.frames(&bed);
        assert_eq!(frames.iter().map(|frame| frame.command).collect::<Vec<_>>(), [Command::Message, Command::Receipt]);
        let reply = &frames[0];
        assert_eq!((header(reply, "subscription"), &reply.body[..]), (Some("r"), &b"hello"[..]), "{carrier:?}");
        assert_eq!((header(reply, "correlation-id"), header(reply, "kind")), (Some("c:1"), Some("greeting")));
        assert_eq!(header(reply, "destination"), Some("/user/queue/replies"));
        assert_eq!(header(&frames[1], "x-undelivered"), None);

        // The application says where, whatever the client wanted.
        let call = asks(&bed, &desk, &ann, send("/app/a", "").with("reply-to", "/user/queue/replies"));
        call.reply(&bed, Reply::text("there").at("/user/queue/mine"));
        assert_eq!(header(&one(&bed, &mut ann), "subscription"), Some("m"));

        // The client says where.
        let frame = send("/app/a", "").with("reply-to", "/user/queue/mine").with("correlation-id", "2");
        let call = asks(&bed, &desk, &ann, frame);
        call.reply(&bed, Reply::text("here").with("correlation-id", "own"));
        let reply = one(&bed, &mut ann);
        assert_eq!((header(&reply, "subscription"), header(&reply, "correlation-id")), (Some("m"), Some("own")));
        assert_eq!(reply.headers.iter().filter(|(name, _)| *name == "correlation-id").count(), 1);
        [&mut other_ann, &mut bob].into_iter().for_each(|client| nothing(&bed, client));
    }
}

#[test]
fn a_temporary_queue_gets_the_reply() {
    for carrier in CARRIERS {
        let (bed, desk) = Desk::bed();
        let mut client = connected(&bed, carrier);
        for request in ["1", "2"] {
            let frame = send("/app/a", request).with("reply-to", "/temp-queue/t").with("correlation-id", request);
            asks(&bed, &desk, &client, frame).reply(&bed, Reply::text(request));
            let reply = one(&bed, &mut client);
            assert_eq!(header(&reply, "subscription"), Some("/temp-queue/t"), "{carrier:?}");
            assert_eq!((header(&reply, "correlation-id"), &reply.body[..]), (Some(request), request.as_bytes()));
        }
    }
}

/// A client could otherwise have the application write to others, in its own name.
#[test]
fn a_client_cannot_direct_a_reply_to_others() {
    let (bed, desk) = Desk::bed();
    let (mut ann, mut bob) = (login(&bed, Carrier::Tcp, "ann"), login(&bed, Carrier::Tcp, "bob"));
    ann.subscribe(&bed, "x", "/user/queue/x");
    bob.subscribe(&bed, "t", "/topic/t");
    bob.subscribe(&bed, "x", "/user/queue/x");
    bob.subscribe(&bed, "r", "/user/queue/replies");
    for to in ["/topic/t", "/queue/q", "/user/bob/queue/x", "/user/user/queue/x", "/userx", "", "/app/a", "/temp-queue"]
    {
        let call = asks(&bed, &desk, &ann, send("/app/a", "").with("reply-to", to).with("receipt", "r"));
        call.reply(&bed, Reply::text("secret"));
        let receipt = one(&bed, &mut ann);
        assert_eq!(header(&receipt, "x-undelivered"), Some("unreachable"), "{to}");
        nothing(&bed, &mut bob);
        assert_eq!(bed.gateway.broker().queue_len("/queue/q"), None);
    }
}

#[test]
fn a_reply_that_nobody_listens_for_is_told_in_the_receipt() {
    let (bed, desk) = Desk::bed();
    let mut client = connected(&bed, Carrier::Tcp);
    asks(&bed, &desk, &client, send("/app/a", "").with("receipt", "r")).reply(&bed, Reply::text("x"));
    assert_eq!(header(&one(&bed, &mut client), "x-undelivered"), Some("unreachable"));
    asks(&bed, &desk, &client, send("/app/a", "").with("receipt", "r")).done(&bed);
    assert_eq!(header(&one(&bed, &mut client), "x-undelivered"), None, "there was nothing to deliver");
}

#[test]
fn bytes_that_are_no_text_come_as_base64_where_they_must() {
    for carrier in CARRIERS {
        let (bed, desk) = Desk::bed();
        let mut client = connected(&bed, carrier);
        client.subscribe(&bed, "r", "/user/queue/replies");
        let mut request = send("/app/a", "/wA=").with("content-transfer-encoding", "base64");
        if !carrier.speaks_sockjs() {
            request = Frame::new(Command::Send).with("destination", "/app/a").with_body(&b"\xff\0"[..]);
        }
        let call = asks(&bed, &desk, &client, request);
        assert_eq!(&call.incoming().body[..], b"\xff\0", "{carrier:?}");
        assert_eq!(call.incoming().text().unwrap_err().message, "the body is not UTF-8");
        let body = bytes::Bytes::from_static(b"\xff\xfe\0x");
        call.reply(&bed, Reply { body, ..Reply::default() });
        let reply = one(&bed, &mut client);
        if carrier.speaks_sockjs() {
            assert_eq!(header(&reply, "content-transfer-encoding"), Some("base64"));
            assert_eq!(&reply.body[..], b"//4AeA==");
        } else {
            assert_eq!(header(&reply, "content-transfer-encoding"), None);
            assert_eq!(&reply.body[..], b"\xff\xfe\0x");
        }
    }
}

#[test]
fn an_application_cannot_forge_what_the_gateway_says() {
    let (bed, desk) = Desk::bed();
    let mut client = connected(&bed, Carrier::Tcp);
    for (id, destination) in [("r", "/user/queue/replies"), ("t", "/topic/t")] {
        client.subscribe(&bed, id, destination);
    }
    let reply = FORGED.iter().fold(Reply::text("reply").with("own", "1"), |reply, name| reply.with(*name, "0"));
    let published =
        FORGED.iter().fold(Outgoing::text("/topic/t", "x").with("own", "1"), |out, name| out.with(*name, "0"));
    let call = asks(&bed, &desk, &client, send("/app/a", ""));
    call.answer(&bed, Answer::nothing().and_publish(published.clone()).and_reply(reply.clone()));
    let mut messages = client.frames(&bed);
    bed.gateway.publish_all(vec![published], bed.now).unwrap();
    messages.extend(client.frames(&bed));
    asks(&bed, &desk, &client, subscribe("a", "/app/a")).reply(&bed, reply);
    messages.extend(client.frames(&bed));
    assert_eq!(messages.len(), 4);
    for message in messages {
        assert_eq!(header(&message, "own"), Some("1"));
        let forged = message.headers.iter().any(|(name, value)| FORGED.contains(&name) && value == "0");
        assert!(!forged, "{message:?}");
    }
}

#[test]
fn no_credential_reaches_the_application() {
    let (bed, desk) = Desk::bed();
    let client = connected(&bed, Carrier::Tcp);
    for (name, frame) in [("SEND", send("/app/a", "")), ("SUBSCRIBE", subscribe("s", "/app/a"))] {
        let secret = ["login", "passcode", "Authorization", "AUTHORIZATION", "Cookie", "proxy-authorization"];
        let frame = secret.iter().fold(frame, |frame, name| frame.with(*name, "hush")).with("kind", "k");
        let call = asks(&bed, &desk, &client, frame);
        let kind = call.incoming().headers.get("kind");
        assert_eq!(kind, Some("k"));
        assert!(!format!("{:?}", call.question).contains("hush"), "{name}: {:?}", call.question);
        call.done(&bed);
    }
}

// ---- subscriptions ----

#[test]
fn a_subscription_is_answered_with_one_message() {
    for carrier in CARRIERS {
        for version in VERSIONS {
            let (bed, desk) = Desk::bed();
            let mut client = Client::connected(&bed, carrier, version);
            let call = asks(&bed, &desk, &client, subscribe("s", "/app/rooms").with("kind", "k").with("receipt", "r"));
            assert!(matches!(call.question, Question::Subscribe(_)));
            assert_eq!((call.incoming().headers.get("kind"), call.incoming().body.len()), (Some("k"), 0));
            nothing(&bed, &mut client);
            call.reply(&bed, Reply::text("all of them").at("/user/queue/elsewhere"));
            let frames = client.frames(&bed);
            assert_eq!((frames.len(), frames[1].command), (2, Command::Receipt), "{frames:?}");
            assert_eq!((header(&frames[0], "subscription"), &frames[0].body[..]), (Some("s"), &b"all of them"[..]));
            assert_eq!(header(&frames[0], "destination"), Some("/app/rooms"));

            // Nothing more comes, also not what somebody sends there.
            asks(&bed, &desk, &client, send("/app/rooms", "x")).done(&bed);
            let to_app = bed.gateway.publish_all(vec![Outgoing::text("/app/rooms", "x")], bed.now);
            assert!(to_app.is_err(), "it is no destination of the broker");
            nothing(&bed, &mut client);

            assert_eq!(client.send(&bed, &unsubscribe("s").with("receipt", "u")), Flow::Continue);
            assert_eq!(one(&bed, &mut client).command, Command::Receipt);
            // The id is free again, and a second time it is taken.
            asks(&bed, &desk, &client, subscribe("s", "/app/rooms")).done(&bed);
            nothing(&bed, &mut client);
            assert_eq!(client.send(&bed, &subscribe("s", "/topic/t")), Flow::Closed);
            assert_eq!(desk.len(), 0);
        }
    }
}

#[test]
fn in_1_0_a_subscription_is_named_by_its_destination() {
    let (bed, desk) = Desk::bed();
    let mut client = Client::connected(&bed, Carrier::Tcp, Version::V1_0);
    let without_id = |command| Frame::new(command).with("destination", "/app/rooms");
    asks(&bed, &desk, &client, without_id(Command::Subscribe)).reply(&bed, Reply::text("x"));
    assert_eq!(header(&one(&bed, &mut client), "subscription"), None);
    assert_eq!(client.send(&bed, &without_id(Command::Unsubscribe)), Flow::Continue);
    assert_eq!(client.send(&bed, &without_id(Command::Unsubscribe)), Flow::Closed);
}

#[test]
fn answered_subscriptions_are_limited_like_others() {
    let (bed, desk) = Desk::bed_with(|config| config.stomp.max_subscriptions = 2);
    let client = connected(&bed, Carrier::Tcp);
    for id in ["1", "2"] {
        asks(&bed, &desk, &client, subscribe(id, "/app/a")).done(&bed);
    }
    assert_eq!(client.send(&bed, &subscribe("3", "/app/a")), Flow::Closed);
    assert_eq!(desk.len(), 0);
}

#[test]
fn an_acknowledgement_of_an_answer_is_refused_in_words() {
    let (bed, desk) = Desk::bed();
    let mut client = connected(&bed, Carrier::Tcp);
    let frame = subscribe("s", "/app/a").with("ack", "client-individual");
    asks(&bed, &desk, &client, frame).reply(&bed, Reply::text("x"));
    assert_eq!(header(&one(&bed, &mut client), "ack"), None, "nobody keeps account of it");
    assert_eq!(client.send(&bed, &Frame::new(Command::Ack).with("id", "1-1")), Flow::Closed);
}

// ---- failures ----

#[test]
fn a_failure_is_told_softly_to_whoever_listens() {
    for carrier in CARRIERS {
        let (bed, desk) = Desk::bed();
        let (mut ann, mut other) = (login(&bed, carrier, "ann"), login(&bed, carrier, "ann"));
        for client in [&ann, &other] {
            client.subscribe(&bed, "e", "/user/queue/errors");
        }
        let call = asks(&bed, &desk, &ann, send("/app/a", "").with("receipt", "r:1"));
        call.fail(&bed, Failure::new("no such room"));
        let error = one(&bed, &mut ann);
        assert_eq!((error.command, &error.body[..]), (Command::Message, &b"no such room"[..]), "{carrier:?}");
        assert_eq!((header(&error, "receipt-id"), header(&error, "x-destination")), (Some("r:1"), Some("/app/a")));
        assert_eq!(header(&error, "message"), Some("not handled"));
        assert_eq!(ann.send(&bed, &send("/topic/t", "goes on")), Flow::Continue);
        nothing(&bed, &mut other);
    }
}

#[test]
fn a_failure_is_an_error_where_nobody_listens_or_by_setting() {
    for (errors, listens) in [(Errors::Message, false), (Errors::Error, true)] {
        let (bed, desk) = Desk::bed_with(|config| config.application.errors = errors);
        let mut client = connected(&bed, Carrier::Tcp);
        if listens {
            client.subscribe(&bed, "e", "/user/queue/errors");
        }
        asks(&bed, &desk, &client, send("/app/a", "").with("receipt", "r")).fail(&bed, Failure::new("no such room"));
        let frames = client.frames_to_the_end(&bed);
        assert_eq!((frames.len(), frames[0].command), (1, Command::Error), "{frames:?}");
        assert_eq!((header(&frames[0], "message"), header(&frames[0], "receipt-id")), (Some("not handled"), Some("r")));
        assert_eq!(&frames[0].body[..], b"/app/a\nno such room");
    }
}

#[test]
fn a_fatal_failure_ends_the_session_and_says_nothing_of_its_cause() {
    for frame in [send("/app/a", ""), subscribe("s", "/app/a")] {
        let (bed, desk) = Desk::bed_with(|config| config.auth.refused_subscribe = Errors::Message);
        let mut client = connected(&bed, Carrier::Tcp);
        client.subscribe(&bed, "e", "/user/queue/errors");
        asks(&bed, &desk, &client, frame).fail(&bed, Failure::fatal("the database says 42"));
        let frames = client.frames_to_the_end(&bed);
        assert_eq!((frames.len(), header(&frames[0], "message")), (1, Some("internal error")));
        assert!(!String::from_utf8_lossy(&frames[0].body).contains("42"));
    }
}

#[test]
fn a_failed_subscription_is_refused_by_setting() {
    for (setting, soft) in [(Errors::Error, false), (Errors::Message, true)] {
        let (bed, desk) = Desk::bed_with(|config| config.auth.refused_subscribe = setting);
        let mut client = connected(&bed, Carrier::Tcp);
        client.subscribe(&bed, "e", "/user/queue/errors");
        let call = asks(&bed, &desk, &client, subscribe("s", "/app/a").with("receipt", "r"));
        call.fail(&bed, Failure::new("not yours"));
        if !soft {
            let frames = client.frames_to_the_end(&bed);
            assert_eq!(header(&frames[0], "message"), Some("subscription refused"));
            continue;
        }
        let error = one(&bed, &mut client);
        assert_eq!((header(&error, "receipt-id"), header(&error, "x-destination")), (Some("r"), Some("/app/a")));
        assert_eq!(client.send(&bed, &unsubscribe("s")), Flow::Continue, "the client believes that it has subscribed");
    }
}

// ---- other questions ----

#[test]
fn a_connect_waits_for_the_word_who_it_is() {
    for carrier in CARRIERS {
        let wiring = Wiring { asks: Asks { connect: true, subscribe: false }, ..Wiring::default() };
        let (mut bed, desk) = Desk::bed_wired(|_| {}, wiring);
        let mut client = Client::fresh(&bed, carrier);
        let hello = connect(Version::V1_2).with("login", "ann").with("passcode", "hush").with("kind", "k");
        assert_eq!(client.send(&bed, &hello.with("Authorization", "Bearer tok.en")), Flow::Wait);
        client.version = Version::V1_2;
        client.send(&bed, &subscribe("s", "/topic/t").with("receipt", "r"));
        // Longer than connect_timeout: whoever is asked has a time-out of his own.
        bed.pass(bed::seconds(60), &mut [&mut client.reader]);
        nothing(&bed, &mut client);
        assert!(bed.gateway.clients().is_empty());
        let call = desk.next();
        let Question::Connect(connecting) = &call.question else { panic!("{:?}", call.question) };
        assert_eq!(connecting.credentials.login.as_deref(), Some("ann"));
        assert_eq!(connecting.credentials.passcode.as_deref(), Some("hush"));
        assert_eq!(connecting.credentials.token.as_deref(), Some("tok.en"));
        assert!(connecting.headers.get("kind").is_some() && connecting.headers.get("authorization").is_none());
        let shown = format!("{:?}", call.question);
        assert!(!shown.contains("hush") && !shown.contains("tok.en"), "{shown}");
        call.settle(&bed, Outcome::Admitted(Arc::new(Principal::named("anna"))));
        let frames = client.frames(&bed);
        assert_eq!(header(&frames[0], "user-name"), Some("anna"), "{carrier:?}");
        assert_eq!(frames[1].command, Command::Receipt);
        assert_eq!(bed.gateway.clients().list(0, Some("anna"), 10).len(), 1);
    }
}

#[test]
fn a_subscription_to_the_broker_waits_if_somebody_is_asked() {
    let wiring = Wiring { asks: Asks { connect: false, subscribe: true }, ..Wiring::default() };
    let (bed, desk) = Desk::bed_wired(|_| {}, wiring);
    let mut client = connected(&bed, Carrier::Tcp);
    let call = asks(&bed, &desk, &client, subscribe("s", "/topic/t").with("receipt", "r"));
    assert!(matches!(call.question, Question::MaySubscribe(_)));
    bed.gateway.publish_all(vec![Outgoing::text("/topic/t", "early")], bed.now).unwrap();
    call.done(&bed);
    assert_eq!(one(&bed, &mut client).command, Command::Receipt);
    bed.gateway.publish_all(vec![Outgoing::text("/topic/t", "late")], bed.now).unwrap();
    assert_eq!(&one(&bed, &mut client).body[..], b"late");
    asks(&bed, &desk, &client, subscribe("2", "/topic/u")).fail(&bed, Failure::new("no"));
    assert_eq!(header(&client.frames_to_the_end(&bed)[0], "message"), Some("subscription refused"));
}

#[test]
fn prefixes_are_whole_words_and_can_be_others() {
    let (bed, desk) = Desk::bed_with(|config| config.application.prefixes = vec!["/publish".into(), "/a/b".into()]);
    let client = connected(&bed, Carrier::Tcp);
    for destination in ["/publish", "/publish/x", "/a/b/c"] {
        asks(&bed, &desk, &client, send(destination, "")).done(&bed);
    }
    for destination in ["/app/x", "/publisher/x", "/a/bc"] {
        let client = connected(&bed, Carrier::Tcp);
        assert_eq!(client.send(&bed, &send(destination, "")), Flow::Closed, "{destination}");
    }
    assert_eq!(Bed::of(Service::Stomp).gateway.clients().len(), 0);
}
