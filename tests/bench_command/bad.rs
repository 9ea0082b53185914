//! Servers that do one thing wrong, the same on every connection.
//!
//! Does not know: what a load says of it.

use std::future::pending;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::connection::{Connection, TEXT, framed};
use super::host::Host;

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub enum Deed {
    /// Nothing is ever said.
    Silent,
    /// The connection is reset when something has come.
    Reset,
    /// The connection is closed when something has come.
    Ends,
    /// Every request has that answer.
    Answers(u16, &'static str),
    /// This is written when something has come, and then that for ever.
    Endless(&'static [u8], &'static [u8]),
    /// Something comes, this is written, and then nothing any more, for ever.
    Says(&'static [u8]),
    /// A websocket is opened, and this happens in it.
    Socket(InSocket),
    /// A session is opened over HTTP, and this happens then.
    Session(InSession),
    /// STOMP over TCP: what is said once a SEND has come.
    Stomp(InStomp),
}

/// What happens in a websocket when it is open.
#[derive(Debug, Clone, Copy)]
pub enum InSocket {
    /// There is no open frame.
    Nothing,
    /// It is accepted with another key.
    OtherKey,
    /// The open frame comes, and the end of the connection.
    OpensAndEnds,
    /// The open frame comes, and this, and that for ever.
    OpensAndEndless(&'static [u8], &'static [u8]),
    /// A first text is waited for, this is said, and then nothing more; nothing is read.
    HearsAndSays(&'static [u8]),
    /// A first text is waited for, and this comes, and that for ever.
    HearsAndEndless(&'static [u8], &'static [u8]),
    /// So many texts are given back, and then this comes and the connection ends.
    EchoesAndSays(usize, &'static [u8]),
}

/// What happens to a session over HTTP.
#[derive(Debug, Clone, Copy)]
pub enum InSession {
    /// It opens; every `xhr_send` has this answer.
    SendAnswered(u16),
    /// It opens; the next that asks for messages has this answer.
    PollAnswered(u16, &'static str),
    /// It opens and takes messages, and says nothing any more.
    Mute,
    /// The stream opens, says this when a message has come, and ends.
    StreamSays(&'static str),
    /// The stream opens, and goes on like this for ever when a message has come.
    StreamEndless(&'static str),
}

/// What a STOMP server does.
#[derive(Debug, Clone, Copy)]
pub enum InStomp {
    /// It answers CONNECT with this.
    Greets(&'static str),
    /// It connects the client, and answers everything else with this.
    Answers(&'static str),
    /// It connects the client, gives receipts, and sends this when a SEND has come.
    SendsBack(&'static str),
}

const CONNECTED: &str = "CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0";
const RECEIPT: &str = "RECEIPT\nreceipt-id:r\n\n\0";

/// Starts one.
pub fn start(deed: Deed) -> Host {
    let heard = Arc::new(watch::Sender::new(false));
    Host::start(move |stream, _| serve(stream, deed, Arc::clone(&heard)))
}

/// Serves a connection; `heard` is whether any session over HTTP has had a message.
async fn serve(stream: TcpStream, deed: Deed, heard: Arc<watch::Sender<bool>>) -> io::Result<()> {
    let mut connection = Connection::new(stream);
    match deed {
        Deed::Silent => pending().await,
        Deed::Reset => {
            connection.bytes().await?;
            connection.stream.set_zero_linger()
        }
        Deed::Ends => connection.bytes().await.map(drop),
        Deed::Answers(status, body) => loop {
            connection.request().await?;
            connection.answer(status, body).await?;
        },
        Deed::Endless(begin, more) => {
            connection.bytes().await?;
            endless(&mut connection, begin, more).await
        }
        Deed::Says(text) => {
            connection.bytes().await?;
            connection.write(text).await?;
            pending().await
        }
        Deed::Socket(what) => socket(connection, what).await,
        Deed::Session(what) => session(connection, what, &heard).await,
        Deed::Stomp(what) => stomp(connection, what).await,
    }
}

async fn endless(connection: &mut Connection, begin: &[u8], more: &[u8]) -> io::Result<()> {
    connection.write(begin).await?;
    let more = more.repeat(1 + (64 << 10) / more.len());
    loop {
        connection.write(&more).await?;
    }
}

async fn socket(mut connection: Connection, what: InSocket) -> io::Result<()> {
    let request = connection.request().await?;
    let key = request.key.ok_or(ErrorKind::InvalidData)?;
    let key = if matches!(what, InSocket::OtherKey) { "b3RoZXIga2V5IGhlcmUhIQ==".to_owned() } else { key };
    connection.upgrade(&key).await?;
    if !matches!(what, InSocket::Nothing) {
        connection.write(&framed(TEXT, b"o")).await?;
    }
    match what {
        InSocket::Nothing | InSocket::OtherKey => pending().await,
        InSocket::OpensAndEnds => Ok(()),
        InSocket::OpensAndEndless(begin, more) => endless(&mut connection, begin, more).await,
        InSocket::HearsAndSays(bytes) => {
            connection.text().await?;
            connection.write(bytes).await?;
            pending().await
        }
        InSocket::HearsAndEndless(begin, more) => {
            connection.text().await?;
            endless(&mut connection, begin, more).await
        }
        InSocket::EchoesAndSays(count, bytes) => {
            for _ in 0..count {
                let Some(text) = connection.text().await? else { return Ok(()) };
                connection.write(&framed(TEXT, format!("a{text}").as_bytes())).await?;
            }
            connection.write(bytes).await?;
            // What has come and was not read would turn the end into a reset, which takes the last words with it.
            while connection.text().await?.is_some() {}
            Ok(())
        }
    }
}

async fn session(mut connection: Connection, what: InSession, heard: &watch::Sender<bool>) -> io::Result<()> {
    let mut opened = false;
    loop {
        let request = connection.request().await?;
        let streams = request.path.ends_with("/xhr_streaming");
        if request.path.ends_with("/xhr_send") {
            let status = if let InSession::SendAnswered(status) = what { status } else { 204 };
            connection.answer(status, "").await?;
            heard.send_replace(true);
        } else if streams {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            connection.write(format!("{head}801\r\n{}\n\r\n2\r\no\n\r\n", "h".repeat(2048)).as_bytes()).await?;
            // Nobody sends before all clients are open.
            let _ = heard.subscribe().wait_for(|heard| *heard).await;
            match what {
                InSession::StreamSays(text) => return connection.write(text.as_bytes()).await,
                InSession::StreamEndless(text) => return endless(&mut connection, b"", text.as_bytes()).await,
                _ => pending().await,
            }
        } else if !std::mem::replace(&mut opened, true) {
            connection.answer(200, "o\n").await?;
        } else {
            match what {
                InSession::PollAnswered(status, body) => connection.answer(status, body).await?,
                _ => pending().await,
            }
        }
    }
}

async fn stomp(mut connection: Connection, what: InStomp) -> io::Result<()> {
    let mut greeted = false;
    loop {
        let frame = connection.bytes().await?;
        let text = match what {
            InStomp::Greets(text) => text,
            _ if !std::mem::replace(&mut greeted, true) => CONNECTED,
            InStomp::Answers(text) => text,
            InStomp::SendsBack(text) if frame.starts_with(b"SEND\n") => text,
            InStomp::SendsBack(_) => RECEIPT,
        };
        connection.write(text.as_bytes()).await?;
        if text.starts_with("ERROR") {
            // A broker may close after an ERROR; what has not been read would turn that into a reset.
            while tokio::time::timeout(Duration::from_secs(5), connection.bytes()).await.is_ok_and(|more| more.is_ok())
            {
            }
            return Ok(());
        }
    }
}
