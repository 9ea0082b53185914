//! Where an application looks at what passes: interceptors see, change or refuse frames on their way in and messages on their
//! way out; listeners hear who comes and goes. Both are called inline, so they must be quick; one that panics ends the session
//! that it was called for and no other.
//!
//! Does not know: which frames exist beyond those that an application has business with.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::answers::Failure;
use super::{Caller, Principal};
use crate::publication::Publication;
use crate::session::{CloseReason, Passed, Screen};
use crate::stomp::Headers;

/// Looks at frames on their way in and at messages on their way out.
pub trait Interceptor: Send + Sync {
    /// A frame of a client, before it is checked against rules and handled. It may be changed.
    ///
    /// # Errors
    /// A [`Failure`] refuses the frame. A refused CONNECT ends the session, as a fatal failure does.
    fn inbound(&self, frame: &mut Inbound<'_>) -> Result<(), Failure> {
        let _ = frame;
        Ok(())
    }

    /// A message that is about to be written to one client. It may be changed, for this client only.
    fn outbound(&self, message: &mut Outbound<'_>, recipient: &Caller) -> Pass {
        let _ = (message, recipient);
        Pass::Through
    }

    /// Whether [`outbound`](Self::outbound) is to be called at all: without it, messages are encoded once for all their
    /// receivers.
    fn looks_at_outbound(&self) -> bool {
        false
    }
}

/// A frame on its way in.
#[derive(Debug)]
pub enum Inbound<'a> {
    /// CONNECT of somebody who is known by now.
    Connect {
        /// Who it is.
        principal: &'a Principal,
        /// The headers of CONNECT, without credentials.
        headers: &'a Headers,
    },
    /// SEND.
    Send {
        /// Who sends.
        caller: &'a Caller,
        /// Where to.
        destination: &'a mut String,
        /// The headers that its MESSAGE will have.
        headers: &'a mut Headers,
        /// The body.
        body: &'a mut Bytes,
    },
    /// SUBSCRIBE.
    Subscribe {
        /// Who subscribes.
        caller: &'a Caller,
        /// To what.
        destination: &'a mut String,
        /// The other headers, `selector` among them.
        headers: &'a mut Headers,
    },
}

/// A message on its way out.
#[derive(Debug)]
pub struct Outbound<'a> {
    original: &'a Arc<Publication>,
    changed: Option<(Headers, Bytes)>,
}

/// What an interceptor says of a message on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// It may go out, with whatever was changed.
    Through,
    /// This client does not get it. Where it would have to be acknowledged, it counts as rejected.
    KeepBack,
}

/// Something that happened to a client.
#[derive(Debug)]
pub enum Event<'a> {
    /// Its CONNECT was accepted.
    Connected(&'a Caller),
    /// It has subscribed.
    Subscribed {
        /// Who.
        caller: &'a Caller,
        /// To what.
        destination: &'a str,
        /// By which id; empty where STOMP 1.0 has none.
        id: &'a str,
    },
    /// It has unsubscribed.
    Unsubscribed {
        /// Who.
        caller: &'a Caller,
        /// By which id; in STOMP 1.0 perhaps the destination.
        id: &'a str,
    },
    /// Its session has ended; there is no word for each of its subscriptions.
    Disconnected {
        /// Who.
        caller: &'a Caller,
        /// Why.
        reason: &'a CloseReason,
    },
}

/// Hears of events.
pub type Listener = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// All of an application's interceptors and listeners.
#[derive(Clone, Default)]
pub struct Hooks {
    /// In the order in which they see a frame that comes in; for messages that go out it is the other way round.
    pub interceptors: Vec<Arc<dyn Interceptor>>,
    /// In the order in which they hear.
    pub listeners: Vec<Listener>,
}

/// An interceptor or listener has panicked.
#[derive(Debug)]
pub(super) struct Panicked;

impl Outbound<'_> {
    /// Where the message was published.
    pub fn destination(&self) -> &str {
        self.original.destination()
    }

    /// Its headers as they are now.
    pub fn headers(&self) -> &Headers {
        self.changed.as_ref().map_or(self.original.headers(), |(headers, _)| headers)
    }

    /// Its body as it is now.
    pub fn body(&self) -> &Bytes {
        self.changed.as_ref().map_or(self.original.body(), |(_, body)| body)
    }

    /// Its headers, to be changed.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.changed().0
    }

    /// Gives it another body.
    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.changed().1 = body.into();
    }

    fn changed(&mut self) -> &mut (Headers, Bytes) {
        let original = self.original;
        self.changed.get_or_insert_with(|| (original.headers().clone(), original.body().clone()))
    }
}

impl Hooks {
    /// Shows a frame to all interceptors, until one refuses it.
    pub(super) fn inbound(&self, frame: &mut Inbound<'_>) -> Result<(), Failure> {
        for interceptor in &self.interceptors {
            let seen = catch_unwind(AssertUnwindSafe(|| interceptor.inbound(frame)));
            seen.unwrap_or_else(|_| Err(Failure::fatal("the application failed")))?;
            if let Inbound::Send { headers, .. } = frame {
                // What the gateway says itself nobody else says.
                headers.keep_for_message();
            }
        }
        Ok(())
    }

    /// Tells all listeners, those behind one that panics, too.
    pub(super) fn tell(&self, event: &Event<'_>) -> Result<(), Panicked> {
        let mut told = Ok(());
        for listener in &self.listeners {
            told = catch_unwind(AssertUnwindSafe(|| listener(event))).map_err(|_| Panicked).and(told);
        }
        told
    }

    /// What sees the messages of a client's subscriptions before they are written, if anything does.
    pub(super) fn screen(&self, recipient: &Caller) -> Option<Arc<dyn Screen>> {
        let looking = |interceptor: &&Arc<dyn Interceptor>| interceptor.looks_at_outbound();
        let interceptors: Vec<_> = self.interceptors.iter().rev().filter(looking).cloned().collect();
        if interceptors.is_empty() {
            return None;
        }
        Some(Arc::new(Screens { interceptors, recipient: recipient.clone() }))
    }
}

/// The interceptors on the way to one client.
struct Screens {
    interceptors: Vec<Arc<dyn Interceptor>>,
    recipient: Caller,
}

impl Screen for Screens {
    fn screen(&self, publication: &Arc<Publication>) -> Passed {
        let mut message = Outbound { original: publication, changed: None };
        for interceptor in &self.interceptors {
            let pass = catch_unwind(AssertUnwindSafe(|| interceptor.outbound(&mut message, &self.recipient)));
            match pass {
                Ok(Pass::Through) => {}
                Ok(Pass::KeepBack) => return Passed::KeptBack,
                // It has not said that the message may go out, and a message that is missing must not go unnoticed.
                Err(_) => return Passed::Broken,
            }
        }
        let Some((mut headers, body)) = message.changed else { return Passed::AsIs };
        // What the gateway says itself nobody else says.
        headers.keep_for_message();
        Passed::Instead(Arc::new(publication.changed(headers, body)))
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks")
            .field("interceptors", &self.interceptors.len())
            .field("listeners", &self.listeners.len())
            .finish()
    }
}
