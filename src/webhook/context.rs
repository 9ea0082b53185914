//! What a backend is told about a message besides its body, as one line of JSON that fits into a header.
//!
//! Does not know: how it is sent, or signed.

use std::fmt::Write as _;
use std::io;

use serde::{Serialize, Serializer};
use serde_json::ser::{CompactFormatter, Formatter};
use serde_json::{Map, Value};

use crate::gateway::{Principal, Variables};
use crate::stomp::{Headers, is_credential};

/// The context of a message, a CONNECT or a SUBSCRIBE. What it does not have is left out.
#[derive(Serialize)]
pub(super) struct Context<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<&'a str>,
    pub user: Option<&'a str>,
    pub claims: &'a Map<String, Value>,
    pub session: &'a str,
    pub transport: &'a str,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "variables")]
    pub variables: Option<&'a Variables>,
    #[serde(serialize_with = "headers")]
    pub headers: &'a Headers,
}

impl<'a> Context<'a> {
    /// What is known of every client.
    pub fn of(principal: &'a Principal, session: &'a str, transport: &'a str, headers: &'a Headers) -> Self {
        Self {
            command: None,
            id: None,
            destination: None,
            user: principal.name(),
            claims: principal.claims(),
            session,
            transport,
            variables: None,
            headers,
        }
    }

    /// As JSON of printable ASCII characters only.
    pub fn to_json(&self) -> String {
        let mut json = Vec::with_capacity(256);
        // Texts and maps of texts only: there is nothing that cannot be JSON, and a Vec takes everything.
        let _ = self.serialize(&mut serde_json::Serializer::with_formatter(&mut json, Ascii));
        String::from_utf8(json).unwrap_or_default()
    }
}

fn variables<S: Serializer>(variables: &Option<&Variables>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(variables.iter().flat_map(|variables| variables.iter()))
}

/// Of repeated headers the first counts (STOMP 1.2, Repeated Header Entries).
fn headers<S: Serializer>(headers: &&Headers, serializer: S) -> Result<S::Ok, S::Error> {
    let mut seen = std::collections::HashSet::new();
    serializer.collect_map(headers.iter().filter(|(name, _)| !is_credential(name) && seen.insert(*name)))
}

/// Compact JSON in which everything that a header cannot hold is escaped.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut escaped = String::with_capacity(fragment.len());
        for c in fragment.chars() {
            if matches!(c, ' '..='~') {
                escaped.push(c);
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Nothing is wrong with writing into a String.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
        CompactFormatter.write_string_fragment(writer, &escaped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn json(headers: &Headers, principal: &Principal) -> String {
        Context::of(principal, "session-1", "websocket", headers).to_json()
    }

    #[test]
    fn credentials_are_left_out_in_any_case() {
        let headers =
            [("Login", "s1"), ("PASSCODE", "s2"), ("authorization", "s3"), ("Cookie", "s4"), ("a", "1"), ("a", "2")];
        let text = json(&headers.into_iter().collect(), &Principal::anonymous());
        assert_eq!(
            text,
            r#"{"user":null,"claims":{},"session":"session-1","transport":"websocket","headers":{"a":"1"}}"#
        );
    }

    #[test]
    fn what_is_not_ascii_is_escaped() {
        let headers: Headers = [("n\u{e9}", "\u{1f600}\n\u{7f}\"")].into_iter().collect();
        let text = json(&headers, &Principal::named("J\u{f6}rg"));
        assert!(text.contains(r#""n\u00e9":"\ud83d\ude00\n\u007f\"""#), "{text}");
        assert!(text.contains(r#""user":"J\u00f6rg""#), "{text}");
    }

    proptest! {
        #[test]
        fn it_is_the_same_json_and_a_header_can_hold_it(name in ".{0,8}", value in ".{0,16}", claim in ".{0,16}") {
            prop_assume!(!is_credential(&name));
            let headers: Headers = [(name.clone(), value.clone())].into_iter().collect();
            let claims = [("c".to_owned(), json!(claim))].into_iter().collect();
            let text = json(&headers, &Principal::named("ann").with_claims(claims));
            prop_assert!(hyper::header::HeaderValue::from_str(&text).is_ok());
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read["headers"][&name], &json!(value));
            prop_assert_eq!(&read["claims"]["c"], &json!(claim));
        }
    }
}
