//! Rules over every transport: what a client hears who may not connect, send or subscribe, and that nobody else hears of it.
//!
//! Does not know: which rule decides; `tests/authority.rs` does.

#[macro_use]
mod everywhere;
#[path = "everywhere/known.rs"]
mod known;
mod support;

use everywhere::{Stage, assert_harmless, play_with};
use known::{allow, connect, connected, deny, ends_with, known, known_on, ruled, send, subscribe};
use serde_json::json;
use support::Transport;
use support::metrics::Meter;
use support::proof::{secured, token, token_of};
use support::stomp::Stomp;
use towpath::config::{Config, Errors, Guarded, Rule, Who};
use towpath::stomp::{Command, Frame};

everywhere! {
    a_connect_that_is_not_allowed_is_refused,
    a_send_that_is_not_allowed_ends_the_session,
    a_send_that_is_not_allowed_says_which_one_it_was,
    a_send_in_a_transaction_is_refused_at_once,
    a_subscribe_that_is_not_allowed_ends_the_session,
    a_subscribe_may_be_refused_softly,
    a_soft_refusal_that_nobody_would_hear_is_an_error,
    a_pattern_is_allowed_only_as_a_whole,
    claims_fill_destinations,
    what_is_allowed_once_goes_on,
    what_a_rule_denies_is_never_delivered,
}

const ERRORS: &str = "/user/queue/errors";

/// Everybody with a name comes in and hears of errors; `/topic/open` is everybody's, `/topic/user.NAME.*` is NAME's,
/// `/topic/admin.**` is for admins, and `/topic/open.secret` for nobody.
fn rules() -> Vec<Rule> {
    use Guarded::{Connect, Send, Subscribe};
    vec![
        Rule { who: Who::Users, ..allow(&[Connect], None) },
        allow(&[Subscribe], Some(ERRORS)),
        deny(&[], Some("/topic/open.secret")),
        allow(&[Send, Subscribe], Some("/topic/open.*")),
        allow(&[Send, Subscribe], Some("/topic/fence")),
        allow(&[Send, Subscribe], Some("/topic/user.{sub}.*")),
        Rule { claim: Some("roles=admin".to_owned()), ..allow(&[], Some("/topic/admin.**")) },
        allow(&[Send], Some("/queue/in")),
    ]
}

fn config() -> Config {
    ruled(secured(Config::default()), rules())
}

fn soft() -> Config {
    let mut config = config();
    config.auth.refused_subscribe = Errors::Message;
    config
}

fn admin() -> String {
    token(json!({ "sub": "root", "roles": ["admin"] }))
}

fn play<F: Future<Output = ()>>(transport: Transport, scenario: impl Fn(Stage) -> F) {
    play_with(transport, config(), scenario);
}

/// Somebody whom all that is no business of theirs must not disturb.
async fn bystander(stage: &Stage) -> Stomp {
    let transport = if stage.transport == Transport::Websocket { Transport::EventSource } else { Transport::Websocket };
    let mut bystander = known_on(stage, transport, &admin()).await;
    for destination in ["/topic/admin.**", "/topic/fence"] {
        bystander.subscribed(destination, destination).await;
    }
    bystander
}

/// Nothing has come for the bystander, who still is there.
async fn assert_undisturbed(bystander: &mut Stomp) {
    bystander.publish("/topic/fence", "fence").await;
    let next = bystander.expect(Command::Message).await;
    assert_eq!(&next.body[..], b"fence", "{next:?}");
}

async fn not_allowed(client: &mut Stomp) -> Frame {
    ends_with(client, "not allowed", 4403, "Not allowed").await
}

fn body(frame: &Frame) -> &str {
    std::str::from_utf8(&frame.body).expect("text")
}

