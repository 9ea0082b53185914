//! What a command does only where somebody looks on: colours, and a line that tells how far it is.
//!
//! Does not know: what is told.

use std::env;
use std::io::{self, ErrorKind, IsTerminal, Write as _};

/// Columns of the line of progress: more than a terminal has would leave rests of it behind.
const WIDTH: usize = 78;

/// Whether what is printed there may have colours: it is a terminal that can show them, and the user has not said otherwise
/// with `NO_COLOR`.
pub fn colours(stream: &impl IsTerminal) -> bool {
    let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    wanted && can_move(stream)
}

/// Prints to standard output. A reader that has seen enough and hung up, such as `head`, is no error.
///
/// # Errors
///
/// Standard output cannot be written to.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// One line on standard error that is written over again and again, and gone at the end. Without a terminal there is none.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
}

impl Progress {
    /// The line, still empty.
    pub fn new() -> Self {
        Self { shown: can_move(&io::stderr()) }
    }

    /// Puts this text in place of what is there.
    pub fn show(&mut self, text: &str) {
        if self.shown {
            let line: String = text.chars().filter(|c| !c.is_control()).take(WIDTH).collect();
            eprint!("\r\x1b[2K{line}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            eprint!("\r\x1b[2K");
        }
    }
}

/// Whether it is a terminal that knows escapes.
fn can_move(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}
