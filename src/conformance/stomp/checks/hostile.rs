//! What no client should send and what comes from the network all the same: the server refuses it in time, and others notice
//! nothing.
//!
//! Does not know: STOMP's rules, which are those of the other groups.

use std::time::{Duration, Instant};

use super::{entry, rule, slow};
use crate::conformance::Level::{May, Must, Should};
use crate::conformance::Stop;
use crate::conformance::stomp::conversation::Conversation;
use crate::conformance::stomp::probe::Probe;
use crate::conformance::stomp::{Entry, Over};
use crate::stomp::Version;

const GROUP: &str = "robustness";
const LIMITS: &str = "STOMP 1.2, Size Limits";

pub(super) static CHECKS: &[Entry] = &[
    entry(
        Over::Bytes,
        rule(
            GROUP,
            Should,
            "hostile.garbage",
            "Bytes that are no STOMP are refused in place of CONNECT",
            "practice of servers",
            "Scanners send all kinds of things to an open port. Each would hold a connection.",
        ),
        |probe| Box::pin(garbage(probe)),
    ),
    entry(
        Over::Tcp,
        rule(
            GROUP,
            Should,
            "hostile.http",
            "A request of HTTP is refused",
            "practice of servers",
            "A page can be made to post to any port. What is in its body must not be taken for frames.",
        ),
        |probe| Box::pin(http(probe)),
    ),
    entry(
        Over::Bytes,
        rule(
            GROUP,
            Should,
            "hostile.endless-header",
            "A header line that does not end is refused before it has eaten the memory",
            LIMITS,
            "One client without a login could fill the server.",
        ),
        |probe| Box::pin(endless_header(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "hostile.many-headers",
            "Ten thousand headers are taken or refused, in time",
            LIMITS,
            "A list that is searched from the beginning for each of them takes seconds, in which nobody else is served.",
        ),
        |probe| Box::pin(many_headers(probe)),
    ),
    entry(
        Over::Bytes,
        rule(
            GROUP,
            Should,
            "hostile.announced-length",
            "A content-length of two gigabytes reserves nothing and disturbs nobody",
            LIMITS,
            "A server that makes room for what is announced is ended by a single line.",
        ),
        |probe| Box::pin(announced_length(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "hostile.half-a-frame",
            "A frame whose end is missing when the connection ends is not carried out",
            "STOMP 1.2, STOMP Frames",
            "Half an order is not an order for half.",
        ),
        |probe| Box::pin(half_a_frame(probe)),
    ),
    entry(
        Over::Bytes,
        rule(
            GROUP,
            Must,
            "hostile.others-go-on",
            "While one client sends nonsense others are served",
            "practice of servers",
            "It is what keeps a public port open.",
        ),
        |probe| Box::pin(others_go_on(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "hostile.many-at-once",
            "A thousand frames without a pause between them are all carried out",
            "practice of clients",
            "It is what a client sends that was offline for an hour.",
        ),
        |probe| Box::pin(many_at_once(probe)),
    ),
    entry(
        Over::Tcp,
        slow(rule(
            GROUP,
            May,
            "hostile.silent-connection",
            "A connection without CONNECT is ended within a minute",
            "practice of servers",
            "It costs nothing to open thousands of them.",
        )),
        |probe| Box::pin(silent_connection(probe)),
    ),
];

const REFUSED: &str = "a refusal: ERROR or the end";
/// What is sent of something that has no end.
const ENDLESS: usize = 6 << 20;
const PIECE: usize = 64 << 10;

async fn garbage(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.open().await?;
    // The same in every run, so that it can be repeated: the multiplier is Knuth's.
    let mut state = 1_u32;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(512)
    .collect();
    client.write([&b"\xff\xfe"[..], &bytes, b"\n\n\0\n\n\0"].concat()).await?;
    let refused = client.refused(REFUSED).await;
    // An ERROR that repeats what it is about may be no frame either.
    match client.pieces.first() {
        Some((_, first)) if first.starts_with(b"ERROR") => Ok(()),
        _ => refused.map(drop),
    }
}

async fn http(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.open().await?;
    let connect = probe.connect_frame(Version::V1_2).encode(Version::V1_2);
    let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", connect.len());
    client.write([head.as_bytes(), &connect].concat()).await?;
    client.refused(REFUSED).await?;
    Ok(())
}

/// Sends pieces until the server has enough: as fast as it reads them up to [`ENDLESS`], and then a few more bytes now and then,
/// since some look at what they have only when more comes. Whether it had enough in time.
async fn pour(client: &mut Conversation<'_>, patience: Duration) -> Result<bool, Stop> {
    let (mut sent, mut until) = (0, None);
    while until.is_none_or(|until| Instant::now() < until) {
        let more = sent < ENDLESS;
        let piece = if more { PIECE } else { 16 };
        // One that reads no more is as good as one that refuses.
        if client.line.send(&vec![b'x'; piece]).await.is_err() {
            return Ok(true);
        }
        sent += piece;
        if !more && until.is_none() {
            until = Some(Instant::now() + patience);
        }
        client.listen(if more { Duration::ZERO } else { client.lull() }, REFUSED).await?;
        if client.has_ended().is_some() || !client.unasked().is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn endless_header(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    client.write("SEND\ndestination:").await?;
    client.note(format!("then sends {ENDLESS} times the letter x, and some more, if it is let"));
    let enough = pour(&mut client, probe.patience()).await?;
    client.demand(enough, || format!("a header line of more than {ENDLESS} bytes was read, and no end"), REFUSED)
}

async fn many_headers(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    let headers: String = (0..10_000).map(|number| format!("h{number}:{number}\n")).collect();
    client.write(format!("SEND\ndestination:{topic}\n{headers}\nhello\0")).await?;
    // A MESSAGE, an ERROR or the end: in time is all that is wanted.
    client.answer("the MESSAGE, or a refusal").await?;
    Ok(())
}

async fn announced_length(probe: &Probe) -> Result<(), Stop> {
    let (mut listener, topic) = probe.listener(Version::V1_2).await?;
    let mut client = listener.beside(Version::V1_2).await?;
    client.write(format!("SEND\ndestination:{topic}\ncontent-length:2000000000\n\nhello\0")).await?;
    listener.silence("no MESSAGE of a frame that is not complete").await?;
    listener.publish(&topic, "still here").await?;
    listener.body("still here").await?;
    Ok(())
}

async fn half_a_frame(probe: &Probe) -> Result<(), Stop> {
    let (mut listener, topic) = probe.listener(Version::V1_2).await?;
    let mut client = listener.beside(Version::V1_2).await?;
    client.write(format!("SEND\ndestination:{topic}\n\nhalf of it")).await?;
    client.line.finish().await;
    listener.silence("nothing of a frame without an end").await?;
    drop(client);
    listener.silence("nothing of a frame without an end").await
}

async fn others_go_on(probe: &Probe) -> Result<(), Stop> {
    let (mut listener, topic) = probe.listener(Version::V1_2).await?;
    for nonsense in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"SEND\n\xff\xff:\xff\n\n\0", b"\0\0\0\0GET / \0"]
    {
        let mut client = listener.beside(Version::V1_2).await?;
        client.write(nonsense).await?;
        listener.publish(&topic, "still here").await?;
        listener.body("still here").await?;
    }
    Ok(())
}

async fn many_at_once(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    // Nine of ten to where nobody listens: how much one client may have waiting for it is another matter.
    let nine = format!("SEND\ndestination:{}\n\n\0\n", probe.topic()).repeat(9);
    for number in 0..10 {
        // Not too many in one message, which has a limit in places.
        let heard = (0..10).map(|count| format!("{nine}SEND\ndestination:{topic}\n\n{number}{count}\0\n"));
        client.write(heard.collect::<String>()).await?;
    }
    let mut seen = Vec::new();
    for _ in 0..100 {
        seen.push(client.message("100 MESSAGEs, one for every tenth frame").await?.frame.body);
    }
    seen.sort();
    seen.dedup();
    client.demand(seen.len() == 100, || format!("{} different bodies", seen.len()), "100 different bodies")
}

async fn silent_connection(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.open().await?;
    let until = Instant::now() + Duration::from_secs(60);
    let wanted = "the end of a connection that has not said CONNECT for a minute";
    while client.has_ended().is_none() {
        let left = until.saturating_duration_since(Instant::now());
        client.demand(!left.is_zero(), || "an open connection".to_owned(), wanted)?;
        client.listen(left, wanted).await?;
    }
    Ok(())
}
