//! One request, from its head to the answer: checks in a fixed order, then one of few handlers. The order is host, path,
//! method, whether the endpoint offers it, origin; only then is anything looked up or made.
//!
//! Does not know: connections, or how a handler does its work.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header;
use hyper::http::request::Parts;
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode, Version};

use super::reply::Asker;
use super::{Body, origin, pages, reply, send, stream, websocket};
use crate::config::{self, Config};
use crate::gateway::{Endpoint, Gateway};
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
}

/// Renders the metrics recorded so far, in the text format of Prometheus.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

impl HttpService {
    /// A service over a gateway. `metrics` renders what `metrics_path` shows.
    pub fn new(gateway: Arc<Gateway>, settings: Settings, metrics: Option<RenderMetrics>) -> Self {
        Self { gateway, settings: Arc::new(settings), metrics }
    }

    /// Answers one request. Never fails: what is wrong with a request is in the answer.
    pub async fn respond(&self, mut request: Request<Incoming>) -> Response<Body> {
        if let Some(refusal) = refuse_head(&request) {
            return refusal;
        }
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        if let Some(page) = self.own_page(path, &parts.method) {
            return page;
        }
        let Some((endpoint, rest)) = self.gateway.endpoint(path) else { return reply::not_found() };
        let settings = endpoint.settings();
        let route = route::parse(rest);
        let wants_socket = websocket::is_upgrade(&parts.headers);
        let route = match route {
            // A STOMP client that is given the endpoint's own URL speaks websocket there.
            Route::Greeting
                if wants_socket
                    && settings.service == config::Service::Stomp
                    && settings.enabled(config::Transport::RawWebsocket) =>
            {
                Route::RawWebsocket
            }
            other => other,
        };
        let Some(methods) = route.methods() else { return reply::not_found() };
        let asked = methods.asked(parts.method.as_str());
        if asked == Asked::NotAllowed {
            return reply::method_not_allowed(methods);
        }
        if !is_offered(settings, &route) {
            let mut absent = reply::not_found();
            reply::no_cache(&mut absent);
            return absent;
        }
        let page = matches!(route, Route::Greeting | Route::Iframe { .. });
        if !page && !origin::is_allowed(&settings.allowed_origins, &parts.headers) {
            return forbidden();
        }
        if asked == Asked::Preflight {
            return reply::preflight(methods.preflight.unwrap_or_default(), settings, &Asker::new(&parts.headers));
        }
        match route {
            Route::Greeting => pages::greeting(),
            Route::Info => pages::info(settings, &Asker::new(&parts.headers)),
            Route::Iframe { version } => pages::iframe(settings, version, &parts.headers),
            Route::RawWebsocket => {
                websocket::upgrade(&self.gateway, endpoint, Carrier::RawWebsocket, &parts.headers, upgrade)
            }
            Route::Session { transport: Transport::Websocket, .. } => {
                websocket::upgrade(&self.gateway, endpoint, Carrier::Websocket, &parts.headers, upgrade)
            }
            Route::Session { session, transport } => {
                // A poll may wait for long: it takes along what it needs and nothing that belongs to the connection.
                let session = session.to_owned();
                drop(upgrade);
                self.session(endpoint, transport.row(), &session, parts, body).await
            }
            Route::NotFound => reply::not_found(),
        }
    }

    async fn session(
        &self,
        endpoint: &Arc<Endpoint>,
        row: &'static Row,
        session: &str,
        request: Parts,
        body: Incoming,
    ) -> Response<Body> {
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
                    Ok(callback) => stream::receive(&self.gateway, endpoint, row, session, callback).await,
                    Err(error) => reply::text(StatusCode::INTERNAL_SERVER_ERROR, error),
                }
            }
            Role::Sender | Role::Duplex => {
                send::send(&self.gateway, &self.settings, endpoint, row, session, &request.headers, body).await
            }
        };
        reply::dress(&mut response, row, endpoint.settings(), &asker);
        response
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

impl Service<Request<Incoming>> for HttpService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.respond(request).await) })
    }
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService").field("settings", &self.settings).finish_non_exhaustive()
    }
}

static OWN_PAGE: route::Methods = route::Methods { main: "GET", allow: "GET, HEAD", preflight: None };

/// What must be right with any request before its path is looked at (RFC 9112, section 3.2; RFC 9110, section 10.1.1).
fn refuse_head(request: &Request<Incoming>) -> Option<Response<Body>> {
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
