//! What the benches share. A bench is a small program without a framework that prints tables.
//!
//! Does not know: what any of the benches measures.

pub mod table;

use std::error::Error;

/// What a bench comes to. Whatever goes wrong ends it: there is nothing to save.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Whether this program was started with one of these arguments. `cargo test --all-targets` starts benches, too, and does not
/// want the load; it gets a word of explanation.
pub fn asked_for(arguments: &[&str]) -> bool {
    let asked = std::env::args().any(|argument| arguments.contains(&&*argument));
    if !asked {
        println!("a bench puts load on the machine; `cargo bench` runs it");
    }
    asked
}

/// The middle of some figures; the mean of the two in the middle where there is none.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}