fn a_connect_that_is_not_allowed_is_refused(transport: Transport) {
    let mut rules = rules();
    rules.insert(0, Rule { users: vec!["eve".to_owned()], ..deny(&[Guarded::Connect], None) });
    rules.insert(1, Rule { claim: Some("blocked=true".to_owned()), ..deny(&[Guarded::Connect], None) });
    play_with(transport, ruled(secured(Config::default()), rules), async |stage| {
        let meter = Meter::install();
        let mut bystander = bystander(&stage).await;
        let mut errors = vec![];
        for credentials in [None, Some(token_of("eve")), Some(token(json!({ "sub": "mallory", "blocked": true })))] {
            let mut client = stage.fresh().await;
            let connect = connect(stage.version);
            let connect = match credentials {
                Some(token) => connect.with("passcode", token),
                None => connect,
            };
            client.send(&connect).await;
            errors.push(not_allowed(&mut client).await);
        }
        assert!(errors.iter().all(|error| *error == errors[0]), "one wording for all causes: {errors:?}");
        assert_eq!(meter.counter("towpath_not_allowed_total", &[("command", "CONNECT")]), 3);
        assert_eq!(stage.gateway.core().clients().len(), 1, "the bystander");
        assert_undisturbed(&mut bystander).await;
    });
}

fn a_send_that_is_not_allowed_ends_the_session(transport: Transport) {
    play(transport, async |stage| {
        let mut bystander = bystander(&stage).await;
        for destination in [
            "/topic/admin.x",
            "/topic/open.secret",
            "/topic/user.bob.x",
            "/queue/out",
            "/app/hello",
            "/user/bob/queue/x",
        ] {
            let mut client = known(&stage, &token_of("ann")).await;
            client.publish(destination, "x").await;
            let error = not_allowed(&mut client).await;
            assert_eq!(error.headers.get("receipt-id"), None);
            assert!(body(&error).contains(destination), "{error:?}");
        }
        assert_undisturbed(&mut bystander).await;
    });
}

fn a_send_that_is_not_allowed_says_which_one_it_was(transport: Transport) {
    play(transport, async |stage| {
        let meter = Meter::install();
        let mut client = known(&stage, &token_of("ann")).await;
        client.confirmed(send("/topic/open.x", "x")).await;
        // What comes behind it is not done any more.
        let frames = [
            send("/topic/admin.x", "x").with("receipt", "refused"),
            send("/topic/open.x", "x").with("receipt", "behind"),
        ];
        let frames: Vec<_> = frames.iter().map(|frame| frame.encode(stage.version)).collect();
        let frames: Vec<_> = frames.iter().map(|bytes| std::str::from_utf8(bytes).expect("text")).collect();
        client.send_text(&frames.concat()).await;
        let error = not_allowed(&mut client).await;
        assert_eq!(error.headers.get("receipt-id"), Some("refused"));
        assert_harmless("message", error.headers.get("message").expect("a message"));
        assert_eq!(meter.counter("towpath_not_allowed_total", &[("command", "SEND")]), 1);
    });
}

fn a_send_in_a_transaction_is_refused_at_once(transport: Transport) {
    play(transport, async |stage| {
        let mut bystander = bystander(&stage).await;
        let mut client = known(&stage, &token_of("ann")).await;
        client.confirmed(Frame::new(Command::Begin).with("transaction", "t")).await;
        client.confirmed(send("/topic/fence", "never").with("transaction", "t")).await;
        client.send(&send("/topic/admin.x", "x").with("transaction", "t").with("receipt", "refused")).await;
        let error = not_allowed(&mut client).await;
        assert_eq!(error.headers.get("receipt-id"), Some("refused"));
        assert_undisturbed(&mut bystander).await;
    });
}

