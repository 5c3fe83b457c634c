"""Finds the folders that travel with the package: schemas and migrations."""

from __future__ import annotations

from pathlib import Path

from sink.errors import ConfigError

_PACKAGE = Path(__file__).parent


def resource_directory(name: str, configured: Path | None = None) -> Path:
    """Give the folder called ``name``: the configured one, else the wheel's copy, else the repository's.

    Raises ConfigError where there is none.
    """
    candidates = [configured] if configured is not None else [_PACKAGE / "_data" / name, _PACKAGE.parent / name]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    places = " or ".join(str(candidate) for candidate in candidates)
    raise ConfigError(f"the folder {name} is not at {places}; name it in the settings or install the package again")
