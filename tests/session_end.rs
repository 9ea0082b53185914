//! What is left of a session that ended: nothing but its tombstone. Overflow, tombstones, and that every way to the end
//! gives the memory back, whoever still held a piece of it.

mod bed;

use std::sync::{Arc, Weak};

use bed::stomp::{Client, bodies, send, subscribe, unsubscribe};
use bed::{Bed, Seen, TICK, config, millis, say, seconds};
use proptest::prelude::*;
use towpath::config::{Config, Endpoint, Service};
use towpath::gateway::Receiving;
use towpath::session::{Carrier, CloseReason, Departure, Flow, Opened, Queued, Session};
use towpath::stomp::{Command, Frame, Version};

const CARRIERS: [Carrier; 4] = [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp];

// ---- tombstones ----

const INTERRUPTED: &str = "c[1002,\"Connection interrupted\"]";

#[test]
fn a_session_that_carried_a_message_leaves_a_tombstone_and_another_does_not() {
    let mut bed = Bed::of(Service::Echo);
    bed.poll("silent");
    bed.poll("sent");
    bed.send("sent", &["x"]);
    bed.idle(seconds(5) + TICK);
    assert_eq!(bed.population(), (0, 1));
    assert_eq!(bed.poll("sent").as_deref(), Some(INTERRUPTED));
    assert_eq!(bed.send("sent", &["x"]), None);
    assert_eq!(bed.poll("silent").as_deref(), Some("o"));
}

#[test]
fn a_message_to_the_client_counts_as_well() {
    let mut bed = Bed::of(Service::Ticker);
    let mut stream = bed.stream("a");
    bed.pass(seconds(1) + TICK, &mut [&mut stream]);
    assert_eq!(stream.frames(), ["o", "a[\"tick!\"]"]);
    bed.depart(&stream, Departure::Interrupted);
    assert_eq!(bed.poll("a").as_deref(), Some(INTERRUPTED));
}

#[test]
fn beats_and_the_close_do_not_count_as_messages() {
    let mut bed = Bed::of(Service::Echo);
    let mut stream = bed.stream("a");
    bed.pass(seconds(30), &mut [&mut stream]);
    assert_eq!(stream.frames(), ["o", "h"]);
    stream.session.close(CloseReason::Shutdown, bed.now);
    stream.read(&bed);
    bed.depart(&stream, Departure::Done);
    bed.idle(seconds(5) + TICK);
    assert_eq!(bed.population(), (0, 0));
}

#[test]
fn a_tombstone_stands_for_its_time_and_asking_does_not_prolong_it() {
    let mut bed = Bed::with(Service::Echo, |endpoint| endpoint.tombstone_ttl = seconds(60));
    let stream = bed.stream("a");
    bed.send("a", &["x"]);
    bed.depart(&stream, Departure::Interrupted);
    for _ in 0..59 {
        bed.idle(seconds(1));
        assert_eq!(bed.poll("a").as_deref(), Some(INTERRUPTED));
    }
    bed.idle(seconds(1));
    assert_eq!(bed.poll("a").as_deref(), Some("o"));
    assert_eq!(bed.population(), (1, 0));
}

#[test]
fn when_there_are_too_many_tombstones_the_oldest_goes() {
    let bed = Bed::with(Service::Echo, |endpoint| endpoint.tombstones = 3);
    for id in ["1", "2", "3", "4", "5"] {
        let stream = bed.stream(id);
        bed.send(id, &["x"]);
        bed.depart(&stream, Departure::Interrupted);
        assert!(bed.population().1 <= 3);
    }
    let answers = ["1", "2", "3", "4", "5"].map(|id| bed.poll(id).unwrap());
    assert_eq!(answers, ["o", "o", INTERRUPTED, INTERRUPTED, INTERRUPTED]);
}

#[test]
fn an_id_that_died_twice_is_remembered_for_its_second_death() {
    let mut bed = Bed::with(Service::Echo, |endpoint| endpoint.tombstone_ttl = seconds(10));
    for _ in 0..2 {
        let stream = bed.stream("a");
        bed.send("a", &["x"]);
        bed.depart(&stream, Departure::Interrupted);
        bed.idle(seconds(9));
        assert_eq!(bed.poll("a").as_deref(), Some(INTERRUPTED));
        bed.idle(seconds(1));
    }
}

#[test]
fn websockets_leave_no_tombstone() {
    let bed = Bed::of(Service::Echo);
    let mut socket = bed.socket();
    bed.receive(&socket.session, &["x"]);
    socket.read(&bed);
    bed.hang_up(&socket, CloseReason::Peer);
    assert_eq!(bed.population(), (0, 0));
}

