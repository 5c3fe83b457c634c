"""``sink topics``: arguments that make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sink.cli import app
from sink.errors import ConfigError


@pytest.mark.parametrize(
    "arguments",
    [
        ("tradez",),
        ("--partitions", "0"),
        ("--replication-factor", "0"),
        ("--replication-factor", "-2"),
        ("--min-insync-replicas", "0"),
        ("--retention", "a week"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "apply"])
def test_arguments_are_checked_before_a_broker_is_asked(
    verb: str, arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(CliRunner().invoke(app, ["topics", verb, *arguments]).exception, ConfigError)
