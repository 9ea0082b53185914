//! Garbage in a STOMP session: whatever bytes come, nothing panics, the session stays silent or answers with one ERROR and
//! its end, what it said before is well-formed, and its neighbours notice nothing.

mod bed;

use bed::stomp::{Client, VERSIONS, bodies, send};
use bed::{Bed, Seen, config, seconds};
use proptest::prelude::*;
use towpath::config::Service;
use towpath::session::{Carrier, CloseReason, Flow};
use towpath::stomp::{Command, Version};

const CARRIERS: [Carrier; 4] = [Carrier::Http, Carrier::Websocket, Carrier::RawWebsocket, Carrier::Tcp];

/// A conversation in which everything is used, as a client writes it.
fn conversation(version: Version) -> Vec<Vec<u8>> {
    let accept = if version == Version::V1_0 { String::new() } else { format!("accept-version:{version}\n") };
    [
        &*format!("CONNECT\n{accept}host:h\nheart-beat:0,0\n\n\0"),
        "SUBSCRIBE\nid:1\ndestination:/topic/mine\nreceipt:r1\n\n\0\n",
        "SUBSCRIBE\nid:2\ndestination:/topic/mine.#\nack:auto\n\n\0",
        "\n",
        "SEND\ndestination:/topic/mine\ncontent-type:text/plain\ncontent-length:5\n\nhel\0o\0",
        "SEND\ndestination:/topic/mine.b\nkey:value\\c\n\nGr\u{fc}\u{df}e\0\n\n",
        "UNSUBSCRIBE\nid:2\nreceipt:r2\n\n\0",
        "SUBSCRIBE\nid:3\ndestination:/queue/mine\nack:client\nprefetch-count:2\nselector:key = 'v'\n\n\0",
        "BEGIN\ntransaction:t\nreceipt:r3\n\n\0SEND\ndestination:/queue/mine\ntransaction:t\nkey:v\n\nqueued\0",
        "SEND\ndestination:/topic/mine\ntransaction:t\n\nat once\0COMMIT\ntransaction:t\nreceipt:r4\n\n\0",
        "BEGIN\ntransaction:t\n\n\0SEND\ndestination:/topic/mine\ntransaction:t\n\nnever\0ABORT\ntransaction:t\n\n\0",
        "SEND\ndestination:/topic/mine\n\none\0SEND\ndestination:/topic/mine\n\ntwo\0",
        "DISCONNECT\nreceipt:bye\n\n\0",
    ]
    .map(|message| message.as_bytes().to_vec())
    .to_vec()
}

/// Damage to a message.
#[derive(Debug, Clone)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat,
    Lose,
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = proptest::collection::vec(
        prop_oneof![Just(0u8), Just(b'\n'), Just(b':'), Just(b'\\'), Just(b'\r'), Just(0xff), any::<u8>()],
        1..20,
    );
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        (any::<prop::sample::Index>(), bytes).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        Just(Damage::Repeat),
        Just(Damage::Lose),
    ]
}

fn apply(damage: &Damage, messages: &mut Vec<Vec<u8>>, at: usize) {
    match damage {
        Damage::Flip(byte, mask) => {
            let message = &mut messages[at];
            if !message.is_empty() {
                let byte = byte.index(message.len());
                message[byte] ^= mask;
            }
        }
        Damage::Cut(byte) => {
            let length = byte.index(messages[at].len() + 1);
            messages[at].truncate(length);
        }
        Damage::Insert(byte, bytes) => {
            let byte = byte.index(messages[at].len() + 1);
            messages[at].splice(byte..byte, bytes.iter().copied());
        }
        Damage::Repeat => messages.insert(at, messages[at].clone()),
        Damage::Lose => {
            messages.remove(at);
        }
    }
}

