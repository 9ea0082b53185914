//! Checks of anyone's SockJS or STOMP server against the rules of these protocols. A check is a [`Rule`], which says what is
//! demanded and why, and a function that looks; [`run`] runs those that were chosen, a few at a time, and gives a [`Report`].
//! Every check ends by itself and says what it saw against what it wanted, with a line that shows the same to whoever repeats
//! it.
//!
//! Does not know: towpath's own server, or how a report is printed.

mod choice;
mod outcome;
pub mod report;
mod rule;
mod run;
pub mod sockjs;
pub mod stomp;

pub use choice::Choice;
pub use outcome::{Failure, Outcome, Report, Score, Stop, Verdict};
pub use rule::{Level, Rule};
pub use run::{Check, Looking, Options, run};
