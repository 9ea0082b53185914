//! What has no session: greeting, iframe page, info and preflights; and the headers that answers share.
//!
//! Does not know: sessions.

use serde_json::json;

use super::defects::{Defect, Defects};
use super::http::{Answer, Request};
use super::server::Service;
use super::text::percent_decoded;

const NO_CACHE: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";
const YEAR: u32 = 31_536_000;
const PAGE: &str = r#"<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="/lib/sockjs.js"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>"#;

/// With the headers that forbid caching.
pub fn uncached(answer: Answer, defects: Defects) -> Answer {
    let value = if defects.has(Defect::MayBeTransformed) {
        NO_CACHE.replace(" no-transform,", "")
    } else {
        NO_CACHE.to_owned()
    };
    answer.with("Cache-Control", value)
}

fn cached(answer: Answer) -> Answer {
    // Far enough ahead, and the year of nobody's clock.
    let expires = "Fri, 01 Jan 2100 00:00:00 GMT";
    answer.with("Cache-Control", format!("public, max-age={YEAR}")).with("Expires", expires)
}

/// With the headers for pages of other origins.
pub fn cross_origin(mut answer: Answer, request: &Request, defects: Defects) -> Answer {
    let origin = request.header("origin").filter(|_| !defects.has(Defect::OriginIsStar));
    let refused = origin == Some("null") && defects.has(Defect::NullOriginRefused);
    let times = if defects.has(Defect::OriginTwice) { 2 } else { usize::from(!refused) };
    for _ in 0..times {
        answer = answer.with("Access-Control-Allow-Origin", origin.unwrap_or("*"));
    }
    if origin.is_some() || defects.has(Defect::CredentialsWithStar) {
        answer = answer.with("Access-Control-Allow-Credentials", "true");
    }
    if !defects.has(Defect::VaryMissing) {
        answer = answer.with("Vary", "Origin");
    }
    let only_preflight = request.method != "OPTIONS" && defects.has(Defect::HeadersAllowedInPreflightOnly);
    let mut wanted = request.header("access-control-request-headers").unwrap_or_default();
    if wanted.is_empty() && defects.has(Defect::NoHeadersAllowed) {
        wanted = "Authorization";
    }
    if !wanted.is_empty() && !only_preflight && !defects.has(Defect::AllowHeadersMissing) {
        answer = answer.with("Access-Control-Allow-Headers", wanted);
    }
    answer
}

/// With the cookie, if the service wants one.
pub fn with_cookie(answer: Answer, request: &Request, service: &Service, defects: Defects) -> Answer {
    if !service.cookie {
        return answer;
    }
    let cookies = request.header("cookie").unwrap_or_default().split(';');
    let own = cookies.filter_map(|cookie| cookie.trim().strip_prefix("JSESSIONID=")).next();
    let own = own.filter(|_| !defects.has(Defect::CookieReplaced));
    answer.with("Set-Cookie", format!("JSESSIONID={}; path=/", own.unwrap_or("dummy")))
}

/// An answer to a known path and a method that does not fit.
pub fn method_not_allowed(allowed: &'static str, defects: Defects) -> Answer {
    if defects.has(Defect::AllowMissing) { Answer::empty(405) } else { Answer::empty(405).with("Allow", allowed) }
}

/// An answer to an unknown path.
pub fn not_found(defects: Defects) -> Answer {
    Answer::text(if defects.has(Defect::UnknownPathFound) { 200 } else { 404 }, "not found\n")
}

/// The answer to a preflight.
pub fn preflight(request: &Request, service: &Service, methods: &'static str, defects: Defects) -> Answer {
    let mut answer = cached(Answer::empty(204)).with("Access-Control-Allow-Methods", methods);
    let age = if defects.has(Defect::PreflightForAMinute) { 60 } else { YEAR };
    if !defects.has(Defect::PreflightWithoutAge) {
        answer = answer.with("Access-Control-Max-Age", age.to_string());
    }
    if !defects.has(Defect::CookieOfPreflightMissing) {
        answer = with_cookie(answer, request, service, defects);
    }
    cross_origin(answer, request, defects)
}

