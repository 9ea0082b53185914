//! How much a run is: never more clients at once than were asked for, as many cycles as were asked for, and nothing left behind.
//!
//! Does not know: how the server counts them.

use super::service::{Farewell, Manner, Planted};
use super::{bench, side_by_side};

#[test]
fn there_are_never_more_connections_than_clients_and_none_is_left() {
    let all = [
        // A load, and the connections that it has.
        ("echo http://{}/echo --clients 7", 7),
        ("echo http://{}/echo --clients 7 --transport raw-websocket", 7),
        ("echo http://{}/echo --clients 5 --transport xhr-polling", 10),
        ("echo http://{}/echo --clients 5 --transport xhr-streaming", 10),
        ("echo http://{}/echo --clients 10 --mix websocket=60,xhr-streaming=20,xhr-polling=20", 14),
        ("fanout http://{}/stomp --clients 7 --rate 100", 8),
        ("fanout tcp://{} --clients 3 --beside 20 --rate 100", 5),
        ("rooms ws://{}/stomp --topics 10 --members 2 --clients 5 --rate 100", 6),
        ("queue tcp://{} --producers 2 --consumers 3 --rate 100", 5),
        ("idle http://{}/echo --clients 9", 9),
        ("idle ws://{}/stomp --stomp --clients 9", 9),
    ];
    side_by_side(&all, |(what, connections)| {
        let server = Planted::honest();
        let what = what.replace("{}", &server.address().to_string());
        let ran = bench(&format!("{what} --duration 300ms --warm-up 0s --patience 5s"));
        assert_eq!(ran.status, Some(0), "{what} {ran:#?}");
        let seen = server.connections();
        assert_eq!((seen.all(), seen.most()), (*connections, *connections), "{what}");
    });
}

#[test]
fn churn_has_so_many_at_once_and_so_many_in_all() {
    for what in ["churn ws://{}/stomp", "churn http://{}/stomp --transport xhr-polling", "churn tcp://{}"] {
        let server = Planted::honest();
        let what = what.replace("{}", &server.address().to_string());
        let ran =
            bench(&format!("{what} --stomp --clients 4 --cycles 50 --warm-up 0s --duration 20s --patience 5s --json"));
        assert_eq!(ran.status, Some(0), "{what} {ran:#?}");
        let seen = &server.broker().sessions;
        // Who leaves is gone for the broker before the receipt is written, so this holds whatever the network does.
        assert!(seen.most() <= 4, "{what}: {}", seen.most());
        // One more looks whether there is a server at all.
        assert_eq!((seen.all(), seen.now()), (51, 0), "{what}: all have left with DISCONNECT");
        assert_eq!(ran.json()["measured"].as_u64(), Some(50), "{what} {ran:#?}");
    }
    let server = Planted::honest();
    let ran = bench(&format!(
        "churn http://{}/echo --clients 3 --cycles 30 --warm-up 0s --duration 20s --patience 5s --json",
        server.address()
    ));
    assert_eq!((ran.status, server.connections().all()), (Some(0), 31), "{ran:#?}");
    assert_eq!((server.heard().len(), ran.json()["measured"].as_u64()), (30, Some(30)), "one echo each: {ran:#?}");
}

#[test]
fn a_websocket_may_be_closed_in_answer_to_disconnect_but_not_end() {
    for (farewell, status) in [(Farewell::Close, 0), (Farewell::End, 2)] {
        let server = Planted::start(Manner { farewell, ..Manner::default() });
        let ran = bench(&format!(
            "churn ws://{}/stomp --stomp --clients 2 --cycles 10 --warm-up 0s --duration 20s --patience 5s",
            server.address()
        ));
        assert_eq!(ran.status, Some(status), "{farewell:?} {ran:#?}");
    }
}

#[test]
fn churn_ends_with_its_time_though_not_all_cycles_are_done() {
    let server = Planted::honest();
    let cycles = 100_000_000;
    let ran = bench(&format!(
        "churn http://{}/echo --clients 3 --cycles {cycles} --warm-up 0s --duration 300ms --patience 5s --json",
        server.address()
    ));
    assert_eq!(ran.status, Some(0), "{ran:#?}");
    let all = server.connections().all() as u64;
    assert!((1..cycles).contains(&all), "{all}");
    assert!(ran.json()["measured"].as_u64().is_some_and(|measured| (1..=all).contains(&measured)), "{ran:#?}");
}

#[test]
fn whatever_is_acknowledged_is_so_once() {
    for (ack, acks) in [("auto", false), ("client-individual", true)] {
        let server = Planted::honest();
        let ran = bench(&format!(
            "queue tcp://{} --producers 2 --consumers 2 --ack {ack} --rate 500 --duration 300ms --warm-up 0s --patience 5s --json",
            server.address()
        ));
        assert_eq!(ran.status, Some(0), "{ran:#?}");
        let wanted = if acks { server.told().heard } else { 0 };
        assert!(server.told().heard > 10, "{ran:#?}");
        assert_eq!(server.broker().acks(), wanted, "{ack} {ran:#?}");
    }
}
