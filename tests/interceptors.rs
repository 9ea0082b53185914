//! Where an application looks at what passes: interceptors see, change or refuse frames that come in, change or keep back messages
//! that go out, for one client at a time; and one that breaks takes its session with it and no other.

mod bed;
#[path = "bed/application.rs"]
mod desk;
#[path = "bed/hooks.rs"]
mod hooks;

use std::sync::{Arc, Mutex};

use bed::meters::record;
use bed::stomp::{Client, VERSIONS, bodies, connect, send, subscribe, unsubscribe};
use bed::{Bed, Seen, TICK};
use desk::Desk;
use hooks::{Looks, listener, wired};
use towpath::config::{Action, Config, Errors, Rule};
use towpath::gateway::{Event, Failure, Inbound, Outgoing, Pass, Reply};
use towpath::session::{Carrier, CloseReason, Flow};
use towpath::stomp::{Command, Frame, Version};

const CARRIERS: [Carrier; 4] = [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp];

fn connected(bed: &Bed, carrier: Carrier) -> Client {
    Client::connected(bed, carrier, Version::V1_2)
}

fn login(bed: &Bed, name: &str) -> Client {
    Client::login(bed, Carrier::Tcp, name)
}

fn header<'f>(frame: &'f Frame, name: &str) -> Option<&'f str> {
    frame.headers.get(name)
}

fn publish(bed: &Bed, destination: &str, body: &str) {
    bed.gateway.publish_all(vec![Outgoing::text(destination, body)], bed.now).expect("there is room");
}

/// The ERROR with which a session has ended, by its `message`, and why.
fn ended(bed: &Bed, client: &mut Client) -> (Option<String>, CloseReason) {
    client.reader.read(bed);
    let Some((_, Seen::Closed(reason))) = client.reader.seen.last().cloned() else {
        panic!("{:?}", client.reader.seen)
    };
    let frames = client.frames(bed);
    let error = frames.iter().find(|frame| frame.command == Command::Error);
    (error.map(|error| header(error, "message").unwrap().to_owned()), reason)
}

fn said(text: &str, reason: CloseReason) -> (Option<String>, CloseReason) {
    (Some(text.to_owned()), reason)
}

// ---- in ----

#[test]
fn frames_can_be_changed_one_interceptor_after_the_other() {
    for carrier in CARRIERS {
        let mark = |mark: &'static str| {
            Looks::inbound(move |frame| {
                if let Inbound::Send { destination, headers, body, caller } = frame {
                    assert_eq!(caller.transport(), if carrier == Carrier::Tcp { "tcp" } else { "test" });
                    destination.push_str(mark);
                    headers.push("seen-by", mark);
                    **body = format!("{}{mark}", String::from_utf8_lossy(body)).into();
                }
                Ok(())
            })
        };
        let (bed, desk) = wired(|_| {}, [mark(".a"), mark(".b")], []);
        let mut client = connected(&bed, carrier);
        client.subscribe(&bed, "s", "/topic/t.a.b");
        client.send(&bed, &send("/topic/t", "body"));
        let frames = client.frames(&bed);
        assert_eq!(bodies(&frames), ["body.a.b"], "{carrier:?}");
        let marks: Vec<_> = frames[0].headers.iter().filter(|(name, _)| *name == "seen-by").collect();
        assert_eq!(marks, [("seen-by", ".a"), ("seen-by", ".b")]);
        // In a transaction and to the application it is the same.
        client.send(&bed, &Frame::new(Command::Begin).with("transaction", "t"));
        client.send(&bed, &send("/topic/t", "2").with("transaction", "t"));
        client.send(&bed, &Frame::new(Command::Commit).with("transaction", "t"));
        assert_eq!(bodies(&client.frames(&bed)), ["2.a.b"]);
        client.send(&bed, &send("/app/x", "3"));
        let call = desk.next();
        assert_eq!((call.incoming().destination.as_str(), call.body().as_str()), ("/app/x.a.b", "3.a.b"));
    }
}

#[test]
fn a_body_is_seen_as_it_was_before_base64() {
    let seen = Arc::new(Mutex::new(vec![]));
    let note = Arc::clone(&seen);
    let look = Looks::inbound(move |frame| {
        if let Inbound::Send { body, headers, .. } = frame {
            note.lock().unwrap().push((body.to_vec(), headers.len()));
        }
        Ok(())
    });
    let (bed, _) = wired(|_| {}, [look], []);
    let client = connected(&bed, Carrier::Websocket);
    client.send(&bed, &send("/topic/t", "/wA=").with("content-transfer-encoding", "base64"));
    assert_eq!(*seen.lock().unwrap(), [(b"\xff\0".to_vec(), 0)]);
}

