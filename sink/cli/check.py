"""``sink check``: look at everything that ``sink run`` builds on, and name all that is wrong at once."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sink import transport
from sink.avro.schemas import shipped_schema
from sink.cli import connections, options
from sink.datasets import DATASETS, Dataset
from sink.db import facts as database
from sink.db.connect import conninfo
from sink.db.errors import parse_url, shown
from sink.db.models import SINK_SCHEMA, Base, table_of
from sink.db.target import revisions_in
from sink.db.tls import hopeless
from sink.errors import ConfigError, DefinitionError, SinkError, TransientError
from sink.inspection import check as probes
from sink.inspection import check_database, check_kafka, check_registry, check_settings
from sink.inspection.check import Probe
from sink.inspection.findings import Finding, Group, State
from sink.kafka import facts as kafka
from sink.kafka.reach import why_unreachable
from sink.redaction import redact_text
from sink.resources import resource_folder
from sink.settings import Settings, load

app = typer.Typer(add_completion=False)

_WORDS = {State.OK: ("ok", "green"), State.WARNING: ("warn", "yellow"), State.FAILURE: ("FAIL", "bold red")}


@app.command()
def check(
    names: options.Names = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail as well.")] = False,
    timeout: Annotated[float, typer.Option(min=1, max=300, help="Seconds that one question may take.")] = 5.0,
    as_json: options.AsJson = False,
    file: options.SettingsFile = None,
) -> None:
    """Look at broker, registry and database as `sink run` would use them, and name everything wrong with its cure.

    Changes nothing. Exits 4 where something fails; warnings pass unless --strict.

    For example:

    - `sink check`
    - `sink check trades --strict --json`
    """
    settings = load(config=file, datasets=DATASETS)
    chosen = connections.chosen(names or [])
    looks = [_kafka(settings, chosen, timeout), _registry(settings, chosen), _database(settings, chosen, timeout)]
    found = [_redacted(one) for one in [*_settings(settings), *probes.run(looks, timeout=timeout)]]
    if as_json:
        typer.echo(json.dumps(_document(found), indent=2))
    else:
        _show(found)
    counts = Counter(one.state for one in found)
    if counts[State.FAILURE] or (strict and counts[State.WARNING]):
        raise DefinitionError(
            f"{counts[State.FAILURE]} of {len(found)} checks failed, {counts[State.WARNING]} warned; each says its cure"
        )


def _settings(settings: Settings) -> Iterable[Finding]:
    exposed = [] if settings.allow_insecure_kafka else [transport.kafka_exposed(settings.kafka)]
    if settings.registry.url and not settings.allow_insecure_registry:
        urls = connections.registry_urls(settings.registry.url)
        exposed.append(transport.registry_exposed(urls, user=settings.registry.user))
    return check_settings.judge(
        settings.kafka,
        statement_timeout=settings.statement_timeout,
        lock_timeout=settings.lock_timeout,
        exposed=[one for one in exposed if one is not None],
    )


def _kafka(settings: Settings, datasets: Sequence[Dataset], timeout: float) -> Probe:
    def look() -> Iterable[Finding]:
        if not settings.allow_insecure_kafka and transport.kafka_exposed(settings.kafka) is not None:
            raise ConfigError("not asked: the login would cross the network in the open (see settings)")
        told = kafka.gather(
            settings.kafka,
            topics=[f"{settings.topic_prefix}{dataset.name}" for dataset in datasets],
            groups=[f"{settings.group_prefix}.{dataset.name}" for dataset in datasets],
            timeout=timeout,
        )
        if told is None:
            raise why_unreachable(settings.kafka) or TransientError("the brokers answer too slowly; give it --timeout")
        return check_kafka.judge(told, now=datetime.now(UTC))

    return Probe(group=Group("kafka"), subject="brokers", look=look)


def _registry(settings: Settings, datasets: Sequence[Dataset]) -> Probe:
    group = Group("registry")

    def look() -> Iterable[Finding]:
        with connections.registry(settings, url=None) as client:
            if client is None:
                return [group.ok("registry", "none is set: only single-object encoded messages can be read")]
            schemas = {
                f"{settings.topic_prefix}{dataset.name}-value": shipped_schema(dataset.name, settings.schemas)
                for dataset in datasets
            }
            return list(check_registry.judge(check_registry.gather(client, schemas)))

    return Probe(group=group, subject="registry", look=look)


def _database(settings: Settings, datasets: Sequence[Dataset], timeout: float) -> Probe:
    url = settings.database_url.get_secret_value()
    own = [table for table in Base.metadata.sorted_tables if table.schema == SINK_SCHEMA]

    def look() -> Iterable[Finding]:
        exposed = transport.database_exposed(conninfo(url), os.environ)
        try:
            told = database.gather(url, timeout=timeout)
        except SinkError as error:
            raise hopeless(url, os.environ) or error from error
        return check_database.judge(
            told,
            revisions=revisions_in(resource_folder("migrations")),
            tables=[*(table_of(dataset.model) for dataset in datasets), *own],
            exposed=None if settings.allow_insecure_database else exposed,
        )

    return Probe(group=Group("database"), subject=shown(parse_url(url)), look=look)


def _redacted(finding: Finding) -> Finding:
    return replace(finding, found=redact_text(finding.found), cure=redact_text(finding.cure))


def _document(found: Sequence[Finding]) -> dict[str, object]:
    counts = Counter(one.state for one in found)
    return {
        "failures": counts[State.FAILURE],
        "warnings": counts[State.WARNING],
        "findings": [
            {
                "group": one.group,
                "subject": one.subject,
                "state": one.state.value,
                "found": one.found,
                "cure": one.cure,
            }
            for one in found
        ],
    }


def _show(found: Sequence[Finding]) -> None:
    console = Console()
    if not console.is_terminal:
        for one in found:
            cure = f"  -> {one.cure}" if one.cure else ""
            typer.echo(f"{_WORDS[one.state][0]:<4}  {one.group:<8}  {one.subject}: {one.found}{cure}")
        return
    table = Table("", "what", "found", "cure", show_lines=False)
    group = ""
    for one in found:
        if one.group != group:
            group = one.group
            table.add_section()
            table.add_row("", Text(group, style="bold"), "", "")
        word, style = _WORDS[one.state]
        table.add_row(Text(word, style=style), Text(one.subject), Text(one.found), Text(one.cure))
    console.print(table)
