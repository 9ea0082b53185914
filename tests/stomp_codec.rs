//! The STOMP codec against its transcripts (fixtures/stomp) and against properties that hold for all frames: what is
//! written is read again, the cut of the stream does not matter, and no input breaks the parser or its limits.

use std::fs;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use towpath::stomp::{
    Command, Frame, Headers, Input, Limits, Parser, ProtocolError, Version, escape_name_into, escape_value_into,
    unescape,
};

const VERSIONS: [Version; 3] = [Version::V1_0, Version::V1_1, Version::V1_2];

#[test]
fn transcripts_come_out_as_they_say_however_they_are_cut() {
    for case in transcripts() {
        for version in case.versions.iter().copied() {
            let wire = &case.wire;
            let whole = read(version, case.limits, [wire.clone()]);
            assert_eq!(whole, case.outcome, "{} in {version}", case.name);
            for at in 0..=wire.len() {
                let halves = read(version, case.limits, [wire.slice(..at), wire.slice(at..)]);
                assert_eq!(halves.merged(), case.outcome, "{} in {version}, cut at {at}", case.name);
            }
            let bytes = read(version, case.limits, pieces(wire, 1));
            assert_eq!(bytes.merged(), case.outcome, "{} in {version}, byte by byte", case.name);
        }
    }
}

#[test]
fn all_transcripts_are_read() {
    let cases = transcripts();
    let errors = cases.iter().filter(|case| case.outcome.error.is_some()).count();
    assert!(errors >= 34 && cases.len() - errors >= 32, "{} and {errors}", cases.len() - errors);
    for case in &cases {
        assert_eq!(case.name.starts_with("malformed"), case.outcome.error.is_some(), "{}", case.name);
    }
}

/// Rescanning the body for every piece would make this 500 GB of scanning.
#[test]
fn a_large_body_may_arrive_in_single_bytes() {
    let body = vec![b'x'; 1 << 20];
    for length in ["content-length:1048576\n", ""] {
        let mut wire = BytesMut::from(&b"SEND\ndestination:/a\n"[..]);
        wire.extend_from_slice(length.as_bytes());
        wire.extend_from_slice(b"\n");
        wire.extend_from_slice(&body);
        wire.extend_from_slice(b"\0");
        let wire = wire.freeze();
        for size in [1, 16 << 10] {
            let outcome = read(Version::V1_2, Limits::default(), pieces(&wire, size));
            let [Input::Frame(frame)] = &outcome.inputs[..] else { panic!("not one frame") };
            assert_eq!(frame.body.len(), body.len());
        }
    }
}

/// The next frame may be in the same piece as CONNECT, and is read by the version that CONNECT brought.
#[test]
fn the_version_holds_from_the_frame_after_connect() {
    let mut parser = Parser::new(Limits::default());
    parser.feed(Bytes::from_static(b"CONNECT\naccept-version:1.2\n\n\0SEND\ndestination:a\\cb\n\n\0"));
    assert!(matches!(parser.next(), Ok(Some(Input::Frame(frame))) if frame.command == Command::Connect));
    parser.set_version(Version::V1_2);
    let Ok(Some(Input::Frame(send))) = parser.next() else { panic!("no SEND") };
    assert_eq!(send.headers.get("destination"), Some("a:b"));
}

