//! Comparing the token of a request with the configured one, without telling by the time it takes how much of it was right.
//!
//! Does not know: where the token comes from, or what it opens.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::header::{self, HeaderMap};
use sha2::Sha256;

use super::only;
use crate::config::Secret;

/// The right token, of which only a digest is kept. The digest has a key that nobody knows, so that what is compared is as
/// random as the key whatever is sent, and both sides are of one length.
pub(super) struct Token {
    keyed: Hmac<Sha256>,
    digest: [u8; 32],
}

impl Token {
    pub fn new(token: &Secret) -> Self {
        let key: [u8; 64] = rand::random();
        let keyed = Hmac::<Sha256>::new(&key.into());
        let digest = keyed.clone().chain_update(token.expose()).finalize().into_bytes().into();
        Self { keyed, digest }
    }

    /// Whether the request has exactly one `Authorization` header, and the right token in it (RFC 6750, section 2.1).
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let Ok(Some(value)) = only(headers, header::AUTHORIZATION.as_str()) else { return false };
        let Some((scheme, token)) = value.to_str().ok().and_then(|text| text.split_once(' ')) else { return false };
        scheme.eq_ignore_ascii_case("bearer") && self.is(token.trim_start_matches(' '))
    }

    fn is(&self, token: &str) -> bool {
        // Both digests are compared to their ends.
        self.keyed.clone().chain_update(token).verify_slice(&self.digest).is_ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn is_in(values: &[&[u8]]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        Token::new(&Secret::new("0123456789abcdef")).is_in(&headers)
    }

    #[test]
    fn only_the_whole_token_is_right() {
        for right in ["Bearer 0123456789abcdef", "bearer 0123456789abcdef", "BEARER   0123456789abcdef"] {
            assert!(is_in(&[right.as_bytes()]), "{right}");
        }
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "0123456789abcdef",
            "Basic 0123456789abcdef",
            "Bearer0123456789abcdef",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer 0123456789abcdeF",
            "Bearer 0123456789abcdef 0",
            "Bearer \t0123456789abcdef",
        ] {
            assert!(!is_in(&[wrong.as_bytes()]), "{wrong:?}");
        }
        assert!(!is_in(&[]));
        assert!(!is_in(&[b"Bearer \xff\xfe"]));
        let right: &[u8] = b"Bearer 0123456789abcdef";
        assert!(!is_in(&[right, right]), "which of them is meant?");
    }

    #[test]
    fn a_token_does_not_show_itself() {
        assert_eq!(format!("{:?}", Token::new(&Secret::new("0123456789abcdef"))), "Token");
    }
}
