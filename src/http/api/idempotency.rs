//! Answers that are given again: a request that comes twice with one `Idempotency-Key`, because its sender did not see the
//! answer, is done once. How many keys are remembered, and how long, has limits; then the oldest go.
//!
//! Does not know: what was done, or the clock.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::answer::{Answer, Refusal};
use super::only;
use crate::metrics;

/// What makes two requests the same one.
pub(super) type Fingerprint = [u8; 32];

/// The value of an `Idempotency-Key` header: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(Box<str>);

/// All keys that are remembered.
pub(super) struct Answered {
    max: usize,
    ttl: Duration,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_key: HashMap<Key, Entry>,
    /// The keys with an answer and when it is forgotten, the oldest first.
    order: VecDeque<(Instant, Key)>,
}

struct Entry {
    fingerprint: Fingerprint,
    /// None while the request is being done.
    answer: Option<Answer>,
}

/// What is to become of a request.
#[derive(Debug)]
pub(super) enum Begin<'a> {
    /// It is the first with its key.
    First(First<'a>),
    /// It was answered before.
    Again(Answer),
    /// The first with its key is being done.
    UnderWay,
    /// Its key belongs to another request.
    Another,
}

/// Somebody is doing the request. If nothing comes of it, the key is free again.
pub(super) struct First<'a> {
    answered: &'a Answered,
    key: Option<Key>,
}

/// The fingerprint of a request.
pub(super) fn fingerprint(method: &Method, path: &str, body: &[u8]) -> Fingerprint {
    // Neither a method nor a path has a NUL in it, so what goes into the digest can be read in one way only.
    let head = Sha256::new().chain_update(method.as_str()).chain_update([0]).chain_update(path).chain_update([0]);
    head.chain_update(body).finalize().into()
}

impl Key {
    /// The key of a request, if it has one.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let bad = |_| {
            let message = "Idempotency-Key is one header of 1 to 255 visible ASCII characters";
            Refusal::new(StatusCode::BAD_REQUEST, "wrong_idempotency_key", message)
        };
        let Some(value) = only(headers, "idempotency-key").map_err(|_| bad(()))? else { return Ok(None) };
        let text = value.to_str().map_err(|_| bad(()))?;
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=255).contains(&text.len()) { Ok(Some(Self(text.into()))) } else { Err(bad(())) }
    }
}

impl Answered {
    /// Nothing is known yet. Up to `max` keys will be, each for `ttl` from its answer on.
    pub fn new(max: usize, ttl: Duration) -> Self {
        Self { max, ttl, known: Mutex::default() }
    }

    /// A request has come with a key.
    pub fn begin(&self, key: Key, fingerprint: Fingerprint, now: Instant) -> Begin<'_> {
        let mut known = self.known.lock();
        known.forget(now);
        match known.by_key.get(&key) {
            Some(entry) if entry.fingerprint != fingerprint => Begin::Another,
            Some(Entry { answer: Some(answer), .. }) => Begin::Again(answer.clone()),
            Some(_) => Begin::UnderWay,
            None => {
                if known.by_key.len() >= self.max {
                    metrics::limit_reached("api.idempotency_keys");
                    known.forget_oldest();
                }
                known.by_key.insert(key.clone(), Entry { fingerprint, answer: None });
                Begin::First(First { answered: self, key: Some(key) })
            }
        }
    }
}

impl First<'_> {
    /// The request has been answered so. An answer that says that it could not be done just now is not kept: to try again is
    /// what the sender should do.
    pub fn answered(mut self, answer: Answer, now: Instant) -> Answer {
        if !answer.status.is_server_error()
            && let Some(key) = self.key.take()
        {
            let known = &mut *self.answered.known.lock();
            if let Some(entry) = known.by_key.get_mut(&key) {
                entry.answer = Some(answer.clone());
                known.order.push_back((now + self.answered.ttl, key));
            }
        }
        answer
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.answered.known.lock().by_key.remove(&key);
        }
    }
}

impl Known {
    fn forget(&mut self, now: Instant) {
        while let Some((_, key)) = self.order.pop_front_if(|(until, _)| *until <= now) {
            self.by_key.remove(&key);
        }
    }

