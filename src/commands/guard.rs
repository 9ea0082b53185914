//! Whom a tool may put under load without being told twice: servers on this machine, and no others.
//!
//! Does not know: what the load is; whoever makes it says it.

use std::net::IpAddr;

use hyper::Uri;

/// The host of a URL with any scheme, without the brackets of an IPv6 address; `None` if it names none.
pub fn host(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    uri.scheme()?;
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| host.to_owned())
}

/// Lets a tool look at a host that is this machine by every address that it has, and at any other if the user said so. Nothing is sent
/// to the host; a name is looked up.
///
/// # Errors
///
/// A sentence: that the name has no address, or what would be done to the host and how to allow it. `load` says what it would be,
/// as in "it would open up to 32 connections at once".
pub async fn allow(host: &str, told: bool, load: &str) -> Result<(), String> {
    let mend = "mend the URL";
    let found =
        tokio::net::lookup_host((host, 0)).await.map_err(|why| format!("{host} is not found: {why}; {mend}"))?;
    let addresses: Vec<IpAddr> = found.map(|address| address.ip().to_canonical()).collect();
    if addresses.is_empty() {
        return Err(format!("{host} has no address; {mend}"));
    }
    match addresses.iter().find(|address| !address.is_loopback()) {
        Some(other) if !told => {
            let named = if other.to_string() == host { host.to_owned() } else { format!("{host} ({other})") };
            Err(format!("{named} is another machine, and {load}; add --yes if you may test that server"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_url_has_its_host() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/echo", Some("127.0.0.1")),
            ("tcp://[::1]:61613", Some("::1")),
            ("wss://chat.example.com", Some("chat.example.com")),
            ("127.0.0.1:8080", None),
            ("/echo", None),
            ("", None),
        ] {
            assert_eq!(host(url).as_deref(), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn other_machines_are_looked_at_only_when_told() {
        for own in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "localhost"] {
            assert_eq!(allow(own, false, "").await, Ok(()), "{own}");
        }
        for other in ["192.0.2.1", "2001:db8::1", "0.0.0.0", "::ffff:192.0.2.1"] {
            let refusal = allow(other, false, "it would knock").await.expect_err(other);
            assert!(refusal.contains("it would knock; add --yes"), "{refusal}");
            assert_eq!(allow(other, true, "").await, Ok(()), "{other}");
        }
    }
}
