//! The two XHR transports: frames are the lines of responses, which are asked for again as soon as they end, and what is sent goes
//! in a request of its own, one at a time with all that is pending.
//!
//! Does not know: HTTP's connections.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::frame::Frame;
use super::http::{Http, Place, chain, collect};
use super::lines::{Lines, TooLong};
use super::websocket::array;
use super::{Attempt, Ended, Options, Transport};
use crate::client::ended::Cause;
use crate::client::pipe::{Inlet, Orders, Pipe};
use crate::client::stream::within;

/// Responses without any frame, one behind the other, after which a session is given up: to ask for ever would be an attack.
const EMPTY_ANSWERS: usize = 16;

/// The largest answer to a request that carries messages. It should have no body at all.
const MAX_ANSWER: usize = 64 << 10;

/// How long a `c` frame is waited for when a request with messages has failed: it may be on its way, and says more.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Opens a session; it is open when the open frame has come.
pub(super) async fn open(
    place: &Arc<Place>,
    below: &str,
    transport: Transport,
    options: &Options,
) -> Result<Pipe<String>, Attempt> {
    let mut receiver = Receiver {
        place: Arc::clone(place),
        http: Http::default(),
        resource: place.resource(&format!("{below}{transport}")),
        body: None,
        lines: Lines::new(options.max_frame),
        frames: 0,
        empty_answers: 0,
    };
    loop {
        match receiver.frame().await? {
            Frame::Open => break,
            Frame::Heartbeat => {}
            Frame::Close(code, reason) => return Err(Ended::closed(Some(code), reason).into()),
            Frame::Messages(_) => return Err(Ended::violation("messages come before the open frame").into()),
        }
    }
    let sender = Sender {
        place: Arc::clone(place),
        http: Http::default(),
        resource: place.resource(&format!("{below}xhr_send")),
        patience: options.request_timeout,
    };
    let idle = options.idle_timeout;
    Ok(Pipe::spawn(options.max_pending, options.close_timeout, move |inlet, orders| async move {
        let receiving = receiver.run(inlet, idle);
        tokio::pin!(receiving);
        let sent = tokio::select! {
            ended = &mut receiving => return ended,
            sent = sender.run(orders) => sent,
        };
        match sent {
            Ok(()) => Ended::own(),
            Err(ended) => match timeout(LAST_WORDS, receiving).await {
                Ok(close) if close.cause == Cause::Closed => close,
                _ => ended,
            },
        }
    }))
}

/// The messages of a frame of an open session, or the end of it.
pub(super) fn messages(frame: Frame) -> Result<Vec<String>, Ended> {
    match frame {
        Frame::Messages(messages) => Ok(messages),
        Frame::Heartbeat => Ok(Vec::new()),
        Frame::Open => Err(Ended::new(Cause::Lost, Some(Ended::ABNORMAL), "Server lost session")),
        Frame::Close(code, reason) => Err(Ended::closed(Some(code), reason)),
    }
}

struct Receiver {
    place: Arc<Place>,
    http: Http,
    resource: String,
    /// The response that is being read.
    body: Option<Incoming>,
    lines: Lines,
    /// How many came in this response.
    frames: usize,
    empty_answers: usize,
}

impl Receiver {
    async fn run(mut self, inlet: Inlet<String>, idle: Option<Duration>) -> Ended {
        loop {
            let frame = match within(idle, self.frame()).await {
                Ok(Ok(frame)) => frame,
                Ok(Err(ended)) | Err(ended) => return ended,
            };
            match messages(frame) {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => {
                    if inlet.send(messages).await.is_err() {
                        // Whoever closes wants nothing more, and there is no goodbye to wait for.
                        std::future::pending::<()>().await;
                    }
                }
                Err(ended) => return ended,
            }
        }
    }

    async fn frame(&mut self) -> Result<Frame, Ended> {
        loop {
            match self.lines.next() {
                Ok(Some(line)) => {
                    self.frames += 1;
                    return Frame::parse(&line).map_err(Ended::violation);
                }
                Ok(None) => {}
                Err(TooLong) => return Err(Ended::violation("a frame is longer than allowed")),
            }
            let Some(body) = &mut self.body else {
                self.ask().await?;
                continue;
            };
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.lines.feed(data);
                    }
                }
                Some(Err(error)) => return Err(abnormal(chain(&error))),
                None => self.answered()?,
            }
        }
    }

    async fn ask(&mut self) -> Result<(), Ended> {
        let asked = self.http.ask(&self.place, Method::POST, &self.resource, Bytes::new()).await;
        let response = asked.map_err(abnormal)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(abnormal(format!("a receiving request was answered with status {status}")));
        }
        self.frames = 0;
        self.body = Some(response.into_body());
        Ok(())
    }

    /// A response is at its end.
    fn answered(&mut self) -> Result<(), Ended> {
        self.body = None;
        self.http.idle();
        if self.lines.unfinished() {
            return Err(abnormal("a response ended inside a frame"));
        }
        self.empty_answers = if self.frames == 0 { self.empty_answers + 1 } else { 0 };
        if self.empty_answers >= EMPTY_ANSWERS {
            return Err(Ended::violation(format!("{EMPTY_ANSWERS} responses had no frame in them")));
        }
        Ok(())
    }
}

struct Sender {
    place: Arc<Place>,
    http: Http,
    resource: String,
    patience: Duration,
}

impl Sender {
    async fn run(mut self, mut orders: Orders<String>) -> Result<(), Ended> {
        while let Some(batch) = orders.batch().await {
            let body = array(&batch.messages).freeze();
            let patience = self.patience;
            let late = |_| abnormal(format!("messages were not taken within {patience:?}"));
            timeout(patience, self.post(body)).await.map_err(late)??;
        }
        Ok(())
    }

    async fn post(&mut self, body: Bytes) -> Result<(), Ended> {
        let response = self.http.ask(&self.place, Method::POST, &self.resource, body).await.map_err(abnormal)?;
        let status = response.status().as_u16();
        if !matches!(status, 200 | 204) {
            return Err(abnormal(format!("messages were answered with status {status}")));
        }
        collect(response.into_body(), MAX_ANSWER).await.map_err(abnormal)?;
        self.http.idle();
        Ok(())
    }
}

fn abnormal(reason: impl Into<String>) -> Ended {
    Ended::new(Cause::Lost, Some(Ended::ABNORMAL), reason)
}
