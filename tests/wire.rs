//! What the wire layer reads of servers that do all sorts of things: pieces as they were sent, and an end in any case.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use towpath::wire::{
    Closing, Connection, Fault, Framing, Limits, Load, Opcode, Request, Response, Target, WebSocket, WebSocketFrame,
};

/// Short, so that what never comes is given up soon; what does come is there at once.
const LIMITS: Limits = Limits { patience: Duration::from_millis(300), head: 4096, body: 64 << 10 };

/// A server that reads one request's head and then does what it is told with the connection.
async fn server<F: Future<Output = ()> + Send>(act: impl Fn(TcpStream) -> F + Send + 'static) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::parse(&format!("http://{}/base", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            act(stream).await;
        }
    });
    target
}

/// A server that says this and hangs up.
async fn saying(text: &'static str) -> Target {
    server(async move |mut stream: TcpStream| {
        let _ = stream.write_all(text.as_bytes()).await;
    })
    .await
}

async fn ask(target: &Target) -> Result<Response, Fault> {
    let mut connection = Connection::open(target, &Load::new(1), LIMITS).await?;
    connection.ask(&Request::get(target.path("/x")), target).await
}

fn pieces(response: &Response) -> Vec<String> {
    response.pieces.iter().map(|piece| String::from_utf8_lossy(&piece.bytes).into_owned()).collect()
}

