//! What one check has done, so that a failure can be repeated: a line for each step that anyone can follow by hand.
//!
//! Does not know: what the check is about.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::conformance::Stop;

/// Steps that are kept. What a check repeats many times is the same each time.
const MOST: usize = 24;
/// Bytes of a step that are kept: bodies that are all alike need not be shown to their end.
const LONGEST: usize = 8192;

/// The steps of one check, and the older editions of the protocol that it met on its way. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps(Arc<Mutex<Account>>);

#[derive(Debug, Default)]
struct Account {
    lines: Vec<String>,
    left_out: usize,
    vintages: Vec<&'static str>,
}

impl Steps {
    /// Takes a step down.
    pub fn note(&self, line: impl Into<String>) {
        let mut account = self.0.lock();
        if account.lines.len() < MOST {
            account.lines.push(cut(line.into()));
        } else {
            account.left_out += 1;
        }
    }

    /// Notes that something is done as an older edition wants it.
    pub fn vintage(&self, edition: &'static str) {
        let mut account = self.0.lock();
        if !account.vintages.contains(&edition) {
            account.vintages.push(edition);
        }
    }

    /// The demand is not met.
    pub fn fail(&self, seen: impl Into<String>, wanted: impl Into<String>) -> Stop {
        self.explain(Stop::failed(seen, wanted))
    }

    /// A failure, with the steps that led to it.
    pub fn explain(&self, stop: Stop) -> Stop {
        let account = self.0.lock();
        let mut lines = account.lines.join("\n");
        if account.left_out > 0 {
            lines.push_str(&format!("\n# and {} steps more of this kind", account.left_out));
        }
        stop.reproduced_by(lines)
    }

    /// The end of a check that saw nothing wrong.
    pub fn done(&self) -> Result<(), Stop> {
        match &*self.0.lock().vintages {
            [] => Ok(()),
            vintages => Err(Stop::Vintage(vintages.join("; "))),
        }
    }
}

fn cut(mut line: String) -> String {
    let left_out = line.len().saturating_sub(LONGEST);
    if left_out > 0 {
        line.truncate(line.floor_char_boundary(LONGEST));
        line.push_str(&format!("\n# cut here: {left_out} bytes more"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_and_many_lines_are_cut() {
        let steps = Steps::default();
        steps.note("é".repeat(LONGEST));
        for _ in 0..MOST {
            steps.note("more");
        }
        let Stop::Failed(failure) = steps.fail("a", "b") else { panic!("it failed") };
        assert!(failure.reproduce.len() < LONGEST + 500, "{}", failure.reproduce.len());
        assert!(failure.reproduce.contains("# cut here: 8192 bytes more"));
        assert!(failure.reproduce.ends_with("# and 1 steps more of this kind"));
    }
}
