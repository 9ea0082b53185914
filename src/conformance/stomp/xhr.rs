//! SockJS as far as it takes to carry STOMP: its frames, and a session over streaming or polling. One task holds the receiving
//! request, and another connection sends.
//!
//! Does not know: STOMP, and whether what SockJS does here is right; the other suite looks at that.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::carrier::{Came, Carrier, Kind, Way};
use crate::wire::{Connection, Fault, Limits, Load, Request, Target};

/// Messages that wait for the check. More than any check causes; the server waits with what is beyond.
const WAITING: usize = 64;
/// The longest that a receiving request lives. The line goes before that, and takes it along.
const POLL: Duration = Duration::from_secs(300);
/// How often a receiving request may end without having brought anything before that is the end.
const EMPTY: usize = 50;

/// A frame of SockJS.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SockJs {
    Open,
    Beat,
    Messages(Vec<Bytes>),
    Close(String),
}

/// A session over streaming or polling.
pub(super) struct Xhr {
    coming: mpsc::Receiver<Result<Came, Fault>>,
    sender: Sender,
    _receiver: JoinSet<()>,
}

/// What sends.
struct Sender {
    place: Place,
    connection: Option<Connection>,
}

/// Where a session is.
#[derive(Clone)]
struct Place {
    target: Target,
    path: String,
    load: Load,
    limits: Limits,
}

/// A new session's part of the path, with that of the server.
pub(super) fn session() -> String {
    format!("000/{:016x}", rand::random::<u64>())
}

/// A message as a SockJS client sends it.
///
/// # Errors
///
/// Bytes that are no text cannot be sent.
pub(super) fn quoted(bytes: &[u8]) -> Result<String, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::Garbage("SockJS carries no bytes".to_owned()))?;
    serde_json::to_string(&[text]).map_err(|why| Fault::Garbage(why.to_string()))
}

/// The frame that these bytes are.
///
/// # Errors
///
/// [`Fault::Garbage`] if they are none.
pub(super) fn frame(bytes: &[u8]) -> Result<SockJs, Fault> {
    let garbage = || Fault::Garbage(format!("{} is no frame of SockJS", crate::wire::shown(bytes)));
    let (first, rest) = bytes.split_first().ok_or_else(garbage)?;
    match (first, rest) {
        (b'o', []) => Ok(SockJs::Open),
        // The prelude is a line of these.
        (b'h', rest) if rest.iter().all(|byte| *byte == b'h') => Ok(SockJs::Beat),
        (b'a', array) => {
            let messages: Vec<String> = serde_json::from_slice(array).map_err(|_| garbage())?;
            Ok(SockJs::Messages(messages.into_iter().map(Bytes::from).collect()))
        }
        (b'c', array) => Ok(SockJs::Close(format!("SockJS closed with c{}", String::from_utf8_lossy(array)))),
        _ => Err(garbage()),
    }
}

