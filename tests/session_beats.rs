//! Signs of life: `h` frames, websocket pings, STOMP heart-beats, and what happens when the client's do not come. All on a
//! clock that only the tests move, so each beat is seen at its moment.

mod bed;

use std::time::Duration;

use bed::stomp::{Client, bodies, send};
use bed::{Bed, Reader, Seen, TICK, config, millis, say, seconds};
use towpath::config::Service;
use towpath::session::{Carrier, CloseReason, Departure, Flow};
use towpath::stomp::{Command, Version};

/// The moments at which a frame was seen.
fn moments(reader: &mut Reader, frame: &str) -> Vec<Duration> {
    let wanted = Seen::Frame(frame.to_owned());
    reader.take().into_iter().filter(|(_, seen)| *seen == wanted).map(|(at, _)| at).collect()
}

/// Asserts that things happened at these moments: never early, and late by at most the clockwork's resolution for each
/// that came before, from which the next one counts.
fn assert_at(seen: &[Duration], expected: &[Duration]) {
    assert_eq!(seen.len(), expected.len(), "{seen:?} instead of {expected:?}");
    for (number, (seen, expected)) in (1..).zip(seen.iter().zip(expected)) {
        let late = *expected + TICK * number;
        assert!((*expected..=late).contains(seen), "{seen:?} instead of {expected:?}");
    }
}

// ---- h frames ----

#[test]
fn h_comes_after_each_silent_interval() {
    let mut bed = Bed::of(Service::Echo);
    let mut stream = bed.stream("a");
    bed.pass(seconds(80), &mut [&mut stream]);
    assert_at(&moments(&mut stream, "h"), &[seconds(25), seconds(50), seconds(75)]);
}

#[test]
fn the_interval_is_a_setting() {
    let mut bed = Bed::with(Service::Echo, |endpoint| endpoint.heartbeat = millis(300));
    let mut stream = bed.stream("a");
    bed.pass(seconds(1), &mut [&mut stream]);
    assert_at(&moments(&mut stream, "h"), &[millis(300), millis(600), millis(900)]);
}

#[test]
fn a_message_to_the_client_is_a_sign_of_life_and_puts_h_off() {
    let mut bed = Bed::of(Service::Echo);
    let mut stream = bed.stream("a");
    bed.pass(seconds(20), &mut [&mut stream]);
    bed.send("a", &["x"]);
    bed.pass(seconds(26), &mut [&mut stream]);
    assert_at(&moments(&mut stream, "h"), &[seconds(45)]);
}

#[test]
fn a_message_from_the_client_does_not_put_h_off() {
    let mut bed = Bed::of(Service::Echo);
    let mut stream = bed.stream("a");
    for _ in 0..26 {
        bed.pass(seconds(1), &mut [&mut stream]);
        // An empty array is heard, and answered by nothing.
        assert_eq!(bed.send("a", &[]), Some(Flow::Continue));
    }
    assert_at(&moments(&mut stream, "h"), &[seconds(25)]);
}

#[test]
fn h_ends_a_poll_like_any_frame() {
    let mut bed = Bed::of(Service::Echo);
    bed.poll("a");
    let mut poll = bed.stream("a");
    bed.pass(seconds(25) + TICK, &mut [&mut poll]);
    assert_eq!(poll.frames(), ["h"]);
    bed.depart(&poll, Departure::Done);
    assert_eq!(bed.poll("a"), None, "one h and no second");
}

#[test]
fn without_a_receiver_nothing_beats() {
    let mut bed = Bed::with(Service::Echo, |endpoint| endpoint.disconnect_delay = seconds(100));
    bed.poll("a");
    bed.idle(seconds(20));
    let mut stream = bed.stream("a");
    bed.pass(seconds(4), &mut [&mut stream]);
    assert!(stream.frames().is_empty(), "nothing is due before 25 s of silence");
    bed.depart(&stream, Departure::Done);
    bed.idle(seconds(60));
    let mut stream = bed.stream("a");
    bed.pass(TICK, &mut [&mut stream]);
    assert_eq!(stream.frames(), ["h"], "the one that is due, and none for the intervals without a receiver");
}

#[test]
fn a_beat_that_is_not_read_is_not_followed_by_others() {
    let mut bed = Bed::of(Service::Echo);
    let mut stream = bed.stream("a");
    stream.read(&bed);
    stream.take();
    bed.idle(seconds(100));
    assert_eq!(stream.now(&bed), ["h"]);
}

