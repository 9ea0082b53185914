//! Every scenario against `towpath serve --test-services`: what is printed for people, and what for programs.
//!
//! Does not know: what anything costs.

use std::collections::BTreeSet;

use serde_json::Value;

use super::binary::{Running, towpath};
use super::{bench, side_by_side};

const SHORT: &str = "--duration 600ms --warm-up 100ms --patience 20s";
/// For what ends by itself.
const TO_THE_END: &str = "--duration 20s --warm-up 0s --patience 20s";

/// A gateway, and what stands in URLs for its places.
struct Gateway {
    running: Running,
    tcp: String,
}

impl Gateway {
    fn start() -> Self {
        let running =
            Running::start(towpath(&["serve", "--test-services", "--listen", "127.0.0.1:0", "--tcp", "127.0.0.1:0"]));
        let mut words = running.printed.split_whitespace();
        let tcp = words.find_map(|word| word.strip_prefix("tcp://")).expect("it says where").to_owned();
        Self { running, tcp }
    }

    fn arguments(&self, what: &str) -> String {
        what.replace("{tcp}", &self.tcp).replace("{}", &self.running.address.to_string())
    }
}

/// How long a load goes on.
fn time(what: &str) -> &'static str {
    if what.contains("--cycles") { TO_THE_END } else { SHORT }
}

/// The keys of an object, and of the objects in it with a dot.
fn keys(value: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        all.insert(key.clone());
        all.extend(keys(value).into_iter().map(|below| format!("{key}.{below}")));
    }
    all
}

/// Scenarios, the transport that a report names, and what people call what is measured.
const ALL: [(&str, &str, &str); 17] = [
    ("echo http://{}/echo --clients 5", "websocket", "echoes"),
    ("echo http://{}/echo --clients 5 --transport raw-websocket", "raw-websocket", "echoes"),
    ("echo ws://{}/echo/websocket --clients 5", "raw-websocket", "echoes"),
    ("echo http://{}/echo --clients 5 --transport xhr-streaming", "xhr-streaming", "echoes"),
    ("echo http://{}/echo --clients 5 --transport xhr-polling --in-flight 3", "xhr-polling", "echoes"),
    ("echo http://{}/echo --clients 10 --mix websocket=60,xhr-streaming=25,xhr-polling=15", "mix", "echoes"),
    ("fanout http://{}/stomp --clients 10 --rate 100", "websocket", "deliveries"),
    ("fanout ws://{}/stomp --clients 10 --in-flight 8 --beside 50", "raw-websocket", "deliveries"),
    (
        "fanout tcp://{tcp} --clients 10 --in-flight 1 --beside 50 --beside-destination /topic/beside.{n}.*",
        "tcp",
        "deliveries",
    ),
    ("rooms http://{}/stomp --topics 50 --members 4 --rate 500", "websocket", "deliveries"),
    ("queue tcp://{tcp} --rate 500", "tcp", "messages"),
    ("queue http://{}/stomp --ack client-individual --prefetch 10 --in-flight 2", "websocket", "messages"),
    ("churn http://{}/echo --clients 3 --cycles 40", "websocket", "cycles"),
    ("churn http://{}/stomp --stomp --clients 3 --cycles 40 --transport xhr-streaming", "xhr-streaming", "cycles"),
    ("idle http://{}/echo --clients 10", "websocket", "heartbeats"),
    ("idle tcp://{tcp} --stomp --clients 10", "tcp", "heartbeats"),
    ("idle http://{}/stomp --stomp --clients 10 --transport xhr-polling", "xhr-polling", "heartbeats"),
];

/// Keys that every report has.
const ALWAYS: &str = "scenario url clients size seconds measured rate failures connect_us.count connect_us.p50 connect_us.p90 \
    connect_us.p99 connect_us.max messages.sent messages.expected messages.received messages.lost messages.duplicated \
    messages.out_of_order server.pid server.cpu_us server.resident_before server.resident_after server.resident_each load.busy";
/// Keys that it has if something was measured that takes time.
const MEASURED: &str = "latency_us.from latency_us.count latency_us.p50 latency_us.p90 latency_us.p99 latency_us.max \
    server.cpu_us_each load.cpu_us_each";

