//! Which transport is taken, and why others are not.

use std::time::Duration;

use towpath::client::sockjs::{SockJs, Transport};
use towpath::client::{OpenError, Options};

use super::support::backend::{Backend, Say, nowhere};
use super::support::{Gateway, test_services};
use super::{info, is, next, over, stream, within};

/// Short, since the test waits for it; the slowest machine loses no more than a transport by it, and that one must be lost.
const SHORT: Duration = Duration::from_millis(300);

fn reasons(session: &SockJs) -> Vec<String> {
    session.fallbacks().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_proxy_that_strips_upgrade_leaves_streaming() {
    let backend = Backend::start(|asked, _| match () {
        () if is(asked, "/info") => info(),
        () if is(asked, "/websocket") => Say::status(400, "Can \"Upgrade\" only to \"WebSocket\"."),
        () if is(asked, "/xhr_streaming") => stream("o\na[\"hello\"]\n"),
        () => Say::status(500, ""),
    })
    .await;
    let mut session = SockJs::open(&backend.url("/echo"), &over(&Transport::ALL)).await.unwrap();
    assert_eq!(session.transport(), Transport::XhrStreaming);
    let [why] = reasons(&session).try_into().unwrap();
    assert!(why.starts_with("websocket: ") && why.ends_with("answered the handshake with status 400"), "{why}");
    assert_eq!(next(&mut session).await, "hello");
}

#[tokio::test]
async fn a_websocket_that_hangs_and_a_stream_that_is_buffered_leave_polling() {
    let backend = Backend::start(|asked, number| match () {
        () if is(asked, "/info") => info(),
        () if is(asked, "/websocket") => Say::hang(),
        // The head comes, and all of the rest is kept by whoever is in between.
        () if is(asked, "/xhr_streaming") => Say::Stall(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
        () if number == 3 => Say::status(200, "o\n"),
        () => Say::status(200, "a[\"polled\"]\n"),
    })
    .await;
    let options = Options { transport_timeout: SHORT, ..Options::default() };
    let mut session = within("a transport", SockJs::open(&backend.url("/echo"), &options)).await.unwrap();
    assert_eq!(session.transport(), Transport::Xhr);
    let [websocket, streaming] = reasons(&session).try_into().unwrap();
    assert!(websocket.starts_with("websocket: no open frame came within "), "{websocket}");
    assert!(streaming.starts_with("xhr_streaming: no open frame came within "), "{streaming}");
    assert_eq!(next(&mut session).await, "polled");
    // Each attempt is a session of its own, with ids as they ought to be.
    let asked = backend.asked();
    let ids = |line: &str| {
        let path: Vec<_> = line.split(' ').nth(1).unwrap().split('/').map(str::to_owned).collect();
        assert_eq!(path[1], "echo");
        (path[2].clone(), path[3].clone())
    };
    let mut seen: Vec<_> = asked[1..4].iter().map(|asked| ids(&asked.line)).collect();
    assert_eq!(ids(&asked[4].line), seen[2], "a poll belongs to the same session");
    for (server, session) in &seen {
        assert!(server.len() == 3 && server.parse::<u16>().is_ok(), "{server}");
        assert!(session.len() >= 8 && session.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{session}");
    }
    seen.dedup_by_key(|(_, session)| session.clone());
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn without_any_transport_every_reason_is_told() {
    let backend = Backend::start(|asked, _| match () {
        () if is(asked, "/info") => info(),
        () if is(asked, "/xhr_streaming") => Say::status(200, "<html>a login page</html>\n"),
        () if is(asked, "/xhr") => Say::status(403, ""),
        () => Say::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec()),
    })
    .await;
    let error = SockJs::open(&backend.url("/echo"), &over(&Transport::ALL)).await.unwrap_err();
    let OpenError::NoTransport(tried) = &error else { panic!("{error}") };
    assert_eq!(tried.iter().map(|tried| tried.transport).collect::<Vec<_>>(), Transport::ALL);
    for (tried, why) in tried.iter().zip(["broke off", "<html>", "status 403"]) {
        assert!(tried.why.contains(why), "{tried}");
        assert!(error.to_string().contains(&tried.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_on_purpose_ends_the_search() {
    for (frame, code) in [("c[3000,\"Go away!\"]", Some(3000)), ("c[1000,\"\"]", Some(1000)), ("c[2010,\"x\"]", None)] {
        let backend = Backend::start(move |asked, _| match () {
            () if is(asked, "/info") => info(),
            () if is(asked, "/xhr_streaming") => Say::status(200, format!("{frame}\n")),
            () => Say::status(200, "o\n"),
        })
        .await;
        let opened = SockJs::open(&backend.url("/echo"), &over(&[Transport::XhrStreaming, Transport::Xhr])).await;
        match (opened, code) {
            (Err(OpenError::Closed(ended)), Some(code)) => assert_eq!(ended.code, Some(code)),
            (Ok(session), None) => {
                let [why] = reasons(&session).try_into().unwrap();
                assert!(why.contains("2010"), "{why}");
            }
            (opened, _) => panic!("{frame}: {opened:?}"),
        }
    }
}

#[tokio::test]
async fn base_url_is_where_all_the_rest_goes() {
    let gateway = Gateway::start(test_services()).await;
    let base_url = format!("http://{}/echo", gateway.address());
    let backend = Backend::start(move |_, _| Say::json(serde_json::json!({ "base_url": base_url }))).await;
    for transport in Transport::ALL {
        let mut session = SockJs::open(&backend.url("/front"), &over(&[transport])).await.unwrap();
        session.send("hello").await.unwrap();
        assert_eq!(next(&mut session).await, "hello");
    }
    assert!(backend.asked().iter().all(|asked| is(asked, "/info")));
    let nonsense = Backend::start(|_, _| Say::status(200, r#"{"base_url":"/relative"}"#)).await;
    let error = SockJs::open(&nonsense.url("/front"), &over(&Transport::ALL)).await.unwrap_err();
    assert!(error.to_string().contains("base_url"), "{error}");
}

#[tokio::test]
async fn info_must_be_answered_and_need_not_be_json() {
    let backend = Backend::start(|asked, _| match () {
        () if is(asked, "/info") => Say::status(200, "not JSON"),
        () if is(asked, "/websocket") => Say::status(404, ""),
        () => Say::status(200, "o\n"),
    })
    .await;
    let session = SockJs::open(&backend.url("/echo"), &over(&[Transport::Websocket, Transport::Xhr])).await.unwrap();
    assert_eq!(session.fallbacks().len(), 1, "a websocket was tried");
    for (say, complaint) in [
        (Say::status(503, ""), "status 503"),
        (Say::status(302, ""), "status 302"),
        (Say::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec()), "invalid HTTP"),
        (Say::status(200, vec![b' '; 100_000]), "more than"),
        (Say::hang(), "within 300ms"),
        (Say::Stall(b"HTTP/1.1 200 OK\r\n\r\n{".to_vec()), "within 300ms"),
    ] {
        let backend = Backend::start(move |_, _| say.clone()).await;
        let options = Options { info_timeout: SHORT, ..Options::default() };
        let error = within("an error", SockJs::open(&backend.url("/echo"), &options)).await.unwrap_err();
        assert!(error.to_string().contains(complaint), "{complaint}: {error}");
    }
    let error = SockJs::open(&format!("http://{}/echo", nowhere().await), &Options::default()).await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}
