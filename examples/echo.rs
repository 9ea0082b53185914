//! The SockJS echo of every tutorial, without STOMP: `cargo run --example echo`, then
//! `new SockJS('http://127.0.0.1:8080/echo')` in any page. What comes in goes back.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use towpath::application::Application;
use towpath::config::{AllowedOrigins, Config, Endpoint, Service};
use towpath::server::Server;
use towpath::session::{CloseReason, Message, Protocol, Session};

/// One conversation. A service that has to remember something between messages does it here.
struct Echo;

impl Protocol for Echo {
    fn receive(&mut self, session: &Arc<Session>, message: Message, _: Instant) -> Result<(), CloseReason> {
        session.send(message);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned()).parse()?;
    let endpoint = Endpoint {
        path: "/echo".to_owned(),
        service: Service::Application,
        allowed_origins: AllowedOrigins::Any,
        ..Endpoint::default()
    };
    let config = Config { listen, endpoints: vec![endpoint], ..Config::default() };

    let mut application = Application::new();
    application.serve("/echo", |_user| Echo);

    let server = Server::bind_with(&config, application, None).await?;
    println!("new SockJS('http://{}/echo')", server.address());
    server.run(std::future::pending()).await;
    Ok(())
}
