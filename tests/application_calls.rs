//! What happens to a session whose message somebody else handles: its frames keep their order, silence is not held against it,
//! its end takes nothing back, and however a call ends the client learns of it.

mod bed;
#[path = "bed/application.rs"]
mod desk;

use std::sync::Arc;
use std::task::{Context, Waker};

use bed::meters::record;
use bed::stomp::{Client, bodies, send, subscribe};
use bed::{Bed, Seen, TICK, Wakes, seconds};
use desk::Desk;
use towpath::gateway::{Answer, Failure, Outgoing, Reply};
use towpath::session::{Carrier, CloseReason, Departure, Flow};
use towpath::stomp::{Command, Frame, Version};

const CARRIERS: [Carrier; 4] = [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp];

fn connected(bed: &Bed, carrier: Carrier) -> Client {
    Client::connected(bed, carrier, Version::V1_2)
}

/// Frames as one reads them aloud: a MESSAGE by its body, a RECEIPT by its id, an ERROR by its message.
fn said(frames: &[Frame]) -> Vec<String> {
    let word = |frame: &Frame| match frame.command {
        Command::Message => String::from_utf8_lossy(&frame.body).into_owned(),
        Command::Receipt => format!("receipt {}", frame.headers.get("receipt-id").unwrap()),
        Command::Error => format!("error {}", frame.headers.get("message").unwrap()),
        other => panic!("{other:?}"),
    };
    frames.iter().map(word).collect()
}

fn confirmed(frame: Frame, receipt: &str) -> Frame {
    frame.with("receipt", receipt)
}

fn in_transaction(frame: Frame) -> Frame {
    frame.with("transaction", "t")
}

fn control(command: Command) -> Frame {
    in_transaction(Frame::new(command))
}

/// The connection of a client is gone.
fn cut(bed: &Bed, client: &Client) {
    match client.reader.session.carrier() {
        Carrier::Http => bed.depart(&client.reader, Departure::Interrupted),
        _ => bed.hang_up(&client.reader, CloseReason::Interrupted),
    }
}

/// Why a session ended, for its client.
fn end(client: &Client) -> CloseReason {
    match client.reader.seen.last() {
        Some((_, Seen::Closed(reason))) => reason.clone(),
        other => panic!("not closed: {other:?}"),
    }
}

// ---- order ----

#[test]
fn frames_behind_a_waiting_one_wait_and_keep_their_order() {
    for carrier in CARRIERS {
        for at_once in [false, true] {
            let (bed, desk) = Desk::bed();
            let mut client = connected(&bed, carrier);
            client.subscribe(&bed, "s", "/topic/t");
            let frames = [
                confirmed(send("/app/a", "1"), "r1"),
                confirmed(send("/topic/t", "2"), "r2"),
                confirmed(send("/app/a", "3"), "r3"),
                confirmed(send("/app/b", "4"), "r4"),
                confirmed(send("/topic/t", "5"), "r5"),
            ];
            if at_once {
                let all = frames.iter().flat_map(|frame| frame.encode(Version::V1_2).to_vec()).collect::<Vec<_>>();
                assert_eq!(client.send_bytes(&bed, &all), Flow::Wait, "{carrier:?}");
            } else {
                frames.iter().for_each(|frame| assert_eq!(client.send(&bed, frame), Flow::Wait, "{carrier:?}"));
            }
            assert_eq!((said(&client.frames(&bed)), desk.len()), (vec![], 1), "{carrier:?}");

            let first = desk.next();
            assert_eq!((first.body().as_str(), first.incoming().destination.as_str()), ("1", "/app/a"));
            first.publish(&bed, "/topic/t", "one");
            assert_eq!(said(&client.frames(&bed)), ["one", "receipt r1", "2", "receipt r2"], "{carrier:?}");

            assert_eq!(desk.len(), 1, "one at a time");
            let third = desk.next();
            assert_eq!(third.body(), "3");
            third.done(&bed);
            assert_eq!(said(&client.frames(&bed)), ["receipt r3"]);
            let fourth = desk.next();
            assert_eq!(fourth.incoming().destination, "/app/b");
            fourth.done(&bed);
            assert_eq!(said(&client.frames(&bed)), ["receipt r4", "5", "receipt r5"]);
            assert_eq!(client.send(&bed, &send("/topic/t", "6")), Flow::Continue, "{carrier:?}");
        }
    }
}

#[test]
fn sessions_do_not_wait_for_each_other_and_ids_are_their_own() {
    let (bed, desk) = Desk::bed();
    let [slow, mut quick] = [Carrier::Http, Carrier::Tcp].map(|carrier| connected(&bed, carrier));
    slow.send(&bed, &send("/app/a", "slow"));
    quick.send(&bed, &confirmed(send("/app/a", "quick"), "r"));
    let (first, second) = (desk.next(), desk.next());
    assert_ne!(first.incoming().id, second.incoming().id);
    second.done(&bed);
    assert_eq!(said(&quick.frames(&bed)), ["receipt r"]);
    first.done(&bed);
}

