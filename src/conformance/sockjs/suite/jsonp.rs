//! Polls by script elements, and the form that sends for them.
//!
//! Does not know: what a callback may be; that is the same for htmlfile.

use super::htmlfile::{invalid_callback, no_callback};
use super::{GO_AWAY, JAVASCRIPT, TEXT, should};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::answer::Answer;
use crate::conformance::sockjs::visit::Visit;
use crate::conformance::{Check, Stop};

const GROUP: &str = "jsonp";
const FORM: &str = "application/x-www-form-urlencoded";

pub(super) const CHECKS: &[Check<Probe>] = &[
    should(
        GROUP,
        "JsonPolling.test_transport",
        "a poll is a script that calls the callback with the frame, and jsonp_send answers ok",
        "It is the last fallback of sockjs-client, for browsers that can ask another origin by nothing but scripts. The empty \
         comment in front keeps the answer from being taken for a Flash file, with which others' callbacks could run code in \
         the server's origin.",
        |probe| Box::pin(transport(probe)),
    ),
    should(
        GROUP,
        "JsonPolling.test_no_callback",
        "a poll without callback is 500 and says so",
        "The script would call nothing, and the client would wait 35 seconds for it.",
        |probe| Box::pin(no_callback(probe, "/jsonp")),
    ),
    should(
        GROUP,
        "JsonPolling.test_invalid_callback",
        "a callback with other characters than letters, digits, minus, underscore and dot is 500",
        "The callback is the beginning of a script that any page may load, and of a file that any link may offer for download. \
         Where it may be anything, both have the server's good name.",
        |probe| Box::pin(invalid_callback(probe, "/jsonp")),
    ),
    should(
        GROUP,
        "JsonPolling.test_invalid_json",
        "a form with broken JSON, or without the field d, is 500 with the words of the protocol, and the session lives on",
        "A form that is cut on its way must not end as a message that looks whole, and one bad message must not take the \
         session.",
        |probe| Box::pin(invalid_json(probe)),
    ),
    should(
        GROUP,
        "JsonPolling.test_content_types",
        "jsonp_send takes the field d of a form, and a body of text/plain as it is",
        "Forms are percent-encoded and plain text is not: what decodes both changes every message that has a per cent sign.",
        |probe| Box::pin(content_types(probe)),
    ),
    should(
        GROUP,
        "JsonPolling.test_close",
        "a closed session gives its close frame to every poll",
        "The script with the close frame may be lost on its way, and the client that asks again must learn the same.",
        |probe| Box::pin(close(probe)),
    ),
    should(
        GROUP,
        "JsonPolling.test_sending_empty_frame",
        "an empty array is answered with ok, and nothing comes of it",
        "Clients may send it to show that they are alive. It is no message, and no mistake.",
        |probe| Box::pin(sending_empty_frame(probe)),
    ),
];

/// Polls once with the callback `callback`; the frame is what the callback is called with, and is given as text of a script.
async fn poll(visit: &Visit<'_>, frame: &str) -> Result<Answer, Stop> {
    let answer = visit.ask(&visit.get("/jsonp?c=%63allback")).await?;
    answer.status(200)?;
    script(&answer, frame)?;
    Ok(answer)
}

/// The body calls the callback with this.
pub(super) fn script(answer: &Answer, frame: &str) -> Result<(), Stop> {
    let call = format!("callback(\"{frame}\");\r\n");
    if answer.response.body() == call.as_bytes() {
        answer.steps.vintage("0.3.3: JSONP without /**/ in front of the callback");
        return Ok(());
    }
    answer.body(format!("/**/{call}")).map(drop)
}

/// Sends the body of a form, which is to be taken.
pub(super) async fn submit(visit: &Visit<'_>, content_type: &str, body: &'static str) -> Result<Answer, Stop> {
    let answer = visit.ask(&visit.post("/jsonp_send").header("Content-Type", content_type).body(body)).await?;
    answer.status(200)?.body("ok")?;
    Ok(answer)
}

async fn transport(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    poll(&visit, "o").await?.content_type(JAVASCRIPT)?.not_cached()?;
    submit(&visit, FORM, "d=%5B%22x%22%5D").await?.content_type(TEXT)?.not_cached()?;
    poll(&visit, r#"a[\"x\"]"#).await?;
    visit.done()
}

async fn invalid_json(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    poll(&visit, "o").await?;
    let (broken, missing) = ("Broken JSON encoding.", "Payload expected.");
    for (body, words) in [("d=%5B%22x", broken), ("", missing), ("d=", missing), ("p=p", missing)] {
        let request = visit.post("/jsonp_send").header("Content-Type", FORM).body(body);
        visit.ask(&request).await?.status(500)?.body_has(words)?;
    }
    submit(&visit, FORM, "d=%5B%22b%22%5D").await?;
    poll(&visit, r#"a[\"b\"]"#).await?;
    visit.done()
}

async fn content_types(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    poll(&visit, "o").await?;
    submit(&visit, FORM, "d=%5B%22abc%22%5D").await?;
    submit(&visit, "text/plain", r#"["%61bc"]"#).await?;
    poll(&visit, r#"a[\"abc\",\"%61bc\"]"#).await?;
    visit.done()
}

async fn close(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.close()?;
    poll(&visit, "o").await?;
    for _ in 0..2 {
        poll(&visit, &GO_AWAY.replace('"', "\\\"")).await?;
    }
    visit.done()
}

async fn sending_empty_frame(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    poll(&visit, "o").await?;
    submit(&visit, FORM, "d=%5B%5D").await?;
    submit(&visit, FORM, "d=%5B%22x%22%5D").await?;
    poll(&visit, r#"a[\"x\"]"#).await?;
    visit.done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Verdict;

    #[test]
    fn the_comment_in_front_is_of_the_present_edition() {
        let verdict = |body: &'static str| {
            let answer = Answer::of(&[], body);
            Verdict::from(script(&answer, "o").and_then(|()| answer.done()))
        };
        assert_eq!(verdict("/**/callback(\"o\");\r\n"), Verdict::Passed);
        assert_eq!(verdict("callback(\"o\");\r\n").name(), "vintage");
        assert_eq!(verdict("/**/callback(\"o\")").name(), "failed");
    }
}
