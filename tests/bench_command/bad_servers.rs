//! Servers that are down, silent, broken or full of garbage: every run ends by itself, and says what was seen.
//!
//! Does not know: how these servers do it.

use super::bad::{Deed, InSession, InSocket, InStomp, start};
use super::{Ran, bench, side_by_side};

/// Short; whoever is silent is waited for no longer than this.
const SHORT: &str = "--warm-up 0s --duration 300ms --patience 2s";

const ECHO: &str = "echo http://{}/echo --clients 2 --rate 100";
const RAW: &str = "echo ws://{}/echo --clients 2 --rate 100";
const POLLING: &str = "echo http://{}/echo --clients 2 --transport xhr-polling --rate 100";
const STREAMING: &str = "echo http://{}/echo --clients 2 --transport xhr-streaming --rate 100";
const FANOUT: &str = "fanout tcp://{} --clients 2 --rate 100";
const QUEUE: &str = "queue tcp://{} --producers 1 --consumers 1 --rate 100";
const CHURN: &str = "churn http://{}/echo --clients 2 --cycles 10";
const STOMP_CHURN: &str = "churn tcp://{} --stomp --clients 2 --cycles 10";
const IDLE: &str = "idle http://{}/echo --clients 2";
const POST: &str = "post http://{}/echo --clients 2";

/// The run could not begin.
const NOT_BEGUN: i32 = 2;
/// It began, and something went wrong.
const WRONG: i32 = 1;
/// One of these: nobody can say whether the last client was there already.
const EITHER: i32 = -1;

const HTML: &str = "<!DOCTYPE html><html>An error has no page of its own</html>";

/// Some megabytes in one piece are too much, if they come in time.
const TOO_LARGE: &str = "larger than this client takes or did not come within or nothing came for 2s";
/// Messages were sent, and that was all.
const STALLED: &str = "nothing came for 2s though messages were on their way";

/// A load, what goes wrong for it, its exit status, and a part of what is said, or one of two.
type Case = (&'static str, Deed, i32, &'static str);

/// What is wrong with a run, if anything is.
fn wrong(case: &Case) -> Option<String> {
    let (what, deed, status, said) = *case;
    let server = start(deed);
    let ran = bench(&format!("{} {SHORT} --json", what.replace("{}", &server.address.to_string())));
    let right = match ran.status {
        Some(NOT_BEGUN) => {
            let one_line = ran.beside.starts_with("towpath: ") && ran.beside.lines().count() == 1;
            ran.printed.is_empty() && one_line && said.split(" or ").any(|said| ran.beside.contains(said))
        }
        _ => failures(&ran).iter().any(|what| said.split(" or ").any(|said| what.contains(said))),
    };
    let fits =
        if status == EITHER { matches!(ran.status, Some(WRONG | NOT_BEGUN)) } else { ran.status == Some(status) };
    (!right || !fits).then(|| format!("{case:?}\n{ran:#?}"))
}

/// What a report says of failures.
fn failures(ran: &Ran) -> Vec<String> {
    let json = ran.json();
    let all = json["failures"].as_array().into_iter().flatten();
    all.map(|failure| failure["what"].as_str().expect("a text").to_owned()).collect()
}

/// Looks at all of these.
fn look(all: &[Case]) {
    let wrong: Vec<_> = side_by_side(all, wrong).into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
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
        (ECHO, "the answer to a websocket handshake did not come"),
        (RAW, "the answer to a websocket handshake did not come"),
        (POLLING, "the open frame of a session did not come"),
        (STREAMING, "the open frame of a session did not come"),
        (FANOUT, "CONNECTED"),
        (QUEUE, "CONNECTED"),
        (CHURN, "the answer to a websocket handshake did not come"),
        (STOMP_CHURN, "CONNECTED"),
        (IDLE, "the answer to a websocket handshake did not come"),
    ];
    look(&all.map(|(what, said)| (what, Deed::Silent, NOT_BEGUN, said)));
    look(&[(POST, Deed::Silent, WRONG, "did not come within 2s or nothing came for 2s")]);
}

#[test]
fn connections_end_before_anything_is_said() {
    let all = [ECHO, RAW, POLLING, STREAMING, FANOUT, QUEUE, CHURN, STOMP_CHURN, IDLE];
    look(&all.map(|what| (what, Deed::Ends, NOT_BEGUN, "closed a connection without a word")));
    look(&all.map(|what| (what, Deed::Reset, NOT_BEGUN, "a connection broke: connection reset")));
    look(&[(POST, Deed::Ends, WRONG, "closed a connection without a word")]);
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
    look(&all);
}

