//! The streaming transports: whether what the server writes arrives at once, while the answer is open, or is held back, altered or
//! ended on the way.
//!
//! Does not know: whose buffers they are.

use std::time::{Duration, Instant};

use super::catalogue::{
    CACHE_CONTROL, SEND_REFUSED, STREAM_ALTERED, STREAM_BUFFERED, STREAM_COMPRESSED, STREAM_CUT, STREAM_LATE,
    TRANSPORT_REFUSED, TRANSPORT_UNANSWERED,
};
use super::info::{Info, cacheable};
use super::probe::{Course, Probe, Service, left, shown};
use super::report::{Finding, Transport};
use crate::wire::{Connection, Fault, Head};

/// What a held stream is filled with, at most: more than the response limit of any server, so that the stream ends if nothing
/// else moves it.
const FILLERS: usize = 44;
/// The size of one of them; below the limit on a header line that STOMP servers have.
const FILLER: usize = 4000;
/// The connections of a whole run after which no stream is filled any further.
const ENOUGH: u64 = 250;
/// How long is waited for each of them to come through.
const MOMENT: Duration = Duration::from_millis(30);

/// A stream that is open, as far as anybody can see.
pub(super) struct Stream {
    transport: Transport,
    connection: Connection,
    head: Option<Head>,
    /// What came and is not a whole line yet.
    rest: Vec<u8>,
    /// How much came.
    pub bytes: usize,
}

/// What a stream brings.
#[derive(Debug)]
pub(super) enum Event {
    /// A frame; the preludes are none.
    Frame(String),
    /// The end of the answer: in order, or by the end of its connection.
    End(String),
    /// Nothing in the time that was given.
    Nothing,
}

impl Stream {
    /// Asks for it. That there is no answer yet is no fault.
    pub(super) async fn open(probe: &Probe<'_>, transport: Transport, session: &str) -> Result<Self, Fault> {
        let request = match transport {
            Transport::EventSource => {
                probe.request("GET", format!("{session}/eventsource")).header("Accept", "text/event-stream")
            }
            _ => probe.post(format!("{session}/xhr_streaming"), ""),
        };
        let mut connection = Connection::open(probe.target, probe.load, probe.limits()).await?;
        connection.write(&request.encode(probe.target)).await?;
        Ok(Self { transport, connection, head: None, rest: Vec::new(), bytes: 0 })
    }

    /// The head, if it has come.
    pub(super) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// What comes next, up to that time.
    pub(super) async fn next(&mut self, until: Instant) -> Result<Event, Fault> {
        loop {
            if let Some(frame) = self.frame() {
                return Ok(Event::Frame(frame));
            }
            self.connection.set_patience(left(until).max(Duration::from_millis(1)));
            let piece = match self.head {
                Some(_) => self.connection.piece().await,
                None => {
                    let method = if self.transport == Transport::EventSource { "GET" } else { "POST" };
                    match self.connection.head(method).await {
                        Ok(head) => {
                            self.head = Some(head);
                            continue;
                        }
                        Err(fault) => Err(fault),
                    }
                }
            };
            match piece {
                Ok(Some(piece)) => {
                    self.bytes += piece.bytes.len();
                    self.rest.extend_from_slice(&piece.bytes);
                }
                Ok(None) => return Ok(Event::End("in order".to_owned())),
                Err(Fault::Late(..)) => return Ok(Event::Nothing),
                Err(Fault::Ended(_, how)) => return Ok(Event::End(how)),
                Err(fault) => return Err(fault),
            }
            // A stream that never stops would be read for ever.
            if left(until).is_zero() && !self.rest.contains(&b'\n') {
                return Ok(Event::Nothing);
            }
        }
    }

    /// The same, but heartbeats are passed over.
    async fn message(&mut self, until: Instant) -> Result<Event, Fault> {
        loop {
            match self.next(until).await? {
                Event::Frame(frame) if frame == "h" && !left(until).is_zero() => {}
                event => return Ok(event),
            }
        }
    }

