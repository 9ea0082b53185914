//! The gateway's configuration: one TOML file, every key optional, every default with its reason.
//!
//! The structs here are what the rest of the gateway reads. They are filled from defaults, then from a file
//! ([`Config::from_toml`]), then from variables of the environment ([`Config::load_with`]), then perhaps by the command line,
//! and [`Config::validate`] has the last word. Each section
//! lists its keys exactly once, in a `settings` method: the reader, the error messages and the test that compares
//! `docs/configuration.md` with the code all walk that one list, so none of them can drift from the others.
//!
//! Does not know: any other module of the gateway, the command line, sockets, the clock.

mod access_rules;
mod api;
mod api_rules;
mod application;
mod application_rules;
mod auth;
mod auth_rules;
mod broker;
mod destination;
mod destination_rules;
mod endpoint;
mod environment;
mod error;
mod origins;
mod patterns;
mod reader;
mod secret;
mod session;
mod settings;
mod sources;
pub(crate) mod steps;
mod suggest;
mod tcp;
mod transports;
mod units;
mod validate;
mod values;
mod web;

pub use api::Api;
pub use application::{App, Application, Errors, Webhook};
pub use auth::{Action, Algorithm, Auth, Guarded, Jwt, Rule, User, Who};
pub use broker::{Broker, Queue, QueueFull, SendToUsers, UnknownUser};
pub use destination::{Destination, History, Overflow};
pub use endpoint::{Endpoint, SameSite, Service};
pub use error::{ConfigError, Problem};
pub use origins::AllowedOrigins;
pub use secret::Secret;
pub use session::Session;
pub use settings::{Described, Place};
pub use sources::{Source, Sources};
pub use tcp::Tcp;
pub use transports::{Transport, Transports};

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use environment::Environment;
use settings::Setting;

/// Everything a gateway can be told. [`Config::default`] is a gateway that works on a developer's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Address and port to listen on. Default `127.0.0.1:8080`: a gateway started to try it out is not reachable from
    /// the network; whoever wants that says so. Port 0 lets the system choose, and the real address is printed.
    pub listen: SocketAddr,
    /// Limits of the HTTP server, below every transport.
    pub http: Http,
    /// The port for STOMP over plain TCP. Default: there is none.
    pub tcp: Tcp,
    /// Limits and promises of the STOMP protocol on the TCP port and every endpoint whose service is `stomp`.
    pub stomp: Stomp,
    /// Limits of the embedded broker.
    pub broker: Broker,
    /// What goes to the application and not to the broker.
    pub application: Application,
    /// Backends that answer for application destinations over HTTP, one for each `[[app]]`; the first that fits is asked.
    pub apps: Vec<App>,
    /// What calls of backends have in common.
    pub webhook: Webhook,
    /// How clients prove who they are.
    pub auth: Auth,
    /// Tokens as such a proof.
    pub jwt: Jwt,
    /// Users with passwords, one for each `[[user]]`.
    pub users: Vec<User>,
    /// Who may do what, in order, one for each `[[rule]]`. Default: there is none, and everybody may do everything.
    pub rules: Vec<Rule>,
    /// The HTTP API for backends.
    pub api: Api,
    /// The SockJS endpoints, one for each `[[endpoint]]` table. Default: one STOMP endpoint at `/stomp`. As soon as a
    /// file has one `[[endpoint]]`, only what it lists exists.
    pub endpoints: Vec<Endpoint>,
    /// What is special about some destinations, one for each `[[destination]]` table; the first whose pattern fits
    /// counts. Default: none is special.
    pub destinations: Vec<Destination>,
    /// Path at which Prometheus metrics are served, on the same port. Default: none, because the numbers tell a stranger
    /// more than he should know and the port is usually public.
    pub metrics_path: Option<String>,
    /// How long a stopping gateway waits for its sessions to drain before it cuts them. Default 5 s: enough for every queue
    /// to reach a reading client, and inside the 10 s that Docker waits before it kills. Zero cuts them at once.
    pub shutdown_grace: Duration,
    /// Whether `/` shows the landing page. Default true: it is what a newcomer opens first.
    pub landing_page: bool,
}

