//! Servers that lose, repeat, swap, alter and invent messages: the counts say exactly what they did.
//!
//! Does not know: how a server lies.

use std::collections::BTreeMap;

use super::lies::Lie;
use super::service::Planted;
use super::{Ran, bench, side_by_side};

/// Ways to a server, with what goes before and behind its address, and options.
const WAYS: [(&str, &str); 8] = [
    ("echo http://{}/echo", "--clients 3"),
    ("echo http://{}/echo", "--clients 3 --transport raw-websocket"),
    ("echo ws://{}/echo", "--clients 3"),
    ("echo http://{}/echo", "--clients 3 --transport xhr-polling"),
    ("echo http://{}/echo", "--clients 3 --transport xhr-streaming"),
    ("fanout ws://{}/stomp", "--clients 3"),
    ("fanout http://{}/stomp", "--clients 3 --transport xhr-streaming"),
    ("queue tcp://{}", "--producers 1 --consumers 2 --ack client-individual"),
];

/// Short, and slow enough that nothing of it is late.
const SHORT: &str = "--rate 200 --warm-up 0s --duration 600ms --patience 3s";

/// Runs a load over that way against a server that lies like that, and looks at both.
fn over(way: &(&str, &str), lie: Lie, look: impl Fn(&Planted, &Ran)) {
    let server = Planted::lying(lie);
    let (what, options) = way;
    let what = what.replace("{}", &server.address().to_string());
    look(&server, &bench(&format!("{what} {options} {SHORT} --json")));
}

/// The counts of a report: lost, duplicated, out of order.
fn amiss(ran: &Ran) -> [u64; 3] {
    let messages = &ran.json()["messages"];
    ["lost", "duplicated", "out_of_order"]
        .map(|name| messages[name].as_u64().unwrap_or_else(|| panic!("{name} in {ran:#?}")))
}

fn count(ran: &Ran, name: &str) -> u64 {
    ran.json()["messages"][name].as_u64().unwrap_or_else(|| panic!("{name} in {ran:#?}"))
}

/// What failed, and how often.
fn failures(ran: &Ran) -> BTreeMap<String, u64> {
    let json = ran.json();
    let all = json["failures"].as_array().cloned().unwrap_or_default();
    all.iter()
        .map(|failure| {
            (failure["what"].as_str().expect("a text").to_owned(), failure["count"].as_u64().expect("a number"))
        })
        .collect()
}

#[test]
fn an_honest_server_comes_to_0_and_every_message_is_counted_once() {
    side_by_side(&WAYS, |way| {
        over(way, Lie::None, |server, ran| {
            assert_eq!((ran.status, amiss(ran), failures(ran).len()), (Some(0), [0; 3], 0), "{way:?} {ran:#?}");
            let heard = server.told().heard;
            assert!(heard > 10, "{way:?} {ran:#?}");
            assert_eq!([count(ran, "expected"), count(ran, "received")], [heard; 2], "{way:?} {ran:#?}");
            let times = if way.0.starts_with("fanout") { 3 } else { 1 };
            assert_eq!(count(ran, "sent") * times, heard, "{way:?} {ran:#?}");
        });
    });
}

#[test]
fn messages_that_never_come_are_lost() {
    side_by_side(&WAYS, |way| {
        over(way, Lie::Loses, |server, ran| {
            let told = server.told();
            assert!(told.lies > 0, "{way:?} {ran:#?}");
            assert_eq!((ran.status, amiss(ran)), (Some(1), [told.lies, 0, 0]), "{way:?} {ran:#?}");
            assert_eq!(count(ran, "received"), told.heard - told.lies, "{way:?} {ran:#?}");
        });
    });
}

#[test]
fn messages_that_come_again_are_duplicated() {
    side_by_side(&WAYS, |way| {
        over(way, Lie::Repeats, |server, ran| {
            let told = server.told();
            assert!(told.lies > 0, "{way:?} {ran:#?}");
            assert_eq!((ran.status, amiss(ran)), (Some(1), [0, told.lies, 0]), "{way:?} {ran:#?}");
            assert_eq!(count(ran, "received"), told.heard, "{way:?} {ran:#?}");
        });
    });
}

#[test]
fn messages_that_are_overtaken_are_out_of_order() {
    side_by_side(&WAYS, |way| {
        over(way, Lie::Swaps, |server, ran| {
            // One that waits for the next when the last has been sent never comes.
            let told = server.told();
            assert!(told.lies > 0, "{way:?} {ran:#?}");
            assert_eq!((ran.status, amiss(ran)), (Some(1), [told.held, 0, told.lies]), "{way:?} {ran:#?}");
        });
    });
}

#[test]
fn what_nobody_sent_fails_the_client_that_gets_it() {
    for lie in [Lie::Alters, Lie::Confuses, Lie::Foresees, Lie::Replaces] {
        side_by_side(&WAYS, |way| {
            over(way, lie, |_, ran| {
                assert_eq!(ran.status, Some(1), "{way:?} {lie:?} {ran:#?}");
                let failures = failures(ran);
                let foreign = failures.get("a message came that nobody sent").copied().unwrap_or_default();
                assert!((1..=3).contains(&foreign), "{way:?} {lie:?} {ran:#?}");
                assert!(count(ran, "lost") >= foreign, "what was to come instead is lost: {way:?} {lie:?} {ran:#?}");
            });
        });
    }
}

#[test]
fn a_closed_loop_whose_messages_are_all_lost_ends_with_them_counted() {
    side_by_side(&WAYS, |way| {
        let server = Planted::lying(Lie::LosesAll);
        let (what, options) = way;
        let what = what.replace("{}", &server.address().to_string());
        let ran =
            bench(&format!("{what} {options} --in-flight 2 --warm-up 0s --duration 400ms --patience 600ms --json"));
        // A client with two on their way sends no third.
        let senders = if way.0.starts_with("echo") { 3 } else { 1 };
        let times = if way.0.starts_with("fanout") { 3 } else { 1 };
        assert_eq!(ran.status, Some(1), "{way:?} {ran:#?}");
        assert_eq!(count(&ran, "sent"), 2 * senders, "{way:?} {ran:#?}");
        assert_eq!(amiss(&ran), [2 * senders * times, 0, 0], "{way:?} {ran:#?}");
        assert_eq!(server.told().lies, 2 * senders * times, "{way:?} {ran:#?}");
    });
}
