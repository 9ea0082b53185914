"""stomp.py in its versions and transports, under the few calls that the scenarios make.

Does not know: what a scenario checks, nor which server answers.
"""

import os
import queue
import socket
import threading
from urllib.parse import urlsplit

import stomp
from stomp.adapter.ws import WSStompConnection

# How long one wait may take, in seconds; a scenario as a whole has more.
WAIT = 15


class Failure(Exception):
    """What a scenario expected and did not get."""


class Message:
    """One MESSAGE, RECEIPT or ERROR: its headers as stomp.py gives them, its body in bytes."""

    def __init__(self, connection, frame):
        self.connection = connection
        self.headers = dict(frame.headers)
        self.body = frame.body if isinstance(frame.body, bytes) else (frame.body or "").encode()

    @property
    def text(self):
        return self.body.decode()


class Inbox:
    """What arrived for one subscription or receipt and was not looked at yet. A lost connection ends the wait."""

    def __init__(self):
        self._waiting = queue.Queue()

    def put(self, message):
        self._waiting.put(message)

    def end(self, why):
        self._waiting.put(Failure(why))

    def next(self, what="a message"):
        try:
            found = self._waiting.get(timeout=WAIT)
        except queue.Empty:
            raise Failure(f"{what} did not arrive within {WAIT} s") from None
        if isinstance(found, Failure):
            self._waiting.put(found)
            raise Failure(f"{what} did not arrive: {found}")
        return found

    def empty(self):
        return self._waiting.empty()


class Connection(stomp.ConnectionListener):
    """One connected stomp.py client. `client` names the kind, `library` is stomp.py's own object."""

    def __init__(self, client, library):
        self.client = client
        self.library = library
        self.connected = None
        self.beats_in = 0
        self.beats_out = 0
        self.strays = Inbox()
        self.errors = Inbox()
        self.ended = threading.Event()
        self._why = "the connection ended"
        self._lock = threading.Lock()
        self._subscriptions = {}
        self._receipts = {}
        self._count = 0
        library.set_listener("interop", self)

    # ---- what the scenarios call ----

    @property
    def version(self):
        return self.connected.get("version", "1.0")

    def subscribe(self, destination, ack="auto", into=None, **headers):
        """Subscribes, waits for the RECEIPT, and returns the inbox. `_` in a header's name stands for a dash."""
        name = f"sub-{self._next()}"
        inbox = into or Inbox()
        inbox.id = name
        with self._lock:
            self._subscriptions[name] = inbox
        receipt = self._next_receipt()
        self.library.subscribe(destination, name, ack, headers={**dashed(headers), "receipt": receipt})
        self.receipt(receipt)
        return inbox

    def unsubscribe(self, inbox):
        receipt = self._next_receipt()
        # 1.0 has the destination in front of the id.
        self.library.unsubscribe(id=inbox.id, headers={"receipt": receipt})
        self.receipt(receipt)

    def send(self, destination, body, headers=None, transaction=None):
        extra = {"transaction": transaction} if transaction else {}
        self.library.send(destination, body, headers={**(headers or {}), **extra})

    def settle(self):
        """Waits until the server has done everything that was sent so far: receipts come in order."""
        receipt = self._next_receipt()
        self.send("/topic/interop.settled", "settled", {"receipt": receipt})
        self.receipt(receipt)

    def receipt(self, receipt):
        return self._receipt_inbox(receipt).next(f"RECEIPT {receipt}")

    def ack(self, message, transaction=None):
        self._answer(self.library.ack, message, transaction)

    def nack(self, message, transaction=None):
        self._answer(self.library.nack, message, transaction)

    def begin(self, transaction):
        self.library.begin(transaction)

    def commit(self, transaction):
        self.library.commit(transaction)

    def abort(self, transaction):
        self.library.abort(transaction)

    def send_nowhere(self):
        """A SEND without a destination, which is wrong in every version."""
        self.library.send_frame("SEND", {}, "lost")

    def leave(self):
        """Says DISCONNECT and sees the end of the connection. The answer is the id of the receipt that was asked for."""
        receipt = self._next_receipt()
        self.library.disconnect(receipt)
        self.wait_for_end("DISCONNECT")
        return receipt

    def vanish(self):
        """The socket ends, and no DISCONNECT was sent."""
        carrier = self.library.transport.socket
        plain = getattr(carrier, "sock", carrier)
        if plain is not None:
            try:
                plain.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def wait_for_end(self, after):
        if not self.ended.wait(WAIT):
            raise Failure(f"the server did not close the connection after {after}")

    # ---- what stomp.py calls ----

    def on_connected(self, frame):
        self.connected = dict(frame.headers)

    def on_message(self, frame):
        message = Message(self, frame)
        with self._lock:
            inbox = self._subscriptions.get(frame.headers.get("subscription"), self.strays)
        inbox.put(message)

    def on_receipt(self, frame):
        self._receipt_inbox(frame.headers["receipt-id"]).put(Message(self, frame))

    def on_error(self, frame):
        self._why = f"ERROR {frame.headers.get('message')!r}"
        self.errors.put(Message(self, frame))

    def on_heartbeat(self):
        self.beats_in += 1

    def on_send(self, frame):
        if frame.cmd is None:
            self.beats_out += 1

    def on_receiver_loop_completed(self, _):
        # Not on_disconnected: stomp.py calls that before it hands over the RECEIPT of a DISCONNECT.
        self.ended.set()
        with self._lock:
            inboxes = [self.strays, self.errors, *self._subscriptions.values(), *self._receipts.values()]
        for inbox in inboxes:
            inbox.end(self._why)

    # ---- below ----

    def _answer(self, call, message, transaction):
        headers = message.headers
        if self.version == "1.2":
            call(headers["ack"], transaction=transaction)
        elif self.version == "1.1":
            call(headers["message-id"], headers["subscription"], transaction=transaction)
        else:
            call(headers["message-id"], transaction=transaction)

    def _receipt_inbox(self, receipt):
        with self._lock:
            inbox = self._receipts.setdefault(receipt, Inbox())
        if self.ended.is_set():
            inbox.end(self._why)
        return inbox

    def _next(self):
        self._count += 1
        return self._count

    def _next_receipt(self):
        return f"receipt-{self._next()}"


