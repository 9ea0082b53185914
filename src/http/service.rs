//! One request, from its head to the answer: checks in a fixed order, then one of few handlers. The order is host, path,
//! method, whether the endpoint offers it, origin; only then is anything looked up or made.
//!
//! Does not know: connections, or how a handler does its work.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body as HttpBody;
use hyper::header;
use hyper::http::request::Parts;
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode, Version};

use super::reply::Asker;
use super::stream::Received;
use super::{Api, Body, origin, pages, reply, send, stream, websocket};
use crate::auth::Authenticator;
use crate::config::{self, Config};
use crate::connection::now;
use crate::gateway::{Endpoint, Gateway, Visitor};
use crate::metrics;
use crate::session::Carrier;
use crate::sockjs::Callback;
use crate::sockjs::route::{self, Asked, Role, Route, Row, Transport};

/// What the HTTP side needs to know beyond the endpoints.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a request body may take to arrive.
    pub body_timeout: Duration,
    /// Whether `/` shows the landing page.
    pub landing_page: bool,
    /// Where the metrics are shown, if anywhere.
    pub metrics_path: Option<String>,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            body_timeout: config.http.body_timeout,
            landing_page: config.landing_page,
            metrics_path: config.metrics_path.clone(),
        }
    }
}

/// The gateway as a hyper service. Cheap to clone; every connection has one.
#[derive(Clone)]
pub struct HttpService {
    gateway: Arc<Gateway>,
    settings: Arc<Settings>,
    metrics: Option<RenderMetrics>,
    authenticator: Option<Arc<Authenticator>>,
    api: Option<Arc<Api>>,
}

/// What a request's body may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Renders the metrics recorded so far, in the text format of Prometheus.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

impl HttpService {
    /// A service over a gateway. `metrics` renders what `metrics_path` shows.
    pub fn new(gateway: Arc<Gateway>, settings: Settings, metrics: Option<RenderMetrics>) -> Self {
        Self { gateway, settings: Arc::new(settings), metrics, authenticator: None, api: None }
    }

