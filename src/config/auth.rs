//! `[auth]`, `[jwt]`, `[[user]]` and `[[rule]]`: how clients prove who they are, and what they may do then.
//!
//! Does not know: how a proof is checked, how rules are applied, or TOML.

use std::time::Duration;

use super::application::Errors;
use super::secret::Secret;
use super::settings::{Place, Setting};
use super::units::KIB;

/// How clients prove who they are.
///
/// Without `[[user]]`, `[jwt]` keys and `webhook` there is nothing to prove anything by: then a client is whom its CONNECT names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Whether clients without credentials are let in, as nobody. Default true; wrong credentials are refused all the same.
    pub anonymous: bool,
    /// The cookie that holds a JSON web token. Default none.
    pub cookie: Option<String>,
    /// The backend that is asked about a CONNECT's login and passcode, if no user or token of ours fits. Default none.
    pub webhook: Option<String>,
    /// What becomes of a SUBSCRIBE that is not allowed. Default [`Errors::Error`]: a client that waits for messages must learn
    /// that none will come, and few listen at `/user/queue/errors`.
    pub refused_subscribe: Errors,
    /// How long a ticket is good for. Default 30 s: a page uses it at once.
    pub ticket_ttl: Duration,
    /// Tickets that are good or in use at once. Default 10000.
    pub max_tickets: usize,
    /// Passwords that are checked at once. Default 2: one check is meant to cost a core some 20 ms.
    pub password_checks: usize,
    /// CONNECTs that may wait for a check of their password. Default 1000; more are refused at once.
    pub max_waiting: usize,
}

/// JSON web tokens (RFC 7519) as proof of who a client is. There are keys if `secret` or `keys` is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// The key for the HS algorithms. Default none.
    pub secret: Option<Secret>,
    /// The other keys: the file or URL of a JSON web key set (RFC 7517). Default none.
    pub keys: Option<String>,
    /// The algorithms that tokens may be signed by. Default: HS256 where there is a `secret`, RS256, ES256 and EdDSA where
    /// there are `keys`. Empty stands for the default.
    pub algorithms: Vec<Algorithm>,
    /// Who tokens must be for (`aud`); one of these suffices. Default: not checked.
    pub audience: Vec<String>,
    /// Who tokens must be from (`iss`). Default: not checked.
    pub issuer: Option<String>,
    /// The claim that is the user's name. Default `sub`.
    pub user_claim: String,
    /// How far clocks may differ. Default 30 s.
    pub leeway: Duration,
    /// How long a key set from a URL is used before it is asked for again. Default 10 min.
    pub keys_ttl: Duration,
    /// Longest token. Default 8 KiB: more than fits into most header lines.
    pub max_token: usize,
}

/// An algorithm by which tokens are signed (RFC 7518, section 3.1; RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256 and `secret`.
    Hs256,
    /// RSA PKCS #1 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// One `[[user]]` with a password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The login.
    pub name: String,
    /// What the password is checked against: an argon2 hash in PHC form, or a bcrypt hash.
    pub password_hash: Secret,
    /// For rules: the user's claim `roles`.
    pub roles: Vec<String>,
}

/// One `[[rule]]`; the first that fits decides. Where there is any rule, what none fits is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// What the rule says.
    pub action: Action,
    /// Which frames it is about. Empty: all of them.
    pub commands: Vec<Guarded>,
    /// Which destinations, with wildcards and, as `{claim}`, claims of the principal. Default: all, and CONNECT, which has none.
    pub destination: Option<String>,
    /// Who it is about. Default everybody.
    pub who: Who,
    /// By name, who it is about. Empty: all that `who` says.
    pub users: Vec<String>,
    /// What claim they must have, as `name=value`. Where the claim is a list, one of its values is meant.
    pub claim: Option<String>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Action {
    /// Go ahead.
    #[default]
    Allow,
    /// Do not.
    Deny,
}

/// A frame that rules can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guarded {
    /// CONNECT, or STOMP.
    Connect,
    /// SEND.
    Send,
    /// SUBSCRIBE.
    Subscribe,
}

/// Whom a rule is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Who {
    /// Everybody.
    #[default]
    Anyone,
    /// Who has a name.
    Users,
    /// Who has none.
    Anonymous,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            anonymous: true,
            cookie: None,
            webhook: None,
            refused_subscribe: Errors::Error,
            ticket_ttl: Duration::from_secs(30),
            max_tickets: 10_000,
            password_checks: 2,
            max_waiting: 1000,
        }
    }
}