class Client:
    """One kind of client. `lacks` names what it cannot do; README.md says why."""

    def __init__(self, name, make, lacks=()):
        self.name = name
        self.lacks = frozenset(lacks)
        self._make = make

    def connect(self, opened, login=None, beat=0, binary=False):
        """A connected connection, added to `opened`. `beat` in milliseconds, `binary` for binary websocket messages."""
        library = self._make(beat, binary)
        connection = Connection(self, library)
        opened.append(connection)
        passcode = "secret" if login else os.environ.get("INTEROP_PASSCODE")
        library.connect(login or os.environ.get("INTEROP_LOGIN"), passcode, wait=True)
        return connection


def clients():
    """The kinds of clients for which the environment names an address."""
    tcp = os.environ.get("INTEROP_TCP") and urlsplit("tcp://" + os.environ["INTEROP_TCP"])
    websocket = os.environ.get("INTEROP_WEBSOCKET") and urlsplit(os.environ["INTEROP_WEBSOCKET"])
    found = []
    if tcp:
        found += [
            Client("stomp.py 1.2/tcp", lambda beat, _: stomp.Connection12(**common(tcp, beat))),
            Client("stomp.py 1.1/tcp", lambda beat, _: stomp.Connection11(**common(tcp, beat))),
            Client(
                "stomp.py 1.0/tcp",
                lambda beat, _: stomp.Connection10(hosts(tcp), auto_decode=False, reconnect_attempts_max=1),
                lacks=("heart-beat", "individual", "escapes"),
            ),
        ]
    if websocket:
        found.append(
            Client(
                "stomp.py 1.2/websocket",
                lambda beat, binary: WSStompConnection(
                    **common(websocket, beat), ws_path=websocket.path, binary_mode=binary
                ),
            )
        )
    return found


def helper():
    """The other side of a scenario: always over TCP, where every byte passes as it is."""
    return clients()[0]


def hosts(url):
    return [(url.hostname, url.port)]


def common(url, beat):
    return {
        "host_and_ports": hosts(url),
        "heartbeats": (beat, beat),
        "vhost": os.environ.get("INTEROP_HOST"),
        "auto_decode": False,
        "reconnect_attempts_max": 1,
    }


def dashed(headers):
    return {name.replace("_", "-"): value for name, value in headers.items()}
