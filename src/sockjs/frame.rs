//! Writes SockJS frames, server to client, the way one receiving transport wants them: the frame text in the transport's
//! encoding with the transport's text around it. A transport is a [`Framing`] value here, not a type.
//!
//! Does not know: when a frame is due, response limits, chunks and flushing, what a message contains.

use std::borrow::Cow;

use bytes::BytesMut;

use super::callback::Callback;
use super::close::Close;
use super::quote::{Encoding, quote_into};

/// One receiving transport's way to write frames (SockJS protocol, frames and transports). Each method appends to
/// `out` and writes whole pieces, so a caller can put any number of frames behind each other.
///
/// A message frame is written in steps, so that texts that were quoted before can be put between them:
///
/// ```
/// use bytes::BytesMut;
/// use towpath::sockjs::{Framing, quote_into};
///
/// let framing = Framing::xhr();
/// let mut out = BytesMut::new();
/// framing.begin_messages(&mut out);
/// quote_into(framing.encoding(), "first", &mut out);
/// framing.separator(&mut out);
/// quote_into(framing.encoding(), "second", &mut out);
/// framing.end_messages(&mut out);
/// assert_eq!(&out[..], b"a[\"first\",\"second\"]\n");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framing {
    encoding: Encoding,
    before: Cow<'static, str>,
    after: &'static str,
}

impl Framing {
    /// websocket: each frame is one text message, with nothing around it.
    pub const fn websocket() -> Framing {
        Framing::fixed(Encoding::Json, "", "")
    }

    /// xhr and xhr_streaming: the frame and LF.
    pub const fn xhr() -> Framing {
        Framing::fixed(Encoding::Json, "", "\n")
    }

    /// eventsource: a `data` field and the empty line that ends the event.
    pub const fn event_stream() -> Framing {
        Framing::fixed(Encoding::EventStream, "data: ", "\r\n\r\n")
    }

    /// htmlfile: a script block that calls the function `p` of [`htmlfile_page`](super::pages::htmlfile_page).
    pub const fn htmlfile() -> Framing {
        Framing::fixed(Encoding::Script, "<script>\np(\"", "\");\n</script>\r\n")
    }

    /// jsonp: a call of the client's callback. The comment in front keeps the answer from being taken for a Flash file that
    /// the callback's name spells out.
    pub fn jsonp(callback: &Callback) -> Framing {
        Framing { encoding: Encoding::Script, before: Cow::Owned(format!("/**/{callback}(\"")), after: "\");\r\n" }
    }

    /// The encoding that texts between [`begin_messages`](Self::begin_messages) and [`end_messages`](Self::end_messages)
    /// must be quoted in.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// `o`: the session is open. The first frame of every session.
    pub fn open(&self, out: &mut BytesMut) {
        self.wrapped("o", out);
    }

    /// `h`: a heartbeat.
    pub fn heartbeat(&self, out: &mut BytesMut) {
        self.wrapped("h", out);
    }

    /// `c[code,"reason"]`: the session is closed.
    pub fn close(&self, close: &Close, out: &mut BytesMut) {
        let mark = self.encoding.quotation_mark();
        out.extend_from_slice(self.before.as_bytes());
        out.extend_from_slice(b"c[");
        out.extend_from_slice(close.code.to_string().as_bytes());
        out.extend_from_slice(b",");
        out.extend_from_slice(mark.as_bytes());
        quote_into(self.encoding, &close.reason, out);
        out.extend_from_slice(mark.as_bytes());
        out.extend_from_slice(b"]");
        out.extend_from_slice(self.after.as_bytes());
    }

