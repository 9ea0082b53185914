"""The scenarios that every client passes. node/scenarios.mjs has the same ones under the same names.

Does not know: how a client is spoken to (clients.py).
"""


from clients import Failure

MEBIBYTE = 1024 * 1024
EVERY_BYTE = bytes(range(256))
AWKWARD = "gr\u00f6\u00dfe: 1\\2\nzwei \u4f60\u597d"


class Stage:
    """What one run of a scenario has: names of its own, connections that are ended when it is over."""

    def __init__(self, client, helper, unique):
        self.client = client
        self._helper = helper
        self._unique = unique
        self._opened = []

    def connect(self, **options):
        return self.client.connect(self._opened, **options)

    def helper(self):
        return self._helper.connect(self._opened)

    def name(self, prefix):
        """A destination or user name that no other run has."""
        return f"{prefix}.{self._unique}"

    def clear(self):
        for connection in self._opened:
            connection.vanish()


def connect(stage):
    connection = stage.connect()
    told = connection.connected
    expect(told.get("session"), "CONNECTED names no session")
    # 1.0 knows nothing but the session.
    if " 1.0/" not in stage.client.name:
        equal(told.get("version"), "1.1" if " 1.1/" in stage.client.name else "1.2", "the version")
        expect(told.get("server"), "CONNECTED names no server")
        expect("," in told.get("heart-beat", ""), "CONNECTED has no heart-beat")


def topic(stage):
    destination = stage.name("/topic/interop")
    sender, *others = stage.connect(), stage.connect(), stage.connect()
    inboxes = [other.subscribe(destination) for other in others]
    sender.send(destination, "f\u00fcr alle", {"kind": "greeting"})
    for inbox in inboxes:
        message = inbox.next()
        equal(message.text, "f\u00fcr alle", "the body")
        equal(message.headers.get("destination"), destination, "the destination")
        equal(message.headers.get("kind"), "greeting", "the sender's header")
        expect(message.headers.get("message-id"), "there is no message-id")
    others[0].unsubscribe(inboxes[0])
    sender.send(destination, "second")
    equal(inboxes[1].next().text, "second", "the body after another's UNSUBSCRIBE")
    others[0].settle()
    expect(inboxes[0].empty(), "a message came after UNSUBSCRIBE")


def competing_consumers(stage):
    destination = stage.name("/queue/interop")
    sender, one, other = stage.connect(), stage.connect(), stage.connect()
    both = one.subscribe(destination, "client", prefetch_count=1)
    other.subscribe(destination, "client", into=both, prefetch_count=1)
    sent = [f"job {number}" for number in range(8)]
    for body in sent:
        sender.send(destination, body)
    # Each has room for one message, and none is acknowledged: so the first two are with two consumers.
    held = [both.next("job"), both.next("job")]
    expect(held[0].connection is not held[1].connection, "one consumer got both messages, the other none")
    done = []
    while True:
        message = held.pop(0)
        done.append(message.text)
        message.connection.ack(message)
        if len(done) == len(sent):
            break
        if len(done) + len(held) < len(sent):
            held.append(both.next(f"job after {done}"))
    equal(sorted(done), sent, "the jobs")
    one.leave()
    other.leave()
    nothing_left(stage, destination)


def messages_wait(stage):
    destination = stage.name("/queue/interop")
    sender = stage.connect()
    sent = ["first", "second", "third"]
    for body in sent:
        sender.send(destination, body)
    sender.settle()
    sender.leave()
    inbox = stage.connect().subscribe(destination)
    equal([inbox.next().text for _ in sent], sent, "the waiting messages")


def individual_ack(stage):
    destination = stage.name("/queue/interop")
    consumer = stage.connect()
    messages = three_messages(stage, consumer, destination, "client-individual")
    if consumer.version == "1.2":
        expect(all(message.headers.get("ack") for message in messages), "a MESSAGE of 1.2 has no ack header")
    consumer.ack(messages[1])
    consumer.settle()
    consumer.leave()
    inbox = stage.connect().subscribe(destination)
    again = [inbox.next(), inbox.next()]
    equal([message.text for message in again], ["first", "third"], "what was not acknowledged")
    expect(all(redelivered(message) for message in again), "a redelivered message does not say so")
    nothing_left(stage, destination, inbox)


