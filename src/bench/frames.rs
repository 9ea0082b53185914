//! Websocket frames as this client reads and writes them: looked at where they lie, written with one mask.
//!
//! Does not know: what the payloads say.

use super::fault::Fault;

/// The mask of every frame that is sent. Any will do for a server; that it is not zero makes the server do its work.
pub(super) const MASK: [u8; 4] = [0x5a, 0x17, 0xc3, 0x68];

/// The largest payload of one frame that is taken.
pub(super) const LARGEST: usize = 8 << 20;

/// A frame that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) last: bool,
    pub(super) opcode: u8,
    pub(super) payload: &'a [u8],
    /// Bytes with the header.
    pub(super) length: usize,
}

/// Opcodes of RFC 6455, section 5.2.
pub(super) const CONTINUATION: u8 = 0;
pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// The frame at the beginning of the input; `None` if it is not whole yet.
///
/// # Errors
///
/// It is masked, uses bits that nothing was agreed on for, or is larger than [`LARGEST`].
pub(super) fn parse(input: &[u8]) -> Result<Option<Frame<'_>>, Fault> {
    let [first, second, rest @ ..] = input else { return Ok(None) };
    if first & 0x70 != 0 || second & 0x80 != 0 {
        return Err(Fault::garbage("a websocket frame that a server may not send", input));
    }
    let (header, size) = match (second, rest) {
        (126, [a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
        (127, [a, b, c, d, e, f, g, h, ..]) => (10, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])),
        (126 | 127, _) => return Ok(None),
        (small, _) => (2, u64::from(*small)),
    };
    let size =
        usize::try_from(size).ok().filter(|size| *size <= LARGEST).ok_or(Fault::TooLarge("a websocket frame"))?;
    let payload = input.get(header..header + size);
    Ok(payload.map(|payload| Frame { last: first & 0x80 != 0, opcode: first & 0x0f, payload, length: header + size }))
}

/// Appends a frame as a client sends it; gives where in `out` its payload begins.
pub(super) fn write(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) -> usize {
    out.push(0x80 | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => out.push(0x80 | short),
        (_, Ok(medium)) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let begin = out.len();
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    begin
}

/// How the words of a close frame begin that says that all is well (RFC 6455, section 7.4.1).
pub(super) const NORMAL: &str = "websocket close 1000";

/// What a close frame says, in words.
pub(super) fn close_words(payload: &[u8]) -> String {
    match payload {
        [a, b, reason @ ..] => {
            let reason: String = String::from_utf8_lossy(reason).chars().filter(|c| !c.is_control()).collect();
            format!("websocket close {} {reason}", u16::from_be_bytes([*a, *b])).trim_end().to_owned()
        }
        _ => "websocket close without a code".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut masked = Vec::new();
        let begin = write(&mut masked, opcode, payload);
        let mut frame = masked[..begin - 4].to_vec();
        frame[1] &= 0x7f;
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn frames_of_every_length_come_whole_or_not_at_all() {
        for size in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
            let payload = vec![b'p'; size];
            let bytes = served(TEXT, &payload);
            let frame = parse(&bytes).unwrap().unwrap();
            assert_eq!((frame.last, frame.opcode, frame.payload), (true, TEXT, &payload[..]), "{size}");
            assert_eq!(frame.length, bytes.len());
            for cut in [0, 1, 2, 3, 9, bytes.len() - 1] {
                assert_eq!(parse(&bytes[..cut.min(bytes.len() - 1)]), Ok(None), "{size} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_no_server_may_send_is_a_fault() {
        assert!(matches!(parse(&[0x81, 0x80, 0, 0, 0, 0]), Err(Fault::Garbage(_))), "a mask");
        assert!(matches!(parse(&[0xc1, 0x00]), Err(Fault::Garbage(_))), "a reserved bit");
        let endless = [[0x81, 127].as_slice(), &u64::MAX.to_be_bytes()].concat();
        assert_eq!(parse(&endless), Err(Fault::TooLarge("a websocket frame")));
    }

    #[test]
    fn a_close_is_told_in_words() {
        assert_eq!(close_words(b"\x03\xe8bye"), format!("{NORMAL} bye"));
        assert_eq!(close_words(b""), "websocket close without a code");
    }
}
