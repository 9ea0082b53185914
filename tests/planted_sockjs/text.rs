//! Texts: messages as JSON, frames, and the percent escapes of URLs and forms.
//!
//! Does not know: sessions, HTTP.

use serde_json::Value;

use super::defects::{Defect, Defects};

/// Why a payload is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is empty, or no array of strings.
    Payload,
    /// It is no JSON.
    Json,
}

impl Refused {
    /// The body of the answer.
    pub fn words(self) -> &'static str {
        match self {
            Self::Payload => "Payload expected.",
            Self::Json => "Broken JSON encoding.",
        }
    }
}

/// The messages of a payload: an array of strings.
pub fn messages(payload: &[u8], defects: Defects) -> Result<Vec<String>, Refused> {
    if payload.is_empty() {
        return Err(Refused::Payload);
    }
    let text = std::str::from_utf8(payload).map_err(|_| Refused::Json)?;
    let text = if defects.has(Defect::LoneSurrogateEnds) { text.to_owned() } else { without_lone_surrogates(text) };
    let text = if defects.has(Defect::EscapesKept) { text.replace("\\u", "\\\\u") } else { text };
    match serde_json::from_str(&text).map_err(|_| Refused::Json)? {
        Value::Array(elements) => strings(elements, defects),
        _ if defects.has(Defect::NotAnArrayTaken) => Ok(Vec::new()),
        _ => Err(Refused::Payload),
    }
}

/// The elements of an array, all of which have to be strings.
fn strings(elements: Vec<Value>, defects: Defects) -> Result<Vec<String>, Refused> {
    let mut messages = Vec::new();
    if elements.is_empty() && defects.has(Defect::EmptyArrayIsMessage) {
        messages.push(String::new());
    }
    for element in elements {
        match element {
            Value::String(message) if message.is_empty() && defects.has(Defect::EmptyStringLost) => {}
            Value::String(mut message) => {
                if defects.has(Defect::LargeCut) && message.len() > 60_000 {
                    message.truncate(60_000);
                }
                if defects.has(Defect::ControlsLost) {
                    message.retain(|character| !('\u{80}'..='\u{9f}').contains(&character));
                }
                if defects.has(Defect::NulLost) {
                    message.retain(|character| character != '\0');
                }
                messages.push(message);
            }
            _ if defects.has(Defect::HalfDelivered) => {}
            _ => return Err(Refused::Payload),
        }
    }
    Ok(messages)
}

/// With U+FFFD for each escape that is half a surrogate pair, which no string of Rust can hold.
fn without_lone_surrogates(json: &str) -> String {
    let mut mended = String::new();
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        mended.push_str(&rest[..at]);
        rest = &rest[at..];
        let width = match (unit(rest), rest.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                mended.push_str("\\ufffd");
                rest = &rest[6..];
                continue;
            }
            (Some(_), _) => 6,
            // The character behind the backslash goes with it: it may be another backslash.
            (None, _) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        mended.push_str(&rest[..width]);
        rest = &rest[width..];
    }
    mended.push_str(rest);
    mended
}

/// The unit of the `\uXXXX` that the text begins with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

/// The frame with these messages.
pub fn array_frame(messages: &[String], defects: Defects) -> String {
    let quoted: Vec<_> = messages.iter().map(|message| json_string(message, defects)).collect();
    format!("a[{}]", quoted.join(","))
}

/// The frame that closes a session.
pub fn close_frame(code: u16, reason: &str) -> String {
    format!("c[{code},{}]", Value::from(reason))
}

/// A message as a JSON string in which browsers find nothing that they stumble over.
fn json_string(message: &str, defects: Defects) -> String {
    let mut quoted = String::new();
    for character in Value::from(message).to_string().chars() {
        let escaped = matches!(
            character,
            '\u{200c}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{206f}' | '\u{fff0}'..='\u{ffff}'
        ) || (character > '\u{ffff}' && !defects.has(Defect::SurrogatesRaw));
        let raw = defects.has(Defect::LineSeparatorsRaw) && matches!(character, '\u{2028}' | '\u{2029}');
        if !escaped || raw || defects.has(Defect::NothingEscaped) {
            quoted.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let upper = defects.has(Defect::UpperCaseEscapes);
            quoted.push_str(&if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
        }
    }
    quoted
}

/// A frame as the string that a script hands on.
pub fn script_string(frame: &str, defects: Defects, raw: Defect) -> String {
    let quoted = Value::from(frame).to_string();
    if defects.has(raw) { quoted } else { quoted.replace('<', "\\u003c").replace('>', "\\u003e") }
}

/// A frame as the data of an event, which clients percent-decode.
pub fn event_data(frame: &str, defects: Defects) -> String {
    match defects {
        Defects(Some(Defect::PercentRaw)) => frame.to_owned(),
        Defects(Some(Defect::PercentTwice)) => frame.replace('%', "%2525"),
        _ => frame.replace('%', "%25"),
    }
}

/// What a percent-encoded text means.
pub fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, digits) {
            (b'%', Some(escaped)) => {
                decoded.push(escaped);
                at += 2;
            }
            _ => decoded.push(*byte),
        }
        at += 1;
    }
    decoded
}

/// The value of a field of a query or a form, decoded.
pub fn field(form: &str, name: &str) -> Option<Vec<u8>> {
    let value = form.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1;
    Some(percent_decoded(&value.replace('+', " ")))
}
