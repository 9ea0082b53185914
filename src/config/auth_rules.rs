//! What `[auth]`, `[jwt]` and `[[user]]` mean: that there is something to prove by where a proof is asked for, keys that suit their
//! algorithms, users who can be told apart.
//!
//! Does not know: TOML, files, how a proof is checked; a key set is not read here, nor a hash tried.

use super::error::Complaint;
use super::settings::Place;
use super::validate::Check;
use super::web::{HTTP, check_backend, check_fixed, is_token};
use super::{Algorithm, Config, Jwt, Secret};

/// The shortest key for HS256, in bytes (RFC 7518, section 3.2: as long as the hash).
const SHORTEST_KEY: usize = 32;
/// The longest name of a user, in bytes.
const LONGEST_NAME: usize = 256;
/// How the hashes begin that passwords can be checked against: PHC strings of argon2, and bcrypt's own form.
const HASHES: [&str; 6] = ["$argon2id$", "$argon2i$", "$argon2d$", "$2a$", "$2b$", "$2y$"];
/// How names of sessions begin that have no user.
const SESSION: &str = "session-";

impl Check<'_> {
    pub(super) fn auth(&mut self, config: &Config) {
        let auth = &config.auth;
        if let Some(Err(complaint)) = auth.webhook.as_deref().map(check_backend) {
            self.add(Place::Auth, "webhook", complaint, &[]);
        }
        if let Some(cookie) = &auth.cookie {
            if !is_token(cookie) {
                let fault = format!("is {cookie:?}, which is no name of a cookie");
                let mend = "write letters, digits, - and _, such as \"token\"";
                self.add(Place::Auth, "cookie", Complaint::new(fault, mend), &[]);
            } else if !config.jwt.is_set() {
                let fault = "names a cookie with a token, but there are no keys to check it with";
                let mend = "set `secret` or `keys` in [jwt], or leave this out";
                self.add(Place::Auth, "cookie", Complaint::new(fault, mend), &[]);
            }
        }
        if !auth.anonymous && config.users.is_empty() && !config.jwt.is_set() && auth.webhook.is_none() {
            let complaint = Complaint::new(
                "is false, and there is nothing to prove oneself by, so nobody could connect",
                "write [[user]] tables, keys in [jwt], or `webhook` here",
            );
            self.add(Place::Auth, "anonymous", complaint, &[]);
        }
        self.jwt(&config.jwt);
        for index in 0..config.users.len() {
            self.user(index, config);
        }
    }

    fn jwt(&mut self, jwt: &Jwt) {
        let place = Place::Jwt;
        if !jwt.is_set() {
            let (mut own, mut default) = (jwt.clone(), Jwt::default());
            return self.useless(place, own.settings(), default.settings(), || {
                Complaint::new(
                    "says how tokens are checked, but there are no keys to check them with",
                    "add `secret` or `keys`, or leave this out",
                )
            });
        }
        if let Some(secret) = &jwt.secret {
            self.secret(place, "secret", secret.expose().len(), SHORTEST_KEY);
        }
        if let Some(Err(complaint)) = jwt.keys.as_deref().map(check_keys) {
            self.add(place, "keys", complaint, &[]);
        }
        self.algorithms(jwt);
        for (key, empty) in [
            ("audience", jwt.audience.iter().any(String::is_empty)),
            ("issuer", jwt.issuer.as_deref() == Some("")),
            ("user_claim", jwt.user_claim.is_empty()),
        ] {
            if empty {
                let fault = "has an empty text, which no token says";
                self.add(place, key, Complaint::new(fault, "write it out, or leave this out"), &[]);
            }
        }
    }

    /// Without a list, every key is used; with one, each algorithm needs its key, and each key an algorithm.
    fn algorithms(&mut self, jwt: &Jwt) {
        if jwt.algorithms.is_empty() {
            return;
        }
        let by_secret = |algorithm: &&Algorithm| **algorithm == Algorithm::Hs256;
        let by_keys = |algorithm: &&Algorithm| **algorithm != Algorithm::Hs256;
        let complaint = if let Some(algorithm) = jwt.algorithms.iter().find(by_secret)
            && jwt.secret.is_none()
        {
            let fault = format!("names {}, which needs a `secret`, and there is none", algorithm.name());
            Complaint::new(fault, format!("add `secret`, or leave {} out", algorithm.name()))
        } else if let Some(algorithm) = jwt.algorithms.iter().find(by_keys)
            && jwt.keys.is_none()
        {
            let fault = format!("names {}, which needs `keys`, and there are none", algorithm.name());
            Complaint::new(fault, format!("add `keys`, or leave {} out", algorithm.name()))
        } else if jwt.secret.is_some() && !jwt.algorithms.iter().any(|one| by_secret(&one)) {
            let fault = "names no algorithm for the `secret`, so it is good for nothing";
            Complaint::new(fault, "add HS256, or leave `secret` out")
        } else if jwt.keys.is_some() && !jwt.algorithms.iter().any(|one| by_keys(&one)) {
            let fault = "names no algorithm for the `keys`, so they are good for nothing";
            Complaint::new(fault, "add RS256, ES256 or EdDSA, or leave `keys` out")
        } else {
            return;
        };
        self.add(Place::Jwt, "algorithms", complaint, &[]);
    }

    fn user(&mut self, index: usize, config: &Config) {
        let place = Place::User(index);
        let Some(user) = config.users.get(index) else { return };
        let name = &user.name;
        self.required(place, "name", name, "\"ann\", or whoever this is");
        let hash = "\"...\", what towpath hash-password prints";
        self.required(place, "password_hash", user.password_hash.expose(), hash);
        let complain = |fault: String, mend: &str| Complaint::new(format!("is {fault}"), mend);
        let digits = name.strip_prefix(SESSION).unwrap_or_default();
        let complaint = if name.is_empty() {
            Some(complain("\"\", which names nobody".to_owned(), "write the login"))
        } else if name.len() > LONGEST_NAME {
            let fault = format!("{} bytes long, more than {LONGEST_NAME}", name.len());
            Some(complain(fault, "shorten it"))
        } else if digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let fault = format!("{name:?}, which has the form of a session's own name");
            Some(complain(fault, "choose another name: no such login is let in"))
        } else {
            let other = config.users.iter().take(index).position(|other| other.name == *name);
            other.map(|other| {
                let fault = format!("{name:?}, as it is in [[user]] {} already", other + 1);
                complain(fault, "give each user one table")
            })
        };
        if let Some(complaint) = complaint {
            self.add(place, "name", complaint, &[]);
        }
        if !is_hash(&user.password_hash) {
            let fault = "is no hash of argon2 or bcrypt";
            let mend = format!(
                "run towpath hash-password and write what it prints, or an own hash that begins with {}",
                HASHES.join(" ")
            );
            self.add(place, "password_hash", Complaint::new(fault, mend), &[]);
        }
    }
}

