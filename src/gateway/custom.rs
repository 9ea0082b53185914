//! Services that an application brings along: what answers a session is made by the application, and whatever it breaks, it
//! breaks for that session only.
//!
//! Does not know: what such a service does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Principal;
use crate::session::{CloseReason, Message, Protocol, Session};

/// Makes what answers one session, for whoever its requests prove its client to be.
pub type Factory = Arc<dyn Fn(&Principal) -> Box<dyn Protocol> + Send + Sync>;

/// The application's protocol of one session. None: it has panicked.
pub(super) struct Custom(Option<Box<dyn Protocol>>);

impl Custom {
    pub fn new(make: &Factory, principal: &Principal) -> Self {
        let made = catch_unwind(AssertUnwindSafe(|| make(principal)));
        Self(made.inspect_err(|_| complain()).ok())
    }

    /// A panic must not get further: deadlines of all sessions fire in one task.
    fn call<T>(&mut self, work: impl FnOnce(&mut dyn Protocol) -> T) -> Option<T> {
        let inner = self.0.as_deref_mut()?;
        let done = catch_unwind(AssertUnwindSafe(|| work(inner)));
        if done.is_err() {
            complain();
            self.0 = None;
        }
        done.ok()
    }

    fn ask<T>(&self, question: impl FnOnce(&dyn Protocol) -> Option<T>) -> Option<T> {
        let inner = self.0.as_deref()?;
        catch_unwind(AssertUnwindSafe(|| question(inner))).ok()?
    }
}

fn complain() {
    tracing::error!("a service of the application has panicked; the session that it served ends");
}

impl Protocol for Custom {
    fn opened(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        self.call(|inner| inner.opened(session, now)).unwrap_or(Err(CloseReason::ApplicationFailed))
    }

    fn receive(&mut self, session: &Arc<Session>, message: Message, now: Instant) -> Result<(), CloseReason> {
        self.call(|inner| inner.receive(session, message, now)).unwrap_or(Err(CloseReason::ApplicationFailed))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.ask(|inner| inner.poll_timeout())
    }

    fn handle_timeout(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        self.call(|inner| inner.handle_timeout(session, now)).unwrap_or(Err(CloseReason::ApplicationFailed))
    }

    fn closing(&mut self, session: &Arc<Session>, reason: &CloseReason) {
        let _ = self.call(|inner| inner.closing(session, reason));
    }

    fn pause(&self) -> Option<Duration> {
        self.ask(|inner| inner.pause())
    }

    fn is_waiting(&self) -> bool {
        self.ask(|inner| Some(inner.is_waiting())).unwrap_or_default()
    }

    fn resume(&mut self, session: &Arc<Session>, now: Instant) -> Result<(), CloseReason> {
        self.call(|inner| inner.resume(session, now)).unwrap_or(Err(CloseReason::ApplicationFailed))
    }

    fn closed(&mut self, session: &Arc<Session>, reason: &CloseReason, now: Instant) {
        let _ = self.call(|inner| inner.closed(session, reason, now));
    }
}
