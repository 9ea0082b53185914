//! Servers that are down, silent, broken or full of garbage: every run ends by itself, and says what was seen.
//!
//! Does not know: how these servers do it.

use super::bad::{Deed, InSession, InSocket, InStomp, start};
use super::{Ran, bench, side_by_side};

/// Short; whoever is silent is waited for no longer than this.
const SHORT: &str = "--rate 100 --warm-up 0s --duration 300ms --patience 500ms";

const ECHO: &str = "echo http://{}/echo --clients 2";
const RAW: &str = "echo ws://{}/echo --clients 2";
const POLLING: &str = "echo http://{}/echo --clients 2 --transport xhr-polling";
const STREAMING: &str = "echo http://{}/echo --clients 2 --transport xhr-streaming";
const FANOUT: &str = "fanout tcp://{} --clients 2";
const QUEUE: &str = "queue tcp://{} --producers 1 --consumers 1";
const CHURN: &str = "churn http://{}/echo --clients 2 --cycles 10";
const STOMP_CHURN: &str = "churn tcp://{} --stomp --clients 2 --cycles 10";
const IDLE: &str = "idle http://{}/echo --clients 2";
const POST: &str = "post http://{}/echo --clients 2";

/// The run could not begin.
const NOT_BEGUN: i32 = 2;
/// It began, and something went wrong.
const WRONG: i32 = 1;

const HTML: &str = "<!DOCTYPE html><html>An error has no page of its own</html>";

/// A load, what goes wrong for it, its exit status, and a part of what is said.
type Case = (&'static str, Deed, i32, &'static str);

fn look(case: &Case) {
    let (what, deed, status, said) = *case;
    let server = start(deed);
    let what = what.replace("{}", &server.address.to_string());
    for json in ["", "--json"] {
        let ran = bench(&format!("{what} {SHORT} {json}"));
        assert_eq!(ran.status, Some(status), "{case:?} {ran:#?}");
        let Ran { printed, beside, .. } = &ran;
        match status {
            NOT_BEGUN => {
                assert_eq!(printed, "", "{case:?}");
                assert!(beside.starts_with("towpath: ") && beside.contains(said), "{said} for {case:?} in {beside}");
                assert_eq!(beside.lines().count(), 1, "{case:?} {beside}");
            }
            _ if json.is_empty() => assert!(printed.contains(said), "{said} for {case:?} in {printed}"),
            _ => {
                let json = ran.json();
                let failures = json["failures"].as_array().expect("there are failures");
                let fits =
                    |failure: &serde_json::Value| failure["what"].as_str().is_some_and(|what| what.contains(said));
                assert!(failures.iter().any(fits), "{said} for {case:?} in {printed}");
            }
        }
    }
}

#[test]
fn nobody_is_there() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let all = [ECHO, RAW, POLLING, STREAMING, FANOUT, QUEUE, CHURN, STOMP_CHURN, IDLE, POST];
    side_by_side(&all, |what| {
        let ran = bench(&format!("{} {SHORT} --json", what.replace("{}", &taken.to_string())));
        assert_eq!((ran.status, ran.printed.as_str()), (Some(NOT_BEGUN), ""), "{what} {ran:#?}");
        assert!(ran.beside.starts_with("towpath: ") && ran.beside.contains("refused"), "{what} {ran:#?}");
    });
}

#[test]
fn nothing_is_said_on_a_connection() {
    let all = [
        (ECHO, "the answer to a handshake"),
        (RAW, "the answer to a handshake"),
        (POLLING, "the open frame"),
        (STREAMING, "the open frame"),
        (FANOUT, "CONNECTED"),
        (QUEUE, "CONNECTED"),
        (CHURN, "the answer to a handshake"),
        (STOMP_CHURN, "CONNECTED"),
        (IDLE, "the answer to a handshake"),
    ];
    side_by_side(&all, |(what, said)| look(&(what, Deed::Silent, NOT_BEGUN, said)));
    look(&(POST, Deed::Silent, WRONG, "did not come within 500ms"));
}

#[test]
fn connections_end_before_anything_is_said() {
    let all = [ECHO, RAW, POLLING, STREAMING, FANOUT, QUEUE, CHURN, STOMP_CHURN, IDLE];
    side_by_side(&all, |what| look(&(what, Deed::Ends, NOT_BEGUN, "closed a connection without a word")));
    side_by_side(&all, |what| look(&(what, Deed::Reset, NOT_BEGUN, "a connection broke: connection reset")));
    look(&(POST, Deed::Ends, WRONG, "closed a connection without a word"));
}

