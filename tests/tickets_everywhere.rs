//! Tickets on every transport, as sockjs-client brings them: in the query of each request, and on a new session for each
//! transport that it tries.
//!
//! Does not know: who issues tickets.

mod support;

use std::time::Duration;

use support::log::Log;
use support::metrics::Meter;
use support::proof::{Proof, issue, secured, token_of};
use support::{Client, Ended, Frame, Gateway, Request, Transport, echo, serving};
use tokio::time::{Instant, sleep};
use towpath::config::Config;

const PATH: &str = "/echo";

/// How long a ticket is good for that nobody has.
const TTL: Duration = Duration::from_secs(30);

fn config() -> Config {
    let mut config = secured(serving([echo()]));
    config.auth.ticket_ttl = TTL;
    config
}

async fn gateway() -> Gateway {
    Gateway::in_memory(config()).await
}

/// Opens a session, without a word.
async fn opened(gateway: &Gateway, transport: Transport, id: &str, proof: &Proof) -> Result<Client, Ended> {
    let mut client = Client::open_as(gateway, transport, PATH, id, proof).await?;
    assert_eq!(client.try_next().await?, Frame::Open, "{transport:?}");
    Ok(client)
}

async fn listening(gateway: &Gateway, transport: Transport, id: &str, proof: &Proof) -> Client {
    opened(gateway, transport, id, proof).await.unwrap_or_else(|ended| panic!("{transport:?} {id}: {ended:?}"))
}

/// The client says something, and is heard.
async fn assert_works(client: &mut Client, word: &str) {
    client.send(&[word]).await;
    assert_eq!(client.message().await, word, "{:?}", client.transport());
}

/// Waits for something while a client listens, in as many requests as it takes, and hears nothing.
async fn while_listening<T>(client: &mut Client, wait: impl Future<Output = T>) -> T {
    let listen = async {
        loop {
            let frame = client.next().await;
            assert_eq!(frame, Frame::Heartbeat, "{:?}", client.transport());
        }
    };
    tokio::select! {
        done = wait => done,
        () = listen => unreachable!("it listens for ever"),
    }
}

/// What a session hears whose ticket another has.
fn cut_off() -> Frame {
    Frame::Close(4401, "Not authenticated".to_owned())
}

/// What a ticket is refused with that another session has: a handshake is no request for a session that could be hidden.
fn refused(transport: Transport) -> Ended {
    Ended::Refused(if transport.is_http() { 404 } else { 401 })
}

