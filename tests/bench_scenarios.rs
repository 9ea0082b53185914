//! Every scenario of `towpath bench` over every transport that it has, against a gateway of ours: all comes once and in order, and
//! as much as was to come. How fast is never asked.
//!
//! Does not know: the command line; it calls the library.

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use support::{Gateway, test_services};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use towpath::bench::{self, Ack, Messages, Pace, Plan, Report, Scenario, Transport, Transports};

const SOCKJS: [Transport; 4] =
    [Transport::Websocket, Transport::RawWebsocket, Transport::XhrStreaming, Transport::XhrPolling];

/// A gateway with echo, STOMP and STOMP over TCP. Streams end soon, so that they are asked for anew, and heartbeats come often.
struct Site {
    gateway: Gateway,
    tcp: SocketAddr,
}

impl Site {
    async fn start() -> Self {
        Self::start_with(4096).await
    }

    /// The same with streams that end after so many bytes.
    async fn start_with(response_limit: usize) -> Self {
        let mut config = test_services();
        for endpoint in &mut config.endpoints {
            endpoint.response_limit = response_limit;
            endpoint.heartbeat = Duration::from_millis(30);
            // Whoever is held up for a while may have much to hear.
            (endpoint.outbox_messages, endpoint.outbox_bytes) = (100_000, 64 << 20);
        }
        config.tcp.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let gateway = Gateway::start(config).await;
        let support::Connector::Tcp(_, Some(tcp)) = *gateway.connector() else { panic!("it has a port for STOMP") };
        Self { gateway, tcp }
    }

    /// A plan for that transport at that path.
    fn plan(&self, path: &str, transport: Transport, scenario: Scenario) -> Plan {
        let url = match transport {
            Transport::Tcp => format!("tcp://{}", self.tcp),
            _ => format!("http://{}{path}", self.gateway.address()),
        };
        let mut plan = Plan::new(url, scenario);
        plan.transports = Some(Transports::One(transport));
        plan.warm_up = Duration::from_millis(20);
        plan.duration = Duration::from_millis(150);
        plan
    }
}

/// Runs it and demands that nothing was amiss; each message was to come so many times.
async fn clean(plan: &Plan, times: u64) -> Report {
    let report = bench::run(plan, |_| ()).await.expect("it can be run");
    assert!(report.is_clean(), "{report}");
    let Messages { sent, expected, received, .. } = report.messages;
    assert!(sent > 0, "{report}");
    assert_eq!((expected, received), (sent * times, sent * times), "{report}");
    report
}

/// Closed and open loops, in turn.
const PACES: [Pace; 3] = [Pace::InFlight(1), Pace::InFlight(7), Pace::Rate(400.0)];

#[tokio::test]
async fn echoes_come_back_over_every_transport() {
    let site = Site::start().await;
    for transport in SOCKJS {
        for pace in PACES {
            let mut plan = site.plan("/echo", transport, Scenario::Echo { clients: 5 });
            plan.pace = pace;
            let report = clean(&plan, 1).await;
            assert_eq!((report.clients, report.transport), (5, Some(transport.name())));
            assert_eq!(report.connect_us.unwrap().count, 5);
            let from = if matches!(pace, Pace::Rate(_)) { "intended" } else { "sent" };
            assert!(report.latency_us.is_none_or(|latency| latency.from == from));
            // What was due in the window is not quite what came in it.
            let count = report.latency_us.map_or(0, |latency| latency.took.count);
            assert!((1..=report.messages.sent).contains(&count), "{report}");
        }
    }
}

#[tokio::test]
async fn a_raw_websocket_by_its_own_url_is_enough_for_an_echo() {
    let site = Site::start().await;
    let url = format!("ws://{}/echo/websocket", site.gateway.address());
    let mut plan = Plan { url, ..site.plan("", Transport::RawWebsocket, Scenario::Echo { clients: 3 }) };
    plan.transports = None;
    plan.size = 100_000;
    plan.pace = Pace::InFlight(3);
    clean(&plan, 1).await;
}

#[tokio::test]
async fn a_rate_is_not_exceeded_however_fast_the_server_is() {
    let site = Site::start().await;
    let mut plan = site.plan("/echo", Transport::Websocket, Scenario::Echo { clients: 4 });
    plan.pace = Pace::Rate(100.0);
    plan.duration = Duration::from_millis(480);
    let began = Instant::now();
    let sent = clean(&plan, 1).await.messages.sent;
    assert!(sent as f64 <= 100.0 * began.elapsed().as_secs_f64() + 1.0, "{sent}");
}

