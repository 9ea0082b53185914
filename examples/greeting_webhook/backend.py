"""The greeting as a backend of towpath, in plain Python: python3 backend.py [PORT]"""

import html
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Backend(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        greeting = {"content": f"Hello, {html.escape(json.loads(body)['name'])}!"}
        answer = {"publish": [{"destination": "/topic/greetings", "body": greeting}]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


server = ThreadingHTTPServer(("127.0.0.1", int((sys.argv[1:] or [3000])[0])), Backend)
print(f"http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
