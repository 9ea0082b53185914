//! What a service says of itself before anybody connects.
//!
//! Does not know: sessions.

use serde_json::{Map, Value, json};

use super::{JSON, may, may_i, must, preflight, should};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::answer::Answer;
use crate::conformance::{Check, Stop};
use crate::wire::Request;

const GROUP: &str = "info";

pub(super) const CHECKS: &[Check<Probe>] = &[
    must(
        GROUP,
        "InfoTest.test_basic",
        "/info is JSON that any origin may read and nobody caches, with websocket, cookie_needed, origins and entropy",
        "It is the first request of every client, and one that fails is the end of the connection before it began. From another \
         origin the browser hides it without the CORS headers. A cached one has a wrong round trip time, of which the client \
         makes its time-outs.",
        |probe| Box::pin(basic(probe)),
    ),
    may(
        GROUP,
        "InfoTest.test_entropy",
        "entropy is an integer, and another one each time",
        "It was meant for browsers without a good source of random numbers. The clients of today ignore it; an answer that \
         stays the same is also how a cache in between shows.",
        |probe| Box::pin(entropy(probe)),
    ),
    should(
        GROUP,
        "InfoTest.test_options",
        "OPTIONS of /info allows OPTIONS and GET to any origin, for a year",
        "Browsers ask first when a page adds headers of its own, such as Authorization. Without an answer that may be kept, they \
         ask before each connection, and without any they give up.",
        |probe| Box::pin(options(probe)),
    ),
    should(
        GROUP,
        "InfoTest.test_options_null_origin",
        "OPTIONS of /info for the origin null allows null",
        "Pages from files, from data URLs and in sandboxed frames have that origin. A star instead is refused by browsers when \
         credentials are sent, and sockjs-client sends them.",
        |probe| Box::pin(options_null_origin(probe)),
    ),
    must(
        GROUP,
        "InfoTest.test_disabled_websocket",
        "/info of a service without websocket says so",
        "It is the only thing by which a client knows not to try the websocket. If it is wrong, every connection begins with an \
         attempt that must fail.",
        |probe| Box::pin(disabled_websocket(probe)),
    ),
];

async fn basic(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let answer = visit.ask(&Request::get(visit.base("/info")).header("Origin", "test")).await?;
    answer.status(200)?.content_type(JSON)?.no_cookie()?.not_cached()?.cors(Some("test"))?;
    let info = answer.json()?;
    has(&answer, &info, "websocket", &json!(true))?;
    has(&answer, &info, "origins", &json!(["*:*"]))?;
    if !info.get("cookie_needed").is_some_and(Value::is_boolean) {
        return Err(answer.fail(entry(&info, "cookie_needed"), "cookie_needed true or false"));
    }
    integer(&answer, &info)?;
    visit.done()
}

async fn entropy(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let request = Request::get(visit.base("/info"));
    let (first, second) = (visit.ask(&request).await?, visit.ask(&request).await?);
    let (first, latter) = (first.status(200)?.json()?, second.status(200)?.json()?);
    let (one, other) = (integer(&second, &first)?, integer(&second, &latter)?);
    if one == other {
        return Err(second.fail(format!("entropy {one} twice"), "another entropy each time"));
    }
    visit.done()
}

async fn options(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    preflight(&visit, &visit.base("/info"), "GET").await?;
    visit.done()
}

async fn options_null_origin(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let answer = visit.ask(&may_i("null", "GET", visit.base("/info"))).await?;
    answer.status_in(&[204, 200])?.body("")?.allows_origin("null")?;
    visit.done()
}

async fn disabled_websocket(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.disabled_websocket()?;
    let answer = visit.ask(&Request::get(visit.base("/info"))).await?;
    let info = answer.status(200)?.json()?;
    has(&answer, &info, "websocket", &json!(false))?;
    visit.done()
}

fn has(answer: &Answer, info: &Map<String, Value>, key: &str, wanted: &Value) -> Result<(), Stop> {
    match info.get(key) == Some(wanted) {
        true => Ok(()),
        false => Err(answer.fail(entry(info, key), format!("{key} {wanted}"))),
    }
}

/// The entropy. Some servers send it signed, which is an integer too.
fn integer<'a>(answer: &Answer, info: &'a Map<String, Value>) -> Result<&'a Value, Stop> {
    let number = info.get("entropy").filter(|value| value.is_u64() || value.is_i64());
    number.ok_or_else(|| answer.fail(entry(info, "entropy"), "entropy, an integer below 2^32"))
}

fn entry(info: &Map<String, Value>, key: &str) -> String {
    info.get(key).map_or_else(|| format!("no {key}"), |value| format!("{key} {value}"))
}