/// Sends the messages to a fresh session, and checks all that must hold whatever they are. Gives the commands it answered
/// with.
fn survives(carrier: Carrier, version: Version, messages: &[Vec<u8>]) -> Vec<Command> {
    let mut bed = Bed::new(&config(Service::Stomp, |endpoint| endpoint.outbox_messages = 10_000));
    let mut neighbour = Client::connected(&bed, Carrier::RawWebsocket, Version::V1_2);
    neighbour.subscribe(&bed, "1", "/topic/neighbour");
    let mut client = Client::fresh(&bed, carrier);
    let mut over = false;
    for message in messages {
        // SockJS carries text only: bytes that are none cannot get this far there.
        let text = String::from_utf8_lossy(message);
        let bytes = if !carrier.speaks_sockjs() { &message[..] } else { text.as_bytes() };
        match client.send_bytes(&bed, bytes) {
            Flow::Continue | Flow::Pause(_) | Flow::Wait => assert!(!over, "a session that has ended goes on"),
            Flow::Closed => assert!(!std::mem::replace(&mut over, true), "a session ends once"),
            Flow::Gone => assert!(over, "a session that lives is gone"),
        }
    }
    client.reader.read(&bed);
    let mut commands = vec![];
    let mut seen = client.reader.take().into_iter().map(|(_, seen)| seen).peekable();
    if carrier.speaks_sockjs() {
        assert_eq!(seen.next(), Some(Seen::Frame("o".to_owned())));
    }
    while let Some(next) = seen.next() {
        let messages = match next {
            Seen::Frame(message) if !carrier.speaks_sockjs() => vec![message.into_bytes()],
            Seen::Binary(message) => vec![message],
            Seen::Frame(frame) if frame.starts_with('a') => {
                bed::messages(&frame).into_iter().map(String::into_bytes).collect()
            }
            Seen::Frame(close) => {
                assert!(close.starts_with("c[") && matches!(seen.next(), Some(Seen::Closed(_))), "{close}");
                assert!(seen.peek().is_none());
                continue;
            }
            Seen::Closed(reason) => {
                assert!(matches!(reason, CloseReason::StompError | CloseReason::StompDisconnect), "{reason:?}");
                assert!(seen.peek().is_none());
                continue;
            }
            other => panic!("{other:?}"),
        };
        for message in messages {
            commands.push(whole_frame(version, &message));
        }
    }
    let errors = commands.iter().filter(|command| **command == Command::Error).count();
    assert!(errors <= 1 && (errors == 0 || commands.last() == Some(&Command::Error)), "{commands:?}");
    assert!(commands.iter().filter(|command| **command == Command::Connected).count() <= 1, "{commands:?}");
    assert_eq!(over, !client.reader.session.is_open());

    assert!(neighbour.frames(&bed).is_empty());
    neighbour.send(&bed, &send("/topic/neighbour", "still here"));
    assert_eq!(bodies(&neighbour.frames(&bed)), ["still here"]);

    bed.hang_up_or_depart(&client);
    bed.idle(seconds(6));
    let queued = bed.gateway.broker().queue_len("/queue/mine");
    assert!(queued.is_none_or(|(messages, _)| messages > 0), "an empty queue is left");
    assert_eq!((bed.population().0, bed.gateway.broker().len()), (1, (1, 0)), "only the neighbour is left");
    commands
}

impl Bed {
    fn hang_up_or_depart(&self, client: &Client) {
        if client.reader.session.carrier() == Carrier::Http {
            self.depart(&client.reader, towpath::session::Departure::Interrupted);
        } else {
            self.hang_up(&client.reader, CloseReason::Interrupted);
        }
    }
}

