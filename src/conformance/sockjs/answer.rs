//! A whole answer, and what is wanted of it. Each demand names what was seen and what was wanted instead; they can be written
//! one behind the other.
//!
//! Does not know: which demand belongs to which answer.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::steps::Steps;
use crate::conformance::Stop;
use crate::wire::{Response, shown};

/// The exact `Cache-Control` of what must not be cached (SockJS protocol, NOCACHE).
const NOT_CACHED: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";
/// The same in the edition 0.3.3.
const NOT_CACHED_033: &str = "no-store, no-cache, must-revalidate, max-age=0";

/// An answer that came.
#[derive(Debug)]
pub(super) struct Answer {
    /// The answer itself.
    pub response: Response,
    pub(super) steps: Steps,
}

/// What a demand gives: the same answer, for the next one.
type Demanded<'a> = Result<&'a Answer, Stop>;

impl Answer {
    /// The demand is not met.
    pub fn fail(&self, seen: impl Into<String>, wanted: impl Into<String>) -> Stop {
        self.steps.fail(seen, wanted)
    }

    /// It has this status.
    pub fn status(&self, status: u16) -> Demanded<'_> {
        self.status_in(&[status])
    }

    /// It has one of these statuses.
    pub fn status_in(&self, statuses: &[u16]) -> Demanded<'_> {
        let seen = self.response.status();
        if statuses.contains(&seen) {
            return Ok(self);
        }
        let body = shown(self.response.body());
        let wanted: Vec<_> = statuses.iter().map(u16::to_string).collect();
        Err(self.fail(format!("status {seen}, body {body}"), format!("status {}", wanted.join(" or "))))
    }

    /// Its body is this, byte for byte.
    pub fn body(&self, wanted: impl AsRef<[u8]>) -> Demanded<'_> {
        let (seen, wanted) = (self.response.body(), wanted.as_ref());
        if seen == wanted {
            return Ok(self);
        }
        Err(self.fail(format!("body {}", shown(seen)), format!("body {}", shown(wanted))))
    }

    /// This text is in its body.
    pub fn body_has(&self, wanted: &str) -> Demanded<'_> {
        let seen = self.response.text();
        match seen.contains(wanted) {
            true => Ok(self),
            false => Err(self.fail(format!("body {}", shown(seen)), format!("{wanted} in the body"))),
        }
    }

    /// Its body is this JSON of an object.
    pub fn json(&self) -> Result<serde_json::Map<String, Value>, Stop> {
        match serde_json::from_slice(&self.response.body()) {
            Ok(Value::Object(object)) => Ok(object),
            _ => Err(self.fail(format!("body {}", shown(self.response.body())), "a JSON object")),
        }
    }

    /// A header has this value.
    pub fn header(&self, name: &str, wanted: &str) -> Demanded<'_> {
        match self.response.header(name) {
            Some(seen) if seen == wanted => Ok(self),
            seen => Err(self.fail(line(name, seen), line(name, Some(wanted)))),
        }
    }

    /// A header is there; its value, the first if it is repeated.
    pub fn some_header(&self, name: &str) -> Result<&str, Stop> {
        self.response.header(name).ok_or_else(|| self.fail(line(name, None), format!("a header {name}")))
    }

    /// A header is not there.
    pub fn no_header(&self, name: &str) -> Demanded<'_> {
        match self.response.header(name) {
            None => Ok(self),
            seen => Err(self.fail(line(name, seen), format!("no header {name}"))),
        }
    }

    /// Its type is this; blanks make no difference, and the case of letters does (SockJS protocol, content types).
    pub fn content_type(&self, wanted: &str) -> Demanded<'_> {
        let plain = |value: &str| value.replace(' ', "");
        match self.response.header("Content-Type") {
            Some(seen) if plain(seen) == plain(wanted) => Ok(self),
            seen => Err(self.fail(line("Content-Type", seen), line("Content-Type", Some(wanted)))),
        }
    }

    /// It must not be cached, in the exact words of the protocol.
    pub fn not_cached(&self) -> Demanded<'_> {
        if self.response.header("Cache-Control") == Some(NOT_CACHED_033) {
            self.steps.vintage("0.3.3: Cache-Control without no-transform");
        } else {
            self.header("Cache-Control", NOT_CACHED)?;
        }
        self.no_header("Expires")?.no_header("Last-Modified")
    }

    /// It may be cached, for a year: at least seven digits of seconds, an `Expires` in the future, and no `Last-Modified`.
    pub fn cached_for_a_year(&self) -> Demanded<'_> {
        let control = self.some_header("Cache-Control")?;
        let seconds = control.split_once("max-age=").map_or("", |(_, age)| age.trim());
        let digits = seconds.chars().take_while(char::is_ascii_digit).count();
        if !control.contains("public") || digits < 7 || seconds.starts_with('0') {
            let wanted = "Cache-Control: public, max-age=31536000";
            return Err(self.fail(line("Cache-Control", Some(control)), wanted));
        }
        let expires = self.some_header("Expires")?;
        // Ten days are less than the least that seven digits of seconds say.
        let soon = SystemTime::now() + Duration::from_secs(864_000);
        if !httpdate::parse_http_date(expires).is_ok_and(|date| date > soon) {
            return Err(self.fail(line("Expires", Some(expires)), "an Expires in a year, as an HTTP date"));
        }
        self.no_header("Last-Modified")
    }

    /// Pages of that origin may read it, with credentials; without an origin, anybody's without.
    pub fn cors(&self, origin: Option<&str>) -> Demanded<'_> {
        self.header("Access-Control-Allow-Origin", origin.unwrap_or("*"))?;
        match origin {
            Some(_) => self.header("Access-Control-Allow-Credentials", "true"),
            None => self.no_header("Access-Control-Allow-Credentials"),
        }
    }

    /// It sets no cookie.
    pub fn no_cookie(&self) -> Demanded<'_> {
        self.no_header("Set-Cookie")
    }

    /// It sets `JSESSIONID` to this, with `path=/` behind it; other attributes may follow.
    pub fn cookie(&self, value: &str) -> Demanded<'_> {
        let wanted = format!("JSESSIONID={value}; path=/");
        let fits = |cookie: &str| {
            let mut parts = cookie.split(';').map(str::trim);
            parts.next() == Some(&format!("JSESSIONID={value}"))
                && parts.next().is_some_and(|path| path.eq_ignore_ascii_case("path=/"))
        };
        match self.response.head.all("Set-Cookie").any(fits) {
            true => Ok(self),
            false => {
                let seen = self.response.head.all("Set-Cookie").collect::<Vec<_>>().join(" and ");
                let seen = (!seen.is_empty()).then_some(seen);
                Err(self.fail(line("Set-Cookie", seen.as_deref()), line("Set-Cookie", Some(&wanted))))
            }
        }
    }

    /// A header that is a list, in one line or several, has all of these entries.
    pub fn lists(&self, name: &str, entries: &[&str]) -> Demanded<'_> {
        match entries.iter().all(|entry| self.response.head.has_token(name, entry)) {
            true => Ok(self),
            false => {
                let seen = self.response.head.all(name).collect::<Vec<_>>().join(", ");
                let seen = (!seen.is_empty()).then_some(seen);
                Err(self.fail(line(name, seen.as_deref()), format!("{name} with {}", entries.join(", "))))
            }
        }
    }

    /// The check has seen nothing wrong.
    pub fn done(&self) -> Result<(), Stop> {
        self.steps.done()
    }
}

fn line(name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("{name}: {value}"),
        None => format!("no header {name}"),
    }
}
