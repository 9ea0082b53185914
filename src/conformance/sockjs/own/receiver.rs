//! The receiving side of a session over any HTTP transport: asks again as often as it takes, passes over the prelude, and
//! undoes what each transport puts around a frame. How the frames are cut into chunks is all the same to it.
//!
//! Does not know: which frames are due.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::{BEATS, same};
use crate::conformance::Stop;
use crate::conformance::sockjs::probe::array;
use crate::conformance::sockjs::receiving::Receiving;
use crate::conformance::sockjs::visit::{Visit, decoded};
use crate::wire::{Connection, Head, Request, shown};

/// Responses without a frame in them that are put up with in a row.
const EMPTY: usize = 5;
/// A callback as sockjs-client's.
const CALLBACK: &str = "_jp.acheck0";

/// The receiving transports of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Xhr,
    Jsonp,
    XhrStreaming,
    EventSource,
    HtmlFile,
}

/// A frame that came.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Its text, without what the transport puts around it.
    pub text: String,
    /// All of it, as it came.
    pub wire: Bytes,
}

/// What came of a check over several transports, of which a server need not have all.
#[derive(Debug, Default)]
pub(super) struct Over {
    looked: bool,
    missing: Vec<String>,
}

/// A receiver. Dropping it hangs up.
pub(super) struct Receiver<'v, 'p> {
    visit: &'v Visit<'p>,
    transport: Transport,
    /// A request of which nothing is answered yet.
    asked: Option<Connection>,
    /// The present response.
    receiving: Option<Receiving>,
    /// What has come of the present response and is no whole frame yet.
    buffer: BytesMut,
    /// Whether the present response's prelude is behind us.
    begun: bool,
    patience: Duration,
}

impl Transport {
    pub const ALL: [Self; 5] = [Self::Xhr, Self::Jsonp, Self::XhrStreaming, Self::EventSource, Self::HtmlFile];
    pub const POLLS: [Self; 2] = [Self::Xhr, Self::Jsonp];
    pub const STREAMS: [Self; 3] = [Self::XhrStreaming, Self::EventSource, Self::HtmlFile];

