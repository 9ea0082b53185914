//! A whole answer, and what is wanted of it. Each demand names what was seen and what was wanted instead; they can be written
//! one behind the other.
//!
//! Does not know: which demand belongs to which answer.

use serde_json::Value;

use super::steps::Steps;
use crate::conformance::Stop;
use crate::wire::{Response, shown};

/// The exact `Cache-Control` of what must not be cached (SockJS protocol, NOCACHE).
const NOT_CACHED: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";
/// The same in the edition 0.3.3.
const NOT_CACHED_033: &str = "no-store, no-cache, must-revalidate, max-age=0";

const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";

/// An answer that came.
#[derive(Debug)]
pub(super) struct Answer {
    /// The answer itself.
    pub response: Response,
    /// What led to it.
    pub steps: Steps,
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

    /// A header is there and says something; its value, the first if it is repeated.
    pub fn some_header(&self, name: &str) -> Result<&str, Stop> {
        let value = self.response.header(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| self.fail(line(name, None), format!("a header {name}")))
    }

    /// A header is not there, or says nothing.
    pub fn no_header(&self, name: &str) -> Demanded<'_> {
        match self.response.header(name) {
            None | Some("") => Ok(self),
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

    /// It may be cached, for a year: at least seven digits of seconds, an `Expires` for caches of old, and no `Last-Modified`.
    pub fn cached_for_a_year(&self) -> Demanded<'_> {
        let control = self.some_header("Cache-Control")?;
        let seconds = control.split_once("max-age=").map_or("", |(_, age)| age.trim());
        let digits = seconds.chars().take_while(char::is_ascii_digit).count();
        if !control.contains("public") || digits < 7 || seconds.starts_with('0') {
            let wanted = "Cache-Control: public, max-age=31536000";
            return Err(self.fail(line("Cache-Control", Some(control)), wanted));
        }
        self.some_header("Expires")?;
        self.no_header("Last-Modified")
    }

    /// Pages of that origin may read it, with credentials; without an origin, anybody's without.
    pub fn cors(&self, origin: Option<&str>) -> Demanded<'_> {
        const CREDENTIALS: &str = "Access-Control-Allow-Credentials";
        match origin {
            // A star goes without credentials, though the edition 0.3.3 wants them.
            Some(origin) if self.allows_origin(origin)?.response.header(ALLOW_ORIGIN) == Some("*") => Ok(self),
            Some(_) => self.header(CREDENTIALS, "true"),
            None if self.header(ALLOW_ORIGIN, "*")?.response.header(CREDENTIALS) == Some("true") => {
                self.steps.vintage("0.3.3: Access-Control-Allow-Credentials without an Origin");
                Ok(self)
            }
            None => self.no_header(CREDENTIALS),
        }
    }

    /// Pages of that origin may read it.
    pub fn allows_origin(&self, origin: &str) -> Demanded<'_> {
        if origin == "null" && self.response.header(ALLOW_ORIGIN) == Some("*") {
            self.steps.vintage("0.3.3: a star for the origin null");
            return Ok(self);
        }
        self.header(ALLOW_ORIGIN, origin)
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

#[cfg(test)]
impl Answer {
    /// An answer that nobody gave: 200 with these headers and this body.
    pub fn of(headers: &[(&str, &str)], body: &str) -> Self {
        use crate::wire::{Framing, Head, Piece};

        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let head = Head { version: "HTTP/1.1".to_owned(), status: 200, reason: "OK".to_owned(), headers };
        let piece = Piece { bytes: body.to_owned().into(), at: std::time::Instant::now() };
        let response = Response { head, framing: Framing::Length(body.len()), pieces: vec![piece] };
        Self { response, steps: Steps::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Verdict;

    fn verdict(headers: &[(&str, &str)], demand: impl Fn(&Answer) -> Demanded<'_>) -> &'static str {
        let answer = Answer::of(headers, "body");
        Verdict::from(demand(&answer).and_then(Answer::done)).name()
    }

    #[test]
    fn what_must_not_be_cached_says_so_in_the_words_of_one_of_two_editions() {
        let control = |value: &str| verdict(&[("Cache-Control", value)], Answer::not_cached);
        assert_eq!(control(NOT_CACHED), "passed");
        assert_eq!(control(NOT_CACHED_033), "vintage");
        assert_eq!(control("no-store"), "failed");
        assert_eq!(verdict(&[], Answer::not_cached), "failed");
        assert_eq!(verdict(&[("Cache-Control", NOT_CACHED), ("Expires", "0")], Answer::not_cached), "failed");
    }

    #[test]
    fn a_year_has_seven_digits_or_more() {
        let year = |control: &str| {
            let expires = ("Expires", "Fri, 27 Nov 2099 16:55:31 GMT");
            verdict(&[("Cache-Control", control), expires], Answer::cached_for_a_year)
        };
        assert_eq!(year("public, max-age=31536000"), "passed");
        assert_eq!(year("max-age=31536000"), "failed");
        assert_eq!(year("public, max-age=0031536000"), "failed");
        assert_eq!(year("public, max-age=604800"), "failed");
        assert_eq!(verdict(&[("Cache-Control", "public, max-age=31536000")], Answer::cached_for_a_year), "failed");
    }

    #[test]
    fn origins_are_echoed_and_null_had_a_star_once() {
        let (star, test, null) = ((ALLOW_ORIGIN, "*"), (ALLOW_ORIGIN, "test"), (ALLOW_ORIGIN, "null"));
        let credentials = ("Access-Control-Allow-Credentials", "true");
        for (origin, headers, expected) in [
            (Some("test"), &[test, credentials][..], "passed"),
            (Some("test"), &[test], "failed"),
            (Some("test"), &[star, credentials], "failed"),
            (Some("null"), &[null, credentials], "passed"),
            (Some("null"), &[star, credentials], "vintage"),
            (Some("null"), &[credentials], "failed"),
            (None, &[star], "passed"),
            (None, &[star, credentials], "vintage"),
            (None, &[], "failed"),
        ] {
            assert_eq!(verdict(headers, |answer| answer.cors(origin)), expected, "{origin:?} {headers:?}");
        }
    }

    #[test]
    fn the_cookie_has_its_path_second_and_what_it_likes_behind() {
        let cookie =
            |value: &str| verdict(&[("Set-Cookie", "a=b"), ("Set-Cookie", value)], |answer| answer.cookie("x"));
        assert_eq!(cookie("JSESSIONID=x; path=/"), "passed");
        assert_eq!(cookie("JSESSIONID=x;Path=/; SameSite=None; Secure"), "passed");
        assert_eq!(cookie("JSESSIONID=x"), "failed");
        assert_eq!(cookie("JSESSIONID=y; path=/"), "failed");
    }

    #[test]
    fn types_are_compared_without_blanks_and_with_case() {
        let kind = |value: &str| {
            verdict(&[("Content-Type", value)], |answer| answer.content_type("text/plain; charset=UTF-8"))
        };
        assert_eq!(kind("text/plain;charset=UTF-8"), "passed");
        assert_eq!(kind("text/plain; charset=utf-8"), "failed");
    }
}
