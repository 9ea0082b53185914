//! What backends answer, read strictly: an answer with one mistake in it is none, and nothing of it happens.
//!
//! Does not know: who was asked, or what becomes of the answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::broker::{Destination, TopicPrefixes};
use crate::gateway::{Answer, Outgoing, Principal, Reply};
use crate::stomp::Headers;

/// Longest text of a backend that a client is shown, in bytes.
const LONGEST_TEXT: usize = 512;

/// Longest name of a user, in bytes.
const LONGEST_NAME: usize = 256;

/// Who somebody is, as a backend says.
#[derive(Clone, Debug, PartialEq)]
pub struct Authenticated {
    /// The user's name.
    pub user: String,
    /// What is known of the user besides.
    pub claims: Map<String, Value>,
    /// How long that is good for. None: as long as the session lasts.
    pub expires_in: Option<Duration>,
}

/// Whether something may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// Perhaps with a text for the client.
    Refused(Option<String>),
}

/// Which destinations there are.
pub(super) struct Names {
    /// The most bytes that one may have.
    pub longest: usize,
    /// How topics begin.
    pub topics: TopicPrefixes,
}

/// What is wrong with an answer, in words for a log.
pub(super) type Unusable = String;

/// The answer to a message. No body is no answer, which is fine.
pub(super) fn answer(body: &[u8], names: &Names) -> Result<Answer, Unusable> {
    let mut answer = Answer::default();
    if body.is_empty() {
        return Ok(answer);
    }
    for (key, value) in object(body)? {
        match (&*key, value) {
            ("publish" | "reply", Value::Null) => {}
            ("publish", Value::Array(messages)) => {
                for (index, message) in messages.into_iter().enumerate() {
                    let outgoing = outgoing(message, names).map_err(|fault| format!("publish[{index}] {fault}"))?;
                    answer.publish.push(outgoing);
                }
            }
            ("publish", _) => return Err("publish is no array".to_owned()),
            ("reply", value) => answer.reply = Some(reply(value, names).map_err(|fault| format!("reply {fault}"))?),
            _ => return Err(format!("it has the unknown key {key:?}")),
        }
    }
    Ok(answer)
}

/// The answer to a question whether something may be.
pub(super) fn verdict(body: &[u8]) -> Result<Verdict, Unusable> {
    if body.is_empty() {
        return Ok(Verdict::Allowed);
    }
    match object(body)?.get("allow") {
        None | Some(Value::Bool(true)) => Ok(Verdict::Allowed),
        Some(Value::Bool(false)) => Ok(Verdict::Refused(error(body))),
        Some(_) => Err("allow is neither true nor false".to_owned()),
    }
}

/// The answer to the question who somebody is.
pub(super) fn authenticated(body: &[u8]) -> Result<Authenticated, Unusable> {
    let mut object = object(body)?;
    let user = match object.remove("user") {
        Some(Value::String(user)) if user.is_empty() || user.len() > LONGEST_NAME => {
            return Err(format!("user is empty or longer than {LONGEST_NAME} bytes"));
        }
        Some(Value::String(user)) if user.contains(char::is_control) || Principal::is_session(&user) => {
            return Err("user is a text that no user may have for a name".to_owned());
        }
        Some(Value::String(user)) => user,
        _ => return Err("user is no text".to_owned()),
    };
    let claims = match object.remove("claims") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(claims)) => claims,
        Some(_) => return Err("claims is no object".to_owned()),
    };
    let expires_in = match object.remove("expires_in") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let seconds = value.as_f64().ok_or("expires_in is no number")?;
            Some(Duration::try_from_secs_f64(seconds).map_err(|_| "expires_in is no number of seconds")?)
        }
    };
    match object.keys().next() {
        Some(key) => Err(format!("it has the unknown key {key:?}")),
        None => Ok(Authenticated { user, claims, expires_in }),
    }
}

