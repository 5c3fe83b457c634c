"""``sink quarantine export``: kept messages as a file of JSON lines, or as a dead letter topic."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from sink.cli import connections, options
from sink.cli import quarantine_asked as asked
from sink.cli.quarantine_asked import Asked, Filters
from sink.cli.quarantine_pages import pages
from sink.cli.replayed import say
from sink.datasets import DATASETS
from sink.errors import ConfigError
from sink.kafka.deliver import Deliverer
from sink.quarantine.letters import letter_of, plain


def export(
    dataset: asked.DatasetName,
    places: asked.Places = None,
    *,
    to_file: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write JSON lines here; - is stdout.")
    ] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Send dead letters here; the topic must exist.")] = None,
    faults: asked.Faults = None,
    schemas: asked.SchemaIds = None,
    partitions: asked.Numbers = None,
    start: asked.From = None,
    end: asked.To = None,
    since: asked.Since = None,
    until: asked.Until = None,
    states: asked.States = None,
    json_output: options.AsJson = False,
    file: options.SettingsFile = None,
) -> None:
    """Hand kept messages on: whole, to a file or to a topic with the headers of Kafka Connect's dead letters.

    Nothing is changed in quarantine. Exported twice, a message stands twice in the topic.

    For example:

    - `sink quarantine export trades --output bad.jsonl`
    - `sink quarantine export trades --fault decode --topic dead.trades`
    """
    if (to_file is None) == (topic is None):
        raise ConfigError("say where to: --output FILE or --topic TOPIC")
    filters = Filters(
        places=places,
        faults=faults,
        schemas=schemas,
        partitions=partitions,
        start=start,
        end=end,
        since=since,
        until=until,
        states=states,
    )
    meant = asked.ask(dataset, filters, options.settings_from(file), asked.states_of_named(filters))
    if topic is not None:
        count, where = _to_topic(meant, topic), f"topic {topic}"
    elif str(to_file) == "-":
        for line in _lines(meant):
            typer.echo(line)
        return
    else:
        count, where = _to_file(meant, Path(str(to_file))), str(to_file)
    if json_output:
        typer.echo(
            json.dumps({"dataset": dataset, "exported": count, "file": _text(to_file), "topic": topic}, indent=2)
        )
    else:
        say(f"{count:,} messages of {dataset} exported to {where}")


def _to_topic(meant: Asked, topic: str) -> int:
    if topic in {f"{meant.settings.topic_prefix}{name}" for name in DATASETS}:
        raise ConfigError(f"{topic} is read by the sink itself: a bad message would come back. Choose another topic")
    deliverer = Deliverer(connections.kafka_options(meant.settings, servers=None), topic)
    deliverer.find_topic()
    return sum(
        deliverer.deliver([letter_of(one, meant.source, meant.dataset.name) for one in kept]) for kept in pages(meant)
    )


def _to_file(meant: Asked, path: Path) -> int:
    """Write beside the file and rename at the end, so that a file of that name is whole."""
    if path.exists():
        raise ConfigError(f"{path} exists already; choose another name, or remove it")
    part = path.with_name(f"{path.name}.part")
    count = 0
    try:
        # messages deserve the care of the topics that they come from
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            for line in _lines(meant):
                file.write(f"{line}\n")
                count += 1
        part.rename(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _lines(meant: Asked) -> Iterator[str]:
    for kept in pages(meant):
        for one in kept:
            yield json.dumps(plain(one, meant.dataset.name))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
