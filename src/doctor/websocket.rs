//! The websocket: whether the handshake passes, and frames after it in both directions.
//!
//! Does not know: what stands in the way when it does not.

use std::time::Instant;

use super::catalogue::{
    ORIGIN_REFUSED, TRANSPORT_SILENT, TRANSPORT_UNANSWERED, UPGRADE_HANGS, UPGRADE_REFUSED, UPGRADE_STRIPPED,
};
use super::info::Info;
use super::probe::{Course, Probe, left, shown};
use super::report::{Finding, Transport};
use crate::wire::{Closing, Fault, Head, Request, WebSocket, WebSocketFrame};

const ONLY: &[Transport] = &[Transport::WebSocket];

/// Looks.
pub(super) async fn look(probe: &mut Probe<'_>, info: &Info) -> Course {
    let mut course = Course::new(Transport::WebSocket);
    if !info.websocket {
        course.offered = false;
        return course;
    }
    let began = Instant::now();
    let mut socket = match open(probe).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(head)) => {
            course.refused = true;
            probe.find(refused(&head, &probe.origin()));
            return course;
        }
        Err(fault) => {
            course.refused = !matches!(fault, Fault::Late(..));
            let problem = if course.refused { &UPGRADE_REFUSED } else { &UPGRADE_HANGS };
            probe.find(Finding::new(problem, format!("the handshake: {fault}")).breaking(ONLY));
            return course;
        }
    };
    match next(&mut socket).await {
        Ok(frame) if frame == "o" => course.opened = Some(began.elapsed()),
        Ok(frame) => {
            let seen = format!("after 101, {} came and no open frame", crate::wire::shown(frame));
            probe.find(Finding::new(&TRANSPORT_SILENT, seen).breaking(ONLY));
            return course;
        }
        Err(why) => {
            let seen = format!("websocket: 101, and then no open frame: {why}");
            probe.find(Finding::new(&TRANSPORT_UNANSWERED, seen).breaking(ONLY));
            return course;
        }
    }
    let sent = Instant::now();
    if socket.send(&WebSocketFrame::text(probe.greeting())).await.is_ok() {
        socket.connection().set_patience(probe.prompt());
        if let Ok(frame) = next(&mut socket).await {
            course.answered = Some(sent.elapsed());
            probe.learn(&frame);
        }
    }
    let _ = socket.send(&WebSocketFrame::close(1000)).await;
    course
}

/// Shakes hands as a browser does, for a new session.
pub(super) async fn open(probe: &Probe<'_>) -> Result<Result<WebSocket, Head>, Fault> {
    let request = Request::websocket(format!("{}/websocket", probe.session())).header("Origin", &probe.origin());
    let opened = WebSocket::open(probe.target, probe.load, probe.limits(), &probe.dressed(request)).await?;
    Ok(opened.map(|(socket, _)| socket))
}

/// The next frame that is no heartbeat, or why there is none. A close is an answer too.
pub(super) async fn next(socket: &mut WebSocket) -> Result<String, String> {
    let until = Instant::now() + socket.connection().limits().patience;
    loop {
        // One that sends heartbeats without end would be read without end.
        if left(until).is_zero() {
            return Err(format!("only heartbeats within {}", shown(socket.connection().limits().patience)));
        }
        match socket.message().await {
            Ok(Ok(message)) if message == "h" => {}
            Ok(Ok(message)) => return Ok(String::from_utf8_lossy(&message).into_owned()),
            Ok(Err(Closing::Dropped)) => return Err(Closing::Dropped.to_string()),
            Ok(Err(closing)) => return Ok(closing.to_string()),
            Err(fault) => return Err(fault.to_string()),
        }
    }
}

/// What an answer says that is not a good 101.
fn refused(head: &Head, origin: &str) -> Finding {
    let status = head.status;
    let seen = |why: &str| format!("the handshake is answered with {status} {}: {why}", head.reason);
    let (problem, text) = match status {
        101 => (&UPGRADE_REFUSED, seen("its headers are not those of a websocket")),
        // A server that sees no Upgrade takes it for a plain GET.
        200 | 400 | 404 | 405 | 426 | 501 => (
            &UPGRADE_STRIPPED,
            seen("the server did not see Upgrade: websocket and Connection: Upgrade, or the path is not passed on"),
        ),
        403 => (&ORIGIN_REFUSED, format!("the handshake with Origin: {origin} is answered with 403")),
        502..=504 => (&UPGRADE_REFUSED, seen("the proxy did not understand the server's answer, or has none")),
        _ => (&UPGRADE_REFUSED, seen("somebody on the way, or the server, does not want it")),
    };
    Finding::new(problem, text).breaking(ONLY)
}
