//! A text that nobody is to see by accident.
//!
//! Does not know: what it is good for.

use std::fmt;

/// A key, a token, a hash of a password. It shows itself only to who asks for it by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret of that text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new("0123");
        assert_eq!(format!("{:?} {:?}", secret, Some(&secret)), "Secret Some(Secret)");
        assert_eq!(secret.expose(), "0123");
    }
}