/// The text of `{"error": "text"}`, fit to be shown.
pub(super) fn error(body: &[u8]) -> Option<String> {
    let object = object(body).ok()?;
    let text: String = object.get("error")?.as_str()?.chars().filter(|c| !c.is_control()).collect();
    let end = text.floor_char_boundary(LONGEST_TEXT);
    let text = text.get(..end)?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Unusable> {
    // Only where and how it is wrong: the text itself is the backend's own affair.
    match serde_json::from_slice(body).map_err(|error| format!("it is no JSON: {error}"))? {
        Value::Object(object) => Ok(object),
        _ => Err("it is no JSON object".to_owned()),
    }
}

fn outgoing(message: Value, names: &Names) -> Result<Outgoing, Unusable> {
    let Value::Object(mut message) = message else { return Err("is no object".to_owned()) };
    let destination = destination(&mut message)?.ok_or("has no destination")?;
    if let Err(error) = Destination::of_send(&destination, &names.topics) {
        return Err(format!("has a destination that is none: {error}"));
    }
    if destination.len() > names.longest {
        return Err(format!("has a destination longer than broker.max_name, {} bytes", names.longest));
    }
    let (headers, body) = content(message)?;
    Ok(Outgoing { destination, headers, body })
}

fn reply(value: Value, names: &Names) -> Result<Reply, Unusable> {
    let message = match value {
        Value::Object(message) if message.contains_key("body") || message.contains_key("body_base64") => message,
        value => Map::from_iter([("body".to_owned(), value)]),
    };
    let mut message = message;
    let destination = destination(&mut message)?;
    if let Some(destination) = &destination
        && !matches!(Destination::of_subscribe(destination, &names.topics), Ok(Destination::Own(_)))
    {
        return Err("has a destination that is not the sender's own, /user/queue/NAME or /user/topic/NAME".to_owned());
    }
    let (headers, body) = content(message)?;
    Ok(Reply { destination, headers, body })
}

fn destination(message: &mut Map<String, Value>) -> Result<Option<String>, Unusable> {
    match message.remove("destination") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(destination)) if !destination.contains(char::is_control) => Ok(Some(destination)),
        Some(Value::String(_)) => Err("has a destination with invisible characters in it".to_owned()),
        Some(_) => Err("has a destination that is no text".to_owned()),
    }
}

