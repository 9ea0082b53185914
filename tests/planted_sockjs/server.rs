//! A SockJS server of a few hundred lines, which can have one defect: what a check of SockJS servers has to find.
//!
//! Does not know: what is checked.

use std::collections::HashSet;
use std::io::Result;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as Turn, watch};

use super::defects::{Defect, Defects};
use super::http::{Answer, Connection, Request};
use super::pages::{method_not_allowed, not_found, page, preflight};
use super::receiving::{Kind, dressed, receive};
use super::sending::send;
use super::session::{Behaviour, Sessions};
use super::websocket::upgrade;

/// A service.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    pub path: &'static str,
    pub behaviour: Behaviour,
    pub websocket: bool,
    pub cookie: bool,
}

const fn service(path: &'static str, behaviour: Behaviour, websocket: bool, cookie: bool) -> Service {
    Service { path, behaviour, websocket, cookie }
}

const SERVICES: [Service; 5] = [
    service("/echo", Behaviour::Echo, true, false),
    service("/disabled_websocket_echo", Behaviour::Echo, false, false),
    service("/cookie_needed_echo", Behaviour::Echo, true, true),
    service("/close", Behaviour::Close, true, false),
    service("/farewell", Behaviour::Farewell, true, false),
];

/// The server.
pub struct Server {
    pub defects: Defects,
    pub heartbeat: Duration,
    pub sessions: Arc<Sessions>,
    /// The ids of open websockets, for the defect that each may be there once.
    pub sockets: Mutex<HashSet<String>>,
    writing: Arc<Turn<()>>,
    crashed: watch::Sender<bool>,
}

