//! docs/openapi.yaml against the API as it is. The code is asked for everything that the description says: which paths and
//! methods there are, what fields a body may have, what an answer has, and which statuses come. And the other way round:
//! nothing comes that is not described. Then random requests: whatever comes, the answer is a described one, and what is refused
//! publishes nothing.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::metrics::Meter;
use support::stomp::Stomp;
use support::{Client, Gateway, Request, Transport};
use towpath::config::{Config, Secret};
use towpath::http::Api;
use towpath::stomp::{Command, Frame, Version};

const TOKEN: &str = "0123456789abcdef";

/// Statuses that no test can bring about from outside: two threads must meet in the same microsecond. The unit tests of
/// src/http/api/idempotency.rs have them.
const UNSEEN: [&str; 1] = ["409"];

struct Description(Value);

impl Description {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.yaml");
        Self(serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).expect("the description is YAML"))
    }

    /// What a `$ref` points to, or the thing itself.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let found = self.0.pointer(reference.strip_prefix('#').expect("it points into the file"));
        self.resolve(found.unwrap_or_else(|| panic!("{reference} points to nothing")))
    }

    /// Each operation: path, method in capitals, and what is said of it.
    fn operations(&self) -> Vec<(&str, String, &Value)> {
        let paths = self.0["paths"].as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().iter();
                methods.map(move |(method, operation)| (path.as_str(), method.to_uppercase(), operation))
            })
            .collect()
    }

    fn statuses(&self, operation: &Value) -> BTreeSet<String> {
        operation["responses"].as_object().unwrap().keys().cloned().collect()
    }

    /// Whether a value has the form that a schema describes. The keywords that the description uses are known here, others
    /// fail the test.
    fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = self.resolve(schema);
        for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
            let well = match keyword.as_str() {
                "type" => wanted.as_array().map_or(vec![wanted], |types| types.iter().collect()).iter().any(|one| {
                    match one.as_str().unwrap() {
                        "object" => value.is_object(),
                        "array" => value.is_array(),
                        "string" => value.is_string(),
                        "integer" => value.is_u64() || value.is_i64(),
                        "boolean" => value.is_boolean(),
                        "null" => value.is_null(),
                        other => panic!("type {other}"),
                    }
                }),
                "const" => value == wanted,
                "required" => wanted.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
                "properties" => {
                    for (name, value) in value.as_object().into_iter().flatten() {
                        let schema = wanted.get(name).ok_or_else(|| format!("{name} is not described"))?;
                        self.check(schema, value)?;
                    }
                    true
                }
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        self.check(wanted, item)?;
                    }
                    true
                }
                "oneOf" => wanted.as_array().unwrap().iter().filter(|one| self.check(one, value).is_ok()).count() == 1,
                "description" | "additionalProperties" => true,
                other => panic!("keyword {other}"),
            };
            if !well {
                return Err(format!("{value} breaks {keyword}: {wanted}"));
            }
        }
        Ok(())
    }

    /// Whether an answer is one that is described.
    fn check_answer(&self, operation: &Value, status: u16, body: &Value) -> Result<(), String> {
        let response = &operation["responses"][status.to_string()];
        if response.is_null() {
            return Err(format!("status {status} is not described: {body}"));
        }
        self.check(&self.resolve(response)["content"]["application/json"]["schema"], body)
    }

    /// The objects that may be a body of the operation: their names in the order of the description.
    fn bodies(&self, operation: &Value) -> Vec<BTreeSet<String>> {
        let schema = self.resolve(&operation["requestBody"]["content"]["application/json"]["schema"]);
        let one = [schema.clone()];
        let all = schema["oneOf"].as_array().map_or(&one[..], Vec::as_slice);
        let objects = all.iter().map(|schema| self.resolve(schema)).filter(|schema| schema["type"] == "object");
        objects.map(|schema| schema["properties"].as_object().unwrap().keys().cloned().collect()).collect()
    }
}

fn config() -> Config {
    let mut config = Config::default();
    config.api.token = Some(Secret::new(TOKEN));
    config.api.max_body = 4096;
    config.api.max_batch = 5;
    config.broker.queue.messages = 2;
    config.auth.max_tickets = 3;
    config
}

fn request(method: &str, target: &str) -> Request {
    Request::new(method, format!("/api{target}")).header("Authorization", &format!("Bearer {TOKEN}"))
}

fn post(target: &str, body: &str) -> Request {
    request("POST", target).header("Content-Type", "application/json").body(body.to_owned())
}

