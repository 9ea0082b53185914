//! The STOMP checks against towpath itself, over every carrier: none fails. That they can fail is shown in planted_stomp.

mod support;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use support::Gateway;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use towpath::config::Config;
use towpath::conformance::stomp::{Dialect, Settings, examine, rules};
use towpath::conformance::{Choice, Options, Report, Verdict};
use towpath::wire::Limits;

/// A gateway with a port for TCP, whose heart-beats are short enough to be waited for.
async fn gateway() -> Gateway {
    let mut config = Config::default();
    config.tcp.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    config.stomp.heart_beat_send = Duration::from_millis(500);
    config.stomp.heart_beat_receive = Duration::from_millis(500);
    config.stomp.connect_timeout = Duration::from_secs(3);
    Gateway::start(config).await
}

fn settings(url: String) -> Settings {
    Settings {
        url,
        login: None,
        passcode: None,
        host: None,
        dialect: Dialect::Towpath,
        limits: Limits::default(),
        connections: 48,
    }
}

async fn report(settings: Settings, slow: bool) -> Report {
    let options = Options { jobs: 8, choice: Choice { slow, ..Choice::default() }, ..Options::default() };
    examine(settings, &options, |_| {}).await.expect("the server is there")
}

/// Nothing fails, and what was not offered or not looked at is just that.
fn all_pass(report: &Report, expected: &[(&str, &str)]) {
    let mut failed = String::new();
    let mut other = BTreeMap::new();
    for outcome in &report.outcomes {
        match &outcome.verdict {
            Verdict::Passed => {}
            Verdict::Failed(failure) => {
                let name = outcome.over.unwrap_or_default();
                let (seen, wanted) = (&failure.seen, &failure.wanted);
                failed.push_str(&format!("{} over {name}: {seen}\n  wanted {wanted}\n{}\n\n", outcome.rule.id, failure.reproduce));
            }
            verdict => drop(other.insert(outcome.rule.id, verdict.name())),
        }
    }
    assert!(failed.is_empty(), "{failed}");
    assert_eq!(other.into_iter().collect::<Vec<_>>(), expected);
}

fn fact<'a>(report: &'a Report, name: &str) -> &'a str {
    report.facts.iter().find(|(given, _)| *given == name).map_or("", |(_, value)| value)
}

/// The port for TCP of a gateway.
fn tcp(gateway: &Gateway) -> String {
    match gateway.connector() {
        support::Connector::Tcp(_, Some(address)) => format!("tcp://{address}"),
        _ => panic!("it has none"),
    }
}

/// No login is needed, so none is refused.
const NOT_OFFERED: [(&str, &str); 1] = [("connect.refused-login", "not offered")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn towpath_passes_over_tcp() {
    let gateway = gateway().await;
    let report = report(settings(tcp(&gateway)), true).await;
    all_pass(&report, &NOT_OFFERED);
    assert_eq!((report.suite, fact(&report, "carriers")), ("STOMP", "tcp"));
    assert_eq!(fact(&report, "versions"), "1.0, 1.1, 1.2");
    assert!(fact(&report, "server").starts_with("towpath/"), "{:?}", report.facts);
    assert!(report.outcomes.len() >= 110, "{}", report.outcomes.len());
    assert!(report.spent.connections > 100, "{:?}", report.spent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn towpath_passes_over_sockjs_and_a_raw_websocket() {
    let gateway = gateway().await;
    let report = report(settings(format!("http://{}/stomp", gateway.address())), true).await;
    all_pass(&report, &NOT_OFFERED);
    assert_eq!(fact(&report, "carriers"), "sockjs-websocket, websocket, xhr-streaming, xhr-polling");
    for carrier in ["sockjs-websocket", "websocket", "xhr-streaming", "xhr-polling"] {
        let looked = report.outcomes.iter().filter(|outcome| outcome.over == Some(carrier)).count();
        assert!(looked >= 100, "{looked} over {carrier}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn towpath_passes_at_the_url_of_a_websocket() {
    let gateway = gateway().await;
    let report = report(settings(format!("ws://{}/stomp/websocket", gateway.address())), false).await;
    assert_eq!(fact(&report, "carriers"), "websocket");
    let slow = rules().into_iter().filter(|rule| rule.slow && rule.id.starts_with("beats.")).map(|rule| rule.id);
    let mut expected: Vec<_> = slow.filter(|id| *id != "beats.any-bytes").map(|id| (id, "skipped")).collect();
    expected.extend(NOT_OFFERED);
    expected.sort_unstable();
    all_pass(&report, &expected);
}
