//! What STOMP over websockets has of its own: subprotocols, kinds of messages, and one frame in each.
//!
//! Does not know: SockJS.

use super::{entry, rule};
use crate::conformance::Level::{May, Must, Should};
use crate::conformance::Stop;
use crate::conformance::stomp::carrier::{Kind, Line};
use crate::conformance::stomp::conversation::Conversation;
use crate::conformance::stomp::dialect::Claim;
use crate::conformance::stomp::probe::{Probe, message};
use crate::conformance::stomp::transcript::Transcript;
use crate::conformance::stomp::{Entry, Over};
use crate::stomp::{Command, Frame, Version};
use crate::wire::{Head, Opcode, WebSocketFrame, shown};

const GROUP: &str = "websocket";
const RFC: &str = "RFC 6455, section 4.2.2";

pub(super) static CHECKS: &[Entry] = &[
    entry(
        Over::WebSocket,
        rule(
            GROUP,
            Should,
            "websocket.highest-subprotocol",
            "Of v10.stomp, v11.stomp and v12.stomp the highest is chosen, in whatever order they are offered",
            "practice of clients",
            "webstomp-client lists v10.stomp first and then offers only the version that was chosen: it is locked into 1.0.",
        ),
        |probe| Box::pin(highest_subprotocol(probe)),
    ),
    entry(
        Over::WebSocket,
        rule(
            GROUP,
            Must,
            "websocket.each-subprotocol",
            "A subprotocol that is offered alone is chosen",
            RFC,
            "A browser ends the connection if none of what it offered is chosen.",
        ),
        |probe| Box::pin(each_subprotocol(probe)),
    ),
    entry(
        Over::WebSocket,
        rule(
            GROUP,
            Must,
            "websocket.no-subprotocol",
            "A handshake that offers no subprotocol is accepted, and none is chosen",
            RFC,
            "Spring's client and plain scripts offer none.",
        ),
        |probe| Box::pin(no_subprotocol(probe)),
    ),
    entry(
        Over::WebSocket,
        rule(
            GROUP,
            Must,
            "websocket.foreign-subprotocol",
            "A subprotocol that was not offered is never chosen",
            RFC,
            "Browsers and libraries must give up on it.",
        ),
        |probe| Box::pin(foreign_subprotocol(probe)),
    ),
    entry(
        Over::WebSocket,
        rule(
            GROUP,
            Should,
            "websocket.subprotocol-is-no-version",
            "The version is agreed on in CONNECT, whatever the subprotocol was",
            "STOMP 1.2, Protocol Negotiation",
            "A client that offered v10.stomp and 1.2 would be given the rules of one and the headers of the other.",
        ),
        |probe| Box::pin(subprotocol_is_no_version(probe)),
    ),
    entry(
        Over::WebSocket,
        rule(
            GROUP,
            Must,
            "websocket.text-and-binary",
            "Frames are taken from text messages and from binary ones",
            "practice of clients",
            "stompjs sends text, and binary for bodies of bytes; React Native sends binary only, since its texts lose NULs.",
        ),
        |probe| Box::pin(text_and_binary(probe)),
    ),
    entry(
        Over::WebSocket,
        rule(
            GROUP,
            Should,
            "websocket.text-for-text",
            "A frame that is UTF-8 comes as text to a client that sends text",
            "practice of clients",
            "stompjs 2.3.3 and webstomp-client do not look into binary messages.",
        ),
        |probe| Box::pin(text_for_text(probe)),
    ),
    entry(
        Over::Messages,
        rule(
            GROUP,
            Must,
            "websocket.one-frame-a-message",
            "Every message of the server is one whole frame, or line ends",
            "practice of clients",
            "The Android and iOS clients read one frame in each message, and stompjs 2.3.3 does not join pieces: what is cut is lost.",
        ),
        |probe| Box::pin(one_frame_a_message(probe)),
    ),
    entry(
        Over::WebSocket,
        rule(
            GROUP,
            Must,
            "websocket.fragments",
            "A message may come in fragments",
            "RFC 6455, section 5.4",
            "Browsers and proxies may cut as they like.",
        ),
        |probe| Box::pin(fragments(probe)),
    ),
    entry(
        Over::WebSocket,
        rule(
            GROUP,
            Must,
            "websocket.ping",
            "A ping is answered, also between the fragments of a message",
            "RFC 6455, sections 5.4 and 5.5.2",
            "Load balancers and libraries ping, and give up on who does not answer.",
        ),
        |probe| Box::pin(ping(probe)),
    ),
    entry(
        Over::WebSocket,
        rule(
            GROUP,
            May,
            "websocket.close-frame",
            "After ERROR the websocket ends with a close frame",
            "RFC 6455, section 7.1.2",
            "Without one the browser reports 1006, and the page cannot tell a refusal from a broken line.",
        ),
        |probe| Box::pin(close_frame(probe)),
    ),
];