def nack(stage):
    destination = stage.name("/queue/interop")
    consumer = stage.connect()
    inbox = consumer.subscribe(destination, "client-individual")
    stage.connect().send(destination, "difficult")
    message = inbox.next()
    expect(not redelivered(message), "the first delivery says that it is not the first")
    consumer.nack(message)
    message = inbox.next("the message after NACK")
    equal(message.text, "difficult", "the body")
    expect(redelivered(message), "the second delivery does not say redelivered:true")
    consumer.ack(message)
    consumer.settle()
    consumer.leave()
    nothing_left(stage, destination)


def cumulative_ack(stage):
    destination = stage.name("/queue/interop")
    consumer = stage.connect()
    messages = three_messages(stage, consumer, destination, "client")
    consumer.ack(messages[1])
    consumer.settle()
    consumer.leave()
    inbox = stage.connect().subscribe(destination)
    equal(inbox.next().text, "third", "the message after the acknowledged ones")
    nothing_left(stage, destination, inbox)


def vanished_consumer(stage):
    destination = stage.name("/queue/interop")
    consumer = stage.connect()
    three_messages(stage, consumer, destination, "client")
    inbox = stage.connect().subscribe(destination)
    consumer.vanish()
    again = [inbox.next() for _ in range(3)]
    equal([message.text for message in again], ["first", "second", "third"], "the redelivered messages")
    expect(all(redelivered(message) for message in again), "a redelivered message does not say so")


def commit(stage):
    destination = stage.name("/queue/interop")
    inbox = stage.connect().subscribe(destination)
    sender = stage.connect()
    sender.begin("t")
    sender.send(destination, "inside 1", transaction="t")
    sender.send(destination, "inside 2", transaction="t")
    sender.send(destination, "outside")
    equal(inbox.next().text, "outside", "the message before COMMIT")
    sender.commit("t")
    equal([inbox.next().text, inbox.next().text], ["inside 1", "inside 2"], "the messages after COMMIT")


def abort(stage):
    destination = stage.name("/queue/interop")
    inbox = stage.connect().subscribe(destination)
    sender = stage.connect()
    sender.begin("t")
    sender.send(destination, "inside", transaction="t")
    sender.abort("t")
    sender.send(destination, "after")
    equal(inbox.next().text, "after", "the message after ABORT")
    # The name is free again.
    sender.begin("t")
    sender.send(destination, "inside again", transaction="t")
    sender.commit("t")
    equal(inbox.next().text, "inside again", "the message of the second transaction")


def transactional_ack(stage):
    destination = stage.name("/queue/interop")
    stage.connect().send(destination, "work")
    for end, left in (("abort", True), ("commit", False)):
        consumer = stage.connect()
        message = consumer.subscribe(destination, "client").next(f"the message to be acknowledged with {end}")
        equal(message.text, "work", "the body")
        consumer.begin("t")
        consumer.ack(message, transaction="t")
        getattr(consumer, end)("t")
        consumer.settle()
        consumer.leave()
        if not left:
            nothing_left(stage, destination)


def transactional_nack(stage):
    destination = stage.name("/queue/interop")
    consumer, sender = stage.connect(), stage.connect()
    inbox = consumer.subscribe(destination, "client-individual")
    sender.send(destination, "difficult")
    message = inbox.next()
    consumer.begin("t")
    consumer.nack(message, transaction="t")
    consumer.settle()
    sender.send(destination, "next")
    equal(inbox.next().text, "next", "the message before COMMIT")
    consumer.commit("t")
    message = inbox.next("the message after COMMIT of its NACK")
    equal(message.text, "difficult", "the body")
    expect(redelivered(message), "the second delivery does not say redelivered:true")


