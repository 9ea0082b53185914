//! Tokens: every algorithm, and everything that makes one not good.
//!
//! Does not know: where keys come from besides files.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use towpath::config::Algorithm as Ours;

use super::*;

fn all_keys() -> Config {
    let mut config = with_keys(&fixture("keys.json").display().to_string());
    config.jwt.secret = Some(Secret::new(SECRET));
    config
}

#[tokio::test]
async fn every_algorithm_is_checked_with_its_own_kind_of_key() {
    let authenticator = authenticator(&all_keys());
    assert_eq!(name_by(&authenticator, &hs256(json!({ "sub": "ann" }))).await, "ann");
    for (file, id) in [("rsa.pem", "rsa-1"), ("ec.pem", "ec-1"), ("ed.pem", "ed-1")] {
        for id in [Some(id), None] {
            let token = signed_by(file, id);
            assert_eq!(name_by(&authenticator, &token).await, "ann", "{file} {id:?}");
            // One character of the signature is another, not the last one: some of its bits mean nothing.
            let at = token.len() - 10;
            let other = if &token[at..=at] == "A" { "B" } else { "A" };
            let forged = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            assert_eq!(name_by(&authenticator, &forged).await, "-", "{file} forged");
        }
        assert_eq!(name_by(&authenticator, &signed_by(file, Some("other"))).await, "-", "{file} of an unknown name");
    }
    // The right name, another key.
    assert_eq!(name_by(&authenticator, &signed_by("ed-next.pem", Some("ed-1"))).await, "-");
}

#[tokio::test]
async fn no_key_is_used_with_another_algorithm_than_its_own() {
    let claims = json!({ "sub": "ann" });
    let authenticator = authenticator(&all_keys());
    // The classic: HS256 with what everybody knows of an RSA key as the secret.
    let public = std::fs::read_to_string(fixture("keys.json")).unwrap();
    let public: Value = serde_json::from_str(&public).unwrap();
    for secret in [&*pem("rsa.pem"), public["keys"][0]["n"].as_str().unwrap().as_bytes(), b""] {
        for id in ["rsa-1", "ec-1", "ed-1"] {
            let forged = sign(Algorithm::HS256, Some(id), &EncodingKey::from_secret(secret), &claims);
            assert_eq!(name_by(&authenticator, &forged).await, "-");
        }
    }
    // The same family is not the same algorithm.
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let forged = sign(algorithm, None, &EncodingKey::from_secret(SECRET.as_bytes()), &claims);
        assert_eq!(name_by(&authenticator, &forged).await, "-", "{algorithm:?}");
    }
    let rsa = EncodingKey::from_rsa_pem(&pem("rsa.pem")).unwrap();
    for algorithm in [Algorithm::PS256, Algorithm::RS512] {
        let forged = sign(algorithm, Some("rsa-1"), &rsa, &claims);
        assert_eq!(name_by(&authenticator, &forged).await, "-", "{algorithm:?}");
    }
}

/// A token of that header and those claims, with the given signature.
fn raw(header: &str, claims: &str, signature: &str) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.{signature}")
}

/// The same, rightly signed with [`SECRET`].
fn raw_signed(header: &str, claims: &str) -> String {
    let unsigned = raw(header, claims, "");
    let signed = unsigned.trim_end_matches('.');
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    format!("{signed}.{}", jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap())
}

