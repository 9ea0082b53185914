//! The versions of STOMP and the choice between them. The client lists what it speaks in `accept-version`, the server
//! takes the highest that both know.
//!
//! Does not know: websocket subprotocol names, which do not bind the STOMP version.

use std::fmt;

/// A version of the protocol. Later versions compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// STOMP 1.0: no escapes, no heart-beats, subscription ids are optional.
    V1_0,
    /// STOMP 1.1: escapes for LF, colon and backslash; heart-beats; NACK.
    V1_1,
    /// STOMP 1.2: CR LF as line end, an escape for CR, ACK by the `ack` header of the MESSAGE.
    V1_2,
}

impl Version {
    /// Every version that is spoken here, as the `version` header of an ERROR lists them.
    pub const SUPPORTED: &str = "1.0,1.1,1.2";

    /// The version as it stands in headers, such as `1.2`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// The version of that name, or `None` if it is not one of the three.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "1.0" => Some(Self::V1_0),
            "1.1" => Some(Self::V1_1),
            "1.2" => Some(Self::V1_2),
            _ => None,
        }
    }

    /// The highest version of an `accept-version` list that is spoken here (STOMP 1.2, Protocol Negotiation). Without the
    /// header the client speaks 1.0. `None` if nothing is common.
    ///
    /// Blanks around the names are dropped: clients do write `1.1, 1.2`, and to miss the 1.2 there would degrade them.
    pub fn negotiate(accept: Option<&str>) -> Option<Self> {
        match accept {
            None => Some(Self::V1_0),
            Some(list) => list.split(',').filter_map(|name| Self::parse(name.trim())).max(),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_wins_wherever_it_stands_and_however_it_is_spaced() {
        assert_eq!(Version::negotiate(Some("1.2,1.1,1.0")), Some(Version::V1_2));
        assert_eq!(Version::negotiate(Some("1.0,1.1")), Some(Version::V1_1));
        assert_eq!(Version::negotiate(Some("1.1, 1.2")), Some(Version::V1_2));
        assert_eq!(Version::negotiate(Some("2.0,1.1,9")), Some(Version::V1_1));
    }

    #[test]
    fn no_list_means_1_0_and_an_unknown_list_means_nothing() {
        assert_eq!(Version::negotiate(None), Some(Version::V1_0));
        assert_eq!(Version::negotiate(Some("2.0")), None);
        assert_eq!(Version::negotiate(Some("")), None);
        assert_eq!(Version::negotiate(Some("1.20")), None);
    }

    #[test]
    fn names_and_versions_correspond() {
        for name in Version::SUPPORTED.split(',') {
            assert_eq!(Version::parse(name).map(Version::as_str), Some(name));
        }
        assert!(Version::V1_0 < Version::V1_1 && Version::V1_1 < Version::V1_2);
    }
}
