//! What the core asks of others because it would have to wait for the answer: who somebody is, what an application makes of
//! a message. A session has one call under way at a time, and reads nothing more until it is answered, so its messages keep
//! their order whoever handles them.
//!
//! An answer's messages are published when it comes, whether the session still lives or not: the message was accepted.
//!
//! Does not know: who answers, and how: a function, a backend, a table of users.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::answers::{Answer, Failure, Reply, publish_all};
use super::routes::Variables;
use super::{Caller, Principal};
use crate::broker::{Broker, Reach};
use crate::metrics;
use crate::session::Session;
use crate::stomp::Headers;

/// Who answers calls. It must not answer while it is being called: that would wait for a lock that the caller holds.
pub trait Backend: Send + Sync {
    /// Begins to work on a call, and returns at once.
    fn begin(&self, call: Call);
}

/// A question, and the way back for its answer. One that is dropped counts as failed.
pub struct Call {
    question: Option<Question>,
    session: Arc<Session>,
    slot: Slot,
    broker: Arc<Broker>,
    answered: bool,
    began: Instant,
}

/// What is asked.
#[derive(Debug)]
pub enum Question {
    /// CONNECT: who is that, and may they come in? The answer is [`Outcome::Admitted`].
    Connect(Connecting),
    /// `/auth/refresh`: the same of a client that is in. The answer is [`Outcome::Admitted`].
    Refresh(Connecting),
    /// SEND to an application destination. The answer is [`Outcome::Done`].
    Send(Incoming),
    /// SUBSCRIBE to an application destination. The answer is [`Outcome::Done`] with the reply for that subscription, if any.
    Subscribe(Incoming),
    /// SUBSCRIBE to the broker: may it be? The answer is [`Outcome::Done`].
    MaySubscribe(Incoming),
}

/// Somebody who wants to be known.
#[derive(Debug)]
pub struct Connecting {
    /// What they prove it by.
    pub credentials: Credentials,
    /// Whom the request proved that opened the session.
    pub visitor: Option<Arc<Principal>>,
    /// The name that the session has, or will have.
    pub session: String,
    /// The transport that opened the session.
    pub transport: &'static str,
    /// The other headers of CONNECT, without credentials.
    pub headers: Headers,
}

/// What a CONNECT proves somebody's name by. Never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The `login` header.
    pub login: Option<String>,
    /// The `passcode` header.
    pub passcode: Option<String>,
    /// The token in the `Authorization` header.
    pub token: Option<String>,
}

/// A message, or a wish to subscribe, for the application.
#[derive(Debug)]
pub struct Incoming {
    /// A number that no other message of this gateway has.
    pub id: u64,
    /// Where it was sent.
    pub destination: String,
    /// Its headers, without credentials.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
    /// Who sent it.
    pub caller: Caller,
    /// What stands in its destination where the handler's pattern has variables.
    pub variables: Variables,
}

/// How a call ended.
#[derive(Debug)]
pub enum Outcome {
    /// The client is in, or still in, as this.
    Admitted(Arc<Principal>),
    /// It is known who the client is, and it may not come in; in words for the client.
    NotAdmitted(String),
    /// The message was handled.
    Done(Answer),
    /// It was not.
    Failed(Failure),
}

/// Where the outcome waits for the protocol to fetch it.
pub(super) type Slot = Arc<Mutex<Option<Settled>>>;

/// An outcome whose messages for others are on their way.
pub(super) enum Settled {
    Admitted(Arc<Principal>),
    NotAdmitted(String),
    Done { reply: Option<Reply>, reach: Reach },
    Failed(Failure),
}

impl Call {
    pub(super) fn new(
        question: Question,
        session: &Arc<Session>,
        broker: &Arc<Broker>,
        slot: &Slot,
        now: Instant,
    ) -> Self {
        let (session, slot, broker) = (Arc::clone(session), Arc::clone(slot), Arc::clone(broker));
        metrics::call_began();
        Self { question: Some(question), session, slot, broker, answered: false, began: now }
    }

    /// Takes the question out, once.
    pub fn take_question(&mut self) -> Option<Question> {
        self.question.take()
    }

    /// Answers: publishes what is to be published, and lets the session go on. Not to be called from inside of
    /// [`Backend::begin`].
    pub fn answer(mut self, outcome: Outcome, now: Instant) {
        self.answered = true;
        self.settle(outcome, now);
        self.session.resume(now);
    }

    fn settle(&self, outcome: Outcome, now: Instant) {
        let settled = match outcome {
            Outcome::Admitted(principal) => Settled::Admitted(principal),
            Outcome::NotAdmitted(why) => Settled::NotAdmitted(why),
            Outcome::Done(Answer { publish, reply }) => match publish_all(&self.broker, publish, now) {
                Ok(reach) => Settled::Done { reply, reach },
                Err(refused) => Settled::Failed(Failure::new(refused.to_string())),
            },
            Outcome::Failed(failure) => Settled::Failed(failure),
        };
        metrics::call_ended(!matches!(settled, Settled::Failed(_)));
        *self.slot.lock() = Some(settled);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        // Whoever had it went down with it, perhaps while it was being handed over: the session may be locked.
        self.settle(Outcome::Failed(Failure::fatal("the gateway lost the message")), self.began);
        self.session.look_soon();
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("question", &self.question).finish_non_exhaustive()
    }
}

impl Incoming {
    /// The body as that type, from JSON.
    ///
    /// # Errors
    /// A [`Failure`] that tells the sender what is wrong with it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::new(format!("the body is not what is expected; {error}")))
    }

    /// The body as text.
    ///
    /// # Errors
    /// A [`Failure`] that tells the sender that it is none.
    pub fn text(&self) -> Result<&str, Failure> {
        std::str::from_utf8(&self.body).map_err(|_| Failure::new("the body is not UTF-8"))
    }

    /// The word of the destination where the handler's pattern has `{name}`; empty if it has no such variable.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).unwrap_or_default()
    }

    /// Who sent it.
    pub fn principal(&self) -> &Principal {
        self.caller.principal()
    }
}
