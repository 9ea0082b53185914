//! The SockJS codec against the readable cases in `fixtures/sockjs/codec` and against properties that must hold for all
//! texts and payloads. The oracle is serde_json, which the quoting code does not use.

use std::fs;
use std::path::Path;

use bytes::BytesMut;
use percent_encoding::percent_decode_str;
use proptest::collection::vec;
use proptest::prelude::*;
use towpath::sockjs::route::parse;
use towpath::sockjs::{
    Callback, Close, Encoding, Framing, PayloadError, PayloadLimits, Route, decode_form, decode_messages,
    decode_websocket, quote_into,
};

const ENCODINGS: [Encoding; 3] = [Encoding::Json, Encoding::EventStream, Encoding::Script];
const UNLIMITED: PayloadLimits = PayloadLimits { messages: usize::MAX, message: usize::MAX };

// Fixtures

#[test]
fn every_must_escape_character_has_its_escape_in_every_encoding() {
    let cases = fixture("must-escape.txt");
    let mut seen_above_latin = 0;
    for line in cases.lines().filter(|line| line.starts_with("U+")) {
        let [point, json, script] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("three columns: {line}") };
        let c = code_point(point);
        seen_above_latin += usize::from(('\u{ff}'..='\u{ffff}').contains(&c));
        for (encoding, escape) in [(Encoding::Json, json), (Encoding::EventStream, json), (Encoding::Script, script)] {
            assert_eq!(quoted(encoding, &c.to_string()), escape, "{point} {encoding:?}");
            let around = quoted(encoding, &format!("{}{c}b", "a".repeat(40)));
            assert_eq!(around, format!("{}{escape}b", "a".repeat(40)), "{point} {encoding:?} within a text");
        }
    }
    assert_eq!(seen_above_latin, 44, "the suite lists 44 code points");
}

#[test]
fn neighbours_of_must_escape_characters_stay_as_they_are() {
    for line in fixture("never-escape.txt").lines().filter(|line| line.starts_with("U+")) {
        let text = code_point(line).to_string();
        for encoding in ENCODINGS {
            assert_eq!(quoted(encoding, &text), text, "{line} {encoding:?}");
        }
    }
}

#[test]
fn only_the_listed_characters_are_escaped() {
    let listed: Vec<char> = fixture("must-escape.txt")
        .lines()
        .filter_map(|line| line.starts_with("U+").then(|| code_point(line.split(' ').next()?).into()).flatten())
        .collect();
    for c in '\0'..='\u{ffff}' {
        let escaped = quoted(Encoding::Json, &c.to_string()) != c.to_string();
        assert_eq!(escaped, listed.contains(&c), "U+{:04X}", u32::from(c));
    }
}

#[test]
fn payloads_have_the_listed_outcome() {
    let limits = PayloadLimits { messages: 4, message: 16 };
    let cases = payload_cases();
    assert!(cases.len() > 60);
    for case in cases {
        assert_eq!(outcome(decode_messages(&case.body, &limits)), case.http, "http: {}", case.name);
        assert_eq!(outcome(decode_websocket(&case.body, &limits)), case.websocket, "websocket: {}", case.name);
    }
}

#[test]
fn paths_have_the_listed_route() {
    let mut count = 0;
    for line in fixture("routes.txt").lines().filter(|line| line.starts_with('"')) {
        let (path, expected) = line[1..].split_once("\" ").expect("path in quotation marks");
        let found = match parse(path) {
            Route::Greeting => "greeting".to_owned(),
            Route::Info => "info".to_owned(),
            Route::Iframe { version: None } => "iframe".to_owned(),
            Route::Iframe { version: Some(version) } => format!("iframe \"{version}\""),
            Route::RawWebsocket => "raw".to_owned(),
            Route::Session { session, transport } => {
                format!("session {session} {}", transport.row().name)
            }
            Route::NotFound => "none".to_owned(),
        };
        assert_eq!(found, expected, "{path:?}");
        count += 1;
    }
    assert!(count > 60);
}