async fn assert_opens_nothing(gateway: &Gateway, proof: &Proof, refused: impl Fn(Transport) -> Ended) {
    let before = gateway.sessions(PATH);
    for transport in Transport::ALL {
        let id = format!("replayed-{}", rand::random::<u32>());
        assert_eq!(opened(gateway, transport, &id, proof).await.err(), Some(refused(transport)), "{transport:?}");
    }
    assert_eq!(gateway.sessions(PATH), before, "nothing was opened");
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_websocket_fails_goes_on_with_the_same_ticket() {
    for transport in Transport::HTTP {
        let gateway = gateway().await;
        let proof = Proof::new_ticket(&gateway, "ann");
        // A proxy in between: one handshake does not come through, one does and nothing after it.
        let broken = Request::get(Transport::Websocket.target(PATH, "first")).header("Upgrade", "websocket");
        assert_eq!(gateway.request(proof.on(broken)).await.status, 400);
        listening(&gateway, Transport::Websocket, "second", &proof).await.abort();
        let mut client = listening(&gateway, transport, "third", &proof).await;
        assert_works(&mut client, "hello").await;
        assert_opens_nothing(&gateway, &proof, refused).await;
        assert_works(&mut client, "still here").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_hangs_is_cut_off_when_another_session_speaks() {
    for transport in Transport::HTTP {
        let gateway = gateway().await;
        let proof = Proof::new_ticket(&gateway, "ann");
        let mut hanging = listening(&gateway, Transport::Websocket, "first", &proof).await;
        let mut speaking = listening(&gateway, Transport::Websocket, "second", &proof).await;
        let mut client = listening(&gateway, transport, "third", &proof).await;
        assert_works(&mut client, "hello").await;
        // What it says is too late, and what it does not say does not help it either.
        speaking.send(&["hello"]).await;
        let began = Instant::now();
        for late in [&mut speaking, &mut hanging] {
            assert_eq!(while_listening(&mut client, late.next()).await, cut_off(), "{transport:?}");
        }
        assert!(began.elapsed() <= TTL, "after {:?}", began.elapsed());
        assert_works(&mut client, "still here").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_ticket_in_use_is_of_no_use_to_another_session() {
    for transport in Transport::ALL {
        let gateway = gateway().await;
        let proof = Proof::new_ticket(&gateway, "ann");
        let mut owner = listening(&gateway, transport, "owner", &proof).await;
        assert_works(&mut owner, "hello").await;
        assert_opens_nothing(&gateway, &proof, refused).await;
        // Not even to one of the same user.
        for other in Transport::HTTP {
            let id = format!("other-{}", other.segment());
            let mut own = listening(&gateway, other, &id, &Proof::cookie(&token_of("ann"))).await;
            let sending = other.sending_request(PATH, &id, r#"["stolen"]"#).expect("it has a sender");
            assert_eq!(gateway.request(proof.on(sending)).await.status, 404, "{transport:?} {other:?}");
            let (receiving, _http) = gateway.open(proof.on(other.request(PATH, &id))).await;
            assert_eq!(receiving.status, 404, "{transport:?} {other:?}");
            assert_works(&mut own, "mine").await;
        }
        assert_works(&mut owner, "still here").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_gone_with_its_session() {
    for transport in Transport::ALL {
        let gateway = gateway().await;
        let proof = Proof::new_ticket(&gateway, "ann");
        let mut owner = listening(&gateway, transport, "owner", &proof).await;
        assert_works(&mut owner, "hello").await;
        owner.abort();
        // Longer than a session waits for its client.
        sleep(Duration::from_secs(10)).await;
        assert_opens_nothing(&gateway, &proof, |_| Ended::Refused(401)).await;
        let (same, _http) = gateway.open(proof.on(Transport::Xhr.request(PATH, "owner"))).await;
        assert_eq!(same.status, 401, "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_nobody_has_used_expires() {
    for transport in Transport::ALL {
        let gateway = gateway().await;
        let [early, late] = [(); 2].map(|()| Proof::new_ticket(&gateway, "ann"));
        sleep(TTL - Duration::from_millis(1)).await;
        let mut client = listening(&gateway, transport, "early", &early).await;
        assert_works(&mut client, "hello").await;
        sleep(Duration::from_millis(1)).await;
        let refused = opened(&gateway, transport, "late", &late).await.err();
        assert_eq!(refused, Some(Ended::Refused(401)), "{transport:?}");
        assert_works(&mut client, "still here").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_only_listens_keeps_its_ticket() {
    for transport in Transport::ALL {
        let gateway = gateway().await;
        let proof = Proof::new_ticket(&gateway, "ann");
        let mut client = listening(&gateway, transport, "listener", &proof).await;
        // It polls on and on; each request brings the ticket along.
        while_listening(&mut client, sleep(5 * TTL)).await;
        assert_opens_nothing(&gateway, &proof, refused).await;
        assert_works(&mut client, "at last").await;
    }
}

/// Two that listen: the first to be there that long has the ticket.
#[tokio::test(start_paused = true)]
async fn of_two_that_listen_one_is_cut_off() {
    for transport in Transport::ALL {
        let gateway = gateway().await;
        let proof = Proof::new_ticket(&gateway, "ann");
        let mut first = listening(&gateway, transport, "first", &proof).await;
        while_listening(&mut first, sleep(Duration::from_secs(1))).await;
        let mut second = listening(&gateway, Transport::XhrStreaming, "second", &proof).await;
        let began = Instant::now();
        assert_eq!(while_listening(&mut first, second.next()).await, cut_off(), "{transport:?}");
        assert!(began.elapsed() < TTL, "after {:?}", began.elapsed());
        assert_works(&mut first, "still here").await;
    }
}

#[tokio::test(start_paused = true)]
async fn there_are_no_more_than_max_tickets() {
    let meter = Meter::install();
    let mut config = config();
    config.auth.max_tickets = 2;
    let gateway = Gateway::in_memory(config).await;
    let proof = Proof::new_ticket(&gateway, "ann");
    let mut client = listening(&gateway, Transport::XhrStreaming, "in-use", &proof).await;
    assert_works(&mut client, "hello").await;
    let idle = issue(&gateway, "bob");
    let try_one = || {
        let cyd = std::sync::Arc::new(towpath::gateway::Principal::named("cyd"));
        gateway.core().tickets().issue(cyd, rand::random(), Instant::now().into_std())
    };
    assert!(try_one().is_err());
    assert_eq!(meter.limit_reached("auth.max_tickets"), 1);
    // The one that is in use counts for as long as it is; the other no longer than it is good.
    sleep(TTL).await;
    assert!(try_one().is_ok() && try_one().is_err());
    let refused = opened(&gateway, Transport::Xhr, "late", &Proof::ticket(&idle)).await.err();
    assert_eq!(refused, Some(Ended::Refused(401)));
    drop(client);
    sleep(Duration::from_secs(10)).await;
    assert!(try_one().is_ok());
    assert_eq!(meter.limit_reached("auth.max_tickets"), 2);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_counted() {
    let meter = Meter::install();
    let gateway = gateway().await;
    let proof = Proof::ticket("0");
    for (count, transport) in (1..).zip(Transport::ALL) {
        assert!(opened(&gateway, transport, "guessed", &proof).await.is_err());
        assert_eq!(meter.counter("towpath_not_authenticated_total", &[]), count, "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ticket_shows_itself_nowhere() {
    let log = Log::collect();
    let gateway = gateway().await;
    let mut answers = String::new();
    let mut tickets = vec![];
    for transport in Transport::ALL {
        let ticket = issue(&gateway, "ann");
        let proof = Proof::ticket(&ticket);
        let mut client = listening(&gateway, transport, transport.segment(), &proof).await;
        assert_works(&mut client, "hello").await;
        for request in [
            Request::get(format!("{PATH}/info")),
            Request::get(PATH),
            Request::get(format!("{PATH}/iframe.html")),
            Request::options(format!("{PATH}/info")),
            Request::get(format!("{PATH}/nothing")),
            Transport::Xhr.request(PATH, "other"),
            Transport::Jsonp.request(PATH, "other"),
            Request::get(Transport::Websocket.target(PATH, "other")),
        ] {
            let answer = gateway.request(proof.on(request)).await;
            answers.push_str(&format!("{}{}", answer.head(), answer.text()));
        }
        client.abort();
        sleep(Duration::from_secs(10)).await;
        assert!(opened(&gateway, transport, "again", &proof).await.is_err());
        tickets.push(ticket);
    }
    let log = log.text();
    assert!(log.contains("session opened") && log.contains("there is no such ticket"), "{log}");
    for ticket in &tickets {
        for part in (0..ticket.len() - 7).filter_map(|start| ticket.get(start..start + 8)) {
            assert!(!log.contains(part), "the log has a part of a ticket: {log}");
            assert!(!answers.contains(part), "an answer has a part of a ticket: {answers}");
        }
    }
}