#[test]
fn every_reference_points_to_something_and_everything_is_used() {
    let description = Description::read();
    assert_eq!(description.0["openapi"], "3.1.0");
    let mut used = BTreeSet::new();
    let mut left = vec![&description.0];
    while let Some(value) = left.pop() {
        if let Some(reference) = value["$ref"].as_str() {
            description.resolve(value);
            used.insert(reference.to_owned());
        }
        left.extend(value.as_object().into_iter().flat_map(|map| map.values()));
        left.extend(value.as_array().into_iter().flatten());
    }
    for kind in ["schemas", "responses", "parameters", "headers"] {
        for name in description.0["components"][kind].as_object().unwrap().keys() {
            assert!(used.contains(&format!("#/components/{kind}/{name}")), "nothing uses {kind}/{name}");
        }
    }
    assert_eq!(
        description.0["servers"][0]["url"],
        format!("http://{}{}", Config::default().listen, Config::default().api.path)
    );
}

#[tokio::test(start_paused = true)]
async fn paths_and_methods_are_those_of_the_code() {
    let (description, gateway) = (Description::read(), Gateway::in_memory(config()).await);
    let mut described: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in description.operations() {
        described.entry(path).or_default().insert(method);
    }
    for (path, mut methods) in described {
        let answer = gateway.request(request("PATCH", path)).await;
        let allowed = answer.header("Allow").unwrap_or_else(|| panic!("{path} is not there")).split(", ");
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        assert_eq!(allowed.map(str::to_owned).collect::<BTreeSet<_>>(), methods, "{path}");
    }
    // The code's own table has no more than that.
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/api/mod.rs")).unwrap();
    assert_eq!(source.matches("Call { path: \"").count(), description.operations().len());
}

