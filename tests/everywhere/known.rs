//! Clients on a stage who say who they are: by the token in their CONNECT, or by what each of their requests brings along.
//!
//! Does not know: what the scenarios show.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::time::Duration;

use towpath::config::{Action, Config, Guarded, Rule};
use towpath::stomp::{Command, Frame, Version};

use crate::everywhere::Stage;
use crate::support::proof::Proof;
use crate::support::stomp::{Event, Stomp};
use crate::support::{Client, Transport};

pub fn connect(version: Version) -> Frame {
    let connect = Frame::new(Command::Connect).with("host", "localhost");
    if version == Version::V1_0 { connect } else { connect.with("accept-version", version.as_str()) }
}

/// A connected client with that token as its passcode.
pub async fn known(stage: &Stage, token: &str) -> Stomp {
    known_on(stage, stage.transport, token).await
}

/// The same on another transport.
pub async fn known_on(stage: &Stage, transport: Transport, token: &str) -> Stomp {
    let client = stage.client_on(transport).await;
    connected(client, stage.version, connect(stage.version).with("passcode", token)).await
}

/// A connected client whose requests prove who it is. Not over TCP.
pub async fn proved(stage: &Stage, proof: &Proof) -> Stomp {
    let id = format!("proved-{}", rand::random::<u32>());
    let client = Client::open_as(&stage.gateway, stage.transport, "/stomp", &id, proof).await;
    connected(client.expect("a good proof"), stage.version, connect(stage.version)).await
}

/// The client whose CONNECT this is.
pub async fn connected(client: Client, version: Version, connect: Frame) -> Stomp {
    let mut stomp = Stomp::over(client).await;
    stomp.send(&connect).await;
    stomp.expect(Command::Connected).await;
    stomp.set_version(version);
    stomp
}

pub fn send(destination: &str, body: &str) -> Frame {
    Frame::new(Command::Send).with("destination", destination).with_body(body.to_owned())
}

pub fn subscribe(id: &str, destination: &str) -> Frame {
    Frame::new(Command::Subscribe).with("id", id).with("destination", destination)
}

/// Nothing but heartbeats comes for that long.
pub async fn quiet_for(client: &mut Stomp, time: Duration) {
    let frame = tokio::time::timeout(time, async {
        loop {
            match client.event().await {
                Event::Beat | Event::SockjsHeartbeat => {}
                other => break other,
            }
        }
    });
    if let Ok(event) = frame.await {
        panic!("nothing was due, not {event:?}");
    }
    // The gateway does not keep idle connections for so long.
    client.client.redial();
}

/// The session ends with this ERROR and this code. Gives the ERROR.
pub async fn ends_with(client: &mut Stomp, message: &str, code: u16, reason: &str) -> Frame {
    let error = client.expect(Command::Error).await;
    assert_eq!(error.headers.get("message"), Some(message), "{error:?}");
    let told = if client.client.transport() == Transport::Tcp { (0, "") } else { (code, reason) };
    assert_eq!(client.closed().await, (told.0, told.1.to_owned()));
    error
}

/// A configuration with these rules.
pub fn ruled(mut config: Config, rules: Vec<Rule>) -> Config {
    config.rules = rules;
    config
}

pub fn allow(commands: &[Guarded], destination: Option<&str>) -> Rule {
    Rule { commands: commands.to_vec(), destination: destination.map(str::to_owned), ..Rule::default() }
}

pub fn deny(commands: &[Guarded], destination: Option<&str>) -> Rule {
    Rule { action: Action::Deny, ..allow(commands, destination) }
}
