//! Why there is no answer, in words that say what was waited for.
//!
//! Does not know: whether that is anybody's mistake.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What kept a request from being answered, or an answer from being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// There is no connection: nobody listens, the name is unknown, or TLS failed.
    Unreachable(String),
    /// What is named did not come within this time.
    Late(&'static str, Duration),
    /// The connection ended before what is named was there, in order or by a reset.
    Ended(&'static str, String),
    /// What came is not HTTP, or not the protocol of websockets.
    Garbage(String),
    /// More came than this many bytes, and it was not the end.
    Endless(usize),
    /// The whole run has asked for as many of what is named as it may, and asks for no more.
    Spent(&'static str, u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "no connection: {why}"),
            Self::Late(what, patience) => write!(f, "no {what} within {patience:?}"),
            Self::Ended(what, how) => write!(f, "the connection ended ({how}) before {what}"),
            Self::Garbage(what) => f.write_str(what),
            Self::Spent(what, most) => write!(f, "this run has had its {most} {what}, and asks for no more"),
            Self::Endless(most) => write!(f, "more than {most} bytes, and no end"),
        }
    }
}

impl Error for Fault {}
