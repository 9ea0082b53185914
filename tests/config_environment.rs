//! Settings from the environment: what a variable is called, how its value is written, that it wins over the file, and what is said
//! of one that makes no sense.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use towpath::config::{
    Algorithm, AllowedOrigins, Config, ConfigError, Guarded, Place, SameSite, Source, Transport, Transports,
};

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("there is room for a small file");
    path
}

fn variables<'v>(variables: &'v [(&str, &str)]) -> impl Iterator<Item = (String, String)> + use<'v> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}

fn without_file(environment: &[(&str, &str)]) -> Config {
    Config::load_with(None, variables(environment)).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(path: Option<&Path>, environment: &[(&str, &str)]) -> String {
    Config::load_with(path, variables(environment)).expect_err("it makes no sense").to_string()
}

#[test]
fn without_file_and_variables_the_defaults_hold() {
    assert_eq!(without_file(&[]), Config::default());
    assert_eq!(without_file(&[("PATH", "/bin"), ("TOWPATH", "x"), ("TOWPATH_LOG", "debug")]), Config::default());
}

#[test]
fn every_kind_of_value_is_written_without_quotes_and_brackets() {
    let config = without_file(&[
        ("TOWPATH_LISTEN", "0.0.0.0:9000"),
        ("TOWPATH_LANDING_PAGE", "false"),
        ("TOWPATH_METRICS_PATH", "/metrics"),
        ("TOWPATH_SHUTDOWN_GRACE", "0s"),
        ("TOWPATH_TCP_LISTEN", "127.0.0.1:61613"),
        ("TOWPATH_STOMP_MAX_BODY", "512KiB"),
        ("TOWPATH_STOMP_MAX_HEADER_LINE", "4096"),
        ("TOWPATH_STOMP_HEART_BEAT_GRACE", "4"),
        ("TOWPATH_BROKER_PREFETCH", "1_0"),
        ("TOWPATH_BROKER_DEAD_LETTER", "/queue/dead"),
        ("TOWPATH_APPLICATION_PREFIXES", "/app,/publish"),
        ("TOWPATH_JWT_SECRET", " 0123456789abcdef\"0123456789abcdef"),
        ("TOWPATH_JWT_ALGORITHMS", "HS256"),
        ("TOWPATH_ENDPOINT_1_ALLOWED_ORIGINS", "https://a.example, https://b.example"),
        ("TOWPATH_ENDPOINT_1_TRANSPORTS", "websocket,xhr-polling"),
        ("TOWPATH_ENDPOINT_1_COOKIE", "true"),
        ("TOWPATH_ENDPOINT_1_COOKIE_SAME_SITE", "Lax"),
    ]);
    assert_eq!(config.listen, SocketAddr::from(([0, 0, 0, 0], 9000)));
    assert!(!config.landing_page);
    assert_eq!(config.metrics_path.as_deref(), Some("/metrics"));
    assert_eq!(config.shutdown_grace, Duration::ZERO);
    assert_eq!(config.tcp.listen.map(|address| address.port()), Some(61613));
    assert_eq!((config.stomp.max_body, config.stomp.max_header_line), (512 * 1024, 4096));
    assert_eq!((config.stomp.heart_beat_grace, config.broker.prefetch), (4, 10));
    assert_eq!(config.broker.queue.dead_letter.as_deref(), Some("/queue/dead"));
    assert_eq!(config.application.prefixes, ["/app", "/publish"]);
    let secret = config.jwt.secret.expect("it is set");
    assert_eq!(secret.expose(), " 0123456789abcdef\"0123456789abcdef", "secrets are taken as they are");
    assert_eq!(config.jwt.algorithms, [Algorithm::Hs256]);
    let endpoint = &config.endpoints[0];
    let origins = ["https://a.example", "https://b.example"].map(str::to_owned);
    assert_eq!(endpoint.allowed_origins, AllowedOrigins::List(origins.to_vec()));
    assert_eq!(endpoint.transports, Transports::Only([Transport::Websocket, Transport::XhrPolling].into()));
    assert_eq!((endpoint.cookie, endpoint.cookie_same_site), (true, Some(SameSite::Lax)));
    let any = without_file(&[("TOWPATH_ENDPOINT_1_ALLOWED_ORIGINS", "*")]);
    assert_eq!(any.endpoints[0].allowed_origins, AllowedOrigins::Any);
}

/// Whatever key there is: a variable with the value that it has anyway is taken, and noted as its source.
#[test]
fn every_key_has_its_variable() {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA";
    let path = file(
        "environment-all.toml",
        &format!(
            "[[endpoint]]\n[[endpoint]]\npath = \"/b\"\nservice = \"bridge\"\nbridge = \"ws://h\"\n\
             [[app]]\ndestination = \"/app/a\"\nurl = \"http://h\"\n[api]\ntoken = \"0123456789abcdef\"\n\
             [jwt]\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
             [[user]]\nname = \"ann\"\npassword_hash = \"{hash}\"\n[[rule]]\n\
             [[destination]]\npattern = \"/topic/a\"\nhistory = {{ count = 1 }}\n[[destination]]\npattern = \"/queue/a\"\n"
        ),
    );
    let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    let mut seen = 0;
    for setting in config.describe() {
        // Shown as in TOML, where texts have quotes and lists brackets. What has no value now has none to repeat.
        let Some(value) = &setting.value else { continue };
        let value = value.trim_matches(['[', ']']).replace(['"', '\''], "");
        let for_queues = setting.key.contains("queue") || ["max_deliveries", "dead_letter"].contains(&setting.key);
        let of_another_kind = match setting.place {
            Place::Endpoint(0) => setting.key.starts_with("bridge"),
            Place::Destination(0) => for_queues,
            Place::Destination(1) => setting.key == "overflow",
            _ => false,
        };
        if of_another_kind || setting.kind == "secret" {
            continue;
        }
        let name = setting.variable();
        let loaded = Config::load_with_sources(Some(&path), variables(&[(name.as_str(), value.as_str())]));
        let (same, sources) = loaded.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(same, config, "{name}={value}");
        assert_eq!(sources.of(setting.place, setting.key), Source::Variable(name));
        seen += 1;
    }
    assert!(seen > 120, "{seen}");
}

#[test]
fn a_variable_wins_over_the_file_and_the_sources_say_so() {
    let path = file("environment-wins.toml", "listen = \"127.0.0.1:1\"\nlanding_page = false\n");
    let (config, sources) =
        Config::load_with_sources(Some(&path), variables(&[("TOWPATH_LISTEN", "127.0.0.1:2")])).expect("it is good");
    assert_eq!((config.listen.port(), config.landing_page), (2, false));
    assert_eq!(sources.of(Place::Top, "listen"), Source::Variable("TOWPATH_LISTEN".to_owned()));
    assert_eq!(sources.of(Place::Top, "landing_page"), Source::Line(2));
    assert_eq!(sources.of(Place::Top, "metrics_path"), Source::Default);
}

#[test]
fn tables_of_a_list_are_counted_from_one() {
    let path = file(
        "environment-lists.toml",
        "[[endpoint]]\npath = \"/a\"\n[[endpoint]]\npath = \"/b\"\n[[rule]]\n\
         [[destination]]\npattern = \"/topic/a\"\nhistory = { count = 5 }\n",
    );
    let config = Config::load_with(
        Some(&path),
        variables(&[
            ("TOWPATH_ENDPOINT_2_PATH", "/c"),
            ("TOWPATH_RULE_1_COMMANDS", "CONNECT,SEND"),
            ("TOWPATH_DESTINATION_1_HISTORY_COUNT", "7"),
        ]),
    );
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let paths: Vec<&str> = config.endpoints.iter().map(|endpoint| endpoint.path.as_str()).collect();
    assert_eq!(paths, ["/a", "/c"]);
    assert_eq!(config.rules[0].commands, [Guarded::Connect, Guarded::Send]);
    assert_eq!(config.destinations[0].history.as_ref().map(|history| history.count), Some(7));
}

#[test]
fn what_a_variable_says_of_all_queues_is_inherited() {
    let path = file("environment-queues.toml", "[[destination]]\npattern = \"/queue/a\"\n");
    let config = Config::load_with(Some(&path), variables(&[("TOWPATH_BROKER_QUEUE_MESSAGES", "7")])).expect("good");
    assert_eq!((config.broker.queue.messages, config.destinations[0].queue.messages), (7, 7));
}

#[test]
fn a_secret_may_stand_in_a_file_of_its_own() {
    for (end, name) in [("", "bare"), ("\n", "unix"), ("\r\n", "windows"), ("\nsecond line\n", "longer")] {
        let secret = file(&format!("secret-{name}"), &format!("0123456789abcdef{end}"));
        let config = without_file(&[("TOWPATH_API_TOKEN_FILE", secret.to_str().unwrap())]);
        assert_eq!(config.api.token.expect("it is set").expose(), "0123456789abcdef", "{name}");
    }
    let hash = file("secret-hash", "$2b$12$abcdef\n");
    let user = file("environment-user.toml", "[[user]]\nname = \"ann\"\n");
    let variable = [("TOWPATH_USER_1_PASSWORD_HASH_FILE", hash.to_str().unwrap())];
    let config = Config::load_with(Some(&user), variables(&variable)).expect("good");
    assert_eq!(config.users[0].password_hash.expose(), "$2b$12$abcdef");
}

#[test]
fn a_file_with_a_secret_that_is_none_is_named() {
    let message = refused(None, &[("TOWPATH_API_TOKEN_FILE", "no/such/file")]);
    assert!(
        message.starts_with(
            "TOWPATH_API_TOKEN_FILE: `token` in [api] should be read from \"no/such/file\", which fails: "
        ),
        "{message}"
    );
    let empty = file("secret-empty", "\nhidden\n");
    let message = refused(None, &[("TOWPATH_API_TOKEN_FILE", empty.to_str().unwrap())]);
    assert!(message.contains("whose first line is empty; write it there") && !message.contains("hidden"), "{message}");
    let message = refused(None, &[("TOWPATH_API_TOKEN_FILE", "x"), ("TOWPATH_API_TOKEN", "hidden")]);
    assert_eq!(
        message,
        "TOWPATH_API_TOKEN: `token` in [api] is set by this variable and by TOWPATH_API_TOKEN_FILE; leave one of them out"
    );
    // Only secrets are read from files.
    let message = refused(None, &[("TOWPATH_LISTEN_FILE", "x")]);
    assert!(message.starts_with("TOWPATH_LISTEN_FILE: unknown variable; "), "{message}");
}

#[test]
fn a_value_that_makes_no_sense_is_refused_with_its_variable() {
    for (name, value, expected) in [
        (
            "TOWPATH_STOMP_MAX_HEADERS",
            "many",
            "`max_headers` in [stomp] is a string, not a whole number; write a number from 1 to 1000000000, without quotes",
        ),
        ("TOWPATH_STOMP_MAX_HEADERS", "0", "`max_headers` in [stomp] is zero; write a number from 1 to 1000000000"),
        (
            "TOWPATH_LANDING_PAGE",
            "yes",
            "`landing_page` at the top is a string, not true or false; write true or false, without quotes",
        ),
        (
            "TOWPATH_HTTP_BODY_TIMEOUT",
            "30",
            "`body_timeout` in [http] is no duration: \"30\"; write a number and a unit, such as \"25s\", \"500ms\" or \"5m\"",
        ),
        ("TOWPATH_ENDPOINT_1_PATH", "/a/", "`path` in [[endpoint]] 1 is \"/a/\", which ends in a slash; write \"/a\""),
        (
            "TOWPATH_ENDPOINT_1_TRANSPORTS",
            "",
            "`transports` in [[endpoint]] 1 names no transport, so nobody could connect; name some, or leave the key out \
             for all of them",
        ),
        (
            "TOWPATH_ENDPOINT_1_SERVICE",
            "stmp",
            "`service` in [[endpoint]] 1 does not know \"stmp\"; did you mean \"stomp\"?",
        ),
        (
            "TOWPATH_JWT_SECRET",
            "hidden",
            "`secret` in [jwt] has 6 bytes, and with fewer than 32 it is too easy to guess; take a fresh one from \
             `openssl rand -base64 32`, or from what towpath init writes",
        ),
    ] {
        assert_eq!(refused(None, &[(name, value)]), format!("{name}: {expected}"));
    }
}

#[test]
fn a_variable_that_means_nothing_is_refused() {
    for (name, expected) in [
        ("TOWPATH_LISTN", "unknown variable; did you mean TOWPATH_LISTEN?"),
        ("TOWPATH_STOMP_MAX_BDY", "unknown variable; did you mean TOWPATH_STOMP_MAX_BODY?"),
        ("TOWPATH_JWT_SECRET_FIEL", "unknown variable; did you mean TOWPATH_JWT_SECRET_FILE?"),
        ("TOWPATH_ENDPOINT_PATH", "unknown variable; did you mean TOWPATH_ENDPOINT_1_PATH?"),
        ("TOWPATH_LOGS", "unknown variable; did you mean TOWPATH_LOG?"),
        (
            "TOWPATH_COLOUR",
            "unknown variable; they are made of a table and a key, as in TOWPATH_LISTEN or TOWPATH_STOMP_MAX_BODY",
        ),
        (
            "TOWPATH_ENDPOINT_2_PATH",
            "sets `path` in [[endpoint]] 2, and there is no such table; write [[endpoint]] into the file: a variable \
             changes only tables that are there",
        ),
        (
            "TOWPATH_USER_1_PASSWORD_HASH_FILE",
            "sets `password_hash` in [[user]] 1, and there is no such table; write [[user]] into the file: a variable \
             changes only tables that are there",
        ),
        (
            "TOWPATH_ENDPOINT_0_PATH",
            "sets `path` in [[endpoint]] 0, and there is no such table; tables are counted from 1, without zeros before \
             the number",
        ),
        ("TOWPATH_ENDPOINT_1_PTH", "unknown variable; did you mean TOWPATH_ENDPOINT_1_PATH?"),
    ] {
        assert_eq!(refused(None, &[(name, "hidden")]), format!("{name}: {expected}"));
    }
    let path = file("environment-history.toml", "[[destination]]\npattern = \"/topic/a\"\n");
    assert_eq!(
        refused(Some(&path), &[("TOWPATH_DESTINATION_1_HISTORY_AGE", "1h")]),
        "TOWPATH_DESTINATION_1_HISTORY_AGE: `history.age` in [[destination]] 1 is for a table inside that is left out; \
         write that table into the file"
    );
}

/// A service of that name is the most natural one to have, and its variables are not ours.
#[test]
fn what_kubernetes_sets_for_a_service_is_let_pass() {
    let of_the_service = [
        ("TOWPATH_SERVICE_HOST", "10.0.0.1"),
        ("TOWPATH_SERVICE_PORT", "80"),
        ("TOWPATH_SERVICE_PORT_HTTP", "80"),
        ("TOWPATH_PORT", "tcp://10.0.0.1:80"),
        ("TOWPATH_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("TOWPATH_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("TOWPATH_API_SERVICE_HOST", "10.0.0.2"),
        ("TOWPATH_API_PORT", "tcp://10.0.0.2:80"),
    ];
    assert_eq!(without_file(&of_the_service), Config::default());
    // By itself it is what somebody would try who wants another port.
    assert!(refused(None, &[("TOWPATH_PORT", "80")]).starts_with("TOWPATH_PORT: unknown variable; "));
    let mut with_a_slip = of_the_service.to_vec();
    with_a_slip.push(("TOWPATH_PORTAL", "x"));
    assert!(refused(None, &with_a_slip).starts_with("TOWPATH_PORTAL: unknown variable; "));
}

#[test]
fn problems_of_file_and_environment_are_shown_together() {
    let path = file("environment-both.toml", "\nlitsen = \"127.0.0.1:1\"\n");
    let error = Config::load_with(Some(&path), variables(&[("TOWPATH_B", ""), ("TOWPATH_STOMP_MAX_BODY", "x")]));
    let Err(ConfigError::Invalid(problems)) = error else { panic!("{error:?}") };
    let shown: Vec<_> = problems.iter().map(|problem| (problem.file.as_deref().unwrap(), problem.line)).collect();
    let path = path.to_str().unwrap();
    assert_eq!(shown, [("TOWPATH_STOMP_MAX_BODY", None), ("TOWPATH_B", None), (path, Some(2))]);
}

/// A fault between two settings is shown at the one that somebody wrote.
#[test]
fn a_fault_between_two_settings_names_the_variable_it_comes_from() {
    let message = refused(None, &[("TOWPATH_STOMP_MAX_BODY", "1500KiB")]);
    assert!(message.starts_with("TOWPATH_STOMP_MAX_BODY: `max_frame` in [stomp] is 1088KiB, less than "), "{message}");
}
