//! The checks of SockJS servers, run on ours: it keeps every rule, and the official suite is there with every test.
//!
//! Does not know: whether a check can fail; servers with planted defects show that.

mod support;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use support::{Gateway, test_services};
use tokio::io::AsyncWriteExt as _;
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

/// A server that says the first text once to everybody, and the second one for ever; without that it hangs up, or waits.
async fn no_server(first: &'static str, forever: Option<&'static str>, hangs_up: bool) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the system has a free port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = peer.write_all(first.as_bytes()).await;
                while let Some(text) = forever
                    && peer.write_all(text.as_bytes()).await.is_ok()
                {}
                if !hangs_up {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    address
}

/// Whatever is at the other end, each check ends by itself and says what it saw.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_server_fails_every_check_in_time() {
    let limits = Limits { patience: Duration::from_millis(50), head: 4096, body: 4096 };
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (first, forever, hangs_up) in [
        ("", None, true),
        ("", None, false),
        ("SSH-2.0-OpenSSH_9.9\r\n", None, true),
        ("HTTP/1.1 200 OK\r\nX: ", Some("x"), false),
        (head, Some("1\r\nx\r\n"), false),
        (head, None, false),
    ] {
        let server = no_server(first, forever, hangs_up).await;
        let report = report_of(server, limits).await.expect("somebody listens");
        assert_eq!(report.outcomes.len(), rules().len());
        for outcome in report.outcomes.iter().filter(|outcome| !outcome.rule.slow) {
            let Verdict::Failed(failure) = &outcome.verdict else {
                panic!("{first:?} and {forever:?}: {} {:?}", outcome.rule.id, outcome.verdict)
            };
            assert!(!failure.reproduce.is_empty(), "{first:?} and {forever:?}: {} {failure:?}", outcome.rule.id);
        }
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
