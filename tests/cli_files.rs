//! What the `towpath` command makes of files and variables: it begins one for a new user, hashes a password for it, and lets the
//! environment win over it.

#[path = "support/binary.rs"]
mod binary;

use binary::{Running, towpath};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Runs a command to its end: its status, what it printed, and what it said went wrong.
fn done(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary is built");
    let text = |bytes| String::from_utf8(bytes).expect("messages are text");
    (status.code(), text(stdout), text(stderr))
}

/// An address at which no gateway can run: one that should not even try ends with another message then, and the test with it.
fn taken() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it has one").to_string();
    (listener, address)
}

/// An empty folder of that name.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("there is room for a folder");
    folder
}

fn init(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let arguments: Vec<&str> = ["init"].iter().chain(arguments).copied().collect();
    let mut command = towpath(&arguments);
    command.current_dir(folder);
    done(command)
}

/// The secrets in a file that `init` wrote.
fn secrets(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("it is there");
    let keys = text.lines().filter_map(|line| line.split_once(" = \""));
    let secrets = keys.filter(|(key, _)| ["secret", "token"].contains(key));
    secrets.map(|(_, value)| value.trim_end_matches('"').to_owned()).collect()
}

fn check(path: &Path) -> (Option<i32>, String, String) {
    done(towpath(&["check", path.to_str().unwrap()]))
}

#[test]
fn init_writes_a_file_with_fresh_secrets_and_says_what_comes_next() {
    let folder = folder("init");
    let (status, printed, _) = init(&folder, &[]);
    assert_eq!(status, Some(0));
    assert!(printed.contains("  towpath --config towpath.toml\n"), "{printed}");
    let path = folder.join("towpath.toml");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "it holds secrets");
    }
    assert_eq!(init(&folder, &["other.toml"]).0, Some(0));
    let all: Vec<String> = secrets(&path).into_iter().chain(secrets(&folder.join("other.toml"))).collect();
    assert_eq!(all.len(), 6);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 6, "each is another one");
    for secret in &all {
        // 32 bytes in base64.
        assert!(secret.len() == 43 && !printed.contains(secret.as_str()), "{secret}");
    }
    let (status, printed, message) = check(&path);
    assert_eq!(status, Some(0), "{message}");
    assert!(!all.iter().any(|secret| printed.contains(secret.as_str())), "{printed}");
}

#[test]
fn init_replaces_a_file_only_if_it_is_told_to() {
    let folder = folder("init-again");
    let path = folder.join("towpath.toml");
    fs::write(&path, "mine").unwrap();
    let (status, _, message) = init(&folder, &[]);
    assert_eq!(status, Some(2));
    assert!(message.contains("towpath.toml is there already") && message.contains("--force"), "{message}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(init(&folder, &["--force"]).0, Some(0));
    assert_eq!(secrets(&path).len(), 3);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "whatever the old one had");
    }
    let (status, _, message) = init(&folder, &["no/such/folder.toml"]);
    assert_eq!(status, Some(2));
    assert!(message.contains("cannot write no/such/folder.toml: "), "{message}");
    let (status, _, message) = init(&folder, &["--force", "."]);
    assert_eq!(status, Some(2));
    assert!(message.contains("cannot replace .: "), "{message}");
}

#[test]
fn a_gateway_with_the_file_of_init_works_at_once() {
    let folder = folder("init-works");
    assert_eq!(init(&folder, &[]).0, Some(0));
    let path = folder.join("towpath.toml");
    let gateway = Running::start(towpath(&["--config", path.to_str().unwrap(), "--listen", "127.0.0.1:0"]));
    assert!(gateway.get("/").contains("<title>"));
    assert!(gateway.get("/stomp").ends_with("Welcome to SockJS!\n"));
}

