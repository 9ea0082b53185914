//! The doctor, in front of towpath and of proxies that do one thing wrong: each problem of the catalogue is planted and found, and
//! where nothing is planted nothing is found.

mod certificates;
mod command;
mod hostile;
mod planted;
mod proxy;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use support::{Gateway, test_services};
use towpath::config::{Endpoint, Service};
use towpath::doctor::catalogue::ALL;
use towpath::doctor::{Options, Report, State, Transport, examine};
use towpath::wire::{Limits, Target};

/// Long enough for a machine that is busy, and short enough for what is waited for in vain.
const PATIENCE: Duration = Duration::from_secs(1);

/// The usual options, without the silence.
fn options() -> Options {
    Options { idle: Duration::ZERO, ..Options::default() }
}

/// For what is waited for in vain.
fn impatient() -> Options {
    let limits = Limits { patience: PATIENCE, ..options().limits };
    Options { limits, ..options() }
}

async fn look(target: &Target, options: &Options) -> Report {
    examine(target, options, &|_| {}).await.expect("it is reached")
}

/// The findings' ids, but those that a busy machine causes by itself: no test is about the time that something takes.
fn ids(report: &Report) -> Vec<&'static str> {
    let ids = report.findings.iter().map(|finding| finding.problem.id);
    ids.filter(|id| !matches!(*id, "info-slow" | "stream-late")).collect()
}

fn state(report: &Report, transport: Transport) -> State {
    report.verdicts.iter().find(|verdict| verdict.transport == transport).expect("there is one for each").state
}

fn facts(report: &Report) -> String {
    report.facts.iter().map(|fact| format!("{}: {}\n", fact.step, fact.text)).collect()
}

async fn gateway() -> Gateway {
    Gateway::start(test_services()).await
}

fn target(gateway: &Gateway, path: &str) -> Target {
    Target::parse(&format!("http://{}{path}", gateway.address())).expect("a URL")
}

#[tokio::test]
async fn nothing_is_wrong_with_towpath_itself() {
    let gateway = gateway().await;
    let idle = Options { idle: Duration::from_millis(300), ..Options::default() };
    for (path, options) in [("/stomp", &idle), ("/echo", &options()), ("/cookie_needed_echo", &options())] {
        let report = look(&target(&gateway, path), options).await;
        assert_eq!(ids(&report), [""; 0], "{path}\n{}", report.text(false));
        for transport in Transport::ALL {
            assert_eq!(state(&report, transport), State::Works, "{path} {transport}\n{}", report.text(false));
        }
        assert_eq!(report.choice.transport, Some(Transport::WebSocket), "{path}");
    }
}

#[tokio::test]
async fn what_the_server_does_not_have_is_no_fault() {
    let report = look(&target(&gateway().await, "/disabled_websocket_echo"), &options()).await;
    assert_eq!(ids(&report), [""; 0], "{}", report.text(false));
    assert_eq!(state(&report, Transport::WebSocket), State::NotOffered);
    assert_eq!(report.choice.transport, Some(Transport::XhrStreaming));
}

#[tokio::test]
async fn a_service_that_closes_its_sessions_is_told_as_that() {
    let idle = Options { idle: Duration::from_millis(300), ..Options::default() };
    let report = look(&target(&gateway().await, "/close"), &idle).await;
    assert_eq!(ids(&report), [""; 0], "{}", report.text(false));
    let facts = facts(&report);
    assert!(facts.contains("sticky: not looked at: the service closes its sessions at once, c[3000"), "{facts}");
    assert!(facts.contains("idle: websocket: the server itself closed it after"), "{facts}");
}

#[tokio::test]
async fn heartbeats_are_counted() {
    let heartbeat = Duration::from_millis(100);
    let endpoint = Endpoint { heartbeat, service: Service::Echo, path: "/beats".to_owned(), ..Endpoint::default() };
    let gateway = Gateway::start(support::serving([endpoint])).await;
    let idle = Options { idle: Duration::from_millis(700), ..Options::default() };
    let report = look(&target(&gateway, "/beats"), &idle).await;
    assert_eq!(ids(&report), [""; 0], "{}", report.text(false));
    let facts = facts(&report);
    for transport in Transport::ALL {
        assert!(facts.contains(&format!("idle: {transport}: alive after 700 ms, heartbeats every ")), "{facts}");
    }
}

#[test]
fn every_problem_has_a_test_and_a_place_in_the_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
    let tests: String =
        ["tests/doctor/planted.rs", "tests/doctor/certificates.rs", "src/doctor/way.rs"].map(read).concat();
    let page = read("docs/doctor.md");
    for problem in ALL {
        assert!(tests.contains(&format!("\"{}\"", problem.id)), "no test is about {}", problem.id);
        assert!(page.contains(&format!("\n### {}\n", problem.id)), "docs/doctor.md says nothing of {}", problem.id);
        assert!(page.contains(problem.meaning), "docs/doctor.md says something else of {}", problem.id);
    }
}

/// The document's mends are those that the command prints.
#[test]
fn the_document_has_the_lines_that_mend() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md")).expect("it is there");
    for problem in ALL {
        for mend in problem.mends {
            for line in mend.lines.lines() {
                assert!(page.contains(line), "{}: docs/doctor.md has not the line {line:?}", problem.id);
            }
        }
    }
}