    /// The next frame among the lines that have come.
    fn frame(&mut self) -> Option<String> {
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            let line = match self.transport {
                Transport::EventSource => line.strip_prefix("data:").map(str::trim_start).unwrap_or_default(),
                _ => line,
            };
            let is_prelude = line.len() > 1 && line.bytes().all(|byte| byte == b'h');
            if !line.is_empty() && !is_prelude {
                return Some(line.to_owned());
            }
        }
        None
    }
}

/// Looks at one of the two.
pub(super) async fn look(probe: &mut Probe<'_>, info: &Info, transport: Transport) -> Course {
    let mut course = Course::new(transport);
    if let Err(fault) = walk(probe, info, &mut course).await {
        course.refused = !matches!(fault, Fault::Late(..));
        probe.find(Finding::new(&TRANSPORT_UNANSWERED, format!("{transport}: {fault}")).breaking(&[transport]));
    }
    course
}

async fn walk(probe: &mut Probe<'_>, info: &Info, course: &mut Course) -> Result<(), Fault> {
    let (transport, session) = (course.transport, probe.session());
    let only = [transport];
    let began = Instant::now();
    let mut stream = Stream::open(probe, transport, &session).await?;
    let first = stream.next(began + (2 * info.time_out).max(probe.prompt())).await?;
    if let Some(head) = stream.head() {
        if head.status == 404 {
            course.offered = false;
            return Ok(());
        }
        if head.status != 200 {
            course.refused = true;
            let seen = format!("{transport} is answered with {} {}", head.status, head.reason);
            probe.find(Finding::new(&TRANSPORT_REFUSED, seen).breaking(&only));
            return Ok(());
        }
        for finding in altered(head, transport) {
            probe.find(finding);
        }
    }
    match first {
        Event::Frame(frame) if frame == "o" => {}
        Event::Frame(frame) => {
            let seen = format!("{transport} begins with {} and not with an open frame", crate::wire::shown(frame));
            probe.find(Finding::new(&STREAM_ALTERED, seen).breaking(&only));
            return Ok(());
        }
        Event::End(how) => {
            course.refused = true;
            let seen = format!("{transport} ended ({how}) before its open frame");
            probe.find(Finding::new(&TRANSPORT_UNANSWERED, seen).breaking(&only));
            return Ok(());
        }
        Event::Nothing => {
            let what = if stream.bytes > 0 { "only a beginning" } else { "nothing" };
            let began = shown(began.elapsed());
            let mut seen =
                format!("{transport}: {what} ({} bytes) came within {began}, and no open frame", stream.bytes);
            if let Ok(status @ (200 | 204)) = probe.send(&session, &probe.greeting()).await {
                // The server has the session, so it has sent its open frame.
                seen.push_str(&format!(
                    ", although the server took a message for the session ({status}); {}",
                    fill(probe, &mut stream, &session).await?
                ));
                probe.find(Finding::new(&STREAM_BUFFERED, seen).breaking(&only));
            } else {
                probe.find(Finding::new(&TRANSPORT_UNANSWERED, seen).breaking(&only));
            }
            return Ok(());
        }
    }
    let took = began.elapsed();
    course.opened = Some(took);
    if took > info.time_out {
        let seen = format!("{transport} opened after {}; a client waits {}", shown(took), shown(info.time_out));
        probe.find(Finding::new(&STREAM_LATE, seen).hampering(&only));
    }
    let sent = Instant::now();
    // A 404 is what a session gets that has ended, which the stream then says.
    let lost = match probe.send(&session, &probe.greeting()).await {
        Ok(status @ (200 | 204 | 404)) => status == 404,
        Ok(status) => {
            let seen = format!("{transport}: a message is answered with {status}");
            probe.find(Finding::new(&SEND_REFUSED, seen).breaking(&only));
            return Ok(());
        }
        Err(fault) => {
            probe.find(Finding::new(&SEND_REFUSED, format!("{transport}: a message: {fault}")).breaking(&only));
            return Ok(());
        }
    };
    match stream.message(sent + probe.prompt()).await? {
        Event::Frame(frame) => {
            course.answered = Some(sent.elapsed());
            probe.learn(&frame);
        }
        Event::End(how) => {
            let seen = format!("{transport} ended ({how}) right after its open frame");
            probe.find(Finding::new(&STREAM_CUT, seen).breaking(&only));
        }
        Event::Nothing if probe.service != Service::Unknown && !lost => {
            let told = fill(probe, &mut stream, &session).await?;
            let seen = format!(
                "{transport}: the open frame came at once, but the answer to a message not within {}; {told}",
                shown(probe.prompt())
            );
            probe.find(Finding::new(&STREAM_BUFFERED, seen).breaking(&only));
        }
        Event::Nothing => {}
    }
    compressed(probe, transport).await;
    Ok(())
}

