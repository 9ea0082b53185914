//! Topics with acknowledgements, over every transport and in every version: the window, NACK, the bound on what is not
//! acknowledged, and what becomes of what a topic drops. Queues are in stomp_acks.rs.

#[path = "support/acks.rs"]
mod acks;
mod bed;
mod everywhere;
mod support;

use std::sync::mpsc;
use std::time::Duration;

use acks::{ack, nack, said, send, subscribe};
use bed::meters::record;
use bed::{Bed, config, stomp};
use everywhere::{play, play_with};
use support::Transport;
use support::metrics::Meter;
use towpath::config::{self as settings, Config, Overflow, Service};
use towpath::session::Carrier;
use towpath::stomp::{Command, Frame, Version};

everywhere! {
    a_topic_with_acks_sends_what_the_window_lets_through,
    a_nack_on_a_topic_brings_the_message_to_the_same_subscriber_again,
    a_topic_subscriber_that_never_acknowledges_is_closed_alone,
}

/// The ack modes of the version in which a client acknowledges.
fn modes(version: Version) -> &'static [&'static str] {
    if version == Version::V1_0 { &["client"] } else { &["client", "client-individual"] }
}

const TOPIC: &str = "/topic/news";

fn a_topic_with_acks_sends_what_the_window_lets_through(transport: Transport) {
    play(transport, async |stage| {
        for mode in modes(stage.version) {
            let mut plain = stage.connected().await;
            plain.subscribed("plain", TOPIC).await;
            for destination in [TOPIC, "/topic/*"] {
                let mut client = stage.connected().await;
                client.confirmed(subscribe("1", destination, mode).with("prefetch-count", "2")).await;
                for body in ["1", "2", "3"] {
                    plain.send(&send(TOPIC, body)).await;
                }
                plain.first_time(&["1", "2", "3"]).await;
                let got = client.first_time(&["1", "2"]).await;
                client.quiet().await;
                client.send(&ack(stage.version, &got[1])).await;
                client.first_time(&["3"]).await;
                // What it holds goes with it: on a topic everybody else has it already.
                client.confirmed(Frame::new(Command::Unsubscribe).with("id", "1")).await;
                plain.quiet().await;
            }
        }
    });
}

fn a_nack_on_a_topic_brings_the_message_to_the_same_subscriber_again(transport: Transport) {
    play(transport, async |stage| {
        if stage.version == Version::V1_0 {
            return;
        }
        let mut others = vec![];
        for mode in ["auto", "client"] {
            others.push(stage.connected().await);
            others.last_mut().unwrap().consumes("1", TOPIC, mode).await;
        }
        let mut client = stage.connected().await;
        client.consumes("1", TOPIC, "client-individual").await;
        client.send(&send(TOPIC, "1")).await;
        client.send(&send(TOPIC, "2")).await;
        let got = client.first_time(&["1", "2"]).await;
        client.send(&nack(stage.version, &got[0])).await;
        let again = client.again(&["1"]).await;
        client.send(&nack(stage.version, &again[0]).with("requeue", "false")).await;
        client.confirmed(ack(stage.version, &got[1])).await;
        client.quiet().await;
        for other in &mut others {
            other.first_time(&["1", "2"]).await;
            other.quiet().await;
        }
    });
}

fn a_topic_subscriber_that_never_acknowledges_is_closed_alone(transport: Transport) {
    let mut config = Config::default();
    config.broker.max_unacked = 4;
    let meter = Meter::install();
    play_with(transport, config, async |stage| {
        let before = meter.limit_reached("max_unacked");
        let (mut plain, mut diligent, mut lazy) =
            (stage.connected().await, stage.connected().await, stage.connected().await);
        plain.subscribed("1", TOPIC).await;
        diligent.consumes("1", TOPIC, "client").await;
        lazy.consumes("1", TOPIC, "client").await;
        for number in 1..=12 {
            let body = number.to_string();
            plain.send(&send(TOPIC, &body)).await;
            plain.first_time(&[&body]).await;
            let message = diligent.first_time(&[&body]).await.remove(0);
            diligent.confirmed(ack(stage.version, &message)).await;
            if number <= 4 {
                lazy.first_time(&[&body]).await;
            }
        }
        if transport == Transport::Tcp {
            // No close frame says why there.
            let error = lazy.expect(Command::Error).await;
            assert!(String::from_utf8_lossy(&error.body).contains("not read fast enough"), "{error:?}");
        }
        lazy.closed_with(4500).await;
        assert_eq!(meter.limit_reached("max_unacked") - before, 1, "counted once");
        diligent.quiet().await;
    });
}

/// The same over what a topic drops: it is gone, and counted. It is no dead letter of a queue, which would be sent to
/// the very topics that are being published to.
#[test]
fn what_a_topic_drops_is_counted_and_no_dead_letter() {
    for (window, kept) in [(1, vec!["1", "8", "9", "10"]), (10, vec!["1", "2", "3", "4"])] {
        let (done, waited) = mpsc::channel();
        let dropping = std::thread::spawn(move || {
            let (said, meters) = record(|| drop_from_a_topic(window));
            // Whoever waits may have given up.
            let _ = done.send((said, meters.count("towpath_messages_dropped_total", Some(("reason", "queue-full")))));
        });
        let (said, dropped) = waited.recv_timeout(Duration::from_secs(60)).expect("a publisher that does not hang");
        dropping.join().unwrap();
        assert_eq!(said, kept, "window {window}");
        assert_eq!(dropped, 6, "window {window}");
    }
}

/// Ten messages to a topic whose subscriber acknowledges none until all are sent, and of which four are kept. What it got.
fn drop_from_a_topic(window: usize) -> Vec<String> {
    let mut config = config(Service::Stomp, |_| {});
    config.broker.max_unacked = 4;
    config.broker.queue.dead_letter = Some("/topic/given-up".to_owned());
    let (pattern, queue) = ("/topic/**".to_owned(), config.broker.queue.clone());
    let overflow = Overflow::DropOldest;
    config.destinations = vec![settings::Destination { pattern, overflow, queue, ..settings::Destination::default() }];
    let bed = Bed::new(&config);
    let mut undertaker = stomp::Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    undertaker.subscribe(&bed, "1", "/topic/given-up");
    let mut client = stomp::Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    let asked = subscribe("1", "/topic/**", "client-individual").with("prefetch-count", window.to_string());
    client.send(&bed, &asked);
    let publisher = stomp::Client::connected(&bed, Carrier::Tcp, Version::V1_2);
    for number in 1..=10 {
        publisher.send(&bed, &send("/topic/news", &number.to_string()));
    }
    let mut got = vec![];
    loop {
        let frames = client.frames(&bed);
        for frame in &frames {
            got.push(said(frame).0);
            // Rejecting is no more than acknowledging here: every other subscriber has the message anyway.
            client.send(&bed, &nack(Version::V1_2, frame).with("requeue", "false"));
        }
        if frames.is_empty() {
            break;
        }
    }
    assert!(undertaker.frames(&bed).is_empty());
    got
}
