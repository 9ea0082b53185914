//! Answers that come from other threads while clients send, leave and come back, and deadlines fire: nothing is lost or comes out
//! of order, nobody waits for a lock that is never given back, and what is over is forgotten.

mod bed;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bed::config;
use bed::stomp::{connect, send, subscribe};
use towpath::config::Service;
use towpath::gateway::{
    Answer, Backend, Call, Event, Failure, Gateway, Hooks, Listener, Outcome, Outgoing, Question, Reply, Visitor,
    Wiring,
};
use towpath::session::{Carrier, CloseReason, Drained, Message, Output, ReceiverId, Session, Wire};
use towpath::sockjs::Framing;
use towpath::stomp::{Frame, Version};

const CALLS: usize = 10_000;
const CLIENTS: usize = 8;
const WORKERS: usize = 4;
const ROUND: usize = 25;

/// Longer than all of it takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Hands calls over to the workers.
struct Office(Mutex<Sender<Call>>);

impl Backend for Office {
    fn begin(&self, call: Call) {
        self.0.lock().unwrap().send(call).expect("somebody works");
    }
}

/// What happened.
#[derive(Default)]
struct Books {
    answered: AtomicUsize,
    /// Conversations in which each SEND had its reply or its error.
    whole: AtomicUsize,
    connected: AtomicUsize,
    disconnected: AtomicUsize,
    over: AtomicBool,
}

#[test]
fn ten_thousand_answers_from_other_threads_while_clients_come_and_go() {
    let (done, watched) = mpsc::channel();
    let work = thread::spawn(move || {
        race();
        done.send(()).expect("somebody watches");
    });
    // A dead-lock shows as silence; a failed assertion hangs up.
    if watched.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("it does not come to an end");
    }
    work.join().expect("nothing failed");
}

