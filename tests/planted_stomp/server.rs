//! A small STOMP server over TCP or raw websockets, for one test. It is right unless a defect is planted: each is one switch. What is
//! wrong with bytes and lines is here; what is wrong with frames is in the session, and with messages in the broker.
//!
//! Does not know: the checks.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use towpath::stomp::{Command, Frame, Headers, Input, Limits, Parser, Version, Violation};

use super::broker::{Broker, Out};
use super::defects::Defect;
use super::session::Session;
use super::websocket::WebSocket;

/// How often is looked at the time.
const TICK: Duration = Duration::from_millis(20);

/// A running server. It stops when this is dropped.
pub struct Server {
    pub address: SocketAddr,
    _running: JoinSet<()>,
}

/// A connection of either kind.
enum Wire {
    Tcp(TcpStream),
    WebSocket(WebSocket),
}

impl Server {
    /// Starts one with that defect, or without any.
    pub async fn start(defect: Option<Defect>, websocket: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let broker = Arc::new(Mutex::new(Broker::new(defect)));
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let broker = Arc::clone(&broker);
                connections.spawn(async move {
                    let wire = match websocket {
                        true => WebSocket::accept(stream, defect).await.map(Wire::WebSocket),
                        false => Some(Wire::Tcp(stream)),
                    };
                    if let Some(wire) = wire {
                        serve(wire, &broker, defect).await;
                    }
                });
            }
        });
        Self { address, _running: running }
    }
}

/// Says that nothing more comes, and reads on for a moment: a reset would take along what was written.
pub async fn linger(stream: &mut TcpStream) {
    let _ = stream.shutdown().await;
    let mut rest = vec![0; 4096];
    let _ =
        timeout(Duration::from_millis(300), async { while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {} })
            .await;
}

impl Wire {
    async fn read(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Tcp(stream) => {
                let mut bytes = Vec::with_capacity(64 << 10);
                let read = stream.read_buf(&mut bytes).await.ok()?;
                (read > 0).then_some(bytes)
            }
            Self::WebSocket(socket) => socket.read().await,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await.ok(),
            Self::WebSocket(socket) => socket.write(bytes).await,
        }
    }

    async fn close(&mut self) {
        match self {
            Self::Tcp(stream) => linger(stream).await,
            Self::WebSocket(socket) => socket.close().await,
        }
    }
}

async fn serve(mut wire: Wire, broker: &Arc<Mutex<Broker>>, defect: Option<Defect>) {
    let (give, mut take) = mpsc::unbounded_channel();
    let mut session = Session::new(broker, give);
    if let Wire::WebSocket(socket) = &wire {
        let of = |name: &str| if name == "v10.stomp" { Some(Version::V1_0) } else { None };
        session.subprotocol = socket.subprotocol.as_deref().and_then(of);
    }
    let mut reader = Reader { parser: Parser::new(limits(defect)), defect };
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            // What is to be written goes first, so that nothing is written behind an end.
            biased;
            out = take.recv() => match out {
                Some(Out::Bytes(bytes)) => {
                    if wire.write(&bytes).await.is_none() {
                        break;
                    }
                }
                Some(Out::End) | None => {
                    wire.close().await;
                    break;
                }
            },
            read = wire.read() => {
                let Some(bytes) = read else {
                    if defect == Some(Defect::HalfFrameDone) {
                        reader.read(b"\0".to_vec(), &mut session);
                    }
                    break;
                };
                if reader.read(bytes, &mut session) {
                    std::future::pending::<()>().await;
                }
            }
            _ = ticks.tick() => session.tick(Instant::now()),
        }
    }
    session.gone();
}

fn limits(defect: Option<Defect>) -> Limits {
    let mut limits = Limits::default();
    match defect {
        Some(Defect::SmallBodies) => limits.body = 16 << 10,
        Some(Defect::EndlessHeader) => (limits.header_line, limits.frame) = (1 << 30, 1 << 30),
        Some(Defect::ManyHeadersHang) => limits.headers = 100_000,
        _ => {}
    }
    limits
}

/// What makes frames of bytes.
struct Reader {
    parser: Parser,
    defect: Option<Defect>,
}

