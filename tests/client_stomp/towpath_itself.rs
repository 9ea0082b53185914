//! The client with towpath as its server, over everything that carries STOMP.

use std::net::{Ipv4Addr, SocketAddr};

use towpath::client::sockjs::Transport;
use towpath::client::stomp::{AckMode, Client, ClientError, Event, Options, Outgoing, Subscribe, Version};
use towpath::client::{Options as LinkOptions, Via};
use towpath::config::Config;

use super::support::{Connector, Gateway};
use super::{PATIENCE, ended, next, said, within};

async fn gateway() -> Gateway {
    let mut config = Config::default();
    config.tcp.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    Gateway::start(config).await
}

fn tcp(gateway: &Gateway) -> String {
    let Connector::Tcp(_, Some(address)) = gateway.connector() else { panic!("it listens for TCP") };
    format!("tcp://{address}")
}

fn options(transports: &[Transport]) -> Options {
    // A busy machine is no reason to fall back here.
    let link = LinkOptions { transports: transports.to_vec(), transport_timeout: PATIENCE, ..LinkOptions::default() };
    Options { link, ..Options::default() }
}

#[tokio::test]
async fn messages_and_receipts_go_over_everything_in_all_versions() {
    let gateway = gateway().await;
    let address = gateway.address();
    let ways = [
        (tcp(&gateway), Transport::Xhr, Via::Stream),
        (format!("ws://{address}/stomp/websocket"), Transport::Xhr, Via::Websocket(Some("v12.stomp".to_owned()))),
        (format!("http://{address}/stomp"), Transport::Websocket, Via::SockJs(Transport::Websocket)),
        (format!("http://{address}/stomp"), Transport::XhrStreaming, Via::SockJs(Transport::XhrStreaming)),
        (format!("http://{address}/stomp"), Transport::Xhr, Via::SockJs(Transport::Xhr)),
    ];
    for (url, transport, via) in ways {
        for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
            let options = Options { versions: vec![version], ..options(&[transport]) };
            let client = Client::connect(&url, options).await.unwrap_or_else(|why| panic!("{url}: {why}"));
            let connection = client.connection().unwrap();
            assert_eq!((&connection.via, connection.version), (&via, version));
            assert_eq!(connection.beats.is_some() && connection.hears.is_some(), version > Version::V1_0);
            let mut topic = client.subscribe(Subscribe::to("/topic/a").confirmed()).await.unwrap();
            let outgoing = Outgoing::to("/topic/a").header("x-note", "a-b").body("é\0\u{1f600}");
            client.send_with_receipt(outgoing).await.unwrap().await.unwrap();
            let message = next(&mut topic).await;
            assert_eq!((message.destination(), message.text()), ("/topic/a", Ok("é\0\u{1f600}")), "{via}");
            assert_eq!((message.header("x-note"), message.connection()), (Some("a-b"), 1));
            within("the end", client.disconnect()).await.unwrap();
            assert!(matches!(ended(&client).await, ClientError::Disconnected));
            assert!(topic.next().await.is_none());
            assert!(matches!(client.send(("/topic/a", "late")).await, Err(ClientError::Disconnected)));
        }
    }
}

#[tokio::test]
async fn many_messages_come_in_order_and_every_receipt_with_them() {
    let gateway = gateway().await;
    for url in [tcp(&gateway), format!("http://{}/stomp", gateway.address())] {
        let client = Client::connect(&url, options(&Transport::ALL)).await.unwrap();
        let mut topic = client.subscribe(Subscribe::to("/topic/many").confirmed()).await.unwrap();
        let sending = async {
            let mut receipts = vec![];
            for number in 0..300 {
                receipts.push(client.send_with_receipt(("/topic/many", number.to_string())).await.unwrap());
            }
            for receipt in receipts {
                within("a receipt", receipt).await.unwrap();
            }
        };
        let receiving = async {
            for number in 0..300 {
                assert_eq!(said(&mut topic).await, number.to_string());
            }
        };
        tokio::join!(sending, receiving);
        client.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again() {
    let gateway = gateway().await;
    let client = Client::connect(&tcp(&gateway), Options::default()).await.unwrap();
    let queue = Subscribe::to("/queue/work").mode(AckMode::ClientIndividual);
    for body in ["one", "two", "three"] {
        client.send_with_receipt(("/queue/work", body)).await.unwrap().await.unwrap();
    }
    let mut first = client.subscribe(queue.clone()).await.unwrap();
    let messages = [next(&mut first).await, next(&mut first).await, next(&mut first).await];
    client.ack(&messages[0]).await.unwrap();
    client.nack(&messages[1]).await.unwrap();
    drop(first);
    // Two and three, in whatever order.
    let mut second = client.subscribe(queue).await.unwrap();
    let mut again = [next(&mut second).await, next(&mut second).await];
    again.sort_by_key(|message| message.text().unwrap().len());
    assert_eq!(again.each_ref().map(|message| message.text().unwrap()), ["two", "three"]);
    for message in &again {
        client.ack(message).await.unwrap();
    }
    client.disconnect().await.unwrap();
    assert!(matches!(client.ack(&again[0]).await, Err(ClientError::Stale)));
}

#[tokio::test]
async fn a_transaction_is_carried_out_whole_or_not_at_all() {
    let gateway = gateway().await;
    let client = Client::connect(&tcp(&gateway), Options::default()).await.unwrap();
    let mut topic = client.subscribe(Subscribe::to("/topic/t").confirmed()).await.unwrap();
    let dropped = client.begin().await.unwrap();
    dropped.send(("/topic/t", "dropped")).await.unwrap();
    drop(dropped);
    let aborted = client.begin().await.unwrap();
    aborted.send(("/topic/t", "aborted")).await.unwrap();
    aborted.abort();
    let carried_out = client.begin().await.unwrap();
    carried_out.send(("/topic/t", "in it")).await.unwrap();
    client.send_with_receipt(("/topic/t", "before")).await.unwrap().await.unwrap();
    carried_out.commit().await.unwrap();
    assert_eq!([said(&mut topic).await, said(&mut topic).await], ["before", "in it"]);
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_says_why_and_a_body_that_cannot_be_carried_is_refused_here() {
    let gateway = gateway().await;
    let url = format!("http://{}/stomp", gateway.address());
    let reconnect = None;
    let client = Client::connect(&url, Options { reconnect, ..options(&Transport::ALL) }).await.unwrap();
    assert!(matches!(client.send(("/topic/a", vec![0xff])).await, Err(ClientError::NotText)));
    let mut events = client.events();
    assert!(matches!(events.next().await, Some(Event::Connected(_))));
    let receipt = client.send_with_receipt(("nowhere", "x")).await.unwrap();
    let told = within("the receipt", receipt).await.unwrap_err();
    assert!(matches!(&told, ClientError::Server { .. }), "{told:?}");
    assert!(matches!(ended(&client).await, ClientError::Server { .. }));
    assert!(matches!(events.next().await, Some(Event::Ended(ClientError::Server { .. }))));
    assert!(events.next().await.is_none());
}
