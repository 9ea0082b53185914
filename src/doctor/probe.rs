//! What every step needs: the server, the browser's manners (origin, cookies, ids), and a message that gets an answer.
//!
//! Does not know: what is looked for.

use std::time::{Duration, Instant};

use super::Options;
use super::report::{Fact, Finding, Transport};
use crate::client::sockjs::fresh_session;
use crate::stomp::{Command, Frame, Version};
use crate::wire::{Connection, Fault, Head, Limits, Load, Request, Response, Target};

/// The longest pause after which an answer counts as missing, once the server is known to answer.
const PROMPT: Duration = Duration::from_secs(3);

/// The server under examination, and all that is known of it up to now.
pub(super) struct Probe<'a> {
    pub target: &'a Target,
    pub load: &'a Load,
    pub options: &'a Options,
    pub tell: &'a (dyn Fn(&str) + Sync),
    pub cookies: Jar,
    pub service: Service,
    pub facts: Vec<Fact>,
    pub findings: Vec<Finding>,
}

/// What the service does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Nobody has tried yet, or no transport has brought an answer.
    Unknown,
    /// It is STOMP and let us in.
    Stomp,
    /// It is STOMP and did not.
    Refuses,
    /// It sends back what it gets.
    Echo,
    /// It answers in another way.
    Answers,
}

/// How far a transport came.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub transport: Transport,
    /// How long the open frame took.
    pub opened: Option<Duration>,
    /// How long the answer to a message took.
    pub answered: Option<Duration>,
    /// Whether it ended with an answer at once, so that a client loses no time over it.
    pub refused: bool,
    /// Whether the server does not have it.
    pub offered: bool,
}

impl Course {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, opened: None, answered: None, refused: false, offered: true }
    }
}

/// Cookies, kept as a browser does for one host and one visit: by name, the last value wins.
#[derive(Debug, Clone, Default)]
pub(super) struct Jar(Vec<(String, String)>);

impl Jar {
    pub(super) fn take(&mut self, head: &Head) {
        for line in head.all("Set-Cookie") {
            let pair = line.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else { continue };
            self.put(name.trim(), value.trim());
        }
    }

    /// Takes over everything from another.
    pub(super) fn merge(&mut self, other: Self) {
        other.0.iter().for_each(|(name, value)| self.put(name, value));
    }

