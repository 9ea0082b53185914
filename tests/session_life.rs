//! The life cycle of a session, from the first receiver to the end (SockJS protocol, session life cycle), on a clock that
//! only the tests move.

mod bed;

use std::sync::{Arc, Barrier, Mutex};
use std::time::Instant;

use bed::{Bed, Lone, Mute, Reader, Seen, TICK, config, messages, millis, say, seconds};
use towpath::config::{Endpoint, Service};
use towpath::gateway::Receiving;
use towpath::session::{Attach, Carrier, CloseReason, Departure, Flow, Message, Protocol, Queued, Session, Timeout};
use towpath::sockjs::Close;

const DELAY: u64 = 5;

// ---- beginning ----

#[test]
fn an_unknown_id_makes_a_session_whose_first_frame_is_o() {
    let bed = Bed::of(Service::Echo);
    assert_eq!(bed.poll("a").as_deref(), Some("o"));
    assert_eq!(bed.population(), (1, 0));
    assert_eq!(bed.poll("a"), None);
    assert_eq!(bed.population(), (1, 0));
}

#[test]
fn sending_makes_no_session() {
    let bed = Bed::of(Service::Echo);
    assert_eq!(bed.send("a", &["x"]), None);
    assert_eq!(bed.population(), (0, 0));
}

#[test]
fn the_service_is_told_after_o_is_due() {
    let bed = Bed::of(Service::Close);
    assert_eq!(bed.poll("a").as_deref(), Some("o"));
    assert_eq!(bed.poll("a").as_deref(), Some("c[3000,\"Go away!\"]"));
}

#[test]
fn a_websocket_opens_with_o_and_a_raw_one_with_nothing() {
    let bed = Bed::of(Service::Echo);
    assert_eq!(bed.socket().now(&bed), ["o"]);
    assert!(bed.raw_socket().now(&bed).is_empty());
    assert_eq!(bed.population(), (2, 0));
}

#[test]
fn websockets_are_sessions_of_their_own_and_have_no_id() {
    let bed = Bed::of(Service::Echo);
    let (first, second) = (bed.socket(), bed.socket());
    assert_ne!(first.session.serial(), second.session.serial());
    assert!(bed.gateway.find(bed.endpoint(), "", &bed.visitor, bed.now).is_none());
}

/// Two requests with the same new id at the same moment: whichever attaches, the service hears that the session is open.
#[test]
fn the_service_is_told_even_if_two_requests_race_for_a_new_id() {
    let bed = Bed::of(Service::Close);
    for round in 0..300 {
        let id = format!("session-{round}");
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    bed.attach(&id)
                });
            }
        });
        assert!(
            bed.gateway.find(bed.endpoint(), &id, &bed.visitor, bed.now).is_none(),
            "the session was not closed by its service"
        );
    }
}

// ---- one receiver at a time ----

#[test]
fn a_second_receiver_is_turned_away_and_the_first_keeps_receiving() {
    let bed = Bed::of(Service::Echo);
    let mut first = bed.stream("a");
    assert_eq!(first.now(&bed), ["o"]);
    assert!(matches!(bed.attach("a"), Receiving::Busy));
    bed.send("a", &["x"]);
    assert_eq!(first.now(&bed), ["a[\"x\"]"]);
    assert!(matches!(bed.attach("a"), Receiving::Busy));
}

#[test]
fn a_second_receiver_does_not_move_the_timers_of_the_first() {
    let mut bed = Bed::of(Service::Echo);
    let mut first = bed.stream("a");
    for _ in 0..24 {
        bed.pass(seconds(1), &mut [&mut first]);
        assert!(matches!(bed.attach("a"), Receiving::Busy));
    }
    bed.pass(seconds(1) + TICK, &mut [&mut first]);
    assert_eq!(first.frames(), ["o", "h"]);
}

#[test]
fn the_late_departure_of_an_earlier_receiver_does_not_end_a_newer_one() {
    for how in [Departure::Done, Departure::Interrupted] {
        let bed = Bed::of(Service::Echo);
        let mut first = bed.stream("a");
        first.read(&bed);
        bed.depart(&first, Departure::Done);
        let mut second = bed.stream("a");
        bed.depart(&first, how);
        assert_eq!(bed.send("a", &["x"]), Some(Flow::Continue));
        assert_eq!(second.now(&bed), ["a[\"x\"]"]);
        assert!(matches!(bed.attach("a"), Receiving::Busy), "the second one is attached still");
    }
}

