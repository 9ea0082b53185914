//! Streams: how frames are cut, and what helps them through proxies.
//!
//! Does not know: limits of responses.

use super::receiver::{Over, Receiver, Transport};
use super::{SOCKJS, check, same};
use crate::conformance::sockjs::Probe;
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
    if stream.head.status == 404 {
        return Err(Stop::NotOffered(format!("no {}: its URL is 404", transport.name())));
    }
    stream.answer().status(200)?;
    if stream.framing() != Framing::Chunked {
        return Err(stream.fail(format!("{:?}", stream.framing()), "Transfer-Encoding: chunked"));
    }
    let prelude = stream.next("the prelude").await?.unwrap_or_default();
    let right = match transport {
        Transport::EventSource => prelude == "\r\n",
        Transport::HtmlFile => prelude.ends_with(b"\n") && memchr::memmem::find(&prelude, b"<script>\np(").is_none(),
        _ => prelude.len() == 2049 && prelude.ends_with(b"h\n"),
    };
    if !right {
        return Err(stream.fail(format!("a first chunk {}", shown(prelude)), "the prelude, in a chunk of its own"));
    }
    let mut seen = Vec::new();
    let sent = ["1", "2", "3", "4"];
    let mut opened = false;
    while seen.len() < sent.len() {
        let wanted = "a chunk that is one whole frame";
        let Some(chunk) = stream.next(wanted).await? else {
            return Err(stream.fail("the end of the response", wanted));
        };
        let end: &[u8] = match transport {
            Transport::EventSource => b"\n\r\n",
            Transport::HtmlFile => b"</script>\r\n",
            _ => b"\n",
        };
        let ends = memchr::memmem::find_iter(&chunk, end).count();
        match transport.unwrapped(&chunk) {
            Ok(frame) if ends == 1 && frame == "o" && !opened => {
                opened = true;
                // The first ones one by one, and then two at once.
                visit.send(&["1"]).await?;
            }
            Ok(frame) if ends == 1 && opened && frame != "h" => match decoded(&frame).filter(|new| !new.is_empty()) {
                Some(new) => {
                    let before = seen.len();
                    seen.extend(new);
                    match (before, seen.len()) {
                        (_, 1) => visit.send(&["2"]).await?,
                        (_, 2) => visit.send(&["3", "4"]).await?,
                        _ => {}
                    }
                }
                None => return Err(stream.fail(shown(chunk), wanted)),
            },
            Ok(frame) if ends == 1 && frame == "h" => {}
            _ => return Err(stream.fail(format!("over {} a chunk {}", transport.name(), shown(chunk)), wanted)),
        }
    }
    same(&visit, &seen, &sent)
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