#[tokio::test]
async fn a_fan_out_reaches_every_subscriber_over_every_transport() {
    let site = Site::start().await;
    for transport in Transport::ALL {
        for pace in PACES {
            let scenario = Scenario::Fanout { clients: 6, beside: 0, beside_destination: String::new() };
            let mut plan = site.plan("/stomp", transport, scenario);
            plan.pace = pace;
            clean(&plan, 6).await;
        }
    }
}

#[tokio::test]
async fn subscriptions_beside_a_fan_out_hear_nothing_of_it() {
    let site = Site::start().await;
    let beside_destination = "/topic/beside.{n}.*".to_owned();
    let scenario = Scenario::Fanout { clients: 4, beside: 30, beside_destination };
    let mut plan = site.plan("/stomp", Transport::Websocket, scenario);
    plan.pace = Pace::InFlight(2);
    let report = clean(&plan, 4).await;
    assert_eq!(report.connect_us.unwrap().count, 4, "only subscribers are counted");
}

#[tokio::test]
async fn a_mix_is_told_apart() {
    let site = Site::start().await;
    let scenario = Scenario::Fanout { clients: 20, beside: 0, beside_destination: String::new() };
    let mut plan = site.plan("/stomp", Transport::Websocket, scenario);
    plan.transports = Some("websocket=50,raw-websocket=10,xhr-streaming=25,xhr-polling=15".parse().unwrap());
    plan.pace = Pace::InFlight(2);
    let report = clean(&plan, 20).await;
    assert_eq!(report.transport, Some("mix"));
    let clients: Vec<_> = report.transports.iter().map(|(name, share)| (*name, share.clients)).collect();
    assert_eq!(clients, [("raw-websocket", 2), ("websocket", 10), ("xhr-polling", 3), ("xhr-streaming", 5)]);
    assert_eq!(report.transports.values().map(|share| share.measured).sum::<u64>(), report.measured);
}

#[tokio::test]
async fn rooms_reach_their_members_and_nobody_else() {
    let site = Site::start().await;
    for transport in Transport::ALL {
        for pace in PACES {
            let scenario = Scenario::Rooms { topics: 10, members: 3, clients: 8 };
            let mut plan = site.plan("/stomp", transport, scenario);
            plan.pace = pace;
            clean(&plan, 3).await;
        }
    }
}

#[tokio::test]
async fn a_queue_gives_each_message_to_one_consumer() {
    let site = Site::start().await;
    for transport in Transport::ALL {
        for (pace, ack, prefetch) in [
            (Pace::InFlight(1), Ack::Auto, None),
            (Pace::InFlight(7), Ack::ClientIndividual, Some(3)),
            (Pace::Rate(400.0), Ack::ClientIndividual, None),
        ] {
            let scenario = Scenario::Queue { producers: 3, consumers: 4, ack, prefetch };
            let mut plan = site.plan("/stomp", transport, scenario);
            plan.pace = pace;
            assert_eq!(clean(&plan, 1).await.clients, 7);
        }
    }
}

#[tokio::test]
async fn churn_ends_after_its_cycles() {
    let site = Site::start().await;
    for transport in Transport::ALL {
        for (path, stomp) in [("/echo", false), ("/stomp", true)] {
            if transport == Transport::Tcp && !stomp {
                continue;
            }
            let scenario = Scenario::Churn { clients: 4, cycles: Some(30), stomp };
            let mut plan = site.plan(path, transport, scenario);
            plan.pace = Pace::InFlight(1);
            plan.duration = Duration::from_secs(60);
            plan.server_pid = Some(std::process::id());
            let report = clean(&plan, 1).await;
            assert_eq!((report.messages.sent, report.measured), (30, 30), "{report}");
            assert_eq!(report.connect_us.unwrap().count, 30);
            let server = report.server.unwrap();
            assert!(server.resident_half.is_some_and(|half| half > 0) && server.descriptors_after.is_some());
        }
    }
}

#[tokio::test]
async fn churn_keeps_a_rate_until_its_time_is_over() {
    let site = Site::start().await;
    let scenario = Scenario::Churn { clients: 4, cycles: None, stomp: true };
    let mut plan = site.plan("/stomp", Transport::Websocket, scenario);
    plan.pace = Pace::Rate(100.0);
    clean(&plan, 1).await;
}

