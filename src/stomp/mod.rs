//! STOMP 1.0, 1.1 and 1.2 as plain functions of bytes and time: the frame with its escaping rules, an incremental parser
//! with limits, and the state machine of one connection as the server sees it. Bytes go into a [`Parser`], which gives
//! [`Frame`]s; frames go into a [`Connection`], which checks them by the rules of the negotiated version and gives typed
//! [`Event`]s. What the peer did wrong comes back as a [`ProtocolError`], which knows how to become an ERROR frame.
//!
//! Does not know: sockets, SockJS, the clock, subscriptions, destinations, or who may do what.

mod command;
mod connection;
mod error;
mod escape;
mod event;
mod frame;
mod headers;
mod heart_beat;
mod parser;
mod version;

pub use command::Command;
pub use connection::{Accept, Connection, Settings};
pub use error::{ProtocolError, Violation};
pub use escape::{UndefinedEscape, escape_name_into, escape_value_into, unescape};
pub use event::{Ack, AckMode, Acknowledged, Connect, Event, Passcode, Send, Subscribe, Unsubscribe, UnsubscribeBy};
pub use frame::Frame;
pub use headers::Headers;
pub(crate) use headers::is_credential;
pub use parser::{Input, Limits, Parser};
pub use version::Version;