#[test]
fn a_receiver_that_is_no_longer_attached_is_given_nothing() {
    let bed = Bed::of(Service::Echo);
    let mut first = bed.stream("a");
    first.read(&bed);
    bed.depart(&first, Departure::Done);
    bed.send("a", &["x"]);
    let mut late = Reader::new(Arc::clone(&first.session), first.id, first.framing.clone());
    late.read(&bed);
    assert_eq!(late.take(), [(bed.at(), Seen::Gone)]);
    assert_eq!(bed.poll("a").as_deref(), Some("a[\"x\"]"));
}

// ---- departing ----

#[test]
fn after_a_complete_response_the_session_waits_for_the_disconnect_delay() {
    let mut bed = Bed::of(Service::Echo);
    bed.poll("a");
    bed.idle(seconds(DELAY) - millis(1));
    assert_eq!(bed.send("a", &[]), Some(Flow::Continue));
    bed.idle(millis(1) + TICK);
    assert_eq!(bed.send("a", &[]), None);
    assert_eq!(bed.population(), (0, 0));
}

#[test]
fn the_disconnect_delay_is_a_setting() {
    let mut bed = Bed::with(Service::Echo, |endpoint| endpoint.disconnect_delay = seconds(60));
    bed.poll("a");
    bed.idle(seconds(60) - millis(1));
    assert_eq!(bed.population(), (1, 0));
    bed.idle(millis(1) + TICK);
    assert_eq!(bed.population(), (0, 0));
}

#[test]
fn a_new_receiver_stops_the_disconnect_delay_and_its_departure_starts_it_anew() {
    let mut bed = Bed::of(Service::Echo);
    bed.poll("a");
    bed.idle(seconds(4));
    let mut stream = bed.stream("a");
    bed.pass(seconds(20), &mut [&mut stream]);
    assert_eq!(bed.population(), (1, 0));
    bed.depart(&stream, Departure::Done);
    bed.idle(seconds(DELAY) - millis(1));
    assert_eq!(bed.population(), (1, 0));
    bed.idle(millis(1) + TICK);
    assert_eq!(bed.population(), (0, 0));
}

#[test]
fn sending_does_not_prolong_the_disconnect_delay() {
    let mut bed = Bed::of(Service::Echo);
    bed.poll("a");
    bed.idle(millis(4600));
    assert_eq!(bed.send("a", &["x"]), Some(Flow::Continue));
    bed.idle(millis(400) + TICK);
    assert_eq!(bed.send("a", &["y"]), None);
}

#[test]
fn what_waits_for_a_session_that_nobody_comes_for_is_lost_with_it() {
    let mut bed = Bed::of(Service::Echo);
    bed.poll("a");
    bed.send("a", &["x"]);
    bed.idle(seconds(DELAY) + TICK);
    assert_eq!(bed.population(), (0, 1));
    assert_eq!(bed.poll("a").as_deref(), Some("c[1002,\"Connection interrupted\"]"));
}

#[test]
fn a_broken_connection_ends_the_session_at_once() {
    let bed = Bed::of(Service::Echo);
    let mut stream = bed.stream("a");
    stream.read(&bed);
    bed.depart(&stream, Departure::Interrupted);
    assert_eq!(bed.population(), (0, 0));
    assert_eq!(bed.send("a", &["x"]), None);
    assert_eq!(bed.poll("a").as_deref(), Some("o"), "nothing was said before, so nothing is lost");
}

#[test]
fn a_departure_counts_once() {
    let bed = Bed::of(Service::Echo);
    let mut stream = bed.stream("a");
    stream.read(&bed);
    bed.depart(&stream, Departure::Done);
    bed.depart(&stream, Departure::Interrupted);
    assert_eq!(bed.population(), (1, 0));
}

// ---- what goes out ----

#[test]
fn all_that_waits_goes_into_one_frame() {
    let bed = Bed::of(Service::Echo);
    bed.poll("a");
    bed.send("a", &["1", "2"]);
    bed.send("a", &["3"]);
    assert_eq!(bed.poll("a").as_deref(), Some("a[\"1\",\"2\",\"3\"]"));
    assert_eq!(bed.poll("a"), None);
}

#[test]
fn each_message_of_a_raw_websocket_stays_a_message() {
    let bed = Bed::of(Service::Echo);
    let mut raw = bed.raw_socket();
    raw.read(&bed);
    bed.receive(&raw.session, &["1", "", "[\"3\"]"]);
    assert_eq!(raw.now(&bed), ["1", "", "[\"3\"]"]);
}

