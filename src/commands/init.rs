//! `towpath init`: writes a configuration to begin with, short and with comments, and secrets that nobody else has.
//!
//! Does not know: the whole of the configuration; its page of the documents does.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use towpath::config::Config;

/// What is written, with the names of secrets where they come.
const TEMPLATE: &str = include_str!("init.toml");

/// Where to write it.
#[derive(Debug, Args)]
pub struct Target {
    /// The file to write.
    #[arg(default_value = "towpath.toml")]
    file: PathBuf,
    /// Replace the file if it is there already; its secrets are gone then.
    #[arg(long)]
    force: bool,
}

/// Writes the file and says what to do next.
///
/// # Errors
/// The file is there already, or cannot be written.
pub fn run(target: &Target) -> Result<(), Box<dyn Error>> {
    let file = target.file.display();
    let text = filled();
    // Somebody who has just begun should not meet a mistake of ours later.
    Config::from_toml(&text, &file.to_string())?;
    if target.force
        && let Err(error) = fs::remove_file(&target.file)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(format!("cannot replace {file}: {error}").into());
    }
    write(&target.file, &text).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            format!("{file} is there already; name another file, or replace it with --force")
        }
        _ => format!("cannot write {file}: {error}"),
    })?;
    let mut out = io::stdout().lock();
    writeln!(out, "Wrote {file}. It holds fresh secrets: only you can read it, and it belongs in no repository.")?;
    writeln!(out)?;
    writeln!(out, "Next, in this order:")?;
    writeln!(out, "  towpath --config {file}")?;
    writeln!(out, "      and open the page that it names;")?;
    writeln!(out, "  towpath hash-password")?;
    writeln!(out, "      for a [[user]] with a password;")?;
    writeln!(out, "  towpath check {file}")?;
    writeln!(out, "      after every change.")?;
    out.flush()?;
    Ok(())
}

fn filled() -> String {
    let mut text = TEMPLATE.to_owned();
    for name in ["JWT_SECRET", "API_TOKEN", "WEBHOOK_SECRET"] {
        text = text.replace(&format!("<{name}>"), &secret());
    }
    text
}

/// 32 bytes from a generator that the system seeds, in letters, digits, `-` and `_`: nothing that TOML, a shell or a header would
/// read otherwise.
fn secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Writes a file that is not there yet and that only its owner can read.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)?.write_all(text.as_bytes())
}
