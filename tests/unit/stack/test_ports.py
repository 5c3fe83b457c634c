from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sink.errors import ConfigError
from sink.stack import ports, record


@pytest.fixture
def busy() -> Iterator[int]:
    """Give a port on which this very process listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_named_with_its_holder_and_the_cure(busy: int) -> None:
    with pytest.raises(ConfigError) as caught:
        ports.require_free(busy, title="the database", variable="SINK_STACK_DATABASE_PORT")
    message = str(caught.value)
    assert f"port {busy} on 127.0.0.1, meant for the database, is held by " in message
    assert f"(pid {os.getpid()})" in message
    assert "SINK_STACK_DATABASE_PORT=PORT sink stack up" in message


def test_a_chosen_port_is_free_and_differs_by_directory_and_server(tmp_path: Path) -> None:
    chosen = {ports.choose(tmp_path / where, name) for where in "ab" for name in ("broker", "registry")}
    assert len(chosen) == 4
    assert all(ports.is_free(port) for port in chosen)


def test_ports_taken_by_the_same_stack_are_passed_over(tmp_path: Path) -> None:
    first = ports.choose(tmp_path, "broker")
    assert ports.choose(tmp_path, "broker", taken={first}) != first


def test_a_port_is_chosen_once_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "broker.json"
    first = record.port(path, "main", variable="V", environ={})
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", first))
        assert record.port(path, "main", variable="V", environ={}) == first
    assert record.port(path, "controller", variable="V", environ={"V": "1234"}) != first


def test_the_variable_fixes_the_main_port(tmp_path: Path) -> None:
    assert record.port(tmp_path / "broker.json", "main", variable="V", environ={"V": "1234"}) == 1234


@pytest.mark.parametrize("text", ["0", "65536", "-1", "x", "9092 ", "²"])
def test_what_is_no_port_is_refused_by_the_variable_s_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"SINK_STACK_KAFKA_PORT=.* is no port"):
        ports.fixed(text, variable="SINK_STACK_KAFKA_PORT")