#[test]
fn whoever_reads_for_the_client_is_woken_by_the_answer() {
    for carrier in CARRIERS {
        let (bed, desk) = Desk::bed();
        let client = connected(&bed, carrier);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let session = Arc::clone(&client.reader.session);
        let waits = || session.poll_answered(&mut Context::from_waker(&waker)).is_pending();
        assert!(!waits(), "there is nothing to wait for");
        client.send(&bed, &send("/app/a", "1"));
        client.send(&bed, &send("/app/a", "2"));
        assert!(waits() && waits());
        desk.next().done(&bed);
        assert_eq!(wakes.take(), 0, "the next frame waits already");
        assert!(waits());
        desk.next().done(&bed);
        assert_eq!(wakes.take(), 1, "{carrier:?}");
        assert!(!waits());
    }
}

#[test]
fn a_disconnect_waits_its_turn() {
    for carrier in CARRIERS {
        let (bed, desk) = Desk::bed();
        let mut client = connected(&bed, carrier);
        client.send(&bed, &confirmed(send("/app/a", "1"), "r1"));
        let bye = confirmed(Frame::new(Command::Disconnect), "bye");
        assert_eq!(client.send(&bed, &bye), Flow::Wait);
        assert!(client.reader.session.is_open());
        desk.next().done(&bed);
        assert_eq!(said(&client.frames_to_the_end(&bed)), ["receipt r1", "receipt bye"], "{carrier:?}");
    }
}

#[test]
fn max_backlog_bounds_what_comes_meanwhile() {
    let ((), meters) = record(|| {
        for carrier in CARRIERS {
            let (bed, desk) = Desk::bed_with(|config| config.stomp.max_backlog = 1000);
            let mut client = connected(&bed, carrier);
            client.send(&bed, &send("/app/a", "1"));
            assert_eq!(client.send(&bed, &send("/topic/t", &"x".repeat(700))), Flow::Wait);
            assert_eq!(client.send(&bed, &send("/topic/t", &"x".repeat(700))), Flow::Closed);
            assert_eq!(said(&client.frames_to_the_end(&bed)), ["error too fast"], "{carrier:?}");
            desk.next().done(&bed);
        }
    });
    assert_eq!(meters.limit("max_backlog"), 4);
}

/// A COMMIT whose RECEIPT fills the outbox holds its client up; the frame behind it waits for that, or a deadline in the past
/// would come again and again while it is being handled.
#[test]
fn a_call_begins_only_when_the_client_is_not_held_up() {
    let (mut bed, desk) = Desk::bed_with(|config| config.tcp.outbox_messages = 6);
    let mut client = connected(&bed, Carrier::Tcp);
    client.subscribe(&bed, "s", "/topic/t");
    client.send(&bed, &control(Command::Begin));
    client.send(&bed, &in_transaction(send("/app/a", "1")));
    client.send(&bed, &confirmed(control(Command::Commit), "r"));
    client.send(&bed, &send("/app/a", "2"));
    let messages = vec![Outgoing::text("/topic/t", "x"); 4];
    bed.gateway.publish_all(messages, bed.now).expect("there is room");
    desk.next().done(&bed);
    assert_eq!(desk.len(), 0);
    bed.pass(TICK, &mut [&mut client.reader]);
    assert_eq!(desk.next().body(), "2");
}

// ---- the session's end ----

#[test]
fn an_answer_for_a_session_that_has_gone_is_still_published() {
    for carrier in CARRIERS {
        for polite in [false, true] {
            let (mut bed, desk) = Desk::bed();
            let mut other = connected(&bed, Carrier::Tcp);
            other.subscribe(&bed, "s", "/topic/t");
            let client = connected(&bed, carrier);
            client.subscribe(&bed, "r", "/user/queue/replies");
            client.send(&bed, &send("/app/a", "1"));
            client.send(&bed, &send("/topic/t", "never"));
            let session = Arc::downgrade(&client.reader.session);
            let (wakes, call) = (Arc::new(Wakes::default()), desk.next());
            let waker = Waker::from(Arc::clone(&wakes));
            assert!(client.reader.session.poll_answered(&mut Context::from_waker(&waker)).is_pending());
            if polite {
                client.reader.session.close_politely(CloseReason::Shutdown, bed.now);
            }
            cut(&bed, &client);
            assert_eq!(wakes.take(), 1, "whoever reads for it stops");
            let answer = Answer::nothing().and_publish(Outgoing::text("/topic/t", "after all"));
            call.answer(&bed, answer.and_reply(Reply::text("nobody hears it")));
            assert_eq!(bodies(&other.frames(&bed)), ["after all"], "{carrier:?}");
            drop(client);
            bed.idle(seconds(60));
            assert!(session.upgrade().is_none(), "nothing holds it any more, {carrier:?}");
            assert_eq!(desk.len(), 0);
        }
    }
}

