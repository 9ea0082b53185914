//! One TCP connection of a load, as lean as it can be: what comes is looked at where it lies in one buffer, and what is to go
//! waits in another, so that a client that waits for one direction never blocks the other.
//!
//! Does not know: what the bytes mean.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::net::TcpStream;

use super::fault::Fault;

/// Room for what comes, at first and at most at once.
const LEAST_ROOM: usize = 4096;
const MOST_ROOM: usize = 64 * 1024;

/// One connection with what has come and what has not gone yet. All waiting is cancel-safe.
#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    input: BytesMut,
    output: Vec<u8>,
    /// How much of `output` has gone.
    written: usize,
    /// How much room the next read gets.
    room: usize,
}

impl Link {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, input: BytesMut::new(), output: Vec::new(), written: 0, room: LEAST_ROOM }
    }

    /// What has come and was not consumed.
    pub(super) fn input(&self) -> &[u8] {
        &self.input
    }

    /// What has come, and where answers to it go.
    pub(super) fn split(&mut self) -> (&[u8], &mut Vec<u8>) {
        (&self.input, &mut self.output)
    }

    /// Done with so many bytes of the input.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.input.advance(bytes.min(self.input.len()));
    }

    /// Where to put what is to be sent; [`flush`](Self::flush) sends it.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Bytes that have not gone.
    pub(super) fn backlog(&self) -> usize {
        self.output.len() - self.written
    }

    /// Gives back the memory that is not needed while nothing comes.
    pub(super) fn rest(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.backlog() == 0 {
            self.output = Vec::new();
            self.written = 0;
        }
        self.room = LEAST_ROOM;
    }

    /// Sends as much as the system takes at once. The rest goes while the next input is waited for.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        while self.backlog() > 0 {
            match self.stream.try_write(self.output.get(self.written..).unwrap_or_default()) {
                Ok(written) => self.wrote(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits until something came, and writes meanwhile what waits.
    ///
    /// # Errors
    ///
    /// The connection is broken, or [`Fault::Ended`].
    pub(super) async fn more(&mut self) -> Result<(), Fault> {
        poll_fn(|context| self.poll_more(context)).await
    }

    /// The same, for those who wait for two connections.
    pub(super) fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        while self.backlog() > 0 {
            let waiting = self.output.get(self.written..).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write(context, waiting)? {
                Poll::Ready(written) => self.wrote(written),
                Poll::Pending => break,
            }
        }
        // Memory is taken only when there is something to put into it.
        ready!(self.stream.poll_read_ready(context))?;
        self.input.reserve(self.room);
        let read = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(context))?;
        if read == 0 {
            return Poll::Ready(Err(Fault::Ended));
        }
        if read >= self.room {
            self.room = (2 * self.room).min(MOST_ROOM);
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until all has been written; what comes meanwhile stays.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub(super) async fn written(&mut self) -> Result<(), Fault> {
        self.flush()?;
        while self.backlog() > 0 {
            self.stream.writable().await?;
            self.flush()?;
        }
        Ok(())
    }

    fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written >= self.output.len() {
            self.output.clear();
            self.written = 0;
        }
    }
}