/// Everything of a message but its destination.
fn content(mut message: Map<String, Value>) -> Result<(Headers, Bytes), Unusable> {
    let mut headers = Headers::new();
    match message.remove("headers") {
        None | Some(Value::Null) => {}
        Some(Value::Object(given)) => {
            for (name, value) in given {
                let Value::String(value) = value else { return Err("has a header that is no text".to_owned()) };
                // The end of a frame in STOMP, and there is no escape for it.
                if name.is_empty() || name.contains('\0') || value.contains('\0') {
                    return Err("has a header that STOMP cannot hold".to_owned());
                }
                headers.push(name, value);
            }
        }
        Some(_) => return Err("has headers that are no object".to_owned()),
    }
    match message.remove("content_type") {
        None | Some(Value::Null) => {}
        Some(Value::String(of)) if !of.is_empty() && !of.contains(char::is_control) => {
            headers.remove("content-type");
            headers.push("content-type", of);
        }
        Some(_) => return Err("has a content_type that is none".to_owned()),
    }
    let body = match (message.remove("body"), message.remove("body_base64")) {
        (None, None) => Bytes::new(),
        (Some(Value::String(text)), None) => text.into(),
        (Some(value), None) => {
            if headers.get("content-type").is_none() {
                headers.push("content-type", "application/json");
            }
            value.to_string().into()
        }
        (None, Some(Value::String(text))) => {
            STANDARD.decode(text).map_err(|_| "has a body_base64 that is none")?.into()
        }
        (None, Some(_)) => return Err("has a body_base64 that is no text".to_owned()),
        (Some(_), Some(_)) => return Err("has both body and body_base64".to_owned()),
    };
    match message.keys().next() {
        Some(key) => Err(format!("has the unknown key {key:?}")),
        None => Ok((headers, body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names() -> Names {
        Names { longest: 100, topics: TopicPrefixes::default() }
    }

    fn read(value: Value) -> Result<Answer, Unusable> {
        answer(value.to_string().as_bytes(), &names())
    }

    fn first(message: Value) -> Outgoing {
        read(json!({ "publish": [message] })).unwrap().publish.remove(0)
    }

    #[test]
    fn nothing_is_an_answer() {
        assert_eq!(answer(b"", &names()), Ok(Answer::default()));
        assert_eq!(read(json!({})), Ok(Answer::default()));
        assert_eq!(read(json!({ "publish": null, "reply": null })), Ok(Answer::default()));
        assert_eq!(read(json!({ "publish": [] })), Ok(Answer::default()));
    }

    #[test]
    fn a_body_is_text_or_json_or_bytes() {
        let at = |body: Value| {
            let mut message = body;
            message["destination"] = json!("/topic/a");
            let Outgoing { headers, body, .. } = first(message);
            (body, headers.get("content-type").map(str::to_owned))
        };
        let json_type = || Some("application/json".to_owned());
        assert_eq!(at(json!({ "body": "hi \u{e9}" })), ("hi \u{e9}".into(), None));
        assert_eq!(at(json!({ "body": { "a": [1, null] } })), ("{\"a\":[1,null]}".into(), json_type()));
        assert_eq!(at(json!({ "body": null })), ("null".into(), json_type()));
        assert_eq!(at(json!({ "body_base64": "AP8=" })), (Bytes::from_static(b"\x00\xff"), None));
        assert_eq!(at(json!({})), (Bytes::new(), None));
        assert_eq!(at(json!({ "body": 1, "content_type": "text/x" })), ("1".into(), Some("text/x".to_owned())));
        assert_eq!(
            at(json!({ "body": 1, "headers": { "content-type": "a/b" } })),
            ("1".into(), Some("a/b".to_owned()))
        );
    }

    #[test]
    fn messages_keep_their_order_and_headers() {
        let answer = read(json!({ "publish": [
            { "destination": "/topic/b", "body": "1", "headers": { "x": "y" } },
            { "destination": "/user/ann/queue/a", "body": "2" },
        ]}));
        let publish = answer.unwrap().publish;
        let destinations: Vec<_> = publish.iter().map(|message| &*message.destination).collect();
        assert_eq!(destinations, ["/topic/b", "/user/ann/queue/a"]);
        assert_eq!(publish[0].headers.get("x"), Some("y"));
    }

    #[test]
    fn a_reply_is_a_message_if_it_has_a_body_and_else_a_body() {
        let reply = |value: Value| read(json!({ "reply": value })).unwrap().reply.unwrap();
        assert_eq!(reply(json!("hi")).body, "hi");
        assert_eq!(reply(json!({ "a": 1 })).body, "{\"a\":1}");
        assert_eq!(reply(json!({ "a": 1 })).headers.get("content-type"), Some("application/json"));
        let message = reply(json!({ "body": "x", "destination": "/user/queue/y", "headers": { "a": "b" } }));
        assert_eq!(message.destination.as_deref(), Some("/user/queue/y"));
        assert_eq!((message.body, message.headers.get("a")), ("x".into(), Some("b")));
        assert_eq!(reply(json!(false)).body, "false");
    }

    #[test]
    fn an_answer_with_one_mistake_is_none() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        for (body, reason) in [
            ("[]", "no JSON object"),
            ("nonsense", "no JSON"),
            ("{\"publish\":[]", "no JSON"),
            ("{} {}", "no JSON"),
            (&format!("{{\"reply\":{deep}}}"), "recursion limit"),
            (r#"{"publsh":[]}"#, "unknown key \"publsh\""),
            (r#"{"publish":{}}"#, "no array"),
            (r#"{"publish":[1]}"#, "publish[0] is no object"),
            (r#"{"publish":[{"body":"x"}]}"#, "no destination"),
            (r#"{"publish":[{"destination":1}]}"#, "no text"),
            (r#"{"publish":[{"destination":""}]}"#, "is none"),
            (r#"{"publish":[{"destination":"/topic/**"}]}"#, "is none"),
            (r#"{"publish":[{"destination":"/app/x"}]}"#, "is none"),
            (r#"{"publish":[{"destination":"/user/queue/x"}]}"#, "is none"),
            (r#"{"publish":[{"destination":"/topic/a\n"}]}"#, "invisible"),
            (r#"{"publish":[{"destination":"/topic/a","bdy":1}]}"#, "unknown key \"bdy\""),
            (r#"{"publish":[{"destination":"/topic/a","headers":{"a":1}}]}"#, "no text"),
            (r#"{"publish":[{"destination":"/topic/a","headers":{"a":"\u0000"}}]}"#, "cannot hold"),
            (r#"{"publish":[{"destination":"/topic/a","headers":[]}]}"#, "no object"),
            (r#"{"publish":[{"destination":"/topic/a","body":1,"body_base64":""}]}"#, "both"),
            (r#"{"publish":[{"destination":"/topic/a","body_base64":"%"}]}"#, "body_base64"),
            (r#"{"publish":[{"destination":"/topic/a","content_type":1}]}"#, "content_type"),
            (r#"{"reply":{"body":1,"x":1}}"#, "reply has the unknown key"),
            (r#"{"reply":{"body":1,"destination":"/topic/a"}}"#, "not the sender's own"),
            (r#"{"reply":{"body":1,"destination":"/user/ann/queue/a"}}"#, "not the sender's own"),
        ] {
            let fault = answer(body.as_bytes(), &names()).unwrap_err();
            assert!(fault.contains(reason), "{body}: {fault}");
        }
        assert!(answer(b"{\"reply\":\"\xff\"}", &names()).is_err());
        let long = format!("/topic/{}", "a".repeat(100));
        assert!(read(json!({ "publish": [{ "destination": long }] })).unwrap_err().contains("max_name"));
    }

    #[test]
    fn what_clients_are_shown_is_short_and_printable() {
        assert_eq!(error(br#"{"error":"no\u0000 \nroom"}"#).as_deref(), Some("no room"));
        let long = json!({ "error": "\u{e9}".repeat(400) }).to_string();
        assert_eq!(error(long.as_bytes()).map(|text| text.len()), Some(512));
        for body in ["", "no", "{}", r#"{"error":1}"#, r#"{"error":"\n"}"#, "[]"] {
            assert_eq!(error(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        for (body, expected) in [
            ("", Ok(Verdict::Allowed)),
            ("{}", Ok(Verdict::Allowed)),
            (r#"{"allow":true}"#, Ok(Verdict::Allowed)),
            (r#"{"allow":false}"#, Ok(Verdict::Refused(None))),
            (r#"{"allow":false,"error":"no"}"#, Ok(Verdict::Refused(Some("no".to_owned())))),
        ] {
            assert_eq!(verdict(body.as_bytes()), expected, "{body}");
        }
        for body in ["ok", "true", r#"{"allow":"false"}"#, r#"{"allow":0}"#, r#"{"allow":null}"#] {
            assert!(verdict(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn who_somebody_is_is_read_strictly() {
        let all = json!({ "user": "ann", "claims": { "role": "x" }, "expires_in": 3600 }).to_string();
        let ann = authenticated(all.as_bytes()).unwrap();
        assert_eq!(
            (&*ann.user, &ann.claims["role"], ann.expires_in),
            ("ann", &json!("x"), Some(Duration::from_secs(3600)))
        );
        assert_eq!(authenticated(br#"{"user":"ann"}"#).unwrap().expires_in, None);
        let long = json!({ "user": "a".repeat(257) }).to_string();
        for body in [
            "",
            "{}",
            r#"{"user":""}"#,
            r#"{"user":1}"#,
            r#"{"user":"a\n"}"#,
            r#"{"user":"session-0123456789abcdef"}"#,
            &long,
            r#"{"user":"a","claims":[]}"#,
            r#"{"user":"a","expires_in":"1"}"#,
            r#"{"user":"a","expires_in":-1}"#,
            r#"{"user":"a","expires_in":1e300}"#,
            r#"{"user":"a","expires":1}"#,
        ] {
            assert!(authenticated(body.as_bytes()).is_err(), "{body}");
        }
    }
}