fn is_hash(hash: &Secret) -> bool {
    let hash = hash.expose();
    // An end or a blank too much comes from copying, and no password would ever fit then.
    HASHES.iter().any(|start| hash.strip_prefix(start).is_some_and(|rest| !rest.is_empty()))
        && hash.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A file, or an address; which of the two is told by the form.
fn check_keys(keys: &str) -> Result<(), Complaint> {
    if keys.is_empty() {
        let fault = "is \"\", which is neither a file nor a URL";
        return Err(Complaint::new(fault, "write the path or the URL of a JSON web key set"));
    }
    if keys.starts_with('{') {
        // Key sets may hold private keys, so this one is not repeated.
        let mend = "write it into a file, and here the file's path";
        return Err(Complaint::new("seems to be a key set itself", mend));
    }
    if keys.contains("-----BEGIN") {
        let mend = "write a JSON web key set into a file, and here the file's path";
        return Err(Complaint::new("seems to be a key itself", mend));
    }
    if let Some(path) = keys.strip_prefix("file://") {
        return Err(Complaint::new(format!("is {keys:?}"), format!("write the bare path, {path:?}")));
    }
    if keys.contains("://") {
        check_fixed(keys, &HTTP, "https://id.example.com/.well-known/jwks.json")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_told_by_its_beginning() {
        for hash in ["$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA", "$2b$12$abc", "$2y$10$x", "$2a$10$x", "$argon2i$x"] {
            assert!(is_hash(&Secret::new(hash)), "{hash}");
        }
        for text in ["", "secret", "$2b$", "$argon2id$", "$1$md5", "$2x$10$x", " $2b$12$x", "$2b$12$x\n", "$2b$12$x y"]
        {
            assert!(!is_hash(&Secret::new(text)), "{text:?}");
        }
    }
}
