//! Fan-out load: subscribers that count and check what comes, and one publisher that keeps a fixed number of messages on
//! their way.
//!
//! Does not know: the project's codecs. Every message carries its number, and a subscriber that misses one, or sees one
//! twice or too early, ends the bench.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::client::{Link, masked};
use super::control::{PUBLISH, SUBSCRIBE, WELCOME};
use super::server::Server;
use super::{Load, Outcome, Sample, measure};

const DESTINATION: &str = "/topic/bench";

/// Length of every body.
pub const BODY: usize = 64;

/// Digits of the number that begins it.
pub const DIGITS: usize = 10;

/// How the subscribers are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// STOMP over a raw websocket.
    Raw,
    /// STOMP over a SockJS websocket.
    Sockjs,
    /// Plain sockets of a control, which all get the same frame.
    Control,
}

/// The MESSAGE that towpath sends for the publication of that number; the controls send one like it.
pub fn message(number: u64) -> String {
    format!(
        "MESSAGE\nsubscription:0\ndestination:{DESTINATION}\nmessage-id:{number}\ncontent-length:{BODY}\n\n{}\0",
        body(number)
    )
}

/// The body of that publication.
pub fn body(number: u64) -> String {
    format!("{number:0DIGITS$}{}", "x".repeat(BODY - DIGITS))
}

/// Measures the CPU of the server for one delivery, with this many subscribers and this many messages on their way.
pub async fn measure_delivery(server: &Server, kind: Kind, subscribers: usize, on_their_way: u64) -> Outcome<Sample> {
    let address = server.address();
    let load = Arc::new(Load::default());
    let progress = Arc::new(Progress::default());
    let mut links = Vec::with_capacity(subscribers);
    for number in 0..subscribers {
        links.push(subscribe(address, kind, number, DESTINATION).await?);
    }
    let publisher = match kind {
        Kind::Control => enroll(address, PUBLISH).await?,
        Kind::Raw | Kind::Sockjs => connect(address, Kind::Raw, subscribers).await?,
    };
    let mut clients = JoinSet::new();
    for link in links {
        clients.spawn(listen(link, kind, Arc::clone(&load), Arc::clone(&progress)));
    }
    let all = subscribers as u64;
    let (on_load, on_progress) = (Arc::clone(&load), Arc::clone(&progress));
    clients.spawn(async move { publish(publisher, kind, all, on_their_way, &on_load, &on_progress).await });
    measure(server, load, clients).await
}

/// How far the deliveries have come.
struct Progress {
    /// The number of deliveries after which the publisher is to be woken.
    wanted: AtomicU64,
    reached: Notify,
    /// The number of publications there will have been; known when the publisher ends.
    last: AtomicU64,
    ended: Notify,
}

impl Default for Progress {
    fn default() -> Self {
        Self { wanted: AtomicU64::new(0), reached: Notify::new(), last: AtomicU64::new(u64::MAX), ended: Notify::new() }
    }
}

/// Publishes whenever fewer than `on_their_way` messages are. A message counts as arrived when the deliveries so far make
/// it up: with one on its way that is when every subscriber has it.
async fn publish(
    mut link: Link,
    kind: Kind,
    subscribers: u64,
    on_their_way: u64,
    load: &Load,
    progress: &Progress,
) -> Outcome<()> {
    let mut published = 0;
    let mut batch = Vec::new();
    while load.runs() {
        let arrived = load.done.load(Ordering::Relaxed) / subscribers;
        while published < arrived + on_their_way {
            match kind {
                Kind::Control => batch.push(b'.'),
                Kind::Raw | Kind::Sockjs => {
                    let frame = format!("SEND\ndestination:{DESTINATION}\n\n{}\0", body(published));
                    batch.extend_from_slice(&masked(&frame));
                }
            }
            published += 1;
        }
        link.send(&batch).await?;
        batch.clear();
        let wanted = (published - on_their_way + 1) * subscribers;
        progress.wanted.store(wanted, Ordering::Relaxed);
        if load.done.load(Ordering::Relaxed) < wanted {
            progress.reached.notified().await;
        }
    }
    progress.last.store(published, Ordering::Relaxed);
    progress.ended.notify_waiters();
    Ok(())
}

