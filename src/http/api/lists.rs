//! Lists: who is there, and what they are subscribed to; page by page, so that no list is longer than who asks can take.
//!
//! Does not know: how the lists are kept.

use serde::Serialize;

use super::Api;
use super::answer::{Answer, Refusal};
use super::input::Query;
use crate::broker::{Kind, Listed};
use crate::connection::now;
use crate::metrics;

/// Entries of a page, if nobody says how many.
const PAGE: usize = 100;

#[derive(Serialize)]
struct Sessions {
    sessions: Vec<Session>,
    /// What to ask for to get the next page.
    next: Option<u64>,
    total: usize,
}

#[derive(Serialize)]
struct Session {
    serial: u64,
    session: String,
    user: String,
    anonymous: bool,
    transport: &'static str,
    endpoint: String,
    since_seconds: u64,
    queued_messages: usize,
    queued_bytes: usize,
}

#[derive(Serialize)]
struct Destinations {
    destinations: Vec<Destination>,
    next: Option<String>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Destination {
    Topic { name: Box<str>, subscribers: usize },
    Pattern { name: Box<str>, subscribers: usize },
    Queue { name: Box<str>, messages: usize, bytes: usize, consumers: usize },
    User { name: Box<str>, subscriptions: usize },
}

/// In the order of the list.
const KINDS: [(Kind, &str); 4] =
    [(Kind::Topic, "topic"), (Kind::Pattern, "pattern"), (Kind::Queue, "queue"), (Kind::User, "user")];

/// `GET /sessions`
pub(super) fn sessions(api: &Api, query: &Query) -> Result<Answer, Refusal> {
    query.expect_only(&["user", "after", "limit"])?;
    let (limit, after) = (limit(api, query)?, query.number("after")?.unwrap_or(0));
    let (clients, now) = (api.gateway.clients(), now());
    // One more tells whether there is another page.
    let mut found = clients.list(after, query.text("user"), limit.saturating_add(1));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().map(|client| client.serial).filter(|_| more);
    let session = |client: crate::gateway::Client| {
        let (queued_bytes, queued_messages) = client.backlog;
        Session {
            serial: client.serial,
            session: client.caller.session().to_owned(),
            user: client.caller.user().to_owned(),
            anonymous: client.caller.principal().name().is_none(),
            transport: client.caller.transport(),
            endpoint: client.caller.endpoint().to_owned(),
            since_seconds: now.saturating_duration_since(client.since).as_secs(),
            queued_messages,
            queued_bytes,
        }
    };
    let sessions = found.into_iter().map(session).collect();
    Ok(Answer::done(&Sessions { sessions, next, total: clients.len() }))
}

/// `GET /destinations`
pub(super) fn destinations(api: &Api, query: &Query) -> Result<Answer, Refusal> {
    query.expect_only(&["kind", "after", "limit"])?;
    let limit = limit(api, query)?;
    let only = query.text("kind").map(kind).transpose()?;
    let after = query.text("after").map(place).transpose()?;
    let mut found = vec![];
    for (number, (kind, _)) in KINDS.iter().enumerate() {
        let behind = match after {
            Some((last, _)) if last > number => continue,
            Some((last, name)) if last == number => Some(name),
            _ => None,
        };
        if only.is_none_or(|only| only == number) && found.len() <= limit {
            let wanted = (limit - found.len()).saturating_add(1);
            found.extend(api.gateway.broker().list(*kind, behind, wanted));
        }
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(cursor);
    let destinations = found.into_iter().map(Destination::from).collect();
    Ok(Answer::done(&Destinations { destinations, next }))
}

fn limit(api: &Api, query: &Query) -> Result<usize, Refusal> {
    let most = api.settings.max_page;
    let limit = query.number("limit")?.unwrap_or_else(|| PAGE.min(most));
    if limit > most {
        metrics::limit_reached("api.max_page");
        return Err(Refusal::of_meaning("page_too_large", format!("`limit` is at most max_page of [api], {most}")));
    }
    if limit == 0 { Err(Refusal::of_meaning("wrong_query", "`limit` is at least 1")) } else { Ok(limit) }
}

/// The number of a kind in the order of the list.
fn kind(name: &str) -> Result<usize, Refusal> {
    KINDS.iter().position(|(_, known)| *known == name).ok_or_else(|| {
        Refusal::of_meaning("wrong_query", format!("`kind` is topic, pattern, queue or user, not {name:?}"))
    })
}

/// Where a page begins, as the page before said it: the kind and the name of its last entry.
fn place(cursor: &str) -> Result<(usize, &str), Refusal> {
    let wrong = || Refusal::of_meaning("wrong_query", "`after` is the `next` of the page before");
    let (known, name) = cursor.split_once(':').ok_or_else(wrong)?;
    Ok((kind(known).map_err(|_| wrong())?, name))
}

fn cursor(last: &Listed) -> String {
    let (kind, name) = match last {
        Listed::Topic { name, .. } => ("topic", name),
        Listed::Pattern { name, .. } => ("pattern", name),
        Listed::Queue { name, .. } => ("queue", name),
        Listed::User { name, .. } => ("user", name),
    };
    format!("{kind}:{name}")
}

impl From<Listed> for Destination {
    fn from(listed: Listed) -> Self {
        match listed {
            Listed::Topic { name, subscribers } => Self::Topic { name, subscribers },
            Listed::Pattern { name, subscribers } => Self::Pattern { name, subscribers },
            Listed::Queue { name, messages, bytes, consumers } => Self::Queue { name, messages, bytes, consumers },
            Listed::User { name, subscriptions } => Self::User { name, subscriptions },
        }
    }
}
