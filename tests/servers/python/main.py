"""The PyPI package `sockjs` (for aiohttp) with the services that the protocol's tests ask for.

    main.py [PORT]      prints "ready URL" and stays; without a port, or with 0, a free one is taken

RESPONSE_LIMIT is what a streaming response may carry, in bytes; the tests want the little that is the default.
"""

import logging
import os
import socket
import sys
import warnings

import aiohttp_cors
import sockjs
from aiohttp import web
from sockjs.transports.base import StreamingTransport

GO_AWAY = (3000, "Go away!")
WITHOUT_WEBSOCKET = ("websocket", "websocket-raw")


async def echo(_manager, session, message):
    if message.type == sockjs.MsgType.MESSAGE:
        session.send(message.data)


async def close(_manager, session, message):
    if message.type == sockjs.MsgType.OPEN:
        session.close(*GO_AWAY)


async def farewell(_manager, session, message):
    """Echoes, and closes after the echo of `bye`."""
    if message.type == sockjs.MsgType.MESSAGE:
        session.send(message.data)
        if message.data == "bye":
            session.close(*GO_AWAY)


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    # The library warns of its own ways with aiohttp, and logs what a broken request does to it.
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    # The limit of a response is one for all services.
    StreamingTransport.maxsize = int(os.environ.get("RESPONSE_LIMIT", "4096"))

    app = web.Application()
    everyone = aiohttp_cors.ResourceOptions(allow_credentials=True, expose_headers="*", allow_headers="*")
    cors = aiohttp_cors.setup(app, defaults={"*": everyone})

    def service(path, handler, cookie_needed=False, disable_transports=()):
        sockjs.add_endpoint(
            app,
            handler,
            name=path,
            prefix=f"/{path}",
            cookie_needed=cookie_needed,
            disable_transports=disable_transports,
            cors_config=cors,
        )

    service("echo", echo)
    service("disabled_websocket_echo", echo, disable_transports=WITHOUT_WEBSOCKET)
    service("cookie_needed_echo", echo, cookie_needed=True)
    service("close", close)
    service("farewell", farewell)

    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    url = "http://{}:{}".format(*listener.getsockname())
    ready = lambda *_: print(f"ready {url}", flush=True)  # run_app says with it that it listens
    web.run_app(app, sock=listener, print=ready, access_log=None, shutdown_timeout=1)


main()
