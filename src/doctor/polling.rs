//! xhr-polling, and with it what all fallback transports need: that requests of one session meet the same server, and that its
//! messages may be large.
//!
//! Does not know: how servers are chosen.

use std::time::Instant;

use super::catalogue::{
    BODY_LIMIT, CACHE_CONTROL, NOT_STICKY, SEND_REFUSED, STREAM_LATE, TRANSPORT_REFUSED, TRANSPORT_SILENT,
    TRANSPORT_UNANSWERED,
};
use super::info::{Info, cacheable};
use super::probe::{Course, Jar, Probe, shown};
use super::report::{Finding, Transport};
use crate::wire::{Fault, Limits};

/// Connections over which one session is asked for. Two servers that take turns by lot are overlooked once in 256 times.
const CONNECTIONS: usize = 8;
/// A client that was held up sends as much at once.
const LARGE: usize = 64 << 10;
const ONLY: &[Transport] = &[Transport::XhrPolling];

/// Looks.
pub(super) async fn look(probe: &mut Probe<'_>, info: &Info) -> Course {
    let mut course = Course::new(Transport::XhrPolling);
    let began = Instant::now();
    let jar = probe.cookies.clone();
    // As a program without cookies first: what is sticky without them is sticky for everybody.
    probe.cookies = Jar::default();
    let Some(session) = opened(probe, &mut course).await else {
        probe.cookies = jar;
        return course;
    };
    let took = began.elapsed();
    course.opened = Some(took);
    if took > info.time_out {
        let seen = format!("xhr-polling opened after {}; a client waits {}", shown(took), shown(info.time_out));
        probe.find(Finding::new(&STREAM_LATE, seen).hampering(ONLY));
    }
    let bare = std::mem::take(&mut probe.cookies);
    let lost = lost(probe, &session).await;
    probe.cookies = jar;
    probe.cookies.merge(bare);
    let sticky = stick(probe, &mut course, &session, lost).await;
    answered(probe, &mut course, sticky).await;
    if sticky {
        large(probe).await;
    }
    course
}

/// Opens a session; `None` if it does not open, which is a finding then.
async fn opened(probe: &mut Probe<'_>, course: &mut Course) -> Option<String> {
    let session = probe.session();
    let answer = match probe.ask(&probe.post(format!("{session}/xhr"), "")).await {
        Ok(answer) => answer,
        Err(fault) => {
            course.refused = !matches!(fault, Fault::Late(..));
            probe.find(Finding::new(&TRANSPORT_UNANSWERED, format!("xhr-polling: {fault}")).breaking(ONLY));
            return None;
        }
    };
    let (status, body) = (answer.status(), answer.text());
    if status == 404 {
        course.offered = false;
        return None;
    }
    if status != 200 || body.trim_end() != "o" {
        course.refused = true;
        let seen = format!("POST xhr is answered with {status} {}", crate::wire::shown(body));
        probe.find(Finding::new(&TRANSPORT_REFUSED, seen).breaking(ONLY));
        return None;
    }
    if let Some(seen) = cacheable(&answer.head) {
        probe.find(Finding::new(&CACHE_CONTROL, format!("xhr: {seen}")));
    }
    probe.cookies.take(&answer.head);
    Some(session)
}

/// How many of a few sends of nothing, each on a connection of its own, did not meet the session, and other statuses than the
/// two that there should be.
async fn lost(probe: &Probe<'_>, session: &str) -> (usize, Vec<String>) {
    let (mut lost, mut strange) = (0, Vec::new());
    for _ in 0..CONNECTIONS {
        match probe.ask(&probe.post(format!("{session}/xhr_send"), "[]")).await {
            Ok(answer) => match answer.status() {
                200 | 204 => {}
                404 => lost += 1,
                status => strange.push(format!("status {status}")),
            },
            Err(fault) => strange.push(fault.to_string()),
        }
        if strange.len() > 1 {
            break;
        }
    }
    (lost, strange)
}

