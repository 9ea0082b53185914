//! The iframe page: what the official suite leaves open about it.
//!
//! Does not know: what the page does.

use super::check;
use crate::conformance::sockjs::Probe;
use crate::conformance::sockjs::visit::Visit;
use crate::conformance::{Check, Level, Stop};
use crate::wire::{Request, shown};

const GROUP: &str = "iframe page";

pub(super) const CHECKS: &[Check<Probe>] = &[
    check(
        Level::May,
        GROUP,
        "iframe.etag-list",
        "RFC 9110, section 13.1.2",
        "If-None-Match is a list, whose tags may be weak",
        "Caches between browser and server join the tags of all their copies, and mark them as weak when they compress. Where \
         the header is compared as a whole the page is sent again each time.",
        |probe| Box::pin(etag_list(probe)),
    ),
    check(
        Level::May,
        GROUP,
        "iframe.dot-is-literal",
        "observed: sockjs-node",
        "/iframe-1xhtml is no iframe page",
        "The pattern of the reference server has a dot that stands for anything, and others copied it. It does no harm but that \
         rules of proxies for *.html do not hold for such a URL.",
        |probe| Box::pin(dot_is_literal(probe)),
    ),
    check(
        Level::Must,
        GROUP,
        "iframe.no-script-injection",
        "SockJS protocol, iframe page",
        "nothing of the path or the query is written into the page as HTML",
        "The page runs in the server's own origin. If a link can put a script into it, whoever follows the link gives away his \
         cookies and his connection.",
        |probe| Box::pin(no_script_injection(probe)),
    ),
];

/// The tag of the page, where there is a page.
async fn etag(visit: &Visit<'_>) -> Result<String, Stop> {
    let page = visit.ask(&Request::get(visit.base("/iframe.html"))).await?;
    if page.response.status() == 404 {
        return Err(Stop::NotOffered("no iframe page: its URL is 404".to_owned()));
    }
    page.status(200)?.some_header("ETag").map(str::to_owned)
}

async fn etag_list(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    let tag = etag(&visit).await?;
    let weak = format!("W/{}", tag.trim_start_matches("W/"));
    for value in [tag.clone(), format!("\"a\", {tag}, \"b\""), weak] {
        let request = Request::get(visit.base("/iframe.html")).header("If-None-Match", &value);
        visit.ask(&request).await?.status(304)?;
    }
    let request = Request::get(visit.base("/iframe.html")).header("If-None-Match", "\"a\", \"b\"");
    visit.ask(&request).await?.status(200)?;
    visit.done()
}

async fn dot_is_literal(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    etag(&visit).await?;
    for page in ["/iframe-1xhtml", "/iframexhtml"] {
        visit.ask(&Request::get(visit.base(page))).await?.status(404)?;
    }
    visit.done()
}

async fn no_script_injection(probe: &Probe) -> Result<(), Stop> {
    let visit = probe.echo();
    for path in [
        "/iframe-%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E.html",
        "/iframe-'%22%3e%3cimg%20src%3dx%20onerror%3dalert(1)%3e.html",
        "/iframe.html?t=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/iframe-1.html?\"><script>alert(1)</script>",
    ] {
        let answer = visit.ask(&Request::get(visit.base(path))).await?;
        let html = answer.response.header("Content-Type").is_none_or(|kind| kind.contains("html"));
        let text = answer.response.text().to_lowercase();
        if html && (text.contains("<script>alert") || text.contains("<img src=x") || text.contains("<img%20src")) {
            return Err(answer.fail(format!("a page with {}", shown(injected(&text))), "none of that, or escaped"));
        }
        answer.status_in(&[200, 400, 404])?;
    }
    visit.done()
}

/// The page from where the injected text begins.
fn injected(page: &str) -> &str {
    let at = page.find("<script>alert").or_else(|| page.find("<img")).unwrap_or_default();
    page.get(at..).unwrap_or(page)
}