/// The client goes on to name its subscription as it did.
#[test]
fn a_subscription_can_be_sent_elsewhere() {
    for version in VERSIONS {
        let look = Looks::inbound(|frame| {
            if let Inbound::Subscribe { destination, headers, caller } = frame {
                assert_eq!(caller.user(), caller.session());
                **destination = destination.replace("/topic/a", "/topic/b");
                headers.push("selector", "kind = 'x'");
            }
            Ok(())
        });
        let (bed, _) = wired(|_| {}, [look], []);
        let mut client = Client::connected(&bed, Carrier::Tcp, version);
        let named = |command: Command| match version {
            Version::V1_0 => Frame::new(command).with("destination", "/topic/a"),
            _ => Frame::new(command).with("id", "s").with("destination", "/topic/a"),
        };
        client.send(&bed, &named(Command::Subscribe));
        client.send(&bed, &send("/topic/a", "a").with("kind", "x"));
        client.send(&bed, &send("/topic/b", "b").with("kind", "x"));
        client.send(&bed, &send("/topic/b", "c").with("kind", "y"));
        assert_eq!(bodies(&client.frames(&bed)), ["b"]);
        assert_eq!(client.send(&bed, &named(Command::Unsubscribe)), Flow::Continue, "{version}");
        client.send(&bed, &send("/topic/b", "late").with("kind", "x"));
        assert_eq!(client.frames(&bed), []);
    }
}

#[test]
fn a_refused_frame_is_told_as_the_settings_say() {
    let refuse = |failure: Failure| {
        Looks::inbound(move |frame| match frame {
            Inbound::Send { destination, .. } | Inbound::Subscribe { destination, .. }
                if destination.ends_with("/no") =>
            {
                Err(failure.clone())
            }
            _ => Ok(()),
        })
    };
    let never = || {
        Looks::inbound(|frame| match frame {
            Inbound::Send { destination, .. } if destination.ends_with("/no") => panic!("it was refused before"),
            _ => Ok(()),
        })
    };
    let soft = |config: &mut Config| config.auth.refused_subscribe = Errors::Message;
    let hard = |config: &mut Config| config.application.errors = Errors::Error;
    for frame in [send("/topic/no", ""), send("/app/no", ""), subscribe("x", "/topic/no")] {
        let frame = frame.with("receipt", "r");
        let (bed, desk) = wired(soft, [refuse(Failure::new("not that")), never()], []);
        let mut client = connected(&bed, Carrier::Tcp);
        client.subscribe(&bed, "e", "/user/queue/errors");
        assert_eq!(client.send(&bed, &frame), Flow::Continue, "{frame:?}");
        let frames = client.frames(&bed);
        assert_eq!(bodies(&frames), ["not that"], "{frame:?}");
        assert_eq!(header(&frames[0], "receipt-id"), Some("r"));
        assert_eq!(desk.len(), 0);

        let (bed, desk) = wired(hard, [refuse(Failure::new("not that")), never()], []);
        let mut client = connected(&bed, Carrier::Tcp);
        client.subscribe(&bed, "e", "/user/queue/errors");
        assert_eq!(client.send(&bed, &frame), Flow::Closed);
        let error = client.frames_to_the_end(&bed).remove(0);
        assert!(String::from_utf8_lossy(&error.body).contains("not that"), "{error:?}");
        assert_eq!(header(&error, "receipt-id"), Some("r"));
        assert_eq!(desk.len(), 0);

        let (bed, _) = wired(soft, [refuse(Failure::fatal("the database says 42")), never()], []);
        let mut client = connected(&bed, Carrier::Tcp);
        client.subscribe(&bed, "e", "/user/queue/errors");
        assert_eq!(client.send(&bed, &frame), Flow::Closed);
        assert_eq!(ended(&bed, &mut client), said("internal error", CloseReason::ApplicationFailed));
    }
}

