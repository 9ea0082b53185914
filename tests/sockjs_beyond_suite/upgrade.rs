//! Upgrade headers on URLs that are no websocket get the normal, whole answer, and the connection stays good. (A SockJS server
//! died of this once: CVE-2020-7693.)

use crate::support::{Gateway, Http, Request, Response, Transport, test_services};

/// Requests to every kind of URL but websockets, to sessions with ids that begin with `id`.
fn requests(id: &str) -> Vec<Request> {
    let mut requests = vec![
        Request::get("/"),
        Request::get("/echo"),
        Request::get("/echo/"),
        Request::get("/echo/info"),
        Request::get("/echo/iframe.html"),
        Request::get("/echo/nothing"),
        Request::get("/nothing"),
        Request::options("/echo/info"),
        Request::post("/echo/info"),
        Request::get(format!("/echo/0/{id}/jsonp")),
        Request::get(format!("/echo/0/{id}/xhr")),
        Request::get(format!("/disabled_websocket_echo/0/{id}/websocket")),
        Request::get("/disabled_websocket_echo/websocket"),
        Request::post(format!("/echo/0/{id}/unknown/xhr_send")).body("[]"),
    ];
    for transport in Transport::HTTP {
        let own = format!("{id}-{}", transport.segment());
        requests.push(transport.request("/close", &own));
        requests.push(transport.sending_request("/echo", &own, "[]").expect("a sender"));
        requests.push(transport.request("/close", &own));
    }
    requests
}

/// What must not depend on Upgrade headers. Entropy and dates do differ from answer to answer.
fn essence(response: &Response) -> (u16, Vec<(String, String)>, Vec<Vec<u8>>) {
    let changing = ["date", "expires", "content-length"];
    let headers = response.headers.iter().filter(|(name, _)| !changing.contains(&name.to_ascii_lowercase().as_str()));
    let is_info = response.header("Content-Type").is_some_and(|kind| kind.starts_with("application/json"));
    let body = if is_info { Vec::new() } else { response.chunks.iter().map(|chunk| chunk.to_vec()).collect() };
    (response.status, headers.cloned().collect(), body)
}

async fn answers(http: &mut Http, requests: Vec<Request>) -> Vec<Response> {
    let mut responses = Vec::new();
    for request in requests {
        responses.push(http.exchange(&request).await);
    }
    responses
}

#[tokio::test]
async fn upgrade_headers_change_no_answer() {
    let gateway = Gateway::start(test_services()).await;
    let plain = answers(&mut gateway.http().await, requests("plain")).await;
    for (id, protocol) in [("ws", "websocket"), ("h2c", "h2c"), ("odd", "TLS/1.0, constructor")] {
        let upgrading = requests(id)
            .into_iter()
            .map(|request| {
                request
                    .header("Connection", "Upgrade")
                    .header("Upgrade", protocol)
                    .header("Sec-WebSocket-Version", "13")
                    .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            })
            .collect();
        // All on one connection: each answer leaves it in order for the next request.
        let answered = answers(&mut gateway.http().await, upgrading).await;
        for ((request, expected), found) in requests(id).iter().zip(&plain).zip(&answered) {
            let shown = String::from_utf8_lossy(&request.to_bytes()).into_owned();
            assert_eq!(essence(found), essence(expected), "{protocol}: {shown}");
        }
    }
}

#[tokio::test]
async fn streams_begin_as_always() {
    let gateway = Gateway::start(test_services()).await;
    for transport in Transport::STREAMS {
        let request = transport.request("/echo", transport.segment());
        let request = request.header("Connection", "keep-alive, Upgrade").header("Upgrade", "websocket");
        let (head, mut stream) = gateway.open(request).await;
        assert_eq!((head.status, head.header("Transfer-Encoding")), (200, Some("chunked")), "{transport:?}");
        stream.chunk().await.expect("the prelude");
        let frame = stream.chunk().await.expect("the open frame");
        assert_eq!(transport.read_frame(&frame), crate::support::Frame::Open);
    }
}

#[tokio::test]
async fn a_peer_that_upgrades_and_resets_harms_nobody() {
    let gateway = Gateway::start(test_services()).await;
    let mut bystander = crate::support::Client::open(&gateway, Transport::XhrStreaming, "/echo", "bystander").await;
    assert_eq!(bystander.next().await, crate::support::Frame::Open);
    for round in 0..20 {
        for request in requests(&format!("reset-{round}")) {
            let mut http = gateway.http().await;
            let request = request.header("Connection", "Upgrade").header("Upgrade", "websocket");
            http.send(&request).await;
            http.into_parts().1.reset();
        }
    }
    bystander.send(&["still here"]).await;
    assert_eq!(bystander.message().await, "still here");
    assert_eq!(gateway.request(Request::get("/echo")).await.text(), "Welcome to SockJS!\n");
}
