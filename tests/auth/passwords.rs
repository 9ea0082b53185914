//! Users with passwords: hashes of both kinds, and limits on checking them.
//!
//! Does not know: tokens.

use std::time::Instant;

use futures_util::future::join_all;
use metrics_util::debugging::DebuggingRecorder;
use towpath::auth::{HashError, hash_password};
use towpath::config::{ConfigError, User};

use super::*;

/// Of `correct horse`.
const BCRYPT: &str = "$2b$05$N9qo8uLOickgx2ZMRZoMyeySTQZHYTvN5Lzja/W0KswX.y7D.SAs6";

/// Of `password`.
const ARGON2: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

fn user(name: &str, hash: &str) -> User {
    User { name: name.to_owned(), password_hash: Secret::new(hash), roles: vec![] }
}

fn with_users(users: &[(&str, &str)]) -> Config {
    Config { users: users.iter().map(|(name, hash)| user(name, hash)).collect(), ..Config::default() }
}

async fn logged_in(authenticator: &Authenticator, login: &str, passcode: &str) -> String {
    match authenticator.connect(&credentials(login, passcode), None).await {
        Ok(principal) => principal.name().unwrap_or("nobody").to_owned(),
        Err(refused) => refused.to_string(),
    }
}

#[tokio::test]
async fn a_user_is_who_knows_the_password() {
    let authenticator = authenticator(&with_users(&[("ann", ARGON2), ("bob", BCRYPT)]));
    assert_eq!(logged_in(&authenticator, "ann", "password").await, "ann");
    assert_eq!(logged_in(&authenticator, "bob", "correct horse").await, "bob");
    for (login, passcode) in [
        ("ann", "correct horse"),
        ("ann", "Password"),
        ("ann", "password "),
        ("ann", ARGON2),
        ("bob", "password"),
        ("bob", "correct horsf"),
        ("bob", &*"x".repeat(100)),
        ("eve", "password"),
        ("Ann", "password"),
        ("", "password"),
    ] {
        assert_eq!(logged_in(&authenticator, login, passcode).await, "not authenticated", "{login} {passcode}");
    }
}

#[tokio::test]
async fn bcrypt_does_not_cut_a_password_off() {
    // With the first 72 bytes of it the hash would fit.
    let long = "x".repeat(72);
    let hash = bcrypt::hash(&long, 4).unwrap();
    let authenticator = authenticator(&with_users(&[("ann", &hash)]));
    assert_eq!(logged_in(&authenticator, "ann", &format!("{long}y")).await, "not authenticated");
}

#[tokio::test]
async fn roles_are_a_claim() {
    let mut config = with_users(&[("ann", ARGON2), ("bob", BCRYPT)]);
    config.users[0].roles = vec!["admin".to_owned(), "editor".to_owned()];
    let authenticator = authenticator(&config);
    let ann = authenticator.connect(&credentials("ann", "password"), None).await.unwrap();
    assert_eq!(ann.claim("roles"), Some(&json!(["admin", "editor"])));
    assert_eq!(ann.expires(), None);
    let bob = authenticator.connect(&credentials("bob", "correct horse"), None).await.unwrap();
    assert_eq!(bob.claim("roles"), None);
}

#[tokio::test]
async fn a_hash_that_we_make_is_one_that_we_take() {
    let hash = hash_password("pässword").unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    assert_ne!(hash, hash_password("pässword").unwrap(), "the salt is new");
    let authenticator = authenticator(&with_users(&[("ann", &hash)]));
    assert_eq!(logged_in(&authenticator, "ann", "pässword").await, "ann");
    assert_eq!(logged_in(&authenticator, "ann", "password").await, "not authenticated");
    assert_eq!(hash_password(""), Err(HashError::Empty));
}