/// What serde expects in the place of an unknown field, or of an unknown parameter.
#[tokio::test(start_paused = true)]
async fn fields_and_parameters_are_those_of_the_code() {
    let (description, gateway) = (Description::read(), Gateway::in_memory(config()).await);
    let expected = async |request: Request| -> BTreeSet<String> {
        let answer = gateway.request(request).await;
        assert_eq!(answer.status, 422);
        let body: Value = serde_json::from_slice(&answer.body()).unwrap();
        let message = body["error"]["message"].as_str().unwrap().to_owned();
        let expected = message.split_once("expected ").unwrap_or_else(|| panic!("{message}")).1;
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    for (path, method, operation) in description.operations() {
        if method == "GET" {
            let parameters = operation["parameters"].as_array().unwrap().iter();
            let described: BTreeSet<_> =
                parameters.map(|one| description.resolve(one)["name"].as_str().unwrap().to_owned()).collect();
            assert_eq!(expected(request("GET", &format!("{path}?zz="))).await, described, "{path}");
            continue;
        }
        let described = description.bodies(operation);
        assert!(!described.is_empty(), "{path}");
        let alone = expected(post(path, r#"{"zz":1}"#)).await;
        let batch =
            if path == "/publish" { Some(expected(post(path, r#"{"messages":[],"zz":1}"#)).await) } else { None };
        let found: Vec<_> = std::iter::once(alone).chain(batch).collect();
        assert_eq!(found, described, "{path}");
    }
}

/// Brings about every status of every operation, and looks at every answer.
#[tokio::test(start_paused = true)]
async fn statuses_and_answers_are_those_of_the_code() {
    let (description, gateway) = (Description::read(), Gateway::in_memory(config()).await);
    // Somebody of every kind is there.
    let mut ann = Stomp::over(Client::open(&gateway, Transport::Websocket, "/stomp", "a").await).await;
    ann.send(&Frame::new(Command::Connect).with("accept-version", "1.2").with("host", "x").with("login", "ann")).await;
    ann.expect(Command::Connected).await;
    ann.set_version(Version::V1_2);
    for destination in ["/topic/x", "/topic/*", "/queue/y", "/user/queue/z"] {
        ann.subscribed(destination, destination).await;
    }
    let to = |destination: &str, count: usize| {
        json!(vec![json!({"destination": destination, "body": {}}); count]).to_string()
    };
    let mut requests = vec![
        post("/publish", &to("/topic/x", 1)),
        post("/publish", &to("/queue/full", 3)),
        post("/publish", &to("/nowhere", 1)),
        post("/publish", &to("/topic/x", 6)),
        post("/ticket", r#"{"user":""}"#),
        post("/disconnect", "{}"),
        request("GET", "/sessions"),
        request("GET", "/sessions?limit=1"),
        request("GET", "/sessions?limit=0"),
        request("GET", "/destinations"),
        request("GET", "/destinations?limit=1"),
        request("GET", "/destinations?kind=x"),
    ];
    requests.extend((0..4).map(|_| post("/ticket", r#"{"user":"ann","claims":{"a":1},"expires_in":60}"#)));
    requests.push(post("/disconnect", r#"{"user":"bob"}"#));
    let operations = description.operations();
    for (path, method, _) in &operations {
        requests.push(Request::new(method, format!("/api{path}")));
        requests.push(request("PUT", path));
        if method == "POST" {
            requests.push(request("POST", path).body("{}"));
            requests.push(post(path, "?"));
            requests.push(post(path, &" ".repeat(4097)));
            requests
                .push(request("POST", path).header("Content-Type", "application/json").header("Content-Length", "10"));
        }
    }
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for request in requests {
        let line = String::from_utf8_lossy(&request.to_bytes()).lines().next().unwrap().to_owned();
        let answer = gateway.request(request).await;
        let asked = line.split(' ').nth(1).unwrap().trim_start_matches("/api").split('?').next().unwrap().to_owned();
        let (path, _, operation) = operations.iter().find(|(path, ..)| *path == asked).unwrap();
        let body = serde_json::from_slice(&answer.body()).expect("an answer is JSON");
        description.check_answer(operation, answer.status, &body).unwrap_or_else(|error| panic!("{line}: {error}"));
        let response = description.resolve(&operation["responses"][answer.status.to_string()]);
        for name in response["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
            let here = answer.header(name).is_some();
            assert!(here || name == "Idempotency-Replayed", "{line}: {} has no {name}", answer.status);
        }
        seen.entry(path).or_default().insert(answer.status.to_string());
    }
    for (path, _, operation) in &operations {
        let described = description.statuses(operation);
        let provable: BTreeSet<_> = described.into_iter().filter(|status| !UNSEEN.contains(&status.as_str())).collect();
        assert_eq!(seen[path], provable, "{path}");
    }
}

// ---- random requests ----

/// Values that mean something somewhere.
fn word() -> impl Strategy<Value = String> {
    let known = [
        "/topic/x",
        "/topic/*",
        "/queue/q",
        "/queue/notices",
        "/user/ann/queue/x",
        "/user/ann",
        "/app/x",
        "ann",
        "",
        "a/b",
        "session-0123456789abcdef",
        "aGk=",
        "text/plain",
        "expiration",
        "5",
        "\0",
        "é",
    ];
    prop_oneof![8 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

fn field() -> impl Strategy<Value = String> {
    let known = [
        "destination",
        "user",
        "body",
        "body_base64",
        "headers",
        "content_type",
        "messages",
        "session",
        "code",
        "reason",
        "claims",
        "expires_in",
    ];
    prop_oneof![20 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => word()]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        6 => word().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i32>().prop_map(Value::from),
        1 => (0..70_000).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(field(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Mostly what would be a message, and then perhaps something else in it.
fn message() -> impl Strategy<Value = Value> {
    (word(), prop::option::weighted(0.3, (field(), value()))).prop_map(|(destination, more)| {
        let mut message = json!({ "destination": destination });
        if let Some((name, value)) = more {
            message[name] = value;
        }
        message
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let json = prop_oneof![
        message(),
        prop::collection::vec(message(), 0..7).prop_map(Value::from),
        prop::collection::vec(message(), 0..7).prop_map(|messages| json!({ "messages": messages })),
        value(),
    ];
    let damaged =
        (json.prop_map(|json| json.to_string().into_bytes()), prop::option::weighted(0.1, any::<(usize, u8)>()));
    prop_oneof![
        9 => damaged.prop_map(|(mut bytes, damage)| {
            if let Some((at, byte)) = damage && !bytes.is_empty() {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            bytes
        }),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_comes_the_answer_is_described_and_a_refusal_publishes_nothing(
        requests in prop::collection::vec((prop::sample::select(&["/publish", "/disconnect", "/ticket"][..]), body()), 1..8),
    ) {
        let meter = Meter::install();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let description = Description::read();
        let operations = description.operations();
        let outcome: Result<(), TestCaseError> = runtime.block_on(async {
            let config = config();
            let now = tokio::time::Instant::now().into_std();
            let gateway = Arc::new(towpath::gateway::Gateway::new(&config, now));
            let api = Api::new(Arc::clone(&gateway), &config).expect("it has a token");
            let mut published = 0;
            for (path, body) in requests {
                let request = hyper::Request::post(format!("/api{path}"))
                    .header("Authorization", format!("Bearer {TOKEN}"))
                    .header("Content-Type", "application/json");
                let (parts, body) = request.body(Full::new(Bytes::from(body))).unwrap().into_parts();
                let answer = api.respond(parts, body).await;
                let status = answer.status().as_u16();
                let text = answer.into_body().collect().await.unwrap().to_bytes();
                let json: Value = serde_json::from_slice(&text).unwrap();
                let (.., operation) = operations.iter().find(|(own, ..)| *own == path).unwrap();
                description.check_answer(operation, status, &json).map_err(TestCaseError::fail)?;
                published += json["published"].as_u64().unwrap_or(0);
                prop_assert_eq!(meter.counter("towpath_publications_total", &[]), published, "{} {}", status, json);
            }
            Ok(())
        });
        outcome?;
    }
}
