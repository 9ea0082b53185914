//! One SockJS client over every transport, so that a scenario can be written once. It is a strict reader: every chunk of a
//! stream must be exactly one frame, every prelude must be right to the byte, and whatever a real client would
//! stumble over fails the test.
//!
//! A raw websocket has no frames. Here it shows [`Frame::Open`] when it is open, a ping as [`Frame::Heartbeat`] and the close
//! frame as [`Frame::Close`], so the same scenarios run over it. So does a TCP connection, which has no messages either: it
//! shows the pieces in which bytes arrive as [`Frame::Binary`], and its end as a close without a code.
//!
//! Does not know: what the messages mean.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

use super::gateway::PIPE;
use super::http::percent_encode;
use super::proof::{Proof, with_query};
use super::{Connector, Gateway, Http, Request, Stream, WebSocket, within};

/// The callback that htmlfile and jsonp clients name, of the length that sockjs-client's have.
pub const CALLBACK: &str = "_jp.abcdef";

/// A way to reach a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// SockJS frames over a websocket.
    Websocket,
    /// Messages over a websocket.
    RawWebsocket,
    /// xhr and xhr_send.
    Xhr,
    /// xhr_streaming and xhr_send.
    XhrStreaming,
    /// eventsource and xhr_send.
    EventSource,
    /// htmlfile and xhr_send.
    HtmlFile,
    /// jsonp and jsonp_send.
    Jsonp,
    /// Bytes over TCP; for STOMP only, and without a URL.
    Tcp,
}

/// What a client sees next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// `o`
    Open,
    /// `h`
    Heartbeat,
    /// `a[...]`
    Messages(Vec<String>),
    /// A binary message; over raw websockets and TCP only.
    Binary(Bytes),
    /// `c[code,"reason"]`
    Close(u16, String),
}

/// Why there is no next frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A receiving request was answered with this status, or a handshake was.
    Refused(u16),
    /// The websocket was closed; with the code and reason of its close frame, if there was one.
    Closed(Option<(u16, String)>),
    /// A response broke off.
    Broken,
}

/// One conversation.
pub struct Client {
    connector: Connector,
    transport: Transport,
    /// The endpoint's path, without a slash at its end.
    path: String,
    id: String,
    headers: Vec<(String, String)>,
    /// What stands in the query of every request, as sockjs-client keeps that of its URL.
    query: Option<String>,
    line: Line,
    sender: Option<Http>,
    /// Messages of frames that were taken apart by [`Client::message`].
    waiting: VecDeque<String>,
}

/// Where frames come from.
enum Line {
    /// No receiving request is under way; the connection of the last one may serve again.
    Idle(Option<Http>),
    /// A receiving request is under way. The stage is how far its answer has been read.
    Receiving(Http, Stage),
    Socket(WebSocket),
    /// The flag says whether the test has seen that it is open.
    Raw(WebSocket, bool),
    Tcp(Stream, Told),
}

/// What the test has seen of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Open,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Prelude,
    Frames,
}

impl Transport {
    /// Every transport of browsers: each has a URL below an endpoint's path.
    pub const ALL: [Transport; 7] = [
        Self::Websocket,
        Self::RawWebsocket,
        Self::Xhr,
        Self::XhrStreaming,
        Self::EventSource,
        Self::HtmlFile,
        Self::Jsonp,
    ];

    /// Every transport that carries STOMP.
    pub const STOMP: [Transport; 8] = [
        Self::Websocket,
        Self::RawWebsocket,
        Self::Xhr,
        Self::XhrStreaming,
        Self::EventSource,
        Self::HtmlFile,
        Self::Jsonp,
        Self::Tcp,
    ];

    /// Those over plain requests, whose sessions outlive each of them.
    pub const HTTP: [Transport; 5] = [Self::Xhr, Self::XhrStreaming, Self::EventSource, Self::HtmlFile, Self::Jsonp];

    /// Those whose response carries frames until its limit is reached.
    pub const STREAMS: [Transport; 3] = [Self::XhrStreaming, Self::EventSource, Self::HtmlFile];

    /// Whether it is one of [`Self::HTTP`].
    pub fn is_http(self) -> bool {
        Self::HTTP.contains(&self)
    }

    /// Whether a response carries one frame.
    pub fn is_polling(self) -> bool {
        matches!(self, Self::Xhr | Self::Jsonp)
    }

