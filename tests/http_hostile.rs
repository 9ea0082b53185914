//! Bad input below SockJS: requests that are broken, unfinished, too large, or meant to confuse whoever stands in front. Each
//! gets its answer or the end of its connection, and while all of it happens another session talks on undisturbed.

mod support;

use std::io;
use std::time::Duration;

use support::metrics::Meter;
use support::{Client, Frame, Gateway, Http, Request, Response, Transport, echo, serving, test_services};
use tokio::time::{Instant, sleep};
use towpath::config::{Config, Endpoint};

/// A gateway with a session on it that must not notice anything.
struct Scene {
    gateway: Gateway,
    bystander: Client,
}

impl Scene {
    async fn over(gateway: Gateway) -> Self {
        let mut bystander = Client::open(&gateway, Transport::XhrStreaming, "/echo", "bystander").await;
        assert_eq!(bystander.next().await, Frame::Open);
        Self { gateway, bystander }
    }

    async fn tcp() -> Self {
        Self::over(Gateway::start(test_services()).await).await
    }

    async fn in_memory() -> Self {
        Self::over(Gateway::in_memory(test_services()).await).await
    }

    /// The gateway lives, and so does the other session.
    async fn undisturbed(mut self) {
        assert_eq!(self.gateway.request(Request::get("/echo")).await.text(), "Welcome to SockJS!\n");
        self.bystander.send(&["undisturbed"]).await;
        assert_eq!(self.bystander.message().await, "undisturbed");
    }

    /// Sends bytes on a new connection and reads all that comes until it ends or an answer is complete.
    async fn answer(&self, bytes: &[u8]) -> (Option<Response>, Http) {
        let mut http = self.gateway.http().await;
        // The gateway may have enough before it has all.
        let _ = http.try_send_raw(bytes).await;
        let response = match http.try_head().await {
            Ok(Some(mut head)) => {
                while let Ok(Some(chunk)) = http.try_chunk().await {
                    head.chunks.push(chunk);
                }
                Some(head)
            }
            Ok(None) | Err(_) => None,
        };
        (response, http)
    }

    async fn status(&self, bytes: &[u8]) -> u16 {
        self.answer(bytes).await.0.map_or(0, |response| response.status)
    }
}

/// Whether the connection ends now, in whatever way.
async fn ends(http: &mut Http) -> bool {
    match http.rest().await {
        Ok(rest) => rest.is_empty(),
        Err(error) => matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe),
    }
}

/// A GET of the greeting with these lines in its head.
fn get(lines: &str) -> Vec<u8> {
    format!("GET /echo HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").into_bytes()
}