#[test]
fn what_is_wrong_with_users_is_said_with_their_number_and_the_mend() {
    let config = with_users(&[
        ("ann", ARGON2),
        ("bob", "secret"),
        ("cyd", &ARGON2[..60]),
        ("dan", &BCRYPT[..59]),
        ("eve", "$2b$99$N9qo8uLOickgx2ZMRZoMyeySTQZHYTvN5Lzja/W0KswX.y7D.SAs6"),
        ("fay", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ"),
        ("gus", "$argon2x$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"),
        ("ann", ARGON2),
        ("", ARGON2),
        ("session-0123456789abcdef", ARGON2),
        ("hal", ""),
    ]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _guard = runtime.enter();
    let error = Authenticator::new(&config, tickets(), None).unwrap_err();
    assert!(matches!(error, ConfigError::Invalid(_)));
    let hash = "; write what `towpath hash-password` prints";
    assert_eq!(
        error.to_string().lines().collect::<Vec<_>>(),
        [
            format!("`password_hash` in [[user]] 2 is neither an argon2 hash nor a bcrypt hash{hash}"),
            format!("`password_hash` in [[user]] 3 is not a whole argon2 hash{hash}"),
            format!("`password_hash` in [[user]] 4 is not a whole bcrypt hash{hash}"),
            format!("`password_hash` in [[user]] 5 is not a whole bcrypt hash{hash}"),
            format!("`password_hash` in [[user]] 6 is not a whole argon2 hash{hash}"),
            format!("`password_hash` in [[user]] 7 is not a whole argon2 hash{hash}"),
            "`name` in [[user]] 8 is that of an earlier user; give each user a name of their own".to_owned(),
            "`name` in [[user]] 9 is empty; give the user another name".to_owned(),
            "`name` in [[user]] 10 has the form of a session's name; give the user another name".to_owned(),
            format!("`password_hash` in [[user]] 11 is neither an argon2 hash nor a bcrypt hash{hash}"),
        ]
    );
}

/// A hash that takes a while to check, twice as long for each step.
fn costly(cost: u32) -> String {
    bcrypt::hash("password", cost).unwrap()
}

#[tokio::test]
async fn an_unknown_user_costs_as_much_as_a_wrong_password() {
    let mut config = with_users(&[("ann", &costly(8))]);
    config.auth.password_checks = 1;
    let authenticator = authenticator(&config);
    let mut shortest = [Duration::MAX; 2];
    // The shortest of several: whatever else the machine does makes it longer only.
    for _ in 0..5 {
        for (login, shortest) in ["ann", "eve"].into_iter().zip(&mut shortest) {
            let start = Instant::now();
            assert_eq!(logged_in(&authenticator, login, "wrong").await, "not authenticated");
            *shortest = (*shortest).min(start.elapsed());
        }
    }
    assert!(shortest[1] > shortest[0] / 3, "{shortest:?}");
}

#[test]
fn only_so_many_may_wait_for_a_check() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let mut config = with_users(&[("ann", &costly(8))]);
            config.auth.password_checks = 1;
            config.auth.max_waiting = 2;
            let authenticator = authenticator(&config);
            let all = join_all((0..10).map(|_| logged_in(&authenticator, "ann", "password"))).await;
            assert_eq!(all.iter().filter(|name| *name == "ann").count(), 3);
            assert_eq!(all.iter().filter(|name| *name == "not authenticated").count(), 7);
            // Who comes later finds room again.
            assert_eq!(logged_in(&authenticator, "ann", "password").await, "ann");
        });
    });
    let counted = snapshots.snapshot().into_vec();
    let refused = counted.iter().find(|(key, ..)| key.key().labels().any(|label| label.value() == "auth.max_waiting"));
    assert_eq!(format!("{:?}", refused.expect("it was counted").3), "Counter(7)");
}

#[tokio::test]
async fn who_goes_away_makes_no_room_for_another_check() {
    let mut config = with_users(&[("ann", &costly(10))]);
    config.auth.password_checks = 1;
    config.auth.max_waiting = 0;
    let authenticator = Arc::new(authenticator(&config));
    let first = {
        let authenticator = Arc::clone(&authenticator);
        tokio::spawn(async move { logged_in(&authenticator, "ann", "password").await })
    };
    // It has begun its check when it is asked for the second time, and gives up at once.
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(logged_in(&authenticator, "ann", "password").await, "not authenticated");
    while logged_in(&authenticator, "ann", "password").await != "ann" {
        tokio::task::yield_now().await;
    }
}