    /// What it is called in URLs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xhr => "xhr",
            Self::Jsonp => "jsonp",
            Self::XhrStreaming => "xhr_streaming",
            Self::EventSource => "eventsource",
            Self::HtmlFile => "htmlfile",
        }
    }

    /// Whether a response has any number of frames.
    pub const fn is_stream(self) -> bool {
        !matches!(self, Self::Xhr | Self::Jsonp)
    }

    /// Whether the server has it at all, by the status of the answer to a new session. Where the URL is 404 it has not.
    pub fn offered(self, status: u16) -> Result<(), Stop> {
        match status {
            404 => Err(Stop::NotOffered(format!("no {}: its URL is 404", self.name()))),
            _ => Ok(()),
        }
    }

    /// The request of a receiver.
    pub fn request(self, visit: &Visit<'_>) -> Request {
        match self {
            Self::Xhr | Self::XhrStreaming => visit.post(&format!("/{}", self.name())),
            Self::EventSource => visit.get("/eventsource"),
            Self::Jsonp | Self::HtmlFile => visit.get(&format!("/{}?c={CALLBACK}", self.name())),
        }
    }

    /// Sends messages the way in which clients with this receiver do.
    pub async fn send<S: AsRef<str>>(self, visit: &Visit<'_>, messages: &[S]) -> Result<(), Stop> {
        if self != Self::Jsonp {
            return visit.send(messages).await;
        }
        let form = format!("d={}", percent_encode(array(messages).as_bytes(), NON_ALPHANUMERIC));
        let request = visit.post("/jsonp_send").header("Content-Type", "application/x-www-form-urlencoded").body(form);
        visit.ask(&request).await?.status(200)?.body("ok")?;
        Ok(())
    }

    /// The text of a frame that came as this, or what is wrong with it.
    pub fn unwrapped(self, wire: &[u8]) -> Result<String, &'static str> {
        let text = std::str::from_utf8(wire).map_err(|_| "UTF-8")?;
        match self {
            Self::Xhr | Self::XhrStreaming => {
                Ok(text.strip_suffix('\n').ok_or("a frame with LF at its end")?.to_owned())
            }
            Self::EventSource => {
                let data = text.strip_prefix("data:").ok_or("an event that begins with data:")?;
                let data = data.trim_end_matches(['\r', '\n']);
                if data.contains(['\r', '\n']) {
                    return Err("an event of one line");
                }
                unescaped(data.strip_prefix(' ').unwrap_or(data))
            }
            Self::HtmlFile => {
                let wanted = "<script>, LF, p(\"the frame\");, LF, </script> and a line end";
                let call = text.strip_prefix("<script>\n").and_then(|rest| rest.trim_end().strip_suffix("\n</script>"));
                let literal = call.and_then(|call| call.strip_prefix("p(")?.strip_suffix(");")).ok_or(wanted)?;
                script_text(literal).ok_or(wanted)
            }
            Self::Jsonp => {
                let wanted = "/**/callback(\"the frame\"); and a line end";
                let call = text.strip_prefix("/**/").unwrap_or(text).trim_end();
                let literal = call.strip_prefix(CALLBACK).and_then(|call| call.strip_prefix('(')?.strip_suffix(");"));
                literal.and_then(script_text).ok_or(wanted)
            }
        }
    }

    /// The length of the prelude, once it is there.
    fn prelude(self, seen: &[u8]) -> Option<usize> {
        match self {
            Self::Xhr | Self::Jsonp => Some(0),
            Self::XhrStreaming => memchr::memchr(b'\n', seen).map(|at| at + 1),
            Self::EventSource => seen.iter().position(|byte| !matches!(byte, b'\r' | b'\n')),
            Self::HtmlFile => memmem::find(seen, b"<script>\np("),
        }
    }

    /// The length of the frame that all this begins with, once it is whole. That of a poll is all of its response.
    fn frame(self, seen: &[u8]) -> Option<usize> {
        let end = |end: &[u8]| memmem::find(seen, end).map(|at| at + end.len());
        match self {
            Self::Xhr | Self::Jsonp => None,
            Self::XhrStreaming => end(b"\n"),
            Self::EventSource => match (end(b"\r\n\r\n"), end(b"\n\n")) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
            Self::HtmlFile => {
                let block = end(b"</script>")?;
                Some(block + memchr::memchr(b'\n', seen.get(block..)?)? + 1)
            }
        }
    }
}

/// What `decodeURI` makes of the data of an event, which sockjs-client has done to it. It throws where a percent sign has no two
/// hexadecimal digits behind it.
fn unescaped(data: &str) -> Result<String, &'static str> {
    let mut escapes = data.split('%').skip(1).map(str::as_bytes);
    let whole = |escape: &[u8]| escape.get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !escapes.all(whole) {
        return Err("percent signs as %25, since sockjs-client takes the data for percent-encoded");
    }
    percent_decode_str(data).decode_utf8().map(Into::into).map_err(|_| "UTF-8 behind the percent signs")
}

