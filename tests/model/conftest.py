"""The proof's database: one for all tests of a worker process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model.store import Store, temporary_store


@pytest.fixture(scope="session")
def store(server_database_url: str, template_database: str) -> Iterator[Store]:
    """Give the store in which schedules are played one after the other."""
    with temporary_store(server_database_url, template_database) as made:
        yield made
