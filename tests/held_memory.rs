//! What waits holds about the memory that it is counted with, and not that of all that its sender sent along with it.

mod bed;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bed::stomp::{Client, send};
use bed::{Bed, config};
use towpath::config::{self as settings, Service};
use towpath::session::{Carrier, Flow};
use towpath::stomp::{Command, Frame, Version};

struct Counting;

thread_local! {
    /// The bytes allocated less the bytes freed, on this thread.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

fn note(bytes: isize) {
    // At the end of a thread there is nothing to count with, and nothing to count.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size as isize - layout.size() as isize);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PADDING: usize = 256 << 10;
const MESSAGES: usize = 20;

/// Sends small messages, each in the company of heart-beats that make a large piece of it, and gives the bytes that stay.
fn held_after(bed: &Bed, carrier: Carrier, frame: &Frame) -> isize {
    let client = Client::connected(bed, carrier, Version::V1_2);
    client.send(bed, &Frame::new(Command::Begin).with("transaction", "t"));
    let mut bytes = frame.encode(Version::V1_2).to_vec();
    bytes.resize(PADDING, b'\n');
    let before = HELD.get();
    for _ in 0..MESSAGES {
        assert_eq!(client.send_bytes(bed, &bytes), Flow::Continue);
    }
    HELD.get() - before
}

#[test]
fn a_small_message_in_a_large_piece_holds_little() {
    let few = (MESSAGES * 2048) as isize;
    for carrier in [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp] {
        let mut config = config(Service::Stomp, |_| {});
        let (pattern, history) = ("/topic/**".to_owned(), Some(settings::History::new(100)));
        config.destinations = vec![settings::Destination { pattern, history, ..settings::Destination::default() }];
        let bed = Bed::new(&config);
        for (kept, frame) in [
            ("in a queue", send("/queue/a", "small")),
            ("in a history", send("/topic/a", "small")),
            ("in a transaction", send("/queue/b", "small").with("transaction", "t")),
        ] {
            let held = held_after(&bed, carrier, &frame);
            assert!(held < few, "{carrier:?}, {kept}: {held} bytes for {MESSAGES} messages");
        }
    }
}