    /// The last segment of the receiving URL.
    pub fn segment(self) -> &'static str {
        match self {
            Self::Websocket | Self::RawWebsocket => "websocket",
            Self::Xhr => "xhr",
            Self::XhrStreaming => "xhr_streaming",
            Self::EventSource => "eventsource",
            Self::HtmlFile => "htmlfile",
            Self::Jsonp => "jsonp",
            Self::Tcp => panic!("TCP has no URL"),
        }
    }

    /// The last segment of the sending URL, where there is one.
    pub fn sending_segment(self) -> Option<&'static str> {
        match self {
            Self::Websocket | Self::RawWebsocket | Self::Tcp => None,
            Self::Jsonp => Some("jsonp_send"),
            _ => Some("xhr_send"),
        }
    }

    /// The URL path with query of the receiving request or handshake.
    pub fn target(self, path: &str, id: &str) -> String {
        let segment = self.segment();
        match self {
            Self::RawWebsocket => format!("{path}/{segment}"),
            Self::HtmlFile | Self::Jsonp => format!("{path}/000/{id}/{segment}?c={CALLBACK}"),
            _ => format!("{path}/000/{id}/{segment}"),
        }
    }

    /// The receiving request or handshake.
    pub fn request(self, path: &str, id: &str) -> Request {
        let target = self.target(path, id);
        match self {
            Self::Websocket | Self::RawWebsocket | Self::Tcp => Request::websocket(target),
            Self::Xhr | Self::XhrStreaming => Request::post(target),
            Self::EventSource | Self::HtmlFile | Self::Jsonp => Request::get(target),
        }
    }

    /// The sending request with this payload, a JSON array as it stands.
    pub fn sending_request(self, path: &str, id: &str, payload: &str) -> Option<Request> {
        let segment = self.sending_segment()?;
        let request = Request::post(format!("{path}/000/{id}/{segment}"));
        Some(if self == Self::Jsonp {
            let form = format!("d={}", percent_encode(payload));
            request.header("Content-Type", "application/x-www-form-urlencoded").body(form)
        } else {
            request.header("Content-Type", "text/plain").body(payload.to_owned())
        })
    }

    /// Reads the bytes of one frame; fails the test if they are not exactly one.
    pub fn read_frame(self, bytes: &[u8]) -> Frame {
        let text = std::str::from_utf8(bytes).expect("frames are UTF-8");
        let within = |before: &str, after: &str| {
            let inner = text.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            inner.unwrap_or_else(|| panic!("no frame of {self:?}: {text:?}")).to_owned()
        };
        let script = |literal: String| -> String {
            assert!(!literal.contains(['<', '>']), "{literal:?} could end its script");
            serde_json::from_str(&literal).expect("a script's argument is a string literal")
        };
        let plain = match self {
            Self::Websocket | Self::RawWebsocket | Self::Tcp => text.to_owned(),
            Self::Xhr | Self::XhrStreaming => within("", "\n"),
            Self::EventSource => unescape_event(&within("data: ", "\r\n\r\n")),
            Self::HtmlFile => script(within("<script>\np(", ");\n</script>\r\n")),
            Self::Jsonp => script(within(&format!("/**/{CALLBACK}("), ");\r\n")),
        };
        parse_frame(&plain)
    }

    /// Checks the first chunk of a stream, where there is one of its own.
    fn check_prelude(self, chunk: &[u8]) {
        match self {
            Self::XhrStreaming => {
                assert_eq!(chunk.len(), 2049, "2048 h and a line feed");
                assert!(chunk.ends_with(b"\n") && chunk[..2048].iter().all(|byte| *byte == b'h'));
            }
            Self::EventSource => assert_eq!(chunk, b"\r\n"),
            Self::HtmlFile => {
                let page = std::str::from_utf8(chunk).expect("the page is UTF-8");
                assert!(page.len() > 1024 && page.starts_with("<!doctype html>\n"), "{page}");
                assert!(page.contains(&format!("var c = parent.{CALLBACK};\n")), "{page}");
            }
            other => panic!("{other:?} has no prelude"),
        }
    }
}

impl Client {
    /// Begins a conversation: opens the websocket, or sends the first receiving request. What comes first is the open frame.
    pub async fn open(gateway: &Gateway, transport: Transport, path: &str, id: &str) -> Self {
        Self::open_with(gateway, transport, path, id, &[])
            .await
            .unwrap_or_else(|ended| panic!("{transport:?}: {ended:?}"))
    }

    /// Begins a conversation with further headers on the handshake and on every request.
    ///
    /// # Errors
    /// [`Ended::Refused`] if a handshake is refused; a refused request shows when the first frame is read.
    pub async fn open_with(
        gateway: &Gateway,
        transport: Transport,
        path: &str,
        id: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Ended> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::open_as(gateway, transport, path, id, &Proof { headers, query: None }).await
    }

