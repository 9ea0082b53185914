//! Clients that do not read. What waits for them is bounded; when the bound is reached their session ends, they still get
//! what was queued before, in order, and nobody else notices.

use std::time::Duration;

use tokio::time::sleep;
use towpath::config::{Endpoint, Service};

use crate::support::metrics::Meter;
use crate::support::{Client, Ended, Frame, Gateway, Transport, echo, serving};

/// Messages of this size, of which few fit into the pipe, and fewer into the outbox.
const SIZE: usize = 16 * 1024;

fn numbered(n: usize) -> String {
    format!("{n}-{}", "x".repeat(SIZE))
}

/// A talker, and a client that is sent everything he says and reads nothing of it.
struct Scene {
    meter: Meter,
    gateway: Gateway,
    talker: Client,
    slow: Client,
}

impl Scene {
    async fn new(transport: Transport) -> Self {
        let meter = Meter::install();
        let endpoint =
            Endpoint { service: Service::Broadcast, outbox_bytes: 4 * SIZE, response_limit: 1 << 24, ..echo() };
        let gateway = Gateway::in_memory(serving([endpoint])).await;
        let mut slow = Client::open(&gateway, transport, "/echo", "slow").await;
        assert_eq!(slow.next().await, Frame::Open);
        let mut talker = Client::open(&gateway, transport, "/echo", "talker").await;
        assert_eq!(talker.next().await, Frame::Open);
        Self { meter, gateway, talker, slow }
    }

    /// Talks until the slow one's outbox is full; returns the number of messages that found room.
    async fn talk(&mut self) -> usize {
        for n in 0..200 {
            let message = numbered(n);
            self.talker.send(&[&message]).await;
            assert_eq!(self.talker.message().await, message, "the talker reads");
            if self.meter.limit_reached("outbox_bytes") > 0 {
                return n;
            }
        }
        panic!("200 messages of {SIZE} bytes fit");
    }
}

const SLOW: &str = "Messages are not read fast enough";

async fn assert_cut_off(transport: Transport) {
    let mut scene = Scene::new(transport).await;
    let fitted = scene.talk().await;
    let closed = |reason| scene.meter.counter("towpath_sessions_closed_total", &[("reason", reason)]);
    assert_eq!(closed("slow-consumer"), 1);
    if transport.is_http() {
        assert_eq!(scene.slow.try_send(&["x"]).await, Err(404), "a session that is closing takes nothing");
    }
    scene.talker.send(&["undisturbed"]).await;
    assert_eq!(scene.talker.message().await, "undisturbed");

    // It wakes up: all that found room is there, and the close says why there is no more.
    let mut arrived = Vec::new();
    let close = loop {
        match scene.slow.next().await {
            Frame::Messages(messages) => arrived.extend(messages),
            other => break other,
        }
    };
    assert_eq!(close, Frame::Close(4500, SLOW.to_owned()));
    assert!(arrived == (0..fitted).map(numbered).collect::<Vec<_>>(), "{} of {fitted}", arrived.len());
    if transport == Transport::Websocket {
        assert_eq!(scene.slow.try_next().await, Err(Ended::Closed(Some((4500, SLOW.to_owned())))));
    }
}

/// A peer that never wakes up does not keep its session, and what waits in it, for ever. Two seconds are for a socket whose
/// peer may still read, a heartbeat for a response whose end a proxy may still pass on.
async fn assert_forgotten(transport: Transport) {
    let mut scene = Scene::new(transport).await;
    scene.talk().await;
    assert_eq!(scene.gateway.sessions("/echo").0, 2, "it lingers");
    sleep(Duration::from_secs(31)).await;
    // A talker who is between two polls for half a minute is gone as well.
    let talker = usize::from(!transport.is_polling());
    assert_eq!(scene.gateway.sessions("/echo").0, talker, "{transport:?}");
}

macro_rules! over {
    ($($cut_off:ident, $forgotten:ident: $transport:ident;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $cut_off() {
            assert_cut_off(Transport::$transport).await;
        }

        #[tokio::test(start_paused = true)]
        async fn $forgotten() {
            assert_forgotten(Transport::$transport).await;
        }
    )*};
}

over! {
    a_slow_websocket_is_cut_off, a_stuck_websocket_is_forgotten: Websocket;
    a_slow_raw_websocket_is_cut_off, a_stuck_raw_websocket_is_forgotten: RawWebsocket;
    a_slow_xhr_stream_is_cut_off, a_stuck_xhr_stream_is_forgotten: XhrStreaming;
    a_slow_eventsource_is_cut_off, a_stuck_eventsource_is_forgotten: EventSource;
    a_slow_htmlfile_is_cut_off, a_stuck_htmlfile_is_forgotten: HtmlFile;
    a_client_that_pauses_xhr_polls_is_cut_off, a_client_that_ends_xhr_polls_is_forgotten: Xhr;
    a_client_that_pauses_jsonp_polls_is_cut_off, a_client_that_ends_jsonp_polls_is_forgotten: Jsonp;
}