/// Says whether the requests of a session stay together, if need be with cookies.
async fn stick(probe: &mut Probe<'_>, course: &mut Course, session: &str, bare: (usize, Vec<String>)) -> bool {
    let (missed, strange) = bare;
    if let [first, ..] = &strange[..] {
        let seen = format!("POST xhr_send is answered with: {first}");
        probe.find(Finding::new(&SEND_REFUSED, seen).breaking(&Transport::HTTP));
        return false;
    }
    // A service that ends its sessions at once has no session to be met.
    if missed == CONNECTIONS
        && let Ok(answer) = probe.ask(&probe.post(format!("{session}/xhr"), "")).await
        && answer.text().starts_with("c[")
    {
        probe.fact(
            "sticky",
            format!("not looked at: the service closes its sessions at once, {}", answer.text().trim_end()),
        );
        return true;
    }
    if missed == 0 {
        probe.fact("sticky", format!("{CONNECTIONS} of {CONNECTIONS} requests of one session met it, without cookies"));
        return true;
    }
    let without =
        format!("{missed} of {CONNECTIONS} messages to one session, each on a new connection, were answered 404");
    if probe.cookies.header().is_none() {
        let seen = format!("{without}; the server sets no cookies that could help");
        probe.find(Finding::new(&NOT_STICKY, seen).breaking(&Transport::HTTP));
        return false;
    }
    let names = probe.cookies.names();
    // With cookies the first answer may say whom to stay with.
    let Some(session) = opened(probe, course).await else { return false };
    let (still, _) = lost(probe, &session).await;
    if still == 0 {
        probe.fact(
            "sticky",
            format!(
                "{without} without cookies and none with the cookies {names}: pages must send them, across origins too"
            ),
        );
        return true;
    }
    let seen = format!("{without}; with the cookies {names} still {still}");
    probe.find(Finding::new(&NOT_STICKY, seen).breaking(&Transport::HTTP));
    false
}

/// Sends a message and polls for its answer.
async fn answered(probe: &mut Probe<'_>, course: &mut Course, sticky: bool) {
    let Some(session) = opened(probe, course).await else { return };
    let sent = Instant::now();
    // A session that has ended gets 404, and the poll says so.
    if !matches!(probe.send(&session, &probe.greeting()).await, Ok(200 | 204 | 404)) {
        return;
    }
    let limits = Limits { patience: probe.prompt(), ..probe.limits() };
    // Where servers take turns, a poll may open a second session at another one.
    for _ in 0..4 {
        match probe.ask_for(&probe.post(format!("{session}/xhr"), ""), limits).await {
            Ok(answer) => match answer.text().trim_end() {
                "h" => {}
                "o" if !sticky => {}
                "" => break,
                frame => {
                    course.answered = Some(sent.elapsed());
                    probe.learn(frame);
                    return;
                }
            },
            Err(_) => break,
        }
    }
}

/// Sends nothing, at length: an array without entries, with much space in it.
async fn large(probe: &mut Probe<'_>) {
    let Ok(session) = session(probe).await else { return };
    let body = format!("[{}]", " ".repeat(LARGE));
    let seen = match probe.ask(&probe.post(format!("{session}/xhr_send"), body)).await {
        Ok(answer) => match answer.status() {
            413 => format!("a message of {} KiB is answered with 413", LARGE >> 10),
            _ => return,
        },
        // Some end the connection in the middle of a body, and the 413 is lost with it.
        Err(fault @ Fault::Ended(..)) => format!("a message of {} KiB: {fault}", LARGE >> 10),
        Err(_) => return,
    };
    probe.find(Finding::new(&BODY_LIMIT, seen).hampering(&Transport::HTTP));
}

/// Opens a session by polling, whatever comes.
pub(super) async fn session(probe: &Probe<'_>) -> Result<String, Fault> {
    let session = probe.session();
    probe.ask(&probe.post(format!("{session}/xhr"), "")).await.map(|_| session)
}

/// A finding for a transport that opened and brought no answer where others did.
pub(super) fn silent(probe: &Probe<'_>, course: &Course) -> Finding {
    let seen = format!("{} opened, and no answer to a message came within {}", course.transport, shown(probe.prompt()));
    Finding::new(&TRANSPORT_SILENT, seen).breaking(&[course.transport])
}
