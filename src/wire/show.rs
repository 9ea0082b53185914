//! Bytes as people read them: one line for a finding, a dump for what has to be seen byte by byte.
//!
//! Does not know: what the bytes mean.

use std::fmt::Write as _;

/// Bytes of a text that are shown before it is cut.
const LINE: usize = 200;
/// Bytes that a dump shows.
const DUMP: usize = 512;

/// Bytes in one line: as text in quotation marks, with escapes for what cannot be seen, and cut where it is long.
pub fn shown(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let (head, rest) = bytes.split_at(bytes.len().min(LINE));
    let mut line = String::from("\"");
    for chunk in head.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\0' => line.push_str("\\0"),
                '"' => line.push('"'),
                '\n' | '\r' | '\t' => line.extend(c.escape_default()),
                c if c.is_control() || !c.is_ascii() && !c.is_alphanumeric() => line.extend(c.escape_unicode()),
                c => line.push(c),
            }
        }
        // A character that the cut goes through is no invalid one, but it cannot be shown either.
        for byte in chunk.invalid() {
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
    line.push('"');
    if !rest.is_empty() {
        let _ = write!(line, " and {} more bytes", rest.len());
    }
    line
}

/// Bytes sixteen a line, with their place, in hexadecimal and as ASCII, and cut where there are many.
pub fn hex_dump(bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (row, line) in bytes.chunks(16).enumerate().take(DUMP / 16) {
        let _ = write!(dump, "{:04x} ", row * 16);
        for column in 0..16 {
            match line.get(column) {
                Some(byte) => {
                    let _ = write!(dump, " {byte:02x}");
                }
                None => dump.push_str("   "),
            }
        }
        let text = line.iter().map(|&byte| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' });
        let _ = writeln!(dump, "  {}", text.collect::<String>());
    }
    if bytes.len() > DUMP {
        let _ = writeln!(dump, "... and {} more bytes", bytes.len() - DUMP);
    }
    dump
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_shows_what_cannot_be_seen() {
        assert_eq!(shown("a[\"é\n\0\u{2028}\"]"), "\"a[\"é\\n\\0\\u{2028}\"]\"");
        assert_eq!(shown([0xff, b'a']), "\"\\xffa\"");
        assert_eq!(shown([b'h'; 2049]), format!("\"{}\" and 1849 more bytes", "h".repeat(200)));
    }

    #[test]
    fn a_dump_has_the_bytes_and_the_text() {
        let dump = hex_dump(b"SEND\n\n\0 0123456789abcdef");
        let lines: Vec<_> = dump.lines().collect();
        assert_eq!(lines[0], "0000  53 45 4e 44 0a 0a 00 20 30 31 32 33 34 35 36 37  SEND... 01234567");
        assert_eq!(lines[1], format!("0010  38 39 61 62 63 64 65 66{}  89abcdef", "   ".repeat(8)));
        assert!(hex_dump(&[0; 600]).ends_with("... and 88 more bytes\n"));
    }
}
