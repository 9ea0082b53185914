//! HTTP requests: where a proof may stand, which one counts, and what becomes of the rest.
//!
//! Does not know: the answers to requests.

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use towpath::gateway::Visitor;

use super::*;

fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
}

fn name(visitor: Result<Visitor, Refused>) -> String {
    match visitor {
        Ok(visitor) => visitor.name().unwrap_or("nobody").to_owned(),
        Err(refused) => refused.to_string(),
    }
}

fn with_cookie() -> Config {
    let mut config = with_secret();
    config.auth.cookie = Some("access".to_owned());
    config
}

#[tokio::test]
async fn a_token_may_stand_in_three_places() {
    let authenticator = authenticator(&with_cookie());
    let token = hs256(json!({ "sub": "ann" }));
    let cases = [
        (headers(&[(AUTHORIZATION, &format!("Bearer {token}"))]), ["ann", "ann"]),
        (headers(&[(COOKIE, &format!("JSESSIONID=dummy; access={token}"))]), ["ann", "ann"]),
        (headers(&[(SEC_WEBSOCKET_PROTOCOL, &format!("v12.stomp, bearer.{token}"))]), ["nobody", "ann"]),
        (headers(&[(AUTHORIZATION, "Basic YTpi")]), ["nobody", "nobody"]),
        (headers(&[(COOKIE, &format!("other={token}"))]), ["nobody", "nobody"]),
        (headers(&[(COOKIE, "access=")]), ["nobody", "nobody"]),
        (HeaderMap::new(), ["nobody", "nobody"]),
    ];
    for (headers, expected) in cases {
        for (websocket, expected) in [false, true].into_iter().zip(expected) {
            let visitor = authenticator.identify(&headers, Some("t=17"), websocket).await;
            assert_eq!(name(visitor), expected, "{headers:?} {websocket}");
        }
    }
}

#[tokio::test]
async fn a_wrong_proof_is_refused_where_anybody_may_come_in() {
    let config = with_cookie();
    assert!(config.auth.anonymous);
    let authenticator = authenticator(&config);
    for wrong in ["x", "dummy.1", &hs256(json!({ "sub": "ann", "exp": 1 })), &hs256(json!({}))] {
        for headers in [
            headers(&[(AUTHORIZATION, &format!("Bearer {wrong}"))]),
            headers(&[(COOKIE, &format!("access={wrong}"))]),
            headers(&[(SEC_WEBSOCKET_PROTOCOL, &format!("bearer.{wrong}"))]),
        ] {
            assert_eq!(name(authenticator.identify(&headers, None, true).await), "not authenticated", "{headers:?}");
        }
    }
    let odd: HeaderMap = [(COOKIE, HeaderValue::from_bytes(b"access=\xff").unwrap())].into_iter().collect();
    assert_eq!(name(authenticator.identify(&odd, None, false).await), "not authenticated");
}

#[tokio::test]
async fn the_first_proof_counts_and_no_other_mends_it() {
    let config = with_cookie();
    let tickets = tickets();
    let authenticator = Authenticator::new(&config, Arc::clone(&tickets), None).unwrap();
    let now = tokio::time::Instant::now().into_std();
    let ticket = tickets.issue(Arc::new(Principal::named("tom")), 7, now).unwrap();
    let query = format!("t=1&ticket={}", ticket.expose());
    let token = |name: &str| hs256(json!({ "sub": name }));
    let all = headers(&[
        (AUTHORIZATION, &format!("Bearer {}", token("ann"))),
        (SEC_WEBSOCKET_PROTOCOL, &format!("bearer.{}", token("bob"))),
        (COOKIE, &format!("access={}", token("cyd"))),
    ]);
    assert_eq!(name(authenticator.identify(&all, Some(&query), true).await), "tom");
    assert_eq!(name(authenticator.identify(&all, Some("ticket=0"), true).await), "not authenticated");
    assert_eq!(name(authenticator.identify(&all, None, true).await), "ann");
    let mut fewer = all.clone();
    fewer.remove(AUTHORIZATION);
    assert_eq!(name(authenticator.identify(&fewer, None, true).await), "bob");
    assert_eq!(name(authenticator.identify(&fewer, None, false).await), "cyd");
    fewer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("bearer.x"));
    assert_eq!(name(authenticator.identify(&fewer, None, true).await), "not authenticated");
}

#[tokio::test(start_paused = true)]
async fn a_ticket_proves_its_user_for_its_time() {
    let tickets = tickets();
    let authenticator = Authenticator::new(&Config::default(), Arc::clone(&tickets), None).unwrap();
    let now = || tokio::time::Instant::now().into_std();
    let ticket = tickets.issue(Arc::new(Principal::named("ann")), 7, now()).unwrap();
    let query = format!("ticket={}", ticket.expose());
    let visitor = authenticator.identify(&HeaderMap::new(), Some(&query), false).await.unwrap();
    assert_eq!((visitor.name(), visitor.ticket.as_ref()), (Some("ann"), Some(&ticket)));
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(name(authenticator.identify(&HeaderMap::new(), Some(&query), false).await), "not authenticated");
}

#[tokio::test]
async fn without_keys_tokens_are_somebody_elses() {
    let mut config = Config::default();
    config.auth.cookie = Some("access".to_owned());
    let authenticator = authenticator(&config);
    assert!(!authenticator.is_configured());
    let all =
        headers(&[(AUTHORIZATION, "Bearer x"), (SEC_WEBSOCKET_PROTOCOL, "v12.stomp, bearer.x"), (COOKIE, "access=x")]);
    let visitor = authenticator.identify(&all, None, true).await.unwrap();
    assert!(visitor.principal.is_none());
    // A server behind a bridge may have tokens of its own.
    assert_eq!(visitor.subprotocols, ["v12.stomp", "bearer.x"]);
}

#[tokio::test]
async fn a_bridge_sees_the_offered_subprotocols_and_no_credential() {
    let authenticator = authenticator(&with_secret());
    let token = hs256(json!({ "sub": "ann" }));
    let headers =
        headers(&[(SEC_WEBSOCKET_PROTOCOL, &format!("chat.v2,BEARER.{token}")), (SEC_WEBSOCKET_PROTOCOL, "chat.v1")]);
    let visitor = authenticator.identify(&headers, None, true).await.unwrap();
    assert_eq!(visitor.subprotocols, ["chat.v2", "chat.v1"]);
    assert_eq!(visitor.name(), Some("ann"));
    assert!(visitor.headers.is_empty());
    assert!(!format!("{visitor:?}").contains(&token));
    assert!(authenticator.identify(&headers, None, false).await.unwrap().subprotocols.is_empty());
}