    /// Begins a conversation that proves somebody, with the handshake and with every request.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub async fn open_as(
        gateway: &Gateway,
        transport: Transport,
        path: &str,
        id: &str,
        proof: &Proof,
    ) -> Result<Self, Ended> {
        if transport == Transport::Tcp {
            return Ok(Self::open_tcp_through(gateway, PIPE).await);
        }
        Self::open_at(gateway.connector(), transport, path, id, proof).await
    }

    /// The same to whatever is behind `connector`, for a transport with a URL.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub async fn open_at(
        connector: &Connector,
        transport: Transport,
        path: &str,
        id: &str,
        proof: &Proof,
    ) -> Result<Self, Ended> {
        let connector = connector.clone();
        let Proof { headers, query } = proof.clone();
        let target = with_query(&transport.target(path, id), query.as_deref());
        let line = match transport {
            Transport::Websocket => Line::Socket(handshake(&connector, &target, &headers).await?),
            Transport::RawWebsocket => Line::Raw(handshake(&connector, &target, &headers).await?, false),
            _ => Line::Idle(None),
        };
        let mut client = Self {
            connector,
            transport,
            path: path.to_owned(),
            id: id.to_owned(),
            headers,
            query,
            line,
            sender: None,
            waiting: VecDeque::new(),
        };
        client.listen().await;
        Ok(client)
    }

    /// A conversation over TCP; if it is a pipe, through one that holds `bytes` each way.
    pub async fn open_tcp_through(gateway: &Gateway, bytes: usize) -> Self {
        let connector = gateway.connector().clone();
        let line = Line::Tcp(connector.connect_stomp_through(bytes).await, Told::Nothing);
        Self {
            connector,
            transport: Transport::Tcp,
            path: String::new(),
            id: String::new(),
            headers: vec![],
            query: None,
            line,
            sender: None,
            waiting: VecDeque::new(),
        }
    }

    /// How it reaches its session.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The websocket itself, where there is one.
    pub fn socket(&mut self) -> Option<&mut WebSocket> {
        match &mut self.line {
            Line::Socket(socket) | Line::Raw(socket, _) => Some(socket),
            _ => None,
        }
    }

    /// Makes sure that a receiving request is under way; [`next`](Self::next) does it too. Between two polls none is.
    pub async fn listen(&mut self) {
        let Line::Idle(kept) = &mut self.line else { return };
        let mut http = match kept.take() {
            Some(http) => http,
            None => Http::new(self.connector.connect().await),
        };
        let request = self.dressed(self.transport.request(&self.path, &self.id));
        http.send(&request).await;
        self.line = Line::Receiving(http, Stage::Head);
    }

    /// Makes sure that the gateway has taken the receiving request that is under way. A poll that has been sent may still be on
    /// its way, and nothing tells; but of two polls one is told that the other is attached, and that other is returned.
    pub async fn attached(mut self) -> Self {
        if !self.transport.is_polling() {
            // The open frame, which has been read, is proof enough.
            return self;
        }
        self.listen().await;
        let mut second = self.sibling();
        second.listen().await;
        let (told, attached) = tokio::select! {
            told = self.next() => (told, second),
            told = second.next() => (told, self),
        };
        assert_eq!(told, Frame::Close(2010, "Another connection still open".to_owned()));
        attached
    }

    /// The next frame.
    pub async fn next(&mut self) -> Frame {
        self.try_next().await.unwrap_or_else(|ended| panic!("{:?}: a frame was due, not {ended:?}", self.transport))
    }

    /// The next frame, over as many responses as it takes. Giving up while it waits loses nothing.
    ///
    /// # Errors
    /// [`Ended`] when there will be none.
    pub async fn try_next(&mut self) -> Result<Frame, Ended> {
        assert!(self.waiting.is_empty(), "messages that were taken singly wait: {:?}", self.waiting);
        loop {
            match &mut self.line {
                Line::Idle(_) => self.listen().await,
                Line::Receiving(http, stage) => match receive(self.transport, http, stage).await? {
                    Some(frame) => return Ok(frame),
                    None => self.hang_up(),
                },
                Line::Socket(socket) => return next_of_socket(socket, self.transport).await,
                Line::Raw(socket, told) => {
                    if !std::mem::replace(told, true) {
                        return Ok(Frame::Open);
                    }
                    return next_of_raw(socket).await;
                }
                Line::Tcp(stream, told) => return next_of_tcp(stream, told).await,
            }
        }
    }

    /// The next message, passing over heartbeats, however messages are spread over frames.
    pub async fn message(&mut self) -> String {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return message;
            }
            match self.next().await {
                Frame::Messages(messages) => self.waiting.extend(messages),
                Frame::Heartbeat => {}
                other => panic!("{:?}: a message was due, not {other:?}", self.transport),
            }
        }
    }

    /// Sends messages: as one array in one request or packet, or on a raw websocket one by one.
    pub async fn send(&mut self, messages: &[&str]) {
        if let Err(status) = self.try_send(messages).await {
            panic!("{:?}: sending was refused with {status}", self.transport);
        }
    }

    /// Sends messages.
    ///
    /// # Errors
    /// The status, if a sending request is not answered with the one that stands for success, or 0 on a websocket that is gone.
    pub async fn try_send(&mut self, messages: &[&str]) -> Result<(), u16> {
        let payload = serde_json::to_string(messages).expect("strings are JSON");
        if let Line::Raw(socket, _) = &mut self.line {
            for message in messages {
                socket.try_send(Message::text(*message)).await.map_err(|_| 0_u16)?;
            }
            return Ok(());
        }
        if let Line::Tcp(stream, _) = &mut self.line {
            return write(stream, messages.concat().as_bytes()).await;
        }
        self.try_send_payload(&payload).await
    }

    /// Sends bytes that need not be text: as one binary message, or over TCP as they are.
    pub async fn send_binary(&mut self, bytes: &[u8]) {
        let sent = match &mut self.line {
            Line::Raw(socket, _) => socket.try_send(Message::binary(bytes.to_vec())).await.map_err(|_| 0),
            Line::Tcp(stream, _) => write(stream, bytes).await,
            _ => panic!("{:?} carries text only", self.transport),
        };
        assert_eq!(sent, Ok(()));
    }

    /// Sends a payload as it stands.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    pub async fn try_send_payload(&mut self, payload: &str) -> Result<(), u16> {
        if let Line::Socket(socket) | Line::Raw(socket, _) = &mut self.line {
            return socket.try_send(Message::text(payload)).await.map_err(|_| 0);
        }
        let request =
            self.transport.sending_request(&self.path, &self.id, payload).expect("an HTTP transport has a sender");
        let request = self.dressed(request);
        if self.sender.is_none() {
            self.sender = Some(Http::new(self.connector.connect().await));
        }
        let response = self.sender.as_mut().expect("was just put there").exchange(&request).await;
        if response.header("Connection") == Some("close") {
            self.sender = None;
        }
        let success = if self.transport == Transport::Jsonp { (200, "ok") } else { (204, "") };
        if (response.status, response.text().as_str()) == success { Ok(()) } else { Err(response.status) }
    }

    /// Drops the connection of whatever is under way, as a closed tab does.
    pub fn abort(self) {
        drop(self);
    }

    /// Resets the connection of whatever is under way.
    pub fn reset(self) {
        match self.line {
            Line::Receiving(http, _) => http.into_parts().1.reset(),
            Line::Tcp(stream, _) => stream.reset(),
            _ => {}
        }
    }

    /// From now on its requests prove this.
    pub fn proves(&mut self, proof: &Proof) {
        (self.headers, self.query) = (proof.headers.clone(), proof.query.clone());
    }

    /// It sends its next message over a new connection, where it sends by requests.
    pub fn redial(&mut self) {
        self.sender = None;
    }

    fn dressed(&self, mut request: Request) -> Request {
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.query(self.query.as_deref())
    }

    /// Another client with the same session; nothing has been sent yet.
    fn sibling(&self) -> Self {
        Self {
            connector: self.connector.clone(),
            path: self.path.clone(),
            id: self.id.clone(),
            headers: self.headers.clone(),
            query: self.query.clone(),
            line: Line::Idle(None),
            sender: None,
            waiting: VecDeque::new(),
            ..*self
        }
    }

    /// The end of a response: the next one comes on the same connection, if that is still good.
    fn hang_up(&mut self) {
        if let Line::Receiving(http, _) = std::mem::replace(&mut self.line, Line::Idle(None)) {
            self.line = Line::Idle(Some(http));
        }
    }
}

