//! Proofs that expire, over every transport: the session ends when its proof does, not earlier and not at its next word;
//! a newer proof keeps it.
//!
//! Does not know: how tokens are checked.

#[macro_use]
mod everywhere;
#[path = "everywhere/known.rs"]
mod known;
mod support;

use std::time::Duration;

use everywhere::{Stage, assert_undisturbed, play_with};
use known::{allow, connect, connected, ends_with, known, known_on, proved, quiet_for, ruled, send, subscribe};
use serde_json::json;
use support::proof::{LEEWAY, Proof, expired, forged, secured, token, token_for, token_of, unix};
use support::stomp::{Event, Stomp};
use support::{Client, Ended, Frame as SockjsFrame, Gateway, Transport, echo, serving, within};
use tokio::time::{Instant, sleep_until};
use towpath::config::{Config, Errors, Guarded, Rule};
use towpath::stomp::{Command, Frame};

const MINUTE: Duration = Duration::from_secs(60);

/// A token names whole seconds, and deadlines fire at whole ticks.
const EXACTLY: Duration = Duration::from_millis(1100);

everywhere! {
    a_session_ends_when_its_token_does,
    it_ends_in_the_middle_of_a_conversation,
    a_token_without_an_end_has_none,
    a_newer_token_in_the_passcode_keeps_the_session,
    a_newer_token_in_the_authorization_header_keeps_the_session,
    a_newer_token_in_the_body_keeps_the_session,
    a_token_that_ends_sooner_counts_too,
    a_proof_that_is_not_good_ends_the_session,
    claims_of_the_newer_token_count,
    a_session_of_nobody_cannot_become_somebodys,
    without_anything_to_prove_by_nothing_is_refreshed,
}

fn config() -> Config {
    secured(Config::default())
}

fn play<F: Future<Output = ()>>(transport: Transport, scenario: impl Fn(Stage) -> F) {
    play_with(transport, config(), scenario);
}

/// When a session is over whose token is good for that long.
fn end(time: Duration) -> Instant {
    Instant::now() + time + LEEWAY
}

/// The session ends at that time, because its credentials have expired.
async fn expires_at(client: &mut Stomp, end: Instant) {
    let error = ends_with(client, "credentials expired", 4401, "Credentials expired").await;
    assert_eq!(error.headers.get("receipt-id"), None);
    assert_at(end);
}

fn assert_at(end: Instant) {
    let now = Instant::now();
    assert!(now + EXACTLY >= end && now <= end + EXACTLY, "{:?} early, {:?} late", end - now, now - end);
}

/// Sends a newer proof; its RECEIPT comes.
async fn refresh(client: &mut Stomp, frame: Frame) {
    client.confirmed(frame).await;
}

fn refreshing() -> Frame {
    send("/auth/refresh", "")
}

fn a_session_ends_when_its_token_does(transport: Transport) {
    play(transport, async |stage| {
        // Over TCP nobody minds that it reads nothing for so long.
        let mut bystander = known_on(&stage, Transport::Tcp, &token_of("bob")).await;
        bystander.subscribed("bystander", "/topic/bystander").await;
        let end = end(MINUTE);
        let mut client = known(&stage, &token_for("ann", MINUTE)).await;
        // Past the token's end: other clocks may be late.
        quiet_for(&mut client, MINUTE + LEEWAY - EXACTLY).await;
        expires_at(&mut client, end).await;
        assert_undisturbed(&mut bystander).await;
        assert_eq!(stage.gateway.core().clients().len(), 1, "it is gone");
    });
}

fn it_ends_in_the_middle_of_a_conversation(transport: Transport) {
    play(transport, async |stage| {
        let end = end(MINUTE);
        let mut client = known(&stage, &token_for("ann", MINUTE)).await;
        let mut other = known_on(&stage, Transport::Websocket, &token_of("bob")).await;
        client.subscribed("all", "/topic/all").await;
        while Instant::now() + Duration::from_secs(4) < end {
            for from in 0..2 {
                let sender = if from == 0 { &mut client } else { &mut other };
                sender.publish("/topic/all", "x").await;
                client.expect(Command::Message).await;
            }
            quiet_for(&mut client, Duration::from_secs(3)).await;
        }
        expires_at(&mut client, end).await;
        // Whoever may no longer send may no longer listen.
        other.confirmed(send("/topic/all", "x")).await;
        assert!(matches!(client.try_event().await, Err(_) | Ok(Event::Close(..))));
    });
}