// Properties

proptest! {
    // Found failures become fixtures, not seed files.
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    /// The lemma under the fan-out: a text quoted in pieces equals the text quoted at once.
    #[test]
    fn quoting_is_per_character(a in text(), b in text()) {
        for encoding in ENCODINGS {
            let whole = quoted(encoding, &format!("{a}{b}"));
            prop_assert_eq!(&whole, &(quoted(encoding, &a) + &quoted(encoding, &b)));
            let piecewise: String = a.chars().chain(b.chars()).map(|c| quoted(encoding, &c.to_string())).collect();
            prop_assert_eq!(&whole, &piecewise);
        }
    }

    #[test]
    fn json_quoting_is_undone_by_a_json_parser(text in text()) {
        let json = quoted(Encoding::Json, &text);
        prop_assert_eq!(&json_string(&json), &text);
        prop_assert!(!json.bytes().any(|b| b < 0x20));
    }

    #[test]
    fn event_stream_quoting_is_json_after_percent_decoding(text in text()) {
        let event = quoted(Encoding::EventStream, &text);
        let decoded = percent_decode_str(&event).decode_utf8().expect("percent signs stand for themselves only").into_owned();
        prop_assert_eq!(decoded, quoted(Encoding::Json, &text));
        prop_assert_eq!(event.matches('%').count(), event.matches("%25").count());
    }

    #[test]
    fn script_quoting_is_json_inside_a_script_string(text in text()) {
        let script = quoted(Encoding::Script, &text);
        let dangerous = ['<', '>', '\r', '\n', '\u{2028}', '\u{2029}'];
        prop_assert!(!script.contains(dangerous));
        prop_assert_eq!(json_string(&script), quoted(Encoding::Json, &text));
    }

    #[test]
    fn frames_come_back_as_the_messages_that_went_in(texts in vec(text(), 1..6), reason in text()) {
        let callback = Callback::from_query("c=cb").expect("a good name");
        let framings = [Framing::websocket(), Framing::xhr(), Framing::event_stream(), Framing::htmlfile(), Framing::jsonp(&callback)];
        for framing in framings {
            let frame = unframed(&framing, |framing, out| framing.messages(texts.iter().map(String::as_str), out));
            let array = frame.strip_prefix('a').expect("a message frame");
            prop_assert_eq!(&serde_json::from_str::<Vec<String>>(array).expect("an array of strings"), &texts);
            // Our own decoder agrees: what one side writes, the other reads.
            prop_assert_eq!(&decode_messages(array.as_bytes(), &UNLIMITED).expect("decodes"), &texts);

            let frame = unframed(&framing, |framing, out| framing.close(&Close::new(4001, reason.clone()), out));
            let close = serde_json::from_str::<(u16, String)>(frame.strip_prefix('c').expect("a close frame"));
            prop_assert_eq!(close.expect("code and reason"), (4001, reason.clone()));
        }
    }

    #[test]
    fn payloads_of_a_foreign_encoder_are_read(texts in vec(text(), 0..6)) {
        let compact = serde_json::to_string(&texts).expect("strings");
        let spacious = serde_json::to_string_pretty(&texts).expect("strings");
        for body in [compact, spacious] {
            prop_assert_eq!(&decode_messages(body.as_bytes(), &UNLIMITED).expect("decodes"), &texts);
            prop_assert_eq!(&decode_websocket(body.as_bytes(), &UNLIMITED).expect("decodes"), &texts);
            let form = format!("x=1&d={}", percent_encoding::utf8_percent_encode(&body, percent_encoding::NON_ALPHANUMERIC));
            prop_assert_eq!(decode_form(form.as_bytes()).expect("field d"), body.into_bytes());
        }
    }

    /// Every escape spelling of UTF-16 code units, paired or not, reads as lenient UTF-16.
    #[test]
    fn unicode_escapes_are_lenient_utf16(units in vec(prop_oneof![0xd800u16..0xe000, any::<u16>()], 0..12)) {
        let escapes: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        let read = decode_messages(format!("[\"{escapes}\"]").as_bytes(), &UNLIMITED);
        prop_assert_eq!(read, Ok(vec![String::from_utf16_lossy(&units)]));
    }

    /// Whatever the bytes: no panic, and the same verdict as a JSON parser that reads into values.
    #[test]
    fn mutated_payloads_are_judged_as_a_json_parser_judges_them(
        index in any::<prop::sample::Index>(),
        edits in vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), prop::sample::select(&b"\"\\,[]{}u0dD \n"[..])], 0..3u8), 0..6),
    ) {
        let cases = payload_cases();
        let body = mutated(&index.get(&cases).body, &edits);
        let found = decode_messages(&body, &UNLIMITED);
        prop_assert_eq!(outcome(found), judged(&body));
        let limits = PayloadLimits { messages: 2, message: 4 };
        for decode in [decode_messages, decode_websocket] {
            if let Ok(messages) = decode(&body, &limits) {
                prop_assert!(messages.len() <= 2 && messages.iter().all(|message| message.len() <= 4));
            }
        }
        decode_form(&body);
    }

    #[test]
    fn any_path_and_query_are_taken_without_panic(path in text(), query in text()) {
        if let Route::Session { session, .. } = parse(&path) {
            prop_assert!(!session.is_empty() && !session.contains(['.', '/']));
        }
        if let Ok(callback) = Callback::from_query(&format!("c={query}")) {
            prop_assert!((1..=32).contains(&callback.as_str().len()));
            prop_assert!(callback.as_str().chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)));
        }
    }
}

