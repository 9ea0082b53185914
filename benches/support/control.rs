//! The controls: the least that any server on these libraries must do for the same traffic. They run on the same runtime
//! as towpath, in a process of their own, which ends when the bench does.
//!
//! Does not know: SockJS, STOMP, sessions.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, Interest};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::Outcome;
use super::client::unmasked;
use super::fan::message;

/// Bare tokio-tungstenite with a read buffer of 4 KiB: every message is sent back as it came, with a `send` of its own.
pub const WEBSOCKET: &str = "websocket";

/// Bare hyper: every POST is read to its end and answered with 204.
pub const POST: &str = "post";

/// A fan-out that writes one frame, encoded at the start, to each socket in turn.
pub const DIRECT: &str = "direct";

/// A fan-out that puts the same frame into a queue for each socket, of which a task writes all that waits at once.
pub const COALESCING: &str = "coalescing";

/// The same for many rooms: behind [`SUBSCRIBE`] come the number of rooms and the rooms, two bytes each; behind [`PUBLISH`]
/// the room of each publication.
pub const ROOMS: &str = "rooms";

/// What a connection says first to a fan-out control, and what it is answered.
pub const SUBSCRIBE: u8 = b's';
/// See [`SUBSCRIBE`]. Every byte that follows is one publication.
pub const PUBLISH: u8 = b'p';
/// The answer to either.
pub const WELCOME: u8 = b'!';

/// Runs the control of that name until the bench closes our input.
pub fn serve(name: &str) -> Outcome<()> {
    std::thread::spawn(|| {
        // Nothing is ever said; the end is what we wait for.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("control {name} listens on {}", listener.local_addr()?);
        std::io::stdout().flush()?;
        let audience = Arc::new(Audience::default());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            match name {
                WEBSOCKET => drop(tokio::spawn(echo(stream))),
                POST => drop(tokio::spawn(accept_posts(stream))),
                DIRECT => drop(tokio::spawn(direct(stream, Arc::clone(&audience)))),
                COALESCING => drop(tokio::spawn(coalescing(stream, Arc::clone(&audience)))),
                ROOMS => drop(tokio::spawn(rooms(stream, Arc::clone(&audience)))),
                other => return Err(format!("there is no control {other:?}").into()),
            }
        }
    })
}

// The ends of these tasks are the ends of their connections, and nobody asks why.

async fn echo(stream: TcpStream) -> Outcome<()> {
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let mut socket = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn accept_posts(stream: TcpStream) -> Outcome<()> {
    let service = service_fn(|request: Request<Incoming>| async move {
        let _ = request.into_body().collect().await;
        let mut response = Response::new(Empty::<Bytes>::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok::<_, Infallible>(response)
    });
    http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await?;
    Ok(())
}

/// The subscribers of a fan-out control.
#[derive(Default)]
struct Audience {
    direct: Mutex<Vec<Arc<TcpStream>>>,
    coalescing: Mutex<Vec<Arc<Slot>>>,
    rooms: Mutex<HashMap<u16, Vec<Arc<TcpStream>>>>,
}

#[derive(Default)]
struct Slot {
    queue: Mutex<Vec<Bytes>>,
    filled: Notify,
}

async fn direct(stream: TcpStream, audience: Arc<Audience>) -> Outcome<()> {
    let mut stream = stream;
    if stream.read_u8().await? == SUBSCRIBE {
        stream.write_u8(WELCOME).await?;
        let stream = Arc::new(stream);
        audience.direct.lock().push(Arc::clone(&stream));
        ended(&stream).await;
        audience.direct.lock().retain(|other| !Arc::ptr_eq(other, &stream));
        return Ok(());
    }
    stream.write_u8(WELCOME).await?;
    let frame = unmasked(&message(0));
    // Whoever publishes does so when all subscribers are there.
    let subscribers = audience.direct.lock().clone();
    let mut input = [0; 64];
    loop {
        let publications = stream.read(&mut input).await?;
        if publications == 0 {
            return Ok(());
        }
        for _ in 0..publications {
            for subscriber in &subscribers {
                write_now(subscriber, &frame).await?;
            }
        }
    }
}

async fn rooms(stream: TcpStream, audience: Arc<Audience>) -> Outcome<()> {
    let mut stream = BufReader::new(stream);
    if stream.read_u8().await? == SUBSCRIBE {
        let mut own = Vec::new();
        for _ in 0..stream.read_u16().await? {
            own.push(stream.read_u16().await?);
        }
        let stream = Arc::new(stream.into_inner());
        for room in own {
            audience.rooms.lock().entry(room).or_default().push(Arc::clone(&stream));
        }
        write_now(&stream, &[WELCOME]).await?;
        // Its rooms go with this process.
        ended(&stream).await;
        return Ok(());
    }
    stream.write_u8(WELCOME).await?;
    let frame = unmasked(&message(0));
    let rooms = std::mem::take(&mut *audience.rooms.lock());
    loop {
        let room = stream.read_u16().await?;
        for member in rooms.get(&room).into_iter().flatten() {
            write_now(member, &frame).await?;
        }
    }
}

/// Waits for the end of a subscriber, who says nothing more before it.
async fn ended(stream: &TcpStream) {
    // A stream may be called readable when it is not.
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => return,
        }
    }
}

async fn write_now(stream: &TcpStream, mut bytes: &[u8]) -> Outcome<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                stream.ready(Interest::WRITABLE).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn coalescing(stream: TcpStream, audience: Arc<Audience>) -> Outcome<()> {
    let mut stream = stream;
    if stream.read_u8().await? == SUBSCRIBE {
        stream.write_u8(WELCOME).await?;
        let slot = Arc::new(Slot::default());
        audience.coalescing.lock().push(Arc::clone(&slot));
        let result = write_queue(stream, &slot).await;
        audience.coalescing.lock().retain(|other| !Arc::ptr_eq(other, &slot));
        return result;
    }
    stream.write_u8(WELCOME).await?;
    let frame = Bytes::from(unmasked(&message(0)));
    let subscribers = audience.coalescing.lock().clone();
    let mut input = [0; 64];
    loop {
        let publications = stream.read(&mut input).await?;
        if publications == 0 {
            return Ok(());
        }
        for _ in 0..publications {
            for subscriber in &subscribers {
                subscriber.queue.lock().push(frame.clone());
                subscriber.filled.notify_one();
            }
        }
    }
}

async fn write_queue(mut stream: TcpStream, slot: &Slot) -> Outcome<()> {
    let mut scratch = Vec::new();
    loop {
        tokio::select! {
            () = slot.filled.notified() => {}
            () = ended(&stream) => return Ok(()),
        }
        for frame in std::mem::take(&mut *slot.queue.lock()) {
            scratch.extend_from_slice(&frame);
        }
        stream.write_all(&scratch).await?;
        scratch.clear();
    }
}
