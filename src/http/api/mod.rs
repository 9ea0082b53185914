//! The HTTP API for backends: publish, disconnect, see who is there, make tickets. JSON in and out, behind one bearer token.
//! One request passes the same checks in the same order whatever it asks: token, path, method; then its query, or its body
//! and whether it was answered before. What is asked is done at once when all of it has arrived; nothing of it waits.
//!
//! | file | job |
//! |---|---|
//! | `mod` | the calls, and what a request must have |
//! | `token` | comparing tokens |
//! | `answer` | answers and refusals as JSON |
//! | `input` | bodies and queries |
//! | `idempotency` | answers that are given again |
//! | `publish`, `disconnect`, `ticket` | what POSTs do |
//! | `lists` | what GETs show |
//!
//! Does not know: listeners, endpoints, browsers (there is no CORS here: a page must not hold the token).

mod answer;
mod disconnect;
mod idempotency;
mod input;
mod lists;
mod publish;
mod ticket;
mod token;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body as HttpBody;
use hyper::http::request::Parts;
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode, header};

use super::service::{BoxError, refuse_head};
use super::{Body, collect, reply};
use crate::config::{self, Config};
use crate::connection::now;
use crate::gateway::Gateway;
use crate::metrics;
use answer::{Answer, Refusal};
use idempotency::{Answered, Begin, Key};
use input::Query;
use token::Token;

/// The API over one gateway.
pub struct Api {
    gateway: Arc<Gateway>,
    settings: config::Api,
    /// How all its paths begin, without a slash at the end.
    prefix: String,
    body_timeout: Duration,
    /// How long a ticket is good that nobody uses, for those who ask for one.
    ticket_ttl: Duration,
    token: Token,
    answered: Answered,
}

/// The API alone, as a hyper service for a listener of its own. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiService(Arc<Api>);

/// One thing that can be asked for.
struct Call {
    /// Behind the prefix.
    path: &'static str,
    work: Work,
}

enum Work {
    /// GET: shows something.
    Read(fn(&Api, &Query) -> Result<Answer, Refusal>),
    /// POST: does something.
    Write(fn(&Api, &[u8]) -> Result<Answer, Refusal>),
}

static CALLS: [Call; 5] = [
    Call { path: "/publish", work: Work::Write(publish::publish) },
    Call { path: "/disconnect", work: Work::Write(disconnect::disconnect) },
    Call { path: "/ticket", work: Work::Write(ticket::ticket) },
    Call { path: "/sessions", work: Work::Read(lists::sessions) },
    Call { path: "/destinations", work: Work::Read(lists::destinations) },
];

impl Api {
    /// The API that the configuration asks for; none without `api.token`.
    pub fn new(gateway: Arc<Gateway>, config: &Config) -> Option<Self> {
        let token = config.api.token.as_ref().filter(|token| !token.is_empty())?;
        Some(Self {
            gateway,
            prefix: config.api.path.trim_end_matches('/').to_owned(),
            body_timeout: config.http.body_timeout,
            ticket_ttl: config.auth.ticket_ttl,
            token: Token::new(token),
            answered: Answered::new(config.api.idempotency_keys, config.api.idempotency_ttl),
            settings: config.api.clone(),
        })
    }

    /// Whether a URL path is the API's.
    pub fn has(&self, path: &str) -> bool {
        self.rest(path).is_some()
    }

    /// Answers one request. Never fails: what is wrong with a request is in the answer.
    pub async fn respond<B>(&self, request: Parts, body: B) -> Response<Body>
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
    {
        match self.answer(&request, body).await {
            Ok(answer) => answer.into(),
            Err(refusal) => refusal.into(),
        }
    }

    async fn answer<B>(&self, request: &Parts, body: B) -> Result<Answer, Refusal>
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
    {
        if !self.token.is_in(&request.headers) {
            metrics::not_authenticated();
            return Err(Refusal::unauthorized());
        }
        let path = request.uri.path();
        let rest = self.rest(path).unwrap_or_default();
        let call = CALLS.iter().find(|call| call.path == rest).ok_or_else(Refusal::not_found)?;
        let work = match call.work {
            Work::Read(work) if request.method == Method::GET || request.method == Method::HEAD => {
                return work(self, &Query::of(&request.uri)?);
            }
            Work::Write(work) if request.method == Method::POST => work,
            Work::Read(_) => return Err(Refusal::method_not_allowed("GET, HEAD")),
            Work::Write(_) => return Err(Refusal::method_not_allowed("POST")),
        };
        input::expect_json(&request.headers)?;
        let key = Key::of(&request.headers)?;
        let body = self.collect(body).await?;
        let Some(key) = key else { return work(self, &body) };
        // Not before all of the body is here: whoever tries again because the first request got stuck on its way must not be
        // told to wait for it.
        let fingerprint = idempotency::fingerprint(&request.method, path, &body);
        match self.answered.begin(key, fingerprint, now()) {
            Begin::First(first) => {
                let answer = work(self, &body).unwrap_or_else(Answer::from);
                Ok(first.answered(answer, now()))
            }
            Begin::Again(answer) => Ok(answer.replayed()),
            Begin::UnderWay => Err(Refusal::under_way()),
            Begin::Another => Err(Refusal::of_meaning(
                "idempotency_key_reused",
                "this Idempotency-Key came with another request before; every request needs a key of its own",
            )),
        }
    }

    async fn collect<B>(&self, body: B) -> Result<Bytes, Refusal>
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
    {
        let limit = self.settings.max_body;
        collect::collect(body, limit, self.body_timeout).await.map_err(|failed| match failed {
            collect::Failed::TooLarge => {
                metrics::limit_reached("api.max_body");
                let message = format!("the body is larger than max_body of [api], {limit} bytes");
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
            }
            collect::Failed::Broken => {
                Refusal::new(StatusCode::BAD_REQUEST, "body_incomplete", "the body ended before its end")
            }
            collect::Failed::Late => Refusal::late("the body did not arrive within body_timeout of [http]"),
        })
    }

    fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(self.prefix.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl ApiService {
    /// The API for a listener of its own.
    pub fn new(api: Arc<Api>) -> Self {
        Self(api)
    }

    async fn respond<B>(self, request: Request<B>) -> Response<Body>
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
    {
        if let Some(refusal) = refuse_head(&request) {
            return refusal;
        }
        if !self.0.has(request.uri().path()) {
            return reply::not_found();
        }
        let (parts, body) = request.into_parts();
        self.0.respond(parts, body).await
    }
}

impl<B> Service<Request<B>> for ApiService
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.respond(request).await) })
    }
}

/// The one value of a request header; an error if the header is repeated, which leaves open what is meant.
fn only<'h>(headers: &'h header::HeaderMap, name: &str) -> Result<Option<&'h header::HeaderValue>, Repeated> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Repeated),
    }
}

struct Repeated;