#[test]
fn a_session_that_waits_expires_like_any_other() {
    let (mut bed, desk) = Desk::bed();
    let client = connected(&bed, Carrier::Http);
    client.send(&bed, &send("/app/a", "1"));
    bed.depart(&client.reader, Departure::Done);
    bed.idle(seconds(6));
    assert!(!client.reader.session.is_open());
    assert_eq!((bed.population().0, bed.gateway.clients().len()), (0, 0));
    desk.next().done(&bed);
}

#[test]
fn a_client_that_promised_heart_beats_is_not_blamed_for_silence_while_it_waits() {
    for carrier in CARRIERS {
        let (mut bed, desk) = Desk::bed();
        let (mut client, connected) = Client::beating(&bed, carrier, Version::V1_2, "10000,0");
        assert!(connected.headers.get("heart-beat").is_some_and(|beats| beats.ends_with(",10000")), "{connected:?}");
        client.send(&bed, &send("/app/a", "1"));
        // The next frame has begun, too, and cannot be finished.
        client.send_bytes(&bed, b"SEND\ndesti");
        // So long that a deadline that stays in the past would show.
        bed.pass(seconds(3600), &mut [&mut client.reader]);
        assert!(client.reader.session.is_open(), "{carrier:?}");
        desk.next().done(&bed);
        bed.pass(seconds(5), &mut [&mut client.reader]);
        assert!(client.reader.session.is_open(), "its time begins anew, {carrier:?}");
        bed.pass(seconds(60), &mut [&mut client.reader]);
        assert!(!client.reader.session.is_open(), "it has had its time, {carrier:?}");
    }
}

#[test]
fn a_websocket_need_not_pong_while_it_waits() {
    for carrier in [Carrier::Websocket, Carrier::RawWebsocket] {
        let (mut bed, desk) = Desk::bed();
        let mut client = connected(&bed, carrier);
        // The ping is on its way already.
        bed.pass(seconds(26), &mut [&mut client.reader]);
        client.send(&bed, &send("/app/a", "1"));
        bed.pass(seconds(600), &mut [&mut client.reader]);
        assert!(client.reader.session.is_open(), "{carrier:?}");
        desk.next().done(&bed);
        bed.pass(seconds(600), &mut [&mut client.reader]);
        assert_eq!(end(&client), CloseReason::NoPong, "{carrier:?}");
    }
}

// ---- calls that are lost ----

#[test]
fn a_call_that_is_dropped_ends_its_session_and_no_other() {
    for carrier in CARRIERS {
        for at_once in [false, true] {
            let (mut bed, desk) = Desk::bed();
            let (mut client, neighbour) = (connected(&bed, carrier), connected(&bed, carrier));
            if at_once {
                desk.drop_all();
            }
            client.send(&bed, &confirmed(send("/app/a", "1"), "r1"));
            client.send(&bed, &send("/topic/t", "void"));
            if !at_once {
                drop(desk.next());
            }
            bed.idle(TICK);
            let frames = client.frames_to_the_end(&bed);
            assert_eq!(said(&frames), ["error internal error"], "{carrier:?}");
            assert_eq!(frames[0].headers.get("receipt-id"), Some("r1"));
            assert!(!client.reader.session.is_open() && neighbour.reader.session.is_open());
        }
    }
}

#[test]
fn without_an_application_the_sender_is_told() {
    let bed = Bed::of(towpath::config::Service::Stomp);
    let mut client = connected(&bed, Carrier::Tcp);
    assert_eq!(client.send(&bed, &send("/app/a", "1")), Flow::Closed);
    assert_eq!(said(&client.frames_to_the_end(&bed)), ["error not handled"]);
}

// ---- transactions ----

#[test]
fn a_commit_goes_on_when_the_application_has_answered() {
    for carrier in CARRIERS {
        let (bed, desk) = Desk::bed();
        let mut client = connected(&bed, carrier);
        client.subscribe(&bed, "s", "/topic/t");
        client.send(&bed, &control(Command::Begin));
        for (destination, body) in [("/topic/t", "1"), ("/app/a", "2"), ("/topic/t", "3"), ("/app/a", "4")] {
            assert_eq!(client.send(&bed, &in_transaction(send(destination, body))), Flow::Continue);
        }
        assert_eq!(desk.len(), 0, "nothing is done before the end");
        assert_eq!(client.send(&bed, &confirmed(control(Command::Commit), "c")), Flow::Wait);
        client.send(&bed, &send("/topic/t", "5"));
        assert_eq!(said(&client.frames(&bed)), ["1"]);
        let second = desk.next();
        assert_eq!((second.body().as_str(), desk.len()), ("2", 0));
        second.publish(&bed, "/topic/t", "two");
        assert_eq!(said(&client.frames(&bed)), ["two", "3"], "{carrier:?}");
        desk.next().done(&bed);
        assert_eq!(said(&client.frames(&bed)), ["receipt c", "5"], "{carrier:?}");
    }
}

