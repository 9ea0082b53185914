//! A client drops its hanging request and sends the next on a new connection. To a gateway with threads the new request can
//! come before word of the old one's end; it must not be told that the old one is still there. Repeated, because one run
//! of a race proves nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{Client, Frame, Gateway, Request, Transport, test_services};

const REPETITIONS: usize = 50;

/// How one round goes.
#[derive(Clone, Copy, Debug)]
struct Round {
    transport: Transport,
    /// Whether a message goes to and fro before.
    talks: bool,
    /// Whether the connection ends with a reset instead of an end-of-file.
    resets: bool,
}

async fn abort_and_return(gateway: &Gateway, round: Round, id: &str) {
    let Round { transport, talks, resets } = round;
    let mut client = Client::open(gateway, transport, "/echo", id).await;
    assert_eq!(client.next().await, Frame::Open);
    if talks {
        client.send(&["x"]).await;
        assert_eq!(client.message().await, "x");
    }
    let client = client.attached().await;
    if resets {
        client.reset();
    } else {
        client.abort();
    }
    let frame = Client::open(gateway, transport, "/echo", id).await.next().await;
    let interrupted = frame == Frame::Close(1002, "Connection interrupted".to_owned());
    // A session that carried messages leaves a tombstone. One that did not is forgotten, but the newcomer may find it in the
    // moment of its end.
    assert!(interrupted || (!talks && frame == Frame::Open), "{round:?}: {frame:?}");
}

/// With end-of-file and with reset, with and without messages gone before. The rounds of one kind run at the same time, so
/// that the threads are busy.
async fn repeat(transports: &[Transport]) {
    let gateway = Arc::new(Gateway::start(test_services()).await);
    for transport in transports {
        for (talks, resets) in [(false, false), (false, true), (true, false), (true, true)] {
            let round = Round { transport: *transport, talks, resets };
            let mut rounds = JoinSet::new();
            for repetition in 0..REPETITIONS {
                let gateway = Arc::clone(&gateway);
                let id = format!("{}-{talks}-{resets}-{repetition}", transport.segment());
                rounds.spawn(async move { abort_and_return(&gateway, round, &id).await });
            }
            rounds.join_all().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_aborted_stream_is_not_still_open() {
    repeat(&Transport::STREAMS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_aborted_poll_is_not_still_open() {
    repeat(&[Transport::Xhr, Transport::Jsonp]).await;
}

#[tokio::test(start_paused = true)]
async fn a_true_second_receiver_is_told_within_a_tenth_of_a_second() {
    let gateway = Gateway::in_memory(test_services()).await;
    let mut first = Client::open(&gateway, Transport::XhrStreaming, "/echo", "true").await;
    assert_eq!(first.next().await, Frame::Open);
    let asked = Instant::now();
    let answer = gateway.request(Request::post("/echo/0/true/xhr")).await;
    assert_eq!(answer.text(), "c[2010,\"Another connection still open\"]\n");
    // Clients wait for a second.
    assert!(asked.elapsed() <= Duration::from_millis(100), "{:?}", asked.elapsed());
}
