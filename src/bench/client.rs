//! One client of a load: it connects, speaks STOMP or nothing at all over its carrier, and tells what messages came.
//!
//! Does not know: transports, or what the messages are counted for.

use std::sync::Arc;
use std::time::Duration;

use memchr::{memchr, memmem};
use tokio::time::timeout;

use super::carrier::Carrier;
use super::fault::Fault;
use super::frames;
use super::plan::Transport;
use super::route::Route;
use super::stamp::Message;
use super::texts::Said;

/// The most that one STOMP frame may have.
const LARGEST: usize = 8 << 20;

/// How a client speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Speech {
    /// Every text is a message.
    Bare,
    /// STOMP.
    Stomp {
        /// The CONNECT that begins it.
        connect: String,
    },
}

impl Speech {
    /// STOMP for that user of that virtual host, with a heart-beat wanted of the server so often, or never.
    pub(super) fn stomp(host: &str, login: Option<&str>, passcode: Option<&str>, beats: Duration) -> Self {
        let mut connect = format!("CONNECT\naccept-version:1.2\nheart-beat:0,{}\n", beats.as_millis());
        for (name, value) in [("host", Some(host)), ("login", login), ("passcode", passcode)] {
            if let Some(value) = value {
                // CONNECT is not escaped (STOMP 1.2, "Value Encoding"), so a line feed cannot be in it.
                connect.push_str(&format!("{name}:{}\n", value.replace(['\n', '\r', '\0'], "")));
            }
        }
        connect.push_str("\n\0");
        Self::Stomp { connect }
    }
}

/// A header's value as it stands in a frame.
pub(super) fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace(':', "\\c")
}

/// What came to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// The SockJS session is open.
    Open,
    /// A heartbeat, of whichever protocol.
    Beat,
    /// CONNECTED.
    Connected,
    /// RECEIPT, with its headers.
    Receipt(&'a [u8]),
    /// A message, with the headers of its frame if it came in one.
    Message {
        /// Line after line, without the command.
        headers: &'a [u8],
        /// The body.
        body: &'a [u8],
    },
}

/// A client that is connected.
pub(super) struct Client {
    carrier: Carrier,
    transport: Transport,
    frames: Option<Splitter>,
    patience: Duration,
}

impl Client {
    /// Connects: up to the open session, and to CONNECTED if STOMP is spoken.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, refuses, or takes too long.
    pub(super) async fn connect(route: &Arc<Route>, transport: Transport, speech: &Speech) -> Result<Self, Fault> {
        let stomp = matches!(speech, Speech::Stomp { .. });
        let carrier = Carrier::open(route, transport, stomp).await?;
        let frames = stomp.then(Splitter::default);
        let mut client = Self { carrier, transport, frames, patience: route.patience };
        if !matches!(transport, Transport::RawWebsocket | Transport::Tcp) {
            client.expect("the open frame of a session", false, |event| matches!(event, Event::Open)).await?;
        }
        if let Speech::Stomp { connect } = speech {
            client.carrier.put_text(connect);
            client.expect("CONNECTED", false, |event| matches!(event, Event::Connected)).await?;
        }
        Ok(client)
    }

    pub(super) fn transport(&self) -> Transport {
        self.transport
    }

    /// Sends a STOMP frame with `receipt:r` in it and waits for that receipt. Nothing else may come before it but heartbeats.
    ///
    /// # Errors
    ///
    /// Something else came, or nothing in time.
    pub(super) async fn ask(&mut self, frame: &str, what: &'static str) -> Result<(), Fault> {
        self.carrier.put_text(frame);
        self.expect(what, false, |event| matches!(event, Event::Receipt(_))).await
    }

