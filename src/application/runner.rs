//! Carries out the calls of the core, each in a task of its own: a handler of the application, a backend over HTTP, a proof of
//! who somebody is. Whatever becomes of it, the session that waits gets an answer: in time, when a handler panics, and when
//! too many calls are under way.
//!
//! Does not know: frames, or what an answer leads to.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{Application, Handler};
use crate::auth::{self, Authenticator, Refused};
use crate::config::Config;
use crate::connection::now;
use crate::gateway::{
    Answer, Asks, Backend, Call, Connecting, Failure, Incoming, Outcome, Principal, Question, Routes, Wiring,
};
use crate::metrics;
use crate::webhook::Webhooks;

/// What answers the core's calls.
pub(crate) struct Runner {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    max_calls: usize,
}

struct Shared {
    application: Application,
    authenticator: Arc<Authenticator>,
    webhooks: Arc<Webhooks>,
    timeout: Duration,
    /// Whether names must be proved. Otherwise a client is whom it names.
    proves: bool,
}

impl Runner {
    /// Calls go to the application, to whoever knows its users, and to the backends.
    pub fn new(
        config: &Config,
        application: Application,
        authenticator: Arc<Authenticator>,
        webhooks: Arc<Webhooks>,
    ) -> Self {
        let proves = application.verifier.is_some() || config.proves_users();
        let timeout = config.application.timeout;
        let max_calls = config.application.max_calls;
        Self {
            shared: Arc::new(Shared { application, authenticator, webhooks, timeout, proves }),
            places: Arc::new(Semaphore::new(max_calls)),
            max_calls,
        }
    }

    /// Waits until no call is under way, however long that takes.
    pub async fn idle(&self) {
        let all = u32::try_from(self.max_calls).unwrap_or(u32::MAX);
        let _ = self.places.acquire_many(all).await;
    }

    /// The wiring of a gateway to all these.
    pub fn wiring(self: Arc<Self>) -> Wiring {
        let Shared { application, webhooks, proves, .. } = &*self.shared;
        let asks = Asks { connect: *proves || webhooks.asks_connect(), subscribe: webhooks.asks_subscribe() };
        let (hooks, services) = (application.hooks.clone(), application.services.clone());
        Wiring { hooks, asks, services, backend: Some(self), ..Wiring::default() }
    }
}

impl Backend for Runner {
    fn begin(&self, mut call: Call) {
        let Some(question) = call.take_question() else { return };
        let place = Arc::clone(&self.places).try_acquire_owned();
        let (shared, max_calls) = (Arc::clone(&self.shared), self.max_calls);
        let work = async move {
            let outcome = match place {
                Ok(_place) => shared.answer(question).await,
                Err(_) => {
                    metrics::limit_reached("application.max_calls");
                    Outcome::Failed(Failure::new(format!("too busy; max_calls, {max_calls}, are under way")))
                }
            };
            call.answer(outcome, now());
        };
        // Sessions may end, and finish what they have begun, when the runtime is gone already. Then the call is lost, and says so.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(work);
        }
    }
}

impl Shared {
    async fn answer(&self, question: Question) -> Outcome {
        let answer = AssertUnwindSafe(self.work(question)).catch_unwind();
        answer.await.unwrap_or_else(|_| {
            tracing::error!("a handler of the application has panicked; the session that it was called for ends");
            Outcome::Failed(Failure::fatal("the application failed"))
        })
    }

    async fn work(&self, question: Question) -> Outcome {
        match question {
            Question::Connect(connecting) => self.admit(&connecting, true).await,
            Question::Refresh(connecting) => self.admit(&connecting, false).await,
            Question::Send(message) => {
                if !self.application.messages.fits(&message.destination) && self.webhooks.handles(&message.destination)
                {
                    return outcome(self.webhooks.call(&message).await);
                }
                self.handle(&self.application.messages, message).await
            }
            Question::Subscribe(message) => {
                if let Err(refused) = self.webhooks.ask_subscribe(&message).await {
                    return Outcome::Failed(refused);
                }
                self.handle(&self.application.subscriptions, message).await
            }
            Question::MaySubscribe(message) => {
                outcome(self.webhooks.ask_subscribe(&message).await.map(|()| Answer::nothing()))
            }
        }
    }

    async fn handle(&self, handlers: &Routes<Handler>, mut message: Incoming) -> Outcome {
        let Some((handler, variables)) = handlers.find(&message.destination) else {
            return Outcome::Failed(Failure::new(
                "nothing answers to this destination; it has no handler and no [[app]]",
            ));
        };
        message.variables = variables;
        let destination = message.destination.clone();
        match tokio::time::timeout(self.timeout, handler(message)).await {
            Ok(handled) => outcome(handled),
            Err(_) => {
                metrics::limit_reached("application.timeout");
                tracing::warn!(destination, "a handler has not answered within application.timeout");
                Outcome::Failed(Failure::new("the application did not answer in time"))
            }
        }
    }

    /// Finds out who somebody is and, at a CONNECT, whether they may come in.
    async fn admit(&self, connecting: &Connecting, is_new: bool) -> Outcome {
        let Ok(principal) = self.identify(connecting).await else {
            return Outcome::Failed(Failure::new("not authenticated"));
        };
        let Connecting { session, transport, headers, .. } = connecting;
        if is_new && let Err(refused) = self.webhooks.ask_connect(&principal, session, transport, headers).await {
            return Outcome::NotAdmitted(refused.message);
        }
        Outcome::Admitted(principal)
    }

    async fn identify(&self, connecting: &Connecting) -> Result<Arc<Principal>, Refused> {
        let Connecting { credentials, visitor, .. } = connecting;
        if !self.proves {
            let named = || Arc::new(Principal::of_login(credentials.login.as_deref()));
            return Ok(visitor.clone().unwrap_or_else(named));
        }
        let known = self.authenticator.connect(credentials, visitor.as_ref()).await;
        let credited = credentials.passcode.is_some() || credentials.token.is_some();
        // A user whom the configuration knows is nobody else's affair.
        let foreign = !credentials.login.as_deref().is_some_and(|login| self.authenticator.knows(login));
        match &self.application.verifier {
            Some(verifier) if known.is_err() && credited && foreign => {
                let verified = tokio::time::timeout(self.timeout, verifier(credentials.clone())).await;
                verified.unwrap_or(Err(Refused)).and_then(|principal| checked(principal, visitor.as_ref()))
            }
            _ => known,
        }
    }
}

fn outcome(handled: Result<Answer, Failure>) -> Outcome {
    handled.map_or_else(Outcome::Failed, Outcome::Done)
}

/// What an application says of a user is held to the same rules as everybody's word.
fn checked(principal: Principal, visitor: Option<&Arc<Principal>>) -> Result<Arc<Principal>, Refused> {
    let good = principal.name().is_some_and(auth::is_name);
    if !good || visitor.is_some_and(|visitor| visitor.name() != principal.name()) {
        return Err(Refused);
    }
    Ok(Arc::new(principal))
}
