//! Servers that end a session, in order or not, and those that never end.

use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use towpath::client::sockjs::{SockJs, Transport};
use towpath::client::{Cause, Ended, Options};

use super::support::backend::{Backend, Say};
use super::{ended, info, is, next, over, stream, within};

const SHORT: Duration = Duration::from_millis(200);

/// How a session ends whose stream goes on like this, and whose sends are answered like that.
async fn end_of(frames: &str, answer: Say, options: &Options) -> Ended {
    let streaming = stream(&format!("o\n{frames}"));
    let backend = Backend::start(move |asked, _| match () {
        () if is(asked, "/info") => info(),
        () if is(asked, "/xhr_streaming") => streaming.clone(),
        () => answer.clone(),
    })
    .await;
    let mut session = SockJs::open(&backend.url("/echo"), options).await.unwrap();
    session.send("x").await.unwrap();
    ended(&mut session).await
}

#[tokio::test]
async fn a_session_ends_as_the_server_says() {
    let options = over(&[Transport::XhrStreaming]);
    for (frames, cause, code, reason) in [
        ("c[3000,\"Go away!\"]\n", Cause::Closed, Some(3000), "Go away!"),
        ("c[2010,\"Another connection still open\"]\n", Cause::Closed, Some(2010), "Another connection still open"),
        ("c[1002,\"Connection interrupted\"]\n", Cause::Closed, Some(1002), "Connection interrupted"),
        ("h\no\n", Cause::Lost, Some(1006), "Server lost session"),
        ("a[1]\n", Cause::Violation, None, "a[1]"),
        ("x\n", Cause::Violation, None, "no frame"),
        ("c[3000]\n", Cause::Violation, None, "c[3000]"),
    ] {
        let ended = end_of(frames, Say::status(204, ""), &options).await;
        assert_eq!((ended.cause, ended.code), (cause, code), "{frames}: {ended}");
        assert!(ended.reason.contains(reason), "{frames}: {ended}");
    }
}

#[tokio::test]
async fn messages_that_are_not_taken_end_the_session() {
    let options = Options { request_timeout: SHORT, ..over(&[Transport::XhrStreaming]) };
    for (answer, complaint) in [
        (Say::status(404, ""), "status 404"),
        (Say::status(500, "Payload expected."), "status 500"),
        (Say::hang(), "within 200ms"),
        (Say::Raw(b"nonsense".to_vec()), ""),
        (Say::status(200, vec![b'x'; 1 << 20]), "more than"),
    ] {
        let ended = end_of("", answer, &options).await;
        assert_eq!((ended.cause, ended.code), (Cause::Lost, Some(1006)), "{complaint}: {ended}");
        assert!(ended.reason.contains(complaint), "{complaint}: {ended}");
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_or_breaks_off_is_lost() {
    let silent = Options { idle_timeout: Some(SHORT), ..over(&[Transport::XhrStreaming]) };
    let ended_by = end_of("h\n", Say::status(204, ""), &silent).await;
    assert_eq!((ended_by.cause, ended_by.reason.as_str()), (Cause::Lost, "nothing came for 200ms"));
    for (second, complaint) in [
        (Say::status(200, "a[\"cut sho"), "inside a frame"),
        (Say::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n".to_vec()), ""),
        (Say::status(404, ""), "status 404"),
        (Say::Raw(vec![]), ""),
    ] {
        let backend = Backend::start(move |_, number| match number {
            0 => info(),
            1 => Say::status(200, "o\n"),
            _ => second.clone(),
        })
        .await;
        let mut session = SockJs::open(&backend.url("/echo"), &over(&[Transport::Xhr])).await.unwrap();
        let ended = ended(&mut session).await;
        assert_eq!((ended.cause, ended.code), (Cause::Lost, Some(1006)), "{complaint}: {ended}");
        assert!(ended.reason.contains(complaint), "{complaint}: {ended}");
    }
}

#[tokio::test]
async fn a_server_that_answers_without_frames_is_not_asked_for_ever() {
    let backend = Backend::start(|_, number| match number {
        0 => info(),
        1 => Say::status(200, "o\n"),
        _ => Say::status(200, ""),
    })
    .await;
    let mut session = SockJs::open(&backend.url("/echo"), &over(&[Transport::Xhr])).await.unwrap();
    assert_eq!(ended(&mut session).await.cause, Cause::Violation);
    assert!(backend.asked().len() < 30);
}

/// A server whose stream never ends: it writes `piece` for ever. It tells how many it had written when it first could not go on.
async fn endless(piece: String) -> (String, mpsc::UnboundedReceiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/endless", listener.local_addr().unwrap());
    let (stuck, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (piece, stuck) = (piece.clone(), stuck.clone());
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                if head[..read].starts_with(b"GET") {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
                    return;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\no\n").await;
                let mut count = 0;
                loop {
                    let mut writing = pin!(stream.write_all(piece.as_bytes()));
                    let written = match tokio::time::timeout(SHORT, &mut writing).await {
                        Ok(written) => written,
                        Err(_) => {
                            let _ = stuck.send(count);
                            writing.await
                        }
                    };
                    if written.is_err() {
                        let _ = stuck.send(count);
                        return;
                    }
                    count += 1;
                }
            });
        }
    });
    (url, told)
}

#[tokio::test]
async fn a_frame_without_an_end_is_given_up() {
    let (url, mut told) = endless("x".repeat(100)).await;
    let options = Options { max_frame: 10_000, ..over(&[Transport::XhrStreaming]) };
    let mut session = SockJs::open(&url, &options).await.unwrap();
    let ended = ended(&mut session).await;
    assert_eq!(ended.cause, Cause::Violation, "{ended}");
    assert!(ended.reason.contains("longer than allowed"), "{ended}");
    // The connection is closed, although the session is still held.
    within("the server to notice", told.recv()).await.unwrap();
}

#[tokio::test]
async fn what_nobody_receives_is_not_read() {
    let text = "x".repeat(10_000);
    let (url, mut told) = endless(format!("a[\"{text}\"]\n")).await;
    let mut session = SockJs::open(&url, &over(&[Transport::XhrStreaming])).await.unwrap();
    assert_eq!(next(&mut session).await, text);
    let count = within("the server to be stuck", told.recv()).await.unwrap();
    assert!(count < 10_000, "{count} are read and kept");
    // And it goes on when somebody receives.
    for _ in 0..count + 100 {
        assert_eq!(next(&mut session).await, text);
    }
    session.close().await;
}
