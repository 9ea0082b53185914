//! One STOMP conversation, rule by rule, with a clock that only the tests move.

use std::time::{Duration, Instant};

use towpath::stomp::{
    Accept, Ack, AckMode, Acknowledged, Command, Connect, Connection, Event, Frame, Headers, Passcode, ProtocolError,
    Settings, Unsubscribe, UnsubscribeBy, Version, Violation,
};

const VERSIONS: [Version; 3] = [Version::V1_0, Version::V1_1, Version::V1_2];
const CLIENT_COMMANDS: [Command; 11] = [
    Command::Connect,
    Command::Stomp,
    Command::Send,
    Command::Subscribe,
    Command::Unsubscribe,
    Command::Ack,
    Command::Nack,
    Command::Begin,
    Command::Commit,
    Command::Abort,
    Command::Disconnect,
];

// ---- connecting ----

#[test]
fn connect_is_accepted_with_version_session_server_and_heart_beat() {
    for version in VERSIONS {
        let mut peer = Peer::new();
        peer.connect(version);
        let connected = peer.accept();
        assert_eq!(connected.command, Command::Connected);
        let headers: Vec<_> = connected.headers.iter().collect();
        let expected =
            [("version", version.as_str()), ("session", "s-1"), ("server", "towpath/0"), ("heart-beat", "0,0")];
        assert_eq!(headers, expected);
        assert!(connected.body.is_empty());
    }
}

#[test]
fn stomp_is_connect_under_another_name() {
    let mut peer = Peer::new();
    let event = peer.take(Frame::new(Command::Stomp).with("accept-version", "1.2").with("host", "h"));
    assert!(matches!(event, Ok(Event::Connect(Connect { version: Version::V1_2, .. }))));
}

#[test]
fn the_highest_common_version_is_taken_and_blanks_in_the_list_do_no_harm() {
    for (list, version) in [
        ("1.2,1.1,1.0", Version::V1_2),
        ("1.0,1.1", Version::V1_1),
        ("1.1, 1.2", Version::V1_2),
        ("3.0,1.0", Version::V1_0),
    ] {
        let mut peer = Peer::new();
        peer.take(Frame::new(Command::Connect).with("accept-version", list)).unwrap();
        assert_eq!(peer.connection.version(), Some(version), "{list}");
    }
}

#[test]
fn without_accept_version_the_client_speaks_1_0() {
    let mut peer = Peer::new();
    peer.take(Frame::new(Command::Connect)).unwrap();
    assert_eq!(peer.connection.version(), Some(Version::V1_0));
    assert_eq!(peer.accept().headers.get("version"), Some("1.0"));
}

#[test]
fn without_a_common_version_the_error_lists_those_that_are_spoken() {
    let mut peer = Peer::new();
    let error = peer.take(Frame::new(Command::Connect).with("accept-version", "2.0")).unwrap_err();
    assert_eq!(error.violation(), Violation::NoCommonVersion);
    let frame = error.to_frame();
    assert_eq!(frame.command, Command::Error);
    assert_eq!(frame.headers.get("version"), Some("1.0,1.1,1.2"));
    assert_eq!(frame.headers.get("content-type"), Some("text/plain"));
    assert!(!frame.body.is_empty());
    assert_eq!(peer.connection.version(), None);
}

#[test]
fn a_missing_host_is_fine_and_credentials_are_handed_over() {
    let mut peer = Peer::new();
    let frame = Frame::new(Command::Connect)
        .with("accept-version", "1.2")
        .with("login", "ann")
        .with("passcode", "secret")
        .with("token", "t");
    let Ok(Event::Connect(connect)) = peer.take(frame) else { panic!("no CONNECT") };
    assert_eq!(connect.host, None);
    assert_eq!(connect.login.as_deref(), Some("ann"));
    assert_eq!(connect.passcode.as_ref().map(Passcode::expose), Some("secret"));
    assert_eq!(connect.headers.get("token"), Some("t"));
    assert_eq!((connect.headers.get("login"), connect.headers.get("passcode")), (None, None));
}