#[test]
fn a_receiver_is_woken_for_what_comes_while_it_waits() {
    let bed = Bed::of(Service::Echo);
    let mut stream = bed.stream("a");
    assert_eq!(stream.now(&bed), ["o"]);
    for round in 0..3 {
        let text = round.to_string();
        bed.send("a", &[&text]);
        assert_eq!(stream.now(&bed), [format!("a[\"{round}\"]")]);
    }
}

#[test]
fn a_budget_ends_a_frame_between_messages_and_keeps_their_order() {
    let bed = Bed::of(Service::Echo);
    let mut stream = bed.stream("a");
    stream.read(&bed);
    stream.budget = 10;
    stream.take();
    let texts: Vec<String> = (0..10).map(|number| format!("abcd{number}")).collect();
    bed.send("a", &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let frames = stream.now(&bed);
    assert_eq!(frames.len(), 5, "{frames:?}");
    assert_eq!(frames.iter().flat_map(|frame| messages(frame)).collect::<Vec<_>>(), texts);
}

#[test]
fn a_budget_never_cuts_a_message() {
    for budget in [0, 1, 1000] {
        let bed = Bed::of(Service::Echo);
        let mut stream = bed.stream("a");
        stream.read(&bed);
        stream.take();
        stream.budget = budget;
        let large = "x".repeat(5000);
        bed.send("a", &["s", &large, "t"]);
        let frames = stream.now(&bed);
        let received: Vec<String> = frames.iter().flat_map(|frame| messages(frame)).collect();
        assert_eq!(received, ["s".to_owned(), large, "t".to_owned()], "{budget}");
        assert!(frames.len() >= 2, "{budget}");
    }
}

// ---- closing ----

#[test]
fn what_is_queued_goes_out_before_the_close_to_an_attached_receiver() {
    let bed = Bed::of(Service::Farewell);
    let mut stream = bed.stream("a");
    stream.read(&bed);
    stream.take();
    bed.send("a", &["1", "2", "bye", "void"]);
    stream.read(&bed);
    let away = CloseReason::Application(Close::GO_AWAY);
    let seen: Vec<Seen> = stream.take().into_iter().map(|(_, seen)| seen).collect();
    let frames = ["a[\"1\",\"2\",\"bye\"]", "c[3000,\"Go away!\"]"].map(|frame| Seen::Frame(frame.to_owned()));
    assert_eq!(seen, [&frames[..], &[Seen::Closed(away)]].concat());
}

#[test]
fn with_nobody_attached_the_queue_waits_for_the_next_receiver_and_the_close_for_the_one_after() {
    let bed = Bed::of(Service::Farewell);
    bed.poll("a");
    assert_eq!(bed.send("a", &["1", "bye"]), Some(Flow::Closed));
    assert_eq!(bed.send("a", &["2"]), None, "the session takes nothing any more");
    assert_eq!(bed.poll("a").as_deref(), Some("a[\"1\",\"bye\"]"));
    assert_eq!(bed.poll("a").as_deref(), Some("c[3000,\"Go away!\"]"));
}

#[test]
fn the_close_is_repeated_until_the_disconnect_delay_has_passed_since_the_last_receiver() {
    let mut bed = Bed::of(Service::Close);
    bed.poll("a");
    for _ in 0..4 {
        bed.idle(seconds(DELAY) - millis(1));
        assert_eq!(bed.poll("a").as_deref(), Some("c[3000,\"Go away!\"]"));
    }
    bed.idle(seconds(DELAY) + TICK);
    assert_eq!(bed.population(), (0, 0));
    assert_eq!(bed.poll("a").as_deref(), Some("o"));
}

#[test]
fn while_one_receiver_reads_the_rest_of_a_closing_session_another_hears_the_close_and_not_busy() {
    let bed = Bed::of(Service::Farewell);
    let _attached = bed.stream("a");
    bed.send("a", &["bye"]);
    let Receiving::Closing(reason) = bed.attach("a") else { panic!("not closing") };
    assert_eq!(reason.close(), Close::GO_AWAY);
}

#[test]
fn a_connection_that_breaks_under_the_close_leaves_the_close_to_be_repeated() {
    let bed = Bed::of(Service::Farewell);
    let stream = bed.stream("a");
    bed.send("a", &["bye"]);
    bed.depart(&stream, Departure::Interrupted);
    assert_eq!(bed.poll("a").as_deref(), Some("o"));
    assert_eq!(bed.poll("a").as_deref(), Some("a[\"bye\"]"));
    assert_eq!(bed.poll("a").as_deref(), Some("c[3000,\"Go away!\"]"));
}

#[test]
fn the_first_reason_stays() {
    let bed = Bed::of(Service::Echo);
    let mut stream = bed.stream("a");
    stream.session.close(CloseReason::Application(Close::GO_AWAY), bed.now);
    stream.session.close(CloseReason::Shutdown, bed.now);
    assert_eq!(stream.now(&bed), ["o", "c[3000,\"Go away!\"]"]);
}

#[test]
fn a_closing_session_queues_and_receives_nothing_more() {
    let bed = Bed::of(Service::Echo);
    let mut stream = bed.stream("a");
    let session = Arc::clone(&stream.session);
    say(&session, "before");
    session.close(CloseReason::Shutdown, bed.now);
    assert_eq!(say(&session, "after"), Queued::Closed);
    assert_eq!(bed.receive(&session, &["x"]), Flow::Gone);
    assert_eq!(stream.now(&bed), ["o", "a[\"before\"]", "c[1001,\"Server shutdown\"]"]);
}

#[test]
fn closing_wakes_a_receiver_that_cannot_drain() {
    let bed = Bed::of(Service::Echo);
    let stream = bed.stream("a");
    let wakes = Arc::new(bed::Wakes::default());
    let waker = Arc::clone(&wakes).into();
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(stream.session.poll_closing(&mut cx).is_pending());
    stream.session.close(CloseReason::Shutdown, bed.now);
    assert_eq!(wakes.take(), 1);
    assert_eq!(stream.session.poll_closing(&mut cx), std::task::Poll::Ready(CloseReason::Shutdown));
}

#[test]
fn a_gateway_that_goes_down_tells_everybody() {
    let bed = Bed::of(Service::Echo);
    let (mut stream, mut socket) = (bed.stream("a"), bed.socket());
    bed.poll("b");
    bed.gateway.close_all(&CloseReason::Shutdown, bed.now);
    let close = "c[1001,\"Server shutdown\"]";
    assert_eq!(stream.now(&bed), ["o", close]);
    assert_eq!(socket.now(&bed), ["o", close]);
    assert_eq!(bed.poll("b").as_deref(), Some(close));
}

/// Every reason has a close frame that a client understands, and a label of its own.
#[test]
fn reasons_have_codes_and_labels() {
    let reasons = [
        (CloseReason::Application(Close::GO_AWAY), 3000),
        (CloseReason::Peer, 1000),
        (CloseReason::StompDisconnect, 1000),
        (CloseReason::Interrupted, 1002),
        (CloseReason::Expired, 1002),
        (CloseReason::BrokenFraming, 3000),
        (CloseReason::Websocket { code: 1009, reason: "large" }, 1009),
        (CloseReason::StompError, 1002),
        (CloseReason::SlowConsumer, 4500),
        (CloseReason::NoPong, 3000),
        (CloseReason::Shutdown, 1001),
    ];
    let labels: std::collections::HashSet<_> = reasons.iter().map(|(reason, _)| reason.label()).collect();
    assert_eq!(labels.len(), reasons.len());
    for (reason, code) in reasons {
        assert_eq!(reason.close().code, code, "{reason:?}");
        assert!(!reason.close().reason.is_empty(), "{reason:?}");
    }
}

// ---- what the service hears ----

/// Writes down what it hears, and ends the session on `bad`.
struct Scribe(Arc<Mutex<Vec<String>>>);

impl Scribe {
    fn note(&self, word: impl Into<String>) {
        self.0.lock().unwrap().push(word.into());
    }
}

impl Protocol for Scribe {
    fn opened(&mut self, _: &Arc<Session>, _: Instant) -> Result<(), CloseReason> {
        self.note("opened");
        Ok(())
    }

    fn receive(&mut self, _: &Arc<Session>, message: Message, _: Instant) -> Result<(), CloseReason> {
        self.note(message.as_str().unwrap_or("binary"));
        if message.as_str() == Some("bad") { Err(CloseReason::StompError) } else { Ok(()) }
    }

    fn closing(&mut self, session: &Arc<Session>, _: &CloseReason) {
        self.note("closing");
        say(session, "last word");
    }

    fn closed(&mut self, _: &Arc<Session>, reason: &CloseReason, _: Instant) {
        self.note(reason.label());
    }
}

fn scribe(endpoint: Endpoint) -> (Lone, Arc<Mutex<Vec<String>>>, Instant) {
    let (notes, now) = (Arc::<Mutex<Vec<String>>>::default(), Instant::now());
    (Lone::new(Carrier::Http, endpoint, Scribe(Arc::clone(&notes)), now), notes, now)
}

fn heard(notes: &Arc<Mutex<Vec<String>>>) -> Vec<String> {
    std::mem::take(&mut notes.lock().unwrap())
}

#[test]
fn the_service_is_told_of_the_end_once_whoever_ends_it() {
    let (lone, notes, now) = scribe(Endpoint::default());
    assert!(matches!(lone.session.attach(now), Attach::Attached(_)));
    lone.session.opened(now);
    assert_eq!(lone.session.receive([Message::from_static("one"), Message::from_static("bad")], now), Flow::Closed);
    lone.session.close(CloseReason::Shutdown, now);
    assert_eq!(heard(&notes), ["opened", "one", "bad", "stomp-error"]);
}

#[test]
fn messages_behind_the_one_that_ended_the_session_are_void() {
    let (lone, notes, now) = scribe(Endpoint::default());
    let batch = ["one", "bad", "void"].map(Message::from_static);
    assert_eq!(lone.session.receive(batch, now), Flow::Closed);
    assert_eq!(heard(&notes), ["one", "bad", "stomp-error"]);
    assert_eq!(lone.session.receive([Message::from_static("late")], now), Flow::Gone);
    assert!(heard(&notes).is_empty());
}

#[test]
fn the_service_hears_why_a_session_ended() {
    let (lone, notes, now) = scribe(Endpoint::default());
    let Attach::Attached(receiver) = lone.session.attach(now) else { panic!("not attached") };
    assert!(lone.session.depart(receiver, Departure::Interrupted, now));
    assert_eq!(heard(&notes), ["interrupted"]);

    let (lone, notes, now) = scribe(Endpoint::default());
    let Attach::Attached(receiver) = lone.session.attach(now) else { panic!("not attached") };
    assert!(!lone.session.depart(receiver, Departure::Done, now));
    assert_eq!(lone.session.handle_timeout(now + seconds(DELAY) - millis(1)), Timeout::Live);
    assert!(heard(&notes).is_empty());
    assert_eq!(lone.session.handle_timeout(now + seconds(DELAY)), Timeout::Over);
    assert_eq!(heard(&notes), ["expired"]);
}

/// The publisher that meets a full outbox cannot tell the other session's service; the clockwork does, at once.
#[test]
fn the_service_hears_of_an_overflow_as_soon_as_the_deadlines_run() {
    let (lone, notes, now) = scribe(Endpoint { outbox_messages: 1, ..Endpoint::default() });
    assert!(matches!(lone.session.attach(now), Attach::Attached(_)));
    assert_eq!((say(&lone.session, "1"), say(&lone.session, "2")), (Queued::Pressed, Queued::Overflow));
    assert!(heard(&notes).is_empty());
    let due = lone.deadlines.expired(now + TICK);
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].handle_timeout(now + TICK), Timeout::Live);
    assert_eq!(heard(&notes), ["slow-consumer"]);
}

#[test]
fn a_polite_close_lets_the_service_speak_last() {
    let (lone, notes, now) = scribe(Endpoint::default());
    let Attach::Attached(receiver) = lone.session.attach(now) else { panic!("not attached") };
    lone.session.close_politely(CloseReason::Shutdown, now);
    assert_eq!(heard(&notes), ["closing", "shutdown"]);
    let bed = Bed::new(&config(Service::Echo, |_| {}));
    let mut reader = Reader::new(Arc::clone(&lone.session), receiver, Some(towpath::sockjs::Framing::xhr()));
    assert_eq!(reader.now(&bed), ["o", "a[\"last word\"]", "c[1001,\"Server shutdown\"]"]);
}

#[test]
fn a_session_counts_as_used_once_a_message_has_gone_either_way() {
    let now = Instant::now();
    let lone = Lone::new(Carrier::Http, Endpoint::default(), Mute, now);
    assert!(!lone.session.carried_messages());
    lone.session.receive([], now);
    assert!(!lone.session.carried_messages());
    lone.session.receive([Message::from_static("x")], now);
    assert!(lone.session.carried_messages());
}
