//! The controls: the least that any server on these libraries must do for the same traffic. `towpath bench` loads them as
//! it loads anybody's server, so one program checks both sides. They run on the same runtime as towpath, in a process of
//! their own, which ends when its input does.
//!
//! Does not know: what is measured, or any part of towpath.

mod echo;
mod fan_out;
mod http;
mod outbox;
mod queue;
mod topics;
mod wire;

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::support::Outcome;

/// Bare tokio-tungstenite with a read buffer of 4 KiB: every message is sent back as it came, with a `send` of its own.
pub const ECHO: &str = "echo";

/// The same library and buffer, which knows the words of a short STOMP session by heart: one `send` for each answer, and
/// what is sent goes back to the sender.
pub const DIALOGUE: &str = "dialogue";

/// Bare hyper: every POST is read to its end and answered with 204.
pub const POST: &str = "post";

/// Bare hyper: every POST is answered with a SockJS session's beginning and then nothing more, the response staying open.
pub const STREAMING: &str = "streaming";

/// Bare hyper: the first POST of a connection is answered with `o`, the next never.
pub const POLLING: &str = "polling";

/// STOMP topics, over a raw websocket or TCP: one frame is made for each publication, and whoever publishes writes it to the
/// sockets of all subscribers in turn.
pub const DIRECT: &str = "direct";

/// The same with a queue and a task for each socket, which writes all that waits at once.
pub const COALESCING: &str = "coalescing";

/// STOMP queues in the manner of [`COALESCING`]: a message goes to the next consumer that may have one.
pub const QUEUE: &str = "queue";

/// All of them.
pub const ALL: [&str; 8] = [ECHO, DIALOGUE, POST, STREAMING, POLLING, DIRECT, COALESCING, QUEUE];

/// Runs the control of that name until our input is closed. Says first where it listens: `ready ADDRESS`.
pub fn serve(name: &str) -> Outcome<()> {
    if !ALL.contains(&name) {
        return Err(format!("there is no control {name:?}, but {}", ALL.join(", ")).into());
    }
    std::thread::spawn(|| {
        // Nothing is ever said; the end is what we wait for.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = listener()?;
        println!("ready {}", listener.local_addr()?);
        std::io::stdout().flush()?;
        let (writers, outboxes, queues) = (Arc::default(), Arc::default(), Arc::default());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // The end of such a task is the end of its connection, and nobody asks why.
            match name {
                ECHO => drop(tokio::spawn(echo::echo(stream))),
                DIALOGUE => drop(tokio::spawn(echo::dialogue(stream))),
                POST => drop(tokio::spawn(http::posts(stream))),
                STREAMING => drop(tokio::spawn(http::streams(stream))),
                POLLING => drop(tokio::spawn(http::polls(stream))),
                DIRECT => drop(tokio::spawn(fan_out::direct(stream, Arc::clone(&writers)))),
                COALESCING => drop(tokio::spawn(fan_out::coalescing(stream, Arc::clone(&outboxes)))),
                _ => drop(tokio::spawn(queue::serve(stream, Arc::clone(&queues)))),
            }
        }
    })
}

/// A free port of the loopback, with room for thousands who connect at once.
fn listener() -> Outcome<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
    Ok(socket.listen(4096)?)
}
