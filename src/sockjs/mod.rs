//! The SockJS protocol as pure functions: what a URL means, how a frame is written for each transport, how a client's
//! payload is read, and the literal pages and header values the protocol fixes. Bytes in, bytes out; everything here is
//! usable by the server and by the client side alike.
//!
//! Does not know: sessions, queues, time, sockets, HTTP types, configuration, STOMP.
//!
//! | file | job |
//! |---|---|
//! | [`route`] | the part of a path below an endpoint, and the table of transports |
//! | [`callback`] | the checked callback name of htmlfile and jsonp |
//! | [`payload`] | client to server: the array of strings in a body, a form or a websocket message |
//! | [`quote`] | server to client: one message text as JSON string content, in three encodings |
//! | [`frame`] | server to client: `o`, `h`, `a[...]`, `c[...]` as each transport writes them |
//! | [`close`] | close codes and reasons |
//! | [`pages`], [`mod@info`] | greeting, iframe page, htmlfile page, preludes, the info object |
//! | [`headers`] | header values compared byte for byte by clients and by the protocol suite |

pub mod callback;
pub mod close;
pub mod frame;
pub mod headers;
pub mod info;
pub mod pages;
pub mod payload;
pub mod quote;
pub mod route;

pub use callback::{Callback, CallbackError};
pub use close::Close;
pub use frame::Framing;
pub use info::info;
pub use payload::{PayloadError, PayloadLimits, decode_form, decode_messages, decode_websocket};
pub use quote::{Encoding, quote_into};
pub use route::{Asked, Methods, Prelude, ResponseLimit, Role, Route, Row, Transport};
