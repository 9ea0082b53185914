//! What was said in a check, by whom, as somebody needs it who wants to see the same: line by line, and for TCP the shell line that
//! says it again and a dump of the last bytes that came.
//!
//! Does not know: what should have been said.

use std::fmt::Write as _;
use std::sync::Arc;

use parking_lot::Mutex;

use super::carrier::Carrier;
use crate::wire::{Target, hex_dump};

/// Bytes of one entry that are shown.
const SHOWN: usize = 700;
/// Entries that are kept; what is beyond is counted only.
const ENTRIES: usize = 120;
/// Bytes that the shell line may have.
const SHELL: usize = 4000;

/// A transcript, shared by the conversations of one check.
#[derive(Clone, Default)]
pub(super) struct Transcript {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    entries: Vec<Entry>,
    more: usize,
    speakers: u8,
}

struct Entry {
    speaker: u8,
    what: What,
}

enum What {
    Sent(String),
    Came(String, Vec<u8>),
    Note(String),
}

impl Transcript {
    /// A new speaker, in the order of their coming.
    pub fn speaker(&self) -> u8 {
        let mut inner = self.inner.lock();
        inner.speakers = inner.speakers.saturating_add(1);
        inner.speakers - 1
    }

    /// Bytes that were sent. A passcode among them is not kept.
    pub fn sent(&self, speaker: u8, bytes: &[u8], passcode: Option<&str>) {
        let mut text = escaped(bytes.get(..SHOWN.min(bytes.len())).unwrap_or_default());
        if let Some(passcode) = passcode.filter(|passcode| !passcode.is_empty()) {
            text = text.replace(&format!("passcode:{}", escaped(passcode.as_bytes())), "passcode:***");
        }
        if bytes.len() > SHOWN {
            let _ = write!(text, "... ({} bytes in all)", bytes.len());
        }
        self.push(speaker, What::Sent(text));
    }

    /// Bytes that came.
    pub fn came(&self, speaker: u8, bytes: &[u8]) {
        let head = bytes.get(..SHOWN.min(bytes.len())).unwrap_or_default();
        let mut text = escaped(head);
        if bytes.len() > SHOWN {
            let _ = write!(text, "... ({} bytes in all)", bytes.len());
        }
        self.push(speaker, What::Came(text, head.to_vec()));
    }

    /// Something else that happened.
    pub fn note(&self, speaker: u8, text: impl Into<String>) {
        self.push(speaker, What::Note(text.into()));
    }

    fn push(&self, speaker: u8, what: What) {
        let mut inner = self.inner.lock();
        match inner.entries.len() < ENTRIES {
            true => inner.entries.push(Entry { speaker, what }),
            false => inner.more += 1,
        }
    }

    /// All of it, for a report.
    pub fn show(&self, carrier: Carrier, target: &Target) -> String {
        let inner = self.inner.lock();
        let mut text = String::new();
        for Entry { speaker, what } in &inner.entries {
            let name = char::from(b'A' + speaker % 26);
            let _ = match what {
                What::Sent(sent) => writeln!(text, "{name} > {sent}"),
                What::Came(came, _) => writeln!(text, "{name} < {came}"),
                What::Note(note) => writeln!(text, "{name}   {note}"),
            };
        }
        if inner.more > 0 {
            let _ = writeln!(text, "and {} more", inner.more);
        }
        if carrier == Carrier::Tcp {
            if let Some(line) = inner.shell(target) {
                let _ = writeln!(text, "{line}");
            }
            let last = inner.entries.iter().rev().find_map(|entry| match &entry.what {
                What::Came(_, bytes) => Some(bytes),
                _ => None,
            });
            if let Some(bytes) = last {
                let _ = write!(text, "the last bytes that came:\n{}", hex_dump(bytes));
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl Inner {
    /// A line that sends the same, if there was one speaker who sent so little that it fits.
    fn shell(&self, target: &Target) -> Option<String> {
        if self.speakers != 1 || self.more > 0 || target.is_secure() {
            return None;
        }
        let mut line = String::from("(");
        for entry in &self.entries {
            if let What::Sent(text) = &entry.what {
                if text.contains("bytes in all)") || text.contains("passcode:***") {
                    return None;
                }
                let _ = write!(line, "printf '{text}'; sleep 0.3; ");
            }
        }
        let _ = write!(line, "sleep 2) | nc {} {}", target.host(), target.port());
        (line.len() < SHELL).then_some(line)
    }
}

/// Bytes as `printf` of a POSIX shell takes them between single quotes.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    for &byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\\' => text.push_str("\\\\"),
            b'%' => text.push_str("%%"),
            b'\'' => text.push_str("\\047"),
            0x20..0x7f => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\{byte:03o}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_can_be_said_again_and_hides_the_passcode() {
        let target = Target::bare("tcp://127.0.0.1:61613").unwrap();
        let transcript = Transcript::default();
        let speaker = transcript.speaker();
        transcript.sent(speaker, b"SEND\nx:it's 5%\\n\n\n\0", None);
        transcript.came(speaker, b"ERROR\n\n\0");
        transcript.note(speaker, "the end");
        let lines = transcript.show(Carrier::Tcp, &target);
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(lines[0], r"A > SEND\nx:it\047s 5%%\\n\n\n\000");
        assert_eq!(lines[1..3], [r"A < ERROR\n\n\000", "A   the end"]);
        assert!(lines[3].starts_with(r"(printf 'SEND\nx:it\047s") && lines[3].ends_with("| nc 127.0.0.1 61613"));
        assert!(lines[5].starts_with("0000  45 52 52"), "{lines:?}");

        transcript.sent(transcript.speaker(), b"CONNECT\nlogin:a\npasscode:s3cret\n\n\0", Some("s3cret"));
        let shown = transcript.show(Carrier::Tcp, &target);
        assert!(shown.contains(r"B > CONNECT\nlogin:a\npasscode:***\n\n\000") && !shown.contains("s3cret"), "{shown}");
        assert!(!shown.contains("| nc"));
        assert!(!transcript.show(Carrier::WebSocket, &target).contains("0000  "));
    }
}
