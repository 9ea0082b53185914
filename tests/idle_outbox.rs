//! An idle session's outbox holds no heap memory, before its first message and after its last, and looking into it costs
//! no allocation; nor does an idle TCP connection hold more than it began with. Counted by an allocator that watches the thread of the test.

mod bed;
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::task::{Context, Poll, Waker};

use bed::{Bed, say};
use support::stomp::Stomp;
use support::{Client, Gateway, Transport};
use towpath::config::{Config, Service};
use towpath::session::{Carrier, Drained, Output, Wire};
use towpath::sockjs::Framing;
use towpath::stomp::{Command, Version};

struct Counting;

thread_local! {
    /// Allocations on this thread, and the bytes allocated less the bytes freed.
    static COUNT: Cell<(usize, isize)> = const { Cell::new((0, 0)) };
}

fn note(allocations: usize, bytes: isize) {
    // At the end of a thread there is nothing to count with, and nothing to count.
    let _ = COUNT.try_with(|count| {
        let (calls, held) = count.get();
        count.set((calls + allocations, held + bytes));
    });
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, -(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size as isize - layout.size() as isize);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations during `body`, and the bytes that it left behind.
fn counted(body: impl FnOnce()) -> (usize, isize) {
    let (calls, held) = COUNT.with(Cell::get);
    body();
    let (calls_after, held_after) = COUNT.with(Cell::get);
    (calls_after - calls, held_after - held)
}

const CARRIERS: [Carrier; 3] = [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket];

#[test]
fn the_counting_allocator_counts() {
    let mut kept = Vec::new();
    assert_eq!(counted(|| drop(Vec::<u8>::with_capacity(100))), (1, 0));
    assert_eq!(counted(|| kept = Vec::<u8>::with_capacity(100)), (1, 100));
}

#[test]
fn an_outbox_without_messages_holds_no_heap() {
    let bed = Bed::of(Service::Echo);
    for carrier in CARRIERS {
        let mut reader = if carrier == Carrier::Http { bed.stream("a") } else { bed.open(carrier) };
        assert_eq!(reader.session.outbox_capacity(), 0, "{carrier:?}");
        reader.read(&bed);
        assert_eq!(reader.session.outbox_capacity(), 0, "{carrier:?}");
    }
}

#[test]
fn an_outbox_that_was_full_holds_no_heap_once_it_is_drained() {
    for carrier in CARRIERS {
        for budget in [usize::MAX, 64, 0] {
            let bed = Bed::with(Service::Echo, |endpoint| endpoint.outbox_messages = 10_000);
            let mut reader = if carrier == Carrier::Http { bed.stream("a") } else { bed.open(carrier) };
            reader.budget = budget;
            reader.read(&bed);
            reader.take();
            let (calls, held) = counted(|| {
                for _ in 0..1000 {
                    say(&reader.session, "0123456789");
                }
            });
            assert!(calls >= 1000 && held >= 10_000, "{calls} {held}: the messages are there");
            let (_, freed) = counted(|| {
                reader.read(&bed);
                reader.take();
                reader.seen.shrink_to_fit();
            });
            assert_eq!(held + freed, 0, "{carrier:?}, budget {budget}");
            assert_eq!(reader.session.outbox_capacity(), 0);
        }
    }
}

#[test]
fn looking_into_an_idle_outbox_allocates_nothing() {
    for carrier in CARRIERS {
        let bed = Bed::of(Service::Echo);
        let mut reader = if carrier == Carrier::Http { bed.stream("a") } else { bed.open(carrier) };
        reader.read(&bed);
        let framing = Framing::websocket();
        let wire = if carrier == Carrier::RawWebsocket { Wire::Raw } else { Wire::Sockjs(&framing) };
        let count = counted(|| {
            for _ in 0..100 {
                let mut cx = Context::from_waker(Waker::noop());
                let mut out = Output::new();
                let drained = reader.session.poll_drain(&mut cx, reader.id, wire, 1000, bed.now, &mut out);
                assert!(!matches!(drained, Poll::Ready(Drained::Frames | Drained::All)));
            }
        });
        assert_eq!(count, (0, 0), "{carrier:?}");
    }
}

#[test]
fn a_message_that_stops_waiting_at_the_end_of_its_session_is_freed() {
    let bed = Bed::of(Service::Echo);
    let socket = bed.socket();
    let (_, held) = counted(|| {
        for _ in 0..100 {
            say(&socket.session, "0123456789");
        }
    });
    assert!(held > 0);
    let (_, freed) = counted(|| bed.hang_up(&socket, towpath::session::CloseReason::Peer));
    // All but the reason of the close, which the test's own handle of the session still shows.
    assert!(held + freed <= 64, "{held} {freed}");
}

/// Everything runs on this thread, so what the connections hold is counted here, the clients' ends included.
#[test]
fn an_idle_tcp_connection_holds_no_buffer() {
    const CONNECTIONS: isize = 20;
    let body = "x".repeat(100_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let gateway = Gateway::in_memory(Config::default()).await;
        let mut publisher = Stomp::connect(Client::open(&gateway, Transport::Tcp, "", "").await, Version::V1_2).await;
        // The buffers that all connections of a thread share are not theirs.
        publisher.subscribed("0", "/topic/warm-up").await;
        publisher.publish("/topic/warm-up", body.clone()).await;
        publisher.expect(Command::Message).await;
        let mut clients = vec![];
        for _ in 0..CONNECTIONS {
            // A pipe keeps the room that it once needed; these have little.
            let open = Client::open_tcp_through(&gateway, 1024).await;
            let mut client = Stomp::connect(open, Version::V1_2).await;
            client.subscribed("1", "/topic/a").await;
            for _ in 0..10 {
                client.publish("/topic/nobody", "x".repeat(1024)).await;
            }
            client.send_text("\n").await;
            client.subscribed("2", "/topic/b").await;
            clients.push(client);
        }
        let before = COUNT.with(Cell::get).1;
        publisher.publish("/topic/a", body.clone()).await;
        for client in &mut clients {
            assert_eq!(client.expect(Command::Message).await.body.len(), body.len());
            client.publish("/topic/nobody", body.clone()).await;
            client.send_text("\n\n\n").await;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let held = COUNT.with(Cell::get).1 - before;
        // The room of the pipe, and a little.
        assert!(held / CONNECTIONS < 1536, "{held} bytes for {CONNECTIONS} connections");
    });
}
