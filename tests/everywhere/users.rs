//! Users on a stage: clients with a login, the backend that may send to them, and acknowledgements in the form that the
//! version of the client has.
//!
//! Does not know: what the scenarios show.

#![allow(dead_code, reason = "each test file uses its own part")]

use towpath::stomp::{Command, Frame, Version};

use crate::everywhere::Stage;
use crate::support::Transport;
use crate::support::stomp::Stomp;

/// A client on the stage's transport and in its version that logs in by that name, and the CONNECTED it got.
pub async fn login(stage: &Stage, name: &str) -> (Stomp, Frame) {
    login_on(stage, stage.transport, stage.version, name).await
}

/// The same on another transport or in another version.
pub async fn login_on(stage: &Stage, transport: Transport, version: Version, name: &str) -> (Stomp, Frame) {
    let mut client = Stomp::over(stage.client_on(transport).await).await;
    client.send(&connect(version).with("login", name)).await;
    let connected = client.expect(Command::Connected).await;
    client.set_version(version);
    (client, connected)
}

pub fn connect(version: Version) -> Frame {
    let connect = Frame::new(Command::Connect).with("host", "localhost");
    if version == Version::V1_0 { connect } else { connect.with("accept-version", version.as_str()) }
}

/// Somebody on the TCP port, who may send to users.
pub async fn backend(stage: &Stage) -> Stomp {
    Stomp::connect(stage.client_on(Transport::Tcp).await, Version::V1_2).await
}

pub fn send(destination: &str, body: &str) -> Frame {
    Frame::new(Command::Send).with("destination", destination).with_body(body.to_owned())
}

pub fn subscribe(id: &str, destination: &str) -> Frame {
    Frame::new(Command::Subscribe).with("id", id).with("destination", destination)
}

/// SEND with a receipt; gives the RECEIPT.
pub async fn sent(client: &mut Stomp, frame: Frame) -> Frame {
    client.send(&frame.with("receipt", "sent")).await;
    let receipt = client.expect(Command::Receipt).await;
    assert_eq!(receipt.headers.get("receipt-id"), Some("sent"));
    receipt
}

/// ACK or NACK of that MESSAGE, as the version has it.
pub fn answer(command: Command, message: &Frame, version: Version) -> Frame {
    let header = |name| message.headers.get(name).unwrap_or_else(|| panic!("{name} in {message:?}")).to_owned();
    let frame = Frame::new(command);
    match version {
        Version::V1_2 => frame.with("id", header("ack")),
        Version::V1_1 => frame.with("message-id", header("message-id")).with("subscription", header("subscription")),
        Version::V1_0 => frame.with("message-id", header("message-id")),
    }
}

/// Nothing has come for the client, which is subscribed to `/topic/fence`: what somebody else publishes there now is the
/// next that it gets.
pub async fn assert_silent(client: &mut Stomp, other: &mut Stomp) {
    sent(other, send("/topic/fence", "fence")).await;
    let next = client.expect(Command::Message).await;
    assert_eq!(&next.body[..], b"fence", "{next:?}");
}
