//! What stands in headers: escapes of each version, repeated ones, blanks, characters.
//!
//! Does not know: what the headers of a command mean.

use super::{entry, rule};
use crate::conformance::Level::{May, Must, Should};
use crate::conformance::Stop;
use crate::conformance::stomp::dialect::Claim;
use crate::conformance::stomp::probe::{Probe, message};
use crate::conformance::stomp::split::has_line;
use crate::conformance::stomp::{Entry, Over};
use crate::stomp::Version;
use crate::wire::shown;

const GROUP: &str = "headers";
const ENCODING: &str = "STOMP 1.2, Value Encoding";

pub(super) static CHECKS: &[Entry] = &[
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "headers.escapes-1.2",
            "In 1.2 line feed, CR, colon and backslash in a value arrive as they were meant",
            ENCODING,
            "A value that comes back with its escapes grows a backslash with every hop, and one decoded in the wrong order is another \
             value.",
        ),
        |probe| Box::pin(escapes(probe, Version::V1_2, "a:b\\c\nd\\ne\rf", "a\\cb\\\\c\\nd\\\\ne\\rf")),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "headers.escapes-1.1",
            "In 1.1 line feed, colon and backslash in a value arrive as they were meant",
            "STOMP 1.1, Value Encoding",
            "A URL or a time of day has colons. Read without decoding they are wrong in every message.",
        ),
        |probe| Box::pin(escapes(probe, Version::V1_1, "a:b\\c\nd\\ne", "a\\cb\\\\c\\nd\\\\ne")),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "headers.escaped-names",
            "The names of headers are escaped as well",
            ENCODING,
            "A name with a colon that is written raw is another header, with a value that nobody gave: that is how headers are forged.",
        ),
        |probe| Box::pin(escaped_names(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "headers.no-escapes-1.0",
            "In 1.0 nothing is escaped: a backslash is a backslash",
            "STOMP 1.0, Frames",
            "Clients of 1.0 send paths of Windows and never heard of escapes.",
        ),
        |probe| Box::pin(no_escapes(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "headers.each-in-its-version",
            "A value is written for each receiver as its own version has it",
            ENCODING,
            "Clients of several versions share topics. A colon must be escaped for the one and must not be for the other.",
        ),
        |probe| Box::pin(each_in_its_version(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "headers.undefined-escape-1.2",
            "In 1.2 an undefined escape such as \\t is fatal",
            ENCODING,
            "The text says so, for what it may mean one day must not be guessed now.",
        ),
        |probe| Box::pin(undefined(probe, Version::V1_2, "a\\tb")),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "headers.undefined-escape-1.1",
            "In 1.1 an undefined escape such as \\t is fatal",
            "STOMP 1.1, Value Encoding",
            "As in 1.2: who guesses reads another value than the next server.",
        ),
        |probe| Box::pin(undefined(probe, Version::V1_1, "a\\tb")),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            May,
            "headers.cr-escape-1.1",
            "In 1.1 the escape \\r, which only 1.2 defines, is fatal",
            "STOMP 1.1, Value Encoding",
            "RabbitMQ and ActiveMQ take it, and no client was seen to depend on either.",
        ),
        |probe| Box::pin(undefined(probe, Version::V1_1, "a\\rb")),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "headers.first-wins",
            "Of a header that is repeated the first counts",
            "STOMP 1.2, Repeated Header Entries",
            "What passes a message on puts its own value in front. If the last counted, whoever wrote the message could choose the \
             destination.",
        ),
        |probe| Box::pin(first_wins(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "headers.utf-8",
            "Names and values are UTF-8 and arrive as such",
            "STOMP 1.2, Value Encoding",
            "A user's name in a header is the first thing that breaks.",
        ),
        |probe| Box::pin(utf_8(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "headers.blanks-kept-1.2",
            "In 1.2 blanks at the edges of a value are kept",
            "STOMP 1.2, STOMP Frames",
            "The text forbids to trim. An id that comes back without its blank is an id that the client does not know.",
        ),
        |probe| Box::pin(blanks(probe, Version::V1_2)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "headers.blanks-kept-1.1",
            "In 1.1 blanks at the edges of a value are kept",
            "STOMP 1.1, Frames and Headers",
            "The text forbids to trim since 1.1.",
        ),
        |probe| Box::pin(blanks(probe, Version::V1_1)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "headers.padding-1.0",
            "In 1.0 a blank behind the colon is no part of the value",
            "STOMP 1.0, Frames (its examples have one)",
            "Clients of 1.0 were written after the examples: destination with a blank before it is what they send.",
        ),
        |probe| Box::pin(padding(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "headers.empty-value",
            "A header may have an empty value, and arrives with it",
            "STOMP 1.2, Augmented BNF",
            "Form fields are empty at times. A server that drops the line, or the connection, fails on the data of the day.",
        ),
        |probe| Box::pin(empty_value(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "headers.case",
            "Names of headers are case-sensitive: Destination is not destination",
            "STOMP 1.2, STOMP Frames",
            "What stands in front of the server looks for destination. It would be passed by.",
        ),
        |probe| Box::pin(case(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "headers.no-colon",
            "A header line without a colon is refused",
            "STOMP 1.2, Augmented BNF",
            "It is no header. Passed over, a typing mistake in a client goes unnoticed for years.",
        ),
        |probe| Box::pin(no_colon(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "headers.lone-cr",
            "In 1.2 a CR inside a header line is refused",
            "STOMP 1.2, Augmented BNF",
            "It is a line end to some readers and a character to others, and between the two a header can be forged.",
        ),
        |probe| Box::pin(lone_cr(probe)),
    ),
];

async fn escapes(probe: &Probe, version: Version, value: &str, written: &str) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(version).await?;
    client.write(format!("SEND\ndestination:{topic}\nfoo:{written}\n\nhello\0")).await?;
    let received = client.body("hello").await?;
    client.header(&received, "foo", value)?;
    let line = format!("foo:{written}");
    client.demand(has_line(&received.raw, &line), || shown(&received.raw), &format!("the line {}", shown(&line)))
}

async fn escaped_names(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.send(&message(&topic, "hello").with("fo:o\\", "bar")).await?;
    let received = client.body("hello").await?;
    client.header(&received, "fo:o\\", "bar")
}

async fn no_escapes(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_0).await?;
    client.write(format!("SEND\ndestination:{topic}\nfoo:C\\cnew\\temp\n\nhello\0")).await?;
    let received = client.body("hello").await?;
    let line = "foo:C\\cnew\\temp";
    client.demand(has_line(&received.raw, line), || shown(&received.raw), &format!("the line {}", shown(line)))
}

async fn each_in_its_version(probe: &Probe) -> Result<(), Stop> {
    let mut old = probe.connect(Version::V1_0).await?;
    let mut new = old.beside(Version::V1_2).await?;
    let topic = probe.topic();
    old.subscribe("s", &topic).await?;
    new.subscribe("s", &topic).await?;
    old.write(format!("SEND\ndestination:{topic}\nfoo:12:30\n\nfrom 1.0\0")).await?;
    let received = new.body("from 1.0").await?;
    let wanted = "the line \"foo:12\\c30\" for 1.2";
    new.demand(has_line(&received.raw, "foo:12\\c30"), || shown(&received.raw), wanted)?;
    old.body("from 1.0").await?;
    new.write(format!("SEND\ndestination:{topic}\nfoo:12\\c45\n\nfrom 1.2\0")).await?;
    let received = old.body("from 1.2").await?;
    old.demand(has_line(&received.raw, "foo:12:45"), || shown(&received.raw), "the line \"foo:12:45\" for 1.0")
}

async fn undefined(probe: &Probe, version: Version, value: &str) -> Result<(), Stop> {
    probe.needs(Claim::Malformed)?;
    let (mut client, topic) = probe.listener(version).await?;
    client.write(format!("SEND\ndestination:{topic}\nfoo:{value}\n\nhello\0")).await?;
    client.refused("a refusal of the undefined escape: ERROR or the end").await?;
    Ok(())
}

async fn first_wins(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    let (topic, other) = (probe.topic(), probe.topic());
    client.subscribe("first", &topic).await?;
    client.subscribe("second", &other).await?;
    client.write(format!("SEND\ndestination:{topic}\ndestination:{other}\nfoo:1\nfoo:2\n\nhello\0")).await?;
    let received = client.body("hello").await?;
    client.header(&received, "subscription", "first")?;
    client.header(&received, "foo", "1")
}

async fn utf_8(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.send(&message(&topic, "hello").with("größe", "née €\u{1f600}")).await?;
    let received = client.body("hello").await?;
    client.header(&received, "größe", "née €\u{1f600}")
}

async fn blanks(probe: &Probe, version: Version) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(version).await?;
    client.write(format!("SEND\ndestination:{topic}\nfoo: a b  \n\nhello\0")).await?;
    let received = client.body("hello").await?;
    let line = "foo: a b  ";
    client.demand(has_line(&received.raw, line), || shown(&received.raw), &format!("the line {}", shown(line)))
}

async fn padding(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_0).await?;
    client.write(format!("SEND\ndestination: {topic}\n\nhello\0")).await?;
    client.body("hello").await?;
    Ok(())
}

async fn empty_value(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.send(&message(&topic, "hello").with("foo", "")).await?;
    let received = client.body("hello").await?;
    client.header(&received, "foo", "")
}

async fn case(probe: &Probe) -> Result<(), Stop> {
    let (mut listener, topic) = probe.listener(Version::V1_2).await?;
    let mut client = listener.beside(Version::V1_2).await?;
    client.write(format!("SEND\nDestination:{topic}\n\nhello\0")).await?;
    listener.silence("no message of a SEND that has Destination in place of destination").await
}

async fn no_colon(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Malformed)?;
    let mut client = probe.connect(Version::V1_2).await?;
    let topic = probe.topic();
    client.write(format!("SEND\ndestination:{topic}\nno colon here\n\nhello\0")).await?;
    client.refused("a refusal of the line without a colon: ERROR or the end").await?;
    Ok(())
}

async fn lone_cr(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Malformed)?;
    let mut client = probe.connect(Version::V1_2).await?;
    let topic = probe.topic();
    client.write(format!("SEND\ndestination:{topic}\nfoo:a\rb\n\nhello\0")).await?;
    client.refused("a refusal of the CR: ERROR or the end").await?;
    Ok(())
}
