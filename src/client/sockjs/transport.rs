//! The transports that a program needs, and why one was given up.
//!
//! Does not know: how they work.

use std::fmt;
use std::str::FromStr;

/// A way to carry a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One websocket.
    Websocket,
    /// A response that does not end, and a request for each batch of messages.
    XhrStreaming,
    /// A request for each frame, and one for each batch of messages.
    Xhr,
}

/// A transport that did not come through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// The transport.
    pub transport: Transport,
    /// Why it was given up: a sentence for people.
    pub why: String,
}

impl Transport {
    /// All of them in the order in which they are tried, the cheapest first.
    pub const ALL: [Self; 3] = [Self::Websocket, Self::XhrStreaming, Self::Xhr];

    /// The name as it stands in URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::XhrStreaming => "xhr_streaming",
            Self::Xhr => "xhr",
        }
    }
}

impl FromStr for Transport {
    type Err = String;

    /// The transport of that name, as it stands in URLs.
    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|transport| transport.as_str() == name);
        found.ok_or_else(|| format!("there is no transport {name:?}: it is websocket, xhr_streaming or xhr"))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.transport, self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_urls() {
        for transport in Transport::ALL {
            assert_eq!(transport.as_str().parse(), Ok(transport));
        }
        assert!("xhr-polling".parse::<Transport>().unwrap_err().contains("xhr_streaming"));
    }
}
