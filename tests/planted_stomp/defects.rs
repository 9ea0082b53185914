//! The defects that can be planted, each with the check that must catch it.
//!
//! Does not know: how the server does it.

/// Defects, and the table of them with the id of the check that is there for each.
macro_rules! defects {
    ($($(#[$text:meta])+ $name:ident => $check:literal,)+) => {
        /// Something that the server does wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Defect { $($(#[$text])+ $name,)+ }

        /// Every defect with the check that must catch it.
        pub const DEFECTS: &[(Defect, &str)] = &[$((Defect::$name, $check),)+];
    };
}

defects! {
    // ---- connecting ----
    /// A line feed stands before CONNECTED.
    LineFeedFirst => "connect.connected",
    /// STOMP is an unknown command.
    StompUnknown => "connect.stomp-command",
    /// A CONNECT without host is refused.
    HostRequired => "connect.without-host",
    /// A host that is not `/` is refused.
    HostStrict => "connect.host-of-the-url",
    /// The headers of CONNECT are decoded.
    ConnectDecoded => "connect.not-escaped",
    /// The headers of CONNECTED are escaped.
    ConnectedEscaped => "connect.connected-not-escaped",
    /// CONNECTED has no heart-beat.
    NoHeartBeatHeader => "connect.heart-beat-header",
    /// The server header has no name.
    NamelessServer => "connect.server-header",
    /// Every session has the same id.
    OneSession => "connect.session-header",
    /// A session id has colons.
    SessionWithColons => "connect.plain-values",
    /// What is sent before CONNECT is carried out.
    SendsBeforeConnect => "connect.first",
    /// A second CONNECT is answered like the first.
    ConnectsTwice => "connect.once",
    /// A wrong passcode is told, and the connection stays.
    StaysAfterWrongPasscode => "connect.refused-login",
    /// DISCONNECT is not understood.
    DisconnectFails => "connect.disconnect",

    // ---- versions ----
    /// 1.0 is answered with 1.1.
    Gives11For10 => "version.1.0",
    /// 1.1 is answered with 1.2.
    Gives12For11 => "version.1.1",
    /// 1.2 is answered with 1.1.
    Gives11For12 => "version.1.2",
    /// The first version of the list is taken.
    FirstVersion => "version.highest",
    /// A list with an unknown version is refused.
    UnknownVersionFatal => "version.unknown-passed-over",
    /// A blank is a part of a version's name.
    BlankInVersion => "version.blanks",
    /// A CONNECT without accept-version is refused.
    VersionRequired => "version.missing",
    /// Any version is agreed to.
    AnyVersion => "version.none-in-common",
    /// The refusal of a version does not say which would do.
    NoVersionList => "version.none-lists",

    // ---- framing ----
    /// A NUL stands between frames.
    NulBetween => "framing.only-line-ends-between",
    /// CR LF is no line end.
    NoCrLf => "framing.crlf",
    /// A line end between frames is an error.
    LineEndFatal => "framing.line-ends-between",
    /// A stray NUL is an error.
    NulFatal => "framing.nuls-between",
    /// A body ends at its first NUL.
    LengthIgnored => "framing.nul-in-body",
    /// A body needs a content-length.
    LengthRequired => "framing.without-length",
    /// A content-length of the server counts characters.
    CountsCharacters => "framing.octets",
    /// A frame goes on to its NUL, wherever content-length says it ends.
    ShortLengthTaken => "framing.length-too-short",
    /// A content-length that is no number is taken for none.
    GarbageLengthTaken => "framing.length-garbage",
    /// A negative content-length is taken for none.
    NegativeLengthTaken => "framing.length-negative",
    /// A content-length of zero is an error.
    ZeroLengthFatal => "framing.length-zero",
    /// Each read is a frame.
    ReadIsFrame => "framing.cut-anywhere",
    /// Each message is a frame.
    MessageIsFrame => "framing.over-messages",
    /// Only the first frame of a read is seen.
    FirstOfRead => "framing.several-at-once",
    /// Bodies of more than 16 KiB are refused.
    SmallBodies => "framing.large-body",
    /// An unknown command is passed over.
    UnknownCommandIgnored => "framing.unknown-command",
    /// Commands are understood in any case.
    AnyCaseCommand => "framing.command-case",
    /// The body of a SUBSCRIBE is taken for the next frame, and nothing is said.
    BodyConfuses => "framing.body-not-allowed",

    // ---- headers ----
    /// Escapes are not decoded in 1.2.
    NotDecoded12 => "headers.escapes-1.2",
    /// Escapes are not decoded in 1.1.
    NotDecoded11 => "headers.escapes-1.1",
    /// Headers whose names have escapes are dropped.
    EscapedNamesDropped => "headers.escaped-names",
    /// Escapes are decoded in 1.0.
    Decoded10 => "headers.no-escapes-1.0",
    /// Every receiver is written to in 1.2.
    OneEncoding => "headers.each-in-its-version",
    /// An undefined escape of 1.2 stays as it is.
    UndefinedKept12 => "headers.undefined-escape-1.2",
    /// An undefined escape of 1.1 stays as it is.
    UndefinedKept11 => "headers.undefined-escape-1.1",
    /// The escape for CR is decoded in 1.1.
    CrIn11 => "headers.cr-escape-1.1",
    /// Of repeated headers the last counts.
    LastWins => "headers.first-wins",
    /// What is not ASCII in a header becomes a question mark.
    AsciiOnly => "headers.utf-8",
    /// Values are trimmed in 1.2.
    Trimmed12 => "headers.blanks-kept-1.2",
    /// Values are trimmed in 1.1.
    Trimmed11 => "headers.blanks-kept-1.1",
    /// Values are not trimmed in 1.0.
    Untrimmed10 => "headers.padding-1.0",
    /// Empty headers are dropped.
    EmptyDropped => "headers.empty-value",
    /// Names are understood in any case.
    AnyCaseName => "headers.case",
    /// A line without a colon is passed over.
    NoColonIgnored => "headers.no-colon",
    /// A CR inside a line is taken.
    LoneCrTaken => "headers.lone-cr",

    // ---- sending ----
    /// Every fourth message is delivered twice.
    Doubles => "send.delivered",
    /// MESSAGE has no subscription.
    NoSubscription => "send.message-headers",
    /// MESSAGE has another destination.
    OtherDestination => "send.message-destination",
    /// All messages have one id.
    OneMessageId => "send.message-ids",
    /// The user's headers are dropped.
    UserHeadersDropped => "send.user-headers",
    /// content-type is dropped.
    ContentTypeDropped => "send.content-type",
    /// Bytes that are no text are replaced.
    TextOnly => "send.bytes",
    /// A message without a body is dropped.
    EmptyBodyDropped => "send.empty-body",
    /// A SEND without destination is passed over.
    SendToNobodyIgnored => "send.without-destination",
    /// Every fifth message is overtaken by the next.
    Overtakes => "send.order",
    /// A subscription header of SEND is believed.
    Forged => "send.not-forged",
    /// The receipt header is passed on.
    ReceiptPassedOn => "send.receipt-is-not-passed-on",
    /// One subscriber of a topic gets the message.
    TopicToOne => "send.topic",
    /// A queue without consumers drops what is sent.
    QueueForgets => "send.queue-waits",
    /// All consumers of a queue get the message.
    QueueToAll => "send.queue-to-one",
    /// What is read together with DISCONNECT is dropped.
    DropsOnLeave => "send.and-leave",

    // ---- subscribing ----
    /// A connection gets one copy.
    OneCopy => "subscribe.several",
    /// A SUBSCRIBE needs no id.
    NoIdNeeded => "subscribe.without-id",
    /// A SUBSCRIBE of 1.0 needs an id.
    IdNeeded10 => "subscribe.without-id-1.0",
    /// A SUBSCRIBE without destination is passed over.
    SubscribeToNothingIgnored => "subscribe.without-destination",
    /// An id may be used twice.
    DuplicateTaken => "subscribe.duplicate-id",
    /// An id belongs to the last connection that used it.
    IdsShared => "subscribe.ids-of-others",
    /// An id must be letters and digits.
    PlainIdsOnly => "subscribe.any-id",
    /// UNSUBSCRIBE does nothing.
    UnsubscribeIgnored => "subscribe.unsubscribe",
    /// UNSUBSCRIBE ends all subscriptions to the same destination.
    UnsubscribesAll => "subscribe.unsubscribe-one",
    /// UNSUBSCRIBE of an unknown id is passed over.
    UnknownUnsubscribeIgnored => "subscribe.unsubscribe-unknown",
    /// UNSUBSCRIBE without an id is passed over.
    UnsubscribeWithoutIdIgnored => "subscribe.unsubscribe-without-id",
    /// An id is used up.
    IdUsedUp => "subscribe.again",
    /// An unknown ack mode is auto.
    UnknownModeIsAuto => "subscribe.unknown-ack",
    /// Subscriptions beyond the twentieth get nothing.
    TwentySubscriptions => "subscribe.many",

    // ---- acknowledging ----
    /// Mode auto waits for an ACK as well.
    AutoWaits => "ack.auto",
    /// MESSAGE has no ack.
    NoAckHeader => "ack.header",
    /// ack counts anew on every subscription.
    AckCountsAnew => "ack.values-differ",
    /// What was not acknowledged is lost.
    UnackedLost => "ack.redelivered",
    /// ACK does nothing.
    AckIgnored => "ack.consumed",
    /// Mode client is like client-individual.
    ClientIsIndividual => "ack.cumulative",
    /// ACK in mode client covers all subscriptions.
    CumulativeOverAll => "ack.cumulative-on-its-subscription",
    /// Mode client-individual is cumulative.
    IndividualIsCumulative => "ack.individual",
    /// NACK is an unknown command.
    NackUnknown => "ack.nack",
    /// ACK of 1.1 needs an id.
    AckIdIn11 => "ack.in-1.1",
    /// ACK of 1.0 needs an id.
    AckIdIn10 => "ack.in-1.0",
    /// ACK of an unknown message is passed over.
    UnknownAckIgnored => "ack.unknown",
    /// ACK without an id is passed over.
    AckWithoutIdIgnored => "ack.without-id",
    /// A second ACK is passed over.
    SecondAckIgnored => "ack.twice",
    /// NACK exists in 1.0.
    NackIn10 => "ack.nack-in-1.0",

    // ---- transactions ----
    /// What is sent in a transaction goes at once.
    SendsAtOnce => "transaction.commit",
    /// ABORT commits.
    AbortCommits => "transaction.abort",
    /// DISCONNECT commits.
    DisconnectCommits => "transaction.disconnect",
    /// The loss of the connection commits.
    LossCommits => "transaction.lost",
    /// While a transaction is open everything waits for it.
    HoldsAll => "transaction.outside",
    /// The end of a transaction ends them all.
    EndsAllTransactions => "transaction.two",
    /// Transactions belong to nobody.
    TransactionsShared => "transaction.ids-of-others",
    /// The id of a transaction is used up.
    TransactionUsedUp => "transaction.again",
    /// ACK in a transaction counts at once.
    AcksAtOnce => "transaction.ack",
    /// BEGIN without an id is passed over.
    BeginWithoutIdIgnored => "transaction.without-id",
    /// SEND in an unknown transaction is passed over.
    UnknownTransactionSends => "transaction.unknown-send",
    /// COMMIT of an unknown transaction is passed over.
    UnknownCommitIgnored => "transaction.unknown-commit",
    /// ABORT of an unknown transaction is passed over.
    UnknownAbortIgnored => "transaction.unknown-abort",
    /// BEGIN of an open transaction begins it anew.
    BeginsTwice => "transaction.begun-twice",

    // ---- receipts ----
    /// SEND gets no receipt.
    NoReceiptForSend => "receipt.send",
    /// UNSUBSCRIBE gets no receipt.
    NoReceiptForUnsubscribe => "receipt.subscribe",
    /// ABORT gets no receipt.
    NoReceiptForAbort => "receipt.transaction",
    /// NACK gets no receipt.
    NoReceiptForNack => "receipt.ack",
    /// A receipt-id is in small letters and ASCII.
    ReceiptChanged => "receipt.exact",
    /// RECEIPT has a body.
    ReceiptWithBody => "receipt.has-no-body",
    /// The receipt of a SEND waits for the next one.
    ReceiptsOvertake => "receipt.order",
    /// Every SEND gets a receipt.
    ReceiptUnasked => "receipt.only-when-asked",
    /// What fails gets its receipt before the ERROR.
    ReceiptForFailure => "receipt.not-for-failures",
    /// DISCONNECT gets no receipt.
    NoReceiptForDisconnect => "receipt.disconnect",
    /// Receipts that are due at DISCONNECT are lost.
    ReceiptsLost => "receipt.disconnect-last",
    /// After DISCONNECT the connection stays.
    StaysAfterDisconnect => "receipt.end",
    /// What follows DISCONNECT is carried out.
    HearsAfterDisconnect => "receipt.nothing-after-disconnect",

    // ---- errors ----
    /// After ERROR the connection stays.
    StaysAfterError => "error.ends",
    /// After ERROR a connection of 1.1 stays.
    StaysAfterError11 => "error.ends-1.1",
    /// ERROR has no message.
    NoMessage => "error.message",
    /// ERROR has no receipt-id.
    NoReceiptId => "error.receipt-id",
    /// The receipts of later frames follow ERROR.
    GoesOnAfterError => "error.nothing-after",
    /// Later frames are carried out, without a word.
    DoesTheRest => "error.rest-is-not-done",
    /// Frames that are read together with one that fails are dropped.
    DropsWhatIsBefore => "error.before-it-is-done",
    /// A fault ends all connections.
    FaultEndsAll => "error.others-go-on",
    /// ERROR has no content-type.
    NoErrorType => "error.body-type",
    /// The message of ERROR has a colon.
    ColonInMessage => "error.plain-message",

    // ---- heart-beats ----
    /// A heart-beat header of nonsense is taken for none.
    NonsenseBeats => "beats.malformed",
    /// The client's numbers are given back.
    MirrorsBeats => "beats.not-negative",
    /// Heart-beats are promised and not sent.
    NeverBeats => "beats.server",
    /// A heart-beat is a NUL.
    BeatIsNul => "beats.line-feed",
    /// Heart-beats are sent to everybody.
    BeatsUnasked => "beats.none",
    /// Silent clients stay.
    NeverCuts => "beats.silent-client",
    /// Line ends are no sign of life.
    OnlyFramesCount => "beats.of-client",
    /// Bytes of a frame that is not complete are no sign of life.
    OnlyWholeCounts => "beats.any-bytes",

    // ---- websocket ----
    /// The first subprotocol is chosen.
    FirstSubprotocol => "websocket.highest-subprotocol",
    /// Only v12.stomp is known.
    OnlyV12 => "websocket.each-subprotocol",
    /// A subprotocol must be offered.
    SubprotocolRequired => "websocket.no-subprotocol",
    /// v12.stomp is chosen, offered or not.
    ForeignSubprotocol => "websocket.foreign-subprotocol",
    /// The subprotocol says which version is spoken.
    SubprotocolIsVersion => "websocket.subprotocol-is-no-version",
    /// Binary messages are passed over.
    BinaryIgnored => "websocket.text-and-binary",
    /// All messages are binary.
    AlwaysBinary => "websocket.text-for-text",
    /// A large frame is cut into messages.
    CutsFrames => "websocket.one-frame-a-message",
    /// A fragment is a message.
    FragmentIsMessage => "websocket.fragments",
    /// A ping is not answered.
    NoPong => "websocket.ping",
    /// The connection ends without a close frame.
    NoCloseFrame => "websocket.close-frame",

    // ---- robustness ----
    /// What is no STOMP is passed over.
    GarbageIgnored => "hostile.garbage",
    /// What stands before CONNECT is passed over.
    HttpIgnored => "hostile.http",
    /// A header may have any length.
    EndlessHeader => "hostile.endless-header",
    /// Many headers stop the connection's task.
    ManyHeadersHang => "hostile.many-headers",
    /// A frame whose length is never reached is delivered as it is.
    AnnouncedDelivered => "hostile.announced-length",
    /// The end of the connection is the end of the frame.
    HalfFrameDone => "hostile.half-a-frame",
    /// What is no STOMP ends all connections.
    GarbageEndsAll => "hostile.others-go-on",
    /// Of one read fifty frames are seen.
    FewAtOnce => "hostile.many-at-once",
}