/// A websocket with these subprotocols offered, or the answer that is a refusal.
async fn shaken<'a>(probe: &'a Probe, offered: &[&str]) -> Result<Result<(Conversation<'a>, Head), Head>, Stop> {
    let opened = probe.way().shake_hands(offered).await;
    let opened =
        opened.map_err(|fault| Stop::fault(&fault, format!("an answer to a handshake that offers {offered:?}")))?;
    Ok(opened.map(|(line, head)| {
        let conversation = Conversation::over(probe, line, Transcript::default());
        conversation.note(format!("a handshake that offers {offered:?}, answered with\n{}", head.text().trim_end()));
        (conversation, head)
    }))
}

async fn accepted<'a>(probe: &'a Probe, offered: &[&str]) -> Result<(Conversation<'a>, Option<String>), Stop> {
    match shaken(probe, offered).await? {
        Ok((conversation, head)) => {
            let chosen = head.header("Sec-WebSocket-Protocol").map(str::to_owned);
            Ok((conversation, chosen))
        }
        Err(head) => Err(Stop::failed(head.text(), format!("101 for a handshake that offers {offered:?}"))),
    }
}

async fn highest_subprotocol(probe: &Probe) -> Result<(), Stop> {
    for offered in [["v10.stomp", "v11.stomp", "v12.stomp"], ["v12.stomp", "v11.stomp", "v10.stomp"]] {
        let (client, chosen) = accepted(probe, &offered).await?;
        client.demand(chosen.as_deref() == Some("v12.stomp"), || format!("{chosen:?}"), "v12.stomp")?;
    }
    Ok(())
}

async fn each_subprotocol(probe: &Probe) -> Result<(), Stop> {
    for offered in ["v10.stomp", "v11.stomp", "v12.stomp"] {
        let (mut client, chosen) = accepted(probe, &[offered]).await?;
        client.demand(chosen.as_deref() == Some(offered), || format!("{chosen:?}"), offered)?;
        client.connect_by(&probe.connect_with(Some("1.0,1.1,1.2"))).await?;
    }
    Ok(())
}

async fn no_subprotocol(probe: &Probe) -> Result<(), Stop> {
    let (mut client, chosen) = accepted(probe, &[]).await?;
    client.demand(chosen.is_none(), || format!("{chosen:?}"), "no Sec-WebSocket-Protocol")?;
    client.connect_by(&probe.connect_with(Some("1.0,1.1,1.2"))).await?;
    Ok(())
}

async fn foreign_subprotocol(probe: &Probe) -> Result<(), Stop> {
    let Ok((client, head)) = shaken(probe, &["chat.example", "v99.stomp"]).await? else {
        // To refuse such a handshake is right as well.
        return Ok(());
    };
    let chosen = head.header("Sec-WebSocket-Protocol");
    client.demand(chosen.is_none(), || format!("{chosen:?}"), "no Sec-WebSocket-Protocol, or a refusal")
}

async fn subprotocol_is_no_version(probe: &Probe) -> Result<(), Stop> {
    probe.speaks(Version::V1_2)?;
    let (mut client, _) = accepted(probe, &["v10.stomp"]).await?;
    let connected = client.connect_by(&probe.connect_frame(Version::V1_2)).await?;
    client.header(&connected, "version", "1.2")
}

