//! The work that one match may still do. Evaluation pays before it looks at anything whose size a stranger chose, so no
//! combination of selector and headers takes longer than the allowance.
//!
//! Does not know: what is paid for.

/// An allowance that is used up.
pub(super) struct Steps {
    left: usize,
}

/// The allowance is used up. Not a truth value: it must end the match, and a NOT around it must not turn it into a match.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// So many bytes are compared, or searched, in about the time in which one header is passed over.
const BYTES_PER_STEP: usize = 8;

impl Steps {
    pub fn new(allowance: usize) -> Self {
        Self { left: allowance }
    }

    /// Pays for so many steps.
    pub fn pay(&mut self, steps: usize) -> Result<(), Exhausted> {
        self.left = self.left.checked_sub(steps).ok_or(Exhausted)?;
        Ok(())
    }

    /// Pays for one look at so many bytes, which takes a step even if they are none.
    pub fn pay_for_bytes(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.pay(1 + bytes / BYTES_PER_STEP)
    }

    #[cfg(test)]
    pub fn left(&self) -> usize {
        self.left
    }
}
