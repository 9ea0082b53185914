//! Fan-out: a publication is encoded once for each form in which anyone needs it, however many receive it, and each
//! receives the right thing in its form. A body that is not UTF-8 crosses SockJS as base64, both ways.

mod bed;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bed::stomp::{Client, VERSIONS, send};
use bed::{Bed, config};
use bytes::Bytes;
use towpath::broker::Subscribing;
use towpath::config::Service;
use towpath::gateway::Receiving;
use towpath::publication::{Form, Publication};
use towpath::session::{
    Carrier, CloseReason, Delivery, Drained, Flow, Item, Output, ReceiverId, Session, Subscription, Wire,
};
use towpath::sockjs::{Callback, Encoding, Framing};
use towpath::stomp::{Command, Frame, Headers, Input, Limits, Parser, Version};

// ---- one encoding for each form ----

/// The ways out, with how to read what comes out of them. `None` is a raw websocket.
fn ways() -> Vec<Option<Framing>> {
    let callback = Callback::from_query("c=cb").expect("a callback");
    let framings =
        [Framing::websocket(), Framing::xhr(), Framing::event_stream(), Framing::htmlfile(), Framing::jsonp(&callback)];
    [None].into_iter().chain(framings.map(Some)).collect()
}

/// Raw, JSON (websocket and xhr), event stream, script (htmlfile and jsonp).
const FORMS: u32 = 4;

struct Subscriber {
    session: Arc<Session>,
    receiver: ReceiverId,
    framing: Option<Framing>,
    subscription: Arc<Subscription>,
}

impl Subscriber {
    fn new(bed: &Bed, number: usize, framing: Option<Framing>, version: Version) -> Self {
        let (session, receiver) = match &framing {
            Some(framing) if *framing != Framing::websocket() => match bed.attach(&format!("subscriber-{number}")) {
                Receiving::Attached(session, receiver) => (session, receiver),
                other => panic!("{other:?}"),
            },
            framing => {
                let carrier = if framing.is_some() { Carrier::Websocket } else { Carrier::RawWebsocket };
                bed.gateway.open_socket(bed.endpoint(), carrier, "test", &bed.visitor, bed.now).expect("room")
            }
        };
        let subscription = Subscription::new(Arc::clone(&session), version, Some(&format!("id-{number}")));
        let subscriber = Self { session, receiver, framing, subscription };
        // The open frame is not what is measured.
        if subscriber.framing.is_some() {
            subscriber.drain(bed, &mut Output::new());
        }
        subscriber
    }

    fn drain(&self, bed: &Bed, out: &mut Output) -> Bytes {
        let wire = self.framing.as_ref().map_or(Wire::Raw, Wire::Sockjs);
        let mut cx = Context::from_waker(Waker::noop());
        let drained = self.session.poll_drain(&mut cx, self.receiver, wire, usize::MAX, bed.now, out);
        assert!(matches!(drained, Poll::Ready(Drained::Frames | Drained::All)));
        out.take_bytes()
    }

    /// The one MESSAGE in what was drained.
    fn read(&self, bytes: &[u8]) -> Frame {
        let message = match &self.framing {
            None => bytes.to_vec(),
            Some(framing) => unwrap(framing, std::str::from_utf8(bytes).expect("SockJS is text")).into_bytes(),
        };
        let limits = Limits { header_line: 1 << 20, body: 1 << 26, frame: 1 << 27, ..Limits::default() };
        let mut parser = Parser::new(limits);
        parser.set_version(self.subscription.version());
        parser.feed(message.into());
        match parser.next() {
            Ok(Some(Input::Frame(frame))) => frame,
            other => panic!("{other:?}"),
        }
    }
}

/// The one message in a frame, with the transport's text and encoding taken off as its client does.
fn unwrap(framing: &Framing, text: &str) -> String {
    let json = match framing.encoding() {
        Encoding::Json => text.trim_end_matches('\n').to_owned(),
        Encoding::EventStream => {
            let data = text.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\r\n\r\n")).expect("an event");
            String::from_utf8(percent_encoding::percent_decode_str(data).collect()).expect("text")
        }
        Encoding::Script => {
            let (_, rest) = text.split_once("(\"").expect("a call");
            let (literal, _) = rest.rsplit_once("\")").expect("its end");
            serde_json::from_str(&format!("\"{literal}\"")).expect("a string literal")
        }
    };
    let messages = bed::messages(&json);
    assert_eq!(messages.len(), 1);
    messages.into_iter().next().unwrap_or_default()
}

