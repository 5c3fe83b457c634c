"""``sink schemas``: the shipped Avro schemas against a schema registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sink.avro.registry import Registry
from sink.avro.schemas import Schema, shipped_schema
from sink.cli import connections, options
from sink.datasets import DATASETS
from sink.errors import ConfigError, DefinitionError
from sink.settings import Settings, load

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Check and register the shipped Avro schemas.")

Datasets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="DATASET", help="Only these datasets; all where none is named.", autocompletion=options.completed
    ),
]
Url = Annotated[
    str | None, typer.Option("--registry", help="Root of the registry's Confluent API instead of SINK_REGISTRY__URL.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a shipped schema stands in the registry.

    ``state`` is ``latest``, ``superseded`` (registered, and followed by a later version), ``missing`` (the subject has
    no schema), ``compatible`` (not registered, but may be) or ``incompatible`` (may not).
    """

    dataset: str
    subject: str
    state: str
    schema_id: int | None = None
    version: int | None = None
    latest_version: int | None = None


@app.command()
def check(datasets: Datasets = None, *, registry: Url = None, as_json: options.AsJson = False) -> None:
    """Compare the shipped schemas with the registry's; exit code 4 where one is not registered.

    For example:

    - `sink schemas check`
    - `sink schemas check trades --json`
    """
    settings = load(datasets=DATASETS)
    with _open(settings, registry) as client:
        rows = [_standing(client, *one) for one in _chosen(datasets, settings)]
    _show(rows, as_json=as_json)
    absent = [row for row in rows if row.state not in {"latest", "superseded"}]
    if any(row.state == "incompatible" for row in absent):
        raise DefinitionError(
            f"not compatible with the registry's latest: {_names(absent, 'incompatible')}; the subject holds another "
            "schema: take another topic prefix, or delete the subject if it is yours"
        )
    if absent:
        raise DefinitionError(f"not registered: {', '.join(row.subject for row in absent)}; run: sink schemas register")


@app.command()
def register(datasets: Datasets = None, *, registry: Url = None, as_json: options.AsJson = False) -> None:
    """Register the shipped schemas under `<topic>-value`; none of them where one is incompatible.

    For example:

    - `sink schemas register`
    - `sink schemas register --registry https://registry:8081`
    """
    settings = load(datasets=DATASETS)
    with _open(settings, registry) as client:
        chosen = _chosen(datasets, settings)
        before = [_standing(client, *one) for one in chosen]
        if any(row.state == "incompatible" for row in before):
            _show(before, as_json=as_json)
            raise DefinitionError(
                f"nothing was registered; not compatible with the registry's latest: {_names(before, 'incompatible')}"
            )
        for _, subject, schema in chosen:
            client.register(subject, schema.text)
        _show([_standing(client, *one) for one in chosen], as_json=as_json)


@contextmanager
def _open(settings: Settings, url: str | None) -> Iterator[Registry]:
    with connections.registry(settings, url=url) as client:
        if client is None:
            raise ConfigError("no registry is set; set SINK_REGISTRY__URL, or say --registry")
        yield client


def _chosen(datasets: list[str] | None, settings: Settings) -> list[tuple[str, str, Schema]]:
    """Give the dataset, subject and schema of what was asked for."""
    unknown = [name for name in datasets or [] if name not in DATASETS]
    if unknown:
        raise ConfigError(f"no dataset is called {unknown[0]}; there are {', '.join(DATASETS)}")
    return [
        (name, f"{settings.topic_prefix}{name}-value", shipped_schema(name, settings.schemas))
        for name in datasets or DATASETS
    ]


def _standing(client: Registry, dataset: str, subject: str, schema: Schema) -> Standing:
    latest = client.latest(subject)
    if latest is None:
        return Standing(dataset=dataset, subject=subject, state="missing")
    found = client.lookup(subject, schema.text)
    if found is None:
        state = "compatible" if client.compatible(subject, schema.text) else "incompatible"
        return Standing(dataset=dataset, subject=subject, state=state, latest_version=latest.version)
    return Standing(
        dataset=dataset,
        subject=subject,
        state="latest" if found.version == latest.version else "superseded",
        schema_id=found.schema_id,
        version=found.version,
        latest_version=latest.version,
    )


def _names(rows: list[Standing], state: str) -> str:
    return ", ".join(row.subject for row in rows if row.state == state)


def _show(rows: list[Standing], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    table = Table("subject", "state", "schema id", "version", "latest version", title="Shipped schemas in the registry")
    for row in rows:
        numbers = (row.schema_id, row.version, row.latest_version)
        table.add_row(row.subject, row.state, *("" if number is None else str(number) for number in numbers))
    Console().print(table)
