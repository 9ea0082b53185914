//! The SockJS client: against towpath over each of its transports, and against servers that misbehave.
//!
//! Does not know: how the client does it.

#[path = "../support/mod.rs"]
mod support;

mod fallback;
mod requests;
mod towpath_itself;
mod trouble;
mod websocket;

use std::time::Duration;

use support::backend::{Asked, Say};
use towpath::client::sockjs::{SockJs, Transport};
use towpath::client::{Ended, Options};

/// Bounds a hang; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Only these transports, and as much time as they like: a busy machine is no reason to fall back.
fn over(transports: &[Transport]) -> Options {
    Options { transports: transports.to_vec(), transport_timeout: PATIENCE, ..Options::default() }
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    support::within(PATIENCE, what, future).await
}

async fn next(session: &mut SockJs) -> String {
    within("a message", session.receive()).await.unwrap_or_else(|ended| panic!("{ended}"))
}

async fn ended(session: &mut SockJs) -> Ended {
    within("the end", session.receive()).await.expect_err("the session ends")
}

/// Whether a request is for this: the end of its path.
fn is(asked: &Asked, what: &str) -> bool {
    let path = asked.line.split(['?', ' ']).nth(1).unwrap_or_default();
    path.ends_with(what)
}

/// Info as a server gives it that has everything.
fn info() -> Say {
    Say::status(200, r#"{"websocket":true,"cookie_needed":false,"origins":["*:*"],"entropy":1}"#)
}

/// A streaming response that goes on after this.
fn stream(frames: &str) -> Say {
    let prelude = "h".repeat(2048);
    Say::Stall(format!("HTTP/1.1 200 OK\r\n\r\n{prelude}\n{frames}").into_bytes())
}
