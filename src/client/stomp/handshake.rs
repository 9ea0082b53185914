//! CONNECT and its answer (STOMP 1.2, Connecting).
//!
//! Does not know: how a link is opened.

use std::time::Duration;

use super::super::{Cause, Link};
use super::{ClientError, Connected, Options};
use crate::stomp::{Command, Frame, Headers, Input, Parser, Version};

/// Sends CONNECT and waits for the answer.
pub(super) async fn connect(
    link: &mut Link,
    parser: &mut Parser,
    options: &Options,
    number: u64,
) -> Result<Connected, ClientError> {
    let bytes = request(options).encode(Version::V1_0);
    let sent = link.send(bytes).await;
    // Even where it could not be sent, the server may have said why.
    let frame = match answer(link, parser).await {
        Err(ClientError::Lost(ended)) if ended.cause == Cause::Own => {
            return Err(ClientError::Lost(sent.err().unwrap_or(ended)));
        }
        answered => answered?,
    };
    let connected = read(&frame, options, link, number)?;
    parser.set_version(connected.version);
    Ok(connected)
}

async fn answer(link: &mut Link, parser: &mut Parser) -> Result<Frame, ClientError> {
    loop {
        match parser.next().map_err(|error| ClientError::Protocol(error.to_string()))? {
            Some(Input::Frame(frame)) => return Ok(frame),
            Some(Input::HeartBeat) => {}
            None => parser.feed(link.receive().await.map_err(ClientError::Lost)?),
        }
    }
}

fn request(options: &Options) -> Frame {
    let versions: Vec<_> = options.versions.iter().map(|version| version.as_str()).collect();
    let (can, wants) = options.heart_beat;
    let mut frame = Frame::new(Command::Connect)
        .with("accept-version", versions.join(","))
        .with("host", options.host.as_deref().unwrap_or("localhost"))
        .with("heart-beat", format!("{},{}", millis(can), millis(wants)));
    for (name, value) in [("login", &options.login), ("passcode", &options.passcode)] {
        if let Some(value) = value {
            frame = frame.with(name, value.as_str());
        }
    }
    for (name, value) in &options.headers {
        frame = frame.with(name.as_str(), value.as_str());
    }
    frame
}

fn read(frame: &Frame, options: &Options, link: &Link, number: u64) -> Result<Connected, ClientError> {
    match frame.command {
        Command::Connected => {}
        Command::Error => return Err(error(frame)),
        other => return Err(ClientError::Protocol(format!("CONNECT was answered with {other}"))),
    }
    let header = |name: &str| frame.headers.get(name).map(str::to_owned);
    let version = version(&frame.headers, &options.versions)?;
    let (beats, hears) = match frame.headers.get("heart-beat") {
        Some(value) if version > Version::V1_0 => {
            let Some(theirs) = parse(value) else {
                return Err(ClientError::Protocol(format!("{value:?} is no heart-beat header")));
            };
            let (can, wants) = options.heart_beat;
            (meet(millis(can), theirs.1), meet(theirs.0, millis(wants)))
        }
        _ => (None, None),
    };
    let (server, session) = (header("server"), header("session"));
    let (via, fallbacks) = (link.via().clone(), link.fallbacks().to_vec());
    Ok(Connected { number, version, server, session, via, fallbacks, beats, hears })
}

/// The version that the server chose: one of those that were offered, 1.0 if it does not say.
fn version(headers: &Headers, offered: &[Version]) -> Result<Version, ClientError> {
    let said = headers.get("version").unwrap_or(Version::V1_0.as_str());
    let chosen = Version::parse(said).filter(|version| offered.contains(version));
    chosen.ok_or_else(|| ClientError::Protocol(format!("it chose version {said:?}, which was not offered")))
}

/// What an ERROR says.
pub(super) fn error(frame: &Frame) -> ClientError {
    let message = frame.headers.get("message").unwrap_or("it does not say why").to_owned();
    let detail = std::str::from_utf8(&frame.body).ok().map(str::trim);
    let detail = detail.filter(|detail| !detail.is_empty() && *detail != message).map(str::to_owned);
    ClientError::Server { message, detail }
}

/// The two numbers of a `heart-beat` header: what the server can do, and what it wants.
fn parse(value: &str) -> Option<(u64, u64)> {
    let (can, wants) = value.split_once(',')?;
    Some((can.trim().parse().ok()?, wants.trim().parse().ok()?))
}

/// The interval in which one side writes what the other hears: none if either wants none.
fn meet(can: u64, wants: u64) -> Option<Duration> {
    (can > 0 && wants > 0).then(|| Duration::from_millis(can.max(wants)))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heart_beats_are_what_both_sides_agree_on() {
        for (can, wants, expected) in [(0, 0, None), (0, 5, None), (5, 0, None), (5, 7, Some(7)), (9, 7, Some(9))] {
            assert_eq!(meet(can, wants), expected.map(Duration::from_millis), "{can} {wants}");
        }
        assert_eq!(parse("1000, 0"), Some((1000, 0)));
        for wrong in ["", "1", "a,b", "-1,0", "1,2,3"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!([0, 1, 1_000_000, 1_000_001].map(|nanos| millis(Duration::from_nanos(nanos))), [0, 1, 1, 2]);
    }

    #[test]
    fn the_version_must_have_been_offered() {
        let chosen = |said: Option<&str>, offered: &[Version]| {
            let headers: Headers = said.map(|said| ("version", said)).into_iter().collect();
            version(&headers, offered).ok()
        };
        assert_eq!(chosen(Some("1.1"), &[Version::V1_2, Version::V1_1]), Some(Version::V1_1));
        assert_eq!(chosen(None, &[Version::V1_0]), Some(Version::V1_0));
        assert_eq!(chosen(None, &[Version::V1_2]), None);
        assert_eq!(chosen(Some("1.0"), &[Version::V1_2]), None);
        assert_eq!(chosen(Some("2.0"), &[Version::V1_2]), None);
    }

    #[test]
    fn credentials_and_wishes_stand_in_connect() {
        let options = Options {
            login: Some("ann".to_owned()),
            passcode: Some("s".to_owned()),
            heart_beat: (Duration::from_secs(1), Duration::ZERO),
            headers: vec![("x".to_owned(), "y".to_owned())],
            ..Options::default()
        };
        let written = request(&options).encode(Version::V1_0);
        let expected =
            "CONNECT\naccept-version:1.2,1.1,1.0\nhost:localhost\nheart-beat:1000,0\nlogin:ann\npasscode:s\nx:y\n\n\0";
        assert_eq!(&written[..], expected.as_bytes());
    }

    #[test]
    fn an_error_says_what_the_server_said() {
        let said = |frame: &Frame| error(frame).to_string();
        let frame = Frame::new(Command::Error).with("message", "no");
        assert_eq!(said(&frame), "the server answered with an error: no");
        assert_eq!(said(&frame.with_body("never\n")), "the server answered with an error: no (never)");
    }
}
