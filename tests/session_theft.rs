//! Whose a session is: whoever knows its URL and does not prove the same user can neither read it nor write to it, learns
//! nothing, and does not disturb the one whose it is. Who does prove the same user goes on, from wherever he comes.
//!
//! Does not know: how proofs are checked.

mod support;

use std::time::Duration;

use support::proof::{self, Proof, expired, forged, secured, token, token_of};
use support::{Client, Frame, Gateway, Http, Request, Response, Stream, Transport, echo, serving};
use tokio::net::TcpSocket;

const PATH: &str = "/echo";

async fn gateway() -> Gateway {
    Gateway::in_memory(secured(serving([echo()]))).await
}

/// Somebody who wants to use a session that is not theirs.
struct Thief {
    who: &'static str,
    proof: Proof,
    /// 404 where the session is hidden, 401 where the proof itself is not good.
    status: u16,
}

/// Everybody but ann.
async fn strangers(gateway: &Gateway) -> Vec<Thief> {
    let hidden = |who, proof| Thief { who, proof, status: 404 };
    let refused = |who, proof| Thief { who, proof, status: 401 };
    let bob = token_of("bob");
    vec![
        hidden("nobody", Proof::none()),
        hidden("somebody with an empty cookie", Proof::cookie("")),
        hidden("bob by cookie", Proof::cookie(&bob)),
        hidden("bob by header", Proof::bearer(&bob)),
        hidden("bob by ticket", Proof::new_ticket(gateway, "bob")),
        hidden("Ann, who is another", Proof::cookie(&token_of("Ann"))),
        hidden("ann in another session", used_ticket(gateway, "ann").await),
        refused("ann's old cookie", Proof::cookie(&expired("ann"))),
        refused("ann's old header", Proof::bearer(&expired("ann"))),
        refused("a forger", Proof::cookie(&forged("ann"))),
        refused("a guesser", Proof::ticket("00000000000000000000000000000000")),
    ]
}

/// A ticket that another session has, which goes on.
async fn used_ticket(gateway: &Gateway, name: &str) -> Proof {
    let proof = Proof::new_ticket(gateway, name);
    let id = format!("other-{}", rand::random::<u32>());
    let mut other = Client::open_as(gateway, Transport::Websocket, PATH, &id, &proof).await.expect("a good ticket");
    assert_eq!(other.next().await, Frame::Open);
    other.send(&["mine"]).await;
    assert_eq!(other.message().await, "mine");
    tokio::spawn(async move { while other.try_next().await.is_ok() {} });
    proof
}

/// A session of whom `proof` proves, with a message in it that has not been read.
async fn owned(gateway: &Gateway, transport: Transport, id: &str, proof: &Proof) -> Client {
    let mut owner = Client::open_as(gateway, transport, PATH, id, proof).await.expect("a good proof");
    assert_eq!(owner.next().await, Frame::Open, "{transport:?} {proof:?}");
    owner.send(&["secret"]).await;
    owner
}

/// The owner reads what waited and nothing else, and can send.
async fn assert_undisturbed(owner: &mut Client, context: &str) {
    assert_eq!(owner.message().await, "secret", "{context}");
    owner.send(&["still here"]).await;
    assert_eq!(owner.message().await, "still here", "{context}");
    owner.send(&["secret"]).await;
}

/// What of an answer its reader sees, but for the time.
fn seen(answer: &Response) -> (u16, Vec<(String, String)>, String) {
    let headers = answer.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("date"));
    (answer.status, headers.cloned().collect(), answer.text())
}

async fn ask(gateway: &Gateway, request: Request) -> Response {
    let (mut answer, mut http) = gateway.open(request).await;
    // A theft that succeeds may have an answer without an end.
    if answer.status != 200 {
        while let Some(chunk) = http.chunk().await {
            answer.chunks.push(chunk);
        }
    }
    answer
}