// ---- overflow ----

#[test]
fn too_many_messages_close_the_session_and_those_queued_before_are_still_sent() {
    let mut bed = Bed::with(Service::Echo, |endpoint| endpoint.outbox_messages = 3);
    bed.poll("a");
    assert_eq!(bed.send("a", &["1", "2", "3", "4", "5"]), Some(Flow::Continue));
    bed.idle(TICK);
    assert_eq!(bed.poll("a").as_deref(), Some("a[\"1\",\"2\",\"3\"]"));
    assert_eq!(bed.poll("a").as_deref(), Some("c[4500,\"Messages are not read fast enough\"]"));
}

#[test]
fn too_many_bytes_close_the_session_and_those_queued_before_are_still_sent() {
    let bed = Bed::with(Service::Echo, |endpoint| endpoint.outbox_bytes = 10);
    let mut stream = bed.stream("a");
    stream.read(&bed);
    stream.take();
    bed.send("a", &["12345", "67890"]);
    assert!(stream.session.is_open(), "exactly full is not too full");
    bed.send("a", &["x"]);
    let close = "c[4500,\"Messages are not read fast enough\"]";
    assert_eq!(stream.now(&bed), ["a[\"12345\",\"67890\"]", close]);
}

#[test]
fn a_message_of_any_size_fits_into_an_empty_outbox() {
    let bed = Bed::with(Service::Echo, |endpoint| endpoint.outbox_bytes = 10);
    let mut stream = bed.stream("a");
    let large = "x".repeat(1000);
    assert_eq!(say(&stream.session, &large), Queued::Pressed);
    assert_eq!(stream.now(&bed), ["o".to_owned(), format!("a[\"{large}\"]")]);
}

#[test]
fn a_session_that_reads_never_overflows_however_much_it_is_sent() {
    let bed = Bed::with(Service::Echo, |endpoint| {
        endpoint.outbox_bytes = 100;
        endpoint.outbox_messages = 2;
    });
    let mut stream = bed.stream("a");
    for _ in 0..1000 {
        bed.send("a", &["0123456789", "0123456789"]);
        stream.read(&bed);
    }
    assert!(stream.session.is_open());
    assert_eq!(stream.session.backlog(), (0, 0));
}

