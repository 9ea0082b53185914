//! Silence: how long a connection lives on which nothing happens, over the transports that work, all at the same time.
//!
//! Does not know: who cuts it.

use std::time::{Duration, Instant};

use super::catalogue::{IDLE_CUT, LIFE_CUT, Problem};
use super::probe::{Course, Probe, Service, left, shown};
use super::report::{Finding, Transport};
use super::stream::{Event, Stream};
use super::{polling, websocket};
use crate::wire::{Connection, Fault, Opcode, WebSocket, WebSocketFrame};

/// The most heartbeats that are counted; a server that sends more is not silent, and is not read any longer.
const BEATS: usize = 1000;
/// The most polls that are made, for the same reason.
const POLLS: usize = 100;

/// What became of a silent connection.
#[derive(Debug)]
struct Life {
    /// When it ended, if it did, and how.
    cut: Option<(Duration, String)>,
    /// When the server itself ended it, and how.
    closed: Option<(Duration, String)>,
    /// When heartbeats came.
    beats: Vec<Duration>,
}

impl Life {
    fn new() -> Self {
        Self { cut: None, closed: None, beats: Vec::new() }
    }
}

/// Looks, as long as the options say.
pub(super) async fn look(probe: &mut Probe<'_>, courses: &[Course]) {
    let idle = probe.options.idle;
    if idle.is_zero() {
        probe.fact("idle", "not looked at: --idle is 0s");
        return;
    }
    let opened = |transport| courses.iter().any(|course| course.transport == transport && course.opened.is_some());
    (probe.tell)(&format!("silence: {} without a message, over everything that works", shown(idle)));
    let this = &*probe;
    let (socket, stream, events, poll, ()) = tokio::join!(
        async { if opened(Transport::WebSocket) { socket(this, idle).await } else { None } },
        async {
            if opened(Transport::XhrStreaming) { stream(this, Transport::XhrStreaming, idle).await } else { None }
        },
        async { if opened(Transport::EventSource) { stream(this, Transport::EventSource, idle).await } else { None } },
        async { if opened(Transport::XhrPolling) { poll(this, idle).await } else { None } },
        tick(this, idle),
    );
    let mut shortest: Option<Duration> = None;
    let mut cuts: Vec<(&'static Problem, Transport, String)> = Vec::new();
    let lives = [socket, stream, events, poll];
    for (transport, life) in Transport::ALL.into_iter().zip(lives) {
        let Some(Life { cut, closed, beats }) = life else { continue };
        let beating = match beats[..] {
            [] => "no heartbeat".to_owned(),
            [first] => format!("a heartbeat after {}", shown(first)),
            [first, second, ..] => format!("heartbeats every {}", shown(second.saturating_sub(first))),
        };
        match (cut, closed) {
            (Some((after, how)), _) if beats.is_empty() => {
                shortest = Some(shortest.map_or(after, |before| before.min(after)));
                cuts.push((
                    &IDLE_CUT,
                    transport,
                    format!("{transport} was cut after {} of silence: {how}", shown(after)),
                ));
            }
            (Some((after, how)), _) => {
                cuts.push((
                    &LIFE_CUT,
                    transport,
                    format!("{transport} was cut after {}, {beating}: {how}", shown(after)),
                ));
            }
            (None, Some((after, how))) => {
                probe.fact("idle", format!("{transport}: the server itself closed it after {}: {how}", shown(after)));
            }
            (None, None) => probe.fact("idle", format!("{transport}: alive after {}, {beating}", shown(idle))),
        }
    }
    for (problem, transport, seen) in cuts {
        let mut finding = Finding::new(problem, seen).hampering(&[transport]);
        // Well below what was seen, for the timers of others are no better than ours.
        finding.beat = shortest.map(|cut| Duration::from_secs((cut.as_secs_f64().round() * 0.6).max(1.0) as u64));
        probe.find(finding);
    }
}

/// Says every few seconds that it is still going on.
async fn tick(probe: &Probe<'_>, idle: Duration) {
    let (began, step) = (Instant::now(), Duration::from_secs(5));
    while began.elapsed() + step < idle {
        tokio::time::sleep(step).await;
        (probe.tell)(&format!("silence: {} of {}", shown(began.elapsed()), shown(idle)));
    }
}

/// A STOMP server ends who does not connect; who is connected without heart-beats is silent.
fn connects(probe: &Probe<'_>) -> bool {
    probe.service == Service::Stomp
}

async fn socket(probe: &Probe<'_>, idle: Duration) -> Option<Life> {
    let mut socket = websocket::open(probe).await.ok()?.ok()?;
    websocket::next(&mut socket).await.ok()?;
    if connects(probe) {
        socket.send(&WebSocketFrame::text(probe.greeting())).await.ok()?;
        websocket::next(&mut socket).await.ok()?;
    }
    let life = listen(&mut socket, idle).await;
    let _ = socket.send(&WebSocketFrame::close(1000)).await;
    Some(life)
}

async fn listen(socket: &mut WebSocket, idle: Duration) -> Life {
    let (began, mut life) = (Instant::now(), Life::new());
    while !left(began + idle).is_zero() && life.beats.len() < BEATS {
        socket.connection().set_patience(left(began + idle));
        match socket.frame().await {
            Ok(Some(frame)) => match frame.opcode {
                Opcode::Ping => {
                    life.beats.push(began.elapsed());
                    let _ = socket.send(&WebSocketFrame::control(Opcode::Pong, frame.payload)).await;
                }
                Opcode::Close => {
                    life.closed = Some((began.elapsed(), frame.closing().to_string()));
                    break;
                }
                _ if frame.payload == "h" => life.beats.push(began.elapsed()),
                _ if frame.payload.starts_with(b"c[") => {
                    life.closed = Some((began.elapsed(), String::from_utf8_lossy(&frame.payload).into_owned()));
                    break;
                }
                _ => {}
            },
            Ok(None) => {
                life.cut = Some((began.elapsed(), "the connection ended without a close frame".to_owned()));
                break;
            }
            Err(Fault::Late(..)) => break,
            Err(fault) => {
                life.cut = Some((began.elapsed(), fault.to_string()));
                break;
            }
        }
    }
    dedup(&mut life.beats);
    life
}

/// A ping and a heartbeat frame of the same moment are one beat.
fn dedup(beats: &mut Vec<Duration>) {
    beats.dedup_by(|later, earlier| later.saturating_sub(*earlier) < Duration::from_millis(50));
}

async fn stream(probe: &Probe<'_>, transport: Transport, idle: Duration) -> Option<Life> {
    let session = probe.session();
    let mut stream = Stream::open(probe, transport, &session).await.ok()?;
    let soon = Instant::now() + probe.limits().patience;
    matches!(stream.next(soon).await, Ok(Event::Frame(frame)) if frame == "o").then_some(())?;
    if connects(probe) {
        probe.send(&session, &probe.greeting()).await.ok()?;
        matches!(stream.next(soon).await, Ok(Event::Frame(_))).then_some(())?;
    }
    let (began, mut life) = (Instant::now(), Life::new());
    loop {
        match stream.next(began + idle).await {
            Ok(Event::Frame(_)) if life.beats.len() >= BEATS => break,
            Ok(Event::Frame(frame)) if frame == "h" => life.beats.push(began.elapsed()),
            Ok(Event::Frame(frame)) if frame.starts_with("c[") => {
                life.closed = Some((began.elapsed(), frame));
                break;
            }
            Ok(Event::Frame(_)) if left(began + idle).is_zero() => break,
            Ok(Event::Frame(_)) => {}
            Ok(Event::Nothing) => break,
            Ok(Event::End(how)) => {
                life.cut = Some((began.elapsed(), format!("the answer ended ({how})")));
                break;
            }
            Err(fault) => {
                life.cut = Some((began.elapsed(), fault.to_string()));
                break;
            }
        }
    }
    Some(life)
}

async fn poll(probe: &Probe<'_>, idle: Duration) -> Option<Life> {
    let session = polling::session(probe).await.ok()?;
    if connects(probe) {
        probe.send(&session, &probe.greeting()).await.ok()?;
        probe.ask(&probe.post(format!("{session}/xhr"), "")).await.ok()?;
    }
    let (began, mut life) = (Instant::now(), Life::new());
    for _ in 0..POLLS {
        if left(began + idle).is_zero() {
            break;
        }
        let request = probe.post(format!("{session}/xhr"), "");
        let answered = async {
            let mut connection = Connection::open(probe.target, probe.load, probe.limits()).await?;
            connection.write(&request.encode(probe.target)).await?;
            connection.set_patience(left(began + idle));
            let head = connection.head("POST").await?;
            connection.finish(head).await
        };
        match answered.await {
            Ok(answer) => match answer.text().trim_end() {
                "h" => life.beats.push(began.elapsed()),
                frame if frame.starts_with("c[") => {
                    life.closed = Some((began.elapsed(), frame.to_owned()));
                    break;
                }
                // A service that speaks by itself.
                frame if frame.starts_with("a[") => {}
                _ => {
                    life.cut = Some((began.elapsed(), format!("a waiting poll was answered with {}", answer.status())));
                    break;
                }
            },
            Err(Fault::Late(..)) => break,
            Err(fault) => {
                life.cut = Some((began.elapsed(), format!("a waiting poll: {fault}")));
                break;
            }
        }
    }
    Some(life)
}
