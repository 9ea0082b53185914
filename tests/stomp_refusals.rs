//! What STOMP clients do wrong or ask for in vain, over every transport and in every version: one ERROR that says what, with
//! the `receipt-id` where one was asked for, then the close, and nobody else notices. Limits are met here as well; misuse of
//! acknowledgements and transactions is in stomp_acks.rs and stomp_transactions.rs.

mod everywhere;
mod support;

use std::time::Duration;

use everywhere::{Stage, assert_undisturbed, expect_error_and_close, play, play_with};
use support::metrics::Meter;
use support::stomp::Stomp;
use support::{Gateway, Transport};
use tokio::time::Instant;
use towpath::config::Config;
use towpath::stomp::{Command, Frame, Version};

everywhere! {
    nothing_comes_before_connect,
    a_second_connect_is_refused,
    a_version_that_is_not_spoken_is_refused_with_those_that_are,
    a_malformed_heart_beat_is_refused,
    a_session_without_connect_is_cut_in_time,
    malformed_frames_are_refused,
    frames_that_ask_for_what_is_not_there_are_refused,
    the_culprit_of_several_frames_is_named_and_those_before_it_took_effect,
    limits_are_named_when_they_are_reached,
    a_client_at_its_limits_is_served,
}

/// Sends text as it stands from a connected client, expects the ERROR with these words in its message or body, and the
/// close, and that a bystander notices nothing.
async fn refused(stage: &Stage, text: &str, words: &str) -> Frame {
    let mut bystander = stage.bystander().await;
    let mut client = stage.connected().await;
    client.send_text(text).await;
    let error = expect_error_and_close(&mut client).await;
    let told = format!("{} / {}", error.headers.get("message").unwrap(), String::from_utf8_lossy(&error.body));
    assert!(told.contains(words), "{text:?}: {words:?} in {told:?}");
    assert_eq!(error.headers.get("content-type"), Some("text/plain"));
    assert_undisturbed(&mut bystander).await;
    error
}

fn nothing_comes_before_connect(transport: Transport) {
    play(transport, async |stage| {
        for frame in ["SEND\ndestination:/topic/a\nreceipt:7\n\nx\0", "DISCONNECT\nreceipt:7\n\n\0"] {
            let mut client = stage.fresh().await;
            client.send_text(frame).await;
            let error = expect_error_and_close(&mut client).await;
            assert_eq!(error.headers.get("message"), Some("not connected"));
            assert_eq!(error.headers.get("receipt-id"), Some("7"));
        }
    });
}

fn a_second_connect_is_refused(transport: Transport) {
    play(transport, async |stage| {
        refused(&stage, "CONNECT\naccept-version:1.2\nhost:h\n\n\0", "already connected").await;
    });
}

fn a_version_that_is_not_spoken_is_refused_with_those_that_are(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.fresh().await;
        client.send_text("CONNECT\naccept-version:2.0,3\nhost:h\n\n\0").await;
        let error = expect_error_and_close(&mut client).await;
        assert_eq!(error.headers.get("message"), Some("no common version"));
        assert_eq!(error.headers.get("version"), Some("1.0,1.1,1.2"));
    });
}

fn a_malformed_heart_beat_is_refused(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.fresh().await;
        client.send_text("STOMP\naccept-version:1.1\nhost:h\nheart-beat:often\n\n\0").await;
        let error = expect_error_and_close(&mut client).await;
        assert_eq!(error.headers.get("message"), Some("invalid header value"));
    });
}

fn a_session_without_connect_is_cut_in_time(transport: Transport) {
    play(transport, async |stage| {
        let begin = Instant::now();
        let mut client = stage.fresh().await;
        let error = expect_error_and_close(&mut client).await;
        assert_eq!(error.headers.get("message"), Some("no CONNECT in time"));
        let waited = begin.elapsed().as_secs_f64();
        assert!((10.0..10.1).contains(&waited), "{waited} s");
    });
}

