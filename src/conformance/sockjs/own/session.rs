//! The life of a session over changing receivers: who is attached, what is kept for whom, and how it closes.
//!
//! Does not know: time.

use super::receiver::{Over, Receiver, Transport};
use super::{SOCKJS, check, same};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::visit::{Visit, decoded};
use crate::conformance::{Check, Level, Stop};
use crate::wire::shown;

const GROUP: &str = "sessions";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Must,
        GROUP,
        "session.open-once",
        SOCKJS,
        "the open frame is the first of a session and never comes again",
        "sockjs-client takes a second one for another session on a server that was restarted, and closes with `Server lost \
         session`.",
        |probe| Box::pin(open_once(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "session.isolated",
        SOCKJS,
        "a session gets its own messages and nobody else's",
        "A server that mixes sessions up, because their ids differ only in their case or in a letter more, shows one user what \
         another one wrote.",
        |probe| Box::pin(isolated(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "session.messages-while-away",
        SOCKJS,
        "what comes while no receiver is attached waits for the next one, in order",
        "A client that polls is away between any two polls. What is sent to it in that moment is most of its traffic.",
        |probe| Box::pin(messages_while_away(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "session.second-receiver-other-transport",
        SOCKJS,
        "a second receiver, of whatever transport, is told 2010 or 404 while the first is attached",
        "Each message goes to one receiver. If there are two of one session each gets a part of the messages, and nobody can put \
         them together.",
        |probe| Box::pin(second_receiver_other_transport(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "session.first-receiver-undisturbed",
        SOCKJS,
        "the receiver that was there first stays attached when a second one is turned away",
        "Otherwise whoever opens the same URL in a second tab, or a proxy that repeats a request, ends the connection that \
         works.",
        |probe| Box::pin(first_receiver_undisturbed(probe)),
    ),
    check(
        Level::May,
        GROUP,
        "session.transport-change",
        "observed: sockjs-node",
        "a session may be received by another transport than it was opened with",
        "The reference server does not mind. Clients take a new session for every transport that they try, so only those that \
         are made by hand miss it.",
        |probe| Box::pin(transport_change(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "session.close-on-every-transport",
        SOCKJS,
        "over every transport a session that the server closed says so to each receiver that comes",
        "The answer with the close frame may be lost on its way. A client that asks again must hear the same, and not a new \
         open frame, or nothing.",
        |probe| Box::pin(close_on_every_transport(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "session.buffered-before-close",
        SOCKJS,
        "what was sent before the server closed comes before the close frame",
        "The last message of a session is often the one that says why it ends. Servers that close at once drop it whenever no \
         receiver happens to be attached.",
        |probe| Box::pin(buffered_before_close(probe)),
    ),
];

async fn open_once(probe: &Probe) -> Result<(), Stop> {
    let mut over = Over::default();
    for transport in Transport::ALL {
        let look = async {
            let visit = probe.echo();
            let mut receiver = Receiver::open(&visit, transport).await?;
            // 6 KiB make a stream end, so that a second and a third response begin.
            for round in 0..3 {
                let sent = [format!("round {round} {}", "x".repeat(6144))];
                receiver.send(&sent).await?;
                let frame = receiver.next().await?;
                if frame.text == "o" {
                    return Err(receiver.wrong(&frame, "a frame with messages: the session was open already"));
                }
                same(&visit, &decoded(&frame.text).unwrap_or_default(), &sent)?;
            }
            Ok(())
        };
        over.take(look.await)?;
    }
    over.done()
}

async fn isolated(probe: &Probe) -> Result<(), Stop> {
    let first = probe.echo();
    let second = first.another();
    let third = first.sibling(&first.id().to_uppercase());
    let fourth = first.sibling(&format!("{}0", first.id()));
    let visits = [&first, &second, &third, &fourth];
    let mut receivers = Vec::new();
    for visit in visits {
        receivers.push(Receiver::open(visit, Transport::Xhr).await?);
    }
    for round in 0..5 {
        // All are sent to before the first is read.
        for (number, receiver) in receivers.iter().enumerate() {
            receiver.send(&[format!("round {round} for {number}")]).await?;
        }
        for (number, receiver) in receivers.iter_mut().enumerate() {
            receiver.expect_messages(&[format!("round {round} for {number}")]).await?;
        }
    }
    Ok(())
}

async fn messages_while_away(probe: &Probe) -> Result<(), Stop> {
    let mut over = Over::default();
    for transport in Transport::POLLS {
        let look = async {
            let visit = probe.echo();
            let mut receiver = Receiver::open(&visit, transport).await?;
            for round in 0..3 {
                let sent: Vec<_> = (0..4).map(|number| format!("round {round}, message {number}")).collect();
                for messages in sent.chunks(2) {
                    receiver.send(messages).await?;
                }
                receiver.expect_messages(&sent).await?;
            }
            Ok(())
        };
        over.take(look.await)?;
    }
    over.done()
}

/// A session with a receiver that is certainly attached: its open frame has come, and its response goes on.
async fn attached<'v, 'p>(visit: &'v Visit<'p>) -> Result<Receiver<'v, 'p>, Stop> {
    Receiver::open(visit, Transport::XhrStreaming).await
}

/// The receiver that was there first is told this by the response that it has: had that ended, it would ask again without a word.
async fn still_attached(visit: &Visit<'_>, first: &mut Receiver<'_, '_>, message: &str) -> Result<(), Stop> {
    let sent = [message];
    first.send(&sent).await?;
    loop {
        match first.frame().await? {
            Some(frame) if frame.text == "h" => {}
            Some(frame) => return same(visit, &decoded(&frame.text).unwrap_or_default(), &sent),
            None => return Err(first.fail("the end of the first receiver's response", "the message, by that response")),
        }
    }
}

async fn second_receiver_other_transport(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut first = attached(&visit).await?;
    for transport in Transport::ALL {
        let mut second = Receiver::new(&visit, transport);
        // It is not there, or the session is bound to the transport that it was opened with. The client is turned away all the same.
        if second.head().await?.status == 404 && transport != Transport::XhrStreaming {
            continue;
        }
        second.expect_close(2010).await?;
        second.ends().await?;
    }
    still_attached(&visit, &mut first, "still attached").await
}

async fn first_receiver_undisturbed(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut first = attached(&visit).await?;
    for round in 0..3 {
        let mut second = Receiver::new(&visit, Transport::XhrStreaming);
        second.expect_close(2010).await?;
        still_attached(&visit, &mut first, &format!("round {round}")).await?;
    }
    Ok(())
}

async fn transport_change(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    for transport in [Transport::Jsonp, Transport::XhrStreaming, Transport::EventSource, Transport::HtmlFile] {
        // Whether the server has it is asked with another session.
        match Receiver::open(&visit.another(), transport).await {
            Err(Stop::NotOffered(_)) => continue,
            opened => drop(opened?),
        }
        // A message above the limit ends a stream, so that none is left attached.
        let sent = [format!("for {} {}", transport.name(), "x".repeat(5000))];
        visit.send(&sent).await?;
        let mut receiver = Receiver::new(&visit, transport);
        receiver.expect_messages(&sent).await?;
        receiver.ends().await?;
    }
    visit.done()
}

async fn close_on_every_transport(probe: &Probe) -> Result<(), Stop> {
    probe.close()?;
    let mut over = Over::default();
    for transport in Transport::ALL {
        let look = async {
            let visit = probe.close()?;
            let mut receiver = Receiver::open(&visit, transport).await?;
            let first = receiver.expect_close(3000).await?;
            for _ in 0..2 {
                receiver.ends().await?;
                let again = receiver.expect_close(3000).await?;
                if again != first {
                    return Err(receiver.fail(shown(again), format!("{} again", shown(&first))));
                }
            }
            receiver.ends().await
        };
        over.take(look.await)?;
    }
    over.done()
}

async fn buffered_before_close(probe: &Probe) -> Result<(), Stop> {
    probe.farewell()?;
    let mut over = Over::default();
    for transport in Transport::ALL {
        let look = async {
            let visit = probe.farewell()?;
            let mut receiver = Receiver::open(&visit, transport).await?;
            // A stream is attached when the server closes, and a poll is not.
            receiver.send(&["bye"]).await?;
            receiver.expect_messages(&["bye"]).await?;
            receiver.expect_close(3000).await?;
            Ok(())
        };
        over.take(look.await)?;
    }
    over.done()
}