/// Limits of the HTTP server: what one peer, known or not, may cost before any protocol is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Connections open at once; later ones are turned away. Default 20000: at about 30 kB for a parked
    /// streaming connection that is 600 MB. Each is an open file, so the process's limit on those must be as high.
    pub max_connections: usize,
    /// Time for a whole request head to arrive; also how long an idle kept-alive connection stays open. Default 30 s: longer
    /// than any honest client needs on a bad link, short enough that silent connections do not pile up.
    pub header_timeout: Duration,
    /// Time for a whole request body to arrive, counted from the end of its head. Default 30 s, as for the head: hyper
    /// by itself waits for ever on half a body.
    pub body_timeout: Duration,
    /// How long a peer may take nothing of what is being written to it, on any transport. Default 30 s: a phone in a tunnel
    /// comes back within it, and a peer that never reads would hold its connection for as long as it likes.
    pub write_timeout: Duration,
    /// Largest request head in bytes, and so the largest read buffer of an HTTP connection. Default 64 KiB: room for big
    /// cookies; a larger head is answered 431.
    pub buffer: usize,
}

/// Limits and promises of STOMP connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stomp {
    /// Heart-beat interval the gateway offers to send (STOMP 1.2, Heart-beating: the first number of its `heart-beat`).
    /// Default 10 s: what stompjs asks for, and well below the 60 s after which nginx cuts a silent connection. Zero offers none.
    pub heart_beat_send: Duration,
    /// Heart-beat interval the gateway wants to receive (STOMP 1.2, Heart-beating: the second number). Default 10 s, as
    /// for sending: it tells a vanished client from a quiet one. Zero wants none.
    pub heart_beat_receive: Duration,
    /// How many negotiated intervals may pass without a byte from the client before it counts as gone. Default 3: polling
    /// transports deliver late, and one lost beat is no proof.
    pub heart_beat_grace: u32,
    /// Time from the opening of a session to a complete CONNECT or STOMP frame. Default 10 s: a client connects at once, and
    /// a session that never does only holds memory.
    pub connect_timeout: Duration,
    /// Time from the first byte of a frame to its last. Default 60 s: a megabyte over a slow mobile line arrives in it, and a
    /// half frame that nobody finishes only holds memory.
    pub frame_timeout: Duration,
    /// Headers one frame may carry. Default 100: ordinary frames have fewer than ten; a limit on a line alone would leave
    /// their number open.
    pub max_headers: usize,
    /// Longest header line in bytes, name, colon and value together. Default 8 KiB: a bearer token in CONNECT fits.
    pub max_header_line: usize,
    /// Largest body of one frame in bytes. Default 1 MiB: a fan-out holds one copy for as long as its slowest subscriber.
    pub max_body: usize,
    /// Largest frame in bytes, command, headers and body together; at least `max_body`. Default 1 MiB + 64 KiB (`1088KiB`): a
    /// body of the largest size with generous headers; limits on the pieces do not limit the sum.
    pub max_frame: usize,
    /// Subscriptions one session may hold. Default 1000: far above any page's need, and each is a slot in the broker.
    pub max_subscriptions: usize,
    /// Transactions one session may have open at once (STOMP 1.2, BEGIN). Default 16: most clients have one, and each that
    /// is never finished holds memory.
    pub max_transactions: usize,
    /// Frames, that is SEND, ACK and NACK, which all open transactions of one session may hold. Default 1000: a whole
    /// prefetch of messages can be acknowledged in one transaction.
    pub max_transaction_frames: usize,
    /// Bytes which all open transactions of one session may hold. Default 4 MiB: three messages of the largest size, and ACKs
    /// without end.
    pub max_transaction_bytes: usize,
    /// Longest `selector` of a subscription in bytes. Default 1 KiB: what people write by hand is shorter, and it is evaluated
    /// for every message.
    pub max_selector: usize,
    /// Bytes that may wait of one client that is held up because it sends faster than its messages can be passed on. Default
    /// 8 MiB: twice the largest payload of a SockJS request; a transport that keeps to the pause brings no more than one.
    pub max_backlog: usize,
}

impl Config {
    /// Reads a configuration from TOML and validates it. `file_name` is only for messages.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Syntax`] if the text is not TOML, otherwise [`ConfigError::Invalid`] with every problem found, each with
    /// its line.
    pub fn from_toml(text: &str, file_name: &str) -> Result<Config, ConfigError> {
        let (config, _) = Config::read(text, Some(file_name), Environment::default())?;
        Ok(config)
    }

