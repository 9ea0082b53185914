//! Who a session speaks for. Everything that asks "who is this" asks here, so authentication has one place to come in.
//!
//! Does not know: how a name is proved; until somebody authenticates it, it is what the client says.

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

    /// The user's name, as others address it in `/user/NAME/...`.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}
