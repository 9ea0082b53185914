//! Who somebody is: tokens, their keys, passwords, backends that vouch, tickets, and where requests bring them.
//!
//! Does not know: endpoints and sessions; what becomes of a refusal is tested with those.

mod connect;
mod keys;
#[path = "../support/log.rs"]
mod log;
mod passwords;
mod requests;
mod tickets;
mod tokens;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use towpath::auth::{Authenticator, Refused, Voucher};
use towpath::config::{Config, Secret};
use towpath::gateway::{Credentials, Principal, Tickets};

/// Long enough for HS256.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/auth").join(name)
}

fn pem(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).expect("the fixture is there")
}

/// Now, in whole seconds as tokens have it.
fn unix() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A token of those claims that is signed with that key.
fn sign(algorithm: Algorithm, id: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let header = Header { kid: id.map(str::to_owned), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, key).expect("a good key")
}

/// A token that is signed with [`SECRET`].
fn hs256(claims: Value) -> String {
    sign(Algorithm::HS256, None, &EncodingKey::from_secret(SECRET.as_bytes()), &claims)
}

/// A token of ann's, signed with a key of `fixtures/auth`.
fn signed_by(file: &str, id: Option<&str>) -> String {
    let (algorithm, key) = match file {
        "rsa.pem" | "rsa-short.pem" => (Algorithm::RS256, EncodingKey::from_rsa_pem(&pem(file))),
        "ec.pem" => (Algorithm::ES256, EncodingKey::from_ec_pem(&pem(file))),
        _ => (Algorithm::EdDSA, EncodingKey::from_ed_pem(&pem(file))),
    };
    sign(algorithm, id, &key.expect("the fixture is a key"), &json!({ "sub": "ann" }))
}

/// A configuration in which tokens that are signed with [`SECRET`] are good.
fn with_secret() -> Config {
    let mut config = Config::default();
    config.jwt.secret = Some(Secret::new(SECRET));
    config
}

/// A configuration in which tokens are checked with the keys at that place.
fn with_keys(place: &str) -> Config {
    let mut config = Config::default();
    config.jwt.keys = Some(place.to_owned());
    config
}

fn tickets() -> Arc<Tickets> {
    Arc::new(Tickets::new(Duration::from_secs(30), 100))
}

fn authenticator(config: &Config) -> Authenticator {
    vouched_by(config, None)
}

fn vouched_by(config: &Config, voucher: Option<Arc<dyn Voucher>>) -> Authenticator {
    Authenticator::new(config, tickets(), voucher).expect("a good configuration")
}

fn credentials(login: &str, passcode: &str) -> Credentials {
    Credentials { login: Some(login.to_owned()), passcode: Some(passcode.to_owned()), token: None }
}

/// Whom a token proves at CONNECT.
async fn by_token(authenticator: &Authenticator, token: &str) -> Result<Arc<Principal>, Refused> {
    let credentials = Credentials { token: Some(token.to_owned()), ..Credentials::default() };
    authenticator.connect(&credentials, None).await
}

/// The name that a token proves; `-` if it is refused.
async fn name_by(authenticator: &Authenticator, token: &str) -> String {
    match by_token(authenticator, token).await {
        Ok(principal) => principal.name().unwrap_or("nobody").to_owned(),
        Err(_) => "-".to_owned(),
    }
}

/// Lets time pass while sockets are in use: only in between does it stand still.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