#[test]
fn an_aborted_transaction_calls_nobody() {
    let (bed, desk) = Desk::bed();
    let mut client = connected(&bed, Carrier::Tcp);
    client.send(&bed, &control(Command::Begin));
    client.send(&bed, &in_transaction(send("/app/a", "1")));
    assert_eq!(client.send(&bed, &confirmed(control(Command::Abort), "a")), Flow::Continue);
    assert_eq!((said(&client.frames(&bed)), desk.len()), (vec!["receipt a".to_owned()], 0));
}

/// What is committed is done, whatever becomes of the session; its client may be gone, its messages not.
#[test]
fn a_commit_that_has_begun_is_finished_when_the_session_ends() {
    for carrier in CARRIERS {
        for fails in [false, true] {
            let (bed, desk) = Desk::bed();
            let mut other = connected(&bed, Carrier::Tcp);
            other.subscribe(&bed, "s", "/topic/t");
            let client = connected(&bed, carrier);
            client.send(&bed, &control(Command::Begin));
            for (destination, body) in [("/app/a", "1"), ("/topic/t", "2"), ("/app/a", "3"), ("/topic/t", "4")] {
                client.send(&bed, &in_transaction(send(destination, body)));
            }
            client.send(&bed, &control(Command::Commit));
            let first = desk.next();
            if fails {
                // Nobody listens for errors: it ends the session.
                first.fail(&bed, Failure::new("no"));
            } else {
                cut(&bed, &client);
                first.done(&bed);
            }
            assert!(!client.reader.session.is_open());
            assert_eq!(bodies(&other.frames(&bed)), ["2", "4"], "{carrier:?}");
            let third = desk.next();
            assert_eq!(third.body(), "3");
            third.publish(&bed, "/topic/t", "three");
            assert_eq!(bodies(&other.frames(&bed)), ["three"]);
            assert_eq!(desk.len(), 0);
        }
    }
}

// ---- several messages ----

#[test]
fn messages_of_an_answer_are_published_together_or_not_at_all() {
    for (room, published) in [(2, true), (1, false)] {
        let (bed, desk) = Desk::bed_with(|config| config.broker.queue.messages = room);
        let mut client = connected(&bed, Carrier::Tcp);
        client.send(&bed, &subscribe("s", "/topic/t"));
        client.send(&bed, &subscribe("e", "/user/queue/errors"));
        client.send(&bed, &confirmed(send("/app/a", "1"), "r"));
        let answer = Answer::nothing().and_publish(Outgoing::text("/topic/t", "a"));
        let answer = answer.and_publish(Outgoing::text("/queue/q", "b")).and_publish(Outgoing::text("/queue/q", "c"));
        desk.next().answer(&bed, answer.and_reply(Reply::text("reply")));
        let frames = client.frames(&bed);
        if published {
            assert_eq!(frames.iter().filter(|frame| frame.command == Command::Message).count(), 1, "{frames:?}");
            assert_eq!(frames.last().unwrap().command, Command::Receipt);
            continue;
        }
        let text = String::from_utf8_lossy(&frames[0].body);
        assert_eq!(frames.len(), 1, "{frames:?}");
        assert!(text.contains("/queue/q") && text.contains("queue_messages"), "{text}");
        assert_eq!(frames[0].headers.get("receipt-id"), Some("r"));
        assert_eq!(bed.gateway.broker().queue_len("/queue/q").map_or(0, |(messages, _)| messages), 0);
        assert!(client.reader.session.is_open());
    }
}

#[test]
fn calls_are_counted() {
    let ((), meters) = record(|| {
        let (bed, desk) = Desk::bed();
        let client = connected(&bed, Carrier::Tcp);
        client.send(&bed, &send("/app/a", "1"));
        desk.next().done(&bed);
        client.send(&bed, &send("/app/a", "2"));
        desk.next().fail(&bed, Failure::new("no"));
        let lost = connected(&bed, Carrier::Tcp);
        lost.send(&bed, &send("/app/a", "3"));
        drop(desk.next());
    });
    assert_eq!(meters.count("towpath_calls_total", Some(("outcome", "done"))), 1);
    assert_eq!(meters.count("towpath_calls_total", Some(("outcome", "failed"))), 2);
    assert_eq!(meters.gauge("towpath_calls"), 0.0);
}