fn a_subscribe_that_is_not_allowed_ends_the_session(transport: Transport) {
    play(transport, async |stage| {
        let mut bystander = bystander(&stage).await;
        for destination in ["/topic/admin.x", "/topic/admin.**", "/topic/user.bob.x", "/queue/in", "/user/queue/other"]
        {
            let mut client = known(&stage, &token_of("ann")).await;
            // Whether it listens for errors or not.
            client.subscribed("errors", ERRORS).await;
            client.send(&subscribe("s", destination).with("receipt", "refused")).await;
            let error = not_allowed(&mut client).await;
            assert_eq!(error.headers.get("receipt-id"), Some("refused"));
            assert!(body(&error).contains(destination), "{error:?}");
        }
        assert_undisturbed(&mut bystander).await;
    });
}

fn a_subscribe_may_be_refused_softly(transport: Transport) {
    play_with(transport, soft(), async |stage| {
        let mut bystander = bystander(&stage).await;
        let mut client = known(&stage, &token_of("ann")).await;
        client.subscribed("errors", ERRORS).await;
        client.send(&subscribe("s", "/topic/admin.x").with("receipt", "refused")).await;
        let told = client.expect(Command::Message).await;
        assert_eq!(told.headers.get("subscription"), Some("errors"));
        assert_eq!(told.headers.get("x-destination"), Some("/topic/admin.x"));
        assert_eq!(told.headers.get("receipt-id"), Some("refused"));
        assert!(!body(&told).is_empty());
        // It is no subscription.
        bystander.publish("/topic/admin.x", "secret").await;
        assert_eq!(body(&bystander.expect(Command::Message).await), "secret");
        // The id is taken until it is given back, and good again then.
        let unsubscribe = Frame::new(Command::Unsubscribe).with("id", "s");
        client.confirmed(unsubscribe).await;
        client.subscribed("s", "/topic/open.x").await;
        client.publish("/topic/open.x", "mine").await;
        let mine = client.expect(Command::Message).await;
        assert_eq!((mine.headers.get("subscription"), body(&mine)), (Some("s"), "mine"));
        // Without a receipt nothing stands there for one.
        client.subscribe("t", "/topic/admin.x").await;
        assert_eq!(client.expect(Command::Message).await.headers.get("receipt-id"), None);
        assert_undisturbed(&mut bystander).await;
    });
}

fn a_soft_refusal_that_nobody_would_hear_is_an_error(transport: Transport) {
    play_with(transport, soft(), async |stage| {
        let mut other = known(&stage, &token_of("ann")).await;
        other.subscribed("errors", ERRORS).await;
        let mut client = known(&stage, &token_of("ann")).await;
        client.send(&subscribe("s", "/topic/admin.x").with("receipt", "refused")).await;
        let error = not_allowed(&mut client).await;
        assert_eq!(error.headers.get("receipt-id"), Some("refused"));
        assert!(body(&error).contains("/topic/admin.x"), "{error:?}");
        // Another session of the same user has not asked.
        other.subscribed("fence", "/topic/fence").await;
        assert_undisturbed(&mut other).await;
        // SEND is never refused softly.
        other.publish("/topic/admin.x", "x").await;
        not_allowed(&mut other).await;
    });
}

fn a_pattern_is_allowed_only_as_a_whole(transport: Transport) {
    play_with(transport, soft(), async |stage| {
        let mut client = known(&stage, &token_of("ann")).await;
        client.subscribed("errors", ERRORS).await;
        // Allowed are parts of these, and of the second a part is denied.
        for (id, pattern) in [("1", "/topic/*"), ("2", "/topic/open.*"), ("3", "/topic/**"), ("4", "/topic/user.*.x")] {
            client.subscribe(id, pattern).await;
            let told = client.expect(Command::Message).await;
            assert_eq!(told.headers.get("x-destination"), Some(pattern), "{told:?}");
        }
        client.subscribed("own", "/topic/user.ann.*").await;
        client.publish("/topic/user.ann.x", "mine").await;
        assert_eq!(body(&client.expect(Command::Message).await), "mine");
        let mut root = known(&stage, &admin()).await;
        root.subscribed("all", "/topic/admin.**").await;
        root.publish("/topic/admin.a.b", "x").await;
        assert_eq!(body(&root.expect(Command::Message).await), "x");
    });
}

