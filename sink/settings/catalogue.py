"""The names under which each setting is known, taken from the fields of the settings themselves."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

Path = tuple[str, ...]
"""Where a setting stands: ``("batch", "max_rows")``."""

DATABASE_URL = ("database_url",)
KAFKA = ("kafka",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One setting, or one open table of settings (``kafka``, ``clock``) whose names are not known beforehand."""

    path: Path
    type: str
    default: object
    description: str
    is_secret: bool
    is_table: bool


def entries(model: type[BaseModel], prefix: Path = ()) -> Iterator[Entry]:
    """Every setting of a model and of the groups within it, in the order of definition."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from entries(annotation, (*prefix, name))
        else:
            yield _entry((*prefix, name), field)


def variable(path: Path) -> str:
    """Name of the environment variable of a setting."""
    if path == DATABASE_URL:
        return "DATABASE_URL"
    if path == (f"{DATABASE_URL[0]}_file",):
        return "DATABASE_URL_FILE"
    return "SINK_" + "__".join(part.replace(".", "_") for part in path).upper()


def toml_key(path: Path) -> str:
    """Key of a setting in the TOML file, dotted, quoted where a part itself has dots."""
    return ".".join(f'"{part}"' if "." in part else part for part in path)


def _entry(path: Path, field: FieldInfo) -> Entry:
    default = field.get_default(call_default_factory=True, validated_data={})
    return Entry(
        path=path,
        type=_words(field.annotation),
        default=default.get_secret_value() if isinstance(default, SecretStr) else default,
        description=field.description or "",
        is_secret=SecretStr in (field.annotation, *get_args(field.annotation)),
        is_table=get_origin(field.annotation) is dict,
    )


def _words(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _words(get_args(annotation)[0])
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin is dict:
        return "table"
    if origin in (Union, types.UnionType):
        return _words(next(choice for choice in get_args(annotation) if choice is not type(None)))
    return {bool: "`true`, `false`", int: "whole number", float: "number", str: "text", SecretStr: "secret"}.get(
        annotation, "path"
    )