fn malformed_frames_are_refused(transport: Transport) {
    play(transport, async |stage| {
        for (text, words) in [
            ("JUMP\n\n\0", "unknown command"),
            ("send\ndestination:/topic/a\n\n\0", "unknown command"),
            ("SEND\nno colon here\n\n\0", "malformed header"),
            ("SEND\ndestination:/topic/a\n\0", "frame ended inside its headers"),
            ("SEND\ndestination:/topic/a\ncontent-length:many\n\n\0", "wrong content-length"),
            ("SEND\ndestination:/topic/a\ncontent-length:1\n\nxyz\0", "wrong content-length"),
            ("MESSAGE\ndestination:/topic/a\n\n\0", "command not allowed"),
        ] {
            refused(&stage, text, words).await;
        }
        if stage.version > Version::V1_0 {
            refused(&stage, "SEND\ndestination:/topic/a\nx:bad\\tescape\n\n\0", "undefined escape").await;
            refused(&stage, "SUBSCRIBE\nid:1\ndestination:/topic/a\n\nbody\0", "body not allowed").await;
        }
    });
}

fn frames_that_ask_for_what_is_not_there_are_refused(transport: Transport) {
    play(transport, async |stage| {
        let subscribe = "SUBSCRIBE\nid:1\ndestination:/topic/a\nreceipt:7\n";
        let twice = "SUBSCRIBE\nid:1\ndestination:/topic/b\n\n\0";
        for (text, words) in [
            ("SEND\nreceipt:7\n\nx\0".to_owned(), "missing header"),
            ("SEND\ndestination:\nreceipt:7\n\nx\0".to_owned(), "missing header"),
            ("SEND\ndestination:/nowhere\nreceipt:7\n\nx\0".to_owned(), "this broker serves /topic/NAME, /queue/NAME"),
            ("SEND\ndestination:/topic/\nreceipt:7\n\nx\0".to_owned(), "no name behind /topic/"),
            ("SEND\ndestination:/queue/\nreceipt:7\n\nx\0".to_owned(), "no name behind /queue/"),
            ("SEND\ndestination:/topic/a.*\nreceipt:7\n\nx\0".to_owned(), "pattern is for SUBSCRIBE only"),
            ("SEND\ndestination:/topic/#\nreceipt:7\n\nx\0".to_owned(), "pattern is for SUBSCRIBE only"),
            ("SEND\ndestination:/queue/a.*\nreceipt:7\n\nx\0".to_owned(), "/queue/ takes exact names"),
            ("SEND\ndestination:/temp-queue/a\nreceipt:7\n\nx\0".to_owned(), "stands in the reply-to header"),
            ("SEND\ndestination:/queue/a\nexpiration:soon\nreceipt:7\n\nx\0".to_owned(), "expiration is a number"),
            ("SEND\ndestination:/topic/a\ntransaction:t\nreceipt:7\n\nx\0".to_owned(), "invalid transaction"),
            ("SUBSCRIBE\nid:1\nreceipt:7\n\n\0".to_owned(), "missing header"),
            ("SUBSCRIBE\nid:1\ndestination:/nowhere\nreceipt:7\n\n\0".to_owned(), "bad destination"),
            ("SUBSCRIBE\nid:1\ndestination:/topic/a*\nreceipt:7\n\n\0".to_owned(), "must be a whole word"),
            ("SUBSCRIBE\nid:1\ndestination:/queue/*\nreceipt:7\n\n\0".to_owned(), "/queue/ takes exact names"),
            ("SUBSCRIBE\nid:1\ndestination:/temp-queue/a\nreceipt:7\n\n\0".to_owned(), "stands in the reply-to header"),
            (format!("{subscribe}ack:sometimes\n\n\0"), "invalid header value"),
            (format!("{subscribe}prefetch-count:none\n\n\0"), "prefetch-count is a number"),
            (format!("{subscribe}selector:a >\n\n\0"), "bad selector"),
            (format!("{subscribe}x-history:last=3\n\n\0"), "no history"),
            (format!("{subscribe}x-history:3\n\n\0"), "x-history is last=NUMBER"),
            (format!("{twice}{subscribe}\n\0"), "subscription id in use"),
            ("UNSUBSCRIBE\nid:1\nreceipt:7\n\n\0".to_owned(), "unknown subscription"),
            ("UNSUBSCRIBE\nreceipt:7\n\n\0".to_owned(), "missing header"),
            ("BEGIN\nreceipt:7\n\n\0".to_owned(), "missing header"),
            ("COMMIT\ntransaction:t\nreceipt:7\n\n\0".to_owned(), "invalid transaction"),
            ("ABORT\ntransaction:t\nreceipt:7\n\n\0".to_owned(), "invalid transaction"),
            ("ACK\nreceipt:7\n\n\0".to_owned(), "missing header"),
            ("ACK\nid:1\nsubscription:1\nmessage-id:1\nreceipt:7\n\n\0".to_owned(), "unknown message"),
        ] {
            let error = refused(&stage, &text, words).await;
            assert_eq!(error.headers.get("receipt-id"), Some("7"), "{text:?}");
        }
        if stage.version > Version::V1_0 {
            refused(&stage, "NACK\nid:1\nsubscription:1\nmessage-id:1\n\n\0", "unknown message").await;
            refused(&stage, "SUBSCRIBE\ndestination:/topic/a\n\n\0", "missing header").await;
        } else {
            refused(&stage, "NACK\nmessage-id:1\n\n\0", "command not allowed").await;
            refused(&stage, &format!("{subscribe}ack:client-individual\n\n\0"), "invalid header value").await;
        }
    });
}

