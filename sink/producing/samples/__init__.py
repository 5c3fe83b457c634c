"""Small cuts of real exchange dumps, shipped for demonstrations and tests; README.md says where they come from."""

from __future__ import annotations

from pathlib import Path


def sample_files() -> list[Path]:
    """Give the shipped dumps."""
    return sorted(Path(__file__).parent.glob("*.zip"))
