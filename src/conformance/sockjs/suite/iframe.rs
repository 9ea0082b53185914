//! The page that clients load into a hidden iframe, to speak from there to a server of another origin.
//!
//! Does not know: the client that runs in it.

use super::{HTML, may, should};
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::answer::Answer;
use crate::conformance::{Check, Stop};
use crate::wire::{Fault, Request, shown};

const GROUP: &str = "iframe page";

pub(super) const CHECKS: &[Check<Probe>] = &[
    should(
        GROUP,
        "IframePage.test_simpleUrl",
        "iframe.html is the page of the protocol, to be cached for a year, with the client's script in it",
        "Where a browser cannot ask another origin, or a proxy spoils what it asks, sockjs-client falls back to transports in \
         this page. A page in other words, or one without a script by URL, never starts the client in it, and the fallback \
         ends in a time-out.",
        |probe| Box::pin(pages(probe, &["/iframe.html"])),
    ),
    should(
        GROUP,
        "IframePage.test_versionedUrl",
        "iframe-ANYTHING.html is the same page",
        "sockjs-client asks for the page with its own version in the name, so that caches cannot mix up two versions. A server \
         that knows iframe.html alone is useless to it.",
        |probe| {
            Box::pin(pages(
                probe,
                &["/iframe-a.html", "/iframe-.html", "/iframe-0.1.2.html", "/iframe-0.1.2abc-dirty.2144.html"],
            ))
        },
    ),
    should(
        GROUP,
        "IframePage.test_queriedUrl",
        "a query does not change the page",
        "Clients in development add a query of their own to get past caches, and applications add one to the base URL.",
        |probe| {
            Box::pin(pages(
                probe,
                &[
                    "/iframe-a.html?t=1234",
                    "/iframe-0.1.2.html?t=123414",
                    "/iframe-0.1.2abc-dirty.2144.html?t=qweqweq123",
                ],
            ))
        },
    ),
    may(
        GROUP,
        "IframePage.test_invalidUrl",
        "names that are not quite the page's are 404",
        "No client asks for them. But a page that loads scripts should be there under the names it is meant to have, and no \
         others: each more is one more to think of in rules of proxies and filters.",
        |probe| Box::pin(invalid_url(probe)),
    ),
    may(
        GROUP,
        "IframePage.test_cacheability",
        "the page has the same ETag each time, and If-None-Match with it gives 304 without type and body",
        "The page is loaded anew for every connection that uses it. An ETag that changes, or is not honoured, costs each of \
         them the whole page; no client breaks on that.",
        |probe| Box::pin(cacheability(probe)),
    ),
];

/// The page, with the place for the script's URL.
const PAGE: &str = r#"<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="{}"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>"#;

/// The same in the edition 0.3.3: the inline script comes first and waits for the other.
const PAGE_033: &str = r#"<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script>
    document.domain = document.domain;
    _sockjs_onload = function(){SockJS.bootstrap_iframe();};
  </script>
  <script src="{}"></script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>"#;

async fn pages(probe: &Probe, paths: &[&str]) -> Result<(), Stop> {
    let visit = probe.echo();
    for path in paths {
        let answer = visit.ask(&Request::get(visit.base(path))).await?;
        answer.status(200)?.content_type(HTML)?.cached_for_a_year()?.no_cookie()?;
        answer.some_header("ETag")?;
        page(&answer)?;
    }
    visit.done()
}

/// The body is the page, in one of its two forms.
fn page(answer: &Answer) -> Result<(), Stop> {
    let text = answer.response.text();
    let seen = text.trim();
    let script = seen.split_once("<script src=\"").and_then(|(_, rest)| rest.split_once('"'));
    let Some((url, _)) = script else {
        return Err(answer.fail(format!("a page without a script by URL: {}", shown(seen)), "the page of the protocol"));
    };
    if !url.starts_with('/') && !url.starts_with("http") {
        return Err(answer.fail(format!("a script at {}", shown(url)), "a script whose URL begins with / or http"));
    }
    if seen == PAGE_033.replace("{}", url) {
        answer.steps.vintage("0.3.3: iframe page whose inline script comes first");
        return Ok(());
    }
    let wanted = PAGE.replace("{}", url);
    if seen == wanted {
        return Ok(());
    }
    // The first line that differs says more than two pages side by side.
    let lines = seen.lines().count().max(wanted.lines().count());
    let line = (0..lines).find(|&at| seen.lines().nth(at) != wanted.lines().nth(at)).unwrap_or_default();
    let named = |page: &str| match page.lines().nth(line) {
        Some(text) => format!("line {} of the page: {}", line + 1, shown(text)),
        None => format!("no line {} of the page", line + 1),
    };
    Err(answer.fail(named(seen), named(&wanted)))
}

async fn invalid_url(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for path in ["/iframe.htm", "/iframe", "/IFRAME.HTML", "/IFRAME", "/iframe.HTML", "/iframe.xml", "/iframe-/.html"] {
        visit.ask(&Request::get(visit.base(path))).await?.status(404)?;
    }
    visit.done()
}

async fn cacheability(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let request = Request::get(visit.base("/iframe.html"));
    let first = visit.ask(&request).await?;
    let tag = first.status(200)?.some_header("ETag")?;
    visit.ask(&request).await?.status(200)?.header("ETag", tag)?;
    let mut connection = visit.connect().await?;
    let known = visit.ask_on(&mut connection, &request.clone().header("If-None-Match", tag)).await?;
    known.status(304)?.no_header("Content-Type")?.body("")?;
    // A page behind the 304 is read as the beginning of the next answer.
    match connection.ask(&request, &probe.target).await {
        Err(fault @ Fault::Garbage(_)) => Err(visit.fault(&fault, "nothing behind the 304 but the next answer")),
        _ => visit.done(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Verdict;

    fn verdict(body: &str) -> Verdict {
        let answer = Answer::of(&[], body);
        page(&answer).and_then(|()| answer.done()).into()
    }

    #[test]
    fn the_page_is_known_in_its_two_forms_and_with_any_script() {
        for url in ["/lib/sockjs.js", "https://example.com/sockjs.min.js"] {
            assert_eq!(verdict(&PAGE.replace("{}", url)), Verdict::Passed);
            assert_eq!(verdict(&PAGE_033.replace("{}", url)).name(), "vintage");
        }
        assert_eq!(verdict(&PAGE.replace("{}", "lib/sockjs.js")).name(), "failed");
        assert_eq!(verdict("<html></html>").name(), "failed");
    }

    #[test]
    fn the_first_line_that_differs_is_shown() {
        let body = PAGE.replace("{}", "/s.js").replace("  <h2>", "<h2>");
        let Verdict::Failed(failure) = verdict(&body) else { panic!("another page passes") };
        assert_eq!(failure.seen, "line 13 of the page: \"<h2>Don't panic!</h2>\"");
        assert_eq!(failure.wanted, "line 13 of the page: \"  <h2>Don't panic!</h2>\"");
        let Verdict::Failed(failure) = verdict(&PAGE.replace("{}", "/s.js").replace("\n</html>", "")) else {
            panic!("half a page passes")
        };
        assert_eq!(failure.seen, "no line 16 of the page");
    }
}
