//! What a STOMP client waits for while somebody else is asked: who it is, what the application makes of its message, whether
//! it may subscribe. Until the answer comes nothing more of the client is read, so its frames keep their order; then the frame
//! that asked is finished, and reading goes on.
//!
//! Does not know: who answers, or what happens to the messages that an answer publishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use rand::Rng as _;

use super::super::answers::{Failure, Gravity, Reply};
use super::super::calls::{Call, Connecting, Credentials, Incoming, Question, Settled, Slot};
use super::super::interceptors::{Event as Occurrence, Inbound};
use super::super::routes::Variables;
use super::super::{Caller, Principal};
use super::subscriptions::{Key, Subscribed};
use super::{Done, Stomp, Stop};
use crate::broker::Reach;
use crate::config::{Errors, Guarded};
use crate::metrics;
use crate::session::{CloseReason, Session, Subscription, Traits};
use crate::stomp::{Accept, Connect, Headers, Passcode, Send, Subscribe, is_credential};

/// Where a client sends a newer proof of who it is.
pub(super) const REFRESH: &str = "/auth/refresh";

/// Where it hears that something failed, behind `/user`.
const ERRORS: &str = "/queue/errors";

/// Where it gets replies if neither side says where, behind `/user`.
const REPLIES: &str = "/queue/replies";

/// What CONNECTED says in its `server` header.
const SERVER: &str = concat!("towpath/", env!("CARGO_PKG_VERSION"));

/// A call under way, and what is to be finished when it is answered.
pub(super) struct Waiting {
    slot: Slot,
    then: Then,
}

enum Then {
    Admit { name: String, headers: Headers },
    Renew { receipt: Option<String> },
    Finish(Handed),
    Subscribe(Key, Subscribe),
    Answer(Key, Subscribe),
}

/// A SEND that the application has.
struct Handed {
    destination: String,
    reply_to: Option<Box<str>>,
    correlation: Option<Box<str>>,
    receipt: Option<String>,
}

impl Waiting {
    pub fn is_answered(&self) -> bool {
        self.slot.lock().is_some()
    }
}

impl Stomp {
    pub(super) fn connect(&mut self, session: &Arc<Session>, connect: Connect, now: Instant) -> Result<Done, Stop> {
        if connect.login.as_deref().is_some_and(Principal::is_session) {
            return Err(Stop::refuse(
                "login refused",
                "the login looks like the name of a session; these are not for users",
            ));
        }
        // Random and not the id from the URL: that one is a secret, and this one is shown to people.
        let name = Principal::session_name(rand::rng().next_u64());
        let Connect { login, passcode, mut headers, .. } = connect;
        let token = take_credentials(&mut headers);
        if !self.service.asks.connect {
            let principal = self.origin.visitor.clone();
            let principal = principal.unwrap_or_else(|| Arc::new(Principal::of_login(login.as_deref())));
            return self.admit(session, name, &headers, principal, now);
        }
        let passcode = passcode.as_ref().map(Passcode::expose).map(str::to_owned);
        let connecting = Connecting {
            credentials: Credentials { login, passcode, token },
            visitor: self.origin.visitor.clone(),
            session: name.clone(),
            transport: self.origin.transport,
            headers: headers.clone(),
        };
        self.ask(session, Question::Connect(connecting), Then::Admit { name, headers }, now)
    }

    /// The last of CONNECT: the client is who it is, and may come in unless somebody minds.
    fn admit(
        &mut self,
        session: &Arc<Session>,
        name: String,
        headers: &Headers,
        principal: Arc<Principal>,
        now: Instant,
    ) -> Result<Done, Stop> {
        let seen = self.service.hooks.inbound(&mut Inbound::Connect { principal: &principal, headers });
        seen.map_err(|failure| match failure.gravity {
            Gravity::Usual => not_let_in(failure.message),
            Gravity::Fatal => Stop::failed(),
        })?;
        if !self.service.authority.decide(Guarded::Connect, None, &principal).allowed {
            metrics::not_allowed(Guarded::Connect.name());
            return Err(not_let_in("the rules do not allow this CONNECT"));
        }
        let accept = Accept { session: &name, server: SERVER, user: principal.name() };
        let connected = self.connection.accept(accept, now);
        if let Some(version) = self.connection.version() {
            self.parser.set_version(version);
        }
        session.run_stomp_beats(self.connection.send_interval().unwrap_or_default(), now);
        let caller = Caller::new(name, self.origin.transport, Arc::clone(&self.origin.endpoint), principal);
        self.reply(session, &connected);
        self.caller = Some(caller.clone());
        self.service.clients.enter(session, caller.clone(), now);
        self.tell(&Occurrence::Connected(&caller))?;
        Ok(Done::Fully)
    }

