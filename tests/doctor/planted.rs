//! One fault planted, one problem found, on towpath behind a proxy.
//!
//! Does not know: how it is found.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use towpath::config::{Endpoint, Service};
use towpath::doctor::{Finding, Options, Report, State, Transport};

use super::proxy::{Asked, Deed, Proxy, with, without};
use super::support::{Gateway, serving, test_services};
use super::{facts, gateway, ids, impatient, look, options, state};

/// What is seen of /echo behind a proxy that does this.
async fn seen(plan: impl Fn(&Asked) -> Deed + Send + Sync + 'static, options: &Options) -> Report {
    let gateway = gateway().await;
    let proxy = Proxy::start(gateway.address(), plan).await;
    look(&proxy.target("/echo"), options).await
}

/// Exactly this one is found. What was seen of it.
#[track_caller]
fn only<'a>(report: &'a Report, id: &str) -> &'a Finding {
    assert_eq!(ids(report), [id], "{}", report.text(false));
    report.findings.iter().find(|finding| finding.problem.id == id).expect("it is there")
}

fn answer(status: &str, headers: &str, body: &str) -> Deed {
    Deed::Say(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()))
}

fn headed(change: impl Fn(&str) -> String + Send + 'static) -> Deed {
    Deed::Answered(Box::new(move |head| change(&head)))
}

fn streams(asked: &Asked) -> bool {
    asked.is("/xhr_streaming") || asked.is("/eventsource")
}

