//! Configurations by chance, and the files that say the same.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use towpath::config::{
    Action, Algorithm, AllowedOrigins, App, Config, Destination, Endpoint, Errors, Guarded, History, Overflow, Place,
    Queue, QueueFull, Rule, SameSite, Service, Transport, Transports, Who,
};

/// The file that says what `config` says. It leaves out what a destination inherits, what is not for its kind, and the settings
/// of what there is not.
pub fn as_toml(config: &Config) -> String {
    let mut text = String::new();
    let mut place = Place::Top;
    for setting in config.describe() {
        if setting.place != place {
            place = setting.place;
            text.push_str(&format!("\n{}\n", place.header()));
        }
        if let Place::Destination(index) = place {
            let is_queue = config.destinations[index].pattern.starts_with("/queue/");
            let for_queues = setting.key.contains("queue") || ["max_deliveries", "dead_letter"].contains(&setting.key);
            if setting.key != "pattern" && for_queues != is_queue {
                continue;
            }
        }
        // Without these, their other keys are of no use and refused.
        let useless = match place {
            Place::Api => config.api.token.is_none(),
            Place::Jwt => !config.jwt.is_set(),
            Place::Endpoint(index) => setting.key.starts_with("bridge") && config.endpoints[index].bridge.is_none(),
            _ => false,
        };
        if let Some(value) = setting.value.filter(|_| !useless) {
            text.push_str(&format!("{} = {value}\n", setting.key));
        }
    }
    text
}

/// Valid configurations that differ in every kind of setting.
pub fn configs() -> impl Strategy<Value = Config> {
    let top = (any::<u16>(), 0..60_000u64, any::<bool>(), prop::option::of("/[a-z]{1,8}/metrics"));
    let limits = (8192..1_000_000usize, 1..1_000_000usize, 1..=100u32, 10..86_400_000u64);
    let tcp = prop::option::of((any::<[u8; 4]>(), 0..1u16).prop_map(Into::into));
    let endpoints = prop::collection::btree_map("/[a-z]{1,6}-[0-9a-z]{1,6}", endpoints(), 1..4);
    let destinations = prop::collection::btree_map("/[a-z]{1,6}", destinations(), 0..4);
    (top, limits, tcp, endpoints, queues(), (destinations, applications())).prop_map(
        |(
            (port, grace, landing_page, metrics_path),
            (buffer, count, small, millis),
            listen,
            endpoints,
            queue,
            (destinations, application),
        )| {
            let mut config = Config { landing_page, metrics_path, ..application };
            config.listen.set_port(port);
            config.shutdown_grace = Duration::from_millis(if grace < 10 { 0 } else { grace });
            config.http.buffer = buffer;
            config.http.max_connections = count;
            config.tcp.listen = listen;
            config.stomp.heart_beat_grace = small;
            config.stomp.heart_beat_send = Duration::from_millis(millis);
            config.broker.queue = queue;
            config.endpoints = endpoints.into_iter().map(|(path, endpoint)| Endpoint { path, ..endpoint }).collect();
            config.destinations = destinations
                .into_iter()
                .map(|(name, destination)| {
                    let pattern = destination.pattern.replacen("/NAME", &name, 1);
                    // What a queue is told is of no use to a topic, and a file cannot tell a topic.
                    let is_queue = pattern.starts_with("/queue/");
                    let queue = if is_queue { destination.queue } else { config.broker.queue.clone() };
                    Destination { pattern, queue, ..destination }
                })
                .collect();
            config
        },
    )
}

