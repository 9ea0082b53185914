//! The greeting of Spring's guide "Using WebSocket to build an interactive web application", with towpath in the place of
//! Spring: `cargo run --example greeting`, then open the page that it names. Page and gateway are one hyper server: the example
//! serves its own paths, and hands all others to the gateway.

use std::convert::Infallible;
use std::error::Error;

use hyper::body;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use towpath::application::{Answer, Application, RouteError};
use towpath::config::{Config, Endpoint};
use towpath::http::{Body, HttpService};
use towpath::mount::Mount;

#[derive(Deserialize)]
struct Hello {
    name: String,
}

#[derive(Serialize)]
struct Greeting {
    content: String,
}

fn greeting() -> Result<Application, RouteError> {
    let mut application = Application::new();
    application.on_message("/app/hello", |message| async move {
        let Hello { name } = message.json()?;
        let content = format!("Hello, {}!", escaped(&name));
        Answer::publish("/topic/greetings", Greeting { content })
    })?;
    Ok(application)
}

/// As text of a page. The guide's page shows what it gets as HTML.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut safe, c| {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
        safe
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = Endpoint { path: "/gs-guide-websocket".to_owned(), ..Endpoint::default() };
    let config = Config { endpoints: vec![endpoint], ..Config::default() };
    let mount = Mount::new(&config, greeting()?, None)?;
    tokio::spawn(mount.run());

    let listener = TcpListener::bind(std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned())).await?;
    println!("open http://{}/", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let gateway = mount.service();
        let service = service_fn(move |request| serve(gateway.clone(), request));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new());
        // Websockets are upgrades.
        tokio::spawn(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    }
}

async fn serve(gateway: HttpService, request: Request<body::Incoming>) -> Result<Response<Body>, Infallible> {
    let (content_type, page) = match request.uri().path() {
        "/" => ("text/html; charset=utf-8", include_str!("greeting/index.html")),
        "/websocket.html" => ("text/html; charset=utf-8", include_str!("greeting/websocket.html")),
        "/app.js" => ("text/javascript; charset=utf-8", include_str!("greeting/app.js")),
        _ => return Ok(gateway.respond(request).await),
    };
    let mut response = Response::new(Body::from(page));
    response.headers_mut().insert(CONTENT_TYPE, content_type.parse().expect("it is a header's value"));
    Ok(response)
}
