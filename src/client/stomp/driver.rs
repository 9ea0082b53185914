//! The task of a client: one conversation after the other, and the pauses between them.
//!
//! Does not know: what is said in a conversation.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::super::{Link, OpenError};
use super::conversation::{Conversation, End};
use super::shared::{Order, Shared, Stop};
use super::{ClientError, Event, Options, handshake};
use crate::stomp::Parser;

/// Opens a link.
pub(super) type Dial = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Link, OpenError>> + Send>> + Send + Sync>;

/// A client's task.
pub(super) struct Driver {
    dial: Dial,
    options: Arc<Options>,
    shared: Arc<Shared>,
    orders: mpsc::UnboundedReceiver<Order>,
    /// An order that a connection did not take any more: it is the first on the next.
    held: Option<Order>,
    stop: watch::Receiver<Stop>,
}

/// A connection on which CONNECT was answered.
pub(super) async fn open(dial: &Dial, options: &Options, number: u64) -> Result<Conversation, ClientError> {
    let mut link = dial().await?;
    let mut parser = Parser::new(options.limits);
    let connecting = handshake::connect(&mut link, &mut parser, options, number);
    let connected = timeout(options.connect_timeout, connecting).await;
    let connected = connected.map_err(|_| ClientError::NotConnected(options.connect_timeout))??;
    Ok(Conversation { link, parser, connected: Arc::new(connected) })
}

/// The host of a URL, for the `host` header.
pub(super) fn host(url: &str) -> String {
    let uri: Option<hyper::Uri> = url.parse().ok();
    uri.as_ref().and_then(hyper::Uri::host).unwrap_or("localhost").to_owned()
}

impl Driver {
    pub fn new(
        dial: Dial,
        options: Arc<Options>,
        shared: Arc<Shared>,
        orders: mpsc::UnboundedReceiver<Order>,
        stop: watch::Receiver<Stop>,
    ) -> Self {
        Self { dial, options, shared, orders, held: None, stop }
    }

    /// Runs until the client ends, and tells everybody why.
    pub async fn run(mut self, first: Conversation) {
        let why = self.conversations(first).await;
        self.orders.close();
        self.shared.end(why);
        self.held.take().into_iter().for_each(|order| order.refuse(&ClientError::Unsent));
        while let Some(order) = self.orders.recv().await {
            order.refuse(&ClientError::Unsent);
        }
    }

    async fn conversations(&mut self, first: Conversation) -> ClientError {
        let (mut conversation, mut attempt) = (first, 0);
        loop {
            let number = conversation.connected.number;
            let began = Instant::now();
            let end =
                conversation.run(&self.shared, &self.options, &mut self.orders, &mut self.held, &mut self.stop).await;
            let why = match end {
                End::Left => return ClientError::Disconnected,
                End::Lost(why) => why,
            };
            let unconfirmed = self.shared.lose_receipts(&why);
            let Some(reconnect) = self.options.reconnect else { return why };
            if *self.stop.borrow() != Stop::No {
                return why;
            }
            self.shared.tell(Event::Lost { why: why.clone(), unconfirmed });
            if began.elapsed() >= reconnect.longest {
                attempt = 0;
            }
            let mut last = why;
            conversation = loop {
                if reconnect.is_over(attempt) {
                    return last;
                }
                let after = reconnect.pause(attempt, rand::random());
                attempt += 1;
                self.shared.tell(Event::Retrying { after, attempt });
                match self.attempt(after, number + 1).await {
                    ControlFlow::Continue(Ok(conversation)) => break conversation,
                    ControlFlow::Continue(Err(why)) => {
                        let may_pass = why.may_pass();
                        self.shared.tell(Event::Failed(why.clone()));
                        if !may_pass {
                            return why;
                        }
                        last = why;
                    }
                    ControlFlow::Break(()) => return ClientError::Disconnected,
                }
            };
        }
    }

    /// Connects after a pause, unless the client is to end before.
    async fn attempt(
        &mut self,
        pause: std::time::Duration,
        number: u64,
    ) -> ControlFlow<(), Result<Conversation, ClientError>> {
        let opening = async {
            sleep(pause).await;
            open(&self.dial, &self.options, number).await
        };
        tokio::select! {
            opened = opening => ControlFlow::Continue(opened),
            // An error is that nobody holds a handle any more.
            _ = self.stop.wait_for(|stop| *stop != Stop::No) => ControlFlow::Break(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_that_of_the_url() {
        for (url, expected) in [
            ("tcp://broker:61613", "broker"),
            ("wss://h.example/stomp?x=1", "h.example"),
            ("http://[::1]:80/stomp", "[::1]"),
            ("", "localhost"),
        ] {
            assert_eq!(host(url), expected);
        }
    }
}
