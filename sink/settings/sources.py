"""Reads settings from where they are given and remembers which place gave each of them.

From strongest to weakest: the environment, the TOML file, ``.stack/sink.env`` as ``sink stack up`` leaves it, the
defaults. Nothing here knows what a value means; unknown names are found here, because they have no field to fail on.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from dotenv import dotenv_values
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from sink.settings.catalogue import DATABASE_URL, KAFKA, Entry, Path, toml_key, variable
from sink.settings.kafka import SECRET_OPTIONS

STACK_ENV_FILE = FilePath(".stack/sink.env")
"""Written by ``sink stack up``: how to reach the development servers."""
CONFIG_FILE = FilePath("sink.toml")
CONFIG_VARIABLE = "SINK_CONFIG"

_SUFFIX = "_file"
_NOT_OURS = re.compile(
    r"SINK_(TEST|STACK|SERVICE)_|SINK_PORT|SINK_CONFIG$"
    # what Kubernetes injects for further services whose name begins with sink-
    r"|SINK_(?!.*__).*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP).*)?)$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value as given, the name it was given under, the place of that name, and the file it stood in if a secret."""

    value: object
    name: str
    place: str
    file: str | None = None

    def source(self, path: Path) -> str:
        """Say where the value comes from, to somebody who knows the setting's variable already."""
        place = self.place if self.name == variable(path) else f"{self.place}: {self.name}"
        return f"{place}, file {self.file}" if self.file else place


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """What all places give together, and what is wrong with it, as sentences without any value of a secret."""

    given: dict[Path, Given] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def nested(self) -> dict[str, object]:
        """Give the values as a tree of tables, as pydantic wants them."""
        tree: dict[str, object] = {}
        for path, given in self.given.items():
            node = tree
            for part in path[:-1]:
                inner = node.setdefault(part, {})
                assert isinstance(inner, dict)  # noqa: S101 # paths are the leaves of one tree of fields
                node = inner
            node[path[-1]] = given.value
        return tree

    def named(self, path: Path) -> str:
        """Name of a setting for messages: as its user wrote it and where, or its variable where nobody gave it."""
        given = self.given.get(path)
        return f"{given.name} ({given.place})" if given else variable(path)


class LayeredSource(PydanticBaseSettingsSource):
    """Hands the layers to pydantic-settings, which builds and checks the settings from them."""

    def __init__(self, settings_cls: type[BaseSettings], layers: Layers) -> None:
        super().__init__(settings_cls)
        self._layers = layers

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:  # noqa: ARG002 # not per field
        """Value of one top-level field."""
        return self._layers.nested().get(field_name), field_name, False

    def __call__(self) -> dict[str, object]:
        """Every value, as a tree."""
        return self._layers.nested()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Raw:
    """A value under the name that its place uses."""

    path: Path
    name: str
    place: str
    value: object


