//! Users with passwords. One check is meant to cost a core some 20 ms, which is what makes stolen hashes hard to use and
//! logins easy to abuse: so few are done at once, beside the runtime's threads, and not too many may wait.
//!
//! Does not know: where login and password come from.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher as _, PasswordVerifier as _};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::Cause;
use crate::config::{Auth, Place, Problem, User};
use crate::gateway::Principal;
use crate::metrics;

/// Shortest argon2 hash in bytes (RFC 9106, section 4, has 16 or 32).
const MIN_ARGON2: usize = 16;

/// The users by name.
pub(super) struct Users {
    by_name: HashMap<Box<str>, Known>,
    /// What the password of an unknown user is checked against, in vain, so that the time tells nobody who is known. It is the
    /// first user's: an equal cost for all is for who makes the hashes.
    decoy: Option<Arc<Hash>>,
    /// The checks under way and those that wait.
    places: Arc<Semaphore>,
    /// The checks under way.
    turns: Arc<Semaphore>,
}

struct Known {
    hash: Arc<Hash>,
    principal: Arc<Principal>,
}

enum Hash {
    Argon2(Box<PasswordHash>),
    Bcrypt(String),
}

/// Why there is no hash of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// There is nothing to hash.
    #[error("the password is empty")]
    Empty,
    /// The password is longer than argon2 takes, or the system gave no random salt.
    #[error("the password cannot be hashed")]
    Failed,
}

/// A hash of a password for `password_hash` of a `[[user]]`: argon2id with the parameters that OWASP names first, and a random
/// salt.
///
/// # Errors
///
/// [`HashError::Empty`] for an empty password, which nobody could log in with.
pub fn hash_password(password: &str) -> Result<String, HashError> {
    if password.is_empty() {
        return Err(HashError::Empty);
    }
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|_| HashError::Failed)?;
    Ok(hash.to_string())
}

impl Users {
    /// The users of a configuration. What is wrong with them is added to `problems`.
    pub(super) fn new(users: &[User], auth: &Auth, problems: &mut Vec<Problem>) -> Self {
        let mut by_name = HashMap::new();
        let mut decoy = None;
        for (index, user) in users.iter().enumerate() {
            let mut complain = |key: &str, fault: &str, mend: &str| {
                problems.push(super::problem(Place::User(index), key, fault, mend));
            };
            if let Err(Cause(fault)) = super::check_name(&user.name) {
                complain("name", fault, "give the user another name");
                continue;
            }
            let hash = match Hash::parse(user.password_hash.expose()) {
                Ok(hash) => Arc::new(hash),
                Err(fault) => {
                    complain("password_hash", fault, "write what `towpath hash-password` prints");
                    continue;
                }
            };
            let Entry::Vacant(place) = by_name.entry(Box::from(&*user.name)) else {
                complain("name", "is that of an earlier user", "give each user a name of their own");
                continue;
            };
            decoy.get_or_insert_with(|| Arc::clone(&hash));
            place.insert(Known { hash, principal: Arc::new(principal(user)) });
        }
        let places = auth.password_checks.saturating_add(auth.max_waiting).min(Semaphore::MAX_PERMITS);
        let turns = auth.password_checks.min(Semaphore::MAX_PERMITS);
        Self { by_name, decoy, places: Arc::new(Semaphore::new(places)), turns: Arc::new(Semaphore::new(turns)) }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whether there is a user of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The user of that name, if the password is theirs. It takes as long for a name that nobody has.
    pub(super) async fn check(&self, name: &str, password: &str) -> Result<Arc<Principal>, Cause> {
        let known = self.by_name.get(name);
        let Some(hash) = known.map(|known| &known.hash).or(self.decoy.as_ref()) else {
            return Err(Cause("there are no users"));
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            metrics::limit_reached("auth.max_waiting");
            return Err(Cause("too many wait for a check of their password"));
        };
        let turn =
            Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Cause("no password is checked any more"))?;
        let (hash, password) = (Arc::clone(hash), password.to_owned());
        // The work takes its permits along: a client that goes away does not stop it, and must not make room for more.
        let work = tokio::task::spawn_blocking(move || {
            let fits = hash.fits(&password);
            drop((turn, place));
            fits
        });
        let fits = work.await.unwrap_or(false);
        match known {
            Some(known) if fits => Ok(Arc::clone(&known.principal)),
            Some(_) => Err(Cause("the password is wrong")),
            None => Err(Cause("there is no such user")),
        }
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.by_name.keys()).finish()
    }
}

impl Hash {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with("$argon2") {
            return argon2(text).map(|hash| Self::Argon2(Box::new(hash))).ok_or("is not a whole argon2 hash");
        }
        let known = ["$2a$", "$2b$", "$2y$"].iter().any(|start| text.starts_with(start));
        if !known {
            return Err("is neither an argon2 hash nor a bcrypt hash");
        }
        match bcrypt::HashParts::from_str(text) {
            Ok(parts) if (4..=31).contains(&parts.get_cost()) => Ok(Self::Bcrypt(text.to_owned())),
            _ => Err("is not a whole bcrypt hash"),
        }
    }

    fn fits(&self, password: &str) -> bool {
        match self {
            Self::Argon2(hash) => Argon2::default().verify_password(password.as_bytes(), hash.as_ref()).is_ok(),
            // Bcrypt looks at 72 bytes and no more; a longer password is refused, not cut.
            Self::Bcrypt(hash) => bcrypt::non_truncating_verify(password, hash).unwrap_or(false),
        }
    }
}

/// A hash in PHC form with all that is needed to check a password.
fn argon2(text: &str) -> Option<PasswordHash> {
    let hash = PasswordHash::new(text).ok()?;
    // A hash that was cut off would be one of another length, and fit no password.
    let complete = hash.salt.is_some() && hash.hash.as_ref()?.len() >= MIN_ARGON2;
    let known = argon2::Algorithm::try_from(hash.algorithm.as_str()).is_ok()
        && hash.version.is_none_or(|version| argon2::Version::try_from(version).is_ok())
        && Params::try_from(&hash).is_ok();
    (complete && known).then_some(hash)
}

fn principal(user: &User) -> Principal {
    let mut claims = Map::new();
    if !user.roles.is_empty() {
        claims.insert("roles".to_owned(), user.roles.iter().map(String::as_str).collect::<Value>());
    }
    Principal::named(&user.name).with_claims(claims)
}