/// Nobody has subscribed, so nobody unsubscribes, whatever the client believes.
#[test]
fn listeners_do_not_hear_of_a_subscription_that_was_refused() {
    let soft = |config: &mut Config| config.auth.refused_subscribe = Errors::Message;
    let refuse = Looks::inbound(|frame| match frame {
        Inbound::Subscribe { destination, .. } if destination.ends_with("/no") => Err(Failure::new("no")),
        _ => Ok(()),
    });
    let (heard, listener) = listener();
    let (bed, desk) = wired(soft, [refuse], [listener]);
    let ann = login(&bed, "ann");
    ann.subscribe(&bed, "e", "/user/queue/errors");
    ann.subscribe(&bed, "1", "/topic/no");
    ann.subscribe(&bed, "2", "/app/x");
    desk.next().fail(&bed, Failure::new("no"));
    for id in ["1", "2", "e"] {
        assert_eq!(ann.send(&bed, &unsubscribe(id)), Flow::Continue, "{id}");
    }
    assert_eq!(heard.of("ann"), ["Connected", "Subscribed e /user/queue/errors", "Unsubscribed e"]);
}

/// Committed without one of its parts, a transaction would be none.
#[test]
fn a_refusal_in_a_transaction_is_an_error() {
    let refuse = Looks::inbound(|frame| match frame {
        Inbound::Send { body, .. } if &body[..] == b"2" => Err(Failure::new("no")),
        _ => Ok(()),
    });
    let (bed, _) = wired(|_| {}, [refuse], []);
    let mut client = connected(&bed, Carrier::Tcp);
    client.subscribe(&bed, "e", "/user/queue/errors");
    client.send(&bed, &Frame::new(Command::Begin).with("transaction", "t"));
    assert_eq!(client.send(&bed, &send("/topic/t", "1").with("transaction", "t")), Flow::Continue);
    assert_eq!(client.send(&bed, &send("/topic/t", "2").with("transaction", "t")), Flow::Closed);
    assert_eq!(ended(&bed, &mut client), said("refused", CloseReason::StompError));
}

#[test]
fn a_refused_connect_lets_nobody_in() {
    let refuse = |failure: Failure| {
        Looks::inbound(move |frame| match frame {
            Inbound::Connect { principal, .. } if principal.name() == Some("eve") => Err(failure.clone()),
            _ => Ok(()),
        })
    };
    for (failure, expected) in [
        (Failure::new("not you"), said("not allowed", CloseReason::NotAllowed)),
        (Failure::fatal("42"), said("internal error", CloseReason::ApplicationFailed)),
    ] {
        let (heard, listener) = listener();
        let (bed, _) = wired(|_| {}, [refuse(failure)], [listener]);
        let mut eve = Client::fresh(&bed, Carrier::Websocket);
        assert_eq!(eve.send(&bed, &connect(Version::V1_2).with("login", "eve")), Flow::Closed);
        assert_eq!(ended(&bed, &mut eve), expected);
        assert!(bed.gateway.clients().is_empty() && heard.all().is_empty(), "{:?}", heard.all());
        login(&bed, "ann");
    }
}

#[test]
fn no_credential_is_shown_to_interceptors_or_other_clients() {
    let seen = Arc::new(Mutex::new(String::new()));
    let note = Arc::clone(&seen);
    let look = Looks::inbound(move |frame| {
        note.lock().unwrap().push_str(&format!("{frame:?}"));
        Ok(())
    });
    let (bed, _) = wired(|_| {}, [look], []);
    let secrets = ["passcode", "Authorization", "authorization", "AUTHORIZATION", "Cookie", "Proxy-Authorization"];
    let with = |frame: Frame| secrets.iter().fold(frame.with("kind", "k"), |frame, name| frame.with(*name, "hush"));
    let mut client = Client::fresh(&bed, Carrier::Tcp);
    client.send(&bed, &with(connect(Version::V1_2).with("login", "ann")));
    client.send(&bed, &with(subscribe("s", "/topic/t")));
    client.send(&bed, &with(send("/topic/t", "body")));
    let frames = client.frames(&bed);
    assert_eq!(frames.last().unwrap().command, Command::Message);
    assert!(!format!("{frames:?}").contains("hush"), "{frames:?}");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.matches("kind").count(), 3, "{seen}");
    assert!(!seen.contains("hush"), "{seen}");
}

