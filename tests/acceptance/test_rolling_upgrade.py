"""The last release runs on the newest schema while the newest version runs beside it, and takes over and gives back."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from tests.feed import Feed
from tests.fix_sink import PARTITIONS, Market, Process
from tests.wheels import install_release, run

QUIET = {"SINK_KAFKA__SESSION_TIMEOUT_MS": "120000", "SINK_LOG__FORMAT": "json"}
"""A session far longer than the test waits: only a member that says goodbye is replaced in time."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder in which the last release is installed."""
    folder = install_release(tmp_path_factory.mktemp("release"))
    where = run([sys.executable, "-c", "import sink; print(sink.__file__)"], folder, PYTHONPATH=str(folder))
    assert Path(where.strip()).is_relative_to(folder), "the release comes before this checkout"
    return folder


@cache
def settings_of(release: Path) -> frozenset[str]:
    """Name the settings that the last release has."""
    told = run([sys.executable, "-m", "sink", "config"], release, PYTHONPATH=str(release))
    return frozenset(line.partition("=")[0] for line in told.splitlines())


@contextmanager
def released(market: Market, release: Path, name: str) -> Iterator[Process]:
    """Run the last release's ``sink run trades`` beside the test, with the libraries of this environment."""
    output = market.directory / f"{name}.log"
    environment = {
        name: value
        for name, value in market.environment(QUIET).items()
        # what came after the release it would refuse
        if not name.startswith("SINK_") or name.startswith("SINK_KAFKA__") or name in settings_of(release)
    }
    with output.open("wb") as opened:
        running = subprocess.Popen(
            [sys.executable, "-m", "sink", "run", "trades"],
            cwd=release,
            env=environment | {"PYTHONPATH": str(release)},
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=subprocess.STDOUT,
        )
    process = Process(running, output)
    try:
        yield process
    finally:
        process.kill()


@pytest.mark.needs_last_release
def test_the_last_release_and_this_version_share_a_group(market: Market, release: Path) -> None:
    """An upgrade (old, both, new) and its way back (new, both, old), while messages come."""
    feed = Feed(market)

    def owned_by(*processes: Process) -> bool:
        owners = market.owners()
        return len(owners) == PARTITIONS and set(owners.values()) == {process.pid for process in processes}

    def has_written(process: Process) -> bool:
        return bool(market.rows(f"SELECT 1 FROM sink.flushes WHERE owner ~ '/{process.pid}$' AND messages > 0"))

    with feed.running(), released(market, release, "old") as old:
        old.until(lambda: owned_by(old) and has_written(old), "the last release writes on the newest schema")
        with market.start("run", "trades", **QUIET) as new:
            new.until(lambda: owned_by(old, new) and has_written(new), "both versions write side by side")
            old.signal(signal.SIGTERM)
            assert old.end() == 0, old.output
            new.until(lambda: owned_by(new), "this version has taken over")
            with released(market, release, "again") as again:
                again.until(lambda: owned_by(new, again) and has_written(again), "the last release comes back")
                new.signal(signal.SIGTERM)
                assert new.end() == 0, new.output
                again.until(lambda: owned_by(again), "the last release has everything again")
                behind = len(feed.sent)
                again.until(lambda: len(feed.sent) > behind + 200, "some more is produced")
                feed.stop()
                again.until(lambda: market.durable() == len(feed.sent), "everything is durable")
                again.signal(signal.SIGTERM)
                assert again.end() == 0, again.output

    assert market.contract("trades") == feed.expected()
    market.check_ledger(messages=len(feed.sent))
    for version in (old, new, again):
        assert {record["level"] for record in version.records()} <= {"info", "warning"}, version.output
