//! The first look at a server: which carriers it has, which versions it speaks, what it calls itself. What is not there is not
//! checked, and the report says so.
//!
//! Does not know: the checks.

use std::time::Duration;

use super::carrier::Carrier;
use super::dialect::Claim;
use super::probe::Probe;
use super::{CONVERSATIONS, Settings};
use crate::stomp::{Command, Frame, Version};
use crate::wire::{Connection, Load, Request, Target};

/// How long a server is waited for that has answered no CONNECT at all.
const HURRY: Duration = Duration::from_millis(500);

/// What the first look has found.
pub(super) struct Survey {
    pub probes: Vec<Probe>,
    pub facts: Vec<(&'static str, String)>,
}

/// What CONNECT was answered with.
enum Answer {
    /// With CONNECTED, by a server that may say its name.
    Connected(Option<String>),
    /// With an ERROR.
    Error,
    /// With something else, or not at all.
    Nothing,
}

/// Looks.
///
/// # Errors
///
/// A sentence that says why there is nothing to look at.
pub(super) async fn survey(settings: &Settings, load: &Load) -> Result<Survey, String> {
    let (target, mut probes) = probes(settings, load)?;
    let need = probes.iter().map(|probe| CONVERSATIONS * probe.carrier.connections()).max().unwrap_or_default();
    if settings.connections < need {
        return Err(format!("the checks of {} need {need} connections at once", settings.url));
    }
    let reached = Connection::open(&target, load, settings.limits).await;
    if let Err(fault) = reached {
        return Err(format!("{} cannot be reached: {fault}", settings.url));
    }
    let mut left_out = Vec::new();
    if probes.len() > 1 {
        left_out = leave_out(&mut probes, settings, load).await;
    }
    let mut server = None;
    let mut versions = Vec::new();
    for probe in &mut probes {
        let (spoken, name) = versions_of(probe).await;
        server = server.or(name);
        for version in &spoken {
            if !versions.contains(version) {
                versions.push(*version);
            }
        }
        match spoken.is_empty() {
            // Every check will say what it saw, and none needs to wait long for it.
            true => probe.hurry(HURRY),
            false => probe.spoken = spoken,
        }
    }
    versions.sort();
    let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let mut carriers = list(probes.iter().map(|probe| probe.carrier.name()).collect());
    for (carrier, why) in left_out {
        carriers.push_str(&format!("; not {}: {why}", carrier.name()));
    }
    let facts = vec![
        ("server", server.unwrap_or_else(|| "does not say what it is".to_owned())),
        ("versions", list(versions.iter().map(|version| version.as_str()).collect())),
        ("carriers", carriers),
        ("dialect", settings.dialect.name().to_owned()),
    ];
    Ok(Survey { probes, facts })
}

/// The carriers that a URL stands for.
fn probes(settings: &Settings, load: &Load) -> Result<(Target, Vec<Probe>), String> {
    let scheme = settings.url.split("://").next().unwrap_or_default().to_ascii_lowercase();
    let probe = |carrier, target: &Target, path| Probe::new(carrier, target, path, load, settings);
    match scheme.as_str() {
        "tcp" | "tls" => {
            let target = Target::bare(&settings.url)?;
            let probes = vec![probe(Carrier::Tcp, &target, String::new())];
            Ok((target, probes))
        }
        "ws" | "wss" => {
            let target = Target::parse(&settings.url)?;
            let path = Some(target.path("")).filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned());
            let probes = vec![probe(Carrier::WebSocket, &target, path)];
            Ok((target, probes))
        }
        "http" | "https" => {
            let target = Target::parse(&settings.url)?;
            let prefix = target.path("");
            let probes = vec![
                probe(Carrier::SockJsWebSocket, &target, prefix.clone()),
                probe(Carrier::WebSocket, &target, format!("{prefix}/websocket")),
                probe(Carrier::XhrStreaming, &target, prefix.clone()),
                probe(Carrier::XhrPolling, &target, prefix),
            ];
            Ok((target, probes))
        }
        _ => Err(format!(
            "{:?} is no URL of a STOMP server; it begins with tcp, tls, ws, wss, http or https",
            settings.url
        )),
    }
}

/// Takes out the carriers that a SockJS service says it does not have, and says why.
async fn leave_out(probes: &mut Vec<Probe>, settings: &Settings, load: &Load) -> Vec<(Carrier, String)> {
    let mut left_out = Vec::new();
    let Some((target, prefix)) = probes.first().map(|probe| (probe.target.clone(), probe.target.path(""))) else {
        return left_out;
    };
    let without_websockets = async {
        let mut connection = Connection::open(&target, load, settings.limits).await.ok()?;
        let answer = connection.ask(&Request::get(format!("{prefix}/info")), &target).await.ok()?;
        let body: Vec<u8> = answer.pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect();
        let info: serde_json::Value = serde_json::from_slice(&body).ok()?;
        Some(info.get("websocket")?.as_bool() == Some(false))
    };
    if without_websockets.await == Some(true) {
        for carrier in [Carrier::SockJsWebSocket, Carrier::WebSocket] {
            left_out.push((carrier, "/info says that there are no websockets".to_owned()));
        }
    } else if let Some(probe) = probes.iter().find(|probe| probe.carrier == Carrier::WebSocket)
        // A SockJS service need not have it.
        && let Ok(Err(head)) = probe.way().shake_hands(&super::carrier::OFFERED).await
    {
        left_out.push((Carrier::WebSocket, format!("{prefix}/websocket is answered with {}", head.status)));
    }
    probes.retain(|probe| !left_out.iter().any(|(carrier, _)| *carrier == probe.carrier));
    left_out
}

/// The versions in which a CONNECT of their own is answered with CONNECTED, or with nothing that says that they are not spoken.
async fn versions_of(probe: &Probe) -> (Vec<Version>, Option<String>) {
    let (mut spoken, mut name, mut connected) = (Vec::new(), None, false);
    for version in [Version::V1_2, Version::V1_1, Version::V1_0] {
        if version == Version::V1_0 && !probe.has(Claim::OldClients) {
            continue;
        }
        let mut found = answer(probe, &probe.connect_frame(version)).await;
        if version == Version::V1_0 && matches!(found, Answer::Error) {
            // It may speak 1.0 and not know that whoever names no version does.
            found = answer(probe, &probe.connect_with(Some("1.0"))).await;
        }
        match found {
            Answer::Connected(server) => {
                connected = true;
                name = name.or(server);
                spoken.push(version);
            }
            Answer::Error => {}
            Answer::Nothing => spoken.push(version),
        }
    }
    if !connected {
        spoken.clear();
    }
    spoken.sort();
    (spoken, name)
}

async fn answer(probe: &Probe, connect: &Frame) -> Answer {
    let Ok(mut conversation) = probe.open().await else { return Answer::Nothing };
    if conversation.send(connect).await.is_err() {
        return Answer::Nothing;
    }
    match conversation.next("CONNECTED").await {
        Ok(received) if received.frame.command == Command::Connected => {
            Answer::Connected(received.frame.headers.get("server").map(str::to_owned))
        }
        Ok(received) if received.frame.command == Command::Error => Answer::Error,
        _ => Answer::Nothing,
    }
}