#[test]
fn answers_have_no_end() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n";
    const LINE: &[u8] = b"X-Line: xxxxxxxxxxxxxxxxxxxxxxxxx\r\n";
    const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const LONG_CHUNK: &str = "40\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";
    const BYTES: &[u8] = &[b'x'; 4096];
    // One frame of more than any memory, and a message in frames without end.
    const VAST: &[u8] = b"\x81\x7f\x00\x00\x7f\xff\xff\xff\xff\xff";
    const PIECE: &[u8] = b"\x00\x10xxxxxxxxxxxxxxxx";
    let all = [
        (ECHO, Deed::Endless(HEAD, LINE), NOT_BEGUN, "larger than this client takes"),
        (POLLING, Deed::Endless(HEAD, LINE), NOT_BEGUN, "larger than this client takes"),
        (STREAMING, Deed::Endless(STREAM, LONG_CHUNK.as_bytes()), NOT_BEGUN, TOO_LARGE),
        (POST, Deed::Endless(HEAD, LINE), WRONG, "larger than this client takes"),
        (FANOUT, Deed::Endless(b"CONNECTED\n", BYTES), NOT_BEGUN, TOO_LARGE),
        (ECHO, Deed::Socket(InSocket::HearsAndEndless(VAST, BYTES)), WRONG, "larger than this client takes"),
        (ECHO, Deed::Socket(InSocket::HearsAndEndless(b"\x01\x01x", PIECE)), WRONG, TOO_LARGE),
        (STREAMING, Deed::Session(InSession::StreamEndless(LONG_CHUNK)), WRONG, TOO_LARGE),
    ];
    look(&all);
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
        (ECHO, InSocket::Nothing, NOT_BEGUN, "the open frame of a session did not come"),
        (ECHO, InSocket::OtherKey, NOT_BEGUN, "a wrong key"),
        (ECHO, InSocket::OpensAndEnds, EITHER, "closed a connection without a word"),
        (IDLE, InSocket::OpensAndEnds, EITHER, "closed a connection without a word"),
        // A mask, a reserved bit, an opcode that there is not.
        (ECHO, InSocket::HearsAndSays(b"\x81\x81\x00\x00\x00\x00h"), WRONG, "that a server may not send"),
        (ECHO, InSocket::HearsAndSays(b"\xc1\x01h"), WRONG, "that a server may not send"),
        (ECHO, InSocket::HearsAndSays(b"\x83\x01h"), WRONG, "of no kind"),
        (ECHO, InSocket::HearsAndSays(b"\xff\xff\xff\xff"), WRONG, "that a server may not send"),
        (ECHO, InSocket::HearsAndSays(b"\x81\x03wat"), WRONG, "no SockJS frame: \"wat\""),
        (ECHO, InSocket::HearsAndSays(b"\x81\x04a[1]"), WRONG, "no SockJS frame"),
        (ECHO, InSocket::HearsAndSays(b"\x81\x00"), WRONG, "no SockJS frame"),
        // Half a frame, and nobody reads what is sent.
        (ECHO, InSocket::HearsAndSays(b"\x81\x7dhalf"), WRONG, STALLED),
        (ECHO, InSocket::HearsAndSays(b""), WRONG, STALLED),
        (ECHO, InSocket::EchoesAndSays(2, b"\x81\x12c[3000,\"Go away!\"]"), WRONG, "3000 Go away!"),
        (ECHO, InSocket::EchoesAndSays(2, close), WRONG, "1011 bye"),
        (ECHO, InSocket::EchoesAndSays(2, b"\x88\x00"), WRONG, "close without a code"),
        (CHURN, InSocket::EchoesAndSays(1, b"\x81\x12c[3000,\"Go away!\"]"), WRONG, "3000 Go away!"),
        (IDLE, InSocket::EchoesAndSays(0, b"\x81\x13c[2010,\"Other one\"]"), EITHER, "2010 Other one"),
    ];
    let all = all.map(|(what, deed, status, said)| (what, Deed::Socket(deed), status, said));
    look(&all);
}

#[test]
fn whoever_stops_reading_is_not_sent_to_for_ever() {
    let all = [
        (ECHO, Deed::Socket(InSocket::HearsAndSays(b""))),
        (STREAMING, Deed::Session(InSession::Mute)),
        (QUEUE, Deed::Stomp(InStomp::SendsBack("\n"))),
    ];
    side_by_side(&all, |(what, deed)| {
        let server = start(*deed);
        let what = what.replace("{}", &server.address.to_string());
        // More than any socket holds.
        let fast = format!("{SHORT} --size 1000000");
        let ran = bench(&format!("{what} {fast} --json"));
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
        (POLLING, Mute, WRONG, STALLED),
        (STREAMING, Mute, WRONG, STALLED),
        (STREAMING, StreamSays("13\r\nc[3000,\"Go away!\"]\n\r\n"), WRONG, "3000 Go away!"),
        (STREAMING, StreamSays("4\r\nwat\n\r\n"), WRONG, "no SockJS frame"),
        (STREAMING, StreamSays("zz\r\n"), WRONG, "chunk"),
        (STREAMING, StreamSays("10\r\na[\"half"), WRONG, "closed a connection without a word"),
        (STREAMING, StreamSays(""), WRONG, "closed a connection without a word"),
    ];
    let all = all.map(|(what, deed, status, said)| (what, Deed::Session(deed), status, said));
    look(&all);
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
        (FANOUT, SendsBack("\n"), WRONG, STALLED),
        (QUEUE, SendsBack("MESSAGE\nhalf:a fra"), WRONG, STALLED),
    ];
    let all = all.map(|(what, deed, status, said)| (what, Deed::Stomp(deed), status, said));
    look(&all);
}

#[test]
fn people_read_what_failed_and_how_often() {
    let server = start(Deed::Session(InSession::SendAnswered(404)));
    let ran = bench(&format!("echo http://{}/echo --clients 3 --transport xhr-polling {SHORT}", server.address));
    assert_eq!((ran.status, ran.beside.as_str()), (Some(WRONG), ""), "{ran:#?}");
    assert!(ran.printed.contains("  failed        3 x xhr_send was answered with 404\n"), "{}", ran.printed);
    assert!(!ran.printed.contains(" 0 lost"), "{}", ran.printed);
}
