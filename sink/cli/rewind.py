"""``sink rewind``: have the sink itself read on from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sink.cli import connections, options, wiring
from sink.cli.bounds import bound, partitions
from sink.cli.replay_asked import patiently
from sink.cli.replayed import say
from sink.datasets import Dataset
from sink.db.connect import open_connection
from sink.errors import ConfigError, DefinitionError
from sink.flush import Flusher
from sink.replaying.ranges import Bound, targets
from sink.settings import Settings

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One partition's position, now and then."""

    partition: int
    now: int
    then: int

    @property
    def kind(self) -> str:
        """How the ledger calls it."""
        return "rewind" if self.then < self.now else "skip"


@app.command()
def rewind(
    dataset: Annotated[
        str, typer.Argument(help="Dataset whose positions are moved.", autocompletion=options.completed)
    ],
    *,
    to: Annotated[
        list[str],
        typer.Option("--to", help="Where to read on: 3:120000 (partition 3), 2h, yesterday, beginning."),
    ],
    numbers: Annotated[list[str] | None, typer.Option("--partitions", help="Only these, such as 0,3.")] = None,
    skip: Annotated[
        str | None, typer.Option(metavar="REASON", help="Allow moves forward, which leave messages out, and say why.")
    ] = None,
    yes: options.Yes = False,
    json_output: options.AsJsonUnasked = False,
    file: options.SettingsFile = None,
) -> None:
    """Have the sink itself read on from elsewhere; running replicas notice within seconds, stopped ones at their start.

    Rows are only replaced by newer versions, so reading again changes nothing that is right. To repair a stretch
    without delaying what is new, use `sink replay`.

    For example:

    - `sink rewind trades --to 2h`
    - `sink rewind trades --to 3:120000 --yes`
    - `sink rewind trades --to end --skip 'test data'`
    """
    settings = options.settings_from(file)
    (chosen,) = connections.chosen([dataset])
    if skip is not None and not skip.strip():
        raise ConfigError("--skip wants a reason; it is kept in the ledger")
    aim = bound(to, option="--to", now=datetime.now(UTC))
    for note in aim.notes:
        say(note)
    flusher = _flusher(chosen, settings)
    try:
        moves = _moves(chosen, settings, flusher, _aims(chosen, settings, flusher, aim, partitions(numbers or [])))
        ahead = [move for move in moves if move.kind == "skip"]
        if ahead and skip is None:
            numbers_ahead = ", ".join(str(move.partition) for move in ahead)
            raise ConfigError(
                f"partition {numbers_ahead} stands before that offset: the messages up to there would be left out. If"
                " that is meant, say why with --skip REASON"
            )
        if moves and not yes:
            options.confirm(
                f"Move the positions of {chosen.name}?",
                act="move the positions",
                undone="nothing was moved",
                show=lambda: _show(moves),
                as_json=json_output,
            )
        before = flusher.move({move.partition: move.then for move in moves}, reason=skip) if moves else {}
    finally:
        flusher.close()
    made = [
        Move(partition=move.partition, now=before[move.partition], then=move.then)
        for move in moves
        if move.partition in before
    ]
    if json_output:
        typer.echo(json.dumps(_document(chosen, settings, made), indent=2))
    elif made:
        _show(made)
        say("moved; running replicas read on from there within seconds")
    else:
        say("every position stands there already; nothing was moved")


def _flusher(dataset: Dataset, settings: Settings) -> Flusher:
    url, owner = connections.database_url(settings), wiring.owner_name()
    return Flusher(
        dataset=dataset,
        source=wiring.source_of(dataset, settings),
        owner=owner,
        connect=lambda: open_connection(url, application_name=f"sink rewind {owner}"),
        limits=wiring.limits_of(settings),
    )


def _aims(dataset: Dataset, settings: Settings, flusher: Flusher, aim: Bound, only: set[int]) -> Mapping[int, int]:
    """Ask Kafka for the offsets that are meant."""
    source = wiring.source_of(dataset, settings)
    with wiring.groupless(source, settings, purpose="rewind") as consumer:
        found = patiently(lambda: targets(consumer, aim, only))
        flusher.recognise(consumer.identity().cluster_id, source.sink_id)
    return found


def _moves(dataset: Dataset, settings: Settings, flusher: Flusher, aims: Mapping[int, int]) -> list[Move]:
    """Compare with where the positions stand; partitions without one are told and left."""
    stored = flusher.positions()
    if not stored:
        raise DefinitionError(
            f"{wiring.source_of(dataset, settings).sink_id} has no positions in this database, so it has never run on"
            " it; it will start where SINK_INITIAL_OFFSET says"
        )
    for partition in sorted(set(aims) - set(stored)):
        say(f"partition {partition} has no position yet; it will be read from its beginning")
    return [
        Move(partition=partition, now=stored[partition].next_offset, then=then)
        for partition, then in sorted(aims.items())
        if partition in stored and stored[partition].next_offset != then
    ]


def _show(moves: list[Move]) -> None:
    table = Table("partition", "now", "then", "messages at most", box=None, pad_edge=False)
    for move in moves:
        what = f"{move.now - move.then:,} read again" if move.kind == "rewind" else f"{move.then - move.now:,} left out"
        table.add_row(str(move.partition), str(move.now), str(move.then), what)
    Console().print(table)


def _document(dataset: Dataset, settings: Settings, made: list[Move]) -> dict[str, object]:
    source = wiring.source_of(dataset, settings)
    return {
        "dataset": dataset.name,
        "sink_id": source.sink_id,
        "topic": source.topic,
        "moved": [
            {
                "partition": move.partition,
                "before": move.now,
                "after": move.then,
                "kind": move.kind,
                "offsets": abs(move.now - move.then),
            }
            for move in made
        ],
    }
