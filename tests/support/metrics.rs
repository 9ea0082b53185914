//! Reads what the gateway counts.
//!
//! Does not know: which counters there are; their names are in the library's `metrics` module.

use std::cell::RefCell;
use std::collections::HashMap;

use metrics::LocalRecorderGuard;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// Records the counters of everything that happens on this thread for as long as it lives. Make it before the gateway,
/// which looks some counters up when it starts, and use a current-thread runtime.
pub struct Meter {
    snapshotter: Snapshotter,
    counted: RefCell<HashMap<String, u64>>,
    _recording: LocalRecorderGuard<'static>,
}

impl Meter {
    /// Begins to record.
    pub fn install() -> Self {
        // A few hundred bytes for each test that counts; the guard may then live as long as it likes.
        let recorder: &'static DebuggingRecorder = Box::leak(Box::new(DebuggingRecorder::new()));
        Self {
            snapshotter: recorder.snapshotter(),
            counted: RefCell::default(),
            _recording: metrics::set_default_local_recorder(recorder),
        }
    }

    /// The value of a counter with exactly these labels; 0 if it was never touched.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.read();
        self.counted.borrow().get(&key(name, labels.iter().copied())).copied().unwrap_or(0)
    }

    /// How often the limit of that configuration key refused something.
    pub fn limit_reached(&self, limit: &str) -> u64 {
        self.counter("towpath_limit_reached_total", &[("limit", limit)])
    }

    /// A snapshot sets counters back to zero, so their sum is kept here. (Gauges it sets back too, which spoils them.)
    fn read(&self) {
        let mut counted = self.counted.borrow_mut();
        for (composite, _, _, value) in self.snapshotter.snapshot().into_vec() {
            if let DebugValue::Counter(count) = value {
                let labels = composite.key().labels().map(|label| (label.key(), label.value()));
                *counted.entry(key(composite.key().name(), labels)).or_default() += count;
            }
        }
    }
}

fn key<'l>(name: &str, labels: impl Iterator<Item = (&'l str, &'l str)>) -> String {
    let mut labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    labels.sort();
    format!("{name}{{{}}}", labels.join(","))
}