    /// SEND to `/auth/refresh`: a newer proof, in the headers of CONNECT or as the body.
    pub(super) fn refresh(&mut self, session: &Arc<Session>, send: Send, now: Instant) -> Result<Done, Stop> {
        let caller = self.caller()?;
        let Send { mut headers, body, receipt, transaction, .. } = send;
        if transaction.is_some() {
            return Err(Stop::refuse("bad destination", format!("{REFRESH} takes no part in transactions")));
        }
        let login = headers.remove("login").map(String::from);
        let passcode = headers.remove("passcode").map(String::from);
        let in_body = || String::from_utf8(body.to_vec()).ok().map(|text| text.trim().to_owned());
        let token = take_credentials(&mut headers).or_else(|| in_body().filter(|text| !text.is_empty()));
        // Without anything to prove by nobody would know what to do with it.
        if !self.service.asks.connect || (passcode.is_none() && token.is_none()) {
            return Err(Stop::not_authenticated());
        }
        let connecting = Connecting {
            credentials: Credentials { login, passcode, token },
            visitor: None,
            session: caller.session().to_owned(),
            transport: caller.transport(),
            headers: Headers::new(),
        };
        self.ask(session, Question::Refresh(connecting), Then::Renew { receipt }, now)
    }

    /// A message for the application, without what is none of its business.
    pub(super) fn incoming(&self, destination: String, mut headers: Headers, body: Bytes, caller: Caller) -> Incoming {
        static ID: AtomicU64 = AtomicU64::new(1);
        drop_credentials(&mut headers);
        let variables = Variables::default();
        Incoming { id: ID.fetch_add(1, Ordering::Relaxed), destination, headers, body, caller, variables }
    }

    /// Gives a message to the application.
    pub(super) fn hand_over(
        &mut self,
        session: &Arc<Session>,
        message: Incoming,
        receipt: Option<String>,
        now: Instant,
    ) -> Result<Done, Stop> {
        let handed = Handed {
            destination: message.destination.clone(),
            reply_to: message.headers.get("reply-to").map(Box::from),
            correlation: message.headers.get("correlation-id").map(Box::from),
            receipt,
        };
        self.ask(session, Question::Send(message), Then::Finish(handed), now)
    }

    /// The same for a message of a transaction, of which nothing can stop the rest any more.
    pub(super) fn hand_over_committed(&mut self, session: &Arc<Session>, message: Incoming, now: Instant) {
        if let Err(stop) = self.hand_over(session, message, None, now) {
            session.end_soon(self.stop(session, stop));
        }
    }

    /// Asks whether a subscription may be, or for what the application answers to it.
    pub(super) fn ask_about(
        &mut self,
        session: &Arc<Session>,
        key: Key,
        subscribe: Subscribe,
        caller: Caller,
        now: Instant,
    ) -> Result<Done, Stop> {
        let message = self.incoming(subscribe.destination.clone(), subscribe.headers.clone(), Bytes::new(), caller);
        if self.service.application.owns(&subscribe.destination) {
            self.ask(session, Question::Subscribe(message), Then::Answer(key, subscribe), now)
        } else {
            self.ask(session, Question::MaySubscribe(message), Then::Subscribe(key, subscribe), now)
        }
    }

    fn ask(&mut self, session: &Arc<Session>, question: Question, then: Then, now: Instant) -> Result<Done, Stop> {
        let slot = Slot::default();
        match &self.service.backend {
            Some(backend) => {
                backend.begin(Call::new(question, session, &self.service.broker, &slot, now));
                self.waiting = Some(Box::new(Waiting { slot, then }));
                Ok(Done::Later)
            }
            // Whoever cannot be known is not let in.
            None if matches!(then, Then::Admit { .. } | Then::Renew { .. }) => Err(Stop::not_authenticated()),
            None => self.finish(session, then, Settled::Failed(Failure::new("there is no application")), now),
        }
    }

    /// Finishes the frame whose answer has come. Returns whether reading may go on.
    pub(super) fn settle(&mut self, session: &Arc<Session>, now: Instant) -> Result<bool, Stop> {
        let Some(waiting) = self.waiting.take() else { return Ok(true) };
        let settled = waiting.slot.lock().take();
        let Some(settled) = settled else {
            self.waiting = Some(waiting);
            return Ok(false);
        };
        let receipt = waiting.then.receipt();
        let done = self.finish(session, waiting.then, settled, now);
        let done = done.map_err(|stop| stop.with_receipt(receipt.as_deref()))?;
        self.confirm(session, receipt, done, now);
        Ok(self.waiting.is_none())
    }

