//! Reports of a conformance run: every format says all that came of it, in a form that others can read, whatever the server sent.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use towpath::conformance::report::{self, Format};
use towpath::conformance::{Failure, Level, Outcome, Report, Rule, Verdict};
use towpath::wire::Spent;

/// What is markup, a control or an end of something to one reader or another.
const NASTY: &str = "]]> --> </pre></script><script>alert(1)</script> <img src=x onerror=alert(2)> &lt; \"'\\ # SKIP\n---\n...\nnot ok 9\n \u{1b}[31mred\u{9b}2J\u{0}\r\u{7f} \u{202e}\u{2028}\u{feff}\u{ffff} é 😀\ttab";

const fn rule(id: &'static str, group: &'static str, level: Level) -> Rule {
    let (demand, source, why) = ("The answer is <right> & \"good\" #1", "STOMP 1.2, SEND", "Else it's wrong.");
    Rule { id, group, level, demand, source, why, slow: false }
}

fn outcome(rule: Rule, over: Option<&'static str>, verdict: Verdict) -> Outcome {
    Outcome { rule, over, verdict, took: Duration::from_millis(1234) }
}

fn report() -> Report {
    let failed = |seen: &str| Failure::new(seen, "\"a\"\n[\"b\"]");
    let skipped = Verdict::Skipped("it takes its time; --slow runs it".to_owned());
    let of = |verdict: fn(String) -> Verdict, text: &str| verdict(text.to_owned());
    Report {
        suite: "STOMP",
        target: "http://127.0.0.1:1/<a>&b".to_owned(),
        facts: vec![("server", NASTY.to_owned()), ("version", "1.2".to_owned())],
        started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        took: Duration::from_millis(2500),
        spent: Spent { connections: 12, sent: 3456, received: 7_890_123 },
        outcomes: vec![
            outcome(rule("frames.split", "frames <1>", Level::Must), Some("tcp"), Verdict::Passed),
            outcome(
                rule("frames.split", "frames <1>", Level::Must),
                Some("xhr-polling"),
                Verdict::Failed(failed(NASTY).reproduced_by(format!("  curl 'x'\n\n{NASTY}\n"))),
            ),
            outcome(rule("frames.old", "frames <1>", Level::Should), None, of(Verdict::Vintage, "0.3.3 wording")),
            outcome(rule("acks.nack", "acks", Level::Should), None, Verdict::Failed(failed("nothing"))),
            outcome(rule("acks.client", "acks", Level::May), None, of(Verdict::NotOffered, NASTY)),
            outcome(rule("beats.slow", "beats", Level::May), None, skipped.clone()),
            outcome(rule("beats.slower", "beats", Level::May), None, skipped),
        ],
    }
}

/// Only those outcomes.
fn with(outcomes: &[(Level, Verdict)]) -> Report {
    let outcomes =
        outcomes.iter().map(|(level, verdict)| outcome(rule("a.b", "a", *level), None, verdict.clone())).collect();
    Report { outcomes, ..report() }
}