#[tokio::test]
async fn an_info_that_is_none_ends_the_look() {
    const HTML: &str = "Content-Type: text/html\r\n";
    type Plan = fn() -> Deed;
    let told: Vec<(&str, &str, Plan)> = vec![
        ("info-unanswered", "no answer within 1s", || Deed::Hang),
        ("info-unanswered", "the connection ended", || Deed::Reset),
        ("info-unanswered", "no answer of HTTP/1", || Deed::Say("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned())),
        ("info-redirect", "301 to https://a.example/echo/info", || {
            answer("301 Moved Permanently", "Location: https://a.example/echo/info\r\n", "")
        }),
        ("login-page", "302 to /login?back=info", || answer("302 Found", "Location: /login?back=info\r\n", "")),
        ("login-page", "status 401", || answer("401 Unauthorized", "WWW-Authenticate: Basic\r\n", "")),
        ("login-page", "status 200", || answer("200 OK", HTML, "<html><input type=\"password\"></html>")),
        ("path-wrong", "status 404", || answer("404 Not Found", "", "")),
        ("server-down", "status 502", || answer("502 Bad Gateway", HTML, "<html>nginx</html>")),
        ("not-sockjs", "a page of HTML", || answer("200 OK", HTML, "<html>Welcome</html>")),
        ("not-sockjs", "{}", || answer("200 OK", "Content-Type: application/json\r\n", "{}")),
    ];
    for (id, text, deed) in told {
        let report = seen(move |_| deed(), &impatient()).await;
        let finding = only(&report, id);
        assert!(finding.seen[0].contains(text), "{id}: {:?}", finding.seen);
        assert_eq!(finding.breaks, Transport::ALL, "{id}");
        assert_eq!((report.choice.transport, state(&report, Transport::WebSocket)), (None, State::Fails), "{id}");
    }
}

#[tokio::test]
async fn a_slow_info_is_found_by_its_median() {
    let late = |asked: &Asked| ["?t=2 ", "?t=3 ", "?t=4 "].iter().any(|query| asked.is(query));
    // One connection each, or only the first would be late.
    let plan = move |asked: &Asked| match late(asked) {
        true => Deed::Late(Duration::from_millis(1100)),
        false => Deed::Pass,
    };
    let closing = |asked: &Asked| asked.is("/info").then(|| headed(|head| with(head, "Connection: close")));
    let gateway = gateway().await;
    let slow = Proxy::start(gateway.address(), plan).await;
    let proxy = Proxy::start(slow.address, move |asked| closing(asked).unwrap_or(Deed::Pass)).await;
    let report = look(&proxy.target("/echo"), &options()).await;
    assert!(report.findings.iter().any(|finding| finding.problem.id == "info-slow"), "{}", report.text(false));
}

#[tokio::test]
async fn a_cached_info_is_found_by_its_entropy() {
    const KEPT: &str = "{\"websocket\":true,\"cookie_needed\":false,\"origins\":[\"*:*\"],\"entropy\":7}";
    let plan = |asked: &Asked| match asked.is("GET /echo/info") && !asked.has("\r\norigin:") {
        true => answer("200 OK", "Cache-Control: no-store\r\nX-Cache: HIT\r\n", KEPT),
        false => Deed::Pass,
    };
    let report = seen(plan, &options()).await;
    let finding = only(&report, "info-cached");
    assert!(
        finding.seen[0].contains("without a query") && finding.seen[0].contains("X-Cache: HIT"),
        "{:?}",
        finding.seen
    );
    assert!(finding.seen[1].contains("two different queries"), "{:?}", finding.seen);
    assert_eq!(state(&report, Transport::WebSocket), State::Works);
}

#[tokio::test]
async fn heads_that_were_changed_are_found() {
    type Plan = fn(&Asked) -> Deed;
    let told: Vec<(&str, Plan)> = vec![
        ("cache-control", |asked| match asked.is("/info") {
            true => headed(|head| without(head, &["Cache-Control"])),
            false => Deed::Pass,
        }),
        ("cache-control", |asked| match asked.is("/xhr HTTP") {
            true => headed(|head| with(&without(head, &["Cache-Control"]), "Cache-Control: max-age=60")),
            false => Deed::Pass,
        }),
        ("no-keep-alive", |_| headed(|head| with(&without(head, &["Connection"]), "Connection: close"))),
        ("http10", |asked| match asked.is("/info") {
            true => headed(|head| head.replacen("HTTP/1.1", "HTTP/1.0", 1)),
            false => Deed::Pass,
        }),
        ("stream-compressed", |asked| match asked.has("accept-encoding: gzip") && streams(asked) {
            true => headed(|head| with(head, "Content-Encoding: gzip")),
            false => Deed::Pass,
        }),
        ("stream-altered", |asked| match asked.is("/eventsource") {
            true => headed(|head| with(&without(head, &["Content-Type"]), "Content-Type: text/html")),
            false => Deed::Pass,
        }),
    ];
    for (id, plan) in told {
        // The answer to a handshake is not one of those that are meant.
        let plan = move |asked: &Asked| if asked.is("/websocket") { Deed::Pass } else { plan(asked) };
        let report = seen(plan, &options()).await;
        only(&report, id);
    }
}

#[tokio::test]
async fn what_browsers_refuse_across_origins_is_found() {
    type Plan = fn(&Asked) -> Deed;
    const ORIGIN: &str = "Access-Control-Allow-Origin";
    const CREDENTIALS: &str = "Access-Control-Allow-Credentials";
    let told: Vec<(&str, Plan)> = vec![
        ("cors-doubled", |_| headed(|head| with(head, &format!("{ORIGIN}: *")))),
        ("cors-doubled", |_| headed(|head| with(head, &format!("{CREDENTIALS}: true")))),
        ("cors-wildcard", |_| headed(|head| with(&without(head, &[ORIGIN]), &format!("{ORIGIN}: *")))),
        ("cors-credentials", |_| headed(|head| without(head, &[CREDENTIALS]))),
        // /info lets them in, and polling does not.
        ("cors-missing", |asked| match asked.is("/xhr HTTP") {
            true => headed(|head| without(head, &[ORIGIN])),
            false => Deed::Pass,
        }),
    ];
    for (id, plan) in told {
        let plan =
            move |asked: &Asked| match asked.has("\r\norigin:") && !asked.is("OPTIONS") && !asked.is("/websocket") {
                true => plan(asked),
                false => Deed::Pass,
            };
        let report = seen(plan, &options()).await;
        only(&report, id);
        assert_eq!(state(&report, Transport::WebSocket), State::But, "{id}");
    }
    let plan = |asked: &Asked| match asked.is("OPTIONS") {
        true => answer("405 Method Not Allowed", "", ""),
        false => Deed::Pass,
    };
    only(&seen(plan, &options()).await, "cors-preflight");
}

#[tokio::test]
async fn a_server_for_its_own_pages_only_is_wrong_for_a_page_that_is_named() {
    let gateway = gateway().await;
    let target = super::target(&gateway, "/stomp");
    let named = Options { origin: Some("https://app.example".to_owned()), ..options() };
    let report = look(&target, &named).await;
    assert!(ids(&report).contains(&"cors-missing"), "{}", report.text(false));
    let report = look(&target, &options()).await;
    assert!(facts(&report).contains("cors: pages of other origins are not let in"), "{}", report.text(false));
}

#[tokio::test]
async fn a_proxy_that_hides_the_host_makes_a_stranger_of_the_servers_own_page() {
    let gateway = gateway().await;
    let plan = |_: &Asked| Deed::Ask(Box::new(|head| with(&without(&head, &["Host"]), "Host: backend")));
    let proxy = Proxy::start(gateway.address(), plan).await;
    let report = look(&proxy.target("/stomp"), &options()).await;
    let finding = report.findings.iter().find(|finding| finding.problem.id == "origin-refused").expect("it is there");
    assert_eq!(state(&report, Transport::WebSocket), State::Fails);
    assert!(finding.mends(&report).iter().any(|(place, lines)| *place == "nginx" && lines.contains("Host $http_host")));
}

#[tokio::test]
async fn servers_that_take_turns_are_found() {
    let (one, two) = (gateway().await, gateway().await);
    let other = two.address();
    let turn = AtomicUsize::new(0);
    let plan = move |_: &Asked| match turn.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => Deed::Pass,
        _ => Deed::To(other),
    };
    let proxy = Proxy::start(one.address(), plan).await;
    let report = look(&proxy.target("/echo"), &options()).await;
    let finding = only(&report, "not-sticky");
    assert_eq!(finding.breaks, Transport::HTTP);
    assert!(finding.seen[0].contains("4 of 8"), "{:?}", finding.seen);
    assert_eq!(state(&report, Transport::WebSocket), State::Works);
}

#[tokio::test]
async fn a_cookie_that_keeps_a_session_with_its_server_is_noticed() {
    let (one, two) = (gateway().await, gateway().await);
    let servers = [one.address(), two.address()];
    let turn = AtomicUsize::new(0);
    let plan = move |asked: &Asked| match (asked.has("server=0"), asked.has("server=1")) {
        (true, _) => Deed::To(servers[0]),
        (_, true) => Deed::To(servers[1]),
        _ => {
            let next = turn.fetch_add(1, Ordering::Relaxed) % 2;
            let cookie = format!("Set-Cookie: server={next}; path=/");
            Deed::ToAnswered(servers[next], Box::new(move |head| with(&head, &cookie)))
        }
    };
    let proxy = Proxy::start(one.address(), plan).await;
    let report = look(&proxy.target("/echo"), &options()).await;
    assert_eq!(ids(&report), [""; 0], "{}", report.text(false));
    let facts = facts(&report);
    assert!(facts.contains("without cookies and none with the cookies server"), "{facts}");
}

#[tokio::test]
async fn a_websocket_that_does_not_come_through_is_found() {
    type Plan = fn() -> Deed;
    let told: Vec<(&str, &str, Plan)> = vec![
        ("upgrade-stripped", "400", || Deed::Ask(Box::new(|head| without(&head, &["Upgrade", "Connection"])))),
        ("upgrade-stripped", "404", || answer("404 Not Found", "", "")),
        ("upgrade-refused", "502", || answer("502 Bad Gateway", "", "")),
        ("upgrade-refused", "101", || Deed::Say("HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned())),
        ("upgrade-refused", "ended", || Deed::Reset),
        ("upgrade-hangs", "within 1s", || Deed::Hang),
        ("transport-silent", "websocket opened", || Deed::Swallow(b"\x81\x01o")),
        ("transport-unanswered", "101, and then no open frame", || Deed::Swallow(b"\r\n\r\n")),
    ];
    for (id, text, deed) in told {
        let plan = move |asked: &Asked| if asked.is("/websocket") { deed() } else { Deed::Pass };
        let report = seen(plan, &impatient()).await;
        let finding = only(&report, id);
        assert!(finding.seen[0].contains(text), "{id}: {:?}", finding.seen);
        assert_eq!(state(&report, Transport::WebSocket), State::Fails, "{id}");
        assert_eq!(state(&report, Transport::XhrStreaming), State::Works, "{id}");
        // What opens is kept, although nothing comes.
        let kept = if id == "transport-silent" { Transport::WebSocket } else { Transport::XhrStreaming };
        assert_eq!(report.choice.transport, Some(kept), "{id}");
    }
}

#[tokio::test]
async fn a_stream_that_is_held_back_is_found_and_so_is_what_frees_it() {
    let told: Vec<(usize, &str)> = vec![(12_000, "a buffer had to be full"), (usize::MAX, "it is held until the end")];
    for (most, text) in told {
        let plan = move |asked: &Asked| if streams(asked) { Deed::Hold(most) } else { Deed::Pass };
        // Its answers end after 4096 bytes, so that their end is soon there.
        let gateway = if most == usize::MAX { gateway().await } else { Gateway::start(unlimited()).await };
        let proxy = Proxy::start(gateway.address(), plan).await;
        let report = look(&proxy.target("/echo"), &impatient()).await;
        let finding = only(&report, "stream-buffered");
        assert!(finding.seen.iter().all(|seen| seen.contains(text)), "{:?}", finding.seen);
        assert_eq!(finding.breaks, [Transport::XhrStreaming, Transport::EventSource]);
    }
}

fn unlimited() -> towpath::config::Config {
    let mut config = test_services();
    config.endpoints.iter_mut().for_each(|endpoint| endpoint.response_limit = 1 << 20);
    config
}

#[tokio::test]
async fn a_stream_of_stomp_that_is_held_back_is_found_too() {
    let gateway = Gateway::start(unlimited()).await;
    let proxy =
        Proxy::start(gateway.address(), |asked| if streams(asked) { Deed::Hold(12_000) } else { Deed::Pass }).await;
    let report = look(&proxy.target("/stomp"), &impatient()).await;
    let finding = only(&report, "stream-buffered");
    assert!(finding.seen.iter().all(|seen| seen.contains("a buffer had to be full")), "{:?}", finding.seen);
}

#[tokio::test]
async fn a_stream_that_lets_only_its_beginning_through_is_found() {
    // The prelude and the open frame come, and then nothing that is smaller than the rest of a buffer.
    let plan = |asked: &Asked| if asked.is("/xhr_streaming") { Deed::Swallow(b"o\n\r\n") } else { Deed::Pass };
    let report = seen(plan, &impatient()).await;
    let finding = only(&report, "stream-buffered");
    assert!(
        finding.seen[0].contains("the open frame came at once, but the answer to a message not"),
        "{:?}",
        finding.seen
    );
    assert_eq!(state(&report, Transport::EventSource), State::Works);
}

#[tokio::test]
async fn a_transport_that_opens_late_is_found() {
    let late = Duration::from_millis(2500);
    let report = seen(move |asked| if streams(asked) { Deed::Late(late) } else { Deed::Pass }, &options()).await;
    let finding = report.findings.iter().find(|finding| finding.problem.id == "stream-late").expect("it is there");
    assert_eq!(finding.hampers, [Transport::XhrStreaming, Transport::EventSource]);
}

#[tokio::test]
async fn a_fallback_transport_that_is_not_let_through_is_found() {
    type Plan = fn(&Asked) -> Option<Deed>;
    let told: Vec<(&str, Plan)> = vec![
        ("transport-refused", |asked| asked.is("/xhr_streaming").then(|| answer("405 Method Not Allowed", "", ""))),
        ("transport-unanswered", |asked| asked.is("/eventsource").then_some(Deed::Reset)),
        ("stream-cut", |asked| asked.is("/xhr_streaming").then_some(Deed::End(b"o\n\r\n", b"0\r\n\r\n"))),
        ("stream-altered", |asked| {
            let junk = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n\r\n<script src=banner>\n";
            asked.is("/xhr_streaming").then(|| Deed::Say(junk.to_owned()))
        }),
        ("body-limit", |asked| asked.has("content-length: 65538").then(|| answer("413 Too Large", "", ""))),
    ];
    for (id, plan) in told {
        let report = seen(move |asked| plan(asked).unwrap_or(Deed::Pass), &options()).await;
        only(&report, id);
        assert_eq!(state(&report, Transport::WebSocket), State::Works, "{id}");
    }
    let plan = |asked: &Asked| match asked.is("/xhr_send") {
        true => answer("403 Forbidden", "", ""),
        false => Deed::Pass,
    };
    assert_eq!(only(&seen(plan, &options()).await, "send-refused").problem.id, "send-refused");
}

#[tokio::test]
async fn a_cut_is_found_with_its_time_and_a_heartbeat_that_prevents_it() {
    let idle = Options { idle: Duration::from_secs(3), ..options() };
    let report = seen(|_| Deed::Silence(Duration::from_secs(2)), &idle).await;
    let finding = only(&report, "idle-cut");
    assert_eq!(finding.seen.len(), 4, "{:?}", finding.seen);
    assert_eq!(finding.hampers, Transport::ALL);
    let (_, lines) = finding.mends(&report).into_iter().find(|(place, _)| *place == "towpath").expect("there is one");
    assert!(lines.contains("heartbeat = \"1s\""), "{lines}");
    assert_eq!(state(&report, Transport::WebSocket), State::But);
}

#[tokio::test]
async fn a_life_that_is_limited_is_found_though_it_is_not_silent() {
    let heartbeat = Duration::from_millis(200);
    let endpoint = Endpoint { heartbeat, service: Service::Echo, path: "/beats".to_owned(), ..Endpoint::default() };
    let gateway = Gateway::start(serving([endpoint])).await;
    let plan = |asked: &Asked| match asked.is("/websocket") || asked.is("/xhr_streaming") {
        true => Deed::Life(Duration::from_secs(1)),
        false => Deed::Pass,
    };
    let proxy = Proxy::start(gateway.address(), plan).await;
    let report = look(&proxy.target("/beats"), &Options { idle: Duration::from_secs(2), ..options() }).await;
    let finding = only(&report, "life-cut");
    assert_eq!(finding.hampers, [Transport::WebSocket, Transport::XhrStreaming]);
    assert!(finding.seen[0].contains("heartbeats every"), "{:?}", finding.seen);
}

/// The number of requests is what is promised, whatever is found.
#[tokio::test]
async fn the_load_is_as_small_as_it_is_said_to_be() {
    let counted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&counted);
    let plan = move |asked: &Asked| {
        count.fetch_max(asked.number + 1, Ordering::Relaxed);
        if streams(asked) { Deed::Hold(usize::MAX) } else { Deed::Pass }
    };
    let gateway = Gateway::start(unlimited()).await;
    let proxy = Proxy::start(gateway.address(), plan).await;
    let report = look(&proxy.target("/echo"), &impatient()).await;
    let most = counted.load(Ordering::Relaxed);
    assert!(most <= 150, "{most} connections");
    // One is opened and closed for the time that TCP takes.
    assert!(report.spent.connections >= most as u64, "{:?} of {most}", report.spent);
}