fn roomy() -> Bed {
    Bed::new(&config(Service::Stomp, |endpoint| endpoint.outbox_bytes = 1 << 30))
}

/// Delivers one publication to `subscribers` sessions, over all ways out and the given versions in turn, and checks what
/// each receives.
fn fan_out(subscribers: usize, versions: &[Version], headers: &[(&str, &str)], body: &[u8]) -> Publication {
    let bed = roomy();
    let ways = ways();
    let subscribers: Vec<_> = (0..subscribers)
        .map(|number| {
            let version = versions[number / ways.len() % versions.len()];
            Subscriber::new(&bed, number, ways[number % ways.len()].clone(), version)
        })
        .collect();
    let headers: Headers = headers.iter().copied().collect();
    let publication = Arc::new(Publication::new(7, "/topic/a", headers.clone(), Bytes::copy_from_slice(body)));
    for subscriber in &subscribers {
        subscriber.session.push(Item::Delivery(Delivery::untracked(&publication, &subscriber.subscription)));
    }
    assert_eq!(publication.encodings(), 0, "nothing is encoded before somebody reads");
    for (number, subscriber) in subscribers.iter().enumerate() {
        let frame = subscriber.read(&subscriber.drain(&bed, &mut Output::new()));
        assert_eq!(frame.command, Command::Message);
        assert_eq!(frame.headers.get("subscription"), Some(&*format!("id-{number}")));
        assert_eq!(frame.headers.get("destination"), Some("/topic/a"));
        assert_eq!(frame.headers.get("message-id"), Some("7"));
        let length = if frame.body.is_empty() { None } else { Some(frame.body.len().to_string()) };
        assert_eq!(frame.headers.get("content-length"), length.as_deref());
        // 1.0 cannot say everything; what it makes of such headers is the codec's affair.
        if subscriber.subscription.version() > Version::V1_0 {
            for (name, value) in headers.iter() {
                assert_eq!(frame.headers.get(name), Some(value));
            }
        }
        let base64 = subscriber.framing.is_some() && std::str::from_utf8(body).is_err();
        assert_eq!(frame.headers.get("content-transfer-encoding"), base64.then_some("base64"));
        let received = if base64 { BASE64.decode(&frame.body).expect("base64") } else { frame.body.to_vec() };
        assert_eq!(received, body);
    }
    drop(subscribers);
    Arc::into_inner(publication).expect("nobody holds it once all have read")
}

#[test]
fn a_thousand_subscribers_cost_one_encoding_for_each_form() {
    let publication =
        fan_out(1000, &[Version::V1_2], &[("content-type", "text/plain")], "Grüße \"<\0>\" %\n日本".as_bytes());
    assert_eq!(publication.encodings(), FORMS);
}

#[test]
fn versions_share_an_encoding_where_their_headers_are_the_same() {
    let publication = fan_out(1000, &VERSIONS, &[("price", "12.50"), ("empty", "")], b"plain");
    assert_eq!(publication.encodings(), FORMS);
}

#[test]
fn versions_that_escape_differently_have_an_encoding_each() {
    let publication = fan_out(1000, &VERSIONS, &[("time", "12:30"), ("path", "c:\\x")], b"colons and backslashes");
    assert_eq!(publication.encodings(), FORMS * VERSIONS.len() as u32);
}

#[test]
fn a_body_that_is_not_text_costs_no_more() {
    let body: Vec<u8> = (0..=255).collect();
    assert_eq!(fan_out(1000, &[Version::V1_2], &[], &body).encodings(), FORMS);
}

#[test]
fn an_empty_body_and_a_large_one_arrive_whole() {
    assert_eq!(fan_out(12, &[Version::V1_2], &[], b"").encodings(), FORMS);
    let large: Vec<u8> = (0..300_000u32).map(|number| (number % 251) as u8).collect();
    assert_eq!(fan_out(12, &[Version::V1_2], &[], &large).encodings(), FORMS);
}