    /// The same, with somebody who knows what requests prove about whom they come from.
    #[must_use]
    pub(crate) fn knowing(mut self, authenticator: Arc<Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// The same with the API for backends beside the endpoints.
    #[must_use]
    pub fn with_api(mut self, api: Option<Arc<Api>>) -> Self {
        self.api = api;
        self
    }

    /// The gateway behind it.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Answers one request. Never fails: what is wrong with a request is in the answer.
    pub async fn respond<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
    {
        match self.begin(request).await {
            Received::Answered(response) => response,
            Received::Waiting(poll) => poll.await,
        }
    }

    /// Answers a request, unless it is a poll that has to wait: that is a future of its own, or it would keep room for all
    /// that other requests need.
    async fn begin<B>(&self, mut request: Request<B>) -> Received
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
    {
        if let Some(refusal) = refuse_head(&request) {
            return refusal.into();
        }
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        if let Some(api) = self.api.as_ref().filter(|api| api.has(path)) {
            return Box::pin(api.respond(parts, body)).await.into();
        }
        if let Some(page) = self.own_page(path, &parts.method) {
            return page.into();
        }
        let Some((endpoint, rest)) = self.gateway.endpoint(path) else { return reply::not_found().into() };
        let settings = endpoint.settings();
        let route = route::parse(rest);
        let wants_socket = websocket::is_upgrade(&parts.headers);
        let route = match route {
            // A STOMP client that is given the endpoint's own URL speaks websocket there, and so does one of a server that
            // was there before the bridge.
            Route::Greeting
                if wants_socket
                    && matches!(settings.service, config::Service::Stomp | config::Service::Bridge)
                    && settings.enabled(config::Transport::RawWebsocket) =>
            {
                Route::RawWebsocket
            }
            other => other,
        };
        let Some(methods) = route.methods() else { return reply::not_found().into() };
        let asked = methods.asked(parts.method.as_str());
        if asked == Asked::NotAllowed {
            return reply::method_not_allowed(methods).into();
        }
        if !is_offered(settings, &route) {
            let mut absent = reply::not_found();
            reply::no_cache(&mut absent);
            return absent.into();
        }
        let page = matches!(route, Route::Greeting | Route::Iframe { .. });
        if !page && !origin::is_allowed(&settings.allowed_origins, &parts.headers) {
            return forbidden().into();
        }
        if asked == Asked::Preflight {
            let asker = Asker::new(&parts.headers);
            return reply::preflight(methods.preflight.unwrap_or_default(), settings, &asker).into();
        }
        let visitor = match self.visitor(endpoint, &parts, &route).await {
            Ok(visitor) => visitor,
            Err(refused) => return refused.into(),
        };
        let response = match route {
            Route::Greeting => pages::greeting(),
            Route::Info => pages::info(settings, &Asker::new(&parts.headers)),
            Route::Iframe { version } => pages::iframe(settings, version, &parts.headers),
            Route::RawWebsocket => {
                let (carrier, visitor) = (Carrier::RawWebsocket, visitor.map(|known| *known).unwrap_or_default());
                Box::pin(websocket::upgrade(&self.gateway, endpoint, carrier, visitor, &parts.headers, upgrade)).await
            }
            Route::Session { transport: Transport::Websocket, .. } => {
                let (carrier, visitor) = (Carrier::Websocket, visitor.map(|known| *known).unwrap_or_default());
                Box::pin(websocket::upgrade(&self.gateway, endpoint, carrier, visitor, &parts.headers, upgrade)).await
            }
            Route::Session { session, transport } => {
                // A poll may wait for long: it takes along what it needs and nothing that belongs to the connection.
                let session = session.to_owned();
                drop(upgrade);
                return self.session(endpoint, transport.row(), &session, visitor, parts, body).await;
            }
            Route::NotFound => reply::not_found(),
        };
        response.into()
    }

    async fn session<B>(
        &self,
        endpoint: &Arc<Endpoint>,
        row: &'static Row,
        session: &str,
        visitor: Option<Box<Visitor>>,
        request: Parts,
        body: B,
    ) -> Received
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
    {
        let asker = Asker::new(&request.headers);
        let mut response = match row.role {
            _ if session.len() > endpoint.settings().max_session_id => {
                metrics::limit_reached("max_session_id");
                reply::not_found()
            }
            Role::Receiver => {
                let callback = row.callback.then(|| Callback::from_query(request.uri.query().unwrap_or_default()));
                // The body of a receiving POST means nothing; hyper discards what is left of it.
                drop((request, body));
                match callback.transpose() {
                    Ok(callback) => {
                        return stream::receive(&self.gateway, endpoint, row, session, visitor, callback, asker).await;
                    }
                    Err(error) => reply::text(StatusCode::INTERNAL_SERVER_ERROR, error),
                }
            }
            Role::Sender | Role::Duplex => {
                send::send(&self.gateway, &self.settings, endpoint, row, session, visitor, &request.headers, body).await
            }
        };
        reply::dress(&mut response, row, endpoint.settings(), &asker);
        response.into()
    }

    /// Who the request comes from, as far as it proves that itself. Mostly that is nobody, and nothing.
    async fn visitor(
        &self,
        endpoint: &Endpoint,
        request: &Parts,
        route: &Route<'_>,
    ) -> Result<Option<Box<Visitor>>, Response<Body>> {
        let socket = matches!(route, Route::RawWebsocket | Route::Session { transport: Transport::Websocket, .. });
        if !socket && !matches!(route, Route::Session { .. }) {
            return Ok(None);
        }
        let identified = match &self.authenticator {
            Some(authenticator) if socket || authenticator.is_shown(&request.headers, request.uri.query()) => {
                Box::pin(authenticator.identify(&request.headers, request.uri.query(), socket)).await
            }
            _ => Ok(Visitor::default()),
        };
        // STOMP asks at its CONNECT. No other service has such a moment.
        let must_be_known = endpoint.settings().service != config::Service::Stomp
            && self.authenticator.as_ref().is_some_and(|authenticator| !authenticator.admits_anonymous());
        let usable = identified.ok().filter(|visitor| {
            // A socket opens a session in any case; over HTTP that is found out later.
            (!socket || self.gateway.may_open(visitor, now())) && (!must_be_known || visitor.principal.is_some())
        });
        let Some(mut visitor) = usable else {
            metrics::not_authenticated();
            return Err(reply::not_authenticated(endpoint.settings(), &Asker::new(&request.headers)));
        };
        let chosen = &endpoint.settings().bridge_headers;
        for name in chosen {
            let values = request.headers.get_all(name.as_str()).iter().filter_map(|value| value.to_str().ok());
            visitor.headers.extend(values.map(|value| (name.clone(), value.to_owned())));
        }
        let nobody = visitor.principal.is_none() && visitor.headers.is_empty() && visitor.subprotocols.is_empty();
        Ok((!nobody).then(|| Box::new(visitor)))
    }

    /// Pages of the gateway itself, which belong to no endpoint.
    fn own_page(&self, path: &str, method: &Method) -> Option<Response<Body>> {
        let render = self.metrics.as_ref().filter(|_| self.settings.metrics_path.as_deref() == Some(path));
        let landing = path == "/" && self.settings.landing_page;
        if render.is_none() && !landing {
            return None;
        }
        if method != Method::GET && method != Method::HEAD {
            return Some(reply::method_not_allowed(&OWN_PAGE));
        }
        Some(render.map_or_else(pages::landing, |render| pages::metrics(render())))
    }
}

impl<B> Service<Request<B>> for HttpService
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Answering(Step::Begins(Box::pin(async move { service.begin(request).await })))
    }
}