fn claims_fill_destinations(transport: Transport) {
    play(transport, async |stage| {
        let mut ann = known(&stage, &token_of("ann")).await;
        let mut bob = known(&stage, &token_of("bob")).await;
        ann.subscribed("own", "/topic/user.ann.*").await;
        bob.subscribed("own", "/topic/user.bob.*").await;
        bob.publish("/topic/user.bob.x", "bob's").await;
        assert_eq!(body(&bob.expect(Command::Message).await), "bob's");
        ann.publish("/topic/user.ann.x", "ann's").await;
        assert_eq!(body(&ann.expect(Command::Message).await), "ann's");
        bob.publish("/topic/user.ann.x", "forged").await;
        not_allowed(&mut bob).await;
        // A name is never read as a pattern.
        for name in ["*", "**", "a.b"] {
            let mut odd = known(&stage, &token_of(name)).await;
            odd.subscribe("s", &format!("/topic/user.{name}.x")).await;
            not_allowed(&mut odd).await;
        }
        ann.publish("/topic/user.ann.x", "still here").await;
        assert_eq!(body(&ann.expect(Command::Message).await), "still here");
    });
}

/// UNSUBSCRIBE, transactions and heart-beats are nobody's rule.
fn what_is_allowed_once_goes_on(transport: Transport) {
    play(transport, async |stage| {
        let mut client = known(&stage, &token_of("ann")).await;
        client.subscribed("s", "/topic/open.x").await;
        client.confirmed(Frame::new(Command::Begin).with("transaction", "t")).await;
        client.confirmed(send("/topic/open.x", "x").with("transaction", "t")).await;
        client.send(&Frame::new(Command::Commit).with("transaction", "t")).await;
        assert_eq!(body(&client.expect(Command::Message).await), "x");
        client.confirmed(Frame::new(Command::Unsubscribe).with("id", "s")).await;
        client.confirmed(send("/queue/in", "x")).await;
        client.confirmed(send("/auth/refresh", &token_of("ann"))).await;
        client.send(&Frame::new(Command::Disconnect).with("receipt", "bye")).await;
        client.expect(Command::Receipt).await;
    });
}

/// Rules come before everything that a frame would do: one that is refused leaves nothing behind.
fn what_a_rule_denies_is_never_delivered(transport: Transport) {
    let mut config = config();
    config.rules.retain(|rule| rule.destination.as_deref() != Some("/queue/in"));
    config.rules.push(Rule { users: vec!["root".to_owned()], ..allow(&[], Some("/queue/in")) });
    play_with(transport, config, async |stage| {
        let mut ann = known(&stage, &token_of("ann")).await;
        ann.publish("/queue/in", "refused").await;
        not_allowed(&mut ann).await;
        let mut root = known(&stage, &admin()).await;
        root.confirmed(send("/queue/in", "allowed")).await;
        root.subscribe("in", "/queue/in").await;
        assert_eq!(body(&root.expect(Command::Message).await), "allowed");
    });
}

/// Where nothing proves a name, the one that a client gives is the one that rules go by; and it is refused as well.
#[test]
fn names_that_clients_say_are_ruled_too() {
    for transport in Transport::STOMP {
        play_with(transport, ruled(Config::default(), rules()), async |stage| {
            let login = |name: &str| connect(stage.version).with("login", name);
            let mut ann = connected(stage.client().await, stage.version, login("ann")).await;
            ann.subscribed("own", "/topic/user.ann.*").await;
            ann.subscribe("other", "/topic/user.bob.*").await;
            not_allowed(&mut ann).await;
            let mut nobody = stage.fresh().await;
            nobody.send(&connect(stage.version)).await;
            not_allowed(&mut nobody).await;
        });
    }
}
