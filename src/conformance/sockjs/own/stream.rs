//! Streams: how frames are cut, and what helps them through proxies.
//!
//! Does not know: limits of responses.

use super::receiver::{Over, Receiver, Transport};
use super::{SOCKJS, check, same};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::receiving::Receiving;
use crate::conformance::sockjs::visit::decoded;
use crate::conformance::{Check, Level, Stop};
use crate::wire::{Framing, shown};

const GROUP: &str = "streams";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Must,
        GROUP,
        "stream.frame-per-chunk",
        SOCKJS,
        "the prelude and each frame of a stream are one chunk each",
        "A frame that shares its chunk with another was held back for it, and one that is cut in two reaches the page half a \
         frame at a time. It shows that the server flushes what it has when it has it.",
        |probe| Box::pin(frame_per_chunk(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "stream.several-messages",
        SOCKJS,
        "five messages of one send all come back over a stream, in their order",
        "While a stream is attached every message goes out as it comes. Servers that wake the stream once for a send, or once \
         for each of two threads, lose some or change their order.",
        |probe| Box::pin(several_messages(probe)),
    ),
    check(
        Level::May,
        GROUP,
        "stream.no-buffering-hints",
        SOCKJS,
        "a stream says no-transform, so that proxies do not recompress it",
        "A proxy that compresses collects bytes first, and the stream comes in lumps or not at all.",
        |probe| Box::pin(no_buffering_hints(probe)),
    ),
    check(
        Level::May,
        GROUP,
        "stream.accel-buffering",
        "nginx, proxy_buffering",
        "a stream says X-Accel-Buffering: no",
        "nginx as it comes buffers answers, and then the first frames come when the client has long given up. With this header \
         it does not, and nobody has to find that line of its configuration.",
        |probe| Box::pin(accel_buffering(probe)),
    ),
];

async fn frame_per_chunk(probe: &Probe) -> Result<(), Stop> {
    let mut over = Over::default();
    for transport in Transport::STREAMS {
        over.take(chunks(probe, transport).await)?;
    }
    over.done()
}

async fn chunks(probe: &Probe, transport: Transport) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut stream = visit.begin(&transport.request(&visit)).await?;
    transport.offered(stream.head.status)?;
    stream.answer().status(200)?;
    if stream.framing() != Framing::Chunked {
        return Err(stream.fail(format!("{:?}", stream.framing()), "Transfer-Encoding: chunked"));
    }
    let prelude = stream.next("the prelude").await?.unwrap_or_default();
    let right = match transport {
        Transport::EventSource => !prelude.is_empty() && prelude.trim_ascii().is_empty(),
        Transport::HtmlFile => memchr::memmem::find(&prelude, b"<script>\np(").is_none(),
        _ => prelude.len() == 2049 && prelude.ends_with(b"h\n"),
    };
    if !right {
        return Err(stream.fail(format!("a first chunk {}", shown(prelude)), "the prelude, in a chunk of its own"));
    }
    let opened = chunk(&mut stream, transport).await?;
    if opened != "o" {
        return Err(stream.fail(format!("the frame {}", shown(opened)), "the frame o"));
    }
    let long = "x".repeat(2000);
    for sent in [&["1"][..], &["2"], &["3", "4"], &[&long]] {
        visit.send(sent).await?;
        let mut seen = Vec::new();
        while seen.len() < sent.len() {
            let frame = chunk(&mut stream, transport).await?;
            match decoded(&frame).filter(|new| !new.is_empty()) {
                Some(new) => seen.extend(new),
                None => return Err(stream.fail(format!("the frame {}", shown(frame)), "a frame with messages")),
            }
        }
        same(&visit, &seen, sent)?;
    }
    visit.done()
}

/// The frame that the next chunk is, but for heartbeats.
async fn chunk(stream: &mut Receiving, transport: Transport) -> Result<String, Stop> {
    let wanted = "a chunk that is one whole frame";
    let end: &[u8] = match transport {
        Transport::EventSource => b"\n\r\n",
        Transport::HtmlFile => b"</script>\r\n",
        _ => b"\n",
    };
    while let Some(chunk) = stream.next(wanted).await? {
        let ends = memchr::memmem::find_iter(&chunk, end).count();
        match transport.unwrapped(&chunk).ok().filter(|_| ends == 1) {
            Some(frame) if frame == "h" => {}
            Some(frame) => return Ok(frame),
            None => return Err(stream.fail(format!("over {} a chunk {}", transport.name(), shown(chunk)), wanted)),
        }
    }
    Err(stream.fail("the end of the response", wanted))
}

async fn several_messages(probe: &Probe) -> Result<(), Stop> {
    let mut over = Over::default();
    for transport in Transport::STREAMS {
        let look = async {
            let visit = probe.echo();
            let mut receiver = Receiver::open(&visit, transport).await?;
            for round in 0..5 {
                let sent: Vec<_> = (0..5).map(|number| format!("round {round}, message {number}")).collect();
                receiver.echo(&sent).await?;
            }
            Ok(())
        };
        over.take(look.await)?;
    }
    over.done()
}

async fn no_buffering_hints(probe: &Probe) -> Result<(), Stop> {
    hint(probe, "Cache-Control", "no-transform").await
}

async fn accel_buffering(probe: &Probe) -> Result<(), Stop> {
    hint(probe, "X-Accel-Buffering", "no").await
}

/// The streams that there are have this entry in this header.
async fn hint(probe: &Probe, name: &str, entry: &str) -> Result<(), Stop> {
    for transport in Transport::STREAMS {
        let visit = probe.echo();
        let stream = visit.begin(&transport.request(&visit)).await?;
        if stream.head.status != 404 {
            stream.answer().status(200)?.lists(name, &[entry])?;
        }
    }
    Ok(())
}
