"""Folders that travel with the code are found by setting, package or repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from sink.errors import ConfigError
from sink.resources import resource_folder
from tests.fix_database import REPOSITORY


def test_the_repository_is_the_last_resort() -> None:
    assert resource_folder("migrations") == REPOSITORY / "migrations"


def test_a_setting_comes_first(tmp_path: Path) -> None:
    assert resource_folder("migrations", tmp_path) == tmp_path


def test_a_setting_that_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        resource_folder("migrations", tmp_path / "absent")


def test_nothing_anywhere() -> None:
    with pytest.raises(ConfigError, match="no folder absent"):
        resource_folder("absent")