impl Over {
    /// Notes what came of one transport; a failure ends it all.
    pub fn take(&mut self, came: Result<(), Stop>) -> Result<(), Stop> {
        match came {
            Ok(()) => self.looked = true,
            Err(Stop::NotOffered(what)) => self.missing.push(what),
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// What came of all: met, if there was any.
    pub fn done(self) -> Result<(), Stop> {
        match self.looked || self.missing.is_empty() {
            true => Ok(()),
            false => Err(Stop::NotOffered(self.missing.join("; "))),
        }
    }
}

impl<'v, 'p> Receiver<'v, 'p> {
    /// A receiver that has asked for nothing yet.
    pub fn new(visit: &'v Visit<'p>, transport: Transport) -> Self {
        let patience = visit.probe.limits.patience;
        Self { visit, transport, asked: None, receiving: None, buffer: BytesMut::new(), begun: false, patience }
    }

    /// Opens the session. Where that URL is 404 the server does not have the transport; every server has xhr.
    pub async fn open(visit: &'v Visit<'p>, transport: Transport) -> Result<Self, Stop> {
        let mut receiver = Self::new(visit, transport);
        let head = receiver.head().await?;
        if transport != Transport::Xhr {
            transport.offered(head.status)?;
        }
        receiver.expect("o").await?;
        Ok(receiver)
    }

    /// Waits so long for each frame from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
        if let Some(connection) = &mut self.asked {
            connection.set_patience(patience);
        }
        if let Some(receiving) = &mut self.receiving {
            receiving.set_patience(patience);
        }
    }

    /// Asks, if nothing is asked yet, and does not wait for the answer.
    pub async fn attach(&mut self) -> Result<(), Stop> {
        if self.asked.is_none() && self.receiving.is_none() {
            self.asked = Some(self.ask().await?);
        }
        Ok(())
    }

    /// The head of the present response, or of the next one.
    pub async fn head(&mut self) -> Result<Head, Stop> {
        self.receiving().await.map(|receiving| receiving.head.clone())
    }

    /// What the next frame of this response is, `None` at its end. Asks if nothing is asked yet.
    pub async fn frame(&mut self) -> Result<Option<Frame>, Stop> {
        let transport = self.transport;
        // A server that sends a byte now and then would be read for ever.
        let (started, most) = (Instant::now(), self.patience.saturating_mul(3));
        loop {
            if started.elapsed() > most {
                return Err(self.fail(format!("pieces, and no whole frame within {most:?}"), "a frame"));
            }
            if !self.begun
                && let Some(length) = transport.prelude(&self.buffer)
            {
                self.check_prelude(length)?;
                self.begun = true;
            }
            if let Some(length) = transport.frame(&self.buffer).filter(|_| self.begun) {
                let wire = self.buffer.split_to(length).freeze();
                return self.unwrap(wire).map(Some);
            }
            let receiving = self.receiving().await?;
            receiving.answer().status(200)?;
            match receiving.next("a frame").await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return self.end(),
            }
        }
    }

    /// What has come when a response ends: a poll's frame, and nothing of a stream's.
    fn end(&mut self) -> Result<Option<Frame>, Stop> {
        self.receiving = None;
        let rest = self.buffer.split().freeze();
        if !self.transport.is_stream() && !rest.is_empty() {
            return self.unwrap(rest).map(Some);
        }
        match rest.trim_ascii().is_empty() {
            true => Ok(None),
            false => Err(self.visit.fail(format!("{} and the end of the response", shown(rest)), "whole frames")),
        }
    }

    /// The next frame but for heartbeats, over as many responses as it takes.
    pub async fn next(&mut self) -> Result<Frame, Stop> {
        let (mut empty, mut beats) = (0, 0);
        loop {
            match self.frame().await? {
                Some(frame) if frame.text == "h" && beats < BEATS => beats += 1,
                Some(frame) => return Ok(frame),
                None => empty += 1,
            }
            if empty > EMPTY {
                return Err(self.visit.fail(format!("{empty} responses that ended without a frame"), "a frame"));
            }
        }
    }

    /// The next frame is this.
    pub async fn expect(&mut self, text: &str) -> Result<(), Stop> {
        let frame = self.next().await?;
        match frame.text == text {
            true => Ok(()),
            false => Err(self.wrong(&frame, &format!("the frame {text}"))),
        }
    }

    /// The next frame closes with this code; the whole of it.
    pub async fn expect_close(&mut self, code: u16) -> Result<String, Stop> {
        let frame = self.next().await?;
        let close = frame.text.strip_prefix('c').and_then(|close| serde_json::from_str::<(u16, String)>(close).ok());
        match close.is_some_and(|(seen, _)| seen == code) {
            true => Ok(frame.text),
            false => Err(self.wrong(&frame, &format!("a close frame c[{code},\"...\"]"))),
        }
    }

