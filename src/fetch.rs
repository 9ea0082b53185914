//! The HTTP client for everything that the gateway asks of others: backends by webhook, the keys of tokens. It follows no
//! redirects, since the configuration says whom to ask, and takes no proxy from the environment. Whoever asks learns in any case,
//! within the time-out, and learns whether the other side can have seen the request.
//!
//! Does not know: what is asked, who asks, or when to try again.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{
    self,
    connect::{Connect, HttpConnector},
};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::clock;
use crate::dial;

/// How long an unused connection is kept. Shorter than any usual server keeps it (gunicorn 2 s, Node and uvicorn 5 s): a request
/// that crosses the server's closing may have been seen, and so may not be tried again.
const IDLE: Duration = Duration::from_millis(1500);

/// How many unused connections to one host are kept where nobody says.
const KEPT: usize = 4;

/// Largest head of an answer, in bytes; hyper reads in steps, and may take up to twice as much.
const MAX_HEAD: usize = 64 * 1024;

/// A client with its connections. Clones share them.
#[derive(Clone)]
pub struct Client {
    plain: Pool<HttpConnector>,
    /// Made when it is first needed, since that reads all of the system's root certificates.
    secure: Arc<OnceLock<Pool<HttpsConnector<HttpConnector>>>>,
    idle: usize,
    timeout: Duration,
    max_response: usize,
}

type Pool<C> = legacy::Client<C, Full<Bytes>>;

/// A POST.
#[derive(Clone)]
pub struct Post<'a> {
    /// `http://` or `https://` with a host.
    pub url: &'a str,
    /// Headers besides those that every request has.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// What the body is.
    pub content_type: HeaderValue,
    /// The body, sent with its length.
    pub body: Bytes,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// How long the other side asks to be left alone (RFC 9110, Retry-After), if it says so in either form.
    pub retry_after: Option<Duration>,
    /// The whole body.
    pub body: Bytes,
}

/// Why there is no answer. The text names host and port, and nothing else of the URL: its query may be a secret.
#[derive(Clone, Debug)]
pub struct FetchError {
    host: Box<str>,
    fault: Fault,
}

#[derive(Clone, Debug)]
enum Fault {
    Url,
    Unreachable(String),
    /// The connection was there and ended before the request was written.
    Unsent,
    Broken(String),
    Timeout(Duration),
    TooLarge(usize),
    Status(StatusCode),
}

impl Client {
    /// A client whose calls take no longer than `timeout`, the whole answer included, and take no answer with a body of more than
    /// `max_response` bytes.
    pub fn new(timeout: Duration, max_response: usize) -> Self {
        Self::keeping(KEPT, timeout, max_response)
    }

    /// The same, which keeps up to `idle` unused connections to each host.
    pub fn keeping(idle: usize, timeout: Duration, max_response: usize) -> Self {
        Self { plain: pool(tcp(), idle), secure: Arc::default(), idle, timeout, max_response }
    }

    /// The body behind a URL.
    ///
    /// # Errors
    ///
    /// [`FetchError`] if there is no answer, or one whose status is not 2xx.
    pub async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        let uri = parse(url)?;
        let request = Request::builder().method(Method::GET).uri(uri.clone()).body(Full::default());
        let response = self.ask(&uri, request).await?;
        if response.status.is_success() {
            Ok(response.body)
        } else {
            Err(FetchError::new(&uri, Fault::Status(response.status)))
        }
    }

    /// The answer to a POST, whatever its status.
    ///
    /// # Errors
    ///
    /// [`FetchError`] if there is no answer.
    pub async fn post(&self, post: Post<'_>) -> Result<Response, FetchError> {
        let uri = parse(post.url)?;
        let mut request = Request::builder().method(Method::POST).uri(uri.clone());
        if let Some(headers) = request.headers_mut() {
            headers.extend(post.headers.iter().cloned());
            headers.insert(CONTENT_TYPE, post.content_type);
        }
        self.ask(&uri, request.body(Full::new(post.body))).await
    }

    async fn ask(
        &self,
        uri: &Uri,
        request: Result<Request<Full<Bytes>>, hyper::http::Error>,
    ) -> Result<Response, FetchError> {
        let answer = async {
            // Every part was checked when it was made.
            let mut request = request.map_err(|_| Fault::Url)?;
            let headers = request.headers_mut();
            headers.insert(USER_AGENT, HeaderValue::from_static(concat!("towpath/", env!("CARGO_PKG_VERSION"))));
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            let answered = match uri.scheme_str() {
                Some("https") => self.secure().request(request),
                _ => self.plain.request(request),
            };
            let response = answered.await.map_err(|error| Fault::of(&error))?;
            let (head, body) = response.into_parts();
            Ok(Response {
                status: head.status,
                retry_after: retry_after(&head.headers),
                body: self.collect(body).await?,
            })
        };
        let answered = tokio::time::timeout(self.timeout, answer).await;
        answered.unwrap_or(Err(Fault::Timeout(self.timeout))).map_err(|fault| FetchError::new(uri, fault))
    }

    fn secure(&self) -> &Pool<HttpsConnector<HttpConnector>> {
        self.secure.get_or_init(|| {
            let mut tcp = tcp();
            tcp.enforce_http(false);
            let connector =
                HttpsConnectorBuilder::new().with_tls_config(dial::client_config()).https_only().enable_http1();
            pool(connector.wrap_connector(tcp), self.idle)
        })
    }

    async fn collect(&self, mut body: Incoming) -> Result<Bytes, Fault> {
        let fits = |length: u64| usize::try_from(length).is_ok_and(|length| length <= self.max_response);
        if !fits(body.size_hint().lower()) {
            return Err(Fault::TooLarge(self.max_response));
        }
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            // Trailers are nothing to us.
            let Ok(data) = frame.map_err(|error| Fault::Broken(chain(&error)))?.into_data() else { continue };
            if !fits((whole.len() + data.len()) as u64) {
                return Err(Fault::TooLarge(self.max_response));
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).field("max_response", &self.max_response).finish()
    }
}