#[test]
fn what_the_gateway_says_itself_no_interceptor_says() {
    const FORGED: [&str; 6] = ["content-length", "message-id", "subscription", "ack", "destination", "receipt-id"];
    let inbound = Looks::inbound(|frame| {
        if let Inbound::Send { headers, .. } = frame {
            FORGED.iter().for_each(|name| headers.push(*name, "0"));
        }
        Ok(())
    });
    let outbound = Looks::outbound(|message, _| {
        FORGED.iter().for_each(|name| message.headers_mut().push(*name, "0"));
        Pass::Through
    });
    for look in [inbound, outbound] {
        let (bed, _) = wired(|_| {}, [look], []);
        let mut client = connected(&bed, Carrier::Tcp);
        client.subscribe(&bed, "s", "/topic/t");
        client.send(&bed, &send("/topic/t", "whole"));
        let frames = client.frames(&bed);
        assert_eq!(bodies(&frames), ["whole"]);
        assert!(!frames[0].headers.iter().any(|(_, value)| value == "0"), "{frames:?}");
    }
}

#[test]
fn rules_are_applied_to_what_an_interceptor_has_made_of_a_frame() {
    let rules = |config: &mut Config| {
        let secret = Some("/topic/secret".to_owned());
        config.rules = vec![Rule { action: Action::Deny, destination: secret, ..Rule::default() }, Rule::default()];
    };
    let swap = || {
        Looks::inbound(|frame| {
            if let Inbound::Send { destination, .. } | Inbound::Subscribe { destination, .. } = frame {
                **destination = match destination.as_str() {
                    "/topic/secret" => "/topic/open".to_owned(),
                    _ => "/topic/secret".to_owned(),
                };
            }
            Ok(())
        })
    };
    for (destination, allowed) in [("/topic/secret", true), ("/topic/open", false)] {
        for frame in [send(destination, ""), subscribe("s", destination)] {
            let (bed, _) = wired(rules, [swap()], []);
            let client = connected(&bed, Carrier::Tcp);
            assert_eq!(client.send(&bed, &frame) == Flow::Continue, allowed, "{frame:?}");
        }
    }
}

// ---- panics ----

#[test]
fn an_interceptor_that_panics_ends_the_session_that_it_was_called_for_and_no_other() {
    let trips = |word: &'static str| {
        Looks::both(
            move |frame| match frame {
                Inbound::Connect { principal, .. } if principal.name() == Some(word) => panic!("on purpose"),
                Inbound::Send { destination, .. } | Inbound::Subscribe { destination, .. }
                    if destination.contains(word) =>
                {
                    panic!("on purpose")
                }
                _ => Ok(()),
            },
            move |message, recipient| match recipient.principal().name() {
                Some("victim") if message.body().starts_with(b"trip") => panic!("on purpose"),
                _ => Pass::Through,
            },
        )
    };
    let (mut bed, _) = wired(|_| {}, [trips("mine")], []);
    let mut neighbour = login(&bed, "neighbour");
    neighbour.subscribe(&bed, "s", "/topic/t");
    for frame in [connect(Version::V1_2).with("login", "mine"), send("/topic/mine", ""), subscribe("s", "/topic/mine")]
    {
        let mut client =
            if frame.command == Command::Connect { Client::fresh(&bed, Carrier::Tcp) } else { login(&bed, "x") };
        assert_eq!(client.send(&bed, &frame), Flow::Closed, "{frame:?}");
        assert_eq!(ended(&bed, &mut client), said("internal error", CloseReason::ApplicationFailed), "{frame:?}");
    }
    let mut victim = login(&bed, "victim");
    victim.subscribe(&bed, "s", "/topic/t");
    publish(&bed, "/topic/t", "fine");
    publish(&bed, "/topic/t", "trip");
    publish(&bed, "/topic/t", "never");
    victim.reader.read(&bed);
    bed.idle(TICK);
    assert_eq!(
        victim.reader.seen.last().map(|(_, seen)| seen.clone()),
        Some(Seen::Closed(CloseReason::ApplicationFailed))
    );
    assert_eq!(bodies(&neighbour.frames(&bed)), ["fine", "trip", "never"]);
    assert!(neighbour.reader.session.is_open());
    assert_eq!(bed.gateway.clients().len(), 1);
}

