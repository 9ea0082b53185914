//! The task of a connection that is a stream of bytes: TCP, with TLS or without, or whatever else the caller has.
//!
//! Does not know: what the bytes mean. A message that is sent is written whole, and what is received is cut anywhere.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::timeout;

use super::pipe::{Inlet, Orders, Pipe, both_ways};
use super::{Ended, Options};

/// Bytes that are read at once.
const BUFFER: usize = 16 << 10;

/// A pipe over a stream.
pub(super) fn pipe(stream: impl AsyncRead + AsyncWrite + Send + 'static, options: &Options) -> Pipe<Bytes> {
    let idle = options.idle_timeout;
    Pipe::spawn(options.max_pending, options.close_timeout, move |inlet, orders| async move {
        let (read, write) = split(stream);
        both_ways(reading(read, inlet, idle), writing(write, orders)).await
    })
}

async fn reading(mut stream: impl AsyncRead + Unpin, inlet: Inlet<Bytes>, idle: Option<Duration>) -> Ended {
    let mut buffer = BytesMut::new();
    let mut wanted = true;
    loop {
        buffer.reserve(BUFFER);
        match within(idle, stream.read_buf(&mut buffer)).await {
            Ok(Ok(0)) => return Ended::closed(None, ""),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Ended::lost(error.to_string()),
            Err(ended) => return ended,
        }
        let bytes = buffer.split().freeze();
        // Whoever closes wants nothing more, but the server's end is still waited for.
        wanted = wanted && inlet.send(vec![bytes]).await.is_ok();
    }
}

async fn writing(mut stream: impl AsyncWrite + Unpin, mut orders: Orders<Bytes>) -> Result<(), Ended> {
    let failed = |error: std::io::Error| Ended::lost(error.to_string());
    while let Some(batch) = orders.batch().await {
        for message in &batch.messages {
            stream.write_all(message).await.map_err(failed)?;
        }
        stream.flush().await.map_err(failed)?;
    }
    // It may be gone already, which is as good.
    let _ = stream.shutdown().await;
    Ok(())
}

/// Waits no longer than a connection may be silent.
pub(super) async fn within<T>(idle: Option<Duration>, future: impl Future<Output = T>) -> Result<T, Ended> {
    match idle {
        Some(idle) => timeout(idle, future).await.map_err(|_| Ended::silent(idle)),
        None => Ok(future.await),
    }
}