/// What is a comment in the file that `init` writes is meant to be uncommented.
#[test]
fn what_init_comments_out_is_good_as_well() {
    let folder = folder("init-uncommented");
    assert_eq!(init(&folder, &[]).0, Some(0));
    let path = folder.join("towpath.toml");
    let text = fs::read_to_string(&path).unwrap();
    let is_toml =
        |line: &str| line.starts_with("[[") || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let uncommented: Vec<&str> =
        text.lines().map(|line| line.strip_prefix("# ").filter(|bare| is_toml(bare)).unwrap_or(line)).collect();
    for header in ["[[user]]", "[[app]]"] {
        assert!(!text.lines().any(|line| line == header) && uncommented.contains(&header), "{header}");
    }
    fs::write(&path, uncommented.join("\n")).unwrap();
    let (status, _, message) = check(&path);
    assert_eq!(status, Some(0), "{message}");
}

#[test]
fn a_password_is_hashed_for_a_user() {
    let hash = |input: &[u8]| {
        let mut child = towpath(&["hash-password"]).stdin(Stdio::piped()).spawn().expect("the binary is built");
        child.stdin.take().unwrap().write_all(input).unwrap();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    };
    let path = folder("hashed").join("towpath.toml");
    for input in [&b"correct horse\n"[..], b"correct horse", b"correct horse\r\nsecond line\n"] {
        let (status, printed, message) = hash(input);
        assert_eq!((status, message.as_str()), (Some(0), ""));
        assert!(printed.starts_with("$argon2id$") && printed.lines().count() == 1, "{printed}");
        fs::write(&path, format!("[[user]]\nname = \"ann\"\npassword_hash = \"{}\"\n", printed.trim_end())).unwrap();
        assert_eq!(check(&path).0, Some(0));
    }
    assert_ne!(hash(b"x\n").1, hash(b"x\n").1, "each has its own salt");
    for input in [&b""[..], b"\n", b"\r\nx\n"] {
        let (status, printed, message) = hash(input);
        assert_eq!((status, printed.as_str()), (Some(2), ""));
        assert!(message.contains("there is no password on standard input"), "{message}");
    }
}

#[test]
fn the_environment_wins_over_the_file_and_loses_to_options() {
    let path = folder("environment").join("towpath.toml");
    fs::write(&path, "listen = \"127.0.0.1:1\"\nlanding_page = true\nmetrics_path = \"/file\"\n").unwrap();
    let mut command = towpath(&["--listen", "127.0.0.1:0", "--config", path.to_str().unwrap()]);
    command.env("TOWPATH_LISTEN", "127.0.0.1:2").env("TOWPATH_LANDING_PAGE", "false");
    command.env("TOWPATH_ENDPOINT_1_PATH", "/chat").env("TOWPATH_LOG", "warn");
    let gateway = Running::start(command);
    assert!(![1, 2].contains(&gateway.address.port()), "the option wins over both");
    assert!(gateway.get("/").starts_with("HTTP/1.1 404"), "the variable wins over the file");
    assert!(gateway.get("/chat").ends_with("Welcome to SockJS!\n"), "and over the default");
    assert!(gateway.get("/file").starts_with("HTTP/1.1 200"), "what no variable says is as in the file");
}

#[test]
fn a_variable_that_means_nothing_stops_the_start() {
    let taken = taken();
    let mut command = towpath(&["--listen", &taken.1]);
    command.env("TOWPATH_LISTN", "x");
    let (status, _, message) = done(command);
    assert_eq!(status, Some(2));
    assert!(message.contains("TOWPATH_LISTN: unknown variable; did you mean TOWPATH_LISTEN?"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let taken = taken();
    let mut command = towpath(&["--listen", &taken.1]);
    command.env(OsStr::from_bytes(b"NO_\xff_TEXT"), "fine");
    command.env("TOWPATH_API_TOKEN", OsStr::from_bytes(b"hidden\xff"));
    let (status, _, message) = done(command);
    assert_eq!(status, Some(2));
    assert!(message.contains("TOWPATH_API_TOKEN: ") && !message.contains("hidden"), "{message}");
}