impl Auth {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::flag("anonymous", &mut self.anonymous),
            Setting::optional_text("cookie", &mut self.cookie),
            Setting::optional_text("webhook", &mut self.webhook),
            Setting::choice("refused_subscribe", &mut self.refused_subscribe, &Errors::ALL, Errors::name),
            Setting::duration("ticket_ttl", &mut self.ticket_ttl),
            Setting::count("max_tickets", &mut self.max_tickets),
            Setting::count("password_checks", &mut self.password_checks),
            Setting::count("max_waiting", &mut self.max_waiting),
        ]
    }
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            secret: None,
            keys: None,
            algorithms: Vec::new(),
            audience: Vec::new(),
            issuer: None,
            user_claim: "sub".to_owned(),
            leeway: Duration::from_secs(30),
            keys_ttl: Duration::from_secs(600),
            max_token: 8 * KIB,
        }
    }
}

impl Jwt {
    /// Whether there are keys to check tokens with.
    pub fn is_set(&self) -> bool {
        self.secret.is_some() || self.keys.is_some()
    }

    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::secret("secret", &mut self.secret),
            Setting::optional_text("keys", &mut self.keys),
            Setting::choices("algorithms", &mut self.algorithms, &Algorithm::ALL, Algorithm::name),
            Setting::texts("audience", &mut self.audience, "towpath"),
            Setting::optional_text("issuer", &mut self.issuer),
            Setting::text("user_claim", &mut self.user_claim),
            Setting::duration_or_zero("leeway", &mut self.leeway),
            Setting::duration("keys_ttl", &mut self.keys_ttl),
            Setting::size("max_token", &mut self.max_token),
        ]
    }
}

impl User {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::text("name", &mut self.name),
            Setting::secret_text("password_hash", &mut self.password_hash),
            Setting::texts("roles", &mut self.roles, "admin"),
        ]
    }
}

impl Rule {
    /// The keys that say something, as a file would have them, in one line: `action = "deny", commands = ["SEND"]`.
    pub fn to_toml(&self) -> String {
        let (mut own, mut defaults) = (self.clone(), Rule::default());
        let defaults = defaults.settings();
        let said = own.settings().into_iter().zip(&defaults).filter_map(|(setting, default)| {
            let value = setting.describe(Place::Rule(0)).value?;
            let is_default = default.describe(Place::Rule(0)).value.as_ref() == Some(&value);
            (setting.key == "action" || !is_default).then(|| format!("{} = {value}", setting.key))
        });
        said.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::choice("action", &mut self.action, &Action::ALL, Action::name),
            Setting::choices("commands", &mut self.commands, &Guarded::ALL, Guarded::name),
            Setting::optional_text("destination", &mut self.destination),
            Setting::choice("who", &mut self.who, &Who::ALL, Who::name),
            Setting::texts("users", &mut self.users, "ann"),
            Setting::optional_text("claim", &mut self.claim),
        ]
    }
}

impl Algorithm {
    /// Every value, in the order in which documents list them.
    pub const ALL: [Algorithm; 4] = [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

    /// The name in tokens and in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Hs256 => "HS256",
            Algorithm::Rs256 => "RS256",
            Algorithm::Es256 => "ES256",
            Algorithm::EdDsa => "EdDSA",
        }
    }
}

impl Action {
    /// Every value, in the order in which documents list them.
    pub const ALL: [Action; 2] = [Action::Allow, Action::Deny];

    /// The name in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Deny => "deny",
        }
    }
}

impl Guarded {
    /// Every value, in the order in which documents list them.
    pub const ALL: [Guarded; 3] = [Guarded::Connect, Guarded::Send, Guarded::Subscribe];

    /// The name in a configuration file, which is that of the frame.
    pub fn name(self) -> &'static str {
        match self {
            Guarded::Connect => "CONNECT",
            Guarded::Send => "SEND",
            Guarded::Subscribe => "SUBSCRIBE",
        }
    }
}

impl Who {
    /// Every value, in the order in which documents list them.
    pub const ALL: [Who; 3] = [Who::Anyone, Who::Users, Who::Anonymous];

    /// The name in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Who::Anyone => "anyone",
            Who::Users => "users",
            Who::Anonymous => "anonymous",
        }
    }
}
