//! A visit of one service: a session id that nobody else has, and a record of all that is asked, so that a failure can be
//! repeated by hand.
//!
//! Does not know: what the answers should be, but for the few that nearly every check begins with.

use super::answer::Answer;
use super::probe::{Probe, array};
use super::receiving::Receiving;
use super::socket::Socket;
use super::steps::Steps;
use crate::client::sockjs::fresh_session;
use crate::conformance::Stop;
use crate::wire::{Connection, Fault, Head, Request, WebSocket, shown};

/// Letters of a session's id, as many as sockjs-client has.
const ID: usize = 8;

/// What one check has of one service.
pub(super) struct Visit<'a> {
    pub probe: &'a Probe,
    /// The whole path of the service, without a slash at its end.
    base: String,
    /// `/server/session`, below the service.
    session: String,
    pub steps: Steps,
}

impl<'a> Visit<'a> {
    pub(super) fn new(probe: &'a Probe, service: &str) -> Self {
        let base = probe.target.path(service);
        Self { probe, base, session: fresh_session(ID), steps: Steps::default() }
    }

    /// The same service with another session; what it does is recorded as part of this visit.
    pub fn another(&self) -> Visit<'a> {
        Visit { probe: self.probe, base: self.base.clone(), session: fresh_session(ID), steps: self.steps.clone() }
    }

    /// The same service and server with the session of that id.
    pub fn sibling(&self, id: &str) -> Visit<'a> {
        let server = self.session.rsplit_once('/').map_or("", |(server, _)| server);
        Visit { session: format!("{server}/{id}"), ..self.another() }
    }

    /// The whole path of what lies at `path` below the service, such as `/info`.
    pub fn base(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The whole path of what lies at `path` below the session, such as `/xhr`.
    pub fn session(&self, path: &str) -> String {
        format!("{}{}{path}", self.base, self.session)
    }

    /// The id of the session.
    pub fn id(&self) -> &str {
        self.session.rsplit('/').next().unwrap_or_default()
    }

    /// A GET below the session.
    pub fn get(&self, path: &str) -> Request {
        Request::get(self.session(path))
    }

    /// A POST below the session. It says that it is empty, as browsers do, until it is given a body.
    pub fn post(&self, path: &str) -> Request {
        Request::post(self.session(path)).body("")
    }

    /// The demand is not met.
    pub fn fail(&self, seen: impl Into<String>, wanted: impl Into<String>) -> Stop {
        self.steps.fail(seen, wanted)
    }

    /// The check has seen nothing wrong.
    pub fn done(&self) -> Result<(), Stop> {
        self.steps.done()
    }

    /// A connection of its own.
    pub async fn connect(&self) -> Result<Connection, Stop> {
        let connection = Connection::open(&self.probe.target, &self.probe.load, self.probe.limits).await;
        connection.map_err(|fault| self.steps.explain(Stop::fault(&fault, "a connection")))
    }

    /// A connection of its own that is reset, and not closed in order, when it is dropped.
    pub async fn connect_resetting(&self) -> Result<Connection, Stop> {
        let connection = Connection::open_resetting(&self.probe.target, &self.probe.load, self.probe.limits).await;
        connection.map_err(|fault| self.fault(&fault, "a connection"))
    }

    /// The failure that such a fault is where something else was wanted.
    pub fn fault(&self, fault: &Fault, wanted: impl Into<String>) -> Stop {
        self.steps.explain(Stop::fault(fault, wanted))
    }

    /// The whole answer to a request, on a connection of its own.
    pub async fn ask(&self, request: &Request) -> Result<Answer, Stop> {
        let mut connection = self.connect().await?;
        self.ask_on(&mut connection, request).await
    }

    /// The whole answer to a request on that connection.
    pub async fn ask_on(&self, connection: &mut Connection, request: &Request) -> Result<Answer, Stop> {
        self.note(request);
        match connection.ask(request, &self.probe.target).await {
            Ok(response) => Ok(Answer { response, steps: self.steps.clone() }),
            Err(fault) => Err(self.steps.explain(Stop::fault(&fault, "an answer"))),
        }
    }

    /// The answer to a request, on a connection of its own, with its body still to come.
    pub async fn begin(&self, request: &Request) -> Result<Receiving, Stop> {
        self.begin_on(self.connect().await?, request).await
    }

    /// The answer to a request on that connection, with its body still to come.
    pub async fn begin_on(&self, mut connection: Connection, request: &Request) -> Result<Receiving, Stop> {
        // What hangs goes into the background, so that the lines below it can be typed too.
        self.steps.note(format!("{} &", request.curl(&self.probe.target)));
        match connection.begin(request, &self.probe.target).await {
            Ok(head) => Ok(Receiving::new(connection, head, self.steps.clone())),
            Err(fault) => Err(self.steps.explain(Stop::fault(&fault, "the head of an answer"))),
        }
    }

    /// Sends a request and leaves it to its connection, on which its answer is still to come.
    pub async fn leave(&self, request: &Request) -> Result<Connection, Stop> {
        let mut connection = self.connect().await?;
        self.steps.note(format!("{} &", request.curl(&self.probe.target)));
        match connection.write(&request.encode(&self.probe.target)).await {
            Ok(()) => Ok(connection),
            Err(fault) => Err(self.steps.explain(Stop::fault(&fault, "a server that reads the request"))),
        }
    }

    /// Polls twice at once. One of the two is to be turned away, since there is another receiver; what comes back is the
    /// connection of that other, which hangs.
    pub async fn poll_twice(&self) -> Result<Connection, Stop> {
        let poll = self.post("/xhr");
        let (mut first, mut second) = (self.leave(&poll).await?, self.leave(&poll).await?);
        let whole = async |connection: &mut Connection| {
            let head = connection.head(poll.method()).await?;
            connection.finish(head).await
        };
        // Whichever is taken first hangs. Which that is, is up to the server.
        let (told, hanging) = tokio::select! {
            told = whole(&mut first) => (told, second),
            told = whole(&mut second) => (told, first),
        };
        let wanted = "a close frame for one of two polls";
        let response = told.map_err(|fault| self.steps.explain(Stop::fault(&fault, wanted)))?;
        let told = Answer { response, steps: self.steps.clone() };
        told.status(200)?.body("c[2010,\"Another connection still open\"]\n")?;
        Ok(hanging)
    }

    /// Hangs up on a request that is left or whose answer is still coming.
    pub fn hang_up<T>(&self, hanging: T) {
        self.steps.note("kill %1 # the one that hangs");
        drop(hanging);
    }

    /// The server ends that connection.
    pub async fn closed(&self, connection: &mut Connection) -> Result<(), Stop> {
        match connection.closed().await {
            Ok(_) => Ok(()),
            Err(fault) => Err(self.steps.explain(Stop::fault(&fault, "the end of the connection"))),
        }
    }

    /// A stream with its prelude read, whatever that is.
    pub async fn stream(&self) -> Result<Receiving, Stop> {
        let mut stream = self.begin(&self.post("/xhr_streaming")).await?;
        stream.answer().status(200)?;
        stream.until("\n").await?;
        Ok(stream)
    }

    /// Opens the session by a stream.
    pub async fn open_stream(&self) -> Result<Receiving, Stop> {
        let mut stream = self.stream().await?;
        stream.expect("o\n").await?;
        Ok(stream)
    }

    /// Opens a websocket; an answer that is none, or is wrong, fails.
    pub async fn websocket(&self, request: &Request) -> Result<Socket, Stop> {
        match self.handshake(request).await? {
            Ok(socket) => Ok(socket),
            Err(head) => {
                let wanted = "101 with Upgrade: websocket, Connection: Upgrade and the right Sec-WebSocket-Accept";
                Err(self.fail(shown(head.text()), wanted))
            }
        }
    }

    /// Tries to open a websocket: the answer that is none is `Err` in the `Ok`.
    pub async fn handshake(&self, request: &Request) -> Result<Result<Socket, Head>, Stop> {
        self.steps.note(format!("# websocket {}", request.path()));
        self.note(request);
        let Probe { target, load, limits, .. } = self.probe;
        match WebSocket::open(target, load, *limits, request).await {
            Ok(Ok((websocket, head))) => Ok(Ok(Socket::new(websocket, head, self.steps.clone()))),
            Ok(Err(head)) => Ok(Err(head)),
            Err(fault) => Err(self.steps.explain(Stop::fault(&fault, "an answer to the handshake"))),
        }
    }

    /// Opens a SockJS session over a websocket.
    pub async fn open_websocket(&self) -> Result<Socket, Stop> {
        let mut socket = self.websocket(&Request::websocket(self.session("/websocket"))).await?;
        socket.expect("o").await?;
        Ok(socket)
    }

    /// Opens the session by a poll.
    pub async fn open(&self) -> Result<(), Stop> {
        self.ask(&self.post("/xhr")).await?.status(200)?.body("o\n")?;
        Ok(())
    }

    /// Polls once; the text of the answer.
    pub async fn poll(&self) -> Result<String, Stop> {
        let answer = self.ask(&self.post("/xhr")).await?;
        answer.status(200)?;
        Ok(answer.response.text())
    }

    /// Polls until so many messages have come, and gives them in their order.
    pub async fn messages(&self, count: usize) -> Result<Vec<String>, Stop> {
        let (mut messages, mut beats) = (Vec::new(), 0);
        while messages.len() < count {
            let text = self.poll().await?;
            // A heartbeat may come at any time, but not without end.
            if text == "h\n" && beats < 50 {
                beats += 1;
                continue;
            }
            match text.strip_suffix('\n').and_then(decoded) {
                Some(new) if !new.is_empty() => messages.extend(new),
                _ => {
                    let wanted = format!("a frame with messages ({} of {count} have come)", messages.len());
                    return Err(self.fail(shown(text), wanted));
                }
            }
        }
        Ok(messages)
    }

    /// Sends messages by xhr_send, which is to take them.
    pub async fn send<S: AsRef<str>>(&self, messages: &[S]) -> Result<(), Stop> {
        self.ask(&self.post("/xhr_send").body(array(messages))).await?.status(204)?;
        Ok(())
    }

    fn note(&self, request: &Request) {
        self.steps.note(request.curl(&self.probe.target));
    }
}

/// The messages of an `a` frame, or `None` if it is none.
pub(super) fn decoded(frame: &str) -> Option<Vec<String>> {
    serde_json::from_str(frame.strip_prefix('a')?).ok()
}
