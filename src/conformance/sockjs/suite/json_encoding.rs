//! Characters that networks and browsers change on their way, and that are therefore escaped.
//!
//! Does not know: transports but xhr, which stands for all of them.

use std::ops::RangeInclusive;

use super::must;
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::visit::decoded;
use crate::conformance::{Check, Stop};
use crate::wire::shown;

const GROUP: &str = "JSON encoding";

pub(super) const CHECKS: &[Check<Probe>] = &[
    must(
        GROUP,
        "JSONEncoding.test_xhr_server_encodes",
        "44 characters that browsers change or drop come as \\u escapes in lower case",
        "Browsers lose some of them in answers to scripts, take U+2028 and U+2029 for ends of lines in the middle of a text, and \
         close websockets on others. Escaped they are plain ASCII, which nobody touches.",
        |probe| Box::pin(server_encodes(probe)),
    ),
    must(
        GROUP,
        "JSONEncoding.test_xhr_server_decodes",
        "1093 characters that clients escape come back as they were",
        "sockjs-client escapes everything that a browser may change on the way out. A server that does not decode one of them \
         gives the application, and all who get the message from it, another text.",
        |probe| Box::pin(server_decodes(probe)),
    ),
];

/// What a server must escape, above U+00FF.
const BY_SERVERS: [RangeInclusive<u32>; 4] = [0x200c..=0x200f, 0x2028..=0x202f, 0x2060..=0x206f, 0xfff0..=0xffff];

/// What clients escape, as ranges of code points in hexadecimal.
const BY_CLIENTS: &str = "\
    0-1f 22 7f-9f ad 300-333 33d-346 34a-34c 350-352 357-358 35c-362 374 37e 387 591-5af 5c4 600-604 610-617 \
    653-654 657-65b 65d-65e 6df-6e2 6eb-6ec 70f 730 732-733 735-736 73a 73d 73f-741 743 745 747 7eb-7f1 951 958-95f \
    9dc-9dd 9df a33 a36 a59-a5b a5e b5c-b5d e38-e39 f43 f4d f52 f57 f5c f69 f72-f76 f78 f80-f83 f93 f9d fa2 fa7 fac \
    fb9 17b4-17b5 1939-193a 1a17 1b6b 1cda-1cdb 1dc0-1dcf 1dfc 1dfe 1f71 1f73 1f75 1f77 1f79 1f7b 1f7d 1fbb 1fbe \
    1fc9 1fcb 1fd3 1fdb 1fe3 1feb 1fee-1fef 1ff9 1ffb 1ffd 2000-20ff 2126 212a-212b 2329-232a 2adc 302b-302c \
    aab2-aab3 f900-fa0d fa10 fa12 fa15-fa1e fa20 fa22 fa25-fa26 fa2a-fa2d fa30-fa6d fa70-fad9 fb1d fb1f fb2a-fb36 \
    fb38-fb3c fb3e fb40-fb41 fb43-fb44 fb46-fb4e feff fff0-ffff";

fn by_servers() -> Vec<char> {
    BY_SERVERS.into_iter().flatten().filter_map(char::from_u32).collect()
}

fn by_clients() -> Vec<char> {
    let number = |digits: &str| u32::from_str_radix(digits, 16).ok();
    let range = |word: &str| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        Some(number(first)?..=number(last)?)
    };
    BY_CLIENTS.split_whitespace().filter_map(range).flatten().filter_map(char::from_u32).collect()
}

/// The escapes of these characters, all of which are in the first plane.
fn escaped<'a>(characters: impl IntoIterator<Item = &'a char>) -> String {
    characters.into_iter().map(|c| format!("\\u{:04x}", u32::from(*c))).collect()
}

async fn server_encodes(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    let characters = by_servers();
    visit.send(&[characters.iter().collect::<String>()]).await?;
    let frame = visit.poll().await?;
    let sent = escaped(&characters);
    let inside = frame.strip_prefix("a[\"").and_then(|rest| rest.strip_suffix("\"]\n"));
    if inside == Some(&sent) {
        return visit.done();
    }
    // One character says more than two long lines.
    let missing = characters.iter().find(|c| !frame.contains(&escaped([*c])));
    Err(match missing {
        Some(c) => {
            let seen = format!("no escape of U+{:04X} in {}", u32::from(*c), shown(&frame));
            visit.fail(seen, format!("{} in the frame", escaped([c])))
        }
        None => visit.fail(shown(&frame), shown(format!("a[\"{sent}\"]\n"))),
    })
}

async fn server_decodes(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    visit.open().await?;
    let characters = by_clients();
    let request = visit.post("/xhr_send").body(format!("[\"{}\"]", escaped(&characters)));
    visit.ask(&request).await?.status(204)?;
    let frame = visit.poll().await?;
    let Some(messages) = frame.strip_suffix('\n').and_then(decoded) else {
        return Err(visit.fail(shown(&frame), "a frame with the message"));
    };
    let wanted: String = characters.iter().collect();
    if messages == [wanted] {
        return visit.done();
    }
    let back = messages.concat();
    let lost = characters.iter().find(|c| !back.contains(**c));
    Err(match lost {
        Some(c) => visit.fail(
            format!("{} messages without U+{:04X}", messages.len(), u32::from(*c)),
            "one message with every character that was sent",
        ),
        None => visit.fail(shown(&back), "one message with the characters in the order in which they were sent"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_characters_are_those_of_the_suite() {
        assert_eq!(by_servers().len(), 44);
        assert_eq!(by_clients().len(), 1093);
        assert_eq!(escaped(&['\u{0}', '\u{ffff}']), "\\u0000\\uffff");
    }
}
