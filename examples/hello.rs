//! The library in a dozen lines, which README shows: `cargo run --example hello`, then a STOMP client at `/stomp`.

use serde_json::{Value, json};
use towpath::{application::*, config::Config, server::Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut application = Application::new();
    application.on_message("/app/hello", |message| async move {
        let hello: Value = message.json()?;
        let name = hello["name"].as_str().ok_or_else(|| Failure::new("say your name"))?;
        Answer::publish("/topic/greetings", json!({ "content": format!("Hello, {name}!") }))
    })?;
    let listen = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned()).parse()?;
    let server = Server::bind_with(&Config { listen, ..Config::default() }, application, None).await?;
    println!("listens on {}", server.address());
    server.run(std::future::pending()).await;
    Ok(())
}
