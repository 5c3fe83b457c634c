"""A front before the real registry: TLS and a password, which the registry has not without an identity provider."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.integration.security.certificates import Issued

REGISTRY_USER, REGISTRY_PASSWORD = "registry-user", "MARKER-registry-9d20"


@contextmanager
def front(registry_url: str, issued: Issued) -> Iterator[str]:
    """Pass requests on that carry the password; gives the front's address, for localhost."""
    behind = urlsplit(registry_url)
    wanted = "Basic " + base64.b64encode(f"{REGISTRY_USER}:{REGISTRY_PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.headers.get("Authorization") != wanted:
                self._answer(401, b'{"error_code": 401, "message": "who are you?"}')
                return
            connection = HTTPConnection(behind.hostname or "", behind.port, timeout=30)
            kept = {name: self.headers[name] for name in ("Accept", "Content-Type") if name in self.headers}
            connection.request(self.command, self.path, body, kept)
            answer = connection.getresponse()
            self._answer(answer.status, answer.read())
            connection.close()

        do_GET = do_POST = do_PUT = _pass_on  # noqa: N815 (the names that http.server calls)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of clients that refuse our certificate."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    try:
        yield f"https://localhost:{server.server_address[1]}{behind.path}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join(10)
