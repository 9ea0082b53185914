//! Proof that the STOMP checks can fail: a server that is right passes all of them, and with each defect that is planted in it the
//! check that is there for it fails.

mod broker;
mod defects;
mod server;
mod session;
mod websocket;

use std::collections::BTreeSet;
use std::time::Duration;

use defects::{DEFECTS, Defect};
use futures_util::{StreamExt as _, stream};
use server::Server;
use towpath::conformance::stomp::{Dialect, Settings, examine, rules};
use towpath::conformance::{Choice, Failure, Options, Outcome, Verdict};
use towpath::wire::Limits;

/// Defects that are looked at at the same time.
const AT_ONCE: usize = 12;

/// Checks that no defect is planted for: what they find takes a minute.
const WITHOUT_DEFECT: [&str; 1] = ["hostile.silent-connection"];

/// What comes of the checks that are chosen, over TCP or a websocket, with that defect planted.
async fn outcomes(defect: Option<Defect>, websocket: bool, filters: Vec<String>, patience: Duration) -> Vec<Outcome> {
    let server = Server::start(defect, websocket).await;
    let address = server.address;
    let settings = Settings {
        url: if websocket { format!("ws://{address}/stomp") } else { format!("tcp://{address}") },
        login: Some(session::LOGIN.to_owned()),
        passcode: Some(session::PASSCODE.to_owned()),
        host: Some("/".to_owned()),
        dialect: Dialect::Towpath,
        limits: Limits { patience, ..Limits::default() },
        connections: 24,
    };
    let options =
        Options { jobs: 8, choice: Choice { filters, slow: true, ..Choice::default() }, ..Options::default() };
    examine(settings, &options, |_| {}).await.expect("it is there").outcomes
}

fn failure<'a>(outcomes: &'a [Outcome], id: &str) -> Option<&'a Failure> {
    outcomes.iter().filter(|outcome| outcome.rule.id == id).find_map(|outcome| match &outcome.verdict {
        Verdict::Failed(failure) => Some(failure),
        _ => None,
    })
}

/// Whether the check is one of websockets.
fn needs_websocket(id: &str) -> bool {
    id.starts_with("websocket.") || id == "framing.over-messages"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_defects_passes_every_check() {
    for websocket in [false, true] {
        let outcomes = outcomes(None, websocket, Vec::new(), Duration::from_secs(5)).await;
        for outcome in &outcomes {
            assert_eq!(outcome.verdict, Verdict::Passed, "{} over {:?}", outcome.rule.id, outcome.over);
        }
        assert!(outcomes.len() > 100, "{}", outcomes.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_defect_is_caught_by_the_check_that_is_there_for_it() {
    let looks = DEFECTS.iter().map(|&(defect, id)| async move {
        let outcomes =
            outcomes(Some(defect), needs_websocket(id), vec![id.to_owned()], Duration::from_millis(500)).await;
        (defect, id, failure(&outcomes, id).cloned())
    });
    let mut looks = stream::iter(looks).buffered(AT_ONCE);
    let mut missed = Vec::new();
    while let Some((defect, id, failure)) = looks.next().await {
        match failure {
            Some(failure) => {
                println!("{defect:?} is caught by {id}: {}", failure.seen);
                let shown = failure.reproduce.contains(" > ") || id.starts_with("websocket.");
                assert!(shown, "{id} shows nothing that could be repeated: {failure:?}");
            }
            None => missed.push((defect, id)),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn there_is_a_defect_for_every_check() {
    let caught: BTreeSet<_> = DEFECTS.iter().map(|(_, id)| *id).chain(WITHOUT_DEFECT).collect();
    let rules: BTreeSet<_> = rules().iter().map(|rule| rule.id).collect();
    assert_eq!(caught, rules);
}
