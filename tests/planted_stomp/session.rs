//! One conversation: what each frame of the client does, and what it is answered.
//!
//! Does not know: bytes, and whether they come over TCP or a websocket.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;
use towpath::stomp::{Command, Frame, Headers, Version};

use super::broker::{Broker, Message, Mode, Out, Subscription};
use super::defects::Defect;

/// Who may connect.
pub const LOGIN: &str = "user";
pub const PASSCODE: &str = "secret";
/// The shortest heart-beat interval, each way.
const BEAT: u64 = 500;
/// How long a connection may be without CONNECT.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a frame fails.
pub struct Refusal {
    message: &'static str,
    versions: bool,
}

type Done = Result<(), Refusal>;

fn refuse<T>(message: &'static str) -> Result<T, Refusal> {
    Err(Refusal { message, versions: false })
}

pub struct Session {
    id: u64,
    broker: Arc<Mutex<Broker>>,
    defect: Option<Defect>,
    give: UnboundedSender<Out>,
    pub version: Option<Version>,
    /// The version that the subprotocol stands for.
    pub subprotocol: Option<Version>,
    started: Instant,
    pub heard: Instant,
    sent: Instant,
    sends: Option<Duration>,
    wants: Option<Duration>,
    used: HashSet<String>,
    /// Frames that wait for the end of a transaction that is not theirs.
    waiting: Vec<Frame>,
    late_receipt: Option<String>,
    /// Nothing more is heard.
    pub over: bool,
    /// The end comes when all that was read is done.
    ending: bool,
    mute: bool,
    skip: bool,
    /// What is read at once has a DISCONNECT in it, or a frame that will fail.
    pub leaves: bool,
    pub fails: bool,
}

impl Session {
    pub fn new(broker: &Arc<Mutex<Broker>>, give: UnboundedSender<Out>) -> Self {
        let mut shared = broker.lock().unwrap();
        let (id, defect) = (shared.number(), shared.defect);
        shared.everybody.push(give.clone());
        drop(shared);
        let now = Instant::now();
        Self {
            id,
            broker: Arc::clone(broker),
            defect,
            give,
            version: None,
            subprotocol: None,
            started: now,
            heard: now,
            sent: now,
            sends: None,
            wants: None,
            used: HashSet::new(),
            waiting: Vec::new(),
            late_receipt: None,
            over: false,
            ending: false,
            mute: false,
            skip: false,
            leaves: false,
            fails: false,
        }
    }