#[test]
fn a_message_takes_the_place_of_a_beat_that_waits() {
    let mut bed = Bed::of(Service::Echo);
    let mut stream = bed.stream("a");
    stream.read(&bed);
    stream.take();
    bed.idle(seconds(26));
    bed.send("a", &["x"]);
    assert_eq!(stream.now(&bed), ["a[\"x\"]"]);
}

#[test]
fn a_closing_session_does_not_beat() {
    let mut bed = Bed::of(Service::Echo);
    let mut socket = bed.socket();
    socket.read(&bed);
    socket.take();
    socket.session.close(CloseReason::Shutdown, bed.now);
    bed.idle(seconds(100));
    assert_eq!(socket.now(&bed), ["c[1001,\"Server shutdown\"]"]);
}

#[test]
fn a_raw_websocket_has_no_h() {
    let mut bed = Bed::of(Service::Echo);
    let mut raw = bed.raw_socket();
    for _ in 0..10 {
        bed.pass(seconds(10), &mut [&mut raw]);
        raw.session.touch(bed.now);
    }
    assert!(raw.frames().is_empty());
}

#[test]
fn a_websocket_has_h_and_pings() {
    let mut bed = Bed::of(Service::Echo);
    let mut socket = bed.socket();
    bed.pass(seconds(25) + TICK, &mut [&mut socket]);
    let seen: Vec<_> = socket.take().into_iter().map(|(_, seen)| seen).collect();
    assert!(seen.contains(&Seen::Ping) && seen.contains(&Seen::Frame("h".to_owned())), "{seen:?}");
}

// ---- pings ----

fn pings(reader: &mut Reader) -> Vec<Duration> {
    reader.take().into_iter().filter(|(_, seen)| *seen == Seen::Ping).map(|(at, _)| at).collect()
}

#[test]
fn a_silent_websocket_is_pinged_and_closed_when_no_pong_comes() {
    for carrier in [Carrier::Websocket, Carrier::RawWebsocket] {
        let mut bed = Bed::of(Service::Echo);
        let mut socket = bed.open(carrier);
        bed.pass(seconds(36), &mut [&mut socket]);
        let seen = socket.take();
        let (pinged, _) = seen.iter().find(|(_, seen)| *seen == Seen::Ping).expect("a ping");
        let (closed, last) = seen.last().expect("an end");
        assert_at(&[*pinged, *closed], &[seconds(25), seconds(35)]);
        assert_eq!(*last, Seen::Closed(CloseReason::NoPong));
    }
}

#[test]
fn a_pong_or_any_message_puts_the_next_ping_off() {
    for by_message in [false, true] {
        let mut bed = Bed::of(Service::Echo);
        let mut socket = bed.raw_socket();
        bed.pass(seconds(30), &mut [&mut socket]);
        assert_at(&pings(&mut socket), &[seconds(25)]);
        if by_message {
            bed.receive(&socket.session, &[]);
        } else {
            socket.session.touch(bed.now);
        }
        bed.pass(seconds(26), &mut [&mut socket]);
        assert_at(&pings(&mut socket), &[seconds(55)]);
        assert!(socket.session.is_open());
    }
}

#[test]
fn a_websocket_that_is_heard_is_never_pinged() {
    let mut bed = Bed::of(Service::Echo);
    let mut socket = bed.socket();
    for _ in 0..10 {
        bed.pass(seconds(24), &mut [&mut socket]);
        bed.receive(&socket.session, &["x"]);
    }
    assert!(pings(&mut socket).is_empty());
}

#[test]
fn sending_to_a_silent_websocket_does_not_count_as_hearing_from_it() {
    let mut bed = Bed::of(Service::Ticker);
    let mut socket = bed.socket();
    bed.pass(seconds(36), &mut [&mut socket]);
    assert_eq!(socket.take().last().map(|(_, seen)| seen.clone()), Some(Seen::Closed(CloseReason::NoPong)));
}

#[test]
fn the_pong_timeout_is_a_setting() {
    let mut bed = Bed::with(Service::Echo, |endpoint| endpoint.pong_timeout = seconds(2));
    let mut socket = bed.socket();
    bed.pass(seconds(28), &mut [&mut socket]);
    let (at, last) = socket.take().pop().expect("an end");
    assert_eq!(last, Seen::Closed(CloseReason::NoPong));
    assert_at(&[at], &[seconds(27)]);
}

