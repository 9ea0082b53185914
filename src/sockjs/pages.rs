//! The literal texts a SockJS endpoint serves: greeting, iframe page, htmlfile page, and the preludes that streaming
//! responses start with. Browsers' client code and the protocol suite compare them byte for byte.
//!
//! Does not know: headers, when a page is switched off, what follows a prelude.

use super::callback::Callback;

/// Body of a GET on the endpoint's base URL, with or without its trailing slash (SockJS protocol, base URL greeting).
pub const GREETING: &str = "Welcome to SockJS!\n";

/// First chunk of an xhr_streaming response: exactly 2048 `h` and LF. The length makes old browsers start to hand out data;
/// Spring's client refuses any other length.
pub const XHR_PRELUDE: &[u8] = &xhr_prelude();

/// First chunk of an eventsource response.
pub const EVENT_STREAM_PRELUDE: &[u8] = b"\r\n";

/// The page an iframe transport loads (SockJS protocol, iframe page): 16 lines without a final LF, of which only the
/// script's address varies. `client_url` starts with `/` or `http` and must serve the same client version as the page
/// that embeds the iframe.
pub fn iframe_page(client_url: &str) -> String {
    let source = escape_attribute(client_url);
    format!(
        r#"<!DOCTYPE html>
<html>
<head>
{METAS}  <script src="{source}"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>"#
    )
}

/// An `ETag` value, with its quotes, for a page: equal pages have equal tags. FNV-1a, because it only has to notice a changed
/// configuration, not to withstand anyone.
pub fn etag(page: &str) -> String {
    let hash = page
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("\"{hash:016x}\"")
}

/// First chunk of an htmlfile response (SockJS protocol, htmlfile): a page that defines `p` for the script blocks to come.
/// Padded with spaces to 1024 bytes before its last two line ends, since browsers run scripts of an unfinished page only
/// after that much.
pub fn htmlfile_page(callback: &Callback) -> String {
    let mut page = format!(
        r#"<!doctype html>
<html><head>
{METAS}</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.{callback};
    c.start();
    function p(d) {{c.message(d);}};
    window.onload = function() {{c.stop();}};
  </script>
"#
    );
    let padding = HTMLFILE_PADDED.saturating_sub(page.len());
    page.extend(std::iter::repeat_n(' ', padding));
    page.push_str("\r\n\r\n");
    page
}

/// Bytes of an htmlfile page before its tail.
const HTMLFILE_PADDED: usize = 1024;

const METAS: &str = r#"  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
"#;

const fn xhr_prelude() -> [u8; 2049] {
    let mut prelude = [b'h'; 2049];
    prelude[2048] = b'\n';
    prelude
}

fn escape_attribute(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greeting_is_nineteen_bytes() {
        assert_eq!(GREETING.len(), 19);
    }

    #[test]
    fn iframe_page_has_the_reference_size_and_shape() {
        let page = iframe_page("/lib/sockjs.js");
        assert_eq!(page.len(), 423);
        assert_eq!(page.lines().count(), 16);
        assert!(page.starts_with("<!DOCTYPE html>\n<html>\n<head>\n  <meta http-equiv=\"X-UA-Compatible\""));
        assert!(page.contains("\n  <script src=\"/lib/sockjs.js\"></script>\n  <script>\n    document.domain"));
        assert!(page.ends_with("</body>\n</html>"));
        assert!(!page.contains('\r'));
    }

    #[test]
    fn iframe_source_cannot_leave_its_attribute() {
        let page = iframe_page("/a?b&c\"><script>'");
        assert!(page.contains("src=\"/a?b&amp;c&quot;&gt;&lt;script&gt;&#39;\""));
    }

    #[test]
    fn etag_is_quoted_and_follows_the_page() {
        let tag = etag(&iframe_page("/a.js"));
        assert_eq!(tag.len(), 18);
        assert!(tag.starts_with('"') && tag.ends_with('"'));
        assert_eq!(tag, etag(&iframe_page("/a.js")));
        assert_ne!(tag, etag(&iframe_page("/b.js")));
    }

    #[test]
    fn htmlfile_page_is_padded_whatever_the_callback() {
        for name in ["a", "_jp.abcdef", "abcdefghijklmnopqrstuvwxyz012345"] {
            let callback = Callback::from_query(&format!("c={name}")).unwrap();
            let page = htmlfile_page(&callback);
            assert_eq!(page.len(), 1028);
            assert!(page.contains(&format!("\n    var c = parent.{name};\n    c.start();\n")));
            assert!(page.contains(
                "\n    function p(d) {c.message(d);};\n    window.onload = function() {c.stop();};\n  </script>\n "
            ));
            assert!(page.contains(
                "\n</head><body><h2>Don't panic!</h2>\n  <script>\n    document.domain = document.domain;\n"
            ));
            assert!(page.ends_with(" \r\n\r\n"));
        }
    }

    #[test]
    fn xhr_prelude_is_2048_h_and_a_line_feed() {
        assert_eq!(XHR_PRELUDE.len(), 2049);
        assert_eq!(XHR_PRELUDE.iter().filter(|b| **b == b'h').count(), 2048);
        assert_eq!(XHR_PRELUDE.last(), Some(&b'\n'));
    }
}
