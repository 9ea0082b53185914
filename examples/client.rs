//! A STOMP client of any server: `cargo run --example client -- http://127.0.0.1:8080/stomp [DESTINATION]`. The URL may also be
//! `ws://`, or `tcp://` of a broker. It subscribes, sends itself a message, and says by which way it came.

use towpath::client::stomp::{Client, Options, Subscribe};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("say which URL")?;
    let destination = arguments.next().unwrap_or("/topic/greetings".to_owned());

    let client = Client::connect(&url, Options::default()).await?;
    if let Some(connection) = client.connection() {
        let server = connection.server.as_deref().unwrap_or("a server without a name");
        println!("STOMP {} with {server} over {}", connection.version, connection.via);
        connection.fallbacks.iter().for_each(|fallback| println!("given up before: {fallback}"));
    }
    let mut events = client.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            eprintln!("{event:?}");
        }
    });

    let mut subscription = client.subscribe(Subscribe::to(&destination).confirmed()).await?;
    client.send_with_receipt((destination, "hello")).await?.await?;
    println!("confirmed");
    if let Some(message) = subscription.next().await {
        println!("{}: {}", message.destination(), message.text()?);
    }
    client.disconnect().await?;
    Ok(())
}