    /// What is being done is not forgotten: there is never more of it than there are threads.
    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.by_key.remove(&key);
        }
    }
}

impl fmt::Debug for First<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("First").field(&self.key).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(600);

    fn key(text: &str) -> Key {
        Key(text.into())
    }

    fn first<'a>(answered: &'a Answered, name: &str, now: Instant) -> First<'a> {
        match answered.begin(key(name), [0; 32], now) {
            Begin::First(first) => first,
            other => panic!("{name}: {other:?}"),
        }
    }

    fn is_known(answered: &Answered, name: &str, now: Instant) -> bool {
        matches!(answered.begin(key(name), [0; 32], now), Begin::Again(_))
    }

    fn done() -> Answer {
        Answer::done(&"done")
    }

    #[test]
    fn a_request_that_is_under_way_is_not_done_twice() {
        let (answered, now) = (Answered::new(10, TTL), Instant::now());
        let one = first(&answered, "a", now);
        assert!(matches!(answered.begin(key("a"), [0; 32], now), Begin::UnderWay));
        assert!(matches!(answered.begin(key("a"), [1; 32], now), Begin::Another));
        one.answered(done(), now);
        assert!(matches!(answered.begin(key("a"), [0; 32], now), Begin::Again(answer) if answer == done()));
        assert!(matches!(answered.begin(key("a"), [1; 32], now), Begin::Another));
    }

    #[test]
    fn what_was_not_done_leaves_its_key_free() {
        let (answered, now) = (Answered::new(10, TTL), Instant::now());
        drop(first(&answered, "a", now));
        first(&answered, "a", now).answered(Refusal::no_room("full", "later").into(), now);
        first(&answered, "a", now).answered(Refusal::of_meaning("wrong", "never").into(), now);
        assert!(is_known(&answered, "a", now), "it would be refused again");
    }

    #[test]
    fn an_answer_is_remembered_for_its_time() {
        let (answered, now) = (Answered::new(10, TTL), Instant::now());
        first(&answered, "a", now).answered(done(), now + TTL);
        assert!(is_known(&answered, "a", now + 2 * TTL - Duration::from_nanos(1)));
        drop(first(&answered, "a", now + 2 * TTL));
        let known = answered.known.lock();
        assert!(known.by_key.is_empty() && known.order.is_empty());
    }

    #[test]
    fn the_oldest_key_makes_room() {
        let (answered, now) = (Answered::new(2, TTL), Instant::now());
        for name in ["a", "b", "c"] {
            first(&answered, name, now).answered(done(), now);
        }
        assert_eq!(["b", "c"].map(|name| is_known(&answered, name, now)), [true; 2]);
        let under_way = first(&answered, "a", now);
        let another = first(&answered, "d", now);
        assert!(matches!(answered.begin(key("a"), [0; 32], now), Begin::UnderWay), "it is not forgotten");
        drop((under_way, another));
        let known = answered.known.lock();
        assert_eq!((known.by_key.len(), known.order.len()), (0, 0));
    }

    #[test]
    fn every_part_of_a_request_counts() {
        let prints = [
            fingerprint(&Method::POST, "/api/a", b"x"),
            fingerprint(&Method::POST, "/api/b", b"x"),
            fingerprint(&Method::POST, "/api/a", b"y"),
            fingerprint(&Method::PUT, "/api/a", b"x"),
            fingerprint(&Method::POST, "/api/ax", b""),
        ];
        for (number, print) in prints.iter().enumerate() {
            assert!(!prints[..number].contains(print), "{number}");
        }
    }

    #[test]
    fn a_key_is_visible_ascii() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("idempotency-key", value.parse().unwrap());
            }
            Key::of(&headers)
        };
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&["\"8e03978e-40d5\""]).unwrap(), Some(key("\"8e03978e-40d5\"")));
        assert!(of(&[&"k".repeat(255)]).is_ok());
        for wrong in [&[""][..], &["a b"], &[&"k".repeat(256)], &["é"], &["a", "a"]] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}