impl Server {
    /// Starts one on a port of its own, which is gone with the runtime.
    pub async fn start(defect: Option<Defect>, heartbeat: Duration, delay: Duration) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let defects = Defects(defect);
        let server = Arc::new(Self {
            defects,
            heartbeat,
            sessions: Sessions::new(defects, delay),
            sockets: Mutex::default(),
            writing: Arc::default(),
            crashed: watch::Sender::new(false),
        });
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = server.crashed() => return,
                    Ok((stream, _)) = listener.accept() => {
                        tokio::spawn(server.clone().connected(stream));
                    }
                }
            }
        });
        Ok(address)
    }

    /// Ends every connection, and takes none any more.
    pub fn crash(&self) {
        self.crashed.send_replace(true);
    }

    async fn connected(self: Arc<Self>, stream: TcpStream) {
        // Frames are small, and wanted at once.
        let _ = stream.set_nodelay(true);
        if self.defects.has(Defect::SlowReaderBlocks) || self.defects.has(Defect::SlowPollBlocks) {
            // So that a reader is slow soon.
            let _ = socket2::SockRef::from(&stream).set_send_buffer_size(16 << 10);
        }
        let mut connection = Connection::new(stream, self.defects, self.writing.clone());
        let served = async {
            if self.serve(&mut connection).await.is_ok() {
                connection.finish().await;
            }
        };
        tokio::select! {
            () = self.crashed() => {}
            () = served => {}
        }
    }

    async fn crashed(&self) {
        let _ = self.crashed.subscribe().wait_for(|crashed| *crashed).await;
    }

    /// Serves the requests of a connection, one after the other.
    async fn serve(self: &Arc<Self>, connection: &mut Connection) -> Result<()> {
        loop {
            let request = match connection.request().await {
                Ok(request) => request,
                Err(error) => {
                    let refused = error.to_string();
                    let crashes = (refused == "400" && self.defects.has(Defect::GarbageEnds))
                        || (refused == "413" && self.defects.has(Defect::LargeBodyEnds));
                    if crashes {
                        self.crash();
                    }
                    return Err(error);
                }
            };
            let known = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE"].contains(&request.method.as_str());
            if !known && self.defects.has(Defect::UnknownMethodFails) {
                connection.answer(&request, Answer::text(500, "")).await?;
                continue;
            }
            if request.lists("upgrade", "h2c") && self.defects.has(Defect::UpgradesWithoutWhat) {
                return connection.write(b"HTTP/1.1 101 Whatever\r\nConnection: Upgrade\r\n\r\n").await;
            }
            let socket = request.path.ends_with("/websocket");
            if request.header("upgrade").is_some() && !socket && self.defects.has(Defect::UpgradeElsewhereEnds) {
                return Ok(());
            }
            if self.route(connection, &request).await? || connection.is_last() {
                return Ok(());
            }
        }
    }

    /// Answers a request. True if the connection has become a websocket, which has ended.
    async fn route(self: &Arc<Self>, connection: &mut Connection, request: &Request) -> Result<bool> {
        let defects = self.defects;
        let below = |service: &Service| {
            let path = request.path.strip_prefix(service.path)?;
            (path.is_empty() || path.starts_with('/')).then(|| (*service, path.to_owned()))
        };
        let found = SERVICES.iter().find_map(below);
        let Some((service, path)) = found.filter(|_| request.query.is_empty() || !defects.has(Defect::QueryCounts))
        else {
            connection.answer(request, not_found(defects)).await?;
            return Ok(false);
        };
        if let Some(answer) = page(request, &service, &path, defects) {
            connection.answer(request, answer).await?;
            return Ok(false);
        }
        if path == "/websocket" {
            return upgrade(self, &service, None, connection, request).await;
        }
        let parts: Vec<_> = path.split('/').skip(1).collect();
        let [server, session, transport] = parts[..] else {
            connection.answer(request, not_found(defects)).await?;
            return Ok(false);
        };
        if !self.is_id(server) || !self.is_id(session) {
            connection.answer(request, not_found(defects)).await?;
            return Ok(false);
        }
        let server = if defects.has(Defect::ServerIdCounts) { server } else { "" };
        let mut name = format!("{} {server} {session}", service.path);
        if defects.has(Defect::IdsInAnyCase) {
            name.make_ascii_lowercase();
        }
        if transport == "websocket" {
            return upgrade(self, &service, Some(&name), connection, request).await;
        }
        self.transport(connection, request, &service, &name, transport).await?;
        Ok(false)
    }

    fn is_id(&self, part: &str) -> bool {
        let dots = part.contains('.') && !self.defects.has(Defect::DotsInPaths);
        let word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let odd = !part.chars().all(word) && self.defects.has(Defect::WordsInPaths);
        !part.is_empty() && !dots && !odd
    }

    async fn transport(
        self: &Arc<Self>,
        connection: &mut Connection,
        request: &Request,
        service: &Service,
        name: &str,
        transport: &str,
    ) -> Result<()> {
        let defects = self.defects;
        let (kind, allowed) = match transport {
            "xhr" => (Some(Kind::Xhr), "POST, OPTIONS"),
            "xhr_streaming" => (Some(Kind::XhrStreaming), "POST, OPTIONS"),
            "xhr_send" => (None, "POST, OPTIONS"),
            "eventsource" => (Some(Kind::EventSource), "GET"),
            "htmlfile" => (Some(Kind::HtmlFile), "GET"),
            "jsonp" => (Some(Kind::Jsonp), "GET"),
            "jsonp_send" => (None, "POST"),
            _ => return connection.answer(request, not_found(defects)).await,
        };
        let answer = match (request.method.as_str(), kind) {
            ("OPTIONS", Some(Kind::XhrStreaming)) if defects.has(Defect::PreflightUnknown) => not_found(defects),
            ("OPTIONS", _) if allowed.ends_with("OPTIONS") => preflight(request, service, "OPTIONS, POST", defects),
            (method, Some(kind)) if allowed.split(", ").next() == Some(method) => {
                return receive(self, service, name, kind, connection, request).await;
            }
            ("POST", None) => send(self, service, name, transport == "jsonp_send", request),
            _ => dressed(method_not_allowed(allowed, defects), request, service, defects),
        };
        connection.answer(request, answer).await
    }
}
