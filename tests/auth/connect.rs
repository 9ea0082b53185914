//! CONNECT: which of its headers prove what, how that goes together with the request before, and the one wording for all
//! refusals.
//!
//! Does not know: STOMP frames.

use parking_lot::Mutex;
use towpath::auth::{Vouched, Vouching};
use towpath::config::User;

use super::log::Log;
use super::*;

/// Of `password`.
const HASH: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

fn with_ann() -> Config {
    let ann = User { name: "ann".to_owned(), password_hash: Secret::new(HASH), roles: vec![] };
    Config { users: vec![ann], ..with_secret() }
}

fn as_credentials([login, passcode, token]: [&str; 3]) -> Credentials {
    let some = |text: &str| (text != "-").then(|| text.to_owned());
    Credentials { login: some(login), passcode: some(passcode), token: some(token) }
}

fn name(connected: Result<Arc<Principal>, Refused>) -> String {
    match connected {
        Ok(principal) => principal.name().unwrap_or("nobody").to_owned(),
        Err(refused) => refused.to_string(),
    }
}

const NO: &str = "not authenticated";

#[tokio::test]
async fn credentials_prove_one_name_or_are_refused() {
    let authenticator = authenticator(&with_ann());
    let (ann, bob) = (hs256(json!({ "sub": "ann" })), hs256(json!({ "sub": "bob" })));
    let expired = hs256(json!({ "sub": "bob", "exp": 1 }));
    for (login, passcode, token, expected) in [
        ("-", "-", "-", "nobody"),
        ("", "", "", "nobody"),
        ("ann", "password", "-", "ann"),
        ("ann", "wrong", "-", NO),
        ("ann", "-", "-", NO),
        ("ann", "", "-", NO),
        ("eve", "-", "-", NO),
        ("-", "password", "-", NO),
        ("-", &bob, "-", "bob"),
        ("", &bob, "-", "bob"),
        ("bob", &bob, "-", "bob"),
        ("eve", &bob, "-", NO),
        ("bob", &expired, "-", NO),
        // Whoever has a password logs in with it; the Authorization header says clearly that it is a token.
        ("ann", &ann, "-", NO),
        ("-", "-", &ann, "ann"),
        ("ann", "-", &ann, "ann"),
        ("bob", "-", &ann, NO),
        ("-", "-", "x", NO),
        ("-", "-", &expired, NO),
        // The token counts, and the passcode is not there to mend it.
        ("ann", "password", &bob, NO),
        ("ann", "password", "x", NO),
        ("ann", "wrong", &ann, "ann"),
    ] {
        let connected = authenticator.connect(&as_credentials([login, passcode, token]), None).await;
        assert_eq!(name(connected), expected, "{login} {passcode} {token}");
    }
}

#[tokio::test]
async fn without_credentials_nobody_comes_in_where_anonymous_is_false() {
    let mut config = with_ann();
    config.auth.anonymous = false;
    let authenticator = authenticator(&config);
    assert_eq!(name(authenticator.connect(&Credentials::default(), None).await), NO);
    assert_eq!(name(authenticator.connect(&credentials("ann", "password"), None).await), "ann");
    let visitor = Arc::new(Principal::named("bob"));
    assert_eq!(name(authenticator.connect(&Credentials::default(), Some(&visitor)).await), "bob");
    let nobody = Arc::new(Principal::anonymous());
    assert_eq!(name(authenticator.connect(&Credentials::default(), Some(&nobody)).await), NO);
}

#[tokio::test(start_paused = true)]
async fn what_the_request_proved_and_what_connect_proves_is_the_same_user() {
    let authenticator = authenticator(&with_ann());
    let in_a_minute = tokio::time::Instant::now().into_std() + Duration::from_secs(60);
    let ann = Arc::new(Principal::named("ann").until(Some(in_a_minute)));
    let bob = hs256(json!({ "sub": "bob" }));
    let tom = hs256(json!({ "sub": "ann", "fresh": true }));
    for (login, passcode, token, expected) in [
        ("-", "-", "-", "ann"),
        ("ann", "-", "-", "ann"),
        ("bob", "-", "-", NO),
        ("ann", "password", "-", "ann"),
        ("ann", "wrong", "-", NO),
        ("-", "-", &tom, "ann"),
        ("-", "-", &bob, NO),
        ("bob", &bob, "-", NO),
    ] {
        let connected = authenticator.connect(&as_credentials([login, passcode, token]), Some(&ann)).await;
        assert_eq!(name(connected), expected, "{login} {passcode} {token}");
    }
    // What is proved anew is what counts from now on.
    let fresh = authenticator.connect(&as_credentials(["-", "-", &tom]), Some(&ann)).await.unwrap();
    assert_eq!((fresh.claim("fresh"), fresh.expires()), (Some(&json!(true)), None));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(name(authenticator.connect(&Credentials::default(), Some(&ann)).await), NO);
    assert_eq!(name(authenticator.connect(&as_credentials(["-", "-", &tom]), Some(&ann)).await), "ann");
}

#[tokio::test]
async fn where_nothing_is_configured_credentials_prove_nothing() {
    let authenticator = authenticator(&Config::default());
    assert!(!authenticator.is_configured());
    for headers in [["ann", "password", "-"], ["-", "-", "x"], ["ann", "-", "-"]] {
        assert_eq!(name(authenticator.connect(&as_credentials(headers), None).await), NO);
    }
}

