//! Selectors as clients use them, over every transport and in every version: on topics, patterns, queues and user
//! destinations, and what is said of one that cannot be read. What a selector means is in selectors.rs.

mod everywhere;
mod support;
#[path = "everywhere/users.rs"]
mod users;

use everywhere::{assert_undisturbed, expect_error_and_close, play, play_with};
use support::Transport;
use support::metrics::Meter;
use support::stomp::Stomp;
use towpath::config::Config;
use towpath::stomp::{Command, Frame, Version};
use users::{answer, assert_silent, backend, login, send, sent, subscribe};

everywhere! {
    a_topic_is_filtered,
    subscriptions_of_one_session_are_filtered_each_for_itself,
    a_pattern_is_filtered,
    a_queue_is_shared_by_what_its_consumers_take,
    what_no_consumer_of_a_queue_takes_waits,
    a_queue_gives_what_comes_back_to_those_who_take_it,
    a_user_destination_is_filtered,
    acknowledged_topics_are_filtered_before_they_count,
    a_value_that_is_no_number_is_none,
    an_empty_selector_takes_everything,
    a_selector_that_cannot_be_read_is_refused_with_the_place,
    a_selector_may_not_be_longer_than_the_limit,
}

fn select(id: &str, destination: &str, selector: &str) -> Frame {
    subscribe(id, destination).with("selector", selector)
}

fn of_kind(destination: &str, kind: &str, body: &str) -> Frame {
    send(destination, body).with("kind", kind)
}

async fn expect(client: &mut Stomp, body: &str) -> Frame {
    let message = client.expect(Command::Message).await;
    assert_eq!(&message.body[..], body.as_bytes());
    message
}

fn a_topic_is_filtered(transport: Transport) {
    play(transport, async |stage| {
        let (mut publisher, mut orders, mut all) =
            (stage.connected().await, stage.connected().await, stage.connected().await);
        orders.confirmed(select("1", "/topic/a", "kind = 'order' AND amount >= 100")).await;
        all.subscribed("1", "/topic/a").await;
        for (body, kind, amount) in
            [("1", "order", "250.00"), ("2", "refund", "250"), ("3", "order", "99.99"), ("4", "order", "1e2")]
        {
            publisher.confirmed(of_kind("/topic/a", kind, body).with("amount", amount)).await;
        }
        publisher.confirmed(send("/topic/a", "5")).await;
        for body in ["1", "4"] {
            let message = expect(&mut orders, body).await;
            assert_eq!(message.headers.get("kind"), Some("order"));
        }
        orders.subscribed("fence", "/topic/fence").await;
        assert_silent(&mut orders, &mut publisher).await;
        for body in ["1", "2", "3", "4", "5"] {
            expect(&mut all, body).await;
        }
    });
}

fn subscriptions_of_one_session_are_filtered_each_for_itself(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        for (id, selector) in [("a", "kind = 'a'"), ("b", "kind = 'b'"), ("not-a", "kind <> 'a'"), ("none", "FALSE")] {
            client.confirmed(select(id, "/topic/a", selector)).await;
        }
        client.publish("/topic/a", "no kind at all").await;
        for (kind, ids) in [("a", vec!["a"]), ("b", vec!["b", "not-a"]), ("c", vec!["not-a"])] {
            client.send(&of_kind("/topic/a", kind, kind)).await;
            let mut seen = vec![];
            for _ in &ids {
                seen.push(expect(&mut client, kind).await.headers.get("subscription").unwrap().to_owned());
            }
            seen.sort();
            assert_eq!(seen, ids);
        }
        // The end of one is not the end of the others.
        let unsubscribe = Frame::new(Command::Unsubscribe).with("id", "b").with("destination", "/topic/a");
        client.confirmed(unsubscribe).await;
        client.send(&of_kind("/topic/a", "b", "b")).await;
        assert_eq!(expect(&mut client, "b").await.headers.get("subscription"), Some("not-a"));
    });
}

