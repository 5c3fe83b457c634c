"""Interim: the server that SINK_TEST_DATABASE_URL names."""

import os

import pytest

from tests.fix_database import database_url, empty_database_url, engine, template_database, writer_url

__all__ = ["database_url", "empty_database_url", "engine", "template_database", "writer_url"]


@pytest.fixture(scope="session")
def server_database_url() -> str:
    return os.environ["SINK_TEST_DATABASE_URL"]