#[tokio::test]
async fn what_is_not_signed_is_not_believed() {
    let authenticator = authenticator(&all_keys());
    let claims = r#"{"sub":"ann"}"#;
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"None"}"#, r#"{"alg":"NONE","typ":"JWT"}"#, r#"{"alg":""}"#, "{}"] {
        for signature in ["", "AAAA"] {
            assert_eq!(name_by(&authenticator, &raw(header, claims, signature)).await, "-", "{header}");
        }
        assert_eq!(name_by(&authenticator, &raw_signed(header, claims)).await, "-", "{header}");
    }
    assert_eq!(name_by(&authenticator, &raw(r#"{"alg":"HS256"}"#, claims, "")).await, "-");
    // So far it was the header, not how it was made.
    assert_eq!(name_by(&authenticator, &raw_signed(r#"{"alg":"HS256"}"#, claims)).await, "ann");
}

#[tokio::test]
async fn a_header_that_is_not_understood_spoils_the_token() {
    let authenticator = authenticator(&all_keys());
    let claims = r#"{"sub":"ann"}"#;
    for header in [
        r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"RS256","alg":"HS256"}"#,
        r#"{"alg":7}"#,
        r#"["alg","HS256"]"#,
        "",
    ] {
        assert_eq!(name_by(&authenticator, &raw_signed(header, claims)).await, "-", "{header}");
    }
    // What others make of these is the way to their keys; we have ours.
    let header = r#"{"alg":"HS256","jku":"https://evil.example/keys","jwk":{"kty":"oct","k":"AA"},"kid":"../x"}"#;
    assert_eq!(name_by(&authenticator, &raw_signed(header, claims)).await, "ann");
}

#[tokio::test]
async fn what_has_not_the_form_of_a_token_is_refused() {
    let authenticator = authenticator(&all_keys());
    let good = hs256(json!({ "sub": "ann" }));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    for token in [
        ".",
        "..",
        "...",
        "a.b.c",
        "ann",
        signed,
        &format!("{signed}."),
        &format!("{signed}.{signature}."),
        &format!("{signed}.x.{signature}"),
        &format!("{signed}.{signature}="),
        &format!("{signed}.{signature}\n"),
        &format!("{signed}. {signature}"),
        &raw_signed(r#"{"alg":"HS256"}"#, "[]"),
        &raw_signed(r#"{"alg":"HS256"}"#, r#""ann""#),
        &raw_signed(r#"{"alg":"HS256"}"#, &"[".repeat(3000)),
    ] {
        assert_eq!(name_by(&authenticator, token).await, "-", "{token:?}");
    }
    assert_eq!(name_by(&authenticator, &good).await, "ann");
}

#[tokio::test]
async fn a_token_may_be_as_long_as_max_token() {
    let token = hs256(json!({ "sub": "ann", "more": "x".repeat(3000) }));
    let mut config = with_secret();
    config.jwt.max_token = token.len();
    assert_eq!(name_by(&authenticator(&config), &token).await, "ann");
    config.jwt.max_token = token.len() - 1;
    assert_eq!(name_by(&authenticator(&config), &token).await, "-");
}

#[tokio::test]
async fn only_the_configured_algorithms_are_taken() {
    let mut config = all_keys();
    config.jwt.algorithms = vec![Ours::EdDsa];
    let authenticator = authenticator(&config);
    assert_eq!(name_by(&authenticator, &signed_by("ed.pem", None)).await, "ann");
    assert_eq!(name_by(&authenticator, &signed_by("ec.pem", None)).await, "-");
    assert_eq!(name_by(&authenticator, &hs256(json!({ "sub": "ann" }))).await, "-");
}

#[tokio::test]
async fn issuer_and_audience_are_checked_where_they_are_configured() {
    let mut config = with_secret();
    config.jwt.issuer = Some("https://issuer.example".to_owned());
    config.jwt.audience = vec!["chat".to_owned(), "news".to_owned()];
    let authenticator = authenticator(&config);
    let iss = "https://issuer.example";
    for (claims, name) in [
        (json!({ "sub": "ann", "iss": iss, "aud": "chat" }), "ann"),
        (json!({ "sub": "ann", "iss": iss, "aud": ["other", "news"] }), "ann"),
        (json!({ "sub": "ann", "iss": iss, "aud": "other" }), "-"),
        (json!({ "sub": "ann", "iss": iss, "aud": [] }), "-"),
        (json!({ "sub": "ann", "iss": iss, "aud": { "chat": true } }), "-"),
        (json!({ "sub": "ann", "iss": iss, "aud": [["chat"]] }), "-"),
        (json!({ "sub": "ann", "iss": iss, "aud": "Chat" }), "-"),
        (json!({ "sub": "ann", "iss": iss }), "-"),
        (json!({ "sub": "ann", "iss": "https://other.example", "aud": "chat" }), "-"),
        (json!({ "sub": "ann", "iss": [iss], "aud": "chat" }), "-"),
        (json!({ "sub": "ann", "aud": "chat" }), "-"),
    ] {
        assert_eq!(name_by(&authenticator, &hs256(claims.clone())).await, name, "{claims}");
    }
}

#[tokio::test]
async fn the_name_is_what_user_claim_says() {
    let mut config = with_secret();
    config.jwt.user_claim = "email".to_owned();
    let authenticator = authenticator(&config);
    for (claims, name) in [
        (json!({ "sub": "7", "email": "ann@example.com" }), "ann@example.com"),
        (json!({ "sub": "7", "email": 42 }), "42"),
        (json!({ "sub": "7" }), "-"),
        (json!({ "email": "" }), "-"),
        (json!({ "email": null }), "-"),
        (json!({ "email": ["ann"] }), "-"),
        (json!({ "email": -1 }), "-"),
        (json!({ "email": "session-0123456789abcdef" }), "-"),
        (json!({ "email": "a\nb" }), "-"),
        (json!({ "email": "x".repeat(256) }), &*"x".repeat(256)),
        (json!({ "email": "x".repeat(257) }), "-"),
    ] {
        assert_eq!(name_by(&authenticator, &hs256(claims.clone())).await, name, "{claims}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_principal_has_all_claims_and_the_time_when_they_expire() {
    let authenticator = authenticator(&with_secret());
    let claims = json!({ "sub": "ann", "roles": ["admin"], "exp": unix() + 600, "nested": { "a": 1 } });
    let ann = by_token(&authenticator, &hs256(claims.clone())).await.unwrap();
    assert_eq!(json!(ann.claims()), claims);
    // With the leeway, as the token is checked; the clock of tokens is read in between.
    let left = ann.expires().unwrap() - tokio::time::Instant::now().into_std();
    assert!((Duration::from_secs(628)..=Duration::from_secs(630)).contains(&left), "{left:?}");
    let endless = by_token(&authenticator, &hs256(json!({ "sub": "ann" }))).await.unwrap();
    assert_eq!(endless.expires(), None);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_as_long_as_it_says_and_the_leeway() {
    let mut config = with_secret();
    config.jwt.leeway = Duration::from_secs(30);
    let authenticator = authenticator(&config);
    let start = unix();
    let expiring = hs256(json!({ "sub": "ann", "exp": start + 100 }));
    let fraction = hs256(json!({ "sub": "ann", "exp": start as f64 + 99.5 }));
    let beginning = hs256(json!({ "sub": "ann", "nbf": start + 100 }));
    let mut good = vec![];
    // Two seconds around each edge are left out: the wall clock is read once, somewhere in a second.
    for seconds in [0, 68, 72, 127, 133] {
        let ahead =
            Duration::from_secs(seconds).saturating_sub(Duration::from_secs(good.last().map_or(0, |g: &(u64, _)| g.0)));
        tokio::time::advance(ahead).await;
        let mut names = vec![];
        for token in [&expiring, &fraction, &beginning] {
            names.push(name_by(&authenticator, token).await == "ann");
        }
        good.push((seconds, names));
    }
    let expected = [
        (0, vec![true, true, false]),
        (68, vec![true, true, false]),
        (72, vec![true, true, true]),
        (127, vec![true, true, true]),
        (133, vec![false, false, true]),
    ];
    assert_eq!(good, expected);
}

#[tokio::test]
async fn odd_dates_do_no_harm() {
    let authenticator = authenticator(&with_secret());
    for (claims, name) in [
        (json!({ "sub": "ann", "exp": u64::MAX }), "ann"),
        (json!({ "sub": "ann", "exp": 1e300 }), "ann"),
        (json!({ "sub": "ann", "nbf": -1e300 }), "ann"),
        (json!({ "sub": "ann", "exp": -5 }), "-"),
        (json!({ "sub": "ann", "exp": 0 }), "-"),
        (json!({ "sub": "ann", "nbf": 1e300 }), "-"),
        (json!({ "sub": "ann", "exp": "tomorrow" }), "-"),
        (json!({ "sub": "ann", "exp": null }), "-"),
        (json!({ "sub": "ann", "nbf": [] }), "-"),
    ] {
        assert_eq!(name_by(&authenticator, &hs256(claims.clone())).await, name, "{claims}");
    }
}
