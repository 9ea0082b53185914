//! JSON web tokens (RFC 7519) in their compact form. A key is used with the one algorithm of its type and no other, whatever a
//! token's header says (RFC 8725, section 3.1).
//!
//! Does not know: where a token comes from, or where keys do.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::Cause;
use super::jwks::KeySet;
use crate::clock::wall;
use crate::config::{Algorithm, ConfigError, Jwt};
use crate::connection;
use crate::gateway::Principal;

/// How many keys one token is tried with: a token that does not name its key could otherwise cost as many checks as a set has
/// keys.
const MAX_TRIES: usize = 10;

/// How tokens are checked.
pub(super) struct Tokens {
    algorithms: Vec<Algorithm>,
    audience: Vec<String>,
    issuer: Option<String>,
    user_claim: String,
    leeway: Duration,
    max_token: usize,
    secret: Option<Key>,
    set: Option<KeySet>,
}

/// A key, and what it is for.
pub(super) struct Key {
    pub(super) id: Option<Box<str>>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// A token that has been taken apart and is not believed yet.
struct Parts<'t> {
    algorithm: Algorithm,
    /// Which key it says it is signed with.
    key: Option<String>,
    /// Header and claims as they were signed.
    signed: &'t str,
    claims: &'t str,
    signature: &'t str,
}

/// What counts of a token's header (RFC 7515, section 4.1). Other members, such as `jku` and `jwk`, are advice from whoever
/// made the token, and no token says which keys to believe.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

impl Tokens {
    /// How `settings` wants it; None if there are no keys.
    ///
    /// # Errors
    /// If the keys are in a file that has none.
    pub(super) fn new(settings: &Jwt, timeout: Duration) -> Result<Option<Self>, ConfigError> {
        if !settings.is_set() {
            return Ok(None);
        }
        let secret = settings.secret.as_ref().map(|secret| Key {
            id: None,
            algorithm: Algorithm::Hs256,
            key: DecodingKey::from_secret(secret.expose().as_bytes()),
        });
        let set = settings.keys.as_deref().map(|place| KeySet::new(place, settings.keys_ttl, timeout)).transpose()?;
        Ok(Some(Self {
            algorithms: settings.algorithms.clone(),
            audience: settings.audience.clone(),
            issuer: settings.issuer.clone(),
            user_claim: settings.user_claim.clone(),
            leeway: settings.leeway,
            max_token: settings.max_token,
            secret,
            set,
        }))
    }

    /// Whether a text has the form of a token: a password that has it by chance is very unlikely.
    pub(super) fn looks_like_one(text: &str) -> bool {
        // So begins a brace with a quotation mark or a space behind it, in base64.
        text.starts_with("ey") && text.split('.').count() == 3 && text.split('.').all(is_base64url)
    }

    /// Whom a token names, if it is good.
    pub(super) async fn check(&self, token: &str) -> Result<Principal, Cause> {
        if token.len() > self.max_token {
            return Err(Cause("the token is longer than max_token"));
        }
        let parts = Parts::of(token)?;
        if !self.algorithms.is_empty() && !self.algorithms.contains(&parts.algorithm) {
            return Err(Cause("the token's algorithm is not among algorithms"));
        }
        self.check_signature(&parts).await?;
        let claims: Map<String, Value> =
            from_base64url(parts.claims).ok_or(Cause("the token's claims are no object"))?;
        self.believe(claims)
    }

    async fn check_signature(&self, parts: &Parts<'_>) -> Result<(), Cause> {
        let signed_with = |key: &Key| {
            let algorithm = match key.algorithm {
                Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
                Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
                Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
                Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            };
            let verified = jsonwebtoken::crypto::verify(parts.signature, parts.signed.as_bytes(), &key.key, algorithm);
            verified.unwrap_or(false)
        };
        let known = match (parts.algorithm, &self.secret, &self.set) {
            (Algorithm::Hs256, Some(secret), _) => signed_with(secret),
            (Algorithm::Hs256, None, _) => return Err(Cause("there is no secret for the token's algorithm")),
            (_, _, Some(set)) => {
                let keys = set.keys_for(&|key| parts.may_be_by(key)).await;
                let mut candidates = keys.iter().filter(|key| parts.may_be_by(key)).take(MAX_TRIES).peekable();
                if candidates.peek().is_none() {
                    return Err(Cause("there is no key for the token"));
                }
                candidates.any(signed_with)
            }
            (_, _, None) => return Err(Cause("there are no keys for the token's algorithm")),
        };
        if known { Ok(()) } else { Err(Cause("the token's signature is wrong")) }
    }

