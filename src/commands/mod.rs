//! What the `towpath` command does beside running the gateway, one file a subcommand.
//!
//! Does not know: the other subcommands, or the gateway's insides.

pub mod bench;
pub mod check;
pub mod conformance;
mod credentials;
pub mod doctor;
pub mod explain;
mod guard;
pub mod hash_password;
pub mod init;
mod terminal;

use std::env;

/// The variables that may be settings.
///
/// # Errors
/// One of them is not UTF-8.
pub fn environment() -> Result<Vec<(String, String)>, String> {
    let named = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = named.filter(|(name, _)| name.starts_with("TOWPATH_"));
    // The value is left out of the message, as it may be a secret.
    let texts = ours.map(|(name, value)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(format!("{name}: the value of the variable is not UTF-8; write it as such")),
    });
    texts.collect()
}
