//! What the client does when its connection is lost, and how it notices.

use std::time::Duration;

use tokio::time::Instant;
use towpath::client::stomp::{AckMode, Client, ClientError, Event, Options, Reconnect, Subscribe};
use towpath::client::{Cause, Link, Options as LinkOptions};
use towpath::config::Config;
use towpath::stomp::{Command, Frame, Input};

use super::peer::{connected, options, refused, server};
use super::support::Gateway;
use super::{ended, next, said, within};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn subscriptions_are_restored_and_everybody_is_told() {
    let (client, mut server, mut peer) = connected(options()).await;
    let mut events = client.events();
    assert!(matches!(events.next().await, Some(Event::Connected(first)) if first.number == 1));
    let mut first = client.subscribe(Subscribe::to("/topic/a").header("selector", "x = 1")).await.unwrap();
    let ended_before = client.subscribe("/topic/b").await.unwrap();
    let subscribed = peer.expect(Command::Subscribe).await;
    peer.expect(Command::Subscribe).await;
    drop(ended_before);
    peer.expect(Command::Unsubscribe).await;
    peer.message(&subscribed, "before").await;
    let receipt = client.send_with_receipt(("/queue/a", "in doubt")).await.unwrap();
    peer.expect(Command::Send).await;
    drop(peer);
    // Both sides of the loss are told: who waits for a receipt, and who watches.
    let told = within("the receipt", receipt).await.unwrap_err();
    assert!(matches!(&told, ClientError::Unconfirmed(why) if matches!(**why, ClientError::Lost(_))), "{told:?}");
    let lost = within("the loss", events.next()).await.unwrap();
    let Event::Lost { why: ClientError::Lost(why), unconfirmed: 1 } = lost else { panic!("{lost:?}") };
    assert_eq!(why.cause, Cause::Closed);
    assert!(client.connection().is_none());
    // What is sent meanwhile waits.
    client.send(("/queue/a", "waits")).await.unwrap();
    let mut peer = server.accept_connect().await;
    let retrying = events.next().await;
    assert!(matches!(retrying, Some(Event::Retrying { after: SECOND, attempt: 1 })), "{retrying:?}");
    assert_eq!(peer.expect(Command::Subscribe).await, subscribed);
    assert_eq!(peer.expect(Command::Send).await.body, "waits");
    let again = events.next().await;
    assert!(matches!(&again, Some(Event::Connected(second)) if second.number == 2), "{again:?}");
    peer.message(&subscribed, "after").await;
    let messages = [next(&mut first).await, next(&mut first).await];
    assert_eq!(
        messages.each_ref().map(|message| (message.text().unwrap(), message.connection())),
        [("before", 1), ("after", 2)]
    );
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_until_attempts_are_over() {
    let reconnect = Reconnect { first: SECOND, longest: 3 * SECOND, jitter: 0.0, attempts: Some(4) };
    let (client, server, peer) = connected(Options { reconnect: Some(reconnect), ..options() }).await;
    let mut events = client.events();
    events.next().await;
    drop((server, peer));
    let mut pauses = vec![];
    let why = loop {
        match within("an event", events.next()).await.unwrap() {
            Event::Retrying { after, .. } => pauses.push(after.as_secs()),
            Event::Failed(why) => assert!(matches!(why, ClientError::Open(_)), "{why:?}"),
            Event::Lost { unconfirmed, .. } => assert_eq!(unconfirmed, 0),
            Event::Ended(why) => break why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(pauses, [1, 2, 3, 3]);
    assert!(matches!(why, ClientError::Open(_)), "{why:?}");
    assert!(matches!(client.send(("/a", "")).await, Err(ClientError::Open(_))));
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_left() {
    let wishes = (Duration::ZERO, 2 * SECOND);
    let (mut server, dial) = server();
    let connecting = Client::connect_by(dial, Options { heart_beat: wishes, ..options() });
    let (client, mut peer) = tokio::join!(connecting, async {
        let mut peer = server.accept().await;
        let connect = peer.connect("1000,0").await;
        assert_eq!(connect.headers.get("heart-beat"), Some("0,2000"));
        peer
    });
    let client = client.unwrap();
    assert_eq!((client.connection().unwrap().hears, client.connection().unwrap().beats), (Some(2 * SECOND), None));
    let mut events = client.events();
    events.next().await;
    let began = Instant::now();
    for _ in 0..5 {
        tokio::time::sleep(3 * SECOND).await;
        peer.write(b"\n").await;
    }
    let lost = within("the loss", events.next()).await;
    assert!(matches!(lost, Some(Event::Lost { why: ClientError::Silent(_), .. })), "{lost:?}");
    assert_eq!(began.elapsed(), 5 * 3 * SECOND + 4 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_client_beats_when_it_has_nothing_to_say() {
    let (mut server, dial) = server();
    let connecting = Client::connect_by(dial, Options { heart_beat: (SECOND, SECOND), ..options() });
    let (client, mut peer) = tokio::join!(connecting, async {
        let mut peer = server.accept().await;
        peer.connect("0,4000").await;
        peer
    });
    let client = client.unwrap();
    let mut last = Instant::now();
    for round in 0..10 {
        if round == 5 {
            client.send(("/a", "says something")).await.unwrap();
            peer.expect(Command::Send).await;
            last = Instant::now();
        }
        assert_eq!(peer.next().await, Some(Input::HeartBeat));
        assert_eq!(last.elapsed(), 2 * SECOND, "half of what was agreed on");
        last = Instant::now();
    }
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_does_not_come_is_told_and_gives_its_room_back() {
    let receipt_timeout = 5 * SECOND;
    let (client, _server, mut peer) = connected(Options { receipt_timeout, max_in_flight: 500, ..options() }).await;
    let began = Instant::now();
    let late = client.send_with_receipt(("/a", "x".repeat(300))).await.unwrap();
    peer.expect(Command::Send).await;
    // No room until the first is given up.
    let next = client.send_with_receipt(("/a", "x".repeat(300))).await.unwrap();
    assert_eq!(began.elapsed(), receipt_timeout);
    assert!(matches!(late.await, Err(ClientError::ReceiptTimeout(_))));
    peer.confirm(Command::Send).await;
    within("the receipt", next).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_and_transactions_end_with_their_connection() {
    let (client, mut server, mut peer) = connected(options()).await;
    let mut queue = client.subscribe(Subscribe::to("/queue/a").mode(AckMode::Client)).await.unwrap();
    let subscribed = peer.expect(Command::Subscribe).await;
    peer.message(&subscribed, "m").await;
    let message = next(&mut queue).await;
    let transaction = client.begin().await.unwrap();
    transaction.send(("/a", "in it")).await.unwrap();
    peer.expect(Command::Begin).await;
    peer.expect(Command::Send).await;
    drop(peer);
    let mut peer = server.accept_connect().await;
    peer.expect(Command::Subscribe).await;
    assert!(matches!(client.ack(&message).await, Err(ClientError::Stale)));
    assert!(matches!(transaction.send(("/a", "more")).await, Err(ClientError::Stale)));
    assert!(matches!(transaction.commit().await, Err(ClientError::Stale)));
    // Nothing of it is said to the new connection.
    client.send(("/a", "new")).await.unwrap();
    assert_eq!(peer.expect(Command::Send).await.body, "new");
}

#[tokio::test(start_paused = true)]
async fn an_error_goes_to_whom_it_names_and_to_all_others_the_loss() {
    let (client, _server, mut peer) = connected(options()).await;
    let named = client.send_with_receipt(("/a", "1")).await.unwrap();
    let other = client.send_with_receipt(("/a", "2")).await.unwrap();
    let receipt = peer.expect(Command::Send).await.headers.get("receipt").unwrap().to_owned();
    peer.send(&Frame::error("not allowed", "you may not", Some(&receipt))).await;
    let told = within("the receipt", named).await.unwrap_err();
    assert_eq!(told.to_string(), "the server answered with an error: not allowed (you may not)");
    let told = within("the receipt", other).await.unwrap_err();
    assert!(matches!(&told, ClientError::Unconfirmed(why) if matches!(**why, ClientError::Server { .. })), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_stomp_is_told_and_does_not_go_on() {
    let garbage: [(&[u8], &str); 6] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "unknown command"),
        (b"MESSAGE\nno colon\n\n\0", "malformed header"),
        (b"SEND\ndestination:/a\n\n\0", "a server sent SEND"),
        (b"CONNECTED\nversion:1.2\n\n\0", "a server sent CONNECTED"),
        (b"MESSAGE\nx:\\q\n\n\0", "undefined escape"),
        (b"MESSAGE\ncontent-length:99999999\n\n", "too large"),
    ];
    for (bytes, complaint) in garbage {
        let (client, _server, mut peer) = connected(Options { reconnect: None, ..options() }).await;
        peer.write(bytes).await;
        let why = ended(&client).await;
        assert!(matches!(&why, ClientError::Protocol(said) if said.contains(complaint)), "{complaint}: {why}");
    }
    // Without an end, too.
    let (client, _server, mut peer) = connected(Options { reconnect: None, ..options() }).await;
    let endless = [b"MESSAGE\n\n".as_slice(), &vec![b'x'; 8 << 20]].concat();
    assert!(peer.write_for(SECOND, &endless).await < 2 << 20);
    assert!(matches!(ended(&client).await, ClientError::Protocol(_)));
}

#[tokio::test(start_paused = true)]
async fn a_first_connection_that_fails_says_why() {
    async fn attempt(answer: &'static [u8]) -> ClientError {
        let (mut server, dial) = server();
        let connecting = Client::connect_by(dial, options());
        let (client, ()) = tokio::join!(connecting, async {
            let mut peer = server.accept().await;
            peer.expect(Command::Connect).await;
            if !answer.is_empty() {
                peer.write(answer).await;
                while peer.next().await.is_some() {}
            } else {
                tokio::time::sleep(60 * SECOND).await;
            }
        });
        client.unwrap_err()
    }
    for (answer, expected) in [
        (&b"ERROR\nmessage:bad login\n\n\0"[..], "the server answered with an error: bad login"),
        (b"RECEIPT\nreceipt-id:1\n\n\0", "CONNECT was answered with RECEIPT"),
        (b"CONNECTED\nversion:9.9\n\n\0", "which was not offered"),
        (b"CONNECTED\nversion:1.2\nheart-beat:soon\n\n\0", "no heart-beat header"),
        (b"", "not answered within 10s"),
    ] {
        let why = attempt(answer).await.to_string();
        assert!(why.contains(expected), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn disconnecting_while_there_is_no_connection_ends_at_once_and_tells_who_waits() {
    let (client, server, peer) = connected(options()).await;
    let mut events = client.events();
    drop((server, peer));
    while !matches!(events.next().await, Some(Event::Lost { .. })) {}
    let waits = client.send_with_receipt(("/a", "x")).await.unwrap();
    let began = Instant::now();
    assert!(matches!(client.disconnect().await, Err(ClientError::Unsent)));
    assert_eq!(refused(waits.await), ClientError::Unsent.to_string());
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(matches!(ended(&client).await, ClientError::Disconnected));
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_says_goodbye() {
    let (client, mut server, mut peer) = connected(options()).await;
    client.send(("/a", "last")).await.unwrap();
    drop(client);
    assert_eq!(peer.expect(Command::Send).await.body, "last");
    peer.expect(Command::Disconnect).await;
    assert!(peer.next().await.is_none());
    drop(peer);
    assert!(server.is_abandoned().await, "nobody comes back");
}

/// The same with towpath on the other side, whose clock stands still as well.
#[tokio::test(start_paused = true)]
async fn towpath_takes_a_client_back() {
    let gateway = Gateway::in_memory(Config::default()).await;
    let (lines, mut cut) = tokio::sync::mpsc::unbounded_channel();
    let connector = gateway.connector().clone();
    let dial = move || {
        let (connector, lines) = (connector.clone(), lines.clone());
        async move {
            let (near, mut far) = tokio::io::duplex(4096);
            let mut stream = connector.connect_stomp_through(4096).await;
            let line =
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut far, &mut stream).await.map(drop) });
            let _ = lines.send(line.abort_handle());
            Link::over(near, &LinkOptions::default())
        }
    };
    let client = Client::connect_by(dial, Options { ..Options::default() }).await.unwrap();
    let mut topic = client.subscribe(Subscribe::to("/topic/a").confirmed()).await.unwrap();
    let mut events = client.events();
    for number in 2..5 {
        cut.recv().await.unwrap().abort();
        loop {
            let event = within("the next connection", events.next()).await.unwrap();
            if matches!(&event, Event::Connected(connected) if connected.number == number) {
                break;
            }
        }
        client.send_with_receipt(("/topic/a", number.to_string())).await.unwrap().await.unwrap();
        assert_eq!(said(&mut topic).await, number.to_string());
    }
    // An hour of heart-beats, which keep it alive on both sides.
    tokio::time::sleep(3600 * SECOND).await;
    assert_eq!(client.connection().unwrap().number, 4);
    client.disconnect().await.unwrap();
}
