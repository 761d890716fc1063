"""A server's connections: requests, replies, and event streams."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import queue
import socket
import struct
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from weakref import WeakSet

from ._content import Row, as_json, as_xml

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    Events = queue.Queue[tuple[str, Row] | None]


#: According to RFC 6455, a WebSocket server hashes the client's key together with this text.
_WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Request(NamedTuple):
    """A request."""

    method: str
    #: The path, without arguments.
    path: str
    #: The arguments in order, without the token.
    arguments: list[tuple[str, str]]
    #: The first row and the number of rows, if the request is for a page.
    window: tuple[int, int] | None

    def argument(self, name: str, default: str = "") -> str:
        """Returns an argument's value."""
        return next((value for key, value in self.arguments if key == name), default)


class Reply(NamedTuple):
    """A status and the answer's container."""

    status: int
    container: Row | None = None


class Connections(ThreadingHTTPServer):
    """Listens on the loopback address, and answers each connection on a separate thread."""

    daemon_threads = True
    # Do not wait for threads when stopping, because some clients keep their connections open.
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        port: int,
        reply: Callable[[Request, dict[str, str]], Reply],
        listening: Callable[[], AbstractContextManager[Events]],
    ) -> None:
        self.reply, self.listening = reply, listening
        self._sockets: WeakSet[socket.socket] = WeakSet()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """Remembers the connection for :meth:`end`."""
        self._sockets.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores clients that disconnect."""

    def end(self) -> None:
        """Stops listening, and cuts all connections."""
        self.shutdown()
        self.server_close()
        for connection in list(self._sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Connections

    def log_message(self, *_: object) -> None:
        """Logs nothing."""

    def do_GET(self) -> None:
        """Answers a request of any method."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        arguments = parse_qsl(url.query, keep_blank_values=True)
        # Clients can send any of Plex's headers as an argument instead.
        headers = {name.lower(): value for name, value in [*arguments, *self.headers.items()]}
        plain = [(name, value) for name, value in arguments if name.lower() != "x-plex-token"]
        # As in Plex, a page needs both numbers.
        start, size = headers.get("x-plex-container-start", ""), headers.get("x-plex-container-size", "")
        window = (int(start), int(size)) if start.isdigit() and size.isdigit() else None
        request = Request(self.command, unquote(url.path), plain, window)
        reply = self.server.reply(request, headers)
        if reply.status == 200 and request.path.startswith("/:/") and request.path.endswith("/notifications"):
            self._send_events(headers)
        else:
            self._send(reply, wants_json="json" in headers.get("accept", ""))

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def _send(self, reply: Reply, *, wants_json: bool) -> None:
        if reply.status != 200:
            name = f"{reply.status} {self.responses.get(reply.status, ('Error',))[0]}"
            body, content_type = f"<html><head><title>{name}</title></head></html>".encode(), "text/html"
        elif reply.container is None:
            body, content_type = b"", "text/html"
        elif wants_json:
            body, content_type = as_json(reply.container), "application/json"
        else:
            body, content_type = as_xml(reply.container), "text/xml;charset=utf-8"
        self.send_response(reply.status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Plex-Protocol", "1.0")
        self.end_headers()
        self.wfile.write(body)

    def _send_events(self, headers: dict[str, str]) -> None:
        """Sends events until the client or the server disconnects: as text, or as a WebSocket's frames."""
        self.close_connection = True
        key = headers.get("sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(f"{key}{_WEBSOCKET_GUID}".encode()).digest()).decode()  # noqa: S324
        frames = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}
        with self.server.listening() as events:
            self.send_response(101 if key else 200)
            for name, value in (frames if key else {"Content-Type": "text/event-stream"}).items():
                self.send_header(name, value)
            self.end_headers()
            while True:
                try:
                    event = events.get(timeout=10)
                except queue.Empty:
                    self.wfile.write(b"\x89\x00" if key else b"event: ping\ndata: {}\n\n")
                    continue
                if event is None:
                    return
                text = f"event: {event[0]}\ndata: {json.dumps(event[1])}\n\n"
                self.wfile.write(_as_frame(*event) if key else text.encode())


def _as_frame(name: str, data: Row) -> bytes:
    """Returns an event as a WebSocket text frame. The event is in a container, with lists instead of objects."""
    lists = {key: [value] for key, value in data.items()}
    text = json.dumps({"NotificationContainer": {"type": name, "size": 1, **lists}}).encode()
    length = struct.pack("!B", len(text)) if len(text) < 126 else struct.pack("!BH", 126, len(text))
    return b"\x81" + length + text
