//! What a client asks first: whether there are websockets, where the service is, and how far away (SockJS protocol, info).
//!
//! Does not know: transports.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::OpenError;
use super::http::{Http, Place};

/// Largest answer that is read; a real one has some hundred bytes.
const MOST: usize = 64 << 10;

/// What the server said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// False only if it was said: then the websocket transport is not tried.
    pub websocket: bool,
    /// Whether a load balancer needs cookies.
    pub cookie_needed: bool,
    /// Where all further requests go, if elsewhere.
    pub base_url: Option<String>,
    /// The object as it came; null if it was no JSON.
    pub object: Value,
}

impl Info {
    /// Reads the answer as clients do: what is no JSON is an empty object, and what is not there has its default.
    fn parse(body: &[u8]) -> Self {
        let object: Value = serde_json::from_slice(body).unwrap_or_default();
        Self {
            websocket: object.get("websocket") != Some(&Value::Bool(false)),
            cookie_needed: object.get("cookie_needed") == Some(&Value::Bool(true)),
            base_url: object.get("base_url").and_then(Value::as_str).filter(|url| !url.is_empty()).map(str::to_owned),
            object,
        }
    }
}

/// Asks for info, and measures how long that takes.
pub(super) async fn ask(place: &Place) -> Result<(Info, Duration), OpenError> {
    let mut resource = place.resource("/info");
    resource.push(if resource.contains('?') { '&' } else { '?' });
    // Nobody in between may answer in the server's place.
    resource.push_str(&format!("t={}", rand::random::<u32>()));
    let asked = Instant::now();
    let mut http = Http::default();
    let response = http.ask(place, Method::GET, &resource, Bytes::new()).await.map_err(OpenError::Refused)?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(OpenError::Info(status));
    }
    let body = super::http::collect(response.into_body(), MOST).await.map_err(OpenError::Refused)?;
    Ok((Info::parse(&body), asked.elapsed()))
}

/// How long a transport has to open a session: two of sockjs-client's retransmission time-outs, and at least `floor`.
pub(super) fn patience(round_trip: Duration, floor: Duration) -> Duration {
    let timeout = if round_trip > Duration::from_millis(100) {
        round_trip.saturating_mul(4)
    } else {
        round_trip + Duration::from_millis(300)
    };
    timeout.saturating_mul(2).max(floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_that_of_clients_in_browsers() {
        let millis = Duration::from_millis;
        for (round_trip, floor, expected) in [
            (0, 0, 600),
            (1, 0, 602),
            (100, 0, 800),
            (101, 0, 808),
            (1000, 0, 8000),
            (1, 2000, 2000),
            (1000, 2000, 8000),
        ] {
            assert_eq!(patience(millis(round_trip), millis(floor)), millis(expected), "{round_trip} {floor}");
        }
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        for (body, websocket, base_url) in [
            (r#"{"websocket":true,"base_url":"http://h/x"}"#, true, Some("http://h/x")),
            (r#"{"websocket":false,"base_url":""}"#, false, None),
            (r#"{"websocket":0,"base_url":1}"#, true, None),
            ("{}", true, None),
            ("no JSON", true, None),
            ("", true, None),
            ("[]", true, None),
        ] {
            let info = Info::parse(body.as_bytes());
            assert_eq!((info.websocket, info.base_url.as_deref()), (websocket, base_url), "{body}");
        }
    }
}