fn the_culprit_of_several_frames_is_named_and_those_before_it_took_effect(transport: Transport) {
    play(transport, async |stage| {
        let mut listener = stage.bystander().await;
        let mut client = stage.connected().await;
        client
            .send_text(
                "SEND\ndestination:/topic/bystander\nreceipt:one\n\nfirst\0SEND\ndestination:/nowhere\nreceipt:two\n\n\0\
                 SEND\ndestination:/topic/bystander\nreceipt:three\n\nnever\0",
            )
            .await;
        assert_eq!(client.expect(Command::Receipt).await.headers.get("receipt-id"), Some("one"));
        let error = expect_error_and_close(&mut client).await;
        assert_eq!(error.headers.get("receipt-id"), Some("two"));
        assert_eq!(&listener.expect(Command::Message).await.body[..], b"first");
        assert_undisturbed(&mut listener).await;
    });
}

// ---- limits ----

fn tight() -> Config {
    let mut config = Config::default();
    config.stomp.max_headers = 5;
    config.stomp.max_header_line = 100;
    config.stomp.max_body = 1000;
    config.stomp.max_frame = 1200;
    config.stomp.max_subscriptions = 3;
    config.broker.max_destinations = 4;
    config.broker.max_patterns = 2;
    config.stomp.max_selector = 40;
    config.broker.queue.messages = 2;
    config
}

fn send_with(headers: usize, line: usize, body: usize) -> String {
    let mut text = "SEND\ndestination:/topic/bystander\n".to_owned();
    for number in 1..headers {
        text.push_str(&format!("{number}:{}\n", "v".repeat(line - 2)));
    }
    format!("{text}\n{}\0", "b".repeat(body))
}

