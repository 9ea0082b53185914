//! The gateway inside of an axum application: `cargo run --example axum`. axum has its routes, and what none of them wants
//! goes to the gateway. `curl -d 'tea is ready' http://127.0.0.1:8080/announce` reaches every browser.

use std::error::Error;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use towpath::application::Application;
use towpath::config::Config;
use towpath::mount::Mount;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mount = Mount::new(&Config::default(), Application::new(), None)?;
    tokio::spawn(mount.run());

    let publisher = mount.publisher();
    let announce = async move |text: String| match publisher.send_json("/topic/announcements", text) {
        Ok(reach) => (StatusCode::OK, format!("heard by {}\n", reach.receivers)),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    };
    let routes = Router::new()
        .route("/health", get(async || "well\n"))
        .route("/announce", post(announce))
        .fallback_service(mount.service());

    let listener = TcpListener::bind(std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned())).await?;
    println!("axum and towpath: http://{}/", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}
