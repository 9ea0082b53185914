//! The documents name files and tests; here they are looked up, so that a page cannot outlive what it speaks of.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the sources stand that the tree may name.
const FOLDERS: [&str; 31] = [
    "",
    "commands",
    "sockjs",
    "stomp",
    "session",
    "broker",
    "broker/queue",
    "broker/selector",
    "bridge",
    "gateway",
    "gateway/stomp",
    "http",
    "http/api",
    "application",
    "auth",
    "webhook",
    "config",
    "dial",
    "wire",
    "client",
    "client/sockjs",
    "client/stomp",
    "conformance",
    "conformance/report",
    "conformance/sockjs",
    "conformance/sockjs/suite",
    "conformance/sockjs/own",
    "conformance/stomp",
    "conformance/stomp/checks",
    "doctor",
    "bench",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The words of a page that stand in backquotes.
fn quoted(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The sources of a test target: one file, or all files of its folder.
fn target(name: &str) -> Option<String> {
    let file = root().join(format!("tests/{name}.rs"));
    if file.exists() {
        return fs::read_to_string(file).ok();
    }
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join("tests").join(name)).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(files.iter().map(|file| fs::read_to_string(file).unwrap()).collect())
}

#[test]
fn the_tests_that_the_protocol_page_names_exist() {
    let mut named = 0;
    for word in quoted("docs/protocol.md") {
        let Some((file, test)) = word.split_once("::") else { continue };
        if file == "file" {
            continue;
        }
        let sources = target(file).unwrap_or_else(|| panic!("no test target {file}"));
        let defined = sources.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|found| found == test);
        assert!(defined, "docs/protocol.md names {word}, which is not there");
        named += 1;
    }
    assert!(named > 80, "{named} tests found; has the page another form now?");
}

#[test]
fn the_files_that_the_pages_name_exist() {
    for page in [
        "docs/protocol.md",
        "docs/message-path.md",
        "docs/architecture.md",
        "docs/contributing.md",
        "docs/performance.md",
        "docs/application.md",
        "docs/spring.md",
        "docs/conformance.md",
        "docs/doctor.md",
        "docs/bench.md",
        "docs/client.md",
        "README.md",
    ] {
        for word in quoted(page) {
            let path = word.strip_prefix("./").unwrap_or(&word);
            let is_file = ["src/", "tests/", "docs/", "benches/", "examples/", "fixtures/"]
                .iter()
                .any(|top| path.starts_with(top));
            if is_file && !path.contains("NNN") {
                assert!(root().join(path).exists(), "{page} names {path}, which is not there");
            }
        }
    }
}

#[test]
fn the_benches_that_the_pages_name_exist() {
    let mut named = 0;
    for page in ["docs/performance.md", "docs/contributing.md"] {
        for word in quoted(page) {
            let Some((_, rest)) = word.split_once("cargo bench --bench ") else { continue };
            let name = rest.split(' ').next().unwrap_or(rest);
            let files = [format!("benches/{name}.rs"), format!("benches/{name}/main.rs")];
            assert!(files.iter().any(|file| root().join(file).exists()), "{page} names the bench {name}");
            named += 1;
        }
    }
    assert!(named > 5, "{named} benches found; has the page another form now?");
}

/// What README shows of the three ways stands like that in an example, and `tests/examples.rs` runs the examples.
#[test]
fn the_three_ways_in_the_readme_are_examples() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, section) = readme.split_once("\n## Three ways").expect("README shows three ways");
    let (section, _) = section.split_once("\n## ").expect("it is not the last section");
    let mut shown = Vec::new();
    for block in section.split("```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').expect("a block has a language");
        let found =
            examples().into_iter().find(|file| fs::read_to_string(file).is_ok_and(|whole| whole.contains(text)));
        let file = found.unwrap_or_else(|| panic!("no example has this {language}:\n{text}"));
        shown.push(file.strip_prefix(root().join("examples")).unwrap().display().to_string());
    }
    let expected = ["hello.rs", "greeting_webhook/towpath.toml", "greeting_webhook/backend.py", "bridge/towpath.toml"];
    assert_eq!(shown, expected);
}

/// The files of all examples, without what npm installed.
fn examples() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with("node_modules") => {}
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files
}

/// The links of the documents lead somewhere.
#[test]
fn the_files_that_the_pages_link_to_exist() {
    let mut links = 0;
    for page in [
        "README.md",
        "docs/application.md",
        "docs/spring.md",
        "docs/conformance.md",
        "docs/doctor.md",
        "docs/bench.md",
        "docs/client.md",
    ] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                let path = root().join(page).parent().unwrap().join(file);
                assert!(path.exists(), "{page} links to {link}, which is not there");
                links += 1;
            }
        }
    }
    assert!(links > 20, "{links} links found; have the pages another form now?");
}

/// The tree of docs/architecture.md has every source file and no other.
#[test]
fn the_tree_in_the_architecture_page_is_the_tree() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let tree = page.split("```").find(|block| block.starts_with("\nsrc/\n")).expect("a block is the tree");
    let words: Vec<&str> = tree.split([' ', ',', '\n', '\t']).collect();
    let mut folders = vec![root().join("src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                assert!(words.contains(&format!("{name}/").as_str()), "the tree lacks {name}/");
                if name != "landing" {
                    folders.push(path);
                }
            } else if name != "mod.rs" {
                assert!(words.contains(&name.as_str()), "the tree lacks {}", path.display());
                files += 1;
            }
        }
    }
    assert!(files > 50, "{files}");
    for word in words.iter().filter(|word| word.ends_with(".rs")) {
        let found = FOLDERS.iter().any(|folder| root().join("src").join(folder).join(word).exists());
        assert!(found, "the tree names {word}, which is not there");
    }
}
