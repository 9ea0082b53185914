//! An HTTP server that says exactly what a test wants to hear, right or wrong, and remembers what it was asked.
//!
//! Does not know: what a webhook is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

/// A backend at a port of its own. It ends with the test.
pub struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method and target.
    pub line: String,
    /// The headers, their names in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What the backend does with a request.
#[derive(Clone)]
pub enum Say {
    /// An answer in order: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// These bytes, and the end of the connection.
    Raw(Vec<u8>),
    /// These bytes, and then nothing, for ever.
    Stall(Vec<u8>),
    /// That, as soon as the semaphore has a permit.
    When(Arc<Semaphore>, Box<Say>),
}

type Script = Box<dyn Fn(&Asked, usize) -> Say + Send + Sync>;

struct Shared {
    say: Script,
    asked: Mutex<Vec<Asked>>,
    another: Notify,
    busy: AtomicUsize,
    busiest: AtomicUsize,
    connections: AtomicUsize,
}

impl Say {
    /// Nothing, for ever.
    pub fn hang() -> Self {
        Self::Stall(vec![])
    }

    /// 200 with JSON.
    pub fn json(value: Value) -> Self {
        Self::status(200, value.to_string())
    }

    /// A status with a body.
    pub fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer(status, vec![], body.into())
    }
}

impl Asked {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    /// What stands in `towpath-context`.
    pub fn context(&self) -> Value {
        serde_json::from_str(&self.headers["towpath-context"]).expect("a context of JSON")
    }
}

impl Backend {
    /// Answers each request by what `say` makes of it and its number, from 0.
    pub async fn start(say: impl Fn(&Asked, usize) -> Say + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0".parse().expect("an address"), say).await
    }

    /// The same at a given address.
    pub async fn at(address: SocketAddr, say: impl Fn(&Asked, usize) -> Say + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let shared = Arc::new(Shared {
            say: Box::new(say),
            asked: Mutex::default(),
            another: Notify::new(),
            busy: AtomicUsize::default(),
            busiest: AtomicUsize::default(),
            connections: AtomicUsize::default(),
        });
        let serving = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, serving }
    }

    /// The URL of a path that begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().expect("no test panics while it holds this").clone()
    }

    /// Waits until that many requests have come.
    pub async fn was_asked(&self, count: usize) -> Vec<Asked> {
        loop {
            let another = self.shared.another.notified();
            let asked = self.asked();
            if asked.len() >= count {
                return asked;
            }
            another.await;
        }
    }

    /// How many requests were being answered at once, at most.
    pub fn busiest(&self) -> usize {
        self.shared.busiest.load(Ordering::SeqCst)
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An address where nobody listens.
pub async fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("a bound listener")
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, which ends them all.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    while let Some(asked) = read(&mut stream, &mut buffer).await {
        shared.busiest.fetch_max(shared.busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let number = {
            let mut all = shared.asked.lock().expect("no test panics while it holds this");
            all.push(asked.clone());
            all.len() - 1
        };
        let mut say = (shared.say)(&asked, number);
        shared.another.notify_waiters();
        while let Say::When(permits, next) = say {
            permits.acquire().await.expect("never closed").forget();
            say = *next;
        }
        shared.busy.fetch_sub(1, Ordering::SeqCst);
        match say {
            Say::Answer(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
                headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
                if write(&mut stream, &[head.as_bytes(), b"\r\n", &body].concat()).await.is_err() {
                    return;
                }
            }
            Say::Raw(bytes) => return drop(write(&mut stream, &bytes).await),
            Say::Stall(bytes) => {
                let _ = write(&mut stream, &bytes).await;
                return std::future::pending().await;
            }
            Say::When(..) => {}
        }
    }
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// The next request; none at the end of the connection.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = buffer.drain(..end + 4).collect();
            break String::from_utf8(head).expect("a head of text");
        }
        fill(stream, buffer).await?;
    };
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a number"));
    while buffer.len() < length {
        fill(stream, buffer).await?;
    }
    Some(Asked { line, headers, body: buffer.drain(..length).collect() })
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}
