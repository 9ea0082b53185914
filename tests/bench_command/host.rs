//! Where planted servers listen, in a runtime of their own that ends with them, and how many connections they had.
//!
//! Does not know: what is said on a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// A server that runs.
pub struct Host {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
    runtime: Option<Runtime>,
}

/// What came to it.
#[derive(Debug, Default)]
pub struct Seen {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

impl Seen {
    /// Counts one that begins; gives its number, from zero.
    pub fn begins(&self) -> usize {
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        self.all.fetch_add(1, Ordering::SeqCst)
    }

    /// Counts one that has ended.
    pub fn ends(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many there are.
    pub fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    /// How many there were at once at most.
    pub fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    /// How many there have been.
    pub fn all(&self) -> usize {
        self.all.load(Ordering::SeqCst)
    }
}

impl Host {
    /// Serves every connection like that; it has a number, from zero.
    pub fn start<F>(serve: impl Fn(TcpStream, usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime is made");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Seen::default());
        let counted = Arc::clone(&seen);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (seen, number) = (Arc::clone(&counted), counted.begins());
                let served = serve(stream, number);
                tokio::spawn(async move {
                    // Whoever hangs up in the middle of it has seen enough.
                    let _ = served.await;
                    seen.ends();
                });
            }
        });
        Self { address, seen, runtime: Some(runtime) }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