fn a_token_without_an_end_has_none(transport: Transport) {
    play(transport, async |stage| {
        let mut client = known(&stage, &token_of("ann")).await;
        quiet_for(&mut client, 30 * MINUTE).await;
        client.confirmed(send("/topic/all", "x")).await;
    });
}

fn a_newer_token_in_the_passcode_keeps_the_session(transport: Transport) {
    keeps(transport, |token| refreshing().with("passcode", token));
    keeps(transport, |token| refreshing().with("login", "ann").with("passcode", token));
}

fn a_newer_token_in_the_authorization_header_keeps_the_session(transport: Transport) {
    keeps(transport, |token| refreshing().with("Authorization", format!("Bearer {token}")));
    keeps(transport, |token| refreshing().with("authorization", token));
}

fn a_newer_token_in_the_body_keeps_the_session(transport: Transport) {
    keeps(transport, |token| send("/auth/refresh", token));
    keeps(transport, |token| send("/auth/refresh", &format!("{token}\n")));
}

/// Twice, and what is subscribed to stays.
fn keeps(transport: Transport, refreshing: impl Fn(&str) -> Frame) {
    play(transport, async |stage| {
        let mut client = known(&stage, &token_for("ann", MINUTE)).await;
        client.subscribed("all", "/topic/all").await;
        for _ in 0..2 {
            quiet_for(&mut client, MINUTE).await;
            refresh(&mut client, refreshing(&token_for("ann", MINUTE))).await;
        }
        let end = end(MINUTE);
        client.publish("/topic/all", "x").await;
        client.expect(Command::Message).await;
        quiet_for(&mut client, MINUTE + LEEWAY - EXACTLY).await;
        expires_at(&mut client, end).await;
    });
}

fn a_token_that_ends_sooner_counts_too(transport: Transport) {
    play(transport, async |stage| {
        let mut client = known(&stage, &token_for("ann", 10 * MINUTE)).await;
        refresh(&mut client, refreshing().with("passcode", token_for("ann", MINUTE))).await;
        let end = end(MINUTE);
        expires_at(&mut client, end).await;
    });
}

fn a_proof_that_is_not_good_ends_the_session(transport: Transport) {
    play(transport, async |stage| {
        let mut bystander = stage.bystander().await;
        let mut errors = vec![];
        for frame in [
            refreshing().with("passcode", token_of("bob")),
            refreshing().with("passcode", expired("ann")),
            refreshing().with("passcode", forged("ann")),
            refreshing().with("passcode", "secret"),
            refreshing().with("login", "bob").with("passcode", token_of("ann")),
            refreshing().with("Authorization", format!("Bearer {}", forged("ann"))),
            // The header counts, and the good one does not mend it.
            refreshing().with("Authorization", forged("ann")).with("passcode", token_of("ann")),
            send("/auth/refresh", &forged("ann")),
            send("/auth/refresh", "{}"),
            refreshing(),
        ] {
            let mut client = known(&stage, &token_for("ann", MINUTE)).await;
            client.send(&frame.with("receipt", "refreshed")).await;
            let mut error = ends_with(&mut client, "not authenticated", 4401, "Not authenticated").await;
            assert_eq!(error.headers.remove("receipt-id").as_deref(), Some("refreshed"));
            errors.push(error);
        }
        assert!(errors.iter().all(|error| *error == errors[0]), "one wording for all causes: {errors:?}");
        assert_undisturbed(&mut bystander).await;
    });
}

fn claims_of_the_newer_token_count(transport: Transport) {
    let mut config = ruled(
        config(),
        vec![
            allow(&[Guarded::Connect], None),
            allow(&[Guarded::Subscribe], Some("/user/queue/errors")),
            Rule { claim: Some("roles=admin".to_owned()), ..allow(&[], Some("/topic/admin")) },
        ],
    );
    config.auth.refused_subscribe = Errors::Message;
    play_with(transport, config, async |stage| {
        let claims =
            |roles: &[&str]| token(json!({ "sub": "ann", "roles": roles, "exp": (unix() + MINUTE).as_secs() }));
        let mut client = known(&stage, &claims(&[])).await;
        client.subscribed("errors", "/user/queue/errors").await;
        client.subscribe("early", "/topic/admin").await;
        client.expect(Command::Message).await;
        refresh(&mut client, refreshing().with("passcode", claims(&["admin"]))).await;
        client.subscribed("admin", "/topic/admin").await;
        client.publish("/topic/admin", "x").await;
        assert_eq!(&client.expect(Command::Message).await.body[..], b"x");
        // And those that are gone do not.
        refresh(&mut client, refreshing().with("passcode", claims(&["former"]))).await;
        client.subscribe("late", "/topic/admin").await;
        client.expect(Command::Message).await;
        client.publish("/topic/admin", "x").await;
        client.expect(Command::Error).await;
        client.closed_with(4403).await;
    });
}

