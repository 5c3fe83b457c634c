"""``sink topics`` on a real broker."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sink.cli import app
from sink.datasets import DATASETS
from sink.errors import DefinitionError

Topics = Callable[..., Result]


@pytest.fixture(name="topics")
def command(bootstrap_servers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Topics:
    """Run ``sink topics`` with topics of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SINK_TOPIC_PREFIX", f"test-{uuid.uuid4().hex}.")
    monkeypatch.setenv("SINK_KAFKA__BOOTSTRAP_SERVERS", bootstrap_servers)
    return lambda *arguments: CliRunner().invoke(app, ["topics", *arguments])


def entries(result: Result) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads(result.stdout)
    return read


def test_apply_makes_what_is_missing_and_says_so_once(topics: Topics) -> None:
    missing = topics("check")
    assert isinstance(missing.exception, DefinitionError)
    assert "create with: sink topics apply" in str(missing.exception)
    made = topics("apply", "--partitions", "3", "--retention", "2d", "--json")
    assert made.exception is None
    assert [(entry["created"], entry["partitions"]) for entry in entries(made)] == [(True, 3)] * len(DATASETS)
    assert entries(made)[0]["config"] == {"cleanup.policy": "delete", "retention.ms": "172800000"}
    again = topics("apply", "--partitions", "3", "--retention", "2d", "--json")
    assert [entry["created"] for entry in entries(again)] == [False] * len(DATASETS)
    assert topics("check", "--partitions", "3").exit_code == 0


def test_drift_is_told_and_left(topics: Topics) -> None:
    assert topics("apply", "trades", "--partitions", "2").exit_code == 0
    wanted = (
        "trades",
        "--partitions",
        "4",
        "--replication-factor",
        "3",
        "--retention",
        "1h",
        "--min-insync-replicas",
        "2",
    )
    for verb in ("check", "apply"):
        told = topics(verb, *wanted, "--json")
        assert isinstance(told.exception, DefinitionError)
        (entry,) = entries(told)
        assert entry["drift"] == [
            "2 partitions, 4 wanted",
            "1 replicas, 3 wanted",
            "retention.ms is 604800000, 3600000 wanted",
            "min.insync.replicas is 1, 2 wanted",
        ]
    assert topics("check", "trades", "--partitions", "1").exit_code == 0, "more partitions than wanted are no harm"


def test_broker_that_cannot_do_it_is_quoted(topics: Topics) -> None:
    refused = topics("apply", "trades", "--replication-factor", "9")
    assert isinstance(refused.exception, DefinitionError)
    assert "creating topic" in str(refused.exception)
