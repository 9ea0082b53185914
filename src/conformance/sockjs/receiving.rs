//! An answer that is still coming: the response of a receiver, chunk by chunk.
//!
//! Does not know: frames. What a chunk should be is for the check to say.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use super::answer::Answer;
use super::steps::Steps;
use crate::conformance::Stop;
use crate::wire::{Connection, Framing, Head, Response, shown};

/// A response whose head is there. Dropping it hangs up.
pub(super) struct Receiving {
    connection: Connection,
    /// The head.
    pub head: Head,
    steps: Steps,
    /// What has come and was not asked for yet, where the body has no chunks.
    rest: BytesMut,
}

impl Receiving {
    pub(super) fn new(connection: Connection, head: Head, steps: Steps) -> Self {
        Self { connection, head, steps, rest: BytesMut::new() }
    }

    /// The demand is not met.
    pub fn fail(&self, seen: impl Into<String>, wanted: impl Into<String>) -> Stop {
        self.steps.fail(seen, wanted)
    }

    /// The head as an answer without body, for demands on headers.
    pub fn answer(&self) -> Answer {
        let response = Response { head: self.head.clone(), framing: self.framing(), pieces: Vec::new() };
        Answer { response, steps: self.steps.clone() }
    }

    /// How the body is framed.
    pub fn framing(&self) -> Framing {
        self.connection.framing()
    }

    /// Waits so long from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.connection.set_patience(patience);
    }

    /// The next chunk; of a body without chunks, what the next read brings. `None` at the end of the body.
    pub async fn next(&mut self, wanted: &str) -> Result<Option<Bytes>, Stop> {
        if !self.rest.is_empty() {
            return Ok(Some(self.rest.split().freeze()));
        }
        match self.connection.piece().await {
            Ok(piece) => Ok(piece.map(|piece| piece.bytes)),
            Err(fault) => Err(self.steps.explain(Stop::fault(&fault, wanted))),
        }
    }

    /// The next chunk, which is to be exactly this. Of a body without chunks, the next so many bytes.
    pub async fn expect(&mut self, wanted: impl AsRef<[u8]>) -> Result<(), Stop> {
        let wanted = wanted.as_ref();
        let words = format!("a chunk {}", shown(wanted));
        if self.framing() != Framing::Chunked {
            return self.expect_bytes(wanted).await;
        }
        match self.next(&words).await? {
            Some(chunk) if chunk == wanted => Ok(()),
            Some(chunk) => Err(self.fail(format!("a chunk {}", shown(chunk)), words)),
            None => Err(self.fail("the end of the response", words)),
        }
    }

    /// The next bytes, which are to be exactly these, however they are cut.
    pub async fn expect_bytes(&mut self, wanted: &[u8]) -> Result<(), Stop> {
        let words = shown(wanted);
        let started = Instant::now();
        let mut seen = BytesMut::new();
        // A server that sends a byte now and then would be read for ever.
        let most = self.connection.limits().patience.saturating_mul(3);
        while seen.len() < wanted.len() && started.elapsed() < most {
            match self.next(&words).await? {
                Some(bytes) => seen.extend_from_slice(&bytes),
                None => break,
            }
        }
        if seen.len() > wanted.len() {
            let rest = seen.split_off(wanted.len());
            self.rest = rest;
        }
        match seen == wanted {
            true => Ok(()),
            false => Err(self.fail(shown(seen), words)),
        }
    }

    /// The next chunk, whatever it is, as long as nothing is behind the first such end in it. Of a body without chunks, everything
    /// up to there.
    pub async fn until(&mut self, end: &str) -> Result<Bytes, Stop> {
        let words = format!("a chunk with nothing behind {}", shown(end));
        let started = Instant::now();
        let mut seen = BytesMut::new();
        let most = self.connection.limits().patience.saturating_mul(3);
        while started.elapsed() < most {
            let Some(bytes) = self.next(&words).await? else { break };
            seen.extend_from_slice(&bytes);
            let found = memmem::find(&seen, end.as_bytes()).map(|at| at + end.len());
            if self.framing() == Framing::Chunked {
                return match found.is_none_or(|end| end == seen.len()) {
                    true => Ok(seen.freeze()),
                    false => Err(self.fail(format!("a chunk {}", shown(seen)), words)),
                };
            }
            if let Some(found) = found {
                self.rest = seen.split_off(found);
                return Ok(seen.freeze());
            }
        }
        Err(self.fail(format!("{} and then the end of the response", shown(seen)), words))
    }

    /// The response ends here.
    pub async fn ends(&mut self) -> Result<(), Stop> {
        let wanted = "the end of the response";
        match self.next(wanted).await? {
            None => Ok(()),
            Some(chunk) => Err(self.fail(format!("a chunk {}", shown(chunk)), wanted)),
        }
    }
}
