//! Our own checks of SockJS servers, run on the gateway: those that take their time as well, and those of services that a server
//! need not have.
//!
//! Does not know: the official suite, and whether a check can fail; servers with planted defects show that.

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use support::{Gateway, echo, serving, test_services};
use tokio::net::TcpListener;
use towpath::conformance::sockjs::{Services, Settings, examine, rules};
use towpath::conformance::{Choice, Options, Outcome, Report, Verdict};
use towpath::wire::{Limits, Target};

/// The ids by which plans and expected results know them, without those that take their time.
const QUICK: &str = include_str!("../fixtures/conformance/own-checks.txt");
const SLOW: &str = include_str!("../fixtures/conformance/own-slow-checks.txt");

/// What cannot be looked at where there is nothing but an echo service.
const NOT_OFFERED: [&str; 9] = [
    "cookie.xhr-send",
    "cookie.preflight",
    "cookie.errors",
    "cookie.not-on-static-pages",
    "websocket.close-code",
    "websocket.disabled",
    "raw-websocket.close-code",
    "session.close-on-every-transport",
    "session.buffered-before-close",
];

async fn report_of(server: SocketAddr, filters: &[&str], slow: bool, patience: Duration) -> Report {
    let target = Target::parse(&format!("http://{server}")).expect("the address makes a URL");
    let limits = Limits { patience, ..Limits::default() };
    let settings = Settings { target, services: Services::default(), limits, connections: 64 };
    let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
    let choice = Choice { filters, slow, ..Choice::default() };
    // All that are slow wait at the same time.
    let options = Options { choice, jobs: if slow { 16 } else { 4 }, ..Options::default() };
    examine(settings, &options, |_| {}).await.expect("somebody listens")
}

fn not_passed<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Vec<String> {
    let wrong = outcomes.into_iter().filter(|outcome| outcome.verdict != Verdict::Passed);
    wrong.map(|outcome| format!("{}: {:#?}", outcome.rule.id, outcome.verdict)).collect()
}

#[test]
fn every_id_is_there_and_stays() {
    let ids = |slow: bool| {
        let own = rules().into_iter().filter(move |rule| !rule.id.contains(".test_") && rule.slow == slow);
        own.map(|rule| rule.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(false), QUICK.lines().collect::<Vec<_>>());
    assert_eq!(ids(true), SLOW.lines().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_keeps_the_rules_that_do_not_take_long() {
    let gateway = Gateway::start(test_services()).await;
    let report = report_of(gateway.address(), &["!.test_"], false, Duration::from_secs(5)).await;
    let quick: Vec<_> = report.outcomes.iter().filter(|outcome| !outcome.rule.slow).collect();
    let wrong = not_passed(quick.iter().copied());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(quick.len(), QUICK.lines().count());
}

/// Two fifths of all times: a heartbeat within 16 s, and the delay between 1.2 s and 8 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_keeps_the_rules_that_take_their_time() {
    let mut config = test_services();
    for endpoint in &mut config.endpoints {
        endpoint.heartbeat = Duration::from_secs(1);
        endpoint.disconnect_delay = Duration::from_secs(4);
    }
    let gateway = Gateway::start(config).await;
    let report = report_of(gateway.address(), &SLOW.lines().collect::<Vec<_>>(), true, Duration::from_secs(2)).await;
    let slow: Vec<_> = report.outcomes.iter().filter(|outcome| outcome.rule.slow).collect();
    let wrong = not_passed(slow.iter().copied());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(slow.len(), SLOW.lines().count());
}

/// A server without heartbeats, whose sessions go at once or never, is found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_its_time_can_fail() {
    let failing = async |heartbeat: u64, delay: Duration| {
        let mut config = test_services();
        for endpoint in &mut config.endpoints {
            endpoint.heartbeat = Duration::from_secs(heartbeat);
            endpoint.disconnect_delay = delay;
        }
        let gateway = Gateway::start(config).await;
        let slow: Vec<_> = SLOW.lines().collect();
        let report = report_of(gateway.address(), &slow, true, Duration::from_millis(250)).await;
        let failed = |outcome: &&Outcome| matches!(outcome.verdict, Verdict::Failed(_));
        report.outcomes.iter().filter(failed).map(|outcome| outcome.rule.id).collect::<Vec<_>>()
    };
    let late = failing(3600, Duration::from_secs(60)).await;
    let beats = SLOW.lines().filter(|id| id.starts_with("heartbeat."));
    let expected: Vec<_> =
        ["session.disconnect-delay", "session.send-does-not-prolong"].into_iter().chain(beats).collect();
    assert_eq!(late, expected);
    assert!(failing(3600, Duration::from_millis(10)).await.contains(&"session.disconnect-delay"));
}

/// Nor do they pass, or wait for ever, where nobody answers.
#[tokio::test]
async fn what_takes_its_time_ends_where_nobody_answers() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the system has a free port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move {
        let mut peers = Vec::new();
        while let Ok(peer) = listener.accept().await {
            peers.push(peer);
        }
    });
    let report = report_of(address, &SLOW.lines().collect::<Vec<_>>(), true, Duration::from_millis(50)).await;
    for outcome in &report.outcomes {
        let Verdict::Failed(failure) = &outcome.verdict else { panic!("{}: {:?}", outcome.rule.id, outcome.verdict) };
        assert!(!failure.reproduce.is_empty(), "{}: {failure:?}", outcome.rule.id);
    }
    assert_eq!(report.outcomes.iter().filter(|outcome| outcome.rule.slow).count(), SLOW.lines().count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_offered_is_said_to_be_so() {
    let gateway = Gateway::start(serving([echo()])).await;
    let filters = ["cookie.", "close", "disabled", "buffered"];
    let report = report_of(gateway.address(), &filters, false, Duration::from_secs(5)).await;
    let own = report.outcomes.iter().filter(|outcome| !outcome.rule.id.contains(".test_"));
    let missing = own.filter(|outcome| matches!(outcome.verdict, Verdict::NotOffered(_)));
    assert_eq!(missing.map(|outcome| outcome.rule.id).collect::<Vec<_>>(), NOT_OFFERED);
}
