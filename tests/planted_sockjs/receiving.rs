//! The transports that receive over HTTP: polls and streams.
//!
//! Does not know: sends, websockets, paths.

use std::io::Result;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, Interval, interval_at, sleep};

use super::defects::{Defect, Defects};
use super::http::{Answer, Connection, Request};
use super::pages::{cross_origin, uncached, with_cookie};
use super::server::{Server, Service};
use super::session::{Session, Turned};
use super::text::{event_data, field, script_string};

/// After how many bytes a stream ends.
const LIMIT: usize = 4096;
/// Longer than the grace that a receiver's end is given.
const LATE: Duration = Duration::from_millis(500);
const SCRIPT: &str = "application/javascript; charset=UTF-8";

/// A transport that receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Xhr,
    XhrStreaming,
    EventSource,
    HtmlFile,
    Jsonp,
}

impl Kind {
    fn is_poll(self) -> bool {
        matches!(self, Self::Xhr | Self::Jsonp)
    }

    fn content_type(self, defects: Defects) -> &'static str {
        match self {
            Self::EventSource if defects.has(Defect::EventTypeOther) => "text/plain",
            Self::EventSource => "text/event-stream",
            Self::HtmlFile => "text/html; charset=UTF-8",
            Self::Xhr | Self::XhrStreaming | Self::Jsonp => SCRIPT,
        }
    }

    fn prelude(self, callback: &str, defects: Defects) -> Vec<u8> {
        match self {
            Self::XhrStreaming => {
                let length = if defects.has(Defect::PreludeShort) { 2047 } else { 2048 };
                format!("{}\n", "h".repeat(length)).into_bytes()
            }
            Self::EventSource if defects.has(Defect::EventPreludeIsLf) => b"\n".to_vec(),
            Self::EventSource => b"\r\n".to_vec(),
            Self::HtmlFile => html_page(callback, defects),
            Self::Xhr | Self::Jsonp => Vec::new(),
        }
    }

    /// A frame as it is on the wire.
    fn wrap(self, frame: &str, callback: &str, defects: Defects) -> Vec<u8> {
        let text = match self {
            Self::XhrStreaming if defects.has(Defect::LineSeparatorIsLineEnd) => {
                format!("{}\n", frame.replace("\\u2028", "\\n"))
            }
            Self::Xhr | Self::XhrStreaming => format!("{frame}\n"),
            Self::EventSource => {
                let name = if defects.has(Defect::EventNamed) { "event: frame\r\n" } else { "" };
                format!("{name}data: {}\r\n\r\n", event_data(frame, defects))
            }
            Self::HtmlFile => {
                let mut string = script_string(frame, defects, Defect::ScriptEndRaw);
                if defects.has(Defect::QuotesOnly) {
                    string = format!("\"{}\"", frame.replace('"', "\\\""));
                }
                if defects.has(Defect::AmpersandAsHtml) {
                    string = string.replace('&', "&amp;");
                }
                format!("<script>\np({string});\n</script>\r\n")
            }
            Self::Jsonp => {
                let mut string = script_string(frame, defects, Defect::ScriptTagRaw);
                if defects.has(Defect::LineSeparatorLost) {
                    string = string.replace("\\\\u2028", "");
                }
                if defects.has(Defect::ScriptCloseWithoutReason) {
                    string = string.replace(r#",\"Go away!\""#, "");
                }
                if defects.has(Defect::ScriptUnquoted) {
                    string = frame.to_owned();
                }
                format!("/**/{callback}({string});\r\n")
            }
        };
        text.into_bytes()
    }
}

fn html_page(callback: &str, defects: Defects) -> Vec<u8> {
    let callback = if defects.has(Defect::PageCallbackFixed) { "sockjs" } else { callback };
    let mut page = format!(
        r#"<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.{callback};
    c.start();
    function p(d) {{c.message(d);}};
    window.onload = function() {{c.stop();}};
  </script>
"#
    );
    while page.len() < 1024 && !defects.has(Defect::PageShort) {
        page.push(' ');
    }
    page.push_str("\r\n\r\n");
    page.into_bytes()
}