#[tokio::test]
async fn idle_sessions_count_their_heartbeats() {
    let site = Site::start().await;
    for transport in SOCKJS {
        let mut plan = site.plan("/echo", transport, Scenario::Idle { clients: 5, stomp: false });
        plan.duration = Duration::from_millis(300);
        let report = bench::run(&plan, |_| ()).await.unwrap();
        assert!(report.is_clean() && report.measured > 0, "{report}");
        assert!(report.in_flight.is_none() && report.rate_wanted.is_none() && report.latency_us.is_none());
    }
    for transport in Transport::ALL {
        let mut plan = site.plan("/stomp", transport, Scenario::Idle { clients: 5, stomp: true });
        plan.server_pid = Some(std::process::id());
        let report = bench::run(&plan, |_| ()).await.unwrap();
        assert!(report.is_clean(), "{report}");
        let server = report.server.unwrap();
        assert!(server.resident_each.is_some() && server.descriptors_after.is_some());
    }
}

#[tokio::test]
async fn posts_are_answered() {
    let answering = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/any/where", answering.local_addr().unwrap());
    let router = Router::new().fallback(async || StatusCode::NO_CONTENT);
    tokio::spawn(async { axum::serve(answering, router).await });
    for pace in [Pace::InFlight(1), Pace::Rate(400.0)] {
        let mut plan = Plan::new(&url, Scenario::Post { clients: 3 });
        (plan.warm_up, plan.duration, plan.pace) = (Duration::from_millis(20), Duration::from_millis(150), pace);
        let report = clean(&plan, 1).await;
        assert_eq!(report.transport, None);
    }
}

#[tokio::test]
async fn connections_come_from_several_addresses() {
    let site = Site::start().await;
    let mut plan = site.plan("/echo", Transport::XhrPolling, Scenario::Echo { clients: 5 });
    (plan.sources, plan.pace) = (Some(3), Pace::InFlight(1));
    clean(&plan, 1).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_refusal() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let plan = Plan::new(format!("http://{address}/echo"), Scenario::Echo { clients: 3 });
    let refusal = bench::run(&plan, |_| ()).await.unwrap_err();
    assert!(refusal.to_string().contains("no client could connect"), "{refusal}");
    let site = Site::start().await;
    let mut plan = site.plan("/echo", Transport::Websocket, Scenario::Echo { clients: 3 });
    plan.server_pid = Some(u32::MAX - 1);
    assert!(bench::run(&plan, |_| ()).await.unwrap_err().to_string().contains("no process"));
}

/// A way to that server on which no connection is used twice. Answers say so, or they do not.
async fn closing_proxy(to: SocketAddr, says_so: bool) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(close_behind(client, to, says_so));
        }
    });
    address
}

async fn close_behind(mut client: TcpStream, to: SocketAddr, says_so: bool) -> std::io::Result<()> {
    let (mut server, mut request, mut answer) = (TcpStream::connect(to).await?, Vec::new(), Vec::new());
    while !request.ends_with(b"\r\n\r\n") && !request.ends_with(b"]") {
        if client.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let line = request.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    request.splice(line..line, *b"Connection: close\r\n");
    server.write_all(&request).await?;
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        if server.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    let mut answer = String::from_utf8(answer).expect("an answer that is text");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    if !says_so {
        answer = answer.replace("connection: close\r\n", "");
    }
    client.write_all(answer.as_bytes()).await?;
    tokio::io::copy(&mut server, &mut client).await?;
    Ok(())
}

#[tokio::test]
async fn servers_that_close_connections_are_gone_on_with() {
    let site = Site::start().await;
    let address = closing_proxy(site.gateway.address(), true).await;
    for transport in [Transport::XhrPolling, Transport::XhrStreaming] {
        // Also where turns come faster than connections are made.
        for pace in [Pace::InFlight(2), Pace::Rate(20_000.0)] {
            let mut plan = site.plan("", transport, Scenario::Echo { clients: 2 });
            (plan.url, plan.pace) = (format!("http://{address}/echo"), pace);
            clean(&plan, 1).await;
        }
    }
}

/// Nobody has asked anything when the connection for xhr_send is closed without a word; the next one goes over another.
#[tokio::test]
async fn an_idle_connection_may_be_closed_without_a_word() {
    let site = Site::start_with(1 << 20).await;
    let address = closing_proxy(site.gateway.address(), false).await;
    let mut plan = site.plan("", Transport::XhrStreaming, Scenario::Echo { clients: 3 });
    (plan.url, plan.pace) = (format!("http://{address}/echo"), Pace::Rate(15.0));
    plan.duration = Duration::from_secs(1);
    assert!(clean(&plan, 1).await.messages.sent > 3);
}