fn a_pattern_is_filtered(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        client.confirmed(select("1", "/topic/**", "region LIKE 'eu-%' AND NOT test")).await;
        for (body, region, test) in
            [("1", "eu-west", "false"), ("2", "us", "false"), ("3", "eu-west", "true"), ("4", "eu-", "no")]
        {
            let destination = format!("/topic/a.{body}");
            client.send(&send(&destination, body).with("region", region).with("test", test)).await;
        }
        assert_eq!(expect(&mut client, "1").await.headers.get("destination"), Some("/topic/a.1"));
        assert_eq!(expect(&mut client, "4").await.headers.get("destination"), Some("/topic/a.4"));
    });
}

fn a_queue_is_shared_by_what_its_consumers_take(transport: Transport) {
    play(transport, async |stage| {
        let mut publisher = stage.connected().await;
        let (mut a, mut b) = (stage.connected().await, stage.connected().await);
        // What waits already is looked at, too.
        for (body, kind) in [("1", "a"), ("2", "b"), ("3", "a")] {
            publisher.confirmed(of_kind("/queue/q", kind, body)).await;
        }
        a.send(&select("1", "/queue/q", "kind = 'a'")).await;
        for body in ["1", "3"] {
            expect(&mut a, body).await;
        }
        b.send(&select("1", "/queue/q", "kind = 'b'")).await;
        expect(&mut b, "2").await;
        for (body, kind) in [("4", "b"), ("5", "a"), ("6", "b")] {
            publisher.confirmed(of_kind("/queue/q", kind, body)).await;
        }
        expect(&mut a, "5").await;
        for body in ["4", "6"] {
            expect(&mut b, body).await;
        }
        assert_eq!(stage.gateway.core().broker().queue_len("/queue/q"), Some((0, 0)));
    });
}

fn what_no_consumer_of_a_queue_takes_waits(transport: Transport) {
    play(transport, async |stage| {
        let mut publisher = stage.connected().await;
        let mut picky = stage.connected().await;
        picky.confirmed(select("1", "/queue/q", "kind = 'a'")).await;
        for (body, kind) in [("1", "b"), ("2", "a"), ("3", "c")] {
            publisher.confirmed(of_kind("/queue/q", kind, body)).await;
        }
        expect(&mut picky, "2").await;
        assert_eq!(stage.gateway.core().broker().queue_len("/queue/q").unwrap().0, 2);
        let mut other = stage.connected().await;
        other.send(&subscribe("1", "/queue/q")).await;
        for body in ["1", "3"] {
            expect(&mut other, body).await;
        }
    });
}

fn a_queue_gives_what_comes_back_to_those_who_take_it(transport: Transport) {
    play(transport, async |stage| {
        if stage.version == Version::V1_0 {
            // It has no NACK.
            return;
        }
        let mut publisher = stage.connected().await;
        let (mut a, mut b) = (stage.connected().await, stage.connected().await);
        a.confirmed(select("1", "/queue/q", "kind = 'a'").with("ack", "client-individual").with("prefetch-count", "1"))
            .await;
        b.confirmed(select("1", "/queue/q", "kind = 'b'").with("ack", "client-individual")).await;
        for (body, kind) in [("1", "a"), ("2", "b"), ("3", "a")] {
            publisher.confirmed(of_kind("/queue/q", kind, body)).await;
        }
        let (one, two) = (expect(&mut a, "1").await, expect(&mut b, "2").await);
        b.confirmed(answer(Command::Ack, &two, stage.version)).await;
        a.send(&answer(Command::Nack, &one, stage.version)).await;
        let again = expect(&mut a, "1").await;
        assert_eq!(again.headers.get("redelivered"), Some("true"));
        a.send(&answer(Command::Ack, &again, stage.version)).await;
        expect(&mut a, "3").await;
    });
}

fn a_user_destination_is_filtered(transport: Transport) {
    play(transport, async |stage| {
        let mut backend = backend(&stage).await;
        let (mut ann, _) = login(&stage, "ann").await;
        ann.confirmed(select("1", "/user/queue/x", "kind IN ('a', 'c')")).await;
        for kind in ["a", "b", "c"] {
            sent(&mut backend, of_kind("/user/ann/queue/x", kind, kind)).await;
        }
        expect(&mut ann, "a").await;
        expect(&mut ann, "c").await;
    });
}

