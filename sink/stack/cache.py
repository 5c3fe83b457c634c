"""The folder of downloads that all checkouts share."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from sink.errors import ConfigError

CACHE_VARIABLE = "SINK_STACK_CACHE"
_NAME = "kafka-timescale-sink"


class Cache:
    """Folders that are either complete or absent, each made once for all checkouts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> Cache:
        """Give the user's cache; root's is the machine's, because the database's unprivileged user must read it."""
        if given := environ.get(CACHE_VARIABLE):
            return cls(Path(given).absolute())
        platformdirs = stack_extra("platformdirs")
        place = platformdirs.site_cache_path if os.geteuid() == 0 else platformdirs.user_cache_path
        return cls(place(_NAME, appauthor=False))

    def folder(self, name: str, build: Callable[[Path, int], None]) -> Path:
        """Give the folder ``name``; ``build(path, lock)`` fills it first when it is not there yet.

        It is built under another name and renamed when complete, so that whatever an interruption leaves is seen as
        unfinished and made anew. ``build`` passes the handle of the lock to the programs that it starts: one that
        outlives us, when we are killed, then keeps others from building beside it.
        """
        target = self.path / name
        if target.is_dir():
            return target
        self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        with locked(self.path / f"{name}.lock") as handle:
            if not target.is_dir():
                part = target.with_name(f"{name}.part")
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir(mode=0o755)
                part.chmod(0o755)
                build(part, handle)
                part.rename(target)
        return target


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold a lock between processes, for as long as the block and the programs that inherit the handle last."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def stack_extra(module: str) -> Any:
    """Import what only the stack needs, which a production image does not carry."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise missing_extra(module) from error


def missing_extra(package: str) -> ConfigError:
    """Say which command installs what only the stack needs."""
    return ConfigError(
        f"the development stack needs {package}; install it with: pip install 'kafka-timescale-sink[stack]'"
    )
