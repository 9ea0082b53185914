//! The architecture, read from the sources: who imports whom, what the pure layers must not know, and the shape of every
//! file. A rule that no test holds is a wish.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the top. A module may import from the rows below its own, and from nowhere else.
const LAYERS: [&[&str]; 16] = [
    &["main"],
    &["commands"],
    &["server", "bench", "conformance", "doctor"],
    &["mount", "client"],
    &["http", "tcp", "bridge"],
    &["application"],
    // Strangers to each other.
    &["auth", "webhook"],
    &["fetch", "pause"],
    &["connection", "clock", "wire"],
    &["dial"],
    &["gateway"],
    &["broker"],
    &["session"],
    &["publication"],
    // Strangers to each other.
    &["stomp", "sockjs"],
    // For everybody, and without imports of ours.
    &["config", "metrics"],
];

/// What looks at servers and speaks to them from outside, towpath's own among them, and all of ours that it may know: the server
/// side is not in it, so that no mistake there is made here again.
const OUTSIDE: [&str; 5] = ["bench", "conformance", "doctor", "client", "wire"];
const KNOWN_OUTSIDE: [&str; 9] =
    ["bench", "conformance", "doctor", "client", "wire", "dial", "stomp", "sockjs", "metrics"];

/// Everything between the bytes read and the bytes written is synchronous and knows neither sockets nor the clock.
const PURE: [&str; 6] = ["sockjs", "stomp", "publication", "session", "broker", "gateway"];

const IMPURE_WORDS: [&str; 11] = [
    "tokio",
    "hyper",
    "async fn",
    "async move",
    "async {",
    ".await",
    "Instant::now",
    "SystemTime::now",
    "std::net",
    "std::thread",
    "std::fs",
];

/// What can panic and is there on purpose: file, the line's text, and why it cannot happen.
const ALLOWED_PANICS: [(&str, &str, &str); 0] = [];

const MAX_LINES: usize = 700;

