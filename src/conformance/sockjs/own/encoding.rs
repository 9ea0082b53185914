//! Characters that are hard on somebody: each transport brings back exactly what was sent over it.
//!
//! Does not know: escapes of single characters, but for the surrogates; those are the official suite's.

use super::receiver::{Receiver, Transport};
use super::{SOCKJS, check, open_raw_websocket, open_websocket, same};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::probe::array;
use crate::conformance::sockjs::visit::Visit;
use crate::conformance::{Check, Level, Stop};
use crate::wire::shown;

const GROUP: &str = "encoding";

/// A check of one transport's way there and back.
macro_rules! round_trip {
    ($id:literal, $demand:literal, $why:literal, $look:expr) => {
        check(Level::Must, GROUP, $id, SOCKJS, $demand, $why, $look)
    };
}

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::Should,
        GROUP,
        "encoding.surrogate-pairs",
        SOCKJS,
        "characters above U+FFFF are written as two escapes, in lower case",
        "JavaScript counts them as two, and old browsers and proxies that decode a stream piece by piece cut them in the middle. \
         As escapes they are plain ASCII that nobody can cut wrongly.",
        |probe| Box::pin(surrogate_pairs(probe)),
    ),
    check(
        Level::Should,
        GROUP,
        "encoding.lone-surrogates",
        SOCKJS,
        "half a surrogate pair in a message does not end the session",
        "A text that is cut at a fixed length ends in the middle of an emoji, and JavaScript sends it so. A server whose JSON \
         decoder refuses it answers 500, and that ends the connection of sockjs-client.",
        |probe| Box::pin(lone_surrogates(probe)),
    ),
    round_trip!(
        "encoding.round-trip-xhr",
        "xhr brings back every character as it was sent",
        "STOMP frames end with NUL, and people write in every script. What one transport changes only some users see, and nobody \
         can reproduce.",
        |probe| Box::pin(over_http(probe, Transport::Xhr))
    ),
    round_trip!(
        "encoding.round-trip-xhr-streaming",
        "xhr_streaming brings back every character as it was sent",
        "The client splits the stream at line ends. A raw one inside a frame cuts it into two halves, and both are lost.",
        |probe| Box::pin(over_http(probe, Transport::XhrStreaming))
    ),
    round_trip!(
        "encoding.round-trip-eventsource",
        "eventsource brings back every character as it was sent",
        "The browser reads lines and the client decodes percent signs, so here are two more ways to lose a character. Three \
         widely used servers lose some.",
        |probe| Box::pin(over_http(probe, Transport::EventSource))
    ),
    round_trip!(
        "encoding.round-trip-htmlfile",
        "htmlfile brings back every character as it was sent",
        "A frame is JSON within a text of a script within HTML. Each of the three has its own escapes, and a server that forgets \
         one breaks off the page.",
        |probe| Box::pin(over_http(probe, Transport::HtmlFile))
    ),
    round_trip!(
        "encoding.round-trip-jsonp",
        "jsonp and its forms bring back every character as it was sent",
        "What is sent is JSON in a form, with its own escapes and with plus signs for blanks; what comes back is JSON in a \
         script, in which U+2028 ends a line.",
        |probe| Box::pin(over_http(probe, Transport::Jsonp))
    ),
    round_trip!(
        "encoding.round-trip-websocket",
        "the websocket brings back every character as it was sent",
        "It is the transport that nearly everybody has. Text frames are UTF-8 and may have any character, NUL among them.",
        |probe| Box::pin(over_websocket(probe))
    ),
    round_trip!(
        "encoding.round-trip-raw-websocket",
        "the raw websocket brings back every character as it was sent",
        "There is no JSON around the messages here, so nothing may be changed and nothing stripped, blanks and line ends at \
         both ends among it.",
        |probe| Box::pin(over_raw_websocket(probe))
    ),
    check(
        Level::Should,
        GROUP,
        "encoding.invalid-utf8",
        SOCKJS,
        "a body that is no UTF-8 is refused, or read with U+FFFD, and the session lives on",
        "A client in another language sends Latin-1 once. The message is wrong, but the session, and the messages behind it, are \
         not.",
        |probe| Box::pin(invalid_utf8(probe)),
    ),
];

