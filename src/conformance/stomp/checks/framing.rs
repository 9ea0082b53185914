//! Where a frame begins and ends: line ends, NULs, content-length, and pieces of any size.
//!
//! Does not know: what is in the headers, which is a group of its own.

use bytes::Bytes;

use super::{entry, rule};
use crate::conformance::Level::{May, Must, Should};
use crate::conformance::Stop;
use crate::conformance::stomp::dialect::Claim;
use crate::conformance::stomp::probe::{Probe, message, subscription};
use crate::conformance::stomp::{Entry, Over};
use crate::stomp::{Command, Version};
use crate::wire::shown;

const GROUP: &str = "framing";
const FRAMES: &str = "STOMP 1.2, STOMP Frames";
const LENGTH: &str = "STOMP 1.2, Header content-length";

pub(super) static CHECKS: &[Entry] = &[
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "framing.only-line-ends-between",
            "Between the server's frames there are line ends and nothing else",
            "STOMP 1.2, Augmented BNF",
            "A stray NUL or blank is the beginning of a frame to strict parsers, and they give up.",
        ),
        |probe| Box::pin(only_line_ends_between(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "framing.crlf",
            "In 1.2 lines may end with CR LF",
            FRAMES,
            "Clients on Windows and those made by hand send CR LF. A CR that stays in a value is a destination that nobody listens to.",
        ),
        |probe| Box::pin(crlf(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "framing.line-ends-between",
            "Line ends between the client's frames are passed over",
            FRAMES,
            "They are the heart-beats of clients, and many clients end every frame with one.",
        ),
        |probe| Box::pin(line_ends_between(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            May,
            "framing.nuls-between",
            "Stray NULs between the client's frames are passed over",
            "practice of clients",
            "Old clients end their frames with NUL, line feed and another NUL. RabbitMQ and ActiveMQ pass over it.",
        ),
        |probe| Box::pin(nuls_between(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "framing.nul-in-body",
            "A body with NULs in it passes whole if content-length says how long it is",
            LENGTH,
            "Serialised objects have NULs. Cut at the first, the rest of the body becomes a frame of nonsense.",
        ),
        |probe| Box::pin(nul_in_body(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "framing.without-length",
            "A body without content-length ends at the first NUL",
            FRAMES,
            "Most texts are sent that way; telnet and shell scripts always do.",
        ),
        |probe| Box::pin(without_length(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "framing.octets",
            "content-length counts octets and not characters, both ways",
            LENGTH,
            "A length in characters cuts every text with an umlaut, and the parser is lost from there on. @stomp/stompjs counts octets.",
        ),
        |probe| Box::pin(octets(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "framing.length-too-short",
            "A frame without NUL behind its content-length is refused",
            LENGTH,
            "Whoever reads on has lost the frame's end, and takes what a user typed for a frame.",
        ),
        |probe| Box::pin(bad_length(probe, "3", "hello")),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            May,
            "framing.length-garbage",
            "A content-length that is no number is refused",
            LENGTH,
            "What it was to mean cannot be known. To guess lets a body be read as frames by the one and not by the other of two servers.",
        ),
        |probe| Box::pin(bad_length(probe, "five", "hello")),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            May,
            "framing.length-negative",
            "A negative content-length is refused",
            LENGTH,
            "It is the classical way to make a server read from the wrong place.",
        ),
        |probe| Box::pin(bad_length(probe, "-1", "hello")),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "framing.length-zero",
            "A content-length of zero is an empty body",
            LENGTH,
            "Libraries set the header on every SEND. Read as absent, or as for ever, the next frame is lost.",
        ),
        |probe| Box::pin(length_zero(probe)),
    ),
    entry(
        Over::Tcp,
        rule(
            GROUP,
            Must,
            "framing.cut-anywhere",
            "A frame may come in pieces that are cut anywhere",
            FRAMES,
            "TCP knows no frames. A server that takes each read for a frame works on the desk and fails in the field.",
        ),
        |probe| Box::pin(cut_anywhere(probe)),
    ),
    entry(
        Over::Messages,
        rule(
            GROUP,
            Should,
            "framing.over-messages",
            "A frame may be spread over several messages",
            "practice of clients",
            "stompjs 2 cuts its frames into messages of 16 KiB, and @stomp/stompjs does with splitLargeFrames.",
        ),
        |probe| Box::pin(over_messages(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "framing.several-at-once",
            "Several frames may come in one piece",
            FRAMES,
            "A client that sends quickly has several frames in one segment. Those behind the first are lost where a read is a frame.",
        ),
        |probe| Box::pin(several_at_once(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Should,
            "framing.large-body",
            "A body of 64 KiB passes whole",
            "STOMP 1.2, Size Limits",
            "Limits are allowed, but those below this cut pictures and reports that every other server takes.",
        ),
        |probe| Box::pin(large_body(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            May,
            "framing.unknown-command",
            "A frame with an unknown command is refused",
            "STOMP 1.2, Once Connected",
            "A client whose frame has no effect and no answer waits for what will never come.",
        ),
        |probe| Box::pin(unknown_command(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            Must,
            "framing.command-case",
            "Commands are case-sensitive: send is not SEND",
            FRAMES,
            "A filter in front of the server that looks for SEND would be passed by.",
        ),
        |probe| Box::pin(command_case(probe)),
    ),
    entry(
        Over::All,
        rule(
            GROUP,
            May,
            "framing.body-not-allowed",
            "A body on SUBSCRIBE is refused or passed over, and the next frame is understood",
            "STOMP 1.2, Body (only SEND, MESSAGE and ERROR may have one)",
            "Taken for the beginning of the next frame it takes the conversation apart.",
        ),
        |probe| Box::pin(body_not_allowed(probe)),
    ),
];

async fn only_line_ends_between(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    for body in ["one", "two", "three"] {
        client.published(&topic, body).await?;
        client.body(body).await?;
    }
    // The end of the last is looked at as well.
    client.silence("nothing after the last MESSAGE").await?;
    let strange = client.gaps.iter().find(|gap| gap.contains(&0)).cloned();
    client.demand(
        strange.is_none(),
        || shown(strange.unwrap_or_default()),
        "line ends between frames, and nothing else",
    )
}

async fn crlf(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    let topic = probe.topic();
    client.write(format!("SUBSCRIBE\r\nid:s\r\ndestination:{topic}\r\n\r\n\0")).await?;
    if probe.has(Claim::Receipts) {
        client.write(format!("SEND\r\ndestination:{topic}\r\nreceipt:r\r\nfoo:bar\r\n\r\nhello\0\r\n")).await?;
        client.receipt("r").await?;
    } else {
        tokio::time::sleep(probe.lull()).await;
        client.write(format!("SEND\r\ndestination:{topic}\r\nfoo:bar\r\n\r\nhello\0\r\n")).await?;
    }
    let received = client.body("hello").await?;
    client.header(&received, "destination", &topic)?;
    client.header(&received, "subscription", "s")?;
    client.header(&received, "foo", "bar")
}

async fn line_ends_between(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.write("\n").await?;
    client.write("\n\n\r\n\n").await?;
    client.write(format!("\nSEND\ndestination:{topic}\n\none\0\n\r\n\nSEND\ndestination:{topic}\n\ntwo\0\n")).await?;
    client.bodies(&["one", "two"]).await
}

async fn nuls_between(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_1).await?;
    client.write(format!("SEND\ndestination:{topic}\n\none\0\n\0\0\nSEND\ndestination:{topic}\n\ntwo\0\0")).await?;
    client.bodies(&["one", "two"]).await
}

async fn nul_in_body(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    let body = "\0a\0\0SEND\n\n\0b";
    client.write(format!("SEND\ndestination:{topic}\ncontent-length:{}\n\n{body}\0", body.len())).await?;
    let received = client.body(body).await?;
    client.header(&received, "content-length", &body.len().to_string())?;
    client.publish(&topic, "after it").await?;
    client.body("after it").await?;
    Ok(())
}

async fn without_length(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.write(format!("SEND\ndestination:{topic}\n\nfirst line\nsecond: line\n\n\0")).await?;
    client.body("first line\nsecond: line\n\n").await?;
    Ok(())
}

async fn octets(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    for body in ["Grüße", "née €", "\u{1f600}\u{1f600}"] {
        client.write(format!("SEND\ndestination:{topic}\ncontent-length:{}\n\n{body}\0", body.len())).await?;
        let received = client.body(body).await?;
        if received.frame.headers.get("content-length").is_some() {
            client.header(&received, "content-length", &body.len().to_string())?;
        }
    }
    Ok(())
}

async fn bad_length(probe: &Probe, length: &str, body: &str) -> Result<(), Stop> {
    probe.needs(Claim::Malformed)?;
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.write(format!("SEND\ndestination:{topic}\ncontent-length:{length}\n\n{body}\0\n\0\n")).await?;
    client.refused("a refusal of the content-length: ERROR or the end").await?;
    Ok(())
}

async fn length_zero(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client
        .write(format!("SEND\ndestination:{topic}\ncontent-length:0\n\n\0SEND\ndestination:{topic}\n\nnext\0"))
        .await?;
    client.bodies(&["", "next"]).await
}

async fn cut_anywhere(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    let frame = format!("SEND\ndestination:{topic}\nfoo:a\\cb\ncontent-length:5\n\nh\0llo\0");
    // Once byte for byte, then cut in two at places where readers have gone wrong.
    for byte in frame.as_bytes() {
        client.write([*byte]).await?;
    }
    client.body("h\0llo").await?;
    let escape = frame.find('\\').map_or(10, |at| at + 1);
    for at in [1, 4, 5, 10, escape, frame.len() - 7, frame.len() - 6, frame.len() - 5, frame.len() - 1] {
        let (head, rest) = frame.split_at(at.min(frame.len()));
        client.write(head).await?;
        // So that they are not one segment.
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        client.write(rest).await?;
        let received = client.body("h\0llo").await?;
        client.header(&received, "foo", "a:b")?;
    }
    Ok(())
}

async fn over_messages(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    let head = format!("SEND\ndestination:{topic}\ncontent-");
    client.write(head).await?;
    client.write("length:11\n\nhello").await?;
    client.write(" world\0").await?;
    client.body("hello world").await?;
    client.publish(&topic, "whole").await?;
    client.body("whole").await?;
    Ok(())
}

async fn several_at_once(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    let mut bytes = Vec::new();
    for number in 0..20 {
        bytes.extend_from_slice(&message(&topic, number.to_string()).encode(Version::V1_2));
    }
    client.write(&bytes).await?;
    let mut seen = Vec::new();
    for _ in 0..20 {
        let received = client.message("20 MESSAGEs, one for each SEND").await?;
        seen.push(received.frame.body);
    }
    seen.sort();
    seen.dedup();
    client.demand(seen.len() == 20, || format!("{} different bodies", seen.len()), "20 different bodies")
}

async fn large_body(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::LargeMessages)?;
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    let body: String = ('a'..='z').cycle().take(64 << 10).collect();
    client.publish(&topic, body.clone()).await?;
    let wanted = "a MESSAGE with all 65536 bytes";
    let received = client.message(wanted).await?;
    let came: Bytes = received.frame.body;
    client.demand(came == body, || format!("{} bytes, or others", came.len()), wanted)
}

async fn unknown_command(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Malformed)?;
    let mut client = probe.connect(Version::V1_2).await?;
    client.write("FROBNICATE\nfoo:bar\n\n\0").await?;
    client.refused("a refusal of the command: ERROR or the end").await?;
    Ok(())
}

async fn command_case(probe: &Probe) -> Result<(), Stop> {
    let (mut listener, topic) = probe.listener(Version::V1_2).await?;
    let mut client = listener.beside(Version::V1_2).await?;
    client.write(format!("send\ndestination:{topic}\n\nwrong\0")).await?;
    listener.silence("no message of a frame whose command is send").await
}

async fn body_not_allowed(probe: &Probe) -> Result<(), Stop> {
    let mut client = probe.connect(Version::V1_2).await?;
    let topic = probe.topic();
    client.send(&subscription("s", &topic).with_body("a body")).await?;
    tokio::time::sleep(probe.lull()).await;
    client.publish(&topic, "hello").await?;
    let wanted = "ERROR, the end, or the MESSAGE of the next frame";
    match client.answer(wanted).await? {
        None => Ok(()),
        Some(received) => {
            let fits = match received.frame.command {
                Command::Error => true,
                Command::Message => received.frame.body == "hello",
                _ => false,
            };
            client.demand(fits, || shown(&received.raw), wanted)
        }
    }
}
