//! `towpath bench` as a user meets it: its exit status, what it prints for people and programs, and what it refuses.
//!
//! Does not know: how the figures come about; `bench_scenarios` asks whether they are right.

#[path = "support/binary.rs"]
mod binary;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Output;
use std::thread;

use binary::{Running, towpath};
use serde_json::Value;

/// The exit status, what was printed, and what was said beside it.
fn bench(arguments: &[&str]) -> (Option<i32>, String, String) {
    let short = ["--duration", "200ms", "--warm-up", "50ms"];
    let output = towpath(&[&["bench"], arguments, &short].concat()).output();
    let Output { status, stdout, stderr } = output.expect("the binary is built");
    let text = |bytes| String::from_utf8(bytes).expect("all is text");
    (status.code(), text(stdout), text(stderr))
}

fn gateway() -> Running {
    Running::start(towpath(&["--listen", "127.0.0.1:0", "--test-services"]))
}

#[test]
fn programs_get_one_json_object_with_what_was_asked_for_and_what_came() {
    let gateway = gateway();
    let url = format!("http://{}/echo", gateway.address);
    let pid = gateway.child.id().to_string();
    let more = ["--clients", "3", "--in-flight", "2", "--size", "100", "--server-pid", &pid, "--json"];
    let (status, report, beside) = bench(&[&["echo", &url], &more[..]].concat());
    assert_eq!((status, beside.as_str()), (Some(0), ""), "{report}");
    assert_eq!(report.lines().count(), 1);
    let json: Value = serde_json::from_str(&report).expect("it is JSON");
    for (path, expected) in [
        ("/scenario", Value::from("echo")),
        ("/url", url.into()),
        ("/transport", "websocket".into()),
        ("/clients", 3.into()),
        ("/size", 100.into()),
        ("/in_flight", 2.into()),
        ("/messages/lost", 0.into()),
        ("/messages/duplicated", 0.into()),
        ("/messages/out_of_order", 0.into()),
        ("/connect_us/count", 3.into()),
        ("/server/pid", gateway.child.id().into()),
        ("/failures", Value::Array(Vec::new())),
    ] {
        assert_eq!(json.pointer(path), Some(&expected), "{path} of {report}");
    }
    for path in ["/server/cpu_us", "/server/resident_before", "/server/resident_after", "/load/busy", "/seconds"] {
        assert!(json.pointer(path).is_some_and(Value::is_number), "{path} of {report}");
    }
}

#[test]
fn people_get_a_few_lines() {
    let gateway = gateway();
    let url = format!("http://{}/stomp", gateway.address);
    let (status, report, beside) = bench(&["fanout", &url, "--clients", "4", "--mix", "websocket=3,xhr-polling=1"]);
    assert_eq!((status, beside.as_str()), (Some(0), ""), "{report}");
    for part in ["fanout over websocket=3,xhr-polling=1: 4 clients at ", "\n  measured ", "\n  latency ", "0 lost"] {
        assert!(report.contains(part), "{part} in {report}");
    }
}

/// Takes websockets and everything that they say, and says nothing.
fn swallower() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                );
                while stream.read(&mut request).is_ok_and(|read| read > 0) {}
            });
        }
    });
    address
}

#[test]
fn what_does_not_come_back_is_lost_and_gives_1() {
    let url = format!("ws://{}/", swallower());
    for pace in [["--in-flight", "2"], ["--rate", "100"]] {
        let more = ["--clients", "3", "--patience", "300ms", "--json"];
        let (status, report, _) = bench(&[&["echo", &url], &pace[..], &more].concat());
        assert_eq!(status, Some(1), "{report}");
        let json: Value = serde_json::from_str(&report).expect("it is JSON");
        let count = |name: &str| json["messages"][name].as_u64().expect("a number");
        assert!(count("sent") > 0, "{report}");
        assert_eq!((count("lost"), count("received")), (count("expected"), 0), "{report}");
    }
}

#[test]
fn what_cannot_be_run_gives_2_and_says_why() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://{gone}/echo");
    for (arguments, why) in [
        (vec!["echo", gone.as_str()], "no client could connect"),
        (vec!["echo", "http://192.0.2.1/echo"], "add --yes"),
        (vec!["echo", "nonsense"], "the URL must be"),
        (vec!["echo", "https://127.0.0.1/echo"], "there is no TLS here"),
        (vec!["echo", "tcp://127.0.0.1:1"], "STOMP only"),
        (vec!["echo", &gone, "--clients", "0"], "1 to 100000 clients"),
        (vec!["echo", &gone, "--size", "23"], "24"),
        (vec!["echo", &gone, "--rate", "0"], "the rate must be"),
        (vec!["echo", &gone, "--rate", "1", "--in-flight", "1"], "cannot be used with"),
        (vec!["echo", &gone, "--mix", "websocket"], "has no share"),
        (vec!["echo", &gone, "--transport", "eventsource"], "is none of"),
        (vec!["echo", &gone, "--server-pid", "4294967294"], "no process"),
        (vec!["everything", &gone], "invalid value"),
    ] {
        let (status, report, beside) = bench(&arguments);
        assert_eq!((status, report.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(beside.contains(why), "{why} in {beside}");
    }
}
