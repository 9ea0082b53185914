//! The requests of the XHR transports as a server sees them.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;
use towpath::client::Options;
use towpath::client::sockjs::{SockJs, Transport};

use super::support::backend::{Backend, Say};
use super::{info, is, next, over, stream, within};

#[tokio::test]
async fn one_request_is_in_flight_and_all_that_is_pending_goes_in_the_next() {
    let answers = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&answers);
    let backend = Backend::start(move |asked, _| match () {
        () if is(asked, "/info") => info(),
        () if is(asked, "/xhr_streaming") => stream("o\n"),
        () => Say::When(Arc::clone(&permits), Box::new(Say::status(204, ""))),
    })
    .await;
    let session = SockJs::open(&backend.url("/echo"), &over(&[Transport::XhrStreaming])).await.unwrap();
    session.send("1").await.unwrap();
    backend.was_asked(3).await;
    for text in ["2", "3\"", "\u{1f600}"] {
        session.send(text).await.unwrap();
    }
    answers.add_permits(1);
    let asked = within("the second request", backend.was_asked(4)).await;
    answers.add_permits(1);
    within("the answer", session.flushed()).await.unwrap();
    let sends: Vec<_> = asked.iter().filter(|asked| is(asked, "/xhr_send")).collect();
    assert_eq!(
        sends.iter().map(|asked| asked.json()).collect::<Vec<_>>(),
        [json!(["1"]), json!(["2", "3\"", "\u{1f600}"])]
    );
    assert!(sends[0].headers["content-type"].starts_with("text/plain"));
    // The stream and the requests have a connection each.
    assert_eq!(backend.connections(), 3);
    assert_eq!(backend.asked().len(), 4);
}

#[tokio::test]
async fn what_may_be_pending_has_a_bound() {
    let answers = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&answers);
    let backend = Backend::start(move |asked, _| match () {
        () if is(asked, "/info") => info(),
        () if is(asked, "/xhr_streaming") => stream("o\n"),
        () => Say::When(Arc::clone(&permits), Box::new(Say::status(204, ""))),
    })
    .await;
    let options = Options { max_pending: 1000, ..over(&[Transport::XhrStreaming]) };
    let session = SockJs::open(&backend.url("/echo"), &options).await.unwrap();
    session.send("x".repeat(900)).await.unwrap();
    let sender = session.sender();
    let mut second = tokio::spawn(async move { sender.send("y".repeat(900)).await });
    backend.was_asked(3).await;
    assert!(!second.is_finished(), "the first is not answered");
    answers.add_permits(1);
    within("room", &mut second).await.unwrap().unwrap();
    within("the second request", backend.was_asked(4)).await;
}

#[tokio::test]
async fn polls_follow_each_other_on_one_connection() {
    let backend = Backend::start(|asked, number| match number {
        0 => info(),
        1 => Say::status(200, "o\n"),
        2 => Say::status(200, "h\n"),
        3..50 => Say::status(200, format!("a[\"{number}\"]\n")),
        _ if is(asked, "/xhr") => Say::hang(),
        _ => Say::status(204, ""),
    })
    .await;
    let mut session = SockJs::open(&backend.url("/echo"), &over(&[Transport::Xhr])).await.unwrap();
    for number in 3..50 {
        assert_eq!(next(&mut session).await, number.to_string());
    }
    assert_eq!(backend.connections(), 2, "info, and the polls");
    // A poll that hangs does not keep a session from closing.
    within("the session to close", session.close()).await;
}

#[tokio::test]
async fn headers_cookies_and_the_query_go_with_every_request() {
    let backend = Backend::start(|asked, number| {
        let cookie = |value: &str| vec![("Set-Cookie", format!("route={value}; path=/"))];
        match () {
            () if is(asked, "/info") => Say::Answer(200, cookie("a"), b"{}".to_vec()),
            () if is(asked, "/xhr") && number == 2 => Say::Answer(200, cookie("b"), b"o\n".to_vec()),
            () if is(asked, "/xhr") => Say::hang(),
            () if is(asked, "/xhr_send") => Say::status(200, "ok"),
            () => Say::status(404, ""),
        }
    })
    .await;
    let headers = [("Authorization", "Bearer t"), ("Cookie", "own=1"), ("Origin", "http://app.example")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = Options { headers, ..over(&[Transport::Websocket, Transport::Xhr]) };
    let session = SockJs::open(&backend.url("/echo?ticket=1&x=%20"), &options).await.unwrap();
    session.send("x").await.unwrap();
    within("the answer", session.flushed()).await.unwrap();
    let asked = within("all requests", backend.was_asked(5)).await;
    for asked in &asked {
        assert!(asked.line.contains("?ticket=1&x=%20"), "{asked:?}");
        assert_eq!(asked.headers["authorization"], "Bearer t");
        assert_eq!(asked.headers["origin"], "http://app.example");
    }
    assert!(asked[0].line.contains("&t="), "nobody in between answers info");
    let cookies: Vec<_> = asked.iter().map(|asked| asked.headers["cookie"].as_str()).collect();
    assert_eq!(cookies[..3], ["own=1", "own=1; route=a", "own=1; route=a"]);
    assert_eq!(cookies[3..], ["own=1; route=b", "own=1; route=b"]);
}