    fn finish(&mut self, session: &Arc<Session>, then: Then, settled: Settled, now: Instant) -> Result<Done, Stop> {
        match (then, settled) {
            (Then::Admit { name, headers }, Settled::Admitted(principal)) => {
                self.admit(session, name, &headers, principal, now)
            }
            (Then::Admit { .. }, Settled::NotAdmitted(why)) => Err(not_let_in(why)),
            (_, Settled::Failed(failure)) if failure.gravity == Gravity::Fatal => Err(Stop::failed()),
            (Then::Renew { .. }, Settled::Admitted(principal)) => {
                let caller = self.caller()?;
                // A session belongs to one user, whatever he has subscribed to is his.
                if principal.name() != caller.principal().name() {
                    return Err(Stop::not_authenticated());
                }
                let caller = caller.refreshed(principal);
                self.service.clients.renew(session, caller.clone());
                self.caller = Some(caller);
                Ok(Done::Fully)
            }
            (Then::Finish(handed), Settled::Done { reply, reach }) => {
                self.pace.published(reach, self.service.broker.pressure(), now);
                Ok(self.reply_to(session, &handed, reply, now))
            }
            (Then::Finish(handed), Settled::Failed(failure)) => {
                self.tell_failure(session, &handed.destination, failure, handed.receipt.as_deref(), now)
            }
            (Then::Subscribe(key, subscribe), Settled::Done { .. }) => {
                let caller = self.caller()?;
                self.subscribe_at_broker(session, key, subscribe, &caller, now)
            }
            (Then::Answer(key, subscribe), Settled::Done { reply, reach }) => {
                self.pace.published(reach, self.service.broker.pressure(), now);
                self.answer_subscribe(session, key, subscribe, reply)
            }
            (Then::Subscribe(key, subscribe) | Then::Answer(key, subscribe), Settled::Failed(failure)) => {
                self.refuse_subscribe(session, key, subscribe, failure, now)
            }
            // Nothing else answers these questions, unless it means no.
            (Then::Admit { .. } | Then::Renew { .. }, _) => Err(Stop::not_authenticated()),
            (_, Settled::Admitted(_) | Settled::NotAdmitted(_)) => Err(Stop::failed()),
        }
    }

    /// A reply for the sender's session alone, where it wants it.
    fn reply_to(&mut self, session: &Arc<Session>, handed: &Handed, reply: Option<Reply>, now: Instant) -> Done {
        let Some(Reply { destination, mut headers, body }) = reply else { return Done::Fully };
        headers.keep_for_message();
        if let Some(correlation) = &handed.correlation
            && headers.get("correlation-id").is_none()
        {
            headers.push("correlation-id", correlation.clone());
        }
        let wanted = destination.as_deref().or(handed.reply_to.as_deref());
        let reach = match wanted {
            // A reply queue finds its own way. Anything else that a client names must be its own.
            Some(queue) if destination.is_none() && queue.starts_with("/reply-queue/") => {
                self.service.broker.send(queue, headers, body, now).unwrap_or_default()
            }
            wanted => {
                let local = wanted.and_then(|own| own.strip_prefix("/user")).filter(|local| local.starts_with('/'));
                // The application need not say whose.
                let local = local.or(destination.as_deref().filter(|local| !local.starts_with("/user")));
                self.to_own(session, local.unwrap_or(REPLIES), headers, body, now)
            }
        };
        self.pace.published(reach, self.service.broker.pressure(), now);
        if reach.receivers == 0 { Done::Undelivered } else { Done::Fully }
    }

    /// The one message that an application answers a SUBSCRIBE with.
    fn answer_subscribe(
        &mut self,
        session: &Arc<Session>,
        key: Key,
        subscribe: Subscribe,
        reply: Option<Reply>,
    ) -> Result<Done, Stop> {
        let caller = self.caller()?;
        let number = self.subscriptions.next_number();
        let id = subscribe.id.clone().unwrap_or_default();
        if let Some(Reply { mut headers, body, .. }) = reply {
            headers.keep_for_message();
            let screen = self.service.hooks.screen(&caller);
            let traits = Traits { number, ..Traits::default() };
            let wanted = subscribe.id.as_deref();
            let only = Subscription::screened(Arc::clone(session), self.version(), wanted, traits, screen);
            self.service.broker.send_to_subscription(&only, &subscribe.destination, headers, body);
        }
        self.subscriptions.insert(key, number, Subscribed::answered());
        self.tell(&Occurrence::Subscribed { caller: &caller, destination: &subscribe.destination, id: &id })?;
        Ok(Done::Fully)
    }

