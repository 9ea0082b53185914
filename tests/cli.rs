//! The `towpath` command as a new user meets it: what it prints, what it refuses and how, and that it stops when told to.

#[path = "support/binary.rs"]
mod binary;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use binary::{Running, towpath};

fn tcp_address(gateway: &Running) -> SocketAddr {
    let line = gateway.printed.lines().find(|line| line.contains("STOMP over TCP")).expect("it says where");
    line.split_whitespace().find_map(|word| word.strip_prefix("tcp://")?.parse().ok()).expect("an address")
}

/// Runs the command to its end.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = towpath(arguments).output().expect("the binary is built");
    (status.code(), String::from_utf8(stderr).expect("messages are text"))
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("there is room for a small file");
    path
}

#[test]
fn it_starts_without_configuration_and_says_where_everything_is() {
    let gateway = Running::start(towpath(&["--listen", "127.0.0.1:0"]));
    let address = gateway.address;
    assert_ne!(address.port(), 0, "the real port is printed");
    for url in [format!("http://{address}/"), format!("http://{address}/stomp"), format!("ws://{address}/stomp")] {
        assert!(gateway.printed.split_whitespace().any(|word| word == url), "{url} in\n{}", gateway.printed);
    }
    assert!(gateway.get("/").contains("<title>"));
    assert!(gateway.get("/stomp").ends_with("Welcome to SockJS!\n"));
    assert!(gateway.get("/echo").starts_with("HTTP/1.1 404"), "test services are asked for");
    assert!(gateway.get("/metrics").starts_with("HTTP/1.1 404"), "metrics are asked for");
}

#[test]
fn serve_is_the_default_subcommand_and_test_services_are_an_option() {
    let gateway = Running::start(towpath(&["serve", "--listen", "127.0.0.1:0", "--test-services"]));
    for path in
        ["echo", "disabled_websocket_echo", "cookie_needed_echo", "close", "amplify", "ticker", "broadcast", "farewell"]
    {
        assert!(gateway.get(&format!("/{path}")).ends_with("Welcome to SockJS!\n"), "{path}");
        assert!(gateway.printed.contains(&format!("/{path}\n")), "{path} in\n{}", gateway.printed);
    }
}

#[test]
fn the_client_url_reaches_the_iframe_pages_of_all_endpoints() {
    let script = "/lib/sockjs.js";
    let gateway = Running::start(towpath(&["--listen", "127.0.0.1:0", "--test-services", "--client-url", script]));
    for endpoint in ["stomp", "echo"] {
        assert!(gateway.get(&format!("/{endpoint}/iframe.html")).contains(&format!("src=\"{script}\"")), "{endpoint}");
    }
    let gateway = Running::start(towpath(&["--listen", "127.0.0.1:0"]));
    let page = gateway.get("/stomp/iframe-1.6.1.html");
    assert!(page.contains("sockjs-client@1.6.1/"), "the script is of the version that the client asks for: {page}");
}

#[test]
fn a_configuration_file_is_read_and_the_option_overrides_its_address() {
    let config = file(
        "whole.toml",
        "listen = \"127.0.0.1:1\"\nmetrics_path = \"/metrics\"\nlanding_page = false\n[[endpoint]]\npath = \"/a/b\"\nservice = \"echo\"\n",
    );
    let gateway = Running::start(towpath(&["--config", config.to_str().unwrap(), "--listen", "127.0.0.1:0"]));
    assert!(gateway.get("/a/b/").ends_with("Welcome to SockJS!\n"));
    assert!(gateway.get("/").starts_with("HTTP/1.1 404"));
    assert!(gateway.get("/stomp").starts_with("HTTP/1.1 404"));
    // The connections of the requests before may take a moment to go.
    let mut pages = (0..100).map(|_| gateway.get("/metrics"));
    let alone = pages.find(|metrics| metrics.contains("\ntowpath_connections 1\n")).expect("the connection that asks");
    assert!(alone.contains("# HELP towpath_connections"), "{alone}");
}

#[test]
fn a_wrong_configuration_is_refused_with_its_place_and_the_mend() {
    let config = file("wrong.toml", "[[endpoint]]\npath = \"/a\"\nheartbeet = \"3s\"\n");
    let (status, message) = refused(&["--config", config.to_str().unwrap()]);
    assert_eq!(status, Some(2));
    assert!(message.contains("wrong.toml:3: unknown key `heartbeet`"), "{message}");
    assert!(message.contains("did you mean `heartbeat`?"), "{message}");

    let (status, message) = refused(&["--config", "no/such/file.toml"]);
    assert_eq!(status, Some(2));
    assert!(message.contains("no/such/file.toml: cannot read the configuration"), "{message}");

    let clash = file("clash.toml", "[[endpoint]]\npath = \"/echo\"\n");
    let (status, message) = refused(&["--config", clash.to_str().unwrap(), "--test-services"]);
    assert_eq!(status, Some(2));
    assert!(message.contains("/echo"), "{message}");
}

