//! Websocket servers that misbehave. They are where info's `base_url` says.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use towpath::client::sockjs::{SockJs, Transport};
use towpath::client::{Cause, Link, OpenError, Options};

use super::support::backend::{Backend, Say};
use super::{ended, next, over, within};

/// A server that says these messages to whoever comes, and then reads to the end; it gives what it read.
async fn server(says: Vec<Message>) -> (Backend, String, JoinHandle<Vec<Message>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket: WebSocketStream<TcpStream> = tokio_tungstenite::accept_async(stream).await.unwrap();
        for message in says {
            socket.send(message).await.unwrap();
        }
        let mut heard = vec![];
        while let Some(Ok(message)) = socket.next().await {
            heard.push(message);
        }
        heard
    });
    let base_url = format!("http://{address}/x");
    let backend = Backend::start(move |_, _| Say::json(serde_json::json!({ "base_url": base_url }))).await;
    (backend, format!("ws://{address}/x"), serving)
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))
}

#[tokio::test]
async fn a_close_before_the_open_frame_is_taken_at_its_word_or_is_a_failure() {
    for (code, deliberate) in [(3000, true), (4999, true), (1000, true), (1011, false), (1001, false)] {
        let (backend, _, _serving) = server(vec![close(code, "no")]).await;
        let error = SockJs::open(&backend.url("/x"), &over(&[Transport::Websocket])).await.unwrap_err();
        match error {
            OpenError::Closed(ended) => assert!(deliberate && ended.code == Some(code), "{ended}"),
            OpenError::NoTransport(tried) => assert!(!deliberate && tried[0].why.contains("no"), "{tried:?}"),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_websocket_ends_as_the_server_says() {
    let texts = |texts: &[&'static str]| texts.iter().map(|text| Message::text(*text)).collect::<Vec<_>>();
    for (says, cause, code) in [
        (texts(&["o", "a[\"x\"]", "c[4001,\"done\"]"]), Cause::Closed, Some(4001)),
        ([texts(&["o", "m\"x\""]), vec![close(4002, "done")]].concat(), Cause::Closed, Some(4002)),
        (texts(&["", "o", "", "h", "a[\"x\"]", "o"]), Cause::Lost, Some(1006)),
        (texts(&["o", "a[\"x\"]", "nonsense"]), Cause::Violation, None),
        ([texts(&["o", "a[\"x\"]"]), vec![Message::binary(b"a[\"y\"]".to_vec())]].concat(), Cause::Violation, None),
    ] {
        let (backend, _, _serving) = server(says.clone()).await;
        let mut session = SockJs::open(&backend.url("/x"), &over(&[Transport::Websocket])).await.unwrap();
        assert_eq!(next(&mut session).await, "x");
        let ended = ended(&mut session).await;
        assert_eq!((ended.cause, ended.code), (cause, code), "{says:?}: {ended}");
    }
}

#[tokio::test]
async fn messages_before_the_open_frame_are_wrong() {
    let (backend, _, _serving) = server(vec![Message::text("a[\"x\"]")]).await;
    let error = SockJs::open(&backend.url("/x"), &over(&[Transport::Websocket])).await.unwrap_err();
    assert!(error.to_string().contains("before the open frame"), "{error}");
}

#[tokio::test]
async fn closing_sends_what_is_pending_and_says_goodbye() {
    let says = vec![Message::text("o"), Message::Ping(vec![7].into()), Message::text("a[\"x\"]")];
    let (backend, _, serving) = server(says).await;
    let mut session = SockJs::open(&backend.url("/x"), &over(&[Transport::Websocket])).await.unwrap();
    assert_eq!(next(&mut session).await, "x");
    session.send("1").await.unwrap();
    session.send("2").await.unwrap();
    within("the session to close", session.close()).await;
    let heard = within("the server's end", serving).await.unwrap();
    assert!(heard.contains(&Message::Pong(vec![7].into())), "{heard:?}");
    let texts: String =
        heard.iter().filter_map(|message| message.to_text().ok()).filter(|text| text.starts_with('[')).collect();
    assert!(matches!(texts.as_str(), r#"["1","2"]"# | r#"["1"]["2"]"#), "{heard:?}");
    assert!(matches!(heard.last(), Some(Message::Close(Some(frame))) if u16::from(frame.code) == 1000), "{heard:?}");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_not_read() {
    let large = format!("a[\"{}\"]", "x".repeat(10_000));
    let (backend, _, _serving) = server(vec![Message::text("o"), Message::text(large)]).await;
    let options = Options { max_frame: 5000, ..over(&[Transport::Websocket]) };
    let mut session = SockJs::open(&backend.url("/x"), &options).await.unwrap();
    let ended = ended(&mut session).await;
    assert_eq!(ended.cause, Cause::Violation, "{ended}");
}

#[tokio::test]
async fn a_bare_websocket_carries_text_and_bytes() {
    let (_backend, url, serving) = server(vec![Message::text("text"), Message::binary(vec![0xff])]).await;
    let mut link = Link::open(&url, &Options::default()).await.unwrap();
    link.send("é".into()).await.unwrap();
    link.send(vec![0xfe].into()).await.unwrap();
    assert_eq!(within("text", link.receive()).await.unwrap(), "text");
    assert_eq!(within("bytes", link.receive()).await.unwrap(), [0xff].as_slice());
    within("the link to close", link.close()).await;
    let heard = within("the server's end", serving).await.unwrap();
    assert_eq!(heard[..2], [Message::text("é"), Message::binary(vec![0xfe])]);
}

#[tokio::test]
async fn a_bare_websocket_tells_how_it_ended() {
    let (_backend, url, serving) = server(vec![Message::text("last words"), close(3001, "enough")]).await;
    let mut link = Link::open(&url, &Options::default()).await.unwrap();
    assert_eq!(within("text", link.receive()).await.unwrap(), "last words");
    let ended = within("the end", link.receive()).await.unwrap_err();
    assert_eq!((ended.cause, ended.code, ended.reason.as_str()), (Cause::Closed, Some(3001), "enough"));
    // The server's close was answered.
    let heard = within("the server's end", serving).await.unwrap();
    assert!(matches!(heard.last(), Some(Message::Close(Some(frame))) if u16::from(frame.code) == 3001), "{heard:?}");
}