#[test]
fn sessions_over_http_are_not_pinged() {
    let mut bed = Bed::of(Service::Echo);
    let mut stream = bed.stream("a");
    bed.pass(seconds(120), &mut [&mut stream]);
    assert!(pings(&mut stream).is_empty());
    assert!(stream.session.is_open());
}

// ---- STOMP heart-beats ----

const CARRIERS: [Carrier; 4] = [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp];

fn stomp(send: Duration, receive: Duration) -> Bed {
    let mut config = config(Service::Stomp, |_| {});
    config.stomp.heart_beat_send = send;
    config.stomp.heart_beat_receive = receive;
    Bed::new(&config)
}

/// What a beat of STOMP looks like to a reader.
fn beat(carrier: Carrier) -> &'static str {
    if !carrier.speaks_sockjs() { "\n" } else { "a[\"\\n\"]" }
}

#[test]
fn stomp_beats_come_at_most_the_promised_interval_apart() {
    for carrier in CARRIERS {
        for (wish, promise) in [("0,1000", millis(1000)), ("0,10000", seconds(10)), ("0,25000", seconds(25))] {
            let mut bed = stomp(seconds(1), Duration::ZERO);
            let (mut client, connected) = Client::beating(&bed, carrier, Version::V1_2, wish);
            assert_eq!(connected.headers.get("heart-beat"), Some(&*format!("{},0", promise.as_millis())));
            let begin = bed.at();
            for _ in 0..10 {
                // Pongs, so that the websocket itself lives.
                bed.pass(promise, &mut [&mut client.reader]);
                client.reader.session.touch(bed.now);
            }
            let beats = moments(&mut client.reader, beat(carrier));
            assert!(beats.len() >= 10, "{carrier:?} {wish}: {beats:?}");
            for pair in [&[begin][..], &beats].concat().windows(2) {
                assert!(pair[1] - pair[0] <= promise, "{carrier:?} {wish}: {pair:?}");
            }
        }
    }
}

#[test]
fn h_frames_are_off_while_stomp_beats_run() {
    for carrier in [Carrier::Http, Carrier::Websocket] {
        let mut bed = stomp(seconds(60), Duration::ZERO);
        let (mut client, connected) = Client::beating(&bed, carrier, Version::V1_1, "0,60000");
        assert_eq!(connected.headers.get("heart-beat"), Some("60000,0"));
        for _ in 0..12 {
            bed.pass(seconds(10), &mut [&mut client.reader]);
            client.reader.session.touch(bed.now);
        }
        let seen = client.reader.take();
        let count = |frame: &str| seen.iter().filter(|(_, seen)| *seen == Seen::Frame(frame.to_owned())).count();
        assert_eq!((count("h"), count(beat(carrier))), (0, 2), "{carrier:?}");
    }
}

#[test]
fn h_frames_go_on_where_stomp_beats_do_not_run_towards_the_client() {
    // The client wants none; the server offers none; the version has none. Beats from the client change nothing.
    let cases = [
        (seconds(10), "0,0", Version::V1_2),
        (seconds(10), "5000,0", Version::V1_2),
        (seconds(10), "0,0", Version::V1_0),
    ];
    for (offer, wish, version) in cases.into_iter().chain([(Duration::ZERO, "0,5000", Version::V1_2)]) {
        for carrier in [Carrier::Http, Carrier::Websocket] {
            let mut bed = stomp(offer, seconds(5));
            let (mut client, connected) = Client::beating(&bed, carrier, version, wish);
            assert!(connected.headers.get("heart-beat").is_some_and(|beats| beats.starts_with("0,")));
            for _ in 0..12 {
                bed.pass(seconds(5), &mut [&mut client.reader]);
                client.send_bytes(&bed, b"\n");
            }
            let seen = client.reader.take();
            let count = |frame: &str| seen.iter().filter(|(_, seen)| *seen == Seen::Frame(frame.to_owned())).count();
            assert_eq!((count("h"), count(beat(carrier))), (2, 0), "{carrier:?} {wish} {version}");
        }
    }
}

#[test]
fn before_connected_h_frames_run() {
    let mut config = config(Service::Stomp, |endpoint| endpoint.heartbeat = seconds(3));
    config.stomp.connect_timeout = seconds(60);
    let mut bed = Bed::new(&config);
    let mut client = Client::fresh(&bed, Carrier::Http);
    bed.pass(seconds(10), &mut [&mut client.reader]);
    assert_eq!(client.reader.frames(), ["o", "h", "h", "h"]);
}