fn a_session_of_nobody_cannot_become_somebodys(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        client.send(&refreshing().with("passcode", token_of("ann"))).await;
        ends_with(&mut client, "not authenticated", 4401, "Not authenticated").await;
    });
}

fn without_anything_to_prove_by_nothing_is_refreshed(transport: Transport) {
    everywhere::play(transport, async |stage| {
        let login = connect(stage.version).with("login", "ann");
        let mut client = connected(stage.client().await, stage.version, login).await;
        client.send(&refreshing().with("login", "ann").with("passcode", token_of("ann"))).await;
        ends_with(&mut client, "not authenticated", 4401, "Not authenticated").await;
    });
}

/// Whom the requests prove, CONNECT need not prove again; and it is for no longer.
#[test]
fn what_requests_prove_expires_too() {
    for transport in Transport::ALL {
        play(transport, async |stage| {
            let end = end(MINUTE);
            let mut client = proved(&stage, &Proof::cookie(&token_for("ann", MINUTE))).await;
            quiet_for(&mut client, MINUTE).await;
            if !transport.is_polling() {
                return expires_at(&mut client, end).await;
            }
            // The close would come with the next poll, and that has nothing left to prove itself by.
            let error = client.expect(Command::Error).await;
            assert_eq!(error.headers.get("message"), Some("credentials expired"));
            assert_at(end);
            assert_eq!(client.try_event().await, Err(Ended::Refused(401)));
        });
    }
}

/// The session by a refresh, its requests by a newer cookie, where it has more than one.
#[test]
fn a_session_by_cookie_goes_on_with_a_newer_one_and_a_refresh() {
    for transport in Transport::ALL {
        play(transport, async |stage| {
            let mut client = proved(&stage, &Proof::cookie(&token_for("ann", MINUTE))).await;
            quiet_for(&mut client, MINUTE).await;
            let newer = token_for("ann", 10 * MINUTE);
            client.client.proves(&Proof::cookie(&newer));
            refresh(&mut client, refreshing().with("passcode", newer)).await;
            quiet_for(&mut client, 5 * MINUTE).await;
            client.confirmed(send("/topic/all", "x")).await;
        });
    }
}

/// Without the newer cookie the session lives, and its client no longer reaches it.
#[test]
fn a_refresh_does_not_renew_a_cookie() {
    for transport in Transport::HTTP {
        play(transport, async |stage| {
            let mut client = proved(&stage, &Proof::cookie(&token_for("ann", MINUTE))).await;
            quiet_for(&mut client, MINUTE).await;
            refresh(&mut client, refreshing().with("passcode", token_for("ann", 10 * MINUTE))).await;
            quiet_for(&mut client, LEEWAY - EXACTLY).await;
            sleep_until(Instant::now() + 2 * EXACTLY).await;
            let late = subscribe("late", "/topic/late").encode(stage.version);
            let late = String::from_utf8(late.to_vec()).expect("text");
            assert_eq!(client.client.try_send(&[&late]).await, Err(401), "{transport:?}");
        });
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_of_other_services_end_as_well() {
    for transport in Transport::ALL {
        let gateway = Gateway::in_memory(secured(serving([echo()]))).await;
        for (kind, proof) in [("cookie", Proof::cookie as fn(&str) -> Proof), ("header", Proof::bearer)] {
            let proof = proof(&token_for("ann", MINUTE));
            let end = end(MINUTE);
            let mut client = Client::open_as(&gateway, transport, "/echo", kind, &proof).await.expect("a good proof");
            assert_eq!(client.next().await, SockjsFrame::Open);
            let close = within(5 * MINUTE, "the close", async {
                loop {
                    match client.try_next().await {
                        Ok(SockjsFrame::Heartbeat) => {}
                        other => break other,
                    }
                }
            });
            let close = close.await;
            assert_eq!(close, Ok(SockjsFrame::Close(4401, "Credentials expired".to_owned())), "{transport:?} {kind}");
            assert_at(end);
            let late = Client::open_as(&gateway, transport, "/echo", "late", &proof).await;
            let refused = match late {
                Ok(mut client) => client.try_next().await.err(),
                Err(ended) => Some(ended),
            };
            assert_eq!(refused, Some(Ended::Refused(401)), "{transport:?} {kind}");
        }
    }
}
