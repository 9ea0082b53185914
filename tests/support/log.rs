//! Reads what the gateway logs, all of it: level `trace`, what libraries say included, but for the one that the tests use themselves.
//!
//! Does not know: what should stand there.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

use tracing_subscriber::EnvFilter;

/// Everything but the websocket library's own: the test's clients speak through it as well.
const FILTER: &str = "trace,tungstenite=info,tokio_tungstenite=info";

thread_local! {
    /// What was logged on this thread since it began to collect.
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Collects what is logged on this thread for as long as it lives. Use a current-thread runtime.
pub struct Log(());

struct Lines;

impl Log {
    /// Begins to collect.
    pub fn collect() -> Self {
        // One subscriber for all threads: those of single threads come and go, and what is cached of them is a race. As the
        // binary's does, it takes in what libraries say through the `log` crate.
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let filter = EnvFilter::new(FILTER);
            tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(|| Lines).init();
        });
        LINES.set(Some(Vec::new()));
        Self(())
    }

    /// What was logged so far.
    pub fn text(&self) -> String {
        LINES.with_borrow(|lines| String::from_utf8_lossy(lines.as_deref().unwrap_or_default()).into_owned())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        LINES.set(None);
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