#[test]
fn a_message_to_the_client_puts_its_stomp_beat_off() {
    let mut bed = stomp(seconds(10), Duration::ZERO);
    let (mut client, _) = Client::beating(&bed, Carrier::Http, Version::V1_2, "0,10000");
    bed.pass(seconds(7), &mut [&mut client.reader]);
    say(&client.reader.session, "x");
    bed.pass(seconds(7), &mut [&mut client.reader]);
    assert!(moments(&mut client.reader, beat(Carrier::Http)).is_empty());
    bed.pass(seconds(3), &mut [&mut client.reader]);
    assert_eq!(moments(&mut client.reader, beat(Carrier::Http)).len(), 1);
}

#[test]
fn a_client_that_promised_beats_and_is_silent_for_three_intervals_gets_error_and_close() {
    for carrier in CARRIERS {
        let mut bed = stomp(Duration::ZERO, seconds(4));
        let (mut client, connected) = Client::beating(&bed, carrier, Version::V1_2, "1000,0");
        assert_eq!(connected.headers.get("heart-beat"), Some("0,4000"));
        bed.pass(seconds(12) - millis(1), &mut [&mut client.reader]);
        assert!(client.reader.session.is_open(), "{carrier:?}");
        bed.pass(millis(1) + TICK, &mut [&mut client.reader]);
        let last = client.reader.seen.last().cloned();
        assert_eq!(last.map(|(_, seen)| seen), Some(Seen::Closed(CloseReason::StompError)), "{carrier:?}");
        let frames = client.frames(&bed);
        assert_eq!(frames.len(), 1);
        assert_eq!((frames[0].command, frames[0].headers.get("message")), (Command::Error, Some("heart-beat missing")));
    }
}

#[test]
fn any_bytes_from_the_client_are_its_beats() {
    for bytes in [&b"\n"[..], b"S"] {
        let mut bed = stomp(Duration::ZERO, seconds(4));
        let (mut client, _) = Client::beating(&bed, Carrier::Http, Version::V1_2, "4000,0");
        for _ in 0..3 {
            bed.pass(seconds(11), &mut [&mut client.reader]);
            assert_eq!(client.send_bytes(&bed, bytes), Flow::Continue);
        }
        bed.pass(seconds(12) - millis(1), &mut [&mut client.reader]);
        assert!(client.reader.session.is_open());
        bed.pass(millis(1) + TICK, &mut [&mut client.reader]);
        assert!(!client.reader.session.is_open());
    }
}

#[test]
fn the_grace_is_a_setting() {
    let mut config = config(Service::Stomp, |_| {});
    config.stomp.heart_beat_grace = 7;
    let mut bed = Bed::new(&config);
    let (mut client, _) = Client::beating(&bed, Carrier::Http, Version::V1_1, "10000,0");
    bed.pass(seconds(69), &mut [&mut client.reader]);
    assert!(client.reader.session.is_open());
    bed.pass(seconds(1) + TICK, &mut [&mut client.reader]);
    assert!(!client.reader.session.is_open());
}

#[test]
fn a_client_that_promised_nothing_may_be_silent() {
    let mut bed = stomp(seconds(10), seconds(10));
    let (mut client, _) = Client::beating(&bed, Carrier::Http, Version::V1_2, "0,0");
    bed.pass(seconds(600), &mut [&mut client.reader]);
    assert!(client.reader.session.is_open());
    client.frames(&bed);
    client.subscribe(&bed, "1", "/topic/a");
    client.send(&bed, &send("/topic/a", "still here"));
    assert_eq!(bodies(&client.frames(&bed)), ["still here"]);
}

#[test]
fn a_session_without_connect_gets_error_and_close_after_the_connect_timeout() {
    for carrier in CARRIERS {
        let mut bed = Bed::of(Service::Stomp);
        let mut client = Client::fresh(&bed, carrier);
        bed.pass(seconds(10) - millis(1), &mut [&mut client.reader]);
        assert!(client.reader.session.is_open());
        // Half a frame is no CONNECT, and does not prolong the wait for it.
        client.send_bytes(&bed, b"CONN");
        bed.pass(millis(1) + TICK, &mut [&mut client.reader]);
        let last = client.reader.seen.last().cloned();
        assert_eq!(last.map(|(_, seen)| seen), Some(Seen::Closed(CloseReason::StompError)), "{carrier:?}");
        let frames = client.frames(&bed);
        assert_eq!(frames.len(), 1);
        assert_eq!((frames[0].command, frames[0].headers.get("message")), (Command::Error, Some("no CONNECT in time")));
    }
}
