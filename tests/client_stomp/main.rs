//! The STOMP client: against towpath over everything that carries STOMP, and against a server that a test plays itself.
//!
//! Does not know: how the client does it.

#[path = "../support/mod.rs"]
mod support;

mod flow;
mod ledger;
mod loss;
mod peer;
mod towpath_itself;

use std::time::Duration;

use towpath::client::stomp::{Client, ClientError, Message, Subscription};

/// Bounds a hang; nothing is measured by it. Longer than whatever is to happen by itself, since most clocks here are virtual.
const PATIENCE: Duration = Duration::from_secs(1000);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    support::within(PATIENCE, what, future).await
}

async fn next(subscription: &mut Subscription) -> Message {
    within("a message", subscription.next()).await.expect("the client runs")
}

async fn said(subscription: &mut Subscription) -> String {
    next(subscription).await.text().expect("text").to_owned()
}

/// Why a client ended.
async fn ended(client: &Client) -> ClientError {
    within("the client to end", client.ended()).await
}
