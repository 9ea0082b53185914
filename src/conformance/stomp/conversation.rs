//! A conversation with the server: frames or any bytes are sent, frames are waited for, and whatever comes otherwise ends the check
//! with what was seen, what was wanted, and the transcript.
//!
//! Does not know: which frames a check wants to see.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::carrier::{Came, Kind, Line};
use super::dialect::Claim;
use super::probe::{Probe, message, subscription};
use super::split::{Cut, Received, cut};
use super::transcript::Transcript;
use crate::conformance::Stop;
use crate::stomp::{Command, Frame, Version};
use crate::wire::{Fault, shown};

/// Pieces that are kept to be looked at.
const PIECES: usize = 400;

/// One side of a conversation: ours.
pub(super) struct Conversation<'a> {
    probe: &'a Probe,
    pub line: Line,
    transcript: Transcript,
    speaker: u8,
    version: Version,
    buffer: BytesMut,
    /// Frames that came before the one that was waited for.
    inbox: VecDeque<Received>,
    /// What came, as it came, message by message where there are messages.
    pub pieces: Vec<(Kind, Bytes)>,
    /// What stood between frames.
    pub gaps: Vec<Bytes>,
    ended: Option<String>,
    receipts: usize,
    /// How many bytes came.
    taken: usize,
}

impl<'a> Conversation<'a> {
    pub(super) async fn open(probe: &'a Probe, transcript: Transcript) -> Result<Self, Stop> {
        let line = probe.line().await;
        let line = line.map_err(|fault| Stop::fault(&fault, "a connection"))?;
        Ok(Self::over(probe, line, transcript))
    }

    /// A conversation over a line that is there.
    pub fn over(probe: &'a Probe, line: Line, transcript: Transcript) -> Self {
        let speaker = transcript.speaker();
        Self {
            probe,
            line,
            transcript,
            speaker,
            version: Version::V1_0,
            buffer: BytesMut::new(),
            inbox: VecDeque::new(),
            pieces: Vec::new(),
            gaps: Vec::new(),
            ended: None,
            receipts: 0,
            taken: 0,
        }
    }

    /// Another conversation of the same check, connected in that version.
    ///
    /// # Errors
    ///
    /// The check fails if there is no CONNECTED.
    pub async fn beside(&self, version: Version) -> Result<Self, Stop> {
        let mut other = Self::open(self.probe, self.transcript.clone()).await?;
        other.connect(version).await?;
        Ok(other)
    }

    /// Connects. Gives the CONNECTED.
    ///
    /// # Errors
    ///
    /// The check fails if there is none, and has nothing to look at if the server does not speak the version.
    pub async fn connect(&mut self, version: Version) -> Result<Received, Stop> {
        self.probe.speaks(version)?;
        let connected = self.connect_by(&self.probe.connect_frame(version)).await?;
        self.version = version;
        Ok(connected)
    }

    /// Connects by that frame. What follows is read in the version that CONNECTED names.
    ///
    /// # Errors
    ///
    /// The check fails if there is no CONNECTED.
    pub async fn connect_by(&mut self, frame: &Frame) -> Result<Received, Stop> {
        self.send(frame).await?;
        let connected = self.next("CONNECTED").await?;
        self.demand(connected.frame.command == Command::Connected, || shown(&connected.raw), "CONNECTED")?;
        self.version = connected.frame.headers.get("version").and_then(Version::parse).unwrap_or(Version::V1_0);
        Ok(connected)
    }

    // ---- what is said ----

