//! What can be wrong with a configuration, said so that the reader can mend it: file, line, key, fault, remedy.
//!
//! Does not know: the rules themselves; they are in `reader` (shape) and `validate` (meaning).

use std::fmt;
use std::io;

use super::settings::Place;

/// Why there is no usable configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read at all.
    #[error("{file}: cannot read the configuration: {source}")]
    Unreadable {
        /// The file as it was named.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The text is not TOML.
    #[error("{file}:{line}: not valid TOML: {message}")]
    Syntax {
        /// The file as it was named.
        file: String,
        /// Line of the fault, counted from 1.
        line: usize,
        /// What the TOML parser said.
        message: String,
    },
    /// The text is TOML, but some settings are unknown, of the wrong kind, or make no sense. Never empty, in the order
    /// of the file; each problem is one line of the message.
    #[error("{}", one_per_line(.0))]
    Invalid(Vec<Problem>),
}

/// One thing wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named, or the variable of the environment; none where the value came from the program or the command
    /// line.
    pub file: Option<String>,
    /// Line of the setting in that file, counted from 1.
    pub line: Option<usize>,
    /// The table that the key stands in.
    pub place: Place,
    /// The key.
    pub key: String,
    /// What is wrong, as a sentence that begins with the key.
    pub fault: String,
    /// What to write instead.
    pub mend: String,
}

/// Fault and remedy of a value, before it is known where the value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) fault: String,
    pub(super) mend: String,
}

impl Complaint {
    pub(super) fn new(fault: impl Into<String>, mend: impl Into<String>) -> Self {
        Complaint { fault: fault.into(), mend: mend.into() }
    }

    /// Gives the complaint its key and place: the fault becomes "`key` in place fault".
    pub(super) fn about(self, place: Place, key: &str) -> Problem {
        Problem {
            file: None,
            line: None,
            place,
            key: key.to_owned(),
            fault: format!("`{key}` {place} {}", self.fault),
            mend: self.mend,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}; {}", self.fault, self.mend)
    }
}

fn one_per_line(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