proptest! {
    #[test]
    fn what_is_written_is_read_again((version, frame) in frame()) {
        let wire = frame.encode(version);
        prop_assert_eq!(wire.last(), Some(&0));
        let outcome = read(version, Limits::default(), [wire]);
        prop_assert_eq!(&outcome.error, &None);
        prop_assert!(!outcome.unfinished);
        prop_assert_eq!(outcome.inputs, vec![Input::Frame(announced(frame))]);
    }

    #[test]
    fn frames_in_a_row_are_told_apart_wherever_the_stream_is_cut(
        version in select(&VERSIONS[..]),
        seeds in prop::collection::vec(any::<Index>(), 1..5),
        cuts in prop::collection::vec(any::<Index>(), 0..6),
        frames in prop::collection::vec(plain_frame(), 1..5),
        gap in "[\n\0]{0,3}",
    ) {
        let frames: Vec<Frame> = seeds.iter().map(|seed| seed.get(&frames).clone()).collect();
        let mut wire = BytesMut::new();
        for frame in &frames {
            frame.encode_into(version, &mut wire);
            wire.extend_from_slice(gap.as_bytes());
        }
        let outcome = read(version, Limits::default(), cut(&wire.freeze(), &cuts));
        prop_assert_eq!(&outcome.error, &None);
        prop_assert_eq!(outcome.frames(), frames.into_iter().map(announced).collect::<Vec<_>>());
    }

    #[test]
    fn mutated_transcripts_neither_panic_nor_pass_the_limits(
        base in any::<Index>(),
        version in select(&VERSIONS[..]),
        mutations in prop::collection::vec((any::<Index>(), mutation()), 1..6),
        cuts in prop::collection::vec(any::<Index>(), 0..4),
        limits in limits(),
    ) {
        let mut wire = base.get(&transcripts()).wire.to_vec();
        for (at, mutation) in mutations {
            mutation.apply(&mut wire, at);
        }
        check_robust(version, limits, &wire.into(), &cuts)?;
    }

    #[test]
    fn random_bytes_neither_panic_nor_pass_the_limits(
        start in select(&["", "SEND\n", "CONNECT\n", "SEND\ncontent-length:5\n\n"][..]),
        noise in prop::collection::vec(prop_oneof![any::<u8>(), select(&b"\n\r\0:\\ac"[..])], 0..200),
        version in select(&VERSIONS[..]),
        cuts in prop::collection::vec(any::<Index>(), 0..4),
        limits in limits(),
    ) {
        let wire: Vec<u8> = start.bytes().chain(noise).collect();
        check_robust(version, limits, &wire.into(), &cuts)?;
    }

    #[test]
    fn escapes_are_undone(text in "[^\0]{0,30}", version in select(&VERSIONS[1..])) {
        for escape in [escape_name_into, escape_value_into] {
            let mut out = BytesMut::new();
            escape(&text, version, &mut out);
            let written = std::str::from_utf8(&out).unwrap();
            prop_assert!(!written.contains([':', '\n']));
            prop_assert_eq!(unescape(written, version).unwrap(), text.as_str());
        }
    }

    /// A value goes out as one line, whatever it holds and whatever the version, so that it can forge no header.
    #[test]
    fn a_header_is_always_one_line(name in any::<String>(), value in any::<String>(), command in command()) {
        for version in VERSIONS {
            let wire = Frame::new(command).with(name.as_str(), value.as_str()).encode(version);
            let breaks = if name == "content-length" { 2 } else { 3 };
            prop_assert_eq!(wire.iter().filter(|byte| **byte == b'\n').count(), breaks);
            prop_assert_eq!(wire.iter().filter(|byte| **byte == 0).count(), 1);
        }
    }
}

/// Everything that came out of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Outcome {
    inputs: Vec<Input>,
    unfinished: bool,
    /// Name of the violation, and the receipt.
    error: Option<(String, Option<String>)>,
}

impl Outcome {
    /// A run of line ends that is cut is several heart-beats, and means the same.
    fn merged(mut self) -> Self {
        self.inputs.dedup_by(|a, b| matches!((a, b), (Input::HeartBeat, Input::HeartBeat)));
        self
    }

    fn frames(&self) -> Vec<Frame> {
        let frames = self.inputs.iter().filter_map(|input| match input {
            Input::Frame(frame) => Some(frame.clone()),
            Input::HeartBeat => None,
        });
        frames.collect()
    }
}

fn read(version: Version, limits: Limits, pieces: impl IntoIterator<Item = Bytes>) -> Outcome {
    let mut parser = Parser::new(limits);
    parser.set_version(version);
    let mut outcome = Outcome::default();
    for piece in pieces {
        parser.feed(piece);
        loop {
            match parser.next() {
                Ok(Some(input)) => outcome.inputs.push(input),
                Ok(None) => break,
                Err(error) => {
                    outcome.error = Some(named(&error));
                    return outcome;
                }
            }
        }
    }
    outcome.unfinished = parser.unfinished();
    outcome
}

fn named(error: &ProtocolError) -> (String, Option<String>) {
    (format!("{:?}", error.violation()), error.receipt().map(str::to_owned))
}