#[test]
fn what_answers_is_no_such_server() {
    let mut all = Vec::new();
    for (status, said) in [(500, "500"), (404, "404"), (403, "403"), (301, "301"), (200, "200")] {
        all.extend([ECHO, RAW, CHURN, IDLE].map(|what| (what, Deed::Answers(status, HTML), NOT_BEGUN, said)));
        let said = if status == 200 { "no SockJS frame" } else { said };
        all.extend([POLLING, STREAMING].map(|what| (what, Deed::Answers(status, HTML), NOT_BEGUN, said)));
    }
    all.push((POST, Deed::Answers(200, HTML), WRONG, "200"));
    all.push((POST, Deed::Answers(500, HTML), WRONG, "500"));
    // A web server that is asked for STOMP.
    all.push((FANOUT, Deed::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n\0"), NOT_BEGUN, "no STOMP frame"));
    side_by_side(&all, look);
}

#[test]
fn answers_have_no_end() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n";
    const LINE: &[u8] = b"X-Line: xxxxxxxxxxxxxxxxxxxxxxxxx\r\n";
    const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const CHUNK: &[u8] = b"8\r\nxxxxxxxx\r\n";
    const BYTES: &[u8] = &[b'x'; 4096];
    // One frame of more than any memory, and a message in frames without end.
    const VAST: &[u8] = b"\x81\x7f\x00\x00\x7f\xff\xff\xff\xff\xff";
    const PIECE: &[u8] = b"\x00\x10xxxxxxxxxxxxxxxx";
    let all = [
        (ECHO, Deed::Endless(HEAD, LINE), NOT_BEGUN, "larger than this client takes"),
        (POLLING, Deed::Endless(HEAD, LINE), NOT_BEGUN, "larger than this client takes"),
        (STREAMING, Deed::Endless(STREAM, CHUNK), NOT_BEGUN, "larger than this client takes"),
        (POST, Deed::Endless(HEAD, LINE), WRONG, "larger than this client takes"),
        (FANOUT, Deed::Endless(b"CONNECTED\n", BYTES), NOT_BEGUN, "larger than this client takes"),
        (ECHO, Deed::Socket(InSocket::OpensAndEndless(VAST, BYTES)), WRONG, "larger than this client takes"),
        (ECHO, Deed::Socket(InSocket::OpensAndEndless(b"\x01\x01x", PIECE)), WRONG, "larger than this client takes"),
        (
            STREAMING,
            Deed::Session(InSession::StreamEndless("8\r\nxxxxxxxx\r\n")),
            WRONG,
            "larger than this client takes",
        ),
    ];
    side_by_side(&all, look);
    // Heartbeats without end are no messages, and no failure by themselves: what was sent is lost.
    let beats = Deed::Socket(InSocket::OpensAndEndless(b"", b"\x81\x01h"));
    side_by_side(
        &[(ECHO, beats), (STREAMING, Deed::Session(InSession::StreamEndless("2\r\nh\n\r\n")))],
        |(what, deed)| {
            let server = start(*deed);
            let ran = bench(&format!("{} {SHORT} --json", what.replace("{}", &server.address.to_string())));
            assert_eq!(ran.status, Some(WRONG), "{what} {ran:#?}");
            let messages = &ran.json()["messages"];
            assert!(messages["sent"].as_u64() > Some(0) && messages["lost"] == messages["sent"], "{what} {ran:#?}");
        },
    );
}

#[test]
fn websockets_go_wrong() {
    let close: &[u8] = b"\x88\x05\x03\xf3bye";
    let all = [
        (ECHO, InSocket::Nothing, NOT_BEGUN, "the open frame"),
        (ECHO, InSocket::OtherKey, NOT_BEGUN, "Sec-WebSocket-Accept"),
        (ECHO, InSocket::OpensAndEnds, WRONG, "closed a connection without a word"),
        (IDLE, InSocket::OpensAndEnds, WRONG, "closed a connection without a word"),
        // A mask, a reserved bit, an opcode that there is not.
        (ECHO, InSocket::OpensAndSays(b"\x81\x81\x00\x00\x00\x00h"), WRONG, "that a server may not send"),
        (ECHO, InSocket::OpensAndSays(b"\xc1\x01h"), WRONG, "that a server may not send"),
        (ECHO, InSocket::OpensAndSays(b"\x83\x01h"), WRONG, "of no kind"),
        (ECHO, InSocket::OpensAndSays(b"\xff\xff\xff\xff"), WRONG, "that a server may not send"),
        (ECHO, InSocket::OpensAndSays(b"\x81\x03wat"), WRONG, "no SockJS frame: \"wat\""),
        (ECHO, InSocket::OpensAndSays(b"\x81\x04a[1]"), WRONG, "no SockJS frame"),
        (ECHO, InSocket::OpensAndSays(b"\x81\x00"), WRONG, "no SockJS frame"),
        // Half a frame, and nobody reads what is sent.
        (ECHO, InSocket::OpensAndSays(b"\x81\x7dhalf"), WRONG, "did not come within 500ms"),
        (ECHO, InSocket::OpensAndSays(b""), WRONG, "did not come within 500ms"),
        (ECHO, InSocket::EchoesAndSays(2, b"\x81\x12c[3000,\"Go away!\"]"), WRONG, "3000 Go away!"),
        (ECHO, InSocket::EchoesAndSays(2, close), WRONG, "1011 bye"),
        (ECHO, InSocket::EchoesAndSays(2, b"\x88\x00"), WRONG, "close without a code"),
        (CHURN, InSocket::EchoesAndSays(0, b"\x81\x12c[3000,\"Go away!\"]"), WRONG, "3000 Go away!"),
        (IDLE, InSocket::EchoesAndSays(0, b"\x81\x13c[2010,\"Other one\"]"), WRONG, "2010 Other one"),
    ];
    let all = all.map(|(what, deed, status, said)| (what, Deed::Socket(deed), status, said));
    side_by_side(&all, look);
}

#[test]
fn whoever_stops_reading_is_not_sent_to_for_ever() {
    let all = [
        (ECHO, Deed::Socket(InSocket::OpensAndSays(b""))),
        (STREAMING, Deed::Session(InSession::Mute)),
        (QUEUE, Deed::Stomp(InStomp::SendsBack("\n"))),
    ];
    side_by_side(&all, |(what, deed)| {
        let server = start(*deed);
        let what = what.replace("{}", &server.address.to_string());
        // More than any socket holds.
        let ran = bench(&format!("{what} {SHORT} --rate 1000 --size 100000 --json").replacen("--rate 100 ", "", 1));
        assert_eq!(ran.status, Some(WRONG), "{what} {ran:#?}");
        let messages = &ran.json()["messages"];
        assert!(messages["lost"].as_u64() > Some(0), "{what} {ran:#?}");
    });
}

#[test]
fn sessions_over_http_go_wrong() {
    use InSession::{Mute, PollAnswered, SendAnswered, StreamSays};
    let all = [
        (POLLING, SendAnswered(404), WRONG, "xhr_send was answered with 404"),
        (STREAMING, SendAnswered(500), WRONG, "xhr_send was answered with 500"),
        (POLLING, PollAnswered(404, ""), WRONG, "404"),
        (POLLING, PollAnswered(500, HTML), WRONG, "500"),
        (POLLING, PollAnswered(200, HTML), WRONG, "no SockJS frame"),
        (POLLING, PollAnswered(200, "c[3000,\"Go away!\"]\n"), WRONG, "3000 Go away!"),
        (POLLING, PollAnswered(200, "c[2010,\"Another connection still open\"]\n"), WRONG, "2010"),
        (POLLING, Mute, WRONG, "did not come within 500ms"),
        (STREAMING, Mute, WRONG, "did not come within 500ms"),
        (STREAMING, StreamSays("13\r\nc[3000,\"Go away!\"]\n\r\n"), WRONG, "3000 Go away!"),
        (STREAMING, StreamSays("4\r\nwat\n\r\n"), WRONG, "no SockJS frame"),
        (STREAMING, StreamSays("zz\r\n"), WRONG, "chunk"),
        (STREAMING, StreamSays("10\r\na[\"half"), WRONG, "closed a connection without a word"),
        (STREAMING, StreamSays(""), WRONG, "closed a connection without a word"),
    ];
    let all = all.map(|(what, deed, status, said)| (what, Deed::Session(deed), status, said));
    side_by_side(&all, look);
}

#[test]
fn stomp_goes_wrong() {
    use InStomp::{Answers, Greets, SendsBack};
    const ERROR: &str = "ERROR\nmessage:no such thing here\n\nlong\0";
    let all = [
        (FANOUT, Greets(ERROR), NOT_BEGUN, "no such thing here"),
        (QUEUE, Greets("ERROR\n\nwithout a header\0"), NOT_BEGUN, "without a header"),
        (STOMP_CHURN, Greets(ERROR), NOT_BEGUN, "no such thing here"),
        (FANOUT, Greets("HELLO\n\n\0"), NOT_BEGUN, "no STOMP frame"),
        (FANOUT, Greets("CONNECTED\nversion:1.2\n\n"), NOT_BEGUN, "CONNECTED did not come"),
        (FANOUT, Answers(ERROR), NOT_BEGUN, "no such thing here"),
        (FANOUT, Answers("\n"), NOT_BEGUN, "the receipt of SUBSCRIBE did not come"),
        (QUEUE, Answers("\n"), NOT_BEGUN, "the receipt of SUBSCRIBE did not come"),
        (FANOUT, SendsBack(ERROR), WRONG, "no such thing here"),
        (QUEUE, SendsBack(ERROR), WRONG, "no such thing here"),
        (FANOUT, SendsBack("MESSAGE\n\nnot for you\0"), WRONG, "a message came that nobody sent"),
        (FANOUT, SendsBack("\n"), WRONG, "did not come within 500ms"),
        (QUEUE, SendsBack("MESSAGE\nhalf:a fra"), WRONG, "did not come within 500ms"),
    ];
    let all = all.map(|(what, deed, status, said)| (what, Deed::Stomp(deed), status, said));
    side_by_side(&all, look);
}