/// Backends, rules and how to prove who one is; without secrets, which cannot be described.
fn applications() -> impl Strategy<Value = Config> {
    let errors = prop::sample::select(Errors::ALL.to_vec());
    let apps = prop::collection::btree_map("[a-z]{1,6}(/\\{[a-z_0-9]{1,5}\\})?", "[a-z/]{0,8}", 0..4);
    let keys = prop::option::of((
        "[a-z]{1,8}(/[a-z ]{0,5}x)?\\.json",
        prop::sample::subsequence(vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa], 0..=3),
        prop::collection::vec("[a-z\"]{1,5}", 0..3),
    ));
    let rules = prop::collection::btree_map("[a-z]{1,6}([./]\\*)?([./]x\\{[a-z]{1,3}\\})?", rules(), 0..4);
    let webhook = prop::option::of("https?://[a-z]{1,9}(:8[0-9]{3})?(/[a-z?=&]{0,9})?");
    (errors, apps, keys, rules, webhook, any::<bool>())
        .prop_map(|(errors, apps, keys, rules, webhook, anonymous)| {
            let mut config = Config::default();
            config.application.errors = errors;
            let app = |(name, path): (String, String)| App {
                destination: format!("/app/{name}"),
                url: format!("http://127.0.0.1/{path}"),
            };
            config.apps = apps.into_iter().map(app).collect();
            if let Some((keys, algorithms, audience)) = keys {
                config.jwt.keys = Some(keys);
                config.jwt.algorithms = algorithms;
                config.jwt.audience = audience;
            }
            config.auth.anonymous = anonymous || (config.jwt.keys.is_none() && webhook.is_none());
            config.auth.webhook = webhook;
            if !rules.is_empty() {
                config.rules.push(Rule { commands: vec![Guarded::Connect], ..Rule::default() });
            }
            let rule = |(name, rule): (String, Rule)| Rule { destination: Some(format!("/topic/{name}")), ..rule };
            config.rules.extend(rules.into_iter().map(rule));
            config
        })
        .prop_filter("no table takes everything from another", |config| config.validate().is_ok())
}

fn rules() -> impl Strategy<Value = Rule> {
    let action = prop::sample::select(Action::ALL.to_vec());
    let commands = prop::sample::subsequence(vec![Guarded::Send, Guarded::Subscribe], 0..=2);
    let who = prop::sample::select(vec![Who::Anyone, Who::Users]);
    let users = prop::collection::vec("[a-z\"]{1,5}", 0..3);
    (action, commands, who, users, prop::option::of("[a-z]{1,3}=[a-z= ]{1,5}")).prop_map(
        |(action, commands, who, users, claim)| Rule { action, commands, destination: None, who, users, claim },
    )
}

fn destinations() -> impl Strategy<Value = Destination> {
    let conflate_by = prop::option::of("x[a-z\"'.-]{1,8}");
    let conflating = (prop::sample::select(Overflow::ALL.to_vec()), conflate_by)
        .prop_map(|(overflow, header)| (overflow, header.filter(|_| overflow == Overflow::Conflate)));
    let history = prop::option::of((1..=10_000usize, 10..86_400_000u64))
        .prop_map(|history| history.map(|(count, millis)| History { count, age: Duration::from_millis(millis) }));
    let kind = prop::sample::select(vec!["/topic/NAME", "/queue/NAME.*", "/user/NAME/**"]);
    (kind, conflating, history, queues()).prop_map(|(kind, (overflow, conflate_by), history, queue)| {
        let is_queue = kind.starts_with("/queue/");
        Destination {
            pattern: kind.to_owned(),
            overflow: if is_queue { Overflow::Close } else { overflow },
            conflate_by: conflate_by.filter(|_| !is_queue),
            history: history.filter(|_| kind.starts_with("/topic/")),
            queue,
        }
    })
}

fn queues() -> impl Strategy<Value = Queue> {
    let ttl = prop_oneof![Just(0), 10..86_400_000u64].prop_map(Duration::from_millis);
    let dead_letter = prop::option::of("/(queue|topic)/dead[a-z \"]{0,6}[a-z]");
    let full = prop::sample::select(QueueFull::ALL.to_vec());
    (1..1_000_000usize, 1..200_000_000usize, full, ttl, 1..=10_000u32, dead_letter).prop_map(
        |(messages, bytes, full, ttl, max_deliveries, dead_letter)| Queue {
            messages,
            bytes,
            full,
            ttl,
            max_deliveries,
            dead_letter,
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
            bridge: (service == Service::Bridge).then(|| "ws://127.0.0.1:9000/".to_owned()),
            client_url,
            heartbeat: Duration::from_millis(millis),
            ..Endpoint::default()
        })
}
