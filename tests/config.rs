//! The configuration file as its reader meets it: every fixture is taken or refused with exactly the words beside it, and
//! `docs/configuration.md` says what the code does.
//!
//! Each `fixtures/config/bad/NAME.toml` has the whole expected message in `NAME.txt`; each `good/NAME.toml` has there the
//! settings that it changes, one a line.

mod configurations;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use configurations::{as_toml, configs};
use proptest::prelude::*;
use towpath::broker::Pattern;
use towpath::config::{
    Action, Algorithm, AllowedOrigins, App, Broker, Config, ConfigError, Described, Destination, Endpoint, Errors,
    Guarded, History, Overflow, Place, Queue, QueueFull, Rule, SameSite, SendToUsers, Service, Session, Stomp, Tcp,
    Transport, Transports, UnknownUser, User, Who,
};

#[test]
fn every_bad_file_is_refused_with_the_message_beside_it() {
    for (file, text, expected) in fixtures("bad") {
        let error = Config::from_toml(&text, &file).expect_err(&file);
        assert_eq!(error.to_string(), expected, "{file}");
    }
}

/// Where a fixture has a secret, it has "hidden" in it.
#[test]
fn no_message_shows_a_secret() {
    let mut secrets = 0;
    for (file, text, expected) in fixtures("bad") {
        secrets += usize::from(text.contains("hidden"));
        let error = Config::from_toml(&text, &file).expect_err(&file);
        assert!(!expected.contains("hidden") && !format!("{error:?}").contains("hidden"), "{file}: {error:?}");
    }
    assert!(secrets >= 10, "{secrets}");
}

#[test]
fn every_good_file_is_taken_and_changes_what_is_said_beside_it() {
    for (file, text, expected) in fixtures("good") {
        let config = Config::from_toml(&text, &file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(changes(&config), expected, "{file}");
    }
}

#[test]
fn problems_carry_their_place_key_and_line_for_programs() {
    let text = "[[endpoint]]\npath = \"/a\"\n\n[[endpoint]]\npath = \"/b\"\nheartbeet = \"1s\"\n";
    let Err(ConfigError::Invalid(problems)) = Config::from_toml(text, "some.toml") else { panic!("taken") };
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(problem.place, Place::Endpoint(1));
    assert_eq!(
        (problem.key.as_str(), problem.line, problem.file.as_deref()),
        ("heartbeet", Some(6), Some("some.toml"))
    );
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Path::new("no/such/towpath.toml")).expect_err("no such file");
    assert!(matches!(&error, ConfigError::Unreadable { file, .. } if file == "no/such/towpath.toml"));
    assert!(error.to_string().starts_with("no/such/towpath.toml: cannot read the configuration: "), "{error}");
}

#[test]
fn a_file_is_loaded_from_disk() {
    let config = Config::load(&root().join("fixtures/config/good/top.toml")).expect("a good file");
    assert_eq!(config.listen.port(), 9000);
    assert_eq!(config.shutdown_grace, Duration::from_secs(90));
}

#[test]
fn an_empty_file_is_the_default_and_the_default_is_valid() {
    assert_eq!(Config::from_toml("", "empty.toml").expect("nothing to refuse"), Config::default());
    Config::default().validate().expect("the defaults obey the rules");
}

#[test]
fn the_defaults_of_the_broker_core() {
    const MIB: usize = 1024 * 1024;
    let queue = Queue {
        messages: 10_000,
        bytes: 64 * MIB,
        full: QueueFull::Refuse,
        ttl: Duration::ZERO,
        max_deliveries: 20,
        dead_letter: None,
    };
    let broker = Broker {
        topic_prefixes: vec!["/topic".to_owned()],
        max_destinations: 100_000,
        max_patterns: 100_000,
        max_name: 1024,
        prefetch: 1000,
        max_prefetch: 10_000,
        auto_prefetch: 64,
        queue: queue.clone(),
        queues_messages: 1_000_000,
        queues_bytes: 256 * MIB,
        max_unacked: 1000,
        max_unacked_bytes: 4 * MIB,
        history_bytes: 64 * MIB,
        high_water: 512 * MIB,
        send_to_users: SendToUsers::Tcp,
        unknown_user: UnknownUser::Receipt,
    };
    let stomp = Stomp {
        max_transactions: 16,
        max_transaction_frames: 1000,
        max_transaction_bytes: 4 * MIB,
        max_selector: 1024,
        max_backlog: 8 * MIB,
        ..Stomp::default()
    };
    let tcp = Tcp {
        listen: None,
        max_connections: 10_000,
        outbox_bytes: 4 * MIB,
        outbox_messages: 1024,
        buffer: 16 * 1024,
        keepalive: Duration::from_secs(60),
    };
    let config = Config::default();
    assert_eq!((config.broker, config.stomp, config.tcp), (broker, stomp, tcp));
    assert_eq!(config.destinations, []);
    let text = "[[destination]]\npattern = \"/topic/a\"\nhistory = { count = 7 }\n";
    let read = Config::from_toml(text, "some.toml").unwrap_or_else(|error| panic!("{error}")).destinations;
    let expected = Destination {
        pattern: "/topic/a".to_owned(),
        overflow: Overflow::Close,
        conflate_by: None,
        history: Some(History { count: 7, age: Duration::from_secs(3600) }),
        queue,
    };
    assert_eq!(read, [expected]);
}

