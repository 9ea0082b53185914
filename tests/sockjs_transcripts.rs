//! Whole conversations, held byte for byte: every file of `fixtures/sockjs/transcripts`, whose README says how to read them.
//! They are the wire contract for people; the other tests say why each byte is there.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use support::{Gateway, Stream, test_services, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A line of a transcript, or several of one kind.
#[derive(Debug)]
enum Step {
    Send(String, Vec<Piece>),
    Receive(String, Vec<Piece>),
    Wait(Duration),
}

/// A part of what is sent or received.
#[derive(Debug, PartialEq)]
enum Piece {
    Bytes(Vec<u8>),
    Varying(String),
}

/// What varies, and in this conversation was this.
#[derive(Default)]
struct Known {
    etag: Option<String>,
    key: Option<String>,
    announced: Option<usize>,
}

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $name() {
                replay(&stringify!($name).replace('_', "-")).await;
            }
        )*

        #[test]
        fn every_file_is_replayed() {
            let replayed: Vec<_> = [$(stringify!($name)),*].map(|name| name.replace('_', "-")).into();
            let mut listed = replayed.clone();
            listed.sort();
            let files = fs::read_dir(directory()).expect("the fixtures are there");
            let mut found: Vec<_> = files
                .map(|entry| entry.expect("a file").path().file_stem().expect("a name").to_string_lossy().into_owned())
                .filter(|name| name != "README")
                .collect();
            found.sort();
            assert_eq!(found, listed);
        }
    };
}

transcripts! {
    cookie
    eventsource
    greeting
    heartbeat
    htmlfile
    htmlfile_errors
    http_1_0
    iframe
    info
    jsonp
    jsonp_errors
    methods
    origin
    preflight
    raw_websocket
    response_limit
    tombstone
    websocket
    websocket_close
    websocket_errors
    xhr
    xhr_close
    xhr_errors
    xhr_second_receiver
    xhr_streaming
}

async fn replay(name: &str) {
    let text = fs::read_to_string(directory().join(format!("{name}.txt"))).expect("the transcript is there");
    let gateway = Gateway::in_memory(test_services()).await;
    let mut connections: BTreeMap<String, Stream> = BTreeMap::new();
    let mut known = Known::default();
    for step in parse(&text) {
        match step {
            Step::Wait(time) => {
                tokio::time::sleep(time).await;
                for (connection, stream) in &mut connections {
                    let early = tokio::time::timeout(Duration::ZERO, stream.read_u8()).await;
                    assert!(
                        early.is_err(),
                        "{name}: {time:?} are not over, and connection {connection:?} has something"
                    );
                }
            }
            Step::Send(connection, pieces) => {
                if !connections.contains_key(&connection) {
                    connections.insert(connection.clone(), gateway.connect().await);
                }
                let bytes: Vec<u8> = pieces.iter().flat_map(|piece| known.fill(piece)).collect();
                known.note_key(&bytes);
                let stream = connections.get_mut(&connection).expect("was put there");
                within(stream.patience(), "the gateway to read", stream.write_all(&bytes)).await.expect("it is open");
            }
            Step::Receive(connection, pieces) => {
                let stream = connections
                    .get_mut(&connection)
                    .unwrap_or_else(|| panic!("{name}: nothing was sent on {connection:?}"));
                let mut reader = Reader { stream, read: Vec::new(), name };
                reader.expect(&pieces, &mut known).await;
            }
        }
    }
    for (connection, mut stream) in connections {
        // Under this clock a second is over when nobody has anything more to say.
        let more = tokio::time::timeout(Duration::from_secs(1), stream.read_u8()).await;
        assert!(!matches!(more, Ok(Ok(_))), "{name}: more came on connection {connection:?}");
    }
}

/// Reads what a transcript expects, and shows what was read when it is something else.
struct Reader<'a> {
    stream: &'a mut Stream,
    read: Vec<u8>,
    name: &'a str,
}

impl Reader<'_> {
    async fn expect(&mut self, pieces: &[Piece], known: &mut Known) {
        let mut pieces = pieces.iter().peekable();
        let mut body = None;
        let mut pushed_back = None;
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Bytes(bytes) => {
                    for (at, expected) in bytes.iter().enumerate() {
                        let found = match pushed_back.take() {
                            Some(byte) => Some(byte),
                            None => self.byte().await,
                        };
                        assert!(
                            found == Some(*expected),
                            "{}: after\n{}\ncame {:?}, and not\n{}",
                            self.name,
                            shown(&self.read),
                            found.map(|byte| shown(&[byte])),
                            shown(&bytes[at..]),
                        );
                        self.read.push(*expected);
                        if self.read.ends_with(b"\r\n\r\n") && body.is_none() {
                            body = Some(self.read.len());
                        }
                    }
                }
                Piece::Varying(kind) if kind == "end" => {
                    assert_eq!(self.byte().await, None, "{}: the connection ends here", self.name);
                }
                Piece::Varying(kind) => {
                    let Some(Piece::Bytes(next)) = pieces.peek() else { panic!("{}: what ends {kind}?", self.name) };
                    let mut value = Vec::new();
                    loop {
                        let byte = self.byte().await.unwrap_or_else(|| panic!("{}: the end came in {kind}", self.name));
                        if byte == next[0] {
                            pushed_back = Some(byte);
                            break;
                        }
                        value.push(byte);
                    }
                    let value = String::from_utf8(value).expect("what varies is text");
                    known.check(kind, &value);
                    self.read.extend_from_slice(value.as_bytes());
                }
            }
        }
        if let (Some(announced), Some(body)) = (known.announced.take(), body) {
            assert_eq!(self.read.len() - body, announced, "{}: the body is as long as it says", self.name);
        }
    }

    async fn byte(&mut self) -> Option<u8> {
        let patience = self.stream.patience();
        let read = self.stream.read_u8();
        match tokio::time::timeout(patience, read).await {
            Ok(byte) => byte.ok(),
            Err(_) => panic!("{}: nothing came after\n{}", self.name, shown(&self.read)),
        }
    }
}

