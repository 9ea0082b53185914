//! A proxy that does to a connection what a test plants: by the first request on it, and for all that follows.
//!
//! Does not know: SockJS, and what the doctor makes of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use towpath::wire::Target;

/// A request as it came.
pub struct Asked {
    /// Request line and headers, with the empty line.
    pub head: String,
    /// The number of the connection, from zero.
    pub number: usize,
}

impl Asked {
    /// Whether the request line has this in it.
    pub fn is(&self, part: &str) -> bool {
        self.head.lines().next().unwrap_or_default().contains(part)
    }

    /// Whether the head has this in it, in whatever case.
    pub fn has(&self, part: &str) -> bool {
        self.head.to_lowercase().contains(&part.to_lowercase())
    }
}

/// Changes a head.
pub type Change = Box<dyn Fn(String) -> String + Send>;

/// What is done to a connection.
pub enum Deed {
    /// Nothing.
    Pass,
    /// It goes to another server.
    To(SocketAddr),
    /// The request's head is changed.
    Ask(Change),
    /// The answer's head is changed.
    Answered(Change),
    /// As both of the above: to another server, and the answer's head is changed.
    ToAnswered(SocketAddr, Change),
    /// Nobody is asked: this is written, and the connection ended.
    Say(String),
    /// This is written, and then that without end.
    Endless(&'static str, &'static str),
    /// Nothing is said, for ever.
    Hang,
    /// The connection is reset.
    Reset,
    /// The answer is held until there is so much of it, or it is over.
    Hold(usize),
    /// The answer ends after these bytes of it, with the rest of the text.
    End(&'static [u8], &'static [u8]),
    /// The answer goes on no further than these bytes.
    Swallow(&'static [u8]),
    /// The request is passed on only after this time.
    Late(Duration),
    /// Silence of that length ends the connection.
    Silence(Duration),
    /// This time ends the connection, whatever goes over it.
    Life(Duration),
}

/// A running proxy.
pub struct Proxy {
    pub address: SocketAddr,
    running: JoinHandle<()>,
}

impl Proxy {
    /// A proxy in front of a server.
    pub async fn start(server: SocketAddr, plan: impl Fn(&Asked) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the system has a free port");
        let address = listener.local_addr().expect("it is bound");
        let (plan, count) = (Arc::new(plan), AtomicUsize::new(0));
        let running = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (plan, number) = (Arc::clone(&plan), count.fetch_add(1, Ordering::Relaxed));
                tokio::spawn(async move {
                    // Whoever hangs up in the middle of it has seen enough.
                    let _ = serve(client, server, number, &*plan).await;
                });
            }
        });
        Self { address, running }
    }

    /// The service at that path behind it.
    pub fn target(&self, path: &str) -> Target {
        Target::parse(&format!("http://{}{path}", self.address)).expect("a URL")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn serve(
    mut client: TcpStream,
    server: SocketAddr,
    number: usize,
    plan: &(dyn Fn(&Asked) -> Deed + Send + Sync),
) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let Some((head, mut body)) = read_head(&mut client).await? else { return Ok(()) };
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    while body.len() < length.unwrap_or(0) && client.read_buf(&mut body).await? > 0 {}
    let asked = Asked { head, number };
    let deed = plan(&asked);
    let mut head = asked.head;
    let server = match &deed {
        Deed::To(other) | Deed::ToAnswered(other, _) => *other,
        _ => server,
    };
    match &deed {
        Deed::Say(text) => {
            client.write_all(text.as_bytes()).await?;
            return client.shutdown().await;
        }
        Deed::Endless(first, then) => {
            client.write_all(first.as_bytes()).await?;
            loop {
                client.write_all(then.as_bytes()).await?;
            }
        }
        Deed::Hang => {
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await?;
            return Ok(());
        }
        Deed::Reset => return client.set_zero_linger(),
        Deed::Late(time) => sleep(*time).await,
        Deed::Ask(change) => head = change(head),
        _ => {}
    }
    let mut upstream = TcpStream::connect(server).await?;
    upstream.set_nodelay(true)?;
    upstream.write_all(head.as_bytes()).await?;
    upstream.write_all(&body).await?;
    match deed {
        Deed::Answered(change) | Deed::ToAnswered(_, change) => {
            let Some((head, body)) = read_head(&mut upstream).await? else { return Ok(()) };
            client.write_all(change(head).as_bytes()).await?;
            client.write_all(&body).await?;
        }
        Deed::Hold(most) => {
            let held = read_until(&mut upstream, |held| held.len() >= most || held.ends_with(b"0\r\n\r\n")).await?;
            client.write_all(&held).await?;
        }
        Deed::End(last, rest) => {
            client.write_all(&read_through(&mut upstream, last).await?).await?;
            client.write_all(rest).await?;
            return client.shutdown().await;
        }
        Deed::Swallow(last) => {
            client.write_all(&read_through(&mut upstream, last).await?).await?;
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await?;
            return Ok(());
        }
        Deed::Silence(most) => return until_silent(client, upstream, most).await,
        Deed::Life(most) => {
            let _ = timeout(most, copy_bidirectional(&mut client, &mut upstream)).await;
            return Ok(());
        }
        _ => {}
    }
    copy_bidirectional(&mut client, &mut upstream).await.map(|_| ())
}

/// Passes bytes on until none come for that long.
async fn until_silent(mut client: TcpStream, mut upstream: TcpStream, most: Duration) -> std::io::Result<()> {
    let (mut from_client, mut from_upstream) = (vec![0; 4096], vec![0; 4096]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => match read? {
                0 => return Ok(()),
                read => upstream.write_all(&from_client[..read]).await?,
            },
            read = upstream.read(&mut from_upstream) => match read? {
                0 => return Ok(()),
                read => client.write_all(&from_upstream[..read]).await?,
            },
            () = sleep(most) => return Ok(()),
        }
    }
}

/// A head, and what came with it; `None` if there is no whole one.
async fn read_head(from: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let all = read_until(from, |held| find(held, b"\r\n\r\n").is_some()).await?;
    let Some(end) = find(&all, b"\r\n\r\n") else { return Ok(None) };
    let (head, body) = all.split_at(end + 4);
    Ok(Some((String::from_utf8_lossy(head).into_owned(), body.to_vec())))
}

/// Everything up to where it is enough, or over.
async fn read_until(from: &mut TcpStream, enough: impl Fn(&[u8]) -> bool) -> std::io::Result<Vec<u8>> {
    let mut held = Vec::new();
    while !enough(&held) {
        if from.read_buf(&mut held).await? == 0 {
            break;
        }
    }
    Ok(held)
}

/// Everything up to the end of that part, and nothing behind it.
async fn read_through(from: &mut TcpStream, part: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut held = read_until(from, |held| find(held, part).is_some()).await?;
    let end = find(&held, part).map_or(held.len(), |at| at + part.len());
    held.truncate(end);
    Ok(held)
}

fn find(held: &[u8], part: &[u8]) -> Option<usize> {
    held.windows(part.len()).position(|window| window == part)
}

/// A head without the lines that begin with one of these, in whatever case.
pub fn without(head: &str, names: &[&str]) -> String {
    let kept = head.split_inclusive("\r\n").filter(|line| {
        let line = line.to_lowercase();
        !names.iter().any(|name| line.starts_with(&format!("{}:", name.to_lowercase())))
    });
    kept.collect()
}

/// A head with one more line.
pub fn with(head: &str, line: &str) -> String {
    format!("{}{line}\r\n\r\n", head.trim_end_matches("\r\n").to_owned() + "\r\n")
}