def read_layers(
    known: Iterable[Entry], environ: Mapping[str, str], directory: FilePath, config: FilePath | None
) -> Layers:
    """Read every place; ``config`` is a TOML file that must exist, otherwise SINK_CONFIG or ``sink.toml`` if any.

    Never raises for what a user wrote: problems are collected, so that all can be told at once.
    """
    catalogue = {entry.path: entry for entry in known}
    layers = Layers()
    toml = config or (FilePath(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    for raws in (
        _from_stack(directory / STACK_ENV_FILE, layers.problems),
        _from_toml(catalogue, directory, toml, layers.problems),
        _from_environment(environ, "environment"),
    ):
        layers.given.update(_resolve(catalogue, directory, list(raws), layers.problems))
    return layers


def _from_environment(environ: Mapping[str, str], place: str) -> Iterator[_Raw]:
    # An empty variable counts as not set: that is what Compose makes of "${SINK_X:-}".
    for name, value in sorted(environ.items()):
        bare = name.removesuffix(_SUFFIX.upper())
        if bare == variable(DATABASE_URL):
            path: Path = (name.lower(),)
        elif name.startswith("SINK_") and not _NOT_OURS.match(name):
            path = _environment_path(name)
        else:
            continue
        if value:
            yield _Raw(path=path, name=name, place=place, value=value)


def _environment_path(name: str) -> Path:
    path = tuple(name.removeprefix("SINK_").lower().split("__"))
    if path in (DATABASE_URL, (DATABASE_URL[0] + _SUFFIX,)):
        return ("sink_database_url",)  # one name a setting: unknown, and DATABASE_URL is suggested
    return path


def _from_stack(file: FilePath, problems: list[str]) -> Iterator[_Raw]:
    try:
        values = dotenv_values(file, interpolate=False) if file.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{file} cannot be read: {_reason(error)}; make it anew with: sink stack up")
        return
    yield from _from_environment({name: value for name, value in values.items() if value}, str(STACK_ENV_FILE))


def _from_toml(
    catalogue: Mapping[Path, Entry], directory: FilePath, config: FilePath | None, problems: list[str]
) -> Iterator[_Raw]:
    file = directory / (config or CONFIG_FILE)
    if config is None and not file.is_file():
        return
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{file} cannot be read: {_reason(error)}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # The parser's words say where; it quotes no value.
        problems.append(f"{file} is not TOML: {error}")
    else:
        yield from _leaves(catalogue, tree, (), str(config or CONFIG_FILE))


def _leaves(catalogue: Mapping[Path, Entry], tree: Mapping[str, object], prefix: Path, place: str) -> Iterator[_Raw]:
    for key, value in tree.items():
        path = (*prefix, key)
        if isinstance(value, dict):
            yield from _leaves(catalogue, value, path, place)
        else:
            yield _Raw(path=path, name=toml_key(path), place=place, value=value)


def _resolve(
    catalogue: Mapping[Path, Entry], directory: FilePath, raws: list[_Raw], problems: list[str]
) -> dict[Path, Given]:
    found: dict[Path, Given] = {}
    names: dict[Path, str] = {}
    for raw in raws:
        path = _canonical(raw.path)
        secret = _secret_of(catalogue, path)
        target = secret or path
        if target in names:
            problems.append(f"{names[target]} and {raw.name} ({raw.place}) say the same setting; keep one of them")
        elif secret is not None:
            value = _read_secret(directory, raw, problems)
            if value is not None:
                found[secret] = Given(value=value, name=raw.name, place=raw.place, file=str(raw.value))
        elif _is_in_table(catalogue, path) or (path in catalogue and not catalogue[path].is_table):
            found[path] = Given(value=raw.value, name=raw.name, place=raw.place)
        else:
            problems.append(f"{raw.name} ({raw.place}) is not a setting{_suggestion(catalogue, raw)}")
            continue
        names[target] = raw.name
    return found


def _canonical(path: Path) -> Path:
    """Librdkafka's own names have dots, which variables and bare TOML keys cannot have."""
    if path[:1] == KAFKA and len(path) > 1:
        return (*KAFKA, ".".join(path[1:]).replace("_", "."))
    return path


def _secret_of(catalogue: Mapping[Path, Entry], path: Path) -> Path | None:
    """Find the secret whose value stands in the file that this path names, if it names one."""
    if path[:1] == KAFKA:
        option = path[-1].removesuffix(".file")
        return (*KAFKA, option) if option != path[-1] and option in SECRET_OPTIONS else None
    target = (*path[:-1], path[-1].removesuffix(_SUFFIX))
    entry = catalogue.get(target)
    return target if target != path and entry is not None and entry.is_secret else None


def _is_in_table(catalogue: Mapping[Path, Entry], path: Path) -> bool:
    entry = catalogue.get(path[:1])
    return entry is not None and entry.is_table and len(path) == 2  # noqa: PLR2004 # the table and the name in it


def _read_secret(directory: FilePath, raw: _Raw, problems: list[str]) -> str | None:
    try:
        value = (directory / str(raw.value)).read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{raw.name} ({raw.place}) names the file {raw.value}, which cannot be read: {_reason(error)}")
        return None
    if not value:
        problems.append(f"{raw.name} ({raw.place}) names the file {raw.value}, which is empty")
        return None
    return value


def _suggestion(catalogue: Mapping[Path, Entry], raw: _Raw) -> str:
    name_of = variable if raw.name == raw.name.upper() else toml_key
    names = []
    for entry in catalogue.values():
        names.append(name_of((*entry.path, "bootstrap_servers")) if entry.path == KAFKA else name_of(entry.path))
        if entry.is_secret:
            names.append(name_of((*entry.path[:-1], entry.path[-1] + _SUFFIX)))
    close = difflib.get_close_matches(raw.name, names, n=1)
    return f"; did you mean {close[0]}?" if close else "; `sink config` lists them all"


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or "unknown error" if isinstance(error, OSError) else "it is not UTF-8 text"
