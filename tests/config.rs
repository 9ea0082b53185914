//! The configuration file as its reader meets it: every fixture is taken or refused with exactly the words beside it, and
//! `docs/configuration.md` says what the code does.
//!
//! Each `fixtures/config/bad/NAME.toml` has the whole expected message in `NAME.txt`; each `good/NAME.toml` has there the
//! settings that it changes, one a line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use towpath::config::{
    AllowedOrigins, Config, ConfigError, Described, Endpoint, Place, SameSite, Service, Transport, Transports,
};

#[test]
fn every_bad_file_is_refused_with_the_message_beside_it() {
    for (file, text, expected) in fixtures("bad") {
        let error = Config::from_toml(&text, &file).expect_err(&file);
        assert_eq!(error.to_string(), expected, "{file}");
    }
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
fn every_value_of_a_choice_is_read() {
    let endpoint = |line: String| {
        let config = Config::from_toml(&format!("[[endpoint]]\n{line}\n"), "choice.toml");
        config.unwrap_or_else(|error| panic!("{error}")).endpoints.remove(0)
    };
    for service in Service::ALL {
        assert_eq!(endpoint(format!("service = \"{}\"", service.name())).service, service);
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
    let mut config = Config::default();
    config.endpoints.truncate(1);
    let code: BTreeSet<Row> = config.describe().into_iter().map(Row::of).collect();
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
        } else if let Some((key, _)) = line.split_once(" = ") {
            written.insert((table.to_owned(), key.trim().to_owned()));
        }
    }
    let keys: BTreeSet<(String, String)> = Config::default()
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

    #[test]
    fn a_damaged_file_is_taken_or_refused_without_a_panic(at in 0..4000usize, byte in any::<char>()) {
        let mut text: Vec<char> = as_toml(&Config::default()).chars().collect();
        let at = at % text.len();
        text[at] = byte;
        let text: String = text.into_iter().collect();
        if let Err(ConfigError::Invalid(problems)) = Config::from_toml(&text, "damaged.toml") {
            prop_assert!(problems.iter().all(|problem| problem.line.is_some()), "{problems:?}");
        }
    }
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
        Row {
            table: setting.place.header().to_owned(),
            key: setting.key.to_owned(),
            kind: setting.kind.to_owned(),
            default: setting.value.unwrap_or_else(|| "left out".to_owned()),
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
                default: default.trim_matches('`').to_owned(),
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

/// The settings in which `config` differs from the defaults, one a line; an endpoint differs from the default endpoint.
fn changes(config: &Config) -> String {
    let defaults = Config { endpoints: vec![Endpoint::default(); config.endpoints.len()], ..Config::default() };
    let pairs = config.describe().into_iter().zip(defaults.describe());
    let lines = pairs
        .filter(|(now, default)| now != default)
        .map(|(now, _)| format!("{} = {} {}", now.key, now.value.unwrap_or_default(), now.place));
    lines.collect::<Vec<_>>().join("\n")
}

/// The file that says what `config` says.
fn as_toml(config: &Config) -> String {
    let mut text = String::new();
    let mut place = Place::Top;
    for setting in config.describe() {
        if setting.place != place {
            place = setting.place;
            text.push_str(&format!("\n{}\n", place.header()));
        }
        if let Some(value) = setting.value {
            text.push_str(&format!("{} = {value}\n", setting.key));
        }
    }
    text
}

/// Valid configurations that differ in every kind of setting.
fn configs() -> impl Strategy<Value = Config> {
    let top = (any::<u16>(), 0..60_000u64, any::<bool>(), prop::option::of("/[a-z]{1,8}/metrics"));
    let limits = (8192..1_000_000usize, 1..1_000_000usize, 1..=100u32, 10..86_400_000u64);
    let endpoints = prop::collection::btree_map("/[a-z]{1,6}-[0-9a-z]{1,6}", endpoints(), 1..4);
    (top, limits, endpoints).prop_map(
        |((port, grace, landing_page, metrics_path), (buffer, count, small, millis), endpoints)| {
            let mut config = Config { landing_page, metrics_path, ..Config::default() };
            config.listen.set_port(port);
            config.shutdown_grace = Duration::from_millis(if grace < 10 { 0 } else { grace });
            config.http.buffer = buffer;
            config.http.max_connections = count;
            config.stomp.heart_beat_grace = small;
            config.stomp.heart_beat_send = Duration::from_millis(millis);
            config.endpoints = endpoints.into_iter().map(|(path, endpoint)| Endpoint { path, ..endpoint }).collect();
            config
        },
    )
}

fn endpoints() -> impl Strategy<Value = Endpoint> {
    let origins = prop_oneof![
        Just(AllowedOrigins::SameHost),
        Just(AllowedOrigins::Any),
        prop::collection::vec("https?://[a-z]{1,8}\\.example(:8[0-9]{3})?", 1..3).prop_map(AllowedOrigins::List),
    ];
    let transports = prop_oneof![
        Just(Transports::All),
        prop::sample::subsequence(Transport::ALL.to_vec(), 0..8).prop_map(|named| {
            let named: BTreeSet<Transport> = named.into_iter().chain([Transport::XhrPolling]).collect();
            Transports::Only(named)
        }),
    ];
    let same_site = prop::option::of(prop::sample::select(SameSite::ALL.to_vec()));
    let client_url = "/[a-z\"'\\\\]{1,12}(\\{version\\})?";
    (origins, transports, same_site, prop::sample::select(Service::ALL.to_vec()), client_url, 10..86_400_000u64)
        .prop_map(|(allowed_origins, transports, cookie_same_site, service, client_url, millis)| Endpoint {
            allowed_origins,
            transports,
            cookie: true,
            cookie_secure: true,
            cookie_same_site,
            service,
            client_url,
            heartbeat: Duration::from_millis(millis),
            ..Endpoint::default()
        })
}
