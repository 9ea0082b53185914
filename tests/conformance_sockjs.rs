//! The checks of SockJS servers, run on ours: it keeps every rule, and the official suite is there with every test.
//!
//! Does not know: whether a check can fail; servers with planted defects show that.

mod support;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use support::{Gateway, test_services};
use tokio::net::TcpListener;
use towpath::conformance::sockjs::{Services, Settings, examine, rules};
use towpath::conformance::{Options, Report, Verdict};
use towpath::wire::{Fault, Limits, Target};

/// The names of the official suite in its order, without the one that is obsolete.
const OFFICIAL: &str = include_str!("../fixtures/conformance/official-suite.txt");

/// The services that are not among the gateway's own for tests, so that checks of them cannot look.
const NOT_OFFERED: [&str; 0] = [];

async fn report_of(server: SocketAddr, limits: Limits) -> Result<Report, Fault> {
    let target = Target::parse(&format!("http://{server}")).expect("the address makes a URL");
    let settings = Settings { target, services: Services::default(), limits, connections: 64 };
    examine(settings, &Options::default(), |_| {}).await
}

/// Every check passes, and in the way of the present edition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_keeps_every_rule() {
    let gateway = Gateway::start(test_services()).await;
    let report = report_of(gateway.address(), Limits::default()).await.expect("the gateway listens");
    let wrong: Vec<_> = report
        .outcomes
        .iter()
        .filter(|outcome| match &outcome.verdict {
            Verdict::Passed => false,
            Verdict::Skipped(_) => !outcome.rule.slow,
            Verdict::NotOffered(_) => !NOT_OFFERED.contains(&outcome.rule.id),
            Verdict::Vintage(_) | Verdict::Failed(_) => true,
        })
        .map(|outcome| format!("{}: {:#?}", outcome.rule.id, outcome.verdict))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(report.outcomes.len(), rules().len());
}

#[test]
fn the_official_suite_is_complete_and_in_its_order() {
    let official: Vec<_> = OFFICIAL.lines().collect();
    assert_eq!(official.len(), 68);
    let ours: Vec<_> = rules().iter().map(|rule| rule.id).filter(|id| id.contains(".test_")).collect();
    assert_eq!(ours, official);
}

/// `--list` and `--explain` show them, and a filter finds one by its id.
#[test]
fn every_rule_says_what_it_demands_and_why() {
    let rules = rules();
    let ids: BTreeSet<_> = rules.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), rules.len(), "an id is used twice");
    for rule in rules {
        let demand = rule.demand;
        assert!(!demand.is_empty() && !demand.contains('\n') && !demand.ends_with('.'), "{}: {demand}", rule.id);
        assert!(rule.why.len() > 40 && rule.why.ends_with('.'), "{}: {}", rule.id, rule.why);
        assert!(!rule.source.is_empty() && !rule.group.is_empty(), "{}", rule.id);
    }
}

#[tokio::test]
async fn where_nobody_listens_there_is_no_report() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the system has a free port");
    let address = listener.local_addr().expect("it listens");
    drop(listener);
    let report = report_of(address, Limits::default()).await;
    assert!(matches!(report, Err(Fault::Unreachable(_))), "{report:?}");
}
