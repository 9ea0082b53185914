//! A SockJS and STOMP server of the tests' own: `/echo` gives back what it gets, `/stomp` is a broker, both over every transport that a
//! load has; STOMP over TCP has the same port. It can [lie](Lie), and it can hold answers back.
//!
//! Does not know: what a load makes of it.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::Mutex as Turn;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::broker::{Broker, Speaker};
use super::connection::{CLOSE, Connection, Request, TEXT, framed};
use super::host::{Host, Seen};
use super::lies::{Liar, Lie, Told};

/// A running server.
pub struct Planted {
    host: Host,
    service: Arc<Service>,
}

/// How it behaves.
#[derive(Debug, Default, Clone, Copy)]
pub struct Manner {
    pub lie: Lie,
    pub hold: Option<Hold>,
    pub farewell: Farewell,
}

/// How it answers DISCONNECT.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// With a receipt.
    #[default]
    Receipt,
    /// The websocket is closed with 1000.
    Close,
    /// The connection ends.
    End,
}

/// The first client that sends has no more answers from its message of that number on, until the others have sent so many.
#[derive(Debug, Clone, Copy)]
pub struct Hold {
    pub from: usize,
    pub until: usize,
}

struct Service {
    manner: Manner,
    told: Arc<Mutex<Told>>,
    broker: Arc<Broker>,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    stall: Mutex<Stall>,
    heard: Mutex<Vec<String>>,
}

/// What became of a [`Hold`].
#[derive(Default)]
struct Stall {
    victim: Option<usize>,
    heard: usize,
    others: usize,
    waiting: Vec<(UnboundedSender<String>, String)>,
    begun: Option<Instant>,
    lasted: Option<Duration>,
}

/// What lies behind a session, or a connection without one.
enum Behind {
    Echo { client: usize, liar: Liar, give: UnboundedSender<String>, service: Arc<Service> },
    Stomp(Speaker),
}

/// A session over HTTP.
struct Session {
    behind: Mutex<Behind>,
    take: Turn<Taken>,
}

/// What a session has to say.
struct Taken {
    is_open: bool,
    texts: UnboundedReceiver<String>,
}

impl Planted {
    pub fn lying(lie: Lie) -> Self {
        Self::start(Manner { lie, ..Manner::default() })
    }

    pub fn honest() -> Self {
        Self::lying(Lie::None)
    }

    pub fn start(manner: Manner) -> Self {
        let told = Arc::default();
        let service = Arc::new(Service {
            manner,
            broker: Broker::new(manner.lie, manner.farewell, &told),
            told,
            sessions: Mutex::default(),
            stall: Mutex::default(),
            heard: Mutex::default(),
        });
        let serving = Arc::clone(&service);
        let host = Host::start(move |stream, number| Arc::clone(&serving).serve(stream, number));
        Self { host, service }
    }

    pub fn address(&self) -> SocketAddr {
        self.host.address
    }

    /// What it lied.
    pub fn told(&self) -> Told {
        *self.service.told.lock().unwrap()
    }

    /// What its connections were.
    pub fn connections(&self) -> &Seen {
        &self.host.seen
    }

    /// What its broker has seen.
    pub fn broker(&self) -> &Broker {
        &self.service.broker
    }

    /// What was sent to be echoed, in the order in which it came.
    pub fn heard(&self) -> Vec<String> {
        self.service.heard.lock().unwrap().clone()
    }

    /// How long answers were held back, once that is over.
    pub fn stalled(&self) -> Option<Duration> {
        self.service.stall.lock().unwrap().lasted
    }
}

impl Service {
    async fn serve(self: Arc<Self>, stream: TcpStream, number: usize) -> io::Result<()> {
        let mut begin = [0; 4];
        while stream.peek(&mut begin).await? < begin.len() {
            stream.readable().await?;
        }
        let mut connection = Connection::new(stream);
        if matches!(&begin, b"CONN" | b"STOM") {
            return self.serve_stomp(connection).await;
        }
        loop {
            let request = connection.request().await?;
            let (prefix, below) =
                request.path.split_at(request.path[1..].find('/').map_or(request.path.len(), |at| at + 1));
            let parts: Vec<_> = below.split('/').skip(1).collect();
            match (&parts[..], &request.key) {
                ([_, _, "websocket"], Some(key)) => {
                    return self.serve_websocket(connection, key, prefix, number, true).await;
                }
                (["websocket"] | [], Some(key)) => {
                    return self.serve_websocket(connection, key, prefix, number, false).await;
                }
                ([_, session, transport], None) => {
                    self.serve_http(&mut connection, &request, prefix, session, transport, number).await?;
                }
                _ => connection.answer(404, "").await?,
            }
        }
    }

    /// What lies behind a client, and what it says.
    fn behind(self: &Arc<Self>, prefix: &str, client: usize) -> (Behind, UnboundedReceiver<String>) {
        let (give, take) = unbounded_channel();
        let behind = match prefix {
            "/stomp" => Behind::Stomp(Speaker::new(&self.broker, give)),
            _ => {
                let liar = Liar::new(self.manner.lie, &self.told);
                Behind::Echo { client, liar, give, service: Arc::clone(self) }
            }
        };
        (behind, take)
    }