#[test]
fn a_session_is_told_the_same_by_every_carrier_but_for_its_outbox() {
    let session = Session {
        outbox_bytes: 1024 * 1024,
        outbox_messages: 256,
        heartbeat: Duration::from_secs(25),
        disconnect_delay: Duration::from_secs(5),
        pong_timeout: Duration::from_secs(10),
    };
    assert_eq!(Session::default(), session);
    assert_eq!(Endpoint::default().session(), session);
    let tcp = Tcp::default().session();
    assert_eq!(tcp, Session { outbox_bytes: 4 * 1024 * 1024, outbox_messages: 1024, ..session });

    let own = Session {
        outbox_bytes: 1,
        outbox_messages: 2,
        heartbeat: Duration::from_secs(3),
        disconnect_delay: Duration::from_secs(4),
        pong_timeout: Duration::from_secs(5),
    };
    let endpoint = Endpoint {
        outbox_bytes: 1,
        outbox_messages: 2,
        heartbeat: Duration::from_secs(3),
        disconnect_delay: Duration::from_secs(4),
        pong_timeout: Duration::from_secs(5),
        ..Endpoint::default()
    };
    assert_eq!(endpoint.session(), own);
}

#[test]
fn a_destination_inherits_the_queues_of_the_broker_wherever_that_stands() {
    let text = r#"
        [[destination]]
        pattern = "/queue/a"

        [[destination]]
        pattern = "/queue/b"
        queue_messages = 5
        queue_bytes = "5KiB"
        queue_full = "refuse"
        queue_ttl = "0s"
        max_deliveries = 5
        dead_letter = ""

        [broker]
        queue_messages = 7
        queue_bytes = "7KiB"
        queue_full = "drop-oldest"
        queue_ttl = "7s"
        max_deliveries = 7
        dead_letter = "/queue/dead"
    "#;
    let config = Config::from_toml(text, "some.toml").unwrap_or_else(|error| panic!("{error}"));
    let of_all = Queue {
        messages: 7,
        bytes: 7 * 1024,
        full: QueueFull::DropOldest,
        ttl: Duration::from_secs(7),
        max_deliveries: 7,
        dead_letter: Some("/queue/dead".to_owned()),
    };
    let of_one = Queue { messages: 5, bytes: 5 * 1024, max_deliveries: 5, ..Queue::default() };
    assert_eq!(config.broker.queue, of_all);
    let queues: Vec<Queue> = config.destinations.into_iter().map(|destination| destination.queue).collect();
    assert_eq!(queues, [of_all, of_one]);
}

#[test]
fn a_history_may_be_written_in_every_way_of_toml() {
    let expected = History { count: 5, age: Duration::from_secs(60) };
    for lines in [
        "history = { count = 5, age = \"1m\" }",
        "history.count = 5\nhistory.age = \"1m\"",
        "[destination.history]\ncount = 5\nage = \"1m\"",
    ] {
        let text = format!("[[destination]]\npattern = \"/topic/a\"\n{lines}\n");
        let config = Config::from_toml(&text, "some.toml").unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(config.destinations[0].history, Some(expected.clone()), "{text}");
    }
}

/// What the file cannot tell, because there is none: a program's tables for topics may have the queues of `[broker]` or the
/// defaults, and nothing else.
#[test]
fn a_program_need_not_care_for_the_queues_of_a_topic() {
    let with = |queue: Queue| {
        let topic = Destination { pattern: "/topic/a".to_owned(), queue, ..Destination::default() };
        let mut config = Config { destinations: vec![topic], ..Config::default() };
        config.broker.queue.max_deliveries = 5;
        config
    };
    with(Queue::default()).validate().expect("the default");
    with(Queue { max_deliveries: 5, ..Queue::default() }).validate().expect("as in [broker]");
    let error = with(Queue { max_deliveries: 6, ..Queue::default() }).validate().expect_err("a setting of its own");
    assert!(error.to_string().starts_with("`max_deliveries` in [[destination]] 1 is for queues, "), "{error}");
    let nameless = Config { destinations: vec![Destination::default()], ..Config::default() };
    let error = nameless.validate().expect_err("no pattern");
    assert!(error.to_string().starts_with("`pattern` in [[destination]] 1 is missing; "), "{error}");
}

