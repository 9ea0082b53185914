//! A request as it will be on the wire, and the `curl` line that sends the same.
//!
//! Does not know: connections, answers.

use std::fmt::Write as _;

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::Target;

/// What has no place in a path: it would end the request line's second part.
const NOT_IN_PATHS: &AsciiSet = &CONTROLS.add(b' ').add(b'#');

/// How many equal bytes of a body are still written out in a line for a shell.
const RUN: usize = 200;

/// A request in the making. `Host` and, for a body, `Content-Length` are added unless they are given or left out on purpose.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    path: String,
    version: &'static str,
    host: bool,
    length: bool,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
}

impl Request {
    /// A request with any method. The path is the whole one, with the query, and is written as it is.
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            path: path.into(),
            version: "HTTP/1.1",
            host: true,
            length: true,
            headers: Vec::new(),
            body: None,
        }
    }

    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// A POST, with neither a body nor a `Content-Length` until [`Request::body`] gives it one.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new("POST", path)
    }

    /// An OPTIONS.
    pub fn options(path: impl Into<String>) -> Self {
        Self::new("OPTIONS", path)
    }

    /// The handshake of a websocket, with the key of RFC 6455's own example.
    pub fn websocket(path: impl Into<String>) -> Self {
        Self::get(path)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", Self::WEBSOCKET_KEY)
    }

    /// The key of [`Request::websocket`].
    pub const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    /// What a server must answer it with in `Sec-WebSocket-Accept`.
    pub const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes every header line of that name away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(name));
        self
    }

    /// Gives it a body, with its length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Makes it a request of HTTP/1.0.
    #[must_use]
    pub fn http10(mut self) -> Self {
        self.version = "HTTP/1.0";
        self
    }

    /// Leaves `Host` out.
    #[must_use]
    pub fn without_host(mut self) -> Self {
        self.host = false;
        self
    }

    /// Leaves the `Content-Length` of the body out.
    #[must_use]
    pub fn without_length(mut self) -> Self {
        self.length = false;
        self
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path, with the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The bytes that go to that server.
    pub fn encode(&self, target: &Target) -> Vec<u8> {
        let mut head = format!("{} {} {}\r\n", self.method, self.path, self.version);
        let mut line = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        let given = |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        if self.host && !given("host") {
            line("Host", target.authority());
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        if let Some(body) = self.body.as_ref().filter(|_| self.length && !given("content-length")) {
            line("Content-Length", &body.len().to_string());
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }

    /// A line for a shell that sends the same request to that server and shows the answer as it comes. `curl` adds headers of its
    /// own (`User-Agent`, `Accept`), which make no difference to a server of SockJS.
    pub fn curl(&self, target: &Target) -> String {
        let mut line = String::from("curl -isN --max-time 10");
        if self.version == "HTTP/1.0" {
            line.push_str(" --http1.0");
        }
        if self.method != "GET" {
            let _ = write!(line, " -X {}", self.method);
        }
        for (name, value) in &self.headers {
            // An empty value takes a semicolon, else curl takes the header away.
            let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
            let _ = write!(line, " -H {}", quoted(&header));
        }
        if let Some(body) = &self.body {
            // It would say that it is a form.
            if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                line.push_str(" -H 'Content-Type:'");
            }
            match std::str::from_utf8(body) {
                Ok(text) if text.chars().all(is_seen) && !text.starts_with('@') && longest_run(body) < RUN => {
                    let _ = write!(line, " --data-raw {}", quoted(text));
                }
                _ => line = format!("{} | {line} --data-binary @-", printing(body)),
            }
        }
        let path = utf8_percent_encode(&self.path, NOT_IN_PATHS).to_string();
        let _ = write!(line, " --path-as-is {}", quoted(&target.url(&path)));
        line
    }
}

/// A word as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Whether a character is seen for what it is wherever a line is shown: line ends in it would not outlive being indented.
fn is_seen(c: char) -> bool {
    !c.is_control() && (c.is_ascii() || c.is_alphanumeric())
}

/// How many equal bytes stand behind each other at most.
fn longest_run(bytes: &[u8]) -> usize {
    bytes.chunk_by(|left, right| left == right).map(<[u8]>::len).max().unwrap_or_default()
}

/// What prints these bytes in a shell; a long run of equal ones is counted there, not written out.
fn printing(bytes: &[u8]) -> String {
    let (mut commands, mut format) = (Vec::new(), String::new());
    let printf = |format: &mut String| format!("printf '{}'", std::mem::take(format));
    for run in bytes.chunk_by(|left, right| left == right) {
        match run {
            [byte, ..] if run.len() >= RUN => {
                if !format.is_empty() {
                    commands.push(printf(&mut format));
                }
                commands.push(format!("head -c {} /dev/zero | tr '\\000' '\\{byte:03o}'", run.len()));
            }
            _ => run.iter().for_each(|byte| format.push_str(&printed(*byte))),
        }
    }
    if !format.is_empty() || commands.is_empty() {
        commands.push(printf(&mut format));
    }
    match commands.as_slice() {
        [one] => one.clone(),
        several => format!("{{ {}; }}", several.join("; ")),
    }
}

/// A byte as the first argument of `printf` between quotation marks has it.
fn printed(byte: u8) -> String {
    match byte {
        b'%' => "%%".to_owned(),
        // At the beginning it would be an option's.
        b'-' => "\\055".to_owned(),
        b' '..=b'~' if !b"'\\".contains(&byte) => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target::parse("http://localhost:8081").unwrap()
    }

    fn text(request: &Request) -> String {
        String::from_utf8(request.encode(&target())).unwrap()
    }

    #[test]
    fn a_request_is_written_as_it_was_put_together() {
        let request = Request::post("/echo/000/a/xhr_send").header("Content-Type", "T").body("[\"a\"]");
        assert_eq!(
            text(&request),
            "POST /echo/000/a/xhr_send HTTP/1.1\r\nHost: localhost:8081\r\nContent-Type: T\r\nContent-Length: 5\r\n\r\n[\"a\"]"
        );
        assert_eq!(text(&Request::get("/").http10().without_host()), "GET / HTTP/1.0\r\n\r\n");
        assert_eq!(text(&Request::get("/").header("host", "x")), "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        let lying = Request::post("/").without_host().header("Content-Length", "9").body("a");
        assert_eq!(text(&lying), "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\na");
        assert_eq!(text(&Request::post("/").without_host().body("a").without_length()), "POST / HTTP/1.1\r\n\r\na");
    }

    #[test]
    fn the_curl_line_says_the_same() {
        let request = Request::post("/echo/000/a/xhr_send").header("X", "").body("[\"it's\"]");
        assert_eq!(
            request.curl(&target()),
            r#"curl -isN --max-time 10 -X POST -H 'X;' -H 'Content-Type:' --data-raw '["it'\''s"]' --path-as-is 'http://localhost:8081/echo/000/a/xhr_send'"#
        );
        let binary = Request::post("/a b").body(vec![0, 255]).curl(&target());
        assert!(binary.starts_with("printf '\\000\\377' | curl ") && binary.contains("/a%20b"), "{binary}");
        let lines = Request::post("/").body("it's 5%\n\\").curl(&target());
        let unseen = Request::post("/").body("é\u{2028}").curl(&target());
        assert!(unseen.starts_with(r"printf '\303\251\342\200\250' | curl "), "{unseen}");
        let long = Request::post("/").body(format!("[\"{}\"]", "x".repeat(4096))).curl(&target());
        let counted = r#"{ printf '["'; head -c 4096 /dev/zero | tr '\000' '\170'; printf '"]'; } | curl "#;
        assert!(long.starts_with(counted), "{long}");
        assert!(lines.starts_with("printf 'it\\047s 5%%\\012\\134' | curl "), "{lines}");
    }
}
