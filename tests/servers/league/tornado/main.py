"""The PyPI package `sockjs-tornado` with the services that the protocol's tests ask for.

    main.py [PORT]      prints "ready URL" and stays; without a port, or with 0, a free one is taken
"""

import sys

from sockjs.tornado import SockJSConnection, SockJSRouter
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import Application

GO_AWAY = (3000, "Go away!")
NO_COOKIE = {"jsessionid": False}
LIMITED = {**NO_COOKIE, "response_limit": 4096}


class Echo(SockJSConnection):
    def on_message(self, message):
        self.send(message)


class Close(SockJSConnection):
    def on_open(self, _request):
        self.session.close(*GO_AWAY)

    def on_message(self, _message):
        pass


class Farewell(SockJSConnection):
    """Echoes, and closes after the echo of `bye`."""

    def on_message(self, message):
        self.send(message)
        if message == "bye":
            self.session.close(*GO_AWAY)


def main():
    services = [
        ("/echo", Echo, LIMITED),
        ("/disabled_websocket_echo", Echo, {**LIMITED, "disabled_transports": ["websocket"]}),
        ("/cookie_needed_echo", Echo, {**LIMITED, "jsessionid": True}),
        ("/close", Close, NO_COOKIE),
        ("/farewell", Farewell, NO_COOKIE),
    ]
    routes = []
    for prefix, connection, settings in services:
        routes += SockJSRouter(connection, prefix, settings).urls

    sockets = bind_sockets(int(sys.argv[1]) if len(sys.argv) > 1 else 0, "127.0.0.1")
    HTTPServer(Application(routes, log_function=lambda _: None)).add_sockets(sockets)
    print("ready http://{}:{}".format(*sockets[0].getsockname()), flush=True)
    IOLoop.current().start()


main()
