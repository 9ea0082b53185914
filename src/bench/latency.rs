//! How long things took: counted in a histogram of microseconds, told as percentiles.
//!
//! Does not know: what took so long, or from when it was measured.

use hdrhistogram::Histogram;

/// Digits that are kept of each value.
const DIGITS: u8 = 3;
/// Two hours: longer than a run. What is longer counts as that.
const LONGEST: u64 = 2 * 3600 * 1_000_000;

/// Many durations in microseconds.
#[derive(Debug, Clone)]
pub(super) struct Latency {
    /// `None` only if the histogram could not be made.
    histogram: Option<Histogram<u64>>,
}

impl Latency {
    pub(super) fn new() -> Self {
        Self { histogram: Histogram::new_with_bounds(1, LONGEST, DIGITS).ok() }
    }

    /// Counts one.
    pub(super) fn record(&mut self, microseconds: u64) {
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(microseconds);
        }
    }

    /// What there is to tell; `None` if nothing was counted.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        let at = |quantile| histogram.value_at_quantile(quantile).min(histogram.max());
        Some(Percentiles { count: histogram.len(), p50: at(0.5), p90: at(0.9), p99: at(0.99), max: histogram.max() })
    }
}

/// What is told of many durations, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Percentiles {
    /// How many were counted.
    pub count: u64,
    /// Half of them were not longer.
    pub p50: u64,
    /// Nine of ten were not longer.
    pub p90: u64,
    /// Ninety-nine of a hundred were not longer.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let mut latency = Latency::new();
        assert_eq!(latency.percentiles(), None);
        (1..=100_000).for_each(|microseconds| latency.record(microseconds));
        let found = latency.percentiles().unwrap();
        for (found, expected) in [(found.p50, 50_000), (found.p90, 90_000), (found.p99, 99_000), (found.max, 100_000)] {
            assert!(found.abs_diff(expected) <= expected / 1000, "{found} for {expected}");
        }
        assert_eq!(found.count, 100_000);
    }

    #[test]
    fn the_longest_and_the_shortest_count() {
        let mut latency = Latency::new();
        [0, 3_600_000_000, u64::MAX / 4].into_iter().for_each(|microseconds| latency.record(microseconds));
        assert_eq!(latency.percentiles().map(|found| found.count), Some(3));
    }
}