fn pieces(wire: &Bytes, size: usize) -> Vec<Bytes> {
    (0..wire.len()).step_by(size).map(|at| wire.slice(at..wire.len().min(at + size))).collect()
}

fn cut(wire: &Bytes, cuts: &[Index]) -> Vec<Bytes> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(wire.len());
    let mut start = 0;
    ends.into_iter().map(|end| wire.slice(std::mem::replace(&mut start, end)..end)).collect()
}

/// The frame as a reader sees it: with the content-length that the writer has added.
fn announced(mut frame: Frame) -> Frame {
    if !frame.body.is_empty() {
        frame.headers.push("content-length", frame.body.len().to_string());
    }
    frame
}

fn check_robust(version: Version, limits: Limits, wire: &Bytes, cuts: &[Index]) -> Result<(), TestCaseError> {
    let whole = read(version, limits, [wire.clone()]);
    for frame in whole.frames() {
        prop_assert!(frame.headers.len() <= limits.headers);
        prop_assert!(frame.body.len() <= limits.body);
        let mut sum = frame.body.len();
        for (name, value) in frame.headers.iter() {
            let line = name.len() + 1 + value.len();
            prop_assert!(line <= limits.header_line);
            sum += line;
        }
        prop_assert!(sum <= limits.frame);
    }
    let parts = read(version, limits, cut(wire, cuts));
    // Which of two limits is met first may depend on the cut; whether one is met may not.
    prop_assert_eq!(parts.error.is_some(), whole.error.is_some());
    prop_assert_eq!(parts.unfinished, whole.unfinished);
    prop_assert_eq!(parts.frames(), whole.frames());
    Ok(())
}

fn command() -> impl Strategy<Value = Command> {
    use Command::*;
    select(vec![
        Connect,
        Stomp,
        Send,
        Subscribe,
        Unsubscribe,
        Ack,
        Nack,
        Begin,
        Commit,
        Abort,
        Disconnect,
        Connected,
        Message,
        Receipt,
        Error,
    ])
}

/// A frame with all that its version can carry.
fn frame() -> impl Strategy<Value = (Version, Frame)> {
    (select(&VERSIONS[..]), command()).prop_flat_map(|(version, command)| {
        let (name, value) = match version {
            // No escapes, hence no line breaks, and no colon in a name; the edges are trimmed.
            _ if command.is_verbatim() => ("[^:\r\n\0]{1,12}", "[^\r\n\0]{0,12}"),
            Version::V1_0 => ("[^:\r\n\0]{1,12}", "([^\r\n\0 \t]([^\r\n\0]{0,12}[^\r\n\0 \t])?)?"),
            // A CR at the end would look like one of a line end.
            Version::V1_1 => ("[^\0]{1,12}", "([^\0]{0,12}[^\0\r])?"),
            Version::V1_2 => ("[^\0]{1,12}", "[^\0]{0,12}"),
        };
        let headers = prop::collection::vec((name, value), 0..6);
        let body = prop::collection::vec(prop_oneof![any::<u8>(), Just(0)], 0..64);
        (Just(version), Just(command), headers, body).prop_map(|(version, command, headers, body)| {
            let headers: Headers = headers.into_iter().filter(|(name, _)| name != "content-length").collect();
            (version, Frame { command, headers, body: body.into() })
        })
    })
}

