//! Clients of SockJS and STOMP servers, for links from server to server and for load tests: [`sockjs`] over the transport that
//! the network lets through, [`stomp`] over that, over a bare websocket or over TCP, and [`Link`], what is below STOMP. A
//! connection is one task and two bounded queues: who sends waits while much is pending, and what nobody receives is not read.
//!
//! Does not know: the server side of towpath, its own kind of server among all the others.
//!
//! | module | job |
//! |---|---|
//! | [`sockjs`] | a SockJS session: info, fallback, the three transports that a program needs |
//! | [`stomp`] | a STOMP client: subscriptions, receipts, transactions, heart-beats, reconnecting |
//! | `link` | one connection that carries STOMP's bytes, whatever is below |
//! | `pipe` | the two queues between a connection's task and its owner |
//! | `stream`, `websocket` | the tasks of TCP and of websockets |

mod ended;
mod link;
mod options;
mod pipe;
pub mod sockjs;
pub mod stomp;
mod stream;
mod websocket;

pub use ended::{Cause, Ended, OpenError};
pub use link::{Link, Via};
pub use options::Options;
