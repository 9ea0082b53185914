//! The choice of the version.
//!
//! Does not know: what differs between the versions.

use super::{entry, rule};
use crate::conformance::Level::{May, Must, Should};
use crate::conformance::Stop;
use crate::conformance::stomp::dialect::Claim;
use crate::conformance::stomp::probe::Probe;
use crate::conformance::stomp::{Entry, Over};
use crate::stomp::Version;
use crate::wire::shown;

const GROUP: &str = "versions";
const SOURCE: &str = "STOMP 1.2, Protocol Negotiation";

pub(super) static CHECKS: &[Entry] = &[
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "version.1.0",
            "A client that offers 1.0 alone is answered with 1.0",
            SOURCE,
            "Scripts and devices of ten years ago speak 1.0. What 1.1 escapes they would read as it stands.",
        ),
        |probe| Box::pin(alone(probe, Version::V1_0)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "version.1.1",
            "A client that offers 1.1 alone is answered with 1.1",
            SOURCE,
            "stompjs 2.3.3 never offers 1.2, and Spring's users have it still.",
        ),
        |probe| Box::pin(alone(probe, Version::V1_1)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "version.1.2",
            "A client that offers 1.2 alone is answered with 1.2",
            SOURCE,
            "Every client of today offers it first, and its ACK needs the ack header that only 1.2 has.",
        ),
        |probe| Box::pin(alone(probe, Version::V1_2)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "version.highest",
            "The highest version that both have is chosen, wherever in the list it stands",
            SOURCE,
            "stompjs 7 lists 1.2 first and Spring's client lists it last. Whoever takes the first or the last entry gives one of them an \
             older protocol.",
        ),
        |probe| Box::pin(highest(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "version.unknown-passed-over",
            "Versions that the server does not know are passed over",
            SOURCE,
            "The first client that knows a later version would be turned away.",
        ),
        |probe| Box::pin(unknown_passed_over(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            May,
            "version.blanks",
            "Blanks in the list of versions do no harm",
            "STOMP 1.2, Protocol Negotiation; practice of clients",
            "Lists such as 1.1, 1.2 are written by hand. Where the blank is taken for a part of the name the client is given 1.1 and nobody \
             knows why.",
        ),
        |probe| Box::pin(blanks(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "version.missing",
            "A CONNECT without accept-version is answered as one of 1.0",
            SOURCE,
            "Clients of 1.0 cannot say what they speak. Where nothing answers them they hang.",
        ),
        |probe| Box::pin(missing(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "version.none-in-common",
            "Without a common version the answer is ERROR, and the connection ends",
            SOURCE,
            "A client that gets CONNECTED in a version that it does not speak misreads what follows, and one that gets nothing waits.",
        ),
        |probe| Box::pin(none_in_common(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "version.none-lists",
            "The ERROR for want of a common version lists those that are spoken, in version",
            SOURCE,
            "It is all that a client's author has to go by.",
        ),
        |probe| Box::pin(none_lists(probe)),
    ),
];

async fn alone(probe: &Probe, version: Version) -> Result<(), Stop> {
    probe.speaks(version)?;
    let mut client = probe.open().await?;
    let connected = client.connect_by(&probe.connect_with(Some(version.as_str()))).await?;
    match connected.frame.headers.get("version") {
        // 1.0 does not know the header.
        None if version == Version::V1_0 => Ok(()),
        _ => client.header(&connected, "version", version.as_str()),
    }
}

async fn highest(probe: &Probe) -> Result<(), Stop> {
    let Some(best) = probe.spoken.iter().max() else {
        return Err(Stop::NotOffered("no version is spoken".to_owned()));
    };
    for list in ["1.0,1.1,1.2", "1.2,1.1,1.0", "1.1,1.2,1.0"] {
        let mut client = probe.open().await?;
        let connected = client.connect_by(&probe.connect_with(Some(list))).await?;
        client.header(&connected, "version", best.as_str())?;
    }
    Ok(())
}

async fn unknown_passed_over(probe: &Probe) -> Result<(), Stop> {
    probe.speaks(Version::V1_1)?;
    for list in ["1.1,2.0,9.9", "9.9,1.1"] {
        let mut client = probe.open().await?;
        let connected = client.connect_by(&probe.connect_with(Some(list))).await?;
        client.header(&connected, "version", "1.1")?;
    }
    Ok(())
}

async fn blanks(probe: &Probe) -> Result<(), Stop> {
    probe.speaks(Version::V1_1)?;
    probe.speaks(Version::V1_2)?;
    let mut client = probe.open().await?;
    let connected = client.connect_by(&probe.connect_with(Some("1.1, 1.2"))).await?;
    client.header(&connected, "version", "1.2")
}

async fn missing(probe: &Probe) -> Result<(), Stop> {
    probe.speaks(Version::V1_0)?;
    let mut client = probe.open().await?;
    let connected = client.connect_by(&probe.connect_with(None)).await?;
    match connected.frame.headers.get("version") {
        None => Ok(()),
        Some(_) => client.header(&connected, "version", "1.0"),
    }
}

async fn none_in_common(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.open().await?;
    client.send(&probe.connect_with(Some("9.9"))).await?;
    client.error("ERROR, for want of a common version").await?;
    client.end("the end of the connection after the ERROR").await
}

async fn none_lists(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    let mut client = probe.open().await?;
    client.send(&probe.connect_with(Some("9.9"))).await?;
    let error = client.error("ERROR, for want of a common version").await?;
    let list = client.value(&error, "version")?;
    let known = |name: &str| Version::parse(name.trim()).is_some();
    client.demand(
        list.split([',', ' ']).any(known),
        || shown(&list),
        "the versions that are spoken, such as 1.0,1.1,1.2",
    )
}
