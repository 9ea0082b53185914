//! Counts what the metrics facade records while a piece of a test runs.

use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

/// What was recorded.
pub struct Meters(Vec<Recorded>);

/// A counter or gauge: its name, its labels, its value.
type Recorded = (String, Vec<(String, String)>, DebugValue);

/// Runs `body` with a recorder of its own. All counters that `body` makes and increments on this thread are counted.
pub fn record<T>(body: impl FnOnce() -> T) -> (T, Meters) {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let result = metrics::with_local_recorder(&recorder, body);
    let recorded = snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
        assert!(matches!(key.kind(), MetricKind::Counter | MetricKind::Gauge));
        let (name, labels) = key.key().clone().into_parts();
        let labels = labels.iter().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        (name.as_str().to_owned(), labels, value)
    });
    (result, Meters(recorded.collect()))
}

impl Meters {
    /// How often a limit was reached, by its configuration key.
    pub fn limit(&self, key: &str) -> u64 {
        self.count("towpath_limit_reached_total", Some(("limit", key)))
    }

    /// The sum of a counter over all its labels, or over those with that one.
    pub fn count(&self, name: &str, label: Option<(&str, &str)>) -> u64 {
        let wanted = |labels: &[(String, String)]| {
            label.is_none_or(|(key, value)| labels.iter().any(|(k, v)| k == key && v == value))
        };
        let matching = self.0.iter().filter(|(own, labels, _)| own == name && wanted(labels));
        matching.map(|(_, _, value)| if let DebugValue::Counter(count) = value { *count } else { 0 }).sum()
    }

    /// The last value of a gauge.
    pub fn gauge(&self, name: &str) -> f64 {
        let value = self.0.iter().find(|(own, _, _)| own == name).map(|(_, _, value)| value);
        if let Some(DebugValue::Gauge(value)) = value { value.into_inner() } else { 0.0 }
    }
}
