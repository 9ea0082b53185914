//! One question to a backend: a place among the few that may be asked at once, the signature, and another attempt where that
//! cannot do a thing twice. It ends within the time-out, whatever the backend does.
//!
//! Does not know: what the question or the answer means.

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::signature::Signer;
use crate::clock;
use crate::config;
use crate::fetch::{Client, FetchError, Post, Response};
use crate::metrics;

const CONTEXT: HeaderName = HeaderName::from_static("towpath-context");
const SIGNATURE: HeaderName = HeaderName::from_static("towpath-signature");

/// The middle of the pause before the first new attempt; it grows with each.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks backends.
pub(super) struct Asking {
    client: Client,
    signer: Option<Signer>,
    places: Semaphore,
    waiting: Semaphore,
    timeout: Duration,
    retries: u32,
}

/// What is asked.
#[derive(Clone)]
pub(super) struct Question<'a> {
    pub url: &'a str,
    /// Printable ASCII. None is signed as an empty text.
    pub context: Option<&'a str>,
    pub content_type: HeaderValue,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// More calls wait already than may.
    Busy,
    /// The time is over.
    Late(Duration),
    /// It cannot be reached, or broke off.
    Fetch(FetchError),
}

impl Asking {
    pub fn new(settings: &config::Webhook, signer: Option<Signer>) -> Self {
        let most = |count: usize| Semaphore::new(count.min(Semaphore::MAX_PERMITS));
        Self {
            client: Client::keeping(settings.max_requests, settings.timeout, settings.max_response),
            signer,
            places: most(settings.max_requests),
            waiting: most(settings.max_waiting),
            timeout: settings.timeout,
            retries: settings.retries,
        }
    }

    /// Asks, and gives whatever was answered in the end.
    pub async fn ask(&self, question: Question<'_>) -> Result<Response, NoAnswer> {
        let deadline = Instant::now() + self.timeout;
        let answered = tokio::time::timeout_at(deadline, async {
            let _place = self.place().await?;
            let mut attempt = 0;
            loop {
                let outcome = self.once(&question).await;
                attempt += 1;
                // A backend that asks for patience says thereby that it has done nothing.
                let pause = match &outcome {
                    Err(error) if !error.was_sent() => pause(attempt),
                    Ok(response) if puts_off(response.status) => match response.retry_after {
                        Some(wanted) => wanted.max(pause(attempt)),
                        None => return outcome.map_err(NoAnswer::Fetch),
                    },
                    _ => return outcome.map_err(NoAnswer::Fetch),
                };
                let fits = Instant::now().checked_add(pause).is_some_and(|then| then < deadline);
                if attempt > self.retries || !fits {
                    return outcome.map_err(NoAnswer::Fetch);
                }
                tokio::time::sleep(pause).await;
            }
        });
        answered.await.unwrap_or(Err(NoAnswer::Late(self.timeout)))
    }

    /// A place, in the order in which they were asked for.
    async fn place(&self) -> Result<SemaphorePermit<'_>, NoAnswer> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            metrics::limit_reached("webhook.max_waiting");
            return Err(NoAnswer::Busy);
        };
        // It is never closed.
        self.places.acquire().await.map_err(|_| NoAnswer::Busy)
    }

    async fn once(&self, question: &Question<'_>) -> Result<Response, FetchError> {
        let Question { url, context, content_type, body } = question;
        let mut headers = Vec::with_capacity(2);
        if let Some(context) = context {
            // Printable ASCII can always be a value.
            headers.extend(HeaderValue::from_str(context).ok().map(|value| (CONTEXT, value)));
        }
        if let Some(signer) = &self.signer {
            // Anew for each attempt: a backend takes no old ones.
            let signature = signer.sign(clock::unix_seconds(), context.unwrap_or_default(), body);
            headers.extend(HeaderValue::from_str(&signature).ok().map(|value| (SIGNATURE, value)));
        }
        self.client.post(Post { url, headers: &headers, content_type: content_type.clone(), body: body.clone() }).await
    }
}

impl NoAnswer {
    /// In words for a client, behind the name of whom was asked.
    pub fn for_client(&self) -> &'static str {
        match self {
            Self::Busy => "is busy",
            Self::Late(_) => "did not answer in time",
            Self::Fetch(error) if error.is_timeout() => "did not answer in time",
            Self::Fetch(error) if !error.was_sent() => "cannot be reached",
            Self::Fetch(_) => "failed",
        }
    }
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy => f.write_str("as many calls wait as webhook.max_waiting allows"),
            Self::Late(timeout) => write!(f, "no answer within {timeout:?}"),
            Self::Fetch(error) => error.fmt(f),
        }
    }
}

/// Whether the backend says that it has not done it, and that it might later.
fn puts_off(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
}

/// Not the same for all who were turned away at once, so that they do not come back at once.
fn pause(attempt: u32) -> Duration {
    PAUSE * attempt + PAUSE.mul_f64(rand::random::<f64>()) - PAUSE / 2
}