#[test]
fn a_configuration_is_checked_without_running_it() {
    let good = file(
        "good.toml",
        "listen = \"127.0.0.1:1\"\n[stomp]\nmax_body = \"1MiB\"\nmax_headers = 7\n[broker]\nqueue_messages = 5\n[[destination]]\npattern = \"/topic/a\"\noverflow = \"conflate\"\n",
    );
    let mut command = towpath(&["check", good.to_str().unwrap()]);
    command
        .env("TOWPATH_STOMP_MAX_HEADERS", "8")
        .env("TOWPATH_API_TOKEN", "0123456789abcdef")
        .env("TOWPATH_LOG", "warn");
    let Output { status, stdout, .. } = command.output().expect("the binary is built");
    let printed = String::from_utf8(stdout).unwrap();
    assert_eq!(status.code(), Some(0), "{printed}");
    let said: Vec<_> = printed.lines().skip(1).collect();
    let expected = [
        "listen = \"127.0.0.1:1\"  # line 1; default: \"127.0.0.1:8080\"",
        "",
        "[stomp]",
        "max_headers = 8  # TOWPATH_STOMP_MAX_HEADERS; default: 100",
        "",
        "[broker]",
        "queue_messages = 5  # line 6; default: 10000",
        "",
        "[api]",
        "token = \"***\"  # TOWPATH_API_TOKEN; default: left out",
        "",
        "[[destination]]",
        "pattern = \"/topic/a\"  # line 8; default: \"\"",
        "overflow = \"conflate\"  # line 9; default: \"close\"",
    ];
    assert_eq!(said, expected, "what is as by default is not repeated");

    let wrong = file("checked.toml", "[stomp]\nmax_bdy = \"1MiB\"\n");
    let (status, message) = refused(&["check", wrong.to_str().unwrap()]);
    assert_eq!(status, Some(2));
    assert!(
        message.contains("checked.toml:2: unknown key `max_bdy` in [stomp]; did you mean `max_body`?"),
        "{message}"
    );
    let (status, message) = refused(&["check"]);
    assert_eq!(status, Some(2));
    assert!(message.contains("<FILE>"), "{message}");
}

#[test]
fn an_address_that_is_taken_is_named_with_the_mend() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (status, message) = refused(&["--listen", &address]);
    assert_eq!(status, Some(2));
    assert!(message.contains(&address) && message.contains("--listen"), "{message}");
}

#[test]
fn the_port_for_stomp_over_tcp_is_asked_for_and_printed() {
    let without = Running::start(towpath(&["--listen", "127.0.0.1:0"]));
    assert!(!without.printed.contains("TCP"), "{}", without.printed);

    let gateway = Running::start(towpath(&["--listen", "127.0.0.1:0", "--tcp", "127.0.0.1:0"]));
    let mut stream = TcpStream::connect(tcp_address(&gateway)).expect("it listens where it says");
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0DISCONNECT\nreceipt:bye\n\n\0").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("CONNECTED\n") && answer.ends_with("\0RECEIPT\nreceipt-id:bye\n\n\0"), "{answer}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (status, message) = refused(&["--listen", "127.0.0.1:0", "--tcp", &address]);
    assert_eq!(status, Some(2));
    assert!(message.contains(&address) && message.contains("--tcp") && !message.contains("--listen"), "{message}");
}

#[test]
fn wrong_options_are_refused() {
    for arguments in [&["--listen", "nowhere"][..], &["--tcp", "61613"], &["--no-such-option"], &["no-such-command"]] {
        let (status, message) = refused(arguments);
        assert_eq!(status, Some(2), "{arguments:?}");
        assert!(message.contains("Usage") || message.contains("--help"), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_in_order_and_its_clients_are_told() {
    let mut gateway = Running::start(towpath(&["--listen", "127.0.0.1:0", "--test-services"]));
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "POST /echo/0/s/xhr_streaming HTTP/1.0\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "o\n" {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the stream begins");
    }
    let pid = gateway.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "c[1001,\"Server shutdown\"]\n");
    assert_eq!(gateway.child.wait().unwrap().code(), Some(0));
}