/// What a head says that the server did not say.
fn altered(head: &Head, transport: Transport) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(seen) = cacheable(head) {
        found.push(Finding::new(&CACHE_CONTROL, format!("{transport}: {seen}")));
    }
    let kind = head.header("Content-Type").unwrap_or_default();
    if transport == Transport::EventSource && !kind.to_lowercase().starts_with("text/event-stream") {
        let seen = format!("{transport} has the type {kind:?} and not text/event-stream");
        found.push(Finding::new(&STREAM_ALTERED, seen).breaking(&[transport]));
    }
    found
}

/// Makes the server send until something comes through, and says when that was.
async fn fill(probe: &Probe<'_>, stream: &mut Stream, session: &str) -> Result<String, Fault> {
    let before = stream.bytes;
    let mut sent = 0;
    for number in 0..FILLERS {
        if probe.load.spent().connections > ENOUGH {
            break;
        }
        let Some(filler) = probe.filler(FILLER, number) else { break };
        if !matches!(probe.send(session, &filler).await, Ok(200 | 204)) {
            break;
        }
        sent += FILLER;
        let event = stream.next(Instant::now() + MOMENT).await?;
        if stream.bytes > before {
            return Ok(told(sent, stream.bytes, ended(stream, event).await?));
        }
        if matches!(event, Event::End(_)) {
            return Ok(format!("the answer ended after {sent} bytes, and nothing had come"));
        }
    }
    let event = stream.next(Instant::now() + Duration::from_secs(1)).await?;
    if stream.bytes > before {
        return Ok(told(sent, stream.bytes, ended(stream, event).await?));
    }
    Ok(match sent {
        0 => "how much is held back could not be tried".to_owned(),
        _ => format!("{sent} bytes more were held back too"),
    })
}

fn told(sent: usize, came: usize, end: bool) -> String {
    match end {
        true => format!(
            "all of it ({came} bytes) came when the answer was over, after {sent} bytes more: it is held until the end"
        ),
        false => format!("after {sent} bytes more, {came} bytes came at once: a buffer had to be full"),
    }
}

/// Whether the answer is over behind what has come.
async fn ended(stream: &mut Stream, mut event: Event) -> Result<bool, Fault> {
    let until = Instant::now() + Duration::from_millis(200);
    loop {
        match event {
            Event::End(_) => return Ok(true),
            Event::Nothing => return Ok(false),
            Event::Frame(_) => event = stream.next(until).await?,
        }
    }
}

/// Asks once more as browsers do, who take compressed answers.
async fn compressed(probe: &mut Probe<'_>, transport: Transport) {
    let path = probe.session();
    let request = match transport {
        Transport::EventSource => probe.request("GET", format!("{path}/eventsource")),
        _ => probe.post(format!("{path}/xhr_streaming"), ""),
    };
    let request = request.header("Accept-Encoding", "gzip, deflate, br");
    let began = Instant::now();
    let Ok(mut connection) = Connection::open(probe.target, probe.load, probe.limits()).await else { return };
    let Ok(head) = connection.begin(&request, probe.target).await else { return };
    let Some(coding) = head.header("Content-Encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity")) else {
        return;
    };
    connection.set_patience(probe.prompt());
    let came = match connection.piece().await {
        Ok(Some(_)) => format!("the first bytes came after {}", shown(began.elapsed())),
        _ => format!("no byte came within {}", shown(probe.prompt())),
    };
    let seen = format!("{transport}: Content-Encoding: {coding}; {came}");
    probe.find(Finding::new(&STREAM_COMPRESSED, seen).hampering(&[transport]));
}
