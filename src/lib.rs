//! Towpath is a fallback gateway: browsers reach it over whatever SockJS transport their network lets through, and what
//! they say reaches an embedded STOMP broker.
//!
//! # The tour
//!
//! A request arrives at [`http`], which parses it with the pure functions of [`sockjs`] and hands its messages to the
//! [`gateway`]. There a [`session`] stands for the client whatever its transport; its protocol, mostly STOMP, parsed by the
//! pure state machines of [`stomp`], acts on the [`broker`]. The broker puts a [`publication`] into the outboxes of all
//! subscribers and wakes whoever drains them; the drain encodes once for all and writes once for everything that waits.
//! Backends, who speak STOMP over plain TCP, enter the gateway beside [`http`] and share all that is below.
//!
//! Everything between [`http`] and the sockets of others is synchronous and knows no clock: time and bytes are arguments.
//!
//! # Running one
//!
//! ```no_run
//! use towpath::{config::Config, server::Server};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::default();
//! let server = Server::bind(&config, None).await?;
//! println!("http://{}", server.address());
//! server.run(std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Looking at other servers
//!
//! [`client`] speaks to any server of SockJS and STOMP, [`conformance`] checks one against the rules of the protocols, and [`doctor`]
//! looks at what stands between a client and its server. They share [`wire`]. [`bench`](mod@bench) loads a server and counts what comes back, with a
//! client of its own that costs little. None of them knows the modules above.

#![forbid(unsafe_code)]

/// The documents' programs are compiled with the documentation tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/application.md")]
    struct Application;
    #[doc = include_str!("../docs/client.md")]
    struct Client;
    #[doc = include_str!("../docs/spring.md")]
    struct Spring;
}

pub mod application;
pub mod auth;
pub mod bench;
mod bridge;
pub mod broker;
pub mod client;
mod clock;
pub mod config;
pub mod conformance;
mod connection;
mod dial;
pub mod doctor;
mod fetch;
pub mod gateway;
pub mod http;
pub mod metrics;
pub mod mount;
mod pause;
pub mod publication;
pub mod server;
pub mod session;
pub mod sockjs;
pub mod stomp;
mod tcp;
pub mod webhook;
pub mod wire;
