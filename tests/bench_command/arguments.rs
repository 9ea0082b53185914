//! What the command refuses, with which words, and that nobody is asked for anything before.
//!
//! Does not know: what a run does.

use std::io::ErrorKind;
use std::net::TcpListener;

use super::bench;

/// A port at which everybody who knocks is noticed.
fn listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

#[test]
fn wrong_options_are_refused_with_the_option_and_what_would_be_right() {
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let mut wrong = Vec::new();
    for (arguments, option, mend) in [
        ("", "Usage", "SCENARIO"),
        ("echo", "<URL>", "Usage"),
        ("shout http://{}/echo", "shout", "echo, fanout, rooms, queue, churn, idle, post"),
        ("echo {}/echo", "URL", "http://"),
        ("echo https://{}/echo", "URL", "TLS"),
        ("echo ftp://{}/echo", "URL", "http://"),
        ("echo http://{}/echo --clients 0", "--clients", "1"),
        ("echo http://{}/echo --clients 1000000", "--clients", "100000"),
        ("echo http://{}/echo --size 3", "--size", "24"),
        ("echo http://{}/echo --size 100000000", "--size", "1048576"),
        ("echo http://{}/echo --rate 0", "--rate", "above 0"),
        ("echo http://{}/echo --rate=-5", "--rate", "above 0"),
        ("echo http://{}/echo --rate NaN", "--rate", "above 0"),
        ("echo http://{}/echo --in-flight 0", "--in-flight", "1"),
        ("echo http://{}/echo --rate 10 --in-flight 1", "--in-flight", "--rate"),
        ("echo http://{}/echo --duration 2h", "--duration", "1h"),
        ("echo http://{}/echo --duration 0s", "--duration", "0"),
        ("echo http://{}/echo --duration soon", "--duration", "30s"),
        ("echo http://{}/echo --warm-up 2h", "--warm-up", "1h"),
        ("echo http://{}/echo --patience 0s", "--patience", "0"),
        ("echo http://{}/echo --sources 0", "--sources", "1"),
        ("echo http://{}/echo --transport carrier-pigeon", "--transport", "xhr-polling"),
        ("echo http://{}/echo --transport tcp", "tcp", "http://"),
        ("echo ws://{}/echo --transport xhr-polling", "xhr-polling", "ws://"),
        ("echo tcp://{}", "TCP", "STOMP"),
        ("churn tcp://{}", "TCP", "--stomp"),
        ("post ws://{}/echo", "POST", "http://"),
        ("echo http://{}/echo --mix websocket", "--mix", "websocket=60"),
        ("echo http://{}/echo --mix websocket=0", "--mix", "1"),
        ("echo http://{}/echo --mix websocket=1,pigeon=2", "--mix", "xhr-polling"),
        ("echo http://{}/echo --mix websocket=1,websocket=2", "--mix", "twice"),
        ("echo http://{}/echo --mix websocket=1,tcp=1", "tcp", "http://"),
        ("echo ws://{}/echo --mix websocket=1,xhr-polling=1", "websocket", "ws://"),
        ("echo http://{}/echo --mix websocket=1 --transport websocket", "--transport", "--mix"),
        ("queue tcp://{} --ack sometimes", "--ack", "auto, client-individual"),
        ("queue tcp://{} --producers 0", "--producers", "1"),
        ("queue tcp://{} --consumers 0", "--consumers", "1"),
        ("queue tcp://{} --prefetch 0", "--prefetch", "1"),
        ("rooms http://{}/stomp --topics 0", "--topics", "1"),
        ("rooms http://{}/stomp --topics 2 --members 5 --clients 3", "--members", "--clients"),
        ("churn http://{}/echo --cycles 0", "--cycles", "1"),
        ("echo http://{}/echo --nonsense", "--nonsense", "--help"),
        // An option that the scenario does not have would be passed over in silence.
        ("echo http://{}/echo --cycles 5", "--cycles", "churn"),
        ("idle http://{}/echo --rate 5", "--rate", "echo, fanout"),
        ("idle http://{}/echo --size 50", "--size", "echo, fanout"),
        ("churn http://{}/echo --in-flight 5", "--in-flight", "echo, fanout"),
        ("echo http://{}/echo --destination /topic/x", "--destination", "fanout, rooms"),
        ("post http://{}/echo --transport websocket", "--transport", "leave it out"),
        ("fanout http://{}/stomp --beside-destination /topic/x", "--beside", "--beside-destination"),
        ("fanout http://{}/stomp --producers 5", "--producers", "queue"),
        ("echo http://{}/echo --stomp", "--stomp", "churn"),
        ("echo http://{}/echo --beside 5", "--beside", "fanout"),
        ("queue tcp://{} --topics 5", "--topics", "rooms"),
        ("queue tcp://{} --clients 5", "--clients", "--consumers"),
        ("echo http://{}/echo --server-pid 4194305", "4194305", "--server-pid"),
    ] {
        let ran = bench(&arguments.replace("{}", &address.to_string()));
        let words = [option, mend].iter().all(|part| ran.beside.contains(part));
        if ran.status != Some(2) || !ran.printed.is_empty() || !words {
            wrong.push(format!("{arguments}: {option}, {mend}: {ran:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(listener.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "nobody is asked before");
}

#[test]
fn other_machines_are_left_alone_unless_told() {
    for arguments in [
        "echo http://192.0.2.1/echo",
        "queue tcp://192.0.2.1:61613",
        "fanout ws://[2001:db8::1]/stomp",
        "post http://192.0.2.1/",
    ] {
        let ran = bench(arguments);
        assert_eq!((ran.status, ran.printed.as_str()), (Some(2), ""), "{ran:#?}");
        for part in ["is another machine", "--yes"] {
            assert!(ran.beside.contains(part), "{part} for {arguments} in {}", ran.beside);
        }
    }
    // What would be done is said: so many connections, and so much on them.
    let ran = bench("echo http://192.0.2.1/echo --clients 1234 --rate 567");
    assert!(ran.beside.contains("1234 clients") && ran.beside.contains("567 messages a second for 11s"), "{ran:#?}");
    // The address that stands for all of this machine's is none that is this machine's for sure.
    let listener = listener();
    let port = listener.local_addr().unwrap().port();
    let ran = bench(&format!("echo http://0.0.0.0:{port}/echo"));
    assert_eq!(ran.status, Some(2), "{ran:#?}");
    assert!(listener.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "nobody is asked before");
    let short = "--clients 1 --duration 100ms --warm-up 0s --patience 200ms";
    let ran = bench(&format!("echo http://0.0.0.0:{port}/echo --yes {short}"));
    assert!(!ran.beside.contains("another machine"), "{ran:#?}");
    assert!(listener.accept().is_ok(), "with --yes it is asked");
}

#[test]
fn help_names_every_scenario_and_option() {
    let ran = bench("--help");
    assert_eq!((ran.status, ran.beside.as_str()), (Some(0), ""), "{ran:#?}");
    for part in ["echo", "fanout", "rooms", "queue", "churn", "idle", "post"] {
        assert!(ran.printed.contains(part), "{part} in {}", ran.printed);
    }
    for option in [
        "transport",
        "mix",
        "stomp",
        "clients",
        "topics",
        "members",
        "producers",
        "consumers",
        "ack",
        "prefetch",
        "destination",
        "beside",
        "beside-destination",
        "size",
        "rate",
        "in-flight",
        "duration",
        "warm-up",
        "cycles",
        "server-pid",
        "sources",
        "patience",
        "login",
        "json",
        "yes",
    ] {
        assert!(ran.printed.contains(&format!("--{option}")), "--{option} in {}", ran.printed);
    }
}