/// The command of a message that must be one whole frame: command, headers with a colon each, an empty line, a body whose
/// length is told, and one NUL at the very end.
fn whole_frame(version: Version, message: &[u8]) -> Command {
    let shown = String::from_utf8_lossy(message).into_owned();
    let end = message.windows(2).position(|pair| pair == b"\n\n").unwrap_or_else(|| panic!("no empty line: {shown:?}"));
    let head = std::str::from_utf8(&message[..end]).expect("heads are UTF-8");
    let body = message[end + 2..].strip_suffix(b"\0").unwrap_or_else(|| panic!("no NUL at the end: {shown:?}"));
    let mut lines = head.split('\n');
    let command = lines.next().and_then(|line| Command::parse(line.as_bytes()));
    let command = command.unwrap_or_else(|| panic!("no command: {shown:?}"));
    let mut length = None;
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no colon in {line:?}: {shown:?}"));
        assert!(version == Version::V1_0 || command == Command::Connected || !value.contains(':'), "{shown:?}");
        // To 1.1 a CR is a byte like any other, and it has no escape for it; what a client says in a header comes back so.
        let raw_cr = version == Version::V1_1 && command != Command::Connected;
        assert!(raw_cr || !line.contains('\r'), "{shown:?}");
        if name == "content-length" {
            length = Some(value.parse::<usize>().expect("a number"));
        }
    }
    assert_eq!(length.unwrap_or(0), body.len(), "{shown:?}");
    command
}

fn carrier() -> impl Strategy<Value = Carrier> {
    prop::sample::select(CARRIERS.to_vec())
}

fn version() -> impl Strategy<Value = Version> {
    prop::sample::select(VERSIONS.to_vec())
}

#[test]
fn the_undamaged_conversation_is_answered_in_full() {
    use Command::{Connected, Message, Receipt};
    for carrier in CARRIERS {
        for version in VERSIONS {
            // All of this happens before anybody reads: what waited for the pattern was withdrawn by its UNSUBSCRIBE, and
            // what waited from the queue went back to it with the end.
            let expected = [Connected, Receipt, Message, Receipt, Receipt, Message, Receipt, Message, Message, Receipt];
            assert_eq!(survives(carrier, version, &conversation(version)), expected, "{carrier:?} {version}");
        }
    }
}

/// To 1.0 and 1.1 a CR is data, which 1.0 gets back in two characters that nobody takes for a line end; 1.2 forbids it.
#[test]
fn a_raw_cr_in_a_header_is_data_until_1_2() {
    use Command::{Connected, Error, Receipt};
    for carrier in CARRIERS {
        for (version, answer) in [(Version::V1_0, Receipt), (Version::V1_1, Receipt), (Version::V1_2, Error)] {
            for receipt in ["\r", "a\rb", "\r\rb"] {
                let subscribe = format!("SUBSCRIBE\nid:1\ndestination:/topic/mine\nreceipt:{receipt}\r\n\n\0");
                let messages = [&conversation(version)[..1], &[subscribe.into_bytes()]].concat();
                assert_eq!(survives(carrier, version, &messages), [Connected, answer], "{carrier:?} {version}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_survived(
        carrier in carrier(),
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..6),
    ) {
        let commands = survives(carrier, Version::V1_0, &messages);
        prop_assert!(commands.iter().all(|command| *command == Command::Error), "{commands:?}");
    }

    #[test]
    fn random_bytes_after_connect_are_survived(
        carrier in carrier(),
        version in version(),
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..6),
    ) {
        let messages = [&conversation(version)[..1], &messages[..]].concat();
        let commands = survives(carrier, version, &messages);
        prop_assert_eq!(commands[0], Command::Connected);
    }

    #[test]
    fn a_damaged_conversation_is_survived(
        carrier in carrier(),
        version in version(),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), damage()), 1..5),
    ) {
        let mut messages = conversation(version);
        for (at, damage) in &damages {
            if !messages.is_empty() {
                let at = at.index(messages.len());
                apply(damage, &mut messages, at);
            }
        }
        survives(carrier, version, &messages);
    }

    /// The cut of the messages means nothing: any split of the undamaged conversation gets the same answers.
    #[test]
    fn the_cut_of_the_messages_does_not_matter(
        carrier in carrier(),
        version in version(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let whole = conversation(version).concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len())).collect();
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        // A message of text cannot end inside a character.
        cuts.retain(|cut| std::str::from_utf8(&whole).is_ok_and(|text| text.is_char_boundary(*cut)));
        let messages: Vec<Vec<u8>> = cuts.windows(2).map(|pair| whole[pair[0]..pair[1]].to_vec()).collect();
        prop_assert_eq!(survives(carrier, version, &messages), survives(carrier, version, &[whole]));
    }
}
