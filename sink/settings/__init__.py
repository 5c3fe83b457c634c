"""Every setting of the sink: one typed, frozen value, read once at the start of a command.

``values`` says what can be set, ``sources`` reads it from the environment and files, ``kafka`` holds what librdkafka's
options may be, ``reference`` writes docs/configuration.md.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from sink.errors import ConfigError
from sink.redaction import MASK, is_secret, redact_text, redact_url
from sink.settings import catalogue
from sink.settings.kafka import REFUSED
from sink.settings.reference import markdown
from sink.settings.sources import STACK_ENV_FILE, LayeredSource, Layers, read_layers
from sink.settings.values import Batch, Breaker, Clock, Housekeeping, Http, Log, Registry, Settings

__all__ = [
    "STACK_ENV_FILE",
    "Batch",
    "Breaker",
    "Clock",
    "Housekeeping",
    "Http",
    "InForce",
    "Log",
    "Registry",
    "Settings",
    "explain",
    "load",
    "reference_page",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """One setting as it is in force: its variable, its redacted value, and where that value comes from."""

    variable: str
    key: str
    value: object
    source: str


def load(
    environ: Mapping[str, str] | None = None,
    *,
    directory: Path | None = None,
    config: Path | None = None,
    datasets: Collection[str] | None = None,
) -> Settings:
    """Read and check every setting; raises ConfigError with all that is wrong at once.

    ``environ`` and ``directory`` are the process's own unless given; ``config`` is a TOML file that must exist;
    ``datasets`` are the names that per-dataset settings may use, unchecked where they do not matter.
    """
    return _check(_layers(environ, directory, config), datasets)


def explain(
    environ: Mapping[str, str] | None = None,
    *,
    directory: Path | None = None,
    config: Path | None = None,
    datasets: Collection[str] | None = None,
) -> list[InForce]:
    """As :func:`load`, but gives every setting with its origin, redacted, to be shown to people."""
    layers = _layers(environ, directory, config)
    tree = _check(layers, datasets).model_dump()
    rows = []
    for entry in catalogue.entries(Settings):
        value: object = tree
        for part in entry.path:
            value = value[part] if isinstance(value, dict) else value
        inner = {(*entry.path, str(name)): one for name, one in value.items()} if isinstance(value, dict) else None
        for path, one in ({entry.path: value} if inner is None else inner).items():
            given = layers.given.get(path)
            rows.append(
                InForce(
                    variable=catalogue.variable(path),
                    key=catalogue.toml_key(path),
                    value=_shown(path, one),
                    source=given.source(path) if given else "default",
                )
            )
    return rows


def reference_page() -> str:
    """Give the text of docs/configuration.md."""
    return markdown(catalogue.entries(Settings))


def _layers(environ: Mapping[str, str] | None, directory: Path | None, config: Path | None) -> Layers:
    return read_layers(
        catalogue.entries(Settings), os.environ if environ is None else environ, directory or Path.cwd(), config
    )


def _check(layers: Layers, datasets: Collection[str] | None) -> Settings:
    problems = list(layers.problems)
    settings: Settings | None = None
    try:
        # mypy sees the fields only, not the arguments that BaseSettings itself takes
        settings = Settings(_build_sources=((LayeredSource(Settings, layers),), {}))  # type: ignore[call-arg]
    except ValidationError as error:
        problems += [sentence for detail in error.errors(include_url=False) for sentence in _sentences(detail, layers)]
    else:
        problems += _unknown_datasets(settings, layers, datasets)
    if problems or settings is None:
        listed = "".join(f"\n  - {redact_text(problem)}" for problem in problems)
        raise ConfigError(f"the settings are wrong; nothing was started{listed}")
    return settings


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _unknown_datasets(settings: Settings, layers: Layers, datasets: Collection[str] | None) -> list[str]:
    return [
        f"{layers.named(('clock', name))} is for no dataset; there are {', '.join(datasets)}"
        for name in sorted(settings.clock)
        if datasets is not None and name not in datasets
    ]


def _sentences(detail: ErrorDetails, layers: Layers) -> list[str]:
    path = tuple(str(part) for part in detail["loc"])
    context = {name: _plain(value) for name, value in detail.get("ctx", {}).items()}
    if detail["type"] == REFUSED:
        return [f"{layers.named((*path, name))} {why}" for name, why in sorted(context["refused"].items())]
    template = _MESSAGES.get(detail["type"])
    message = template.format(**context) if template else detail["msg"].removeprefix("Value error, ")
    if path not in layers.given:
        return [message]  # about several settings of a group, which the message names
    value = "" if _is_secret(path) else f", but it is {redact_url(str(layers.given[path].value))!r}"
    return [f"{layers.named(path)} {message}{value}"]


_MESSAGES = {
    "bool_parsing": "must be true or false",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of reasonable size",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "path_not_directory": "must be a folder that exists",
    "path_not_file": "must be a file that exists",
    "string_pattern_mismatch": "must match {pattern}",
    "string_type": "must be text",
}


def _is_secret(path: catalogue.Path) -> bool:
    return any(entry.path == path and entry.is_secret for entry in catalogue.entries(Settings)) or (
        path[:1] == catalogue.KAFKA and is_secret(path[-1])
    )


def _shown(path: catalogue.Path, value: object) -> object:
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    if path == catalogue.DATABASE_URL:
        return redact_url(str(plain))
    if _is_secret(path) and plain is not None:
        return MASK
    return redact_url(str(plain)) if isinstance(plain, str | Path) else plain
