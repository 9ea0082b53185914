//! Tickets: a backend that knows who its visitor is gets a word for the visitor's URL, which proves it here.
//!
//! Does not know: what becomes of a ticket.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Api;
use super::answer::{Answer, Refusal};
use super::input::{form, json, object};
use crate::connection::now;
use crate::gateway::{Principal, TooMany};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted<'a> {
    user: String,
    #[serde(borrow)]
    claims: Option<&'a RawValue>,
    expires_in: Option<u64>,
}

#[derive(Serialize)]
struct Issued<'a> {
    ticket: &'a str,
    expires_in: u64,
}

/// Largest claims in bytes, as JSON: as much as a token may bring. They are kept as long as the session.
const MAX_CLAIMS: usize = 8 * 1024;

/// `POST /ticket`
pub(super) fn ticket(api: &Api, body: &[u8]) -> Result<Answer, Refusal> {
    let wanted: Wanted<'_> = object(json(body)?)?;
    if wanted.user.is_empty() || Principal::is_session(&wanted.user) {
        let message = "`user` is a name, and none that a session has whose user is not known";
        return Err(Refusal::of_meaning("wrong_user", message));
    }
    if wanted.claims.is_some_and(|claims| claims.get().len() > MAX_CLAIMS) {
        return Err(Refusal::of_meaning("wrong_claims", format!("`claims` has at most {MAX_CLAIMS} bytes")));
    }
    let claims: Map<String, Value> = wanted.claims.map(form).transpose()?.unwrap_or_default();
    let now = now();
    let until = match wanted.expires_in {
        None => None,
        Some(seconds) => {
            let until = now.checked_add(Duration::from_secs(seconds)).filter(|until| *until > now);
            let wrong = || Refusal::of_meaning("wrong_expires_in", "`expires_in` is a number of seconds, at least 1");
            Some(until.ok_or_else(wrong)?)
        }
    };
    let principal = Principal::named(&wanted.user).with_claims(claims).until(until);
    let ticket = api.gateway.tickets().issue(Arc::new(principal), rand::random(), now).map_err(|TooMany| {
        Refusal::no_room("too_many_tickets", "there are max_tickets of [auth] that are good or in use")
    })?;
    Ok(Answer::done(&Issued { ticket: ticket.expose(), expires_in: api.ticket_ttl.as_secs() }))
}
