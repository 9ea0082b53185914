//! Durations and sizes as people write them: `"25s"`, `"128KiB"`; both ways, so that documents and messages show what a
//! file would say.
//!
//! Does not know: which setting it reads, what range that setting allows.

use std::time::Duration;

use bytesize::ByteSize;

/// Bytes in a KiB.
pub(super) const KIB: usize = 1024;
/// Bytes in a MiB.
pub(super) const MIB: usize = 1024 * KIB;
/// Bytes in a GiB.
pub(super) const GIB: usize = 1024 * MIB;

/// Reads a duration such as `25s`, `500ms` or `1m 30s`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    // humantime takes a bare `0` without a unit; here every duration has one.
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    humantime::parse_duration(text).ok()
}

/// Writes a duration so that [`parse_duration`] reads the same one.
pub(super) fn show_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Reads a size such as `128KiB`, `4MB` or `512`.
pub(super) fn parse_size(text: &str) -> Option<usize> {
    let size: ByteSize = text.parse().ok()?;
    usize::try_from(size.as_u64()).ok()
}

/// Writes a size so that [`parse_size`] reads the same one: in the largest binary unit that divides it, and a plain
/// number of bytes if none does.
pub(super) fn show_size(bytes: usize) -> String {
    for (unit, name) in [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_carry_a_unit() {
        assert_eq!(parse_duration("25s"), Some(Duration::from_secs(25)));
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(parse_duration("0s"), Some(Duration::ZERO));
        for text in ["", "0", "25", "s", "25 parsecs", "-5s"] {
            assert!(parse_duration(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_bytes_without_a_unit() {
        assert_eq!(parse_size("4096"), Some(4096));
        assert_eq!(parse_size("128KiB"), Some(128 * 1024));
        assert_eq!(parse_size("4MB"), Some(4_000_000));
        for text in ["", "KiB", "12 furlongs", "-1"] {
            assert!(parse_size(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_divides_them() {
        assert_eq!(show_size(128 * KIB), "128KiB");
        assert_eq!(show_size(MIB), "1MiB");
        assert_eq!(show_size(MIB + 64 * KIB), "1088KiB");
        assert_eq!(show_size(1000), "1000");
    }

    proptest! {
        #[test]
        fn a_shown_duration_reads_as_itself(millis in 0..10_000_000_000u64) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }

        #[test]
        fn a_shown_size_reads_as_itself(number in 0..5000usize, unit in prop::sample::select(vec![1, KIB, MIB])) {
            prop_assert_eq!(parse_size(&show_size(number * unit)), Some(number * unit));
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in ".{0,24}") {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }
    }
}