#[test]
fn imports_go_strictly_downward() {
    let mut wrong = vec![];
    for source in sources() {
        for imported in source.imports() {
            if imported != source.module && depth(&imported) <= depth(&source.module) {
                wrong.push(format!("{}: {} imports {imported}", source.name, source.module));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn who_looks_from_outside_knows_nothing_of_the_server_side() {
    for source in sources().iter().filter(|source| OUTSIDE.contains(&&*source.module)) {
        let known = |imported: &String| KNOWN_OUTSIDE.contains(&&**imported);
        let wrong: Vec<_> = source.imports().into_iter().filter(|imported| !known(imported)).collect();
        assert!(wrong.is_empty(), "{} imports {wrong:?}", source.name);
    }
}

#[test]
fn every_module_has_its_place_in_the_layers() {
    let modules: BTreeSet<_> = sources().into_iter().map(|source| source.module).collect();
    let layers: BTreeSet<_> = LAYERS.iter().flat_map(|row| row.iter().map(|name| (*name).to_owned())).collect();
    let known: BTreeSet<_> = modules.difference(&BTreeSet::from(["lib".to_owned()])).cloned().collect();
    assert_eq!(known, layers);
}

/// The reading of imports is worth nothing if it overlooks them: these are there.
#[test]
fn imports_are_seen() {
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        seen.entry(source.module.clone()).or_default().extend(source.imports());
    }
    for (module, imported) in [
        ("main", "server"),
        ("commands", "gateway"),
        ("server", "mount"),
        ("mount", "http"),
        ("http", "auth"),
        ("application", "webhook"),
        ("webhook", "fetch"),
        ("server", "tcp"),
        ("http", "gateway"),
        ("http", "connection"),
        ("tcp", "gateway"),
        ("http", "sockjs"),
        ("gateway", "broker"),
        ("gateway", "stomp"),
        ("broker", "session"),
        ("session", "publication"),
        ("bridge", "dial"),
        ("fetch", "dial"),
        ("wire", "dial"),
        ("conformance", "wire"),
        ("conformance", "client"),
        ("doctor", "wire"),
        ("bench", "dial"),
        ("client", "dial"),
        ("session", "config"),
        ("publication", "stomp"),
    ] {
        assert!(seen[module].contains(imported), "{module} imports {imported}: {:?}", seen[module]);
    }
    let text = "use crate::{\n    a::{B, c::D},\n    e,\n};\nfn f() { super::super::g::h(); crate::i::J }";
    let source = Source { name: "src/x/y.rs".into(), module: "x".into(), text: text.into() };
    assert_eq!(source.imports().into_iter().collect::<Vec<_>>(), ["a", "e", "g", "i"]);
}

#[test]
fn the_pure_layers_know_neither_runtime_nor_network_nor_clock() {
    let mut wrong = vec![];
    for source in sources().iter().filter(|source| PURE.contains(&&*source.module)) {
        let code = source.code();
        for word in IMPURE_WORDS {
            if let Some(at) = code.find(word) {
                let line = 1 + code[..at].matches('\n').count();
                wrong.push(format!("{}:{line}: {word}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_panics_on_purpose() {
    let mut wrong = vec![];
    for source in sources() {
        let code = source.code();
        let expects = lines_that_expect(&code);
        for (number, line) in (1..).zip(code.lines()) {
            let words = [".unwrap()", "panic!(", "todo!(", "unimplemented!(", "unreachable!(", ".unwrap_err()"];
            let panics = expects.contains(&number) || words.iter().any(|word| line.contains(word));
            let allowed = ALLOWED_PANICS
                .iter()
                .any(|(file, text, why)| *file == source.name && line.contains(text) && !why.is_empty());
            if panics && !allowed {
                wrong.push(format!("{}:{number}: {}", source.name, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lines with an `expect` of an `Option` or a `Result`. One that is waited for is a method of ours.
fn lines_that_expect(code: &str) -> BTreeSet<usize> {
    let awaited = |call: &str| {
        let mut depth = 0;
        let end = call.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth < 0
        });
        end.is_some_and(|end| call[end + 1..].trim_start().starts_with(".await"))
    };
    let calls = code.match_indices(".expect(").filter(|(at, word)| !awaited(&code[at + word.len()..]));
    calls.map(|(at, _)| 1 + code[..at].matches('\n').count()).collect()
}

#[test]
fn an_expect_that_is_awaited_is_none() {
    let code = "a.expect(b)\n.expect(f(c)).await\n.expect(d\n).await;\ne.expect(g)";
    assert_eq!(lines_that_expect(code), BTreeSet::from([1, 5]));
}

#[test]
fn every_file_says_what_it_is_for_and_what_it_does_not_know() {
    for source in sources() {
        let header: Vec<_> = source.text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(header.first().is_some_and(|line| line.len() > 10), "{} begins with what it is for", source.name);
        let own_words = matches!(&*source.module, "lib" | "main");
        let told = header.iter().any(|line| line.starts_with("//! Does not know: "));
        assert!(told || own_words, "{} says what it does not know", source.name);
    }
}

#[test]
fn no_file_is_too_long_to_be_read() {
    for (name, text) in rust_files(&["src", "tests", "benches"]) {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{name} has {lines} lines");
    }
}

#[test]
fn unsafe_code_is_forbidden_in_the_library_and_the_binary() {
    for source in sources().iter().filter(|source| matches!(&*source.module, "lib" | "main")) {
        assert!(source.text.contains("#![forbid(unsafe_code)]"), "{}", source.name);
    }
}

/// The lock order of docs and module headers holds by construction only as long as the queue's lock stays a leaf: the file
/// that is behind it calls nobody.
#[test]
fn the_outbox_calls_nobody() {
    let outbox = sources().into_iter().find(|source| source.name == "src/session/outbox.rs").expect("it is there");
    let code = outbox.code();
    for word in [".lock()", ".wake()", "metrics::", "tracing::", ".push_str", "deadlines"] {
        assert!(!code.contains(word), "{word}");
    }
}

// ---- reading sources ----

struct Source {
    /// Path from the project's root.
    name: String,
    /// The module directly under the crate's root that it belongs to; `lib` and `main` for these two.
    module: String,
    text: String,
}

impl Source {
    /// The code without comments, texts and unit tests; lines stay where they are.
    fn code(&self) -> String {
        let code = without_comments_and_texts(&self.text);
        let end = code.find("#[cfg(test)]").unwrap_or(code.len());
        code[..end].to_owned()
    }

    /// The top-level modules of ours that are named anywhere in it, unit tests included.
    fn imports(&self) -> BTreeSet<String> {
        let code = without_comments_and_texts(&self.text);
        let mut found = BTreeSet::new();
        let in_tests = code.find("#[cfg(test)]").unwrap_or(code.len());
        for (at, _) in code.match_indices("crate::") {
            found.extend(names_after(&code[at + "crate::".len()..]));
        }
        if matches!(&*self.module, "main" | "commands") {
            for (at, _) in code.match_indices("towpath::") {
                found.extend(names_after(&code[at + "towpath::".len()..]));
            }
        }
        let mut at = 0;
        while let Some(next) = code[at..].find("super::") {
            at += next;
            let supers = code[at..].split("super::").take_while(|piece| piece.is_empty()).count();
            let supers = supers.max(1);
            let rest = &code[at + supers * "super::".len()..];
            // Inside the unit tests' module the path begins one step further down.
            if supers >= self.levels() + usize::from(at > in_tests) {
                found.extend(names_after(rest));
            }
            at += supers * "super::".len();
        }
        // A type or function at the crate's root is no module.
        found.retain(|name| name.starts_with(|c: char| c.is_ascii_lowercase()) && name != "self");
        found
    }

    /// How many `super::` lead from the file's own module to the crate's root.
    fn levels(&self) -> usize {
        let steps = self.name.trim_start_matches("src/").trim_end_matches(".rs").split('/');
        steps.filter(|step| *step != "mod").count()
    }
}

fn sources() -> Vec<Source> {
    let files = rust_files(&["src"]);
    let source = |(name, text): (String, String)| {
        let path = name.trim_start_matches("src/");
        let module = path.split('/').next().unwrap_or(path).trim_end_matches(".rs").to_owned();
        Source { name, module, text }
    };
    let sources: Vec<_> = files.into_iter().map(source).collect();
    assert!(sources.len() > 40, "the sources are found");
    sources
}

fn rust_files(folders: &[&str]) -> Vec<(String, String)> {
    fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "node_modules") {
                collect(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![];
    for folder in folders {
        collect(&root.join(folder), &mut paths);
    }
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
        (name, fs::read_to_string(&path).expect("a readable file"))
    };
    paths.into_iter().map(read).collect()
}

fn depth(module: &str) -> usize {
    if module == "lib" {
        return 0;
    }
    LAYERS.iter().position(|row| row.contains(&module)).unwrap_or_else(|| panic!("{module} stands in no layer"))
}

/// The names right behind a path's beginning: one, or those at the outer level of braces.
fn names_after(rest: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let (mut level, mut names, mut fresh) = (0, vec![], true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => level += 1,
            '}' if level == 0 => break,
            '}' => level -= 1,
            ',' if level == 0 => fresh = true,
            c if fresh && !c.is_whitespace() => {
                names.push(name(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

/// Replaces comments and the insides of texts by blanks. Knows as much of Rust's grammar as our own sources use.
fn without_comments_and_texts(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    let is = |at: usize, wanted: &str| wanted.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    let blank = |out: &mut String, c: char| out.push(if c == '\n' { '\n' } else { ' ' });
    while at < chars.len() {
        let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
        let end: Option<(usize, String)> = if is(at, "//") {
            Some((0, "\n".to_owned()))
        } else if is(at, "/*") {
            Some((2, "*/".to_owned()))
        } else if chars[at] == 'r' && chars.get(at + 1 + hashes) == Some(&'"') {
            Some((2 + hashes, format!("\"{}", "#".repeat(hashes))))
        } else {
            None
        };
        if let Some((skip, end)) = end {
            let keep_line_end = end == "\n";
            let stop = (at + skip..chars.len()).find(|&to| is(to, &end)).unwrap_or(chars.len());
            let stop = if keep_line_end { stop } else { (stop + end.len()).min(chars.len()) };
            chars[at..stop].iter().for_each(|c| blank(&mut out, *c));
            at = stop;
        } else if chars[at] == '"' {
            out.push('"');
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                let step = if chars[at] == '\\' { 2 } else { 1 };
                chars[at..(at + step).min(chars.len())].iter().for_each(|c| blank(&mut out, *c));
                at += step;
            }
            out.push('"');
            at += 1;
        } else if chars[at] == '\'' && (chars.get(at + 2) == Some(&'\'') || chars.get(at + 1) == Some(&'\\')) {
            // A character; anything else behind the mark is a lifetime.
            let from = if chars.get(at + 1) == Some(&'\\') { at + 3 } else { at + 2 };
            let stop = (from..chars.len()).find(|&to| chars[to] == '\'').unwrap_or(chars.len() - 1);
            chars[at..=stop].iter().for_each(|c| blank(&mut out, *c));
            at = stop + 1;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

#[test]
fn comments_and_texts_are_taken_out_and_code_is_not() {
    let text = "a // tokio\nb(\"tokio \\\" tokio\") /* tokio */ c('\"') r#\"tokio \" tokio\"# d<'x>('\\'', e)";
    let code = without_comments_and_texts(text);
    assert!(!code.contains("tokio"), "{code}");
    for word in ["a ", "\nb(", " c(", "d<'x>(", ", e)"] {
        assert!(code.contains(word), "{word} in {code}");
    }
    assert_eq!(code.lines().count(), text.lines().count());
}
