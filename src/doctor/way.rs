//! The way there: what the name stands for, TCP, TLS.
//!
//! Does not know: HTTP.

use std::net::SocketAddr;
use std::time::Instant;

use super::catalogue::{ADDRESS_DEAD, Problem, TLS_EXPIRED, TLS_FAILED, TLS_NAME, TLS_UNTRUSTED};
use super::probe::{Probe, shown};
use super::report::{Finding, Transport};
use crate::wire::{Fault, Reached, Unreached};

/// How many addresses are tried.
const ADDRESSES: usize = 8;

/// Goes there. Whether it is worth going on: TLS may have failed, which is a finding.
///
/// # Errors
///
/// No address answers, so that nothing can be said.
pub(super) async fn look(probe: &mut Probe<'_>) -> Result<bool, Fault> {
    let began = Instant::now();
    let found = probe.target.resolve().await?;
    let took = began.elapsed();
    if probe.target.host().parse::<std::net::IpAddr>().is_err() {
        let list: Vec<_> = found.iter().map(|address| address.ip().to_string()).collect();
        probe.fact("dns", format!("{} is {} ({})", probe.target.host(), list.join(", "), shown(took)));
    }
    let mut seen = Vec::new();
    for address in found.into_iter().take(ADDRESSES) {
        let reached = probe.target.reach(address, probe.load, probe.limits()).await;
        if let Ok(Reached { tcp, tls }) = &reached {
            let tls = tls.map(|tls| format!(", TLS {}", shown(tls))).unwrap_or_default();
            probe.fact("connect", format!("{address}: TCP {}{tls}", shown(*tcp)));
        }
        seen.push((address, reached.map(|_| ())));
    }
    let (findings, go_on) = judge(probe.target.host(), &seen)?;
    findings.into_iter().for_each(|finding| probe.find(finding));
    Ok(go_on)
}

/// What is wrong with the addresses of a name, and whether one of them is good.
fn judge(host: &str, seen: &[(SocketAddr, Result<(), Unreached>)]) -> Result<(Vec<Finding>, bool), Fault> {
    let good = seen.iter().any(|(_, reached)| reached.is_ok());
    let mut findings: Vec<Finding> = Vec::new();
    let mut add = |problem: &'static Problem, text: String| {
        let finding = Finding::new(problem, text);
        findings.push(if good { finding } else { finding.breaking(&Transport::ALL) });
    };
    let mut dead = Vec::new();
    for (address, reached) in seen {
        match reached {
            Ok(()) => {}
            Err(Unreached::Tcp(why)) => dead.push(format!("{address}: {why}")),
            Err(Unreached::Untrusted(why)) => add(&TLS_UNTRUSTED, format!("{address}: {why}")),
            Err(Unreached::Expired(why)) => add(&TLS_EXPIRED, format!("{address}: {why}")),
            Err(Unreached::WrongName(why)) => add(&TLS_NAME, format!("{address}: {why}")),
            Err(Unreached::Tls(why)) => add(&TLS_FAILED, format!("{address}: {why}")),
        }
    }
    if dead.len() == seen.len() {
        return Err(Fault::Unreachable(dead.join("; ")));
    }
    // That one's own machine listens on one of its two loopback addresses only is usual.
    if !dead.is_empty() && host != "localhost" {
        add(&ADDRESS_DEAD, dead.join("; "));
    }
    Ok((findings, good))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(of: &[Result<(), Unreached>]) -> Vec<(SocketAddr, Result<(), Unreached>)> {
        (1..).zip(of).map(|(last, reached)| (SocketAddr::from(([192, 0, 2, last], 443)), reached.clone())).collect()
    }

    #[test]
    fn one_address_of_two_that_is_dead_is_a_finding_and_all_of_them_are_no_answer() {
        let dead = || Err(Unreached::Tcp("Connection refused".to_owned()));
        let (findings, good) = judge("chat.example", &seen(&[dead(), Ok(())])).unwrap();
        assert_eq!((findings[0].problem.id, findings[0].breaks.len(), good), ("address-dead", 0, true));
        assert!(findings[0].seen[0].starts_with("192.0.2.1:443: Connection refused"));
        assert!(judge("localhost", &seen(&[dead(), Ok(())])).unwrap().0.is_empty());
        assert!(judge("chat.example", &seen(&[dead(), dead()])).is_err());
        assert_eq!(judge("chat.example", &seen(&[Ok(()), Ok(())])), Ok((Vec::new(), true)));
    }

    #[test]
    fn an_old_certificate_behind_one_of_two_addresses_lets_the_look_go_on() {
        let old = || Err(Unreached::Expired("expired".to_owned()));
        let (findings, good) = judge("chat.example", &seen(&[Ok(()), old()])).unwrap();
        assert_eq!((findings[0].problem.id, good), ("tls-expired", true));
        let (findings, good) = judge("chat.example", &seen(&[old()])).unwrap();
        assert_eq!((findings[0].breaks.len(), good), (4, false));
    }
}
