//! What was confirmed was carried out: whatever the line does, a message whose receipt came is there, once, and one whose receipt did
//! not come is reported.

use std::collections::BTreeMap;

use towpath::client::stomp::{Client, ClientError, Options, Reconnect};
use towpath::stomp::{Command, Frame, Input};

use super::peer::{options, server};
use super::within;

#[tokio::test(start_paused = true)]
async fn every_message_is_either_confirmed_or_reported() {
    let (mut server, dial) = server();
    // It takes some messages, confirms fewer, and hangs up; again and again.
    let serving = tokio::spawn(async move {
        let mut got: BTreeMap<String, usize> = BTreeMap::new();
        for round in 0..40 {
            let mut peer = server.accept_connect().await;
            for number in 0..round % 7 {
                let frame =
                    if number < 4 { peer.confirm(Command::Send).await } else { peer.expect(Command::Send).await };
                *got.entry(String::from_utf8(frame.body.to_vec()).unwrap()).or_default() += 1;
            }
        }
        let mut peer = server.accept_connect().await;
        loop {
            match peer.next().await {
                Some(Input::Frame(frame)) => {
                    if let Some(receipt) = frame.headers.get("receipt") {
                        peer.send(&Frame::receipt(receipt)).await;
                    }
                    if frame.command == Command::Disconnect {
                        return got;
                    }
                    *got.entry(String::from_utf8(frame.body.to_vec()).unwrap()).or_default() += 1;
                }
                Some(_) => {}
                None => panic!("it went away"),
            }
        }
    });
    let reconnect = Some(Reconnect { jitter: 0.5, ..Reconnect::default() });
    let client = Client::connect_by(dial, Options { reconnect, ..options() }).await.unwrap();
    let (mut confirmed, mut in_doubt) = (vec![], 0);
    for group in 0..60 {
        let mut receipts = vec![];
        for number in 0..5 {
            let name = format!("{group}-{number}");
            receipts.push((name.clone(), client.send_with_receipt(("/a", name)).await.unwrap()));
        }
        for (name, receipt) in receipts {
            match within("its fate", receipt).await {
                Ok(()) => confirmed.push(name),
                Err(ClientError::Unconfirmed(_) | ClientError::ReceiptTimeout(_)) => in_doubt += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    client.disconnect().await.unwrap();
    let got = serving.await.unwrap();
    assert!(in_doubt >= 10, "{in_doubt}");
    assert_eq!(confirmed.len() + in_doubt, 300);
    for name in &confirmed {
        assert_eq!(got.get(name), Some(&1), "{name}");
    }
    assert!(got.values().all(|times| *times == 1), "nothing is sent twice by itself");
}
