//! The verdicts, and the transport that a sockjs-client would end up with.
//!
//! Does not know: how anything was seen.

use std::time::Duration;

use super::info::Info;
use super::probe::{Course, shown};
use super::report::{Choice, Finding, State, Transport, Verdict};

/// What the findings and what was seen of the transports come to.
pub(super) fn judge(findings: &[Finding], courses: &[Course], info: Option<&Info>) -> (Vec<Verdict>, Choice) {
    let course = |transport| courses.iter().find(|course| course.transport == transport);
    let verdicts = Transport::ALL.map(|transport| verdict(findings, transport, course(transport))).to_vec();
    let choice = match info {
        Some(info) => choose(&verdicts, course, info.time_out),
        None => Choice { transport: None, why: "it gives up before it tries any".to_owned() },
    };
    (verdicts, choice)
}

fn verdict(findings: &[Finding], transport: Transport, course: Option<&Course>) -> Verdict {
    let ids = |of: fn(&Finding) -> &Vec<Transport>| {
        let ids: Vec<_> = findings
            .iter()
            .filter(|finding| of(finding).contains(&transport))
            .map(|finding| finding.problem.id)
            .collect();
        ids.join(", ")
    };
    let (broken, hampered) = (ids(|finding| &finding.breaks), ids(|finding| &finding.hampers));
    let went = course.map(went).unwrap_or_default();
    let (state, why) = match course {
        Some(course) if !course.offered => (State::NotOffered, "the server does not have it".to_owned()),
        _ if !broken.is_empty() => (State::Fails, broken),
        Some(course) if course.opened.is_some() && !hampered.is_empty() => (State::But, hampered),
        Some(course) if course.opened.is_some() => (State::Works, went),
        _ => (State::Unknown, "it was not reached".to_owned()),
    };
    Verdict { transport, state, why }
}

fn went(course: &Course) -> String {
    let opened = course.opened.map(|opened| format!("open after {}", shown(opened)));
    let answered = course.answered.map(|answered| format!("an answer after {}", shown(answered)));
    [opened, answered].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Goes through the transports as sockjs-client does: the first that opens in time is taken, whatever becomes of it.
fn choose<'a>(verdicts: &[Verdict], course: impl Fn(Transport) -> Option<&'a Course>, time_out: Duration) -> Choice {
    let (mut passed, mut lost) = (Vec::new(), Duration::ZERO);
    for verdict in verdicts {
        let transport = verdict.transport;
        let Some(course) = course(transport).filter(|course| course.offered) else {
            if verdict.state == State::NotOffered {
                passed.push(format!("{transport} is not offered"));
            }
            continue;
        };
        match course.opened {
            Some(opened) if opened <= time_out => {
                let before = match passed.is_empty() {
                    true => "it is the first and opens in time".to_owned(),
                    false if lost.is_zero() => passed.join(", "),
                    false => format!("{}, which costs {} on every connect", passed.join(", "), shown(lost)),
                };
                let after = match verdict.state {
                    State::Fails => format!("; it stays there although that fails ({}), for it opens", verdict.why),
                    _ => String::new(),
                };
                return Choice { transport: Some(transport), why: format!("{before}{after}") };
            }
            Some(_) => {
                lost += time_out;
                passed.push(format!("{transport} opens too late"));
            }
            None if course.refused => passed.push(format!("{transport} is refused")),
            None => {
                lost += time_out;
                passed.push(format!("{transport} does not open in {}", shown(time_out)));
            }
        }
    }
    let why = if passed.is_empty() { "none was reached".to_owned() } else { passed.join(", ") };
    Choice { transport: None, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(transport: Transport, opened: Option<u64>, refused: bool) -> Course {
        let opened = opened.map(Duration::from_millis);
        Course { opened, refused, ..Course::new(transport) }
    }

    fn chosen(courses: &[Course]) -> (Option<Transport>, String) {
        let info = Info { websocket: true, time_out: Duration::from_millis(600) };
        let (_, choice) = judge(&[], courses, Some(&info));
        (choice.transport, choice.why)
    }

    #[test]
    fn the_first_transport_that_opens_in_time_is_taken() {
        let socket = |opened, refused| course(Transport::WebSocket, opened, refused);
        let stream = |opened| course(Transport::XhrStreaming, opened, false);
        let poll = course(Transport::XhrPolling, Some(3), false);
        assert_eq!(chosen(&[socket(Some(5), false), stream(Some(1))]).0, Some(Transport::WebSocket));
        let (transport, why) = chosen(&[socket(None, true), stream(Some(1))]);
        assert_eq!(transport, Some(Transport::XhrStreaming));
        assert_eq!(why, "websocket is refused");
        let (transport, why) = chosen(&[socket(None, false), stream(Some(700)), poll]);
        assert_eq!(transport, Some(Transport::XhrPolling));
        assert!(why.contains("costs 1.2 s"), "{why}");
        assert_eq!(chosen(&[socket(None, true)]).0, None);
    }
}