#[tokio::test]
async fn each_chunk_is_a_piece_however_it_was_cut() {
    let target = server(async |mut stream: TcpStream| {
        for part in [
            "HTTP/1.1 200 OK\r\nTransfer-Enc",
            "oding: chunked\r\n\r\n2\r\no\n\r\n",
            "5;x=y\r\na[\"b",
            "\"\r\n0\r\n\r\n",
        ] {
            stream.write_all(part.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await;
    let response = ask(&target).await.unwrap();
    assert_eq!((response.framing, pieces(&response)), (Framing::Chunked, vec!["o\n".to_owned(), "a[\"b\"".to_owned()]));
}

#[tokio::test]
async fn the_other_framings_are_read_to_their_end() {
    let counted = ask(&saying("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef").await).await.unwrap();
    assert_eq!((counted.framing, counted.text().as_str()), (Framing::Length(3), "abc"));
    let closed = ask(&saying("HTTP/1.0 200 OK\r\n\r\nabcdef").await).await.unwrap();
    assert_eq!((closed.framing, closed.text().as_str()), (Framing::UntilClose, "abcdef"));
    let none = ask(&saying("HTTP/1.1 204 No Content\r\n\r\nabc").await).await.unwrap();
    assert_eq!((none.framing, none.text().as_str()), (Framing::None, ""));
    let continued =
        ask(&saying("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await).await;
    assert_eq!(continued.unwrap().status(), 200);
}

#[tokio::test]
async fn what_is_cut_short_is_told_from_what_is_complete() {
    for text in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
    ] {
        let fault = ask(&saying(text).await).await.unwrap_err();
        assert!(matches!(fault, Fault::Ended(..)), "{text:?}: {fault}");
    }
}

#[tokio::test]
async fn garbage_is_shown() {
    for text in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    ] {
        let fault = ask(&saying(text).await).await.unwrap_err();
        assert!(matches!(fault, Fault::Garbage(_)), "{text:?}: {fault}");
    }
}

#[tokio::test]
async fn a_silent_server_and_one_that_trickles_are_given_up() {
    let silent = server(async |stream: TcpStream| {
        tokio::time::sleep(Duration::from_secs(30)).await;
        drop(stream);
    })
    .await;
    assert!(matches!(ask(&silent).await, Err(Fault::Late("answer", _))));

    let trickling = server(async |mut stream: TcpStream| {
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(matches!(ask(&trickling).await, Err(Fault::Late(..))));

    let trickling_body = server(async |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(matches!(ask(&trickling_body).await, Err(Fault::Late("end of the answer", _))));
}

#[tokio::test]
async fn endless_heads_and_bodies_have_an_end() {
    for (head, most) in [
        ("HTTP/1.1 200 OK\r\n", LIMITS.head),
        ("HTTP/1.1 200 OK\r\n\r\n", LIMITS.body),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", LIMITS.body),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", LIMITS.body),
    ] {
        let target = server(async move |mut stream: TcpStream| {
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&[b'x'; 1000]).await.is_ok() {}
        })
        .await;
        assert_eq!(ask(&target).await.unwrap_err(), Fault::Endless(most), "{head:?}");
    }
}

/// What comes in pieces that are as good as nothing has an end, too, and so has what is passed over.
#[tokio::test]
async fn endless_little_pieces_have_an_end() {
    for (head, piece, most) in [
        ("", "HTTP/1.1 100 Continue\r\n\r\n", LIMITS.head),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", LIMITS.body),
    ] {
        let target = endless(head, piece).await;
        let mut connection = Connection::open(&target, &Load::new(1), LIMITS).await.unwrap();
        assert_eq!(connection.ask(&Request::get("/"), &target).await.unwrap_err(), Fault::Endless(most), "{piece:?}");
    }
}

/// A server that says the first once and the second for ever.
async fn endless(first: &'static str, piece: &'static str) -> Target {
    server(async move |mut stream: TcpStream| {
        let _ = stream.write_all(first.as_bytes()).await;
        while stream.write_all(piece.repeat(100).as_bytes()).await.is_ok() {}
    })
    .await
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    assert!(matches!(ask(&target).await, Err(Fault::Unreachable(_))));
}

#[tokio::test]
async fn an_orderly_end_is_told_from_a_reset() {
    let orderly = saying("HTTP/1.1 204 No Content\r\n\r\n").await;
    let resetting = server(async |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        // The answer has been read when the test's next byte comes, and no reset can overtake it.
        let _ = stream.read_u8().await;
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    for (target, expected) in [(orderly, true), (resetting, false)] {
        let mut connection = Connection::open(&target, &Load::new(1), LIMITS).await.unwrap();
        connection.ask(&Request::get("/"), &target).await.unwrap();
        let _ = connection.write(b"x").await;
        assert_eq!(connection.closed().await, Ok(expected));
    }
}

#[tokio::test]
async fn the_load_is_bounded_and_counted() {
    let target = saying("HTTP/1.1 204 No Content\r\n\r\n").await;
    let load = Load::new(1);
    let first = Connection::open(&target, &load, LIMITS).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(50), Connection::open(&target, &load, LIMITS)).await;
    assert!(waiting.is_err(), "the second waits for the first to go");
    drop(first);
    let mut second = Connection::open(&target, &load, LIMITS).await.unwrap();
    let request = Request::get("/");
    second.ask(&request, &target).await.unwrap();
    let spent = load.spent();
    assert_eq!((spent.sent, spent.received), (request.encode(&target).len() as u64, 27));
}

const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

async fn websocket(target: &Target) -> Result<Result<(WebSocket, towpath::wire::Head), towpath::wire::Head>, Fault> {
    WebSocket::open(target, &Load::new(1), LIMITS, &Request::websocket(target.path("/websocket"))).await
}

/// Neither pings nor empty pieces make a message, however many come.
#[tokio::test]
async fn a_message_that_never_comes_is_given_up() {
    for frame in [b"\x89\0", b"\x01\0"] {
        let target = server(async move |mut stream: TcpStream| {
            let _ = stream.write_all(ACCEPTED.as_bytes()).await;
            while stream.write_all(&frame.repeat(100)).await.is_ok() {}
        })
        .await;
        let (mut websocket, _) = websocket(&target).await.unwrap().unwrap();
        let message = websocket.message().await;
        assert!(matches!(message, Err(Fault::Late(..))), "{message:?}");
    }
}

#[tokio::test]
async fn websocket_frames_come_as_they_were_sent() {
    let target = server(async |mut stream: TcpStream| {
        stream.write_all(ACCEPTED.as_bytes()).await.unwrap();
        // A ping, a message in two frames with a pong between them, and a goodbye.
        let frames = [&b"\x89\x01p\x01\x01a"[..], b"\x8a\x00\x80\x01b", b"\x88\x05\x0b\xb8Bye"];
        stream.write_all(&frames.concat()).await.unwrap();
        let mut pong = [0; 7];
        let _ = stream.read_exact(&mut pong).await;
        assert_eq!(pong[0], 0x8a);
    })
    .await;
    let (mut websocket, _) = websocket(&target).await.unwrap().unwrap();
    assert_eq!(websocket.message().await, Ok(Ok("ab".into())));
    assert_eq!(websocket.message().await, Ok(Err(Closing::Frame(Some(3000), "Bye".to_owned()))));
}

#[tokio::test]
async fn a_handshake_that_is_wrong_is_an_answer_and_a_frame_that_is_wrong_a_fault() {
    let refused = websocket(&saying("HTTP/1.1 400 Bad Request\r\n\r\n").await).await.unwrap();
    assert_eq!(refused.err().map(|head| head.status), Some(400));
    let other_hash = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    assert!(websocket(&saying(other_hash).await).await.unwrap().is_err());

    for (frame, garbage) in
        [(&b"\x81\x81aaaax"[..], true), (b"\xc1\x01x", true), (b"\x81\x7f\x00\xff\xff\xff\xff\xff\xff\xff", false)]
    {
        let target = server(async move |mut stream: TcpStream| {
            stream.write_all(ACCEPTED.as_bytes()).await.unwrap();
            stream.write_all(frame).await.unwrap();
        })
        .await;
        let (mut websocket, _) = websocket(&target).await.unwrap().unwrap();
        let fault = websocket.frame().await.unwrap_err();
        assert_eq!(matches!(fault, Fault::Garbage(_)), garbage, "{fault}");
        assert_eq!(matches!(fault, Fault::Endless(_)), !garbage, "{fault}");
    }
}

#[tokio::test]
async fn control_frames_are_shown_where_frames_are_asked_for() {
    let target = server(async |mut stream: TcpStream| {
        stream.write_all(ACCEPTED.as_bytes()).await.unwrap();
        stream.write_all(b"\x89\x00").await.unwrap();
    })
    .await;
    let (mut websocket, _) = websocket(&target).await.unwrap().unwrap();
    assert_eq!(websocket.frame().await, Ok(Some(WebSocketFrame::control(Opcode::Ping, ""))));
    assert_eq!(websocket.frame().await, Ok(None));
}

/// Whoever looks at a stream waits now and then in vain, and in the middle of a chunk as well.
#[tokio::test]
async fn a_chunk_that_was_waited_for_in_vain_is_there_when_it_is_asked_for_again() {
    let (go, told) = tokio::sync::oneshot::channel::<()>();
    let told = std::sync::Mutex::new(Some(told));
    let target = server(move |mut stream: TcpStream| {
        let told = told.lock().unwrap().take();
        async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na[").await.unwrap();
            told.expect("one connection").await.unwrap();
            stream.write_all(b"\"b\"\r\n0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let mut connection = Connection::open(&target, &Load::new(1), LIMITS).await.unwrap();
    connection.begin(&Request::get(target.path("/x")), &target).await.unwrap();
    assert!(matches!(connection.piece().await, Err(Fault::Late(..))));
    go.send(()).unwrap();
    assert_eq!(&connection.piece().await.unwrap().expect("a chunk").bytes[..], b"a[\"b\"");
    assert!(connection.piece().await.unwrap().is_none());
}
