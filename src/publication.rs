//! One published message, shared by all who receive it. It encodes itself lazily and once for each form in which anyone
//! needs it: a thousand subscribers on the same kind of transport cost one encoding. What differs per subscriber, the
//! `subscription` header, stands first in a MESSAGE frame so that all the rest, the *tail*, can be shared; quoting works
//! character by character, so a quoted head and a quoted tail make a quoted frame.
//!
//! Does not know: sessions, subscriptions, or where the message goes.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};

use crate::metrics;
use crate::sockjs::{self, Encoding};
use crate::stomp::{self, Headers, Version};

/// The header that says that a body which is not UTF-8 crosses SockJS, which carries text only, as base64.
pub const TRANSFER_ENCODING: &str = "content-transfer-encoding";

/// The form in which a transport needs the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Bytes as STOMP defines them, for raw websockets and TCP.
    Raw,
    /// The inside of a JSON string, in one of the encodings of SockJS transports.
    Quoted(Encoding),
}

/// What becomes of a publication that finds a subscriber's outbox full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// The session ends: silence in the middle of an ordered stream would be a lie.
    #[default]
    Close,
    /// The oldest waiting publication of this kind is dropped.
    DropOldest,
    /// One that still waits and has the same key is replaced, whether the outbox is full or not.
    Conflate(u64),
}

/// A message published to a destination.
pub struct Publication {
    id: u64,
    destination: Box<str>,
    headers: Headers,
    body: Bytes,
    /// See [`size`](Self::size); asked for with each delivery.
    size: usize,
    text: bool,
    /// Whether no header needs escaping, so that every STOMP version has the same tail.
    plain: bool,
    overflow: Overflow,
    /// Its number in its topic, or zero where none is kept.
    offset: u64,
    /// A dead letter, which must not die a second time.
    dead_letter: bool,
    charge: Option<Charge>,
    tails: Tails,
    /// Tails for the versions other than 1.2, where they differ.
    older: OnceLock<Box<[Tails; 2]>>,
    encoded: AtomicU32,
}

type Tails = [OnceLock<Tail>; Form::COUNT];

struct Tail {
    bytes: Bytes,
    /// Where the `message-id` header, which stands first, ends.
    behind_id: usize,
}

/// Counts the bytes of all live publications that are charged to it.
#[derive(Debug, Default)]
pub struct Ledger {
    bytes: AtomicUsize,
}

struct Charge {
    ledger: Arc<Ledger>,
    bytes: usize,
}

impl Ledger {
    /// The bytes of all publications that are alive: in queues, in histories, and on their way.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Publication {
    /// A publication with the user headers of its SEND. `id` becomes the `message-id` and must be unique in the broker.
    pub fn new(id: u64, destination: &str, headers: Headers, body: Bytes) -> Self {
        let text = std::str::from_utf8(&body).is_ok();
        let special = |text: &str| text.bytes().any(|byte| matches!(byte, b':' | b'\\' | b'\r' | b'\n'));
        let plain = !special(destination) && !headers.iter().any(|(name, value)| special(name) || special(value));
        Self {
            id,
            size: Self::size_of(destination, &headers, body.len()),
            destination: destination.into(),
            headers,
            body,
            text,
            plain,
            overflow: Overflow::Close,
            offset: 0,
            dead_letter: false,
            charge: None,
            tails: Default::default(),
            older: OnceLock::new(),
            encoded: AtomicU32::new(0),
        }
    }

    /// The publication, with what becomes of it where an outbox is full.
    #[must_use]
    pub fn with_overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// The publication, as number `offset` of its topic; counted from one.
    #[must_use]
    pub fn with_offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// The publication, as one that has been taken out of a queue for good.
    #[must_use]
    pub fn as_dead_letter(mut self) -> Self {
        self.dead_letter = true;
        self
    }

    /// The publication, counted in the ledger for as long as it lives.
    #[must_use]
    pub fn charged_to(mut self, ledger: &Arc<Ledger>) -> Self {
        let bytes = self.size();
        ledger.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.charge = Some(Charge { ledger: Arc::clone(ledger), bytes });
        self
    }

    /// The same publication with other headers and another body, for one receiver.
    #[must_use]
    pub fn changed(&self, headers: Headers, body: Bytes) -> Self {
        Self::new(self.id, &self.destination, headers, body).with_offset(self.offset)
    }

    /// What becomes of it where an outbox is full.
    pub fn overflow(&self) -> Overflow {
        self.overflow
    }