    /// What a token says whose signature is good.
    fn believe(&self, claims: Map<String, Value>) -> Result<Principal, Cause> {
        // A clock before 1970 is not set at all; then every date is in the future.
        let now = wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let expires = date(&claims, "exp")?.map(|date| date.saturating_add(self.leeway));
        if expires.is_some_and(|expires| expires <= now) {
            return Err(Cause("the token has expired"));
        }
        if date(&claims, "nbf")?.is_some_and(|begins| begins > now.saturating_add(self.leeway)) {
            return Err(Cause("the token is not good yet"));
        }
        if self.issuer.is_some() && claims.get("iss").and_then(Value::as_str) != self.issuer.as_deref() {
            return Err(Cause("the token is from somebody else"));
        }
        if !self.audience.is_empty() && !claims.get("aud").is_some_and(|aud| self.is_for_us(aud)) {
            return Err(Cause("the token is for somebody else"));
        }
        let name = match claims.get(&self.user_claim) {
            Some(Value::String(name)) => name.clone(),
            // Not by RFC 7519 in `sub`, but a usual user number.
            Some(Value::Number(number)) if number.is_u64() => number.to_string(),
            _ => return Err(Cause("the token names no user")),
        };
        super::check_name(&name).map_err(|_| Cause("the token's user has a name that nobody may have"))?;
        // What is later than clocks count is never.
        let until = expires.and_then(|expires| connection::now().checked_add(expires.saturating_sub(now)));
        Ok(Principal::named(&name).with_claims(claims).until(until))
    }

    /// `aud` is one text or a list of them (RFC 7519, section 4.1.3).
    fn is_for_us(&self, aud: &Value) -> bool {
        let ours = |aud: &Value| aud.as_str().is_some_and(|aud| self.audience.iter().any(|own| own == aud));
        match aud {
            Value::Array(several) => several.iter().any(ours),
            one => ours(one),
        }
    }
}

impl<'t> Parts<'t> {
    fn of(token: &'t str) -> Result<Self, Cause> {
        let malformed = Cause("the token is malformed");
        let (signed, signature) = token.rsplit_once('.').ok_or(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(malformed)?;
        if claims.contains('.') {
            return Err(malformed);
        }
        let header: Header = from_base64url(header).ok_or(malformed)?;
        if header.crit.is_some() {
            // We understand none of these extensions (RFC 7515, section 4.1.11).
            return Err(Cause("the token asks for an extension"));
        }
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == header.alg);
        let algorithm = algorithm.ok_or(Cause("the token has another algorithm, or none"))?;
        Ok(Self { algorithm, key: header.kid, signed, claims, signature })
    }

    /// Whether a key is of the token's type and may be the one that the token names, if it names one.
    fn may_be_by(&self, key: &Key) -> bool {
        let named = match (&self.key, &key.id) {
            (Some(named), Some(id)) => **named == **id,
            _ => true,
        };
        key.algorithm == self.algorithm && named
    }
}

fn from_base64url<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn is_base64url(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// A NumericDate (RFC 7519, section 2): seconds, perhaps with a fraction. One that is no number spoils the token.
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<Duration>, Cause> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    if let Some(seconds) = value.as_u64() {
        return Ok(Some(Duration::from_secs(seconds)));
    }
    let seconds = value.as_f64().ok_or(Cause("a date in the token is no number"))?;
    // Before 1970 is long ago, and more than a Duration holds is never.
    Ok(Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)))
}