#[test]
fn a_receipt_on_connect_is_ignored() {
    let mut peer = Peer::new();
    peer.take(Frame::new(Command::Connect).with("receipt", "1")).unwrap();
    assert_eq!(peer.accept().headers.get("receipt-id"), None);
}

#[test]
fn the_user_name_is_told_unless_it_would_forge_headers() {
    let named = |user| {
        let mut peer = Peer::new();
        peer.connect(Version::V1_2);
        let accept = Accept { session: "s", server: "t", user: Some(user) };
        peer.connection.accept(accept, peer.now).headers.get("user-name").map(str::to_owned)
    };
    assert_eq!(named("ann").as_deref(), Some("ann"));
    assert_eq!(named("an\nn:x"), None);
}

#[test]
fn nothing_comes_before_connect() {
    for command in CLIENT_COMMANDS.into_iter().filter(|command| !command.is_verbatim()) {
        let mut peer = Peer::new();
        let error = peer.take(Frame::new(command).with("destination", "/a").with("receipt", "7")).unwrap_err();
        assert_eq!((error.violation(), error.receipt()), (Violation::NotConnected, Some("7")), "{command}");
    }
}

#[test]
fn nothing_is_taken_between_connect_and_connected() {
    let mut peer = Peer::new();
    peer.connect(Version::V1_2);
    assert_eq!(peer.violation(Frame::new(Command::Send).with("destination", "/a")), Violation::NotConnected);
}

#[test]
fn a_refused_client_cannot_be_accepted_any_more() {
    let mut peer = Peer::new();
    peer.connect(Version::V1_2);
    peer.take(Frame::new(Command::Send)).unwrap_err();
    peer.accept();
    assert_eq!(peer.take(Frame::new(Command::Send).with("destination", "/a")), Ok(Event::Ignored));
}

#[test]
fn a_second_connect_is_refused() {
    for command in [Command::Connect, Command::Stomp] {
        let mut peer = Peer::new();
        peer.connect(Version::V1_2);
        assert_eq!(peer.violation(Frame::new(command)), Violation::AlreadyConnected);

        let mut peer = Peer::connected(Version::V1_1);
        assert_eq!(peer.violation(Frame::new(command)), Violation::AlreadyConnected);
    }
}

#[test]
fn connect_has_to_come_in_time() {
    let mut peer = Peer::new();
    assert_eq!(peer.connection.poll_timeout(), Some(peer.now + Duration::from_secs(5)));
    peer.sleep(Duration::from_millis(4_999));
    // Bytes are no CONNECT: one who sends a frame in drops is cut all the same.
    peer.connection.handle_bytes(peer.now);
    assert_eq!(peer.connection.handle_timeout(peer.now), Ok(()));
    peer.sleep(Duration::from_millis(1));
    let error = peer.connection.handle_timeout(peer.now).unwrap_err();
    assert_eq!(error.violation(), Violation::ConnectTimeout);
    assert_eq!(peer.connection.poll_timeout(), None);
    assert_eq!(peer.take(Frame::new(Command::Connect)), Ok(Event::Ignored));
}

#[test]
fn the_deadline_for_connect_ends_with_connect() {
    let mut peer = Peer::new();
    peer.connect(Version::V1_2);
    assert_eq!(peer.connection.poll_timeout(), None);
    peer.accept();
    assert_eq!(peer.connection.poll_timeout(), None);
    peer.sleep(Duration::from_secs(3_600));
    assert_eq!(peer.connection.handle_timeout(peer.now), Ok(()));
}

// ---- heart-beats ----

#[test]
fn connected_says_the_intervals_that_run() {
    for (wish, answer) in [
        ("0,0", "0,0"),
        ("1000,0", "0,4000"),
        ("0,1000", "3000,0"),
        ("1000,1000", "3000,4000"),
        ("9000,8000", "8000,9000"),
        ("10000, 10000", "10000,10000"),
    ] {
        let peer = Peer::beating(wish);
        assert_eq!(peer.connected.headers.get("heart-beat"), Some(answer), "{wish}");
        let sends: u64 = answer.split_once(',').unwrap().0.parse().unwrap();
        let interval = (sends > 0).then(|| Duration::from_millis(sends));
        assert_eq!(peer.connection.send_interval(), interval, "{wish}");
    }
}