def receipts(stage):
    destination = stage.name("/topic/interop")
    connection = stage.connect()
    # Each call waits for the receipt that it asks for.
    inbox = connection.subscribe(destination)
    connection.send(destination, "with a receipt", {"receipt": "sent: \u00fc" if can_escape(stage) else "sent"})
    connection.receipt("sent: \u00fc" if can_escape(stage) else "sent")
    equal(inbox.next().text, "with a receipt", "the body")
    connection.unsubscribe(inbox)
    connection.receipt(connection.leave())


def heart_beats(stage):
    destination = stage.name("/topic/interop")
    connection = stage.connect(beat=1000)
    equal(connection.connected.get("heart-beat"), "1000,1000", "the server's heart-beat")
    inbox = connection.subscribe(destination)
    beats_in, beats_out = connection.beats_in, connection.beats_out
    # This wait is the test: a server cuts a client off that is silent for three intervals.
    ended = connection.ended.wait(4.2)
    expect(not ended, "the connection ended while both sides sent heart-beats")
    expect(connection.beats_in - beats_in >= 3, f"{connection.beats_in - beats_in} heart-beats came in four seconds")
    expect(connection.beats_out - beats_out >= 3, f"{connection.beats_out - beats_out} heart-beats went in four seconds")
    connection.send(destination, "still here")
    equal(inbox.next().text, "still here", "the body")