/// A frame that is the same in every version.
fn plain_frame() -> impl Strategy<Value = Frame> {
    let headers = prop::collection::vec(("[a-z]{1,8}", "[a-z/]{0,8}"), 0..4);
    let body = prop::collection::vec(any::<u8>(), 0..32);
    (command(), headers, body).prop_map(|(command, headers, body)| Frame {
        command,
        headers: headers.into_iter().collect(),
        body: body.into(),
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(Limits::default()),
        (0usize..4, 0usize..40, 0usize..20, 0usize..90).prop_map(|(headers, header_line, body, frame)| Limits {
            headers,
            header_line,
            body,
            frame
        }),
    ]
}

#[derive(Debug, Clone)]
enum Mutation {
    Set(u8),
    Insert(u8),
    Remove,
    Cut,
    Double,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let byte = || prop_oneof![any::<u8>(), select(&b"\n\r\0:\\0-9"[..])];
    prop_oneof![
        byte().prop_map(Mutation::Set),
        byte().prop_map(Mutation::Insert),
        Just(Mutation::Remove),
        Just(Mutation::Cut),
        Just(Mutation::Double),
    ]
}

impl Mutation {
    fn apply(self, wire: &mut Vec<u8>, at: Index) {
        if wire.is_empty() {
            return;
        }
        let at = at.index(wire.len());
        match self {
            Self::Set(byte) => wire[at] = byte,
            Self::Insert(byte) => wire.insert(at, byte),
            Self::Remove => drop(wire.remove(at)),
            Self::Cut => wire.truncate(at),
            Self::Double => wire.extend_from_within(at..),
        }
    }
}

/// One file of fixtures/stomp; README.txt there has the format.
#[derive(Debug, Clone)]
struct Transcript {
    name: String,
    versions: Vec<Version>,
    limits: Limits,
    wire: Bytes,
    outcome: Outcome,
}

fn transcripts() -> Vec<Transcript> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stomp");
    let mut cases = Vec::new();
    for folder in ["valid", "malformed"] {
        for entry in fs::read_dir(root.join(folder)).expect("the fixtures are part of the tree") {
            let path = entry.expect("the folder can be listed").path();
            let name = format!("{folder}/{}", path.file_stem().unwrap_or_default().to_string_lossy());
            cases.push(Transcript::parse(name, &fs::read_to_string(&path).expect("fixtures are UTF-8")));
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

impl Transcript {
    fn parse(name: String, text: &str) -> Self {
        let mut wire = Vec::new();
        let mut case = Self {
            name,
            versions: VERSIONS.to_vec(),
            limits: Limits::default(),
            wire: Bytes::new(),
            outcome: Outcome::default(),
        };
        for line in text.lines() {
            let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
            match key {
                "#" => {}
                ">" => wire.extend(plain(rest)),
                "versions" => case.versions = rest.split(' ').map(|name| Version::parse(name).unwrap()).collect(),
                "limits" => rest.split(' ').for_each(|limit| case.limit(limit)),
                "frame" => {
                    let command = Command::parse(rest.as_bytes()).expect("a command");
                    case.outcome.inputs.push(Input::Frame(Frame::new(command)));
                }
                "header" => {
                    let (name, value) = rest.split_once(':').expect("a colon");
                    let string = |text| String::from_utf8(plain(text)).expect("UTF-8");
                    case.last().headers.push(string(name), string(value));
                }
                "body" => case.last().body = plain(rest).into(),
                "heart-beat" => case.outcome.inputs.push(Input::HeartBeat),
                "unfinished" => case.outcome.unfinished = true,
                "error" => {
                    let (violation, receipt) = rest.split_once(' ').unwrap_or((rest, ""));
                    let receipt = (!receipt.is_empty()).then(|| receipt.to_owned());
                    case.outcome.error = Some((violation.to_owned(), receipt));
                }
                other => panic!("{}: what is {other:?}?", case.name),
            }
        }
        case.wire = wire.into();
        case
    }

    fn last(&mut self) -> &mut Frame {
        match self.outcome.inputs.last_mut() {
            Some(Input::Frame(frame)) => frame,
            _ => panic!("{}: no frame yet", self.name),
        }
    }

    fn limit(&mut self, text: &str) {
        let (name, number) = text.split_once('=').expect("name=number");
        let number = number.parse().expect("a number");
        match name {
            "headers" => self.limits.headers = number,
            "header-line" => self.limits.header_line = number,
            "body" => self.limits.body = number,
            "frame" => self.limits.frame = number,
            other => panic!("{}: what is the limit {other:?}?", self.name),
        }
    }
}

/// The bytes of fixture text.
fn plain(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'0') => 0,
                Some(b'\\') => b'\\',
                Some(b'x') => {
                    let digits = [rest.next(), rest.next()].map(|digit| char::from(digit.expect("two digits")));
                    u8::from_str_radix(&String::from_iter(digits), 16).expect("two digits")
                }
                other => panic!("what is the escape {other:?} in {text:?}?"),
            },
            byte => byte,
        });
    }
    bytes
}
