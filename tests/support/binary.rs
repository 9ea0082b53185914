//! The `towpath` command as a process.
//!
//! Does not know: what is asked of it.

// Each target that includes this uses a part of it.
#![allow(dead_code)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The command with these arguments, in an environment without settings for it.
pub fn towpath(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // What stands in the environment of whoever runs the tests is none of theirs.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TOWPATH_")) {
        command.env_remove(name);
    }
    command
}

/// A running gateway; ends with the test.
pub struct Running {
    pub child: Child,
    pub address: SocketAddr,
    /// What it said when it began.
    pub printed: String,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the binary is built");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        // The last line it prints says how to stop it; before that nobody may hang up.
        let mut printed = String::new();
        for line in lines {
            printed.push_str(&line);
            printed.push('\n');
            if line.contains("Ctrl-C") {
                break;
            }
        }
        let address = printed.split_whitespace().find_map(|word| word.parse().ok()).expect("it says where it listens");
        Self { child, address, printed }
    }

    /// The whole answer to a GET.
    pub fn get(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens where it says");
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