/// The callback of a request, or what is wrong with it.
fn callback(request: &Request, kind: Kind, defects: Defects) -> std::result::Result<String, Answer> {
    let has = |of_page, of_script| {
        let wanted = if kind == Kind::HtmlFile { of_page } else { of_script };
        defects.has(wanted)
    };
    let mut found = field(&request.query, "c");
    if kind == Kind::HtmlFile || !defects.has(Defect::ScriptCallbackOneName) {
        found = found.or_else(|| field(&request.query, "callback"));
    }
    if kind == Kind::HtmlFile || !defects.has(Defect::ScriptCallbackEmpty) {
        found = found.filter(|callback| !callback.is_empty());
    }
    let Some(callback) = found else {
        let missing = has(Defect::PageCallbackMissing, Defect::ScriptCallbackMissing);
        return Err(Answer::text(if missing { 404 } else { 500 }, r#""callback" parameter required"#));
    };
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let fitting = match callback.iter().position(|byte| !fits(byte)) {
        None => true,
        Some(at) if has(Defect::PageCallbackHostile, Defect::ScriptCallbackHostile) => at > 0,
        Some(_) => has(Defect::PageCallbackUnchecked, Defect::ScriptCallbackUnchecked),
    };
    let long = callback.len() > 32 && !has(Defect::PageCallbackLong, Defect::ScriptCallbackLong);
    if !fitting || long {
        return Err(Answer::text(500, r#"invalid "callback" parameter"#));
    }
    Ok(String::from_utf8_lossy(&callback).into_owned())
}

/// With the headers of all session URLs.
pub fn dressed(answer: Answer, request: &Request, service: &Service, defects: Defects) -> Answer {
    let path = request.path.as_str();
    let mut answer = uncached(answer, defects);
    let error = answer.status >= 400;
    let no_cookie = (path.ends_with("/xhr") && defects.has(Defect::CookieMissing))
        || (path.ends_with("/xhr_send") && defects.has(Defect::CookieOfSendMissing))
        || (path.ends_with("/xhr_streaming") && defects.has(Defect::CookieOfXhrStreamingMissing))
        || (path.ends_with("/eventsource") && defects.has(Defect::CookieOfEventSourceMissing))
        || (path.ends_with("/htmlfile") && defects.has(Defect::CookieOfHtmlFileMissing))
        || (path.ends_with("/jsonp") && defects.has(Defect::CookieOfJsonpMissing))
        || (error && defects.has(Defect::CookieOfErrorsMissing));
    if !no_cookie {
        answer = with_cookie(answer, request, service, defects);
    }
    let no_origin = (path.ends_with("/eventsource") && defects.has(Defect::EventSourceWithoutOrigin))
        || (error && defects.has(Defect::ErrorsWithoutOrigin));
    if no_origin || path.contains("/jsonp") || path.ends_with("/htmlfile") {
        answer
    } else {
        cross_origin(answer, request, defects)
    }
}

/// Serves a receiver.
pub async fn receive(
    server: &Arc<Server>,
    service: &Service,
    session: &str,
    kind: Kind,
    connection: &mut Connection,
    request: &Request,
) -> Result<()> {
    let defects = server.defects;
    let named = matches!(kind, Kind::HtmlFile | Kind::Jsonp);
    let callback = match if named { callback(request, kind, defects) } else { Ok(String::new()) } {
        Ok(callback) => callback,
        Err(answer) => return connection.answer(request, dressed(answer, request, service, defects)).await,
    };
    let mut head = Answer::new(200, kind.content_type(defects), Vec::new());
    if !defects.has(Defect::ScriptSniffed) {
        head = head.with("X-Content-Type-Options", "nosniff");
    }
    if !kind.is_poll() && !defects.has(Defect::BufferedByProxies) {
        head = head.with("X-Accel-Buffering", "no");
    }
    let head = dressed(head, request, service, defects);
    let attached = server.sessions.attach(session, service.behaviour, kind).await;
    let (session, id) = match attached {
        Ok((session, id)) => (Some(session), id),
        Err(Turned::Away) => (None, 0),
        Err(Turned::Unknown) => {
            return connection.answer(request, dressed(Answer::text(404, ""), request, service, defects)).await;
        }
    };
    let mut receiver = Receiver { server: server.clone(), kind, callback, connection, request, id };
    let Some(session) = session else {
        return receiver.turn_away(head).await;
    };
    let done = if kind.is_poll() { receiver.poll(&session, head).await } else { receiver.stream(&session, head).await };
    if done.is_err() && session.has_receiver(id) {
        server.sessions.abort(&session, id);
    }
    done
}

struct Receiver<'a> {
    server: Arc<Server>,
    kind: Kind,
    callback: String,
    connection: &'a mut Connection,
    request: &'a Request,
    id: u64,
}

impl Receiver<'_> {
    fn wrap(&self, frame: &str) -> Vec<u8> {
        self.kind.wrap(frame, &self.callback, self.server.defects)
    }

    /// Answers with the next frame, or with a heartbeat if none comes for long.
    async fn poll(&mut self, session: &Arc<Session>, head: Answer) -> Result<()> {
        let defects = self.server.defects;
        let mut beats = self.beats();
        let frame = match self.next(session, &mut beats, true).await {
            Some(frame) => frame,
            None => return self.gone().await,
        };
        // Before the answer: whoever has it may ask again at once.
        self.server.sessions.detach(session, self.id, session.is_last(&frame));
        let mut body = self.wrap(&frame);
        if frame == "o" && defects.has(Defect::PollTwoFrames) {
            body.extend(self.wrap("h"));
        }
        if frame.is_empty() {
            body.clear();
        }
        self.connection.answer(self.request, Answer { body, ..head }).await
    }

    /// Answers with frames until they are enough.
    async fn stream(&mut self, session: &Arc<Session>, head: Answer) -> Result<()> {
        let defects = self.server.defects;
        self.connection.begin(self.request, head).await?;
        let mut prelude = self.kind.prelude(&self.callback, defects);
        let mut sent = if defects.has(Defect::LimitTooEarly) { prelude.len() } else { 0 };
        let merged = defects.has(Defect::PreludeWithOpen);
        if !merged {
            self.connection.chunk(&prelude).await?;
        }
        let mut beats = self.beats();
        let mut held = Vec::new();
        loop {
            let Some(mut frame) = self.next(session, &mut beats, false).await else {
                if defects.has(Defect::FirstReceiverEnds) && !session.has_receiver(self.id) {
                    return self.connection.end().await;
                }
                return self.gone().await;
            };
            let mut piece = self.wrap(&frame);
            while defects.has(Defect::FramesJoined)
                && let Some(more) = session.next(false)
            {
                piece.extend(self.wrap(&more));
                frame = more;
            }
            if defects.has(Defect::FramesHeldBack) {
                std::mem::swap(&mut held, &mut piece);
            }
            sent += piece.len();
            if merged {
                prelude.append(&mut piece);
                piece = std::mem::take(&mut prelude);
            }
            if defects.has(Defect::LargeFrameCut) {
                piece.truncate(LIMIT);
            }
            let told = session.is_last(&frame);
            let endless = (self.kind == Kind::EventSource && defects.has(Defect::EventLimitIgnored))
                || (self.kind == Kind::HtmlFile && defects.has(Defect::PageLimitIgnored))
                || defects.has(Defect::LimitIgnored);
            let ends = told || (sent >= LIMIT && !endless);
            if ends && defects.has(Defect::LostAtTheLimit) {
                session.forget();
            }
            if ends {
                self.server.sessions.detach(session, self.id, told);
            }
            self.pieces(&piece).await?;
            if told && defects.has(Defect::ClosedStreamStays) {
                self.connection.gone().await;
            }
            if ends && self.request.old && defects.has(Defect::StreamOfHttp10Stays) {
                self.connection.gone().await;
            }
            if ends {
                return self.connection.end().await;
            }
        }
    }

    async fn pieces(&mut self, piece: &[u8]) -> Result<()> {
        // An empty chunk would be the last.
        if piece.is_empty() {
            return Ok(());
        }
        if let (Some((end, frame)), true) = (piece.split_last(), self.server.defects.has(Defect::FrameInTwoChunks)) {
            self.connection.chunk(frame).await?;
            return self.connection.chunk(&[*end]).await;
        }
        self.connection.chunk(piece).await
    }

    /// There is a receiver already.
    async fn turn_away(&mut self, head: Answer) -> Result<()> {
        let defects = self.server.defects;
        let other = defects.has(Defect::OtherConflict);
        let frame = self.wrap(if other { r#"c[2010,"Busy"]"# } else { r#"c[2010,"Another connection still open"]"# });
        if self.kind.is_poll() {
            let status = if defects.has(Defect::ConflictIs409) { 409 } else { 200 };
            return self.connection.answer(self.request, Answer { status, body: frame, ..head }).await;
        }
        self.connection.begin(self.request, head).await?;
        self.connection.chunk(&self.kind.prelude(&self.callback, defects)).await?;
        self.connection.chunk(&frame).await?;
        if defects.has(Defect::RefusedStreamStays) {
            self.connection.gone().await;
        }
        self.connection.end().await
    }

    /// The next frame, which may be a heartbeat. None if the peer is gone.
    async fn next(&mut self, session: &Session, beats: &mut Interval, everything: bool) -> Option<String> {
        let defects = self.server.defects;
        let whole = everything && !defects.has(Defect::PollOneMessage);
        let blind = defects.has(if everything { Defect::AbortUnnoticedByPolls } else { Defect::AbortUnnoticed });
        let still = match self.kind {
            Kind::Jsonp => defects.has(Defect::NoHeartbeatOnJsonp),
            Kind::Xhr => defects.has(Defect::NoHeartbeatOnPolls),
            Kind::XhrStreaming => defects.has(Defect::NoHeartbeatOnXhrStreaming),
            Kind::EventSource => defects.has(Defect::NoHeartbeatOnEventSource),
            Kind::HtmlFile => defects.has(Defect::NoHeartbeatOnHtmlFile),
        };
        loop {
            if !session.has_receiver(self.id) {
                return None;
            }
            if let Some(frame) = session.next(whole) {
                return Some(frame);
            }
            if everything && defects.has(Defect::PollEmpty) {
                return Some(String::new());
            }
            tokio::select! {
                () = session.changed() => {}
                () = self.connection.gone(), if !blind => return None,
                _ = beats.tick(), if !still => return Some("h".to_owned()),
            }
        }
    }

    /// The peer is gone, or another receiver came in its place.
    async fn gone(&self) -> Result<()> {
        let (all, some) = match self.kind.is_poll() {
            true => (Defect::PollAbortNoticedLate, Defect::SomePollAbortsNoticedLate),
            false => (Defect::AbortNoticedLate, Defect::SomeAbortsNoticedLate),
        };
        let defects = self.server.defects;
        if defects.has(all) || (defects.has(some) && self.server.sessions.is_fifth()) {
            sleep(LATE).await;
        }
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn beats(&self) -> Interval {
        interval_at(Instant::now() + self.server.heartbeat, self.server.heartbeat)
    }
}
