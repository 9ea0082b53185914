//! Servers that are down, silent, slow, endless or no servers at all: the look ends, and says so.
//!
//! Does not know: what is right.

use std::time::Duration;

use towpath::doctor::{Options, examine};
use towpath::wire::{Limits, Target};

use super::proxy::{Asked, Deed, Proxy};
use super::support::{backend::nowhere, within};
use super::{gateway, options};

/// More than all steps of these looks take together.
const END: Duration = Duration::from_secs(120);

fn short() -> Options {
    Options {
        idle: Duration::from_millis(500),
        limits: Limits { patience: Duration::from_millis(200), head: 4096, body: 64 << 10 },
        ..options()
    }
}

#[tokio::test]
async fn a_server_that_is_down_cannot_be_looked_at() {
    let target = Target::parse(&format!("http://{}/stomp", nowhere().await)).unwrap();
    let fault = examine(&target, &short(), &|_| {}).await.expect_err("nobody is there");
    assert!(fault.to_string().contains("no connection"), "{fault}");
}

/// Every path is hostile in its turn, in every way, while the others are good.
#[tokio::test]
async fn every_look_ends_with_a_finding_whatever_one_path_does() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    type Plan = fn() -> Deed;
    let deeds: [(&str, Plan); 9] = [
        ("hang", || Deed::Hang),
        ("reset", || Deed::Reset),
        ("garbage", || Deed::Say("\u{0}\u{1}garbage\r\n\r\n".to_owned())),
        ("broken chunks", || Deed::Say(format!("{CHUNKED}zz\r\n"))),
        ("half a body", || Deed::Say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\no\n".to_owned())),
        ("endless head", || Deed::Endless("HTTP/1.1 200 OK\r\n", "X: xxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n")),
        ("endless body", || Deed::Endless(CHUNKED, "8\r\nhhhhhhh\n\r\n")),
        ("endless frames", || Deed::Endless(CHUNKED, "2\r\no\n\r\n2\r\nh\n\r\n")),
        ("endless line", || Deed::Endless(CHUNKED, "8\r\nxxxxxxxx\r\n")),
    ];
    let gateway = gateway().await;
    for path in ["/info", "/xhr ", "/xhr_send", "/xhr_streaming", "/eventsource", "/websocket"] {
        let looks = deeds.iter().map(|(name, deed)| {
            let deed = *deed;
            let plan = move |asked: &Asked| if asked.is(path) { deed() } else { Deed::Pass };
            let address = gateway.address();
            async move {
                let proxy = Proxy::start(address, plan).await;
                let target = proxy.target("/echo");
                let report = within(END, "the end of a look", examine(&target, &short(), &|_| {})).await;
                (*name, report.expect("it is reached"))
            }
        });
        for (name, report) in futures_util::future::join_all(looks).await {
            assert!(!report.is_healthy(), "{path}, {name}:\n{}", report.text(false));
        }
    }
}

#[tokio::test]
async fn everything_hostile_at_once_ends_too() {
    let gateway = gateway().await;
    let proxy = Proxy::start(gateway.address(), |asked| match asked.number % 4 {
        0 => Deed::Pass,
        1 => Deed::Hang,
        2 => Deed::Reset,
        _ => Deed::Endless("HTTP/1.1 200 OK\r\n\r\n", "h\n"),
    })
    .await;
    let report = within(END, "the end of a look", examine(&proxy.target("/echo"), &short(), &|_| {})).await;
    assert!(!report.expect("it is reached").is_healthy());
}