impl Reader {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// Takes what one read has brought. Whether the connection is to hang.
    fn read(&mut self, bytes: Vec<u8>, session: &mut Session) -> bool {
        if !self.has(Defect::OnlyFramesCount) && !self.has(Defect::OnlyWholeCounts) {
            session.heard = Instant::now();
        }
        let bytes = match self.defect {
            Some(defect) => spoilt(defect, bytes, session.version),
            None => bytes,
        };
        session.leaves = contains(&bytes, "DISCONNECT\n");
        session.fails = contains(&bytes, "SEND\nfoo:bar\n");
        if self.has(Defect::NulFatal) && contains(&bytes, "\0\n\0\0") {
            session.garbage("a stray NUL");
        }
        self.parser.feed(Bytes::from(bytes));
        let most = match self.defect {
            Some(Defect::FirstOfRead) => 1,
            Some(Defect::FewAtOnce) => 50,
            _ => usize::MAX,
        };
        let mut frames = 0;
        while frames < most {
            self.parser.set_version(self.reads_as(session.version.unwrap_or(Version::V1_0)));
            match self.parser.next() {
                Ok(Some(Input::Frame(frame))) => {
                    frames += 1;
                    session.heard = Instant::now();
                    let frame = self.headers(frame, session.version);
                    if self.has(Defect::ManyHeadersHang) && frame.headers.len() > 1000 {
                        return true;
                    }
                    session.handle(frame);
                }
                Ok(Some(Input::HeartBeat)) => {
                    if self.has(Defect::LineEndFatal) {
                        session.garbage("a line end");
                    }
                    if !self.has(Defect::OnlyFramesCount) {
                        session.heard = Instant::now();
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    let unknown = error.violation() == Violation::UnknownCommand;
                    let ignored =
                        self.has(Defect::GarbageIgnored) || self.has(Defect::UnknownCommandIgnored) && unknown;
                    self.parser = Parser::new(limits(self.defect));
                    if ignored {
                        session.heard = Instant::now();
                    } else {
                        session.garbage("malformed frame");
                    }
                    break;
                }
            }
        }
        let forgets = self.has(Defect::ReadIsFrame) || self.has(Defect::MessageIsFrame);
        if forgets && self.parser.unfinished() || most < usize::MAX {
            self.parser = Parser::new(limits(self.defect));
        }
        session.settled();
        false
    }

    /// The version that is read by.
    fn reads_as(&self, version: Version) -> Version {
        match (self.defect, version) {
            (Some(Defect::NotDecoded12), Version::V1_2) | (Some(Defect::NotDecoded11), Version::V1_1) => Version::V1_0,
            (Some(Defect::Decoded10 | Defect::Untrimmed10), Version::V1_0) => Version::V1_1,
            (Some(Defect::CrIn11), Version::V1_1) => Version::V1_2,
            (_, version) => version,
        }
    }

    /// The frame as a server with this defect understands it.
    fn headers(&self, mut frame: Frame, version: Option<Version>) -> Frame {
        let Some(defect) = self.defect.filter(|_| !matches!(frame.command, Command::Connect | Command::Stomp)) else {
            return frame;
        };
        let mut list: Vec<(String, String)> =
            frame.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        match (defect, version) {
            (Defect::LastWins, _) => list.reverse(),
            (Defect::EscapedNamesDropped, _) => list.retain(|(name, _)| !name.contains([':', '\\'])),
            (Defect::EmptyDropped, _) => list.retain(|(_, value)| !value.is_empty()),
            (Defect::Trimmed12, Some(Version::V1_2)) | (Defect::Trimmed11, Some(Version::V1_1)) => {
                list.iter_mut().for_each(|(_, value)| *value = value.trim().to_owned());
            }
            (Defect::AnyCaseName, _) => list.iter_mut().for_each(|(name, _)| *name = name.to_lowercase()),
            (Defect::AsciiOnly, _) => {
                let ascii = |text: &str| text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
                list = list.iter().map(|(name, value)| (ascii(name), ascii(value))).collect();
            }
            _ => return frame,
        }
        frame.headers = list.into_iter().collect::<Headers>();
        frame
    }
}

/// The bytes as a server with this defect reads them.
fn spoilt(defect: Defect, bytes: Vec<u8>, version: Option<Version>) -> Vec<u8> {
    let Ok(text) = String::from_utf8(bytes.clone()) else { return bytes };
    let without_length = |only: Option<&str>| {
        let keeps = |line: &&str| match (line.strip_prefix("content-length:"), only) {
            (Some(value), Some(only)) => value.trim_end() != only,
            (Some(_), None) => false,
            (None, _) => true,
        };
        text.split_inclusive('\n').filter(keeps).collect::<String>()
    };
    let text = match defect {
        Defect::NoCrLf => text.replace("\r\n", "\r\r\n"),
        Defect::LengthIgnored => without_length(None),
        Defect::ShortLengthTaken => without_length(Some("3")),
        Defect::GarbageLengthTaken => without_length(Some("five")),
        Defect::NegativeLengthTaken => without_length(Some("-1")),
        Defect::AnnouncedDelivered => without_length(Some("2000000000")),
        Defect::AnyCaseCommand => text.replace("send\n", "SEND\n"),
        Defect::NoColonIgnored => text.replace("no colon here\n", ""),
        Defect::LoneCrTaken => text.replace("a\rb", "ab"),
        Defect::UndefinedKept12 if version == Some(Version::V1_2) => text.replace("\\t", "\\\\t"),
        Defect::UndefinedKept11 if version == Some(Version::V1_1) => text.replace("\\t", "\\\\t"),
        Defect::HttpIgnored if version.is_none() => {
            text.find("CONNECT\n").map_or_else(|| text.clone(), |at| text[at..].to_owned())
        }
        _ => return bytes,
    };
    text.into_bytes()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}
