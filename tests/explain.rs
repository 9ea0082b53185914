//! `towpath explain` as whoever writes rules meets it: what it prints, and its exit status for scripts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

const RULES: &str = r#"
[[user]]
name = "root"
password_hash = "$argon2id$v=19$m=16,t=2,p=1$c29tZXNhbHQ$nothing"
roles = ["admin"]

[[rule]]
commands = ["CONNECT"]
who = "users"

[[rule]]
claim = "roles=admin"

[[rule]]
action = "deny"
destination = "/topic/x.secret"

[[rule]]
destination = "/topic/{tenant}.**"
"#;

/// Written once, as tests run side by side.
fn config() -> &'static Path {
    static WRITTEN: OnceLock<PathBuf> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain.toml");
        fs::write(&path, RULES).expect("there is room for a small file");
        path
    })
}

/// The exit status, and what is printed where.
fn explained(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
    command.arg("explain").arg("--config").arg(config()).args(arguments).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().expect("the binary is built");
    let text = |bytes| String::from_utf8(bytes).expect("messages are text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn what_is_allowed_and_what_is_denied_differ_in_the_exit_status() {
    for (arguments, status, verdict) in [
        (&["--command", "CONNECT", "--user", "ann"][..], 0, "Allowed by rule 1."),
        (&["--command", "CONNECT"], 1, "Denied: no rule fits."),
        (&["--command", "SEND", "--destination", "/topic/a"], 1, "Denied: no rule fits."),
        (&["--command", "send", "--destination", "/topic/a", "--user", "root"], 0, "Allowed by rule 2."),
        (&["--command", "SEND", "--destination", "/topic/x.a", "--claim", "tenant=x"], 0, "Allowed by rule 4."),
        (&["--command", "SEND", "--destination", "/topic/x.a", "--claim", "tenant=*"], 1, "Denied: no rule fits."),
        (
            &["--command=SEND", "--destination=/q", "--claim=roles=a", "--claim=roles=admin", "--claim=roles=b"],
            0,
            "Allowed by rule 2.",
        ),
        (
            &["--command", "SUBSCRIBE", "--destination", "/topic/x.*", "--claim", "tenant=x"],
            1,
            "Denied by rule 3, which denies a part of what the pattern matches.",
        ),
    ] {
        let (code, printed, complaints) = explained(arguments);
        assert_eq!(code, Some(status), "{arguments:?}: {printed}{complaints}");
        assert_eq!(printed.lines().last(), Some(verdict), "{arguments:?}: {printed}");
        assert_eq!(complaints, "", "{arguments:?}");
    }
}

#[test]
fn the_rules_are_shown_up_to_the_one_that_decides() {
    let (_, printed, _) = explained(&["--user", "a", "--command", "SUBSCRIBE", "--destination", "/topic/x.*"]);
    let expected = concat!(
        "SUBSCRIBE \"/topic/x.*\" by \"a\"\n",
        "rule 1: action = \"allow\", commands = [\"CONNECT\"], who = \"users\"\n",
        "    does not fit: it is about other commands\n",
        "rule 2: action = \"allow\", claim = \"roles=admin\"\n",
        "    does not fit: the client does not have the claim\n",
        "rule 3: action = \"deny\", destination = \"/topic/x.secret\"\n",
        "    decides: it denies a part of what the pattern matches\n",
        "The rules behind it are not asked.\n",
        "Denied by rule 3, which denies a part of what the pattern matches.\n",
    );
    assert_eq!(printed, expected);
}

#[test]
fn a_question_without_sense_is_refused_with_the_mend() {
    for (arguments, mend) in [
        (&["--command", "SEND"][..], "--destination"),
        (&["--command", "CONNECT", "--destination", "/topic/a"], "CONNECT has no destination"),
        (&["--command", "ACK", "--destination", "/topic/a"], "CONNECT, SEND, SUBSCRIBE"),
        (&["--command", "SEND", "--destination", "/topic/a", "--claim", "admin"], "NAME=VALUE"),
        (&["--destination", "/topic/a"], "--command"),
        (&["--command", "CONNECT", "--config", "no/such/file.toml"], "--config"),
    ] {
        let (code, printed, complaints) = explained(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {printed}");
        assert!(complaints.contains(mend) && printed.is_empty(), "{arguments:?}: {complaints}");
    }
}
