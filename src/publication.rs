//! One published message, shared by all who receive it. It encodes itself lazily and once for each form in which anyone
//! needs it: a thousand subscribers on the same kind of transport cost one encoding. What differs per subscriber, the
//! `subscription` header, stands first in a MESSAGE frame so that all the rest, the *tail*, can be shared; quoting works
//! character by character, so a quoted head and a quoted tail make a quoted frame.
//!
//! Does not know: sessions, subscriptions, or where the message goes.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

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

/// A message published to a destination.
pub struct Publication {
    id: u64,
    destination: Box<str>,
    headers: Headers,
    body: Bytes,
    text: bool,
    /// Whether no header needs escaping, so that every STOMP version has the same tail.
    plain: bool,
    tails: [OnceLock<Bytes>; Form::COUNT],
    /// Tails for the versions other than 1.2, where they differ.
    older: OnceLock<Box<[[OnceLock<Bytes>; Form::COUNT]; 2]>>,
    encoded: AtomicU32,
}

impl Publication {
    /// A publication with the user headers of its SEND. `id` becomes the `message-id` and must be unique in the broker.
    pub fn new(id: u64, destination: &str, headers: Headers, body: Bytes) -> Self {
        let text = std::str::from_utf8(&body).is_ok();
        let special = |text: &str| text.bytes().any(|byte| matches!(byte, b':' | b'\\' | b'\r' | b'\n'));
        let plain = !special(destination) && !headers.iter().any(|(name, value)| special(name) || special(value));
        Self {
            id,
            destination: destination.into(),
            headers,
            body,
            text,
            plain,
            tails: Default::default(),
            older: OnceLock::new(),
            encoded: AtomicU32::new(0),
        }
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
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        self.destination.len() + headers + self.body.len() + 64
    }

    /// Everything of the MESSAGE frame behind the `subscription` header, NUL included.
    pub fn tail(&self, version: Version, form: Form) -> &Bytes {
        let row = match version {
            _ if self.plain => &self.tails,
            Version::V1_2 => &self.tails,
            Version::V1_1 => &self.older.get_or_init(Default::default)[1],
            Version::V1_0 => &self.older.get_or_init(Default::default)[0],
        };
        row[form.index()].get_or_init(|| {
            self.encoded.fetch_add(1, Ordering::Relaxed);
            metrics::publication_encoded();
            match form {
                Form::Raw => self.encode(version, Transfer::AsIs).freeze(),
                Form::Quoted(encoding) => {
                    let transfer = if self.text { Transfer::AsIs } else { Transfer::Base64 };
                    let raw = self.encode(version, transfer);
                    let mut quoted = BytesMut::with_capacity(raw.len() + raw.len() / 8 + 16);
                    // With a text body, or a base64 one, the whole tail is UTF-8: headers always are.
                    sockjs::quote_into(encoding, &String::from_utf8_lossy(&raw), &mut quoted);
                    quoted.freeze()
                }
            }
        })
    }

    /// How often it was encoded so far: at most once for each form and STOMP version in use, however many received it.
    pub fn encodings(&self) -> u32 {
        self.encoded.load(Ordering::Relaxed)
    }

    fn encode(&self, version: Version, transfer: Transfer) -> BytesMut {
        let mut out = BytesMut::with_capacity(self.size() + 64);
        let mut header = |name: &str, value: &str| {
            stomp::escape_name_into(name, version, &mut out);
            out.extend_from_slice(b":");
            stomp::escape_value_into(value, version, &mut out);
            out.extend_from_slice(b"\n");
        };
        header("destination", &self.destination);
        header("message-id", itoa(self.id).as_str());
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
        out
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
