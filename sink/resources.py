"""Find the folders that travel with the code: migrations and schemas."""

from __future__ import annotations

from pathlib import Path

from sink.errors import ConfigError

_PACKAGE = Path(__file__).parent


def resource_folder(name: str, setting: Path | None = None) -> Path:
    """Give the folder ``name`` ("migrations" or "schemas"): the setting's, else the package's, else the repository's.

    Raises ConfigError where the setting names no folder, or where none of the three exists.
    """
    if setting is not None:
        if not setting.is_dir():
            raise ConfigError(f"the folder set for {name} does not exist: {setting}")
        return setting
    places = [_PACKAGE / "_data" / name, _PACKAGE.parent / name]
    for place in places:
        if place.is_dir():
            return place
    tried = " nor ".join(str(place) for place in places)
    raise ConfigError(f"no folder {name}: neither {tried} exists; install the package again or name the folder")