#[test]
fn a_server_without_heart_beats_says_so() {
    let none = Settings { heart_beat_send: Duration::ZERO, heart_beat_receive: Duration::ZERO, ..SETTINGS };
    let mut peer = Peer::with(none);
    peer.take(connect(Version::V1_2).with("heart-beat", "1000,1000")).unwrap();
    assert_eq!(peer.accept().headers.get("heart-beat"), Some("0,0"));
    assert_eq!((peer.connection.send_interval(), peer.connection.poll_timeout()), (None, None));
}

#[test]
fn without_the_header_nothing_beats() {
    let peer = Peer::connected(Version::V1_2);
    assert_eq!((peer.connection.send_interval(), peer.connection.poll_timeout()), (None, None));
}

#[test]
fn version_1_0_has_no_heart_beats() {
    let mut peer = Peer::new();
    peer.take(Frame::new(Command::Connect).with("heart-beat", "nonsense")).unwrap();
    assert_eq!(peer.accept().headers.get("heart-beat"), Some("0,0"));
}

#[test]
fn a_malformed_heart_beat_is_refused() {
    for value in ["", "a,b", "-1,-1", "1000", "1,2,3", "1.5,1", "4294967296,0", "99999999999999999999,0"] {
        let mut peer = Peer::new();
        assert_eq!(
            peer.violation(connect(Version::V1_2).with("heart-beat", value)),
            Violation::InvalidHeader,
            "{value}"
        );
    }
}

#[test]
fn a_client_that_promised_heart_beats_and_fell_silent_is_cut() {
    let mut peer = Peer::beating("1000,0");
    let deadline = peer.now + Duration::from_secs(12);
    assert_eq!(peer.connection.poll_timeout(), Some(deadline));
    peer.sleep(Duration::from_millis(11_999));
    assert_eq!(peer.connection.handle_timeout(peer.now), Ok(()));
    peer.sleep(Duration::from_millis(1));
    let error = peer.connection.handle_timeout(peer.now).unwrap_err();
    assert_eq!(error.violation(), Violation::HeartBeatMissing);
    assert_eq!(peer.connection.poll_timeout(), None);
    assert_eq!(peer.connection.handle_timeout(peer.now), Ok(()));
}

#[test]
fn any_bytes_are_signs_of_life() {
    let mut peer = Peer::beating("1000,0");
    peer.sleep(Duration::from_secs(11));
    peer.connection.handle_bytes(peer.now);
    assert_eq!(peer.connection.poll_timeout(), Some(peer.now + Duration::from_secs(12)));
    peer.sleep(Duration::from_secs(11));
    peer.take(Frame::new(Command::Begin).with("transaction", "t")).unwrap();
    assert_eq!(peer.connection.poll_timeout(), Some(peer.now + Duration::from_secs(12)));
}

#[test]
fn heart_beats_are_watched_from_connected_on_however_long_the_answer_took() {
    let mut peer = Peer::new();
    peer.take(connect(Version::V1_2).with("heart-beat", "1000,0")).unwrap();
    peer.sleep(Duration::from_secs(60));
    peer.accept();
    assert_eq!(peer.connection.poll_timeout(), Some(peer.now + Duration::from_secs(12)));
}

#[test]
fn the_grace_is_a_setting_and_never_zero() {
    for (grace, intervals) in [(0, 1), (1, 1), (2, 2)] {
        let mut peer = Peer::with(Settings { grace, ..SETTINGS });
        peer.take(connect(Version::V1_2).with("heart-beat", "1000,0")).unwrap();
        peer.accept();
        assert_eq!(peer.connection.poll_timeout(), Some(peer.now + Duration::from_secs(4) * intervals));
    }
}

