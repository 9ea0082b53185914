//! A STOMP client that keeps a connection: it subscribes, sends, acknowledges, beats, and connects anew when the connection is lost,
//! with its subscriptions restored. What goes below is a [`Link`](super::Link): TCP, a websocket or SockJS.
//!
//! ```no_run
//! use towpath::client::stomp::{Client, Options};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options { login: Some("ann".into()), passcode: Some("secret".into()), ..Options::default() };
//! let client = Client::connect("http://127.0.0.1:8080/stomp", options).await?;
//! let mut greetings = client.subscribe("/topic/greetings").await?;
//! client.send(("/app/hello", r#"{"name":"Ann"}"#)).await?;
//! if let Some(message) = greetings.next().await {
//!     println!("{}: {:?}", message.destination(), message.text());
//! }
//! client.send_with_receipt(("/queue/work", "a job")).await?.await?;
//! client.disconnect().await?;
//! # Ok(())
//! # }
//! ```
//!
//! One task reads and writes. It stops reading while the queue of any subscription is full, so that a slow consumer slows the server
//! and nothing is dropped; receipts and the messages of other subscriptions wait behind as well. Whoever waits for a receipt while a
//! subscription that nobody reads has more messages than its queue holds waits until the receipt's time-out.
//!
//! Does not know: what carries the bytes, or what a broker does with a destination.
//!
//! | file | job |
//! |---|---|
//! | `client` | what a program calls |
//! | `message` | what is received, what is sent, and what is subscribed to |
//! | `subscription`, `transaction`, `receipt` | handles for what goes on |
//! | `event` | what happens to the connection |
//! | `driver` | the task: one conversation after the other, and the pauses between them |
//! | `conversation` | one connection: reading and writing, heart-beats |
//! | `handshake` | CONNECT and its answer |
//! | `shared` | what the task and the handles share |

mod client;
mod conversation;
mod driver;
mod error;
mod event;
mod handshake;
mod message;
mod options;
mod receipt;
mod shared;
mod subscription;
mod transaction;

pub use client::Client;
pub use error::ClientError;
pub use event::{Connected, Event, Events};
pub use message::{Message, Outgoing, Subscribe};
pub use options::{Options, Reconnect};
pub use receipt::Receipt;
pub use subscription::Subscription;
pub use transaction::Transaction;

pub use crate::stomp::{AckMode, Headers, Version};
