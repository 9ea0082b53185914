//! Ending the sessions of a user, or one session.
//!
//! Does not know: how a session ends.

use serde::{Deserialize, Serialize};

use super::Api;
use super::answer::{Answer, Refusal};
use super::input::{json, object};
use crate::session::CloseReason;
use crate::sockjs::Close;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disconnect {
    user: Option<String>,
    session: Option<String>,
    code: Option<u16>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Disconnected {
    disconnected: usize,
}

/// Longest reason in bytes: a control frame of a websocket has room for no more (RFC 6455, section 5.5).
const MAX_REASON: usize = 123;

/// `POST /disconnect`
pub(super) fn disconnect(api: &Api, body: &[u8]) -> Result<Answer, Refusal> {
    let asked: Disconnect = object(json(body)?)?;
    let code = asked.code.unwrap_or(Close::GO_AWAY.code);
    if !(3000..=4999).contains(&code) {
        return Err(Refusal::of_meaning("wrong_code", format!("`code` is one from 3000 to 4999, not {code}")));
    }
    let reason = asked.reason.map_or(Close::GO_AWAY.reason, Into::into);
    if reason.len() > MAX_REASON {
        return Err(Refusal::of_meaning("wrong_reason", format!("`reason` has at most {MAX_REASON} bytes")));
    }
    let (clients, close) = (api.gateway.clients(), CloseReason::Application(Close { code, reason }));
    let disconnected = match (asked.user, asked.session) {
        (Some(user), None) => clients.disconnect(|caller| caller.user() == user, &close),
        (None, Some(session)) => clients.disconnect(|caller| caller.session() == session, &close),
        _ => return Err(Refusal::of_meaning("wrong_fields", "either `user` or `session` says whom to disconnect")),
    };
    Ok(Answer::done(&Disconnected { disconnected }))
}
