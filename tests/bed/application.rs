//! An application on the bed: calls pile up on its desk, and the test answers them when it wants, or drops them.
//!
//! Does not know: what any test is about.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use towpath::config::{Config, Service};
use towpath::gateway::{Answer, Backend, Call, Failure, Incoming, Outcome, Outgoing, Question, Reply, Wiring};

use crate::bed::{Bed, config};

/// Where the calls pile up.
#[derive(Default)]
pub struct Desk {
    calls: Mutex<VecDeque<Asked>>,
    drops: AtomicBool,
}

/// A call that was taken from the desk.
pub struct Asked {
    pub question: Question,
    call: Call,
}

impl Backend for Desk {
    fn begin(&self, mut call: Call) {
        if self.drops.load(Ordering::Relaxed) {
            return;
        }
        let question = call.take_question().expect("a call has a question");
        assert!(call.take_question().is_none(), "only once");
        self.calls.lock().unwrap().push_back(Asked { question, call });
    }
}

impl Desk {
    /// A gateway with a desk behind it.
    pub fn bed() -> (Bed, Arc<Self>) {
        Self::bed_with(|_| {})
    }

    /// The same with a configuration of the test's own.
    pub fn bed_with(change: impl FnOnce(&mut Config)) -> (Bed, Arc<Self>) {
        Self::bed_wired(change, Wiring::default())
    }

    /// The same with hooks, or with a desk that is asked about more than messages.
    pub fn bed_wired(change: impl FnOnce(&mut Config), wiring: Wiring) -> (Bed, Arc<Self>) {
        let mut config = config(Service::Stomp, |_| {});
        change(&mut config);
        let desk = Arc::new(Self::default());
        let backend: Arc<dyn Backend> = desk.clone();
        (Bed::wired(&config, Wiring { backend: Some(backend), ..wiring }), desk)
    }

    /// From now on calls are dropped when they come.
    pub fn drop_all(&self) {
        self.drops.store(true, Ordering::Relaxed);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// The one that came first.
    pub fn next(&self) -> Asked {
        self.calls.lock().unwrap().pop_front().expect("a call waits")
    }
}

impl Asked {
    /// The message that was sent, or the wish to subscribe.
    pub fn incoming(&self) -> &Incoming {
        match &self.question {
            Question::Send(incoming) | Question::Subscribe(incoming) | Question::MaySubscribe(incoming) => incoming,
            other => panic!("no message: {other:?}"),
        }
    }

    /// Its body.
    pub fn body(&self) -> String {
        self.incoming().text().expect("text").to_owned()
    }

    pub fn settle(self, bed: &Bed, outcome: Outcome) {
        self.call.answer(outcome, bed.now);
    }

    pub fn answer(self, bed: &Bed, answer: Answer) {
        self.settle(bed, Outcome::Done(answer));
    }

    /// There is nothing to say.
    pub fn done(self, bed: &Bed) {
        self.answer(bed, Answer::nothing());
    }

    pub fn publish(self, bed: &Bed, destination: &str, body: &str) {
        self.answer(bed, Answer::nothing().and_publish(Outgoing::text(destination, body)));
    }

    pub fn reply(self, bed: &Bed, reply: Reply) {
        self.answer(bed, Answer::nothing().and_reply(reply));
    }

    pub fn fail(self, bed: &Bed, failure: Failure) {
        self.settle(bed, Outcome::Failed(failure));
    }
}