#[test]
fn absurd_intervals_do_not_overflow() {
    let mut peer = Peer::with(Settings { grace: u32::MAX, connect_timeout: Duration::MAX, ..SETTINGS });
    peer.take(connect(Version::V1_2).with("heart-beat", "4294967295,4294967295")).unwrap();
    assert_eq!(peer.accept().headers.get("heart-beat"), Some("4294967295,4294967295"));
    assert_eq!(peer.connection.handle_timeout(peer.now), Ok(()));
}

// ---- SEND ----

#[test]
fn send_carries_the_headers_that_must_reappear_and_none_that_a_client_could_forge() {
    let frame = Frame::new(Command::Send)
        .with("destination", "/a")
        .with("content-type", "text/plain")
        .with("receipt", "r")
        .with("x", "1")
        .with("x", "2")
        .with("transaction", "t")
        .with("content-length", "4")
        .with("message-id", "forged")
        .with("subscription", "forged")
        .with("ack", "forged")
        .with("redelivered", "true")
        .with("receipt-id", "forged")
        .with("message-id", "forged again")
        .with_body("body");
    for version in VERSIONS {
        let Ok(Event::Send(send)) = Peer::connected(version).take(frame.clone()) else { panic!("no SEND") };
        assert_eq!(send.destination, "/a");
        assert_eq!(send.receipt.as_deref(), Some("r"));
        assert_eq!(send.transaction.as_deref(), Some("t"));
        let expected: Headers = [("content-type", "text/plain"), ("x", "1"), ("x", "2")].into_iter().collect();
        assert_eq!(send.headers, expected);
        assert_eq!(&send.body[..], b"body");
    }
}

#[test]
fn of_repeated_headers_the_first_counts() {
    let frame = Frame::new(Command::Send).with("destination", "/a").with("destination", "/b");
    let Ok(Event::Send(send)) = Peer::connected(Version::V1_2).take(frame) else { panic!("no SEND") };
    assert_eq!(send.destination, "/a");
    assert!(send.headers.is_empty());
}

#[test]
fn send_needs_a_destination() {
    for version in VERSIONS {
        for frame in [Frame::new(Command::Send), Frame::new(Command::Send).with("destination", "")] {
            let error = Peer::connected(version).take(frame.with("receipt", "r:1")).unwrap_err();
            assert_eq!((error.violation(), error.receipt()), (Violation::MissingHeader, Some("r:1")));
            assert_eq!(error.to_frame().headers.get("receipt-id"), Some("r:1"));
        }
    }
}

// ---- SUBSCRIBE and UNSUBSCRIBE ----

#[test]
fn subscribe_needs_a_destination_and_from_1_1_on_an_id() {
    let by_destination = Frame::new(Command::Subscribe).with("destination", "/a");
    let by_id = Frame::new(Command::Subscribe).with("id", "1");
    for version in VERSIONS {
        assert_eq!(Peer::connected(version).violation(by_id.clone()), Violation::MissingHeader);
    }
    assert_eq!(Peer::connected(Version::V1_1).violation(by_destination.clone()), Violation::MissingHeader);
    assert_eq!(Peer::connected(Version::V1_2).violation(by_destination.clone()), Violation::MissingHeader);
    let Ok(Event::Subscribe(subscribe)) = Peer::connected(Version::V1_0).take(by_destination) else {
        panic!("no SUBSCRIBE")
    };
    assert_eq!(subscribe.id, None);
}

#[test]
fn subscribe_is_understood() {
    let frame = Frame::new(Command::Subscribe)
        .with("id", "sub/1")
        .with("destination", "/a")
        .with("receipt", "r")
        .with("selector", "x");
    for version in VERSIONS {
        let Ok(Event::Subscribe(subscribe)) = Peer::connected(version).take(frame.clone()) else {
            panic!("no SUBSCRIBE")
        };
        assert_eq!(subscribe.id.as_deref(), Some("sub/1"));
        assert_eq!(subscribe.destination, "/a");
        assert_eq!(subscribe.receipt.as_deref(), Some("r"));
        assert_eq!(subscribe.headers, [("selector", "x")].into_iter().collect());
    }
}

