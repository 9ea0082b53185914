//! One subscription of one session, as the broker and the outbox see it: whom to deliver to, and the few header bytes
//! that differ from subscriber to subscriber. Everything else of a MESSAGE is encoded once for all.
//!
//! Does not know: which destination it belongs to, or how that matches.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::BytesMut;

use super::{CloseReason, Session};
use crate::publication::Publication;
use crate::stomp::{self, Version};

/// A live subscription. Shared by the session's protocol, the destination's subscriber list, and deliveries that wait in
/// the session's outbox.
pub struct Subscription {
    session: Arc<Session>,
    version: Version,
    head: Box<str>,
    traits: Traits,
    source: OnceLock<Arc<dyn Source>>,
    screen: Option<Arc<dyn Screen>>,
    active: AtomicBool,
    position: AtomicUsize,
    slot: AtomicUsize,
}

/// What the MESSAGE frames of a subscription say beyond its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traits {
    /// Tells the subscriptions of a session apart in `ack` headers.
    pub number: u32,
    /// Its messages are to be acknowledged: each has an id of its own.
    pub acknowledged: bool,
    /// Its client asked for `x-offset`.
    pub offsets: bool,
}

/// What must know which of its deliveries were written, because those that were not go to somebody else.
pub trait Source: Send + Sync {
    /// The session is about to write the deliveries of this subscription up to that tag. Returns whether they still are
    /// this subscription's: if not, they have been taken back and must not be written.
    fn claim(&self, subscription: &Subscription, up_to: Tag, now: Instant) -> bool;

    /// A delivery that was claimed has not been written after all, and is not to be tried again.
    fn reject(&self, subscription: &Subscription, tag: Tag, now: Instant);
}

/// Sees every message of a subscription before it is written, and may change it or keep it back.
pub trait Screen: Send + Sync {
    /// Decides about one message. Called for each time that it is written, without any lock.
    fn screen(&self, publication: &Arc<Publication>) -> Passed;
}

/// What becomes of a message that was [screened](Screen).
#[derive(Debug)]
pub enum Passed {
    /// It is written as it is.
    AsIs,
    /// This is written in its place.
    Instead(Arc<Publication>),
    /// It is not written. One that had to be acknowledged is rejected.
    KeptBack,
    /// It cannot be said what is to be written. The session ends; one that had to be acknowledged goes to somebody else.
    Broken,
}

/// One publication on its way to one subscription.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message.
    pub publication: Arc<Publication>,
    /// Whose it is.
    pub subscription: Arc<Subscription>,
    /// Its number within its subscription, if a [`Source`] keeps account of it.
    pub tag: Tag,
}

/// The number of a delivery within its subscription, and whether its message was delivered to anybody before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(u64);

impl Tag {
    /// Nobody keeps account of the delivery.
    pub const NONE: Self = Self(0);

    /// Nobody keeps account of it, and the limits of the outbox leave it alone: a part of a topic's history, which is
    /// bounded there.
    pub const HISTORY: Self = Self(1 << 62);

    const REDELIVERED: u64 = 1 << 63;
    const NUMBER: u64 = (1 << 62) - 1;

    /// The delivery of that number, counted from one.
    pub fn new(number: u64, redelivered: bool) -> Self {
        Self(number | if redelivered { Self::REDELIVERED } else { 0 })
    }

    /// The number within the subscription; zero for [`NONE`](Self::NONE).
    pub fn number(self) -> u64 {
        self.0 & Self::NUMBER
    }

    /// Whether the message was written to some subscriber before.
    pub fn is_redelivered(self) -> bool {
        self.0 & Self::REDELIVERED != 0
    }

    /// Whether a source keeps account of the delivery.
    pub fn is_tracked(self) -> bool {
        self.number() > 0
    }

    /// Whether the delivery is bounded, and counted, where it comes from.
    pub(super) fn is_exempt(self) -> bool {
        self != Self::NONE
    }
}

impl Delivery {
    /// A delivery of which nobody keeps account.
    pub fn untracked(publication: &Arc<Publication>, subscription: &Arc<Subscription>) -> Self {
        Self { publication: Arc::clone(publication), subscription: Arc::clone(subscription), tag: Tag::NONE }
    }

    /// A part of a topic's history, on request.
    pub fn of_history(publication: &Arc<Publication>, subscription: &Arc<Subscription>) -> Self {
        Self { tag: Tag::HISTORY, ..Self::untracked(publication, subscription) }
    }

    /// Whether the delivery has a `message-id` of its own.
    pub(super) fn has_own_id(&self) -> bool {
        self.tag.is_tracked() && self.subscription.traits.acknowledged
    }

    /// Whether it has no [`headers`](Self::headers) of its own. So it is with most, and they should cost no more than this.
    pub(super) fn is_plain(&self) -> bool {
        self.tag == Tag::NONE && !self.subscription.traits.offsets
    }