    /// Reads and validates the configuration file at `path`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Unreadable`] if there is no such file or its bytes are not UTF-8; otherwise as [`Config::from_toml`].
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        Config::load_with(Some(path), [])
    }

    /// The same with what the environment says, which wins over the file: `TOWPATH_LISTEN`, `TOWPATH_STOMP_MAX_BODY`,
    /// `TOWPATH_ENDPOINT_1_PATH`; a text without quotes, a list with commas and without brackets. With `_FILE` behind its name a
    /// variable names a file whose first line is the value, for secrets only. Without a path there is no file.
    ///
    /// The whole environment may be given; variables that do not begin with `TOWPATH_` are left alone.
    ///
    /// # Errors
    ///
    /// As [`Config::load`]. A variable that sets nothing is a problem, too; problems from variables have the variable's name
    /// in place of the file's.
    pub fn load_with(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Config, ConfigError> {
        Config::load_with_sources(path, environment).map(|(config, _)| config)
    }

    /// The same, and where each value comes from.
    ///
    /// # Errors
    ///
    /// As [`Config::load_with`].
    pub fn load_with_sources(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Config, Sources), ConfigError> {
        let file = path.map(|path| path.display().to_string());
        let text = match path {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { file: path.display().to_string(), source })?,
            None => String::new(),
        };
        Config::read(&text, file.as_deref(), Environment::new(environment))
    }

    fn read(text: &str, file: Option<&str>, environment: Environment) -> Result<(Config, Sources), ConfigError> {
        let (config, sources) = reader::read(text, file, environment)?;
        let mut problems: Vec<Problem> = validate::problems(&config, &|place, key| sources.has(place, key))
            .into_iter()
            .map(|mut found| {
                sources.locate(&mut found.problem, &found.related, file);
                found.problem
            })
            .collect();
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok((config, sources)) } else { Err(ConfigError::Invalid(problems)) }
    }

    /// Appends the endpoints that SockJS conformance tests ask for (SockJS protocol, the suite's services), and `/farewell`.
    ///
    /// All of them allow every origin; only `/echo` has the suite's response limit of 4096 bytes. `client_url`, if given, is
    /// the script of their iframe pages. Call [`Config::validate`] afterwards: the file may have taken one of the paths.
    pub fn add_test_services(&mut self, client_url: Option<&str>) {
        let service = |path: &str, service: Service| {
            let mut endpoint = Endpoint {
                path: path.to_owned(),
                service,
                allowed_origins: AllowedOrigins::Any,
                ..Endpoint::default()
            };
            if let Some(url) = client_url {
                endpoint.client_url = url.to_owned();
            }
            endpoint
        };
        let without_websocket = Transport::ALL
            .into_iter()
            .filter(|transport| !matches!(transport, Transport::Websocket | Transport::RawWebsocket))
            .collect();
        self.endpoints.extend([
            Endpoint { response_limit: 4096, ..service("/echo", Service::Echo) },
            Endpoint {
                transports: Transports::Only(without_websocket),
                ..service("/disabled_websocket_echo", Service::Echo)
            },
            Endpoint { cookie: true, ..service("/cookie_needed_echo", Service::Echo) },
            service("/close", Service::Close),
            service("/amplify", Service::Amplify),
            service("/ticker", Service::Ticker),
            service("/broadcast", Service::Broadcast),
            service("/farewell", Service::Farewell),
        ]);
    }

    /// Checks every rule that [`Config::from_toml`] checks, for configurations made or changed by a program.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] with every problem found, without file and line.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let nothing_is_written = |_, _: &str| false;
        let found = validate::problems(self, &nothing_is_written);
        let problems: Vec<Problem> = found.into_iter().map(|found| found.problem).collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(problems)) }
    }

    /// Whether there is anything by which clients can prove who they are. Without it, they are whom they say.
    pub fn proves_users(&self) -> bool {
        !self.users.is_empty() || self.jwt.is_set() || self.auth.webhook.is_some() || !self.auth.anonymous
    }

    /// Every setting of every table with its present value, in the order of the documents.
    pub fn describe(&self) -> Vec<Described> {
        let mut copy = self.clone();
        let sections = copy.sections();
        sections.iter().flat_map(|(place, settings)| settings.iter().map(|setting| setting.describe(*place))).collect()
    }

    /// The defaults, with one table of every kind, for whoever wants to know all keys.
    pub fn with_one_of_each_table() -> Config {
        Config {
            apps: vec![App::default()],
            users: vec![User::default()],
            rules: vec![Rule::default()],
            destinations: vec![Destination::default()],
            ..Config::default()
        }
    }

    /// The settings of every table, in the order of the documents.
    fn sections(&mut self) -> Vec<(Place, Vec<Setting<'_>>)> {
        let top = vec![
            Setting::address("listen", &mut self.listen),
            Setting::duration_or_zero("shutdown_grace", &mut self.shutdown_grace),
            Setting::flag("landing_page", &mut self.landing_page),
            Setting::optional_text("metrics_path", &mut self.metrics_path),
        ];
        let mut sections = vec![
            (Place::Top, top),
            (Place::Http, self.http.settings()),
            (Place::Tcp, self.tcp.settings()),
            (Place::Stomp, self.stomp.settings()),
            (Place::Broker, self.broker.settings()),
            (Place::Application, self.application.settings()),
            (Place::Webhook, self.webhook.settings()),
            (Place::Auth, self.auth.settings()),
            (Place::Jwt, self.jwt.settings()),
            (Place::Api, self.api.settings()),
        ];
        for (index, endpoint) in self.endpoints.iter_mut().enumerate() {
            sections.push((Place::Endpoint(index), endpoint.settings()));
        }
        for (index, app) in self.apps.iter_mut().enumerate() {
            sections.push((Place::App(index), app.settings()));
        }
        for (index, user) in self.users.iter_mut().enumerate() {
            sections.push((Place::User(index), user.settings()));
        }
        for (index, rule) in self.rules.iter_mut().enumerate() {
            sections.push((Place::Rule(index), rule.settings()));
        }
        sections.extend(destination_sections(&mut self.destinations));
        sections
    }
}