async fn handshake(connector: &Connector, target: &str, headers: &[(String, String)]) -> Result<WebSocket, Ended> {
    use tokio_tungstenite::tungstenite::Error;
    let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    match WebSocket::connect_with(connector, target, &headers).await {
        Ok(socket) => Ok(socket),
        Err(Error::Http(response)) => Err(Ended::Refused(response.status().as_u16())),
        Err(_) => Err(Ended::Broken),
    }
}

/// The next frame of a response; `None` at its end.
async fn receive(transport: Transport, http: &mut Http, stage: &mut Stage) -> Result<Option<Frame>, Ended> {
    if *stage == Stage::Head {
        let head = http.try_head().await.ok().flatten().ok_or(Ended::Broken)?;
        if head.status != 200 {
            return Err(Ended::Refused(head.status));
        }
        *stage = if transport.is_polling() { Stage::Frames } else { Stage::Prelude };
    }
    if *stage == Stage::Prelude {
        let chunk = http.try_chunk().await.map_err(|_| Ended::Broken)?.ok_or(Ended::Broken)?;
        transport.check_prelude(&chunk);
        *stage = Stage::Frames;
    }
    let Some(chunk) = http.try_chunk().await.map_err(|_| Ended::Broken)? else { return Ok(None) };
    Ok(Some(transport.read_frame(&chunk)))
}

