//! The STOMP checks against towpath itself, over every carrier: none fails. That they can fail is shown in planted_stomp. And against
//! what is no server at all: they end, and say why.

mod support;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use support::Gateway;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
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
        connections: 96,
    }
}

async fn report(settings: Settings, slow: bool) -> Report {
    let options = Options { jobs: 16, choice: Choice { slow, ..Choice::default() }, ..Options::default() };
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
                failed.push_str(&format!(
                    "{} over {name}: {seen}\n  wanted {wanted}\n{}\n\n",
                    outcome.rule.id, failure.reproduce
                ));
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

// ---- what is no server ----

/// What listens there does to each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evil {
    /// It is closed at once.
    Closes,
    /// It is reset when something has been read.
    Resets,
    /// Nothing ever comes.
    Silent,
    /// It reads nothing and says nothing.
    Deaf,
    /// Bytes of no protocol.
    Garbage,
    /// A frame without an end.
    EndlessFrame,
    /// Line ends without an end.
    EndlessLines,
    /// A byte now and then.
    Trickle,
    /// CONNECTED, as an answer to anything.
    AlwaysConnected,
    /// Lengths that no memory has.
    HugeLength,
    /// HTTP, whoever asks.
    Http,
}

impl Evil {
    const ALL: [Self; 11] = [
        Self::Closes,
        Self::Resets,
        Self::Silent,
        Self::Deaf,
        Self::Garbage,
        Self::EndlessFrame,
        Self::EndlessLines,
        Self::Trickle,
        Self::AlwaysConnected,
        Self::HugeLength,
        Self::Http,
    ];

    async fn serve(self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        match self {
            Self::Closes => return Ok(()),
            Self::Deaf => std::future::pending().await,
            _ => {}
        }
        if stream.read(&mut buffer).await? == 0 {
            return Ok(());
        }
        match self {
            Self::Resets => return stream.set_zero_linger(),
            Self::Garbage => stream.write_all(b"\x15\x03\x01\x00\x02\x02\x28\0\n\0:\0\xff\n\n\0").await?,
            Self::EndlessFrame => {
                stream.write_all(b"CONNECTED\nversion:1.2\n\n").await?;
                loop {
                    stream.write_all(&[b'x'; 32 << 10]).await?;
                }
            }
            Self::EndlessLines => loop {
                stream.write_all(&[b'\n'; 32 << 10]).await?;
            },
            Self::Trickle => loop {
                stream.write_all(b"C").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            },
            Self::HugeLength => stream.write_all(b"CONNECTED\ncontent-length:18446744073709551615\n\n\0").await?,
            Self::Http => stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await?,
            Self::AlwaysConnected => loop {
                stream.write_all(b"CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0\n").await?;
                if stream.read(&mut buffer).await? == 0 {
                    return Ok(());
                }
            },
            _ => {}
        }
        // Open, until the other side ends it.
        while stream.read(&mut buffer).await? > 0 {}
        Ok(())
    }
}

/// What fails and what does not, over one URL of what listens there.
async fn against(evil: Evil, scheme: &str) -> Report {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(evil.serve(stream));
        }
    });
    let mut settings = settings(format!("{scheme}://{address}/"));
    settings.limits = Limits { patience: Duration::from_millis(150), body: 256 << 10, ..Limits::default() };
    let options = Options { jobs: 16, limit: Duration::from_secs(3), ..Options::default() };
    examine(settings, &options, |_| {}).await.expect("somebody listens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_server_fails_with_a_reason_and_in_time() {
    let all = Evil::ALL.iter().flat_map(|evil| ["tcp", "ws", "http"].map(|scheme| (*evil, scheme)));
    let looks = all.map(|(evil, scheme)| async move { (evil, scheme, against(evil, scheme).await) });
    let mut looks = stream::iter(looks).buffered(8);
    while let Some((evil, scheme, report)) = looks.next().await {
        let failed = |outcome: &&towpath::conformance::Outcome| matches!(outcome.verdict, Verdict::Failed(_));
        let total = report.outcomes.len();
        let failures = report.outcomes.iter().filter(failed).count();
        assert!(total >= 100 && failures * 10 >= total * 7, "{evil:?} over {scheme}: {failures} of {total}");
        for outcome in &report.outcomes {
            if let Verdict::Failed(failure) = &outcome.verdict {
                let told = !failure.seen.is_empty() && !failure.wanted.is_empty();
                assert!(told, "{} says nothing: {failure:?}", outcome.rule.id);
                let ended = !failure.seen.contains("had not ended");
                assert!(ended, "{} does not end by itself against {evil:?} over {scheme}", outcome.rule.id);
            }
        }
    }
}

#[tokio::test]
async fn where_nobody_listens_there_is_one_sentence() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let look = |url: String, connections| async move {
        let settings = Settings { connections, ..settings(url) };
        examine(settings, &Options::default(), |_| {}).await.map(drop).expect_err("there is nothing to look at")
    };
    for scheme in ["tcp", "ws", "http"] {
        let url = format!("{scheme}://{address}");
        let why = look(url.clone(), 48).await;
        assert!(why.starts_with(&url) && why.contains("cannot be reached"), "{why}");
    }
    assert!(look("stomp://127.0.0.1:1".to_owned(), 48).await.contains("is no URL of a STOMP server"));
    assert!(look(format!("http://{address}/stomp"), 5).await.contains("need 6 connections"));
}
