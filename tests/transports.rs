//! One list of scenarios, run over every transport: whatever carries it, a conversation looks the same. (A raw websocket has
//! no frames; what stands for them is said in the test support's client.)

mod support;

use std::time::Duration;

use support::{Client, Ended, Frame, Gateway, Request, Transport, test_services};
use tokio::time::{Instant, sleep};

/// Makes each scenario a test of its own for the transport of the surrounding module.
macro_rules! scenarios {
    () => {
        over_tcp! {
            connects,
            echoes_unicode,
            echoes_64_kib,
            echoes_200_messages_in_order,
            echoes_messages_sent_one_by_one,
            is_closed_by_the_service,
            gets_what_is_queued_before_the_close,
            ends_when_the_client_leaves,
            knows_no_wrong_ids,
            is_told_of_a_shutdown,
        }
        under_virtual_clock! {
            has_a_heartbeat,
            resumes_after_a_gap,
            is_woken_by_a_message_of_another_session,
            ticks_every_second,
        }
    };
}

macro_rules! over_tcp {
    ($($scenario:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $scenario() {
            let gateway = Gateway::start(test_services()).await;
            super::$scenario(gateway, TRANSPORT).await;
        }
    )*};
}

macro_rules! under_virtual_clock {
    ($($scenario:ident),* $(,)?) => {$(
        #[tokio::test(start_paused = true)]
        async fn $scenario() {
            let gateway = Gateway::in_memory(test_services()).await;
            super::$scenario(gateway, TRANSPORT).await;
        }
    )*};
}

macro_rules! transports {
    ($($module:ident: $transport:ident;)*) => {$(
        mod $module {
            use super::{Gateway, Transport, test_services};

            const TRANSPORT: Transport = Transport::$transport;

            scenarios! {}
        }
    )*};
}

transports! {
    websocket: Websocket;
    raw_websocket: RawWebsocket;
    xhr_polling: Xhr;
    xhr_streaming: XhrStreaming;
    eventsource: EventSource;
    htmlfile: HtmlFile;
    jsonp_polling: Jsonp;
}

/// A conversation at `path` whose open frame has been read.
async fn open(gateway: &Gateway, transport: Transport, path: &str, id: &str) -> Client {
    let mut client = Client::open(gateway, transport, path, id).await;
    assert_eq!(client.next().await, Frame::Open);
    client
}

async fn connects(gateway: Gateway, transport: Transport) {
    let _client = open(&gateway, transport, "/echo", "connects").await;
    assert_eq!(gateway.sessions("/echo"), (1, 0));
}

async fn echoes_unicode(gateway: Gateway, transport: Transport) {
    let mut client = open(&gateway, transport, "/echo", "unicode").await;
    let controls: String = (0..0x20).filter_map(char::from_u32).collect();
    let specials: String = (0x2000..0x2070).chain(0xfff0..=0xffff).filter_map(char::from_u32).collect();
    let messages = [
        "plain",
        "",
        " ",
        "\"quotes\" and \\back\\slashes\\",
        "100% %25 %20 + & = ? # ;",
        "</script><!-- <b>",
        "Füße, 漢字, עברית, 😀👩‍👩‍👧, \u{10ffff}",
        "\0 in the middle\0",
        controls.as_str(),
        specials.as_str(),
        "[\"looks like a frame\"]",
        "c[3000,\"Go away!\"]",
    ];
    client.send(&messages).await;
    for message in messages {
        assert_eq!(client.message().await, message);
    }
}

async fn echoes_64_kib(gateway: Gateway, transport: Transport) {
    let mut client = open(&gateway, transport, "/echo", "large").await;
    let plain = "x".repeat(64 * 1024);
    // Every character of this one is longer on the wire than here.
    let costly = "\0\"\\%<é\u{2028}😀".repeat(64 * 1024 / 16);
    // One that is searched for the few characters that matter.
    let sparse = ["</script>", "100%", "\"", "\u{2028}", "😀", ""].join(&"x".repeat(12 * 1024));
    for message in [&plain, &costly, &sparse] {
        client.send(&[message]).await;
        assert!(client.message().await == *message);
    }
    // The response limit of this endpoint is 4096 bytes: each of them was the end of a streaming response.
    client.send(&["and on"]).await;
    assert_eq!(client.message().await, "and on");
}

async fn echoes_200_messages_in_order(gateway: Gateway, transport: Transport) {
    let mut client = open(&gateway, transport, "/echo", "order").await;
    let messages: Vec<String> = (0..200).map(|n| format!("{n} {}", "x".repeat(n))).collect();
    let borrowed: Vec<&str> = messages.iter().map(String::as_str).collect();
    for batch in borrowed.chunks(9) {
        client.send(batch).await;
    }
    for message in messages {
        assert_eq!(client.message().await, message);
    }
}

async fn echoes_messages_sent_one_by_one(gateway: Gateway, transport: Transport) {
    let mut client = open(&gateway, transport, "/echo", "ping-pong").await;
    for n in 0..50 {
        let message = n.to_string();
        client.send(&[&message]).await;
        assert_eq!(client.next().await, Frame::Messages(vec![message]));
    }
}