    /// The next so many messages, and nothing but messages before that.
    pub async fn messages(&mut self, count: usize) -> Result<Vec<String>, Stop> {
        let mut messages = Vec::new();
        while messages.len() < count {
            let frame = self.next().await?;
            match decoded(&frame.text) {
                Some(new) if !new.is_empty() => messages.extend(new),
                _ => return Err(self.wrong(&frame, &format!("messages ({} of {count} have come)", messages.len()))),
            }
        }
        Ok(messages)
    }

    /// The next messages are these.
    pub async fn expect_messages<S: AsRef<str>>(&mut self, sent: &[S]) -> Result<(), Stop> {
        let seen = self.messages(sent.len()).await?;
        same(self.visit, &seen, sent)
    }

    /// The present response ends here, or there is none.
    pub async fn ends(&mut self) -> Result<(), Stop> {
        while self.asked.is_some() || self.receiving.is_some() {
            match self.frame().await? {
                Some(frame) if frame.text != "h" => return Err(self.wrong(&frame, "the end of the response")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Sends messages to the session.
    pub async fn send<S: AsRef<str>>(&self, messages: &[S]) -> Result<(), Stop> {
        self.transport.send(self.visit, messages).await
    }

    /// Sends messages and expects each of them back.
    pub async fn echo<S: AsRef<str>>(&mut self, messages: &[S]) -> Result<(), Stop> {
        self.send(messages).await?;
        self.expect_messages(messages).await
    }

    /// The frame is not what was wanted.
    pub fn wrong(&self, frame: &Frame, wanted: &str) -> Stop {
        let seen = format!("over {} the frame {}", self.transport.name(), shown(&frame.text));
        self.visit.fail(seen, wanted)
    }

    /// The demand is not met.
    pub fn fail(&self, seen: impl Into<String>, wanted: impl Into<String>) -> Stop {
        self.visit.fail(format!("over {} {}", self.transport.name(), seen.into()), wanted)
    }

    fn unwrap(&self, wire: Bytes) -> Result<Frame, Stop> {
        match self.transport.unwrapped(&wire) {
            Ok(text) => Ok(Frame { text, wire }),
            Err(wanted) => Err(self.fail(shown(&wire), wanted)),
        }
    }

    /// Takes the prelude away. Spring's Java client reads no other than the exact one of xhr_streaming.
    fn check_prelude(&mut self, length: usize) -> Result<(), Stop> {
        let prelude = self.buffer.split_to(length);
        let right = match self.transport {
            Transport::XhrStreaming => length == 2049 && prelude.iter().take(2048).all(|&byte| byte == b'h'),
            _ => true,
        };
        match right {
            true => Ok(()),
            false => Err(self.fail(format!("a first line {}", shown(prelude)), "2048 times h and LF")),
        }
    }

    async fn ask(&mut self) -> Result<Connection, Stop> {
        let mut connection = self.visit.leave(&self.transport.request(self.visit)).await?;
        connection.set_patience(self.patience);
        self.begun = false;
        self.buffer.clear();
        Ok(connection)
    }

    /// The present response, with its head read.
    async fn receiving(&mut self) -> Result<&mut Receiving, Stop> {
        let receiving = match self.receiving.take() {
            Some(receiving) => receiving,
            None => {
                let mut connection = match self.asked.take() {
                    Some(connection) => connection,
                    None => self.ask().await?,
                };
                let request = self.transport.request(self.visit);
                match connection.head(request.method()).await {
                    Ok(head) => Receiving::new(connection, head, self.visit.steps.clone()),
                    Err(fault) => {
                        let wanted = format!("an answer to {}", self.transport.name());
                        self.asked = Some(connection);
                        return Err(self.visit.fault(&fault, wanted));
                    }
                }
            }
        };
        Ok(self.receiving.insert(receiving))
    }
}

/// What a literal of a script says. Scripts know escapes that JSON does not; those that servers write are read too.
fn script_text(literal: &str) -> Option<String> {
    let mut json = String::with_capacity(literal.len());
    let mut chars = literal.chars();
    while let Some(c) = chars.next() {
        match (c, (c == '\\').then(|| chars.next()).flatten()) {
            (_, Some('\'')) => json.push('\''),
            (_, Some('v')) => json.push_str("\\u000b"),
            (_, Some('x')) => json.push_str("\\u00"),
            (c, escaped) => {
                json.push(c);
                json.extend(escaped);
            }
        }
    }
    serde_json::from_str(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = r#"a["</b> 100% \u0000"]"#;

    fn wrapped(transport: Transport) -> String {
        let literal = r#""a[\"\u003c/b> 100% \\u0000\"]""#;
        match transport {
            Transport::Xhr | Transport::XhrStreaming => format!("{FRAME}\n"),
            Transport::EventSource => format!("data: {}\r\n\r\n", FRAME.replace('%', "%25")),
            Transport::HtmlFile => format!("<script>\np({literal});\n</script>\r\n"),
            Transport::Jsonp => format!("/**/{CALLBACK}({literal});\r\n"),
        }
    }

    #[test]
    fn what_is_around_a_frame_is_undone() {
        for transport in Transport::ALL {
            assert_eq!(transport.unwrapped(wrapped(transport).as_bytes()).as_deref(), Ok(FRAME), "{transport:?}");
        }
        assert_eq!(Transport::EventSource.unwrapped(b"data:o\n\n").as_deref(), Ok("o"));
        assert_eq!(Transport::Jsonp.unwrapped(b"_jp.acheck0(\"o\");").as_deref(), Ok("o"));
    }

    #[test]
    fn what_is_no_frame_is_told() {
        for (transport, wire) in [
            (Transport::Xhr, "o"),
            (Transport::XhrStreaming, ""),
            (Transport::EventSource, "event: x\r\ndata: o\r\n\r\n"),
            (Transport::EventSource, "data: o\r\nid: 1\r\n\r\n"),
            (Transport::EventSource, "data: a[\"100%\"]\r\n\r\n"),
            (Transport::EventSource, "data: a[\"%zz\"]\r\n\r\n"),
            (Transport::HtmlFile, "<script>\np(\"a[\\\"</script>\n"),
            (Transport::HtmlFile, "<script>\np(o);\n</script>\r\n"),
            (Transport::Jsonp, "other(\"o\");\r\n"),
            (Transport::Jsonp, "_jp.acheck0(\"o\");_jp.acheck0(\"h\");\r\n"),
        ] {
            assert!(transport.unwrapped(wire.as_bytes()).is_err(), "{transport:?} {wire}");
        }
    }

    /// A stream may be cut anywhere: before its last byte no frame is whole, and what is behind it is the next.
    #[test]
    fn streams_are_cut_into_preludes_and_frames_wherever_the_chunks_end() {
        for transport in Transport::STREAMS {
            let prelude = match transport {
                Transport::XhrStreaming => "h".repeat(2048) + "\n",
                Transport::EventSource => "\r\n".to_owned(),
                _ => "<!doctype html><script>\nfunction p(d) {};\n</script>\n   \r\n\r\n".to_owned(),
            };
            let frame = wrapped(transport);
            let stream = format!("{prelude}{frame}{frame}");
            assert_eq!(transport.prelude(stream.as_bytes()), Some(prelude.len()), "{transport:?}");
            let frames = &stream.as_bytes()[prelude.len()..];
            for cut in 0..frames.len() {
                let whole = transport.frame(&frames[..cut]);
                assert_eq!(whole, (cut >= frame.len()).then_some(frame.len()), "{transport:?} {cut}");
            }
        }
    }

    #[test]
    fn escapes_of_scripts_are_read_beside_those_of_json() {
        let read = |literal| script_text(literal);
        assert_eq!(read(r#""it\'s \x3c\/script\u003e \\' \"""#).as_deref(), Some("it's </script> \\' \""));
        for broken in ["", "\"", r#""\""#, r#""\q""#, "x", "1"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
