//! `towpath conformance` as a user meets it: its exit status, where the report goes, what it refuses and how, and what is shown only
//! at a terminal.

#[path = "support/binary.rs"]
mod binary;

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use binary::{Running, towpath};

/// A check of the official suite, which stays.
const INFO: &str = "InfoTest.test_basic";

/// The exit status, what was printed, and what was said beside it.
fn conformance(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = towpath(&[&["conformance"], arguments].concat()).output();
    let Output { status, stdout, stderr } = output.expect("the binary is built");
    let text = |bytes| String::from_utf8(bytes).expect("all is text");
    (status.code(), text(stdout), text(stderr))
}

fn gateway() -> Running {
    Running::start(towpath(&["--listen", "127.0.0.1:0", "--test-services", "--tcp", "127.0.0.1:0"]))
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A port at which everybody who knocks is noticed.
fn listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn nobody_knocked(listener: &TcpListener) -> bool {
    listener.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// The ids in a list, each with the words before it.
fn ids(list: &str) -> Vec<(String, String)> {
    let lines = list.lines().filter_map(|line| line.strip_prefix("  "));
    let id = |line: &str| {
        let (before, rest) = line.split_at(14);
        (rest.split_whitespace().next().expect("an id").to_owned(), before.trim().to_owned())
    };
    lines.map(id).collect()
}

#[test]
fn a_server_that_keeps_to_the_rules_gives_0_and_one_that_does_not_gives_1() {
    let gateway = gateway();
    let url = format!("http://{}", gateway.address);
    let (status, report, beside) = conformance(&["sockjs", &url, "--filter", INFO]);
    assert_eq!((status, beside.as_str()), (Some(0), ""), "{report}");
    assert!(report.starts_with(&format!("SockJS, {url}\n")), "{report}");
    assert!(report.ends_with("\nEvery demand that was judged is met.\n"), "{report}");

    let (status, report, beside) = conformance(&["sockjs", &url, "--filter", INFO, "--echo", "/nowhere"]);
    assert_eq!((status, beside.as_str()), (Some(1), ""), "{report}");
    for part in [INFO, "\nFailed (", "    seen     ", "404", "    wanted   ", "curl ", "/nowhere"] {
        assert!(report.contains(part), "{part} in {report}");
    }

    let tcp = gateway.printed.split_whitespace().find(|word| word.starts_with("tcp://")).expect("it says where");
    let (_, list, _) = conformance(&["stomp", "--list", "--level", "must"]);
    let (status, report, beside) = conformance(&["stomp", tcp, "--filter", &ids(&list)[0].0, "--format", "lines"]);
    assert_eq!((status, beside.as_str()), (Some(0), ""), "{report}");
    assert!(report.contains(&format!("passed       {}@tcp\n", ids(&list)[0].0)), "{report}");
}

#[test]
fn a_server_that_is_not_there_gives_2_and_a_sentence_with_the_mend() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (suite, url) in [("sockjs", format!("http://{taken}")), ("stomp", format!("tcp://{taken}"))] {
        let (status, report, message) = conformance(&[suite, &url]);
        assert_eq!((status, report.as_str()), (Some(2), ""), "{message}");
        assert!(message.starts_with("towpath: ") && message.contains(&url), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    let (_, _, message) = conformance(&["sockjs", &format!("http://{taken}")]);
    assert!(message.contains("start the server, or mend the URL"), "{message}");
}

#[test]
fn other_machines_are_left_alone_unless_told() {
    for arguments in
        [["sockjs", "http://192.0.2.1/"], ["sockjs", "https://[2001:db8::1]/"], ["stomp", "tcp://192.0.2.1:61613"]]
    {
        let (status, report, message) = conformance(&arguments);
        assert_eq!((status, report.as_str()), (Some(2), ""), "{message}");
        for part in ["is another machine", "--yes", "up to 32 connections", "up to 4 at a time"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
    // The address that stands for all of this machine's is none that is this machine's for sure.
    let listener = listener();
    let url = format!("http://0.0.0.0:{}", listener.local_addr().unwrap().port());
    assert_eq!(conformance(&["sockjs", &url]).0, Some(2));
    assert!(nobody_knocked(&listener), "nothing is sent before it is allowed");
    let gateway = gateway();
    let url = format!("http://0.0.0.0:{}", gateway.address.port());
    let (status, report, message) = conformance(&["sockjs", &url, "--filter", INFO, "--yes"]);
    assert_eq!(status, Some(0), "{report}{message}");
}

#[test]
fn the_checks_are_listed_and_explained_without_a_server() {
    for suite in ["sockjs", "stomp"] {
        let (status, list, beside) = conformance(&[suite, "--list"]);
        assert_eq!((status, beside.as_str()), (Some(0), ""), "{suite}");
        let all = ids(&list);
        let (id, _) = &all[0];
        assert!(all.iter().all(|(_, before)| ["must", "should", "may"].contains(&before.split(' ').next().unwrap())));

        let (status, explanation, beside) = conformance(&[suite, "--explain", id]);
        assert_eq!((status, beside.as_str()), (Some(0), ""), "{id}");
        for part in [id.as_str(), "  demands  ", "  source   ", "  why      "] {
            assert!(explanation.contains(part), "{part} in {explanation}");
        }
        let mistyped = format!("{}{}", &id[..3], &id[4..]);
        let (status, _, message) = conformance(&[suite, "--explain", &mistyped]);
        assert_eq!(status, Some(2));
        assert!(message.contains("did you mean") && message.contains(id.as_str()), "{message}");

        let (_, musts, _) = conformance(&[suite, "--list", "--level", "must"]);
        assert!(!musts.is_empty() && ids(&musts).iter().all(|(_, before)| before.starts_with("must")), "{musts}");
        let (status, _, message) = conformance(&[suite, "--list", "--filter", "nothing-has-this"]);
        assert_eq!(status, Some(2));
        assert!(message.contains("--filter") && message.contains("--list"), "{message}");
    }
    let (_, filtered, _) = conformance(&["sockjs", "--list", "--filter", INFO]);
    assert!(ids(&filtered).iter().all(|(id, _)| id == INFO), "{filtered}");
    let (_, without, _) = conformance(&["stomp", "--list", "--filter", "!connect"]);
    assert!(!ids(&without).iter().any(|(id, _)| id.contains("connect")), "{without}");
}

#[test]
fn wrong_options_are_refused_with_what_would_be_right() {
    for (arguments, mend) in [
        (&["sockjs"][..], "<URL>"),
        (&["stomp"], "<URL>"),
        (&["stomp", "127.0.0.1:61613"], "tcp://127.0.0.1:61613"),
        (&["sockjs", "127.0.0.1:8080"], "http://127.0.0.1:8080"),
        (&["sockjs", "tcp://127.0.0.1:1"], "http://127.0.0.1:8080"),
        (&["sockjs", "--list", "--format", "xml"], "text, json, junit, tap, html, lines"),
        (&["sockjs", "--list", "--level", "shall"], "must, should, may"),
        (&["stomp", "--list", "--dialect", "artemis"], "towpath, rabbitmq, activemq, spring"),
        (&["stomp", "--list", "--passcode", "p"], "--login"),
        (&["sockjs", "--list", "--patience", "0s"], "10ms"),
        (&["sockjs", "--list", "--connections", "1"], "8"),
        (&["sockjs", "--list", "--jobs", "0"], "1..=64"),
        (&["sockjs", "--list", "--echo", "echo/"], "/path"),
    ] {
        let (status, _, message) = conformance(arguments);
        assert_eq!(status, Some(2), "{arguments:?}");
        assert!(message.contains(mend), "{mend} in {message}");
    }
}

#[test]
fn a_report_goes_to_a_file_in_any_format_and_what_came_of_it_is_printed() {
    let gateway = gateway();
    let url = format!("http://{}", gateway.address);
    for (format, beginning) in [
        ("text", "SockJS, "),
        ("json", "{\n  \"version\": 1,"),
        ("junit", "<?xml "),
        ("tap", "TAP version 14\n"),
        ("html", "<!DOCTYPE html>"),
        ("lines", "passed       InfoTest.test_basic\n"),
    ] {
        let path = file(&format!("conformance.{format}"));
        // What was there before is not left behind a shorter report.
        fs::write(&path, "x".repeat(1 << 20)).unwrap();
        let name = path.to_str().unwrap();
        let (status, printed, _) =
            conformance(&["sockjs", &url, "--filter", INFO, "--format", format, "--output", name]);
        assert_eq!(status, Some(0), "{format}");
        assert_eq!(printed, format!("Every demand that was judged is met.\nThe report is in {name}.\n"));
        let report = fs::read_to_string(&path).unwrap();
        assert!(report.starts_with(beginning) && !report.contains("xxxx"), "{format}: {report}");
        let (_, printed, _) = conformance(&["sockjs", &url, "--filter", INFO, "--format", format]);
        assert!(printed.starts_with(beginning), "without a file it is printed: {printed}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_found_out_before_the_server_is_asked() {
    let listener = listener();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (status, _, message) = conformance(&["sockjs", &url, "--output", "no/such/folder/report.html"]);
    assert_eq!(status, Some(2));
    assert!(
        message.contains("no/such/folder/report.html cannot be written") && message.contains("--output"),
        "{message}"
    );
    assert!(nobody_knocked(&listener));
}

#[test]
fn a_run_that_judges_nothing_is_no_success() {
    let gateway = gateway();
    let tcp = gateway.printed.split_whitespace().find(|word| word.starts_with("tcp://")).expect("it says where");
    let (_, list, _) = conformance(&["stomp", "--list"]);
    let all = ids(&list);
    let alone = |id: &str| all.iter().filter(|(other, _)| other.contains(id)).count() == 1;
    let slow = all.iter().find(|(id, before)| before.ends_with("slow") && alone(id)).expect("some check is slow");
    let (status, report, message) = conformance(&["stomp", tcp, "--filter", &slow.0]);
    assert_eq!(status, Some(2), "{report}");
    assert!(report.contains("Nothing was judged") && message.contains("--slow"), "{report}{message}");
}

/// Runs the command at a terminal of its own, and gives all that came to it.
#[cfg(unix)]
fn at_a_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let program = "
import os, pty, sys
def read(terminal):
    data = os.read(terminal, 65536)
    return data
status = pty.spawn(sys.argv[1:], read)
sys.exit(os.waitstatus_to_exitcode(status))";
    let towpath = towpath(&[]);
    let mut command = Command::new("python3");
    command.args(["-c", program]).arg(towpath.get_program()).arg("conformance").args(arguments);
    command
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .envs(variables.iter().copied())
        .stdin(std::process::Stdio::null());
    let Output { stdout, .. } =
        command.output().expect("this test needs python3, and nothing but its standard library");
    String::from_utf8(stdout).unwrap()
}

#[cfg(unix)]
#[test]
fn progress_and_colours_are_for_terminals() {
    let gateway = gateway();
    let url = format!("http://{}", gateway.address);
    let arguments = ["sockjs", &url, "--filter", INFO];
    let shown = at_a_terminal(&arguments, &[]);
    assert!(shown.contains("\r\u{1b}[2K1 of 1, 0 failed: "), "{shown:?}");
    assert!(shown.contains("\u{1b}[32m"), "{shown:?}");
    let without = at_a_terminal(&arguments, &[("NO_COLOR", "1")]);
    assert!(without.contains("1 of 1, 0 failed") && !without.contains("\u{1b}[32m"), "{without:?}");
    let dumb = at_a_terminal(&arguments, &[("TERM", "dumb")]);
    assert!(dumb.contains("Every demand") && !dumb.contains('\u{1b}'), "{dumb:?}");
}