#[test]
fn the_ack_mode_is_auto_unless_said_otherwise_and_unknown_ones_are_refused() {
    let subscribe = || Frame::new(Command::Subscribe).with("id", "1").with("destination", "/a");
    let mode = |version, frame| match Peer::connected(version).take(frame) {
        Ok(Event::Subscribe(subscribe)) => Ok(subscribe.ack),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.violation()),
    };
    for version in VERSIONS {
        assert_eq!(mode(version, subscribe()), Ok(AckMode::Auto));
        for known in [AckMode::Auto, AckMode::Client] {
            assert_eq!(mode(version, subscribe().with("ack", known.as_str())), Ok(known));
        }
        assert_eq!(mode(version, subscribe().with("ack", "maybe")), Err(Violation::InvalidHeader));
        assert_eq!(mode(version, subscribe().with("ack", "")), Err(Violation::InvalidHeader));
    }
    let individual = || subscribe().with("ack", "client-individual");
    assert_eq!(mode(Version::V1_0, individual()), Err(Violation::InvalidHeader));
    assert_eq!(mode(Version::V1_1, individual()), Ok(AckMode::ClientIndividual));
    assert_eq!(mode(Version::V1_2, individual()), Ok(AckMode::ClientIndividual));
}

#[test]
fn unsubscribe_needs_an_id_and_in_1_0_an_id_or_a_destination() {
    let by_id = Frame::new(Command::Unsubscribe).with("id", "1").with("receipt", "r");
    let by_destination = Frame::new(Command::Unsubscribe).with("destination", "/a");
    for version in VERSIONS {
        let expected =
            Event::Unsubscribe(Unsubscribe { subscription: UnsubscribeBy::Id("1".into()), receipt: Some("r".into()) });
        assert_eq!(Peer::connected(version).take(by_id.clone()), Ok(expected));
        assert_eq!(Peer::connected(version).violation(Frame::new(Command::Unsubscribe)), Violation::MissingHeader);
    }
    let expected =
        Event::Unsubscribe(Unsubscribe { subscription: UnsubscribeBy::Destination("/a".into()), receipt: None });
    assert_eq!(Peer::connected(Version::V1_0).take(by_destination.clone()), Ok(expected));
    assert_eq!(Peer::connected(Version::V1_1).violation(by_destination.clone()), Violation::MissingHeader);
    assert_eq!(Peer::connected(Version::V1_2).violation(by_destination), Violation::MissingHeader);
}

// ---- ACK and NACK ----

#[test]
fn ack_names_its_message_as_its_version_does() {
    let frame = Frame::new(Command::Ack)
        .with("id", "a-1")
        .with("message-id", "m-1")
        .with("subscription", "s-1")
        .with("transaction", "t")
        .with("receipt", "r");
    let ack = |message| Ack { message, transaction: Some("t".into()), receipt: Some("r".into()), requeue: true };
    let by_message = Acknowledged::Message { id: "m-1".into(), subscription: Some("s-1".into()) };
    for (version, message) in [
        (Version::V1_0, by_message.clone()),
        (Version::V1_1, by_message),
        (Version::V1_2, Acknowledged::Ack("a-1".into())),
    ] {
        assert_eq!(Peer::connected(version).take(frame.clone()), Ok(Event::Ack(ack(message.clone()))));
        let nack = Frame { command: Command::Nack, ..frame.clone() };
        if version >= Version::V1_1 {
            assert_eq!(Peer::connected(version).take(nack), Ok(Event::Nack(ack(message))));
        }
    }
}