    async fn serve_stomp(self: Arc<Self>, mut connection: Connection) -> io::Result<()> {
        let (mut behind, mut take) = self.behind("/stomp", 0);
        loop {
            tokio::select! {
                Some(text) = take.recv() => connection.write(text.as_bytes()).await?,
                bytes = connection.bytes() => behind.hear(&bytes?),
            }
        }
    }

    async fn serve_websocket(
        self: Arc<Self>,
        mut connection: Connection,
        key: &str,
        prefix: &str,
        number: usize,
        sockjs: bool,
    ) -> io::Result<()> {
        let (mut behind, mut take) = self.behind(prefix, number);
        connection.upgrade(key).await?;
        if sockjs {
            connection.write(&framed(TEXT, b"o")).await?;
        }
        loop {
            tokio::select! {
                Some(text) = take.recv() => {
                    let text = if sockjs { array(&[text]) } else { text };
                    connection.write(&framed(TEXT, text.as_bytes())).await?;
                }
                text = connection.text() => match text? {
                    Some(text) if sockjs => texts(&text)?.iter().for_each(|text| behind.hear(text.as_bytes())),
                    Some(text) => behind.hear(text.as_bytes()),
                    None => return Ok(()),
                },
            }
            if matches!(&behind, Behind::Stomp(speaker) if speaker.has_left) {
                match self.manner.farewell {
                    Farewell::Receipt => {}
                    Farewell::Close => connection.write(&framed(CLOSE, b"\x03\xe8STOMP died")).await?,
                    Farewell::End => return Ok(()),
                }
            }
        }
    }

    async fn serve_http(
        self: &Arc<Self>,
        connection: &mut Connection,
        request: &Request,
        prefix: &str,
        session: &str,
        transport: &str,
        number: usize,
    ) -> io::Result<()> {
        let found = self.sessions.lock().unwrap().get(session).cloned();
        if transport == "xhr_send" {
            let Some(session) = found else { return connection.answer(404, "").await };
            let texts = texts(&request.body)?;
            texts.iter().for_each(|text| session.behind.lock().unwrap().hear(text.as_bytes()));
            return connection.answer(204, "").await;
        }
        let session = found.unwrap_or_else(|| {
            let (behind, texts) = self.behind(prefix, number);
            let take = Turn::new(Taken { is_open: false, texts });
            let new = Arc::new(Session { behind: Mutex::new(behind), take });
            self.sessions.lock().unwrap().insert(session.to_owned(), Arc::clone(&new));
            new
        });
        match transport {
            "xhr" => {
                let frame = session.frame().await?;
                connection.answer(200, &(frame + "\n")).await
            }
            _ => {
                let head =
                    "HTTP/1.1 200 OK\r\nContent-Type: application/javascript\r\nTransfer-Encoding: chunked\r\n\r\n";
                connection.write(head.as_bytes()).await?;
                let mut frame = "h".repeat(2048);
                loop {
                    connection.write(format!("{:x}\r\n{frame}\n\r\n", frame.len() + 1).as_bytes()).await?;
                    frame = tokio::select! {
                        frame = session.frame() => frame?,
                        // Clients say nothing more here: they have gone.
                        _ = connection.bytes() => return Ok(()),
                    };
                }
            }
        }
    }
}

impl Session {
    /// The next frame.
    async fn frame(&self) -> io::Result<String> {
        let mut take = self.take.lock().await;
        if !std::mem::replace(&mut take.is_open, true) {
            return Ok("o".to_owned());
        }
        let mut all = vec![take.texts.recv().await.ok_or(ErrorKind::UnexpectedEof)?];
        while let Ok(text) = take.texts.try_recv() {
            all.push(text);
        }
        Ok(array(&all))
    }
}

impl Behind {
    fn hear(&mut self, text: &[u8]) {
        let (client, liar, give, service) = match self {
            Self::Stomp(speaker) => return speaker.hear(text),
            Self::Echo { client, liar, give, service } => (*client, liar, give, service),
        };
        let text = String::from_utf8(text.to_vec()).expect("all is text");
        service.heard.lock().unwrap().push(text.clone());
        let answers = liar.tell(text);
        if let Some(hold) = service.manner.hold {
            service.stall.lock().unwrap().answer(hold, client, give, answers);
        } else {
            answers.into_iter().for_each(|answer| drop(give.send(answer)));
        }
    }
}

impl Stall {
    fn answer(&mut self, hold: Hold, client: usize, give: &UnboundedSender<String>, answers: Vec<String>) {
        if client != *self.victim.get_or_insert(client) {
            answers.into_iter().for_each(|answer| drop(give.send(answer)));
            if let (Some(begun), None) = (self.begun, self.lasted) {
                self.others += 1;
                if self.others >= hold.until {
                    self.lasted = Some(begun.elapsed());
                    self.waiting.drain(..).for_each(|(give, answer)| drop(give.send(answer)));
                }
            }
            return;
        }
        self.heard += 1;
        let held = self.heard >= hold.from && self.lasted.is_none();
        if held {
            self.begun.get_or_insert_with(Instant::now);
        }
        for answer in answers {
            match held {
                true => self.waiting.push((give.clone(), answer)),
                false => drop(give.send(answer)),
            }
        }
    }
}

/// A SockJS frame with messages.
fn array(texts: &[String]) -> String {
    format!("a{}", serde_json::to_string(texts).expect("texts are JSON"))
}

/// The messages of a client.
fn texts(payload: &str) -> io::Result<Vec<String>> {
    serde_json::from_str(payload).map_err(io::Error::from)
}
