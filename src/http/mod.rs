//! The HTTP surface: what arrives as a request leaves as a call of the gateway, and what waits in a session leaves as a
//! response body or over a websocket. This is the asynchronous shell: it waits, it reads the clock, it holds sockets.
//!
//! | file | job |
//! |---|---|
//! | `service` | one request: host and method checks, route, origin, dispatch |
//! | `origin` | who may ask |
//! | `reply` | header sets and error answers |
//! | `pages` | greeting, info, iframe page, landing page, metrics |
//! | `receiver` | the guard that every attached receiver holds |
//! | `stream` | receiving transports: polls and streams |
//! | `send` | sending transports: xhr_send, jsonp_send |
//! | `websocket` | handshake, and `socket`, the life of an open one, with its `packets` |
//! | `collect` | request bodies |
//! | `api` | the HTTP API for backends |
//! | `body` | the one response body type |
//!
//! Does not know: STOMP beyond its websocket subprotocols, destinations, listeners.

mod api;
mod body;
mod collect;
mod origin;
mod packets;
mod pages;
mod receiver;
mod reply;
mod send;
mod service;
mod socket;
mod stream;
mod websocket;

pub use api::{Api, ApiService};
pub use body::Body;
pub use service::{Answering, BoxError, HttpService, RenderMetrics, Settings};
