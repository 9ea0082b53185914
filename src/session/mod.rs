//! One client, whatever the transport. A [`Session`] holds what a client's conversation needs while it lasts: the
//! [`Protocol`] that reads its messages, and the outbox from which every transport pulls what is to be sent. The
//! [`Registry`] finds the sessions of one endpoint by the id that clients chose, and [`Deadlines`] is the one clockwork
//! that fires all their time-outs.
//!
//! Everything here is synchronous; the time is an argument. Locks are taken in the order inbound, then outbox or
//! deadlines, and nothing is called under the outbox lock but queue operations.
//!
//! Does not know: HTTP, sockets, destinations, or who else is connected.

mod close;
mod deadlines;
mod drain;
mod message;
mod outbox;
mod protocol;
mod registry;
#[allow(clippy::module_inception)]
mod session;
mod subscription;

pub use close::CloseReason;
pub use deadlines::Deadlines;
pub use drain::{Drained, Output, Sink, Wire};
pub use message::Message;
pub use outbox::{Item, Queued};
pub use protocol::Protocol;
pub use registry::{Opened, Registry, RegistryFull};
pub use session::{Attach, Carrier, Departure, Flow, Name, ReceiverId, Session, Timeout};
pub use subscription::{Delivery, Passed, Screen, Source, Subscription, Tag, Traits};
