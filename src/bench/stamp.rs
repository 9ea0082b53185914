//! What stands at the beginning of every body: who sent it, the how manieth of the sender's it is, and when it was due or sent;
//! and messages made beforehand, in which only this changes.
//!
//! Does not know: clocks, or what carries the bodies.

use super::fault::Fault;
use super::frames::MASK;

/// Bytes of a stamp, and so the least that a body may have.
pub(super) const LENGTH: usize = 24;

/// Hexadecimal digits of each part.
const RUN: usize = 2;
const SENDER: usize = 5;
const NUMBER: usize = 8;
const TIME: usize = 9;

/// What fills a body up.
const FILLING: u8 = b'x';

/// The beginning of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Which run it is of, so that what an earlier one left in a queue is not taken for ours.
    pub(super) run: u8,
    /// The sender, below 2^20.
    pub(super) sender: u32,
    /// The number among the sender's, from 0.
    pub(super) number: u32,
    /// Microseconds since the run began, below 2^36.
    pub(super) time: u64,
}

impl Stamp {
    fn digits(self) -> [u8; LENGTH] {
        let mut digits = [0; LENGTH];
        let parts = [
            (RUN, u64::from(self.run)),
            (SENDER, u64::from(self.sender)),
            (NUMBER, u64::from(self.number)),
            (TIME, self.time),
        ];
        let mut places = digits.iter_mut();
        for (length, part) in parts {
            for place in (0..length).rev() {
                let digit = ((part >> (4 * place)) & 15) as u8;
                if let Some(to) = places.next() {
                    *to = if digit < 10 { b'0' + digit } else { b'a' - 10 + digit };
                }
            }
        }
        digits
    }

    /// Reads a body of that size.
    ///
    /// # Errors
    ///
    /// [`Fault::Foreign`]: nobody here sent that.
    pub(super) fn read(body: &[u8], size: usize) -> Result<Self, Fault> {
        let (stamp, filling) = body.split_at_checked(LENGTH).ok_or(Fault::Foreign)?;
        if body.len() != size || !filling.iter().all(|byte| *byte == FILLING) {
            return Err(Fault::Foreign);
        }
        let mut digits = stamp.iter();
        let mut part = |length: usize| {
            digits.by_ref().take(length).try_fold(0, |sum, digit| {
                let digit = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return Err(Fault::Foreign),
                };
                Ok(sum << 4 | u64::from(digit))
            })
        };
        // None of these can be larger than its digits.
        Ok(Self {
            run: part(RUN)? as u8,
            sender: part(SENDER)? as u32,
            number: part(NUMBER)? as u32,
            time: part(TIME)?,
        })
    }
}

/// A body of that size whose stamp is still to be set.
pub(super) fn body(size: usize) -> String {
    char::from(FILLING).to_string().repeat(size)
}

/// A message as it goes over the wire, made beforehand but for its stamp.
#[derive(Debug, Clone)]
pub(super) struct Message {
    bytes: Vec<u8>,
    /// Where the stamp stands.
    at: usize,
    /// Where the masked payload begins, if it is masked.
    masked_from: Option<usize>,
}

impl Message {
    /// A message whose stamp stands at that place of its bytes.
    pub(super) fn new(bytes: Vec<u8>, at: usize, masked_from: Option<usize>) -> Self {
        Self { bytes, at, masked_from }
    }

    /// The bytes with that stamp.
    pub(super) fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        let mut digits = stamp.digits();
        if let Some(from) = self.masked_from {
            let mask = MASK.iter().cycle().skip((self.at - from) % MASK.len());
            digits.iter_mut().zip(mask).for_each(|(digit, mask)| *digit ^= mask);
        }
        if let Some(place) = self.bytes.get_mut(self.at..self.at + LENGTH) {
            place.copy_from_slice(&digits);
        }
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::frames;

    const STAMP: Stamp = Stamp { run: 0xa7, sender: 0xf_ffff, number: u32::MAX, time: (1 << 36) - 1 };

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        for stamp in [
            STAMP,
            Stamp { run: 0, sender: 0, number: 0, time: 0 },
            Stamp { run: 1, sender: 99_999, number: 1_000_000, time: 3_600_000_000 },
        ] {
            for size in [LENGTH, 64, 4096] {
                let mut message = Message::new(body(size).into_bytes(), 0, None);
                assert_eq!(Stamp::read(message.stamped(stamp), size), Ok(stamp));
            }
        }
    }

    #[test]
    fn a_masked_message_is_stamped_under_its_mask() {
        for text in ["", "a", "[\"", "SEND\n\n\n"] {
            let mut bytes = vec![1, 2, 3];
            let text = format!("{text}{}", body(40));
            let from = frames::write(&mut bytes, frames::TEXT, text.as_bytes());
            let at = from + text.len() - 40;
            let mut message = Message::new(bytes, at, Some(from));
            let stamped = message.stamped(STAMP);
            let plain: Vec<u8> =
                stamped[from..].iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            assert_eq!(Stamp::read(&plain[text.len() - 40..], 40), Ok(STAMP));
            assert!(plain.starts_with(&text.as_bytes()[..text.len() - 40]));
        }
    }

    #[test]
    fn what_is_not_as_it_was_sent_is_nobodys() {
        let mut message = Message::new(body(40).into_bytes(), 0, None);
        let good = message.stamped(STAMP).to_vec();
        assert!(Stamp::read(&good, 40).is_ok());
        for wrong in
            [&good[..39], &[&good[..], b"x"].concat(), &[b"G", &good[1..]].concat(), &[&good[..39], b"y"].concat(), b""]
        {
            assert_eq!(Stamp::read(wrong, 40), Err(Fault::Foreign));
        }
    }
}