fn destination_sections(destinations: &mut [Destination]) -> impl Iterator<Item = (Place, Vec<Setting<'_>>)> {
    let numbered = destinations.iter_mut().enumerate();
    numbered.map(|(index, destination)| (Place::Destination(index), destination.settings()))
}

impl Http {
    fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::count("max_connections", &mut self.max_connections),
            Setting::duration("header_timeout", &mut self.header_timeout),
            Setting::duration("body_timeout", &mut self.body_timeout),
            Setting::duration("write_timeout", &mut self.write_timeout),
            // hyper panics below 8 KiB.
            Setting::size_from("buffer", &mut self.buffer, 8 * units::KIB),
        ]
    }
}

impl Stomp {
    fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::duration_or_zero("heart_beat_send", &mut self.heart_beat_send),
            Setting::duration_or_zero("heart_beat_receive", &mut self.heart_beat_receive),
            Setting::small_count("heart_beat_grace", &mut self.heart_beat_grace, 1..=100),
            Setting::duration("connect_timeout", &mut self.connect_timeout),
            Setting::duration("frame_timeout", &mut self.frame_timeout),
            Setting::count("max_headers", &mut self.max_headers),
            Setting::size("max_header_line", &mut self.max_header_line),
            Setting::size("max_body", &mut self.max_body),
            Setting::size("max_frame", &mut self.max_frame),
            Setting::count("max_subscriptions", &mut self.max_subscriptions),
            Setting::count("max_transactions", &mut self.max_transactions),
            Setting::count("max_transaction_frames", &mut self.max_transaction_frames),
            Setting::size("max_transaction_bytes", &mut self.max_transaction_bytes),
            Setting::size("max_selector", &mut self.max_selector),
            Setting::size("max_backlog", &mut self.max_backlog),
        ]
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            http: Http::default(),
            tcp: Tcp::default(),
            stomp: Stomp::default(),
            broker: Broker::default(),
            application: Application::default(),
            apps: Vec::new(),
            webhook: Webhook::default(),
            auth: Auth::default(),
            jwt: Jwt::default(),
            users: Vec::new(),
            rules: Vec::new(),
            api: Api::default(),
            endpoints: vec![Endpoint::default()],
            destinations: Vec::new(),
            metrics_path: None,
            shutdown_grace: Duration::from_secs(5),
            landing_page: true,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Http {
            max_connections: 20_000,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            buffer: 64 * units::KIB,
        }
    }
}

