//! How a backend knows that a request is the gateway's: a time and an HMAC-SHA256 over that time, the context and the body.
//!
//! Does not know: what is signed, or when.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::config::Secret;

/// Signs with one secret.
#[derive(Clone)]
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    /// None if the secret cannot be a key; each can.
    pub fn new(secret: &Secret) -> Option<Self> {
        Hmac::new_from_slice(secret.expose().as_bytes()).ok().map(Self)
    }

    /// The value of `towpath-signature`: `t=SECONDS,v1=HEX`, where HEX is over `SECONDS.CONTEXT.BODY`.
    pub fn sign(&self, seconds: u64, context: &str, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{seconds}.{context}.").as_bytes());
        mac.update(body);
        let mut signature = format!("t={seconds},v1=");
        for byte in mac.finalize().into_bytes() {
            // Nothing is wrong with writing into a String.
            let _ = write!(signature, "{byte:02x}");
        }
        signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python: `hmac.new(b"key", b'1700000000.{"id":"1"}.hello', "sha256").hexdigest()`.
    #[test]
    fn a_known_signature() {
        let signer = Signer::new(&Secret::new("key")).unwrap();
        assert_eq!(
            signer.sign(1_700_000_000, r#"{"id":"1"}"#, b"hello"),
            "t=1700000000,v1=b67c2dfae214631091a3755285849dab80d7f3da5f313e340585235f2970ee62"
        );
    }
}
