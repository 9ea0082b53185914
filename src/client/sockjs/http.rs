//! The HTTP below a session: a place with the headers that go there, and connections that are kept alive between requests.
//!
//! Does not know: frames, transports.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::cookies::Cookies;
use super::{OpenError, Options};
use crate::dial::{Address, HTTP};

/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// A connection that has been idle for longer is not used again: servers close theirs after 5 s and more, and a request that meets
/// such an end is neither lost nor answered.
const KEPT: Duration = Duration::from_secs(4);

/// Where a service is, and what goes with every request there.
#[derive(Debug)]
pub(super) struct Place {
    pub address: Address,
    headers: HeaderMap,
    cookies: Mutex<Cookies>,
    tls: Option<Tls>,
    connect_timeout: Duration,
}

/// Hides what is in it; it has no `Debug` of its own.
struct Tls(TlsConnector);

/// One connection at a time to a place.
#[derive(Default)]
pub(super) struct Http {
    kept: Option<Kept>,
}

struct Kept {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
    used: Instant,
}

impl Place {
    /// The place of a URL.
    pub fn parse(url: &str, options: &Options) -> Result<Self, OpenError> {
        let address = Address::parse(url, &HTTP).ok_or(OpenError::Url)?;
        let mut headers = options.header_map()?;
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("towpath/", env!("CARGO_PKG_VERSION"))));
        let tls = options.connector().map(Tls);
        let connect_timeout = options.connect_timeout;
        Ok(Self { address, headers, cookies: Mutex::default(), tls, connect_timeout })
    }

    /// The place that the server says it has instead. What was encrypted stays so: credentials go along.
    pub fn moved(self, base_url: Option<&str>) -> Result<Self, OpenError> {
        let Some(url) = base_url else { return Ok(self) };
        let address = Address::parse(url, &HTTP);
        let Some(address) = address.filter(|address| address.secure || !self.address.secure) else {
            return Err(OpenError::Refused(format!(
                "{} sends its clients to a base_url that cannot be used",
                self.address.host
            )));
        };
        let same = (&address.host, address.port) == (&self.address.host, self.address.port);
        let cookies = if same { self.cookies } else { Mutex::default() };
        Ok(Self { address, cookies, ..self })
    }

    /// The resource of what lies below it.
    pub fn resource(&self, below: &str) -> String {
        super::resource(&self.address, below)
    }

    /// The headers of a request, cookies included.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        self.cookies.lock().put(&mut headers);
        headers
    }

    /// What makes TLS connections to it, where the caller has brought it.
    pub fn tls(&self) -> Option<&TlsConnector> {
        self.tls.as_ref().map(|Tls(tls)| tls)
    }
}

impl Http {
    /// The head of an answer, whatever its status. Its body must be read to the end for the connection to be used again.
    ///
    /// # Errors
    ///
    /// A sentence for people.
    pub async fn ask(
        &mut self,
        place: &Place,
        method: Method,
        resource: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, String> {
        let mut request = request(place, method, resource, body)?;
        let kept = self.kept.take().filter(|kept| kept.used.elapsed() < KEPT);
        if let Some(mut kept) = kept
            && kept.sender.ready().await.is_ok()
        {
            match kept.sender.try_send_request(request).await {
                Ok(response) => return Ok(self.keep(place, kept, response)),
                Err(mut error) => match error.take_message() {
                    // Nothing of it was sent.
                    Some(unsent) => request = unsent,
                    None => return Err(chain(error.error())),
                },
            }
        }
        let mut fresh = connect(place).await?;
        let response = fresh.sender.send_request(request).await.map_err(|error| chain(&error))?;
        Ok(self.keep(place, fresh, response))
    }

    fn keep(&mut self, place: &Place, kept: Kept, response: Response<Incoming>) -> Response<Incoming> {
        place.cookies.lock().take(response.headers());
        self.kept = Some(kept);
        response
    }

    /// Says that the answer is read, and that the connection is idle from now.
    pub fn idle(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.used = Instant::now();
        }
    }
}

/// The whole body.
pub(super) async fn collect(mut body: Incoming, most: usize) -> Result<Bytes, String> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| chain(&error))?.into_data() else { continue };
        if whole.len() + data.len() > most {
            return Err(format!("the answer has more than {most} bytes"));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// An error with all that is behind it: the outer ones say little.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

async fn connect(place: &Place) -> Result<Kept, String> {
    let connecting = timeout(place.connect_timeout, place.address.connect(place.tls())).await;
    let late = |_| format!("no connection within {:?}", place.connect_timeout);
    let stream = connecting.map_err(late)?.map_err(|error| error.to_string())?;
    let shaken = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|error| chain(&error))?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // Whoever waits for an answer is told the same.
        let _ = connection.await;
    });
    Ok(Kept { sender, _driver: driver, used: Instant::now() })
}

fn request(place: &Place, method: Method, resource: &str, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
    let wrong = |_: hyper::http::Error| "the URL cannot be asked".to_owned();
    let host = HeaderValue::from_str(&place.address.authority).map_err(|error| error.to_string())?;
    let posts = method == Method::POST;
    let built = Request::builder().method(method).uri(resource).body(Full::new(body));
    let mut request: Request<Full<Bytes>> = built.map_err(wrong)?;
    *request.headers_mut() = place.headers();
    request.headers_mut().insert(HOST, host);
    if posts {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
    }
    Ok(request)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