impl Default for Stomp {
    fn default() -> Self {
        Stomp {
            heart_beat_send: Duration::from_secs(10),
            heart_beat_receive: Duration::from_secs(10),
            heart_beat_grace: 3,
            connect_timeout: Duration::from_secs(10),
            frame_timeout: Duration::from_secs(60),
            max_headers: 100,
            max_header_line: 8 * units::KIB,
            max_body: units::MIB,
            max_frame: units::MIB + 64 * units::KIB,
            max_subscriptions: 1000,
            max_transactions: 16,
            max_transaction_frames: 1000,
            max_transaction_bytes: 4 * units::MIB,
            max_selector: units::KIB,
            max_backlog: 8 * units::MIB,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The field names that a pretty Debug output shows, one a line; only the outermost struct's.
    fn field_names(shown: &impl std::fmt::Debug) -> BTreeSet<String> {
        let shown = format!("{shown:#?}");
        let own =
            shown.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| !line.starts_with([' ', '}']));
        own.filter_map(|line| line.split_once(": ")).map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn every_field_is_a_setting() {
        let destination = Destination { history: Some(History::new(1)), ..Destination::default() };
        let config = Config { destinations: vec![destination], ..Config::with_one_of_each_table() };
        let without = |mut fields: BTreeSet<String>, inner: &[&str]| {
            assert!(inner.iter().all(|field| fields.remove(*field)), "{inner:?} in {fields:?}");
            fields
        };
        // In the file a queue's fields stand beside those of its section, most of them with its name before them.
        let in_queue = field_names(&config.broker.queue).into_iter().map(|field| match field.as_str() {
            "max_deliveries" | "dead_letter" => field,
            _ => format!("queue_{field}"),
        });
        let in_queue: BTreeSet<String> = in_queue.collect();
        let in_history = field_names(&config.destinations[0].history.as_ref().expect("set above"));
        let in_history: BTreeSet<String> = in_history.into_iter().map(|field| format!("history.{field}")).collect();
        let tables = ["http", "tcp", "stomp", "broker", "application", "webhook", "auth", "jwt", "api"];
        let lists = ["endpoints", "apps", "users", "rules", "destinations"];
        for (place, fields) in [
            (Place::Top, without(without(field_names(&config), &tables), &lists)),
            (Place::Http, field_names(&config.http)),
            (Place::Tcp, field_names(&config.tcp)),
            (Place::Stomp, field_names(&config.stomp)),
            (Place::Broker, &without(field_names(&config.broker), &["queue"]) | &in_queue),
            (Place::Application, field_names(&config.application)),
            (Place::Webhook, field_names(&config.webhook)),
            (Place::Auth, field_names(&config.auth)),
            (Place::Jwt, field_names(&config.jwt)),
            (Place::Api, field_names(&config.api)),
            (Place::Endpoint(0), field_names(&config.endpoints[0])),
            (Place::App(0), field_names(&config.apps[0])),
            (Place::User(0), field_names(&config.users[0])),
            (Place::Rule(0), field_names(&config.rules[0])),
            (
                Place::Destination(0),
                &(&without(field_names(&config.destinations[0]), &["history", "queue"]) | &in_history) | &in_queue,
            ),
        ] {
            let settings = config.describe().into_iter().filter(|setting| setting.place == place);
            assert_eq!(settings.map(|setting| setting.key.to_owned()).collect::<BTreeSet<_>>(), fields, "{place}");
        }
    }

    #[test]
    fn a_fault_between_two_settings_shows_the_line_that_the_file_has() {
        // `max_frame` is at fault, but only `max_body` stands in the file.
        let error = Config::from_toml("\n[stomp]\n\nmax_body = \"1500KiB\"\n", "some.toml");
        let Err(ConfigError::Invalid(problems)) = error else { panic!("{error:?}") };
        let lines: Vec<_> = problems.iter().map(|problem| (problem.key.as_str(), problem.line)).collect();
        assert_eq!(lines, [("max_frame", Some(4))]);
    }
}
