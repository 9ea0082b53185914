//! Waiting before the next message of a client that sends faster than its messages can be passed on
//! ([`Flow::Pause`]). Every transport that reads holds one of these.
//!
//! Does not know: sockets, or who decides how long.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use crate::gateway::Gateway;
use crate::session::{Flow, Session};

/// The pause of one client; most of the time there is none.
#[derive(Default)]
pub struct Pause(Option<Wait>);

enum Wait {
    /// Until other tasks have run.
    Turn,
    /// The turn is over; nothing more to wait for.
    Over,
    For(Pin<Box<Sleep>>),
    /// Until the session has the answer that it waits for.
    Answer,
}

impl Pause {
    /// Pauses if the session asks for it.
    pub fn after(&mut self, flow: Flow) {
        self.0 = match flow {
            Flow::Pause(Duration::ZERO) => Some(Wait::Turn),
            Flow::Pause(length) => Some(Wait::For(Box::pin(tokio::time::sleep(length)))),
            Flow::Wait => Some(Wait::Answer),
            Flow::Continue | Flow::Closed | Flow::Gone => None,
        };
    }

    /// Waits until there is no pause any more. Each time one is over, the session goes on with what it kept, which may lead
    /// to the next.
    pub fn poll_over(
        &mut self,
        cx: &mut Context<'_>,
        gateway: &Gateway,
        session: &Arc<Session>,
        now: impl Fn() -> Instant,
    ) -> Poll<()> {
        while let Some(wait) = &mut self.0 {
            ready!(wait.poll(cx, session));
            self.after(gateway.resume(session, now()));
        }
        Poll::Ready(())
    }
}

impl Wait {
    fn poll(&mut self, cx: &mut Context<'_>, session: &Session) -> Poll<()> {
        match self {
            Self::Answer => session.poll_answered(cx),
            Self::Turn => {
                *self = Self::Over;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Over => Poll::Ready(()),
            Self::For(sleep) => sleep.as_mut().poll(cx),
        }
    }
}
