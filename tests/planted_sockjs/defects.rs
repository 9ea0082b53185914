//! The defects that the server can have, each with the check that is there to catch it. Most of them were seen on servers that
//! people use; a few are what a hand slips into.
//!
//! Does not know: how the server has them.

/// What is wrong with a server, if anything is.
#[derive(Debug, Clone, Copy)]
pub struct Defects(pub Option<Defect>);

impl Defects {
    /// Whether it has this one.
    pub fn has(self, defect: Defect) -> bool {
        self.0 == Some(defect)
    }
}

/// A defect, the id of the check that catches it, and what it is.
pub type Planted = (Defect, &'static str, &'static str);

macro_rules! defects {
    ($($name:ident, $caught_by:literal, $what:literal;)*) => {
        /// What is wrong with the server.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Defect {
            $(
                #[doc = $what]
                $name,
            )*
        }

        /// All of them.
        pub const ALL: &[Planted] = &[$((Defect::$name, $caught_by, $what),)*];
    };
}

defects! {
    // Greeting, iframe page, info.
    GreetingWithoutLineEnd, "BaseUrlGreeting.test_greeting", "the greeting has no line end";
    CookieOnGreeting, "cookie.not-on-static-pages", "the greeting sets the cookie";
    UnknownPathFound, "BaseUrlGreeting.test_notFound", "unknown paths are answered with 200";
    IframeWithoutTag, "IframePage.test_simpleUrl", "the iframe page has no ETag";
    IframeTagChanges, "IframePage.test_cacheability", "the ETag of the iframe page is another one each time";
    IframeScriptRelative, "IframePage.test_simpleUrl", "the script of the iframe page has a URL without a slash in front";
    IframeUncached, "IframePage.test_simpleUrl", "the iframe page must not be cached";
    NotModifiedWithBody, "IframePage.test_cacheability", "the page comes behind its 304";
    NotModifiedWithType, "IframePage.test_cacheability", "the 304 of the iframe page has a Content-Type";
    IframeOfAnyEnding, "IframePage.test_invalidUrl", "iframe.htm is an iframe page, too";
    IframeQueryCounts, "IframePage.test_queriedUrl", "the iframe page with a query is not found";
    IframeVersionUnknown, "IframePage.test_versionedUrl", "there is no iframe page but iframe.html";
    IframeDotIsAny, "iframe.dot-is-literal", "the dot of the iframe page's path is any character";
    IframeTagAsWhole, "iframe.etag-list", "If-None-Match is compared as a whole";
    IframeEchoesQuery, "iframe.no-script-injection", "the query is written into the iframe page";
    EntropyConstant, "InfoTest.test_entropy", "the entropy is the same each time";
    InfoWithoutOrigins, "InfoTest.test_basic", "info has no origins";
    InfoCacheable, "InfoTest.test_basic", "info may be cached for a year";
    DisabledWebsocketInInfo, "InfoTest.test_disabled_websocket", "info says that a disabled websocket is there";
    CookieOnInfo, "JsessionidCookie.test_basic", "info sets the cookie";
    CookieNotNeeded, "JsessionidCookie.test_basic", "info says that no cookie is needed";

    // What pages of other origins may do.
    OriginIsStar, "XhrPolling.test_transport", "the origin is answered with a star";
    OriginTwice, "cors.exactly-one-origin-header", "Access-Control-Allow-Origin is there twice";
    CredentialsWithStar, "cors.no-credentials-without-origin", "a star for the origin comes with credentials";
    VaryMissing, "cors.vary", "Vary is missing";
    ErrorsWithoutOrigin, "cors.errors", "errors have no Access-Control-Allow-Origin";
    EventSourceWithoutOrigin, "cors.eventsource", "eventsource has no Access-Control-Allow-Origin";
    HeadersAllowedInPreflightOnly, "cors.allow-headers-on-posts", "posts do not echo Access-Control-Request-Headers";
    AllowHeadersMissing, "XhrPolling.test_request_headers_cors", "Access-Control-Request-Headers is never echoed";
    NoHeadersAllowed, "XhrPolling.test_request_headers_cors", "who asks for no headers is allowed one";
    NullOriginRefused, "InfoTest.test_options_null_origin", "the origin `null` is not allowed";
    PreflightWithoutAge, "XhrPolling.test_options", "preflights have no Access-Control-Max-Age";
    PreflightForAMinute, "http.preflight-cached", "preflights may be kept for a minute";
    PreflightOfInfoUnknown, "InfoTest.test_options", "there is no preflight for info";
    PreflightUnknown, "XhrStreaming.test_options", "there is no preflight for xhr_streaming";

    // Paths and sessions.
    DotsInPaths, "SessionURLs.test_invalidPaths", "servers and sessions with dots are found";
    WordsInPaths, "SessionURLs.test_anyValue", "servers and sessions are letters, digits and underscores only";
    ServerIdCounts, "SessionURLs.test_ignoringServerId", "the server id is part of the session's name";
    SendSaysOk, "XhrPolling.test_transport", "xhr_send is answered with 200";
    SendWithoutType, "XhrPolling.test_transport", "xhr_send is answered without Content-Type";
    UnknownSessionTakes, "XhrPolling.test_invalid_session", "xhr_send to an unknown session is 204";
    JsonpUnknownSessionTakes, "jsonp.send-unknown-session", "jsonp_send to an unknown session is 200";
    ConflictIs409, "Protocol.test_simpleSession", "2010 comes with status 409";
    OtherConflict, "Protocol.test_simpleSession", "2010 comes with another text";
    SecondReceiverTakesOver, "session.first-receiver-undisturbed", "a second receiver ends the first one";
    FirstReceiverEnds, "session.first-receiver-undisturbed", "a second receiver is turned away, and the first ends in good order";
    ConflictAmongOwnKind, "session.second-receiver-other-transport", "receivers of other transports do not exclude each other";
    CloseOnce, "Protocol.test_closeSession", "the close frame comes once";
    CloseNotOverJsonp, "session.close-on-every-transport", "over jsonp the second close frame is an open frame";
    CloseOvertakesMessages, "session.buffered-before-close", "the close frame overtakes messages";
    OpensTwice, "session.open-once", "each stream begins with an open frame";
    IdsInAnyCase, "session.isolated", "ids that differ in their case are one session";
    OneQueueForAll, "session.isolated", "messages come to whichever session there is";
    LostWhileAway, "session.messages-while-away", "messages without a receiver are lost";
    TransportsOfOneKind, "session.transport-change", "a session is of the transport that it was opened with";
    ClosedStreamStays, "HandlingClose.test_close_frame", "a stream does not end behind the close frame";
    RefusedStreamStays, "HandlingClose.test_close_request", "a stream that was told 2010 does not end";
    AbortUnnoticed, "HandlingClose.test_abort_xhr_streaming", "a stream whose peer is gone keeps its session attached";
    AbortUnnoticedByPolls, "HandlingClose.test_abort_xhr_polling", "a poll whose peer is gone keeps its session attached";
    AbortNoticedLate, "race.abort-streaming", "the end of a stream's peer is noticed a while later";
    PollAbortNoticedLate, "race.abort-polling", "the end of a poll's peer is noticed a while later";
    SomeAbortsNoticedLate, "race.abort-streaming", "the end of every fifth stream's peer is noticed a while later";
    SomePollAbortsNoticedLate, "race.abort-polling", "the end of every fifth poll's peer is noticed a while later";
    SessionsForEver, "session.disconnect-delay", "sessions without a receiver stay";
    SessionsForAMoment, "session.disconnect-delay", "sessions without a receiver are gone at once";
    AttachedSessionsExpire, "session.kept-while-attached", "sessions end some time after they were attached";
    SendsProlong, "session.send-does-not-prolong", "sends keep a session";
    SendAccepted, "session.client-library", "xhr_send is answered with 202";
    SessionsOneByOne, "race.many-sessions", "a session that opens ends the one before it";

    // Polls.
    PollEmpty, "poll.waits", "a poll with nothing to tell is answered empty";
    PollOneMessage, "poll.batches", "a poll has one message, whatever waits";
    PollTwoFrames, "poll.one-frame", "a poll is answered with the open frame and one more";
    MessagesSwapped, "payload.order", "the last message of a batch comes first";
    SomeWakingsLost, "race.poll-and-send", "every second message for which a poll waits is lost";
    SomeWakingsTwice, "race.poll-and-send", "every second message for which a poll waits comes twice";
    MessageAgain, "race.poll-and-send", "the last message of a poll comes again";
    LastOfSeveralLost, "session.messages-while-away", "of several messages that wait for a poll the last one is lost";

    // Streams.
    PreludeShort, "XhrStreaming.test_transport", "the prelude has 2047 characters";
    PreludeWithOpen, "XhrStreaming.test_transport", "prelude and open frame are one chunk";
    FramesHeldBack, "XhrStreaming.test_transport", "a frame is held back until the next one comes";
    FramesJoined, "stream.frame-per-chunk", "frames that are there at the same time are one chunk";
    FrameInTwoChunks, "stream.frame-per-chunk", "the line end of a frame is a chunk of its own";
    LargeFrameCut, "stream.large-frame-whole", "a frame is cut at the response limit";
    OneMessageOfAStream, "stream.several-messages", "of several messages for a stream only the first one comes";
    LimitIgnored, "XhrStreaming.test_response_limit", "a stream never ends";
    LimitTooEarly, "XhrStreaming.test_response_limit", "the prelude counts towards the response limit";
    LostAtTheLimit, "stream.limit-then-resume", "what waits when a stream reaches its limit is lost";
    MayBeTransformed, "stream.no-buffering-hints", "no-transform is missing";
    BufferedByProxies, "stream.accel-buffering", "X-Accel-Buffering is missing";
    SlowReaderBlocks, "stream.slow-reader", "everybody waits for a reader that does not read";
    SlowPollBlocks, "stream.slow-reader", "every poll waits for one whose answer is not read";
    StreamOfHttp10Stays, "Http10.test_streaming", "the connection stays open behind a stream of HTTP/1.0";
    StreamOfHttp10InChunks, "Http10.test_streaming", "a stream of HTTP/1.0 has chunks";
    StreamWithoutLastChunk, "Http11.test_streaming", "a stream ends with its connection, without the last chunk";
    NoHeartbeatOnPolls, "heartbeat.xhr", "polls have no heartbeats";
    NoHeartbeatOnXhrStreaming, "heartbeat.xhr-streaming", "xhr_streaming has no heartbeats";
    NoHeartbeatOnEventSource, "heartbeat.eventsource", "eventsource has no heartbeats";
    NoHeartbeatOnHtmlFile, "heartbeat.htmlfile", "htmlfile has no heartbeats";
    NoHeartbeatOnJsonp, "heartbeat.jsonp", "jsonp has no heartbeats";
    NoHeartbeatOnWebsockets, "heartbeat.websocket", "websockets have no heartbeats";

    // eventsource, htmlfile and jsonp.
    PercentRaw, "eventsource.percent-escaped", "eventsource does not escape percent signs";
    EventPreludeIsLf, "eventsource.prelude", "the prelude of eventsource is LF";
    EventNamed, "eventsource.one-event-per-frame", "the events have a name";
    EventTypeOther, "EventSource.test_transport", "eventsource is of the type text/plain";
    EventLimitIgnored, "EventSource.test_response_limit", "eventsource never ends";
    ScriptEndRaw, "htmlfile.script-end", "htmlfile does not escape end-of-script tags";
    PageShort, "htmlfile.prelude-size", "the page of htmlfile is not filled up";
    PageCallbackFixed, "HtmlFile.test_transport", "the page of htmlfile calls the same function whatever the callback is";
    PageCallbackUnchecked, "HtmlFile.test_invalid_callback", "htmlfile takes any callback";
    PageCallbackHostile, "htmlfile.callback-hostile", "htmlfile looks at the callback's first character only";
    PageCallbackLong, "htmlfile.callback-too-long", "htmlfile takes callbacks of any length";
    PageCallbackMissing, "HtmlFile.test_no_callback", "htmlfile without a callback is 404";
    PageLimitIgnored, "HtmlFile.test_response_limit", "htmlfile never ends";
    ScriptUnquoted, "JsonPolling.test_transport", "the frame in a jsonp call is no string";
    ScriptSniffed, "jsonp.nosniff", "X-Content-Type-Options is missing";
    ScriptTagRaw, "jsonp.script-end", "jsonp does not escape end-of-script tags";
    ScriptCallbackMissing, "JsonPolling.test_no_callback", "jsonp without a callback is 404";
    ScriptCloseWithoutReason, "JsonPolling.test_close", "the close frame has no reason over jsonp";
    ScriptCallbackUnchecked, "JsonPolling.test_invalid_callback", "jsonp takes any callback";
    ScriptCallbackHostile, "jsonp.callback-hostile", "jsonp looks at the callback's first character only";
    ScriptCallbackLong, "jsonp.callback-too-long", "jsonp takes callbacks of any length";
    ScriptCallbackEmpty, "jsonp.callback-empty", "jsonp takes an empty callback";
    ScriptCallbackOneName, "jsonp.callback-synonym", "jsonp knows c= only";
    SendOkMissing, "JsonPolling.test_transport", "jsonp_send is answered with an empty body";
    PlainTextDecoded, "JsonPolling.test_content_types", "jsonp_send decodes plain text as it does forms";
    FormRaw, "JsonPolling.test_content_types", "jsonp_send does not decode forms";
    FormEmptyTaken, "JsonPolling.test_invalid_json", "jsonp_send takes an empty form";

    FormEmptyArrayIsMessage, "JsonPolling.test_sending_empty_frame", "an empty array of a form is an empty message";

    // Payloads.
    BrokenIsBad, "XhrPolling.test_invalid_json", "broken JSON is 400";
    BrokenEndsSession, "XhrPolling.test_invalid_json", "broken JSON ends the session";
    NotAnArrayTaken, "payload.not-an-array", "JSON that is no array is taken, and dropped";
    HalfDelivered, "payload.non-string-elements", "of an array the strings are delivered, whatever else is in it";
    EmptyArrayIsMessage, "XhrPolling.test_sending_empty_frame", "an empty array is an empty message";
    EmptyStringLost, "payload.empty-string", "empty messages are lost";
    InvalidUtf8Ends, "encoding.invalid-utf8", "a body that is no UTF-8 ends the session";
    LoneSurrogateEnds, "encoding.lone-surrogates", "half a surrogate pair ends the session";
    DeepNestingCrashes, "payload.deep-nesting", "deep nesting ends every session";
    LargeCut, "payload.large", "messages end after 60,000 bytes";
    LargeBodyEnds, "payload.oversized", "a body above the limit ends every session";
    XmlRefused, "XhrPolling.test_content_types", "xhr_send refuses what says that it is XML";
    TypeCounts, "payload.any-content-type", "xhr_send takes text and JSON types only";
    WebsocketRegistered, "payload.websocket-id", "xhr_send reaches the id of a websocket";

    // Characters.
    NothingEscaped, "JSONEncoding.test_xhr_server_encodes", "only what JSON demands is escaped";
    LineSeparatorsRaw, "JSONEncoding.test_xhr_server_encodes", "U+2028 and U+2029 are written as they are";
    ControlsLost, "JSONEncoding.test_xhr_server_decodes", "the characters from U+0080 to U+009F are lost";
    UpperCaseEscapes, "JSONEncoding.test_xhr_server_encodes", "escapes have upper-case digits";
    EscapesKept, "JSONEncoding.test_xhr_server_decodes", "escapes above ASCII are not decoded";
    SurrogatesRaw, "encoding.surrogate-pairs", "characters above U+FFFF are written as they are";
    NulLost, "encoding.round-trip-xhr", "NUL is lost";
    LineSeparatorLost, "encoding.round-trip-jsonp", "U+2028 is lost over jsonp";
    LineSeparatorIsLineEnd, "encoding.round-trip-xhr-streaming", "U+2028 comes as LF over xhr_streaming";
    PercentTwice, "encoding.round-trip-eventsource", "percent signs are escaped twice over eventsource";
    FormTwice, "encoding.round-trip-jsonp", "jsonp_send decodes forms twice";
    QuotesOnly, "encoding.round-trip-htmlfile", "quotation marks are escaped over htmlfile, and backslashes are not";
    AmpersandAsHtml, "encoding.round-trip-htmlfile", "an ampersand comes as &amp; over htmlfile";
    CutAtNul, "encoding.round-trip-websocket", "messages end at NUL over the websocket";
    RawCutAtNul, "encoding.round-trip-raw-websocket", "messages end at NUL over the raw websocket";

    // Cookies.
    CookieMissing, "JsessionidCookie.test_xhr", "xhr does not set the cookie";
    CookieOfSendMissing, "cookie.xhr-send", "xhr_send does not set the cookie";
    CookieOfPreflightMissing, "cookie.preflight", "preflights do not set the cookie";
    CookieOfErrorsMissing, "cookie.errors", "errors do not set the cookie";
    CookieReplaced, "JsessionidCookie.test_xhr", "the client's own cookie is replaced";
    CookieOfXhrStreamingMissing, "JsessionidCookie.test_xhr_streaming", "xhr_streaming does not set the cookie";
    CookieOfEventSourceMissing, "JsessionidCookie.test_eventsource", "eventsource does not set the cookie";
    CookieOfHtmlFileMissing, "JsessionidCookie.test_htmlfile", "htmlfile does not set the cookie";
    CookieOfJsonpMissing, "JsessionidCookie.test_jsonp", "jsonp does not set the cookie";

    // Websockets.
    AcceptWrong, "Websocket.test_headersSanity", "the accept hash is wrong";
    UpgradeWithLength, "Websocket.test_headersSanity", "the 101 has a Content-Length";
    PlainGetNotFound, "WebsocketHttpErrors.test_httpMethod", "a plain GET on the websocket's URL is 404";
    OddConnectionLater, "WebsocketHttpErrors.test_invalidConnectionHeader", "an Upgrade with Connection: close is 426";
    ConnectionIgnored, "websocket.connection-needed", "a handshake with Connection: close is upgraded";
    PostRefused, "WebsocketHttpErrors.test_invalidMethod", "a POST on the websocket's URL is 400";
    AllowMissing, "WebsocketHttpErrors.test_invalidMethod", "405 has no Allow";
    OpenMissing, "Websocket.test_transport", "the websocket has no open frame";
    SocketStays, "Websocket.test_close", "the websocket stays behind the close frame";
    EmptyFrameEnds, "Websocket.test_empty_frame", "an empty message ends the websocket";
    SocketIdsShared, "Websocket.test_reuseSessionId", "a second websocket of one id is turned away";
    BrokenJsonIgnored, "Websocket.test_broken_json", "broken JSON is ignored on the websocket";
    BareStringRefused, "websocket.bare-string", "a bare string ends the websocket";
    LeadingSpaceEnds, "websocket.leading-space", "white space in front of an array ends the websocket";
    NotStringsTaken, "websocket.not-strings", "objects, numbers and null are ignored on the websocket";
    OneOfAnArray, "websocket.several-in-one-array", "of several messages in one array only the first one is taken";
    PacketCut, "websocket.pipelined-frames", "of several frames in one packet only the first one is taken";
    Length64Wrong, "websocket.large-message", "large messages have a wrong length";
    CloseCodeOther, "websocket.close-code", "the websocket closes with 1011 after the close frame";
    DisabledUpgraded, "websocket.disabled", "the disabled websocket is there";
    ResetEnds, "websocket.reset", "a websocket that is reset ends every session";
    ConnectionAsWhole, "websocket.connection-list", "Connection is compared as a whole";
    AnyVersion, "websocket.version", "a websocket of version 8 is taken";
    FragmentsApart, "websocket.fragmented", "each fragment is a message";
    PongMissing, "websocket.ping-is-answered", "a ping is not answered";
    PongEmpty, "websocket.ping-is-answered", "a pong has not the payload of its ping";
    CloseUnanswered, "websocket.close-is-answered", "a close frame is not answered";
    UnmaskedTaken, "websocket.unmasked-refused", "frames without a mask are taken";
    ReservedIgnored, "websocket.reserved-opcode-refused", "unknown opcodes are ignored";
    InvalidTextTaken, "websocket.invalid-utf8-refused", "text that is no UTF-8 is taken";
    LongPingTaken, "websocket.oversized-control-refused", "pings of any length are taken";
    RawFramed, "raw-websocket.no-framing", "the raw websocket has an open frame";
    RawArraysOpened, "raw-websocket.no-framing", "the raw websocket takes an array for several messages";
    RawTextCut, "RawWebsocket.test_transport", "U+FFFF is lost on the raw websocket";
    RawCloseWithoutReason, "RawWebsocket.test_close", "the raw websocket closes without the reason";
    RawCloseNormal, "raw-websocket.close-code", "the raw websocket closes with 1000";
    RawEmptyDropped, "raw-websocket.empty-message", "empty messages are dropped on the raw websocket";
    RawBinaryIsText, "raw-websocket.binary", "binary messages come back as text";

    // HTTP.
    PipeliningForgets, "http.pipelining", "what was sent behind a request is lost";
    PollOfHttp10InChunks, "http.http10-poll", "a poll of HTTP/1.0 has chunks";
    GreetingOfHttp10InChunks, "Http10.test_synchronous", "the greeting of HTTP/1.0 has chunks";
    ClosesAlways, "Http11.test_synchronous", "each connection ends with its answer";
    KeepAliveOfHttp10, "http.http10-keep-alive", "an answer to HTTP/1.0 says keep-alive, and the connection ends";
    ConnectionCloseIgnored, "http.connection-close", "Connection: close is ignored";
    UnknownMethodFails, "http.unknown-method", "an unknown method is 500";
    HeadWithBody, "http.head", "HEAD is answered with a body";
    QueryCounts, "http.query-ignored", "a query makes every path unknown";
    UpgradeElsewhereEnds, "http.upgrade-elsewhere", "Upgrade on any URL ends the connection";
    UpgradesWithoutWhat, "http.upgrade-h2c", "Upgrade: h2c is answered with 101, which says nothing of what comes now";
    RequestInOnePacket, "http.split-request", "a request has to come in one packet";
    ChunkedBodyIgnored, "http.chunked-request-body", "a body in chunks is not read";
    ContinueMissing, "http.expect-continue", "who waits for 100 Continue waits for ever";
    GarbageKept, "http.garbage", "what is no HTTP is never answered, and its connection stays open";
    GarbageEnds, "http.garbage", "what is no HTTP ends every session";
    HugeHeaderTaken, "http.huge-header", "headers of any size are taken";
    LengthNeeded, "HttpQuirks.test_emptyContentLengthForPost", "a POST without Content-Length is 411";
}