    /// The start of a message frame, up to where the first message's quoted text goes.
    pub fn begin_messages(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.before.as_bytes());
        out.extend_from_slice(b"a[");
        out.extend_from_slice(self.encoding.quotation_mark().as_bytes());
    }

    /// What stands between the quoted texts of two messages.
    pub fn separator(&self, out: &mut BytesMut) {
        let between = match self.encoding {
            Encoding::Json | Encoding::EventStream => "\",\"",
            Encoding::Script => "\\\",\\\"",
        };
        out.extend_from_slice(between.as_bytes());
    }

    /// The end of a message frame, after the last message's quoted text.
    pub fn end_messages(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.encoding.quotation_mark().as_bytes());
        out.extend_from_slice(b"]");
        out.extend_from_slice(self.after.as_bytes());
    }

    /// One whole message frame `a["...",...]`; nothing where there are no messages, since a frame carries at least one.
    pub fn messages<'a>(&self, texts: impl IntoIterator<Item = &'a str>, out: &mut BytesMut) {
        let mut texts = texts.into_iter();
        let Some(first) = texts.next() else { return };
        self.begin_messages(out);
        quote_into(self.encoding, first, out);
        for text in texts {
            self.separator(out);
            quote_into(self.encoding, text, out);
        }
        self.end_messages(out);
    }

    fn wrapped(&self, frame: &str, out: &mut BytesMut) {
        out.extend_from_slice(self.before.as_bytes());
        out.extend_from_slice(frame.as_bytes());
        out.extend_from_slice(self.after.as_bytes());
    }

    const fn fixed(encoding: Encoding, before: &'static str, after: &'static str) -> Framing {
        Framing { encoding, before: Cow::Borrowed(before), after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `write` writes on websocket, xhr, eventsource, htmlfile and jsonp.
    fn written(write: impl Fn(&Framing, &mut BytesMut)) -> [String; 5] {
        let callback = Callback::from_query("c=_jp.x").unwrap();
        let all = [
            Framing::websocket(),
            Framing::xhr(),
            Framing::event_stream(),
            Framing::htmlfile(),
            Framing::jsonp(&callback),
        ];
        all.map(|framing| {
            let mut out = BytesMut::new();
            write(&framing, &mut out);
            String::from_utf8(out.to_vec()).unwrap()
        })
    }

    #[test]
    fn open_and_heartbeat_on_every_transport() {
        let expected = |frame: &str| {
            [
                frame.to_owned(),
                format!("{frame}\n"),
                format!("data: {frame}\r\n\r\n"),
                format!("<script>\np(\"{frame}\");\n</script>\r\n"),
                format!("/**/_jp.x(\"{frame}\");\r\n"),
            ]
        };
        assert_eq!(written(Framing::open), expected("o"));
        assert_eq!(written(Framing::heartbeat), expected("h"));
    }

    #[test]
    fn close_on_every_transport() {
        let close = written(|framing, out| framing.close(&Close::GO_AWAY, out));
        assert_eq!(
            close,
            [
                "c[3000,\"Go away!\"]",
                "c[3000,\"Go away!\"]\n",
                "data: c[3000,\"Go away!\"]\r\n\r\n",
                "<script>\np(\"c[3000,\\\"Go away!\\\"]\");\n</script>\r\n",
                "/**/_jp.x(\"c[3000,\\\"Go away!\\\"]\");\r\n",
            ]
        );
    }

    #[test]
    fn close_reasons_are_quoted_like_messages() {
        let close = written(|framing, out| framing.close(&Close::new(4000, "\"100%\"\n</script>"), out));
        assert_eq!(close[1], "c[4000,\"\\\"100%\\\"\\n</script>\"]\n");
        assert_eq!(close[2], "data: c[4000,\"\\\"100%25\\\"\\n</script>\"]\r\n\r\n");
        assert_eq!(close[4], "/**/_jp.x(\"c[4000,\\\"\\\\\\\"100%\\\\\\\"\\\\n\\u003c/script\\u003e\\\"]\");\r\n");
    }

    #[test]
    fn messages_on_every_transport() {
        let frames = written(|framing, out| framing.messages(["a%", "<\n", ""], out));
        assert_eq!(
            frames,
            [
                r#"a["a%","<\n",""]"#.to_owned(),
                r#"a["a%","<\n",""]"#.to_owned() + "\n",
                r#"data: a["a%25","<\n",""]"#.to_owned() + "\r\n\r\n",
                "<script>\n".to_owned() + r#"p("a[\"a%\",\"\u003c\\n\",\"\"]");"# + "\n</script>\r\n",
                r#"/**/_jp.x("a[\"a%\",\"\u003c\\n\",\"\"]");"#.to_owned() + "\r\n",
            ]
        );
    }

    #[test]
    fn no_messages_write_no_frame() {
        assert_eq!(written(|framing, out| framing.messages([], out)), ["", "", "", "", ""]);
    }
}
