"""What holds for every test, by the modules that see to it, and a clean environment."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Speed is judged in benchmarks, never in tests: the machine may be busy.
settings.register_profile("sink", deadline=None)
settings.load_profile("sink")

pytest_plugins = [
    "tests.fix_capabilities",
    "tests.fix_database",
    "tests.fix_errors",
    "tests.fix_mock_broker",
    "tests.fix_stack",
    "tests.fix_sink",  # after those that it imports, whose assertions pytest must rewrite first
]

_KEPT = ("SINK_TEST_", "SINK_STACK_")


def pytest_configure(config: pytest.Config) -> None:
    """Wipe what a developer's environment would let into the tests."""
    del config
    for name in list(os.environ):
        if name == "DATABASE_URL" or (name.startswith("SINK_") and not name.startswith(_KEPT)):
            del os.environ[name]
    # Commands run as processes: without compiled code each of them spends seconds on compiling it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
