//! Publishing: one message, or several of which all or none are published.
//!
//! Does not know: who is subscribed to what.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::Api;
use super::answer::{Answer, Refusal};
use super::input::{form, json, object};
use crate::broker::BrokerError;
use crate::connection::now;
use crate::gateway::{NotPublished, Outgoing};
use crate::metrics;
use crate::stomp::Headers;

/// Several messages, as an object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch<'a> {
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

/// An object that may be such a one.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
}

/// One message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    destination: String,
    user: Option<String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    body_base64: Option<String>,
    headers: Option<Fields>,
    content_type: Option<String>,
}

/// Headers in their order.
struct Fields(Headers);

#[derive(Serialize)]
struct Published {
    published: usize,
    receivers: usize,
    unreachable: bool,
}

const CONTENT_TYPE: &str = "content-type";

/// `POST /publish`
pub(super) fn publish(api: &Api, body: &[u8]) -> Result<Answer, Refusal> {
    let body = json(body)?;
    let several = match body.get().bytes().next() {
        Some(b'[') => Some(form::<Vec<&RawValue>>(body)?),
        Some(b'{') if form::<Shape<'_>>(body)?.messages.is_some() => Some(object::<Batch<'_>>(body)?.messages),
        _ => None,
    };
    let messages = match several {
        None => vec![outgoing(body)?],
        Some(messages) => {
            let most = api.settings.max_batch;
            if messages.len() > most {
                metrics::limit_reached("api.max_batch");
                let message = format!("{} messages are more than max_batch of [api], {most}", messages.len());
                return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "batch_too_large", message));
            }
            let numbered = messages.into_iter().enumerate();
            let read = numbered.map(|(index, message)| outgoing(message).map_err(|refusal| refusal.at(index)));
            read.collect::<Result<_, _>>()?
        }
    };
    let published = messages.len();
    let reach = api.gateway.publish_all(messages, now())?;
    Ok(Answer::done(&Published { published, receivers: reach.receivers, unreachable: reach.unreachable }))
}

/// The message that an object means.
fn outgoing(message: &RawValue) -> Result<Outgoing, Refusal> {
    let message: Message<'_> = object(message)?;
    let destination = match message.user {
        None => message.destination,
        Some(user) => of_user(&user, &message.destination)?,
    };
    let mut headers = message.headers.map(|Fields(headers)| headers).unwrap_or_default();
    if message.content_type.is_some() && headers.get(CONTENT_TYPE).is_some() {
        return Err(Refusal::of_meaning("wrong_fields", "the content type stands in `headers` and in `content_type`"));
    }
    let (body, kind) = match (message.body, message.body_base64) {
        (None, None) => (Bytes::new(), None),
        (Some(body), None) if body.get().starts_with('"') => {
            let wrong = |error| Refusal::of_meaning("wrong_fields", format!("`body` is not a text: {error}"));
            (serde_json::from_str::<String>(body.get()).map_err(wrong)?.into(), Some("text/plain"))
        }
        (Some(body), None) => (compact(body.get()).into(), Some("application/json")),
        (None, Some(base64)) => {
            let decoded = STANDARD.decode(base64);
            let bytes = decoded.map_err(|_| Refusal::of_meaning("wrong_base64", "`body_base64` is not base64"))?;
            (bytes.into(), None)
        }
        (Some(_), Some(_)) => {
            return Err(Refusal::of_meaning("wrong_fields", "a message has `body` or `body_base64`, not both"));
        }
    };
    if let Some(content_type) = message.content_type {
        headers.push(CONTENT_TYPE, content_type);
    } else if let Some(kind) = kind.filter(|_| headers.get(CONTENT_TYPE).is_none()) {
        headers.push(CONTENT_TYPE, kind);
    }
    Ok(Outgoing { destination, headers, body })
}

/// How `/queue/x` of a user is sent to.
fn of_user(user: &str, local: &str) -> Result<String, Refusal> {
    if user.is_empty() || user.to_ascii_uppercase().contains("%2F") {
        // Such a name would be read as another one.
        return Err(Refusal::of_meaning("wrong_user", "`user` is a name, not empty and without %2F in it"));
    }
    if !local.starts_with("/queue/") && !local.starts_with("/topic/") {
        let message = "with `user`, `destination` is what stands behind /user: /queue/NAME or /topic/NAME";
        return Err(Refusal::of_meaning("wrong_destination", message));
    }
    Ok(format!("/user/{}{local}", user.replace('/', "%2F")))
}

impl From<NotPublished> for Refusal {
    fn from(failed: NotPublished) -> Self {
        // Which one it was to go to, the sender sees by the index.
        let message = failed.error.to_string();
        let refusal = match failed.error {
            BrokerError::QueueFull(_) => Self::no_room("queue_full", message),
            BrokerError::HighWater(_) => Self::no_room("high_water", message),
            BrokerError::TooManyDestinations(_) | BrokerError::TooManyPatterns(_) => {
                Self::no_room("too_many_destinations", message)
            }
            BrokerError::Expiration(_) => Self::of_meaning("wrong_expiration", message),
            BrokerError::Destination(_) | BrokerError::NoHistory(_) | BrokerError::ReadFirst => {
                Self::of_meaning("wrong_destination", message)
            }
        };
        refusal.at(failed.index)
    }
}

/// JSON without the blanks that mean nothing. Everything else, such as how a number is written, stays as it was sent.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for char in json.chars() {
        if quoted {
            quoted = char != '"' || escaped;
            escaped = char == '\\' && !escaped;
        } else if matches!(char, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            quoted = char == '"';
        }
        out.push(char);
    }
    out
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut headers: Vec<(String, String)> = vec![];
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            if name.is_empty() || [&name, &value].iter().any(|text| text.contains('\0')) {
                return Err(A::Error::custom("a header has a name, and no NUL in it"));
            }
            headers.push((name, value));
        }
        // Of repeated headers the first counts, of repeated fields most readers take the last. Sorted, they are neighbours: no
        // list of names is long enough to be slow.
        let mut names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[name, next]| name == next) {
            return Err(A::Error::custom(format_args!("header `{name}` stands there twice")));
        }
        Ok(Fields(headers.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn compact_takes_blanks_and_nothing_else() {
        for (json, compacted) in [
            ("{ \"a b\" : [ 1 , 2.50 ,\n\t1e999999999 ] }", "{\"a b\":[1,2.50,1e999999999]}"),
            (r#"[ "a \" b \\" , " c " ]"#, r#"["a \" b \\"," c "]"#),
            ("12345678901234567890123", "12345678901234567890123"),
            (r#"{"b":1, "a":2}"#, r#"{"b":1,"a":2}"#),
        ] {
            assert_eq!(compact(json), compacted);
        }
    }

    #[test]
    fn a_users_name_stays_one_segment() {
        let of = |user, local| of_user(user, local).ok();
        assert_eq!(of("ann", "/queue/x").as_deref(), Some("/user/ann/queue/x"));
        assert_eq!(of("a/b", "/topic/x").as_deref(), Some("/user/a%2Fb/topic/x"));
        for (user, local) in
            [("", "/queue/x"), ("a%2fb", "/queue/x"), ("ann", "queue/x"), ("ann", "/user/bob/queue/x"), ("ann", "")]
        {
            assert_eq!(of(user, local), None, "{user} {local}");
        }
    }

    proptest! {
        #[test]
        fn compact_means_the_same(value in any_json(), indent in any::<bool>()) {
            let json = if indent { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(compact(&json), serde_json::to_string(&value).unwrap());
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[ \"\\\\\n]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[ \"\\\\a]{0,4}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