fn race() {
    let books = Arc::new(Books::default());
    let (office, calls) = mpsc::channel();
    let backend: Arc<dyn Backend> = Arc::new(Office(Mutex::new(office)));
    // The listener asks the gateway back, under whatever locks it is called.
    let home: Arc<OnceLock<Weak<Gateway>>> = Arc::default();
    let hooks = Hooks { listeners: vec![listener(&books, &home)], ..Hooks::default() };
    let wiring = Wiring { hooks, backend: Some(backend), ..Wiring::default() };
    let gateway = Arc::new(Gateway::with(&config(Service::Stomp, |_| {}), wiring, Instant::now()));
    home.set(Arc::downgrade(&gateway)).expect("it is empty");
    let calls = Arc::new(Mutex::new(calls));
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (calls, books) = (Arc::clone(&calls), Arc::clone(&books));
            scope.spawn(move || answer(worker, &calls, &books));
        }
        let driver = scope.spawn(|| {
            while !books.over.load(Ordering::Relaxed) {
                gateway.handle_timeout(Instant::now());
                thread::yield_now();
            }
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (gateway, books) = (&gateway, &books);
                scope.spawn(move || {
                    let mut round = 0;
                    while books.answered.load(Ordering::Relaxed) < CALLS {
                        client(gateway, books, number, round);
                        round += 1;
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().expect("a client's assertions hold");
        }
        books.over.store(true, Ordering::Relaxed);
        driver.join().expect("the driver drives");
    });
    gateway.handle_timeout(Instant::now() + Duration::from_secs(60));
    assert!(gateway.clients().is_empty());
    assert_eq!(gateway.broker().queues_and_users(), (0, 0));
    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    println!("{} sessions, {} of them to the end", count(&books.connected), count(&books.whole));
    assert!(count(&books.connected) > 100 && count(&books.whole) > 10);
    assert_eq!(count(&books.connected), count(&books.disconnected), "each once");
}

fn listener(books: &Arc<Books>, home: &Arc<OnceLock<Weak<Gateway>>>) -> Listener {
    let (books, home) = (Arc::clone(books), Arc::clone(home));
    Arc::new(move |event| {
        let gateway = home.get().and_then(Weak::upgrade).expect("it runs");
        let (text, caller) = match event {
            Event::Connected(caller) => ("in", caller),
            Event::Disconnected { caller, .. } => ("out", caller),
            _ => return,
        };
        gateway.publish_all(vec![Outgoing::text("/topic/presence", text)], Instant::now()).expect("a topic");
        if text == "out" {
            books.disconnected.fetch_add(1, Ordering::SeqCst);
        } else if books.connected.fetch_add(1, Ordering::SeqCst) % 16 == 15 {
            // All sessions of that user, the one among them for which this is called.
            let thrown_out = gateway.clients().disconnect(|own| own.user() == caller.user(), &CloseReason::NotAllowed);
            assert!(thrown_out > 0 && !gateway.clients().list(0, Some(caller.user()), 100).is_empty());
        }
    })
}

/// Answers calls as they come, each in another way, until everybody else has left.
fn answer(worker: usize, calls: &Mutex<Receiver<Call>>, books: &Books) {
    loop {
        let call = calls.lock().unwrap().recv_timeout(Duration::from_millis(5));
        let mut call = match call {
            Ok(call) => call,
            Err(_) if books.over.load(Ordering::Relaxed) => return,
            Err(_) => continue,
        };
        let Some(Question::Send(message)) = call.take_question() else { panic!("no SEND") };
        let number = books.answered.fetch_add(1, Ordering::SeqCst);
        let reply = Reply { body: message.body.clone(), ..Reply::default() };
        let outcome = match (number + worker) % 50 {
            0 => Outcome::Failed(Failure::new("no")),
            1 => Outcome::Failed(Failure::fatal("never")),
            2 => {
                drop(call);
                continue;
            }
            3 => {
                thread::sleep(Duration::from_millis(1));
                Outcome::Done(Answer::nothing().and_reply(reply))
            }
            _ => {
                let others = Outgoing::text("/topic/all", "x").with("user", message.caller.user());
                Outcome::Done(Answer::nothing().and_reply(reply).and_publish(others))
            }
        };
        call.answer(outcome, Instant::now());
    }
}

/// One session's life: some SENDs at once, of which the replies must come in order, and one of the ways to leave.
fn client(gateway: &Arc<Gateway>, books: &Books, number: usize, round: usize) {
    let carrier = if number.is_multiple_of(2) { Carrier::Tcp } else { Carrier::Websocket };
    let endpoint = gateway.endpoints().first().expect("there is one");
    let opened = match carrier {
        Carrier::Tcp => gateway.open_tcp(Instant::now()),
        _ => gateway.open_socket(endpoint, carrier, "test", &Visitor::default(), Instant::now()),
    };
    let (session, receiver) = opened.expect("there is room");
    let say = |frame: &Frame| {
        let message = Message::from_utf8(frame.encode(Version::V1_2));
        gateway.receive(&session, vec![message], Instant::now())
    };
    say(&connect(Version::V1_2).with("login", format!("user{}", number % 3)));
    for (id, destination) in [("r", "/user/queue/replies"), ("e", "/user/queue/errors"), ("a", "/topic/all")] {
        say(&subscribe(id, destination));
    }
    for index in 0..ROUND {
        say(&send("/app/x", &format!("number {index}.")));
    }
    let stays = !round.is_multiple_of(3);
    let mut replies = Replies { receiver, carrier, text: String::new() };
    while stays && session.is_open() && replies.count() < ROUND {
        replies.read(&session);
        // As a transport's task does.
        if session.poll_answered(&mut Context::from_waker(Waker::noop())).is_ready() {
            gateway.resume(&session, Instant::now());
        }
        thread::yield_now();
    }
    if replies.count() == ROUND {
        books.whole.fetch_add(1, Ordering::SeqCst);
    }
    replies.check();
    match carrier {
        Carrier::Tcp => gateway.tcp_closed(&session, CloseReason::EndOfStream, Instant::now()),
        _ => gateway.socket_closed(endpoint, &session, CloseReason::Peer, Instant::now()),
    }
    assert!(!session.is_open());
}

/// What a client has read.
struct Replies {
    receiver: ReceiverId,
    carrier: Carrier,
    text: String,
}

impl Replies {
    fn read(&mut self, session: &Arc<Session>) {
        let framing = Framing::websocket();
        let wire = if self.carrier == Carrier::Tcp { Wire::Raw } else { Wire::Sockjs(&framing) };
        let mut out = Output::new();
        loop {
            let mut cx = Context::from_waker(Waker::noop());
            match session.poll_drain(&mut cx, self.receiver, wire, 1 << 20, Instant::now(), &mut out) {
                Poll::Ready(Drained::Frames | Drained::All | Drained::Ping) => {}
                Poll::Ready(Drained::Closed(_) | Drained::Gone) | Poll::Pending => break,
            }
        }
        self.text.push_str(&String::from_utf8_lossy(&out.take_bytes()));
    }

    /// How many SENDs have had their reply or their error.
    fn count(&self) -> usize {
        self.numbers().len() + self.text.matches("x-destination").count()
    }

    /// The numbers of the replies, in the order in which they came.
    fn numbers(&self) -> Vec<usize> {
        let behind = self.text.split("number ").skip(1);
        behind.map(|text| text.split_once('.').expect("a full stop").0.parse().expect("a number")).collect()
    }

    /// Each SEND was answered at most once, and in order.
    fn check(&self) {
        let numbers = self.numbers();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }
}