/// What a program of Python's standard library makes of a text.
fn python(program: &str, input: &str) -> Value {
    let mut command = Command::new("python3");
    command.args(["-c", program]).env("PYTHONUTF8", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().expect("this test needs python3, and nothing but its standard library");
    process.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads all");
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "it is refused:\n{input}");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

#[test]
fn nothing_that_a_server_sent_acts_on_a_terminal() {
    for format in Format::ALL {
        let text = format.render(&report());
        let acts = |c: &char| {
            c.is_control() && !matches!(c, '\n' | '\t')
                || matches!(c, '\u{202e}' | '\u{2028}' | '\u{feff}' | '\u{ffff}')
        };
        assert_eq!(text.chars().find(acts), None, "{}", format.name());
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{}", format.name());
    }
}

#[test]
fn the_text_is_in_groups_and_says_what_failed_and_how_to_see_it_again() {
    let text = report::text(&report(), false);
    for part in [
        "STOMP, http://127.0.0.1:1/<a>&b\n",
        "  started  2023-11-14T22:13:20Z\n",
        "  frames <1>    2 of 3    1 failed  1 vintage\n",
        "  acks          0 of 1    1 failed  1 not offered\n",
        "  beats         0 of 0    2 skipped\n",
        "\nFailed (2)\n\n  frames.split@xhr-polling  must, frames <1>\n    demands  The answer is",
        "    seen     ]]> --> </pre>",
        "    wanted   \"a\"\n             [\"b\"]\n",
        "    repeat\n        curl 'x'\n\n      ]]> --> ",
        "\nMet in the way of an older edition (1)\n  0.3.3 wording\n    frames.old\n",
        "\nNot offered (1)\n  ]]> -->",
        "\nSkipped (2)\n  it takes its time; --slow runs it\n    beats.slow, beats.slower\n",
        "  musts      1 of 2    1 failed\n",
        "  shoulds    1 of 2    1 failed  1 vintage\n",
        "  mays       0 of 0    1 not offered  2 skipped\n",
        "  cost       12 connections, 3.5 kB sent, 7.9 MB received, in 2.5 s\n",
        "towpath conformance stomp --explain ID",
        "\n1 must is not met: ",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    assert_eq!(text.matches("    repeat\n").count(), 1, "of which there is nothing to repeat, nothing is shown");
    let long = text.lines().filter(|line| line.chars().count() > 100 && !line.starts_with("      ]]>"));
    assert_eq!(long.collect::<Vec<_>>(), [""; 0], "all but what is to be copied fits");
}

#[test]
fn only_a_line_that_would_fill_the_screen_is_cut_and_only_in_the_text() {
    let line = |length: usize| format!("curl '{}'", "é".repeat(length));
    let of =
        |length: usize| with(&[(Level::Must, Verdict::Failed(Failure::new("a", "b").reproduced_by(line(length))))]);
    assert!(report::text(&of(1993), false).contains(&format!("      {}\n", line(1993))));
    let cut = report::text(&of(2500), false);
    assert!(cut.contains("é\n      # cut: 507 more characters;") && !cut.contains(&line(2500)), "{cut}");
    assert!(Format::Tap.render(&of(2500)).contains(&line(2500)));
}

#[test]
fn colours_are_shown_only_when_asked_for_and_change_nothing_else() {
    let (plain, coloured) = (report::text(&report(), false), report::text(&report(), true));
    assert!(!plain.contains('\u{1b}') && coloured.contains("\u{1b}[31m"));
    let mut rest = String::new();
    for piece in coloured.split('\u{1b}') {
        rest.push_str(match piece.strip_prefix('[') {
            Some(code) => code.split_once('m').expect("a code ends").1,
            None => piece,
        });
    }
    assert_eq!(rest, plain);
}

#[test]
fn the_lines_are_verdicts_and_names_and_nothing_that_changes() {
    let expected = "\
passed       frames.split@tcp
failed       frames.split@xhr-polling
vintage      frames.old
failed       acks.nack
not-offered  acks.client
skipped      beats.slow
skipped      beats.slower
";
    assert_eq!(Format::Lines.render(&report()), expected);
    let other = Report { took: Duration::ZERO, facts: vec![], started: SystemTime::now(), ..report() };
    assert_eq!(Format::Lines.render(&other), expected);
}

#[test]
fn json_has_everything_under_names_that_stay() {
    let json: Value = serde_json::from_str(&Format::Json.render(&report())).expect("it is JSON");
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "checks", "facts", "groups", "holds", "levels", "score", "seconds", "spent", "started", "suite", "summary",
        "target", "version",
    ];
    assert_eq!(keys, expected);
    assert_eq!(json["version"], 1);
    assert_eq!(
        json["facts"][0],
        serde_json::json!({ "name": "server", "value": NASTY }),
        "texts are kept as they came"
    );
    assert_eq!((&json["started"], &json["seconds"]), (&"2023-11-14T22:13:20Z".into(), &2.5.into()));
    assert_eq!(json["spent"], serde_json::json!({ "connections": 12, "sent": 3456, "received": 7_890_123 }));
    assert_eq!(json["holds"], serde_json::json!({ "must": false, "should": false, "may": false }));
    let score = serde_json::json!({ "passed": 2, "vintage": 1, "failed": 2, "not_offered": 1, "skipped": 2 });
    assert_eq!(json["score"], score);
    assert_eq!(json["levels"]["should"]["vintage"], 1);
    assert_eq!((&json["groups"][1]["name"], &json["groups"][1]["score"]["failed"]), (&"acks".into(), &1.into()));
    let failed = serde_json::json!({
        "id": "frames.split", "over": "xhr-polling", "group": "frames <1>", "level": "must", "slow": false,
        "verdict": "failed", "remark": null, "seconds": 1.234,
        "failure": { "seen": NASTY, "wanted": "\"a\"\n[\"b\"]", "reproduce": format!("  curl 'x'\n\n{NASTY}\n") },
        "demand": "The answer is <right> & \"good\" #1", "source": "STOMP 1.2, SEND", "why": "Else it's wrong.",
    });
    assert_eq!(json["checks"][1], failed);
    assert_eq!(
        (&json["checks"][2]["verdict"], &json["checks"][2]["remark"]),
        (&"vintage".into(), &"0.3.3 wording".into())
    );
    assert_eq!((&json["checks"][4]["verdict"], &json["checks"][4]["remark"]), (&"not-offered".into(), &NASTY.into()));
    assert_eq!(json["checks"][0]["failure"], Value::Null);
}

#[test]
fn junit_is_read_by_a_parser_of_xml() {
    let program = "
import json, sys, xml.etree.ElementTree as tree
def node(e): return {'tag': e.tag, 'attributes': e.attrib, 'text': e.text or '', 'children': [node(c) for c in e]}
print(json.dumps(node(tree.fromstring(sys.stdin.buffer.read()))))";
    let root = python(program, &Format::Junit.render(&report()));
    assert_eq!(root["tag"], "testsuites");
    assert_eq!((&root["attributes"]["tests"], &root["attributes"]["failures"]), (&"7".into(), &"2".into()));
    let suites = root["children"].as_array().unwrap();
    let names: Vec<_> = suites.iter().map(|suite| suite["attributes"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["frames <1>", "acks", "beats"]);
    let counts =
        |suite: &Value| ["tests", "failures", "errors", "skipped"].map(|name| suite["attributes"][name].clone());
    assert_eq!(counts(&suites[0]), ["3", "1", "0", "0"]);
    assert_eq!(counts(&suites[1]), ["2", "1", "0", "1"]);
    assert_eq!(suites[0]["attributes"]["timestamp"], "2023-11-14T22:13:20");
    let properties = suites[2]["children"][0]["children"].as_array().unwrap();
    assert_eq!(properties[0]["attributes"]["value"], "http://127.0.0.1:1/<a>&b");
    assert!(properties[1]["attributes"]["value"].as_str().unwrap().contains("<script>alert(1)</script> "));

    let case = |suite: usize, case: usize| &suites[suite]["children"][case + 1];
    assert_eq!(case(0, 1)["attributes"]["classname"], "STOMP.frames <1>");
    assert_eq!(case(0, 1)["attributes"]["name"], "frames.split@xhr-polling");
    assert_eq!(case(0, 1)["attributes"]["time"], "1.234");
    let failure = &case(0, 1)["children"][0];
    assert_eq!((&failure["tag"], &failure["attributes"]["type"]), (&"failure".into(), &"must".into()));
    assert_eq!(failure["attributes"]["message"], "The answer is <right> & \"good\" #1");
    let told = failure["text"].as_str().unwrap();
    for part in ["seen: ]]> -->", "\nwanted: \"a\"\n[\"b\"]\n", "\n  curl 'x'\n\n]]>", "\\u{1b}[31mred", "why: Else"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert_eq!(case(0, 0)["children"], serde_json::json!([]), "passed");
    assert_eq!(case(0, 2)["children"][0]["tag"], "system-out", "an older edition has passed");
    assert!(case(0, 2)["children"][0]["text"].as_str().unwrap().contains("0.3.3 wording"));
    assert_eq!(case(1, 1)["children"][0]["tag"], "skipped");
    assert!(case(1, 1)["children"][0]["attributes"]["message"].as_str().unwrap().starts_with("not offered: ]]>"));
    assert_eq!(case(2, 0)["children"][0]["attributes"]["message"], "it takes its time; --slow runs it");
}

#[test]
fn tap_has_a_plan_a_line_for_each_check_and_diagnostics_in_yaml() {
    let tap = Format::Tap.render(&report());
    let mut lines = tap.lines();
    assert_eq!((lines.next(), lines.next()), (Some("TAP version 14"), Some("1..7")));
    let (mut points, mut blocks, mut block) = (Vec::new(), Vec::new(), None::<String>);
    for line in lines {
        match (line.strip_prefix("  "), &mut block) {
            (Some("..."), text @ Some(_)) => blocks.push((points.len(), text.take().unwrap())),
            (Some(rest), Some(text)) => *text += &format!("{rest}\n"),
            (Some("---"), None) => block = Some(String::new()),
            (None, None) if line.starts_with('#') => {}
            (None, None) => points.push(line),
            other => panic!("{line:?} stands where it is nothing: {other:?}"),
        }
    }
    assert_eq!(block, None, "every block ends");
    let demand = "The answer is <right> & \"good\" \\#1";
    let skip = "# SKIP it takes its time; --slow runs it";
    let expected = [
        format!("ok 1 - frames.split@tcp: {demand}"),
        format!("not ok 2 - frames.split@xhr-polling: {demand}"),
        format!("ok 3 - frames.old: {demand}"),
        format!("not ok 4 - acks.nack: {demand}"),
        format!("ok 6 - beats.slow: {demand} {skip}"),
        format!("ok 7 - beats.slower: {demand} {skip}"),
    ];
    let not_offered = points.remove(4);
    assert!(not_offered.starts_with(&format!("ok 5 - acks.client: {demand} # SKIP not offered: ]]>")), "{not_offered}");
    assert_eq!(points, expected.each_ref().map(String::as_str));

    let numbers: Vec<_> = blocks.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 3, 4]);
    let yaml = |at: usize| -> Value { serde_saphyr::from_str(&blocks[at].1).expect("the diagnostics are YAML") };
    let first = yaml(0);
    assert_eq!((&first["level"], &first["wanted"]), (&"must".into(), &"\"a\"\n[\"b\"]".into()));
    assert!(first["seen"].as_str().unwrap().starts_with(&NASTY[..NASTY.find('\u{1b}').unwrap()]), "{first}");
    let reproduce = first["reproduce"].as_str().unwrap();
    assert!(reproduce.starts_with("  curl 'x'\n\n]]> -->") && reproduce.ends_with("\ttab"), "{reproduce}");
    assert_eq!(yaml(1), serde_json::json!({ "vintage": "0.3.3 wording" }));
    assert_eq!(yaml(2)["reproduce"], Value::Null);
}

#[test]
fn the_page_needs_nothing_else_and_takes_nothing_of_the_server_for_markup() {
    let program = "
import base64, hashlib, json, sys
from html.parser import HTMLParser
VOID = {'meta', 'input', 'rect', 'br', 'link', 'img'}
class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags, self.texts, self.hashes = [], [], [], {}
    def handle_starttag(self, tag, attributes):
        self.tags.append([tag, dict(attributes)])
        if tag not in VOID: self.open.append(tag)
    def handle_startendtag(self, tag, attributes):
        self.tags.append([tag, dict(attributes)])
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
    def handle_data(self, text):
        if self.open and self.open[-1] in ('style', 'script'):
            self.hashes[self.open[-1]] = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        else:
            self.texts.append([self.open[-1] if self.open else '', text])
page = Page()
page.feed(sys.stdin.buffer.read().decode())
page.close()
assert page.open == [], page.open
print(json.dumps({'tags': page.tags, 'texts': page.texts, 'hashes': page.hashes}))";
    let html = Format::Html.render(&report());
    let page = python(program, &html);
    let tags: Vec<_> = page["tags"].as_array().unwrap().iter().map(|tag| (tag[0].as_str().unwrap(), &tag[1])).collect();
    let count = |name: &str| tags.iter().filter(|(tag, _)| *tag == name).count();
    assert_eq!([count("script"), count("style"), count("img"), count("link"), count("h1")], [1, 1, 0, 0, 1]);
    for (tag, attributes) in &tags {
        for name in attributes.as_object().unwrap().keys() {
            let harmless = !matches!(name.as_str(), "src" | "href" | "srcset" | "action" | "data" | "style");
            assert!(harmless && !name.starts_with("on"), "<{tag} {name}>");
        }
    }
    assert!(!html.contains("url(") && !html.contains("@import"), "the style asks for nothing");
    let policy =
        tags.iter().find(|(_, attributes)| attributes["http-equiv"] == "Content-Security-Policy").expect("one");
    let policy = policy.1["content"].as_str().unwrap();
    for (kind, hash) in page["hashes"].as_object().unwrap() {
        let source = format!("{kind}-src 'sha256-{}'", hash.as_str().unwrap());
        assert!(policy.contains(&source) && policy.contains("default-src 'none'"), "{source} in {policy}");
    }

    let class = |attributes: &Value| attributes["class"].as_str().unwrap_or_default().to_owned();
    let open: Vec<_> =
        tags.iter().filter(|(tag, _)| *tag == "details").map(|(_, of)| of.get("open").is_some()).collect();
    assert_eq!(open, [true, true, false], "groups with failures are open");
    let checks: Vec<_> = tags.iter().filter(|(tag, _)| *tag == "li").map(|(_, of)| class(of)).collect();
    let kinds = ["failed", "passed", "vintage", "failed", "not-offered", "skipped", "skipped"];
    assert_eq!(checks, kinds.map(|kind| format!("check {kind}")), "in each group what failed comes first");
    for kind in ["all", "failed", "vintage", "passed", "not-offered", "skipped"] {
        let filter = format!("show-{kind}");
        assert!(tags.iter().any(|(tag, of)| *tag == "input" && of["id"] == filter.as_str()), "{kind}");
        assert!(kind == "all" || html.contains(&format!("#{filter}:checked")), "the style knows {kind}");
    }

    let texts = page["texts"].as_array().unwrap();
    let texts = |tag: &str| {
        texts.iter().filter(|text| text[0] == tag).map(|text| text[1].as_str().unwrap()).collect::<Vec<_>>()
    };
    let blocks = texts("pre");
    assert_eq!(blocks.len(), 5, "two failures, and one that can be repeated");
    assert!(blocks[0].starts_with(&NASTY[..NASTY.find('\u{1b}').unwrap()]), "{}", blocks[0]);
    assert!(
        blocks[0].contains("\\u{1b}[31mred") && blocks[1] == "\"a\"\n[\"b\"]" && blocks[2].starts_with("  curl 'x'\n")
    );
    assert_eq!(texts("strong"), ["2 of 4 (50%)"]);
    assert_eq!(texts("h1"), ["http://127.0.0.1:1/<a>&b"]);
}

#[test]
fn the_verdict_is_a_sentence_about_the_weightiest_that_failed() {
    let failed = || Verdict::Failed(Failure::new("a", "b"));
    for (outcomes, expected) in [
        (&[][..], "Nothing was judged"),
        (&[(Level::Must, Verdict::Skipped(String::new()))], "Nothing was judged"),
        (
            &[(Level::Must, Verdict::Passed), (Level::May, Verdict::NotOffered(String::new()))],
            "Every demand that was judged is met.",
        ),
        (
            &[(Level::Must, Verdict::Passed), (Level::May, failed())],
            "Every must and every should is met; 1 may is not.",
        ),
        (&[(Level::Should, failed()), (Level::Should, failed())], "Every must is met; 2 shoulds are not, "),
        (&[(Level::Must, failed()), (Level::Should, failed())], "1 must is not met: "),
        (&[(Level::Must, Verdict::Vintage(String::new()))], "met. 1 demand is met in the way of an older edition."),
    ] {
        let verdict = report::verdict(&with(outcomes));
        assert!(verdict.contains(expected), "{verdict}");
        assert!(report::text(&with(outcomes), false).replace('\n', " ").contains(&verdict), "it ends the text");
    }
}

#[test]
fn a_report_without_checks_is_one_in_every_format() {
    for format in Format::ALL {
        let text = format.render(&with(&[]));
        assert_eq!(text.is_empty(), format == Format::Lines, "{}", format.name());
    }
}
