//! Backends in any language: what clients send to an application's destinations is POSTed to a URL, and the answer says what is
//! published. The same way others are asked who somebody is, and whether they may connect or subscribe. The contract that
//! backends see is `docs/webhooks.md`.
//!
//! | file | job |
//! |---|---|
//! | `mod` | whom a message is for, and what its sender is told |
//! | `asking` | one question: its place, attempts and time |
//! | `template` | URLs with words of the destination in them |
//! | `context` | what is told besides the body |
//! | `signature` | proof that it is the gateway who asks |
//! | `answers` | reading what backends say |
//!
//! Does not know: sessions, or what is done with an answer.

mod answers;
mod asking;
mod context;
mod signature;
mod template;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;

pub use answers::Authenticated;
use answers::{Names, Verdict};
use asking::{Asking, NoAnswer, Question};
use context::Context;
use signature::Signer;
use template::Template;

use crate::broker::TopicPrefixes;
use crate::clock::Seldom;
use crate::config::{Config, Secret};
use crate::fetch::Response;
use crate::gateway::{Answer, Failure, Incoming, Principal, RouteError, Routes};
use crate::stomp::Headers;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// All configured backends.
pub struct Webhooks {
    apps: Routes<App>,
    connect: Option<String>,
    subscribe: Option<String>,
    asking: Asking,
    max_context: usize,
    names: Names,
    /// Makes the ids of this run different from those of every other.
    run: u64,
    complained: Seldom,
}

struct App {
    pattern: Box<str>,
    url: Template,
}

/// Why backends as they are configured cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The destination of an `[[app]]` is no pattern, or can never be found. With its number, from 1.
    #[error("[[app]] {0}: {1}")]
    Destination(usize, RouteError),
    /// The URL of an `[[app]]` cannot be asked. With its number, from 1, and what is wrong.
    #[error("[[app]] {0}: the url {1}")]
    AppUrl(usize, String),
    /// Another URL cannot be asked. With its key, and what is wrong.
    #[error("{0}: the url {1}")]
    Url(&'static str, String),
    /// `webhook.secret` is no key.
    #[error("webhook.secret cannot be a key")]
    Secret,
}

impl Webhooks {
    /// The backends of a configuration. It begins no connection.
    ///
    /// # Errors
    ///
    /// [`WebhookError`] for the first setting that makes no sense.
    pub fn new(config: &Config) -> Result<Self, WebhookError> {
        let settings = &config.webhook;
        let mut apps = Routes::new();
        for (number, app) in (1..).zip(&config.apps) {
            let names = names(&app.destination);
            let url = Template::new(&app.url, |name| names.contains(&name))
                .map_err(|fault| WebhookError::AppUrl(number, fault))?;
            let pattern = app.destination.as_str().into();
            let inserted = apps.insert(&app.destination, App { pattern, url });
            inserted.map_err(|error| WebhookError::Destination(number, error))?;
        }
        for (key, url) in [
            ("webhook.connect", &settings.connect),
            ("webhook.subscribe", &settings.subscribe),
            ("auth.webhook", &config.auth.webhook),
        ] {
            if let Some(url) = url {
                template::check(url).map_err(|fault| WebhookError::Url(key, fault))?;
            }
        }
        let key = |secret: &Secret| Signer::new(secret).ok_or(WebhookError::Secret);
        let signer = settings.secret.as_ref().map(key).transpose()?;
        Ok(Self {
            apps,
            connect: settings.connect.clone(),
            subscribe: settings.subscribe.clone(),
            asking: Asking::new(settings, signer),
            max_context: settings.max_context,
            names: Names { longest: config.broker.max_name, topics: TopicPrefixes::new(&config.broker.topic_prefixes) },
            run: rand::random(),
            complained: Seldom::default(),
        })
    }

    /// Whether a backend answers for that destination.
    pub fn handles(&self, destination: &str) -> bool {
        self.apps.fits(destination)
    }

    /// Whether somebody wants to be asked about every CONNECT.
    pub fn asks_connect(&self) -> bool {
        self.connect.is_some()
    }

    /// Whether somebody wants to be asked about every SUBSCRIBE.
    pub fn asks_subscribe(&self) -> bool {
        self.subscribe.is_some()
    }

    /// Hands a message to its backend.
    ///
    /// # Errors
    ///
    /// A [`Failure`] for the sender, within `webhook.timeout`: there is no backend for it, none was to be had, or it says so.
    pub async fn call(&self, message: &Incoming) -> Result<Answer, Failure> {
        let Some((app, variables)) = self.apps.find(&message.destination) else {
            return Err(Failure::new("nobody handles that destination"));
        };
        let Some(url) = app.url.fill(&variables) else {
            return Err(Failure::new(format!("{} takes no such word", app.pattern)));
        };
        let caller = &message.caller;
        let mut context = Context::of(caller.principal(), caller.session(), caller.transport(), &message.headers);
        context.id = Some(self.id(message.id));
        context.destination = Some(&message.destination);
        context.variables = Some(&variables);
        let context = context.to_json();
        if context.len() > self.max_context {
            let length = context.len();
            return Err(Failure::new(format!(
                "the message's headers, with what is known of you, come to {length} bytes, and {} takes {}",
                app.pattern, self.max_context
            )));
        }
        let given = message.headers.get("content-type").and_then(|given| HeaderValue::from_str(given).ok());
        let question = Question {
            url: &url,
            context: Some(&context),
            content_type: given.filter(|given| !given.is_empty()).unwrap_or(BYTES),
            body: message.body.clone(),
        };
        let who = format!("the backend of {}", app.pattern);
        let response = self.asking.ask(question).await.map_err(|none| self.no_answer(&who, &none))?;
        if response.status.is_success() {
            return answers::answer(&response.body, &self.names).map_err(|fault| {
                self.complain(&who, &format!("its answer cannot be used: {fault}"));
                Failure::new(format!("the backend's answer for {} cannot be used", app.pattern))
            });
        }
        let told = response.status.is_client_error().then(|| answers::error(&response.body)).flatten();
        Err(told.map_or_else(|| self.wrong_status(&who, response.status), Failure::new))
    }

