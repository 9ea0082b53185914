//! Bare hyper: a POST that is answered at once, a response that stays open, and a request that is never answered.
//!
//! Does not know: sessions. What it says of them it has by heart.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::support::Outcome;

/// What a streaming response begins with: 2 KiB that browsers want before they look, then the frame that opens.
const PRELUDE: usize = 2048;

/// One client whose POSTs are read to their end and answered with 204.
pub async fn posts(stream: TcpStream) -> Outcome<()> {
    let service = service_fn(|request: Request<Incoming>| async move {
        let _ = request.into_body().collect().await;
        let mut response = Response::new(Empty::<Bytes>::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok::<_, Infallible>(response)
    });
    http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await?;
    Ok(())
}

/// One client whose responses begin and do not end.
pub async fn streams(stream: TcpStream) -> Outcome<()> {
    let service = service_fn(|request: Request<Incoming>| async move {
        let _ = request.into_body().collect().await;
        let prelude = Bytes::from([vec![b'h'; PRELUDE], vec![b'\n']].concat());
        let begin = stream::iter([prelude, Bytes::from_static(b"o\n")]);
        let frames = begin.chain(stream::pending()).map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
        Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
    });
    http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await?;
    Ok(())
}

/// One client whose first poll opens a session, and whose second waits.
pub async fn polls(stream: TcpStream) -> Outcome<()> {
    let opened = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        let first = !opened.swap(true, Ordering::Relaxed);
        async move {
            let _ = request.into_body().collect().await;
            if !first {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"o\n"))))
        }
    });
    http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await?;
    Ok(())
}