impl Known {
    /// What is to be sent for a piece.
    fn fill(&self, piece: &Piece) -> Vec<u8> {
        match piece {
            Piece::Bytes(bytes) => bytes.clone(),
            Piece::Varying(kind) if kind == "etag" => self.etag.clone().expect("the tag was seen").into_bytes(),
            Piece::Varying(kind) => panic!("{kind} is never sent"),
        }
    }

    fn note_key(&mut self, sent: &[u8]) {
        let sent = String::from_utf8_lossy(sent);
        let key = sent.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ").map(str::to_owned));
        self.key = key.or(self.key.take());
    }

    fn check(&mut self, kind: &str, value: &str) {
        let ahead = || {
            let date = httpdate::parse_http_date(value).unwrap_or_else(|_| panic!("no HTTP date: {value:?}"));
            let now = SystemTime::now();
            date.duration_since(now)
                .map(|ahead| ahead.as_secs() as i64)
                .unwrap_or_else(|past| -(past.duration().as_secs() as i64))
        };
        match kind {
            "date" => assert!(ahead().abs() < 120, "{value}"),
            "expires" => assert!((ahead() - 365 * 86_400).abs() < 120, "{value}"),
            "entropy" => assert!(value.parse::<u32>().is_ok(), "{value}"),
            "length" => self.announced = Some(value.parse().expect("a length is a number")),
            "accept" => assert_eq!(value, derive_accept_key(self.key.as_deref().expect("a handshake").as_bytes())),
            "etag" => {
                assert!(value.len() > 2 && value.starts_with('"') && value.ends_with('"'), "{value}");
                assert_eq!(*self.etag.get_or_insert_with(|| value.to_owned()), value);
            }
            other => panic!("{{{other}}} is nothing that varies"),
        }
    }
}

fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(time) = line.strip_prefix("wait ") {
            steps.push(Step::Wait(humantime::parse_duration(time).expect("a duration")));
            continue;
        }
        let mark = line.find(['>', '<']).unwrap_or_else(|| panic!("neither sent nor received: {line:?}"));
        let (connection, rest) = line.split_at(mark);
        let (direction, content) = rest.split_at(1);
        let content = content.strip_prefix(' ').unwrap_or(content);
        let pieces = parse_line(content);
        match (direction, steps.last_mut()) {
            (">", Some(Step::Send(last, all))) | ("<", Some(Step::Receive(last, all))) if last == connection => {
                all.extend(pieces)
            }
            (">", _) => steps.push(Step::Send(connection.to_owned(), pieces)),
            _ => steps.push(Step::Receive(connection.to_owned(), pieces)),
        }
    }
    steps
}

fn parse_line(line: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut bytes = Vec::new();
    let mut rest = line;
    let mut ended = true;
    while let Some(c) = rest.chars().next() {
        if let Some((inside, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            if let Some((count, c)) = inside.split_once(" x ")
                && let (Ok(count), 1) = (count.parse::<usize>(), c.len())
            {
                bytes.extend(c.repeat(count).into_bytes());
                rest = after;
                continue;
            }
            if ["date", "expires", "entropy", "length", "etag", "accept", "end"].contains(&inside) {
                pieces.push(Piece::Bytes(std::mem::take(&mut bytes)));
                pieces.push(Piece::Varying(inside.to_owned()));
                // The end of a connection is the end of its line.
                ended = inside != "end";
                rest = after;
                continue;
            }
        }
        let (byte, length) = match (c, rest.as_bytes().get(1)) {
            ('\\', None) => {
                ended = false;
                break;
            }
            ('\\', Some(b'n')) => (b'\n', 2),
            ('\\', Some(b'r')) => (b'\r', 2),
            ('\\', Some(b'\\')) => (b'\\', 2),
            ('\\', Some(b'x')) => (u8::from_str_radix(&rest[2..4], 16).expect("two hexadecimal digits"), 4),
            (c, _) if c.is_ascii() && c != '\\' => (c as u8, 1),
            _ => panic!("neither ASCII nor an escape: {rest:?}"),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    if ended {
        bytes.extend_from_slice(b"\r\n");
    }
    pieces.push(Piece::Bytes(bytes));
    pieces.retain(|piece| *piece != Piece::Bytes(Vec::new()));
    pieces
}

/// Bytes as a reader can bear them.
fn shown(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|byte| byte.escape_ascii().to_string()).collect();
    text.replace("\\r\\n", "\n")
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sockjs/transcripts")
}