#[test]
fn ack_needs_the_headers_of_its_version() {
    let frame =
        |headers: &[(&str, &str)]| Frame { headers: headers.iter().copied().collect(), ..Frame::new(Command::Ack) };
    let complete: [(Version, &[(&str, &str)]); 3] = [
        (Version::V1_0, &[("message-id", "m")]),
        (Version::V1_1, &[("message-id", "m"), ("subscription", "s")]),
        (Version::V1_2, &[("id", "a")]),
    ];
    for (version, headers) in complete {
        assert!(Peer::connected(version).take(frame(headers)).is_ok());
        for (missing, _) in headers {
            let mut frame = frame(headers);
            frame.headers.remove(missing);
            assert_eq!(Peer::connected(version).violation(frame), Violation::MissingHeader, "{version} {missing}");
        }
    }
}

#[test]
fn version_1_0_has_no_nack() {
    let frame = Frame::new(Command::Nack).with("message-id", "m");
    assert_eq!(Peer::connected(Version::V1_0).violation(frame), Violation::CommandNotAllowed);
}

// ---- transactions ----

#[test]
fn begin_commit_and_abort_need_a_transaction() {
    for version in VERSIONS {
        for command in [Command::Begin, Command::Commit, Command::Abort] {
            assert_eq!(Peer::connected(version).violation(Frame::new(command)), Violation::MissingHeader);
            let event =
                Peer::connected(version).take(Frame::new(command).with("transaction", "t").with("receipt", "r"));
            let (transaction, receipt) = ("t".to_owned(), Some("r".to_owned()));
            let expected = match command {
                Command::Begin => Event::Begin { transaction, receipt },
                Command::Commit => Event::Commit { transaction, receipt },
                _ => Event::Abort { transaction, receipt },
            };
            assert_eq!(event, Ok(expected));
        }
    }
}

// ---- the end ----

#[test]
fn disconnect_gives_its_receipt_and_what_comes_after_it_is_ignored() {
    for version in VERSIONS {
        let mut peer = Peer::connected(version);
        let event = peer.take(Frame::new(Command::Disconnect).with("receipt", "77"));
        assert_eq!(event, Ok(Event::Disconnect { receipt: Some("77".into()) }));
        for command in CLIENT_COMMANDS {
            assert_eq!(peer.take(Frame::new(command)), Ok(Event::Ignored));
        }
        assert_eq!(peer.take(Frame::new(Command::Message)), Ok(Event::Ignored));
        // The receipt is still to be written.
        assert_eq!(peer.connection.version(), Some(version));
    }
}

#[test]
fn nobody_waits_for_heart_beats_after_disconnect() {
    let mut peer = Peer::beating("1000,1000");
    peer.take(Frame::new(Command::Disconnect)).unwrap();
    assert_eq!((peer.connection.poll_timeout(), peer.connection.send_interval()), (None, None));
}

#[test]
fn after_an_error_there_is_no_second_one() {
    let mut peer = Peer::connected(Version::V1_2);
    peer.take(Frame::new(Command::Send)).unwrap_err();
    assert_eq!(peer.take(Frame::new(Command::Send)), Ok(Event::Ignored));
    assert_eq!(peer.take(Frame::new(Command::Send).with("destination", "/a")), Ok(Event::Ignored));
    assert_eq!(peer.connection.poll_timeout(), None);
}

#[test]
fn frames_of_servers_are_refused() {
    for version in VERSIONS {
        for command in [Command::Connected, Command::Message, Command::Receipt, Command::Error] {
            assert_eq!(Peer::connected(version).violation(Frame::new(command)), Violation::CommandNotAllowed);
        }
    }
    assert_eq!(Peer::new().violation(Frame::new(Command::Message)), Violation::NotConnected);
}

#[test]
fn only_send_has_a_body_from_1_1_on_and_1_0_ignores_it() {
    for command in CLIENT_COMMANDS.into_iter().filter(|command| *command != Command::Send && !command.is_verbatim()) {
        let frame = Frame::new(command)
            .with("id", "1")
            .with("destination", "/a")
            .with("message-id", "1")
            .with("subscription", "1")
            .with("transaction", "1")
            .with_body("body");
        assert_eq!(Peer::connected(Version::V1_1).violation(frame.clone()), Violation::BodyNotAllowed, "{command}");
        assert_eq!(Peer::connected(Version::V1_2).violation(frame.clone()), Violation::BodyNotAllowed, "{command}");
        if command != Command::Nack {
            assert!(Peer::connected(Version::V1_0).take(frame).is_ok(), "{command}");
        }
    }
    assert_eq!(Peer::new().violation(connect(Version::V1_2).with_body("body")), Violation::BodyNotAllowed);
    assert!(Peer::new().take(Frame::new(Command::Connect).with_body("body")).is_ok());
}

