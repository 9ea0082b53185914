//! What the integration tests share: a gateway in the test's own runtime, and clients that speak to it byte by byte or
//! frame by frame. Every test file says `mod support;` and takes what it needs.
//!
//! | module | what it gives |
//! |---|---|
//! | `gateway` | [`Gateway`]: over TCP, or in memory under tokio's paused clock |
//! | `http` | [`Request`], [`Response`], [`Http`]: HTTP/1 as it is on the wire, chunk by chunk |
//! | `websocket` | [`WebSocket`]: a websocket client |
//! | `client` | [`Client`]: one client over every [`Transport`], SockJS's and the plain ones |
//! | `stomp` | [`stomp::Stomp`]: STOMP frames over such a client |
//! | `backend` | [`backend::Backend`]: an HTTP server that says what a test wants |
//! | `metrics` | [`metrics::Meter`]: what the gateway counted |
//! | `log` | [`log::Log`]: what the gateway logged |
//! | `proof` | [`proof::Proof`]: what a request proves who it comes from by; tokens, and the time that they count by |
//!
//! Nothing here sleeps. Waits end when what is waited for arrives, or fail after the connection's
//! [patience](Stream::patience).
//!
//! Does not know: what any test wants to see.

// Each test binary compiles all of this and uses its own part of it.
#![allow(dead_code, unused_imports)]

pub mod backend;
mod client;
mod gateway;
mod http;
pub mod log;
pub mod metrics;
pub mod proof;
pub mod stomp;
mod websocket;

pub use client::{Client, Ended, Frame, Transport};
pub use gateway::{Connector, Gateway, Stream, echo, serving, test_services};
pub use http::{Http, Request, Response, percent_encode};
pub use websocket::WebSocket;

use std::time::Duration;

/// Waits for `future`, and fails the test with `what` in words when it takes longer than `patience`.
pub async fn within<T>(patience: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(patience, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {patience:?} in vain: {what}"),
    }
}