impl FetchError {
    fn new(uri: &Uri, fault: Fault) -> Self {
        Self { host: host(uri).into(), fault }
    }

    /// Whether the other side can have seen any of the request. If not, it is safe to try again.
    pub fn was_sent(&self) -> bool {
        !matches!(self.fault, Fault::Url | Fault::Unreachable(_) | Fault::Unsent)
    }

    /// Whether it is only that time was over.
    pub fn is_timeout(&self) -> bool {
        matches!(self.fault, Fault::Timeout(_))
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match &self.fault {
            Fault::Url => f.write_str("the URL must begin with http:// or https://, name a host and no user"),
            Fault::Unreachable(why) => write!(f, "{host} cannot be reached: {why}"),
            Fault::Unsent => write!(f, "{host} closed the connection before the request was sent"),
            Fault::Broken(why) => write!(f, "{host} broke off: {why}"),
            Fault::Timeout(timeout) => write!(f, "{host} did not answer within {timeout:?}"),
            Fault::TooLarge(most) => write!(f, "{host} answered with more than {most} bytes"),
            Fault::Status(status) => write!(f, "{host} answered with status {}", status.as_u16()),
        }
    }
}

impl StdError for FetchError {}

impl Fault {
    fn of(error: &legacy::Error) -> Self {
        if error.is_connect() {
            return Self::Unreachable(error.source().map_or_else(String::new, chain));
        }
        let cause = error.source().and_then(|source| source.downcast_ref::<hyper::Error>());
        match cause {
            // That is hyper's word for a request that it could hand back untouched.
            Some(cause) if cause.is_canceled() => Self::Unsent,
            Some(cause) => Self::Broken(chain(cause)),
            None => Self::Broken(chain(error)),
        }
    }
}

/// The same URL, checked. A user in it would be lost on the way, and a credential in a configuration's URL is shown too easily.
fn parse(url: &str) -> Result<Uri, FetchError> {
    let wrong = || FetchError { host: "".into(), fault: Fault::Url };
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let usable = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.authority().is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    if usable { Ok(uri) } else { Err(wrong()) }
}

fn host(uri: &Uri) -> String {
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    format!("{}:{port}", uri.host().unwrap_or_default())
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp
}

fn pool<C: Connect + Clone>(connector: C, idle: usize) -> Pool<C> {
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(idle)
        .http1_max_buf_size(MAX_HEAD)
        .build(connector)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(clock::wall()).unwrap_or_default())
}

/// An error with all that is behind it: the outer ones say little.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let inner = error.to_string();
        // Some repeat what is behind them.
        if !text.contains(&inner) {
            text = format!("{text}: {inner}");
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_that_name_a_host_and_no_user_are_asked() {
        for (url, asked) in [
            ("http://127.0.0.1:3000/chat?key=1", Some("127.0.0.1:3000")),
            ("https://example.com", Some("example.com:443")),
            ("http://[::1]/x", Some("[::1]:80")),
        ] {
            assert_eq!(parse(url).ok().map(|uri| host(&uri)).as_deref(), asked, "{url}");
        }
        for url in
            ["", "/chat", "chat.example.com", "ftp://example.com/", "http://ann:secret@example.com/", "http:///x"]
        {
            let error = parse(url).unwrap_err();
            assert!(!error.was_sent());
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn retry_after_has_two_forms() {
        let of =
            |value: &str| retry_after(&[(RETRY_AFTER, HeaderValue::from_str(value).unwrap())].into_iter().collect());
        assert_eq!(of("3"), Some(Duration::from_secs(3)));
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(of("soon"), None);
        assert_eq!(of("-1"), None);
    }
}