// Helpers

/// Texts in which characters with escapes are as common as plain runs longer than one scan chunk.
fn text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(
        "\"\\/%<>&\n\r\t\u{8}\u{c}\0\u{1f}\u{7f}\u{200b}\u{200c}\u{2028}\u{2060}\u{ffef}\u{fff0}\u{ffff}é€😀"
            .chars()
            .collect::<Vec<_>>(),
    );
    let piece = prop_oneof![
        special.prop_map(String::from),
        any::<char>().prop_map(String::from),
        "[ -~]{0,80}",
        "[а-я]{0,40}",
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn quoted(encoding: Encoding, text: &str) -> String {
    let mut out = BytesMut::new();
    quote_into(encoding, text, &mut out);
    String::from_utf8(out.to_vec()).expect("quoting keeps UTF-8")
}

fn json_string(content: &str) -> String {
    serde_json::from_str(&format!("\"{content}\"")).expect("string content")
}

/// Writes a frame and takes off what its transport put around it, the way a client does.
fn unframed(framing: &Framing, write: impl Fn(&Framing, &mut BytesMut)) -> String {
    let mut out = BytesMut::new();
    write(framing, &mut out);
    let written = String::from_utf8(out.to_vec()).expect("frames are UTF-8");
    let between = |before: &str, after: &str| {
        let inner = written.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        inner.unwrap_or_else(|| panic!("not between {before:?} and {after:?}: {written:?}")).to_owned()
    };
    match framing.encoding() {
        Encoding::EventStream => {
            let data = between("data: ", "\r\n\r\n");
            percent_decode_str(&data).decode_utf8().expect("UTF-8").into_owned()
        }
        Encoding::Script if written.starts_with("/**/") => json_string(&between("/**/cb(\"", "\");\r\n")),
        Encoding::Script => json_string(&between("<script>\np(\"", "\");\n</script>\r\n")),
        Encoding::Json => written.strip_suffix('\n').unwrap_or(&written).to_owned(),
    }
}

/// The verdict on a body, reached by letting serde_json parse all of it.
fn judged(body: &[u8]) -> String {
    use serde_json::Value;
    if body.is_empty() {
        return "expected".to_owned();
    }
    let Ok(text) = std::str::from_utf8(body) else {
        return "broken".to_owned();
    };
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return "broken".to_owned();
    }
    // Not as `String`, which cannot hold the lone surrogates that JSON can.
    match serde_json::from_str::<Vec<Lenient>>(text) {
        Ok(messages) => format!("ok {}", Value::from_iter(messages.into_iter().map(|message| message.0))),
        Err(_) => "expected".to_owned(),
    }
}