#[test]
fn every_receipt_that_is_asked_for_is_handed_over() {
    let frame = |command| {
        Frame::new(command)
            .with("id", "1")
            .with("destination", "/a")
            .with("message-id", "1")
            .with("subscription", "1")
            .with("transaction", "1")
    };
    for version in VERSIONS {
        for command in CLIENT_COMMANDS.into_iter().filter(|command| !command.is_verbatim()) {
            if command == Command::Nack && version == Version::V1_0 {
                continue;
            }
            let asked = Peer::connected(version).take(frame(command).with("receipt", "r 1")).unwrap();
            assert_eq!(receipt(&asked), Some("r 1"), "{command}");
            let not_asked = Peer::connected(version).take(frame(command)).unwrap();
            assert_eq!(receipt(&not_asked), None, "{command}");
        }
    }
}

fn receipt(event: &Event) -> Option<&str> {
    match event {
        Event::Send(send) => send.receipt.as_deref(),
        Event::Subscribe(subscribe) => subscribe.receipt.as_deref(),
        Event::Unsubscribe(unsubscribe) => unsubscribe.receipt.as_deref(),
        Event::Ack(ack) | Event::Nack(ack) => ack.receipt.as_deref(),
        Event::Begin { receipt, .. }
        | Event::Commit { receipt, .. }
        | Event::Abort { receipt, .. }
        | Event::Disconnect { receipt } => receipt.as_deref(),
        Event::Connect(_) | Event::Ignored => panic!("{event:?} has no receipt"),
    }
}

// ---- the client of these tests ----

const SETTINGS: Settings = Settings {
    heart_beat_send: Duration::from_secs(3),
    heart_beat_receive: Duration::from_secs(4),
    connect_timeout: Duration::from_secs(5),
    grace: 3,
};

/// A client and its clock, with the conversation under test at the other end.
struct Peer {
    connection: Connection,
    now: Instant,
    connected: Frame,
}

impl Peer {
    fn new() -> Self {
        Self::with(SETTINGS)
    }

    fn with(settings: Settings) -> Self {
        let now = Instant::now();
        Self { connection: Connection::new(settings, now), now, connected: Frame::new(Command::Error) }
    }

    /// A client that is let in.
    fn connected(version: Version) -> Self {
        let mut peer = Self::new();
        peer.connect(version);
        peer.accept();
        peer
    }

    /// A client that is let in with this `heart-beat` header.
    fn beating(wish: &str) -> Self {
        let mut peer = Self::new();
        peer.take(connect(Version::V1_2).with("heart-beat", wish)).unwrap();
        peer.accept();
        peer
    }

    fn connect(&mut self, version: Version) {
        let event = self.take(connect(version));
        assert!(matches!(event, Ok(Event::Connect(connect)) if connect.version == version));
    }

    fn accept(&mut self) -> Frame {
        let accept = Accept { session: "s-1", server: "towpath/0", user: None };
        self.connected = self.connection.accept(accept, self.now);
        self.connected.clone()
    }

    fn take(&mut self, frame: Frame) -> Result<Event, ProtocolError> {
        self.connection.handle_frame(frame, self.now)
    }

    fn violation(&mut self, frame: Frame) -> Violation {
        self.take(frame).unwrap_err().violation()
    }

    fn sleep(&mut self, duration: Duration) {
        self.now += duration;
    }
}

fn connect(version: Version) -> Frame {
    Frame::new(Command::Connect).with("accept-version", version.as_str()).with("host", "localhost")
}
