//! The info object that a client asks for before it chooses a transport (SockJS protocol, info).
//!
//! Does not know: where the entropy comes from (it must be the operating system's generator), or which headers go with it.

use serde::Serialize;

/// The body of a GET on info, as JSON.
///
/// `websocket` says whether the websocket transport is enabled; a client that is told `false` skips it. `cookie_needed`
/// tells clients to avoid transports that send no cookies. `entropy` seeds the random numbers of weak clients and must be
/// unpredictable and new for each call. `transports` names the enabled ones; clients ignore it. `origins` is always `*:*`: the real
/// check happens on each request and clients ignore the field.
pub fn info(websocket: bool, cookie_needed: bool, entropy: u32, transports: &[&str]) -> String {
    let object = Info { websocket, origins: ["*:*"], cookie_needed, entropy, transports };
    // Serializing booleans, numbers and strings into memory has no way to fail.
    serde_json::to_string(&object).unwrap_or_default()
}

#[derive(Serialize)]
struct Info<'a> {
    websocket: bool,
    origins: [&'static str; 1],
    cookie_needed: bool,
    entropy: u32,
    transports: &'a [&'a str],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_exactly_the_fields_clients_read() {
        let text = info(true, false, u32::MAX, &["websocket", "xhr"]);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "websocket": true, "origins": ["*:*"], "cookie_needed": false, "entropy": 4294967295u32,
            "transports": ["websocket", "xhr"],
        });
        assert_eq!(value, expected);
        assert!(info(false, true, 0, &[]).contains("\"websocket\":false"));
    }
}
