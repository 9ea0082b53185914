//! JSON web key sets (RFC 7517), from a file that may be replaced or a URL that may be asked again. Old keys are kept until
//! there are new ones: an issuer that is down for a while keeps nobody out.
//!
//! Does not know: tokens, beyond which keys are looked for.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;

use super::jwt::Key;
use crate::config::{Algorithm, ConfigError, Place};
use crate::connection::now;
use crate::fetch;

/// Largest key set in bytes. A key is about half a KiB, with its certificates a few.
const MAX_SET: usize = 256 * 1024;

/// How often a file is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a URL is asked because a token names an unknown key, at most: anybody can make such tokens.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// How long the old keys are used after a failure without asking again, where `keys_ttl` is not shorter: whoever asks has to
/// wait for a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// The size in bits of RSA keys that we use (RFC 7518, section 3.3, and what the library takes).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// Where keys come from.
pub(super) enum KeySet {
    /// A file.
    File(FileKeys),
    /// A URL.
    Url(Arc<UrlKeys>),
}

/// Some keys, shared with whoever is using them.
pub(super) type Keys = Arc<[Key]>;

impl KeySet {
    /// The keys at a URL, which is asked at the first need, or in a file, which is read now.
    ///
    /// # Errors
    /// If the file has no keys.
    pub(super) fn new(place: &str, ttl: Duration, timeout: Duration) -> Result<Self, ConfigError> {
        if place.starts_with("http://") || place.starts_with("https://") {
            return Ok(Self::Url(Arc::new(UrlKeys::new(place, ttl, timeout))));
        }
        match FileKeys::read(place) {
            Ok(keys) => Ok(Self::File(keys)),
            Err(fault) => {
                let fault = format!("is {place:?}, which {fault}");
                let mend = "name a file with a JSON web key set, or its http:// or https:// URL";
                Err(ConfigError::Invalid(vec![super::problem(Place::Jwt, "keys", &fault, mend)]))
            }
        }
    }

    /// The present keys. If none of them is `wanted`, it may be that there are newer ones.
    pub(super) async fn keys_for(&self, wanted: &(dyn Fn(&Key) -> bool + Sync)) -> Keys {
        match self {
            Self::File(file) => file.keys().await,
            Self::Url(url) => url.keys(wanted).await,
        }
    }
}

/// Keys in a file.
pub(super) struct FileKeys {
    path: Arc<str>,
    state: Mutex<FileState>,
}

struct FileState {
    keys: Keys,
    /// The version of the file that was read last, good or not.
    version: Option<Version>,
    looked: Instant,
}

/// What tells one version of a file from the next.
type Version = (SystemTime, u64);

impl FileKeys {
    fn read(path: &str) -> Result<Self, String> {
        let version = version(path);
        let keys = read(path)?;
        let state = Mutex::new(FileState { keys, version, looked: now() });
        Ok(Self { path: path.into(), state })
    }

    async fn keys(&self) -> Keys {
        let last = {
            let mut state = self.state.lock();
            let now = now();
            if now.saturating_duration_since(state.looked) < LOOK_EVERY {
                return Arc::clone(&state.keys);
            }
            // Whoever comes while we look goes on with the old keys.
            state.looked = now;
            state.version
        };
        let path = Arc::clone(&self.path);
        let look = tokio::task::spawn_blocking(move || {
            let version = version(&path);
            (version != last).then(|| (version, read(&path)))
        });
        let changed = look.await.ok().flatten();
        let mut state = self.state.lock();
        if let Some((version, read)) = changed {
            state.version = version;
            match read {
                Ok(keys) => {
                    tracing::info!(keys = keys.len(), "read the keys of tokens again");
                    state.keys = keys;
                }
                Err(fault) => tracing::warn!("the file of [jwt] keys {fault}; the old keys stay in use"),
            }
        }
        Arc::clone(&state.keys)
    }
}

fn version(path: &str) -> Option<Version> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

fn read(path: &str) -> Result<Keys, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > MAX_SET as u64 {
        return Err(format!("is larger than {MAX_SET} bytes"));
    }
    parse(&std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?).map_err(str::to_owned)
}

/// Keys at a URL.
pub(super) struct UrlKeys {
    url: String,
    ttl: Duration,
    client: fetch::Client,
    state: Mutex<UrlState>,
    /// Tells who waits that an answer has come, or none will.
    answered: watch::Sender<()>,
}

#[derive(Default)]
struct UrlState {
    keys: Option<Keys>,
    /// When the keys are to be asked for anew.
    stale_at: Option<Instant>,
    asked_at: Option<Instant>,
    asking: bool,
}

impl UrlKeys {
    fn new(url: &str, ttl: Duration, timeout: Duration) -> Self {
        let client = fetch::Client::new(timeout, MAX_SET);
        Self { url: url.to_owned(), ttl, client, state: Mutex::default(), answered: watch::Sender::default() }
    }

