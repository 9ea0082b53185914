//! Receiving transports: xhr, xhr_streaming, eventsource, htmlfile and jsonp are one piece of code over five rows of the
//! table. A poll waits for its one frame and answers with a whole response; a stream is a body that pulls frames from the
//! session until its limit is reached.
//!
//! Does not know: what the frames contain.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Context, ready};

use bytes::{Bytes, BytesMut};
use hyper::{Response, StatusCode};

use super::receiver::{Admission, Receiver};
use super::reply::Asker;
use super::{Body, reply};
use crate::connection::now;
use crate::gateway::{Endpoint, Gateway, Visitor};
use crate::session::{Drained, Output, Wire};
use crate::sockjs::route::{ResponseLimit, Row};
use crate::sockjs::{Callback, Close, Framing};

/// What a receiving request leads to.
pub(super) enum Received {
    /// Its answer, or the beginning of it.
    Answered(Response<Body>),
    /// A poll that waits for its one frame.
    Waiting(Box<Poll>),
}

/// A poll that waits for one frame. It may wait for long, and holds nothing of the request meanwhile. If the connection breaks,
/// this is dropped and the receiver with it.
pub(super) struct Poll {
    row: &'static Row,
    framing: Framing,
    receiver: Receiver,
    asker: Asker,
}

impl From<Response<Body>> for Received {
    fn from(response: Response<Body>) -> Self {
        Self::Answered(response)
    }
}

/// Attaches for a receiving request.
pub(super) async fn receive(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    row: &'static Row,
    session: &str,
    visitor: Option<Box<Visitor>>,
    callback: Option<Callback>,
    asker: Asker,
) -> Received {
    let dressed = |mut response| {
        reply::dress(&mut response, row, endpoint.settings(), &asker);
        Received::Answered(response)
    };
    let Some(framing) = row.transport.framing(callback.as_ref()) else {
        // Only senders and raw sockets have no framing, and they are not routed here.
        return dressed(reply::not_found());
    };
    let prelude = row.prelude.bytes(callback.as_ref()).map(|bytes| Bytes::from(bytes.into_owned()));
    let admission =
        match Receiver::attach(gateway, endpoint, session, row.name, Visitor::or_nobody(visitor.as_deref())).await {
            Ok(admission) => admission,
            Err(full) => return dressed(reply::text(StatusCode::SERVICE_UNAVAILABLE, full)),
        };
    let receiver = match admission {
        Admission::Attached(receiver) => receiver,
        Admission::Busy => return dressed(last_word(row, prelude, &framing, &Close::STILL_OPEN)),
        Admission::Closing(reason) => return dressed(last_word(row, prelude, &framing, &reason.close())),
        // As if there were none: that it exists is nobody else's business either.
        Admission::Foreign => return dressed(reply::not_found()),
    };
    match row.limit {
        ResponseLimit::OneFrame => Received::Waiting(Box::new(Poll { row, framing, receiver, asker })),
        ResponseLimit::Bytes | ResponseLimit::Never => {
            let limit = endpoint.settings().response_limit;
            let stream = Stream { prelude, framing, receiver, limit, sent: 0, ended: false };
            dressed(answer(row, Body::Stream(Box::new(stream))))
        }
    }
}

impl Future for Poll {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> task::Poll<Response<Body>> {
        let mut out = Output::new();
        loop {
            let Self { receiver, framing, .. } = &*self;
            let wire = Wire::Sockjs(framing);
            let drained = ready!(receiver.session().poll_drain(cx, receiver.id(), wire, usize::MAX, now(), &mut out));
            // A poll has no use for a ping: its session has none.
            if drained != Drained::Ping {
                break;
            }
        }
        self.receiver.done();
        let Self { row, receiver, asker, .. } = &*self;
        let mut response = answer(row, Body::Full(out.take_bytes()));
        reply::dress(&mut response, row, receiver.endpoint().settings(), asker);
        task::Poll::Ready(response)
    }
}

/// The body of a streaming response.
#[derive(Debug)]
pub struct Stream {
    prelude: Option<Bytes>,
    framing: Framing,
    receiver: Receiver,
    /// Bytes of frames after which the response ends.
    limit: usize,
    sent: usize,
    ended: bool,
}

impl Stream {
    /// The next chunk: the prelude, then one frame at a time.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> task::Poll<Option<Bytes>> {
        if let Some(prelude) = self.prelude.take() {
            return task::Poll::Ready(Some(prelude));
        }
        if self.ended {
            return task::Poll::Ready(None);
        }
        let mut out = Output::new();
        loop {
            let budget = self.limit.saturating_sub(self.sent);
            let wire = Wire::Sockjs(&self.framing);
            let drained =
                ready!(self.receiver.session().poll_drain(cx, self.receiver.id(), wire, budget, now(), &mut out));
            match drained {
                Drained::Ping => continue,
                Drained::Frames | Drained::All => {
                    self.sent += out.len();
                    if self.sent < self.limit {
                        break;
                    }
                }
                Drained::Closed(_) | Drained::Gone => {}
            }
            self.ended = true;
            self.receiver.done();
            break;
        }
        let chunk = out.take_bytes();
        task::Poll::Ready(if chunk.is_empty() { None } else { Some(chunk) })
    }
}

/// A whole response for a receiver that is not to stay: what every response of its transport begins with, then the close.
fn last_word(row: &Row, prelude: Option<Bytes>, framing: &Framing, close: &Close) -> Response<Body> {
    let mut frame = BytesMut::new();
    framing.close(close, &mut frame);
    answer(row, Body::Chunks(prelude.into_iter().chain([frame.freeze()]).collect()))
}

fn answer(row: &Row, body: Body) -> Response<Body> {
    match row.content_type {
        Some(content_type) => reply::with_type(StatusCode::OK, content_type, body),
        None => Response::new(body),
    }
}
