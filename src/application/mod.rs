//! The library API: an application behind the gateway, in the same program. Handlers answer messages and subscriptions below
//! the application's prefixes (`/app/...`), interceptors see what passes, listeners hear who comes and goes, and a
//! [`Publisher`] sends from anywhere.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use towpath::application::{Answer, Application, Incoming};
//!
//! #[derive(Deserialize)]
//! struct Hello { name: String }
//! #[derive(Serialize)]
//! struct Greeting { content: String }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut application = Application::new();
//! application.on_message("/app/hello", |message: Incoming| async move {
//!     let Hello { name } = message.json()?;
//!     Answer::publish("/topic/greetings", Greeting { content: format!("Hello, {name}!") })
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! Handlers are asynchronous; a session's next frames wait until the handler of the one before has answered, so nothing is
//! ever handled out of order, and sessions do not wait for each other.
//!
//! | file | job |
//! |---|---|
//! | `mod` | what an application consists of |
//! | `publisher` | sending, and asking who is there, from anywhere |
//! | `runner` | carries out the calls of the core: handlers, backends, proofs of users |
//!
//! Does not know: how messages come in and go out, or what a backend is asked over HTTP.

mod publisher;
mod runner;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use crate::auth::Refused;
pub use crate::broker::Reach;
pub use crate::gateway::{
    Answer, Caller, Credentials, Event, Failure, Gravity, Inbound, Incoming, Interceptor, Outbound, Outgoing, Pass,
    Principal, Reply, RouteError, Variables,
};
pub use publisher::{PublishError, Publisher};
pub(crate) use runner::Runner;

use crate::gateway::{Factory, Hooks, Routes};
use crate::session::Protocol;

/// What a handler's future gives.
pub type Handled = Result<Answer, Failure>;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Handler = Arc<dyn Fn(Incoming) -> Boxed<Handled> + Send + Sync>;
type Verifier = Arc<dyn Fn(Credentials) -> Boxed<Result<Principal, Refused>> + Send + Sync>;

/// An application: what it handles, and what it wants to see.
#[derive(Default)]
pub struct Application {
    messages: Routes<Handler>,
    subscriptions: Routes<Handler>,
    hooks: Hooks,
    verifier: Option<Verifier>,
    services: HashMap<Box<str>, Factory>,
    publisher: Publisher,
}

impl Application {
    /// An application that does nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Handles messages that are sent to destinations of that pattern, such as `/app/chat/{room}`: `{name}` stands for one word and
    /// gives it a name, `*` for one and `**` for any number of words. Of several patterns that fit, the one that was added first
    /// counts.
    ///
    /// # Errors
    /// [`RouteError`] if the pattern is none, or was added before.
    pub fn on_message<F>(
        &mut self,
        pattern: &str,
        handler: impl Fn(Incoming) -> F + Send + Sync + 'static,
    ) -> Result<&mut Self, RouteError>
    where
        F: Future<Output = Handled> + Send + 'static,
    {
        self.messages.insert(pattern, Arc::new(move |message| Box::pin(handler(message))))?;
        Ok(self)
    }

    /// Answers subscriptions to destinations of that pattern with one message, the answer's reply; nothing more comes by such a
    /// subscription.
    ///
    /// # Errors
    /// As [`on_message`](Self::on_message).
    pub fn on_subscribe<F>(
        &mut self,
        pattern: &str,
        handler: impl Fn(Incoming) -> F + Send + Sync + 'static,
    ) -> Result<&mut Self, RouteError>
    where
        F: Future<Output = Handled> + Send + 'static,
    {
        self.subscriptions.insert(pattern, Arc::new(move |message| Box::pin(handler(message))))?;
        Ok(self)
    }

    /// Adds an interceptor behind those that are there.
    pub fn intercept(&mut self, interceptor: impl Interceptor + 'static) -> &mut Self {
        self.hooks.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Adds a listener for connections, subscriptions and their ends. It is called inline and must be quick.
    pub fn on_event(&mut self, listener: impl Fn(&Event<'_>) + Send + Sync + 'static) -> &mut Self {
        self.hooks.listeners.push(Arc::new(listener));
        self
    }

    /// Has the application itself find out who is behind a CONNECT, where the configuration has no user or token for it. This is
    /// the one place where an application gets to see credentials.
    pub fn authenticate<F>(&mut self, verifier: impl Fn(Credentials) -> F + Send + Sync + 'static) -> &mut Self
    where
        F: Future<Output = Result<Principal, Refused>> + Send + 'static,
    {
        self.verifier = Some(Arc::new(move |credentials| Box::pin(verifier(credentials))));
        self
    }

    /// Answers the sessions of the endpoint of that path itself, without STOMP; in the configuration its service is `application`.
    /// `make` makes what answers one session, for whoever its requests prove its client to be. What panics in it ends that session.
    pub fn serve<P: Protocol + 'static>(
        &mut self,
        path: &str,
        make: impl Fn(&Principal) -> P + Send + Sync + 'static,
    ) -> &mut Self {
        self.services.insert(path.into(), Arc::new(move |principal| Box::new(make(principal))));
        self
    }

    /// The paths of the endpoints that it serves itself.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(|path| &**path)
    }

    /// The patterns of all handlers.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().chain(self.subscriptions.iter()).map(|(pattern, _)| pattern)
    }

    /// Sends from anywhere, as soon as the gateway is there. All publishers of an application are one.
    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }
}

impl std::fmt::Debug for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Application").field("hooks", &self.hooks).finish_non_exhaustive()
    }
}