/// The same for frameworks that build on tower, such as axum.
impl<B> tower_service::Service<Request<B>> for HttpService
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Service::call(self, request)
    }
}

/// The answer to a request, in two steps: what a request needs that is looked at is more than what a poll needs that waits, so
/// the room of the first step is given back before the second.
pub struct Answering(Step);

enum Step {
    Begins(Pin<Box<dyn Future<Output = Received> + Send>>),
    Waits(Box<stream::Poll>),
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.0 {
                Step::Begins(beginning) => match ready!(beginning.as_mut().poll(cx)) {
                    Received::Answered(response) => return Poll::Ready(Ok(response)),
                    Received::Waiting(poll) => self.0 = Step::Waits(poll),
                },
                Step::Waits(poll) => return Pin::new(poll).poll(cx).map(Ok),
            }
        }
    }
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answering").finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService").field("settings", &self.settings).finish_non_exhaustive()
    }
}

static OWN_PAGE: route::Methods = route::Methods { main: "GET", allow: "GET, HEAD", preflight: None };

/// What must be right with any request before its path is looked at (RFC 9112, section 3.2; RFC 9110, section 10.1.1).
pub(super) fn refuse_head<B>(request: &Request<B>) -> Option<Response<Body>> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() >= Version::HTTP_11) {
        return Some(reply::text(StatusCode::BAD_REQUEST, "A request names exactly one Host"));
    }
    let expected = request.headers().get(header::EXPECT);
    if expected.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Some(reply::text(StatusCode::EXPECTATION_FAILED, "Expect: 100-continue is the only expectation met"));
    }
    // CONNECT host:port and OPTIONS * have no path of ours.
    (!request.uri().path().starts_with('/')).then(reply::not_found)
}

/// Whether the endpoint's `transports` have what a route names. A sender is there for any transport that needs it.
fn is_offered(endpoint: &config::Endpoint, route: &Route<'_>) -> bool {
    use config::Transport as Setting;
    let any = |settings: &[Setting]| settings.iter().any(|setting| endpoint.enabled(*setting));
    match route {
        Route::Greeting | Route::Info => true,
        Route::NotFound => false,
        Route::Iframe { .. } => any(&[Setting::Iframe]),
        Route::RawWebsocket => any(&[Setting::RawWebsocket]),
        Route::Session { transport, .. } => match transport {
            Transport::Websocket => any(&[Setting::Websocket]),
            Transport::RawWebsocket => any(&[Setting::RawWebsocket]),
            Transport::Xhr => any(&[Setting::XhrPolling]),
            Transport::XhrStreaming => any(&[Setting::XhrStreaming]),
            Transport::EventSource => any(&[Setting::Eventsource]),
            Transport::HtmlFile => any(&[Setting::Htmlfile]),
            Transport::Jsonp | Transport::JsonpSend => any(&[Setting::JsonpPolling]),
            Transport::XhrSend => {
                any(&[Setting::XhrPolling, Setting::XhrStreaming, Setting::Eventsource, Setting::Htmlfile])
            }
        },
    }
}

fn forbidden() -> Response<Body> {
    metrics::origin_refused();
    let mut response = reply::text(StatusCode::FORBIDDEN, "This origin is not in the endpoint's allowed_origins");
    reply::no_cache(&mut response);
    reply::set(&mut response, header::VARY, "Origin");
    response
}