/// The greeting, iframe page or info, if that is what is at the path, which is the one below the service.
pub fn page(request: &Request, service: &Service, path: &str, defects: Defects) -> Option<Answer> {
    let get = matches!(request.method.as_str(), "GET" | "HEAD");
    Some(match path {
        "" | "/" if get => greeting(request, service, defects),
        "/info" if get => info(request, service, defects),
        "/info" if request.method == "OPTIONS" && !defects.has(Defect::PreflightOfInfoUnknown) => {
            preflight(request, service, "OPTIONS, GET", defects)
        }
        "/info" => method_not_allowed("OPTIONS, GET", defects),
        _ if is_iframe(path, defects) && !request.query.is_empty() && defects.has(Defect::IframeQueryCounts) => {
            not_found(defects)
        }
        _ if is_iframe(path, defects) && get => iframe(request, defects),
        "" | "/" => method_not_allowed("GET", defects),
        _ if is_iframe(path, defects) => method_not_allowed("GET", defects),
        _ => return None,
    })
}

fn greeting(request: &Request, service: &Service, defects: Defects) -> Answer {
    let without = defects.has(Defect::GreetingWithoutLineEnd);
    let answer = Answer::text(200, if without { "Welcome to SockJS!" } else { "Welcome to SockJS!\n" });
    if defects.has(Defect::CookieOnGreeting) { with_cookie(answer, request, service, defects) } else { answer }
}

fn info(request: &Request, service: &Service, defects: Defects) -> Answer {
    let mut body = json!({
        "websocket": service.websocket || defects.has(Defect::DisabledWebsocketInInfo),
        "cookie_needed": service.cookie && !defects.has(Defect::CookieNotNeeded),
        "origins": ["*:*"],
        "entropy": if defects.has(Defect::EntropyConstant) { 4 } else { rand::random::<u32>() },
    });
    if defects.has(Defect::InfoWithoutOrigins) {
        body["origins"] = json!([]);
    }
    let mut answer = Answer::new(200, "application/json; charset=UTF-8", body.to_string());
    if defects.has(Defect::CookieOnInfo) {
        answer = with_cookie(answer, request, service, defects);
    }
    let answer = if defects.has(Defect::InfoCacheable) { cached(answer) } else { uncached(answer, defects) };
    cross_origin(answer, request, defects)
}

fn is_iframe(path: &str, defects: Defects) -> bool {
    let Some(name) = path.strip_prefix("/iframe") else {
        return false;
    };
    let mut version = name.strip_suffix(".html");
    if defects.has(Defect::IframeOfAnyEnding) {
        version = version.or(name.strip_suffix(".htm"));
    }
    if defects.has(Defect::IframeDotIsAny) {
        version = version.or(name.strip_suffix("xhtml"));
    }
    if defects.has(Defect::IframeVersionUnknown) {
        version = version.filter(|version| version.is_empty());
    }
    let fits =
        |character: char| character.is_ascii_digit() || character.is_ascii_lowercase() || "-._".contains(character);
    version.is_some_and(|version| version.chars().all(fits))
}

fn iframe(request: &Request, defects: Defects) -> Answer {
    let tag = if defects.has(Defect::IframeTagChanges) {
        format!("\"{}\"", rand::random::<u32>())
    } else {
        "\"page\"".to_owned()
    };
    let known = request.header("if-none-match").unwrap_or_default();
    let same = match known {
        known if defects.has(Defect::IframeTagAsWhole) => known == tag,
        known => known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag),
    };
    let answer = match (same, defects.has(Defect::NotModifiedWithType)) {
        (true, _) if defects.has(Defect::NotModifiedWithBody) => Answer { body: PAGE.into(), ..Answer::empty(304) },
        (true, false) => Answer::empty(304),
        (true, true) => Answer { body: Vec::new(), ..Answer::new(304, "text/html; charset=UTF-8", "") },
        (false, _) => Answer::new(200, "text/html; charset=UTF-8", page_for(&request.query, defects)),
    };
    let answer = if defects.has(Defect::IframeUncached) { uncached(answer, defects) } else { cached(answer) };
    if defects.has(Defect::IframeWithoutTag) { answer } else { answer.with("ETag", tag) }
}

fn page_for(query: &str, defects: Defects) -> String {
    if defects.has(Defect::IframeScriptRelative) {
        return PAGE.replace("/lib/", "lib/");
    }
    if query.is_empty() || !defects.has(Defect::IframeEchoesQuery) {
        return PAGE.to_owned();
    }
    let decoded = percent_decoded(query);
    PAGE.replace("sockjs.js", &format!("sockjs.js?{}", String::from_utf8_lossy(&decoded)))
}
