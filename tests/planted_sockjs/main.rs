//! Whether the checks of SockJS servers find what they are there for: a small server of the tests' own passes them all, and with any
//! one of its defects fails the check that is named for it.
//!
//! Does not know: how a check looks.

mod defects;
mod http;
mod pages;
mod receiving;
mod sending;
mod server;
mod session;
mod text;
mod websocket;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use towpath::conformance::sockjs::{Services, Settings, examine, rules};
use towpath::conformance::{Choice, Options, Report, Verdict};
use towpath::wire::{Limits, Target};

use defects::{ALL, Defect, Planted};
use server::Server;

/// How long a check waits. Slow ones count in fifths of it: a session is to last for three and to be gone after twenty, and a
/// heartbeat comes within forty.
const PATIENCE: Duration = Duration::from_millis(600);

/// Runs checks on a server of its own: all of them, or those of these ids. Its sessions last for `delay` without a receiver.
async fn report_on(defect: Option<Defect>, only: &[&str], patience: Duration, delay: Duration) -> Report {
    let address = Server::start(defect, patience * 2, delay).await.expect("a port is free");
    let target = Target::parse(&format!("http://{address}")).expect("the address makes a URL");
    let limits = Limits { patience, ..Limits::default() };
    let settings = Settings { target, services: Services::default(), limits, connections: 64 };
    let only = only.iter().map(|id| (*id).to_owned()).collect();
    let options = Options { choice: Choice { only, slow: true, ..Choice::default() }, jobs: 8, ..Options::default() };
    examine(settings, &options, |_| {}).await.expect("the server listens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_defects_passes_every_check() {
    // What fails here because the machine is busy is nobody's defect.
    let report = report_on(None, &[], PATIENCE * 2, PATIENCE * 6).await;
    let wrong = report.outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Passed);
    let wrong: Vec<_> = wrong.map(|outcome| format!("{}: {:#?}", outcome.rule.id, outcome.verdict)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(report.outcomes.len(), rules().len());
}

/// What the check that is named for a defect says of a server that has it, unless it fails.
async fn missed(planted: &Planted) -> Option<String> {
    let (defect, caught_by, what) = *planted;
    // Where time is not what is looked at, no session is to end because the machine is busy.
    let slow = rules().iter().any(|rule| rule.id == caught_by && rule.slow);
    let delay = if slow { PATIENCE * 2 } else { PATIENCE * 20 };
    let report = report_on(Some(defect), &[caught_by], PATIENCE, delay).await;
    match &report.outcomes[..] {
        [outcome] if matches!(outcome.verdict, Verdict::Failed(_)) => None,
        [outcome] => Some(format!("{defect:?} ({what}): {caught_by} says {:?}", outcome.verdict)),
        outcomes => Some(format!("{defect:?}: {caught_by} are {} checks", outcomes.len())),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_defect_is_caught_by_its_check() {
    let missed: Vec<_> =
        stream::iter(ALL).map(missed).buffer_unordered(8).filter_map(std::future::ready).collect().await;
    assert!(missed.is_empty(), "{} of {}:\n{}", missed.len(), ALL.len(), missed.join("\n"));
}

/// So that no check is one that cannot fail.
#[test]
fn every_check_has_a_defect_and_every_defect_a_check() {
    let rules = rules();
    let ids: BTreeSet<_> = rules.iter().map(|rule| rule.id).collect();
    let caught_by: BTreeSet<_> = ALL.iter().map(|(_, caught_by, _)| *caught_by).collect();
    let differ: Vec<_> = ids.symmetric_difference(&caught_by).collect();
    assert!(differ.is_empty(), "{differ:?}");
    assert!(ALL.len() >= 60, "{}", ALL.len());
}