impl Xhr {
    /// Opens a session and waits for its open frame.
    ///
    /// # Errors
    ///
    /// Every [`Fault`].
    pub async fn open(way: &Way<'_>) -> Result<Self, Fault> {
        let path = format!("{}/{}", way.path, session());
        let place = Place { target: way.target.clone(), path, load: way.load.clone(), limits: way.limits };
        let (give, mut coming) = mpsc::channel(WAITING);
        let mut receiver = JoinSet::new();
        let (own, streaming) = (place.clone(), way.carrier == Carrier::XhrStreaming);
        let (opened, open) = tokio::sync::oneshot::channel();
        receiver.spawn(async move {
            if let Err(fault) = own.receive_all(streaming, &give, opened).await {
                let _ = give.send(Err(fault)).await;
            }
        });
        match timeout(way.limits.patience, open).await {
            Err(_) => Err(Fault::Late("open frame of SockJS", way.limits.patience)),
            Ok(Ok(())) => Ok(Self { coming, sender: Sender { place, connection: None }, _receiver: receiver }),
            // It ended before, and says why.
            Ok(Err(_)) => match coming.recv().await {
                Some(Err(fault)) => Err(fault),
                Some(Ok(Came::End(how))) => Err(Fault::Ended("the open frame of SockJS", how)),
                _ => Err(Fault::Ended("the open frame of SockJS", "end of stream".to_owned())),
            },
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.sender.send(quoted(bytes)?).await
    }

    pub async fn receive(&mut self, patience: Duration) -> Result<Came, Fault> {
        match timeout(patience, self.coming.recv()).await {
            Err(_) => Err(Fault::Late("message", patience)),
            Ok(Some(came)) => came,
            Ok(None) => Ok(Came::End("the session is over".to_owned())),
        }
    }
}

impl Place {
    /// One receiving request after the other, to the end of the session.
    async fn receive_all(
        &self,
        streaming: bool,
        give: &mpsc::Sender<Result<Came, Fault>>,
        opened: tokio::sync::oneshot::Sender<()>,
    ) -> Result<(), Fault> {
        let (mut opened, mut empty) = (Some(opened), 0);
        let request = Request::post(format!("{}/{}", self.path, if streaming { "xhr_streaming" } else { "xhr" }));
        let request = request.body("");
        let limits = Limits { patience: POLL, ..self.limits };
        let mut connection = Connection::open(&self.target, &self.load, self.limits).await?;
        connection.set_patience(POLL);
        while empty < EMPTY {
            empty += 1;
            let head = connection.begin(&request, &self.target).await?;
            if head.status != 200 {
                return Err(Fault::Garbage(format!("a receiving request was answered with {}", head.status)));
            }
            let mut buffer = BytesMut::new();
            while let Some(piece) = connection.piece().await? {
                buffer.extend_from_slice(&piece.bytes);
                while let Some(end) = memchr::memchr(b'\n', &buffer) {
                    let line = buffer.split_to(end + 1).freeze();
                    let came = match frame(line.get(..end).unwrap_or_default())? {
                        SockJs::Open => {
                            empty = 0;
                            opened.take().map(|opened| opened.send(()));
                            continue;
                        }
                        SockJs::Beat => continue,
                        SockJs::Messages(messages) => messages,
                        SockJs::Close(how) => {
                            let _ = give.send(Ok(Came::End(how))).await;
                            return Ok(());
                        }
                    };
                    empty = 0;
                    for message in came {
                        if give.send(Ok(Came::Bytes(Kind::Text, message))).await.is_err() {
                            return Ok(());
                        }
                    }
                }
            }
            if head.has_token("Connection", "close") || head.version == "HTTP/1.0" {
                connection = Connection::open(&self.target, &self.load, limits).await?;
            }
        }
        Err(Fault::Garbage(format!("{EMPTY} receiving requests brought nothing and ended")))
    }
}

impl Sender {
    async fn send(&mut self, body: String) -> Result<(), Fault> {
        let place = &self.place;
        let request = Request::post(format!("{}/xhr_send", place.path)).header("Content-Type", "text/plain").body(body);
        let mut answer = Err(Fault::Ended("the send was answered", String::new()));
        // A connection that was kept may have been closed meanwhile.
        if let Some(kept) = &mut self.connection {
            answer = kept.ask(&request, &place.target).await;
        }
        if matches!(answer, Err(Fault::Ended(..))) {
            self.connection = None;
            let connection = Connection::open(&place.target, &place.load, place.limits).await?;
            answer = self.connection.insert(connection).ask(&request, &place.target).await;
        }
        let head = answer?.head;
        if head.has_token("Connection", "close") || head.version == "HTTP/1.0" {
            self.connection = None;
        }
        match head.status {
            200 | 204 => Ok(()),
            status => Err(Fault::Ended("what was sent was taken", format!("xhr_send answered {status}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart() {
        assert_eq!(frame(b"o"), Ok(SockJs::Open));
        assert_eq!(frame(b"h"), Ok(SockJs::Beat));
        assert_eq!(frame(&[b'h'; 2048]), Ok(SockJs::Beat));
        let messages = SockJs::Messages(vec![Bytes::from_static(b"\n"), Bytes::from_static(b"x\0")]);
        assert_eq!(frame(br#"a["\n","x\u0000"]"#), Ok(messages));
        assert!(matches!(frame(br#"c[3000,"Go away!"]"#), Ok(SockJs::Close(how)) if how.contains("3000")));
        for garbage in [&b""[..], b"a[1]", b"x", b"<html>", b"oo"] {
            assert!(matches!(frame(garbage), Err(Fault::Garbage(_))), "{garbage:?}");
        }
    }

    #[test]
    fn messages_are_sent_as_texts_in_an_array() {
        assert_eq!(quoted(b"SEND\n\n\0").unwrap(), "[\"SEND\\n\\n\\u0000\"]");
        assert!(quoted(&[0xff]).is_err());
    }
}
