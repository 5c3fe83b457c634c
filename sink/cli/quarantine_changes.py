"""``sink quarantine retry`` and ``drop``: what changes the state of kept messages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import typer

from sink.avro.registry import Registry
from sink.batch import Batch
from sink.cli import connections, options, wiring
from sink.cli import quarantine_asked as asked
from sink.cli import quarantine_shown as shown
from sink.cli.quarantine_asked import Asked, Filters
from sink.cli.quarantine_pages import pages
from sink.cli.replay_asked import patiently
from sink.cli.replayed import foreseen_counts, say
from sink.db import quarantined
from sink.db.connect import open_connection
from sink.db.contents import reading
from sink.db.target import revisions_in
from sink.errors import ConfigError, TransientError
from sink.ledger import replay_of
from sink.quarantine.retry import Retried, Retrier, batch_of, rehearse
from sink.replaying.flushers import Rehearsal
from sink.resources import resource_folder


def retry(
    dataset: asked.DatasetName,
    places: asked.Places = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would come of it.")] = False,
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
    """Run kept messages through the normal path again, after a fix: what passes becomes a row and is marked replayed.

    Nothing regresses and nothing doubles, however often; no position moves. What fails again stays, with its new
    reason. Dropped messages are left alone unless they are named by place or --state.

    For example:

    - `sink quarantine retry trades --dry-run`
    - `sink quarantine retry trades --fault unknown_schema`
    - `sink quarantine retry trades 3:120000`
    """
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
    with connections.registry(meant.settings, url=None) as registry:
        counts = _rehearse(meant, registry) if dry_run else _retry(meant, registry)
    document = {"dataset": dataset, "topic": meant.source.topic, "dry_run": dry_run, **counts}
    if json_output:
        typer.echo(json.dumps(document, indent=2))
    else:
        shown.show_retried(document)


def drop(
    dataset: asked.DatasetName,
    places: asked.Places = None,
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept beside the message.")],
    yes: options.Yes = False,
    faults: asked.Faults = None,
    schemas: asked.SchemaIds = None,
    partitions: asked.Numbers = None,
    start: asked.From = None,
    end: asked.To = None,
    since: asked.Since = None,
    until: asked.Until = None,
    json_output: options.AsJsonUnasked = False,
    file: options.SettingsFile = None,
) -> None:
    """Give kept messages up, for a reason that is kept; they stay in the table, and retries leave them alone.

    For example:

    - `sink quarantine drop trades 3:120000 --reason 'test message'`
    - `sink quarantine drop trades --fault magic --until yesterday --reason 'JSON of the old producer' --yes`
    """
    if not reason.strip():
        raise ConfigError("--reason wants some words; they are kept beside the message")
    filters = Filters(
        places=places,
        faults=faults,
        schemas=schemas,
        partitions=partitions,
        start=start,
        end=end,
        since=since,
        until=until,
    )
    meant = asked.ask(dataset, filters, options.settings_from(file), frozenset({"open"}))
    with reading(meant.url) as session:
        # what is quarantined after the question is not part of it
        now = quarantined.moment(session)
        until_now = replace(meant.wanted, until=now if meant.wanted.until is None else min(now, meant.wanted.until))
        found = Counter[str]()
        for count in quarantined.counts(session, until_now):
            found[count.reason] += count.states["open"]
    if found and not yes:
        counted = ", ".join(f"{reason} {count:,}" for reason, count in found.most_common())
        options.confirm(
            f"Drop {found.total():,} messages of {meant.dataset.name} ({counted})?",
            act="drop the messages",
            undone="nothing was dropped",
            as_json=json_output,
        )
    dropped = Counter[str]()
    if found:
        with reading(meant.url) as session:
            dropped = quarantined.drop(session, until_now, reason=reason.strip())
    document = {
        "dataset": dataset,
        "topic": meant.source.topic,
        "dropped": dropped.total(),
        "by_reason": dict(dropped),
        "drop_reason": reason.strip(),
    }
    if json_output:
        typer.echo(json.dumps(document, indent=2))
    else:
        say(
            f"dropped {dropped.total():,} messages of {dataset}"
            if dropped
            else "nothing is meant by that; nothing done"
        )


def _retry(meant: Asked, registry: Registry | None) -> dict[str, Any]:
    owner = wiring.owner_name()
    retrier = Retrier(
        dataset=meant.dataset,
        source=meant.source,
        owner=owner,
        connect=lambda: open_connection(meant.url, application_name=f"sink quarantine {owner}"),
        limits=wiring.limits_of(meant.settings),
    )
    done = Retried()
    try:
        retrier.inspect(revisions_in(resource_folder("migrations")))
        for batch in _batches(meant, registry):
            done.add(patiently(partial(retrier.retry, batch, meant.wanted.states)))
    except TransientError as error:
        raise TransientError(
            f"{error}. {done.messages:,} messages were retried before that, and what came of them is kept; run the"
            " same command again for the rest"
        ) from error
    finally:
        retrier.close()
    return {
        "messages": done.messages,
        "written": done.written,
        "not_newer": done.not_newer,
        "deduplicated": done.deduplicated,
        "late": done.late,
        "gone": done.gone,
        "refused": done.refused.total(),
        "refused_by_reason": dict(done.refused),
    }


def _rehearse(meant: Asked, registry: Registry | None) -> dict[str, Any]:
    owner = wiring.owner_name()
    rehearsal = Rehearsal(
        dataset=meant.dataset,
        source=replay_of(meant.source, "rehearsal"),
        owner=owner,
        connect=lambda: open_connection(meant.url, application_name=f"sink quarantine dry run {owner}"),
        limits=wiring.limits_of(meant.settings),
        samples=0,
    )
    try:
        for batch in _batches(meant, registry):
            rehearse(rehearsal, batch)
    finally:
        rehearsal.close()
    counts = foreseen_counts(rehearsal.foreseen, key=meant.dataset.key)
    return {name: value for name, value in counts.items() if name not in {"samples", "ignored"}}


def _batches(meant: Asked, registry: Registry | None) -> Iterator[Batch]:
    settings, topic = meant.settings, meant.source.topic
    # a message that ends the process does so three times at most; what is kept already halts nothing
    cautious = settings.model_copy(update={"on_crash": "quarantine"})
    inner = wiring.decoder_for(meant.dataset, settings, registry)
    decoder = wiring.careful(inner, cautious, topic, f"{meant.source.sink_id}/quarantine")
    for kept in pages(meant):
        yield batch_of(kept, topic, decoder, settings.clock_of(meant.dataset.name))