/// Each line is hard on somebody: C, JSON, JavaScript, percent-encoding, forms, HTML, XML, event streams, UTF-16 and UTF-8.
const HARD: [&str; 14] = [
    "NUL \0 and \u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}\u{8}\t\n\u{b}\u{c}\r\u{e}\u{f}\u{10}\u{1b}\u{1c}\u{1d}\u{1e}\u{1f}",
    "quotes \" ' ` and slashes \\ / \\\\ \\\" \\u0041 \\n \\",
    "percent % %% %20 %25 %00 %zz %u0041 100%",
    "form a=b&c=d+e;f #g ?h +",
    "markup <b> </b> </script> <!-- --> ]]> &amp; &lt; <?xml?>",
    "lines a\nb\r\nc\rd\n\ndata: e\n\nevent: f",
    "  blanks\tat both ends \u{a0}\u{3000} ",
    "Latin \u{7f}\u{80}\u{85}\u{9f}\u{ad}\u{e9}\u{ff} e\u{301}",
    "scripts \u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{645}\u{631}\u{62d} \u{600}\u{604}\u{70f} \u{17b4}\u{17b5} \u{4f60}\u{597d} \u{e01}\u{e33}",
    "invisible \u{200b}\u{200c}\u{200d}\u{200e}\u{200f} \u{2028}\u{2029}\u{202a}\u{202e}\u{202f} \u{2060}\u{206f}",
    "last of the plane \u{d7ff}\u{e000}\u{feff}\u{fff0}\u{fff9}\u{fffd}\u{fffe}\u{ffff}",
    "beyond it \u{10000}\u{1f600}\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{1f1ea}\u{1f1fa}\u{10ffff}",
    "[\"a frame\"] o h c[3000,\"Go away!\"] a[\"x\"] m\"x\"",
    "\u{feff}a mark at the front",
];

async fn over_http(probe: &Probe, transport: Transport) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut receiver = Receiver::open(&visit, transport).await?;
    // One by one, so that a failure names the one, and then all in one array.
    for message in HARD {
        receiver.echo(&[message]).await?;
    }
    receiver.echo(&HARD).await
}

async fn over_websocket(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_websocket(&visit).await?;
    let one_by_one = HARD.iter().map(std::slice::from_ref);
    for sent in one_by_one.chain([&HARD[..]]) {
        socket.send(&array(sent)).await?;
        let seen = super::websocket::messages(&mut socket, sent.len()).await?;
        same(&visit, &seen, sent)?;
    }
    visit.done()
}

async fn over_raw_websocket(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let mut socket = open_raw_websocket(&visit).await?;
    for message in HARD {
        socket.send(message).await?;
        socket.expect(message).await?;
    }
    visit.done()
}

async fn surrogate_pairs(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    visit.send(&["\u{1f600}\u{10ffff}"]).await?;
    let seen = visit.poll().await?;
    let wanted = r#"a["\ud83d\ude00\udbff\udfff"]"#;
    match seen.trim_end() == wanted {
        true => visit.done(),
        false => Err(visit.fail(shown(&seen), shown(wanted))),
    }
}

async fn lone_surrogates(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    let halves = r#"["\ud800", "cut \ud83d", "\ude00 off", "\udc00\ud800"]"#;
    visit.ask(&visit.post("/xhr_send").body(halves)).await?.status(204)?;
    visit.send(&["whole"]).await?;
    last_is_whole(&visit).await
}

async fn invalid_utf8(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    for body in [&b"[\"caf\xe9\"]"[..], b"[\"\xff\xfe\"]", b"[\"\xed\xa0\x80\"]", b"[\"\xf0\x9f\x98\"]"] {
        let answer = visit.ask(&visit.post("/xhr_send").body(body)).await?;
        answer.status_in(&[500, 400, 204])?;
    }
    visit.send(&["whole"]).await?;
    last_is_whole(&visit).await
}

/// Polls until the message `whole` has come. What came before it may have halves of characters, which no strict decoder reads.
async fn last_is_whole(visit: &Visit<'_>) -> Result<(), Stop> {
    let mut seen = String::new();
    for _ in 0..10 {
        seen = visit.poll().await?;
        if seen.trim_end().ends_with(r#""whole"]"#) {
            return Ok(());
        }
        if !seen.starts_with(['a', 'h']) {
            break;
        }
    }
    Err(visit.fail(shown(&seen), r#"a frame a[...,"whole"]"#))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::sockjs::visit::decoded;

    /// Every message has to come through the check's own ways of writing and reading, too.
    #[test]
    fn what_is_hard_is_written_and_read_as_it_is() {
        let frame = format!("a{}", array(&HARD));
        assert_eq!(decoded(&frame).unwrap(), HARD);
        let all = HARD.concat();
        for c in ['\0', '\r', '\n', '"', '\\', '%', '+', '&', '<', '\u{2028}', '\u{feff}', '\u{ffff}', '\u{10ffff}'] {
            assert!(all.contains(c), "{c:?}");
        }
    }
}