#[test]
fn one_slow_subscriber_does_not_disturb_the_others_or_the_publisher() {
    let bed = Bed::with(Service::Stomp, |endpoint| endpoint.outbox_messages = 10);
    let [mut publisher, mut slow, mut quick, mut others @ ..] =
        [Carrier::RawWebsocket; 7].map(|carrier| Client::connected(&bed, carrier, Version::V1_2));
    for client in [&slow, &quick].into_iter().chain(&others) {
        client.subscribe(&bed, "1", "/topic/a");
    }
    let mut received = vec![];
    for number in 0..50 {
        assert_eq!(publisher.send(&bed, &send("/topic/a", &number.to_string())), Flow::Continue);
        received.extend(bodies(&quick.frames(&bed)));
        others.iter_mut().for_each(|other| assert_eq!(other.frames(&bed).len(), 1));
    }
    assert_eq!(received, (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(publisher.frames(&bed).is_empty() && publisher.reader.session.is_open());
    assert_eq!(bodies(&slow.frames(&bed)), (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(!slow.reader.session.is_open());
}

/// Whoever ends the session, and however long the end has been known when the client reads: what was queued before is
/// sent, and after it the last word and the close.
#[test]
fn messages_of_topics_that_were_queued_before_the_end_are_still_sent() {
    type End = fn(&Bed, &Client);
    let ends: [(End, &[Command]); 4] = [
        (
            |bed, client| _ = client.send(bed, &Frame::new(Command::Disconnect).with("receipt", "r")),
            &[Command::Receipt],
        ),
        (|bed, client| _ = client.send_bytes(bed, b"NONSENSE\n\n\0"), &[Command::Error]),
        (|bed, _| bed.gateway.close_all(&CloseReason::Shutdown, bed.now), &[Command::Error]),
        (
            // More than one can receive; what it is held up with comes when the time has passed.
            |bed, client| (0..20).for_each(|_| _ = client.send(bed, &send("/topic/b", "more"))),
            &[],
        ),
    ];
    for carrier in CARRIERS {
        for (number, (end, last_words)) in ends.iter().enumerate() {
            let mut bed = Bed::with(Service::Stomp, |endpoint| endpoint.outbox_messages = 8);
            let mut client = Client::connected(&bed, carrier, Version::V1_2);
            client.subscribe(&bed, "1", "/topic/a");
            client.subscribe(&bed, "2", "/topic/#");
            client.send(&bed, &send("/topic/a", "x"));
            end(&bed, &client);
            bed.idle(seconds(1));
            let frames = client.frames_to_the_end(&bed);
            let commands: Vec<_> = frames.iter().map(|frame| frame.command).collect();
            let (first, rest) = commands.split_at(2);
            assert_eq!(first, [Command::Message; 2], "{carrier:?}, end {number}");
            let rest: Vec<_> = rest.iter().copied().filter(|command| *command != Command::Message).collect();
            assert_eq!(rest, *last_words, "{carrier:?}, end {number}");
        }
    }
}

// ---- nothing is left ----

/// Nothing of the endpoint, the clockwork or the broker holds anything any more.
fn assert_clean(bed: &mut Bed, sessions: &[Weak<Session>]) {
    assert_eq!(bed.population().0, 0, "sessions in the registry");
    assert_eq!(bed.gateway.broker().len(), (0, 0), "topics and patterns in the broker");
    for (number, session) in sessions.iter().enumerate() {
        assert!(session.upgrade().is_none(), "session {number} is still held by somebody");
    }
    assert!(bed.gateway.deadlines().is_empty(), "the clockwork holds entries");
}

/// A subscriber of a topic and of a pattern, with deliveries of both in its outbox.
fn loaded(bed: &Bed, carrier: Carrier) -> Client {
    let client = Client::connected(bed, carrier, Version::V1_2);
    client.subscribe(bed, "exact", "/topic/a");
    client.subscribe(bed, "pattern", "/topic/#");
    client.send(bed, &send("/topic/a", "waits in its own outbox"));
    assert_eq!(client.reader.session.backlog().1, 2);
    client
}

/// Ends the carrier under the session, however the session itself is.
fn hang_up(bed: &Bed, client: Client) -> Weak<Session> {
    let weak = Arc::downgrade(&client.reader.session);
    if client.reader.session.carrier() == Carrier::Http {
        bed.depart(&client.reader, Departure::Interrupted);
    } else {
        bed.hang_up(&client.reader, CloseReason::Interrupted);
    }
    weak
}

#[test]
fn a_broken_connection_frees_the_session() {
    for carrier in CARRIERS {
        let mut bed = Bed::of(Service::Stomp);
        let client = loaded(&bed, carrier);
        let session = hang_up(&bed, client);
        assert_clean(&mut bed, &[session]);
    }
}

#[test]
fn a_goodbye_of_the_peer_frees_the_session() {
    for carrier in [Carrier::Websocket, Carrier::RawWebsocket] {
        let mut bed = Bed::of(Service::Stomp);
        let client = loaded(&bed, carrier);
        let session = Arc::downgrade(&client.reader.session);
        bed.hang_up(&client.reader, CloseReason::Peer);
        drop(client);
        assert_clean(&mut bed, &[session]);
    }
}

#[test]
fn expiry_frees_the_session() {
    let mut bed = Bed::of(Service::Stomp);
    let client = loaded(&bed, Carrier::Http);
    let session = Arc::downgrade(&client.reader.session);
    bed.depart(&client.reader, Departure::Done);
    drop(client);
    bed.idle(seconds(5) + TICK);
    assert_clean(&mut bed, &[session]);
}

/// A TCP connection never departs without its session's end; but if one did, its session would be found where it is listed.
#[test]
fn expiry_frees_a_session_over_tcp() {
    let mut bed = Bed::of(Service::Stomp);
    let client = loaded(&bed, Carrier::Tcp);
    let session = Arc::downgrade(&client.reader.session);
    client.reader.session.depart(client.reader.id, Departure::Done, bed.now);
    drop(client);
    bed.idle(seconds(5) + TICK);
    assert_clean(&mut bed, &[session]);
}

#[test]
fn disconnect_frees_the_session() {
    for carrier in CARRIERS {
        let mut bed = Bed::of(Service::Stomp);
        let mut client = loaded(&bed, carrier);
        client.send(&bed, &Frame::new(Command::Disconnect));
        client.frames_to_the_end(&bed);
        let session = leave(&mut bed, client);
        assert_clean(&mut bed, &[session]);
    }
}

#[test]
fn a_protocol_error_frees_the_session() {
    for carrier in CARRIERS {
        let mut bed = Bed::of(Service::Stomp);
        let mut client = loaded(&bed, carrier);
        assert_eq!(client.send_bytes(&bed, b"NONSENSE\n\n\0"), Flow::Closed);
        let frames = client.frames_to_the_end(&bed);
        assert_eq!(frames.last().map(|frame| frame.command), Some(Command::Error));
        let session = leave(&mut bed, client);
        assert_clean(&mut bed, &[session]);
    }
}

/// The client has read the close and goes.
fn leave(bed: &mut Bed, client: Client) -> Weak<Session> {
    let session = Arc::downgrade(&client.reader.session);
    if client.reader.session.carrier() == Carrier::Http {
        bed.depart(&client.reader, Departure::Done);
    } else {
        bed.hang_up(&client.reader, CloseReason::Peer);
    }
    drop(client);
    bed.idle(seconds(5) + TICK);
    session
}

/// A session whose outbox holds deliveries of its own subscriptions holds itself. Whoever ends it must cut that knot, also
/// when the client never reads what waits.
#[test]
fn a_closing_session_whose_connection_breaks_before_it_was_read_is_freed() {
    for carrier in CARRIERS {
        let mut bed = Bed::of(Service::Stomp);
        let client = loaded(&bed, carrier);
        client.send_bytes(&bed, b"NONSENSE\n\n\0");
        assert!(client.reader.session.backlog().1 > 0);
        let session = hang_up(&bed, client);
        bed.idle(seconds(5) + TICK);
        assert_clean(&mut bed, &[session]);
    }
}

#[test]
fn an_overflow_frees_the_session() {
    for carrier in CARRIERS {
        let mut bed = Bed::with(Service::Stomp, |endpoint| endpoint.outbox_messages = 5);
        let client = loaded(&bed, carrier);
        let publisher = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
        for _ in 0..10 {
            publisher.send(&bed, &send("/topic/a", "too much"));
        }
        // The only reader is slow, so the publisher is held up now and then.
        bed.idle(millis(500));
        assert!(!client.reader.session.is_open());
        assert!(bed.gateway.broker().is_empty(), "a session that is closing subscribes to nothing");
        let sessions = [hang_up(&bed, client), hang_up(&bed, publisher)];
        bed.idle(seconds(5) + TICK);
        assert_clean(&mut bed, &sessions);
    }
}

/// An HTTP response that the client does not read holds its receiver for as long as the connection stands; the messages
/// in the outbox must not wait for that.
#[test]
fn an_overflow_frees_what_waits_even_if_the_stuck_response_is_never_dropped() {
    let mut bed = Bed::with(Service::Stomp, |endpoint| endpoint.outbox_messages = 5);
    let client = loaded(&bed, Carrier::Http);
    for _ in 0..10 {
        client.send(&bed, &send("/topic/a", "too much"));
    }
    bed.idle(seconds(60));
    assert_eq!(client.reader.session.backlog(), (0, 0));
    assert_eq!(bed.population().0, 0);
    let session = Arc::downgrade(&client.reader.session);
    drop(client);
    assert_clean(&mut bed, &[session]);
}

#[test]
fn a_slow_reader_of_what_is_left_is_not_cut_while_it_reads() {
    let mut bed = Bed::with(Service::Farewell, |endpoint| endpoint.outbox_messages = 5);
    let mut stream = bed.stream("a");
    stream.read(&bed);
    stream.take();
    stream.budget = 1;
    bed.send("a", &["1", "2", "3", "4", "bye"]);
    for expected in ["a[\"1\"]", "a[\"2\"]", "a[\"3\"]", "a[\"4\"]", "a[\"bye\"]", "c[3000,\"Go away!\"]"] {
        bed.idle(seconds(24));
        assert_eq!(stream.one(&bed).as_deref(), Some(expected));
    }
}

#[test]
fn no_pong_frees_the_session() {
    let mut bed = Bed::of(Service::Stomp);
    let mut client = loaded(&bed, Carrier::Websocket);
    bed.pass(seconds(36), &mut [&mut client.reader]);
    assert_eq!(client.reader.seen.last().map(|(_, seen)| seen), Some(&Seen::Closed(CloseReason::NoPong)));
    let session = leave(&mut bed, client);
    assert_clean(&mut bed, &[session]);
}

#[test]
fn a_shutdown_frees_every_session() {
    let mut bed = Bed::of(Service::Stomp);
    let mut clients = CARRIERS.map(|carrier| loaded(&bed, carrier));
    bed.gateway.close_all(&CloseReason::Shutdown, bed.now);
    for client in &mut clients {
        let frames = client.frames_to_the_end(&bed);
        let last = frames.last().expect("a last word");
        assert_eq!((last.command, last.headers.get("message")), (Command::Error, Some("session closed")));
    }
    let sessions = clients.map(|client| leave(&mut bed, client));
    assert_clean(&mut bed, &sessions);
}

#[test]
fn the_other_services_free_their_sessions() {
    for service in Service::ALL {
        for carrier in CARRIERS {
            let mut bed = Bed::of(service);
            let client = Client::fresh(&bed, carrier);
            bed.receive(&client.reader.session, &["1", "bye"]);
            let session = leave(&mut bed, client);
            assert_clean(&mut bed, &[session]);
        }
    }
}

#[test]
fn unsubscribing_frees_the_topic_and_the_pattern() {
    let bed = Bed::of(Service::Stomp);
    let client = loaded(&bed, Carrier::Http);
    assert_eq!(bed.gateway.broker().len(), (1, 1));
    client.send(&bed, &unsubscribe("exact"));
    assert_eq!(bed.gateway.broker().len(), (0, 1));
    client.send(&bed, &unsubscribe("pattern"));
    assert_eq!(bed.gateway.broker().len(), (0, 0));
}

#[test]
fn no_end_of_a_session_takes_the_subscriptions_of_others_with_it() {
    let mut bed = Bed::of(Service::Stomp);
    let mut stays = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    stays.subscribe(&bed, "1", "/topic/a");
    stays.subscribe(&bed, "2", "/topic/#");
    for carrier in CARRIERS {
        let (broken, wrong) = (loaded(&bed, carrier), loaded(&bed, carrier));
        hang_up(&bed, broken);
        wrong.send_bytes(&bed, b"NONSENSE\n\n\0");
        hang_up(&bed, wrong);
    }
    stays.frames(&bed);
    stays.send(&bed, &send("/topic/a", "x"));
    assert_eq!(bodies(&stays.frames(&bed)), ["x", "x"]);
    bed.idle(seconds(5) + TICK);
    assert_eq!(bed.population().0, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever a few clients do, in whatever order: once all are gone, everything is.
    #[test]
    fn nothing_is_left_after_any_history(steps in proptest::collection::vec((0usize..4, 0usize..9), 1..60)) {
        let mut config: Config = config(Service::Stomp, |endpoint: &mut Endpoint| endpoint.outbox_messages = 6);
        config.broker.max_destinations = 3;
        let mut bed = Bed::new(&config);
        let mut clients: Vec<Option<Client>> = vec![None, None, None, None];
        let mut sessions = vec![];
        for (who, what) in steps {
            let carrier = CARRIERS[(who + what) % 4];
            let Some(client) = &mut clients[who] else {
                let client = Client::connected(&bed, carrier, Version::V1_2);
                sessions.push(Arc::downgrade(&client.reader.session));
                clients[who] = Some(client);
                continue;
            };
            match what {
                0 => { client.send(&bed, &subscribe("a", "/topic/a")); }
                1 => { client.send(&bed, &subscribe("b", "/topic/b.#")); }
                2 => { client.send(&bed, &unsubscribe("a")); }
                3 => { client.send(&bed, &send("/topic/a", "x")); }
                4 => { client.send(&bed, &send("/topic/b.c", "x")); }
                5 => { client.frames(&bed); }
                6 => { client.send_bytes(&bed, b"NONSENSE\n\n\0"); }
                7 => bed.idle(millis(700)),
                _ => {
                    let client = clients[who].take().expect("it was there");
                    hang_up(&bed, client);
                }
            }
        }
        for client in clients.into_iter().flatten() {
            hang_up(&bed, client);
        }
        bed.idle(seconds(6));
        prop_assert_eq!(bed.population().0, 0);
        for session in sessions {
            prop_assert!(session.upgrade().is_none());
        }
        prop_assert!(bed.gateway.deadlines().is_empty());
        prop_assert_eq!(bed.gateway.broker().len().1, 0);
    }
}

#[test]
fn an_id_is_free_again_while_its_old_session_is_still_held_by_somebody() {
    let bed = Bed::of(Service::Echo);
    let old = bed.stream("a");
    bed.depart(&old, Departure::Interrupted);
    let Receiving::Attached(new, _) = bed.attach("a") else { panic!("not attached") };
    assert_ne!(new.serial(), old.session.serial());
    // A second word about the old one does not touch the new one.
    bed.endpoint().registry().remove(&old.session, bed.now);
    assert!(matches!(
        bed.endpoint().registry().open("a", bed.now, || unreachable!("it is there")),
        Ok(Opened::Existing(_))
    ));
}
