//! CONNECT and CONNECTED: who is let in, and what a client is told.
//!
//! Does not know: the choice of the version, which is a group of its own.

use super::{entry, rule};
use crate::conformance::Level::{May, Must, Should};
use crate::conformance::Stop;
use crate::conformance::stomp::dialect::Claim;
use crate::conformance::stomp::probe::{Probe, message};
use crate::conformance::stomp::split::has_line;
use crate::conformance::stomp::{Entry, Over};
use crate::stomp::{Command, Version};
use crate::wire::shown;

const GROUP: &str = "connecting";

pub(super) static CHECKS: &[Entry] = &[
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "connect.connected",
            "CONNECT is answered by CONNECTED, and nothing stands before it",
            "STOMP 1.2, Connecting",
            "Every client waits for CONNECTED before it does anything. stompjs 2 does not recognise one that has even a line feed before \
             it.",
        ),
        |probe| Box::pin(connected(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "connect.stomp-command",
            "STOMP in place of CONNECT is accepted",
            "STOMP 1.2, CONNECT or STOMP Frame",
            "Clients of 1.2 may open with STOMP, so that a port that is shared with HTTP can tell them apart. They get no further \
             where it is an unknown command.",
        ),
        |probe| Box::pin(stomp_command(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "connect.without-host",
            "A CONNECT without host is accepted",
            "STOMP 1.2, CONNECT or STOMP Frame; practice of clients",
            "The text requires the header of clients, and @stomp/stompjs and the Android client send none unless they are told to. A \
             server that insists keeps them out.",
        ),
        |probe| Box::pin(without_host(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "connect.host-of-the-url",
            "A CONNECT whose host is the name that the client connected to is accepted",
            "STOMP 1.2, CONNECT or STOMP Frame",
            "The text recommends that value, and stomp.py sends it by default. A server that knows virtual hosts by other names \
             refuses a default stomp.py.",
        ),
        |probe| Box::pin(host_of_the_url(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "connect.not-escaped",
            "A backslash in a header of CONNECT is a backslash, whatever follows it",
            "STOMP 1.2, Value Encoding",
            "CONNECT is never escaped, since the version is not agreed on yet. A passcode with a backslash is wrong, or fatal, where it is \
             decoded.",
        ),
        |probe| Box::pin(not_escaped(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "connect.connected-not-escaped",
            "The headers of CONNECTED are not escaped",
            "STOMP 1.2, Value Encoding",
            "Clients do not decode CONNECTED. A session id with an escaped colon is another session id to them.",
        ),
        |probe| Box::pin(connected_not_escaped(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "connect.heart-beat-header",
            "CONNECTED of 1.1 and 1.2 has heart-beat, two whole numbers with a comma",
            "STOMP 1.2, Heart-beating; practice of clients",
            "The header is optional by the text, but stompjs 2.3.3 throws without it, and webstomp-client needs it too: their users \
             cannot connect at all.",
        ),
        |probe| Box::pin(heart_beat_header(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "connect.server-header",
            "The server header of CONNECTED, if there is one, begins with a name and perhaps a slash and a version",
            "STOMP 1.2, CONNECTED Frame",
            "Tools tell servers apart by it. A blank stands only before comments.",
        ),
        |probe| Box::pin(server_header(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "connect.session-header",
            "CONNECTED has a session header, another for every connection",
            "STOMP 1.0, CONNECT (1.1 and 1.2: MAY)",
            "1.0 promises it, and clients make message ids or log entries of it; Spring's clients show it. Two connections with one id \
             cannot be told apart in a log.",
        ),
        |probe| Box::pin(session_header(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            May,
            "connect.plain-values",
            "No value in CONNECTED has a colon, a backslash or a blank at its edge",
            "practice of clients",
            "SwiftStomp stops reading headers at a line with two colons, and most clients trim. A session id such as ID:host:1 is cut \
             or lost there.",
        ),
        |probe| Box::pin(plain_values(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "connect.first",
            "A frame before CONNECT is refused and not carried out",
            "STOMP 1.2, Connecting",
            "Whoever can publish without CONNECT can publish without a login.",
        ),
        |probe| Box::pin(first(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "connect.once",
            "A second CONNECT is refused",
            "STOMP 1.2, Connecting",
            "A client that connects twice is confused, or tries to become somebody else in an open conversation. Neither is to be served.",
        ),
        |probe| Box::pin(once(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "connect.refused-login",
            "A CONNECT with a wrong passcode is answered by ERROR, and the connection ends",
            "STOMP 1.2, Connecting",
            "A client that hears nothing tries again for ever, and one whose connection stays open waits for ever: stompjs reconnects \
             only after the close.",
        ),
        |probe| Box::pin(refused_login(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "connect.disconnect",
            "A conversation can be ended with DISCONNECT and begun anew at once",
            "STOMP 1.2, DISCONNECT",
            "Pages are reloaded: the same client comes back within milliseconds, and what is left of the one before must not stand in \
             its way.",
        ),
        |probe| Box::pin(disconnect(probe)),
    ),
];

async fn connected(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.open().await?;
    client.connect_by(&probe.connect_with(Some("1.0,1.1,1.2"))).await?;
    let before = client.gaps.iter().map(|gap| gap.len()).sum::<usize>();
    let begins = client.pieces.first().is_some_and(|(_, bytes)| bytes.starts_with(b"CONNECTED"));
    client.demand(begins, || format!("{before} bytes before CONNECTED"), "CONNECTED as the first bytes of the server")
}

async fn stomp_command(probe: &Probe) -> Result<(), Stop> {
    probe.speaks(Version::V1_2)?;
    let mut client = probe.open().await?;
    let mut frame = probe.connect_frame(Version::V1_2);
    frame.command = Command::Stomp;
    let connected = client.connect_by(&frame).await?;
    client.header(&connected, "version", "1.2")
}

async fn without_host(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.open().await?;
    let mut frame = probe.connect_with(Some("1.0,1.1,1.2"));
    frame.headers.remove("host");
    client.connect_by(&frame).await?;
    Ok(())
}

async fn host_of_the_url(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.open().await?;
    let mut frame = probe.connect_with(Some("1.0,1.1,1.2"));
    frame.headers.remove("host");
    client.connect_by(&frame.with("host", probe.target.host())).await?;
    Ok(())
}

async fn not_escaped(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.open().await?;
    let frame = probe.connect_with(Some("1.0,1.1,1.2")).with("x-note", "C:\\temp\\dir");
    client.connect_by(&frame).await?;
    Ok(())
}

async fn connected_not_escaped(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.open().await?;
    let connected = client.connect_by(&probe.connect_with(Some("1.2,1.1,1.0"))).await?;
    let escape = |value: &str| ["\\c", "\\n", "\\r", "\\\\"].iter().any(|escape| value.contains(escape));
    let found = connected.frame.headers.iter().any(|(name, value)| escape(name) || escape(value));
    client.demand(!found, || shown(&connected.raw), "headers without escapes")
}

async fn heart_beat_header(probe: &Probe) -> Result<(), Stop> {
    for version in [Version::V1_1, Version::V1_2] {
        if probe.speaks(version).is_err() {
            continue;
        }
        let mut client = probe.open().await?;
        let mut frame = probe.connect_frame(version);
        frame.headers.remove("heart-beat");
        let connected = client.connect_by(&frame).await?;
        let value = client.value(&connected, "heart-beat")?;
        let numbers: Vec<_> = value.split(',').map(|number| number.parse::<u32>().is_ok()).collect();
        client.demand(numbers == [true, true], || shown(&value), "two whole numbers with a comma between them")?;
    }
    Ok(())
}

async fn server_header(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.open().await?;
    let connected = client.connect_by(&probe.connect_with(Some("1.0,1.1,1.2"))).await?;
    let Some(server) = connected.frame.headers.get("server") else {
        return Err(Stop::NotOffered("CONNECTED has no server header".to_owned()));
    };
    let name = server.split(' ').next().unwrap_or_default();
    let parts: Vec<_> = name.split('/').collect();
    let right = !name.is_empty() && parts.len() <= 2 && parts.iter().all(|part| !part.is_empty());
    client.demand(right, || format!("server:{}", shown(server)), "name, or name/version, then comments after blanks")
}

async fn session_header(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.open().await?;
    let first = client.connect_by(&probe.connect_with(Some("1.0,1.1,1.2"))).await?;
    let first = client.value(&first, "session")?;
    let mut other = probe.open().await?;
    let second = other.connect_by(&probe.connect_with(Some("1.0,1.1,1.2"))).await?;
    let second = other.value(&second, "session")?;
    other.demand(first != second, || format!("session:{first} twice"), "another session id for every connection")
}

async fn plain_values(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.open().await?;
    let connected = client.connect_by(&probe.connect_with(Some("1.0,1.1,1.2"))).await?;
    // Looked at as it was written: what was parsed may have been trimmed.
    let text = String::from_utf8_lossy(&connected.raw).into_owned();
    for line in text.lines().skip(1).take_while(|line| !line.is_empty()) {
        let value = line.split_once(':').map_or("", |(_, value)| value);
        let plain = !value.contains([':', '\\']) && value.trim() == value;
        client.demand(plain, || shown(line), "values without colon, backslash and blanks at the edges")?;
    }
    Ok(())
}

async fn first(probe: &Probe) -> Result<(), Stop> {
    let (mut listener, topic) = probe.listener(Version::V1_2).await?;
    let mut stranger = probe.open().await?;
    let wanted = "a refusal of what comes before CONNECT: ERROR or the end";
    stranger.send(&message(&topic, "from nobody")).await?;
    if probe.has(Claim::Errors) {
        stranger.refused(wanted).await?;
    }
    listener.silence("no message of a client that has not connected").await
}

async fn once(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    client.send(&probe.connect_frame(Version::V1_2)).await?;
    client.refused("a refusal of the second CONNECT: ERROR or the end").await?;
    Ok(())
}

async fn refused_login(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Logins)?;
    let Some(login) = probe.login() else {
        return Err(Stop::NotOffered("no --login was given, so it may be that everybody is let in".to_owned()));
    };
    let mut client = probe.open().await?;
    let frame = probe.anonymous(Some("1.0,1.1,1.2")).with("login", login).with("passcode", probe.name());
    client.send(&frame).await?;
    client.error("ERROR for a wrong passcode").await?;
    client.end("the end of the connection after the ERROR").await
}

async fn disconnect(probe: &Probe) -> Result<(), Stop> {
    for _ in 0..3 {
        let client = probe.connect(Version::V1_2).await?;
        client.leave().await?;
    }
    let (mut last, topic) = probe.listener(Version::V1_2).await?;
    last.publish(&topic, "back").await?;
    let message = last.body("back").await?;
    let line = format!("destination:{topic}");
    last.demand(has_line(&message.raw, &line), || shown(&message.raw), &line)
}