#[test]
fn programs_have_every_key() {
    let gateway = Gateway::start();
    let pid = gateway.running.child.id();
    let measured = side_by_side(&ALL, |(what, transport, _)| {
        let ran = bench(&format!("{} {} --server-pid {pid} --json", gateway.arguments(what), time(what)));
        assert_eq!((ran.status, ran.beside.as_str()), (Some(0), ""), "{what} {ran:#?}");
        assert_eq!(ran.printed.lines().count(), 1, "one object on one line: {ran:#?}");
        assert!(!ran.printed.contains("null"), "{ran:#?}");
        let json = ran.json();
        let scenario = what.split(' ').next().expect("a scenario");
        let named = (json["scenario"].as_str(), json["transport"].as_str());
        assert_eq!(named, (Some(scenario), Some(*transport)), "{what} {ran:#?}");
        let number = |key: &str| json[key].as_u64().unwrap_or_else(|| panic!("{key} in {ran:#?}"));
        let (idle, churn) = (scenario == "idle", scenario == "churn");

        let keys = keys(&json);
        let mut wanted: Vec<_> = ALWAYS.split_whitespace().collect();
        // On a busy machine a window of this length may have nothing in it.
        if !idle && number("measured") > 0 {
            wanted.extend(MEASURED.split_whitespace());
        }
        if idle || churn {
            wanted.extend(["server.descriptors_before", "server.descriptors_after"]);
        }
        if churn {
            wanted.push("server.resident_half");
            assert_eq!(number("measured"), 40, "{ran:#?}");
        }
        if !idle && !churn {
            wanted.push(if what.contains("--in-flight") { "in_flight" } else { "rate_wanted" });
        }
        let lacking: Vec<_> = wanted.into_iter().filter(|key| !keys.contains(*key)).collect();
        assert_eq!(lacking, [""; 0], "{what} {ran:#?}");

        assert_eq!(json["failures"], Value::Array(vec![]), "{what}");
        assert!(json["server"]["resident_after"].as_u64() > Some(1 << 20), "{ran:#?}");
        let messages = &json["messages"];
        let all_came = messages["sent"].as_u64() > Some(0) && messages["expected"] == messages["received"];
        assert!(idle || all_came, "{what} {ran:#?}");
        if *transport == "mix" {
            assert_eq!(json["mix"], serde_json::json!({"websocket": 60, "xhr-streaming": 25, "xhr-polling": 15}));
            let share = |name: &str, key: &str| json["transports"][name][key].as_u64();
            let names = ["websocket", "xhr-streaming", "xhr-polling"];
            let clients: Vec<_> = names.iter().filter_map(|name| share(name, "clients")).collect();
            assert_eq!((clients[0], clients.iter().sum::<u64>()), (6, 10), "{ran:#?}");
            let measured = names.iter().filter_map(|name| share(name, "measured")).sum::<u64>();
            assert_eq!(measured, number("measured"), "{ran:#?}");
        } else {
            assert!(!keys.contains("mix") && !keys.contains("transports"), "{what} {ran:#?}");
        }
        if idle { 0 } else { number("measured") }
    });
    assert!(measured.iter().filter(|measured| **measured > 0).count() > ALL.len() / 2, "{measured:?}");
}

#[test]
fn what_was_asked_for_stands_in_the_report() {
    let gateway = Gateway::start();
    let pid = gateway.running.child.id();
    let url = gateway.arguments("http://{}/echo");
    let ran = bench(&format!("echo {url} --clients 3 --in-flight 2 --size 100 --server-pid {pid} {SHORT} --json"));
    let json = ran.json();
    for (path, expected) in [
        ("/url", Value::from(url)),
        ("/clients", 3.into()),
        ("/size", 100.into()),
        ("/in_flight", 2.into()),
        ("/connect_us/count", 3.into()),
        ("/server/pid", pid.into()),
    ] {
        assert_eq!(json.pointer(path), Some(&expected), "{path} in {ran:#?}");
    }
}

#[test]
fn people_read_what_came_of_it() {
    let gateway = Gateway::start();
    let pid = gateway.running.child.id();
    side_by_side(&ALL, |(what, _, called)| {
        let ran = bench(&format!("{} {} --server-pid {pid}", gateway.arguments(what), time(what)));
        assert_eq!((ran.status, ran.beside.as_str()), (Some(0), ""), "{what} {ran:#?}");
        let idle = what.starts_with("idle");
        for part in ["  measured ", "  connecting ", "  server ", " resident, ", "  this load ", " % of a core", called]
        {
            assert!(ran.printed.contains(part), "{part} for {what} in {}", ran.printed);
        }
        if !idle {
            for part in ["p50 ", "p99 ", "max ", "0 lost, 0 twice, 0 out of order"] {
                assert!(ran.printed.contains(part), "{part} for {what} in {}", ran.printed);
            }
        }
        if ran.printed.contains("measured      0 ") {
            return;
        }
        if what.contains("--rate") {
            assert!(ran.printed.contains("from when it was due"), "{}", ran.printed);
        }
        if what.contains("--in-flight") {
            assert!(ran.printed.contains("from its sending"), "{}", ran.printed);
        }
        if what.contains("--mix") {
            assert!(ran.printed.contains("  xhr-streaming "), "{}", ran.printed);
        }
        assert!(!ran.printed.contains("failed"), "{}", ran.printed);
    });
}

#[test]
fn posts_are_answered_with_204() {
    // What takes the messages of a session answers so; `/echo/000/x/xhr_send` needs a session, and the gateway's API none.
    let server = super::bad::start(super::bad::Deed::Answers(204, ""));
    let ran = bench(&format!("post http://{}/anything --clients 4 --in-flight 1 {SHORT} --json", server.address));
    assert_eq!((ran.status, ran.beside.as_str()), (Some(0), ""), "{ran:#?}");
    let json = ran.json();
    let messages = &json["messages"];
    assert!(messages["sent"].as_u64() > Some(10) && messages["sent"] == messages["received"], "{ran:#?}");
    assert_eq!((json["scenario"].as_str(), server.seen.all()), (Some("post"), 4), "{ran:#?}");
    let ran = bench(&format!("post http://{}/anything --clients 4 --rate 100 {SHORT}", server.address));
    assert!(ran.status == Some(0) && ran.printed.contains("POSTs"), "{ran:#?}");
}

#[test]
fn heartbeats_of_idle_sessions_are_counted() {
    let path = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench_heartbeats.toml");
    std::fs::write(&path, "[[endpoint]]\npath = \"/echo\"\nservice = \"echo\"\nheartbeat = \"1s\"\n").unwrap();
    let running = Running::start(towpath(&["--config", path.to_str().unwrap(), "--listen", "127.0.0.1:0"]));
    let all = ["websocket", "xhr-streaming", "xhr-polling"];
    side_by_side(&all, |transport| {
        let what = format!("idle http://{}/echo --clients 4 --transport {transport}", running.address);
        let ran = bench(&format!("{what} --duration 2500ms --warm-up 0s --json"));
        assert_eq!(ran.status, Some(0), "{ran:#?}");
        assert!(ran.json()["measured"].as_u64() >= Some(4), "each has one in any two seconds: {ran:#?}");
    });
}
