//! The cookie by which load balancers keep a client on one machine.

use super::*;

const ENDPOINT: &str = "/cookie_needed_echo";

/// The first two parts of the cookie that an answer sets, which must be its only one.
fn assert_cookie(response: &Response, value: &str) {
    let cookie = response.header("Set-Cookie").unwrap_or_else(|| panic!("no cookie: {}", response.head()));
    let mut parts = cookie.split(';').map(str::trim);
    assert_eq!(parts.next(), Some(format!("JSESSIONID={value}").as_str()));
    assert_eq!(parts.next().map(str::to_lowercase).as_deref(), Some("path=/"));
}

/// Sends a request without a cookie and one with, and expects `dummy` and an echo.
async fn assert_cookies(gateway: &Gateway, request: impl Fn(&str) -> Request) {
    let (without, _stream) = gateway.open(request("without")).await;
    assert_eq!(without.status, 200);
    assert_not_cached(&without);
    assert_cookie(&without, "dummy");
    let (with, _stream) = gateway.open(request("with").header("Cookie", "a=b; JSESSIONID=abcdef")).await;
    assert_eq!(with.status, 200);
    assert_cookie(&with, "abcdef");
}

#[tokio::test]
async fn jsessionid_cookie_test_basic() {
    let response = gateway().await.request(Request::get(format!("{ENDPOINT}/info"))).await;
    assert_eq!(response.status, 200);
    assert_no_cookie(&response);
    let info: serde_json::Value = serde_json::from_slice(&response.body()).expect("info is JSON");
    assert_eq!(info["cookie_needed"], serde_json::Value::Bool(true));
}

#[tokio::test]
async fn jsessionid_cookie_test_xhr() {
    assert_cookies(&gateway().await, |id| Request::post(format!("{ENDPOINT}/000/{id}/xhr"))).await;
}

#[tokio::test]
async fn jsessionid_cookie_test_xhr_streaming() {
    assert_cookies(&gateway().await, |id| Request::post(format!("{ENDPOINT}/000/{id}/xhr_streaming"))).await;
}

#[tokio::test]
async fn jsessionid_cookie_test_eventsource() {
    assert_cookies(&gateway().await, |id| Request::get(format!("{ENDPOINT}/000/{id}/eventsource"))).await;
}

#[tokio::test]
async fn jsessionid_cookie_test_htmlfile() {
    assert_cookies(&gateway().await, |id| Request::get(format!("{ENDPOINT}/000/{id}/htmlfile?c=x"))).await;
}

#[tokio::test]
async fn jsessionid_cookie_test_jsonp() {
    let gateway = gateway().await;
    assert_cookies(&gateway, |id| Request::get(format!("{ENDPOINT}/000/{id}/jsonp?c=x"))).await;
    assert_cookies(&gateway, |id| Request::post(format!("{ENDPOINT}/000/{id}/jsonp_send")).body(r#"["x"]"#)).await;
}