#[test]
fn a_listener_that_panics_ends_the_session_and_the_others_hear_all_the_same() {
    for what in ["Connected", "Subscribed", "Unsubscribed", "Disconnected"] {
        let (heard, second) = listener();
        let first: towpath::gateway::Listener = Arc::new(move |event: &Event<'_>| {
            let (Event::Connected(caller)
            | Event::Subscribed { caller, .. }
            | Event::Unsubscribed { caller, .. }
            | Event::Disconnected { caller, .. }) = event;
            assert!(
                caller.principal().name() != Some("victim") || !format!("{event:?}").starts_with(what),
                "on purpose"
            );
        });
        let (mut bed, _) = wired(|_| {}, [], [first, second]);
        let neighbour = login(&bed, "neighbour");
        let client = Client::fresh(&bed, Carrier::Tcp);
        for frame in [connect(Version::V1_2).with("login", "victim"), subscribe("s", "/topic/t"), unsubscribe("s")] {
            if client.reader.session.is_open() {
                client.send(&bed, &frame);
            }
        }
        if what == "Disconnected" {
            bed.hang_up(&client.reader, CloseReason::Peer);
        }
        bed.idle(TICK);
        assert!(!client.reader.session.is_open() && neighbour.reader.session.is_open(), "{what}");
        let of_victim = heard.of("victim");
        assert_eq!(of_victim.iter().filter(|event| event.starts_with(what)).count(), 1, "{of_victim:?}");
        let reason = if what == "Disconnected" { "peer" } else { "application-failed" };
        assert_eq!(of_victim.last().map(String::as_str), Some(format!("Disconnected {reason}").as_str()));
        assert_eq!(bed.gateway.clients().len(), 1);
    }
}

// ---- out ----