/// What the selector does not take needs no acknowledgement.
fn acknowledged_topics_are_filtered_before_they_count(transport: Transport) {
    let mut config = Config::default();
    config.broker.max_unacked = 2;
    play_with(transport, config, async |stage| {
        let mut publisher = stage.connected().await;
        let mut client = stage.connected().await;
        client.confirmed(select("1", "/topic/a", "kind = 'a'").with("ack", "client")).await;
        for _ in 0..20 {
            publisher.confirmed(of_kind("/topic/a", "b", "unwanted")).await;
        }
        publisher.confirmed(of_kind("/topic/a", "a", "wanted")).await;
        let message = expect(&mut client, "wanted").await;
        client.confirmed(answer(Command::Ack, &message, stage.version)).await;
    });
}

fn a_value_that_is_no_number_is_none(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        for (id, selector) in [
            ("greater", "priority > 5"),
            ("equal", "priority = 5"),
            ("unequal", "priority <> 5"),
            ("between", "priority BETWEEN 1 AND 9"),
            ("list", "priority NOT IN (1, 2)"),
            ("negated", "NOT (priority <= 5)"),
            ("text", "priority > '5'"),
        ] {
            client.confirmed(select(id, "/topic/a", selector)).await;
        }
        for (priority, ids) in [
            ("high", vec!["text"]),
            ("10", vec!["greater", "list", "negated", "unequal"]),
            ("", vec![]),
            ("5", vec!["between", "equal", "list"]),
        ] {
            client.send(&send("/topic/a", priority).with("priority", priority)).await;
            let mut seen = vec![];
            for _ in &ids {
                seen.push(expect(&mut client, priority).await.headers.get("subscription").unwrap().to_owned());
            }
            seen.sort();
            assert_eq!(seen, ids, "{priority:?}");
        }
    });
}

fn an_empty_selector_takes_everything(transport: Transport) {
    play(transport, async |stage| {
        let mut client = stage.connected().await;
        client.confirmed(select("1", "/topic/a", "")).await;
        client.publish("/topic/a", "x").await;
        expect(&mut client, "x").await;
    });
}

fn a_selector_that_cannot_be_read_is_refused_with_the_place(transport: Transport) {
    play(transport, async |stage| {
        let mut bystander = stage.bystander().await;
        for destination in ["/topic/a", "/topic/**", "/queue/a", "/user/queue/a"] {
            for (selector, place) in [
                ("a =", "at character 4: expected a value after =, found end of text"),
                ("a = 'x", "at character 7: "),
                ("Grüße = 1 UND b", "at character 11: "),
                ("(a = 1", "at character 7: "),
                ("1 + 1 = 2", "at character 3: "),
            ] {
                let mut client = stage.connected().await;
                client.send(&select("1", destination, selector).with("receipt", "7")).await;
                let error = expect_error_and_close(&mut client).await;
                assert_eq!(error.headers.get("message"), Some("bad selector"), "{selector}");
                assert_eq!(error.headers.get("receipt-id"), Some("7"));
                let body = String::from_utf8_lossy(&error.body);
                assert!(body.contains(selector) && body.contains(place), "{selector}: {body}");
            }
        }
        assert!(stage.gateway.core().broker().queue_len("/queue/a").is_none(), "no queue was made for it");
        assert_undisturbed(&mut bystander).await;
    });
}

fn a_selector_may_not_be_longer_than_the_limit(transport: Transport) {
    let meter = Meter::install();
    let mut config = Config::default();
    config.stomp.max_selector = 20;
    play_with(transport, config, async |stage| {
        let before = meter.limit_reached("max_selector");
        // In bytes, and at the limit it is served.
        for (selector, fits) in
            [("a = '12345678901234'", true), ("a = '123456789012345'", false), ("a = 'üüüüüüüü'", false)]
        {
            let mut client = stage.connected().await;
            client.send(&select("1", "/topic/a", selector).with("receipt", "7")).await;
            if fits {
                assert_eq!(client.frame().await.command, Command::Receipt);
            } else {
                let error = expect_error_and_close(&mut client).await;
                assert_eq!(error.headers.get("message"), Some("selector too long"));
                assert_eq!(error.headers.get("receipt-id"), Some("7"));
            }
        }
        assert_eq!(meter.limit_reached("max_selector") - before, 2);
    });
}