    async fn keys(self: &Arc<Self>, wanted: &(dyn Fn(&Key) -> bool + Sync)) -> Keys {
        if let Some(keys) = self.fresh()
            && keys.iter().any(wanted)
        {
            return keys;
        }
        self.ask().await;
        self.state.lock().keys.clone().unwrap_or_default()
    }

    /// The keys, if they need not be asked for anew.
    fn fresh(&self) -> Option<Keys> {
        let state = self.state.lock();
        let fresh = state.stale_at.is_some_and(|stale| now() < stale);
        state.keys.clone().filter(|_| fresh)
    }

    /// Waits for an answer: to a question that is under way, or to a new one, unless it is too early for that.
    async fn ask(self: &Arc<Self>) {
        // Before the state is looked at: the answer may come at once.
        let mut answered = self.answered.subscribe();
        {
            let mut state = self.state.lock();
            let now = now();
            if !state.asking {
                let soon = state.asked_at.is_some_and(|asked| now.saturating_duration_since(asked) < ASK_EVERY);
                if soon {
                    return;
                }
                state.asking = true;
                state.asked_at = Some(now);
                // In a task of its own: the client whose token it was may go away, and others wait, too.
                tokio::spawn(Arc::clone(self).fetch());
            }
        }
        // It fails only if the sender is gone, and that is ours.
        let _ = answered.changed().await;
    }

    async fn fetch(self: Arc<Self>) {
        // If this panics, nobody must wait for ever.
        let _done = Done(&self);
        let fetched = match self.client.get(&self.url).await {
            Ok(body) => parse(&body).map_err(|fault| format!("the answer {fault}")),
            Err(error) => Err(error.to_string()),
        };
        let mut state = self.state.lock();
        match fetched {
            Ok(keys) => {
                state.keys = Some(keys);
                state.stale_at = now().checked_add(self.ttl);
            }
            Err(fault) => {
                state.stale_at = now().checked_add(self.ttl.min(AFTER_FAILURE));
                drop(state);
                tracing::warn!("cannot fetch the keys of tokens: {fault}");
            }
        }
    }
}

/// The end of a question, whichever way it ends.
struct Done<'u>(&'u UrlKeys);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.state.lock().asking = false;
        self.0.answered.send_replace(());
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// A JSON web key, as far as it matters here (RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<Box<str>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a set that are good for our algorithms; the others are for somebody else (RFC 7517, section 5).
fn parse(set: &[u8]) -> Result<Keys, &'static str> {
    let set: Set = serde_json::from_slice(set).map_err(|_| "is not a JSON web key set")?;
    let keys: Keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()?.key()).collect();
    if keys.is_empty() { Err("has no key for RS256, ES256 or EdDSA") } else { Ok(keys) }
}

impl Jwk {
    fn key(self) -> Option<Key> {
        let for_signatures = self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        // A symmetric key has no place in a set that others can read: that is what `secret` is for.
        let (algorithm, key) = match (&*self.kty, self.crv.as_deref()) {
            ("RSA", _) => (Algorithm::Rs256, self.rsa()?),
            ("EC", Some("P-256")) => (Algorithm::Es256, self.p256()?),
            ("OKP", Some("Ed25519")) => (Algorithm::EdDsa, self.ed25519()?),
            _ => return None,
        };
        // The newer name is from RFC 9864.
        let same = |named: &str| named == algorithm.name() || (named == "Ed25519" && algorithm == Algorithm::EdDsa);
        let fits = for_signatures && self.alg.as_deref().is_none_or(same);
        fits.then_some(Key { id: self.kid, algorithm, key })
    }

    fn rsa(&self) -> Option<DecodingKey> {
        let modulus = decode(self.n.as_ref()?)?;
        let start = modulus.iter().position(|byte| *byte != 0)?;
        let (first, rest) = modulus.get(start..)?.split_first()?;
        let bits = rest.len() * 8 + 8 - first.leading_zeros() as usize;
        let exponent = decode(self.e.as_ref()?)?;
        RSA_BITS.contains(&bits).then(|| DecodingKey::from_rsa_raw_components(&modulus, &exponent))
    }

    fn p256(&self) -> Option<DecodingKey> {
        let (x, y) = (decode(self.x.as_ref()?)?, decode(self.y.as_ref()?)?);
        // Uncompressed (SEC 1, section 2.3.3).
        (x.len() == 32 && y.len() == 32).then(|| DecodingKey::from_ec_der(&[&[4][..], &x, &y].concat()))
    }

    fn ed25519(&self) -> Option<DecodingKey> {
        let x = decode(self.x.as_ref()?)?;
        (x.len() == 32).then(|| DecodingKey::from_ed_der(&x))
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    // Some add the padding that RFC 7515, section 2, leaves out.
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}