fn limits_are_named_when_they_are_reached(transport: Transport) {
    play_with(transport, tight(), async |stage| {
        refused(&stage, &send_with(6, 10, 0), "too many headers").await;
        refused(&stage, &send_with(2, 101, 0), "header line too long").await;
        refused(&stage, &send_with(2, 10, 1001), "body too large").await;
        refused(&stage, &send_with(4, 80, 990), "frame too large").await;
        // An announced body is refused before it comes.
        refused(&stage, "SEND\ndestination:/topic/a\ncontent-length:1001\n\n", "body too large").await;
        // Half a line that is too long is refused before its end comes.
        refused(&stage, &format!("SEND\nx:{}", "v".repeat(200)), "header line too long").await;

        let subscribe = |id: usize, destination: &str| format!("SUBSCRIBE\nid:{id}\ndestination:{destination}\n\n\0");
        let four: String = (0..4).map(|id| subscribe(id, "/topic/a")).collect();
        refused(&stage, &four, "max_subscriptions, 3").await;
        // The bystander's topic is one of the four.
        let three: String = (0..3).map(|id| subscribe(id, &format!("/topic/{id}"))).collect();
        let mut others = stage.connected().await;
        others.send_text(&three).await;
        refused(&stage, &subscribe(9, "/topic/9"), "max_destinations").await;
        others.publish("/topic/1", "still served").await;
        assert_eq!(&others.expect(Command::Message).await.body[..], b"still served");
        drop(others);
        let patterns: String =
            ["*", "*.a", "*.b"].map(|name| subscribe(name.len(), &format!("/topic/{name}"))).concat();
        refused(
            &stage,
            &patterns.replace("id:3\ndestination:/topic/*.b", "id:4\ndestination:/topic/*.b"),
            "max_patterns",
        )
        .await;
    });
}

fn a_client_at_its_limits_is_served(transport: Transport) {
    play_with(transport, tight(), async |stage| {
        let mut bystander = stage.bystander().await;
        let mut client = stage.connected().await;
        for (headers, line, body) in [(5, 10, 0), (2, 100, 0), (1, 10, 1000), (4, 52, 1000)] {
            client.send_text(&send_with(headers, line, body)).await;
            let message = bystander.expect(Command::Message).await;
            assert_eq!(message.body.len(), body);
        }
        for id in ["1", "2", "3"] {
            client.subscribed(id, "/topic/bystander").await;
        }
        assert_undisturbed(&mut bystander).await;
    });
}

/// Each limit counts under its configuration key when it refuses, and errors are counted all together.
#[test]
fn limits_count_under_their_keys() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let meter = Meter::install();
    let counted = async {
        let mut config = tight();
        config.stomp.heart_beat_receive = Duration::from_secs(1);
        let gateway = Gateway::in_memory(config).await;
        let stage = Stage { gateway, transport: Transport::Websocket, version: Version::V1_2 };
        let subscriptions: String =
            (0..4).map(|id| format!("SUBSCRIBE\nid:{id}\ndestination:/topic/a\n\n\0")).collect();
        let queued = "SEND\ndestination:/queue/a\n\nx\0".repeat(3);
        let selector = format!("SUBSCRIBE\nid:1\ndestination:/topic/a\nselector:{}\n\n\0", "a OR ".repeat(10) + "a");
        let mut errors = 0;
        for (key, text) in [
            ("max_headers", send_with(6, 10, 0)),
            ("max_header_line", send_with(2, 101, 0)),
            ("max_body", send_with(2, 10, 1001)),
            ("max_frame", send_with(4, 80, 990)),
            ("max_subscriptions", subscriptions),
            ("max_selector", selector),
            ("queue_messages", queued),
        ] {
            let mut client = stage.connected().await;
            assert_eq!(meter.limit_reached(key), 0, "{key}");
            client.send_text(&text).await;
            expect_error_and_close(&mut client).await;
            errors += 1;
            assert_eq!(meter.limit_reached(key), 1, "{key}");
        }
        expect_error_and_close(&mut stage.fresh().await).await;
        assert_eq!(meter.limit_reached("connect_timeout"), 1);
        let (mut silent, _) = Stomp::connect_beating(stage.client().await, Version::V1_2, "1000,0").await;
        expect_error_and_close(&mut silent).await;
        assert_eq!(meter.limit_reached("heart_beat_grace"), 1);
        assert_eq!(meter.counter("towpath_stomp_errors_total", &[]), errors + 2);
    };
    runtime.block_on(async { support::within(Duration::from_secs(3600), "all limits", counted).await });
}
