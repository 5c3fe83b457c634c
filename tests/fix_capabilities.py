"""Tests that need more than the servers at hand can do are deselected, and counted."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sink.stack import Stack
from sink.stack.docker import engine_answers
from tests.wheels import released

HELM = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kafka-timescale-sink/helm-v3.19.5/helm"
"""As .ci/bootstrap-deploy builds it."""
_DESELECTED = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers of capabilities."""
    config.addinivalue_line("markers", "needs_docker: runs only where a Docker engine answers")
    config.addinivalue_line(
        "markers", "needs_native: runs where there is no Docker engine, or the native tools as well"
    )
    config.addinivalue_line("markers", "needs_community: runs only on TimescaleDB's community edition")
    config.addinivalue_line("markers", "needs_last_release: runs only where git has the commit of tests/LAST_RELEASE")
    config.addinivalue_line("markers", "needs_helm: runs only where .ci/bootstrap-deploy could build Helm, and in CI")
    config.addinivalue_line("markers", "needs_apache: runs only on the Apache-2 edition of TimescaleDB")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what needs a capability that is not there; the summary says how many tests that are."""
    wanted = {mark.name for item in items for mark in item.iter_markers() if mark.name in _CAPABILITIES}
    absent = {name for name in wanted if not _CAPABILITIES[name]()}
    lacking = {item: next((mark.name for mark in item.iter_markers() if mark.name in absent), None) for item in items}
    config.stash[_DESELECTED] = Counter(name for name in lacking.values() if name is not None)
    deselected = [item for item, name in lacking.items() if name is not None]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item, name in lacking.items() if name is None]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a worker of pytest-xdist tell its controller what it left out."""
    output: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        left_out = session.config.stash.get(_DESELECTED, Counter[str]())
        output["deselected"] = dict(left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear, as the controller, what a worker left out; all workers collect, and leave out, the same."""
    node.config.stash[_DESELECTED] = Counter(getattr(node, "workeroutput", {}).get("deselected", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was deselected for want of a capability."""
    for name, count in sorted(config.stash.get(_DESELECTED, Counter[str]()).items()):
        terminalreporter.write_line(f"{count} deselected: {name.replace('_', ' ')}, which is not here")


def _docker() -> bool:
    return engine_answers(os.environ)


def _native() -> bool:
    # Without an engine the native stack is all there is, so that a missing tool must then fail the tests.
    return not _docker() or all(map(shutil.which, ("java", "mvn", "mmdebstrap", "setpriv")))


def _community() -> bool:
    url = os.environ.get("SINK_TEST_DATABASE_URL")
    if url is None:
        # The native stack takes Debian's package, which is the Apache-2 edition; the image is the community edition.
        return Stack(Path(__file__).parents[1] / ".stack").backend == "docker"
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT current_setting('timescaledb.license', true)").fetchone()
    return row == ("timescale",)


def _apache() -> bool:
    return not _community()


def _last_release() -> bool:
    return released() is not None


def _helm() -> bool:
    # In CI nothing may be left out: there its absence fails the tests.
    return "CI" in os.environ or HELM.is_file()


_CAPABILITIES = {
    "needs_docker": _docker,
    "needs_native": _native,
    "needs_community": _community,
    "needs_apache": _apache,
    "needs_last_release": _last_release,
    "needs_helm": _helm,
}
