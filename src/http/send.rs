//! Sending transports: xhr_send and jsonp_send. The session is looked up before the body is read, so that nobody can make
//! us collect bodies for sessions that do not exist; collecting the body is the only wait.
//!
//! Does not know: what the messages mean.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Body as HttpBody;
use hyper::header;
use hyper::{HeaderMap, Response, StatusCode};

use super::service::{BoxError, Settings};
use super::{Body, collect, reply};
use crate::config;
use crate::connection::now;
use crate::gateway::{Endpoint, Gateway, Visitor};
use crate::metrics;
use crate::pause::Pause;
use crate::session::{Flow, Message};
use crate::sockjs::route::{Row, Transport};
use crate::sockjs::{self, PayloadError, PayloadLimits};

/// Answers a sending request.
#[allow(clippy::too_many_arguments)]
pub(super) async fn send<B>(
    gateway: &Arc<Gateway>,
    settings: &Settings,
    endpoint: &Arc<Endpoint>,
    row: &'static Row,
    session: &str,
    visitor: Option<Box<Visitor>>,
    request: &HeaderMap,
    body: B,
) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    let Some(session) = gateway.find(endpoint, session, Visitor::or_nobody(visitor.as_deref()), now()) else {
        return reply::not_found();
    };
    let body = match read(body, endpoint.settings(), settings).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let form = row.transport == Transport::JsonpSend && is_form(request);
    let decoded = if form { sockjs::decode_form(&body).map(Bytes::from).unwrap_or_default() } else { body };
    let limits = limits(endpoint.settings());
    let messages = match sockjs::decode_messages(&decoded, &limits) {
        Ok(messages) => messages,
        Err(error) => return refuse(&error),
    };
    let messages: Vec<_> = messages.into_iter().map(Message::text).collect();
    // While the client is held up, what it sends waits here, where it goes with its request. Whoever aborts one request
    // after the other would pile it up in the session otherwise.
    let mut pause = Pause::default();
    pause.after(gateway.resume(&session, now()));
    poll_fn(|cx| pause.poll_over(cx, gateway, &session, now)).await;
    let flow = gateway.receive(&session, messages, now());
    if flow == Flow::Gone {
        return reply::not_found();
    }
    // The client sends its next request when this one is answered.
    pause.after(flow);
    poll_fn(|cx| pause.poll_over(cx, gateway, &session, now)).await;
    accepted(row)
}

/// The limits of one payload.
pub(super) fn limits(endpoint: &config::Endpoint) -> PayloadLimits {
    PayloadLimits { messages: endpoint.max_messages, message: endpoint.max_message }
}

/// Whether a payload was refused because of a limit; if so, counts it under the limit's configuration key.
pub(super) fn breaks_limit(error: &PayloadError) -> bool {
    let key = match error {
        PayloadError::TooManyMessages { .. } => "max_messages",
        PayloadError::MessageTooLarge { .. } => "max_message",
        PayloadError::Expected | PayloadError::Broken => return false,
    };
    metrics::limit_reached(key);
    true
}

/// Reads the whole body, up to `max_body` bytes and for `body_timeout`.
async fn read<B>(body: B, endpoint: &config::Endpoint, settings: &Settings) -> Result<Bytes, Response<Body>>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    let limit = endpoint.max_body;
    let too_large = || {
        metrics::limit_reached("max_body");
        reply::text(
            StatusCode::PAYLOAD_TOO_LARGE,
            format_args!("The body is larger than this endpoint's max_body, {limit} bytes"),
        )
    };
    collect::collect(body, limit, settings.body_timeout).await.map_err(|failed| match failed {
        collect::Failed::TooLarge => too_large(),
        collect::Failed::Broken => reply::text(StatusCode::BAD_REQUEST, "The body ended before its end"),
        collect::Failed::Late => {
            metrics::limit_reached("body_timeout");
            let mut late = reply::text(StatusCode::REQUEST_TIMEOUT, "The body did not arrive within body_timeout");
            reply::set(&mut late, header::CONNECTION, "close");
            late
        }
    })
}

fn refuse(error: &PayloadError) -> Response<Body> {
    let status = if breaks_limit(error) { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::INTERNAL_SERVER_ERROR };
    reply::text(status, error)
}

fn accepted(row: &Row) -> Response<Body> {
    let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::OK);
    match row.content_type {
        Some(content_type) => reply::with_type(status, content_type, row.body),
        None => reply::bare(status),
    }
}

fn is_form(request: &HeaderMap) -> bool {
    reply::request_text(request, &header::CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}
