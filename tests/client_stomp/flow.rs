//! Back-pressure in both directions: what nobody takes is not read, and what the server does not read is not accepted without bound.

use std::time::Duration;

use tokio::time::timeout;
use towpath::client::stomp::{Client, Options, Subscribe};
use towpath::config::Config;
use towpath::stomp::{Command, Version};

use super::peer::{connected, message, options};
use super::support::Gateway;
use super::{said, within};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_does_not_read_stops_the_reading_and_nothing_is_lost() {
    const COUNT: usize = 5000;
    let (client, _server, mut peer) = connected(options()).await;
    let mut slow = client.subscribe(Subscribe::to("/topic/slow").queue(10)).await.unwrap();
    let mut other = client.subscribe("/topic/other").await.unwrap();
    let slow_one = peer.expect(Command::Subscribe).await;
    let other_one = peer.expect(Command::Subscribe).await;
    let all: Vec<u8> = (0..COUNT)
        .flat_map(|number| message(&slow_one, &number.to_string()).encode(Version::V1_2))
        .chain(message(&other_one, "behind").encode(Version::V1_2))
        .collect();
    let taken = peer.write_for(SECOND, &all).await;
    // The queue, a few reads and the pipe between.
    assert!(taken < all.len() / 2, "{taken} of {}", all.len());
    assert!(timeout(SECOND, other.next()).await.is_err(), "it waits behind");
    let rest = all[taken..].to_vec();
    let writing = tokio::spawn(async move {
        peer.write(&rest).await;
        peer
    });
    for number in 0..COUNT {
        assert_eq!(said(&mut slow).await, number.to_string());
    }
    assert_eq!(said(&mut other).await, "behind");
    writing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_subscription_that_ends_lets_the_others_go_on() {
    let (client, _server, mut peer) = connected(options()).await;
    let slow = client.subscribe(Subscribe::to("/topic/slow").queue(1)).await.unwrap();
    let mut other = client.subscribe("/topic/other").await.unwrap();
    let slow_one = peer.expect(Command::Subscribe).await;
    let other_one = peer.expect(Command::Subscribe).await;
    for number in 0..3 {
        peer.message(&slow_one, &number.to_string()).await;
    }
    peer.message(&other_one, "behind").await;
    assert!(timeout(SECOND, other.next()).await.is_err());
    drop(slow);
    assert_eq!(said(&mut other).await, "behind");
    assert_eq!(peer.expect(Command::Unsubscribe).await.headers.get("id"), slow_one.headers.get("id"));
}

#[tokio::test(start_paused = true)]
async fn who_sends_to_a_server_that_does_not_read_waits() {
    let (client, _server, mut peer) = connected(Options { max_in_flight: 100_000, ..options() }).await;
    let mut sent = 0;
    while let Ok(result) = timeout(SECOND, client.send(("/a", "x".repeat(1000)))).await {
        result.unwrap();
        sent += 1;
        assert!(sent < 1000, "without bound");
    }
    // In flight, pending in the link, and in the pipe.
    assert!((100..250).contains(&sent), "{sent}");
    let client = &client;
    let (done, ()) = tokio::join!(client.disconnect(), async {
        for _ in 0..sent {
            peer.expect(Command::Send).await;
        }
        peer.confirm(Command::Disconnect).await;
    });
    done.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_reads_again_does_not_keep_the_client_from_its_end() {
    let (client, _server, _peer) = connected(options()).await;
    while timeout(SECOND, client.send(("/a", "x".repeat(10_000)))).await.is_ok() {}
    assert!(within("the end", client.disconnect()).await.is_err());
    within("the end", client.ended()).await;
}

/// Both directions full at once, with a server that reads nothing while it cannot write: whoever reads and writes by turns stands still.
#[tokio::test(start_paused = true)]
async fn towpath_and_the_client_do_not_wait_for_each_other() {
    let gateway = Gateway::in_memory(Config::default()).await;
    let connector = gateway.connector().clone();
    let dial = move || {
        let connector = connector.clone();
        async move {
            let options = towpath::client::Options::default();
            towpath::client::Link::over(connector.connect_stomp_through(1024).await, &options)
        }
    };
    let client = Client::connect_by(dial, Options::default()).await.unwrap();
    let mut topic = client.subscribe(Subscribe::to("/topic/a").confirmed()).await.unwrap();
    let body = "x".repeat(2000);
    let sending = async {
        for _ in 0..500 {
            within("room", client.send(("/topic/a", body.clone()))).await.unwrap();
        }
    };
    let receiving = async {
        for _ in 0..500 {
            assert_eq!(said(&mut topic).await.len(), body.len());
        }
    };
    tokio::join!(sending, receiving);
    client.disconnect().await.unwrap();
}
