//! Interceptors and listeners made of closures, and a bed that has them.
//!
//! Does not know: what any test is about.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::{Arc, Mutex};

use towpath::config::Config;
use towpath::gateway::{Caller, Event, Failure, Hooks, Inbound, Interceptor, Listener, Outbound, Pass, Wiring};

use crate::bed::Bed;
use crate::desk::Desk;

type In = Box<dyn Fn(&mut Inbound<'_>) -> Result<(), Failure> + Send + Sync>;
type Out = Box<dyn Fn(&mut Outbound<'_>, &Caller) -> Pass + Send + Sync>;

/// An interceptor.
pub struct Looks {
    inbound: Option<In>,
    outbound: Option<Out>,
}

impl Looks {
    pub fn inbound(look: impl Fn(&mut Inbound<'_>) -> Result<(), Failure> + Send + Sync + 'static) -> Self {
        Self { inbound: Some(Box::new(look)), outbound: None }
    }

    pub fn outbound(look: impl Fn(&mut Outbound<'_>, &Caller) -> Pass + Send + Sync + 'static) -> Self {
        Self { inbound: None, outbound: Some(Box::new(look)) }
    }

    pub fn both(
        inbound: impl Fn(&mut Inbound<'_>) -> Result<(), Failure> + Send + Sync + 'static,
        outbound: impl Fn(&mut Outbound<'_>, &Caller) -> Pass + Send + Sync + 'static,
    ) -> Self {
        Self { inbound: Some(Box::new(inbound)), outbound: Some(Box::new(outbound)) }
    }
}

impl Interceptor for Looks {
    fn inbound(&self, frame: &mut Inbound<'_>) -> Result<(), Failure> {
        self.inbound.as_ref().map_or(Ok(()), |look| look(frame))
    }

    fn outbound(&self, message: &mut Outbound<'_>, recipient: &Caller) -> Pass {
        self.outbound.as_ref().expect("it does not look at what goes out")(message, recipient)
    }

    fn looks_at_outbound(&self) -> bool {
        self.outbound.is_some()
    }
}

/// A bed with an application, interceptors and listeners.
pub fn wired(
    change: impl FnOnce(&mut Config),
    looks: impl IntoIterator<Item = Looks>,
    listeners: impl IntoIterator<Item = Listener>,
) -> (Bed, Arc<Desk>) {
    let interceptor = |looks| Arc::new(looks) as Arc<dyn Interceptor>;
    let interceptors = looks.into_iter().map(interceptor).collect();
    let hooks = Hooks { interceptors, listeners: listeners.into_iter().collect() };
    Desk::bed_wired(change, Wiring { hooks, ..Wiring::default() })
}

/// What a listener has heard: of whom, and what.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<(String, String)>>>);

/// A listener, and what it hears.
pub fn listener() -> (Heard, Listener) {
    let heard = Heard::default();
    let own = heard.clone();
    (heard, Arc::new(move |event: &Event<'_>| own.hear(event)))
}

impl Heard {
    pub fn hear(&self, event: &Event<'_>) {
        let (caller, text) = match event {
            Event::Connected(caller) => (caller, "Connected".to_owned()),
            Event::Subscribed { caller, destination, id } => (caller, format!("Subscribed {id} {destination}")),
            Event::Unsubscribed { caller, id } => (caller, format!("Unsubscribed {id}")),
            Event::Disconnected { caller, reason } => (caller, format!("Disconnected {}", reason.label())),
        };
        self.0.lock().unwrap().push((caller.user().to_owned(), text));
    }

    /// Everything.
    pub fn all(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().clone()
    }

    /// All that it heard of one user.
    pub fn of(&self, user: &str) -> Vec<String> {
        self.all().into_iter().filter(|(of, _)| of == user).map(|(_, text)| text).collect()
    }
}
