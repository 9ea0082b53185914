//! The life of a session in time: heartbeats, the disconnect delay, what is queued when it closes, what it leaves behind. All
//! under a clock that the tests own.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::support::{Client, Frame, Gateway, Request, Transport, WebSocket, test_services};

/// A deadline may fire this much late: the clockwork ticks every 20 ms.
const TICK: Duration = Duration::from_millis(20);

fn assert_elapsed(since: Instant, expected: Duration) {
    let elapsed = since.elapsed();
    assert!((expected..=expected + TICK).contains(&elapsed), "{elapsed:?} and not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_without_receiver_lives_for_the_disconnect_delay() {
    let gateway = Gateway::in_memory(test_services()).await;
    for (id, pause, status) in [("early", 4_980, 204), ("late", 5_040, 404)] {
        let mut client = Client::open(&gateway, Transport::Xhr, "/echo", id).await;
        assert_eq!(client.next().await, Frame::Open);
        sleep(Duration::from_millis(pause)).await;
        let response = gateway.request(Request::post(format!("/echo/0/{id}/xhr_send")).body("[]")).await;
        assert_eq!(response.status, status, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn sending_does_not_prolong_the_delay_and_receiving_does() {
    let gateway = Gateway::in_memory(test_services()).await;
    let mut client = Client::open(&gateway, Transport::Xhr, "/echo", "delay").await;
    assert_eq!(client.next().await, Frame::Open);
    sleep(Duration::from_secs(4)).await;
    client.send(&["kept"]).await;
    assert_eq!(client.next().await, Frame::Messages(vec!["kept".to_owned()]));
    // Four seconds old, but polled just now: five more from here.
    sleep(Duration::from_millis(4_600)).await;
    client.send(&["lost"]).await;
    sleep(Duration::from_millis(440)).await;
    assert_eq!(client.try_send(&["late"]).await, Err(404));
    assert_eq!(gateway.sessions("/echo"), (0, 1), "gone, but for its tombstone");
}

#[tokio::test(start_paused = true)]
async fn an_attached_receiver_keeps_the_session_for_as_long_as_it_likes() {
    let gateway = Gateway::in_memory(test_services()).await;
    let mut client = Client::open(&gateway, Transport::XhrStreaming, "/echo", "kept").await;
    assert_eq!(client.next().await, Frame::Open);
    sleep(Duration::from_secs(24)).await;
    client.send(&["still there"]).await;
    assert_eq!(client.message().await, "still there");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_after_25_silent_seconds_on_every_transport() {
    let gateway = Gateway::in_memory(test_services()).await;
    for transport in Transport::ALL {
        let mut client = Client::open(&gateway, transport, "/echo", transport.segment()).await;
        assert_eq!(client.next().await, Frame::Open);
        let opened = Instant::now();
        for beat in 1..=3 {
            assert_eq!(client.next().await, Frame::Heartbeat, "{transport:?}");
            assert_elapsed(opened, Duration::from_secs(25) * beat);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_answers_a_poll() {
    let gateway = Gateway::in_memory(test_services()).await;
    for transport in [Transport::Xhr, Transport::Jsonp] {
        let target = |id: &str| transport.request("/echo", id);
        let opened = gateway.request(target(transport.segment())).await;
        assert_eq!(transport.read_frame(&opened.body()), Frame::Open);
        let since = Instant::now();
        let polled = gateway.request(target(transport.segment())).await;
        assert_eq!(transport.read_frame(&polled.body()), Frame::Heartbeat);
        assert!(since.elapsed() <= Duration::from_secs(25) + TICK);
    }
}

#[tokio::test]
async fn what_is_queued_goes_out_before_the_close_frame() {
    let gateway = Gateway::start(test_services()).await;
    for transport in Transport::ALL {
        let id = transport.segment();
        let mut client = Client::open(&gateway, transport, "/farewell", id).await;
        assert_eq!(client.next().await, Frame::Open);
        client.send(&["one", "two", "bye", "void"]).await;
        for expected in ["one", "two", "bye"] {
            assert_eq!(client.message().await, expected, "{transport:?}");
        }
        let close = Frame::Close(3000, "Go away!".to_owned());
        assert_eq!(client.next().await, close, "{transport:?}");
        if transport.is_http() {
            assert_eq!(client.try_send(&["late"]).await, Err(404), "a closed session takes nothing");
            assert_eq!(client.next().await, close, "and repeats its close frame");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_close_frame_is_repeated_until_nobody_has_come_for_the_disconnect_delay() {
    let gateway = Gateway::in_memory(test_services()).await;
    let poll = || async {
        let response = gateway.request(Request::post("/close/0/repeated/xhr")).await;
        Transport::Xhr.read_frame(&response.body())
    };
    assert_eq!(poll().await, Frame::Open);
    for _ in 0..5 {
        sleep(Duration::from_millis(4_980)).await;
        assert_eq!(poll().await, Frame::Close(3000, "Go away!".to_owned()));
    }
    sleep(Duration::from_millis(5_040)).await;
    assert_eq!(poll().await, Frame::Open, "it carried no message, so its id is free again");
}

#[tokio::test]
async fn raw_websockets_are_closed_with_the_application_s_code() {
    let gateway = Gateway::start(test_services()).await;
    let mut socket = WebSocket::connect(gateway.connector(), "/farewell/websocket").await;
    socket.send_text("bye").await;
    assert_eq!(socket.next_text().await, "bye");
    assert_eq!(socket.next_close().await, (3000, "Go away!".to_owned()));
}

#[tokio::test]
async fn a_second_receiver_of_any_transport_is_turned_away() {
    let gateway = Gateway::start(test_services()).await;
    for first in Transport::HTTP {
        for second in Transport::HTTP {
            let id = format!("{}-{}", first.segment(), second.segment());
            let mut one = Client::open(&gateway, first, "/echo", &id).await;
            assert_eq!(one.next().await, Frame::Open);
            one.listen().await;
            let mut other = Client::open(&gateway, second, "/echo", &id).await;
            // A second poll of the first client is on its way at the same time, and may be the one that comes later.
            let (told, late, mut attached) = tokio::select! {
                told = one.next() => (told, first, other),
                told = other.next() => (told, second, one),
            };
            let refused = Frame::Close(2010, "Another connection still open".to_owned());
            assert_eq!(told, refused, "{first:?}, {second:?}");
            assert!(first.is_polling() || late == second, "a stream that had its open frame is attached");
            attached.send(&["undisturbed"]).await;
            assert_eq!(attached.message().await, "undisturbed", "{first:?}, {second:?}");
        }
    }
}

#[tokio::test]
async fn a_session_may_change_its_receiving_transport() {
    let gateway = Gateway::start(test_services()).await;
    let mut first = Client::open(&gateway, Transport::Xhr, "/echo", "changing").await;
    assert_eq!(first.next().await, Frame::Open);
    for transport in [Transport::Jsonp, Transport::Xhr] {
        first.send(&["for whoever asks"]).await;
        let mut next = Client::open(&gateway, transport, "/echo", "changing").await;
        assert_eq!(next.next().await, Frame::Messages(vec!["for whoever asks".to_owned()]));
    }
}

#[tokio::test(start_paused = true)]
async fn the_id_of_a_session_that_carried_a_message_stays_taken() {
    let gateway = Gateway::in_memory(test_services()).await;
    let mut client = Client::open(&gateway, Transport::Xhr, "/echo", "grave").await;
    assert_eq!(client.next().await, Frame::Open);
    client.send(&["x"]).await;
    assert_eq!(client.message().await, "x");
    sleep(Duration::from_secs(6)).await;

    let ttl = Duration::from_secs(5 * 60);
    let buried = Instant::now() - Duration::from_secs(1);
    for transport in Transport::HTTP {
        let mut late = Client::open(&gateway, transport, "/echo", "grave").await;
        assert_eq!(late.next().await, Frame::Close(1002, "Connection interrupted".to_owned()), "{transport:?}");
        assert_eq!(late.try_send(&["x"]).await, Err(404), "{transport:?}");
    }
    // A websocket's id is nobody's.
    let mut socket = Client::open(&gateway, Transport::Websocket, "/echo", "grave").await;
    assert_eq!(socket.next().await, Frame::Open);
    drop(socket);

    sleep(ttl - buried.elapsed() + TICK).await;
    let mut fresh = Client::open(&gateway, Transport::Xhr, "/echo", "grave").await;
    assert_eq!(fresh.next().await, Frame::Open);
}

#[tokio::test(start_paused = true)]
async fn the_id_of_a_session_that_carried_nothing_is_free_at_once() {
    let gateway = Gateway::in_memory(test_services()).await;
    for _ in 0..3 {
        let mut client = Client::open(&gateway, Transport::Xhr, "/echo", "fixed").await;
        assert_eq!(client.next().await, Frame::Open);
        sleep(Duration::from_secs(6)).await;
    }
    assert_eq!(gateway.sessions("/echo"), (0, 0));
}

#[tokio::test]
async fn a_websocket_s_id_is_unknown_to_senders() {
    let gateway = Gateway::start(test_services()).await;
    let mut socket = Client::open(&gateway, Transport::Websocket, "/echo", "socket").await;
    assert_eq!(socket.next().await, Frame::Open);
    for segment in ["xhr_send", "jsonp_send"] {
        let response = gateway.request(Request::post(format!("/echo/0/socket/{segment}")).body(r#"["x"]"#)).await;
        assert_eq!(response.status, 404);
    }
    socket.send(&["mine"]).await;
    assert_eq!(socket.message().await, "mine");
}

#[tokio::test]
async fn sessions_of_two_endpoints_do_not_share_ids() {
    let gateway = Gateway::start(test_services()).await;
    let mut echo = Client::open(&gateway, Transport::Xhr, "/echo", "same").await;
    assert_eq!(echo.next().await, Frame::Open);
    let foreign = gateway.request(Request::post("/farewell/0/same/xhr_send").body(r#"["bye"]"#)).await;
    assert_eq!(foreign.status, 404);
    let mut farewell = Client::open(&gateway, Transport::Xhr, "/farewell", "same").await;
    assert_eq!(farewell.next().await, Frame::Open);
    farewell.send(&["mine"]).await;
    echo.send(&["ours"]).await;
    assert_eq!(farewell.message().await, "mine");
    assert_eq!(echo.message().await, "ours");
}
