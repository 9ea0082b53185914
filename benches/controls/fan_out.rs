//! The two least ways to give a publication to everybody: writing to each socket in turn, and a queue for each socket.
//!
//! Does not know: rules, sessions, or anything else that stands between a SEND and a broker.

use std::io::ErrorKind;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use super::outbox::Outbox;
use super::topics::Topics;
use super::wire::{Input, answer};
use crate::support::Outcome;

/// One client whose deliveries are written by whoever publishes. No client publishes and subscribes at once, so nothing is
/// written between two halves of a frame.
pub async fn direct(stream: TcpStream, topics: Arc<Topics<OwnedWriteHalf>>) -> Outcome<()> {
    let (mut input, write) = Input::accept(stream).await?;
    let write = Arc::new(write);
    let mut joined = Vec::new();
    let outcome = async {
        while let Some(frame) = input.frame().await? {
            if frame.starts_with(b"SEND\n") {
                if let Some((message, subscribers)) = topics.publication(&frame) {
                    for subscriber in subscribers.iter() {
                        // One that is gone is no reason to leave out the others.
                        let _ = write_now(subscriber, &message).await;
                    }
                }
            } else if frame.starts_with(b"SUBSCRIBE\n") {
                joined.extend(topics.subscribe(&frame, input.carrier, &write));
            }
            if let Some(answer) = answer(&frame) {
                write_now(&write, &input.carrier.wrap(answer.as_bytes())).await?;
            }
        }
        Ok(())
    };
    let outcome = outcome.await;
    joined.iter().for_each(|topic| topics.leave(topic, &write));
    outcome
}

async fn write_now(socket: &OwnedWriteHalf, mut bytes: &[u8]) -> Outcome<()> {
    while !bytes.is_empty() {
        match socket.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => socket.writable().await?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// One client whose deliveries wait in a queue until its task writes them.
pub async fn coalescing(stream: TcpStream, topics: Arc<Topics<Outbox>>) -> Outcome<()> {
    let (mut input, write) = Input::accept(stream).await?;
    let outbox = Outbox::open(write);
    let mut joined = Vec::new();
    let outcome = async {
        while let Some(frame) = input.frame().await? {
            if frame.starts_with(b"SEND\n") {
                if let Some((message, subscribers)) = topics.publication(&frame) {
                    subscribers.iter().for_each(|subscriber| subscriber.push(message.clone()));
                }
            } else if frame.starts_with(b"SUBSCRIBE\n") {
                joined.extend(topics.subscribe(&frame, input.carrier, &outbox));
            }
            if let Some(answer) = answer(&frame) {
                outbox.push(input.carrier.wrap(answer.as_bytes()));
            }
        }
        Ok(())
    };
    let outcome = outcome.await;
    joined.iter().for_each(|topic| topics.leave(topic, &outbox));
    outbox.close();
    outcome
}
