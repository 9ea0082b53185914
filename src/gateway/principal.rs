//! Who a session speaks for. Everything that asks "who is this" asks here, so authentication has one place to come in.
//!
//! Does not know: how a name is proved; until somebody authenticates it, it is what the client says.

/// How the names of sessions begin.
const SESSION: &str = "session-";

/// The user behind a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: Option<Box<str>>,
}

impl Principal {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self { name: None }
    }

    /// The user whom the `login` header of CONNECT names. An empty one names nobody.
    pub fn of_login(login: Option<&str>) -> Self {
        Self { name: login.filter(|login| !login.is_empty()).map(Box::from) }
    }

    /// The name of a session whose user has none. [`is_session`](Self::is_session) tells it from every login.
    pub fn session_name(random: u64) -> String {
        format!("{SESSION}{random:016x}")
    }

    /// Whether a login has the form of a session's name. It must not be let in: what is sent to that session would come to
    /// it.
    pub fn is_session(login: &str) -> bool {
        let digits = login.strip_prefix(SESSION).unwrap_or_default();
        digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// The user's name, as others address it in `/user/NAME/...`.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}
