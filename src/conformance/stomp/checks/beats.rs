//! Heart-beats. Most of it takes seconds and runs only when it is asked for: a server's interval is a second at the least.
//!
//! Does not know: SockJS's own heartbeats, which are nothing here.

use std::time::{Duration, Instant};

use super::{entry, rule, slow};
use crate::conformance::Level::{May, Must, Should};
use crate::conformance::Stop;
use crate::conformance::stomp::conversation::Conversation;
use crate::conformance::stomp::dialect::Claim;
use crate::conformance::stomp::probe::Probe;
use crate::conformance::stomp::{Entry, Over};
use crate::stomp::{Frame, Version};
use crate::wire::shown;

const GROUP: &str = "heart-beats";
const BEATS: &str = "STOMP 1.2, Heart-beating";

pub(super) static CHECKS: &[Entry] = &[
    entry(
        Over::All,
        rule(
            GROUP,
            May,
            "beats.malformed",
            "A heart-beat header that is no two numbers is refused",
            BEATS,
            "A client that believes in its heart-beats while the server knows of none is cut by every proxy on the way.",
        ),
        |probe| Box::pin(malformed(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "beats.not-negative",
            "The numbers in CONNECTED are not negative, whatever the client asks for",
            BEATS,
            "stompjs computes an interval of them, and a negative one is a loop without a pause.",
        ),
        |probe| Box::pin(not_negative(probe)),
    ),
    entry(
        Over::All,
        slow(rule(
            GROUP,
            Must,
            "beats.server",
            "A server that promised heart-beats sends something in every interval",
            BEATS,
            "stompjs closes the connection after two silent intervals, and the page flickers without end.",
        )),
        |probe| Box::pin(server(probe)),
    ),
    entry(
        Over::All,
        slow(rule(
            GROUP,
            Must,
            "beats.line-feed",
            "A heart-beat is a line end, and a message of its own where there are messages",
            BEATS,
            "stompjs 2.3.3 knows a heart-beat only as a message that is one line feed; anything else it takes for a frame.",
        )),
        |probe| Box::pin(line_feed(probe)),
    ),
    entry(
        Over::All,
        slow(rule(
            GROUP,
            Must,
            "beats.none",
            "Without heart-beats agreed on nothing is sent, and a silent client stays",
            BEATS,
            "A client that announced none must not be cut for having none. The Android client announces none by default.",
        )),
        |probe| Box::pin(none(probe)),
    ),
    entry(
        Over::All,
        slow(rule(
            GROUP,
            Should,
            "beats.silent-client",
            "A client that promised heart-beats and is silent for several intervals is cut",
            "STOMP 1.2, Heart-beating (MAY)",
            "It is gone without a word. What it has not acknowledged waits for as long as it is believed to be there.",
        )),
        |probe| Box::pin(silent_client(probe)),
    ),
    entry(
        Over::All,
        slow(rule(
            GROUP,
            Must,
            "beats.of-client",
            "A client that sends line ends in time is not cut",
            BEATS,
            "It keeps its promise, and nothing else may be asked of it.",
        )),
        |probe| Box::pin(of_client(probe)),
    ),
    entry(
        Over::Tcp,
        slow(rule(
            GROUP,
            Must,
            "beats.any-bytes",
            "Any bytes are a sign of life, also those of a frame that is not complete",
            BEATS,
            "On a thin line a large frame takes longer than an interval. Cut in the middle, it can never be sent.",
        )),
        |probe| Box::pin(any_bytes(probe)),
    ),
];

/// What is asked of a server. Less than a second many do not do.
const WISH: Duration = Duration::from_secs(1);
/// The longest interval that is waited for.
const LONGEST: Duration = Duration::from_secs(20);

/// A CONNECT with that heart-beat header.
fn asking(probe: &Probe, version: Version, header: &str) -> Frame {
    let mut frame = probe.connect_frame(version);
    frame.headers.remove("heart-beat");
    frame.with("heart-beat", header)
}

/// A client that asked so, and the interval in each direction: that of the server's beats, and that of ours.
async fn beating<'a>(probe: &'a Probe, header: &str) -> Result<(Conversation<'a>, Duration, Duration), Stop> {
    probe.speaks(Version::V1_2)?;
    let mut client = probe.open().await?;
    let connected = client.connect_by(&asking(probe, Version::V1_2, header)).await?;
    let numbers = |text: &str| {
        let mut numbers = text.split(',').map(|number| number.parse::<u32>().unwrap_or_default());
        (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
    };
    let (can, wants) = numbers(connected.frame.headers.get("heart-beat").unwrap_or("0,0"));
    let (could, wanted) = numbers(header);
    let interval = |one: u32, other: u32| {
        let long = if one == 0 || other == 0 { 0 } else { one.max(other) };
        Duration::from_millis(long.into())
    };
    Ok((client, interval(can, wanted), interval(could, wants)))
}

/// Ends the check where there are no heart-beats, or too seldom to be waited for.
fn waits_for(interval: Duration, whose: &str) -> Result<(), Stop> {
    if interval.is_zero() {
        return Err(Stop::NotOffered(format!("the server wants no heart-beats of {whose}")));
    }
    if interval > LONGEST {
        return Err(Stop::NotOffered(format!(
            "heart-beats of {whose} come every {interval:?}, too seldom to wait for"
        )));
    }
    Ok(())
}

async fn malformed(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    let mut client = probe.open().await?;
    client.send(&asking(probe, Version::V1_2, "often")).await?;
    client.refused("a refusal of the heart-beat header: ERROR or the end").await?;
    Ok(())
}

async fn not_negative(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    probe.speaks(Version::V1_2)?;
    let mut client = probe.open().await?;
    client.send(&asking(probe, Version::V1_2, "-1,-1")).await?;
    let wanted = "a refusal, or CONNECTED with numbers from zero on";
    if let Some(received) = client.answer(wanted).await? {
        let header = received.frame.headers.get("heart-beat").unwrap_or("0,0");
        client.demand(!header.contains('-'), || shown(&received.raw), wanted)?;
    }
    Ok(())
}

async fn server(probe: &Probe) -> Result<(), Stop> {
    let (mut client, interval, _) = beating(probe, "0,1000").await?;
    waits_for(interval, "its own")?;
    let until = Instant::now() + interval * 7 / 2;
    let wanted = format!("something at least every {interval:?}, with as much again for the way");
    while Instant::now() < until {
        let come = client.listen(interval * 2, &wanted).await?;
        client.demand(come, || format!("nothing for {:?}", interval * 2), &wanted)?;
        client.demand(client.has_ended().is_none(), || "the end".to_owned(), &wanted)?;
    }
    Ok(())
}

async fn line_feed(probe: &Probe) -> Result<(), Stop> {
    let (mut client, interval, _) = beating(probe, "0,1000").await?;
    waits_for(interval, "its own")?;
    // What ends CONNECTED may come behind it.
    client.silence("nothing but heart-beats").await?;
    client.pieces.clear();
    client.silence_for(interval * 5 / 2, "heart-beats and nothing else").await?;
    let first = client.pieces.first().map(|(_, bytes)| bytes.clone()).unwrap_or_default();
    let lines = !first.is_empty() && first.iter().all(|byte| matches!(byte, b'\n' | b'\r'));
    client.demand(lines, || shown(&first), "a line end as the heart-beat")?;
    if Over::Messages.has(probe.carrier) {
        let alone = client.pieces.iter().all(|(_, bytes)| bytes == "\n");
        let pieces: Vec<_> = client.pieces.iter().map(|(_, bytes)| shown(bytes)).collect();
        client.demand(alone, || pieces.join(", "), "messages that are one line feed each")?;
    }
    Ok(())
}

async fn none(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.silence("nothing").await?;
    client.pieces.clear();
    client.silence_for(WISH * 4, "neither a frame nor the end, since no heart-beats were agreed on").await?;
    let pieces: Vec<_> = client.pieces.iter().map(|(_, bytes)| shown(bytes)).collect();
    client.demand(pieces.is_empty(), || pieces.join(", "), "nothing, since no heart-beats were agreed on")?;
    client.publish(&topic, "still here").await?;
    client.body("still here").await?;
    Ok(())
}

async fn silent_client(probe: &Probe) -> Result<(), Stop> {
    let (mut client, _, interval) = beating(probe, "1000,0").await?;
    waits_for(interval, "the client")?;
    let until = Instant::now() + interval * 5;
    let wanted = format!("the end within {:?}, five silent intervals", interval * 5);
    while client.has_ended().is_none() {
        let left = until.saturating_duration_since(Instant::now());
        client.demand(!left.is_zero(), || "an open connection".to_owned(), &wanted)?;
        client.listen(left, &wanted).await?;
    }
    Ok(())
}

async fn of_client(probe: &Probe) -> Result<(), Stop> {
    let (mut client, _, interval) = beating(probe, "1000,0").await?;
    waits_for(interval, "the client")?;
    let topic = probe.topic();
    client.subscribe("s", &topic).await?;
    for _ in 0..7 {
        client.silence_for(interval * 3 / 5, "an open connection, since heart-beats come in time").await?;
        client.write("\n").await?;
    }
    client.publish(&topic, "still here").await?;
    client.body("still here").await?;
    Ok(())
}

async fn any_bytes(probe: &Probe) -> Result<(), Stop> {
    let (mut client, _, interval) = beating(probe, "1000,0").await?;
    waits_for(interval, "the client")?;
    let topic = probe.topic();
    client.subscribe("s", &topic).await?;
    client.write(format!("SEND\ndestination:{topic}\n\n")).await?;
    for _ in 0..7 {
        client.silence_for(interval * 3 / 5, "an open connection, since bytes come in time").await?;
        client.write("x").await?;
    }
    client.write("\0").await?;
    client.body("xxxxxxx").await?;
    Ok(())
}