/// Counts deliveries until the publisher has ended and all of its messages are there.
async fn listen(mut link: Link, kind: Kind, load: Arc<Load>, progress: Arc<Progress>) -> Outcome<()> {
    let mut received = 0;
    loop {
        // Made before the look at `last`, so that the end cannot come between.
        let ended = progress.ended.notified();
        let last = progress.last.load(Ordering::Relaxed);
        if received >= last {
            return if received == last { Ok(()) } else { Err("a message came twice".into()) };
        }
        let counted = link.packets(|payload| deliveries(payload, kind, &mut received));
        let counted = if last == u64::MAX {
            tokio::select! {
                biased;
                counted = counted => counted?,
                () = ended => continue,
            }
        } else {
            counted.await?
        };
        load.count(counted);
        if load.done.load(Ordering::Relaxed) >= progress.wanted.load(Ordering::Relaxed) {
            progress.reached.notify_one();
        }
    }
}

/// Counts the messages in what one websocket message carries, and checks that their numbers follow on.
fn deliveries(payload: &[u8], kind: Kind, received: &mut u64) -> Outcome<usize> {
    let end: &[u8] = match kind {
        Kind::Control => {
            *received += 1;
            return Ok(1);
        }
        Kind::Raw => b"\0",
        Kind::Sockjs => b"\\u0000\"",
    };
    let mut count = 0;
    for at in memmem::find_iter(payload, end) {
        let body = at.checked_sub(BODY).and_then(|start| payload.get(start..start + DIGITS)).ok_or("no MESSAGE")?;
        let number: u64 = std::str::from_utf8(body)?.parse()?;
        if number != *received {
            return Err(format!("message {number} came where {received} was due").into());
        }
        *received += 1;
        count += 1;
    }
    Ok(count)
}

/// A client that is connected and subscribed.
pub async fn subscribe(address: SocketAddr, kind: Kind, number: usize, destination: &str) -> Outcome<Link> {
    if kind == Kind::Control {
        return enroll(address, SUBSCRIBE).await;
    }
    let mut link = connect(address, kind, number).await?;
    let subscribe = format!("SUBSCRIBE\nid:0\ndestination:{destination}\nreceipt:r\n\n\0");
    link.send(&framed(kind, &subscribe)).await?;
    link.expect("RECEIPT").await?;
    Ok(link)
}

/// A STOMP client that is connected.
pub async fn connect(address: SocketAddr, kind: Kind, number: usize) -> Outcome<Link> {
    let mut link = match kind {
        Kind::Sockjs => {
            let mut link = Link::websocket(address, &format!("/stomp/000/bench{number}/websocket")).await?;
            link.expect("o").await?;
            link
        }
        Kind::Raw | Kind::Control => Link::websocket(address, "/stomp/websocket").await?,
    };
    link.send(&framed(kind, "CONNECT\naccept-version:1.2\nhost:bench\nheart-beat:0,0\n\n\0")).await?;
    link.expect("CONNECTED").await?;
    Ok(link)
}

/// A connection that a fan-out control knows by its role.
async fn enroll(address: SocketAddr, role: u8) -> Outcome<Link> {
    let mut link = Link::open(address).await?;
    link.send(&[role]).await?;
    match link.byte().await? {
        WELCOME => Ok(link),
        other => Err(format!("the control answered {other}").into()),
    }
}

/// A STOMP frame as a client's websocket frame; these frames hold nothing that JSON escapes but line feeds and the NUL.
fn framed(kind: Kind, frame: &str) -> Vec<u8> {
    match kind {
        Kind::Sockjs => masked(&format!("[\"{}\"]", frame.replace('\n', "\\n").replace('\0', "\\u0000"))),
        Kind::Raw | Kind::Control => masked(frame),
    }
}
