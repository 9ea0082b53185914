//! `towpath hash-password`: makes of a password what a `[[user]]` table holds.
//!
//! Does not know: how a hash is made.

use std::error::Error;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

/// Reads one line from standard input and prints the hash of it.
///
/// # Errors
/// There is no password, or standard input cannot be read.
pub fn run() -> Result<(), Box<dyn Error>> {
    let input = io::stdin();
    if input.is_terminal() {
        // Standard output is for the hash alone, so that it can be redirected.
        eprintln!(
            "Type the password and Enter. The terminal shows it; give it through a pipe where somebody looks on."
        );
    }
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err("there is no password on standard input; write one line with it".into());
    }
    let hash = towpath::auth::hash_password(password)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{hash}")?;
    out.flush()?;
    Ok(())
}