#[test]
fn a_form_that_nobody_needs_is_not_made() {
    let publication = Publication::new(1, "/topic/a", Headers::new(), Bytes::from_static(b"x"));
    assert_eq!(publication.encodings(), 0);
    for _ in 0..3 {
        publication.tail(Version::V1_2, Form::Raw);
    }
    assert_eq!(publication.encodings(), 1);
    publication.tail(Version::V1_0, Form::Raw);
    assert_eq!(publication.encodings(), 1, "without special characters all versions are the same");
    publication.tail(Version::V1_1, Form::Quoted(Encoding::Json));
    assert_eq!(publication.encodings(), 2);
}

#[test]
fn subscribers_that_read_at_the_same_moment_still_share_one_encoding() {
    let publication = Publication::new(1, "/topic/a", Headers::new(), Bytes::from(vec![b'x'; 100_000]));
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                publication.tail(Version::V1_2, Form::Quoted(Encoding::Json)).len()
            });
        }
    });
    assert_eq!(publication.encodings(), 1);
}

/// What a publication counts in an outbox is about what it puts on the wire.
#[test]
fn the_size_of_a_publication_is_about_its_length_on_the_wire() {
    let headers: Headers = [("content-type", "text/plain"), ("x", "y")].into_iter().collect();
    for length in [0, 1, 1000, 100_000] {
        let publication = Publication::new(1, "/topic/a", headers.clone(), Bytes::from(vec![b'x'; length]));
        let wire = publication.tail(Version::V1_2, Form::Raw).len();
        assert!(publication.size().abs_diff(wire) <= 64, "{} for {wire} bytes", publication.size());
    }
}

// ---- the same through the broker, where publications cannot be looked at: large allocations are counted ----

const LARGE: usize = 100_000;

