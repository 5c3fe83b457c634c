"""A small HTTP server beside the data path, which it can neither stop nor slow down: bounded threads, bounded waits."""

from __future__ import annotations

import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from urllib.parse import urlsplit

import structlog

from sink.http.answers import FAILED, Answers

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 32
"""Requests that are answered at the same time; further ones are turned away."""
PATIENCE = 10.0
"""Seconds that a client may take to ask, and to take its answer."""
_ALWAYS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def do_GET(self) -> None:
        """Answer a request; its method is judged with its path."""
        try:
            answer = self.server.answers.answer(self.command, urlsplit(self.path).path, self.headers.get("Accept", ""))
        except Exception:
            log.exception("a request could not be answered", path=urlsplit(self.path).path)
            answer = FAILED
        self.send_response(answer.status)
        for name, value in {**_ALWAYS, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815 (the names that the standard library calls)

    def version_string(self) -> str:
        """Name no versions to strangers."""
        return "sink"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name that the standard library gave it)
        """Log a request where somebody wants to see every one."""
        log.debug("asked", request=format % args)


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = MOST_AT_ONCE

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int], answers: Answers) -> None:
        self.address_family = family
        self.answers = answers
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        # a client that went away before its answer, or spoke something else
        del request
        log.debug("a request broke off", client=str(client_address), error=str(sys.exception()))


class HttpServer:
    """Listens from its making on, until it is closed; ``port`` is the one that it has."""

    def __init__(self, host: str, port: int, answers: Answers) -> None:
        """Listen; raises OSError where that address cannot be had."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        self._server = _Server(family, (str(address[0]), int(address[1])), answers)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more; an answer that is on its way is not waited for."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def listen(host: str, port: int, answers: Answers) -> HttpServer | None:
    """Listen, or warn once and give None: nobody's metrics are worth the data."""
    try:
        server = HttpServer(host, port, answers)
    except OSError as error:
        log.warning(
            "metrics, health and status cannot be asked for: the address cannot be had. Set SINK_HTTP__PORT to another,"
            " or SINK_HTTP__ENABLED=false",
            host=host,
            port=port,
            error=error.strerror or str(error),
        )
        return None
    log.info("listening", url=f"http://{f'[{host}]' if ':' in host else host}:{server.port}/")
    return server