async fn text_and_binary(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.publish(&topic, "as text").await?;
    client.body("as text").await?;
    let frame = message(&topic, "as bytes").encode(Version::V1_2);
    raw(&mut client, &WebSocketFrame::binary(frame)).await?;
    client.body("as bytes").await?;
    Ok(())
}

async fn text_for_text(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    client.publish(&topic, "Grüße").await?;
    client.body("Grüße").await?;
    let text = client.pieces.iter().all(|(kind, _)| *kind == Kind::Text);
    client.demand(text, || "binary messages".to_owned(), "messages of text")
}

async fn one_frame_a_message(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    // Less than 16 KiB, which is what a message may have in Spring and what stompjs cuts at.
    let large: String = ('a'..='z').cycle().take(12_000).collect();
    let mut sender = client.beside(Version::V1_2).await?;
    for number in 0..10 {
        sender.publish(&topic, number.to_string()).await?;
    }
    sender.publish(&topic, large).await?;
    for _ in 0..11 {
        client.message("11 MESSAGEs").await?;
    }
    for (_, piece) in &client.pieces {
        let only_lines = piece.iter().all(|byte| matches!(byte, b'\n' | b'\r'));
        let body = piece.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).unwrap_or_default();
        // No body here has a NUL in it.
        let whole = piece.iter().position(|byte| *byte == 0) == Some(body);
        let begins = piece.first().is_some_and(u8::is_ascii_uppercase);
        client.demand(
            only_lines || whole && begins,
            || shown(piece),
            "one whole frame, or line ends, in every message",
        )?;
    }
    Ok(())
}

async fn fragments(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    for frame in fragmented(&topic) {
        raw(&mut client, &frame).await?;
    }
    client.body("in fragments").await?;
    Ok(())
}

async fn ping(probe: &Probe) -> Result<(), Stop> {
    let (mut client, topic) = probe.listener(Version::V1_2).await?;
    let [first, second, third] = fragmented(&topic);
    for frame in [first, WebSocketFrame::control(Opcode::Ping, "here?"), second, third] {
        raw(&mut client, &frame).await?;
    }
    client.body("in fragments").await?;
    let pongs = client.line.socket().map_or(0, |socket| socket.pongs);
    client.demand(pongs > 0, || "no pong before the MESSAGE".to_owned(), "a pong")
}

async fn close_frame(probe: &Probe) -> Result<(), Stop> {
    probe.needs(Claim::Errors)?;
    let mut client = probe.connect(Version::V1_2).await?;
    client.send(&Frame::new(Command::Send).with_body("to nobody")).await?;
    client.error("ERROR for a SEND without destination").await?;
    client.end("a close frame after ERROR").await?;
    let how = client.has_ended().unwrap_or_default().to_owned();
    client.demand(how.starts_with("a close frame"), || how, "a close frame")
}

/// A SEND in three fragments.
fn fragmented(topic: &str) -> [WebSocketFrame; 3] {
    let bytes = message(topic, "in fragments").encode(Version::V1_2);
    let first = bytes.slice(..7);
    let second = bytes.slice(7..bytes.len() - 5);
    let third = bytes.slice(bytes.len() - 5..);
    [
        WebSocketFrame { last: false, ..WebSocketFrame::text(first) },
        WebSocketFrame { last: false, opcode: Opcode::Continuation, payload: second },
        WebSocketFrame { last: true, opcode: Opcode::Continuation, payload: third },
    ]
}

/// Sends a frame of the websocket as it is.
async fn raw(client: &mut Conversation<'_>, frame: &WebSocketFrame) -> Result<(), Stop> {
    client.note(format!("sends the websocket's frame {frame:?}"));
    let sent = match &mut client.line {
        Line::WebSocket(line) => line.socket.send(frame).await,
        _ => Ok(()),
    };
    sent.map_err(|fault| client.fail(fault.to_string(), "a server that takes what is sent"))
}