#[test]
fn every_value_of_a_choice_is_read() {
    let endpoint = |line: String| {
        let config = Config::from_toml(&format!("[[endpoint]]\n{line}\n"), "choice.toml");
        config.unwrap_or_else(|error| panic!("{error}")).endpoints.remove(0)
    };
    for service in Service::ALL {
        let bridge = if service == Service::Bridge { "\nbridge = \"ws://127.0.0.1:9000/\"" } else { "" };
        assert_eq!(endpoint(format!("service = \"{}\"{bridge}", service.name())).service, service);
    }
    for transport in Transport::ALL.into_iter().filter(|transport| *transport != Transport::Iframe) {
        let read = endpoint(format!("transports = [\"iframe\", \"{}\"]", transport.name())).transports;
        assert_eq!(read, Transports::Only([Transport::Iframe, transport].into()));
    }
    for same_site in SameSite::ALL {
        let read =
            endpoint(format!("cookie = true\ncookie_secure = true\ncookie_same_site = \"{}\"", same_site.name()));
        assert_eq!(read.cookie_same_site, Some(same_site));
    }
    let read = |text: String| Config::from_toml(&text, "choice.toml").unwrap_or_else(|error| panic!("{error}"));
    for full in QueueFull::ALL {
        assert_eq!(read(format!("[broker]\nqueue_full = \"{}\"", full.name())).broker.queue.full, full);
    }
    for senders in SendToUsers::ALL {
        assert_eq!(read(format!("[broker]\nsend_to_users = \"{}\"", senders.name())).broker.send_to_users, senders);
    }
    for answer in UnknownUser::ALL {
        assert_eq!(read(format!("[broker]\nunknown_user = \"{}\"", answer.name())).broker.unknown_user, answer);
    }
    for errors in Errors::ALL {
        let text = format!("[application]\nerrors = \"{0}\"\n[auth]\nrefused_subscribe = \"{0}\"", errors.name());
        let config = read(text);
        assert_eq!((config.application.errors, config.auth.refused_subscribe), (errors, errors));
    }
    for algorithm in Algorithm::ALL {
        let secret = "secret = \"0123456789abcdef0123456789abcdef\"";
        let key = if algorithm == Algorithm::Hs256 { secret } else { "keys = \"k\"" };
        let text = format!("[jwt]\n{key}\nalgorithms = [\"{}\"]", algorithm.name());
        assert_eq!(read(text).jwt.algorithms, [algorithm]);
    }
    let rule = |line: String| read(format!("[[rule]]\n{line}\n\n[[rule]]\n")).rules.remove(0);
    for action in Action::ALL {
        assert_eq!(rule(format!("action = \"{}\"\nusers = [\"ann\"]", action.name())).action, action);
    }
    for command in Guarded::ALL {
        assert_eq!(rule(format!("commands = [\"{}\"]", command.name())).commands, [command]);
    }
    for who in Who::ALL {
        assert_eq!(rule(format!("commands = [\"SEND\"]\nwho = \"{}\"", who.name())).who, who);
    }
    for overflow in Overflow::ALL {
        let text = format!("[[destination]]\npattern = \"/topic/a\"\noverflow = \"{}\"", overflow.name());
        assert_eq!(read(text).destinations[0].overflow, overflow);
    }
}

#[test]
fn the_test_services_are_the_suites_and_obey_the_rules() {
    let mut config = Config::default();
    config.add_test_services(Some("/lib/sockjs.js"));
    config.validate().expect("the test services obey the rules");
    let services: Vec<(&str, Service)> =
        config.endpoints.iter().map(|endpoint| (endpoint.path.as_str(), endpoint.service)).collect();
    assert_eq!(
        services,
        [
            ("/stomp", Service::Stomp),
            ("/echo", Service::Echo),
            ("/disabled_websocket_echo", Service::Echo),
            ("/cookie_needed_echo", Service::Echo),
            ("/close", Service::Close),
            ("/amplify", Service::Amplify),
            ("/ticker", Service::Ticker),
            ("/broadcast", Service::Broadcast),
            ("/farewell", Service::Farewell),
        ]
    );
    for endpoint in config.endpoints.iter().skip(1) {
        assert_eq!(endpoint.allowed_origins, AllowedOrigins::Any, "{}", endpoint.path);
        assert_eq!(endpoint.client_url, "/lib/sockjs.js", "{}", endpoint.path);
        assert_eq!(endpoint.cookie, endpoint.path == "/cookie_needed_echo", "{}", endpoint.path);
        let limit = if endpoint.path == "/echo" { 4096 } else { 128 * 1024 };
        assert_eq!(endpoint.response_limit, limit, "{}", endpoint.path);
        let without_websocket = endpoint.path == "/disabled_websocket_echo";
        for transport in Transport::ALL {
            let is_websocket = matches!(transport, Transport::Websocket | Transport::RawWebsocket);
            assert_eq!(endpoint.enabled(transport), !(is_websocket && without_websocket), "{}", endpoint.path);
        }
    }
}

