"""``sink topics``: check or create the market topics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sink.cli import options
from sink.cli.arguments import duration
from sink.cli.connections import kafka_options
from sink.datasets import DATASETS
from sink.errors import ConfigError, DefinitionError
from sink.kafka.admin import BROKER_DEFAULT, Found, Topics, Wanted
from sink.settings import load

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Check or create the market topics, one per dataset."
)

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="DATASET", help="Datasets; default: all.", autocompletion=options.completed),
]
Partitions = Annotated[int, typer.Option(help="Partitions of each topic: the most replicas that share it.")]
ReplicationFactor = Annotated[
    int, typer.Option(help="Copies of each partition; -1 leaves it to the broker. Production: 3.")
]
MinInsync = Annotated[
    int | None, typer.Option("--min-insync-replicas", help="Copies that must be written; production: 2.")
]
Retention = Annotated[str | None, typer.Option(help="How long topics keep messages (7d); default: the broker decides.")]
Servers = Annotated[str | None, typer.Option(help="Broker addresses; default: SINK_KAFKA__BOOTSTRAP_SERVERS.")]


@app.command()
def check(
    *,
    datasets: Names = None,
    partitions: Partitions = 4,
    replication_factor: ReplicationFactor = BROKER_DEFAULT,
    min_insync_replicas: MinInsync = None,
    retention: Retention = None,
    bootstrap_servers: Servers = None,
    json_output: options.AsJson = False,
) -> None:
    """Say how the topics differ from what is wanted; changes nothing, exits 4 where they do.

    For example:

    - `sink topics check`
    - `sink topics check trades --partitions 12 --json`
    """
    topics, wanted = _prepare(
        datasets or [],
        partitions=partitions,
        replication_factor=replication_factor,
        min_insync_replicas=min_insync_replicas,
        retention=retention,
        servers=bootstrap_servers,
    )
    _tell(topics.check(wanted), json_output=json_output)


@app.command()
def apply(
    *,
    datasets: Names = None,
    partitions: Partitions = 4,
    replication_factor: ReplicationFactor = BROKER_DEFAULT,
    min_insync_replicas: MinInsync = None,
    retention: Retention = None,
    bootstrap_servers: Servers = None,
    json_output: options.AsJson = False,
) -> None:
    """Create the topics that are missing; existing ones are never changed, but told where they differ (exit 4).

    For example:

    - `sink topics apply`
    - `sink topics apply --partitions 12 --replication-factor 3 --min-insync-replicas 2`
    """
    topics, wanted = _prepare(
        datasets or [],
        partitions=partitions,
        replication_factor=replication_factor,
        min_insync_replicas=min_insync_replicas,
        retention=retention,
        servers=bootstrap_servers,
    )
    _tell(topics.apply(wanted), json_output=json_output)


def _prepare(
    datasets: Sequence[str],
    *,
    partitions: int,
    replication_factor: int,
    min_insync_replicas: int | None,
    retention: str | None,
    servers: str | None,
) -> tuple[Topics, list[Wanted]]:
    unknown = [name for name in datasets if name not in DATASETS]
    if unknown:
        raise ConfigError(f"there is no dataset {', '.join(unknown)}; choose of {', '.join(DATASETS)}")
    if partitions < 1 or (min_insync_replicas is not None and min_insync_replicas < 1):
        raise ConfigError("--partitions and --min-insync-replicas are at least 1")
    if replication_factor < 1 and replication_factor != BROKER_DEFAULT:
        raise ConfigError("a topic needs at least one copy; give --replication-factor 1 or more, or -1")
    settings = load(datasets=DATASETS)
    wanted = [
        Wanted(
            name=settings.topic_prefix + name,
            partitions=partitions,
            replication_factor=replication_factor,
            retention_ms=None if retention is None else duration(retention) // timedelta(milliseconds=1),
            min_insync_replicas=min_insync_replicas,
        )
        for name in datasets or DATASETS
    ]
    return Topics(kafka_options(settings, servers=servers)), wanted


def _tell(found: Sequence[Found], *, json_output: bool) -> None:
    if json_output:
        typer.echo(json.dumps([_entry(topic) for topic in found], indent=2))
    else:
        _show(found)
    missing = [topic.name for topic in found if topic.missing]
    if missing:
        raise DefinitionError(f"{', '.join(missing)} missing; create with: sink topics apply")
    drifted = [topic.name for topic in found if topic.drift]
    if drifted:
        raise DefinitionError(
            f"{', '.join(drifted)} not as wanted; existing topics are left as they are: change them with the broker's "
            "tools (kafka-topics --alter, kafka-configs --alter), or ask for what is there"
        )


def _show(found: Sequence[Found]) -> None:
    console = Console()
    rows = [
        (topic.name, _number(topic.partitions), _number(topic.replication_factor), _state(topic)) for topic in found
    ]
    if console.is_terminal:
        table = Table("topic", "partitions", "replicas", "state")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    else:
        for name, partitions, replicas, state in rows:
            typer.echo(f"{name}  partitions: {partitions}  replicas: {replicas}  {state}")


def _entry(topic: Found) -> dict[str, object]:
    return {
        "topic": topic.name,
        "exists": not topic.missing,
        "created": topic.created,
        "partitions": topic.partitions,
        "replication_factor": topic.replication_factor,
        "config": dict(topic.config),
        "drift": list(topic.drift),
    }


def _state(topic: Found) -> str:
    if topic.drift:
        return "; ".join(topic.drift)
    return "created" if topic.created else "as wanted"


def _number(count: int | None) -> str:
    return "-" if count is None else str(count)
