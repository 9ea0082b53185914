//! `[api]`: the HTTP API for backends, who must know a token.
//!
//! Does not know: what the API does, or TOML.

use std::net::SocketAddr;
use std::time::Duration;

use super::secret::Secret;
use super::settings::Setting;
use super::units::MIB;

/// The HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// What requests must bring as their bearer token. Default none: then there is no API.
    pub token: Option<Secret>,
    /// Where it listens. Default: on the gateway's own port.
    pub listen: Option<SocketAddr>,
    /// How its paths begin. Default `/api`.
    pub path: String,
    /// Largest body of a request. Default 1 MiB.
    pub max_body: usize,
    /// Messages of one request. Default 1000.
    pub max_batch: usize,
    /// Entries of one page of a list. Default 1000.
    pub max_page: usize,
    /// How long an `Idempotency-Key` is remembered. Default 10 min: longer than anybody tries again.
    pub idempotency_ttl: Duration,
    /// Keys that are remembered at once; then the oldest goes. Default 10000.
    pub idempotency_keys: usize,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            token: None,
            listen: None,
            path: "/api".to_owned(),
            max_body: MIB,
            max_batch: 1000,
            max_page: 1000,
            idempotency_ttl: Duration::from_secs(600),
            idempotency_keys: 10_000,
        }
    }
}

impl Api {
    pub(super) fn settings(&mut self) -> Vec<Setting<'_>> {
        vec![
            Setting::secret("token", &mut self.token),
            Setting::optional_address("listen", &mut self.listen),
            Setting::text("path", &mut self.path),
            Setting::size("max_body", &mut self.max_body),
            Setting::count("max_batch", &mut self.max_batch),
            Setting::count("max_page", &mut self.max_page),
            Setting::duration("idempotency_ttl", &mut self.idempotency_ttl),
            Setting::count("idempotency_keys", &mut self.idempotency_keys),
        ]
    }
}