fn only_for(
    name: &'static str,
    look: impl Fn(&mut towpath::gateway::Outbound<'_>) -> Pass + Send + Sync + 'static,
) -> Looks {
    Looks::outbound(move |message, recipient| match recipient.principal().name() == Some(name) {
        true => look(message),
        false => Pass::Through,
    })
}

#[test]
fn a_message_can_be_changed_for_one_of_its_receivers() {
    let mask = only_for("bob", |message| {
        assert_eq!((message.destination(), message.headers().get("kind")), ("/topic/t", Some("x")));
        message.headers_mut().push("masked", "true");
        message.set_body(String::from_utf8_lossy(message.body()).replace("secret", "***"));
        Pass::Through
    });
    // Nearest to the client comes what comes in first: this one, put in second, sees the message before the other.
    let shout = only_for("bob", |message| {
        message.set_body(String::from_utf8_lossy(message.body()).to_lowercase());
        Pass::Through
    });
    let (bed, _) = wired(|_| {}, [mask, shout], []);
    let (mut ann, mut bob) = (login(&bed, "ann"), login(&bed, "bob"));
    for client in [&ann, &bob] {
        // What counts is what was published.
        client.send(&bed, &subscribe("s", "/topic/t").with("selector", "kind = 'x' AND masked IS NULL"));
    }
    ann.send(&bed, &send("/topic/t", "a SECRET").with("kind", "x"));
    let (whole, masked) = (ann.frames(&bed), bob.frames(&bed));
    assert_eq!((bodies(&whole), bodies(&masked)), (vec!["a SECRET".to_owned()], vec!["a ***".to_owned()]));
    assert_eq!((header(&whole[0], "masked"), header(&masked[0], "masked")), (None, Some("true")));
    assert_eq!(header(&whole[0], "message-id"), header(&masked[0], "message-id"));
}

#[test]
fn a_message_can_be_kept_back_from_one_of_its_receivers() {
    let ((), meters) = record(|| {
        let keep = only_for("bob", |message| match message.body().starts_with(b"secret") {
            true => Pass::KeepBack,
            false => Pass::Through,
        });
        let dead = |config: &mut Config| config.broker.queue.dead_letter = Some("/queue/dead".to_owned());
        let (bed, _) = wired(dead, [keep], []);
        let (mut ann, mut bob) = (login(&bed, "ann"), login(&bed, "bob"));
        for client in [&ann, &bob] {
            client.subscribe(&bed, "t", "/topic/t");
        }
        ["1", "secret", "2"].into_iter().for_each(|body| publish(&bed, "/topic/t", body));
        assert_eq!(
            (bodies(&ann.frames(&bed)), bodies(&bob.frames(&bed))),
            (vec!["1".to_owned(), "secret".into(), "2".into()], vec!["1".to_owned(), "2".into()])
        );

        // Of a queue nobody else may get it: it was bob's, and he does not get it.
        bob.subscribe(&bed, "a", "/queue/auto");
        ["secret", "1"].into_iter().for_each(|body| publish(&bed, "/queue/auto", body));
        assert_eq!(bodies(&bob.frames(&bed)), ["1"]);
        assert_eq!(bed.gateway.broker().queue_len("/queue/auto").map_or(0, |(messages, _)| messages), 0);

        bob.send(
            &bed,
            &subscribe("i", "/queue/individual").with("ack", "client-individual").with("prefetch-count", "1"),
        );
        ["secret 1", "secret 2", "3"].into_iter().for_each(|body| publish(&bed, "/queue/individual", body));
        let frames = bob.frames(&bed);
        assert_eq!(bodies(&frames), ["3"], "what is kept back takes nobody's place");
        bob.send(&bed, &Frame::new(Command::Ack).with("id", header(&frames[0], "ack").unwrap()));
        assert_eq!(bed.gateway.broker().queue_len("/queue/individual").map_or(0, |(messages, _)| messages), 0);
        ann.subscribe(&bed, "d", "/queue/dead");
        let dead = ann.frames(&bed);
        assert_eq!(bodies(&dead), ["secret 1", "secret 2"]);
        assert!(bob.reader.session.is_open());
    });
    assert_eq!(meters.count("towpath_messages_dropped_total", Some(("reason", "kept-back"))), 1);
    assert_eq!(meters.count("towpath_dead_letters_total", Some(("reason", "rejected"))), 2);
}

/// Replies and answers are messages, too; so is what comes through a queue that a `reply-to` made.
#[test]
fn replies_pass_the_interceptors_on_their_way_out() {
    let look = Looks::outbound(|message, _| {
        message.set_body("seen");
        Pass::Through
    });
    let (bed, desk) = wired(|_| {}, [look], []);
    let mut client = login(&bed, "ann");
    client.subscribe(&bed, "r", "/user/queue/replies");
    client.send(&bed, &subscribe("a", "/app/a"));
    desk.next().reply(&bed, Reply::text("answer"));
    client.send(&bed, &send("/app/a", ""));
    desk.next().reply(&bed, Reply::text("reply"));
    client.send(&bed, &send("/app/a", "").with("reply-to", "/temp-queue/t"));
    desk.next().reply(&bed, Reply::text("by queue"));
    client.send(&bed, &send("/topic/t", "").with("reply-to", "/temp-queue/t"));
    assert_eq!(bodies(&client.frames(&bed)), ["seen", "seen", "seen"]);
}

#[test]
fn a_message_is_encoded_once_unless_it_is_changed() {
    let count = |looks: Vec<Looks>| {
        let ((), meters) = record(|| {
            let (bed, _) = wired(|_| {}, looks, []);
            let mut clients: Vec<_> = ["a", "b", "c", "bob"].iter().map(|name| login(&bed, name)).collect();
            for client in &clients {
                client.subscribe(&bed, "s", "/topic/t");
            }
            publish(&bed, "/topic/t", "x");
            clients.iter_mut().for_each(|client| assert_eq!(client.frames(&bed).len(), 1));
        });
        meters.count("towpath_encodings_total", None)
    };
    assert_eq!(count(vec![]), 1);
    assert_eq!(count(vec![Looks::inbound(|_| Ok(()))]), 1, "nobody looks at what goes out");
    assert_eq!(count(vec![Looks::outbound(|_, _| Pass::Through)]), 1, "nobody changes it");
    let change = only_for("bob", |message| {
        message.set_body("y");
        Pass::Through
    });
    assert_eq!(count(vec![change]), 2, "one is another message");
}

#[test]
fn whoever_is_called_learns_who_receives() {
    let heard = Arc::new(Mutex::new(vec![]));
    let note = Arc::clone(&heard);
    let look = Looks::outbound(move |message, recipient| {
        note.lock().unwrap().push(format!("{} {}", recipient.user(), message.destination()));
        Pass::Through
    });
    let (bed, _): (Bed, Arc<Desk>) = wired(|_| {}, [look], []);
    let mut ann = login(&bed, "ann");
    ann.subscribe(&bed, "s", "/user/queue/x");
    publish(&bed, "/user/ann/queue/x", "x");
    assert_eq!(ann.frames(&bed).len(), 1);
    assert_eq!(*heard.lock().unwrap(), ["ann /user/queue/x"]);
}