#[test]
fn a_path_taken_by_a_test_service_is_refused_without_a_line() {
    let mut config = Config::from_toml("[[endpoint]]\npath = \"/echo\"\n", "some.toml").expect("fine by itself");
    config.add_test_services(None);
    let error = config.validate().expect_err("two endpoints at /echo");
    assert_eq!(
        error.to_string(),
        "`path` in [[endpoint]] 2 is \"/echo\", as it is in [[endpoint]] 1 already; give one of them another path"
    );
}

#[test]
fn a_program_cannot_leave_the_gateway_without_endpoints() {
    let config = Config { endpoints: Vec::new(), ..Config::default() };
    let error = config.validate().expect_err("nothing to serve");
    assert_eq!(error.to_string(), "`endpoint` at the top is missing: there is nothing to serve; add an endpoint");
}

#[test]
fn the_documents_tables_are_the_codes_settings() {
    let code: BTreeSet<Row> = with_every_key().describe().into_iter().map(Row::of).collect();
    let documented = documented_rows();
    let listed: BTreeSet<Row> = documented.iter().cloned().collect();
    assert_eq!(documented.len(), listed.len(), "a key is documented twice");
    let missing: Vec<_> = code.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&code).collect();
    assert!(missing.is_empty() && stale.is_empty(), "in the code only: {missing:#?}\nin the document only: {stale:#?}");
}

#[test]
fn the_documents_examples_are_taken_and_the_complete_one_has_every_key() {
    let document = document();
    let examples: Vec<&str> = document.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 2, "the document has a short and a complete example");
    for example in &examples {
        Config::from_toml(example, "docs/configuration.md").unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
    let complete = examples.last().expect("counted above");
    let mut table = "";
    let mut written = BTreeSet::new();
    for line in complete.lines() {
        if line.starts_with('[') {
            table = line.trim();
        } else if let Some((key, value)) = line.split_once(" = ") {
            let inner = value.strip_prefix("{ ").and_then(|value| value.strip_suffix(" }"));
            let inner: Vec<&str> = inner.map(|inner| inner.split(", ").collect()).unwrap_or_default();
            let dotted = inner.iter().filter_map(|pair| pair.split_once(" = ")).map(|(sub, _)| format!("{key}.{sub}"));
            written.extend(dotted.map(|key| (table.to_owned(), key)));
            if inner.is_empty() {
                written.insert((table.to_owned(), key.trim().to_owned()));
            }
        }
    }
    let keys: BTreeSet<(String, String)> = with_every_key()
        .describe()
        .into_iter()
        .map(|setting| (setting.place.header().to_owned(), setting.key.to_owned()))
        .collect();
    assert_eq!(written, keys);
}

proptest! {
    #[test]
    fn what_is_described_reads_as_itself(config in configs()) {
        config.validate().expect("the strategy makes valid ones");
        let text = as_toml(&config);
        let read = Config::from_toml(&text, "described.toml").unwrap_or_else(|error| panic!("{error}\n{text}"));
        prop_assert_eq!(read, config);
    }

    /// The rules of wildcards here and in the broker are the same.
    #[test]
    fn a_table_is_never_reached_exactly_if_the_broker_finds_the_one_before_it(
        wide in "/topic(/(a|\\*|\\*\\*|#|\\.)){1,4}",
        name in "/topic/[ab](/a|\\.[ab]){0,3}",
    ) {
        let table = |pattern: &str| Destination { pattern: pattern.to_owned(), ..Destination::default() };
        let config = Config { destinations: vec![table(&wide), table(&name)], ..Config::default() };
        prop_assert_eq!(config.validate().is_err(), Pattern::new(&wide).matches(&name));
    }

    #[test]
    fn a_damaged_file_is_taken_or_refused_without_a_panic(at in any::<usize>(), byte in any::<char>()) {
        let mut text: Vec<char> = as_toml(&with_tables()).chars().collect();
        let at = at % text.len();
        text[at] = byte;
        let text: String = text.into_iter().collect();
        if let Err(ConfigError::Invalid(problems)) = Config::from_toml(&text, "damaged.toml") {
            prop_assert!(problems.iter().all(|problem| problem.line.is_some()), "{problems:?}");
        }
    }
}