def large_body(stage):
    destination = stage.name("/topic/interop")
    inbox = stage.connect().subscribe(destination)
    body = ("0123456789abcde\n" * (MEBIBYTE // 16))[:MEBIBYTE]
    stage.connect().send(destination, body)
    arrived = inbox.next("the large message").text
    equal(len(arrived), MEBIBYTE, "the length")
    expect(arrived == body, "the body is not what was sent")


def binary_received(stage):
    destination = stage.name("/topic/interop")
    inbox = stage.connect().subscribe(destination)
    stage.helper().send(destination, EVERY_BYTE, {"content-type": "application/octet-stream"})
    message = inbox.next()
    equal(message.body, EVERY_BYTE, "the body")
    equal(message.headers.get("content-type"), "application/octet-stream", "the content-type")


def binary_sent(stage):
    destination = stage.name("/topic/interop")
    inbox = stage.helper().subscribe(destination)
    stage.connect(binary=True).send(destination, EVERY_BYTE)
    equal(inbox.next().body, EVERY_BYTE, "the body")


def request_and_reply(stage):
    service = stage.name("/queue/interop")
    worker, asker = stage.connect(), stage.connect()
    requests = worker.subscribe(service)
    asker.send(service, "question", {"reply-to": "/temp-queue/answers", "correlation-id": "7"})
    request = requests.next("the request")
    expect(request.headers.get("reply-to"), "the request has no reply-to")
    equal(request.headers.get("correlation-id"), "7", "the correlation-id")
    worker.send(request.headers["reply-to"], "answer", {"correlation-id": "7"})
    reply = asker.strays.next("the reply")
    equal(reply.text, "answer", "the reply")
    equal(reply.headers.get("subscription"), "/temp-queue/answers", "the subscription of the reply")
    equal(reply.headers.get("correlation-id"), "7", "the correlation-id of the reply")


def user_destination(stage):
    ann, bob = stage.name("team/ann"), stage.name("bob")
    at_desk, on_phone, other = stage.connect(login=ann), stage.connect(login=ann), stage.connect(login=bob)
    equal(at_desk.connected.get("user-name"), ann, "CONNECTED's user-name")
    for_ann = [connection.subscribe("/user/queue/news") for connection in (at_desk, on_phone)]
    for_bob = other.subscribe("/user/queue/news")
    sender = stage.helper()
    sender.send(f"/user/{ann.replace('/', '%2F')}/queue/news", "for ann")
    sender.send(f"/user/{bob}/queue/news", "for bob")
    for inbox in for_ann:
        message = inbox.next("the message for ann")
        equal(message.text, "for ann", "ann's message")
        equal(message.headers.get("destination"), "/user/queue/news", "the destination")
    equal(for_bob.next("the message for bob").text, "for bob", "bob's message")


def selector(stage):
    destination = stage.name("/topic/interop")
    inbox = stage.connect().subscribe(destination, selector="colour = 'red' AND size > 3")
    sender = stage.connect()
    for colour, size in (("blue", 7), ("red", 2), ("red", 4), ("green", 5), ("red", 10)):
        sender.send(destination, f"{colour} {size}", {"colour": colour, "size": str(size)})
    equal([inbox.next().text, inbox.next().text], ["red 4", "red 10"], "what matches")


def error(stage):
    destination = stage.name("/topic/interop")
    inbox = stage.connect().subscribe(destination)
    sender, wrong = stage.connect(), stage.connect()
    wrong.send_nowhere()
    expect(wrong.errors.next("the ERROR").headers.get("message"), "the ERROR has no message header")
    wrong.wait_for_end("ERROR")
    sender.send(destination, "undisturbed")
    equal(inbox.next().text, "undisturbed", "the body")


def headers(stage):
    destination = stage.name("/topic/interop")
    helper, connection = stage.helper(), stage.connect()
    value = AWKWARD + "\r" if connection.version == "1.2" else AWKWARD
    for sender, receiver in ((connection, helper), (helper, connection)):
        inbox = receiver.subscribe(destination)
        sender.send(destination, "see the header", {"awkward": value})
        equal(inbox.next().headers.get("awkward"), value, "the header")
        receiver.unsubscribe(inbox)


# Name, what it does, what a client needs for it.
SCENARIOS = [
    ("connect: CONNECTED tells version, session, server and heart-beat", connect, ()),
    ("topic: every subscriber gets the message, until it unsubscribes", topic, ()),
    ("queue: two competing consumers share the messages", competing_consumers, ()),
    ("queue: messages wait for a consumer, in order", messages_wait, ()),
    ("ack client-individual: only the acknowledged message is gone", individual_ack, ("individual",)),
    ("ack client: everything up to the acknowledged message is gone", cumulative_ack, ()),
    ("nack: the message comes again, marked redelivered", nack, ("individual",)),
    ("redelivery: a vanished consumer leaves its messages to another", vanished_consumer, ()),
    ("transaction: SEND counts from COMMIT on", commit, ()),
    ("transaction: ABORT drops SEND", abort, ()),
    ("transaction: ACK counts at COMMIT and not after ABORT", transactional_ack, ()),
    ("transaction: NACK counts at COMMIT", transactional_nack, ("individual",)),
    ("receipt: SEND, SUBSCRIBE, UNSUBSCRIBE and DISCONNECT", receipts, ()),
    ("heart-beat: both ways through four idle seconds", heart_beats, ("heart-beat",)),
    ("body: 1 MiB", large_body, ()),
    ("body: binary received", binary_received, ()),
    ("body: binary sent", binary_sent, ()),
    ("request and reply over a temporary queue", request_and_reply, ()),
    ("user destination: reaches all sessions of the named user and nobody else", user_destination, ()),
    ("selector: only what matches", selector, ()),
    ("ERROR: reaches the client and ends only its connection", error, ()),
    ("headers: UTF-8, colon, backslash and line ends", headers, ("escapes",)),
]


# ---- below ----


def three_messages(stage, consumer, destination, mode):
    """Subscribes `consumer` to a queue and lets it receive three messages."""
    inbox = consumer.subscribe(destination, mode)
    sender = stage.connect()
    for body in ("first", "second", "third"):
        sender.send(destination, body)
    messages = [inbox.next() for _ in range(3)]
    equal([message.text for message in messages], ["first", "second", "third"], "the messages")
    return messages


def nothing_left(stage, destination, inbox=None):
    """The next message that the queue gives out is the one that is sent now."""
    inbox = inbox or stage.connect().subscribe(destination)
    stage.connect().send(destination, "the end")
    equal(inbox.next().text, "the end", "what was left in the queue")


def redelivered(message):
    return message.headers.get("redelivered") == "true"


def can_escape(stage):
    return "escapes" not in stage.client.lacks


def expect(condition, otherwise):
    if not condition:
        raise Failure(otherwise)


def equal(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: expected {shortened(wanted)}, found {shortened(found)}")


def shortened(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