async fn is_closed_by_the_service(gateway: Gateway, transport: Transport) {
    let mut client = open(&gateway, transport, "/close", "closed").await;
    let close = Frame::Close(3000, "Go away!".to_owned());
    assert_eq!(client.next().await, close);
    let expected = match transport {
        Transport::Websocket => Err(Ended::Closed(Some((3000, "Go away!".to_owned())))),
        Transport::RawWebsocket => Err(Ended::Closed(None)),
        _ => Ok(close),
    };
    assert_eq!(client.try_next().await, expected);
}

async fn gets_what_is_queued_before_the_close(gateway: Gateway, transport: Transport) {
    let mut client = open(&gateway, transport, "/farewell", "farewell").await;
    client.send(&["one", "two"]).await;
    client.send(&["three", "bye"]).await;
    for expected in ["one", "two", "three", "bye"] {
        assert_eq!(client.message().await, expected);
    }
    assert_eq!(client.next().await, Frame::Close(3000, "Go away!".to_owned()));
}

async fn ends_when_the_client_leaves(gateway: Gateway, transport: Transport) {
    let mut client = open(&gateway, transport, "/broadcast", "leaves").await;
    client.send(&["x"]).await;
    assert_eq!(client.message().await, "x");
    let client = client.attached().await;
    let _other = open(&gateway, Transport::Websocket, "/broadcast", "stays").await;
    client.abort();
    // The session ends as soon as the gateway sees the end of the connection; every greeting gives it a turn to do so.
    let tombstones = usize::from(transport.is_http());
    for _ in 0..200 {
        if gateway.sessions("/broadcast") == (1, tombstones) {
            return;
        }
        assert_eq!(gateway.request(Request::get("/broadcast")).await.status, 200);
    }
    panic!("still there: {:?}", gateway.sessions("/broadcast"));
}

async fn knows_no_wrong_ids(gateway: Gateway, transport: Transport) {
    let mut client = open(&gateway, transport, "/echo", "right").await;
    if let Some(send) = transport.sending_request("/echo", "wrong", r#"["x"]"#) {
        assert_eq!(gateway.request(send).await.status, 404);
    }
    let wrong = if transport == Transport::RawWebsocket {
        Request::websocket("/echo/websocket/wrong")
    } else {
        transport.request("/echo", "wro.ng")
    };
    assert_eq!(gateway.request(wrong).await.status, 404);
    client.send(&["undisturbed"]).await;
    assert_eq!(client.message().await, "undisturbed");
    assert_eq!(gateway.sessions("/echo"), (1, 0));
}

async fn is_told_of_a_shutdown(mut gateway: Gateway, transport: Transport) {
    let mut client = open(&gateway, transport, "/echo", "shutdown").await;
    client.send(&["x"]).await;
    assert_eq!(client.message().await, "x");
    let mut client = client.attached().await;
    gateway.stop();
    assert_eq!(client.next().await, Frame::Close(1001, "Server shutdown".to_owned()));
    drop(client);
    gateway.stopped().await;
}

async fn has_a_heartbeat(gateway: Gateway, transport: Transport) {
    let mut client = open(&gateway, transport, "/echo", "beats").await;
    let opened = Instant::now();
    for beat in 1..=2 {
        assert_eq!(client.next().await, Frame::Heartbeat);
        let (due, elapsed) = (Duration::from_secs(25) * beat, opened.elapsed());
        assert!((due..due + Duration::from_millis(50)).contains(&elapsed), "{elapsed:?}");
    }
    client.send(&["alive"]).await;
    assert_eq!(client.message().await, "alive");
}

async fn resumes_after_a_gap(gateway: Gateway, transport: Transport) {
    let mut client = open(&gateway, transport, "/echo", "gap").await;
    // Above the response limit: a stream is between two responses as well.
    let large = "x".repeat(5000);
    client.send(&[&large]).await;
    assert_eq!(client.message().await, large);
    for n in 0..3 {
        client.send(&[&format!("before {n}")]).await;
        sleep(Duration::from_secs(2)).await;
        client.send(&[&format!("after {n}")]).await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(client.message().await, format!("before {n}"));
        assert_eq!(client.message().await, format!("after {n}"));
    }
}

async fn is_woken_by_a_message_of_another_session(gateway: Gateway, transport: Transport) {
    let mut listener = open(&gateway, transport, "/broadcast", "listener").await;
    listener.listen().await;
    sleep(Duration::from_secs(1)).await;
    for speaker in Transport::ALL {
        let mut speaker = open(&gateway, speaker, "/broadcast", speaker.segment()).await;
        let said = Instant::now();
        speaker.send(&["news"]).await;
        assert_eq!(listener.message().await, "news");
        assert_eq!(said.elapsed(), Duration::ZERO);
    }
}

async fn ticks_every_second(gateway: Gateway, transport: Transport) {
    let mut client = open(&gateway, transport, "/ticker", "ticks").await;
    let opened = Instant::now();
    for tick in 1..=3 {
        assert_eq!(client.message().await, "tick!");
        let (due, elapsed) = (Duration::from_secs(tick), opened.elapsed());
        assert!((due..due + Duration::from_millis(100)).contains(&elapsed), "{elapsed:?}");
    }
}
