//! Reading a whole request body, within bounds of size and time.
//!
//! Does not know: what the bounds are called, what is told to whom, or what the body means.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as HttpBody;

use super::service::BoxError;

/// Why a body is not there.
#[derive(Debug)]
pub(super) enum Failed {
    /// It is larger than it may be, or says that it will be.
    TooLarge,
    /// It ended before its end.
    Broken,
    /// It did not arrive in time.
    Late,
}

/// Reads a body of up to `limit` bytes, for at most `timeout`.
pub(super) async fn collect<B>(body: B, limit: usize, timeout: Duration) -> Result<Bytes, Failed>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    // A body that announces too much is refused before any of it is read.
    if body.size_hint().lower() > limit as u64 {
        return Err(Failed::TooLarge);
    }
    match tokio::time::timeout(timeout, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Failed::TooLarge),
        Ok(Err(_)) => Err(Failed::Broken),
        Err(_) => Err(Failed::Late),
    }
}
