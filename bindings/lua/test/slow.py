"""A server that answers as another one does, but takes its time to name the libraries: slow.py URL SECONDS.

Prints its port and its process. Ends when it is ended.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

URL, SECONDS = sys.argv[1], float(sys.argv[2])
OWN = {"connection", "content-length", "date", "server", "transfer-encoding"}


class Slow(BaseHTTPRequestHandler):
    """Passes requests on."""

    def do_GET(self) -> None:
        """Answers, later."""
        if self.path.partition("?")[0] == "/library/sections":
            time.sleep(SECONDS)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
        try:
            answer = urllib.request.urlopen(urllib.request.Request(URL + self.path, headers=headers))  # noqa: S310
        except urllib.error.HTTPError as error:
            answer = error
        body = answer.read()
        try:
            self.send_response(answer.status or 500)
            for name, value in answer.headers.items():
                if name.lower() not in OWN:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # the client gave up

    def log_message(self, *_: object) -> None:
        """Nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
print(server.server_address[1], os.getpid(), flush=True)
server.serve_forever()
