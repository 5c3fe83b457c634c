"""The image's HEALTHCHECK against a real server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from deploy.image.alive import judge

SCRIPT = Path(__file__).parents[2] / "deploy/image/alive.py"


class Asked(BaseHTTPRequestHandler):
    """Answers /livez as its server's ``status`` says."""

    def do_GET(self) -> None:
        self.send_response(self.server.status if self.path == "/livez" else 404)  # type: ignore[attr-defined] # below
        self.end_headers()
        self.wfile.write(b"the loop of trades stands still")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(status: int) -> Iterator[dict[str, str]]:
    with HTTPServer(("127.0.0.1", 0), Asked) as server:
        server.status = status  # type: ignore[attr-defined] # for the handler
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield {"SINK_HTTP__PORT": str(server.server_port)}
        finally:
            server.shutdown()
            thread.join()


def test_alive_is_what_answers_so() -> None:
    with serving(200) as environ:
        assert judge(environ) is None


def test_a_loop_that_stands_still_is_told_with_its_reason() -> None:
    with serving(503) as environ:
        assert judge(environ) == "503: the loop of trades stands still"


def test_nobody_there_is_not_alive() -> None:
    with serving(200) as environ:
        pass
    assert str(judge(environ)).startswith("no answer: ")


@pytest.mark.parametrize("value", ["false", "0", "Off"])
def test_a_server_that_is_switched_off_says_nothing_either_way(value: str) -> None:
    assert judge({"SINK_HTTP__ENABLED": value, "SINK_HTTP__PORT": "1"}) is None


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_exit_code_is_docker_s(status: int, code: int) -> None:
    with serving(status) as environ:
        ended = subprocess.run(
            [sys.executable, "-I", SCRIPT], env=environ, capture_output=True, timeout=30, check=False
        )
    assert ended.returncode == code
