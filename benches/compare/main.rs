//! Towpath beside the controls.
#![forbid(unsafe_code)]

#[path = "../controls/mod.rs"]
mod controls;
mod support {
    pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
}

fn main() -> support::Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|a| a == "--control") {
        return controls::serve(&args[1]);
    }
    Ok(())
}