fn sending(transport: Transport, id: &str) -> Request {
    transport.sending_request(PATH, id, r#"["stolen"]"#).expect("it has a sender")
}

/// Tries to receive from a session and to send to it. What is hidden looks like what is not there.
async fn assert_safe(gateway: &Gateway, transport: Transport, id: &str, thief: &Thief) {
    let context = format!("{transport:?} by {}", thief.who);
    // An id that is too long for a session has none. (One that nobody has yet is no example: receiving makes its session.)
    let absent = "x".repeat(129);
    let own = |request: Request| thief.proof.on(request);
    for (request, elsewhere) in [
        (transport.request(PATH, id), transport.request(PATH, &absent)),
        (sending(transport, id), sending(transport, "absent")),
    ] {
        let answer = ask(gateway, own(request)).await;
        assert_eq!(answer.status, thief.status, "{context}: {}", answer.head());
        assert_eq!(seen(&answer), seen(&ask(gateway, own(elsewhere)).await), "{context}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_proved_is_nobody_elses() {
    let gateway = gateway().await;
    let thieves = strangers(&gateway).await;
    for transport in Transport::HTTP {
        for (kind, proof) in [
            ("cookie", Proof::cookie(&token_of("ann"))),
            ("header", Proof::bearer(&token_of("ann"))),
            ("ticket", Proof::new_ticket(&gateway, "ann")),
        ] {
            let id = format!("{kind}-{}", transport.segment());
            let mut owner = owned(&gateway, transport, &id, &proof).await;
            for thief in &thieves {
                assert_safe(&gateway, transport, &id, thief).await;
                assert_undisturbed(&mut owner, &format!("{transport:?} by {kind} after {}", thief.who)).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_of_nobody_is_not_for_those_who_prove_a_name() {
    let gateway = gateway().await;
    let mut thieves = strangers(&gateway).await;
    thieves.retain(|thief| thief.proof != Proof::none() && thief.proof != Proof::cookie(""));
    thieves.push(Thief { who: "ann", proof: Proof::cookie(&token_of("ann")), status: 404 });
    for transport in Transport::HTTP {
        let id = format!("nobodys-{}", transport.segment());
        let mut owner = owned(&gateway, transport, &id, &Proof::none()).await;
        for thief in &thieves {
            assert_safe(&gateway, transport, &id, thief).await;
            assert_undisturbed(&mut owner, &format!("{transport:?} after {}", thief.who)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_over_tells_strangers_nothing() {
    let gateway = gateway().await;
    let ann = Proof::cookie(&token_of("ann"));
    for transport in Transport::HTTP {
        let id = format!("over-{}", transport.segment());
        drop(owned(&gateway, transport, &id, &ann).await);
        let thief = Proof::cookie(&token_of("bob"));
        tokio::time::sleep(Duration::from_secs(10)).await;
        let answer = ask(&gateway, thief.on(sending(transport, &id))).await;
        let absent = ask(&gateway, thief.on(sending(transport, "absent"))).await;
        assert_eq!(seen(&answer), seen(&absent), "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_user_goes_on_with_whatever_proves_it() {
    let gateway = gateway().await;
    let renewed = || token(serde_json::json!({ "sub": "ann", "exp": proof::unix().as_secs() + 600, "roles": ["new"] }));
    for transport in Transport::HTTP {
        let first = Proof::new_ticket(&gateway, "ann");
        let id = format!("same-{}", transport.segment());
        let mut owner = owned(&gateway, transport, &id, &first).await;
        assert_undisturbed(&mut owner, "at first").await;
        for (what, proof) in [
            ("a renewed cookie", Proof::cookie(&renewed())),
            ("a header", Proof::bearer(&renewed())),
            ("a ticket that no session has", Proof::new_ticket(&gateway, "ann")),
            ("the ticket that it has", first.clone()),
        ] {
            owner.proves(&proof);
            assert_undisturbed(&mut owner, &format!("{transport:?} with {what}")).await;
            // On a connection of its own.
            let answer = gateway.request(proof.on(sending(transport, &id))).await;
            assert!(answer.status < 300, "{transport:?} with {what}: {}", answer.head());
            assert_eq!(owner.message().await, "secret");
            assert_eq!(owner.message().await, "stolen", "it is not, here");
            owner.send(&["secret"]).await;
        }
    }
}

/// A ticket that a request of an open session has brought along, and no session has claimed, still opens one.
#[tokio::test(start_paused = true)]
async fn a_session_does_not_take_the_tickets_that_visit_it() {
    let gateway = gateway().await;
    let visiting = Proof::new_ticket(&gateway, "ann");
    let mut owner = owned(&gateway, Transport::Xhr, "visited", &Proof::cookie(&token_of("ann"))).await;
    let answer = gateway.request(visiting.on(sending(Transport::Xhr, "visited"))).await;
    assert_eq!(answer.status, 204);
    assert_eq!(owner.message().await, "secret");
    assert_eq!(owner.message().await, "stolen");
    assert_undisturbed(&mut owned(&gateway, Transport::EventSource, "new", &visiting).await, "a session of its own")
        .await;
}

/// Websockets have one request. Whoever stands in its way can only repeat it.
#[tokio::test(start_paused = true)]
async fn handshakes_need_a_proof_of_their_own() {
    let gateway = gateway().await;
    for transport in [Transport::Websocket, Transport::RawWebsocket] {
        let first = Proof::new_ticket(&gateway, "ann");
        let mut owner = owned(&gateway, transport, "theirs", &first).await;
        assert_eq!(owner.message().await, "secret");
        owner.send(&["secret"]).await;
        for (who, proof, status) in [
            ("the same ticket again", first, 401),
            ("an old cookie", Proof::cookie(&expired("ann")), 401),
            ("a forged cookie", Proof::cookie(&forged("ann")), 401),
            ("a forged header", Proof::bearer(&forged("ann")), 401),
            ("a forged subprotocol", Proof::subprotocol(&forged("ann")), 401),
            ("a guessed ticket", Proof::ticket("0"), 401),
            ("bob", Proof::cookie(&token_of("bob")), 101),
            ("nobody", Proof::none(), 101),
        ] {
            let (head, _stream) = gateway.open(proof.on(transport.request(PATH, "theirs"))).await;
            assert_eq!(head.status, status, "{transport:?}: {who}");
            // A session of their own, if any: the id in the URL means nothing here.
            assert_undisturbed(&mut owner, &format!("{transport:?} after {who}")).await;
        }
    }
}

/// A websocket's session has no id that a request could name.
#[tokio::test(start_paused = true)]
async fn a_websocket_cannot_be_sent_to_by_requests() {
    let gateway = gateway().await;
    let ann = Proof::cookie(&token_of("ann"));
    let mut owner = owned(&gateway, Transport::Websocket, "socket", &ann).await;
    for transport in Transport::HTTP {
        let answer = gateway.request(ann.on(sending(transport, "socket"))).await;
        assert_eq!(answer.status, 404, "{transport:?}");
        assert_undisturbed(&mut owner, "after a request").await;
    }
}

/// Phones change their address in the middle of a session, and proxies share one.
#[tokio::test]
async fn the_address_means_nothing() {
    let gateway = Gateway::start(secured(serving([echo()]))).await;
    let ann = Proof::cookie(&token_of("ann"));
    for transport in Transport::HTTP {
        let id = transport.segment();
        let mut owner = owned(&gateway, transport, id, &ann).await;
        assert_eq!(owner.message().await, "secret");
        let moved = from_elsewhere(&gateway, ann.on(sending(transport, id))).await;
        assert!(moved.status < 300, "{transport:?}: {}", moved.head());
        assert_eq!(owner.message().await, "stolen");
        let bob = Proof::cookie(&token_of("bob"));
        assert_eq!(from_elsewhere(&gateway, bob.on(sending(transport, id))).await.status, 404);
        // And the right one does not help: bob at ann's address.
        assert_eq!(gateway.request(bob.on(sending(transport, id))).await.status, 404);
    }
}

/// Sends a request from another loopback address than all others.
async fn from_elsewhere(gateway: &Gateway, request: Request) -> Response {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.2:0".parse().expect("an address")).expect("another loopback address");
    let stream = socket.connect(gateway.address()).await.expect("the gateway listens");
    Http::new(Stream::Tcp(stream)).exchange(&request).await
}
