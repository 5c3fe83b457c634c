"""A schema registry that answers what the test wants: errors, silence, passwords, TLS."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

Answer = tuple[int, str]
NOT_FOUND: Answer = (404, json.dumps({"error_code": 40403, "message": "Schema not found"}))


def schema_answer(schema: object, **more: object) -> Answer:
    """Give the answer that holds a schema."""
    return 200, json.dumps({"schema": json.dumps(schema), **more})


@dataclass(slots=True)
class FakeRegistry:
    """The address, what was asked, and the answers by path; ``silent`` accepts requests and never answers."""

    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    password: str | None = None
    silent: bool = False
    stop: Event = field(default_factory=Event)

    def answer(self, path: str, authorization: str | None) -> Answer:
        """Choose the answer to a request."""
        self.asked.append(path)
        if self.silent:
            self.stop.wait()
        if self.password is not None:
            expected = base64.b64encode(f"sink:{self.password}".encode()).decode()
            if authorization != f"Basic {expected}":
                return 401, json.dumps({"error_code": 40101, "message": "Unauthorized"})
        return self.answers.get(path, NOT_FOUND)


@contextmanager
def running(context: ssl.SSLContext | None = None) -> Iterator[FakeRegistry]:
    """Serve on a free port until the block ends."""
    registry = FakeRegistry()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(registry.answer))
    server.daemon_threads = True
    server.block_on_close = False
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    registry.url = f"{'http' if context is None else 'https'}://localhost:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield registry
    finally:
        registry.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(answer: Callable[[str, str | None], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = answer(self.path, self.headers["Authorization"])
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # a client that has given up waiting
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    return Handler