/// A backend with one answer, which keeps what it was asked.
struct Backend {
    answer: Result<Option<Vouched>, String>,
    asked: Mutex<Vec<(Option<String>, String)>>,
}

impl Voucher for Backend {
    fn ask<'a>(&'a self, login: Option<&'a str>, passcode: &'a str) -> Vouching<'a> {
        self.asked.lock().push((login.map(str::to_owned), passcode.to_owned()));
        Box::pin(async { self.answer.clone() })
    }
}

fn backend(answer: Result<Option<Vouched>, String>) -> Arc<Backend> {
    Arc::new(Backend { answer, asked: Mutex::default() })
}

fn vouched(user: &str) -> Result<Option<Vouched>, String> {
    Ok(Some(Vouched { user: user.to_owned(), ..Vouched::default() }))
}

#[tokio::test]
async fn the_backend_is_asked_about_whom_we_do_not_know_ourselves() {
    let backend = backend(vouched("Bob"));
    let authenticator = vouched_by(&with_ann(), Some(Arc::clone(&backend) as _));
    assert!(authenticator.is_configured());
    let token = hs256(json!({ "sub": "cyd" }));
    let foreign = hs256(json!({ "sub": "cyd", "exp": 1 }));
    for (login, passcode, expected) in [
        ("ann", "password", "ann"),
        ("ann", "wrong", NO),
        ("-", &token, "cyd"),
        ("-", "-", "nobody"),
        ("bob", "-", NO),
        ("bob", "secret", "Bob"),
        ("-", "secret", "Bob"),
        // It may be that the backend makes tokens of its own.
        ("bob", &foreign, "Bob"),
    ] {
        let connected = authenticator.connect(&as_credentials([login, passcode, "-"]), None).await;
        assert_eq!(name(connected), expected, "{login} {passcode}");
    }
    let bob = Some("bob".to_owned());
    let asked = [(bob.clone(), "secret".to_owned()), (None, "secret".to_owned()), (bob, foreign)];
    assert_eq!(*backend.asked.lock(), asked);
}

#[tokio::test(start_paused = true)]
async fn the_backend_says_what_is_known_of_a_user_and_for_how_long() {
    let claims = json!({ "roles": ["admin"] });
    let answer = Vouched {
        user: "bob".to_owned(),
        claims: claims.as_object().unwrap().clone(),
        expires_in: Some(Duration::from_secs(3600)),
    };
    let authenticator = vouched_by(&Config::default(), Some(backend(Ok(Some(answer)))));
    let bob = authenticator.connect(&credentials("bob", "secret"), None).await.unwrap();
    assert_eq!(json!(bob.claims()), claims);
    let in_an_hour = tokio::time::Instant::now().into_std() + Duration::from_secs(3600);
    assert_eq!(bob.expires(), Some(in_an_hour));
    let visitor = Arc::new(Principal::named("ann"));
    assert_eq!(name(authenticator.connect(&credentials("bob", "secret"), Some(&visitor)).await), NO);
}

#[tokio::test]
async fn a_backend_that_fails_refuses_or_lies_lets_nobody_in() {
    for answer in [
        Ok(None),
        Err("it is down".to_owned()),
        vouched(""),
        vouched("session-0123456789abcdef"),
        vouched("a\u{0}b"),
        vouched(&"x".repeat(257)),
    ] {
        let authenticator = vouched_by(&Config::default(), Some(backend(answer.clone())));
        assert_eq!(name(authenticator.connect(&credentials("bob", "secret"), None).await), NO, "{answer:?}");
    }
}

#[tokio::test]
async fn a_failing_backend_is_logged_once_a_minute_and_no_credential_ever() {
    let log = Log::collect();
    let authenticator = vouched_by(&with_secret(), Some(backend(Err("it is down".to_owned()))));
    let token = hs256(json!({ "sub": "ann", "exp": 1 }));
    for _ in 0..3 {
        let _ = authenticator.connect(&credentials("bob", "hunter2"), None).await;
        let _ = by_token(&authenticator, &token).await;
    }
    let text = log.text();
    assert_eq!(text.matches("it is down").count(), 1, "{text}");
    assert!(text.contains("the token has expired"), "{text}");
    pass(Duration::from_secs(60)).await;
    let _ = authenticator.connect(&credentials("bob", "hunter2"), None).await;
    let text = log.text();
    assert_eq!(text.matches("it is down").count(), 2, "{text}");
    for secret in ["hunter2", &token, token.split('.').next_back().unwrap(), "bob"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn nothing_that_can_be_shown_shows_a_secret() {
    let authenticator = authenticator(&with_ann());
    let credentials = as_credentials(["ann", "hunter2", "abc.def.ghi"]);
    let ann = authenticator.connect(&super::credentials("ann", "password"), None).await.unwrap();
    let shown = format!("{authenticator:?} {credentials:?} {ann:?} {:?} {Refused:?} {Refused}", with_ann());
    for secret in ["hunter2", "abc.def.ghi", SECRET, "$argon2id", "c29tZXNhbHQ", "password\""] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
