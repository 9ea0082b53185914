//! When messages are sent: on a schedule that no server can slow down, or a number of them at a time; and that latency counts from
//! then.
//!
//! Does not know: what time anything took on this machine. What is compared comes from schedules, counts, and the server's own clock.

use std::collections::BTreeMap;

use super::bench;
use super::service::{Hold, Manner, Planted};

/// What stands at the beginning of a body, all hexadecimal: two digits of the run, five of the sender, eight of the number, and nine of
/// the microseconds when it was due.
fn stamp(body: &str) -> (u64, u64, u64) {
    let part = |from: usize, to: usize| u64::from_str_radix(&body[from..to], 16).expect("digits");
    (part(2, 7), part(7, 15), part(15, 24))
}

/// Numbers and times of what each sender sent, as they came.
fn by_sender(heard: &[String]) -> BTreeMap<u64, Vec<(u64, u64)>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (sender, number, time) in heard.iter().map(|body| stamp(body)) {
        all.entry(sender).or_default().push((number, time));
    }
    all
}

#[test]
fn a_rate_is_a_schedule_that_senders_share() {
    let server = Planted::honest();
    let ran = bench(&format!(
        "echo http://{}/echo --clients 4 --rate 800 --duration 500ms --warm-up 100ms --patience 5s --size 100 --json",
        server.address()
    ));
    assert_eq!(ran.status, Some(0), "{ran:#?}");
    let heard = server.heard();
    assert!(heard.iter().all(|body| body.len() == 100), "--size is the body's");
    let json = ran.json();
    assert_eq!(json["messages"]["sent"].as_u64(), Some(heard.len() as u64), "{ran:#?}");
    assert_eq!(json["latency_us"]["from"], "intended", "{ran:#?}");
    assert_eq!(json["rate_wanted"].as_f64(), Some(800.0), "{ran:#?}");
    let all = by_sender(&heard);
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
    for (sender, sent) in &all {
        // Four senders at 800 a second: each is due every 5 ms, whenever that was possible.
        let (_, first) = sent[0];
        for (at, (number, time)) in (0_u64..).zip(sent) {
            assert_eq!(*number, at, "sender {sender} leaves none out");
            assert!(
                time.abs_diff(first + 5000 * at) <= 1,
                "number {at} of sender {sender} was due {time}, the first {first}"
            );
        }
    }
    // Together they are due every 1.25 ms, in turn.
    let firsts: Vec<_> = all.values().map(|sent| sent[0].1).collect();
    let apart: Vec<_> = firsts.windows(2).map(|two| two[1].saturating_sub(two[0])).collect();
    let all_connected_late = firsts.iter().max().unwrap() - firsts.iter().min().unwrap();
    assert!(apart.iter().all(|apart| apart.abs_diff(1250) < 1250), "{apart:?} over {all_connected_late}");
    // All that the schedule has in warm-up and window, though somebody may have been late.
    let seconds = json["seconds"].as_f64().expect("a number");
    let least = (seconds + 0.1) * 800.0 - 4.0;
    assert!(seconds >= 0.5 && heard.len() as f64 >= least, "{} of {least}", heard.len());
}

#[test]
fn a_closed_loop_has_so_many_on_their_way_and_no_more() {
    // The first client has no answers at all: what it has sent is what it may have on its way.
    for (in_flight, transport) in [(1, "websocket"), (5, "websocket"), (3, "xhr-polling"), (4, "raw-websocket")] {
        let server = Planted::start(Manner { hold: Some(Hold { from: 1, until: usize::MAX }), ..Manner::default() });
        let ran = bench(&format!(
            "echo http://{}/echo --clients 2 --in-flight {in_flight} --transport {transport} --duration 300ms --warm-up 0s \
             --patience 500ms --json",
            server.address()
        ));
        assert_eq!(ran.status, Some(1), "{ran:#?}");
        let counts: Vec<_> = by_sender(&server.heard()).values().map(Vec::len).collect();
        let json = ran.json();
        assert_eq!(json["in_flight"].as_u64(), Some(in_flight), "{ran:#?}");
        assert_eq!(json["messages"]["lost"].as_u64(), Some(in_flight), "{ran:#?}");
        assert_eq!(counts.iter().filter(|count| **count == in_flight as usize).count(), 1, "{counts:?}");
        assert!(counts.iter().any(|count| *count > 20), "the other goes on: {counts:?}");
    }
}

/// A server stalls for one of two clients, for a time that it measures itself. All messages that were due meanwhile have waited, and an
/// open loop says so; a closed loop has sent none of them, and so has a single message that waited.
#[test]
fn a_stall_is_seen_in_every_message_that_was_due_meanwhile() {
    let run = |pace: &str, hold: Hold| {
        let server = Planted::start(Manner { hold: Some(hold), ..Manner::default() });
        let ran = bench(&format!(
            "echo http://{}/echo --clients 2 {pace} --duration 4s --warm-up 0s --patience 10s --json",
            server.address()
        ));
        assert_eq!(ran.status, Some(0), "{ran:#?}");
        let stall = server.stalled().expect("it was over before the end").as_micros() as u64;
        let json = ran.json();
        let latency = |name: &str| json["latency_us"][name].as_u64().unwrap_or_else(|| panic!("{name} in {ran:#?}"));
        let (p99, max) = (latency("p99"), latency("max"));
        // A histogram keeps three digits.
        assert!(max >= stall - stall / 500, "one message has waited all the time: {max} of {stall}");
        (stall, p99)
    };
    // A thousand a second of each: while the other client sends 400, some 400 of this one wait, of 8,000 in all.
    let (stall, p99) = run("--rate 2000", Hold { from: 100, until: 400 });
    assert!(p99 >= stall / 2, "many messages have waited: p99 {p99} of {stall}");
    // While the other client gets 1,000 answers one after the other, this one has one message on its way.
    let (stall, p99) = run("--in-flight 1", Hold { from: 100, until: 1000 });
    assert!(p99 < stall / 2, "one message has waited: p99 {p99} of {stall}");
}
