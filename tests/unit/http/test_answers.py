"""Every path answers with the right status, type and headers, over a real socket."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sink.http.server import HttpServer, listen
from tests.views import FakeProcess, FakeWatch

OPERATIONS = Path(__file__).parents[3] / "docs/operations.md"


@pytest.fixture
def watch() -> FakeWatch:
    return FakeWatch()


@pytest.fixture
def port(watch: FakeWatch) -> Iterator[int]:
    server = HttpServer("127.0.0.1", 0, FakeProcess(watch).answers())
    yield server.port
    server.close()


def ask(port: int, path: str, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/livez", "application/json; charset=utf-8"),
        ("/readyz?verbose=1", "application/json; charset=utf-8"),
        ("/status", "application/json; charset=utf-8"),
        ("/metrics", "text/plain"),
    ],
)
def test_a_path_answers_and_head_gives_its_headers_alone(port: int, path: str, kind: str) -> None:
    answer, body = ask(port, path)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(kind)
    assert int(answer.headers["Content-Length"]) == len(body) > 0
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Server"] == "sink", "nobody is told versions of what answers"
    head, nothing = ask(port, path, "HEAD")
    assert (head.status, nothing) == (200, b"")


def test_other_paths_and_methods_are_refused(port: int) -> None:
    assert ask(port, "/statuses")[0].status == 404
    assert ask(port, "/../etc/passwd")[0].status == 404
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer, _ = ask(port, "/status", method)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_not_ready_and_not_alive_are_503_with_reasons(port: int, watch: FakeWatch) -> None:
    watch.change(connected={"database": False}, waiting_for="no database server answers at db:5432")
    answer, body = ask(port, "/readyz")
    assert answer.status == 503
    assert json.loads(body) == {
        "ready": False,
        "datasets": {
            "trades": {
                "phase": "running",
                "reasons": [{"code": "database", "message": "no database server answers at db:5432"}],
            }
        },
    }
    assert ask(port, "/livez")[0].status == 200, "a restart would not bring the database back"

    watch.silent = 61.0
    answer, body = ask(port, "/livez")
    assert answer.status == 503
    assert json.loads(body) == {
        "alive": False,
        "silent_seconds": {"trades": 61.0},
        "reasons": ["trades: its loop has made no progress for 61 s, more than 60 s"],
    }


def test_the_status_has_the_fields_that_the_documentation_names(port: int) -> None:
    told = json.loads(ask(port, "/status")[1])
    table = OPERATIONS.read_text(encoding="utf-8").partition("`/status` gives one object")[2].partition("\n## ")[0]
    fields = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    assert names(told) == set(re.findall(r"`(\w+)(?:\[\])?`", fields))
    (dataset,) = told["datasets"]
    assert (dataset["rate"], dataset["newest_event_at"]) == (1234.5679, "2026-06-02T12:00:00+00:00")
    assert (dataset["lag_messages"], dataset["lag_seconds"], dataset["ready"]) == (10, 1.5, True)


def names(told: object) -> set[str]:
    """Give the names of all fields, at any depth."""
    if isinstance(told, dict):
        return set(told).union(*map(names, told.values()))
    return set().union(*map(names, told)) if isinstance(told, list) else set()


def test_the_page_loads_nothing_and_its_policy_allows_nothing(port: int) -> None:
    answer, body = ask(port, "/")
    text = body.decode()
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", text)
    assert "/* page." not in text, "style and script are in it"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_port_in_use_is_warned_of_and_nothing_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, capture_logs() as said:
        assert listen("127.0.0.1", taken.getsockname()[1], FakeProcess().answers()) is None
    (warning,) = said
    assert warning["log_level"] == "warning"
    assert "SINK_HTTP__PORT" in warning["event"]


def test_an_address_that_this_machine_has_not_is_warned_of_too() -> None:
    with capture_logs() as said:
        assert listen("192.0.2.1", 0, FakeProcess().answers()) is None
        assert listen("no.such.host.invalid", 0, FakeProcess().answers()) is None
    assert [one["log_level"] for one in said] == ["warning", "warning"]


def test_a_client_that_says_nothing_keeps_nobody_waiting(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)):
        assert ask(port, "/livez")[0].status == 200