    pub fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn broker(&self) -> MutexGuard<'_, Broker> {
        self.broker.lock().unwrap()
    }

    /// Takes a frame.
    pub fn handle(&mut self, frame: Frame) {
        if self.over || std::mem::take(&mut self.skip) {
            return;
        }
        let receipt = frame.headers.get("receipt").map(str::to_owned);
        let command = frame.command;
        let done = self.step(frame);
        match done {
            Ok(()) => self.receipt(command, receipt),
            Err(refusal) => return self.fail(&refusal, receipt.as_deref()),
        }
        if command == Command::Disconnect {
            match self.has(Defect::HearsAfterDisconnect) {
                true => self.ending = true,
                false => self.end(),
            }
        }
    }

    /// All that was read at once is done.
    pub fn settled(&mut self) {
        if std::mem::take(&mut self.ending) {
            self.end();
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        if self.over {
            return;
        }
        if self.version.is_none() && now > self.started + CONNECT_TIMEOUT {
            return self.fail(&Refusal { message: "no CONNECT in time", versions: false }, None);
        }
        let unasked = self.has(Defect::BeatsUnasked) && self.version.is_some();
        let sends = self.sends.or(unasked.then_some(Duration::from_millis(BEAT)));
        if sends.is_some_and(|every| now > self.sent + every * 3 / 5) && !self.has(Defect::NeverBeats) {
            self.write(Bytes::from_static(if self.has(Defect::BeatIsNul) { b"\0" } else { b"\n" }));
        }
        if self.wants.is_some_and(|every| now > self.heard + every * 3) && !self.has(Defect::NeverCuts) {
            self.fail(&Refusal { message: "heart-beat missing", versions: false }, None);
        }
    }

    /// The connection is gone.
    pub fn gone(&mut self) {
        let commit = self.has(Defect::LossCommits);
        self.leave(commit);
    }

    /// Ends it with an ERROR.
    pub fn fail(&mut self, refusal: &Refusal, receipt: Option<&str>) {
        if self.has(Defect::ReceiptForFailure) {
            self.receipt(Command::Send, receipt.map(str::to_owned));
        }
        let colon = self.has(Defect::ColonInMessage);
        let mut frame = Frame::new(Command::Error);
        if !self.has(Defect::NoMessage) {
            frame = frame.with(
                "message",
                if colon { format!("error: {}", refusal.message) } else { refusal.message.to_owned() },
            );
        }
        if let Some(receipt) = receipt.filter(|_| !self.has(Defect::NoReceiptId)) {
            frame = frame.with("receipt-id", receipt);
        }
        if refusal.versions && !self.has(Defect::NoVersionList) {
            frame = frame.with("version", "1.0,1.1,1.2");
        }
        if !self.has(Defect::NoErrorType) {
            frame = frame.with("content-type", "text/plain");
        }
        self.answer(&frame.with_body(format!("The server says: {}\n", refusal.message)));
        let stays = self.has(Defect::StaysAfterError)
            || self.has(Defect::StaysAfterError11) && self.version == Some(Version::V1_1)
            || self.has(Defect::StaysAfterWrongPasscode) && refusal.message == "wrong login";
        if self.has(Defect::FaultEndsAll) {
            for other in &self.broker().everybody {
                let _ = other.send(Out::End);
            }
        }
        if stays {
            return;
        }
        match self.defect {
            Some(Defect::GoesOnAfterError) => self.ending = true,
            Some(Defect::DoesTheRest) => (self.ending, self.mute) = (true, true),
            _ => self.end(),
        }
    }

    /// A refusal of what is no frame.
    pub fn garbage(&mut self, message: &'static str) {
        if self.has(Defect::GarbageEndsAll) {
            for other in &self.broker().everybody {
                let _ = other.send(Out::End);
            }
        }
        self.fail(&Refusal { message, versions: false }, None);
    }

    fn end(&mut self) {
        self.over = true;
        self.leave(false);
        let stays = self.has(Defect::StaysAfterDisconnect);
        if !stays {
            let _ = self.give.send(Out::End);
        }
    }

    fn leave(&mut self, commit: bool) {
        for key in self.open_transactions() {
            let frames = self.broker().transactions.remove(&key).unwrap_or_default();
            if commit {
                self.carry_out(frames);
            }
        }
        let id = self.id;
        self.broker().end(|subscription| subscription.session == id);
    }

    fn write(&mut self, bytes: Bytes) {
        if !self.mute {
            self.sent = Instant::now();
            let _ = self.give.send(Out::Bytes(bytes));
        }
    }

    fn answer(&mut self, frame: &Frame) {
        let version = self.version.unwrap_or(Version::V1_0);
        let bytes = self.broker().encode(frame, version);
        self.write(bytes);
    }

    fn receipt(&mut self, command: Command, receipt: Option<String>) {
        let unasked = self.has(Defect::ReceiptUnasked) && command == Command::Send;
        let Some(mut id) = receipt.or(unasked.then(|| "unasked".to_owned())) else { return };
        let without = match self.defect {
            Some(Defect::NoReceiptForSend) => command == Command::Send,
            Some(Defect::NoReceiptForUnsubscribe) => command == Command::Unsubscribe,
            Some(Defect::NoReceiptForAbort) => command == Command::Abort,
            Some(Defect::NoReceiptForNack) => command == Command::Nack,
            Some(Defect::NoReceiptForDisconnect) => command == Command::Disconnect,
            Some(Defect::ReceiptsLost) => self.leaves && command == Command::Send,
            _ => false,
        };
        if without || matches!(command, Command::Connect | Command::Stomp) {
            return;
        }
        if self.has(Defect::ReceiptChanged) {
            id = id.to_lowercase().chars().filter(char::is_ascii).collect();
        }
        if self.has(Defect::ReceiptsOvertake) && command == Command::Send {
            self.late_receipt = Some(id);
            return;
        }
        let mut frame = Frame::receipt(id);
        if self.has(Defect::ReceiptWithBody) {
            frame = frame.with_body("done");
        }
        self.answer(&frame);
        if let Some(late) = self.late_receipt.take() {
            self.answer(&Frame::receipt(late));
        }
    }

    // ---- what frames do ----

    fn step(&mut self, frame: Frame) -> Done {
        let Some(version) = self.version else {
            return match frame.command {
                Command::Stomp if self.has(Defect::StompUnknown) => refuse("unknown command"),
                Command::Connect | Command::Stomp => self.connect(&frame),
                Command::Send if self.has(Defect::SendsBeforeConnect) => self.send(frame),
                _ => refuse("not connected"),
            };
        };
        if !frame.body.is_empty() && frame.command != Command::Send {
            self.skip = self.has(Defect::BodyConfuses);
            return if self.skip { Ok(()) } else { refuse("body not allowed") };
        }
        match frame.command {
            Command::Connect | Command::Stomp if self.has(Defect::ConnectsTwice) => self.connect(&frame),
            Command::Send => self.send(frame),
            Command::Subscribe => self.subscribe(&frame, version),
            Command::Unsubscribe => self.unsubscribe(&frame, version),
            Command::Nack if version == Version::V1_0 && !self.has(Defect::NackIn10) => refuse("unknown command"),
            Command::Nack if self.has(Defect::NackUnknown) => refuse("unknown command"),
            Command::Ack | Command::Nack => self.acknowledge(frame, version),
            Command::Begin => self.begin(&frame),
            Command::Commit | Command::Abort => self.finish(&frame),
            Command::Disconnect if self.has(Defect::DisconnectFails) => refuse("unknown command"),
            Command::Disconnect => {
                let commit = self.has(Defect::DisconnectCommits);
                self.leave(commit);
                Ok(())
            }
            _ => refuse("command not allowed"),
        }
    }

    fn connect(&mut self, frame: &Frame) -> Done {
        let headers = &frame.headers;
        if self.has(Defect::HostRequired) && headers.get("host").is_none() && headers.get("accept-version").is_some() {
            return refuse("no host");
        }
        if self.has(Defect::HostStrict) && headers.get("host").is_some_and(|host| host != "/") {
            return refuse("unknown host");
        }
        if self.has(Defect::ConnectDecoded) && headers.iter().any(|(_, value)| value.contains('\\')) {
            return refuse("undefined escape");
        }
        let login = (headers.get("login"), headers.get("passcode"));
        if login != (Some(LOGIN), Some(PASSCODE)) {
            return refuse("wrong login");
        }
        let version = self.choose(headers.get("accept-version"))?;
        let header = headers.get("heart-beat");
        let beats = self.beats(header)?;
        self.version = Some(version);
        let mut connected = Frame::new(Command::Connected).with("version", version.as_str());
        let number = if self.has(Defect::OneSession) { 0 } else { self.id };
        connected = connected.with(
            "session",
            match self.defect {
                Some(Defect::ConnectedEscaped) => format!("host\\c{number}"),
                Some(Defect::SessionWithColons) => format!("ID:host:{number}"),
                _ => format!("session-{number}"),
            },
        );
        connected =
            connected.with("server", if self.has(Defect::NamelessServer) { "/1.0" } else { "planted/1.0 (a test)" });
        if !self.has(Defect::NoHeartBeatHeader) {
            connected = connected.with("heart-beat", beats);
        }
        if self.has(Defect::LineFeedFirst) {
            self.write(Bytes::from_static(b"\n"));
        }
        self.answer(&connected);
        Ok(())
    }

    fn choose(&self, list: Option<&str>) -> Result<Version, Refusal> {
        if let Some(version) = self.subprotocol.filter(|_| self.has(Defect::SubprotocolIsVersion)) {
            return Ok(version);
        }
        let Some(list) = list else {
            return if self.has(Defect::VersionRequired) { refuse("no accept-version") } else { Ok(Version::V1_0) };
        };
        let blank = self.has(Defect::BlankInVersion);
        let names: Vec<_> = list.split(',').map(|name| if blank { name } else { name.trim() }).collect();
        let known: Vec<_> = names.iter().filter_map(|name| Version::parse(name)).collect();
        let none = Refusal { message: "no common version", versions: true };
        if self.has(Defect::UnknownVersionFatal) && known.len() < names.len() {
            return Err(none);
        }
        let first = self.has(Defect::FirstVersion);
        let chosen = if first { known.first().copied() } else { known.iter().max().copied() };
        match (chosen, names.len()) {
            (Some(Version::V1_0), 1) if self.has(Defect::Gives11For10) => Ok(Version::V1_1),
            (Some(Version::V1_1), 1) if self.has(Defect::Gives12For11) => Ok(Version::V1_2),
            (Some(Version::V1_2), 1) if self.has(Defect::Gives11For12) => Ok(Version::V1_1),
            (Some(version), _) => Ok(version),
            (None, _) if self.has(Defect::AnyVersion) => Ok(Version::V1_2),
            (None, _) => Err(none),
        }
    }

    /// Agrees on heart-beats, and gives what CONNECTED says of them.
    fn beats(&mut self, header: Option<&str>) -> Result<String, Refusal> {
        let header = header.unwrap_or("0,0");
        let numbers: Vec<_> = header.split(',').map(str::parse::<u64>).collect();
        let (can, wants) = match &numbers[..] {
            [Ok(can), Ok(wants)] => (*can, *wants),
            _ if self.has(Defect::NonsenseBeats) || self.has(Defect::MirrorsBeats) => (0, 0),
            _ => return refuse("malformed heart-beat"),
        };
        let interval = |number: u64| (number > 0).then(|| Duration::from_millis(number.max(BEAT)));
        (self.sends, self.wants) = (interval(wants), interval(can));
        Ok(if self.has(Defect::MirrorsBeats) { header.to_owned() } else { format!("{BEAT},{BEAT}") })
    }

    fn send(&mut self, frame: Frame) -> Done {
        if self.has(Defect::DropsOnLeave) && self.leaves || self.has(Defect::DropsWhatIsBefore) && self.fails {
            // One that would have failed fails still.
            if frame.headers.get("destination").is_some() {
                return Ok(());
            }
        }
        if frame.headers.get("destination").is_none_or(str::is_empty) {
            return if self.has(Defect::SendToNobodyIgnored) { Ok(()) } else { refuse("no destination") };
        }
        let length = frame.headers.get("content-length");
        if self.has(Defect::LengthRequired) && length.is_none() && !frame.body.is_empty() {
            return refuse("no content-length");
        }
        if self.has(Defect::ZeroLengthFatal) && length == Some("0") {
            return refuse("wrong content-length");
        }
        if let Some(transaction) = frame.headers.get("transaction") {
            let key = self.key(transaction);
            return self.within(key, frame);
        }
        if self.has(Defect::HoldsAll) && !self.open_transactions().is_empty() {
            self.waiting.push(frame);
            return Ok(());
        }
        self.publish(frame);
        Ok(())
    }

    /// Puts a frame into a transaction.
    fn within(&mut self, key: String, frame: Frame) -> Done {
        let at_once = match frame.command {
            Command::Send => self.has(Defect::SendsAtOnce),
            _ => self.has(Defect::AcksAtOnce),
        };
        if at_once {
            self.carry_out(vec![frame]);
            return Ok(());
        }
        let mut broker = self.broker();
        match broker.transactions.get_mut(&key) {
            Some(frames) => frames.push(frame),
            None if self.has(Defect::UnknownTransactionSends) => {}
            None => return refuse("unknown transaction"),
        }
        Ok(())
    }

    fn publish(&mut self, frame: Frame) {
        let destination = frame.headers.get("destination").unwrap_or_default().to_owned();
        let text = self.has(Defect::TextOnly);
        let body = if text { String::from_utf8_lossy(&frame.body).into_owned().into() } else { frame.body };
        let mut headers = frame.headers;
        let (receipt, forged) =
            (headers.get("receipt").map(str::to_owned), headers.get("subscription").map(str::to_owned));
        headers.keep_for_message();
        if self.has(Defect::UserHeadersDropped) {
            headers.retain(|name, _| name == "content-type");
        }
        if self.has(Defect::ContentTypeDropped) {
            headers.remove("content-type");
        }
        // Of repeated ones the first is the header.
        let mut seen = HashSet::new();
        headers.retain(|name, _| seen.insert(name.to_owned()));
        if let Some(receipt) = receipt.filter(|_| self.has(Defect::ReceiptPassedOn)) {
            headers.push("receipt", receipt);
        }
        if let Some(forged) = forged.filter(|_| self.has(Defect::Forged)) {
            headers.push("subscription", forged);
        }
        self.broker().publish(Message { destination, headers, body });
    }

    fn subscribe(&mut self, frame: &Frame, version: Version) -> Done {
        let id = frame.headers.get("id").filter(|id| !id.is_empty()).map(str::to_owned);
        let Some(destination) = frame.headers.get("destination").filter(|text| !text.is_empty()).map(str::to_owned)
        else {
            let ignored = self.has(Defect::SubscribeToNothingIgnored);
            return if ignored { Ok(()) } else { refuse("no destination") };
        };
        let needed = version != Version::V1_0 && !self.has(Defect::NoIdNeeded);
        if id.is_none() && (needed || self.has(Defect::IdNeeded10)) {
            return refuse("no id");
        }
        let plain = |id: &str| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if self.has(Defect::PlainIdsOnly) && id.as_deref().is_some_and(|id| !plain(id)) {
            return refuse("malformed id");
        }
        let session = self.id;
        let taken = |other: &Subscription| other.session == session && other.id == id && id.is_some();
        let taken = self.broker().subscriptions.iter().any(taken);
        let again = self.has(Defect::IdUsedUp) && id.as_ref().is_some_and(|id| !self.used.insert(id.clone()));
        if taken && !self.has(Defect::DuplicateTaken) || again {
            return refuse("id in use");
        }
        let mode = match frame.headers.get("ack") {
            None | Some("auto") => Mode::Auto,
            Some("client") => Mode::Client,
            Some("client-individual") => Mode::Individual,
            Some(_) if self.has(Defect::UnknownModeIsAuto) => Mode::Auto,
            Some(_) => return refuse("unknown ack mode"),
        };
        let give = self.give.clone();
        let subscription = Subscription { session, id, destination, mode, version, give, sent: 0 };
        self.broker().subscribe(subscription);
        Ok(())
    }

    fn unsubscribe(&mut self, frame: &Frame, version: Version) -> Done {
        if self.has(Defect::UnsubscribeIgnored) {
            return Ok(());
        }
        let id = frame.headers.get("id");
        let destination = frame.headers.get("destination").filter(|_| version == Version::V1_0);
        if id.is_none() && destination.is_none() {
            let ignored = self.has(Defect::UnsubscribeWithoutIdIgnored);
            return if ignored { Ok(()) } else { refuse("no id") };
        }
        let session = self.id;
        let fits = |other: &Subscription| {
            other.session == session
                && if id.is_some() { other.id.as_deref() == id } else { destination == Some(&other.destination) }
        };
        let found = self.broker().subscriptions.iter().find(|other| fits(other)).map(|other| other.destination.clone());
        let Some(found) = found else {
            return if self.has(Defect::UnknownUnsubscribeIgnored) { Ok(()) } else { refuse("unknown subscription") };
        };
        let all = self.has(Defect::UnsubscribesAll);
        self.broker().end(|other| fits(other) || all && other.session == session && other.destination == found);
        Ok(())
    }

    fn acknowledge(&mut self, frame: Frame, version: Version) -> Done {
        let by_ack = match version {
            Version::V1_2 => true,
            Version::V1_1 => self.has(Defect::AckIdIn11),
            Version::V1_0 => self.has(Defect::AckIdIn10),
        };
        if frame.headers.get(if by_ack { "id" } else { "message-id" }).is_none() {
            return if self.has(Defect::AckWithoutIdIgnored) { Ok(()) } else { refuse("no id") };
        }
        if let Some(transaction) = frame.headers.get("transaction") {
            let key = self.key(transaction);
            return self.within(key, frame);
        }
        match self.acknowledged(&frame.headers) {
            true => Ok(()),
            false if self.has(Defect::UnknownAckIgnored) => Ok(()),
            false => refuse("unknown message"),
        }
    }

    fn acknowledged(&self, headers: &Headers) -> bool {
        let (id, message_id) = (headers.get("id"), headers.get("message-id"));
        self.broker().acknowledge(self.id, |ack, message| match id {
            Some(id) => id == ack,
            None => message_id == Some(message),
        })
    }

    // ---- transactions ----

    fn key(&self, transaction: &str) -> String {
        match self.has(Defect::TransactionsShared) {
            true => transaction.to_owned(),
            false => format!("{}/{transaction}", self.id),
        }
    }

    fn open_transactions(&self) -> Vec<String> {
        let prefix = format!("{}/", self.id);
        self.broker().transactions.keys().filter(|key| key.starts_with(&prefix)).cloned().collect()
    }

    fn begin(&mut self, frame: &Frame) -> Done {
        let Some(transaction) = frame.headers.get("transaction") else {
            return if self.has(Defect::BeginWithoutIdIgnored) { Ok(()) } else { refuse("no transaction") };
        };
        let key = self.key(transaction);
        if self.has(Defect::TransactionUsedUp) && !self.used.insert(key.clone()) {
            return refuse("transaction in use");
        }
        let lenient = self.has(Defect::BeginsTwice) || self.has(Defect::TransactionsShared);
        let mut broker = self.broker();
        if broker.transactions.contains_key(&key) && !lenient {
            return refuse("transaction in use");
        }
        broker.transactions.entry(key).or_default();
        Ok(())
    }

    fn finish(&mut self, frame: &Frame) -> Done {
        let Some(transaction) = frame.headers.get("transaction") else { return refuse("no transaction") };
        let commit = frame.command == Command::Commit;
        let key = self.key(transaction);
        let frames = self.broker().transactions.remove(&key);
        let ignored = self.has(if commit { Defect::UnknownCommitIgnored } else { Defect::UnknownAbortIgnored });
        let frames = match frames {
            Some(frames) => frames,
            None if ignored => return Ok(()),
            None => return refuse("unknown transaction"),
        };
        if commit || self.has(Defect::AbortCommits) {
            self.carry_out(frames);
        }
        if self.has(Defect::EndsAllTransactions) {
            for key in self.open_transactions() {
                self.broker().transactions.remove(&key);
            }
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.carry_out(waiting);
        Ok(())
    }

    fn carry_out(&mut self, frames: Vec<Frame>) {
        for frame in frames {
            match frame.command {
                Command::Send => self.publish(frame),
                _ => {
                    self.acknowledged(&frame.headers);
                }
            }
        }
    }
}