    /// Sends bytes, whatever they are; over whatever has messages, as one of them. That the server has closed already is no
    /// failure yet: what it said before that will be read.
    ///
    /// # Errors
    ///
    /// The check fails if the server does not read.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Stop> {
        let bytes = bytes.as_ref();
        self.transcript.sent(self.speaker, bytes, self.probe.passcode());
        match self.line.send(bytes).await {
            Ok(()) => Ok(()),
            Err(Fault::Ended(_, how)) => {
                self.note(format!("could not be sent: {how}"));
                Ok(())
            }
            Err(fault) => Err(self.fault(&fault, "a server that takes what is sent")),
        }
    }

    /// Sends a frame.
    ///
    /// # Errors
    ///
    /// As those of [`Conversation::write`].
    pub async fn send(&mut self, frame: &Frame) -> Result<(), Stop> {
        self.write(frame.encode(self.version)).await
    }

    /// Sends a frame and waits until it has taken effect: for its receipt, or for a while where there are no receipts.
    ///
    /// # Errors
    ///
    /// The check fails if the frame is refused.
    pub async fn settle(&mut self, frame: Frame) -> Result<(), Stop> {
        if !self.probe.has(Claim::Receipts) {
            self.send(&frame).await?;
            tokio::time::sleep(self.probe.lull()).await;
            return Ok(());
        }
        self.receipts += 1;
        let receipt = format!("settled-{}", self.receipts);
        self.send(&frame.with("receipt", receipt.as_str())).await?;
        self.receipt(&receipt).await
    }

    /// Subscribes, in mode `auto`.
    ///
    /// # Errors
    ///
    /// The check fails if that is refused.
    pub async fn subscribe(&mut self, id: &str, destination: &str) -> Result<(), Stop> {
        let frame = self.to_queue(subscription(id, destination), destination);
        self.settle(frame).await
    }

    /// Subscribes in that mode.
    ///
    /// # Errors
    ///
    /// The check fails if that is refused.
    pub async fn subscribe_in(&mut self, mode: &str, id: &str, destination: &str) -> Result<(), Stop> {
        let frame = self.to_queue(subscription(id, destination).with("ack", mode), destination);
        self.settle(frame).await
    }

    /// Sends a message and does not wait.
    ///
    /// # Errors
    ///
    /// As those of [`Conversation::write`].
    pub async fn publish(&mut self, destination: &str, body: impl Into<Bytes>) -> Result<(), Stop> {
        let frame = self.to_queue(message(destination, body), destination);
        self.send(&frame).await
    }

    /// Sends a message and waits until it has arrived.
    ///
    /// # Errors
    ///
    /// The check fails if that is refused.
    pub async fn published(&mut self, destination: &str, body: impl Into<Bytes>) -> Result<(), Stop> {
        let frame = self.to_queue(message(destination, body), destination);
        self.settle(frame).await
    }

    /// The frame with what the dialect wants of frames to that destination.
    pub fn to_queue(&self, mut frame: Frame, destination: &str) -> Frame {
        if destination.starts_with("/queue/") {
            for (name, value) in self.probe.dialect.queue_headers() {
                frame = frame.with(*name, *value);
            }
        }
        frame
    }

    /// Says goodbye and waits for the RECEIPT, or for the end if there is none, so that nothing of this conversation is left at
    /// the server.
    ///
    /// # Errors
    ///
    /// The check fails if neither comes, or an ERROR.
    pub async fn leave(mut self) -> Result<(), Stop> {
        self.send(&Frame::new(Command::Disconnect).with("receipt", "goodbye")).await?;
        let wanted = "RECEIPT for the DISCONNECT, or the end";
        while let Some(received) = self.answer(wanted).await? {
            self.demand(received.frame.command != Command::Error, || shown(&received.raw), wanted)?;
            if received.frame.command == Command::Receipt {
                break;
            }
        }
        Ok(())
    }

    // ---- what is heard ----

    /// The next frame, whichever it is.
    ///
    /// # Errors
    ///
    /// The check fails if none comes.
    pub async fn next(&mut self, wanted: &str) -> Result<Received, Stop> {
        match self.frame(self.probe.patience(), wanted).await? {
            Some(received) => Ok(received),
            None => Err(self.fail(self.how_it_ended(), wanted)),
        }
    }

    /// The next frame, or `None` at the end.
    ///
    /// # Errors
    ///
    /// The check fails if neither comes.
    pub async fn answer(&mut self, wanted: &str) -> Result<Option<Received>, Stop> {
        self.frame(self.probe.patience(), wanted).await
    }

    /// The next frame that fits; MESSAGEs and RECEIPTs before it are kept for later.
    ///
    /// # Errors
    ///
    /// The check fails if none comes, or an ERROR.
    pub async fn pick(&mut self, wanted: &str, fits: impl Fn(&Frame) -> bool) -> Result<Received, Stop> {
        if let Some(at) = self.inbox.iter().position(|received| fits(&received.frame))
            && let Some(received) = self.inbox.remove(at)
        {
            return Ok(received);
        }
        let mut kept = VecDeque::new();
        std::mem::swap(&mut kept, &mut self.inbox);
        let found = loop {
            let received = self.next(wanted).await?;
            if fits(&received.frame) {
                break received;
            }
            if matches!(received.frame.command, Command::Error | Command::Connected) {
                return Err(self.fail(shown(&received.raw), wanted));
            }
            kept.push_back(received);
        };
        self.inbox = kept;
        Ok(found)
    }

    /// The next MESSAGE.
    ///
    /// # Errors
    ///
    /// The check fails if none comes.
    pub async fn message(&mut self, wanted: &str) -> Result<Received, Stop> {
        self.pick(wanted, |frame| frame.command == Command::Message).await
    }

    /// The next MESSAGE, which must have that body.
    ///
    /// # Errors
    ///
    /// The check fails if it has not.
    pub async fn body(&mut self, body: impl AsRef<[u8]>) -> Result<Received, Stop> {
        let body = body.as_ref();
        let wanted = format!("a MESSAGE with the body {}", shown(body));
        let received = self.message(&wanted).await?;
        self.demand(received.frame.body == body, || format!("the body {}", shown(&received.frame.body)), &wanted)?;
        Ok(received)
    }

    /// The next MESSAGEs, which must have these bodies: in that order where the server claims to keep it.
    ///
    /// # Errors
    ///
    /// The check fails if they have not.
    pub async fn bodies(&mut self, bodies: &[&str]) -> Result<(), Stop> {
        let mut wanted: Vec<_> = bodies.iter().map(|body| Bytes::copy_from_slice(body.as_bytes())).collect();
        let mut seen = Vec::new();
        for _ in bodies {
            seen.push(self.message(&format!("MESSAGEs with the bodies {bodies:?}")).await?.frame.body);
        }
        if !self.probe.has(Claim::Order) {
            wanted.sort();
            seen.sort();
        }
        self.demand(seen == wanted, || format!("the bodies {seen:?}"), &format!("the bodies {bodies:?}"))
    }

    /// The RECEIPT with that id, however many frames come before it.
    ///
    /// # Errors
    ///
    /// The check fails if it does not come.
    pub async fn receipt(&mut self, id: &str) -> Result<(), Stop> {
        let wanted = format!("RECEIPT with receipt-id:{id}");
        let fits = |frame: &Frame| frame.command == Command::Receipt && frame.headers.get("receipt-id") == Some(id);
        self.pick(&wanted, fits).await?;
        Ok(())
    }

    /// An ERROR, which must be the next thing that comes.
    ///
    /// # Errors
    ///
    /// The check fails if something else comes.
    pub async fn error(&mut self, wanted: &str) -> Result<Received, Stop> {
        let received = self.next(wanted).await?;
        self.demand(received.frame.command == Command::Error, || shown(&received.raw), wanted)?;
        Ok(received)
    }

    /// A refusal: an ERROR, which is given, or the end. That the end follows the ERROR is the demand of another check.
    ///
    /// # Errors
    ///
    /// The check fails if neither comes, or something else.
    pub async fn refused(&mut self, wanted: &str) -> Result<Option<Received>, Stop> {
        match self.frame(self.probe.patience(), wanted).await? {
            None => Ok(None),
            Some(received) if received.frame.command == Command::Error => Ok(Some(received)),
            Some(received) => Err(self.fail(shown(&received.raw), wanted)),
        }
    }

    /// The end, and nothing before it.
    ///
    /// # Errors
    ///
    /// The check fails if a frame comes, or the end does not.
    pub async fn end(&mut self, wanted: &str) -> Result<(), Stop> {
        match self.frame(self.probe.patience(), wanted).await? {
            None => Ok(()),
            Some(received) => Err(self.fail(shown(&received.raw), wanted)),
        }
    }

    /// That nothing comes for a while, neither a frame nor the end.
    ///
    /// # Errors
    ///
    /// The check fails if something comes.
    pub async fn silence(&mut self, wanted: &str) -> Result<(), Stop> {
        self.silence_for(self.probe.lull(), wanted).await
    }

    /// That nothing comes for so long. Heart-beats are nothing.
    ///
    /// # Errors
    ///
    /// The check fails if something comes.
    pub async fn silence_for(&mut self, long: Duration, wanted: &str) -> Result<(), Stop> {
        if let Some(received) = self.inbox.pop_front() {
            return Err(self.fail(shown(&received.raw), wanted));
        }
        let until = Instant::now() + long;
        loop {
            if let Some(received) = self.take(wanted)? {
                return Err(self.fail(shown(&received.raw), wanted));
            }
            if self.ended.is_some() {
                return Err(self.fail(self.how_it_ended(), wanted));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            match self.fill(left).await {
                Ok(()) | Err(Fault::Late(..)) => {}
                Err(fault) => return Err(self.fault(&fault, wanted)),
            }
        }
    }

    /// Reads once, whatever comes. Whether something came.
    ///
    /// # Errors
    ///
    /// The check fails if what came is no STOMP.
    pub async fn listen(&mut self, patience: Duration, wanted: &str) -> Result<bool, Stop> {
        let come = match self.fill(patience).await {
            Ok(()) => true,
            Err(Fault::Late(..)) => false,
            Err(fault) => return Err(self.fault(&fault, wanted)),
        };
        while let Some(received) = self.take(wanted)? {
            self.inbox.push_back(received);
        }
        Ok(come)
    }

    /// How long it is listened whether something comes that should not.
    pub fn lull(&self) -> Duration {
        self.probe.lull()
    }

    /// The transcript that others of the same check may write to as well.
    pub fn transcript(&self) -> Transcript {
        self.transcript.clone()
    }

    /// How it ended, if it has.
    pub fn has_ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }

    /// The frames that came and nobody asked for.
    pub fn unasked(&mut self) -> VecDeque<Received> {
        std::mem::take(&mut self.inbox)
    }

    // ---- what comes of it ----

    /// Ends the check unless that holds.
    ///
    /// # Errors
    ///
    /// The check fails.
    pub fn demand(&self, holds: bool, seen: impl FnOnce() -> String, wanted: &str) -> Result<(), Stop> {
        match holds {
            true => Ok(()),
            false => Err(self.fail(seen(), wanted)),
        }
    }

    /// Ends the check unless a header of that frame has that value.
    ///
    /// # Errors
    ///
    /// The check fails.
    pub fn header(&self, received: &Received, name: &str, value: &str) -> Result<(), Stop> {
        let seen = received.frame.headers.get(name);
        let tell = || match seen {
            Some(seen) => format!("{name}:{} in {}", shown(seen), shown(&received.raw)),
            None => format!("no {name} in {}", shown(&received.raw)),
        };
        self.demand(seen == Some(value), tell, &format!("{name}:{}", shown(value)))
    }

    /// The value of a header that must be there.
    ///
    /// # Errors
    ///
    /// The check fails.
    pub fn value(&self, received: &Received, name: &str) -> Result<String, Stop> {
        match received.frame.headers.get(name).filter(|value| !value.is_empty()) {
            Some(value) => Ok(value.to_owned()),
            None => Err(self.fail(shown(&received.raw), format!("a header {name}"))),
        }
    }

    /// The failure, with the transcript.
    pub fn fail(&self, seen: impl Into<String>, wanted: impl Into<String>) -> Stop {
        let transcript = self.transcript.show(self.probe.carrier, &self.probe.target);
        Stop::failed(seen, wanted).reproduced_by(transcript)
    }

    pub fn note(&self, text: impl Into<String>) {
        self.transcript.note(self.speaker, text);
    }

    fn fault(&self, fault: &Fault, wanted: &str) -> Stop {
        self.fail(fault.to_string(), wanted)
    }

    fn how_it_ended(&self) -> String {
        format!("the end: {}", self.ended.as_deref().unwrap_or("unknown"))
    }

    /// The next frame, or `None` at the end.
    async fn frame(&mut self, patience: Duration, wanted: &str) -> Result<Option<Received>, Stop> {
        if let Some(received) = self.inbox.pop_front() {
            return Ok(Some(received));
        }
        let until = Instant::now() + patience;
        loop {
            if let Some(received) = self.take(wanted)? {
                return Ok(Some(received));
            }
            if self.ended.is_some() {
                return Ok(None);
            }
            // A server that sends a byte now and then would be waited for without end.
            let left = until.saturating_duration_since(Instant::now());
            match self.fill(left).await {
                Ok(()) => {}
                Err(Fault::Late(..)) => {
                    let seen = match self.buffer.is_empty() {
                        true => format!("nothing within {patience:?}"),
                        false => format!("within {patience:?} no more than {}", shown(&self.buffer)),
                    };
                    return Err(self.fail(seen, wanted));
                }
                Err(fault) => return Err(self.fault(&fault, wanted)),
            }
        }
    }

    /// One read.
    async fn fill(&mut self, patience: Duration) -> Result<(), Fault> {
        if self.ended.is_some() {
            return Err(Fault::Late("byte", patience));
        }
        match self.line.receive(patience).await? {
            Came::Bytes(kind, bytes) => {
                self.taken += bytes.len();
                if self.taken > self.probe.most() {
                    return Err(Fault::Endless(self.probe.most()));
                }
                self.transcript.came(self.speaker, &bytes);
                self.buffer.extend_from_slice(&bytes);
                if self.pieces.len() < PIECES {
                    self.pieces.push((kind, bytes));
                }
            }
            Came::End(how) => {
                self.note(format!("the end: {how}"));
                self.ended = Some(how);
            }
        }
        Ok(())
    }

    /// The next frame of what has been read.
    fn take(&mut self, wanted: &str) -> Result<Option<Received>, Stop> {
        loop {
            match cut(&mut self.buffer, self.version, self.probe.most()) {
                Ok(Cut::Frame(received)) => {
                    return Ok(Some(received));
                }
                Ok(Cut::Gap(gap)) => self.gaps.push(gap),
                Ok(Cut::More) => return Ok(None),
                Err(why) => return Err(self.fail(why, wanted)),
            }
        }
    }
}
