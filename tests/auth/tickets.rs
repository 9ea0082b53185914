//! The life of tickets, and all their operations against a plain model.
//!
//! Does not know: where tickets stand in requests.

use std::collections::BTreeMap;
use std::time::Instant;

use proptest::prelude::*;
use towpath::gateway::Ticket;

use super::*;

const TTL: Duration = Duration::from_secs(30);

fn ann() -> Arc<Principal> {
    Arc::new(Principal::named("ann"))
}

#[test]
fn the_first_session_has_a_ticket_until_it_ends() {
    let tickets = Tickets::new(TTL, 10);
    let now = Instant::now();
    let ticket = tickets.issue(ann(), 7, now).unwrap();
    assert_eq!(tickets.look(&ticket, now).unwrap().name(), Some("ann"));
    // Nobody has it: it may open a session, and be used by one that is open.
    assert!(tickets.allows(&ticket, None, now) && tickets.allows(&ticket, Some(1), now));
    assert!(tickets.claim(&ticket, 1, now));
    assert!(tickets.claim(&ticket, 1, now), "as often as it likes");
    assert!(!tickets.claim(&ticket, 2, now), "another may not");
    assert!(tickets.allows(&ticket, Some(1), now));
    assert!(!tickets.allows(&ticket, Some(2), now));
    assert!(!tickets.allows(&ticket, None, now), "a replay opens nothing");
    // Long after its time it is still that session's.
    let later = now + 100 * TTL;
    assert!(tickets.allows(&ticket, Some(1), later) && tickets.look(&ticket, later).is_some());
    tickets.release(&ticket, 2);
    assert!(tickets.allows(&ticket, Some(1), later), "it was not the other's to give back");
    tickets.release(&ticket, 1);
    assert!(tickets.look(&ticket, later).is_none() && !tickets.allows(&ticket, Some(1), later));
    assert!(!tickets.claim(&ticket, 1, later));
}

#[test]
fn a_ticket_that_nobody_claims_is_gone_after_its_time() {
    let tickets = Tickets::new(TTL, 10);
    let now = Instant::now();
    let ticket = tickets.issue(ann(), 7, now).unwrap();
    let last = now + TTL - Duration::from_nanos(1);
    assert!(tickets.look(&ticket, last).is_some());
    assert!(tickets.look(&ticket, now + TTL).is_none());
    assert!(!tickets.claim(&ticket, 1, now + TTL) && !tickets.allows(&ticket, None, now + TTL));
}

#[test]
fn a_ticket_is_no_better_than_what_it_proves() {
    let tickets = Tickets::new(TTL, 10);
    let now = Instant::now();
    let soon = now + Duration::from_secs(5);
    let ann = Arc::new(Principal::named("ann").until(Some(soon)));
    let [used, unused] = [7, 8].map(|random| tickets.issue(Arc::clone(&ann), random, now).unwrap());
    assert!(tickets.claim(&used, 1, now));
    assert!(tickets.look(&unused, soon).is_none() && !tickets.claim(&unused, 2, soon));
    // The session that has it may have proved itself anew, and ends by itself otherwise.
    assert!(tickets.look(&used, soon).is_some() && tickets.allows(&used, Some(1), soon));
}

#[test]
fn there_are_never_more_than_max() {
    let tickets = Tickets::new(TTL, 2);
    let now = Instant::now();
    let first = tickets.issue(ann(), 1, now).unwrap();
    tickets.issue(ann(), 2, now).unwrap();
    assert!(tickets.issue(ann(), 3, now).is_err());
    // One that is in use counts, one whose time is over does not.
    assert!(tickets.claim(&first, 1, now));
    let later = now + TTL;
    tickets.issue(ann(), 4, later).unwrap();
    assert!(tickets.issue(ann(), 5, later).is_err());
    tickets.release(&first, 1);
    tickets.issue(ann(), 6, later).unwrap();
}

#[test]
fn what_was_never_issued_is_no_ticket() {
    let tickets = Tickets::new(TTL, 2);
    let now = Instant::now();
    let ticket = tickets.issue(ann(), 0xabc, now).unwrap();
    for text in ["", "abc", &ticket.expose()[1..], &ticket.expose().to_uppercase(), &"x".repeat(10_000)] {
        assert!(tickets.look(&Ticket::new(text), now).is_none(), "{text:?}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Issue,
    Wait(u64),
    Claim(usize, u64),
    Release(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Issue),
        2 => (0..20_u64).prop_map(Step::Wait),
        3 => (0..20_usize, 1..4_u64).prop_map(|(ticket, session)| Step::Claim(ticket, session)),
        2 => (0..20_usize, 1..4_u64).prop_map(|(ticket, session)| Step::Release(ticket, session)),
    ]
}

/// Tickets by number: until when, and whose.
type Model = BTreeMap<usize, (Instant, Option<u64>)>;

proptest! {
    #[test]
    fn tickets_do_what_a_plain_list_would(steps in prop::collection::vec(step(), 1..120)) {
        const MAX: usize = 4;
        let tickets = Tickets::new(TTL, MAX);
        let mut now = Instant::now();
        let mut issued: Vec<Ticket> = vec![];
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Issue => {
                    let principal = Arc::new(Principal::named(&issued.len().to_string()));
                    let ticket = tickets.issue(principal, issued.len() as u128, now);
                    prop_assert_eq!(ticket.is_ok(), model.len() < MAX);
                    if let Ok(ticket) = ticket {
                        model.insert(issued.len(), (now + TTL, None));
                        issued.push(ticket);
                    }
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
                Step::Claim(number, session) => {
                    let Some(ticket) = issued.get(number) else { continue };
                    let owner = model.get_mut(&number).map(|(_, owner)| owner);
                    let expected = owner.is_some_and(|owner| *owner.get_or_insert(session) == session);
                    prop_assert_eq!(tickets.claim(ticket, session, now), expected);
                }
                Step::Release(number, session) => {
                    let Some(ticket) = issued.get(number) else { continue };
                    tickets.release(ticket, session);
                    if model.get(&number).is_some_and(|(_, owner)| *owner == Some(session)) {
                        model.remove(&number);
                    }
                }
            }
            model.retain(|_, (until, owner)| owner.is_some() || now < *until);
            for (number, ticket) in issued.iter().enumerate() {
                let entry = model.get(&number);
                let name = tickets.look(ticket, now).and_then(|principal| principal.name().map(str::to_owned));
                prop_assert_eq!(name, entry.map(|_| number.to_string()));
                for session in [None, Some(1), Some(2), Some(3)] {
                    let expected = entry.is_some_and(|(_, owner)| owner.is_none() || *owner == session);
                    prop_assert_eq!(tickets.allows(ticket, session, now), expected);
                }
            }
        }
    }
}