async fn next_of_socket(socket: &mut WebSocket, transport: Transport) -> Result<Frame, Ended> {
    match socket.next_data().await {
        Some(Message::Text(text)) => Ok(transport.read_frame(text.as_bytes())),
        Some(Message::Close(frame)) => Err(Ended::Closed(frame.as_ref().map(super::websocket::told))),
        None => Err(Ended::Closed(None)),
        Some(other) => panic!("SockJS frames are text, not {other:?}"),
    }
}

async fn next_of_raw(socket: &mut WebSocket) -> Result<Frame, Ended> {
    loop {
        return match socket.next().await {
            Some(Message::Text(text)) => Ok(Frame::Messages(vec![text.as_str().to_owned()])),
            Some(Message::Binary(bytes)) => Ok(Frame::Binary(bytes)),
            Some(Message::Ping(_)) => Ok(Frame::Heartbeat),
            Some(Message::Close(Some(frame))) => {
                let (code, reason) = super::websocket::told(&frame);
                Ok(Frame::Close(code, reason))
            }
            Some(Message::Pong(_)) => continue,
            Some(_) | None => Err(Ended::Closed(None)),
        };
    }
}

async fn next_of_tcp(stream: &mut Stream, told: &mut Told) -> Result<Frame, Ended> {
    match told {
        Told::Nothing => {
            *told = Told::Open;
            return Ok(Frame::Open);
        }
        Told::Open => {}
        Told::Close => return Err(Ended::Closed(None)),
    }
    let mut bytes = BytesMut::with_capacity(16 * 1024);
    match within(stream.patience(), "bytes over TCP", stream.read_buf(&mut bytes)).await {
        Ok(0) => {
            *told = Told::Close;
            Ok(Frame::Close(0, String::new()))
        }
        Ok(_) => Ok(Frame::Binary(bytes.freeze())),
        Err(_) => Err(Ended::Broken),
    }
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> Result<(), u16> {
    within(stream.patience(), "TCP to take bytes", stream.write_all(bytes)).await.map_err(|_| 0)
}

fn parse_frame(frame: &str) -> Frame {
    let broken = |error: serde_json::Error| -> ! { panic!("{error}: {frame:?}") };
    assert!(!frame.contains(['\r', '\n']), "no frame holds a raw line end: {frame:?}");
    match (frame.get(..1), frame.get(1..)) {
        (Some("o"), Some("")) => Frame::Open,
        (Some("h"), Some("")) => Frame::Heartbeat,
        (Some("a"), Some(array)) => {
            let messages: Vec<String> = serde_json::from_str(array).unwrap_or_else(|error| broken(error));
            assert!(!messages.is_empty(), "a frame carries at least one message");
            Frame::Messages(messages)
        }
        (Some("c"), Some(array)) => {
            let (code, reason) = serde_json::from_str(array).unwrap_or_else(|error| broken(error));
            Frame::Close(code, reason)
        }
        _ => panic!("no frame: {frame:?}"),
    }
}

/// What sockjs-client's `decodeURI` makes of an event's data; it throws on a stray percent sign, and so does this.
fn unescape_event(data: &str) -> String {
    let mut out = BytesMut::new();
    let mut pieces = data.split('%');
    out.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(2).unwrap_or_else(|| panic!("a stray percent sign: {data:?}"));
        let byte = match code {
            "25" => b'%',
            "0D" => b'\r',
            "0A" => b'\n',
            "00" => 0,
            _ => panic!("only four characters are escaped, not %{code}: {data:?}"),
        };
        out.extend_from_slice(&[byte]);
        out.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(out.to_vec()).expect("escaping keeps UTF-8 whole")
}
