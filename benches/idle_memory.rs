//! Resident memory of the server for one idle connection of each kind, beside bare tokio-tungstenite and bare hyper.
//!
//! `cargo bench --bench idle_memory`, with `-- polling` for rows of that name only.

#![forbid(unsafe_code)]

mod support;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use support::client::{Link, masked, post};
use support::fan::{self, Kind};
use support::server::{self, Server};
use support::table::Table;
use support::{Options, Outcome, control};

fn main() -> ExitCode {
    support::run(bench)
}

/// Connections that are counted.
const CONNECTIONS: usize = 2000;

/// Connections that are there before the counting, so that what a server has once is not shared out.
const BEFORE: usize = 100;

/// Bytes of the message that a used connection has carried.
const LARGE: usize = 64 * 1024;

/// How long the memory must have stayed the same to be called settled, and how long that may take.
const SETTLED: Duration = Duration::from_millis(200);
const PATIENCE: u32 = 25;

/// What an idle client holds.
#[derive(Debug, Clone, Copy)]
enum Client {
    BareWebsocket,
    BareHttp,
    /// Bare, after an echo of [`LARGE`] bytes.
    UsedBareWebsocket,
    RawWebsocket,
    Websocket,
    /// The same, after such an echo.
    UsedWebsocket,
    /// STOMP over a raw websocket, subscribed to a topic of its own or to one for all.
    Stomp {
        own_topic: bool,
    },
    Streaming,
    Polling,
}

async fn bench(options: Options) -> Outcome<()> {
    let connections = server::at_most(CONNECTIONS + BEFORE) - BEFORE;
    let kinds = [
        ("bare tungstenite, 4 KiB buffer", Client::BareWebsocket),
        ("bare hyper, keep-alive", Client::BareHttp),
        ("bare tungstenite, after a 64 KiB echo", Client::UsedBareWebsocket),
        ("raw websocket", Client::RawWebsocket),
        ("SockJS websocket", Client::Websocket),
        ("SockJS websocket, after a 64 KiB echo", Client::UsedWebsocket),
        ("STOMP websocket, one topic for all", Client::Stomp { own_topic: false }),
        ("STOMP websocket, a topic each", Client::Stomp { own_topic: true }),
        ("xhr-streaming", Client::Streaming),
        ("xhr-polling", Client::Polling),
    ];
    let mut costs = Vec::new();
    for (name, client) in kinds {
        // The ratios need those that are bare.
        if !options.wants(name) && !name.starts_with("bare") {
            continue;
        }
        costs.push((name, client, cost(client, connections).await?));
    }
    let bare = |http: bool| costs[usize::from(http)].2;
    let mut table = Table::new(&["idle connection", "bytes", "to bare"]);
    for (name, client, bytes) in &costs {
        let http = matches!(client, Client::BareHttp | Client::Streaming | Client::Polling);
        table.row([(*name).to_owned(), format!("{bytes:.0}"), format!("{:.2}", bytes / bare(http))]);
    }
    println!("\nresident bytes of the server for each of {connections} idle connections\n\n{table}");
    Ok(())
}

/// Bytes for each connection, in a server of their own.
async fn cost(client: Client, connections: usize) -> Outcome<f64> {
    let server = match client {
        Client::BareWebsocket | Client::UsedBareWebsocket => Server::control(control::WEBSOCKET)?,
        Client::BareHttp => Server::control(control::POST)?,
        _ => Server::towpath()?,
    };
    let mut links = Vec::with_capacity(BEFORE + connections);
    let mut before = 0;
    for number in 0..BEFORE + connections {
        if number == BEFORE {
            before = settled(&server).await?;
        }
        links.push(open(client, server.address(), number).await?);
    }
    let after = settled(&server).await?;
    Ok(after.saturating_sub(before) as f64 / connections as f64)
}

/// Makes one connection and brings it to rest.
async fn open(client: Client, address: SocketAddr, number: usize) -> Outcome<Link> {
    let session = format!("/echo/000/bench{number}");
    match client {
        Client::BareWebsocket => Link::websocket(address, "/").await,
        Client::UsedBareWebsocket => {
            let mut link = Link::websocket(address, "/").await?;
            link.send(&masked(&"m".repeat(LARGE))).await?;
            link.expect("mmm").await?;
            Ok(link)
        }
        Client::RawWebsocket => Link::websocket(address, "/echo/websocket").await,
        Client::Websocket | Client::UsedWebsocket => {
            let mut link = Link::websocket(address, &format!("{session}/websocket")).await?;
            link.expect("o").await?;
            if let Client::UsedWebsocket = client {
                link.send(&masked(&format!("[\"{}\"]", "m".repeat(LARGE)))).await?;
                link.expect("mmm").await?;
            }
            Ok(link)
        }
        Client::Stomp { own_topic } => {
            let topic = if own_topic { format!("/topic/idle{number}") } else { "/topic/idle".to_owned() };
            fan::subscribe(address, Kind::Raw, number, &topic).await
        }
        Client::BareHttp => {
            let mut link = Link::open(address).await?;
            link.send(&post(address, "/", "[]")).await?;
            link.response().await?;
            Ok(link)
        }
        Client::Streaming => {
            let mut link = Link::open(address).await?;
            link.send(&post(address, &format!("{session}/xhr_streaming"), "")).await?;
            link.head().await?;
            link.chunk().await?;
            link.chunk().await?;
            Ok(link)
        }
        Client::Polling => {
            let mut link = Link::open(address).await?;
            let poll = post(address, &format!("{session}/xhr"), "");
            link.send(&poll).await?;
            link.response().await?;
            link.send(&poll).await?;
            Ok(link)
        }
    }
}

/// The server's memory once it has stopped changing: the last of the connections may still be on its way to rest.
async fn settled(server: &Server) -> Outcome<u64> {
    let mut last = server.resident()?;
    for _ in 0..PATIENCE {
        tokio::time::sleep(SETTLED).await;
        let now = server.resident()?;
        if now == last {
            return Ok(now);
        }
        last = now;
    }
    Err("the server's memory does not settle".into())
}