/// A file's worth of everything, for damage.
fn with_tables() -> Config {
    let table = |pattern: &str| Destination { pattern: pattern.to_owned(), ..Destination::default() };
    let topic = Destination {
        overflow: Overflow::Conflate,
        conflate_by: Some("symbol".to_owned()),
        history: Some(History::new(100)),
        ..table("/topic/a.*")
    };
    // Inherited queues are left out of the file of a topic, where they would be refused.
    let queue = Queue { dead_letter: Some("/queue/dead".to_owned()), ..Queue::default() };
    Config { destinations: vec![topic, Destination { queue, ..table("/queue/a") }], ..Config::default() }
}

/// The defaults, with a table and all its keys where a default has none.
fn with_every_key() -> Config {
    let destination = Destination { history: Some(History::new(1)), ..Destination::default() };
    Config { destinations: vec![destination], ..Config::with_one_of_each_table() }
}

/// A row of a table in the document, and what it must say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    table: String,
    key: String,
    kind: String,
    default: String,
}

impl Row {
    fn of(setting: Described) -> Self {
        let default = match (setting.place, setting.key) {
            (Place::Destination(_), "pattern" | "history.count")
            | (Place::App(_), _)
            | (Place::User(_), "name" | "password_hash") => "must be set".to_owned(),
            (Place::Destination(_), key)
                if key.contains("queue") || ["max_deliveries", "dead_letter"].contains(&key) =>
            {
                "as in `[broker]`".to_owned()
            }
            _ => setting.value.unwrap_or_else(|| "left out".to_owned()),
        };
        Row {
            table: setting.place.header().to_owned(),
            key: setting.key.to_owned(),
            kind: setting.kind.to_owned(),
            default,
        }
    }
}

/// The rows of the form "| `key` | kind | `default` | ..." with the table that the last heading names.
fn documented_rows() -> Vec<Row> {
    let mut table = String::new();
    let mut rows = Vec::new();
    for line in document().lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            table = heading.split('`').nth(1).filter(|name| name.starts_with('[')).unwrap_or("").to_owned();
        }
        let cells: Vec<&str> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        if let [key, kind, default, reason] = cells.as_slice()
            && line.starts_with("| `")
        {
            assert!(!reason.is_empty(), "{key} has no reason");
            rows.push(Row {
                table: table.clone(),
                key: key.trim_matches('`').to_owned(),
                kind: (*kind).to_owned(),
                default: default
                    .strip_prefix('`')
                    .and_then(|default| default.strip_suffix('`'))
                    .unwrap_or(default)
                    .to_owned(),
            });
        }
    }
    rows
}

fn document() -> String {
    fs::read_to_string(root().join("docs/configuration.md")).expect("the document is part of the tree")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Name, text and expectation of every fixture in a folder.
fn fixtures(folder: &str) -> Vec<(String, String, String)> {
    let folder = root().join("fixtures/config").join(folder);
    let mut names: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the fixtures are part of the tree")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    names.sort();
    assert!(names.len() >= 10, "the fixtures are gone from {}", folder.display());
    names
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a readable fixture");
            let beside = path.with_extension("txt");
            let expected = fs::read_to_string(&beside).unwrap_or_else(|error| panic!("{}: {error}", beside.display()));
            let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
            (name, text, expected.trim_end().to_owned())
        })
        .collect()
}

/// The settings in which `config` differs from the defaults, one a line; an endpoint differs from the default endpoint, a
/// destination from one with the broker's queues.
fn changes(config: &Config) -> String {
    let queue = &config.broker.queue;
    let defaults = Config {
        endpoints: vec![Endpoint::default(); config.endpoints.len()],
        apps: vec![App::default(); config.apps.len()],
        users: vec![User::default(); config.users.len()],
        rules: vec![Rule::default(); config.rules.len()],
        destinations: vec![Destination { queue: queue.clone(), ..Destination::default() }; config.destinations.len()],
        ..Config::default()
    };
    let pairs = config.describe().into_iter().zip(defaults.describe());
    let lines = pairs
        .filter(|(now, default)| now != default)
        .map(|(now, _)| format!("{} = {} {}", now.key, now.value.unwrap_or_default(), now.place));
    lines.collect::<Vec<_>>().join("\n")
}