thread_local! {
    static LARGE_ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn note(size: usize) {
    if size >= LARGE {
        let _ = LARGE_ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
    }
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Large allocations that it takes to publish one large message to so many subscribers and to drain them all.
fn large_allocations(subscribers: usize) -> usize {
    let bed = roomy();
    let ways = ways();
    let subscribers: Vec<_> = (0..subscribers)
        .map(|number| Subscriber::new(&bed, number, ways[number % ways.len()].clone(), Version::V1_2))
        .collect();
    for (number, subscriber) in subscribers.iter().enumerate() {
        let destination = if number % 2 == 0 { "/topic/a" } else { "/topic/#" };
        let asked = Subscribing::plain(destination, &subscriber.subscription);
        bed.gateway.broker().subscribe(asked, bed.now).expect("a topic");
    }
    let body = Bytes::from(vec![b'x'; 2 * LARGE]);
    let mut out = Output::new();
    let before = LARGE_ALLOCATIONS.get();
    let reach = bed.gateway.broker().send("/topic/a", Headers::new(), body, bed.now).expect("a topic");
    assert_eq!(reach.receivers, subscribers.len());
    for subscriber in &subscribers {
        // The output is used again, as far as the bytes are let go before.
        assert!(subscriber.drain(&bed, &mut out).len() > 2 * LARGE);
    }
    LARGE_ALLOCATIONS.get() - before
}

#[test]
fn a_thousand_subscribers_of_the_broker_cost_no_more_large_allocations_than_six() {
    let few = large_allocations(ways().len());
    assert!(few >= FORMS as usize, "{few}: the counting works");
    // The output may have to grow once more for an id of three digits.
    let many = large_allocations(1000);
    assert!(many <= few + 2, "{many} instead of {few}");
}

// ---- bodies that are not text ----

const BINARY: &[u8] = b"\xff\x00\xfe binary";

fn binary_message(frames: &[Frame]) -> (Option<&str>, Vec<u8>) {
    let [frame] = frames else { panic!("one message, not {frames:?}") };
    assert_eq!(frame.command, Command::Message);
    let length = frame.body.len().to_string();
    assert_eq!(frame.headers.get("content-length"), Some(&*length));
    (frame.headers.get("content-transfer-encoding"), frame.body.to_vec())
}

fn listeners(bed: &Bed) -> [Client; 3] {
    [Carrier::RawWebsocket, Carrier::Websocket, Carrier::Http].map(|carrier| {
        let client = Client::connected(bed, carrier, Version::V1_2);
        client.subscribe(bed, "1", "/topic/a");
        client
    })
}

/// The listeners receive these bytes: the raw one as they are, the others as base64.
fn assert_all_receive_binary(bed: &Bed, listeners: &mut [Client; 3]) {
    let [raw, sockjs @ ..] = listeners;
    assert_eq!(binary_message(&raw.frames(bed)), (None, BINARY.to_vec()));
    for client in sockjs {
        assert_eq!(binary_message(&client.frames(bed)), (Some("base64"), BASE64.encode(BINARY).into_bytes()));
    }
}

#[test]
fn binary_from_a_raw_websocket_reaches_sockjs_as_base64() {
    let bed = Bed::of(Service::Stomp);
    let mut listeners = listeners(&bed);
    let sender = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    let frame = Frame::new(Command::Send).with("destination", "/topic/a").with_body(BINARY);
    assert_eq!(sender.send(&bed, &frame), Flow::Continue);
    assert_all_receive_binary(&bed, &mut listeners);
}

#[test]
fn base64_from_sockjs_reaches_raw_websockets_as_binary() {
    for carrier in [Carrier::Websocket, Carrier::Http] {
        for word in ["base64", "Base64"] {
            let bed = Bed::of(Service::Stomp);
            let mut listeners = listeners(&bed);
            let sender = Client::connected(&bed, carrier, Version::V1_1);
            let frame = send("/topic/a", &BASE64.encode(BINARY)).with("content-transfer-encoding", word);
            assert_eq!(sender.send(&bed, &frame), Flow::Continue);
            assert_all_receive_binary(&bed, &mut listeners);
        }
    }
}

#[test]
fn base64_of_text_becomes_text_for_everybody() {
    let bed = Bed::of(Service::Stomp);
    let mut listeners = listeners(&bed);
    let sender = Client::connected(&bed, Carrier::Http, Version::V1_2);
    sender.send(&bed, &send("/topic/a", &BASE64.encode("Grüße")).with("content-transfer-encoding", "base64"));
    for client in &mut listeners {
        assert_eq!(binary_message(&client.frames(&bed)), (None, "Grüße".as_bytes().to_vec()));
    }
}

#[test]
fn base64_that_is_none_is_refused_and_nothing_is_delivered() {
    let bed = Bed::of(Service::Stomp);
    let mut listeners = listeners(&bed);
    let mut sender = Client::connected(&bed, Carrier::Http, Version::V1_2);
    let frame = send("/topic/a", "not base64!").with("content-transfer-encoding", "base64").with("receipt", "r");
    assert_eq!(sender.send(&bed, &frame), Flow::Closed);
    let frames = sender.frames_to_the_end(&bed);
    assert_eq!(frames.len(), 1);
    let header = |name| frames[0].headers.get(name);
    assert_eq!((frames[0].command, header("message")), (Command::Error, Some("bad base64 body")));
    assert_eq!(header("receipt-id"), Some("r"));
    for client in &mut listeners {
        assert!(client.frames(&bed).is_empty());
    }
}

#[test]
fn on_a_raw_websocket_the_header_is_the_senders_own_affair() {
    let bed = Bed::of(Service::Stomp);
    let mut listeners = listeners(&bed);
    let sender = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    sender.send(&bed, &send("/topic/a", "any text").with("content-transfer-encoding", "base64"));
    for client in &mut listeners {
        assert_eq!(binary_message(&client.frames(&bed)), (Some("base64"), b"any text".to_vec()));
    }
}

#[test]
fn a_text_is_never_sent_as_base64() {
    let bed = Bed::of(Service::Stomp);
    let mut listeners = listeners(&bed);
    let sender = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    sender.send(&bed, &send("/topic/a", "\0\u{1}\u{fffd}\u{10ffff}"));
    for client in &mut listeners {
        assert_eq!(binary_message(&client.frames(&bed)).0, None);
        assert!(client.reader.session.is_open());
    }
}

#[test]
fn an_end_in_the_middle_of_a_fan_out_concerns_nobody_else() {
    let bed = Bed::of(Service::Stomp);
    let mut listeners = listeners(&bed);
    listeners[1].reader.session.close(CloseReason::Shutdown, bed.now);
    let sender = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    sender.send(&bed, &send("/topic/a", "x"));
    let received = listeners.each_mut().map(|client| client.frames(&bed).len());
    assert_eq!(received, [1, 0, 1]);
}
