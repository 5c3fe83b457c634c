"""Interim: the server that SINK_TEST_DATABASE_URL names."""

import os

import pytest

from tests.fix_database import database_url, empty_database_url, engine, template_database, writer_url

__all__ = ["database_url", "empty_database_url", "engine", "template_database", "writer_url"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Only an Apache-2 server runs here."""
    gone = [item for item in items if item.get_closest_marker("needs_community")]
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if item not in gone]


@pytest.fixture(scope="session")
def server_database_url() -> str:
    return os.environ["SINK_TEST_DATABASE_URL"]