    /// Its number in its topic, or zero if the topic keeps no history.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether it has been taken out of a queue for good before.
    pub fn is_dead_letter(&self) -> bool {
        self.dead_letter
    }

    /// The number that makes the `message-id`.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The destination it was published to.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// The user headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The body as it was sent.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether the body is UTF-8. Such a publication travels as text everywhere.
    pub fn is_text(&self) -> bool {
        self.text
    }

    /// What it costs in an outbox, in bytes: about its length as a raw STOMP frame.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What a publication of these would cost.
    pub fn size_of(destination: &str, headers: &Headers, body: usize) -> usize {
        let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        destination.len() + headers + body + 64
    }

    /// Everything of the MESSAGE frame behind the `subscription` header, NUL included.
    pub fn tail(&self, version: Version, form: Form) -> &Bytes {
        &self.encoded_tail(version, form).bytes
    }

    /// The same without the `message-id`, for deliveries that have one of their own.
    pub fn tail_behind_id(&self, version: Version, form: Form) -> &[u8] {
        let tail = self.encoded_tail(version, form);
        tail.bytes.get(tail.behind_id..).unwrap_or_default()
    }

    fn encoded_tail(&self, version: Version, form: Form) -> &Tail {
        let row = match version {
            _ if self.plain => &self.tails,
            Version::V1_2 => &self.tails,
            Version::V1_1 => &self.older.get_or_init(Default::default)[1],
            Version::V1_0 => &self.older.get_or_init(Default::default)[0],
        };
        row[form.index()].get_or_init(|| {
            self.encoded.fetch_add(1, Ordering::Relaxed);
            metrics::publication_encoded();
            let transfer = if self.text || form == Form::Raw { Transfer::AsIs } else { Transfer::Base64 };
            let (raw, behind_id) = self.encode(version, transfer);
            let Form::Quoted(encoding) = form else { return Tail { bytes: raw.freeze(), behind_id } };
            let mut quoted = BytesMut::with_capacity(raw.len() + raw.len() / 8 + 16);
            // With a text body, or a base64 one, the whole tail is UTF-8: headers always are.
            let (id, rest) = raw.split_at_checked(behind_id).unwrap_or_default();
            sockjs::quote_into(encoding, &String::from_utf8_lossy(id), &mut quoted);
            let behind_id = quoted.len();
            sockjs::quote_into(encoding, &String::from_utf8_lossy(rest), &mut quoted);
            Tail { bytes: quoted.freeze(), behind_id }
        })
    }

    /// How often it was encoded so far: at most once for each form and STOMP version in use, however many received it.
    pub fn encodings(&self) -> u32 {
        self.encoded.load(Ordering::Relaxed)
    }

    /// The tail as STOMP has it, and where its `message-id` ends.
    fn encode(&self, version: Version, transfer: Transfer) -> (BytesMut, usize) {
        let mut out = BytesMut::with_capacity(self.size() + 64);
        out.extend_from_slice(b"message-id:");
        out.extend_from_slice(itoa(self.id).as_bytes());
        out.extend_from_slice(b"\n");
        let behind_id = out.len();
        let mut header = |name: &str, value: &str| {
            stomp::escape_name_into(name, version, &mut out);
            out.extend_from_slice(b":");
            stomp::escape_value_into(value, version, &mut out);
            out.extend_from_slice(b"\n");
        };
        header("destination", &self.destination);
        for (name, value) in self.headers.iter() {
            header(name, value);
        }
        let encoded;
        let body: &[u8] = match transfer {
            Transfer::AsIs => &self.body,
            Transfer::Base64 => {
                header(TRANSFER_ENCODING, "base64");
                encoded = BASE64.encode(&self.body);
                encoded.as_bytes()
            }
        };
        if !body.is_empty() {
            header("content-length", itoa(body.len() as u64).as_str());
        }
        out.extend_from_slice(b"\n");
        out.extend_from_slice(body);
        out.extend_from_slice(b"\0");
        (out, behind_id)
    }
}

impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication")
            .field("id", &self.id)
            .field("destination", &self.destination)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Form {
    const COUNT: usize = 4;

    fn index(self) -> usize {
        match self {
            Self::Raw => 0,
            Self::Quoted(Encoding::Json) => 1,
            Self::Quoted(Encoding::EventStream) => 2,
            Self::Quoted(Encoding::Script) => 3,
        }
    }
}

enum Transfer {
    AsIs,
    Base64,
}

fn itoa(number: u64) -> String {
    number.to_string()
}