/// A POST to a session that does not exist, with these lines in its head, and this body.
fn post(lines: &str, body: &str) -> Vec<u8> {
    format!("POST /echo/0/hostile/xhr HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn requests_with_broken_heads_are_refused_and_their_connection_ends() {
    let scene = Scene::tcp().await;
    for (name, bytes) in [
        ("Content-Length with a sign", post("Content-Length: +5\r\n", "12345")),
        ("negative Content-Length", post("Content-Length: -5\r\n", "12345")),
        ("Content-Length of letters", post("Content-Length: five\r\n", "12345")),
        ("Content-Length beyond numbers", post("Content-Length: 99999999999999999999\r\n", "12345")),
        ("Content-Length as a list", post("Content-Length: 5, 5\r\n", "12345")),
        ("two Content-Lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "12345")),
        ("Transfer-Encoding identity", post("Transfer-Encoding: identity\r\n", "12345")),
        ("Transfer-Encoding xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")),
        ("space before a colon", get("Accept : a\r\n")),
        ("folded header", get("Accept: a\r\n b\r\n")),
        ("NUL in a header", get("Accept: a\0b\r\n")),
        ("lone CR in a header", get("Accept: a\rb\r\n")),
        ("no colon", get("Accept\r\n")),
        ("HTTP/0.9", b"GET /echo\r\n\r\n".to_vec()),
        ("HTTP/3.7", b"GET /echo HTTP/3.7\r\nHost: localhost\r\n\r\n".to_vec()),
        ("no request at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("a STOMP frame", b"CONNECT\naccept-version:1.2\nhost:localhost\n\n\0\r\n\r\n".to_vec()),
    ] {
        let (response, mut http) = scene.answer(&bytes).await;
        assert_eq!(response.map(|response| response.status), Some(400), "{name}");
        assert!(ends(&mut http).await, "{name}");
    }
    assert_eq!(scene.gateway.sessions("/echo"), (1, 0), "none of them opened a session");
    scene.undisturbed().await;
}

#[tokio::test]
async fn content_length_beside_transfer_encoding_hides_no_second_request() {
    let scene = Scene::tcp().await;
    let hidden = "GET /echo/info HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let lines = format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", 5 + hidden.len());
    let (response, mut http) = scene.answer(&post(&lines, &format!("0\r\n\r\n{hidden}"))).await;
    // Either answer will do; what matters is that the connection is not used any further.
    let response = response.expect("an answer");
    assert!(matches!(response.status, 200 | 400), "{}", response.head());
    assert!(ends(&mut http).await, "the rest is no request");
    scene.undisturbed().await;
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let scene = Scene::tcp().await;
    let many: String = (0..101).map(|n| format!("X-{n}: x\r\n")).collect();
    assert_eq!(scene.status(&get(&many)).await, 431, "101 headers");
    let long = format!("X-Long: {}\r\n", "x".repeat(1 << 20));
    assert!([431, 0].contains(&scene.status(&get(&long)).await), "a header of 1 MiB");
    let uri = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(100_000));
    assert!([414, 431, 0].contains(&scene.status(uri.as_bytes()).await), "a URI of 100 kB");
    let blank = "\r\n".repeat(2 << 20);
    let status = scene.status(blank.as_bytes()).await;
    assert!([431, 400, 0].contains(&status), "4 MB of blank lines: {status}");
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_chunk_s_extension_cannot_go_on_for_ever() {
    let scene = Scene::tcp().await;
    let session = Request::post("/echo/0/chunks/xhr");
    assert_eq!(scene.gateway.request(session).await.text(), "o\n");
    let head = "POST /echo/0/chunks/xhr_send HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let extended = format!("{head}5;{}", "x".repeat(8 << 20));
    assert!([400, 0].contains(&scene.status(extended.as_bytes()).await), "8 MB of chunk extension");
    for broken in ["zz\r\n", "-1\r\n", "fffffffffffffffff\r\n", "5\r\n[]   x\r\n"] {
        let status = scene.status(format!("{head}{broken}").as_bytes()).await;
        assert!([400, 0].contains(&status), "{broken:?}: {status}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn what_is_odd_but_right_is_served() {
    let scene = Scene::tcp().await;
    for (name, bytes) in [
        ("bare line feeds", b"GET /echo HTTP/1.1\nHost: localhost\n\n".to_vec()),
        ("a blank line first", b"\r\nGET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("an absolute URI", b"GET http://other.example/echo HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("Expect: 100-continue without a body", get("Expect: 100-continue\r\n")),
        ("HTTP/1.0 without Host", b"GET /echo HTTP/1.0\r\n\r\n".to_vec()),
        ("an empty Host", b"GET /echo HTTP/1.1\r\nHost:\r\n\r\n".to_vec()),
    ] {
        let (response, _) = scene.answer(&bytes).await;
        let response = response.unwrap_or_else(|| panic!("{name}"));
        assert_eq!((response.status, response.text().as_str()), (200, "Welcome to SockJS!\n"), "{name}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_request_names_exactly_one_host() {
    let scene = Scene::tcp().await;
    for path in ["/", "/echo", "/echo/info", "/nothing"] {
        for hosts in ["", "Host: a\r\nHost: b\r\n", "Host: a\r\nHost: a\r\n"] {
            let bytes = format!("GET {path} HTTP/1.1\r\n{hosts}\r\n");
            assert_eq!(scene.status(bytes.as_bytes()).await, 400, "{path} {hosts:?}");
        }
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn methods_and_targets_that_are_nothing_of_ours() {
    let scene = Scene::tcp().await;
    for (line, status) in [
        ("CONNECT localhost:80 HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 404),
        ("TRACE /echo HTTP/1.1", 405),
        ("TRACE / HTTP/1.1", 405),
        ("BREW /echo HTTP/1.1", 405),
        ("BREW /echo/0/0/xhr HTTP/1.1", 405),
        ("get /echo HTTP/1.1", 405),
        ("POST / HTTP/1.1", 405),
        ("PRI * HTTP/1.1", 404),
        ("GET /echo/../echo HTTP/1.1", 404),
        ("GET /%65cho HTTP/1.1", 404),
        ("GET /echo//info HTTP/1.1", 404),
        ("GET /ECHO HTTP/1.1", 404),
        ("GET /echoes HTTP/1.1", 404),
    ] {
        let bytes = format!("{line}\r\nHost: localhost\r\n\r\n");
        let (response, _) = scene.answer(bytes.as_bytes()).await;
        let response = response.unwrap_or_else(|| panic!("{line}"));
        assert_eq!(response.status, status, "{line}");
        assert_eq!(response.header("Allow").is_some(), status == 405, "{line}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn expectations_that_cannot_be_met_are_refused() {
    let scene = Scene::tcp().await;
    assert_eq!(scene.status(&get("Expect: evil\r\n")).await, 417);
    // The one that can be met: the body is asked for, then taken.
    assert_eq!(scene.gateway.request(Request::post("/echo/0/expects/xhr")).await.text(), "o\n");
    let mut http = scene.gateway.http().await;
    let head = "POST /echo/0/expects/xhr_send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    http.send_raw(head.as_bytes()).await;
    assert_eq!(http.head().await.status, 100);
    http.send_raw(br#"["x"]"#).await;
    assert_eq!(http.response().await.status, 204);
    scene.undisturbed().await;
}

#[tokio::test]
async fn head_has_no_body_whatever_the_answer() {
    let scene = Scene::tcp().await;
    let mut http = scene.gateway.http().await;
    for (path, status) in [("/", 200), ("/echo", 405), ("/echo/0/0/xhr", 405), ("/nothing", 404), ("/echo/info", 405)] {
        let response = http.exchange(&Request::new("HEAD", path)).await;
        assert_eq!((response.status, response.text().as_str()), (status, ""), "{path}");
    }
    // Were there a body, this would read it for a head.
    assert_eq!(http.exchange(&Request::get("/echo")).await.status, 200);
    scene.undisturbed().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let scene = Scene::tcp().await;
    let mut http = scene.gateway.http().await;
    let requests = [
        Request::post("/echo/0/pipe/xhr"),
        Request::post("/echo/0/pipe/xhr_send").body(r#"["a"]"#),
        Request::post("/echo/0/pipe/xhr_send").body(r#"["b"]"#),
        Request::post("/echo/0/pipe/xhr"),
        Request::get("/echo/nothing"),
        Request::post("/close/0/pipe/xhr_streaming").body("a body that means nothing"),
        Request::get("/echo"),
    ];
    http.send_raw(&requests.iter().flat_map(Request::to_bytes).collect::<Vec<_>>()).await;
    let stream = "h".repeat(2048) + "\no\nc[3000,\"Go away!\"]\n";
    for (status, body) in [
        (200, "o\n"),
        (204, ""),
        (204, ""),
        (200, "a[\"a\",\"b\"]\n"),
        (404, "Not found\n"),
        (200, stream.as_str()),
        (200, "Welcome to SockJS!\n"),
    ] {
        let response = http.response().await;
        assert_eq!((response.status, response.text().as_str()), (status, body));
    }
    scene.undisturbed().await;
}

/// An endpoint that takes bodies of 1000 bytes, with a session on it.
async fn narrow() -> Scene {
    let config = serving([Endpoint { max_body: 1000, max_message: 1000, ..echo() }]);
    let scene = Scene::over(Gateway::start(config).await).await;
    assert_eq!(scene.gateway.request(Request::post("/echo/0/narrow/xhr")).await.text(), "o\n");
    scene
}

const TOO_LARGE: &str = "The body is larger than this endpoint's max_body, 1000 bytes\n";

#[tokio::test]
async fn a_body_that_announces_too_much_is_refused_before_it_comes() {
    let meter = Meter::install();
    let scene = narrow().await;
    let mut http = scene.gateway.http().await;
    let head = "POST /echo/0/narrow/xhr_send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n";
    http.send_raw(head.as_bytes()).await;
    let response = http.response().await;
    assert_eq!((response.status, response.text().as_str()), (413, TOO_LARGE));
    assert_eq!(meter.limit_reached("max_body"), 1);
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_body_that_does_not_announce_itself_is_cut_at_the_limit() {
    let meter = Meter::install();
    let scene = narrow().await;
    let mut http = scene.gateway.http().await;
    let head = "POST /echo/0/narrow/xhr_send HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    http.send_raw(head.as_bytes()).await;
    for _ in 0..11 {
        http.send_raw(format!("64\r\n{}\r\n", "x".repeat(100)).as_bytes()).await;
    }
    // The end of the body never comes.
    let response = http.response().await;
    assert_eq!((response.status, response.text().as_str()), (413, TOO_LARGE));
    assert_eq!(meter.limit_reached("max_body"), 1);

    let fits = format!("{head}5\r\n[\"x\"]\r\n0\r\n\r\n");
    assert_eq!(scene.status(fits.as_bytes()).await, 204);
    let polled = scene.gateway.request(Request::post("/echo/0/narrow/xhr")).await;
    assert_eq!(polled.text(), "a[\"x\"]\n", "nothing of what was refused");
    scene.undisturbed().await;
}

/// Clients that write all of a large body before they read the answer must be able to read it then.
#[tokio::test]
async fn the_refusal_of_a_large_body_can_be_read_after_all_of_it_was_sent() {
    let scene = narrow().await;
    // More than the buffers of both ends hold, and less.
    for size in [8 << 20, 100_000].repeat(5) {
        let request = Request::post("/echo/0/narrow/xhr_send").body("x".repeat(size)).to_bytes();
        assert_eq!(scene.status(&request).await, 413, "{size}");
    }
    scene.undisturbed().await;
}

#[tokio::test(start_paused = true)]
async fn half_a_body_is_waited_for_until_body_timeout() {
    let meter = Meter::install();
    let scene = Scene::in_memory().await;
    for (transport, half) in [
        (Transport::Xhr, "Content-Length: 10\r\n\r\n[\"x"),
        (Transport::Xhr, "Transfer-Encoding: chunked\r\n\r\n3\r\n[\"x\r\n"),
        (Transport::Jsonp, "Content-Length: 10\r\n\r\n[\"x"),
    ] {
        let before = meter.limit_reached("body_timeout");
        let id = format!("half-{before}");
        let mut client = Client::open(&scene.gateway, transport, "/echo", &id).await;
        assert_eq!(client.next().await, Frame::Open);
        client.listen().await;
        let segment = transport.sending_segment().expect("a sender");
        let mut http = scene.gateway.http().await;
        let since = Instant::now();
        http.send_raw(format!("POST /echo/0/{id}/{segment} HTTP/1.1\r\nHost: localhost\r\n{half}").as_bytes()).await;
        let response = http.response().await;
        assert_eq!(response.status, 408);
        assert_eq!(response.header("Connection"), Some("close"));
        assert!(response.text().contains("body_timeout"), "{}", response.text());
        assert!((Duration::from_secs(30)..Duration::from_secs(31)).contains(&since.elapsed()), "{:?}", since.elapsed());
        assert!(ends(&mut http).await);
        assert_eq!(meter.limit_reached("body_timeout"), before + 1);
    }
    scene.undisturbed().await;
}

#[tokio::test(start_paused = true)]
async fn connections_that_say_nothing_or_half_a_head_end_after_header_timeout() {
    let scene = Scene::in_memory().await;
    for beginning in ["", "GET /echo HTTP/1.1\r\nHost: loc", "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut http = scene.gateway.http().await;
        let since = Instant::now();
        http.send_raw(beginning.as_bytes()).await;
        if beginning.ends_with("\r\n\r\n") {
            // Answered, and kept alive for another one that does not come.
            assert_eq!(http.response().await.status, 200);
        }
        assert!(ends(&mut http).await, "{beginning:?}");
        assert!((Duration::from_secs(30)..Duration::from_secs(31)).contains(&since.elapsed()), "{:?}", since.elapsed());
    }
    // One byte now and then does not help.
    let mut http = scene.gateway.http().await;
    let since = Instant::now();
    for byte in "GET /echo HTTP/1.1\r\n".bytes().cycle() {
        if http.try_send_raw(&[byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    assert!(since.elapsed() < Duration::from_secs(33), "{:?}", since.elapsed());
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_body_that_ends_before_its_end_delivers_nothing() {
    let scene = narrow().await;
    let mut http = scene.gateway.http().await;
    let head = "POST /echo/0/narrow/xhr_send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\n[\"x\"]";
    http.send_raw(head.as_bytes()).await;
    drop(http);
    // What is sent afterwards is all that arrives.
    let sent = scene.gateway.request(Request::post("/echo/0/narrow/xhr_send").body(r#"["y"]"#)).await;
    assert_eq!(sent.status, 204);
    let polled = scene.gateway.request(Request::post("/echo/0/narrow/xhr")).await;
    assert_eq!(polled.text(), "a[\"y\"]\n");
    scene.undisturbed().await;
}

#[tokio::test]
async fn bodies_for_sessions_that_cannot_take_them_are_not_collected() {
    let scene = Scene::tcp().await;
    assert_eq!(scene.gateway.request(Request::post("/close/0/closing/xhr")).await.text(), "o\n");
    for session in ["/echo/0/unknown", "/close/0/closing"] {
        let mut http = scene.gateway.http().await;
        // Nine bytes of a megabyte: the answer does not wait for the rest.
        let head = "HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n[\"1234567";
        http.send_raw(format!("POST {session}/xhr_send {head}").as_bytes()).await;
        assert_eq!(http.response().await.status, 404, "{session}");
    }
    scene.undisturbed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_reset_while_they_are_answered_harm_nobody() {
    let scene = Scene::tcp().await;
    for round in 0..30 {
        for transport in Transport::ALL {
            let id = format!("reset-{round}-{}", transport.segment());
            let mut http = scene.gateway.http().await;
            http.send(&transport.request("/echo", &id)).await;
            if round % 3 == 1 {
                let _ = http.try_head().await;
            }
            if round % 3 == 2 {
                let _ = http.try_head().await;
                let _ = http.try_send_raw(b"garbage").await;
            }
            http.into_parts().1.reset();
        }
    }
    // Streams and sockets that were reset end at once, polls that had their answer a disconnect delay later.
    scene.undisturbed().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let config = Config { http: towpath::config::Http { max_connections: 3, ..Default::default() }, ..test_services() };
    let meter = Meter::install();
    let scene = Scene::over(Gateway::start(config).await).await;
    let mut second = scene.gateway.http().await;
    assert_eq!(second.exchange(&Request::get("/echo")).await.status, 200);
    let mut third = scene.gateway.http().await;
    assert_eq!(third.exchange(&Request::get("/echo")).await.status, 200);

    let mut fourth = scene.gateway.http().await;
    let refusal = fourth.try_head().await.expect("told before the end").expect("an answer");
    assert_eq!(
        (refusal.status, refusal.header("Connection"), refusal.header("Retry-After")),
        (503, Some("close"), Some("5"))
    );
    assert_eq!(meter.limit_reached("max_connections"), 1);

    // As soon as one goes, another may come.
    drop(third);
    let mut admitted = None;
    for _ in 0..1000 {
        let mut http = scene.gateway.http().await;
        let _ = http.try_send_raw(&Request::get("/echo").to_bytes()).await;
        if let Ok(Some(head)) = http.try_head().await
            && head.status == 200
        {
            admitted = Some(http);
            break;
        }
    }
    assert!(admitted.is_some(), "a place was free");
    drop((admitted, second));
    scene.undisturbed().await;
}