    /// A SUBSCRIBE that is not to be. Told softly, the client may still unsubscribe from it.
    pub(super) fn refuse_subscribe(
        &mut self,
        session: &Arc<Session>,
        key: Key,
        subscribe: Subscribe,
        failure: Failure,
        now: Instant,
    ) -> Result<Done, Stop> {
        if failure.gravity == Gravity::Fatal {
            return Err(Stop::failed());
        }
        let soft = self.service.refused_subscribe == Errors::Message;
        let receipt = subscribe.receipt.as_deref();
        if !soft || !self.soft_error(session, &subscribe.destination, &failure.message, receipt, now) {
            let detail = format!("{}\n{}", subscribe.destination, failure.message);
            return Err(Stop::refuse("subscription refused", detail));
        }
        let number = self.subscriptions.next_number();
        self.subscriptions.insert(key, number, Subscribed { refused: true, ..Subscribed::answered() });
        Ok(Done::Not)
    }

    /// Tells the sender that its message could not be handled.
    pub(super) fn tell_failure(
        &mut self,
        session: &Arc<Session>,
        destination: &str,
        failure: Failure,
        receipt: Option<&str>,
        now: Instant,
    ) -> Result<Done, Stop> {
        if failure.gravity == Gravity::Fatal {
            return Err(Stop::failed());
        }
        let soft = self.service.application.errors == Errors::Message;
        if soft && self.soft_error(session, destination, &failure.message, receipt, now) {
            return Ok(Done::Not);
        }
        Err(Stop::refuse("not handled", format!("{destination}\n{}", failure.message)))
    }

    /// Says on the session's own `/user/queue/errors` what went wrong, in the form of an ERROR. Returns whether it listens
    /// there.
    fn soft_error(
        &mut self,
        session: &Arc<Session>,
        destination: &str,
        message: &str,
        receipt: Option<&str>,
        now: Instant,
    ) -> bool {
        let mut headers: Headers =
            [("content-type", "text/plain"), ("message", "not handled"), ("x-destination", destination)]
                .into_iter()
                .collect();
        if let Some(receipt) = receipt {
            headers.push("receipt-id", receipt);
        }
        self.to_own(session, ERRORS, headers, Bytes::copy_from_slice(message.as_bytes()), now).receivers > 0
    }

    /// Publishes to a destination of this session, and of no other of its user.
    fn to_own(&self, session: &Arc<Session>, local: &str, headers: Headers, body: Bytes, now: Instant) -> Reach {
        let Some(caller) = &self.caller else { return Reach::default() };
        self.service.broker.send_to_session(caller.user(), session, local, headers, body, now)
    }

    /// When the proof of who the client is expires.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.caller.as_ref()?.principal().expires()
    }
}

impl Then {
    fn receipt(&self) -> Option<String> {
        match self {
            Self::Admit { .. } => None,
            Self::Renew { receipt } | Self::Finish(Handed { receipt, .. }) => receipt.clone(),
            Self::Subscribe(_, subscribe) | Self::Answer(_, subscribe) => subscribe.receipt.clone(),
        }
    }
}

/// A frame that an interceptor refused.
pub(super) fn refused_by(failure: Failure) -> Stop {
    match failure.gravity {
        Gravity::Usual => Stop::refuse("refused", failure.message),
        Gravity::Fatal => Stop::failed(),
    }
}

fn not_let_in(detail: impl Into<String>) -> Stop {
    Stop::ended("not allowed", detail, CloseReason::NotAllowed)
}

/// Takes the credentials out of a frame's headers, and gives the token among them.
fn take_credentials(headers: &mut Headers) -> Option<String> {
    let authorization = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let token = authorization.map(|(_, value)| {
        let scheme = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        scheme.and_then(|_| value.get(7..)).unwrap_or(value).trim().to_owned()
    });
    drop_credentials(headers);
    token.filter(|token| !token.is_empty())
}

/// Takes out of a frame's headers what nobody but the gateway is to see.
pub(super) fn drop_credentials(headers: &mut Headers) {
    headers.retain(|name, _| !is_credential(name));
}