    /// The headers that belong to this delivery alone; empty for most.
    pub(super) fn headers(&self) -> String {
        let mut text = String::new();
        let Subscription { version, traits, .. } = &*self.subscription;
        if self.has_own_id() {
            let (number, tag) = (traits.number, self.tag.number());
            let _ = writeln!(text, "message-id:{number}-{tag}");
            if *version == Version::V1_2 {
                let _ = writeln!(text, "ack:{number}-{tag}");
            }
        }
        if self.tag.is_redelivered() {
            text.push_str("redelivered:true\n");
        }
        if traits.offsets && self.publication.offset() > 0 {
            let _ = writeln!(text, "x-offset:{}", self.publication.offset());
        }
        text
    }
}

impl Subscription {
    /// A subscription of `session` under the client's `id`, of messages that need no acknowledgement. Only STOMP 1.0 may
    /// leave the id out; its MESSAGE frames then carry no `subscription` header (STOMP 1.0, MESSAGE).
    pub fn new(session: Arc<Session>, version: Version, id: Option<&str>) -> Arc<Self> {
        Self::with_traits(session, version, id, Traits::default())
    }

    /// As [`new`](Self::new), with what else its MESSAGE frames are to say.
    pub fn with_traits(session: Arc<Session>, version: Version, id: Option<&str>, traits: Traits) -> Arc<Self> {
        Self::screened(session, version, id, traits, None)
    }

    /// As [`with_traits`](Self::with_traits), with somebody who sees its messages before they are written.
    pub fn screened(
        session: Arc<Session>,
        version: Version,
        id: Option<&str>,
        traits: Traits,
        screen: Option<Arc<dyn Screen>>,
    ) -> Arc<Self> {
        let mut head = BytesMut::from(&b"MESSAGE\n"[..]);
        if let Some(id) = id {
            head.extend_from_slice(b"subscription:");
            stomp::escape_value_into(id, version, &mut head);
            head.extend_from_slice(b"\n");
        }
        let head = String::from_utf8_lossy(&head).into_owned().into_boxed_str();
        Arc::new(Self {
            session,
            version,
            head,
            traits,
            source: OnceLock::new(),
            screen,
            active: AtomicBool::new(true),
            position: AtomicUsize::new(usize::MAX),
            slot: AtomicUsize::new(usize::MAX),
        })
    }

    /// The session that deliveries go to.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The STOMP version of the session.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The beginning of every MESSAGE frame of this subscription: the command and the `subscription` header.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// Whether deliveries still count. A delivery that raced an UNSUBSCRIBE is discarded when it is drained.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// From now on nothing of this subscription is sent, not even what waits in the outbox.
    pub fn deactivate(&self) {
        self.active.store(false, Ordering::Release);
    }

    /// Who keeps account of its tracked deliveries. Set once, before the first of them.
    pub(crate) fn set_source(&self, source: Arc<dyn Source>) {
        let _ = self.source.set(source);
    }

    /// Claims tracked deliveries, see [`Source::claim`].
    pub(super) fn claim(&self, up_to: Tag, now: Instant) -> bool {
        self.source.get().is_none_or(|source| source.claim(self, up_to, now))
    }

    /// Asks whether a message may be written; what may not is over.
    pub(super) fn pass(&self, delivery: &mut Delivery, now: Instant) -> bool {
        let Some(screen) = &self.screen else { return true };
        match screen.screen(&delivery.publication) {
            Passed::AsIs => true,
            Passed::Instead(publication) => {
                delivery.publication = publication;
                true
            }
            Passed::KeptBack => {
                if delivery.tag.is_tracked()
                    && let Some(source) = self.source.get()
                {
                    source.reject(self, delivery.tag, now);
                }
                false
            }
            Passed::Broken => {
                self.session.end_soon(CloseReason::ApplicationFailed);
                false
            }
        }
    }

    /// Whether messages of it are [screened](Screen).
    pub(super) fn is_screened(&self) -> bool {
        self.screen.is_some()
    }

    /// Where it stands in its destination's subscriber list; kept by that list, under that list's lock, so that leaving a
    /// topic of many thousands costs no search.
    pub(crate) fn position(&self) -> usize {
        self.position.load(Ordering::Relaxed)
    }

    pub(crate) fn set_position(&self, position: usize) {
        self.position.store(position, Ordering::Relaxed);
    }

    /// The same for its place among the consumers of a queue.
    pub(crate) fn slot(&self) -> usize {
        self.slot.load(Ordering::Relaxed)
    }

    pub(crate) fn set_slot(&self, slot: usize) {
        self.slot.store(slot, Ordering::Relaxed);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("session", &self.session.serial())
            .field("head", &self.head)
            .field("active", &self.is_active())
            .finish()
    }
}