    /// Sends what was put and waits for that event, the last of the conversation or not.
    async fn expect(
        &mut self,
        what: &'static str,
        last: bool,
        wanted: impl Fn(Event<'_>) -> bool,
    ) -> Result<(), Fault> {
        self.carrier.flush()?;
        let patience = self.patience;
        let came = async {
            let mut found = false;
            loop {
                let came = self.receive(|event| match event {
                    event if !found && wanted(event) => {
                        found = true;
                        Ok(())
                    }
                    Event::Beat => Ok(()),
                    _ => Err(Fault::Garbage(format!("something else came with {what}"))),
                });
                match came.await {
                    // Who has said good-bye may be closed in the same breath.
                    Err(Fault::Closed(_) | Fault::Ended) if found && last => return Ok(()),
                    // RabbitMQ 3.10 answers DISCONNECT so, without the receipt, if it comes over a websocket.
                    Err(Fault::Closed(words)) if last && words.starts_with(frames::NORMAL) => return Ok(()),
                    came => came?,
                }
                if found {
                    return Ok(());
                }
            }
        };
        timeout(patience, came).await.map_err(|_| Fault::Silent { what, patience })?
    }

    /// Takes a message; [`flush`](Self::flush) sends it.
    pub(super) fn put(&mut self, message: &[u8]) {
        self.carrier.put(message);
    }

    /// Takes a text that was not made beforehand.
    pub(super) fn put_text(&mut self, text: &str) {
        self.carrier.put_text(text);
    }

    /// Sends what can be sent at once; see [`Carrier::flush`].
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        self.carrier.flush()
    }

    /// Bytes that have not gone.
    pub(super) fn backlog(&self) -> usize {
        self.carrier.backlog()
    }

    /// Gives back memory before a long silence.
    pub(super) fn rest(&mut self) {
        self.carrier.rest();
    }