/// A JSON string read as bytes, which serde_json allows to hold lone surrogates, each then replaced.
struct Lenient(String);

impl<'de> serde::Deserialize<'de> for Lenient {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Lenient;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Lenient, E> {
                // A surrogate is three bytes of generalised UTF-8, ED A0..BF xx; `from_utf8_lossy` would make three of it.
                let mut text = Vec::new();
                let mut rest = bytes;
                while let Some((&first, after)) = rest.split_first() {
                    if first == 0xed && after.first().is_some_and(|second| *second >= 0xa0) {
                        text.extend_from_slice("\u{fffd}".as_bytes());
                        rest = &rest[3..];
                    } else {
                        text.push(first);
                        rest = after;
                    }
                }
                Ok(Lenient(String::from_utf8(text).expect("UTF-8 but for the surrogates")))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

fn mutated(body: &[u8], edits: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut body = body.to_vec();
    for (index, byte, kind) in edits {
        let at = index.index(body.len() + 1);
        match kind {
            0 => body.insert(at, *byte),
            1 if at < body.len() => body[at] = *byte,
            2 => body.truncate(at),
            _ => {}
        }
    }
    body
}

fn outcome(result: Result<Vec<String>, PayloadError>) -> String {
    match result {
        Ok(messages) => format!("ok {}", serde_json::Value::from(messages)),
        Err(PayloadError::Expected) => "expected".to_owned(),
        Err(PayloadError::Broken) => "broken".to_owned(),
        Err(PayloadError::TooManyMessages { .. }) => "too many".to_owned(),
        Err(PayloadError::MessageTooLarge { .. }) => "too large".to_owned(),
    }
}

struct PayloadCase {
    name: String,
    body: Vec<u8>,
    http: String,
    websocket: String,
}

fn payload_cases() -> Vec<PayloadCase> {
    let file = fixture("payloads.txt");
    let paragraphs = file.split("\n\n").filter(|paragraph| !paragraph.starts_with('#'));
    paragraphs.map(payload_case).collect()
}

fn payload_case(paragraph: &str) -> PayloadCase {
    let mut lines = paragraph.trim_end_matches('\n').split('\n');
    let name = lines.next().expect("a name").to_owned();
    let (mut body, mut http, mut websocket) = (None, None, None);
    for line in lines {
        let (key, value) = line.split_once(':').expect("key and value");
        match key {
            "body" => body = Some(value.strip_prefix(' ').expect("a space after the colon").as_bytes().to_vec()),
            "body-hex" => {
                let bytes = value.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("hex"));
                body = Some(bytes.collect());
            }
            "http" => http = Some(normal_outcome(value)),
            "websocket" => websocket = Some(normal_outcome(value)),
            _ => panic!("unknown key {key:?} in {name:?}"),
        }
    }
    let http = http.expect("an outcome");
    PayloadCase { name, body: body.expect("a body"), websocket: websocket.unwrap_or_else(|| http.clone()), http }
}

/// The outcome with its messages spelled the way `outcome` spells them.
fn normal_outcome(text: &str) -> String {
    match text.trim().strip_prefix("ok ") {
        Some(messages) => {
            format!("ok {}", serde_json::from_str::<serde_json::Value>(messages).expect("messages as JSON"))
        }
        None => text.trim().to_owned(),
    }
}

fn code_point(name: &str) -> char {
    let number = u32::from_str_radix(name.trim_start_matches("U+"), 16).expect("hex");
    char::from_u32(number).expect("a character")
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sockjs/codec").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
