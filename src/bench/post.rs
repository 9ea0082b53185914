//! POSTs that are answered with 204: the floor of everything over HTTP.
//!
//! Does not know: what the server does with them.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::fault::Fault;
use super::http::Answer;
use super::link::Link;
use super::plan::{Refusal, Transport};
use super::route::Route;
use super::schedule::Turns;
use super::shared::Run;
use super::stage::{Seen, Stage};
use super::stamp::Stamp;
use super::tally::Mark;

/// The most of a body that is taken. There should be none.
const LARGEST: usize = 64 * 1024;

pub(super) async fn run(stage: &Stage<'_>) -> Result<Seen, Refusal> {
    let count = stage.plan.scenario.clients();
    // What they go by does not matter; there is no session.
    let places = vec![Transport::Websocket; usize::try_from(count).unwrap_or(0)];
    let wanted = places.len();
    let request = request(&stage.route, stage.plan.size);
    let links = stage.connect(places, async |_, _| stage.route.open().await).await?;
    if links.len() < wanted {
        return Ok(Seen::default());
    }
    let mut tasks = JoinSet::new();
    for (link, turns) in links.into_iter().zip(stage.turns(count)?) {
        let route = Arc::clone(&stage.route);
        tasks.spawn(post(Arc::clone(&stage.run), route, link, request.clone(), turns));
    }
    Ok(stage.measure(tasks).await)
}

/// What an xhr_send with one message of that size is.
fn request(route: &Route, size: usize) -> Arc<[u8]> {
    let path = if route.path.is_empty() { "/" } else { &route.path };
    let body = format!("[\"{}\"]", super::stamp::body(size));
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
        route.authority,
        body.len()
    );
    (head + &body).into_bytes().into()
}

/// One POST after the other, for ever.
async fn post(
    run: Arc<Run>,
    route: Arc<Route>,
    mut link: Link,
    request: Arc<[u8]>,
    mut turns: Turns,
) -> Result<(), Fault> {
    let patience = route.patience;
    let mut body = Vec::new();
    for number in 0.. {
        let time = loop {
            if !run.sends() {
                return Ok(());
            }
            match turns.take(run.now(), 0) {
                Some(time) => break time,
                None => turns.turn().await,
            }
        };
        run.sent(1, 1);
        link.output().extend_from_slice(&request);
        link.flush()?;
        let closes = timeout(patience, answer(&mut link, &mut body)).await;
        let closes = closes.map_err(|_| Fault::Silent { what: "the answer to a POST", patience })??;
        let stamp = Stamp { run: run.id, sender: 0, number, time };
        run.came(Transport::Websocket, Mark::Fresh, stamp, run.now());
        if closes {
            link = route.open().await?;
        }
    }
    Ok(())
}

/// Waits for a 204; whether it was the last answer of the connection.
async fn answer(link: &mut Link, body: &mut Vec<u8>) -> Result<bool, Fault> {
    let mut answer = Answer::default();
    while !answer.is_done() {
        link.more().await?;
        body.clear();
        let done = answer.read(link.input(), body)?;
        link.consume(done);
        if let Some(status) = answer.status().filter(|status| *status != 204) {
            return Err(Fault::Status { asked: "a POST", status });
        }
        if body.len() > LARGEST {
            return Err(Fault::TooLarge("the body of an answer"));
        }
    }
    Ok(answer.closes())
}