    /// Waits until something came, which may be nothing but an answer to what was sent, and tells it. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The connection is broken, the server broke the protocol or said ERROR, or whoever is told has had enough.
    pub(super) async fn receive(&mut self, mut hear: impl FnMut(Event<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        let frames = &mut self.frames;
        self.carrier
            .receive(|said| match (said, frames.as_mut()) {
                (Said::Open, _) => hear(Event::Open),
                (Said::Beat, _) => hear(Event::Beat),
                (Said::Text(body), None) => hear(Event::Message { headers: b"", body }),
                (Said::Text(text), Some(frames)) => frames.split(text, &mut hear),
            })
            .await
    }

    /// Leaves, with DISCONNECT and its receipt where STOMP is spoken.
    ///
    /// # Errors
    ///
    /// Something else came, or nothing in time.
    pub(super) async fn leave(mut self) -> Result<(), Fault> {
        if self.frames.is_some() {
            self.carrier.put_text("DISCONNECT\nreceipt:r\n\n\0");
            let receipt = |event: Event<'_>| matches!(event, Event::Receipt(_));
            self.expect("the receipt of DISCONNECT", true, receipt).await?;
        }
        let patience = self.patience;
        let left = timeout(patience, self.carrier.leave()).await;
        left.map_err(|_| Fault::Silent { what: "the end of a connection", patience })
    }
}

/// A message for that transport whose body is the last that stands in the text.
pub(super) fn message(transport: Transport, text: &str, size: usize) -> Message {
    let end = usize::from(text.ends_with('\0'));
    Carrier::message(transport, text, size + end)
}

/// Cuts a stream of texts into STOMP frames, which may end anywhere in them. Bodies hold no NUL here.
#[derive(Debug, Default)]
struct Splitter {
    /// The beginning of a frame whose end has not come.
    begun: Vec<u8>,
}

impl Splitter {
    fn split(&mut self, text: &[u8], hear: &mut impl FnMut(Event<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut rest = text;
        while let Some(end) = memchr(0, rest) {
            let (frame, behind) = rest.split_at_checked(end).unwrap_or_default();
            rest = behind.get(1..).unwrap_or_default();
            if self.begun.is_empty() {
                tell(frame, hear)?;
            } else {
                self.begun.extend_from_slice(frame);
                tell(&self.begun, hear)?;
                self.begun.clear();
            }
        }
        if self.begun.is_empty() {
            // What stands between frames: an end of line is a heart-beat if nothing follows it, and filling if a frame does.
            let trimmed = rest.trim_ascii_start();
            if trimmed.is_empty() && rest.len() == text.len() && !rest.is_empty() {
                return hear(Event::Beat);
            }
            rest = trimmed;
        }
        if self.begun.len() + rest.len() > LARGEST {
            return Err(Fault::TooLarge("a STOMP frame"));
        }
        self.begun.extend_from_slice(rest);
        Ok(())
    }
}

fn tell(frame: &[u8], hear: &mut impl FnMut(Event<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
    let frame = frame.trim_ascii_start();
    let garbage = || Fault::garbage("no STOMP frame", frame);
    let (command, rest) = frame.split_at_checked(memchr(b'\n', frame).ok_or_else(garbage)?).ok_or_else(garbage)?;
    let rest = rest.get(1..).unwrap_or_default();
    let command = command.strip_suffix(b"\r").unwrap_or(command);
    let (headers, body) = match (rest, memmem::find(rest, b"\n\n")) {
        ([b'\n', body @ ..], _) => (rest.get(..0), Some(body)),
        (_, Some(end)) => (rest.get(..end), rest.get(end + 2..)),
        _ => match memmem::find(rest, b"\r\n\r\n") {
            Some(end) => (rest.get(..end), rest.get(end + 4..)),
            None => (rest.get(..0), rest.strip_prefix(b"\r\n")),
        },
    };
    let (Some(headers), Some(body)) = (headers, body) else { return Err(garbage()) };
    match command {
        b"MESSAGE" => hear(Event::Message { headers, body }),
        b"RECEIPT" => hear(Event::Receipt(headers)),
        b"CONNECTED" => hear(Event::Connected),
        b"ERROR" => {
            let words = header(headers, b"message").unwrap_or(body);
            let words: String = String::from_utf8_lossy(words).chars().filter(|c| !c.is_control()).take(100).collect();
            Err(Fault::Refused(words))
        }
        _ => Err(garbage()),
    }
}

/// The first value of a header as it stands in the frame, escaped or not.
pub(super) fn header<'a>(headers: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = headers;
    loop {
        let (line, behind) = rest.split_at_checked(memchr(b'\n', rest).unwrap_or(rest.len()))?;
        if let Some(value) = line.strip_prefix(name).and_then(|line| line.strip_prefix(b":")) {
            return Some(value.strip_suffix(b"\r").unwrap_or(value));
        }
        rest = behind.get(1..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told when these texts come one after the other.
    fn told(texts: &[&str]) -> Result<Vec<String>, Fault> {
        let (mut splitter, mut all) = (Splitter::default(), Vec::new());
        for text in texts {
            splitter.split(text.as_bytes(), &mut |event| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                all.push(match event {
                    Event::Message { headers, body } => format!("{} | {}", text(headers), text(body)),
                    Event::Receipt(headers) => format!("receipt {}", text(headers)),
                    other => format!("{other:?}"),
                });
                Ok(())
            })?;
        }
        Ok(all)
    }

    #[test]
    fn frames_come_whole_wherever_they_are_cut() {
        let stream = "CONNECTED\nversion:1.2\n\n\0\nMESSAGE\nack:7\nx:y\n\nbody\0\n\nRECEIPT\nreceipt-id:r\n\n\0MESSAGE\n\nbare\0";
        let expected = ["Connected", "ack:7\nx:y | body", "receipt receipt-id:r", " | bare"];
        assert_eq!(told(&[stream]).unwrap(), expected);
        for cut in 1..stream.len() {
            let (begin, end) = stream.split_at(cut);
            let told: Vec<_> = told(&[begin, end]).unwrap().into_iter().filter(|event| event != "Beat").collect();
            assert_eq!(told, expected, "cut at {cut}");
        }
        let carriage_returns = "MESSAGE\r\nack:7\r\n\r\nbody\0";
        assert_eq!(told(&[carriage_returns]).unwrap(), ["ack:7 | body"]);
    }

    #[test]
    fn a_line_feed_by_itself_is_a_beat() {
        assert_eq!(told(&["\n", "\r\n", "MESSAGE\n\nx\0\n"]).unwrap(), ["Beat", "Beat", " | x"]);
    }

    #[test]
    fn errors_and_garbage_are_faults() {
        assert_eq!(told(&["ERROR\nmessage:no such queue\n\nlong\0"]), Err(Fault::Refused("no such queue".to_owned())));
        for text in ["\0", "HELLO\n\n\0", "MESSAGE\0", "MESSAGE\nx:y\nbody\0"] {
            assert!(matches!(told(&[text]), Err(Fault::Garbage(_))), "{text:?}");
        }
        let mut splitter = Splitter::default();
        let endless = vec![b'x'; LARGEST + 1];
        assert_eq!(splitter.split(&endless, &mut |_| Ok(())), Err(Fault::TooLarge("a STOMP frame")));
    }

    #[test]
    fn a_header_is_found_by_its_whole_name() {
        let headers = b"back:1\nack:2\nack:3";
        assert_eq!(header(headers, b"ack"), Some(&b"2"[..]));
        assert_eq!(header(headers, b"ac"), None);
        assert_eq!(header(b"", b"ack"), None);
    }
}
