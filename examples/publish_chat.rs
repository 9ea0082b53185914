//! A chat whose clients send below `/publish` and subscribe below `/subscribe`, as Spring applications with
//! `setApplicationDestinationPrefixes("/publish")` and `enableSimpleBroker("/subscribe")` have it: `cargo run --example
//! publish_chat`, then a STOMP client at `/ws`.

use std::error::Error;

use serde::{Deserialize, Serialize};
use towpath::application::{Answer, Application, Failure, RouteError};
use towpath::config::Config;
use towpath::server::Server;

const CONFIG: &str = r#"
[application]
prefixes = ["/publish"]

[broker]
topic_prefixes = ["/subscribe"]

[[endpoint]]
path = "/ws"
"#;

/// What a client sends, and what all clients of the room get.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chat {
    room_id: u32,
    sender: String,
    #[serde(default)]
    message: String,
}

fn chat() -> Result<Application, RouteError> {
    let mut application = Application::new();
    application.on_message("/publish/chat/join", |message| async move {
        let chat: Chat = message.json()?;
        message.caller.set_attribute("sender", &chat.sender)?;
        let message = format!("{} has joined", chat.sender);
        tell(Chat { message, ..chat })
    })?;
    application.on_message("/publish/chat/message", |message| async move {
        let chat: Chat = message.json()?;
        // The name under which the session has joined, whatever this message says.
        let joined = message.caller.attribute("sender").ok_or_else(|| Failure::new("join a room first"))?;
        tell(Chat { sender: joined, ..chat })
    })?;
    Ok(application)
}

fn tell(chat: Chat) -> Result<Answer, Failure> {
    Answer::publish(format!("/subscribe/room/{}", chat.room_id), chat)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::from_toml(CONFIG, "publish_chat")?;
    if let Some(listen) = std::env::args().nth(1) {
        config.listen = listen.parse()?;
    }
    let server = Server::bind_with(&config, chat()?, None).await?;
    println!("new SockJS('http://{}/ws')", server.address());
    server.run(std::future::pending()).await;
    Ok(())
}