    /// Asks whether somebody may connect, if anybody wants to be asked. Whatever is not a clear yes is a no.
    ///
    /// # Errors
    ///
    /// A [`Failure`] for the client if not.
    pub async fn ask_connect(
        &self,
        principal: &Principal,
        session: &str,
        transport: &str,
        headers: &Headers,
    ) -> Result<(), Failure> {
        let Some(url) = &self.connect else { return Ok(()) };
        let context = Context { command: Some("CONNECT"), ..Context::of(principal, session, transport, headers) };
        self.may(url, &context).await
    }

    /// Asks whether somebody may subscribe, if anybody wants to be asked. Whatever is not a clear yes is a no.
    ///
    /// # Errors
    ///
    /// A [`Failure`] for the client if not.
    pub async fn ask_subscribe(&self, message: &Incoming) -> Result<(), Failure> {
        let Some(url) = &self.subscribe else { return Ok(()) };
        let caller = &message.caller;
        let context = Context {
            command: Some("SUBSCRIBE"),
            id: Some(self.id(message.id)),
            destination: Some(&message.destination),
            ..Context::of(caller.principal(), caller.session(), caller.transport(), &message.headers)
        };
        self.may(url, &context).await
    }

    /// Asks `url` who somebody is. None if it knows nobody with these credentials.
    ///
    /// # Errors
    ///
    /// A [`Failure`] if there was no answer that can be used. Whoever cannot be known must not be let in.
    pub async fn authenticate(
        &self,
        url: &str,
        login: Option<&str>,
        passcode: Option<&str>,
    ) -> Result<Option<Authenticated>, Failure> {
        let who = "the backend that knows users";
        let body = serde_json::json!({ "login": login, "passcode": passcode }).to_string();
        let response = self.ask_json(who, url, body).await?;
        match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(None),
            status if status.is_success() => match answers::authenticated(&response.body) {
                Ok(authenticated) => Ok(Some(authenticated)),
                Err(fault) => Err(self.unusable(who, &fault)),
            },
            status => Err(self.wrong_status(who, status)),
        }
    }

    async fn may(&self, url: &str, context: &Context<'_>) -> Result<(), Failure> {
        let command = context.command.unwrap_or_default();
        let who = format!("the backend that decides about {command}");
        let refused = |told: Option<String>| {
            Failure::new(told.unwrap_or_else(|| format!("the application refuses this {command}")))
        };
        let response = self.ask_json(&who, url, context.to_json()).await?;
        match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(refused(answers::error(&response.body))),
            status if status.is_success() => match answers::verdict(&response.body) {
                Ok(Verdict::Allowed) => Ok(()),
                Ok(Verdict::Refused(told)) => Err(refused(told)),
                Err(fault) => Err(self.unusable(&who, &fault)),
            },
            status => Err(self.wrong_status(&who, status)),
        }
    }

    async fn ask_json(&self, who: &str, url: &str, json: String) -> Result<Response, Failure> {
        let question = Question { url, context: None, content_type: JSON, body: Bytes::from(json) };
        self.asking.ask(question).await.map_err(|none| self.no_answer(who, &none))
    }

    /// An id that no other message has, of this run or another.
    fn id(&self, number: u64) -> String {
        format!("{:016x}-{number}", self.run)
    }

    fn no_answer(&self, who: &str, none: &NoAnswer) -> Failure {
        self.complain(who, &none.to_string());
        Failure::new(format!("{who} {}", none.for_client()))
    }

    fn unusable(&self, who: &str, fault: &str) -> Failure {
        self.complain(who, &format!("its answer cannot be used: {fault}"));
        Failure::new(format!("{who} gave an answer that cannot be used"))
    }

    fn wrong_status(&self, who: &str, status: StatusCode) -> Failure {
        self.complain(who, &format!("it answered with status {}", status.as_u16()));
        Failure::new(format!("{who} failed"))
    }

    /// Tells the log what clients are not told, and not for each of them: a backend that is down fails every message.
    fn complain(&self, who: &str, fault: &str) {
        if self.complained.is_due() {
            tracing::warn!("{who}: {fault}; nothing more of this kind for a minute, but at level debug");
        } else {
            tracing::debug!("{who}: {fault}");
        }
    }
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhooks").field("apps", &self.apps.iter().count()).finish_non_exhaustive()
    }
}

/// What stands in braces in a pattern. Whether it is a pattern at all is for [`Routes`] to say.
fn names(pattern: &str) -> Vec<&str> {
    pattern.split('{').skip(1).filter_map(|piece| Some(piece.split_once('}')?.0)).collect()
}
