"""Runs a replay or its rehearsal with the parts that the settings name, and gives what came of it."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sink.avro.registry import Registry
from sink.cli import interpreter, wiring
from sink.cli.connections import registry as registry_client
from sink.cli.replay_asked import Asked, Job, choose, register, take_over
from sink.cli.replayed import foreseen_counts, progress_bar, say, totals
from sink.db import replays
from sink.db.connect import open_connection
from sink.db.contents import reading
from sink.db.replays import Known
from sink.db.target import revisions_in
from sink.errors import Interrupted, SinkError, TransientError
from sink.flush import Flusher
from sink.kafka.stretch import Stretch
from sink.ledger import replay_of
from sink.pipeline import Pipeline
from sink.replaying.flushers import Rehearsal, Replayer
from sink.replaying.run import Ownership, follow
from sink.replaying.symbols import OnlySymbols
from sink.resources import resource_folder
from sink.settings import Settings


def run(
    asked: Asked, settings: Settings, *, resume: str | None, now: datetime, stop: threading.Event
) -> dict[str, Any]:
    """Do it; gives the summary as docs/replay.md describes it. Raises Interrupted where it stopped before its end."""
    source, replay_id = wiring.source_of(asked.dataset, settings), resume or uuid.uuid4().hex[:8]
    with wiring.groupless(source, settings, purpose=f"replay/{replay_id}") as consumer:
        job = Job(
            id=replay_id,
            asked=asked,
            settings=settings,
            source=source,
            consumer=consumer,
            stop=stop,
            ranges={},
            symbols=asked.symbols,
            resumed=resume is not None,
        )
        if job.resumed:
            take_over(job)
        else:
            choose(job, now)
        if not job.ranges:
            job.note("nothing to replay")
            return _document(job, seconds=0.0, read=0, messages=0)
        interpreter.settle()
        with registry_client(settings, url=None) as registry:
            return _replay(job, registry) if asked.samples is None else _rehearse(job, registry)


def _replay(job: Job, registry: Registry | None) -> dict[str, Any]:
    owner = wiring.owner_name()
    flusher = Replayer(
        dataset=job.asked.dataset,
        source=replay_of(job.source, job.id),
        owner=owner,
        connect=lambda: open_connection(job.url, application_name=f"sink replay {job.id} {owner}"),
        limits=wiring.limits_of(job.settings),
    )
    flusher.inspect(revisions_in(resource_folder("migrations")))
    flusher.recognise(job.consumer.identity().cluster_id, job.source.sink_id)
    if not job.resumed:
        register(job)
    pipeline, only = _pipeline(job, registry, flusher)

    def ask() -> str | None:
        with reading(job.url) as session:
            return replays.owner_of(session, job.id)

    began = time.monotonic()
    watch = Ownership(pipeline=pipeline, replay_id=job.id, owner=owner, ask=ask)
    try:
        finished = _follow(job, pipeline, watch)
        if not finished:
            pipeline.drain(time.monotonic() + job.settings.shutdown_timeout)
    except Interrupted:
        raise  # taken over: nothing is left for this process to do
    except SinkError:
        say(f"stopped; when that is mended, go on with: {job.resuming}")
        raise
    finally:
        pipeline.close()
    seconds = time.monotonic() - began
    known, counts = _finish(job, owner, finished=finished)
    if not finished:
        raise Interrupted(f"stopped with {known.done:,} of {known.total:,} offsets done; go on with: {job.resuming}")
    _say_unseen(job, only)
    done = pipeline.totals
    return _document(
        job,
        seconds=seconds,
        read=done.messages,
        **totals(counts),
        quarantined_by_reason=dict(done.quarantined),
    )


def _finish(job: Job, owner: str, *, finished: bool) -> tuple[Known, dict[str, int]]:
    with reading(job.url) as session:
        known = replays.get(session, job.id)
        if known is None:
            raise SinkError(f"replay {job.id} vanished from sink.replays while it ran; its rows are written")
        counts = replays.counts(session, known)
        if finished:
            replays.finish(session, known, totals=counts)
        else:
            replays.release(session, replay_id=job.id, owner=owner)
        return known, counts


def _rehearse(job: Job, registry: Registry | None) -> dict[str, Any]:
    flusher = Rehearsal(
        dataset=job.asked.dataset,
        source=replay_of(job.source, job.id),
        owner=wiring.owner_name(),
        connect=lambda: open_connection(job.url, application_name=f"sink dry run {wiring.owner_name()}"),
        limits=wiring.limits_of(job.settings),
        samples=job.asked.samples or 0,
    )
    pipeline, only = _pipeline(job, registry, flusher)

    def watch() -> None:
        if flusher.lost:
            raise TransientError(
                "the dry run lost its database connection, and with it what it had worked out; start it again"
            )

    began = time.monotonic()
    try:
        finished = _follow(job, pipeline, watch)
    finally:
        pipeline.close()
    if not finished:
        raise Interrupted("the dry run stopped before its end; nothing was written, start it again")
    _say_unseen(job, only)
    return _document(
        job,
        seconds=time.monotonic() - began,
        read=pipeline.totals.messages,
        **foreseen_counts(flusher.foreseen, key=job.asked.dataset.key),
    )


def _pipeline(job: Job, registry: Registry | None, flusher: Flusher) -> tuple[Pipeline, OnlySymbols | None]:
    """Wire the loop over the stretch, and give what filters the symbols."""
    inner = wiring.decoder_for(job.asked.dataset, job.settings, registry)
    # a breadcrumb of its own: what the sink itself must be careful with is not for a replay to take away
    decoder = wiring.careful(inner, job.settings, job.source.topic, f"{job.source.sink_id}/replay")
    only = OnlySymbols(decoder, job.symbols) if job.symbols else None
    stretch = Stretch(
        job.consumer,
        job.ranges,
        topic=job.source.topic,
        max_rate=job.asked.max_rate,
        clock=time.monotonic,
        sleep=time.sleep,
    )
    pipeline = wiring.pipeline_of(
        job.asked.dataset,
        job.settings,
        kafka=stretch,
        topic=job.source.topic,
        decoder=only or decoder,
        flusher=flusher,
        options=wiring.outside_the_group(wiring.options_of(job.settings)),
    )
    return pipeline, only


def _follow(job: Job, pipeline: Pipeline, watch: Callable[[], None]) -> bool:
    job.consumer.take(pipeline, sorted(job.ranges))
    with progress_bar(f"{job.asked.dataset.name}{'' if job.asked.samples is None else ' (dry run)'}") as progress:
        return follow(pipeline, job.ranges, stop=job.stop, watch=watch, progress=progress)


def _say_unseen(job: Job, only: OnlySymbols | None) -> None:
    if only is not None and only.unseen:
        where = "what this run read (runs before it may have met it)" if job.resumed else "these offsets"
        job.note(f"{', '.join(sorted(only.unseen))} did not occur in {where}; symbols are written as in the table")


def _document(job: Job, *, seconds: float, read: int, **counts: Any) -> dict[str, Any]:
    """Make the summary; ``seconds`` and messages ``read`` are this run's, the counts those of all runs."""
    return {
        "replay": job.id if job.asked.samples is None and job.ranges else None,
        "dry_run": job.asked.samples is not None,
        "dataset": job.asked.dataset.name,
        "topic": job.source.topic,
        "partitions": [
            {"partition": number, "from": start, "to": end} for number, (start, end) in sorted(job.ranges.items())
        ],
        "symbols": list(job.symbols),
        "resumed": job.resumed,
        **counts,
        "seconds": round(seconds, 3),
        "rate": round(read / seconds, 1) if seconds else 0.0,
        "notes": job.notes,
    }