    fn put(&mut self, name: &str, value: &str) {
        self.0.retain(|(given, _)| given != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn header(&self) -> Option<String> {
        let pairs: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    pub(super) fn names(&self) -> String {
        self.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl<'a> Probe<'a> {
    pub(super) fn fact(&mut self, step: &'static str, text: impl Into<String>) {
        self.facts.push(Fact { step, text: text.into() });
    }

    pub(super) fn find(&mut self, finding: Finding) {
        // One problem is told once, with everything that was seen of it.
        match self.findings.iter_mut().find(|given| given.problem == finding.problem) {
            Some(given) => {
                given.seen.extend(finding.seen);
                given.breaks.extend(finding.breaks);
                given.hampers.extend(finding.hampers);
                given.beat = given.beat.or(finding.beat);
            }
            None => self.findings.push(finding),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.options.limits
    }

    /// The longest pause after which an answer counts as missing, once the server is known to answer.
    pub(super) fn prompt(&self) -> Duration {
        PROMPT.min(self.limits().patience)
    }

    /// The origin of the service's own pages.
    pub(super) fn own_origin(&self) -> String {
        self.target.url("")
    }

    /// The origin of the pages that use the service.
    pub(super) fn origin(&self) -> String {
        self.options.origin.clone().unwrap_or_else(|| self.own_origin())
    }

    /// A fresh session's path below the service's: ids as sockjs-client makes them.
    pub(super) fn session(&self) -> String {
        self.target.path(&fresh_session(8))
    }

    /// A request with what a browser adds.
    pub(super) fn request(&self, method: &str, path: impl Into<String>) -> Request {
        self.dressed(Request::new(method, path))
    }

    /// The same for a request that is begun already.
    pub(super) fn dressed(&self, request: Request) -> Request {
        let request = request.header("User-Agent", concat!("towpath-doctor/", env!("CARGO_PKG_VERSION")));
        let request = request.header("Accept", "*/*");
        match self.cookies.header() {
            Some(cookies) => request.header("Cookie", &cookies),
            None => request,
        }
    }

    /// A POST of a script of a page, which has an origin.
    pub(super) fn post(&self, path: impl Into<String>, body: impl Into<bytes::Bytes>) -> Request {
        let request = self.request("POST", path).header("Origin", &self.origin());
        request.header("Content-Type", "text/plain").body(body)
    }

    /// Asks on a connection of its own.
    pub(super) async fn ask(&self, request: &Request) -> Result<Response, Fault> {
        self.ask_for(request, self.limits()).await
    }

    pub(super) async fn ask_for(&self, request: &Request, limits: Limits) -> Result<Response, Fault> {
        Connection::open(self.target, self.load, limits).await?.ask(request, self.target).await
    }

    /// Sends messages to a session. Where servers take turns, one of a few tries meets the right one. The last answer's status.
    pub(super) async fn send(&self, session: &str, body: &str) -> Result<u16, Fault> {
        let mut status = 0;
        for _ in 0..4 {
            let request = self.post(format!("{session}/xhr_send"), body.to_owned());
            status = self.ask(&request).await?.status();
            if status != 404 {
                break;
            }
        }
        Ok(status)
    }

    /// The array with the message that should get an answer: what the user says, or STOMP's CONNECT, without heart-beats, which
    /// would disturb the silence.
    pub(super) fn greeting(&self) -> String {
        if let Some(message) = &self.options.message {
            return array([message.as_str()]);
        }
        let mut frame = Frame::new(Command::Connect)
            .with("accept-version", "1.0,1.1,1.2")
            .with("host", self.target.host())
            .with("heart-beat", "0,0");
        if let Some(login) = &self.options.login {
            frame = frame.with("login", login.as_str());
        }
        if let Some(passcode) = &self.options.passcode {
            frame = frame.with("passcode", passcode.as_str());
        }
        let frame = frame.encode(Version::V1_0);
        array([&*String::from_utf8_lossy(&frame)])
    }

    /// Learns from a frame that followed the greeting.
    pub(super) fn learn(&mut self, frame: &str) {
        if self.service == Service::Unknown || self.service == Service::Answers {
            self.service = match frame {
                _ if frame.starts_with("a[\"CONNECTED") => Service::Stomp,
                _ if frame.starts_with("a[\"ERROR") => Service::Refuses,
                _ if frame.starts_with("a[\"CONNECT\\n") => Service::Echo,
                _ => match &self.options.message {
                    Some(message) if frame == format!("a{}", array([message.as_str()])) => Service::Echo,
                    _ => Service::Answers,
                },
            };
        }
    }

    /// A message that makes the service send about that many bytes, where there is one.
    pub(super) fn filler(&self, bytes: usize, number: usize) -> Option<String> {
        match self.service {
            Service::Echo => Some(array(["x".repeat(bytes).as_str()])),
            // A receipt comes back as long as it was asked for, and a transaction that is given up leaves nothing behind.
            Service::Stomp => {
                let (name, receipt) = (format!("t{number}"), "x".repeat(bytes));
                let begin = Frame::new(Command::Begin).with("transaction", name.as_str()).with("receipt", receipt);
                let abort = Frame::new(Command::Abort).with("transaction", name);
                let texts = [begin, abort].map(|frame| frame.encode(Version::V1_0));
                Some(array(
                    texts
                        .iter()
                        .map(|frame| String::from_utf8_lossy(frame))
                        .collect::<Vec<_>>()
                        .iter()
                        .map(|text| &**text),
                ))
            }
            _ => None,
        }
    }
}

/// A JSON array of texts, as clients send messages.
pub(super) fn array<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    serde_json::Value::from(texts.into_iter().collect::<Vec<_>>()).to_string()
}

/// A time as people read it.
pub(super) fn shown(time: Duration) -> String {
    match time.as_millis() {
        0 => format!("{:.1} ms", time.as_secs_f64() * 1000.0),
        ms @ 1..1000 => format!("{ms} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// What is left until then.
pub(super) fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_cookie_wins() {
        let mut jar = Jar::default();
        let head = |cookies: &[&str]| Head {
            version: "HTTP/1.1".to_owned(),
            status: 200,
            reason: String::new(),
            headers: cookies.iter().map(|cookie| ("set-cookie".to_owned(), (*cookie).to_owned())).collect(),
        };
        assert_eq!(jar.header(), None);
        jar.take(&head(&["a=1; path=/", "b=x=y"]));
        jar.take(&head(&["a=2", "broken"]));
        assert_eq!(jar.header().as_deref(), Some("b=x=y; a=2"));
        assert_eq!(jar.names(), "b, a");
    }

    #[test]
    fn times_are_short() {
        for (micros, expected) in [(400, "0.4 ms"), (2_500, "2 ms"), (1_234_000, "1.2 s")] {
            assert_eq!(shown(Duration::from_micros(micros)), expected);
        }
    }
}
